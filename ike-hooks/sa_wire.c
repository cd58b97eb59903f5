/*
 * Fields in fixed order. Two versions of the daemon that talk to each other read the part that both know: a record says its
 * length, and new fields come last.
 */
#include "ike-hooks/sa_wire.h"

#include <sodium.h>
#include <string.h>
#include "daemon/base/require.h"

_Static_assert(SA_PRINT_KEY == crypto_shorthash_KEYBYTES, "key length");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "hash length");

enum { BIT_MARK = 1, BIT_SET_MARK = 2, BIT_ENCAP = 4, BIT_WIDE = 8, BIT_EXTRA = 16 };
enum { ALG_NONE = 0, ALG_AUTH = 1, ALG_CRYPT = 2, ALG_AEAD = 3 };
enum { PROTO_ESP = 50, MODE_MAX = 4, WINDOW_MAX = 4096 };

static const char *const drop_text[SA_DROP_N] = { [SA_OK] = "accepted",
#define SA_TEXT(name, text) [name] = text,
						  SA_DROP_TABLE(SA_TEXT)
#undef SA_TEXT
};

const char *sa_drop_text(enum sa_drop d)
{
	return (unsigned)d < SA_DROP_N ? drop_text[d] : "unknown reason";
}

void sa_wipe(struct sa_copy *sa)
{
	explicit_bzero(sa, sizeof(*sa));
}

bool sa_same(const struct sa_copy *a, const struct sa_copy *b)
{
	return a->spi == b->spi && a->proto == b->proto && addr_eq(&a->dst, &b->dst) && a->has_mark == b->has_mark &&
	       a->mark == b->mark && a->mark_mask == b->mark_mask;
}

static int cmp_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

int sa_cmp(const struct sa_copy *a, const struct sa_copy *b)
{
	int c = addr_cmp(&a->dst, &b->dst);

	if (c == 0)
		c = addr_cmp(&a->src, &b->src);
	if (c == 0)
		c = cmp_u32(a->spi, b->spi);
	if (c == 0)
		c = cmp_u32(a->proto, b->proto);
	if (c == 0)
		c = cmp_u32(a->mark, b->mark);
	return c ? c : cmp_u32(a->mark_mask, b->mark_mask);
}

static bool key_zero(const struct sa_alg *a)
{
	uint8_t any = 0;

	for (unsigned i = 0; i < (a->key_bits + 7u) / 8 && i < SA_KEY_MAX; i++)
		any |= a->key[i];
	return any == 0;
}

bool sa_has_keys(const struct sa_copy *sa)
{
	const struct sa_alg *all[] = { &sa->auth, &sa->crypt, &sa->aead };
	unsigned keys = 0;

	for (unsigned i = 0; i < 3; i++) {
		if (!all[i]->name[0] || all[i]->key_bits == 0)
			continue;
		if (key_zero(all[i]))
			return false;
		keys++;
	}
	return keys > 0;
}

/* ---- writing ---- */

static void put_addr(struct wire_wr *w, const struct addr *a)
{
	uint8_t *at;

	wire_put_u8(w, a->af);
	at = wire_reserve(w, addr_len(a->af));
	if (at)
		memcpy(at, a->b, addr_len(a->af));
}

static void put_alg(struct wire_wr *w, uint8_t kind, const struct sa_alg *a)
{
	size_t name = strnlen(a->name, SA_NAME_MAX), key = (a->key_bits + 7u) / 8;
	uint8_t *at;

	if (!name)
		return;
	wire_put_u8(w, kind);
	wire_put_u8(w, (uint8_t)name);
	at = wire_reserve(w, name);
	if (at)
		memcpy(at, a->name, name);
	wire_put_u16(w, a->key_bits);
	wire_put_u16(w, a->icv_bits);
	at = wire_reserve(w, key);
	if (at)
		memcpy(at, a->key, key);
}

