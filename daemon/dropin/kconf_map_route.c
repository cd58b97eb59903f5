/*
 * Routes and rules: keepalived's words are put into the order and the words of ip-route(8) and ip-rule(8), which the
 * native configuration has; the same reader judges both.
 */
#include <string.h>
#include "daemon/dropin/kconf_map_int.h"

#define TEXT_MAX 240 /* of a route or rule in the tree */

/* A text that grows by words. */
struct text {
	char buf[512];
	size_t len;
};

static void add(struct text *t, const char *word)
{
	size_t room = sizeof(t->buf) - t->len;
	int n = snprintf(t->buf + t->len, room, "%s%s", t->len ? " " : "", word);

	t->len += (size_t)n < room ? (size_t)n : room - 1;
}

static bool is_one(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

/* Words that change nothing here; with and without a value. */
static const char *const drop[] = { "append", "prepend", "add", NULL };
static const char *const drop_value[] = { "track_group", "proto", "protocol", NULL };
/* Metrics of TCP and others that the native routes do not have. */
static const char *const tuning[] = { "rtt",      "rttvar",   "reordering", "cwnd", "ssthresh", "rto_min",
				      "features", "quickack", "congctl",    "pref", "expires",  "fastopen_no_cookie",
				      NULL };
static const char *const types[] = { "inet",        "inet6",    "unicast", "local", "blackhole",
				     "unreachable", "prohibit", "throw",   NULL };
static const char *const with_value[] = { "src",   "table",      "metric",   "scope",    "tos",    "dsfield",
					  "mtu",   "preference", "priority", "advmss",   "window", "hoplimit",
					  "realm", "realms",     "initcwnd", "initrwnd", NULL };
static const char *const via[] = { "via", "gw", "gateway", NULL };
/* Without them the packets would go elsewhere. */
static const char *const refused[] = { "encap", "as", "vrf", "multicast", "broadcast", "anycast", "nat", NULL };

/* A route while its words are sorted: first the destination, then the words about it, then the ways. */
struct route_words {
	struct text head, body, hops;
	bool no_track, stop;
	const char *to, *via, *via_family, *via2, *dev; /* via2: of the old form "via A or B" */
};

static unsigned refuse(struct kmap *m, const struct kconf_stmt *s, struct route_words *w, const char *word)
{
	KMAP_REFUSE(m, s, "'%s' of a route is not supported, and without it packets would go elsewhere; %s", word,
		    strcmp(word, "vrf") == 0 ? "write table NUMBER with the table of the VRF"
					     : "set this route beside this daemon");
	w->stop = true;
	return s->n_words;
}

static unsigned all_hops(const struct kconf_stmt *s, struct route_words *w, unsigned i)
{
	for (; i < s->n_words; i++)
		add(&w->hops, is_one(s->words[i], via) ? "via" : s->words[i]);
	return i;
}

/* A word with its value; "lock" before a value belongs to it. */
static unsigned two_words(const struct kconf_stmt *s, struct route_words *w, unsigned i, bool keep)
{
	unsigned last = strcmp(kmap_arg(s, i + 1), "lock") == 0 ? i + 2 : i + 1;

	for (unsigned n = i; keep && n <= last; n++)
		add(&w->body, kmap_arg(s, n));
	return last;
}

/* Word i and what belongs to it; the index of the last one. */
static unsigned one_word(struct kmap *m, const struct kconf_stmt *s, struct route_words *w, unsigned i)
{
	const char *word = s->words[i], *value = kmap_arg(s, i + 1);

	if (is_one(word, refused))
		return refuse(m, s, w, word);
	if (is_one(word, tuning)) {
		KMAP_WARN(m, s, "'%s' of a route is not set; ignored", word);
		return two_words(s, w, i, false);
	}
	if (is_one(word, with_value) || is_one(word, drop_value))
		return two_words(s, w, i, is_one(word, with_value));
	if (is_one(word, via)) {
		bool family = strncmp(value, "inet", 4) == 0;
		w->via_family = family ? value : NULL;
		w->via = family ? kmap_arg(s, i + 2) : value;
		return family ? i + 2 : i + 1;
	}
	if (strcmp(word, "nexthop") == 0)
		return all_hops(s, w, i);
	if (strcmp(word, "or") == 0)
		w->via2 = value;
	else if (strcmp(word, "dev") == 0 || strcmp(word, "oif") == 0)
		w->dev = value;
	else if (strcmp(word, "to") == 0)
		w->to = value;
	else {
		if (strcmp(word, "no_track") == 0)
			w->no_track = true;
		else if (is_one(word, types))
			add(&w->head, word);
		else if (strcmp(word, "onlink") == 0)
			add(&w->body, word);
		else if (!w->to)
			w->to = word;
		else if (!is_one(word, drop))
			KMAP_WARN(m, s, "unknown word '%.60s' of a route; ignored", word);
		return i;
	}
	return i + 1;
}

/* What names no address is IPv4, whatever the instance is. */
static void put_to(const struct kconf_stmt *s, struct route_words *w)
{
	bool v6 = false;

	for (unsigned i = 0; i < s->n_words; i++)
		v6 |= strchr(s->words[i], ':') || strcmp(s->words[i], "inet6") == 0;
	if (!v6 && w->to && !strchr(w->to, '.') && !w->head.len)
		add(&w->head, "inet");
	if (w->to)
		add(&w->head, w->to);
}

/* ip-route(8) gives a route without a gateway the scope of the link; keepalived does not. */
static void put_scope(const struct kconf_stmt *s, struct route_words *w)
{
	for (unsigned i = 0; i < s->n_words; i++)
		if (strcmp(s->words[i], "scope") == 0 || strcmp(s->words[i], "local") == 0 ||
		    strchr(s->words[i], ':') || strcmp(s->words[i], "inet6") == 0)
			return;
	if (w->dev && !w->via) {
		add(&w->body, "scope");
		add(&w->body, "global");
	}
}

static void put_ways(struct route_words *w)
{
	if (w->via2) {
		const char *both[2] = { w->via, w->via2 };
		for (unsigned i = 0; i < 2; i++) {
			add(&w->hops, "nexthop");
			add(&w->hops, "via");
			add(&w->hops, both[i] ? both[i] : "");
			if (w->dev) {
				add(&w->hops, "dev");
				add(&w->hops, w->dev);
			}
		}
		return;
	}
	if (w->via) {
		add(&w->body, "via");
		if (w->via_family)
			add(&w->body, w->via_family);
		add(&w->body, w->via);
	}
	if (w->dev) {
		add(&w->body, "dev");
		add(&w->body, w->dev);
	}
}

/* One text into the list; false: the native reader does not take it, and it is left out, as by keepalived. */
static bool put(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s, bool rule, uint8_t af,
		const char *text, bool no_track)
{
	char why[ROUTE_ERROR_MAX];
	const char *list = rule ? "rules" : "routes", *key = rule ? "rule" : "route";

	if (!m->tables)
		m->tables = cfg_tables_new();
	bool ok = strlen(text) <= TEXT_MAX && cfg_route_ok(m->tables, rule, text, af, why);
	if (!ok) {
		KMAP_WARN(m, s, "the %s is left out: %s", key, strlen(text) > TEXT_MAX ? "it is too long" : why);
		return false;
	}
	struct cfg_rec *new = kmap_push(m, r, list, s);
	kmap_text(m, new, key, s, text);
	if (no_track && cfg_schema_child(new->section, "track") >= 0)
		kmap_num(m, new, "track", s, 0);
	return true;
}

void kmap_routes(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block, uint8_t af)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		struct route_words w = { 0 };
		for (unsigned i = 0; i < s->n_words; i++)
			i = one_word(m, s, &w, i);
		if (w.stop)
			continue;
		put_to(s, &w);
		put_scope(s, &w);
		put_ways(&w);
		if (w.body.len)
			add(&w.head, w.body.buf);
		if (w.hops.len)
			add(&w.head, w.hops.buf);
		put(m, r, s, false, af, w.head.buf, w.no_track);
	}
}

