/* show ipsec as text. */
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

static void hooks(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char on[120], exec[200], limit[40], took[40];

	if (!json_array_size(json_object_get(data, "hooks")))
		return;
	fputc('\n', out);
	table_begin(&t, TABLE_HEADS("Hook", "On", "Time Limit"));
	json_array_foreach(json_object_get(data, "hooks"), i, v)
	{
		table_cell(&t, "%s", fmt_list(json_object_get(v, "exec"), exec, sizeof(exec)));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "on"), on, sizeof(on)));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "timeout_us"), limit, sizeof(limit)));
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

void fmt_ipsec(const json_t *data, FILE *out)
{
	const json_t *b = json_object_get(data, "backend");

	if (!json_array_size(json_object_get(data, "tunnels"))) {
		fprintf(out, "No tunnel is configured\n");
	} else {
		fprintf(out, "IKE daemon at %s: %s%s%s%s%s\n\n", fmt_dash(fmt_str(b, "address")),
			fmt_bool(b, "up") ? "reachable, " : "NOT REACHABLE, ",
			fmt_str(b, fmt_bool(b, "up") ? "version" : "state"), *fmt_str(b, "error") ? " (" : "",
			fmt_str(b, "error"), *fmt_str(b, "error") ? ")" : "");
		tunnels(data, out);
	}
	hooks(data, out);
}
