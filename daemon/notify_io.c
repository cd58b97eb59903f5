#include "daemon/notify_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/log.h"
#include "daemon/fifo_io.h"

#define READER_FIRST_NS (1 * NS_PER_SEC)
#define READER_MAX_NS   (60 * NS_PER_SEC)

_Static_assert(FIFO_LINE_MAX >= NOTIFY_LINE_MAX, "lines are whole");

static void step(struct notify_io *n, const struct notify_ev *ev);

static void script_done(struct notify_io *n)
{
	n->script.item = NULL;
	step(n, &(struct notify_ev){ .type = NOTIFY_EV_DONE, .sink = NOTIFY_TO_SCRIPTS, .ok = n->script.well });
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
	struct child_as as = notify_as(n, &f->reader);
	as.with_us = true;
	none.name[0] = '\0';
	p->reader = notify_run(n, argv, &none, 0, (enum use)(USE_READER + which), &as);
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
	p->reader_wait_ns = 0;
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
	struct notify_ev due[NOTIFY_SINKS + 1] = { *first };
	unsigned n_due = 1;

	while (n_due) {
		struct notify_acts acts;
		struct notify_ev ev = due[--n_due];
		notify_step(&n->queue, &ev, loop_now(n->loop), &acts);
		for (unsigned i = 0; i < acts.n; i++) {
			enum notify_sink sink = acts.a[i].sink;
			bool runs = sink == NOTIFY_TO_SCRIPTS ? notify_begin_script(n, acts.a[i].item)
				    : sink == NOTIFY_TO_MAIL  ? notify_begin_mail(n, acts.a[i].item)
							      : begin_line(n, sink, acts.a[i].item);
			if (!runs)
				due[n_due++] = (struct notify_ev){ .type = NOTIFY_EV_DONE, .sink = sink };
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
		notify_result(n, NOTIFY_TO_SCRIPTS, &n->script, r, n->line[slot]);
		n->script.well &= well;
		n->script.step++;
		if (!notify_run_rest(n))
			script_done(n);
	} else if (use == USE_MAIL) {
		notify_result(n, NOTIFY_TO_MAIL, &n->mail, r, n->line[slot]);
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
	if (what == NOTIFY_IS_DELETED || what == NOTIFY_IS_GONE || what == NOTIFY_IS_STOP)
		news.subject = NOTIFY_NOBODY; /* its last word */
	if (sinks & 1u << NOTIFY_TO_SCRIPTS && (notify_program(&probe, 0) || notify_program(&probe, 1)))
		news.sinks |= 1u << NOTIFY_TO_SCRIPTS;
	for (unsigned f = 0; f < NOTIFY_FIFOS; f++)
		if (n->pipe[f].state == NOTIFY_PIPE_OPENING || n->pipe[f].state == NOTIFY_PIPE_OPEN)
			news.sinks |= sinks & 1u << sink_of(f);
	if (conf->mail && c->notify.mail.n_to && notify_kind_of(what) == NOTIFY_K_STATE &&
	    ((what != NOTIFY_IS_FAULT && what != NOTIFY_IS_GONE) || c->notify.mail.faults))
		news.sinks |= sinks & 1u << NOTIFY_TO_MAIL;
	step(n, &(struct notify_ev){ .type = NOTIFY_EV_NEWS, .news = &news });
}

bool notify_io_idle(const struct notify_io *n)
{
	return notify_io_runs_nothing(n) && notify_idle(&n->queue, NOTIFY_TO_FIFO) &&
	       notify_idle(&n->queue, NOTIFY_TO_VRRP_FIFO);
}

bool notify_io_runs_nothing(const struct notify_io *n)
{
	return notify_idle(&n->queue, NOTIFY_TO_SCRIPTS) && notify_idle(&n->queue, NOTIFY_TO_MAIL);
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
	if (keep && n->n_kept == NOTIFY_KEPT_MAX) {
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

	for (bool room = true; room && !notify_idle(&n->queue, sink_of(which));) {
		notify_step(&n->queue, &done, loop_now(n->loop), &acts);
		if (!acts.n)
			continue;
		notify_line(&acts.a[0].item->news, line);
		room = fifo_io_line(n->fifo, which, line, true);
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
