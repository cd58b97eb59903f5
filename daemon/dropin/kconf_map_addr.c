/* Lists of addresses and of peers: one to a line, then options, as `ip address` has them. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_map_int.h"

#define LIST_MAX       255 /* addresses of one advert */
#define LIFETIME_LEAST UINT64_C(4294967294)

/* What one line says. NULL: not said. */
struct entry {
	struct addr addr;
	uint8_t plen;
	const char *dev, *label, *scope, *flags[8];
	unsigned n_flags;
	struct addr peer, brd;
	char brd_word; /* '+' or '-' */
	bool has_lifetime, no_track;
	uint32_t lifetime;
};

/* The other end decides the prefix length. */
static bool read_peer(struct kmap *m, const struct kconf_stmt *s, struct entry *e, const char *text)
{
	uint8_t plen;

	if (!addr_parse_prefix(text, &e->peer, &plen) || e->peer.af != e->addr.af) {
		KMAP_WARN(m, s, "peer '%.60s' is no address of the family; ignored", text);
		e->peer = (struct addr){ 0 };
		return false;
	}
	e->plen = plen;
	return true;
}

static void read_brd(struct kmap *m, const struct kconf_stmt *s, struct entry *e, const char *text)
{
	if (e->addr.af == ADDR_V6)
		KMAP_WARN(m, s, "an IPv6 address has no broadcast address; ignored");
	else if (strcmp(text, "+") == 0 || strcmp(text, "-") == 0)
		e->brd_word = text[0];
	else if (!addr_parse(text, &e->brd) || e->brd.af != ADDR_V4)
		KMAP_WARN(m, s, "broadcast '%.60s' is no IPv4 address; ignored", text);
}

static void read_lifetime(struct kmap *m, const struct kconf_stmt *s, struct entry *e, unsigned i)
{
	uint64_t v = UINT32_MAX; /* forever, also with /128 */

	if (strcmp(kmap_arg(s, i), "forever") != 0 && !kmap_uint(m, s, i, 0, LIFETIME_LEAST, &v))
		return;
	e->has_lifetime = true;
	e->lifetime = (uint32_t)v;
}

/* Numbers of scopes have names. */
static const char *scope_word(struct kmap *m, const struct kconf_stmt *s, const char *text)
{
	static const char *const known[][2] = { { "global", "global" }, { "site", "site" }, { "link", "link" },
						{ "host", "host" },     { "0", "global" },  { "200", "site" },
						{ "253", "link" },      { "254", "host" } };

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i][0], text) == 0)
			return known[i][1];
	KMAP_WARN(m, s, "scope '%.40s' is ignored; it must be global, site, link or host", text);
	return NULL;
}

static bool is_flag(const char *word, const struct entry *e, bool *known)
{
	static const char *const all[] = { "noprefixroute", "autojoin" }, *const only6[] = { "home", "mngtmpaddr" };

	*known = false;
	for (unsigned i = 0; i < 2; i++) {
		*known |= strcmp(word, all[i]) == 0 || strcmp(word, only6[i]) == 0;
		if (strcmp(word, all[i]) == 0 || (e->addr.af == ADDR_V6 && strcmp(word, only6[i]) == 0))
			return true;
	}
	return false;
}

/* One option at word i; the index of the last word that belongs to it. */
static unsigned read_option(struct kmap *m, const struct kconf_stmt *s, struct entry *e, unsigned i)
{
	const char *word = s->words[i], *value = kmap_arg(s, i + 1);
	bool known;

	if (strcmp(word, "dev") == 0) {
		e->dev = value;
	} else if (strcmp(word, "scope") == 0) {
		e->scope = scope_word(m, s, value);
	} else if (strcmp(word, "label") == 0) {
		e->label = value;
	} else if (strcmp(word, "peer") == 0) {
		read_peer(m, s, e, value);
	} else if (strcmp(word, "brd") == 0 || strcmp(word, "broadcast") == 0) {
		read_brd(m, s, e, value);
	} else if (strcmp(word, "preferred_lft") == 0) {
		read_lifetime(m, s, e, i + 1);
	} else if (strcmp(word, "track_group") == 0 || strcmp(word, "group") == 0) {
		return i + 1; /* lost addresses are put back in any case */
	} else {
		if (strcmp(word, "no_track") == 0)
			e->no_track = true;
		else if (is_flag(word, e, &known))
			e->flags[e->n_flags < 7 ? e->n_flags++ : 7] = word;
		else if (strcmp(word, "use_vmac") == 0)
			kconf_complain(
			    m->errs, CFG_NOTE, s,
			    "use_vmac has no effect on one address; only the instance's own interface bears a "
			    "virtual MAC");
		else if (strcmp(word, "-nodad") == 0 && e->addr.af == ADDR_V6)
			e->flags[e->n_flags < 7 ? e->n_flags++ : 7] = "dad";
		else
			KMAP_WARN(m, s,
				  known || strcmp(word, "-nodad") == 0 ? "'%.60s' is for IPv6 addresses; ignored"
								       : "unknown word '%.60s'; ignored",
				  word);
		return i;
	}
	return i + 1;
}

