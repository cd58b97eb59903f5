/*
 * A job for a base works on a copy of the plan: it reads the present values, writes the record with them, and only then
 * sets the new ones. With one such job at a time the copy is always the newest.
 */
#include "daemon/sysctl_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/file_io.h"

#define ROOT_MAX  128
#define RENAME_MS 20

struct sysctl_io {
	struct kernel_thread *kt;
	struct sysctl_plan plan;
	struct sysctl_io_stats stats;
	char root[ROOT_MAX], record[256];
	bool busy;
	bool vmac_busy;
	struct sysctl_vmac *vmac; /* waiting: at start all of them come at once */
	unsigned n_vmac, cap_vmac;
};

struct base_job {
	struct sysctl_io *s;
	struct sysctl_plan plan; /* a copy, with the job's outcome */
	struct sysctl_base b;
	int err, record_err;
	char failed[SYSCTL_PATH_MAX]; /* the first setting that was refused */
};

#define VMACS_JOB 64   /* interfaces in one job */
#define VMACS_MAX 4096 /* waiting ones */

struct vmac_job {
	struct sysctl_io *s;
	struct sysctl_vmac v[VMACS_JOB];
	unsigned n, written, refused;
	int err; /* of the first refusal, with its place */
	char failed[SYSCTL_PATH_MAX];
};

/* ---- on KERNEL ---- */

