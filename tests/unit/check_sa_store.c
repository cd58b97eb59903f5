/* Copies that a standby holds, what the active has told, and bridges in the kernel. */
#include <stdlib.h>
#include "ike-hooks/sa_bridge.h"
#include "ike-hooks/sa_send.h"
#include "ike-hooks/sa_store.h"
#include "tests/unit/sa_util.h"

#define CAP 400

static struct sa_held held[CAP];
static uint16_t order[CAP];
static struct sa_store store;
static struct sa_list list;
static struct sa_want want;

static mono_t at(double s)
{
	return (mono_t){ (int64_t)(s * 1e9) };
}

static void fresh(uint16_t cap)
{
	memset(held, 0, sizeof(held));
	sa_store_init(&store, held, order, cap);
}

static enum sa_drop put(uint32_t node, uint32_t id, uint32_t spi, double now)
{
	struct sa_copy sa = sa_gcm(id, spi);

	return sa_store_put(&store, node, &sa, at(now));
}

/* Every free place is wiped, every used one is in order. */
static void check_places(void)
{
	static const struct sa_held none;

	for (uint16_t i = 0; i < store.cap; i++) {
		const struct sa_held *h = &held[store.order[i]];
		if (i >= store.n)
			ck_assert_mem_eq(h, &none, sizeof(none));
		else if (i > 0) {
			const struct sa_held *b = &held[store.order[i - 1]];
			ck_assert(b->node < h->node || (b->node == h->node && b->sa.id < h->sa.id));
		}
	}
	ck_assert_ptr_null(sa_store_at(&store, store.n));
}

static void begin_list(const char *vip, uint32_t first, uint32_t last)
{
	memset(&list, 0, sizeof(list));
	list.vip = A(vip);
	list.first = first;
	list.last = last;
}

static void name(uint32_t id, uint64_t top)
{
	list.tops[list.n++] = (struct sa_top){ .id = id, .top = top };
}

START_TEST(put_replace_full)
{
	fresh(3);
	ck_assert_int_eq(put(2, 7, 0x70, 1), SA_OK);
	ck_assert_int_eq(put(2, 3, 0x30, 1), SA_OK);
	ck_assert_int_eq(put(1, 9, 0x90, 1), SA_OK);
	check_places();
	ck_assert(sa_store_at(&store, 0)->node == 1 && sa_store_at(&store, 1)->sa.id == 3);
	ck_assert_int_eq(put(2, 8, 0x80, 1), SA_DROP_FULL);
	check_places();
	/* The same number, the same SA, the same SA from another node: the newer word counts. */
	ck_assert_int_eq(put(2, 7, 0x71, 2), SA_OK);
	ck_assert_int_eq(put(2, 11, 0x30, 2), SA_OK);
	ck_assert_int_eq(put(3, 1, 0x90, 2), SA_OK);
	ck_assert(store.n == 3 && store.count.replaced == 3);
	check_places();
	/* What ends within the margin is not kept. */
	struct sa_copy sa = sa_gcm(5, 0x50);
	sa.left_s = SA_MARGIN_S;
	ck_assert_int_eq(sa_store_put(&store, 2, &sa, at(2)), SA_DROP_LIFE);
	sa_store_forget(&store, 2);
	ck_assert(store.n == 1 && sa_store_at(&store, 0)->node == 3);
	check_places();
	sa_store_forget(&store, 0);
	ck_assert_uint_eq(store.n, 0);
	check_places();
}
END_TEST

