/*
 * The kernel's structs are copied out of the message and into it, so that no buffer needs an alignment. What is copied
 * through the stack holds no key; keys go straight between message and struct sa_copy.
 */
#include "ike-hooks/xfrm_sa.h"

#include "ike-hooks/xfrm_attr.h"

/* Values of the kernel's interface that its older headers do not have. */
enum { ATTR_SA_DIR = 33, DIR_OUT = 2 };
enum { WINDOW_WORDS_MAX = 128, WINDOW_OLD_MAX = 32 };

/* ---- reading ---- */

static enum sa_drop get_alg(struct sa_alg *a, const uint8_t *name, unsigned bits, unsigned icv, const uint8_t *key,
			    size_t left)
{
	size_t n = strnlen((const char *)name, SA_NAME_MAX);

	if (n == 0 || n == SA_NAME_MAX || bits > 8 * SA_KEY_MAX || icv > UINT16_MAX)
		return SA_DROP_ALG;
	if ((bits + 7) / 8 > left)
		return SA_DROP_ATTR;
	memset(a, 0, sizeof(*a));
	memcpy(a->name, name, n);
	a->key_bits = (uint16_t)bits;
	a->icv_bits = (uint16_t)icv;
	memcpy(a->key, key, (bits + 7) / 8);
	return SA_OK;
}

/* Three layouts: name, key length, [ICV or truncation length], key. */
static enum sa_drop get_alg_attr(unsigned type, const uint8_t *v, size_t len, struct sa_copy *sa)
{
	struct xfrm_algo plain;
	struct xfrm_algo_auth trunc;
	struct xfrm_algo_aead aead;

	if (type == XFRMA_ALG_AEAD) {
		if (len < sizeof(aead))
			return SA_DROP_ATTR;
		memcpy(&aead, v, sizeof(aead));
		return get_alg(&sa->aead, v, aead.alg_key_len, aead.alg_icv_len, v + sizeof(aead), len - sizeof(aead));
	}
	if (type == XFRMA_ALG_AUTH_TRUNC) {
		if (len < sizeof(trunc))
			return SA_DROP_ATTR;
		memcpy(&trunc, v, sizeof(trunc));
		return get_alg(&sa->auth, v, trunc.alg_key_len, trunc.alg_trunc_len, v + sizeof(trunc),
			       len - sizeof(trunc));
	}
	if (len < sizeof(plain))
		return SA_DROP_ATTR;
	memcpy(&plain, v, sizeof(plain));
	if (type == XFRMA_ALG_CRYPT)
		return get_alg(&sa->crypt, v, plain.alg_key_len, 0, v + sizeof(plain), len - sizeof(plain));
	/* The kernel shows the same algorithm once more without truncation, for programs older than that. */
	if (sa->auth.icv_bits)
		return SA_OK;
	return get_alg(&sa->auth, v, plain.alg_key_len, 0, v + sizeof(plain), len - sizeof(plain));
}

static enum sa_drop get_window(const uint8_t *v, size_t len, struct sa_copy *sa)
{
	struct xfrm_replay_state_esn esn;

	if (len < sizeof(esn))
		return SA_DROP_ATTR;
	memcpy(&esn, v, sizeof(esn));
	if (esn.bmp_len > WINDOW_WORDS_MAX || esn.replay_window > esn.bmp_len * 32)
		return SA_DROP_WINDOW;
	sa->wide = true;
	sa->window = esn.replay_window;
	sa->top = (uint64_t)esn.seq_hi << 32 | esn.seq;
	return SA_OK;
}

static enum sa_drop get_encap(const uint8_t *v, size_t len, struct sa_copy *sa)
{
	struct xfrm_encap_tmpl t;

