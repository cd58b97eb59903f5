/*
 * Routes and rules of a configuration: their texts are read twice, for complaints and for the model. Names of tables
 * come from iproute2's files, as ip-route(8) knows them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg_tree.h"

#define TABLES_MAX 512

struct cfg_tables {
	struct route_name list[TABLES_MAX];
	struct route_names names;
};

static void read_tables(struct cfg_tables *t, const char *path)
{
	char line[256];
	FILE *f = fopen(path, "re");
	if (!f)
		return; /* not every box has it; numbers always work */
	while (t->names.n < TABLES_MAX && fgets(line, sizeof(line), f))
		t->names.n += route_text_table_line(line, &t->list[t->names.n]);
	fclose(f);
}

struct cfg_tables *cfg_tables_new(void)
{
	struct cfg_tables *t = calloc(1, sizeof(*t));
	require(t);
	t->names.table = t->list;
	read_tables(t, "/etc/iproute2/rt_tables");
	read_tables(t, "/usr/share/iproute2/rt_tables");
	return t;
}

void cfg_tables_free(struct cfg_tables *t)
{
	free(t);
}

bool cfg_route_ok(const struct cfg_tables *t, bool rule, const char *text, uint8_t af, char *why)
{
	struct route route;
	struct rule parsed;
	return rule ? route_text_rule(text, af, &t->names, &parsed, why)
		    : route_text_route(text, af, &t->names, &route, why);
}

/* One text of a list, with the family that it has when it names none. */
struct entry {
	const struct cfg_rec *rec, *inst; /* inst NULL: static */
	const struct cfg_val *text;
	bool rule;
	uint8_t af;
	uint16_t index; /* of the instance */
};

struct walk {
	struct entry *e;
	unsigned n, cap;
};

static void walk_list(struct walk *w, const struct cfg_rec *owner, const struct cfg_rec *inst, uint16_t index,
		      bool rule, uint8_t af)
{
	const struct cfg_val *list = cfg_rec_val(owner, rule ? "rules" : "routes");
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_val *text = cfg_rec_val(&list->recs[i], rule ? "rule" : "route");
		if (text->bad || !text->text)
			continue;
		if (w->n == w->cap) {
			w->cap = w->cap ? w->cap * 2 : 16;
			w->e = realloc(w->e, w->cap * sizeof(*w->e));
			require(w->e);
		}
		w->e[w->n++] = (struct entry){ &list->recs[i], inst, text, rule, af, index };
	}
}

static uint8_t family_of(const struct cfg_rec *inst)
{
	return cfg_rec_val(inst, "family")->num ? ADDR_V6 : ADDR_V4;
}

/* All texts: those of instances in their order, then the static ones. */
static struct walk walk_all(const struct cfg_tree *t)
{
	struct walk w = { 0 };
	const struct cfg_val *vrrp = cfg_rec_val(&t->root, "vrrp");
	if (!vrrp->n)
		return w;
	const struct cfg_val *inst = cfg_rec_val(&vrrp->recs[0], "instances"),
			     *fixed = cfg_rec_val(&vrrp->recs[0], "static");
	for (unsigned rule = 0; rule < 2; rule++) {
		for (unsigned i = 0; i < inst->n; i++)
			walk_list(&w, &inst->recs[i], &inst->recs[i], (uint16_t)i, rule, family_of(&inst->recs[i]));
		if (fixed->n)
			walk_list(&w, &fixed->recs[0], NULL, UINT16_MAX, rule, 0);
	}
	return w;
}

static bool read_entry(const struct entry *e, const struct cfg_tables *t, struct cfg_route *route,
		       struct cfg_rule *rule, char *why)
{
	return e->rule ? route_text_rule(e->text->text, e->af, &t->names, &rule->rule, why)
		       : route_text_route(e->text->text, e->af, &t->names, &route->route, why);
}

/* The place of a route or rule in the kernel: two of ours in one place would fight. */
struct place {
	char text[96];
	const struct entry *e;
};

