/*
 * Purpose: the ways in which an IKE daemon is reached, in one table: what each can do, and how it is asked. Also what
 *          two lists that were read one after another say has happened between them, and when the next one is due.
 * Owns:    nothing; struct ike_watch is the caller's.
 * Thread:  any (pure).
 * In:      a verb and the names; samples.
 * Out:     arguments of a program; events.
 * Errors:  none; a verb that a backend does not have is refused by its bit being unset.
 */
#ifndef KT_IKE_BACKEND_H
#define KT_IKE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "ike-hooks/ike_fsm.h"

/* name, HA_EVENT of the exec backend */
#define IKE_VERB_TABLE(X)                                                                           \
	X(IKE_VERB_PROBE, "probe")       /* does the IKE daemon answer? */                          \
	X(IKE_VERB_LIST, "list")         /* what exists? */                                         \
	X(IKE_VERB_DROP, "drop_silent")  /* forget; the VIP is gone, so nothing reaches the wire */ \
	X(IKE_VERB_CLOSE, "close")       /* end it, and tell the peer */                            \
	X(IKE_VERB_INITIATE, "initiate") /* begin to negotiate; success means begun, not up */      \
	X(IKE_VERB_REKEY, "rekey")       /* new keys for the child */

enum ike_verb {
#define IKE_ENUM(name, text) name,
	IKE_VERB_TABLE(IKE_ENUM)
#undef IKE_ENUM
	    IKE_VERB_N
};

const char *ike_verb_name(enum ike_verb v);

/* How a backend learns that a tunnel went up or down. */
enum ike_learn { IKE_LEARN_NOTHING = 0, IKE_LEARN_EVENTS, IKE_LEARN_POLL };

struct ike_backend_info {
	const char *name; /* as it is configured */
	const char *what; /* for people */
	uint32_t can;     /* bits 1u << enum ike_verb */
	enum ike_learn learn;
	bool one_list;      /* one list speaks of all tunnels */
	bool counts_bytes;  /* counters of a list are bytes, else packets */
	int64_t poll_ns;    /* between two lists, when nothing is expected */
	int64_t retry_ns;   /* between two probes of a daemon that does not answer */
	int64_t timeout_ns; /* of a program that is run; 0: the tunnel's own */
};

const struct ike_backend_info *ike_backend_info(enum ike_backend b);
bool ike_backend_can(enum ike_backend b, enum ike_verb v);

#define IKE_WHACK_WORDS 10
/*
 * The words of libreswan's whack for this verb, and a NULL. rekey_child: version 5 or later, where --rekey-ipsec got this
 * name. Initiating scans the addresses first: pluto uses no address that it has not seen at its last scan.
 */
void ike_whack_words(enum ike_verb v, const char *whack, const char *ctl, const char *connection, bool rekey_child,
		     const char *words[IKE_WHACK_WORDS]);
/* whack's exit status: has the verb its effect? An unknown connection has nothing to drop. */
bool ike_whack_ok(enum ike_verb v, int status);
/* "Libreswan 4.10" -> 4; 0 when it cannot be read. */
unsigned ike_whack_major(const char *version);

/* What is known of one tunnel from lists. */
struct ike_watch {
	bool up;
	uint32_t sa_id;
	mono_t begun;   /* newest initiate; NEVER: none, or it is up */
	mono_t changed; /* lists that began before this say nothing */
	uint32_t lists; /* since begun */
};

enum ike_watch_ev { IKE_WATCH_SAME = 0, IKE_WATCH_UP, IKE_WATCH_DOWN, IKE_WATCH_REKEY };

/* The IKE daemon was not asked yet, or did not answer: nothing is known. */
void ike_watch_init(struct ike_watch *w);
/* A drop, close, initiate or rekey has ended at now, with this result. */
void ike_watch_verb(struct ike_watch *w, enum ike_verb v, bool ok, mono_t now);
/* A list that began at `began` has ended. Is it younger than the last change? */
bool ike_watch_counts(const struct ike_watch *w, mono_t began);
enum ike_watch_ev ike_watch_list(struct ike_watch *w, const struct ike_sample *s);
/* The next list after one that ended at now and took so long; soon while an initiate is under way. */
mono_t ike_watch_next(const struct ike_watch *w, const struct ike_backend_info *b, int64_t took_ns, mono_t now);

#endif
