/* show failover status, history, timeline as text. */
#include <stdint.h>
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static void status_split(const json_t *v, FILE *out)
{
	const json_t *s = json_object_get(v, "split_brain");
	char age[40], heard[40];
	size_t i;
	json_t *seg;

	if (!json_is_object(s))
		return;
	fprintf(out, "%s: SPLIT BRAIN for %s: another master with priority %lld%s%s%s%s\n", fmt_str(v, "name"),
		fmt_us(fmt_int(s, "since_us"), age, sizeof(age)), (long long)fmt_int(s, "priority"),
		*fmt_str(s, "address") ? ", address " : "", fmt_str(s, "address"), *fmt_str(s, "node") ? ", node " : "",
		fmt_str(s, "node"));
	json_array_foreach(json_object_get(s, "segments"), i, seg)
	{
		fprintf(out, "  %s on %s: %s, priority %lld, for %s, heard %s ago\n", fmt_str(seg, "instance"),
			fmt_str(seg, "interface"), fmt_str(seg, "address"), (long long)fmt_int(seg, "priority"),
			fmt_us(fmt_int(seg, "since_us"), age, sizeof(age)),
			fmt_us(fmt_int(seg, "heard_us"), heard, sizeof(heard)));
	}
	if (!json_array_size(json_object_get(s, "segments")))
		fprintf(out, "  heard on none of the segments: they are cut between the two\n");
}

static void status_deaf(const json_t *v, FILE *out)
{
	size_t i;
	json_t *d;
	char age[40];

	if (json_is_integer(json_object_get(v, "arbitrating_us")))
		fprintf(
		    out,
		    "%s: arbitrating for %s: no member hears the master, but it says on the channel that it serves\n",
		    fmt_str(v, "name"), fmt_us(fmt_int(v, "arbitrating_us"), age, sizeof(age)));
	json_array_foreach(json_object_get(v, "deaf"), i, d)
	{
		bool ever = json_is_integer(json_object_get(d, "heard_us"));
		fprintf(out, "%s: %s hears no master on %s%s%s\n", fmt_str(v, "name"), fmt_str(d, "instance"),
			fmt_str(d, "interface"), ever ? ", the last one before " : "",
			ever ? fmt_us(fmt_int(d, "heard_us"), age, sizeof(age)) : "");
	}
}

static void status_groups(const json_t *data, FILE *out)
{
	struct table t;
	size_t i, k;
	json_t *v, *why;
	char age[40], members[200];

	if (!json_array_size(json_object_get(data, "groups"))) {
		fputs("No virtual router is configured\n", out);
		return;
	}
	table_begin(&t, TABLE_HEADS("Group", "Role", "State", "Members", "Epoch", "Since", "Why", "Ready", "Gate"));
	json_array_foreach(json_object_get(data, "groups"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "role"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "members"), members, sizeof(members)));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "epoch")));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "since_us"), age, sizeof(age)));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "reason")));
		table_cell(&t, "%s", fmt_yes(v, "ready"));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "gate")));
	}
	table_end(&t, out);
	json_array_foreach(json_object_get(data, "groups"), i, v)
	{
		json_array_foreach(json_object_get(v, "not_ready_because"), k, why)
		{
			fprintf(out, "%s: not ready: %s\n", fmt_str(v, "name"), json_string_value(why));
		}
		if (fmt_bool(v, "degraded"))
			fprintf(out, "%s: degraded: %s\n", fmt_str(v, "name"), fmt_dash(fmt_str(v, "detail")));
		status_split(v, out);
		status_deaf(v, out);
		if (json_is_integer(json_object_get(v, "preempt_held_us")))
			fprintf(out, "%s: lost an address: its priority does not preempt for another %s\n",
				fmt_str(v, "name"), fmt_us(fmt_int(v, "preempt_held_us"), age, sizeof(age)));
	}
}

static void status_peer(const json_t *p, FILE *out)
{
	char age[40], heard[40], differs[100];
	size_t i;
	json_t *g;
	bool up = strcmp(fmt_str(p, "channel"), "up") == 0;

	fprintf(out, "Peer %s (node %lld, %s): channel %s for %s", fmt_str(p, "node"), (long long)fmt_int(p, "node_id"),
		fmt_dash(fmt_str(p, "address")), fmt_str(p, "channel"),
		fmt_us(fmt_int(p, "since_us"), age, sizeof(age)));
	if (up)
		fprintf(out, ", heard %s ago, %s\n", fmt_us(fmt_int(p, "heard_us"), heard, sizeof(heard)),
			fmt_bool(p, "encrypted") ? "encrypted" : "NOT ENCRYPTED");
	else
		fprintf(out, "%s%s\n", *fmt_str(p, "error") ? ": " : "", fmt_str(p, "error"));
	if (!up)
		return;
	if (fmt_bool(p, "maintenance"))
		fprintf(out, "  In MAINTENANCE: it takes no role\n");
	fprintf(out, "  Has all our sessions: %s\n", fmt_yes(p, "has_everything"));
	if (!fmt_bool(p, "config_equal"))
		fprintf(out, "  Its configuration differs in: %s\n",
			fmt_list(json_object_get(p, "config_differs"), differs, sizeof(differs)));
	json_array_foreach(json_object_get(p, "groups"), i, g)
	{
		fprintf(out, "  Group %s: %s, priority %lld, %s\n", fmt_str(g, "name"), fmt_str(g, "role"),
			(long long)fmt_int(g, "priority"), fmt_bool(g, "ready") ? "ready" : "not ready");
	}
}

