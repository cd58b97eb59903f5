/*
 * Objects of the data channel. Fixed fields first, in a fixed order, presence in a bit mask; TLVs of later versions may
 * follow inside the object's value: unknown ones are skipped unless critical.
 *
 * Session object: flags u8, handle u32, check u32, [version 20], has u16, [tuple orig], [tuple reply], [status u16],
 * [timeout u32], [tcp state u8], [tcp flags 2, scales 2], [mark u32], TLVs (helper, master, errno, SCTP, labels, sequence adjustment, SYNPROXY, counters).
 * Tuple: l3 u8, l4 u8, zone u16, sport u16, dport u16, src, dst (4 or 16 bytes each).
 * Questions about one session (ASK, ANSWER): sync_wire_ask.c.
 */
#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "daemon/base/require.h"
#include "sync/ct_wire.h"
#include "sync/sync_wire.h"
#include "sync/sync_wire_ask.h"
#include "sync/sync_wire_tlv.h"

enum { OBJ_FULL = 1, OBJ_BULK = 2, OBJ_SAME_VERSION = 4, OBJ_PLAIN_REPLY = 8, OBJ_FLAGS = 15 };
enum {
	SUB_HELPER = 1,
	SUB_MASTER = 2,
	SUB_ERRNO = 3,
	SUB_SCTP = 4,
	SUB_LABELS = 5,
	SUB_SEQADJ = 6,
	SUB_SYNPROXY = 7,
	SUB_COUNTERS = 8,
};
enum { ROW_ABSENT = 0x80, ROW_DISP_MAX = 3 };

#define HAS_STATE (CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_TCP | CT_HAS_TCP_WIN | CT_HAS_MARK)
#define HAS_FULL  (HAS_STATE | CT_HAS_REPLY)

/* Types that carry the whole entry when they are full; the others only name it. */
static bool carries_entry(enum sync_rec_type t)
{
	return t == SYNC_REC_SESSION || t == SYNC_REC_CLAIM || t == SYNC_REC_CURRENT;
}

static bool is_session(enum sync_rec_type t)
{
	return (t >= SYNC_REC_SESSION && t <= SYNC_REC_WANT) || t == SYNC_REC_REFUSED;
}

static void put_words(struct wire_wr *w, uint16_t type, const uint32_t *words, unsigned n)
{
	size_t at = tlv_begin(w, type);
	for (unsigned i = 0; i < n; i++)
		wire_put_u32(w, words[i]);
	tlv_end(w, at);
}

/* Parts of the state that few entries have; they change, so that they go along with the short form too. */
static void put_rare(struct wire_wr *w, const struct ct_entry *e)
{
	if ((e->has & CT_HAS_SCTP) != 0) {
		size_t at = tlv_begin(w, SUB_SCTP);
		wire_put_u8(w, e->sctp_state);
		wire_put_u32(w, e->sctp_vtag[0]);
		wire_put_u32(w, e->sctp_vtag[1]);
		tlv_end(w, at);
	}
	if ((e->has & CT_HAS_LABELS) != 0)
		tlv_put(w, SUB_LABELS, e->labels, sizeof(e->labels));
	if ((e->has & CT_HAS_SEQADJ) != 0) {
		const struct ct_seqadj *s = e->seqadj;
		const uint32_t words[6] = { s[0].position, (uint32_t)s[0].before, (uint32_t)s[0].after,
					    s[1].position, (uint32_t)s[1].before, (uint32_t)s[1].after };
		put_words(w, SUB_SEQADJ, words, 6);
	}
	if ((e->has & CT_HAS_SYNPROXY) != 0) {
		const uint32_t words[3] = { e->synproxy.isn, e->synproxy.its, e->synproxy.tsoff };
		put_words(w, SUB_SYNPROXY, words, 3);
	}
	if ((e->has & CT_HAS_COUNTERS) != 0) {
		size_t at = tlv_begin(w, SUB_COUNTERS);
		wire_put_u64(w, e->packets);
		wire_put_u64(w, e->bytes);
		wire_put_u32(w, e->age_s);
		tlv_end(w, at);
	}
}

