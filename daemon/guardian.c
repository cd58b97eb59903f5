/*
 * The daemon's half and the child's half stand in this file because they share the layout of the area and nothing else.
 *
 * Once it waits, the child allocates nothing and takes no lock: it acts in moments when memory may be short.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/fd.h"
#include "daemon/file_io.h"
#include "daemon/guardian.h"
#include "daemon/quar_rules.h"
#include "daemon/sandbox.h"

#define PROTO_VRRP   112
#define BYE          'G' /* goodbye: leave everything as it is */
#define PANIC        'P' /* the daemon is about to die: act now */
#define REPORT_MAX   200
#define ADVERT_SENDS 2 /* a lost advert costs the backup a master-down time */

struct slot_msg {
	_Atomic uint32_t len; /* 0: not valid; written last */
	uint8_t bytes[GUARDIAN_MSG_MAX];
};

struct slot_route {
	_Atomic uint32_t len;
	uint8_t bytes[GUARDIAN_ROUTE_MAX];
};

struct slot_advert {
	_Atomic uint32_t valid;
	struct guardian_advert a;
};

struct area {
	_Atomic uint32_t armed;
	_Atomic uint32_t objects_end; /* one more than the highest slot ever used */
	_Atomic uint32_t links_end, adverts_end, routes_end;
	_Atomic uint32_t hidden; /* the child is not found by our command line */
	_Atomic uint32_t rules;  /* the programs below are set, and rules may be */
	char restore[2][QUAR_PROGRAM_MAX];
	struct slot_msg object[GUARDIAN_OBJECTS];
	struct slot_msg link[GUARDIAN_LINKS];
	struct slot_route route[GUARDIAN_OBJECTS];
	struct slot_advert advert[GUARDIAN_ADVERTS];
};

struct guardian {
	struct area *area;
	pid_t pid;
	int pipe_fd;
	bool gone;
};

/* ---- the child ---- */

struct child {
	struct area *area;
	int pipe_fd, nl_fd, raw4_fd, raw6_fd, report_fd;
	unsigned removed, refused, links, routes, adverts;
};

/* Deletes in blocks of NET_CHUNK; answers are counted, not waited for: they are there when sendto returns. */
static void flush_block(struct child *c, const uint8_t *block, size_t len)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	uint8_t buf[4096];
	if (!len)
		return;
	while (sendto(c->nl_fd, block, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 && errno == EINTR)
		;
	ssize_t n;
	while ((n = recv(c->nl_fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct rtnl_event ev;
		size_t used;
		for (size_t at = 0; at < (size_t)n; at += used)
			if (rtnl_wire_parse(buf + at, (size_t)n - at, &ev, &used) == RTNL_OK &&
			    ev.kind == RTNL_RESULT && ev.err)
				c->refused++;
	}
}

static unsigned send_all(struct child *c, struct slot_msg *slot, uint32_t end)
{
	uint8_t block[NET_CHUNK * GUARDIAN_MSG_MAX];
	size_t len = 0;
	unsigned n = 0;
	for (uint32_t i = 0; i < end; i++) {
		uint32_t size = atomic_load_explicit(&slot[i].len, memory_order_acquire);
		if (!size || size > GUARDIAN_MSG_MAX)
			continue;
		if (sizeof(block) - len < GUARDIAN_MSG_MAX) {
			flush_block(c, block, len);
			len = 0;
		}
		memcpy(block + len, slot[i].bytes, size);
		len += size;
		n++;
	}
	flush_block(c, block, len);
	return n;
}

static unsigned send_routes(struct child *c)
{
	uint32_t end = atomic_load(&c->area->routes_end);
	unsigned n = 0;
	for (uint32_t i = 0; i < end && i < GUARDIAN_OBJECTS; i++) {
		struct slot_route *s = &c->area->route[i];
		uint32_t size = atomic_load_explicit(&s->len, memory_order_acquire);
		if (!size || size > GUARDIAN_ROUTE_MAX)
			continue;
		flush_block(c, s->bytes, size);
		n++;
	}
	return n;
}

static bool send_advert(struct child *c, const struct guardian_advert *a)
{
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
	} ctl = { .room = { 0 } };
	struct iovec iov = { (void *)a->bytes, a->len };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.room };
	bool v6 = a->dst.af == ADDR_V6;
	int ttl = a->ttl ? a->ttl : 255;
	size_t info_len = v6 ? CMSG_SPACE(sizeof(struct in6_pktinfo)) : CMSG_SPACE(sizeof(struct in_pktinfo));
	m.msg_controllen = info_len + CMSG_SPACE(sizeof(ttl));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (v6) {
		struct in6_pktinfo info = { .ipi6_ifindex = (unsigned)a->ifindex };
		memcpy(&info.ipi6_addr, a->src.b, 16);
		memcpy(&to6.sin6_addr, a->dst.b, 16);
		to6.sin6_scope_id = (uint32_t)a->ifindex;
		m.msg_name = &to6;
		m.msg_namelen = sizeof(to6);
		*h = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO };
		memcpy(CMSG_DATA(h), &info, sizeof(info));
	} else {
		struct in_pktinfo info = { .ipi_ifindex = a->ifindex };
		memcpy(&info.ipi_spec_dst, a->src.b, 4);
		memcpy(&to4.sin_addr, a->dst.b, 4);
		m.msg_name = &to4;
		m.msg_namelen = sizeof(to4);
		*h = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO };
		memcpy(CMSG_DATA(h), &info, sizeof(info));
	}
	h = (struct cmsghdr *)(void *)(ctl.room + info_len);
	*h = (struct cmsghdr){ CMSG_LEN(sizeof(ttl)), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_HOPLIMIT : IP_TTL };
	memcpy(CMSG_DATA(h), &ttl, sizeof(ttl));
	return sendmsg(v6 ? c->raw6_fd : c->raw4_fd, &m, MSG_DONTWAIT) >= 0;
}

