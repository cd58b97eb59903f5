/*
 * Purpose: what the files of the tracking shell share; nobody else includes it.
 * Owns:    nothing.
 * Thread:  CONTROL.
 * In/Out:  see app_track.h.
 * Errors:  see app_track.h.
 */
#ifndef KT_TRACK_INT_H
#define KT_TRACK_INT_H

#include "daemon/app_track.h"
#include "ike-hooks/child_io.h"

struct track_scripts;
struct track_ifaces;
struct track_processes;
struct track_files;
struct track_tables;

struct app_track {
	struct app *app;
	const struct cfg *cfg;
	struct vrrp_track_obj *obj; /* cfg->track.n_objs */
	uint32_t *user_at;          /* by thing, and one behind the last: its part of user[] */
	uint16_t *user;             /* groups that refer to a thing */
	uint8_t *marks;             /* by instance; scratch */
	struct track_scripts *scripts;
	struct track_ifaces *ifaces;
	struct track_processes *processes;
	struct track_files *files;
	struct track_tables *tables;
	struct log_rate rate, moves; /* lines about things, and about priorities */
};

/* app_track.c: a result, or a number, of one thing. why: of a failure, for the log; may be empty. */
void track_report(struct app_track *t, uint16_t obj, bool ok, const char *why);
void track_report_value(struct app_track *t, uint16_t obj, int64_t value, const char *why);

/* The thing in the configuration of before; -1: it is new. */
int track_old(const struct cfg *old, const struct cfg *now, uint16_t obj);

/* What the shell keeps for one thing begins with this. */
struct track_item {
	struct app_track *t;
	uint16_t obj;
	bool used;
};
struct track_list {
	struct track_item **item; /* by index of the configuration */
	uint16_t n;
};
/*
 * The things of one kind in t->cfg: those of old (NULL: none) go on, new ones are zero but for their head; size bytes
 * each. gone receives the rest of the former list, which the caller ends and frees (holes are NULL). -ENOMEM: part of
 * the list is NULL.
 */
int track_list_set(struct app_track *t, const struct cfg *old, enum vrrp_track_kind kind, size_t size,
		   struct track_list *list, struct track_list *gone);
static inline const struct vrrp_track_conf *track_conf(const struct track_item *i)
{
	return &i->t->cfg->track.objs[i->obj];
}

/* A state that has to last before it counts. */
struct track_delay {
	struct loop_timer *timer;
	bool seen, ok; /* as observed */
};
/* True: it counts now. else a timer runs, and what is observed then counts. */
bool track_delay_note(struct track_delay *d, const struct vrrp_track_obj *o, bool ok, int64_t wait_ns);
/* Observed, but not for long enough. */
bool track_delayed(const struct track_delay *d, const struct vrrp_track_obj *o);

/* Each kind: made once; set: the things of t->cfg, of which those of old (NULL: none) go on. */
struct track_scripts *track_scripts_new(struct app_track *t);
void track_scripts_free(struct track_scripts *s);
int track_scripts_set(struct track_scripts *s, const struct cfg *old);
json_t *track_scripts_json(const struct track_scripts *s, uint16_t index);
bool track_scripts_running(const struct track_scripts *s, uint16_t index);
void track_scripts_clear(struct track_scripts *s);

struct track_ifaces *track_ifaces_new(struct app_track *t);
void track_ifaces_free(struct track_ifaces *s);
int track_ifaces_set(struct track_ifaces *s, const struct cfg *old);
void track_ifaces_all(struct track_ifaces *s);
void track_ifaces_link(struct track_ifaces *s, const struct net_link *l);
json_t *track_ifaces_json(const struct track_ifaces *s, uint16_t index);

struct track_processes *track_processes_new(struct app_track *t);
void track_processes_free(struct track_processes *s);
int track_processes_set(struct track_processes *s, const struct cfg *old);
json_t *track_processes_json(const struct track_processes *s, uint16_t index);
/* What is seen of them does not count yet. */
bool track_processes_delayed(const struct track_processes *s, uint16_t index);
/* How processes are seen: "events", "scan"; "" where none is tracked. */
const char *track_processes_how(const struct track_processes *s);

struct track_files *track_files_new(struct app_track *t);
void track_files_free(struct track_files *s);
int track_files_set(struct track_files *s, const struct cfg *old);
json_t *track_files_json(const struct track_files *s, uint16_t index);

struct track_tables *track_tables_new(struct app_track *t);
void track_tables_free(struct track_tables *s);
int track_tables_set(struct track_tables *s, const struct cfg *old);
json_t *track_tables_json(const struct track_tables *s, uint16_t index);

#endif
