/* Meaning of `vrrp`: VRIDs, versions, addresses and roles of the instances; where each virtual address is. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/cfg_check.h"

struct vrid_place {
	const char *interface;
	int64_t vrid, family;
	const struct cfg_rec *rec;
};

static int vrid_cmp(const void *a, const void *b)
{
	const struct vrid_place *x = a, *y = b;
	int d = strcmp(x->interface, y->interface);

	if (!d)
		d = x->vrid != y->vrid ? (x->vrid < y->vrid ? -1 : 1) : (int)(x->family - y->family);
	return d;
}

/* RFC 9568 section 5.2.3: a VRID is unique on its link, per address family. */
static void unique_vrids(struct cfg_checker *c)
{
	struct vrid_place *p = calloc(c->instances->n ? c->instances->n : 1, sizeof(*p));
	unsigned n = 0;

	require(p);
	for (unsigned i = 0; i < c->instances->n; i++) {
		const struct cfg_rec *r = &c->instances->recs[i];
		const struct cfg_val *vrid = cfg_rec_val(r, "vrid"), *family = cfg_rec_val(r, "family");
		const char *interface = cfg_check_interface(c, r);
		if (interface && vrid->given && !vrid->bad && !family->bad)
			p[n++] = (struct vrid_place){ interface, vrid->num, family->num, r };
	}
	qsort(p, n, sizeof(*p), vrid_cmp);
	for (unsigned i = 1; i < n; i++) {
		if (vrid_cmp(&p[i], &p[i - 1]) != 0)
			continue;
		/* qsort keeps no order among equals: name the later line, point at the earlier one */
		const struct vrid_place *a = &p[i - 1], *b = &p[i];
		if (a->rec > b->rec) {
			a = &p[i];
			b = &p[i - 1];
		}
		cfg_complain(c->errs, CFG_ERROR, c->t, b->rec, "vrid",
			     "the VRID is used on %s by %s (line %u) already; one per interface and family is possible",
			     b->interface, cfg_rec_text(a->rec, "name") ? cfg_rec_text(a->rec, "name") : "an instance",
			     a->rec->at.line);
	}
	free(p);
}

static bool family_of(const struct cfg_rec *inst, uint8_t *af)
{
	const struct cfg_val *family = cfg_rec_val(inst, "family");

	*af = family->num ? ADDR_V6 : ADDR_V4;
	return !family->bad;
}

static bool vip_addr(const struct cfg_rec *vip, struct addr *a)
{
	const char *text = cfg_rec_text(vip, "address");
	uint8_t plen;

	return text && addr_parse_prefix(text, a, &plen);
}

static void check_unicast(struct cfg_checker *c, const struct cfg_rec *vip, const struct addr *a)
{
	static const struct addr zero4 = { .af = ADDR_V4 }, zero6 = { .af = ADDR_V6 };

	if (addr_is_multicast(a) || addr_eq(a, &zero4) || addr_eq(a, &zero6))
		cfg_complain(c->errs, CFG_ERROR, c->t, vip, "address",
			     "cannot be a virtual address; it must be a unicast address");
}

/* Options that an address of its family cannot have. */
static void check_address_options(struct cfg_checker *c, const struct cfg_rec *vip, const struct addr *a)
{
	static const char *const only4[] = { "label", "broadcast" };
	const struct cfg_val *flags = cfg_rec_val(vip, "flags"), *peer = cfg_rec_val(vip, "peer");
	const char *other = cfg_rec_text(vip, "peer"), *broadcast = cfg_rec_text(vip, "broadcast");
	struct addr b = { 0 };

	for (unsigned i = 0; i < 2 && a->af == ADDR_V6; i++) {
		if (cfg_rec_val(vip, only4[i])->given)
			cfg_complain(c->errs, CFG_ERROR, c->t, vip, only4[i], "an IPv6 address has none; remove it");
	}
	if (broadcast && a->af == ADDR_V4 && strcmp(broadcast, "auto") != 0 &&
	    (!addr_parse(broadcast, &b) || b.af != ADDR_V4))
		cfg_complain(c->errs, CFG_ERROR, c->t, vip, "broadcast", "must be an IPv4 address or \"auto\"");
	if (a->af == ADDR_V4 && !flags->bad && flags->num & ~(int64_t)(VRRP_VIP_NOPREFIXROUTE | VRRP_VIP_AUTOJOIN))
		cfg_complain(c->errs, CFG_ERROR, c->t, vip, "flags",
			     "home, mngtmpaddr and dad are for IPv6 addresses; remove them");
	if (other && !peer->bad && addr_parse(other, &b) && b.af != a->af)
		cfg_complain(c->errs, CFG_ERROR, c->t, vip, "peer", "must be of the same family as the address");
}

