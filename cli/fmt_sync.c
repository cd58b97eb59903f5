/* show conntrack-sync statistics and status as text. The first part of the statistics has the form that programs which
 * read conntrackd's know: the same words, tabs and widths. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static unsigned long long num(const json_t *o, const char *key)
{
	return (unsigned long long)fmt_int(o, key);
}

static void cache(const json_t *c, const char *name, FILE *out)
{
	fprintf(out, "cache %s:\n", name);
	fprintf(out, "current active connections:\t%12llu\n", num(c, "active"));
	fprintf(out, "connections created:\t\t%12llu\tfailed:\t%12llu\n", num(c, "created"), num(c, "created_failed"));
	fprintf(out, "connections updated:\t\t%12llu\tfailed:\t%12llu\n", num(c, "updated"), num(c, "updated_failed"));
	fprintf(out, "connections destroyed:\t\t%12llu\tfailed:\t%12llu\n\n", num(c, "destroyed"),
		num(c, "destroyed_failed"));
}

static void store_text(const json_t *st, FILE *out)
{
	const json_t *k = json_object_get(st, "kernel");

	if (!st || json_is_null(st))
		return;
	fprintf(out, "kernel table: %llu of %llu entries, copies up to %llu (%llu %%)\n", num(k, "entries"),
		num(k, "limit"), num(k, "high_water"), num(k, "high_water_percent"));
	fprintf(out, "store: %llu wait outside of the kernel%s%s; %llu written, %llu taken back\n", num(st, "stored"),
		fmt_bool(st, "committing") ? ", being written"
		: fmt_bool(st, "keeps")    ? " until a takeover"
					   : "",
		fmt_bool(st, "full") ? ", no room in the kernel's table" : "", num(st, "written"),
		num(st, "taken_back"));
}

static void ours(const json_t *o, FILE *out)
{
	const json_t *table = json_object_get(o, "table"), *ev = json_object_get(o, "events");
	const json_t *digest = json_object_get(o, "digest");
	struct table t;
	char age[40];
	size_t i;
	json_t *v;

	fprintf(out, "sessions by disposition:\n");
	table_begin(&t, TABLE_HEADS("Disposition", "Reason", ">Sessions"));
	json_array_foreach(json_object_get(o, "sessions"), i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "disposition"));
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "reason")));
		table_cell(&t, "%llu", num(v, "count"));
	}
	table_end(&t, out);
	fprintf(out, "\nreplication:\n");
	fprintf(out, "table: %llu of %llu sessions, %llu bytes; waiting to be sent: %llu\n", num(table, "entries"),
		num(table, "limit"), num(table, "used_bytes"), num(o, "dirty"));
	fprintf(out, "kernel events: %llu received, %llu of our own writes, %llu overruns, %llu dumps\n",
		num(ev, "received"), num(ev, "own"), num(ev, "overruns"), num(ev, "dumps"));
	fprintf(out, "copies renewed: %llu, expired: %llu, claimed: %llu, refused as old: %llu\n", num(o, "renewals"),
		num(o, "expired"), num(o, "claims"), num(o, "refused_old"));
	fprintf(out, "tables: %s, compared %s ago, %llu buckets differed\n",
		fmt_bool(digest, "equal") ? "equal" : "differ", fmt_us(fmt_int(digest, "age_us"), age, sizeof(age)),
		num(digest, "buckets_differ"));
	store_text(json_object_get(o, "store"), out);
	json_array_foreach(json_object_get(o, "refusals"), i, v)
	{
		fprintf(out, "refused: %llu copies here, %llu of ours at the peers: %s\n", num(v, "here"),
			num(v, "peers"), fmt_str(v, "text"));
	}
	json_array_foreach(json_object_get(o, "drops"), i, v)
	{
		fprintf(out, "dropped: %llu, %s\n", num(v, "count"), fmt_str(v, "reason"));
	}
}

void fmt_sync_statistics(const json_t *data, FILE *out)
{
	const json_t *traffic = json_object_get(data, "traffic"), *ch = json_object_get(data, "channel");
	const json_t *msg = json_object_get(data, "messages");

	fprintf(out, "Main Table Statistics:\n\n");
	cache(json_object_get(data, "internal"), "internal", out);
	cache(json_object_get(data, "external"), "external", out);
	fprintf(out, "traffic processed:\n%20llu Bytes      %20llu Pckts\n\n", num(traffic, "bytes"),
		num(traffic, "packets"));
	fprintf(out, "TCP traffic (active device=%s):\n", fmt_dash(fmt_str(ch, "device")));
	fprintf(out, "%20llu Bytes sent %20llu Bytes recv\n", num(ch, "bytes_sent"), num(ch, "bytes_received"));
	fprintf(out, "%20llu Pckts sent %20llu Pckts recv\n", num(ch, "packets_sent"), num(ch, "packets_received"));
	fprintf(out, "%20llu Error send %20llu Error recv\n\n", num(ch, "errors_sent"), num(ch, "errors_received"));
	fprintf(out, "message tracking:\n%20llu Malformed msgs %20llu Lost msgs\n\n", num(msg, "malformed"),
		num(msg, "lost"));
	ours(json_object_get(data, "ours"), out);
}

static void status_peers(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *p;
	char age[40];

	table_begin(&t, TABLE_HEADS("Peer", ">Node", "Address", "Data", "For", "Has All Ours", "We Have All", "Equal"));
	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		table_cell(&t, "%s", fmt_str(p, "node"));
		table_cell(&t, "%llu", num(p, "node_id"));
		table_cell(&t, "%s", fmt_dash(fmt_str(p, "address")));
		table_cell(&t, "%s", fmt_str(p, "data"));
		table_cell(&t, "%s", fmt_us(fmt_int(p, "since_us"), age, sizeof(age)));
		table_cell(&t, "%s", fmt_yes(p, "peer_has_all"));
		table_cell(&t, "%s", fmt_yes(p, "have_all"));
		table_cell(&t, "%s", fmt_yes(p, "equal"));
	}
	table_end(&t, out);
	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		if (*fmt_str(p, "error"))
			fprintf(out, "%s: %s\n", fmt_str(p, "node"), fmt_str(p, "error"));
	}
}

void fmt_sync_status(const json_t *data, FILE *out)
{
	char protocols[80], lease[40];

	if (!fmt_bool(data, "enabled")) {
		fprintf(out, "This router stands alone: the configuration names no cluster\n");
		return;
	}
	fprintf(out, "replication        : %s\n", fmt_bool(data, "replicate") ? "on" : "off");
	fprintf(out, "failover-mechanism : %s\n", fmt_str(data, "failover_mechanism"));
	fprintf(out, "authority          : %s of the groups\n", fmt_str(data, "authority"));
	fprintf(out, "store              : %s\n", fmt_str(data, "store"));
	fprintf(out, "protocols          : %s%s\n",
		fmt_list(json_object_get(data, "protocols"), protocols, sizeof(protocols)),
		fmt_bool(data, "quick") ? ", from the first packet" : "");
	fprintf(out, "lease              : %s\n", fmt_us(fmt_int(data, "lease_us"), lease, sizeof(lease)));
	fprintf(out, "ExpectationSync    : %s\n", fmt_str(data, "expectation_sync"));
	fprintf(out, "sessions           : %llu own, %llu copies, %llu waiting to be sent\n", num(data, "own"),
		num(data, "copies"), num(data, "dirty"));
	fmt_sync_insync(json_object_get(data, "sync"), out);
	store_text(json_object_get(data, "kept"), out);
	fputc('\n', out);
	status_peers(data, out);
	fmt_order(json_object_get(data, "order"), out);
}
