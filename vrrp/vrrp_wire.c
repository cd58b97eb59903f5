#include <string.h>
#include "daemon/base/err.h"
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"
#include "daemon/base/wire.h"
#include "vrrp/vrrp_wire.h"

enum { TYPE_ADVERT = 1, IP4_HDR_MIN = 20, ADDRS_V6_MAX = (1500 - 40 - VRRP_HDR_LEN) / 16 };
enum { AUTH_NONE = 0, AUTH_SIMPLE = 1 }; /* RFC 2338 5.3.6; type 2 was a protocol of its own */
#define CENTISEC_NS (10 * NS_PER_MS)     /* unit of the interval field (RFC 9568 5.2.7) */

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

struct addr vrrp_wire_conf_group(const struct vrrp_conf *conf)
{
	return conf->multicast_group.af == conf->af ? conf->multicast_group : vrrp_wire_group(conf->af);
}

bool vrrp_wire_next_dest(const struct vrrp_conf *conf, const struct addr *own, unsigned *at, struct addr *dst)
{
	if (!conf->n_peers) {
		if ((*at)++)
			return false;
		*dst = vrrp_wire_conf_group(conf);
		return true;
	}
	while (*at < conf->n_peers) {
		const struct addr *peer = &conf->peers[(*at)++].addr;
		if (own && addr_eq(peer, own))
			continue;
		*dst = *peer;
		return true;
	}
	return false;
}

