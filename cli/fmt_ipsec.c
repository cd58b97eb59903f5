/* show ipsec [brief|detail] and show ipsec hooks as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static void tunnels(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char age[40];

	table_begin(&t, TABLE_HEADS("Tunnel", "VIP", "Peer", "State", "For", "Why", ">Packets In", ">Packets Out",
				    ">Resets", "DPD"));
	json_array_foreach(json_object_get(data, "tunnels"), i, v)
	{
		const json_t *dpd = json_object_get(v, "dpd");
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "vip"));
		table_cell(&t, "%s", fmt_str(v, "peer"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "since_us"), age, sizeof(age)));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "reason")));
		table_cell(&t, "%lld", (long long)fmt_int(v, "in_packets"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "out_packets"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "resets"));
		table_cell(&t, "%s", json_is_object(dpd) ? fmt_dash(fmt_str(dpd, "state")) : "off");
	}
	table_end(&t, out);
}

static void brief(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char age[40];

	table_begin(&t, TABLE_HEADS("Tunnel", "Group", "Peer", "State", "For"));
	json_array_foreach(json_object_get(data, "tunnels"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "group"));
		table_cell(&t, "%s", fmt_str(v, "peer"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "since_us"), age, sizeof(age)));
	}
	table_end(&t, out);
}

static void dpd_line(const json_t *d, FILE *out)
{
	char interval[40], retry[40], detect[40];

	if (!json_is_object(d)) {
		fprintf(out, "  dead peer detection: off\n");
		return;
	}
	fprintf(out, "  dead peer detection: %s, after %s and %lld x %s (%s), then %s; now %s\n", fmt_str(d, "mode"),
		fmt_us(fmt_int(d, "interval_us"), interval, sizeof(interval)), (long long)fmt_int(d, "retries"),
		fmt_us(fmt_int(d, "retry_us"), retry, sizeof(retry)),
		fmt_us(fmt_int(d, "detect_us"), detect, sizeof(detect)), fmt_str(d, "action"), fmt_str(d, "state"));
}

static void events(const json_t *v, FILE *out)
{
	struct table t;
	size_t i;
	json_t *e;
	char wall[48];

	if (!json_array_size(json_object_get(v, "events")))
		return;
	table_begin(&t, TABLE_HEADS("  When", "From", "To", "Why", "Epoch"));
	json_array_foreach(json_object_get(v, "events"), i, e)
	{
		bool same = strcmp(fmt_str(e, "from"), fmt_str(e, "to")) == 0;
		table_cell(&t, "  %s", fmt_wall(fmt_int(e, "wall_us"), wall, sizeof(wall)));
		table_cell(&t, "%s", fmt_str(e, "from"));
		table_cell(&t, "%s", same ? "-" : fmt_str(e, "to"));
		table_cell(&t, "%s", fmt_dash(fmt_str(e, "reason")));
		table_cell(&t, "%s", fmt_dash(fmt_str(e, "epoch")));
	}
	table_end(&t, out);
}

static void detail(const json_t *v, FILE *out)
{
	char age[40], setup[40];

	fprintf(out, "\nTunnel %s: %s for %s (%s)\n", fmt_str(v, "name"), fmt_str(v, "state"),
		fmt_us(fmt_int(v, "since_us"), age, sizeof(age)), fmt_dash(fmt_str(v, "reason")));
	fprintf(out, "  %s to %s, group %s, backend %s, connection %s, child %s%s\n", fmt_str(v, "vip"),
		fmt_str(v, "peer"), fmt_str(v, "group"), fmt_str(v, "backend"), fmt_dash(fmt_str(v, "ike")),
		fmt_dash(fmt_str(v, "child")), fmt_bool(v, "learnt") ? ", learnt from the IKE daemon" : "");
	fprintf(out, "  wanted here: %s; priority %lld, initiate %s, on demotion %s, unknown SPIs %s, copy of SAs %s\n",
		fmt_yes(v, "wanted"), (long long)fmt_int(v, "priority"), fmt_dash(fmt_str(v, "initiate")),
		fmt_dash(fmt_str(v, "on_demote")), fmt_bool(v, "watch_spi") ? "watched" : "not watched",
		fmt_dash(fmt_str(v, "sync_sa")));
	if (fmt_bool(v, "warm"))
		fprintf(out, "  warm: connection %s, %s%s\n", fmt_str(v, "warm_ike"),
			fmt_dash(fmt_str(v, "warm_state")), fmt_bool(v, "on_warm") ? ", in use" : "");
	dpd_line(json_object_get(v, "dpd"), out);
	fprintf(out, "  initiated %lld times, last negotiation %s, failed in a row %lld, purged %lld, reset %lld\n",
		(long long)fmt_int(v, "initiations"), fmt_us(fmt_int(v, "last_setup_us"), setup, sizeof(setup)),
		(long long)fmt_int(v, "failures"), (long long)fmt_int(v, "purges"), (long long)fmt_int(v, "resets"));
	if (fmt_int(v, "findings"))
		fprintf(out, "  show ipsec check has %lld findings\n", (long long)fmt_int(v, "findings"));
	if (*fmt_str(v, "error"))
		fprintf(out, "  the IKE daemon refused %s ago: %s\n",
			fmt_us(fmt_int(v, "error_age_us"), age, sizeof(age)), fmt_str(v, "error"));
	events(v, out);
}

void fmt_ipsec_hooks(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char on[120], exec[200], limit[40], took[40];
	const json_t *last;

	if (!json_array_size(json_object_get(data, "hooks"))) {
		fprintf(out, "No hook is configured\n");
		return;
	}
	table_begin(&t, TABLE_HEADS("Hook", "On", "Time Limit", "Runs", "Failed", "Last"));
	json_array_foreach(json_object_get(data, "hooks"), i, v)
	{
		table_cell(&t, "%s", fmt_list(json_object_get(v, "exec"), exec, sizeof(exec)));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "on"), on, sizeof(on)));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "timeout_us"), limit, sizeof(limit)));
		table_cell(&t, "%lld", (long long)fmt_int(v, "runs"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "failed"));
		last = json_object_get(v, "last");
		if (json_is_object(last))
			table_cell(&t, "%s %s: %s %lld", fmt_str(last, "event"), fmt_str(last, "subject"),
				   fmt_str(last, "outcome"), (long long)fmt_int(last, "code"));
		else
			table_cell(&t, "-");
	}
	table_end(&t, out);
	fprintf(out, "Hooks: %lld started, %lld failed, %lld timed out, %lld dropped; %lld wait%s\n",
		(long long)fmt_int(data, "hook_runs"), (long long)fmt_int(data, "hook_failures"),
		(long long)fmt_int(data, "hook_timeouts"), (long long)fmt_int(data, "hook_dropped"),
		(long long)fmt_int(data, "hook_queue"), fmt_bool(data, "hook_running") ? ", one runs" : "");
	v = json_object_get(data, "hook_last");
	if (json_is_object(v))
		fprintf(out, "Last hook: %s (%s %s) %s with %lld after %s: %s\n", fmt_str(v, "program"),
			fmt_str(v, "event"), fmt_str(v, "subject"), fmt_str(v, "outcome"),
			(long long)fmt_int(v, "code"), fmt_us(fmt_int(v, "took_us"), took, sizeof(took)),
			fmt_dash(fmt_str(v, "line")));
}

static void summary(const json_t *data, FILE *out)
{
	const json_t *s = json_object_get(data, "summary");

	if (!json_is_object(s))
		return;
	fprintf(out, "Tunnels: %lld, wanted here %lld, up %lld", (long long)fmt_int(s, "tunnels"),
		(long long)fmt_int(s, "wanted"), (long long)fmt_int(s, "up"));
	if (fmt_int(s, "failed"))
		fprintf(out, ", FAILING %lld", (long long)fmt_int(s, "failed"));
	if (fmt_int(s, "peer_dead"))
		fprintf(out, ", PEER SILENT %lld", (long long)fmt_int(s, "peer_dead"));
	fputc('\n', out);
}

/* IKE daemons that programs ask. */
static void programs(const json_t *data, FILE *out)
{
	size_t i;
	json_t *p;

	json_array_foreach(json_object_get(data, "programs"), i, p)
	{
		fprintf(out, "%s%s%s: %lld of %lld tunnels reached%s%s%s%s\n", fmt_str(p, "name"),
			*fmt_str(p, "address") ? " at " : "", fmt_str(p, "address"), (long long)fmt_int(p, "reached"),
			(long long)fmt_int(p, "tunnels"), *fmt_str(p, "version") ? ", " : "", fmt_str(p, "version"),
			*fmt_str(p, "error") ? ": " : "", fmt_str(p, "error"));
	}
}

