/*
 * The JSON file, in keepalived's shape: one line, its keys, '/' escaped. Version 1 is a list of instances, version 2 an
 * object that holds it.
 */
#include "daemon/dropin/kalive.h"

#include <string.h>

/* A value in quotes. */
static void put_text(FILE *f, const char *text)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == '/')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(f, "\\u%04x", *p);
		else
			fputc(*p, f);
	}
	fputc('"', f);
}

/* Keys after the first one of an object. */
static void key_text(FILE *f, const char *key, const char *text)
{
	fprintf(f, ",\"%s\":", key);
	put_text(f, text);
}

static void key_uint(FILE *f, const char *key, uint64_t n)
{
	fprintf(f, ",\"%s\":%llu", key, (unsigned long long)n);
}

static void key_bool(FILE *f, const char *key, bool on)
{
	fprintf(f, ",\"%s\":%s", key, on ? "true" : "false");
}

static void key_seconds(FILE *f, const char *key, int64_t ns)
{
	fprintf(f, ",\"%s\":%g", key, (double)ns / 1e9);
}

/* Beginning of an element: *n counts those before it, the first one opens the list. */
static void element(FILE *f, const char *key, unsigned *n)
{
	if (*n == 0)
		fprintf(f, ",\"%s\":[", key);
	else
		fputc(',', f);
	(*n)++;
}

static void put_addresses(struct app *a, uint16_t inst, FILE *f)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	char text[300];
	for (unsigned excluded = 0; excluded < 2; excluded++) {
		unsigned n = 0, from = excluded ? c->n_advertised : 0, to = excluded ? c->n_vips : c->n_advertised;
		for (unsigned i = from; i < to; i++) {
			element(f, excluded ? "evips" : "vips", &n);
			kalive_vip_text(a, inst, &c->vips[i], text, sizeof(text));
			put_text(f, text);
		}
		if (n)
			fputc(']', f);
	}
}

static void put_routes(struct app *a, uint16_t inst, FILE *f)
{
	char text[KALIVE_ROUTE_MAX];
	unsigned n = 0;
	for (uint32_t i = 0; i < a->cfg->n_routes; i++) {
		if (a->cfg->routes[i].inst != inst)
			continue;
		element(f, "vroutes", &n);
		put_text(f, kalive_route_text(&a->cfg->routes[i], text));
	}
	if (n)
		fputc(']', f);
	n = 0;
	for (uint32_t i = 0; i < a->cfg->n_rules; i++) {
		if (a->cfg->rules[i].inst != inst)
			continue;
		element(f, "vrules", &n);
		put_text(f, kalive_rule_text(&a->cfg->rules[i], text));
	}
	if (n)
		fputc(']', f);
}

/* A command, each word in single quotes. */
static void put_command(FILE *f, const char *const *argv)
{
	char text[512];
	size_t n = 0;
	for (unsigned i = 0; argv[i] && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s'%s'", i ? " " : "", argv[i]);
	put_text(f, text);
}

static void put_scripts(FILE *f, const struct notify_conf *nc)
{
	static const struct {
		enum notify_which which;
		const char *key;
	} rows[] = {
		{ NOTIFY_BACKUP, "script_backup" },
		{ NOTIFY_MASTER, "script_master" },
		{ NOTIFY_FAULT, "script_fault" },
		{ NOTIFY_STOP, "script_stop" },
		{ NOTIFY_DELETED, "script_deleted" },
		{ NOTIFY_ALL, "script" },
		{ NOTIFY_LOWER, "script_master_rx_lower_pri" },
	};
	key_bool(f, "smtp_alert", nc && nc->mail);
	key_bool(f, "notify_deleted", nc && nc->tell_deleted);
	for (unsigned i = 0; nc && nc->script && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!nc->script[rows[i].which].argv)
			continue;
		fprintf(f, ",\"%s\":", rows[i].key);
		put_command(f, nc->script[rows[i].which].argv);
	}
}

static void put_tracked(struct app *a, uint16_t inst, FILE *f)
{
	static const struct {
		enum vrrp_track_kind kind;
		const char *key;
	} rows[] = { { VRRP_TRACK_INTERFACE, "track_ifp" },
		     { VRRP_TRACK_SCRIPT, "track_script" },
		     { VRRP_TRACK_PROCESS, "track_process" } };
	const struct cfg_group *g = &a->cfg->groups[a->node.member[inst].group];
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned n = 0;
		for (uint32_t r = 0; r < g->n_track; r++) {
			const struct vrrp_track_conf *o = &a->cfg->track.objs[g->track[r].obj];
			if (g->track[r].inst != inst || o->kind != rows[i].kind)
				continue;
			element(f, rows[i].key, &n);
			if (o->kind == VRRP_TRACK_SCRIPT)
				put_command(f, a->cfg->track.scripts[o->index].argv);
			else
				put_text(f, o->name);
		}
		if (n)
			fputc(']', f);
	}
}

