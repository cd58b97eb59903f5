/*
 * Purpose: comparing this node with its peers: facts of this node for itself and for those who ask, facts of the peers,
 *          the comparison on request and by itself, its lines in the log.
 * Owns:    struct pair: texts, results and waiting requests.
 * Thread:  CONTROL; reading files and comparing run on kt-disk, sessions are counted by SYNC.
 * In:      messages of the peers, reports of SYNC, requests.   Out: messages, answers, log lines.
 * Errors:  why a peer cannot be compared stands in its result, in words.
 */
#ifndef KT_APP_PAIR_H
#define KT_APP_PAIR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/ctl.h"
#include "daemon/pair_check.h"
#include "sync/peer_msg.h"
#include "sync/sync_conf.h"
#include "sync/sync_facts.h"

struct app;
struct pair;
struct sync_report;

/* Two sets of facts, the texts that they point into, and their comparison. Made on kt-disk. */
struct pair_both {
	char *text[2]; /* ours, theirs */
	size_t len[2];
	enum pair_drop drop[2];
	struct pair_facts facts[2];
	struct pair_result result;
	struct pair_clock clock;
};

/* One peer as show_pair has it. */
struct pair_view {
	uint32_t node;
	const struct pair_both *both; /* NULL: could not be compared */
	const char *error;            /* why */
	bool sessions;                /* sessions were counted */
};

int app_pair_start(struct app *a);
/* First step of the end: nothing is begun any more. */
void app_pair_end(struct app *a);
/* After the KERNEL thread has ended. */
void app_pair_free(struct app *a);
/* FACTS_ASK and FACTS; HELLO: the peer may have changed. */
void app_pair_msg(struct app *a, uint32_t node, const struct peer_msg *m);
/* The channel to this node went up or down. */
void app_pair_channel(struct app *a, uint32_t node, bool up);
/* SYNC_REP_FACTS; the facts pass. */
void app_pair_facts(struct app *a, const struct sync_report *rep);
/* After a reload. */
void app_pair_reload(struct app *a);
/* `show pair`: CTL_OK with *reply, CTL_LATER, or a code with req->message. */
int app_pair_show(struct app *a, struct ctl_request *req, json_t **reply);

/* app_pair_tell.c: what was in the log last time. */
struct pair_told {
	uint64_t hash[PAIR_FINDINGS_MAX];
	unsigned n;
};
/* Logs what matters and is new. */
void pair_tell(const struct app *a, uint32_t node, struct pair_told *was, const struct pair_result *r);

/* show_pair.c */
json_t *show_pair(struct app *a, const struct pair_view *view, unsigned n, bool detail);

#endif
