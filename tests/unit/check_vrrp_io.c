/*
 * The sockets on a real cable: a veth pair in a network namespace of its own. Needs the right to make one (root, or user
 * namespaces); without it the test reports itself as skipped (77).
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "tests/unit/run.h"
#include "vrrp/garp.h"
#include "vrrp/vrrp_io.h"

static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, 0x0a };
static struct loop *l;
static struct vrrp_io *io;
static struct addr src4, src6;
static struct addr group4, group6;
static unsigned a, b;             /* interface indices of the two ends */
static struct vrrp_port *pa, *pb; /* as open_both made them */

/* What the callback saw last. */
static struct {
	unsigned n, ifindex;
	uint16_t inst;
	enum vrrp_drop drop;
	struct vrrp_rx rx;
	uint8_t pdu[VRRP_MSG_MAX];
	bool close_in_callback;
} seen;

static void on_rx(void *arg, const struct vrrp_io_packet *p)
{
	ck_assert_ptr_eq(arg, &seen);
	ck_assert_uint_le(p->rx.len, sizeof(seen.pdu));
	seen.n++;
	seen.ifindex = p->port->ifindex;
	seen.inst = p->inst;
	seen.drop = p->drop;
	seen.rx = p->rx;
	if (p->rx.len)
		memcpy(seen.pdu, p->rx.pdu, p->rx.len);
	if (seen.close_in_callback)
		vrrp_io_close(p->port);
}

static void sh(const char *cmd)
{
	int rc = system(cmd);
	ck_assert_msg(rc == 0, "%s: exit status %d", cmd, rc);
}

