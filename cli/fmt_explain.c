/* explain session, and the commands that act on replication, as text. */
#include <string.h>
#include "cli/fmt_text.h"

void fmt_explain(const json_t *data, FILE *out)
{
	const json_t *session = json_object_get(data, "session"), *verdict = json_object_get(data, "verdict");
	const char *asked = fmt_str(data, "asked"), *name = fmt_str(session, "name");
	unsigned n = 0;
	size_t i, k;
	json_t *node, *step;

	if (*fmt_str(data, "tunnel"))
		fprintf(out, "Tunnel: %s\n", fmt_str(data, "tunnel"));
	else
		fprintf(out, "Session: %s\n", fmt_dash(*name ? name : asked));
	if (*name && strcmp(name, asked) != 0)
		fprintf(out, "  asked: %s\n", asked);
	json_array_foreach(json_object_get(data, "nodes"), i, node)
	{
		json_array_foreach(json_object_get(node, "steps"), k, step)
		{
			fprintf(out, "%3u. %s, %s: %s\n", ++n, fmt_str(node, "node"), fmt_str(step, "what"),
				fmt_str(step, "text"));
		}
	}
	fprintf(out, "Verdict: %s.\n", fmt_dash(fmt_str(verdict, "text")));
	fprintf(out, "To change: %s.\n", fmt_dash(fmt_str(verdict, "change")));
}

void fmt_order(const json_t *o, FILE *out)
{
	char age[40], took[40], list[200];

	if (!json_is_object(o))
		return;
	fprintf(out, "%s, by %s: ", fmt_str(o, "order"), fmt_dash(fmt_str(o, "by")));
	if (!fmt_bool(o, "running")) {
		fprintf(out, "done after %s, %s ago; own sessions judged: %lld, copies forgotten: %lld\n",
			fmt_us(fmt_int(o, "took_us"), took, sizeof(took)),
			fmt_us(fmt_int(o, "since_us"), age, sizeof(age)), (long long)fmt_int(o, "judged"),
			(long long)fmt_int(o, "forgotten"));
		return;
	}
	fprintf(out, "began %s ago\n", fmt_us(fmt_int(o, "since_us"), age, sizeof(age)));
	fprintf(out, "  kernel read  : %s\n", fmt_bool(o, "kernel_read") ? "yes" : "not yet");
	fprintf(out, "  to be told   : %s\n", fmt_list(json_object_get(o, "to_send"), list, sizeof(list)));
	fprintf(out, "  to be heard  : %s\n", fmt_list(json_object_get(o, "to_receive"), list, sizeof(list)));
}

void fmt_restart(const json_t *data, FILE *out)
{
	fprintf(out, "Data connections ended and dialled anew: %lld\n", (long long)fmt_int(data, "connections"));
}

void fmt_cleared(const json_t *data, FILE *out)
{
	size_t i;
	json_t *v;
	char list[200];

	if (json_array_size(json_object_get(data, "cleared")))
		fprintf(out, "Set to zero: counters of %s\n",
			fmt_list(json_object_get(data, "cleared"), list, sizeof(list)));
	json_array_foreach(json_object_get(data, "kept"), i, v)
	{
		fprintf(out, "Not set to zero: %s\n", json_string_value(v) ? json_string_value(v) : "");
	}
}
