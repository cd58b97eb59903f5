/* What two nodes say about SA copies: golden bytes, round trips, truncation at every byte, values that lie. */
#include <stdlib.h>
#include "ike-hooks/sa_wire.h"
#include "tests/unit/sa_util.h"

static uint8_t buf[SA_PLAIN_MAX];

static size_t write_copies(const struct sa_copy *list, unsigned n)
{
	struct wire_wr w = wire_wr(buf, sizeof(buf));

	sa_put_head(&w, SA_KIND_COPIES, 3);
	for (unsigned i = 0; i < n; i++)
		ck_assert(sa_put_copy(&w, &list[i]));
	return wire_len(&w);
}

/* These bytes are what other versions send: they never change. */
START_TEST(golden_copy)
{
	static const uint8_t golden[] = {
		1,    1,    0,    0,    0,    0,    0,    3,    /* version, COPIES, node 3 */
		0,    120,                                      /* length */
		0,    0,    0,    5,                            /* id */
		4,    203,  0,    113,  9,                      /* source */
		4,    203,  0,    113,  1,                      /* destination */
		0xc0, 0,    0,    1,                            /* SPI */
		50,   1,    0x20, 0,                            /* ESP, tunnel, flags, direction */
		0,    0,    0,    7,    0,    0,    0,    0,    /* reqid, if_id */
		0,    0,    0,    32,                           /* window */
		0,    0,    0,    0,    0,    0,    0x12, 0x34, /* top */
		0,    0,    0x0b, 0xb8,                         /* seconds left */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* bytes left */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* packets left */
		0,    0,    0,    0,    0,    0,    0,    0,    /* selector: anything */
		0,    0,    0,    0,    0,                      /* its ports */
		0,                                              /* no options */
		3,    17,                                       /* AEAD */
		'r',  'f',  'c',  '4',  '1',  '0',  '6',  '(',  'g',  'c',  'm',
		'(',  'a',  'e',  's',  ')',  ')',  0,    160,  0,    128, /* bits of the key, of the ICV */
		0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a,
		0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0, /* no more algorithms */
	};
	struct sa_copy sa = sa_gcm(5, 0xc0000001);
	size_t n = write_copies(&sa, 1);

	ck_assert_uint_eq(n, sizeof(golden));
	ck_assert_mem_eq(buf, golden, sizeof(golden));
}
END_TEST

START_TEST(golden_list_and_want)
{
	static const uint8_t list_bytes[] = { 1,    2,    0,    0,    0, 0, 0, 9, 4, 192, 0, 2, 1, 0, 0, 0, 1,
					      0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0,   0, 1, 0, 0, 0, 5 };
	static const uint8_t want_bytes[] = { 1, 3, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2 };
	struct sa_list list = { .vip = A("192.0.2.1"), .first = 1, .last = UINT32_MAX, .n = 1 };
	struct sa_want want = { .n = 1, .ids = { 2 } };
	struct wire_wr w = wire_wr(buf, sizeof(buf));

	list.tops[0] = (struct sa_top){ .id = 2, .top = UINT64_C(0x100000005) };
	sa_put_head(&w, SA_KIND_LIST, 9);
	sa_put_list(&w, &list);
	ck_assert_uint_eq(wire_len(&w), sizeof(list_bytes));
	ck_assert_mem_eq(buf, list_bytes, sizeof(list_bytes));
	w = wire_wr(buf, sizeof(buf));
	sa_put_head(&w, SA_KIND_WANT, 9);
	sa_put_want(&w, &want);
	ck_assert_uint_eq(wire_len(&w), sizeof(want_bytes));
	ck_assert_mem_eq(buf, want_bytes, sizeof(want_bytes));
}
END_TEST

