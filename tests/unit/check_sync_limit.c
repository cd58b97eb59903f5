/* What a peer sends with the right key and ill will: room, memory, rates, and sessions of the box itself. */
#include "tests/unit/rig_pair.h"

static struct sync *s; /* of B, the standby */
static uint64_t seq;

static void setup(void)
{
	rig_pair_setup();
	s = r->n[B].s;
	r->n[A].cut = true; /* the real node 1 would put right what is said in its name */
	seq = 1000000;
}

static void settle(void)
{
	rig_run(r, 50 * NS_PER_MS);
}

/* A record as node 1 could make it. */
static struct sync_rec forged(enum sync_rec_type type, const struct ct_entry *e, uint32_t handle)
{
	struct sync_rec rec;

	memset(&rec, 0, sizeof(rec));
	rec.type = type;
	rec.owner = 1;
	rec.epoch = rec.version.epoch = (struct epoch){ 5, 1 };
	rec.version.node = 1;
	rec.seq = ++seq;
	rec.handle = handle;
	rec.full = true;
	rec.e = *e;
	return rec;
}

static void hear(const struct sync_rec *rec)
{
	sync_on_record(s, 1, rec, r->now);
	settle();
}

static void say(const struct ct_entry *e, uint32_t handle)
{
	struct sync_rec rec = forged(SYNC_REC_SESSION, e, handle);

	hear(&rec);
}

/* ---- the box itself ---- */

static const struct {
	uint8_t src[4], dst[4], back[4]; /* back: source of the reply */
	bool local;
} ends[] = {
	{ { 192, 0, 2, 9 }, { 10, 0, 0, 2 }, { 10, 0, 0, 2 }, true },        /* to an address of its own */
	{ { 192, 0, 2, 9 }, { 198, 51, 100, 7 }, { 10, 0, 0, 2 }, true },    /* translated to it */
	{ { 10, 0, 0, 2 }, { 198, 51, 100, 7 }, { 198, 51, 100, 7 }, true }, /* from it */
	{ { 192, 0, 2, 9 }, { 203, 0, 113, 1 }, { 203, 0, 113, 1 }, true },  /* to a virtual address */
	{ { 192, 0, 2, 9 }, { 127, 0, 0, 1 }, { 127, 0, 0, 1 }, true },      /* loopback */
	{ { 192, 0, 2, 9 }, { 224, 0, 0, 18 }, { 224, 0, 0, 18 }, true },    /* delivered here, too */
	{ { 192, 0, 2, 9 }, { 255, 255, 255, 255 }, { 255, 255, 255, 255 }, true },
	{ { 192, 0, 2, 9 }, { 198, 51, 100, 7 }, { 198, 51, 100, 7 }, false },
};

static struct ct_entry between(unsigned i)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);

	memcpy(e.orig.src, ends[i].src, 4);
	memcpy(e.orig.dst, ends[i].dst, 4);
	memcpy(e.reply.src, ends[i].back, 4);
	memcpy(e.reply.dst, ends[i].src, 4);
	if (memcmp(ends[i].dst, ends[i].back, 4) != 0)
		e.status |= CT_ST_DST_NAT | CT_ST_DST_NAT_DONE;
	return e;
}

START_TEST(no_session_of_the_box_itself_is_injected)
{
	static const enum sync_rec_type types[] = { SYNC_REC_SESSION, SYNC_REC_CLAIM, SYNC_REC_CURRENT };
	struct ct_entry e = between((unsigned)_i % 8);
	struct sync_rec rec = forged(types[_i / 8], &e, 77);

	hear(&rec);
	ck_assert((rig_find(&r->n[B], &e.orig) == NULL) == ends[_i % 8].local);
	ck_assert_uint_eq(s->stats.refused_local, ends[_i % 8].local);
	ck_assert_uint_eq(s->rejected[SYNC_REJ_LOCAL], ends[_i % 8].local);
	if (ends[_i % 8].local)
		ck_assert_uint_eq(r->n[B].ops[CT_OP_CREATE], 0);
}
END_TEST

