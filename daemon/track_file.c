/*
 * Tracked files. Their directories are watched with inotify; reading, and adding the watches, is kt-disk's, because a
 * file may lie on a disk that does not answer. Every few seconds they are read without an event: a directory may have come
 * or been covered meanwhile, and some file systems have no events.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/track_text.h"

#define PERIOD_NS  (5 * NS_PER_SEC)
#define RETRY_NS   (50 * NS_PER_MS) /* an empty file is about to be written */
#define EVENTS     (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
#define TEXT_MAX   64
#define FILE_PATHS 256

struct file {
	struct track_item head;
	bool wanted; /* to be read */
	bool begun;  /* init was written, if any */
	bool empty;  /* it was when it was read last: not yet counted */
	int err;     /* of the last reading */
	bool bad;    /* there is no number in it */
	bool said;   /* the complaint about it */
};

/* One file in a job. */
struct reading_file {
	uint16_t index;
	char path[FILE_PATHS];
	bool init, overwrite;
	int64_t init_value;
	/* what was found */
	int err, init_err;
	size_t n;
	char text[TEXT_MAX];
};

struct reading {
	struct track_files *owner; /* NULL: nobody waits for it any more */
	uint32_t generation;
	int inotify;
	unsigned n;
	struct reading_file f[];
};

struct track_files {
	struct app_track *t;
	struct track_list list;
	int inotify;
	struct loop_fd *lf;
	struct loop_timer *timer;
	struct reading *reading; /* under way */
	uint32_t generation;     /* of the list */
};

/* ---- on kt-disk ---- */

static void watch_dir(int inotify, const char *path)
{
	char dir[FILE_PATHS];
	snprintf(dir, sizeof(dir), "%s", path);
	char *slash = strrchr(dir, '/');
	if (inotify < 0 || !slash)
		return;
	slash[slash == dir] = '\0';
	(void)inotify_add_watch(inotify, dir, EVENTS); /* what cannot be watched is read periodically */
}

static int write_init(const struct reading_file *f)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld\n", (long long)f->init_value);
	int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | (f->overwrite ? O_TRUNC : O_EXCL), 0644);
	if (fd < 0)
		return errno == EEXIST ? 0 : errno;
	int err = write(fd, text, (size_t)len) == len ? 0 : errno ? errno : EIO;
	close(fd);
	return err;
}

static void read_one(struct reading_file *f)
{
	struct stat st;
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		f->err = errno;
		return;
	}
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		f->err = EINVAL;
	ssize_t n = f->err ? 0 : read(fd, f->text, sizeof(f->text));
	if (n < 0)
		f->err = errno;
	f->n = n > 0 ? (size_t)n : 0;
	close(fd);
}

static int read_all(void *ctx)
{
	struct reading *r = ctx;
	for (unsigned i = 0; i < r->n; i++) {
		watch_dir(r->inotify, r->f[i].path);
		if (r->f[i].init)
			r->f[i].init_err = write_init(&r->f[i]);
		read_one(&r->f[i]);
	}
	return 0;
}

/* ---- on CONTROL ---- */

static void begin(struct track_files *s);

static void complain(struct file *f, const char *path, int init_err)
{
	if (init_err)
		log_err(LOG_VRRP, "file %s: %s cannot be written: %s", track_conf(&f->head)->name, path,
			strerror(init_err));
	bool odd = f->bad || (f->err && f->err != ENOENT && f->err != ENOTDIR);
	if (odd && !f->said)
		log_warn(LOG_VRRP, "file %s: %s %s%s: it counts as missing", track_conf(&f->head)->name, path,
			 f->bad ? "has no number in it" : "cannot be read: ", f->bad ? "" : strerror(f->err));
	f->said = odd;
}

/* False: to be read once more. */
static bool take(struct file *f, const struct reading_file *r)
{
	struct app_track *t = f->head.t;
	const struct cfg_track_file *c = &t->cfg->track.files[track_conf(&f->head)->index];
	int64_t value = 0;
	if (!r->err && !r->n && !f->empty) {
		f->empty = true;
		return false;
	}
	f->empty = !r->err && !r->n;
	f->err = r->err;
	f->begun = true;
	f->bad = !r->err && (r->n == TEXT_MAX || !track_number(r->text, r->n, &value));
	complain(f, c->path, r->init_err);
	if (f->err || f->bad)
		value = c->missing;
	track_report_value(t, f->head.obj, value, f->err || f->bad ? "there is no such file, or no number in it" : "");
	return true;
}

static void on_read(struct kt_job *job)
{
	struct reading *r = job->call.ctx;
	struct track_files *s = r->owner;
	mono_t next = mono_add(clock_mono(), PERIOD_NS);
	if (s) {
		s->reading = NULL;
		for (unsigned i = 0; i < r->n && r->generation == s->generation; i++) {
			struct file *f = (struct file *)s->list.item[r->f[i].index];
			if (take(f, &r->f[i]))
				continue;
			f->wanted = true;
			next = mono_add(clock_mono(), RETRY_NS);
		}
		bool again = false;
		for (uint16_t i = 0; i < s->list.n; i++) {
			const struct file *f = (const struct file *)s->list.item[i];
			again |= f->wanted && !f->empty;
		}
		if (again)
			begin(s);
		loop_timer_set(s->timer, next);
	}
	free(r);
}