START_TEST(round_trip)
{
	struct sa_copy in[2] = { sa_gcm(1, 0x100), sa_full() }, out;
	size_t n = write_copies(in, 2);
	struct wire_rd r = wire_rd(buf, n);
	enum sa_kind kind;
	uint32_t sender;

	ck_assert_int_eq(sa_get_head(&r, &kind, &sender), SA_OK);
	ck_assert(kind == SA_KIND_COPIES && sender == 3);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(sa_get_copy(&r, &out), SA_OK);
		ck_assert(sa_same(&in[i], &out) && sa_cmp(&in[i], &out) == 0);
		ck_assert_mem_eq(&in[i].aead, &out.aead, sizeof(out.aead));
		ck_assert_mem_eq(&in[i].auth, &out.auth, sizeof(out.auth));
		ck_assert_mem_eq(&in[i].crypt, &out.crypt, sizeof(out.crypt));
		ck_assert(addr_eq(&in[i].sel.dst, &out.sel.dst) && addr_eq(&in[i].sel.src, &out.sel.src));
		ck_assert(in[i].wide == out.wide && in[i].window == out.window && in[i].top == out.top);
		ck_assert(in[i].id == out.id && in[i].left_s == out.left_s && in[i].left_bytes == out.left_bytes);
		ck_assert(in[i].has_encap == out.has_encap && in[i].encap_dport == out.encap_dport);
		ck_assert(addr_eq(&in[i].encap_oa, &out.encap_oa) && in[i].extra_flags == out.extra_flags);
		ck_assert(in[i].set_mark == out.set_mark && in[i].if_id == out.if_id && in[i].dir == out.dir);
	}
	ck_assert_uint_eq(wire_left(&r), 0);
}
END_TEST

static bool wiped(const struct sa_copy *sa)
{
	static const struct sa_copy none;

	return memcmp(sa, &none, sizeof(none)) == 0;
}

START_TEST(truncated_at_every_byte)
{
	struct sa_copy in = sa_full(), out;
	size_t n = write_copies(&in, 1);

	for (size_t cut = 10; cut < n; cut++) {
		/* The record says its true length: it runs past the end. */
		struct wire_rd r = wire_rd(buf + 8, cut - 8);
		ck_assert_int_eq(sa_get_copy(&r, &out), SA_DROP_SHORT);
		ck_assert(wiped(&out));
		/* It says that it is shorter: a field is missing. */
		uint8_t copy[SA_RECORD_MAX + 2];
		memcpy(copy, buf + 8, n - 8);
		copy[0] = (uint8_t)((cut - 10) >> 8);
		copy[1] = (uint8_t)(cut - 10);
		r = wire_rd(copy, n - 8);
		ck_assert_int_ne(sa_get_copy(&r, &out), SA_OK);
		ck_assert(wiped(&out) && !r.bad);
	}
}
END_TEST

START_TEST(later_versions_append)
{
	struct sa_copy in = sa_gcm(9, 0x99), out;
	size_t n = write_copies(&in, 1);
	struct wire_rd r;

	memset(buf + n, 0xee, 7);
	buf[9] = (uint8_t)(buf[9] + 7);
	r = wire_rd(buf + 8, n - 8 + 7);
	ck_assert_int_eq(sa_get_copy(&r, &out), SA_OK);
	ck_assert(out.id == 9 && wire_left(&r) == 0);
	/* A kind that is not known, a version that is not. */
	enum sa_kind kind;
	uint32_t sender;
	buf[1] = 4;
	r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_head(&r, &kind, &sender), SA_DROP_KIND);
	buf[0] = 2;
	r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_head(&r, &kind, &sender), SA_DROP_VERSION);
	for (size_t cut = 0; cut < 8; cut++) {
		r = wire_rd(buf, cut);
		ck_assert_int_eq(sa_get_head(&r, &kind, &sender), SA_DROP_SHORT);
	}
}
END_TEST

static enum sa_drop reread(const struct sa_copy *in)
{
	struct sa_copy out;
	size_t n = write_copies(in, 1);
	struct wire_rd r = wire_rd(buf + 8, n - 8);
	enum sa_drop d = sa_get_copy(&r, &out);

	ck_assert(d == SA_OK || wiped(&out));
	return d;
}

