#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "daemon/sandbox.h"

static int keep_caps(const int *caps, unsigned n)
{
	if (capng_get_caps_process() < 0)
		return -EPERM;
	bool had[CAP_LAST_CAP + 1] = { false };
	for (unsigned i = 0; i < n; i++)
		had[caps[i]] = capng_have_capability(CAPNG_PERMITTED, (unsigned)caps[i]) != 0;
	capng_clear(CAPNG_SELECT_CAPS);
	/* capng_clear emptied the bounding set as well; only CAPNG_SELECT_CAPS is applied, so the kernel's stays. */
	for (unsigned i = 0; i < n; i++)
		if (had[caps[i]])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)caps[i]);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	for (unsigned i = 0; i < n; i++)
		if (!had[caps[i]])
			return -ENOTSUP; /* something we wish for was not there to keep */
	return 0;
}

int sandbox_caps(void)
{
	static const int caps[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SYS_NICE, CAP_IPC_LOCK,
				    CAP_CHOWN,     CAP_KILL,    CAP_SETUID,           CAP_SETGID };
	return keep_caps(caps, sizeof(caps) / sizeof(*caps));
}

int sandbox_caps_guardian(void)
{
	static const int caps[] = { CAP_NET_ADMIN, CAP_NET_RAW };
	return keep_caps(caps, sizeof(caps) / sizeof(*caps));
}

/* Always permitted; the hard limit is the administrator's. */
static int soft_to_hard(int what)
{
	struct rlimit r;
	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return -errno;
	r.rlim_cur = r.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &r) < 0 ? -errno : 0;
}

int sandbox_rlimits(unsigned routers)
{
	int rc = soft_to_hard(RLIMIT_NOFILE), rc2 = soft_to_hard(RLIMIT_MEMLOCK);
	rc = rc ? rc : rc2;
	/*
	 * Microseconds of real-time CPU without a blocking call: a thread that spins must not take the box with it. The
	 * start and a reload take all virtual routers in one piece.
	 */
	struct rlimit r = { 1000000 + 200 * (rlim_t)routers, 2000000 + 400 * (rlim_t)routers };
	if (setrlimit(RLIMIT_RTTIME, &r) < 0)
		rc = -errno;
	return rc;
}

int sandbox_memory(void)
{
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
}

int sandbox_realtime(int prio)
{
	struct sched_param sp = { .sched_priority = prio };
	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &sp) < 0 ? -errno : 0;
}

int sandbox_oom(int score_adj)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", score_adj);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = write(fd, text, (size_t)len) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int sandbox_namespace(const char *name)
{
	char path[300];
	int n = snprintf(path, sizeof(path), "/run/netns/%s", name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close(fd);
	return rc;
}
