#define _GNU_SOURCE 1 /* F_SETPIPE_SZ, pthread_timedjoin_np */
#include "daemon/fifo_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/ring.h"
#include "daemon/base/thread.h"

#define STOP_MS    1000 /* it writes without waiting, but has to be scheduled for that */
#define ORDERS     256u
#define LAST_BYTES (64 << 10) /* room for what nobody has read when the daemon ends */

struct order {
	enum fifo_op op;
	bool end, at_once;
	unsigned which;
	char line[FIFO_LINE_MAX];
	struct request *open; /* malloc; the thread frees it */
};

struct request {
	char path[108];
	char user[32], group[32];
	bool has_user, has_group;
};

/* The thread's. */
struct pipe_end {
	int fd;
	bool made, waits;
	char path[108], line[FIFO_LINE_MAX];
	dev_t dev;
	ino_t ino;
};

/* Lives on the heap by itself: a thread that a reader holds up is left behind with it. */
struct writer {
	pthread_t thread;
	struct ring orders, answers;
	struct pipe_end end[NOTIFY_FIFOS];
};

struct fifo_io {
	struct writer *w;
	struct loop_fd *lf;
	fifo_fn fn;
	void *arg;
};

/* ---- the thread ---- */

static void answer(struct writer *w, enum fifo_op op, unsigned which, int err, const char *why)
{
	struct fifo_answer a = { .op = op, .which = which, .err = err };

	snprintf(a.why, sizeof(a.why), "%s", why);
	ring_push(&w->answers, &a); /* as many answers as orders: there is room */
}

static void forget(struct pipe_end *p)
{
	struct stat st;

	if (p->made && lstat(p->path, &st) == 0 && st.st_dev == p->dev && st.st_ino == p->ino)
		(void)unlink(p->path);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct pipe_end){ .fd = -1 };
}

/* A pipe of the operator keeps its owner and mode. */
static int own(const struct request *r, int fd, char *why)
{
	struct child_ids ids;
	int rc = child_user_find(r->has_user ? r->user : NULL, r->has_group ? r->group : NULL, false, &ids, why);

	if (rc < 0)
		return -rc;
	if (fchown(fd, ids.uid, ids.gid) < 0) {
		int err = errno;
		snprintf(why, CHILD_WHY_MAX, "%s cannot be given to user %u: %s", r->path, ids.uid, strerror(err));
		return err;
	}
	return 0;
}

