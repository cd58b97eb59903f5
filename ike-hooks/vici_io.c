/*
 * Two connections, because requests are answered strictly one after another and an event must not wait behind them; the
 * control connection also receives the list-sa events of its own list requests. Everything that can go wrong with
 * charon ends in one place: both connections are closed, VICI_EV_DOWN, and a later attempt.
 */
#include "ike-hooks/vici_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "ike-hooks/vici_req.h"
#include "ike-hooks/vici_sa.h"
#include "ike-hooks/vici_wire.h"

#define RX_FIRST       4096u
#define TX_MAX         1024u
#define BACKOFF_NS     (100 * NS_PER_MS)
#define BACKOFF_MAX_NS (1 * NS_PER_SEC)
#define PASS_BYTES     (64u * 1024u) /* read per pass of the loop and connection */

enum conn_id { CONN_CTL = 0, CONN_EVT, CONN_N };

static const char *const event_names[] = { "ike-updown",  "child-updown", "ike-rekey",
					   "child-rekey", "ike-update",   "alert" };
#define N_EVENTS (sizeof(event_names) / sizeof(event_names[0]))

struct conn {
	struct vici *v;
	enum conn_id id;
	int fd;
	struct loop_fd *lf;
	struct vici_framer framer;
	uint8_t *rx;
	uint8_t tx[TX_MAX];
	size_t tx_len, tx_off;
};

struct vici {
	struct loop *loop;
	struct loop_timer *timer;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	vici_fn fn;
	void *arg;
	enum vici_state state;
	struct conn conn[CONN_N];
	struct list urgent, normal; /* of struct vici_req */
	unsigned queued;
	struct vici_req cur; /* outstanding on CTL */
	bool busy;
	struct ike_sample sample; /* being collected for cur */
	unsigned registered;      /* events confirmed on EVT */
	bool ctl_ready;
	mono_t connect_at, ctl_by, evt_by, alive_at;
	mono_t list_by; /* whatever comes, a list has ended by then */
	int64_t backoff_ns;
	int broken; /* set inside a callback; the connection is dropped after it */
	int last_err;
	bool hung; /* the last loss was a missing reply */
	char version[64];
	struct vici_counters n;
};

static void rearm(struct vici *v)
{
	mono_t d = mono_min(mono_min(v->connect_at, v->alive_at), mono_min(v->ctl_by, v->evt_by));

	loop_timer_set(v->timer, v->broken ? loop_now(v->loop) : d);
}

static void emit(struct vici *v, const struct vici_ev *in)
{
	struct vici_ev ev = *in;

	if (!ev.errmsg)
		ev.errmsg = "";
	if (!ev.ike)
		ev.ike = "";
	if (!ev.child)
		ev.child = "";
	if (!ev.local)
		ev.local = "";
	v->fn(v->arg, &ev);
}

/* ---- connections ---- */

static void conn_close(struct conn *c)
{
	loop_fd_free(c->lf);
	c->lf = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->rx);
	c->rx = NULL;
	c->tx_len = c->tx_off = 0;
}

static void forget_queue(struct list *q)
{
	list_for_each_safe (node, q) {
		list_del(node);
		free(list_entry(node, struct vici_req, node));
	}
}

/* Both connections go together: events of one life of charon and replies of another must never be mixed. */
static void lost(struct vici *v, int err)
{
	bool was_ready = v->state == VICI_READY;
	bool hung = err == ERR_TIMEOUT || err == -EAGAIN;

	for (int i = 0; i < CONN_N; i++)
		conn_close(&v->conn[i]);
	forget_queue(&v->urgent);
	forget_queue(&v->normal);
	v->queued = 0;
	v->busy = v->ctl_ready = false;
	v->broken = 0;
	v->registered = 0;
	v->ctl_by = v->evt_by = v->alive_at = MONO_NEVER;
	v->backoff_ns = v->backoff_ns ? v->backoff_ns * 2 : BACKOFF_NS;
	if (was_ready)
		v->backoff_ns = BACKOFF_NS;
	if (v->backoff_ns > BACKOFF_MAX_NS)
		v->backoff_ns = BACKOFF_MAX_NS;
	v->connect_at = mono_add(loop_now(v->loop), v->backoff_ns);
	v->n.timeouts += err == ERR_TIMEOUT;
	if (was_ready || err != v->last_err)
		log_warn(LOG_IKE, "IKE daemon at %s: %s (%s)", v->path,
			 hung ? "accepts connections but does not answer" : "connection lost or refused",
			 err_text(err));
	v->last_err = err;
	v->hung = hung;
	v->state = hung ? VICI_STOPPED : VICI_ABSENT;
	if (was_ready) {
		v->n.losts++;
		emit(v, &(struct vici_ev){ .kind = VICI_EV_DOWN, .errmsg = err_text(err) });
	}
}

