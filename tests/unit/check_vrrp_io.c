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
#include "vrrp/garp.h"
#include "vrrp/vrrp_io.h"

static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, 0x0a };
static struct loop *l;
static struct vrrp_io *io;
static struct addr src4, src6;
static unsigned a, b; /* interface indices of the two ends */

/* What the callback saw last. */
static struct {
	unsigned n, ifindex;
	struct vrrp_rx rx;
	uint8_t pdu[VRRP_MSG_MAX];
	bool close_in_callback;
} seen;

static void on_rx(void *arg, unsigned ifindex, const struct vrrp_rx *rx)
{
	ck_assert_ptr_eq(arg, &seen);
	ck_assert_uint_le(rx->len, sizeof(seen.pdu));
	seen.n++;
	seen.ifindex = ifindex;
	seen.rx = *rx;
	memcpy(seen.pdu, rx->pdu, rx->len);
	if (seen.close_in_callback)
		vrrp_io_close(io, ifindex, rx->af);
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

static void open_both(uint8_t af)
{
	ck_assert_int_eq(vrrp_io_open(io, a, "va", af), 0);
	ck_assert_int_eq(vrrp_io_open(io, b, "vb", af), 0);
}

/* A real advertisement from a to b, which b can parse. */
START_TEST(advertisements_cross)
{
	uint8_t af = _i ? ADDR_V6 : ADDR_V4, buf[VRRP_MSG_MAX];
	struct vrrp_vip vip = { .plen = 24 };
	struct vrrp_conf conf = { .vrid = 9,
				  .af = af,
				  .priority = 7,
				  .vips = &vip,
				  .n_vips = 1,
				  .n_advertised = 1,
				  .down_adverts = 3,
				  .adv_ns = NS_PER_SEC };
	struct vrrp_msg m;
	ck_assert(addr_parse(_i ? "fe80::99" : "192.0.2.99", &vip.addr));
	open_both(af);
	struct addr group = vrrp_wire_group(af);
	int len = vrrp_wire_build(&conf, 3, 7, _i ? &src6 : &src4, &group, buf, sizeof(buf));
	mono_t before = clock_mono();
	ck_assert_int_eq(vrrp_io_send(io, a, af, _i ? &src6 : &src4, buf, (size_t)len), 0);
	run_until(1);
	ck_assert_uint_eq(seen.ifindex, b); /* and a does not hear itself: the next pass finds nothing more */
	ck_assert_int_eq(seen.rx.ttl, 255);
	ck_assert(addr_eq(&seen.rx.src, _i ? &src6 : &src4));
	ck_assert(addr_eq(&seen.rx.dst, &group));
	ck_assert_int_ge(mono_sub(seen.rx.at, before), 0);
	seen.rx.pdu = seen.pdu;
	ck_assert_int_eq(vrrp_wire_parse(&seen.rx, &conf, NULL, &m), VRRP_OK);
	ck_assert_uint_eq(m.priority, 7);
	loop_once(l, 20 * NS_PER_MS);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_uint_eq(vrrp_io_stats(io)->tx, 1);
	ck_assert_uint_eq(vrrp_io_stats(io)->rx, 1);
}
END_TEST

START_TEST(references_are_counted)
{
	ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "x", 1), -ENOENT);
	open_both(ADDR_V4);
	ck_assert_int_eq(vrrp_io_open(io, b, "vb", ADDR_V4), 0);
	vrrp_io_close(io, b, ADDR_V4);
	vrrp_io_close(io, b, ADDR_V6); /* never opened */
	ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
	run_until(1);
	vrrp_io_close(io, b, ADDR_V4);
	ck_assert_int_eq(vrrp_io_send(io, b, ADDR_V4, &src4, "12345678", 8), -ENOENT);
	ck_assert_int_eq(vrrp_io_open(io, 9999, "gone", ADDR_V4), -ENODEV);
	ck_assert_int_eq(vrrp_io_open(io, 0, "none", ADDR_V4), -ENODEV);
	ck_assert_int_eq(vrrp_io_open(io, a, "va", ADDR_NONE), -EAFNOSUPPORT);
}
END_TEST

START_TEST(drain_reads_what_waits)
{
	open_both(ADDR_V4);
	open_both(ADDR_V6);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
		ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V6, &src6, "12345678", 8), 0);
	}
	ck_assert_uint_eq(vrrp_io_drain(io, a, 100), 0);
	ck_assert_uint_eq(vrrp_io_drain(io, b, 15), 15);
	ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 25);
	ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 0);
	ck_assert_uint_eq(seen.n, 40);
}
END_TEST

START_TEST(a_callback_may_close_its_socket)
{
	open_both(ADDR_V4);
	open_both(ADDR_V6);
	seen.close_in_callback = true;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
		ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V6, &src6, "12345678", 8), 0);
	}
	if (_i == 0)
		ck_assert_uint_eq(vrrp_io_drain(io, 0, 100), 2); /* one each, then closed */
	else
		run_until(2);
	ck_assert_int_eq(vrrp_io_send(io, b, ADDR_V4, &src4, "12345678", 8), -ENOENT);
	ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
}
END_TEST

/* Down and up: the same socket works on. Deleted and made anew: the old one fails quietly, a new one works. */
START_TEST(interfaces_come_and_go)
{
	open_both(ADDR_V4);
	sh("ip link set va down");
	ck_assert_int_lt(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
	ck_assert_uint_eq(vrrp_io_stats(io)->tx_no_device, 1);
	sh("ip link set va up");
	ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
	run_until(1);
	unsigned old_a = a, old_b = b;
	sh("ip link delete va");
	ck_assert_int_lt(vrrp_io_send(io, old_a, ADDR_V4, &src4, "12345678", 8), 0);
	ck_assert_int_lt(vrrp_io_announce(io, old_a, mac, &src4), 0);
	loop_once(l, 10 * NS_PER_MS);
	cable();
	ck_assert_uint_ne(a, old_a);
	open_both(ADDR_V4);
	vrrp_io_close(io, old_a, ADDR_V4);
	vrrp_io_close(io, old_b, ADDR_V4);
	ck_assert_int_eq(vrrp_io_send(io, a, ADDR_V4, &src4, "12345678", 8), 0);
	run_until(2);
	ck_assert_int_eq(vrrp_io_announce(io, a, mac, &src4), 0);
}
END_TEST

START_TEST(the_source_must_be_ours)
{
	struct addr foreign = addr_v4(203, 0, 113, 1);
	open_both(ADDR_V4);
	ck_assert_int_lt(vrrp_io_send(io, a, ADDR_V4, &foreign, "12345678", 8), 0);
	ck_assert_uint_eq(vrrp_io_stats(io)->tx, 0);
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
	tcase_add_loop_test(tc, advertisements_cross, 0, 2);
	tcase_add_test(tc, references_are_counted);
	tcase_add_test(tc, drain_reads_what_waits);
	tcase_add_loop_test(tc, a_callback_may_close_its_socket, 0, 2);
	tcase_add_test(tc, interfaces_come_and_go);
	tcase_add_test(tc, the_source_must_be_ours);
	tcase_add_loop_test(tc, announcements_reach_the_wire, 0, 2);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
