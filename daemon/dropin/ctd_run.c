/*
 * conntrackd as a daemon. Alone in its network namespace it is the engine; beside a keepalived or keeptrackd it adds its
 * file to that one's configuration and stays as a small process. When the engine has ended it takes its place, alone; when
 * it was killed, with everything that it served (legacy.h). When a program with virtual routers comes, it gives the engine
 * up: then the process begins anew with the same number and arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/app.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/dropin/ctd_main.h"
#include "daemon/dropin/dconf_io.h"
#include "daemon/dropin/layer_io.h"
#include "daemon/sandbox.h"
#include "daemon/sdnotify.h"

#define ENV_LOCK     "KEEPTRACKD_LOCK_FD" /* set: the process begins anew, and has the lock already */
#define ENV_LEGACY   "KEEPTRACKD_LEGACY"  /* set: what is kept until the next engine has taken it over */
#define FOLLOW_NS    (500 * NS_PER_MS)    /* for an engine that is only being started anew */
#define PAUSE_MS     20
#define LOCK_TRIES   20
#define LOCK_STEP_MS 10
#define RETURN_NS    (5 * NS_PER_SEC) /* for the one that the place was given to */

struct run {
	const struct ctd_args *args;
	char **argv;
	char path[PATH_MAX], cwd[PATH_MAX], place[48];
	struct dconf_proc proc;
	struct legacy legacy;
	int lock;
	int ready;    /* for app_detached */
	bool anew;    /* the process was an engine before */
	char *env[3]; /* of the service manager: each engine takes them out of the environment */
};

static const char *const env_names[3] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };

static void env_keep(struct run *r)
{
	for (unsigned i = 0; i < 3; i++) {
		const char *v = getenv(env_names[i]);
		r->env[i] = v ? strdup(v) : NULL;
	}
}

static void env_restore(const struct run *r)
{
	for (unsigned i = 0; i < 3; i++)
		if (r->env[i])
			setenv(env_names[i], r->env[i], 1);
}

/* Held for as long as the process lives. A file that nobody holds is left over from a crash. */
static int take_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		ctd_say("ERROR", "lockfile `%s': %s", path, strerror(errno));
		return -1;
	}
	int rc = flock(fd, LOCK_EX | LOCK_NB);
	for (unsigned i = 0; rc < 0 && i < LOCK_TRIES;
	     i++) { /* one that was killed holds it until its last thread ends */
		(void)poll(NULL, 0, LOCK_STEP_MS);
		rc = flock(fd, LOCK_EX | LOCK_NB);
	}
	if (rc < 0) {
		ctd_say("ERROR", "lockfile `%s' exists, perhaps conntrackd already running?", path);
		close(fd);
		return -1;
	}
	return fd;
}

/* Directories of its own, another one for each network namespace: what a keepalived has left is not touched. */
static void find_place(char *buf, size_t size)
{
	struct stat own, first;

	if (stat("/proc/self/ns/net", &own) < 0 || stat("/proc/1/ns/net", &first) < 0 || own.st_ino == first.st_ino)
		snprintf(buf, size, "conntrackd");
	else
		snprintf(buf, size, "conntrackd-%llu", (unsigned long long)own.st_ino);
}

