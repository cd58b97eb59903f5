/*
 * labct: sessions for a kernel's connection table, and the comparison of two tables. Run it inside a namespace.
 *
 *   labct fill COUNT [first=N] [snat] [v6]            established TCP sessions, as fast as it goes
 *   labct churn RATE SECONDS ALIVE [first=N] [snat]   events (creates and removals) per second, 0: flat out
 *   labct stamp RATE SECONDS [first=N]                creates, marked with the time before each (microseconds)
 *   labct lag PID                                     how old the marks were when the entries of that namespace began
 *   labct compare PID PID [SECONDS]                   two namespaces entry by entry, again until equal or time is up
 *   labct strip SERVER-PORT                           takes window scales and flags from the TCP entries of a port
 *
 * Each prints one line of JSON; instants are CLOCK_MONOTONIC nanoseconds.
 */
#define _GNU_SOURCE 1 /* setns */
#include "tests/lab/ct_tool.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORTS         50000u /* sessions that share their addresses */
#define TCP_STATE_EST 3
#define LIFE_S        3000

_Noreturn void ct_fail(const char *what)
{
	fprintf(stderr, "labct: %s: %s\n", what, strerror(errno));
	exit(1);
}

int64_t ct_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int ct_open(pid_t pid)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int on = 1, size = 4 << 20, fd;
	char path[64];

	if (pid > 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
		int ns = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
			ct_fail(path);
		close(ns);
	}
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		ct_fail("netlink");
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

/* ---------------------------------------------------------------- messages */

static void put(struct ct_batch *b, uint16_t type, const void *data, size_t size)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type };

	memcpy(b->buf + b->len, &a, sizeof(a));
	memcpy(b->buf + b->len + NLA_HDRLEN, data, size);
	memset(b->buf + b->len + NLA_HDRLEN + size, 0, NLA_ALIGN(size) - size);
	b->len += NLA_HDRLEN + NLA_ALIGN(size);
}

static size_t nest(struct ct_batch *b, uint16_t type)
{
	size_t at = b->len;
	struct nlattr a = { .nla_type = type | NLA_F_NESTED };

	memcpy(b->buf + at, &a, sizeof(a));
	b->len += NLA_HDRLEN;
	return at;
}

static void nest_end(struct ct_batch *b, size_t at)
{
	uint16_t size = (uint16_t)(b->len - at);

	memcpy(b->buf + at, &size, sizeof(size));
}

static void put32(struct ct_batch *b, uint16_t type, uint32_t v)
{
	v = htonl(v);
	put(b, type, &v, sizeof(v));
}

static void put_tuple(struct ct_batch *b, uint16_t type, bool v6, const uint8_t *src, uint16_t sport,
		      const uint8_t *dst, uint16_t dport)
{
	size_t all = nest(b, type), part = nest(b, CTA_TUPLE_IP), size = v6 ? 16 : 4;
	uint8_t tcp = IPPROTO_TCP;

	put(b, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, src, size);
	put(b, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, dst, size);
	nest_end(b, part);
	part = nest(b, CTA_TUPLE_PROTO);
	sport = htons(sport);
	dport = htons(dport);
	put(b, CTA_PROTO_NUM, &tcp, 1);
	put(b, CTA_PROTO_SRC_PORT, &sport, 2);
	put(b, CTA_PROTO_DST_PORT, &dport, 2);
	nest_end(b, part);
	nest_end(b, all);
}

static size_t begin(struct ct_batch *b, uint16_t type, uint16_t flags, bool v6)
{
	size_t at = b->len;
	struct nfgenmsg g = { .nfgen_family = v6 ? AF_INET6 : AF_INET };
	struct nlmsghdr h = { .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type,
			      .nlmsg_flags = NLM_F_REQUEST | flags,
			      .nlmsg_seq = ++b->seq };

	memcpy(b->buf + at, &h, sizeof(h));
	memcpy(b->buf + at + NLMSG_HDRLEN, &g, sizeof(g));
	b->len += NLMSG_HDRLEN + sizeof(g);
	return at;
}

static void end(struct ct_batch *b, size_t at)
{
	uint32_t size = (uint32_t)(b->len - at);

	memcpy(b->buf + at, &size, sizeof(size));
	if (++b->n == CT_BATCH)
		ct_send(b);
}