static void check_vip(struct cfg_checker *c, const struct cfg_rec *inst, const struct cfg_rec *vip, unsigned index)
{
	struct addr a;
	uint8_t af;

	if (!vip_addr(vip, &a))
		return;
	if (family_of(inst, &af) && a.af != af)
		cfg_complain(
		    c->errs, CFG_ERROR, c->t, vip, "address",
		    "an %s address in an instance with family = \"%s\"; an instance has one family, give the other "
		    "one its own instance or put it into excluded_addresses",
		    a.af == ADDR_V6 ? "IPv6" : "IPv4", af == ADDR_V6 ? "ipv6" : "ipv4");
	check_unicast(c, vip, &a);
	check_address_options(c, vip, &a);
	if (index == 0 && a.af == ADDR_V6 && !addr_is_multicast(&a) && !addr_is_link_local(&a))
		/* RFC 9568 section 5.2.9: the first IPv6 address is the link-local one of the virtual router */
		cfg_complain(c->errs, CFG_WARNING, c->t, vip, "address",
			     "the first address of an IPv6 instance should be link-local (fe80::/10), hosts use it as "
			     "their router");
}

static void check_version(struct cfg_checker *c, const struct cfg_rec *inst)
{
	const struct cfg_val *version = cfg_rec_val(inst, "version"), *adv = cfg_rec_val(inst, "advert_interval");
	uint8_t af;

	/* RFC 9568 section 5.2.7: the field counts centiseconds */
	if (!adv->bad && adv->num % (10 * NS_PER_MS))
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "advert_interval",
			     "must be a multiple of 0.01 seconds, VRRP counts in hundredths");
	if (version->bad)
		return;
	if (version->num == VRRP_V3) {
		if (!adv->bad && adv->num > 40950 * NS_PER_MS)
			cfg_complain(c->errs, CFG_ERROR, c->t, inst, "advert_interval",
				     "version 3 cannot say more than 40.95 seconds; use a shorter interval");
		if (cfg_rec_val(inst, "auth_pass")->given)
			cfg_complain(c->errs, CFG_ERROR, c->t, inst, "auth_pass",
				     "version 3 has no passwords (RFC 9568 section 9); remove it, or set version = "
				     "\"v2\"");
		return;
	}
	if (family_of(inst, &af) && af == ADDR_V6)
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "version",
			     "version 2 knows IPv4 only; an IPv6 instance needs version = \"v3\"");
	/* RFC 3768 section 5.3.7: a byte of whole seconds */
	if (!adv->bad && (adv->num % NS_PER_SEC || adv->num > 255 * NS_PER_SEC))
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "advert_interval",
			     "version 2 counts in whole seconds from 1 to 255; use such a value, or version = \"v3\"");
	if (version->num == VRRP_V2_AND_3 && !adv->bad && adv->num > 40 * NS_PER_SEC)
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "advert_interval",
			     "version 3 cannot say more than 40.95 seconds; use a shorter interval");
}

static void check_peer(struct cfg_checker *c, const struct cfg_rec *peer, uint8_t af)
{
	const struct cfg_val *low = cfg_rec_val(peer, "min_ttl"), *high = cfg_rec_val(peer, "max_ttl");
	const char *text = cfg_rec_text(peer, "address");
	struct addr a;

	if (text && addr_parse(text, &a) && (a.af != af || addr_is_multicast(&a)))
		cfg_complain(c->errs, CFG_ERROR, c->t, peer, "address",
			     "must be a unicast address of the instance's family");
	if (!low->bad && !high->bad && low->num > high->num)
		cfg_complain(c->errs, CFG_ERROR, c->t, peer, "min_ttl",
			     "is above max_ttl (%lld); nothing would be accepted", (long long)high->num);
}

