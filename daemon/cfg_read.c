/* The libconfig reader: text -> tree. Judges each value alone; cfg_check judges them together. */
#include <fcntl.h>
#include <libconfig.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/cfg_text.h"
#include "daemon/cfg_tree.h"
#include "daemon/dropin/dconf_io.h"
#include "daemon/dropin/kconf_map.h"
#include "daemon/dropin/kconf_words.h"

struct reader {
	struct cfg_tree *tree;
	const struct cfg_text *text;
	struct cfg_errors *errs;
};

static void read_rec(struct reader *rd, struct cfg_rec *rec, config_setting_t *s);

static struct cfg_pos where(struct reader *rd, const config_setting_t *s)
{
	struct cfg_pos at;

	at.file = cfg_tree_file(rd->tree, cfg_text_where(rd->text, config_setting_source_line(s), &at.line));
	return at;
}

/* What the file says, for messages. */
static char *shown(const config_setting_t *s, char *buf, size_t size)
{
	double d;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(buf, size, "%lld", config_setting_get_int64(s));
		break;
	case CONFIG_TYPE_FLOAT:
		d = config_setting_get_float(s);
		snprintf(buf, size, "%.12g%s", d, isfinite(d) && d == rint(d) && fabs(d) < 1e12 ? ".0" : "");
		break;
	case CONFIG_TYPE_STRING:
		snprintf(buf, size, "\"%.100s\"", config_setting_get_string(s));
		break;
	case CONFIG_TYPE_BOOL:
		snprintf(buf, size, "%s", config_setting_get_bool(s) ? "true" : "false");
		break;
	case CONFIG_TYPE_GROUP:
		snprintf(buf, size, "{ ... }");
		break;
	case CONFIG_TYPE_ARRAY:
		snprintf(buf, size, "[ ... ]");
		break;
	default:
		snprintf(buf, size, "( ... )");
		break;
	}
	return buf;
}

/* "file:line: path = value: what" for a value that cannot be used. */
static void refuse(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, const config_setting_t *s,
		   const char *what)
{
	char path[220], value[140], want[200];
	struct cfg_pos at = where(rd, s);

	v->bad = true;
	cfg_errors_add(rd->errs, CFG_ERROR, "%s:%u: %s = %s: %s; it must be %s", at.file, at.line,
		       cfg_val_path(rec, cfg_schema_name(v->row), path, sizeof(path)), shown(s, value, sizeof(value)),
		       what, cfg_schema_want(v->key, want, sizeof(want)));
}

static void refuse_count(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, const config_setting_t *s,
			 int n)
{
	char path[220];
	struct cfg_pos at = where(rd, s);

	v->bad = true;
	cfg_errors_add(rd->errs, CFG_ERROR, "%s:%u: %s: %d entries; it must have %lld to %lld", at.file, at.line,
		       cfg_val_path(rec, cfg_schema_name(v->row), path, sizeof(path)), n, (long long)v->key->min,
		       (long long)v->key->max);
}

/* A number as written, in the unit of the tree. False: wrong type. */
static bool number(const struct cfg_key *k, const config_setting_t *s, double *out)
{
	int type = config_setting_type(s);
	double scale = k->type == CFG_T_TIME ? (double)NS_PER_SEC : 1;

	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		*out = (double)config_setting_get_int64(s) * scale;
	else if (type == CONFIG_TYPE_FLOAT && k->type == CFG_T_TIME)
		*out = config_setting_get_float(s) * scale;
	else
		return false;
	return true;
}

static void read_number(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, const config_setting_t *s)
{
	double d;

	if (!number(v->key, s, &d))
		refuse(rd, rec, v, s, "wrong type");
	else if (!(d >= (double)v->key->min - 0.5 && d <= (double)v->key->max + 0.5))
		refuse(rd, rec, v, s, "out of range");
	else
		v->num = llround(d);
}

/* Addresses are kept in their canonical form, so that two spellings are one value. */
static void canonical_text(const struct cfg_key *k, const char *in, char *out, size_t size)
{
	struct addr a;
	uint8_t plen;
	char text[ADDR_TEXT_MAX];

	if (k->type == CFG_T_PREFIX && addr_parse_prefix(in, &a, &plen))
		snprintf(out, size, "%s/%u", addr_text(&a, text), plen);
	else if ((k->type == CFG_T_ADDR || k->type == CFG_T_ADDRS) && addr_parse(in, &a))
		snprintf(out, size, "%s", addr_text(&a, text));
	else
		snprintf(out, size, "%s", in);
}

