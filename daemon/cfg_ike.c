/* `ipsec` and `hooks`: what contradicts itself, and the model of what does not. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/base/require.h"
#include "daemon/cfg_tree.h"

struct checker {
	const struct cfg_tree *t;
	struct cfg_errors *errs;
	const struct addr *vips;
	unsigned n_vips;
	const struct cfg_val *channel;
};

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static bool usable(const struct cfg_rec *r, const char *name)
{
	const struct cfg_val *v = cfg_rec_val(r, name);

	return v->given && !v->bad;
}

/* The text of a usable key, or NULL. */
static int64_t num(const struct cfg_rec *r, const char *name)
{
	return cfg_rec_val(r, name)->num;
}

static void error(const struct checker *c, const struct cfg_rec *r, const char *name, const char *what)
{
	cfg_complain(c->errs, CFG_ERROR, c->t, r, name, "%s", what);
}

static void check_ends(const struct checker *c, const struct cfg_rec *r)
{
	const char *vip = cfg_rec_text(r, "vip"), *peer = cfg_rec_text(r, "peer");
	struct addr a, b;

	if (!vip || !addr_parse(vip, &a))
		return;
	if (!bsearch(&a, c->vips, c->n_vips, sizeof(*c->vips), addr_order))
		error(c, r, "vip",
		      "is no virtual address; it must be one of the virtual_addresses or excluded_addresses of an "
		      "instance");
	if (!peer || !addr_parse(peer, &b))
		return;
	if (a.af != b.af)
		error(c, r, "peer", "must be of the same family as vip");
	else if (addr_eq(&a, &b))
		error(c, r, "peer", "is the vip itself; it must be the remote end");
}

/* What each backend can do. */
static void check_backend(const struct checker *c, const struct cfg_rec *r)
{
	static const char *const asks[] = { "dpd", "on_demote" };
	const struct cfg_val *exec = cfg_rec_val(r, "exec");

	if (usable(r, "exec") && num(r, "backend") != IKE_BACKEND_EXEC)
		error(c, r, "exec",
		      "is not used, because backend is not \"exec\"; remove it, or set backend = \"exec\"");
	if (exec->n && exec->items[0].text[0] != '/')
		cfg_complain_item(c->errs, r, "exec", 0, "the program must be an absolute path, no shell looks for it");
	switch ((enum ike_backend)num(r, "backend")) {
	case IKE_BACKEND_VICI:
		if (!cfg_rec_val(r, "ike")->given)
			error(c, r, "ike", "is missing; backend = \"vici\" needs the name that swanctl.conf gives it");
		if (!cfg_rec_val(r, "child")->given)
			error(c, r, "child",
			      "is missing; backend = \"vici\" needs the name that swanctl.conf gives it");
		return;
	case IKE_BACKEND_LIBRESWAN:
		if (!cfg_rec_val(r, "ike")->given)
			error(c, r, "ike",
			      "is missing; backend = \"libreswan\" needs the name of the conn in ipsec.conf");
		if (usable(r, "child"))
			error(c, r, "child",
			      "means nothing to libreswan, whose connection has one child; remove it, or use backend = "
			      "\"vici\"");
		return;
	case IKE_BACKEND_EXEC:
		if (!cfg_rec_val(r, "exec")->given)
			error(c, r, "exec",
			      "is missing; backend = \"exec\" needs the program that reaches the IKE daemon, like "
			      "[ \"/usr/local/sbin/ike-tunnel\" ]");
		return;
	case IKE_BACKEND_NONE:
		for (unsigned i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
			if (usable(r, asks[i]) && (i == 0 || num(r, asks[i])))
				error(c, r, asks[i],
				      "needs an IKE daemon that can be asked, and backend = \"none\" asks nobody; "
				      "remove it, "
				      "or choose another backend");
		}
		return;
	}
}

