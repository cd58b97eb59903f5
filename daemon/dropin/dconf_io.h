/*
 * Purpose: reads conntrackd.conf from disk into a configuration tree, with what the machine has to say about it.
 * Owns:    nothing.
 * Thread:  CONTROL at start, kt-disk at a reload; local files and one request to the kernel.
 * In:      a path, the routers that were heard.   Out: a filled tree, what belongs to the process.
 * Errors:  messages in struct cfg_errors; false when there was an error.
 *
 * conntrackd has no key. It is looked for in KeeptrackdKey, then beside the file (conntrackd.conf: conntrackd.key), then
 * in the system's conntrackd.key. A key file that holds nothing but the word insecure says that none is wanted.
 */
#ifndef KT_DCONF_IO_H
#define KT_DCONF_IO_H

#include <stdbool.h>
#include "daemon/cfg_tree.h"
#include "daemon/dropin/dconf.h"

/* Routers that were heard on the multicast group. */
struct dconf_found {
	struct dconf_peer peer[SYNC_NODES_MAX - 1];
	unsigned n;
};

/* found may be NULL; proc is filled in as far as the file could be read. */
bool cfg_read_conntrackd(struct cfg_tree *t, const char *path, const struct dconf_found *found, struct dconf_proc *proc,
			 struct cfg_errors *errs);
/* The same for a text; name stands in messages, and a key is looked for beside it. */
bool cfg_text_conntrackd(struct cfg_tree *t, const char *text, const char *name, const struct dconf_found *found,
			 struct dconf_proc *proc, struct cfg_errors *errs);

#endif
