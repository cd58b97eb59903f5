/* The facts of this node, the most important first: what has no room is left out at the end. */
#include "daemon/pair_own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app.h"
#include "sync/sync_facts.h"

struct pair_own *pair_own_new(struct app *a, uint32_t node, uint32_t id, bool answer, bool config)
{
	struct pair_own *own = calloc(1, sizeof(*own));
	char *buf = own ? malloc(PAIR_TEXT_MAX) : NULL;
	if (!buf) {
		free(own);
		return NULL;
	}
	own->app = a;
	own->node = node;
	own->id = id;
	own->answer = answer;
	own->config = config;
	own->buf = buf;
	pair_text_begin(&own->gather.text, buf, PAIR_TEXT_MAX);
	return own;
}

void pair_own_free(struct pair_own *own)
{
	if (!own)
		return;
	free(own->facts);
	free(own->buf);
	free(own);
}

static void put_node(struct pair_text *t, const struct app *a)
{
	static const char *const section[CFG_DIGESTS] = { "config.channel", "config.vrrp", "config.sync",
							  "config.ipsec" };
	pair_text_put(t, "node.name", "%s", a->cfg->node_name);
	pair_text_put(t, "node.id", "%u", a->cfg->node_id);
	pair_text_put(t, "node.version", "%s", KT_VERSION);
	for (unsigned i = 0; i < CFG_DIGESTS; i++)
		pair_text_put(t, section[i], "%016" PRIx64, a->cfg->digest[i]);
}

/* ---- sessions ---- */

/* The group that serves this virtual address; NULL: it is none. */
static const struct cfg_group *group_of(const struct app *a, const struct addr *addr, uint16_t *index)
{
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		const struct vrrp_conf *c = &a->cfg->instances[i];
		for (uint16_t k = 0; k < c->n_vips; k++) {
			if (!addr_eq(&c->vips[k].addr, addr))
				continue;
			*index = c->group;
			return &a->cfg->groups[c->group];
		}
	}
	return NULL;
}

static void put_nat(struct pair_text *t, const struct app *a, const struct sync_facts_nat *nat)
{
	char key[80], addr[ADDR_TEXT_MAX];
	uint16_t g = 0;
	const struct cfg_group *group = group_of(a, &nat->addr, &g);
	snprintf(key, sizeof(key), "nat[%s]", addr_text(&nat->addr, addr));
	if (nat->node)
		pair_text_put(t, key, "%u sessions, node", nat->sessions);
	else if (group)
		pair_text_put(t, key, "%u sessions, virtual, group %s, %s", nat->sessions, group->name,
			      role_is_text((uint8_t)a->node.group[g].role.is));
	else
		pair_text_put(t, key, "%u sessions, other", nat->sessions);
}

/* The kernel's part that bears the helper of this name. */
static void helper_module(const char *name, char *out, size_t cap)
{
	snprintf(out, cap, "%s", name);
	if (strcmp(name, "RAS") == 0 || strcmp(name, "Q.931") == 0 || strcmp(name, "H.245") == 0)
		snprintf(out, cap, "h323");
	else if (strcmp(name, "netbios-ns") == 0)
		snprintf(out, cap, "netbios_ns");
	else /* one on a port of its own: ftp-2121 */
		out[strcspn(out, "-")] = '\0';
}

static void put_sessions(struct pair_text *t, const struct app *a, const struct sync_self *f)
{
	char key[80], module[24], zones[PAIR_VALUE_MAX] = "";
	size_t n = 0;
	pair_text_put(t, "sessions.counted", "%" PRIu64, f->sessions);
	for (unsigned i = 0; i < f->n_zones && n < sizeof(zones) - 20; i++)
		n += (size_t)snprintf(zones + n, sizeof(zones) - n, "%s%u", i ? " " : "", f->zone[i].zone);
	if (f->n_zones)
		pair_text_put(t, "zones.used", "%s", zones);
	for (unsigned i = 0; i < f->n_helpers; i++) {
		helper_module(f->helper[i].name, module, sizeof(module));
		snprintf(key, sizeof(key), "helper_used[%s]", module);
		bool twice = false;
		for (unsigned k = 0; k < i; k++) {
			char before[24];
			helper_module(f->helper[k].name, before, sizeof(before));
			twice |= strcmp(before, module) == 0;
		}
		if (!twice)
			pair_text_put(t, key, "%u sessions", f->helper[i].sessions);
	}
	for (unsigned i = 0; i < f->n_nat; i++)
		put_nat(t, a, &f->nat[i]);
}

