/* VICI codec: byte vectors, streams cut at every byte, malformed and oversized input; rows of SAs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "ike-hooks/vici_alert.h"
#include "ike-hooks/vici_sa.h"
#include "ike-hooks/vici_wire.h"

/* version request, as swanctl sends it: length 9, type 0, name "version". */
static const uint8_t version_request[] = { 0, 0, 0, 9, 0, 7, 'v', 'e', 'r', 's', 'i', 'o', 'n' };

START_TEST(encodes_known_bytes)
{
	uint8_t buf[128];
	struct vici_wr w;

	vici_begin(&w, buf, sizeof(buf), VICI_CMD_REQUEST, "version");
	ck_assert_uint_eq(vici_end(&w), sizeof(version_request));
	ck_assert_mem_eq(buf, version_request, sizeof(version_request));

	static const uint8_t want[] = { 0, 0, 0, 34,  0,   1, 'x', 3, 1, 'k', 0, 1, 'v', 1, 1, 's', 4, 1, 'l',
					5, 0, 2, 'i', '1', 5, 0,   0, 6, 2,   3, 1, 'z', 0, 0, 0,   0, 0, 0 };
	vici_begin(&w, buf, sizeof(buf), VICI_CMD_REQUEST, "x");
	vici_put_key(&w, "k", "v");
	vici_put_section(&w, "s");
	vici_put_list(&w, "l");
	vici_put_item(&w, "i1");
	vici_put_item(&w, "");
	vici_put_list_end(&w);
	vici_put_section_end(&w);
	vici_put_key(&w, "z", "");
	size_t n = vici_end(&w);
	ck_assert_uint_eq(n, 34);
	ck_assert_uint_eq(buf[3], n - 4);
	ck_assert_mem_eq(buf + 4, want + 4, n - 4);
}
END_TEST

START_TEST(encoder_reports_lack_of_room)
{
	uint8_t buf[64];
	char name[300];
	struct vici_wr w;

	for (size_t cap = 0; cap < sizeof(version_request); cap++) {
		vici_begin(&w, buf, cap, VICI_CMD_REQUEST, "version");
		ck_assert_uint_eq(vici_end(&w), 0);
	}
	vici_begin(&w, buf, sizeof(buf), VICI_CMD_REQUEST, NULL);
	ck_assert_uint_eq(vici_end(&w), 0);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	vici_begin(&w, buf, sizeof(buf), VICI_CMD_REQUEST, name);
	ck_assert_uint_eq(vici_end(&w), 0);
	char *big = malloc(70000);
	memset(big, 'v', 69999);
	big[69999] = '\0';
	uint8_t *room = malloc(80000);
	vici_begin(&w, room, 80000, VICI_CMD_REQUEST, "x");
	vici_put_key(&w, "k", big);
	ck_assert_uint_eq(vici_end(&w), 0);
	free(big);
	free(room);
}
END_TEST

/* A stream of three packets; returns its length. */
static size_t three_packets(uint8_t *buf, size_t cap)
{
	struct vici_wr w;
	size_t n;

	vici_begin(&w, buf, cap, VICI_EVENT, "child-updown");
	vici_put_key(&w, "up", "yes");
	vici_put_section(&w, "hq");
	vici_put_key(&w, "uniqueid", "7");
	vici_put_section_end(&w);
	n = vici_end(&w);
	vici_begin(&w, buf + n, cap - n, VICI_EVENT_CONFIRM, NULL);
	n += vici_end(&w);
	vici_begin(&w, buf + n, cap - n, VICI_CMD_RESPONSE, NULL);
	vici_put_key(&w, "success", "yes");
	return n + vici_end(&w);
}

static void check_packet(unsigned i, const struct vici_packet *p)
{
	static const enum vici_type type[] = { VICI_EVENT, VICI_EVENT_CONFIRM, VICI_CMD_RESPONSE };
	char text[8];

	ck_assert_uint_lt(i, 3);
	ck_assert_int_eq(p->type, type[i]);
	ck_assert_str_eq(p->name, i == 0 ? "child-updown" : "");
	ck_assert_int_eq(vici_check(p->msg, p->msg_len), VICI_OK);
	ck_assert(vici_find(p->msg, p->msg_len, "success", text, sizeof(text)) == (i == 2));
}

