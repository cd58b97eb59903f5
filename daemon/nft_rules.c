#include "daemon/nft_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct out {
	char *buf;
	size_t len, cap;
};

static void __attribute__((format(printf, 2, 3))) add(struct out *o, const char *fmt, ...)
{
	va_list ap;
	if (o->len >= o->cap)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(o->buf + o->len, o->cap - o->len, fmt, ap);
	va_end(ap);
	o->len = n < 0 ? o->cap : o->len + (size_t)n;
}

enum set { VIP4 = 0, VIP6, VIP6_LINK };

/* nft takes a star in a name for "any", and knows no quoting: such an interface cannot be named to it. */
static bool nameable(const char *name)
{
	return !strpbrk(name, "*\"\\");
}

static enum set set_of(const struct nft_vip *v)
{
	if (v->addr.af == ADDR_V4)
		return VIP4;
	return addr_is_link_local(&v->addr) && nameable(v->base) && nameable(v->interface) ? VIP6_LINK : VIP6;
}

static unsigned members(const struct nft_vip *vip, unsigned n, enum set set)
{
	unsigned found = 0;
	for (unsigned i = 0; i < n; i++)
		found += set_of(&vip[i]) == set;
	return found;
}

static void put_element(struct out *o, const struct nft_vip *v)
{
	char text[ADDR_TEXT_MAX];
	addr_text(&v->addr, text);
	if (set_of(v) != VIP6_LINK) {
		add(o, "%s,", text);
		return;
	}
	add(o, "\"%s\" . %s,", v->base, text);
	if (strcmp(v->interface, v->base) != 0)
		add(o, "\"%s\" . %s,", v->interface, text);
}

static void put_set(struct out *o, const struct nft_vip *vip, unsigned n, enum set set)
{
	static const struct {
		const char *name, *type;
	} row[] = { { "vip4", "ipv4_addr" }, { "vip6", "ipv6_addr" }, { "vip6_link", "ifname . ipv6_addr" } };
	if (!members(vip, n, set))
		return;
	add(o, "set %s { type %s; elements = { ", row[set].name, row[set].type);
	for (unsigned i = 0; i < n; i++)
		if (set_of(&vip[i]) == set)
			put_element(o, &vip[i]);
	add(o, " }; }\n");
}

static void put_rules(struct out *o, const struct nft_vip *vip, unsigned n)
{
	/* Before everybody else's filter; `accept` ends this chain only. RFC 9568 6.1: discovery must not be dropped. */
	add(o, "chain input { type filter hook input priority -1; policy accept; iif \"lo\" accept; "
	       "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; ");
	if (members(vip, n, VIP4))
		add(o, "ip daddr @vip4 counter drop; ");
	if (members(vip, n, VIP6))
		add(o, "ip6 daddr @vip6 counter drop; ");
	if (members(vip, n, VIP6_LINK))
		add(o, "iifname . ip6 daddr @vip6_link counter drop; ");
	add(o, "}\n");
}

size_t nft_rules_table(const struct nft_vip *vip, unsigned n, const struct quar_vip *quar, unsigned n_quar, char *buf,
		       size_t cap)
{
	struct out o = { .buf = buf, .cap = cap };
	bool any = n > 0 || quar_count(quar, n_quar, ADDR_V4) > 0 || quar_count(quar, n_quar, ADDR_V6) > 0;
	/* Whatever is there of ours goes and the new comes in one transaction; `add` first, so that there is one to go. */
	add(&o, "add table inet " NFT_RULES_TABLE " { flags owner; }\ndelete table inet " NFT_RULES_TABLE "\n");
	if (!any)
		return o.len < o.cap ? o.len : 0;
	add(&o, "table inet " NFT_RULES_TABLE " {\nflags owner\n");
	for (int set = VIP4; n && set <= VIP6_LINK; set++)
		put_set(&o, vip, n, (enum set)set);
	if (n)
		put_rules(&o, vip, n);
	struct quar_out q = { .buf = buf, .len = o.len, .cap = cap };
	quar_put_nft(&q, quar, n_quar);
	o.len = q.len;
	add(&o, "}\n");
	return o.len < o.cap ? o.len : 0;
}

size_t nft_rules_build(const struct nft_vip *vip, unsigned n, char *buf, size_t cap)
{
	return nft_rules_table(vip, n, NULL, 0, buf, cap);
}