static void put_selector(struct wire_wr *w, const struct sa_selector *s)
{
	put_addr(w, &s->dst);
	put_addr(w, &s->src);
	wire_put_u8(w, s->dst_len);
	wire_put_u8(w, s->src_len);
	wire_put_u8(w, s->proto);
	wire_put_u16(w, s->dport);
	wire_put_u16(w, s->dport_mask);
	wire_put_u16(w, s->sport);
	wire_put_u16(w, s->sport_mask);
}

static void put_record(struct wire_wr *w, const struct sa_copy *sa)
{
	wire_put_u32(w, sa->id);
	put_addr(w, &sa->src);
	put_addr(w, &sa->dst);
	wire_put_u32(w, sa->spi);
	wire_put_u8(w, sa->proto);
	wire_put_u8(w, sa->mode);
	wire_put_u8(w, sa->flags);
	wire_put_u8(w, sa->dir);
	wire_put_u32(w, sa->reqid);
	wire_put_u32(w, sa->if_id);
	wire_put_u32(w, sa->window);
	wire_put_u64(w, sa->top);
	wire_put_u32(w, sa->left_s);
	wire_put_u64(w, sa->left_bytes);
	wire_put_u64(w, sa->left_packets);
	put_selector(w, &sa->sel);
	wire_put_u8(w, (uint8_t)((sa->has_mark ? BIT_MARK : 0) | (sa->has_set_mark ? BIT_SET_MARK : 0) |
				 (sa->has_encap ? BIT_ENCAP : 0) | (sa->wide ? BIT_WIDE : 0) |
				 (sa->has_extra ? BIT_EXTRA : 0)));
	if (sa->has_mark) {
		wire_put_u32(w, sa->mark);
		wire_put_u32(w, sa->mark_mask);
	}
	if (sa->has_set_mark) {
		wire_put_u32(w, sa->set_mark);
		wire_put_u32(w, sa->set_mark_mask);
	}
	if (sa->has_encap) {
		wire_put_u16(w, sa->encap_type);
		wire_put_u16(w, sa->encap_sport);
		wire_put_u16(w, sa->encap_dport);
		put_addr(w, &sa->encap_oa);
	}
	if (sa->has_extra)
		wire_put_u32(w, sa->extra_flags);
	put_alg(w, ALG_AUTH, &sa->auth);
	put_alg(w, ALG_CRYPT, &sa->crypt);
	put_alg(w, ALG_AEAD, &sa->aead);
	wire_put_u8(w, ALG_NONE);
}

void sa_put_head(struct wire_wr *w, enum sa_kind kind, uint32_t sender)
{
	wire_put_u8(w, SA_WIRE_VERSION);
	wire_put_u8(w, (uint8_t)kind);
	wire_put_u16(w, 0);
	wire_put_u32(w, sender);
}

bool sa_put_copy(struct wire_wr *w, const struct sa_copy *sa)
{
	struct wire_wr before = *w;
	size_t at = wire_len(w);

	wire_put_u16(w, 0);
	put_record(w, sa);
	if (w->bad) {
		*w = before;
		return false;
	}
	wire_patch_u16(w, at, (uint16_t)(wire_len(w) - at - 2));
	return true;
}

void sa_fingerprint(struct sa_copy *sa, const uint8_t key[SA_PRINT_KEY], uint8_t *scratch)
{
	struct wire_wr w = wire_wr(scratch, SA_RECORD_MAX);
	uint32_t id = sa->id, left_s = sa->left_s;
	uint64_t top = sa->top, bytes = sa->left_bytes, packets = sa->left_packets;

	/* What changes while nothing happens to it; in place, for a copy would be one more place to wipe. */
	sa->id = sa->left_s = 0;
	sa->top = sa->left_bytes = sa->left_packets = 0;
	put_record(&w, sa);
	require(!w.bad);
	crypto_shorthash((unsigned char *)&sa->fingerprint, scratch, wire_len(&w), key);
	sa->id = id;
	sa->left_s = left_s;
	sa->top = top;
	sa->left_bytes = bytes;
	sa->left_packets = packets;
	explicit_bzero(scratch, wire_len(&w));
}

