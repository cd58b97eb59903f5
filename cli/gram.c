/* The shell's grammar. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "cli/gram.h"

static const char json_help[] = "Machine readable";

bool gram_split(const char *text, size_t len, struct gram_line *out)
{
	bool quoted = false, in_word = false;
	size_t at = 0;

	*out = (struct gram_line){ .open_end = true };
	for (size_t i = 0; i < len && text[i]; i++) {
		char c = text[i];
		bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
		if (!in_word && !quoted) {
			if (blank)
				continue;
			if (out->n == 0 && (c == '!' || c == '#'))
				return true;
			if (out->n == GRAM_WORDS_MAX)
				return false;
			in_word = true;
			at = 0;
			out->n++;
		} else if (blank && !quoted) {
			in_word = false;
			continue;
		}
		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (c == '\\' && i + 1 < len && text[i + 1])
			c = text[++i];
		if (at + 1 >= GRAM_WORD_MAX)
			return false;
		out->word[out->n - 1][at++] = c;
		out->word[out->n - 1][at] = '\0';
	}
	out->open_end = !in_word;
	return true;
}

/* Word i of a command's path; its length, 0 past the end. */
static size_t path_word(enum ctl_cmd cmd, unsigned i, const char **out)
{
	const char *p = ctl_cmd_def(cmd)->path;

	for (; i > 0; i--) {
		p = strchr(p, ' ');
		if (!p)
			return 0;
		p++;
	}
	*out = p;
	return strcspn(p, " ");
}

static unsigned path_len(enum ctl_cmd cmd)
{
	unsigned n = 1;

	for (const char *p = ctl_cmd_def(cmd)->path; (p = strchr(p, ' ')) != NULL; p++)
		n++;
	return n;
}

static bool begins(const char *word, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return n <= len && strncmp(word, prefix, n) == 0;
}

static void cand_add(struct gram_cands *c, const char *word, size_t len, const char *help, bool value)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (strlen(c->c[i].word) == len && strncmp(c->c[i].word, word, len) == 0)
			return;
	}
	if (c->n == GRAM_CANDS_MAX || len >= GRAM_WORD_MAX)
		return;
	struct gram_cand *out = &c->c[c->n++];
	memcpy(out->word, word, len);
	out->word[len] = '\0';
	out->help = help;
	out->value = value;
}

/* Help for a word that begins several commands. */
static const char *branch_help(const char *word, size_t len)
{
	static const struct {
		const char *word, *help;
	} t[] = {
		{ "show", "Look at the running system" },
		{ "explain", "Say why" },
		{ "reset", "Conclude anew, without losing what lives" },
		{ "restart", "Make connections anew" },
		{ "force", "Change a role now, or compare all sessions" },
		{ "maintenance", "Take this node out of service, or back" },
		{ "clear", "Set counters to zero" },
		{ "debug", "Log more" },
		{ "no", "Undo" },
		{ "conntrack-sync", "Session replication" },
		{ "conntrack", "Sessions" },
		{ "session", "Sessions by kind" },
		{ "table", "One by one" },
		{ "cache", "Replicated sessions one by one" },
		{ "failover", "Role changes" },
		{ "sweep", "What is removed from the kernel with a role" },
		{ "ipsec", "IPsec tunnels" },
		{ "vpn", "IPsec tunnels" },
		{ "ike", "Dead peer detection in other vendors' words" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (strlen(t[i].word) == len && strncmp(t[i].word, word, len) == 0)
			return t[i].help;
	}
	return "";
}

/* A set of commands that the words so far may mean. */
struct cmd_set {
	bool in[CTL_CMD_N];
};

/* The different words that stand at position i in the set and begin with prefix. */
static void options_at(const struct cmd_set *s, unsigned i, const char *prefix, struct gram_cands *out)
{
	*out = (struct gram_cands){ 0 };
	for (int c = 0; c < CTL_CMD_N; c++) {
		const char *w = "";
		size_t len = s->in[c] ? path_word((enum ctl_cmd)c, i, &w) : 0;
		if (!len || !begins(w, len, prefix))
			continue;
		bool last = path_len((enum ctl_cmd)c) == i + 1;
		const char *help = last ? ctl_cmd_def((enum ctl_cmd)c)->help : branch_help(w, len);
		cand_add(out, w, len, help, false);
	}
}

/* The candidate that word stands for: the only one, or the one spelt out; -1 if none, -2 if several. */
static int choose(const struct gram_cands *c, const char *word)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (strcmp(c->c[i].word, word) == 0)
			return (int)i;
	}
	return c->n == 1 ? 0 : c->n == 0 ? -1 : -2;
}

