/* The conntrack script: what every kernel that keeptrackd runs on must do, and what the fake one does. */
#include "tests/sim/ct_script.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"

/* --- flows --- */

enum flow {
	F_TCP = 0,
	F_TCP_MIRROR, /* the reply of F_TCP as an original */
	F_UDP,
	F_SNAT,
	F_SNAT_TWIN, /* another client with the same public port */
	F_SNAT_ADDR, /* translated to an address, port kept */
	F_DNAT,
	F_DNAT_DIRECT, /* the same client straight to the inner server: same reply tuple */
	F_BOTH,
	F_IPVS, /* translated reply without NAT bits */
	F_ICMP,
	F_ICMP_SNAT,
	F_ESP,
	F_GRE,
	F_ZONE,
	F_ZONE_ORIG, /* a zone of the original direction only */
	F_FTP,
	F_FTP_DATA,
	F_ORPHAN,
	F_TCP6,
	F_SNAT6,
	F_ICMP6,
	F_SHORT,
	F_LO,
	F_LO_COPY,
	F_NONE,
	FLOWS
};

#define A4(a, b, c, d)     \
	{                  \
		a, b, c, d \
	}
#define A6(x)                                    \
	{                                        \
		0x20, 0x01, 0x0d, 0xb8, [15] = x \
	}
#define CLIENT  A4(10, 1, 0, 2)
#define CLIENT2 A4(10, 1, 0, 3)
#define INNER   A4(10, 1, 0, 5)
#define SERVER  A4(192, 0, 2, 10)
#define PUBLIC  A4(198, 51, 100, 1)
#define FAR     A4(203, 0, 113, 9)
#define LOCAL   A4(127, 0, 0, 1)
#define T4(p, s, sp, d, dp)                                                                  \
	{                                                                                    \
		.l3 = 4, .l4 = IPPROTO_##p, .src = s, .dst = d, .sport = (sp), .dport = (dp) \
	}
#define T6(p, s, sp, d, dp)                                                                  \
	{                                                                                    \
		.l3 = 6, .l4 = IPPROTO_##p, .src = s, .dst = d, .sport = (sp), .dport = (dp) \
	}
#define T4Z(p, s, sp, d, dp, z)                                                                           \
	{                                                                                                 \
		.l3 = 4, .l4 = IPPROTO_##p, .src = s, .dst = d, .sport = (sp), .dport = (dp), .zone = (z) \
	}

static const struct {
	struct ct_tuple orig, reply;
} flows[FLOWS] = {
	[F_TCP] = { T4(TCP, CLIENT, 1001, SERVER, 80), T4(TCP, SERVER, 80, CLIENT, 1001) },
	[F_TCP_MIRROR] = { T4(TCP, SERVER, 80, CLIENT, 1001), T4(TCP, CLIENT, 1001, SERVER, 80) },
	[F_UDP] = { T4(UDP, CLIENT, 1002, SERVER, 53), T4(UDP, SERVER, 53, CLIENT, 1002) },
	[F_SNAT] = { T4(TCP, CLIENT, 1003, SERVER, 443), T4(TCP, SERVER, 443, PUBLIC, 40003) },
	[F_SNAT_TWIN] = { T4(TCP, CLIENT2, 1003, SERVER, 443), T4(TCP, SERVER, 443, PUBLIC, 40003) },
	[F_SNAT_ADDR] = { T4(UDP, CLIENT, 1004, SERVER, 123), T4(UDP, SERVER, 123, PUBLIC, 1004) },
	[F_DNAT] = { T4(TCP, FAR, 5555, PUBLIC, 8080), T4(TCP, INNER, 80, FAR, 5555) },
	[F_DNAT_DIRECT] = { T4(TCP, FAR, 5555, INNER, 80), T4(TCP, INNER, 80, FAR, 5555) },
	[F_BOTH] = { T4(UDP, CLIENT, 1005, PUBLIC, 5000), T4(UDP, INNER, 6000, PUBLIC, 41005) },
	[F_IPVS] = { T4(TCP, FAR, 5556, PUBLIC, 81), T4(TCP, INNER, 81, FAR, 5556) },
	[F_ICMP] = { T4(ICMP, CLIENT, 77, SERVER, 8 << 8), T4(ICMP, SERVER, 77, CLIENT, 0) },
	[F_ICMP_SNAT] = { T4(ICMP, CLIENT, 78, SERVER, 8 << 8), T4(ICMP, SERVER, 4078, PUBLIC, 0) },
	[F_ESP] = { T4(ESP, CLIENT, 0, SERVER, 0), T4(ESP, SERVER, 0, CLIENT, 0) },
	[F_GRE] = { T4(GRE, CLIENT, 5, SERVER, 6), T4(GRE, SERVER, 6, CLIENT, 5) },
	[F_ZONE] = { T4Z(TCP, CLIENT, 1001, SERVER, 80, 7), T4Z(TCP, SERVER, 80, CLIENT, 1001, 7) },
	[F_ZONE_ORIG] = { T4Z(UDP, CLIENT, 1006, SERVER, 53, 9), T4(UDP, SERVER, 53, CLIENT, 1006) },
	[F_FTP] = { T4(TCP, CLIENT, 1021, SERVER, 21), T4(TCP, SERVER, 21, CLIENT, 1021) },
	[F_FTP_DATA] = { T4(TCP, SERVER, 20, CLIENT, 1022), T4(TCP, CLIENT, 1022, SERVER, 20) },
	[F_ORPHAN] = { T4(TCP, SERVER, 20, CLIENT, 1023), T4(TCP, CLIENT, 1023, SERVER, 20) },
	[F_TCP6] = { T6(TCP, A6(2), 1001, A6(16), 80), T6(TCP, A6(16), 80, A6(2), 1001) },
	[F_SNAT6] = { T6(UDP, A6(2), 1002, A6(16), 53), T6(UDP, A6(16), 53, A6(99), 41002) },
	[F_ICMP6] = { T6(ICMPV6, A6(2), 79, A6(16), 128 << 8), T6(ICMPV6, A6(16), 79, A6(2), 129 << 8) },
	[F_SHORT] = { T4(UDP, CLIENT, 1007, SERVER, 9), T4(UDP, SERVER, 9, CLIENT, 1007) },
	[F_LO] = { T4(UDP, LOCAL, 6001, LOCAL, 6002), T4(UDP, LOCAL, 6002, LOCAL, 6001) },
	[F_LO_COPY] = { T4(UDP, LOCAL, 6003, LOCAL, 6004), T4(UDP, LOCAL, 6004, LOCAL, 6003) },
	[F_NONE] = { T4(TCP, CLIENT, 9999, SERVER, 80), T4(TCP, SERVER, 80, CLIENT, 9999) },
};