/* Who uses SAs that nobody here has. */
static void watch(const json_t *w, bool all, FILE *out)
{
	size_t i;
	json_t *p;
	char age[40];

	if (!json_is_object(w))
		return;
	if (fmt_bool(w, "open"))
		fprintf(out, "Watch for unknown SPIs: open for %s\n",
			fmt_us(fmt_int(w, "open_for_us"), age, sizeof(age)));
	else if (all)
		fprintf(out, "Watch for unknown SPIs: closed\n");
	json_array_foreach(json_object_get(w, "pairs"), i, p)
	{
		if (fmt_int(p, "unknown"))
			fprintf(out, "  %s to %s: %lld packets, the last with SPI %s, %s ago\n", fmt_str(p, "peer"),
				fmt_str(p, "vip"), (long long)fmt_int(p, "unknown"), fmt_dash(fmt_str(p, "last_spi")),
				fmt_us(fmt_int(p, "last_us"), age, sizeof(age)));
	}
	json_array_foreach(json_object_get(w, "sockets"), i, p)
	{
		if (*fmt_str(p, "error"))
			fprintf(out, "  socket %s: %s\n", fmt_str(p, "name"), fmt_str(p, "error"));
	}
}

static void copies(const json_t *c, bool all, FILE *out)
{
	if (*fmt_str(c, "error"))
		fprintf(out, "Copies of SAs: %s\n", fmt_str(c, "error"));
	if (fmt_bool(c, "on") && (all || json_array_size(json_object_get(c, "held"))))
		fprintf(out, "Copies of SAs: %zu held here, %lld of our own told, %lld in the kernel now\n",
			json_array_size(json_object_get(c, "held")), (long long)fmt_int(c, "own"),
			(long long)fmt_int(c, "installed_now"));
}

