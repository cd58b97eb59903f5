/* Programs that are told something: environment, arguments, user, results; mail too. */
#define _GNU_SOURCE 1 /* memfd_create */
#include "daemon/notify_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "ike-hooks/ha_env.h"

#define MESSAGE_MAX     (24u << 10)
#define MAIL_TIMEOUT_NS (60 * NS_PER_SEC)

/* ---- environments ---- */

extern char **environ;

/* What the service manager told this process is not meant for its children. */
static bool passes(const char *var)
{
	static const char *const kept_back[] = { "PATH=", "HA_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_", "LD_" };

	for (unsigned i = 0; i < sizeof(kept_back) / sizeof(kept_back[0]); i++)
		if (strncmp(var, kept_back[i], strlen(kept_back[i])) == 0)
			return false;
	return true;
}

/* NULL-terminated; own holds what was made. */
static const char **environment(const struct notify_news *news, char *own[HA_ENV_N])
{
	struct exec_env env = { .role_new = notify_what_text(news->what), .group = news->name, .epoch = news->epoch };
	unsigned n = 0, at = 0;

	while (environ[n])
		n++;
	const char **out = calloc(n + HA_ENV_N + 1u, sizeof(*out));
	if (!out || !ha_env_fill(own, news->group ? "group" : "instance", &env)) {
		free(out);
		return NULL;
	}
	for (unsigned i = 0; i < HA_ENV_N && own[i]; i++)
		out[at++] = own[i];
	for (unsigned i = 0; i < n; i++)
		if (passes(environ[i]))
			out[at++] = environ[i];
	return out;
}

/* ---- results ---- */

void notify_result(struct notify_io *n, enum notify_sink sink, const struct running *r, const struct child_result *c,
		   const char *line)
{
	struct notify_result *res = &n->result[n->n_results++ % NOTIFY_RESULTS];
	const struct notify_news *news = &r->item->news;
	static const char *const how[] = { "exited", "killed by signal", "timed out", "could not be started" };

	*res = (struct notify_result){ .sink = sink,
				       .end = c->end,
				       .code = c->code,
				       .group = news->group,
				       .what = news->what,
				       .waited_ns = r->waited_ns,
				       .took_ns = c->took_ns,
				       .wall_us = clock_wall_us() };
	snprintf(res->name, sizeof(res->name), "%s", news->name);
	snprintf(res->program, sizeof(res->program), "%s", r->program);
	snprintf(res->line, sizeof(res->line), "%s", line);
	if (c->end == CHILD_EXITED && c->code == 0)
		log_info(LOG_MAIN, "%s was told that %s is %s: it ended well after %lld ms", r->program, news->name,
			 notify_what_text(news->what), (long long)(c->took_ns / NS_PER_MS));
	else if (c->end == CHILD_START_FAILED)
		log_warn(LOG_MAIN, "%s is not told that %s is %s: %s", r->program, news->name,
			 notify_what_text(news->what), line[0] ? line : strerror(c->code));
	else
		log_warn(LOG_MAIN, "%s was told that %s is %s: %s with %d after %lld ms: %s", r->program, news->name,
			 notify_what_text(news->what), how[c->end], c->code, (long long)(c->took_ns / NS_PER_MS), line);
}

/* ---- programs ---- */

int notify_run(struct notify_io *n, const char *const *argv, const struct notify_news *news, int64_t timeout_ns,
	       enum use use, const struct child_as *as)
{
	char *own[HA_ENV_N];
	const char **envp = environment(news, own);

	if (!envp)
		return -ENOMEM;
	int slot = child_run_as(n->children, argv, envp, timeout_ns, NOTIFY_GRACE_NS, as);
	ha_env_free(own);
	free(envp);
	if (slot < 0)
		return slot;
	n->use[slot] = use;
	n->line[slot][0] = '\0';
	n->line_len[slot] = 0;
	return slot;
}

struct child_as notify_as(const struct notify_io *n, const struct notify_script *s)
{
	const struct notify_cfg *c = &n->cfg->notify;

