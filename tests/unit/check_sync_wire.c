/* Channel codec: round trips, golden bytes, every truncation, named drops. KT_GOLDEN=write makes the golden files. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/ct_wire.h"
#include "sync/peer_hello.h"
#include "sync/sync_wire.h"

static struct peer_msg hello(void)
{
	struct peer_msg m = { .type = PEER_HELLO, .epoch = { 7, 2 } };
	struct peer_hello *h = &m.hello;
	*h = (struct peer_hello){ .version_min = 1, .version_max = 3, .features = 0x1122334455667788, .node = 2 };
	h->boot_nonce = 0xa1a2a3a4a5a6a7a8;
	strcpy(h->cluster, "edge");
	h->record_max = SYNC_CTL_MAX;
	h->epoch_max = (struct epoch){ 7, 2 };
	for (unsigned i = 0; i < 16; i++)
		h->digest_key[i] = (uint8_t)(i + 1);
	for (unsigned i = 0; i < 4; i++)
		h->config_digest[i] = 0x0101010101010101u * (i + 1);
	h->data = true;
	return m;
}

static struct peer_msg sample(enum peer_msg_type type)
{
	struct peer_msg m = { .type = type, .epoch = { 12, 1 } };
	switch (type) {
	case PEER_HELLO:
		return hello();
	case PEER_HEARTBEAT:
		m.you_have_all = m.maintenance = true;
		m.n_groups = 3;
		for (unsigned i = 0; i < m.n_groups; i++)
			m.groups[i] = (struct peer_group_state){
				(uint16_t)(i * 300), (uint8_t)(i + 1), 150, i == 1, { 12 - i, 1 }
			};
		break;
	case PEER_GO:
		m.last_seq = 0x123456789a;
		m.group = 3;
		m.reason = 4;
		break;
	case PEER_TAKE:
	case PEER_PREPARED:
	case PEER_UP:
	case PEER_LEAVING:
		m.group = 513;
		m.reason = 2;
		m.planned = type == PEER_LEAVING;
		m.successor = type == PEER_LEAVING ? 7 : 0;
		break;
	case PEER_JOURNAL:
		m.blob_len = 200;
		for (unsigned i = 0; i < m.blob_len; i++)
			m.blob[i] = (uint8_t)(i * 7);
		break;
	case PEER_CLOSE:
		m.reason = PEER_WHY_CLUSTER;
		strcpy(m.text, "cluster 'a' of node 2 is not 'b'");
		break;
	case PEER_FACTS_ASK:
		m.facts = (struct peer_facts){ .id = 9, .offset = 512, .sessions = true, .config = true };
		break;
	case PEER_FACTS:
		m.facts = (struct peer_facts){ .id = 9, .offset = 512, .total = 800, .wall_us = 0x60a0b0c0d0e0f };
		m.blob_len = 256;
		memset(m.blob, 'k', m.blob_len);
		break;
	}
	return m;
}

static struct ct_entry entry(unsigned l3, unsigned l4, bool nat)
{
	struct ct_entry e = { .has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_MARK };
	e.orig.l3 = (uint8_t)l3;
	e.orig.l4 = (uint8_t)l4;
	e.orig.zone = 5;
	for (unsigned i = 0; i < (l3 == 4 ? 4u : 16u); i++) {
		e.orig.src[i] = (uint8_t)(10 + i);
		e.orig.dst[i] = (uint8_t)(192 - i);
	}
	e.orig.sport = 40000;
	e.orig.dport = l4 == 1 ? 8 << 8 : 443;
	ck_assert(ct_tuple_invert(&e.orig, &e.reply));
	if (nat) {
		e.reply.dst[3] = 77;
		e.reply.dport = 1024;
	}
	e.status = CT_ST_SEEN_REPLY | CT_ST_ASSURED | CT_ST_CONFIRMED | (nat ? CT_ST_SRC_NAT | CT_ST_SRC_NAT_DONE : 0);
	e.timeout_s = 431999;
	e.mark = 0xdeadbeef;
	if (l4 == 6) {
		e.has |= CT_HAS_TCP | CT_HAS_TCP_WIN;
		e.tcp_state = CT_TCP_ESTABLISHED;
		e.tcp_flags[0] = 0x0b;
		e.tcp_flags[1] = 0x03;
		e.tcp_wscale[0] = 7;
		e.tcp_wscale[1] = 9;
	}
	return e;
}

static const struct flow_version version = { { 12, 1 }, 3, 1 };

static void rare(struct ct_entry *e)
{
	e->has |= CT_HAS_LABELS | CT_HAS_SEQADJ | CT_HAS_SYNPROXY;
	e->labels[0] = 1;
	e->labels[15] = 0x80;
	e->seqadj[0] = (struct ct_seqadj){ 1000, 0, -5 };
	e->seqadj[1] = (struct ct_seqadj){ 4000000000u, 7, 12 };
	e->synproxy = (struct ct_synproxy){ 1, 2, 3 };
}

static void facts(struct sync_facts *f)
{
	f->flags = SYNC_FACT_KERNEL | SYNC_FACT_TABLE | SYNC_FACT_TUPLES | SYNC_FACT_MINE;
	f->orig = entry(4, 6, true).orig;
	f->reply = entry(4, 6, true).reply;
	f->status = CT_ST_SEEN_REPLY | CT_ST_SRC_NAT;
	f->left_s = 431999;
	f->tcp_state = CT_TCP_ESTABLISHED;
	f->kernel_err = 1;
	strcpy(f->word, "local-destination");
	f->err = 12;
	f->version = version;
	f->table_left_s = 300;
	f->quiet_s = 7;
	f->rule = 513;
	f->cause = SYNC_ADDR_VIP;
	f->cause_l3 = 6;
	memset(f->cause_ip, 0xfd, sizeof(f->cause_ip));
	f->kernel_count = 262143;
	f->kernel_max = 262144;
}

/* A stream with every record type and every shape of entry. */
static unsigned samples(struct sync_rec *r)
{
	unsigned n = 0;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_FLOOR, .version = version };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_BULK_BEGIN };
	memset(r[n - 1].mask, 0xff, sizeof(r->mask));
	r[n++] = (struct sync_rec){
		.type = SYNC_REC_SESSION, .version = version, .handle = 2, .check = 9, .full = true, .bulk = true
	};
	r[n - 1].e = entry(4, 6, false);
	r[n++] =
	    (struct sync_rec){ .type = SYNC_REC_SESSION, .version = version, .handle = 4, .check = 8, .full = true };
	r[n - 1].e = entry(4, 6, true);
	r[n++] = (struct sync_rec){ .type = SYNC_REC_CLAIM, .version = version, .handle = 3, .check = 7, .full = true };
	r[n - 1].e = entry(6, 17, false);
	r[n++] = (struct sync_rec){
		.type = SYNC_REC_CURRENT, .version = { { 13, 2 }, 0, 2 }, .handle = 6, .check = 6, .full = true
	};
	r[n - 1].e = entry(4, 1, false);
	r[n - 1].e.has |= CT_HAS_HELPER | CT_HAS_MASTER;
	strcpy(r[n - 1].e.helper, "ftp");
	r[n - 1].e.master = entry(4, 6, false).orig;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_SESSION, .version = version, .handle = 2, .check = 9 };
	r[n - 1].e.has = CT_HAS_TCP | CT_HAS_TIMEOUT;
	r[n - 1].e.tcp_state = CT_TCP_FIN_WAIT;
	r[n - 1].e.timeout_s = 120;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_DELETE, .version = version, .handle = 2, .check = 9 };
	r[n++] =
	    (struct sync_rec){ .type = SYNC_REC_EXPIRED, .version = version, .handle = 4, .check = 8, .full = true };
	r[n - 1].e.orig = entry(6, 6, false).orig;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_WANT, .handle = 11, .check = 1 };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_BULK_BEGIN };
	r[n - 1].mask[17] = 0x42;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_BULK_END };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_DIGEST, .count = 500000, .digest = 0x0123456789abcdef };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_DIGEST_BUCKETS, .first = 4064 };
	r[n - 1].n = 32;
	for (unsigned i = 0; i < 32; i++)
		r[n - 1].buckets[i] = (struct sync_bucket){ i, i * 0x1111111111u };
	r[n++] =
	    (struct sync_rec){ .type = SYNC_REC_ACK, .ack_seq = 99, .refused = 2, .digest_seq = 90, .equal = true };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_REFUSED, .version = version, .full = true, .err = 17 };
	r[n - 1].e.orig = entry(4, 17, false).orig;
	for (unsigned i = 0; i < n; i++) {
		r[i].owner = 1;
		r[i].epoch = (struct epoch){ i < 12 ? 12 : 13, 1 };
		r[i].seq = i + 1;
	}
	r[n++] =
	    (struct sync_rec){ .type = SYNC_REC_SESSION, .version = version, .handle = 14, .check = 5, .full = true };
	r[n - 1].e = entry(4, 132, true);
	r[n - 1].e.has = (r[n - 1].e.has & ~(uint32_t)(CT_HAS_TCP | CT_HAS_TCP_WIN)) | CT_HAS_SCTP;
	r[n - 1].e.tcp_state = 0;
	memset(r[n - 1].e.tcp_flags, 0, sizeof(r->e.tcp_flags));
	memset(r[n - 1].e.tcp_wscale, 0, sizeof(r->e.tcp_wscale));
	r[n - 1].e.sctp_state = CT_SCTP_ESTABLISHED;
	r[n - 1].e.sctp_vtag[0] = 0xfeedface;
	r[n - 1].e.sctp_vtag[1] = 1;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_SESSION, .version = version, .handle = 4, .check = 8 };
	rare(&r[n - 1].e);
	r[n++] = (struct sync_rec){ .type = SYNC_REC_ASK, .ask_id = 77 };
	r[n - 1].e.orig = entry(6, 6, false).orig;
	r[n++] = (struct sync_rec){ .type = SYNC_REC_ANSWER, .ask_id = 78 };
	facts(&r[n - 1].facts);
	r[n++] = (struct sync_rec){ .type = SYNC_REC_ANSWER, .ask_id = 79 };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_RESYNC };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_COUNTS_ASK };
	r[n++] = (struct sync_rec){ .type = SYNC_REC_COUNTS };
	r[n - 1].counts = (struct sync_count_set){
		.proto = 2, .left = 5, .n_rows = 3, .age_ms = 1234, .half_open = 7, .half_close = 70000
	};
	r[n - 1].counts.rows[0].count = 13;
	r[n - 1].counts.rows[1] = (struct sync_count_row){ .count = 629, .disp = 2, .word = "local-origin" };
	r[n - 1].counts.rows[2] = (struct sync_count_row){ .count = 1, .disp = 1, .absent = true, .word = "lost" };
	return n;
}

