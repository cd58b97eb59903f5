/*
 * Purpose: which program we are: one binary answers to several names, chosen by argv[0].
 * Owns:    nothing.
 * Thread:  any.
 * In:      argv[0].   Out: a name.
 * Errors:  an unknown name is keeptrackd.
 *
 * The process keeps the name and the arguments it was started with: others look it up by them (pgrep, pid files).
 */
#ifndef KT_PERSONA_H
#define KT_PERSONA_H

enum persona { PERSONA_KEEPTRACKD = 0, PERSONA_KEEPALIVED, PERSONA_CONNTRACKD };

/* By the last part of the path; NULL, as of a process started without arguments, is keeptrackd. */
enum persona persona_of(const char *argv0);
/* The name that messages of this program bear. */
const char *persona_name(enum persona p);

#endif
