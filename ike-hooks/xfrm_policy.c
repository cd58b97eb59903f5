#include "ike-hooks/xfrm_policy.h"

#include "ike-hooks/xfrm_attr.h"

size_t xfrm_put_policy_dump(void *buf, size_t cap, uint32_t seq)
{
	struct nlmsghdr h = { .nlmsg_len = NLMSG_HDRLEN,
			      .nlmsg_type = XFRM_MSG_GETPOLICY,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			      .nlmsg_seq = seq };

	if (cap < sizeof(h))
		return 0;
	memcpy(buf, &h, sizeof(h));
	return sizeof(h);
}

/* All zero means any: the kernel then takes the addresses of the packet. */
static struct addr tmpl_addr(unsigned family, const xfrm_address_t *a)
{
	static const xfrm_address_t zero;
	uint8_t af = xfrm_af(family);

	if (!af || memcmp(a, &zero, addr_len(af)) == 0)
		return (struct addr){ .af = ADDR_NONE };
	return addr_from_bytes(af, a);
}

static unsigned get_tmpls(const uint8_t *p, size_t len, bool forward, struct xfrm_ask *out, unsigned cap)
{
	struct xfrm_user_tmpl t;
	unsigned n = 0;

	for (size_t at = 0; at + sizeof(t) <= len && n < cap; at += sizeof(t)) {
		memcpy(&t, p + at, sizeof(t));
		if (t.id.proto != XFRM_PROTO_ESP)
			continue;
		out[n++] = (struct xfrm_ask){ .src = tmpl_addr(t.family, &t.saddr),
					      .dst = tmpl_addr(t.family, &t.id.daddr),
					      .reqid = t.reqid,
					      .spi = xfrm_net32(t.id.spi),
					      .forward = forward };
	}
	return n;
}

unsigned xfrm_policy_asks(const void *msg, size_t len, struct xfrm_ask *out, unsigned cap)
{
	struct xfrm_userpolicy_info info;
	struct nlmsghdr h;
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(info));
	const uint8_t *p = msg;
	unsigned n = 0;
	uint32_t if_id = 0;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, p, sizeof(h));
	if (h.nlmsg_type != XFRM_MSG_NEWPOLICY || h.nlmsg_len > len || h.nlmsg_len < at)
		return 0;
	memcpy(&info, p + NLMSG_HDRLEN, sizeof(info));
	if ((info.dir != XFRM_POLICY_IN && info.dir != XFRM_POLICY_FWD) || info.action != XFRM_POLICY_ALLOW)
		return 0;
	struct xfrm_attrs all = { .p = p + at, .left = h.nlmsg_len - at };
	struct xfrm_attr a;
	while (xfrm_attr_next(&all, &a)) {
		if (a.type == XFRMA_TMPL)
			n += get_tmpls(a.value, a.len, info.dir == XFRM_POLICY_FWD, out + n, cap - n);
		else if (a.type == XFRMA_IF_ID && a.len == sizeof(if_id))
			memcpy(&if_id, a.value, sizeof(if_id));
	}
	for (unsigned i = 0; i < n; i++)
		out[i].if_id = if_id;
	return n;
}

static bool of_pair(const struct xfrm_ask *ask, const struct xfrm_sa *sa)
{
	return (!ask->src.af || addr_eq(&ask->src, &sa->src)) && (!ask->dst.af || addr_eq(&ask->dst, &sa->dst)) &&
	       ask->if_id == sa->if_id;
}

/* net/xfrm/xfrm_policy.c, xfrm_state_ok */
bool xfrm_ask_fits(const struct xfrm_ask *ask, const struct xfrm_sa *sa)
{
	return of_pair(ask, sa) && (!ask->reqid || ask->reqid == sa->reqid) && (!ask->spi || ask->spi == sa->spi);
}

enum sa_policy sa_policy_judge(const struct xfrm_ask *asks, unsigned n, const struct xfrm_sa *sa)
{
	enum sa_policy best = SA_POLICY_NONE;

	for (unsigned i = 0; i < n; i++) {
		if (xfrm_ask_fits(&asks[i], sa))
			return SA_POLICY_FITS;
		if (of_pair(&asks[i], sa))
			best = SA_POLICY_OTHER_REQID;
	}
	return best;
}

const char *sa_policy_advice(enum sa_policy p)
{
	switch (p) {
	case SA_POLICY_UNKNOWN:
	case SA_POLICY_FITS:
		break;
	case SA_POLICY_OTHER_REQID:
		return "the policies here ask for another reqid: packets of the copy would be dropped; set the same "
		       "reqid for this child on both nodes";
	case SA_POLICY_NONE:
		return "no inbound policy is here: packets of the copy would be dropped; set start_action = trap and a "
		       "reqid for this child, the same on both nodes";
	}
	return NULL;
}

const char *sa_policy_name(enum sa_policy p)
{
	switch (p) {
	case SA_POLICY_UNKNOWN:
		break;
	case SA_POLICY_FITS:
		return "fits";
	case SA_POLICY_OTHER_REQID:
		return "other-reqid";
	case SA_POLICY_NONE:
		return "none";
	}
	return "unknown";
}