/* The lowest address of the subnet. */
static struct addr lowest(const struct entry *e)
{
	struct addr a = e->addr;

	for (unsigned bit = e->plen; bit < 32; bit++)
		a.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return a;
}

static void put_broadcast(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *s, const struct entry *e)
{
	char text[ADDR_TEXT_MAX];
	struct addr a = e->brd_word == '-' ? lowest(e) : e->brd;

	if (e->brd_word == '+')
		kmap_text(m, r, "broadcast", s, "auto");
	else if (a.af)
		kmap_text(m, r, "broadcast", s, addr_text(&a, text));
}

static void put_flags(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *s, const struct entry *e)
{
	for (unsigned i = 0; i < e->n_flags; i++) {
		struct cfg_val *v = kmap_val(m, r, "flags", s);
		v->num |= INT64_C(1) << cfg_schema_word(v->key, e->flags[i]);
	}
}

static void put_entry(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *s, struct entry *e)
{
	char text[ADDR_TEXT_MAX + 4], ip[ADDR_TEXT_MAX];
	bool v6 = e->addr.af == ADDR_V6;

	snprintf(text, sizeof(text), "%s/%u", addr_text(&e->addr, ip), e->plen);
	kmap_text(m, r, "address", s, text);
	if (e->dev)
		kmap_text(m, r, "interface", s, e->dev);
	if (e->label && v6)
		KMAP_WARN(m, s, "an IPv6 address has no label; ignored");
	else if (e->label)
		kmap_text(m, r, "label", s, e->label);
	if (e->scope)
		kmap_word(m, r, "scope", s, e->scope);
	if (e->peer.af)
		kmap_text(m, r, "peer", s, addr_text(&e->peer, ip));
	put_broadcast(m, r, s, e);
	put_flags(m, r, s, e);
	if (e->has_lifetime)
		kmap_num(m, r, "preferred_lifetime", s, e->lifetime);
	if (e->no_track)
		kmap_num(m, r, "track", s, 0);
}

/* The address stands in the list already: keepalived's second one meets the first one in the kernel. */
/* Addresses that were read, to find a second one of a kind in a long list. */
struct seen {
	struct addr *slot; /* hashed, open; ADDR_NONE: free */
	unsigned n, cap;   /* cap: a power of two, at most half of it in use */
};

static struct addr *seen_slot(const struct seen *s, const struct addr *a)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < addr_len(a->af); i++)
		h = (h ^ a->b[i]) * 16777619u;
	unsigned at = (h ^ h >> 15) & (s->cap - 1);
	while (s->slot[at].af && !addr_eq(&s->slot[at], a))
		at = (at + 1) & (s->cap - 1);
	return &s->slot[at];
}

/* True when it was there already. */
static bool seen_add(struct seen *s, const struct addr *a)
{
	if (2 * s->n >= s->cap) {
		struct seen big = { .n = s->n, .cap = s->cap ? 2 * s->cap : 16 };
		big.slot = calloc(big.cap, sizeof(*big.slot));
		require(big.slot);
		for (unsigned i = 0; i < s->cap; i++)
			if (s->slot[i].af)
				*seen_slot(&big, &s->slot[i]) = s->slot[i];
		free(s->slot);
		*s = big;
	}
	struct addr *slot = seen_slot(s, a);
	if (slot->af)
		return true;
	*slot = *a;
	s->n++;
	return false;
}

