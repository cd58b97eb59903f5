/*
 * `explain session`, and the answers to peers' questions. Both read the kernel by GET: what the table believes is only
 * half of the matter. A job lives until every connected peer has answered, or EXPLAIN_NS.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/addr.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "sync/sync_explain.h"
#include "sync/sync_run.h"

#define EXPLAIN_NS NS_PER_SEC /* for a peer's answer */
enum { WALK_CHUNK = 64, WALK_PASSES = 16 };

struct explain_job {
	struct sync_run *run;
	unsigned slot;
	int fd;
	uint32_t client_id;
	struct loop_timer *timer;
	struct explain_in in;
	uint32_t ask[SYNC_NODES_MAX]; /* 0: not asked, or answered */
	bool walking, walked;
	struct sess_walk walk;
};

/* The entry that any of these names finds. 0, -ENOENT, or -errno. Past the core: nothing is concluded from it there. */
static int peek(struct sync_run *r, const struct ct_tuple *t, struct ct_entry *out)
{
	struct ct_tuple form[EXPLAIN_FORMS];
	struct ct_op ops[EXPLAIN_FORMS];
	int results[EXPLAIN_FORMS];
	unsigned n = explain_forms(t, form);

	memset(ops, 0, sizeof(ops));
	for (unsigned i = 0; i < n; i++) {
		ops[i].type = CT_OP_GET;
		ops[i].e.orig = form[i];
	}
	r->peek = out;
	r->peeked = false;
	int rc = ct_io_inject(r->ct, ops, n, results);
	r->peek = NULL;
	r->st.peeks++;
	if (r->peeked)
		return 0;
	for (unsigned i = 0; i < n && rc >= 0; i++)
		rc = results[i] == 0 || results[i] == -ENOENT ? rc : results[i];
	return rc < 0 ? rc : -ENOENT;
}

static void gather(struct sync_run *r, const struct ct_tuple *t, struct sync_facts *f)
{
	struct ct_entry e;
	int rc = peek(r, t, &e);

	explain_facts(r->core, t, rc == 0 ? &e : NULL, rc == -ENOENT ? 0 : rc, clock_mono(), f);
	if (ct_io_table_size(&f->kernel_max, &f->kernel_count) != 0)
		f->kernel_max = f->kernel_count = 0;
}

static json_t *tuple_json(const struct ct_tuple *t)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct addr a = addr_from_bytes(t->l3, t->src), b = addr_from_bytes(t->l3, t->dst);

	return json_pack("{s:s,s:s,s:i,s:i}", "source", addr_text(&a, src), "destination", addr_text(&b, dst),
			 "source_port", (int)t->sport, "destination_port", (int)t->dport);
}

static json_t *kernel_json(const struct sync_facts *f)
{
	static const struct {
		uint16_t bit;
		const char *word;
	} bits[] = { { CT_ST_SEEN_REPLY, "seen-reply" },
		     { CT_ST_ASSURED, "assured" },
		     { CT_ST_SRC_NAT, "source-nat" },
		     { CT_ST_DST_NAT, "destination-nat" },
		     { CT_ST_OFFLOAD, "offload" } };
	json_t *status = json_array();

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (f->flags & SYNC_FACT_KERNEL && f->status & bits[i].bit)
			json_array_append_new(status, json_string(bits[i].word));
	return json_pack("{s:b,s:I,s:i,s:o,s:s,s:I,s:I}", "present", (f->flags & SYNC_FACT_KERNEL) != 0, "timeout_us",
			 (json_int_t)f->left_s * 1000000, "tcp_state", (int)f->tcp_state, "status", status, "error",
			 f->flags & SYNC_FACT_UNREAD ? err_text(-(int)f->kernel_err) : "", "entries",
			 (json_int_t)f->kernel_count, "limit", (json_int_t)f->kernel_max);
}

static json_t *table_json(const struct sync_facts *f)
{
	enum sync_why why = explain_why_of(f->word);
	char version[64] = "", ip[ADDR_TEXT_MAX] = "";
	struct addr a = addr_from_bytes(f->cause_l3, f->cause_ip);
	bool known = f->flags & SYNC_FACT_TABLE;

	if (known)
		snprintf(version, sizeof(version), "%" PRIu64 ".%" PRIu32 "/%" PRIu32 ".%" PRIu32,
			 f->version.epoch.counter, f->version.epoch.node, f->version.claim, f->version.node);
	if (f->cause != SYNC_ADDR_NONE)
		addr_text(&a, ip);
	return json_pack("{s:b,s:b,s:I,s:s,s:s,s:s,s:s,s:i,s:s,s:I,s:b,s:o}", "present", known, "mine",
			 (f->flags & SYNC_FACT_MINE) != 0, "owner_id", (json_int_t)f->version.node, "version", version,
			 "disposition", why == SYNC_WHY_N ? "" : sync_disposition_word(sync_why_disposition(why)),
			 "reason", why == SYNC_WHY_NONE ? "" : f->word, "error", f->err ? err_text(-(int)f->err) : "",
			 "rule", (int)f->rule, "address", ip, "timeout_us", (json_int_t)f->table_left_s * 1000000,
			 "leased", (f->flags & SYNC_FACT_LEASED) != 0, "quiet_us",
			 f->quiet_s == UINT32_MAX ? json_null() : json_integer((json_int_t)f->quiet_s * 1000000));
}

