/*
 * Purpose: what an engine leaves to the process that takes its place when it dies: the way its configuration is read, which
 *          groups it served and when it spoke last, and descriptors that must not close with it.
 * Owns:    struct legacy: descriptors; struct legacy_area: a mapping.
 * Thread:  the main thread before the loop, CONTROL afterwards; the area is read by another process at any time.
 * In:      configuration, roles.   Out: the same, in the heir.
 * Errors:  -errno; an area that is not whole is none.
 *
 * The guardian sleeps on a pipe whose other end the heir holds as well: it acts when both processes are gone. The listening
 * sockets stay open, so that no peer is refused and takes that for a death. The socket where engines meet stays bound.
 */
#ifndef KT_LEGACY_H
#define KT_LEGACY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"
#include "daemon/cfg.h"
#include "daemon/dropin/dconf_io.h"
#include "sync/sync_conf.h"

#define LEGACY_GUARDIANS 8
#define LEGACY_FDS_MAX   (SYNC_LINKS_MAX + 2)
#define LEGACY_PATH_MAX  4096

/* In the process that would inherit. */
struct legacy {
	int area, rendezvous;           /* -1: none */
	int guardian[LEGACY_GUARDIANS]; /* of several engines that died in turn: each waits for a goodbye */
	unsigned n_guardians;
	int listener[SYNC_LINKS_MAX]; /* -1: none */
	int successor;                /* pidfd of the process that the place was given to; below 0: none */
};

enum legacy_state {
	LEGACY_INCOMPLETE = 0,
	LEGACY_SERVES,
	LEGACY_ENDS, /* an orderly end has begun: nothing is inherited */
};

struct legacy_group {
	char name[VRRP_NAME_MAX];
	_Atomic uint32_t master;
	_Atomic int64_t spoke; /* mono_t of the last advert */
};

/* Shared memory, written by the engine. */
struct legacy_area {
	uint64_t magic;
	uint32_t size, n_groups;
	_Atomic uint32_t state; /* enum legacy_state */
	int32_t format;         /* enum cfg_format */
	uint8_t all_includes, keep_at_stop, realtime, has_namespace, has_place, has_id;
	char config[LEGACY_PATH_MAX]; /* absolute */
	char config_id[256];
	char namespace[CFG_PLACE_MAX], place[CFG_PLACE_MAX];
	char run_dir[CFG_PATH_MAX];
	struct dconf_found found;
	_Atomic uint64_t epoch_counter;
	_Atomic uint32_t epoch_node;
	struct legacy_group group[];
};

void legacy_init(struct legacy *l);
/* Closes everything: a guardian that nobody else holds by its pipe acts now. */
void legacy_close(struct legacy *l);
/* Everything of `from` that `to` lacks moves there; guardians all do. */
void legacy_merge(struct legacy *to, struct legacy *from);
/* An engine that serves has said what it leaves: what earlier ones left is closed, but listeners that it did not tell yet. */
void legacy_replace(struct legacy *old, struct legacy *now);
/* The guardians leave what is there to this process, which has one of its own by now. */
void legacy_release_guardians(struct legacy *l);
/* Something can be inherited: an area whose engine served virtual routers to its end. */
bool legacy_serves(const struct legacy *l);

/* Descriptors arrive, named by a word: "area", "guardian", "rendezvous" (one each), "listeners" (all of them). Unknown: closed. */
void legacy_take(struct legacy *l, const char *word, const int *fd, unsigned n);

/* A new area, mapped, with room for n_groups; *fd is the caller's. NULL with errno. */
struct legacy_area *legacy_area_new(uint32_t n_groups, int *fd);
/* Another process's area, checked; NULL: none, or not whole. */
struct legacy_area *legacy_area_map(int fd);
void legacy_area_unmap(struct legacy_area *a);
/* The group of this name, the search beginning at `near`; NULL: none. */
struct legacy_group *legacy_area_group(struct legacy_area *a, const char *name, uint32_t near);

/* For the same process after exec: descriptors as text, inherited from now on; and back, close-on-exec again. */
size_t legacy_print(const struct legacy *l, char *out, size_t cap);
bool legacy_parse(struct legacy *l, const char *text);

#endif