void sa_put_list(struct wire_wr *w, const struct sa_list *list)
{
	put_addr(w, &list->vip);
	wire_put_u32(w, list->first);
	wire_put_u32(w, list->last);
	for (unsigned i = 0; i < list->n; i++) {
		wire_put_u32(w, list->tops[i].id);
		wire_put_u64(w, list->tops[i].top);
	}
}

void sa_put_want(struct wire_wr *w, const struct sa_want *want)
{
	for (unsigned i = 0; i < want->n; i++)
		wire_put_u32(w, want->ids[i]);
}

/* ---- reading ---- */

static bool get_addr(struct wire_rd *r, struct addr *out, bool none)
{
	uint8_t af = wire_u8(r);

	memset(out, 0, sizeof(*out));
	if (af != ADDR_V4 && af != ADDR_V6)
		return af == ADDR_NONE && none && !r->bad;
	out->af = af;
	wire_bytes(r, out->b, addr_len(af));
	return !r->bad;
}

static enum sa_drop get_alg(struct wire_rd *r, struct sa_copy *sa, uint8_t kind)
{
	struct sa_alg *a = kind == ALG_AUTH ? &sa->auth : kind == ALG_CRYPT ? &sa->crypt : &sa->aead;
	size_t name = wire_u8(r);

	if (kind > ALG_AEAD || name == 0 || a->name[0])
		return SA_DROP_VALUE;
	if (name >= SA_NAME_MAX)
		return SA_DROP_ALG;
	wire_bytes(r, a->name, name);
	for (size_t i = 0; i < name; i++)
		if (a->name[i] <= ' ' || a->name[i] > '~')
			return r->bad ? SA_DROP_SHORT : SA_DROP_VALUE;
	a->key_bits = wire_u16(r);
	a->icv_bits = wire_u16(r);
	if (a->key_bits > 8 * SA_KEY_MAX)
		return SA_DROP_ALG;
	wire_bytes(r, a->key, (a->key_bits + 7u) / 8);
	return r->bad ? SA_DROP_SHORT : SA_OK;
}

static enum sa_drop get_algs(struct wire_rd *r, struct sa_copy *sa)
{
	for (uint8_t kind; (kind = wire_u8(r)) != ALG_NONE;) {
		enum sa_drop d = get_alg(r, sa, kind);
		if (d != SA_OK)
			return d;
	}
	if (r->bad)
		return SA_DROP_SHORT;
	return sa_has_keys(sa) ? SA_OK : SA_DROP_ZERO_KEY;
}

static bool get_selector(struct wire_rd *r, struct sa_selector *s)
{
	if (!get_addr(r, &s->dst, true) || !get_addr(r, &s->src, true))
		return false;
	s->dst_len = wire_u8(r);
	s->src_len = wire_u8(r);
	s->proto = wire_u8(r);
	s->dport = wire_u16(r);
	s->dport_mask = wire_u16(r);
	s->sport = wire_u16(r);
	s->sport_mask = wire_u16(r);
	return s->dst.af == s->src.af && s->dst_len <= 8 * addr_len(s->dst.af) && s->src_len <= 8 * addr_len(s->src.af);
}

static bool get_options(struct wire_rd *r, struct sa_copy *sa)
{
	uint8_t bits = wire_u8(r);

	sa->has_mark = bits & BIT_MARK;
	sa->has_set_mark = bits & BIT_SET_MARK;
	sa->has_encap = bits & BIT_ENCAP;
	sa->wide = bits & BIT_WIDE;
	sa->has_extra = bits & BIT_EXTRA;
	if (sa->has_mark) {
		sa->mark = wire_u32(r);
		sa->mark_mask = wire_u32(r);
	}
	if (sa->has_set_mark) {
		sa->set_mark = wire_u32(r);
		sa->set_mark_mask = wire_u32(r);
	}
	if (sa->has_encap) {
		sa->encap_type = wire_u16(r);
		sa->encap_sport = wire_u16(r);
		sa->encap_dport = wire_u16(r);
		if (!get_addr(r, &sa->encap_oa, true))
			return false;
	}
	if (sa->has_extra)
		sa->extra_flags = wire_u32(r);
	/* A bit of a later version would shift what follows. */
	return bits < 2 * BIT_EXTRA;
}

