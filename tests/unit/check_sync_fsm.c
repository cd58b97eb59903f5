/* One node tells, the other keeps: records, kernel operations, refusals, sweep, commands. */
#include "tests/unit/rig_pair.h"

/* ---- create, update, delete ---- */

START_TEST(test_create_live)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq(k->e.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_uint_eq(k->e.tcp_flags[0], 0x3 | CT_TCP_BE_LIBERAL);
	ck_assert_uint_eq(k->e.tcp_wscale[1], 7);
	ck_assert_uint_le(rig_left(r, k), 300);
	ck_assert_uint_ge(rig_left(r, k), 298);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_SYNCED);
	ck_assert(rig_view(r, A, &e).mine && !rig_view(r, B, &e).mine);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_nat_goes_at_once)
{
	struct ct_entry e = rig_flow(2, IPPROTO_TCP, true);

	e.tcp_state = CT_TCP_SYN_SENT;
	e.status &= ~(uint32_t)(CT_ST_SEEN_REPLY | CT_ST_ASSURED);
	e.timeout_s = 120;
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert(memcmp(&k->e.reply, &e.reply, sizeof(e.reply)) == 0);
	ck_assert_uint_eq(k->e.status & (CT_ST_SRC_NAT | CT_ST_DST_NAT), CT_ST_SRC_NAT);
	/* A short state: what is left and a little. */
	ck_assert_uint_ge(rig_left(r, k), 120);
	ck_assert_uint_le(rig_left(r, k), 123);
}
END_TEST

START_TEST(test_pending_until_established)
{
	struct ct_entry e = rig_flow(3, IPPROTO_TCP, false), u;

	e.tcp_state = CT_TCP_SYN_SENT;
	e.status = CT_ST_CONFIRMED;
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_HALF_OPEN);
	/* A delta without flags and scales must not lose those of the first event. */
	u = e;
	u.tcp_state = CT_TCP_ESTABLISHED;
	u.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED;
	u.has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_TCP;
	rig_event(r, A, CT_EV_UPDATE, 0, &u);
	rig_run(r, 50 * NS_PER_MS);
	struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq(k->e.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_uint_eq(k->e.tcp_wscale[0], 7);
}
END_TEST

START_TEST(test_update_by_handle)
{
	struct ct_entry e = rig_flow(4, IPPROTO_TCP, true);

	struct rig_entry *k = rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	e.tcp_state = k->e.tcp_state = CT_TCP_FIN_WAIT;
	e.mark = k->e.mark = 9;
	e.has |= CT_HAS_MARK;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(!r->n[A].last[SYNC_REC_SESSION].full);
	ck_assert_uint_eq(r->n[A].last[SYNC_REC_SESSION].e.orig.l3, 0);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.tcp_state, CT_TCP_FIN_WAIT);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.mark, 9);
	/* Nothing that travels changed: nothing is sent. */
	unsigned sent = r->n[A].sent[SYNC_REC_SESSION];
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], sent);
}
END_TEST

START_TEST(test_delete)
{
	struct ct_entry e = rig_flow(5, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	k->e.tcp_state = CT_TCP_TIME_WAIT;
	rig_remove(r, A, k, 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert(!rig_known(r, A, &e) && !rig_known(r, B, &e));
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE], 1);
	ck_assert_uint_eq(r->n[B].s->stats.rx_deleted, 1);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_tool_delete_is_a_delete)
{
	struct ct_entry e = rig_flow(6, IPPROTO_UDP, false);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, A, k, TOOL_PORT);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE], 1);
}
END_TEST

START_TEST(test_create_delete_cancel)
{
	unsigned sent = r->n[A].sent[SYNC_REC_SESSION];

	for (uint16_t i = 0; i < 100; i++) {
		struct ct_entry e = rig_flow((uint16_t)(100 + i), IPPROTO_UDP, false);
		rig_remove(r, A, rig_open(r, A, &e), TOOL_PORT);
	}
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], sent);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE], 0);
	ck_assert_uint_eq(r->n[A].s->stats.cancelled, 100);
	ck_assert_uint_eq(sess_count(&r->n[A].s->tbl), 0);
}
END_TEST

