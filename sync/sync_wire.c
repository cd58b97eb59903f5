/*
 * Envelope, registry and the ctl messages. The data objects are in sync_wire_data.c.
 */
#include "sync/sync_wire.h"
#include "daemon/base/err.h"
#include "daemon/base/require.h"
#include "sync/sync_wire_tlv.h"

static const char *const drop_texts[SYNC_DROP_N] = { [SYNC_OK] = "accepted",
						     [SYNC_MORE] = "the record is not complete yet",
#define DROP_TEXT(name, text) [name] = text,
						     SYNC_DROP_TABLE(DROP_TEXT)
#undef DROP_TEXT
};

static const char *const drop_names[SYNC_DROP_N] = { [SYNC_OK] = "ok",
						     [SYNC_MORE] = "more",
#define DROP_NAME(name, text) [name] = #name,
						     SYNC_DROP_TABLE(DROP_NAME)
#undef DROP_NAME
};

/* One row per object type that this version understands: codec, digest and policy are found from here. */
static const struct sync_type types[] = {
	{ PEER_HELLO, "hello", SYNC_CHAN_BOTH, SYNC_DIGEST_NONE, false },
	{ PEER_HEARTBEAT, "heartbeat", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_TAKE, "take", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_PREPARED, "prepared", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_GO, "go", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_UP, "up", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_LEAVING, "leaving", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_JOURNAL, "journal", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_CLOSE, "close", SYNC_CHAN_BOTH, SYNC_DIGEST_NONE, false },
	{ PEER_FACTS_ASK, "facts_ask", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ PEER_FACTS, "facts", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
	{ SYNC_OBJ_SESSION, "session", SYNC_CHAN_DATA, SYNC_DIGEST_BUCKETS, true },
	{ SYNC_OBJ_STREAM, "stream", SYNC_CHAN_DATA, SYNC_DIGEST_NONE, false },
	{ SYNC_OBJ_SA, "sa", SYNC_CHAN_CTL, SYNC_DIGEST_NONE, false },
};

/* TLVs of ctl messages. Numbers are never reused. */
enum {
	TLV_VERSION = 1,       /* min u16, max u16 */
	TLV_FEATURES = 2,      /* u64 */
	TLV_NODE = 3,          /* u32 */
	TLV_BOOT = 4,          /* u64 */
	TLV_CLUSTER = 5,       /* text */
	TLV_RECORD_MAX = 6,    /* u32 */
	TLV_EPOCH_MAX = 7,     /* counter u64, node u32 */
	TLV_DIGEST_KEY = 8,    /* 16 bytes */
	TLV_CONFIG_DIGEST = 9, /* 4 x u64 */
	TLV_DATA = 10,         /* empty: this connection is the data channel */
	TLV_GROUP = 11,        /* u16: the group a message is about */
	TLV_GROUP_STATE = 12,  /* group u16, role u8, priority u8, flags u8 (1 ready), epoch u64 u32; repeated */
	TLV_HAVE_ALL = 13,     /* empty */
	TLV_LAST_SEQ = 14,     /* u64 */
	TLV_PLANNED = 15,      /* empty */
	TLV_REASON = 16,       /* u8 */
	TLV_TEXT = 17,         /* text */
	TLV_BLOB = 18,         /* bytes */
	TLV_MAINTENANCE = 19,  /* empty */
	TLV_SUCCESSOR = 20,    /* u32: node */
	TLV_FACTS = 21,        /* id u32, offset u32, total u32, flags u8 (1 sessions, 2 configuration) */
	TLV_WALL = 22,         /* u64: microseconds since 1970 at the sender */
	TLV_N
};

enum { GROUP_STATE_LEN = 2 + 1 + 1 + 1 + 8 + 4, GROUP_READY = 1 };
enum { FACTS_LEN = 4 + 4 + 4 + 1, FACTS_SESSIONS = 1, FACTS_CONFIG = 2 };

const char *sync_drop_text(enum sync_drop d)
{
	return d < SYNC_DROP_N ? drop_texts[d] : "unknown drop reason";
}

const char *sync_drop_name(enum sync_drop d)
{
	return d < SYNC_DROP_N ? drop_names[d] : "SYNC_DROP_UNKNOWN";
}

void sync_wire_count(struct sync_wire_stats *st, enum sync_drop d)
{
	if (d == SYNC_OK)
		st->records++;
	if (d < SYNC_DROP_N)
		st->drops[d]++;
}

const struct sync_type *sync_type_find(uint16_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type)
			return &types[i];
	}
	return NULL;
}