static void golden(const char *name, const uint8_t *buf, size_t len)
{
	char path[512];
	uint8_t want[SYNC_DATA_MAX];
	snprintf(path, sizeof(path), "%s/tests/unit/golden/%s.bin", SRCDIR, name);
	const char *mode = getenv("KT_GOLDEN");
	FILE *f = fopen(path, mode && strcmp(mode, "write") == 0 ? "wb" : "rb");
	ck_assert_msg(f != NULL, "%s cannot be opened", path);
	if (mode && strcmp(mode, "write") == 0) {
		ck_assert_uint_eq(fwrite(buf, 1, len, f), len);
	} else {
		size_t n = fread(want, 1, sizeof(want), f);
		ck_assert_msg(n == len && memcmp(want, buf, len) == 0,
			      "%s: the bytes on the wire have changed: old versions would not understand them", path);
	}
	fclose(f);
}

static enum sync_drop read_one(const uint8_t *buf, size_t len, enum sync_channel chan, struct peer_msg *m)
{
	struct sync_env env;
	size_t used;
	enum sync_drop d = sync_env_read(buf, len, SYNC_CTL_MAX, chan, &env, &used);
	if (d != SYNC_OK)
		return d;
	ck_assert_uint_eq(used, len);
	return sync_msg_read(&env, m, NULL);
}

