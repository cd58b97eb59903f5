/* `vrrp.track` and the lists that refer to it: what contradicts itself, and the model of what does not. */
#include "daemon/cfg_track.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg_check.h"

enum { OWNER = 255 }; /* the priority that nothing moves */

/* In the order of enum vrrp_track_kind: the key of a reference, the list that defines it, the key that names it there. */
static const char *const ref_key[] = { "interface", "script", "process", "file", "conntrack" };
static const char *const list_key[] = { "interfaces", "scripts", "processes", "files", "conntrack" };
static const char *const name_key[] = { "interface", "name", "name", "name", "name" };

static int64_t num(const struct cfg_rec *r, const char *name)
{
	return cfg_rec_val(r, name)->num;
}

static bool given(const struct cfg_rec *r, const char *name)
{
	return cfg_rec_val(r, name)->given;
}

/* A list of vrrp.track; NULL: the block is absent. */
static const struct cfg_val *list_of(const struct cfg_tree *t, enum vrrp_track_kind kind)
{
	const struct cfg_val *block = cfg_section_val(t, "vrrp", "track");

	return block && block->n ? cfg_rec_val(&block->recs[0], list_key[kind]) : NULL;
}

/* The record of this name. The search begins at *near, and leaves there where it ended. */
static const struct cfg_rec *find(const struct cfg_val *list, enum vrrp_track_kind kind, const char *name,
				  unsigned *near)
{
	for (unsigned k = 0; list && k < list->n; k++) {
		unsigned i = (*near + k) % list->n;
		const char *other = cfg_rec_text(&list->recs[i], name_key[kind]);
		if (other && strcmp(other, name) == 0) {
			*near = i;
			return &list->recs[i];
		}
	}
	return NULL;
}

/* What a reference names; false: nothing, or several things. */
static bool named(const struct cfg_rec *ref, enum vrrp_track_kind *kind)
{
	unsigned n = 0;

	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++) {
		if (!given(ref, ref_key[k]))
			continue;
		*kind = (enum vrrp_track_kind)k;
		n++;
	}
	return n == 1;
}

/* ---- judging ---- */

struct judge {
	const struct cfg_tree *t;
	struct cfg_errors *errs;
	const struct cfg_val *list[VRRP_TRACK_KIND_N];
	bool *used[VRRP_TRACK_KIND_N]; /* by record */
	unsigned near[VRRP_TRACK_KIND_N];
};

static void error(const struct judge *j, const struct cfg_rec *r, const char *name, const char *what)
{
	cfg_complain(j->errs, CFG_ERROR, j->t, r, name, "%s", what);
}

static void warn(const struct judge *j, const struct cfg_rec *r, const char *name, const char *what)
{
	cfg_complain(j->errs, CFG_WARNING, j->t, r, name, "%s", what);
}

static void check_script(const struct judge *j, const struct cfg_rec *r)
{
	const struct cfg_val *exec = cfg_rec_val(r, "exec");

	if (!exec->given && !given(r, "shell"))
		error(j, r, "exec", "is missing; a script needs a program, exec = [ \"/usr/local/bin/check\" ]");
	if (exec->given && given(r, "shell"))
		error(j, r, "shell", "stands beside exec; keep one of them");
	if (exec->n && exec->items[0].text[0] != '/')
		cfg_complain_item(j->errs, r, "exec", 0, "the program must be an absolute path, no shell looks for it");
	if (given(r, "group") && !given(r, "user"))
		error(j, r, "group", "needs a user beside it");
}

static void check_process(const struct judge *j, const struct cfg_rec *r)
{
	const struct cfg_val *low = cfg_rec_val(r, "quorum"), *high = cfg_rec_val(r, "quorum_max");
	const struct cfg_val *argv = cfg_rec_val(r, "process");

	if (low->given && high->given && !low->bad && !high->bad && low->num > high->num)
		cfg_complain(j->errs, CFG_ERROR, j->t, r, "quorum_max",
			     "is below quorum (%lld); no number of processes would be well", (long long)low->num);
	if (argv->n && !argv->items[0].text[0])
		cfg_complain_item(j->errs, r, "process", 0, "is empty; it must be the name of a process");
}

static void check_file(const struct judge *j, const struct cfg_rec *r)
{
	if (num(r, "overwrite") && !given(r, "init"))
		error(j, r, "overwrite", "needs init, the number to write");
}

