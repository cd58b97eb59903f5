/*
 * What the file system says about the programs of a configuration: are they there, may they be run as whom they are to
 * be run. Files and users are looked up, which may sleep: this belongs to the start and to the thread that reads files.
 */
#include <errno.h>
#include <string.h>
#include "daemon/cfg_tree.h"
#include "ike-hooks/child_user.h"

#define KNOWN 64 /* answers kept: the same program mostly serves many instances */

struct answer {
	const char *path, *user, *group;
	int rc;
	char why[CHILD_WHY_MAX];
};

struct audit {
	const struct cfg_tree *t;
	struct cfg_errors *errs;
	const char *user, *group;
	bool security;
	struct answer known[KNOWN];
	unsigned n;
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static const struct answer *look(struct audit *a, const char *path, const char *user, const char *group)
{
	struct child_ids ids;

	for (unsigned i = 0; i < a->n && i < KNOWN; i++)
		if (same(a->known[i].path, path) && same(a->known[i].user, user) && same(a->known[i].group, group))
			return &a->known[i];
	struct answer *x = &a->known[a->n++ % KNOWN];
	*x = (struct answer){ .path = path, .user = user, .group = group };
	x->rc = child_user_find(user, group, a->security, &ids, x->why);
	if (x->rc == 0)
		x->rc = child_user_safe(path, &ids, x->why);
	return x;
}

static bool has_key(const struct cfg_rec *r, const char *name)
{
	return cfg_schema_child(r->section, name) >= 0;
}

static void audit_program(struct audit *a, const struct cfg_rec *r)
{
	const struct cfg_val *exec = cfg_rec_val(r, "exec");
	const char *user = cfg_rec_text(r, "user"), *group = cfg_rec_text(r, "group");

	if (!exec->n || exec->bad)
		return;
	/* Only what is told of roles has a user by default. */
	bool told = strncmp(cfg_schema_row((unsigned)r->section)->path, "vrrp.track", 10) != 0;
	if (!user) {
		user = told ? a->user : "0";
		group = told ? a->group : NULL;
	}
	const struct answer *x = look(a, exec->items[0].text, user, group);
	if (x->rc == 0)
		return;
	cfg_complain(a->errs, CFG_WARNING, a->t, r, "exec", "%s%s", x->why,
		     x->rc != -EPERM ? ""
		     : a->security   ? "; it is not run"
				     : "; it is run, for script security is off");
}

/* Programs with a user of their own; hooks and the like are the daemon's. */
static void walk(struct audit *a, const struct cfg_rec *r)
{
	if (r->section >= 0 && has_key(r, "exec") && has_key(r, "user") && has_key(r, "group"))
		audit_program(a, r);
	for (unsigned i = 0; i < r->n_vals; i++)
		for (unsigned k = 0; r->vals[i].recs && k < r->vals[i].n; k++)
			walk(a, &r->vals[i].recs[k]);
}

void cfg_audit(const struct cfg *c, struct cfg_errors *errs)
{
	struct audit a = { .t = c->tree,
			   .errs = errs,
			   .user = c->notify.user,
			   .group = c->notify.group,
			   .security = c->notify.security };

	walk(&a, &c->tree->root);
}
