#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/sync_policy.h"
#include "tests/unit/run.h"
#include "tests/unit/sync_rig.h"

static struct sync_conf conf;
static struct sync_locals *loc;

static void setup(void)
{
	struct addr own[] = { addr_v4(10, 0, 0, 1), addr_v4(203, 0, 113, 2), addr_v4(10, 0, 0, 0) };

	loc = calloc(1, sizeof(*loc));
	rig_conf(&conf, 1);
	conf.n_vips = 2;
	addr_parse("2001:db8::1", &conf.vips[1]);
	sync_locals_conf(loc, &conf);
	ck_assert_int_eq(sync_locals_set(loc, own, 3), 0);
}

static void teardown(void)
{
	free(loc);
}

static enum sync_why judge(const struct ct_entry *e)
{
	return sync_policy_judge(&conf, loc, e, false);
}

/* State x class: when a flow is worth a copy. */
START_TEST(test_tcp_states)
{
	static const enum sync_why want[10] = {
		SYNC_WHY_HALF_OPEN, SYNC_WHY_HALF_OPEN, SYNC_WHY_HALF_OPEN, SYNC_WHY_NONE,    SYNC_WHY_NONE,
		SYNC_WHY_NONE,      SYNC_WHY_CLOSING,   SYNC_WHY_CLOSING,   SYNC_WHY_CLOSING, SYNC_WHY_HALF_OPEN,
	};
	for (uint8_t st = 0; st < 10; st++) {
		struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);
		e.tcp_state = st;
		ck_assert_int_eq(judge(&e), want[st]);
		ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_NONE);
		e.status |= CT_ST_DST_NAT;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.status &= ~(uint32_t)CT_ST_DST_NAT;
		e.has |= CT_HAS_HELPER;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.has = (e.has & ~(uint32_t)CT_HAS_HELPER) | CT_HAS_MASTER;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.has &= ~(uint32_t)CT_HAS_MASTER;
		conf.quick = true;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		conf.quick = false;
	}
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);
	e.has &= ~(uint32_t)CT_HAS_TCP;
	ck_assert_int_eq(judge(&e), SYNC_WHY_HALF_OPEN);
	e.status |= CT_ST_OFFLOAD;
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
}
END_TEST

/* States the operator names hold for every TCP session, whatever its class. */
START_TEST(test_named_states)
{
	static const enum sync_why other[10] = {
		SYNC_WHY_HALF_OPEN, SYNC_WHY_HALF_OPEN, SYNC_WHY_HALF_OPEN, SYNC_WHY_STATE,   SYNC_WHY_STATE,
		SYNC_WHY_STATE,     SYNC_WHY_CLOSING,   SYNC_WHY_CLOSING,   SYNC_WHY_CLOSING, SYNC_WHY_HALF_OPEN,
	};
	for (unsigned mask = 1; mask < 1u << 9; mask += 1) {
		conf.tcp_states = (uint16_t)mask;
		for (uint8_t st = 0; st < 10; st++) {
			struct ct_entry e = rig_flow(1, IPPROTO_TCP, st % 2);
			bool in = mask >> (st == CT_TCP_SYN_SENT2 ? CT_TCP_SYN_SENT : st) & 1;
			e.tcp_state = st;
			conf.quick = st % 3 == 0;
			ck_assert_int_eq(judge(&e), in ? SYNC_WHY_NONE : other[st]);
			ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_NONE);
			e.has &= ~(uint32_t)(CT_HAS_TCP | CT_HAS_TCP_WIN);
			e.status |= CT_ST_OFFLOAD;
			bool established = mask >> CT_TCP_ESTABLISHED & 1;
			ck_assert_int_eq(judge(&e), established ? SYNC_WHY_NONE : SYNC_WHY_STATE);
		}
		struct ct_entry e = rig_flow(1, IPPROTO_UDP, false);
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	}
	conf.tcp_states = 0;
	conf.quick = false;
}
END_TEST

