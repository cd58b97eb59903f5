/*
 * Start and stop, written out in order; the loop's events fed to the node core.
 */
#include "daemon/app.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/app_ctd.h"
#include "daemon/app_ipsec.h"
#include "daemon/app_layer.h"
#include "daemon/app_notify.h"
#include "daemon/app_pair.h"
#include "daemon/app_quar.h"
#include "daemon/app_sweep.h"
#include "daemon/app_sa.h"
#include "daemon/app_track.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/require.h"
#include "daemon/cfg_say.h"
#include "daemon/dropin/kalive.h"
#include "daemon/dropin/legacy.h"
#include "daemon/sandbox.h"
#include "daemon/sdnotify.h"

#define STOP_NS      (4 * NS_PER_SEC)  /* for all of the end: the init script kills after 5 s */
#define REST_NS      (300 * NS_PER_MS) /* for the last purges and hooks, when every group rests */
#define REST_STEP    (10 * NS_PER_MS)
#define NOTIFY_NS    (1 * NS_PER_SEC) /* for those who are told of the end, as keepalived waits for its scripts */
#define LOCK_TRIES   20               /* for the pid file, a step apart */
#define LOCK_STEP_MS 10
#define ACTS_KEPT    4096 /* actions of one step */
#define FEED_PACKETS 4096 /* received packets among the waiting events; the rest of them is dropped */
#define FEED_OTHERS  4096 /* events of other kinds, and FEED_EACH for each virtual router and each group */
#define FEED_EACH    4

/* ---- events to the node core ---- */

static struct node_ev_kept *fed_first, **fed_last = &fed_first;
static unsigned fed_n;

static void feed_later(struct app *a, const struct node_ev *ev)
{
	bool packet = ev->type == NODE_EV_ADVERT || ev->type == NODE_EV_DROPPED;
	if (packet && fed_n >= FEED_PACKETS) {
		a->fed_dropped++;
		return;
	}
	require(fed_n < FEED_PACKETS + FEED_OTHERS + FEED_EACH * ((unsigned)a->node.n_inst + a->node.n_groups));
	struct node_ev_kept *f = malloc(sizeof(*f));
	require(f != NULL);
	f->next = NULL;
	node_ev_keep(f, ev);
	*fed_last = f;
	fed_last = &f->next;
	fed_n++;
}

/* A step that moved thousands of groups leaves its list behind in memory: it is given back. */
static void shrink_acts(struct app *a)
{
	if (a->acts.n <= ACTS_KEPT)
		return;
	struct node_act *fresh = calloc(a->acts.cap, sizeof(*fresh)); /* the kernel gives pages as they are written */
	if (!fresh)
		return;
	free(a->acts.a);
	a->acts.a = fresh;
	a->acts.n = 0;
}

static void feed_now(struct app *a, const struct node_ev *ev)
{
	node_step(&a->node, ev, clock_mono(), &a->acts);
	if (a->net) /* the addresses of all groups that move in this step go in common batches */
		netapply_hold(a->net, true);
	for (unsigned i = 0; i < a->acts.n; i++)
		app_act(a, &a->acts.a[i]);
	if (a->net)
		netapply_hold(a->net, false);
	shrink_acts(a);
}

void app_feed(struct app *a, const struct node_ev *ev)
{
	if (a->act_depth) {
		feed_later(a, ev);
		return;
	}
	a->act_depth = 1;
	feed_now(a, ev);
	while (fed_first) {
		struct node_ev_kept *f = fed_first;
		fed_first = f->next;
		if (!fed_first)
			fed_last = &fed_first;
		fed_n--;
		feed_now(a, &f->ev);
		free(f);
	}
	a->act_depth = 0;
	if (a->node_timer)
		loop_timer_set(a->node_timer, node_deadline(&a->node));
}

static void on_node_timer(void *arg, mono_t deadline)
{
	struct app *a = arg;
	(void)deadline;
	struct node_ev ev = { .type = NODE_EV_TICK };
	app_feed(a, &ev);
}

