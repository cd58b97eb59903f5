/*
 * Purpose: what prog_io.c (requests, tunnels, starting) and prog_end.c (output, ends) share.
 * Owns:    struct prog.
 * Thread:  CONTROL.
 * In/Out:  plain data.
 * Errors:  none.
 */
#ifndef KT_PROG_INT_H
#define KT_PROG_INT_H

#include "daemon/base/err.h"
#include "ike-hooks/child_io.h"
#include "ike-hooks/prog_io.h"

#define PROG_NOBODY (-1)
#define PROG_ALL    (-2)

/* A request that did not begin yet. */
struct prog_job {
	bool wanted;
	enum ike_verb verb;
	struct prog_tag tag;
	const char *reason;
	uint64_t order;
};

/* What one list or probe speaks of: all tunnels of libreswan, one of exec. */
struct prog_unit {
	bool up, running;
	bool doubt; /* a list failed: a probe is next */
	mono_t next;
};

struct prog_tunnel {
	const struct ike_tunnel_conf *conf;
	uint16_t index; /* the caller's */
	bool running;   /* a program of this tunnel */
	struct prog_job drop, then;
	bool list_wanted;
	struct prog_tag list_tag;
	mono_t list_asked;
	struct prog_unit unit;
	struct ike_watch watch;
	struct ike_sample sample; /* of the list under way */
	bool said;                /* the list under way says something of this tunnel */
};

/* A program that runs, by its slot. */
struct prog_run {
	bool version; /* whack --version, not a verb */
	enum ike_verb verb;
	int who; /* tunnel, PROG_ALL or PROG_NOBODY */
	struct prog_tag tag;
	mono_t began;
	size_t bytes;
	struct sa_lines lines;
	char last[PROG_TEXT_MAX];
};

struct prog {
	struct loop *loop;
	enum ike_backend backend;
	const struct ike_backend_info *info;
	prog_fn fn;
	prog_env_fn env;
	void *arg;
	struct children *children;
	struct loop_timer *timer;
	const char *whack, *ctl;
	struct prog_tunnel *t;
	uint16_t *by_name; /* tunnels in the order of their connections */
	uint16_t n;
	struct prog_unit all;
	struct prog_run run[CHILD_SLOTS];
	unsigned lists; /* running */
	uint64_t order;
	bool starting, version_wanted;
	mono_t hold; /* nothing is started before */
	char version[PROG_TEXT_MAX], error[PROG_TEXT_MAX];
	struct prog_counters count;
};

static inline struct prog_unit *prog_unit_of(struct prog *p, struct prog_tunnel *t)
{
	return p->info->one_list ? &p->all : &t->unit;
}

static inline struct prog_tunnel *prog_tunnel_at(const struct prog *p, int who)
{
	return who >= 0 && who < p->n ? &p->t[who] : NULL;
}

static inline bool prog_is_list(enum ike_verb v)
{
	return v == IKE_VERB_LIST || v == IKE_VERB_PROBE;
}

/* prog_io.c: starts what is due and has room. */
void prog_kick(struct prog *p);
/* prog_end.c: of children_new. */
void prog_output(void *arg, unsigned slot, const char *data, size_t n);
void prog_ended(void *arg, unsigned slot, const struct child_result *c);

#endif
