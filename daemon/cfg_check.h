/*
 * Purpose: what the files that judge a configuration share among themselves; nobody else includes it.
 * Owns:    nothing.
 * Thread:  CONTROL, kt-disk (pure).
 * In:      a tree.   Out: messages.
 * Errors:  see cfg_tree.h.
 */
#ifndef KT_CFG_CHECK_H
#define KT_CFG_CHECK_H

#include "daemon/cfg_tree.h"

struct cfg_checker {
	const struct cfg_tree *t;
	struct cfg_errors *errs;
	const struct cfg_val *instances, *groups, *overrides, *nodes, *tunnels;
};

/* cfg_check.c */
/* Every name of a list once. */
void cfg_check_names(struct cfg_checker *c, const struct cfg_val *list);
/* The interface of an instance on this node; NULL: not usable. */
const char *cfg_check_interface(const struct cfg_checker *c, const struct cfg_rec *inst);

/* cfg_check_inst.c */
void cfg_check_instances(struct cfg_checker *c);
/* Each virtual address has one place. All of them, sorted, are the caller's to free; how many. */
unsigned cfg_check_vips(struct cfg_checker *c, struct addr **out);

/* cfg_check_node.c */
void cfg_check_cluster(struct cfg_checker *c);

/* cfg_notify.c */
void cfg_check_notify(struct cfg_checker *c);

/* cfg_check_vmac.c */
void cfg_check_vmac(struct cfg_checker *c);

#endif
