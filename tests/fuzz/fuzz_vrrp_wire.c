/*
 * VRRP packets. The first byte chooses: bit 0 IPv6, bit 1 a whole IPv4 packet with its header, bit 2 repair the checksum
 * (so that what lies behind it is reached). What is accepted also goes through the state machine.
 */
#include <stdlib.h>
#include <string.h>
#include "vrrp/vrrp_fsm.h"
#include "vrrp/vrrp_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void repair(const struct vrrp_rx *rx, uint8_t *pdu)
{
	uint32_t sum = VRRP_PROTO + (uint32_t)rx->len;
	if (rx->len < VRRP_HDR_LEN)
		return;
	pdu[6] = pdu[7] = 0;
	for (size_t i = 0; i < addr_len(rx->af); i++)
		sum += (uint32_t)(rx->src.b[i] + rx->dst.b[i]) << (i % 2 ? 0 : 8);
	for (size_t i = 0; i < rx->len; i++)
		sum += (uint32_t)pdu[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	pdu[6] = (uint8_t)(~sum >> 8);
	pdu[7] = (uint8_t)~sum;
}

static void run_machine(const struct vrrp_conf *conf, const struct addr *own, const struct vrrp_msg *m)
{
	struct vrrp v;
	struct vrrp_acts acts;
	struct vrrp_ev ev = { .type = VRRP_EV_SRC, .u.src = *own };
	mono_t now = { NS_PER_SEC };
	static const enum vrrp_ev_type way[] = { VRRP_EV_LINK_UP, VRRP_EV_START,  VRRP_EV_ADVERT, VRRP_EV_TICK,
						 VRRP_EV_TAKE,    VRRP_EV_ADVERT, VRRP_EV_TICK };
	vrrp_init(&v, conf);
	vrrp_step(&v, &ev, now, &acts);
	for (unsigned i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		ev = (struct vrrp_ev){ .type = way[i] };
		if (ev.type == VRRP_EV_ADVERT) {
			ev.u.advert.priority = m->priority;
			ev.u.advert.adv_ns = m->adv_ns;
			ev.u.advert.src = m->src;
			ev.u.advert.vip_list_differs = (m->odd & VRRP_ODD_VIPS) != 0;
		}
		vrrp_step(&v, &ev, now, &acts);
	}
	must(v.state == VRRP_MASTER && v.stats.adv_rcvd == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vrrp_vip vip[2];
	struct vrrp_conf conf = { .vips = vip,
				  .n_vips = 2,
				  .n_advertised = 2,
				  .down_adverts = 3,
				  .lower_advert = true,
				  .priority = 100,
				  .adv_ns = NS_PER_SEC,
				  .preempt = true };
	struct vrrp_msg m, untouched;
	struct addr own;
	uint8_t pkt[VRRP_MSG_MAX + 128];
	if (size == 0 || size > sizeof(pkt))
		return 0;
	uint8_t how = data[0];
	memcpy(pkt, data + 1, --size);
	conf.af = (how & 1) != 0 ? ADDR_V6 : ADDR_V4;
	must(addr_parse(conf.af == ADDR_V6 ? "fe80::3" : "192.0.2.3", &own));
	must(addr_parse(conf.af == ADDR_V6 ? "fe80::1:1" : "192.0.2.1", &vip[0].addr));
	must(addr_parse(conf.af == ADDR_V6 ? "2001:db8::1" : "198.51.100.1", &vip[1].addr));
	struct vrrp_rx rx = { .af = conf.af, .dst = vrrp_wire_group(conf.af), .ttl = 255, .pdu = pkt, .len = size };
	must(addr_parse(conf.af == ADDR_V6 ? "fe80::2" : "192.0.2.2", &rx.src));
	if ((how & 2) != 0) {
		if (vrrp_wire_ip4(pkt, size, &rx) != VRRP_OK)
			return 0;
		must(rx.pdu >= pkt && rx.pdu + rx.len <= pkt + size);
	}
	if ((how & 4) != 0)
		repair(&rx, pkt + (rx.pdu - pkt));
	conf.vrid = vrrp_wire_vrid(&rx);
	memset(&m, 0x5a, sizeof(m));
	untouched = m;
	enum vrrp_drop d = vrrp_wire_parse(&rx, &conf, &own, &m);
	if (d != VRRP_OK) {
		must(d < VRRP_DROP_N && memcmp(&m, &untouched, sizeof(m)) == 0);
		return 0;
	}
	must(rx.len == VRRP_HDR_LEN + m.n_addrs * addr_len(rx.af) && m.n_addrs > 0);
	must(m.adv_ns >= 10 * NS_PER_MS && m.adv_ns <= 40950 * NS_PER_MS && m.vrid == conf.vrid);
	conf.adv_ns = m.adv_ns; /* the machine's arithmetic at this interval */
	run_machine(&conf, &own, &m);
	return 0;
}
