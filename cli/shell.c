/* One line of the shell. */
#include <stdlib.h>
#include <string.h>
#include "cli/fmt_text.h"
#include "cli/shell.h"

void shell_init(struct shell *sh, const char *socket_path, FILE *out)
{
	*sh = (struct shell){ .out = out };
	client_init(&sh->client, socket_path);
}

void shell_end(struct shell *sh)
{
	client_close(&sh->client);
}

/* Without the line feed and blanks at the end. */
static int trimmed(const char *text)
{
	size_t n = strlen(text);

	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		n--;
	return (int)n;
}

static int error_json(struct shell *sh, int code, const char *message, const char *text)
{
	char *line = strndup(text, (size_t)trimmed(text));
	json_t *err =
	    json_pack("{s:{s:i,s:s,s:s}}", "error", "code", code, "message", message, "command", line ? line : "");

	if (err)
		json_dumpf(err, sh->out, JSON_INDENT(2));
	fputc('\n', sh->out);
	json_decref(err);
	free(line);
	return code;
}

static void print_cands(const struct gram_cands *c, FILE *out)
{
	int w = 4;

	for (unsigned i = 0; i < c->n; i++)
		w = (int)strlen(c->c[i].word) > w ? (int)strlen(c->c[i].word) : w;
	for (unsigned i = 0; i < c->n; i++)
		fprintf(out, "  %-*s  %s\n", w, c->c[i].word, c->c[i].help);
	if (c->complete)
		fprintf(out, "  %-*s  %s\n", w, "<cr>", "Run the command");
}

void shell_help(const struct gram_line *line, FILE *out)
{
	struct gram_cands cands;

	gram_complete(line, &cands);
	if (!cands.n && !cands.complete)
		fputs("% There is no matching command.\n", out);
	print_cands(&cands, out);
}

/* What could stand where the line went wrong, or ended. */
static void print_next(const struct gram_line *line, unsigned at, FILE *out)
{
	struct gram_line good = *line;
	struct gram_cands c;
	int col = 0;

	good.n = at;
	good.open_end = true;
	gram_complete(&good, &c);
	if (at == 0 || c.n == 0) {
		fputs(at == 0 ? "%   'list' shows all commands\n" : "%   nothing more can follow\n", out);
		return;
	}
	for (unsigned i = 0; i < c.n; i++) {
		bool wrap = col + strlen(c.c[i].word) > 100;
		if (i == 0 || wrap)
			col = fprintf(out, i == 0 ? "%%   could follow: " : ",\n%%   ");
		else
			col += fprintf(out, ", ");
		col += fprintf(out, "%s", c.c[i].word);
	}
	fputc('\n', out);
}

/* A line that is no command. */
static int bad_line(struct shell *sh, const struct gram_line *line, const struct gram_match *m, const char *text)
{
	bool json = strcmp(line->word[line->n - 1], "json") == 0;
	const char *what = m->status == GRAM_AMBIGUOUS    ? "Ambiguous command"
			   : m->status == GRAM_INCOMPLETE ? "Command incomplete"
			   : *m->why                      ? "Value not valid"
							  : "Unknown command";
	int code = m->status == GRAM_AMBIGUOUS    ? CTL_AMBIGUOUS
		   : m->status == GRAM_INCOMPLETE ? CTL_INCOMPLETE
						  : CTL_UNKNOWN;

	if (json)
		return error_json(sh, code, what, text);
	fprintf(sh->out, "%% %s: %.*s\n", what, trimmed(text), text);
	if (*m->why)
		fprintf(sh->out, "%%   %s\n", m->why);
	else if (m->status != GRAM_AMBIGUOUS)
		print_next(line, m->at, sh->out);
	for (unsigned i = 0; m->status == GRAM_AMBIGUOUS && i < m->cands.n; i++)
		fprintf(sh->out, "%%   %s\n", m->cands.c[i].word);
	return code;
}

static json_t *args_of(const struct gram_match *m)
{
	json_t *args = json_object();

	for (unsigned i = 0; i < m->n_args; i++) {
		const struct gram_value *v = &m->arg[i];
		json_t *j = v->def->type == CTL_ARG_FLAG  ? json_true()
			    : v->def->type == CTL_ARG_INT ? json_integer(v->num)
							  : json_string(v->text);
		json_object_set_new(args, v->def->key, j);
	}
	return args;
}

static void print_list(FILE *out)
{
	char syntax[400];

	for (int c = 0; c < CTL_CMD_N; c++) {
		gram_syntax((enum ctl_cmd)c, syntax, sizeof(syntax));
		if (strlen(syntax) <= 44)
			fprintf(out, "  %-44s %s\n", syntax, ctl_cmd_def((enum ctl_cmd)c)->help);
		else
			fprintf(out, "  %s\n%47s%s\n", syntax, "", ctl_cmd_def((enum ctl_cmd)c)->help);
	}
}

static void print_help(FILE *out)
{
	fputs(
	    "Words may be shortened as long as they stay unambiguous: sh vr det.\n"
	    "? shows what can follow, TAB completes, `list` shows all commands.\n"
	    "A last word `json` makes show commands print JSON.\n"
	    "What the first word may do: show and explain nothing, clear counters, debug logs more, reset and restart\n"
	    "conclude and connect anew without losing sessions, force and maintenance change roles.\n",
	    out);
}

