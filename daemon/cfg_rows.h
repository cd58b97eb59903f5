/*
 * Purpose: the rows behind cfg_schema.h; only cfg_schema.c looks at them.
 * Owns:    nothing; static const data.
 * Thread:  any (pure).
 * In/Out:  rows stand depth first, as cfg_schema.h says.
 * Errors:  none.
 */
#ifndef KT_CFG_ROWS_H
#define KT_CFG_ROWS_H

#include "daemon/cfg_schema.h"

extern const struct cfg_key cfg_rows[];
extern const unsigned cfg_rows_n;

#endif
