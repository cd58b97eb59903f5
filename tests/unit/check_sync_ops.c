/* The injector's side of the standby: whatever the kernel answers, at whatever moment, what happens next is right. */
#include "tests/unit/rig_pair.h"

static struct sync *s; /* B's core */
static struct ct_op ops[64];

static void setup(void)
{
	rig_pair_setup();
	r->n[B].no_ops = r->n[A].no_sweep = r->n[B].no_sweep = true;
	s = r->n[B].s;
}

static unsigned pull(void)
{
	return sync_pull_ops(s, ops, 64, r->now);
}

/* The only operation that is wanted now. */
static const struct ct_op *next(enum ct_op_type type)
{
	unsigned n = pull();

	ck_assert_msg(n == 1 && ops[0].type == type, "%u operations, the first of type %d instead of %d", n,
		      n ? (int)ops[0].type : -1, type);
	return &ops[0];
}

static void answer(int err)
{
	sync_on_op_result(s, ops[0].cookie, err, r->now);
}

static void nothing_more(void)
{
	ck_assert_uint_eq(pull(), 0);
}

static struct ct_entry flow(uint16_t port)
{
	struct ct_entry e = rig_flow(port, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	return e;
}

/* A flow whose copy B has written. */
static struct ct_entry copied(uint16_t port)
{
	struct ct_entry e = flow(port);

	next(CT_OP_CREATE);
	answer(0);
	nothing_more();
	return e;
}

static void changes_to(struct ct_entry *e, uint8_t state)
{
	e->tcp_state = state;
	rig_find(&r->n[A], &e->orig)->e.tcp_state = state;
	rig_event(r, A, CT_EV_UPDATE, 0, e);
	rig_run(r, 50 * NS_PER_MS);
}

static void ends(struct ct_entry *e)
{
	struct rig_entry *k = rig_find(&r->n[A], &e->orig);

	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	rig_run(r, 50 * NS_PER_MS);
}

static const struct {
	int err;
	bool again; /* worth another attempt: something may change */
	bool full;
} refusals[] = {
	{ ENOMEM, true, true },   { ENOSPC, true, true },      { ENOENT, true, false },
	{ ENOBUFS, true, false }, { EAGAIN, true, false },     { EINVAL, false, false },
	{ EPERM, false, false },  { EOPNOTSUPP, true, false }, { ERANGE, false, false },
};

START_TEST(refused_create)
{
	struct ct_entry e = flow(1);

	next(CT_OP_CREATE);
	answer(-refusals[_i].err);
	nothing_more();
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_FAILED);
	ck_assert_int_eq(rig_view(r, B, &e).err, refusals[_i].err);
	ck_assert_uint_eq(s->stats.op_create_failed, 1);
	ck_assert_uint_eq(s->stats.op_full, refusals[_i].full);
	rig_run(r, 1100 * NS_PER_MS);
	ck_assert_uint_eq(s->stats.op_retried, refusals[_i].again);
	/* The owner knows, and says so. */
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_FAILED);
	ck_assert_int_eq(rig_view(r, A, &e).err, refusals[_i].err);
	if (refusals[_i].again) {
		next(CT_OP_CREATE);
		answer(0);
		ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	} else {
		nothing_more();
		/* News of the flow is another attempt. */
		changes_to(&e, CT_TCP_FIN_WAIT);
		next(CT_OP_CREATE);
		answer(0);
	}
	rig_run(r, 200 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_SYNCED);
	ck_assert_uint_eq(s->n_failed, 0);
}
END_TEST

START_TEST(attempts_become_rare)
{
	struct ct_entry e = flow(2);
	unsigned tries = 1;

	next(CT_OP_CREATE);
	answer(-ENOMEM);
	for (int64_t wait = 1; tries < 10; tries++) {
		mono_t from = r->now;
		while (pull() == 0) {
			ck_assert_int_le(mono_sub(r->now, from), 61 * NS_PER_SEC);
			rig_run(r, 100 * NS_PER_MS);
			sync_peer_alive(s, 0, r->now);
		}
		/* 1, 2, 4 .. 60 s */
		ck_assert_int_ge(mono_sub(r->now, from), wait * NS_PER_SEC - 200 * NS_PER_MS);
		ck_assert_int_le(mono_sub(r->now, from), wait * NS_PER_SEC + 200 * NS_PER_MS);
		ck_assert_int_eq(ops[0].type, CT_OP_CREATE);
		answer(-ENOMEM);
		wait = wait * 2 < 60 ? wait * 2 : 60;
	}
	ck_assert_int_eq(rig_view(r, B, &e).err, ENOMEM);
}
END_TEST