static void narrow(struct cmd_set *s, unsigned i, const char *word)
{
	for (int c = 0; c < CTL_CMD_N; c++) {
		const char *w = "";
		size_t len = s->in[c] ? path_word((enum ctl_cmd)c, i, &w) : 0;
		s->in[c] = len > 0 && len == strlen(word) && strncmp(w, word, len) == 0;
	}
}

/* Several words begin so: all of them stay. */
static void narrow_begun(struct cmd_set *s, unsigned i, const char *prefix)
{
	for (int c = 0; c < CTL_CMD_N; c++) {
		const char *w = "";
		size_t len = s->in[c] ? path_word((enum ctl_cmd)c, i, &w) : 0;
		s->in[c] = len > 0 && begins(w, len, prefix);
	}
}

/* Does one word only stand at each of these positions? */
static bool decided(const struct cmd_set *s, unsigned from, unsigned to)
{
	struct gram_cands c;

	for (unsigned i = from; i <= to; i++) {
		options_at(s, i, "", &c);
		if (c.n > 1)
			return false;
	}
	return true;
}

/* The command whose path has exactly n words, or -1. */
static int whole(const struct cmd_set *s, unsigned n)
{
	for (int c = 0; c < CTL_CMD_N; c++) {
		if (s->in[c] && path_len((enum ctl_cmd)c) == n)
			return c;
	}
	return -1;
}

static bool used(const struct gram_match *m, const struct ctl_arg_def *a)
{
	for (unsigned i = 0; i < m->n_args; i++) {
		if (m->arg[i].def == a)
			return true;
	}
	return false;
}

/* A value's name in capitals. */
static size_t placeholder(const struct ctl_arg_def *a, char *buf, size_t size)
{
	size_t n = 0;

	for (; a->key[n] && n + 1 < size; n++)
		buf[n] = (char)toupper((unsigned char)a->key[n]);
	buf[n] = '\0';
	return n;
}

static void cand_value(struct gram_cands *c, const struct ctl_arg_def *a)
{
	char name[GRAM_WORD_MAX] = "";
	size_t len = placeholder(a, name, sizeof(name));

	cand_add(c, name, len, a->help, true);
}

/* The value that has to come before anything else is of use; NULL: there is none. */
static const struct ctl_arg_def *required_next(const struct gram_match *m)
{
	const struct ctl_arg_def *a;

	for (unsigned i = 0; (a = ctl_cmd_arg(m->cmd, i)) != NULL; i++) {
		if (a->required && !a->word && !used(m, a))
			return a;
	}
	return NULL;
}

/*
 * Arguments that may still come, as candidates: keywords that begin with prefix, and values when prefix is empty. Who
 * asks what can follow is told of the next required value alone.
 */
static void arg_options(const struct gram_match *m, const char *prefix, struct gram_cands *out)
{
	const struct ctl_arg_def *a;

	*out = (struct gram_cands){ 0 };
	a = *prefix ? NULL : required_next(m);
	if (a) {
		cand_value(out, a);
		return;
	}
	for (unsigned i = 0; (a = ctl_cmd_arg(m->cmd, i)) != NULL; i++) {
		const char *word = a->type == CTL_ARG_FLAG ? a->key : a->word;
		if (used(m, a))
			continue;
		if (word && begins(word, strlen(word), prefix))
			cand_add(out, word, strlen(word), a->help, false);
		else if (!word && !*prefix)
			cand_value(out, a);
	}
	if (ctl_cmd_takes_json(m->cmd) && !m->json && begins("json", 4, prefix))
		cand_add(out, "json", 4, json_help, false);
}

static void take(struct gram_match *m, const struct ctl_arg_def *a, int64_t num, const char *text)
{
	if (m->n_args == GRAM_ARGS_MAX)
		return;
	struct gram_value *v = &m->arg[m->n_args++];
	*v = (struct gram_value){ .def = a, .num = num };
	snprintf(v->text, sizeof(v->text), "%s", text);
}

