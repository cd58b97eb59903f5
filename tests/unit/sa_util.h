/*
 * Purpose: SAs for the tests of copies.
 * Owns:    nothing.
 * Thread:  any.
 * In/Out:  values.
 * Errors:  none.
 */
#ifndef KT_TEST_SA_UTIL_H
#define KT_TEST_SA_UTIL_H

#include <check.h>
#include <string.h>
#include "ike-hooks/sa_copy.h"

static inline struct addr A(const char *text) {
	struct addr a;

	ck_assert(addr_parse(text, &a));
	return a;
}

static inline void
sa_alg_set(struct sa_alg *a, const char *name, unsigned bits, unsigned icv, uint8_t fill)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->name, name, strlen(name));
	a->key_bits = (uint16_t)bits;
	a->icv_bits = (uint16_t)icv;
	memset(a->key, fill, (bits + 7) / 8);
}

/* AES-GCM of 128 bits from 203.0.113.9 to 203.0.113.1. */
static inline struct sa_copy sa_gcm(uint32_t id, uint32_t spi)
{
	struct sa_copy sa = { .id = id,
			      .src = addr_v4(203, 0, 113, 9),
			      .dst = addr_v4(203, 0, 113, 1),
			      .spi = spi,
			      .proto = 50,
			      .mode = 1,
			      .flags = 0x20,
			      .reqid = 7,
			      .window = 32,
			      .top = 0x1234,
			      .left_s = 3000,
			      .left_bytes = SA_NO_LIMIT8,
			      .left_packets = SA_NO_LIMIT8 };

	sa_alg_set(&sa.aead, "rfc4106(gcm(aes))", 160, 128, 0x5a);
	return sa;
}

/* Everything that can be set, IPv6. */
static inline struct sa_copy sa_full(void)
{
	struct sa_copy sa = sa_gcm(0x01020304, 0xc1c2c3c4);

	sa.src = A("2001:db8::9");
	sa.dst = A("2001:db8::1");
	sa.dir = 1;
	sa.if_id = 42;
	sa.has_mark = sa.has_set_mark = sa.has_encap = sa.has_extra = sa.wide = true;
	sa.mark = 0x11;
	sa.mark_mask = 0xff;
	sa.set_mark = 0x22;
	sa.set_mark_mask = 0xf0;
	sa.extra_flags = 2;
	sa.encap_type = 2;
	sa.encap_sport = 4500;
	sa.encap_dport = 33333;
	sa.encap_oa = A("2001:db8::77");
	sa.window = 256;
	sa.top = UINT64_C(0x500000007);
	sa.left_bytes = 1600;
	sa.left_packets = 160;
	sa.sel = (struct sa_selector){ .dst = A("2001:db8:1::"),
				       .src = A("2001:db8:2::"),
				       .dst_len = 64,
				       .src_len = 48,
				       .proto = 17,
				       .dport = 53,
				       .dport_mask = 0xffff,
				       .sport = 1024,
				       .sport_mask = 0xfc00 };
	memset(&sa.aead, 0, sizeof(sa.aead));
	sa_alg_set(&sa.auth, "hmac(sha256)", 256, 128, 0xa1);
	sa_alg_set(&sa.crypt, "cbc(aes)", 128, 0, 0xc2);
	return sa;
}

#endif
