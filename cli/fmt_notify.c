/* show notify as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static void receivers(const json_t *list, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;

	table_begin(&t, TABLE_HEADS("Receiver", "Waiting", "Told", "Failed", "Superseded", "Dropped"));
	json_array_foreach(list, i, v)
	{
		table_cell(&t, "%s%s", fmt_str(v, "receiver"), fmt_bool(v, "busy") ? " (busy)" : "");
		table_cell(&t, "%lld", (long long)fmt_int(v, "waiting"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "told"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "failed"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "superseded"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "dropped"));
	}
	table_end(&t, out);
}

static void pipes(const json_t *list, FILE *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		fprintf(out, "Pipe %s: %s", fmt_str(v, "path"), fmt_str(v, "state"));
		if (fmt_int(v, "reader_starts"))
			fprintf(out, ", reader %s, started %lld times",
				fmt_bool(v, "reader_runs") ? "runs" : "is not there",
				(long long)fmt_int(v, "reader_starts"));
		if (*fmt_str(v, "error"))
			fprintf(out, ": %s", fmt_str(v, "error"));
		fputc('\n', out);
	}
}

static void results(const json_t *list, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char waited[40], took[40];

	table_begin(&t, TABLE_HEADS("Type", "Name", "State", "Program", "Waited", "Took", "Outcome"));
	json_array_foreach(list, i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "type"));
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%s", fmt_str(v, "program"));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "waited_us"), waited, sizeof(waited)));
		table_cell(&t, "%s", fmt_us(fmt_int(v, "took_us"), took, sizeof(took)));
		/* Of a program that could not be started the code is an errno, and the line may say it better. */
		if (strcmp(fmt_str(v, "outcome"), "not started") == 0)
			table_cell(&t, "not started: %s",
				   *fmt_str(v, "line") ? fmt_str(v, "line") : strerror((int)fmt_int(v, "code")));
		else
			table_cell(&t, "%s %lld%s%s", fmt_str(v, "outcome"), (long long)fmt_int(v, "code"),
				   *fmt_str(v, "line") ? ": " : "", fmt_str(v, "line"));
	}
	table_end(&t, out);
}

void fmt_notify(const json_t *data, FILE *out)
{
	if (!fmt_bool(data, "configured")) {
		fprintf(out, "Nobody is told of role changes: no instance, group or pipe is configured for it\n");
		return;
	}
	receivers(json_object_get(data, "receivers"), out);
	pipes(json_object_get(data, "pipes"), out);
	if (!json_array_size(json_object_get(data, "results")))
		return;
	fputc('\n', out);
	results(json_object_get(data, "results"), out);
}
