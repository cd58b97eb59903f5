/* One vrrp_instance: its words one by one. What follows from several together is in kconf_map_finish.c. */
#include <arpa/inet.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/dropin/kconf_map_int.h"

static void read_state(struct kinst *i, const struct kconf_stmt *s)
{
	const char *state = kmap_arg(s, 1);

	if (strcmp(state, "MASTER") == 0)
		i->master = true;
	else if (strcmp(state, "BACKUP") != 0)
		KMAP_WARN(i->m, s, "(%s) unknown state '%.20s'; taken as BACKUP", i->name, state);
	else if (i->master)
		KMAP_WARN(i->m, s, "(%s) state BACKUP is ignored after state MASTER", i->name);
}

static void read_interface(struct kinst *i, const struct kconf_stmt *s)
{
	if (kmap_text(i->m, i->r, "interface", s, kmap_arg(s, 1)))
		i->interface = s;
}

static void read_vrid(struct kinst *i, const struct kconf_stmt *s)
{
	uint64_t v;

	if (!kmap_uint(i->m, s, 1, 1, 255, &v))
		return;
	kmap_num(i->m, i->r, "vrid", s, (int64_t)v);
	i->vrid = s;
}

static void read_priority(struct kinst *i, const struct kconf_stmt *s)
{
	uint64_t v;

	if (!kmap_uint(i->m, s, 1, 1, 255, &v)) {
		KMAP_WARN(i->m, s, "(%s) the priority is 100", i->name);
		v = 100;
	}
	kmap_num(i->m, i->r, "priority", s, (int64_t)v);
	i->has_priority = true;
}

static void read_advert(struct kinst *i, const struct kconf_stmt *s)
{
	int64_t t;

	if (!kmap_timer(i->m, s, 1, 0.0001, 255, &t))
		return;
	kmap_num(i->m, i->r, "advert_interval", s, t);
	i->advert = s;
}

static void read_version(struct kinst *i, const struct kconf_stmt *s)
{
	uint64_t v;

	if (!kmap_uint(i->m, s, 1, 2, 3, &v))
		return;
	kmap_word(i->m, i->r, "version", s, v == 2 ? "v2" : "v3");
	i->version = s;
}

static void family(struct kinst *i, uint8_t af)
{
	if (!i->af)
		i->af = af;
}

static void read_native_ipv6(struct kinst *i, const struct kconf_stmt *s)
{
	if (i->af == ADDR_V4)
		KMAP_WARN(i->m, s, "(%s) native_ipv6 is ignored: the addresses are IPv4", i->name);
	else
		family(i, ADDR_V6);
}

static void read_vips(struct kinst *i, const struct kconf_stmt *s)
{
	char who[VRRP_NAME_MAX + 4];

	snprintf(who, sizeof(who), "(%s) ", i->name);
	kmap_addresses(i->m, i->r, "virtual_addresses", s, &i->af, who);
	i->vips = s;
}

static void read_excluded(struct kinst *i, const struct kconf_stmt *s)
{
	char who[VRRP_NAME_MAX + 4];

	snprintf(who, sizeof(who), "(%s) ", i->name);
	kmap_addresses(i->m, i->r, "excluded_addresses", s, NULL, who);
}

static void read_routes(struct kinst *i, const struct kconf_stmt *s)
{
	kmap_routes(i->m, i->r, s, i->af);
}

static void read_rules(struct kinst *i, const struct kconf_stmt *s)
{
	kmap_rules(i->m, i->r, s);
}

static void read_auth(struct kinst *i, const struct kconf_stmt *block)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		if (!kmap_known(i->m, KIN_AUTH, s))
			continue;
		if (strcmp(s->words[0], "auth_pass") == 0) {
			unsigned n = 0;
			char **words = kconf_shell_words(i->m->k, s, &n, i->m->errs);
			const char *pass = words && n > 1 ? words[1] : "";
			if (strlen(pass) > 8)
				KMAP_WARN(i->m, s, "(%s) auth_pass is cut to its first 8 bytes", i->name);
			snprintf(i->pass, sizeof(i->pass), "%.8s", pass);
			i->auth = s;
		} else if (strcmp(kmap_arg(s, 1), "AH") == 0) {
			KMAP_REFUSE(
			    i->m, s,
			    "(%s) auth_type AH is not supported: adverts without AH would be sent, which the other "
			    "routers drop, and both would be MASTER; use PASS on all of them",
			    i->name);
		} else if (strcmp(kmap_arg(s, 1), "PASS") != 0) {
			KMAP_WARN(i->m, s, "(%s) unknown authentication type '%.20s'; ignored", i->name,
				  kmap_arg(s, 1));
		}
	}
}

static void read_nopreempt(struct kinst *i, const struct kconf_stmt *s)
{
	i->nopreempt = strcmp(s->words[0], "nopreempt") == 0;
	i->preempt = s;
}