START_TEST(message_round_trip)
{
	uint8_t buf[SYNC_CTL_MAX];
	char name[32];
	struct peer_msg m = sample((enum peer_msg_type)_i), back;
	int n = sync_msg_write(buf, sizeof(buf), 2, 77, &m);
	ck_assert_int_gt(n, SYNC_ENV_LEN - 1);
	ck_assert_int_eq(read_one(buf, (size_t)n, SYNC_CHAN_CTL, &back), SYNC_OK);
	ck_assert_mem_eq(&m, &back, sizeof(m));
	snprintf(name, sizeof(name), "msg_%s", sync_type_find((uint16_t)_i)->name);
	golden(name, buf, (size_t)n);
	/* No room: nothing half written is taken for a record. */
	for (int cap = 0; cap < n; cap++)
		ck_assert_int_eq(sync_msg_write(buf, (size_t)cap, 2, 77, &m), ERR_FULL);
}
END_TEST

/* Cut at every byte: incomplete in the stream; with a matching length it is a named drop, or still good when the cut
 * falls behind the last TLV that is needed. */
START_TEST(message_cut)
{
	uint8_t buf[SYNC_CTL_MAX], cut[SYNC_CTL_MAX];
	struct peer_msg m = sample((enum peer_msg_type)_i), back, zero = { 0 };
	int n = sync_msg_write(buf, sizeof(buf), 2, 77, &m);
	for (int len = 0; len < n; len++) {
		ck_assert_int_eq(read_one(buf, (size_t)len, SYNC_CHAN_CTL, &back), SYNC_MORE);
		if (len < SYNC_ENV_LEN)
			continue;
		memcpy(cut, buf, (size_t)len);
		cut[30] = (uint8_t)((len - SYNC_ENV_LEN) >> 8);
		cut[31] = (uint8_t)(len - SYNC_ENV_LEN);
		enum sync_drop d = read_one(cut, (size_t)len, SYNC_CHAN_CTL, &back);
		ck_assert(d == SYNC_OK || d == SYNC_DROP_TLV_CUT || d == SYNC_DROP_TLV_MISSING);
		if (d != SYNC_OK)
			ck_assert_mem_eq(&back, &zero, sizeof(zero));
	}
}
END_TEST

START_TEST(full_heartbeat_fits)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = PEER_GROUPS_MAX }, back;
	int n = sync_msg_write(buf, sizeof(buf), 1, 1, &m);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(read_one(buf, (size_t)n, SYNC_CHAN_CTL, &back), SYNC_OK);
	ck_assert_uint_eq(back.n_groups, PEER_GROUPS_MAX);
}
END_TEST

/* Builds a record of raw bytes. */
static size_t raw(uint8_t *buf, uint16_t type, uint16_t flags, const uint8_t *body, size_t len)
{
	struct wire_wr w = wire_wr(buf, SYNC_CTL_MAX);
	struct sync_env env = { .type = type, .flags = flags, .owner = 2 };
	size_t off = sync_env_begin(&w, &env);
	wire_put_bytes(&w, body, len);
	sync_env_end(&w, off);
	return wire_len(&w);
}

START_TEST(envelope_drops)
{
	uint8_t buf[SYNC_CTL_MAX], big[64] = { 0 };
	struct sync_env env;
	size_t used;
	size_t n = raw(buf, 200, 0, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_TYPE);
	ck_assert_uint_eq(used, n);
	n = raw(buf, 200, SYNC_FLAG_CRITICAL, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_TYPE_CRITICAL);
	n = raw(buf, PEER_HEARTBEAT, 2, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_FLAGS);
	n = raw(buf, PEER_HEARTBEAT, 0, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_DROP_CHANNEL);
	n = raw(buf, SYNC_OBJ_SESSION, 0, NULL, 0);
	ck_assert_int_eq(sync_env_read(buf, n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_CHANNEL);
	n = raw(buf, PEER_HEARTBEAT, 0, big, sizeof(big));
	ck_assert_int_eq(sync_env_read(buf, n, 64, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_LENGTH);
	ck_assert_uint_eq(used, 0);
	ck_assert_int_eq(sync_env_read(buf, n, 8, SYNC_CHAN_CTL, &env, &used), SYNC_DROP_LENGTH);
}
END_TEST

static const struct {
	uint16_t type;
	uint8_t body[40];
	size_t len;
	enum sync_drop want;
} bad_bodies[] = {
	{ PEER_HEARTBEAT, { 0, 99, 0, 0 }, 4, SYNC_OK },                   /* unknown: skipped */
	{ PEER_HEARTBEAT, { 0x80, 99, 0, 0 }, 4, SYNC_DROP_TLV_CRITICAL }, /* unknown and critical */
	{ PEER_HEARTBEAT, { 0x80, 8, 0, 0 }, 4, SYNC_DROP_TLV_CRITICAL },  /* known, but not in a heartbeat */
	{ PEER_HEARTBEAT, { 0, 99, 0, 1 }, 4, SYNC_DROP_TLV_CUT },
	{ PEER_HEARTBEAT, { 0, 99, 0 }, 3, SYNC_DROP_TLV_CUT },
	{ PEER_HEARTBEAT, { 0, 13, 0, 0, 0, 13, 0, 0 }, 8, SYNC_DROP_TLV_TWICE },
	{ PEER_HEARTBEAT, { 0, 12, 0, 3, 0, 0, 0 }, 7, SYNC_DROP_TLV_LENGTH },
	{ PEER_HEARTBEAT, { 0, 12, 0, 17, 0, 0, 9 }, 21, SYNC_DROP_TLV_VALUE }, /* role 9 */
	{ PEER_TAKE, { 0 }, 0, SYNC_DROP_TLV_MISSING },
	{ PEER_GO, { 0, 11, 0, 2, 0, 1 }, 6, SYNC_DROP_TLV_MISSING },
	{ PEER_CLOSE, { 0, 17, 0, 2, 'a', 7 }, 6, SYNC_DROP_TEXT }, /* a bell in the reason */
	{ PEER_CLOSE, { 0, 17, 0, 0 }, 4, SYNC_DROP_TLV_LENGTH },
	{ PEER_FACTS_ASK, { 0 }, 0, SYNC_DROP_TLV_MISSING },
	{ PEER_FACTS_ASK, { 0, 21, 0, 12 }, 16, SYNC_DROP_TLV_LENGTH },
	{ PEER_FACTS, { 0, 21, 0, 13 }, 17, SYNC_DROP_TLV_MISSING },        /* no piece */
	{ PEER_HELLO, { 0, 1, 0, 4, 0, 2, 0, 1 }, 8, SYNC_DROP_TLV_VALUE }, /* versions 2..1 */
	{ PEER_HELLO, { 0, 3, 0, 4, 0, 0, 0, 0 }, 8, SYNC_DROP_TLV_VALUE }, /* node 0 */
	{ PEER_HELLO, { 0, 6, 0, 4, 0, 0, 0, 9 }, 8, SYNC_DROP_TLV_VALUE }, /* record limit 9 */
};

START_TEST(body_drops)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m;
	size_t n = raw(buf, bad_bodies[_i].type, 0, bad_bodies[_i].body, bad_bodies[_i].len);
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), bad_bodies[_i].want);
}
END_TEST

