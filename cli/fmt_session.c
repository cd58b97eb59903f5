/* show session statistics and show session policy as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static long long num(const json_t *o, const char *key)
{
	return (long long)fmt_int(o, key);
}

/* The row of a list whose "protocol" is this; NULL: none. */
static const json_t *row_of(const json_t *list, const char *protocol)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		if (strcmp(fmt_str(v, "protocol"), protocol) == 0)
			return v;
	}
	return NULL;
}

static double rate_of(const json_t *data, const char *protocol)
{
	return json_real_value(json_object_get(row_of(json_object_get(data, "rates"), protocol), "per_s"));
}

static long long sessions_of(const json_t *data, const char *protocol)
{
	return num(row_of(json_object_get(data, "current"), protocol), "sessions");
}

/* What is neither TCP nor UDP nor ICMP. */
static long long raw_of(const json_t *data)
{
	return num(data, "sessions") - sessions_of(data, "tcp") - sessions_of(data, "udp") - sessions_of(data, "icmp");
}

static double raw_rate_of(const json_t *data)
{
	return rate_of(data, "all") - rate_of(data, "tcp") - rate_of(data, "udp") - rate_of(data, "icmp");
}

static char *or_na(const json_t *v, char *buf, size_t size)
{
	if (json_is_integer(v))
		snprintf(buf, size, "%lld", (long long)json_integer_value(v));
	else
		snprintf(buf, size, "n/a");
	return buf;
}

static void local_part(const json_t *data, FILE *out)
{
	static const char *const kinds[] = { "TCP", "UDP", "ICMP", "RAWIP" };
	const json_t *tcp = json_object_get(data, "tcp"), *kernel = json_object_get(data, "kernel");
	const json_t *packets = json_object_get(kernel, "packets");
	double rates[] = { rate_of(data, "tcp"), rate_of(data, "udp"), rate_of(data, "icmp"), raw_rate_of(data) };
	char relations[24], lost[3][24];

	fprintf(out, "Current session(s): %lld\n", num(data, "sessions"));
	fprintf(out, "Current TCP session(s): %lld\n", sessions_of(data, "tcp"));
	fprintf(out, "  Half-Open: %lld  Half-Close: %lld\n", num(tcp, "half_open"), num(tcp, "half_close"));
	fprintf(out, "Current UDP session(s): %lld\n", sessions_of(data, "udp"));
	fprintf(out, "Current ICMP session(s): %lld\n", sessions_of(data, "icmp"));
	fprintf(out, "Current RAWIP session(s): %lld\n\n", raw_of(data));
	fprintf(out, "Current relation table(s): %s\n\n",
		or_na(json_object_get(kernel, "relations"), relations, sizeof(relations)));
	fprintf(out, "Session establishment rate: %.1f/s\n", rate_of(data, "all"));
	for (unsigned i = 0; i < 4; i++)
		fprintf(out, "%s Session establishment rate: %.1f/s\n", kinds[i], rates[i]);
	fputc('\n', out);
	for (unsigned i = 0; i < 4; i++)
		fprintf(out, "Received %s: n/a packet(s) n/a byte(s)\n", kinds[i]);
	for (unsigned i = 0; i < 4; i++)
		fprintf(out, "Dropped %s: n/a packet(s) n/a byte(s)\n", kinds[i]);
	fprintf(out,
		"The kernel does not count by protocol. Dropped in all, since boot: %s for want of space, "
		"%s invalid,\n%s not inserted (packet(s)).\n",
		or_na(json_object_get(packets, "drop"), lost[0], sizeof(lost[0])),
		or_na(json_object_get(packets, "invalid"), lost[1], sizeof(lost[1])),
		or_na(json_object_get(packets, "insert_failed"), lost[2], sizeof(lost[2])));
	if (num(kernel, "unrecorded") > 0)
		fprintf(out,
			"The kernel holds %lld entries more than are on record here; the next sweep records them.\n",
			num(kernel, "unrecorded"));
}

static void signed_cell(struct table *t, long long v)
{
	if (v == 0)
		table_cell(t, "0");
	else
		table_cell(t, "%+lld", v);
}

/* Shown when there are any. */
static bool is_rare(const char *protocol)
{
	static const char *const always[] = { "tcp", "udp", "icmp", "all" };

	for (unsigned i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		if (strcmp(protocol, always[i]) == 0)
			return false;
	}
	return true;
}

