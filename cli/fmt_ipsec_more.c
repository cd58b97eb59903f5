/* show ipsec sa, peer, dpd, check, statistics, and the commands that act on tunnels, as text. */
#include <stdlib.h>
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

static void traffic(const json_t *c, const char *way, const char *packets, const char *bytes, const char *last,
		    FILE *out)
{
	char age[40];

	fprintf(out, "    %s %lld packets, %lld bytes, ", way, (long long)fmt_int(c, packets),
		(long long)fmt_int(c, bytes));
	if (json_is_integer(json_object_get(c, last)))
		fprintf(out, "the last %s ago\n", fmt_us(fmt_int(c, last), age, sizeof(age)));
	else
		fprintf(out, "none yet\n");
}

/* A time that may be null: "-". */
static const char *maybe_us(const json_t *o, const char *key, char *buf, size_t size)
{
	return json_is_integer(json_object_get(o, key)) ? fmt_us(fmt_int(o, key), buf, size) : "-";
}

static void sa(const json_t *v, FILE *out)
{
	const json_t *c = json_object_get(v, "child");
	char age[40], rekey[40], ends[40];

	fprintf(out, "Tunnel %s: IKEv%lld SA %lld of %s, %s, as %s%s%s\n", fmt_dash(fmt_str(v, "tunnel")),
		(long long)fmt_int(v, "version"), (long long)fmt_int(v, "id"), fmt_str(v, "ike"), fmt_str(v, "state"),
		fmt_bool(v, "initiator") ? "initiator" : "responder", fmt_bool(v, "warm") ? ", warm" : "",
		fmt_bool(v, "warm") || fmt_bool(v, "at_vip") ? "" : ", NOT AT THE VIRTUAL ADDRESS");
	fprintf(out, "  %s[%lld] %s to %s[%lld] %s%s\n", fmt_str(v, "local"), (long long)fmt_int(v, "local_port"),
		fmt_str(v, "local_id"), fmt_str(v, "remote"), (long long)fmt_int(v, "remote_port"),
		fmt_str(v, "remote_id"), fmt_bool(v, "nat") ? ", through NAT" : "");
	if (*fmt_str(v, "algorithms"))
		fprintf(out, "  %s, established %s ago, new keys in %s\n", fmt_str(v, "algorithms"),
			fmt_us(fmt_int(v, "established_us"), age, sizeof(age)),
			fmt_us(fmt_int(v, "rekey_in_us"), rekey, sizeof(rekey)));
	if (!json_is_object(c)) {
		fprintf(out, "  no child SA\n");
		return;
	}
	fprintf(out, "  child %s %lld (reqid %lld): %s, %s %s%s, SPI in %s out %s\n", fmt_str(c, "name"),
		(long long)fmt_int(c, "id"), (long long)fmt_int(c, "reqid"), fmt_str(c, "state"),
		fmt_str(c, "protocol"), fmt_str(c, "mode"), fmt_bool(c, "udp_encap") ? " in UDP" : "",
		fmt_str(c, "spi_in"), fmt_str(c, "spi_out"));
	fprintf(out, "    %s -> %s\n", fmt_str(c, "local_ts"), fmt_str(c, "remote_ts"));
	fprintf(out, "    %s, installed %s ago, new keys in %s, ends in %s\n", fmt_dash(fmt_str(c, "algorithms")),
		fmt_us(fmt_int(c, "age_us"), age, sizeof(age)), fmt_us(fmt_int(c, "rekey_in_us"), rekey, sizeof(rekey)),
		fmt_us(fmt_int(c, "ends_in_us"), ends, sizeof(ends)));
	traffic(c, "in: ", "in_packets", "in_bytes", "last_in_us", out);
	traffic(c, "out:", "out_packets", "out_bytes", "last_out_us", out);
}

void fmt_ipsec_sa(const json_t *data, FILE *out)
{
	const json_t *others = json_object_get(data, "not_told");
	size_t i;
	json_t *v;

	if (!fmt_bool(data, "known"))
		fprintf(out, "SAs are not known: %s\n", fmt_dash(fmt_str(data, "error")));
	else if (!json_array_size(json_object_get(data, "sas")) && !json_array_size(others))
		fprintf(out, "The IKE daemon has no SA of these tunnels\n");
	json_array_foreach(json_object_get(data, "sas"), i, v)
	{
		sa(v, out);
	}
	json_array_foreach(others, i, v)
	{
		char id[24] = "";
		if (json_is_integer(json_object_get(v, "id")))
			snprintf(id, sizeof(id), ", SA %lld", (long long)fmt_int(v, "id"));
		fprintf(out, "Tunnel %s (%s): %s%s\n  %s\n", fmt_str(v, "tunnel"), fmt_str(v, "backend"),
			fmt_str(v, "state"), id, fmt_str(v, "why"));
	}
	if (fmt_int(data, "more"))
		fprintf(out, "%lld more\n", (long long)fmt_int(data, "more"));
}

