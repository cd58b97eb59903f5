/* From a checked tree to the model that the rest of the program reads. */
#include <linux/rtnetlink.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/cfg_tree.h"
#include "daemon/rtnl_link.h"
#include "sync/ct.h"

static void *room(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	require(p);
	return p;
}

static int64_t num(const struct cfg_rec *r, const char *key)
{
	return cfg_rec_val(r, key)->num;
}

static const struct cfg_rec *block(const struct cfg_rec *r, const char *key)
{
	return &cfg_rec_val(r, key)->recs[0];
}

/* Copies a text the schema has limited to fewer than size bytes; none becomes "". */
static void text(const struct cfg_rec *r, const char *key, char *out, size_t size)
{
	const char *in = cfg_rec_val(r, key)->text;

	snprintf(out, size, "%s", in ? in : "");
}

static struct addr address(const char *in)
{
	struct addr a = { 0 };

	require(addr_parse(in, &a));
	return a;
}

static void build_keepalived(struct cfg *c, const struct cfg_rec *node)
{
	struct cfg_keepalived *k = &c->keepalived;
	const struct cfg_val *block_val = cfg_rec_val(node, "keepalived");

	k->json_version = 1;
	k->umask = -1;
	if (!block_val->n)
		return;
	const struct cfg_rec *r = block_val->recs;
	text(r, "instance", k->instance, sizeof(k->instance));
	k->use_pid_dir = num(r, "use_pid_dir");
	k->data_use_instance = num(r, "data_use_instance");
	k->json_version = (uint8_t)num(r, "json_version");
	text(r, "data_file", k->data_file, sizeof(k->data_file));
	text(r, "stats_file", k->stats_file, sizeof(k->stats_file));
	text(r, "json_file", k->json_file, sizeof(k->json_file));
	if (cfg_rec_val(r, "umask")->given)
		k->umask = (int)num(r, "umask");
}

static void build_process(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_rec *node = block(&t->root, "node"), *log = block(node, "log");
	const struct cfg_rec *control = block(&t->root, "control");

	c->node_id = (uint32_t)num(node, "id");
	c->realtime = num(node, "realtime");
	text(node, "run_dir", c->run_dir, sizeof(c->run_dir));
	text(node, "state_dir", c->state_dir, sizeof(c->state_dir));
	c->log_level = LOG_L_ERR + (int)num(log, "level");
	c->log_syslog = num(log, "syslog");
	c->log_stderr = num(log, "stderr");
	text(control, "socket", c->ctl_socket, sizeof(c->ctl_socket));
	if (!c->ctl_socket[0])
		snprintf(c->ctl_socket, sizeof(c->ctl_socket), "%.90s/ctl.sock", c->run_dir);
	text(control, "view_group", c->view_group, sizeof(c->view_group));
	text(control, "admin_group", c->admin_group, sizeof(c->admin_group));
	text(node, "namespace", c->namespace, sizeof(c->namespace));
	build_keepalived(c, node);
}

static struct addr optional_address(const struct cfg_rec *r, const char *key)
{
	const char *in = cfg_rec_val(r, key)->text;

	return in ? address(in) : (struct addr){ 0 };
}

static void build_vip(struct vrrp_vip *v, const struct cfg_rec *r)
{
	static const uint8_t scopes[] = { RT_SCOPE_UNIVERSE, RT_SCOPE_SITE, RT_SCOPE_LINK, RT_SCOPE_HOST };
	const struct cfg_val *lft = cfg_rec_val(r, "preferred_lifetime");
	const char *broadcast = cfg_rec_val(r, "broadcast")->text;

	require(addr_parse_prefix(cfg_rec_val(r, "address")->text, &v->addr, &v->plen));
	text(r, "interface", v->interface, sizeof(v->interface));
	text(r, "label", v->label, sizeof(v->label));
	v->peer = optional_address(r, "peer");
	v->broadcast_auto = broadcast && strcmp(broadcast, "auto") == 0;
	if (broadcast && !v->broadcast_auto)
		v->broadcast = address(broadcast);
	v->scope = scopes[num(r, "scope")];
	v->flags = (uint8_t)num(r, "flags");
	/* A host's own /128 would otherwise be preferred as a source (RFC 6724 rule 3 turns it away). */
	v->preferred_lft = lft->given ? (uint32_t)lft->num : v->addr.af == ADDR_V6 && v->plen == 128 ? 0 : UINT32_MAX;
	v->no_track = !num(r, "track");
	v->line = r->at.line;
}

