/*
 * Purpose: the SYNC thread as CONTROL sees it: commands in, reports out, a few atomics.
 * Owns:    struct sync_thread; commands and reports are copied through SPSC mailboxes.
 * Thread:  every function here is called on CONTROL.
 * In:      struct sync_cmd.   Out: struct sync_report.
 * Errors:  a full command mailbox is reported as -EAGAIN (SYNC hangs: readiness goes false by the missing pong anyway).
 *
 * CONTROL never waits for SYNC: each command that needs an answer has a report, and the role transaction has a
 * deadline.
 */
#ifndef KT_SYNC_SYNC_H
#define KT_SYNC_SYNC_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"
#include "sync/ct.h"
#include "sync/sync_conf.h"
#include "sync/sync_query.h"

struct loop;
struct sync_thread;
struct sync_self;
struct ssl_st;

enum sync_cmd_type {
	SYNC_CMD_PING = 0, /* -> PONG{seq} */
	SYNC_CMD_FENCE, /* join the event groups; read the peer's stream until EAGAIN, EOF or 5 ms; finish the batch in
			   the kernel; from now on records below `epoch` are applied create-only -> FENCED{epoch}.
			   What waits in the store is then committed -> COMMITTED{epoch}.
			   Seen too late (the role has gone on without the answer): fenced before anything is read */
	SYNC_CMD_AUTHORITY, /* store who this node is (struct sync_authority) -> AUTHORITY{epoch} */
	SYNC_CMD_FLUSH,    /* planned switch, old master: send the dirty set, send no destroy any more -> FLUSHED{epoch,
			      seq} */
	SYNC_CMD_JOIN,     /* planned switch, new master: join the event groups, nothing else */
	SYNC_CMD_APPLY,    /* planned switch, new master: apply up to data sequence `seq`, then fence at `epoch` as
			      SYNC_CMD_FENCE does -> APPLIED{epoch} */
	SYNC_CMD_DEMOTING, /* first step of a demotion: send no destroy until STABLE */
	SYNC_CMD_STABLE,   /* the transaction with this epoch is over, and with it what it waits for. `rest`: it was
			      the last that held destroys back, they flow again and digests settle the rest */
	SYNC_CMD_DELETE_CT,  /* delete entries by exact tuple (IKE and ESP of a VIP): `list`, or without one `tuple` */
	SYNC_CMD_PEER_ALIVE, /* the owner of the copies was heard by adverts (only the channel may be cut) */
	SYNC_CMD_CLIENT,     /* a control-socket connection handed over for a session command: fd passes to SYNC */
	SYNC_CMD_CLEAR,      /* all counters to zero */
	SYNC_CMD_STALL,      /* `debug sync stall SECONDS`: stop answering for that long */
	SYNC_CMD_CONF,       /* new configuration; the pointed-to struct passes to SYNC */
	SYNC_CMD_FACTS, /* tell what SYNC knows of this node towards peer_node; `walk`: count all sessions too -> FACTS{seq} */
	SYNC_CMD_LISTENERS, /* -> LISTENER for each link, now and after every CONF */
	SYNC_CMD_STOP,      /* end the thread */
};

struct sync_authority {
	struct epoch epoch;
	bool any; /* MASTER of at least one group */
	bool all; /* MASTER of all groups: raises the floor, every flow below it is ours */
};

enum sync_client_kind {
	SYNC_CLIENT_STATISTICS = 0,
	SYNC_CLIENT_STATUS,
	SYNC_CLIENT_SESSIONS, /* every record, for tests */
	SYNC_CLIENT_TABLE,    /* those that `query` matches */
	SYNC_CLIENT_SESSION_STATISTICS,
	SYNC_CLIENT_POLICY,
	SYNC_CLIENT_PEERS,
	SYNC_CLIENT_QUEUE,
	SYNC_CLIENT_LAG,
	SYNC_CLIENT_FILTERS,
	SYNC_CLIENT_EXPLAIN, /* tuple. From here on: answered by client_act.c */
	SYNC_CLIENT_RESET_INTERNAL,
	SYNC_CLIENT_RESET_EXTERNAL,
	SYNC_CLIENT_RESTART,
	SYNC_CLIENT_RESYNC,
};

/*
 * Entries to be deleted. After `until` none of the rest is touched: it may be of a new session. Each is an original
 * tuple, or the reply's where nothing was translated: the kernel finds an entry by either.
 */
struct sync_ct_list {
	struct sync_ct_list *next; /* SYNC's */
	mono_t until;
	uint32_t n, done;
	struct ct_tuple tuple[];
};

