/*
 * Purpose: what the files of the keepalived.conf mapper share; nobody else includes it.
 * Owns:    nothing.
 * Thread:  that of kconf_map.
 * In/Out:  statements into records of the tree.
 * Errors:  see kconf_map.h.
 */
#ifndef KT_KCONF_MAP_INT_H
#define KT_KCONF_MAP_INT_H

#include "daemon/dropin/kconf_map.h"
#include "daemon/dropin/kconf_words.h"

#define KMAP_SAID_MAX 512
#define KMAP_GARP_MAX 64

struct kmap {
	struct kconf *k;
	struct cfg_tree *t;
	struct cfg_errors *errs;
	struct cfg_rec *vrrp, *node;
	const char *last_file, *last_copy; /* of kmap_at */
	bool said[KMAP_SAID_MAX];          /* by row of the words: said once */
	const struct kconf_stmt *lvs;      /* the first block for the checkers */
	/* global_defs: the last statement of each word that later ones look at */
	const struct kconf_stmt *global[KMAP_SAID_MAX];
	const struct kconf_stmt *garp[KMAP_GARP_MAX]; /* garp_group */
	unsigned n_garp;
	unsigned rule_priority[2]; /* the next one that keepalived gives to a rule without; IPv4, IPv6 */
	/* names of virtual MACs' interfaces that are taken, by what stands behind the dot: PREFIX, PREFIX6, and how many more */
	struct kmap_vmac {
		bool plain, six;
		uint16_t n;
	} vmac[256];
	struct cfg_tables *tables; /* NULL: not read yet */
	struct cfg_names *names;   /* of the instances, while groups are read */
	bool cluster;              /* conntrack_sync is there: what differs between nodes goes to node.instances */
};

/* One vrrp_instance while it is read. */
struct kinst {
	struct kmap *m;
	const struct kconf_stmt *s;
	struct cfg_rec *r;
	const char *name;
	uint8_t af; /* 0: nothing told it yet */
	bool master, has_priority, nopreempt, strict, accept_given, xmit_base, check_source, vmac, ipvlan;
	bool unicast_word;                  /* a word of unicast was given */
	const struct kconf_stmt *interface; /* NULL: missing */
	const struct kconf_stmt *vrid, *delay, *advert, *version, *preempt, *auth, *source, *mcast, *fault_no_peer;
	const struct kconf_stmt *peers, *vips, *garp_extra, *extra;
	char pass[9];
	char extra_name[IFNAMSIZ]; /* of the virtual MAC's interface */
	uint8_t extra_mac[6];
	bool has_mac, extra_short; /* extra_short: its last octet is the VRID */
	struct cfg_rec *own;       /* in node.instances, once something is */
};

/* kconf_map.c: positions, values, messages */
struct cfg_pos kmap_at(struct kmap *m, const struct kconf_stmt *s);
/* The value of a key, marked as given by s. */
struct cfg_val *kmap_val(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s);
void kmap_num(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, int64_t num);
void kmap_word(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, const char *word);
/* False and a warning: the text is not valid for the key, which stays as it was. */
bool kmap_text(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, const char *text);
/* The name of a block, which must be one that our file can have. */
void kmap_name(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block);
/* One more record of defaults at the end of a list. */
struct cfg_rec *kmap_push(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s);
/* The block of a key, made when it is not there yet. */
struct cfg_rec *kmap_block(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s);
/* Word i of the statement, or "". */
const char *kmap_arg(const struct kconf_stmt *s, unsigned i);
/* keepalived's numbers: a warning and false when word i is none from min to max. */
bool kmap_uint(struct kmap *m, const struct kconf_stmt *s, unsigned i, uint64_t min, uint64_t max, uint64_t *out);
/* Seconds with a fraction; ns. */
bool kmap_timer(struct kmap *m, const struct kconf_stmt *s, unsigned i, double min, double max, int64_t *out);
/* The optional <BOOL> of a word that means true when it stands alone. False: a warning, nothing to set. */
bool kmap_bool(struct kmap *m, const struct kconf_stmt *s, bool *out);
/* Reads an honoured word into its key; who is what messages begin with, "(VI_1) ". */
void kmap_simple(struct kmap *m, const struct cfg_rec *r, const struct kword *w, const struct kconf_stmt *s);
/*
 * What every block does with a word first: unknown ones get a warning, those without effect their note, refused ones
 * their error. The row of an honoured word, else NULL.
 */
const struct kword *kmap_known(struct kmap *m, enum kword_in in, const struct kconf_stmt *s);
struct kmap_pick {
	const struct kconf_stmt *s;
	unsigned order;
	bool again; /* the name was there before */
};
/* Blocks of one word, in the order of the file: those with a name, and of one name the first. How many; to free. */
unsigned kmap_pick_blocks(struct kmap *m, const char *word, struct kmap_pick **out);
/* The last statement of a word in global_defs, or NULL. */
const struct kconf_stmt *kmap_global(const struct kmap *m, const char *word);

#define KMAP_WARN(m, s, ...)   kconf_complain((m)->errs, CFG_WARNING, s, __VA_ARGS__)
#define KMAP_REFUSE(m, s, ...) kconf_complain((m)->errs, CFG_ERROR, s, __VA_ARGS__)

/* kconf_map_inst.c */
void kmap_instance(struct kmap *m, const struct kconf_stmt *s, struct cfg_rec *r);
/* The record in node.instances. */
void kmap_own(struct kinst *i);
/* The pace that garp_group gives to the instance's interface. */
void kmap_garp_group(struct kinst *i);
/* A word of global_defs that keepalived takes for said whatever stands behind it. */
bool kmap_is_flag(const char *word);
/* kconf_map_finish.c: what follows from several words together, and keepalived's defaults */
void kmap_instance_finish(struct kinst *i);

/* kconf_map_addr.c, kconf_map_route.c: lists of addresses, peers, routes and rules */
/* af: all of one family; 0 takes the first one's and keeps it in *af. NULL: any family. */
void kmap_addresses(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *block,
		    uint8_t *af, const char *who);
void kmap_routes(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block, uint8_t af);
void kmap_rules(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block);
void kmap_peers(struct kinst *i, const struct kconf_stmt *block);

/* kconf_map_global.c */
void kmap_globals(struct kmap *m);
/* A word at the top that is about the process. */
void kmap_process_word(struct kmap *m, const struct kconf_stmt *s);

/* kconf_map_script.c: programs, pipes and mail */
/*
 * A program and its arguments into a list: words[1], split once more as it may have been quoted, then from `more` on
 * (0: none) the other words. False: there is none that could be run.
 */
bool kmap_exec(struct kmap *m, const struct cfg_rec *r, const char *key, const struct kconf_stmt *s, char **words,
	       unsigned n, unsigned more);
/* A word that notify and mail of an instance or group belong to; false: none. */
bool kmap_notify(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s);
/* USER [GROUP] from word i on. */
void kmap_user(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *s, char **words, unsigned n,
	       unsigned i);
/* Those of global_defs. */
void kmap_notify_globals(struct kmap *m);

/* kconf_map_track.c: what is tracked */
void kmap_track_definitions(struct kmap *m);
/* A track_* list of an instance or a group; false: it is none. */
bool kmap_track(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block);

/* kconf_map_group.c */
void kmap_groups(struct kmap *m);

/* kconf_map_ours.c: blocks that the real keepalived skips */
void kmap_conntrack_sync(struct kmap *m, const struct kconf_stmt *block);
void kmap_ipsec_failover(struct kmap *m, const struct kconf_stmt *block);

#endif