static int flush_tx(struct conn *c)
{
	while (c->tx_off < c->tx_len) {
		ssize_t n = send(c->fd, c->tx + c->tx_off, c->tx_len - c->tx_off, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			loop_fd_set(c->lf, LOOP_READ | LOOP_WRITE);
			return 0;
		}
		if (n < 0)
			return -errno;
		c->tx_off += (size_t)n;
		c->v->n.tx_bytes += (uint64_t)n;
	}
	c->tx_len = c->tx_off = 0;
	loop_fd_set(c->lf, LOOP_READ);
	return 0;
}

/* ---- requests on the control connection ---- */

static void send_request(struct vici *v, const struct vici_req *r)
{
	struct conn *c = &v->conn[CONN_CTL];

	v->cur = *r;
	v->busy = true;
	v->sample = (struct ike_sample){ .present = false };
	v->ctl_by = mono_add(loop_now(v->loop), VICI_REPLY_NS);
	v->list_by = mono_add(loop_now(v->loop), VICI_LIST_NS);
	v->n.requests++;
	c->tx_off = 0;
	c->tx_len = vici_req_encode(r, c->tx, sizeof(c->tx));
	int rc = flush_tx(c);
	if (rc)
		v->broken = rc;
}

static void pump(struct vici *v)
{
	if (v->busy || v->broken || !v->ctl_ready)
		return;
	struct list *q = !list_empty(&v->urgent) ? &v->urgent : &v->normal;
	if (list_empty(q))
		return;
	struct vici_req *r = list_entry(q->next, struct vici_req, node);
	list_del(&r->node);
	v->queued--;
	send_request(v, r);
	free(r);
}

static int queue(struct vici *v, enum vici_job job, const char *ike, const char *child, struct vici_tag tag)
{
	if (v->state != VICI_READY || v->broken)
		return ERR_STATE;
	struct vici_req *r = v->queued < VICI_QUEUE_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		v->n.refused++;
		return ERR_FULL;
	}
	r->job = job;
	r->tag = tag;
	snprintf(r->ike, sizeof(r->ike), "%s", ike);
	snprintf(r->child, sizeof(r->child), "%s", child);
	list_add_tail(job >= JOB_LIST ? &v->normal : &v->urgent, &r->node);
	v->queued++;
	pump(v);
	rearm(v);
	return 0;
}

int vici_terminate(struct vici *v, const char *ike, struct vici_tag tag)
{
	return queue(v, JOB_TERMINATE, ike, "", tag);
}

int vici_terminate_child(struct vici *v, const char *ike, const char *child, struct vici_tag tag)
{
	return queue(v, JOB_TERMINATE, ike, child, tag);
}

int vici_close(struct vici *v, const char *ike, struct vici_tag tag)
{
	return queue(v, JOB_CLOSE, ike, "", tag);
}

int vici_initiate(struct vici *v, const char *ike, const char *child, struct vici_tag tag)
{
	return queue(v, JOB_INITIATE, ike, child, tag);
}

int vici_rekey(struct vici *v, const char *ike, const char *child, struct vici_tag tag)
{
	return queue(v, JOB_REKEY, ike, child, tag);
}

int vici_list(struct vici *v, const char *ike, const char *child, struct vici_tag tag)
{
	return queue(v, JOB_LIST, ike, child, tag);
}

int vici_conns(struct vici *v, struct vici_tag tag)
{
	return queue(v, JOB_CONNS, "", "", tag);
}

int vici_sas(struct vici *v, struct vici_tag tag)
{
	return queue(v, JOB_SAS, "", "", tag);
}

/* ---- what arrives ---- */