static void peer_table(const json_t *peer, FILE *out)
{
	struct table t;
	json_t *r;
	size_t i;
	char age[40];

	fprintf(out, "\nHere and at %s (its figures are %s old):\n", fmt_str(peer, "node"),
		fmt_us(fmt_int(peer, "age_us"), age, sizeof(age)));
	table_begin(&t, TABLE_HEADS("Protocol", ">Local", ">Peer", ">Delta", ">Explained", ">Unexplained"));
	json_array_foreach(json_object_get(peer, "rows"), i, r)
	{
		if (is_rare(fmt_str(r, "protocol")) && num(r, "local") == 0 && num(r, "peer") == 0)
			continue;
		table_cell(&t, "%s", fmt_str(r, "protocol"));
		table_cell(&t, "%lld", num(r, "local"));
		table_cell(&t, "%lld", num(r, "peer"));
		signed_cell(&t, num(r, "delta"));
		signed_cell(&t, num(r, "explained"));
		signed_cell(&t, num(r, "unexplained"));
	}
	table_end(&t, out);
}

static void reason_rows(struct table *t, const json_t *list, const char *where)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		table_cell(t, "%s", where);
		table_cell(t, "%s", fmt_str(v, "protocol"));
		table_cell(t, "%lld", num(v, "count"));
		table_cell(t, "%s", fmt_str(v, "disposition"));
		table_cell(t, "%s%s", fmt_str(v, "reason"), fmt_bool(v, "in_kernel") ? "" : " (not in the kernel)");
		table_cell(t, "%s", fmt_str(v, "text"));
	}
}

static void reasons(const json_t *data, FILE *out)
{
	const json_t *here = json_object_get(data, "reasons");
	size_t i, n = json_array_size(here);
	struct table t;
	json_t *p;

	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		n += json_array_size(json_object_get(p, "reasons"));
	}
	if (n == 0)
		return;
	fprintf(out, "\nSessions that one node has for itself, and why:\n");
	table_begin(&t, TABLE_HEADS("Node", "Protocol", ">Sessions", "Disposition", "Reason", "Meaning"));
	reason_rows(&t, here, fmt_str(data, "node"));
	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		reason_rows(&t, json_object_get(p, "reasons"), fmt_str(p, "node"));
	}
	table_end(&t, out);
}

static void peer_part(const json_t *p, FILE *out)
{
	long long off = num(p, "unexplained");
	const char *node = fmt_str(p, "node");

	if (json_array_size(json_object_get(p, "rows")) == 0) {
		fprintf(out, "\n%s: n/a, %s\n", node,
			fmt_bool(p, "connected") ? "it has not answered" : "it is not connected");
		return;
	}
	peer_table(p, out);
	if (!fmt_bool(p, "fresh"))
		fprintf(out, "%s, the figures are its last ones.\n",
			fmt_bool(p, "connected") ? "It has not answered yet" : "It is not connected");
	else if (off == 0)
		fprintf(out, "Every difference is explained.\n");
	else
		fprintf(out,
			"%lld not explained. While sessions come and go the two columns are not of the same instant;\n"
			"if it stays, 'show conntrack-sync status' says what is missing.\n",
			off);
}

void fmt_session_statistics(const json_t *data, FILE *out)
{
	json_t *p;
	size_t i;

	local_part(data, out);
	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		peer_part(p, out);
	}
	reasons(data, out);
}

void fmt_session_policy(const json_t *data, FILE *out)
{
	struct table t;
	json_t *v;
	size_t i;

	table_begin(&t, TABLE_HEADS("Session", "Replicated", "When, or why not"));
	json_array_foreach(json_object_get(data, "rows"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "kind"));
		table_cell(&t, "%s", fmt_str(v, "replicated"));
		table_cell(&t, "%s", fmt_str(v, "when"));
	}
	table_end(&t, out);
	if (!fmt_bool(data, "replicate"))
		return;
	if (strcmp(fmt_str(data, "store"), "hot") == 0)
		fprintf(out,
			"\nStore: hot; copies stand in the other node's kernel and serve at once after a switch\n");
	else
		fprintf(out, "\nStore: %s; copies wait in the daemon and go into the kernel at a switch\n",
			fmt_str(data, "store"));
	if (num(data, "high_water_percent") > 0)
		fprintf(out, "Above %lld %% of nf_conntrack_max copies wait in the store\n",
			num(data, "high_water_percent"));
	fprintf(out, "Quick: %s\n", fmt_bool(data, "quick") ? "on, from the first packet" : "off");
}
