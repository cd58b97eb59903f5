/* Routes and rules of the imagined kernel: places, gateways, what dies with a link or an address, and who is told. */
#include <errno.h>
#include <string.h>
#include "tests/sim/fake_rtnl.h"

static bool same_place(const struct route *a, const struct route *b)
{
	return a->af == b->af && a->plen == b->plen && a->tos == b->tos && a->table == b->table &&
	       a->metric == b->metric && addr_eq(&a->dst, &b->dst);
}

static bool link_is_up(const struct fake_rtnl *f, int index)
{
	for (unsigned i = 0; i < FAKE_LINKS; i++)
		if (f->link[i].used && f->link[i].index == index)
			return f->link[i].up;
	return false;
}

static void tell(struct fake_rtnl *f, const struct rtnl_route *r, bool gone)
{
	/* The filter on the socket: of others nothing is heard. */
	struct rtnl_event *e = r->proto == NET_MARK ? fake_rtnl_tell(f, gone ? RTNL_ROUTE_GONE : RTNL_ROUTE_SET) : NULL;
	if (e)
		e->route = *r;
}

static bool is_local(const struct fake_rtnl *f, const struct addr *a)
{
	for (unsigned i = 0; i < f->n_addrs; i++)
		if (addr_eq(&f->addr[i].addr, a))
			return true;
	return false;
}

/* Over which link a gateway is reached; 0: over none. */
static int link_of(const struct fake_rtnl *f, const struct addr *via)
{
	for (unsigned i = 0; i < f->n_addrs; i++)
		if (link_is_up(f, f->addr[i].ifindex) && addr_in_prefix(via, &f->addr[i].addr, f->addr[i].plen))
			return f->addr[i].ifindex;
	return 0;
}

static int resolve(const struct fake_rtnl *f, struct rtnl_route *r)
{
	for (unsigned i = 0; i < r->r.n_hops; i++) {
		if (!r->oif[i])
			r->oif[i] = link_of(f, &r->r.hop[i].via);
		if (!r->oif[i])
			return -ENETUNREACH;
		if (!link_is_up(f, r->oif[i]))
			return -ENETDOWN;
	}
	return r->r.src.af && !is_local(f, &r->r.src) ? -EINVAL : 0;
}

int fake_rtnl_route_add(struct fake_rtnl *f, const struct rtnl_route *r)
{
	struct rtnl_route n = *r;
	int rc = resolve(f, &n);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < f->n_routes; i++)
		if (same_place(&f->route[i].r, &r->r))
			return -EEXIST;
	if (f->n_routes == FAKE_ROUTES)
		return -ENOBUFS;
	f->route[f->n_routes++] = n;
	tell(f, &n, false);
	return 0;
}

static void remove_route(struct fake_rtnl *f, unsigned at)
{
	memmove(&f->route[at], &f->route[at + 1], (f->n_routes - at - 1) * sizeof(*f->route));
	f->n_routes--;
}

int fake_rtnl_route_del(struct fake_rtnl *f, const struct rtnl_route *r)
{
	for (unsigned i = 0; i < f->n_routes; i++) {
		struct rtnl_route gone = f->route[i];
		if (!same_place(&gone.r, &r->r) || gone.proto != r->proto)
			continue;
		remove_route(f, i);
		tell(f, &gone, true);
		return 0;
	}
	return -ESRCH;
}

static bool last_address(const struct fake_rtnl *f, int ifindex)
{
	for (unsigned i = 0; i < f->n_addrs; i++)
		if (f->addr[i].ifindex == ifindex && f->addr[i].addr.af == ADDR_V4)
			return false;
	return true;
}

static bool goes_over(const struct rtnl_route *r, int ifindex)
{
	for (unsigned i = 0; i < r->r.n_hops; i++)
		if (r->oif[i] == ifindex)
			return true;
	return false;
}

void fake_rtnl_routes_die(struct fake_rtnl *f, int ifindex, uint8_t af, const struct addr *src)
{
	bool off = !src || (af == ADDR_V4 && last_address(f, ifindex)); /* IPv4 ends on this link */
	for (unsigned i = f->n_routes; i-- > 0;) {
		struct rtnl_route r = f->route[i];
		bool dies = (off && (!af || r.r.af == af) && goes_over(&r, ifindex)) ||
			    (src && r.r.af == af && addr_eq(&r.r.src, src));
		if (!dies)
			continue;
		remove_route(f, i);
		if (r.r.af == ADDR_V6)
			tell(f, &r, true);
	}
}

static bool same_rule(const struct rtnl_rule *a, const struct rtnl_rule *b)
{
	char x[ROUTE_TEXT_MAX], y[ROUTE_TEXT_MAX];
	return strcmp(route_text_print_rule(&a->r, x), route_text_print_rule(&b->r, y)) == 0;
}

int fake_rtnl_rule_add(struct fake_rtnl *f, const struct rtnl_rule *r)
{
	for (unsigned i = 0; i < f->n_rules; i++)
		if (same_rule(&f->rule[i], r))
			return -EEXIST;
	if (f->n_rules == FAKE_RULES)
		return -ENOBUFS;
	f->rule[f->n_rules++] = *r;
	struct rtnl_event *e = fake_rtnl_tell(f, RTNL_RULE_SET);
	if (e)
		e->rule = *r;
	return 0;
}

int fake_rtnl_rule_del(struct fake_rtnl *f, const struct rtnl_rule *r)
{
	for (unsigned i = 0; i < f->n_rules; i++) {
		if (!same_rule(&f->rule[i], r))
			continue;
		struct rtnl_rule gone = f->rule[i];
		memmove(&f->rule[i], &f->rule[i + 1], (f->n_rules - i - 1) * sizeof(*f->rule));
		f->n_rules--;
		struct rtnl_event *e = fake_rtnl_tell(f, RTNL_RULE_GONE);
		if (e)
			e->rule = gone;
		return 0;
	}
	return -ENOENT;
}

void fake_rtnl_list(const struct fake_rtnl *f, struct netstate *ns)
{
	netstate_routes_begin(ns);
	for (unsigned i = 0; i < f->n_routes; i++)
		netstate_route_seen(ns, &f->route[i], false, true);
	for (unsigned i = 0; i < f->n_rules; i++)
		netstate_rule_seen(ns, &f->rule[i], false, true);
	netstate_routes_end(ns);
}
