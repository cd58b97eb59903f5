/* Arguments of the commands that list sessions. */
#include <stdio.h>
#include "daemon/show.h"

static const char *text_of(const json_t *args, const char *key)
{
	return json_string_value(json_object_get(args, key));
}

static bool number_of(const json_t *args, const char *key, json_int_t *out)
{
	const json_t *v = json_object_get(args, key);

	*out = json_integer_value(v);
	return v != NULL;
}

static int prefix_of(const json_t *args, const char *key, struct addr *net, uint8_t *len, uint8_t l3, char *message,
		     size_t size)
{
	const char *text = text_of(args, key);

	if (!text)
		return 0;
	if (!sync_query_prefix(text, net, len)) {
		snprintf(message, size, "%s must be an address or a prefix, 192.0.2.1 or 2001:db8::/32", key);
		return -1;
	}
	if (l3 != 0 && net->af != l3) {
		snprintf(message, size, "%s is not an IPv%u address", key, l3);
		return -1;
	}
	return 0;
}

static int words_of(const json_t *args, struct sync_query *q, char *message, size_t size)
{
	const char *text = text_of(args, "protocol");

	q->has_protocol = text != NULL;
	if (text && !sync_query_protocol(text, &q->protocol)) {
		snprintf(message, size,
			 "protocol must be tcp, udp, icmp, icmpv6, sctp, dccp, udplite, gre, esp, ah, ospf, "
			 "vrrp or a number up to 255");
		return -1;
	}
	text = text_of(args, "state");
	q->has_state = text != NULL;
	if (text && !sync_query_state(text, &q->state)) {
		snprintf(message, size,
			 "state must be a TCP state or its code: syn_sent ss, syn_recv sr, established es, "
			 "fin_wait fw, close_wait cw, last_ack la, time_wait tw, close cl");
		return -1;
	}
	return 0;
}

int show_query(enum ctl_cmd cmd, const json_t *args, struct sync_query *q, char *message, size_t size)
{
	json_int_t n;

	*q = (struct sync_query){ .l3 = cmd == CTL_SHOW_CONNTRACK_IPV4   ? ADDR_V4
					: cmd == CTL_SHOW_CONNTRACK_IPV6 ? ADDR_V6
									 : 0,
				  .owner = cmd == CTL_SHOW_SYNC_INTERNAL   ? SYNC_QUERY_OWN
					   : cmd == CTL_SHOW_SYNC_EXTERNAL ? SYNC_QUERY_COPIES
									   : SYNC_QUERY_ANYBODY };
	if (prefix_of(args, "source", &q->src, &q->src_len, q->l3, message, size) < 0 ||
	    prefix_of(args, "destination", &q->dst, &q->dst_len, q->l3, message, size) < 0 ||
	    words_of(args, q, message, size) < 0)
		return -1;
	q->has_port = number_of(args, "port", &n);
	q->port = (uint16_t)n;
	q->has_zone = number_of(args, "zone", &n);
	q->zone = (uint16_t)n;
	q->has_mark = number_of(args, "mark", &n);
	q->mark = (uint32_t)n;
	if (number_of(args, "limit", &n))
		q->limit = (uint32_t)n;
	bool synced = json_is_true(json_object_get(args, "synced"));
	bool unsynced = json_is_true(json_object_get(args, "unsynced"));
	if (synced && unsynced) {
		snprintf(message, size,
			 "synced and unsynced exclude each other; without either all sessions are shown");
		return -1;
	}
	q->side = synced ? SYNC_QUERY_SYNCED : unsynced ? SYNC_QUERY_UNSYNCED : SYNC_QUERY_ALL;
	return 0;
}