/* --- steps --- */

enum kind { OP = 0, LISTEN, DEAF, WAIT, SEND };

/* What to spoil in a message that ct_wire_build made correctly. */
enum spoil {
	SPOIL_NONE = 0,
	NO_TIMEOUT,
	NO_REPLY,
	NO_STATUS,
	OTHER_PROTO,     /* the reply is of another protocol */
	RAW_STATUS,      /* step.raw as CTA_STATUS */
	SHOWN_REPLY,     /* the translated reply in place of the plain inverse */
	NO_NAT,          /* CTA_NAT_* taken out */
	SHOWN_NO_NAT,    /* both */
	ADD_NAT,         /* CTA_NAT_SRC put into an update */
	ADD_MASTER,      /* CTA_TUPLE_MASTER put into an update */
	ADD_HELPER,      /* CTA_HELP put into an update */
	SCALES_NO_FLAGS, /* window scales, flags without WINDOW_SCALE */
	BAD_ID,          /* CTA_ID of another entry */
};

enum { NO_EVENT = -1, GONE = 1 << 30 };

#define CONF     CT_ST_CONFIRMED
#define SEEN     (CT_ST_CONFIRMED | CT_ST_SEEN_REPLY)
#define SURE     (CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED)
#define NAT_DONE (CT_ST_SRC_NAT_DONE | CT_ST_DST_NAT_DONE)
#define WIN      (CT_TCP_WINDOW_SCALE | CT_TCP_SACK_PERM | CT_TCP_BE_LIBERAL)

struct step {
	const char *what;
	enum kind kind;
	enum flow flow;
	enum ct_op_type op;
	enum spoil spoil;
	/* what the operation carries: CT_HAS_* and values */
	uint32_t has, status, timeout_s, mark, raw;
	uint8_t tcp_state, tcp_flags;
	const char *helper;
	enum flow master;
	unsigned seconds;
	bool back; /* SEND: from the second port to the first */
	/* what must come of it */
	int err;
	int event;     /* enum ct_event_type or NO_EVENT */
	uint32_t look; /* GONE, or CT_HAS_* to compare with what follows, by a GET */
	uint32_t st, left_min, left_max, shows;
};

#define STATUS     CT_HAS_STATUS
#define TIMEOUT    CT_HAS_TIMEOUT
#define TCP_ST     CT_HAS_TCP
#define TCP_ALL    (CT_HAS_TCP | CT_HAS_TCP_WIN)
#define REPLY      CT_HAS_REPLY
#define LEFT(a, b) .left_min = (a), .left_max = (b)
/* a full copy of a session, as the standby injects it */
#define COPY       .has = REPLY | STATUS | TIMEOUT
#define TCP_COPY   .has = REPLY | STATUS | TIMEOUT | TCP_ALL, .tcp_state = CT_TCP_ESTABLISHED, .tcp_flags = WIN
#define NOT_MADE   .event = NO_EVENT, .look = GONE

