/*
 * The kernel's own structures are used for reading and writing; every access goes through memcpy, so that no alignment
 * of the buffer is assumed.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include "daemon/rtnl_get.h"
#include "daemon/rtnl_link.h"
#include "daemon/rtnl_put.h"
#include "daemon/rtnl_wire.h"

_Static_assert(NET_A_SECONDARY == IFA_F_SECONDARY && NET_A_NODAD == IFA_F_NODAD && NET_A_DADFAILED == IFA_F_DADFAILED &&
		   NET_A_TENTATIVE == IFA_F_TENTATIVE && NET_A_HOME == IFA_F_HOMEADDRESS &&
		   NET_A_MNGTMPADDR == IFA_F_MANAGETEMPADDR && NET_A_NOPREFIXROUTE == IFA_F_NOPREFIXROUTE &&
		   NET_A_AUTOJOIN == IFA_F_MCAUTOJOIN,
	       "flags as in linux/if_addr.h");

/* linux/if.h and net/if.h cannot be included together. */
#define LINK_UP       0x1u
#define LINK_LOWER_UP 0x10000u
#define KERNEL_AF_V4  2  /* AF_INET */
#define KERNEL_AF_V6  10 /* AF_INET6 */
#define KERNEL_AF_BR  7  /* AF_BRIDGE */

const char *rtnl_drop_text(enum rtnl_drop d)
{
	static const char *const text[] = {
#define RTNL_TEXT(name, t) [name] = (t),
		RTNL_DROP_TABLE(RTNL_TEXT)
#undef RTNL_TEXT
	};
	return d >= 0 && d < RTNL_DROP_N ? text[d] : "unknown";
}

/* ---- reading ---- */

static bool link_attr(const struct rtnl_attr *a, struct net_link *l)
{
	switch (a->type) {
	case IFLA_IFNAME:
		return rtnl_get_name(a, l->name);
	case IFLA_ADDRESS:
		l->mac_len = a->len == sizeof(l->mac) ? (uint8_t)a->len : 0;
		if (l->mac_len)
			memcpy(l->mac, a->data, a->len);
		return true;
	case IFLA_MTU:
		return rtnl_get(a, &l->mtu, sizeof(uint32_t));
	default:
		return rtnl_link_attr(a->type, a->data, a->len, l);
	}
}

static enum rtnl_drop read_link(const uint8_t *p, const uint8_t *end, bool gone, struct rtnl_event *out)
{
	struct ifinfomsg ifi;
	if ((size_t)(end - p) < sizeof(ifi))
		return RTNL_D_SHORT;
	memcpy(&ifi, p, sizeof(ifi));
	if (ifi.ifi_family == KERNEL_AF_BR) {
		out->kind = RTNL_OTHER; /* a port of a bridge, not the link's own life */
		return RTNL_OK;
	}
	if (ifi.ifi_index <= 0)
		return RTNL_D_RANGE;
	struct net_link *l = &out->link;
	out->kind = gone ? RTNL_LINK_GONE : RTNL_LINK_SET;
	l->index = ifi.ifi_index;
	l->up = (ifi.ifi_flags & LINK_UP) != 0;
	l->carrier = (ifi.ifi_flags & LINK_LOWER_UP) != 0;
	l->type = ifi.ifi_type;
	p += NLMSG_ALIGN(sizeof(ifi));
	struct rtnl_attr a;
	int rc;
	while ((rc = rtnl_attr_next(&p, end, &a)) > 0)
		if (!link_attr(&a, l))
			return RTNL_D_ATTR;
	if (rc < 0)
		return RTNL_D_ATTR;
	return l->name[0] || gone ? RTNL_OK : RTNL_D_NO_NAME;
}

/* IFA_LOCAL is the address of this box; IFA_ADDRESS the other end of a point-to-point link, or the same. */
static bool addr_attr(const struct rtnl_attr *a, struct net_addr *n, struct addr *local, struct addr *other)
{
	struct ifa_cacheinfo ci;
	switch (a->type) {
	case IFA_LOCAL:
		return rtnl_get_addr(a, n->addr.af, local);
	case IFA_ADDRESS:
		return rtnl_get_addr(a, n->addr.af, other);
	case IFA_BROADCAST:
		return rtnl_get_addr(a, n->addr.af, &n->opt.broadcast);
	case IFA_LABEL:
		return rtnl_get_name(a, n->opt.label);
	case IFA_CACHEINFO:
		if (a->len != sizeof(ci))
			return false;
		memcpy(&ci, a->data, sizeof(ci));
		n->opt.limited = ci.ifa_prefered != UINT32_MAX;
		n->opt.preferred_lft = n->opt.limited ? ci.ifa_prefered : 0;
		return true;
	case IFA_FLAGS:
		return rtnl_get(a, &n->flags, sizeof(uint32_t));
	case IFA_PROTO:
		if (a->len != 1)
			return false;
		n->proto = a->data[0];
		return true;
	default:
		return true;
	}
}