START_TEST(too_many_groups)
{
	uint8_t buf[SYNC_CTL_MAX], body[21 * (PEER_GROUPS_MAX + 1)] = { 0 };
	struct peer_msg m;
	for (unsigned i = 0; i <= PEER_GROUPS_MAX; i++)
		memcpy(body + 21 * i, (uint8_t[]){ 0, 12, 0, 17 }, 4);
	size_t n = raw(buf, PEER_HEARTBEAT, 0, body, sizeof(body));
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), SYNC_DROP_TLV_MANY);
	uint8_t blob[4 + PEER_BLOB_MAX + 1] = { 0, 18, (PEER_BLOB_MAX + 1) >> 8, (PEER_BLOB_MAX + 1) & 0xff };
	n = raw(buf, PEER_JOURNAL, 0, blob, sizeof(blob));
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), SYNC_DROP_TLV_LENGTH);
}
END_TEST

/* A later version may append to a TLV. */
START_TEST(longer_values_are_read)
{
	uint8_t buf[SYNC_CTL_MAX];
	struct peer_msg m;
	static const uint8_t body[] = { 0, 11, 0, 5, 0, 3, 1, 2, 3 };
	size_t n = raw(buf, PEER_TAKE, 0, body, sizeof(body));
	ck_assert_int_eq(read_one(buf, n, SYNC_CHAN_CTL, &m), SYNC_OK);
	ck_assert_uint_eq(m.group, 3);
}
END_TEST

static unsigned unpack(const uint8_t *buf, size_t len, struct sync_rec *out, struct sync_wire_stats *st)
{
	unsigned n = 0;
	size_t used;
	struct sync_env env;
	for (size_t at = 0; at < len; at += used) {
		ck_assert_int_eq(sync_env_read(buf + at, len - at, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used),
				 SYNC_OK);
		struct sync_unpack u;
		sync_unpack_begin(&u, &env);
		enum sync_drop d;
		while ((d = sync_unpack_next(&u, &out[n], st)) != SYNC_MORE) {
			if (d == SYNC_OK)
				n++;
			else
				sync_wire_count(st, d);
		}
	}
	return n;
}

START_TEST(records_round_trip)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[32], out[33];
	struct sync_wire_stats st = { 0 };
	struct sync_pack p;
	unsigned n = samples(in);
	sync_pack_begin(&p, buf, sizeof(buf));
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
	size_t len = sync_pack_end(&p);
	ck_assert_uint_eq(unpack(buf, len, out, &st), n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(memcmp(&in[i], &out[i], sizeof(in[i])) == 0, "record %u (type %d) differs", i,
			      in[i].type);
	golden("data_stream", buf, len);
}
END_TEST

/* Counters go with whole records and short ones alike, of all types that carry an entry, and with no other. */
START_TEST(counters_round_trip)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[32], out[33];
	struct sync_wire_stats st = { 0 };
	struct sync_pack p;
	unsigned n = samples(in), with = 0;
	sync_pack_begin(&p, buf, sizeof(buf));
	for (unsigned i = 0; i < n; i++) {
		bool entry =
		    in[i].type == SYNC_REC_SESSION || in[i].type == SYNC_REC_CLAIM || in[i].type == SYNC_REC_CURRENT;
		if (entry) {
			in[i].e.has |= CT_HAS_COUNTERS;
			in[i].e.packets = UINT64_MAX - i;
			in[i].e.bytes = i;
			in[i].e.age_s = i % 2 ? CT_AGE_UNKNOWN : i;
			with++;
		}
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
	}
	size_t len = sync_pack_end(&p);
	ck_assert_uint_ge(with, 3);
	ck_assert_uint_eq(unpack(buf, len, out, &st), n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(memcmp(&in[i], &out[i], sizeof(in[i])) == 0, "record %u (type %d) differs", i,
			      in[i].type);
}
END_TEST

/* At any room: a record fits whole or is not there, and what was packed before stays readable. */
START_TEST(pack_at_every_room)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[32], out[33];
	unsigned n = samples(in);
	for (size_t cap = 0; cap < 2600; cap++) {
		struct sync_wire_stats st = { 0 };
		struct sync_pack p;
		unsigned put = 0;
		sync_pack_begin(&p, buf, cap);
		while (put < n && sync_pack_add(&p, &in[put]) == 0)
			put++;
		size_t len = sync_pack_end(&p);
		ck_assert_uint_le(len, cap);
		ck_assert_uint_eq(unpack(buf, len, out, &st), put);
		for (unsigned i = 0; i < put; i++)
			ck_assert_mem_eq(&in[i], &out[i], sizeof(in[i]));
	}
}
END_TEST

START_TEST(largest_object_fits)
{
	uint8_t buf[SYNC_ENV_LEN + SYNC_PACK_OBJ_MAX];
	struct sync_rec r = { .type = SYNC_REC_SESSION, .version = version, .full = true, .owner = 1, .seq = 1 };
	r.e = entry(6, 6, true);
	rare(&r.e);
	r.e.has |= CT_HAS_HELPER | CT_HAS_MASTER | CT_HAS_SCTP;
	memset(r.e.helper, 'h', sizeof(r.e.helper) - 1);
	r.e.master = r.e.orig;
	struct sync_rec begin = { .type = SYNC_REC_BULK_BEGIN }, buckets = { .type = SYNC_REC_DIGEST_BUCKETS, .n = 32 };
	const struct sync_rec *all[] = { &r, &begin, &buckets };
	for (unsigned i = 0; i < 3; i++) {
		struct sync_pack p;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, all[i]), 0);
	}
}
END_TEST

