/*
 * The order of the words is free, except that the type and the destination come first, as ip-route(8) has it, and next
 * hops last.
 */
#include <string.h>
#include "daemon/route_read.h"

#define SCOPE_LINK 253
#define SCOPE_HOST 254

static uint32_t realms_value(struct reader *r, const char *key)
{
	uint64_t from = 0, to = 0;
	if (!route_value(r, key))
		return 0;
	char *slash = strchr(r->word, '/');
	if (slash)
		*slash = '\0';
	bool ok = route_number(r->word, 0xffff, &from) && (!slash || route_number(slash + 1, 0xffff, &to));
	if (!ok || (from | to) == 0)
		route_complain(r, "'%s' after '%s' is no realm: TO or FROM/TO, numbers up to 65535", r->word, key);
	return (uint32_t)(slash ? from << 16 | to : from);
}

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
	if (!route_value(r, "scope"))
		return 0;
	int known = KEYWORD(scope_words, r->word);
	if (known >= 0)
		return (uint8_t)known;
	if (!route_number(r->word, 254, &v))
		route_complain(r, "'%s' after 'scope' is none of global, site, link, host and no number up to 254",
			       r->word);
	return (uint8_t)v;
}

static void hop_via(struct reader *r, struct route_hop *h)
{
	static const struct keyword words[] = { { "inet", ADDR_V4 }, { "inet6", ADDR_V6 } };
	if (!route_value(r, "via"))
		return;
	int af = KEYWORD(words, r->word);
	if (af >= 0 && !route_value(r, "via"))
		return;
	if (!addr_parse(r->word, &h->via))
		route_complain(r, "'%s' after 'via' is no IP address", r->word);
	else if (af >= 0 && h->via.af != af)
		route_complain(r, "'%s' after 'via inet%s' is of the other family", r->word, af == ADDR_V6 ? "6" : "");
}

/* A word that belongs to a hop; false when it belongs to none. */
static bool hop_word(struct reader *r, int id, struct route_hop *h)
{
	switch (id) {
	case RW_VIA:
		hop_via(r, h);
		return true;
	case RW_DEV:
		route_value_dev(r, "dev", h->dev);
		return true;
	case RW_ONLINK:
		h->onlink = true;
		return true;
	case RW_WEIGHT:
		h->weight = (uint16_t)route_value_number(r, "weight", 1, 256);
		return true;
	default:
		return false;
	}
}

static void route_mtu(struct reader *r, struct route *o)
{
	const char *back = r->at;
	route_next(r);
	o->mtu_lock = route_is(r, "lock");
	if (!o->mtu_lock)
		r->at = back;
	o->mtu = route_value_number(r, "mtu", 68, 65535);
}

static void route_word(struct reader *r, int id, struct route *o)
{
	switch ((enum route_word)id) {
	case RW_METRIC:
		o->metric = route_value_number(r, "metric", 0, UINT32_MAX);
		break;
	case RW_TABLE:
		o->table = route_value_table(r, "table");
		break;
	case RW_SRC:
		o->src = route_value_addr(r, "src");
		break;
	case RW_SCOPE:
		o->scope = scope_value(r);
		break;
	case RW_PROTO:
		route_complain(
		    r,
		    "'%s' cannot be chosen: routes of this daemon bear protocol 18, by which they are recognised; "
		    "remove it",
		    r->word);
		break;
	case RW_TOS:
		o->tos = route_tos(r, "tos");
		break;
	case RW_MTU:
		route_mtu(r, o);
		break;
	case RW_ADVMSS:
		o->advmss = route_value_number(r, "advmss", 1, 65495);
		break;
	case RW_WINDOW:
		o->window = route_value_number(r, "window", 1, INT32_MAX);
		break;
	case RW_INITCWND:
		o->initcwnd = route_value_number(r, "initcwnd", 1, 0xffff);
		break;
	case RW_INITRWND:
		o->initrwnd = route_value_number(r, "initrwnd", 1, 0xffff);
		break;
	case RW_HOPLIMIT:
		o->hoplimit = route_value_number(r, "hoplimit", 1, 255);
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
		if (!route_is(r, "nexthop")) {
			int id = KEYWORD(route_words, r->word);
			route_complain(r,
				       id >= 0 ? "'%s' stands behind a nexthop: words about the whole route come first"
					       : "'%s' is no word of a nexthop: via, dev, weight, onlink",
				       r->word);
			return;
		}
		if (o->n_hops == ROUTE_HOPS_MAX) {
			route_complain(r, "more than %d next hops", ROUTE_HOPS_MAX);
			return;
		}
		struct route_hop *h = &o->hop[o->n_hops++];
		*h = (struct route_hop){ .weight = 1 };
		r->seen &= ~(UINT64_C(1) << RW_VIA | UINT64_C(1) << RW_DEV | UINT64_C(1) << RW_ONLINK |
			     UINT64_C(1) << RW_WEIGHT);
		for (route_next(r); !r->bad && r->word[0]; route_next(r)) {
			int id = KEYWORD(route_words, r->word);
			if (id < RW_VIA || id > RW_WEIGHT)
				break;
			if (route_once(r, id))
				hop_word(r, id, h);
		}
		if (!r->bad && !h->via.af && !h->dev[0])
			route_complain(r, "a nexthop needs via or dev");
	}
}