/* ---- stop ---- */

/* Nothing of ours is left in the kernel: what stays there would be in the way of the next master. */
static bool removed(const struct app *a)
{
	return a->opt.keep_at_stop || netapply_ended(a->net);
}

static void on_stop_late(void *arg, mono_t deadline)
{
	struct app *a = arg;
	(void)deadline;
	a->left_behind = a->net && !removed(a);
	log_warn(LOG_MAIN, "not everything came to rest in time: ending now%s",
		 a->left_behind ? ", the guardian removes what is left" : "");
	loop_stop(a->loop);
}

static bool quiet(const struct app *a)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		if (a->node.tunnel[t].state == IKE_PURGING || a->node.tunnel[t].sweeping)
			return false;
	return exec_idle(a->exec) && app_notify_idle(a);
}

static void on_rest(void *arg, mono_t deadline)
{
	struct app *a = arg;
	(void)deadline;
	mono_t now = clock_mono();
	if (removed(a) && (quiet(a) || mono_due(a->rest_until, now)))
		loop_stop(a->loop);
	else
		loop_timer_set(a->rest_timer, mono_add(now, REST_STEP));
}

void app_rest(struct app *a)
{
	a->stopping = true;
	app_notify_stop(a);
	a->rest_until = mono_add(clock_mono(), app_notify_runs_nothing(a) ? REST_NS : NOTIFY_NS);
	if (!a->opt.keep_at_stop) {
		app_vmac_end(a); /* before the interfaces go, which takes the kernel its time */
		netapply_end(a->net);
	}
	on_rest(a, a->rest_until);
}

/* To the program whose configuration it is: addresses, settings and roles stay, and go on there. */
static bool gives_way(const struct app *a)
{
	return a->yielding && a->opt.heir;
}

void app_begin_stop(struct app *a)
{
	if (a->stopping)
		return;
	a->stopping = true;
	if (gives_way(a)) { /* nobody shall see an end */
		loop_stop(a->loop);
		return;
	}
	app_layer_ending(a);
	log_notice(LOG_MAIN, a->opt.kalive ? "Stopping" : "stopping");
	if (!a->yielding)
		sdnotify_stopping();
	struct node_ev ev = { .type = NODE_EV_STOP };
	if (!a->running) {
		loop_stop(a->loop);
		return;
	}
	loop_timer_set(a->stop_timer, mono_add(clock_mono(), STOP_NS));
	app_feed(a, &ev);
}

_Noreturn void app_abort(struct app *a, const char *why)
{
	log_err(LOG_MAIN, "%s: aborting with the flight recorder's last lines", why);
	/* Software that has crashed is no reason for another router to take over, where somebody goes on here. */
	if (!app_layer_crash(a) && a->guardian)
		guardian_panic(a->guardian);
	log_dump(STDERR_FILENO);
	abort();
}

static void on_signal(void *arg, int signo)
{
	struct app *a = arg;
	if (signo == SIGHUP) {
		if (a->opt.kalive)
			log_notice(LOG_MAIN, "Reloading ...");
		app_reload(a);
	} else if (signo != SIGCHLD) {
		app_begin_stop(a);
	} else if (a->guardian && !a->guardian_lost && !guardian_alive(a->guardian)) {
		a->guardian_lost = true;
		log_err(LOG_MAIN, "the guardian has ended: if this process is killed now, its addresses stay until the "
				  "next start; restart the service when this router is the standby");
	}
}

static void on_watchdog(void *arg, mono_t deadline)
{
	struct app *a = arg;
	/* A hung SYNC is worth a restart only where nobody depends on this node. */
	bool master = false;
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		master |= a->node.group[g].role.is == ROLE_MASTER;
	if (master || !node_sync_late(&a->node, clock_mono()))
		sdnotify_watchdog();
	loop_timer_set(a->watchdog_timer, mono_add(deadline, sdnotify_watchdog_ns()));
}

/* ---- start ---- */

