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

struct app_track {
	struct app *app;
	const struct cfg *cfg;
	struct vrrp_track_obj *obj; /* cfg->track.n_objs */
	uint32_t *user_at;          /* by thing, and one behind the last: its part of user[] */
	uint16_t *user;             /* groups that refer to a thing */
	uint8_t *marks;             /* by instance; scratch */
	struct track_scripts *scripts;
	struct track_ifaces *ifaces;
	struct log_rate rate;
};

/* app_track.c: a result, or a number, of one thing. why: of a failure, for the log; may be empty. */
void track_report(struct app_track *t, uint16_t obj, bool ok, const char *why);
void track_report_value(struct app_track *t, uint16_t obj, int64_t value, const char *why);
/* The thing in the configuration of before; -1: it is new. */
int track_old(const struct cfg *old, const struct cfg *now, uint16_t obj);

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

#endif