static void maybe_ready(struct vici *v)
{
	if (v->state == VICI_READY || !v->ctl_ready || v->registered < N_EVENTS)
		return;
	v->state = VICI_READY;
	v->hung = false;
	v->last_err = 0;
	v->backoff_ns = 0;
	v->n.connects++;
	v->alive_at = mono_add(loop_now(v->loop), VICI_ALIVE_NS);
	log_notice(LOG_IKE, "IKE daemon at %s is ready: %s", v->path, v->version);
	emit(v, &(struct vici_ev){ .kind = VICI_EV_UP });
}

static void take_version(struct vici *v, const struct vici_packet *p)
{
	char daemon[24], version[24];

	if (vici_find(p->msg, p->msg_len, "daemon", daemon, sizeof(daemon)) &&
	    vici_find(p->msg, p->msg_len, "version", version, sizeof(version)))
		snprintf(v->version, sizeof(v->version), "%s %s", daemon, version);
}

static void tell_reply(struct vici *v, const struct vici_packet *p, const struct vici_req *r)
{
	static const enum ike_req req_of[] = {
		[JOB_TERMINATE] = IKE_REQ_TERMINATE, [JOB_CLOSE] = IKE_REQ_CLOSE, [JOB_INITIATE] = IKE_REQ_INITIATE,
		[JOB_REKEY] = IKE_REQ_REKEY,         [JOB_LIST] = IKE_REQ_LIST,   [JOB_SAS] = IKE_REQ_NONE,
		[JOB_CONNS] = IKE_REQ_NONE
	};
	char success[8], matches[16], errmsg[160];
	bool has_success = vici_find(p->msg, p->msg_len, "success", success, sizeof(success));
	bool has_matches = vici_find(p->msg, p->msg_len, "matches", matches, sizeof(matches));
	struct vici_ev ev = { .kind = r->job == JOB_CONNS ? VICI_EV_CONNS
				      : r->job == JOB_SAS ? VICI_EV_SAS
							  : VICI_EV_REPLY,
			      .tag = r->tag,
			      .req = req_of[r->job],
			      .errmsg = errmsg,
			      .ike = r->ike,
			      .child = r->child,
			      .sample = v->sample };

	vici_find(p->msg, p->msg_len, "errmsg", errmsg, sizeof(errmsg));
	ev.matches = has_matches ? (uint32_t)strtoul(matches, NULL, 10) : 0;
	ev.ok = has_success ? strcmp(success, "yes") == 0 : r->job >= JOB_LIST;
	/* "Nothing to terminate" is what was wanted. */
	if ((r->job == JOB_TERMINATE || r->job == JOB_CLOSE) && has_matches && ev.matches == 0)
		ev.ok = true;
	if (p->type == VICI_CMD_UNKNOWN) {
		ev.ok = false;
		ev.errmsg = "the IKE daemon does not know this command";
	} else if (vici_check(p->msg, p->msg_len) != VICI_OK) {
		v->n.bad_messages++;
		ev.ok = false;
		ev.errmsg = "the reply is malformed";
	}
	emit(v, &ev);
}

static void ctl_answer(struct vici *v, const struct vici_packet *p)
{
	struct vici_req r = v->cur;

	if (!v->busy) {
		v->n.unexpected++;
		return;
	}
	v->busy = false;
	v->ctl_by = MONO_NEVER;
	v->alive_at = v->state == VICI_READY ? mono_add(loop_now(v->loop), VICI_ALIVE_NS) : v->alive_at;
	v->n.replies++;
	switch (r.job) {
	case JOB_VERSION:
		take_version(v, p);
		if (!v->ctl_ready)
			send_request(v, &(struct vici_req){ .job = JOB_REGISTER });
		break;
	case JOB_REGISTER:
		if (p->type != VICI_EVENT_CONFIRM) {
			v->broken = ERR_VERSION; /* without list-sa events a list says nothing */
			return;
		}
		send_request(v, &(struct vici_req){ .job = JOB_REGISTER_CONNS });
		return;
	case JOB_REGISTER_CONNS:
		/* A daemon without this event has empty lists of connections; tunnels work all the same. */
		v->ctl_ready = true;
		maybe_ready(v);
		break;
	case JOB_TERMINATE:
	case JOB_CLOSE:
	case JOB_INITIATE:
	case JOB_REKEY:
	case JOB_LIST:
	case JOB_SAS:
	case JOB_CONNS:
		tell_reply(v, p, &r);
		break;
	}
	pump(v);
}