START_TEST(lists)
{
	fresh(CAP);
	for (uint32_t id = 1; id <= 5; id++)
		ck_assert_int_eq(put(2, id, 0x100 + id, 1), SA_OK);
	ck_assert_int_eq(put(3, 2, 0x200, 1), SA_OK);
	struct sa_copy other = sa_gcm(6, 0x106);
	other.dst = addr_v4(198, 51, 100, 1);
	ck_assert_int_eq(sa_store_put(&store, 2, &other, at(1)), SA_OK);

	/* 2 has a new top, 4 an older one; 1 and 5 are gone; 3 stays as it is; 7 and 9 are missing here. */
	begin_list("203.0.113.1", 0, UINT32_MAX);
	name(2, 0x9999);
	name(3, 0x1234);
	name(4, 1);
	name(7, 1);
	name(9, 1);
	sa_store_list(&store, 2, &list, at(2), &want);
	check_places();
	ck_assert(store.n == 5 && want.n == 2 && want.ids[0] == 7 && want.ids[1] == 9);
	ck_assert(sa_store_at(&store, 0)->sa.id == 2 && sa_store_at(&store, 0)->sa.top == 0x9999);
	ck_assert(sa_store_at(&store, 2)->sa.id == 4 && sa_store_at(&store, 2)->sa.top == 0x1234);
	/* Another address and another node are not touched by it. */
	ck_assert(sa_store_at(&store, 3)->sa.id == 6 && sa_store_at(&store, 4)->node == 3);

	/* A part speaks of its own numbers only. */
	begin_list("203.0.113.1", 3, 3);
	sa_store_list(&store, 2, &list, at(2), &want);
	ck_assert(store.n == 4 && want.n == 0);
	begin_list("203.0.113.1", 0, 2);
	name(1, 0);
	name(2, 0);
	sa_store_list(&store, 2, &list, at(2), &want);
	ck_assert(store.n == 4 && want.n == 1 && want.ids[0] == 1);
	/* Nothing at all. */
	begin_list("203.0.113.1", 0, UINT32_MAX);
	sa_store_list(&store, 2, &list, at(3), &want);
	ck_assert(store.n == 2 && store.count.unlisted == 5);
	check_places();
	/* More is missing than can be asked for at once. */
	fresh(2);
	begin_list("203.0.113.1", 0, UINT32_MAX);
	for (uint32_t id = 1; id <= SA_LIST_TOPS; id++)
		name(id, 1);
	sa_store_list(&store, 2, &list, at(3), &want);
	ck_assert(want.n == SA_WANT_IDS);
}
END_TEST

START_TEST(time_passes)
{
	fresh(4);
	ck_assert_int_eq(put(2, 1, 0x11, 1), SA_OK);
	struct sa_copy sa = sa_gcm(2, 0x12);
	sa.left_s = 30;
	ck_assert_int_eq(sa_store_put(&store, 2, &sa, at(1)), SA_OK);
	sa = sa_gcm(3, 0x13);
	sa.left_s = SA_NO_LIMIT;
	ck_assert_int_eq(sa_store_put(&store, 2, &sa, at(1)), SA_OK);
	ck_assert_uint_eq(sa_store_left(sa_store_at(&store, 1), at(11)), 20);
	ck_assert_uint_eq(sa_store_left(sa_store_at(&store, 2), at(11)), SA_NO_LIMIT);
	ck_assert_uint_eq(sa_store_left(sa_store_at(&store, 0), at(999999)), 0);
	sa_store_tick(&store, at(24.9));
	ck_assert(store.n == 3);
	sa_store_tick(&store, at(26));
	ck_assert(store.n == 2 && store.count.expired == 1);
	check_places();
	/* Only the one that is named goes on; the other one is too old to be trusted. */
	begin_list("203.0.113.1", 3, 3);
	name(3, 5);
	sa_store_list(&store, 2, &list, at(59), &want);
	sa_store_tick(&store, at(60.9));
	ck_assert(store.n == 2);
	sa_store_tick(&store, at(61));
	ck_assert(store.n == 1 && store.count.stale == 1 && sa_store_at(&store, 0)->sa.id == 3);
	struct addr vip = A("203.0.113.1");
	sa_store_forget_vip(&store, &vip);
	ck_assert(store.n == 0);
	check_places();
}
END_TEST

