#include "daemon/rtnl_route.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include "daemon/netstate.h"
#include "daemon/rtnl_get.h"
#include "daemon/rtnl_put.h"

#define KERNEL_AF_V4 2  /* AF_INET */
#define KERNEL_AF_V6 10 /* AF_INET6 */

#define SAME(a, b)   ((int)(a) == (int)(b))
_Static_assert(SAME(ROUTE_UNICAST, RTN_UNICAST) && SAME(ROUTE_LOCAL, RTN_LOCAL) &&
		   SAME(ROUTE_BLACKHOLE, RTN_BLACKHOLE) && SAME(ROUTE_UNREACHABLE, RTN_UNREACHABLE) &&
		   SAME(ROUTE_PROHIBIT, RTN_PROHIBIT) && SAME(ROUTE_THROW, RTN_THROW) &&
		   SAME(ROUTE_TABLE_MAIN, RT_TABLE_MAIN) && SAME(ROUTE_TABLE_LOCAL, RT_TABLE_LOCAL) &&
		   SAME(RULE_TABLE, FR_ACT_TO_TBL) && SAME(RULE_GOTO, FR_ACT_GOTO) &&
		   SAME(RULE_BLACKHOLE, FR_ACT_BLACKHOLE) && SAME(RULE_UNREACHABLE, FR_ACT_UNREACHABLE) &&
		   SAME(RULE_PROHIBIT, FR_ACT_PROHIBIT),
	       "numbers as in the kernel's headers");

static uint8_t kernel_af(uint8_t af)
{
	return af == ADDR_V6 ? KERNEL_AF_V6 : KERNEL_AF_V4;
}

/* ---- writing ---- */

static void put_via(struct rtnl_msg *m, const struct route *r, const struct route_hop *h)
{
	if (!h->via.af)
		return;
	if (h->via.af == r->af) {
		rtnl_put_addr(m, RTA_GATEWAY, &h->via);
		return;
	}
	uint8_t via[2 + 16];
	uint16_t family = kernel_af(h->via.af);
	memcpy(via, &family, sizeof(family));
	memcpy(via + 2, h->via.b, addr_len(h->via.af));
	rtnl_put_attr(m, RTA_VIA, via, 2 + addr_len(h->via.af));
}

static void put_hops(struct rtnl_msg *m, const struct rtnl_route *r)
{
	size_t all = rtnl_nest(m, RTA_MULTIPATH);
	for (unsigned i = 0; i < r->r.n_hops; i++) {
		const struct route_hop *h = &r->r.hop[i];
		struct rtnexthop nh = { .rtnh_flags = h->onlink ? RTNH_F_ONLINK : 0,
					.rtnh_hops = (uint8_t)(h->weight ? h->weight - 1 : 0),
					.rtnh_ifindex = r->oif[i] };
		size_t at = m->len;
		rtnl_put(m, &nh, sizeof(nh), sizeof(nh));
		put_via(m, &r->r, h);
		rtnl_nest_end(m, at);
	}
	rtnl_nest_end(m, all);
}

static void put_metrics(struct rtnl_msg *m, const struct route *r)
{
	const uint32_t value[][2] = { { RTAX_MTU, r->mtu },
				      { RTAX_ADVMSS, r->advmss },
				      { RTAX_WINDOW, r->window },
				      { RTAX_INITCWND, r->initcwnd },
				      { RTAX_INITRWND, r->initrwnd },
				      { RTAX_HOPLIMIT, r->hoplimit },
				      { RTAX_LOCK, r->mtu_lock ? 1u << RTAX_MTU : 0 } };
	size_t at = m->len;
	bool any = false;
	for (unsigned i = 0; i < sizeof(value) / sizeof(*value); i++) {
		if (!value[i][1])
			continue;
		if (!any)
			rtnl_nest(m, RTA_METRICS);
		any = true;
		rtnl_put_u32(m, (uint16_t)value[i][0], value[i][1]);
	}
	if (any)
		rtnl_nest_end(m, at);
}

