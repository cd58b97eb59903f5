/*
 * show pair: the comparison with each peer.
 */
#include "daemon/app_pair.h"

#include <string.h>
#include "daemon/show.h"

static json_t *findings_json(const struct pair_result *r)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < r->n; i++) {
		const struct pair_finding *f = &r->finding[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "severity",
						      pair_grade_word(f->grade), "key", f->key, "what", f->what, "ours",
						      f->ours, "theirs", f->theirs, "consequence", f->consequence,
						      "fix", f->fix));
	}
	return list;
}

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *unsure_json(const struct pair_result *r)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < r->n_unsure; i++)
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "key", r->unsure[i].key, "ours",
						      text_or_null(r->unsure[i].ours), "theirs",
						      text_or_null(r->unsure[i].theirs)));
	return list;
}

/* All facts side by side: one walk over two sorted sets. */
static json_t *facts_json(const struct pair_both *b)
{
	json_t *list = json_array();
	const struct pair_facts *x = &b->facts[0], *y = &b->facts[1];
	for (unsigned i = 0, k = 0; i < x->n || k < y->n;) {
		int cmp = i == x->n ? 1 : k == y->n ? -1 : strcmp(x->fact[i].key, y->fact[k].key);
		const char *key = cmp <= 0 ? x->fact[i].key : y->fact[k].key;
		json_t *ours = cmp <= 0 ? json_string(x->fact[i++].value) : json_null();
		json_t *theirs = cmp >= 0 ? json_string(y->fact[k++].value) : json_null();
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "key", key, "ours", ours, "theirs", theirs));
	}
	return list;
}

static json_t *clock_json(const struct pair_clock *c)
{
	if (!c->known)
		return json_null();
	return json_pack("{s:I, s:I}", "offset_us", (json_int_t)c->offset_us, "error_us", (json_int_t)c->error_us);
}

static json_t *peer_json(struct app *a, const struct pair_view *v, bool detail)
{
	const struct pair_result *r = v->both ? &v->both->result : NULL;
	json_t *j = json_pack(
	    "{s:s, s:I, s:b, s:s, s:b, s:o, s:I, s:o, s:I, s:o, s:o}", "node", show_node_name(a, v->node), "node_id",
	    (json_int_t)v->node, "compared", r != NULL, "error", v->error, "sessions_counted", v->sessions, "findings",
	    r ? findings_json(r) : json_array(), "findings_more", (json_int_t)(r ? r->more : 0), "not_compared",
	    r ? unsure_json(r) : json_array(), "facts_compared", (json_int_t)(r ? r->compared : 0), "clock",
	    r ? clock_json(&r->clock) : json_null(), "facts", r && detail ? facts_json(v->both) : json_array());
	return j;
}

json_t *show_pair(struct app *a, const struct pair_view *view, unsigned n, bool detail)
{
	json_t *peers = json_array();
	bool differs = false, all = true;
	for (unsigned i = 0; i < n; i++) {
		differs |= view[i].both && pair_differs(&view[i].both->result);
		all &= view[i].both != NULL;
		json_array_append_new(peers, peer_json(a, &view[i], detail));
	}
	return json_pack("{s:s, s:s, s:o}", "node", a->cfg->node_name, "verdict",
			 differs ? "different"
			 : all   ? "equal"
				 : "not compared",
			 "peers", peers);
}
