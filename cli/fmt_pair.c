/* show pair as text. */
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

/* A text that is too long for a line: broken at blanks, the further lines indented. */
static void wrapped(const char *label, const char *text, FILE *out)
{
	size_t room = 100, at = 0, len = strlen(text);

	if (len == 0)
		return;
	fprintf(out, "    %-12s", label);
	while (len - at > room) {
		size_t n = room;
		while (n > 0 && text[at + n] != ' ')
			n--;
		if (n == 0)
			break;
		fprintf(out, "%.*s\n    %-12s", (int)n, text + at, "");
		at += n + 1;
	}
	fprintf(out, "%s\n", text + at);
}

static void findings(const json_t *p, const char *here, FILE *out)
{
	const char *there = fmt_str(p, "node");
	size_t i;
	json_t *f;

	json_array_foreach(json_object_get(p, "findings"), i, f)
	{
		const char *ours = fmt_str(f, "ours"), *theirs = fmt_str(f, "theirs");
		fprintf(out, "\n  %s: %s (%s)\n", fmt_str(f, "severity"), fmt_str(f, "what"), fmt_str(f, "key"));
		if (*ours)
			wrapped(here, ours, out);
		if (*theirs)
			wrapped(there, theirs, out);
		wrapped("consequence", fmt_str(f, "consequence"), out);
		wrapped("remedy", fmt_str(f, "fix"), out);
	}
	if (fmt_int(p, "findings_more"))
		fprintf(out, "\n  and %lld more\n", (long long)fmt_int(p, "findings_more"));
}

static const char *side(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "not there";
}

static void not_compared(const json_t *p, const char *here, FILE *out)
{
	size_t i;
	json_t *u;

	if (json_array_size(json_object_get(p, "not_compared")))
		fprintf(out, "\n  Not compared, because a node cannot tell:\n");
	json_array_foreach(json_object_get(p, "not_compared"), i, u)
	{
		fprintf(out, "    %s: %s on %s, %s on %s\n", fmt_str(u, "key"), side(u, "ours"), here,
			side(u, "theirs"), fmt_str(p, "node"));
	}
}

static void all_facts(const json_t *p, const char *here, FILE *out)
{
	struct table t;
	size_t i;
	json_t *f;

	if (!json_array_size(json_object_get(p, "facts")))
		return;
	fputc('\n', out);
	const char *heads[] = { "Fact", here, fmt_str(p, "node"), NULL };
	table_begin(&t, heads);
	json_array_foreach(json_object_get(p, "facts"), i, f)
	{
		table_cell(&t, "%s", fmt_str(f, "key"));
		table_cell(&t, "%s", fmt_dash(fmt_str(f, "ours")));
		table_cell(&t, "%s", fmt_dash(fmt_str(f, "theirs")));
	}
	table_end(&t, out);
}

static unsigned graver(const json_t *p)
{
	size_t i;
	json_t *f;
	unsigned n = 0;

	json_array_foreach(json_object_get(p, "findings"), i, f)
	{
		n += strcmp(fmt_str(f, "severity"), "note") != 0;
	}
	return n;
}

static void peer(const json_t *p, const char *here, bool detail, FILE *out)
{
	const char *there = fmt_str(p, "node");
	const json_t *clock = json_object_get(p, "clock");
	unsigned grave = graver(p);

	if (!fmt_bool(p, "compared")) {
		fprintf(out, "%s and %s: not compared: %s\n", here, there, fmt_str(p, "error"));
		return;
	}
	fprintf(out, "%s and %s: %lld facts compared, ", here, there, (long long)fmt_int(p, "facts_compared"));
	if (grave)
		fprintf(out, "%u difference%s that matter%s\n", grave, grave == 1 ? "" : "s", grave == 1 ? "s" : "");
	else
		fprintf(out, "no difference that matters\n");
	if (json_is_object(clock)) {
		json_int_t off = fmt_int(clock, "offset_us");
		char a[40], b[40];
		fprintf(out, "  The clock of %s is %s %s, give or take %s\n", there,
			fmt_us(off < 0 ? -off : off, a, sizeof(a)), off < 0 ? "behind" : "ahead",
			fmt_us(fmt_int(clock, "error_us"), b, sizeof(b)));
	}
	if (!fmt_bool(p, "sessions_counted"))
		fprintf(out, "  Sessions were not counted\n");
	findings(p, here, out);
	not_compared(p, here, out);
	if (detail)
		all_facts(p, here, out);
}

void fmt_pair(const json_t *data, bool detail, FILE *out)
{
	size_t i;
	json_t *p;

	json_array_foreach(json_object_get(data, "peers"), i, p)
	{
		if (i)
			fputc('\n', out);
		peer(p, fmt_str(data, "node"), detail, out);
	}
}

int fmt_pair_code(const json_t *data)
{
	const char *verdict = fmt_str(data, "verdict");

	return strcmp(verdict, "equal") == 0       ? CTL_OK
	       : strcmp(verdict, "different") == 0 ? CTL_DIFFERS
						   : CTL_NOT_COMPARED;
}
