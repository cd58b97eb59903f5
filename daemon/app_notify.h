/*
 * Purpose: what instances and groups became, told in keepalived's words and order (daemon/notify_io.h tells it).
 * Owns:    what was told last of each.
 * Thread:  CONTROL.
 * In:      changes of roles and instances, priorities, reloads, the end.
 * Out:     news.
 * Errors:  without memory nobody is told, and the log says so.
 *
 * Level, not edge: the state of an instance follows from its own and its group's role, and is told when it differs from
 * what was told last. That a role begins to change is nothing to tell; that it has changed is: addresses are there, or
 * gone.
 */
#ifndef KT_APP_NOTIFY_H
#define KT_APP_NOTIFY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/reload_map.h"

struct app;
struct app_notify;

/* 0 or -errno. Nothing is made where nobody is told of anything. */
int app_notify_start(struct app *a);
void app_notify_free(struct app *a);
/* The group has another role. A group that begins as BACKUP is told before its members, later after them. */
void app_notify_role(struct app *a, uint16_t group);
/* A role that went on in this process is what it is by now: nobody is told of MASTER once more. */
void app_notify_resumed(struct app *a, uint16_t group);
/* The state of an instance changed; its group may be in between. */
void app_notify_inst(struct app *a, uint16_t inst);
/* A MASTER hears a lower router that believes to be master too. */
void app_notify_lower(struct app *a, uint16_t inst);
/* The priority of an instance may have changed. */
void app_notify_priority(struct app *a, uint16_t inst);
/* Every group rests because the daemon ends. */
void app_notify_stop(struct app *a);
/* Nothing waits to be told. */
bool app_notify_idle(const struct app *a);
/* The same but for pipes, whose readers may never come. */
bool app_notify_runs_nothing(const struct app *a);
/*
 * After a reload, with the new arrays in force and the groups' roles carried over. True: the old configuration belongs
 * to the notifications now.
 */
bool app_notify_reload(struct app *a, struct cfg *old, const struct reload_map *map);
/* Before that, with the old ones in force: what the new configuration does not have. */
void app_notify_deleted(struct app *a, const struct reload_map *map);

struct notify_io;
const struct notify_io *app_notify_io(const struct app_notify *n);
/* show notify */
json_t *show_notify(struct app *a);

#endif