static bool enter_netns(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static void cable(void)
{
	sh("ip link add va type veth peer name vb");
	/* Both ends are in one stack: what comes from an own address must be let in. */
	sh("sysctl -qw net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.vb.rp_filter=0");
	sh("ip link set va address 02:00:00:00:00:0a addrgenmode none; ip link set vb addrgenmode none");
	sh("ip link set va up; ip link set vb up");
	sh("ip address add 192.0.2.2/24 dev va; ip address add 192.0.2.3/24 dev vb");
	sh("ip address add fe80::a/64 dev va nodad; ip address add fe80::b/64 dev vb nodad");
	a = if_nametoindex("va");
	b = if_nametoindex("vb");
	ck_assert(a != 0 && b != 0);
}

static void setup(void)
{
	ck_assert(enter_netns());
	cable();
	ck_assert(addr_parse("192.0.2.2", &src4) && addr_parse("fe80::a", &src6));
	group4 = vrrp_wire_group(ADDR_V4);
	group6 = vrrp_wire_group(ADDR_V6);
	memset(&seen, 0, sizeof(seen));
	l = loop_new("check");
	io = vrrp_io_new(l, on_rx, &seen);
	ck_assert(l && io);
}

static void teardown(void)
{
	vrrp_io_free(io);
	loop_free(l);
}

static void run_until(unsigned n)
{
	mono_t end = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (seen.n < n && mono_before(clock_mono(), end))
		loop_once(l, 50 * NS_PER_MS);
	ck_assert_uint_eq(seen.n, n);
}

static struct vrrp_port *open_one(unsigned ifindex, const char *name, uint8_t af)
{
	struct vrrp_port *p;
	ck_assert_int_eq(vrrp_io_open(io, ifindex, name, af, &p), 0);
	ck_assert_int_eq(vrrp_io_join(p, af == ADDR_V4 ? &group4 : &group6), 0);
	return p;
}

static void open_both(uint8_t af)
{
	pa = open_one(a, "va", af);
	pb = open_one(b, "vb", af);
}

/* To the group, with a body that is no advertisement. */
static int send_group(struct vrrp_port *p)
{
	bool v4 = p->af == ADDR_V4;
	return vrrp_io_send(p, v4 ? &src4 : &src6, v4 ? &group4 : &group6, VRRP_TTL, "12345678", 8);
}

static const struct vrrp_conf *conf_of(uint8_t af)
{
	static struct vrrp_vip vip = { .plen = 24 };
	static struct vrrp_conf conf = { .vrid = 9,
					 .priority = 7,
					 .vips = &vip,
					 .n_vips = 1,
					 .n_advertised = 1,
					 .down_adverts = 3,
					 .adv_ns = NS_PER_SEC };
	conf.af = af;
	ck_assert(addr_parse(af == ADDR_V6 ? "fe80::99" : "192.0.2.99", &vip.addr));
	return &conf;
}

/* A real advertisement from a to b, which b can parse; by the raw socket and as a whole frame from a virtual MAC. */
START_TEST(advertisements_cross)
{
	static const uint8_t vmac[6] = { 0, 0, 0x5e, 0, 1, 9 };
	uint8_t af = _i & 1 ? ADDR_V6 : ADDR_V4, buf[VRRP_MSG_MAX];
	bool as_vmac = _i & 2;
	const struct vrrp_conf *conf = conf_of(af);
	const struct addr *src = af == ADDR_V6 ? &src6 : &src4;
	struct addr group = vrrp_wire_group(af);
	struct vrrp_msg m;
	open_both(af);
	vrrp_io_assign(pa, 9, 41);
	vrrp_io_assign(pb, 9, 42);
	int len = vrrp_wire_build(conf, 3, 7, src, &group, buf, sizeof(buf));
	mono_t before = clock_mono();
	if (as_vmac)
		ck_assert_int_eq(vrrp_io_send_as(pa, vmac, src, &group, buf, (size_t)len), 0);
	else
		ck_assert_int_eq(vrrp_io_send(pa, src, &group, VRRP_TTL, buf, (size_t)len), 0);
	run_until(1);
	ck_assert_uint_eq(seen.ifindex, b); /* and a does not hear itself: the next pass finds nothing more */
	ck_assert_uint_eq(seen.inst, 42);
	ck_assert_int_eq(seen.drop, VRRP_OK);
	ck_assert_int_eq(seen.rx.ttl, 255);
	ck_assert(addr_eq(&seen.rx.src, src));
	ck_assert(addr_eq(&seen.rx.dst, &group));
	ck_assert_int_ge(mono_sub(seen.rx.at, before), 0);
	seen.rx.pdu = seen.pdu;
	ck_assert_int_eq(vrrp_wire_parse(&seen.rx, conf, NULL, &m), VRRP_OK);
	ck_assert_uint_eq(m.priority, 7);
	loop_once(l, 20 * NS_PER_MS);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_uint_eq(vrrp_io_stats(io)->tx, 1);
	ck_assert_uint_eq(vrrp_io_stats(io)->rx, 1);
	ck_assert_uint_eq(pa->rx, 0);
	ck_assert_uint_eq(pb->rx, 1);
	vrrp_io_assign(pb, 9, VRRP_IO_NOBODY);
	ck_assert_int_eq(vrrp_io_send_as(pa, vmac, src, &group, buf, (size_t)len), 0);
	run_until(2);
	ck_assert_uint_eq(seen.inst, VRRP_IO_NOBODY);
	struct addr one = *src;
	ck_assert_int_eq(vrrp_io_send_as(pa, vmac, src, &one, buf, (size_t)len), -EINVAL); /* no group */
}
END_TEST

/* To an address of the other end, with a hop limit of its own; nobody has joined anything for that. */
START_TEST(unicast)
{
	uint8_t af = _i ? ADDR_V6 : ADDR_V4;
	struct addr to;
	ck_assert(addr_parse(_i ? "fe80::b" : "192.0.2.3", &to));
	ck_assert_int_eq(vrrp_io_open(io, a, "va", af, &pa), 0);
	ck_assert_int_eq(vrrp_io_open(io, b, "vb", af, &pb), 0);
	ck_assert_int_eq(send_group(pa), 0); /* nobody hears it */
	if (_i == 0) {
		/* Both ends are in one stack, which would keep it: through the wire it goes as a frame. */
		static const uint8_t frame[] = { 0x45, 0xc0, 0,   28, 0, 0, 0,   0, 42, 112,
						 0,    0,    192, 0,  2, 2, 192, 0, 2,  3 };
		uint8_t raw[14 + sizeof(frame) + 8] = { [12] = 0x08, [13] = 0x00 };
		uint32_t sum = 0;
		sh("ip link set vb address 02:00:00:00:00:0b");
		memcpy(raw, "\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a", 12);
		memcpy(raw + 14, frame, sizeof(frame));
		memcpy(raw + 14 + sizeof(frame),
		       "1\x09"
		       "345678",
		       8);
		for (unsigned i = 0; i < sizeof(frame); i += 2)
			sum += (uint32_t)(frame[i] << 8 | frame[i + 1]);
		sum = (sum & 0xffff) + (sum >> 16);
		raw[24] = (uint8_t)(~sum >> 8);
		raw[25] = (uint8_t)~sum;
		int fd = socket(AF_PACKET, SOCK_RAW, 0);
		struct sockaddr_ll on = { .sll_family = AF_PACKET, .sll_ifindex = (int)a, .sll_halen = 6 };
		ck_assert_int_eq(sendto(fd, raw, sizeof(raw), 0, (struct sockaddr *)&on, sizeof(on)), sizeof(raw));
		close(fd);
	} else {
		ck_assert_int_eq(vrrp_io_send(pa, &src6, &to, 42,
					      "1\x09"
					      "345678",
					      8),
				 0);
	}
	vrrp_io_assign(pb, 9, 3);
	run_until(1);
	ck_assert_uint_eq(seen.ifindex, b);
	ck_assert_uint_eq(seen.inst, 3);
	ck_assert_int_eq(seen.rx.ttl, 42);
	ck_assert(addr_eq(&seen.rx.dst, &to));
	ck_assert(addr_eq(&seen.rx.src, _i ? &src6 : &src4));
}
END_TEST

/* A group of an instance's own: joined once however many want it, left with the last one. */
START_TEST(groups_are_counted)
{
	uint8_t af = _i ? ADDR_V6 : ADDR_V4;
	struct addr own, other, none;
	ck_assert(addr_parse(_i ? "ff02::1234" : "224.0.0.99", &own));
	ck_assert(addr_parse(_i ? "224.0.0.99" : "ff02::1234", &other));
	ck_assert(addr_parse(_i ? "2001:db8::1" : "192.0.2.1", &none));
	ck_assert_int_eq(vrrp_io_open(io, a, "va", af, &pa), 0);
	ck_assert_int_eq(vrrp_io_open(io, b, "vb", af, &pb), 0);
	ck_assert_int_eq(vrrp_io_join(pb, &other), -EINVAL);
	ck_assert_int_eq(vrrp_io_join(pb, &none), -EINVAL);
	ck_assert_int_eq(vrrp_io_join(pb, &own), 0);
	ck_assert_int_eq(vrrp_io_join(pb, &own), 0);
	ck_assert_int_eq(send_group(pa), 0); /* the usual group: not joined */
	ck_assert_int_eq(vrrp_io_send(pa, _i ? &src6 : &src4, &own, VRRP_TTL, "12345678", 8), 0);
	run_until(1);
	ck_assert(addr_eq(&seen.rx.dst, &own));
	vrrp_io_leave(pb, &own);
	ck_assert_int_eq(vrrp_io_send(pa, _i ? &src6 : &src4, &own, VRRP_TTL, "12345678", 8), 0);
	run_until(2);
	vrrp_io_leave(pb, &own);
	vrrp_io_leave(pb, &own); /* nobody's */
	ck_assert_int_eq(vrrp_io_send(pa, _i ? &src6 : &src4, &own, VRRP_TTL, "12345678", 8), 0);
	ck_assert_int_eq(vrrp_io_join(pb, _i ? &group6 : &group4), 0);
	ck_assert_int_eq(send_group(pa), 0);
	run_until(3);
	ck_assert(addr_eq(&seen.rx.dst, _i ? &group6 : &group4));
}
END_TEST

/* The kernel's limit is told, and what was joined before goes on. */
START_TEST(too_many_groups)
{
	int rc = 0;
	unsigned n = 0;
	open_both(ADDR_V4);
	for (; rc == 0 && n < 250; n++) {
		struct addr g = addr_v4(239, 1, 1, (uint8_t)n);
		rc = vrrp_io_join(pb, &g);
	}
	ck_assert_int_eq(rc, -ENOBUFS);
	ck_assert_uint_ge(n, 10);
	ck_assert_int_eq(send_group(pa), 0);
	run_until(1);
}
END_TEST

START_TEST(references_are_counted)
{
	struct vrrp_port *again, *none = NULL;
	open_both(ADDR_V4);
	ck_assert_int_eq(vrrp_io_open(io, b, "vb", ADDR_V4, &again), 0);
	ck_assert_ptr_eq(again, pb);
	ck_assert_ptr_eq(vrrp_io_next(io, NULL), pa);
	ck_assert_ptr_eq(vrrp_io_next(io, pa), pb);
	ck_assert_ptr_null(vrrp_io_next(io, pb));
	ck_assert_str_eq(pb->ifname, "vb");
	vrrp_io_close(again);
	ck_assert_int_eq(send_group(pa), 0);
	run_until(1);
	vrrp_io_close(pb);
	ck_assert_ptr_null(vrrp_io_next(io, pa));
	ck_assert_int_eq(vrrp_io_open(io, 9999, "gone", ADDR_V4, &none), -ENODEV);
	ck_assert_int_eq(vrrp_io_open(io, 9999, "gone", ADDR_V6, &none), -ENODEV);
	ck_assert_int_eq(vrrp_io_open(io, 0, "none", ADDR_V4, &none), -ENODEV);
	ck_assert_int_eq(vrrp_io_open(io, a, "va", ADDR_NONE, &none), -EAFNOSUPPORT);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(drain_reads_what_waits)
{
	open_both(ADDR_V4);
	struct vrrp_port *pa4 = pa;
	open_both(ADDR_V6);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(send_group(pa4), 0);
		ck_assert_int_eq(send_group(pa), 0);
	}
	ck_assert_uint_eq(vrrp_io_drain(io, a, 100), 0);
	ck_assert_uint_eq(vrrp_io_drain(io, b, 15), 15);
	ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 25);
	ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 0);
	ck_assert_uint_eq(seen.n, 40);
}
END_TEST

