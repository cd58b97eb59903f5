/* The engine's end of layers. */
#include "daemon/app_layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/dropin/layer_io.h"

#define CONNS_MAX 4
#define RETRY_NS  (50 * NS_PER_MS)
#define MENDED_NS (5 * NS_PER_SEC)
#define TRIES_MAX 60 /* of an attachment, until the role change that is in its way is over */

struct layer_conn {
	struct app_layer *l;
	int fd; /* -1: free */
	struct loop_fd *on_fd;
};

struct app_layer {
	struct app *a;
	int fd;
	struct loop_fd *on_accept;
	struct loop_timer *again; /* a reload has to be done */
	struct layer_conn conn[CONNS_MAX];
	struct layer_conn *owner;  /* of the path; NULL: none is attached */
	struct layer_conn *waits;  /* for the result of the reload */
	char path[LAYER_TEXT_MAX]; /* empty: none is attached */
	bool withdrawing;          /* it was, and the engine does not know yet that it is not */
	unsigned tries;
};

static void conn_close(struct layer_conn *c)
{
	loop_fd_free(c->on_fd);
	c->on_fd = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void reload_soon(struct app_layer *l)
{
	loop_timer_set(l->again, clock_mono());
}

static void forget(struct app_layer *l, struct layer_conn *c)
{
	if (l->waits == c)
		l->waits = NULL;
	if (l->owner == c) {
		l->owner = NULL;
		l->path[0] = '\0';
		l->withdrawing = true;
		log_notice(LOG_CFG, "conntrackd has ended: its configuration is taken back");
		reload_soon(l);
	}
	conn_close(c);
}

static void refuse(struct layer_conn *c, const char *why)
{
	layer_send(c->fd, LAYER_NO, why);
}

static void attach(struct layer_conn *c, const char *path)
{
	struct app_layer *l = c->l;

	if (l->owner && l->owner != c) {
		refuse(c, "another conntrackd is part of this engine already");
	} else if (l->a->opt.how.conntrackd) {
		refuse(c, "a conntrackd is running in this network namespace already");
	} else if (path[0] != '/' || l->waits) {
		refuse(c, "not now");
	} else {
		l->owner = l->waits = c;
		l->tries = 0;
		snprintf(l->path, sizeof(l->path), "%s", path);
		reload_soon(l);
	}
}

/* Without virtual routers nothing of this process's is in the kernel but copies, which stay. */
static void yield(struct layer_conn *c)
{
	struct app *a = c->l->a;

	if (a->opt.config || !a->opt.how.conntrackd) {
		refuse(c, "virtual routers are served here");
		return;
	}
	log_notice(LOG_MAIN, "another program takes the engine over; this one becomes a part of it");
	layer_send(c->fd, LAYER_OK, NULL);
	loop_fd_free(c->l->on_accept); /* the name is free from now on */
	c->l->on_accept = NULL;
	close(c->l->fd);
	c->l->fd = -1;
	a->yielding = true;
	a->exit_status = APP_YIELDED;
	app_begin_stop(a);
}

static void on_message(void *arg, int fd, unsigned events)
{
	struct layer_conn *c = arg;
	struct app_layer *l = c->l;
	char in[LAYER_MSG_MAX];
	struct layer_msg m;
	ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	enum layer_msg_type t = n > 0 ? layer_decode(in, (size_t)n, &m) : LAYER_BAD;
	if (t == LAYER_ATTACH) {
		attach(c, m.text);
	} else if (t == LAYER_YIELD) {
		yield(c);
	} else if (t == LAYER_RELOAD && l->owner == c) {
		l->waits = c;
		reload_soon(l);
	} else {
		forget(l, c);
	}
}

static void on_accept(void *arg, int fd, unsigned events)
{
	struct app_layer *l = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (client < 0)
		return;
	for (unsigned i = 0; i < CONNS_MAX && layer_trusted(client); i++) {
		struct layer_conn *c = &l->conn[i];
		if (c->fd >= 0)
			continue;
		c->fd = client;
		c->on_fd = loop_fd_new(l->a->loop, client, LOOP_READ, LOOP_NORMAL, on_message, c);
		if (!c->on_fd)
			conn_close(c);
		return;
	}
	close(client);
}

static void on_again(void *arg, mono_t deadline)
{
	struct app_layer *l = arg;

	(void)deadline;
	if (l->a->stopping)
		return;
	if (l->a->running)
		app_reload(l->a);
	else
		loop_timer_set(l->again, mono_add(clock_mono(), RETRY_NS));
}

void app_layer_judged(struct app *a, const char *why)
{
	struct app_layer *l = a->layer;

	if (!l)
		return;
	/* What is in the way goes by itself, or has to be mended by somebody. */
	bool passing = why && strstr(why, "try again");
	if (passing && (l->withdrawing || (l->waits && ++l->tries < TRIES_MAX))) {
		loop_timer_set(l->again, mono_add(clock_mono(), RETRY_NS));
		return;
	}
	if (why && l->withdrawing && !l->waits)
		loop_timer_set(l->again, mono_add(clock_mono(), MENDED_NS));
	if (!why)
		l->withdrawing = false;
	struct layer_conn *c = l->waits;
	l->waits = NULL;
	if (!c)
		return;
	if (!why) {
		layer_send(c->fd, LAYER_OK, NULL);
		return;
	}
	refuse(c, why);
	if (!a->cfg->conntrackd) { /* it never was in force */
		l->owner = NULL;
		l->path[0] = '\0';
	}
}

const char *app_layer_conntrackd(const struct app *a)
{
	return a->layer && a->layer->path[0] ? a->layer->path : NULL;
}

bool app_layer_end(struct app *a)
{
	return a->layer && a->layer->owner && layer_send(a->layer->owner->fd, LAYER_END, NULL) == 0;
}

int app_layer_start(struct app *a)
{
	struct app_layer *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	a->layer = l;
	l->a = a;
	l->fd = a->opt.rendezvous;
	for (unsigned i = 0; i < CONNS_MAX; i++)
		l->conn[i] = (struct layer_conn){ .l = l, .fd = -1 };
	l->again = loop_timer_new(a->loop, LOOP_NORMAL, on_again, l);
	if (l->fd >= 0)
		l->on_accept = loop_fd_new(a->loop, l->fd, LOOP_READ, LOOP_NORMAL, on_accept, l);
	return l->again && (l->on_accept || l->fd < 0) ? 0 : -ENOMEM;
}

void app_layer_stop(struct app *a)
{
	struct app_layer *l = a->layer;

	if (!l)
		return;
	loop_fd_free(l->on_accept);
	loop_timer_free(l->again);
	for (unsigned i = 0; i < CONNS_MAX; i++)
		loop_fd_free(l->conn[i].on_fd);
	/* Descriptors are closed by the end of the process, or by what it becomes: not before its threads have ended. */
	free(l);
	a->layer = NULL;
}
