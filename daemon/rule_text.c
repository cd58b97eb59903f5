/* Rules as ip-rule(8) has them, in any order of words. */
#include <string.h>
#include "daemon/route_read.h"

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
	if (route_value(r, key) && route_prefix(r, &of, a, plen))
		route_same_family(r, af, of, key);
}

static void rule_mark(struct reader *r, struct rule *o)
{
	uint64_t mark = 0, mask = UINT32_MAX;
	if (!route_value(r, "fwmark"))
		return;
	char *slash = strchr(r->word, '/');
	if (slash)
		*slash = '\0';
	if (!route_number(r->word, UINT32_MAX, &mark) || (slash && !route_number(slash + 1, UINT32_MAX, &mask)))
		route_complain(r, "'%s' after 'fwmark' is no MARK or MARK/MASK of 32 bits", r->word);
	if (!r->bad && mask == 0)
		route_complain(r, "a mask of 0 after 'fwmark' fits every packet: remove it");
	o->has_mark = true;
	o->mark = (uint32_t)mark;
	o->mask = (uint32_t)mask;
}

/* FIRST or FIRST-LAST. */
static void value_range(struct reader *r, const char *key, uint64_t min, uint64_t max, uint32_t range[2])
{
	uint64_t a = 0, b = 0;
	if (!route_value(r, key))
		return;
	char *dash = strchr(r->word, '-');
	if (dash)
		*dash = '\0';
	bool ok = route_number(r->word, max, &a) && a >= min;
	b = a;
	ok = ok && (!dash || route_number(dash + 1, max, &b)) && b >= a;
	if (!ok)
		route_complain(r, "the value of '%s' is no number or FIRST-LAST from %llu to %llu", key,
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
	if (!route_value(r, "ipproto"))
		return;
	int known = KEYWORD(proto_words, r->word);
	if (known < 0 && (!route_number(r->word, 255, &v) || v == 0))
		route_complain(
		    r,
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
		route_value_dev(r, "iif", o->iif);
		break;
	case LW_OIF:
		route_value_dev(r, "oif", o->oif);
		break;
	case LW_MARK:
		rule_mark(r, o);
		break;
	case LW_TABLE:
		o->table = route_value_table(r, "table");
		break;
	case LW_PRIORITY:
		o->priority = route_value_number(r, "priority", 1, UINT32_MAX);
		break;
	case LW_TOS:
		o->tos = route_tos(r, "tos");
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
		o->target = route_value_number(r, "goto", 1, UINT32_MAX);
		break;
	case LW_TYPE:
		if (route_value(r, "type") && KEYWORD(action_words, r->word) < 0)
			route_complain(r, "'%s' after 'type' is none of blackhole, unreachable, prohibit", r->word);
		else if (!r->bad)
			o->action = (enum rule_action)KEYWORD(action_words, r->word);
		break;
	case LW_PLEN:
		o->suppress_plen = (int)route_value_number(r, "suppress_prefixlength", 0, 128);
		break;
	case LW_GROUP:
		o->suppress_group = (int)route_value_number(r, "suppress_ifgroup", 0, INT32_MAX);
		break;
	case LW_UID:
		o->has_uid = true;
		value_range(r, "uidrange", 0, UINT32_MAX - 1, o->uid);
		break;
	case LW_L3MDEV:
		o->l3mdev = true;
		break;
	case LW_PROTO:
		route_complain(r,
			       "'protocol' cannot be chosen: rules of this daemon bear protocol 18, by which they are "
			       "recognised; remove it");
		break;
	}
}

static void rule_checks(struct reader *r, struct rule *o, bool type)
{
	unsigned ways = (route_seen(r, LW_TABLE) ? 1u : 0u) + (route_seen(r, LW_GOTO) ? 1u : 0u) + (type ? 1u : 0u) +
			(o->l3mdev ? 1u : 0u);
	if (ways == 0)
		route_complain(
		    r,
		    "the rule does nothing: it needs lookup TABLE, goto, blackhole, unreachable, prohibit or l3mdev");
	else if (ways > 1)
		route_complain(
		    r, "the rule has two actions; only one of lookup, goto, blackhole, unreachable, prohibit and "
		       "l3mdev is possible");
	if (!route_seen(r, LW_PRIORITY))
		route_complain(r, "'priority' is missing: without it the kernel chooses one, and two routers differ");
	if (route_seen(r, LW_GOTO) && o->target <= o->priority)
		route_complain(r, "'goto' leads back: its target must be a priority above %u", o->priority);
	if ((o->suppress_plen >= 0 || o->suppress_group >= 0) && o->action != RULE_TABLE)
		route_complain(r, "'suppress_prefixlength' and 'suppress_ifgroup' need lookup TABLE");
	if ((o->sport[0] || o->dport[0]) && o->ipproto != 6 && o->ipproto != 17 && o->ipproto != 132 && o->ipproto)
		route_complain(r, "'sport' and 'dport' need an ipproto with ports: tcp, udp, sctp");
}

bool route_text_rule(const char *text, uint8_t af, const struct route_names *names, struct rule *out, char *why)
{
	struct reader r = { .at = text, .names = names, .why = why };
	bool type = false;
	*out = (struct rule){ .action = RULE_TABLE, .suppress_plen = -1, .suppress_group = -1 };
	route_begin(&r);
	out->af = route_family(&r);
	for (; !r.bad && r.word[0]; route_next(&r)) {
		int action = KEYWORD(action_words, r.word), id = action < 0 ? KEYWORD(rule_words, r.word) : LW_TYPE;
		if (id < 0) {
			route_complain(
			    &r,
			    "'%s' is no word of a rule that is understood here; see ip-rule(8) for from, to, "
			    "iif, oif, fwmark, lookup, priority and others",
			    r.word);
			break;
		}
		if (!route_once(&r, id))
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
