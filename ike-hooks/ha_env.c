#define _GNU_SOURCE 1 /* asprintf */
#include "ike-hooks/ha_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"

bool ha_env_fill(char *envp[HA_ENV_N], const char *event, const struct exec_env *v)
{
	char epoch[40];

	snprintf(epoch, sizeof(epoch), "%llu.%u", (unsigned long long)v->epoch.counter, v->epoch.node);
	const char *const pair[][2] = {
		{ "HA_EVENT", event },    { "HA_ROLE_OLD", v->role_old }, { "HA_ROLE_NEW", v->role_new },
		{ "HA_GROUP", v->group }, { "HA_VIP", v->vip },           { "HA_TUNNEL", v->tunnel },
		{ "HA_PEER", v->peer },   { "HA_IKE", v->ike },           { "HA_CHILD", v->child },
		{ "HA_SPI", v->spi },     { "HA_REASON", v->reason },     { "HA_EPOCH", epoch },
	};
	unsigned n = 0;

	require(sizeof(pair) / sizeof(pair[0]) + 2 <= HA_ENV_N);
	memset(envp, 0, HA_ENV_N * sizeof(*envp));
	bool ok = (envp[n++] = strdup(HA_ENV_PATH)) != NULL;
	for (unsigned i = 0; ok && i < sizeof(pair) / sizeof(pair[0]); i++) {
		char *s = NULL;
		ok = asprintf(&s, "%s=%s", pair[i][0], pair[i][1] ? pair[i][1] : "") >= 0;
		envp[n++] = ok ? s : NULL;
	}
	if (!ok)
		ha_env_free(envp);
	return ok;
}

void ha_env_free(char *envp[HA_ENV_N])
{
	for (unsigned i = 0; i < HA_ENV_N; i++) {
		free(envp[i]);
		envp[i] = NULL;
	}
}
