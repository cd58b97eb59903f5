/* The engine's end of layers. */
#include "daemon/app_layer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/app_ctd.h"
#include "daemon/app_notify.h"
#include "daemon/base/clock.h"
#include "daemon/base/fd.h"
#include "daemon/base/log.h"
#include "daemon/dropin/kalive.h"
#include "daemon/dropin/layer_io.h"
#include "daemon/dropin/legacy.h"
#include "sync/peer_listen.h"

#define CONNS_MAX 4
#define RETRY_NS  (50 * NS_PER_MS)
#define MENDED_NS (5 * NS_PER_SEC)
#define REMIND_NS (600 * NS_PER_SEC)
#define RESUME_NS (1 * NS_PER_SEC) /* then a role that was to go on is what it is */
#define TRIES_MAX 60               /* of an attachment, until the role change that is in its way is over */

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
	struct layer_conn *owner;    /* of the path; NULL: none is attached */
	struct layer_conn *waits;    /* for the result of the reload */
	char path[LAYER_TEXT_MAX];   /* empty: none is attached */
	struct layer_conn *follower; /* whom the engine goes to; NULL: nobody */
	bool withdrawing;            /* it was, and the engine does not know yet that it is not */
	unsigned tries;
	struct legacy_area *area; /* ours; NULL: no memory for it, nobody can go on for us */
	int area_fd;
	struct legacy_area *old;                /* of the engine before; NULL: none */
	struct legacy held;                     /* of it */
	int listener[SYNC_LINKS_MAX];           /* copies; -1: none */
	struct loop_timer *remind, *resume_end; /* the heir says what it is */
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

/* ---- what is left behind ---- */

static void copy_text(char *out, size_t size, const char *text, uint8_t *has)
{
	snprintf(out, size, "%s", text ? text : "");
	*has = text != NULL;
}

static void describe_groups(struct app *a, struct legacy_area *area)
{
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		struct legacy_group *lg = &area->group[g];
		const struct legacy_group *was =
		    a->layer->old ? legacy_area_group(a->layer->old, a->cfg->groups[g].name, g) : NULL;
		/* Before it is clear what becomes of it, a role is what it was. */
		bool waits = was && (!a->running || a->group[g].resuming);
		bool master = waits && atomic_load(&was->master);
		snprintf(lg->name, sizeof(lg->name), "%s", a->cfg->groups[g].name);
		for (uint16_t m = 0; m < a->cfg->groups[g].n_members; m++)
			master |= a->node.inst[a->cfg->groups[g].members[m]].state == VRRP_MASTER;
		atomic_store(&lg->master, master);
		atomic_store(&lg->spoke, waits ? atomic_load(&was->spoke) : clock_mono().ns);
	}
}

/* What somebody needs to read our configuration as we did. */
static void describe(struct app *a, struct legacy_area *area)
{
	const struct cfg_how *how = &a->opt.how;
	const struct dconf_found *found = app_ctd_found(a) ? app_ctd_found(a) : app_layer_found(a);

	area->format = (int32_t)how->format;
	area->all_includes = how->all_includes;
	area->keep_at_stop = a->opt.keep_at_stop;
	area->realtime = a->cfg->realtime;
	copy_text(area->config_id, sizeof(area->config_id), how->config_id, &area->has_id);
	copy_text(area->namespace, sizeof(area->namespace), how->namespace, &area->has_namespace);
	copy_text(area->place, sizeof(area->place), how->place, &area->has_place);
	snprintf(area->run_dir, sizeof(area->run_dir), "%s", a->cfg->run_dir);
	snprintf(area->config, sizeof(area->config), "%s", a->config_path);
	if (found)
		area->found = *found;
	atomic_store(&area->epoch_counter, a->node.seen.counter);
	atomic_store(&area->epoch_node, a->node.seen.node);
	describe_groups(a, area);
	/* Of a conntrackd alone nothing is left but sessions, which are the kernel's. */
	atomic_store(&area->state, a->stopping ? LEGACY_ENDS : LEGACY_SERVES);
}

static void make_area(struct app_layer *l)
{
	legacy_area_unmap(l->area);
	if (l->area_fd >= 0)
		close(l->area_fd);
	l->area_fd = -1;
	l->area = l->a->opt.config ? legacy_area_new(l->a->cfg->n_groups, &l->area_fd) : NULL;
	if (l->area)
		describe(l->a, l->area);
}

