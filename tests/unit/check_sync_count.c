/* Sessions by protocol and reason on two nodes: every difference is explained; the delay of changes; queries. */
#include <check.h>
#include <stdlib.h>
#include "sync/sync_query.h"
#include "sync/sync_wire.h"
#include "tests/unit/rig_pair.h"

static struct sync_delta_all {
	struct sync_count_delta d[SYNC_PROTO_N];
} look(unsigned i)
{
	struct sync *s = r->n[i].s;
	struct sync_delta_all all;
	mono_t since = r->now;

	sync_count_want(s, since);
	for (unsigned n = 0; n < 200 && !sync_count_done(s, since); n++)
		rig_run(r, 10 * NS_PER_MS);
	ck_assert(sync_count_done(s, since));
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		sync_count_delta(&s->count.last, &s->count.peer[sync_peer_get(s, r->n[!i].id)->slot - 1].got, p,
				 &all.d[p]);
	return all;
}

static void all_explained(const struct sync_delta_all *a)
{
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		ck_assert_msg(a->d[p].unexplained == 0, "protocol %u: %d", p, (int)a->d[p].unexplained);
}

/* What the walk counts is what a look at every session says. */
static void same_as_views(unsigned i)
{
	struct sync *s = r->n[i].s;
	static struct sync_view v[64];
	uint32_t n[SYNC_PROTO_N][SYNC_WHY_N] = { 0 }, absent = 0, counted = 0;
	struct sess_walk w;

	sess_walk_start(&w);
	while (w.active) {
		unsigned k = sync_view(s, &w, v, 64, r->now);
		for (unsigned j = 0; j < k; j++) {
			if (v[j].in_kernel)
				n[sync_proto_of(v[j].e.orig.l4)][v[j].why]++;
			else
				absent++;
		}
	}
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		for (unsigned why = 0; why < SYNC_WHY_N; why++) {
			ck_assert_uint_eq(s->count.last.present[p][why], n[p][why]);
			counted += s->count.last.absent[p][why];
		}
	ck_assert_uint_eq(counted, absent);
}

static struct ct_entry ping(uint16_t id)
{
	struct ct_entry e = rig_flow(id, IPPROTO_ICMP, false);

	memcpy(e.orig.src, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(e.reply.dst, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	e.orig.dport = 8 << 8;
	e.reply.sport = id;
	e.reply.dport = 0;
	e.timeout_s = 3000;
	return e;
}

START_TEST(own_pings_are_explained)
{
	for (uint16_t i = 0; i < 13; i++) {
		struct ct_entry e = rig_flow((uint16_t)(1000 + i), IPPROTO_TCP, i % 2);
		rig_open(r, 0, &e);
	}
	for (uint16_t i = 0; i < 629; i++) {
		struct ct_entry e = ping(i);
		rig_open(r, 0, &e);
	}
	rig_run(r, 2 * NS_PER_SEC);
	struct sync_delta_all a = look(0), b = look(1);
	all_explained(&a);
	all_explained(&b);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].local, 13);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].peer, 13);
	ck_assert_int_eq(a.d[SYNC_PROTO_ICMP].local, 629);
	ck_assert_int_eq(a.d[SYNC_PROTO_ICMP].peer, 0);
	ck_assert_int_eq(a.d[SYNC_PROTO_ICMP].explained, 629);
	ck_assert_int_eq(b.d[SYNC_PROTO_ICMP].delta, -629);
	ck_assert_int_eq(b.d[SYNC_PROTO_ICMP].explained, -629);
	ck_assert_uint_eq(r->n[0].s->count.last.own[SYNC_PROTO_TCP], 13);
	ck_assert_uint_eq(r->n[1].s->count.last.copies[SYNC_PROTO_TCP], 13);
	ck_assert_uint_eq(r->n[0].s->count.last.present[SYNC_PROTO_ICMP][SYNC_WHY_LOCAL_ORIGIN], 629);
	same_as_views(0);
	same_as_views(1);
}
END_TEST

