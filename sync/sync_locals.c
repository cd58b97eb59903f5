/* Which addresses are this box's own, and which networks its interfaces are connected to. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/sync_policy.h"

_Static_assert(SYNC_IGNORE_MAX <= 64, "a bit per rule");

static int by_addr(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

int sync_locals_set(struct sync_locals *l, const struct addr *addrs, uint32_t n)
{
	if (n > SYNC_LOCAL_MAX)
		return ERR_FULL;
	memcpy(l->before, l->own, l->n_own * sizeof(*l->own));
	l->n_before = l->n_own;
	if (n > 0)
		memcpy(l->own, addrs, n * sizeof(*addrs));
	l->n_own = n;
	qsort(l->own, n, sizeof(*l->own), by_addr);
	return 0;
}

/* Which rules name the interface of each network. */
static void match_rules(struct sync_locals *l, const struct sync_conf *conf)
{
	for (uint32_t i = 0; i < l->n_nets; i++) {
		l->net_rules[i] = 0;
		for (unsigned k = 0; k < conf->n_ignore && k < SYNC_IGNORE_MAX; k++)
			if (conf->ignore[k].ifname[0] != '\0' &&
			    strncmp(conf->ignore[k].ifname, l->nets[i].ifname, SYNC_IFNAME_MAX) == 0)
				l->net_rules[i] |= UINT64_C(1) << k;
	}
}

void sync_locals_conf(struct sync_locals *l, const struct sync_conf *conf)
{
	l->n_vips = conf->n_vips < SYNC_LOCALS_MAX ? conf->n_vips : SYNC_LOCALS_MAX;
	memcpy(l->vips, conf->vips, l->n_vips * sizeof(*l->vips));
	qsort(l->vips, l->n_vips, sizeof(*l->vips), by_addr);
	match_rules(l, conf);
}

static bool same_net(const struct sync_net *a, const struct sync_net *b)
{
	return a->plen == b->plen && addr_eq(&a->net, &b->net) && strncmp(a->ifname, b->ifname, SYNC_IFNAME_MAX) == 0;
}

int sync_locals_nets(struct sync_locals *l, const struct sync_conf *conf, const struct sync_net *nets, uint32_t n)
{
	if (n > SYNC_NETS_MAX)
		return ERR_FULL;
	bool same = n == l->n_nets;
	for (uint32_t i = 0; same && i < n; i++)
		same = same_net(&nets[i], &l->nets[i]);
	if (same)
		return 0;
	if (n > 0)
		memcpy(l->nets, nets, n * sizeof(*nets));
	l->n_nets = n;
	match_rules(l, conf);
	return 1;
}

static bool found(const struct addr *sorted, uint32_t n, const struct addr *a)
{
	return n > 0 && bsearch(a, sorted, n, sizeof(*sorted), by_addr) != NULL;
}

bool sync_locals_vanished(const struct sync_locals *l)
{
	for (uint32_t i = 0; i < l->n_before; i++)
		if (!found(l->own, l->n_own, &l->before[i]))
			return true;
	return false;
}

/* An address of one set that the other lacks, virtual ones apart. */
static bool lacks(const struct sync_locals *l, const struct addr *a, uint32_t n, const struct addr *other, uint32_t m)
{
	for (uint32_t i = 0; i < n; i++)
		if (!found(other, m, &a[i]) && !found(l->vips, l->n_vips, &a[i]))
			return true;
	return false;
}

bool sync_locals_changed(const struct sync_locals *l)
{
	return lacks(l, l->own, l->n_own, l->before, l->n_before) || lacks(l, l->before, l->n_before, l->own, l->n_own);
}

bool sync_local_is_vip(const struct sync_locals *l, uint8_t l3, const uint8_t addr[16])
{
	struct addr a = addr_from_bytes(l3, addr);

	return found(l->vips, l->n_vips, &a);
}

static bool is_loopback(uint8_t l3, const uint8_t addr[16])
{
	static const uint8_t one[16] = { [15] = 1 };

	return l3 == ADDR_V4 ? addr[0] == 127 : memcmp(addr, one, 16) == 0;
}

bool sync_local_is_own(const struct sync_locals *l, uint8_t l3, const uint8_t addr[16])
{
	struct addr a = addr_from_bytes(l3, addr);

	return is_loopback(l3, addr) || found(l->vips, l->n_vips, &a) || found(l->own, l->n_own, &a);
}