enum sync_drop sync_env_read(const uint8_t *buf, size_t len, uint32_t max, enum sync_channel channel,
			     struct sync_env *out, size_t *used)
{
	*used = 0;
	if (len < SYNC_ENV_LEN)
		return SYNC_MORE;
	struct wire_rd r = wire_rd(buf, len);
	out->type = wire_u16(&r);
	out->flags = wire_u16(&r);
	out->owner = wire_u32(&r);
	out->epoch.counter = wire_u64(&r);
	out->epoch.node = wire_u32(&r);
	out->seq = wire_u64(&r);
	out->len = wire_u32(&r);
	out->body = r.p;
	if (max < SYNC_ENV_LEN || out->len > max - SYNC_ENV_LEN)
		return SYNC_DROP_LENGTH;
	if (wire_left(&r) < out->len)
		return SYNC_MORE;
	*used = SYNC_ENV_LEN + (size_t)out->len;
	if ((out->flags & ~SYNC_FLAG_CRITICAL) != 0)
		return SYNC_DROP_FLAGS;
	const struct sync_type *t = sync_type_find(out->type);
	if (!t)
		return (out->flags & SYNC_FLAG_CRITICAL) != 0 ? SYNC_DROP_TYPE_CRITICAL : SYNC_DROP_TYPE;
	if (t->channel != channel && t->channel != SYNC_CHAN_BOTH)
		return SYNC_DROP_CHANNEL;
	return SYNC_OK;
}

size_t sync_env_begin(struct wire_wr *w, const struct sync_env *env)
{
	size_t off = wire_len(w);
	wire_put_u16(w, env->type);
	wire_put_u16(w, env->flags);
	wire_put_u32(w, env->owner);
	wire_put_u64(w, env->epoch.counter);
	wire_put_u32(w, env->epoch.node);
	wire_put_u64(w, env->seq);
	wire_put_u32(w, 0);
	return off;
}

void sync_env_end(struct wire_wr *w, size_t off)
{
	if (w->bad)
		return;
	size_t len = wire_len(w) - off - SYNC_ENV_LEN;
	require(len <= SYNC_DATA_MAX);
	wire_patch_u16(w, off + SYNC_ENV_LEN - 4, (uint16_t)(len >> 16));
	wire_patch_u16(w, off + SYNC_ENV_LEN - 2, (uint16_t)len);
}

static void put_epoch(struct wire_wr *w, struct epoch e)
{
	wire_put_u64(w, e.counter);
	wire_put_u32(w, e.node);
}

/* Field by field: what was read compares with memcmp, padding included. */
static void get_epoch(struct wire_rd *r, struct epoch *e)
{
	e->counter = wire_u64(r);
	e->node = wire_u32(r);
}

static void put_text(struct wire_wr *w, uint16_t type, const char *text, size_t cap)
{
	size_t n = strnlen(text, cap - 1);
	if (n > 0)
		tlv_put(w, type, text, n);
}