static void put_data(struct app *a, uint16_t inst, FILE *f)
{
	const struct vrrp *v = &a->node.inst[inst];
	const struct vrrp_conf *c = v->conf;
	char pass[sizeof(c->auth_pass) + 1] = "";
	fprintf(f, "{\"iname\":");
	put_text(f, c->name);
	key_uint(f, "dont_track_primary", c->any_link);
	key_uint(f, "skip_check_adv_addr", c->lists_once);
	key_uint(f, "strict_mode", c->strict);
	key_text(f, "vmac_ifname", c->vmac != VRRP_VMAC_NONE ? c->vmac_name : "");
	key_text(f, "ifp_ifname", kalive_interface(c));
	key_uint(f, "master_priority", v->peer.src.af != ADDR_NONE ? v->peer.priority : 0); /* of the last one heard */
	int64_t since_us = kalive_since_wall_us(a, inst);
	fprintf(f, ",\"last_transition\":%lld.%06lld", (long long)(since_us / 1000000),
		(long long)(since_us % 1000000));
	key_seconds(f, "garp_delay", c->garp_delay_ns);
	key_uint(f, "garp_refresh", (uint64_t)(c->garp_refresh_ns / NS_PER_SEC));
	key_uint(f, "garp_rep", c->garp_repeat);
	key_uint(f, "garp_refresh_rep", c->garp_refresh_repeat);
	key_uint(f, "garp_lower_prio_delay", (uint64_t)(c->garp_lower_delay_ns / NS_PER_SEC));
	key_uint(f, "garp_lower_prio_rep", c->garp_lower_repeat);
	key_uint(f, "lower_prio_no_advert", !c->lower_advert);
	key_uint(f, "higher_prio_send_advert", c->higher_advert);
	key_uint(f, "vrid", c->vrid);
	key_uint(f, "base_priority", c->priority);
	key_uint(f, "effective_priority", v->priority);
	key_bool(f, "vipset", v->state == VRRP_MASTER);
	key_bool(f, "promote_secondaries", a->cfg->promote_secondaries);
	key_seconds(f, "adver_int", c->adv_ns);
	key_seconds(f, "master_adver_int", v->master_adv_ns);
	key_uint(f, "accept", !c->no_accept);
	key_bool(f, "nopreempt", !c->preempt);
	key_uint(f, "preempt_delay", (uint64_t)(c->preempt_delay_ns / NS_PER_SEC));
	key_uint(f, "state", (uint64_t)v->state);
	key_uint(f, "wantstate", (uint64_t)kalive_wanted(a, inst));
	key_uint(f, "version", c->version == VRRP_V2 ? 2 : 3);
	put_scripts(f, a->cfg->notify.inst ? &a->cfg->notify.inst[inst] : NULL);
	put_addresses(a, inst, f);
	put_routes(a, inst, f);
	put_tracked(a, inst, f);
	key_uint(f, "auth_type", c->auth);
	memcpy(pass, c->auth_pass, sizeof(c->auth_pass));
	if (c->auth)
		key_text(f, "auth_data", pass);
	fputc('}', f);
}

static void put_stats(struct app *a, uint16_t inst, FILE *f)
{
	struct kalive_counts n;
	kalive_counts(a, inst, &n);
	fprintf(f, "{\"advert_rcvd\":%llu", (unsigned long long)n.received);
	key_uint(f, "advert_sent", n.sent);
	key_uint(f, "become_master", n.master);
	key_uint(f, "release_master", n.released);
	key_uint(f, "packet_len_err", n.length);
	key_uint(f, "advert_interval_err", n.interval);
	key_uint(f, "ip_ttl_err", n.ttl);
	key_uint(f, "invalid_type_rcvd", n.type);
	key_uint(f, "addr_list_err", n.addresses);
	key_uint(f, "invalid_authtype", n.auth_invalid);
	key_uint(f, "authtype_mismatch", n.auth_type);
	key_uint(f, "auth_failure", n.auth_failure);
	key_uint(f, "pri_zero_rcvd", n.zero_received);
	key_uint(f, "pri_zero_sent", n.zero_sent);
	fputc('}', f);
}

void kalive_json_begin(struct app *a, FILE *f)
{
	fprintf(f, a->cfg->keepalived.json_version == 2 ? "{\"vrrp\":[" : "[");
}

void kalive_json_instance(struct app *a, uint16_t inst, FILE *f)
{
	fprintf(f, inst ? ",{\"data\":" : "{\"data\":");
	put_data(a, inst, f);
	fprintf(f, ",\"stats\":");
	put_stats(a, inst, f);
	fputc('}', f);
}

/* Version 2 says of each tracked process how many of them run. */
static void put_process(struct app *a, uint16_t obj, FILE *f)
{
	struct kalive_process p;
	kalive_process(a, obj, &p);
	fprintf(f, "{\"process\":");
	put_text(f, p.conf->argv[0]);
	if (p.conf->argv[1]) {
		char text[512];
		size_t n = 0;
		for (unsigned i = 1; p.conf->argv[i] && n < sizeof(text); i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i > 1 ? " " : "", p.conf->argv[i]);
		key_text(f, "parameters", text);
	}
	key_text(f, "param_match", p.match);
	key_uint(f, "min_processes", p.conf->quorum);
	if (p.conf->quorum_max != UINT32_MAX)
		key_uint(f, "max_processes", p.conf->quorum_max);
	key_uint(f, "current_processes", p.count);
	key_bool(f, "have_quorum", p.quorum);
	fprintf(f, ",\"weight\":%d", (int)p.weight);
	key_seconds(f, "terminate_delay", p.conf->terminate_delay_ns);
	key_seconds(f, "fork_delay", p.conf->fork_delay_ns);
	key_bool(f, "fork_delay_timer_running", p.forking);
	key_bool(f, "terminate_delay_timer_running", p.terminating);
	key_bool(f, "full_command", p.conf->full_command);
	fputc('}', f);
}

void kalive_json_end(struct app *a, FILE *f)
{
	unsigned n = 0;
	fputc(']', f);
	for (uint16_t i = 0; a->cfg->keepalived.json_version == 2 && i < a->cfg->track.n_objs; i++) {
		if (a->cfg->track.objs[i].kind != VRRP_TRACK_PROCESS)
			continue;
		element(f, "track_process", &n);
		put_process(a, i, f);
	}
	fprintf(f, "%s%s\n", n ? "]" : "", a->cfg->keepalived.json_version == 2 ? "}" : "");
}
