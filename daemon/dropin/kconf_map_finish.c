/* One vrrp_instance when all its words are read: what contradicts, what follows, and keepalived's defaults. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/dropin/kconf_map_int.h"

static struct cfg_val *val(const struct kinst *i, const char *key)
{
	return cfg_rec_val(i->r, key);
}

static void set(struct kinst *i, const char *key, int64_t num)
{
	kmap_num(i->m, i->r, key, i->s, num);
}

/* The interface of this machine that has the address; false: none. */
static bool bearer(const struct addr *a, char name[IFNAMSIZ])
{
	struct ifaddrs *list, *f;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (f = list; f && !found; f = f->ifa_next) {
		struct addr b = { 0 };
		if (f->ifa_addr && f->ifa_addr->sa_family == AF_INET)
			b = addr_from_bytes(ADDR_V4, &((struct sockaddr_in *)(void *)f->ifa_addr)->sin_addr);
		else if (f->ifa_addr && f->ifa_addr->sa_family == AF_INET6)
			b = addr_from_bytes(ADDR_V6, &((struct sockaddr_in6 *)(void *)f->ifa_addr)->sin6_addr);
		found = addr_eq(a, &b);
		if (found)
			snprintf(name, IFNAMSIZ, "%s", f->ifa_name);
	}
	freeifaddrs(list);
	return found;
}

/* With unicast keepalived does without: the source says which interface it is. */
static void find_interface(struct kinst *i)
{
	char name[IFNAMSIZ];
	struct addr a;

	if (i->interface || !i->peers || !i->source || !addr_parse(kmap_arg(i->source, 1), &a))
		return;
	if (bearer(&a, name) && kmap_text(i->m, i->r, "interface", i->source, name))
		i->interface = i->source;
}

static void required(struct kinst *i)
{
	find_interface(i);
	if (!i->interface)
		KMAP_REFUSE(i->m, i->s, "(%s) the interface is missing%s; write interface NAME", i->name,
			    i->peers && i->source ? ", and none of this machine has the address of unicast_src_ip"
						  : "");
	if (!i->vrid)
		KMAP_REFUSE(i->m, i->s, "(%s) virtual_router_id is missing; it must be a number from 1 to 255",
			    i->name);
}

/* Priority 255 is what MASTER alone means; without state it is the other way round. */
static void priority(struct kinst *i)
{
	bool owner;

	if (!i->has_priority)
		set(i, "priority", i->master ? 255 : 100);
	owner = val(i, "priority")->num == 255;
	if (i->strict && i->master && !owner)
		KMAP_WARN(i->m, i->s, "(%s) strict mode: state MASTER needs priority 255; taken as BACKUP", i->name);
	if (i->nopreempt && (i->master || owner)) {
		KMAP_WARN(i->m, i->preempt, "(%s) nopreempt is ignored with %s", i->name,
			  owner ? "priority 255" : "state MASTER");
		i->nopreempt = false;
	}
	if (i->preempt)
		kmap_num(i->m, i->r, "preempt", i->preempt, !i->nopreempt);
	if (i->delay && val(i, "preempt_delay")->num && (i->strict || i->nopreempt || i->master)) {
		KMAP_WARN(i->m, i->delay, "(%s) preempt_delay is ignored with %s", i->name,
			  i->strict      ? "strict mode"
			  : i->nopreempt ? "nopreempt"
					 : "state MASTER");
		val(i, "preempt_delay")->num = 0;
	}
}

/* IPv6 is version 3 whatever is said; 2 is the default. */
static void version(struct kinst *i)
{
	bool v2 = !i->version || val(i, "version")->num == VRRP_V2;

	if (i->af == ADDR_V6 && v2) {
		if (i->version && i->version->at.line)
			KMAP_WARN(i->m, i->version, "(%s) IPv6 is version 3", i->name);
		v2 = false;
	}
	kmap_word(i->m, i->r, "version", i->version ? i->version : i->s, v2 ? "v2" : "v3");
	kmap_word(i->m, i->r, "family", i->s, i->af == ADDR_V6 ? "ipv6" : "ipv4");
	if (!v2 && i->auth) {
		KMAP_WARN(i->m, i->auth, "(%s) version 3 has no authentication; ignored", i->name);
		i->auth = NULL;
	}
	if (i->strict && i->auth) {
		KMAP_WARN(i->m, i->auth, "(%s) strict mode has no authentication; ignored", i->name);
		i->auth = NULL;
	}
	if (i->auth && i->pass[0])
		kmap_text(i->m, i->r, "auth_pass", i->auth, i->pass);
}