static enum rtnl_drop read_addr(const uint8_t *p, const uint8_t *end, bool gone, struct rtnl_event *out)
{
	struct ifaddrmsg ifa;
	if ((size_t)(end - p) < sizeof(ifa))
		return RTNL_D_SHORT;
	memcpy(&ifa, p, sizeof(ifa));
	if (ifa.ifa_family != KERNEL_AF_V4 && ifa.ifa_family != KERNEL_AF_V6)
		return RTNL_D_FAMILY;
	struct net_addr *n = &out->addr;
	out->kind = gone ? RTNL_ADDR_GONE : RTNL_ADDR_SET;
	n->addr.af = ifa.ifa_family == KERNEL_AF_V4 ? ADDR_V4 : ADDR_V6;
	n->plen = ifa.ifa_prefixlen;
	n->flags = ifa.ifa_flags;
	n->opt = (struct net_addr_opt){ .scope = ifa.ifa_scope };
	if (ifa.ifa_index == 0 || ifa.ifa_index > INT32_MAX || n->plen > addr_len(n->addr.af) * 8)
		return RTNL_D_RANGE;
	n->ifindex = (int)ifa.ifa_index;
	p += NLMSG_ALIGN(sizeof(ifa));
	struct addr local = { 0 }, other = { 0 };
	struct rtnl_attr a;
	int rc;
	while ((rc = rtnl_attr_next(&p, end, &a)) > 0)
		if (!addr_attr(&a, n, &local, &other))
			return RTNL_D_ATTR;
	if (rc < 0)
		return RTNL_D_ATTR;
	n->addr = local.af ? local : other;
	if (local.af && other.af && !addr_eq(&local, &other))
		n->opt.peer = other;
	n->opt.flags = n->flags & (NET_A_OPTIONS | NET_A_NODAD);
	return n->addr.af ? RTNL_OK : RTNL_D_NO_ADDR;
}

/* Of other families (multicast routing, MPLS) nothing is wanted. */
static enum rtnl_drop route_result(int rc, enum rtnl_event_kind kind, struct rtnl_event *out)
{
	if (rc == 2)
		return RTNL_OK;
	out->kind = kind;
	return rc ? RTNL_D_ATTR : RTNL_OK;
}

static enum rtnl_drop read_route(const uint8_t *p, const uint8_t *end, bool gone, struct rtnl_event *out)
{
	return route_result(rtnl_route_read(p, (size_t)(end - p), &out->route), gone ? RTNL_ROUTE_GONE : RTNL_ROUTE_SET,
			    out);
}

static enum rtnl_drop read_rule(const uint8_t *p, const uint8_t *end, bool gone, struct rtnl_event *out)
{
	return route_result(rtnl_rule_read(p, (size_t)(end - p), &out->rule), gone ? RTNL_RULE_GONE : RTNL_RULE_SET,
			    out);
}

/* NLMSG_ERROR and NLMSG_DONE begin with a code: 0 or -errno. */
static enum rtnl_drop read_code(const uint8_t *p, const uint8_t *end, enum rtnl_event_kind kind, struct rtnl_event *out)
{
	int32_t code;
	if ((size_t)(end - p) < sizeof(code))
		return RTNL_D_SHORT;
	memcpy(&code, p, sizeof(code));
	if (code > 0 || code < -4095)
		return RTNL_D_RANGE;
	out->kind = kind;
	out->err = code;
	return RTNL_OK;
}

