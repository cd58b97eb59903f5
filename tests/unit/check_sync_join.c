/* Joining, acknowledging, and finding out what differs. */
#include "tests/unit/rig_pair.h"

/* ---- join, ack, digests ---- */

START_TEST(test_join_sends_all_and_acks)
{
	struct sync_state st;

	rig_down(r);
	for (uint16_t i = 0; i < 1500; i++) {
		struct ct_entry e = rig_flow((uint16_t)(4000 + i), i % 2 ? IPPROTO_TCP : IPPROTO_UDP, i % 3 == 0);
		rig_open(r, A, &e);
	}
	rig_up(r);
	r->n[B].no_ops = true;
	rig_run(r, 100 * NS_PER_MS);
	sync_state_get(r->n[A].s, &st);
	ck_assert(!st.peer_has_all);
	r->n[B].no_ops = false;
	rig_run(r, 500 * NS_PER_MS);
	sync_state_get(r->n[A].s, &st);
	ck_assert(st.peer_has_all && st.have_all && st.data_up);
	ck_assert_uint_eq(st.own, 1500);
	ck_assert_uint_eq(r->n[B].n, 1500);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_bulk_is_paced_and_live_overtakes)
{
	rig_down(r);
	r->conf[B].bulk_rate = 1000;
	for (uint16_t i = 0; i < 1200; i++) {
		struct ct_entry e = rig_flow((uint16_t)(4000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	r->n[B].s->bulk_credit = 0;
	rig_up(r);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_uint_lt(r->n[B].n, 1200);
	struct ct_entry live = rig_flow(7777, IPPROTO_TCP, true);
	rig_open(r, A, &live);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &live.orig));
	ck_assert_uint_lt(r->n[B].n, 1200);
	/* NAT counts one and a half times: 667 a second. */
	unsigned before = r->n[B].n;
	rig_run(r, NS_PER_SEC);
	ck_assert_uint_ge(r->n[B].n, before + 560);
	ck_assert_uint_le(r->n[B].n, before + 770);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 1201);
}
END_TEST

START_TEST(test_rejoin_removes_what_ended_unheard)
{
	struct ct_entry e[50];
	struct rig_entry *k[50];

	for (uint16_t i = 0; i < 50; i++) {
		e[i] = rig_flow((uint16_t)(5000 + i), IPPROTO_TCP, true);
		k[i] = rig_open(r, A, &e[i]);
	}
	rig_run(r, 100 * NS_PER_MS);
	rig_down(r);
	rig_run(r, 100 * NS_PER_MS);
	for (unsigned i = 0; i < 20; i++) {
		k[i]->e.tcp_state = CT_TCP_CLOSE;
		rig_remove(r, A, k[i], 0);
	}
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].n, 50);
	rig_up(r);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 30);
	ck_assert_uint_eq(r->n[B].s->stats.extra, 20);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_receiver_restart)
{
	for (uint16_t i = 0; i < 50; i++) {
		struct ct_entry e = rig_flow((uint16_t)(5000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	rig_run(r, 100 * NS_PER_MS);
	rig_down(r);
	rig_boot(r, B);
	rig_run(r, 100 * NS_PER_MS);
	/* Its kernel kept the copies: nobody's until the owner speaks. */
	struct ct_entry e = rig_flow(5000, IPPROTO_TCP, true);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_ORPHAN);
	rig_up(r);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	ck_assert(!rig_view(r, B, &e).mine);
	ck_assert_uint_eq(r->n[B].n, 50);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_SESSION], 0);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_owner_restart)
{
	struct sync_state st;

	for (uint16_t i = 0; i < 50; i++) {
		struct ct_entry e = rig_flow((uint16_t)(5000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	rig_run(r, 100 * NS_PER_MS);
	rig_down(r);
	rig_boot(r, A);
	rig_run(r, 100 * NS_PER_MS);
	rig_authority(r, A, 6, true);
	rig_run(r, 100 * NS_PER_MS);
	rig_up(r);
	rig_run(r, 3 * NS_PER_SEC);
	sync_state_get(r->n[A].s, &st);
	ck_assert_uint_eq(st.own, 50);
	ck_assert_uint_eq(r->n[B].n, 50);
	ck_assert_uint_eq(r->n[B].s->stats.extra, 0);
	ck_assert(rig_equal(r));
}
END_TEST

/* Both sides' records disagree although every record was applied: found and repaired. */
START_TEST(test_digest_repairs_a_missing_copy)
{
	struct ct_entry e = rig_flow(70, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	/* The copy's record vanishes at B behind everybody's back. */
	struct sync_rec rec = r->n[A].last[SYNC_REC_SESSION];
	rec.type = SYNC_REC_DELETE;
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_ge(r->n[B].s->stats.digests_differ, 1);
	ck_assert_uint_eq(r->n[A].s->stats.buckets_resent, 1);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_digest_repairs_an_extra_copy)
{
	struct ct_entry e = rig_flow(71, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	/* A record nobody sent: same owner, another flow. */
	struct sync_rec rec = r->n[A].last[SYNC_REC_SESSION];
	rec.e.orig.sport = rec.e.reply.dport = 72;
	rec.e.reply.dport = 30072;
	rec.handle = 9999;
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].n, 2);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 1);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_digest_finds_a_different_state)
{
	struct ct_entry e = rig_flow(73, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	struct sync_rec rec = r->n[A].last[SYNC_REC_SESSION];
	rec.e.status &= ~(uint32_t)CT_ST_ASSURED;
	rec.e.mark = 12;
	rec.e.has |= CT_HAS_MARK;
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(rig_view(r, B, &e).e.mark, 0);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_unknown_handle_is_asked_for)
{
	struct ct_entry e = rig_flow(74, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 100 * NS_PER_MS);
	{
		/* B forgets the names of this stream. */
		struct sync_handles *h = &r->n[B].s->peers[1].handles;
		slab_free_all(&h->pages);
		memset(h->top, 0, sizeof(h->top));
	}
	e.tcp_state = k->e.tcp_state = CT_TCP_FIN_WAIT;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_WANT], 1);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.tcp_state, CT_TCP_FIN_WAIT);
}
END_TEST

