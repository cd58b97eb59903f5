/* Counting what sessions use; pure. */
#include "sync/sync_facts.h"

#include <string.h>

static void add_nat(struct sync_self *f, const struct sync_view *v)
{
	struct addr a = addr_from_bytes(v->e.orig.l3, v->e.reply.dst);
	unsigned i = 0;
	while (i < f->n_nat && !addr_eq(&f->nat[i].addr, &a))
		i++;
	if (i == SYNC_FACTS_ADDRS) {
		f->nat_more++;
		return;
	}
	if (i == f->n_nat)
		f->nat[f->n_nat++] = (struct sync_facts_nat){ .addr = a };
	f->nat[i].sessions++;
	f->nat[i].node |= v->why == SYNC_WHY_NODE_ADDR;
}

static void add_zone(struct sync_self *f, uint16_t zone)
{
	unsigned i = 0;
	while (i < f->n_zones && f->zone[i].zone != zone)
		i++;
	if (i == SYNC_FACTS_ZONES)
		return;
	if (i == f->n_zones)
		f->zone[f->n_zones++].zone = zone;
	f->zone[i].sessions++;
}

static void add_helper(struct sync_self *f, const char *name)
{
	unsigned i = 0;
	while (i < f->n_helpers && strncmp(f->helper[i].name, name, sizeof(f->helper[i].name)) != 0)
		i++;
	if (i == SYNC_FACTS_HELPERS)
		return;
	if (i == f->n_helpers) {
		memcpy(f->helper[i].name, name, strnlen(name, sizeof(f->helper[i].name) - 1));
		f->n_helpers++;
	}
	f->helper[i].sessions++;
}

void sync_facts_add(struct sync_self *f, const struct sync_view *v)
{
	const struct ct_entry *e = &v->e;
	bool local = v->why == SYNC_WHY_LOCAL_ORIGIN || v->why == SYNC_WHY_LOCAL_DEST;

	f->sessions++;
	/* A copy is its owner's matter, and what this box itself opens stays with it anyway. */
	if ((v->mine || v->why == SYNC_WHY_NODE_ADDR) && !local && e->has & CT_HAS_REPLY && e->status & CT_ST_SRC_NAT)
		add_nat(f, v);
	if (e->orig.zone != 0)
		add_zone(f, e->orig.zone);
	if (e->has & CT_HAS_HELPER && v->mine)
		add_helper(f, e->helper);
}
