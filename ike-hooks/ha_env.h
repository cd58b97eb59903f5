/*
 * Purpose: the environment that every program of an operator gets: PATH and the HA_ variables.
 * Owns:    the texts of an environment, from ha_env_fill to ha_env_free.
 * Thread:  any.
 * In:      what the program shall know; NULL: the variable is set to an empty text.
 * Out:     a list of NAME=VALUE for exec.
 * Errors:  ha_env_fill returns false without memory, and leaves nothing to free.
 */
#ifndef KT_HA_ENV_H
#define KT_HA_ENV_H

#include <stdbool.h>
#include "daemon/base/epoch.h"

struct exec_env {
	const char *role_old, *role_new; /* HA_ROLE_OLD, HA_ROLE_NEW */
	const char *group;               /* HA_GROUP */
	const char *vip;                 /* HA_VIP: one address, or several separated by blanks */
	const char *tunnel, *peer;       /* HA_TUNNEL, HA_PEER */
	const char *ike, *child;         /* HA_IKE, HA_CHILD: their names in the IKE daemon */
	const char *spi;                 /* HA_SPI: eight hexadecimal digits */
	const char *reason;              /* HA_REASON */
	struct epoch epoch;              /* HA_EPOCH as COUNTER.NODE */
};

#define HA_ENV_N 15 /* and a NULL at the end */

/* event: HA_EVENT. */
bool ha_env_fill(char *envp[HA_ENV_N], const char *event, const struct exec_env *v);
void ha_env_free(char *envp[HA_ENV_N]);

/* For programs that need no more. */
#define HA_ENV_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