/* A port of many rests after a packet: what comes meanwhile is read in one go, or by whoever drains. */
START_TEST(a_crowded_port_pauses)
{
	struct vrrp_port *more;
	vrrp_io_pause(io, 100 * NS_PER_MS);
	open_both(ADDR_V4);
	for (unsigned i = 2; i < VRRP_IO_CROWD; i++)
		ck_assert_int_eq(vrrp_io_open(io, b, "vb", ADDR_V4, &more), 0);
	ck_assert_int_eq(send_group(pa), 0);
	run_until(1);
	ck_assert_uint_eq(vrrp_io_stats(io)->pauses, 0); /* one too few */
	ck_assert_int_eq(vrrp_io_open(io, b, "vb", ADDR_V4, &more), 0);
	mono_t begin = clock_mono();
	ck_assert_int_eq(send_group(pa), 0);
	run_until(2); /* the first one at once */
	ck_assert_uint_eq(vrrp_io_stats(io)->pauses, 1);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(send_group(pa), 0);
	run_until(12);
	ck_assert_int_ge(mono_sub(clock_mono(), begin), 100 * NS_PER_MS);
	ck_assert_uint_eq(vrrp_io_stats(io)->pauses, 2);
	ck_assert_int_eq(send_group(pa), 0);
	ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 1);
}
END_TEST