/* Half-open, unanswered, refused by the other kernel, lost there, not written yet: each has its reason. */
START_TEST(every_reason_explains)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);

	e.tcp_state = CT_TCP_SYN_SENT;
	rig_open(r, 0, &e);
	e = rig_flow(2, IPPROTO_UDP, false);
	e.status &= ~(uint32_t)(CT_ST_SEEN_REPLY | CT_ST_ASSURED);
	rig_open(r, 0, &e);
	e = rig_flow(3, IPPROTO_TCP, false);
	e.tcp_state = CT_TCP_CLOSE_WAIT;
	rig_open(r, 0, &e);
	rig_run(r, NS_PER_SEC);
	r->n[1].fail = EINVAL;
	e = rig_flow(4, IPPROTO_SCTP, true);
	rig_open(r, 0, &e);
	rig_run(r, NS_PER_SEC);
	r->n[1].fail = 0;
	struct sync_delta_all a = look(0);
	all_explained(&a);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].delta, 1);
	ck_assert_int_eq(a.d[SYNC_PROTO_UDP].delta, 1);
	ck_assert_int_eq(a.d[SYNC_PROTO_SCTP].delta, 1);
	ck_assert_uint_eq(r->n[0].s->count.last.half_open, 1);
	ck_assert_uint_eq(r->n[0].s->count.last.half_close, 1);
	ck_assert_uint_eq(r->n[0].s->count.last.present[SYNC_PROTO_SCTP][SYNC_WHY_FAILED], 1);
	same_as_views(0);
	/* the other node's injector stands still: what it has not written it says */
	r->n[1].no_ops = true;
	for (uint16_t i = 0; i < 20; i++) {
		e = rig_flow((uint16_t)(100 + i), IPPROTO_TCP, false);
		rig_open(r, 0, &e);
	}
	rig_run(r, 2 * SYNC_COUNT_AGAIN_NS); /* figures of a moment ago would serve */
	a = look(0);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].delta, 21);
	all_explained(&a);
	r->n[1].no_ops = false;
	rig_run(r, 2 * NS_PER_SEC);
	a = look(0);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].delta, 1);
	all_explained(&a);
	same_as_views(1);
}
END_TEST

/* A warm node keeps copies outside of its kernel: they are no difference, and its kernel lacks nothing. */
START_TEST(stored_copies_are_there)
{
	r->conf[1].store = SYNC_STORE_WARM;
	for (uint16_t i = 0; i < 5; i++) {
		struct ct_entry e = rig_flow((uint16_t)(700 + i), IPPROTO_TCP, false);
		rig_open(r, 0, &e);
	}
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[1].n, 0);
	struct sync_delta_all a = look(0), b = look(1);
	all_explained(&a);
	all_explained(&b);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].peer, 5);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].delta, 0);
	ck_assert_uint_eq(r->n[1].s->count.last.stored, 5);
	ck_assert_uint_eq(r->n[1].s->count.last.copies[SYNC_PROTO_TCP], 5);
}
END_TEST

/* A peer that has a session for which nobody has a reason: the rest is shown as such. */
START_TEST(what_nobody_explains_is_shown)
{
	struct ct_entry e = rig_flow(7, IPPROTO_TCP, false);

	rig_open(r, 0, &e);
	rig_run(r, NS_PER_SEC);
	/* it vanishes without an event, and the core believes that it is there */
	r->n[1].mute_events = true;
	rig_remove(r, 1, rig_find(&r->n[1], &e.orig), TOOL_PORT);
	struct sync_delta_all a = look(0);
	ck_assert_int_eq(a.d[SYNC_PROTO_TCP].unexplained, 0);
	struct sync_count_delta d;
	struct sync_peer_counts none = { .at = r->now };
	sync_count_delta(&r->n[0].s->count.last, &none, SYNC_PROTO_TCP, &d);
	ck_assert_int_eq(d.unexplained, 1);
}
END_TEST

/* More reasons than a record has rows: the last row gathers the rest, no session is lost. */
START_TEST(more_reasons_than_rows)
{
	struct sync *s = r->n[0].s;
	struct sync_rec rec = { .type = SYNC_REC_COUNTS };
	uint64_t sum = 0;

	for (unsigned w = 0; w < SYNC_WHY_N; w++)
		s->count.last.present[SYNC_PROTO_TCP][w] = s->count.last.absent[SYNC_PROTO_TCP][w] = 3;
	sync_count_fill(s, &s->peers[1], &rec, r->now);
	ck_assert_uint_eq(rec.counts.proto, SYNC_PROTO_TCP);
	ck_assert_uint_eq(rec.counts.left, SYNC_PROTO_N - 1);
	ck_assert_uint_eq(rec.counts.n_rows, SYNC_COUNT_ROWS);
	for (unsigned i = 0; i < rec.counts.n_rows; i++)
		sum += rec.counts.rows[i].count;
	ck_assert_uint_eq(sum, 2 * 3 * SYNC_WHY_N);
}
END_TEST

