/*
 * Purpose: keepalived.conf -> the configuration tree that our own file gives, with keepalived's defaults and quirks.
 * Owns:    the tree belongs to the caller.
 * Thread:  CONTROL at the start, kt-disk at a reload; nothing is shared.
 * In:      statements (kconf_lex.h).   Out: struct cfg_tree.
 * Errors:  what keepalived drops or clamps is dropped or clamped and a warning; what this daemon cannot do is an error
 *          with its remedy; what has no effect here is a note, once for each word. All name file and line.
 */
#ifndef KT_KCONF_MAP_H
#define KT_KCONF_MAP_H

#include "daemon/cfg_tree.h"
#include "daemon/dropin/kconf_lex.h"

/* The tree of a file that was read; never NULL, errs says whether it may be used. */
struct cfg_tree *kconf_map(struct kconf *k, const char *file, struct cfg_errors *errs);
/* Reads and maps. NULL: nothing that could be read. */
struct cfg_tree *kconf_tree_file(const char *path, const struct kconf_opts *o, struct cfg_errors *errs);
/* The same for a text. */
struct cfg_tree *kconf_tree_text(const char *text, const char *file, const struct kconf_opts *o,
				 struct cfg_errors *errs);
/* True when the text looks like keepalived's and not like ours: its first word is followed by neither = nor :. */
bool kconf_looks_like(const char *text);

#endif