/* Copies of everything that must not close with us. */
static void hand_over(struct app_layer *l, int to)
{
	struct app *a = l->a;
	int fds[SYNC_LINKS_MAX], pipe = a->guardian ? guardian_pipe(a->guardian) : -1;
	unsigned n = 0;

	if (!l->area)
		return;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		if (l->listener[i] >= 0)
			fds[n++] = l->listener[i];
	if (pipe >= 0)
		layer_send_fds(to, LAYER_HOLD, "guardian", &pipe, 1);
	if (l->fd >= 0)
		layer_send_fds(to, LAYER_HOLD, "rendezvous", &l->fd, 1);
	layer_send_fds(to, LAYER_HOLD, "listeners", fds, n);
	layer_send_fds(to, LAYER_HOLD, "area", &l->area_fd, 1); /* the last: with it, it is whole */
}

/* The configuration is another one: the owner's copies as well. */
static void describe_anew(struct app_layer *l)
{
	make_area(l);
	if (l->owner && l->area)
		layer_send_fds(l->owner->fd, LAYER_HOLD, "area", &l->area_fd, 1);
}

void app_layer_listener(struct app *a, unsigned link, int fd)
{
	struct app_layer *l = a->layer;
	int fds[SYNC_LINKS_MAX];
	unsigned n = 0;

	if (!l || link >= SYNC_LINKS_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (l->listener[link] >= 0)
		close(l->listener[link]);
	l->listener[link] = fd;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		if (l->listener[i] >= 0)
			fds[n++] = l->listener[i];
	if (l->owner && l->area)
		layer_send_fds(l->owner->fd, LAYER_HOLD, "listeners", fds, n);
}

/* Of both areas: until a layer has the new one, only the old one is held by somebody. */
static void note(struct app *a, uint16_t group, bool spoke, uint32_t master)
{
	struct legacy_area *const areas[] = { a->layer->area, a->layer->old };

	for (unsigned i = 0; i < 2; i++) {
		struct legacy_group *g =
		    areas[i] ? legacy_area_group(areas[i], a->cfg->groups[group].name, group) : NULL;
		if (g && spoke)
			atomic_store(&g->spoke, clock_mono().ns);
		else if (g)
			atomic_store(&g->master, master);
	}
}

void app_layer_spoke(struct app *a, uint16_t inst)
{
	if (a->layer && (a->layer->area || a->layer->old))
		note(a, a->cfg->instances[inst].group, true, 0);
}

void app_layer_state(struct app *a, uint16_t inst)
{
	uint16_t group = a->cfg->instances[inst].group;
	const struct cfg_group *g = &a->cfg->groups[group];
	bool master = false;

	if (!a->layer || (!a->layer->area && !a->layer->old))
		return;
	for (uint16_t m = 0; m < g->n_members; m++)
		master |= a->node.inst[g->members[m]].state == VRRP_MASTER;
	if (a->group[group].resuming && !master) /* it is on its way */
		return;
	note(a, group, false, master);
}

void app_layer_epoch(struct app *a)
{
	if (!a->layer || !a->layer->area)
		return;
	atomic_store(&a->layer->area->epoch_counter, a->node.seen.counter);
	atomic_store(&a->layer->area->epoch_node, a->node.seen.node);
}

void app_layer_ending(struct app *a)
{
	struct app_layer *l = a->layer;

	if (l && l->area)
		atomic_store(&l->area->state, LEGACY_ENDS);
	if (l && l->old)
		atomic_store(&l->old->state, LEGACY_ENDS);
}

bool app_layer_crash(struct app *a)
{
	return a->layer && a->layer->owner && a->layer->area && shutdown(a->layer->owner->fd, SHUT_RDWR) == 0;
}

/* ---- what was left to us ---- */

void app_layer_inherit(struct app *a)
{
	static struct legacy none;
	struct legacy *l = a->opt.legacy;

	if (!l) {
		l = &none;
		legacy_init(l);
		a->opt.legacy = l;
	}
	if (a->opt.rendezvous == 0) {
		a->opt.rendezvous = layer_take(a->cfg->run_dir, l);
		if (a->opt.rendezvous < 0)
			log_info(LOG_MAIN, "no conntrackd can join this process: %s",
				 a->opt.rendezvous == -EBUSY ? "another one has that place in this network namespace"
							     : strerror(-a->opt.rendezvous));
		if (a->opt.rendezvous < 0)
			a->opt.rendezvous = -1;
	}
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++) {
		if (l->listener[i] >= 0)
			peer_listen_inherit(l->listener[i]);
		l->listener[i] = -1;
	}
}

bool app_layer_inherited(const struct app *a)
{
	return a->layer && a->layer->old;
}

