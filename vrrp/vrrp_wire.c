#include <string.h>
#include "daemon/base/err.h"
#include "daemon/base/wire.h"
#include "vrrp/vrrp_wire.h"

enum { TYPE_ADVERT = 1, VERSION = 3, IP4_HDR_MIN = 20, ADDRS_V6_MAX = (1500 - 40 - VRRP_HDR_LEN) / 16 };
#define CENTISEC_NS (10 * NS_PER_MS) /* unit of the interval field (RFC 9568 5.2.7) */

const char *vrrp_drop_text(enum vrrp_drop d)
{
	static const char *const text[] = {
#define VRRP_DROP_TEXT(name, id, what) [name] = what,
		VRRP_DROP_TABLE(VRRP_DROP_TEXT)
#undef VRRP_DROP_TEXT
	};
	return (unsigned)d < VRRP_DROP_N ? text[d] : "unknown reason";
}

const char *vrrp_drop_name(enum vrrp_drop d)
{
	static const char *const name_of[] = {
#define VRRP_DROP_NAME(name, id, what) [name] = id,
		VRRP_DROP_TABLE(VRRP_DROP_NAME)
#undef VRRP_DROP_NAME
	};
	return (unsigned)d < VRRP_DROP_N ? name_of[d] : "unknown";
}

struct addr vrrp_wire_group(uint8_t af)
{
	if (af == ADDR_V4)
		return addr_v4(224, 0, 0, 18);
	return (struct addr){ .af = ADDR_V6, .b = { 0xff, 0x02, [15] = 0x12 } };
}

enum vrrp_drop vrrp_wire_ip4(const uint8_t *pkt, size_t len, struct vrrp_rx *rx)
{
	struct wire_rd r = wire_rd(pkt, len);
	uint8_t ver_ihl = wire_u8(&r);
	wire_take(&r, 1);
	size_t total = wire_u16(&r);
	wire_take(&r, 4);
	uint8_t ttl = wire_u8(&r), proto = wire_u8(&r);
	wire_take(&r, 2);
	const uint8_t *src = wire_take(&r, 4), *dst = wire_take(&r, 4);
	size_t hdr = (size_t)(ver_ihl & 0xf) * 4;
	if (r.bad || ver_ihl >> 4 != 4 || hdr < IP4_HDR_MIN || total < hdr || total > len || proto != VRRP_PROTO)
		return VRRP_DROP_IP;
	rx->af = ADDR_V4;
	rx->src = addr_from_bytes(ADDR_V4, src);
	rx->dst = addr_from_bytes(ADDR_V4, dst);
	rx->ttl = ttl;
	rx->pdu = pkt + hdr;
	rx->len = total - hdr;
	return VRRP_OK;
}

uint8_t vrrp_wire_vrid(const struct vrrp_rx *rx)
{
	return rx->len >= 2 ? rx->pdu[1] : 0;
}

/* One's complement sum (RFC 1071), not yet folded or inverted. */
static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len >= 2; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* IPv6: RFC 8200 8.1. IPv4: the same fields, as other implementations of VRRPv3 send it. */
static uint32_t sum_pseudo(const struct addr *src, const struct addr *dst, size_t len)
{
	uint32_t sum = sum_bytes(0, src->b, addr_len(src->af));
	sum = sum_bytes(sum, dst->b, addr_len(dst->af));
	return sum + VRRP_PROTO + (uint32_t)len;
}

/* RFC 9568 5.2.8. IPv4 has two forms in the field: RFC 5798 could be read either way. */
static bool checksum_ok(const struct vrrp_rx *rx, enum vrrp_sum *form)
{
	uint32_t sum = sum_bytes(0, rx->pdu, rx->len);
	*form = VRRP_SUM_PSEUDO;
	if (fold(sum + sum_pseudo(&rx->src, &rx->dst, rx->len)) == 0xffff)
		return true;
	*form = VRRP_SUM_PLAIN;
	return rx->af == ADDR_V4 && fold(sum) == 0xffff;
}

static bool source_ok(const struct vrrp_rx *rx)
{
	static const uint8_t zero[4], ones[4] = { 255, 255, 255, 255 };
	if (rx->af == ADDR_V6)
		return addr_is_link_local(&rx->src); /* RFC 9568 5.1.2.1 */
	return !addr_is_multicast(&rx->src) && memcmp(rx->src.b, zero, 4) != 0 && memcmp(rx->src.b, ones, 4) != 0;
}

static bool lists(const struct vrrp_msg *m, const struct addr *a)
{
	size_t len = addr_len(a->af);
	for (unsigned i = 0; i < m->n_addrs; i++)
		if (memcmp(m->addrs + i * len, a->b, len) == 0)
			return true;
	return false;
}

