/*
 * Purpose: reads strongSwan's configuration files for what its socket does not tell.
 * Owns:    nothing; the texts, which hold secrets, are wiped before it returns.
 * Thread:  kt-disk (it may block on a disk).
 * In:      paths, room for facts.   Out: facts.
 * Errors:  0 or -errno of swanctl.conf, with the reason in words; one bad file does not keep the others from being read.
 */
#ifndef KT_IPSEC_FILES_H
#define KT_IPSEC_FILES_H

#include "daemon/cfg.h"
#include "ike-hooks/swan_text.h"

#define IPSEC_FILE_BYTES (4u << 20)
#define IPSEC_FILES_MAX  64u /* that a file may include; further ones are left out */

struct ipsec_files {
	char swanctl[CFG_PATH_MAX], strongswan[CFG_PATH_MAX];
	struct swan_facts facts; /* initialised by the caller */
	bool repeats;            /* strongswan.conf was read */
	char error[160];         /* what was wrong with swanctl.conf or a file that it includes; "" */
};

int ipsec_files_read(struct ipsec_files *f);

#endif
