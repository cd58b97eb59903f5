/*
 * labflow: packets for a router, and what they meet.
 *
 *   labflow udp INTERFACE ROUTER-MAC RATE SECONDS [FIRST]  one datagram of each of RATE new flows per second
 *   labflow esp INTERFACE ROUTER-MAC RATE SECONDS FROM TO SPI [raw]
 *                                                          ESP in UDP 4500, or bare; FROM and SPI may be "random"
 *   labflow sink PORT                                      takes what TCP connections bring
 *   labflow push IP PORT SECONDS                           one TCP stream as fast as it goes: bytes per 100 ms
 *   labflow plain INTERFACE                                no segmentation below TCP: packets as they are on a wire
 *   labflow timer PERIOD-MS SECONDS [fifo]                 how late a thread like that of VRRP wakes up
 *   labflow stalls LIMIT-MS                                when a thread above all others was late, on each processor
 *
 * Flow n goes from 10.50.0.1 + n / 50000, port 10000 + n % 50000, to 203.0.113.77, port 7000. One line of JSON each;
 * instants are CLOCK_MONOTONIC nanoseconds.
 */
#define _GNU_SOURCE 1 /* sendmmsg, processor sets */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST     64u
#define STEP_NS   500000ll
#define PAYLOAD   18
#define FRAME     (14 + 20 + 8 + PAYLOAD)
#define PORTS     50000u
#define SLOT_NS   100000000ll
#define SLOTS_MAX 6000

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "labflow: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void sleep_until(int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* ---------------------------------------------------------------- udp */

static void make_frame(uint8_t *f, const uint8_t *from, const uint8_t *to, uint32_t n)
{
	uint8_t *ip = f + 14, *udp = ip + 20;
	uint32_t sum = 0;

	memset(f, 0, FRAME);
	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	put16(f + 12, ETHERTYPE_IP);
	ip[0] = 0x45;
	put16(ip + 2, FRAME - 14);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	put32(ip + 12, 0x0a320001u + n / PORTS);
	put32(ip + 16, 0xcb00714du);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
	put16(udp, 10000 + n % PORTS);
	put16(udp + 2, 7000);
	put16(udp + 4, 8 + PAYLOAD); /* without a checksum, as IPv4 allows */
}

static int packet_socket(const char *interface, uint8_t mac[6])
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), size = 8 << 20;
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) != 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) != 0)
		fail(interface);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

/* What the packets of a run have in common. */
struct esp {
	uint32_t from, to, spi; /* host order; 0: random */
	int raw;
};

