#define _GNU_SOURCE 1 /* memfd_create */
#include "daemon/notify_io.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/fifo_io.h"
#include "ike-hooks/ha_env.h"

#define KEPT_MAX        64
#define MESSAGE_MAX     (24u << 10)
#define MAIL_TIMEOUT_NS (60 * NS_PER_SEC)
#define READER_FIRST_NS (1 * NS_PER_SEC)
#define READER_MAX_NS   (60 * NS_PER_SEC)

enum use { USE_NONE = 0, USE_SCRIPT, USE_MAIL, USE_READER /* + NOTIFY_FIFO_* */ };

/* What runs for a receiver that is told by programs. */
struct running {
	const struct notify_item *item; /* NULL: nothing */
	unsigned step;                  /* 0: its own program, 1: the one for everything */
	bool well;
	int64_t waited_ns;
	char program[128];
};

struct notify_io {
	struct loop *loop;
	const struct cfg *cfg;
	uint32_t generation;
	struct notify queue;
	struct notify_subject *subject;
	struct children *children;
	struct fifo_io *fifo;
	struct notify_pipe pipe[NOTIFY_FIFOS];
	struct running script, mail;
	enum use use[CHILD_SLOTS];
	char line[CHILD_SLOTS][160];
	unsigned line_len[CHILD_SLOTS];
	struct notify_result result[NOTIFY_RESULTS];
	unsigned n_results;
	char host[64];
	struct {
		struct cfg *cfg;
		uint32_t generation;
	} kept[KEPT_MAX];
	unsigned n_kept;
};

static void step(struct notify_io *n, const struct notify_ev *ev);

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

static void keep_result(struct notify_io *n, enum notify_sink sink, const struct running *r,
			const struct child_result *c, const char *line)
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

static int run(struct notify_io *n, const char *const *argv, const struct notify_news *news, int64_t timeout_ns,
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

static struct child_as as_of(const struct notify_io *n, const struct notify_script *s)
{
	const struct notify_cfg *c = &n->cfg->notify;

	return (struct child_as){ .user = s->user ? s->user : c->user,
				  .group = s->user ? s->group : c->group,
				  .strict = c->security,
				  .in_fd = -1 };
}

/* The program of this step; NULL: there is none. */
static const struct notify_script *program_of(const struct notify_item *it, unsigned which_step)
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
	struct notify_words words;
	struct child_as as = as_of(n, s);
	unsigned argc = 0;

	for (; argc < s->argc && argc < NOTIFY_ARGV_MAX; argc++)
		argv[argc] = s->argv[argc];
	notify_words(news, &words);
	for (unsigned i = 0; all && i < 4; i++)
		argv[argc++] = words.word[i];
	argv[argc] = NULL;
	snprintf(n->script.program, sizeof(n->script.program), "%s", argv[0]);
	return run(n, argv, news, n->cfg->notify.timeout_ns, USE_SCRIPT, &as);
}

/* The rest of what this piece of news is told to. True: one runs. */
static bool run_rest(struct notify_io *n)
{
	for (; n->script.step < 2; n->script.step++) {
		const struct notify_script *s = program_of(n->script.item, n->script.step);
		if (!s)
			continue;
		int rc = run_program(n, s, n->script.step == 1);
		if (rc >= 0)
			return true;
		struct child_result c = { .end = CHILD_START_FAILED, .code = rc == -ENOMEM ? ENOMEM : EAGAIN };
		n->script.well = false;
		keep_result(n, NOTIFY_TO_SCRIPTS, &n->script, &c, "");
	}
	return false;
}

static void script_done(struct notify_io *n)
{
	n->script.item = NULL;
	step(n, &(struct notify_ev){ .type = NOTIFY_EV_DONE, .sink = NOTIFY_TO_SCRIPTS, .ok = n->script.well });
}

