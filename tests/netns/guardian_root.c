/*
 * The guardian in a network namespace of its own: a process plays the daemon, is killed in every way, and the kernel is
 * asked what is left. Needs root; without it the test fails.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/guardian.h"
#include "tests/netns/rtnl_util.h"

#define N_MANY 1000
#define REPORT "/tmp/guardian_root.report"

static struct netstate now;
static int va, vb;
static unsigned failed;

static bool check(bool ok, const char *what, int line)
{
	if (!ok) {
		fprintf(stderr, "line %d: %s\n", line, what);
		failed++;
	}
	return ok;
}
#define CHECK(c) check((c), #c, __LINE__)

static struct net_addr vip(unsigned i, uint8_t proto)
{
	return (struct net_addr){
		.ifindex = va, .addr = addr_v4(10, 1, (uint8_t)(i >> 8), (uint8_t)i), .plen = 32, .proto = proto
	};
}

static unsigned present(void)
{
	struct net_addr a;
	uint32_t iter = 0;
	unsigned n = 0;
	rtnl_util_dump(&now);
	while (netstate_addr_next(&now, &iter, &a))
		n += a.ifindex == va && a.addr.af == ADDR_V4 && a.addr.b[1] == 1;
	return n;
}

static void add(unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		struct net_addr a = vip(i, NET_MARK);
		int rc = rtnl_util_addr_add(&a, NLM_F_EXCL);
		CHECK(rc == 0 || rc == -EEXIST);
	}
}

/* ---- the process that plays the daemon ---- */

struct plan {
	unsigned n;
	bool armed, goodbye, panic;
	unsigned withdraw; /* slot, 0: none */
	bool link_down;
};

struct told {
	pid_t guardian;
};

static void prepare(struct guardian *g, const struct plan *p)
{
	uint8_t msg[RTNL_MSG_MAX];
	for (unsigned i = 1; i <= p->n; i++) {
		struct net_addr a = vip(i, 0);
		struct net_op op = { .kind = NET_OP_DEL, .ifindex = va, .addr = a.addr, .plen = a.plen };
		size_t len = rtnl_wire_addr(msg, sizeof(msg), &op, i, false, false);
		if (guardian_object_set(g, i, msg, len))
			_exit(3);
	}
	if (p->withdraw)
		guardian_object_withdraw(g, p->withdraw);
	if (p->link_down) {
		size_t len = rtnl_wire_link_up(msg, sizeof(msg), vb, false, 1, false);
		if (guardian_link_set(g, 0, msg, len))
			_exit(3);
	}
	struct guardian_advert a = {
		.ifindex = va, .src = addr_v4(10, 0, 0, 1), .dst = addr_v4(224, 0, 0, 18), .len = 12
	};
	memcpy(a.bytes, "\x31\x33\x00\x01\x00\x64....", 10);
	if (guardian_advert_set(g, 0, &a))
		_exit(3);
	addr_parse("fe80::1", &a.src);
	addr_parse("ff02::12", &a.dst);
	a.len = 24;
	if (guardian_advert_set(g, 5, &a) || guardian_advert_set(g, 7, &a) || guardian_advert_set(g, 7, NULL))
		_exit(3);
	guardian_arm(g, p->armed);
}

static _Noreturn void daemon_main(int out, const struct plan *p)
{
	struct guardian_conf c = { .report_path = REPORT, .rt_prio = 10 };
	struct guardian *g = guardian_start(&c);
	if (!g)
		_exit(2);
	struct told t = { .guardian = guardian_pid(g) };
	prepare(g, p);
	if (!guardian_alive(g))
		_exit(4);
	if (p->goodbye)
		guardian_goodbye(g);
	if (write(out, &t, sizeof(t)) != sizeof(t))
		_exit(5);
	if (p->panic)
		guardian_panic(g);
	for (;;)
		pause();
}

struct run {
	pid_t pid;
	struct told told;
};

static struct run start(const struct plan *p)
{
	struct run r = { 0 };
	int fds[2];
	CHECK(pipe(fds) == 0);
	r.pid = fork();
	if (r.pid == 0) {
		close(fds[0]);
		setpgid(0, 0);
		daemon_main(fds[1], p);
	}
	close(fds[1]);
	CHECK(read(fds[0], &r.told, sizeof(r.told)) == sizeof(r.told));
	close(fds[0]);
	return r;
}