void fmt_failover_status(const json_t *data, FILE *out)
{
	const json_t *r = json_object_get(data, "replication");
	size_t i;
	json_t *p;

	fprintf(out, "Node %s (%lld): %s%s, epoch %s\n\n", fmt_str(data, "node"), (long long)fmt_int(data, "node_id"),
		fmt_str(data, "role"),
		fmt_bool(data, "maintenance_persistent") ? " (maintenance, also after a restart)"
		: fmt_bool(data, "maintenance")          ? " (maintenance)"
							 : "",
		fmt_dash(fmt_str(data, "epoch")));
	if (*fmt_str(data, "heir_of"))
		fprintf(out,
			"The program that %s belongs to has DIED: conntrackd serves in its stead until it is started "
			"again\n\n",
			fmt_str(data, "heir_of"));
	status_groups(data, out);
	fputc('\n', out);
	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		status_peer(p, out);
	}
	if (json_is_object(r) && fmt_bool(r, "enabled"))
		fprintf(out, "Replication: %s, tables %s, own %lld, copies %lld, waiting to be sent %lld\n",
			fmt_bool(r, "answers") ? "works" : "DOES NOT ANSWER", fmt_bool(r, "equal") ? "equal" : "differ",
			(long long)fmt_int(r, "own"), (long long)fmt_int(r, "copies"), (long long)fmt_int(r, "dirty"));
	if (*fmt_str(data, "verdict"))
		fprintf(out, "Verdict: %s\n", fmt_str(data, "verdict"));
	if (*fmt_str(data, "reload_error"))
		fprintf(out, "The last reload was refused: %s\n", fmt_str(data, "reload_error"));
	if (json_is_string(json_object_get(data, "not_stored")))
		fprintf(out, "NOT STORED for the next start: %s\n", fmt_str(data, "not_stored"));
	if (json_is_false(json_object_get(data, "guardian")))
		fputs("There is no guardian: if the daemon is killed, its addresses stay until the next start.\n"
		      "Restart the service when this router is the standby.\n",
		      out);
	if (*fmt_str(data, "not_served"))
		fprintf(out, "Not served: %s\n", fmt_str(data, "not_served"));
}

static void outcome(const json_t *e, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s", fmt_str(e, "outcome"), *fmt_str(e, "error") ? ": " : "", fmt_str(e, "error"),
		 *fmt_str(e, "detail") ? ", " : "", fmt_str(e, "detail"));
}

void fmt_failover_history(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *e;
	char wall[48], took[40], result[200];

	table_begin(
	    &t, TABLE_HEADS("Time", "Epoch", "Node", "Group", "From", "To", "Reason", "Kind", ">Duration", "Result"));
	json_array_foreach(json_object_get(data, "entries"), i, e)
	{
		outcome(e, result, sizeof(result));
		table_cell(&t, "%s", fmt_wall(fmt_int(e, "wall_us"), wall, sizeof(wall)));
		table_cell(&t, "%s", fmt_str(e, "epoch"));
		table_cell(&t, "%s", fmt_str(e, "node"));
		table_cell(&t, "%s", fmt_str(e, "group"));
		table_cell(&t, "%s", fmt_str(e, "from"));
		table_cell(&t, "%s", fmt_str(e, "to"));
		table_cell(&t, "%s", fmt_str(e, "reason"));
		table_cell(&t, "%s", fmt_str(e, "kind"));
		table_cell(&t, "%s", fmt_us(fmt_int(e, "duration_us"), took, sizeof(took)));
		table_cell(&t, "%s", result);
	}
	table_end(&t, out);
}

void fmt_failover_timeline(const json_t *data, FILE *out)
{
	size_t i, k;
	json_t *e, *p;
	char wall[48], result[200];

	fprintf(out, "Epoch %s\n", fmt_dash(fmt_str(data, "epoch")));
	json_array_foreach(json_object_get(data, "transactions"), i, e)
	{
		outcome(e, result, sizeof(result));
		fprintf(out, "\n%s, group %s: %s -> %s, %s (%s), %s\n", fmt_str(e, "node"), fmt_str(e, "group"),
			fmt_str(e, "from"), fmt_str(e, "to"), fmt_str(e, "reason"), fmt_str(e, "kind"), result);
		fprintf(out, "  began %s\n", fmt_wall(fmt_int(e, "wall_us"), wall, sizeof(wall)));
		json_array_foreach(json_object_get(e, "phases"), k, p)
		{
			const char *res = fmt_str(p, "result");
			fprintf(out, "  %+12.3f ms  %s%s%s%s\n", (double)fmt_int(p, "offset_us") / 1000,
				fmt_str(p, "phase"), strcmp(res, "ok") ? " (" : "", strcmp(res, "ok") ? res : "",
				strcmp(res, "ok") ? ")" : "");
		}
	}
}
