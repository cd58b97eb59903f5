/* The meeting point of engine and layers. */
#include "daemon/dropin/layer_io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/sdnotify.h"

#define ATTACH_NS (5 * NS_PER_SEC) /* the engine may be in a role change, or starting */
#define YIELD_NS  (3 * NS_PER_SEC)
#define PAUSE_MS  20
#define DYING_MS  100
#define BACKLOG   8

static socklen_t address(struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(sa->sun_path + 1, LAYER_SOCKET, sizeof(LAYER_SOCKET) - 1);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(LAYER_SOCKET));
}

int layer_bind(void)
{
	struct sockaddr_un sa;
	socklen_t len = address(&sa);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0) {
		int err = errno;
		close(fd);
		return -err;
	}
	return fd;
}

void layer_listen(int fd)
{
	if (fd >= 0)
		(void)listen(fd, BACKLOG);
}

bool layer_trusted(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && (cred.uid == 0 || cred.uid == geteuid());
}

int layer_connect(void)
{
	struct sockaddr_un sa;
	socklen_t len = address(&sa);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int rc = connect(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : layer_trusted(fd) ? fd : -EPERM;
	if (rc < 0)
		close(fd);
	return rc;
}

int layer_send(int fd, enum layer_msg_type type, const char *text)
{
	struct layer_msg m = { .type = type };
	char out[LAYER_MSG_MAX];

	snprintf(m.text, sizeof(m.text), "%s", text ? text : "");
	size_t n = layer_encode(&m, out);
	return send(fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n ? 0 : -errno;
}

int layer_send_fds(int fd, enum layer_msg_type type, const char *text, const int *fds, unsigned n)
{
	struct layer_msg m = { .type = type };
	char out[LAYER_MSG_MAX];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(LEGACY_FDS_MAX * sizeof(int))];
	} ctl = { .room = { 0 } };

	if (n > LEGACY_FDS_MAX)
		return -EINVAL;
	snprintf(m.text, sizeof(m.text), "%s", text);
	struct iovec iov = { out, layer_encode(&m, out) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n) {
		h.msg_control = ctl.room;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		*c = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)iov.iov_len ? 0 : -errno;
}

/* The descriptors of a message; what there is no room for the kernel has closed already. */
static unsigned fds_of(struct msghdr *h, int fds[LEGACY_FDS_MAX])
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	return n;
}

/* One message that is there. HOLD ends in l, or is closed. 0, -EAGAIN, -EPIPE. */
static int receive_now(int fd, struct layer_msg *m, struct legacy *l)
{
	char in[LAYER_MSG_MAX];
	int fds[LEGACY_FDS_MAX];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(LEGACY_FDS_MAX * sizeof(int))];
	} ctl;
	struct iovec iov = { in, sizeof(in) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.room, .msg_controllen = sizeof(ctl) };
	ssize_t len = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (len <= 0)
		return -EPIPE;
	unsigned n = fds_of(&h, fds);
	layer_decode(in, (size_t)len, m);
	if (m->type == LAYER_HOLD && l)
		legacy_take(l, m->text, fds, n);
	else
		while (n)
			close(fds[--n]);
	return 0;
}

int layer_receive(int fd, int64_t wait_ns, struct layer_msg *m, struct legacy *l)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	mono_t until = mono_add(clock_mono(), wait_ns);

	for (;;) {
		int64_t left = mono_sub(until, clock_mono()) / NS_PER_MS;
		int rc = poll(&p, 1, left > 0 ? (int)left : 0);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return rc < 0 ? -errno : -ETIMEDOUT;
		rc = receive_now(fd, m, l);
		if (rc == -EAGAIN || (rc == 0 && m->type == LAYER_HOLD))
			continue;
		return rc;
	}
}

/* Asks the engine that is there to go, and waits until it is gone. What it served comes along in l. */
static int ask_to_yield(const char *place, struct legacy *l)
{
	struct layer_msg m;
	int fd = layer_connect();

	if (fd < 0)
		return fd == -ECONNREFUSED ? 0 : fd;
	int rc = layer_send(fd, LAYER_YIELD, place);
	if (rc == 0)
		rc = layer_receive(fd, YIELD_NS, &m, l);
	if (rc == 0 && m.type != LAYER_OK)
		rc = -EBUSY;
	if (rc == 0)
		layer_listen(l->rendezvous);
	while (rc == 0) /* nothing more is said: the end of the connection is the end of that process's engine */
		rc = layer_receive(fd, YIELD_NS, &m, l);
	close(fd);
	return rc == -EPIPE ? 0 : rc;
}