	return (struct child_as){ .user = s->user ? s->user : c->user,
				  .group = s->user ? s->group : c->group,
				  .strict = c->security,
				  .in_fd = -1 };
}

/* The program of this step; NULL: there is none. */
const struct notify_script *notify_program(const struct notify_item *it, unsigned which_step)
{
	const struct notify_script *s = it->news.conf ? it->news.conf->script : NULL;
	enum notify_which w = which_step ? NOTIFY_ALL : notify_which_of(it->news.what);

	if (!s || w == NOTIFY_WHICH_N || (which_step && notify_kind_of(it->news.what) != NOTIFY_K_STATE))
		return NULL;
	return s[w].argv ? &s[w] : NULL;
}

static int run_program(struct notify_io *n, const struct notify_script *s, bool all)
{
	const struct notify_news *news = &n->script.item->news;
	const char *argv[NOTIFY_ARGV_MAX + 5];
	struct notify_words words = { 0 };
	struct child_as as = notify_as(n, s);
	unsigned argc = 0;

	for (; argc < s->argc && argc < NOTIFY_ARGV_MAX; argc++)
		argv[argc] = s->argv[argc];
	notify_words(news, &words);
	for (unsigned i = 0; all && i < 4; i++)
		argv[argc++] = words.word[i];
	argv[argc] = NULL;
	snprintf(n->script.program, sizeof(n->script.program), "%s", argv[0]);
	return notify_run(n, argv, news, n->cfg->notify.timeout_ns, USE_SCRIPT, &as);
}

/* The rest of what this piece of news is told to. True: one runs. */
bool notify_run_rest(struct notify_io *n)
{
	for (; n->script.step < 2; n->script.step++) {
		const struct notify_script *s = notify_program(n->script.item, n->script.step);
		if (!s)
			continue;
		int rc = run_program(n, s, n->script.step == 1);
		if (rc >= 0)
			return true;
		struct child_result c = { .end = CHILD_START_FAILED, .code = rc == -ENOMEM ? ENOMEM : EAGAIN };
		n->script.well = false;
		notify_result(n, NOTIFY_TO_SCRIPTS, &n->script, &c, "");
	}
	return false;
}

/* False: nothing to wait for. */
bool notify_begin_script(struct notify_io *n, const struct notify_item *it)
{
	n->script = (struct running){ .item = it, .well = true, .waited_ns = mono_sub(loop_now(n->loop), it->at) };
	return notify_run_rest(n);
}

/* ---- mail ---- */

static int message_fd(const struct notify_io *n, const struct notify_news *news)
{
	char date[64] = "", *text = malloc(MESSAGE_MAX);
	time_t now = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;
	int fd = text ? memfd_create("mail", MFD_CLOEXEC) : -1;

	if (gmtime_r(&now, &tm))
		(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	size_t len = fd >= 0 ? notify_message(news, &n->cfg->notify.mail, n->host, date, text, MESSAGE_MAX) : 0;
	if (fd >= 0 && (!len || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	free(text);
	return fd;
}

bool notify_begin_mail(struct notify_io *n, const struct notify_item *it)
{
	const struct notify_mail_conf *m = &n->cfg->notify.mail;
	const char *const argv[] = { m->sendmail ? m->sendmail : "", "-t", "-i", NULL };
	int fd = m->sendmail ? message_fd(n, &it->news) : -1;
	struct child_as as = { .user = "0", .in_fd = fd };

	n->mail = (struct running){ .item = it, .waited_ns = mono_sub(loop_now(n->loop), it->at) };
	snprintf(n->mail.program, sizeof(n->mail.program), "%s", argv[0]);
	int rc = fd >= 0 ? notify_run(n, argv, &it->news, MAIL_TIMEOUT_NS, USE_MAIL, &as) : -ENOMEM;
	if (rc >= 0)
		return true;
	if (fd >= 0)
		close(fd);
	struct child_result c = { .end = CHILD_START_FAILED, .code = rc == -ENOMEM ? ENOMEM : EAGAIN };
	notify_result(n, NOTIFY_TO_MAIL, &n->mail, &c, "");
	return false;
}
