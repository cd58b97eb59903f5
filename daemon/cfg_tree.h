/*
 * Purpose: a configuration as a tree of records shaped by the schema table; readers fill it, the checker judges it, the
 *          printer writes it, and the model is built from it.
 * Owns:    struct cfg_tree owns its records, texts and file names.
 * Thread:  built on CONTROL; immutable afterwards.
 * In/Out:  each value knows where it was written, so that every message can name file and line.
 * Errors:  messages are collected in struct cfg_errors; allocation failure ends the process (start-up and reload only).
 */
#ifndef KT_CFG_TREE_H
#define KT_CFG_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "daemon/cfg.h"
#include "daemon/cfg_schema.h"

struct cfg_pos {
	const char *file; /* belongs to the tree */
	unsigned line;    /* 0: not written anywhere (a default) */
};

struct cfg_item {
	struct cfg_pos at;
	char *text;
};

struct cfg_rec;

struct cfg_val {
	const struct cfg_key *key;
	unsigned row;
	struct cfg_pos at;
	bool given;
	bool bad;               /* written, but not usable: complained about already */
	int64_t num;            /* bool, int, ns, word index, word bits; records: "auto" */
	char *text;             /* text types; NULL: neither given nor defaulted */
	struct cfg_item *items; /* lists of texts */
	struct cfg_rec *recs;   /* block: 1, or 0 when optional and absent; records: any number */
	unsigned n;             /* items or recs */
};

struct cfg_rec {
	int section; /* row of the block or list; -1: the file */
	struct cfg_pos at;
	struct cfg_val *vals;
	unsigned n_vals;
	const struct cfg_rec *up;
};

struct cfg_tree {
	struct cfg_rec root;
	char *file; /* the main file */
	char **files;
	unsigned n_files;
	bool shared; /* an address, route or rule may stand in several virtual routers, as in keepalived */
};

/* An empty tree: every key has its default, required keys have nothing. */
struct cfg_tree *cfg_tree_new(const char *file);
void cfg_tree_free(struct cfg_tree *t);
/* The tree's own copy of a file name. NULL stands for the main file. */
const char *cfg_tree_file(struct cfg_tree *t, const char *name);
/* The value of a key; the key must be one of the record's section. */
struct cfg_val *cfg_rec_val(const struct cfg_rec *r, const char *name);
/* The text of a usable key; NULL: not given, or complained about. */
const char *cfg_rec_text(const struct cfg_rec *r, const char *name);
/* The value of a key in a block of the file; NULL where the block is absent. */
const struct cfg_val *cfg_section_val(const struct cfg_tree *t, const char *section, const char *name);
/* Makes a section exist with n records of defaults (n = 1 for a block). The records' positions are `at`. */
void cfg_val_make(struct cfg_val *v, const struct cfg_rec *up, unsigned n, struct cfg_pos at);
/* Appends a record of defaults to a list that began empty. Earlier records move: pointers to them do not last. */
struct cfg_rec *cfg_val_push(struct cfg_val *v, const struct cfg_rec *up, struct cfg_pos at);
/* Takes the last record of such a list away again. */
void cfg_val_pop(struct cfg_val *v);
/* Appends a text to a list. */
void cfg_val_add_item(struct cfg_val *v, const char *text, struct cfg_pos at);
/* Replaces the text. */
void cfg_val_set_text(struct cfg_val *v, const char *text);
/* The names of a list's records, for many questions; it lives as long as the list stays as it is. */
struct cfg_names;
struct cfg_names *cfg_names_new(const struct cfg_val *list);
/* The number of the first record of this name, or -1. */
int cfg_names_find(const struct cfg_names *n, const char *name);
void cfg_names_free(struct cfg_names *n);
/* The path of a value for messages: "vrrp.instances[lan].vrid"; records are named by their name or number. */
char *cfg_val_path(const struct cfg_rec *r, const char *name, char *buf, size_t size);