static void check_addressing(struct cfg_checker *c, const struct cfg_rec *inst)
{
	const struct cfg_val *peers = cfg_rec_val(inst, "unicast_peers");
	static const char *const only_unicast[] = { "unicast_ttl", "unicast_any_source" };
	const char *group = cfg_rec_text(inst, "multicast_group"), *source = cfg_rec_text(inst, "source");
	struct addr a;
	uint8_t af;

	if (!family_of(inst, &af))
		return;
	for (unsigned i = 0; i < peers->n; i++)
		check_peer(c, &peers->recs[i], af);
	if (group && addr_parse(group, &a) && (a.af != af || !addr_is_multicast(&a)))
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "multicast_group",
			     "must be a multicast address of the instance's family");
	if (group && peers->n)
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "multicast_group",
			     "nothing is sent to a group when unicast_peers are given; remove one of both");
	if (source && addr_parse(source, &a) && (a.af != af || addr_is_multicast(&a)))
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "source",
			     "must be a unicast address of the instance's family");
	if (source && c->nodes->n)
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "source",
			     "would be the same on all nodes of the cluster; set it in node.instances of each");
	for (unsigned i = 0; i < 2 && !peers->n; i++) {
		if (cfg_rec_val(inst, only_unicast[i])->given)
			cfg_complain(c->errs, CFG_WARNING, c->t, inst, only_unicast[i],
				     "has no effect without unicast_peers");
	}
}

static void check_role(struct cfg_checker *c, const struct cfg_rec *inst)
{
	const struct cfg_val *preempt = cfg_rec_val(inst, "preempt"), *delay = cfg_rec_val(inst, "preempt_delay");
	const struct cfg_val *priority = cfg_rec_val(inst, "priority"), *accept = cfg_rec_val(inst, "accept");
	bool owner = !priority->bad && priority->num == 255;

	if (delay->given && !delay->bad && delay->num && !preempt->bad && !preempt->num)
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "preempt_delay",
			     "contradicts preempt = false: there is nothing to delay; remove one of both");
	if (owner && c->nodes->n)
		cfg_complain(c->errs, CFG_ERROR, c->t, inst, "priority",
			     "makes every node of the cluster the owner of the addresses, and none of two owners can "
			     "yield to the other; use 254 or less here, and node.priority where one is better");
	if (owner && preempt->given && !preempt->bad && !preempt->num)
		cfg_complain(c->errs, CFG_WARNING, c->t, inst, "preempt",
			     "has no effect on the owner of the addresses (priority 255)");
	if (owner && accept->given && !accept->bad && !accept->num)
		cfg_complain(c->errs, CFG_WARNING, c->t, inst, "accept",
			     "has no effect on the owner of the addresses (priority 255)");
}

static void check_instance(struct cfg_checker *c, const struct cfg_rec *inst)
{
	const struct cfg_val *vips = cfg_rec_val(inst, "virtual_addresses"),
			     *excluded = cfg_rec_val(inst, "excluded_addresses");
	struct addr a;

	if (!vips->n && !vips->bad && !excluded->n)
		cfg_complain(c->errs, CFG_WARNING, c->t, inst, "virtual_addresses",
			     "is empty; no address follows the role of this instance");
	check_version(c, inst);
	check_addressing(c, inst);
	check_role(c, inst);
	for (unsigned i = 0; i < vips->n; i++)
		check_vip(c, inst, &vips->recs[i], i);
	for (unsigned i = 0; i < excluded->n; i++) {
		if (!vip_addr(&excluded->recs[i], &a))
			continue;
		check_unicast(c, &excluded->recs[i], &a);
		check_address_options(c, &excluded->recs[i], &a);
	}
}

