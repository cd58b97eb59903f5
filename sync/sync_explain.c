/* What one node knows of a session, and what an operator meant. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "sync/ct_wire.h"
#include "sync/sync_explain.h"
#include "sync/sync_int.h"

enum { ECHO4 = 8, ANSWER4 = 0, ECHO6 = 128, ANSWER6 = 129 };

static const struct {
	const char *word;
	uint8_t l4;
} protocols[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ "icmp", IPPROTO_ICMP },
	{ "icmpv6", IPPROTO_ICMPV6 },
	{ "sctp", IPPROTO_SCTP },
	{ "dccp", IPPROTO_DCCP },
	{ "udplite", IPPROTO_UDPLITE },
	{ "gre", IPPROTO_GRE },
	{ "esp", IPPROTO_ESP },
	{ "ah", IPPROTO_AH },
	{ "ospf", 89 },
	{ "ipip", IPPROTO_IPIP },
	{ "ipv6-icmp", IPPROTO_ICMPV6 },
};

/* A whole number in the C forms (GRE keys are written in hexadecimal) up to max. */
static bool number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*out = strtoul(text, &end, 0);
	return *end == '\0' && *out <= max;
}

static int bad(char *err, size_t size, const char *which, const char *text, const char *want)
{
	snprintf(err, size, "%s '%.60s' must be %s", which, text, want);
	return ERR_MALFORMED;
}

static bool read_proto(const char *text, uint8_t *l4)
{
	unsigned long n;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcasecmp(text, protocols[i].word) == 0) {
			*l4 = protocols[i].l4;
			return true;
		}
	}
	if (!number(text, 255, &n) || n == 0)
		return false;
	*l4 = (uint8_t)n;
	return true;
}

/* One end: ADDR, V4:PORT or [V6]:PORT. *port is -1 when none is given. */
static bool read_end(const char *text, struct addr *a, long *port)
{
	char buf[64];
	const char *colon = strrchr(text, ':'), *rest = NULL;
	unsigned long n;

	*port = -1;
	if (strlen(text) >= sizeof(buf))
		return false;
	strcpy(buf, text);
	if (*text == '[') {
		char *close = strchr(buf, ']');
		if (!close || (close[1] != '\0' && close[1] != ':'))
			return false;
		rest = close[1] == ':' ? text + (close - buf) + 2 : NULL;
		*close = '\0';
		memmove(buf, buf + 1, strlen(buf + 1) + 1);
	} else if (colon && strchr(text, ':') == colon) {
		buf[colon - text] = '\0';
		rest = colon + 1;
	}
	if (!addr_parse(buf, a))
		return false;
	if (!rest)
		return true;
	if (!number(rest, UINT16_MAX, &n))
		return false;
	*port = (long)n;
	return true;
}

static bool is_icmp(uint8_t l4)
{
	return l4 == IPPROTO_ICMP || l4 == IPPROTO_ICMPV6;
}

static bool has_ports(uint8_t l4)
{
	enum sync_proto p = sync_proto_of(l4);

	return p != SYNC_PROTO_ICMP && p != SYNC_PROTO_OTHER;
}

static int take_ports(const char *src, const char *dst, long sport, long dport, struct ct_tuple *t, char *err,
		      size_t size)
{
	if (is_icmp(t->l4)) {
		long id = sport >= 0 ? sport : dport;
		if (id < 0 || (sport >= 0 && dport >= 0 && sport != dport))
			return bad(err, size, "source", src, "an address and the id of the echo, as in 192.0.2.1:4711");
		t->sport = (uint16_t)id;
		t->dport = (uint16_t)((t->l3 == ADDR_V4 ? ECHO4 : ECHO6) << 8);
		return 0;
	}
	if (!has_ports(t->l4)) {
		if (sport >= 0 || dport >= 0)
			return bad(err, size, sport >= 0 ? "source" : "destination", sport >= 0 ? src : dst,
				   "an address alone: this protocol has no ports");
		return 0;
	}
	if (sport < 0 || dport < 0)
		return bad(err, size, sport < 0 ? "source" : "destination", sport < 0 ? src : dst,
			   t->l3 == ADDR_V4 ? "an address and a port, as in 192.0.2.1:80"
					    : "an address and a port, as in [2001:db8::1]:80");
	t->sport = (uint16_t)sport;
	t->dport = (uint16_t)dport;
	return 0;
}