static void check_warm(const struct checker *c, const struct cfg_rec *r)
{
	const char *ike = cfg_rec_text(r, "ike"), *warm = cfg_rec_text(r, "warm_ike");

	if (cfg_rec_val(r, "warm")->bad)
		return;
	if (!num(r, "warm")) {
		if (usable(r, "warm_ike"))
			error(c, r, "warm_ike", "is not used, because warm = false; remove it, or set warm = true");
		if (usable(r, "warm_child"))
			error(c, r, "warm_child", "is not used, because warm = false; remove it, or set warm = true");
		return;
	}
	if (!cfg_rec_val(r, "backend")->bad && num(r, "backend") != IKE_BACKEND_VICI)
		error(c, r, "warm", "only backend = \"vici\" can keep an IKE SA without child; remove warm");
	if (!cfg_rec_val(r, "warm_ike")->given)
		error(c, r, "warm_ike",
		      "is missing; warm = true needs a connection that is bound to the node's own address");
	if (ike && warm && strcmp(ike, warm) == 0)
		error(
		    c, r, "warm_ike",
		    "is the connection of the vip; the warm one needs its own, with local_addrs = the node's address");
	if (!cfg_rec_val(r, "initiate")->bad && num(r, "initiate"))
		error(c, r, "warm", "prepares an initiation, and initiate = \"never\" forbids it; remove one of them");
	if (!cfg_rec_val(r, "sync_sa")->bad && num(r, "sync_sa"))
		error(c, r, "sync_sa",
		      "copies SAs of the vip, and those of warm = true belong to the node's own address; remove one of "
		      "them");
}

/* Keys never leave this node unencrypted. */
static void check_sync_sa(const struct checker *c, const struct cfg_rec *r)
{
	const struct cfg_val *v = cfg_rec_val(r, "sync_sa");

	if (v->bad || v->num != IKE_SYNC_SA_INBOUND)
		return;
	if (!c->channel->n)
		error(c, r, "sync_sa",
		      "sends keys to the other nodes, and there is no channel; remove it, or add a cluster");
	else if (cfg_rec_val(&c->channel->recs[0], "insecure")->num)
		error(c, r, "sync_sa",
		      "would send keys over a channel with insecure = true; give the channel a key_file, or remove "
		      "sync_sa");
}

struct place {
	const char *ike, *child;
	const struct cfg_rec *rec;
};

static int place_order(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int d = strcmp(x->ike, y->ike);

	if (!d)
		d = strcmp(x->child, y->child);
	return d ? d : x->rec < y->rec ? -1 : x->rec > y->rec;
}

static void check_pair(const struct checker *c, const struct place *first, const struct place *p)
{
	const char *name = cfg_rec_text(first->rec, "name");
	const char *vip[2] = { cfg_rec_text(first->rec, "vip"), cfg_rec_text(p->rec, "vip") };
	const char *peer[2] = { cfg_rec_text(first->rec, "peer"), cfg_rec_text(p->rec, "peer") };

	if (strcmp(first->child, p->child) == 0)
		cfg_complain(c->errs, CFG_ERROR, c->t, p->rec, p->child[0] ? "child" : "ike",
			     "belongs to tunnel %s (line %u) already; each tunnel needs its own", name ? name : "?",
			     first->rec->at.line);
	else if (vip[0] && vip[1] && strcmp(vip[0], vip[1]) != 0)
		cfg_complain(c->errs, CFG_ERROR, c->t, p->rec, "vip",
			     "one connection has one local end, and tunnel %s (line %u) of connection %s has %s",
			     name ? name : "?", first->rec->at.line, p->ike, vip[0]);
	else if (peer[0] && peer[1] && strcmp(peer[0], peer[1]) != 0)
		cfg_complain(c->errs, CFG_ERROR, c->t, p->rec, "peer",
			     "one connection has one remote end, and tunnel %s (line %u) of connection %s has %s",
			     name ? name : "?", first->rec->at.line, p->ike, peer[0]);
}