START_TEST(values_out_of_range)
{
	struct sa_copy sa = sa_gcm(1, 1);

	ck_assert_int_eq(reread(&sa), SA_OK);
	sa.id = 0;
	ck_assert_int_eq(reread(&sa), SA_DROP_VALUE);
	sa = sa_gcm(1, 0);
	ck_assert_int_eq(reread(&sa), SA_DROP_VALUE);
	sa = sa_gcm(1, 1);
	sa.proto = 51;
	ck_assert_int_eq(reread(&sa), SA_DROP_PROTO);
	sa = sa_gcm(1, 1);
	sa.mode = 5;
	ck_assert_int_eq(reread(&sa), SA_DROP_VALUE);
	sa = sa_gcm(1, 1);
	sa.window = 33;
	ck_assert_int_eq(reread(&sa), SA_DROP_WINDOW);
	sa.wide = true;
	ck_assert_int_eq(reread(&sa), SA_OK);
	sa.window = 4097;
	ck_assert_int_eq(reread(&sa), SA_DROP_WINDOW);
	sa = sa_gcm(1, 1);
	sa.src = A("2001:db8::1");
	ck_assert_int_eq(reread(&sa), SA_DROP_VALUE);
	sa = sa_gcm(1, 1);
	sa.sel.dst_len = 1;
	ck_assert_int_eq(reread(&sa), SA_DROP_VALUE);
	sa = sa_gcm(1, 1);
	memset(sa.aead.key, 0, sizeof(sa.aead.key));
	ck_assert_int_eq(reread(&sa), SA_DROP_ZERO_KEY);
	memset(&sa.aead, 0, sizeof(sa.aead));
	ck_assert_int_eq(reread(&sa), SA_DROP_ZERO_KEY);
	sa = sa_gcm(1, 1);
	sa.aead.name[3] = '\x7f';
	ck_assert_int_eq(reread(&sa), SA_DROP_VALUE);
	/* One key that is hidden among others that are not. */
	sa = sa_full();
	memset(sa.auth.key, 0, sizeof(sa.auth.key));
	ck_assert_int_eq(reread(&sa), SA_DROP_ZERO_KEY);
	/* ESP-NULL has an empty key of its own. */
	sa = sa_full();
	sa_alg_set(&sa.crypt, "ecb(cipher_null)", 0, 0, 0);
	ck_assert_int_eq(reread(&sa), SA_OK);
}
END_TEST

START_TEST(algorithms_that_lie)
{
	struct sa_copy in = sa_gcm(1, 1), out;
	size_t n = write_copies(&in, 1), alg = n - 1 - 20 - 4 - 17 - 2;
	static const struct {
		size_t at;
		uint8_t value;
		enum sa_drop drop;
	} lies[] = {
		{ 0, 4, SA_DROP_VALUE }, { 1, 0, SA_DROP_VALUE }, { 1, 200, SA_DROP_ALG }, { 19, 0xff, SA_DROP_ALG }
	};

	ck_assert_uint_eq(buf[alg], 3);
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		n = write_copies(&in, 1);
		buf[alg + lies[i].at] = lies[i].value;
		struct wire_rd r = wire_rd(buf + 8, n - 8);
		ck_assert_int_eq(sa_get_copy(&r, &out), lies[i].drop);
		ck_assert(wiped(&out));
	}
	/* The same kind twice. */
	n = write_copies(&in, 1);
	memmove(buf + n + 42, buf + n - 1, 1);
	memmove(buf + n - 1, buf + alg, 43);
	buf[9] = (uint8_t)(buf[9] + 43);
	buf[n + 42] = 0;
	struct wire_rd r = wire_rd(buf + 8, n - 8 + 43);
	ck_assert_int_eq(sa_get_copy(&r, &out), SA_DROP_VALUE);
}
END_TEST

START_TEST(lists_and_wants)
{
	static struct sa_list in, out;
	static struct sa_want win, wout;
	struct wire_wr w = wire_wr(buf, sizeof(buf));

	in = (struct sa_list){ .vip = A("2001:db8::1"), .first = 0, .last = 1000, .n = SA_LIST_TOPS };
	for (unsigned i = 0; i < SA_LIST_TOPS; i++)
		in.tops[i] = (struct sa_top){ .id = 2 * i, .top = i };
	sa_put_list(&w, &in);
	ck_assert(!w.bad);
	size_t n = wire_len(&w);
	struct wire_rd r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_list(&r, &out), SA_OK);
	ck_assert_mem_eq(&in, &out, sizeof(in));
	for (size_t cut = 0; cut < n; cut++) {
		r = wire_rd(buf, cut);
		enum sa_drop d = sa_get_list(&r, &out);
		ck_assert((d == SA_OK) == (cut >= 25 && (cut - 25) % 12 == 0));
	}
	memset(buf + n, 0xff, 12);
	r = wire_rd(buf, n + 12);
	ck_assert_int_eq(sa_get_list(&r, &out), SA_DROP_FULL);
	/* Not in order, and not in the range. */
	buf[25 + 3] = 9;
	r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_list(&r, &out), SA_DROP_VALUE);
	buf[25 + 2] = 0xff;
	r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_list(&r, &out), SA_DROP_VALUE);
	buf[0] = 0;
	r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_list(&r, &out), SA_DROP_VALUE);

	win.n = SA_WANT_IDS;
	for (unsigned i = 0; i < SA_WANT_IDS; i++)
		win.ids[i] = i * i;
	w = wire_wr(buf, sizeof(buf));
	sa_put_want(&w, &win);
	n = wire_len(&w);
	r = wire_rd(buf, n);
	ck_assert_int_eq(sa_get_want(&r, &wout), SA_OK);
	ck_assert_mem_eq(&win, &wout, sizeof(win));
	r = wire_rd(buf, n - 1);
	ck_assert_int_eq(sa_get_want(&r, &wout), SA_DROP_SHORT);
	r = wire_rd(buf, n + 4);
	ck_assert_int_eq(sa_get_want(&r, &wout), SA_DROP_FULL);
}
END_TEST

