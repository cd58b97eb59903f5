/* show conntrack-sync peers, queue, lag and filters as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static long long num(const json_t *o, const char *key)
{
	return (long long)fmt_int(o, key);
}

/* "0.8 s", as one says it. */
static char *seconds(const json_t *us, char *buf, size_t size)
{
	json_int_t v = json_integer_value(us);

	if (v >= 60000000)
		return fmt_us(v, buf, size);
	snprintf(buf, size, "%.1f s", (double)v / 1000000.0);
	return buf;
}

static char *age_of(const json_t *o, const char *key, char *buf, size_t size)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		return fmt_us(json_integer_value(v), buf, size);
	snprintf(buf, size, "never");
	return buf;
}

void fmt_sync_insync(const json_t *sync, FILE *out)
{
	char age[40];
	json_t *v;
	size_t i;

	if (!json_is_object(sync))
		return;
	if (fmt_bool(sync, "equal"))
		fprintf(out, "tables             : in sync as of %s ago",
			seconds(json_object_get(sync, "as_of_us"), age, sizeof(age)));
	else
		fprintf(out, "tables             : not known to be in sync");
	if (num(sync, "waiting") > 0)
		fprintf(out, "; %lld change%s waiting to be sent", num(sync, "waiting"),
			num(sync, "waiting") == 1 ? "" : "s");
	if (num(sync, "to_write") > 0)
		fprintf(out, "; %lld to be written here", num(sync, "to_write"));
	fputc('\n', out);
	json_array_foreach(json_object_get(sync, "missing"), i, v)
	{
		fprintf(out, "  %s: %s\n", fmt_str(v, "node"), fmt_str(v, "text"));
	}
}

static void peer_links(const json_t *p, FILE *out)
{
	char age[40];
	json_t *k;
	size_t i;

	json_array_foreach(json_object_get(p, "links"), i, k)
	{
		fprintf(out, "  link %lld           : %s, %s for %s, %lld of %lld attempts%s%s\n", num(k, "link"),
			fmt_dash(fmt_str(k, "address")), fmt_str(k, "state"),
			fmt_us(fmt_int(k, "since_us"), age, sizeof(age)), num(k, "connects"), num(k, "attempts"),
			*fmt_str(k, "error") ? "; " : "", fmt_str(k, "error"));
	}
}

static void peer(const json_t *p, FILE *out)
{
	char since[40], heard[40], equal[40];

	fprintf(out, "\n%s (node %lld)\n", fmt_str(p, "node"), num(p, "node_id"));
	fprintf(out, "  data channel     : %s for %s, last heard %s ago\n", fmt_str(p, "data"),
		fmt_us(fmt_int(p, "since_us"), since, sizeof(since)), age_of(p, "heard_us", heard, sizeof(heard)));
	peer_links(p, out);
	fprintf(out, "  bytes            : %lld sent, %lld received\n", num(p, "bytes_sent"), num(p, "bytes_received"));
	fprintf(out, "  records          : %lld sent, %lld of them stored there; %lld received\n",
		num(p, "records_sent"), num(p, "records_stored"), num(p, "records_received"));
	fprintf(out, "  first exchange   : it has all of ours: %s; we have all of its: %s; bulk %s\n",
		fmt_yes(p, "peer_has_all"), fmt_yes(p, "have_all"), fmt_str(p, "bulk"));
	fprintf(out, "  copies here      : %lld, equal: %s, compared %s ago\n", num(p, "copies"), fmt_yes(p, "equal"),
		fmt_us(fmt_int(p, "equal_us"), equal, sizeof(equal)));
	fprintf(out, "  refused          : %lld of its sessions here, %lld of ours there\n", num(p, "refused_here"),
		num(p, "refused_there"));
}

void fmt_sync_peers(const json_t *data, FILE *out)
{
	json_t *v;
	size_t i;

	fmt_sync_insync(json_object_get(data, "sync"), out);
	json_array_foreach(json_object_get(data, "peers"), i, v)
	{
		peer(v, out);
	}
}

static void percent(struct table *t, const json_t *row)
{
	double limit = (double)num(row, "limit");

	if (limit > 0)
		table_cell(t, "%.1f %%", 100.0 * (double)num(row, "waiting") / limit);
	else
		table_cell(t, "-");
}

