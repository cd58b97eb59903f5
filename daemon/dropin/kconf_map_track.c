/* What is tracked, and who tracks it: vrrp_script, track_file, vrrp_track_process, track_* lists. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/dropin/kconf_map_int.h"
#include "ike-hooks/child_user.h"

#define WEIGHT_MAX 253 /* keepalived's, of everything but files */

static bool is(const struct kconf_stmt *s, const char *word)
{
	return strcmp(s->words[0], word) == 0;
}

/* A signed number at word i; what is beyond the limits becomes the limit. */
static bool signed_number(struct kmap *m, const struct kconf_stmt *s, unsigned i, long max, long *out)
{
	const char *text = kmap_arg(s, i);
	char *end;
	long v = strtol(text, &end, 10);

	if (!*text || *end) {
		KMAP_WARN(m, s, "weight '%.40s' is ignored; it must be a number from -%ld to %ld", text, max, max);
		return false;
	}
	*out = v > max ? max : v < -max ? -max : v;
	if (*out != v)
		KMAP_WARN(m, s, "weight %ld becomes %ld", v, *out);
	return true;
}

/* "N [reverse|noreverse]" from word i on; the index of the last word read. */
static unsigned read_weight(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s, unsigned i, long max)
{
	const char *after = kmap_arg(s, i + 1);
	long v;

	if (signed_number(m, s, i, max, &v))
		kmap_num(m, r, "weight", s, v);
	if (strcmp(after, "reverse") == 0)
		kmap_num(m, r, "reverse", s, 1);
	else if (strcmp(after, "noreverse") == 0 || strcmp(after, "no_reverse") == 0)
		kmap_num(m, r, "reverse", s, 0);
	else
		return i;
	return i + 1;
}

/* ---- definitions ---- */

/* The user of scripts that name none: script_user, else keepalived_script if there is such a user. */
static void default_user(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s)
{
	const struct kconf_stmt *user = kmap_global(m, "script_user");
	char why[CHILD_WHY_MAX];
	struct child_ids ids;

	if (cfg_rec_val(r, "user")->given)
		return;
	if (user)
		kmap_user(m, r, user, user->words, user->n_words, 1);
	else if (child_user_find(CHILD_USER_DEFAULT, NULL, false, &ids, why) == 0)
		kmap_text(m, r, "user", s, CHILD_USER_DEFAULT);
}

/* A time that our key's range holds. */
static void put_time(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, double max)
{
	const struct cfg_key *k = cfg_rec_val(r, key)->key;
	int64_t t;

	if (kmap_timer(m, s, 1, 0, max, &t) && t)
		kmap_num(m, r, key, s, t < k->min ? k->min : t > k->max ? k->max : t);
}

static void put_uint(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, uint64_t min)
{
	const struct cfg_key *k = cfg_rec_val(r, key)->key;
	uint64_t v;

	if (kmap_uint(m, s, 1, min, INT32_MAX, &v))
		kmap_num(m, r, key, s, (int64_t)v > k->max ? k->max : (int64_t)v < k->min ? k->min : (int64_t)v);
}

static void script_word(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s)
{
	if (is(s, "interval"))
		put_time(m, r, "interval", s, 86400);
	else if (is(s, "timeout"))
		put_time(m, r, "timeout", s, 86400);
	else if (is(s, "weight"))
		read_weight(m, r, s, 1, WEIGHT_MAX);
	else if (is(s, "rise") || is(s, "fall"))
		put_uint(m, r, s->words[0], s, 1);
	else if (is(s, "user"))
		kmap_user(m, r, s, s->words, s->n_words, 1);
	else if (is(s, "init_fail"))
		kmap_num(m, r, "init_fail", s, 1);
}

