/* Lists of sessions: show conntrack table, show conntrack-sync cache. */
#include <string.h>
#include "cli/fmt_text.h"

static const char *const heads[FMT_ROWS_COLS] = { "CONN ID", "Source",      "Destination", "Protocol",
						  "TIMEOUT", "Replication", "Owner",       NULL };
enum { COL_ID = 0, COL_SOURCE, COL_DESTINATION, COL_PROTOCOL, COL_TIMEOUT, COL_STATE, COL_OWNER, COLS };

bool fmt_is_rows(enum ctl_cmd cmd)
{
	return cmd == CTL_SHOW_CONNTRACK_IPV4 || cmd == CTL_SHOW_CONNTRACK_IPV6 || cmd == CTL_SHOW_SYNC_INTERNAL ||
	       cmd == CTL_SHOW_SYNC_EXTERNAL;
}

static void legend(FILE *out)
{
	fprintf(out, "TCP state codes: SS - SYN SENT, SR - SYN RECEIVED, ES - ESTABLISHED,\n"
		     "                 FW - FIN WAIT, CW - CLOSE WAIT, LA - LAST ACK,\n"
		     "                 TW - TIME WAIT, CL - CLOSE, LI - LISTEN\n"
		     "TIMEOUT: seconds left when last read; L - lease of a copy, renewed while its owner has it\n");
}

static bool has_ports(int protocol)
{
	return protocol != 1 && protocol != 58;
}

/* ADDRESS:PORT; without the port where there is none, in brackets where the address has colons itself. */
static void endpoint(const json_t *s, const char *address, const char *port, char *buf, size_t size)
{
	const json_t *o = json_object_get(s, "original");
	const char *a = fmt_str(o, address);
	long long p = (long long)fmt_int(o, port);

	if (!has_ports((int)fmt_int(s, "protocol_number")) || p == 0)
		snprintf(buf, size, "%s", a);
	else if (strchr(a, ':'))
		snprintf(buf, size, "[%s]:%lld", a, p);
	else
		snprintf(buf, size, "%s:%lld", a, p);
}

static void cells(const json_t *s, char cell[COLS][80])
{
	const json_t *tcp = json_object_get(s, "tcp");
	const char *reason = fmt_str(s, "reason"), *disposition = fmt_str(s, "disposition");
	size_t size = sizeof(cell[0]);

	snprintf(cell[COL_ID], size, "%lld", (long long)fmt_int(s, "id"));
	endpoint(s, "source", "source_port", cell[COL_SOURCE], size);
	endpoint(s, "destination", "destination_port", cell[COL_DESTINATION], size);
	snprintf(cell[COL_PROTOCOL], size, "%s [%lld]%s%s", fmt_str(s, "protocol"),
		 (long long)fmt_int(s, "protocol_number"), json_is_object(tcp) ? " " : "", fmt_str(tcp, "code"));
	if (fmt_bool(s, "in_kernel"))
		snprintf(cell[COL_TIMEOUT], size, "%lld%s", (long long)fmt_int(s, "timeout_us") / 1000000,
			 fmt_bool(s, "lease") ? "L" : "");
	else
		snprintf(cell[COL_TIMEOUT], size, "-");
	/* The word of a reason says whether it is skipped or waits; "failed" stands for itself. */
	if (*fmt_str(s, "refusal"))
		snprintf(cell[COL_STATE], size, "%s %s", disposition, fmt_str(s, "refusal"));
	else if (!*reason || strcmp(disposition, reason) == 0)
		snprintf(cell[COL_STATE], size, "%s", disposition);
	else
		snprintf(cell[COL_STATE], size, "%s %s", disposition, reason);
	snprintf(cell[COL_OWNER], size, "%s", fmt_dash(fmt_str(s, "owner")));
}

static void line(const struct fmt_rows *st, const char *const cell[COLS], FILE *out)
{
	for (int i = 0; i < COLS; i++) {
		if (i + 1 == COLS)
			fprintf(out, "%s\n", cell[i]);
		else
			fprintf(out, i == COL_TIMEOUT ? "%*s  " : "%-*s  ", st->width[i], cell[i]);
	}
}

static void widen(struct fmt_rows *st, int col, const char *text)
{
	int n = (int)strlen(text);

	if (n > st->width[col])
		st->width[col] = n;
}

/* The widths of what is known now, before the head is printed. */
static void measure(struct fmt_rows *st, const json_t *sessions)
{
	char cell[COLS][80];
	json_t *s;
	size_t i;

	for (int k = 0; k < COLS; k++)
		widen(st, k, heads[k]);
	json_array_foreach((json_t *)(uintptr_t)sessions, i, s)
	{
		cells(s, cell);
		for (int k = 0; k < COLS; k++)
			widen(st, k, cell[k]);
	}
}

static void head(struct fmt_rows *st, FILE *out)
{
	char rule[COLS][80];
	const char *p[COLS];

	line(st, heads, out);
	for (int k = 0; k < COLS; k++) {
		memset(rule[k], '-', sizeof(rule[k]) - 1);
		rule[k][st->width[k] < 79 ? st->width[k] : 79] = '\0';
		p[k] = rule[k];
	}
	line(st, p, out);
	st->head = true;
}

static void totals(const json_t *piece, FILE *out)
{
	long long shown = (long long)fmt_int(piece, "shown"), more = (long long)fmt_int(piece, "unrecorded");

	fprintf(out, "\n%lld session%s shown%s\n", shown, shown == 1 ? "" : "s",
		fmt_bool(piece, "more") ? "; there are more" : "");
	if (json_is_null(json_object_get(piece, "unrecorded")))
		return;
	if (more > 0)
		fprintf(out,
			"The kernel holds %lld entries more than are on record here (%lld of %lld);\n"
			"the next sweep over its table records them.\n",
			more, (long long)fmt_int(piece, "recorded"), (long long)fmt_int(piece, "kernel_entries"));
	else
		fprintf(out, "All %lld entries of the kernel are on record here.\n",
			(long long)fmt_int(piece, "kernel_entries"));
}

void fmt_rows_piece(struct fmt_rows *st, const json_t *piece, FILE *out)
{
	const json_t *sessions = json_object_get(piece, "sessions");
	json_t *s;
	size_t i;

	if (!st->legend)
		legend(out);
	st->legend = true;
	if (json_array_size(sessions) > 0 && !st->head) {
		measure(st, sessions);
		fputc('\n', out);
		head(st, out);
	}
	json_array_foreach((json_t *)(uintptr_t)sessions, i, s)
	{
		char cell[COLS][80];
		const char *p[COLS];
		cells(s, cell);
		for (int k = 0; k < COLS; k++) {
			widen(st, k, cell[k]);
			p[k] = cell[k];
		}
		line(st, p, out);
	}
	if (json_object_get(piece, "shown"))
		totals(piece, out);
}
