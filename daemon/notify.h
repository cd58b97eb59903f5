/*
 * Purpose: the one ordered queue of what has to be told of instances and groups: to programs, to named pipes, by mail.
 * Owns:    what waits (a slab), and the order of it for each receiver.
 * Thread:  CONTROL (pure).
 * In:      what an instance or group became; a receiver has done with what it took.
 * Out:     what a receiver takes next.
 * Errors:  a full queue drops what newer news of the same subject replaces; what is lost is counted by receiver.
 *
 * Every receiver takes one piece of news at a time, in the order in which they happened, and asks for the next when it
 * has done with it. News that have waited for longer than NOTIFY_STALE_NS while newer ones of the same subject and kind
 * wait behind them are not told any more (superseded): a slow receiver is not told history, and the last state always
 * arrives. A fast one is told everything.
 */
#ifndef KT_NOTIFY_H
#define KT_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/list.h"
#include "daemon/base/mono.h"
#include "daemon/base/slab.h"
#include "daemon/notify_conf.h"
#include "vrrp/vrrp_conf.h"

#define NOTIFY_STALE_NS (1 * NS_PER_SEC)

enum notify_sink {
	NOTIFY_TO_SCRIPTS = 0,
	NOTIFY_TO_FIFO, /* NOTIFY_TO_FIFO + NOTIFY_FIFO_* */
	NOTIFY_TO_VRRP_FIFO,
	NOTIFY_TO_MAIL,
	NOTIFY_SINKS
};

/* What is told, in keepalived's words. */
enum notify_what {
	NOTIFY_IS_MASTER = 0,
	NOTIFY_IS_BACKUP,
	NOTIFY_IS_FAULT,
	NOTIFY_IS_STOP,
	NOTIFY_IS_DELETED,
	NOTIFY_IS_GONE, /* deleted too, and told as FAULT: the program for a fault is not run */
	NOTIFY_RX_LOWER,
	NOTIFY_MASTER_PRIORITY,
	NOTIFY_BACKUP_PRIORITY,
	NOTIFY_WHAT_N
};

/* News replace only older ones of their kind. */
enum notify_kind { NOTIFY_K_STATE = 0, NOTIFY_K_LOWER, NOTIFY_K_PRIORITY, NOTIFY_KINDS };

#define NOTIFY_NOBODY UINT32_MAX /* a subject that is not there any more */

struct notify_news {
	char name[VRRP_NAME_MAX];
	bool group;
	enum notify_what what;
	uint8_t priority; /* of the instance; groups 0 */
	uint32_t subject; /* below the number given to notify_init; NOTIFY_NOBODY: it replaces nothing */
	unsigned sinks;   /* bit per receiver */
	struct epoch epoch;
	const struct notify_conf *conf; /* whose programs are run; must live until nothing of its generation is left */
	uint32_t generation;            /* of the configuration */
};

struct notify_item {
	struct list node[NOTIFY_SINKS];
	struct notify_news news; /* sinks: those that have not done with it */
	mono_t at;
	uint32_t self;
};

/* The newest that waits, by receiver and kind; 0: none. */
struct notify_subject {
	uint32_t newest[NOTIFY_SINKS][NOTIFY_KINDS];
};

struct notify_count {
	uint64_t told, failed; /* failed: told, and it did not end well */
	uint64_t superseded;   /* newer news of the same kind waited */
	uint64_t dropped;      /* never told although nothing newer was there */
	uint32_t waiting;
};

struct notify {
	struct slab items;
	struct notify_subject *subject;
	uint32_t n_subjects;
	struct {
		struct list queue;
		uint32_t at; /* what it is busy with; 0: nothing */
		bool held;   /* takes nothing now */
		struct notify_count n;
	} sink[NOTIFY_SINKS];
};

enum notify_ev_type {
	NOTIFY_EV_NEWS = 0, /* u.news */
	NOTIFY_EV_DONE,     /* u.sink has done with what it took; ok */
	NOTIFY_EV_HOLD,     /* u.sink takes nothing until further notice */
	NOTIFY_EV_FREE,     /* u.sink takes again */
	NOTIFY_EV_CLOSED,   /* u.sink is no more: what waits for it is dropped */
};

struct notify_ev {
	enum notify_ev_type type;
	enum notify_sink sink;
	bool ok;
	const struct notify_news *news;
};

/* The receiver takes this piece of news; it stays readable until DONE. */
struct notify_act {
	enum notify_sink sink;
	const struct notify_item *item;
};

struct notify_acts {
	unsigned n;
	struct notify_act a[NOTIFY_SINKS];
};

/* subject: an array of n_subjects zeroed ones, the caller's, which must stay. Allocates nothing yet. */
void notify_init(struct notify *n, struct notify_subject *subject, uint32_t n_subjects);
void notify_free(struct notify *n);
/* One event. out is emptied first. */
void notify_step(struct notify *n, const struct notify_ev *ev, mono_t now, struct notify_acts *out);
/* After a reload: subject i of before is subject map[i] of now (NOTIFY_NOBODY: it is gone). The old array is free then. */
void notify_renumber(struct notify *n, struct notify_subject *subject, uint32_t n_subjects, const uint32_t *map);
/* Nothing waits for this receiver and it is busy with nothing. */
bool notify_idle(const struct notify *n, enum notify_sink sink);
/* The least generation of what waits or is being told; UINT32_MAX: nothing is. */
uint32_t notify_generation(const struct notify *n);

/* No program of its own is run any more for what waits: its configuration goes. */
void notify_orphan(struct notify *n);

/* "MASTER", ..., "MASTER_RX_LOWER_PRI". */
const char *notify_what_text(enum notify_what what);
/* "scripts", "fifo", "vrrp fifo", "mail". */
const char *notify_sink_text(enum notify_sink sink);
enum notify_kind notify_kind_of(enum notify_what what);
/* The program of its own that this is told to; NOTIFY_WHICH_N: none has. */
enum notify_which notify_which_of(enum notify_what what);

#define NOTIFY_LINE_MAX 128
/* INSTANCE "name" MASTER 100\n; its length. */
size_t notify_line(const struct notify_news *news, char out[NOTIFY_LINE_MAX]);
/* The four words behind the arguments of a program that is told everything. */
struct notify_words {
	char priority[4];
	const char *word[4];
};
void notify_words(const struct notify_news *news, struct notify_words *out);
/*
 * The message, headers first, as sendmail -t reads it. date: as in RFC 5322 3.3, or empty. The number of bytes, below
 * cap; 0: it has no room, or this is not told by mail.
 */
size_t notify_message(const struct notify_news *news, const struct notify_mail_conf *mail, const char *host,
		      const char *date, char *out, size_t cap);

#endif