START_TEST(test_newest_state_only)
{
	struct ct_entry e = rig_flow(7, IPPROTO_TCP, false);

	r->n[A].cut = true;
	rig_open(r, A, &e);
	for (uint8_t st = CT_TCP_FIN_WAIT; st <= CT_TCP_CLOSE_WAIT; st++) {
		e.tcp_state = st;
		rig_event(r, A, CT_EV_UPDATE, 0, &e);
	}
	struct sync_state state;
	sync_state_get(r->n[A].s, &state);
	ck_assert_uint_eq(state.dirty, 1);
	unsigned sent = r->n[A].sent[SYNC_REC_SESSION];
	r->n[A].cut = false;
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], sent + 1);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.tcp_state, CT_TCP_CLOSE_WAIT);
}
END_TEST

/* Port reuse with another mapping: the copy cannot be updated, it is made anew. */
START_TEST(test_reuse_with_other_nat)
{
	struct ct_entry e = rig_flow(8, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	r->n[A].cut = true;
	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	e.reply.dport = 4444;
	rig_open(r, A, &e);
	r->n[A].cut = false;
	rig_run(r, 50 * NS_PER_MS);
	k = rig_find(&r->n[B], &e.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert_uint_eq(k->e.reply.dport, 4444);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_DELETE], 1);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_local_is_counted_never_sent)
{
	struct ct_entry out = rig_flow(9, IPPROTO_TCP, false), in = rig_flow(10, IPPROTO_TCP, false);
	struct sync_state st;

	memcpy(out.orig.src, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(in.orig.dst, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	memcpy(in.reply.src, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	rig_open(r, A, &out);
	rig_open(r, A, &in);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, A, &out).why, SYNC_WHY_LOCAL_ORIGIN);
	ck_assert_int_eq(rig_view(r, A, &in).why, SYNC_WHY_LOCAL_DEST);
	ck_assert_uint_eq(r->n[B].n, 0);
	sync_state_get(r->n[A].s, &st);
	ck_assert_uint_eq(st.own, 0);
}
END_TEST

/* Forwarded by A, but to B's own address: B refuses, A learns why and stops; the tables count as equal. */
START_TEST(test_peer_local)
{
	struct ct_entry e = rig_flow(11, IPPROTO_TCP, false);

	memcpy(e.orig.dst, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	memcpy(e.reply.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	rig_open(r, A, &e);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PEER_LOCAL);
	ck_assert_uint_eq(r->n[B].n, 0);
	ck_assert(!rig_known(r, B, &e));
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_address_added_later)
{
	struct ct_entry e = rig_flow(12, IPPROTO_TCP, false);
	struct addr own[2] = { addr_v4(10, 0, 0, 1), addr_v4(192, 0, 2, 9) };

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	sync_local_addrs(r->n[A].s, own, 2, r->now);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_LOCAL_ORIGIN);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

/* ---- kernel refusals ---- */

START_TEST(test_table_full_is_retried)
{
	struct ct_entry e = rig_flow(80, IPPROTO_TCP, true);

	r->n[B].max = 0;
	rig_open(r, A, &e);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_FAILED);
	ck_assert_int_eq(rig_view(r, B, &e).err, ENOMEM);
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_FAILED);
	ck_assert_int_eq(rig_view(r, A, &e).err, ENOMEM);
	ck_assert_uint_eq(rig_view(r, A, &e).peer, 2);
	ck_assert_uint_eq(r->n[A].s->peers[1].refusing, 1);
	ck_assert_uint_ge(r->n[B].s->stats.op_full, 2);
	ck_assert_uint_le(r->n[B].s->stats.op_full, 3);
	/* Refused entries do not make the tables unequal. */
	ck_assert(rig_equal(r));
	r->n[B].max = 10;
	rig_run(r, 6 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_SYNCED);
	ck_assert_uint_eq(r->n[A].s->peers[1].refusing, 0);
}
END_TEST

