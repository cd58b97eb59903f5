/* show vrrp, show failover ... as text. */
#include <stdint.h>
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

/* Routes and rules, or what is static, that are not as they should be. */
static void object_complaints(const char *whose, const json_t *list, FILE *out)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		const char *state = fmt_str(v, "state");
		if (strcmp(state, "missing") == 0 || strcmp(state, "foreign") == 0)
			fprintf(out, "%s: %s is %s%s%s\n", whose, fmt_str(v, "text"), state,
				*fmt_str(v, "error") ? ": " : "", fmt_str(v, "error"));
	}
}

/* Addresses that are not as they should be. */
static void vrrp_complaints(const json_t *inst, FILE *out)
{
	size_t i;
	json_t *v;
	char age[40];

	json_array_foreach(json_object_get(inst, "addresses"), i, v)
	{
		const char *state = fmt_str(v, "state");
		if (strcmp(state, "missing") != 0 && strcmp(state, "foreign") != 0)
			continue;
		fprintf(out, "%s: address %s on %s is %s%s%s\n", fmt_str(inst, "name"), fmt_str(v, "address"),
			fmt_str(v, "interface"), state, *fmt_str(v, "error") ? ": " : "", fmt_str(v, "error"));
	}
	object_complaints(fmt_str(inst, "name"), json_object_get(inst, "routes"), out);
	v = json_object_get(inst, "virtual_mac");
	if (json_is_object(v) &&
	    (strcmp(fmt_str(v, "state"), "absent") == 0 || strcmp(fmt_str(v, "state"), "foreign") == 0))
		fprintf(out, "%s: interface %s of the virtual MAC is %s\n", fmt_str(inst, "name"),
			fmt_str(v, "interface"), fmt_str(v, "state"));
	if (strcmp(fmt_str(inst, "accept"), "failed") == 0)
		fprintf(out, "%s: nftables refuses the rules of accept = false\n", fmt_str(inst, "name"));
	v = json_object_get(inst, "rival");
	if (json_is_object(v))
		fprintf(out, "%s: SPLIT BRAIN on %s: %s with priority %lld is master too, for %s\n",
			fmt_str(inst, "name"), fmt_str(inst, "interface"), fmt_str(v, "address"),
			(long long)fmt_int(v, "priority"), fmt_us(fmt_int(v, "since_us"), age, sizeof(age)));
	if (!fmt_bool(inst, "link"))
		fprintf(out, "%s does not listen on %s: %s\n", fmt_str(inst, "name"), fmt_str(inst, "interface"),
			*fmt_str(inst, "link_error") ? fmt_str(inst, "link_error") : "the link is down");
}

void fmt_vrrp(const json_t *data, FILE *out)
{
	const json_t *list = json_object_get(data, "instances");
	struct table t;
	size_t i;
	json_t *v;
	char age[40];

	if (!json_array_size(list) && !json_array_size(json_object_get(data, "static"))) {
		fputs("No virtual router is configured\n", out);
		return;
	}
	table_begin(&t,
		    TABLE_HEADS("Name", "Interface", ">VRID", "State", ">Priority", "Last Transition", "Why", "Peer"));
	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "interface"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "vrid"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "priority"));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "since_us"), age, sizeof(age)));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "reason")));
		table_cell(&t, "%s", fmt_dash(fmt_str(json_object_get(v, "peer"), "address")));
	}
	table_end(&t, out);
	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		vrrp_complaints(v, out);
	}
	object_complaints("static", json_object_get(data, "static"), out);
}

static void vrrp_timers(const json_t *v, FILE *out)
{
	char a[40], b[40], c[40], d[40];

	fprintf(out, "  Advertisement interval: %s, of the master: %s\n",
		fmt_us(fmt_int(v, "advert_interval_us"), a, sizeof(a)),
		fmt_us(fmt_int(v, "master_advert_interval_us"), b, sizeof(b)));
	fprintf(out, "  Master down after: %s, skew: %s\n", fmt_us(fmt_int(v, "master_down_us"), c, sizeof(c)),
		fmt_us(fmt_int(v, "skew_us"), d, sizeof(d)));
}

/* What is waited for, if anything is. */
static void vrrp_delays(const json_t *v, FILE *out)
{
	long long start_us = (long long)fmt_int(v, "startup_delay_left_us");
	long long preempt_us = (long long)fmt_int(v, "preempt_delay_left_us");
	char a[40];

	if (start_us)
		fprintf(out, "  Startup delay: no role is taken for another %s\n", fmt_us(start_us, a, sizeof(a)));
	if (preempt_us)
		fprintf(out, "  Preempt delay: the lower master stays for another %s\n",
			fmt_us(preempt_us, a, sizeof(a)));
}

