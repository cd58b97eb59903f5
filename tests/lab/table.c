/*
 * The kernel's connection table from outside, for tests of many thousand sessions. It shares no line with the daemon's
 * own codec: what one of them reads wrongly the other one does not.
 *
 *   labtable dump [PREFIX]                  one line for each entry whose original source begins with PREFIX: what a copy must
 *                                        have in common with the original; a tab; kernel id and seconds left
 *   labtable make FIRST COUNT [SECONDS]     numbered sessions: TCP, TCP with a mark, UDP, TCP with SNAT in turn
 *   labtable drop FIRST COUNT [STEP]        ends them, or each STEPth of them
 *   labtable churn FIRST RATE ALIVE         RATE new sessions a second, so many of them alive; until SIGTERM
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH    64
#define PER_HOST 40000u /* sessions of one source address */
#define CLASS    (NFNL_SUBSYS_CTNETLINK << 8)

static int nl = -1;
static uint8_t out[BATCH * 512];
static size_t out_len;
static volatile sig_atomic_t over;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "labtable: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void nl_open(void)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int big = 8 << 20, on = 1;

	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (nl < 0 || bind(nl, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		fail("netlink");
	setsockopt(nl, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(nl, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
}

/* ---------------------------------------------------------------- reading */

/* The payload of an attribute; NULL if there is none. */
static const uint8_t *find(const uint8_t *p, size_t len, unsigned type, size_t *got)
{
	while (p && len >= NLA_HDRLEN) {
		struct nlattr a;
		memcpy(&a, p, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > len)
			return NULL;
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			*got = a.nla_len - NLA_HDRLEN;
			return p + NLA_HDRLEN;
		}
		size_t step = NLA_ALIGN(a.nla_len);
		if (step >= len)
			return NULL;
		p += step;
		len -= step;
	}
	return NULL;
}

static uint32_t number(const uint8_t *p, size_t len, unsigned type)
{
	size_t n = 0;
	const uint8_t *v = find(p, len, type, &n);
	uint32_t sum = 0;

	for (size_t i = 0; v && i < n && i < 4; i++)
		sum = sum << 8 | v[i];
	return sum;
}

static void address(const uint8_t *ip, size_t len, unsigned v4, unsigned v6, char text[INET6_ADDRSTRLEN])
{
	size_t n;
	const uint8_t *a = find(ip, len, v4, &n);

	text[0] = '\0';
	if (a)
		inet_ntop(AF_INET, a, text, INET6_ADDRSTRLEN);
	else if ((a = find(ip, len, v6, &n)) != NULL)
		inet_ntop(AF_INET6, a, text, INET6_ADDRSTRLEN);
}

/* Ports, or what ICMP has instead. Source address of the tuple into src. */
static void tuple_text(const uint8_t *p, size_t len, unsigned type, char *text, size_t cap, char src[INET6_ADDRSTRLEN])
{
	char dst[INET6_ADDRSTRLEN];
	size_t n = 0, ip_len = 0, l4_len = 0;
	const uint8_t *t = find(p, len, type, &n), *ip = find(t, n, CTA_TUPLE_IP, &ip_len);
	const uint8_t *l4 = find(t, n, CTA_TUPLE_PROTO, &l4_len);

	address(ip, ip_len, CTA_IP_V4_SRC, CTA_IP_V6_SRC, src);
	address(ip, ip_len, CTA_IP_V4_DST, CTA_IP_V6_DST, dst);
	snprintf(text, cap, "%u %s %u %s %u %u %u %u %u z%u", number(l4, l4_len, CTA_PROTO_NUM), src,
		 number(l4, l4_len, CTA_PROTO_SRC_PORT), dst, number(l4, l4_len, CTA_PROTO_DST_PORT),
		 number(l4, l4_len, CTA_PROTO_ICMP_ID), number(l4, l4_len, CTA_PROTO_ICMP_TYPE),
		 number(l4, l4_len, CTA_PROTO_ICMPV6_ID), number(l4, l4_len, CTA_PROTO_ICMPV6_TYPE),
		 number(t, n, CTA_TUPLE_ZONE));
}

static void print_entry(const uint8_t *p, size_t len, const char *prefix)
{
	char orig[192], reply[192], src[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN];
	const uint32_t bits = IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT | IPS_DST_NAT;
	size_t n = 0, tcp_len = 0;

	tuple_text(p, len, CTA_TUPLE_ORIG, orig, sizeof(orig), src);
	if (strncmp(src, prefix, strlen(prefix)) != 0)
		return;
	tuple_text(p, len, CTA_TUPLE_REPLY, reply, sizeof(reply), other);
	const uint8_t *info = find(p, len, CTA_PROTOINFO, &n), *tcp = find(info, n, CTA_PROTOINFO_TCP, &tcp_len);
	printf("%s / %s status %#x tcp %u %u/%u mark %u zone %u\t%u %u\n", orig, reply,
	       number(p, len, CTA_STATUS) & bits, number(tcp, tcp_len, CTA_PROTOINFO_TCP_STATE),
	       number(tcp, tcp_len, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL),
	       number(tcp, tcp_len, CTA_PROTOINFO_TCP_WSCALE_REPLY), number(p, len, CTA_MARK), number(p, len, CTA_ZONE),
	       number(p, len, CTA_ID), number(p, len, CTA_TIMEOUT));
}

/* False: the dump is over. */
static bool read_dump(const char *prefix)
{
	static uint8_t buf[1 << 16] __attribute__((aligned(8)));
	ssize_t got = recv(nl, buf, sizeof(buf), 0);

	if (got <= 0)
		fail("dump");
	for (size_t at = 0; at + NLMSG_HDRLEN <= (size_t)got;) {
		struct nlmsghdr h;
		memcpy(&h, buf + at, sizeof(h));
		if (h.nlmsg_type == NLMSG_DONE)
			return false;
		if (h.nlmsg_type == NLMSG_ERROR) {
			errno = EIO;
			fail("dump");
		}
		size_t skip = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
		print_entry(buf + at + skip, h.nlmsg_len - skip, prefix);
		at += NLMSG_ALIGN(h.nlmsg_len);
	}
	return true;
}

static void dump(const char *prefix)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} ask = { { sizeof(ask), CLASS | IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC, 0, 0 } };

	if (send(nl, &ask, sizeof(ask), 0) < 0)
		fail("send");
	while (read_dump(prefix))
		;
}