/* What became of them, since the start of the thread. */
struct sync_ct_counts {
	uint64_t deleted, absent, failed, late;
};

struct sync_cmd {
	enum sync_cmd_type type;
	struct epoch epoch;
	mono_t at; /* set by sync_thread_send */
	uint64_t seq;
	uint32_t peer_node; /* FLUSH, APPLY: the other end; PEER_ALIVE: who was heard. 0: the only peer, or all */
	struct sync_authority authority;
	struct ct_tuple tuple;
	struct sync_ct_list *list; /* DELETE_CT: malloc, passes to SYNC */
	int fd;
	enum sync_client_kind client;
	struct sync_query query; /* TABLE */
	uint32_t client_id;      /* "id" of the request, echoed in its answer */
	bool client_json_lines;
	uint32_t uid; /* CLIENT, CLEAR: who asked, for the log */
	int32_t pid;
	bool walk;
	bool rest;
	int64_t stall_ns;
	const struct sync_conf *conf;
};

enum sync_report_type {
	SYNC_REP_PONG = 0,
	SYNC_REP_FENCED,
	SYNC_REP_AUTHORITY,
	SYNC_REP_FLUSHED,
	SYNC_REP_APPLIED,
	SYNC_REP_CTL_CONN, /* an authenticated ctl connection: fd and SSL pass to CONTROL before any application byte */
	SYNC_REP_STATE,    /* struct sync_state changed */
	SYNC_REP_FACTS,    /* facts, malloc: they pass to the receiver */
	SYNC_REP_STOPPED,
	SYNC_REP_LISTENER, /* fd: a copy of the socket that listens on link seq, for who keeps it open; -1: none does */
	SYNC_REP_COMMITTED, /* epoch: what waited in the store at FENCED or APPLIED is in the kernel; degraded: it is
			       full, a part still waits */
};

/* What CONTROL needs to know of replication for readiness, the gate and `show`. */
struct sync_state {
	bool data_up;      /* data channel authenticated, both directions */
	bool peer_has_all; /* what we had was acknowledged as stored by every peer, for this boot of both */
	uint32_t has_all[SYNC_NODES_MAX]; /* those that have, by node id; 0 ends the list */
	bool have_all;                    /* the peer said so of what it had */
	bool equal;                       /* last digest comparison */
	mono_t equal_at;
	uint32_t own, copies, dirty;
	uint32_t stored; /* of the copies: wait in the store, not in the kernel */
	bool committing; /* a promotion takes them out of it */
};

struct sync_report {
	enum sync_report_type type;
	struct epoch epoch;
	uint64_t seq;
	uint32_t applied_late; /* FENCED: records of older epochs refused so far */
	int fd;
	struct ssl_st *ssl;
	uint32_t peer_node;
	bool degraded; /* FENCED: the 5 ms ran out before the stream was empty */
	bool storing;  /* FENCED, APPLIED: the store is being committed, COMMITTED follows */
	struct sync_state state;
	struct sync_self *facts;
};

typedef void (*sync_report_fn)(void *arg, const struct sync_report *rep);

/*
 * Starts the thread; reports arrive on loop l (class LATENCY). conf must outlive the thread or be replaced by
 * SYNC_CMD_CONF. NULL with errno on failure (-EPERM: no CAP_NET_ADMIN).
 */
struct sync_thread *sync_thread_start(struct loop *l, const struct sync_conf *conf, uint64_t boot_nonce,
				      const uint64_t config_digest[4], sync_report_fn fn, void *arg);
/* Asks the thread to end, waits at most wait_ns, frees. -ETIMEDOUT: it goes on, and its memory stays: leave by _exit. */
int sync_thread_stop(struct sync_thread *t, int64_t wait_ns);
/* The same in two steps, for who cannot wait: it is asked, and sync_thread_stop does not wait once it has ended. */
void sync_thread_ask_stop(struct sync_thread *t);
bool sync_thread_ended(const struct sync_thread *t);
/* 0, or -EAGAIN when the mailbox is full. */
int sync_thread_send(struct sync_thread *t, const struct sync_cmd *cmd);
/* What became of the entries of SYNC_CMD_DELETE_CT. */
void sync_thread_ct_counts(const struct sync_thread *t, struct sync_ct_counts *out);
/* The role epoch that SYNC compares before every send: stored by CONTROL at the point of no return. */
void sync_thread_role_epoch(struct sync_thread *t, struct epoch e);

#endif