static void check_conntrack(const struct judge *j, const struct cfg_rec *r)
{
	const struct cfg_val *low = cfg_rec_val(r, "low"), *high = cfg_rec_val(r, "high");

	if (!low->bad && !high->bad && low->num >= high->num)
		cfg_complain(
		    j->errs, CFG_ERROR, j->t, r, low->given ? "low" : "high",
		    "low (%lld) must be below high (%lld), so that a level between them changes nothing back and forth",
		    (long long)low->num, (long long)high->num);
}

static void check_definition(const struct judge *j, enum vrrp_track_kind kind, unsigned i)
{
	const struct cfg_rec *r = &j->list[kind]->recs[i];
	const char *name = cfg_rec_text(r, name_key[kind]);
	unsigned near = 0;

	if (name && find(j->list[kind], kind, name, &near) != r)
		cfg_complain(j->errs, CFG_ERROR, j->t, r, name_key[kind],
			     "was defined at line %u already; each needs its own", j->list[kind]->recs[near].at.line);
	switch (kind) {
	case VRRP_TRACK_INTERFACE:
		break;
	case VRRP_TRACK_SCRIPT:
		check_script(j, r);
		break;
	case VRRP_TRACK_PROCESS:
		check_process(j, r);
		break;
	case VRRP_TRACK_FILE:
		check_file(j, r);
		break;
	case VRRP_TRACK_CONNTRACK:
		check_conntrack(j, r);
		break;
	case VRRP_TRACK_KIND_N:
		break;
	}
	if (!j->used[kind][i])
		warn(j, r, name_key[kind], "nothing tracks it, so it is not watched");
}

static void check_ref(struct judge *j, const struct cfg_rec *ref, const struct cfg_rec *inst)
{
	enum vrrp_track_kind kind = VRRP_TRACK_SCRIPT;
	const struct cfg_val *weight = cfg_rec_val(ref, "weight");
	const char *own = inst ? cfg_rec_text(inst, "interface") : NULL;

	if (!named(ref, &kind)) {
		error(j, ref, "script", "a record must name one thing: script, interface, process, file or conntrack");
		return;
	}
	const char *name = cfg_rec_text(ref, ref_key[kind]);
	const struct cfg_rec *def = name ? find(j->list[kind], kind, name, &j->near[kind]) : NULL;
	if (name && !def && kind != VRRP_TRACK_INTERFACE)
		cfg_complain(j->errs, CFG_ERROR, j->t, ref, ref_key[kind], "is not defined in vrrp.track.%s",
			     list_key[kind]);
	if (def)
		j->used[kind][j->near[kind]] = true;
	if (kind != VRRP_TRACK_FILE && weight->given && !weight->bad && (weight->num < -254 || weight->num > 254))
		error(j, ref, "weight", "must be from -254 to 254; only files have larger factors");
	if (kind == VRRP_TRACK_INTERFACE && own && name && strcmp(own, name) == 0 && num(inst, "track_link"))
		warn(j, ref, "interface",
		     "is the instance's own, whose link is watched anyway: it is a fault when it is down, unless "
		     "track_link = false");
}

static void check_list(struct judge *j, const struct cfg_rec *user, bool is_inst)
{
	const struct cfg_val *list = cfg_rec_val(user, "track");

	for (unsigned i = 0; i < list->n; i++)
		check_ref(j, &list->recs[i], is_inst ? user : NULL);
}

static void check_weight(struct judge *j, const struct cfg_rec *ref)
{
	enum vrrp_track_kind kind = VRRP_TRACK_SCRIPT;
	const struct cfg_val *weight = cfg_rec_val(ref, "weight");

	if (!named(ref, &kind) || (kind != VRRP_TRACK_SCRIPT && kind != VRRP_TRACK_FILE))
		return;
	const char *name = cfg_rec_text(ref, ref_key[kind]);
	const struct cfg_rec *def = name ? find(j->list[kind], kind, name, &j->near[kind]) : NULL;
	int64_t w = weight->given || !def ? weight->num : num(def, "weight");
	bool fault = kind == VRRP_TRACK_FILE && w == 1;
	if (w)
		cfg_complain(
		    j->errs, CFG_WARNING, j->t, ref, ref_key[kind],
		    "its weight does not count, because the group moves as one, and it is %s; member_weights = true "
		    "(keepalived.conf: sync_group_tracking_weight) in the group makes weights count",
		    fault ? "a fault at any number but 0" : "left out");
}