static void kill_daemon(const struct run *r)
{
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
}

/* The guardian is nobody's child after the daemon's death: wait for its process to be gone. */
static bool guardian_ends(const struct run *r)
{
	mono_t deadline = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (kill(r->told.guardian, 0) == 0 && mono_before(clock_mono(), deadline)) {
		char path[64], state = 0, text[256] = "";
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)r->told.guardian);
		FILE *f = fopen(path, "r");
		if (f && fgets(text, sizeof(text), f) && strrchr(text, ')'))
			state = strrchr(text, ')')[2];
		if (f)
			fclose(f);
		if (state == 'Z')
			return true; /* only its entry is left, for whoever reaps it */
		sched_yield();
	}
	return kill(r->told.guardian, 0) < 0;
}

/* ---- adverts on the other end of the cable ---- */

static int sniff(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = vb };
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&ll, sizeof(ll)) == 0);
	return fd;
}

static void count_adverts(int fd, unsigned *v4, unsigned *v6)
{
	uint8_t f[2048];
	ssize_t n;
	*v4 = *v6 = 0;
	while ((n = recv(fd, f, sizeof(f), MSG_DONTWAIT)) > 0) {
		const uint8_t *ip = f + 14;
		if (n >= 14 + 20 + 12 && f[12] == 8 && f[13] == 0 && ip[9] == 112) {
			*v4 += 1;
			CHECK(ip[8] == 255 && ip[1] == 0xc0);
			CHECK(memcmp(ip + 12, "\x0a\0\0\1\xe0\0\0\x12", 8) == 0);
			CHECK(memcmp(ip + 20, "\x31\x33\x00\x01", 4) == 0);
		} else if (n >= 14 + 40 + 24 && f[12] == 0x86 && f[13] == 0xdd && ip[6] == 112) {
			*v6 += 1;
			CHECK(ip[7] == 255);
			CHECK(ip[8] == 0xfe && ip[9] == 0x80 && ip[23] == 1);
			CHECK(ip[24] == 0xff && ip[39] == 0x12);
			CHECK(ip[40] == 0x31);
		}
	}
}

static void test_killed(void)
{
	unsigned v4, v6;
	char line[256];
	int fd = sniff();
	struct plan p = { .n = 4, .armed = true, .withdraw = 3 };
	add(4);
	struct run r = start(&p);
	count_adverts(fd, &v4, &v6);
	CHECK(v4 == 0 && v6 == 0 && present() == 4);
	kill_daemon(&r);
	CHECK(guardian_ends(&r));
	CHECK(present() == 1); /* the withdrawn one is left alone */
	count_adverts(fd, &v4, &v6);
	CHECK(v4 == 2 && v6 == 2);
	CHECK(guardian_report(REPORT, line, sizeof(line)));
	CHECK(strstr(line, "3 addresses") && strstr(line, "0 refused") && strstr(line, "4 adverts"));
	CHECK(!guardian_report(REPORT, line, sizeof(line)));
	struct net_addr a = vip(3, 0);
	CHECK(rtnl_util_addr_del(&a) == 0);
	close(fd);
}

/* No healthy backup: everything stays for the restarted daemon. Goodbye: the same, and the child is gone at once. */
static void test_left_alone(void)
{
	unsigned v4, v6;
	int fd = sniff();
	struct plan p = { .n = 3, .armed = false };
	add(3);
	struct run r = start(&p);
	kill_daemon(&r);
	CHECK(guardian_ends(&r));
	CHECK(present() == 3);
	p = (struct plan){ .n = 3, .armed = true, .goodbye = true };
	r = start(&p);
	CHECK(guardian_ends(&r));
	kill_daemon(&r);
	CHECK(present() == 3);
	count_adverts(fd, &v4, &v6);
	CHECK(v4 == 0 && v6 == 0);
	close(fd);
}

/* SIGTERM to the guardian, to its group and to the daemon's group in the same millisecond changes nothing. */
static void test_signals(void)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE };
	struct plan p = { .n = 3, .armed = true };
	for (unsigned i = 0; i < 20; i++) {
		add(3);
		struct run r = start(&p);
		int sig = list[i % (sizeof(list) / sizeof(*list))];
		kill(r.told.guardian, sig);
		kill(-r.told.guardian, sig);
		kill(-r.pid, SIGKILL);
		kill(r.told.guardian, SIGTERM);
		waitpid(r.pid, NULL, 0);
		CHECK(guardian_ends(&r));
		CHECK(present() == 0);
	}
}