START_TEST(no_room)
{
	struct sa_copy sa = sa_full();
	size_t n = write_copies(&sa, 1);

	for (size_t cap = 0; cap < n; cap++) {
		struct wire_wr w = wire_wr(buf, cap);
		ck_assert(!sa_put_copy(&w, &sa) || cap >= n - 8);
	}
	/* The largest of all fits into what the fingerprint works in. */
	sa_alg_set(&sa.auth, "a-name-of-thirty-nine-characters-xxxxxx", 8 * SA_KEY_MAX, 512, 1);
	sa_alg_set(&sa.crypt, "a-name-of-thirty-nine-characters-xxxxxx", 8 * SA_KEY_MAX, 0, 1);
	sa_alg_set(&sa.aead, "a-name-of-thirty-nine-characters-xxxxxx", 8 * SA_KEY_MAX, 128, 1);
	ck_assert_uint_le(write_copies(&sa, 1), SA_RECORD_MAX);
}
END_TEST

START_TEST(fingerprint)
{
	static const uint8_t key[SA_PRINT_KEY] = { 1, 2, 3 }, other[SA_PRINT_KEY] = { 9 };
	uint8_t scratch[SA_RECORD_MAX] = { 0 };
	static const uint8_t clean[SA_RECORD_MAX];
	struct sa_copy a = sa_full(), b = sa_full();

	b.id = 77;
	b.top++;
	b.left_s--;
	b.left_bytes--;
	b.left_packets--;
	sa_fingerprint(&a, key, scratch);
	ck_assert_mem_eq(scratch, clean, sizeof(clean));
	sa_fingerprint(&b, key, scratch);
	ck_assert(a.fingerprint == b.fingerprint && b.id == 77 && b.top == a.top + 1 && b.left_s == a.left_s - 1);
	sa_fingerprint(&b, other, scratch);
	ck_assert(a.fingerprint != b.fingerprint);
	b.encap_sport++; /* the peer's NAT has moved it */
	sa_fingerprint(&b, key, scratch);
	ck_assert(a.fingerprint != b.fingerprint);
	b = sa_full();
	b.crypt.key[15] ^= 1;
	sa_fingerprint(&b, key, scratch);
	ck_assert(a.fingerprint != b.fingerprint);
}
END_TEST

START_TEST(order)
{
	struct sa_copy a = sa_gcm(1, 5), b = sa_gcm(2, 5);

	ck_assert(sa_cmp(&a, &b) == 0 && sa_same(&a, &b));
	b.has_mark = true;
	ck_assert(!sa_same(&a, &b));
	b.mark_mask = 1;
	ck_assert(sa_cmp(&a, &b) < 0 && sa_cmp(&b, &a) > 0);
	b = sa_gcm(1, 4);
	ck_assert(sa_cmp(&a, &b) > 0);
	b.src = addr_v4(203, 0, 113, 10);
	ck_assert(sa_cmp(&a, &b) < 0);
	b.dst = addr_v4(203, 0, 112, 1);
	ck_assert(sa_cmp(&a, &b) > 0);
	for (int d = 0; d <= SA_DROP_N; d++)
		ck_assert_uint_gt(strlen(sa_drop_text((enum sa_drop)d)), 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sa_wire");
	TCase *t = tcase_create("core");

	tcase_add_test(t, golden_copy);
	tcase_add_test(t, golden_list_and_want);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_test(t, later_versions_append);
	tcase_add_test(t, values_out_of_range);
	tcase_add_test(t, algorithms_that_lie);
	tcase_add_test(t, lists_and_wants);
	tcase_add_test(t, no_room);
	tcase_add_test(t, fingerprint);
	tcase_add_test(t, order);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
