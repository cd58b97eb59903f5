/* Positions, values and messages of the mapper, and the walk over the file. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_map_int.h"

#define RULE_PRIORITY 16384 /* what keepalived gives to the first rule without one; the next ones count down */

struct cfg_pos kmap_at(struct kmap *m, const struct kconf_stmt *s)
{
	if (s->at.file != m->last_file) {
		m->last_file = s->at.file;
		m->last_copy = cfg_tree_file(m->t, s->at.file);
	}
	return (struct cfg_pos){ m->last_copy, s->at.line };
}

struct cfg_val *kmap_val(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s)
{
	struct cfg_val *v = cfg_rec_val(r, key);

	v->given = true;
	v->at = kmap_at(m, s);
	return v;
}

void kmap_num(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, int64_t num)
{
	kmap_val(m, r, key, s)->num = num;
}

void kmap_word(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, const char *word)
{
	struct cfg_val *v = kmap_val(m, r, key, s);
	int n = cfg_schema_word(v->key, word);

	require(n >= 0);
	v->num = n;
}

bool kmap_text(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, const char *text)
{
	struct cfg_val *v = cfg_rec_val(r, key);
	char want[200];

	if (!cfg_schema_text_ok(v->key, text)) {
		KMAP_WARN(m, s, "%s '%.100s' is ignored; it must be %s", s->words[0], text,
			  cfg_schema_want(v->key, want, sizeof(want)));
		return false;
	}
	v = kmap_val(m, r, key, s);
	cfg_val_set_text(v, text);
	return true;
}

void kmap_name(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block)
{
	char want[200];

	if (cfg_schema_text_ok(cfg_rec_val(r, "name")->key, block->words[1]))
		kmap_text(m, r, "name", block, block->words[1]);
	else
		KMAP_REFUSE(m, block, "%s '%.100s': the name cannot be used; rename it, it must be %s", block->words[0],
			    block->words[1], cfg_schema_want(cfg_rec_val(r, "name")->key, want, sizeof(want)));
}

struct cfg_rec *kmap_push(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s)
{
	struct cfg_val *v = cfg_rec_val(r, key);

	if (!v->given)
		v = kmap_val(m, r, key, s);
	return cfg_val_push(v, r, kmap_at(m, s));
}

struct cfg_rec *kmap_block(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s)
{
	struct cfg_val *v = cfg_rec_val(r, key);

	if (!v->given)
		v = kmap_val(m, r, key, s);
	if (!v->n)
		cfg_val_make(v, r, 1, v->at);
	return &v->recs[0];
}

const char *kmap_arg(const struct kconf_stmt *s, unsigned i)
{
	return i < s->n_words ? s->words[i] : "";
}