START_TEST(refused_update)
{
	struct ct_entry e = copied(3);

	changes_to(&e, CT_TCP_FIN_WAIT);
	next(CT_OP_UPDATE);
	answer(-EINVAL);
	ck_assert_uint_eq(s->stats.op_update_failed, 1);
	ck_assert_uint_eq(s->stats.op_create_failed, 0);
	ck_assert_int_eq(rig_view(r, B, &e).err, EINVAL);
	ck_assert(rig_view(r, B, &e).in_kernel); /* the older state is still there */
	changes_to(&e, CT_TCP_TIME_WAIT);
	next(CT_OP_UPDATE);
	answer(0);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
}
END_TEST

static void takes_over(unsigned i, uint64_t counter)
{
	sync_fence(r->n[i].s, (struct epoch){ counter, i + 1 }, r->now);
	rig_authority(r, i, counter, true);
	rig_run(r, 50 * NS_PER_MS);
}

/* The copy whose update was refused becomes ours, and a copy again: the old refusal is nobody's any more. */
START_TEST(refused_before_a_takeover)
{
	struct ct_entry e = copied(4);

	changes_to(&e, CT_TCP_FIN_WAIT);
	next(CT_OP_UPDATE);
	answer(-EAGAIN);
	takes_over(B, 6);
	ck_assert_uint_eq(s->n_failed, 0);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	takes_over(A, 7);
	ck_assert(!rig_view(r, B, &e).mine);
	ck_assert_int_ne(rig_view(r, B, &e).disp, SYNC_DISP_FAILED);
}
END_TEST

/* The answer comes after the takeover: telling all of the flow to a peer does not make it one that is never tried again. */
START_TEST(refused_during_a_takeover)
{
	struct ct_entry e = copied(5);

	changes_to(&e, CT_TCP_FIN_WAIT);
	next(CT_OP_UPDATE);
	takes_over(B, 6);
	answer(-EAGAIN);
	rig_down(r);
	rig_up(r);
	rig_run(r, 500 * NS_PER_MS);
	ck_assert(rig_view(r, A, &e).version.node == 2);
	ck_assert_int_eq(rig_view(r, B, &e).err, EAGAIN);
	rig_run(r, NS_PER_SEC);
	nothing_more(); /* what the kernel has is newer */
	ck_assert_uint_eq(s->n_failed, 0);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
}
END_TEST

/* Something newer is decided while the kernel works: only what the kernel has now matters. */
START_TEST(ended_while_it_was_written)
{
	static const int answers[] = { 0, -EEXIST, -ENOMEM, -EINVAL };
	int err = answers[_i];
	struct ct_entry e = flow(4);

	next(CT_OP_CREATE);
	ends(&e);
	nothing_more(); /* one operation of a session at a time */
	answer(err);
	if (err == 0 || err == -EEXIST) {
		next(CT_OP_DELETE);
		answer(0);
		ck_assert_uint_eq(s->stats.op_deleted, 1);
	}
	nothing_more();
	ck_assert(!rig_known(r, B, &e));
	ck_assert_uint_eq(s->n_failed, 0);
}
END_TEST

START_TEST(changed_while_it_was_written)
{
	static const struct {
		int err;
		enum ct_op_type then;
	} t[] = { { 0, CT_OP_UPDATE }, { -EEXIST, CT_OP_UPDATE }, { -EINVAL, CT_OP_CREATE } };
	struct ct_entry e = flow(5);

	next(CT_OP_CREATE);
	changes_to(&e, CT_TCP_FIN_WAIT);
	answer(t[_i].err);
	ck_assert_uint_eq(next(t[_i].then)->e.tcp_state, CT_TCP_FIN_WAIT);
	answer(0);
	nothing_more();
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	ck_assert_uint_eq(s->n_failed, 0);
}
END_TEST

START_TEST(changed_while_it_was_updated)
{
	static const struct {
		int err;
		enum ct_op_type then;
	} t[] = { { 0, CT_OP_UPDATE }, { -ENOENT, CT_OP_CREATE }, { -ENOBUFS, CT_OP_UPDATE } };
	struct ct_entry e = copied(6);

	changes_to(&e, CT_TCP_FIN_WAIT);
	next(CT_OP_UPDATE);
	changes_to(&e, CT_TCP_TIME_WAIT);
	answer(t[_i].err);
	ck_assert_uint_eq(next(t[_i].then)->e.tcp_state, CT_TCP_TIME_WAIT);
	answer(0);
	nothing_more();
}
END_TEST

