/* show vrrp track as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static const char *effect(const json_t *v, char *buf, size_t size)
{
	long long points = (long long)fmt_int(v, "points");

	if (fmt_bool(v, "fault"))
		return "FAULT";
	if (fmt_bool(v, "waits"))
		return "waited for";
	if (!points)
		return "-";
	snprintf(buf, size, "%+lld", points);
	return buf;
}

/* A weight as it is written, with its direction. */
static const char *weight(const json_t *v, char *buf, size_t size)
{
	snprintf(buf, size, "%lld%s", (long long)fmt_int(v, "weight"), fmt_bool(v, "reverse") ? " reverse" : "");
	return buf;
}

static void instances(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;

	table_begin(&t, TABLE_HEADS("Name", "Group", ">Configured", ">Points", ">Priority", "Tracking"));
	json_array_foreach(json_object_get(data, "instances"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "group"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "priority_configured"));
		table_cell(&t, "%+lld", (long long)fmt_int(v, "points"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "priority"));
		table_cell(&t, "%s", fmt_bool(v, "fault") ? "FAULT" : fmt_bool(v, "waits") ? "waiting" : "well");
	}
	table_end(&t, out);
}

static void causes(const json_t *data, FILE *out)
{
	struct table t;
	size_t i, k;
	json_t *v, *c;
	char age[40], buf[40], w[40];

	fprintf(out, "\n");
	table_begin(&t, TABLE_HEADS("Instance", "List", "Kind", "Tracked", "State", ">Weight", "Effect", "Since"));
	json_array_foreach(json_object_get(data, "instances"), i, v)
	{
		json_array_foreach(json_object_get(v, "tracked"), k, c)
		{
			table_cell(&t, "%s", fmt_str(v, "name"));
			table_cell(&t, "%s", fmt_str(c, "list"));
			table_cell(&t, "%s", fmt_str(c, "kind"));
			table_cell(&t, "%s", fmt_str(c, "name"));
			table_cell(&t, "%s", fmt_str(c, "state"));
			table_cell(&t, "%s", weight(c, w, sizeof(w)));
			table_cell(&t, "%s", effect(c, buf, sizeof(buf)));
			table_cell(&t, "%s", fmt_us(fmt_int(c, "since_us"), age, sizeof(age)));
		}
	}
	table_end(&t, out);
}

static void scripts(const json_t *data, FILE *out)
{
	struct table t;
	size_t i, n = 0;
	json_t *v;
	char took[40];

	json_array_foreach(json_object_get(data, "things"), i, v)
	{
		if (strcmp(fmt_str(v, "kind"), "script") != 0)
			continue;
		if (!n++) {
			fprintf(out, "\n");
			table_begin(&t, TABLE_HEADS("Script", "State", ">Runs", ">Failed", ">Timeouts", ">Skipped",
						    ">Took", "Last Run"));
		}
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "runs"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "failed"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "timeouts"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "skipped"));
		table_cell(&t, "%s",
			   json_is_integer(json_object_get(v, "last_took_us"))
			       ? fmt_us(fmt_int(v, "last_took_us"), took, sizeof(took))
			       : "-");
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "last")));
	}
	if (n)
		table_end(&t, out);
}

/* What there is to say of other things than scripts. */
static void others(const json_t *data, FILE *out)
{
	struct table t;
	size_t i, n = 0;
	json_t *v;
	char groups[300];

	json_array_foreach(json_object_get(data, "things"), i, v)
	{
		if (strcmp(fmt_str(v, "kind"), "script") == 0)
			continue;
		if (!n++) {
			fprintf(out, "\n");
			table_begin(&t, TABLE_HEADS("Kind", "Name", "State", ">Changes", "Groups", "Detail"));
		}
		table_cell(&t, "%s", fmt_str(v, "kind"));
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "changes"));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "groups"), groups, sizeof(groups)));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "detail")));
	}
	if (n)
		table_end(&t, out);
}

void fmt_track(const json_t *data, FILE *out)
{
	if (!json_array_size(json_object_get(data, "things"))) {
		fprintf(out, "Nothing is tracked.\n");
		return;
	}
	instances(data, out);
	causes(data, out);
	scripts(data, out);
	others(data, out);
}