START_TEST(a_callback_may_close_its_socket)
{
	open_both(ADDR_V4);
	struct vrrp_port *pa4 = pa;
	open_both(ADDR_V6);
	seen.close_in_callback = true;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(send_group(pa4), 0);
		ck_assert_int_eq(send_group(pa), 0);
	}
	if (_i == 0)
		ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 2); /* one each, then closed */
	else
		run_until(2);
	ck_assert_ptr_null(vrrp_io_next(io, pa));
	ck_assert_int_eq(send_group(pa4), 0);
}
END_TEST

/* Down and up: the same socket works on. Deleted and made anew: the old one fails quietly, a new one works. */
START_TEST(interfaces_come_and_go)
{
	open_both(ADDR_V4);
	sh("ip link set va down");
	ck_assert_int_lt(send_group(pa), 0);
	ck_assert_uint_eq(vrrp_io_stats(io)->tx_no_device, 1);
	sh("ip link set va up");
	ck_assert_int_eq(send_group(pa), 0);
	run_until(1);
	unsigned first_a = a;
	struct vrrp_port *old_a = pa, *old_b = pb;
	sh("ip link delete va");
	ck_assert_int_lt(send_group(old_a), 0);
	ck_assert_int_lt(vrrp_io_send_as(old_a, mac, &src4, &group4, "12345678", 8), 0);
	ck_assert_int_lt(vrrp_io_announce(io, first_a, mac, &src4), 0);
	loop_once(l, 10 * NS_PER_MS);
	cable();
	ck_assert_uint_ne(a, first_a);
	open_both(ADDR_V4);
	vrrp_io_leave(old_a, &group4);
	vrrp_io_close(old_a);
	vrrp_io_close(old_b);
	ck_assert_int_eq(send_group(pa), 0);
	run_until(2);
	ck_assert_int_eq(vrrp_io_announce(io, a, mac, &src4), 0);
}
END_TEST