/* Events of the IKE daemon name connection and child: what they are about must be clear. */
static void check_names(const struct checker *c, const struct cfg_val *list)
{
	struct place *p = calloc(list->n ? list->n : 1, sizeof(*p));
	unsigned n = 0;

	require(p);
	for (unsigned i = 0; i < list->n; i++) {
		const char *ike = cfg_rec_text(&list->recs[i], "ike"), *child = cfg_rec_text(&list->recs[i], "child");
		if (ike)
			p[n++] = (struct place){ ike, child ? child : "", &list->recs[i] };
	}
	qsort(p, n, sizeof(*p), place_order);
	for (unsigned i = 1; i < n; i++) {
		if (strcmp(p[i].ike, p[i - 1].ike) != 0)
			continue;
		/* The later line is the one to change. */
		const struct place *a = &p[i - 1], *b = &p[i];
		check_pair(c, a->rec < b->rec ? a : b, a->rec < b->rec ? b : a);
	}
	free(p);
}

static void check_hooks(const struct checker *c)
{
	const struct cfg_val *hooks = cfg_rec_val(&c->t->root, "hooks");

	for (unsigned i = 0; i < hooks->n; i++) {
		const struct cfg_val *exec = cfg_rec_val(&hooks->recs[i], "exec");
		if (exec->n && exec->items[0].text[0] != '/')
			cfg_complain_item(c->errs, &hooks->recs[i], "exec", 0,
					  "the program must be an absolute path, no shell looks for it");
	}
}

void cfg_check_ike(const struct cfg_tree *t, const struct addr *vips, unsigned n_vips, struct cfg_errors *errs)
{
	struct checker c = {
		.t = t, .errs = errs, .vips = vips, .n_vips = n_vips, .channel = cfg_rec_val(&t->root, "channel")
	};
	const struct cfg_val *section = cfg_rec_val(&t->root, "ipsec");

	check_hooks(&c);
	if (!section->n)
		return;
	const struct cfg_rec *ipsec = &section->recs[0];
	const struct cfg_val *list = cfg_rec_val(ipsec, "tunnels"), *found = cfg_rec_val(ipsec, "auto");
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		check_ends(&c, r);
		if (!cfg_rec_val(r, "backend")->bad)
			check_backend(&c, r);
		check_warm(&c, r);
		check_sync_sa(&c, r);
	}
	check_names(&c, list);
	if (found->n && !list->num && !list->bad)
		error(&c, ipsec, "auto", "is for tunnels = \"auto\"; listed tunnels have their settings themselves");
	if (found->n)
		check_sync_sa(&c, &found->recs[0]);
}

/* ---- the model ---- */