/* A long list is no daemon that hangs, but one without end would be. */
static void list_goes_on(struct vici *v)
{
	v->ctl_by = mono_min(mono_add(loop_now(v->loop), VICI_REPLY_NS), v->list_by);
}

static void list_row(struct vici *v, const struct vici_packet *p)
{
	struct vici_sa_rd rd;
	struct vici_sa_row row;

	if (!v->busy || (v->cur.job != JOB_LIST && v->cur.job != JOB_SAS)) {
		v->n.unexpected++;
		return;
	}
	list_goes_on(v);
	if (v->cur.job == JOB_SAS) {
		if (vici_check(p->msg, p->msg_len) != VICI_OK)
			v->n.bad_messages++;
		else
			emit(v, &(struct vici_ev){
				    .kind = VICI_EV_SA, .tag = v->cur.tag, .msg = p->msg, .msg_len = p->msg_len });
		return;
	}
	vici_sa_begin(&rd, p->msg, p->msg_len);
	while (vici_sa_next(&rd, &row))
		vici_sample_add(&v->sample, &row, v->cur.ike, v->cur.child);
	v->n.bad_messages += rd.rd.drop != VICI_OK;
}

static void list_conn(struct vici *v, const struct vici_packet *p)
{
	struct vici_conn_rd rd;
	struct vici_conn conn;

	if (!v->busy || v->cur.job != JOB_CONNS) {
		v->n.unexpected++;
		return;
	}
	list_goes_on(v);
	vici_conn_begin(&rd, p->msg, p->msg_len);
	while (vici_conn_next(&rd, &conn))
		emit(v, &(struct vici_ev){ .kind = VICI_EV_CONN, .tag = v->cur.tag, .ike = conn.name, .conn = &conn });
	v->n.bad_messages += rd.rd.drop != VICI_OK;
}

/* An event has to be registered before its list is asked for; these two requests have their own answers. */
static bool registering(const struct vici *v)
{
	return v->busy && (v->cur.job == JOB_REGISTER || v->cur.job == JOB_REGISTER_CONNS);
}

static void ctl_packet(struct vici *v, const struct vici_packet *p)
{
	switch (p->type) {
	case VICI_EVENT:
		if (strcmp(p->name, "list-sa") == 0)
			list_row(v, p);
		else if (strcmp(p->name, "list-conn") == 0)
			list_conn(v, p);
		else
			v->n.unexpected++;
		return;
	case VICI_CMD_RESPONSE:
	case VICI_CMD_UNKNOWN:
		if (registering(v))
			v->n.unexpected++;
		else
			ctl_answer(v, p);
		return;
	case VICI_EVENT_CONFIRM:
	case VICI_EVENT_UNKNOWN:
		if (registering(v))
			ctl_answer(v, p);
		else
			v->n.unexpected++;
		return;
	case VICI_CMD_REQUEST:
	case VICI_EVENT_REGISTER:
	case VICI_EVENT_UNREGISTER:
	case VICI_TYPE_N:
		v->n.unexpected++;
		return;
	}
}

static void register_next(struct vici *v)
{
	struct conn *c = &v->conn[CONN_EVT];
	struct vici_wr w;

	vici_begin(&w, c->tx, sizeof(c->tx), VICI_EVENT_REGISTER, event_names[v->registered]);
	c->tx_off = 0;
	c->tx_len = vici_end(&w);
	v->evt_by = mono_add(loop_now(v->loop), VICI_REPLY_NS);
	int rc = flush_tx(c);
	if (rc)
		v->broken = rc;
}