void fmt_ipsec_peer(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char vips[200], names[400], reset[40];

	if (!json_array_size(json_object_get(data, "peers"))) {
		fputs("No tunnel is configured\n", out);
		return;
	}
	table_begin(&t, TABLE_HEADS("Peer", "VIPs", ">Tunnels", ">Wanted", ">Up", ">Silent", ">Found Dead",
				    ">Unknown SPIs", ">Resets", "Last Reset", "Names"));
	json_array_foreach(json_object_get(data, "peers"), i, v)
	{
		const json_t *list = json_object_get(v, "tunnels");
		table_cell(&t, "%s", fmt_str(v, "peer"));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "vips"), vips, sizeof(vips)));
		table_cell(&t, "%zu", json_array_size(list));
		table_cell(&t, "%lld", (long long)fmt_int(v, "wanted"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "up"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "silent"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "dpd_dead"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "unknown_spi_packets"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "resets"));
		table_cell(&t, "%s", maybe_us(v, "last_reset_us", reset, sizeof(reset)));
		table_cell(&t, "%s", fmt_list(list, names, sizeof(names)));
	}
	table_end(&t, out);
}

void fmt_ipsec_dpd(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char interval[40], retry[40], detect[40], silent[40], ike[40];

	if (!json_array_size(json_object_get(data, "tunnels"))) {
		fputs("No tunnel is configured\n", out);
		return;
	}
	table_begin(&t, TABLE_HEADS("Tunnel", "Mode", "Interval", "Retries", "Found After", "Action", "State",
				    ">Rekeys", ">Found Dead", ">Resets", ">Held Back", "IKE Daemon's"));
	json_array_foreach(json_object_get(data, "tunnels"), i, v)
	{
		const json_t *d = json_object_get(v, "dpd"), *own = json_object_get(v, "ike_detect_us");
		bool on = json_is_object(d);
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%s", on ? fmt_str(d, "mode") : "off");
		table_cell(&t, "%s", on ? fmt_us(fmt_int(d, "interval_us"), interval, sizeof(interval)) : "-");
		if (on)
			table_cell(&t, "%lld x %s", (long long)fmt_int(d, "retries"),
				   fmt_us(fmt_int(d, "retry_us"), retry, sizeof(retry)));
		else
			table_cell(&t, "-");
		table_cell(&t, "%s", on ? fmt_us(fmt_int(d, "detect_us"), detect, sizeof(detect)) : "-");
		table_cell(&t, "%s", on ? fmt_str(d, "action") : "-");
		table_cell(&t, "%s%s%s", on ? fmt_str(d, "state") : "-", fmt_int(d, "silent_us") ? " for " : "",
			   fmt_int(d, "silent_us") ? fmt_us(fmt_int(d, "silent_us"), silent, sizeof(silent)) : "");
		table_cell(&t, "%lld", (long long)fmt_int(v, "rekeys"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "dead"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "resets"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "resets_held"));
		table_cell(&t, "%s",
			   !json_is_integer(own)      ? "not known"
			   : !json_integer_value(own) ? "off"
						      : fmt_us(json_integer_value(own), ike, sizeof(ike)));
	}
	table_end(&t, out);
}

void fmt_ipsec_check(const json_t *data, FILE *out)
{
	const json_t *file = json_object_get(data, "file");
	size_t i, k;
	json_t *v, *f;
	char unknown[100];

	if (!json_array_size(json_object_get(data, "tunnels"))) {
		fputs("No tunnel is configured: there is nothing to check\n", out);
		return;
	}
	json_array_foreach(json_object_get(data, "tunnels"), i, v)
	{
		const json_t *list = json_object_get(v, "findings"), *open = json_object_get(v, "not_known");
		fprintf(out, "Tunnel %s, connection %s, child %s: ", fmt_str(v, "tunnel"), fmt_dash(fmt_str(v, "ike")),
			fmt_dash(fmt_str(v, "child")));
		if (!fmt_bool(v, "checked"))
			fprintf(out, "not checked: %s\n", fmt_dash(fmt_str(v, "not_checked_because")));
		else if (!json_array_size(list))
			fprintf(out, "good\n");
		else
			fprintf(out, "%zu finding%s\n", json_array_size(list), json_array_size(list) == 1 ? "" : "s");
		json_array_foreach(list, k, f)
		{
			fprintf(out, "  %-7s  %s = %s\n           %s\n           fix: %s\n", fmt_str(f, "severity"),
				fmt_str(f, "setting"), fmt_str(f, "value"), fmt_str(f, "danger"), fmt_str(f, "fix"));
		}
		if (json_array_size(open))
			fprintf(out, "  not known: %s (the IKE daemon does not tell, and %s does not have it)\n",
				fmt_list(open, unknown, sizeof(unknown)), fmt_dash(fmt_str(file, "path")));
	}
	if (*fmt_str(file, "error"))
		fprintf(out, "Configuration file: %s\n", fmt_str(file, "error"));
	fprintf(out, "Verdict: %s (dangers: %lld, warnings: %lld, notes: %lld)\n", fmt_dash(fmt_str(data, "verdict")),
		(long long)fmt_int(data, "dangers"), (long long)fmt_int(data, "warnings"),
		(long long)fmt_int(data, "notes"));
}