static void put_entry(struct wire_wr *w, const struct sync_rec *rec, bool plain)
{
	const struct ct_entry *e = &rec->e;
	bool entry = carries_entry(rec->type);
	uint32_t has = e->has & (rec->full && entry ? HAS_FULL : HAS_STATE);
	wire_put_u16(w, (uint16_t)has);
	if (rec->full)
		put_tuple(w, &e->orig);
	if ((has & CT_HAS_REPLY) != 0 && !plain)
		put_tuple(w, &e->reply);
	if ((has & CT_HAS_STATUS) != 0)
		wire_put_u16(w, (uint16_t)e->status);
	if ((has & CT_HAS_TIMEOUT) != 0)
		wire_put_u32(w, e->timeout_s);
	if ((has & CT_HAS_TCP) != 0)
		wire_put_u8(w, e->tcp_state);
	if ((has & CT_HAS_TCP_WIN) != 0) {
		wire_put_bytes(w, e->tcp_flags, 2);
		wire_put_bytes(w, e->tcp_wscale, 2);
	}
	if ((has & CT_HAS_MARK) != 0)
		wire_put_u32(w, e->mark);
	if (rec->type == SYNC_REC_REFUSED)
		tlv_put_uint(w, SUB_ERRNO, rec->err, 1);
	if (entry)
		put_rare(w, e);
	if (!rec->full || !entry)
		return;
	if ((e->has & CT_HAS_HELPER) != 0)
		tlv_put(w, SUB_HELPER, e->helper, strnlen(e->helper, sizeof(e->helper) - 1));
	if ((e->has & CT_HAS_MASTER) != 0) {
		size_t at = tlv_begin(w, SUB_MASTER);
		put_tuple(w, &e->master);
		tlv_end(w, at);
	}
}

static void put_session(struct wire_wr *w, const struct sync_rec *rec, const struct flow_version *before)
{
	struct ct_tuple inverse;
	bool plain = rec->full && carries_entry(rec->type) && (rec->e.has & CT_HAS_REPLY) != 0 &&
		     ct_tuple_invert(&rec->e.orig, &inverse) && ct_tuple_equal(&inverse, &rec->e.reply);
	bool same = flow_version_cmp(rec->version, *before) == 0;
	wire_put_u8(w, (uint8_t)((rec->full ? OBJ_FULL : 0) | (rec->bulk ? OBJ_BULK : 0) |
				 (same ? OBJ_SAME_VERSION : 0) | (plain ? OBJ_PLAIN_REPLY : 0)));
	wire_put_u32(w, rec->handle);
	wire_put_u32(w, rec->check);
	if (!same)
		put_version(w, rec->version);
	put_entry(w, rec, plain);
}

static bool all_buckets(const struct sync_rec *rec)
{
	uint8_t all = 0xff;
	for (size_t i = 0; i < sizeof(rec->mask); i++)
		all &= rec->mask[i];
	return all == 0xff;
}

/* proto u8, left u8, age u32, half-open u32, half-close u32, rows u8; row: disposition u8 (bit 7: absent), word, count u32.
 * A word is its length u8 and its bytes. */
static void put_counts(struct wire_wr *w, const struct sync_count_set *c)
{
	require(c->n_rows <= SYNC_COUNT_ROWS);
	wire_put_u8(w, c->proto);
	wire_put_u8(w, c->left);
	wire_put_u32(w, c->age_ms);
	wire_put_u32(w, c->half_open);
	wire_put_u32(w, c->half_close);
	wire_put_u8(w, c->n_rows);
	for (unsigned i = 0; i < c->n_rows; i++) {
		const struct sync_count_row *r = &c->rows[i];
		size_t n = strnlen(r->word, sizeof(r->word) - 1);
		wire_put_u8(w, (uint8_t)(r->disp | (r->absent ? ROW_ABSENT : 0)));
		wire_put_u8(w, (uint8_t)n);
		wire_put_bytes(w, r->word, n);
		wire_put_u32(w, r->count);
	}
}

