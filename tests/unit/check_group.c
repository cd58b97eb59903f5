/* Every row of the group table, and what must not move a role. */
#include <check.h>
#include <stdlib.h>
#include "daemon/group.h"
#include "tests/unit/run.h"

static struct group_view backup(void)
{
	return (struct group_view){ .is = ROLE_BACKUP, .n = 2, .preempt = true, .n_hearing = 2 };
}

static struct group_view master(void)
{
	return (struct group_view){ .is = ROLE_MASTER, .n = 2, .preempt = true };
}

struct row {
	const char *name;
	struct group_view v;
	enum group_verdict verdict;
	enum role_reason reason;
	bool deaf;
};

#define BACKUP .is = ROLE_BACKUP, .n = 2
#define MASTER .is = ROLE_MASTER, .n = 2

static const struct row rows[] = {
	{ "all expired, no channel", { BACKUP, .n_expired = 2 }, GROUP_TAKE, ROLE_R_NO_RESPONSE, false },
	{ "all expired, channel says master",
	  { BACKUP, .n_expired = 2, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_TAKE,
	  ROLE_R_NO_RESPONSE,
	  false },
	{ "some expired, channel up, healthy master: stay and name it",
	  { BACKUP, .n_expired = 1, .first_deaf = 1, .n_hearing = 1, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  true },
	{ "some expired, peer leaving",
	  { BACKUP, .n_expired = 1, .n_hearing = 1, .channel_up = true, .peer = GROUP_PEER_LEAVING },
	  GROUP_TAKE,
	  ROLE_R_PEER_LEAVING,
	  false },
	{ "some expired, peer not master",
	  { BACKUP, .n_expired = 1, .n_hearing = 1, .channel_up = true, .peer = GROUP_PEER_NOT_MASTER },
	  GROUP_TAKE,
	  ROLE_R_PEER_NOT_MASTER,
	  false },
	{ "some expired, channel up, peer silent about it",
	  { BACKUP, .n_expired = 1, .n_hearing = 1, .channel_up = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  true },
	{ "some expired, channel down", { BACKUP, .n_expired = 1, .n_hearing = 1 }, GROUP_STAY, ROLE_R_NONE, true },
	{ "priority 0 on one, peer leaving: now, whatever the interval",
	  { BACKUP, .n_hearing = 2, .channel_up = true, .peer = GROUP_PEER_LEAVING },
	  GROUP_TAKE,
	  ROLE_R_PEER_LEAVING,
	  false },
	{ "priority 0 on one, no channel: after skew",
	  { BACKUP, .n_expired = 1, .n_zero = 1, .n_hearing = 1 },
	  GROUP_TAKE,
	  ROLE_R_PRIORITY_ZERO,
	  false },
	{ "priority 0 on one, the channel says healthy master",
	  { BACKUP, .n_expired = 1, .n_zero = 1, .n_hearing = 1, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  true },
	{ "priority 0, but this peer does not group its members",
	  { BACKUP, .n_expired = 1, .n_zero = 1, .n_hearing = 1, .not_grouped = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  true },
	{ "only the channel is lost", { BACKUP, .n_hearing = 2 }, GROUP_STAY, ROLE_R_NONE, false },
	{ "process death proven",
	  { BACKUP, .n_hearing = 2, .peer_dead = true },
	  GROUP_TAKE,
	  ROLE_R_PROCESS_DEATH,
	  false },
	{ "own link down, peer ready",
	  { MASTER, .n_down = 1, .channel_up = true, .peer_ready = true },
	  GROUP_FAULT,
	  ROLE_R_LINK,
	  false },
	{ "a tracked fault", { MASTER, .n_down = 1, .down_tracked = true }, GROUP_FAULT, ROLE_R_TRACKED, false },
	{ "a tracked fault, degrade, nobody else is ready",
	  { MASTER, .n_down = 1, .down_tracked = true, .fault_degrade = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "own link down, no channel", { MASTER, .n_down = 1 }, GROUP_FAULT, ROLE_R_LINK, false },
	{ "own link down, degrade, nobody else",
	  { MASTER, .n_down = 1, .fault_degrade = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "own link down, degrade, but the peer is ready",
	  { MASTER, .n_down = 1, .fault_degrade = true, .channel_up = true, .peer_ready = true },
	  GROUP_FAULT,
	  ROLE_R_LINK,
	  false },
	{ "all links down, degrade", { MASTER, .n_down = 2, .fault_degrade = true }, GROUP_FAULT, ROLE_R_LINK, false },
	{ "master hears a higher one on any member", { MASTER, .n_higher = 1 }, GROUP_YIELD, ROLE_R_HIGHER, false },
	{ "maintenance: the master gives the role away",
	  { MASTER, .maintenance = true },
	  GROUP_GIVE,
	  ROLE_R_MAINTENANCE,
	  false },
	{ "maintenance, but a link is down: fault comes first",
	  { MASTER, .maintenance = true, .n_down = 1 },
	  GROUP_FAULT,
	  ROLE_R_LINK,
	  false },
	{ "crossed: only the first member decides",
	  { MASTER, .n_higher = 1, .first_decides = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "crossed: the first member hears a higher one",
	  { MASTER, .n_higher = 1, .first_decides = true, .first_member_higher = true },
	  GROUP_YIELD,
	  ROLE_R_HIGHER,
	  false },
	{ "lower master on every member, gate open, on the channel",
	  { BACKUP, .n_lower = 2, .n_hearing = 2, .preempt = true, .gate_open = true, .channel_up = true,
	    .peer = GROUP_PEER_MASTER },
	  GROUP_TAKE_PLANNED,
	  ROLE_R_PREEMPTED,
	  false },
	{ "lower master on every member, no channel",
	  { BACKUP, .n_lower = 2, .n_hearing = 2, .preempt = true, .gate_open = true },
	  GROUP_TAKE,
	  ROLE_R_PREEMPTED,
	  false },
	{ "lower master, channel up, the peer has not spoken of this group yet",
	  { BACKUP, .n_lower = 2, .n_hearing = 2, .preempt = true, .gate_open = true, .channel_up = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "lower master on one member only",
	  { BACKUP, .n_lower = 1, .n_hearing = 2, .preempt = true, .gate_open = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "lower master, gate closed",
	  { BACKUP, .n_lower = 2, .n_hearing = 2, .preempt = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "lower master, nopreempt",
	  { BACKUP, .n_lower = 2, .n_hearing = 2, .gate_open = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "maintenance stays out", { BACKUP, .n_expired = 2, .maintenance = true }, GROUP_STAY, ROLE_R_NONE, false },
	{ "hold after failed promotions", { BACKUP, .n_expired = 2, .holding = true }, GROUP_STAY, ROLE_R_NONE, false },
	{ "fault, link still down", { .is = ROLE_FAULT, .n = 2, .n_down = 1 }, GROUP_STAY, ROLE_R_NONE, false },
	{ "fault, link back", { .is = ROLE_FAULT, .n = 2 }, GROUP_CLEAR, ROLE_R_RECOVERED, false },
	{ "fault, hold not over", { .is = ROLE_FAULT, .n = 2, .holding = true }, GROUP_STAY, ROLE_R_NONE, false },
	{ "arbitrate: all expired, but the master says on the channel that it serves",
	  { BACKUP, .n_expired = 2, .arbitrate = true, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "arbitrate: farewells were heard, the master says that it serves",
	  { BACKUP, .n_expired = 2, .n_zero = 2, .arbitrate = true, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "arbitrate: the peer is not master",
	  { BACKUP, .n_expired = 2, .arbitrate = true, .channel_up = true, .peer = GROUP_PEER_NOT_MASTER },
	  GROUP_TAKE,
	  ROLE_R_NO_RESPONSE,
	  false },
	{ "arbitrate: the peer is leaving",
	  { BACKUP, .n_expired = 2, .arbitrate = true, .channel_up = true, .peer = GROUP_PEER_LEAVING },
	  GROUP_TAKE,
	  ROLE_R_PEER_LEAVING,
	  false },
	{ "arbitrate: nothing was said of this group",
	  { BACKUP, .n_expired = 2, .arbitrate = true, .channel_up = true },
	  GROUP_TAKE,
	  ROLE_R_NO_RESPONSE,
	  false },
	{ "arbitrate: the channel is down",
	  { BACKUP, .n_expired = 2, .arbitrate = true, .peer = GROUP_PEER_MASTER },
	  GROUP_TAKE,
	  ROLE_R_NO_RESPONSE,
	  false },
	{ "arbitrate: process death proven",
	  { BACKUP, .n_expired = 2, .arbitrate = true, .peer_dead = true },
	  GROUP_TAKE,
	  ROLE_R_PROCESS_DEATH,
	  false },
	{ "arbitrate: some expired as without",
	  { BACKUP, .n_expired = 1, .n_hearing = 1, .arbitrate = true, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  true },
	{ "arbitrate: an own link is down",
	  { BACKUP, .n_expired = 1, .n_down = 1, .arbitrate = true, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_FAULT,
	  ROLE_R_LINK,
	  false },
	{ "arbitrate: degraded, and the rest is deaf",
	  { BACKUP, .n_expired = 1, .n_down = 1, .fault_degrade = true, .arbitrate = true, .channel_up = true,
	    .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "all expired, another node is ready and this one is not: it goes first",
	  { BACKUP, .n_expired = 2, .channel_up = true, .better_ready = true },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "process death, and another node says that it serves",
	  { BACKUP, .n_hearing = 2, .peer_dead = true, .channel_up = true, .peer = GROUP_PEER_MASTER },
	  GROUP_STAY,
	  ROLE_R_NONE,
	  false },
	{ "process death waits for nobody",
	  { BACKUP, .n_hearing = 2, .peer_dead = true, .better_ready = true },
	  GROUP_TAKE,
	  ROLE_R_PROCESS_DEATH,
	  false },
	{ "not started", { .is = ROLE_INIT, .n = 2, .n_expired = 2 }, GROUP_STAY, ROLE_R_NONE, false },
};

START_TEST(table_row)
{
	const struct row *r = &rows[_i];
	struct group_decision d = group_decide(&r->v);
	ck_assert_msg(d.verdict == r->verdict, "%s: verdict %d, expected %d", r->name, d.verdict, r->verdict);
	ck_assert_msg(r->verdict == GROUP_STAY || d.reason == r->reason, "%s: reason %s", r->name,
		      role_reason_text((uint8_t)d.reason));
	ck_assert_msg(d.deaf == r->deaf, "%s: deaf %d", r->name, d.deaf);
}
END_TEST

/* Readiness never blocks taking over a missing master. */
START_TEST(readiness_never_blocks_takeover)
{
	for (unsigned bits = 0; bits < 64; bits++) {
		struct group_view v = backup();
		v.n_expired = 2;
		v.n_hearing = 0;
		v.gate_open = bits & 1;
		v.preempt = bits & 2;
		v.channel_up = bits & 4;
		v.peer_ready = bits & 8;
		v.not_grouped = bits & 16;
		v.peer = bits & 32 ? GROUP_PEER_MASTER : GROUP_PEER_UNKNOWN;
		ck_assert_int_eq(group_decide(&v).verdict, GROUP_TAKE);
	}
}
END_TEST

/* Arbitration keeps a deaf node BACKUP for exactly as long as a master's word is on the channel, and names the segment. */
START_TEST(arbitration)
{
	for (unsigned bits = 0; bits < 512; bits++) {
		struct group_view v = backup();
		v.first_deaf = 7;
		v.n_expired = 2;
		v.n_hearing = 0;
		v.arbitrate = bits & 1;
		v.channel_up = bits & 2;
		v.peer = (enum group_peer)(bits >> 2 & 3);
		v.first_decides = v.first_member_expired = bits & 16;
		v.n_zero = bits & 32 ? 2 : 0;
		v.not_grouped = bits & 64;
		v.peer_ready = bits & 128;
		v.preempt = v.gate_open = bits & 256;
		struct group_decision d = group_decide(&v);
		bool stays = v.arbitrate && v.channel_up && v.peer == GROUP_PEER_MASTER;
		ck_assert_msg((d.verdict == GROUP_STAY) == stays, "bits %x: verdict %d", bits, d.verdict);
		ck_assert(d.cut == stays && !d.deaf);
		ck_assert(!d.cut || d.member == 7);
	}
}
END_TEST

/* Whatever the channel says, a MASTER without faults that hears nobody higher stays. */
START_TEST(channel_alone_never_demotes)
{
	for (unsigned bits = 0; bits < 32; bits++) {
		struct group_view v = master();
		v.channel_up = bits & 1;
		v.peer_ready = bits & 2;
		v.peer_dead = bits & 4;
		v.gate_open = bits & 8;
		v.peer = bits & 16 ? GROUP_PEER_MASTER : GROUP_PEER_LEAVING;
		ck_assert_int_eq(group_decide(&v).verdict, GROUP_STAY);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("group");
	TCase *tc = tcase_create("table");
	tcase_add_loop_test(tc, table_row, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tc, readiness_never_blocks_takeover);
	tcase_add_test(tc, channel_alone_never_demotes);
	tcase_add_test(tc, arbitration);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