/* Who writes a weight expects it to count; where it does not, that is said. */
static void check_member_weights(struct judge *j, const struct cfg_val *instances, const struct cfg_rec *group)
{
	const struct cfg_val *members = cfg_rec_val(group, "members");
	unsigned near = 0;

	for (unsigned m = 0; instances && !num(group, "member_weights") && m < members->n; m++) {
		for (unsigned k = 0; k < instances->n; k++) {
			const struct cfg_rec *inst = &instances->recs[(near + k) % instances->n];
			const char *name = cfg_rec_text(inst, "name");
			if (!name || strcmp(name, members->items[m].text) != 0)
				continue;
			near = (near + k + 1) % instances->n;
			const struct cfg_val *list = cfg_rec_val(inst, "track");
			for (unsigned i = 0; i < list->n; i++)
				check_weight(j, &list->recs[i]);
			break;
		}
	}
}

void cfg_check_track(const struct cfg_tree *t, struct cfg_errors *errs)
{
	struct judge j = { .t = t, .errs = errs };
	const struct cfg_val *instances = cfg_section_val(t, "vrrp", "instances");
	const struct cfg_val *groups = cfg_section_val(t, "vrrp", "groups");

	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++) {
		j.list[k] = list_of(t, (enum vrrp_track_kind)k);
		j.used[k] = calloc((j.list[k] ? j.list[k]->n : 0) + 1u, sizeof(bool));
		require(j.used[k]);
	}
	for (unsigned i = 0; instances && i < instances->n; i++)
		check_list(&j, &instances->recs[i], true);
	for (unsigned i = 0; groups && i < groups->n; i++)
		check_list(&j, &groups->recs[i], false);
	for (unsigned i = 0; groups && i < groups->n; i++)
		check_member_weights(&j, instances, &groups->recs[i]);
	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++) {
		for (unsigned i = 0; j.list[k] && i < j.list[k]->n; i++)
			check_definition(&j, (enum vrrp_track_kind)k, i);
		free(j.used[k]);
	}
}

/* ---- building ---- */

static void *room(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	require(p);
	return p;
}

static void copy_argv(const char **argv, const struct cfg_val *list)
{
	for (unsigned i = 0; i < list->n && i < CFG_TRACK_ARGV_MAX; i++)
		argv[i] = list->items[i].text;
}

static void build_script(struct cfg_track_script *s, const struct cfg_rec *r)
{
	const char *shell = cfg_rec_val(r, "shell")->text;

	copy_argv(s->argv, cfg_rec_val(r, "exec"));
	if (shell) {
		s->argv[0] = "/bin/sh";
		s->argv[1] = "-c";
		s->argv[2] = shell;
	}
	s->user = cfg_rec_val(r, "user")->text;
	s->group = cfg_rec_val(r, "group")->text;
	s->interval_ns = num(r, "interval");
	s->timeout_ns = given(r, "timeout") ? num(r, "timeout") : s->interval_ns;
}

static void build_process(struct cfg_track_process *p, const struct cfg_rec *r)
{
	const struct cfg_val *argv = cfg_rec_val(r, "process"), *high = cfg_rec_val(r, "quorum_max");

	copy_argv(p->argv, argv);
	p->match = given(r, "match") ? CFG_TRACK_MATCH_EXACT + (enum cfg_track_match)num(r, "match")
		   : argv->n > 1     ? CFG_TRACK_MATCH_EXACT
				     : CFG_TRACK_MATCH_ANY;
	/* A path is no name: the kernel's names have no slash but those that programs give themselves. */
	p->full_command = num(r, "full_command") || argv->items[0].text[0] == '/';
	p->quorum = (uint32_t)num(r, "quorum");
	p->quorum_max = high->given ? (uint32_t)high->num : UINT32_MAX;
	if (p->quorum > p->quorum_max)
		p->quorum = p->quorum_max;
	p->fork_delay_ns = num(r, "fork_delay");
	p->terminate_delay_ns = num(r, "terminate_delay");
}

static void build_file(struct cfg_track_file *f, const struct cfg_rec *r)
{
	f->path = cfg_rec_val(r, "file")->text;
	f->missing = num(r, "missing");
	f->has_init = given(r, "init");
	f->init = num(r, "init");
	f->overwrite = num(r, "overwrite");
}

