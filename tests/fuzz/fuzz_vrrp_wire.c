/*
 * VRRP packets. The first byte chooses: bit 0 IPv6, bit 1 a whole IPv4 packet with its header, bit 2 repair the checksum
 * (so that what lies behind it is reached), bits 3 and 4 the version, bit 5 a password, bit 6 unicast peers, bit 7 the
 * interval, password and TTL of the packet are those configured. What is accepted also goes through the state machine.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/unit/vrrp_seal.h"
#include "vrrp/vrrp_fsm.h"
#include "vrrp/vrrp_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* The same packet before and after taking the role. */
static void run_machine(const struct vrrp_conf *conf, const struct addr *own, const struct vrrp_msg *m)
{
	struct vrrp v;
	struct vrrp_acts acts;
	struct vrrp_ev ev = { .type = VRRP_EV_SRC, .u.src = *own }, advert = ev;
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
			ev.u.advert.v2 = m->version == 2;
			advert = ev;
		}
		vrrp_step(&v, &ev, now, &acts);
	}
	must(v.state == VRRP_MASTER && v.stats.adv_rcvd == 2);
	if (conf->version != VRRP_V2_AND_3 || m->version != 3)
		return;
	/* Its echo in version 2 says nothing and moves nothing. */
	mono_t before = vrrp_deadline(&v);
	advert.u.advert.v2 = true;
	vrrp_step(&v, &advert, now, &acts);
	must(acts.n == 0 && v.stats.adv_rcvd == 2 && v.stats.v2_echoes == 1 && vrrp_deadline(&v).ns == before.ns);
}

/* What was accepted can be said again, and is understood as the same. */
static void say_again(const struct vrrp_conf *conf, const struct vrrp_rx *rx, const struct addr *own,
		      const struct vrrp_msg *m)
{
	uint8_t buf[VRRP_MSG_MAX];
	struct vrrp_msg again;
	struct vrrp_rx copy = *rx;
	int len = vrrp_wire_build(conf, m->version, m->priority, &rx->src, &rx->dst, buf, sizeof(buf));
	must(len > 0);
	copy.pdu = buf;
	copy.len = (size_t)len;
	must(vrrp_wire_parse(&copy, conf, own, &again) == VRRP_OK && again.priority == m->priority &&
	     again.version == m->version && again.odd == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vrrp_vip vip[2];
	static struct vrrp_unicast_peer peers[3];
	struct vrrp_conf conf = { .vips = vip,
				  .n_vips = 2,
				  .n_advertised = 2,
				  .down_adverts = 3,
				  .lower_advert = true,
				  .priority = 100,
				  .adv_ns = NS_PER_SEC,
				  .preempt = true,
				  .auth_pass = "secret" };
	struct vrrp_msg m, untouched;
	struct addr own;
	uint8_t pkt[VRRP_MSG_MAX + 128];
	if (size == 0 || size > sizeof(pkt))
		return 0;
	uint8_t how = data[0];
	memcpy(pkt, data + 1, --size);
	conf.af = (how & 1) != 0 ? ADDR_V6 : ADDR_V4;
	conf.version = (how & 0x18) == 0x08 ? VRRP_V2 : (how & 0x18) == 0x10 ? VRRP_V2_AND_3 : VRRP_V3;
	conf.auth = (how & 0x20) != 0;
	must(addr_parse(conf.af == ADDR_V6 ? "fe80::3" : "192.0.2.3", &own));
	must(addr_parse(conf.af == ADDR_V6 ? "fe80::1:1" : "192.0.2.1", &vip[0].addr));
	must(addr_parse(conf.af == ADDR_V6 ? "2001:db8::1" : "198.51.100.1", &vip[1].addr));
	struct vrrp_rx rx = { .af = conf.af, .dst = vrrp_wire_group(conf.af), .ttl = 255, .pdu = pkt, .len = size };
	must(addr_parse(conf.af == ADDR_V6 ? "fe80::2" : "192.0.2.2", &rx.src));
	peers[0] = (struct vrrp_unicast_peer){ .addr = own, .ttl_max = 255 };
	peers[1] = (struct vrrp_unicast_peer){ .addr = rx.src, .ttl_min = 60, .ttl_max = 255 };
	peers[2] = (struct vrrp_unicast_peer){ .addr = addr_v4(198, 51, 100, 9), .ttl_max = 255 };
	if ((how & 0x40) != 0) {
		conf.peers = peers;
		conf.n_peers = conf.af == ADDR_V6 ? 2 : 3;
		rx.dst = own;
	}
	if ((how & 2) != 0) {
		if (vrrp_wire_ip4(pkt, size, &rx) != VRRP_OK)
			return 0;
		must(rx.pdu >= pkt && rx.pdu + rx.len <= pkt + size);
	}
	uint8_t *pdu = pkt + (rx.pdu - pkt);
	if ((how & 0x80) != 0 && rx.len >= VRRP_HDR_LEN + VRRP_AUTH_LEN && pdu[0] >> 4 == 2) {
		pdu[4] = conf.auth;
		pdu[5] = 1;
		memcpy(pdu + rx.len - VRRP_AUTH_LEN, conf.auth_pass, VRRP_AUTH_LEN);
	}
	if ((how & 4) != 0 && rx.len >= VRRP_HDR_LEN)
		seal(&rx, pdu);
	conf.vrid = vrrp_wire_vrid(&rx);
	memset(&m, 0x5a, sizeof(m));
	untouched = m;
	enum vrrp_drop d = vrrp_wire_parse(&rx, &conf, &own, &m);
	if (d != VRRP_OK) {
		must(d < VRRP_DROP_N && memcmp(&m, &untouched, sizeof(m)) == 0);
		return 0;
	}
	size_t auth = m.version == 2 ? VRRP_AUTH_LEN : 0;
	must(rx.len == VRRP_HDR_LEN + m.n_addrs * addr_len(rx.af) + auth && m.n_addrs > 0);
	must(m.version == 3 ? conf.version != VRRP_V2 : m.version == 2 && conf.version != VRRP_V3);
	must(m.adv_ns >= 10 * NS_PER_MS && m.adv_ns <= 255 * NS_PER_SEC && m.vrid == conf.vrid);
	must(m.version != 3 || m.adv_ns <= 40950 * NS_PER_MS);
	say_again(&conf, &rx, &own, &m);
	conf.adv_ns = m.adv_ns; /* the machine's arithmetic at this interval */
	conf.preempt_delay_ns = m.n_addrs % 3 * NS_PER_SEC;
	conf.priority = m.n_addrs % 2 ? 100 : 255;
	conf.down_adverts = (uint8_t)(1 + m.n_addrs % 100);
	run_machine(&conf, &own, &m);
	return 0;
}
