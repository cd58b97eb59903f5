/* labct: reading tables. What is compared is the entry as it is on the wire of netlink, without any code of the daemon. */
#include "tests/lab/ct_tool.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define STATUS_COMPARED \
	(IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | IPS_DST_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE)
#define EXAMPLES 5

/* One entry. key: original tuple and zone; value: all else that a copy must have in common. */
struct item {
	uint64_t key[2], value;
	uint32_t mark;
	int64_t start_ns; /* CTA_TIMESTAMP, 0: none */
	char text[48];
};

struct table {
	struct item *items;
	size_t n, cap;
	uint64_t others; /* entries of the router itself, not compared */
};

#define ATTRS 32

/* Attributes of a run by type; false when they do not fit into each other. */
static bool attrs(const uint8_t *p, size_t len, const struct nlattr *out[ATTRS])
{
	memset(out, 0, ATTRS * sizeof(*out));
	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)p;
		size_t size = NLA_ALIGN(a->nla_len);
		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return false;
		if ((a->nla_type & NLA_TYPE_MASK) < ATTRS)
			out[a->nla_type & NLA_TYPE_MASK] = a;
		if (size >= len)
			break;
		p += size;
		len -= size;
	}
	return true;
}

static const uint8_t *data(const struct nlattr *a)
{
	return (const uint8_t *)a + NLA_HDRLEN;
}

static size_t size_of(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

static bool inside(const struct nlattr *a, const struct nlattr *out[ATTRS])
{
	memset(out, 0, ATTRS * sizeof(*out));
	return a && attrs(data(a), size_of(a), out);
}

/* Two independent 64-bit mixes of bytes (murmur3's finaliser over 8 bytes at a time). */
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n > 0) {
		uint64_t v = 0;
		size_t k = n < 8 ? n : 8;
		memcpy(&v, b, k);
		h = (h ^ v ^ (uint64_t)k << 56) * UINT64_C(0xff51afd7ed558ccd);
		h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
		h ^= h >> 29;
		b += k;
		n -= k;
	}
	return h;
}

/* Everything of a tuple in its own order: addresses, protocol, ports or ICMP's numbers. False: no addresses. */
static size_t flat(const struct nlattr *a, uint8_t out[64])
{
	const struct nlattr *t[ATTRS], *ip[ATTRS], *proto[ATTRS];
	size_t n = 0;

	if (!inside(a, t) || !inside(t[CTA_TUPLE_IP], ip) || !inside(t[CTA_TUPLE_PROTO], proto))
		return 0;
	for (unsigned i = CTA_IP_V4_SRC; i <= CTA_IP_V6_DST; i++) {
		if (!ip[i] || size_of(ip[i]) > 16)
			continue;
		memcpy(out + n, data(ip[i]), size_of(ip[i]));
		n += size_of(ip[i]);
	}
	for (unsigned i = CTA_PROTO_NUM; i <= CTA_PROTO_ICMPV6_CODE; i++) {
		if (!proto[i] || size_of(proto[i]) > 2)
			continue;
		memcpy(out + n, data(proto[i]), size_of(proto[i]));
		n += size_of(proto[i]);
	}
	return n;
}

static uint32_t get32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a && size_of(a) >= 4)
		memcpy(&v, data(a), 4);
	return ntohl(v);
}

/* The sessions that labct and labflow make; what a router has of its own is its own affair. */
static bool compared(const uint8_t *t, bool v6)
{
	return v6 ? t[0] == 0xfd && t[1] == 0x64 : t[0] == 10 && t[1] >= 16 && t[1] < 128;
}

static bool read_entry(const uint8_t *p, size_t len, bool v6, struct table *tbl, struct item *it)
{
	const struct nlattr *a[ATTRS], *info[ATTRS], *tcp[ATTRS], *stamp[ATTRS];
	uint8_t orig[64], reply[64];
	uint32_t status;

	if (!attrs(p, len, a))
		return false;
	size_t n = flat(a[CTA_TUPLE_ORIG], orig), m = flat(a[CTA_TUPLE_REPLY], reply);
	if (n == 0 || m == 0 || !compared(orig, v6)) {
		tbl->others++;
		return false;
	}
	memset(it, 0, sizeof(*it));
	if (a[CTA_ZONE] && size_of(a[CTA_ZONE]) == 2) {
		memcpy(orig + n, data(a[CTA_ZONE]), 2);
		n += 2;
	}
	it->key[0] = mix(1, orig, n);
	it->key[1] = mix(2, orig, n);
	status = get32(a[CTA_STATUS]) & STATUS_COMPARED;
	/* A flow that is not translated has been looked at by NAT or not: nothing follows from that. */
	if (!(status & (IPS_SRC_NAT | IPS_DST_NAT)))
		status &= ~(uint32_t)(IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE);
	it->mark = get32(a[CTA_MARK]);
	it->value = mix(3, reply, m);
	it->value = mix(it->value, &status, 4);
	it->value = mix(it->value, &it->mark, 4);
	if (inside(a[CTA_PROTOINFO], info) && inside(info[CTA_PROTOINFO_TCP], tcp) && tcp[CTA_PROTOINFO_TCP_STATE])
		it->value = mix(it->value, data(tcp[CTA_PROTOINFO_TCP_STATE]), 1);
	if (inside(a[CTA_TIMESTAMP], stamp) && stamp[CTA_TIMESTAMP_START]) {
		uint32_t v[2];
		memcpy(v, data(stamp[CTA_TIMESTAMP_START]), 8);
		it->start_ns = (int64_t)((uint64_t)ntohl(v[0]) << 32 | ntohl(v[1]));
	}
	if (!v6)
		snprintf(it->text, sizeof(it->text), "%u.%u.%u.%u:%u status %x", orig[0], orig[1], orig[2], orig[3],
			 n > 10 ? (unsigned)orig[9] << 8 | orig[10] : 0u, status);
	return true;
}