static void build_kind(struct cfg_track *t, enum vrrp_track_kind kind, uint16_t i, const struct cfg_rec *r)
{
	switch (kind) {
	case VRRP_TRACK_INTERFACE:
		t->ifaces[i].down_delay_ns = num(r, "down_delay");
		t->ifaces[i].up_delay_ns = num(r, "up_delay");
		return;
	case VRRP_TRACK_SCRIPT:
		build_script(&t->scripts[i], r);
		return;
	case VRRP_TRACK_PROCESS:
		build_process(&t->processes[i], r);
		return;
	case VRRP_TRACK_FILE:
		build_file(&t->files[i], r);
		return;
	case VRRP_TRACK_CONNTRACK:
		t->conntrack[i].high = (unsigned)num(r, "high");
		t->conntrack[i].low = (unsigned)num(r, "low");
		t->conntrack[i].interval_ns = num(r, "interval");
		return;
	case VRRP_TRACK_KIND_N:
		return;
	}
}

struct builder {
	struct cfg *c;
	const struct cfg_val *list[VRRP_TRACK_KIND_N];
	unsigned first[VRRP_TRACK_KIND_N]; /* its first thing among all */
	unsigned near[VRRP_TRACK_KIND_N];
	unsigned cap; /* of c->track.objs */
};

static struct vrrp_track_conf *add_obj(struct cfg_track *t, enum vrrp_track_kind kind, const char *name, uint16_t index)
{
	struct vrrp_track_conf *o = &t->objs[t->n_objs++];

	snprintf(o->name, sizeof(o->name), "%s", name);
	o->kind = kind;
	o->index = index;
	o->rise = o->fall = 1;
	return o;
}

static void build_objs(struct builder *b)
{
	struct cfg_track *t = &b->c->track;

	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++) {
		b->first[k] = t->n_objs;
		for (uint16_t i = 0; b->list[k] && i < b->list[k]->n; i++) {
			const struct cfg_rec *r = &b->list[k]->recs[i];
			struct vrrp_track_conf *o =
			    add_obj(t, (enum vrrp_track_kind)k, cfg_rec_val(r, name_key[k])->text, i);
			if (k == VRRP_TRACK_SCRIPT) {
				o->rise = (uint16_t)num(r, "rise");
				o->fall = (uint16_t)num(r, "fall");
				o->init_fail = num(r, "init_fail");
			}
			o->weight = (int32_t)num(r, "weight");
			o->reverse = num(r, "reverse");
			build_kind(t, (enum vrrp_track_kind)k, i, r);
		}
	}
}

/* An interface that nothing is said of is made here, behind all others; ifaces[] has room for it. */
static uint16_t plain_iface(struct builder *b, const char *name)
{
	struct cfg_track *t = &b->c->track;
	uint16_t n = b->list[VRRP_TRACK_INTERFACE] ? (uint16_t)b->list[VRRP_TRACK_INTERFACE]->n : 0;

	for (uint16_t i = 0; i < t->n_objs; i++) {
		if (t->objs[i].kind != VRRP_TRACK_INTERFACE)
			continue;
		if (strcmp(t->objs[i].name, name) == 0)
			return i;
		if (t->objs[i].index >= n)
			n = (uint16_t)(t->objs[i].index + 1);
	}
	require(t->n_objs < b->cap);
	add_obj(t, VRRP_TRACK_INTERFACE, name, n);
	return (uint16_t)(t->n_objs - 1);
}

static void build_ref(struct builder *b, struct vrrp_track_ref *ref, const struct cfg_rec *r)
{
	enum vrrp_track_kind kind = VRRP_TRACK_SCRIPT;
	const struct cfg_val *weight = cfg_rec_val(r, "weight"), *reverse = cfg_rec_val(r, "reverse");

	require(named(r, &kind));
	const char *name = cfg_rec_val(r, ref_key[kind])->text;
	const struct cfg_rec *def = find(b->list[kind], kind, name, &b->near[kind]);
	ref->obj = def ? (uint16_t)(b->first[kind] + b->near[kind]) : plain_iface(b, name);
	ref->weight = (int32_t)(weight->given || !def ? weight->num : num(def, "weight"));
	ref->reverse = reverse->given || !def ? reverse->num : num(def, "reverse");
}

/* A file's weight of 1, which every file has that names none, makes it a fault where no weight can count. */
static void as_fault(struct vrrp_track_ref *ref, enum vrrp_track_kind kind)
{
	if (kind == VRRP_TRACK_FILE && ref->weight == 1)
		ref->weight = 0;
}

/*
 * What keepalived 2.2.7 does with weights that are not to count: a script or file that has one is left out, and those of
 * interfaces and processes count.
 */
static bool stays_without_weight(struct vrrp_track_ref *ref, enum vrrp_track_kind kind)
{
	as_fault(ref, kind);
	return !ref->weight || kind == VRRP_TRACK_INTERFACE || kind == VRRP_TRACK_PROCESS;
}