void fmt_ipsec(const json_t *data, FILE *out)
{
	const json_t *b = json_object_get(data, "backend"), *list = json_object_get(data, "tunnels");
	const char *view = fmt_str(data, "view");
	size_t i;
	json_t *v;

	if (!json_array_size(list)) {
		fprintf(out, "No tunnel is configured\n");
	} else {
		if (strcmp(fmt_str(b, "name"), "none") != 0 || !json_array_size(json_object_get(data, "programs")))
			fprintf(out, "IKE daemon at %s: %s%s%s%s%s\n", fmt_dash(fmt_str(b, "address")),
				fmt_bool(b, "up") ? "reachable, " : "NOT REACHABLE, ",
				fmt_str(b, fmt_bool(b, "up") ? "version" : "state"), *fmt_str(b, "error") ? " (" : "",
				fmt_str(b, "error"), *fmt_str(b, "error") ? ")" : "");
		programs(data, out);
		summary(data, out);
	}
	fmt_ipsec_quarantine(json_object_get(data, "quarantine"), out);
	watch(json_object_get(data, "watch"), strcmp(view, "detail") == 0, out);
	copies(json_object_get(data, "sa_copies"), strcmp(view, "detail") == 0, out);
	if (strcmp(view, "detail") == 0) {
		json_array_foreach(list, i, v)
		{
			detail(v, out);
		}
		return;
	}
	if (json_array_size(list)) {
		fputc('\n', out);
		strcmp(view, "brief") == 0 ? brief(data, out) : tunnels(data, out);
	}
	if (strcmp(view, "brief") != 0 && json_array_size(json_object_get(data, "hooks"))) {
		fputc('\n', out);
		fmt_ipsec_hooks(data, out);
	}
}