static void check_static(struct cfg_checker *c)
{
	const struct cfg_val *s = cfg_section_val(c->t, "vrrp", "static");
	const struct cfg_val *list = s && s->n ? cfg_rec_val(&s->recs[0], "addresses") : NULL;
	struct addr a;

	for (unsigned i = 0; list && i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		if (!cfg_rec_val(r, "interface")->given)
			cfg_complain(
			    c->errs, CFG_ERROR, c->t, r, "interface",
			    "is missing; a static address belongs to no instance whose interface it could use");
		if (!vip_addr(r, &a))
			continue;
		check_unicast(c, r, &a);
		check_address_options(c, r, &a);
	}
}

struct vip_place {
	struct addr addr;
	const char *link; /* link-local addresses belong to their link and may come back on another one */
	const struct cfg_rec *vip, *inst;
};

static int vip_cmp(const void *a, const void *b)
{
	const struct vip_place *x = a, *y = b;

	int d = addr_cmp(&x->addr, &y->addr);
	return d ? d : strcmp(x->link, y->link);
}

static int vip_order(const void *a, const void *b)
{
	const struct vip_place *x = a, *y = b;
	int d = vip_cmp(a, b);

	if (d == 0)
		d = x->inst < y->inst ? -1 : x->inst > y->inst;
	return d ? d : x->vip->at.line < y->vip->at.line ? -1 : x->vip->at.line > y->vip->at.line;
}

static const char *const vip_lists[] = { "virtual_addresses", "excluded_addresses" };

static unsigned all_vips(const struct cfg_checker *c, struct vip_place **out)
{
	unsigned n = 0, room = 1;

	for (unsigned i = 0; i < 2 * c->instances->n; i++)
		room += cfg_rec_val(&c->instances->recs[i / 2], vip_lists[i % 2])->n;
	*out = calloc(room, sizeof(**out));
	require(*out);
	for (unsigned i = 0; i < 2 * c->instances->n; i++) {
		const struct cfg_rec *inst = &c->instances->recs[i / 2];
		const struct cfg_val *vips = cfg_rec_val(inst, vip_lists[i % 2]);
		for (unsigned j = 0; j < vips->n; j++) {
			struct vip_place *p = &(*out)[n];
			if (vip_addr(&vips->recs[j], &p->addr)) {
				p->vip = &vips->recs[j];
				p->inst = inst;
				const char *link = addr_is_link_local(&p->addr) ? cfg_check_interface(c, inst) : NULL;
				p->link = link ? link : "";
				n++;
			}
		}
	}
	qsort(*out, n, sizeof(**out), vip_order);
	return n;
}

static void unique_vips(struct cfg_checker *c, const struct vip_place *p, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		if (vip_cmp(&p[i - 1], &p[i]) != 0)
			continue;
		const struct vip_place *a = &p[i - 1], *b = &p[i];
		const char *owner = cfg_rec_text(a->inst, "name");
		if (!c->t->shared)
			cfg_complain(c->errs, CFG_ERROR, c->t, b->vip, "address",
				     "is a virtual address of %s (line %u) already; an address has one place",
				     owner ? owner : "an instance", a->vip->at.line);
		else if (a->inst != b->inst)
			cfg_complain(c->errs, CFG_NOTE, c->t, b->vip, "address",
				     "is a virtual address of %s (%s:%u) too: it is there as long as one of them is "
				     "MASTER",
				     owner ? owner : "an instance", a->vip->at.file, a->vip->at.line);
	}
}

void cfg_check_instances(struct cfg_checker *c)
{
	unique_vrids(c);
	for (unsigned i = 0; i < c->instances->n; i++)
		check_instance(c, &c->instances->recs[i]);
	check_static(c);
}

unsigned cfg_check_vips(struct cfg_checker *c, struct addr **out)
{
	struct vip_place *p;
	unsigned n = all_vips(c, &p);

	*out = calloc(n ? n : 1, sizeof(**out));
	require(*out);
	unique_vips(c, p, n);
	for (unsigned i = 0; i < n; i++)
		(*out)[i] = p[i].addr;
	free(p);
	return n;
}
