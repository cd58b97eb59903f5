/*
 * Helper objects of the nftables rules: one dump over nfnetlink, bounded in time, so that a kernel that says nothing
 * holds up nobody. Only objects of type "ct helper" are asked for; a large rule set costs nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "daemon/pair_gather.h"
#include "daemon/rtnl_get.h"

enum { REPLY_MAX = 32768, NAME_MAX_LEN = 64, ROUNDS_MAX = 16 };

struct helper_object {
	char table[NAME_MAX_LEN], name[NAME_MAX_LEN], helper[NAME_MAX_LEN];
	uint8_t family, l4;
	uint32_t type;
};

static void get_text(const struct rtnl_attr *a, char out[NAME_MAX_LEN])
{
	size_t n = strnlen((const char *)a->data, a->len);
	n = n < NAME_MAX_LEN ? n : NAME_MAX_LEN - 1;
	memcpy(out, a->data, n);
	out[n] = '\0';
}

static void get_data(const struct rtnl_attr *data, struct helper_object *o)
{
	const uint8_t *p = data->data, *end = data->data + data->len;
	struct rtnl_attr a;
	while (rtnl_attr_next(&p, end, &a) > 0) {
		if (a.type == NFTA_CT_HELPER_NAME)
			get_text(&a, o->helper);
		else if (a.type == NFTA_CT_HELPER_L4PROTO)
			(void)rtnl_get(&a, &o->l4, sizeof(o->l4));
	}
}

static const char *family_word(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_BRIDGE:
		return "bridge";
	default:
		return "other";
	}
}

static void put_object(struct pair_text *t, const uint8_t *p, const uint8_t *end)
{
	struct helper_object o = { 0 };
	struct nfgenmsg g;
	struct rtnl_attr a;
	char key[PAIR_KEY_MAX];
	if ((size_t)(end - p) < sizeof(g))
		return;
	memcpy(&g, p, sizeof(g));
	o.family = g.nfgen_family;
	p += NLMSG_ALIGN(sizeof(g));
	while (rtnl_attr_next(&p, end, &a) > 0) {
		if (a.type == NFTA_OBJ_TABLE)
			get_text(&a, o.table);
		else if (a.type == NFTA_OBJ_NAME)
			get_text(&a, o.name);
		else if (a.type == NFTA_OBJ_TYPE)
			(void)rtnl_get(&a, &o.type, sizeof(o.type));
		else if (a.type == NFTA_OBJ_DATA)
			get_data(&a, &o);
	}
	if (ntohl(o.type) != NFT_OBJECT_CT_HELPER)
		return;
	snprintf(key, sizeof(key), "helper_rule[%s:%.60s:%.60s]", family_word(o.family), o.table, o.name);
	pair_text_put(t, key, "%s protocol %u", o.helper, o.l4);
}

static int ask(int fd)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
		struct nlattr type_h;
		uint32_t type;
	} req = {
		.h = { .nlmsg_len = sizeof(req),
		       .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		       .nlmsg_seq = 1 },
		.g = { .nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0 },
		.type_h = { .nla_len = sizeof(struct nlattr) + sizeof(uint32_t), .nla_type = NFTA_OBJ_TYPE },
		.type = htonl(NFT_OBJECT_CT_HELPER),
	};
	return send(fd, &req, sizeof(req), 0) == (ssize_t)sizeof(req) ? 0 : -errno;
}

/* One datagram of the answer. 1: more follows, 0: the end, -1: no answer. */
static int read_some(int fd, struct pair_text *t)
{
	static uint8_t buf[REPLY_MAX]; /* kt-disk only */
	ssize_t got = recv(fd, buf, sizeof(buf), 0);
	for (size_t at = 0; got > 0 && (size_t)got - at >= sizeof(struct nlmsghdr);) {
		struct nlmsghdr h;
		memcpy(&h, buf + at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > (size_t)got - at)
			return -1;
		if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR)
			return h.nlmsg_type == NLMSG_DONE ? 0 : -1;
		if (h.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWOBJ))
			put_object(t, buf + at + NLMSG_HDRLEN, buf + at + h.nlmsg_len);
		at += NLMSG_ALIGN((size_t)h.nlmsg_len);
		if (at >= (size_t)got)
			break;
	}
	return got > 0 ? 1 : -1;
}

void pair_nft_helpers(struct pair_text *t)
{
	struct timeval wait = { .tv_sec = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), more = -1;
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 && ask(fd) == 0)
		more = 1;
	for (unsigned i = 0; more > 0 && i < ROUNDS_MAX; i++)
		more = read_some(fd, t);
	if (fd >= 0)
		close(fd);
	if (more != 0) /* no nftables in this kernel, or no right to look */
		pair_text_put(t, "helper_rules", PAIR_UNKNOWN);
	else
		pair_text_put(t, "helper_rules", "listed");
}