static void put_object(struct wire_wr *w, const struct sync_rec *rec, const struct flow_version *before)
{
	switch (rec->type) {
	case SYNC_REC_SESSION:
	case SYNC_REC_DELETE:
	case SYNC_REC_EXPIRED:
	case SYNC_REC_CLAIM:
	case SYNC_REC_CURRENT:
	case SYNC_REC_WANT:
	case SYNC_REC_REFUSED:
		put_session(w, rec, before);
		break;
	case SYNC_REC_BULK_BEGIN:
		if (!all_buckets(rec)) /* an empty value means: all */
			wire_put_bytes(w, rec->mask, sizeof(rec->mask));
		break;
	case SYNC_REC_BULK_END:
		if (rec->knew || rec->forgot) /* a version that does not know them skips them */
			wire_put_u8(w, rec->knew);
		if (rec->forgot)
			wire_put_u8(w, 1);
		break;
	case SYNC_REC_DIGEST:
		wire_put_u64(w, rec->count);
		wire_put_u64(w, rec->digest);
		break;
	case SYNC_REC_DIGEST_BUCKETS:
		require(rec->n <= SYNC_BUCKETS_PER_REC);
		wire_put_u16(w, rec->first);
		wire_put_u16(w, rec->n);
		for (unsigned i = 0; i < rec->n; i++) {
			wire_put_u32(w, rec->buckets[i].count);
			wire_put_u64(w, rec->buckets[i].digest);
		}
		break;
	case SYNC_REC_ACK:
		wire_put_u64(w, rec->ack_seq);
		wire_put_u32(w, rec->refused);
		wire_put_u64(w, rec->digest_seq);
		wire_put_u8(w, rec->equal);
		break;
	case SYNC_REC_FLOOR:
		put_version(w, rec->version);
		break;
	case SYNC_REC_ASK:
		wire_put_u32(w, rec->ask_id);
		put_tuple(w, &rec->e.orig);
		break;
	case SYNC_REC_ANSWER:
		wire_put_u32(w, rec->ask_id);
		sync_facts_put(w, &rec->facts);
		break;
	case SYNC_REC_RESYNC:
	case SYNC_REC_COUNTS_ASK:
		break;
	case SYNC_REC_COUNTS:
		put_counts(w, &rec->counts);
		break;
	}
}

void sync_pack_begin(struct sync_pack *p, uint8_t *buf, size_t cap)
{
	memset(p, 0, sizeof(*p));
	p->w = wire_wr(buf, cap < SYNC_DATA_MAX ? cap : SYNC_DATA_MAX);
}

/* True when the record can join the envelope that is open. */
static bool joins(const struct sync_pack *p, const struct sync_rec *rec, uint16_t type)
{
	return p->open && p->env.type == type && p->env.owner == rec->owner && p->next_seq == rec->seq &&
	       epoch_cmp(p->env.epoch, rec->epoch) == 0;
}

int sync_pack_add(struct sync_pack *p, const struct sync_rec *rec)
{
	struct sync_pack before = *p;
	uint16_t type = is_session(rec->type) ? SYNC_OBJ_SESSION : SYNC_OBJ_STREAM;
	if (!joins(p, rec, type)) {
		if (p->open)
			sync_env_end(&p->w, p->env_off);
		p->env = (struct sync_env){ .type = type,
					    .flags = SYNC_FLAG_CRITICAL,
					    .owner = rec->owner,
					    .epoch = rec->epoch,
					    .seq = rec->seq };
		p->env_off = sync_env_begin(&p->w, &p->env);
		p->open = true;
		p->version = (struct flow_version){ 0 };
	}
	size_t at = tlv_begin(&p->w, (uint16_t)rec->type);
	put_object(&p->w, rec, &p->version);
	tlv_end(&p->w, at);
	if (p->w.bad) {
		*p = before; /* an envelope that was ended stays ended: ending it again writes the same length */
		return ERR_FULL;
	}
	if (is_session(rec->type))
		p->version = rec->version;
	p->next_seq = rec->seq + 1;
	return 0;
}

size_t sync_pack_end(struct sync_pack *p)
{
	if (p->open)
		sync_env_end(&p->w, p->env_off);
	p->open = false;
	return wire_len(&p->w);
}

void sync_unpack_begin(struct sync_unpack *u, const struct sync_env *env)
{
	memset(u, 0, sizeof(*u));
	u->env = *env;
	u->r = wire_rd(env->body, env->len);
	u->seq = env->seq;
}

static enum sync_drop get_helper(struct wire_rd *v, struct ct_entry *e)
{
	size_t n = wire_left(v);
	if (n == 0 || n >= sizeof(e->helper))
		return SYNC_DROP_TLV_LENGTH;
	wire_bytes(v, e->helper, n);
	for (size_t i = 0; i < n; i++) {
		if (e->helper[i] <= 0x20 || e->helper[i] > 0x7e)
			return SYNC_DROP_TEXT;
	}
	e->has |= CT_HAS_HELPER;
	return SYNC_OK;
}