static void counters(const json_t *o, const char *what, FILE *out)
{
	const char *key;
	json_t *v;
	char name[40];

	if (!json_is_object(o))
		return;
	fprintf(out, "%s\n", what);
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		size_t n = 0;
		if (!json_is_integer(v) || (strlen(key) > 3 && strcmp(key + strlen(key) - 3, "_us") == 0))
			continue;
		for (; key[n] && n + 1 < sizeof(name); n++)
			name[n] = key[n] == '_' ? ' ' : key[n];
		name[n] = '\0';
		fprintf(out, "  %-20s %12lld\n", name, (long long)json_integer_value(v));
	}
}

void fmt_ipsec_statistics(const json_t *data, FILE *out)
{
	size_t i;
	json_t *v, *p;
	char head[120];

	json_array_foreach(json_object_get(data, "tunnels"), i, v)
	{
		snprintf(head, sizeof(head), "Tunnel %s", fmt_str(v, "name"));
		counters(v, head, out);
	}
	counters(json_object_get(data, "vici"), "Socket of the IKE daemon", out);
	json_array_foreach(json_object_get(data, "programs"), i, v)
	{
		snprintf(head, sizeof(head), "IKE daemon asked by programs: %s", fmt_str(v, "name"));
		counters(v, head, out);
	}
	counters(data, "Hooks", out);
	v = json_object_get(data, "watch");
	counters(v, "Watch for unknown SPIs", out);
	json_array_foreach(json_object_get(v, "verdicts"), i, p)
	{
		fprintf(out, "  %-20s %12lld\n", fmt_str(p, "verdict"), (long long)fmt_int(p, "packets"));
	}
	v = json_object_get(data, "sa_copies");
	counters(v, "Copies of inbound SAs", out);
	counters(json_object_get(v, "count"), "Copies of inbound SAs, ever", out);
	v = json_object_get(data, "sweep");
	counters(v, "Sweeps of the kernel's SAs", out);
	counters(json_object_get(v, "conntrack"), "Conntrack entries of IKE, ESP and AH", out);
	fmt_ipsec_quarantine(json_object_get(data, "quarantine"), out);
}

void fmt_ike_dpd(const json_t *data, FILE *out)
{
	size_t i, n = json_array_size(json_object_get(data, "tunnels"));
	json_t *v;
	char detect[40], interval[40], retry[40];

	fprintf(
	    out,
	    "A dead peer would be found after %s. This shell changes no configuration; the line for it is\n\n  %s\n\n",
	    fmt_us(fmt_int(data, "detect_us"), detect, sizeof(detect)), fmt_str(data, "line"));
	fprintf(out,
		"in each record of ipsec.tunnels, or in ipsec.auto for learnt ones, in %s on both nodes; reload after "
		"it.\n",
		fmt_dash(fmt_str(data, "file")));
	if (!n) {
		fputs("No tunnel is configured\n", out);
		return;
	}
	fprintf(out, "In force for %lld of %zu tunnels:\n", (long long)fmt_int(data, "in_force"), n);
	json_array_foreach(json_object_get(data, "tunnels"), i, v)
	{
		if (!fmt_bool(v, "enabled"))
			fprintf(out, "  %s: off\n", fmt_str(v, "name"));
		else
			fprintf(out, "  %s: %s, interval %s, retry %s, retries %lld%s\n", fmt_str(v, "name"),
				fmt_bool(v, "periodic") ? "periodic" : "on-demand",
				fmt_us(fmt_int(v, "interval_us"), interval, sizeof(interval)),
				fmt_us(fmt_int(v, "retry_us"), retry, sizeof(retry)), (long long)fmt_int(v, "retries"),
				fmt_bool(v, "in_force") ? " (as asked)" : "");
	}
}

static void named(const json_t *list, const char *what, FILE *out)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		fprintf(out, "%s: %s\n", what, json_string_value(v) ? json_string_value(v) : "");
	}
}

void fmt_ipsec_reset(const json_t *data, FILE *out)
{
	named(json_object_get(data, "tunnels"), "Reset", out);
	named(json_object_get(data, "not_wanted"), "Not reset, this node does not have its role", out);
}