bool kmap_uint(struct kmap *m, const struct kconf_stmt *s, unsigned i, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *text = kmap_arg(s, i);
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (!*text || *end || *text == '-' || *text == '+' || errno || v < min || v > max) {
		KMAP_WARN(m, s, "%s '%.40s' is ignored; it must be a whole number from %llu to %llu", s->words[0], text,
			  (unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*out = v;
	return true;
}

bool kmap_timer(struct kmap *m, const struct kconf_stmt *s, unsigned i, double min, double max, int64_t *out)
{
	const char *text = kmap_arg(s, i);
	char *end;
	double v = strtod(text, &end);

	if (!*text || *end || strspn(text, "0123456789.") != strlen(text) || !(v >= min && v <= max)) {
		KMAP_WARN(m, s, "%s '%.40s' is ignored; it must be seconds from %g to %g", s->words[0], text, min, max);
		return false;
	}
	*out = llround(v * 1e6) * 1000;
	return true;
}

bool kmap_bool(struct kmap *m, const struct kconf_stmt *s, bool *out)
{
	int v = s->n_words < 2 ? 1 : kword_bool(s->words[1]);

	if (v < 0)
		KMAP_WARN(m, s, "%s '%.40s' is ignored; it must be on, off, true, false, yes or no", s->words[0],
			  s->words[1]);
	*out = v > 0;
	return v >= 0;
}

/* Puts a number into the range that our key has. */
static void put_number(struct kmap *m, const struct cfg_rec *r, const struct kword *w, const struct kconf_stmt *s,
		       int64_t num)
{
	const struct cfg_key *key = cfg_rec_val(r, w->key)->key;
	int64_t to = num < key->min ? key->min : num > key->max ? key->max : num;
	char text[40];

	if (to != num) {
		snprintf(text, sizeof(text), "%lld", (long long)to);
		KMAP_WARN(m, s, "%s %.40s becomes %s, which is as %s as possible here", s->words[0], kmap_arg(s, 1),
			  key->type == CFG_T_TIME ? cfg_time_text(to, text, sizeof(text)) : text,
			  to > num ? "little" : "much");
	}
	kmap_num(m, r, w->key, s, to);
}

void kmap_simple(struct kmap *m, const struct cfg_rec *r, const struct kword *w, const struct kconf_stmt *s)
{
	uint64_t n;
	int64_t t;
	bool b;

	switch (w->how) {
	case KH_TRUE:
	case KH_FALSE:
		kmap_num(m, r, w->key, s, w->how == KH_TRUE);
		break;
	case KH_BOOL:
	case KH_NOT_BOOL:
		if (kmap_bool(m, s, &b))
			kmap_num(m, r, w->key, s, w->how == KH_BOOL ? b : !b);
		break;
	case KH_INT:
		if (kmap_uint(m, s, 1, (uint64_t)w->min, (uint64_t)w->max, &n))
			put_number(m, r, w, s, (int64_t)n);
		break;
	case KH_SECONDS:
		if (kmap_uint(m, s, 1, (uint64_t)w->min, (uint64_t)w->max, &n))
			put_number(m, r, w, s, (int64_t)n * NS_PER_SEC);
		break;
	case KH_TIMER:
		if (kmap_timer(m, s, 1, (double)w->min, (double)w->max, &t))
			put_number(m, r, w, s, t);
		break;
	case KH_ADDR:
	case KH_TEXT:
		kmap_text(m, r, w->key, s, kmap_arg(s, 1));
		break;
	case KH_NONE:
	case KH_DEFAULT:
		break;
	}
}

static unsigned row_of(const struct kword *w)
{
	return (unsigned)(w - kwords_row(0));
}

static void say_lvs(struct kmap *m, const struct kconf_stmt *s)
{
	if (m->lvs)
		return;
	m->lvs = s;
	snprintf(m->errs->not_served, sizeof(m->errs->not_served),
		 "%.200s:%u: %.60s: LVS is not served by this daemon, only VRRP is; run the real keepalived with -C "
		 "(checkers only) on this file beside it",
		 s->at.file, s->at.line, s->words[0]);
	kconf_complain(m->errs, CFG_NOTE, s, "%s is %s", s->words[0], "for keepalived's checkers, which are not here");
}

const struct kword *kmap_known(struct kmap *m, enum kword_in in, const struct kconf_stmt *s)
{
	const struct kword *w = kword_find(in, s->words[0]);

	if (!w) {
		KMAP_WARN(m, s, "unknown word '%.60s' in %s; ignored", s->words[0], kword_block_name(in));
		return NULL;
	}
	switch (w->class) {
	case KW_HONOURED:
		return w;
	case KW_NO_EFFECT:
		if (!m->said[row_of(w)])
			kconf_complain(m->errs, CFG_NOTE, s, "%s has no effect here: %s", w->word, w->say);
		m->said[row_of(w)] = true;
		return NULL;
	case KW_REFUSED:
		KMAP_REFUSE(m, s, "%s: %s", w->word, w->say);
		return NULL;
	case KW_LVS:
		say_lvs(m, s);
		return NULL;
	}
	return NULL;
}

const struct kconf_stmt *kmap_global(const struct kmap *m, const char *word)
{
	const struct kword *w = kword_find(KIN_GLOBAL, word);

	require(w);
	return m->global[row_of(w)];
}

static void read_globals(struct kmap *m, const struct kconf_stmt *block)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		const struct kword *w = kmap_known(m, KIN_GLOBAL, s);
		if (w && s->n_words > 1 && kmap_is_flag(w->word))
			kconf_complain(m->errs, CFG_NOTE, s,
				       "%s takes no value: it is on, as in keepalived; remove the line to have it off",
				       w->word);
		if (w)
			m->global[row_of(w)] = s;
	}
}

static bool named(const struct kconf_stmt *s, const char *word)
{
	return strcmp(s->words[0], word) == 0;
}

static int pick_by_name(const void *a, const void *b)
{
	const struct kmap_pick *x = a, *y = b;
	int d = strcmp(x->s->words[1], y->s->words[1]);

	return d ? d : x->order < y->order ? -1 : x->order > y->order;
}

static int pick_by_order(const void *a, const void *b)
{
	const struct kmap_pick *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

unsigned kmap_pick_blocks(struct kmap *m, const char *word, struct kmap_pick **out)
{
	struct kmap_pick *p = calloc(m->k->n_stmts + 1, sizeof(*p));
	unsigned n = 0, kept = 0;

	require(p);
	for (const struct kconf_stmt *s = m->k->subs; s; s = s->next) {
		if (!named(s, word))
			continue;
		if (s->n_words != 2)
			KMAP_WARN(m, s, "%s must have a name; skipped", word);
		else
			p[n] = (struct kmap_pick){ .s = s, .order = n }, n++;
	}
	qsort(p, n, sizeof(*p), pick_by_name);
	for (unsigned i = 1; i < n; i++)
		p[i].again = strcmp(p[i].s->words[1], p[i - 1].s->words[1]) == 0;
	qsort(p, n, sizeof(*p), pick_by_order);
	for (unsigned i = 0; i < n; i++) {
		if (p[i].again)
			KMAP_WARN(m, p[i].s, "%s %s is defined already; skipped", word, p[i].s->words[1]);
		else
			p[kept++] = p[i];
	}
	*out = p;
	return kept;
}

static void read_ours(struct kmap *m)
{
	for (const struct kconf_stmt *s = m->k->subs; s; s = s->next) {
		if (named(s, "conntrack_sync"))
			kmap_conntrack_sync(m, s);
		else if (named(s, "ipsec_failover"))
			kmap_ipsec_failover(m, s);
	}
}

static struct cfg_rec *static_block(struct kmap *m)
{
	return &cfg_rec_val(m->vrrp, "static")->recs[0];
}

/* One block at the top that is no instance. */
static void read_block(struct kmap *m, const struct kconf_stmt *s)
{
	const struct kword *w = kmap_known(m, KIN_ROOT, s);

	if (!w)
		return;
	if (named(s, "static_ipaddress"))
		kmap_addresses(m, static_block(m), "addresses", s, NULL, "");
	else if (named(s, "static_routes"))
		kmap_routes(m, static_block(m), s, 0);
	else if (named(s, "static_rules"))
		kmap_rules(m, static_block(m), s);
	else
		kmap_process_word(m, s);
}

/* Each word of a garp_group once. */
static void read_garp(struct kmap *m, const struct kconf_stmt *block)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next)
		kmap_known(m, KIN_GARP, s);
	if (m->n_garp < KMAP_GARP_MAX)
		m->garp[m->n_garp++] = block;
	else
		KMAP_WARN(m, block, "garp_group: more than %d of them; ignored", KMAP_GARP_MAX);
}

