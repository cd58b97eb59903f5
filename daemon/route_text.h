/*
 * Purpose: routes and routing rules in the words of ip-route(8) and ip-rule(8), and back.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  text <-> struct route, struct rule. Names of tables come with the call; whoever calls has read them.
 * Errors:  false and a sentence that names the word and what would be right.
 *
 * Accepted are the words whose meaning does not depend on the running kernel. The protocol is ours (18), because it is
 * the mark by which we recognise what we made; a rule needs a priority, because without one the kernel chooses it.
 */
#ifndef KT_ROUTE_TEXT_H
#define KT_ROUTE_TEXT_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define ROUTE_HOPS_MAX       8
#define ROUTE_TEXT_MAX       400 /* longest text the printers make, with its NUL */
#define ROUTE_ERROR_MAX      160
#define ROUTE_TABLE_MAIN     254
#define ROUTE_TABLE_LOCAL    255
#define ROUTE_METRIC_DEFAULT 1024 /* of an IPv6 route that names none (net/ipv6/route.c) */

/* RTN_* of linux/rtnetlink.h */
enum route_type {
	ROUTE_UNICAST = 1,
	ROUTE_LOCAL = 2,
	ROUTE_BLACKHOLE = 6,
	ROUTE_UNREACHABLE = 7,
	ROUTE_PROHIBIT = 8,
	ROUTE_THROW = 9,
};

struct route_hop {
	struct addr via; /* ADDR_NONE: on the link; may be IPv6 in an IPv4 route (RFC 5549) */
	char dev[IFNAMSIZ];
	uint16_t weight; /* 1..256 */
	bool onlink;
};

struct route {
	uint8_t af; /* ADDR_V4 or ADDR_V6 */
	enum route_type type;
	struct addr dst;
	uint8_t plen; /* 0: default */
	uint8_t tos;  /* IPv4 */
	uint8_t scope;
	uint32_t table, metric;
	struct addr src;                                            /* ADDR_NONE: the kernel chooses */
	uint32_t mtu, advmss, window, initcwnd, initrwnd, hoplimit; /* 0: not set */
	bool mtu_lock;
	uint32_t realms; /* IPv4: from << 16 | to; 0: none */
	uint8_t n_hops;  /* 0 for types without a way out; more than 1: multipath */
	struct route_hop hop[ROUTE_HOPS_MAX];
};

/* FR_ACT_* of linux/fib_rules.h */
enum rule_action {
	RULE_TABLE = 1,
	RULE_GOTO = 2,
	RULE_BLACKHOLE = 6,
	RULE_UNREACHABLE = 7,
	RULE_PROHIBIT = 8,
};

struct rule {
	uint8_t af;
	enum rule_action action;
	bool invert;          /* "not" */
	struct addr from, to; /* ADDR_NONE: all */
	uint8_t from_plen, to_plen;
	char iif[IFNAMSIZ], oif[IFNAMSIZ];
	bool has_mark;
	uint32_t mark, mask;
	uint8_t tos;
	uint8_t ipproto;             /* 0: all */
	uint16_t sport[2], dport[2]; /* first and last; 0: all */
	bool has_uid;
	uint32_t uid[2];
	bool l3mdev;
	uint32_t table;  /* of RULE_TABLE; 0 with l3mdev */
	uint32_t target; /* of RULE_GOTO: a priority */
	uint32_t priority;
	int suppress_plen;  /* -1: none */
	int suppress_group; /* -1: none */
};

/* A name from /etc/iproute2/rt_tables. */
struct route_name {
	char name[32];
	uint32_t id;
};

struct route_names {
	const struct route_name *table;
	unsigned n;
};

/*
 * Reads one route or rule. af: the family where the text tells none (0: IPv4). names may be NULL: numbers and main,
 * local, default are always known. False: why (ROUTE_ERROR_MAX bytes) says what is wrong.
 */
bool route_text_route(const char *text, uint8_t af, const struct route_names *names, struct route *out, char *why);
bool route_text_rule(const char *text, uint8_t af, const struct route_names *names, struct rule *out, char *why);

/* The text that reads as the same again; returns buf (ROUTE_TEXT_MAX bytes). */
char *route_text_print(const struct route *r, char *buf);
char *route_text_print_rule(const struct rule *r, char *buf);

/* Reads one line of rt_tables: "100 name" or "0x64 name". False: a comment, an empty line, or nonsense. */
bool route_text_table_line(const char *line, struct route_name *out);

#endif
