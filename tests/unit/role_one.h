/*
 * Purpose: one role transaction, driven by hand.
 * Owns:    r, out, now.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_ROLE_ONE_H
#define KT_TESTS_ROLE_ONE_H

#include "daemon/role.h"
#include "tests/unit/run.h"

extern struct role r;
extern struct role_acts out; /* what the last step did */
extern mono_t now;

/* A transaction that nothing has happened to, of node 2. */
void setup(void);
/* Does the last step contain such an action, and at which index: -1 where it does not. */
bool has(enum role_act_type t);
int at(enum role_act_type t);
void step(struct role_ev ev);
/* The next deadline passes. */
void tick(void);
/* Events: of a node with peer, channel, sessions and tunnels; answers bear the epoch of the machine. */
struct role_ev wish(enum role_is target, enum role_kind kind, enum role_reason reason);
struct role_ev answer(enum role_ev_type t);
struct role_ev peer(enum role_peer_msg m, struct epoch e);
struct role_ev net(enum role_net state, int err);
/* From INIT to these roles, every step answered at once. */
void to_backup(void);
void to_master(void);
/* Runs tc with the fixture; the exit status of the program. */
int role_one_run(const char *name, TCase *tc);

#endif
