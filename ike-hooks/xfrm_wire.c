/*
 * Layouts are the kernel's own structs (include/uapi/linux/xfrm.h), filled in a local copy and copied out, so that no
 * buffer needs an alignment. Attributes the kernel adds later are skipped by their length.
 */
#include "ike-hooks/xfrm_wire.h"

#include <errno.h>
#include "ike-hooks/xfrm_attr.h"

static const char *const drop_text[] = {
#define XFRM_TEXT(name, text) [name] = text,
	XFRM_DROP_TABLE(XFRM_TEXT)
#undef XFRM_TEXT
};

const char *xfrm_drop_text(enum xfrm_drop d)
{
	return (unsigned)d < XFRM_DROP_N ? drop_text[d] : "unknown reason";
}

static void put_addr(xfrm_address_t *out, const struct addr *a)
{
	memset(out, 0, sizeof(*out));
	memcpy(out, a->b, addr_len(a->af));
}

/* Header, body and one optional attribute; 0 when they do not fit. */
static size_t put_msg(void *buf, size_t cap, struct nlmsghdr *h, const void *body, size_t body_len, uint16_t attr,
		      const void *value, size_t value_len)
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(body_len), total = at;
	uint8_t *p = buf;

	if (value_len)
		total += NLA_HDRLEN + NLA_ALIGN(value_len);
	if (cap < total)
		return 0;
	h->nlmsg_len = (uint32_t)total;
	memset(p, 0, total);
	memcpy(p, h, sizeof(*h));
	if (body_len)
		memcpy(p + NLMSG_HDRLEN, body, body_len);
	if (value_len) {
		struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + value_len), .nla_type = attr };
		memcpy(p + at, &a, sizeof(a));
		memcpy(p + at + NLA_HDRLEN, value, value_len);
	}
	return total;
}

size_t xfrm_put_dump(void *buf, size_t cap, uint32_t seq, const struct addr *src, const struct addr *dst)
{
	const struct addr *set = addr_len(src->af) ? src : dst;
	struct nlmsghdr h = { .nlmsg_type = XFRM_MSG_GETSA,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			      .nlmsg_seq = seq };
	struct xfrm_address_filter f;

	if (!addr_len(set->af) || (addr_len(src->af) && addr_len(dst->af) && src->af != dst->af))
		return 0;
	memset(&f, 0, sizeof(f));
	f.family = xfrm_family(set->af);
	put_addr(&f.saddr, src);
	put_addr(&f.daddr, dst);
	f.splen = (uint8_t)(8 * addr_len(src->af));
	f.dplen = (uint8_t)(8 * addr_len(dst->af));
	/* No body: of a dump request the kernel reads attributes directly after the header (xfrm_dump_sa). */
	return put_msg(buf, cap, &h, NULL, 0, XFRMA_ADDRESS_FILTER, &f, sizeof(f));
}

size_t xfrm_put_delete(void *buf, size_t cap, uint32_t seq, const struct xfrm_sa *sa)
{
	struct nlmsghdr h = { .nlmsg_type = XFRM_MSG_DELSA,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
			      .nlmsg_seq = seq };
	struct xfrm_usersa_id id;
	struct xfrm_mark mark = { .v = sa->mark, .m = sa->mark_mask };

	if (!addr_len(sa->dst.af))
		return 0;
	memset(&id, 0, sizeof(id));
	put_addr(&id.daddr, &sa->dst);
	id.spi = xfrm_net32(sa->spi);
	id.family = xfrm_family(sa->dst.af);
	id.proto = sa->proto;
	return put_msg(buf, cap, &h, &id, sizeof(id), XFRMA_MARK, &mark, sa->has_mark ? sizeof(mark) : 0);
}

static bool is_key_attr(unsigned type)
{
	return type == XFRMA_ALG_AUTH || type == XFRMA_ALG_CRYPT || type == XFRMA_ALG_COMP || type == XFRMA_ALG_AEAD ||
	       type == XFRMA_ALG_AUTH_TRUNC;
}

static enum xfrm_drop get_attr(unsigned type, const uint8_t *value, size_t len, struct xfrm_sa *sa)
{
	if (type == XFRMA_MARK) {
		struct xfrm_mark m;
		if (len != sizeof(m))
			return XFRM_DROP_ATTR_SIZE;
		memcpy(&m, value, sizeof(m));
		sa->has_mark = true;
		sa->mark = m.v;
		sa->mark_mask = m.m;
	} else if (type == XFRMA_IF_ID) {
		if (len != sizeof(sa->if_id))
			return XFRM_DROP_ATTR_SIZE;
		memcpy(&sa->if_id, value, sizeof(sa->if_id));
	} else if (type == XFRMA_ENCAP) {
		struct xfrm_encap_tmpl t;
		if (len != sizeof(t))
			return XFRM_DROP_ATTR_SIZE;
		memcpy(&t, value, sizeof(t));
		sa->encap_sport = xfrm_net16(t.encap_sport);
		sa->encap_dport = xfrm_net16(t.encap_dport);
	} else if (is_key_attr(type)) {
		sa->larval = false;
	}
	return XFRM_OK;
}