/* Only errors are answered; all of them wait when send returns. */
static void read_errors(struct ct_batch *b)
{
	uint8_t buf[16384] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = recv(b->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		unsigned left = (unsigned)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			const struct nlmsgerr *e = NLMSG_DATA(h);
			if (h->nlmsg_type != NLMSG_ERROR || e->error == 0)
				continue;
			b->errors++;
			b->last_error = -e->error;
		}
	}
}

void ct_send(struct ct_batch *b)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (b->n == 0)
		return;
	if (sendto(b->fd, b->buf, b->len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		ct_fail("send");
	b->sent += b->n;
	b->n = 0;
	b->len = 0;
	read_errors(b);
}

/* ---------------------------------------------------------------- sessions */

struct ends {
	uint8_t src[16], dst[16], shown[16]; /* shown: the source that the other side sees */
	uint16_t port;
};

static struct ends ends_of(struct ct_kind k, uint32_t n)
{
	struct ends e = { .port = (uint16_t)(10000 + n % PORTS) };
	uint32_t block = n / PORTS, v;

	if (k.v6) {
		static const uint8_t net[2] = { 0xfd, 0x64 };
		memcpy(e.src, net, 2);
		memcpy(e.dst, net, 2);
		e.dst[3] = 1;
		v = htonl(block + 1);
		memcpy(e.src + 12, &v, 4);
		memcpy(e.dst + 12, &v, 4);
		memcpy(e.shown, e.src, 16);
		return e;
	}
	v = htonl(0x0a400001u + block); /* 10.64.0.1 .. */
	memcpy(e.src, &v, 4);
	v = htonl(0xc6120001u + block); /* 198.18.0.1 .. */
	memcpy(e.dst, &v, 4);
	v = htonl(0xcb007101u); /* 203.0.113.1, the lab's virtual address */
	memcpy(e.shown, k.snat ? (uint8_t *)&v : e.src, 4);
	return e;
}

static void put_tcp(struct ct_batch *b)
{
	size_t all = nest(b, CTA_PROTOINFO), tcp = nest(b, CTA_PROTOINFO_TCP);
	uint8_t state = TCP_STATE_EST, scale = 7, flags[2] = { 0x03, 0x03 };

	put(b, CTA_PROTOINFO_TCP_STATE, &state, 1);
	put(b, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, &scale, 1);
	put(b, CTA_PROTOINFO_TCP_WSCALE_REPLY, &scale, 1);
	put(b, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags, 2);
	put(b, CTA_PROTOINFO_TCP_FLAGS_REPLY, flags, 2);
	nest_end(b, tcp);
	nest_end(b, all);
}

static void put_snat(struct ct_batch *b, const struct ends *e)
{
	size_t nat = nest(b, CTA_NAT_SRC), proto;
	uint16_t port = htons(e->port);

	put(b, CTA_NAT_V4_MINIP, e->shown, 4);
	put(b, CTA_NAT_V4_MAXIP, e->shown, 4);
	proto = nest(b, CTA_NAT_PROTO);
	put(b, CTA_PROTONAT_PORT_MIN, &port, 2);
	put(b, CTA_PROTONAT_PORT_MAX, &port, 2);
	nest_end(b, proto);
	nest_end(b, nat);
}

void ct_create(struct ct_batch *b, struct ct_kind k, uint32_t n, uint32_t mark)
{
	struct ends e = ends_of(k, n);
	size_t at = begin(b, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, k.v6);

	put_tuple(b, CTA_TUPLE_ORIG, k.v6, e.src, e.port, e.dst, 80);
	/* The plain inverse also with NAT: the kernel computes the translated one. */
	put_tuple(b, CTA_TUPLE_REPLY, k.v6, e.dst, 80, e.src, e.port);
	put32(b, CTA_STATUS, IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED);
	put32(b, CTA_TIMEOUT, LIFE_S);
	put_tcp(b);
	if (mark != 0)
		put32(b, CTA_MARK, mark);
	if (k.snat)
		put_snat(b, &e);
	end(b, at);
}

void ct_delete(struct ct_batch *b, struct ct_kind k, uint32_t n)
{
	struct ends e = ends_of(k, n);
	size_t at = begin(b, IPCTNL_MSG_CT_DELETE, 0, k.v6);

	put_tuple(b, CTA_TUPLE_ORIG, k.v6, e.src, e.port, e.dst, 80);
	end(b, at);
}

/* ---------------------------------------------------------------- commands */

static void sleep_until(int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

struct options {
	struct ct_kind kind;
	uint32_t first;
};

static struct options options_of(int argc, char **argv)
{
	struct options o = { .first = 0 };

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "snat") == 0)
			o.kind.snat = true;
		else if (strcmp(argv[i], "v6") == 0)
			o.kind.v6 = true;
		else if (sscanf(argv[i], "first=%u", &o.first) != 1) {
			fprintf(stderr, "labct: %s is not first=N, snat or v6\n", argv[i]);
			exit(2);
		}
	}
	return o;
}