START_TEST(stream_split_at_every_byte)
{
	uint8_t in[256], store[512];
	size_t n = three_packets(in, sizeof(in));

	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			const size_t cut[] = { 0, a, b, n };
			struct vici_framer f;
			unsigned got = 0;
			vici_framer_init(&f, store, sizeof(store));
			for (unsigned part = 0; part < 3; part++) {
				size_t at = cut[part], used;
				struct vici_packet p;
				enum vici_drop d;
				while ((d = vici_feed(&f, in + at, cut[part + 1] - at, &used, &p)) == VICI_OK) {
					check_packet(got++, &p);
					at += used;
				}
				ck_assert_int_eq(d, VICI_MORE);
				ck_assert_uint_eq(at + used, cut[part + 1]);
			}
			ck_assert_uint_eq(got, 3);
		}
	}
}
END_TEST

START_TEST(framer_asks_for_room)
{
	uint8_t small[8], large[64];
	struct vici_framer f;
	struct vici_packet p;
	size_t used, at = 0;

	vici_framer_init(&f, small, sizeof(small));
	ck_assert_int_eq(vici_feed(&f, version_request, sizeof(version_request), &used, &p), VICI_ROOM);
	ck_assert_uint_eq(used, 4);
	ck_assert_uint_eq(f.need, 9);
	at = used;
	f.buf = large;
	f.cap = sizeof(large);
	ck_assert_int_eq(vici_feed(&f, version_request + at, sizeof(version_request) - at, &used, &p), VICI_OK);
	ck_assert_str_eq(p.name, "version");
}
END_TEST

static enum vici_drop feed_all(const uint8_t *data, size_t n)
{
	static uint8_t store[VICI_SEGMENT_MAX];
	struct vici_framer f;
	struct vici_packet p;
	size_t used;

	vici_framer_init(&f, store, sizeof(store));
	return vici_feed(&f, data, n, &used, &p);
}

