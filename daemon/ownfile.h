/*
 * Purpose: codec of the ownership file: which kernel objects this node may have added, written before they are added.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  entries <-> bytes; the file is replaced as a whole (KT_FILE job, see kernel_thread.h).
 * Errors:  a named reason; a file that is wrong anywhere yields no entry at all: without list nothing is cleaned up.
 *
 * Layout, big endian: "KTOW" version u16, flags u16, count u32, then the entries, at last CRC-32 (IEEE) over everything
 * before it. An entry is { what u8, ifindex u32, name length u8, name }, followed by { af u8, prefix length u8, address,
 * af u8, peer address } of an address, { kind u8, MAC, name length u8, base name } of an interface, or { length u16,
 * text } of a route or rule, whose name is empty. What: enum net_what. Version 1 had only addresses, without peer.
 */
#ifndef KT_OWNFILE_H
#define KT_OWNFILE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define OWNFILE_ENTRIES_MAX 262144
#define OWN_TEXT_MAX        400 /* of a route or rule, with its NUL */
#define OWNFILE_ENTRY_MAX   (1 + 4 + 1 + IFNAMSIZ + 2 + OWN_TEXT_MAX)
#define OWNFILE_BYTES_MAX   (16 + (size_t)OWNFILE_ENTRIES_MAX * OWNFILE_ENTRY_MAX)

enum { OWN_LINK = 0, OWN_ADDR = 2, OWN_ROUTE = 3, OWN_RULE = 4 }; /* as enum net_what */

struct own_entry {
	uint8_t what;
	int ifindex; /* where it was put; the name decides when the index is gone */
	char ifname[IFNAMSIZ];
	/* of an address */
	struct addr addr, peer;
	uint8_t plen;
	/* of an interface */
	uint8_t link_kind;
	uint8_t mac[6];
	char base[IFNAMSIZ];
	/* of a route or rule, as route_text.h prints it */
	char text[OWN_TEXT_MAX];
};

#define OWNFILE_TABLE(X)                                                     \
	X(OWNFILE_OK, "ok")                                                  \
	X(OWNFILE_SHORT, "the file ends before its last entry")              \
	X(OWNFILE_MAGIC, "this is not an ownership file")                    \
	X(OWNFILE_VERSION, "the file was written by an unknown version")     \
	X(OWNFILE_CRC, "the checksum is wrong: the file was changed or cut") \
	X(OWNFILE_ENTRY, "an entry has a field that is out of range")        \
	X(OWNFILE_COUNT, "the number of entries is wrong")

enum ownfile_drop {
#define OWNFILE_ENUM(name, text) name,
	OWNFILE_TABLE(OWNFILE_ENUM)
#undef OWNFILE_ENUM
};

const char *ownfile_text(enum ownfile_drop d);
/* Bytes that n entries need. */
size_t ownfile_size(const struct own_entry *e, uint32_t n);
/* Bytes written, or 0 when cap is too small or an entry is invalid. */
size_t ownfile_encode(const struct own_entry *e, uint32_t n, uint8_t *buf, size_t cap);
/* Fills out[cap] and *n; at most cap entries are accepted (more: OWNFILE_COUNT). */
enum ownfile_drop ownfile_decode(const uint8_t *buf, size_t len, struct own_entry *out, uint32_t cap, uint32_t *n);

/* CRC-32 (IEEE 802.3, reflected), as used by all files of ours. Start with crc = 0; may be continued. */
uint32_t crc32_ieee(uint32_t crc, const void *data, size_t len);

#endif