START_TEST(asking_too_often)
{
	struct sync *s = r->n[1].s;
	struct sync_rec ask = { .type = SYNC_REC_COUNTS_ASK, .owner = 1, .epoch = r->n[0].s->owner.seen };
	unsigned answers = r->n[1].sent[SYNC_REC_COUNTS];
	unsigned walks = 0;
	mono_t last = s->count.last.at;

	for (unsigned i = 0; i < 1000; i++) {
		ask.seq = ++r->n[0].s->peers[1].tx_seq;
		sync_on_record(s, 1, &ask, r->now);
		r->now = mono_add(r->now, NS_PER_MS);
		rig_step(r);
		walks += s->count.last.at.ns != last.ns;
		last = s->count.last.at;
	}
	ck_assert_uint_ge(walks, 2);
	ck_assert_uint_le(walks, 6);
	ck_assert_uint_gt(r->n[1].sent[SYNC_REC_COUNTS], answers);
}
END_TEST

/* Without an answer the question stays open; after a reconnect it is asked anew. */
START_TEST(no_answer)
{
	struct sync *s = r->n[0].s;
	mono_t since = r->now;

	r->n[1].cut = true;
	sync_count_want(s, since);
	rig_run(r, 500 * NS_PER_MS);
	ck_assert(!sync_count_done(s, since));
	ck_assert_int_gt(s->count.last.at.ns, 0);
	ck_assert_int_eq(s->count.peer[1].got.at.ns, 0);
	rig_down(r);
	ck_assert(sync_count_done(s, since));
	r->n[1].cut = false;
	rig_up(r);
	rig_run(r, NS_PER_SEC);
	struct sync_delta_all a = look(0);
	all_explained(&a);
	/* a peer's nonsense changes nothing */
	struct sync_rec odd = { .type = SYNC_REC_COUNTS, .owner = 2, .epoch = r->n[1].s->owner.seen };
	struct sync_peer_counts before = s->count.peer[1].got;
	odd.seq = ++r->n[1].s->peers[1].tx_seq;
	odd.counts.proto = SYNC_PROTO_N;
	uint64_t refused = s->stats.refused_range;
	sync_on_record(s, 2, &odd, r->now);
	ck_assert_uint_eq(s->stats.refused_range, refused + 1);
	ck_assert_mem_eq(&before, &s->count.peer[1].got, sizeof(before));
}
END_TEST

START_TEST(births_per_second)
{
	struct sync *s = r->n[0].s;

	rig_run(r, 1500 * NS_PER_MS);
	for (uint16_t i = 0; i < 50; i++) {
		struct ct_entry e = rig_flow((uint16_t)(3000 + i), IPPROTO_UDP, false);
		rig_open(r, 0, &e);
		rig_run(r, 20 * NS_PER_MS);
	}
	ck_assert_uint_eq(s->count.born[SYNC_PROTO_UDP], 50);
	rig_run(r, 10 * NS_PER_MS);
	uint64_t first = s->count.rate_milli[SYNC_PROTO_UDP];
	ck_assert_uint_ge(first, 20000);
	ck_assert_uint_le(first, 50000);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(s->count.rate_milli[SYNC_PROTO_UDP], 0);
	ck_assert_uint_eq(s->count.rate_milli[SYNC_PROTO_TCP], 0);
}
END_TEST

/* How long a change waits is never said too low, and nothing waits when all is told. */
START_TEST(lag_of_unsent_changes)
{
	struct sync_peer *p = &r->n[0].s->peers[1];

	ck_assert_int_eq(sync_lag_unsent_ns(p, r->now), 0);
	r->n[0].cut = true; /* the socket is full */
	mono_t born = r->now;
	for (uint16_t i = 0; i < 30; i++) {
		struct ct_entry e = rig_flow((uint16_t)(500 + i), IPPROTO_TCP, false);
		rig_open(r, 0, &e);
		rig_run(r, 100 * NS_PER_MS);
	}
	ck_assert_int_ge(sync_lag_unsent_ns(p, r->now), mono_sub(r->now, born));
	/* the marked one leaves in the midst of the others */
	struct sync_rec *rec = malloc(sizeof(*rec));
	ck_assert(sync_pull_rec(r->n[0].s, 2, rec, r->now));
	ck_assert_uint_ne(p->lag.mark, 0);
	sync_on_record(r->n[1].s, 1, rec, r->now);
	struct ct_entry e = rig_flow(529, IPPROTO_TCP, false);
	rig_remove(r, 0, rig_find(&r->n[0], &e.orig), TOOL_PORT);
	ck_assert_uint_ne(p->lag.mark, 0);
	free(rec);
	r->n[0].cut = false;
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_int_eq(sync_lag_unsent_ns(p, r->now), 0);
	ck_assert_uint_eq(p->lag.mark, 0);
}
END_TEST