static void seen_list(struct seen *s, const struct cfg_val *list)
{
	struct addr a;
	uint8_t plen;

	for (unsigned i = 0; i < list->n; i++) {
		const char *text = cfg_rec_text(&list->recs[i], "address");
		if (text && addr_parse_prefix(text, &a, &plen))
			seen_add(s, &a);
	}
}

static bool usable(const struct addr *a)
{
	static const struct addr zero4 = { .af = ADDR_V4 }, zero6 = { .af = ADDR_V6 };

	return !addr_is_multicast(a) && !addr_eq(a, &zero4) && !addr_eq(a, &zero6);
}

/* The address at the beginning of a line. False: the line is left out. */
static bool read_address(struct kmap *m, const struct kconf_stmt *s, uint8_t *af, const char *who, struct entry *e)
{
	if (!addr_parse_prefix(s->words[0], &e->addr, &e->plen) || !usable(&e->addr)) {
		KMAP_WARN(m, s, "%s'%.80s' is no address; left out", who, s->words[0]);
		return false;
	}
	if (af && *af && e->addr.af != *af) {
		KMAP_WARN(m, s,
			  "%s%.60s is not of the family of the instance; left out (virtual_ipaddress_excluded may "
			  "have both)",
			  who, s->words[0]);
		return false;
	}
	if (af)
		*af = e->addr.af;
	return true;
}

/* Static addresses need an interface. */
static void put_default_interface(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *s)
{
	const struct kconf_stmt *d = kmap_global(m, "default_interface");

	if (r->up->section >= 0 && strcmp(cfg_schema_row((unsigned)r->up->section)->path, "vrrp.static") == 0 &&
	    !cfg_rec_val(r, "interface")->given)
		kmap_text(m, r, "interface", d ? d : s, d ? kmap_arg(d, 1) : "eth0");
}

void kmap_addresses(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *block,
		    uint8_t *af, const char *who)
{
	struct cfg_val *list = cfg_rec_val(r, key);
	struct seen seen = { 0 };

	seen_list(&seen, list);
	if (strcmp(key, "excluded_addresses") == 0)
		seen_list(&seen, cfg_rec_val(r, "virtual_addresses"));
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		struct entry e = { 0 };
		const char *to = key;
		if (!read_address(m, s, af, who, &e))
			continue;
		for (unsigned i = 1; i < s->n_words; i++)
			i = read_option(m, s, &e, i);
		if (seen_add(&seen, &e.addr)) {
			kconf_complain(m->errs, CFG_NOTE, s, "%s%.60s stands there twice; the first one counts", who,
				       s->words[0]);
			continue;
		}
		if (af && list->n >= LIST_MAX) {
			to = "excluded_addresses";
			KMAP_WARN(m, s, "%s%.60s is more than an advert can name; it moves with the role all the same",
				  who, s->words[0]);
		}
		struct cfg_rec *new = kmap_push(m, r, to, s);
		put_entry(m, new, s, &e);
		put_default_interface(m, new, s);
	}
	free(seen.slot);
}

static void read_ttl(struct kinst *i, struct cfg_rec *peer, const struct kconf_stmt *s, unsigned n, const char *key)
{
	uint64_t v;

	if (!kmap_uint(i->m, s, n, 0, 255, &v))
		return;
	kmap_num(i->m, peer, key, s, (int64_t)v);
	i->check_source = true; /* as in keepalived: who is asked for a TTL must be known */
}

void kmap_peers(struct kinst *i, const struct kconf_stmt *block)
{
	i->peers = block;
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		struct addr a;
		if (!addr_parse(s->words[0], &a) || (i->af && a.af != i->af) || !usable(&a)) {
			KMAP_WARN(i->m, s, "(%s) unicast peer '%.60s' is no address of the family; left out", i->name,
				  s->words[0]);
			continue;
		}
		i->af = a.af;
		struct cfg_rec *peer = kmap_push(i->m, i->r, "unicast_peers", s);
		kmap_text(i->m, peer, "address", s, s->words[0]);
		for (unsigned n = 1; n < s->n_words; n++) {
			if (strcmp(s->words[n], "min_ttl") == 0)
				read_ttl(i, peer, s, ++n, "min_ttl");
			else if (strcmp(s->words[n], "max_ttl") == 0)
				read_ttl(i, peer, s, ++n, "max_ttl");
			else
				KMAP_WARN(i->m, s, "(%s) unknown word '%.60s' of a unicast peer; ignored", i->name,
					  s->words[n]);
		}
	}
}