	if (len != sizeof(t))
		return SA_DROP_ATTR;
	memcpy(&t, v, sizeof(t));
	sa->has_encap = true;
	sa->encap_type = t.encap_type;
	sa->encap_sport = xfrm_net16(t.encap_sport);
	sa->encap_dport = xfrm_net16(t.encap_dport);
	sa->encap_oa = addr_from_bytes(sa->src.af, &t.encap_oa);
	return SA_OK;
}

static enum sa_drop get_u32(const uint8_t *v, size_t len, uint32_t *out)
{
	if (len != sizeof(*out))
		return SA_DROP_ATTR;
	memcpy(out, v, sizeof(*out));
	return SA_OK;
}

static enum sa_drop get_attr(unsigned type, const uint8_t *v, size_t len, struct sa_copy *sa)
{
	struct xfrm_mark mark;
	struct xfrm_replay_state old;

	switch (type) {
	case XFRMA_ALG_AUTH:
	case XFRMA_ALG_AUTH_TRUNC:
	case XFRMA_ALG_CRYPT:
	case XFRMA_ALG_AEAD:
		return get_alg_attr(type, v, len, sa);
	case XFRMA_ENCAP:
		return get_encap(v, len, sa);
	case XFRMA_REPLAY_ESN_VAL:
		return get_window(v, len, sa);
	case XFRMA_REPLAY_VAL:
		if (len != sizeof(old))
			return SA_DROP_ATTR;
		memcpy(&old, v, sizeof(old));
		if (!sa->wide)
			sa->top = old.seq;
		return SA_OK;
	case XFRMA_MARK:
		if (len != sizeof(mark))
			return SA_DROP_ATTR;
		memcpy(&mark, v, sizeof(mark));
		sa->has_mark = true;
		sa->mark = mark.v;
		sa->mark_mask = mark.m;
		return SA_OK;
	case XFRMA_SET_MARK:
		sa->has_set_mark = true;
		return get_u32(v, len, &sa->set_mark);
	case XFRMA_SET_MARK_MASK:
		return get_u32(v, len, &sa->set_mark_mask);
	case XFRMA_IF_ID:
		return get_u32(v, len, &sa->if_id);
	case XFRMA_SA_EXTRA_FLAGS:
		sa->has_extra = true;
		return get_u32(v, len, &sa->extra_flags);
	case ATTR_SA_DIR:
		if (len < 1)
			return SA_DROP_ATTR;
		sa->dir = v[0];
		return sa->dir == DIR_OUT ? SA_DROP_OUTBOUND : SA_OK;
	default:
		return SA_OK;
	}
}

static enum sa_drop get_attrs(const uint8_t *p, size_t len, struct sa_copy *sa)
{
	struct xfrm_attrs all = { .p = p, .left = len };
	struct xfrm_attr a;

	while (xfrm_attr_next(&all, &a)) {
		enum sa_drop d = get_attr(a.type, a.value, a.len, sa);
		if (d != SA_OK)
			return d;
	}
	return all.bad ? SA_DROP_ATTR : SA_OK;
}

static uint64_t left_of(uint64_t limit, uint64_t used)
{
	if (limit == XFRM_INF)
		return SA_NO_LIMIT8;
	return limit > used ? limit - used : 0;
}

/* The earlier one of: so long after it was made, so long after its first packet. */
static uint32_t left_seconds(const struct xfrm_usersa_info *i, int64_t wall_s)
{
	uint64_t left = UINT64_MAX, now = (uint64_t)wall_s;

	if (i->lft.hard_add_expires_seconds) {
		uint64_t end = i->curlft.add_time + i->lft.hard_add_expires_seconds;
		left = end > now ? end - now : 0;
	}
	if (i->lft.hard_use_expires_seconds) {
		uint64_t end = (i->curlft.use_time ? i->curlft.use_time : now) + i->lft.hard_use_expires_seconds;
		uint64_t use = end > now ? end - now : 0;
		left = use < left ? use : left;
	}
	return left == UINT64_MAX ? SA_NO_LIMIT : left < SA_NO_LIMIT ? (uint32_t)left : SA_NO_LIMIT - 1;
}

