/*
 * Purpose: why a session is replicated, or not: reads what an operator typed, gathers what a node knows, and makes steps,
 *          a verdict of one line and the line that would change it out of what all nodes know.
 * Owns:    nothing; static const tables.
 * Thread:  SYNC; explain_tuple: any (pure).
 * In:      texts, a kernel's entry, facts of the nodes.   Out: a tuple, facts, texts.
 * Errors:  explain_tuple says what is wrong with which word.
 */
#ifndef KT_SYNC_SYNC_EXPLAIN_H
#define KT_SYNC_SYNC_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sync/sync_fsm.h"
#include "sync/sync_reject.h"

/*
 * src, dst: "192.0.2.1:80", "[2001:db8::1]:80", or an address alone for protocols without ports. ICMP: the id stands
 * behind either address or behind both. GRE: the keys. proto: a word or an IP protocol number. 0, or ERR_MALFORMED with
 * err filled.
 */
int explain_tuple(const char *src, const char *dst, const char *proto, unsigned zone, struct ct_tuple *out, char *err,
		  size_t size);

/*
 * The tuple as it was given and turned round: the kernel finds an entry by its original and by its (translated) reply
 * tuple, so that these find it by all four names that packets of it can have. Of an echo also its answer.
 */
#define EXPLAIN_FORMS 4
unsigned explain_forms(const struct ct_tuple *t, struct ct_tuple out[EXPLAIN_FORMS]);

/* kernel: the entry found there, NULL: none. kernel_err: -errno when it could not be read. s NULL: replicates nothing. */
void explain_facts(const struct sync *s, const struct ct_tuple *asked, const struct ct_entry *kernel, int kernel_err,
		   mono_t now, struct sync_facts *out);

#define EXPLAIN_STEPS  24
#define EXPLAIN_TEXT   240
#define EXPLAIN_CHANGE 320

enum explain_peer_state {
	EXPLAIN_ANSWERED = 0,
	EXPLAIN_DOWN,   /* not connected: text says why */
	EXPLAIN_LOST,   /* the connection ended before the answer */
	EXPLAIN_SILENT, /* no answer in time */
	EXPLAIN_BUSY,   /* too many questions wait already */
};

struct explain_node {
	const char *name;
	uint32_t id;
	enum explain_peer_state state;
	const char *text; /* DOWN: why; never NULL */
	struct sync_facts f;
};

/* nodes[0] is the one that was asked; the others are its peers. */
struct explain_in {
	struct ct_tuple asked;
	struct explain_node nodes[SYNC_NODES_MAX];
	unsigned n;
};

struct explain_step {
	unsigned node;    /* index in explain_in */
	const char *what; /* kernel, table, reason, answer */
	char text[EXPLAIN_TEXT];
};

struct explain_out {
	unsigned n;
	struct explain_step step[EXPLAIN_STEPS];
	const char
	    *code; /* one word: "replicated", that of enum sync_why, of a refusal, "nowhere", "only-on-peer", .. */
	bool replicated;
	char verdict[EXPLAIN_CHANGE];
	char change[EXPLAIN_CHANGE];
};

void explain_build(const struct explain_in *in, struct explain_out *out);

/* The words of one reason: NULL when the table has none (a unit test forbids that). */
const char *explain_why_text(enum sync_why w);
const char *explain_why_change(enum sync_why w);
bool explain_has_reject(enum sync_reject r);
/* SYNC_WHY_N for a word that this version does not know. */
enum sync_why explain_why_of(const char *word);

/* "tcp 192.0.2.1:80 -> 198.51.100.1:443 zone 5". Returns buf. */
char *explain_tuple_text(const struct ct_tuple *t, char *buf, size_t size);

#endif