static enum xfrm_drop get_attrs(const uint8_t *p, size_t len, struct xfrm_sa *sa)
{
	struct xfrm_attrs all = { .p = p, .left = len };
	struct xfrm_attr a;

	sa->larval = true;
	while (xfrm_attr_next(&all, &a)) {
		enum xfrm_drop d = get_attr(a.type, a.value, a.len, sa);
		if (d != XFRM_OK)
			return d;
	}
	return all.bad ? XFRM_DROP_ATTR : XFRM_OK;
}

static enum xfrm_drop get_sa(const uint8_t *body, size_t len, struct xfrm_sa *sa)
{
	struct xfrm_usersa_info info;

	if (len < sizeof(info))
		return XFRM_DROP_SHORT;
	memcpy(&info, body, sizeof(info));
	uint8_t af = xfrm_af(info.family);
	if (!af)
		return XFRM_DROP_FAMILY;
	sa->src = addr_from_bytes(af, &info.saddr);
	sa->dst = addr_from_bytes(af, &info.id.daddr);
	sa->spi = xfrm_net32(info.id.spi);
	sa->proto = info.id.proto;
	sa->mode = info.mode;
	sa->reqid = info.reqid;
	size_t at = NLMSG_ALIGN(sizeof(info));
	return at >= len ? get_attrs(body, 0, sa) : get_attrs(body + at, len - at, sa);
}

void xfrm_get(const void *buf, size_t len, struct xfrm_msg *out, size_t *used)
{
	struct nlmsghdr h;
	const uint8_t *p = buf;

	memset(out, 0, sizeof(*out));
	*used = 0;
	out->kind = XFRM_DROP_SHORT;
	if (len < sizeof(h))
		return;
	memcpy(&h, p, sizeof(h));
	if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
		return;
	*used = NLMSG_ALIGN((size_t)h.nlmsg_len) < len ? NLMSG_ALIGN((size_t)h.nlmsg_len) : len;
	out->seq = h.nlmsg_seq;
	out->interrupted = h.nlmsg_flags & NLM_F_DUMP_INTR;
	const uint8_t *body = p + NLMSG_HDRLEN;
	size_t body_len = h.nlmsg_len - (size_t)NLMSG_HDRLEN;
	if (h.nlmsg_type == NLMSG_ERROR || h.nlmsg_type == NLMSG_DONE) {
		int32_t code = 0;
		if (h.nlmsg_type == NLMSG_ERROR && body_len < sizeof(struct nlmsgerr))
			return;
		if (body_len >= sizeof(code))
			memcpy(&code, body, sizeof(code));
		/* A positive or absurd code would be taken for a success or overflow when negated. */
		out->error = code > 0 || code < -4095 ? -EPROTO : code;
		out->kind = h.nlmsg_type == NLMSG_ERROR ? XFRM_ACK : XFRM_DONE;
		return;
	}
	if (h.nlmsg_type != XFRM_MSG_NEWSA) {
		out->kind = XFRM_DROP_TYPE;
		return;
	}
	out->kind = get_sa(body, body_len, &out->sa);
}

bool xfrm_matches(const struct xfrm_sa *sa, const struct addr *vip, const struct addr *peer)
{
	bool any = !peer || !addr_len(peer->af);

	if (addr_eq(&sa->src, vip))
		return any || addr_eq(&sa->dst, peer);
	if (addr_eq(&sa->dst, vip))
		return any || addr_eq(&sa->src, peer);
	return false;
}

bool xfrm_selected(const struct xfrm_sa *sa, const struct xfrm_filter *f)
{
	if (sa->proto != XFRM_PROTO_ESP && sa->proto != XFRM_PROTO_AH && sa->proto != XFRM_PROTO_COMP)
		return false;
	if (f->has_reqid && sa->reqid != f->reqid)
		return false;
	if (f->has_mark && sa->mark != f->mark) /* none is 0, for the kernel too */
		return false;
	if (f->has_if_id && sa->if_id != f->if_id)
		return false;
	return xfrm_matches(sa, &f->vip, &f->peer);
}