int explain_tuple(const char *src, const char *dst, const char *proto, unsigned zone, struct ct_tuple *out, char *err,
		  size_t size)
{
	static const char want[] = "an address with a port, as in 192.0.2.1:80 or [2001:db8::1]:80";
	struct addr a, b;
	long sport, dport;

	memset(out, 0, sizeof(*out));
	if (!read_proto(proto, &out->l4))
		return bad(err, size, "protocol", proto,
			   "tcp, udp, icmp, icmpv6, sctp, dccp, udplite, gre or a number");
	if (!read_end(src, &a, &sport))
		return bad(err, size, "source", src, want);
	if (!read_end(dst, &b, &dport))
		return bad(err, size, "destination", dst, want);
	if (a.af != b.af)
		return bad(err, size, "destination", dst, "of the same family as the source");
	if (is_icmp(out->l4)) /* the family says which of the two is meant */
		out->l4 = a.af == ADDR_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (zone > UINT16_MAX) {
		snprintf(err, size, "zone must be a whole number from 0 to 65535");
		return ERR_MALFORMED;
	}
	out->l3 = a.af;
	out->zone = (uint16_t)zone;
	memcpy(out->src, a.b, sizeof(out->src));
	memcpy(out->dst, b.b, sizeof(out->dst));
	return take_ports(src, dst, sport, dport, out, err, size);
}

unsigned explain_forms(const struct ct_tuple *t, struct ct_tuple out[EXPLAIN_FORMS])
{
	out[0] = *t;
	if (!is_icmp(t->l4))
		return ct_tuple_invert(t, &out[1]) ? 2 : 1;
	/* Nobody says whether an echo's request or its answer is meant: both, in both directions. */
	out[1] = *t;
	memcpy(out[1].src, t->dst, sizeof(out[1].src));
	memcpy(out[1].dst, t->src, sizeof(out[1].dst));
	for (unsigned i = 0; i < 2; i++) {
		out[i + 2] = out[i];
		out[i + 2].dport = (uint16_t)((t->l3 == ADDR_V4 ? ANSWER4 : ANSWER6) << 8);
	}
	return 4;
}

char *explain_tuple_text(const struct ct_tuple *t, char *buf, size_t size)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX], name[8], zone[16] = "";
	struct addr a = addr_from_bytes(t->l3, t->src), b = addr_from_bytes(t->l3, t->dst);
	const char *word = NULL, *open = t->l3 == ADDR_V6 ? "[" : "", *close = t->l3 == ADDR_V6 ? "]" : "";

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]) && !word; i++)
		word = protocols[i].l4 == t->l4 ? protocols[i].word : NULL;
	if (!word) {
		snprintf(name, sizeof(name), "%u", t->l4);
		word = name;
	}
	if (t->zone)
		snprintf(zone, sizeof(zone), " zone %u", t->zone);
	addr_text(&a, src);
	addr_text(&b, dst);
	if (is_icmp(t->l4))
		snprintf(buf, size, "%s %s id %u -> %s%s", word, src, t->sport, dst, zone);
	else if (has_ports(t->l4))
		snprintf(buf, size, "%s %s%s%s:%u -> %s%s%s:%u%s", word, open, src, close, t->sport, open, dst, close,
			 t->dport, zone);
	else
		snprintf(buf, size, "%s %s -> %s%s", word, src, dst, zone);
	return buf;
}

static bool is_loopback(uint8_t l3, const uint8_t ip[16])
{
	static const uint8_t one[16] = { [15] = 1 };

	return l3 == ADDR_V4 ? ip[0] == 127 : memcmp(ip, one, 16) == 0;
}

/* Says why the address is not a stranger's; false if it is. */
static bool name_cause(const struct sync *s, struct sync_facts *f, const uint8_t ip[16])
{
	uint8_t l3 = f->orig.l3;
	bool group = l3 == ADDR_V4 ? ip[0] >= 224 : ip[0] == 0xff;

	if (is_loopback(l3, ip))
		f->cause = SYNC_ADDR_LOOPBACK;
	else if (sync_local_is_vip(&s->locals, l3, ip))
		f->cause = SYNC_ADDR_VIP;
	else if (sync_local_is_own(&s->locals, l3, ip))
		f->cause = SYNC_ADDR_OWN;
	else if (group)
		f->cause = SYNC_ADDR_GROUP;
	else
		return false;
	f->cause_l3 = l3;
	memcpy(f->cause_ip, ip, addr_len(l3));
	return true;
}