static void moves_to(unsigned i, uint64_t counter)
{
	rig_authority(r, i, counter, true);
	rig_authority(r, i == A ? B : A, counter, false);
	rig_run(r, 100 * NS_PER_MS);
}

/* B is told by a name that it knows. */
static void closes_at_a(const struct ct_entry *e)
{
	struct rig_entry *k = rig_find(&r->n[A], &e->orig);

	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].s->stats.rx_unknown, 0);
	ck_assert_ptr_null(rig_find(&r->n[B], &e->orig));
}

/* Told in one stream, given away by a floor, and back after as many streams as there are numbers for them. */
START_TEST(test_name_of_a_stream_long_ago)
{
	struct ct_entry e = rig_flow(75, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	moves_to(B, 6);
	ck_assert(rig_view(r, B, &e).mine && !rig_view(r, A, &e).mine);
	for (unsigned i = 0; i < 3; i++) {
		rig_down(r);
		rig_up(r);
		rig_run(r, 100 * NS_PER_MS);
	}
	moves_to(A, 7);
	closes_at_a(&e);
}
END_TEST

/* B forgets the flow while it is its own, finds it again, and has given the record's place to another one meanwhile. */
START_TEST(test_name_of_a_record_long_gone)
{
	struct ct_entry e = rig_flow(76, IPPROTO_TCP, true), other = rig_flow(77, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	moves_to(B, 6);
	flow_drop(r->n[B].s, flow_find(r->n[B].s, &e.orig), false);
	rig_open(r, B, &other);
	rig_event(r, B, CT_EV_NEW, 0, &e);
	rig_run(r, 100 * NS_PER_MS);
	moves_to(A, 7);
	closes_at_a(&e);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &other.orig));
}
END_TEST

START_TEST(test_reconnect_storm)
{
	for (uint16_t i = 0; i < 300; i++) {
		struct ct_entry e = rig_flow((uint16_t)(6000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
		if (i % 10 == 0) {
			rig_down(r);
			rig_up(r);
			rig_step(r);
		}
	}
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 300);
	ck_assert(rig_equal(r));
}
END_TEST

/* ---- whatever comes ---- */

static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static struct ct_entry any_entry(void)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE };
	struct ct_entry e = rig_flow((uint16_t)rnd(40), protos[rnd(8) < 6 ? rnd(2) : rnd(4)], rnd(2));

	e.tcp_state = (uint8_t)rnd(10);
	e.mark = rnd(3);
	e.has |= rnd(2) ? CT_HAS_MARK : 0;
	e.status &= rnd(4) ? UINT32_MAX : ~(uint32_t)(CT_ST_SEEN_REPLY | CT_ST_SRC_NAT);
	e.has &= rnd(8) ? UINT32_MAX : ~(uint32_t)(CT_HAS_TCP | CT_HAS_TCP_WIN | CT_HAS_REPLY);
	e.timeout_s = rnd(4) ? rnd(500) : rnd(UINT32_MAX);
	if (rnd(10) == 0)
		memcpy(e.orig.src, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	if (rnd(20) == 0)
		e.orig.l3 = e.reply.l3 = (uint8_t)rnd(8);
	if (rnd(20) == 0) {
		e.has |= CT_HAS_MASTER | CT_HAS_HELPER;
		e.master = e.orig;
		strcpy(e.helper, "ftp");
	}
	return e;
}

