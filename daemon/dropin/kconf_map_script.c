/* Programs that are run, and what else is told of a role: notify_* words, FIFOs, mail. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/dropin/kconf_map_int.h"

#define ARGS_MAX 64

/* One word of a text, from *at on, into out: blanks part words, ' and " keep them together. False: no more. */
static bool next_arg(const char **at, char *out, size_t size)
{
	const char *p = *at + strspn(*at, " \t");
	size_t n = 0;
	char quote = '\0';

	if (!*p)
		return false;
	for (; *p && (quote || !strchr(" \t", *p)); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? '\0' : *p;
		else if (n + 1 < size)
			out[n++] = *p;
	}
	out[n] = '\0';
	*at = p;
	return true;
}

/* Names without a slash are looked for where a shell would look. */
static bool find_program(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return (size_t)snprintf(out, size, "%s", name) < size;
	for (path = path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"; *path;) {
		size_t n = strcspn(path, ":");
		int len = snprintf(out, size, "%.*s/%s", (int)n, path, name);
		if (n && (size_t)len < size && out[0] == '/' && access(out, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

bool kmap_exec(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, char **words,
	       unsigned n, unsigned more)
{
	const char *at = words && n > 1 ? words[1] : "";
	char arg[1024], program[1024];
	unsigned count = 0;
	struct cfg_val *v = cfg_rec_val(r, key);

	if (v->given) {
		KMAP_WARN(m, s, "%s is given twice; the first one counts", s->words[0]);
		return true;
	}
	while (count < ARGS_MAX && next_arg(&at, arg, sizeof(arg))) {
		if (count == 0 && !find_program(arg, program, sizeof(program))) {
			kconf_complain(m->errs, CFG_MISSING, s, "%s: there is no program '%.100s' in PATH; ignored",
				       s->words[0], arg);
			return false;
		}
		if (count == 0 && program[0] != '/') {
			KMAP_WARN(m, s, "%s: '%.100s' is no absolute path; ignored", s->words[0], arg);
			return false;
		}
		if (count == 0 && access(program, X_OK) != 0) {
			kconf_complain(m->errs, CFG_MISSING, s, "%s: %.100s cannot be run (%s); ignored", s->words[0],
				       program, strerror(errno));
			return false;
		}
		cfg_val_add_item(v, count ? arg : program, kmap_at(m, s));
		count++;
	}
	for (unsigned i = more; more && i < n; i++, count++)
		cfg_val_add_item(v, words[i], kmap_at(m, s));
	if (!count) {
		KMAP_WARN(m, s, "%s: the program is missing; ignored", s->words[0]);
		return false;
	}
	if (count > v->key->max)
		KMAP_REFUSE(m, s, "%s: %u arguments; at most %lld are possible", s->words[0], count,
			    (long long)v->key->max);
	kmap_val(m, r, key, s);
	return true;
}

void kmap_user(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s, char **words, unsigned n,
	       unsigned i)
{
	if (i < n)
		kmap_text(m, r, "user", s, words[i]);
	if (i + 1 < n)
		kmap_text(m, r, "group", s, words[i + 1]);
}

/* A block of r with exec, user and group; taken back when there is no program. */
static void read_script(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s)
{
	struct cfg_val *v = cfg_rec_val(r, key);
	unsigned n = 0;

	if (v->given) {
		KMAP_WARN(m, s, "%s is given twice; the first one counts", s->words[0]);
		return;
	}
	char **words = kconf_shell_words(m->k, s, &n, m->errs);
	struct cfg_rec *block = kmap_block(m, r, key, s);
	if (words && kmap_exec(m, block, "exec", s, words, n, 0)) {
		kmap_user(m, block, s, words, n, 2);
		return;
	}
	cfg_val_make(v, r, 0, v->at);
	v->given = false;
}

static const struct {
	const char *word, *key;
} scripts[] = {
	{ "notify", "all" },         { "notify_master", "master" }, { "notify_backup", "backup" },
	{ "notify_fault", "fault" }, { "notify_stop", "stop" },     { "notify_master_rx_lower_pri", "lower_priority" },
};

bool kmap_notify(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s)
{
	const char *word = s->words[0];
	bool on;

	for (unsigned i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(scripts[i].word, word) == 0) {
			read_script(m, kmap_block(m, r, "notify", s), scripts[i].key, s);
			return true;
		}
	}
	if (strcmp(word, "notify_deleted") == 0) {
		kmap_num(m, kmap_block(m, r, "notify", s), "tell_deleted", s, 1);
		if (s->n_words > 1)
			read_script(m, kmap_block(m, r, "notify", s), "deleted", s);
	} else if (strcmp(word, "smtp_alert") == 0) {
		if (kmap_bool(m, s, &on))
			kmap_num(m, kmap_block(m, r, "notify", s), "mail", s, on);
	} else if (strcmp(word, "notify_priority_changes") == 0) {
		if (kmap_bool(m, s, &on))
			kmap_num(m, kmap_block(m, r, "notify", s), "priority_changes", s, on);
	} else {
		return false;
	}
	return true;
}

static void read_fifo(struct kmap *m, const struct cfg_rec *notify, const char *key, const char *fifo_word,
		      const char *script_word)
{
	const struct kconf_stmt *s = kmap_global(m, fifo_word), *script = kmap_global(m, script_word);
	struct cfg_val *v = cfg_rec_val(notify, key);
	unsigned n = 0;

	if (!s) {
		if (script)
			KMAP_WARN(m, script, "%s without %s; ignored", script_word, fifo_word);
		return;
	}
	char **words = kconf_shell_words(m->k, s, &n, m->errs);
	struct cfg_rec *block = kmap_block(m, notify, key, s);
	if (!words || n < 2 || !kmap_text(m, block, "path", s, words[1])) {
		KMAP_WARN(m, s, "%s is ignored; it needs an absolute path", fifo_word);
		cfg_val_make(v, notify, 0, v->at);
		v->given = false;
		return;
	}
	kmap_user(m, block, s, words, n, 2);
	if (script)
		read_script(m, block, "reader", script);
}

static void read_mail(struct kmap *m, const struct cfg_rec *notify)
{
	const struct kconf_stmt *to = kmap_global(m, "notification_email"), *s;
	bool on;

	if (!to || !to->subs)
		return;
	struct cfg_rec *mail = kmap_block(m, notify, "mail", to);
	for (s = to->subs; s; s = s->next)
		if (!kmap_text(m, kmap_push(m, mail, "to", s), "address", s, s->words[0]))
			cfg_val_pop(cfg_rec_val(mail, "to"));
	if (!cfg_rec_val(mail, "to")->n) {
		struct cfg_val *v = cfg_rec_val(notify, "mail");
		cfg_val_make(v, notify, 0, v->at);
		v->given = false;
		return;
	}
	s = kmap_global(m, "notification_email_from");
	if (s)
		kmap_text(m, mail, "from", s, kmap_arg(s, 1));
	s = kmap_global(m, "router_id");
	if (s)
		kmap_text(m, mail, "router", s, kmap_arg(s, 1));
	s = kmap_global(m, "smtp_alert_vrrp") ? kmap_global(m, "smtp_alert_vrrp") : kmap_global(m, "smtp_alert");
	if (s && kmap_bool(m, s, &on))
		kmap_num(m, mail, "always", s, on);
	s = kmap_global(m, "no_email_faults");
	if (s)
		kmap_num(m, mail, "faults", s, 0);
}

/* The same name twice: keepalived leaves the second one out. */
static bool same_fifo(const struct kmap *m)
{
	const struct kconf_stmt *a = kmap_global(m, "notify_fifo"), *b = kmap_global(m, "vrrp_notify_fifo");

	return a && b && strcmp(kmap_arg(a, 1), kmap_arg(b, 1)) == 0;
}

void kmap_notify_globals(struct kmap *m)
{
	struct cfg_rec *notify = &cfg_rec_val(&m->t->root, "notify")->recs[0];
	const struct kconf_stmt *s = kmap_global(m, "script_user");
	bool on;

	if (s)
		kmap_user(m, notify, s, s->words, s->n_words, 1);
	s = kmap_global(m, "enable_script_security");
	if (s)
		kmap_num(m, notify, "script_security", s, 1);
	s = kmap_global(m, "vrrp_notify_priority_changes");
	if (s && kmap_bool(m, s, &on))
		kmap_num(m, notify, "priority_changes", s, on);
	s = kmap_global(m, "fifo_write_vrrp_states_on_reload");
	if (s)
		kmap_num(m, notify, "states_on_reload", s, 1);
	read_fifo(m, notify, "fifo", "notify_fifo", "notify_fifo_script");
	if (same_fifo(m))
		KMAP_WARN(m, kmap_global(m, "vrrp_notify_fifo"),
			  "vrrp_notify_fifo is the pipe of notify_fifo; ignored");
	else
		read_fifo(m, notify, "vrrp_fifo", "vrrp_notify_fifo", "vrrp_notify_fifo_script");
	read_mail(m, notify);
}