static void build_vips(struct vrrp_conf *v, const struct cfg_val *list, const struct cfg_val *excluded)
{
	struct vrrp_vip *vips = room(list->n + excluded->n, sizeof(*vips));

	for (unsigned i = 0; i < list->n; i++)
		build_vip(&vips[i], &list->recs[i]);
	for (unsigned i = 0; i < excluded->n; i++)
		build_vip(&vips[list->n + i], &excluded->recs[i]);
	v->vips = vips;
	v->n_advertised = (uint16_t)list->n;
	v->n_vips = (uint16_t)(list->n + excluded->n);
}

static void build_peers(struct vrrp_conf *v, const struct cfg_val *list)
{
	struct vrrp_unicast_peer *peers = room(list->n, sizeof(*peers));

	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		peers[i].addr = address(cfg_rec_val(r, "address")->text);
		peers[i].ttl_min = (uint8_t)num(r, "min_ttl");
		peers[i].ttl_max = (uint8_t)num(r, "max_ttl");
	}
	v->peers = peers;
	v->n_peers = (uint16_t)list->n;
}

static void build_vmac(struct vrrp_conf *v, const struct cfg_val *block_of)
{
	if (!block_of->n)
		return;
	const struct cfg_rec *r = &block_of->recs[0];
	v->vmac = num(r, "kind") ? VRRP_VMAC_IPVLAN : VRRP_VMAC_MACVLAN;
	v->vmac_base_source = num(r, "source");
	text(r, "interface", v->vmac_name, sizeof(v->vmac_name));
	rtnl_link_vmac(v->vmac_mac, v->af, v->vrid);
	if (cfg_rec_text(r, "address"))
		addr_mac_parse(cfg_rec_text(r, "address"), v->vmac_mac);
	if (!v->vmac_name[0])
		snprintf(v->vmac_name, sizeof(v->vmac_name), "vrrp%s.%u", v->af == ADDR_V6 ? "6" : "", v->vrid);
}

/* node.instances[NAME] goes before node.priority, which goes before the shared value. */
static void apply_local(struct vrrp_conf *v, const struct cfg_rec *node, unsigned near)
{
	const struct cfg_val *over = cfg_rec_val(node, "instances");

	if (cfg_rec_val(node, "priority")->given)
		v->priority = (uint8_t)num(node, "priority");
	for (unsigned k = 0; k < over->n; k++) { /* mostly in the order of the instances */
		const struct cfg_rec *r = &over->recs[(near + k) % over->n];
		if (strcmp(cfg_rec_val(r, "name")->text, v->name) != 0)
			continue;
		if (cfg_rec_val(r, "priority")->given)
			v->priority = (uint8_t)num(r, "priority");
		if (cfg_rec_val(r, "interface")->given)
			text(r, "interface", v->interface, sizeof(v->interface));
		if (cfg_rec_val(r, "source")->given)
			v->source = optional_address(r, "source");
		return; /* names are unique */
	}
}

static void build_protocol(struct vrrp_conf *v, const struct cfg_rec *r)
{
	const char *pass = cfg_rec_val(r, "auth_pass")->text;

	v->version = (enum vrrp_version)num(r, "version");
	v->auth = pass != NULL;
	if (pass)
		memcpy(v->auth_pass, pass, strnlen(pass, sizeof(v->auth_pass)));
	v->adv_ns = num(r, "advert_interval");
	v->down_adverts = (uint8_t)num(r, "down_timer_adverts");
	v->preempt = num(r, "preempt");
	v->preempt_delay_ns = num(r, "preempt_delay");
	v->checksum_rfc9568 = num(r, "checksum") == 1;
	v->lower_advert = num(r, "lower_priority_advert");
	v->higher_advert = num(r, "higher_priority_advert");
	v->multicast_group = optional_address(r, "multicast_group");
	v->source = optional_address(r, "source");
	v->unicast_ttl = (uint8_t)num(r, "unicast_ttl");
	v->unicast_any_source = num(r, "unicast_any_source");
	build_peers(v, cfg_rec_val(r, "unicast_peers"));
}

