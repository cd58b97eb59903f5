/*
 * Purpose: what the tests of ct_wire share: tuples from text, captured messages, parsing of one message.
 * Owns:    nothing.
 * Thread:  one.
 * In/Out:  values.
 * Errors:  a failed Check assertion.
 */
#ifndef KT_TESTS_CT_WIRE_UTIL_H
#define KT_TESTS_CT_WIRE_UTIL_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include "sync/ct_wire.h"

#define CORPUS SRCDIR "/tests/fuzz/corpus/ct_wire/"

struct blob {
	size_t len;
	uint8_t b[8192] __attribute__((aligned(8)));
};

static inline void load(const char *name, struct blob *m)
{
	char path[512];
	snprintf(path, sizeof(path), CORPUS "%s", name);
	FILE *f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	m->len = fread(m->b, 1, sizeof(m->b), f);
	fclose(f);
	ck_assert_uint_gt(m->len, 0);
}

static inline enum ct_drop parse(const uint8_t *b, size_t len, struct ct_event *ev)
{
	struct wire_rd r = wire_rd(b, len);
	struct ct_wire_msg m;
	enum ct_drop d = ct_wire_next(&r, &m);
	return d != CT_OK ? d : ct_wire_event(&m, ev);
}

static inline struct ct_tuple tuple4(uint8_t l4, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct ct_tuple t = { .l3 = 4, .l4 = l4, .sport = sport, .dport = dport };
	ck_assert_int_eq(inet_pton(AF_INET, src, t.src), 1);
	ck_assert_int_eq(inet_pton(AF_INET, dst, t.dst), 1);
	return t;
}

static inline struct ct_tuple tuple6(uint8_t l4, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct ct_tuple t = { .l3 = 6, .l4 = l4, .sport = sport, .dport = dport };
	ck_assert_int_eq(inet_pton(AF_INET6, src, t.src), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, dst, t.dst), 1);
	return t;
}

#endif
