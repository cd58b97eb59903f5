/*
 * Purpose: conntrackd.conf as the real conntrackd 1.4 reads it: its words, and what each of them means here.
 * Owns:    struct dconf holds what a file says; plain data.
 * Thread:  any (pure).
 * In:      a text.   Out: struct dconf, messages; dconf_map puts it into a configuration tree.
 * Errors:  messages "file:line: ..." in struct cfg_errors; false when there was an error.
 *
 * The file has no line structure: a word of the table is followed by its value or its block. Words are read in any case.
 * A word without counterpart is said once, in one line that says what stands in its place.
 */
#ifndef KT_DCONF_H
#define KT_DCONF_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/cfg_tree.h"
#include "sync/sync_conf.h"

#define DCONF_TEXT_MAX  256
#define DCONF_FILE_MAX  (1u << 20) /* bytes of a file */
#define DCONF_ADDRS_MAX 1024       /* of the address filter */
#define DCONF_DEEP      8          /* blocks inside each other */

/* Which words are known in a block. */
enum dconf_where {
	DCONF_W_TOP = 0,
	DCONF_W_SYNC,
	DCONF_W_MODE,
	DCONF_W_LINK,
	DCONF_W_OPTIONS,
	DCONF_W_GENERAL,
	DCONF_W_UNIX,
	DCONF_W_FILTER,
	DCONF_W_SCHEDULER,
	DCONF_W_SKIP, /* nothing inside is read: Stats, Helper */
	/* lists of bare words */
	DCONF_W_PROTOCOLS,
	DCONF_W_ADDRESSES,
	DCONF_W_STATES,
	DCONF_W_EXPECT,
};

enum dconf_kind {
	DCONF_K_BLOCK = 0,
	DCONF_K_YESNO,
	DCONF_K_NUMBER,
	DCONF_K_PATH,
	DCONF_K_ADDR,
	DCONF_K_NAME,
	DCONF_K_YESNO_TEXT,  /* yes, no, or a text: Syslog local0, LogFile /x, NetlinkOverrunResync 30 */
	DCONF_K_YESNO_BLOCK, /* ExpectationSync on | { ... } */
};

enum dconf_verdict { DCONF_HONOURED = 0, DCONF_NO_EFFECT, DCONF_REFUSED };

/* clang-format off */
#define DCONF_ID_TABLE(X) \
	X(SYNC) X(GENERAL) X(STATS) X(HELPER) X(MODE) X(MULTICAST) X(UDP) X(TCP) X(OPTIONS) X(UNIX) X(FILTER) \
	X(SCHEDULER) X(KEY) X(PEER) X(RESEND_QUEUE) X(COMMIT_TIMEOUT) X(PURGE_TIMEOUT) X(ACK_WINDOW) \
	X(NO_EXTERNAL) X(NO_INTERNAL) X(STARTUP_RESYNC) X(REFRESH) X(CACHE_TIMEOUT) X(ADDR4) X(ADDR6) X(DEST4) \
	X(DEST6) X(IFADDR4) X(IFADDR6) X(PORT) X(GROUP) X(INTERFACE) X(SNDBUF) X(RCVBUF) X(CHECKSUM) \
	X(ERROR_QUEUE) X(WINDOWS) X(EXPECT_SYNC) X(SYSTEMD) X(NICE) X(HASH_SIZE) X(HASH_LIMIT) X(LOGFILE) \
	X(SYSLOG) X(LOCKFILE) X(BUFFER) X(BUFFER_MAX) X(OVERRUN) X(RELIABLE) X(POLL) X(EVENT_LIMIT) X(PATH) \
	X(BACKLOG) X(F_PROTOCOL) X(F_ADDRESS) X(F_STATE) X(S_TYPE) X(S_PRIORITY)
/* clang-format on */

enum dconf_id {
#define DCONF_ID_ENUM(id) DCONF_##id,
	DCONF_ID_TABLE(DCONF_ID_ENUM)
#undef DCONF_ID_ENUM
	    DCONF_ID_N
};