START_TEST(test_nat_collision)
{
	struct ct_entry own = rig_flow(81, IPPROTO_TCP, true), e = rig_flow(82, IPPROTO_TCP, true);

	own.reply.dport = e.reply.dport;
	rig_insert(r, B, &own);
	rig_open(r, A, &e);
	rig_run(r, 500 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_FAILED);
	ck_assert_int_eq(rig_view(r, B, &e).err, EEXIST);
	ck_assert_uint_eq(r->n[B].s->stats.op_collision, 1);
	ck_assert_uint_le(r->n[B].ops[CT_OP_CREATE], 3);
	ck_assert_uint_le(r->n[B].ops[CT_OP_UPDATE], 2);
	/* What holds the address at B is of an earlier life: A holds the VIP and does not know it. It gives way. */
	rig_idle(r, 60 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, 1);
	ck_assert_ptr_null(rig_find(&r->n[B], &own.orig));
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_SYNCED);
}
END_TEST

/* The same with traffic at B: it is a living flow and stays. */
START_TEST(test_living_flow_is_no_leftover)
{
	struct ct_entry own = rig_flow(81, IPPROTO_TCP, true);

	rig_insert(r, B, &own);
	for (unsigned i = 0; i < 12; i++) {
		rig_idle(r, 5 * NS_PER_SEC);
		rig_packet(r, B, &own, 432000);
	}
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, 0);
	ck_assert(rig_view(r, B, &own).mine);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &own.orig));
}
END_TEST

