#include "daemon/quar_rules.h"

#include <stdarg.h>
#include <stdio.h>

const char *const quar_ipt_jump[] = { "OUTPUT", "-j", QUAR_CHAIN, NULL };
const char quar_ipt_remove[] = "*filter\n-D OUTPUT -j " QUAR_CHAIN "\n-F " QUAR_CHAIN "\n-F " QUAR_CHAIN_VIPS
			       "\n-X " QUAR_CHAIN "\n-X " QUAR_CHAIN_VIPS "\nCOMMIT\n";

static void __attribute__((format(printf, 2, 3))) add(struct quar_out *o, const char *fmt, ...)
{
	va_list ap;
	if (o->len >= o->cap)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(o->buf + o->len, o->cap - o->len, fmt, ap);
	va_end(ap);
	o->len = n < 0 ? o->cap : o->len + (size_t)n;
}

static bool in_set(const struct quar_vip *v, uint8_t af, enum quar_how how)
{
	return v->addr.af == af && v->how == how && !v->dev[0];
}

static unsigned members(const struct quar_vip *v, unsigned n, uint8_t af, enum quar_how how)
{
	unsigned found = 0;
	for (unsigned i = 0; i < n; i++)
		found += in_set(&v[i], af, how);
	return found;
}

unsigned quar_count(const struct quar_vip *v, unsigned n, uint8_t af)
{
	unsigned found = 0;
	for (unsigned i = 0; i < n; i++)
		found += v[i].addr.af == af && v[i].how != QUAR_OPEN;
	return found;
}

/* ---- nftables ---- */

static const struct {
	const char *set, *type, *rule;
	uint8_t af;
	enum quar_how how;
} kind[] = {
	{ "away4", "ipv4_addr", "ip saddr @away4 fib saddr type != local counter drop; ", ADDR_V4, QUAR_WATCH },
	{ "away6", "ipv6_addr", "ip6 saddr @away6 fib saddr type != local counter drop; ", ADDR_V6, QUAR_WATCH },
	{ "shut4", "ipv4_addr", "ip saddr @shut4 counter drop; ", ADDR_V4, QUAR_SHUT },
	{ "shut6", "ipv6_addr", "ip6 saddr @shut6 counter drop; ", ADDR_V6, QUAR_SHUT },
};
#define KINDS (sizeof(kind) / sizeof(kind[0]))

static void put_set(struct quar_out *o, const struct quar_vip *v, unsigned n, unsigned k)
{
	char text[ADDR_TEXT_MAX];
	add(o, "set %s { type %s; elements = { ", kind[k].set, kind[k].type);
	for (unsigned i = 0; i < n; i++)
		if (in_set(&v[i], kind[k].af, kind[k].how))
			add(o, "%s,", addr_text(&v[i].addr, text));
	add(o, " }; }\n");
}

/* Is it local, and on this very link? */
static void put_link_local(struct quar_out *o, const struct quar_vip *v)
{
	char text[ADDR_TEXT_MAX];
	add(o, "oifname \"%s\" ip6 saddr %s %scounter drop; ", v->dev, addr_text(&v->addr, text),
	    v->how == QUAR_WATCH ? "fib saddr . oif type != local " : "");
}

void quar_put_nft(struct quar_out *o, const struct quar_vip *v, unsigned n)
{
	bool has[KINDS], any = false;
	for (unsigned i = 0; i < n; i++)
		any |= v[i].dev[0] && v[i].how != QUAR_OPEN;
	for (unsigned k = 0; k < KINDS; k++) {
		has[k] = members(v, n, kind[k].af, kind[k].how) > 0;
		any |= has[k];
		if (has[k])
			put_set(o, v, n, k);
	}
	if (!any)
		return;
	/* What is neither IKE nor IPsec leaves the chain with the first rules; `accept` ends this chain only. */
	add(o, "chain output { type filter hook output priority -1; policy accept; "
	       "meta l4proto != { udp, esp, ah } accept; "
	       "udp sport != { 500, 4500 } udp dport != { 500, 4500 } accept; ");
	for (unsigned k = 0; k < KINDS; k++)
		if (has[k])
			add(o, "%s", kind[k].rule);
	for (unsigned i = 0; i < n; i++)
		if (v[i].dev[0] && v[i].how != QUAR_OPEN)
			put_link_local(o, &v[i]);
	add(o, "}\n");
}

/* ---- iptables ---- */

size_t quar_ipt_text(const struct quar_vip *v, unsigned n, uint8_t af, char *buf, size_t cap)
{
	struct quar_out o = { .buf = buf, .cap = cap };
	char text[ADDR_TEXT_MAX];
	/* A chain that is named with a colon is made, or emptied: what an earlier process left goes. */
	add(&o, "*filter\n:" QUAR_CHAIN_VIPS " -\n:" QUAR_CHAIN " -\n");
	for (unsigned i = 0; i < n; i++)
		if (v[i].addr.af == af && v[i].how != QUAR_OPEN)
			add(&o, "-A " QUAR_CHAIN_VIPS "%s%s -s %s%s%s -j DROP\n", v[i].dev[0] ? " -o " : "", v[i].dev,
			    addr_text(&v[i].addr, text),
			    v[i].how == QUAR_WATCH ? " -m addrtype ! --src-type LOCAL" : "",
			    v[i].how == QUAR_WATCH && v[i].dev[0] ? " --limit-iface-out" : "");
	add(&o, "-A " QUAR_CHAIN " -p udp -m multiport --ports 500,4500 -j " QUAR_CHAIN_VIPS "\n-A " QUAR_CHAIN
		" -p 50 -j " QUAR_CHAIN_VIPS "\n");
	/* For ip6tables AH is an extension header, and never the protocol (ipv6_find_hdr). */
	add(&o, "-A " QUAR_CHAIN " %s -j " QUAR_CHAIN_VIPS "\nCOMMIT\n", af == ADDR_V6 ? "-m ah" : "-p 51");
	return o.len < o.cap ? o.len : 0;
}
