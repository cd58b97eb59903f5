/*
 * Purpose: keeptrackd convert: the configuration of keepalived, and of conntrackd, as ours.
 * Owns:    nothing.
 * Thread:  the main thread; nothing else runs.
 * In:      the command line.   Out: our configuration on standard output, findings behind it as comments.
 * Errors:  exit status 1: something that matters could not be put into words of ours; 2: the files cannot be read.
 */
#ifndef KT_CONVERT_H
#define KT_CONVERT_H

/* argv[0] is the word convert. */
int convert_main(int argc, char **argv);

#endif
