/*
 * Why each setting (kernel: Documentation/networking/ip-sysctl.rst, net/ipv4/arp.c, net/ipv4/fib_frontend.c):
 *
 * arp_ignore      Linux answers ARP for any local address on any interface. The base would answer for the virtual address
 *                 with its own MAC, the virtual MAC's interface for the base's address with the virtual one.
 * arp_announce    A packet whose source was translated to the virtual address makes the kernel ask for its next hop with
 *                 that address as the sender: over the base that would teach neighbours the base's MAC, and with
 *                 ipvlan, which takes the answer for itself, the base would never find its neighbour.
 * rp_filter       The subnet's route leads over the base, so a strict check on the virtual MAC's interface would drop
 *                 everything. The higher one of `all` and the interface counts.
 * forwarding      A new interface follows `default`, which says no where forwarding is on for chosen interfaces only.
 * addr_gen_mode, accept_ra, autoconf: both routers have the same MAC here, and would make the same addresses.
 */
#include "daemon/sysctl_plan.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/base/wire.h"
#include "daemon/ownfile.h"

/* ---- which settings ---- */

struct key {
	const char *family, *key;
	enum sysctl_rule rule;
	int value;
};

static void item(struct sysctl_item *it, const char *name, const char *from, const struct key *k)
{
	*it = (struct sysctl_item){ .rule = k->rule, .value = k->value };
	int n = snprintf(it->path, sizeof(it->path), "net/%s/conf/%s/%s", k->family, name, k->key);
	require(n > 0 && (size_t)n < sizeof(it->path));
	if (k->rule == SYSCTL_COPY || k->rule == SYSCTL_RP_FILTER)
		snprintf(it->from, sizeof(it->from), "net/%s/conf/%s/%s", k->family,
			 k->rule == SYSCTL_COPY ? from : "all", k->key);
}

unsigned sysctl_plan_vmac(const struct sysctl_vmac *v, struct sysctl_item out[SYSCTL_ITEMS_MAX])
{
	const struct key keys[] = {
		{ "ipv4", "arp_ignore", SYSCTL_AT_LEAST, 1 },
		{ "ipv4", "arp_announce", SYSCTL_AT_LEAST, 2 },
		{ "ipv4", "arp_filter", SYSCTL_SET, 0 },
		{ "ipv4", "rp_filter", SYSCTL_RP_FILTER, 0 },
		{ "ipv4", "forwarding", SYSCTL_COPY, 0 },
		{ "ipv6", "disable_ipv6", SYSCTL_COPY, 0 },
		{ "ipv6", "addr_gen_mode", SYSCTL_SET, v->link_local ? 0 : 1 },
		{ "ipv6", "accept_ra", SYSCTL_SET, 0 },
		{ "ipv6", "autoconf", SYSCTL_SET, 0 },
		{ "ipv6", "forwarding", SYSCTL_COPY, 0 },
		{ "ipv6", "dad_transmits", v->dad ? SYSCTL_AT_LEAST : SYSCTL_SET, v->dad ? 1 : 0 },
	};
	unsigned n = sizeof(keys) / sizeof(keys[0]);
	_Static_assert(sizeof(keys) / sizeof(keys[0]) <= SYSCTL_ITEMS_MAX, "room for every item");
	for (unsigned i = 0; i < n; i++)
		item(&out[i], v->name, v->base, &keys[i]);
	return n;
}

unsigned sysctl_plan_base(const char *name, struct sysctl_item out[SYSCTL_BASE_N])
{
	static const struct key keys[SYSCTL_BASE_N] = {
		[SYSCTL_BASE_ARP_IGNORE] = { "ipv4", "arp_ignore", SYSCTL_AT_LEAST, 1 },
		[SYSCTL_BASE_ARP_ANNOUNCE] = { "ipv4", "arp_announce", SYSCTL_AT_LEAST, 2 },
	};
	for (unsigned i = 0; i < SYSCTL_BASE_N; i++)
		item(&out[i], name, "", &keys[i]);
	return SYSCTL_BASE_N;
}