static bool get_selector(const struct xfrm_selector *s, struct sa_selector *out)
{
	/* All zero: no selector. The kernel then takes the SA's own family. */
	out->dst.af = out->src.af = xfrm_af(s->family);
	out->dst = out->dst.af ? addr_from_bytes(out->dst.af, &s->daddr) : (struct addr){ 0 };
	out->src = out->src.af ? addr_from_bytes(out->src.af, &s->saddr) : (struct addr){ 0 };
	out->dst_len = s->prefixlen_d;
	out->src_len = s->prefixlen_s;
	out->proto = s->proto;
	out->dport = xfrm_net16(s->dport);
	out->dport_mask = xfrm_net16(s->dport_mask);
	out->sport = xfrm_net16(s->sport);
	out->sport_mask = xfrm_net16(s->sport_mask);
	return s->ifindex == 0 && out->dst_len <= 8 * addr_len(out->dst.af) &&
	       out->src_len <= 8 * addr_len(out->src.af);
}

static enum sa_drop get_info(const uint8_t *body, size_t len, int64_t wall_s, struct sa_copy *sa)
{
	struct xfrm_usersa_info info;

	if (len < sizeof(info))
		return SA_DROP_SHORT;
	memcpy(&info, body, sizeof(info));
	uint8_t af = xfrm_af(info.family);
	if (!af)
		return SA_DROP_FAMILY;
	sa->src = addr_from_bytes(af, &info.saddr);
	sa->dst = addr_from_bytes(af, &info.id.daddr);
	sa->spi = xfrm_net32(info.id.spi);
	sa->proto = info.id.proto;
	sa->mode = info.mode;
	sa->flags = info.flags;
	sa->reqid = info.reqid;
	sa->window = info.replay_window;
	sa->packets = info.curlft.packets;
	sa->left_s = left_seconds(&info, wall_s);
	sa->left_bytes = left_of(info.lft.hard_byte_limit, info.curlft.bytes);
	sa->left_packets = left_of(info.lft.hard_packet_limit, info.curlft.packets);
	if (sa->proto != XFRM_PROTO_ESP)
		return SA_DROP_PROTO;
	bool selects = get_selector(&info.sel, &sa->sel);
	size_t at = NLMSG_ALIGN(sizeof(info));
	enum sa_drop d = at >= len ? SA_DROP_LARVAL : get_attrs(body + at, len - at, sa);
	if (d != SA_OK)
		return d;
	if (!sa->auth.name[0] && !sa->crypt.name[0] && !sa->aead.name[0])
		return SA_DROP_LARVAL;
	if (!selects) /* after the larval ones: the kernel sets half a selector of those */
		return SA_DROP_SELECTOR;
	if (!sa->wide && sa->window > WINDOW_OLD_MAX)
		return SA_DROP_WINDOW;
	return sa_has_keys(sa) ? SA_OK : SA_DROP_ZERO_KEY;
}

enum sa_drop xfrm_sa_get(const void *msg, size_t len, int64_t wall_s, struct sa_copy *out)
{
	struct nlmsghdr h;

	sa_wipe(out);
	if (len < sizeof(h))
		return SA_DROP_SHORT;
	memcpy(&h, msg, sizeof(h));
	if (h.nlmsg_type != XFRM_MSG_NEWSA || h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
		return SA_DROP_SHORT;
	enum sa_drop d = get_info((const uint8_t *)msg + NLMSG_HDRLEN, h.nlmsg_len - (size_t)NLMSG_HDRLEN, wall_s, out);
	if (d != SA_OK) {
		explicit_bzero(&out->auth, sizeof(out->auth));
		explicit_bzero(&out->crypt, sizeof(out->crypt));
		explicit_bzero(&out->aead, sizeof(out->aead));
	}
	return d;
}

/* ---- writing ---- */

struct put {
	uint8_t *p;
	size_t len, cap;
	bool bad;
};

/* Room for an attribute's value, zeroed; NULL when there is none. */
static uint8_t *put_attr(struct put *m, uint16_t type, size_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };
	size_t whole = NLA_HDRLEN + NLA_ALIGN(len);