static void add_file(struct reading *r, struct file *f, uint16_t index)
{
	const struct cfg_track_file *c = &f->head.t->cfg->track.files[index];
	struct reading_file *rf = &r->f[r->n++];
	rf->index = index;
	snprintf(rf->path, sizeof(rf->path), "%s", c->path);
	rf->init = c->has_init && !f->begun;
	rf->overwrite = c->overwrite;
	rf->init_value = c->init;
	f->wanted = false;
}

/* Reads what is wanted, unless that is being done. */
static void begin(struct track_files *s)
{
	if (s->reading)
		return;
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, on_read, NULL);
	struct reading *r = calloc(1, sizeof(*r) + s->list.n * sizeof(r->f[0]));
	if (job && r) {
		r->owner = s;
		r->generation = s->generation;
		r->inotify = s->inotify;
		for (uint16_t i = 0; i < s->list.n; i++) {
			struct file *f = (struct file *)s->list.item[i];
			if (f->head.used && f->wanted)
				add_file(r, f, i);
		}
		job->call.fn = read_all;
		job->call.ctx = r;
		job->call.disk = true;
		if (r->n && kernel_thread_submit(s->t->app->kt, job) == 0) {
			s->reading = r;
			return;
		}
	}
	kt_job_free(job);
	free(r);
}

static void want_all(struct track_files *s)
{
	for (uint16_t i = 0; i < s->list.n; i++)
		((struct file *)s->list.item[i])->wanted = true;
}

static void on_timer(void *arg, mono_t deadline)
{
	struct track_files *s = arg;
	bool used = false;
	for (uint16_t i = 0; i < s->list.n; i++)
		used |= s->list.item[i]->used;
	want_all(s);
	begin(s);
	loop_timer_set(s->timer, used ? mono_add(deadline, PERIOD_NS) : MONO_NEVER);
}

static const char *base_name(const struct file *f)
{
	const char *path = f->head.t->cfg->track.files[track_conf(&f->head)->index].path;
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void on_inotify(void *arg, int fd, unsigned events)
{
	struct track_files *s = arg;
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	(void)events;
	for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
		const struct inotify_event *ev = (const struct inotify_event *)(const void *)(buf + at);
		at += (ssize_t)sizeof(*ev) + (ssize_t)ev->len;
		if (ev->mask & (IN_Q_OVERFLOW | IN_IGNORED))
			want_all(s);
		for (uint16_t i = 0; ev->len && i < s->list.n; i++) {
			struct file *f = (struct file *)s->list.item[i];
			if (strcmp(base_name(f), ev->name) == 0)
				f->wanted = true;
		}
	}
	begin(s);
}

/* ---- configuration ---- */

static int watch(struct track_files *s)
{
	if (!s->timer)
		s->timer = loop_timer_new(s->t->app->loop, LOOP_NORMAL, on_timer, s);
	if (!s->timer)
		return -ENOMEM;
	if (s->lf || !s->list.n)
		return 0;
	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	s->lf = s->inotify >= 0 ? loop_fd_new(s->t->app->loop, s->inotify, LOOP_READ, LOOP_BULK, on_inotify, s) : NULL;
	if (!s->lf)
		log_warn(LOG_VRRP, "tracked files: no events of the kernel (%s): they are read every 5 s",
			 strerror(errno));
	return 0;
}

static void end_all(struct track_list *list)
{
	for (uint16_t i = 0; i < list->n; i++)
		free(list->item[i]);
	free(list->item);
}

int track_files_set(struct track_files *s, const struct cfg *old)
{
	struct track_list gone;
	int rc = track_list_set(s->t, old, VRRP_TRACK_FILE, sizeof(struct file), &s->list, &gone);
	end_all(&gone);
	s->generation++;
	rc = rc ? rc : watch(s);
	if (rc == 0)
		loop_timer_set(s->timer, s->list.n ? clock_mono() : MONO_NEVER);
	return rc;
}

json_t *track_files_json(const struct track_files *s, uint16_t index)
{
	const struct file *f = (const struct file *)s->list.item[index];
	const struct vrrp_track_obj *o = &s->t->obj[f->head.obj];
	const char *path = s->t->cfg->track.files[index].path;
	char detail[FILE_PATHS + 100];
	snprintf(detail, sizeof(detail), "%s: %lld%s%s", path, (long long)o->value,
		 f->bad   ? ", as there is no number in it"
		 : f->err ? ", as it cannot be read: "
			  : "",
		 f->err ? strerror(f->err) : "");
	return json_pack("{s:s, s:o, s:s}", "path", path, "value", o->known ? json_integer(o->value) : json_null(),
			 "detail", o->known ? detail : path);
}

struct track_files *track_files_new(struct app_track *t)
{
	struct track_files *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->t = t;
	s->inotify = -1;
	return s;
}

void track_files_free(struct track_files *s)
{
	if (!s)
		return;
	if (s->reading)
		s->reading->owner = NULL;
	loop_fd_free(s->lf);
	loop_timer_free(s->timer);
	end_all(&s->list);
	/* A reading under way uses the descriptor: it then lives as long as the process, which is ending. */
	if (s->inotify >= 0 && !s->reading)
		close(s->inotify);
	free(s);
}