static const struct ctl_arg_def *arg_by_word(const struct gram_match *m, const char *word)
{
	const struct ctl_arg_def *a;

	for (unsigned i = 0; (a = ctl_cmd_arg(m->cmd, i)) != NULL; i++) {
		const char *w = a->type == CTL_ARG_FLAG ? a->key : a->word;
		if (w && strcmp(w, word) == 0)
			return a;
	}
	return NULL;
}

static void wrong_value(struct gram_match *m, const struct ctl_arg_def *a, unsigned at)
{
	char want[100];

	m->status = GRAM_UNKNOWN;
	m->at = at;
	snprintf(m->why, sizeof(m->why), "%s must be %s", a->key, ctl_arg_want(a, want, sizeof(want)));
}

/* A value without a word before it. True when it was one. */
static bool bare_value(struct gram_match *m, const char *word)
{
	const struct ctl_arg_def *a = arg_by_word(m, word);
	int64_t num = 0;

	/* A name can be any word, but not one that means something here. */
	if ((a && !used(m, a)) || (ctl_cmd_takes_json(m->cmd) && !m->json && strcmp(word, "json") == 0))
		return false;
	for (unsigned i = 0; (a = ctl_cmd_arg(m->cmd, i)) != NULL; i++) {
		if (a->type == CTL_ARG_FLAG || a->word || used(m, a) || ctl_arg_parse(a, word, &num) < 0)
			continue;
		take(m, a, num, word);
		return true;
	}
	return false;
}

/* Words from `from` on are arguments of m->cmd. Leaves status OK, or says what is wrong. */
static void parse_args(const struct gram_line *line, unsigned from, unsigned n, struct gram_match *m)
{
	for (unsigned i = from; i < n; i++) {
		const struct ctl_arg_def *a;
		int64_t num = 0;
		if (bare_value(m, line->word[i]))
			continue;
		arg_options(m, line->word[i], &m->cands);
		int pick = choose(&m->cands, line->word[i]);
		m->at = i;
		if (pick < 0) {
			m->status = pick == -2 ? GRAM_AMBIGUOUS : GRAM_UNKNOWN;
			for (unsigned k = 0; pick == -1 && (a = ctl_cmd_arg(m->cmd, k)) != NULL; k++) {
				if (a->type != CTL_ARG_FLAG && !a->word && !used(m, a))
					wrong_value(m, a, i);
			}
			return;
		}
		a = arg_by_word(m, m->cands.c[pick].word);
		if (!a) {
			m->json = true;
		} else if (a->type == CTL_ARG_FLAG) {
			take(m, a, 1, a->key);
		} else if (i + 1 == n) {
			m->status = GRAM_INCOMPLETE;
			m->at = n;
			m->cands.n = 0;
			cand_value(&m->cands, a);
			return;
		} else if (ctl_arg_parse(a, line->word[i + 1], &num) < 0) {
			wrong_value(m, a, i + 1);
			return;
		} else {
			take(m, a, num, line->word[++i]);
		}
	}
	m->status = GRAM_OK;
	arg_options(m, "", &m->cands);
}

static bool required_missing(const struct gram_match *m)
{
	const struct ctl_arg_def *a;

	for (unsigned i = 0; (a = ctl_cmd_arg(m->cmd, i)) != NULL; i++) {
		if (a->required && !used(m, a))
			return true;
	}
	return false;
}

/*
 * Reads n words. A short word that several begin with is decided by those behind it, if they can. In *set what they may
 * mean; status OK when the path could be followed (cmd is then the whole command or CTL_CMD_N, if the path goes on).
 */