/* Any order of arrival, against a model. */
START_TEST(random_walk)
{
	uint32_t r = 1;
	bool have[2][64] = { { false } };

	fresh(100);
	for (unsigned step = 0; step < 20000; step++) {
		r = r * 1664525u + 1013904223u;
		uint32_t node = 1 + (r >> 20 & 1), id = 1 + (r >> 24 & 31);
		if (r >> 16 & 3) {
			ck_assert_int_eq(put(node, id, node << 16 | id, 1), SA_OK);
			have[node - 1][id] = true;
		} else {
			begin_list("203.0.113.1", 0, UINT32_MAX);
			for (uint32_t i = 1; i < 33; i++)
				if (i != id)
					name(i, 0);
			sa_store_list(&store, node, &list, at(1), &want);
			have[node - 1][id] = false;
			for (unsigned k = 0; k < want.n; k++)
				ck_assert(!have[node - 1][want.ids[k]]);
		}
		unsigned n = 0;
		for (unsigned i = 0; i < 64; i++)
			n += have[0][i] + have[1][i];
		ck_assert_uint_eq(store.n, n);
	}
	check_places();
}
END_TEST

/* ---- sender ---- */

static struct sa_copy copies[2][CAP];
static struct sa_sent sent[2][CAP];
static struct sa_top tops[CAP];
static struct sa_send out;
static uint8_t plain[SA_PLAIN_MAX];

static void sender(void)
{
	out = (struct sa_send){
		.copies = { copies[0], copies[1] }, .sent = { sent[0], sent[1] }, .tops = tops, .cap = CAP
	};
}

static void listing(unsigned n, const uint32_t *spis, uint64_t top)
{
	struct sa_copy *room = sa_send_room(&out);
	static const uint8_t key[SA_PRINT_KEY];
	uint8_t scratch[SA_RECORD_MAX];

	for (unsigned i = 0; i < n; i++) {
		room[i] = sa_gcm(0, spis[i]);
		room[i].top = top;
		sa_fingerprint(&room[i], key, scratch);
	}
	sa_send_take(&out, (uint16_t)n);
}

static unsigned send_all(unsigned peer)
{
	unsigned n = 0, one;

	do {
		struct wire_wr w = wire_wr(plain, sizeof(plain));
		sa_put_head(&w, SA_KIND_COPIES, 1);
		one = sa_send_copies(&out, peer, &w);
		sa_send_sent(&out, peer);
		n += one;
	} while (one);
	return n;
}

START_TEST(only_news_is_sent)
{
	static const uint32_t first[] = { 1, 2, 3 }, second[] = { 2, 3, 4 };

	sender();
	listing(3, first, 10);
	ck_assert(sa_send_lacks(&out, 0) && sa_send_lacks(&out, 1));
	ck_assert_uint_eq(send_all(0), 3);
	ck_assert(!sa_send_lacks(&out, 0) && sa_send_lacks(&out, 1));
	/* Replay windows move all the time: no reason to send keys again. */
	listing(3, first, 11);
	ck_assert(!sa_send_lacks(&out, 0));
	ck_assert(out.copies[out.now][0].top == 11 && out.copies[out.now][0].id == 1);
	listing(3, second, 12);
	ck_assert_uint_eq(send_all(0), 1);
	ck_assert(out.copies[out.now][0].id == 2 && out.copies[out.now][2].id == 4);
	ck_assert(out.count.begun == 4 && out.count.ended == 1);
	ck_assert_uint_eq(send_all(1), 3);
	/* The old listing holds no keys any more. */
	static const struct sa_copy none;
	for (unsigned i = 0; i < CAP; i++)
		ck_assert_mem_eq(&copies[!out.now][i], &none, sizeof(none));
	/* A node that began anew has nothing; one that lacks one asks for it. */
	sa_send_forget(&out, 0);
	ck_assert_uint_eq(send_all(0), 3);
	struct sa_want w = { .n = 2, .ids = { 3, 99 } };
	sa_send_wanted(&out, 1, &w);
	ck_assert(!sa_send_lacks(&out, 0));
	ck_assert_uint_eq(send_all(1), 1);
	/* Changed in place: another number, sent anew. */
	out.copies[out.now][1].fingerprint ^= 1;
	listing(3, second, 13);
	ck_assert_uint_eq(send_all(0), 1);
	ck_assert_uint_eq(out.copies[out.now][1].id, 5);
	sa_send_clear(&out);
	ck_assert(!sa_send_lacks(&out, 0));
	for (unsigned i = 0; i < CAP; i++)
		ck_assert_mem_eq(&copies[out.now][i], &none, sizeof(none));
}
END_TEST

