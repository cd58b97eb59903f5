/*
 * Purpose: one script of address, link, route and rule operations, with what the kernel must answer and hold after each. The fake
 *          kernel and the real one run the same table.
 * Owns:    nothing.
 * Thread:  one at a time.
 * In:      a backend.   Out: number of steps that differ, each told on stderr.
 * Errors:  none beyond that number.
 */
#ifndef KT_TESTS_RTNL_SCRIPT_H
#define KT_TESTS_RTNL_SCRIPT_H

#include "daemon/netstate.h"
#include "daemon/rtnl_route.h"

enum step_kind {
	STEP_PAIR = 0, /* make the pair va - vb */
	STEP_LINK_DEL,
	STEP_UP,
	STEP_DOWN,
	STEP_RENAME,  /* to arg */
	STEP_ADD,     /* ours: marked, IPv6 without DAD */
	STEP_FOREIGN, /* somebody else's: no mark */
	STEP_REPLACE, /* somebody else's, over what is there */
	STEP_DEL,
	STEP_ROUTE_ADD, /* ours; arg in the words of ip-route(8) */
	STEP_ROUTE_DEL,
	STEP_ROUTE_FOREIGN,     /* somebody else's, of protocol 99 */
	STEP_ROUTE_FOREIGN_DEL, /* that one */
	STEP_RULE_ADD,          /* in the words of ip-rule(8) */
	STEP_RULE_DEL,
};

struct script_step {
	enum step_kind kind;
	const char *link; /* name */
	const char *arg;  /* ADDR/LEN or new name */
	int err;          /* expected errno, 0: success */
	/* expected model, fed by events only: links by name, "u" up, "c" carrier, addresses in order of their text,
	   "s" secondary, "*" our mark; behind them the numbers of our routes and rules that are there */
	const char *model;
};

extern const struct script_step script[];
extern const unsigned script_len;

struct script_backend {
	void *arg;
	/* -errno; index is that of step->link (0: absent), a the parsed argument */
	int (*run)(void *arg, const struct netstate *ns, const struct script_step *step, int index,
		   const struct net_addr *a);
	/* feeds events into the model until everything that followed from the step was seen */
	void (*feed)(void *arg, struct netstate *ns);
};

/* The operation of a step about a route or rule; false for other steps. interfaces are looked up in ns. */
bool script_route(const struct script_step *s, const struct netstate *ns, struct rtnl_route *out);
bool script_rule(const struct script_step *s, struct rtnl_rule *out);
/* Declares the routes and rules that the script is about, so that the model knows them. */
void script_declare(struct netstate *ns);
/* The model of va, vb and vc in the notation above; buf of at least 1024 bytes. */
void script_model(const struct netstate *ns, char *buf, size_t cap);
/* Number of steps with a wrong answer or a wrong model. */
unsigned script_run(const struct script_backend *b, struct netstate *ns);

#endif
