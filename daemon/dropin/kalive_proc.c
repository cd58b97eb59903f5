/*
 * What is done before the loop runs: which files, which tags, which namespace.
 */
#include "daemon/dropin/kalive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/log.h"
#include "daemon/dropin/place_io.h"

/* Where others look, wherever this program was installed. */
#define RUN_DIR "/run"
#define PID_DIR RUN_DIR "/keepalived"

void kalive_absolute(const char *path, char *out, size_t cap)
{
	char here[KALIVE_PATH_MAX];
	if (path[0] == '/' || !getcwd(here, sizeof(here)))
		snprintf(out, cap, "%s", path);
	else
		snprintf(out, cap, "%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
}

/* FNV-1a, to tell paths with equal ends apart. */
static uint32_t hash_of(const char *text)
{
	uint32_t h = 2166136261u;
	for (const char *p = text; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	return h;
}

/* Namespace and instance joined by an underscore, as in keepalived's own names; empty when there is neither. */
static void join(const struct cfg *c, const char *before, char *out, size_t cap)
{
	const char *ns = c->namespace, *inst = c->keepalived.instance;
	snprintf(out, cap, "%s%s%s%s%s", before, ns[0] ? "_" : "", ns, inst[0] ? "_" : "", inst);
}

/*
 * Where run and state directories are. Who names a pid file or a namespace runs several daemons: each has its own place,
 * found again by the same name.
 */
static void find_place(struct kalive *k, const struct cfg *c)
{
	char joined[2 * CFG_PLACE_MAX + 4];
	join(c, "", joined, sizeof(joined));
	const char *name = joined[0] ? joined + 1 : "", *whole = joined;
	if (k->opts.pid && strcmp(k->pid, RUN_DIR "/keepalived.pid") != 0) {
		const char *slash = strrchr(k->pid, '/');
		name = slash ? slash + 1 : k->pid;
		whole = k->pid;
	}
	if (!name[0])
		return;
	snprintf(k->place, sizeof(k->place), "%.40s-%08x", name, hash_of(whole));
}

static void name_pid_files(struct kalive *k, const struct cfg *c)
{
	const struct cfg_keepalived *kc = &c->keepalived;
	const char *inst = kc->instance, *dir = RUN_DIR;
	if (c->namespace[0])
		snprintf(k->pid_dir, sizeof(k->pid_dir), "%s/%s", PID_DIR, c->namespace);
	else if (inst[0] || kc->use_pid_dir)
		snprintf(k->pid_dir, sizeof(k->pid_dir), "%s", PID_DIR);
	if (k->pid_dir[0])
		dir = k->pid_dir;
	if (k->opts.pid)
		kalive_absolute(k->opts.pid, k->pid, sizeof(k->pid));
	else
		snprintf(k->pid, sizeof(k->pid), "%.150s/keepalived%s%s.pid", dir, inst[0] ? "_" : "", inst);
	if (k->opts.vrrp_pid)
		kalive_absolute(k->opts.vrrp_pid, k->vrrp_pid, sizeof(k->vrrp_pid));
	else
		snprintf(k->vrrp_pid, sizeof(k->vrrp_pid), "%.150s/vrrp%s%s.pid", dir, inst[0] ? "_" : "", inst);
}

static void make_pid_dir(const struct kalive *k)
{
	if (!k->pid_dir[0])
		return;
	if ((mkdir(PID_DIR, 0755) < 0 && errno != EEXIST) || (mkdir(k->pid_dir, 0755) < 0 && errno != EEXIST))
		log_err(LOG_MAIN, "Directory for pid files %s: %s", k->pid_dir, strerror(errno));
}

void kalive_prepare(struct kalive *k, struct cfg *c)
{
	name_pid_files(k, c);
	find_place(k, c);
	join(c, "Keepalived", k->ident, sizeof(k->ident));
	join(c, "Keepalived_vrrp", k->ident_router, sizeof(k->ident_router));
	if (k->place[0])
		cfg_put_aside(c, k->place);
	make_pid_dir(k);
	if (k->opts.core) {
		struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
		if (setrlimit(RLIMIT_CORE, &all) < 0)
			log_warn(LOG_MAIN, "-m: the limit of core files could not be raised: %s", strerror(errno));
	}
}

/* The first line of a small file; empty when there is none. */
static void first_line(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "re");
	out[0] = '\0';
	if (!f)
		return;
	if (!fgets(out, (int)cap, f))
		out[0] = '\0';
	fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

/* The process that a pid file names lives, bears our name, and is not this one. Who only waits to be buried is dead. */
static bool lives(const struct kalive *k, const char *pid_file)
{
	char text[32], path[64], stat[128];
	first_line(pid_file, text, sizeof(text));
	long pid = strtol(text, NULL, 10);
	if (pid <= 0 || pid == (long)getpid())
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	first_line(path, stat, sizeof(stat)); /* PID (NAME) STATE ... */
	char *name = strchr(stat, '('), *end = strrchr(stat, ')');
	if (!name || !end || end[1] != ' ' || end[2] == 'Z' || end[2] == 'X')
		return false;
	*end = '\0';
	return strncmp(name + 1, k->name, 15) == 0;
}

bool kalive_running(const struct kalive *k)
{
	return lives(k, k->pid) || lives(k, k->vrrp_pid);
}

void kalive_log_open(const struct kalive *k, const struct cfg *c)
{
	const struct kalive_opts *o = &k->opts;
	struct log_conf lc = {
		.ident = k->ident,
		.ident_router = k->ident_router,
		.to_stderr = o->console && o->foreground,
		.to_syslog = o->syslog && (!c || c->log_syslog),
		.file = k->log_file[0] ? k->log_file : NULL,
		.facility = o->facility << 3,
		.bare = true,
		.stamped = true,
		.level = c ? (enum log_level)c->log_level : LOG_L_INFO,
	};
	log_init(&lc);
}

int kalive_pid_write(struct kalive *k)
{
	char text[24];
	if (strcmp(k->vrrp_pid, k->pid) == 0)
		return 0;
	int fd = open(k->vrrp_pid, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	bool ok = fd >= 0 && fchmod(fd, 0644) == 0 && write(fd, text, (size_t)len) == len;
	if (!ok)
		log_err(LOG_MAIN, "Pid file %s: %s", k->vrrp_pid, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

void kalive_settle(struct kalive *k, const struct cfg *c)
{
	k->place_fd = -1;
	if (!k->place[0])
		return;
	place_sweep(c->run_dir, c->state_dir);
	k->place_fd = place_take(c->state_dir, k->config);
}

void kalive_ended(const struct kalive *k, const struct cfg *c)
{
	unlink(k->vrrp_pid);
	if (k->pid_dir[0] && rmdir(k->pid_dir) == 0)
		rmdir(PID_DIR);
	if (k->place[0])
		place_leave(c->run_dir, k->place_fd);
	log_notice(LOG_MAIN, "Stopped " KALIVE_VERSION_TEXT);
}
