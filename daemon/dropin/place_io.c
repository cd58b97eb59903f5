/*
 * Run and state directories of daemons that are called keepalived. Who deletes a router deletes its configuration: then
 * nobody comes back for the epoch and the journal.
 */
#include "daemon/dropin/place_io.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ORIGIN     "origin"
#define REST_S     3600 /* a configuration that is just being replaced is not gone */
#define SWEEP_MAX  1000 /* directories that one start looks at */
#define EMPTY_LIST 16   /* bytes of an ownership file, or a record of sysctls, without an entry */

static const char *const run_files[] = { "guardian", "owned", "sysctl", "ctl.sock" };
static const char *const state_files[] = { "epoch",       "epoch.new",   "journal",
					   "journal.new", "maintenance", "maintenance.new" };

#define N(list) (sizeof(list) / sizeof((list)[0]))

int place_take(const char *state_dir, const char *config)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/" ORIGIN, state_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	size_t len = strlen(config);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 0) < 0 || write(fd, config, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A list that names nothing, or no file at all. */
static bool is_empty_list(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size <= EMPTY_LIST;
}

void place_leave(const char *run_dir, int fd)
{
	int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir >= 0 && is_empty_list(dir, "owned") && is_empty_list(dir, "sysctl")) {
		for (unsigned i = 0; i < N(run_files); i++)
			unlinkat(dir, run_files[i], 0);
		rmdir(run_dir);
	}
	if (dir >= 0)
		close(dir);
	if (fd >= 0) {
		futimens(fd, NULL);
		close(fd);
	}
}

/* NAME-HASH, as kalive_proc.c makes them. */
static bool is_place(const char *name)
{
	const char *dash = strrchr(name, '-');
	if (!dash || strlen(dash + 1) != 8)
		return false;
	for (const char *p = dash + 1; *p; p++)
		if (!isxdigit((unsigned char)*p))
			return false;
	return true;
}

static void remove_files(int parent, const char *name, const char *const *files, unsigned n)
{
	int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return;
	for (unsigned i = 0; i < n; i++)
		unlinkat(dir, files[i], 0);
	close(dir);
}

/* The lock on its origin is ours then: nobody lives there, and nobody starts there meanwhile. */
static bool is_left(int fd)
{
	char config[PATH_MAX];
	struct stat st;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || time(NULL) - st.st_mtime < REST_S)
		return false;
	ssize_t n = read(fd, config, sizeof(config) - 1);
	if (n <= 0 || config[0] != '/')
		return false;
	config[n] = '\0';
	return access(config, F_OK) < 0 && errno == ENOENT;
}

static void sweep_one(int state, int run, const char *name)
{
	char path[NAME_MAX + sizeof(ORIGIN) + 2];
	snprintf(path, sizeof(path), "%s/" ORIGIN, name);
	int fd = openat(state, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (is_left(fd)) {
		remove_files(state, name, state_files, N(state_files));
		if (run >= 0) {
			remove_files(run, name, run_files, N(run_files));
			unlinkat(run, name, AT_REMOVEDIR);
		}
		unlinkat(state, path, 0);
		unlinkat(state, name, AT_REMOVEDIR);
	}
	close(fd);
}

/* The directory above, and what ours is called in it. */
static int open_parent(const char *dir, const char **name)
{
	char up[PATH_MAX];
	const char *slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return -1;
	*name = slash + 1;
	snprintf(up, sizeof(up), "%.*s", (int)(slash - dir), dir);
	return open(up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void place_sweep(const char *run_dir, const char *state_dir)
{
	const char *own = NULL, *own_run = NULL;
	int state = open_parent(state_dir, &own), run = open_parent(run_dir, &own_run);
	DIR *d = state >= 0 ? fdopendir(dup(state)) : NULL;
	const struct dirent *e;
	for (unsigned n = 0; d && n < SWEEP_MAX && (e = readdir(d)) != NULL;) {
		if (!is_place(e->d_name) || strcmp(e->d_name, own) == 0)
			continue;
		n++;
		sweep_one(state, run, e->d_name);
	}
	if (d)
		closedir(d);
	if (state >= 0)
		close(state);
	if (run >= 0)
		close(run);
}