START_TEST(bad_segments)
{
	static const struct {
		uint8_t bytes[12];
		size_t n;
		enum vici_drop want;
	} row[] = {
		{ { 0, 0, 0, 0 }, 4, VICI_DROP_EMPTY },
		{ { 0, 8, 0, 1 }, 4, VICI_DROP_SIZE },
		{ { 0xff, 0xff, 0xff, 0xff }, 4, VICI_DROP_SIZE },
		{ { 0, 8, 0, 0 }, 4, VICI_MORE }, /* exactly 512 KiB */
		{ { 0, 0, 0, 1, 8 }, 5, VICI_DROP_TYPE },
		{ { 0, 0, 0, 1, 255 }, 5, VICI_DROP_TYPE },
		{ { 0, 0, 0, 1, 7 }, 5, VICI_DROP_NAME },            /* no name */
		{ { 0, 0, 0, 2, 7, 0 }, 6, VICI_DROP_NAME },         /* empty */
		{ { 0, 0, 0, 3, 7, 2, 'a' }, 7, VICI_DROP_NAME },    /* longer than the segment */
		{ { 0, 0, 0, 4, 7, 2, 'a', 0 }, 8, VICI_DROP_NAME }, /* NUL inside */
		{ { 0, 0, 0, 1, 1 }, 5, VICI_OK },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		ck_assert_msg(feed_all(row[i].bytes, row[i].n) == row[i].want, "row %zu", i);
}
END_TEST

START_TEST(bad_messages)
{
	static const struct {
		uint8_t bytes[16];
		size_t n;
		enum vici_drop want;
	} row[] = {
		{ { 0 }, 0, VICI_OK },
		{ { 0 }, 1, VICI_DROP_ELEMENT },
		{ { 7 }, 1, VICI_DROP_ELEMENT },
		{ { 1 }, 1, VICI_DROP_NAME },
		{ { 1, 2, 'a' }, 3, VICI_DROP_NAME },
		{ { 1, 1, 'a' }, 3, VICI_DROP_BALANCE }, /* never ended */
		{ { 2 }, 1, VICI_DROP_BALANCE },
		{ { 1, 1, 'a', 2, 2 }, 5, VICI_DROP_BALANCE },
		{ { 1, 1, 'a', 2 }, 4, VICI_OK },
		{ { 3, 1, 'a', 0 }, 4, VICI_DROP_TRUNCATED },
		{ { 3, 1, 'a', 0, 2, 'x' }, 6, VICI_DROP_TRUNCATED },
		{ { 3, 1, 'a', 0, 1, 'x' }, 6, VICI_OK },
		{ { 3, 2, 'a', 0, 0, 0 }, 6, VICI_DROP_NAME }, /* NUL in a name */
		{ { 4, 1, 'a' }, 3, VICI_DROP_BALANCE },
		{ { 4, 1, 'a', 6 }, 4, VICI_OK },
		{ { 4, 1, 'a', 5, 0, 1, 'x', 6 }, 8, VICI_OK },
		{ { 4, 1, 'a', 5, 0, 9, 'x', 6 }, 8, VICI_DROP_TRUNCATED },
		{ { 4, 1, 'a', 3, 1, 'b', 0, 0, 6 }, 9, VICI_DROP_LIST },
		{ { 4, 1, 'a', 4, 1, 'b', 6, 6 }, 8, VICI_DROP_LIST },
		{ { 4, 1, 'a', 2 }, 4, VICI_DROP_LIST },
		{ { 4, 1, 'a', 9 }, 4, VICI_DROP_ELEMENT },
		{ { 5, 0, 0 }, 3, VICI_DROP_LIST },
		{ { 6 }, 1, VICI_DROP_BALANCE },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		ck_assert_msg(vici_check(row[i].bytes, row[i].n) == row[i].want, "row %zu: %s", i,
			      vici_drop_text(vici_check(row[i].bytes, row[i].n)));
}
END_TEST

START_TEST(depth_is_bounded)
{
	uint8_t msg[3 * 20 + 20];
	size_t n = 0;

	for (unsigned i = 0; i < VICI_DEPTH_MAX; i++) {
		msg[n++] = 1;
		msg[n++] = 1;
		msg[n++] = 's';
	}
	memset(msg + n, 2, VICI_DEPTH_MAX);
	ck_assert_int_eq(vici_check(msg, n + VICI_DEPTH_MAX), VICI_OK);
	msg[n] = 1;
	msg[n + 1] = 1;
	msg[n + 2] = 's';
	ck_assert_int_eq(vici_check(msg, n + 3), VICI_DROP_DEPTH);
	/* A message of the largest size that is nothing but section starts ends at once. */
	uint8_t *bomb = malloc(VICI_SEGMENT_MAX);
	for (size_t i = 0; i < VICI_SEGMENT_MAX; i++)
		bomb[i] = i % 2 ? 0 : 1;
	ck_assert_int_eq(vici_check(bomb, VICI_SEGMENT_MAX), VICI_DROP_DEPTH);
	free(bomb);
}
END_TEST

START_TEST(values)
{
	static const struct {
		const char *text;
		uint64_t want;
	} row[] = { { "0", 0 },
		    { "42", 42 },
		    { "18446744073709551615", UINT64_MAX },
		    { "18446744073709551616", 0 },
		    { "99999999999999999999999", 0 },
		    { "", 0 },
		    { "12a", 0 },
		    { "-1", 0 },
		    { " 1", 0 } };
	char text[6];

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct vici_rd r = { .value = (const uint8_t *)row[i].text,
				     .value_len = (uint16_t)strlen(row[i].text) };
		ck_assert_msg(vici_value_u64(&r) == row[i].want, "row %zu", i);
	}
	struct vici_rd r = { .value = (const uint8_t *)"ab\ncdefgh", .value_len = 9 };
	vici_value_text(&r, text, sizeof(text));
	ck_assert_str_eq(text, "ab?cd");
	ck_assert(vici_value_is(&r, "ab\ncdefgh"));
	ck_assert(!vici_value_is(&r, "ab\ncdefg"));
	r.value = NULL;
	ck_assert(!vici_value_is(&r, ""));
	ck_assert_uint_eq(vici_value_u64(&r), 0);
	ck_assert_str_ne(vici_drop_text((enum vici_drop) - 1), "");
}
END_TEST

/* ---- rows ---- */

static void put_child(struct vici_wr *w, const char *section, const char *name, const char *id, const char *state,
		      const char *in, const char *out)
{
	vici_put_section(w, section);
	vici_put_key(w, "name", name);
	vici_put_key(w, "uniqueid", id);
	vici_put_key(w, "state", state);
	vici_put_key(w, "packets-in", in);
	vici_put_key(w, "packets-out", out);
	vici_put_list(w, "local-ts");
	vici_put_item(w, "10.0.0.0/8");
	vici_put_list_end(w);
	vici_put_section_end(w);
}

static void begin_ike(struct vici_wr *w, const char *name, const char *id, const char *state)
{
	vici_put_section(w, name);
	vici_put_key(w, "uniqueid", id);
	vici_put_key(w, "version", "2");
	vici_put_key(w, "state", state);
}

/* Body of the one packet in buf. */
static const uint8_t *body(const uint8_t *buf, size_t n, size_t *len)
{
	static uint8_t store[4096];
	static struct vici_packet p;
	struct vici_framer f;
	size_t used;

	vici_framer_init(&f, store, sizeof(store));
	ck_assert_int_eq(vici_feed(&f, buf, n, &used, &p), VICI_OK);
	*len = p.msg_len;
	return p.msg;
}

START_TEST(spis_of_children)
{
	static const struct {
		const char *text;
		uint32_t spi;
	} form[] = { { "c0ffee01", 0xc0ffee01 },
		     { "C0FFEE01", 0xc0ffee01 },
		     { "1f", 0x1f },
		     { "ffffffff", 0xffffffff },
		     { "", 0 },
		     { "123456789", 0 },
		     { "0x12", 0 },
		     { "12 4", 0 },
		     { "`1", 0 },
		     { "@1", 0 },
		     { "g", 0 },
		     { "-1", 0 } };
	uint8_t buf[2048];
	size_t len;

	for (unsigned i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		struct vici_wr w;
		struct vici_sa_rd rd;
		struct vici_sa_row row;
		struct ike_sample s = { .present = false };
		vici_begin(&w, buf, sizeof(buf), VICI_EVENT, "list-sa");
		begin_ike(&w, "hq", "3", "ESTABLISHED");
		vici_put_section(&w, "child-sas");
		vici_put_section(&w, "dmz-4"); /* another child of the connection */
		vici_put_key(&w, "name", "dmz");
		vici_put_key(&w, "spi-in", form[i].text);
		vici_put_key(&w, "spi-out", "aaaaaaaa");
		vici_put_section_end(&w);
		put_child(&w, "net-5", "net", "5", "INSTALLED", "17", "23");
		vici_put_section_end(&w);
		vici_put_section_end(&w);
		const uint8_t *msg = body(buf, vici_end(&w), &len);
		vici_sa_begin(&rd, msg, len);
		ck_assert(vici_sa_next(&rd, &row));
		ck_assert_uint_eq(row.spi_in, form[i].spi);
		vici_sample_add(&s, &row, "hq", "net");
		ck_assert(vici_sa_next(&rd, &row));
		ck_assert_uint_eq(row.spi_in, 0);
		vici_sample_add(&s, &row, "hq", "net");
		ck_assert_uint_eq(s.n_spis, form[i].spi != 0);
		ck_assert_uint_eq(s.spi_in[0], form[i].spi);
		ck_assert(s.child);
		for (unsigned k = 0; k < 2 * IKE_SAMPLE_SPIS; k++) {
			row.spi_in = 0x1000 + k;
			vici_sample_add(&s, &row, "hq", "net");
		}
		ck_assert_uint_eq(s.n_spis, IKE_SAMPLE_SPIS);
	}
}
END_TEST

START_TEST(alerts)
{
	uint8_t buf[512];
	size_t len;

	for (unsigned a = 0; a < VICI_ALERT_N; a++) {
		struct vici_wr w;
		vici_begin(&w, buf, sizeof(buf), VICI_EVENT, "alert");
		vici_put_section(&w, "hq");
		vici_put_key(&w, "remote-id", "invalid-ike-spi"); /* what a peer calls itself is no alert */
		vici_put_section_end(&w);
		vici_put_key(&w, "type", a ? vici_alert_word((enum vici_alert)a) : "something new");
		const uint8_t *msg = body(buf, vici_end(&w), &len);
		ck_assert_int_eq(vici_alert_read(msg, len), a);
		for (size_t cut = 0; cut < len; cut++)
			ck_assert(vici_alert_read(msg, cut) == VICI_ALERT_OTHER || vici_check(msg, cut) == VICI_OK);
		ck_assert_uint_gt(strlen(vici_alert_text((enum vici_alert)a)), 5);
	}
	ck_assert_str_eq(vici_alert_text(VICI_ALERT_N), "?");
	ck_assert_str_eq(vici_alert_word(VICI_ALERT_N), "?");
}
END_TEST

START_TEST(rows_of_a_list)
{
	uint8_t buf[2048];
	struct vici_wr w;
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	struct ike_sample s = { .present = false };
	size_t len;

	vici_begin(&w, buf, sizeof(buf), VICI_EVENT, "list-sa");
	begin_ike(&w, "hq", "3", "ESTABLISHED");
	vici_put_list(&w, "tasks-queued");
	vici_put_list_end(&w);
	vici_put_section(&w, "child-sas");
	put_child(&w, "net-4", "net", "4", "REKEYED", "900", "900");
	put_child(&w, "net-5", "net", "5", "INSTALLED", "17", "23");
	put_child(&w, "dmz-6", "dmz", "6", "INSTALLED", "1", "2");
	vici_put_section_end(&w);
	vici_put_section_end(&w);
	begin_ike(&w, "other", "9", "CONNECTING");
	vici_put_section_end(&w);
	const uint8_t *msg = body(buf, vici_end(&w), &len);

	vici_sa_begin(&rd, msg, len);
	unsigned n = 0;
	while (vici_sa_next(&rd, &row)) {
		vici_sample_add(&s, &row, "hq", "net");
		if (n == 1) {
			ck_assert_str_eq(row.ike, "hq");
			ck_assert_str_eq(row.child, "net");
			ck_assert_uint_eq(row.ike_id, 3);
			ck_assert_uint_eq(row.child_id, 5);
			ck_assert(row.established && row.installed && row.has_child);
		}
		if (n == 3) {
			ck_assert_str_eq(row.ike, "other");
			ck_assert(!row.has_child && !row.established);
		}
		n++;
	}
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(rd.rd.drop, VICI_OK);
	ck_assert(s.present && s.established && s.child);
	ck_assert_uint_eq(s.sa_id, 5);
	ck_assert_uint_eq(s.in_packets, 17);
	ck_assert_uint_eq(s.out_packets, 23);

	struct ike_sample none = { .present = false };
	vici_sa_begin(&rd, msg, len);
	while (vici_sa_next(&rd, &row))
		vici_sample_add(&none, &row, "other", "net");
	ck_assert(none.present && !none.established && !none.child);

	/* Cut anywhere: never more rows, never a row that is not complete, and the end says why. */
	for (size_t cut = 0; cut < len; cut++) {
		unsigned rows = 0;
		vici_sa_begin(&rd, msg, cut);
		while (vici_sa_next(&rd, &row))
			rows++;
		ck_assert_uint_le(rows, 4);
		ck_assert(rd.rd.drop != VICI_OK || vici_check(msg, cut) == VICI_OK);
	}
}
END_TEST

/* RFC 9611: a child of the same name for each CPU. What one carries nobody else does. */
START_TEST(children_of_every_cpu)
{
	enum { CPUS = IKE_SAMPLE_SPIS + 2 };
	struct ike_sample s = { .present = false };
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < CPUS; i++) {
		struct vici_sa_row row = { .ike = "hq",
					   .child = "net",
					   .established = true,
					   .has_child = true,
					   .installed = true,
					   .child_id = 10 + (i * 7) % CPUS,
					   .spi_in = 0xc0000000 + i,
					   .in_packets = i,
					   .out_packets = 100 * i };
		in += row.in_packets;
		out += row.out_packets;
		ck_assert(!s.more_spis || i > IKE_SAMPLE_SPIS);
		vici_sample_add(&s, &row, "hq", "net");
	}
	ck_assert(s.child && s.more_spis);
	ck_assert_uint_eq(s.n_spis, IKE_SAMPLE_SPIS);
	ck_assert_uint_eq(s.sa_id, 10 + CPUS - 1);
	ck_assert_uint_eq(s.in_packets, in);
	ck_assert_uint_eq(s.out_packets, out);
}
END_TEST