static enum sa_drop get_record(struct wire_rd *r, struct sa_copy *sa)
{
	sa->id = wire_u32(r);
	bool ends = get_addr(r, &sa->src, false) && get_addr(r, &sa->dst, false);
	if (!ends)
		return r->bad ? SA_DROP_SHORT : SA_DROP_VALUE;
	sa->spi = wire_u32(r);
	sa->proto = wire_u8(r);
	sa->mode = wire_u8(r);
	sa->flags = wire_u8(r);
	sa->dir = wire_u8(r);
	sa->reqid = wire_u32(r);
	sa->if_id = wire_u32(r);
	sa->window = wire_u32(r);
	sa->top = wire_u64(r);
	sa->left_s = wire_u32(r);
	sa->left_bytes = wire_u64(r);
	sa->left_packets = wire_u64(r);
	if (!get_selector(r, &sa->sel) || !get_options(r, sa))
		return r->bad ? SA_DROP_SHORT : SA_DROP_VALUE;
	if (sa->proto != PROTO_ESP)
		return SA_DROP_PROTO;
	if (sa->id == 0 || sa->spi == 0 || sa->mode > MODE_MAX || sa->src.af != sa->dst.af)
		return SA_DROP_VALUE;
	if (sa->window > (sa->wide ? (uint32_t)WINDOW_MAX : 32u))
		return SA_DROP_WINDOW;
	return get_algs(r, sa);
}

enum sa_drop sa_get_head(struct wire_rd *r, enum sa_kind *kind, uint32_t *sender)
{
	uint8_t version = wire_u8(r), number = wire_u8(r);

	(void)wire_u16(r);
	*sender = wire_u32(r);
	*kind = (enum sa_kind)number;
	if (r->bad)
		return SA_DROP_SHORT;
	if (version != SA_WIRE_VERSION)
		return SA_DROP_VERSION;
	return number >= SA_KIND_COPIES && number <= SA_KIND_WANT ? SA_OK : SA_DROP_KIND;
}

enum sa_drop sa_get_copy(struct wire_rd *r, struct sa_copy *out)
{
	uint16_t len = wire_u16(r);
	struct wire_rd record = wire_sub(r, len);
	enum sa_drop d;

	sa_wipe(out);
	d = record.bad ? SA_DROP_SHORT : get_record(&record, out);
	if (d == SA_OK && record.bad)
		d = SA_DROP_SHORT;
	if (d != SA_OK)
		sa_wipe(out);
	return d;
}

enum sa_drop sa_get_list(struct wire_rd *r, struct sa_list *out)
{
	memset(out, 0, sizeof(*out));
	if (!get_addr(r, &out->vip, false))
		return r->bad ? SA_DROP_SHORT : SA_DROP_VALUE;
	out->first = wire_u32(r);
	out->last = wire_u32(r);
	while (wire_left(r) > 0 && !r->bad) {
		if (out->n == SA_LIST_TOPS)
			return SA_DROP_FULL;
		struct sa_top *t = &out->tops[out->n++];
		t->id = wire_u32(r);
		t->top = wire_u64(r);
		if (r->bad)
			break;
		if (t->id < out->first || t->id > out->last || (out->n > 1 && t[-1].id >= t->id))
			return SA_DROP_VALUE;
	}
	return r->bad ? SA_DROP_SHORT : SA_OK;
}

enum sa_drop sa_get_want(struct wire_rd *r, struct sa_want *out)
{
	memset(out, 0, sizeof(*out));
	while (wire_left(r) > 0 && !r->bad) {
		if (out->n == SA_WANT_IDS)
			return SA_DROP_FULL;
		out->ids[out->n++] = wire_u32(r);
	}
	return r->bad ? SA_DROP_SHORT : SA_OK;
}
