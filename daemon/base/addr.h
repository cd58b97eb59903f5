/*
 * Purpose: an IPv4 or IPv6 address as a plain value.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  b[] is in network order; an IPv4 address uses b[0..3], the rest is zero. af is 4, 6 or 0 (none).
 * Errors:  addr_parse returns false for text that is not an address.
 */
#ifndef KT_BASE_ADDR_H
#define KT_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };
#define ADDR_TEXT_MAX 46 /* longest IPv6 text and its NUL */

struct addr {
	uint8_t af;
	uint8_t b[16];
};

/* Bytes of the address on the wire: 4, 16 or 0. */
static inline size_t addr_len(uint8_t af)
{
	return af == ADDR_V4 ? 4 : af == ADDR_V6 ? 16 : 0;
}

bool addr_eq(const struct addr *a, const struct addr *b);
/* Orders first by family, then as an unsigned number (VRRP's tie-break): <0, 0, >0. */
int addr_cmp(const struct addr *a, const struct addr *b);
struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
/* Copies addr_len(af) bytes in network order. */
struct addr addr_from_bytes(uint8_t af, const void *bytes);
/* Reads "192.0.2.1" or "2001:db8::1"; no zone, no prefix length. */
bool addr_parse(const char *text, struct addr *out);
/* Reads "ADDR/LEN" or "ADDR" (full length). False when either part is wrong. */
bool addr_parse_prefix(const char *text, struct addr *out, uint8_t *plen);
/* Reads six octets of two hexadecimal digits with colons between them. False: mac is unchanged. */
bool addr_mac_parse(const char *text, uint8_t mac[6]);
/* Writes the text into buf (at least ADDR_TEXT_MAX bytes) and returns buf; "-" for ADDR_NONE. */
char *addr_text(const struct addr *a, char *buf);
bool addr_is_link_local(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
/* True when both are of one family and agree in the first plen bits. */
bool addr_in_prefix(const struct addr *a, const struct addr *net, uint8_t plen);

#endif