static void read_text(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, const config_setting_t *s)
{
	const char *in = config_setting_get_string(s);
	char text[256];

	if (config_setting_type(s) != CONFIG_TYPE_STRING || !in) {
		refuse(rd, rec, v, s, "wrong type");
	} else if (!cfg_schema_text_ok(v->key, in)) {
		refuse(rd, rec, v, s, "not valid");
	} else {
		canonical_text(v->key, in, text, sizeof(text));
		cfg_val_set_text(v, text);
	}
}

static void read_word(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, const config_setting_t *s)
{
	const char *in = config_setting_get_string(s);
	char what[80];

	if (config_setting_type(s) != CONFIG_TYPE_STRING || !in) {
		refuse(rd, rec, v, s, "wrong type");
		return;
	}
	int w = cfg_schema_word(v->key, in);
	if (w >= 0) {
		v->num = w;
		return;
	}
	const char *near = cfg_schema_word_nearest(v->key, in);
	snprintf(what, sizeof(what), near ? "unknown word, did you mean \"%s\"?" : "unknown word", near);
	refuse(rd, rec, v, s, what);
}

static bool is_list(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_LIST || config_setting_type(s) == CONFIG_TYPE_ARRAY;
}

static void read_list(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, config_setting_t *s)
{
	int n = is_list(s) ? config_setting_length(s) : 0;

	if (!is_list(s)) {
		refuse(rd, rec, v, s, "wrong type");
		return;
	}
	if (v->key->type == CFG_T_WORDS)
		v->num = 0;
	for (int i = 0; i < n; i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const char *in = config_setting_type(e) == CONFIG_TYPE_STRING ? config_setting_get_string(e) : NULL;
		char text[256];
		if (!in || !cfg_schema_text_ok(v->key, in)) {
			refuse(rd, rec, v, e, in ? "an entry is not valid" : "an entry has the wrong type");
		} else if (v->key->type == CFG_T_WORDS) {
			int64_t bit = INT64_C(1) << cfg_schema_word(v->key, in);
			if (v->num & bit)
				refuse(rd, rec, v, e, "the word stands there twice");
			v->num |= bit;
		} else if (v->key->type == CFG_T_ARGV) {
			cfg_val_add_item(v, in, where(rd, e));
		} else {
			canonical_text(v->key, in, text, sizeof(text));
			cfg_val_add_item(v, text, where(rd, e));
		}
	}
	if (n < v->key->min || n > v->key->max)
		refuse_count(rd, rec, v, s, n);
}

static void read_records(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, config_setting_t *s)
{
	int n = is_list(s) ? config_setting_length(s) : 0;

	if ((v->key->flags & CFG_F_AUTO) && config_setting_type(s) == CONFIG_TYPE_STRING) {
		v->num = strcmp(config_setting_get_string(s), "auto") == 0;
		if (!v->num)
			refuse(rd, rec, v, s, "unknown word");
		return;
	}
	if (!is_list(s)) {
		refuse(rd, rec, v, s, "wrong type");
		return;
	}
	if (n < v->key->min || n > v->key->max)
		refuse_count(rd, rec, v, s, n);
	if (n > CFG_GROUPS_MAX)
		return;
	cfg_val_make(v, rec, (unsigned)n, where(rd, s));
	for (int i = 0; i < n; i++) {
		config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		struct cfg_rec *r = &v->recs[i];
		r->at = where(rd, e);
		if (config_setting_type(e) == CONFIG_TYPE_GROUP) {
			read_rec(rd, r, e);
		} else if ((v->key->flags & CFG_F_SHORT) && config_setting_type(e) == CONFIG_TYPE_STRING) {
			r->vals[0].given = true;
			r->vals[0].at = r->at;
			read_text(rd, r, &r->vals[0], e);
		} else {
			refuse(rd, rec, v, e, "an entry has the wrong type");
		}
	}
}

static void read_block(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, config_setting_t *s)
{
	if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
		refuse(rd, rec, v, s, "wrong type");
		return;
	}
	cfg_val_make(v, rec, 1, where(rd, s));
	read_rec(rd, &v->recs[0], s);
}

static void read_val(struct reader *rd, const struct cfg_rec *rec, struct cfg_val *v, config_setting_t *s)
{
	v->given = true;
	v->at = where(rd, s);
	switch (v->key->type) {
	case CFG_T_BLOCK:
		read_block(rd, rec, v, s);
		break;
	case CFG_T_RECORDS:
		read_records(rd, rec, v, s);
		break;
	case CFG_T_BOOL:
		if (config_setting_type(s) == CONFIG_TYPE_BOOL)
			v->num = config_setting_get_bool(s);
		else
			refuse(rd, rec, v, s, "wrong type");
		break;
	case CFG_T_INT:
	case CFG_T_TIME:
		read_number(rd, rec, v, s);
		break;
	case CFG_T_WORD:
		read_word(rd, rec, v, s);
		break;
	case CFG_T_NAME:
	case CFG_T_IFNAME:
	case CFG_T_TEXT:
	case CFG_T_PATH:
	case CFG_T_ADDR:
	case CFG_T_PREFIX:
		read_text(rd, rec, v, s);
		break;
	case CFG_T_NAMES:
	case CFG_T_ADDRS:
	case CFG_T_WORDS:
	case CFG_T_ARGV:
		read_list(rd, rec, v, s);
		break;
	}
}