static void keep(struct table *t, const struct item *it)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 65536;
		t->items = realloc(t->items, t->cap * sizeof(*t->items));
		if (!t->items)
			ct_fail("memory");
	}
	t->items[t->n++] = *it;
}

static void ask(int fd, uint32_t seq)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} q = { .h = { .nlmsg_len = sizeof(q),
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		       .nlmsg_seq = seq },
		.g = { .nfgen_family = AF_UNSPEC } };

	if (send(fd, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		ct_fail("dump");
}

/* The whole table of that socket's namespace. */
static void dump(int fd, struct table *t)
{
	static uint8_t buf[1 << 18] __attribute__((aligned(8)));
	static uint32_t seq;
	struct item it;

	t->n = 0;
	t->others = 0;
	ask(fd, ++seq);
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0)
			ct_fail("dump");
		unsigned left = (unsigned)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			const struct nfgenmsg *g = NLMSG_DATA(h);
			if (h->nlmsg_type == NLMSG_DONE)
				return;
			if (h->nlmsg_type == NLMSG_ERROR) {
				errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
				ct_fail("dump");
			}
			if (read_entry((const uint8_t *)(g + 1), h->nlmsg_len - NLMSG_HDRLEN - sizeof(*g),
				       g->nfgen_family == AF_INET6, t, &it))
				keep(t, &it);
		}
	}
}

/* ---------------------------------------------------------------- compare */

struct index {
	uint32_t *slot; /* position in items + 1 */
	size_t mask;
};

static void index_make(struct index *x, const struct table *t)
{
	size_t size = 1024;

	while (size < 2 * t->n)
		size *= 2;
	x->slot = calloc(size, sizeof(*x->slot));
	if (!x->slot)
		ct_fail("memory");
	x->mask = size - 1;
	for (size_t i = 0; i < t->n; i++) {
		size_t at = t->items[i].key[0] & x->mask;
		while (x->slot[at])
			at = (at + 1) & x->mask;
		x->slot[at] = (uint32_t)i + 1;
	}
}

static const struct item *find(const struct index *x, const struct table *t, const struct item *it)
{
	for (size_t at = it->key[0] & x->mask; x->slot[at]; at = (at + 1) & x->mask) {
		const struct item *o = &t->items[x->slot[at] - 1];
		if (o->key[0] == it->key[0] && o->key[1] == it->key[1])
			return o;
	}
	return NULL;
}

struct verdict {
	uint64_t missing, extra, differ;
	char example[EXAMPLES][80];
	unsigned examples;
};

static void note(struct verdict *v, const char *word, const struct item *it)
{
	if (v->examples < EXAMPLES)
		snprintf(v->example[v->examples++], sizeof(v->example[0]), "%s %s", word, it->text);
}

static struct verdict compare(const struct table *a, const struct table *b)
{
	struct index in_a, in_b;
	struct verdict v = { 0 };

	index_make(&in_a, a);
	index_make(&in_b, b);
	for (size_t i = 0; i < a->n; i++) {
		const struct item *o = find(&in_b, b, &a->items[i]);
		if (!o) {
			v.missing++;
			note(&v, "missing", &a->items[i]);
		} else if (o->value != a->items[i].value) {
			v.differ++;
			note(&v, "differs", o);
		}
	}
	for (size_t i = 0; i < b->n; i++) {
		if (!find(&in_a, a, &b->items[i])) {
			v.extra++;
			note(&v, "extra", &b->items[i]);
		}
	}
	free(in_a.slot);
	free(in_b.slot);
	return v;
}

int ct_cmd_compare(int argc, char **argv)
{
	static struct table a, b;
	int64_t until = ct_now_ns() + (int64_t)(argc > 2 ? atof(argv[2]) * 1e9 : 0);
	const struct timespec pause = { 0, 20000000 };
	unsigned rounds = 0;
	struct verdict v;
	int64_t at;

	if (argc < 2)
		return 2;
	int fa = ct_open((pid_t)atoi(argv[0])), fb = ct_open((pid_t)atoi(argv[1]));
	for (;;) {
		rounds++;
		dump(fa, &a);
		dump(fb, &b);
		at = ct_now_ns();
		v = compare(&a, &b);
		if ((v.missing == 0 && v.extra == 0 && v.differ == 0) || ct_now_ns() >= until)
			break;
		nanosleep(&pause, NULL);
	}
	printf("{\"equal\": %s, \"at_ns\": %lld, \"a\": %zu, \"b\": %zu, \"missing\": %llu, \"extra\": %llu, "
	       "\"differ\": %llu, \"rounds\": %u, \"examples\": [",
	       v.missing + v.extra + v.differ == 0 ? "true" : "false", (long long)at, a.n, b.n,
	       (unsigned long long)v.missing, (unsigned long long)v.extra, (unsigned long long)v.differ, rounds);
	for (unsigned i = 0; i < v.examples; i++)
		printf("%s\"%s\"", i ? ", " : "", v.example[i]);
	printf("]}\n");
	return 0;
}