static int open_item(const char *root, const char *path, int flags)
{
	char full[ROOT_MAX + SYSCTL_PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s/%s", root, path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return -ENAMETOOLONG;
	int fd = open(full, flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fd;
}

static int read_item(const char *root, const char *path, int32_t *value)
{
	char text[32];
	int fd = open_item(root, path, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int rc = n < 0 ? -errno : 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	char *end = text;
	*value = (int32_t)strtol(text, &end, 10);
	return rc < 0 ? rc : end == text ? -EINVAL : 0;
}

static int write_item(const char *root, const char *path, int32_t value)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", value), fd = open_item(root, path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return fd;
	int rc = write(fd, text, (size_t)len) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* A kernel without IPv6, or without this setting, needs none. */
static bool counts(int rc)
{
	return rc < 0 && rc != -ENOENT;
}

static void make_vmac(struct vmac_job *j, const struct sysctl_vmac *v)
{
	struct sysctl_item it[SYSCTL_ITEMS_MAX];
	unsigned n = sysctl_plan_vmac(v, it), refused = 0;
	for (unsigned i = 0; i < n; i++) {
		int32_t now = 0, from = 0;
		int rc = read_item(j->s->root, it[i].path, &now);
		if (rc == 0 && it[i].from[0])
			rc = read_item(j->s->root, it[i].from, &from);
		int32_t value = rc == 0 ? sysctl_plan_value(&it[i], now, from) : SYSCTL_UNTOUCHED;
		if (value != SYSCTL_UNTOUCHED) {
			rc = write_item(j->s->root, it[i].path, value);
			j->written += rc == 0;
		}
		if (!counts(rc))
			continue;
		refused = 1;
		if (!j->err) {
			j->err = rc;
			memcpy(j->failed, it[i].path, sizeof(j->failed));
		}
	}
	j->refused += refused;
}

static int run_vmacs(void *ctx)
{
	struct vmac_job *j = ctx;
	for (unsigned i = 0; i < j->n; i++)
		make_vmac(j, &j->v[i]);
	return j->err;
}

static void write_record(struct base_job *j)
{
	uint8_t *buf = malloc(SYSCTL_RECORD_MAX);
	if (!buf) {
		j->record_err = -ENOMEM;
		return;
	}
	size_t len = sysctl_record_encode(&j->plan, buf, SYSCTL_RECORD_MAX);
	j->record_err = len ? file_io_replace(j->s->record, buf, len, 0600) : -EMSGSIZE;
	free(buf);
}

static void note(struct base_job *j, const struct sysctl_item *it, int rc)
{
	if (!counts(rc) || j->err)
		return;
	j->err = rc;
	memcpy(j->failed, it->path, sizeof(j->failed));
}

static void set_base(struct base_job *j, const struct sysctl_item *it)
{
	for (unsigned k = 0; k < SYSCTL_BASE_N; k++) {
		int32_t now = 0;
		int rc = read_item(j->s->root, it[k].path, &now);
		note(j, &it[k], rc);
		if (j->b.unsure && j->b.old[k] != SYSCTL_UNTOUCHED)
			continue; /* an earlier process knew the old value */
		j->b.set[k] = rc == 0 ? sysctl_plan_value(&it[k], now, 0) : SYSCTL_UNTOUCHED;
		j->b.old[k] = j->b.set[k] == SYSCTL_UNTOUCHED ? SYSCTL_UNTOUCHED : now;
	}
	j->b.applied = j->err == 0;
	sysctl_plan_done(&j->plan, &j->b, j->err);
	write_record(j);
	for (unsigned k = 0; k < SYSCTL_BASE_N && j->b.applied; k++)
		if (j->b.set[k] != SYSCTL_UNTOUCHED)
			note(j, &it[k], write_item(j->s->root, it[k].path, j->b.set[k]));
}

static void restore_base(struct base_job *j, const struct sysctl_item *it)
{
	for (unsigned k = 0; k < SYSCTL_BASE_N; k++) {
		int32_t now = 0, back = SYSCTL_UNTOUCHED;
		if (read_item(j->s->root, it[k].path, &now) == 0)
			back = sysctl_plan_restore(&j->b, (enum sysctl_base_key)k, now);
		if (back != SYSCTL_UNTOUCHED)
			note(j, &it[k], write_item(j->s->root, it[k].path, back));
	}
	j->b.applied = false;
	sysctl_plan_done(&j->plan, &j->b, 0);
	write_record(j);
}

/* The kernel tells of an interface's new name a moment before it renames the directory. */
static void wait_for_dir(const char *root, const char *path)
{
	int fd = -1;
	for (unsigned i = 0; i < RENAME_MS && (fd = open_item(root, path, O_RDONLY)) < 0; i++)
		poll(NULL, 0, 1);
	if (fd >= 0)
		close(fd);
}

static int run_base(void *ctx)
{
	struct base_job *j = ctx;
	struct sysctl_item it[SYSCTL_BASE_N];
	sysctl_plan_base(j->b.name, it);
	wait_for_dir(j->s->root, it[0].path);
	if (j->b.wanted)
		set_base(j, it);
	else
		restore_base(j, it);
	return j->err;
}

/* ---- on CONTROL ---- */

static void vmac_next(struct sysctl_io *s);

static void vmac_done(struct kt_job *job)
{
	struct vmac_job *j = job->call.ctx;
	struct sysctl_io *s = j->s;
	s->stats.written += j->written;
	s->stats.refused += j->refused;
	if (j->err < 0)
		log_warn(LOG_NET,
			 "/proc/sys/%s: %s; this virtual MAC may not answer as it should (%u of %u interfaces)",
			 j->failed, err_text(j->err), j->refused, j->n);
	free(j);
	s->vmac_busy = false;
	vmac_next(s);
}

/* The oldest ones that wait; more of them when these are done. */
static void vmac_next(struct sysctl_io *s)
{
	if (s->vmac_busy || !s->n_vmac)
		return;
	struct vmac_job *j = calloc(1, sizeof(*j));
	struct kt_job *job = kt_job_new(KT_CALL, KT_PROMOTE, vmac_done, s);
	if (j && job) {
		j->s = s;
		j->n = s->n_vmac < VMACS_JOB ? s->n_vmac : VMACS_JOB;
		memcpy(j->v, s->vmac, j->n * sizeof(j->v[0]));
		job->call.fn = run_vmacs;
		job->call.ctx = j;
		s->vmac_busy = kernel_thread_submit(s->kt, job) == 0;
	}
	if (!s->vmac_busy) { /* they wait on, until the next change of an interface */
		kt_job_free(job);
		free(j);
		return;
	}
	s->n_vmac -= j->n;
	memmove(s->vmac, s->vmac + j->n, s->n_vmac * sizeof(s->vmac[0]));
}

static bool vmac_room(struct sysctl_io *s)
{
	if (s->n_vmac < s->cap_vmac)
		return true;
	unsigned cap = s->cap_vmac ? 2 * s->cap_vmac : 64;
	void *more = cap <= VMACS_MAX ? realloc(s->vmac, cap * sizeof(s->vmac[0])) : NULL;
	if (!more)
		return false;
	s->vmac = more;
	s->cap_vmac = cap;
	return true;
}

void sysctl_io_vmac(struct sysctl_io *s, const struct sysctl_vmac *v)
{
	if (vmac_room(s)) {
		s->vmac[s->n_vmac++] = *v;
	} else {
		log_warn(LOG_NET, "%s: too many interfaces wait for their settings: it keeps the kernel's", v->name);
		s->stats.refused++;
	}
	vmac_next(s);
}

static void tell_record(struct sysctl_io *s, int err)
{
	if (err < 0 && s->stats.record_err == 0)
		log_warn(LOG_NET, "%s: %s; after a crash the settings of base interfaces could not be put back",
			 s->record, err_text(err));
	s->stats.record_err = err;
}

static void base_done(struct kt_job *job)
{
	struct base_job *j = job->call.ctx;
	struct sysctl_io *s = j->s;
	s->busy = false;
	if (j->err < 0) {
		s->stats.refused++;
		log_warn(LOG_NET, "/proc/sys/%s: %s; %s", j->failed, err_text(j->err),
			 j->b.wanted ? "the base interface may answer for virtual addresses with its own MAC"
				     : "it keeps the value that the virtual MAC needed");
	}
	for (unsigned k = 0; k < SYSCTL_BASE_N; k++)
		*(j->b.wanted ? &s->stats.written : &s->stats.restored) += j->b.set[k] != SYSCTL_UNTOUCHED;
	tell_record(s, j->record_err);
	sysctl_plan_done(&s->plan, &j->b, j->b.wanted ? j->err : 0);
	free(j);
	sysctl_io_kick(s);
}

void sysctl_io_kick(struct sysctl_io *s)
{
	vmac_next(s);
	const struct sysctl_base *b = sysctl_plan_next(&s->plan);
	if (s->busy || !b)
		return;
	struct base_job *j = calloc(1, sizeof(*j));
	struct kt_job *job = kt_job_new(KT_CALL, KT_PROMOTE, base_done, s);
	if (j && job) {
		j->s = s;
		j->plan = s->plan;
		j->b = *b;
		job->call.fn = run_base;
		job->call.ctx = j;
		s->busy = kernel_thread_submit(s->kt, job) == 0;
		if (s->busy)
			return;
	}
	s->stats.refused++; /* the next change of an interface tries again */
	kt_job_free(job);
	free(j);
}

struct sysctl_plan *sysctl_io_plan(struct sysctl_io *s)
{
	return &s->plan;
}

const struct sysctl_io_stats *sysctl_io_stats(const struct sysctl_io *s)
{
	return &s->stats;
}

static const char *read_record(struct sysctl_io *s)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = file_io_read(s->record, SYSCTL_RECORD_MAX, &data, &len);
	if (rc < 0)
		return rc == -ENOENT ? NULL : err_text(rc);
	enum sysctl_record_drop d = sysctl_record_decode(&s->plan, data, len);
	free(data);
	return d == SYSCTL_RECORD_OK ? NULL : sysctl_record_text(d);
}

struct sysctl_io *sysctl_io_new(struct kernel_thread *kt, const char *root, const char *record, const char **why)
{
	struct sysctl_io *s = calloc(1, sizeof(*s));
	*why = NULL;
	if (!s)
		return NULL;
	s->kt = kt;
	snprintf(s->root, sizeof(s->root), "%s", root);
	snprintf(s->record, sizeof(s->record), "%s", record);
	*why = read_record(s);
	return s;
}

void sysctl_io_free(struct sysctl_io *s)
{
	if (s)
		free(s->vmac);
	free(s);
}