START_TEST(not_sent_is_not_had)
{
	static const uint32_t spis[] = { 1, 2 };
	struct wire_wr w = wire_wr(plain, sizeof(plain));

	sender();
	listing(2, spis, 1);
	ck_assert_uint_eq(sa_send_copies(&out, 0, &w), 2);
	ck_assert(sa_send_lacks(&out, 0)); /* until it was sent */
	/* Only what fits counts. */
	w = wire_wr(plain, 200);
	ck_assert_uint_eq(sa_send_copies(&out, 0, &w), 1);
	sa_send_sent(&out, 0);
	ck_assert_uint_eq(send_all(0), 1);
	/* Nearly over: neither sent nor listed. */
	listing(2, spis, 2);
	out.copies[out.now][0].left_s = SA_MARGIN_S;
	sa_send_forget(&out, 0);
	ck_assert_uint_eq(send_all(0), 1);
	struct addr vip = A("203.0.113.1");
	ck_assert(sa_send_list(&out, &vip, 0, &list) && list.n == 1 && list.tops[0].id == 2);
}
END_TEST

START_TEST(lists_cover_all_numbers)
{
	static uint32_t spis[300];
	struct addr vip = A("203.0.113.1"), other = A("203.0.113.77");
	unsigned n = 0;

	sender();
	for (unsigned i = 0; i < 300; i++)
		spis[i] = i + 1;
	listing(300, spis, 5);
	uint32_t next = 0;
	for (unsigned part = 0; sa_send_list(&out, &vip, part, &list); part++) {
		ck_assert_uint_eq(list.first, next);
		for (unsigned i = 0; i < list.n; i++)
			ck_assert(list.tops[i].id == ++n && list.tops[i].top == 5);
		ck_assert(list.last == UINT32_MAX || list.last == n);
		next = list.last + 1;
	}
	ck_assert(n == 300 && next == 0);
	/* Nothing is something to say. */
	ck_assert(sa_send_list(&out, &other, 0, &list) && list.n == 0 && list.first == 0 && list.last == UINT32_MAX);
	ck_assert(!sa_send_list(&out, &other, 1, &list));
}
END_TEST

/* What the sender says, the store has: both ends together. */
START_TEST(sender_and_store_agree)
{
	static uint32_t spis[CAP];
	struct addr vip = A("203.0.113.1");
	uint32_t r = 7;

	sender();
	fresh(CAP);
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 0;
		for (uint32_t spi = 1; spi < 300; spi++) {
			r = r * 1664525u + 1013904223u;
			if (r >> 30)
				spis[n++] = spi;
		}
		listing(n, spis, round);
		if (round % 5 != 0) { /* the channel loses a round now and then */
			struct wire_wr w;
			unsigned k;
			do {
				w = wire_wr(plain, sizeof(plain));
				k = sa_send_copies(&out, 0, &w);
				struct wire_rd rd = wire_rd(plain, wire_len(&w));
				struct sa_copy sa;
				while (wire_left(&rd) && sa_get_copy(&rd, &sa) == SA_OK)
					(void)sa_store_put(&store, 1, &sa, at(round));
				sa_send_sent(&out, 0);
			} while (k);
		} else {
			(void)send_all(0);
		}
		for (unsigned part = 0; sa_send_list(&out, &vip, part, &list); part++) {
			sa_store_list(&store, 1, &list, at(round), &want);
			sa_send_wanted(&out, 0, &want);
		}
		if (round % 5 == 4) {
			ck_assert_uint_eq(store.n, n);
			for (unsigned i = 0; i < n; i++)
				ck_assert(sa_store_at(&store, (uint16_t)i)->sa.top == round);
		}
	}
	check_places();
}
END_TEST

