#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/rtnl_script.h"

#define N(a) (sizeof(a) / sizeof(*(a)))

#define R1   "10.7.0.0/16 via 10.0.0.254"
#define R2   "10.8.0.0/16 via 10.0.0.254 metric 5 src 10.0.0.10"
#define R3   "blackhole 10.9.0.0/16 table 100"
#define R4   "2001:db8:7::/48 dev va"
#define L1   "from 10.7.0.0/16 fwmark 1/3 lookup 100 priority 500"

const struct script_step script[] = {
	/* an absent interface */
	{ STEP_ADD, "va", "10.0.0.1/24", ENODEV, "" },
	{ STEP_PAIR, "va", "vb", 0, "va: vb:" },
	/* IPv4 may be put on a link that is down and stays there */
	{ STEP_FOREIGN, "va", "10.0.0.1/24", 0, "va: 10.0.0.1/24 vb:" },
	{ STEP_UP, "va", NULL, 0, "va:u 10.0.0.1/24 vb:" },
	{ STEP_UP, "vb", NULL, 0, "va:uc 10.0.0.1/24 vb:uc" },
	/* a VIP in the subnet of the primary is secondary */
	{ STEP_ADD, "va", "10.0.0.10/24", 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	{ STEP_ADD, "va", "10.0.0.10/24", EEXIST, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	{ STEP_FOREIGN, "va", "10.0.0.10/24", EEXIST, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	{ STEP_ADD, "va", "10.0.0.1/24", EEXIST, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	/* another prefix length is another IPv4 address */
	{ STEP_ADD, "va", "10.0.0.10/32", 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* 10.0.0.10/32* vb:uc" },
	{ STEP_DEL, "va", "10.0.0.10/32", 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	{ STEP_DEL, "va", "10.0.0.10/32", EADDRNOTAVAIL, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	{ STEP_DEL, "va", "10.9.9.9/24", EADDRNOTAVAIL, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc" },
	{ STEP_ADD, "va", "10.0.0.11/24", 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* 10.0.0.11/24s* vb:uc" },
	/* the primary goes: its secondaries go with it */
	{ STEP_DEL, "va", "10.0.0.1/24", 0, "va:uc vb:uc" },
	/* now the VIP is primary, and the box's own address secondary */
	{ STEP_ADD, "va", "10.0.0.10/24", 0, "va:uc 10.0.0.10/24* vb:uc" },
	{ STEP_FOREIGN, "va", "10.0.0.1/24", 0, "va:uc 10.0.0.1/24s 10.0.0.10/24* vb:uc" },
	{ STEP_DEL, "va", "10.0.0.10/24", 0, "va:uc vb:uc" },
	/* somebody else takes a VIP over: the mark is lost */
	{ STEP_ADD, "va", "10.0.1.10/24", 0, "va:uc 10.0.1.10/24* vb:uc" },
	{ STEP_REPLACE, "va", "10.0.1.10/24", 0, "va:uc 10.0.1.10/24 vb:uc" },
	{ STEP_DEL, "va", "10.0.1.10/24", 0, "va:uc vb:uc" },
	/* IPv6 */
	{ STEP_ADD, "va", "2001:db8::10/64", 0, "va:uc 2001:db8::10/64* vb:uc" },
	{ STEP_ADD, "va", "2001:db8::10/64", EEXIST, "va:uc 2001:db8::10/64* vb:uc" },
	/* the prefix length is no part of an IPv6 address's identity */
	{ STEP_ADD, "va", "2001:db8::10/128", EEXIST, "va:uc 2001:db8::10/64* vb:uc" },
	{ STEP_DEL, "va", "2001:db8::10/128", EADDRNOTAVAIL, "va:uc 2001:db8::10/64* vb:uc" },
	{ STEP_ADD, "va", "fe80::5e00:1/64", 0, "va:uc 2001:db8::10/64* fe80::5e00:1/64* vb:uc" },
	{ STEP_ADD, "va", "10.0.2.1/24", 0, "va:uc 10.0.2.1/24* 2001:db8::10/64* fe80::5e00:1/64* vb:uc" },
	/* the cable goes: everything stays */
	{ STEP_DOWN, "vb", NULL, 0, "va:u 10.0.2.1/24* 2001:db8::10/64* fe80::5e00:1/64* vb:" },
	{ STEP_UP, "vb", NULL, 0, "va:uc 10.0.2.1/24* 2001:db8::10/64* fe80::5e00:1/64* vb:uc" },
	/* the link goes down: IPv6 goes, IPv4 stays; nothing comes back by itself */
	{ STEP_DOWN, "va", NULL, 0, "va: 10.0.2.1/24* vb:u" },
	{ STEP_UP, "va", NULL, 0, "va:uc 10.0.2.1/24* vb:uc" },
	{ STEP_ADD, "va", "2001:db8::10/64", 0, "va:uc 10.0.2.1/24* 2001:db8::10/64* vb:uc" },
	/* rename: addresses belong to the index, not to the name */
	{ STEP_DOWN, "va", NULL, 0, "va: 10.0.2.1/24* vb:u" },
	{ STEP_RENAME, "va", "vc", 0, "vb:u vc: 10.0.2.1/24*" },
	{ STEP_ADD, "va", "10.0.2.2/24", ENODEV, "vb:u vc: 10.0.2.1/24*" },
	{ STEP_DEL, "vc", "10.0.2.1/24", 0, "vb:u vc:" },
	{ STEP_RENAME, "vc", "vb", EEXIST, "vb:u vc:" },
	{ STEP_RENAME, "vc", "va", 0, "va: vb:u" },
	{ STEP_UP, "va", NULL, 0, "va:uc vb:uc" },
	/* the interface goes away with all it had, and comes back as another one */
	{ STEP_ADD, "vb", "10.0.3.1/24", 0, "va:uc vb:uc 10.0.3.1/24*" },
	{ STEP_ADD, "vb", "2001:db8:3::1/64", 0, "va:uc vb:uc 10.0.3.1/24* 2001:db8:3::1/64*" },
	{ STEP_LINK_DEL, "va", NULL, 0, "" },
	{ STEP_LINK_DEL, "va", NULL, ENODEV, "" },
	{ STEP_PAIR, "va", "vb", 0, "va: vb:" },
	{ STEP_LINK_DEL, "vb", NULL, 0, "" },
	/* routes and rules; R1 is what script_declare names first */
	{ STEP_PAIR, "va", "vb", 0, "va: vb:" },
	{ STEP_UP, "va", NULL, 0, "va:u vb:" },
	{ STEP_UP, "vb", NULL, 0, "va:uc vb:uc" },
	{ STEP_ROUTE_ADD, "va", R1, ENETUNREACH, "va:uc vb:uc" },
	{ STEP_FOREIGN, "va", "10.0.0.1/24", 0, "va:uc 10.0.0.1/24 vb:uc" },
	{ STEP_ROUTE_ADD, "va", R1, 0, "va:uc 10.0.0.1/24 vb:uc R1" },
	{ STEP_ROUTE_ADD, "va", R1, EEXIST, "va:uc 10.0.0.1/24 vb:uc R1" },
	{ STEP_ROUTE_ADD, "va", R2, EINVAL, "va:uc 10.0.0.1/24 vb:uc R1" }, /* its source is no address of the box */
	{ STEP_ADD, "va", "10.0.0.10/24", 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc R1" },
	{ STEP_ROUTE_ADD, "va", R2, 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc R1 R2" },
	{ STEP_ROUTE_ADD, "va", R3, 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc R1 R2 R3" },
	{ STEP_ROUTE_ADD, "va", R4, 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc R1 R2 R3 R4" },
	{ STEP_RULE_ADD, "va", L1, 0, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc R1 R2 R3 R4 L1" },
	{ STEP_RULE_ADD, "va", L1, EEXIST, "va:uc 10.0.0.1/24 10.0.0.10/24s* vb:uc R1 R2 R3 R4 L1" },
	/* the source address leaves: its route goes with it, without a word for IPv4 */
	{ STEP_DEL, "va", "10.0.0.10/24", 0, "va:uc 10.0.0.1/24 vb:uc R1 R3 R4 L1" },
	{ STEP_ROUTE_DEL, "va", R2, ESRCH, "va:uc 10.0.0.1/24 vb:uc R1 R3 R4 L1" },
	/* the link goes down, and with it what leads over it, IPv6 with a word */
	{ STEP_DOWN, "va", NULL, 0, "va: 10.0.0.1/24 vb:u R3 L1" },
	{ STEP_ROUTE_ADD, "va", R4, ENETDOWN, "va: 10.0.0.1/24 vb:u R3 L1" },
	{ STEP_UP, "va", NULL, 0, "va:uc 10.0.0.1/24 vb:uc R3 L1" },
	/* somebody else's in the place of ours: not seen, in the way, and not deleted by our deletion */
	{ STEP_ROUTE_FOREIGN, "va", R1, 0, "va:uc 10.0.0.1/24 vb:uc R3 L1" },
	{ STEP_ROUTE_ADD, "va", R1, EEXIST, "va:uc 10.0.0.1/24 vb:uc R3 L1" },
	{ STEP_ROUTE_DEL, "va", R1, ESRCH, "va:uc 10.0.0.1/24 vb:uc R3 L1" },
	{ STEP_ROUTE_FOREIGN_DEL, "va", R1, 0, "va:uc 10.0.0.1/24 vb:uc R3 L1" },
	{ STEP_ROUTE_ADD, "va", R1, 0, "va:uc 10.0.0.1/24 vb:uc R1 R3 L1" },
	/* the last IPv4 address of a link takes all IPv4 routes over it along */
	{ STEP_DEL, "va", "10.0.0.1/24", 0, "va:uc vb:uc R3 L1" },
	{ STEP_RULE_DEL, "va", L1, 0, "va:uc vb:uc R3" },
	{ STEP_RULE_DEL, "va", L1, ENOENT, "va:uc vb:uc R3" },
	{ STEP_ROUTE_DEL, "va", R3, 0, "va:uc vb:uc" },
	{ STEP_LINK_DEL, "va", NULL, 0, "" },
};
const unsigned script_len = N(script);

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void model_link(const struct netstate *ns, const struct net_link *l, char *buf, size_t cap)
{
	static char text[64][64];
	unsigned n = 0;
	struct net_addr a;
	uint32_t iter = 0;
	char ip[ADDR_TEXT_MAX];
	while (netstate_addr_next(ns, &iter, &a) && n < N(text))
		if (a.ifindex == l->index)
			snprintf(text[n++], sizeof(*text), " %s/%u%s%s", addr_text(&a.addr, ip), a.plen,
				 a.addr.af == ADDR_V4 && (a.flags & NET_A_SECONDARY) ? "s" : "",
				 a.proto == NET_MARK ? "*" : "");
	qsort(text, n, sizeof(*text), by_text);
	snprintf(buf, cap, "%s:%s%s", l->name, l->up ? "u" : "", l->carrier ? "c" : "");
	for (unsigned i = 0; i < n; i++)
		strncat(buf, text[i], cap - strlen(buf) - 1);
}

bool script_route(const struct script_step *s, const struct netstate *ns, struct rtnl_route *out)
{
	char why[ROUTE_ERROR_MAX];
	bool foreign = s->kind == STEP_ROUTE_FOREIGN || s->kind == STEP_ROUTE_FOREIGN_DEL;
	if (!foreign && s->kind != STEP_ROUTE_ADD && s->kind != STEP_ROUTE_DEL)
		return false;
	*out = (struct rtnl_route){ .proto = foreign ? 99 : NET_MARK };
	if (!route_text_route(s->arg, 0, NULL, &out->r, why))
		return false;
	for (unsigned i = 0; i < out->r.n_hops; i++) {
		const struct net_link *l = netstate_link_by_name(ns, out->r.hop[i].dev);
		out->oif[i] = l ? l->index : 0;
	}
	return true;
}

bool script_rule(const struct script_step *s, struct rtnl_rule *out)
{
	char why[ROUTE_ERROR_MAX];
	*out = (struct rtnl_rule){ .proto = NET_MARK };
	return (s->kind == STEP_RULE_ADD || s->kind == STEP_RULE_DEL) && route_text_rule(s->arg, 0, NULL, &out->r, why);
}

void script_declare(struct netstate *ns)
{
	static const char *const text[] = { R1, R2, R3, R4 };
	char why[ROUTE_ERROR_MAX];
	struct route r;
	struct rule l;
	netstate_conf_begin(ns);
	for (unsigned i = 0; i < N(text); i++)
		if (route_text_route(text[i], 0, NULL, &r, why))
			netstate_want_route(ns, 0, &r, i + 1);
	if (route_text_rule(L1, 0, NULL, &l, why))
		netstate_want_rule(ns, 0, &l, 1);
	netstate_conf_end(ns);
}

static void model_routes(const struct netstate *ns, char *buf, size_t cap)
{
	struct net_shown o;
	for (uint32_t iter = 0; netstate_obj_next(ns, 0, &iter, &o);) {
		size_t at = strlen(buf);
		if (o.here)
			snprintf(buf + at, cap - at, " %c%u", o.what == NET_ROUTE ? 'R' : 'L', o.tag);
	}
}

void script_model(const struct netstate *ns, char *buf, size_t cap)
{
	static const char *const name[] = { "va", "vb", "vc" };
	buf[0] = '\0';
	for (unsigned i = 0; i < N(name); i++) {
		const struct net_link *l = netstate_link_by_name(ns, name[i]);
		if (!l)
			continue;
		size_t at = strlen(buf);
		if (at)
			buf[at++] = ' ';
		model_link(ns, l, buf + at, cap - at);
	}
	model_routes(ns, buf, cap);
}

unsigned script_run(const struct script_backend *b, struct netstate *ns)
{
	unsigned wrong = 0;
	script_declare(ns);
	for (unsigned i = 0; i < script_len; i++) {
		const struct script_step *s = &script[i];
		const struct net_link *l = netstate_link_by_name(ns, s->link);
		struct net_addr a = { .ifindex = l ? l->index : 0 };
		char got[1024];
		if (s->kind < STEP_ROUTE_ADD && s->arg && strchr(s->arg, '/'))
			addr_parse_prefix(s->arg, &a.addr, &a.plen);
		int rc = b->run(b->arg, ns, s, a.ifindex, &a);
		b->feed(b->arg, ns);
		script_model(ns, got, sizeof(got));
		if (rc == -s->err && strcmp(got, s->model) == 0)
			continue;
		fprintf(stderr, "step %u (%s %s): answer %d, expected %d\n  model    '%s'\n  expected '%s'\n", i,
			s->link, s->arg ? s->arg : "", rc, -s->err, got, s->model);
		wrong++;
	}
	return wrong;
}
