/*
 * The sockets of the watch in a network namespace of their own: packets over the loopback interface, where every address
 * of 127.0.0.0/8 is local. What the filter drops is never read.
 */
#define _GNU_SOURCE 1
#include <check.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "ike-hooks/spi_io.h"

static struct loop *loop;
static struct spi_watch w;
static struct spi_pair pair[4];
static struct spi_known known[64];
static struct spi_io *io;
static unsigned asked;
static uint32_t asked_spi;
static struct addr asked_peer;
static const struct addr vip = { ADDR_V4, { 127, 0, 0, 1 } }, peer = { ADDR_V4, { 127, 0, 0, 9 } };
static const struct addr stranger = { ADDR_V4, { 127, 0, 0, 7 } }, six = { ADDR_V6, { [15] = 1 } };

static void on_unknown(void *arg, struct spi_pair *p, uint32_t spi)
{
	ck_assert_ptr_eq(arg, &w);
	asked++;
	asked_spi = spi;
	asked_peer = p->peer;
}

static void setup(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0); /* each test its own: counters begin at 0 */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
	loop = loop_new("test");
	spi_watch_init(&w, pair, 4, known, 64, clock_mono());
	ck_assert(spi_watch_add(&w, &vip, &peer) && spi_watch_add(&w, &six, &six));
	spi_watch_active(&w, spi_watch_find(&w, &vip, &peer), true);
	spi_watch_active(&w, spi_watch_find(&w, &six, &six), true);
	io = spi_io_new(loop, &w, on_unknown, &w);
	ck_assert_ptr_nonnull(io);
	asked = 0;
}

static void teardown(void)
{
	spi_io_free(io);
	loop_free(loop);
}

/* One packet with this SPI; proto IPPROTO_ESP, or UDP to port 4500. */
static void sends(const struct addr *from, const struct addr *to, int proto, uint32_t spi)
{
	bool v6 = from->af == ADDR_V6, udp = proto == IPPROTO_UDP;
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	struct sockaddr *a = v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	socklen_t len = v6 ? sizeof(a6) : sizeof(a4);
	uint8_t data[32] = {
		(uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8), (uint8_t)spi, 0, 0, 0, 1
	};
	int fd = socket(v6 ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, udp ? 0 : proto);

	ck_assert_int_ge(fd, 0);
	memcpy(v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr, from->b, addr_len(from->af));
	ck_assert_int_eq(bind(fd, a, len), 0);
	memcpy(v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr, to->b, addr_len(to->af));
	a4.sin_port = a6.sin6_port = udp ? htons(SPI_NAT_PORT) : 0;
	ck_assert_int_eq(sendto(fd, data, sizeof(data), 0, a, len), (ssize_t)sizeof(data));
	close(fd);
}

static void turn(int64_t ns)
{
	mono_t until = mono_add(clock_mono(), ns);

	while (mono_before(clock_mono(), until))
		loop_once(loop, 1 * NS_PER_MS);
}

/* Until so many questions were asked. */
static void wait_asked(unsigned n)
{
	mono_t until = mono_add(clock_mono(), 3 * NS_PER_SEC);

	while (asked < n && mono_before(clock_mono(), until))
		loop_once(loop, 5 * NS_PER_MS);
	ck_assert_uint_eq(asked, n);
}

static void open_now(void)
{
	spi_watch_open(&w, clock_mono());
	spi_io_update(io, clock_mono());
	for (unsigned i = 0; i < SPI_SOCK_N; i++)
		ck_assert_msg(spi_io_stats(io)->sock[i].open, "%s: %s", spi_sock_name((enum spi_sock)i),
			      strerror(-spi_io_stats(io)->sock[i].err));
}

START_TEST(closed_unless_wanted)
{
	spi_io_update(io, clock_mono());
	for (unsigned i = 0; i < SPI_SOCK_N; i++)
		ck_assert(!spi_io_stats(io)->sock[i].open);
	open_now();
	ck_assert_uint_eq(spi_io_stats(io)->opened, SPI_SOCK_N);
	spi_watch_active(&w, spi_watch_find(&w, &six, &six), false);
	spi_io_update(io, clock_mono());
	ck_assert(spi_io_stats(io)->sock[SPI_ESP4].open && !spi_io_stats(io)->sock[SPI_ESP6].open);
	spi_io_update(io, mono_add(w.open_until, 1));
	ck_assert(!spi_io_stats(io)->sock[SPI_ESP4].open && !spi_io_stats(io)->sock[SPI_UDP4].open);
}
END_TEST