static void put_hello(struct wire_wr *w, const struct peer_hello *h)
{
	size_t at = tlv_begin(w, TLV_VERSION | SYNC_TLV_CRITICAL);
	wire_put_u16(w, h->version_min);
	wire_put_u16(w, h->version_max);
	tlv_end(w, at);
	tlv_put_uint(w, TLV_FEATURES, h->features, 8);
	tlv_put_uint(w, TLV_NODE | SYNC_TLV_CRITICAL, h->node, 4);
	tlv_put_uint(w, TLV_BOOT | SYNC_TLV_CRITICAL, h->boot_nonce, 8);
	put_text(w, TLV_CLUSTER | SYNC_TLV_CRITICAL, h->cluster, sizeof(h->cluster));
	tlv_put_uint(w, TLV_RECORD_MAX, h->record_max, 4);
	at = tlv_begin(w, TLV_EPOCH_MAX);
	put_epoch(w, h->epoch_max);
	tlv_end(w, at);
	tlv_put(w, TLV_DIGEST_KEY, h->digest_key, sizeof(h->digest_key));
	at = tlv_begin(w, TLV_CONFIG_DIGEST);
	for (unsigned i = 0; i < 4; i++)
		wire_put_u64(w, h->config_digest[i]);
	tlv_end(w, at);
	if (h->data)
		tlv_put(w, TLV_DATA | SYNC_TLV_CRITICAL, NULL, 0);
}

static void put_groups(struct wire_wr *w, const struct peer_msg *m)
{
	for (unsigned i = 0; i < m->n_groups && i < PEER_GROUPS_MAX; i++) {
		const struct peer_group_state *g = &m->groups[i];
		size_t at = tlv_begin(w, TLV_GROUP_STATE);
		wire_put_u16(w, g->group);
		wire_put_u8(w, g->role);
		wire_put_u8(w, g->priority);
		wire_put_u8(w, g->ready ? GROUP_READY : 0);
		put_epoch(w, g->epoch);
		tlv_end(w, at);
	}
}

static void put_transaction(struct wire_wr *w, const struct peer_msg *m)
{
	tlv_put_uint(w, TLV_GROUP, m->group, 2);
	tlv_put_uint(w, TLV_REASON, m->reason, 1);
	if (m->planned)
		tlv_put(w, TLV_PLANNED, NULL, 0);
	if (m->type == PEER_LEAVING && m->successor)
		tlv_put_uint(w, TLV_SUCCESSOR, m->successor, 4);
}

static void put_facts(struct wire_wr *w, const struct peer_facts *f)
{
	size_t at = tlv_begin(w, TLV_FACTS);
	wire_put_u32(w, f->id);
	wire_put_u32(w, f->offset);
	wire_put_u32(w, f->total);
	wire_put_u8(w, (uint8_t)((f->sessions ? FACTS_SESSIONS : 0) | (f->config ? FACTS_CONFIG : 0)));
	tlv_end(w, at);
}

static void put_body(struct wire_wr *w, const struct peer_msg *m)
{
	switch (m->type) {
	case PEER_HELLO:
		put_hello(w, &m->hello);
		break;
	case PEER_HEARTBEAT:
		if (m->you_have_all)
			tlv_put(w, TLV_HAVE_ALL, NULL, 0);
		if (m->maintenance)
			tlv_put(w, TLV_MAINTENANCE, NULL, 0);
		put_groups(w, m);
		break;
	case PEER_GO:
		put_transaction(w, m);
		tlv_put_uint(w, TLV_LAST_SEQ | SYNC_TLV_CRITICAL, m->last_seq, 8);
		break;
	case PEER_TAKE:
	case PEER_PREPARED:
	case PEER_UP:
	case PEER_LEAVING:
		put_transaction(w, m);
		break;
	case PEER_JOURNAL:
		tlv_put(w, TLV_BLOB | SYNC_TLV_CRITICAL, m->blob, m->blob_len);
		break;
	case PEER_CLOSE:
		tlv_put_uint(w, TLV_REASON, m->reason, 1);
		put_text(w, TLV_TEXT, m->text, sizeof(m->text));
		break;
	case PEER_FACTS_ASK:
		put_facts(w, &m->facts);
		break;
	case PEER_FACTS:
		put_facts(w, &m->facts);
		tlv_put_uint(w, TLV_WALL, m->facts.wall_us, 8);
		tlv_put(w, TLV_BLOB, m->blob, m->blob_len);
		break;
	}
}