/* ---------------------------------------------------------------- writing */

static void put(unsigned type, const void *data, size_t len)
{
	struct nlattr a = { (uint16_t)(NLA_HDRLEN + len), (uint16_t)type };

	memcpy(out + out_len, &a, sizeof(a));
	memset(out + out_len + NLA_HDRLEN, 0, NLA_ALIGN(len));
	memcpy(out + out_len + NLA_HDRLEN, data, len);
	out_len += NLA_HDRLEN + NLA_ALIGN(len);
}

static void put8(unsigned type, uint8_t v)
{
	put(type, &v, 1);
}

static void put16(unsigned type, uint16_t v)
{
	v = htons(v);
	put(type, &v, 2);
}

static void put32(unsigned type, uint32_t v)
{
	v = htonl(v);
	put(type, &v, 4);
}

static size_t nest(unsigned type)
{
	size_t at = out_len;

	put(type | NLA_F_NESTED, "", 0);
	return at;
}

static void nest_end(size_t at)
{
	struct nlattr a;

	memcpy(&a, out + at, sizeof(a));
	a.nla_len = (uint16_t)(out_len - at);
	memcpy(out + at, &a, sizeof(a));
}

struct session {
	uint8_t l4;
	uint32_t src, dst, nat;
	uint16_t sport, dport;
	uint32_t mark;
};

static struct session numbered(uint32_t n)
{
	struct session s = { .l4 = n % 4 == 2 ? IPPROTO_UDP : IPPROTO_TCP,
			     .src = 0x0a010001 + n / PER_HOST,
			     .dst = 0x0a020202,
			     .sport = (uint16_t)(10000 + n % PER_HOST),
			     .dport = 80 };

	s.mark = n % 4 == 1 ? n + 1 : 0;
	s.nat = n % 4 == 3 ? 0xc0000201 + n / PER_HOST : 0; /* 192.0.2.1 and following */
	return s;
}

static void put_tuple(unsigned type, const struct session *s, bool turned)
{
	size_t t = nest(type), in = nest(CTA_TUPLE_IP);

	put32(CTA_IP_V4_SRC, turned ? s->dst : s->src);
	put32(CTA_IP_V4_DST, turned ? s->src : s->dst);
	nest_end(in);
	in = nest(CTA_TUPLE_PROTO);
	put8(CTA_PROTO_NUM, s->l4);
	put16(CTA_PROTO_SRC_PORT, turned ? s->dport : s->sport);
	put16(CTA_PROTO_DST_PORT, turned ? s->sport : s->dport);
	nest_end(in);
	nest_end(t);
}

static void put_tcp(void)
{
	struct nf_ct_tcp_flags flags = { IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM,
					 IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM };
	size_t info = nest(CTA_PROTOINFO), tcp = nest(CTA_PROTOINFO_TCP);

	put8(CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	put8(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 7);
	put8(CTA_PROTOINFO_TCP_WSCALE_REPLY, 7);
	put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &flags, sizeof(flags));
	put(CTA_PROTOINFO_TCP_FLAGS_REPLY, &flags, sizeof(flags));
	nest_end(tcp);
	nest_end(info);
}