/* The name of a definition that is left out stays known, so that references to it are said once. */
static void read_script(struct kmap *m, const struct kconf_stmt *block)
{
	const struct kconf_stmt *script = kconf_find(block->subs, "script");
	struct cfg_rec *track = kmap_block(m, m->vrrp, "track", block);
	struct cfg_val *list = cfg_rec_val(track, "scripts");
	unsigned n = 0;

	struct cfg_rec *r = kmap_push(m, track, "scripts", block);
	kmap_name(m, r, block);
	for (const struct kconf_stmt *s = block->subs; s; s = s->next)
		if (kmap_known(m, KIN_SCRIPT, s))
			script_word(m, r, s);
	default_user(m, r, block);
	if (!script)
		KMAP_WARN(m, block, "vrrp_script %s has no script; left out", block->words[1]);
	char **words = script ? kconf_shell_words(m->k, script, &n, m->errs) : NULL;
	if (!words || !kmap_exec(m, r, "exec", script, words, n, 2))
		cfg_val_pop(list);
}

static void file_word(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s)
{
	long v = 0;

	if (is(s, "file")) {
		unsigned n = 0;
		char **words = kconf_shell_words(m->k, s, &n, m->errs);
		kmap_text(m, r, "file", s, words && n > 1 ? words[1] : "");
	} else if (is(s, "weight")) {
		read_weight(m, r, s, 1, (long)cfg_rec_val(r, "weight")->key->max);
	} else if (is(s, "init_file")) {
		for (unsigned i = 1; i < s->n_words; i++) {
			if (strcmp(s->words[i], "overwrite") == 0)
				kmap_num(m, r, "overwrite", s, 1);
			else
				signed_number(m, s, i, INT32_MAX, &v);
		}
		kmap_num(m, r, "init", s, v);
	}
}

static void read_file(struct kmap *m, const struct kconf_stmt *block)
{
	struct cfg_rec *track = kmap_block(m, m->vrrp, "track", block);
	struct cfg_rec *r = kmap_push(m, track, "files", block);

	kmap_name(m, r, block);
	for (const struct kconf_stmt *s = block->subs; s; s = s->next)
		if (kmap_known(m, KIN_FILE, s))
			file_word(m, r, s);
	if (cfg_rec_val(r, "file")->text)
		return;
	KMAP_WARN(m, block, "%s %s names no file; left out", block->words[0], block->words[1]);
	cfg_val_pop(cfg_rec_val(track, "files"));
}

static void process_word(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s)
{
	unsigned n = 0;

	if (is(s, "process")) {
		char **words = kconf_shell_words(m->k, s, &n, m->errs);
		for (unsigned i = 1; words && i < n; i++)
			cfg_val_add_item(kmap_val(m, r, "process", s), words[i], kmap_at(m, s));
	} else if (is(s, "param_match")) {
		if (strcmp(kmap_arg(s, 1), "initial") == 0 || strcmp(kmap_arg(s, 1), "partial") == 0)
			kmap_word(m, r, "match", s, kmap_arg(s, 1));
		else
			kmap_word(m, r, "match", s, "exact");
	} else if (is(s, "weight")) {
		read_weight(m, r, s, 1, WEIGHT_MAX + 1);
	} else if (is(s, "quorum") || is(s, "quorum_max")) {
		put_uint(m, r, s->words[0], s, is(s, "quorum"));
	} else if (is(s, "full_command")) {
		kmap_num(m, r, "full_command", s, 1);
	} else {
		if (!is(s, "terminate_delay"))
			put_time(m, r, "fork_delay", s, 3600);
		if (!is(s, "fork_delay"))
			put_time(m, r, "terminate_delay", s, 3600);
	}
}

static void read_process(struct kmap *m, const struct kconf_stmt *block)
{
	struct cfg_rec *track = kmap_block(m, m->vrrp, "track", block);
	struct cfg_rec *r = kmap_push(m, track, "processes", block);

	kmap_name(m, r, block);
	for (const struct kconf_stmt *s = block->subs; s; s = s->next)
		if (kmap_known(m, KIN_PROCESS, s))
			process_word(m, r, s);
	if (cfg_rec_val(r, "process")->n)
		return;
	KMAP_WARN(m, block, "vrrp_track_process %s names no process; left out", block->words[1]);
	cfg_val_pop(cfg_rec_val(track, "processes"));
}