/* What names a route for its addition and its deletion alike. */
static void put_route(struct rtnl_msg *m, const struct rtnl_route *o, bool add)
{
	const struct route *r = &o->r;
	struct rtmsg h = { .rtm_family = kernel_af(r->af),
			   .rtm_dst_len = r->plen,
			   .rtm_tos = r->tos,
			   .rtm_table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC,
			   .rtm_protocol = NET_MARK,
			   .rtm_scope = add ? r->scope : RT_SCOPE_NOWHERE,
			   .rtm_type = (uint8_t)r->type };
	if (r->n_hops == 1 && r->hop[0].onlink)
		h.rtm_flags |= RTNH_F_ONLINK;
	rtnl_put(m, &h, sizeof(h), NLMSG_ALIGN(sizeof(h)));
	if (r->plen)
		rtnl_put_addr(m, RTA_DST, &r->dst);
	rtnl_put_u32(m, RTA_TABLE, r->table);
	if (r->metric)
		rtnl_put_u32(m, RTA_PRIORITY, r->metric);
}

size_t rtnl_route_create(uint8_t *buf, size_t cap, const struct rtnl_route *r, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	rtnl_begin(&m, RTM_NEWROUTE, (uint16_t)(NLM_F_CREATE | NLM_F_EXCL | (ack ? NLM_F_ACK : 0)), seq);
	put_route(&m, r, true);
	if (r->r.n_hops == 1) {
		put_via(&m, &r->r, &r->r.hop[0]);
		if (r->oif[0])
			rtnl_put_u32(&m, RTA_OIF, (uint32_t)r->oif[0]);
	} else if (r->r.n_hops > 1) {
		put_hops(&m, r);
	}
	if (r->r.src.af)
		rtnl_put_addr(&m, RTA_PREFSRC, &r->r.src);
	if (r->r.realms)
		rtnl_put_u32(&m, RTA_FLOW, r->r.realms);
	put_metrics(&m, &r->r);
	return rtnl_finish(&m);
}

size_t rtnl_route_del(uint8_t *buf, size_t cap, const struct rtnl_route *r, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	rtnl_begin(&m, RTM_DELROUTE, ack ? NLM_F_ACK : 0, seq);
	put_route(&m, r, false);
	/* Of several routes that differ in their way only, ours: but all the ways of a multipath route at once. */
	if (r->r.n_hops == 1)
		put_via(&m, &r->r, &r->r.hop[0]);
	if (r->r.n_hops == 1 && r->oif[0])
		rtnl_put_u32(&m, RTA_OIF, (uint32_t)r->oif[0]);
	return rtnl_finish(&m);
}

static void put_rule_ranges(struct rtnl_msg *m, const struct rule *r)
{
	struct fib_rule_port_range sport = { r->sport[0], r->sport[1] }, dport = { r->dport[0], r->dport[1] };
	struct fib_rule_uid_range uid = { r->uid[0], r->uid[1] };
	if (r->sport[0])
		rtnl_put_attr(m, FRA_SPORT_RANGE, &sport, sizeof(sport));
	if (r->dport[0])
		rtnl_put_attr(m, FRA_DPORT_RANGE, &dport, sizeof(dport));
	if (r->has_uid)
		rtnl_put_attr(m, FRA_UID_RANGE, &uid, sizeof(uid));
}