static const struct step steps[] = {
	{ "nobody listens to NEW", OP, F_UDP, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 100, .event = NO_EVENT,
	  .look = STATUS | TIMEOUT, .st = SEEN, LEFT(90, 100) },
	{ "DESTROY is heard all the same", OP, F_UDP, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "join NEW and UPDATE", LISTEN, F_NONE, .event = NO_EVENT },

	{ "TCP copy", OP, F_TCP, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 300, .event = CT_EV_NEW,
	  .look = STATUS | TIMEOUT | TCP_ALL | REPLY, .st = SURE, LEFT(280, 300) },
	{ "the same again", OP, F_TCP, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 300, .err = -EEXIST,
	  .event = NO_EVENT },
	{ "its reply as an original", OP, F_TCP_MIRROR, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 300,
	  .err = -EEXIST, .event = NO_EVENT },
	{ "renewal", OP, F_TCP, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 600, .event = CT_EV_UPDATE,
	  .look = STATUS | TIMEOUT, .st = SURE, LEFT(580, 600) },
	{ "renewal of nothing", OP, F_NONE, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 600, .err = -ENOENT,
	  .event = NO_EVENT },
	{ "update of state and timer", OP, F_TCP, CT_OP_UPDATE, .has = STATUS | TIMEOUT | TCP_ALL, .status = SURE,
	  .timeout_s = 120, .tcp_state = CT_TCP_FIN_WAIT, .tcp_flags = WIN, .event = CT_EV_UPDATE,
	  .look = STATUS | TIMEOUT | TCP_ALL, .st = SURE, LEFT(110, 120) },
	{ "BE_LIBERAL taken off", OP, F_TCP, CT_OP_UPDATE, .has = TCP_ALL, .tcp_state = CT_TCP_FIN_WAIT,
	  .tcp_flags = WIN & ~CT_TCP_BE_LIBERAL, .event = CT_EV_UPDATE, .look = TCP_ALL },
	{ "BE_LIBERAL alone, set", OP, F_TCP, CT_OP_UPDATE, .has = CT_HAS_TCP_WIN, .tcp_state = CT_TCP_FIN_WAIT,
	  .tcp_flags = WIN, .event = CT_EV_UPDATE, .look = TCP_ALL },
	{ "BE_LIBERAL alone, taken off", OP, F_TCP, CT_OP_UPDATE, .has = CT_HAS_TCP_WIN, .tcp_state = CT_TCP_FIN_WAIT,
	  .tcp_flags = WIN & ~CT_TCP_BE_LIBERAL, .event = CT_EV_UPDATE, .look = TCP_ALL },
	{ "clearing ASSURED", OP, F_TCP, CT_OP_UPDATE, .has = STATUS, .status = SEEN, .err = -EBUSY, .event = NO_EVENT,
	  .look = STATUS, .st = SURE },
	{ "clearing SEEN_REPLY", OP, F_TCP, CT_OP_UPDATE, .has = STATUS, .status = CONF | CT_ST_ASSURED, .err = -EBUSY,
	  .event = NO_EVENT, .look = STATUS, .st = SURE },
	{ "a failing update has set the timer before", OP, F_TCP, CT_OP_UPDATE, .has = STATUS | TIMEOUT, .status = SEEN,
	  .timeout_s = 900, .err = -EBUSY, .event = NO_EVENT, .look = TIMEOUT, LEFT(880, 900) },
	{ "a mark", OP, F_TCP, CT_OP_UPDATE, .has = CT_HAS_MARK, .mark = 0x1234, .event = CT_EV_UPDATE,
	  .look = CT_HAS_MARK },
	{ "NAT in an update", OP, F_TCP, CT_OP_UPDATE, ADD_NAT, .has = TIMEOUT, .timeout_s = 500, .err = -EOPNOTSUPP,
	  .event = NO_EVENT },
	{ "a master in an update", OP, F_TCP, CT_OP_UPDATE, ADD_MASTER, .has = TIMEOUT, .timeout_s = 500,
	  .err = -EOPNOTSUPP, .event = NO_EVENT },
	{ "a helper in an update", OP, F_TCP, CT_OP_UPDATE, ADD_HELPER, .has = TIMEOUT, .timeout_s = 500,
	  .err = -EOPNOTSUPP, .event = NO_EVENT, .look = TIMEOUT, LEFT(880, 900) },
	{ "DYING in an update", OP, F_TCP, CT_OP_UPDATE, RAW_STATUS, .has = STATUS, .raw = SURE | CT_ST_DYING,
	  .err = -EBUSY, .event = NO_EVENT },
	{ "delete with another's id", OP, F_TCP, CT_OP_DELETE, BAD_ID, .err = -ENOENT, .event = NO_EVENT,
	  .look = STATUS, .st = SURE },
	{ "delete by the reply tuple", OP, F_TCP_MIRROR, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "delete of nothing", OP, F_TCP, CT_OP_DELETE, .err = -ENOENT, .event = NO_EVENT },
	{ "get of nothing", OP, F_TCP, CT_OP_GET, .err = -ENOENT, .event = NO_EVENT },

	{ "create without a timeout", OP, F_TCP, CT_OP_CREATE, NO_TIMEOUT, TCP_COPY, .status = SURE, .timeout_s = 1,
	  .err = -EINVAL, NOT_MADE },
	{ "create without a reply tuple", OP, F_TCP, CT_OP_CREATE, NO_REPLY, TCP_COPY, .status = SURE, .timeout_s = 100,
	  .err = -EINVAL, NOT_MADE },
	{ "create with two protocols", OP, F_TCP, CT_OP_CREATE, OTHER_PROTO, TCP_COPY, .status = SURE, .timeout_s = 100,
	  .err = -EINVAL, NOT_MADE },
	{ "create without CONFIRMED", OP, F_TCP, CT_OP_CREATE, RAW_STATUS, TCP_COPY, .raw = CT_ST_SEEN_REPLY,
	  .timeout_s = 100, .err = -EBUSY, NOT_MADE },
	{ "create with EXPECTED", OP, F_TCP, CT_OP_CREATE, RAW_STATUS, TCP_COPY, .raw = SURE | CT_ST_EXPECTED,
	  .timeout_s = 100, .err = -EBUSY, NOT_MADE },
	{ "create with DYING", OP, F_TCP, CT_OP_CREATE, RAW_STATUS, TCP_COPY, .raw = SURE | CT_ST_DYING,
	  .timeout_s = 100, .err = -EBUSY, NOT_MADE },
	{ "create without a status", OP, F_UDP, CT_OP_CREATE, NO_STATUS, COPY, .timeout_s = 100, .event = CT_EV_NEW,
	  .look = STATUS, .st = CONF },
	{ "SEEN_REPLY and ASSURED added", OP, F_UDP, CT_OP_UPDATE, .has = STATUS, .status = SURE, .event = CT_EV_UPDATE,
	  .look = STATUS, .st = SURE },
	{ "remove it", OP, F_UDP, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "NAT, SEQ_ADJUST and OFFLOAD bits are ignored", OP, F_UDP, CT_OP_CREATE, RAW_STATUS, COPY,
	  .raw = SURE | NAT_DONE | CT_ST_SRC_NAT | CT_ST_SEQ_ADJUST | CT_ST_OFFLOAD, .timeout_s = 100,
	  .event = CT_EV_NEW, .look = STATUS, .st = SURE },
	{ "remove it too", OP, F_UDP, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "FIXED_TIMEOUT is accepted", OP, F_UDP, CT_OP_CREATE, RAW_STATUS, COPY, .raw = SURE | CT_ST_FIXED_TIMEOUT,
	  .timeout_s = 100, .event = CT_EV_NEW, .look = STATUS, .st = SURE | CT_ST_FIXED_TIMEOUT },
	{ "and then no timer can be changed", OP, F_UDP, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 600, .err = -EPERM,
	  .event = NO_EVENT, .look = TIMEOUT, LEFT(90, 100) },
	{ "remove the fixed one", OP, F_UDP, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "scales without the flag are not stored", OP, F_TCP, CT_OP_CREATE, SCALES_NO_FLAGS, TCP_COPY, .status = SURE,
	  .timeout_s = 100, .event = CT_EV_NEW, .look = STATUS, .st = SURE },
	{ "remove the scaleless one", OP, F_TCP, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },

	{ "SNAT copy", OP, F_SNAT, CT_OP_CREATE, TCP_COPY, .status = SURE | CT_ST_SRC_NAT | NAT_DONE, .timeout_s = 300,
	  .event = CT_EV_NEW, .look = STATUS | REPLY | TCP_ALL, .st = SURE | CT_ST_SRC_NAT | NAT_DONE },
	{ "the same public port twice", OP, F_SNAT_TWIN, CT_OP_CREATE, TCP_COPY,
	  .status = SURE | CT_ST_SRC_NAT | NAT_DONE, .timeout_s = 300, .err = -EEXIST, NOT_MADE },
	{ "renewal of a NAT entry", OP, F_SNAT, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 600, .event = CT_EV_UPDATE,
	  .look = STATUS | TIMEOUT | REPLY, .st = SURE | CT_ST_SRC_NAT | NAT_DONE, LEFT(580, 600) },
	{ "remove the SNAT copy", OP, F_SNAT, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "the NAT trap: translated reply and CTA_NAT_SRC", OP, F_SNAT, CT_OP_CREATE, SHOWN_REPLY, TCP_COPY,
	  .status = SURE | CT_ST_SRC_NAT | NAT_DONE, .timeout_s = 300, .event = CT_EV_NEW, .look = STATUS | REPLY,
	  .st = SURE | NAT_DONE },
	{ "remove the trapped one", OP, F_SNAT, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "translated reply without CTA_NAT_SRC", OP, F_SNAT, CT_OP_CREATE, SHOWN_NO_NAT, TCP_COPY,
	  .status = SURE | CT_ST_SRC_NAT | NAT_DONE, .timeout_s = 300, .event = CT_EV_NEW, .look = STATUS | REPLY,
	  .st = SURE },
	{ "remove that one", OP, F_SNAT, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "SNAT that keeps the port", OP, F_SNAT_ADDR, CT_OP_CREATE, COPY, .status = SEEN | CT_ST_SRC_NAT | NAT_DONE,
	  .timeout_s = 100, .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SEEN | CT_ST_SRC_NAT | NAT_DONE },
	{ "DNAT copy", OP, F_DNAT, CT_OP_CREATE, TCP_COPY, .status = SURE | CT_ST_DST_NAT | NAT_DONE, .timeout_s = 300,
	  .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SURE | CT_ST_DST_NAT | NAT_DONE },
	{ "its reply tuple is taken", OP, F_DNAT_DIRECT, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 300,
	  .err = -EEXIST, NOT_MADE },
	{ "remove the DNAT copy", OP, F_DNAT, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "the direct one first", OP, F_DNAT_DIRECT, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 300,
	  .event = CT_EV_NEW, .look = STATUS, .st = SURE },
	{ "then the DNAT copy collides, no port is moved", OP, F_DNAT, CT_OP_CREATE, TCP_COPY,
	  .status = SURE | CT_ST_DST_NAT | NAT_DONE, .timeout_s = 300, .err = -EEXIST, NOT_MADE },
	{ "SNAT and DNAT", OP, F_BOTH, CT_OP_CREATE, COPY, .status = SURE | CT_ST_SRC_NAT | CT_ST_DST_NAT | NAT_DONE,
	  .timeout_s = 100, .event = CT_EV_NEW, .look = STATUS | REPLY,
	  .st = SURE | CT_ST_SRC_NAT | CT_ST_DST_NAT | NAT_DONE },
	{ "a translated reply without NAT bits stays so", OP, F_IPVS, CT_OP_CREATE, TCP_COPY, .status = SURE,
	  .timeout_s = 100, .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SURE },

	{ "ICMP", OP, F_ICMP, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 30, .event = CT_EV_NEW,
	  .look = STATUS | REPLY, .st = SEEN },
	{ "ICMP with SNAT of the id", OP, F_ICMP_SNAT, CT_OP_CREATE, COPY, .status = SEEN | CT_ST_SRC_NAT | NAT_DONE,
	  .timeout_s = 30, .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SEEN | CT_ST_SRC_NAT | NAT_DONE },
	{ "ESP: a protocol without ports", OP, F_ESP, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 100,
	  .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SEEN },
	{ "GRE with keys", OP, F_GRE, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 100, .event = CT_EV_NEW,
	  .look = STATUS | REPLY, .st = SEEN },
	{ "TCP in a zone", OP, F_ZONE, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 100, .event = CT_EV_NEW,
	  .look = STATUS | REPLY, .st = SURE },
	{ "the same tuple outside the zone", OP, F_TCP, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 100,
	  .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SURE },
	{ "delete in the zone only", OP, F_ZONE, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },
	{ "the other one is there", OP, F_TCP, CT_OP_GET, .event = NO_EVENT, .look = STATUS, .st = SURE },
	{ "a zone of one direction", OP, F_ZONE_ORIG, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 100,
	  .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SEEN },
	{ "renewal in it", OP, F_ZONE_ORIG, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 200, .event = CT_EV_UPDATE,
	  .look = TIMEOUT, LEFT(180, 200) },
	{ "an unknown helper", OP, F_FTP, CT_OP_CREATE, .has = REPLY | STATUS | TIMEOUT | CT_HAS_HELPER, .status = SURE,
	  .timeout_s = 100, .helper = "nosuchhelper", .err = -EOPNOTSUPP, NOT_MADE },
	{ "a master with a helper", OP, F_FTP, CT_OP_CREATE, .has = REPLY | STATUS | TIMEOUT | TCP_ALL | CT_HAS_HELPER,
	  .status = SURE, .timeout_s = 100, .tcp_state = CT_TCP_ESTABLISHED, .tcp_flags = WIN, .helper = "ftp",
	  .event = CT_EV_NEW, .look = STATUS | CT_HAS_HELPER, .st = SURE | 1 << 13 },
	{ "an update of it", OP, F_FTP, CT_OP_UPDATE, .has = STATUS | TIMEOUT, .status = SURE, .timeout_s = 200,
	  .event = CT_EV_UPDATE, .look = STATUS, .st = SURE | 1 << 13 },
	{ "a related one", OP, F_FTP_DATA, CT_OP_CREATE, .has = REPLY | STATUS | TIMEOUT | TCP_ALL | CT_HAS_MASTER,
	  .status = SURE | CT_ST_EXPECTED, .timeout_s = 100, .tcp_state = CT_TCP_ESTABLISHED, .tcp_flags = WIN,
	  .master = F_FTP, .event = CT_EV_NEW, .look = STATUS | CT_HAS_MASTER, .st = SURE | CT_ST_EXPECTED },
	{ "update of a related one keeps EXPECTED", OP, F_FTP_DATA, CT_OP_UPDATE, .has = STATUS | TIMEOUT,
	  .status = SURE | CT_ST_EXPECTED, .timeout_s = 200, .event = CT_EV_UPDATE, .look = STATUS | TIMEOUT,
	  .st = SURE | CT_ST_EXPECTED, LEFT(180, 200) },
	{ "update of a related one without EXPECTED", OP, F_FTP_DATA, CT_OP_UPDATE, .has = STATUS, .status = SURE,
	  .err = -EBUSY, .event = NO_EVENT },
	{ "a related one whose master is missing", OP, F_ORPHAN, CT_OP_CREATE,
	  .has = REPLY | STATUS | TIMEOUT | CT_HAS_MASTER, .status = SURE, .timeout_s = 100, .master = F_NONE,
	  .err = -ENOENT, NOT_MADE },

	{ "IPv6 TCP", OP, F_TCP6, CT_OP_CREATE, TCP_COPY, .status = SURE, .timeout_s = 300, .event = CT_EV_NEW,
	  .look = STATUS | REPLY | TCP_ALL, .st = SURE },
	{ "IPv6 SNAT", OP, F_SNAT6, CT_OP_CREATE, COPY, .status = SEEN | CT_ST_SRC_NAT | NAT_DONE, .timeout_s = 100,
	  .event = CT_EV_NEW, .look = STATUS | REPLY, .st = SEEN | CT_ST_SRC_NAT | NAT_DONE },
	{ "ICMPv6", OP, F_ICMP6, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 30, .event = CT_EV_NEW,
	  .look = STATUS | REPLY, .st = SEEN },
	{ "IPv6 renewal", OP, F_TCP6, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 600, .event = CT_EV_UPDATE,
	  .look = TIMEOUT, LEFT(580, 600) },
	{ "IPv6 delete", OP, F_TCP6, CT_OP_DELETE, .event = CT_EV_DESTROY, .look = GONE },

	{ "leave NEW and UPDATE", DEAF, F_NONE, .event = NO_EVENT },
	{ "renewal unheard", OP, F_TCP, CT_OP_RENEW, .has = TIMEOUT, .timeout_s = 600, .event = NO_EVENT,
	  .look = TIMEOUT, LEFT(580, 600) },
	{ "join again", LISTEN, F_NONE, .event = NO_EVENT },
	{ "a short timer", OP, F_SHORT, CT_OP_CREATE, COPY, .status = SEEN, .timeout_s = 2, .event = CT_EV_NEW },
	{ "runs out", WAIT, F_SHORT, .seconds = 2, .event = CT_EV_DESTROY, .look = GONE },

	{ "a packet makes a session", SEND, F_LO, .event = CT_EV_NEW, .look = STATUS | TIMEOUT, .st = CONF,
	  LEFT(28, 30) },
	{ "a second later the next sets the timer, no event", WAIT, F_LO, .seconds = 1, .event = NO_EVENT,
	  .look = TIMEOUT, LEFT(25, 28) },
	{ "this one", SEND, F_LO, .event = NO_EVENT, .look = STATUS | TIMEOUT, .st = CONF, LEFT(29, 30) },
	{ "the first answer", SEND, F_LO, .back = true, .event = CT_EV_UPDATE, .look = STATUS | TIMEOUT, .st = SEEN,
	  LEFT(29, 30) },
	{ "two seconds after its start", WAIT, F_LO, .seconds = 1, .event = NO_EVENT },
	{ "it is a stream and assured", SEND, F_LO, .event = CT_EV_UPDATE, .look = STATUS | TIMEOUT, .st = SURE,
	  LEFT(110, 120) },
	{ "a lease on a copy", OP, F_LO_COPY, CT_OP_CREATE, COPY, .status = SURE, .timeout_s = 600, .event = CT_EV_NEW,
	  .look = TIMEOUT, LEFT(580, 600) },
	{ "the first packet ends it, no event", SEND, F_LO_COPY, .event = NO_EVENT, .look = STATUS | TIMEOUT,
	  .st = SURE, LEFT(110, 120) },
};