/* DNS: what a rule with protocol and port is for. */
START_TEST(test_short_services)
{
	struct ct_entry e = rig_flow(1, IPPROTO_UDP, true);

	conf.n_ignore = 1;
	conf.ignore[0] = (struct sync_ignore){ .protocols = 1u << SYNC_PROTO_UDP | 1u << SYNC_PROTO_TCP,
					       .port_low = 53,
					       .port_high = 53,
					       .any_zone = true };
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	e.orig.dport = 53;
	ck_assert_int_eq(judge(&e), SYNC_WHY_IGNORED);
	ck_assert_int_eq(sync_filter_rule(&conf, loc, &e), 0);
	e.orig.l4 = IPPROTO_TCP;
	ck_assert_int_eq(judge(&e), SYNC_WHY_IGNORED);
	e.orig.l4 = IPPROTO_SCTP;
	ck_assert_int_eq(sync_filter_rule(&conf, loc, &e), -1);
	/* A DNS server that answers from port 53 asks as a client from another one. */
	e = rig_flow(53, IPPROTO_UDP, false);
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	conf.n_ignore = 0;
}
END_TEST

START_TEST(test_interface)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, true), six = e;
	struct sync_net nets[SYNC_NETS_MAX + 1];
	const struct sync_ignore any = { .protocols = SYNC_PROTO_ALL, .port_high = UINT16_MAX, .any_zone = true };

	memset(nets, 0, sizeof(nets));
	conf.n_ignore = 2;
	conf.ignore[0] = conf.ignore[1] = any;
	strcpy(conf.ignore[0].ifname, "wan0");
	conf.ignore[0].port_low = conf.ignore[0].port_high = 9999;
	strcpy(conf.ignore[1].ifname, "lan0");
	/* No network known: the rules match nothing, least of all everything. */
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	nets[0] = (struct sync_net){ .net = addr_v4(192, 0, 2, 0), .plen = 24, .ifname = "wan0" };
	nets[1] = (struct sync_net){ .net = addr_v4(172, 16, 0, 0), .plen = 12, .ifname = "lan0" };
	nets[2] = (struct sync_net){ .plen = 64, .ifname = "lan0" };
	ck_assert(addr_parse("2001:db8:5::", &nets[2].net));
	ck_assert_int_eq(sync_locals_nets(loc, &conf, nets, 3), 1);
	ck_assert_int_eq(sync_locals_nets(loc, &conf, nets, 3), 0);
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	memcpy(e.orig.dst, (uint8_t[]){ 172, 17, 1, 1 }, 4);
	ck_assert_int_eq(sync_filter_rule(&conf, loc, &e), 1);
	ck_assert_int_eq(judge(&e), SYNC_WHY_IGNORED);
	ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_IGNORED);
	/* Every part that is given must hold. */
	e.orig.dport = 9999;
	ck_assert_int_eq(sync_filter_rule(&conf, loc, &e), 0);
	/* After translation, and in IPv6. */
	e = rig_flow(1, IPPROTO_TCP, true);
	memcpy(e.reply.dst, (uint8_t[]){ 172, 31, 255, 255 }, 4);
	ck_assert_int_eq(judge(&e), SYNC_WHY_IGNORED);
	six.orig.l3 = six.reply.l3 = 6;
	six.status &= ~(uint32_t)CT_ST_SRC_NAT;
	memset(six.reply.dst, 7, 16);
	ck_assert_int_eq(judge(&six), SYNC_WHY_NONE);
	memcpy(six.orig.src, nets[2].net.b, 16);
	six.orig.src[15] = 9;
	ck_assert_int_eq(judge(&six), SYNC_WHY_IGNORED);
	/* Rules in another order. */
	struct sync_ignore first = conf.ignore[0];
	conf.ignore[0] = conf.ignore[1];
	conf.ignore[1] = first;
	sync_locals_conf(loc, &conf);
	ck_assert_int_eq(sync_filter_rule(&conf, loc, &six), 0);
	/* The networks are gone; too many are refused and the old ones stay. */
	ck_assert_int_eq(sync_locals_nets(loc, &conf, nets, SYNC_NETS_MAX + 1), ERR_FULL);
	ck_assert_int_eq(judge(&six), SYNC_WHY_IGNORED);
	ck_assert_int_eq(sync_locals_nets(loc, &conf, NULL, 0), 1);
	ck_assert_int_eq(judge(&six), SYNC_WHY_NONE);
	conf.n_ignore = 0;
}
END_TEST

