/* Meaning of virtual_mac, accept and what goes with them: names of interfaces, and combinations that make no sense. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/base/require.h"
#include "daemon/cfg_check.h"
#include "vrrp/vrrp_conf.h"

static bool given(const struct cfg_rec *r, const char *name)
{
	const struct cfg_val *v = cfg_rec_val(r, name);

	return v->given && !v->bad;
}

static const struct cfg_rec *block_of(const struct cfg_rec *inst)
{
	const struct cfg_val *v = cfg_rec_val(inst, "virtual_mac");

	return v->n && !v->bad ? &v->recs[0] : NULL;
}

struct name {
	char text[IFNAMSIZ];
	unsigned order; /* of the instance */
	const struct cfg_rec *inst;
	bool base;
};

/* Bases first, then in the order of the file. */
static int name_cmp(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int d = strcmp(x->text, y->text);

	if (!d)
		d = (int)y->base - (int)x->base;
	return d ? d : x->order < y->order ? -1 : x->order > y->order;
}

/* What build_vmac calls the interface; false if it cannot be told. */
static bool vmac_name(const struct cfg_rec *inst, char out[IFNAMSIZ])
{
	const struct cfg_rec *block = block_of(inst);
	const struct cfg_val *vrid = cfg_rec_val(inst, "vrid"), *family = cfg_rec_val(inst, "family");

	if (!block || cfg_rec_val(block, "interface")->bad)
		return false;
	const char *text = cfg_rec_text(block, "interface");
	if (text) {
		snprintf(out, IFNAMSIZ, "%s", text);
		return true;
	}
	if (vrid->bad || !vrid->given || family->bad)
		return false;
	snprintf(out, IFNAMSIZ, "vrrp%s.%u", family->num ? "6" : "", (unsigned)(vrid->num & 0xff));
	return true;
}

static void clash(struct cfg_checker *c, const struct name *first, const struct name *n)
{
	const struct cfg_rec *block = block_of(n->inst);
	const char *whose = cfg_rec_text(first->inst, "name");

	cfg_complain(c->errs, CFG_ERROR, c->t, block, "interface",
		     first->base ? "%s is the interface of %s (line %u) itself; the virtual MAC needs one of its own"
				 : "%s is the virtual MAC's interface of %s (line %u) already; give this one another "
				   "name here",
		     n->text, whose ? whose : "an instance", first->inst->at.line);
}

static void unique_interfaces(struct cfg_checker *c)
{
	struct name *p = calloc(2 * c->instances->n + 1u, sizeof(*p));
	unsigned n = 0;

	require(p);
	for (unsigned i = 0; i < c->instances->n; i++) {
		const struct cfg_rec *inst = &c->instances->recs[i];
		const char *base = cfg_check_interface(c, inst);
		if (base) {
			p[n] = (struct name){ .order = i, .inst = inst, .base = true };
			snprintf(p[n++].text, IFNAMSIZ, "%s", base);
		}
		p[n] = (struct name){ .order = i, .inst = inst };
		n += vmac_name(inst, p[n].text);
	}
	qsort(p, n, sizeof(*p), name_cmp);
	for (unsigned i = 1, first = 0; i < n; i++) {
		if (strcmp(p[i].text, p[first].text) != 0)
			first = i;
		else if (!p[i].base)
			clash(c, &p[first], &p[i]);
	}
	free(p);
}

static void check_block(struct cfg_checker *c, const struct cfg_rec *inst, const struct cfg_rec *block)
{
	const struct cfg_val *kind = cfg_rec_val(block, "kind"), *source = cfg_rec_val(block, "source");

	if (kind->bad || source->bad)
		return;
	if (kind->num == 1 && source->given && source->num == 0)
		cfg_complain(c->errs, CFG_ERROR, c->t, block, "source",
			     "an ipvlan has no virtual MAC, only its base's; remove source, or use kind = \"macvlan\"");
	if (kind->num == 0 && source->given && source->num == 0 && cfg_rec_val(inst, "unicast_peers")->n)
		cfg_complain(c->errs, CFG_ERROR, c->t, block, "source",
			     "unicast adverts are routed and bear the base's MAC; remove source, or unicast_peers");
	const char *address = given(block, "address") ? cfg_rec_text(block, "address") : NULL;
	uint8_t mac[6];
	if (address && kind->num == 1)
		cfg_complain(c->errs, CFG_ERROR, c->t, block, "address",
			     "an ipvlan has the MAC of its base; remove address, or use kind = \"macvlan\"");
	else if (address && (!addr_mac_parse(address, mac) || mac[0] & 1))
		cfg_complain(c->errs, CFG_ERROR, c->t, block, "address",
			     "it must be the MAC address of one station, as 02:00:00:00:00:0a");
	if (kind->num == 1 && given(inst, "garp_extra_interval"))
		cfg_complain(c->errs, CFG_WARNING, c->t, inst, "garp_extra_interval",
			     "has no effect with an ipvlan, which has the MAC of its base");
}

static bool has_address(const struct cfg_rec *inst, const struct addr *a)
{
	static const char *const lists[] = { "virtual_addresses", "excluded_addresses" };
	struct addr b;
	uint8_t plen;

	for (unsigned i = 0; i < 2; i++) {
		const struct cfg_val *vips = cfg_rec_val(inst, lists[i]);
		for (unsigned k = 0; k < vips->n; k++) {
			const char *text = cfg_rec_text(&vips->recs[k], "address");
			if (text && addr_parse_prefix(text, &b, &plen) && addr_eq(a, &b))
				return true;
		}
	}
	return false;
}

/* An IKE daemon behind a virtual address that accepts nothing would wait for ever. */
static void check_tunnels(struct cfg_checker *c, const struct cfg_rec *inst)
{
	struct addr a;

	for (unsigned i = 0; c->tunnels && i < c->tunnels->n; i++) {
		const char *vip = cfg_rec_text(&c->tunnels->recs[i], "vip");
		const char *tunnel = cfg_rec_text(&c->tunnels->recs[i], "name");
		if (vip && addr_parse(vip, &a) && has_address(inst, &a))
			cfg_complain(c->errs, CFG_ERROR, c->t, inst, "accept",
				     "would drop the IKE and ESP packets of tunnel %s (line %u), whose vip this is; "
				     "remove accept = false",
				     tunnel ? tunnel : "?", c->tunnels->recs[i].at.line);
	}
}

void cfg_check_vmac(struct cfg_checker *c)
{
	unique_interfaces(c);
	for (unsigned i = 0; i < c->instances->n; i++) {
		const struct cfg_rec *inst = &c->instances->recs[i], *block = block_of(inst);
		const struct cfg_val *accept = cfg_rec_val(inst, "accept"), *priority = cfg_rec_val(inst, "priority");
		if (block)
			check_block(c, inst, block);
		else if (given(inst, "garp_extra_interval") && cfg_rec_val(inst, "garp_extra_interval")->num)
			cfg_complain(c->errs, CFG_WARNING, c->t, inst, "garp_extra_interval",
				     "has no effect without virtual_mac");
		if (!accept->bad && !accept->num && (priority->bad || priority->num != 255))
			check_tunnels(c, inst);
	}
}
