/* Routes and rules as text that reads as the same again. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "daemon/route_text.h"

struct text {
	char *buf;
	size_t len;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Words are separated by one blank. What does not fit is cut; ROUTE_TEXT_MAX is enough for everything a parser gives. */
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	if (t->len && t->len + 1 < ROUTE_TEXT_MAX)
		t->buf[t->len++] = ' ';
	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, ROUTE_TEXT_MAX - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n < ROUTE_TEXT_MAX - t->len ? (size_t)n : ROUTE_TEXT_MAX - t->len - 1;
}

static const char *prefix_text(const struct addr *a, uint8_t plen, char *buf)
{
	char ip[ADDR_TEXT_MAX];
	snprintf(buf, ADDR_TEXT_MAX + 4, "%s/%u", addr_text(a, ip), plen);
	return buf;
}

static void add_number(struct text *t, const char *key, uint32_t v)
{
	if (v)
		add(t, "%s %u", key, v);
}

static void add_hop(struct text *t, const struct route *r, const struct route_hop *h)
{
	char ip[ADDR_TEXT_MAX];
	if (h->via.af)
		add(t, h->via.af == r->af ? "via %s" : "via inet6 %s", addr_text(&h->via, ip));
	if (h->dev[0])
		add(t, "dev %.15s", h->dev);
	if (h->onlink)
		add(t, "onlink");
	if (r->n_hops > 1 && h->weight != 1)
		add(t, "weight %u", h->weight);
}

static const char *type_text(enum route_type type)
{
	switch (type) {
	case ROUTE_UNICAST:
		return "";
	case ROUTE_LOCAL:
		return "local";
	case ROUTE_BLACKHOLE:
		return "blackhole";
	case ROUTE_UNREACHABLE:
		return "unreachable";
	case ROUTE_PROHIBIT:
		return "prohibit";
	case ROUTE_THROW:
		return "throw";
	}
	return "";
}

char *route_text_print(const struct route *r, char *buf)
{
	struct text t = { .buf = buf };
	char ip[ADDR_TEXT_MAX + 4];
	buf[0] = '\0';
	if (r->type != ROUTE_UNICAST)
		add(&t, "%s", type_text(r->type));
	if (r->plen == 0 && r->af == ADDR_V4)
		add(&t, "default");
	else
		add(&t, "%s", prefix_text(&r->dst, r->plen, ip));
	if (r->n_hops == 1)
		add_hop(&t, r, &r->hop[0]);
	if (r->tos)
		add(&t, "tos 0x%02x", r->tos);
	if (r->table != ROUTE_TABLE_MAIN)
		add(&t, "table %u", r->table);
	add_number(&t, "metric", r->af == ADDR_V6 && r->metric == ROUTE_METRIC_DEFAULT ? 0 : r->metric);
	if (r->src.af)
		add(&t, "src %s", addr_text(&r->src, ip));
	if (r->af == ADDR_V4)
		add(&t, "scope %u", r->scope);
	if (r->mtu)
		add(&t, "mtu %s%u", r->mtu_lock ? "lock " : "", r->mtu);
	add_number(&t, "advmss", r->advmss);
	add_number(&t, "window", r->window);
	add_number(&t, "initcwnd", r->initcwnd);
	add_number(&t, "initrwnd", r->initrwnd);
	add_number(&t, "hoplimit", r->hoplimit);
	if (r->realms)
		add(&t, "realms %u/%u", r->realms >> 16, r->realms & 0xffff);
	for (unsigned i = 0; r->n_hops > 1 && i < r->n_hops; i++) {
		add(&t, "nexthop");
		add_hop(&t, r, &r->hop[i]);
	}
	return buf;
}

static void add_range(struct text *t, const char *key, uint32_t first, uint32_t last)
{
	add(t, first == last ? "%s %u" : "%s %u-%u", key, first, last);
}

static void add_action(struct text *t, const struct rule *r)
{
	if (r->l3mdev) {
		add(t, "l3mdev");
		return;
	}
	switch (r->action) {
	case RULE_TABLE:
		add(t, "lookup %u", r->table);
		break;
	case RULE_GOTO:
		add(t, "goto %u", r->target);
		break;
	case RULE_BLACKHOLE:
		add(t, "blackhole");
		break;
	case RULE_UNREACHABLE:
		add(t, "unreachable");
		break;
	case RULE_PROHIBIT:
		add(t, "prohibit");
		break;
	}
}

char *route_text_print_rule(const struct rule *r, char *buf)
{
	struct text t = { .buf = buf };
	char ip[ADDR_TEXT_MAX + 4];
	buf[0] = '\0';
	if (r->af == ADDR_V6)
		add(&t, "inet6");
	if (r->invert)
		add(&t, "not");
	if (r->from.af)
		add(&t, "from %s", prefix_text(&r->from, r->from_plen, ip));
	if (r->to.af)
		add(&t, "to %s", prefix_text(&r->to, r->to_plen, ip));
	if (r->iif[0])
		add(&t, "iif %.15s", r->iif);
	if (r->oif[0])
		add(&t, "oif %.15s", r->oif);
	if (r->has_mark)
		add(&t, "fwmark 0x%x/0x%x", r->mark, r->mask);
	if (r->tos)
		add(&t, "tos 0x%02x", r->tos);
	if (r->ipproto)
		add(&t, "ipproto %u", r->ipproto);
	if (r->sport[0])
		add_range(&t, "sport", r->sport[0], r->sport[1]);
	if (r->dport[0])
		add_range(&t, "dport", r->dport[0], r->dport[1]);
	if (r->has_uid)
		add_range(&t, "uidrange", r->uid[0], r->uid[1]);
	add(&t, "priority %u", r->priority);
	add_action(&t, r);
	if (r->suppress_plen >= 0)
		add(&t, "suppress_prefixlength %d", r->suppress_plen);
	if (r->suppress_group >= 0)
		add(&t, "suppress_ifgroup %d", r->suppress_group);
	return buf;
}