/* Source translation to an address of this node that does not move, and nothing else. */
START_TEST(test_node_address)
{
	struct addr own[3] = { addr_v4(203, 0, 113, 2) };
	struct ct_entry e;

	ck_assert(addr_parse("2001:db8::2", &own[1]) && addr_parse("2001:db8::1", &own[2]));
	ck_assert_int_eq(sync_locals_set(loc, own, 3), 0);
	for (unsigned six = 0; six < 2; six++) {
		e = rig_flow(1, IPPROTO_UDP, true);
		if (six) {
			e.orig.l3 = e.reply.l3 = 6;
			memset(e.orig.src, 0x20, 16);
			memset(e.orig.dst, 0x21, 16);
			memcpy(e.reply.src, e.orig.dst, 16);
		}
		memcpy(e.reply.dst, own[six].b, 16);
		ck_assert_int_eq(judge(&e), SYNC_WHY_NODE_ADDR);
		ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_NODE_ADDR);
		/* Without translation of the source the answer goes to whoever asked. */
		e.status &= ~(uint32_t)CT_ST_SRC_NAT;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.status |= CT_ST_DST_NAT;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.status |= CT_ST_SRC_NAT;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NODE_ADDR);
		/* The virtual address moves, also when it is up on this node; a foreign one is the network's affair. */
		memcpy(e.reply.dst, conf.vips[six].b, 16);
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.reply.dst[six ? 15 : 3] = 99;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		/* Nothing is known of the other direction. */
		memcpy(e.reply.dst, own[six].b, 16);
		e.has &= ~(uint32_t)CT_HAS_REPLY;
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	}
}
END_TEST

START_TEST(test_changed_addresses)
{
	struct addr a[3] = { addr_v4(10, 0, 0, 1), addr_v4(203, 0, 113, 2), addr_v4(203, 0, 113, 1) };

	ck_assert_int_eq(sync_locals_set(loc, a, 2), 0);
	ck_assert(sync_locals_changed(loc)); /* 10.0.0.0 is gone */
	ck_assert_int_eq(sync_locals_set(loc, a, 3), 0);
	ck_assert(!sync_locals_changed(loc)); /* the virtual one came */
	ck_assert_int_eq(sync_locals_set(loc, a, 2), 0);
	ck_assert(!sync_locals_changed(loc) && sync_locals_vanished(loc));
	ck_assert_int_eq(sync_locals_set(loc, a, 1), 0);
	ck_assert(sync_locals_changed(loc));
	ck_assert_int_eq(sync_locals_set(loc, a, 2), 0);
	ck_assert(sync_locals_changed(loc) && !sync_locals_vanished(loc));
}
END_TEST