static json_t *node_json(const struct explain_in *in, unsigned i, const struct explain_out *o)
{
	static const char *const states[] = { "answered", "not-connected", "lost", "silent", "busy" };
	const struct explain_node *n = &in->nodes[i];
	bool said = n->state == EXPLAIN_ANSWERED;
	json_t *steps = json_array();

	for (unsigned k = 0; k < o->n; k++)
		if (o->step[k].node == i)
			json_array_append_new(steps,
					      json_pack("{s:s,s:s}", "what", o->step[k].what, "text", o->step[k].text));
	return json_pack("{s:s,s:I,s:s,s:s,s:o,s:o,s:o}", "node", n->name, "node_id", (json_int_t)n->id, "state",
			 states[n->state], "error", n->text, "kernel", said ? kernel_json(&n->f) : json_null(), "table",
			 said ? table_json(&n->f) : json_null(), "steps", steps);
}

static json_t *session_json(const struct explain_in *in)
{
	char text[160];

	for (unsigned i = 0; i < in->n; i++) {
		const struct sync_facts *f = &in->nodes[i].f;
		if (f->flags & SYNC_FACT_TUPLES)
			return json_pack("{s:s,s:i,s:i,s:o,s:o}", "name",
					 explain_tuple_text(&f->orig, text, sizeof(text)), "protocol", (int)f->orig.l4,
					 "zone", (int)f->orig.zone, "original", tuple_json(&f->orig), "reply",
					 tuple_json(&f->reply));
	}
	return json_null();
}

static json_t *answer_json(const struct explain_in *in)
{
	struct explain_out o;
	char asked[160];
	json_t *nodes = json_array();

	explain_build(in, &o);
	for (unsigned i = 0; i < in->n; i++)
		json_array_append_new(nodes, node_json(in, i, &o));
	return json_pack("{s:s,s:o,s:o,s:{s:s,s:b,s:s,s:s}}", "asked",
			 explain_tuple_text(&in->asked, asked, sizeof(asked)), "session", session_json(in), "nodes",
			 nodes, "verdict", "code", o.code, "replicated", o.replicated, "text", o.verdict, "change",
			 o.change);
}

