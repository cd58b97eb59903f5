/* show ipsec sweep dry-run, and the state of the quarantine, as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

/* An end of an SA, with its port where ESP travels in UDP. */
static void end(struct table *t, const json_t *sa, const char *address, const char *port)
{
	const char *a = fmt_str(sa, address);
	long long p = (long long)fmt_int(sa, port);

	if (!p)
		table_cell(t, "%s", a);
	else if (strchr(a, ':'))
		table_cell(t, "[%s]:%lld", a, p);
	else
		table_cell(t, "%s:%lld", a, p);
}

static void number(struct table *t, const json_t *sa, const char *key)
{
	long long n = (long long)fmt_int(sa, key);

	if (n)
		table_cell(t, "0x%llx", n);
	else
		table_cell(t, "-");
}

static void sas(const json_t *list, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;

	table_begin(&t, TABLE_HEADS("Dir", "Protocol", "SPI", "Source", "Destination", ">Reqid", "Mark", "If-id",
				    "State", "Why"));
	json_array_foreach(list, i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "direction"));
		table_cell(&t, "%s", fmt_str(v, "protocol"));
		table_cell(&t, "%s", fmt_str(v, "spi"));
		end(&t, v, "source", "source_port");
		end(&t, v, "destination", "destination_port");
		table_cell(&t, "%lld", (long long)fmt_int(v, "reqid"));
		number(&t, v, "mark");
		number(&t, v, "if_id");
		table_cell(&t, "%s", fmt_str(v, "state"));
		table_cell(&t, "%s", fmt_str(v, "why"));
	}
	table_end(&t, out);
}

static void conntrack(const json_t *list, long long more, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;

	fprintf(out, "\nConntrack entries that are removed if they exist:\n");
	table_begin(&t, TABLE_HEADS("Tunnel", "Protocol", "Source", "Destination"));
	json_array_foreach(list, i, v)
	{
		table_cell(&t, "%s", fmt_str(v, "tunnel"));
		table_cell(&t, "%s", fmt_str(v, "protocol"));
		end(&t, v, "source", "source_port");
		end(&t, v, "destination", "destination_port");
	}
	table_end(&t, out);
	if (more)
		fprintf(out, "and those of %lld more tunnels\n", more);
}

void fmt_sweep(const json_t *data, FILE *out)
{
	const json_t *list = json_object_get(data, "sas"), *ct = json_object_get(data, "conntrack");
	long long more = (long long)fmt_int(data, "more"), unread = (long long)fmt_int(data, "unread");

	if (json_array_size(list))
		sas(list, out);
	else
		fprintf(out, "No SA of a tunnel's virtual address is in the kernel\n");
	if (more)
		fprintf(out, "%lld more are not listed\n", more);
	fprintf(out, "Policies, and %lld other SAs of these addresses, stay\n", (long long)fmt_int(data, "kept"));
	if (unread)
		fprintf(out, "%lld SAs could not be read and stay, too\n", unread);
	if (json_array_size(ct))
		conntrack(ct, (long long)fmt_int(data, "conntrack_more"), out);
}

void fmt_ipsec_quarantine(const json_t *q, FILE *out)
{
	long long n = (long long)fmt_int(q, "addresses"), shut = (long long)fmt_int(q, "shut");

	if (!json_is_object(q) || !n)
		return;
	fprintf(out, "Quarantine: %s%s, %lld address%s", fmt_bool(q, "in_force") ? "in force by " : "NOT IN FORCE, by ",
		fmt_str(q, "by"), n, n == 1 ? "" : "es");
	if (shut)
		fprintf(out, ", %lld shut although local or in a VRF", shut);
	fprintf(out, "%s%s\n", *fmt_str(q, "error") ? ": " : "", fmt_str(q, "error"));
}
