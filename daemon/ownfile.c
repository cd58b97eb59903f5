#include <string.h>
#include "daemon/base/wire.h"
#include "daemon/ownfile.h"

#define MAGIC   UINT32_C(0x4b544f57) /* "KTOW" */
#define VERSION 2
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

static size_t name_len(const char name[IFNAMSIZ])
{
	return strnlen(name, IFNAMSIZ);
}

static bool name_ok(const char name[IFNAMSIZ])
{
	return name[0] && name_len(name) < IFNAMSIZ;
}

static bool entry_ok(const struct own_entry *e)
{
	size_t bytes = addr_len(e->addr.af), text = strnlen(e->text, sizeof(e->text));
	if (e->ifindex < 0)
		return false;
	switch (e->what) {
	case OWN_LINK:
		return name_ok(e->ifname) && name_ok(e->base);
	case OWN_ADDR:
		return name_ok(e->ifname) && bytes && e->plen > 0 && e->plen <= bytes * 8 &&
		       (e->peer.af == ADDR_NONE || e->peer.af == e->addr.af);
	case OWN_ROUTE:
	case OWN_RULE:
		return e->ifname[0] == '\0' && text > 0 && text < sizeof(e->text);
	default:
		return false;
	}
}

static size_t entry_size(const struct own_entry *e)
{
	size_t head = 1 + 4 + 1 + name_len(e->ifname);
	switch (e->what) {
	case OWN_LINK:
		return head + 1 + sizeof(e->mac) + 1 + name_len(e->base);
	case OWN_ADDR:
		return head + 2 + addr_len(e->addr.af) + 1 + addr_len(e->peer.af);
	default:
		return head + 2 + strnlen(e->text, sizeof(e->text));
	}
}

size_t ownfile_size(const struct own_entry *e, uint32_t n)
{
	size_t size = HEADER + TRAILER;
	for (uint32_t i = 0; i < n; i++)
		size += entry_size(&e[i]);
	return size;
}

static void put_name(struct wire_wr *w, const char name[IFNAMSIZ])
{
	wire_put_u8(w, (uint8_t)name_len(name));
	wire_put_bytes(w, name, name_len(name));
}

static void put_addr(struct wire_wr *w, const struct addr *a)
{
	wire_put_bytes(w, a->b, addr_len(a->af));
}

static void put_entry(struct wire_wr *w, const struct own_entry *e)
{
	wire_put_u8(w, e->what);
	wire_put_u32(w, (uint32_t)e->ifindex);
	put_name(w, e->ifname);
	switch (e->what) {
	case OWN_LINK:
		wire_put_u8(w, e->link_kind);
		wire_put_bytes(w, e->mac, sizeof(e->mac));
		put_name(w, e->base);
		break;
	case OWN_ADDR:
		wire_put_u8(w, e->addr.af);
		wire_put_u8(w, e->plen);
		put_addr(w, &e->addr);
		wire_put_u8(w, e->peer.af);
		put_addr(w, &e->peer);
		break;
	default:
		wire_put_u16(w, (uint16_t)strlen(e->text));
		wire_put_bytes(w, e->text, strlen(e->text));
		break;
	}
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
		put_entry(&w, &e[i]);
	}
	if (!w.bad)
		wire_put_u32(&w, crc32_ieee(0, buf, wire_len(&w)));
	return w.bad ? 0 : wire_len(&w);
}

static bool read_name(struct wire_rd *r, char name[IFNAMSIZ])
{
	uint8_t len = wire_u8(r);
	if (len >= IFNAMSIZ)
		return false;
	wire_bytes(r, name, len);
	return name_len(name) == len;
}

static bool read_payload(struct wire_rd *r, struct own_entry *e)
{
	switch (e->what) {
	case OWN_LINK:
		e->link_kind = wire_u8(r);
		wire_bytes(r, e->mac, sizeof(e->mac));
		return read_name(r, e->base);
	case OWN_ADDR:
		e->addr.af = wire_u8(r);
		e->plen = wire_u8(r);
		wire_bytes(r, e->addr.b, addr_len(e->addr.af));
		e->peer.af = wire_u8(r);
		wire_bytes(r, e->peer.b, addr_len(e->peer.af));
		return true;
	default: {
		uint16_t len = wire_u16(r);
		if (len >= sizeof(e->text))
			return false;
		wire_bytes(r, e->text, len);
		return strlen(e->text) == len;
	}
	}
}

static enum ownfile_drop read_entry(struct wire_rd *r, struct own_entry *e)
{
	*e = (struct own_entry){ .what = wire_u8(r) };
	uint32_t ifindex = wire_u32(r);
	bool ok = ifindex <= INT32_MAX && read_name(r, e->ifname);
	e->ifindex = ok ? (int)ifindex : 0;
	ok = ok && read_payload(r, e);
	if (r->bad)
		return OWNFILE_SHORT;
	return ok && entry_ok(e) ? OWNFILE_OK : OWNFILE_ENTRY;
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