static int run_local(struct shell *sh, enum ctl_cmd cmd)
{
	if (cmd == CTL_LIST)
		print_list(sh->out);
	else if (cmd == CTL_HELP)
		print_help(sh->out);
	else
		sh->leave = true;
	return CTL_OK;
}

/* A list that comes in pieces, printed as they come: a million sessions need no memory here. */
struct rows_out {
	FILE *out;
	bool json;
	size_t n;
	struct fmt_rows rows;
	json_t *rest; /* what is no session */
};

static void rows_piece(void *arg, json_t *piece)
{
	struct rows_out *r = arg;
	json_t *s;
	size_t i;

	if (!r->json) {
		fmt_rows_piece(&r->rows, piece, r->out);
		return;
	}
	json_array_foreach(json_object_get(piece, "sessions"), i, s)
	{
		fputs(r->n++ ? ",\n" : "{\n\"sessions\": [\n", r->out);
		json_dumpf(s, r->out, JSON_COMPACT);
	}
	json_object_update(r->rest, piece);
	json_object_del(r->rest, "sessions");
}

/* The other members follow the list; an error in its midst is one of them. */
static void rows_json_end(struct rows_out *r, int code, const char *message)
{
	const char *key;
	json_t *v;

	fputs(r->n ? "\n]" : "{\n\"sessions\": []", r->out);
	if (code != CTL_OK)
		json_object_set_new(r->rest, "error", json_pack("{s:i,s:s}", "code", code, "message", message));
	json_object_foreach(r->rest, key, v)
	{
		fprintf(r->out, ",\n\"%s\": ", key);
		json_dumpf(v, r->out, JSON_COMPACT | JSON_ENCODE_ANY);
	}
	fputs("\n}\n", r->out);
}

static int run_rows(struct shell *sh, const struct gram_match *m, const char *text)
{
	char message[400];
	struct rows_out r = { .out = sh->out, .json = m->json, .rest = json_object() };
	json_t *args = args_of(m);
	int code = client_ask_each(&sh->client, m->cmd, args, rows_piece, &r, message, sizeof(message));

	json_decref(args);
	if (code != CTL_OK && m->json && r.n == 0)
		error_json(sh, code, message, text);
	else if (m->json)
		rows_json_end(&r, code, message);
	else if (code != CTL_OK)
		fprintf(sh->out, "%% %s\n", message);
	json_decref(r.rest);
	return code;
}

static int run_remote(struct shell *sh, const struct gram_match *m, const char *text)
{
	char message[400];
	json_t *args = args_of(m), *data;
	int code = CTL_DENIED;

	if (sh->view_only && ctl_cmd_def(m->cmd)->class == CTL_ADMIN) {
		snprintf(message, sizeof(message), "%s is not allowed in view mode (-u)", ctl_cmd_def(m->cmd)->path);
		data = NULL;
	} else {
		code = client_ask(&sh->client, m->cmd, args, &data, message, sizeof(message));
	}
	json_decref(args);
	if (code != CTL_OK && m->json)
		return error_json(sh, code, message, text);
	if (code != CTL_OK) {
		fprintf(sh->out, "%% %s\n", message);
	} else if (m->json) {
		json_dumpf(data, sh->out, JSON_INDENT(2));
		fputc('\n', sh->out);
	} else {
		fmt_text(m->cmd, data, gram_arg(m, "detail") != NULL, sh->out);
	}
	if (code == CTL_OK && m->cmd == CTL_SHOW_PAIR)
		code = fmt_pair_code(data);
	json_decref(data);
	return code;
}

/* A last `?` asks for help also where no key can be caught. */
static bool asks_help(const char *text, struct gram_line *line)
{
	int n = trimmed(text);

	if (n == 0 || text[n - 1] != '?')
		return false;
	return gram_split(text, (size_t)n - 1, line);
}

int shell_line(struct shell *sh, const char *text)
{
	struct gram_line line;
	struct gram_match m;

	if (asks_help(text, &line)) {
		shell_help(&line, sh->out);
		return CTL_OK;
	}
	if (!gram_split(text, strlen(text), &line)) {
		fprintf(sh->out, "%% Unknown command: the line is too long\n");
		return CTL_UNKNOWN;
	}
	gram_parse(&line, &m);
	if (m.status == GRAM_EMPTY)
		return CTL_OK;
	if (m.status != GRAM_OK)
		return bad_line(sh, &line, &m, text);
	if (ctl_cmd_def(m.cmd)->thread == CTL_ON_CLIENT)
		return run_local(sh, m.cmd);
	if (fmt_is_rows(m.cmd))
		return run_rows(sh, &m, text);
	return run_remote(sh, &m, text);
}

char *shell_prompt(struct shell *sh, char *buf, size_t size)
{
	char message[400];
	json_t *data;
	int code = client_ask(&sh->client, CTL_SHOW_FAILOVER_STATUS, NULL, &data, message, sizeof(message));

	if (code == CTL_OK)
		snprintf(buf, size, "%s[%s]# ", fmt_str(data, "node"),
			 fmt_bool(data, "maintenance") ? "MAINT" : fmt_dash(fmt_str(data, "role")));
	else
		snprintf(buf, size, "[?]# ");
	json_decref(data);
	return buf;
}