	if (m->bad || m->cap - m->len < whole) {
		m->bad = true;
		return NULL;
	}
	uint8_t *at = m->p + m->len;
	memset(at, 0, whole);
	memcpy(at, &a, sizeof(a));
	m->len += whole;
	return at + NLA_HDRLEN;
}

static void put_value(struct put *m, uint16_t type, const void *value, size_t len)
{
	uint8_t *at = put_attr(m, type, len);

	if (at)
		memcpy(at, value, len);
}

static void put_alg(struct put *m, uint16_t type, const struct sa_alg *a)
{
	size_t key = (a->key_bits + 7u) / 8, head = sizeof(struct xfrm_algo);
	uint32_t bits = a->key_bits, icv = a->icv_bits;

	if (!a->name[0])
		return;
	if (type == XFRMA_ALG_AUTH_TRUNC && icv == 0)
		type = XFRMA_ALG_AUTH; /* the kernel's own choice of truncation */
	bool has_icv = type == XFRMA_ALG_AUTH_TRUNC || type == XFRMA_ALG_AEAD;
	head += has_icv ? sizeof(icv) : 0;
	uint8_t *at = put_attr(m, type, head + key);
	if (!at)
		return;
	size_t bits_at = offsetof(struct xfrm_algo, alg_key_len);
	memcpy(at, a->name, strnlen(a->name, SA_NAME_MAX - 1));
	memcpy(at + bits_at, &bits, sizeof(bits));
	if (has_icv)
		memcpy(at + bits_at + sizeof(bits), &icv, sizeof(icv));
	memcpy(at + head, a->key, key);
}

static void put_window(struct put *m, const struct sa_copy *sa)
{
	if (!sa->wide) {
		struct xfrm_replay_state old = { .seq = (uint32_t)sa->top, .bitmap = UINT32_MAX };
		put_value(m, XFRMA_REPLAY_VAL, &old, sizeof(old));
		return;
	}
	uint32_t words = (sa->window + 31) / 32;
	struct xfrm_replay_state_esn esn = { .bmp_len = words,
					     .seq = (uint32_t)sa->top,
					     .seq_hi = (uint32_t)(sa->top >> 32),
					     .replay_window = sa->window };
	uint8_t *at = put_attr(m, XFRMA_REPLAY_ESN_VAL, sizeof(esn) + words * sizeof(uint32_t));
	if (!at)
		return;
	memcpy(at, &esn, sizeof(esn));
	memset(at + sizeof(esn), 0xff, words * sizeof(uint32_t));
}

static void put_options(struct put *m, const struct sa_copy *sa)
{
	if (sa->has_encap) {
		struct xfrm_encap_tmpl t = { .encap_type = sa->encap_type,
					     .encap_sport = xfrm_net16(sa->encap_sport),
					     .encap_dport = xfrm_net16(sa->encap_dport) };
		memcpy(&t.encap_oa, sa->encap_oa.b, addr_len(sa->encap_oa.af));
		put_value(m, XFRMA_ENCAP, &t, sizeof(t));
	}
	if (sa->has_mark) {
		struct xfrm_mark mark = { .v = sa->mark, .m = sa->mark_mask };
		put_value(m, XFRMA_MARK, &mark, sizeof(mark));
	}
	if (sa->has_set_mark) {
		put_value(m, XFRMA_SET_MARK, &sa->set_mark, sizeof(sa->set_mark));
		put_value(m, XFRMA_SET_MARK_MASK, &sa->set_mark_mask, sizeof(sa->set_mark_mask));
	}
	if (sa->if_id)
		put_value(m, XFRMA_IF_ID, &sa->if_id, sizeof(sa->if_id));
	if (sa->has_extra)
		put_value(m, XFRMA_SA_EXTRA_FLAGS, &sa->extra_flags, sizeof(sa->extra_flags));
	if (sa->dir)
		put_value(m, ATTR_SA_DIR, &sa->dir, sizeof(sa->dir));
}

