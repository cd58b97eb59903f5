/*
 * Purpose: whom a program of the operator runs as, and whether what it is made of is safe enough for that.
 * Owns:    nothing.
 * Thread:  one that may sleep: names are looked up and files are looked at. Never CONTROL.
 * In:      names and paths of the configuration.   Out: numbers, or a reason in words.
 * Errors:  -errno, with why filled: it names what is wrong and what would be right.
 */
#ifndef KT_CHILD_USER_H
#define KT_CHILD_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_WHY_MAX      256
/* Runs scripts where there is such a user and nobody names another one; keepalived's packages make it. */
#define CHILD_USER_DEFAULT "keepalived_script"

struct child_ids {
	uid_t uid;
	gid_t gid;
};

/*
 * The numbers of a user and a group, each a name or a number. user NULL: CHILD_USER_DEFAULT if there is one, else the
 * user of this process; with strict that is refused. group NULL: the user's own.
 */
int child_user_find(const char *user, const char *group, bool strict, struct child_ids *out, char why[CHILD_WHY_MAX]);
/*
 * May this file be run as ids without anybody but root deciding what is run? Checked only where it would run as root (or
 * is set-uid root): every part of the path, as it is written and as its links resolve, must belong to root and must not
 * be writable by others; a sticky directory may be. -EPERM names the part.
 */
int child_user_safe(const char *path, const struct child_ids *ids, char why[CHILD_WHY_MAX]);

#endif
