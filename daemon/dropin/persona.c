#include "daemon/dropin/persona.h"

#include <string.h>

const char *persona_name(enum persona p)
{
	switch (p) {
	case PERSONA_KEEPTRACKD:
		return "keeptrackd";
	case PERSONA_KEEPALIVED:
		return "keepalived";
	case PERSONA_CONNTRACKD:
		return "conntrackd";
	}
	return "keeptrackd";
}

enum persona persona_of(const char *argv0)
{
	if (!argv0)
		return PERSONA_KEEPTRACKD;
	const char *slash = strrchr(argv0, '/');
	const char *name = slash ? slash + 1 : argv0;
	if (strcmp(name, persona_name(PERSONA_KEEPALIVED)) == 0)
		return PERSONA_KEEPALIVED;
	if (strcmp(name, persona_name(PERSONA_CONNTRACKD)) == 0)
		return PERSONA_CONNTRACKD;
	return PERSONA_KEEPTRACKD;
}
