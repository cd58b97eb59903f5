/* Requests to the fake kernel. */
#include "tests/sim/fake_ct_req.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

struct attrs {
	const struct nlattr *tb[32];
};

static int collect(const struct nlattr *a, void *data)
{
	struct attrs *at = data;
	if (mnl_attr_get_type(a) < 32)
		at->tb[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static void nested(const struct nlattr *a, struct attrs *out)
{
	memset(out, 0, sizeof(*out));
	if (a)
		mnl_attr_parse_nested(a, collect, out);
}

static bool take(const struct nlattr *a, void *to, size_t len)
{
	if (!a || mnl_attr_get_payload_len(a) < len)
		return false;
	memcpy(to, mnl_attr_get_payload(a), len);
	return true;
}

static bool take16(const struct nlattr *a, uint16_t *v)
{
	uint16_t be;
	if (!take(a, &be, 2))
		return false;
	*v = ntohs(be);
	return true;
}

static bool take32(const struct nlattr *a, uint32_t *v)
{
	uint32_t be;
	if (!take(a, &be, 4))
		return false;
	*v = ntohl(be);
	return true;
}

/* ctnetlink_parse_tuple: addresses of the message's family, protocol, and what the protocol asks for. */
static int read_tuple(const struct nlattr *a, uint8_t l3, struct ct_tuple *t)
{
	struct attrs tu, ip, pr;
	memset(t, 0, sizeof(*t));
	t->l3 = l3;
	nested(a, &tu);
	nested(tu.tb[CTA_TUPLE_IP], &ip);
	nested(tu.tb[CTA_TUPLE_PROTO], &pr);
	bool v6 = l3 == 6;
	size_t n = v6 ? 16 : 4;
	if (!take(ip.tb[v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC], t->src, n) ||
	    !take(ip.tb[v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST], t->dst, n) || !take(pr.tb[CTA_PROTO_NUM], &t->l4, 1))
		return -EINVAL;
	(void)take16(tu.tb[CTA_TUPLE_ZONE], &t->zone);
	if (t->l4 == IPPROTO_ICMP || t->l4 == IPPROTO_ICMPV6) {
		bool six = t->l4 == IPPROTO_ICMPV6;
		uint8_t type, code;
		if (!take(pr.tb[six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE], &type, 1) ||
		    !take(pr.tb[six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE], &code, 1) ||
		    !take16(pr.tb[six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID], &t->sport))
			return -EINVAL;
		t->dport = (uint16_t)(type << 8 | code);
		return 0;
	}
	bool ports = take16(pr.tb[CTA_PROTO_SRC_PORT], &t->sport) && take16(pr.tb[CTA_PROTO_DST_PORT], &t->dport);
	bool needs = t->l4 == IPPROTO_TCP || t->l4 == IPPROTO_UDP || t->l4 == IPPROTO_SCTP || t->l4 == IPPROTO_GRE;
	return needs && !ports ? -EINVAL : 0;
}

static void read_manip(const struct nlattr *a, uint8_t l3, struct fake_ct_manip *m)
{
	struct attrs na, pr;
	if (!a)
		return;
	m->given = true;
	nested(a, &na);
	nested(na.tb[CTA_NAT_PROTO], &pr);
	(void)take(na.tb[l3 == 6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP], m->addr, l3 == 6 ? 16 : 4);
	m->has_port = take16(pr.tb[CTA_PROTONAT_PORT_MIN], &m->port);
}

static int read_tcp(const struct nlattr *a, struct fake_ct_req *q)
{
	struct attrs pi, tcp;
	nested(a, &pi);
	nested(pi.tb[CTA_PROTOINFO_TCP], &tcp);
	q->has_tcp_state = take(tcp.tb[CTA_PROTOINFO_TCP_STATE], &q->tcp_state, 1);
	if (q->has_tcp_state && q->tcp_state > CT_TCP_SYN_SENT2)
		return -EINVAL;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t f[2];
		q->has_wscale[i] = take(tcp.tb[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL + i], &q->wscale[i], 1);
		q->has_flags[i] = take(tcp.tb[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + i], f, 2);
		if (q->has_flags[i]) {
			q->flags[i] = f[0];
			q->flags_mask[i] = f[1];
		}
	}
	return 0;
}

static int read_tuples(const struct attrs *at, uint8_t l3, struct fake_ct_req *q)
{
	int rc = 0;
	q->has_orig = at->tb[CTA_TUPLE_ORIG];
	q->has_reply = at->tb[CTA_TUPLE_REPLY];
	q->has_master = at->tb[CTA_TUPLE_MASTER];
	if (q->has_orig)
		rc = read_tuple(at->tb[CTA_TUPLE_ORIG], l3, &q->orig);
	if (!rc && q->has_reply)
		rc = read_tuple(at->tb[CTA_TUPLE_REPLY], l3, &q->reply);
	if (!rc && q->has_master)
		rc = read_tuple(at->tb[CTA_TUPLE_MASTER], l3, &q->master);
	uint16_t zone;
	if (rc || !take16(at->tb[CTA_ZONE], &zone))
		return rc;
	/* a zone for both directions and one for a single direction exclude each other */
	if (q->orig.zone || q->reply.zone)
		return -EINVAL;
	q->orig.zone = q->reply.zone = q->master.zone = zone;
	return 0;
}

int fake_ct_req_read(const void *msg, size_t len, struct fake_ct_req *q)
{
	const struct nlmsghdr *h = msg;
	memset(q, 0, sizeof(*q));
	if (!mnl_nlmsg_ok(h, (int)len) || mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return -EINVAL;
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	unsigned cmd = h->nlmsg_type & 0xff;
	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK || cmd > FAKE_CMD_DELETE)
		return -EINVAL;
	if (g->nfgen_family != AF_INET && g->nfgen_family != AF_INET6)
		return -EINVAL;
	uint8_t l3 = g->nfgen_family == AF_INET6 ? 6 : 4;
	struct attrs at = { { NULL } };
	if (mnl_attr_parse(h, sizeof(*g), collect, &at) < 0)
		return -EINVAL;
	q->cmd = (enum fake_ct_cmd)cmd;
	q->create = h->nlmsg_flags & NLM_F_CREATE;
	q->excl = h->nlmsg_flags & NLM_F_EXCL;
	int rc = read_tuples(&at, l3, q);
	if (rc)
		return rc;
	q->has_status = take32(at.tb[CTA_STATUS], &q->status);
	q->has_timeout = take32(at.tb[CTA_TIMEOUT], &q->timeout_s);
	q->has_mark = take32(at.tb[CTA_MARK], &q->mark);
	q->has_id = take32(at.tb[CTA_ID], &q->id);
	read_manip(at.tb[CTA_NAT_SRC], l3, &q->nat_src);
	read_manip(at.tb[CTA_NAT_DST], l3, &q->nat_dst);
	struct attrs help;
	nested(at.tb[CTA_HELP], &help);
	if (help.tb[CTA_HELP_NAME]) {
		size_t n = mnl_attr_get_payload_len(help.tb[CTA_HELP_NAME]);
		q->has_helper = true;
		n = n < sizeof(q->helper) ? n : sizeof(q->helper) - 1;
		memcpy(q->helper, mnl_attr_get_payload(help.tb[CTA_HELP_NAME]), n);
	}
	return at.tb[CTA_PROTOINFO] ? read_tcp(at.tb[CTA_PROTOINFO], q) : 0;
}
