/*
 * The data file and the stats file: text for people that programs parse. Depth is shown by blanks: 1, 3 and 5 of them in
 * the data file, 2 and 4 in the stats file; a key and its value are separated by " = " or ": ".
 */
#include "daemon/dropin/kalive.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include "daemon/app_track.h"
#include "daemon/base/clock.h"

const char *kalive_state_text(enum vrrp_state s)
{
	switch (s) {
	case VRRP_INIT:
		return "INIT";
	case VRRP_BACKUP:
		return "BACKUP";
	case VRRP_MASTER:
		return "MASTER";
	case VRRP_FAULT:
		return "FAULT";
	case VRRP_STATE_N:
		break;
	}
	return "unknown";
}

int64_t kalive_since_wall_us(const struct app *a, uint16_t inst)
{
	return clock_wall_us() - mono_sub(clock_mono(), a->node.inst[inst].since) / NS_PER_US;
}

/* A BACKUP whose master is silent wants the role: its group has not decided yet. */
enum vrrp_state kalive_wanted(const struct app *a, uint16_t inst)
{
	const struct vrrp *v = &a->node.inst[inst];
	return v->state == VRRP_BACKUP && v->expired ? VRRP_MASTER : v->state;
}

const char *kalive_interface(const struct vrrp_conf *c)
{
	return c->vmac != VRRP_VMAC_NONE ? c->vmac_name : c->interface;
}

static const char *scope_text(uint8_t scope)
{
	return scope == 0 ? "global" : scope == 200 ? "site" : scope == 253 ? "link" : "host";
}

/* There because this router is MASTER. */
static bool is_set(struct app *a, uint16_t inst)
{
	return a->group[a->node.member[inst].group].mode == NODE_NET_UP && a->node.inst[inst].state == VRRP_MASTER;
}

/* Its subnet's highest address, where that is wanted; else the given one. */
static struct addr broadcast_of(const struct vrrp_vip *vip)
{
	struct addr a = vip->addr;
	if (!vip->broadcast_auto)
		return vip->broadcast;
	for (unsigned bit = vip->plen; bit < 32; bit++)
		a.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	return a;
}