void fmt_sync_queue(const json_t *data, FILE *out)
{
	struct table t;
	json_t *v;
	size_t i;
	char age[40];

	table_begin(&t, TABLE_HEADS("Queue", ">Holds", ">Limit", ">Used", ">Times Full", "When full"));
	json_array_foreach(json_object_get(data, "queues"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "queue"));
		table_cell(&t, "%lld", num(v, "waiting"));
		if (json_is_integer(json_object_get(v, "limit")))
			table_cell(&t, "%lld", num(v, "limit"));
		else
			table_cell(&t, "-");
		percent(&t, v);
		table_cell(&t, "%lld", num(v, "refused"));
		table_cell(&t, "%s", fmt_str(v, "when_full"));
	}
	table_end(&t, out);
	fprintf(out, "\nCopies in bulk are written at %lld a second at most.\n", num(data, "bulk_rate"));
	json_array_foreach(json_object_get(data, "peers"), i, v)
	{
		if (!fmt_bool(v, "connected"))
			fprintf(out, "%s: not connected; it is told everything when it is back\n", fmt_str(v, "node"));
		else if (num(v, "unsent_us") > 0)
			fprintf(out, "%s: the oldest change that waits for it is at most %s old\n", fmt_str(v, "node"),
				fmt_us(fmt_int(v, "unsent_us"), age, sizeof(age)));
		else
			fprintf(out, "%s: nothing waits for it\n", fmt_str(v, "node"));
	}
}

static void lag_delays(const json_t *p, FILE *out)
{
	char a[40], b[40], c[40];

	if (num(p, "samples") == 0) {
		fprintf(out, "  sent to stored   : nothing was sent yet\n");
		return;
	}
	fprintf(out, "  sent to stored   : half within %s, 99 %% within %s, at most %s (%lld samples)\n",
		fmt_us(fmt_int(p, "stored_p50_us"), a, sizeof(a)), fmt_us(fmt_int(p, "stored_p99_us"), b, sizeof(b)),
		fmt_us(fmt_int(p, "stored_max_us"), c, sizeof(c)), num(p, "samples"));
}

static void compared(const json_t *p, const char *what, const char *key, FILE *out)
{
	char age[40];

	fprintf(out, "  %s    : %s%s\n", what, age_of(p, key, age, sizeof(age)),
		json_is_integer(json_object_get(p, key)) ? " ago" : "");
}

void fmt_sync_lag(const json_t *data, FILE *out)
{
	char a[40];
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		fprintf(out, "%s%s%s\n", i > 0 ? "\n" : "", fmt_str(p, "node"),
			fmt_bool(p, "connected") ? "" : ": not connected");
		if (num(p, "unsent_us") > 0)
			fprintf(out, "  waits to be sent : at most %s\n",
				fmt_us(fmt_int(p, "unsent_us"), a, sizeof(a)));
		else
			fprintf(out, "  waits to be sent : nothing\n");
		if (num(p, "unstored_us") > 0)
			fprintf(out, "  not stored yet   : %lld records, the oldest for %s\n",
				num(p, "unstored_records"), fmt_us(fmt_int(p, "unstored_us"), a, sizeof(a)));
		else
			fprintf(out, "  not stored yet   : nothing\n");
		lag_delays(p, out);
		compared(p, "ours compared", "ours_equal_us", out);
		compared(p, "its compared ", "theirs_equal_us", out);
		fprintf(out, "  A peer gathers acknowledgements for up to %s; that is part of the delay.\n",
			fmt_us(fmt_int(p, "ack_gather_us"), a, sizeof(a)));
	}
}

void fmt_sync_filters(const json_t *data, FILE *out)
{
	struct table t;
	json_t *v;
	size_t i;

	table_begin(&t, TABLE_HEADS("Rule", "Effect", "Reason", ">Sessions Now", ">Hits"));
	json_array_foreach(json_object_get(data, "rules"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "rule"));
		table_cell(&t, "%s", fmt_str(v, "effect"));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "reason")));
		table_cell(&t, "%lld", num(v, "sessions"));
		if (json_is_integer(json_object_get(v, "hits")))
			table_cell(&t, "%lld", num(v, "hits"));
		else
			table_cell(&t, "-");
	}
	table_end(&t, out);
}
