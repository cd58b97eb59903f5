/*
 * Purpose: the text of a configuration file with its @include lines replaced by the files they name, and a map back.
 * Owns:    struct cfg_text owns its text and file names until cfg_text_free.
 * Thread:  CONTROL (start and reload; local regular files only, so reads do not wait for others).
 * In:      a path, or a text.   Out: one text, and file and line of each of its lines.
 * Errors:  false, and one message that names the file (or the line of the @include) and what to do.
 *
 * An @include stands alone on a line: @include "FILE". A relative FILE is looked up beside the main file. Expansion is
 * done here, because the library's own scanner ends the process when an included name is a directory.
 */
#ifndef KT_CFG_TEXT_H
#define KT_CFG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include "daemon/cfg.h"

#define CFG_TEXT_MAX     (16u << 20) /* bytes, all files together */
#define CFG_INCLUDE_DEEP 10

struct cfg_text_line {
	unsigned file, line;
};

struct cfg_text {
	char *text;
	size_t len, room;
	struct cfg_text_line *lines;
	unsigned n_lines;
	char **files; /* [0] is the main file */
	unsigned n_files;
};

bool cfg_text_file(struct cfg_text *t, const char *path, struct cfg_errors *errs);
/* name: what messages call the text, and where relative includes are looked up. */
bool cfg_text_string(struct cfg_text *t, const char *text, const char *name, struct cfg_errors *errs);
void cfg_text_free(struct cfg_text *t);
/* File and line of line n (from 1) of the expanded text; the nearest one beyond the ends. */
const char *cfg_text_where(const struct cfg_text *t, unsigned n, unsigned *line);

#endif
