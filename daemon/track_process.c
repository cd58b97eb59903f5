/*
 * Tracked processes. The proc connector of the kernel tells which process began, was renamed or ended; what a process is
 * called is read from /proc by kt-disk, because the command line of a process can keep its reader waiting. Where the
 * kernel tells nothing (another network or pid namespace, no privilege) all of /proc is read once a second.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/track_look.h"
#include "daemon/track_text.h"

#define SCAN_NS  (1 * NS_PER_SEC)  /* without events */
#define AUDIT_NS (30 * NS_PER_SEC) /* with events: what they missed */
#define ACK_NS   (1 * NS_PER_SEC)  /* the kernel's answer to the request for events */
#define PIDS_MAX 256               /* to look at; of more everything is looked at */
#define RCVBUF   (1 << 20)
#define MSG_MAX  256

struct process {
	struct track_item head;
	struct track_delay delay;
	pid_t *pid; /* of those that match, sorted */
	uint32_t n, cap;
	bool known;
};

struct track_processes {
	struct app_track *t;
	struct track_list list;
	int fd; /* of the connector; -1: none */
	struct loop_fd *lf;
	struct loop_timer *timer;
	bool acked, refused;     /* events come; they do not */
	struct track_look *look; /* under way */
	uint32_t generation;
	bool all_wanted;
	pid_t wanted[PIDS_MAX];
	unsigned n_wanted;
	pid_t gone[PIDS_MAX]; /* ended while a look was under way */
	unsigned n_gone;
};

/* ---- sets of pids ---- */

static int pid_cmp(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return x < y ? -1 : x > y;
}

static bool has_pid(const struct process *p, pid_t pid)
{
	return p->n && bsearch(&pid, p->pid, p->n, sizeof(pid), pid_cmp);
}

static void drop_pid(struct process *p, pid_t pid)
{
	pid_t *at = p->n ? bsearch(&pid, p->pid, p->n, sizeof(pid), pid_cmp) : NULL;
	if (!at)
		return;
	p->n--;
	memmove(at, at + 1, (size_t)(p->pid + p->n - at) * sizeof(pid));
}

/* Without memory the process is not counted; the next look at all of them finds it again. */
static void add_pid(struct process *p, pid_t pid)
{
	uint32_t at = p->n;
	if (has_pid(p, pid))
		return;
	if (p->n == p->cap) {
		uint32_t cap = p->cap ? 2 * p->cap : 8;
		pid_t *more = realloc(p->pid, cap * sizeof(pid));
		if (!more)
			return;
		p->pid = more;
		p->cap = cap;
	}
	for (; at && p->pid[at - 1] > pid; at--)
		p->pid[at] = p->pid[at - 1];
	p->pid[at] = pid;
	p->n++;
}

/* ---- judging ---- */

static const struct cfg_track_process *conf_of(const struct process *p)
{
	return &p->head.t->cfg->track.processes[track_conf(&p->head)->index];
}

static void report(struct process *p)
{
	char why[60];
	snprintf(why, sizeof(why), "%u of them run", p->n);
	track_report(p->head.t, p->head.obj, p->delay.ok, why);
}

static void on_delay(void *arg, mono_t deadline)
{
	(void)deadline;
	report(arg);
}

static void judge(struct process *p)
{
	const struct cfg_track_process *c = conf_of(p);
	struct vrrp_track_obj *o = &p->head.t->obj[p->head.obj];
	bool ok = p->n >= c->quorum && p->n <= c->quorum_max;
	if (!p->known || !p->head.used)
		return;
	vrrp_track_note(o, p->n);
	if (track_delay_note(&p->delay, o, ok, ok ? c->fork_delay_ns : c->terminate_delay_ns))
		report(p);
}

static void judge_all(struct track_processes *s)
{
	for (uint16_t i = 0; i < s->list.n; i++)
		judge((struct process *)s->list.item[i]);
}

/* ---- looking ---- */

static void begin(struct track_processes *s);

static bool is_gone(const struct track_processes *s, pid_t pid)
{
	for (unsigned i = 0; i < s->n_gone; i++)
		if (s->gone[i] == pid)
			return true;
	return false;
}

