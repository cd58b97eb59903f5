/*
 * Purpose: the inside of the SYNC thread, shared by its source files only (sync_thread, sync_drive, sync_data,
 *          sync_addr, sync_client, sync_tell).
 * Owns:    struct sync_run: loop, listener, data connections, replication core, conntrack sockets, clients.
 * Thread:  SYNC; made and freed on CONTROL while the thread does not run.
 * In:      commands, kernel events, records, readiness.   Out: reports, records, kernel operations, answers.
 * Errors:  counted and logged; reports never wait (a full mailbox drops them and counts).
 */
#ifndef KT_SYNC_SYNC_RUN_H
#define KT_SYNC_SYNC_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "daemon/base/loop.h"
#include "daemon/base/ring.h"
#include "sync/ct_io.h"
#include "sync/peer_conn.h"
#include "sync/peer_hello.h"
#include "sync/peer_listen.h"
#include "sync/sync.h"
#include "sync/sync_fsm.h"
#include "sync/sync_wait.h"
#include "sync/sync_wire.h"

#define SYNC_CLIENTS_MAX    8
#define SYNC_CLIENT_IDLE_NS (10 * NS_PER_SEC) /* a reader that takes nothing for this long is cut */
#define SYNC_FENCE_READ_NS  (5 * NS_PER_MS)
#define SYNC_FENCE_WRITE_NS (5 * NS_PER_MS)
#define SYNC_FENCE_LATE_NS  (10 * NS_PER_MS) /* the role waits 20 ms: one that begins later would end after it went on */
#define SYNC_APPLY_NS       (12 * NS_PER_MS)  /* for the last records of the old master; the role waits 20 ms */
#define SYNC_FLUSH_READ_NS  (100 * NS_PER_MS) /* for events that wait when a flush begins; GO is awaited 200 ms */
#define SYNC_SHUT_MIN_NS    NS_PER_SEC        /* pause after a stream that could not be understood; it doubles ... */
#define SYNC_SHUT_MAX_NS    (60 * NS_PER_SEC) /* ... up to this, and begins anew after a stream of this length */
#define SYNC_COUNTS_NS      NS_PER_SEC        /* table sizes are reported at most this often; flags at once */

struct sync_run;
struct data_peer;
struct sync_client;
struct explain_job;
struct json_t;
struct addr_watch;
struct tell;

/* One data connection: this peer, this link. */
struct data_link {
	struct sync_run *run;
	struct data_peer *peer;
	uint8_t index;
	bool dials;
	bool greeted;     /* its hello was accepted */
	uint64_t skipped; /* records of unknown types at the last one understood */
	bool asked;       /* dialler: ACTIVATE was sent, its echo is awaited */
	struct peer_conn *conn;
	struct peer_retry retry;
	struct loop_timer *retry_timer;
	uint64_t boot_nonce;
	uint64_t features;
	uint8_t digest_key[16];
	enum peer_why why;
	char text[PEER_SHAKE_TEXT];
	mono_t since;
	uint64_t attempts, connects;
	struct peer_conn_stats before;
};

struct data_peer {
	struct sync_run *run;
	uint32_t node;
	struct data_link links[SYNC_LINKS_MAX];
	uint8_t n_links;
	struct data_link *active; /* carries the stream, both directions */
	uint64_t streams;         /* how often one began */
	uint64_t next_seq;        /* of the next record of the present stream */
	int64_t credit;           /* objects that may be read now, in thousandths */
	mono_t credit_at;
	uint64_t slowed;   /* pauses in reading it */
	uint64_t refused;  /* connections ended for what came on them */
	mono_t shut_until; /* no connection with it before */
	int64_t shut_ns;   /* how long the next time */
};

struct sync_run_stats {
	uint64_t flushes, records_sent; /* writes to data connections; objects in them */
	uint64_t records_read, objects; /* wire records, objects in them */
	uint64_t inactive;              /* records on a connection that does not carry the stream */
	uint64_t injected, inject_calls, inject_errors;
	uint64_t reports_lost;
	uint64_t fences, fences_degraded;
	uint64_t committed; /* store_out when a commit was last said to be over */
	uint64_t held;      /* sends held until the newest role epoch was known */
	uint64_t clients, clients_refused, clients_cut;
	uint64_t addr_dumps;
	uint64_t stalls;
	uint64_t peeks, restarts;
};