static void read_preempt_delay(struct kinst *i, const struct kconf_stmt *s)
{
	int64_t t;

	if (!kmap_timer(i->m, s, 1, 0, 1000, &t))
		return;
	kmap_num(i->m, i->r, "preempt_delay", s, t);
	i->delay = s;
}

/* mcast_src_ip and unicast_src_ip. */
static void read_source(struct kinst *i, const struct kconf_stmt *s)
{
	struct addr a;

	if (!addr_parse(kmap_arg(s, 1), &a)) {
		KMAP_WARN(i->m, s, "(%s) %s '%.60s' is no address; ignored", i->name, s->words[0], kmap_arg(s, 1));
		return;
	}
	if (i->af && a.af != i->af) {
		KMAP_WARN(i->m, s, "(%s) %s is not of the family of the virtual addresses; ignored", i->name,
			  s->words[0]);
		return;
	}
	family(i, a.af);
	i->unicast_word |= strcmp(s->words[0], "unicast_src_ip") == 0;
	i->source = s;
}

static void read_peers(struct kinst *i, const struct kconf_stmt *s)
{
	kmap_peers(i, s);
	i->unicast_word = true;
}

static void read_fault_no_peer(struct kinst *i, const struct kconf_stmt *s)
{
	i->fault_no_peer = s;
}

static void read_mcast(struct kinst *i, const struct kconf_stmt *s)
{
	struct addr a;

	if (!addr_parse(kmap_arg(s, 1), &a) || !addr_is_multicast(&a)) {
		KMAP_WARN(i->m, s, "(%s) mcast_dst_ip '%.60s' is no multicast address; ignored", i->name,
			  kmap_arg(s, 1));
		return;
	}
	family(i, a.af);
	i->mcast = s;
}

/* garp_extra_if [all] SECONDS */
static void read_garp_extra(struct kinst *i, const struct kconf_stmt *s)
{
	bool all = strcmp(kmap_arg(s, 1), "all") == 0;
	uint64_t v;

	if (!kmap_uint(i->m, s, all ? 2 : 1, 0, 86400, &v))
		return;
	kmap_num(i->m, i->r, "garp_extra_interval", s, (int64_t)v * NS_PER_SEC);
	i->garp_extra = s;
}

static void read_checksum(struct kinst *i, const struct kconf_stmt *s)
{
	bool on;

	if (kmap_bool(i->m, s, &on))
		kmap_word(i->m, i->r, "checksum", s, on ? "rfc9568" : "keepalived");
}

static bool is_mac(const char *text)
{
	return strchr(text, ':') && strspn(text, "0123456789abcdefABCDEF:") == strlen(text);
}

static void name_of_vmac(struct kinst *i, const struct kconf_stmt *s, const char *name)
{
	if (strlen(name) >= IFNAMSIZ)
		KMAP_WARN(i->m, s, "(%s) %s: the name '%.40s' is too long for an interface; ignored", i->name,
			  s->words[0], name);
	else
		snprintf(i->extra_name, sizeof(i->extra_name), "%s", name);
}

/* Five octets: the VRID is the sixth. */
static void mac_of_vmac(struct kinst *i, const struct kconf_stmt *s, const char *text)
{
	uint8_t mac[6];
	char six[40];

	snprintf(six, sizeof(six), "%.30s:00", text);
	i->extra_short = addr_mac_parse(six, mac);
	if ((!i->extra_short && !addr_mac_parse(text, mac)) || mac[0] & 1)
		KMAP_WARN(i->m, s, "(%s) use_vmac: %.30s is no MAC address of one station; ignored", i->name, text);
	else
		memcpy(i->extra_mac, mac, sizeof(mac)), i->has_mac = true;
}

/* use_vmac [NAME] [MAC] [netlink_notify_msg] [group G] */
static void read_use_vmac(struct kinst *i, const struct kconf_stmt *s)
{
	i->vmac = true;
	i->extra = s;
	for (unsigned n = 1; n < s->n_words; n++) {
		const char *w = s->words[n];
		if (is_mac(w))
			mac_of_vmac(i, s, w);
		else if (strcmp(w, "group") == 0)
			n++; /* ours bears group 18, by which it is recognised */
		else if (strcmp(w, "netlink_notify_msg") != 0)
			name_of_vmac(i, s, w);
	}
}

/* use_ipvlan [NAME] [ADDRESS] [bridge|private|vepa] */
static void read_use_ipvlan(struct kinst *i, const struct kconf_stmt *s)
{
	struct addr a;
	uint8_t plen;

	i->ipvlan = true;
	i->extra = s;
	for (unsigned n = 1; n < s->n_words; n++) {
		const char *w = s->words[n];
		if (addr_parse_prefix(w, &a, &plen) || addr_parse(w, &a))
			KMAP_WARN(i->m, s,
				  "(%s) use_ipvlan: the address %.50s is not put on the interface; adverts come "
				  "from the base's address, or from mcast_src_ip",
				  i->name, w);
		else if (strcmp(w, "private") == 0 || strcmp(w, "vepa") == 0)
			KMAP_WARN(i->m, s, "(%s) use_ipvlan: mode %s is not possible; it is bridge", i->name, w);
		else if (strcmp(w, "bridge") != 0)
			name_of_vmac(i, s, w);
	}
}