/* Every truncation of every object, with matching lengths, is a named drop; the objects behind it are still read. */
START_TEST(objects_cut)
{
	struct sync_rec in[32], out;
	unsigned n = samples(in);
	unsigned named = 0;
	for (unsigned i = 0; i < n; i++) {
		uint8_t buf[SYNC_DATA_MAX], two[SYNC_DATA_MAX];
		struct sync_pack p;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
		size_t len = sync_pack_end(&p) - SYNC_ENV_LEN - 4;
		const uint8_t *value = buf + SYNC_ENV_LEN + 4;
		for (size_t cut = 0; cut < len; cut++) {
			struct wire_wr w = wire_wr(two, sizeof(two));
			struct sync_unpack u;
			struct sync_env env = { .type = buf[0] << 8 | buf[1], .owner = 1, .seq = 5, .body = two };
			wire_put_u16(&w, (uint16_t)in[i].type);
			wire_put_u16(&w, (uint16_t)cut);
			wire_put_bytes(&w, value, cut);
			wire_put_u16(&w, (uint16_t)in[i].type);
			wire_put_u16(&w, (uint16_t)len);
			wire_put_bytes(&w, value, len);
			env.len = (uint32_t)wire_len(&w);
			sync_unpack_begin(&u, &env);
			enum sync_drop d = sync_unpack_next(&u, &out, NULL);
			ck_assert(d != SYNC_MORE && d < SYNC_DROP_N);
			named += d != SYNC_OK;
			d = sync_unpack_next(&u, &out, NULL);
			bool same_version = in[i].type == SYNC_REC_WANT;
			ck_assert_msg(d == SYNC_OK || (same_version && d == SYNC_DROP_TLV_MISSING),
				      "type %d cut at %zu: %s", in[i].type, cut, sync_drop_name(d));
			ck_assert_uint_eq(out.seq, 6);
			ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_MORE);
		}
	}
	ck_assert_uint_gt(named, 400);
}
END_TEST

/* An object that is refused before its version was read must not lend an older version to the next one. */
START_TEST(lost_version_is_not_borrowed)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[3], out;
	struct sync_pack p;
	struct sync_unpack u;
	struct sync_env env;
	size_t used;
	for (unsigned i = 0; i < 3; i++) {
		in[i] = (struct sync_rec){ .type = SYNC_REC_DELETE, .owner = 1, .seq = i + 1, .handle = i };
		in[i].version = version;
		in[i].version.claim = i == 0 ? 1 : 2;
	}
	sync_pack_begin(&p, buf, sizeof(buf));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
	size_t len = sync_pack_end(&p);
	size_t second = SYNC_ENV_LEN + 4 + 1 + 8 + 20 + 2;
	ck_assert_uint_eq(buf[second + 1], SYNC_REC_DELETE);
	buf[second + 4] = 0xf0; /* flags of the second object: unknown ones */
	ck_assert_int_eq(sync_env_read(buf, len, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_OK);
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_OK);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_DROP_TLV_VALUE);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_DROP_TLV_MISSING);
}
END_TEST

/* A session object of raw fields: what a packer never writes. */
struct object {
	uint16_t type; /* enum sync_rec_type, with SYNC_TLV_CRITICAL allowed */
	uint8_t flags; /* 1 full, 2 bulk, 4 same version, 8 plain reply */
	uint16_t has;
	uint8_t l3, reply_l3, reply_l4; /* reply_l3 0: no reply tuple is written */
	uint8_t state[16], n_state;     /* behind the tuples */
	uint8_t subs[40], n_subs;
	enum sync_drop want;
};

static void put_raw_tuple(struct wire_wr *w, uint8_t l3, uint8_t l4)
{
	static const uint8_t address[32] = { 192, 0, 2, 1 };
	wire_put_u8(w, l3);
	wire_put_u8(w, l4);
	wire_put_u16(w, 0);
	wire_put_u16(w, 1000);
	wire_put_u16(w, 80);
	wire_put_bytes(w, address, l3 == 6 ? 32 : 8);
}

#define FULL_TCP 1, CT_HAS_STATUS, 4, 0, 0, { 0, 0 }, 2

