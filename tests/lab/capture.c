/*
 * Watches one interface and prints, as lines of JSON, what decides whether a takeover was good: VRRP adverts,
 * gratuitous ARP and unsolicited neighbour advertisements, TCP resets, IKE, and each change of the router that
 * forwards the lab's traffic. Times are the kernel's receive stamps, converted to CLOCK_MONOTONIC nanoseconds.
 *
 *   labcapture INTERFACE [VPN-PEER]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROTO_VRRP 112
#define PORT_ECHO  5002 /* lab traffic (tests/lab/traffic.c) */
#define PORT_TCP   5001

enum forwarded { FWD_UDP = 0, FWD_TCP = 1, FWD_ESP = 2, FWD_N = 3 };
static const char *const forwarded_name[FWD_N] = { "udp", "tcp", "esp" };

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static const char *mac_text(const uint8_t *m, char *out)
{
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return out;
}

static void head(int64_t t, const char *kind, const uint8_t *mac)
{
	char text[18];

	printf("{\"t_ns\": %lld, \"kind\": \"%s\", \"mac\": \"%s\"", (long long)t, kind, mac_text(mac, text));
}

static void see_arp(int64_t t, const uint8_t *mac, const uint8_t *p, size_t n)
{
	char ip[INET_ADDRSTRLEN];

	if (n < 28 || memcmp(p + 14, p + 24, 4) != 0) /* gratuitous: sender and target address are equal */
		return;
	inet_ntop(AF_INET, p + 14, ip, sizeof(ip));
	head(t, "garp", mac);
	printf(", \"ip\": \"%s\"}\n", ip);
}

static void see_vrrp(int64_t t, const uint8_t *mac, int af, const uint8_t *src, const uint8_t *p, size_t n)
{
	char ip[INET6_ADDRSTRLEN];

	if (n < 8)
		return;
	inet_ntop(af, src, ip, sizeof(ip));
	head(t, "vrrp", mac);
	printf(", \"src\": \"%s\", \"version\": %u, \"vrid\": %u, \"priority\": %u}\n", ip, p[0] >> 4, p[1], p[2]);
}

/* A line only when another router begins to forward this kind of traffic. */
static void see_forwarded(int64_t t, const uint8_t *mac, enum forwarded kind)
{
	static uint8_t last[FWD_N][6];

	if (memcmp(last[kind], mac, 6) == 0)
		return;
	memcpy(last[kind], mac, 6);
	head(t, "forward", mac);
	printf(", \"traffic\": \"%s\"}\n", forwarded_name[kind]);
}

static uint32_t peer; /* network order; ESP towards it is the routers' */

static void see_udp(int64_t t, const uint8_t *mac, const uint8_t *dst, const uint8_t *p, size_t n)
{
	unsigned dport;

	if (n < 16)
		return;
	dport = get16(p + 2);
	if (dport == PORT_ECHO)
		see_forwarded(t, mac, FWD_UDP);
	if (dport == 500 || (dport == 4500 && p[8] == 0 && p[9] == 0 && p[10] == 0 && p[11] == 0)) {
		head(t, "ike", mac);
		printf(", \"port\": %u}\n", dport);
	} else if (dport == 4500 && memcmp(dst, &peer, sizeof(peer)) == 0) {
		see_forwarded(t, mac, FWD_ESP);
	}
}

static void see_tcp(int64_t t, const uint8_t *mac, const uint8_t *ip, const uint8_t *p, size_t n)
{
	char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];

	if (n < 20)
		return;
	if (get16(p + 2) == PORT_TCP)
		see_forwarded(t, mac, FWD_TCP);
	if (!(p[13] & 0x04))
		return;
	inet_ntop(AF_INET, ip + 12, src, sizeof(src));
	inet_ntop(AF_INET, ip + 16, dst, sizeof(dst));
	head(t, "rst", mac);
	printf(", \"src\": \"%s\", \"sport\": %u, \"dst\": \"%s\", \"dport\": %u}\n", src, get16(p), dst, get16(p + 2));
}

static void see_ip4(int64_t t, const uint8_t *mac, const uint8_t *p, size_t n)
{
	size_t hl = n >= 20 ? (size_t)(p[0] & 15) * 4 : 0;

	if (hl < 20 || n < hl || (get16(p + 6) & 0x1fff) != 0)
		return;
	if (p[9] == PROTO_VRRP)
		see_vrrp(t, mac, AF_INET, p + 12, p + hl, n - hl);
	else if (p[9] == IPPROTO_UDP)
		see_udp(t, mac, p + 16, p + hl, n - hl);
	else if (p[9] == IPPROTO_TCP)
		see_tcp(t, mac, p, p + hl, n - hl);
}

static void see_ip6(int64_t t, const uint8_t *mac, const uint8_t *p, size_t n)
{
	char ip[INET6_ADDRSTRLEN];

	if (n < 40)
		return;
	if (p[6] == PROTO_VRRP) {
		see_vrrp(t, mac, AF_INET6, p + 8, p + 40, n - 40);
	} else if (p[6] == IPPROTO_ICMPV6 && n >= 64 && p[40] == 136 && !(p[44] & 0x40)) {
		inet_ntop(AF_INET6, p + 48, ip, sizeof(ip));
		head(t, "na", mac); /* unsolicited: the S flag is clear */
		printf(", \"ip\": \"%s\"}\n", ip);
	}
}

static int64_t stamp_of(struct msghdr *m)
{
	int64_t real = clock_ns(CLOCK_REALTIME), mono = clock_ns(CLOCK_MONOTONIC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct timespec ts;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		return mono - (real - (ts.tv_sec * 1000000000ll + ts.tv_nsec));
	}
	return mono;
}

static void see_frame(int64_t t, const uint8_t *p, size_t n)
{
	if (n < 14)
		return;
	switch (get16(p + 12)) {
	case ETHERTYPE_ARP:
		see_arp(t, p + 6, p + 14, n - 14);
		break;
	case ETHERTYPE_IP:
		see_ip4(t, p + 6, p + 14, n - 14);
		break;
	case ETHERTYPE_IPV6:
		see_ip6(t, p + 6, p + 14, n - 14);
		break;
	}
}

int main(int argc, char **argv)
{
	int on = 1, buf = 8 << 20, fd;
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct packet_mreq mr = { .mr_type = PACKET_MR_PROMISC };

	if (argc < 2) {
		fprintf(stderr, "usage: labcapture INTERFACE [VPN-PEER]\n");
		return 2;
	}
	if (argc > 2)
		inet_pton(AF_INET, argv[2], &peer);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	ll.sll_ifindex = mr.mr_ifindex = (int)if_nametoindex(argv[1]);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof(buf));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)) != 0) {
		fprintf(stderr, "labcapture: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 1 << 16);
	printf("{\"ready\": true}\n");
	for (;;) {
		uint8_t frame[2048], control[256];
		struct iovec iov = { frame, sizeof(frame) };
		struct sockaddr_ll from;
		struct msghdr m = { .msg_name = &from,
				    .msg_namelen = sizeof(from),
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, 0);

		if (n > 0 && from.sll_pkttype != PACKET_OUTGOING)
			see_frame(stamp_of(&m), frame, (size_t)n);
		else if (n < 0 && errno != EINTR && errno != ENETDOWN)
			return 1;
	}
}