START_TEST(test_udp_icmp_others)
{
	static const uint8_t protos[] = { IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 };

	for (unsigned i = 0; i < 3; i++) {
		struct ct_entry e = rig_flow(1, protos[i], false);
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		e.status &= ~(uint32_t)CT_ST_SEEN_REPLY;
		ck_assert_int_eq(judge(&e), SYNC_WHY_UNREPLIED);
		conf.protocols = 1u << SYNC_PROTO_TCP;
		ck_assert_int_eq(judge(&e), SYNC_WHY_PROTO_OFF);
		ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_PROTO_OFF);
		conf.protocols = SYNC_PROTO_ALL;
	}
	static const struct {
		uint8_t l4;
		enum sync_proto p;
	} rows[] = { { IPPROTO_UDPLITE, SYNC_PROTO_UDPLITE },
		     { IPPROTO_DCCP, SYNC_PROTO_DCCP },
		     { IPPROTO_GRE, SYNC_PROTO_GRE },
		     { IPPROTO_ESP, SYNC_PROTO_OTHER },
		     { 89, SYNC_PROTO_OTHER } };
	struct ct_entry e;
	for (unsigned i = 0; i < 5; i++) {
		e = rig_flow(1, rows[i].l4, false);
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		conf.protocols &= ~(1u << rows[i].p);
		ck_assert_int_eq(judge(&e), SYNC_WHY_PROTO_OFF);
		conf.protocols = SYNC_PROTO_ALL;
		ck_assert_str_ne(sync_proto_word(rows[i].p), "?");
	}
	e = rig_flow(1, IPPROTO_SCTP, false);
	static const uint8_t open[] = { CT_SCTP_ESTABLISHED, CT_SCTP_HEARTBEAT_SENT, CT_SCTP_HEARTBEAT_ACKED };
	static const uint8_t young[] = { CT_SCTP_NONE, CT_SCTP_CLOSED, CT_SCTP_COOKIE_WAIT, CT_SCTP_COOKIE_ECHOED };
	static const uint8_t old[] = { CT_SCTP_SHUTDOWN_SENT, CT_SCTP_SHUTDOWN_RECD, CT_SCTP_SHUTDOWN_ACK_SENT };
	ck_assert_int_eq(judge(&e), SYNC_WHY_HALF_OPEN);
	e.has |= CT_HAS_SCTP;
	for (unsigned i = 0; i < sizeof(open); i++) {
		e.sctp_state = open[i];
		ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
		ck_assert(!sync_policy_short(&e));
	}
	for (unsigned i = 0; i < sizeof(young); i++) {
		e.sctp_state = young[i];
		ck_assert_int_eq(judge(&e), SYNC_WHY_HALF_OPEN);
		ck_assert(sync_policy_short(&e));
	}
	for (unsigned i = 0; i < sizeof(old); i++) {
		e.sctp_state = old[i];
		ck_assert_int_eq(judge(&e), SYNC_WHY_CLOSING);
		ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_NONE);
		ck_assert(sync_policy_short(&e));
	}
	e = rig_flow(1, IPPROTO_TCP, false);
	conf.protocols &= ~(1u << SYNC_PROTO_TCP);
	ck_assert_int_eq(judge(&e), SYNC_WHY_PROTO_OFF);
	conf.replicate = false;
	ck_assert_int_eq(judge(&e), SYNC_WHY_OFF);
}
END_TEST

/* Each rule alone against one translated flow. */
START_TEST(test_ignore)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, true);
	struct addr src = addr_from_bytes(ADDR_V4, e.orig.src), out = addr_from_bytes(ADDR_V4, e.reply.dst);
	const struct sync_ignore any = { .protocols = SYNC_PROTO_ALL, .port_high = UINT16_MAX, .any_zone = true };
	struct sync_ignore *g = &conf.ignore[0];
	uint16_t port = e.orig.dport;

	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	conf.n_ignore = 1;
#define RULE(hits, ...)                                                            \
	do {                                                                       \
		enum sync_why expect = (hits) ? SYNC_WHY_IGNORED : SYNC_WHY_NONE;  \
		*g = any;                                                          \
		__VA_ARGS__;                                                       \
		ck_assert_int_eq(judge(&e), expect);                               \
		ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), expect); \
	} while (0)
	RULE(true, g->net = src; g->plen = 32);
	RULE(true, g->net = out; g->plen = 32);
	RULE(true, g->net = src; g->plen = 8);
	RULE(false, g->net = addr_v4(172, 16, 0, 0); g->plen = 12);
	RULE(false, g->net.af = ADDR_V6; g->plen = 0);
	RULE(true, g->protocols = 1u << SYNC_PROTO_TCP);
	RULE(false, g->protocols = SYNC_PROTO_ALL & ~(1u << SYNC_PROTO_TCP));
	RULE(true, g->port_low = g->port_high = port);
	RULE(false, g->port_low = g->port_high = (uint16_t)(port + 1));
	RULE(true, g->port_low = (uint16_t)(port - 1); g->port_high = (uint16_t)(port + 1));
	RULE(true, g->any_zone = false);
	RULE(false, g->any_zone = false; g->zone = 1);
	RULE(false, g->port_low = g->port_high = port; g->net = addr_v4(172, 16, 0, 0); g->plen = 12);
	e = rig_flow(1, IPPROTO_ICMP, false);
	RULE(false, g->port_low = 1; g->port_high = 65535);