static int report(const struct ct_batch *b, int64_t begin_ns, uint32_t next)
{
	int64_t now = ct_now_ns();

	printf("{\"events\": %llu, \"errors\": %llu, \"error\": \"%s\", \"seconds\": %.4f, \"end_ns\": %lld, "
	       "\"next\": %u}\n",
	       (unsigned long long)b->sent, (unsigned long long)b->errors, b->errors ? strerror(b->last_error) : "",
	       (double)(now - begin_ns) / 1e9, (long long)now, next);
	return 0;
}

static int cmd_fill(struct ct_batch *b, uint32_t count, struct options o)
{
	int64_t t0 = ct_now_ns();

	for (uint32_t i = 0; i < count; i++)
		ct_create(b, o.kind, o.first + i, 0);
	ct_send(b);
	return report(b, t0, o.first + count);
}

/* `alive` sessions exist at the end of it; those of the beginning are counted as events as well. */
static int cmd_churn(struct ct_batch *b, unsigned rate, double seconds, uint32_t alive, struct options o)
{
	int64_t t0 = ct_now_ns(), stop = t0 + (int64_t)(seconds * 1e9), step = 1000000, next = t0;
	uint64_t events = 0;
	uint32_t n = 0;

	while (ct_now_ns() < stop) {
		uint64_t due = rate ? (uint64_t)((double)(next + step - t0) * rate / 1e9) : UINT64_MAX;
		for (unsigned i = 0; events < due && i < 4 * CT_BATCH; i++) {
			ct_create(b, o.kind, o.first + n, 0);
			events++;
			if (n >= alive) {
				ct_delete(b, o.kind, o.first + n - alive);
				events++;
			}
			n++;
		}
		ct_send(b);
		if (rate == 0 || events < due)
			continue;
		next += step;
		sleep_until(next);
	}
	ct_send(b);
	return report(b, t0, o.first + n);
}

static int cmd_stamp(struct ct_batch *b, unsigned rate, double seconds, struct options o)
{
	int64_t t0 = ct_now_ns(), next = t0, step = 1000000000ll / rate;
	uint32_t n = 0;

	while (next - t0 < (int64_t)(seconds * 1e9)) {
		struct timespec ts;
		clock_gettime(CLOCK_REALTIME, &ts);
		uint32_t mark = (uint32_t)((uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
		ct_create(b, o.kind, o.first + n++, mark ? mark : 1);
		ct_send(b);
		next += step;
		sleep_until(next);
	}
	return report(b, t0, o.first + n);
}

int main(int argc, char **argv)
{
	static struct ct_batch b;
	const char *cmd = argc > 2 ? argv[1] : "";

	if (strcmp(cmd, "compare") == 0)
		return ct_cmd_compare(argc - 2, argv + 2);
	if (strcmp(cmd, "lag") == 0)
		return ct_cmd_lag(argc - 2, argv + 2);
	if (strcmp(cmd, "strip") == 0)
		return ct_cmd_strip(argc - 2, argv + 2);
	b.fd = ct_open(0);
	b.seq = (uint32_t)getpid();
	if (strcmp(cmd, "fill") == 0)
		return cmd_fill(&b, (uint32_t)strtoul(argv[2], NULL, 10), options_of(argc - 3, argv + 3));
	if (strcmp(cmd, "churn") == 0 && argc > 4)
		return cmd_churn(&b, (unsigned)atoi(argv[2]), atof(argv[3]), (uint32_t)strtoul(argv[4], NULL, 10),
				 options_of(argc - 5, argv + 5));
	if (strcmp(cmd, "stamp") == 0 && argc > 3 && atoi(argv[2]) > 0)
		return cmd_stamp(&b, (unsigned)atoi(argv[2]), atof(argv[3]), options_of(argc - 4, argv + 4));
	fprintf(stderr, "usage: labct fill|churn|stamp|lag|compare|strip ... (see tests/lab/ct_load.c)\n");
	return 2;
}