static void take(struct track_processes *s, const struct track_look *l)
{
	for (uint16_t i = 0; i < s->list.n; i++) {
		struct process *p = (struct process *)s->list.item[i];
		if (l->all) {
			p->n = 0;
			p->known = true;
		}
		for (unsigned k = 0; k < l->n_pids && !l->all; k++)
			drop_pid(p, l->pid[k]);
	}
	for (uint32_t k = 0; k < l->n_hits; k++)
		if (!is_gone(s, l->hit[k].pid))
			add_pid((struct process *)s->list.item[l->hit[k].index], l->hit[k].pid);
	s->all_wanted |= l->cut || s->n_gone == PIDS_MAX;
	judge_all(s);
}

static void on_look(struct kt_job *job)
{
	struct track_look *l = job->call.ctx;
	struct track_processes *s = l->owner;
	if (s) {
		s->look = NULL;
		if (l->generation == s->generation)
			take(s, l);
		else
			s->all_wanted = true;
		s->n_gone = 0;
		begin(s);
	}
	track_look_free(l);
}

/* Looks at what is wanted, unless that is being done. */
static void begin(struct track_processes *s)
{
	if (s->look || (!s->all_wanted && !s->n_wanted))
		return;
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, on_look, NULL);
	struct track_look *l = track_look_new(s->t->cfg, s->list.n);
	if (job && l) {
		l->owner = s;
		l->generation = s->generation;
		l->all = s->all_wanted;
		l->n_pids = s->n_wanted;
		memcpy(l->pid, s->wanted, s->n_wanted * sizeof(s->wanted[0]));
		job->call.fn = track_look_run;
		job->call.ctx = l;
		job->call.disk = true;
		if (kernel_thread_submit(s->t->app->kt, job) == 0) {
			s->look = l;
			s->all_wanted = false;
			s->n_wanted = 0;
			return;
		}
	}
	kt_job_free(job);
	track_look_free(l);
}

static void want(struct track_processes *s, pid_t pid)
{
	if (s->n_wanted < PIDS_MAX)
		s->wanted[s->n_wanted++] = pid;
	else
		s->all_wanted = true;
}

/* ---- events ---- */

static void on_exit_of(struct track_processes *s, pid_t pid)
{
	if (s->look && s->n_gone < PIDS_MAX)
		s->gone[s->n_gone++] = pid;
	for (uint16_t i = 0; i < s->list.n; i++) {
		struct process *p = (struct process *)s->list.item[i];
		if (!has_pid(p, pid))
			continue;
		drop_pid(p, pid);
		judge(p);
	}
}

static void on_event(struct track_processes *s, const struct track_proc_ev *ev)
{
	switch (ev->what) {
	case TRACK_PROC_OTHER:
		return;
	case TRACK_PROC_ACK:
		s->acked |= ev->err == 0;
		s->refused |= ev->err != 0;
		return;
	case TRACK_PROC_FORK: /* a child is what its parent is, until it says otherwise */
		for (uint16_t i = 0; i < s->list.n; i++)
			if (has_pid((struct process *)s->list.item[i], ev->pid)) {
				want(s, ev->child);
				return;
			}
		return;
	case TRACK_PROC_NAME:
		want(s, ev->pid);
		return;
	case TRACK_PROC_EXIT:
		on_exit_of(s, ev->pid);
		return;
	}
}

static void on_readable(void *arg, int fd, unsigned events)
{
	struct track_processes *s = arg;
	struct loop_budget b = loop_budget(LOOP_BUDGET_MSGS, LOOP_BUDGET_NS);
	(void)events;
	do {
		uint8_t msg[MSG_MAX];
		struct track_proc_ev ev;
		ssize_t n = recv(fd, msg, sizeof(msg), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS)
			s->all_wanted = true; /* events were lost */
		else if (n < 0 && errno != EINTR)
			break;
		else if (n > 0 && track_proc_parse(msg, (size_t)n, &ev))
			on_event(s, &ev);
	} while (!loop_budget_spent(&b));
	begin(s);
}

static int ask_kernel(struct track_processes *s)
{
	struct sockaddr_nl me = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	uint8_t req[TRACK_PROC_REQ_MAX] = { 0 };
	int bytes = RCVBUF;
	s->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
	if (s->fd < 0)
		return -errno;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(s->fd, (const struct sockaddr *)&me, sizeof(me)) < 0)
		return -errno;
	if (send(s->fd, req, track_proc_request(req, true), 0) < 0)
		return -errno;
	s->lf = loop_fd_new(s->t->app->loop, s->fd, LOOP_READ, LOOP_BULK, on_readable, s);
	return s->lf ? 0 : -ENOMEM;
}

