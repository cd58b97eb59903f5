/*
 * Runs the conntrack script on the kernel's own table, in a network namespace of its own, and on the fake one beside
 * it. Exits 0 when both do what the script says and agree in every field, 1 with a line per difference, 2 when the
 * namespace cannot be set up. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "sync/ct_io.h"
#include "sync/ct_wire.h"
#include "tests/sim/ct_script.h"
#include "tests/sim/fake_ct.h"

enum { FAKE_PORT = 4711 };

static _Noreturn void cannot(const char *what)
{
	fprintf(stderr, "ct_script_real: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* --- the real table --- */

struct real {
	int req, ev;
};

static int nl_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		cannot("netlink socket");
	return fd;
}

static int real_msg(void *self, const void *bytes, size_t len, struct ct_event *got)
{
	struct real *r = self;
	uint8_t buf[4096] __attribute__((aligned(8)));
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	memcpy(buf, bytes, len);
	((struct nlmsghdr *)buf)->nlmsg_flags |= NLM_F_ACK;
	if (sendto(r->req, buf, len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		cannot("send");
	for (;;) {
		ssize_t n = recv(r->req, buf, sizeof(buf), 0);
		if (n < 0)
			cannot("answer");
		struct wire_rd rd = wire_rd(buf, (size_t)n);
		while (wire_left(&rd)) {
			struct ct_wire_msg m;
			enum ct_drop d = ct_wire_next(&rd, &m);
			if (d == CT_OK && m.kind == CT_WIRE_RESULT)
				return m.error;
			if (d == CT_OK && m.kind == CT_WIRE_ENTRY)
				d = ct_wire_event(&m, got);
			if (d != CT_OK) {
				fprintf(stderr, "ct_script_real: an answer was dropped: %s\n", ct_drop_text(d));
				exit(1);
			}
			got->type = CT_EV_DUMP;
		}
	}
}

static void group(int fd, int g, bool join)
{
	if (setsockopt(fd, SOL_NETLINK, join ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &g, sizeof(g)) < 0)
		cannot("netlink group");
}

static void real_listen(void *self, bool new_update)
{
	struct real *r = self;
	group(r->ev, NFNLGRP_CONNTRACK_NEW, new_update);
	group(r->ev, NFNLGRP_CONNTRACK_UPDATE, new_update);
}

/* Events are queued before the call or the packet that caused them returns. */
static bool real_event(void *self, struct ct_event *ev)
{
	struct real *r = self;
	uint8_t buf[4096];
	ssize_t n = recv(r->ev, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0)
		cannot("event");
	struct wire_rd rd = wire_rd(buf, (size_t)n);
	struct ct_wire_msg m;
	enum ct_drop d = ct_wire_next(&rd, &m);
	if (d == CT_OK)
		d = ct_wire_event(&m, ev);
	if (d != CT_OK) {
		fprintf(stderr, "ct_script_real: an event was dropped: %s\n", ct_drop_text(d));
		exit(1);
	}
	return true;
}

static void real_wait(void *self, unsigned seconds)
{
	(void)self;
	usleep(seconds * 1000000 + 500000);
}

static int udp(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		cannot("udp socket");
	return fd;
}

static void real_packet(void *self, uint16_t from, uint16_t to)
{
	(void)self;
	int a = udp(from), b = udp(to);
	struct sockaddr_in dst = { .sin_family = AF_INET, .sin_port = htons(to) };
	dst.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	struct pollfd p = { .fd = b, .events = POLLIN };
	if (sendto(a, "x", 1, 0, (struct sockaddr *)&dst, sizeof(dst)) != 1 || poll(&p, 1, 2000) != 1)
		cannot("udp packet over lo");
	close(a);
	close(b);
}

/* --- the fake one, whose clock follows the real one's --- */

static struct fake_ct *follow(void *fake)
{
	static int64_t start;
	int64_t now = clock_mono().ns;
	start = start ? start : now;
	fake_ct_run(fake, (mono_t){ now - start });
	return fake;
}

static int fake_msg(void *self, const void *bytes, size_t len, struct ct_event *got)
{
	return fake_ct_msg(follow(self), FAKE_PORT, bytes, len, got);
}

static void fake_listen(void *self, bool new_update)
{
	fake_ct_listen(follow(self), new_update, true, 0);
}

static bool fake_event(void *self, struct ct_event *ev)
{
	return fake_ct_events(self, ev, 1, NULL);
}

/* The real table has waited already. */
static void fake_wait(void *self, unsigned seconds)
{
	(void)seconds;
	follow(self);
}

static void fake_packet(void *self, uint16_t from, uint16_t to)
{
	struct ct_tuple t = { .l3 = 4, .l4 = IPPROTO_UDP, .sport = from, .dport = to };
	memcpy(t.src, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
	memcpy(t.dst, t.src, 4);
	fake_ct_packet(follow(self), &t, 0, NULL, NULL);
}

/* --- */

static void say(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "ct_script_real: %s\n", line);
}

static void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		cannot("a network namespace of its own (root is needed)");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo" };
	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		cannot("lo up");
	close(fd);
	/* a rule that asks for the state makes the kernel track packets here */
	if (system("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; };"
		   " add rule inet t c ct state invalid drop'"))
		cannot("nft rule");
	int rc = ct_io_events_on(NULL);
	if (rc < 0) {
		errno = -rc;
		cannot("nf_conntrack_events");
	}
}

int main(void)
{
	enter_namespace();
	struct real real = { .req = nl_socket(), .ev = nl_socket() };
	group(real.ev, NFNLGRP_CONNTRACK_DESTROY, true);
	struct fake_ct *fake = fake_ct_new(1000, 1000);
	fake_ct_listen(follow(fake), false, true, 0);
	const struct ct_backend r = { "kernel", &real, real_msg, real_listen, real_event, real_wait, real_packet };
	const struct ct_backend f = { "fake", fake, fake_msg, fake_listen, fake_event, fake_wait, fake_packet };
	const struct ct_backend *both[] = { &r, &f };
	unsigned diffs = ct_script_run(both, 2, say, NULL);
	printf("ct_script_real: %u steps, %u differences\n", ct_script_steps(), diffs);
	fake_ct_free(fake);
	return diffs ? 1 : 0;
}