/* Without a virtual router keepalived's own daemon for them rests, too: there are static objects, or all is for LVS. */
static bool rests(const struct kmap *m)
{
	const struct cfg_val *s = cfg_rec_val(m->vrrp, "static");

	return m->lvs || (s->n && (cfg_rec_val(&s->recs[0], "addresses")->n || cfg_rec_val(&s->recs[0], "routes")->n ||
				   cfg_rec_val(&s->recs[0], "rules")->n));
}

static void read_all(struct kmap *m)
{
	struct kmap_pick *inst;
	unsigned n = kmap_pick_blocks(m, "vrrp_instance", &inst), at = 0;
	struct cfg_val *list = cfg_rec_val(m->vrrp, "instances");

	for (const struct kconf_stmt *s = m->k->subs; s; s = s->next) {
		if (named(s, "global_defs"))
			read_globals(m, s);
		else if (named(s, "garp_group"))
			read_garp(m, s);
	}
	kmap_globals(m);
	read_ours(m);
	kmap_track_definitions(m);
	if (n > (unsigned)list->key->max) {
		KMAP_REFUSE(m, inst[0].s, "%u instances; at most %lld are possible", n, (long long)list->key->max);
		n = 0;
	}
	list->given = true;
	cfg_val_make(list, m->vrrp, n, n ? kmap_at(m, inst[0].s) : (struct cfg_pos){ m->t->file, 1 });
	for (const struct kconf_stmt *s = m->k->subs; s; s = s->next) {
		if (at < n && s == inst[at].s) {
			kmap_instance(m, s, &list->recs[at]);
			at++;
		} else if (!named(s, "vrrp_instance")) {
			read_block(m, s);
		}
	}
	free(inst);
	if (!n && !m->errs->n && !rests(m))
		cfg_errors_add(m->errs, CFG_ERROR,
			       "%s:1: there is no vrrp_instance in the file: nothing for this daemon to do",
			       m->t->file);
	kmap_groups(m);
}