/* Reads a rare part into e. False: the type is none of them. */
static bool get_rare(uint16_t type, struct wire_rd *v, struct ct_entry *e)
{
	switch (type) {
	case SUB_SCTP:
		e->sctp_state = wire_u8(v);
		e->sctp_vtag[0] = wire_u32(v);
		e->sctp_vtag[1] = wire_u32(v);
		v->bad |= e->sctp_state > CT_SCTP_HEARTBEAT_ACKED;
		e->has |= CT_HAS_SCTP;
		return true;
	case SUB_LABELS:
		wire_bytes(v, e->labels, sizeof(e->labels));
		e->has |= CT_HAS_LABELS;
		return true;
	case SUB_SEQADJ:
		for (unsigned dir = 0; dir < 2; dir++) {
			e->seqadj[dir].position = wire_u32(v);
			e->seqadj[dir].before = (int32_t)wire_u32(v);
			e->seqadj[dir].after = (int32_t)wire_u32(v);
		}
		e->has |= CT_HAS_SEQADJ;
		return true;
	case SUB_COUNTERS:
		e->packets = wire_u64(v);
		e->bytes = wire_u64(v);
		e->age_s = wire_u32(v);
		e->has |= CT_HAS_COUNTERS;
		return true;
	case SUB_SYNPROXY:
		e->synproxy.isn = wire_u32(v);
		e->synproxy.its = wire_u32(v);
		e->synproxy.tsoff = wire_u32(v);
		e->has |= CT_HAS_SYNPROXY;
		return true;
	default:
		return false;
	}
}

static enum sync_drop get_subs(struct wire_rd *r, struct sync_rec *out, struct sync_wire_stats *st)
{
	uint16_t raw;
	struct wire_rd v;
	while (wire_left(r) > 0) {
		if (!tlv_next(r, &raw, &v))
			return SYNC_DROP_TLV_CUT;
		uint16_t type = raw & (uint16_t)~SYNC_TLV_CRITICAL;
		enum sync_drop d = SYNC_OK;
		if (type == SUB_HELPER && carries_entry(out->type)) {
			d = get_helper(&v, &out->e);
		} else if (type == SUB_MASTER && carries_entry(out->type)) {
			if (!get_tuple(&v, &out->e.master) || v.bad)
				d = SYNC_DROP_TLV_VALUE;
			out->e.has |= CT_HAS_MASTER;
		} else if (type == SUB_ERRNO && out->type == SYNC_REC_REFUSED) {
			out->err = wire_u8(&v);
			d = v.bad ? SYNC_DROP_TLV_LENGTH : SYNC_OK;
		} else if (carries_entry(out->type) && get_rare(type, &v, &out->e)) {
			d = v.bad || wire_left(&v) > 0 ? SYNC_DROP_TLV_VALUE : SYNC_OK;
		} else if ((raw & SYNC_TLV_CRITICAL) != 0) {
			d = SYNC_DROP_TLV_CRITICAL;
		} else if (st) {
			st->tlvs_skipped++;
		}
		if (d != SYNC_OK)
			return d;
	}
	return SYNC_OK;
}

static enum sync_drop get_state(struct wire_rd *r, struct ct_entry *e)
{
	if ((e->has & CT_HAS_STATUS) != 0)
		e->status = wire_u16(r);
	if ((e->has & CT_HAS_TIMEOUT) != 0)
		e->timeout_s = wire_u32(r);
	if ((e->has & CT_HAS_TCP) != 0)
		e->tcp_state = wire_u8(r);
	if ((e->has & CT_HAS_TCP_WIN) != 0) {
		wire_bytes(r, e->tcp_flags, 2);
		wire_bytes(r, e->tcp_wscale, 2);
	}
	if ((e->has & CT_HAS_MARK) != 0)
		e->mark = wire_u32(r);
	if (r->bad)
		return SYNC_DROP_TLV_LENGTH;
	return e->tcp_state <= CT_TCP_SYN_SENT2 ? SYNC_OK : SYNC_DROP_TLV_VALUE;
}

