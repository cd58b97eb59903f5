/* show vrrp peer as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static void peer_groups(const json_t *p, FILE *out)
{
	struct table t;
	size_t i;
	json_t *g;
	char said[40];

	if (!json_array_size(json_object_get(p, "groups"))) {
		fprintf(out, "  Groups: nothing is known of them%s\n",
			fmt_bool(p, "config_equal") ? "" : " while the vrrp sections differ");
		return;
	}
	table_begin(&t, TABLE_HEADS("Group", "Role", ">Priority", ">Ours", "Ready", "Successor", "Epoch", "Said"));
	json_array_foreach(json_object_get(p, "groups"), i, g)
	{
		table_cell(&t, "%s", fmt_str(g, "name"));
		table_cell(&t, "%s%s", fmt_str(g, "role"), fmt_bool(g, "leaving") ? " (leaving)" : "");
		table_cell(&t, "%lld", (long long)fmt_int(g, "priority"));
		table_cell(&t, "%lld", (long long)fmt_int(g, "our_priority"));
		table_cell(&t, "%s", fmt_yes(g, "ready"));
		table_cell(&t, "%s", fmt_yes(g, "successor"));
		table_cell(&t, "%s", fmt_dash(fmt_str(g, "epoch")));
		table_cell(&t, "%s ago", fmt_us(fmt_int(g, "said_us"), said, sizeof(said)));
	}
	table_end(&t, out);
}

static void peer_config(const json_t *p, FILE *out)
{
	size_t i;
	json_t *c;

	json_array_foreach(json_object_get(p, "config"), i, c)
	{
		fprintf(out, "  Configuration of %-8s ours %s, theirs %s: %s\n", fmt_str(c, "section"),
			fmt_dash(fmt_str(c, "ours")), fmt_dash(fmt_str(c, "theirs")),
			fmt_bool(c, "equal")    ? "equal"
			: *fmt_str(c, "theirs") ? "DIFFERS"
						: "not known");
	}
}

void fmt_vrrp_peer(const json_t *data, FILE *out)
{
	size_t i;
	json_t *p;
	char age[40];

	if (!json_array_size(json_object_get(data, "peers")))
		fprintf(out, "There is no other node in the configuration\n");
	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		bool up = strcmp(fmt_str(p, "channel"), "up") == 0;
		fprintf(out, "%sPeer %s (node %lld, %s): channel %s", i ? "\n" : "", fmt_str(p, "node"),
			(long long)fmt_int(p, "node_id"), fmt_dash(fmt_str(p, "address")), fmt_str(p, "channel"));
		if (up)
			fprintf(out, ", heard %s ago%s\n", fmt_us(fmt_int(p, "heard_us"), age, sizeof(age)),
				fmt_bool(p, "maintenance") ? ", MAINTENANCE" : "");
		else
			fprintf(out, "%s%s\n", *fmt_str(p, "error") ? ": " : "", fmt_str(p, "error"));
		if (up)
			fprintf(out, "  Has all our sessions: %s, gave us all of its own: %s\n",
				fmt_yes(p, "has_everything"), fmt_yes(p, "gave_everything"));
		peer_config(p, out);
		if (up)
			peer_groups(p, out);
	}
}
