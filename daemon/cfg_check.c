/*
 * Meaning of a configuration tree: names, references, duplicates, combinations. Values that the reader refused already
 * are skipped, so that one mistake makes one message.
 */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg_check.h"

/* The search begins at place near: lists about the same things are mostly in the same order. */
static const struct cfg_rec *find_near(const struct cfg_val *list, const char *name, size_t near)
{
	for (unsigned k = 0; list && k < list->n; k++) {
		const struct cfg_rec *r = &list->recs[(near + k) % list->n];
		const char *other = cfg_rec_text(r, "name");
		if (other && strcmp(other, name) == 0)
			return r;
	}
	return NULL;
}

/* "; known are a, b" for messages about references. */
static const char *known_names(const struct cfg_val *list, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "%s", list && list->n ? "known are" : "there is none");

	for (unsigned i = 0; list && i < list->n && n < size; i++) {
		const char *name = cfg_rec_text(&list->recs[i], "name");
		if (name)
			n += (size_t)snprintf(buf + n, size - n, "%s %s", i ? "," : "", name);
	}
	return buf;
}

struct place {
	const char *text;
	const struct cfg_rec *rec;
};

static int place_cmp(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int d = strcmp(x->text, y->text);

	return d ? d : x->rec < y->rec ? -1 : x->rec > y->rec;
}

/* Every name of a list once. */
void cfg_check_names(struct cfg_checker *c, const struct cfg_val *list)
{
	struct place *p = calloc(list && list->n ? list->n : 1, sizeof(*p));
	unsigned n = 0;

	require(p);
	for (unsigned i = 0; list && i < list->n; i++) {
		const char *name = cfg_rec_text(&list->recs[i], "name");
		if (name)
			p[n++] = (struct place){ name, &list->recs[i] };
	}
	qsort(p, n, sizeof(*p), place_cmp);
	for (unsigned i = 1; i < n; i++) {
		if (strcmp(p[i].text, p[i - 1].text) == 0)
			cfg_complain(c->errs, CFG_ERROR, c->t, p[i].rec, "name",
				     "the name was used at line %u already; each needs its own",
				     cfg_rec_val(p[i - 1].rec, "name")->at.line);
	}
	free(p);
}

/* The interface of an instance on this node. */
const char *cfg_check_interface(const struct cfg_checker *c, const struct cfg_rec *inst)
{
	const char *name = cfg_rec_text(inst, "name");
	size_t near = (size_t)(inst - c->instances->recs);
	const struct cfg_rec *over = name ? find_near(c->overrides, name, near) : NULL;
	const char *local = over ? cfg_rec_text(over, "interface") : NULL;

	return local ? local : cfg_rec_text(inst, "interface");
}

static void check_group(struct cfg_checker *c, unsigned g, const struct cfg_names *names, const struct cfg_rec **owner)
{
	const struct cfg_rec *group = &c->groups->recs[g];
	const struct cfg_val *members = cfg_rec_val(group, "members");
	int64_t interval = -1;
	char known[160];

	for (unsigned i = 0; i < members->n; i++) {
		int at = cfg_names_find(names, members->items[i].text);
		if (at < 0) {
			cfg_complain_item(c->errs, group, "members", i, "there is no such instance; %s",
					  known_names(c->instances, known, sizeof(known)));
			continue;
		}
		const struct cfg_rec *inst = &c->instances->recs[at];
		if (owner[at] == group)
			cfg_complain_item(c->errs, group, "members", i, "stands there twice; once is enough");
		else if (owner[at])
			cfg_complain_item(c->errs, group, "members", i,
					  "is a member of %s (line %u) already; an instance has one group",
					  cfg_rec_text(owner[at], "name") ? cfg_rec_text(owner[at], "name") : "a group",
					  owner[at]->at.line);
		else
			owner[at] = group;
		int64_t adv = cfg_rec_val(inst, "advert_interval")->num;
		if (interval >= 0 && adv != interval)
			cfg_complain(
			    c->errs, CFG_WARNING, c->t, inst, "advert_interval",
			    "differs from other members of group %s; they notice a dead master at different times",
			    cfg_rec_text(group, "name") ? cfg_rec_text(group, "name") : "?");
		interval = adv;
	}
}

static void check_groups(struct cfg_checker *c)
{
	const struct cfg_rec **owner = calloc(c->instances->n + 1, sizeof(const struct cfg_rec *));

	require(owner);
	struct cfg_names *insts = cfg_names_new(c->instances), *groups = cfg_names_new(c->groups);
	for (unsigned g = 0; g < c->groups->n; g++)
		check_group(c, g, insts, owner);
	for (unsigned i = 0; i < c->instances->n; i++) {
		const char *name = cfg_rec_text(&c->instances->recs[i], "name");
		int group = name && !owner[i] ? cfg_names_find(groups, name) : -1;
		if (group >= 0)
			cfg_complain(
			    c->errs, CFG_ERROR, c->t, &c->groups->recs[group], "name",
			    "instance %s (line %u) is in no group and forms one of this name; rename one of them or "
			    "make it a member",
			    name, c->instances->recs[i].at.line);
	}
	cfg_names_free(insts);
	cfg_names_free(groups);
	free(owner);
}

static void check_overrides(struct cfg_checker *c)
{
	char known[160];

	struct cfg_names *insts = cfg_names_new(c->instances);
	cfg_check_names(c, c->overrides);
	for (unsigned i = 0; c->overrides && i < c->overrides->n; i++) {
		const char *name = cfg_rec_text(&c->overrides->recs[i], "name");
		if (name && cfg_names_find(insts, name) < 0)
			cfg_complain(c->errs, CFG_ERROR, c->t, &c->overrides->recs[i], "name",
				     "there is no such instance in vrrp.instances; %s",
				     known_names(c->instances, known, sizeof(known)));
	}
	cfg_names_free(insts);
}

unsigned cfg_check(const struct cfg_tree *t, struct cfg_errors *errs)
{
	struct cfg_checker c = { .t = t, .errs = errs };
	unsigned before = errs->n;
	struct addr *vips;

	c.instances = cfg_section_val(t, "vrrp", "instances");
	c.groups = cfg_section_val(t, "vrrp", "groups");
	c.overrides = cfg_section_val(t, "node", "instances");
	c.tunnels = cfg_section_val(t, "ipsec", "tunnels");
	c.nodes = cfg_rec_val(&t->root, "nodes");

	check_overrides(&c);
	cfg_check_cluster(&c);
	cfg_check_names(&c, c.instances);
	cfg_check_names(&c, c.groups);
	cfg_check_instances(&c);
	unsigned n_vips = cfg_check_vips(&c, &vips);
	if (c.nodes->n && n_vips > SYNC_LOCALS_MAX)
		cfg_complain(errs, CFG_ERROR, t, &t->root, "vrrp",
			     "%u virtual addresses; with a cluster at most %u are possible", n_vips, SYNC_LOCALS_MAX);
	check_groups(&c);
	cfg_check_names(&c, c.tunnels);
	cfg_check_ike(t, vips, n_vips, errs);
	cfg_check_sync(t, errs);
	cfg_check_vmac(&c);
	cfg_check_notify(&c);
	cfg_check_routes(t, errs);
	cfg_check_track(t, errs);
	free(vips);
	return errs->n - before;
}