enum cfg_grade { CFG_ERROR = 0, CFG_WARNING, CFG_MISSING, CFG_NOTE };
/* Adds one complete line. A NULL errs only drops the text. */
void cfg_errors_add(struct cfg_errors *errs, enum cfg_grade grade, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * Adds "file:line: path = value: ...". Position and value are those of key `name` of r, or of the record if the key was
 * not written.
 */
void cfg_complain(struct cfg_errors *errs, enum cfg_grade grade, const struct cfg_tree *t, const struct cfg_rec *r,
		  const char *name, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The same for element i of a list of texts. */
void cfg_complain_item(struct cfg_errors *errs, const struct cfg_rec *r, const char *name, unsigned i, const char *fmt,
		       ...) __attribute__((format(printf, 5, 6)));

/* Complains about required keys that were not written, also in blocks that were not. */
void cfg_rec_required(const struct cfg_tree *t, const struct cfg_rec *rec, struct cfg_errors *errs);
/* Meaning: everything that a single value cannot show. Appends to errs; returns the number of errors added. */
unsigned cfg_check(const struct cfg_tree *t, struct cfg_errors *errs);
/* The policy of `sync`: what contradicts itself. */
void cfg_check_sync(const struct cfg_tree *t, struct cfg_errors *errs);
/* Its part about ipsec and hooks, and the building of these. vips: every virtual address, in the order of addr_cmp. */
void cfg_check_ike(const struct cfg_tree *t, const struct addr *vips, unsigned n_vips, struct cfg_errors *errs);
void cfg_build_ike(struct cfg *c, const struct cfg_tree *t);
/* Its part about routes and rules, and the building of these. */
void cfg_check_routes(const struct cfg_tree *t, struct cfg_errors *errs);
void cfg_build_routes(struct cfg *c, const struct cfg_tree *t);
/* The names of routing tables that iproute2's files have; and whether a text is a route or rule that can be used. */
struct cfg_tables;
struct cfg_tables *cfg_tables_new(void);
void cfg_tables_free(struct cfg_tables *t);
bool cfg_route_ok(const struct cfg_tables *t, bool rule, const char *text, uint8_t af, char *why);
/* Warns of programs that are not there or not safe to run. May sleep. */
void cfg_audit(const struct cfg *c, struct cfg_errors *errs);
/* The building and freeing of what is told to whom (cfg_check.h has its checks). */
void cfg_build_notify(struct cfg *c, const struct cfg_tree *t);
void cfg_free_notify(struct cfg *c);
/* Its part about what is tracked, and the building of that, when instances and groups are there. */
void cfg_check_track(const struct cfg_tree *t, struct cfg_errors *errs);
void cfg_build_track(struct cfg *c, const struct cfg_tree *t);
/* The model of a checked tree, which passes to it. */
struct cfg *cfg_build(struct cfg_tree *t);
/* Canonical text of one top-level section or of all (NULL). */
void cfg_tree_print(const struct cfg_tree *t, const char *section, FILE *out);
/* The same without every key of this name, in whatever depth. */
void cfg_tree_print_but(const struct cfg_tree *t, const char *section, const char *but, FILE *out);
/* What was written in the file, without what follows from defaults. */
void cfg_tree_print_given(const struct cfg_tree *t, FILE *out);
/* A value that is neither block nor list of records, as it is written. */
void cfg_val_print(const struct cfg_val *v, FILE *out);
/*
 * What all nodes share, one "conf.PATH=value" line for each key: at most CFG_FLAT_MAX bytes. Secrets are left out. What
 * is larger has one line with a hash for each record instead; what is larger still has none. malloc.
 */
#define CFG_FLAT_MAX (40u << 10)
char *cfg_flat(const struct cfg_tree *t);

/* The libconfig reader: appends to errs. A tree even with meaning errors; NULL if the text cannot be read at all. */
struct cfg_tree *cfg_tree_read_file(const char *path, struct cfg_errors *errs);
/* The reader that the file, or the command line, asks for. */
struct cfg_tree *cfg_tree_read_as(const char *path, const struct cfg_how *how, struct cfg_errors *errs);
struct cfg_tree *cfg_tree_read_text(const char *text, const char *file, struct cfg_errors *errs);

#endif