/* An ordinary flow first; then a record of the same flow that has it answered by the box. */
START_TEST(a_known_flow_does_not_become_one)
{
	struct ct_entry good = between(7), bad = between(1);

	say(&good, 77);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &good.orig));
	say(&bad, 77);
	settle();
	struct rig_entry *k = rig_find(&r->n[B], &good.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert_mem_eq(k->e.reply.src, good.reply.src, 4);
	ck_assert_uint_eq(s->stats.refused_local, 1);
	/* Nor one of this node's own. */
	struct ct_entry own = rig_flow(9, IPPROTO_TCP, false);
	rig_open(r, B, &own);
	settle();
	bad = own;
	memcpy(bad.reply.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	struct sync_rec rec = forged(SYNC_REC_CLAIM, &bad, 78);
	rec.version.claim = 9;
	hear(&rec);
	ck_assert_mem_eq(rig_find(&r->n[B], &own.orig)->e.reply.src, own.reply.src, 4);
	ck_assert(rig_view(r, B, &own).err == 0);
	ck_assert_uint_eq(s->stats.refused_local, 2);
}
END_TEST

START_TEST(half_a_session_is_none)
{
	struct ct_entry e = rig_flow(3, IPPROTO_UDP, false);

	e.has &= ~(uint32_t)(_i ? CT_HAS_REPLY : CT_HAS_STATUS);
	say(&e, 5);
	ck_assert(!rig_known(r, B, &e));
	ck_assert_uint_eq(s->stats.refused_range, 1);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_CREATE], 0);
}
END_TEST

/* ---- room ---- */

static void small(void)
{
	r = rig_new();
	for (unsigned i = 0; i < 2; i++)
		r->conf[i].entries_max = 64;
	/* The table is as large as the configuration said when it was made. */
	r->n[B].s->tbl.limit = 64;
	s = r->n[B].s;
	rig_authority(r, A, 5, true);
	rig_up(r);
	rig_run(r, NS_PER_SEC);
}

START_TEST(a_peer_leaves_room_for_own_sessions)
{
	for (unsigned i = 0; i < 70; i++) {
		struct ct_entry e = rig_flow((uint16_t)(100 + i), IPPROTO_TCP, false);
		rig_open(r, A, &e);
	}
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert_uint_eq(sess_count(&s->tbl), 60);
	ck_assert_uint_ge(s->stats.refused_full, 10);
	ck_assert_uint_ge(s->rejected[SYNC_REJ_PEER_FULL], 10);
	ck_assert_uint_ge(r->n[A].s->peer_rejected[SYNC_REJ_PEER_FULL], 10);
	/* What it opens itself is followed. */
	for (unsigned i = 0; i < 4; i++) {
		struct ct_entry e = rig_flow((uint16_t)(300 + i), IPPROTO_UDP, false);
		memcpy(e.orig.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
		memcpy(e.reply.dst, e.orig.src, 4);
		rig_open(r, B, &e);
		ck_assert(rig_known(r, B, &e));
	}
	/* The owner names those that are missing, each with its reason. */
	unsigned told = 0;
	for (unsigned i = 0; i < 70; i++) {
		struct ct_entry e = rig_flow((uint16_t)(100 + i), IPPROTO_TCP, false);
		struct sync_view v = rig_view(r, A, &e);
		told += v.why == SYNC_WHY_FAILED && v.reject == SYNC_REJ_PEER_FULL;
	}
	ck_assert_uint_eq(told, 10);
}
END_TEST

START_TEST(a_quota_for_each_peer)
{
	r->conf[B].peer_max = 20;
	for (unsigned i = 0; i < 30; i++) {
		struct ct_entry e = rig_flow((uint16_t)(100 + i), IPPROTO_TCP, false);
		rig_open(r, A, &e);
		settle();
	}
	ck_assert_uint_eq(sess_count(&s->tbl), 20);
	ck_assert_uint_eq(r->n[B].n, 20);
	/* Room again: the repair after the next comparison brings them, and nothing is left marked. */
	r->conf[B].peer_max = 0;
	rig_idle(r, 100 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 30);
	for (unsigned i = 0; i < 30; i++) {
		struct ct_entry e = rig_flow((uint16_t)(100 + i), IPPROTO_TCP, false);
		ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_NONE);
	}
	ck_assert(rig_equal(r));
}
END_TEST

/* Sessions of the box itself, told by a peer that reads no answer: each answer waits in a record, and there is an end. */
START_TEST(answers_that_nobody_reads_leave_room)
{
	r->n[A].cut = true;
	for (unsigned i = 0; i < 200; i++) {
		struct ct_entry e = between(0);
		e.orig.sport = e.reply.dport = (uint16_t)(1000 + i);
		struct sync_rec rec = forged(SYNC_REC_SESSION, &e, 100 + i);
		sync_on_record(s, 1, &rec, r->now);
	}
	ck_assert_uint_eq(sess_count(&s->tbl), 60);
	ck_assert_uint_eq(s->stats.refused_local, 200);
	ck_assert_uint_eq(s->rejected[SYNC_REJ_PEER_FULL], 140);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_CREATE], 0);
}
END_TEST