static enum sync_drop get_tuples(struct wire_rd *r, struct ct_entry *e, bool plain)
{
	if (!get_tuple(r, &e->orig))
		return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_DROP_TLV_VALUE;
	if ((e->has & CT_HAS_REPLY) == 0)
		return plain ? SYNC_DROP_TLV_VALUE : SYNC_OK;
	if (plain)
		return !r->bad && ct_tuple_invert(&e->orig, &e->reply) ? SYNC_OK : SYNC_DROP_TLV_VALUE;
	if (!get_tuple(r, &e->reply))
		return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_DROP_TLV_VALUE;
	bool match = e->reply.l3 == e->orig.l3 && e->reply.l4 == e->orig.l4;
	return match ? SYNC_OK : SYNC_DROP_TLV_VALUE;
}

static enum sync_drop get_session(struct sync_unpack *u, struct wire_rd *r, struct sync_rec *out,
				  struct sync_wire_stats *st)
{
	bool lost = u->version_lost;
	u->version_lost = true;
	uint8_t flags = wire_u8(r);
	if ((flags & ~OBJ_FLAGS) != 0)
		return SYNC_DROP_TLV_VALUE;
	out->full = (flags & OBJ_FULL) != 0;
	out->bulk = (flags & OBJ_BULK) != 0;
	out->handle = wire_u32(r);
	out->check = wire_u32(r);
	if ((flags & OBJ_SAME_VERSION) == 0)
		get_version(r, &u->version);
	memcpy(&out->version, &u->version, sizeof(out->version));
	out->e.has = wire_u16(r);
	if (r->bad)
		return SYNC_DROP_TLV_LENGTH;
	if (lost && (flags & OBJ_SAME_VERSION) != 0)
		return SYNC_DROP_TLV_MISSING;
	u->version_lost = false;
	uint32_t may = out->full && carries_entry(out->type) ? HAS_FULL : HAS_STATE;
	if ((out->e.has & ~may) != 0 || (!out->full && (flags & OBJ_PLAIN_REPLY) != 0))
		return SYNC_DROP_TLV_VALUE;
	enum sync_drop d = out->full ? get_tuples(r, &out->e, (flags & OBJ_PLAIN_REPLY) != 0) : SYNC_OK;
	if (d == SYNC_OK)
		d = get_state(r, &out->e);
	return d == SYNC_OK ? get_subs(r, out, st) : d;
}

static enum sync_drop get_buckets(struct wire_rd *r, struct sync_rec *out)
{
	out->first = wire_u16(r);
	out->n = wire_u16(r);
	if (r->bad)
		return SYNC_DROP_TLV_LENGTH;
	if (out->n > SYNC_BUCKETS_PER_REC || out->first >= SYNC_BUCKETS || out->n > SYNC_BUCKETS - out->first)
		return SYNC_DROP_TLV_VALUE;
	for (unsigned i = 0; i < out->n; i++) {
		out->buckets[i].count = wire_u32(r);
		out->buckets[i].digest = wire_u64(r);
	}
	return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_OK;
}