const struct dconf_found *app_layer_found(const struct app *a)
{
	return a->layer && a->layer->old ? &a->layer->old->found : NULL;
}

/* Nobody's timer can have run out since the last advert. */
static bool in_time(struct app *a, uint16_t g, const struct legacy_group *was)
{
	int64_t left = INT64_MAX;

	for (uint16_t m = 0; m < a->cfg->groups[g].n_members; m++) {
		const struct vrrp_conf *c = &a->cfg->instances[a->cfg->groups[g].members[m]];
		int64_t down = c->down_adverts * c->adv_ns;
		left = down < left ? down : left;
	}
	return clock_mono().ns - atomic_load(&was->spoke) < left;
}

void app_layer_resume(struct app *a)
{
	struct app_layer *l = a->layer;
	unsigned n = 0, late = 0;

	if (!l || !l->old)
		return;
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		const struct legacy_group *was = legacy_area_group(l->old, a->cfg->groups[g].name, g);
		if (!was || !atomic_load(&was->master))
			continue;
		bool go = in_time(a, g, was) && !a->maintenance_kept;
		if (!go)
			note(a, g, false, false);
		a->node.group[g].resuming = a->group[g].resuming = go;
		n += go;
		late += !go;
	}
	if (n)
		log_notice(LOG_MAIN, "%u group%s served by the process before go%s on without a change of role", n,
			   n == 1 ? "" : "s", n == 1 ? "es" : "");
	if (late)
		log_warn(
		    LOG_MAIN,
		    "%u group%s served by the process before: its last advert is too old, others may have taken over",
		    late, late == 1 ? "" : "s");
	if (n)
		loop_timer_set(l->resume_end, mono_add(clock_mono(), RESUME_NS));
}

void app_layer_resumed(struct app *a, uint16_t group)
{
	struct app_group *g = &a->group[group];

	if (!g->resuming)
		return;
	g->resuming = false;
	app_notify_resumed(a, group);
	for (uint16_t m = 0; m < a->cfg->groups[group].n_members; m++)
		app_layer_state(a, a->cfg->groups[group].members[m]);
}

static void on_resume_end(void *arg, mono_t deadline)
{
	struct app *a = ((struct app_layer *)arg)->a;

	(void)deadline;
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		app_layer_resumed(a, g);
		a->node.group[g].resuming = false;
	}
}

void app_layer_settled(struct app *a)
{
	if (a->layer)
		legacy_release_guardians(&a->layer->held);
}

const char *app_layer_heir_of(const struct app *a)
{
	return a->opt.heir ? a->opt.config : "";
}

/* An heir that nobody relieves is what somebody should look at: said at once, and again and again. */
static void on_remind(void *arg, mono_t deadline)
{
	struct app_layer *l = arg;

	log_warn(
	    LOG_MAIN,
	    "the program that served %s has died: conntrackd serves its virtual routers and goes on until that program "
	    "is started again; ending conntrackd gives them to another router",
	    l->a->opt.config);
	loop_timer_set(l->remind, mono_add(deadline, REMIND_NS));
}

/* ---- messages ---- */

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
		hand_over(l, c->fd);
		reload_soon(l);
	}
}

static int copy(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_LISTENER);
}

/* Until the one that comes has taken us in as a layer, all of it stays here as well. */
static void keep_copies(struct app_layer *l, int successor)
{
	struct app *a = l->a;
	struct legacy *k = a->opt.legacy;
	int pipe = a->guardian ? copy(guardian_pipe(a->guardian)) : -1;

	legacy_init(k);
	k->successor = successor < 0 ? -1 : successor;
	if (!a->opt.heir)
		return;
	k->area = copy(l->area_fd);
	k->rendezvous = copy(l->fd);
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		k->listener[i] = copy(l->listener[i]);
	if (pipe >= 0)
		legacy_take(k, "guardian", &pipe, 1);
}

/* A role is between two processes, or between two routers. */
static bool moves(const struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		if (a->group[g].resuming || a->node.group[g].role.state != ROLE_STABLE)
			return true;
	return false;
}

/* All the time that other routers wait is the next engine's. */
static void speak_once_more(struct app *a)
{
	for (uint16_t i = 0; i < a->node.n_inst; i++)
		if (a->node.inst[i].state == VRRP_MASTER)
			app_vrrp_advert(a, i, a->node.inst[i].priority);
}

/*
 * Without virtual routers nothing of this process's is in the kernel but copies, which stay. An heir gives back what it has:
 * nothing is touched, the other one goes on with it.
 */