static size_t rule_message(uint8_t *buf, size_t cap, const struct rule *r, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	struct fib_rule_hdr h = { .family = kernel_af(r->af),
				  .dst_len = r->to_plen,
				  .src_len = r->from_plen,
				  .tos = r->tos,
				  .table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC,
				  .action = (uint8_t)r->action,
				  .flags = r->invert ? FIB_RULE_INVERT : 0 };
	rtnl_begin(&m, type, flags, seq);
	rtnl_put(&m, &h, sizeof(h), NLMSG_ALIGN(sizeof(h)));
	rtnl_put_u32(&m, FRA_PRIORITY, r->priority);
	rtnl_put_u8(&m, FRA_PROTOCOL, NET_MARK);
	if (r->from.af && r->from_plen)
		rtnl_put_addr(&m, FRA_SRC, &r->from);
	if (r->to.af && r->to_plen)
		rtnl_put_addr(&m, FRA_DST, &r->to);
	if (r->iif[0])
		rtnl_put_attr(&m, FRA_IIFNAME, r->iif, strnlen(r->iif, IFNAMSIZ - 1) + 1);
	if (r->oif[0])
		rtnl_put_attr(&m, FRA_OIFNAME, r->oif, strnlen(r->oif, IFNAMSIZ - 1) + 1);
	if (r->has_mark) {
		rtnl_put_u32(&m, FRA_FWMARK, r->mark);
		rtnl_put_u32(&m, FRA_FWMASK, r->mask);
	}
	if (r->table)
		rtnl_put_u32(&m, FRA_TABLE, r->table);
	if (r->action == RULE_GOTO)
		rtnl_put_u32(&m, FRA_GOTO, r->target);
	if (r->ipproto)
		rtnl_put_u8(&m, FRA_IP_PROTO, r->ipproto);
	if (r->l3mdev)
		rtnl_put_u8(&m, FRA_L3MDEV, 1);
	if (r->suppress_plen >= 0)
		rtnl_put_u32(&m, FRA_SUPPRESS_PREFIXLEN, (uint32_t)r->suppress_plen);
	if (r->suppress_group >= 0)
		rtnl_put_u32(&m, FRA_SUPPRESS_IFGROUP, (uint32_t)r->suppress_group);
	put_rule_ranges(&m, r);
	return rtnl_finish(&m);
}

size_t rtnl_rule_create(uint8_t *buf, size_t cap, const struct rule *r, uint32_t seq, bool ack)
{
	return rule_message(buf, cap, r, RTM_NEWRULE, (uint16_t)(NLM_F_CREATE | NLM_F_EXCL | (ack ? NLM_F_ACK : 0)),
			    seq);
}

size_t rtnl_rule_del(uint8_t *buf, size_t cap, const struct rule *r, uint32_t seq, bool ack)
{
	return rule_message(buf, cap, r, RTM_DELRULE, ack ? NLM_F_ACK : 0, seq);
}

size_t rtnl_route_dump(uint8_t *buf, size_t cap, uint8_t af, bool rules, uint32_t seq)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	struct rtmsg route = { .rtm_family = kernel_af(af), .rtm_protocol = NET_MARK };
	struct fib_rule_hdr rule = { .family = kernel_af(af) };
	rtnl_begin(&m, rules ? RTM_GETRULE : RTM_GETROUTE, NLM_F_DUMP, seq);
	if (rules)
		rtnl_put(&m, &rule, sizeof(rule), NLMSG_ALIGN(sizeof(rule)));
	else
		rtnl_put(&m, &route, sizeof(route), NLMSG_ALIGN(sizeof(route)));
	return rtnl_finish(&m);
}

/* ---- reading ---- */

static bool get_via(const struct rtnl_attr *a, struct addr *out)
{
	uint16_t family;
	if (a->len < sizeof(family))
		return false;
	memcpy(&family, a->data, sizeof(family));
	uint8_t af = family == KERNEL_AF_V4 ? ADDR_V4 : family == KERNEL_AF_V6 ? ADDR_V6 : ADDR_NONE;
	if (!af || a->len != sizeof(family) + addr_len(af))
		return false;
	*out = addr_from_bytes(af, a->data + sizeof(family));
	return true;
}

static bool read_hop(const uint8_t *p, const uint8_t *end, uint8_t af, struct route_hop *h)
{
	struct rtnl_attr a;
	int rc;
	while ((rc = rtnl_attr_next(&p, end, &a)) > 0) {
		if (a.type == RTA_GATEWAY && !rtnl_get_addr(&a, af, &h->via))
			return false;
		if (a.type == RTA_VIA && !get_via(&a, &h->via))
			return false;
	}
	return rc == 0;
}

