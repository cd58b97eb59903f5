/*
 * Purpose: read and write cursors over a byte buffer, big endian, with a sticky error: parse ten fields, test once.
 * Owns:    nothing; the buffer stays the caller's and must outlive the cursor.
 * Thread:  any (pure).
 * In/Out:  values in host order.
 * Errors:  reading past the end yields 0 and sets bad; writing past the end writes nothing and sets bad.
 */
#ifndef KT_BASE_WIRE_H
#define KT_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wire_rd {
	const uint8_t *p, *end;
	bool bad;
};

struct wire_wr {
	uint8_t *base, *p, *end;
	bool bad;
};

static inline struct wire_rd wire_rd(const void *buf, size_t len)
{
	/* NULL has no address after it, not even at distance 0. */
	return (struct wire_rd){ .p = buf, .end = buf ? (const uint8_t *)buf + len : NULL };
}

static inline struct wire_wr wire_wr(void *buf, size_t len)
{
	return (struct wire_wr){ .base = buf, .p = buf, .end = buf ? (uint8_t *)buf + len : NULL };
}

static inline size_t wire_left(const struct wire_rd *r)
{
	return (size_t)(r->end - r->p);
}

/* Bytes written so far. */
static inline size_t wire_len(const struct wire_wr *w)
{
	return (size_t)(w->p - w->base);
}

static inline size_t wire_room(const struct wire_wr *w)
{
	return (size_t)(w->end - w->p);
}

/* The next n bytes in place, or NULL (and bad) when fewer are left. */
static inline const uint8_t *wire_take(struct wire_rd *r, size_t n)
{
	if (r->bad || wire_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *at = r->p;
	r->p += n;
	return at;
}

/* A cursor over the next n bytes, which the outer cursor skips. */
static inline struct wire_rd wire_sub(struct wire_rd *r, size_t n)
{
	const uint8_t *at = wire_take(r, n);
	struct wire_rd sub = wire_rd(at, at ? n : 0);
	sub.bad = !at;
	return sub;
}

static inline uint64_t wire_get(struct wire_rd *r, unsigned n)
{
	const uint8_t *at = wire_take(r, n);
	uint64_t v = 0;
	for (unsigned i = 0; at && i < n; i++)
		v = v << 8 | at[i];
	return v;
}

static inline uint8_t wire_u8(struct wire_rd *r)
{
	return (uint8_t)wire_get(r, 1);
}
static inline uint16_t wire_u16(struct wire_rd *r)
{
	return (uint16_t)wire_get(r, 2);
}
static inline uint32_t wire_u32(struct wire_rd *r)
{
	return (uint32_t)wire_get(r, 4);
}
static inline uint64_t wire_u64(struct wire_rd *r)
{
	return wire_get(r, 8);
}
static inline void wire_bytes(struct wire_rd *r, void *out, size_t n)
{
	const uint8_t *at = wire_take(r, n);
	if (at)
		memcpy(out, at, n);
	else
		memset(out, 0, n);
}

/* Room for n bytes, or NULL (and bad) when there is less. */
static inline uint8_t *wire_reserve(struct wire_wr *w, size_t n)
{
	if (w->bad || wire_room(w) < n) {
		w->bad = true;
		return NULL;
	}
	uint8_t *at = w->p;
	w->p += n;
	return at;
}

static inline void wire_put(struct wire_wr *w, uint64_t v, unsigned n)
{
	uint8_t *at = wire_reserve(w, n);
	for (unsigned i = 0; at && i < n; i++)
		at[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static inline void wire_put_u8(struct wire_wr *w, uint8_t v)
{
	wire_put(w, v, 1);
}
static inline void wire_put_u16(struct wire_wr *w, uint16_t v)
{
	wire_put(w, v, 2);
}
static inline void wire_put_u32(struct wire_wr *w, uint32_t v)
{
	wire_put(w, v, 4);
}
static inline void wire_put_u64(struct wire_wr *w, uint64_t v)
{
	wire_put(w, v, 8);
}
static inline void wire_put_bytes(struct wire_wr *w, const void *data, size_t n)
{
	uint8_t *at = wire_reserve(w, n);
	if (at && n)
		memcpy(at, data, n);
}

/* Overwrites two bytes written earlier at offset off (a length or checksum known only at the end). */
static inline void wire_patch_u16(struct wire_wr *w, size_t off, uint16_t v)
{
	if (off + 2 > wire_len(w)) {
		w->bad = true;
		return;
	}
	w->base[off] = (uint8_t)(v >> 8);
	w->base[off + 1] = (uint8_t)v;
}

#endif