START_TEST(the_source_must_be_ours)
{
	struct addr foreign = addr_v4(203, 0, 113, 1);
	open_both(ADDR_V4);
	ck_assert_int_lt(vrrp_io_send(pa, &foreign, &group4, VRRP_TTL, "12345678", 8), 0);
	ck_assert_uint_eq(vrrp_io_stats(io)->tx, 0);
}
END_TEST

/*
 * Another master of the same virtual router speaks from the same MAC as our own macvlan: the base has to hear it, or a
 * split brain would last. And what we send ourselves from that MAC comes back to nobody.
 */
START_TEST(another_master_with_our_mac_is_heard)
{
	static const uint8_t vmac[6] = { 0, 0, 0x5e, 0, 1, 9 };
	if (system("ip link add vrrp.9 link vb address 00:00:5e:00:01:09 type macvlan mode bridge 2>/dev/null") != 0)
		return; /* a kernel without macvlan has no virtual MACs either */
	sh("ip link set vrrp.9 up");
	open_both(ADDR_V4);
	struct vrrp_port *pm = open_one(if_nametoindex("vrrp.9"), "vrrp.9", ADDR_V4);
	ck_assert_int_eq(vrrp_io_send_as(pa, vmac, &src4, &group4, "12345678", 8), 0);
	run_until(1);
	ck_assert_uint_eq(seen.ifindex, b);
	struct addr own = addr_v4(192, 0, 2, 3);
	ck_assert_int_eq(vrrp_io_send_as(pb, vmac, &own, &group4, "12345678", 8), 0);
	run_until(2);
	ck_assert_uint_eq(seen.ifindex, a);
	loop_once(l, 20 * NS_PER_MS);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_uint_eq(pm->rx, 0);
}
END_TEST

START_TEST(announcements_reach_the_wire)
{
	uint8_t want[GARP_FRAME_MAX], got[256];
	struct addr vip, none = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	struct sockaddr_ll on = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)b };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&on, sizeof(on)), 0);
	ck_assert(addr_parse(_i ? "2001:db8::77" : "192.0.2.77", &vip));
	size_t len = garp_build(&vip, mac, want, sizeof(want));
	ck_assert_int_eq(vrrp_io_announce(io, a, mac, &vip), 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool found = false;
	while (!found && poll(&p, 1, 5000) == 1) {
		ssize_t n = recv(fd, got, sizeof(got), 0);
		found = n == (ssize_t)len && memcmp(got, want, len) == 0; /* the kernel sends other things too */
	}
	ck_assert(found);
	ck_assert_int_eq(vrrp_io_announce(io, a, mac, &none), -EAFNOSUPPORT);
	ck_assert_uint_eq(vrrp_io_stats(io)->ann, 1);
	ck_assert_uint_eq(vrrp_io_stats(io)->ann_error, 1);
	close(fd);
}
END_TEST

int main(void)
{
	pid_t probe = fork();
	int status;
	if (probe == 0)
		_exit(enter_netns() ? 0 : 77);
	if (probe == -1 || waitpid(probe, &status, 0) != probe || status != 0) {
		fprintf(stderr, "skipped: no right to make a network namespace (run as root)\n");
		return 77;
	}
	Suite *s = suite_create("vrrp io");
	TCase *tc = tcase_create("all");
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, advertisements_cross, 0, 4);
	tcase_add_loop_test(tc, unicast, 0, 2);
	tcase_add_loop_test(tc, groups_are_counted, 0, 2);
	tcase_add_test(tc, too_many_groups);
	tcase_add_test(tc, another_master_with_our_mac_is_heard);
	tcase_add_test(tc, references_are_counted);
	tcase_add_test(tc, drain_reads_what_waits);
	tcase_add_test(tc, a_crowded_port_pauses);
	tcase_add_loop_test(tc, a_callback_may_close_its_socket, 0, 2);
	tcase_add_test(tc, interfaces_come_and_go);
	tcase_add_test(tc, the_source_must_be_ours);
	tcase_add_loop_test(tc, announcements_reach_the_wire, 0, 2);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