static void unknown_key(struct reader *rd, const struct cfg_rec *rec, const config_setting_t *s)
{
	const char *name = config_setting_name(s);
	int near = cfg_schema_nearest(rec->section, name);
	struct cfg_pos at = where(rd, s);
	char path[220], value[140], known[200] = "";
	size_t n = 0;

	for (int r = cfg_schema_child_next(rec->section, -1); near < 0 && r >= 0 && n < sizeof(known);
	     r = cfg_schema_child_next(rec->section, r))
		n +=
		    (size_t)snprintf(known + n, sizeof(known) - n, "%s %s", n ? "," : "", cfg_schema_name((unsigned)r));
	if (near >= 0)
		snprintf(known, sizeof(known), " did you mean %s?", cfg_schema_name((unsigned)near));
	cfg_errors_add(rd->errs, CFG_ERROR, "%s:%u: %s = %s: unknown key;%s%s", at.file, at.line,
		       cfg_val_path(rec, name, path, sizeof(path)), shown(s, value, sizeof(value)),
		       near >= 0 ? "" : " known here are", known);
}

void cfg_rec_required(const struct cfg_tree *t, const struct cfg_rec *rec, struct cfg_errors *errs)
{
	char want[200], path[220];

	for (unsigned i = 0; i < rec->n_vals; i++) {
		const struct cfg_val *v = &rec->vals[i];
		if (v->key->type == CFG_T_BLOCK && !v->given && v->n)
			cfg_rec_required(t, &v->recs[0], errs);
		if (v->given || !(v->key->flags & CFG_F_REQUIRED))
			continue;
		struct cfg_pos at = rec->at;
		for (const struct cfg_rec *up = rec->up; !at.line && up; up = up->up)
			at = up->at;
		cfg_errors_add(errs, CFG_ERROR, "%s:%u: %s: is missing; it must be %s", at.file ? at.file : t->file,
			       at.line, cfg_val_path(rec, cfg_schema_name(v->row), path, sizeof(path)),
			       cfg_schema_want(v->key, want, sizeof(want)));
	}
}

static void read_rec(struct reader *rd, struct cfg_rec *rec, config_setting_t *s)
{
	int n = config_setting_length(s);

	/* The name first, so that messages about the other keys can say whose they are. */
	config_setting_t *named = config_setting_get_member(s, "name");
	if (named && cfg_schema_child(rec->section, "name") >= 0)
		read_val(rd, rec, cfg_rec_val(rec, "name"), named);
	for (int i = 0; i < n; i++) {
		config_setting_t *m = config_setting_get_elem(s, (unsigned)i);
		if (cfg_schema_child(rec->section, config_setting_name(m)) < 0)
			unknown_key(rd, rec, m);
		else if (m != named)
			read_val(rd, rec, cfg_rec_val(rec, config_setting_name(m)), m);
	}
	cfg_rec_required(rd->tree, rec, rd->errs);
}

/* A text that libconfig cannot read: where, and what is likely wrong. */
static void syntax_error(const struct cfg_text *text, const config_t *conf, struct cfg_errors *errs)
{
	unsigned line;
	int at = config_error_line(conf);
	const char *file = cfg_text_where(text, at > 0 ? (unsigned)at : 1, &line);
	const char *what = config_error_text(conf) ? config_error_text(conf) : "cannot be read";

	if (strstr(what, "duplicate"))
		cfg_errors_add(errs, CFG_ERROR, "%s:%u: the key stands twice in its block; keep one of them", file,
			       line);
	else if (at >= (int)text->n_lines)
		cfg_errors_add(
		    errs, CFG_ERROR,
		    "%s:%u: %s: the file ends too early (is it cut off?); a '}', ')', '\"' or ';' is missing", file,
		    line, what);
	else
		cfg_errors_add(errs, CFG_ERROR,
			       "%s:%u: %s: on this line, or a ';', '}', ')' or ',' is missing before it", file, line,
			       what);
}

static struct cfg_tree *read_text_all(const struct cfg_text *text, const char *file, struct cfg_errors *errs)
{
	struct reader rd = { .text = text, .errs = errs };
	config_t conf;