static void any_record(struct sync_rec *rec)
{
	memset(rec, 0, sizeof(*rec));
	rec->type = (enum sync_rec_type)(1 + rnd(13));
	rec->owner = 1 + rnd(10) / 9;
	rec->epoch = (struct epoch){ rnd(12), 1 + rnd(2) };
	rec->seq = rnd(1000);
	rec->version = (struct flow_version){ { rnd(50) ? rnd(12) : UINT64_MAX, rnd(3) },
					      rnd(50) ? rnd(3) : UINT32_MAX,
					      rnd(10) ? 1 : rnd(4) };
	rec->full = rnd(4);
	rec->handle = rnd(50) ? rnd(60) : rnd(UINT32_MAX);
	rec->check = rnd(2);
	rec->bulk = rnd(2);
	rec->e = any_entry();
	rec->count = rnd(5);
	rec->ack_seq = rnd(2000);
	rec->refused = rnd(5);
	rec->digest_seq = rnd(5);
	rec->equal = rnd(2);
	rec->err = (uint8_t)rnd(256);
	memset(rec->mask, rnd(2) ? 0xff : (int)rnd(256), sizeof(rec->mask));
	rec->first = (uint16_t)(rnd(4) ? rnd(SYNC_BUCKETS) : rnd(65536));
	rec->n = (uint16_t)rnd(65536);
}

static void any_command(struct sync *s)
{
	struct epoch e = { rnd(12), 1 + rnd(2) };
	struct sync_authority a = { e, rnd(2), rnd(2) };
	uint8_t key[16] = { (uint8_t)rnd(3) };

	switch (rnd(10)) {
	case 0:
		sync_fence(s, e, r->now);
		break;
	case 1:
		sync_authority(s, &a, r->now);
		break;
	case 2:
		sync_flush_begin(s, r->now);
		break;
	case 3:
	case 4:
		sync_stable(s, r->now);
		break;
	case 5:
		sync_peer_down(s, 1, r->now);
		break;
	case 6:
		sync_peer_up(s, 1, 1, key, r->now);
		break;
	case 7:
		sync_demoting(s, r->now);
		break;
	case 8:
		sync_net_lost(s, r->now);
		break;
	case 9:
		sync_on_overrun(s, r->now);
		break;
	}
}

/* Any record, event, result and command in any order: nothing breaks, all books stay in order. */
START_TEST(test_whatever_comes)
{
	struct sync *s = r->n[B].s;
	struct sync_rec *rec = malloc(sizeof(*rec));
	struct ct_op ops[16];

	seed = (uint32_t)_i * 7919 + 1;
	for (unsigned step = 0; step < 20000; step++) {
		struct ct_event ev = { (enum ct_event_type)rnd(4),
				       rnd(3)   ? 0
				       : rnd(2) ? TOOL_PORT
						: RIG_PORT(B),
				       any_entry() };
		switch (rnd(8)) {
		case 0:
		case 1:
			if (ev.e.orig.l3 != 4 && ev.e.orig.l3 != 6)
				break;
			sync_on_ct_event(s, &ev, r->now);
			break;
		case 2:
		case 3:
			any_record(rec);
			sync_on_record(s, 1, rec, r->now);
			break;
		case 4:
			for (unsigned n = rnd(20); n > 0 && sync_pull_rec(s, 1, rec, r->now); n--)
				ck_assert_uint_eq(rec->owner, 2);
			break;
		case 5: {
			static const int errs[] = { 0, 0, 0, -ENOENT, -EEXIST, -ENOMEM, -EINVAL, -ENOBUFS, -1004 };
			unsigned n = sync_pull_ops(s, ops, rnd(17), r->now);
			for (unsigned i = 0; i < n; i++)
				sync_on_op_result(s, ops[i].cookie, errs[rnd(9)], r->now);
			sync_on_op_result(s, rnd(100), 0, r->now);
			break;
		}
		case 6:
			sync_tick(s, r->now);
			r->now = mono_add(r->now, (int64_t)rnd(400) * NS_PER_MS);
			break;
		case 7:
			if (rnd(8) == 0)
				any_command(s);
			else if (rnd(4) == 0 && sync_sweep_wanted(s, r->now))
				sync_sweep_begin(s, r->now);
			else if (s->sweeping && rnd(4) == 0)
				sync_sweep_end(s, rnd(2), r->now);
			else if (ev.e.orig.l3 == 4)
				sync_on_sweep_entry(s, &ev.e, r->now);
			break;
		}
		if (step % 512 == 0)
			rig_check(s);
		(void)sync_deadline(s, r->now);
	}
	rig_check(s);
	ck_assert_uint_le(sess_count(&s->tbl), 40 * 16);
	free(rec);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two cores");

	tcase_add_test(t, test_join_sends_all_and_acks);
	tcase_add_test(t, test_bulk_is_paced_and_live_overtakes);
	tcase_add_test(t, test_rejoin_removes_what_ended_unheard);
	tcase_add_test(t, test_receiver_restart);
	tcase_add_test(t, test_owner_restart);
	tcase_add_test(t, test_digest_repairs_a_missing_copy);
	tcase_add_test(t, test_digest_repairs_an_extra_copy);
	tcase_add_test(t, test_digest_finds_a_different_state);
	tcase_add_test(t, test_unknown_handle_is_asked_for);
	tcase_add_test(t, test_name_of_a_stream_long_ago);
	tcase_add_test(t, test_name_of_a_record_long_gone);
	tcase_add_test(t, test_reconnect_storm);
	tcase_add_loop_test(t, test_whatever_comes, 0, 10);
	return rig_pair_run("sync_join", t, rig_pair_setup);
}