static const struct object objects[] = {
	{ SYNC_REC_SESSION, FULL_TCP, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_STATUS, 6, 0, 0, { 0, 0 }, 2, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_STATUS, 5, 0, 0, { 0, 0 }, 2, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* family 5 */
	{ SYNC_REC_SESSION, 16, 0, 0, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* flag of a later version */
	{ SYNC_REC_SESSION, 8, 0, 0, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* plain, but not full */
	{ SYNC_REC_SESSION, 9, 0, 4, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* plain, but no reply */
	{ SYNC_REC_SESSION, 9, CT_HAS_REPLY, 4, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 4, 6, { 0 }, 0, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 6, 6, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* families differ */
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 4, 17, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* protocols differ */
	{ SYNC_REC_SESSION, 1, CT_HAS_REPLY, 4, 9, 6, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* family 9 */
	{ SYNC_REC_SESSION, 0, CT_HAS_REPLY, 0, 0, 0, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE }, /* only full has one */
	{ SYNC_REC_DELETE, 1, CT_HAS_REPLY, 4, 4, 6, { 0 }, 0, { 0 }, 0, SYNC_DROP_TLV_VALUE },  /* names it only */
	{ SYNC_REC_SESSION,
	  0,
	  CT_HAS_HELPER,
	  0,
	  0,
	  0,
	  { 0 },
	  0,
	  { 0 },
	  0,
	  SYNC_DROP_TLV_VALUE }, /* bit without a field */
	{ SYNC_REC_SESSION, 0, CT_HAS_TCP, 0, 0, 0, { CT_TCP_SYN_SENT2 }, 1, { 0 }, 0, SYNC_OK },
	{ SYNC_REC_SESSION, 0, CT_HAS_TCP, 0, 0, 0, { CT_TCP_SYN_SENT2 + 1 }, 1, { 0 }, 0, SYNC_DROP_TLV_VALUE },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 9, 0, 1, 7 }, 5, SYNC_OK }, /* skipped */
	{ SYNC_REC_SESSION, FULL_TCP, { 0x80, 9, 0, 1, 7 }, 5, SYNC_DROP_TLV_CRITICAL },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 9, 0, 2, 7 }, 5, SYNC_DROP_TLV_CUT },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 3, 'f', 't', 'p' }, 7, SYNC_OK },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 0 }, 4, SYNC_DROP_TLV_LENGTH },                       /* no name */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 16, 'a', 'a', 'a', 'a' }, 20, SYNC_DROP_TLV_LENGTH }, /* too long */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 3, 'f', ' ', 'p' }, 7, SYNC_DROP_TEXT },
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 1, 0, 3, 'f', 0x7f, 'p' }, 7, SYNC_DROP_TEXT },
	{ SYNC_REC_DELETE,
	  FULL_TCP,
	  { 0x80, 1, 0, 3, 'f', 't', 'p' },
	  7,
	  SYNC_DROP_TLV_CRITICAL },                                                    /* no place for it */
	{ SYNC_REC_DELETE, FULL_TCP, { 0, 2, 0, 1, 4 }, 5, SYNC_OK },                  /* as unknown */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 2, 0, 2, 4, 6 }, 6, SYNC_DROP_TLV_VALUE },  /* cut master */
	{ SYNC_REC_SESSION, FULL_TCP, { 0, 2, 0, 8, 7, 6 }, 12, SYNC_DROP_TLV_VALUE }, /* master's family */
	{ SYNC_REC_REFUSED, FULL_TCP, { 0, 3, 0, 1, 17 }, 5, SYNC_OK },
	{ SYNC_REC_REFUSED, FULL_TCP, { 0, 3, 0, 0 }, 4, SYNC_DROP_TLV_LENGTH },
	{ SYNC_REC_WANT, FULL_TCP, { 0x80, 3, 0, 1, 17 }, 5, SYNC_DROP_TLV_CRITICAL },
};

START_TEST(session_values)
{
	const struct object *o = &objects[_i];
	uint8_t buf[256];
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct sync_wire_stats st = { 0 };
	struct sync_unpack u;
	struct sync_rec out;

	wire_put_u16(&w, o->type);
	wire_put_u16(&w, 0);
	wire_put_u8(&w, o->flags);
	wire_put_u32(&w, 5);
	wire_put_u32(&w, 6);
	for (unsigned i = 0; i < 20; i++) /* version */
		wire_put_u8(&w, 0);
	wire_put_u16(&w, o->has);
	if ((o->flags & 1) != 0)
		put_raw_tuple(&w, o->l3, 6);
	if (o->reply_l3 != 0)
		put_raw_tuple(&w, o->reply_l3, o->reply_l4);
	wire_put_bytes(&w, o->state, o->n_state);
	wire_put_bytes(&w, o->subs, o->n_subs);
	wire_patch_u16(&w, 2, (uint16_t)(wire_len(&w) - 4));
	struct sync_env env = { .type = SYNC_OBJ_SESSION, .owner = 1, .seq = 1, .body = buf, .len = wire_len(&w) };
	sync_unpack_begin(&u, &env);
	enum sync_drop d = sync_unpack_next(&u, &out, &st);
	ck_assert_msg(d == o->want, "object %d: %s instead of %s", _i, sync_drop_name(d), sync_drop_name(o->want));
	bool skipped = d == SYNC_OK && o->n_subs > 0 && (o->subs[1] == 9 || o->type == SYNC_REC_DELETE);
	ck_assert_uint_eq(st.tlvs_skipped, skipped);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_MORE);
}
END_TEST

START_TEST(bucket_values)
{
	static const struct {
		uint16_t first, n, written;
		enum sync_drop want;
	} t[] = {
		{ 0, 0, 0, SYNC_OK },
		{ SYNC_BUCKETS - 1, 1, 1, SYNC_OK },
		{ SYNC_BUCKETS, 0, 0, SYNC_DROP_TLV_VALUE },
		{ SYNC_BUCKETS - 1, 2, 2, SYNC_DROP_TLV_VALUE },
		{ 0, SYNC_BUCKETS_PER_REC + 1, SYNC_BUCKETS_PER_REC + 1, SYNC_DROP_TLV_VALUE },
		{ 0, 2, 1, SYNC_DROP_TLV_LENGTH },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t buf[512];
		struct wire_wr w = wire_wr(buf, sizeof(buf));
		struct sync_unpack u;
		struct sync_rec out;
		wire_put_u16(&w, SYNC_REC_DIGEST_BUCKETS);
		wire_put_u16(&w, (uint16_t)(4 + 12 * t[i].written));
		wire_put_u16(&w, t[i].first);
		wire_put_u16(&w, t[i].n);
		for (unsigned b = 0; b < 12u * t[i].written; b++)
			wire_put_u8(&w, (uint8_t)b);
		struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .body = buf, .len = wire_len(&w) };
		sync_unpack_begin(&u, &env);
		ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), t[i].want);
	}
}
END_TEST

/* Flows whose reply is not the plain inverse of something known keep both tuples. */
START_TEST(reply_without_an_inverse)
{
	struct sync_rec in = { .type = SYNC_REC_SESSION, .owner = 1, .seq = 1, .version = version, .full = true },
			out[2];
	uint8_t buf[512];
	struct sync_pack p;
	struct sync_wire_stats st = { 0 };
	in.e.has = CT_HAS_REPLY | CT_HAS_STATUS;
	in.e.orig.l3 = in.e.reply.l3 = 4;
	in.e.orig.l4 = in.e.reply.l4 = 1;
	in.e.orig.dport = 5 << 8; /* an ICMP redirect: no type answers it */
	ck_assert(!ct_tuple_invert(&in.e.orig, &out[0].e.reply));
	sync_pack_begin(&p, buf, sizeof(buf));
	ck_assert_int_eq(sync_pack_add(&p, &in), 0);
	ck_assert_uint_eq(unpack(buf, sync_pack_end(&p), out, &st), 1);
	ck_assert_mem_eq(&in, &out[0], sizeof(in));
}
END_TEST