/* INTERFACE DOWN [UP], one to a line. */
static void read_delays(struct kmap *m, const struct kconf_stmt *block)
{
	struct cfg_rec *track = kmap_block(m, m->vrrp, "track", block);
	int64_t down, up;

	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		if (!kmap_timer(m, s, 1, 0, 255, &down))
			continue;
		up = down;
		if (s->n_words > 2 && !kmap_timer(m, s, 2, 0, 255, &up))
			continue;
		struct cfg_rec *r = kmap_push(m, track, "interfaces", s);
		if (!kmap_text(m, r, "interface", s, s->words[0])) {
			cfg_val_pop(cfg_rec_val(track, "interfaces"));
			continue;
		}
		kmap_num(m, r, "down_delay", s, down);
		kmap_num(m, r, "up_delay", s, up);
	}
}

static void read_each(struct kmap *m, const char *word, void (*read)(struct kmap *m, const struct kconf_stmt *block))
{
	struct kmap_pick *p;
	unsigned n = kmap_pick_blocks(m, word, &p);

	for (unsigned i = 0; i < n; i++)
		read(m, p[i].s);
	free(p);
}

void kmap_track_definitions(struct kmap *m)
{
	read_each(m, "vrrp_script", read_script);
	read_each(m, "track_file", read_file);
	read_each(m, "vrrp_track_file", read_file);
	read_each(m, "vrrp_track_process", read_process);
	for (const struct kconf_stmt *s = m->k->subs; s; s = s->next)
		if (is(s, "interface_up_down_delays"))
			read_delays(m, s);
}

/* ---- references ---- */

static bool defined(const struct kmap *m, const char *list, const char *name)
{
	const struct cfg_val *track = cfg_rec_val(m->vrrp, "track");
	const struct cfg_val *v = track->n ? cfg_rec_val(&track->recs[0], list) : NULL;

	for (unsigned i = 0; v && i < v->n; i++) {
		const char *other = cfg_rec_text(&v->recs[i], "name");
		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

/* The file has it, and it was left out for what this machine lacks. */
static bool written(const struct kmap *m, const char *list, const char *name)
{
	for (const struct kconf_stmt *s = m->k->subs; s; s = s->next)
		if (s->n_words == 2 && strcmp(s->words[1], name) == 0 && strcmp(list, "track_script") == 0 &&
		    is(s, "vrrp_script"))
			return true;
	return false;
}

static void read_ref(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s, const char *key)
{
	struct cfg_val *list = cfg_rec_val(r, "track");
	struct cfg_rec *ref = kmap_push(m, r, "track", s);
	long max = strcmp(key, "file") == 0      ? (long)cfg_rec_val(ref, "weight")->key->max
		   : strcmp(key, "process") == 0 ? WEIGHT_MAX + 1
						 : WEIGHT_MAX;

	if (!kmap_text(m, ref, key, s, s->words[0])) {
		cfg_val_pop(list);
		return;
	}
	for (unsigned i = 1; i < s->n_words; i++) {
		if (strcmp(s->words[i], "weight") == 0)
			i = read_weight(m, ref, s, i + 1, max);
		else
			KMAP_WARN(m, s, "unknown word '%.60s' after what is tracked; ignored", s->words[i]);
	}
}

bool kmap_track(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block)
{
	static const char *const kinds[][3] = { { "track_interface", "interface", NULL },
						{ "track_script", "script", "scripts" },
						{ "track_file", "file", "files" },
						{ "track_process", "process", "processes" } };

	for (unsigned k = 0; k < 4; k++) {
		if (!is(block, kinds[k][0]))
			continue;
		for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
			if (kinds[k][2] && !defined(m, kinds[k][2], s->words[0]))
				kconf_complain(m->errs,
					       written(m, block->words[0], s->words[0]) ? CFG_MISSING : CFG_WARNING, s,
					       "%s: %.60s is not defined, or was left out; it is not tracked",
					       block->words[0], s->words[0]);
			else if (cfg_rec_val(r, "track")->n >= (unsigned)cfg_rec_val(r, "track")->key->max)
				KMAP_REFUSE(m, s, "more than %lld things are tracked here",
					    (long long)cfg_rec_val(r, "track")->key->max);
			else
				read_ref(m, r, s, kinds[k][1]);
		}
		return true;
	}
	return false;
}