/* The entry ran out between two updates: it is created again, at once, in one chain. */
START_TEST(update_finds_nothing)
{
	struct ct_entry e = copied(7);

	changes_to(&e, CT_TCP_FIN_WAIT);
	next(CT_OP_UPDATE);
	answer(-ENOENT);
	ck_assert_uint_eq(s->stats.op_noent, 1);
	next(CT_OP_CREATE);
	answer(0);
	nothing_more();
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
}
END_TEST

START_TEST(create_finds_one)
{
	struct ct_entry e = flow(8);

	next(CT_OP_CREATE);
	answer(-EEXIST);
	next(CT_OP_UPDATE); /* the same tuple: ours now */
	answer(_i ? -ENOENT : 0);
	if (_i) { /* not the same tuple: another flow has the translated address, or it just ended */
		next(CT_OP_CREATE);
		answer(-EEXIST);
		nothing_more();
		ck_assert_uint_eq(s->stats.op_collision, 1);
		ck_assert_int_eq(rig_view(r, B, &e).err, EEXIST);
	} else {
		ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	}
	nothing_more();
}
END_TEST

START_TEST(delete_answers)
{
	static const struct {
		int err;
		uint64_t deleted, noent, failed;
		bool again;
	} t[] = {
		{ 0, 1, 0, 0, false },      { -ENOENT, 0, 1, 0, false },
		{ -EPERM, 0, 0, 1, false }, { -ENOBUFS, 0, 0, 1, true }, /* the answer was lost */
		{ -ENOMEM, 0, 0, 1, true },
	};
	struct ct_entry e = copied(9);

	ends(&e);
	next(CT_OP_DELETE);
	answer(t[_i].err);
	ck_assert_uint_eq(s->stats.op_deleted, t[_i].deleted);
	ck_assert_uint_eq(s->stats.op_noent, t[_i].noent);
	ck_assert_uint_eq(s->stats.op_delete_failed, t[_i].failed);
	if (t[_i].again) {
		next(CT_OP_DELETE);
		answer(-ENOBUFS); /* twice: the sweep will find it, if it is there */
	}
	nothing_more();
	ck_assert(!rig_known(r, B, &e));
}
END_TEST

/* The flow is back while its copy is being deleted. */
START_TEST(alive_again_while_it_was_deleted)
{
	static const struct {
		int err;
		enum ct_op_type then;
	} t[] = { { 0, CT_OP_CREATE }, { -ENOENT, CT_OP_CREATE }, { -ENOBUFS, CT_OP_UPDATE } };
	struct ct_entry e = copied(10), again = e;

	ends(&e);
	next(CT_OP_DELETE);
	rig_open(r, A, &again);
	rig_run(r, 50 * NS_PER_MS);
	answer(t[_i].err);
	const struct ct_op *op = next(t[_i].then); /* the answer was lost: it may be there or not */
	ck_assert_mem_eq(&op->e.orig, &again.orig, sizeof(again.orig));
	answer(0);
	nothing_more();
	ck_assert_int_eq(rig_view(r, B, &again).disp, SYNC_DISP_SYNCED);
}
END_TEST