/* Whole seconds in version 2 (RFC 3768 section 5.3.7), hundredths in version 3 (RFC 9568 section 5.2.7). */
static void interval(struct kinst *i)
{
	struct cfg_val *v = val(i, "advert_interval");
	bool v2 = val(i, "version")->num == VRRP_V2;
	int64_t step = v2 ? NS_PER_SEC : 10 * NS_PER_MS, max = v2 ? 255 * NS_PER_SEC : 40950 * NS_PER_MS;
	int64_t to = (v->num + step / 2) / step * step;
	char a[40], b[40];

	to = to < step ? step : to > max ? max : to;
	if (to != v->num)
		KMAP_WARN(i->m, i->advert, "(%s) advert_int %s becomes %s in version %d", i->name,
			  cfg_time_text(v->num, a, sizeof(a)), cfg_time_text(to, b, sizeof(b)), v2 ? 2 : 3);
	v->num = to;
}

/* Back to what it is without the word. */
static void take_back(struct kinst *i, const char *key)
{
	struct cfg_val *v = val(i, key);

	v->given = false;
	if (v->key->def)
		cfg_schema_num(v->key, v->key->def, &v->num);
}

static void peers(struct kinst *i)
{
	unsigned n = val(i, "unicast_peers")->n;

	if (n && i->strict) /* keepalived serves it */
		kconf_complain(i->m->errs, CFG_NOTE, i->peers,
			       "(%s) strict mode: VRRP has no unicast; it is sent all the same", i->name);
	if (!n && i->fault_no_peer)
		KMAP_REFUSE(i->m, i->fault_no_peer,
			    "(%s) there is no unicast peer, and unicast_fault_no_peer wants no multicast then; name "
			    "peers, or remove the word",
			    i->name);
	if (!n && i->unicast_word)
		KMAP_WARN(i->m, i->s, "(%s) there is no unicast peer; adverts are multicast", i->name);
	if (!n) {
		take_back(i, "unicast_ttl");
		take_back(i, "unicast_any_source");
		return;
	}
	if (!val(i, "unicast_any_source")->given)
		set(i, "unicast_any_source", !i->check_source);
}

/* mcast_dst_ip, else the group of global_defs. */
static void multicast(struct kinst *i)
{
	const struct kconf_stmt *s = i->mcast;
	struct addr a;

	if (val(i, "unicast_peers")->n)
		return;
	if (!s)
		s = kmap_global(i->m, i->af == ADDR_V6 ? "vrrp_mcast_group6" : "vrrp_mcast_group4");
	if (!s)
		return;
	if (!addr_parse(kmap_arg(s, 1), &a) || !addr_is_multicast(&a) || a.af != (i->af ? i->af : ADDR_V4)) {
		KMAP_WARN(i->m, s, "(%s) %s '%.60s' is no multicast address of the family; ignored", i->name,
			  s->words[0], kmap_arg(s, 1));
		return;
	}
	kmap_text(i->m, i->r, "multicast_group", s, kmap_arg(s, 1));
}

static void source(struct kinst *i)
{
	struct addr a;

	if (!i->source || !addr_parse(kmap_arg(i->source, 1), &a) || a.af != (i->af ? i->af : ADDR_V4))
		return;
	if (!i->m->cluster) {
		kmap_text(i->m, i->r, "source", i->source, kmap_arg(i->source, 1));
		return;
	}
	kmap_own(i);
	kmap_text(i->m, i->own, "source", i->source, kmap_arg(i->source, 1));
}

/* Only what differs between the nodes of a cluster: both compare the rest. */
static void local_part(struct kinst *i)
{
	struct cfg_val *v = val(i, "priority");

	if (!i->m->cluster)
		return;
	kmap_own(i);
	kmap_num(i->m, i->own, "priority", i->s, v->num);
	v->num = 100;
	v->given = false;
}

/* A name that the file gives is one that is not made up for another. */
static void take_name(struct kmap *m, const char *prefix, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t len = strlen(prefix);
	unsigned long n = dot ? strtoul(dot + 1, NULL, 10) : 0;

	if (n < 1 || n > 255 || strncmp(name, prefix, len) != 0)
		return;
	m->vmac[n].plain |= name + len == dot;
	m->vmac[n].six |= name + len + 1 == dot && name[len] == '6';
}

/*
 * The name that keepalived 2.2.7 makes up: PREFIX.VRID, and where that is taken PREFIX6.VRID for IPv6, or else the first of
 * PREFIX1.VRID, PREFIX2.VRID and so on: the same VRID may be on several interfaces.
 */
