/*
 * Purpose: two replication cores wired together in memory, each with a small kernel table that obeys the rules of
 *          ctnetlink that matter here: create is exclusive, related flows need their master, a renewal moves the timer, a
 *          timer that ends makes a DESTROY event with port id 0, packets refresh a timer without an event.
 * Owns:    struct rig.
 * Thread:  the test's.
 * In:      flows, packets, time.   Out: what lies in both tables, what the cores said.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_SYNC_RIG_H
#define KT_TESTS_SYNC_RIG_H

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "sync/sync_int.h"
#include "tests/unit/run.h"

#define RIG_KERN    2048
#define RIG_PORT(n) (1000 + (n)) /* netlink port id of node n's injector */
#define TOOL_PORT   77

struct rig_entry {
	bool used;
	struct ct_entry e;
	mono_t end;
};

struct rig_node {
	struct sync *s;
	uint32_t id;
	struct rig_entry k[RIG_KERN];
	unsigned n, max; /* entries, limit of the table */
	unsigned ops[5];
	int fail;         /* errno for every CREATE, 0: none */
	bool mute_events; /* events are lost */
	bool no_ops;      /* the injector stands still */
	bool no_sweep;
	bool level;                     /* the core is told how full the table is */
	struct ct_tuple made[RIG_KERN]; /* what was created, in order */
	unsigned n_made;
	bool cut; /* records this node sends wait */
	struct sync_rec last[32];
	unsigned sent[32]; /* by record type */
};

struct rig {
	struct rig_node n[2];
	struct sync_conf conf[2];
	mono_t now;
	bool up;
	uint64_t boots;
};

extern bool rig_accounting; /* for the nodes that boot next */

void rig_conf(struct sync_conf *c, uint32_t self);
/* Two nodes that have just booted; no channel, no authority. */
struct rig *rig_new(void);
void rig_free(struct rig *r);
/* Node i dies, if it lives, and boots with an empty memory; its kernel table stays. */
void rig_boot(struct rig *r, unsigned i);

/* The channel, and what a node is told of its roles. */
void rig_up(struct rig *r);
void rig_down(struct rig *r);
void rig_authority(struct rig *r, unsigned i, uint64_t counter, bool any);

/* Time passes in steps of 10 ms; in steps of a second, for long stretches; one step without time. */
void rig_run(struct rig *r, int64_t ns);
void rig_idle(struct rig *r, int64_t ns);
void rig_step(struct rig *r);
/* Parts of a step: records of a node arrive, its operations are carried out, one of them, its table is walked. */
void rig_deliver(struct rig *r, unsigned from);
void rig_ops(struct rig *r, unsigned i);
int rig_op(struct rig *r, unsigned i, const struct ct_op *op);
void rig_sweep(struct rig *r, unsigned i);

/* A flow 192.0.2.x:port -> 198.51.100.7:80, translated to the VIP when nat. */
struct ct_entry rig_flow(uint16_t port, uint8_t l4, bool nat);
/* The flow appears in node i's kernel by a packet: NEW with all its state. */
struct rig_entry *rig_open(struct rig *r, unsigned i, const struct ct_entry *e);
/* A packet refreshes the timer; no event. */
void rig_packet(struct rig *r, unsigned i, const struct ct_entry *e, uint32_t timeout);
/* A kernel's table: NULL where it is not; without an event; away, with the event of this port id; an event alone. */
struct rig_entry *rig_find(struct rig_node *n, const struct ct_tuple *t);
struct rig_entry *rig_insert(struct rig *r, unsigned i, const struct ct_entry *e);
void rig_remove(struct rig *r, unsigned i, struct rig_entry *k, uint32_t portid);
void rig_event(struct rig *r, unsigned i, enum ct_event_type type, uint32_t portid, const struct ct_entry *e);
/* Whole seconds that an entry has left. */
uint32_t rig_left(const struct rig *r, const struct rig_entry *k);

/* What node i's core knows of a flow; why is SYNC_WHY_N when it is nothing. */
struct sync_view rig_view(struct rig *r, unsigned i, const struct ct_entry *e);
bool rig_known(struct rig *r, unsigned i, const struct ct_entry *e);
/* Lists, queues and digests agree with the records: what is counted step by step equals a count from nothing. */
void rig_check(struct sync *s);
/* Do both nodes say that the tables are equal? */
bool rig_equal(struct rig *r);

#endif