static void walk(const struct gram_line *line, unsigned n, struct cmd_set *set, struct gram_match *m)
{
	for (int c = 0; c < CTL_CMD_N; c++)
		set->in[c] = true;
	*m = (struct gram_match){ .status = GRAM_OK, .cmd = CTL_CMD_N };
	unsigned doubt = n; /* the first word that several begin with, and no later one has decided; n: none */
	for (unsigned i = 0; i < n; i++) {
		options_at(set, i, line->word[i], &m->cands);
		int pick = choose(&m->cands, line->word[i]);
		if (pick >= 0) {
			narrow(set, i, m->cands.c[pick].word);
			doubt = doubt < n && decided(set, doubt, i) ? n : doubt;
			continue;
		}
		if (pick == -2 && i + 1 < n) {
			narrow_begun(set, i, line->word[i]);
			doubt = doubt < n ? doubt : i;
			continue;
		}
		if (doubt < n)
			break;
		m->at = i;
		int cmd = pick == -1 ? whole(set, i) : -1;
		if (cmd >= 0) {
			m->cmd = (enum ctl_cmd)cmd;
			parse_args(line, i, n, m);
		} else {
			m->status = pick == -2 ? GRAM_AMBIGUOUS : GRAM_UNKNOWN;
		}
		return;
	}
	if (doubt < n) {
		m->status = GRAM_AMBIGUOUS;
		m->at = doubt;
		options_at(set, doubt, "", &m->cands);
		return;
	}
	int cmd = whole(set, n);
	options_at(set, n, "", &m->cands);
	if (cmd >= 0) {
		struct gram_cands args;
		m->cmd = (enum ctl_cmd)cmd;
		arg_options(m, "", &args);
		for (unsigned i = 0; i < args.n; i++)
			cand_add(&m->cands, args.c[i].word, strlen(args.c[i].word), args.c[i].help, args.c[i].value);
	}
}

void gram_parse(const struct gram_line *line, struct gram_match *out)
{
	struct cmd_set set;

	if (line->n == 0) {
		*out = (struct gram_match){ .status = GRAM_EMPTY, .cmd = CTL_CMD_N };
		return;
	}
	walk(line, line->n, &set, out);
	if (out->status == GRAM_OK && (out->cmd == CTL_CMD_N || required_missing(out))) {
		out->status = GRAM_INCOMPLETE;
		out->at = line->n;
	}
}

void gram_complete(const struct gram_line *line, struct gram_cands *out)
{
	unsigned n = line->open_end ? line->n : line->n - 1;
	const char *prefix = line->open_end ? "" : line->word[n];
	struct cmd_set set;
	struct gram_match m;

	walk(line, n, &set, &m);
	*out = (struct gram_cands){ 0 };
	if (m.status != GRAM_OK && m.status != GRAM_INCOMPLETE)
		return;
	for (unsigned i = 0; i < m.cands.n; i++) {
		const struct gram_cand *c = &m.cands.c[i];
		if (c->value ? !*prefix : begins(c->word, strlen(c->word), prefix))
			cand_add(out, c->word, strlen(c->word), c->help, c->value);
	}
	/* what was typed is no word that could stand here: perhaps it becomes a value */
	for (unsigned i = 0; *prefix && out->n == 0 && i < m.cands.n; i++) {
		if (m.cands.c[i].value)
			*out = (struct gram_cands){ .n = 1, .c = { m.cands.c[i] } };
	}
	out->complete = m.status == GRAM_OK && m.cmd != CTL_CMD_N && !*prefix && !required_missing(&m);
}

size_t gram_common(const struct gram_cands *c, char *buf, size_t size)
{
	size_t len = 0;
	bool first = true;

	buf[0] = '\0';
	for (unsigned i = 0; i < c->n; i++) {
		if (c->c[i].value)
			continue;
		if (first) {
			snprintf(buf, size, "%s", c->c[i].word);
			len = strlen(buf);
			first = false;
		}
		size_t same = 0;
		while (same < len && buf[same] == c->c[i].word[same])
			same++;
		len = same;
		buf[len] = '\0';
	}
	return len;
}

char *gram_syntax(enum ctl_cmd cmd, char *buf, size_t size)
{
	const struct ctl_arg_def *a;
	char name[GRAM_WORD_MAX];
	size_t n = (size_t)snprintf(buf, size, "%s", ctl_cmd_def(cmd)->path);

	for (unsigned i = 0; (a = ctl_cmd_arg(cmd, i)) != NULL && n < size; i++) {
		placeholder(a, name, sizeof(name));
		n += (size_t)snprintf(buf + n, size - n, " %s%s%s%s%s", a->required ? "" : "[", a->word ? a->word : "",
				      a->word ? " " : "", a->type == CTL_ARG_FLAG ? a->key : name,
				      a->required ? "" : "]");
	}
	if (ctl_cmd_takes_json(cmd) && n < size)
		snprintf(buf + n, size - n, " [json]");
	return buf;
}

const struct gram_value *gram_arg(const struct gram_match *m, const char *key)
{
	for (unsigned i = 0; i < m->n_args; i++) {
		if (strcmp(m->arg[i].def->key, key) == 0)
			return &m->arg[i];
	}
	return NULL;
}