static void name_vmac(struct kinst *i, struct cfg_rec *block, const struct kconf_stmt *prefix)
{
	long long vrid = val(i, "vrid")->num;
	struct kmap_vmac *taken = &i->m->vmac[vrid & 255];
	const char *begin = prefix ? kmap_arg(prefix, 1) : "vrrp";
	char name[64];

	if (i->extra_name[0]) {
		take_name(i->m, begin, i->extra_name);
		kmap_text(i->m, block, "interface", i->extra, i->extra_name);
		return;
	}
	if (!taken->plain) {
		snprintf(name, sizeof(name), "%.20s.%lld", begin, vrid);
		taken->plain = true;
		if (!prefix && i->af == ADDR_V4)
			return; /* the same as ours */
	} else if (i->af == ADDR_V6 && !taken->six) {
		snprintf(name, sizeof(name), "%.20s6.%lld", begin, vrid);
		taken->six = true;
	} else {
		taken->n += taken->n + 1 == 6 && taken->six ? 2 : 1;
		snprintf(name, sizeof(name), "%.20s%u.%lld", begin, taken->n, vrid);
	}
	kmap_text(i->m, block, "interface", prefix ? prefix : i->extra, name);
}

/*
 * For keepalived an address of the instance's family is on the virtual MAC's interface, also where the instance's own one is
 * written; one of the other family is on the instance's own.
 */
static void place_beside_vmac(struct kinst *i, const char *list)
{
	const struct cfg_val *vips = val(i, list);
	const char *own = cfg_rec_text(i->r, "interface");

	for (unsigned n = 0; own && n < vips->n; n++) {
		struct cfg_val *dev = cfg_rec_val(&vips->recs[n], "interface");
		const char *address = cfg_rec_text(&vips->recs[n], "address");
		if (!address)
			continue;
		if ((strchr(address, ':') != NULL) != (i->af == ADDR_V6)) {
			if (!dev->text)
				kmap_text(i->m, &vips->recs[n], "interface", i->extra, own);
		} else if (dev->text && strcmp(dev->text, own) == 0) {
			free(dev->text);
			dev->text = NULL;
			dev->given = false;
		}
	}
}

static void vmac(struct kinst *i)
{
	const struct kconf_stmt *prefix = kmap_global(i->m, "vmac_prefix");
	struct cfg_rec *block;

	if (!i->vmac && !i->ipvlan) {
		if (i->garp_extra)
			take_back(i, "garp_extra_interval");
		return;
	}
	block = kmap_block(i->m, i->r, "virtual_mac", i->extra);
	if (i->ipvlan)
		kmap_word(i->m, block, "kind", i->extra, "ipvlan");
	name_vmac(i, block, i->vmac ? prefix : NULL);
	if (i->vmac && i->has_mac) {
		const uint8_t *m = i->extra_mac;
		char mac[20];
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
			 i->extra_short ? (uint8_t)val(i, "vrid")->num : m[5]);
		kmap_text(i->m, block, "address", i->extra, mac);
	}
	place_beside_vmac(i, "virtual_addresses");
	place_beside_vmac(i, "excluded_addresses");
	if (i->vmac && i->xmit_base && i->strict)
		KMAP_WARN(i->m, i->s, "(%s) vmac_xmit_base is ignored in strict mode", i->name);
	else if (i->vmac && (i->xmit_base || val(i, "unicast_peers")->n))
		kmap_word(i->m, block, "source", i->extra, "base");
	if (i->ipvlan)
		take_back(i, "garp_extra_interval");
}

static void copy_num(struct kinst *i, const char *to, const char *from)
{
	if (!val(i, to)->given && val(i, to)->num != val(i, from)->num)
		set(i, to, val(i, from)->num);
}

static void announcements(struct kinst *i)
{
	const struct kconf_stmt *min = kmap_global(i->m, "vrrp_min_garp"), *s;
	bool on = false;

	if (min && kmap_bool(i->m, min, &on) && on) {
		if (!val(i, "garp_repeat")->given)
			kmap_num(i->m, i->r, "garp_repeat", min, 1);
		if (!val(i, "garp_delay")->given)
			kmap_num(i->m, i->r, "garp_delay", min, 0);
	}
	if (i->strict && !val(i, "garp_lower_repeat")->given)
		set(i, "garp_lower_repeat", 0);
	if (i->strict && !val(i, "garp_lower_delay")->given)
		set(i, "garp_lower_delay", 0);
	copy_num(i, "garp_lower_repeat", "garp_repeat");
	copy_num(i, "garp_lower_delay", "garp_delay");
	s = kmap_global(i->m, "vrrp_garp_interval");
	if (s)
		kmap_simple(i->m, i->r, kword_find(KIN_GLOBAL, "vrrp_garp_interval"), s);
	s = kmap_global(i->m, "vrrp_gna_interval");
	if (s)
		kmap_simple(i->m, i->r, kword_find(KIN_GLOBAL, "vrrp_gna_interval"), s);
	kmap_garp_group(i);
}