static bool is_repeated(const struct vrrp_track_ref *refs, uint32_t k)
{
	for (uint32_t i = 0; i < k && refs[k].weight; i++)
		if (refs[i].obj == refs[k].obj && refs[i].weight == refs[k].weight &&
		    refs[i].reverse == refs[k].reverse)
			return true;
	return false;
}

static void build_group_refs(struct builder *b, struct cfg_group *g, const struct cfg_rec *group)
{
	const struct cfg_val *instances = cfg_section_val(b->c->tree, "vrrp", "instances");
	const struct cfg_val *own = group ? cfg_rec_val(group, "track") : NULL;
	uint32_t n = own ? own->n : 0;

	for (uint16_t m = 0; m < g->n_members; m++)
		n += cfg_rec_val(&instances->recs[g->members[m]], "track")->n;
	struct vrrp_track_ref *refs = room(n, sizeof(*refs));
	g->track = refs;
	for (unsigned i = 0; own && i < own->n; i++, g->n_track++) {
		refs[g->n_track].inst = VRRP_TRACK_GROUP;
		build_ref(b, &refs[g->n_track], &own->recs[i]);
	}
	for (uint16_t m = 0; m < g->n_members; m++) {
		const struct cfg_val *list = cfg_rec_val(&instances->recs[g->members[m]], "track");
		for (unsigned i = 0; i < list->n; i++) {
			struct vrrp_track_ref *ref = &refs[g->n_track];
			ref->inst = g->members[m];
			build_ref(b, ref, &list->recs[i]);
			if (num(&instances->recs[g->members[m]], "priority") == OWNER)
				as_fault(ref, b->c->track.objs[ref->obj].kind);
			g->n_track += !group || num(group, "member_weights") ||
				      stays_without_weight(ref, b->c->track.objs[ref->obj].kind);
		}
	}
	for (uint32_t k = 0; k < g->n_track; k++)
		refs[k].repeated = is_repeated(refs, k);
	for (uint32_t k = 0; k < g->n_track; k++) /* what a group leaves out is not watched for it */
		b->c->track.objs[refs[k].obj].used = true;
}

/* Interfaces that are named in references only. */
static unsigned count_iface_refs(const struct cfg_val *users)
{
	unsigned n = 0;

	for (unsigned i = 0; users && i < users->n; i++) {
		const struct cfg_val *list = cfg_rec_val(&users->recs[i], "track");
		for (unsigned k = 0; k < list->n; k++)
			n += given(&list->recs[k], "interface");
	}
	return n;
}

void cfg_build_track(struct cfg *c, const struct cfg_tree *t)
{
	struct builder b = { .c = c };
	const struct cfg_val *instances = cfg_section_val(t, "vrrp", "instances");
	const struct cfg_val *groups = cfg_section_val(t, "vrrp", "groups");
	unsigned n[VRRP_TRACK_KIND_N], loose = count_iface_refs(instances) + count_iface_refs(groups);

	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++) {
		b.list[k] = list_of(t, (enum vrrp_track_kind)k);
		n[k] = b.list[k] ? b.list[k]->n : 0;
		b.cap += n[k];
	}
	/* Names of interfaces are few, whatever the number of references; the room is trimmed to what is possible. */
	loose = loose < UINT16_MAX - b.cap ? loose : UINT16_MAX - b.cap;
	b.cap += loose;
	c->track.objs = room(b.cap, sizeof(*c->track.objs));
	c->track.ifaces = room(n[VRRP_TRACK_INTERFACE] + loose, sizeof(*c->track.ifaces));
	c->track.scripts = room(n[VRRP_TRACK_SCRIPT], sizeof(*c->track.scripts));
	c->track.processes = room(n[VRRP_TRACK_PROCESS], sizeof(*c->track.processes));
	c->track.files = room(n[VRRP_TRACK_FILE], sizeof(*c->track.files));
	c->track.conntrack = room(n[VRRP_TRACK_CONNTRACK], sizeof(*c->track.conntrack));
	build_objs(&b);
	/* Groups as written come first, in the order of the list; the rest are lone instances. */
	for (uint16_t g = 0; g < c->n_groups; g++)
		build_group_refs(&b, &c->groups[g], groups && g < groups->n ? &groups->recs[g] : NULL);
}

void cfg_track_free(struct cfg_track *t)
{
	free(t->objs);
	free(t->ifaces);
	free(t->scripts);
	free(t->processes);
	free(t->files);
	free(t->conntrack);
}