unsigned ct_script_steps(void)
{
	return sizeof(steps) / sizeof(steps[0]);
}

/* --- messages --- */

static void step_op(const struct step *s, struct ct_op *op)
{
	memset(op, 0, sizeof(*op));
	struct ct_entry *e = &op->e;
	op->type = s->op;
	e->orig = flows[s->flow].orig;
	e->reply = flows[s->flow].reply;
	e->has = s->has;
	e->status = s->status;
	e->timeout_s = s->timeout_s;
	e->mark = s->mark;
	e->tcp_state = s->tcp_state;
	e->tcp_flags[0] = e->tcp_flags[1] = s->tcp_flags;
	e->tcp_wscale[0] = 7;
	e->tcp_wscale[1] = 9;
	if (s->helper)
		snprintf(e->helper, sizeof(e->helper), "%s", s->helper);
	if (s->has & CT_HAS_MASTER)
		e->master = flows[s->master].orig;
	if (s->spoil == SCALES_NO_FLAGS)
		e->tcp_flags[0] = e->tcp_flags[1] = CT_TCP_BE_LIBERAL;
	if (s->spoil == BAD_ID) {
		e->has |= CT_HAS_ID;
		e->id = 0x01020304;
	}
}

static void put_v4_tuple(struct nlmsghdr *h, uint16_t type, const struct ct_tuple *t)
{
	struct nlattr *outer = mnl_attr_nest_start(h, type);
	struct nlattr *in = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put(h, CTA_IP_V4_SRC, 4, t->src);
	mnl_attr_put(h, CTA_IP_V4_DST, 4, t->dst);
	mnl_attr_nest_end(h, in);
	in = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, t->l4);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(t->sport));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(t->dport));
	mnl_attr_nest_end(h, in);
	mnl_attr_nest_end(h, outer);
}