START_TEST(delay_until_stored)
{
	struct sync_peer *p = &r->n[0].s->peers[1];

	hist_clear(&p->lag.stored);
	struct ct_entry e = rig_flow(900, IPPROTO_TCP, false);
	rig_open(r, 0, &e);
	r->n[1].cut = true; /* acknowledgements wait */
	rig_run(r, 300 * NS_PER_MS);
	ck_assert_int_ge(sync_lag_unstored_ns(p, r->now), 290 * NS_PER_MS);
	ck_assert_uint_eq(p->lag.stored.count, 0);
	r->n[1].cut = false;
	rig_run(r, 200 * NS_PER_MS);
	ck_assert_uint_eq(p->lag.stored.count, 1);
	ck_assert_int_ge(p->lag.stored.max_ns, 290 * NS_PER_MS);
	ck_assert_int_eq(sync_lag_unstored_ns(p, r->now), 0);
	/* a full ring takes no more, and empties */
	for (uint64_t i = 0; i < 2 * SYNC_LAG_RING; i++)
		sync_lag_sent(&p->lag, 1000000 + i, mono_add(r->now, (int64_t)i * NS_PER_MS));
	ck_assert_uint_eq(p->lag.n, SYNC_LAG_RING);
	sync_lag_sent(&p->lag, 2000000, r->now);
	sync_lag_acked(&p->lag, UINT64_MAX, mono_add(r->now, NS_PER_SEC));
	ck_assert_uint_eq(p->lag.n, 0);
	/* both directions were compared, as of a moment ago */
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(p->equal && p->their_equal);
	ck_assert_int_le(mono_sub(r->now, p->lag.judged_at), 1500 * NS_PER_MS);
}
END_TEST

START_TEST(queries)
{
	struct ct_entry e = rig_flow(1000, IPPROTO_TCP, true);
	struct sync_query q = { 0 };

	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	q.l3 = 6;
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	q.l3 = 4;
	ck_assert(sync_query_prefix("192.0.2.0/24", &q.src, &q.src_len));
	ck_assert(sync_query_prefix("198.51.100.7", &q.dst, &q.dst_len));
	ck_assert(!sync_query_prefix("198.51.100", &q.dst, &q.dst_len));
	ck_assert(sync_query_prefix("198.51.100.7", &q.dst, &q.dst_len));
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	ck_assert(sync_query_prefix("198.51.100.8", &q.dst, &q.dst_len));
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	/* a port of any end: 1000 and 80, translated 11000 */
	static const struct {
		uint16_t port;
		bool match;
	} ports[] = { { 1000, true }, { 80, true }, { 11000, true }, { 81, false } };
	for (unsigned i = 0; i < 4; i++) {
		q = (struct sync_query){ .has_port = true, .port = ports[i].port };
		ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true) == ports[i].match);
	}
	q = (struct sync_query){ .has_mark = true };
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	q.mark = 1;
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	q = (struct sync_query){ .has_zone = true, .zone = 3 };
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	q = (struct sync_query){ .has_state = true };
	ck_assert(sync_query_state("es", &q.state) && q.state == CT_TCP_ESTABLISHED);
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	ck_assert(sync_query_state("Fin_Wait", &q.state) && q.state == CT_TCP_FIN_WAIT);
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	ck_assert(!sync_query_state("open", &q.state));
}
END_TEST

