#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/base/require.h"
#include "daemon/file_io.h"
#include "daemon/guardian.h"
#include "daemon/kernel_thread.h"
#include "daemon/netapply.h"
#include "daemon/route_list.h"
#include "daemon/rtnl_link.h"

#define LIST_GAP_MIN_NS (50 * NS_PER_MS)  /* between two lists of our routes */
#define LIST_CHECK_NS   (10 * NS_PER_SEC) /* without a reason */

#define LINK_CHUNK      2
#define LAST_CHUNK      4 /* the last addresses of many */

struct netapply {
	struct netapply_conf conf;
	struct netstate ns;
	struct rtnl_io *io;
	struct loop_timer *timer;
	uint32_t batches; /* on their way through KERNEL */
	bool told_synced;
	bool running, again; /* a hook called back into us */
	unsigned held;
	bool held_back;    /* something was asked for meanwhile */
	bool own_failed;   /* the file on disk is not the list */
	uint32_t promotes; /* jobs about promote_secondaries on their way */
	bool ending, promoted_back;
	bool promote_told; /* that others' addresses could not be protected was said */
	int own_err;
	struct route_list list; /* KERNEL's while list_busy */
	bool list_busy;
	bool listed;           /* the first list was taken, or none is needed */
	mono_t list_at;        /* not before */
	mono_t list_check;     /* even without a reason */
	struct own_entry *own; /* room for the list, NET_OBJECTS_MAX */
	struct net_status last[NET_STATIC + 1];
};

static void run(struct netapply *na);

/* Work that follows from events is done once per pass of the loop, however many events there were. */
static void run_soon(struct netapply *na)
{
	loop_timer_set(na->timer, clock_mono());
}

/* ---- ownership file ---- */

static void own_done(struct kt_job *job)
{
	struct netapply *na = job->arg;
	if (job->result < 0 && na->own_err == 0)
		log_err(LOG_NET,
			"%s: %s: after a crash nobody could tell which addresses are ours; check the run directory",
			job->file.path, err_text(job->result));
	else if (job->result == 0 && na->own_err < 0)
		log_notice(LOG_NET, "%s: written again", job->file.path);
	na->own_err = job->result;
	na->own_failed |= job->result < 0;
}

/* Always of the highest priority: two writes of different priority could end in the wrong order. */
static void own_write(struct netapply *na)
{
	uint32_t n = netstate_own_list(&na->ns, na->own, NET_OBJECTS_MAX);
	size_t size = ownfile_size(na->own, n);
	struct kt_job *job = kt_job_new(KT_FILE, KT_PROMOTE, own_done, na);
	uint8_t *data = malloc(size);
	na->own_failed = true;
	if (!job || !data) {
		kt_job_free(job);
		free(data);
		return;
	}
	memcpy(job->file.path, na->conf.own_path, sizeof(job->file.path));
	job->file.data = data;
	job->file.len = ownfile_encode(na->own, n, data, size);
	job->file.mode = 0600;
	require(job->file.len == size);
	if (kernel_thread_submit(na->conf.kt, job) == 0)
		na->own_failed = false;
	else
		kt_job_free(job);
}

static const char *own_read(struct netapply *na)
{
	uint8_t *data = NULL;
	size_t len = 0;
	uint32_t n = 0;
	int rc = file_io_read(na->conf.own_path, OWNFILE_BYTES_MAX, &data, &len);
	if (rc < 0)
		return rc == -ENOENT ? NULL : err_text(rc);
	enum ownfile_drop d = ownfile_decode(data, len, na->own, NET_OBJECTS_MAX, &n);
	free(data);
	if (d != OWNFILE_OK)
		return ownfile_text(d);
	netstate_own_load(&na->ns, na->own, n);
	return NULL;
}

/* ---- operations ---- */

static void batch_done(struct kt_job *job)
{
	struct netapply *na = job->arg;
	struct kt_rtnl *b = job->rtnl;
	na->batches--;
	for (unsigned i = 0; i < b->n; i++) {
		netstate_done(&na->ns, &b->op[i], b->result[i], clock_mono());
		if (na->conf.hooks.acked)
			na->conf.hooks.acked(na->conf.hooks.arg, &b->op[i], b->result[i], job->ended);
	}
	run_soon(na);
}

/* ---- promote_secondaries ---- */

struct promote {
	char path[96];
	bool set;     /* to 1 where it is 0; false: back to 0 */
	bool changed; /* by KERNEL: it was 0 */
};

