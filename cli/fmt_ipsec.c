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
	char on[120], exec[200];

	if (!json_array_size(json_object_get(data, "hooks")))
		return;
	fputc('\n', out);
	table_begin(&t, TABLE_HEADS("Hook", "On", ">Runs", ">Failed", ">Timeouts", "Now"));
	json_array_foreach(json_object_get(data, "hooks"), i, v)
	{
		table_cell(&t, "%s", fmt_list(json_object_get(v, "exec"), exec, sizeof(exec)));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "on"), on, sizeof(on)));
		table_cell(&t, "%lld", (long long)fmt_int(v, "runs"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "failures"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "timeouts"));
		table_cell(&t, "%s", fmt_bool(v, "running") ? "running" : "-");
	}
	table_end(&t, out);
	if (fmt_int(data, "hook_queue") || fmt_int(data, "hook_dropped"))
		fprintf(out, "%lld wait, %lld were dropped\n", (long long)fmt_int(data, "hook_queue"),
			(long long)fmt_int(data, "hook_dropped"));
}

void fmt_ipsec(const json_t *data, FILE *out)
{
	const json_t *b = json_object_get(data, "backend");
	char age[40];

	fprintf(out, "IKE daemon (%s, %s): %s for %s%s%s\n\n", fmt_str(b, "name"), fmt_str(b, "address"),
		fmt_bool(b, "up") ? "reachable" : "NOT REACHABLE", fmt_us(fmt_int(b, "since_us"), age, sizeof(age)),
		*fmt_str(b, "error") ? ": " : "", fmt_str(b, "error"));
	tunnels(data, out);
	hooks(data, out);
}
