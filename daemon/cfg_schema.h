/*
 * Purpose: the one table of everything that can be configured: path, type, range, default, unit, scope and help.
 * Owns:    nothing; static const data.
 * Thread:  any (pure).
 * In/Out:  rows are addressed by index; the reader, the checker, the printer, the man page and ktsh help read them.
 * Errors:  a lookup that finds nothing returns -1.
 *
 * Rows stand depth first: a block or list is followed by the rows of its keys. A path names a list's records by "[]":
 * "vrrp.instances" is the list, "vrrp.instances[].vrid" a key of each record.
 */
#ifndef KT_CFG_SCHEMA_H
#define KT_CFG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfg_type {
	CFG_T_BLOCK = 0, /* { ... } */
	CFG_T_RECORDS,   /* ( { ... }, ... ); min and max count records */
	CFG_T_BOOL,
	CFG_T_INT,
	CFG_T_TIME,   /* seconds in the file, ns in the tree; min, max in ns */
	CFG_T_WORD,   /* one of words[]; the tree holds its index */
	CFG_T_NAME,   /* letters, digits, '.', '_', '-'; max: longest length */
	CFG_T_IFNAME, /* a network interface's name, at most 15 bytes */
	CFG_T_TEXT,   /* any text without control characters; max: longest length */
	CFG_T_PATH,   /* absolute; max: longest length */
	CFG_T_ADDR,   /* IPv4 or IPv6 address */
	CFG_T_PREFIX, /* ADDRESS/LENGTH */
	CFG_T_NAMES,  /* list of names; min and max count them */
	CFG_T_ADDRS,  /* list of addresses */
	CFG_T_WORDS,  /* list of words; the tree holds a bit set */
	CFG_T_ARGV,   /* program and arguments; the first is an absolute path */
};

enum {
	CFG_F_REQUIRED = 1, /* must be given */
	CFG_F_OPTIONAL = 2, /* absence means something by itself: not filled with a default, not printed */
	CFG_F_SHORT = 4,    /* list records: a bare string stands for a record with only its first key */
	CFG_F_WIDE = 16,    /* name: any visible characters but quotes and backslashes */
	CFG_F_AUTO = 8,     /* list of records: the word "auto" may stand for it; the tree holds 1 then */
};

enum cfg_scope { CFG_SCOPE_LOCAL = 0, CFG_SCOPE_SHARED = 1 };

struct cfg_key {
	const char *path;
	enum cfg_type type;
	unsigned flags;
	int64_t min, max;
	const char *def;  /* as it would be written; NULL: none. Word lists: words with a blank between */
	const char *unit; /* NULL: none */
	const char *const *words;
	const char *help; /* one or two sentences, no final full stop */
};

/* Rows in the table. */
unsigned cfg_schema_rows(void);
/* Row r; r < cfg_schema_rows(). */
const struct cfg_key *cfg_schema_row(unsigned r);
/* Last word of the path: "vrid". Static storage. */
const char *cfg_schema_name(unsigned r);
/* LOCAL for everything below `node`, else SHARED. */
enum cfg_scope cfg_schema_scope(unsigned r);
/*
 * The children of a section, one after the other: prev = -1 begins; -1 is returned after the last one. section = -1 is
 * the file itself.
 */
int cfg_schema_child_next(int section, int prev);
/* The row of key `name` in the section, or -1. */
int cfg_schema_child(int section, const char *name);
/* The row of a path as it stands in the table, or -1. */
int cfg_schema_find(const char *path);
/* The known key of the section that looks most like name, or -1 if none is near (edit distance above 1 + len / 3). */
int cfg_schema_nearest(int section, const char *name);
/* The index of text in the words of k, or -1. */
int cfg_schema_word(const struct cfg_key *k, const char *text);
/* The word nearest to text, or NULL. */
const char *cfg_schema_word_nearest(const struct cfg_key *k, const char *text);

/* Says what value k takes, e.g. "a whole number from 1 to 255". Returns buf. */
char *cfg_schema_want(const struct cfg_key *k, char *buf, size_t size);
/* True when text is a valid value (a scalar type) or element (a list type) of k. Numbers are checked by range. */
bool cfg_schema_text_ok(const struct cfg_key *k, const char *text);
/* Reads a default: a number (bool 0/1, int, ns, word index, word bits) from text. False if it is not one. */
bool cfg_schema_num(const struct cfg_key *k, const char *text, int64_t *out);
/* Seconds as they are written, the shortest form that reads back to the same ns ("1", "0.1"). Returns buf. */
char *cfg_time_text(int64_t ns, char *buf, size_t size);

#endif
