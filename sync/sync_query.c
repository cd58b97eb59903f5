/* What a look at the session table is limited to. */
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include "sync/sync_query.h"

static const struct {
	const char *name, *code;
} tcp_states[] = {
	[CT_TCP_NONE] = { "NONE", "NO" },
	[CT_TCP_SYN_SENT] = { "SYN_SENT", "SS" },
	[CT_TCP_SYN_RECV] = { "SYN_RECV", "SR" },
	[CT_TCP_ESTABLISHED] = { "ESTABLISHED", "ES" },
	[CT_TCP_FIN_WAIT] = { "FIN_WAIT", "FW" },
	[CT_TCP_CLOSE_WAIT] = { "CLOSE_WAIT", "CW" },
	[CT_TCP_LAST_ACK] = { "LAST_ACK", "LA" },
	[CT_TCP_TIME_WAIT] = { "TIME_WAIT", "TW" },
	[CT_TCP_CLOSE] = { "CLOSE", "CL" },
	/* both ends opened at once: the number that once meant LISTEN */
	[CT_TCP_SYN_SENT2] = { "SYN_SENT2", "LI" },
};
#define N_STATES (sizeof(tcp_states) / sizeof(tcp_states[0]))

static const struct {
	uint8_t l4;
	const char *name;
} protocols[] = {
	{ IPPROTO_TCP, "tcp" },         { IPPROTO_UDP, "udp" },   { IPPROTO_ICMP, "icmp" },
	{ IPPROTO_ICMPV6, "icmpv6" },   { IPPROTO_SCTP, "sctp" }, { IPPROTO_DCCP, "dccp" },
	{ IPPROTO_UDPLITE, "udplite" }, { IPPROTO_GRE, "gre" },   { IPPROTO_ESP, "esp" },
	{ IPPROTO_AH, "ah" },           { 89, "ospf" },           { 112, "vrrp" },
};
#define N_PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

static bool in_net(uint8_t l3, const uint8_t *bytes, const struct addr *net, uint8_t len)
{
	struct addr a = addr_from_bytes(l3, bytes);

	return net->af == ADDR_NONE || addr_in_prefix(&a, net, len);
}

static bool has_ports(uint8_t l4)
{
	return l4 != IPPROTO_ICMP && l4 != IPPROTO_ICMPV6;
}

static bool port_is(const struct ct_entry *e, uint16_t port)
{
	if (!has_ports(e->orig.l4))
		return false;
	if (e->orig.sport == port || e->orig.dport == port)
		return true;
	return e->has & CT_HAS_REPLY && (e->reply.sport == port || e->reply.dport == port);
}

static bool protocol_is(uint8_t want, uint8_t l4)
{
	return want == l4 || (want == IPPROTO_ICMP && l4 == IPPROTO_ICMPV6);
}

bool sync_query_match(const struct sync_query *q, const struct ct_entry *e, enum sync_disposition d, bool mine)
{
	if (q->l3 != 0 && q->l3 != e->orig.l3)
		return false;
	if (!in_net(e->orig.l3, e->orig.src, &q->src, q->src_len) ||
	    !in_net(e->orig.l3, e->orig.dst, &q->dst, q->dst_len))
		return false;
	if ((q->has_protocol && !protocol_is(q->protocol, e->orig.l4)) || (q->has_port && !port_is(e, q->port)))
		return false;
	if ((q->has_zone && q->zone != e->orig.zone) ||
	    (q->has_mark && q->mark != (e->has & CT_HAS_MARK ? e->mark : 0)))
		return false;
	if (q->has_state && !(e->has & CT_HAS_TCP && e->tcp_state == q->state))
		return false;
	if (q->side != SYNC_QUERY_ALL && (d == SYNC_DISP_SYNCED) != (q->side == SYNC_QUERY_SYNCED))
		return false;
	if (q->owner == SYNC_QUERY_ANYBODY)
		return true;
	return d != SYNC_DISP_SKIPPED && mine == (q->owner == SYNC_QUERY_OWN);
}

bool sync_query_prefix(const char *text, struct addr *net, uint8_t *len)
{
	return addr_parse_prefix(text, net, len);
}

bool sync_query_protocol(const char *text, uint8_t *l4)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_PROTOCOLS; i++) {
		if (strcasecmp(text, protocols[i].name) == 0) {
			*l4 = protocols[i].l4;
			return true;
		}
	}
	if (*text == '\0' || strlen(text) > 3)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (unsigned)(*text - '0');
	}
	*l4 = (uint8_t)n;
	return n <= UINT8_MAX;
}

const char *sync_protocol_name(uint8_t l4)
{
	for (unsigned i = 0; i < N_PROTOCOLS; i++)
		if (protocols[i].l4 == l4)
			return protocols[i].name;
	return "";
}

bool sync_query_state(const char *text, uint8_t *state)
{
	for (unsigned i = 0; i < N_STATES; i++) {
		if (strcasecmp(text, tcp_states[i].name) == 0 || strcasecmp(text, tcp_states[i].code) == 0) {
			*state = (uint8_t)i;
			return true;
		}
	}
	return false;
}

const char *sync_tcp_state_name(uint8_t state)
{
	return state < N_STATES ? tcp_states[state].name : "";
}

const char *sync_tcp_state_code(uint8_t state)
{
	return state < N_STATES ? tcp_states[state].code : "";
}
