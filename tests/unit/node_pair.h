/*
 * Purpose: two nodes in one virtual time, with a channel, two segments and one tunnel, for the tests of the node core.
 * Owns:    box[], the queue of what is on its way between them.
 * Thread:  the test's.
 * In:      events and time.   Out: what the nodes did.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_NODE_PAIR_H
#define KT_TESTS_NODE_PAIR_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/node.h"

#define INSTS    2
#define ADV_NS   (100 * NS_PER_MS)
#define ACTS_CAP (NODE_ACTS_FOR(INSTS, 1) + 64)
#define DOWN_NS  (400 * NS_PER_MS) /* longer than any master-down time here */

struct box {
	struct node node;
	struct vrrp inst[INSTS];
	struct vrrp_conf conf[INSTS];
	struct vrrp_vip vip[INSTS];
	struct node_member member[INSTS];
	struct node_group group;
	uint16_t members[INSTS];
	struct node_peer peer[1];
	struct ike_tunnel tunnel;
	struct ike_tunnel_conf tunnel_conf;
	struct node_acts acts;
	struct node_act act_mem[ACTS_CAP];
	struct peer_msg msg_mem[NODE_MSGS_FOR(1)];
	bool alive, asleep, sync_hangs, keeps_all, stopped, aborted, guardian, refused_probe;
	bool link[INSTS];
	enum node_net_mode net;
	enum role_net net_result;
	unsigned told[NODE_TOLD_COUNT], sent[INSTS], zero[INSTS], announced[INSTS], hooks, journals, net_downs;
	unsigned imports, removals; /* of SA copies */
	bool import_hangs;
	mono_t master_since;
};

/* What acts on both nodes; reset by every test. */
extern struct box box[2];
extern mono_t now;
extern bool channel;
extern bool segment[INSTS];    /* adverts pass between the nodes */
extern unsigned lost_msgs;     /* bit per enum peer_msg_type: lost on the way */
extern unsigned seen_msgs[16]; /* by enum peer_msg_type: sent */
struct node_death {
	enum peer_msg_type on;
	int who; /* this node dies when it sends such a message */
};
extern struct node_death death;

enum role_is is(unsigned who);
/* Carries out one action of a node. */
void act(unsigned who, const struct node_act *a);
/* One event, without what follows from it. */
void feed(unsigned who, const struct node_ev *ev);
/* Everything that is on its way arrives. */
void run_queue(void);
/* One event and everything that follows from it at this instant. */
void give(unsigned who, struct node_ev ev);
/* Lets virtual time pass; every deadline is met exactly. */
void pass(int64_t ns);
void set_channel(bool up);
/* SYNC says on both nodes that the other one has everything, or not. */
void replicated(bool all);
void set_link(unsigned who, uint16_t inst, bool up);
void power_on(unsigned who, bool adopting);
/* Both nodes switched off, with these priorities of the two members. */
void world(uint8_t a0, uint8_t a1, uint8_t b0, uint8_t b1);
/* One master, whose addresses are up, and nobody else's. Whoever is dead or asleep does not count. */
void master_is(unsigned who);
/* The last role change of a node. */
const struct role_record *last(unsigned who);
/* The operator of fw-a gives its role away. */
void force_from_a(void);
/* Runs tc, each test from fw-a (0) MASTER and fw-b (1) a ready BACKUP. The exit status of the program. */
int pair_run(const char *name, TCase *tc);

#endif