static void build_announce(struct vrrp_conf *v, const struct cfg_rec *r)
{
	v->garp_repeat = (uint8_t)num(r, "garp_repeat");
	v->garp_delay_ns = num(r, "garp_delay");
	v->garp_refresh_ns = num(r, "garp_refresh");
	v->garp_refresh_repeat = (uint8_t)num(r, "garp_refresh_repeat");
	v->garp_lower_repeat = (uint8_t)num(r, "garp_lower_repeat");
	v->garp_lower_delay_ns = num(r, "garp_lower_delay");
	v->garp_interval_ns = num(r, "garp_interval");
	v->na_interval_ns = num(r, "na_interval");
	v->garp_extra_ns = num(r, "garp_extra_interval");
}

static void build_instances(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_val *list = cfg_rec_val(block(&t->root, "vrrp"), "instances");

	c->instances = room(list->n, sizeof(*c->instances));
	c->n_instances = (uint16_t)list->n;
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		struct vrrp_conf *v = &c->instances[i];
		text(r, "name", v->name, sizeof(v->name));
		text(r, "interface", v->interface, sizeof(v->interface));
		v->vrid = (uint8_t)num(r, "vrid");
		v->af = num(r, "family") ? ADDR_V6 : ADDR_V4;
		v->priority = (uint8_t)num(r, "priority");
		v->no_accept = !num(r, "accept");
		v->any_link = !num(r, "track_link");
		v->lists_once = num(r, "address_lists_once");
		v->strict = num(r, "strict_mode");
		v->address_lost = (enum vrrp_lost)num(r, "address_lost");
		build_protocol(v, r);
		build_vmac(v, cfg_rec_val(r, "virtual_mac"));
		build_announce(v, r);
		v->group = UINT16_MAX;
		v->line = r->at.line;
		build_vips(v, cfg_rec_val(r, "virtual_addresses"), cfg_rec_val(r, "excluded_addresses"));
		apply_local(v, block(&t->root, "node"), i);
	}
}

static void build_static(struct cfg *c, const struct cfg_rec *vrrp)
{
	const struct cfg_val *list = cfg_rec_val(block(vrrp, "static"), "addresses");

	c->startup_delay_ns = num(vrrp, "startup_delay");
	c->promote_secondaries = num(vrrp, "promote_secondaries");
	c->static_addrs = room(list->n, sizeof(*c->static_addrs));
	c->n_static_addrs = (uint16_t)list->n;
	for (unsigned i = 0; i < list->n; i++)
		build_vip(&c->static_addrs[i], &list->recs[i]);
}

static void build_group(struct cfg *c, const struct cfg_rec *r, const struct cfg_names *names)
{
	struct cfg_group *g = &c->groups[c->n_groups];
	const struct cfg_val *list = cfg_rec_val(r, "members");
	uint16_t *members = room(list->n, sizeof(*members));

	text(r, "name", g->name, sizeof(g->name));
	g->fault = num(r, "fault") ? CFG_FAULT_DEGRADE : CFG_FAULT_YIELD;
	g->preempt = num(r, "preempt");
	g->arbitrate = num(r, "arbitrate");
	g->line = r->at.line;
	for (unsigned i = 0; i < list->n; i++) {
		int at = cfg_names_find(names, list->items[i].text);
		require(at >= 0); /* the check knows every member */
		members[i] = (uint16_t)at;
		c->instances[members[i]].group = c->n_groups;
	}
	g->members = members;
	g->n_members = (uint16_t)list->n;
	c->n_groups++;
}