struct sync_run {
	struct sync_thread *t;
	struct loop *loop;
	const struct sync_conf *conf;
	struct sync_conf *owned_conf; /* conf came by SYNC_CMD_CONF */
	struct peer_self self;
	struct peer_tls *tls;
	struct peer_listen *listen;
	bool tells_listeners;
	struct ct_io *ct;
	struct sync *core; /* NULL: replicate = false */
	struct addr_watch *addrs;
	struct data_peer *peers[SYNC_NODES_MAX];
	uint8_t n_peers;
	struct loop_fd *cmd_fd;
	struct loop_timer *tick;
	bool injecting, pumping;
	struct sync_waits flush, apply;              /* commands whose answer needs more than one pass */
	struct sync_ct_list *deletes, *deletes_last; /* wait for room among the core's single deletions */
	uint32_t n_deletes;                          /* entries of them */
	struct sync_state told;
	mono_t counts_at;
	mono_t timeouts_at; /* the kernel's timers are read again then */
	uint64_t node_told; /* sessions left out for a node address, when that was last said */
	mono_t node_told_at;
	bool state_unsent;
	struct sync_client *clients[SYNC_CLIENTS_MAX];
	struct explain_job *explains[SYNC_CLIENTS_MAX];
	struct ct_entry *peek; /* not NULL: the entry of the running GET goes there, past the core */
	bool peeked;
	char order_by[64]; /* who gave the newest order */
	bool order_told;   /* its end is in the log */
	struct tell *tell; /* NULL: never asked */
	struct sync_wire_stats wire;
	struct sync_run_stats st;
	uint8_t buf[SYNC_DATA_MAX];
};

/* The mailbox pair and what both threads may touch. */
struct sync_thread {
	struct loop *control;
	struct ring cmds, reps;
	struct loop_fd *rep_fd;
	sync_report_fn fn;
	void *arg;
	pthread_t thread;
	bool running;
	atomic_bool stopping, ended;
	/* Role epoch: sequence lock, one writer (CONTROL). Odd: being written. */
	_Atomic uint32_t epoch_seq;
	_Atomic uint64_t epoch_counter;
	_Atomic uint32_t epoch_node;
	_Atomic uint64_t ct_deleted, ct_absent, ct_failed, ct_late; /* SYNC counts, CONTROL reads */
	struct sync_run *run;
};

/* sync_thread.c */
void sync_run_report(struct sync_run *r, const struct sync_report *rep);
struct epoch sync_run_role_epoch(const struct sync_run *r);

/* sync_drive.c: the core and the kernel */
int drive_init(struct sync_run *r, const uint8_t key[16]);
void drive_done(struct sync_run *r);
/* Does what the core wants done now: injects, sends, listens, sweeps, reports; arms the tick. */
void drive_pump(struct sync_run *r);
/* Makes drive_pump run in the next pass of the loop. */
void drive_kick(struct sync_run *r);
/* SYNC_CMD_FENCE in one go, at most about 10 ms. at: when it was asked for. */
void drive_fence(struct sync_run *r, struct epoch epoch, mono_t at);
/* True when a command of that instant is seen so late that the role no longer waits for its answer. */
bool drive_late(mono_t at);

/* sync_delete.c: single entries by exact tuple */
/* SYNC_CMD_DELETE_CT; the list passes. */
void delete_begin(struct sync_run *r, const struct ct_tuple *tuple, struct sync_ct_list *list);
/* Hands the core what it has room for. True when more waits. */
bool delete_pump(struct sync_run *r);
/* Result of an operation that the core made of it. */
void delete_result(struct sync_run *r, int result);
void delete_free(struct sync_run *r);

/* sync_data.c: data connections */
int data_conf(struct sync_run *r, const struct sync_conf *old, bool tls_changed);
void data_done(struct sync_run *r, const char *text);
/* An accepted, authenticated connection; fd and ssl pass. */
void data_adopt(struct sync_run *r, int fd, struct ssl_st *ssl, uint32_t node, unsigned link);
struct data_peer *data_peer_find(struct sync_run *r, uint32_t node);
/* Sends what the core has for this peer as far as the socket takes it. */
void data_flush(struct sync_run *r, struct data_peer *p);
/* Ends all data connections and dials anew; how many there were. text: for the other end. */
unsigned data_restart(struct sync_run *r, const char *text);
/* Reads all streams until empty, at most until the deadline. False: time ran out. */
bool data_drain(struct sync_run *r, mono_t until);

/* sync_addr.c: this node's addresses */
struct addr_watch *addr_watch_new(struct sync_run *r);
/* The configuration may name other interfaces now. */
void addr_watch_again(struct addr_watch *w);
void addr_watch_free(struct addr_watch *w);

/* sync_client.c: answers to session commands */
void client_new(struct sync_run *r, const struct sync_cmd *cmd);
void client_free_all(struct sync_run *r);
/* Refuses, or answers with one object (reference taken), and closes. */
void client_refuse(int fd, uint32_t id, const char *text);
void client_send(struct sync_run *r, int fd, uint32_t id, struct json_t *data);

/* client_act.c: commands that act. False: the command is another's. */
bool client_other(struct sync_run *r, const struct sync_cmd *cmd);
void act_new(struct sync_run *r, const struct sync_cmd *cmd);
void act_clear(struct sync_run *r, const struct sync_cmd *cmd);
/* The newest order and how far it is, for `show conntrack-sync status`; and its end, for the log. */
struct json_t *act_json(const struct sync_run *r);
void act_pump(struct sync_run *r);

/* client_explain.c: `explain session`, and peers' questions */
void explain_new(struct sync_run *r, const struct sync_cmd *cmd);
void explain_pump(struct sync_run *r);
void explain_free_all(struct sync_run *r);

/* sync_tell.c: SYNC_CMD_FACTS */
void tell_begin(struct sync_run *r, const struct sync_cmd *c);
void tell_free(struct sync_run *r);

#endif