START_TEST(row_of_a_rekey_is_the_new_child)
{
	uint8_t buf[2048];
	struct vici_wr w;
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	size_t len;

	vici_begin(&w, buf, sizeof(buf), VICI_EVENT, "child-rekey");
	begin_ike(&w, "hq", "3", "ESTABLISHED");
	vici_put_section(&w, "child-sas");
	vici_put_section(&w, "net");
	put_child(&w, "old", "net", "4", "REKEYED", "9", "9");
	put_child(&w, "new", "net", "5", "INSTALLED", "0", "0");
	vici_put_section_end(&w);
	vici_put_section_end(&w);
	vici_put_section_end(&w);
	const uint8_t *msg = body(buf, vici_end(&w), &len);
	vici_sa_begin(&rd, msg, len);
	ck_assert(vici_sa_next(&rd, &row));
	ck_assert_uint_eq(row.child_id, 5);
	ck_assert_str_eq(row.child, "net");
	ck_assert(row.installed);
	ck_assert(!vici_sa_next(&rd, &row));
}
END_TEST

START_TEST(row_of_an_ike_rekey_is_the_new_one)
{
	uint8_t buf[512];
	struct vici_wr w;
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	size_t len;

	vici_begin(&w, buf, sizeof(buf), VICI_EVENT, "ike-rekey");
	vici_put_section(&w, "hq");
	begin_ike(&w, "old", "3", "REKEYED");
	vici_put_section_end(&w);
	begin_ike(&w, "new", "8", "ESTABLISHED");
	vici_put_section_end(&w);
	vici_put_section_end(&w);
	const uint8_t *msg = body(buf, vici_end(&w), &len);
	vici_sa_begin(&rd, msg, len);
	ck_assert(vici_sa_next(&rd, &row));
	ck_assert_uint_eq(row.ike_id, 8);
	ck_assert(row.established && !row.has_child);
}
END_TEST