/* Handles far apart would cost a page each: there are so many pages, and the sessions are kept all the same. */
START_TEST(handles_far_apart_cost_little)
{
	struct sync_peer *p = sync_peer_node(s, 1);
	uint32_t pages = limit_handle_pages(&r->conf[B]);

	ck_assert_uint_le(pages, 10000 / 256 + 64);
	unsigned kept = 0;
	for (uint32_t i = 0; i < 500; i++)
		kept += handle_set(&p->handles, i * 8000009u, 1);
	ck_assert_uint_lt(kept, pages);
	struct ct_entry e = rig_flow(4, IPPROTO_TCP, false);
	uint64_t before = s->stats.refused_full;
	say(&e, 0xfffffff0);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(s->stats.refused_full, before + 1);
	handles_free(&p->handles);
}
END_TEST

/* Handles that nobody knows: a few questions wait, whatever the number of records. */
START_TEST(unknown_handles_are_asked_for_a_few_at_a_time)
{
	struct sync_peer *p = sync_peer_node(s, 1);
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);
	struct sync_rec rec = forged(SYNC_REC_SESSION, &e, 0);

	rec.full = false;
	rec.e.has = CT_HAS_STATUS;
	for (uint32_t i = 0; i < 1000; i++) {
		rec.handle = 5000 + i;
		sync_on_record(s, 1, &rec, r->now);
	}
	ck_assert_uint_eq(s->stats.rx_unknown, 1000);
	ck_assert_uint_eq(p->n_unknown, SYNC_UNKNOWN_MAX);
	ck_assert_uint_eq(sess_count(&s->tbl), 0);
	settle();
}
END_TEST

/* Repairs are asked for without end: one a second is served. */
START_TEST(repairs_are_served_once_a_second)
{
	struct sync_rec rec;
	uint64_t bulks = s->stats.bulks;

	for (unsigned i = 0; i < 50; i++) {
		struct ct_entry e = rig_flow((uint16_t)(200 + i), IPPROTO_TCP, false);
		rig_open(r, B, &e);
	}
	rig_run(r, 100 * NS_PER_MS);
	memset(&rec, 0, sizeof(rec));
	rec.type = SYNC_REC_DIGEST_BUCKETS;
	rec.owner = 1;
	rec.epoch = (struct epoch){ 5, 1 };
	rec.n = SYNC_BUCKETS_PER_REC;
	for (unsigned i = 0; i < 100; i++)
		for (rec.first = 0; rec.first < SYNC_BUCKETS; rec.first = (uint16_t)(rec.first + rec.n)) {
			rec.seq = ++seq;
			sync_on_record(s, 1, &rec, r->now);
			if (rec.first == 0)
				rig_run(r, 10 * NS_PER_MS);
		}
	ck_assert_uint_ge(s->stats.bulks - bulks, 1);
	ck_assert_uint_le(s->stats.bulks - bulks, 3);
	ck_assert_uint_ge(s->stats.buckets_early, 1000);
}
END_TEST

int main(void)
{
	Suite *su = suite_create("sync_limit");
	TCase *t = tcase_create("peer"), *m = tcase_create("room");

	tcase_add_checked_fixture(t, setup, rig_pair_teardown);
	tcase_add_loop_test(t, no_session_of_the_box_itself_is_injected, 0, 24);
	tcase_add_test(t, a_known_flow_does_not_become_one);
	tcase_add_loop_test(t, half_a_session_is_none, 0, 2);
	tcase_add_test(t, handles_far_apart_cost_little);
	tcase_add_test(t, unknown_handles_are_asked_for_a_few_at_a_time);
	tcase_add_test(t, repairs_are_served_once_a_second);
	suite_add_tcase(su, t);
	tcase_add_checked_fixture(m, small, rig_pair_teardown);
	tcase_add_test(m, a_peer_leaves_room_for_own_sessions);
	tcase_add_test(m, a_quota_for_each_peer);
	tcase_add_test(m, answers_that_nobody_reads_leave_room);
	suite_add_tcase(su, m);
	return unit_run(su);
}