START_TEST(queries_by_protocol_and_side)
{
	struct ct_entry e = rig_flow(1000, IPPROTO_ICMPV6, false);
	struct sync_query q = { .has_protocol = true };
	static const char *const bad[] = { "", "256", "1000", "-1", "tc", "6 ", "0x6" };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!sync_query_protocol(bad[i], &q.protocol), "%s", bad[i]);
	ck_assert(sync_query_protocol("ICMP", &q.protocol) && q.protocol == IPPROTO_ICMP);
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	ck_assert(sync_query_protocol("6", &q.protocol) && q.protocol == IPPROTO_TCP);
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	/* identifiers of ICMP are no ports */
	q = (struct sync_query){ .has_port = true, .port = 1000 };
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	q = (struct sync_query){ .side = SYNC_QUERY_SYNCED };
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_PENDING, true));
	q.side = SYNC_QUERY_UNSYNCED;
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, true));
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_FAILED, true));
	q = (struct sync_query){ .owner = SYNC_QUERY_OWN };
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_PENDING, true));
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SKIPPED, true));
	ck_assert(!sync_query_match(&q, &e, SYNC_DISP_SYNCED, false));
	q.owner = SYNC_QUERY_COPIES;
	ck_assert(sync_query_match(&q, &e, SYNC_DISP_SYNCED, false));
	ck_assert_str_eq(sync_tcp_state_name(CT_TCP_SYN_SENT2), "SYN_SENT2");
	ck_assert_str_eq(sync_tcp_state_code(10), "");
	ck_assert_str_eq(sync_protocol_name(200), "");
	ck_assert_str_eq(sync_protocol_name(IPPROTO_UDPLITE), "udplite");
}
END_TEST

/* One row of figures: what is out of range is named, at every length; the longest record has room. */
START_TEST(counts_drops)
{
	enum { HEAD = 15 };
	static const struct {
		uint8_t row[8];
		uint8_t n;
		enum sync_drop drop;
	} t[] = {
		{ { 0x83, 2, 'a', '-', 0, 0, 0, 1 }, 8, SYNC_OK },
		{ { 4, 0, 0, 0, 0, 1 }, 6, SYNC_DROP_TLV_VALUE },
		{ { 1, 2, 'a', ' ', 0, 0, 0, 1 }, 8, SYNC_DROP_TEXT },
		{ { 1, 2, 'a', 0, 0, 0, 0, 1 }, 8, SYNC_DROP_TEXT },
		{ { 1, 2, 'A', 'b', 0, 0, 0, 1 }, 8, SYNC_DROP_TEXT },
		{ { 1, SYNC_COUNT_WORD, 'a', 'b', 0, 0, 0, 1 }, 8, SYNC_DROP_TEXT },
	};
	struct sync_unpack u;
	struct sync_rec out;
	uint8_t body[4 + HEAD + 8] = { 0, SYNC_REC_COUNTS };
	struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .seq = 1, .body = body };

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		body[4 + HEAD - 1] = 1;
		memcpy(body + 4 + HEAD, t[i].row, t[i].n);
		for (unsigned n = 0; n <= HEAD + (unsigned)t[i].n; n++) {
			body[3] = (uint8_t)n;
			env.len = 4 + n;
			sync_unpack_begin(&u, &env);
			enum sync_drop d = sync_unpack_next(&u, &out, NULL);
			if (n == HEAD + (unsigned)t[i].n)
				ck_assert_msg(d == t[i].drop, "row %u: %s", i, sync_drop_name(d));
			else
				ck_assert_int_ne(d, SYNC_OK);
		}
	}
	body[4 + HEAD - 1] = SYNC_COUNT_ROWS + 1;
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_DROP_TLV_VALUE);
	/* full */
	static uint8_t buf[SYNC_PACK_OBJ_MAX + SYNC_ENV_LEN];
	struct sync_pack p;
	memset(&out, 0, sizeof(out));
	out.type = SYNC_REC_COUNTS;
	out.counts.n_rows = SYNC_COUNT_ROWS;
	for (unsigned i = 0; i < SYNC_COUNT_ROWS; i++)
		memset(out.counts.rows[i].word, 'w', SYNC_COUNT_WORD - 1);
	sync_pack_begin(&p, buf, sizeof(buf));
	ck_assert_int_eq(sync_pack_add(&p, &out), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, own_pings_are_explained);
	tcase_add_test(t, every_reason_explains);
	tcase_add_test(t, stored_copies_are_there);
	tcase_add_test(t, what_nobody_explains_is_shown);
	tcase_add_test(t, more_reasons_than_rows);
	tcase_add_test(t, asking_too_often);
	tcase_add_test(t, no_answer);
	tcase_add_test(t, births_per_second);
	tcase_add_test(t, lag_of_unsent_changes);
	tcase_add_test(t, delay_until_stored);
	tcase_add_test(t, counts_drops);
	tcase_add_test(t, queries);
	tcase_add_test(t, queries_by_protocol_and_side);
	return rig_pair_run("sync_count", t, rig_pair_setup);
}
