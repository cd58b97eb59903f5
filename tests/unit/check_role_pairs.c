/* The role transaction: every pair of state x wish x step result, and every stray event in every state. */
#include "tests/unit/role_one.h"

/* Brings the machine into each state, with each target it can have there. */
enum {
	IN_INIT = 0,
	IN_BACKUP,
	IN_MASTER,
	IN_FAULT,
	IN_PREPARING,
	IN_PLANNED,
	IN_ASKING,
	IN_COMMITTING,
	IN_FLUSHING,
	IN_GONE,
	IN_DEMOTING,
	IN_N
};

static void bring(int where)
{
	setup();
	switch (where) {
	case IN_INIT:
		return;
	case IN_BACKUP:
		to_backup();
		return;
	case IN_MASTER:
		to_master();
		return;
	case IN_FAULT:
		to_backup();
		step(wish(ROLE_FAULT, ROLE_K_FAULT, ROLE_R_LINK));
		return;
	case IN_PREPARING:
	case IN_COMMITTING:
		to_backup();
		step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
		if (where == IN_COMMITTING) {
			step(answer(ROLE_EV_FENCED));
			step(answer(ROLE_EV_PURGED));
		}
		return;
	case IN_PLANNED:
		to_backup();
		step(wish(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_PREEMPTED));
		return;
	case IN_ASKING:
		to_master();
		step(wish(ROLE_BACKUP, ROLE_K_PLANNED, ROLE_R_OPERATOR));
		return;
	case IN_FLUSHING:
	case IN_GONE:
		to_master();
		step(peer(ROLE_PEER_PREPARED, epoch_next(r.epoch, 1)));
		if (where == IN_GONE)
			step(answer(ROLE_EV_FLUSHED));
		return;
	case IN_DEMOTING:
		to_master();
		step(wish(ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_HIGHER));
		return;
	default:
		ck_abort();
	}
}

START_TEST(stop_is_the_last_wish)
{
	bring(_i);
	step(wish(ROLE_INIT, ROLE_K_STOP, ROLE_R_STOP));
	if (r.state == ROLE_COMMITTING || r.state == ROLE_DEMOTING) {
		step(wish(ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_HIGHER));
		step(wish(ROLE_FAULT, ROLE_K_FAULT, ROLE_R_LINK));
	}
	for (int i = 0; i < 20 && r.state != ROLE_STABLE; i++)
		tick();
	ck_assert_int_eq(r.is, ROLE_INIT);
}
END_TEST

static const struct {
	enum role_is target;
	enum role_kind kind;
} wishes[] = {
	{ ROLE_MASTER, ROLE_K_CRASH },   { ROLE_MASTER, ROLE_K_PLANNED }, { ROLE_BACKUP, ROLE_K_FORCED },
	{ ROLE_BACKUP, ROLE_K_PLANNED }, { ROLE_FAULT, ROLE_K_FAULT },    { ROLE_INIT, ROLE_K_STOP },
};

/* What the world answers to everything that is open: results r = 0 (fine), 1 (degraded or partial), 2 (nothing). */
static void answer_all(int result)
{
	for (int round = 0; round < 12 && r.state != ROLE_STABLE; round++) {
		if (result == 2) {
			tick();
			continue;
		}
		struct role_ev ev[] = {
			answer(ROLE_EV_FENCED),
			answer(ROLE_EV_PURGED),
			answer(ROLE_EV_APPLIED),
			answer(ROLE_EV_FLUSHED),
			answer(ROLE_EV_VIP_UP),
			answer(ROLE_EV_GARP),
			peer(ROLE_PEER_GO, r.epoch),
			peer(ROLE_PEER_UP, r.epoch),
			net(result ? ROLE_NET_PARTIAL : ROLE_NET_EQUAL, result ? -16 : 0),
		};
		for (unsigned i = 0; i < sizeof(ev) / sizeof(ev[0]); i++) {
			ev[i].epoch = r.epoch;
			ev[i].degraded = result == 1;
			ev[i].peer_ready = false;
			step(ev[i]);
		}
		if (r.state == ROLE_PREPARING)
			tick();
	}
}

/* All pairs end in rest, epochs never go back, and the last role is one that was wished for. */
START_TEST(every_state_wish_and_result)
{
	int where = _i / 18, w = _i % 18 / 3, result = _i % 3;
	bring(where);
	enum role_is was = r.is;
	struct epoch before = r.epoch;
	struct role_ev ev = wish(wishes[w].target, wishes[w].kind, ROLE_R_PRIORITY);
	step(ev);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_ge(epoch_cmp(r.epoch, before), 0);
		answer_all(result);
	}
	ck_assert_msg(r.state == ROLE_STABLE, "state %d after wish %d in %d with result %d", r.state, w, where, result);
	ck_assert_int_ge(epoch_cmp(r.epoch, before), 0);
	bool gives_way = wishes[w].kind == ROLE_K_PLANNED || where == IN_PLANNED || where == IN_ASKING ||
			 where == IN_FLUSHING || where == IN_GONE;
	/* A promotion whose addresses never answer gives way to the ready peer. */
	gives_way |= wishes[w].target == ROLE_MASTER && result == 2;
	if (!gives_way)
		ck_assert_msg(r.is == wishes[w].target, "role %s after wish %d in %d with result %d",
			      role_is_text((uint8_t)r.is), w, where, result);
	else
		ck_assert(r.is == wishes[w].target || r.is == was || r.is == ROLE_MASTER || r.is == ROLE_BACKUP);
	ck_assert(r.net_up == (r.is == ROLE_MASTER));
}
END_TEST

/* Every event in every state: nothing breaks, and stray answers change no role. */
START_TEST(stray_events_change_nothing)
{
	int where = _i / 9, which = _i % 9;
	bring(where);
	struct role before = r;
	struct role_ev ev = { .epoch = { r.epoch.counter + 40, 1 } };
	static const enum role_ev_type stray[] = { ROLE_EV_FENCED,  ROLE_EV_PURGED, ROLE_EV_AUTHORITY, ROLE_EV_FLUSHED,
						   ROLE_EV_APPLIED, ROLE_EV_VIP_UP, ROLE_EV_GARP,      ROLE_EV_IKE_UP };
	if (which < 8) {
		ev.type = stray[which];
		step(ev);
		ck_assert_uint_eq(out.n, 0);
	} else {
		step(peer(ROLE_PEER_UP, (struct epoch){ 1, 9 }));
		ck_assert_uint_eq(out.n, 0);
	}
	ck_assert_int_eq(r.is, before.is);
	ck_assert_int_eq(r.state, before.state);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pairs");

	tcase_add_loop_test(tc, stop_is_the_last_wish, 0, IN_N);
	tcase_add_loop_test(tc, every_state_wish_and_result, 0, IN_N * 18);
	tcase_add_loop_test(tc, stray_events_change_nothing, 0, IN_N * 9);
	return role_one_run("role_pairs", tc);
}