/* More ways than fit are counted only: such a route is none of ours. */
static bool read_hops(const struct rtnl_attr *a, struct rtnl_route *out)
{
	const uint8_t *p = a->data, *end = a->data + a->len;
	out->r.n_hops = 0;
	while ((size_t)(end - p) >= sizeof(struct rtnexthop)) {
		struct rtnexthop nh;
		memcpy(&nh, p, sizeof(nh));
		if (nh.rtnh_len < sizeof(nh) || nh.rtnh_len > (size_t)(end - p))
			return false;
		if (out->r.n_hops == ROUTE_HOPS_MAX)
			return true;
		struct route_hop *h = &out->r.hop[out->r.n_hops];
		*h = (struct route_hop){ .weight = (uint16_t)(nh.rtnh_hops + 1),
					 .onlink = (nh.rtnh_flags & RTNH_F_ONLINK) != 0 };
		if (!read_hop(p + sizeof(nh), p + nh.rtnh_len, out->r.af, h))
			return false;
		out->oif[out->r.n_hops++] = nh.rtnh_ifindex;
		size_t step = RTNH_ALIGN((size_t)nh.rtnh_len), left = (size_t)(end - p);
		p += step < left ? step : left;
	}
	return p == end;
}

static bool route_attr(const struct rtnl_attr *a, struct rtnl_route *out)
{
	uint32_t oif;
	switch (a->type) {
	case RTA_DST:
		return rtnl_get_addr(a, out->r.af, &out->r.dst);
	case RTA_TABLE:
		return rtnl_get(a, &out->r.table, sizeof(out->r.table));
	case RTA_PRIORITY:
		return rtnl_get(a, &out->r.metric, sizeof(out->r.metric));
	case RTA_PREFSRC:
		return rtnl_get_addr(a, out->r.af, &out->r.src);
	case RTA_GATEWAY:
		return rtnl_get_addr(a, out->r.af, &out->r.hop[0].via);
	case RTA_VIA:
		return get_via(a, &out->r.hop[0].via);
	case RTA_OIF:
		if (!rtnl_get(a, &oif, sizeof(oif)))
			return false;
		out->oif[0] = oif <= INT32_MAX ? (int)oif : 0;
		return true;
	case RTA_MULTIPATH:
		return read_hops(a, out);
	default:
		return true;
	}
}

int rtnl_route_read(const uint8_t *p, size_t len, struct rtnl_route *out)
{
	struct rtmsg h;
	const uint8_t *end = p + len;
	if (len < sizeof(h))
		return 1;
	memcpy(&h, p, sizeof(h));
	if (h.rtm_family != KERNEL_AF_V4 && h.rtm_family != KERNEL_AF_V6)
		return 2;
	*out = (struct rtnl_route){ .proto = h.rtm_protocol, .cached = (h.rtm_flags & RTM_F_CLONED) != 0 };
	struct route *r = &out->r;
	r->af = h.rtm_family == KERNEL_AF_V6 ? ADDR_V6 : ADDR_V4;
	r->type = (enum route_type)h.rtm_type;
	r->plen = h.rtm_dst_len;
	r->tos = h.rtm_tos;
	r->scope = h.rtm_scope;
	r->table = h.rtm_table;
	r->dst.af = r->af;
	r->hop[0].weight = 1;
	r->hop[0].onlink = (h.rtm_flags & RTNH_F_ONLINK) != 0;
	if (r->plen > addr_len(r->af) * 8)
		return 1;
	p += NLMSG_ALIGN(sizeof(h));
	struct rtnl_attr a;
	int rc;
	while ((rc = rtnl_attr_next(&p, end, &a)) > 0)
		if (!route_attr(&a, out))
			return 1;
	if (rc < 0)
		return 1;
	if (r->n_hops == 0)
		r->n_hops = r->hop[0].via.af || out->oif[0];
	return 0;
}

