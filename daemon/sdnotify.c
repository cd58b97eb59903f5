#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/sdnotify.h"

static struct {
	int fd;
	struct sockaddr_un to;
	socklen_t to_len;
	int64_t watchdog_ns;
} state = { .fd = -1 };

static void read_address(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	if (len < 2 || len >= sizeof(state.to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	state.to.sun_family = AF_UNIX;
	memcpy(state.to.sun_path, path, len);
	if (path[0] == '@')
		state.to.sun_path[0] = '\0'; /* the abstract namespace */
	state.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	state.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return;
	char *end = NULL;
	errno = 0;
	long long us = strtoll(usec, &end, 10);
	if (errno == 0 && end != usec && !*end && us > 0 && us < INT64_MAX / NS_PER_US)
		state.watchdog_ns = (int64_t)us * NS_PER_US / 2;
}

void sdnotify_init(void)
{
	sdnotify_done();
	read_address();
	read_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void sdnotify_done(void)
{
	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
	state.to_len = 0;
	state.watchdog_ns = 0;
}

static void notify(const char *text)
{
	if (state.fd >= 0)
		sendto(state.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&state.to,
		       state.to_len);
}

void sdnotify_ready(void)
{
	notify("READY=1\n");
}

void sdnotify_reloading(void)
{
	char text[80];
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld\n", (long long)(clock_mono().ns / NS_PER_US));
	notify(text);
}

void sdnotify_stopping(void)
{
	notify("STOPPING=1\n");
}

void sdnotify_status(const char *status)
{
	char text[256];
	int n = snprintf(text, sizeof(text) - 1, "STATUS=%s", status);
	if (n < 0)
		return;
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' '; /* a line break would begin another assignment */
	notify(text);
}

void sdnotify_watchdog(void)
{
	notify("WATCHDOG=1\n");
}

int64_t sdnotify_watchdog_ns(void)
{
	return state.watchdog_ns;
}

bool sdnotify_active(void)
{
	return state.fd >= 0;
}
