/*
 * Purpose: writing and reading one TLV (type u16, length u16, value), shared by the parts of sync_wire.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  cursors of daemon/base/wire.h.
 * Errors:  the cursor's sticky error; tlv_next returns false when the TLV runs past the end.
 */
#ifndef KT_SYNC_SYNC_WIRE_TLV_H
#define KT_SYNC_SYNC_WIRE_TLV_H

#include "daemon/base/wire.h"

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

#endif