/* In the same order first, which is what equal configurations send; in any order otherwise. */
static bool same_vips(const struct vrrp_msg *m, const struct vrrp_conf *conf)
{
	unsigned n = vrrp_wire_advertised(conf), i = 0;
	size_t len = addr_len(conf->af);
	if (n != m->n_addrs)
		return false;
	while (i < n && memcmp(m->addrs + i * len, conf->vips[i].addr.b, len) == 0)
		i++;
	for (unsigned k = 0; i < n && k < n; k++)
		if (!lists(m, &conf->vips[k].addr))
			return false;
	return true;
}

enum vrrp_drop vrrp_wire_parse(const struct vrrp_rx *rx, const struct vrrp_conf *conf, const struct addr *own,
			       struct vrrp_msg *msg)
{
	struct vrrp_msg m = { .src = rx->src };
	struct addr group = vrrp_wire_group(rx->af);
	size_t alen = addr_len(rx->af);
	if (alen == 0)
		return VRRP_DROP_FAMILY;
	if (rx->ttl != VRRP_TTL)
		return VRRP_DROP_TTL; /* 5.1.1.3, 5.1.2.3 */
	if (rx->len < VRRP_HDR_LEN)
		return VRRP_DROP_SHORT;
	struct wire_rd r = wire_rd(rx->pdu, rx->len);
	uint8_t ver_type = wire_u8(&r);
	m.vrid = wire_u8(&r);
	m.priority = wire_u8(&r);
	m.n_addrs = wire_u8(&r);
	m.adv_ns = (wire_u16(&r) & 0xfff) * CENTISEC_NS; /* the upper four bits are reserved (5.2.6) */
	wire_take(&r, 2);
	if (ver_type >> 4 != VERSION)
		return VRRP_DROP_VERSION;
	if ((ver_type & 0xf) != TYPE_ADVERT)
		return VRRP_DROP_TYPE;
	if (m.n_addrs == 0)
		return VRRP_DROP_COUNT_ZERO; /* 5.2.5 */
	m.addrs = wire_take(&r, m.n_addrs * alen);
	if (r.bad || wire_left(&r) != 0)
		return VRRP_DROP_LENGTH;
	if (!checksum_ok(rx, &m.sum))
		return VRRP_DROP_CHECKSUM;
	if (m.adv_ns == 0)
		return VRRP_DROP_INTERVAL;
	if (!addr_eq(&rx->dst, &group))
		return VRRP_DROP_DEST;
	if (!source_ok(rx))
		return VRRP_DROP_SOURCE;
	if (own && addr_eq(&rx->src, own))
		return VRRP_DROP_OWN;
	if (!conf || conf->vrid != m.vrid)
		return VRRP_DROP_VRID;
	if (conf->af != rx->af)
		return VRRP_DROP_FAMILY;
	if (!same_vips(&m, conf))
		m.odd |= VRRP_ODD_VIPS;
	struct addr first = addr_from_bytes(rx->af, m.addrs);
	if (rx->af == ADDR_V6 && !addr_is_link_local(&first))
		m.odd |= VRRP_ODD_NOT_LINK_LOCAL;
	*msg = m;
	return VRRP_OK;
}

unsigned vrrp_wire_advertised(const struct vrrp_conf *conf)
{
	unsigned max = conf->af == ADDR_V6 ? ADDRS_V6_MAX : VRRP_ADDRS_MAX;
	return conf->n_advertised < max ? conf->n_advertised : max;
}

int vrrp_wire_build(const struct vrrp_conf *conf, uint8_t priority, const struct addr *src, uint8_t *buf, size_t cap)
{
	struct wire_wr w = wire_wr(buf, cap);
	struct addr group = vrrp_wire_group(conf->af);
	unsigned n = vrrp_wire_advertised(conf);
	wire_put_u8(&w, VERSION << 4 | TYPE_ADVERT);
	wire_put_u8(&w, conf->vrid);
	wire_put_u8(&w, priority);
	wire_put_u8(&w, (uint8_t)n);
	wire_put_u16(&w, (uint16_t)(conf->adv_ns / CENTISEC_NS) & 0xfff);
	wire_put_u16(&w, 0);
	for (unsigned i = 0; i < n; i++)
		wire_put_bytes(&w, conf->vips[i].addr.b, addr_len(conf->af));
	if (w.bad)
		return ERR_FULL;
	uint32_t sum = sum_bytes(0, buf, wire_len(&w));
	if (conf->af == ADDR_V6 || !conf->checksum_rfc9568)
		sum += sum_pseudo(src, &group, wire_len(&w));
	wire_patch_u16(&w, 6, (uint16_t)~fold(sum));
	return (int)wire_len(&w);
}