bool vrrp_wire_next_form(const struct vrrp_conf *conf, unsigned *at, uint8_t *version)
{
	static const uint8_t forms[][2] = { [VRRP_V3] = { 3 }, [VRRP_V2] = { 2 }, [VRRP_V2_AND_3] = { 3, 2 } };
	require((unsigned)conf->version < sizeof(forms) / sizeof(forms[0]));
	if (*at >= 2 || !forms[conf->version][*at])
		return false;
	*version = forms[conf->version][(*at)++];
	return true;
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

/* RFC 9568 5.2.8. IPv4 has two forms in the field: RFC 5798 could be read either way. Version 2 has the plain one. */
static bool checksum_ok(const struct vrrp_rx *rx, uint8_t version, enum vrrp_sum *form)
{
	uint32_t sum = sum_bytes(0, rx->pdu, rx->len);
	*form = VRRP_SUM_PSEUDO;
	if (version != 2 && fold(sum + sum_pseudo(&rx->src, &rx->dst, rx->len)) == 0xffff)
		return true;
	*form = VRRP_SUM_PLAIN;
	return rx->af == ADDR_V4 && fold(sum) == 0xffff;
}

static bool is_all(const struct addr *a, uint8_t byte)
{
	for (size_t i = 0; i < addr_len(a->af); i++)
		if (a->b[i] != byte)
			return false;
	return true;
}

static enum vrrp_drop check_multicast(const struct vrrp_rx *rx, const struct vrrp_conf *conf)
{
	struct addr group = vrrp_wire_conf_group(conf);
	if (rx->ttl != VRRP_TTL)
		return VRRP_DROP_TTL; /* 5.1.1.3, 5.1.2.3 */
	if (!addr_eq(&rx->dst, &group))
		return VRRP_DROP_DEST;
	if (rx->af == ADDR_V6 && !addr_is_link_local(&rx->src))
		return VRRP_DROP_SOURCE; /* RFC 9568 5.1.2.1 */
	return VRRP_OK;
}

static enum vrrp_drop check_unicast(const struct vrrp_rx *rx, const struct vrrp_conf *conf, const struct addr *own)
{
	if (addr_is_multicast(&rx->dst) || (own && own->af != ADDR_NONE && !addr_eq(&rx->dst, own)))
		return VRRP_DROP_DEST;
	for (uint16_t i = 0; i < conf->n_peers; i++) {
		const struct vrrp_unicast_peer *peer = &conf->peers[i];
		if (!addr_eq(&peer->addr, &rx->src))
			continue;
		if (peer->ttl_min == 0 && peer->ttl_max == 255)
			return VRRP_OK; /* any, told by the socket or not */
		return rx->ttl >= peer->ttl_min && rx->ttl <= peer->ttl_max ? VRRP_OK : VRRP_DROP_PEER_TTL;
	}
	return conf->unicast_any_source ? VRRP_OK : VRRP_DROP_NOT_PEER;
}

/* What the IP header has to say: who sent it, to whom, and how far away. */
static enum vrrp_drop check_ip(const struct vrrp_rx *rx, const struct vrrp_conf *conf, const struct addr *own)
{
	if (addr_is_multicast(&rx->src) || is_all(&rx->src, 0) || (rx->af == ADDR_V4 && is_all(&rx->src, 255)))
		return VRRP_DROP_SOURCE;
	if (own && addr_eq(&rx->src, own))
		return VRRP_DROP_OWN;
	return conf->n_peers ? check_unicast(rx, conf, own) : check_multicast(rx, conf);
}

/* RFC 5798 8.4: which version is heard. */
static enum vrrp_drop check_version(const struct vrrp_conf *conf, uint8_t version)
{
	if ((version != 2 && version != 3) || (version == 2 && conf->af == ADDR_V6))
		return VRRP_DROP_VERSION;
	if (version == 2 && conf->version == VRRP_V3)
		return VRRP_DROP_IS_V2;
	if (version == 3 && conf->version == VRRP_V2)
		return VRRP_DROP_IS_V3;
	return VRRP_OK;
}

/* The last eight bytes of version 2; without a password they mean nothing (RFC 3768 5.3.10). */
static enum vrrp_drop check_auth(const struct vrrp_conf *conf, uint8_t type, const uint8_t *data)
{
	if (type != (conf->auth ? AUTH_SIMPLE : AUTH_NONE))
		return VRRP_DROP_AUTH_TYPE;
	if (conf->auth && memcmp(data, conf->auth_pass, VRRP_AUTH_LEN) != 0 && !MUTANT(M_PASSWORD_IGNORED))
		return VRRP_DROP_AUTH_PASS;
	return VRRP_OK;
}

static enum vrrp_drop check_interval(const struct vrrp_conf *conf, const struct vrrp_msg *m)
{
	if (m->adv_ns == 0)
		return VRRP_DROP_INTERVAL;
	if (conf->version == VRRP_V2 && m->adv_ns != vrrp_wire_v2_seconds(conf->adv_ns) * NS_PER_SEC)
		return VRRP_DROP_V2_INTERVAL;
	return VRRP_OK;
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

/* Everything behind the IP header. */
static enum vrrp_drop read_pdu(const struct vrrp_rx *rx, const struct vrrp_conf *conf, struct vrrp_msg *m)
{
	struct wire_rd r = wire_rd(rx->pdu, rx->len);
	const uint8_t *auth = NULL;
	uint8_t ver_type = wire_u8(&r), auth_type = 0;
	m->version = ver_type >> 4;
	m->vrid = wire_u8(&r);
	m->priority = wire_u8(&r);
	m->n_addrs = wire_u8(&r);
	enum vrrp_drop drop = check_version(conf, m->version);
	if (drop != VRRP_OK)
		return drop;
	if ((ver_type & 0xf) != TYPE_ADVERT)
		return VRRP_DROP_TYPE;
	if (m->version == 2) {
		auth_type = wire_u8(&r);
		m->adv_ns = wire_u8(&r) * NS_PER_SEC; /* RFC 3768 5.3.7 */
	} else {
		m->adv_ns = (wire_u16(&r) & 0xfff) * CENTISEC_NS; /* the upper four bits are reserved (5.2.6) */
	}
	wire_take(&r, 2);
	if (m->n_addrs == 0)
		return VRRP_DROP_COUNT_ZERO; /* 5.2.5 */
	m->addrs = wire_take(&r, m->n_addrs * addr_len(rx->af));
	if (m->version == 2)
		auth = wire_take(&r, VRRP_AUTH_LEN);
	if (r.bad)
		return VRRP_DROP_LENGTH;
	if (wire_left(&r) != 0)
		return VRRP_DROP_TRAILING;
	if (!checksum_ok(rx, m->version, &m->sum))
		return VRRP_DROP_CHECKSUM;
	drop = m->version == 2 ? check_auth(conf, auth_type, auth) : VRRP_OK;
	return drop != VRRP_OK ? drop : check_interval(conf, m);
}

enum vrrp_drop vrrp_wire_parse(const struct vrrp_rx *rx, const struct vrrp_conf *conf, const struct addr *own,
			       struct vrrp_msg *msg)
{
	struct vrrp_msg m = { .src = rx->src };
	if (addr_len(rx->af) == 0)
		return VRRP_DROP_FAMILY;
	if (rx->len < VRRP_HDR_LEN)
		return VRRP_DROP_SHORT;
	if (!conf || conf->vrid != vrrp_wire_vrid(rx))
		return VRRP_DROP_VRID;
	if (conf->af != rx->af)
		return VRRP_DROP_FAMILY;
	enum vrrp_drop drop = check_ip(rx, conf, own);
	if (drop == VRRP_OK)
		drop = read_pdu(rx, conf, &m);
	if (drop != VRRP_OK)
		return drop;
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

uint8_t vrrp_wire_v2_seconds(int64_t adv_ns)
{
	int64_t s = (adv_ns + NS_PER_SEC / 2) / NS_PER_SEC;
	return (uint8_t)(s < 1 ? 1 : s > 255 ? 255 : s);
}

int vrrp_wire_build(const struct vrrp_conf *conf, uint8_t version, uint8_t priority, const struct addr *src,
		    const struct addr *dst, uint8_t *buf, size_t cap)
{
	static const uint8_t no_auth[VRRP_AUTH_LEN];
	struct wire_wr w = wire_wr(buf, cap);
	unsigned n = vrrp_wire_advertised(conf);
	require(version == 2 || version == 3);
	wire_put_u8(&w, (uint8_t)(version << 4 | TYPE_ADVERT));
	wire_put_u8(&w, conf->vrid);
	wire_put_u8(&w, priority);
	wire_put_u8(&w, (uint8_t)n);
	if (version == 2) {
		wire_put_u8(&w, conf->auth ? AUTH_SIMPLE : AUTH_NONE);
		wire_put_u8(&w, vrrp_wire_v2_seconds(conf->adv_ns));
	} else {
		wire_put_u16(&w, (uint16_t)(conf->adv_ns / CENTISEC_NS) & 0xfff);
	}
	wire_put_u16(&w, 0);
	for (unsigned i = 0; i < n; i++)
		wire_put_bytes(&w, conf->vips[i].addr.b, addr_len(conf->af));
	if (version == 2)
		wire_put_bytes(&w, conf->auth ? conf->auth_pass : no_auth, VRRP_AUTH_LEN);
	if (w.bad)
		return ERR_FULL;
	uint32_t sum = sum_bytes(0, buf, wire_len(&w));
	if (conf->af == ADDR_V6 || (version == 3 && !conf->checksum_rfc9568))
		sum += sum_pseudo(src, dst, wire_len(&w));
	wire_patch_u16(&w, 6, (uint16_t)~fold(sum));
	return (int)wire_len(&w);
}
