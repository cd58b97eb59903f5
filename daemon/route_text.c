/*
 * A text is cut into words at blanks. Each keyword may stand once; the order is free, except that the type and the
 * destination of a route come first, as ip-route(8) has it. Next hops come last.
 */
#include "daemon/route_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX      64
#define TEXT_MAX      255
#define SCOPE_LINK    253
#define SCOPE_HOST    254
#define TABLE_DEFAULT 253

struct reader {
	const char *at;
	char word[WORD_MAX]; /* the present one; empty: the end */
	const struct route_names *names;
	char *why;
	bool bad;
	uint64_t seen; /* bit per keyword */
};

struct keyword {
	const char *name;
	int id;
};

static void complain(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	if (r->bad)
		return;
	r->bad = true;
	va_start(ap, fmt);
	vsnprintf(r->why, ROUTE_ERROR_MAX, fmt, ap);
	va_end(ap);
}

static void next_word(struct reader *r)
{
	r->at += strspn(r->at, " \t\r\n");
	size_t n = strcspn(r->at, " \t\r\n");
	if (n >= WORD_MAX) {
		complain(r, "the word '%.20s...' is too long", r->at);
		n = 0;
	}
	memcpy(r->word, r->at, n);
	r->word[n] = '\0';
	r->at += n;
}

static void begin(struct reader *r)
{
	if (strlen(r->at) > TEXT_MAX)
		complain(r, "the text is longer than %d letters", TEXT_MAX);
	else
		next_word(r);
}

static bool is_word(const struct reader *r, const char *text)
{
	return strcmp(r->word, text) == 0;
}

static int keyword_of(const struct keyword *k, unsigned n, const char *word)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(k[i].name, word) == 0)
			return k[i].id;
	return -1;
}

#define KEYWORD(list, word) keyword_of(list, sizeof(list) / sizeof((list)[0]), word)

