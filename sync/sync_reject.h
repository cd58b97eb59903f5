/*
 * Purpose: why a copy cannot be kept by the node that should keep it: an errno of the kernel, or of the peer's REFUSED
 *          record, as a reason that an operator understands.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      errno, the entry.   Out: a reason, its word, its text, and whether trying again can help.
 * Errors:  none; what is not known is SYNC_REJ_OTHER.
 */
#ifndef KT_SYNC_SYNC_REJECT_H
#define KT_SYNC_SYNC_REJECT_H

#include <stdbool.h>
#include "sync/ct.h"

/* name, errno, tried again, word, text. Sources: ctnetlink_create_conntrack and __nf_conntrack_alloc of the kernel. */
#define SYNC_REJ_TABLE(X)                                                                                           \
	X(SYNC_REJ_STANDBY_FULL, EDQUOT, false, "standby-full",                                                     \
	  "kept in the daemon's store: the kernel table is filled up to sync.high_water")                           \
	X(SYNC_REJ_TABLE_FULL, ENOMEM, true, "table-full", "the kernel table is full: raise nf_conntrack_max")      \
	X(SYNC_REJ_CHAIN, ENOSPC, true, "chain-too-long",                                                           \
	  "too many sessions in one hash bucket: raise nf_conntrack_buckets")                                       \
	X(SYNC_REJ_COLLISION, EEXIST, true, "collision",                                                            \
	  "another session of that node has the same translated address and port")                                  \
	X(SYNC_REJ_MASTER, ENOENT, true, "no-master", "the session that it is related to is not there (yet)")       \
	X(SYNC_REJ_HELPER, EOPNOTSUPP, true, "no-helper", "its helper is not loaded there: load the kernel module") \
	X(SYNC_REJ_ZONE, EPFNOSUPPORT, true, "no-zone", "the kernel there knows no conntrack zones")                \
	X(SYNC_REJ_UNSUPPORTED, EPROTONOSUPPORT, true, "unsupported", "the kernel there lacks a part of it")        \
	X(SYNC_REJ_LOCAL, EADDRNOTAVAIL, false, "local", "that node itself opens or answers it")                    \
	X(SYNC_REJ_PEER_FULL, ENFILE, false, "no-record",                                                           \
	  "the session table of the daemon is full there: raise sync.sessions_max")                                 \
	X(SYNC_REJ_BUSY, EBUSY, false, "busy", "the kernel there does not allow this change")                       \
	X(SYNC_REJ_INVALID, EINVAL, false, "invalid", "the kernel there does not understand it")                    \
	X(SYNC_REJ_PERMISSION, EPERM, false, "not-permitted", "the daemon there lacks CAP_NET_ADMIN")               \
	X(SYNC_REJ_BUFFER, ENOBUFS, true, "no-answer", "the kernel's answer was lost")                              \
	X(SYNC_REJ_AGAIN, EAGAIN, true, "try-again", "the kernel asks to try again")                                \
	X(SYNC_REJ_OTHER, 0, false, "other", "an error that has no words of its own")

enum sync_reject {
#define SYNC_REJ_ENUM(name, err, retry, word, text) name,
	SYNC_REJ_TABLE(SYNC_REJ_ENUM)
#undef SYNC_REJ_ENUM
	    SYNC_REJ_N
};

/* err: errno, of either sign. e tells a missing helper from missing zones; NULL: not known. */
enum sync_reject sync_reject_of(int err, const struct ct_entry *e);
const char *sync_reject_word(enum sync_reject r);
const char *sync_reject_text(enum sync_reject r);
/* Space may come, a master may arrive, a colliding session may end, a module may be loaded. */
bool sync_reject_retries(int err);

#endif
