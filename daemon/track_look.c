#include "daemon/track_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/track_text.h"

#define CMDLINE_MAX 4096

static size_t words_size(const struct cfg_track_process *p)
{
	size_t n = 0;
	for (unsigned i = 0; p->argv[i]; i++)
		n += strlen(p->argv[i]) + 1;
	return n;
}

/* Whoever replaces the configuration need not wait for a look. */
struct track_look *track_look_new(const struct cfg *c, uint16_t n)
{
	struct track_look *l = calloc(1, sizeof(*l));
	size_t size = 1;
	for (uint16_t i = 0; i < n; i++)
		size += words_size(&c->track.processes[i]);
	if (!l)
		return NULL;
	l->conf = calloc(n + 1u, sizeof(*l->conf));
	l->words = malloc(size);
	if (!l->conf || !l->words) {
		track_look_free(l);
		return NULL;
	}
	char *at = l->words;
	l->n_conf = n;
	for (uint16_t i = 0; i < n; i++) {
		l->conf[i] = c->track.processes[i];
		for (unsigned k = 0; c->track.processes[i].argv[k]; k++) {
			l->conf[i].argv[k] = at;
			at = stpcpy(at, c->track.processes[i].argv[k]) + 1;
		}
	}
	return l;
}

void track_look_free(struct track_look *l)
{
	if (!l)
		return;
	free(l->hit);
	free(l->conf);
	free(l->words);
	free(l);
}

static ssize_t read_file(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, size);
	close(fd);
	return n;
}

static void add_hit(struct track_look *l, pid_t pid, uint16_t index)
{
	if (l->n_hits == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 64;
		struct track_hit *more = realloc(l->hit, cap * sizeof(*more));
		if (!more) {
			l->cut = true;
			return;
		}
		l->hit = more;
		l->cap = cap;
	}
	l->hit[l->n_hits++] = (struct track_hit){ pid, index };
}

static void look_at(struct track_look *l, pid_t pid)
{
	char stat[512], name[16], cmdline[CMDLINE_MAX];
	bool runs, read_cmdline = false;
	ssize_t n = read_file(pid, "stat", stat, sizeof(stat)), words = 0;
	if (n <= 0 || !track_stat(stat, (size_t)n, name, &runs) || !runs)
		return;
	for (uint16_t i = 0; i < l->n_conf; i++) {
		const struct cfg_track_process *p = &l->conf[i];
		/* The name decides first, where it counts: a command line is more work, also for the other process. */
		if (!p->full_command && strncmp(p->argv[0], name, 15) != 0)
			continue;
		if (track_needs_cmdline(p) && !read_cmdline) {
			words = read_file(pid, "cmdline", cmdline, sizeof(cmdline));
			read_cmdline = true;
		}
		if (track_matches(p, name, cmdline, words > 0 ? (size_t)words : 0))
			add_hit(l, pid, i);
	}
}

int track_look_run(void *ctx)
{
	struct track_look *l = ctx;
	for (unsigned i = 0; i < l->n_pids && !l->all; i++)
		look_at(l, l->pid[i]);
	if (!l->all)
		return 0;
	DIR *d = opendir("/proc");
	if (!d)
		return 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && !*end)
			look_at(l, (pid_t)pid);
	}
	closedir(d);
	return 0;
}