static int open_pipe(struct pipe_end *p, const struct request *r, char *why)
{
	struct stat st;

	snprintf(p->path, sizeof(p->path), "%s", r->path);
	p->made = mkfifo(r->path, 0600) == 0;
	int err = p->made || errno == EEXIST ? 0 : errno;
	if (!err) {
		p->fd = open(r->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
		err = p->fd < 0 || fstat(p->fd, &st) < 0 ? errno : 0;
	}
	if (err) {
		snprintf(why, CHILD_WHY_MAX, "%s: %s", r->path, strerror(err));
		if (p->made)
			(void)unlink(p->path);
		p->made = false;
		return err;
	}
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	if (!S_ISFIFO(st.st_mode)) {
		snprintf(why, CHILD_WHY_MAX, "%s is no named pipe; remove it, or name another path", r->path);
		return ENXIO;
	}
	(void)fcntl(p->fd, F_SETPIPE_SZ, 1); /* one page; if refused, only more history is in it */
	return p->made ? own(r, p->fd, why) : 0;
}

static void do_open(struct writer *w, const struct order *o)
{
	char why[CHILD_WHY_MAX] = "";
	struct pipe_end *p = &w->end[o->which];

	forget(p);
	int err = open_pipe(p, o->open, why);
	if (err && err != EPERM && p->fd >= 0)
		forget(p);
	answer(w, FIFO_OPEN, o->which, p->fd >= 0 ? 0 : err, why);
	free(o->open);
}

static void write_line(struct writer *w, unsigned which)
{
	struct pipe_end *p = &w->end[which];
	size_t len = strlen(p->line);
	ssize_t n = p->fd >= 0 ? write(p->fd, p->line, len) : -1;
	int err = n == (ssize_t)len ? 0 : p->fd < 0 ? EBADF : n < 0 ? errno : EIO;

	if (err == EAGAIN && p->waits)
		return;
	p->waits = false;
	answer(w, FIFO_LINE, which, err, "");
}

static void do_line(struct writer *w, const struct order *o)
{
	struct pipe_end *p = &w->end[o->which];

	if (o->at_once && p->fd >= 0)
		(void)fcntl(p->fd, F_SETPIPE_SZ, LAST_BYTES);
	if (o->at_once && p->waits) {
		p->waits = false;
		write_line(w, o->which);
	}
	memcpy(p->line, o->line, sizeof(p->line));
	p->waits = p->fd >= 0 && !o->at_once;
	if (!p->waits)
		write_line(w, o->which);
}

static void do_close(struct writer *w, unsigned which)
{
	struct pipe_end *p = &w->end[which];

	if (p->waits) {
		p->waits = false;
		write_line(w, which);
	}
	forget(p);
	answer(w, FIFO_CLOSE, which, 0, "");
}

/* False: the end. */
static bool obey(struct writer *w)
{
	struct order o;

	ring_ack(&w->orders);
	while (ring_pop(&w->orders, &o)) {
		if (o.end)
			return false;
		switch (o.op) {
		case FIFO_OPEN:
			do_open(w, &o);
			break;
		case FIFO_LINE:
			do_line(w, &o);
			break;
		case FIFO_CLOSE:
			do_close(w, o.which);
			break;
		}
	}
	return true;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	for (;;) {
		struct pollfd p[1 + NOTIFY_FIFOS] = { { .fd = ring_fd(&w->orders), .events = POLLIN } };
		for (unsigned i = 0; i < NOTIFY_FIFOS; i++)
			p[1 + i] = (struct pollfd){ .fd = w->end[i].waits ? w->end[i].fd : -1, .events = POLLOUT };
		(void)poll(p, 1 + NOTIFY_FIFOS, -1);
		if ((p[0].revents & POLLIN) && !obey(w))
			break;
		for (unsigned i = 0; i < NOTIFY_FIFOS; i++)
			if ((p[1 + i].revents & POLLOUT) && w->end[i].waits)
				write_line(w, i);
	}
	for (unsigned i = 0; i < NOTIFY_FIFOS; i++) {
		/* a line that came just before the end was not tried yet */
		if (w->end[i].waits) {
			w->end[i].waits = false;
			write_line(w, i);
		}
		forget(&w->end[i]);
	}
	return NULL;
}

/* ---- the loop ---- */

bool fifo_io_open(struct fifo_io *f, unsigned which, const struct notify_fifo_conf *conf, const char *user,
		  const char *group)
{
	struct request *r = calloc(1, sizeof(*r));
	struct order o = { .op = FIFO_OPEN, .which = which, .open = r };

	if (!r)
		return false;
	if (conf->user) {
		user = conf->user;
		group = conf->group;
	}
	snprintf(r->path, sizeof(r->path), "%s", conf->path);
	snprintf(r->user, sizeof(r->user), "%s", user ? user : "");
	snprintf(r->group, sizeof(r->group), "%s", group ? group : "");
	r->has_user = user != NULL;
	r->has_group = group != NULL;
	if (ring_push(&f->w->orders, &o))
		return true;
	free(r);
	return false;
}

bool fifo_io_line(struct fifo_io *f, unsigned which, const char *line, bool at_once)
{
	struct order o = { .op = FIFO_LINE, .which = which, .at_once = at_once };

	snprintf(o.line, sizeof(o.line), "%s", line);
	return ring_push(&f->w->orders, &o);
}

bool fifo_io_close(struct fifo_io *f, unsigned which)
{
	struct order o = { .op = FIFO_CLOSE, .which = which };

	return ring_push(&f->w->orders, &o);
}

static void on_answer(void *arg, int fd, unsigned events)
{
	struct fifo_io *f = arg;
	struct fifo_answer a;

	(void)fd;
	(void)events;
	ring_ack(&f->w->answers);
	for (unsigned i = 0; i < ORDERS && ring_pop(&f->w->answers, &a); i++)
		f->fn(f->arg, &a);
}

static struct writer *writer_new(void)
{
	struct writer *w = calloc(1, sizeof(*w));
	int rc = w ? 0 : -ENOMEM;

	if (!w) {
		errno = ENOMEM;
		return NULL;
	}
	w->orders.wake_fd = w->answers.wake_fd = -1;
	for (unsigned i = 0; i < NOTIFY_FIFOS; i++)
		w->end[i].fd = -1;
	rc = ring_init(&w->orders, sizeof(struct order), ORDERS);
	if (rc == 0)
		rc = ring_init(&w->answers, sizeof(struct fifo_answer), ORDERS);
	if (rc == 0)
		rc = thread_start(&w->thread, writer_main, w);
	if (rc == 0)
		return w;
	ring_free(&w->orders);
	ring_free(&w->answers);
	free(w);
	errno = -rc;
	return NULL;
}

struct fifo_io *fifo_io_new(struct loop *l, fifo_fn fn, void *arg)
{
	struct fifo_io *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fn = fn;
	f->arg = arg;
	f->w = writer_new();
	f->lf = f->w ? loop_fd_new(l, ring_fd(&f->w->answers), LOOP_READ, LOOP_NORMAL, on_answer, f) : NULL;
	if (f->lf)
		return f;
	int err = errno;
	fifo_io_free(f);
	errno = err;
	return NULL;
}

void fifo_io_free(struct fifo_io *f)
{
	struct order end = { .end = true };
	struct timespec until;

	if (!f)
		return;
	loop_fd_free(f->lf);
	if (f->w) {
		ring_push(&f->w->orders, &end);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += STOP_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (pthread_timedjoin_np(f->w->thread, NULL, &until) == 0) {
			ring_free(&f->w->orders);
			ring_free(&f->w->answers);
			free(f->w);
		} else {
			pthread_detach(f->w->thread);
		}
	}
	free(f);
}