/* A word of a reason is shown as it is: letters, digits, dashes. */
static bool get_word(struct wire_rd *r, char *out)
{
	size_t n = wire_u8(r);
	if (r->bad || n >= SYNC_COUNT_WORD)
		return false;
	wire_bytes(r, out, n);
	for (size_t i = 0; i < n; i++) {
		char c = out[i];
		if (c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z'))
			return false;
	}
	return true;
}

static enum sync_drop get_counts(struct wire_rd *r, struct sync_count_set *c)
{
	c->proto = wire_u8(r);
	c->left = wire_u8(r);
	c->age_ms = wire_u32(r);
	c->half_open = wire_u32(r);
	c->half_close = wire_u32(r);
	c->n_rows = wire_u8(r);
	if (r->bad)
		return SYNC_DROP_TLV_LENGTH;
	if (c->n_rows > SYNC_COUNT_ROWS)
		return SYNC_DROP_TLV_VALUE;
	for (unsigned i = 0; i < c->n_rows; i++) {
		struct sync_count_row *row = &c->rows[i];
		uint8_t disp = wire_u8(r);
		row->disp = disp & (uint8_t)~ROW_ABSENT;
		row->absent = (disp & ROW_ABSENT) != 0;
		if (!get_word(r, row->word))
			return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_DROP_TEXT;
		row->count = wire_u32(r);
		if (!r->bad && row->disp > ROW_DISP_MAX)
			return SYNC_DROP_TLV_VALUE;
	}
	return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_OK;
}

static enum sync_drop get_stream(struct wire_rd *r, struct sync_rec *out)
{
	switch (out->type) {
	case SYNC_REC_BULK_BEGIN:
		if (wire_left(r) == 0)
			memset(out->mask, 0xff, sizeof(out->mask));
		else
			wire_bytes(r, out->mask, sizeof(out->mask));
		break;
	case SYNC_REC_BULK_END:
		out->knew = wire_left(r) > 0 && wire_u8(r) != 0;
		out->forgot = wire_left(r) > 0 && wire_u8(r) != 0;
		break;
	case SYNC_REC_DIGEST:
		out->count = wire_u64(r);
		out->digest = wire_u64(r);
		break;
	case SYNC_REC_DIGEST_BUCKETS:
		return get_buckets(r, out);
	case SYNC_REC_ACK:
		out->ack_seq = wire_u64(r);
		out->refused = wire_u32(r);
		out->digest_seq = wire_u64(r);
		out->equal = wire_u8(r) != 0;
		break;
	case SYNC_REC_FLOOR:
		get_version(r, &out->version);
		break;
	case SYNC_REC_ASK:
		out->ask_id = wire_u32(r);
		if (!get_tuple(r, &out->e.orig))
			return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_DROP_TLV_VALUE;
		break;
	case SYNC_REC_ANSWER:
		out->ask_id = wire_u32(r);
		return sync_facts_get(r, &out->facts);
	case SYNC_REC_RESYNC:
		break;
	case SYNC_REC_COUNTS_ASK:
		break;
	case SYNC_REC_COUNTS:
		return get_counts(r, &out->counts);
	case SYNC_REC_SESSION:
	case SYNC_REC_DELETE:
	case SYNC_REC_EXPIRED:
	case SYNC_REC_CLAIM:
	case SYNC_REC_CURRENT:
	case SYNC_REC_WANT:
	case SYNC_REC_REFUSED:
		return SYNC_DROP_CHANNEL;
	}
	return r->bad ? SYNC_DROP_TLV_LENGTH : SYNC_OK;
}

enum sync_drop sync_unpack_next(struct sync_unpack *u, struct sync_rec *out, struct sync_wire_stats *st)
{
	uint16_t raw;
	struct wire_rd v;
	for (;;) {
		memset(out, 0, sizeof(*out));
		if (wire_left(&u->r) == 0)
			return SYNC_MORE;
		if (!tlv_next(&u->r, &raw, &v)) {
			u->r.p = u->r.end;
			u->r.bad = false;
			return SYNC_DROP_TLV_CUT;
		}
		out->owner = u->env.owner;
		out->epoch.counter = u->env.epoch.counter;
		out->epoch.node = u->env.epoch.node;
		out->seq = u->seq++;
		uint16_t type = raw & (uint16_t)~SYNC_TLV_CRITICAL;
		bool known = type >= SYNC_REC_SESSION && type <= SYNC_REC_COUNTS;
		if (known) {
			out->type = (enum sync_rec_type)type;
			if (is_session(out->type) != (u->env.type == SYNC_OBJ_SESSION))
				return SYNC_DROP_CHANNEL;
			return is_session(out->type) ? get_session(u, &v, out, st) : get_stream(&v, out);
		}
		if ((raw & SYNC_TLV_CRITICAL) != 0)
			return SYNC_DROP_TLV_CRITICAL;
		if (st)
			st->tlvs_skipped++;
	}
}

int sync_activate_write(uint8_t *buf, size_t cap, uint32_t owner)
{
	struct wire_wr w = wire_wr(buf, cap);
	struct sync_env env = { .type = SYNC_OBJ_STREAM, .flags = SYNC_FLAG_CRITICAL, .owner = owner };
	size_t off = sync_env_begin(&w, &env);
	tlv_put(&w, SYNC_STREAM_ACTIVATE | SYNC_TLV_CRITICAL, NULL, 0);
	sync_env_end(&w, off);
	return w.bad ? ERR_FULL : (int)wire_len(&w);
}

bool sync_activate_is(const struct sync_env *env)
{
	struct wire_rd r = wire_rd(env->body, env->len), v;
	uint16_t raw;
	return env->type == SYNC_OBJ_STREAM && env->len > 0 && tlv_next(&r, &raw, &v) &&
	       raw == (SYNC_STREAM_ACTIVATE | SYNC_TLV_CRITICAL);
}