static void send_adverts(struct child *c)
{
	uint32_t end = atomic_load(&c->area->adverts_end);
	for (unsigned round = 0; round < ADVERT_SENDS; round++)
		for (uint32_t i = 0; i < end && i < GUARDIAN_ADVERTS; i++) {
			struct slot_advert *s = &c->area->advert[i];
			if (atomic_load_explicit(&s->valid, memory_order_acquire) && s->a.len <= GUARDIAN_ADVERT_MAX)
				c->adverts += send_advert(c, &s->a);
		}
}

static uint32_t at_most(uint32_t n, uint32_t limit)
{
	return n < limit ? n : limit;
}

/* Starts a program that reads the removal from a pipe, and waits for it. */
static void remove_rules(const char *restore)
{
	char path[QUAR_PROGRAM_MAX], flag[] = "--noflush", wait_for[] = "-w", seconds[] = "5";
	char locale[] = "LC_ALL=C";
	char *const argv[] = { path, flag, wait_for, seconds, NULL }, *const env[] = { locale, NULL };
	int fds[2];
	size_t len = strlen(quar_ipt_remove);
	memcpy(path, restore, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	if (!path[0] || pipe2(fds, O_CLOEXEC) < 0)
		return;
	signal(SIGCHLD, SIG_DFL);
	/* It fits into the pipe: nobody has to read yet. */
	bool ok = write(fds[1], quar_ipt_remove, len) == (ssize_t)len;
	close(fds[1]);
	pid_t pid = ok ? fork() : -1;
	if (pid == 0) {
		dup2(fds[0], 0);
		close_range(3, ~0u, 0);
		execve(path, argv, env);
		_exit(127);
	}
	close(fds[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The last thing, for it takes longest: nobody waits for it. */
static void clean_rules(const struct child *c)
{
	if (!atomic_load_explicit(&c->area->rules, memory_order_acquire))
		return;
	for (unsigned f = 0; f < 2; f++)
		remove_rules(c->area->restore[f]);
}

static void clean_up(struct child *c)
{
	char text[REPORT_MAX];
	int64_t t0 = clock_mono().ns;
	struct area *ar = c->area;
	c->removed = send_all(c, ar->object, at_most(atomic_load(&ar->objects_end), GUARDIAN_OBJECTS));
	int64_t t1 = clock_mono().ns;
	c->links = send_all(c, ar->link, at_most(atomic_load(&ar->links_end), GUARDIAN_LINKS));
	send_adverts(c);
	c->routes = send_routes(c);
	if (c->report_fd < 0)
		return;
	int n =
	    snprintf(text, sizeof(text),
		     "asked to delete %u addresses in %lld us, to take %u links down, to delete %u routes and rules, "
		     "%u refused, %u adverts of priority 0\n",
		     c->removed, (long long)(t1 - t0) / 1000, c->links, c->routes, c->refused, c->adverts);
	if (n > 0 && write(c->report_fd, text, at_most((uint32_t)n, sizeof(text) - 1)) < 0)
		return; /* nobody to tell */
}

static _Noreturn void child_main(struct child *c)
{
	char byte = 0;
	ssize_t n;
	do {
		n = read(c->pipe_fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (!(n == 1 && byte == BYE) && atomic_load(&c->area->armed))
		clean_up(c);
	clean_rules(c);
	_exit(0);
}

static void ignore_signals(void)
{
	static const int list[] = { SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE,
				    SIGALRM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGIO };
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		signal(list[i], SIG_IGN);
}

/* Keeps only what the child needs: a lock file or a listener it inherited must end with the daemon. */
static void close_others(struct child *c)
{
	int *keep[] = { &c->pipe_fd, &c->nl_fd, &c->raw4_fd, &c->raw6_fd, &c->report_fd };
	enum { N = sizeof(keep) / sizeof(*keep), HIGH = 64 };
	/* first all of them above everything, then down: a dup2 must not hit one that is still to be moved */
	for (int i = 0; i < N; i++)
		if (*keep[i] >= 0)
			*keep[i] = fcntl(*keep[i], F_DUPFD, HIGH + N);
	for (int i = 0; i < N; i++)
		if (*keep[i] >= 0)
			*keep[i] = dup2(*keep[i], HIGH + i);
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	close_range(3, HIGH - 1, 0);
	close_range(HIGH + N, ~0u, 0);
}

/* Others look the daemon up by its command line: this process must not be found by it. */
static void hide_arguments(void)
{
	char text[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	static const char name[] = "kt-guardian";

	if (fd >= 0)
		close(fd);
	if (n <= 0 || memcmp(program_invocation_name, text, (size_t)n) != 0) /* the arguments begin with the name */
		return;
	memset(program_invocation_name, 0, (size_t)n);
	memcpy(program_invocation_name, name, sizeof(name) < (size_t)n ? sizeof(name) : (size_t)n - 1);
}

static _Noreturn void child_start(struct child *c, int rt_prio, const sigset_t *old)
{
	ignore_signals();
	setpgid(0, 0);
	prctl(PR_SET_NAME, "kt-guardian");
	hide_arguments();
	atomic_store(&c->area->hidden, 1);
	if (chdir("/") < 0)
		_exit(1);
	close_others(c);
	if (rt_prio > 0)
		sandbox_realtime(rt_prio);
	sandbox_memory();
	sandbox_caps_guardian();
	sigprocmask(SIG_SETMASK, old, NULL);
	child_main(c);
}

/* ---- the daemon ---- */

static int raw_socket(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, PROTO_VRRP), ttl = 255, tos = 0xc0, off = 0;
	if (fd < 0)
		return -1;
	int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	if (family == AF_INET) {
		setsockopt(fd, level, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
		setsockopt(fd, level, IP_TTL, &ttl, sizeof(ttl));
		setsockopt(fd, level, IP_TOS, &tos, sizeof(tos));
		setsockopt(fd, level, IP_MULTICAST_LOOP, &off, sizeof(off));
	} else {
		setsockopt(fd, level, IPV6_MULTICAST_HOPS, &ttl, sizeof(ttl));
		setsockopt(fd, level, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
		setsockopt(fd, level, IPV6_TCLASS, &tos, sizeof(tos));
		setsockopt(fd, level, IPV6_MULTICAST_LOOP, &off, sizeof(off));
	}
	/* It only sends: a filter of one instruction drops everything that would be queued here. */
	struct sock_filter drop = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog prog = { 1, &drop };
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	return fd;
}

static void close_all(const struct child *c)
{
	const int fd[] = { c->pipe_fd, c->nl_fd, c->raw4_fd, c->raw6_fd, c->report_fd };
	for (size_t i = 0; i < sizeof(fd) / sizeof(*fd); i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static int open_all(struct child *c, const struct guardian_conf *conf)
{
	c->nl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	c->raw4_fd = raw_socket(AF_INET);
	if (c->nl_fd < 0 || c->raw4_fd < 0)
		return -errno;
	c->raw6_fd = raw_socket(AF_INET6); /* absent with IPv6 off: then there is no IPv6 advert either */
	if (conf->report_path) {
		unlink(conf->report_path); /* a former guardian may still write to its own file */
		c->report_fd = open(conf->report_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	return 0;
}

static int fork_child(struct guardian *g, struct child *c, int rt_prio)
{
	int fds[2];
	sigset_t all, old;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	c->pipe_fd = fds[0];
	/* Blocked over the fork: no signal reaches the child before it ignores them. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	g->pid = fork();
	if (g->pid == 0) {
		close(fds[1]);
		child_start(c, rt_prio, &old);
	}
	int err = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (g->pid < 0) {
		close(fds[1]);
		return -err;
	}
	setpgid(g->pid, g->pid); /* here too: whoever is first, a signal to our group never reaches the child */
	g->pipe_fd = fd_raise(fds[1], FD_GUARDIAN);
	fcntl(g->pipe_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Who looks for the daemon after its start shall find one process. Before any thread exists: it may wait. */
static void wait_hidden(const struct guardian *g)
{
	const struct timespec slice = { .tv_nsec = 200 * NS_PER_US };
	for (unsigned i = 0; i < 500 && !atomic_load(&g->area->hidden); i++)
		nanosleep(&slice, NULL);
}

/*
 * There is a place for everything that could ever be ours. A file in memory counts page by page as it is written, also
 * where the kernel promises no more memory than it has (vm.overcommit_memory = 2); an anonymous mapping counts as a whole.
 */
static struct area *area_map(void)
{
	int fd = memfd_create("keeptrackd-guardian", MFD_CLOEXEC);
	if (fd < 0)
		return MAP_FAILED;
	struct area *area = MAP_FAILED;
	if (ftruncate(fd, sizeof(*area)) == 0)
		area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area != MAP_FAILED)
		madvise(area, sizeof(*area), MADV_DONTDUMP);
	int err = errno;
	close(fd);
	errno = err;
	return area;
}

struct guardian *guardian_start(const struct guardian_conf *conf)
{
	struct guardian *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	struct child c = { .pipe_fd = -1, .nl_fd = -1, .raw4_fd = -1, .raw6_fd = -1, .report_fd = -1 };
	g->pipe_fd = -1;
	g->area = area_map();
	int rc = g->area == MAP_FAILED ? -errno : open_all(&c, conf);
	c.area = g->area;
	if (rc == 0)
		rc = fork_child(g, &c, conf->rt_prio);
	close_all(&c);
	if (rc == 0) {
		wait_hidden(g);
		return g;
	}
	if (g->area != MAP_FAILED)
		munmap(g->area, sizeof(*g->area));
	free(g);
	errno = -rc;
	return NULL;
}

static int msg_set(struct slot_msg *slot, uint32_t n, const uint8_t *msg, size_t len, _Atomic uint32_t *end)
{
	if (len > GUARDIAN_MSG_MAX)
		return -EMSGSIZE;
	atomic_store_explicit(&slot[n].len, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* invalid before the first byte changes */
	memcpy(slot[n].bytes, msg, len);
	atomic_store_explicit(&slot[n].len, (uint32_t)len, memory_order_release);
	if (n >= atomic_load(end))
		atomic_store(end, n + 1);
	return 0;
}

int guardian_object_set(struct guardian *g, uint32_t slot, const uint8_t *msg, size_t len)
{
	if (slot == 0 || slot >= GUARDIAN_OBJECTS || len == 0)
		return -EINVAL;
	return msg_set(g->area->object, slot, msg, len, &g->area->objects_end);
}

void guardian_object_withdraw(struct guardian *g, uint32_t slot)
{
	if (slot < GUARDIAN_OBJECTS)
		atomic_store(&g->area->object[slot].len, 0);
}

int guardian_link_set(struct guardian *g, uint32_t slot, const uint8_t *msg, size_t len)
{
	if (slot >= GUARDIAN_LINKS)
		return -EINVAL;
	return msg_set(g->area->link, slot, msg, len, &g->area->links_end);
}

int guardian_route_set(struct guardian *g, uint32_t slot, const uint8_t *msg, size_t len)
{
	if (slot == 0 || slot >= GUARDIAN_OBJECTS)
		return -EINVAL;
	if (len > GUARDIAN_ROUTE_MAX)
		return -EMSGSIZE;
	struct slot_route *s = &g->area->route[slot];
	atomic_store_explicit(&s->len, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(s->bytes, msg, len);
	atomic_store_explicit(&s->len, (uint32_t)len, memory_order_release);
	if (slot >= atomic_load(&g->area->routes_end))
		atomic_store(&g->area->routes_end, slot + 1);
	return 0;
}

int guardian_advert_set(struct guardian *g, uint32_t slot, const struct guardian_advert *a)
{
	if (slot >= GUARDIAN_ADVERTS || (a && (a->src.af != a->dst.af || addr_len(a->dst.af) == 0)))
		return -EINVAL;
	if (a && a->len > GUARDIAN_ADVERT_MAX)
		return -EMSGSIZE;
	struct slot_advert *s = &g->area->advert[slot];
	atomic_store_explicit(&s->valid, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!a)
		return 0;
	s->a = *a;
	atomic_store_explicit(&s->valid, 1, memory_order_release);
	if (slot >= atomic_load(&g->area->adverts_end))
		atomic_store(&g->area->adverts_end, slot + 1);
	return 0;
}

void guardian_arm(struct guardian *g, bool healthy_backup)
{
	atomic_store(&g->area->armed, healthy_backup);
}

void guardian_rules_set(struct guardian *g, const char *restore4, const char *restore6)
{
	const char *const path[] = { restore4, restore6 };
	atomic_store(&g->area->rules, 0);
	if (!restore4 && !restore6)
		return;
	for (unsigned f = 0; f < 2; f++)
		snprintf(g->area->restore[f], sizeof(g->area->restore[f]), "%s", path[f] ? path[f] : "");
	atomic_store_explicit(&g->area->rules, 1, memory_order_release);
}

pid_t guardian_pid(const struct guardian *g)
{
	return g->pid;
}

bool guardian_alive(struct guardian *g)
{
	if (!g->gone && waitpid(g->pid, NULL, WNOHANG) != 0)
		g->gone = true;
	return !g->gone;
}

void guardian_panic(const struct guardian *g)
{
	char byte = PANIC;
	ssize_t n = write(g->pipe_fd, &byte, 1);
	(void)n;
}

int guardian_pipe(const struct guardian *g)
{
	return g->pipe_fd;
}

void guardian_release(int pipe_fd)
{
	char byte = BYE;
	ssize_t n = write(pipe_fd, &byte, 1);
	(void)n; /* nobody reads: it has ended already */
	close(pipe_fd);
}

void guardian_leave(struct guardian *g)
{
	if (!g)
		return;
	close(g->pipe_fd);
	munmap(g->area, sizeof(*g->area));
	free(g);
}

void guardian_goodbye(struct guardian *g)
{
	if (!g)
		return;
	char byte = BYE;
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, g->pid, 0), .events = POLLIN };
	if (write(g->pipe_fd, &byte, 1) == 1 && p.fd >= 0)
		poll(&p, 1, 100);
	if (p.fd >= 0)
		close(p.fd);
	guardian_alive(g); /* reaps it */
	close(g->pipe_fd);
	munmap(g->area, sizeof(*g->area));
	free(g);
}

bool guardian_report(const char *path, char *buf, size_t cap)
{
	uint8_t *data = NULL;
	size_t len = 0;
	if (cap == 0 || file_io_read(path, REPORT_MAX, &data, &len) < 0)
		return false;
	unlink(path);
	size_t n = 0;
	for (; n < len && n + 1 < cap && data[n] >= 0x20 && data[n] < 0x7f; n++)
		buf[n] = (char)data[n];
	buf[n] = '\0';
	free(data);
	return n > 0;
}
