#include <string.h>
#include "daemon/base/wire.h"
#include "daemon/ownfile.h"

#define MAGIC   UINT32_C(0x4b544f57) /* "KTOW" */
#define VERSION 1
#define HEADER  12
#define TRAILER 4

const char *ownfile_text(enum ownfile_drop d)
{
	static const char *const text[] = {
#define OWNFILE_TEXT(name, t) [name] = (t),
		OWNFILE_TABLE(OWNFILE_TEXT)
#undef OWNFILE_TEXT
	};
	return d >= 0 && d < sizeof(text) / sizeof(*text) ? text[d] : "unknown";
}

uint32_t crc32_ieee(uint32_t crc, const void *data, size_t len)
{
	/* One remainder per half byte: small enough to stay in the cache, quick enough for 40 KB. */
	static const uint32_t part[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ part[crc & 15];
		crc = crc >> 4 ^ part[crc & 15];
	}
	return ~crc;
}

static size_t name_len(const struct own_entry *e)
{
	return strnlen(e->ifname, sizeof(e->ifname));
}

static bool entry_ok(const struct own_entry *e)
{
	size_t bytes = addr_len(e->addr.af);
	return e->ifindex >= 0 && name_len(e) > 0 && name_len(e) < IFNAMSIZ && bytes && e->plen > 0 &&
	       e->plen <= bytes * 8;
}

size_t ownfile_size(const struct own_entry *e, uint32_t n)
{
	size_t size = HEADER + TRAILER;
	for (uint32_t i = 0; i < n; i++)
		size += 4 + 1 + name_len(&e[i]) + 1 + 1 + addr_len(e[i].addr.af);
	return size;
}

size_t ownfile_encode(const struct own_entry *e, uint32_t n, uint8_t *buf, size_t cap)
{
	struct wire_wr w = wire_wr(buf, cap);
	if (n > OWNFILE_ENTRIES_MAX)
		return 0;
	wire_put_u32(&w, MAGIC);
	wire_put_u16(&w, VERSION);
	wire_put_u16(&w, 0);
	wire_put_u32(&w, n);
	for (uint32_t i = 0; i < n; i++) {
		if (!entry_ok(&e[i]))
			return 0;
		wire_put_u32(&w, (uint32_t)e[i].ifindex);
		wire_put_u8(&w, (uint8_t)name_len(&e[i]));
		wire_put_bytes(&w, e[i].ifname, name_len(&e[i]));
		wire_put_u8(&w, e[i].addr.af);
		wire_put_u8(&w, e[i].plen);
		wire_put_bytes(&w, e[i].addr.b, addr_len(e[i].addr.af));
	}
	if (!w.bad)
		wire_put_u32(&w, crc32_ieee(0, buf, wire_len(&w)));
	return w.bad ? 0 : wire_len(&w);
}

static enum ownfile_drop read_entry(struct wire_rd *r, struct own_entry *e)
{
	*e = (struct own_entry){ 0 };
	uint32_t ifindex = wire_u32(r);
	uint8_t len = wire_u8(r);
	if (ifindex > INT32_MAX || len == 0 || len >= IFNAMSIZ)
		return r->bad ? OWNFILE_SHORT : OWNFILE_ENTRY;
	e->ifindex = (int)ifindex;
	wire_bytes(r, e->ifname, len);
	e->addr.af = wire_u8(r);
	e->plen = wire_u8(r);
	wire_bytes(r, e->addr.b, addr_len(e->addr.af));
	if (r->bad)
		return OWNFILE_SHORT;
	return entry_ok(e) && name_len(e) == len ? OWNFILE_OK : OWNFILE_ENTRY;
}

enum ownfile_drop ownfile_decode(const uint8_t *buf, size_t len, struct own_entry *out, uint32_t cap, uint32_t *n)
{
	*n = 0;
	if (len < HEADER + TRAILER)
		return OWNFILE_SHORT;
	struct wire_rd r = wire_rd(buf, len - TRAILER), crc = wire_rd(buf + len - TRAILER, TRAILER);
	if (wire_u32(&r) != MAGIC)
		return OWNFILE_MAGIC;
	if (wire_u16(&r) != VERSION)
		return OWNFILE_VERSION;
	if (wire_u32(&crc) != crc32_ieee(0, buf, len - TRAILER))
		return OWNFILE_CRC;
	wire_u16(&r); /* flags: none defined, a later version may set some */
	uint32_t count = wire_u32(&r);
	if (count > cap || count > OWNFILE_ENTRIES_MAX)
		return OWNFILE_COUNT;
	for (uint32_t i = 0; i < count; i++) {
		enum ownfile_drop d = read_entry(&r, &out[i]);
		if (d != OWNFILE_OK)
			return d;
	}
	if (wire_left(&r))
		return OWNFILE_COUNT;
	*n = count;
	return OWNFILE_OK;
}
