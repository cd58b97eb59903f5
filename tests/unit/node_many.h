/*
 * Purpose: one node with two groups, five tunnels and two peers, driven by hand; the rest of the world answers at once.
 * Owns:    node and its parts, the log of what it did.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_NODE_MANY_H
#define KT_TESTS_NODE_MANY_H

#include "daemon/node.h"
#include "tests/unit/run.h"

#define GROUPS  2
#define TUNNELS 5
#define PEERS   2
#define ADV_NS  (100 * NS_PER_MS)
#define DOWN_NS (400 * NS_PER_MS) /* longer than any master-down time here */
#define LOG_MAX 1024

extern struct node node; /* node 1; its peers are 2 and 3 */
extern struct vrrp inst[GROUPS];
extern struct vrrp_conf conf[GROUPS];
extern struct node_group group[GROUPS];
extern struct node_peer peer[PEERS];
extern struct ike_tunnel tunnel[TUNNELS];
extern mono_t now;

/* What was done since the log was emptied; messages by value. */
extern struct node_act done[LOG_MAX];
extern unsigned n_done;
extern bool ike_answers; /* the IKE daemon does what it is asked for, at once */

/* An event and what follows from it at this instant. */
void give(struct node_ev ev);
/* What the IKE daemon says to an order. */
void answer_ike(const struct node_act *a);
/* Lets virtual time pass; every deadline is met exactly. */
void pass(int64_t ns);

/* What peers say: of both groups, a message about one, and what a master advertises on a group's segment. */
void connect_peer(uint32_t from);
void heartbeat(uint32_t from, enum peer_role role0, enum peer_role role1, uint8_t priority, bool ready);
void backup(uint32_t from, uint8_t priority, bool ready);
void message(uint32_t from, enum peer_msg_type type, uint16_t g, struct epoch e);
void advert(uint16_t i, uint8_t priority);
void advert_every(uint16_t i, uint8_t priority, int64_t adv_ns);

/* Only group 0's master fell silent: group 1 has one elsewhere. */
void take_group_0(void);
void master_of_both(void);

/* The log: the nth message of this type that was said (NULL: there is none), orders for a tunnel, the last authority. */
const struct node_act *message_said(enum peer_msg_type type, unsigned nth);
unsigned ike_count(uint16_t t, enum ike_act_kind kind);
struct sync_authority last_authority(void);

/* Runs t with a node that has just started; the exit status of the program. */
int node_many_run(const char *name, TCase *t);

#endif