static bool rule_range(const struct rtnl_attr *a, uint16_t port[2])
{
	struct fib_rule_port_range p;
	if (!rtnl_get(a, &p, sizeof(p)))
		return false;
	port[0] = p.start;
	port[1] = p.end;
	return true;
}

static bool rule_flag(const struct rtnl_attr *a, struct rule *r)
{
	struct fib_rule_uid_range uid;
	uint32_t v = 0;
	switch (a->type) {
	case FRA_SUPPRESS_PREFIXLEN:
	case FRA_SUPPRESS_IFGROUP:
		if (!rtnl_get(a, &v, sizeof(v)))
			return false;
		*(a->type == FRA_SUPPRESS_PREFIXLEN ? &r->suppress_plen : &r->suppress_group) =
		    v <= INT32_MAX ? (int)v : -1;
		return true;
	case FRA_UID_RANGE:
		if (!rtnl_get(a, &uid, sizeof(uid)))
			return false;
		r->has_uid = true;
		r->uid[0] = uid.start;
		r->uid[1] = uid.end;
		return true;
	case FRA_L3MDEV:
		r->l3mdev = a->len == 1 && a->data[0];
		return a->len == 1;
	case FRA_SPORT_RANGE:
		return rule_range(a, r->sport);
	case FRA_DPORT_RANGE:
		return rule_range(a, r->dport);
	default:
		return true;
	}
}

static bool rule_attr(const struct rtnl_attr *a, struct rtnl_rule *out)
{
	struct rule *r = &out->r;
	switch (a->type) {
	case FRA_SRC:
		return rtnl_get_addr(a, r->af, &r->from);
	case FRA_DST:
		return rtnl_get_addr(a, r->af, &r->to);
	case FRA_IIFNAME:
		return rtnl_get_name(a, r->iif);
	case FRA_OIFNAME:
		return rtnl_get_name(a, r->oif);
	case FRA_PRIORITY:
		return rtnl_get(a, &r->priority, sizeof(r->priority));
	case FRA_TABLE:
		return rtnl_get(a, &r->table, sizeof(r->table));
	case FRA_GOTO:
		return rtnl_get(a, &r->target, sizeof(r->target));
	case FRA_FWMARK:
		return rtnl_get(a, &r->mark, sizeof(r->mark));
	case FRA_FWMASK:
		r->has_mark = true;
		return rtnl_get(a, &r->mask, sizeof(r->mask));
	case FRA_IP_PROTO:
		return rtnl_get(a, &r->ipproto, sizeof(r->ipproto));
	case FRA_PROTOCOL:
		return rtnl_get(a, &out->proto, sizeof(out->proto));
	default:
		return rule_flag(a, r);
	}
}

int rtnl_rule_read(const uint8_t *p, size_t len, struct rtnl_rule *out)
{
	struct fib_rule_hdr h;
	const uint8_t *end = p + len;
	if (len < sizeof(h))
		return 1;
	memcpy(&h, p, sizeof(h));
	if (h.family != KERNEL_AF_V4 && h.family != KERNEL_AF_V6)
		return 2;
	*out = (struct rtnl_rule){ .r = { .suppress_plen = -1, .suppress_group = -1 } };
	struct rule *r = &out->r;
	r->af = h.family == KERNEL_AF_V6 ? ADDR_V6 : ADDR_V4;
	r->action = (enum rule_action)h.action;
	r->invert = (h.flags & FIB_RULE_INVERT) != 0;
	r->from_plen = h.src_len;
	r->to_plen = h.dst_len;
	r->tos = h.tos;
	r->table = h.table;
	if (r->from_plen > addr_len(r->af) * 8 || r->to_plen > addr_len(r->af) * 8)
		return 1;
	p += NLMSG_ALIGN(sizeof(h));
	struct rtnl_attr a;
	int rc;
	while ((rc = rtnl_attr_next(&p, end, &a)) > 0)
		if (!rule_attr(&a, out))
			return 1;
	return rc < 0;
}