START_TEST(long_names_never_match)
{
	char name[100], prefix[IKE_NAME_MAX];
	uint8_t buf[512];
	struct vici_wr w;
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	struct ike_sample s = { .present = false };
	size_t len;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(prefix, 'n', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	vici_begin(&w, buf, sizeof(buf), VICI_EVENT, "list-sa");
	begin_ike(&w, name, "3", "ESTABLISHED");
	vici_put_section_end(&w);
	const uint8_t *msg = body(buf, vici_end(&w), &len);
	vici_sa_begin(&rd, msg, len);
	ck_assert(vici_sa_next(&rd, &row));
	ck_assert_str_eq(row.ike, "");
	vici_sample_add(&s, &row, prefix, "net");
	vici_sample_add(&s, &row, "", "net");
	ck_assert(!s.present);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vici_wire");
	TCase *t = tcase_create("wire");

	tcase_add_test(t, encodes_known_bytes);
	tcase_add_test(t, encoder_reports_lack_of_room);
	tcase_add_test(t, stream_split_at_every_byte);
	tcase_add_test(t, framer_asks_for_room);
	tcase_add_test(t, bad_segments);
	tcase_add_test(t, bad_messages);
	tcase_add_test(t, depth_is_bounded);
	tcase_add_test(t, values);
	suite_add_tcase(s, t);
	t = tcase_create("rows");
	tcase_add_test(t, rows_of_a_list);
	tcase_add_test(t, spis_of_children);
	tcase_add_test(t, alerts);
	tcase_add_test(t, children_of_every_cpu);
	tcase_add_test(t, row_of_a_rekey_is_the_new_child);
	tcase_add_test(t, row_of_an_ike_rekey_is_the_new_one);
	tcase_add_test(t, long_names_never_match);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
