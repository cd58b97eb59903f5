/*
 * Purpose: conntrackd's client verbs: one request to the running daemon, its answer printed, an exit status.
 * Owns:    nothing.
 * Thread:  the only one of the client process; waits up to 15 s for each piece of an answer.
 * In:      a verb, its parameter, the path of the socket.   Out: text on the stream, 0 or 1.
 * Errors:  one line on standard error in conntrackd's form.
 */
#ifndef KT_CTD_CLIENT_H
#define KT_CTD_CLIENT_H

#include <stdbool.h>
#include <stdio.h>
#include "daemon/dropin/ctd_text.h"

enum ctd_verb {
	CTD_RUN = 0, /* no client: be the daemon */
	CTD_COMMIT,
	CTD_FLUSH,
	CTD_FLUSH_KERNEL,
	CTD_RESYNC_KERNEL,
	CTD_BULK,
	CTD_RESYNC,
	CTD_PURGE,
	CTD_KILL,
	CTD_STATS,
	CTD_INTERNAL,
	CTD_EXTERNAL,
	CTD_VERSION,
	CTD_HELP,
	CTD_BAD,
};

struct ctd_ask {
	enum ctd_verb verb;
	enum ctd_view view;
	bool expect;             /* of expectations, not of sessions */
	bool internal, external; /* FLUSH: named one; both false: none was named */
	bool xml;
};

/* "[date] (pid=N) [LEVEL] text" on standard error. */
void ctd_say(const char *level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The exit status. link: the first one of the configuration, for headings. */
int ctd_client(const struct ctd_ask *ask, const char *socket, const struct dconf_link *link, FILE *out);

#endif