/* What a later version says in the end of a bulk is read as far as it is known, and an empty one says nothing. */
START_TEST(end_of_a_bulk)
{
	struct sync_rec in = { .type = SYNC_REC_BULK_END, .owner = 1, .seq = 1, .knew = true }, out[2];
	struct sync_wire_stats st = { 0 };
	uint8_t buf[256];
	struct sync_pack p;
	sync_pack_begin(&p, buf, sizeof(buf));
	ck_assert_int_eq(sync_pack_add(&p, &in), 0);
	ck_assert_uint_eq(unpack(buf, sync_pack_end(&p), out, &st), 1);
	ck_assert_mem_eq(&in, &out[0], sizeof(in));
	static const uint8_t body[] = { 0, 8, 0, 0, 0, 8, 0, 1, 0, 0, 8, 0, 3, 1, 9, 9 };
	static const bool knew[] = { false, false, true };
	struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .seq = 1, .body = body, .len = sizeof(body) };
	struct sync_unpack u;
	sync_unpack_begin(&u, &env);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(sync_unpack_next(&u, out, NULL), SYNC_OK);
		ck_assert_int_eq(out[0].type, SYNC_REC_BULK_END);
		ck_assert(out[0].knew == knew[i]);
	}
}
END_TEST

START_TEST(unknown_objects)
{
	struct sync_unpack u;
	struct sync_rec out;
	struct sync_wire_stats st = { 0 };
	static const uint8_t body[] = { 0, 50, 0, 1, 9, 0, 8, 0, 0, 0x80, 50, 0, 0, 0, 50, 0, 9 };
	struct sync_env env = { .type = SYNC_OBJ_STREAM, .owner = 1, .seq = 1, .body = body, .len = sizeof(body) };
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_OK);
	ck_assert_int_eq(out.type, SYNC_REC_BULK_END);
	ck_assert_uint_eq(out.seq, 2); /* what was skipped has a number too */
	ck_assert_uint_eq(st.tlvs_skipped, 1);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_TLV_CRITICAL);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_TLV_CUT);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_MORE);
	static const uint8_t session[] = { 0, SYNC_REC_SESSION, 0, 0 };
	env.body = session; /* a session among stream objects */
	env.len = sizeof(session);
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_CHANNEL);
	env.body = body;
	env.len = sizeof(body);
	env.type = SYNC_OBJ_SESSION; /* a stream object among sessions */
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, &st), SYNC_DROP_CHANNEL);
}
END_TEST

START_TEST(activate)
{
	uint8_t buf[64];
	struct sync_env env;
	size_t used;
	int n = sync_activate_write(buf, sizeof(buf), 1);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(sync_env_read(buf, (size_t)n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_OK);
	ck_assert(sync_activate_is(&env));
	golden("data_activate", buf, (size_t)n);
	ck_assert_int_eq(sync_activate_write(buf, 10, 1), ERR_FULL);
	/* Nothing else activates: another object, an empty body, another type of envelope. */
	env.len = 0;
	ck_assert(!sync_activate_is(&env));
	env.len = 3;
	ck_assert(!sync_activate_is(&env));
	env.len = 4;
	ck_assert(sync_activate_is(&env));
	env.type = SYNC_OBJ_SESSION;
	ck_assert(!sync_activate_is(&env));
	buf[SYNC_ENV_LEN + 1]++;
	env.type = SYNC_OBJ_STREAM;
	ck_assert(!sync_activate_is(&env));
}
END_TEST

START_TEST(hello_is_judged)
{
	struct sync_conf c = { .self = 1, .n_nodes = 2, .nodes = { { .id = 1 }, { .id = 2 } } };
	char text[PEER_TEXT_MAX];
	struct peer_msg m = hello();
	strcpy(c.cluster, "edge");
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_UP);
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, false, text, sizeof(text)), PEER_WHY_MALFORMED);
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 3, true, text, sizeof(text)), PEER_WHY_UNKNOWN_NODE);
	m.hello.version_min = 2;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_VERSION);
	ck_assert(strstr(text, "2..3") != NULL);
	m = hello();
	m.hello.version_min = m.hello.version_max = 0;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_VERSION);
	m = hello();
	m.hello.data = false;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_MALFORMED);
	ck_assert_str_eq(text, "a ctl hello on a data connection");
	m = hello();
	strcpy(m.hello.cluster, "other");
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_CLUSTER);
	m = hello();
	m.hello.node = 1;
	ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, true, text, sizeof(text)), PEER_WHY_OWN_ID);
	peer_close_make(&m, PEER_WHY_VERSION, "x");
	ck_assert_int_eq(peer_close_why(&m), PEER_WHY_VERSION);
	m.reason = PEER_WHY_UP; /* no reason to close */
	ck_assert_int_eq(peer_close_why(&m), PEER_WHY_CLOSED);
	m.reason = 200; /* of a later version */
	ck_assert_int_eq(peer_close_why(&m), PEER_WHY_CLOSED);
}
END_TEST

/* What one node says of itself, the other accepts; each channel has its own record limit. */
START_TEST(hello_is_made)
{
	struct sync_conf c = { .self = 2, .n_nodes = 2, .nodes = { { .id = 1 }, { .id = 2 } } };
	struct peer_self self = { .node = 2, .boot_nonce = 99, .epoch_max = { 7, 1 } };
	char text[PEER_TEXT_MAX];
	struct peer_msg m;
	strcpy(c.cluster, "edge");
	for (unsigned data = 0; data < 2; data++) {
		for (unsigned on = 0; on < 2; on++) {
			c.self = 2;
			c.replicate = on;
			peer_hello_make(&self, &c, data, &m);
			ck_assert_int_eq(m.type, PEER_HELLO);
			ck_assert_uint_eq(m.hello.features,
					  (on ? PEER_FEATURE_SESSIONS : 0) | PEER_FEATURE_FACTS | PEER_FEATURE_SA);
			ck_assert_uint_eq(m.hello.record_max, data ? SYNC_DATA_MAX : SYNC_CTL_MAX);
			ck_assert_uint_eq(m.hello.epoch_max.counter, 7);
			c.self = 1;
			ck_assert_int_eq(peer_hello_check(&m.hello, &c, 2, data, text, sizeof(text)), PEER_WHY_UP);
		}
	}
}
END_TEST