/* A session table that is too small cannot be repaired: the attempts become rare. */
START_TEST(test_hopeless_repair_backs_off)
{
	r->n[B].s->tbl.limit = 5;
	for (uint16_t i = 0; i < 10; i++) {
		struct ct_entry e = rig_flow((uint16_t)(90 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	rig_idle(r, 120 * NS_PER_SEC);
	ck_assert(!rig_equal(r));
	ck_assert_uint_ge(r->n[B].s->stats.digests_differ, 30);
	ck_assert_uint_le(r->n[A].s->stats.bulks, 8);
	r->n[B].s->tbl.limit = 100;
	rig_idle(r, 70 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	ck_assert_uint_eq(r->n[B].n, 10);
}
END_TEST

START_TEST(test_existing_entry_is_updated)
{
	struct ct_entry e = rig_flow(83, IPPROTO_TCP, true), here = e;

	here.tcp_state = CT_TCP_SYN_RECV;
	r->n[B].no_sweep = true;
	rig_insert(r, B, &here);
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
}
END_TEST

START_TEST(test_vanished_entry_is_created_again)
{
	struct ct_entry e = rig_flow(84, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	r->n[B].mute_events = true;
	rig_remove(r, B, rig_find(&r->n[B], &e.orig), TOOL_PORT);
	e.tcp_state = k->e.tcp_state = CT_TCP_FIN_WAIT;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(r->n[B].s->stats.op_noent, 1);
}
END_TEST

START_TEST(test_delete_of_nothing_is_success)
{
	struct ct_entry e = rig_flow(85, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	r->n[B].mute_events = true;
	rig_remove(r, B, rig_find(&r->n[B], &e.orig), TOOL_PORT);
	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(!rig_known(r, B, &e));
	ck_assert_uint_eq(r->n[B].s->stats.op_noent, 1);
	ck_assert_uint_eq(r->n[B].s->stats.op_delete_failed, 0);
}
END_TEST

START_TEST(test_related_waits_for_its_master)
{
	struct ct_entry m = rig_flow(86, IPPROTO_TCP, true), e = rig_flow(87, IPPROTO_TCP, true);

	strcpy(m.helper, "ftp");
	m.has |= CT_HAS_HELPER;
	e.master = m.orig;
	e.has |= CT_HAS_MASTER;
	e.status |= CT_ST_EXPECTED;
	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, B, &e).err, ENOENT);
	rig_open(r, A, &m);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_str_eq(rig_find(&r->n[B], &m.orig)->e.helper, "ftp");
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_session_table_full)
{
	r->conf[A].entries_max = 10;
	rig_down(r);
	sync_free(r->n[A].s);
	uint8_t key[16] = { 9 };
	ck_assert_int_eq(sync_init(r->n[A].s, &r->conf[A], 99, key, r->now), 0);
	rig_authority(r, A, 7, true);
	for (uint16_t i = 0; i < 20; i++) {
		struct ct_entry e = rig_flow((uint16_t)(90 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	ck_assert_uint_eq(r->n[A].s->stats.table_full, 10);
	ck_assert_uint_eq(sess_count(&r->n[A].s->tbl), 10);
}
END_TEST

/* ---- sweep ---- */

START_TEST(test_overrun_then_sweep)
{
	struct ct_entry gone = rig_flow(110, IPPROTO_TCP, true), born = rig_flow(111, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &gone);

	rig_run(r, 12 * NS_PER_SEC);
	r->n[A].mute_events = true;
	rig_remove(r, A, k, TOOL_PORT);
	rig_open(r, A, &born);
	r->n[A].mute_events = false;
	ck_assert(!sync_sweep_wanted(r->n[A].s, r->now));
	sync_on_overrun(r->n[A].s, r->now);
	ck_assert(sync_sweep_wanted(r->n[A].s, r->now));
	ck_assert_uint_ge(sync_sweep_rate(r->n[A].s), 20000);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &born.orig));
	ck_assert_ptr_null(rig_find(&r->n[B], &gone.orig));
	ck_assert_uint_eq(r->n[A].s->stats.found, 1);
	ck_assert_uint_eq(r->n[A].s->stats.vanished, 1);
	ck_assert_uint_eq(r->n[A].s->stats.overruns, 1);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_sweep_repairs_a_copy)
{
	struct ct_entry e = rig_flow(112, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	k->e.mark = 99;
	k->e.has |= CT_HAS_MARK;
	rig_idle(r, 25 * NS_PER_SEC);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.mark, 0);
	ck_assert_uint_ge(r->n[B].s->stats.repaired, 1);
	/* NAT lost in the kernel: only a new entry mends that. */
	rig_find(&r->n[B], &e.orig)->e.status &= ~(uint32_t)CT_ST_SRC_NAT;
	rig_idle(r, 25 * NS_PER_SEC);
	ck_assert(rig_find(&r->n[B], &e.orig)->e.status & CT_ST_SRC_NAT);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_DELETE], 1);
}
END_TEST

START_TEST(test_standby_finds_unexplained)
{
	struct ct_entry e = rig_flow(113, IPPROTO_TCP, false);

	rig_idle(r, 70 * NS_PER_SEC);
	ck_assert(!sync_wants_events(r->n[B].s, r->now));
	rig_insert(r, B, &e);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert(sync_wants_events(r->n[B].s, r->now));
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_ORPHAN);
	ck_assert_uint_eq(r->n[B].n, 1);
	/* Traffic: it is ours, role or not. */
	rig_packet(r, B, &e, 1000);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	rig_idle(r, 5 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_incomplete_sweep_proves_nothing)
{
	struct ct_entry e = rig_flow(114, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	r->n[A].no_sweep = true;
	sync_sweep_begin(r->n[A].s, r->now);
	sync_sweep_end(r->n[A].s, false, r->now);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].ops[CT_OP_GET], 0);
	/* A complete one that missed it asks, and the kernel has it. */
	sync_sweep_begin(r->n[A].s, r->now);
	sync_sweep_end(r->n[A].s, true, r->now);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].ops[CT_OP_GET], 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(r->n[A].s->stats.vanished, 0);
}
END_TEST

START_TEST(test_own_events_ignored)
{
	struct ct_entry e = rig_flow(115, IPPROTO_TCP, true);
	struct ct_event ev = { CT_EV_NEW, RIG_PORT(A), e };

	sync_on_ct_event(r->n[A].s, &ev, r->now);
	ck_assert(!rig_known(r, A, &e));
	ck_assert_uint_eq(r->n[A].s->stats.events_own, 1);
}
END_TEST

START_TEST(test_delete_ct)
{
	struct ct_entry e = rig_flow(116, IPPROTO_UDP, false);

	memcpy(e.orig.src, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	rig_open(r, A, &e);
	ck_assert_int_eq(sync_delete_ct(r->n[A].s, &e.orig, r->now), 0);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[A], &e.orig));
	ck_assert(!rig_known(r, A, &e));
	for (unsigned i = 0; i < SYNC_RAW_MAX; i++)
		ck_assert_int_eq(sync_delete_ct(r->n[A].s, &e.orig, r->now), 0);
	ck_assert_int_ne(sync_delete_ct(r->n[A].s, &e.orig, r->now), 0);
}
END_TEST

