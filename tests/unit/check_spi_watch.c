/* The watch for unknown SPIs: what is read out of packets, what is known, and how often a peer is asked about. */
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/spi_watch.h"

#define MS NS_PER_MS

static struct spi_watch w;
static struct spi_pair pair[8];
static struct spi_known known[6];
static mono_t now;
static const struct addr vip = { ADDR_V4, { 192, 0, 2, 1 } }, peer = { ADDR_V4, { 192, 0, 2, 9 } };
static const struct addr vip_b = { ADDR_V4, { 192, 0, 2, 2 } }, stranger = { ADDR_V4, { 203, 0, 113, 5 } };

static struct addr text(const char *s)
{
	struct addr a;
	ck_assert(addr_parse(s, &a));
	return a;
}

static void fresh(void)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	spi_watch_init(&w, pair, 8, known, 6, now);
	ck_assert(spi_watch_add(&w, &vip_b, &peer));
	ck_assert(spi_watch_add(&w, &vip, &peer));
	ck_assert(spi_watch_add(&w, &vip, &peer)); /* a second tunnel of the pair */
	ck_assert_uint_eq(w.n, 2);
	spi_watch_active(&w, spi_watch_find(&w, &vip, &peer), true);
}

static enum spi_verdict arrives(const struct addr *src, const struct addr *dst, uint32_t spi)
{
	struct spi_pkt p = { .src = *src, .dst = *dst, .spi = spi };
	struct spi_pair *hit;
	uint64_t before = 0, after = 0;

	for (unsigned i = 0; i < SPI_VERDICT_N; i++)
		before += w.count[i];
	enum spi_verdict v = spi_watch_packet(&w, &p, now, &hit);
	for (unsigned i = 0; i < SPI_VERDICT_N; i++)
		after += w.count[i];
	ck_assert_uint_eq(after, before + 1);
	ck_assert_int_eq(hit != NULL, v == SPI_ASK || v == SPI_QUIET);
	return v;
}

static void later(int64_t ns)
{
	now = mono_add(now, ns);
}