START_TEST(renewal_answers)
{
	static const int answers[] = { 0, -ENOENT, -EPERM };
	struct ct_entry e = copied(11);
	unsigned n = 0;

	/* The sweep reads the entry, and so late that its lease has to be renewed. */
	rig_run(r, 200 * NS_PER_SEC);
	sync_peer_alive(s, 0, r->now);
	sync_sweep_begin(s, r->now);
	struct ct_entry k = e;
	k.timeout_s = 100;
	sync_on_sweep_entry(s, &k, r->now);
	sync_sweep_end(s, true, r->now);
	n = pull();
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(ops[0].type, CT_OP_RENEW);
	ck_assert_uint_eq(ops[0].e.has, CT_HAS_TIMEOUT); /* nothing but the timer */
	ck_assert_uint_ge(ops[0].e.timeout_s, 290);
	answer(answers[_i]);
	ck_assert_uint_eq(s->stats.op_renewed, answers[_i] == 0);
	ck_assert_uint_eq(s->stats.op_noent, answers[_i] == -ENOENT);
	ck_assert_uint_eq(s->stats.op_renew_failed, answers[_i] == -EPERM);
	if (answers[_i] == -ENOENT) { /* it is gone here: the owner is asked for it */
		ck_assert_int_ne(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
		rig_run(r, 50 * NS_PER_MS);
		next(CT_OP_CREATE);
		answer(0);
	}
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
}
END_TEST

/* The flow became this node's own while it waited to be written: what the kernel has is newer. */
START_TEST(ours_before_it_was_written)
{
	struct ct_entry e = copied(12);

	changes_to(&e, CT_TCP_FIN_WAIT);
	rig_down(r);
	rig_authority(r, B, 6, true);
	rig_run(r, 10 * NS_PER_MS);
	unsigned n = pull();
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_ne(ops[i].type, CT_OP_UPDATE);
	ck_assert_uint_eq(s->stats.op_dropped, 1);
	for (unsigned i = 0; i < n; i++)
		sync_on_op_result(s, ops[i].cookie, 0, r->now);
	ck_assert(rig_view(r, B, &e).mine);
}
END_TEST

START_TEST(answers_to_nothing)
{
	struct ct_entry e = copied(13);
	uint32_t cookie = ops[0].cookie;
	struct sync_stats before = s->stats;

	sync_on_op_result(s, cookie, -EINVAL, r->now); /* nothing is in flight */
	sync_on_op_result(s, cookie + 1000, 0, r->now);
	ck_assert_mem_eq(&before, &s->stats, sizeof(before));
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	/* Deletes by exact tuple have no record: cookie 0, counted all the same. */
	struct ct_entry raw = rig_flow(500, IPPROTO_UDP, false);
	static const int answers[] = { 0, -ENOENT, -EPERM };
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(sync_delete_ct(s, &raw.orig, r->now), 0);
		next(CT_OP_DELETE);
		ck_assert_uint_eq(ops[0].cookie, 0);
		answer(answers[i]);
	}
	ck_assert_uint_eq(s->stats.op_deleted, before.op_deleted + 1);
	ck_assert_uint_eq(s->stats.op_noent, before.op_noent + 1);
	ck_assert_uint_eq(s->stats.op_delete_failed, before.op_delete_failed + 1);
}
END_TEST

/* A copy that is deleted by tuple here is forgotten; the owner is not told that the flow ended. */
START_TEST(raw_delete_of_a_copy)
{
	struct ct_entry e = copied(14);

	ck_assert_int_eq(sync_delete_ct(s, &e.orig, r->now), 0);
	next(CT_OP_DELETE);
	answer(0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(!rig_known(r, B, &e));
	ck_assert(rig_known(r, A, &e));
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_DELETE], 0);
}
END_TEST

/* State without flags and scales would stall the flow after a takeover: liberal at least. */
START_TEST(copies_are_liberal)
{
	struct ct_entry e = rig_flow(15, IPPROTO_TCP, true);

	e.has &= ~(uint32_t)CT_HAS_TCP_WIN;
	memset(e.tcp_flags, 0, sizeof(e.tcp_flags));
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	const struct ct_op *op = next(CT_OP_CREATE);
	ck_assert(op->e.has & CT_HAS_TCP_WIN);
	for (unsigned d = 0; d < 2; d++)
		ck_assert_uint_eq(op->e.tcp_flags[d], CT_TCP_BE_LIBERAL);
	answer(0);
}
END_TEST

/* Without a configured rate there is one; a clock that stands still or comes late gives no second burst. */
START_TEST(bulk_rate)
{
	unsigned first, n;

	rig_down(r);
	r->conf[B].bulk_rate = (uint32_t)(_i ? 50000 : 0);
	for (uint16_t i = 0; i < 2000; i++) {
		struct ct_entry e = rig_flow((uint16_t)(20000 + i), IPPROTO_TCP, false);
		rig_open(r, A, &e);
	}
	rig_run(r, 100 * NS_PER_MS);
	rig_up(r);
	for (unsigned i = 0; i < 1000 && s->queues[SESS_QUEUE_BULK].waiting < 2000; i++)
		rig_run(r, 10 * NS_PER_MS);
	ck_assert_uint_ge(s->queues[SESS_QUEUE_BULK].waiting, 2000);
	static struct ct_op many[4096];
	first = 0;
	while ((n = sync_pull_ops(s, many + first, 64, r->now)) > 0)
		first += n;
	/* One hundredth of a second's worth, at least 256. */
	unsigned burst = _i ? 500 : 2000;
	ck_assert_uint_ge(first, burst > 2000 ? 2000 : burst - 64);
	ck_assert_uint_le(first, burst + 64);
	ck_assert_uint_eq(sync_pull_ops(s, many + first, 64, r->now), 0);
	ck_assert_uint_eq(sync_pull_ops(s, many + first, 64, (mono_t){ r->now.ns - NS_PER_SEC }), 0);
	if (_i) { /* ten milliseconds later as much again */
		r->now = mono_add(r->now, 10 * NS_PER_MS);
		unsigned second = 0;
		while ((n = sync_pull_ops(s, many + first + second, 64, r->now)) > 0)
			second += n;
		ck_assert_uint_ge(second, 400);
		ck_assert_uint_le(second, burst + 64);
		first += second;
	}
	for (unsigned i = 0; i < first; i++)
		sync_on_op_result(s, many[i].cookie, 0, r->now);
}
END_TEST