/* Runs on KERNEL. */
static int promote_run(void *ctx)
{
	struct promote *p = ctx;
	char now = '0';
	int fd = open(p->path, O_RDWR | O_CLOEXEC), rc = 0;
	if (fd < 0)
		return -errno;
	if (p->set && read(fd, &now, 1) != 1)
		rc = -EIO;
	else if (!p->set || now == '0')
		rc = pwrite(fd, p->set ? "1" : "0", 1, 0) == 1 ? 0 : -errno;
	p->changed = p->set && rc == 0 && now == '0';
	close(fd);
	return rc;
}

static void promote_done(struct kt_job *job)
{
	struct netapply *na = job->arg;
	struct promote *p = job->call.ctx;
	const struct net_link *l = netstate_link(&na->ns, (int)job->cookie);
	if (p->changed && l)
		netstate_link_mark(&na->ns, l->index, true);
	if (job->result < 0 && job->result != -ENOENT && !na->promote_told) {
		na->promote_told = true;
		log_notice(LOG_NET,
			   "%s: %s: where one of our IPv4 addresses came first in its subnet, the kernel deletes later "
			   "ones of others together with it; set it to 1",
			   p->path, err_text(job->result));
	}
	na->promotes--;
	free(p);
}

static void promote_send(struct netapply *na, const struct net_link *l, bool set)
{
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, promote_done, na);
	struct promote *p = calloc(1, sizeof(*p));
	if (job && p) {
		snprintf(p->path, sizeof(p->path), "/proc/sys/net/ipv4/conf/%s/promote_secondaries", l->name);
		p->set = set;
		job->call.fn = promote_run;
		job->call.ctx = p;
		job->cookie = (uint64_t)l->index;
		if (kernel_thread_submit(na->conf.kt, job) == 0) {
			na->promotes++;
			return;
		}
	}
	free(p);
	kt_job_free(job);
}

/*
 * The kernel deletes a subnet's later IPv4 addresses together with its first one, unless promote_secondaries is set.
 * An interface's own address may well come later than a virtual one, for instance after an ifdown and ifup.
 */
static void protect_others(struct netapply *na, const struct net_op *op, unsigned n)
{
	int last = 0;
	for (unsigned i = 0; na->conf.promote_secondaries && i < n; i++) {
		const struct net_link *l = netstate_link(&na->ns, op[i].ifindex);
		if (op[i].what != NET_ADDR || op[i].addr.af != ADDR_V4 || op[i].ifindex == last || !l)
			continue;
		last = op[i].ifindex;
		promote_send(na, l, true);
	}
}

static void promote_back(struct netapply *na)
{
	const struct net_link *l;
	for (uint32_t iter = 0; (l = netstate_link_marked(&na->ns, &iter)) != NULL;) {
		promote_send(na, l, false);
		netstate_link_mark(&na->ns, l->index, false);
	}
}

void netapply_promote(struct netapply *na, bool on)
{
	na->conf.promote_secondaries = on;
	if (!on)
		promote_back(na);
}

/* The message of an operation; 0 when it cannot be told any more what the object is. */
static size_t encode(const struct netapply *na, const struct net_op *op, uint8_t *buf, size_t cap, bool ack)
{
	bool add = op->kind == NET_OP_ADD;
	struct rtnl_link l;
	struct rtnl_route route;
	struct rule rule;
	switch (op->what) {
	case NET_LINK:
		if (!add)
			return rtnl_link_del(buf, cap, op->ifindex, 0, ack);
		return netstate_op_link(&na->ns, op, &l) ? rtnl_link_create(buf, cap, &l, 0, ack) : 0;
	case NET_LINK_UP:
		return rtnl_wire_link_up(buf, cap, op->ifindex, add, 0, ack);
	case NET_ADDR:
		return rtnl_wire_addr(buf, cap, op, 0, na->ns.marks, ack);
	case NET_ROUTE:
		if (!netstate_op_route(&na->ns, op, &route))
			return 0;
		return add ? rtnl_route_create(buf, cap, &route, 0, ack) : rtnl_route_del(buf, cap, &route, 0, ack);
	case NET_RULE:
		if (!netstate_op_rule(&na->ns, op, &rule))
			return 0;
		return add ? rtnl_rule_create(buf, cap, &rule, 0, ack) : rtnl_rule_del(buf, cap, &rule, 0, ack);
	}
	return 0;
}