int sync_msg_write(uint8_t *buf, size_t cap, uint32_t owner, uint64_t seq, const struct peer_msg *m)
{
	require(m->blob_len <= sizeof(m->blob));
	struct wire_wr w = wire_wr(buf, cap < SYNC_CTL_MAX ? cap : SYNC_CTL_MAX);
	struct sync_env env = { .type = (uint16_t)m->type, .owner = owner, .epoch = m->epoch, .seq = seq };
	/* What a receiver must not overlook; an unknown heartbeat, journal entry or fact does no harm. */
	if (m->type != PEER_HEARTBEAT && m->type != PEER_JOURNAL && m->type != PEER_FACTS_ASK && m->type != PEER_FACTS)
		env.flags = SYNC_FLAG_CRITICAL;
	size_t off = sync_env_begin(&w, &env);
	put_body(&w, m);
	sync_env_end(&w, off);
	return w.bad ? ERR_FULL : (int)wire_len(&w);
}

int sync_obj_write(uint8_t *buf, size_t cap, enum sync_obj type, uint32_t owner, uint64_t seq, const uint8_t *bytes,
		   size_t len)
{
	struct wire_wr w = wire_wr(buf, cap < SYNC_CTL_MAX ? cap : SYNC_CTL_MAX);
	struct sync_env env = { .type = (uint16_t)type, .owner = owner, .seq = seq };
	size_t off = sync_env_begin(&w, &env);
	tlv_put(&w, TLV_BLOB | SYNC_TLV_CRITICAL, bytes, len);
	sync_env_end(&w, off);
	return w.bad ? ERR_FULL : (int)wire_len(&w);
}

enum sync_drop sync_obj_read(const struct sync_env *env, const uint8_t **bytes, size_t *len)
{
	struct wire_rd r = wire_rd(env->body, env->len), v;
	uint16_t raw;
	*bytes = NULL;
	*len = 0;
	while (wire_left(&r) > 0) {
		if (!tlv_next(&r, &raw, &v))
			return SYNC_DROP_TLV_CUT;
		if (raw == (TLV_BLOB | SYNC_TLV_CRITICAL)) {
			if (*bytes)
				return SYNC_DROP_TLV_TWICE;
			*bytes = v.p;
			*len = wire_left(&v);
		} else if ((raw & SYNC_TLV_CRITICAL) != 0) {
			return SYNC_DROP_TLV_CRITICAL;
		}
	}
	return *bytes ? SYNC_OK : SYNC_DROP_TLV_MISSING;
}

static enum sync_drop get_text(struct wire_rd *v, char *out, size_t cap)
{
	size_t n = wire_left(v);
	if (n == 0 || n >= cap)
		return SYNC_DROP_TEXT;
	const uint8_t *p = wire_take(v, n);
	for (size_t i = 0; i < n; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return SYNC_DROP_TEXT;
	}
	memcpy(out, p, n);
	out[n] = '\0';
	return SYNC_OK;
}

static enum sync_drop get_group_state(struct wire_rd *v, struct peer_msg *m)
{
	if (m->n_groups == PEER_GROUPS_MAX)
		return SYNC_DROP_TLV_MANY;
	struct peer_group_state *g = &m->groups[m->n_groups];
	g->group = wire_u16(v);
	g->role = wire_u8(v);
	g->priority = wire_u8(v);
	uint8_t flags = wire_u8(v);
	get_epoch(v, &g->epoch);
	if (g->role > PEER_ROLE_MOVING)
		return SYNC_DROP_TLV_VALUE;
	g->ready = (flags & GROUP_READY) != 0;
	m->n_groups++;
	return SYNC_OK;
}

/* Fixed lengths; 0xffff: checked by the reader of the value. Longer values are read as far as they are known, so that a
 * later version may append to any of them except text. */
static const uint16_t tlv_min[TLV_N] = {
	[TLV_VERSION] = 4,    [TLV_FEATURES] = 8,
	[TLV_NODE] = 4,       [TLV_BOOT] = 8,
	[TLV_CLUSTER] = 1,    [TLV_RECORD_MAX] = 4,
	[TLV_EPOCH_MAX] = 12, [TLV_DIGEST_KEY] = 16,
	[TLV_GROUP] = 2,      [TLV_GROUP_STATE] = GROUP_STATE_LEN,
	[TLV_LAST_SEQ] = 8,   [TLV_REASON] = 1,
	[TLV_TEXT] = 1,       [TLV_CONFIG_DIGEST] = 32,
	[TLV_SUCCESSOR] = 4,  [TLV_FACTS] = FACTS_LEN,
	[TLV_WALL] = 8,
};

