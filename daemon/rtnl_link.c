/* Numbers and nesting are those of linux/if_link.h; every access goes through memcpy, so no alignment is assumed. */
#include "daemon/rtnl_link.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include "daemon/rtnl_get.h"
#include "daemon/rtnl_put.h"

static const char *const kind_name[] = {
	[NET_LINK_MACVLAN] = "macvlan", [NET_LINK_IPVLAN] = "ipvlan", [NET_LINK_VRF] = "vrf"
};

void rtnl_link_vmac(uint8_t mac[6], uint8_t af, uint8_t vrid)
{
	const uint8_t m[6] = { 0x00, 0x00, 0x5e, 0x00, af == ADDR_V6 ? 0x02 : 0x01, vrid };
	memcpy(mac, m, sizeof(m));
}

/* ---- writing ---- */

static void begin(struct rtnl_msg *m, uint16_t type, uint16_t flags, uint32_t seq, int ifindex)
{
	struct ifinfomsg ifi = { .ifi_index = ifindex };
	rtnl_begin(m, type, flags, seq);
	rtnl_put(m, &ifi, sizeof(ifi), NLMSG_ALIGN(sizeof(ifi)));
}

size_t rtnl_link_create(uint8_t *buf, size_t cap, const struct rtnl_link *l, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	size_t name = strnlen(l->name, sizeof(l->name));
	uint32_t base = (uint32_t)l->base, bridge = MACVLAN_MODE_BRIDGE, mark = NET_MARK;
	uint16_t l2 = IPVLAN_MODE_L2;
	if (name == 0 || name == sizeof(l->name) || l->base <= 0 ||
	    (l->kind != NET_LINK_MACVLAN && l->kind != NET_LINK_IPVLAN))
		return 0;
	begin(&m, RTM_NEWLINK, (uint16_t)(NLM_F_CREATE | NLM_F_EXCL | (ack ? NLM_F_ACK : 0)), seq, 0);
	rtnl_put_attr(&m, IFLA_IFNAME, l->name, name + 1);
	rtnl_put_attr(&m, IFLA_LINK, &base, sizeof(base));
	rtnl_put_attr(&m, IFLA_GROUP, &mark, sizeof(mark));
	if (l->kind == NET_LINK_MACVLAN)
		rtnl_put_attr(&m, IFLA_ADDRESS, l->mac, sizeof(l->mac));
	size_t info = rtnl_nest(&m, IFLA_LINKINFO);
	rtnl_put_attr(&m, IFLA_INFO_KIND, kind_name[l->kind], strlen(kind_name[l->kind]) + 1);
	size_t data = rtnl_nest(&m, IFLA_INFO_DATA);
	/*
	 * In private mode the kernel keeps a multicast frame whose source is the interface's own MAC away from the base
	 * (drivers/net/macvlan.c macvlan_handle_frame): two masters of one virtual router would be deaf to each other
	 * for good. In bridge mode the base hears it.
	 */
	if (l->kind == NET_LINK_MACVLAN)
		rtnl_put_attr(&m, IFLA_MACVLAN_MODE, &bridge, sizeof(bridge));
	else
		rtnl_put_attr(&m, IFLA_IPVLAN_MODE, &l2, sizeof(l2));
	rtnl_nest_end(&m, data);
	rtnl_nest_end(&m, info);
	return rtnl_finish(&m);
}

size_t rtnl_link_del(uint8_t *buf, size_t cap, int ifindex, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	if (ifindex <= 0)
		return 0;
	begin(&m, RTM_DELLINK, ack ? NLM_F_ACK : 0, seq, ifindex);
	return rtnl_finish(&m);
}

size_t rtnl_link_del_group(uint8_t *buf, size_t cap, uint32_t group, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	if (group == 0)
		return 0; /* that is everybody's */
	begin(&m, RTM_DELLINK, ack ? NLM_F_ACK : 0, seq, 0);
	rtnl_put_attr(&m, IFLA_GROUP, &group, sizeof(group));
	return rtnl_finish(&m);
}

static size_t change(uint8_t *buf, size_t cap, int ifindex, uint16_t attr, uint32_t value, uint32_t seq, bool ack)
{
	struct rtnl_msg m = { .buf = buf, .cap = cap };
	if (ifindex <= 0)
		return 0;
	begin(&m, RTM_NEWLINK, ack ? NLM_F_ACK : 0, seq, ifindex);
	rtnl_put_attr(&m, attr, &value, sizeof(value));
	return rtnl_finish(&m);
}

size_t rtnl_link_mtu(uint8_t *buf, size_t cap, int ifindex, uint32_t mtu, uint32_t seq, bool ack)
{
	return change(buf, cap, ifindex, IFLA_MTU, mtu, seq, ack);
}

size_t rtnl_link_master(uint8_t *buf, size_t cap, int ifindex, int master, uint32_t seq, bool ack)
{
	return change(buf, cap, ifindex, IFLA_MASTER, (uint32_t)master, seq, ack);
}

bool rtnl_link_is(const struct net_link *have, const struct rtnl_link *want)
{
	if (have->kind != want->kind || have->base != want->base)
		return false;
	return want->kind != NET_LINK_MACVLAN ||
	       (have->mac_len == sizeof(want->mac) && memcmp(have->mac, want->mac, sizeof(want->mac)) == 0);
}

/* ---- reading ---- */

static bool text_is(const uint8_t *data, size_t len, const char *text)
{
	size_t n = strlen(text);
	return len >= n && memcmp(data, text, n) == 0 && (len == n || data[n] == '\0');
}

static bool read_info(const uint8_t *p, size_t len, struct net_link *l)
{
	const uint8_t *end = p + len;
	struct rtnl_attr a;
	int rc;
	while ((rc = rtnl_attr_next(&p, end, &a)) > 0) {
		if (a.type != IFLA_INFO_KIND)
			continue;
		l->kind = NET_LINK_PLAIN;
		for (unsigned k = NET_LINK_MACVLAN; k <= NET_LINK_VRF; k++)
			if (text_is(a.data, a.len, kind_name[k]))
				l->kind = (enum net_link_kind)k;
	}
	return rc == 0;
}

bool rtnl_link_attr(uint16_t type, const uint8_t *data, size_t len, struct net_link *l)
{
	uint32_t base;
	switch (type) {
	case IFLA_LINK:
	case IFLA_MASTER:
		if (len != sizeof(base))
			return false;
		memcpy(&base, data, sizeof(base));
		*(type == IFLA_LINK ? &l->base : &l->master) = base <= INT32_MAX ? (int)base : 0;
		return true;
	case IFLA_GROUP:
		if (len != sizeof(l->group))
			return false;
		memcpy(&l->group, data, sizeof(l->group));
		return true;
	case IFLA_LINKINFO:
		return read_info(data, len, l);
	default:
		return true;
	}
}