static void yield(struct layer_conn *c, const char *place)
{
	struct app *a = c->l->a;
	bool back = a->opt.heir && strcmp(place, a->cfg->run_dir) == 0;

	if (!back && (a->opt.config || !a->opt.how.conntrackd)) {
		refuse(c, "virtual routers are served here");
		return;
	}
	if (!a->running || a->stopping || (back && moves(a))) { /* it asks again */
		conn_close(c);
		return;
	}
	int successor = layer_peer_pidfd(c->fd);
	if (successor == -ESRCH || layer_send(c->fd, LAYER_HOLD, "-") < 0) { /* it asked, and has died meanwhile */
		if (successor >= 0)
			close(successor);
		conn_close(c);
		return;
	}
	log_notice(LOG_MAIN, "another program takes the engine over; this one becomes a part of it");
	if (back) {
		speak_once_more(a);
		hand_over(c->l, c->fd);
		c->l->follower = c;
	}
	keep_copies(c->l, successor);
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
		yield(c, m.text);
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
		c->fd = fd_raise(client, FD_LAYER);
		c->on_fd = loop_fd_new(l->a->loop, c->fd, LOOP_READ, LOOP_NORMAL, on_message, c);
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
	if (!why) {
		l->withdrawing = false;
		describe_anew(l);
	}
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

/* It may not have got to the disk. */
static void learn_epoch(struct app *a)
{
	const struct legacy_area *old = a->layer->old;

	if (!old)
		return;
	struct epoch e = { atomic_load(&old->epoch_counter), atomic_load(&old->epoch_node) };
	if (epoch_cmp(e, a->node.seen) > 0) {
		a->node.seen = e;
		app_epoch(a, e);
	}
}

/* A tunnel learns that it is wanted before its IKE daemon answers: it is looked for then, and not purged. */
static void want_tunnels(struct app *a)
{
	for (uint16_t t = 0; a->layer->old && t < a->node.n_tunnels; t++) {
		uint16_t g = a->node.tunnel[t].conf.group;
		const struct legacy_group *was =
		    g < a->cfg->n_groups ? legacy_area_group(a->layer->old, a->cfg->groups[g].name, g) : NULL;
		struct ike_ev ike = { .kind = IKE_EV_INITIATE, .epoch = a->node.seen };
		struct node_ev ev = { .type = NODE_EV_IKE, .tunnel = t, .ike = &ike };
		if (was && atomic_load(&was->master) && in_time(a, g, was))
			app_feed(a, &ev);
	}
}

int app_layer_start(struct app *a)
{
	struct app_layer *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	a->layer = l;
	l->a = a;
	l->fd = a->opt.rendezvous;
	layer_listen(l->fd);
	l->area_fd = -1;
	l->held = *a->opt.legacy;
	legacy_init(a->opt.legacy);
	l->old = legacy_area_map(l->held.area);
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		l->listener[i] = -1;
	for (unsigned i = 0; i < CONNS_MAX; i++)
		l->conn[i] = (struct layer_conn){ .l = l, .fd = -1 };
	l->again = loop_timer_new(a->loop, LOOP_NORMAL, on_again, l);
	if (l->fd >= 0)
		l->on_accept = loop_fd_new(a->loop, l->fd, LOOP_READ, LOOP_NORMAL, on_accept, l);
	l->remind = loop_timer_new(a->loop, LOOP_NORMAL, on_remind, l);
	l->resume_end = loop_timer_new(a->loop, LOOP_NORMAL, on_resume_end, l);
	if (!l->again || !l->remind || !l->resume_end || (!l->on_accept && l->fd >= 0))
		return -ENOMEM;
	make_area(l);
	learn_epoch(a);
	want_tunnels(a);
	if (a->opt.heir)
		on_remind(l, clock_mono());
	return 0;
}

void app_layer_stop(struct app *a)
{
	struct app_layer *l = a->layer;

	if (!l)
		return;
	loop_fd_free(l->on_accept);
	loop_timer_free(l->again);
	loop_timer_free(l->remind);
	loop_timer_free(l->resume_end);
	for (unsigned i = 0; i < CONNS_MAX; i++)
		loop_fd_free(l->conn[i].on_fd);
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		app_layer_listener(a, i, -1);
	if (l->follower)
		shutdown(l->follower->fd, SHUT_RDWR);
	legacy_area_unmap(l->area);
	legacy_area_unmap(l->old);
	legacy_close(&l->held);
	/* Descriptors are closed by the end of the process, or by what it becomes: not before its threads have ended. */
	free(l);
	a->layer = NULL;
}