uint32_t xfrm_sa_lifetime(const struct sa_copy *sa)
{
	uint32_t most = (uint32_t)(SA_LIFE_NS / 1000000000);

	if (sa->left_s == SA_NO_LIMIT)
		return most;
	if (sa->left_s <= SA_MARGIN_S)
		return 0;
	return sa->left_s - SA_MARGIN_S < most ? sa->left_s - SA_MARGIN_S : most;
}

/* What may still come less a sixteenth: the last report is older than the newest packet. */
static uint64_t limit_of(uint64_t left)
{
	return left == SA_NO_LIMIT8 ? XFRM_INF : left - left / 16;
}

static void put_selector(struct xfrm_selector *out, const struct sa_selector *s)
{
	memcpy(&out->daddr, s->dst.b, addr_len(s->dst.af));
	memcpy(&out->saddr, s->src.b, addr_len(s->src.af));
	out->family = xfrm_family(s->dst.af);
	out->prefixlen_d = s->dst_len;
	out->prefixlen_s = s->src_len;
	out->proto = s->proto;
	out->dport = xfrm_net16(s->dport);
	out->dport_mask = xfrm_net16(s->dport_mask);
	out->sport = xfrm_net16(s->sport);
	out->sport_mask = xfrm_net16(s->sport_mask);
}

size_t xfrm_sa_put(void *buf, size_t cap, uint32_t seq, const struct sa_copy *sa)
{
	struct nlmsghdr h = { .nlmsg_type = XFRM_MSG_NEWSA,
			      .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
			      .nlmsg_seq = seq };
	struct xfrm_usersa_info info;
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(info));
	struct put m = { .p = buf, .len = at, .cap = cap };

	if (cap < at || sa->src.af != sa->dst.af || !addr_len(sa->dst.af) || xfrm_sa_lifetime(sa) == 0)
		return 0;
	memset(buf, 0, at);
	memset(&info, 0, sizeof(info));
	memcpy(&info.saddr, sa->src.b, addr_len(sa->src.af));
	memcpy(&info.id.daddr, sa->dst.b, addr_len(sa->dst.af));
	info.id.spi = xfrm_net32(sa->spi);
	info.id.proto = sa->proto;
	info.family = xfrm_family(sa->dst.af);
	info.mode = sa->mode;
	info.flags = sa->flags;
	info.reqid = sa->reqid;
	/* With the wide form the kernel takes the window from there, and refuses another one here. */
	info.replay_window = sa->wide ? 0 : (uint8_t)sa->window;
	info.lft.soft_byte_limit = info.lft.soft_packet_limit = XFRM_INF;
	info.lft.hard_byte_limit = limit_of(sa->left_bytes);
	info.lft.hard_packet_limit = limit_of(sa->left_packets);
	info.lft.hard_add_expires_seconds = xfrm_sa_lifetime(sa);
	put_selector(&info.sel, &sa->sel);
	put_alg(&m, XFRMA_ALG_AUTH_TRUNC, &sa->auth);
	put_alg(&m, XFRMA_ALG_CRYPT, &sa->crypt);
	put_alg(&m, XFRMA_ALG_AEAD, &sa->aead);
	put_window(&m, sa);
	put_options(&m, sa);
	if (m.bad)
		return 0;
	h.nlmsg_len = (uint32_t)m.len;
	memcpy(buf, &h, sizeof(h));
	memcpy((uint8_t *)buf + NLMSG_HDRLEN, &info, sizeof(info));
	return m.len;
}