int32_t sysctl_plan_value(const struct sysctl_item *it, int32_t now, int32_t from)
{
	int32_t want = it->value;
	switch (it->rule) {
	case SYSCTL_SET:
		break;
	case SYSCTL_AT_LEAST:
		want = now > it->value ? now : it->value;
		break;
	case SYSCTL_COPY:
		want = from;
		break;
	case SYSCTL_RP_FILTER:
		want = from == 1 ? 2 : 0;
		break;
	}
	return want == now ? SYSCTL_UNTOUCHED : want;
}

int32_t sysctl_plan_restore(const struct sysctl_base *b, enum sysctl_base_key key, int32_t now)
{
	return b->old[key] != SYSCTL_UNTOUCHED && now == b->set[key] ? b->old[key] : SYSCTL_UNTOUCHED;
}

/* ---- the bases ---- */

static struct sysctl_base *find(struct sysctl_plan *p, int ifindex)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->base[i].ifindex == ifindex)
			return &p->base[i];
	return NULL;
}

static void drop(struct sysctl_plan *p, struct sysctl_base *b)
{
	*b = p->base[--p->n];
}

static void name_set(struct sysctl_base *b, const char *name)
{
	snprintf(b->name, sizeof(b->name), "%s", name);
}

void sysctl_plan_begin(struct sysctl_plan *p)
{
	for (unsigned i = p->n; i-- > 0;) {
		p->base[i].wanted = false;
		if (!p->base[i].applied)
			drop(p, &p->base[i]);
	}
}

void sysctl_plan_want(struct sysctl_plan *p, int ifindex, const char *name)
{
	struct sysctl_base *b = find(p, ifindex);
	if (!b && p->n == SYSCTL_BASES_MAX) {
		p->full++;
		return;
	}
	if (!b) {
		b = &p->base[p->n++];
		*b = (struct sysctl_base){ .ifindex = ifindex };
	}
	b->wanted = true;
	name_set(b, name);
}

void sysctl_plan_gone(struct sysctl_plan *p, int ifindex)
{
	struct sysctl_base *b = find(p, ifindex);
	if (b)
		drop(p, b);
}

void sysctl_plan_named(struct sysctl_plan *p, int ifindex, const char *name)
{
	struct sysctl_base *b = find(p, ifindex);
	if (!b)
		return;
	name_set(b, name);
	b->failed = false;
}

const struct sysctl_base *sysctl_plan_next(const struct sysctl_plan *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if ((p->base[i].wanted != p->base[i].applied || (p->base[i].wanted && p->base[i].unsure)) &&
		    !p->base[i].failed)
			return &p->base[i];
	return NULL;
}

void sysctl_plan_done(struct sysctl_plan *p, const struct sysctl_base *done, int err)
{
	struct sysctl_base *b = find(p, done->ifindex);
	if (!b)
		return; /* gone meanwhile */
	b->applied = done->applied;
	b->failed = err < 0;
	b->unsure = false;
	memcpy(b->old, done->old, sizeof(b->old));
	memcpy(b->set, done->set, sizeof(b->set));
	if (!b->wanted && !b->applied)
		drop(p, b);
}

/* ---- the record ---- */

#define MAGIC   UINT32_C(0x4b545343) /* "KTSC" */
#define VERSION 1
#define HEADER  12
#define TRAILER 4

const char *sysctl_record_text(enum sysctl_record_drop d)
{
	static const char *const text[] = {
#define SYSCTL_RECORD_TEXT(name, t) [name] = (t),
		SYSCTL_RECORD_TABLE(SYSCTL_RECORD_TEXT)
#undef SYSCTL_RECORD_TEXT
	};
	return d >= 0 && d < SYSCTL_RECORD_DROP_N ? text[d] : "unknown";
}