static void put_nat(const struct session *s)
{
	size_t nat = nest(CTA_NAT_SRC), proto;

	put32(CTA_NAT_V4_MINIP, s->nat);
	put32(CTA_NAT_V4_MAXIP, s->nat);
	proto = nest(CTA_NAT_PROTO);
	put16(CTA_PROTONAT_PORT_MIN, s->sport);
	put16(CTA_PROTONAT_PORT_MAX, s->sport);
	nest_end(proto);
	nest_end(nat);
}

static void message(uint32_t n, uint32_t seconds, bool make)
{
	struct session s = numbered(n);
	struct nlmsghdr h = { 0, CLASS | (make ? IPCTNL_MSG_CT_NEW : IPCTNL_MSG_CT_DELETE), NLM_F_REQUEST, n, 0 };
	struct nfgenmsg g = { AF_INET, NFNETLINK_V0, 0 };
	size_t begin = out_len;

	out_len += NLMSG_HDRLEN;
	memcpy(out + out_len, &g, sizeof(g));
	out_len += NLMSG_ALIGN(sizeof(g));
	put_tuple(CTA_TUPLE_ORIG, &s, false);
	if (make) {
		h.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
		put_tuple(CTA_TUPLE_REPLY, &s, true);
		put32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
		put32(CTA_TIMEOUT, seconds);
		if (s.l4 == IPPROTO_TCP)
			put_tcp();
		if (s.nat)
			put_nat(&s);
		if (s.mark)
			put32(CTA_MARK, s.mark);
	}
	h.nlmsg_len = (uint32_t)(out_len - begin);
	memcpy(out + begin, &h, sizeof(h));
}

/* Only failures are answered; returns how many. */
static unsigned flush(void)
{
	static uint8_t buf[1 << 16];
	unsigned failed = 0;
	ssize_t got;

	if (out_len == 0)
		return 0;
	if (send(nl, out, out_len, 0) < 0)
		fail("send");
	out_len = 0;
	while ((got = recv(nl, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct nlmsgerr e;
		if ((size_t)got < NLMSG_HDRLEN + sizeof(e))
			continue;
		memcpy(&e, buf + NLMSG_HDRLEN, sizeof(e));
		if (failed++ == 0)
			fprintf(stderr, "labtable: session %u: %s\n", e.msg.nlmsg_seq, strerror(-e.error));
	}
	return failed;
}

static int many(uint32_t first, uint32_t count, uint32_t step, uint32_t seconds, bool make)
{
	unsigned failed = 0;

	for (uint32_t n = 0; n < count; n++) {
		message(first + n * step, seconds, make);
		if (n % BATCH == BATCH - 1)
			failed += flush();
	}
	failed += flush();
	printf("%u of %u\n", count - failed, count);
	return failed != 0;
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_term(int number_of_signal)
{
	(void)number_of_signal;
	over = 1;
}

/* Steps of 5 ms: as many new ones as the time asks for, and as many old ones away as there are too many. */
static void churn(uint32_t first, uint32_t rate, uint32_t alive)
{
	double begin = seconds_now();
	uint32_t made = 0, gone = 0;

	signal(SIGTERM, on_term);
	while (!over) {
		uint32_t due = (uint32_t)((seconds_now() - begin) * rate);
		for (; made < due; made++) {
			message(first + made, 300, true);
			if (made - gone >= alive)
				message(first + gone++, 0, false);
			if (out_len > sizeof(out) / 2)
				flush();
		}
		flush();
		usleep(5000);
	}
	printf("%u %u\n", made, gone);
}

int main(int argc, char **argv)
{
	uint32_t v[3] = { 0 };

	for (int i = 2; i < argc && i < 5; i++)
		v[i - 2] = (uint32_t)strtoul(argv[i], NULL, 10);
	if (argc >= 2)
		nl_open();
	if (argc >= 2 && strcmp(argv[1], "dump") == 0) {
		dump(argc > 2 ? argv[2] : "");
	} else if (argc >= 4 && strcmp(argv[1], "make") == 0) {
		return many(v[0], v[1], 1, argc > 4 ? v[2] : 300, true);
	} else if (argc >= 4 && strcmp(argv[1], "drop") == 0) {
		return many(v[0], v[1], argc > 4 ? v[2] : 1, 0, false);
	} else if (argc >= 5 && strcmp(argv[1], "churn") == 0) {
		churn(v[0], v[1], v[2]);
	} else {
		fprintf(stderr,
			"usage: labtable dump [PREFIX] | make FIRST COUNT [SECONDS] | drop FIRST COUNT [STEP] | "
			"churn FIRST RATE ALIVE\n");
		return 2;
	}
	return 0;
}