enum rtnl_drop rtnl_wire_parse(const uint8_t *buf, size_t len, struct rtnl_event *out, size_t *used)
{
	struct nlmsghdr h;
	*out = (struct rtnl_event){ .kind = RTNL_OTHER };
	*used = len;
	if (len < sizeof(h))
		return RTNL_D_SHORT;
	memcpy(&h, buf, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
		return RTNL_D_LENGTH;
	size_t step = NLMSG_ALIGN((size_t)h.nlmsg_len);
	*used = step < len ? step : len;
	out->seq = h.nlmsg_seq;
	out->interrupted = (h.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	const uint8_t *p = buf + NLMSG_HDRLEN, *end = buf + h.nlmsg_len;
	switch (h.nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return read_link(p, end, h.nlmsg_type == RTM_DELLINK, out);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return read_addr(p, end, h.nlmsg_type == RTM_DELADDR, out);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return read_route(p, end, h.nlmsg_type == RTM_DELROUTE, out);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return read_rule(p, end, h.nlmsg_type == RTM_DELRULE, out);
	case NLMSG_ERROR:
		return read_code(p, end, RTNL_RESULT, out);
	case NLMSG_DONE:
		return read_code(p, end, RTNL_DONE, out);
	case NLMSG_OVERRUN:
		out->kind = RTNL_OVERRUN;
		return RTNL_OK;
	default:
		return RTNL_OK;
	}
}

/* ---- writing ---- */

/* What an address is beyond itself. Valid for good: only the preferred lifetime can be an operator's choice. */
static void put_addr_options(struct rtnl_msg *m, const struct net_addr_opt *o)
{
	if (o->broadcast.af)
		rtnl_put_attr(m, IFA_BROADCAST, o->broadcast.b, addr_len(o->broadcast.af));
	if (o->label[0])
		rtnl_put_attr(m, IFA_LABEL, o->label, strnlen(o->label, IFNAMSIZ - 1) + 1);
	if (o->flags) {
		uint32_t flags = o->flags & (NET_A_OPTIONS | NET_A_NODAD);
		rtnl_put_attr(m, IFA_FLAGS, &flags, sizeof(flags));
	}
	if (o->limited) {
		struct ifa_cacheinfo ci = { .ifa_prefered = o->preferred_lft, .ifa_valid = UINT32_MAX };
		rtnl_put_attr(m, IFA_CACHEINFO, &ci, sizeof(ci));
	}
}

size_t rtnl_wire_addr(uint8_t *buf, size_t cap, const struct net_op *op, uint32_t seq, bool mark, bool ack)
{
	bool add = op->kind == NET_OP_ADD;
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	uint16_t flags = (uint16_t)((add ? NLM_F_CREATE | NLM_F_EXCL : 0) | (ack ? NLM_F_ACK : 0));
	rtnl_begin(&m, add ? RTM_NEWADDR : RTM_DELADDR, flags, seq);
	bool v6 = op->addr.af == ADDR_V6;
	struct ifaddrmsg ifa = { .ifa_family = v6 ? KERNEL_AF_V6 : KERNEL_AF_V4,
				 .ifa_prefixlen = op->plen,
				 .ifa_flags = add ? (uint8_t)op->opt.flags : 0,
				 .ifa_scope = add ? op->opt.scope : 0,
				 .ifa_index = (uint32_t)op->ifindex };
	const struct addr *other = op->opt.peer.af ? &op->opt.peer : &op->addr;
	rtnl_put(&m, &ifa, sizeof(ifa), NLMSG_ALIGN(sizeof(ifa)));
	rtnl_put_attr(&m, IFA_LOCAL, op->addr.b, addr_len(op->addr.af));
	rtnl_put_attr(&m, IFA_ADDRESS, other->b, addr_len(op->addr.af));
	if (add)
		put_addr_options(&m, &op->opt);
	if (add && mark) {
		uint8_t proto = NET_MARK;
		rtnl_put_attr(&m, IFA_PROTO, &proto, sizeof(proto));
	}
	return rtnl_finish(&m);
}

size_t rtnl_wire_link_up(uint8_t *buf, size_t cap, int ifindex, bool up, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	rtnl_begin(&m, RTM_NEWLINK, ack ? NLM_F_ACK : 0, seq);
	struct ifinfomsg ifi = { .ifi_index = ifindex, .ifi_flags = up ? LINK_UP : 0, .ifi_change = LINK_UP };
	rtnl_put(&m, &ifi, sizeof(ifi), NLMSG_ALIGN(sizeof(ifi)));
	return rtnl_finish(&m);
}

size_t rtnl_wire_dump(uint8_t *buf, size_t cap, bool addresses, uint32_t seq)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	rtnl_begin(&m, addresses ? RTM_GETADDR : RTM_GETLINK, NLM_F_DUMP, seq);
	if (addresses) {
		struct ifaddrmsg ifa = { 0 };
		rtnl_put(&m, &ifa, sizeof(ifa), NLMSG_ALIGN(sizeof(ifa)));
	} else {
		struct ifinfomsg ifi = { 0 };
		rtnl_put(&m, &ifi, sizeof(ifi), NLMSG_ALIGN(sizeof(ifi)));
		uint32_t mask = RTEXT_FILTER_SKIP_STATS;
		rtnl_put_attr(&m, IFLA_EXT_MASK, &mask, sizeof(mask));
	}
	return rtnl_finish(&m);
}
