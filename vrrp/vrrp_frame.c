#include <string.h>
#include "daemon/base/err.h"
#include "daemon/base/wire.h"
#include "vrrp/vrrp_frame.h"

enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd, TOS_CONTROL = 0xc0, IP4_DF = 0x4000, IP4_HDR = 20, ETH_HDR = 14 };

void vrrp_frame_group_mac(const struct addr *group, uint8_t mac[VRRP_MAC_LEN])
{
	const uint8_t *g = group->b;
	const uint8_t v4[VRRP_MAC_LEN] = { 0x01, 0x00, 0x5e, g[1] & 0x7f, g[2], g[3] };
	const uint8_t v6[VRRP_MAC_LEN] = { 0x33, 0x33, g[12], g[13], g[14], g[15] };
	memcpy(mac, group->af == ADDR_V6 ? v6 : v4, VRRP_MAC_LEN);
}

/* Header checksum of IPv4 (RFC 791 3.1); the header has an even number of bytes. */
static uint16_t header_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static void put_ip4(struct wire_wr *w, const struct vrrp_frame *f, size_t len)
{
	wire_put_u8(w, 4 << 4 | IP4_HDR / 4);
	wire_put_u8(w, TOS_CONTROL);
	wire_put_u16(w, (uint16_t)(IP4_HDR + len));
	wire_put_u16(w, f->ip_id);
	wire_put_u16(w, IP4_DF);
	wire_put_u8(w, VRRP_TTL);
	wire_put_u8(w, VRRP_PROTO);
	wire_put_u16(w, 0);
	wire_put_bytes(w, f->src.b, 4);
	wire_put_bytes(w, f->dst.b, 4);
}

static void put_ip6(struct wire_wr *w, const struct vrrp_frame *f, size_t len)
{
	wire_put_u32(w, 6u << 28 | (uint32_t)TOS_CONTROL << 20);
	wire_put_u16(w, (uint16_t)len);
	wire_put_u8(w, VRRP_PROTO);
	wire_put_u8(w, VRRP_TTL);
	wire_put_bytes(w, f->src.b, 16);
	wire_put_bytes(w, f->dst.b, 16);
}

int vrrp_frame_build(const struct vrrp_frame *f, const uint8_t *msg, size_t len, uint8_t *buf, size_t cap)
{
	struct wire_wr w = wire_wr(buf, cap);
	uint8_t to[VRRP_MAC_LEN];
	bool v4 = f->src.af == ADDR_V4;
	if (addr_len(f->src.af) == 0 || f->src.af != f->dst.af || !addr_is_multicast(&f->dst) || len > VRRP_MSG_MAX)
		return ERR_MALFORMED;
	vrrp_frame_group_mac(&f->dst, to);
	wire_put_bytes(&w, to, sizeof(to));
	wire_put_bytes(&w, f->mac, sizeof(f->mac));
	wire_put_u16(&w, v4 ? TYPE_IP4 : TYPE_IP6);
	if (v4)
		put_ip4(&w, f, len);
	else
		put_ip6(&w, f, len);
	wire_put_bytes(&w, msg, len);
	if (w.bad)
		return ERR_FULL;
	if (v4)
		wire_patch_u16(&w, ETH_HDR + 10, header_sum(buf + ETH_HDR, IP4_HDR));
	return (int)wire_len(&w);
}
