/* sync.ignore: which rule leaves a session out. Every part of a rule that is given must hold. */
#include "sync/sync_policy.h"

/* One end of the session, translated or not, lies in the network. */
static bool touches(const struct ct_entry *e, const struct addr *net, uint8_t plen)
{
	const uint8_t *const ends[] = { e->orig.src, e->orig.dst, e->reply.src, e->reply.dst };
	unsigned n = e->has & CT_HAS_REPLY ? 4 : 2;

	for (unsigned i = 0; i < n; i++) {
		struct addr a = addr_from_bytes(e->orig.l3, ends[i]);
		if (addr_in_prefix(&a, net, plen))
			return true;
	}
	return false;
}

/* An interface stands for the networks that it is connected to; without an address it matches nothing. */
static bool on_interface(const struct sync_locals *l, unsigned rule, const struct ct_entry *e)
{
	for (uint32_t i = 0; i < l->n_nets; i++)
		if (l->net_rules[i] >> rule & 1 && touches(e, &l->nets[i].net, l->nets[i].plen))
			return true;
	return false;
}

/* Ports are those of protocols that have any; a rule with ports matches no other. */
static bool in_ports(const struct sync_ignore *g, const struct ct_tuple *t)
{
	enum sync_proto p = sync_proto_of(t->l4);
	bool ports = p != SYNC_PROTO_ICMP && p != SYNC_PROTO_GRE && p != SYNC_PROTO_OTHER;

	if (g->port_low == 0 && g->port_high == UINT16_MAX)
		return true;
	return ports && t->dport >= g->port_low && t->dport <= g->port_high;
}

int sync_filter_rule(const struct sync_conf *conf, const struct sync_locals *l, const struct ct_entry *e)
{
	for (unsigned i = 0; i < conf->n_ignore && i < SYNC_IGNORE_MAX; i++) {
		const struct sync_ignore *g = &conf->ignore[i];
		if (g->protocols >> sync_proto_of(e->orig.l4) & 1 && in_ports(g, &e->orig) &&
		    (g->any_zone || g->zone == e->orig.zone) &&
		    (g->net.af == ADDR_NONE || touches(e, &g->net, g->plen)) &&
		    (g->ifname[0] == '\0' || on_interface(l, i, e)))
			return (int)i;
	}
	return -1;
}