#undef RULE
	conf.n_ignore = 0;
}
END_TEST

START_TEST(test_local)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, true);

	/* Translated to the VIP: not local. To an address that stays: useless as a copy. */
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	memcpy(e.reply.dst, (uint8_t[]){ 203, 0, 113, 2 }, 4);
	ck_assert_int_eq(judge(&e), SYNC_WHY_NODE_ADDR);
	static const uint8_t own[][4] = { { 10, 0, 0, 1 }, { 203, 0, 113, 1 }, { 203, 0, 113, 2 }, { 127, 3, 2, 1 } };
	for (unsigned i = 0; i < 4; i++) {
		e = rig_flow(1, IPPROTO_TCP, true);
		memcpy(e.orig.src, own[i], 4);
		ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_ORIGIN);
		ck_assert_int_eq(sync_policy_judge(&conf, loc, &e, true), SYNC_WHY_LOCAL_ORIGIN);
		e = rig_flow(1, IPPROTO_TCP, false);
		memcpy(e.orig.dst, own[i], 4);
		memcpy(e.reply.src, own[i], 4);
		ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_DEST);
	}
	/* DNAT from the VIP to a server behind: the answer comes from the server, not local. */
	e = rig_flow(1, IPPROTO_TCP, false);
	memcpy(e.orig.dst, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	e.status |= CT_ST_DST_NAT;
	ck_assert_int_eq(judge(&e), SYNC_WHY_NONE);
	/* Groups are delivered here. */
	e = rig_flow(1, IPPROTO_UDP, false);
	memcpy(e.reply.src, (uint8_t[]){ 224, 0, 0, 18 }, 4);
	ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_DEST);
	memcpy(e.reply.src, (uint8_t[]){ 255, 255, 255, 255 }, 4);
	ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_DEST);
	e.orig.l3 = e.reply.l3 = 6;
	memset(e.reply.src, 0, 16);
	e.reply.src[0] = 0xff;
	ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_DEST);
	memcpy(e.reply.src, conf.vips[1].b, 16);
	ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_DEST);
	memset(e.reply.src, 0, 16);
	e.reply.src[15] = 1;
	ck_assert_int_eq(judge(&e), SYNC_WHY_LOCAL_DEST);
	/* An IPv6 address that begins like one of ours in IPv4. */
	e.reply.src[15] = 2;
	memcpy(e.orig.src, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	ck_assert_int_ne(judge(&e), SYNC_WHY_LOCAL_ORIGIN);
}
END_TEST

START_TEST(test_address_set)
{
	struct addr *many = calloc(SYNC_LOCAL_MAX + 1, sizeof(*many));

	for (unsigned i = 0; i <= SYNC_LOCAL_MAX; i++)
		many[i] = addr_v4(172, 16, (uint8_t)(i >> 8), (uint8_t)i);
	ck_assert_int_eq(sync_locals_set(loc, many, SYNC_LOCAL_MAX + 1), ERR_FULL);
	ck_assert_uint_eq(loc->n_own, 3);
	ck_assert_int_eq(sync_locals_set(loc, many, SYNC_LOCAL_MAX), 0);
	ck_assert(sync_locals_vanished(loc));
	for (unsigned i = 0; i < SYNC_LOCAL_MAX; i++)
		ck_assert(sync_local_is_own(loc, 4, many[i].b));
	ck_assert(!sync_local_is_own(loc, 4, (uint8_t[16]){ 10, 0, 0, 1 }));
	ck_assert(sync_local_is_own(loc, 4, (uint8_t[16]){ 203, 0, 113, 1 }));
	ck_assert_int_eq(sync_locals_set(loc, many, SYNC_LOCAL_MAX), 0);
	ck_assert(!sync_locals_vanished(loc));
	ck_assert_int_eq(sync_locals_set(loc, many, 1), 0);
	ck_assert(sync_locals_vanished(loc));
	ck_assert_int_eq(sync_locals_set(loc, NULL, 0), 0);
	ck_assert(!sync_local_is_own(loc, 4, many[0].b));
	free(many);
}
END_TEST