static void *room(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	require(p);
	return p;
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

int cfg_group_of_vip(const struct cfg *c, const struct addr *vip)
{
	for (unsigned i = 0; i < c->n_instances; i++) {
		for (unsigned j = 0; j < c->instances[i].n_vips; j++) {
			if (addr_eq(&c->instances[i].vips[j].addr, vip))
				return c->instances[i].group;
		}
	}
	return -1;
}

/* The keys that listed and found tunnels share. */
static void build_settings(struct ike_tunnel_conf *k, const struct cfg_rec *r)
{
	const struct cfg_val *dpd = cfg_rec_val(r, "dpd");

	k->priority = (uint8_t)num(r, "priority");
	k->initiate = num(r, "initiate") == 0;
	k->on_demote = (enum ike_demote)num(r, "on_demote");
	k->watch_spi = num(r, "watch_spi");
	k->sync_sa = (enum ike_sync_sa)num(r, "sync_sa");
	k->dpd.mode = IKE_DPD_OFF;
	if (!dpd->n)
		return;
	k->dpd.mode = (enum ike_dpd_mode)num(&dpd->recs[0], "mode");
	k->dpd.enabled = k->dpd.mode != IKE_DPD_OFF;
	k->dpd.interval_ns = num(&dpd->recs[0], "interval");
	k->dpd.retry_ns = num(&dpd->recs[0], "retry");
	k->dpd.retries = (uint8_t)num(&dpd->recs[0], "retries");
	k->dpd.action = (enum ike_dpd_action)num(&dpd->recs[0], "action");
}

/* A number that may be absent. */
static bool number(const struct cfg_rec *r, const char *key, uint32_t *out)
{
	const struct cfg_val *v = cfg_rec_val(r, key);

	*out = v->given ? (uint32_t)v->num : 0;
	return v->given;
}

static void build_tunnel(struct cfg *c, struct ike_tunnel_conf *k, const struct cfg_rec *r)
{
	text(r, "name", k->name, sizeof(k->name));
	text(r, "ike", k->ike, sizeof(k->ike));
	text(r, "child", k->child, sizeof(k->child));
	k->vip = address(cfg_rec_val(r, "vip")->text);
	k->peer = address(cfg_rec_val(r, "peer")->text);
	k->backend = (enum ike_backend)num(r, "backend");
	build_settings(k, r);
	k->sa.has_reqid = number(r, "reqid", &k->sa.reqid);
	k->sa.has_mark = number(r, "mark", &k->sa.mark);
	k->sa.has_if_id = number(r, "if_id", &k->sa.if_id);
	if (k->backend == IKE_BACKEND_EXEC) {
		const struct cfg_val *exec = cfg_rec_val(r, "exec");
		for (unsigned i = 0; i < exec->n; i++)
			k->exec[i] = exec->items[i].text; /* lives as long as the tree */
		k->exec_timeout_ns = num(r, "exec_timeout");
	}
	k->warm = num(r, "warm");
	if (k->warm) {
		text(r, "warm_ike", k->warm_ike, sizeof(k->warm_ike));
		text(r, "warm_child", k->warm_child, sizeof(k->warm_child));
		if (!k->warm_child[0])
			snprintf(k->warm_child, sizeof(k->warm_child), "%s", k->child);
	}
	int group = cfg_group_of_vip(c, &k->vip);
	require(group >= 0);
	k->group = (uint16_t)group;
	k->line = r->at.line;
}

/* The defaults of ipsec.auto where it was not written. */
static void build_auto(struct cfg *c, const struct cfg_val *found)
{
	struct cfg_val defaults = { .key = found->key, .row = found->row };

	c->auto_conf = (struct ike_tunnel_conf){ .backend = IKE_BACKEND_VICI, .learnt = true };
	if (found->n) {
		build_settings(&c->auto_conf, &found->recs[0]);
		return;
	}
	cfg_val_make(&defaults, &c->tree->root, 1, (struct cfg_pos){ 0 });
	build_settings(&c->auto_conf, &defaults.recs[0]);
	cfg_val_make(&defaults, &c->tree->root, 0, (struct cfg_pos){ 0 });
}

static void build_hooks(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_val *list = cfg_rec_val(&t->root, "hooks");

	c->hooks = room(list->n, sizeof(*c->hooks));
	c->n_hooks = (uint16_t)list->n;
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		const struct cfg_val *exec = cfg_rec_val(r, "exec");
		c->hooks[i].on = (uint32_t)num(r, "on");
		c->hooks[i].timeout_ns = num(r, "timeout");
		c->hooks[i].line = r->at.line;
		for (unsigned j = 0; j < exec->n; j++)
			c->hooks[i].argv[j] = exec->items[j].text; /* lives as long as the tree */
	}
}

void cfg_build_ike(struct cfg *c, const struct cfg_tree *t)
{
	const struct cfg_rec *ipsec = &cfg_rec_val(&t->root, "ipsec")->recs[0];
	const struct cfg_val *list = cfg_rec_val(ipsec, "tunnels");

	text(ipsec, "vici", c->vici_socket, sizeof(c->vici_socket));
	text(ipsec, "whack", c->whack, sizeof(c->whack));
	text(ipsec, "pluto", c->pluto, sizeof(c->pluto));
	text(ipsec, "swanctl", c->swanctl_conf, sizeof(c->swanctl_conf));
	text(ipsec, "strongswan", c->strongswan_conf, sizeof(c->strongswan_conf));
	c->tunnels_auto = list->num;
	build_auto(c, cfg_rec_val(ipsec, "auto"));
	c->tunnels = room(list->n, sizeof(*c->tunnels));
	c->n_tunnels = (uint16_t)list->n;
	for (unsigned i = 0; i < list->n; i++)
		build_tunnel(c, &c->tunnels[i], &list->recs[i]);
	build_hooks(c, t);
}