/* The same process, with nothing of the engine left in it. */
static int begin_anew(struct run *r)
{
	char self[PATH_MAX], number[16], left[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return 1;
	self[n] = '\0';
	snprintf(number, sizeof(number), "%d", r->lock);
	fcntl(r->lock, F_SETFD, 0);
	setenv(ENV_LOCK, number, 1);
	legacy_print(&r->legacy, left, sizeof(left));
	setenv(ENV_LEGACY, left, 1);
	signal(SIGCHLD, SIG_IGN); /* a guardian of ours may outlive our time as an engine, and nobody waits for it */
	env_restore(r);
	const struct sched_param normal = { .sched_priority = 0 };
	sched_setscheduler(0, SCHED_OTHER, &normal); /* the next engine asks for more by itself */
	if (r->cwd[0] && chdir(r->cwd) < 0)          /* the arguments may name a relative path */
		return 1;
	execv(self, r->argv);
	return 1;
}

static int be_engine(struct run *r, int fd)
{
	struct app_options opt = { .foreground = !r->args->background || r->ready >= 0 || r->anew,
				   .log_console = !r->args->background,
				   .legacy = &r->legacy,
				   .rendezvous = fd };

	opt.how.conntrackd = r->path;
	opt.how.place = r->place;
	env_restore(r);
	return app_run(&opt);
}

/*
 * The engine was killed: all that it served goes on in this process, under its configuration and ours, from its directories.
 * What is mapped stays mapped: the options point there.
 */
static int be_heir(struct run *r)
{
	const struct legacy_area *was = legacy_area_map(r->legacy.area);
	struct app_options opt = { .foreground = true,
				   .log_console = !r->args->background,
				   .legacy = &r->legacy,
				   .heir = true,
				   .rendezvous = r->legacy.rendezvous };

	if (!was)
		return 1;
	if (was->realtime) /* from now on other routers count the time since the last advert */
		(void)sandbox_realtime(SANDBOX_RT_PRIO);
	r->legacy.rendezvous = -1;
	opt.config = was->config;
	opt.keep_at_stop = was->keep_at_stop;
	opt.how = (struct cfg_how){ .format = (enum cfg_format)was->format,
				    .config_id = was->has_id ? was->config_id : NULL,
				    .all_includes = was->all_includes,
				    .namespace = was->has_namespace ? was->namespace : NULL,
				    .place = was->has_place ? was->place : NULL,
				    .conntrackd = r->path,
				    .found = &was->found };
	env_restore(r);
	return app_run(&opt);
}

static void on_attached(void *arg)
{
	struct run *r = arg;

	log_notice(LOG_MAIN, "conntrackd.conf is part of the configuration of the engine that runs here");
	sdnotify_ready();
	app_detached(r->ready);
	r->ready = -1;
	r->anew = true; /* it has left the terminal */
}

static void open_log(const struct run *r)
{
	struct log_conf lc = {
		.ident = "conntrackd", .to_stderr = !r->args->background, .to_syslog = true, .level = LOG_L_INFO
	};

	log_init(&lc);
}

/* The process that the place was given to has ended. */
static bool successor_gone(const struct run *r)
{
	struct pollfd p = { .fd = r->legacy.successor, .events = POLLIN };

	return p.fd >= 0 && poll(&p, 1, 0) > 0;
}

/* An engine within that time, or the place of one. A descriptor; *engine: it is the latter. Below 0: neither. */
static int find_engine(const struct run *r, int64_t wait_ns, bool *engine)
{
	mono_t until = mono_add(clock_mono(), wait_ns);

	for (;;) {
		int fd = layer_connect();
		*engine = false;
		if (fd >= 0 || fd == -EPERM)
			return fd;
		if (mono_due(until, clock_mono()) || successor_gone(r)) {
			*engine = true;
			fd = layer_bind();
			if (fd != -EADDRINUSE)
				return fd;
		}
		(void)poll(NULL, 0, PAUSE_MS);
	}
}

/* As the layer of an engine, for as long as that lives. */
static enum layer_end be_layer(struct run *r, int fd)
{
	char why[LAYER_TEXT_MAX] = "";

	open_log(r);
	env_restore(r);
	sdnotify_init();
	enum layer_end end = layer_stay(fd, r->path, &r->legacy, on_attached, r, why, sizeof(why));
	if (end == LAYER_REFUSED) {
		log_err(LOG_MAIN, "%s", why);
		if (!r->anew)
			ctd_say("ERROR", "%s", why);
	} else if (end == LAYER_ENDED) {
		log_notice(LOG_MAIN, "ended");
		sdnotify_stopping();
	} else {
		log_notice(LOG_MAIN, "the engine is gone");
	}
	sdnotify_done();
	log_done();
	return end;
}

/* As an engine, its own or the heir of another one; does not return where the process begins anew. */
static int serve(struct run *r, bool heir, int fd)
{
	int rc = heir ? be_heir(r) : be_engine(r, fd);

	if (rc == APP_YIELDED)
		return begin_anew(r);
	if (!heir || rc == 0)
		return rc;
	/* What cannot be served any more is given back: guardians act as soon as their pipes close. */
	open_log(r);
	log_err(LOG_MAIN, "the virtual routers of the program that has died cannot be served from here");
	legacy_close(&r->legacy);
	return begin_anew(r);
}

/* The engine that this process was a layer of, or that it gave its place to, is gone. */
static bool inherits(struct run *r)
{
	bool yes = legacy_serves(&r->legacy);

	if (!yes)
		legacy_close(&r->legacy);
	return yes;
}

static int run(struct run *r)
{
	int64_t wait = r->legacy.successor >= 0 ? RETURN_NS : 0;

	for (;;) {
		bool engine;
		if (successor_gone(r) && inherits(r))
			return serve(r, true, -1);
		int fd = find_engine(r, wait, &engine);
		if (fd == -EPERM) { /* anybody may take that name; nobody can keep us from working */
			ctd_say("warning", "somebody else has the socket where engines meet: no keepalived can join");
			return be_engine(r, -1);
		}
		if (fd < 0) {
			ctd_say("ERROR", "no engine, and none can be made here: %s", strerror(-fd));
			return 1;
		}
		if (engine) {
			legacy_close(&r->legacy);
			return serve(r, false, fd);
		}
		if (r->args->background && r->ready < 0 && !r->anew)
			r->ready = app_detach();
		enum layer_end end = be_layer(r, fd);
		if (end != LAYER_ALONE)
			return end == LAYER_ENDED ? 0 : 1;
		if (inherits(r))
			return serve(r, true, -1);
		wait = FOLLOW_NS;
	}
}

static bool read_conf(struct run *r)
{
	struct cfg_errors errs = { 0 };
	struct cfg_tree *t = cfg_tree_new(r->path);
	bool ok = cfg_read_conntrackd(t, r->path, NULL, &r->proc, &errs);

	cfg_tree_free(t);
	if (!r->anew)
		ctd_say_errors(&errs);
	cfg_errors_free(&errs);
	return ok;
}

int ctd_run(const struct ctd_args *args, char **argv)
{
	struct run r = { .args = args, .argv = argv, .ready = -1, .lock = -1 };
	const char *lock = getenv(ENV_LOCK), *left = getenv(ENV_LEGACY);

	legacy_init(&r.legacy);
	if (lock && left && !legacy_parse(&r.legacy, left))
		legacy_close(&r.legacy);
	unsetenv(ENV_LEGACY);
	if (!realpath(args->config, r.path)) {
		ctd_say("ERROR", "can't open config file `%s'", args->config);
		return 1;
	}
	r.anew = lock != NULL;
	if (r.anew) {
		const char *slash = strrchr(argv[0], '/');
		r.lock = (int)strtol(lock, NULL, 10);
		fcntl(r.lock, F_SETFD, FD_CLOEXEC);
		unsetenv(ENV_LOCK);
		prctl(PR_SET_NAME, slash ? slash + 1 : argv[0]);
	}
	if (!getcwd(r.cwd, sizeof(r.cwd)))
		r.cwd[0] = '\0';
	env_keep(&r);
	find_place(r.place, sizeof(r.place));
	int rc = 1;
	if (read_conf(&r)) {
		if (!r.anew)
			r.lock = take_lock(r.proc.lock_file);
		if (r.lock >= 0) {
			rc = run(&r);
			unlink(r.proc.lock_file);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		free(r.env[i]);
	return rc ? 1 : 0;
}