static bool spoiled_away(enum spoil sp, uint16_t type)
{
	switch (sp) {
	case NO_TIMEOUT:
		return type == CTA_TIMEOUT;
	case NO_REPLY:
	case OTHER_PROTO:
	case SHOWN_REPLY:
		return type == CTA_TUPLE_REPLY;
	case NO_STATUS:
	case RAW_STATUS:
		return type == CTA_STATUS;
	case NO_NAT:
		return type == CTA_NAT_SRC || type == CTA_NAT_DST;
	case SHOWN_NO_NAT:
		return type == CTA_NAT_SRC || type == CTA_NAT_DST || type == CTA_TUPLE_REPLY;
	case SPOIL_NONE:
	case ADD_NAT:
	case ADD_MASTER:
	case ADD_HELPER:
	case SCALES_NO_FLAGS:
	case BAD_ID:
		break;
	}
	return false;
}

static void spoil_add(struct nlmsghdr *h, const struct step *s)
{
	struct ct_tuple t = flows[s->flow].reply;
	struct nlattr *nest;
	switch (s->spoil) {
	case OTHER_PROTO:
		t.l4 = IPPROTO_UDP;
		put_v4_tuple(h, CTA_TUPLE_REPLY, &t);
		break;
	case SHOWN_REPLY:
	case SHOWN_NO_NAT:
		put_v4_tuple(h, CTA_TUPLE_REPLY, &t);
		break;
	case RAW_STATUS:
		mnl_attr_put_u32(h, CTA_STATUS, htonl(s->raw));
		break;
	case ADD_NAT:
		nest = mnl_attr_nest_start(h, CTA_NAT_SRC);
		mnl_attr_put(h, CTA_NAT_V4_MINIP, 4, t.dst);
		mnl_attr_nest_end(h, nest);
		break;
	case ADD_MASTER:
		put_v4_tuple(h, CTA_TUPLE_MASTER, &flows[F_NONE].orig);
		break;
	case ADD_HELPER:
		nest = mnl_attr_nest_start(h, CTA_HELP);
		mnl_attr_put_strz(h, CTA_HELP_NAME, "ftp");
		mnl_attr_nest_end(h, nest);
		break;
	case SPOIL_NONE:
	case NO_TIMEOUT:
	case NO_REPLY:
	case NO_STATUS:
	case NO_NAT:
	case SCALES_NO_FLAGS:
	case BAD_ID:
		break;
	}
}