START_TEST(every_form_is_seen)
{
	static const struct {
		const struct addr *from, *to;
		int proto;
		uint32_t spi;
	} form[] = { { &peer, &vip, IPPROTO_ESP, 0xc0ffee01 },
		     { &peer, &vip, IPPROTO_UDP, 0xc0ffee02 },
		     { &six, &six, IPPROTO_ESP, 0xc0ffee03 },
		     { &six, &six, IPPROTO_UDP, 0xc0ffee04 } };

	open_now();
	for (unsigned i = 0; i < 4; i++) {
		turn(120 * NS_PER_MS); /* past the pauses between questions */
		sends(form[i].from, form[i].to, form[i].proto, form[i].spi);
		wait_asked(i + 1);
		ck_assert_uint_eq(asked_spi, form[i].spi);
		ck_assert(addr_eq(&asked_peer, form[i].from));
	}
	ck_assert_uint_eq(w.count[SPI_ASK], 4);
}
END_TEST

START_TEST(known_spis_end_in_the_kernel)
{
	spi_watch_learn(&w, &vip, 0xc0ffee01, clock_mono());
	open_now();
	for (unsigned i = 0; i < 200; i++)
		sends(&peer, &vip, IPPROTO_ESP, 0xc0ffee01);
	sends(&peer, &vip, IPPROTO_ESP, 0xc0ffee02);
	wait_asked(1);
	ck_assert_uint_eq(spi_io_stats(io)->packets, 1);
	ck_assert_uint_eq(spi_io_stats(io)->overflows, 0);

	/* One more becomes known: the filter follows, and what lies in the queue already is judged by us. */
	turn(10 * NS_PER_MS);
	sends(&peer, &vip, IPPROTO_ESP, 0xc0ffee03);
	spi_watch_learn(&w, &vip, 0xc0ffee03, clock_mono());
	spi_io_update(io, clock_mono());
	turn(20 * NS_PER_MS);
	ck_assert_uint_eq(w.count[SPI_KNOWN], 1);
	sends(&peer, &vip, IPPROTO_ESP, 0xc0ffee03);
	turn(20 * NS_PER_MS);
	ck_assert_uint_eq(spi_io_stats(io)->packets, 2);
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(others_are_not_asked_about)
{
	open_now();
	sends(&peer, &vip, IPPROTO_UDP, 0); /* IKE */
	sends(&peer, &stranger, IPPROTO_ESP, 0xc0ffee01);
	for (unsigned i = 0; i < 640; i++)
		sends(&stranger, &vip, IPPROTO_ESP, 0xc0ffee01);
	turn(50 * NS_PER_MS);
	ck_assert_uint_eq(asked, 0);
	ck_assert_uint_eq(spi_io_stats(io)->packets, w.count[SPI_STRANGER]);
	/* 640 in 64 parts: 10 expected; more than 60 or none at all would be a broken filter. */
	ck_assert_uint_lt(w.count[SPI_STRANGER], 60);
	ck_assert_uint_gt(w.count[SPI_STRANGER], 0);
}
END_TEST

START_TEST(a_flood_is_not_read_to_its_end)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP);
	mono_t until = mono_add(clock_mono(), 300 * NS_PER_MS);
	unsigned sent = 0;

	open_now();
	memcpy(&a.sin_addr, peer.b, 4);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	memcpy(&a.sin_addr, vip.b, 4);
	while (mono_before(clock_mono(), until)) {
		for (unsigned i = 0; i < 100; i++, sent++) {
			uint8_t data[32] = { 0xc0, (uint8_t)(sent >> 16), (uint8_t)(sent >> 8), (uint8_t)sent };
			(void)sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&a, sizeof(a));
		}
		loop_once(loop, 0);
	}
	close(fd);
	turn(50 * NS_PER_MS);
	/* A full batch per 20 ms, and what was in the queue at the end. */
	ck_assert_uint_gt(sent, 5000);
	ck_assert_uint_le(spi_io_stats(io)->packets, SPI_BATCH * (350 / 20 + 4));
	ck_assert_uint_gt(spi_io_stats(io)->overflows, 0);
	ck_assert_uint_le(asked, 4); /* at once, after 3, 23, 123 ms, and then while the socket rested */
	ck_assert_uint_ge(asked, 2);
}
END_TEST

START_TEST(counter_of_packets_without_sa)
{
	int64_t n = spi_io_no_states(io);

	ck_assert_int_eq(n, access("/proc/net/xfrm_stat", R_OK) == 0 ? 0 : -1);
}
END_TEST

int main(void)
{
	/* Without the right to make a namespace there is nothing to test here. */
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		printf("check_spi_io: skipped, no right to create a network namespace: %s\n", strerror(errno));
		return 77;
	}
	Suite *s = suite_create("spi_io");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, closed_unless_wanted);
	tcase_add_test(c, every_form_is_seen);
	tcase_add_test(c, known_spis_end_in_the_kernel);
	tcase_add_test(c, others_are_not_asked_about);
	tcase_add_test(c, a_flood_is_not_read_to_its_end);
	tcase_add_test(c, counter_of_packets_without_sa);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