struct dconf_word {
	enum dconf_where where;
	const char *name;
	enum dconf_id id;
	enum dconf_kind kind;
	enum dconf_where inside; /* of a block */
	enum dconf_verdict verdict;
	const char *why; /* what it becomes; no effect: what stands in its place; refused: the reason and the remedy */
};

/* Row n of the table, NULL behind the last one. */
const struct dconf_word *dconf_word_row(unsigned n);
/* The row of a word in a block, or NULL. */
const struct dconf_word *dconf_word_find(enum dconf_where where, const char *name);
/* The word of that block that looks most like name, or NULL. */
const char *dconf_word_near(enum dconf_where where, const char *name);

struct dconf_val {
	unsigned line; /* 0: not given */
	bool yes;      /* yes and on; a text other than no and off */
	int64_t num;
	char text[DCONF_TEXT_MAX];
};

enum dconf_link_kind { DCONF_LINK_MULTICAST = 0, DCONF_LINK_UDP, DCONF_LINK_TCP };

struct dconf_link {
	enum dconf_link_kind kind;
	unsigned line;
	bool first; /* the word Default */
	struct addr own, dest, group;
	unsigned own_line, dest_line;
	struct addr peers[SYNC_NODES_MAX]; /* KeeptrackdPeer */
	uint8_t n_peers;
	uint32_t port;
	char ifname[IFNAMSIZ];
};

struct dconf_net {
	unsigned line;
	struct addr addr;
	uint8_t plen;
};

struct dconf {
	const char *file;
	struct dconf_val val[DCONF_ID_N];
	struct dconf_link links[SYNC_LINKS_MAX]; /* the default one first */
	unsigned n_links;
	struct dconf_net *nets; /* DCONF_ADDRS_MAX */
	unsigned n_nets;
	bool accept_protocols, accept_nets, accept_states;
	uint32_t protocols; /* bits of enum sync_proto that were listed */
	uint32_t states;    /* bits of words_tcp: syn_sent is 0 */
};

/* Reads a text. False: errs says why. *out is zeroed first; dconf_free releases what it owns, also after a failure. */
bool dconf_read(struct dconf *out, const char *text, const char *file, struct cfg_errors *errs);
void dconf_free(struct dconf *d);

/* What is known of the machine and of the other routers when the file is mapped. */
struct dconf_iface {
	char name[IFNAMSIZ];
	struct addr addr;
	uint8_t plen;
};

struct dconf_peer {
	struct addr addrs[SYNC_LINKS_MAX]; /* by link, as struct dconf lists them */
	uint8_t n_addrs;
};

struct dconf_env {
	const struct dconf_iface *ifaces;
	unsigned n_ifaces;
	const struct dconf_peer *found; /* heard on the multicast group */
	unsigned n_found;
	const char *key;      /* beside the file, or of the system; NULL: there is none */
	bool insecure;        /* that file says so */
	const char *key_hint; /* where it would be looked for, for messages */
	bool layer;           /* another file has the main part: it says where log lines go */
};

/* What belongs to the process and not to the configuration. */
struct dconf_proc {
	char lock_file[DCONF_TEXT_MAX];
	char socket[DCONF_TEXT_MAX];             /* empty: no clients */
	bool looking;                            /* Multicast: other routers are looked for */
	struct dconf_link links[SYNC_LINKS_MAX]; /* own addresses are filled in */
	unsigned n_links;
};

/*
 * Puts the file into the tree, which may hold what another file said: a value that is given there already is an error
 * that names both places. False: errs says why.
 */
bool dconf_map(const struct dconf *d, struct cfg_tree *t, const struct dconf_env *env, struct dconf_proc *proc,
	       struct cfg_errors *errs);

/* The number of the node with this address on the first link: all routers count alike. 1 .. 2^31-1. */
uint32_t dconf_node_id(const struct addr *a);

#endif
