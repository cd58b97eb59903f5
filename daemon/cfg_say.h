/*
 * Purpose: what a configuration's readers found, put where people look for it.
 * Owns:    nothing.
 * Thread:  CONTROL.
 * In:      struct cfg_errors.   Out: lines of the log, or of a stream.
 * Errors:  none.
 */
#ifndef KT_CFG_SAY_H
#define KT_CFG_SAY_H

#include <stdio.h>
#include "daemon/cfg.h"

/* All of it, the grave things first; notes only when asked for. */
void cfg_say(const struct cfg_errors *errs, bool notes, FILE *out);
/* Errors as ERR, warnings and what is missing as WARNING, notes as INFO. So is what another program has to serve. */
void cfg_say_log(const struct cfg_errors *errs);

#endif