static void put_link(struct pair_text *t, unsigned i, const struct sync_facts_link *l)
{
	const struct {
		const char *name;
		uint32_t v;
	} rows[] = { { "path_mtu", l->path_mtu },
		     { "send_segment", l->send_segment },
		     { "received_segment", l->received_segment },
		     { "repeated_segments", l->repeated } };
	char key[60];
	for (unsigned k = 0; l->up && k < sizeof(rows) / sizeof(rows[0]); k++) {
		snprintf(key, sizeof(key), "channel[%u].%s", i, rows[k].name);
		pair_text_put(t, key, "%u", rows[k].v);
	}
}

static void put_sync(struct pair_text *t, const struct app *a, const struct sync_self *f)
{
	pair_text_put(t, "zones.support", "%s", f->zones == 1 ? "yes" : f->zones == 0 ? "no" : PAIR_UNKNOWN);
	pair_text_put(t, "table.high_water", "%u", a->cfg->sync.high_water);
	if (f->table_max)
		pair_text_put(t, "table.count", "%u", f->table_count);
	for (unsigned i = 0; i < f->n_links; i++)
		put_link(t, i, &f->link[i]);
	if (f->counted)
		put_sessions(t, a, f);
}

/* ---- virtual routers and groups ---- */

static void put_routers(struct pair_own *own, const struct app *a)
{
	struct pair_gather *g = &own->gather;
	char key[80];
	for (uint16_t i = 0; i < a->cfg->n_instances && i < PAIR_ROUTERS_MAX; i++) {
		const struct vrrp_conf *c = &a->cfg->instances[i];
		snprintf(key, sizeof(key), "vrrp[%s].vrid", c->name);
		pair_text_put(&g->text, key, "%u", c->vrid);
		snprintf(key, sizeof(key), "vrrp[%s].family", c->name);
		pair_text_put(&g->text, key, "%s", c->af == ADDR_V6 ? "ipv6" : "ipv4");
		snprintf(key, sizeof(key), "vrrp[%s].priority", c->name);
		pair_text_put(&g->text, key, "%u", c->priority);
		snprintf(key, sizeof(key), "vrrp[%s].interface", c->name);
		pair_text_put(&g->text, key, "%s", c->interface);
		snprintf(g->router[i].name, sizeof(g->router[i].name), "%s", c->name);
		snprintf(g->router[i].interface, sizeof(g->router[i].interface), "%s", c->interface);
		g->n_routers++;
	}
	for (uint16_t i = 0; i < a->cfg->n_groups && i < PAIR_ROUTERS_MAX; i++) {
		snprintf(key, sizeof(key), "group[%s].role", a->cfg->groups[i].name);
		pair_text_put(&g->text, key, "%s", role_is_text((uint8_t)a->node.group[i].role.is));
	}
}

static void list_channels(struct pair_own *own, const struct app *a)
{
	struct pair_gather *g = &own->gather;
	for (uint8_t i = 0; i < a->cfg->sync.n_nodes; i++) {
		const struct sync_node_conf *n = &a->cfg->sync.nodes[i];
		if (n->id != a->cfg->sync.self)
			continue;
		memcpy(g->channel, n->addrs, n->n_addrs * sizeof(n->addrs[0]));
		g->n_channel = n->n_addrs;
	}
}

void pair_own_begin(struct pair_own *own, const struct app *a)
{
	put_node(&own->gather.text, a);
	if (own->facts)
		put_sync(&own->gather.text, a, own->facts);
	list_channels(own, a);
	put_routers(own, a);
}

int pair_own_read(void *ctx)
{
	struct pair_own *own = ctx;
	pair_gather(&own->gather);
	return 0;
}

size_t pair_own_end(struct pair_own *own, const struct app *a)
{
	if (own->config && a->cfg->flat)
		pair_text_lines(&own->gather.text, a->cfg->flat);
	return pair_text_end(&own->gather.text);
}