/* A rule's family: an address in it, or the word. */
static uint8_t rule_family(const struct kconf_stmt *s)
{
	for (unsigned i = 0; i < s->n_words; i++)
		if (strchr(s->words[i], ':') || strcmp(s->words[i], "inet6") == 0)
			return ADDR_V6;
	return ADDR_V4;
}

/* The words as ip-rule(8) has them; true when one of them is a priority. */
static bool rule_text(struct kmap *m, const struct kconf_stmt *s, struct text *t, bool *no_track)
{
	static const char *const priority[] = { "priority", "preference", "pref", "order", NULL };
	static const char *const alone[] = { "not", "l3mdev", "blackhole", "unreachable", "prohibit", NULL };
	static const char *const gone[] = { "track_group", "protocol", "realms", NULL };
	bool has_priority = false;

	for (unsigned i = 0; i < s->n_words; i++) {
		const char *word = s->words[i];
		if (strcmp(word, "realms") == 0)
			KMAP_WARN(m, s, "'realms' of a rule is not set; ignored");
		if (is_one(word, gone)) {
			i++;
		} else if (strcmp(word, "no_track") == 0) {
			*no_track = true;
		} else if (strncmp(word, "inet", 4) != 0) {
			has_priority |= is_one(word, priority);
			add(t, strcmp(word, "ip_proto") == 0 ? "ipproto" : word);
			if (!is_one(word, alone) && i + 1 < s->n_words)
				add(t, s->words[++i]);
		}
	}
	return has_priority;
}

void kmap_rules(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		uint8_t family = rule_family(s);
		unsigned *next = &m->rule_priority[family == ADDR_V6];
		bool no_track = false;
		struct text t = { .len = 0 };
		char num[16];
		if (family == ADDR_V6)
			add(&t, "inet6");
		bool has_priority = rule_text(m, s, &t, &no_track);
		if (!has_priority) {
			snprintf(num, sizeof(num), "%u", *next);
			add(&t, "priority");
			add(&t, num);
		}
		if (!put(m, r, s, true, family, t.buf, no_track) || has_priority)
			continue;
		KMAP_WARN(m, s, "the rule has no priority; it gets %u, and others that have none get less", *next);
		(*next)--;
	}
}