void client_send(struct sync_run *r, int fd, uint32_t id, json_t *data)
{
	json_t *line = data ? json_pack("{s:i,s:I,s:o}", "v", 1, "id", (json_int_t)id, "data", data) : NULL;
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	char end[128];
	int n = snprintf(end, sizeof(end), "\n{\"v\":1,\"id\":%" PRIu32 ",\"end\":true,\"status\":\"ok\",\"code\":0}\n",
			 id);
	struct iovec iov[2] = { { text, text ? strlen(text) : 0 }, { end, (size_t)n } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	/* The socket is fresh: a few kilobytes fit, or nobody reads. */
	if (!text || sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(iov[0].iov_len + iov[1].iov_len))
		r->st.clients_cut++;
	json_decref(line);
	free(text);
	close(fd);
}

static void job_free(struct explain_job *j)
{
	for (unsigned i = 0; i < j->in.n && j->run->core; i++)
		if (j->ask[i] != 0)
			sync_ask_end(j->run->core, j->in.nodes[i].id, j->ask[i]);
	j->run->explains[j->slot] = NULL;
	loop_timer_free(j->timer);
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

/* The table finds by original tuples only. What no kernel has may stand in it by another name: a copy that waits in the
 * store, or was refused. */
static bool walk_some(struct explain_job *j)
{
	static struct sync_view view[WALK_CHUNK]; /* SYNC thread only */
	struct ct_tuple form[EXPLAIN_FORMS];
	unsigned n_forms = explain_forms(&j->in.asked, form);

	for (unsigned pass = 0; pass < WALK_PASSES && j->walk.active; pass++) {
		unsigned n = sync_view(j->run->core, &j->walk, view, WALK_CHUNK, clock_mono());
		for (unsigned i = 0; i < n * n_forms; i++) {
			const struct ct_entry *e = &view[i / n_forms].e;
			if (!ct_tuple_equal(&form[i % n_forms], &e->reply))
				continue;
			gather(j->run, &e->orig, &j->in.nodes[0].f);
			j->walk.active = false;
			break;
		}
	}
	return !j->walk.active;
}

static void job_finish(struct explain_job *j)
{
	struct explain_in *in = &j->in;

	for (unsigned i = 1; i < in->n; i++) {
		if (j->ask[i] != 0)
			in->nodes[i].state = EXPLAIN_SILENT;
		/* A peer knows it by the name that our table has: once more. */
		if (in->nodes[i].state == EXPLAIN_ANSWERED && in->nodes[i].f.flags & SYNC_FACT_TUPLES &&
		    !(in->nodes[0].f.flags & SYNC_FACT_TUPLES))
			gather(j->run, &in->nodes[i].f.orig, &in->nodes[0].f);
	}
	if (!(in->nodes[0].f.flags & SYNC_FACT_TUPLES) && j->run->core && !j->walked) {
		j->walking = true;
		sess_walk_start(&j->walk);
		loop_timer_set(j->timer, clock_mono());
		return;
	}
	client_send(j->run, j->fd, j->client_id, answer_json(in));
	j->fd = -1;
	job_free(j);
}

static bool job_waits(const struct explain_job *j)
{
	for (unsigned i = 1; i < j->in.n; i++)
		if (j->ask[i] != 0)
			return true;
	return false;
}

static void job_step(struct explain_job *j)
{
	if (j->walking)
		return;
	for (unsigned i = 1; i < j->in.n; i++) {
		struct explain_node *n = &j->in.nodes[i];
		if (j->ask[i] == 0)
			continue;
		switch (sync_ask_look(j->run->core, n->id, j->ask[i], &n->f)) {
		case SYNC_ASK_NEW:
		case SYNC_ASK_SENT:
			break;
		case SYNC_ASK_NONE:
			n->state = EXPLAIN_LOST;
			j->ask[i] = 0;
			break;
		case SYNC_ASK_ANSWERED:
			n->state = EXPLAIN_ANSWERED;
			sync_ask_end(j->run->core, n->id, j->ask[i]);
			j->ask[i] = 0;
			break;
		}
	}
	if (!job_waits(j))
		job_finish(j);
}

static void on_timeout(void *arg, mono_t deadline)
{
	struct explain_job *j = arg;

	(void)deadline;
	if (j->walking && !walk_some(j)) {
		loop_timer_set(j->timer, clock_mono());
		return;
	}
	j->walked = j->walking;
	j->walking = false;
	job_finish(j);
}

static void add_node(struct explain_job *j, uint32_t id, enum explain_peer_state state, const char *text)
{
	const struct sync_node_conf *conf = sync_conf_node(j->run->conf, id);

	j->in.nodes[j->in.n++] =
	    (struct explain_node){ .name = conf ? conf->name : "?", .id = id, .state = state, .text = text };
}

static void ask_peer(struct explain_job *j, const struct data_peer *p, const struct ct_tuple *t)
{
	const struct data_link *k = p->active ? p->active : &p->links[0];
	const char *down = p->n_links == 0 || p->active ? "" : k->text[0] ? k->text : peer_why_text(k->why);
	uint32_t id = 0;
	int rc = sync_ask(j->run->core, p->node, t, &id);

	add_node(j, p->node,
		 rc == ERR_FULL ? EXPLAIN_BUSY
		 : rc != 0      ? EXPLAIN_DOWN
				: EXPLAIN_SILENT,
		 rc == -ENOTCONN ? down : "");
	j->ask[j->in.n - 1] = rc == 0 ? id : 0;
}

/* The pump runs when events and records are in: peers' questions are answered before the next write. */
void explain_pump(struct sync_run *r)
{
	uint32_t node, id;
	struct ct_tuple t;
	struct sync_facts f;

	while (r->core && sync_asked(r->core, &node, &id, &t)) {
		gather(r, &t, &f);
		sync_answer(r->core, node, id, &f);
	}
	for (unsigned i = 0; i < SYNC_CLIENTS_MAX; i++)
		if (r->explains[i])
			job_step(r->explains[i]);
}

void explain_free_all(struct sync_run *r)
{
	for (unsigned i = 0; i < SYNC_CLIENTS_MAX; i++)
		if (r->explains[i])
			job_free(r->explains[i]);
}

void explain_new(struct sync_run *r, const struct sync_cmd *cmd)
{
	unsigned slot = 0;

	while (slot < SYNC_CLIENTS_MAX && r->explains[slot])
		slot++;
	struct explain_job *j = slot < SYNC_CLIENTS_MAX ? calloc(1, sizeof(*j)) : NULL;
	if (j)
		j->timer = loop_timer_new(r->loop, LOOP_NORMAL, on_timeout, j);
	if (!j || !j->timer) {
		free(j);
		r->st.clients_refused++;
		client_refuse(cmd->fd, cmd->client_id, "too many session commands are running; try again");
		return;
	}
	j->run = r;
	j->slot = slot;
	j->fd = cmd->fd;
	j->client_id = cmd->client_id;
	j->in.asked = cmd->tuple;
	r->explains[slot] = j;
	r->st.clients++;
	add_node(j, r->conf->self, EXPLAIN_ANSWERED, "");
	struct sync_facts *f = &j->in.nodes[0].f;
	gather(r, &cmd->tuple, f);
	for (unsigned i = 0; r->core && i < r->n_peers && j->in.n < SYNC_NODES_MAX; i++)
		ask_peer(j, r->peers[i], f->flags & SYNC_FACT_TUPLES ? &f->orig : &cmd->tuple);
	if (!job_waits(j)) {
		job_finish(j);
		return;
	}
	loop_timer_set(j->timer, mono_add(clock_mono(), EXPLAIN_NS));
	drive_kick(r);
}