static void test_panic_and_links(void)
{
	struct plan p = { .n = 2, .armed = true, .panic = true, .link_down = true };
	add(2);
	struct run r = start(&p);
	CHECK(guardian_ends(&r)); /* while the daemon still lives */
	CHECK(kill(r.pid, 0) == 0);
	CHECK(present() == 0);
	CHECK(!netstate_link(&now, vb)->up);
	kill_daemon(&r);
	CHECK(rtnl_util_link_up("vb", true) == 0);
}

/* A new daemon with a guardian of its own starts while the old guardian is at work. */
static void test_many_and_restart(void)
{
	char line[256] = "";
	struct plan p = { .n = N_MANY, .armed = true }, none = { .n = 0 };
	add(N_MANY);
	CHECK(present() == N_MANY);
	struct run r = start(&p);
	mono_t t0 = clock_mono();
	kill(r.pid, SIGKILL);
	struct run second = start(&none);
	CHECK(guardian_ends(&r));
	long long us = mono_sub(clock_mono(), t0) / 1000;
	waitpid(r.pid, NULL, 0);
	CHECK(present() == 0);
	CHECK(kill(second.told.guardian, 0) == 0);
	kill_daemon(&second);
	CHECK(guardian_ends(&second));
	guardian_report(REPORT, line, sizeof(line));
	printf("%d addresses: gone %lld us after the kill\n", N_MANY, us);
}

static void test_arguments(void)
{
	struct guardian_conf c = { 0 };
	uint8_t msg[GUARDIAN_MSG_MAX + 1] = { 0 };
	struct guardian *g = guardian_start(&c);
	CHECK(g != NULL);
	CHECK(guardian_object_set(g, 0, msg, 40) == -EINVAL);
	CHECK(guardian_object_set(g, GUARDIAN_OBJECTS, msg, 40) == -EINVAL);
	CHECK(guardian_object_set(g, 1, msg, 0) == -EINVAL);
	CHECK(guardian_object_set(g, 1, msg, GUARDIAN_MSG_MAX + 1) == -EMSGSIZE);
	CHECK(guardian_link_set(g, GUARDIAN_LINKS, msg, 4) == -EINVAL);
	CHECK(guardian_advert_set(g, GUARDIAN_ADVERTS, NULL) == -EINVAL);
	static struct guardian_advert a;
	CHECK(guardian_advert_set(g, 0, &a) == -EINVAL);
	a.src = a.dst = addr_v4(1, 2, 3, 4);
	a.len = GUARDIAN_ADVERT_MAX + 1;
	CHECK(guardian_advert_set(g, 0, &a) == -EMSGSIZE);
	CHECK(guardian_alive(g));
	kill(guardian_pid(g), SIGKILL);
	mono_t deadline = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (guardian_alive(g) && mono_before(clock_mono(), deadline))
		sched_yield();
	CHECK(!guardian_alive(g)); /* told, so that the daemon can say that nobody cleans up */
	guardian_goodbye(g);
}

int main(void)
{
	rtnl_util_enter();
	signal(SIGPIPE, SIG_IGN);
	CHECK(netstate_init(&now, true) == 0);
	CHECK(rtnl_util_pair("va", "vb") == 0);
	CHECK(rtnl_util_link_up("va", true) == 0 && rtnl_util_link_up("vb", true) == 0);
	rtnl_util_dump(&now);
	va = netstate_link_by_name(&now, "va")->index;
	vb = netstate_link_by_name(&now, "vb")->index;
	struct net_addr own = { .ifindex = va, .addr = addr_v4(10, 0, 0, 1), .plen = 24 };
	struct net_addr ll = { .ifindex = va, .plen = 64, .flags = NET_A_NODAD };
	addr_parse("fe80::1", &ll.addr);
	CHECK(rtnl_util_addr_add(&own, NLM_F_EXCL) == 0 && rtnl_util_addr_add(&ll, NLM_F_EXCL) == 0);
	test_arguments();
	test_killed();
	test_left_alone();
	test_signals();
	test_panic_and_links();
	test_many_and_restart();
	netstate_free(&now);
	unlink(REPORT);
	printf("guardian: %u checks failed\n", failed);
	return failed ? 1 : 0;
}