START_TEST(window)
{
	struct peer_window w = { 0 };
	ck_assert(peer_window_new(&w, 1));
	ck_assert(!peer_window_new(&w, 1));
	ck_assert(peer_window_new(&w, 5));
	ck_assert(peer_window_new(&w, 3)); /* late, but new */
	ck_assert(!peer_window_new(&w, 3));
	ck_assert(!peer_window_new(&w, 5));
	ck_assert(peer_window_new(&w, 200));
	ck_assert(!peer_window_new(&w, 136)); /* too old to know */
	ck_assert(peer_window_new(&w, 137));
	ck_assert(peer_window_new(&w, 201));
	ck_assert(!peer_window_new(&w, 200));
}
END_TEST

START_TEST(retry)
{
	struct peer_retry r = { .random = 4711 };
	int64_t full = PEER_RETRY_MIN_NS;
	for (unsigned i = 0; i < 10; i++) {
		int64_t d = peer_retry_next(&r);
		ck_assert_int_le(d, full);
		ck_assert_int_ge(d, full * 3 / 4);
		full = full * 2 < PEER_RETRY_MAX_NS ? full * 2 : PEER_RETRY_MAX_NS;
	}
}
END_TEST

START_TEST(texts)
{
	for (unsigned d = 0; d < SYNC_DROP_N; d++) {
		ck_assert(sync_drop_text((enum sync_drop)d)[0] != '\0');
		ck_assert(sync_drop_name((enum sync_drop)d)[0] != '\0');
	}
	ck_assert_str_eq(sync_drop_text(SYNC_DROP_N), "unknown drop reason");
	ck_assert_str_eq(sync_drop_name(SYNC_DROP_N), "SYNC_DROP_UNKNOWN");
	for (unsigned w = 0; w < PEER_WHY_N; w++) {
		ck_assert(peer_why_text((enum peer_why)w)[0] != '\0');
		ck_assert(peer_why_name((enum peer_why)w)[0] != '\0');
	}
	ck_assert_str_eq(peer_why_text(PEER_WHY_N), "unknown reason");
	ck_assert_str_eq(peer_why_name(PEER_WHY_N), "unknown");
	struct sync_wire_stats st = { 0 };
	sync_wire_count(&st, SYNC_OK);
	sync_wire_count(&st, SYNC_DROP_TEXT);
	sync_wire_count(&st, SYNC_DROP_N);
	ck_assert_uint_eq(st.records, 1);
	ck_assert_uint_eq(st.drops[SYNC_DROP_TEXT], 1);
	ck_assert(sync_type_find(4000) == NULL);
}
END_TEST

/* An answer with one byte changed: what is out of range is a named drop, and nothing is shown that is no word. */
START_TEST(answer_values)
{
	static const struct {
		size_t from_end; /* of the object */
		uint8_t byte;
		enum sync_drop want;
	} t[] = {
		{ 1, 'z', SYNC_OK },
		{ 1, ' ', SYNC_DROP_TEXT },
		{ 1, 'A', SYNC_DROP_TEXT },
		{ 1, 0x1b, SYNC_DROP_TEXT },
		{ 18, 18, SYNC_DROP_TLV_LENGTH }, /* the word's length */
		{ 18, 255, SYNC_DROP_TLV_LENGTH },
		{ 18, 0, SYNC_OK },                          /* what follows belongs to a later version */
		{ 18 + 8 + 16 + 1, 5, SYNC_DROP_TLV_VALUE }, /* family of the address */
		{ 18 + 8 + 16 + 1, 0, SYNC_DROP_TLV_VALUE },
		{ 18 + 8 + 16 + 2, 5, SYNC_DROP_TLV_VALUE }, /* why it counts as own */
		{ 18 + 8 + 16 + 2, 0, SYNC_DROP_TLV_VALUE },
	};
	uint8_t buf[1024];
	struct sync_rec in = { .type = SYNC_REC_ANSWER, .owner = 1, .seq = 1, .ask_id = 5 }, out;
	facts(&in.facts);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct sync_pack p;
		struct sync_unpack u;
		struct sync_env env;
		size_t used;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, &in), 0);
		size_t len = sync_pack_end(&p);
		buf[len - t[i].from_end] = t[i].byte;
		ck_assert_int_eq(sync_env_read(buf, len, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_OK);
		sync_unpack_begin(&u, &env);
		ck_assert_msg(sync_unpack_next(&u, &out, NULL) == t[i].want, "case %u", i);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_wire");
	TCase *t = tcase_create("all");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, message_round_trip, PEER_HELLO, PEER_FACTS + 1);
	tcase_add_loop_test(t, message_cut, PEER_HELLO, PEER_FACTS + 1);
	tcase_add_test(t, full_heartbeat_fits);
	tcase_add_test(t, envelope_drops);
	tcase_add_loop_test(t, body_drops, 0, sizeof(bad_bodies) / sizeof(bad_bodies[0]));
	tcase_add_test(t, too_many_groups);
	tcase_add_test(t, longer_values_are_read);
	tcase_add_test(t, counters_round_trip);
	tcase_add_test(t, records_round_trip);
	tcase_add_test(t, answer_values);
	tcase_add_test(t, pack_at_every_room);
	tcase_add_test(t, largest_object_fits);
	tcase_add_test(t, end_of_a_bulk);
	tcase_add_test(t, objects_cut);
	tcase_add_test(t, lost_version_is_not_borrowed);
	tcase_add_loop_test(t, session_values, 0, sizeof(objects) / sizeof(objects[0]));
	tcase_add_test(t, bucket_values);
	tcase_add_test(t, reply_without_an_inverse);
	tcase_add_test(t, unknown_objects);
	tcase_add_test(t, activate);
	tcase_add_test(t, hello_is_judged);
	tcase_add_test(t, hello_is_made);
	tcase_add_test(t, window);
	tcase_add_test(t, retry);
	tcase_add_test(t, texts);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
