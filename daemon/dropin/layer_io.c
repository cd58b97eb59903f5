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
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/sdnotify.h"

#define ATTACH_NS (5 * NS_PER_SEC) /* the engine may be in a role change, or starting */
#define YIELD_NS  (3 * NS_PER_SEC)
#define PAUSE_MS  20

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
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 8) < 0) {
		int err = errno;
		close(fd);
		return -err;
	}
	return fd;
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

int layer_receive(int fd, int64_t wait_ns, struct layer_msg *m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	mono_t until = mono_add(clock_mono(), wait_ns);
	char in[LAYER_MSG_MAX];

	for (;;) {
		int64_t left = mono_sub(until, clock_mono()) / NS_PER_MS;
		int rc = poll(&p, 1, left > 0 ? (int)left : 0);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return rc < 0 ? -errno : -ETIMEDOUT;
		ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		if (n <= 0)
			return -EPIPE;
		layer_decode(in, (size_t)n, m);
		return 0;
	}
}

/* Asks the engine that is there to go, and waits until it is gone. */
static int ask_to_yield(void)
{
	struct layer_msg m;
	int fd = layer_connect();

	if (fd < 0)
		return fd == -ECONNREFUSED ? 0 : fd;
	int rc = layer_send(fd, LAYER_YIELD, NULL);
	if (rc == 0)
		rc = layer_receive(fd, YIELD_NS, &m);
	if (rc == 0 && m.type != LAYER_OK)
		rc = -EBUSY;
	while (rc == 0) /* nothing more is said: the end of the connection is the end of that process's engine */
		rc = layer_receive(fd, YIELD_NS, &m);
	close(fd);
	return rc == -EPIPE ? 0 : rc;
}

int layer_take(void)
{
	mono_t until = mono_add(clock_mono(), YIELD_NS);
	int fd = layer_bind();

	while (fd == -EADDRINUSE && !mono_due(until, clock_mono())) {
		int rc = ask_to_yield();
		if (rc < 0)
			return rc;
		fd = layer_bind();
		if (fd == -EADDRINUSE)
			(void)poll(NULL, 0, PAUSE_MS);
	}
	return fd;
}

/* ---- a process that is a layer ---- */

static int answer(int fd, char *why, size_t size)
{
	struct layer_msg m = { 0 };
	int rc = layer_receive(fd, ATTACH_NS, &m);

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

static enum layer_end wait_for_end(int fd, int sig_fd)
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
		if (layer_receive(fd, 0, &m) < 0)
			return LAYER_ALONE;
		if (m.type == LAYER_END)
			return LAYER_ENDED;
		if (m.type == LAYER_NO)
			log_err(LOG_CFG, "the configuration was not reloaded, nothing has changed: %s", m.text);
		else if (m.type == LAYER_OK)
			log_notice(LOG_CFG, "configuration reloaded");
	}
}

enum layer_end layer_stay(int fd, const char *path, void (*ready)(void *arg), void *arg, char *why, size_t size)
{
	sigset_t set, old;
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
		rc = answer(fd, why, size);
	/* Only a word is a refusal. An engine that is dying may close the connection in several ways. */
	enum layer_end end = rc == -EINVAL || rc == -ETIMEDOUT ? LAYER_REFUSED : LAYER_ALONE;
	if (rc == 0 && sig_fd >= 0) {
		ready(arg);
		end = wait_for_end(fd, sig_fd);
	}
	if (sig_fd >= 0)
		close(sig_fd);
	close(fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return end;
}