static uint32_t random32(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

/* Frames are of one length: the encapsulation's 8 bytes are payload where there is none. */
static void make_esp(uint8_t *f, const uint8_t *from, const uint8_t *to, uint32_t n, const struct esp *e)
{
	uint8_t *ip = f + 14, *p = ip + 20;
	uint32_t sum = 0;

	make_frame(f, from, to, n);
	ip[9] = e->raw ? IPPROTO_ESP : IPPROTO_UDP;
	ip[10] = ip[11] = 0;
	put32(ip + 12, e->from ? e->from : 0x0b000000u | (random32() & 0xffffffu));
	put32(ip + 16, e->to);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
	if (!e->raw) {
		put16(p, 4500);
		put16(p + 2, 4500);
		put16(p + 4, 8 + PAYLOAD);
		put16(p + 6, 0);
		p += 8;
	}
	put32(p, e->spi ? e->spi : random32() | 0x100u);
	put32(p + 4, n + 1);
}

static int cmd_udp(const char *interface, const char *router, unsigned rate, double seconds, uint32_t first,
		   const struct esp *esp)
{
	static uint8_t frames[BURST][FRAME];
	static struct iovec iov[BURST];
	static struct mmsghdr msgs[BURST];
	unsigned v[6];
	uint8_t from[6], to[6];
	int fd = packet_socket(interface, from);

	if (sscanf(router, "%x:%x:%x:%x:%x:%x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]) != 6 || rate == 0)
		return 2;
	for (unsigned i = 0; i < 6; i++)
		to[i] = (uint8_t)v[i];
	for (unsigned i = 0; i < BURST; i++) {
		iov[i] = (struct iovec){ frames[i], FRAME };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	int64_t t0 = now_ns(), next = t0;
	uint32_t sent = 0, total = (uint32_t)(rate * seconds);
	while (sent < total) {
		uint32_t due = (uint32_t)((double)(next + STEP_NS - t0) * rate / 1e9);
		while (sent < due && sent < total) {
			unsigned n = due - sent < BURST ? due - sent : BURST;
			for (unsigned i = 0; i < n; i++) {
				if (esp)
					make_esp(frames[i], from, to, first + sent + i, esp);
				else
					make_frame(frames[i], from, to, first + sent + i);
			}
			int done = sendmmsg(fd, msgs, n, 0);
			if (done < 0 && errno != EAGAIN && errno != ENOBUFS)
				fail("sendmmsg");
			sent += done > 0 ? (uint32_t)done : 0;
		}
		next += STEP_NS;
		sleep_until(next);
	}
	printf("{\"flows\": %u, \"seconds\": %.4f, \"end_ns\": %lld}\n", sent, (double)(now_ns() - t0) / 1e9,
	       (long long)now_ns());
	return 0;
}

static uint32_t address_of(const char *text)
{
	struct in_addr a = { 0 };

	if (strcmp(text, "random") != 0 && inet_pton(AF_INET, text, &a) != 1)
		fail(text);
	return ntohl(a.s_addr);
}

static int cmd_esp(int argc, char **argv)
{
	struct esp e = { .from = address_of(argv[6]),
			 .to = address_of(argv[7]),
			 .raw = argc > 9 && strcmp(argv[9], "raw") == 0 };

	if (strcmp(argv[8], "random") != 0)
		e.spi = (uint32_t)strtoul(argv[8], NULL, 16);
	return cmd_udp(argv[2], argv[3], (unsigned)atoi(argv[4]), atof(argv[5]), 0, &e);
}

/* ---------------------------------------------------------------- a TCP stream */

static int cmd_sink(unsigned port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	static char buf[1 << 20];
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(l, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(l, 8) != 0)
		fail("sink");
	printf("{\"ready\": true}\n");
	fflush(stdout);
	for (;;) {
		int c = accept(l, NULL, NULL);
		if (c < 0)
			fail("accept");
		if (fork() != 0) {
			close(c);
			continue;
		}
		while (recv(c, buf, sizeof(buf), 0) > 0)
			;
		_exit(0);
	}
}

static int cmd_push(const char *ip, unsigned port, double seconds)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	static uint64_t slots[SLOTS_MAX];
	static char buf[256 << 10];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t t0, until;
	size_t used = 0;

	signal(SIGPIPE, SIG_IGN);
	if (inet_pton(AF_INET, ip, &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		fail(ip);
	t0 = now_ns();
	until = t0 + (int64_t)(seconds * 1e9);
	for (;;) {
		int64_t now = now_ns();
		size_t slot = (size_t)((now - t0) / SLOT_NS);
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		if (now >= until || slot >= SLOTS_MAX)
			break;
		used = slot + 1;
		/* In the slot in which it was taken: a stalled stream leaves empty ones. */
		if (poll(&p, 1, 10) <= 0)
			continue;
		ssize_t n = send(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break;
		slots[slot] += n > 0 ? (uint64_t)n : 0;
	}
	printf("{\"begin_ns\": %lld, \"slot_ns\": %lld, \"bytes\": [", (long long)t0, SLOT_NS);
	for (size_t i = 0; i < used; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)slots[i]);
	printf("]}\n");
	return 0;
}

/* Packets of 64 KiB, which TCP makes where the interface cuts them, hide what window checks do to a flow. */
static int cmd_plain(const char *interface)
{
	static const unsigned offs[] = { ETHTOOL_STSO, ETHTOOL_SGSO };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned i = 0; i < 2; i++) {
		struct ethtool_value v = { .cmd = offs[i] };
		struct ifreq ifr = { .ifr_data = (char *)&v };
		snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
		if (ioctl(fd, SIOCETHTOOL, &ifr) != 0)
			fail(interface);
	}
	return 0;
}

/* ---------------------------------------------------------------- timer */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static int cmd_timer(double period_ms, double seconds, int fifo)
{
	struct sched_param sp = { .sched_priority = 10 };
	size_t max = (size_t)(seconds * 1000 / period_ms) + 1, n = 0;
	int64_t *late = calloc(max, sizeof(*late)), step = (int64_t)(period_ms * 1e6);

	if (!late || step <= 0 || (fifo && sched_setscheduler(0, SCHED_FIFO, &sp) != 0))
		fail("timer");
	signal(SIGTERM, on_term);
	for (int64_t next = now_ns() + step; n < max && !ended; next += step) {
		sleep_until(next);
		late[n++] = now_ns() - next;
	}
	qsort(late, n, sizeof(*late), by_value);
	printf("{\"n\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", n,
	       n ? (double)late[n / 2] / 1e3 : 0.0, n ? (double)late[n * 99 / 100] / 1e3 : 0.0,
	       n ? (double)late[n - 1] / 1e3 : 0.0);
	free(late);
	return 0;
}

/* ---------------------------------------------------------------- stalls */

/* One process per processor, so that each can be bound to its own; a line "begin end" for each stall until SIGTERM. */
static int cmd_stalls(double limit_ms)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t me = getpid();

	for (long cpu = 0; cpu < cpus; cpu++) {
		if (cpu < cpus - 1 && fork() != 0)
			continue;
		struct sched_param sp = { .sched_priority = 90 };
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET((size_t)cpu, &one);
		if (getpid() != me && (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != me))
			fail("prctl");
		if (sched_setaffinity(0, sizeof(one), &one) != 0 || sched_setscheduler(0, SCHED_FIFO, &sp) != 0)
			fail("scheduling");
		break;
	}
	signal(SIGTERM, on_term);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (!ended) {
		int64_t begin = now_ns();
		sleep_until(begin + 1000000);
		if ((double)(now_ns() - begin - 1000000) >= limit_ms * 1e6)
			printf("%lld %lld\n", (long long)begin, (long long)now_ns());
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 2 ? argv[1] : "";

	if (strcmp(cmd, "udp") == 0 && argc > 5)
		return cmd_udp(argv[2], argv[3], (unsigned)atoi(argv[4]), atof(argv[5]),
			       argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : 0, NULL);
	if (strcmp(cmd, "esp") == 0 && argc > 8)
		return cmd_esp(argc, argv);
	if (strcmp(cmd, "sink") == 0)
		return cmd_sink((unsigned)atoi(argv[2]));
	if (strcmp(cmd, "push") == 0 && argc > 4)
		return cmd_push(argv[2], (unsigned)atoi(argv[3]), atof(argv[4]));
	if (strcmp(cmd, "plain") == 0)
		return cmd_plain(argv[2]);
	if (strcmp(cmd, "timer") == 0 && argc > 3)
		return cmd_timer(atof(argv[2]), atof(argv[3]), argc > 4 && strcmp(argv[4], "fifo") == 0);
	if (strcmp(cmd, "stalls") == 0)
		return cmd_stalls(atof(argv[2]));
	fprintf(stderr, "usage: labflow udp|esp|sink|push|plain|timer|stalls ... (see tests/lab/flow.c)\n");
	return 2;
}