static enum sync_drop get_hello_tlv(uint16_t type, struct wire_rd *v, struct peer_hello *h)
{
	switch (type) {
	case TLV_VERSION:
		h->version_min = wire_u16(v);
		h->version_max = wire_u16(v);
		return h->version_min <= h->version_max && h->version_min > 0 ? SYNC_OK : SYNC_DROP_TLV_VALUE;
	case TLV_FEATURES:
		h->features = wire_u64(v);
		return SYNC_OK;
	case TLV_NODE:
		h->node = wire_u32(v);
		return h->node > 0 && h->node <= INT32_MAX ? SYNC_OK : SYNC_DROP_TLV_VALUE;
	case TLV_BOOT:
		h->boot_nonce = wire_u64(v);
		return SYNC_OK;
	case TLV_CLUSTER:
		return get_text(v, h->cluster, sizeof(h->cluster));
	case TLV_RECORD_MAX:
		h->record_max = wire_u32(v);
		return h->record_max >= SYNC_CTL_MAX ? SYNC_OK : SYNC_DROP_TLV_VALUE;
	case TLV_EPOCH_MAX:
		get_epoch(v, &h->epoch_max);
		return SYNC_OK;
	case TLV_DIGEST_KEY:
		wire_bytes(v, h->digest_key, sizeof(h->digest_key));
		return SYNC_OK;
	case TLV_CONFIG_DIGEST:
		for (unsigned i = 0; i < 4; i++)
			h->config_digest[i] = wire_u64(v);
		return SYNC_OK;
	case TLV_DATA:
		h->data = true;
		return SYNC_OK;
	default:
		return SYNC_DROP_CHANNEL;
	}
}

static void get_facts(struct wire_rd *v, struct peer_facts *f)
{
	f->id = wire_u32(v);
	f->offset = wire_u32(v);
	f->total = wire_u32(v);
	uint8_t flags = wire_u8(v);
	f->sessions = (flags & FACTS_SESSIONS) != 0;
	f->config = (flags & FACTS_CONFIG) != 0;
}

static enum sync_drop get_msg_tlv(uint16_t type, struct wire_rd *v, struct peer_msg *m)
{
	switch (type) {
	case TLV_GROUP:
		m->group = wire_u16(v);
		return SYNC_OK;
	case TLV_GROUP_STATE:
		return get_group_state(v, m);
	case TLV_HAVE_ALL:
		m->you_have_all = true;
		return SYNC_OK;
	case TLV_LAST_SEQ:
		m->last_seq = wire_u64(v);
		return SYNC_OK;
	case TLV_PLANNED:
		m->planned = true;
		return SYNC_OK;
	case TLV_REASON:
		m->reason = wire_u8(v);
		return SYNC_OK;
	case TLV_MAINTENANCE:
		m->maintenance = true;
		return SYNC_OK;
	case TLV_SUCCESSOR:
		m->successor = wire_u32(v);
		return SYNC_OK;
	case TLV_TEXT:
		return get_text(v, m->text, sizeof(m->text));
	case TLV_FACTS:
		get_facts(v, &m->facts);
		return SYNC_OK;
	case TLV_WALL:
		m->facts.wall_us = wire_u64(v);
		return SYNC_OK;
	case TLV_BLOB:
		if (wire_left(v) > sizeof(m->blob))
			return SYNC_DROP_TLV_LENGTH;
		m->blob_len = (uint16_t)wire_left(v);
		wire_bytes(v, m->blob, m->blob_len);
		return SYNC_OK;
	default:
		return SYNC_DROP_CHANNEL; /* known, but not in this message: see tlv_allowed */
	}
}

#define BIT(t)      (UINT32_C(1) << (t))
#define HELLO_MUST  (BIT(TLV_VERSION) | BIT(TLV_NODE) | BIT(TLV_BOOT) | BIT(TLV_CLUSTER))
#define TRANSACTION (BIT(TLV_GROUP) | BIT(TLV_REASON) | BIT(TLV_PLANNED))