START_TEST(only_configured_pairs_are_asked_about)
{
	fresh();
	ck_assert_int_eq(arrives(&stranger, &vip, 0x1000), SPI_STRANGER);
	ck_assert_int_eq(arrives(&peer, &stranger, 0x1000), SPI_NOT_OURS);
	ck_assert_int_eq(arrives(&peer, &vip_b, 0x1000), SPI_NOT_OURS); /* the address is another node's */
	ck_assert_int_eq(arrives(&stranger, &vip_b, 0x1000), SPI_NOT_OURS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	ck_assert_uint_eq(spi_watch_find(&w, &vip, &peer)->last_spi, 0x1000);
	ck_assert_ptr_null(spi_watch_find(&w, &vip, &stranger));
	struct addr v6 = text("2001:db8::1");
	ck_assert(!spi_watch_add(&w, &vip, &v6));
	ck_assert(spi_watch_any(&w, ADDR_V4) && !spi_watch_any(&w, ADDR_V6));
}
END_TEST

START_TEST(questions_about_one_peer_become_rare)
{
	fresh();
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	later(3 * MS - 1);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_QUIET);
	later(1);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	later(19 * MS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_QUIET);
	later(1 * MS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	later(99 * MS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_QUIET);
	later(1 * MS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	unsigned asked = 0;
	for (unsigned i = 0; i < 10000; i++) {
		later(1 * MS);
		asked += arrives(&peer, &vip, 0x2000 + i) == SPI_ASK;
	}
	ck_assert_uint_eq(asked, 10);
	later(SPI_CALM_NS); /* over: the next one is a new story */
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	later(5 * MS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
}
END_TEST

START_TEST(a_question_that_nobody_could_answer)
{
	struct spi_pair *p;

	fresh();
	p = spi_watch_find(&w, &vip, &peer);
	for (unsigned i = 0; i < 4 * SPI_ASK_BURST; i++) { /* while the tunnel is being made */
		ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
		spi_watch_later(&w, p, mono_add(now, 25 * MS));
		ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_QUIET);
		later(25 * MS);
	}
	ck_assert_uint_eq(p->asked, 0);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
	later(5 * MS);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
}
END_TEST

START_TEST(many_peers_share_one_bucket)
{
	static struct spi_pair many[500];
	unsigned asked = 0;

	now = (mono_t){ NS_PER_SEC };
	spi_watch_init(&w, many, 500, known, 6, now);
	for (unsigned i = 0; i < 500; i++) {
		struct addr p = addr_v4(10, 0, (uint8_t)(i >> 8), (uint8_t)i);
		ck_assert(spi_watch_add(&w, &vip, &p));
		spi_watch_active(&w, spi_watch_find(&w, &vip, &p), true);
	}
	struct addr one_more = addr_v4(10, 1, 0, 0);
	ck_assert(!spi_watch_add(&w, &vip, &one_more));
	for (unsigned i = 0; i < 500; i++) {
		struct addr p = addr_v4(10, 0, (uint8_t)(i >> 8), (uint8_t)i);
		asked += arrives(&p, &vip, 0x1000) == SPI_ASK;
	}
	ck_assert_uint_eq(asked, SPI_ASK_BURST);
	ck_assert_uint_eq(w.count[SPI_SPENT], 500 - SPI_ASK_BURST);
	later(NS_PER_SEC);
	for (unsigned i = 0; i < 500; i++) {
		struct addr p = addr_v4(10, 0, (uint8_t)(i >> 8), (uint8_t)i);
		asked += arrives(&p, &vip, 0x1000) == SPI_ASK;
	}
	ck_assert_uint_eq(asked, SPI_ASK_BURST + SPI_ASK_RATE);
}
END_TEST

START_TEST(flood_of_forged_packets)
{
	fresh();
	spi_watch_learn(&w, &vip, 0x5000, now);
	uint64_t x = 1;
	for (unsigned i = 0; i < 20000; i++) {
		later(50 * NS_PER_US);
		x = x * 6364136223846793005u + 1442695040888963407u;
		struct addr src =
		    addr_v4((uint8_t)(x >> 56), (uint8_t)(x >> 48), (uint8_t)(x >> 40), (uint8_t)(x >> 33 | 1));
		if (i & 1)
			ck_assert_int_ne(arrives(&src, &vip, (uint32_t)(x >> 20) | 0x100), SPI_ASK);
		else
			arrives(&peer, &vip, (uint32_t)(x >> 20) | 0x100);
	}
	/* One second: at once, after 3, 23, 123 ms. */
	ck_assert_uint_eq(w.count[SPI_ASK], 4);
	ck_assert_uint_ge(w.count[SPI_STRANGER], 9990);
	ck_assert_uint_eq(arrives(&peer, &vip, 0x5000), SPI_KNOWN);
}
END_TEST

START_TEST(known_spis_age)
{
	fresh();
	spi_watch_learn(&w, &vip, 0x1000, now);
	uint32_t g = w.generation;
	spi_watch_learn(&w, &vip, 0x1000, now);
	ck_assert_uint_eq(w.generation, g);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_KNOWN);
	ck_assert_int_eq(arrives(&stranger, &vip, 0x1000), SPI_KNOWN); /* NAT moved the peer */
	ck_assert(!spi_watch_knows(&w, &vip_b, 0x1000));
	later(SPI_KEEP_NS - 1);
	spi_watch_expire(&w, now);
	ck_assert(spi_watch_knows(&w, &vip, 0x1000));
	later(NS_PER_SEC);
	spi_watch_expire(&w, now);
	ck_assert(!spi_watch_knows(&w, &vip, 0x1000));
	ck_assert_uint_eq(w.generation, g + 1);
	ck_assert_int_eq(arrives(&peer, &vip, 0x1000), SPI_ASK);
}
END_TEST

START_TEST(known_spis_of_an_address_go_with_its_role)
{
	fresh();
	spi_watch_learn(&w, &vip, 0x1000, now);
	spi_watch_learn(&w, &vip_b, 0x1000, now);
	spi_watch_learn(&w, &stranger, 0x1000, now);
	spi_watch_learn(&w, &vip, 255, now); /* reserved */
	ck_assert_uint_eq(w.n_known, 2);
	spi_watch_forget(&w, &vip);
	ck_assert(!spi_watch_knows(&w, &vip, 0x1000) && spi_watch_knows(&w, &vip_b, 0x1000));
	arrives(&peer, &vip, 0x2000);
	struct spi_pair *p = spi_watch_find(&w, &vip, &peer);
	spi_watch_active(&w, p, false);
	ck_assert_int_eq(arrives(&peer, &vip, 0x2000), SPI_NOT_OURS);
	spi_watch_active(&w, p, true);
	ck_assert_int_eq(arrives(&peer, &vip, 0x2000), SPI_ASK); /* no pause left over */
}
END_TEST

START_TEST(the_oldest_spi_gives_way)
{
	fresh();
	for (uint32_t i = 0; i < 6; i++) {
		spi_watch_learn(&w, &vip, 0x1005 - i, now);
		later(1 * MS);
	}
	spi_watch_learn(&w, &vip, 0x1005, now); /* confirmed */
	spi_watch_learn(&w, &vip, 0x2000, now);
	ck_assert_uint_eq(w.evicted, 1);
	ck_assert(!spi_watch_knows(&w, &vip, 0x1004));
	for (uint32_t i = 0; i < 4; i++)
		ck_assert(spi_watch_knows(&w, &vip, 0x1000 + i));
	ck_assert(spi_watch_knows(&w, &vip, 0x1005) && spi_watch_knows(&w, &vip, 0x2000));
	for (uint32_t i = 1; i < w.n_known; i++)
		ck_assert(w.known[i - 1].spi < w.known[i].spi);
}
END_TEST

START_TEST(open_for_thirty_seconds)
{
	fresh();
	ck_assert(!spi_watch_wanted(&w, now));
	spi_watch_open(&w, now);
	later(SPI_OPEN_NS - 1);
	ck_assert(spi_watch_wanted(&w, now));
	spi_watch_open(&w, now);
	later(SPI_OPEN_NS - 1);
	ck_assert(spi_watch_wanted(&w, now));
	later(1);
	ck_assert(!spi_watch_wanted(&w, now));
	ck_assert_uint_eq(w.openings, 1);
}
END_TEST

/* ---- packets ---- */

static uint8_t esp4[] = { 0x45, 0, 0, 40, 0,    0,    0x40, 0,    64, 50, 0, 0, 192,  0,    2,    9,
			  192,  0, 2, 1,  0x12, 0x34, 0x56, 0x78, 0,  0,  0, 1, 0xaa, 0xaa, 0xaa, 0xaa };
static uint8_t udp4[] = { 0x46, 0,    0,    48,   0, 0, 0, 0, 64,   17,   0,    0,    192, 0,  2, 9,
			  192,  0,    2,    1,    1, 1, 1, 1, 0x30, 0x39, 0x11, 0x94, 0,   24, 0, 0,
			  0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0xaa, 0xaa, 0xaa, 0xaa, 0,   0,  0, 0 };

START_TEST(reads_both_forms)
{
	struct spi_pkt p;

	ck_assert_int_eq(spi_parse_v4(esp4, sizeof(esp4), &p), SPI_KNOWN);
	ck_assert_uint_eq(p.spi, 0x12345678);
	ck_assert(addr_eq(&p.src, &peer) && addr_eq(&p.dst, &vip) && !p.udp);
	ck_assert_int_eq(spi_parse_v4(udp4, sizeof(udp4), &p), SPI_KNOWN);
	ck_assert_uint_eq(p.spi, 0x12345678);
	ck_assert(p.udp);
	ck_assert_int_eq(spi_parse_v6(esp4 + 20, sizeof(esp4) - 20, false, &p), SPI_KNOWN);
	ck_assert_uint_eq(p.spi, 0x12345678);
	p.spi = 0;
	ck_assert_int_eq(spi_parse_v6(udp4 + 24, sizeof(udp4) - 24, true, &p), SPI_KNOWN);
	ck_assert_uint_eq(p.spi, 0x12345678);
	for (size_t len = 0; len < 28; len++)
		ck_assert_int_eq(spi_parse_v4(esp4, len, &p), SPI_DROP_SHORT);
	for (size_t len = 0; len < 40; len++)
		ck_assert_int_eq(spi_parse_v4(udp4, len, &p), SPI_DROP_SHORT);
	for (size_t len = 0; len < 8; len++)
		ck_assert_int_eq(spi_parse_v6(esp4 + 20, len, false, &p), SPI_DROP_SHORT);
	for (size_t len = 0; len < 16; len++)
		ck_assert_int_eq(spi_parse_v6(udp4 + 24, len, true, &p), SPI_DROP_SHORT);
}
END_TEST

static enum spi_verdict with(const uint8_t *packet, size_t len, size_t at, const char *bytes, size_t n)
{
	uint8_t copy[64];
	struct spi_pkt p;

	memcpy(copy, packet, len);
	memcpy(copy + at, bytes, n);
	return spi_parse_v4(copy, len, &p);
}
#define UDP4(at, bytes) with(udp4, sizeof(udp4), at, bytes, sizeof(bytes) - 1)
#define ESP4(at, bytes) with(esp4, sizeof(esp4), at, bytes, sizeof(bytes) - 1)

START_TEST(everything_else_has_a_reason)
{
	ck_assert_int_eq(ESP4(0, "\x65"), SPI_DROP_VERSION);
	ck_assert_int_eq(ESP4(0, "\x44"), SPI_DROP_VERSION);
	ck_assert_int_eq(ESP4(9, "\x06"), SPI_DROP_PROTO);
	ck_assert_int_eq(ESP4(9, "\x33"), SPI_DROP_PROTO); /* AH */
	ck_assert_int_eq(ESP4(6, "\x20"), SPI_DROP_FRAGMENT);
	ck_assert_int_eq(ESP4(7, "\x01"), SPI_DROP_FRAGMENT);
	ck_assert_int_eq(ESP4(20, "\0\0\0\xff"), SPI_DROP_RESERVED);
	ck_assert_int_eq(ESP4(20, "\0\0\x01\0"), SPI_KNOWN);
	ck_assert_int_eq(UDP4(26, "\x01\xf4"), SPI_DROP_PORT);
	ck_assert_int_eq(UDP4(24, "\x11\x94\x30\x39"), SPI_DROP_PORT); /* of the source only */
	ck_assert_int_eq(UDP4(32, "\0\0\0\0"), SPI_DROP_IKE);
	ck_assert_int_eq(UDP4(32, "\0\0\0\x07"), SPI_DROP_RESERVED);
	ck_assert_int_eq(UDP4(28, "\0\x09"), SPI_DROP_KEEPALIVE);
	ck_assert_int_eq(UDP4(28, "\0\x10"), SPI_DROP_KEEPALIVE);
	ck_assert_int_eq(UDP4(28, "\0\x11"), SPI_KNOWN);
	ck_assert_int_eq(UDP4(28, "\0\x07"), SPI_DROP_SHORT);
	for (unsigned v = 0; v < SPI_VERDICT_N; v++) {
		uint64_t before = w.count[v];
		spi_watch_drop(&w, (enum spi_verdict)v);
		ck_assert_uint_eq(w.count[v], before + 1);
		ck_assert_uint_gt(strlen(spi_verdict_text((enum spi_verdict)v)), 3);
	}
	ck_assert_str_eq(spi_verdict_text(SPI_VERDICT_N), "?");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spi_watch");
	TCase *c = tcase_create("all");

	tcase_add_test(c, only_configured_pairs_are_asked_about);
	tcase_add_test(c, questions_about_one_peer_become_rare);
	tcase_add_test(c, a_question_that_nobody_could_answer);
	tcase_add_test(c, many_peers_share_one_bucket);
	tcase_add_test(c, flood_of_forged_packets);
	tcase_add_test(c, known_spis_age);
	tcase_add_test(c, known_spis_of_an_address_go_with_its_role);
	tcase_add_test(c, the_oldest_spi_gives_way);
	tcase_add_test(c, open_for_thirty_seconds);
	tcase_add_test(c, reads_both_forms);
	tcase_add_test(c, everything_else_has_a_reason);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
