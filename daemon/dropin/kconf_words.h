/*
 * Purpose: the one table of every word of keepalived.conf up to its LVS parser, by block: honoured, accepted without
 *          effect, or refused, and why.
 * Owns:    nothing; static const data.
 * Thread:  any (pure).
 * In:      a block and a word.   Out: a row.
 * Errors:  NULL for a word that keepalived does not know there.
 *
 * Honoured words say how they are read (enum kword_how) and, where one key of ours takes the value, which. The mapper
 * (kconf_map.h), the documentation and the tests walk the same rows.
 */
#ifndef KT_KCONF_WORDS_H
#define KT_KCONF_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum kword_in {
	KIN_ROOT = 0,
	KIN_GLOBAL,     /* global_defs */
	KIN_INSTANCE,   /* vrrp_instance */
	KIN_AUTH,       /* authentication */
	KIN_GROUP,      /* vrrp_sync_group */
	KIN_SCRIPT,     /* vrrp_script */
	KIN_FILE,       /* track_file at the top */
	KIN_PROCESS,    /* vrrp_track_process */
	KIN_GARP,       /* garp_group */
	KIN_TRACKGROUP, /* track_group */
	KIN_BFD,        /* bfd_instance */
	KIN_HMAC,       /* auth_hmac */
};
#define KIN_N 12

enum kword_class {
	KW_HONOURED = 0,
	KW_NO_EFFECT, /* said once */
	KW_REFUSED,   /* the file is */
	KW_LVS,       /* for keepalived's checkers: said once, VRRP is served */
};

/* How an honoured word is read. */
enum kword_how {
	KH_NONE = 0, /* by code of its own in kconf_map*.c, or nothing to read */
	KH_TRUE,     /* the word alone sets the key */
	KH_FALSE,
	KH_BOOL,     /* [on|off|true|false|yes|no]; alone it is true */
	KH_NOT_BOOL, /* the same, and the key is its contrary */
	KH_INT,      /* from min to max, else keepalived drops it */
	KH_SECONDS,  /* whole seconds */
	KH_TIMER,    /* seconds with a fraction */
	KH_ADDR,
	KH_TEXT,
	KH_DEFAULT, /* a default for the word `key` of all instances that do not have it */
};

struct kword {
	enum kword_in in;
	const char *word;
	enum kword_class class;
	enum kword_how how;
	const char *key; /* our key; NULL: none alone */
	int64_t min, max;
	bool block;      /* braces follow */
	const char *say; /* honoured: its meaning here; else the reason, and for refused words the remedy */
};

unsigned kwords_n(void);
const struct kword *kwords_row(unsigned i);
/* The row of a word in a block, or NULL. */
const struct kword *kword_find(enum kword_in in, const char *word);
/* The name of a block in messages and documents: "vrrp_instance". */
const char *kword_block_name(enum kword_in in);
/* Words that open a block, for kconf_opts.blocks; ends with NULL. */
const char *const *kword_blocks(void);
/* A word like on, no, true; -1: neither. */
int kword_bool(const char *text);

#endif