static void forget_kernel(struct track_processes *s)
{
	loop_fd_free(s->lf);
	s->lf = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void without_events(struct track_processes *s, const char *why)
{
	forget_kernel(s);
	s->refused = true;
	log_notice(LOG_VRRP, "the kernel does not tell of processes here (%s): /proc is read once a second", why);
}

static void on_timer(void *arg, mono_t deadline)
{
	struct track_processes *s = arg;
	if (!s->acked && s->fd >= 0)
		without_events(s, s->refused ? "it refuses to" : "it does not answer");
	s->all_wanted = true;
	begin(s);
	loop_timer_set(s->timer, mono_add(deadline, s->acked ? AUDIT_NS : SCAN_NS));
}

/* ---- configuration ---- */

static void end_all(struct track_list *list)
{
	for (uint16_t i = 0; i < list->n; i++) {
		struct process *p = (struct process *)list->item[i];
		if (!p)
			continue;
		loop_timer_free(p->delay.timer);
		free(p->pid);
		free(p);
	}
	free(list->item);
}

static int start(struct track_processes *s)
{
	if (!s->timer)
		s->timer = loop_timer_new(s->t->app->loop, LOOP_NORMAL, on_timer, s);
	if (!s->timer)
		return -ENOMEM;
	if (s->fd < 0 && !s->refused) {
		int rc = ask_kernel(s);
		if (rc < 0)
			without_events(s, strerror(-rc));
	}
	s->all_wanted = true;
	begin(s);
	loop_timer_set(s->timer, mono_add(clock_mono(), s->acked ? AUDIT_NS : ACK_NS));
	return 0;
}

int track_processes_set(struct track_processes *s, const struct cfg *old)
{
	struct track_list gone;
	bool used = false;
	int rc = track_list_set(s->t, old, VRRP_TRACK_PROCESS, sizeof(struct process), &s->list, &gone);
	end_all(&gone);
	s->generation++;
	for (uint16_t i = 0; rc == 0 && i < s->list.n; i++) {
		struct process *p = (struct process *)s->list.item[i];
		used |= p->head.used;
		if (!p->delay.timer)
			p->delay.timer = loop_timer_new(s->t->app->loop, LOOP_NORMAL, on_delay, p);
		rc = p->delay.timer ? 0 : -ENOMEM;
	}
	if (rc == 0 && used)
		return start(s);
	if (s->timer)
		loop_timer_set(s->timer, MONO_NEVER);
	forget_kernel(s);
	s->acked = false;
	return rc;
}

const char *track_processes_how(const struct track_processes *s)
{
	return s->acked ? "events" : s->timer ? "scan" : "";
}

bool track_processes_delayed(const struct track_processes *s, uint16_t index)
{
	const struct process *p = (const struct process *)s->list.item[index];
	return track_delayed(&p->delay, &s->t->obj[p->head.obj]);
}

json_t *track_processes_json(const struct track_processes *s, uint16_t index)
{
	const struct process *p = (const struct process *)s->list.item[index];
	const struct cfg_track_process *c = conf_of(p);
	char detail[120];
	int n = snprintf(detail, sizeof(detail), "%u running, at least %u", p->n, c->quorum);
	if (c->quorum_max != UINT32_MAX)
		n += snprintf(detail + n, sizeof(detail) - (size_t)n, ", at most %u", c->quorum_max);
	if (!s->acked)
		n += snprintf(detail + n, sizeof(detail) - (size_t)n, ", looked for once a second");
	if (track_delayed(&p->delay, &s->t->obj[p->head.obj]))
		snprintf(detail + n, sizeof(detail) - (size_t)n, ", not long enough to count");
	return json_pack("{s:I, s:s, s:s}", "count", (json_int_t)p->n, "seen_by", track_processes_how(s), "detail",
			 p->known ? detail : "");
}

struct track_processes *track_processes_new(struct app_track *t)
{
	struct track_processes *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->t = t;
	s->fd = -1;
	return s;
}

void track_processes_free(struct track_processes *s)
{
	if (!s)
		return;
	if (s->look)
		s->look->owner = NULL;
	forget_kernel(s);
	loop_timer_free(s->timer);
	end_all(&s->list);
	free(s);
}