static void evt_event(struct vici *v, const struct vici_packet *p)
{
	static const enum vici_ev_kind kind_of[N_EVENTS] = { VICI_EV_IKE_UPDOWN, VICI_EV_CHILD_UPDOWN,
							     VICI_EV_IKE_REKEY,  VICI_EV_CHILD_REKEY,
							     VICI_EV_IKE_UPDATE, VICI_EV_ALERT };
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	unsigned i = 0;
	char up[8], local[ADDR_TEXT_MAX], told[IKE_NAME_MAX] = "";

	while (i < N_EVENTS && strcmp(event_names[i], p->name) != 0)
		i++;
	if (i == N_EVENTS || v->state != VICI_READY) {
		v->n.unexpected++;
		return;
	}
	v->n.events++;
	if (vici_check(p->msg, p->msg_len) != VICI_OK) {
		v->n.bad_messages++;
		return;
	}
	bool is_up = vici_find(p->msg, p->msg_len, "up", up, sizeof(up)) && strcmp(up, "yes") == 0;
	bool of_child = kind_of[i] == VICI_EV_CHILD_UPDOWN || kind_of[i] == VICI_EV_CHILD_REKEY;
	vici_find(p->msg, p->msg_len, "local-host", local, sizeof(local));
	if (kind_of[i] == VICI_EV_ALERT) {
		enum vici_alert alert = vici_alert_read(p->msg, p->msg_len);
		v->n.alerts[alert]++;
		emit(v, &(struct vici_ev){ .kind = VICI_EV_ALERT, .alert = alert });
		return;
	}
	vici_sa_begin(&rd, p->msg, p->msg_len);
	while (vici_sa_next(&rd, &row)) {
		/* An IKE SA that has no configuration yet is called "(unnamed)"; a peer just knocked. */
		if (!row.ike[0] || row.ike[0] == '(' || of_child != (of_child && row.has_child) ||
		    (!of_child && strcmp(told, row.ike) == 0))
			continue;
		memcpy(told, row.ike, sizeof(told));
		emit(v, &(struct vici_ev){ .kind = kind_of[i],
					   .ike = row.ike,
					   .child = of_child ? row.child : "",
					   .ike_id = row.ike_id,
					   .sa_id = of_child ? row.child_id : 0,
					   .spi_in = of_child ? row.spi_in : 0,
					   .local = local,
					   .up = is_up });
	}
}

static void evt_packet(struct vici *v, const struct vici_packet *p)
{
	switch (p->type) {
	case VICI_EVENT:
		evt_event(v, p);
		return;
	case VICI_EVENT_CONFIRM:
	case VICI_EVENT_UNKNOWN:
		if (v->registered == N_EVENTS) {
			v->n.unexpected++;
			return;
		}
		if (p->type == VICI_EVENT_UNKNOWN && strcmp(event_names[v->registered], "alert") == 0)
			log_debug(LOG_IKE, "the IKE daemon tells no alerts, they came with strongSwan 6.0.3");
		else if (p->type == VICI_EVENT_UNKNOWN)
			log_warn(LOG_IKE, "the IKE daemon has no event %s: tunnels are watched by lists instead",
				 event_names[v->registered]);
		v->evt_by = MONO_NEVER;
		if (++v->registered < N_EVENTS)
			register_next(v);
		else
			maybe_ready(v);
		return;
	case VICI_CMD_RESPONSE:
	case VICI_CMD_UNKNOWN:
	case VICI_CMD_REQUEST:
	case VICI_EVENT_REGISTER:
	case VICI_EVENT_UNREGISTER:
	case VICI_TYPE_N:
		v->n.unexpected++;
		return;
	}
}

static int grow_rx(struct conn *c)
{
	uint8_t *p = realloc(c->rx, c->framer.need);

	if (!p)
		return -ENOMEM;
	c->rx = c->framer.buf = p;
	c->framer.cap = c->framer.need;
	return 0;
}

/* Feeds what was read; 0 or why the connection cannot go on. */
static int digest(struct conn *c, const uint8_t *data, size_t n)
{
	struct vici *v = c->v;

	while (n && !v->broken) {
		struct vici_packet p;
		size_t used;
		enum vici_drop d = vici_feed(&c->framer, data, n, &used, &p);
		data += used;
		n -= used;
		if (d == VICI_MORE)
			return 0;
		if (d == VICI_ROOM) {
			int rc = grow_rx(c);
			if (rc)
				return rc;
			continue;
		}
		if (d != VICI_OK) {
			v->n.bad_frames++;
			log_warn(LOG_IKE, "IKE daemon at %s: %s; the connection is closed", v->path, vici_drop_text(d));
			return ERR_MALFORMED;
		}
		if (c->id == CONN_CTL)
			ctl_packet(v, &p);
		else
			evt_packet(v, &p);
	}
	return v->broken;
}