/* The server of all flows is this box from now on. */
static void become_the_end(void)
{
	struct addr own[2] = { addr_v4(10, 0, 0, 2), addr_v4(198, 51, 100, 7) };

	ck_assert_int_eq(sync_local_addrs(s, own, 2, r->now), 0);
}

START_TEST(local_before_it_was_written)
{
	struct ct_entry e = flow(700);

	become_the_end();
	nothing_more();
	rig_run(r, 200 * NS_PER_MS);
	nothing_more();
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PEER_LOCAL);
	ck_assert(!rig_known(r, B, &e));
	ck_assert_uint_eq(s->stats.judged_local, 1);
}
END_TEST

/* What stands there is not of our making: neither written nor removed. */
START_TEST(local_when_the_tuple_is_taken)
{
	struct ct_entry e = flow(701);

	next(CT_OP_CREATE);
	answer(-EEXIST);
	become_the_end();
	nothing_more();
	rig_run(r, 200 * NS_PER_MS);
	nothing_more();
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PEER_LOCAL);
}
END_TEST

/* The flow begins anew at A, and by its new mapping this box answers it, before it was written. */
START_TEST(local_by_a_changed_tuple)
{
	struct ct_entry e = flow(702);

	memcpy(e.reply.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	e.status |= CT_ST_DST_NAT;
	rig_event(r, A, CT_EV_NEW, 0, &e);
	rig_run(r, 50 * NS_PER_MS);
	nothing_more();
	rig_run(r, 200 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PEER_LOCAL);
	ck_assert(!rig_known(r, B, &e));
}
END_TEST

/* Nor by the word of one who is not its owner any more. */
START_TEST(local_by_an_old_word)
{
	struct ct_entry e = flow(703), other = e;

	next(CT_OP_CREATE);
	answer(0);
	sync_fence(s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_authority(r, B, 7, false);
	r->n[B].cut = true;
	memcpy(other.reply.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	rig_event(r, A, CT_EV_NEW, 0, &other);
	rig_run(r, 50 * NS_PER_MS);
	nothing_more();
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_NONE);
	r->n[B].cut = false;
}
END_TEST

START_TEST(own_flow_is_local_before_it_was_written)
{
	struct ct_entry e = flow(704);

	sync_fence(s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	become_the_end();
	nothing_more();
	rig_run(r, 200 * NS_PER_MS);
	nothing_more();
	ck_assert_uint_eq(r->n[B].ops[CT_OP_CREATE], 0);
	ck_assert(!rig_known(r, B, &e) || rig_view(r, B, &e).why == SYNC_WHY_LOCAL_DEST);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, refused_create, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(t, attempts_become_rare);
	tcase_add_test(t, refused_update);
	tcase_add_test(t, refused_before_a_takeover);
	tcase_add_test(t, refused_during_a_takeover);
	tcase_add_loop_test(t, ended_while_it_was_written, 0, 4);
	tcase_add_loop_test(t, changed_while_it_was_written, 0, 3);
	tcase_add_loop_test(t, changed_while_it_was_updated, 0, 3);
	tcase_add_test(t, update_finds_nothing);
	tcase_add_loop_test(t, create_finds_one, 0, 2);
	tcase_add_loop_test(t, delete_answers, 0, 5);
	tcase_add_loop_test(t, alive_again_while_it_was_deleted, 0, 3);
	tcase_add_loop_test(t, renewal_answers, 0, 3);
	tcase_add_test(t, ours_before_it_was_written);
	tcase_add_test(t, answers_to_nothing);
	tcase_add_test(t, raw_delete_of_a_copy);
	tcase_add_test(t, copies_are_liberal);
	tcase_add_loop_test(t, bulk_rate, 0, 2);
	tcase_add_test(t, local_before_it_was_written);
	tcase_add_test(t, local_when_the_tuple_is_taken);
	tcase_add_test(t, local_by_a_changed_tuple);
	tcase_add_test(t, local_by_an_old_word);
	tcase_add_test(t, own_flow_is_local_before_it_was_written);
	return rig_pair_run("sync_ops", t, setup);
}