/* TLVs that a message reads, and those it cannot do without. */
static uint32_t tlv_allowed(enum peer_msg_type type, uint32_t *must)
{
	*must = 0;
	switch (type) {
	case PEER_HELLO:
		*must = HELLO_MUST;
		return HELLO_MUST | BIT(TLV_FEATURES) | BIT(TLV_RECORD_MAX) | BIT(TLV_EPOCH_MAX) | BIT(TLV_DIGEST_KEY) |
		       BIT(TLV_CONFIG_DIGEST) | BIT(TLV_DATA);
	case PEER_HEARTBEAT:
		return BIT(TLV_HAVE_ALL) | BIT(TLV_MAINTENANCE) | BIT(TLV_GROUP_STATE);
	case PEER_GO:
		*must = BIT(TLV_GROUP) | BIT(TLV_LAST_SEQ);
		return TRANSACTION | BIT(TLV_LAST_SEQ);
	case PEER_TAKE:
	case PEER_PREPARED:
	case PEER_UP:
		*must = BIT(TLV_GROUP);
		return TRANSACTION;
	case PEER_LEAVING:
		*must = BIT(TLV_GROUP);
		return TRANSACTION | BIT(TLV_SUCCESSOR);
	case PEER_JOURNAL:
		*must = BIT(TLV_BLOB);
		return BIT(TLV_BLOB);
	case PEER_CLOSE:
		return BIT(TLV_REASON) | BIT(TLV_TEXT);
	case PEER_FACTS_ASK:
		*must = BIT(TLV_FACTS);
		return BIT(TLV_FACTS);
	case PEER_FACTS:
		*must = BIT(TLV_FACTS) | BIT(TLV_BLOB);
		return BIT(TLV_FACTS) | BIT(TLV_BLOB) | BIT(TLV_WALL);
	}
	return 0;
}

static enum sync_drop get_body(const struct sync_env *env, struct peer_msg *m, struct sync_wire_stats *st)
{
	uint32_t must, seen = 0, allowed = tlv_allowed(m->type, &must);
	struct wire_rd r = wire_rd(env->body, env->len), v;
	uint16_t raw;
	while (wire_left(&r) > 0) {
		if (!tlv_next(&r, &raw, &v))
			return SYNC_DROP_TLV_CUT;
		uint16_t type = raw & (uint16_t)~SYNC_TLV_CRITICAL;
		if (type >= TLV_N || (allowed & BIT(type)) == 0) {
			if ((raw & SYNC_TLV_CRITICAL) != 0)
				return SYNC_DROP_TLV_CRITICAL;
			if (st)
				st->tlvs_skipped++;
			continue;
		}
		if ((seen & BIT(type)) != 0 && type != TLV_GROUP_STATE)
			return SYNC_DROP_TLV_TWICE;
		if (wire_left(&v) < tlv_min[type])
			return SYNC_DROP_TLV_LENGTH;
		seen |= BIT(type);
		enum sync_drop d =
		    m->type == PEER_HELLO ? get_hello_tlv(type, &v, &m->hello) : get_msg_tlv(type, &v, m);
		if (d != SYNC_OK)
			return d;
	}
	return (seen & must) == must ? SYNC_OK : SYNC_DROP_TLV_MISSING;
}

enum sync_drop sync_msg_read(const struct sync_env *env, struct peer_msg *out, struct sync_wire_stats *st)
{
	memset(out, 0, sizeof(*out));
	if (env->type < PEER_HELLO || env->type > PEER_FACTS)
		return SYNC_DROP_TYPE;
	out->type = (enum peer_msg_type)env->type;
	if (out->type == PEER_HELLO)
		out->hello.record_max = SYNC_CTL_MAX; /* what a peer that does not say it takes */
	out->epoch.counter = env->epoch.counter;
	out->epoch.node = env->epoch.node;
	enum sync_drop d = get_body(env, out, st);
	if (d != SYNC_OK)
		memset(out, 0, sizeof(*out));
	return d;
}