/* ---- switches ---- */

START_TEST(test_reconf)
{
	struct sync_conf c = r->conf[A];
	struct ct_entry e = rig_flow(120, IPPROTO_UDP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	c.protocols &= ~(1u << SYNC_PROTO_UDP);
	ck_assert_int_eq(sync_reconf(r->n[A].s, &c, r->now), 0);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PROTO_OFF);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	struct sync_conf other = r->conf[A];
	other.self = 2;
	ck_assert_int_ne(sync_reconf(r->n[A].s, &other, r->now), 0);
	other = r->conf[A];
	other.n_nodes = 4;
	other.nodes[1].id = 7;
	other.nodes[2].id = 8;
	other.nodes[3].id = 9;
	ck_assert_int_ne(sync_reconf(r->n[A].s, &other, r->now), 0);
}
END_TEST

START_TEST(test_random_churn)
{
	/* Fixed seed: the same run each time. */
	uint32_t x = 12345;
	struct ct_entry e[64];
	bool open[64] = { false };

	for (uint16_t i = 0; i < 64; i++)
		e[i] = rig_flow((uint16_t)(8000 + i), i % 4 ? IPPROTO_TCP : IPPROTO_UDP, i % 2);
	for (unsigned step = 0; step < 20000; step++) {
		x = x * 1103515245u + 12345u;
		unsigned i = x >> 16 & 63, what = x >> 24 & 7;
		struct rig_entry *k = rig_find(&r->n[A], &e[i].orig);
		if (!k) {
			rig_open(r, A, &e[i]);
			open[i] = true;
		} else if (what < 3) {
			rig_remove(r, A, k, what == 0 ? 0 : TOOL_PORT);
			open[i] = false;
		} else if (what < 6 && e[i].orig.l4 == IPPROTO_TCP) {
			struct ct_entry u = k->e;
			u.mark = k->e.mark = what;
			u.has |= CT_HAS_MARK;
			k->e.has |= CT_HAS_MARK;
			rig_event(r, A, CT_EV_UPDATE, 0, &u);
		} else if (what == 7 && step % 64 == 0) {
			rig_down(r);
			rig_up(r);
		}
		r->n[A].cut = (x >> 8 & 15) < 4;
		r->n[B].no_ops = (x >> 12 & 15) < 4;
		if ((x >> 20 & 3) == 0) {
			r->now = mono_add(r->now, NS_PER_MS);
			rig_step(r);
		}
	}
	r->n[A].cut = r->n[B].no_ops = false;
	rig_idle(r, 30 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	ck_assert_uint_eq(r->n[A].n, r->n[B].n);
	for (unsigned i = 0; i < 64; i++) {
		ck_assert_int_eq(rig_find(&r->n[B], &e[i].orig) != NULL, open[i]);
		if (!open[i])
			continue;
		ck_assert_uint_eq(rig_find(&r->n[B], &e[i].orig)->e.mark, rig_find(&r->n[A], &e[i].orig)->e.mark);
	}
	ck_assert_uint_eq(r->n[A].s->n_dirty, 0);
	for (unsigned q = 1; q < SESS_QUEUES; q++)
		ck_assert_uint_eq(r->n[B].s->queues[q].put, r->n[B].s->queues[q].done);
}
END_TEST

START_TEST(test_view_and_stats)
{
	struct sess_walk w;
	struct sync_view v[8];
	unsigned n = 0, got;

	for (uint16_t i = 0; i < 30; i++) {
		struct ct_entry e = rig_flow((uint16_t)(8500 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	sess_walk_start(&w);
	do {
		got = sync_view(r->n[A].s, &w, v, 8, r->now);
		n += got;
		for (unsigned i = 0; i < got; i++)
			ck_assert_int_eq(v[i].why, SYNC_WHY_QUEUED);
	} while (w.active);
	ck_assert_uint_eq(n, 30);
	for (unsigned i = 0; i < SYNC_STATS_N; i++) {
		ck_assert(sync_stats_name(i)[0] != 0);
		ck_assert(sync_stats_text(i)[0] != 0);
	}
	ck_assert_str_eq(sync_stats_name(SYNC_STATS_N), "");
	ck_assert_str_eq(sync_stats_text(SYNC_STATS_N), "");
	ck_assert_ptr_null(sync_peer_get(r->n[A].s, 1));
	ck_assert_ptr_null(sync_peer_get(r->n[A].s, 3));
	ck_assert_int_eq(sync_peer_up(r->n[A].s, 3, 1, (uint8_t[16]){ 0 }, r->now), -ENOENT);
}
END_TEST

START_TEST(test_deadlines)
{
	struct sync *s = r->n[A].s;
	struct ct_entry e = rig_flow(130, IPPROTO_UDP, false);

	rig_run(r, 12 * NS_PER_SEC);
	ck_assert(mono_before(r->now, sync_deadline(s, r->now)));
	struct rig_entry *k = rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, A, k, 0);
	rig_down(r);
	mono_t d = sync_deadline(s, r->now);
	ck_assert_int_le(d.ns, r->now.ns + 3 * NS_PER_SEC);
	sync_delete_ct(s, &e.orig, r->now);
	ck_assert_int_le(sync_deadline(s, r->now).ns, r->now.ns);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two cores");

	tcase_add_test(t, test_create_live);
	tcase_add_test(t, test_nat_goes_at_once);
	tcase_add_test(t, test_pending_until_established);
	tcase_add_test(t, test_update_by_handle);
	tcase_add_test(t, test_delete);
	tcase_add_test(t, test_tool_delete_is_a_delete);
	tcase_add_test(t, test_create_delete_cancel);
	tcase_add_test(t, test_newest_state_only);
	tcase_add_test(t, test_reuse_with_other_nat);
	tcase_add_test(t, test_local_is_counted_never_sent);
	tcase_add_test(t, test_peer_local);
	tcase_add_test(t, test_address_added_later);
	tcase_add_test(t, test_table_full_is_retried);
	tcase_add_test(t, test_nat_collision);
	tcase_add_test(t, test_living_flow_is_no_leftover);
	tcase_add_test(t, test_hopeless_repair_backs_off);
	tcase_add_test(t, test_existing_entry_is_updated);
	tcase_add_test(t, test_vanished_entry_is_created_again);
	tcase_add_test(t, test_delete_of_nothing_is_success);
	tcase_add_test(t, test_related_waits_for_its_master);
	tcase_add_test(t, test_session_table_full);
	tcase_add_test(t, test_overrun_then_sweep);
	tcase_add_test(t, test_sweep_repairs_a_copy);
	tcase_add_test(t, test_standby_finds_unexplained);
	tcase_add_test(t, test_incomplete_sweep_proves_nothing);
	tcase_add_test(t, test_own_events_ignored);
	tcase_add_test(t, test_delete_ct);
	tcase_add_test(t, test_reconf);
	tcase_add_test(t, test_random_churn);
	tcase_add_test(t, test_view_and_stats);
	tcase_add_test(t, test_deadlines);
	return rig_pair_run("sync_fsm", t, rig_pair_setup);
}
