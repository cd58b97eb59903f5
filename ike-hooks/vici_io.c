/*
 * Two connections, because requests are answered strictly one after another and an event must not wait behind them; the
 * control connection also receives the list-sa events of its own list requests. Everything that can go wrong with
 * charon ends in one place: both connections are closed, VICI_EV_DOWN, and a later attempt.
 */
#include "ike-hooks/vici_int.h"

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

#define RX_FIRST       4096u
#define BACKOFF_NS     (100 * NS_PER_MS)
#define BACKOFF_MAX_NS (1 * NS_PER_SEC)
#define PASS_BYTES     (64u * 1024u) /* read per pass of the loop and connection */

static void rearm(struct vici *v)
{
	mono_t d = mono_min(mono_min(v->connect_at, v->alive_at), mono_min(v->ctl_by, v->evt_by));

	loop_timer_set(v->timer, v->broken ? loop_now(v->loop) : d);
}

void vici_emit(struct vici *v, const struct vici_ev *in)
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

static void conn_close(struct vici_conn_io *c)
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
		vici_emit(v, &(struct vici_ev){ .kind = VICI_EV_DOWN, .errmsg = err_text(err) });
	}
}

int vici_flush(struct vici_conn_io *c)
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

void vici_send(struct vici *v, const struct vici_req *r)
{
	struct vici_conn_io *c = &v->conn[CONN_CTL];

	v->cur = *r;
	v->busy = true;
	v->sample = (struct ike_sample){ .present = false };
	v->ctl_by = mono_add(loop_now(v->loop), VICI_REPLY_NS);
	v->list_by = mono_add(loop_now(v->loop), VICI_LIST_NS);
	v->n.requests++;
	c->tx_off = 0;
	c->tx_len = vici_req_encode(r, c->tx, sizeof(c->tx));
	int rc = vici_flush(c);
	if (rc)
		v->broken = rc;
}

void vici_pump(struct vici *v)
{
	if (v->busy || v->broken || !v->ctl_ready)
		return;
	struct list *q = !list_empty(&v->urgent) ? &v->urgent : &v->normal;
	if (list_empty(q))
		return;
	struct vici_req *r = list_entry(q->next, struct vici_req, node);
	list_del(&r->node);
	v->queued--;
	vici_send(v, r);
	free(r);
}

void vici_maybe_ready(struct vici *v)
{
	if (v->state == VICI_READY || !v->ctl_ready || v->registered < VICI_EVENTS)
		return;
	v->state = VICI_READY;
	v->hung = false;
	v->last_err = 0;
	v->backoff_ns = 0;
	v->n.connects++;
	v->alive_at = mono_add(loop_now(v->loop), VICI_ALIVE_NS);
	log_notice(LOG_IKE, "IKE daemon at %s is ready: %s", v->path, v->version);
	vici_emit(v, &(struct vici_ev){ .kind = VICI_EV_UP });
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
	vici_pump(v);
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

static int grow_rx(struct vici_conn_io *c)
{
	uint8_t *p = realloc(c->rx, c->framer.need);

	if (!p)
		return -ENOMEM;
	c->rx = c->framer.buf = p;
	c->framer.cap = c->framer.need;
	return 0;
}

/* Feeds what was read; 0 or why the connection cannot go on. */
static int digest(struct vici_conn_io *c, const uint8_t *data, size_t n)
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
			vici_ctl_packet(v, &p);
		else
			vici_evt_packet(v, &p);
	}
	return v->broken;
}

static int read_some(struct vici_conn_io *c)
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
	struct vici_conn_io *c = arg;
	struct vici *v = c->v;
	int rc = 0;

	(void)fd;
	if (events & LOOP_WRITE)
		rc = vici_flush(c);
	if (rc == 0 && (events & LOOP_READ))
		rc = read_some(c);
	if (rc == 0)
		rc = v->broken;
	if (rc)
		lost(v, rc);
	rearm(v);
}

static int conn_open(struct vici_conn_io *c)
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
	vici_send(v, &(struct vici_req){ .job = JOB_VERSION });
	vici_register_next(v);
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
			vici_send(v, &(struct vici_req){ .job = JOB_VERSION });
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
		v->conn[i] = (struct vici_conn_io){ .v = v, .id = (enum vici_conn_id)i, .fd = -1 };
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