/* What stands behind the reason: a rule's number, an address. */
static void name_detail(const struct sync *s, enum sync_why why, const struct ct_entry *e, struct sync_facts *f)
{
	if (why == SYNC_WHY_IGNORED)
		f->rule = (uint16_t)(sync_filter_rule(s->conf, &s->locals, e) + 1);
	else if (why == SYNC_WHY_LOCAL_ORIGIN)
		(void)name_cause(s, f, e->orig.src);
	else if (why == SYNC_WHY_LOCAL_DEST)
		(void)name_cause(s, f, e->reply.src);
	else if (why == SYNC_WHY_NODE_ADDR)
		(void)name_cause(s, f, e->reply.dst);
}

static void from_kernel(struct sync_facts *f, const struct ct_entry *e)
{
	f->flags |= SYNC_FACT_KERNEL | SYNC_FACT_TUPLES;
	f->orig = e->orig;
	f->reply = e->reply;
	f->status = (uint16_t)e->status;
	f->flags |= e->has & CT_HAS_HELPER ? SYNC_FACT_HELPER : 0;
	f->left_s = e->has & CT_HAS_TIMEOUT ? e->timeout_s : 0;
	f->tcp_state = e->has & CT_HAS_TCP && e->tcp_state <= CT_TCP_SYN_SENT2 ? e->tcp_state : 0;
}

static void from_table(const struct sync *s, const struct sync_view *v, struct flow fl, mono_t now,
		       struct sync_facts *f)
{
	uint32_t sec = sync_sec(s, now);

	f->flags |= SYNC_FACT_TABLE | SYNC_FACT_TUPLES;
	f->orig = v->e.orig;
	f->reply = v->e.reply;
	f->flags |= v->mine ? SYNC_FACT_MINE : 0;
	f->flags |= v->e.has & CT_HAS_HELPER ? SYNC_FACT_HELPER : 0;
	f->flags |= fl.x->flags & SESS_LEASED ? SYNC_FACT_LEASED : 0;
	f->flags |= fl.x->flags & SESS_REFUSED ? SYNC_FACT_REFUSED : 0;
	f->version = v->version;
	f->table_left_s = v->remaining_s;
	f->err = (uint8_t)v->err;
	f->quiet_s = fl.x->evidence_s == 0 ? UINT32_MAX : sec > fl.x->evidence_s ? sec - fl.x->evidence_s : 0;
}

void explain_facts(const struct sync *s, const struct ct_tuple *asked, const struct ct_entry *kernel, int kernel_err,
		   mono_t now, struct sync_facts *out)
{
	struct ct_tuple form[EXPLAIN_FORMS];
	unsigned n = explain_forms(asked, form);
	enum sync_why why = SYNC_WHY_NONE;
	struct sync_view v;

	memset(out, 0, sizeof(*out));
	out->quiet_s = UINT32_MAX;
	if (kernel) {
		from_kernel(out, kernel);
		form[0] = kernel->orig;
		n = 1;
	} else if (kernel_err != 0) {
		out->flags |= SYNC_FACT_UNREAD;
		out->kernel_err = (uint8_t)(kernel_err > -256 && kernel_err < 0 ? -kernel_err : EIO);
	}
	if (!s) {
		out->flags |= SYNC_FACT_OFF;
		snprintf(out->word, sizeof(out->word), "%s", sync_why_word(SYNC_WHY_OFF));
		return;
	}
	out->flags |= s->owner.auth.any ? SYNC_FACT_SERVES : 0;
	for (unsigned i = 0; i < n; i++) {
		if (!sync_view_one(s, &form[i], &v, now))
			continue;
		from_table(s, &v, flow_find(s, &form[i]), now, out);
		why = v.why;
		name_detail(s, why, &v.e, out);
		snprintf(out->word, sizeof(out->word), "%s", sync_why_word(why));
		return;
	}
	if (!kernel)
		return;
	out->flags |= SYNC_FACT_JUDGED;
	why = sync_policy_judge(s->conf, &s->locals, kernel, false);
	name_detail(s, why, kernel, out);
	snprintf(out->word, sizeof(out->word), "%s", sync_why_word(why));
}
