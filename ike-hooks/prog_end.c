/*
 * What programs print, and how they end: lists become samples and events, exit statuses become replies.
 */
#include "ike-hooks/prog_int.h"

#include <stdio.h>
#include <string.h>

static void tell(struct prog *p, const struct prog_tunnel *t, struct prog_ev *ev)
{
	ev->tunnel = t->index;
	if (!ev->errmsg)
		ev->errmsg = "";
	p->fn(p->arg, ev);
}

/* ---- output ---- */

static int by_name_cmp(const struct prog *p, uint16_t i, const char *name)
{
	return strcmp(p->t[p->by_name[i]].conf->ike, name);
}

/* Adds a row to all tunnels with this connection. */
static void add_named(struct prog *p, const char *name, const struct sa_text_row *row)
{
	unsigned lo = 0, hi = p->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (by_name_cmp(p, (uint16_t)mid, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < p->n && by_name_cmp(p, (uint16_t)lo, name) == 0; lo++) {
		struct prog_tunnel *t = &p->t[p->by_name[lo]];
		sa_text_add(&t->sample, row);
		t->said = true;
	}
}

static void list_line(struct prog *p, struct prog_run *r)
{
	struct prog_tunnel *t = prog_tunnel_at(p, r->who);
	struct sa_text_row row;
	enum sa_text_drop drop = SA_TEXT_DROP_LONG;

	if (!r->lines.bad)
		drop = p->info->one_list ? sa_text_whack(r->lines.buf, r->lines.len, &row)
					 : sa_text_exec(r->lines.buf, r->lines.len, &row);
	p->count.lines[drop]++;
	if (drop != SA_TEXT_OK)
		return;
	if (!p->info->one_list) {
		if (t) {
			sa_text_add(&t->sample, &row);
			t->said = true;
		}
		return;
	}
	add_named(p, row.name, &row);
	char *slash = strrchr(row.name, '/');
	if (slash) {
		*slash = '\0';
		add_named(p, row.name, &row);
	}
}

static void keep_last(struct prog_run *r)
{
	unsigned n = 0;

	for (; n < r->lines.len && n < sizeof(r->last) - 1; n++)
		r->last[n] = r->lines.buf[n] >= 0x20 && r->lines.buf[n] < 0x7f ? r->lines.buf[n] : '?';
	if (n)
		r->last[n] = '\0';
}

static void take_line(struct prog *p, struct prog_run *r)
{
	keep_last(r);
	if (!r->version && prog_is_list(r->verb))
		list_line(p, r);
}

void prog_output(void *arg, unsigned slot, const char *data, size_t n)
{
	struct prog *p = arg;
	struct prog_run *r = &p->run[slot];

	r->bytes += n;
	if (r->bytes > PROG_OUTPUT_MAX)
		return; /* the program may go on until its time is over; nobody reads it */
	while (n) {
		size_t used;
		if (sa_lines_feed(&r->lines, data, n, &used))
			take_line(p, r);
		data += used;
		n -= used;
	}
}

/* ---- ends ---- */

static void set_up(struct prog *p, struct prog_tunnel *t, bool up)
{
	struct prog_ev ev = { .kind = up ? PROG_EV_UP : PROG_EV_DOWN };

	if (!up) {
		t->drop.wanted = t->then.wanted = t->list_wanted = false;
		ike_watch_init(&t->watch);
	}
	tell(p, t, &ev);
}

/* The daemon behind this unit answers, or does not. */
static void unit_up(struct prog *p, int who, struct prog_unit *u, bool up)
{
	mono_t now = loop_now(p->loop);

	/* After a list that failed where the probe does not: not at once again. */
	u->next = up && !u->doubt ? now : mono_add(now, p->info->retry_ns);
	u->doubt = false;
	if (u->up == up)
		return;
	u->up = up;
	p->version_wanted = p->version_wanted || (up && p->backend == IKE_BACKEND_LIBRESWAN);
	for (uint16_t i = 0; i < p->n; i++)
		if (who == PROG_ALL || who == (int)i)
			set_up(p, &p->t[i], up);
}

static void doubt(struct prog *p, struct prog_unit *u)
{
	if (u->up) {
		u->doubt = true;
		u->next = loop_now(p->loop);
	}
}

/* A list is complete: what it says of this tunnel. */
static void list_says(struct prog *p, struct prog_tunnel *t, mono_t began)
{
	if (!ike_watch_counts(&t->watch, began) || t->running)
		return;
	struct ike_sample s = t->sample;
	if (!p->info->one_list && !t->said) {
		/* The program tells nothing: what it was asked to do is done when it says so by its exit status. */
		s.child = t->watch.up || !mono_is_never(t->watch.begun);
		s.present = s.established = s.child;
	}
	enum ike_watch_ev what = ike_watch_list(&t->watch, &s);
	t->watch.lists++;
	if (what == IKE_WATCH_REKEY) {
		/* Before the counters: those of the new child begin again. */
		struct prog_ev ev = { .kind = PROG_EV_CHILD_REKEY, .sa_id = s.sa_id };
		tell(p, t, &ev);
	}
	if (t->list_wanted && !mono_before(began, t->list_asked)) {
		struct prog_ev ev = {
			.kind = PROG_EV_REPLY, .verb = IKE_VERB_LIST, .tag = t->list_tag, .ok = true, .sample = s
		};
		t->list_wanted = false;
		tell(p, t, &ev);
	}
	if (what == IKE_WATCH_UP || what == IKE_WATCH_DOWN) {
		struct prog_ev ev = { .kind = PROG_EV_CHILD_UPDOWN, .up = what == IKE_WATCH_UP, .sa_id = s.sa_id };
		tell(p, t, &ev);
	}
}

static mono_t next_of(const struct prog *p, const struct prog_tunnel *t, int64_t took_ns, mono_t now)
{
	return t->list_wanted && !t->running ? now : ike_watch_next(&t->watch, p->info, took_ns, now);
}

static mono_t next_list(const struct prog *p, int who, int64_t took_ns, mono_t now)
{
	mono_t next = MONO_NEVER;

	for (uint16_t i = 0; i < p->n; i++) {
		const struct prog_tunnel *t = &p->t[i];
		if (who != PROG_ALL && who != (int)i)
			continue;
		next = mono_min(next, next_of(p, t, took_ns, now));
	}
	return next;
}

static void list_ended(struct prog *p, const struct prog_run *r, bool ok, int64_t took_ns)
{
	struct prog_tunnel *t = prog_tunnel_at(p, r->who);
	struct prog_unit *u = t ? prog_unit_of(p, t) : &p->all;

	if (!t && r->who != PROG_ALL)
		return; /* the tunnel is gone */
	u->running = false;
	if (t)
		t->running = false;
	if (!ok && r->verb == IKE_VERB_LIST) {
		doubt(p, u);
		return;
	}
	if (r->verb == IKE_VERB_PROBE) {
		bool no_list = ok && u->doubt;
		unit_up(p, r->who, u, ok);
		/* It answers, and has no list: then it is one that tells nothing. */
		if (no_list && t)
			list_says(p, t, r->began);
		return;
	}
	for (uint16_t i = 0; i < p->n; i++)
		if (r->who == PROG_ALL || r->who == (int)i)
			list_says(p, &p->t[i], r->began);
	u->next = next_list(p, r->who, took_ns, loop_now(p->loop));
}

static void verb_ended(struct prog *p, const struct prog_run *r, const struct child_result *c, bool ok)
{
	struct prog_tunnel *t = prog_tunnel_at(p, r->who);
	mono_t now = loop_now(p->loop);

	if (!t)
		return;
	struct prog_unit *u = prog_unit_of(p, t);
	t->running = false;
	ike_watch_verb(&t->watch, r->verb, ok, now);
	u->next = mono_min(u->next, next_of(p, t, 0, now));
	if (c->end != CHILD_EXITED)
		doubt(p, u);
	struct prog_ev ev = { .kind = PROG_EV_REPLY, .verb = r->verb, .tag = r->tag, .ok = ok, .errmsg = p->error };
	if (ok)
		ev.errmsg = "";
	tell(p, t, &ev);
}

static void note_error(struct prog *p, const struct prog_run *r, const struct child_result *c)
{
	const char *what = r->version ? "--version" : ike_verb_name(r->verb);
	const struct prog_tunnel *t = prog_tunnel_at(p, r->who);
	const char *name = t ? t->conf->name : p->info->name;

	switch (c->end) {
	case CHILD_EXITED:
		if (c->code)
			snprintf(p->error, sizeof(p->error), "%.40s: %s: exit status %d: %.80s", name, what, c->code,
				 r->last);
		else
			snprintf(p->error, sizeof(p->error), "%.40s: %s: more than %u bytes of output", name, what,
				 PROG_OUTPUT_MAX);
		break;
	case CHILD_SIGNALED:
		snprintf(p->error, sizeof(p->error), "%.40s: %s: killed by signal %d", name, what, c->code);
		break;
	case CHILD_TIMED_OUT:
		snprintf(p->error, sizeof(p->error), "%.40s: %s: no end within its time", name, what);
		break;
	case CHILD_START_FAILED:
		snprintf(p->error, sizeof(p->error), "%.40s: %s: cannot be started: %s", name, what,
			 err_text(-c->code));
		break;
	}
	p->count.failed++;
	p->count.timed_out += c->end == CHILD_TIMED_OUT;
}

static bool succeeded(const struct prog *p, const struct prog_run *r, const struct child_result *c)
{
	if (c->end != CHILD_EXITED || r->bytes > PROG_OUTPUT_MAX)
		return false;
	return p->info->one_list && !r->version ? ike_whack_ok(r->verb, c->code) : c->code == 0;
}

void prog_ended(void *arg, unsigned slot, const struct child_result *c)
{
	struct prog *p = arg;
	struct prog_run *r = &p->run[slot];

	if (sa_lines_end(&r->lines))
		take_line(p, r);
	struct prog_run done = *r; /* the callback may begin another one here */
	bool ok = succeeded(p, &done, c);
	if (!ok)
		note_error(p, &done, c);
	p->starting = true; /* one look at all, after everybody has asked */
	if (done.version) {
		snprintf(p->version, sizeof(p->version), "%s", ok ? done.last : "");
	} else if (prog_is_list(done.verb)) {
		p->lists--;
		list_ended(p, &done, ok, c->took_ns);
	} else {
		verb_ended(p, &done, c, ok);
	}
	p->starting = false;
	prog_kick(p);
}
