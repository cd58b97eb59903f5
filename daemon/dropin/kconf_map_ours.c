/*
 * Blocks of our own in keepalived.conf, which the real one skips with a warning. Their words are the keys of our own
 * file: conntrack_sync has those of sync and channel and names the nodes, ipsec_failover those of ipsec.
 */
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/dropin/kconf_map_int.h"

/* A bit for each of the words. False: *bad is none of them. */
static bool word_bits(const struct cfg_key *key, const struct kconf_stmt *s, int64_t *bits, const char **bad)
{
	*bits = 0;
	for (unsigned i = 1; i < s->n_words; i++) {
		int w = cfg_schema_word(key, s->words[i]);
		*bad = s->words[i];
		if (w < 0)
			return false;
		*bits |= INT64_C(1) << w;
	}
	return s->n_words > 1;
}

/* The number that one word, or several, stand for. */
static bool number_of(const struct cfg_key *key, const struct kconf_stmt *s, int64_t *num, const char **bad)
{
	*bad = kmap_arg(s, 1);
	if (key->type == CFG_T_WORDS)
		return word_bits(key, s, num, bad);
	if (key->type == CFG_T_WORD) {
		*num = cfg_schema_word(key, *bad);
		return *num >= 0;
	}
	if (key->type == CFG_T_BOOL) {
		*num = s->n_words < 2 ? 1 : kword_bool(*bad);
		return *num >= 0;
	}
	return cfg_schema_text_ok(key, *bad) && cfg_schema_num(key, *bad, num);
}

static bool is_number(enum cfg_type t)
{
	return t == CFG_T_BOOL || t == CFG_T_INT || t == CFG_T_TIME || t == CFG_T_WORD || t == CFG_T_WORDS;
}

static bool is_list(enum cfg_type t)
{
	return t == CFG_T_NAMES || t == CFG_T_ADDRS || t == CFG_T_ARGV;
}

static void read_scalar(struct kmap *m, const struct cfg_rec *r, const struct cfg_val *v, const struct kconf_stmt *s)
{
	const char *key = cfg_schema_name(v->row), *bad = kmap_arg(s, 1);
	char want[200];
	int64_t num = 0;

	if (is_list(v->key->type)) {
		for (unsigned i = 1; i < s->n_words; i++)
			cfg_val_add_item(kmap_val(m, r, key, s), s->words[i], kmap_at(m, s));
		return;
	}
	if (is_number(v->key->type) ? number_of(v->key, s, &num, &bad) : cfg_schema_text_ok(v->key, bad)) {
		if (is_number(v->key->type))
			kmap_num(m, r, key, s, num);
		else
			kmap_text(m, r, key, s, bad);
		return;
	}
	KMAP_REFUSE(m, s, "%s '%.60s': it must be %s", s->words[0], bad, cfg_schema_want(v->key, want, sizeof(want)));
}

static void read_keys(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *block);

/* The key that a word means here: its name, or the name of a list without its s. NULL: none. */
static struct cfg_val *key_of(const struct cfg_rec *r, const char *word)
{
	char plural[64];

	snprintf(plural, sizeof(plural), "%.60ss", word);
	if (cfg_schema_child(r->section, word) >= 0)
		return cfg_rec_val(r, word);
	return cfg_schema_child(r->section, plural) >= 0 ? cfg_rec_val(r, plural) : NULL;
}

static void read_key(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *s)
{
	struct cfg_val *v = key_of(r, s->words[0]);

	if (!v) {
		int near = cfg_schema_nearest(r->section, s->words[0]);
		KMAP_REFUSE(m, s, "unknown word '%.60s'%s%s%s", s->words[0], near >= 0 ? "; did you mean " : "",
			    near >= 0 ? cfg_schema_name((unsigned)near) : "", near >= 0 ? "?" : "");
	} else if (v->key->type == CFG_T_BLOCK) {
		read_keys(m, kmap_block(m, r, cfg_schema_name(v->row), s), s);
	} else if (v->key->type == CFG_T_RECORDS) {
		struct cfg_rec *new = kmap_push(m, r, cfg_schema_name(v->row), s);
		if (s->n_words > 1)
			read_scalar(m, new, &new->vals[0],
				    &(struct kconf_stmt){
					.at = s->at, .from = s->from, .words = s->words, .n_words = s->n_words });
		read_keys(m, new, s);
	} else {
		read_scalar(m, r, v, s);
	}
}

static void read_keys(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *block)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next)
		read_key(m, r, s);
}

/* node ID NAME ADDRESS... */
static void read_node(struct kmap *m, const struct kconf_stmt *s)
{
	struct cfg_rec *r;
	uint64_t id;

	if (s->n_words < 4) {
		KMAP_REFUSE(m, s, "node: it must be node ID NAME ADDRESS, with one address for each link");
		return;
	}
	if (!kmap_uint(m, s, 1, 1, INT32_MAX, &id))
		return;
	r = kmap_push(m, &m->t->root, "nodes", s);
	kmap_num(m, r, "id", s, (int64_t)id);
	kmap_text(m, r, "name", s, s->words[2]);
	for (unsigned i = 3; i < s->n_words; i++) {
		struct addr a;
		if (i < 3 + SYNC_LINKS_MAX && addr_parse(s->words[i], &a))
			cfg_val_add_item(kmap_val(m, r, "addresses", s), s->words[i], kmap_at(m, s));
		else
			KMAP_REFUSE(m, s, "node: '%.60s' must be an address; %d of them at most", s->words[i],
				    SYNC_LINKS_MAX);
	}
}

void kmap_conntrack_sync(struct kmap *m, const struct kconf_stmt *block)
{
	static const char *const node[] = { "run_dir", "state_dir", "realtime" };
	struct cfg_rec *sync = &cfg_rec_val(&m->t->root, "sync")->recs[0];
	struct cfg_rec *channel = kmap_block(m, &m->t->root, "channel", block);

	m->cluster = true;
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		const char *word = s->words[0];
		bool done = true;
		uint64_t id;
		if (strcmp(word, "node") == 0)
			read_node(m, s);
		else if (strcmp(word, "cluster") == 0)
			read_scalar(m, &m->t->root, cfg_rec_val(&m->t->root, "cluster"), s);
		else if (strcmp(word, "self") == 0 && kmap_uint(m, s, 1, 1, INT32_MAX, &id))
			kmap_num(m, m->node, "id", s, (int64_t)id);
		else
			done = strcmp(word, "self") == 0;
		for (unsigned i = 0; i < 3 && !done; i++)
			if (strcmp(node[i], word) == 0) {
				read_key(m, m->node, s);
				done = true;
			}
		if (!done)
			read_key(m, cfg_schema_child(channel->section, word) >= 0 ? channel : sync, s);
	}
}

void kmap_ipsec_failover(struct kmap *m, const struct kconf_stmt *block)
{
	struct cfg_rec *ipsec = &cfg_rec_val(&m->t->root, "ipsec")->recs[0];

	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		read_key(m, ipsec, s);
		if (strcmp(s->words[0], "auto") == 0)
			kmap_num(m, ipsec, "tunnels", s, 1);
	}
}