static void send_chunk(struct netapply *na, enum net_op_kind kind, const struct net_op *op, unsigned n)
{
	struct kt_job *job = kt_job_new(KT_RTNL, kind == NET_OP_ADD ? KT_PROMOTE : KT_DEMOTE, batch_done, na);
	uint8_t msg[RTNL_MSG_MAX];
	for (unsigned i = 0; job && i < n; i++) {
		size_t len = encode(na, &op[i], msg, sizeof(msg), true);
		require(len > 0);
		kt_job_add(job, &op[i], msg, len);
	}
	if (job && kernel_thread_submit(na->conf.kt, job) == 0) {
		na->batches++;
		if (kind == NET_OP_ADD)
			protect_others(na, op, n);
		return;
	}
	kt_job_free(job);
	for (unsigned i = 0; i < n; i++) /* not sent: again after the back-off */
		netstate_done(&na->ns, &op[i], -EAGAIN, clock_mono());
}

static bool is_link(const struct net_op *op)
{
	return op->what == NET_LINK || op->what == NET_LINK_UP;
}

/* Each interface that goes down or away takes the kernel 10 to 20 ms: a promotion must not wait for fifty of them. */
static void send_dels(struct netapply *na, const struct net_op *op, unsigned n)
{
	for (unsigned at = 0, step; at < n; at += step) {
		bool link = is_link(&op[at]);
		for (step = 1; at + step < n && is_link(&op[at + step]) == link; step++)
			if (link && step == LINK_CHUNK)
				break;
		send_chunk(na, NET_OP_DEL, op + at, step);
	}
}

/* Addresses are announced when their chunk is done: at the end of a takeover that of the last one is all that is waited
 * for, so the last one goes out in ever smaller pieces. */
static void send_last(struct netapply *na, enum net_op_kind kind, const struct net_op *op, unsigned n)
{
	while (n > LAST_CHUNK) {
		unsigned half = (n + 1) / 2;
		send_chunk(na, kind, op, half);
		op += half;
		n -= half;
	}
	send_chunk(na, kind, op, n);
}

static void send_kind(struct netapply *na, enum net_op_kind kind)
{
	struct net_op chunk[2][NET_CHUNK];
	unsigned at = 0, next, n = netstate_diff(&na->ns, kind, clock_mono(), chunk[at]);
	for (; n > 0; n = next, at = !at) {
		/* Ahead of the addition: the queue keeps the order. */
		if (netstate_own_dirty(&na->ns))
			own_write(na);
		next = n < NET_CHUNK ? 0 : netstate_diff(&na->ns, kind, clock_mono(), chunk[!at]);
		if (kind == NET_OP_DEL)
			send_dels(na, chunk[at], n);
		else if (next > 0)
			send_chunk(na, kind, chunk[at], n);
		else
			send_last(na, kind, chunk[at], n);
	}
}

/* ---- telling others ---- */

/* The guardian deletes addresses first and takes links down after them: it keeps them apart. */
static void tell_guardian(struct netapply *na)
{
	struct net_owned o;
	uint8_t msg[RTNL_MSG_MAX];
	while (netstate_changed_owned(&na->ns, &o)) {
		if (!na->conf.guardian)
			continue;
		bool link = o.del.what == NET_LINK_UP;
		size_t len = o.ours ? encode(na, &o.del, msg, sizeof(msg), false) : 0;
		if (o.del.what >= NET_ROUTE)
			guardian_route_set(na->conf.guardian, o.obj, msg, len);
		else if (link)
			require(guardian_link_set(na->conf.guardian, o.obj, msg, len) == 0);
		else if (len)
			require(guardian_object_set(na->conf.guardian, o.obj, msg, len) == 0);
		else
			guardian_object_withdraw(na->conf.guardian, o.obj);
	}
}

static void tell_links(struct netapply *na)
{
	struct net_link l;
	while (netstate_changed_link(&na->ns, &l))
		if (na->conf.hooks.link)
			na->conf.hooks.link(na->conf.hooks.arg, &l);
}

static bool status_eq(const struct net_status *a, const struct net_status *b)
{
	return a->state == b->state && a->total == b->total && a->present == b->present && a->foreign == b->foreign &&
	       a->failed == b->failed && a->waiting == b->waiting && a->err == b->err && a->obj == b->obj &&
	       strcmp(a->ifname, b->ifname) == 0;
}

