/* The canonical form of a configuration, and the man page part made from the schema. */
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/cfg_tree.h"

struct how {
	const char *but; /* name of keys that are left out, or NULL */
	bool given_only; /* defaults are left out */
};

static void print_rec(const struct cfg_rec *r, unsigned depth, const struct how *how, FILE *out);

static void indent(unsigned depth, FILE *out)
{
	for (unsigned i = 0; i < depth; i++)
		fputs("  ", out);
}

/* A libconfig string: quotes and backslashes escaped, control bytes as \xNN. */
static void print_text(const char *s, FILE *out)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

static void print_items(const struct cfg_val *v, FILE *out)
{
	fputs("(", out);
	for (unsigned i = 0; i < v->n; i++) {
		fputs(i ? ", " : " ", out);
		print_text(v->items[i].text, out);
	}
	fputs(" )", out);
}

static void print_words(const struct cfg_val *v, FILE *out)
{
	bool any = false;

	fputs("(", out);
	for (int i = 0; v->key->words[i]; i++) {
		if (!(v->num >> i & 1))
			continue;
		fprintf(out, "%s\"%s\"", any ? ", " : " ", v->key->words[i]);
		any = true;
	}
	fputs(" )", out);
}

/* A record of which only the first key is set may stand as that key's text. */
static bool is_short(const struct cfg_val *list, const struct cfg_rec *r)
{
	if (!(list->key->flags & CFG_F_SHORT))
		return false;
	for (unsigned i = 1; i < r->n_vals; i++) {
		if (r->vals[i].given)
			return false;
	}
	return true;
}

static void print_records(const struct cfg_val *v, unsigned depth, const struct how *how, FILE *out)
{
	fputs("(", out);
	for (unsigned i = 0; i < v->n; i++) {
		fputs(i ? ",\n" : "\n", out);
		indent(depth + 1, out);
		if (is_short(v, &v->recs[i])) {
			print_text(v->recs[i].vals[0].text ? v->recs[i].vals[0].text : "", out);
			continue;
		}
		fputs("{\n", out);
		print_rec(&v->recs[i], depth + 2, how, out);
		indent(depth + 1, out);
		fputs("}", out);
	}
	if (v->n) {
		fputc('\n', out);
		indent(depth, out);
	} else {
		fputc(' ', out);
	}
	fputs(")", out);
}

static void print_value(const struct cfg_val *v, unsigned depth, const struct how *how, FILE *out)
{
	char buf[40];

	switch (v->key->type) {
	case CFG_T_BLOCK:
		fputs("{\n", out);
		print_rec(&v->recs[0], depth + 1, how, out);
		indent(depth, out);
		fputs("}", out);
		break;
	case CFG_T_RECORDS:
		if (v->num)
			fputs("\"auto\"", out);
		else
			print_records(v, depth, how, out);
		break;
	case CFG_T_BOOL:
		fputs(v->num ? "true" : "false", out);
		break;
	case CFG_T_INT:
		fprintf(out, "%lld", (long long)v->num);
		break;
	case CFG_T_TIME:
		fputs(cfg_time_text(v->num, buf, sizeof(buf)), out);
		break;
	case CFG_T_WORD:
		print_text(v->key->words[v->num], out);
		break;
	case CFG_T_NAME:
	case CFG_T_IFNAME:
	case CFG_T_TEXT:
	case CFG_T_PATH:
	case CFG_T_ADDR:
	case CFG_T_PREFIX:
		print_text(v->text ? v->text : "", out);
		break;
	case CFG_T_NAMES:
	case CFG_T_ADDRS:
	case CFG_T_ARGV:
		print_items(v, out);
		break;
	case CFG_T_WORDS:
		print_words(v, out);
		break;
	}
}

void cfg_val_print(const struct cfg_val *v, FILE *out)
{
	static const struct how all;
	print_value(v, 0, &all, out);
}

