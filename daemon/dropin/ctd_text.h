/*
 * Purpose: answers of the control socket as the texts that conntrackd's command line prints.
 * Owns:    nothing.
 * Thread:  any (pure but for the stream).
 * In:      data of show conntrack-sync statistics, show version, and rows of a list of sessions.   Out: text.
 * Errors:  what is missing in the data counts as 0.
 */
#ifndef KT_CTD_TEXT_H
#define KT_CTD_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "daemon/dropin/dconf.h"

enum ctd_view {
	CTD_VIEW_GENERAL = 0,
	CTD_VIEW_NETWORK,
	CTD_VIEW_CACHE,
	CTD_VIEW_RUNTIME,
	CTD_VIEW_LINK,
	CTD_VIEW_RSQUEUE,
	CTD_VIEW_QUEUE,
	CTD_VIEW_PROCESS,
	CTD_VIEW_EXPECT,
};

/* The word behind -s, or NULL: GENERAL. False: there is no such view. */
bool ctd_view_find(const char *word, enum ctd_view *out);
/* One view. stats: show conntrack-sync statistics; version: show version (RUNTIME only, may be NULL). */
void ctd_text_stats(enum ctd_view view, const json_t *stats, const json_t *version, const struct dconf_link *link,
		    FILE *out);
/* One session, in one line. */
void ctd_text_session(const json_t *row, FILE *out);
/* The same as XML. */
void ctd_text_session_xml(const json_t *row, FILE *out);

#endif
