#include <netinet/in.h>
#include <string.h>
#include "daemon/base/mutant.h"
#include "sync/sync_policy.h"

static const struct {
	enum sync_disposition disp;
	const char *word, *text;
} why_table[SYNC_WHY_N] = {
#define SYNC_WHY_ROW(name, disp, word, text) [name] = { disp, word, text },
	SYNC_WHY_TABLE(SYNC_WHY_ROW)
#undef SYNC_WHY_ROW
};

enum sync_disposition sync_why_disposition(enum sync_why w)
{
	return why_table[w].disp;
}

const char *sync_why_word(enum sync_why w)
{
	return why_table[w].word;
}

const char *sync_why_text(enum sync_why w)
{
	return why_table[w].text;
}

const char *sync_disposition_word(enum sync_disposition d)
{
	static const char *const words[] = { "synced", "pending", "skipped", "failed" };

	return words[d];
}

enum sync_proto sync_proto_of(uint8_t l4)
{
	switch (l4) {
	case IPPROTO_TCP:
		return SYNC_PROTO_TCP;
	case IPPROTO_UDP:
		return SYNC_PROTO_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return SYNC_PROTO_ICMP;
	case IPPROTO_UDPLITE:
		return SYNC_PROTO_UDPLITE;
	case IPPROTO_SCTP:
		return SYNC_PROTO_SCTP;
	case IPPROTO_DCCP:
		return SYNC_PROTO_DCCP;
	case IPPROTO_GRE:
		return SYNC_PROTO_GRE;
	default:
		return SYNC_PROTO_OTHER;
	}
}

const char *sync_proto_word(enum sync_proto p)
{
	static const char *const words[SYNC_PROTO_N] = {
		"tcp", "udp", "icmp", "udplite", "sctp", "dccp", "gre", "other"
	};

	return (unsigned)p < SYNC_PROTO_N ? words[p] : "?";
}

/* Delivered here, and to others besides: never forwarded as a session. */
static bool is_group(uint8_t l3, const uint8_t addr[16])
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };

	if (l3 == ADDR_V6)
		return addr[0] == 0xff;
	return (addr[0] & 0xf0) == 0xe0 || memcmp(addr, all, 4) == 0;
}

#define TCP_OPEN (1u << CT_TCP_ESTABLISHED | 1u << CT_TCP_FIN_WAIT | 1u << CT_TCP_CLOSE_WAIT)

static enum sync_why judge_tcp(const struct sync_conf *conf, const struct ct_entry *e)
{
	unsigned state = e->has & CT_HAS_TCP ? e->tcp_state : CT_TCP_NONE;

	/* A flow in the kernel's fast path shows no TCP state; only an established one gets there. */
	if (e->status & CT_ST_OFFLOAD)
		state = CT_TCP_ESTABLISHED;
	else if (state == CT_TCP_SYN_SENT2)
		state = CT_TCP_SYN_SENT;
	if ((conf->tcp_states ? conf->tcp_states : TCP_OPEN) >> state & 1)
		return SYNC_WHY_NONE;
	if (state < CT_TCP_ESTABLISHED)
		return SYNC_WHY_HALF_OPEN;
	return state >= CT_TCP_LAST_ACK ? SYNC_WHY_CLOSING : SYNC_WHY_STATE;
}

static enum sync_why judge_sctp(const struct ct_entry *e)
{
	if (!(e->has & CT_HAS_SCTP) || e->sctp_state < CT_SCTP_ESTABLISHED)
		return SYNC_WHY_HALF_OPEN;
	return e->sctp_state > CT_SCTP_ESTABLISHED && e->sctp_state < CT_SCTP_HEARTBEAT_SENT ? SYNC_WHY_CLOSING
											     : SYNC_WHY_NONE;
}

static bool at_once(const struct sync_conf *conf, const struct ct_entry *e)
{
	return conf->quick || e->status & (CT_ST_SRC_NAT | CT_ST_DST_NAT) || e->has & (CT_HAS_HELPER | CT_HAS_MASTER);
}

enum sync_why sync_policy_local(const struct sync_locals *l, const struct ct_entry *e)
{
	uint8_t l3 = e->orig.l3;

	if (sync_local_is_own(l, l3, e->orig.src))
		return SYNC_WHY_LOCAL_ORIGIN;
	if (e->has & CT_HAS_REPLY && (sync_local_is_own(l, l3, e->reply.src) || is_group(l3, e->reply.src)))
		return SYNC_WHY_LOCAL_DEST;
	return SYNC_WHY_NONE;
}

