/* Feeds datagrams to the rtnetlink parser and what it accepts to the model, in the order of the messages. */
#include "daemon/base/require.h"
#include "daemon/rtnl_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(struct netstate *ns, const struct rtnl_event *ev)
{
	switch (ev->kind) {
	case RTNL_LINK_SET:
		require(ev->link.name[0] && ev->link.index > 0);
		netstate_link_set(ns, &ev->link);
		break;
	case RTNL_LINK_GONE:
		netstate_link_gone(ns, ev->link.index);
		break;
	case RTNL_ADDR_SET:
		require(addr_len(ev->addr.addr.af) && ev->addr.plen <= addr_len(ev->addr.addr.af) * 8);
		netstate_addr_set(ns, &ev->addr);
		break;
	case RTNL_ADDR_GONE:
		netstate_addr_gone(ns, &ev->addr);
		break;
	case RTNL_DONE:
		netstate_dump_end(ns);
		netstate_dump_begin(ns);
		break;
	case RTNL_RESULT:
		require(ev->err <= 0);
		break;
	case RTNL_ROUTE_SET:
	case RTNL_ROUTE_GONE:
		netstate_route_seen(ns, &ev->route, ev->kind == RTNL_ROUTE_GONE, false);
		break;
	case RTNL_RULE_SET:
	case RTNL_RULE_GONE:
		netstate_rule_seen(ns, &ev->rule, ev->kind == RTNL_RULE_GONE, false);
		break;
	case RTNL_OVERRUN:
	case RTNL_OTHER:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netstate ns;
	struct net_op op[NET_CHUNK];
	struct addr vip = addr_v4(10, 0, 0, 10);
	require(netstate_init(&ns, true) == 0);
	netstate_conf_begin(&ns);
	require(netstate_want_addr(&ns, 0, "eth0", &vip, 24, NULL, 0) > 0);
	netstate_conf_end(&ns);
	netstate_group_set(&ns, 0, NET_UP);
	netstate_dump_begin(&ns);
	for (size_t at = 0, used; at < size; at += used) {
		struct rtnl_event ev;
		enum rtnl_drop d = rtnl_wire_parse(data + at, size - at, &ev, &used);
		require(used > 0 && used <= size - at);
		require(rtnl_drop_text(d)[0]);
		if (d == RTNL_OK)
			apply(&ns, &ev);
	}
	unsigned n = netstate_diff(&ns, NET_OP_ADD, MONO_ZERO, op);
	require(n <= 1 && (n == 0 || ns.synced));
	netstate_free(&ns);
	return 0;
}