static int place_cmp(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int d = strcmp(x->text, y->text);
	return d ? d : x->e < y->e ? -1 : x->e > y->e;
}

static void place_of(struct place *p, const struct entry *e, const struct cfg_route *route, const struct cfg_rule *rule)
{
	char ip[ADDR_TEXT_MAX];
	const struct route *r = &route->route;
	p->e = e;
	if (e->rule) {
		char text[ROUTE_TEXT_MAX];
		snprintf(p->text, sizeof(p->text), "%.95s", route_text_print_rule(&rule->rule, text));
	} else {
		snprintf(p->text, sizeof(p->text), "%u %s/%u %u %u %u", r->af, addr_text(&r->dst, ip), r->plen,
			 r->table, r->metric, r->tos);
	}
}

static void complain_places(const struct cfg_tree *t, struct cfg_errors *errs, struct place *p, unsigned n)
{
	if (n)
		qsort(p, n, sizeof(*p), place_cmp);
	for (unsigned i = 1; i < n; i++) {
		if (strcmp(p[i].text, p[i - 1].text) != 0)
			continue;
		const struct cfg_pos *before = &p[i - 1].e->rec->at;
		if (t->shared)
			cfg_complain(errs, CFG_NOTE, t, p[i].e->rec, p[i].e->rule ? "rule" : "route",
				     p[i].e->inst == p[i - 1].e->inst
					 ? "stands at %s:%u as well; once is enough"
					 : "has the place of the one at %s:%u: it is there as long as one of them is "
					   "wanted",
				     before->file, before->line);
		else
			cfg_complain(errs, CFG_ERROR, t, p[i].e->rec, p[i].e->rule ? "rule" : "route",
				     p[i].e->rule ? "stands on line %u already"
						  : "has the destination, table and metric of the route on line %u; "
						    "give it another metric, or one route with several nexthops",
				     before->line);
	}
}

void cfg_check_routes(const struct cfg_tree *t, struct cfg_errors *errs)
{
	struct walk w = walk_all(t);
	struct cfg_tables *tables = w.n ? cfg_tables_new() : NULL;
	struct place *places = calloc(w.n + 1, sizeof(*places));
	unsigned n = 0;
	require(places);
	for (unsigned i = 0; i < w.n; i++) {
		struct cfg_route route;
		struct cfg_rule rule;
		char why[ROUTE_ERROR_MAX];
		if (read_entry(&w.e[i], tables, &route, &rule, why))
			place_of(&places[n++], &w.e[i], &route, &rule);
		else
			cfg_complain(errs, CFG_ERROR, t, w.e[i].rec, w.e[i].rule ? "rule" : "route", "%s", why);
	}
	complain_places(t, errs, places, n);
	free(places);
	free(tables);
	free(w.e);
}

static bool tracked(const struct entry *e)
{
	return e->inst && cfg_rec_val(e->rec, "track")->num;
}

void cfg_build_routes(struct cfg *c, const struct cfg_tree *t)
{
	struct walk w = walk_all(t);
	struct cfg_tables *tables = w.n ? cfg_tables_new() : NULL;
	c->routes = calloc(w.n + 1, sizeof(*c->routes));
	c->rules = calloc(w.n + 1, sizeof(*c->rules));
	require(c->routes && c->rules);
	for (unsigned i = 0; i < w.n; i++) {
		char why[ROUTE_ERROR_MAX];
		struct cfg_route *route = &c->routes[c->n_routes];
		struct cfg_rule *rule = &c->rules[c->n_rules];
		if (!read_entry(&w.e[i], tables, route, rule, why))
			continue; /* refused by the check */
		if (w.e[i].rule) {
			rule->inst = w.e[i].index;
			rule->track = tracked(&w.e[i]);
			c->n_rules++;
		} else {
			route->inst = w.e[i].index;
			route->track = tracked(&w.e[i]);
			c->n_routes++;
		}
	}
	free(tables);
	free(w.e);
}