int layer_take(const char *place, struct legacy *l)
{
	mono_t until = mono_add(clock_mono(), YIELD_NS);
	int fd = layer_bind();

	while (fd == -EADDRINUSE && !mono_due(until, clock_mono())) {
		int rc = ask_to_yield(place, l);
		if (rc < 0) {
			legacy_close(l);
			return rc;
		}
		fd = l->rendezvous >= 0 ? l->rendezvous : layer_bind();
		l->rendezvous = -1;
		if (fd == -EADDRINUSE)
			(void)poll(NULL, 0, PAUSE_MS);
	}
	return fd;
}

/* ---- a process that is a layer ---- */

/* The first word of an engine. One that ends before it could take us in leaves the connection open. */
static int wait_answer(int fd, int successor)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = successor, .events = POLLIN } };
	int rc;

	do
		rc = poll(p, 2, (int)(ATTACH_NS / NS_PER_MS));
	while (rc < 0 && errno == EINTR);
	if (rc > 0 && !p[0].revents)
		return -EPIPE;
	return rc > 0 ? 0 : rc < 0 ? -errno : -ETIMEDOUT;
}

static int answer(int fd, int successor, struct legacy *l, char *why, size_t size)
{
	struct layer_msg m = { 0 };
	int rc = wait_answer(fd, successor);

	if (rc == 0)
		rc = layer_receive(fd, ATTACH_NS, &m, l);

	if (rc == 0 && m.type == LAYER_OK)
		return 0;
	snprintf(why, size, "%s", rc == 0 && m.type == LAYER_NO ? m.text : "the engine does not answer");
	return rc < 0 ? rc : -EINVAL;
}

static void say_watchdog(void)
{
	if (sdnotify_watchdog_ns())
		sdnotify_watchdog();
}

static enum layer_end wait_for_end(int fd, int sig_fd, struct legacy *l)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = sig_fd, .events = POLLIN } };
	int wait_ms = sdnotify_watchdog_ns() ? (int)(sdnotify_watchdog_ns() / NS_PER_MS) : -1;
	struct signalfd_siginfo si;
	struct layer_msg m;

	for (;;) {
		int rc = poll(p, 2, wait_ms);
		if (rc < 0 && errno != EINTR)
			return LAYER_ENDED;
		say_watchdog();
		if (rc <= 0)
			continue;
		if (p[1].revents && read(sig_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
			if (si.ssi_signo != SIGHUP)
				return LAYER_ENDED;
			layer_send(fd, LAYER_RELOAD, NULL);
		}
		if (!p[0].revents)
			continue;
		rc = layer_receive(fd, 0, &m, l);
		if (rc == -ETIMEDOUT) /* nothing but descriptors */
			continue;
		if (rc < 0)
			return LAYER_ALONE;
		if (m.type == LAYER_END)
			return LAYER_ENDED;
		if (m.type == LAYER_NO)
			log_err(LOG_CFG, "the configuration was not reloaded, nothing has changed: %s", m.text);
		else if (m.type == LAYER_OK)
			log_notice(LOG_CFG, "configuration reloaded");
	}
}

/* The kernel closes a dead process's files one by one: who follows it needs what it had. Not for long: it may write a core. */
static void wait_dead(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0)
		(void)poll(&p, 1, DYING_MS);
}

int layer_peer_pidfd(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.pid <= 0)
		return -ENOENT; /* of another namespace of processes */
	int pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	return pidfd < 0 ? -errno : pidfd;
}

enum layer_end layer_stay(int fd, const char *path, struct legacy *l, void (*ready)(void *arg), void *arg, char *why,
			  size_t size)
{
	sigset_t set, old;
	struct legacy held; /* of this engine; l is of those before it, until it serves */
	legacy_init(&held);
	int engine = l->successor >= 0 ? dup(l->successor) : layer_peer_pidfd(fd);
	int rc = layer_send(fd, LAYER_ATTACH, path);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN); /* as the engine: a script that sends them must not end it */
	signal(SIGUSR2, SIG_IGN);
	int sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (rc == 0)
		rc = answer(fd, l->successor, &held, why, size);
	/* Only a word is a refusal. An engine that is dying may close the connection in several ways. */
	bool refused = rc == -EINVAL || rc == -ETIMEDOUT;
	/* Where the place was given to a process that cannot be watched, its silence is its end. */
	if (rc == -ETIMEDOUT && l->successor < 0 && l->rendezvous >= 0)
		refused = false;
	enum layer_end end = refused ? LAYER_REFUSED : LAYER_ALONE;
	if (rc == 0 && sig_fd >= 0) {
		legacy_replace(l, &held);
		ready(arg);
		end = wait_for_end(fd, sig_fd, &held);
	}
	if (end == LAYER_ALONE)
		wait_dead(engine);
	if (engine >= 0)
		close(engine);
	legacy_merge(&held, l);
	*l = held;
	if (sig_fd >= 0)
		close(sig_fd);
	close(fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return end;
}