	config_init(&conf);
	if (config_read_string(&conf, text->text ? text->text : "") != CONFIG_TRUE) {
		syntax_error(text, &conf, errs);
	} else if (config_setting_length(config_root_setting(&conf)) == 0) {
		cfg_errors_add(errs, CFG_ERROR,
			       "%s:1: the file is empty; at least vrrp = { instances = ( ... ); }; is needed", file);
	} else {
		rd.tree = cfg_tree_new(file);
		read_rec(&rd, &rd.tree->root, config_root_setting(&conf));
	}
	config_destroy(&conf);
	return rd.tree;
}

struct cfg_tree *cfg_tree_read_file(const char *path, struct cfg_errors *errs)
{
	struct cfg_text text;
	struct cfg_tree *tree = NULL;

	if (cfg_text_file(&text, path, errs))
		tree = read_text_all(&text, path, errs);
	cfg_text_free(&text);
	return tree;
}

struct cfg_tree *cfg_tree_read_text(const char *in, const char *file, struct cfg_errors *errs)
{
	struct cfg_text text;
	struct cfg_tree *tree = NULL;

	if (cfg_text_string(&text, in, file, errs))
		tree = read_text_all(&text, file, errs);
	cfg_text_free(&text);
	return tree;
}

static struct cfg *finish(struct cfg_tree *tree, struct cfg_errors *errs)
{
	if (tree)
		cfg_check(tree, errs);
	if (!tree || errs->n) {
		cfg_tree_free(tree);
		return NULL;
	}
	struct cfg *c = cfg_build(tree);
	memcpy(c->not_served, errs->not_served, sizeof(c->not_served));
	return c;
}

void cfg_put_aside(struct cfg *c, const char *place)
{
	bool in_run = false;
	if (!cfg_section_val(c->tree, "node", "run_dir")->given) {
		char *dir = c->run_dir;
		size_t len = strlen(dir);
		in_run = true;
		snprintf(dir + len, sizeof(c->run_dir) - len, "/%s", place);
	}
	if (!cfg_section_val(c->tree, "node", "state_dir")->given) {
		size_t len = strlen(c->state_dir);
		snprintf(c->state_dir + len, sizeof(c->state_dir) - len, "/%s", place);
	}
	if (in_run && !cfg_section_val(c->tree, "control", "socket")->given)
		snprintf(c->ctl_socket, sizeof(c->ctl_socket), "%.90s/ctl.sock", c->run_dir);
}

/* By its name, else by what stands in it. */
static bool is_keepalived(const char *path)
{
	const char *base = strrchr(path, '/');
	char text[4096];
	struct stat st;

	base = base ? base + 1 : path;
	if (strcmp(base, "keepalived.conf") == 0)
		return true;
	/* A pipe would be waited for; the reader refuses it by its kind. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = -1;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return kconf_looks_like(text);
}

struct cfg_tree *cfg_tree_read_as(const char *path, const struct cfg_how *how, struct cfg_errors *errs)
{
	const struct kconf_opts o = { .config_id = how->config_id,
				      .env = (const char *const *)environ,
				      .include_check = how->all_includes ? KCONF_CHECK_ALL : 0,
				      .blocks = kword_blocks(),
				      .cluster = how->conntrackd != NULL };

	switch (how->format) {
	case CFG_FORMAT_NATIVE:
		return cfg_tree_read_file(path, errs);
	case CFG_FORMAT_KEEPALIVED:
		return kconf_tree_file(path, &o, errs);
	case CFG_FORMAT_BY_FILE:
		break;
	}
	return is_keepalived(path) ? kconf_tree_file(path, &o, errs) : cfg_tree_read_file(path, errs);
}

struct cfg *cfg_load_as(const char *path, const struct cfg_how *how, struct cfg_errors *errs)
{
	struct cfg_tree *tree = path ? cfg_tree_read_as(path, how, errs) : cfg_tree_new(how->conntrackd);
	struct dconf_proc proc;
	errs->n_read = errs->n_warnings;
	if (tree && how->conntrackd)
		cfg_read_conntrackd(tree, how->conntrackd, how->found, &proc, errs);
	struct cfg *c = finish(tree, errs);
	if (c && how->conntrackd) {
		c->conntrackd = malloc(sizeof(proc));
		require(c->conntrackd);
		*c->conntrackd = proc;
	}
	if (c)
		cfg_audit(c, errs);
	if (c && how->namespace)
		snprintf(c->namespace, sizeof(c->namespace), "%s", how->namespace);
	if (c && how->place)
		cfg_put_aside(c, how->place);
	return c;
}

struct cfg *cfg_load(const char *path, struct cfg_errors *errs)
{
	static const struct cfg_how by_file;
	return cfg_load_as(path, &by_file, errs);
}

struct cfg *cfg_parse(const char *text, const char *file, struct cfg_errors *errs)
{
	return finish(cfg_tree_read_text(text, file, errs), errs);
}
