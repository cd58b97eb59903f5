/*
 * Most of a large configuration stands where it stood before: a search begins behind the last one found and so costs
 * one comparison, whatever there is.
 */
#include "daemon/reload_map.h"

#include <stdlib.h>
#include <string.h>

static bool is_inst(const struct vrrp_conf *o, const struct vrrp_conf *c)
{
	return o->vrid == c->vrid && o->af == c->af && strcmp(o->name, c->name) == 0 &&
	       strcmp(o->interface, c->interface) == 0;
}

static int same_inst(const struct cfg *old, const struct vrrp_conf *c, unsigned near)
{
	for (unsigned k = 0; k < old->n_instances; k++) {
		unsigned i = (near + k) % old->n_instances;
		if (is_inst(&old->instances[i], c))
			return (int)i;
	}
	return -1;
}

static int group_named(const struct cfg *c, const char *name, unsigned near)
{
	for (unsigned k = 0; k < c->n_groups; k++) {
		unsigned g = (near + k) % c->n_groups;
		if (strcmp(c->groups[g].name, name) == 0)
			return (int)g;
	}
	return -1;
}

/* The former group of all those members that existed; -1 if there is none, or if they come from several. */
static int group_of_members(const struct reload_map *m, const struct cfg *old, const struct cfg_group *g)
{
	int from = -1;
	for (uint16_t k = 0; k < g->n_members; k++) {
		int32_t i = m->inst_from[g->members[k]];
		if (i < 0)
			continue;
		int was = old->instances[i].group;
		if (from >= 0 && from != was)
			return -1;
		from = was;
	}
	return from;
}

/* A group whose name is gone lives on in the one that has its members: a new name moves no address. */
static int same_group(const struct reload_map *m, const struct cfg *old, const struct cfg *now, uint16_t g)
{
	int o = group_named(old, now->groups[g].name, g);
	if (o >= 0)
		return o;
	o = group_of_members(m, old, &now->groups[g]);
	if (o < 0 || group_named(now, old->groups[o].name, (unsigned)o) >= 0)
		return -1;
	return m->group_stays[o] ? -1 : o; /* split in two: the first part keeps the role */
}

static int same_tunnel(const struct cfg *old, const struct ike_tunnel_conf *c)
{
	for (uint16_t t = 0; t < old->n_tunnels; t++) {
		const struct ike_tunnel_conf *o = &old->tunnels[t];
		if (o->backend == c->backend && strcmp(o->name, c->name) == 0 && strcmp(o->ike, c->ike) == 0 &&
		    strcmp(o->child, c->child) == 0 && addr_eq(&o->vip, &c->vip))
			return t;
	}
	return -1;
}

static void fill(struct reload_map *m, const struct cfg *old, const struct cfg *now)
{
	unsigned near = 0;
	for (uint16_t i = 0; i < now->n_instances; i++) {
		m->inst_from[i] = same_inst(old, &now->instances[i], near);
		if (m->inst_from[i] < 0)
			continue;
		m->inst_stays[m->inst_from[i]] = true;
		near = (unsigned)m->inst_from[i] + 1;
	}
	for (uint16_t g = 0; g < now->n_groups; g++) {
		m->group_from[g] = same_group(m, old, now, g);
		if (m->group_from[g] >= 0)
			m->group_stays[m->group_from[g]] = true;
	}
	for (uint16_t t = 0; t < now->n_tunnels; t++)
		m->tunnel_from[t] = same_tunnel(old, &now->tunnels[t]);
}

struct reload_map *reload_map_make(const struct cfg *old, const struct cfg *now)
{
	struct reload_map *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->inst_from = calloc(now->n_instances + 1u, sizeof(*m->inst_from));
	m->inst_stays = calloc(old->n_instances + 1u, sizeof(*m->inst_stays));
	m->group_from = calloc(now->n_groups + 1u, sizeof(*m->group_from));
	m->group_stays = calloc(old->n_groups + 1u, sizeof(*m->group_stays));
	m->tunnel_from = calloc(now->n_tunnels + 1u, sizeof(*m->tunnel_from));
	m->n_changes = cfg_diff(old, now, NULL, 0);
	m->changes = calloc(m->n_changes + 1u, sizeof(*m->changes));
	if (!m->inst_from || !m->inst_stays || !m->group_from || !m->group_stays || !m->tunnel_from || !m->changes) {
		reload_map_free(m);
		return NULL;
	}
	cfg_diff(old, now, m->changes, m->n_changes);
	fill(m, old, now);
	return m;
}

void reload_map_free(struct reload_map *m)
{
	if (!m)
		return;
	free(m->inst_from);
	free(m->inst_stays);
	free(m->group_from);
	free(m->group_stays);
	free(m->tunnel_from);
	free(m->changes);
	free(m);
}