START_TEST(test_grants)
{
	struct sync_timeouts t;

	sync_timeouts_default(&t);
	for (uint8_t st = 0; st < 10; st++) {
		struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);
		e.tcp_state = st;
		bool lives = st == CT_TCP_ESTABLISHED || st == CT_TCP_FIN_WAIT || st == CT_TCP_CLOSE_WAIT;
		ck_assert(sync_policy_short(&e) == !lives);
		for (uint32_t left = 0; left < 700; left++) {
			uint32_t g = sync_policy_grant(&e, left, 300);
			if (!lives)
				ck_assert_uint_eq(g, left + 2);
			else
				ck_assert_uint_ge(g, left <= 598 ? left + 2 : 300);
			ck_assert(!lives || (g >= 300 && g <= 600));
		}
		ck_assert_uint_ge(sync_policy_full_timeout(&t, &e), 10);
	}
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);
	ck_assert_uint_eq(sync_policy_grant(&e, 432000, 300), 300);
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 432000);
	e = rig_flow(1, IPPROTO_UDP, false);
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 120);
	ck_assert(!sync_policy_short(&e));
	e.status = CT_ST_SEEN_REPLY;
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 30);
	e.status = 0;
	ck_assert(sync_policy_short(&e));
	ck_assert_uint_eq(sync_policy_grant(&e, 30, 300), 32);
	e.orig.l4 = IPPROTO_ICMP;
	ck_assert(sync_policy_short(&e));
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 30);
	e.orig.l4 = IPPROTO_ICMPV6;
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 30);
	e.orig.l4 = IPPROTO_GRE;
	ck_assert(!sync_policy_short(&e));
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), e.status & CT_ST_ASSURED ? 180 : 30);
	e.orig.l4 = IPPROTO_ESP;
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 600);
	e.orig.l4 = IPPROTO_SCTP;
	e.has |= CT_HAS_SCTP;
	e.sctp_state = CT_SCTP_COOKIE_WAIT;
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 3);
	/* In the fast path: a lasting flow, whatever is known of its state. */
	e = rig_flow(1, IPPROTO_TCP, false);
	e.tcp_state = CT_TCP_SYN_RECV;
	ck_assert(sync_policy_short(&e));
	e.status |= CT_ST_OFFLOAD;
	ck_assert(!sync_policy_short(&e));
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 432000);
	ck_assert_uint_eq(sync_policy_grant(&e, 10, 300), 300);
	e = rig_flow(1, IPPROTO_UDP, false);
	e.status = CT_ST_OFFLOAD;
	ck_assert(!sync_policy_short(&e));
	ck_assert_uint_eq(sync_policy_full_timeout(&t, &e), 120);
}
END_TEST

START_TEST(test_words)
{
	for (unsigned i = 0; i < SYNC_WHY_N; i++) {
		ck_assert(sync_why_word(i)[0] != 0 && sync_why_text(i)[0] != 0);
		ck_assert(sync_disposition_word(sync_why_disposition(i))[0] != 0);
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(sync_why_word(i), sync_why_word(k));
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("sync_policy");
	TCase *t = tcase_create("policy");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_tcp_states);
	tcase_add_test(t, test_named_states);
	tcase_add_test(t, test_short_services);
	tcase_add_test(t, test_interface);
	tcase_add_test(t, test_node_address);
	tcase_add_test(t, test_changed_addresses);
	tcase_add_test(t, test_udp_icmp_others);
	tcase_add_test(t, test_ignore);
	tcase_add_test(t, test_local);
	tcase_add_test(t, test_address_set);
	tcase_add_test(t, test_grants);
	tcase_add_test(t, test_words);
	suite_add_tcase(su, t);
	return su;
}

int main(void)
{
	return unit_run(suite());
}