/* What no word gave, but odd values or blocks of our own may leave open. A block without a word is its owner's matter. */
static void required(struct kmap *m, const struct cfg_rec *r)
{
	for (unsigned i = 0; i < r->n_vals; i++) {
		const struct cfg_val *v = &r->vals[i];
		for (unsigned k = 0; v->recs && k < v->n; k++) {
			if (v->key->type != CFG_T_BLOCK || v->given)
				cfg_rec_required(m->t, &v->recs[k], m->errs);
			required(m, &v->recs[k]);
		}
	}
}

struct cfg_tree *kconf_map(struct kconf *k, const char *file, struct cfg_errors *errs)
{
	struct kmap m = { .k = k, .errs = errs, .t = cfg_tree_new(file), .cluster = k->cluster };

	m.t->shared = true;
	m.vrrp = &cfg_rec_val(&m.t->root, "vrrp")->recs[0];
	m.node = &cfg_rec_val(&m.t->root, "node")->recs[0];
	m.rule_priority[0] = m.rule_priority[1] = RULE_PRIORITY;
	read_all(&m);
	if (!errs->n) {
		cfg_rec_required(m.t, &m.t->root, errs);
		required(&m, &m.t->root);
	}
	cfg_tables_free(m.tables);
	return m.t;
}

static struct cfg_tree *map_and_free(struct kconf *k, const struct kconf_opts *o, const char *file,
				     struct cfg_errors *errs)
{
	if (k)
		k->cluster = o && o->cluster;
	struct cfg_tree *t = k ? kconf_map(k, file, errs) : NULL;

	kconf_free(k);
	return t;
}

struct cfg_tree *kconf_tree_file(const char *path, const struct kconf_opts *o, struct cfg_errors *errs)
{
	return map_and_free(kconf_read_file(path, o, errs), o, path, errs);
}

struct cfg_tree *kconf_tree_text(const char *text, const char *file, const struct kconf_opts *o,
				 struct cfg_errors *errs)
{
	return map_and_free(kconf_read_text(text, strlen(text), file, "/", o, errs), o, file, errs);
}

/* Past blanks and comments: # ! as keepalived has them, and the three forms of libconfig. */
static const char *skip_comments(const char *p)
{
	for (;;) {
		p += strspn(p, " \t\r\n");
		if (*p == '#' || *p == '!' || strncmp(p, "//", 2) == 0) {
			p += strcspn(p, "\n");
		} else if (strncmp(p, "/*", 2) == 0) {
			const char *end = strstr(p, "*/");
			p = end ? end + 2 : p + strlen(p);
		} else {
			return p;
		}
	}
}

bool kconf_looks_like(const char *text)
{
	const char *p = skip_comments(text);

	if (strncmp(p, "@include", 8) == 0)
		return false;
	if (*p == '@' || *p == '$' || *p == '~')
		return true;
	p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*");
	p = skip_comments(p);
	return *p && *p != '=' && *p != ':';
}