/* The value, or something in it, was written in a file. */
static bool says_something(const struct cfg_val *v)
{
	if (v->key->type != CFG_T_BLOCK)
		return v->given;
	for (unsigned i = 0; v->n && i < v->recs[0].n_vals; i++)
		if (says_something(&v->recs[0].vals[i]))
			return true;
	return v->given && (v->key->flags & CFG_F_OPTIONAL);
}

/* Everything is written, defaults too; only what means something by its absence stays absent. */
static void print_val(const struct cfg_val *v, unsigned depth, const struct how *how, FILE *out)
{
	if (((v->key->flags & CFG_F_OPTIONAL) && !v->given) || (how->given_only && !says_something(v)) ||
	    (how->but && strcmp(cfg_schema_name(v->row), how->but) == 0))
		return;
	indent(depth, out);
	fprintf(out, "%s = ", cfg_schema_name(v->row));
	print_value(v, depth, how, out);
	fputs(";\n", out);
}

static void print_rec(const struct cfg_rec *r, unsigned depth, const struct how *how, FILE *out)
{
	for (unsigned i = 0; i < r->n_vals; i++)
		print_val(&r->vals[i], depth, how, out);
}

static void print_tree(const struct cfg_tree *t, const char *section, const struct how *how, FILE *out)
{
	if (section)
		print_val(cfg_rec_val(&t->root, section), 0, how, out);
	else
		print_rec(&t->root, 0, how, out);
}

void cfg_tree_print_but(const struct cfg_tree *t, const char *section, const char *but, FILE *out)
{
	print_tree(t, section, &(struct how){ .but = but }, out);
}

void cfg_tree_print_given(const struct cfg_tree *t, FILE *out)
{
	print_tree(t, NULL, &(struct how){ .given_only = true }, out);
}

void cfg_tree_print(const struct cfg_tree *t, const char *section, FILE *out)
{
	cfg_tree_print_but(t, section, NULL, out);
}

void cfg_print(const struct cfg *c, FILE *out)
{
	cfg_tree_print(c->tree, NULL, out);
}

/* Text in a man page: a line must not begin with a control character, and a backslash is an escape. */
static void mdoc_text(const char *s, FILE *out)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else
			fputc(*s, out);
	}
}

static void mdoc_row(unsigned r, FILE *out)
{
	const struct cfg_key *k = cfg_schema_row(r);
	char want[200];

	fprintf(out, ".It Ic %s\n", k->path);
	mdoc_text(k->help, out);
	fputs(".\n", out);
	if (k->type == CFG_T_BLOCK) {
		if (k->flags & CFG_F_OPTIONAL)
			fputs("Optional.\n", out);
		return;
	}
	fputs("Value: ", out);
	mdoc_text(cfg_schema_want(k, want, sizeof(want)), out);
	fputs(".\n", out);
	if (k->flags & CFG_F_REQUIRED)
		fputs("Required.\n", out);
	else if (k->def) {
		fputs("Default: ", out);
		mdoc_text(k->def, out);
		fprintf(out, "%s%s.\n", k->unit ? " " : "", k->unit ? k->unit : "");
	}
}

void cfg_schema_print_mdoc(FILE *out)
{
	static const char *const titles[] = { "LOCAL OPTIONS", "SHARED OPTIONS" };

	for (int scope = CFG_SCOPE_LOCAL; scope <= CFG_SCOPE_SHARED; scope++) {
		fprintf(out, ".Sh %s\n", titles[scope]);
		fputs(scope == CFG_SCOPE_LOCAL
			  ? "These belong to one node and may differ between the nodes.\n"
			  : "These must be equal on all nodes of a cluster; the nodes compare them.\n",
		      out);
		fputs(".Bl -tag -width Ds\n", out);
		for (unsigned r = 0; r < cfg_schema_rows(); r++) {
			if ((int)cfg_schema_scope(r) == scope)
				mdoc_row(r, out);
		}
		fputs(".El\n", out);
	}
}
