/*
 * Purpose: run and state directories of the daemons of one machine that are called keepalived: what is done with them when
 *          nobody needs them any more.
 * Owns:    the file "origin" in a state directory, which names the configuration and is locked as long as its daemon lives.
 * Thread:  the main thread, before the loop runs and after it.
 * In:      paths.   Out: files and directories that are there no more.
 * Errors:  what cannot be removed stays, and the next one tries again; nothing depends on it.
 */
#ifndef KT_PLACE_IO_H
#define KT_PLACE_IO_H

/* Marks a state directory as that of this process and of this configuration. The descriptor is kept until the end; -1:
 * it could not be marked, and nobody will ever remove it. */
int place_take(const char *state_dir, const char *config);
/*
 * The process ends in order: its run directory goes, unless its files still name objects in the kernel. The state
 * directory stays for the next start.
 */
void place_leave(const char *run_dir, int fd);
/*
 * Before the start: directories beside ours of daemons that live no more, whose configuration is gone, and that have not
 * been started or ended for an hour, are removed. Both paths are of our own directories.
 */
void place_sweep(const char *run_dir, const char *state_dir);

#endif
