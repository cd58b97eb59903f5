/* Shared by the tests of the tunnel machine: one tunnel, a clock, and ways into its states. */
#ifndef KT_TEST_IKE_UTIL_H
#define KT_TEST_IKE_UTIL_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/ike_fsm.h"

#define MS NS_PER_MS

static mono_t now;
static struct ike_tunnel t;
static struct ike_acts acts;

static inline struct epoch E(uint64_t counter) {
	return (struct epoch){ counter, 1 };
}

static bool no_turns; /* a test that gives turns itself */

/* Most tests are alone on their node: its turn comes at once. */
static void step(const struct ike_ev *ev)
{
	struct ike_ev grant = { .kind = IKE_EV_GRANT };
	struct ike_acts more;

	ike_step(&t, ev, now, &acts);
	ck_assert_uint_le(acts.n, IKE_ACTS_MAX);
	if (!ike_queued(&t) || no_turns)
		return;
	ike_step(&t, &grant, now, &more);
	ck_assert_uint_le(acts.n + more.n, IKE_ACTS_MAX);
	memcpy(&acts.a[acts.n], more.a, more.n * sizeof(more.a[0]));
	acts.n += more.n;
}

#define STEP(...) step(&(struct ike_ev){ __VA_ARGS__ })

/* One letter per action, in order: what the shell is told to do. Traces are left out. */
static inline const char *letters(void)
{
	static const char letter[] = { 'T', 'I', 'R', 'L', 'S', 'P', 'U', 'D', 'X', 'F', 'h', '\0', 'C', 'c', 'm' };
	static char text[IKE_ACTS_MAX + 1];
	unsigned n = 0;

	for (unsigned i = 0; i < acts.n; i++)
		if (letter[acts.a[i].kind])
			text[n++] = letter[acts.a[i].kind];
	text[n] = '\0';
	return text;
}

static inline const struct ike_act *find(enum ike_act_kind kind)
{
	for (unsigned i = 0; i < acts.n; i++)
		if (acts.a[i].kind == kind)
			return &acts.a[i];
	return NULL;
}

#define EXPECT(want_state, want_acts)                                                                         \
	do {                                                                                                  \
		ck_assert_msg(t.state == (want_state) && strcmp(letters(), want_acts) == 0,                   \
			      "line %d: state %s, actions %s", __LINE__, ike_state_name(t.state), letters()); \
	} while (0)

static inline void fresh(void)
{
	struct ike_tunnel_conf c = { .name = "t", .ike = "hq", .child = "net", .initiate = true };

	c.vip = addr_v4(192, 0, 2, 1);
	c.peer = addr_v4(192, 0, 2, 2);
	c.dpd = (struct ike_dpd_conf){ true, 3000 * MS, 1000 * MS, 3, IKE_DPD_RESET, IKE_DPD_ON_DEMAND };
	now = (mono_t){ 1000 * NS_PER_SEC };
	no_turns = false;
	ike_init(&t, &c, false, now);
	acts.n = 0;
}

static inline void reply(enum ike_req req, bool ok)
{
	STEP(.kind = IKE_EV_REPLY, .req = req, .seq = t.req_seq, .epoch = t.req_epoch, .ok = ok);
}

static inline void swept(bool ok)
{
	STEP(.kind = IKE_EV_SWEPT, .seq = t.sweep_seq, .epoch = t.sweep_epoch, .ok = ok);
}

static inline void listed(bool established, uint32_t child, uint64_t in, uint64_t out)
{
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.req_seq, .epoch = t.req_epoch,
	     .sample = { .present = established || child,
			 .established = established || child,
			 .child = child != 0,
			 .sa_id = child,
			 .in_packets = in,
			 .out_packets = out });
}

static inline void child(bool up, uint32_t id)
{
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = up, .sa_id = id);
}

/* To the machine's own next deadline. */
static inline void tick(void)
{
	ck_assert(!mono_is_never(ike_deadline(&t)));
	now = mono_max(now, ike_deadline(&t));
	STEP(.kind = IKE_EV_TICK);
}

static inline void to_idle(void)
{
	fresh();
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_PURGING, "S");
	swept(true);
	EXPECT(IKE_IDLE, "");
	now = mono_add(now, 10 * NS_PER_SEC);
	STEP(.kind = IKE_EV_PURGE, .epoch = E(5));
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_IDLE, "P");
	ck_assert(!ike_needs_purge(&t));
}

static inline void to_initiating(void)
{
	to_idle();
	now = mono_add(now, 10 * NS_PER_SEC);
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_INITIATING, "I");
}

static inline void to_up(void)
{
	to_initiating();
	reply(IKE_REQ_INITIATE, true);
	EXPECT(IKE_INITIATING, "");
	now = mono_add(now, 8 * MS);
	child(true, 7);
	EXPECT(IKE_UP, "Uh");
}

#define RESET(...)  STEP(.kind = IKE_EV_RESET, .why = IKE_WHY_SPI, __VA_ARGS__)
#define CLOSE(wait) STEP(.kind = IKE_EV_CLOSE, .epoch = E(9), .wait_ns = (wait))

static inline void to_queued(void)
{
	to_idle();
	no_turns = true;
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_QUEUED, "");
}

static inline void to_closing(void)
{
	to_up();
	CLOSE(IKE_CLOSE_NS);
	EXPECT(IKE_CLOSING, "DhC");
}

#endif
