/* What the channel carries, for tests of its codec. */
#include "tests/unit/sync_samples.h"
#include <stdio.h>
#include <string.h>

struct ct_entry entry(unsigned l3, unsigned l4, bool nat)
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

const struct flow_version version = { { 12, 1 }, 3, 1 };

void rare(struct ct_entry *e)
{
	e->has |= CT_HAS_LABELS | CT_HAS_SEQADJ | CT_HAS_SYNPROXY;
	e->labels[0] = 1;
	e->labels[15] = 0x80;
	e->seqadj[0] = (struct ct_seqadj){ 1000, 0, -5 };
	e->seqadj[1] = (struct ct_seqadj){ 4000000000u, 7, 12 };
	e->synproxy = (struct ct_synproxy){ 1, 2, 3 };
}

void facts(struct sync_facts *f)
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

unsigned samples(struct sync_rec *r)
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

void golden(const char *name, const uint8_t *buf, size_t len)
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

unsigned unpack(const uint8_t *buf, size_t len, struct sync_rec *out, struct sync_wire_stats *st)
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