static void read_xmit_base(struct kinst *i, const struct kconf_stmt *s)
{
	(void)s;
	i->xmit_base = true;
}

static void read_strict(struct kinst *i, const struct kconf_stmt *s)
{
	bool on;

	if (!kmap_bool(i->m, s, &on))
		return;
	i->strict = on;
	kmap_num(i->m, i->r, "strict_mode", s, on);
}

static void read_dont_track(struct kinst *i, const struct kconf_stmt *s)
{
	kmap_num(i->m, i->r, "track_link", s, 0);
}

static void read_nothing(struct kinst *i, const struct kconf_stmt *s)
{
	(void)i;
	(void)s;
}

static const struct {
	const char *word;
	void (*read)(struct kinst *i, const struct kconf_stmt *s);
} own[] = {
	{ "state", read_state },
	{ "interface", read_interface },
	{ "virtual_router_id", read_vrid },
	{ "priority", read_priority },
	{ "advert_int", read_advert },
	{ "version", read_version },
	{ "native_ipv6", read_native_ipv6 },
	{ "virtual_ipaddress", read_vips },
	{ "virtual_ipaddress_excluded", read_excluded },
	{ "virtual_routes", read_routes },
	{ "virtual_rules", read_rules },
	{ "no_virtual_ipaddress", read_nothing },
	{ "authentication", read_auth },
	{ "nopreempt", read_nopreempt },
	{ "preempt", read_nopreempt },
	{ "preempt_delay", read_preempt_delay },
	{ "mcast_src_ip", read_source },
	{ "unicast_src_ip", read_source },
	{ "unicast_peer", read_peers },
	{ "unicast_fault_no_peer", read_fault_no_peer },
	{ "mcast_dst_ip", read_mcast },
	{ "garp_extra_if", read_garp_extra },
	{ "vmac_garp_intvl", read_garp_extra },
	{ "v3_checksum_as_v2", read_checksum },
	{ "use_vmac", read_use_vmac },
	{ "use_ipvlan", read_use_ipvlan },
	{ "vmac_xmit_base", read_xmit_base },
	{ "strict_mode", read_strict },
	{ "dont_track_primary", read_dont_track },
};

/* One word; the defaults of global_defs come this way, too. */
static void read_word(struct kinst *i, const struct kword *w, const struct kconf_stmt *s)
{
	if (w->how != KH_NONE) {
		i->accept_given |= w->key && strcmp(w->key, "accept") == 0;
		kmap_simple(i->m, i->r, w, s);
		return;
	}
	for (unsigned n = 0; n < sizeof(own) / sizeof(own[0]); n++) {
		if (strcmp(own[n].word, w->word) == 0) {
			own[n].read(i, s);
			return;
		}
	}
	if (!kmap_track(i->m, i->r, s))
		kmap_notify(i->m, i->r, s);
}

/* True when the instance said the word itself, or its old name. */
static bool said(const struct kinst *i, const struct kword *w)
{
	const char *old = strcmp(w->word, "garp_extra_if") == 0 ? "vmac_garp_intvl" : w->word;

	for (const struct kconf_stmt *s = i->s->subs; s; s = s->next)
		if (strcmp(s->words[0], w->word) == 0 || strcmp(s->words[0], old) == 0)
			return true;
	return false;
}

bool kmap_is_flag(const char *word)
{
	return strcmp(word, "vrrp_strict") == 0 || strcmp(word, "vrrp_check_unicast_src") == 0 ||
	       strcmp(word, "vrrp_skip_check_adv_addr") == 0;
}

static void read_defaults(struct kinst *i)
{
	for (unsigned n = 0; n < kwords_n(); n++) {
		const struct kword *w = kwords_row(n);
		if (w->in != KIN_GLOBAL || w->how != KH_DEFAULT || !i->m->global[n])
			continue;
		const struct kword *of = kword_find(KIN_INSTANCE, w->key);
		struct kconf_stmt s = *i->m->global[n];
		if (kmap_is_flag(w->word)) {
			s.n_words = 1; /* these are read at once: nobody keeps s */
			if (!said(i, of))
				read_word(i, of, &s);
		} else if (!said(i, of)) {
			read_word(i, of, i->m->global[n]);
		}
	}
}

void kmap_instance(struct kmap *m, const struct kconf_stmt *block, struct cfg_rec *r)
{
	struct kinst i = { .m = m, .s = block, .r = r, .name = block->words[1] };

	r->at = kmap_at(m, block);
	kmap_name(m, r, block);
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		const struct kword *w = kmap_known(m, KIN_INSTANCE, s);
		if (w)
			read_word(&i, w, s);
	}
	read_defaults(&i);
	kmap_instance_finish(&i);
}
