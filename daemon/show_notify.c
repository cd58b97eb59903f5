/* show notify */
#include "daemon/app.h"

#include "daemon/app_notify.h"
#include "daemon/notify_io.h"
#include "daemon/show.h"

static const char *pipe_state(enum notify_pipe_state s)
{
	switch (s) {
	case NOTIFY_PIPE_NONE:
		return "none";
	case NOTIFY_PIPE_OPENING:
		return "opening";
	case NOTIFY_PIPE_OPEN:
		return "open";
	case NOTIFY_PIPE_FAILED:
		return "failed";
	}
	return "";
}

static const char *end_text(enum child_end e)
{
	switch (e) {
	case CHILD_EXITED:
		return "exited";
	case CHILD_SIGNALED:
		return "killed by signal";
	case CHILD_TIMED_OUT:
		return "timed out";
	case CHILD_START_FAILED:
		return "not started";
	}
	return "";
}

static json_t *receivers(const struct notify *q)
{
	json_t *list = json_array();

	for (unsigned s = 0; s < NOTIFY_SINKS; s++) {
		const struct notify_count *c = &q->sink[s].n;
		json_array_append_new(list, json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "receiver",
						      notify_sink_text((enum notify_sink)s), "busy", q->sink[s].at != 0,
						      "waiting", (json_int_t)c->waiting, "told", (json_int_t)c->told,
						      "failed", (json_int_t)c->failed, "superseded",
						      (json_int_t)c->superseded, "dropped", (json_int_t)c->dropped));
	}
	return list;
}

static json_t *pipes(const struct notify_io *io)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < NOTIFY_FIFOS; i++) {
		const struct notify_pipe *p = notify_io_pipe(io, i);
		if (p->state == NOTIFY_PIPE_NONE)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:I}", "path", p->path, "state",
						      pipe_state(p->state), "error", p->why, "reader_runs",
						      p->reader >= 0, "reader_starts", (json_int_t)p->reader_starts));
	}
	return list;
}

static json_t *results(const struct notify_io *io)
{
	json_t *list = json_array();
	const struct notify_result *r;

	for (unsigned i = 0; (r = notify_io_result(io, i)) != NULL; i++)
		json_array_append_new(
		    list,
		    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:I}", "receiver",
			      notify_sink_text(r->sink), "type", r->group ? "GROUP" : "INSTANCE", "name", r->name,
			      "state", notify_what_text(r->what), "program", r->program, "outcome", end_text(r->end),
			      "code", r->code, "line", r->line, "waited_us", (json_int_t)(r->waited_ns / NS_PER_US),
			      "took_us", (json_int_t)(r->took_ns / NS_PER_US), "wall_us", (json_int_t)r->wall_us));
	return list;
}

json_t *show_notify(struct app *a)
{
	const struct notify_io *io = a->notify ? app_notify_io(a->notify) : NULL;

	if (!io)
		return json_pack("{s:b, s:[], s:[], s:[]}", "configured", 0, "receivers", "pipes", "results");
	return json_pack("{s:b, s:o, s:o, s:o}", "configured", 1, "receivers", receivers(notify_io_queue(io)), "pipes",
			 pipes(io), "results", results(io));
}
