#include "daemon/sweep_ct.h"

#include <string.h>

enum { UDP = 17, ESP = 50, AH = 51, PORT_IKE = 500, PORT_NAT_T = 4500 };

static struct ct_tuple tuple(const struct addr *src, const struct addr *dst, uint8_t l4, uint16_t sport, uint16_t dport)
{
	struct ct_tuple t;

	memset(&t, 0, sizeof(t)); /* compared as bytes */
	memcpy(t.src, src->b, addr_len(src->af));
	memcpy(t.dst, dst->b, addr_len(dst->af));
	t.l3 = src->af;
	t.l4 = l4;
	t.sport = sport;
	t.dport = dport;
	return t;
}

unsigned sweep_ct_encap(const struct addr *src, const struct addr *dst, uint16_t sport, uint16_t dport,
			struct ct_tuple out[SWEEP_CT_ENCAP])
{
	out[0] = tuple(src, dst, UDP, sport, dport);
	out[1] = tuple(dst, src, UDP, dport, sport);
	return SWEEP_CT_ENCAP;
}

unsigned sweep_ct_tunnel(const struct addr *vip, const struct addr *peer, struct ct_tuple out[SWEEP_CT_TUNNEL])
{
	unsigned n = 0;

	if (!addr_len(vip->af) || vip->af != peer->af)
		return 0;
	n += sweep_ct_encap(vip, peer, PORT_IKE, PORT_IKE, out + n);
	n += sweep_ct_encap(vip, peer, PORT_NAT_T, PORT_NAT_T, out + n);
	for (uint8_t l4 = ESP; l4 <= AH; l4++) {
		/* The kernel tracks them without ports (nf_conntrack_proto_generic). */
		out[n++] = tuple(vip, peer, l4, 0, 0);
		out[n++] = tuple(peer, vip, l4, 0, 0);
	}
	return n;
}
