/*
 * Purpose: what the files of check-pair share: app_pair.c (what comes in, answers), app_pair_check.c (a check of one peer),
 *          app_pair_own.c (texts of this node).
 * Owns:    struct pair owns its peers' texts and results.
 * Thread:  CONTROL.
 * In/Out:  see app_pair.h.
 * Errors:  see app_pair.h.
 */
#ifndef KT_APP_PAIR_INT_H
#define KT_APP_PAIR_INT_H

#include "daemon/app.h"
#include "daemon/app_pair.h"
#include "daemon/base/clock.h"
#include "daemon/pair_own.h"

enum { WAITING_MAX = 8 };
#define STEP_NS (200 * NS_PER_MS) /* deadlines are looked at */

enum use { USE_OWN = 0, USE_ANSWER, USES };

/* A text of this node for one purpose. */
struct slot {
	bool wanted, ready, sessions, config;
	uint32_t id;
	char *text;
	size_t len;
	mono_t used_at;
};

enum check_state { CHECK_IDLE = 0, CHECK_FACTS, CHECK_COMPARING };

struct pair_peer {
	uint32_t node;
	bool up;
	struct slot slot[USES];
	enum check_state state;
	bool sessions, again; /* what the check counts; once more, with sessions, when it has ended */
	uint32_t id;
	char *rx;
	uint32_t rx_len, rx_total;
	bool rx_done;
	mono_t until, sent_at;
	int64_t sent_wall_us;
	struct pair_clock clock;
	struct pair_both *both;
	bool both_sessions;
	char error[160];
	mono_t next; /* the next check by itself; MONO_NEVER: none */
	unsigned asks;
	mono_t asks_until;
	struct pair_told told;
};

struct waiting {
	bool used, detail;
	uint64_t token;
};

struct pair {
	struct app *a;
	bool ended;
	struct loop_timer *timer;
	struct pair_peer peer[SYNC_NODES_MAX];
	unsigned n;
	struct pair_own *own; /* being gathered */
	bool own_read;        /* it is with kt-disk */
	uint64_t seq;
	mono_t sync_until;
	uint32_t next_id;
	struct waiting waiting[WAITING_MAX];
};

/* app_pair.c */
/* NULL: no such peer. */
struct pair_peer *app_pair_peer(struct pair *p, uint32_t node);
void app_pair_slot_clear(struct slot *s);
void app_pair_both_free(struct pair_both *b);
/* Answers operators once no check is under way. */
void app_pair_answer(struct pair *p);

/* app_pair_check.c */
/* Begins a check of a peer, with sessions counted or without. */
void app_pair_check(struct pair *p, struct pair_peer *pp, bool sessions);
/* The check has failed: why. */
void app_pair_fail(struct pair *p, struct pair_peer *pp, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Compares when both texts are there. */
void app_pair_advance(struct pair *p, struct pair_peer *pp);
/* A piece of the peer's text. */
void app_pair_piece(struct pair *p, struct pair_peer *pp, const struct peer_msg *m);

/* app_pair_own.c */
/* Gathers the next text that is wanted, unless one is under way. */
void app_pair_gather(struct pair *p);
/* SYNC has answered, or will not: the kernel's side is next. */
void app_pair_read(struct pair *p);
/* A peer asks for a piece of ours. */
void app_pair_ask(struct pair *p, struct pair_peer *pp, const struct peer_facts *f);

#endif
