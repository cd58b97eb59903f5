#include <string.h>
#include "daemon/base/wire.h"
#include "vrrp/garp.h"

enum { ETH_ARP = 0x0806, ETH_IP6 = 0x86dd, ARP_ETHERNET = 1, ARP_IP4 = 0x0800, ARP_REQUEST = 1 };
enum { ICMP6 = 58, ND_ADVERT = 136, ND_OPT_TARGET_MAC = 2, NA_LEN = 32, NA_SUM_AT = 14 + 40 + 2 };
#define NA_ROUTER   UINT32_C(0x80000000)
#define NA_OVERRIDE UINT32_C(0x20000000)

static const uint8_t broadcast[GARP_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void put_eth(struct wire_wr *w, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	wire_put_bytes(w, dst, GARP_MAC_LEN);
	wire_put_bytes(w, src, GARP_MAC_LEN);
	wire_put_u16(w, type);
}

static void put_arp(struct wire_wr *w, const struct addr *vip, const uint8_t *mac)
{
	static const uint8_t pad[GARP_ARP_FRAME - 42];
	put_eth(w, broadcast, mac, ETH_ARP);
	wire_put_u16(w, ARP_ETHERNET);
	wire_put_u16(w, ARP_IP4);
	wire_put_u8(w, GARP_MAC_LEN);
	wire_put_u8(w, 4);
	wire_put_u16(w, ARP_REQUEST);
	wire_put_bytes(w, mac, GARP_MAC_LEN);
	wire_put_bytes(w, vip->b, 4);
	wire_put_bytes(w, broadcast, GARP_MAC_LEN);
	wire_put_bytes(w, vip->b, 4);
	wire_put_bytes(w, pad, sizeof(pad));
}

/* RFC 4443 2.3: pseudo-header of addresses, length and next header. */
static uint16_t icmp6_sum(const uint8_t *ip6, const uint8_t *icmp, size_t len)
{
	uint32_t sum = ICMP6 + (uint32_t)len;
	for (size_t i = 8; i < 40; i += 2)
		sum += (uint32_t)ip6[i] << 8 | ip6[i + 1];
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)icmp[i] << 8 | icmp[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_na(struct wire_wr *w, const struct addr *vip, const uint8_t *mac)
{
	static const uint8_t all_nodes_mac[GARP_MAC_LEN] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	put_eth(w, all_nodes_mac, mac, ETH_IP6);
	wire_put_u32(w, UINT32_C(6) << 28);
	wire_put_u16(w, NA_LEN);
	wire_put_u8(w, ICMP6);
	wire_put_u8(w, 255); /* receivers drop any other hop limit (RFC 4861 7.1.2) */
	wire_put_bytes(w, vip->b, 16);
	wire_put_bytes(w, all_nodes, 16);
	wire_put_u8(w, ND_ADVERT);
	wire_put_u8(w, 0);
	wire_put_u16(w, 0);
	wire_put_u32(w, NA_ROUTER | NA_OVERRIDE);
	wire_put_bytes(w, vip->b, 16);
	wire_put_u8(w, ND_OPT_TARGET_MAC);
	wire_put_u8(w, 1); /* in units of 8 bytes */
	wire_put_bytes(w, mac, GARP_MAC_LEN);
	if (!w->bad)
		wire_patch_u16(w, NA_SUM_AT, icmp6_sum(w->base + 14, w->base + 14 + 40, NA_LEN));
}

size_t garp_build(const struct addr *vip, const uint8_t mac[GARP_MAC_LEN], uint8_t *buf, size_t cap)
{
	struct wire_wr w = wire_wr(buf, cap);
	if (vip->af == ADDR_V4)
		put_arp(&w, vip, mac);
	else if (vip->af == ADDR_V6)
		put_na(&w, vip, mac);
	return w.bad ? 0 : wire_len(&w);
}