/* The message of the step in buf; its length. */
static size_t step_msg(const struct step *s, uint8_t *buf, size_t cap)
{
	uint8_t good[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(good, sizeof(good));
	struct ct_op op;
	step_op(s, &op);
	require(!ct_wire_build(&w, &op, 1));
	const struct nlmsghdr *from = (const struct nlmsghdr *)good;
	require(mnl_nlmsg_ok(from, (int)wire_len(&w)));
	memset(buf, 0, cap);
	struct nlmsghdr *to = (struct nlmsghdr *)buf;
	size_t head = MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg);
	memcpy(buf, good, head);
	to->nlmsg_len = (uint32_t)head;
	const struct nlattr *a;
	mnl_attr_for_each(a, from, sizeof(struct nfgenmsg))
	{
		if (spoiled_away(s->spoil, mnl_attr_get_type(a)))
			continue;
		memcpy(buf + to->nlmsg_len, a, a->nla_len);
		to->nlmsg_len += MNL_ALIGN(a->nla_len);
	}
	spoil_add(to, s);
	require(to->nlmsg_len <= cap);
	return to->nlmsg_len;
}

/* --- running and comparing --- */

struct outcome {
	int err;
	unsigned n_events;
	struct ct_event event; /* the first one */
	int get_err;
	struct ct_event seen;
};