/* A decimal or 0x number; false leaves *out alone. */
static bool number(const char *text, uint64_t max, uint64_t *out)
{
	unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? text + 2 : text;
	uint64_t v = 0;
	if (!*p)
		return false;
	for (; *p; p++) {
		unsigned d = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
			     : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10)
			     : *p >= 'A' && *p <= 'F' ? (unsigned)(*p - 'A' + 10)
						      : 99;
		if (d >= base || v > (max - d) / base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return true;
}

/* The value after a keyword; complains when there is none. */
static bool value(struct reader *r, const char *key)
{
	next_word(r);
	if (!r->word[0])
		complain(r, "a value is missing after '%s'", key);
	return !r->bad;
}

static uint32_t value_number(struct reader *r, const char *key, uint64_t min, uint64_t max)
{
	uint64_t v = min;
	if (value(r, key) && (!number(r->word, max, &v) || v < min))
		complain(r, "'%s' after '%s' is no number from %llu to %llu", r->word, key, (unsigned long long)min,
			 (unsigned long long)max);
	return (uint32_t)v;
}

static void value_dev(struct reader *r, const char *key, char dev[IFNAMSIZ])
{
	if (!value(r, key))
		return;
	size_t n = strlen(r->word);
	if (n >= IFNAMSIZ) {
		complain(r, "'%s' after '%s' is too long for an interface name (at most %d letters)", r->word, key,
			 IFNAMSIZ - 1);
		return;
	}
	memset(dev, 0, IFNAMSIZ);
	memcpy(dev, r->word, n);
}

static const struct keyword table_words[] = { { "default", TABLE_DEFAULT },
					      { "main", ROUTE_TABLE_MAIN },
					      { "local", ROUTE_TABLE_LOCAL } };

static uint32_t value_table(struct reader *r, const char *key)
{
	uint64_t v = 0;
	if (!value(r, key))
		return 0;
	int known = KEYWORD(table_words, r->word);
	if (known >= 0)
		return (uint32_t)known;
	for (unsigned i = 0; r->names && i < r->names->n; i++)
		if (strcmp(r->names->table[i].name, r->word) == 0)
			return r->names->table[i].id;
	if (!number(r->word, UINT32_MAX, &v) || v == 0)
		complain(r,
			 "'%s' after '%s' is no routing table: a number from 1, main, local, default, or a name from "
			 "/etc/iproute2/rt_tables",
			 r->word, key);
	return (uint32_t)v;
}

static struct addr value_addr(struct reader *r, const char *key)
{
	struct addr a = { 0 };
	if (value(r, key) && !addr_parse(r->word, &a))
		complain(r, "'%s' after '%s' is no IP address", r->word, key);
	return a;
}

/* An address with a prefix length, or a family's word for everything. */
static bool prefix(struct reader *r, uint8_t *af, struct addr *a, uint8_t *plen)
{
	static const struct keyword all[] = { { "default", 0 }, { "any", 0 }, { "all", 0 } };
	*a = (struct addr){ 0 };
	*plen = 0;
	if (KEYWORD(all, r->word) >= 0)
		return true;
	if (!addr_parse_prefix(r->word, a, plen)) {
		complain(r, "'%s' is neither ADDRESS/LENGTH nor default", r->word);
		return false;
	}
	struct addr masked = *a;
	for (unsigned bit = *plen; bit < addr_len(a->af) * 8; bit++)
		masked.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	if (!addr_eq(&masked, a)) {
		char text[ADDR_TEXT_MAX];
		complain(r, "'%s' has bits behind its prefix length: is it %s/%u?", r->word, addr_text(&masked, text),
			 *plen);
		return false;
	}
	*af = a->af;
	return true;
}

/* True the first time; keywords are below 64. */
static bool once(struct reader *r, int id)
{
	if (r->seen & UINT64_C(1) << id) {
		complain(r, "'%s' is given twice", r->word);
		return false;
	}
	r->seen |= UINT64_C(1) << id;
	return true;
}

static bool seen(const struct reader *r, int id)
{
	return (r->seen & UINT64_C(1) << id) != 0;
}

/* A family's word at the beginning. */
static uint8_t family_word(struct reader *r)
{
	static const struct keyword words[] = {
		{ "inet", ADDR_V4 }, { "-4", ADDR_V4 }, { "inet6", ADDR_V6 }, { "-6", ADDR_V6 }
	};
	int af = KEYWORD(words, r->word);
	if (af < 0)
		return 0;
	next_word(r);
	return (uint8_t)af;
}

/* All addresses of one text are of one family; *af is it, or 0 so far. */
static void same_family(struct reader *r, uint8_t *af, uint8_t with, const char *what)
{
	if (!with || r->bad)
		return;
	if (*af && *af != with)
		complain(r, "'%s': the address of '%s' is of the other family", r->word, what);
	*af = with;
}

static uint8_t tos_value(struct reader *r, const char *key)
{
	uint64_t v = 0;
	if (value(r, key) && (!number(r->word, 0xff, &v) || v & 3))
		complain(r, "'%s' after '%s' is no type of service: a multiple of 4 up to 0xfc", r->word, key);
	return (uint8_t)v;
}

static uint32_t realms_value(struct reader *r, const char *key)
{
	uint64_t from = 0, to = 0;
	if (!value(r, key))
		return 0;
	char *slash = strchr(r->word, '/');
	if (slash)
		*slash = '\0';
	bool ok = number(r->word, 0xffff, &from) && (!slash || number(slash + 1, 0xffff, &to));
	if (!ok || (from | to) == 0)
		complain(r, "'%s' after '%s' is no realm: TO or FROM/TO, numbers up to 65535", r->word, key);
	return (uint32_t)(slash ? from << 16 | to : from);
}

/* ---- routes ---- */

enum route_word {
	RW_VIA = 0,
	RW_DEV,
	RW_ONLINK,
	RW_WEIGHT,
	RW_NEXTHOP,
	RW_METRIC,
	RW_TABLE,
	RW_SRC,
	RW_SCOPE,
	RW_PROTO,
	RW_TOS,
	RW_MTU,
	RW_ADVMSS,
	RW_WINDOW,
	RW_INITCWND,
	RW_INITRWND,
	RW_HOPLIMIT,
	RW_REALMS,
};

static const struct keyword route_words[] = {
	{ "via", RW_VIA },           { "gw", RW_VIA },
	{ "dev", RW_DEV },           { "oif", RW_DEV },
	{ "onlink", RW_ONLINK },     { "weight", RW_WEIGHT },
	{ "nexthop", RW_NEXTHOP },   { "metric", RW_METRIC },
	{ "preference", RW_METRIC }, { "priority", RW_METRIC },
	{ "table", RW_TABLE },       { "src", RW_SRC },
	{ "scope", RW_SCOPE },       { "proto", RW_PROTO },
	{ "protocol", RW_PROTO },    { "tos", RW_TOS },
	{ "dsfield", RW_TOS },       { "mtu", RW_MTU },
	{ "advmss", RW_ADVMSS },     { "window", RW_WINDOW },
	{ "initcwnd", RW_INITCWND }, { "initrwnd", RW_INITRWND },
	{ "hoplimit", RW_HOPLIMIT }, { "realms", RW_REALMS },
	{ "realm", RW_REALMS },
};

static const struct keyword type_words[] = {
	{ "unicast", ROUTE_UNICAST },         { "local", ROUTE_LOCAL },       { "blackhole", ROUTE_BLACKHOLE },
	{ "unreachable", ROUTE_UNREACHABLE }, { "prohibit", ROUTE_PROHIBIT }, { "throw", ROUTE_THROW },
};

static const struct keyword scope_words[] = {
	{ "global", 0 }, { "universe", 0 }, { "site", 200 }, { "link", SCOPE_LINK }, { "host", SCOPE_HOST }
};

static uint8_t scope_value(struct reader *r)
{
	uint64_t v = 0;
	if (!value(r, "scope"))
		return 0;
	int known = KEYWORD(scope_words, r->word);
	if (known >= 0)
		return (uint8_t)known;
	if (!number(r->word, 254, &v))
		complain(r, "'%s' after 'scope' is none of global, site, link, host and no number up to 254", r->word);
	return (uint8_t)v;
}

static void hop_via(struct reader *r, struct route_hop *h)
{
	static const struct keyword words[] = { { "inet", ADDR_V4 }, { "inet6", ADDR_V6 } };
	if (!value(r, "via"))
		return;
	int af = KEYWORD(words, r->word);
	if (af >= 0 && !value(r, "via"))
		return;
	if (!addr_parse(r->word, &h->via))
		complain(r, "'%s' after 'via' is no IP address", r->word);
	else if (af >= 0 && h->via.af != af)
		complain(r, "'%s' after 'via inet%s' is of the other family", r->word, af == ADDR_V6 ? "6" : "");
}

/* A word that belongs to a hop; false when it belongs to none. */
static bool hop_word(struct reader *r, int id, struct route_hop *h)
{
	switch (id) {
	case RW_VIA:
		hop_via(r, h);
		return true;
	case RW_DEV:
		value_dev(r, "dev", h->dev);
		return true;
	case RW_ONLINK:
		h->onlink = true;
		return true;
	case RW_WEIGHT:
		h->weight = (uint16_t)value_number(r, "weight", 1, 256);
		return true;
	default:
		return false;
	}
}

static void route_mtu(struct reader *r, struct route *o)
{
	const char *back = r->at;
	next_word(r);
	o->mtu_lock = is_word(r, "lock");
	if (!o->mtu_lock)
		r->at = back;
	o->mtu = value_number(r, "mtu", 68, 65535);
}

static void route_word(struct reader *r, int id, struct route *o)
{
	switch ((enum route_word)id) {
	case RW_METRIC:
		o->metric = value_number(r, "metric", 0, UINT32_MAX);
		break;
	case RW_TABLE:
		o->table = value_table(r, "table");
		break;
	case RW_SRC:
		o->src = value_addr(r, "src");
		break;
	case RW_SCOPE:
		o->scope = scope_value(r);
		break;
	case RW_PROTO:
		complain(r,
			 "'%s' cannot be chosen: routes of this daemon bear protocol 18, by which they are recognised; "
			 "remove it",
			 r->word);
		break;
	case RW_TOS:
		o->tos = tos_value(r, "tos");
		break;
	case RW_MTU:
		route_mtu(r, o);
		break;
	case RW_ADVMSS:
		o->advmss = value_number(r, "advmss", 1, 65495);
		break;
	case RW_WINDOW:
		o->window = value_number(r, "window", 1, INT32_MAX);
		break;
	case RW_INITCWND:
		o->initcwnd = value_number(r, "initcwnd", 1, 0xffff);
		break;
	case RW_INITRWND:
		o->initrwnd = value_number(r, "initrwnd", 1, 0xffff);
		break;
	case RW_HOPLIMIT:
		o->hoplimit = value_number(r, "hoplimit", 1, 255);
		break;
	case RW_REALMS:
		o->realms = realms_value(r, "realms");
		break;
	case RW_VIA:
	case RW_DEV:
	case RW_ONLINK:
	case RW_WEIGHT:
	case RW_NEXTHOP:
		break;
	}
}

/* "nexthop" begins a hop of a multipath route; its words follow up to the next one. */
static void read_hops(struct reader *r, struct route *o)
{
	while (!r->bad && r->word[0]) {
		if (!is_word(r, "nexthop")) {
			int id = KEYWORD(route_words, r->word);
			complain(r,
				 id >= 0 ? "'%s' stands behind a nexthop: words about the whole route come first"
					 : "'%s' is no word of a nexthop: via, dev, weight, onlink",
				 r->word);
			return;
		}
		if (o->n_hops == ROUTE_HOPS_MAX) {
			complain(r, "more than %d next hops", ROUTE_HOPS_MAX);
			return;
		}
		struct route_hop *h = &o->hop[o->n_hops++];
		*h = (struct route_hop){ .weight = 1 };
		r->seen &= ~(UINT64_C(1) << RW_VIA | UINT64_C(1) << RW_DEV | UINT64_C(1) << RW_ONLINK |
			     UINT64_C(1) << RW_WEIGHT);
		for (next_word(r); !r->bad && r->word[0]; next_word(r)) {
			int id = KEYWORD(route_words, r->word);
			if (id < RW_VIA || id > RW_WEIGHT)
				break;
			if (once(r, id))
				hop_word(r, id, h);
		}
		if (!r->bad && !h->via.af && !h->dev[0])
			complain(r, "a nexthop needs via or dev");
	}
}

static void route_words_all(struct reader *r, struct route *o)
{
	struct route_hop *h = &o->hop[0];
	*h = (struct route_hop){ .weight = 1 };
	for (; !r->bad && r->word[0]; next_word(r)) {
		int id = KEYWORD(route_words, r->word);
		if (id < 0) {
			complain(r,
				 "'%s' is no word of a route that is understood here; see ip-route(8) for via, dev, "
				 "metric, table, src, nexthop and others",
				 r->word);
			return;
		}
		if (id == RW_NEXTHOP) {
			if (seen(r, RW_VIA) || seen(r, RW_DEV)) {
				complain(r, "'nexthop' together with via or dev: give every way as a nexthop");
				return;
			}
			read_hops(r, o);
			return;
		}
		if (id == RW_WEIGHT) {
			complain(r, "'weight' belongs to a nexthop");
			return;
		}
		if (once(r, id) && !hop_word(r, id, h))
			route_word(r, id, o);
	}
	o->n_hops = h->via.af || h->dev[0];
}

static bool type_has_way(enum route_type t)
{
	return t == ROUTE_UNICAST || t == ROUTE_LOCAL;
}

static void route_families(struct reader *r, struct route *o, uint8_t af, uint8_t otherwise)
{
	same_family(r, &af, o->src.af, "src");
	for (unsigned i = 0; i < o->n_hops; i++)
		if (o->hop[i].via.af && !af)
			af = o->hop[i].via.af;
	o->af = af ? af : otherwise ? otherwise : ADDR_V4;
	for (unsigned i = 0; i < o->n_hops && !r->bad; i++)
		if (o->af == ADDR_V6 && o->hop[i].via.af == ADDR_V4)
			complain(r, "an IPv6 route cannot go via an IPv4 address");
	if (!o->dst.af)
		o->dst = (struct addr){ .af = o->af };
	if (o->af == ADDR_V6 && (o->tos || o->realms))
		complain(r, "'%s' is for IPv4 routes only", o->tos ? "tos" : "realms");
	if (o->af == ADDR_V6 && seen(r, RW_SCOPE) && o->scope != 0)
		complain(r, "'scope' is for IPv4 routes only");
}

/* What ip-route(8) fills in where the text says nothing. */
static void route_defaults(struct reader *r, struct route *o)
{
	bool via = false;
	if (o->n_hops == 1)
		o->hop[0].weight = 1; /* there is nothing to weigh */
	for (unsigned i = 0; i < o->n_hops; i++)
		via |= o->hop[i].via.af != 0;
	if (!seen(r, RW_TABLE))
		o->table = o->type == ROUTE_LOCAL ? ROUTE_TABLE_LOCAL : ROUTE_TABLE_MAIN;
	if (o->af == ADDR_V6)
		o->metric = o->metric ? o->metric : ROUTE_METRIC_DEFAULT;
	else if (!seen(r, RW_SCOPE))
		o->scope = o->type == ROUTE_LOCAL ? SCOPE_HOST : o->type == ROUTE_UNICAST && !via ? SCOPE_LINK : 0;
}

static void route_checks(struct reader *r, const struct route *o)
{
	if (type_has_way(o->type) && o->n_hops == 0)
		complain(r, "the route leads nowhere: it needs via, dev or a nexthop");
	else if (!type_has_way(o->type) && o->n_hops)
		complain(r, "a route of this type drops packets and takes neither via, dev nor nexthop");
	for (unsigned i = 0; i < o->n_hops && !r->bad; i++)
		if (o->hop[i].onlink && (!o->hop[i].via.af || !o->hop[i].dev[0]))
			complain(r, "'onlink' needs via and dev");
}

bool route_text_route(const char *text, uint8_t af, const struct route_names *names, struct route *out, char *why)
{
	struct reader r = { .at = text, .names = names, .why = why };
	*out = (struct route){ .type = ROUTE_UNICAST };
	begin(&r);
	uint8_t told = family_word(&r);
	int type = KEYWORD(type_words, r.word);
	if (type >= 0) {
		out->type = (enum route_type)type;
		next_word(&r);
	}
	if (is_word(&r, "to"))
		next_word(&r);
	if (!r.word[0])
		complain(&r, "a destination is missing: ADDRESS/LENGTH or default");
	uint8_t dst = 0;
	if (!r.bad && prefix(&r, &dst, &out->dst, &out->plen)) {
		same_family(&r, &told, dst, "the destination");
		next_word(&r);
		route_words_all(&r, out);
	}
	if (!r.bad)
		route_families(&r, out, told, af);
	if (!r.bad)
		route_defaults(&r, out);
	if (!r.bad)
		route_checks(&r, out);
	return !r.bad;
}

/* ---- rules ---- */

enum rule_word {
	LW_NOT = 0,
	LW_FROM,
	LW_TO,
	LW_IIF,
	LW_OIF,
	LW_MARK,
	LW_TABLE,
	LW_PRIORITY,
	LW_TOS,
	LW_IPPROTO,
	LW_SPORT,
	LW_DPORT,
	LW_GOTO,
	LW_TYPE,
	LW_PLEN,
	LW_GROUP,
	LW_UID,
	LW_L3MDEV,
	LW_PROTO,
};

static const struct keyword rule_words[] = {
	{ "not", LW_NOT },
	{ "from", LW_FROM },
	{ "to", LW_TO },
	{ "iif", LW_IIF },
	{ "dev", LW_IIF },
	{ "oif", LW_OIF },
	{ "fwmark", LW_MARK },
	{ "table", LW_TABLE },
	{ "lookup", LW_TABLE },
	{ "priority", LW_PRIORITY },
	{ "preference", LW_PRIORITY },
	{ "pref", LW_PRIORITY },
	{ "order", LW_PRIORITY },
	{ "tos", LW_TOS },
	{ "dsfield", LW_TOS },
	{ "ipproto", LW_IPPROTO },
	{ "sport", LW_SPORT },
	{ "dport", LW_DPORT },
	{ "goto", LW_GOTO },
	{ "type", LW_TYPE },
	{ "suppress_prefixlength", LW_PLEN },
	{ "sup_pl", LW_PLEN },
	{ "suppress_ifgroup", LW_GROUP },
	{ "sup_group", LW_GROUP },
	{ "uidrange", LW_UID },
	{ "l3mdev", LW_L3MDEV },
	{ "protocol", LW_PROTO },
};

static const struct keyword action_words[] = { { "blackhole", RULE_BLACKHOLE },
					       { "unreachable", RULE_UNREACHABLE },
					       { "prohibit", RULE_PROHIBIT } };

static const struct keyword proto_words[] = {
	{ "icmp", 1 }, { "igmp", 2 },    { "tcp", 6 },        { "udp", 17 },  { "gre", 47 },   { "esp", 50 },
	{ "ah", 51 },  { "icmpv6", 58 }, { "ipv6-icmp", 58 }, { "ospf", 89 }, { "vrrp", 112 }, { "sctp", 132 },
};

static void rule_prefix(struct reader *r, const char *key, uint8_t *af, struct addr *a, uint8_t *plen)
{
	uint8_t of = 0;
	if (value(r, key) && prefix(r, &of, a, plen))
		same_family(r, af, of, key);
}

static void rule_mark(struct reader *r, struct rule *o)
{
	uint64_t mark = 0, mask = UINT32_MAX;
	if (!value(r, "fwmark"))
		return;
	char *slash = strchr(r->word, '/');
	if (slash)
		*slash = '\0';
	if (!number(r->word, UINT32_MAX, &mark) || (slash && !number(slash + 1, UINT32_MAX, &mask)))
		complain(r, "'%s' after 'fwmark' is no MARK or MARK/MASK of 32 bits", r->word);
	if (!r->bad && mask == 0)
		complain(r, "a mask of 0 after 'fwmark' fits every packet: remove it");
	o->has_mark = true;
	o->mark = (uint32_t)mark;
	o->mask = (uint32_t)mask;
}

/* FIRST or FIRST-LAST. */
static void value_range(struct reader *r, const char *key, uint64_t min, uint64_t max, uint32_t range[2])
{
	uint64_t a = 0, b = 0;
	if (!value(r, key))
		return;
	char *dash = strchr(r->word, '-');
	if (dash)
		*dash = '\0';
	bool ok = number(r->word, max, &a) && a >= min;
	b = a;
	ok = ok && (!dash || number(dash + 1, max, &b)) && b >= a;
	if (!ok)
		complain(r, "the value of '%s' is no number or FIRST-LAST from %llu to %llu", key,
			 (unsigned long long)min, (unsigned long long)max);
	range[0] = (uint32_t)a;
	range[1] = (uint32_t)b;
}

static void rule_ports(struct reader *r, const char *key, uint16_t port[2])
{
	uint32_t range[2] = { 0, 0 };
	value_range(r, key, 1, 65535, range);
	port[0] = (uint16_t)range[0];
	port[1] = (uint16_t)range[1];
}

static void rule_proto(struct reader *r, struct rule *o)
{
	uint64_t v = 0;
	if (!value(r, "ipproto"))
		return;
	int known = KEYWORD(proto_words, r->word);
	if (known < 0 && (!number(r->word, 255, &v) || v == 0))
		complain(r,
			 "'%s' after 'ipproto' is none of tcp, udp, icmp, icmpv6, sctp, esp, ah, gre and no number "
			 "from 1 to 255",
			 r->word);
	o->ipproto = known >= 0 ? (uint8_t)known : (uint8_t)v;
}

static void rule_word(struct reader *r, int id, struct rule *o)
{
	switch ((enum rule_word)id) {
	case LW_NOT:
		o->invert = true;
		break;
	case LW_FROM:
		rule_prefix(r, "from", &o->af, &o->from, &o->from_plen);
		break;
	case LW_TO:
		rule_prefix(r, "to", &o->af, &o->to, &o->to_plen);
		break;
	case LW_IIF:
		value_dev(r, "iif", o->iif);
		break;
	case LW_OIF:
		value_dev(r, "oif", o->oif);
		break;
	case LW_MARK:
		rule_mark(r, o);
		break;
	case LW_TABLE:
		o->table = value_table(r, "table");
		break;
	case LW_PRIORITY:
		o->priority = value_number(r, "priority", 1, UINT32_MAX);
		break;
	case LW_TOS:
		o->tos = tos_value(r, "tos");
		break;
	case LW_IPPROTO:
		rule_proto(r, o);
		break;
	case LW_SPORT:
		rule_ports(r, "sport", o->sport);
		break;
	case LW_DPORT:
		rule_ports(r, "dport", o->dport);
		break;
	case LW_GOTO:
		o->action = RULE_GOTO;
		o->target = value_number(r, "goto", 1, UINT32_MAX);
		break;
	case LW_TYPE:
		if (value(r, "type") && KEYWORD(action_words, r->word) < 0)
			complain(r, "'%s' after 'type' is none of blackhole, unreachable, prohibit", r->word);
		else if (!r->bad)
			o->action = (enum rule_action)KEYWORD(action_words, r->word);
		break;
	case LW_PLEN:
		o->suppress_plen = (int)value_number(r, "suppress_prefixlength", 0, 128);
		break;
	case LW_GROUP:
		o->suppress_group = (int)value_number(r, "suppress_ifgroup", 0, INT32_MAX);
		break;
	case LW_UID:
		o->has_uid = true;
		value_range(r, "uidrange", 0, UINT32_MAX - 1, o->uid);
		break;
	case LW_L3MDEV:
		o->l3mdev = true;
		break;
	case LW_PROTO:
		complain(r, "'protocol' cannot be chosen: rules of this daemon bear protocol 18, by which they are "
			    "recognised; remove it");
		break;
	}
}

static void rule_checks(struct reader *r, struct rule *o, bool type)
{
	unsigned ways =
	    (seen(r, LW_TABLE) ? 1u : 0u) + (seen(r, LW_GOTO) ? 1u : 0u) + (type ? 1u : 0u) + (o->l3mdev ? 1u : 0u);
	if (ways == 0)
		complain(
		    r,
		    "the rule does nothing: it needs lookup TABLE, goto, blackhole, unreachable, prohibit or l3mdev");
	else if (ways > 1)
		complain(r, "the rule has two actions; only one of lookup, goto, blackhole, unreachable, prohibit and "
			    "l3mdev is possible");
	if (!seen(r, LW_PRIORITY))
		complain(r, "'priority' is missing: without it the kernel chooses one, and two routers differ");
	if (seen(r, LW_GOTO) && o->target <= o->priority)
		complain(r, "'goto' leads back: its target must be a priority above %u", o->priority);
	if ((o->suppress_plen >= 0 || o->suppress_group >= 0) && o->action != RULE_TABLE)
		complain(r, "'suppress_prefixlength' and 'suppress_ifgroup' need lookup TABLE");
	if ((o->sport[0] || o->dport[0]) && o->ipproto != 6 && o->ipproto != 17 && o->ipproto != 132 && o->ipproto)
		complain(r, "'sport' and 'dport' need an ipproto with ports: tcp, udp, sctp");
}

bool route_text_rule(const char *text, uint8_t af, const struct route_names *names, struct rule *out, char *why)
{
	struct reader r = { .at = text, .names = names, .why = why };
	bool type = false;
	*out = (struct rule){ .action = RULE_TABLE, .suppress_plen = -1, .suppress_group = -1 };
	begin(&r);
	out->af = family_word(&r);
	for (; !r.bad && r.word[0]; next_word(&r)) {
		int action = KEYWORD(action_words, r.word), id = action < 0 ? KEYWORD(rule_words, r.word) : LW_TYPE;
		if (id < 0) {
			complain(&r,
				 "'%s' is no word of a rule that is understood here; see ip-rule(8) for from, to, "
				 "iif, oif, fwmark, lookup, priority and others",
				 r.word);
			break;
		}
		if (!once(&r, id))
			break;
		type |= id == LW_TYPE;
		if (action >= 0)
			out->action = (enum rule_action)action;
		else
			rule_word(&r, id, out);
	}
	if (!r.bad)
		rule_checks(&r, out, type);
	if (!out->af)
		out->af = af ? af : ADDR_V4;
	return !r.bad;
}

bool route_text_table_line(const char *line, struct route_name *out)
{
	char why[ROUTE_ERROR_MAX];
	struct reader r = { .at = line, .why = why };
	uint64_t id = 0;
	next_word(&r);
	if (r.bad || r.word[0] == '#' || !number(r.word, UINT32_MAX, &id) || id == 0)
		return false;
	next_word(&r);
	size_t n = strlen(r.word);
	if (r.bad || n == 0 || n >= sizeof(out->name) || r.word[0] == '#')
		return false;
	*out = (struct route_name){ .id = (uint32_t)id };
	memcpy(out->name, r.word, n);
	return true;
}