/* ---- bridges ---- */

static struct sa_bridge places[4];
static struct sa_bridges bridges;

START_TEST(bridge_ends)
{
	struct addr vip = A("203.0.113.1"), elsewhere = A("203.0.113.2");
	struct sa_copy l[3] = { sa_gcm(0, 0x10), sa_gcm(0, 0x20), sa_gcm(0, 0x30) };

	bridges = (struct sa_bridges){ .list = places, .cap = 4 };
	ck_assert(sa_bridge_add(&bridges, &l[0], at(100)) && sa_bridge_add(&bridges, &l[1], at(100)));
	ck_assert(sa_bridge_add(&bridges, &l[1], at(100)) && bridges.n == 2);
	ck_assert(sa_bridge_is(&bridges, &l[1]) && !sa_bridge_is(&bridges, &l[2]) && !sa_bridge_is(NULL, &l[1]));
	l[0].bridge = l[1].bridge = true;
	l[0].packets = l[1].packets = 5; /* their own packets say nothing */
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 3, &vip, 1, at(101)), 0);
	/* Of an address that was not listed nothing is known. */
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 0, &elsewhere, 1, at(101)), 0);
	l[2].packets = 1;
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 3, &vip, 1, at(102)), 0);
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 3, &vip, 1, at(111.9)), 0);
	/* One was removed by somebody, the other one has had its ten seconds. */
	l[0] = l[1];
	l[1] = l[2];
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 2, &vip, 1, at(112)), 2);
	ck_assert(bridges.count.gone == 1 && bridges.count.carried == 1);
	sa_bridge_ended(&bridges);
	ck_assert(bridges.n == 0 && !sa_bridge_is(&bridges, &l[0]));
}
END_TEST

START_TEST(bridge_is_late_or_taken_back)
{
	struct addr vip = A("203.0.113.1");
	struct sa_copy l[2] = { sa_gcm(0, 0x10), sa_gcm(0, 0x30) };

	bridges = (struct sa_bridges){ .list = places, .cap = 1 };
	ck_assert(sa_bridge_add(&bridges, &l[0], at(100)));
	ck_assert(!sa_bridge_add(&bridges, &l[1], at(100)));
	l[0].bridge = true;
	/* A new SA of another peer carries nothing for this one. */
	l[1].src = addr_v4(203, 0, 113, 99);
	l[1].packets = 9;
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 2, &vip, 1, at(159.9)), 0);
	ck_assert_uint_eq(sa_bridge_judge(&bridges, l, 2, &vip, 1, at(160)), 1);
	ck_assert(bridges.count.late == 1);
	/* It could not be deleted: next time. */
	bridges.list[0].ends = false;
	sa_bridge_ended(&bridges);
	ck_assert_uint_eq(bridges.n, 1);
	ck_assert_uint_eq(sa_bridge_end(&bridges, &l[1].src), 0);
	ck_assert_uint_eq(sa_bridge_end(&bridges, &vip), 1);
	ck_assert_uint_eq(sa_bridge_end(&bridges, &vip), 1);
	ck_assert_uint_eq(bridges.count.taken_back, 1);
	sa_bridge_ended(&bridges);
	ck_assert_uint_eq(bridges.n, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sa_store");
	TCase *t = tcase_create("core");

	tcase_add_test(t, put_replace_full);
	tcase_add_test(t, lists);
	tcase_add_test(t, time_passes);
	tcase_add_test(t, random_walk);
	tcase_add_test(t, only_news_is_sent);
	tcase_add_test(t, not_sent_is_not_had);
	tcase_add_test(t, lists_cover_all_numbers);
	tcase_add_test(t, sender_and_store_agree);
	tcase_add_test(t, bridge_ends);
	tcase_add_test(t, bridge_is_late_or_taken_back);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