/* The groups as written, then one for each instance that stands alone, in the order of the instances. */
static void build_groups(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_val *list = cfg_rec_val(block(&t->root, "vrrp"), "groups");

	struct cfg_names *names = cfg_names_new(cfg_rec_val(block(&t->root, "vrrp"), "instances"));

	c->groups = room(list->n + c->n_instances, sizeof(*c->groups));
	for (unsigned i = 0; i < list->n; i++)
		build_group(c, &list->recs[i], names);
	cfg_names_free(names);
	for (uint16_t i = 0; i < c->n_instances; i++) {
		struct vrrp_conf *v = &c->instances[i];
		if (v->group != UINT16_MAX)
			continue;
		uint16_t *member = room(1, sizeof(*member));
		*member = i;
		v->group = c->n_groups;
		struct cfg_group *g = &c->groups[c->n_groups++];
		memcpy(g->name, v->name, sizeof(g->name));
		g->members = member;
		g->n_members = 1;
		g->fault = CFG_FAULT_YIELD;
		g->preempt = v->preempt;
		g->line = v->line;
	}
}

static void build_nodes(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_val *list = cfg_rec_val(&t->root, "nodes"), *channel = cfg_rec_val(&t->root, "channel");
	struct sync_conf *s = &c->sync;

	s->self = c->node_id;
	s->enabled = list->n > 0;
	if (!s->enabled) {
		/* alone there is no list that could name this node */
		if (gethostname(c->node_name, sizeof(c->node_name) - 1) < 0 || !c->node_name[0])
			snprintf(c->node_name, sizeof(c->node_name), "node%u", c->node_id);
		c->node_name[strcspn(c->node_name, ".")] = '\0';
		return;
	}
	text(&t->root, "cluster", s->cluster, sizeof(s->cluster));
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		const struct cfg_val *addrs = cfg_rec_val(r, "addresses");
		struct sync_node_conf *n = &s->nodes[s->n_nodes++];
		n->id = (uint32_t)num(r, "id");
		text(r, "name", n->name, sizeof(n->name));
		for (unsigned j = 0; j < addrs->n; j++)
			n->addrs[n->n_addrs++] = address(addrs->items[j].text);
		if (n->id == c->node_id)
			memcpy(c->node_name, n->name, sizeof(c->node_name));
	}
	s->port = (uint16_t)num(&channel->recs[0], "port");
	s->insecure = num(&channel->recs[0], "insecure");
	if (!s->insecure)
		text(&channel->recs[0], "key_file", s->key_file, sizeof(s->key_file));
}

static void build_ignore(struct sync_ignore *g, const struct cfg_rec *r)
{
	const struct cfg_val *port = cfg_rec_val(r, "port"), *last = cfg_rec_val(r, "last_port");
	const struct cfg_val *zone = cfg_rec_val(r, "zone"), *net = cfg_rec_val(r, "address");

	if (net->text)
		require(addr_parse_prefix(net->text, &g->net, &g->plen));
	g->protocols = (uint32_t)num(r, "protocols");
	g->port_low = port->given ? (uint16_t)port->num : 0;
	g->port_high = last->given ? (uint16_t)last->num : port->given ? (uint16_t)port->num : UINT16_MAX;
	g->any_zone = !zone->given;
	g->zone = (uint16_t)zone->num;
	text(r, "interface", g->ifname, sizeof(g->ifname));
}

/* Whole seconds, no less than asked for. */
static uint32_t seconds(const struct cfg_rec *r, const char *name)
{
	return (uint32_t)((num(r, name) + NS_PER_SEC - 1) / NS_PER_SEC);
}

static void build_ages(struct sync_conf *s, const struct cfg_rec *r)
{
	const struct cfg_val *ages = cfg_rec_val(r, "min_ages");

	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		s->min_age_s[p] = seconds(r, "min_age");
	for (unsigned i = 0; i < ages->n; i++) {
		const struct cfg_rec *a = &ages->recs[i];
		for (unsigned p = 0; p < SYNC_PROTO_N; p++)
			if (num(a, "protocols") >> p & 1)
				s->min_age_s[p] = seconds(a, "min_age");
	}
}