static void tell_groups(struct netapply *na)
{
	uint16_t g;
	while (netstate_touched_group(&na->ns, &g)) {
		struct net_status st = netstate_status(&na->ns, g);
		if (status_eq(&st, &na->last[g]))
			continue;
		na->last[g] = st;
		if (na->conf.hooks.group)
			na->conf.hooks.group(na->conf.hooks.arg, g, &st);
	}
}

/* ---- routes and rules of ours ---- */

static void list_done(struct kt_job *job)
{
	struct netapply *na = job->arg;
	na->list_busy = false;
	na->list_at = mono_add(job->ended, LIST_GAP_MIN_NS);
	/* A large table is walked for long: then not so often. One part in fifty of the time is enough. */
	na->list_at = mono_max(na->list_at, mono_add(job->ended, 50 * mono_sub(job->ended, job->begun)));
	if (job->result == 0) {
		route_list_tell(&na->list, &na->ns);
		netstate_routes_end(&na->ns);
		na->list_check = mono_add(na->list_at, LIST_CHECK_NS);
	} else {
		log_warn(LOG_NET, "our routes could not be listed: %s; asking again", strerror(-job->result));
		na->ns.routes_wanted = true;
	}
	route_list_free(&na->list);
	na->listed = true;
	run_soon(na);
}

/*
 * A list is taken on KERNEL, where it holds up no advert. Somebody who replaces a route of ours by one of another
 * protocol causes no event that passes our filter: therefore also now and then without a reason.
 */
static void list_routes(struct netapply *na, mono_t now)
{
	bool check = na->ns.n_present && mono_due(na->list_check, now);
	if (!na->ns.synced) /* routes are told apart by the numbers of links */
		return;
	if (na->list_busy || (na->ns.routes_wanted && !mono_due(na->list_at, now)))
		return;
	if (!netstate_routes_wanted(&na->ns) && !check)
		return;
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, list_done, na);
	if (job) {
		job->call.fn = route_list_take;
		job->call.ctx = &na->list;
		na->list_busy = kernel_thread_submit(na->conf.kt, job) == 0;
	}
	if (na->list_busy) {
		netstate_routes_begin(&na->ns);
		return;
	}
	kt_job_free(job);
	na->ns.routes_wanted = true;
	na->list_at = mono_add(now, LIST_GAP_MIN_NS);
}

/* When list_routes has work next. */
static mono_t list_deadline(const struct netapply *na)
{
	mono_t at = na->ns.n_present ? na->list_check : MONO_NEVER;
	return na->list_busy || !na->ns.synced ? MONO_NEVER : na->ns.routes_wanted ? mono_min(at, na->list_at) : at;
}

static void tell_lost(struct netapply *na)
{
	struct net_op op;
	while (netstate_lost(&na->ns, &op))
		if (na->conf.hooks.lost)
			na->conf.hooks.lost(na->conf.hooks.arg, &op);
}

static void pass(struct netapply *na)
{
	list_routes(na, clock_mono());
	netstate_tick(&na->ns, clock_mono());
	/* Leftovers are known when the routes of an earlier process are, if its file names any. */
	if (na->ns.synced && !na->told_synced && !na->listed)
		return;
	if (na->ns.synced && !na->told_synced) {
		na->told_synced = true;
		tell_links(na);
		if (na->conf.hooks.synced)
			na->conf.hooks.synced(na->conf.hooks.arg);
	}
	tell_links(na);
	send_kind(na, NET_OP_ADD);
	send_kind(na, NET_OP_DEL);
	tell_guardian(na);
	if (netstate_own_dirty(&na->ns) || na->own_failed ||
	    (na->batches == 0 && na->ns.synced && netstate_own_stale(&na->ns)))
		own_write(na);
	tell_groups(na);
	tell_lost(na);
	/* Last of all: as long as addresses of ours are deleted, those of others need it. */
	if (na->ending && !na->promoted_back && na->batches == 0 && netstate_ended(&na->ns)) {
		na->promoted_back = true;
		promote_back(na);
	}
	if (netstate_dump_wanted(&na->ns))
		rtnl_io_dump(na->io);
}

void netapply_hold(struct netapply *na, bool on)
{
	require(on || na->held);
	na->held += on ? 1u : -1u;
	if (na->held || !na->held_back)
		return;
	na->held_back = false;
	run(na);
}