/* ---------------------------------------------------------------- lag */

static int by_value(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return x < y ? -1 : x > y;
}

int ct_cmd_lag(int argc, char **argv)
{
	static struct table t;
	size_t n = 0;

	if (argc < 1)
		return 2;
	dump(ct_open((pid_t)atoi(argv[0])), &t);
	int32_t *us = calloc(t.n + 1, sizeof(*us));
	if (!us)
		ct_fail("memory");
	for (size_t i = 0; i < t.n; i++)
		if (t.items[i].mark != 0 && t.items[i].start_ns != 0)
			us[n++] = (int32_t)((uint32_t)(t.items[i].start_ns / 1000) - t.items[i].mark);
	qsort(us, n, sizeof(*us), by_value);
	printf("{\"n\": %zu, \"without\": %zu, \"p50_us\": %d, \"p90_us\": %d, \"p99_us\": %d, \"max_us\": %d}\n", n,
	       t.n - n, n ? us[n / 2] : 0, n ? us[n * 9 / 10] : 0, n ? us[n * 99 / 100] : 0, n ? us[n - 1] : 0);
	free(us);
	return 0;
}

/* ---------------------------------------------------------------- strip */

static void add(uint8_t *buf, size_t *len, uint16_t type, const void *value, size_t size)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type };

	memcpy(buf + *len, &a, sizeof(a));
	memcpy(buf + *len + NLA_HDRLEN, value, size);
	*len += NLA_HDRLEN + NLA_ALIGN(size);
}

/* An update of the TCP part of one entry: scales to zero (accepted while the flag says that there are any), or flags. */
static int update(int fd, const struct nlattr *orig, bool scales)
{
	uint8_t buf[1024] __attribute__((aligned(8))) = { 0 }, info[64] = { 0 }, tcp[64] = { 0 }, zero = 0,
			  none[2] = { 0, 0x0f };
	size_t len = NLMSG_HDRLEN + sizeof(struct nfgenmsg), info_len = 0, tcp_len = 0;
	struct nlmsghdr *h = (struct nlmsghdr *)buf;

	((struct nfgenmsg *)NLMSG_DATA(h))->nfgen_family = AF_INET;
	memcpy(buf + len, orig, orig->nla_len);
	len += NLA_ALIGN(orig->nla_len);
	if (scales) {
		add(tcp, &tcp_len, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, &zero, 1);
		add(tcp, &tcp_len, CTA_PROTOINFO_TCP_WSCALE_REPLY, &zero, 1);
	} else {
		add(tcp, &tcp_len, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, none, 2);
		add(tcp, &tcp_len, CTA_PROTOINFO_TCP_FLAGS_REPLY, none, 2);
	}
	add(info, &info_len, CTA_PROTOINFO_TCP | NLA_F_NESTED, tcp, tcp_len);
	add(buf, &len, CTA_PROTOINFO | NLA_F_NESTED, info, info_len);
	*h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)len,
				.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
				.nlmsg_seq = 1 };
	if (send(fd, buf, len, 0) < 0 || recv(fd, buf, sizeof(buf), 0) < 0)
		ct_fail("update");
	return -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

int ct_cmd_strip(int argc, char **argv)
{
	static uint8_t buf[1 << 18] __attribute__((aligned(8)));
	int fd = ct_open(0), other = ct_open(0), error = 0;
	unsigned port = (unsigned)atoi(argv[0]), done = 0;

	(void)argc;
	ask(fd, 1);
	for (bool more = true; more;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0)
			ct_fail("dump");
		unsigned left = (unsigned)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			const struct nfgenmsg *g = NLMSG_DATA(h);
			const struct nlattr *a[ATTRS];
			uint8_t t[64];
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				more = false;
				break;
			}
			if (!attrs((const uint8_t *)(g + 1), h->nlmsg_len - NLMSG_HDRLEN - sizeof(*g), a) ||
			    g->nfgen_family != AF_INET || flat(a[CTA_TUPLE_ORIG], t) != 13 || t[8] != IPPROTO_TCP ||
			    (unsigned)(t[11] << 8 | t[12]) != port)
				continue;
			int rc = update(other, a[CTA_TUPLE_ORIG], true);
			rc = rc ? rc : update(other, a[CTA_TUPLE_ORIG], false);
			error = rc ? rc : error;
			done += rc == 0;
		}
	}
	printf("{\"stripped\": %u, \"error\": \"%s\"}\n", done, error ? strerror(error) : "");
	return 0;
}