/* False: nothing to wait for. */
static bool begin_script(struct notify_io *n, const struct notify_item *it)
{
	n->script = (struct running){ .item = it, .well = true, .waited_ns = mono_sub(loop_now(n->loop), it->at) };
	return run_rest(n);
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

static bool begin_mail(struct notify_io *n, const struct notify_item *it)
{
	const struct notify_mail_conf *m = &n->cfg->notify.mail;
	const char *const argv[] = { m->sendmail ? m->sendmail : "", "-t", "-i", NULL };
	int fd = m->sendmail ? message_fd(n, &it->news) : -1;
	struct child_as as = { .user = "0", .in_fd = fd };

	n->mail = (struct running){ .item = it, .waited_ns = mono_sub(loop_now(n->loop), it->at) };
	snprintf(n->mail.program, sizeof(n->mail.program), "%s", argv[0]);
	int rc = fd >= 0 ? run(n, argv, &it->news, MAIL_TIMEOUT_NS, USE_MAIL, &as) : -ENOMEM;
	if (rc >= 0)
		return true;
	if (fd >= 0)
		close(fd);
	struct child_result c = { .end = CHILD_START_FAILED, .code = rc == -ENOMEM ? ENOMEM : EAGAIN };
	keep_result(n, NOTIFY_TO_MAIL, &n->mail, &c, "");
	return false;
}

/* ---- pipes ---- */

static enum notify_sink sink_of(unsigned which)
{
	return which == NOTIFY_FIFO_ALL ? NOTIFY_TO_FIFO : NOTIFY_TO_VRRP_FIFO;
}

static bool begin_line(struct notify_io *n, enum notify_sink sink, const struct notify_item *it)
{
	unsigned which = sink == NOTIFY_TO_FIFO ? NOTIFY_FIFO_ALL : NOTIFY_FIFO_VRRP;
	char line[NOTIFY_LINE_MAX];

	notify_line(&it->news, line);
	return n->fifo && fifo_io_line(n->fifo, which, line, false);
}

static void start_reader(struct notify_io *n, unsigned which)
{
	const struct notify_fifo_conf *f = &n->cfg->notify.fifo[which];
	struct notify_pipe *p = &n->pipe[which];
	const char *argv[NOTIFY_ARGV_MAX + 2];
	struct notify_news none = { .what = NOTIFY_IS_STOP };
	unsigned argc = 0;

	if (!f->path || !f->reader.argv || p->reader >= 0)
		return;
	for (; argc < f->reader.argc && argc < NOTIFY_ARGV_MAX; argc++)
		argv[argc] = f->reader.argv[argc];
	argv[argc++] = f->path;
	argv[argc] = NULL;
	struct child_as as = as_of(n, &f->reader);
	as.with_us = true;
	none.name[0] = '\0';
	p->reader = run(n, argv, &none, 0, (enum use)(USE_READER + which), &as);
	p->reader_starts += p->reader >= 0;
	if (p->reader < 0)
		loop_timer_set(p->timer, mono_add(loop_now(n->loop), READER_MAX_NS));
}

static void on_reader_timer(void *arg, mono_t deadline)
{
	struct notify_io *n = arg;

	for (unsigned i = 0; i < NOTIFY_FIFOS; i++)
		if (n->pipe[i].state == NOTIFY_PIPE_OPEN)
			start_reader(n, i);
	(void)deadline;
}

/* It ended by itself: again, later each time. */
static void reader_ended(struct notify_io *n, unsigned which, const struct child_result *r, const char *line)
{
	struct notify_pipe *p = &n->pipe[which];

	p->reader = -1;
	if (r->took_ns > READER_MAX_NS || !p->reader_wait_ns)
		p->reader_wait_ns = READER_FIRST_NS;
	else if (p->reader_wait_ns < READER_MAX_NS)
		p->reader_wait_ns *= 2;
	if (p->state != NOTIFY_PIPE_OPEN)
		return;
	log_warn(LOG_MAIN, "the reader of %s %s (%d); it is started again in %lld s: %s", p->path,
		 r->end == CHILD_START_FAILED ? "could not be started" : "has ended", r->code,
		 (long long)(p->reader_wait_ns / NS_PER_SEC), line);
	loop_timer_set(p->timer, mono_add(loop_now(n->loop), p->reader_wait_ns));
}

static void on_fifo(void *arg, const struct fifo_answer *a)
{
	struct notify_io *n = arg;
	struct notify_pipe *p = &n->pipe[a->which];
	struct notify_ev ev = { .type = NOTIFY_EV_DONE, .sink = sink_of(a->which), .ok = a->err == 0 };

	switch (a->op) {
	case FIFO_OPEN:
		snprintf(p->why, sizeof(p->why), "%s", a->why);
		if (a->why[0])
			log_warn(LOG_MAIN, "notifications: %s", a->why);
		p->state = a->err ? NOTIFY_PIPE_FAILED : NOTIFY_PIPE_OPEN;
		if (!a->err)
			start_reader(n, a->which);
		else
			step(n, &(struct notify_ev){ .type = NOTIFY_EV_CLOSED, .sink = sink_of(a->which) });
		ev.type = NOTIFY_EV_FREE;
		step(n, &ev);
		return;
	case FIFO_LINE:
		step(n, &ev);
		return;
	case FIFO_CLOSE:
		return;
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_script(const struct notify_script *a, const struct notify_script *b)
{
	bool same = a->argc == b->argc && same_text(a->user, b->user) && same_text(a->group, b->group);

	for (unsigned i = 0; same && i < a->argc; i++)
		same = strcmp(a->argv[i], b->argv[i]) == 0;
	return same;
}

static void open_pipe(struct notify_io *n, unsigned which)
{
	const struct notify_cfg *c = &n->cfg->notify;
	struct notify_pipe *p = &n->pipe[which];

	if (!n->fifo)
		n->fifo = fifo_io_new(n->loop, on_fifo, n);
	snprintf(p->path, sizeof(p->path), "%s", c->fifo[which].path);
	p->why[0] = '\0';
	p->state = NOTIFY_PIPE_OPENING;
	step(n, &(struct notify_ev){ .type = NOTIFY_EV_HOLD, .sink = sink_of(which) });
	if (!n->fifo || !fifo_io_open(n->fifo, which, &c->fifo[which], c->user, c->group)) {
		log_err(LOG_MAIN, "notifications: no thread that writes to %s", p->path);
		p->state = NOTIFY_PIPE_FAILED;
	}
}

static void set_pipe(struct notify_io *n, unsigned which, const struct notify_fifo_conf *was)
{
	const struct notify_fifo_conf *is = &n->cfg->notify.fifo[which];
	struct notify_pipe *p = &n->pipe[which];
	bool same = was && same_text(was->path, is->path) && same_text(was->user, is->user) &&
		    same_text(was->group, is->group) && p->state != NOTIFY_PIPE_FAILED;

	if (p->reader >= 0 && (!same || !same_script(&was->reader, &is->reader))) {
		child_end(n->children, (unsigned)p->reader, SIGTERM);
		n->use[p->reader] = USE_NONE;
		p->reader = -1;
	}
	if (same) {
		if (p->state == NOTIFY_PIPE_OPEN)
			start_reader(n, which);
		return;
	}
	if (p->state == NOTIFY_PIPE_OPEN || p->state == NOTIFY_PIPE_OPENING)
		(void)fifo_io_close(n->fifo, which);
	p->state = NOTIFY_PIPE_NONE;
	p->path[0] = '\0';
	if (is->path)
		open_pipe(n, which);
	else
		step(n, &(struct notify_ev){ .type = NOTIFY_EV_CLOSED, .sink = sink_of(which) });
}

/* ---- the queue ---- */

static void free_kept(struct notify_io *n)
{
	uint32_t least = n->n_kept ? notify_generation(&n->queue) : 0;

	while (n->n_kept && n->kept[0].generation < least) {
		cfg_free(n->kept[0].cfg);
		memmove(&n->kept[0], &n->kept[1], --n->n_kept * sizeof(n->kept[0]));
	}
}

/* Begins what receivers take; one that has nothing to wait for takes the next in the same call. */
static void step(struct notify_io *n, const struct notify_ev *first)
{
	struct notify_ev todo[NOTIFY_SINKS + 1] = { *first };
	unsigned n_todo = 1;

	while (n_todo) {
		struct notify_acts acts;
		struct notify_ev ev = todo[--n_todo];
		notify_step(&n->queue, &ev, loop_now(n->loop), &acts);
		for (unsigned i = 0; i < acts.n; i++) {
			enum notify_sink sink = acts.a[i].sink;
			bool runs = sink == NOTIFY_TO_SCRIPTS ? begin_script(n, acts.a[i].item)
				    : sink == NOTIFY_TO_MAIL  ? begin_mail(n, acts.a[i].item)
							      : begin_line(n, sink, acts.a[i].item);
			if (!runs)
				todo[n_todo++] = (struct notify_ev){ .type = NOTIFY_EV_DONE, .sink = sink };
		}
	}
	free_kept(n);
}

static void on_out(void *arg, unsigned slot, const char *data, size_t len)
{
	struct notify_io *n = arg;
	char *line = n->line[slot];

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			n->line_len[slot] = 0; /* the next byte begins another line */
		} else if (n->line_len[slot] < sizeof(n->line[slot]) - 1) {
			line[n->line_len[slot]++] = data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '?';
			line[n->line_len[slot]] = '\0';
		}
	}
}

static void on_end(void *arg, unsigned slot, const struct child_result *r)
{
	struct notify_io *n = arg;
	enum use use = n->use[slot];
	bool well = r->end == CHILD_EXITED && r->code == 0;

	n->use[slot] = USE_NONE;
	if (use == USE_SCRIPT) {
		keep_result(n, NOTIFY_TO_SCRIPTS, &n->script, r, n->line[slot]);
		n->script.well &= well;
		n->script.step++;
		if (!run_rest(n))
			script_done(n);
	} else if (use == USE_MAIL) {
		keep_result(n, NOTIFY_TO_MAIL, &n->mail, r, n->line[slot]);
		n->mail.item = NULL;
		step(n, &(struct notify_ev){ .type = NOTIFY_EV_DONE, .sink = NOTIFY_TO_MAIL, .ok = well });
	} else if (use >= USE_READER) {
		reader_ended(n, use - USE_READER, r, n->line[slot]);
	}
}

void notify_io_tell(struct notify_io *n, uint32_t subject, enum notify_what what, uint8_t priority, struct epoch epoch,
		    unsigned sinks)
{
	const struct cfg *c = n->cfg;
	bool group = subject >= c->n_instances;
	uint32_t i = group ? subject - c->n_instances : subject;
	const struct notify_conf *conf = group ? &c->notify.group_of[i] : &c->notify.inst[i];
	struct notify_news news = { .group = group,
				    .what = what,
				    .priority = priority,
				    .subject = subject,
				    .epoch = epoch,
				    .conf = conf,
				    .generation = n->generation };
	struct notify_item probe = { .news = news };

	snprintf(news.name, sizeof(news.name), "%s", group ? c->groups[i].name : c->instances[i].name);
	if (what == NOTIFY_IS_DELETED || what == NOTIFY_IS_STOP)
		news.subject = NOTIFY_NOBODY; /* its last word */
	if (sinks & 1u << NOTIFY_TO_SCRIPTS && (program_of(&probe, 0) || program_of(&probe, 1)))
		news.sinks |= 1u << NOTIFY_TO_SCRIPTS;
	for (unsigned f = 0; f < NOTIFY_FIFOS; f++)
		if (n->pipe[f].state == NOTIFY_PIPE_OPENING || n->pipe[f].state == NOTIFY_PIPE_OPEN)
			news.sinks |= sinks & 1u << sink_of(f);
	if (conf->mail && c->notify.mail.n_to && notify_kind_of(what) == NOTIFY_K_STATE &&
	    (what != NOTIFY_IS_FAULT || c->notify.mail.faults))
		news.sinks |= sinks & 1u << NOTIFY_TO_MAIL;
	step(n, &(struct notify_ev){ .type = NOTIFY_EV_NEWS, .news = &news });
}

bool notify_io_idle(const struct notify_io *n)
{
	for (unsigned s = 0; s < NOTIFY_SINKS; s++)
		if (!notify_idle(&n->queue, (enum notify_sink)s))
			return false;
	return true;
}

const struct notify *notify_io_queue(const struct notify_io *n)
{
	return &n->queue;
}

const struct notify_pipe *notify_io_pipe(const struct notify_io *n, unsigned which)
{
	return &n->pipe[which];
}

const struct notify_result *notify_io_result(const struct notify_io *n, unsigned i)
{
	if (i >= n->n_results || i >= NOTIFY_RESULTS)
		return NULL;
	return &n->result[(n->n_results - 1 - i) % NOTIFY_RESULTS];
}

/* ---- life ---- */

bool notify_io_conf(struct notify_io *n, const struct cfg *now, struct cfg *old, const uint32_t *map)
{
	uint32_t subjects = (uint32_t)now->n_instances + now->n_groups;
	struct notify_subject *fresh = calloc(subjects + 1u, sizeof(*fresh));
	bool keep = old && notify_generation(&n->queue) != UINT32_MAX;

	if (fresh && map)
		notify_renumber(&n->queue, fresh, subjects, map);
	else if (fresh)
		notify_init(&n->queue, fresh, subjects);
	if (!fresh) {
		log_err(LOG_MAIN, "no memory for notifications: instances that are new now are not told of");
		return false;
	}
	free(n->subject);
	n->subject = fresh;
	if (keep && n->n_kept == KEPT_MAX) {
		notify_orphan(&n->queue);
		keep = false;
	}
	if (keep)
		n->kept[n->n_kept++] = (__typeof__(n->kept[0])){ old, n->generation };
	n->cfg = now;
	n->generation++;
	for (unsigned i = 0; i < NOTIFY_FIFOS; i++)
		set_pipe(n, i, old ? &old->notify.fifo[i] : NULL);
	return keep;
}

struct notify_io *notify_io_new(struct loop *l)
{
	struct notify_io *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->loop = l;
	notify_init(&n->queue, NULL, 0);
	if (gethostname(n->host, sizeof(n->host) - 1) < 0 || !n->host[0])
		snprintf(n->host, sizeof(n->host), "localhost");
	bool ok = true;
	for (unsigned i = 0; i < NOTIFY_FIFOS; i++) {
		n->pipe[i].reader = -1;
		n->pipe[i].timer = loop_timer_new(l, LOOP_NORMAL, on_reader_timer, n);
		ok &= n->pipe[i].timer != NULL;
	}
	n->children = ok ? children_new(l, on_out, on_end, n) : NULL;
	if (n->children)
		return n;
	int err = errno;
	notify_io_free(n);
	errno = err;
	return NULL;
}

/* What the reader did not take in time is put into the pipe, as far as there is room. */
static void last_lines(struct notify_io *n, unsigned which)
{
	struct notify_ev done = { .type = NOTIFY_EV_DONE, .sink = sink_of(which) };
	struct notify_acts acts;
	char line[NOTIFY_LINE_MAX];

	for (unsigned i = 0; i < 32 && !notify_idle(&n->queue, sink_of(which)); i++) {
		notify_step(&n->queue, &done, loop_now(n->loop), &acts);
		if (!acts.n)
			continue;
		notify_line(&acts.a[0].item->news, line);
		(void)fifo_io_line(n->fifo, which, line, true);
	}
}

void notify_io_free(struct notify_io *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < NOTIFY_FIFOS; i++) {
		if (n->fifo && n->pipe[i].state == NOTIFY_PIPE_OPEN)
			last_lines(n, i);
		loop_timer_free(n->pipe[i].timer);
	}
	fifo_io_free(n->fifo);
	if (n->children)
		children_leave(n->children);
	for (unsigned i = 0; i < n->n_kept; i++)
		cfg_free(n->kept[i].cfg);
	notify_free(&n->queue);
	free(n->subject);
	free(n);
}
