/*
 * Purpose: writing and reading one TLV (type u16, length u16, value) and the fields that several objects have, shared by
 *          the parts of sync_wire.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  cursors of daemon/base/wire.h.
 * Errors:  the cursor's sticky error; tlv_next returns false when the TLV runs past the end.
 */
#ifndef KT_SYNC_SYNC_WIRE_TLV_H
#define KT_SYNC_SYNC_WIRE_TLV_H

#include "daemon/base/addr.h"
#include "daemon/base/wire.h"
#include "sync/rec.h"

enum { TLV_HEAD = 4 };

/* Returns the offset that tlv_end needs. */
static inline size_t tlv_begin(struct wire_wr *w, uint16_t type)
{
	size_t at = wire_len(w);
	wire_put_u16(w, type);
	wire_put_u16(w, 0);
	return at;
}

static inline void tlv_end(struct wire_wr *w, size_t at)
{
	if (!w->bad)
		wire_patch_u16(w, at + 2, (uint16_t)(wire_len(w) - at - TLV_HEAD));
}

static inline void tlv_put(struct wire_wr *w, uint16_t type, const void *value, size_t n)
{
	wire_put_u16(w, type);
	wire_put_u16(w, (uint16_t)n);
	wire_put_bytes(w, value, n);
}

static inline void tlv_put_uint(struct wire_wr *w, uint16_t type, uint64_t v, unsigned n)
{
	wire_put_u16(w, type);
	wire_put_u16(w, (uint16_t)n);
	wire_put(w, v, n);
}

/* Takes the next TLV off r; v covers its value. */
static inline bool tlv_next(struct wire_rd *r, uint16_t *type, struct wire_rd *v)
{
	*type = wire_u16(r);
	size_t n = wire_u16(r);
	if (r->bad || wire_left(r) < n) {
		r->bad = true;
		return false;
	}
	*v = wire_sub(r, n);
	return true;
}

static inline void put_version(struct wire_wr *w, struct flow_version v)
{
	wire_put_u64(w, v.epoch.counter);
	wire_put_u32(w, v.epoch.node);
	wire_put_u32(w, v.claim);
	wire_put_u32(w, v.node);
}

/* Field by field: what was read compares with memcmp, padding included. */
static inline void get_version(struct wire_rd *r, struct flow_version *v)
{
	v->epoch.counter = wire_u64(r);
	v->epoch.node = wire_u32(r);
	v->claim = wire_u32(r);
	v->node = wire_u32(r);
}

static inline void put_tuple(struct wire_wr *w, const struct ct_tuple *t)
{
	size_t n = addr_len(t->l3);
	wire_put_u8(w, t->l3);
	wire_put_u8(w, t->l4);
	wire_put_u16(w, t->zone);
	wire_put_u16(w, t->sport);
	wire_put_u16(w, t->dport);
	wire_put_bytes(w, t->src, n);
	wire_put_bytes(w, t->dst, n);
}

static inline bool get_tuple(struct wire_rd *r, struct ct_tuple *t)
{
	t->l3 = wire_u8(r);
	t->l4 = wire_u8(r);
	t->zone = wire_u16(r);
	t->sport = wire_u16(r);
	t->dport = wire_u16(r);
	size_t n = addr_len(t->l3);
	wire_bytes(r, t->src, n);
	wire_bytes(r, t->dst, n);
	return n > 0;
}

#endif