struct run {
	ct_script_say say;
	void *arg;
	const struct step *step;
	const struct ct_backend *b;
	unsigned diffs;
};

static void differ(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void differ(struct run *r, const char *fmt, ...)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "step %u (%s), %s: ", (unsigned)(r->step - steps) + 1, r->step->what,
			 r->b->name);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	r->say(r->arg, line);
	r->diffs++;
}

static int get(const struct ct_backend *b, enum flow flow, struct ct_event *got)
{
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct ct_op op = { .type = CT_OP_GET };
	op.e.orig = flows[flow].orig;
	require(!ct_wire_build(&w, &op, 1));
	memset(got, 0, sizeof(*got));
	return b->msg(b->self, buf, wire_len(&w), got);
}

static void act(const struct step *s, const struct ct_backend *b, struct outcome *o)
{
	uint8_t buf[2 * CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	memset(o, 0, sizeof(*o));
	const struct ct_tuple *t = &flows[s->flow].orig;
	switch (s->kind) {
	case OP:
		o->err = b->msg(b->self, buf, step_msg(s, buf, sizeof(buf)), &o->seen);
		break;
	case LISTEN:
	case DEAF:
		b->listen(b->self, s->kind == LISTEN);
		break;
	case WAIT:
		b->wait(b->self, s->seconds);
		break;
	case SEND:
		b->packet(b->self, s->back ? t->dport : t->sport, s->back ? t->sport : t->dport);
		break;
	}
	/* looking first: the real table removes what has run out when it meets it */
	o->get_err = get(b, s->flow, &o->seen);
	struct ct_event ev;
	while (b->event(b->self, &ev)) {
		if (!o->n_events++)
			o->event = ev;
	}
}

static void check_events(struct run *r, const struct outcome *o)
{
	const struct step *s = r->step;
	unsigned want = s->event != NO_EVENT;
	if (o->n_events != want) {
		differ(r, "%u events, expected %u (first type %d)", o->n_events, want,
		       o->n_events ? (int)o->event.type : -1);
		return;
	}
	if (!want)
		return;
	if ((int)o->event.type != s->event)
		differ(r, "event type %d, expected %d", (int)o->event.type, s->event);
	bool kernel_own = s->kind == WAIT || s->kind == SEND;
	if (!o->event.portid != kernel_own)
		differ(r, "the event carries port id %u", o->event.portid);
}

static void check_entry(struct run *r, const struct ct_entry *e)
{
	const struct step *s = r->step;
	char text[CT_TUPLE_TEXT];
	if ((s->look & STATUS) && e->status != s->st)
		differ(r, "status 0x%x, expected 0x%x", e->status, s->st);
	if ((s->look & TIMEOUT) && (e->timeout_s < s->left_min || e->timeout_s > s->left_max))
		differ(r, "%u s left, expected %u to %u", e->timeout_s, s->left_min, s->left_max);
	if ((s->look & REPLY) && !ct_tuple_equal(&e->reply, &flows[s->flow].reply))
		differ(r, "reply tuple is %s", ct_tuple_text(&e->reply, text));
	if ((s->look & TCP_ST) && e->tcp_state != s->tcp_state)
		differ(r, "TCP state %u, expected %u", e->tcp_state, s->tcp_state);
	if ((s->look & CT_HAS_TCP_WIN) && (e->tcp_flags[0] != s->tcp_flags || e->tcp_flags[1] != s->tcp_flags ||
					   e->tcp_wscale[0] != 7 || e->tcp_wscale[1] != 9))
		differ(r, "TCP flags 0x%x 0x%x scales %u %u", e->tcp_flags[0], e->tcp_flags[1], e->tcp_wscale[0],
		       e->tcp_wscale[1]);
	if ((s->look & CT_HAS_MARK) && e->mark != s->mark)
		differ(r, "mark 0x%x, expected 0x%x", e->mark, s->mark);
	if ((s->look & CT_HAS_HELPER) && strcmp(e->helper, s->helper))
		differ(r, "helper \"%s\", expected \"%s\"", e->helper, s->helper);
	if ((s->look & CT_HAS_MASTER) && !ct_tuple_equal(&e->master, &flows[s->master].orig))
		differ(r, "master is %s", ct_tuple_text(&e->master, text));
}

static void check(struct run *r, const struct outcome *o)
{
	const struct step *s = r->step;
	if (o->err != s->err)
		differ(r, "result %d (%s), expected %d (%s)", o->err, strerror(-o->err), s->err, strerror(-s->err));
	check_events(r, o);
	if (s->look == GONE && o->get_err != -ENOENT)
		differ(r, "the entry is there (or the look-up failed otherwise: %d)", o->get_err);
	else if (s->look && s->look != GONE && o->get_err)
		differ(r, "the entry cannot be read: %d (%s)", o->get_err, strerror(-o->get_err));
	else if (s->look && s->look != GONE)
		check_entry(r, &o->seen.e);
}

/* Every field, the id and a second of time apart. */
static bool same_entry(struct ct_entry a, struct ct_entry b)
{
	uint32_t d = a.timeout_s > b.timeout_s ? a.timeout_s - b.timeout_s : b.timeout_s - a.timeout_s;
	if (d > 1)
		return false;
	a.timeout_s = b.timeout_s = a.id = b.id = 0;
	return !memcmp(&a, &b, sizeof(a));
}

static void entry_text(const struct ct_entry *e, char *out, size_t cap)
{
	char o[CT_TUPLE_TEXT], p[CT_TUPLE_TEXT];
	snprintf(out, cap, "has 0x%x st 0x%x t %u mark %u tcp %u/%x,%x/%u,%u %s | %s", e->has, e->status, e->timeout_s,
		 e->mark, e->tcp_state, e->tcp_flags[0], e->tcp_flags[1], e->tcp_wscale[0], e->tcp_wscale[1],
		 ct_tuple_text(&e->orig, o), ct_tuple_text(&e->reply, p));
}

static void compare(struct run *r, const struct outcome *o, const struct outcome *first, const char *first_name)
{
	char a[400], b[400];
	if (o->get_err != first->get_err)
		differ(r, "look-up gives %d, %s gives %d", o->get_err, first_name, first->get_err);
	else if (!o->get_err && !same_entry(o->seen.e, first->seen.e)) {
		entry_text(&o->seen.e, a, sizeof(a));
		entry_text(&first->seen.e, b, sizeof(b));
		differ(r, "the entry is not as in %s: %s", first_name, a);
		differ(r, "... %s has %s", first_name, b);
	}
	if (o->n_events && first->n_events && !same_entry(o->event.e, first->event.e)) {
		entry_text(&o->event.e, a, sizeof(a));
		entry_text(&first->event.e, b, sizeof(b));
		differ(r, "the event is not as in %s: %s", first_name, a);
		differ(r, "... %s has %s", first_name, b);
	}
}

unsigned ct_script_run(const struct ct_backend *const *b, unsigned n, ct_script_say say, void *arg)
{
	struct run r = { .say = say, .arg = arg };
	for (unsigned i = 0; i < ct_script_steps(); i++) {
		struct outcome o, first;
		r.step = &steps[i];
		for (unsigned k = 0; k < n; k++) {
			r.b = b[k];
			act(r.step, b[k], &o);
			check(&r, &o);
			if (k)
				compare(&r, &o, &first, b[0]->name);
			else
				first = o;
		}
	}
	return r.diffs;
}