static void vrrp_vmac(const json_t *v, FILE *out)
{
	const json_t *m = json_object_get(v, "virtual_mac");

	if (json_is_object(m))
		fprintf(out, "  Virtual MAC: %s on %s (%s, %s), adverts from the %s MAC\n", fmt_str(m, "mac"),
			fmt_str(m, "interface"), fmt_str(m, "kind"), fmt_str(m, "state"), fmt_str(m, "adverts_from"));
	if (strcmp(fmt_str(v, "accept"), "no") == 0)
		fprintf(out, "  Packets to the virtual addresses: dropped\n");
	else if (strcmp(fmt_str(v, "accept"), "failed") == 0)
		fprintf(out, "  Packets to the virtual addresses: accepted, as nftables refuses the rules\n");
}

static void vrrp_peer(const json_t *v, FILE *out)
{
	const json_t *peer = json_object_get(v, "peer");
	char age[40], adv[40];

	if (!json_is_object(peer)) {
		fprintf(out, "  Peer: nobody was heard\n");
		return;
	}
	fprintf(out, "  Peer: %s, priority %lld, interval %s, heard %s ago\n", fmt_str(peer, "address"),
		(long long)fmt_int(peer, "priority"), fmt_us(fmt_int(peer, "advert_interval_us"), adv, sizeof(adv)),
		fmt_us(fmt_int(peer, "heard_us"), age, sizeof(age)));
}

static void vrrp_addresses(const json_t *v, FILE *out)
{
	size_t i;
	json_t *a;

	fprintf(out, "  Virtual addresses:\n");
	json_array_foreach(json_object_get(v, "addresses"), i, a)
	{
		fprintf(out, "    %s on %s: %s%s%s\n", fmt_str(a, "address"), fmt_str(a, "interface"),
			fmt_str(a, "state"), *fmt_str(a, "error") ? ", " : "", fmt_str(a, "error"));
	}
}

static void vrrp_objects(const char *title, const json_t *list, FILE *out)
{
	size_t i;
	json_t *o;

	if (json_array_size(list))
		fprintf(out, "  %s:\n", title);
	json_array_foreach((json_t *)(uintptr_t)list, i, o)
	{
		fprintf(out, "    %s: %s%s%s\n", fmt_str(o, "text"), fmt_str(o, "state"),
			*fmt_str(o, "error") ? ", " : "", fmt_str(o, "error"));
	}
}

static void vrrp_counters(const json_t *v, FILE *out)
{
	const json_t *c = json_object_get(v, "counters");
	size_t i;
	json_t *d;

	fprintf(out, "  Advertisements: received %lld, sent %lld; priority 0: received %lld, sent %lld\n",
		(long long)fmt_int(c, "adverts_received"), (long long)fmt_int(c, "adverts_sent"),
		(long long)fmt_int(c, "priority_zero_received"), (long long)fmt_int(c, "priority_zero_sent"));
	fprintf(out, "  Became master %lld, backup %lld, fault %lld; announcements sent %lld\n",
		(long long)fmt_int(c, "became_master"), (long long)fmt_int(c, "became_backup"),
		(long long)fmt_int(c, "became_fault"), (long long)fmt_int(c, "announcements_sent"));
	json_array_foreach(json_object_get(c, "drops"), i, d)
	{
		fprintf(out, "  Dropped: %lld, %s\n", (long long)fmt_int(d, "count"), fmt_str(d, "reason"));
	}
}

void fmt_vrrp_detail(const json_t *data, FILE *out)
{
	size_t i;
	json_t *v;
	char age[40], wall[48];

	json_array_foreach(json_object_get(data, "instances"), i, v)
	{
		fprintf(out, "%sVRRP instance %s (group %s)\n", i ? "\n" : "", fmt_str(v, "name"), fmt_str(v, "group"));
		fprintf(out, "  State: %s for %s (%s), since %s\n", fmt_str(v, "state"),
			fmt_us(fmt_int(v, "since_us"), age, sizeof(age)), fmt_dash(fmt_str(v, "reason")),
			fmt_wall(fmt_int(v, "transition_wall_us"), wall, sizeof(wall)));
		fprintf(out, "  Interface: %s (%s), VRID %lld, %s, source %s\n", fmt_str(v, "interface"),
			fmt_bool(v, "link") ? "up" : "down", (long long)fmt_int(v, "vrid"), fmt_str(v, "family"),
			fmt_dash(fmt_str(v, "source")));
		if (*fmt_str(v, "link_error"))
			fprintf(out, "  Cannot listen: %s\n", fmt_str(v, "link_error"));
		fprintf(out, "  Priority: %lld (configured %lld), preempt: %s\n", (long long)fmt_int(v, "priority"),
			(long long)fmt_int(v, "priority_configured"), fmt_yes(v, "preempt"));
		if (*fmt_str(v, "version") && strcmp(fmt_str(v, "version"), "v3") != 0)
			fprintf(out, "  Version: %s\n", fmt_str(v, "version"));
		vrrp_vmac(v, out);
		vrrp_timers(v, out);
		vrrp_delays(v, out);
		vrrp_peer(v, out);
		vrrp_addresses(v, out);
		vrrp_objects("Routes and rules", json_object_get(v, "routes"), out);
		vrrp_counters(v, out);
	}
	if (json_array_size(json_object_get(data, "static"))) {
		fputs("\nKept in every role\n", out);
		vrrp_objects("Objects", json_object_get(data, "static"), out);
	}
}