size_t sysctl_record_encode(const struct sysctl_plan *p, uint8_t *buf, size_t cap)
{
	struct wire_wr w = wire_wr(buf, cap);
	uint32_t n = 0;
	for (unsigned i = 0; i < p->n; i++)
		n += p->base[i].applied;
	wire_put_u32(&w, MAGIC);
	wire_put_u16(&w, VERSION);
	wire_put_u16(&w, SYSCTL_BASE_N);
	wire_put_u32(&w, n);
	for (unsigned i = 0; i < p->n; i++) {
		const struct sysctl_base *b = &p->base[i];
		if (!b->applied)
			continue;
		uint8_t len = (uint8_t)strnlen(b->name, sizeof(b->name) - 1);
		wire_put_u32(&w, (uint32_t)b->ifindex);
		wire_put_u8(&w, len);
		wire_put_bytes(&w, b->name, len);
		for (unsigned k = 0; k < SYSCTL_BASE_N; k++) {
			wire_put_u32(&w, (uint32_t)b->old[k]);
			wire_put_u32(&w, (uint32_t)b->set[k]);
		}
	}
	if (!w.bad)
		wire_put_u32(&w, crc32_ieee(0, buf, wire_len(&w)));
	return w.bad ? 0 : wire_len(&w);
}

static enum sysctl_record_drop read_base(struct wire_rd *r, struct sysctl_plan *p)
{
	struct sysctl_base b = { .applied = true, .unsure = true };
	uint32_t ifindex = wire_u32(r);
	uint8_t len = wire_u8(r);
	if (ifindex == 0 || ifindex > INT32_MAX || len == 0 || len >= IFNAMSIZ)
		return r->bad ? SYSCTL_RECORD_SHORT : SYSCTL_RECORD_ENTRY;
	b.ifindex = (int)ifindex;
	wire_bytes(r, b.name, len);
	for (unsigned k = 0; k < SYSCTL_BASE_N; k++) {
		b.old[k] = (int32_t)wire_u32(r);
		b.set[k] = (int32_t)wire_u32(r);
	}
	if (r->bad)
		return SYSCTL_RECORD_SHORT;
	/* A name becomes part of a path. */
	if (strnlen(b.name, sizeof(b.name)) != len || strchr(b.name, '/') || strcmp(b.name, ".") == 0 ||
	    strcmp(b.name, "..") == 0 || find(p, b.ifindex))
		return SYSCTL_RECORD_ENTRY;
	p->base[p->n++] = b;
	return SYSCTL_RECORD_OK;
}

static enum sysctl_record_drop decode(struct sysctl_plan *p, const uint8_t *buf, size_t len)
{
	if (len < HEADER + TRAILER)
		return SYSCTL_RECORD_SHORT;
	struct wire_rd r = wire_rd(buf, len - TRAILER), crc = wire_rd(buf + len - TRAILER, TRAILER);
	if (wire_u32(&r) != MAGIC)
		return SYSCTL_RECORD_MAGIC;
	if (wire_u16(&r) != VERSION || wire_u16(&r) != SYSCTL_BASE_N)
		return SYSCTL_RECORD_VERSION;
	if (wire_u32(&crc) != crc32_ieee(0, buf, len - TRAILER))
		return SYSCTL_RECORD_CRC;
	uint32_t count = wire_u32(&r);
	if (count > SYSCTL_BASES_MAX)
		return SYSCTL_RECORD_COUNT;
	for (uint32_t i = 0; i < count; i++) {
		enum sysctl_record_drop d = read_base(&r, p);
		if (d != SYSCTL_RECORD_OK)
			return d;
	}
	return wire_left(&r) ? SYSCTL_RECORD_COUNT : SYSCTL_RECORD_OK;
}

enum sysctl_record_drop sysctl_record_decode(struct sysctl_plan *p, const uint8_t *buf, size_t len)
{
	require(p->n == 0);
	enum sysctl_record_drop d = decode(p, buf, len);
	if (d != SYSCTL_RECORD_OK)
		p->n = 0;
	return d;
}