static void route_words_all(struct reader *r, struct route *o)
{
	struct route_hop *h = &o->hop[0];
	*h = (struct route_hop){ .weight = 1 };
	for (; !r->bad && r->word[0]; route_next(r)) {
		int id = KEYWORD(route_words, r->word);
		if (id < 0) {
			route_complain(
			    r,
			    "'%s' is no word of a route that is understood here; see ip-route(8) for via, dev, "
			    "metric, table, src, nexthop and others",
			    r->word);
			return;
		}
		if (id == RW_NEXTHOP) {
			if (route_seen(r, RW_VIA) || route_seen(r, RW_DEV)) {
				route_complain(r, "'nexthop' together with via or dev: give every way as a nexthop");
				return;
			}
			read_hops(r, o);
			return;
		}
		if (id == RW_WEIGHT) {
			route_complain(r, "'weight' belongs to a nexthop");
			return;
		}
		if (route_once(r, id) && !hop_word(r, id, h))
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
	route_same_family(r, &af, o->src.af, "src");
	for (unsigned i = 0; i < o->n_hops; i++)
		if (o->hop[i].via.af && !af)
			af = o->hop[i].via.af;
	o->af = af ? af : otherwise ? otherwise : ADDR_V4;
	for (unsigned i = 0; i < o->n_hops && !r->bad; i++)
		if (o->af == ADDR_V6 && o->hop[i].via.af == ADDR_V4)
			route_complain(r, "an IPv6 route cannot go via an IPv4 address");
	if (!o->dst.af)
		o->dst = (struct addr){ .af = o->af };
	if (o->af == ADDR_V6 && (o->tos || o->realms))
		route_complain(r, "'%s' is for IPv4 routes only", o->tos ? "tos" : "realms");
	if (o->af == ADDR_V6 && route_seen(r, RW_SCOPE) && o->scope != 0)
		route_complain(r, "'scope' is for IPv4 routes only");
}

/* What ip-route(8) fills in where the text says nothing. */
static void route_defaults(struct reader *r, struct route *o)
{
	bool via = false;
	if (o->n_hops == 1)
		o->hop[0].weight = 1; /* there is nothing to weigh */
	for (unsigned i = 0; i < o->n_hops; i++)
		via |= o->hop[i].via.af != 0;
	if (!route_seen(r, RW_TABLE))
		o->table = o->type == ROUTE_LOCAL ? ROUTE_TABLE_LOCAL : ROUTE_TABLE_MAIN;
	if (o->af == ADDR_V6)
		o->metric = o->metric ? o->metric : ROUTE_METRIC_DEFAULT;
	else if (!route_seen(r, RW_SCOPE))
		o->scope = o->type == ROUTE_LOCAL ? SCOPE_HOST : o->type == ROUTE_UNICAST && !via ? SCOPE_LINK : 0;
}

static void route_checks(struct reader *r, const struct route *o)
{
	if (type_has_way(o->type) && o->n_hops == 0)
		route_complain(r, "the route leads nowhere: it needs via, dev or a nexthop");
	else if (!type_has_way(o->type) && o->n_hops)
		route_complain(r, "a route of this type drops packets and takes neither via, dev nor nexthop");
	for (unsigned i = 0; i < o->n_hops && !r->bad; i++)
		if (o->hop[i].onlink && (!o->hop[i].via.af || !o->hop[i].dev[0]))
			route_complain(r, "'onlink' needs via and dev");
}

bool route_text_route(const char *text, uint8_t af, const struct route_names *names, struct route *out, char *why)
{
	struct reader r = { .at = text, .names = names, .why = why };
	*out = (struct route){ .type = ROUTE_UNICAST };
	route_begin(&r);
	uint8_t told = route_family(&r);
	int type = KEYWORD(type_words, r.word);
	if (type >= 0) {
		out->type = (enum route_type)type;
		route_next(&r);
	}
	if (route_is(&r, "to"))
		route_next(&r);
	if (!r.word[0])
		route_complain(&r, "a destination is missing: ADDRESS/LENGTH or default");
	uint8_t dst = 0;
	if (!r.bad && route_prefix(&r, &dst, &out->dst, &out->plen)) {
		route_same_family(&r, &told, dst, "the destination");
		route_next(&r);
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

bool route_text_table_line(const char *line, struct route_name *out)
{
	char why[ROUTE_ERROR_MAX];
	struct reader r = { .at = line, .why = why };
	uint64_t id = 0;
	route_next(&r);
	if (r.bad || r.word[0] == '#' || !route_number(r.word, UINT32_MAX, &id) || id == 0)
		return false;
	route_next(&r);
	size_t n = strlen(r.word);
	if (r.bad || n == 0 || n >= sizeof(out->name) || r.word[0] == '#')
		return false;
	*out = (struct route_name){ .id = (uint32_t)id };
	memcpy(out->name, r.word, n);
	return true;
}
