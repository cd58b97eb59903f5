#include "ike-hooks/child_user.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_BUF (64u << 10) /* a group may have very many members */

static bool number(const char *text, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out < UINT_MAX;
}

/* 1: found, 0: there is none, else -errno. */
static int find_user(const char *name, struct child_ids *out)
{
	struct passwd pw, *found = NULL;
	unsigned long id;
	char *buf = malloc(NAMES_BUF);

	if (!buf)
		return -ENOMEM;
	bool is_number = number(name, &id);
	int rc = is_number ? getpwuid_r((uid_t)id, &pw, buf, NAMES_BUF, &found)
			   : getpwnam_r(name, &pw, buf, NAMES_BUF, &found);
	if (found)
		*out = (struct child_ids){ found->pw_uid, found->pw_gid };
	else if (is_number)
		*out = (struct child_ids){ (uid_t)id, (gid_t)id };
	free(buf);
	return found || is_number ? 1 : -rc;
}

static int find_group(const char *name, gid_t *out)
{
	struct group gr, *found = NULL;
	unsigned long id;
	int rc = 0;

	if (number(name, &id)) {
		*out = (gid_t)id;
		return 1;
	}
	char *buf = malloc(NAMES_BUF);
	if (!buf)
		return -ENOMEM;
	rc = getgrnam_r(name, &gr, buf, NAMES_BUF, &found);
	if (found)
		*out = found->gr_gid;
	free(buf);
	return found ? 1 : -rc;
}

static int nobody(const char *what, const char *name, int rc, char *why)
{
	if (rc == 0)
		snprintf(why, CHILD_WHY_MAX, "there is no %s %s; make it, or name another one", what, name);
	else
		snprintf(why, CHILD_WHY_MAX, "%s %s cannot be looked up: %s", what, name, strerror(-rc));
	return rc ? rc : -ENOENT;
}

int child_user_find(const char *user, const char *group, bool strict, struct child_ids *out, char why[CHILD_WHY_MAX])
{
	int rc = find_user(user ? user : CHILD_USER_DEFAULT, out);

	why[0] = '\0';
	if (rc <= 0 && !user && !strict) {
		*out = (struct child_ids){ geteuid(), getegid() };
		rc = 1;
	}
	if (rc <= 0 && !user) {
		snprintf(why, CHILD_WHY_MAX,
			 "script security is on, nobody says whom scripts run as, and there is no user %s; name one",
			 CHILD_USER_DEFAULT);
		return rc ? rc : -EPERM;
	}
	if (rc <= 0)
		return nobody("user", user, rc, why);
	if (!group)
		return 0;
	rc = find_group(group, &out->gid);
	return rc <= 0 ? nobody("group", group, rc, why) : 0;
}

/* One part of a path. */
static int part_safe(const char *part, char *why)
{
	struct stat st;
	const char *who = NULL;

	if (stat(part, &st) < 0) {
		int err = errno;
		snprintf(why, CHILD_WHY_MAX, "%s: %s", part, strerror(err));
		return -err;
	}
	bool sticky = (st.st_mode & S_ISVTX) && !S_ISREG(st.st_mode);
	if (st.st_uid != 0)
		who = "belongs to a user other than root";
	else if (!sticky && (st.st_mode & S_IWOTH))
		who = "can be written by everybody";
	else if (!sticky && st.st_gid != 0 && (st.st_mode & S_IWGRP))
		who = "can be written by its group";
	if (!who)
		return 0;
	snprintf(
	    why, CHILD_WHY_MAX,
	    "%s %s (owner %u:%u, mode %04o): a script that runs as root must be in nobody else's hands; chown root, "
	    "chmod go-w, or run it as another user",
	    part, who, st.st_uid, st.st_gid, st.st_mode & 07777);
	return -EPERM;
}

static int path_safe(const char *path, char *why)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	int rc = part_safe("/", why);

	for (size_t i = 1; rc == 0 && i <= len && i < sizeof(part); i++) {
		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		rc = part_safe(part, why);
	}
	return rc;
}

int child_user_safe(const char *path, const struct child_ids *ids, char why[CHILD_WHY_MAX])
{
	char real[PATH_MAX];
	struct stat st;

	why[0] = '\0';
	if (stat(path, &st) < 0 || !realpath(path, real)) {
		int err = errno;
		snprintf(why, CHILD_WHY_MAX, "%s: %s", path, strerror(err));
		return -err;
	}
	if (!S_ISREG(st.st_mode) || !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH))) {
		snprintf(why, CHILD_WHY_MAX, "%s is no program: chmod +x, or name the interpreter before it", path);
		return -EACCES;
	}
	bool becomes_root = (st.st_uid == 0 && (st.st_mode & S_ISUID)) || (st.st_gid == 0 && (st.st_mode & S_ISGID));
	if (ids->uid != 0 && ids->gid != 0 && !becomes_root)
		return 0;
	int rc = path_safe(path, why);
	return rc == 0 ? path_safe(real, why) : rc;
}