/* What ends the start before the log is open; keepalived's log is open from the beginning. */
static void __attribute__((format(printf, 2, 3))) say(const struct app *a, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (a->opt.kalive)
		log_err(LOG_MAIN, "%s", text);
	else
		fprintf(stderr, "keeptrackd: %s\n", text);
}

static int make_dir(const char *path, mode_t mode)
{
	char part[CFG_PATH_MAX];
	snprintf(part, sizeof(part), "%s", path);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(part, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int take_pid_file(struct app *a, char *path, size_t cap)
{
	if (a->opt.pid_file)
		snprintf(path, cap, "%s", a->opt.pid_file);
	else /* an heir leaves the number of the other one alone, whose file a supervisor may read */
		snprintf(path, cap, "%s/%s.pid", a->cfg->run_dir, a->opt.heir ? "heir" : "keeptrackd");
	a->pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (a->pid_fd < 0) {
		say(a, "pid file %s: %s", path, strerror(errno));
		return -1;
	}
	/* One that was killed holds it until the last of its threads has ended. */
	int rc = flock(a->pid_fd, LOCK_EX | LOCK_NB);
	for (unsigned i = 0; rc < 0 && i < LOCK_TRIES; i++) {
		poll(NULL, 0, LOCK_STEP_MS);
		rc = flock(a->pid_fd, LOCK_EX | LOCK_NB);
	}
	if (rc < 0) {
		say(a, "already running (pid file %s is locked)", path);
		return -1;
	}
	char text[24];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (a->opt.kalive && fchmod(a->pid_fd, 0644) < 0) /* others read it, whatever the umask */
		log_warn(LOG_MAIN, "pid file %s: %s", path, strerror(errno));
	if (ftruncate(a->pid_fd, 0) < 0 || pwrite(a->pid_fd, text, (size_t)len, 0) != len) {
		say(a, "pid file %s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

int app_detach(void)
{
	int ready[2];
	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid < 0)
		return -1;
	if (pid > 0) {
		char ok = 0;
		close(ready[1]);
		ssize_t n = read(ready[0], &ok, 1);
		_exit(n == 1 && ok == '+' ? 0 : 1);
	}
	close(ready[0]);
	setsid();
	if (chdir("/") < 0)
		return -1;
	return ready[1];
}

void app_detached(int ready)
{
	if (ready < 0)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	if (write(ready, "+", 1) != 1)
		log_warn(LOG_MAIN, "the starting process is gone");
	close(ready);
}

static struct cfg *load_config(const struct app_options *opt, struct cfg_errors *errs)
{
	struct cfg *c = cfg_load_as(opt->config, &opt->how, errs);
	/* keepalived's log is open already, and may be the console */
	bool shown = opt->kalive && opt->kalive->opts.console && opt->kalive->opts.foreground;
	for (unsigned i = 0; i < errs->n && !shown; i++)
		fprintf(stderr, "%s\n", errs->list[i].text);
	if (opt->kalive) {
		cfg_say_log(errs);
		cfg_errors_free(errs);
	}
	return c;
}

static void go_realtime(void)
{
	int rc = sandbox_memory();
	if (rc < 0)
		log_info(LOG_MAIN, "memory is not locked: %s", strerror(-rc));
	rc = sandbox_realtime(SANDBOX_RT_PRIO);
	if (rc < 0)
		log_warn(LOG_MAIN, "no real-time scheduling (%s): short advert intervals may be late under load",
			 strerror(-rc));
}

static void lock_down(struct app *a)
{
	int rc = sandbox_oom(-900);
	if (rc < 0)
		log_debug(LOG_MAIN, "the OOM killer's interest stays as it is: %s", strerror(-rc));
	rc = sandbox_rlimits(a->cfg->n_instances);
	if (rc < 0)
		log_info(LOG_MAIN, "limits could not be set: %s", strerror(-rc));
	if (a->cfg->realtime)
		go_realtime();
	rc = sandbox_caps();
	if (rc < 0)
		log_info(LOG_MAIN, "capabilities could not be given up: %s", strerror(-rc));
}

static void start_guardian(struct app *a)
{
	char report[160], line[200];
	snprintf(report, sizeof(report), "%s/guardian", a->cfg->run_dir);
	if (guardian_report(report, line, sizeof(line)))
		log_notice(LOG_MAIN, "the last process died; its guardian says: %s", line);
	struct guardian_conf gc = { .report_path = report, .rt_prio = a->cfg->realtime ? SANDBOX_RT_PRIO : 0 };
	a->guardian = guardian_start(&gc);
	if (!a->guardian)
		log_warn(LOG_MAIN,
			 "no guardian (%s): if this process is killed, its addresses stay until the next start",
			 strerror(errno));
}

static int start_parts(struct app *a)
{
	char path[160];
	a->loop = loop_new("control");
	if (!a->loop)
		return -errno;
	a->node_timer = loop_timer_new(a->loop, LOOP_LATENCY, on_node_timer, a);
	a->stop_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_stop_late, a);
	a->rest_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_rest, a);
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* what libevent puts back at the end: a second signal does not break off the last steps */
		if (signals[i] != SIGCHLD)
			signal(signals[i], SIG_IGN);
		a->sig[i] = loop_signal_new(a->loop, signals[i], on_signal, a);
	}
	a->kt = kernel_thread_start(a->loop, a->cfg->realtime ? SANDBOX_RT_PRIO : 0);
	if (!a->node_timer || !a->stop_timer || !a->rest_timer || !a->kt)
		return -errno;
	if (a->opt.kalive && kalive_signals_start(a->opt.kalive, a) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/journal", a->cfg->state_dir);
	a->journal = journal_open(path);
	if (!a->journal)
		return -ENOMEM;
	if (journal_stats(a->journal)->err)
		log_warn(LOG_MAIN, "journal %s: %s; history is kept in memory only", path,
			 strerror(-journal_stats(a->journal)->err));
	if (journal_stats(a->journal)->lost_slots)
		log_warn(LOG_MAIN, "journal %s: %llu damaged entries were left out", path,
			 (unsigned long long)journal_stats(a->journal)->lost_slots);
	snprintf(a->epoch_path, sizeof(a->epoch_path), "%s/epoch", a->cfg->state_dir);
	int rc = epoch_store_read(a->epoch_path, &a->epoch_stored);
	if (rc < 0 && rc != -ENOENT)
		log_warn(LOG_MAIN, "%s could not be read (%d): the epoch is learnt from the peer", a->epoch_path, rc);
	app_maintenance_load(a);
	if (app_node_build(a, a->epoch_stored) < 0)
		return -ENOMEM;
	rc = app_notify_start(a);
	if (rc == 0)
		rc = app_sweep_start(a);
	if (rc == 0)
		rc = app_ipsec_start(a);
	if (rc == 0)
		rc = app_ike_start(a);
	if (rc < 0)
		return rc;
	rc = app_pair_start(a);
	if (rc < 0)
		return rc;
	rc = app_peer_start(a);
	if (rc == 0)
		rc = app_sa_start(a);
	if (rc < 0)
		return rc;
	struct ctl_conf cc = { .path = a->cfg->ctl_socket,
			       .view_gid = a->cfg->view_group[0] ? ctl_group_id(a->cfg->view_group) : (gid_t)-1,
			       .admin_gid = a->cfg->admin_group[0] ? ctl_group_id(a->cfg->admin_group) : (gid_t)-1,
			       .replace = a->opt.legacy->area >= 0,
			       .handle = app_ctl,
			       .app = a };
	a->ctl = ctl_new(a->loop, &cc);
	if (!a->ctl)
		log_err(LOG_CTL, "control socket %s: %s; the shell cannot connect", a->cfg->ctl_socket,
			strerror(errno));
	rc = app_ctd_update(a);
	if (rc == 0)
		rc = app_layer_start(a);
	if (rc < 0)
		return rc;
	rc = app_garp_start(a);
	if (rc < 0)
		return rc;
	rc = app_vrrp_start(a);
	if (rc == 0)
		rc = app_vmac_start(a);
	if (rc == 0)
		rc = app_accept_start(a);
	if (rc == 0)
		rc = app_quar_start(a);
	if (rc == 0)
		rc = app_track_start(a);
	return rc < 0 ? rc : app_net_start(a);
}

static void stop_parts(struct app *a)
{
	app_pair_end(a);
	app_ipsec_end(a);
	if (!gives_way(a))
		app_notify_stop(a);
	app_notify_free(a);
	app_ctd_stop(a);
	if (a->ctl)
		ctl_free(a->ctl);
	a->ctl = NULL;
	if (gives_way(a) && a->nft)
		nft_io_close(a->nft);
	app_layer_stop(a); /* who takes over begins now: nothing that it needs is held from here on */
	app_peer_stop(a);
	app_ike_programs_free(a);
	if (a->vici)
		vici_free(a->vici);
	app_track_stop(a);
	app_learn_stop(a);
	if (a->exec)
		exec_free(a->exec);
	app_ike_free(a);
	if (!gives_way(a)) {
		app_vmac_end(a);
		app_quar_end(a);
	}
	if (a->kt)
		kernel_thread_stop(a->kt, 500 * NS_PER_MS);
	app_sa_stop(a);
	app_reload_stop(a);
	app_pair_free(a);
	app_ipsec_free(a);
	app_accept_stop(a);
	app_quar_stop(a);
	app_sweep_stop(a);
	sysctl_io_free(a->sysctl);
	if (a->net)
		netapply_free(a->net);
	if (a->vrrp)
		vrrp_io_free(a->vrrp);
	if (a->journal)
		journal_close(a->journal);
	app_stored_stop(a);
	loop_timer_free(a->node_timer);
	loop_timer_free(a->garp_timer);
	loop_timer_free(a->stop_timer);
	loop_timer_free(a->rest_timer);
	loop_timer_free(a->watchdog_timer);
	loop_timer_free(a->reload_timer);
	for (unsigned i = 0; i < sizeof(a->sig) / sizeof(a->sig[0]); i++)
		loop_signal_free(a->sig[i]);
	if (a->opt.kalive)
		kalive_signals_stop(a->opt.kalive);
	if (a->loop)
		loop_free(a->loop);
	if (a->guardian && a->left_behind)
		guardian_arm(a->guardian, true);
	if (a->guardian && (gives_way(a) || a->left_behind))
		guardian_leave(a->guardian);
	else if (a->guardian)
		guardian_goodbye(a->guardian);
	app_node_free(a);
}

/* Names, directories and the namespace, after which there is nothing left to read from elsewhere. */
static int prepare(struct app *a)
{
	int rc = 0;
	struct kalive *k = a->opt.kalive;
	if (k) {
		kalive_prepare(k, a->cfg);
		a->opt.how.place = k->place[0] ? k->place : NULL;
		a->opt.pid_file = k->pid;
	}
	if (a->cfg->namespace[0] && !a->opt.heir) /* an heir met the other one there */
		rc = sandbox_namespace(a->cfg->namespace);
	if (rc < 0)
		say(a, "Unable to set network namespace %s: %s", a->cfg->namespace, strerror(-rc));
	return rc;
}

static void open_log(const struct app *a)
{
	if (a->opt.kalive) {
		kalive_log_open(a->opt.kalive, a->cfg);
		return;
	}
	/* In the background there is nobody behind standard error, and a pipe there would never see its end. */
	struct log_conf lc = { .ident = "keeptrackd",
			       .to_stderr = a->opt.foreground && (a->cfg->log_stderr || a->opt.log_console),
			       .to_syslog = a->cfg->log_syslog,
			       .level = (enum log_level)a->cfg->log_level };
	log_init(&lc);
}

static void print_error(void *arg, const struct log_line *line)
{
	if (line->level <= LOG_L_ERR)
		fprintf(arg, "keeptrackd: %s\n", line->text);
}

/* Who started it looks at the terminal, and not into the log, for the reason. */
static void start_failed(struct app *a, int rc)
{
	bool shown = a->opt.foreground && (a->cfg->log_stderr || a->opt.log_console);
	log_err(LOG_MAIN, "start failed: %s", strerror(-rc));
	if (!shown)
		log_recall(LOG_RECORDS, print_error, stderr);
	a->exit_status = 1;
}

int app_run(const struct app_options *opt)
{
	static struct app a;
	char pid_path[CFG_PATH_MAX + 200];
	a.opt = *opt;
	if (opt->config)
		kalive_absolute(opt->config, a.config_path, sizeof(a.config_path));
	static struct cfg_errors errs;
	a.cfg = load_config(opt, &errs);
	if (!a.cfg)
		return 2;
	if (prepare(&a) < 0)
		return 1;
	if (opt->kalive && kalive_running(opt->kalive)) {
		log_notice(LOG_MAIN, "daemon is already running");
		return 0; /* as keepalived */
	}
	int rc = make_dir(a.cfg->run_dir, 0755);
	rc = rc < 0 ? rc : make_dir(a.cfg->state_dir, 0700);
	if (rc < 0) {
		say(&a, "run or state directory: %s", strerror(-rc));
		return 1;
	}
	int ready = opt->foreground ? -1 : app_detach();
	if (!opt->foreground && ready < 0) {
		say(&a, "cannot leave the terminal: %s", strerror(errno));
		return 1;
	}
	if (take_pid_file(&a, pid_path, sizeof(pid_path)) < 0)
		return 1;
	open_log(&a);
	if (opt->kalive && kalive_pid_write(opt->kalive) < 0)
		return 1;
	if (opt->kalive)
		kalive_settle(opt->kalive, a.cfg);
	signal(SIGPIPE, SIG_IGN);
	/* Other programs of this kind act on these two; a script that sends them must not end a router. */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sdnotify_init();
	a.started = clock_mono();
	a.started_wall_us = clock_wall_us();
	if (getrandom(&a.boot_nonce, sizeof(a.boot_nonce), 0) != sizeof(a.boot_nonce))
		a.boot_nonce = (uint64_t)a.started_wall_us;
	log_notice(LOG_MAIN, "keeptrackd starts as node %u (%s) with %u virtual routers in %u groups", a.cfg->node_id,
		   a.cfg->node_name, a.cfg->n_instances, a.cfg->n_groups);
	cfg_say_log(&errs);
	cfg_errors_free(&errs);
	if (a.opt.kalive && !a.cfg->n_instances && !a.cfg->n_static_addrs && !a.cfg->n_routes && !a.cfg->n_rules)
		log_warn(LOG_MAIN, "Warning - keepalived has no configuration to run");
	if (a.cfg->realtime) /* while nobody speaks, nobody else's work comes first */
		(void)sandbox_realtime(SANDBOX_RT_PRIO);
	app_layer_inherit(&a);
	start_guardian(&a);
	lock_down(&a);
	rc = start_parts(&a);
	if (rc < 0) {
		start_failed(&a, rc);
	} else {
		if (sdnotify_watchdog_ns()) {
			a.watchdog_timer = loop_timer_new(a.loop, LOOP_NORMAL, on_watchdog, &a);
			loop_timer_set(a.watchdog_timer, mono_add(clock_mono(), sdnotify_watchdog_ns()));
		}
		sdnotify_ready();
		app_detached(ready);
		if (opt->kalive)
			kalive_started(opt->kalive, &a);
		loop_run(a.loop);
	}
	stop_parts(&a);
	unlink(pid_path);
	if (opt->kalive)
		kalive_ended(opt->kalive, a.cfg);
	else
		log_notice(LOG_MAIN, "ended");
	sdnotify_done();
	log_done();
	/* What libraries do at exit is not for a process in which a thread still runs through them. */
	if (a.sync_left)
		_exit(a.exit_status);
	cfg_free(a.cfg);
	return a.exit_status;
}