static void run(struct netapply *na)
{
	if (na->held) {
		na->held_back = true;
		return;
	}
	if (na->ns.declaring)
		return; /* the caller is not done; it kicks us when it is */
	if (na->running) {
		na->again = true;
		return;
	}
	na->running = true;
	/* Hooks may change what is wanted; a second pass serves that, a third one comes with the timer. */
	for (unsigned i = 0; i < 2; i++) {
		na->again = false;
		pass(na);
		if (!na->again)
			break;
	}
	na->running = false;
	mono_t next = mono_min(netstate_deadline(&na->ns), list_deadline(na));
	loop_timer_set(na->timer, na->again ? clock_mono() : next);
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	run(arg);
}

static void on_burst(void *arg)
{
	run_soon(arg);
}

/* ---- public ---- */

struct netapply *netapply_new(const struct netapply_conf *c, const char **why)
{
	struct netapply *na = calloc(1, sizeof(*na));
	*why = NULL;
	if (!na)
		return NULL;
	na->conf = *c;
	na->own = calloc(NET_OBJECTS_MAX, sizeof(*na->own));
	int rc = na->own ? netstate_init(&na->ns, rtnl_io_marks_supported()) : -ENOMEM;
	if (rc < 0) {
		free(na->own);
		free(na);
		errno = -rc;
		return NULL;
	}
	if (!na->ns.marks)
		log_warn(LOG_NET,
			 "this kernel keeps no mark on addresses (IFA_PROTO, Linux 5.18): the ownership file alone "
			 "tells which ones are ours");
	*why = own_read(na);
	/* Loaded routes ask for the list that tells whether they are still there. */
	na->ns.routes_wanted = na->ns.n_routes > 0;
	na->listed = na->ns.n_routes == 0;
	na->timer = loop_timer_new(c->loop, LOOP_NORMAL, on_timer, na);
	if (na->timer)
		na->io = rtnl_io_new(c->loop, &na->ns, on_burst, na);
	if (na->io)
		return na;
	int err = errno;
	netapply_free(na);
	errno = err;
	return NULL;
}

void netapply_free(struct netapply *na)
{
	if (!na)
		return;
	route_list_free(&na->list);
	rtnl_io_free(na->io);
	loop_timer_free(na->timer);
	netstate_free(&na->ns);
	free(na->own);
	free(na);
}

struct netstate *netapply_state(struct netapply *na)
{
	return &na->ns;
}

void netapply_prepare(struct netapply *na, uint16_t group)
{
	netstate_group_prepare(&na->ns, group);
	if (na->held) /* one list for all groups of this step; it goes ahead of the addresses all the same */
		na->held_back = true;
	else if (netstate_own_dirty(&na->ns))
		own_write(na);
}

void netapply_set(struct netapply *na, uint16_t group, enum net_mode mode)
{
	netstate_group_set(&na->ns, group, mode);
	run(na);
}

struct net_status netapply_status(const struct netapply *na, uint16_t group)
{
	return netstate_status(&na->ns, group);
}

void netapply_kick(struct netapply *na)
{
	run(na);
}

/* One by one the kernel would take 20 ms for each interface: all in one step, if every one with the mark is ours. */
static void drop_links(struct netapply *na)
{
	uint8_t msg[RTNL_MSG_MAX];
	struct net_op op = { .kind = NET_OP_DEL, .what = NET_LINK, .group = NET_NO_GROUP };
	if (netstate_links_marked(&na->ns) < 2)
		return;
	/* Ahead of what waits to take them down: those messages find nothing any more. */
	struct kt_job *job = kt_job_new(KT_RTNL, KT_PROMOTE, NULL, NULL);
	size_t len = rtnl_link_del_group(msg, sizeof(msg), NET_MARK, 0, true);
	if (!job || kt_job_add(job, &op, msg, len) < 0 || kernel_thread_submit(na->conf.kt, job) < 0)
		kt_job_free(job);
}

void netapply_end(struct netapply *na)
{
	drop_links(na);
	netstate_end(&na->ns);
	na->ending = true;
	run(na);
}

bool netapply_ended(const struct netapply *na)
{
	return na->batches == 0 && na->promotes == 0 && netstate_ended(&na->ns) && na->promoted_back;
}

struct rtnl_io *netapply_rtnl(struct netapply *na)
{
	return na->io;
}

int netapply_own_err(const struct netapply *na)
{
	return na->own_err;
}
