/* `show session policy`: per kind of session what is replicated, when, and why not, from the effective configuration. */
#include <stdio.h>
#include <string.h>
#include "sync/sync_client.h"

enum yes { NO = 0, YES, PARTLY };

static void row(json_t *list, const char *kind, enum yes yes, const char *when)
{
	static const char *const words[] = { [NO] = "no", [YES] = "yes", [PARTLY] = "partly" };

	json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "kind", kind, "replicated", words[yes], "when", when));
}

/* A protocol: switched off, or what it waits for. */
static void protocol(json_t *list, const struct sync_conf *c, enum sync_proto p, const char *kind, const char *waits)
{
	char text[200];

	if (!(c->protocols >> p & 1)) {
		row(list, kind, NO, "sync.protocols does not name it");
		return;
	}
	if (c->min_age_s[p] > 0)
		snprintf(text, sizeof(text), "%s, and %u s old (sync.min_age)",
			 c->quick ? "from its first packet (sync.quick)" : waits, c->min_age_s[p]);
	else
		snprintf(text, sizeof(text), "%s", c->quick ? "from its first packet (sync.quick)" : waits);
	row(list, kind, YES, text);
}

/* States that an operator has chosen come before everything else. */
static void tcp(json_t *list, const struct sync_conf *c)
{
	char text[160] = "once in one of sync.tcp_states:";
	size_t n = strlen(text);

	for (uint8_t s = CT_TCP_SYN_SENT; c->tcp_states && s <= CT_TCP_CLOSE && n < sizeof(text); s++)
		if (c->tcp_states >> s & 1)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", sync_tcp_state_name(s));
	protocol(list, c, SYNC_PROTO_TCP, "TCP", c->tcp_states ? text : "once established; closing ones to their end");
	if (!(c->protocols >> SYNC_PROTO_TCP & 1) || c->tcp_states)
		return;
	row(list, "TCP, half-open", c->quick ? YES : NO,
	    c->quick ? "sync.quick: answers may come to the other node" : "waits for the handshake (see sync.quick)");
}

static void protocols(json_t *list, const struct sync_conf *c)
{
	static const char replied[] = "once an answer was seen";

	tcp(list, c);
	protocol(list, c, SYNC_PROTO_UDP, "UDP", replied);
	protocol(list, c, SYNC_PROTO_ICMP, "ICMP and ICMPv6 queries", replied);
	protocol(list, c, SYNC_PROTO_UDPLITE, "UDP-Lite", replied);
	protocol(list, c, SYNC_PROTO_SCTP, "SCTP", "once established");
	protocol(list, c, SYNC_PROTO_DCCP, "DCCP", replied);
	protocol(list, c, SYNC_PROTO_GRE, "GRE, with keys", replied);
	protocol(list, c, SYNC_PROTO_OTHER, "Other protocols (ESP, AH, OSPF, ...)", replied);
}

static void kinds(json_t *list, const struct sync_conf *c)
{
	char text[120];

	row(list, "With NAT", YES, "at once, without waiting for an answer");
	row(list, "Masqueraded to the node's own address", NO, "the address stays behind: SNAT to a virtual one");
	row(list, "With a helper, and related sessions", YES, "at once, the master first");
	row(list, "Expectations of helpers", NO, "the helper of the new master makes new ones");
	row(list, "Offloaded to a flowtable", YES, "the new master offloads them again itself");
	row(list, "Opened or answered by the box itself", NO, "it would open the peer itself; shown as skipped");
	row(list, "To the virtual addresses", NO, "answered by whoever is master; shown as skipped");
	row(list, "Multicast and broadcast", NO, "delivered here as well; shown as skipped");
	snprintf(text, sizeof(text),
		 c->n_ignore ? "%u rule%s: see show conntrack-sync filters" : "no rule is configured", c->n_ignore,
		 c->n_ignore == 1 ? "" : "s");
	row(list, "Left out by sync.ignore", NO, text);
	row(list, "Marks, zones, labels, sequence shifts", YES, "travel with their session");
}

void client_policy(struct sync_client *c)
{
	const struct sync_conf *conf = c->run->conf;
	json_t *list = json_array();

	if (conf->replicate) {
		protocols(list, conf);
		kinds(list, conf);
	} else {
		row(list, "Every session", NO, "sync.replicate = false");
	}
	client_say_data(c, json_pack("{s:b,s:b,s:s,s:I,s:I,s:o}", "replicate", conf->replicate, "quick", conf->quick,
				     "store", conf->store == SYNC_STORE_HOT ? "hot" : "warm", "lease_us",
				     (json_int_t)(conf->lease_ns / NS_PER_US), "high_water_percent",
				     client_u(conf->high_water), "rows", list));
	client_say_end(c);
}
