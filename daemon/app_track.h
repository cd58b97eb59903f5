/*
 * Purpose: the shell of tracking: watches scripts, links, processes, files and the conntrack table, and tells the node
 *          core what follows for priorities and faults.
 * Owns:    struct app_track: what is known of each thing, the programs that run.
 * Thread:  CONTROL. Programs are started by a thread of child_io; files and /proc are read by kt-disk.
 * In:      the configuration, links, ends of programs, events of the kernel.   Out: NODE_EV_TRACK, log lines, JSON.
 * Errors:  what cannot be watched has failed, and says why; 0 or -errno from app_track_start.
 */
#ifndef KT_APP_TRACK_H
#define KT_APP_TRACK_H

#include "daemon/app.h"

/* Before the links are known: the first runs of scripts begin. */
int app_track_start(struct app *a);
void app_track_stop(struct app *a);
/* The kernel's links are known, or known anew. */
void app_track_links(struct app *a);
void app_track_link(struct app *a, const struct net_link *l);
/* After a reload, before the node core decides anything: what did not change keeps its state. */
void app_track_reload(struct app *a, const struct cfg *old);
/* The priority of this instance has moved: by what. */
void app_track_tell(struct app *a, uint16_t inst, uint8_t from, uint8_t to);
/* show vrrp track */
json_t *app_track_json(struct app *a);
void app_track_clear(struct app *a);
/* What is known of a thing of the configuration; its program runs just now, or a delay of its processes does. */
/* All of them, by their numbers in the configuration. */
const struct vrrp_track_obj *app_track_all(const struct app *a);
const struct vrrp_track_obj *app_track_obj(const struct app *a, uint16_t obj, bool *running);

#endif