/* Text at the end of text, as far as there is room. */
static size_t add(char *out, size_t cap, size_t n, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static size_t add(char *out, size_t cap, size_t n, const char *fmt, ...)
{
	va_list ap;
	if (n >= cap)
		return n;
	va_start(ap, fmt);
	n += (size_t)vsnprintf(out + n, cap - n, fmt, ap);
	va_end(ap);
	return n;
}

/* A prefix length that says nothing is left out, as keepalived does. */
static size_t add_prefix(char *out, size_t cap, size_t n, const struct vrrp_vip *vip)
{
	return vip->plen == (vip->addr.af == ADDR_V6 ? 128 : 32) ? n : add(out, cap, n, "/%u", vip->plen);
}

static size_t add_options(char *out, size_t cap, size_t n, const struct vrrp_vip *vip)
{
	static const struct {
		uint8_t flag;
		const char *word;
	} words[] = { { VRRP_VIP_HOME, " home" },
		      { VRRP_VIP_DAD, " -nodad" },
		      { VRRP_VIP_MNGTMPADDR, " mngtmpaddr" },
		      { VRRP_VIP_NOPREFIXROUTE, " noprefixroute" },
		      { VRRP_VIP_AUTOJOIN, " autojoin" } };
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (vip->flags & words[i].flag)
			n = add(out, cap, n, "%s", words[i].word);
	if (vip->preferred_lft == 0)
		n = add(out, cap, n, " deprecated");
	else if (vip->addr.af == ADDR_V6 && vip->preferred_lft == UINT32_MAX)
		n = add(out, cap, n, " preferred_lft forever");
	else if (vip->preferred_lft != UINT32_MAX)
		n = add(out, cap, n, " preferred_lft %u", vip->preferred_lft);
	return vip->no_track ? add(out, cap, n, " no_track") : n;
}

void kalive_vip_text(struct app *a, uint16_t inst, const struct vrrp_vip *vip, char *out, size_t cap)
{
	char ip[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
	const struct vrrp_conf *c = inst == CFG_STATIC ? NULL : a->node.inst[inst].conf;
	struct addr broadcast = broadcast_of(vip);
	const char *base = c && !vip->interface[0] && c->vmac != VRRP_VMAC_NONE ? c->interface : NULL;
	bool point = vip->peer.af != ADDR_NONE;
	size_t n = add(out, cap, 0, "%s", addr_text(&vip->addr, ip));
	n = point ? n : add_prefix(out, cap, n, vip);
	if (broadcast.af != ADDR_NONE)
		n = add(out, cap, n, " brd %s", addr_text(&broadcast, other));
	n = add(out, cap, n, " dev %s%s%s scope %s", c && !vip->interface[0] ? kalive_interface(c) : vip->interface,
		base ? "@" : "", base ? base : "", scope_text(vip->scope));
	if (vip->label[0])
		n = add(out, cap, n, " label %s", vip->label);
	if (point)
		n = add(out, cap, n, " peer %s/%u", addr_text(&vip->peer, other), vip->plen);
	n = add_options(out, cap, n, vip);
	if (!c)
		add(out, cap, n, " set");
	else if (is_set(a, inst))
		add(out, cap, n, " set%s", c->no_accept && c->priority != 255 ? " nftable_set" : "");
}

char *kalive_route_text(const struct cfg_route *r, char out[KALIVE_ROUTE_MAX])
{
	route_text_print(&r->route, out);
	if (!r->track)
		strncat(out, " no_track", KALIVE_ROUTE_MAX - strlen(out) - 1);
	return out;
}

char *kalive_rule_text(const struct cfg_rule *r, char out[KALIVE_ROUTE_MAX])
{
	route_text_print_rule(&r->rule, out);
	if (!r->track)
		strncat(out, " no_track", KALIVE_ROUTE_MAX - strlen(out) - 1);
	return out;
}

/* "1673674892.348360 (Sat Jan 14 06:41:32.348360 2023)" */
static void put_time(FILE *f, const char *key, int64_t wall_us)
{
	char day[32], year[8];
	time_t sec = (time_t)(wall_us / 1000000);
	struct tm tm;
	localtime_r(&sec, &tm);
	strftime(day, sizeof(day), "%a %b %e %H:%M:%S", &tm);
	strftime(year, sizeof(year), "%Y", &tm);
	fprintf(f, "   %s = %lld.%06lld (%s.%06lld %s)\n", key, (long long)sec, (long long)(wall_us % 1000000), day,
		(long long)(wall_us % 1000000), year);
}

static void put_bool(FILE *f, const char *key, bool on)
{
	fprintf(f, "   %s = %s\n", key, on ? "true" : "false");
}

static void put_int(FILE *f, const char *key, int64_t n)
{
	fprintf(f, "   %s = %lld\n", key, (long long)n);
}

static void put_announce(FILE *f, const struct vrrp_conf *c)
{
	put_int(f, "Gratuitous ARP delay", c->garp_delay_ns / NS_PER_SEC);
	put_int(f, "Gratuitous ARP repeat", c->garp_repeat);
	put_int(f, "Gratuitous ARP refresh", c->garp_refresh_ns / NS_PER_SEC);
	put_int(f, "Gratuitous ARP refresh repeat", c->garp_refresh_repeat);
	put_int(f, "Gratuitous ARP lower priority delay", c->garp_lower_delay_ns / NS_PER_SEC);
	put_int(f, "Gratuitous ARP lower priority repeat", c->garp_lower_repeat);
}

/* References that are faults, and those that wait for a first result: the group's own and the instance's. */
static void count_faults(struct app *a, uint16_t inst, unsigned *faults, unsigned *waits)
{
	const struct cfg_group *g = &a->cfg->groups[a->node.member[inst].group];
	*faults = a->inst[inst].deaf != APP_HEARS;
	*waits = 0;
	for (uint32_t r = 0; r < g->n_track; r++) {
		if (g->track[r].inst != inst && g->track[r].inst != VRRP_TRACK_GROUP)
			continue;
		*faults += vrrp_track_is_fault(&g->track[r], app_track_all(a));
		*waits += vrrp_track_waits(&g->track[r], app_track_all(a));
	}
}

/* Not kept within what an advert can say. */
static int32_t total_priority(struct app *a, uint16_t inst)
{
	const struct cfg_group *g = &a->cfg->groups[a->node.member[inst].group];
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	return c->priority == 255 ? 255 : c->priority + vrrp_track_judge(g->track, g->n_track, app_track_all(a)).points;
}

static void put_state(struct app *a, uint16_t inst, FILE *f)
{
	unsigned faults, waits;
	const struct vrrp *v = &a->node.inst[inst];
	char text[ADDR_TEXT_MAX] = "";
	fprintf(f, "   State = %s\n", kalive_state_text(v->state));
	if (v->state == VRRP_BACKUP) {
		bool heard = v->peer.src.af != ADDR_NONE;
		fprintf(f, "   Master router = %s\n", heard ? addr_text(&v->peer.src, text) : "unknown");
		put_int(f, "Master priority", heard ? v->peer.priority : 0);
		if (v->conf->version != VRRP_V2)
			fprintf(f, "   Master advert int = %.2f sec\n", (double)v->master_adv_ns / 1e9);
	}
	fprintf(f, "   Wantstate = %s\n", kalive_state_text(kalive_wanted(a, inst)));
	count_faults(a, inst, &faults, &waits);
	put_int(f, "Number of config faults", 0);
	put_int(f, "Number of interface and track script faults", faults);
	put_int(f, "Number of track scripts init", waits);
	put_time(f, "Last transition", kalive_since_wall_us(a, inst));
	fprintf(f, "   Master down timer = %lld usecs\n", (long long)(vrrp_down(v) / NS_PER_US));
}

static void put_addresses(struct app *a, uint16_t inst, FILE *f)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	char text[300];
	for (uint16_t i = 0; i < c->n_vips; i++) {
		if (i == 0 && c->n_advertised)
			fprintf(f, "   Virtual IP (%u):\n", c->n_advertised);
		if (i == c->n_advertised)
			fprintf(f, "   Virtual IP Excluded (%u):\n", c->n_vips - c->n_advertised);
		kalive_vip_text(a, inst, &c->vips[i], text, sizeof(text));
		fprintf(f, "     %s\n", text);
	}
}

static void put_routes(struct app *a, uint16_t inst, FILE *f)
{
	char text[KALIVE_ROUTE_MAX];
	unsigned n = 0;
	for (uint32_t i = 0; i < a->cfg->n_routes; i++)
		if (a->cfg->routes[i].inst == inst)
			fprintf(f, "%s     %s\n", n++ ? "" : "   Virtual Routes :\n",
				kalive_route_text(&a->cfg->routes[i], text));
	n = 0;
	for (uint32_t i = 0; i < a->cfg->n_rules; i++)
		if (a->cfg->rules[i].inst == inst)
			fprintf(f, "%s     %s\n", n++ ? "" : "   Virtual Rules :\n",
				kalive_rule_text(&a->cfg->rules[i], text));
}

void kalive_tracked(struct app *a, const struct cfg_group *g, uint16_t inst, FILE *f)
{
	static const char *const title[VRRP_TRACK_KIND_N] = { "Tracked interfaces", "Tracked scripts",
							      "Tracked processes", "Tracked files",
							      "Tracked conntrack tables" };
	for (unsigned kind = 0; kind < VRRP_TRACK_KIND_N; kind++) {
		const char *comma = kind == VRRP_TRACK_PROCESS || kind == VRRP_TRACK_FILE ? "," : "";
		unsigned n = 0;
		for (uint32_t r = 0; r < g->n_track; r++) {
			const struct vrrp_track_conf *o = &a->cfg->track.objs[g->track[r].obj];
			if (o->kind != kind || g->track[r].inst != inst)
				continue;
			if (n++ == 0)
				fprintf(f, "   %s :\n", title[kind]);
			fprintf(f, "     %s%s weight %d%s\n", o->name, comma, (int)g->track[r].weight,
				g->track[r].reverse ? " reverse" : "");
		}
	}
}

static void put_script(FILE *f, const char *what, const struct notify_script *s)
{
	if (!s->argv)
		return;
	fprintf(f, "   %s state transition script = ", what);
	for (uint16_t i = 0; i < s->argc; i++)
		fprintf(f, "%s'%s'", i ? " " : "", s->argv[i]);
	fprintf(f, "\n");
}

void kalive_notify(FILE *f, const struct notify_conf *n)
{
	static const char *const what[NOTIFY_WHICH_N] = {
		[NOTIFY_MASTER] = "Master", [NOTIFY_BACKUP] = "Backup",   [NOTIFY_FAULT] = "Fault",
		[NOTIFY_STOP] = "Stop",     [NOTIFY_DELETED] = "Deleted", [NOTIFY_LOWER] = "Master rx lower pri",
		[NOTIFY_ALL] = "Generic",
	};
	fprintf(f, "   Using smtp notification = %s\n", n && n->mail ? "yes" : "no");
	fprintf(f, "   Notify deleted = %s\n", n && n->tell_deleted ? "Deleted" : "Fault");
	for (unsigned i = 0; n && n->script && i < NOTIFY_WHICH_N; i++)
		put_script(f, what[i], &n->script[i]);
	put_bool(f, "Notify priority changes", n && n->priority_changes);
}

static bool link_up(struct app *a, const char *name)
{
	const struct net_link *l = netstate_link_by_name(netapply_state(a->net), name);
	return l && l->up;
}

static void put_peers(FILE *f, const struct vrrp_conf *c)
{
	char text[ADDR_TEXT_MAX];
	if (!c->n_peers)
		return;
	fprintf(f, "   Unicast TTL = %u\n   Check unicast src : %s\n   Unicast Peer :\n", c->unicast_ttl,
		c->unicast_any_source ? "no" : "yes");
	for (uint16_t i = 0; i < c->n_peers; i++)
		fprintf(f, "     %s min_ttl %u max_ttl %u\n", addr_text(&c->peers[i].addr, text), c->peers[i].ttl_min,
			c->peers[i].ttl_max);
}

void kalive_data_instance(struct app *a, uint16_t inst, FILE *f)
{
	const struct vrrp *v = &a->node.inst[inst];
	const struct vrrp_conf *c = v->conf;
	char text[ADDR_TEXT_MAX];
	const struct cfg_group *g = &a->cfg->groups[a->node.member[inst].group];
	fprintf(f, " VRRP Instance = %s\n", c->name);
	put_int(f, "VRRP Version", c->version == VRRP_V2 ? 2 : 3);
	if (g->n_members > 1)
		fprintf(f, "   Sync group = %s\n", g->name);
	put_state(a, inst, f);
	/* One parser reads an instance up to its first line without '='. */
	fprintf(f, "   Interface = %s", kalive_interface(c));
	if (c->vmac != VRRP_VMAC_NONE)
		fprintf(f, ", vmac on %s", c->interface);
	fputc('\n', f);
	put_int(f, "Virtual Router ID", c->vrid);
	fprintf(f, "   Using src_ip = %s%s\n", v->src.af != ADDR_NONE ? addr_text(&v->src, text) : "(none)",
		c->source.af != ADDR_NONE ? " (from configuration)" : "");
	if (c->vmac != VRRP_VMAC_NONE)
		fprintf(f, "   Use %s, i/f name %s, is_up = %s, xmit_base = %s\n",
			c->vmac == VRRP_VMAC_IPVLAN ? "IPVLAN" : "VMAC", c->vmac_name,
			link_up(a, c->vmac_name) ? "true" : "false", c->vmac_base_source ? "true" : "false");
	if (c->any_link)
		fprintf(f, "   VRRP interface tracking disabled\n");
	if (c->lists_once)
		fprintf(f, "   Skip checking advert IP addresses\n");
	if (c->strict)
		fprintf(f, "   Enforcing strict VRRP compliance\n");
	if (c->af == ADDR_V6)
		fprintf(f, "   Using Native IPv6\n");
	struct addr dst;
	for (unsigned at = 0; !c->n_peers && vrrp_wire_next_dest(c, &v->src, &at, &dst);)
		fprintf(f, "   Multicast address %s\n", addr_text(&dst, text));
	put_announce(f, c);
	put_int(f, "Down timer adverts", c->down_adverts);
	put_bool(f, "Send advert after receive lower priority advert", c->lower_advert);
	put_bool(f, "Send advert after receive higher priority advert", c->higher_advert);
	put_int(f, "Priority", c->priority);
	put_int(f, "Effective priority", v->priority);
	put_int(f, "Total priority", total_priority(a, inst));
	if (c->version == VRRP_V2)
		fprintf(f, "   Advert interval = %lld sec\n", (long long)(c->adv_ns / NS_PER_SEC));
	else
		fprintf(f, "   Advert interval = %lld milli-sec\n", (long long)(c->adv_ns / NS_PER_MS));
	fprintf(f, "   Accept = %s\n   Preempt = %s\n", c->no_accept ? "disabled" : "enabled",
		c->preempt ? "enabled" : "disabled");
	if (c->preempt_delay_ns)
		fprintf(f, "   Preempt delay = %g secs\n", (double)c->preempt_delay_ns / 1e9);
	fprintf(f, "   Promote_secondaries = %s\n", a->cfg->promote_secondaries ? "enabled" : "disabled");
	if (c->auth)
		fprintf(f, "   Authentication type = SIMPLE_PASSWORD\n   Password = %.8s\n",
			(const char *)c->auth_pass);
	put_addresses(a, inst, f);
	put_peers(f, c);
	put_routes(a, inst, f);
	kalive_tracked(a, g, inst, f);
	kalive_notify(f, a->cfg->notify.inst ? &a->cfg->notify.inst[inst] : NULL);
}

static void put_count(FILE *f, const char *key, uint64_t n)
{
	fprintf(f, "    %s: %llu\n", key, (unsigned long long)n);
}

void kalive_stats_instance(struct app *a, uint16_t inst, FILE *f)
{
	struct kalive_counts n;
	kalive_counts(a, inst, &n);
	fprintf(f, "VRRP Instance: %s\n  Advertisements:\n", a->node.inst[inst].conf->name);
	put_count(f, "Received", n.received);
	put_count(f, "Sent", n.sent);
	fprintf(f, "  Became master: %llu\n  Released master: %llu\n", (unsigned long long)n.master,
		(unsigned long long)n.released);
	fprintf(f, "  Packet Errors:\n");
	put_count(f, "Length", n.length);
	put_count(f, "TTL", n.ttl);
	put_count(f, "Invalid Type", n.type);
	put_count(f, "Advertisement Interval", n.interval);
	put_count(f, "Address List", n.addresses);
	fprintf(f, "  Authentication Errors:\n");
	put_count(f, "Invalid Type", n.auth_invalid);
	put_count(f, "Type Mismatch", n.auth_type);
	put_count(f, "Failure", n.auth_failure);
	fprintf(f, "  Priority Zero:\n");
	put_count(f, "Received", n.zero_received);
	put_count(f, "Sent", n.zero_sent);
}

void kalive_counts(const struct app *a, uint16_t inst, struct kalive_counts *n)
{
	const struct vrrp_stats *s = &a->node.inst[inst].stats;
	*n = (struct kalive_counts){
		.received = s->adv_rcvd,
		.sent = s->adv_sent,
		.master = s->to_master,
		.released = a->inst[inst].released,
		.length = s->drop[VRRP_DROP_SHORT] + s->drop[VRRP_DROP_LENGTH] + s->drop[VRRP_DROP_IP],
		.ttl = s->drop[VRRP_DROP_TTL] + s->drop[VRRP_DROP_PEER_TTL],
		.type = s->drop[VRRP_DROP_TYPE],
		.interval = s->drop[VRRP_DROP_V2_INTERVAL] + s->drop[VRRP_DROP_INTERVAL] + s->interval_differs,
		.addresses = s->vips_differ + s->drop[VRRP_DROP_COUNT_ZERO],
		.auth_type = s->drop[VRRP_DROP_AUTH_TYPE],
		.auth_failure = s->drop[VRRP_DROP_AUTH_PASS],
		.zero_received = s->zero_rcvd,
		.zero_sent = s->zero_sent,
	};
}