static void build_sync(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_rec *r = block(&t->root, "sync");
	struct sync_conf *s = &c->sync;

	s->replicate = num(r, "replicate");
	s->store = num(r, "store") ? SYNC_STORE_WARM : SYNC_STORE_HOT;
	s->quick = num(r, "quick");
	s->protocols = (uint32_t)num(r, "protocols");
	const struct cfg_val *ignore = cfg_rec_val(r, "ignore");
	for (unsigned i = 0; i < ignore->n; i++)
		build_ignore(&s->ignore[s->n_ignore++], &ignore->recs[i]);
	build_ages(s, r);
	s->tcp_states = (uint16_t)(num(r, "tcp_states") << CT_TCP_SYN_SENT);
	s->accounting = num(r, "accounting");
	s->strict_after_s = seconds(r, "strict_window_after");
	s->lease_ns = num(r, "lease");
	s->entries_max = (uint32_t)num(r, "sessions_max");
	s->peer_max = (uint32_t)num(r, "peer_sessions_max");
	s->high_water = (uint32_t)num(r, "high_water");
	s->peer_rate = (uint32_t)num(r, "peer_rate");
	s->rcvbuf_bytes = (uint32_t)num(r, "receive_buffer");
	s->bulk_rate = (uint32_t)num(r, "bulk_rate");
	for (unsigned i = 0; s->enabled && i < c->n_instances; i++) {
		for (unsigned j = 0; j < c->instances[i].n_vips && s->n_vips < SYNC_LOCALS_MAX; j++)
			s->vips[s->n_vips++] = c->instances[i].vips[j].addr;
	}
}

/* SHA-256 of the canonical text of some sections, its first 8 bytes as a big-endian number. */
static uint64_t digest(const struct cfg_tree *t, const char *const *sections)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char *buf = NULL;
	size_t len = 0;
	uint64_t out = 0;
	FILE *f = open_memstream(&buf, &len);

	require(f);
	for (; *sections; sections++)
		cfg_tree_print_but(t, *sections, "notify", f); /* whom a node tells is its own business */
	require(fclose(f) == 0 && buf);
	crypto_hash_sha256(hash, (const unsigned char *)buf, len);
	free(buf);
	for (unsigned i = 0; i < 8; i++)
		out = out << 8 | hash[i];
	return out;
}

struct cfg *cfg_build(struct cfg_tree *t)
{
	/* How operators reach this node (control) is no concern of the peers. */
	static const char *const channel[] = { "cluster", "nodes", "channel", NULL };
	static const char *const vrrp[] = { "vrrp", NULL }, *const sync[] = { "sync", NULL };
	static const char *const ipsec[] = { "ipsec", "hooks", NULL };
	struct cfg *c = room(1, sizeof(*c));

	c->tree = t;
	snprintf(c->file, sizeof(c->file), "%s", t->file);
	build_process(c, t);
	build_instances(c, t);
	build_static(c, block(&t->root, "vrrp"));
	cfg_build_routes(c, t);
	build_groups(c, t);
	cfg_build_track(c, t);
	build_nodes(c, t);
	build_sync(c, t);
	cfg_build_ike(c, t);
	cfg_build_notify(c, t);
	c->digest[0] = digest(t, channel);
	c->digest[1] = digest(t, vrrp);
	c->digest[2] = digest(t, sync);
	c->digest[3] = digest(t, ipsec);
	c->flat = c->sync.enabled ? cfg_flat(t) : NULL; /* for peers only */
	return c;
}

void cfg_free(struct cfg *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_instances; i++) {
		free((void *)(uintptr_t)c->instances[i].vips);
		free((void *)(uintptr_t)c->instances[i].peers);
	}
	for (unsigned i = 0; i < c->n_groups; i++) {
		free((void *)(uintptr_t)c->groups[i].members);
		free((void *)(uintptr_t)c->groups[i].track);
	}
	cfg_track_free(&c->track);
	cfg_free_notify(c);
	free(c->instances);
	free(c->static_addrs);
	free(c->routes);
	free(c->rules);
	free(c->groups);
	free(c->tunnels);
	free(c->hooks);
	free(c->flat);
	free(c->conntrackd);
	cfg_tree_free(c->tree);
	free(c);
}