enum sync_why sync_policy_judge(const struct sync_conf *conf, const struct sync_locals *l, const struct ct_entry *e,
				bool before)
{
	uint8_t l3 = e->orig.l3, l4 = e->orig.l4;

	if (!conf->replicate)
		return SYNC_WHY_OFF;
	enum sync_why local = sync_policy_local(l, e);

	if (local != SYNC_WHY_NONE && !MUTANT(M_LOCAL_TOLD))
		return local;
	if (!(conf->protocols >> sync_proto_of(l4) & 1) && !MUTANT(M_PROTOCOL_UNHEARD))
		return SYNC_WHY_PROTO_OFF;
	if (sync_filter_rule(conf, l, e) >= 0 && !MUTANT(M_IGNORE_UNHEARD))
		return SYNC_WHY_IGNORED;
	/* After a takeover the answers would still go to this node's own address. */
	if (e->has & CT_HAS_REPLY && e->status & CT_ST_SRC_NAT && sync_local_is_own(l, l3, e->reply.dst) &&
	    !sync_local_is_vip(l, l3, e->reply.dst) && !MUTANT(M_NODE_ADDRESS_TOLD))
		return SYNC_WHY_NODE_ADDR;
	/* States that the operator names hold for every TCP session, else some classes are told at once. */
	bool named = l4 == IPPROTO_TCP && conf->tcp_states != 0;
	if (before || (!named && at_once(conf, e)))
		return SYNC_WHY_NONE;
	if (l4 == IPPROTO_TCP)
		return judge_tcp(conf, e);
	if (l4 == IPPROTO_SCTP)
		return judge_sctp(e);
	return e->status & CT_ST_SEEN_REPLY ? SYNC_WHY_NONE : SYNC_WHY_UNREPLIED;
}

void sync_timeouts_default(struct sync_timeouts *t)
{
	*t = (struct sync_timeouts){
		.tcp = { [CT_TCP_NONE] = 120,
			 [CT_TCP_SYN_SENT] = 120,
			 [CT_TCP_SYN_RECV] = 60,
			 [CT_TCP_ESTABLISHED] = 432000,
			 [CT_TCP_FIN_WAIT] = 120,
			 [CT_TCP_CLOSE_WAIT] = 60,
			 [CT_TCP_LAST_ACK] = 30,
			 [CT_TCP_TIME_WAIT] = 120,
			 [CT_TCP_CLOSE] = 10,
			 [CT_TCP_SYN_SENT2] = 120 },
		.udp = 30,
		.udp_stream = 120,
		.icmp = 30,
		.icmpv6 = 30,
		.generic = 600,
		.gre = 30,
		.gre_stream = 180,
		.sctp = { [CT_SCTP_NONE] = 10,
			  [CT_SCTP_CLOSED] = 10,
			  [CT_SCTP_COOKIE_WAIT] = 3,
			  [CT_SCTP_COOKIE_ECHOED] = 3,
			  [CT_SCTP_ESTABLISHED] = 210,
			  [CT_SCTP_SHUTDOWN_SENT] = 3,
			  [CT_SCTP_SHUTDOWN_RECD] = 3,
			  [CT_SCTP_SHUTDOWN_ACK_SENT] = 3,
			  [CT_SCTP_HEARTBEAT_SENT] = 30,
			  [CT_SCTP_HEARTBEAT_ACKED] = 210 },
	};
}

uint32_t sync_policy_full_timeout(const struct sync_timeouts *t, const struct ct_entry *e)
{
	bool offload = e->status & CT_ST_OFFLOAD;

	switch (e->orig.l4) {
	case IPPROTO_TCP:
		if (offload)
			return t->tcp[CT_TCP_ESTABLISHED];
		return t
		    ->tcp[e->has & CT_HAS_TCP && e->tcp_state <= CT_TCP_SYN_SENT2 ? e->tcp_state : CT_TCP_ESTABLISHED];
	case IPPROTO_SCTP:
		return t->sctp[e->has & CT_HAS_SCTP && e->sctp_state <= CT_SCTP_HEARTBEAT_ACKED ? e->sctp_state
												: CT_SCTP_ESTABLISHED];
	case IPPROTO_GRE:
		return e->status & CT_ST_ASSURED ? t->gre_stream : t->gre;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		/* nf_conntrack_proto_udp.c: a stream once it is assured. */
		return offload || e->status & CT_ST_ASSURED ? t->udp_stream : t->udp;
	case IPPROTO_ICMP:
		return t->icmp;
	case IPPROTO_ICMPV6:
		return t->icmpv6;
	default:
		return t->generic;
	}
}

bool sync_policy_short(const struct ct_entry *e)
{
	if (e->status & CT_ST_OFFLOAD)
		return false;
	switch (e->orig.l4) {
	case IPPROTO_TCP:
		return e->has & CT_HAS_TCP && e->tcp_state != CT_TCP_ESTABLISHED && e->tcp_state != CT_TCP_FIN_WAIT &&
		       e->tcp_state != CT_TCP_CLOSE_WAIT;
	case IPPROTO_SCTP:
		return e->has & CT_HAS_SCTP && e->sctp_state != CT_SCTP_ESTABLISHED &&
		       e->sctp_state < CT_SCTP_HEARTBEAT_SENT;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return !(e->status & CT_ST_SEEN_REPLY);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return true;
	default:
		return false;
	}
}

uint32_t sync_policy_grant(const struct ct_entry *e, uint32_t left_s, uint32_t lease_s)
{
	uint32_t least = left_s + SYNC_GRACE_S;

	if (sync_policy_short(e) || (least > lease_s && least <= SYNC_LEASE_MAX_S))
		return least;
	return lease_s;
}