static void strict(struct kinst *i)
{
	if (!i->strict)
		return;
	bool owner = val(i, "priority")->num == 255, v2 = i->af == ADDR_V4 && val(i, "version")->num == VRRP_V2;
	if (i->accept_given && v2 && !owner && val(i, "accept")->num)
		KMAP_WARN(i->m, i->s, "(%s) accept is ignored in strict mode with version 2 (RFC 3768)", i->name);
	if (!i->accept_given || v2)
		set(i, "accept", owner);
	if (!val(i, "lower_priority_advert")->given)
		set(i, "lower_priority_advert", 0);
	if (val(i, "higher_priority_advert")->num) {
		KMAP_WARN(i->m, i->s, "(%s) higher_prio_send_advert is ignored in strict mode", i->name);
		take_back(i, "higher_priority_advert");
	}
}

static struct cfg_rec *tracked(const struct kinst *i, const char *interface)
{
	const struct cfg_val *list = val(i, "track");

	for (unsigned n = 0; n < list->n; n++) {
		const char *other = cfg_rec_text(&list->recs[n], "interface");
		if (other && strcmp(other, interface) == 0)
			return &list->recs[n];
	}
	return NULL;
}

/*
 * keepalived takes an instance for failed when the interface of one of its addresses, routes or rules is, unless no_track
 * says other. A weight that track_interface gives the same interface is lost with it: measured with 2.2.7.
 */
static void fails_with(struct kinst *i, const struct kconf_stmt *s, struct cfg_pos at, const char *what,
		       const char *dev)
{
	struct cfg_rec *r = tracked(i, dev);
	struct cfg_val *track = val(i, "track");

	if (!r && track->n < (unsigned)track->key->max) {
		r = kmap_push(i->m, i->r, "track", s);
		r->at = at;
		kmap_text(i->m, r, "interface", s, dev);
	} else if (r && cfg_rec_val(r, "weight")->num) {
		KMAP_WARN(i->m, s,
			  "(%s) the weight of %s is ignored, because %s is on it: its failure is a fault; "
			  "write no_track",
			  i->name, dev, what);
		kmap_num(i->m, r, "weight", s, 0);
		kmap_num(i->m, r, "reverse", s, 0);
	}
}

static void track_addresses(struct kinst *i, const char *list)
{
	const struct cfg_val *vips = val(i, list);

	for (unsigned n = 0; n < vips->n; n++) {
		const struct cfg_rec *vip = &vips->recs[n];
		const char *dev = cfg_rec_text(vip, "interface"), *own = cfg_rec_text(i->r, "interface");
		if (dev && (!own || strcmp(dev, own) != 0) && cfg_rec_val(vip, "track")->num)
			fails_with(i, i->s, vip->at, "a virtual address", dev);
	}
}

/* With a route or a rule the instance's own interface counts too, whatever dont_track_primary says. */
static void track_device(struct kinst *i, const struct kconf_stmt *s, const char *what, const char *dev)
{
	const char *own = cfg_rec_text(i->r, "interface");
	struct cfg_val *link = val(i, "track_link");

	if (!own || strcmp(dev, own) != 0) {
		fails_with(i, s, kmap_at(i->m, s), what, dev);
	} else if (link->given && !link->num) {
		KMAP_WARN(i->m, s, "(%s) %s counts in spite of dont_track_primary, for %s on it; write no_track",
			  i->name, dev, what);
		take_back(i, "track_link");
	}
}

static bool has_word(const struct kconf_stmt *s, const char *word)
{
	for (unsigned n = 0; n < s->n_words; n++)
		if (strcmp(s->words[n], word) == 0)
			return true;
	return false;
}

static void track_devices(struct kinst *i)
{
	for (const struct kconf_stmt *block = i->s->subs; block; block = block->next) {
		bool routes = strcmp(block->words[0], "virtual_routes") == 0,
		     rules = strcmp(block->words[0], "virtual_rules") == 0;
		for (const struct kconf_stmt *s = routes || rules ? block->subs : NULL; s; s = s->next) {
			bool one = false; /* the first device of a route; of a rule, both */
			for (unsigned n = 0; n + 1 < s->n_words && !has_word(s, "no_track"); n++) {
				bool dev = routes ? !one && strcmp(s->words[n], "dev") == 0
						  : strcmp(s->words[n], "iif") == 0 || strcmp(s->words[n], "oif") == 0;
				if (dev)
					track_device(i, s, routes ? "a route" : "a rule", s->words[n + 1]);
				one |= dev;
			}
		}
	}
}

void kmap_instance_finish(struct kinst *i)
{
	required(i);
	if (!i->af)
		i->af = ADDR_V4;
	priority(i);
	version(i);
	interval(i);
	peers(i);
	multicast(i);
	source(i);
	vmac(i);
	announcements(i);
	strict(i);
	if (val(i, "priority")->num == 255 && val(i, "accept")->given && !val(i, "accept")->num)
		take_back(i, "accept");
	track_addresses(i, "virtual_addresses");
	track_addresses(i, "excluded_addresses");
	track_devices(i);
	local_part(i);
}