static int read_some(struct conn *c)
{
	uint8_t buf[4096];
	struct loop_budget b = loop_budget(PASS_BYTES / sizeof(buf), LOOP_BUDGET_NS);

	do {
		ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		if (n == 0)
			return ERR_GONE;
		c->v->n.rx_bytes += (uint64_t)n;
		int rc = digest(c, buf, (size_t)n);
		if (rc)
			return rc;
	} while (!loop_budget_spent(&b));
	return 0;
}

static void on_fd(void *arg, int fd, unsigned events)
{
	struct conn *c = arg;
	struct vici *v = c->v;
	int rc = 0;

	(void)fd;
	if (events & LOOP_WRITE)
		rc = flush_tx(c);
	if (rc == 0 && (events & LOOP_READ))
		rc = read_some(c);
	if (rc == 0)
		rc = v->broken;
	if (rc)
		lost(v, rc);
	rearm(v);
}

static int conn_open(struct conn *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, c->v->path, sizeof(sa.sun_path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	/* On a Unix socket this ends at once: connected, refused, or EAGAIN when the queue of a stopped daemon is full.
	 */
	if (connect(c->fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0)
		return -errno;
	c->rx = malloc(RX_FIRST);
	c->lf = c->rx ? loop_fd_new(c->v->loop, c->fd, LOOP_READ, LOOP_NORMAL, on_fd, c) : NULL;
	if (!c->lf)
		return -ENOMEM;
	vici_framer_init(&c->framer, c->rx, RX_FIRST);
	return 0;
}

static void connect_both(struct vici *v)
{
	int rc = 0;

	v->connect_at = MONO_NEVER;
	for (int i = 0; i < CONN_N && rc == 0; i++)
		rc = conn_open(&v->conn[i]);
	if (rc) {
		lost(v, rc);
		return;
	}
	if (!v->hung)
		v->state = VICI_CONNECTING;
	v->registered = 0;
	send_request(v, &(struct vici_req){ .job = JOB_VERSION });
	register_next(v);
	if (v->broken)
		lost(v, v->broken);
}

static void on_timer(void *arg, mono_t deadline)
{
	struct vici *v = arg;
	mono_t now = loop_now(v->loop);

	(void)deadline;
	if (v->broken) {
		lost(v, v->broken);
	} else if (mono_due(v->ctl_by, now) || mono_due(v->evt_by, now)) {
		lost(v, ERR_TIMEOUT);
	} else if (mono_due(v->connect_at, now)) {
		connect_both(v);
	} else if (mono_due(v->alive_at, now)) {
		v->alive_at = mono_add(now, VICI_ALIVE_NS);
		if (!v->busy && v->ctl_ready)
			send_request(v, &(struct vici_req){ .job = JOB_VERSION });
	}
	rearm(v);
}

struct vici *vici_new(struct loop *l, const char *socket_path, vici_fn fn, void *arg)
{
	struct vici *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->loop = l;
	v->fn = fn;
	v->arg = arg;
	snprintf(v->path, sizeof(v->path), "%s", socket_path);
	list_init(&v->urgent);
	list_init(&v->normal);
	for (int i = 0; i < CONN_N; i++)
		v->conn[i] = (struct conn){ .v = v, .id = (enum conn_id)i, .fd = -1 };
	v->ctl_by = v->evt_by = v->alive_at = MONO_NEVER;
	v->connect_at = loop_now(l);
	v->timer = loop_timer_new(l, LOOP_NORMAL, on_timer, v);
	if (!v->timer) {
		free(v);
		return NULL;
	}
	rearm(v);
	return v;
}

void vici_free(struct vici *v)
{
	if (!v)
		return;
	for (int i = 0; i < CONN_N; i++)
		conn_close(&v->conn[i]);
	forget_queue(&v->urgent);
	forget_queue(&v->normal);
	loop_timer_free(v->timer);
	free(v);
}

enum vici_state vici_state(const struct vici *v)
{
	return v->state;
}

const char *vici_state_name(enum vici_state s)
{
	switch (s) {
	case VICI_ABSENT:
		return "absent";
	case VICI_CONNECTING:
		return "connecting";
	case VICI_READY:
		return "ready";
	case VICI_STOPPED:
		return "stopped";
	}
	return "?";
}

const char *vici_version(const struct vici *v)
{
	return v->version;
}

int vici_last_error(const struct vici *v)
{
	return v->last_err;
}

const struct vici_counters *vici_counters(const struct vici *v)
{
	return &v->n;
}
