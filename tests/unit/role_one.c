/* One role transaction, driven by hand. */
#include "tests/unit/role_one.h"
#include <string.h>

struct role r;
struct role_acts out;
mono_t now;

void setup(void)
{
	role_init(&r, 0, 2);
	now = (mono_t){ NS_PER_SEC };
	memset(&out, 0, sizeof(out));
}

int at(enum role_act_type t)
{
	for (unsigned i = 0; i < out.n; i++)
		if (out.a[i].type == t)
			return (int)i;
	return -1;
}

bool has(enum role_act_type t)
{
	return at(t) >= 0;
}

void step(struct role_ev ev)
{
	role_step(&r, &ev, now, &out);
}

struct role_ev wish(enum role_is target, enum role_kind kind, enum role_reason reason)
{
	return (struct role_ev){ .type = ROLE_EV_WISH,
				 .target = target,
				 .kind = kind,
				 .reason = reason,
				 .detect = now,
				 .has_sync = true,
				 .has_channel = true,
				 .leftovers = true,
				 .peer_ready = true,
				 .seen = r.epoch };
}

struct role_ev answer(enum role_ev_type t)
{
	return (struct role_ev){ .type = t, .epoch = r.epoch };
}

struct role_ev peer(enum role_peer_msg m, struct epoch e)
{
	return (struct role_ev){ .type = ROLE_EV_PEER, .peer = m, .epoch = e, .has_sync = true, .has_channel = true };
}

struct role_ev net(enum role_net state, int err)
{
	return (struct role_ev){ .type = ROLE_EV_NET, .epoch = r.epoch, .net = state, .err = err };
}

void tick(void)
{
	now = mono_max(now, role_deadline(&r));
	step((struct role_ev){ .type = ROLE_EV_TICK });
}

void to_backup(void)
{
	step(wish(ROLE_BACKUP, ROLE_K_NONE, ROLE_R_START));
	ck_assert_int_eq(r.is, ROLE_BACKUP);
}

void to_master(void)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	step(answer(ROLE_EV_FENCED));
	step(answer(ROLE_EV_PURGED));
	step(answer(ROLE_EV_GARP));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.is, ROLE_MASTER);
	ck_assert_int_eq(r.state, ROLE_STABLE);
}

int role_one_run(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);

	tcase_add_checked_fixture(tc, setup, NULL);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
