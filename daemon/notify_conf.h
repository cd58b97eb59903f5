/*
 * Purpose: what an operator can set on notifications: who is told what an instance or a group became, and how.
 * Owns:    texts belong to the configuration that holds these structs, arrays of them too.
 * Thread:  any; immutable once built.
 * In/Out:  plain data. Times in ns.
 * Errors:  none; the configuration reader has checked ranges and combinations.
 */
#ifndef KT_NOTIFY_CONF_H
#define KT_NOTIFY_CONF_H

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_ARGV_MAX 64

/* A program and whom it runs as. */
struct notify_script {
	const char **argv; /* NULL-terminated, argv[0] an absolute path; NULL: there is no such program */
	uint16_t argc;
	const char *user, *group; /* NULL: the default of the section; group NULL: the user's own */
};

enum notify_which {
	NOTIFY_MASTER = 0,
	NOTIFY_BACKUP,
	NOTIFY_FAULT,
	NOTIFY_STOP,
	NOTIFY_DELETED,
	NOTIFY_LOWER, /* a MASTER heard a lower router that believes to be master too */
	NOTIFY_ALL,
	NOTIFY_WHICH_N
};

/* Of one instance or group. */
struct notify_conf {
	const struct notify_script *script; /* NOTIFY_WHICH_N of them; NULL: none */
	bool tell_deleted;                  /* what a reload removes is told as DELETED */
	bool priority_changes;              /* pipes get changes of the priority */
	bool mail;
};

struct notify_fifo_conf {
	const char *path; /* NULL: there is none */
	const char *user, *group;
	struct notify_script reader;
};

enum { NOTIFY_FIFO_ALL = 0, NOTIFY_FIFO_VRRP = 1, NOTIFY_FIFOS = 2 };

struct notify_mail_conf {
	const char *const *to; /* NULL: no mail is sent */
	uint16_t n_to;
	const char *from, *router; /* NULL: made of the name of the host */
	const char *sendmail;
	bool faults;
};

struct notify_cfg {
	const char *user, *group; /* NULL: keepalived_script if there is such a user, else the daemon's own */
	bool security;
	int64_t timeout_ns;
	bool states_on_reload;
	struct notify_fifo_conf fifo[NOTIFY_FIFOS];
	struct notify_mail_conf mail;
	struct notify_conf *inst, *group_of; /* by index of the instance, of the group */
	uint16_t n_groups;                   /* groups that are told of: those of an instance alone follow them */
	bool used;                           /* anybody is told of anything */
};

#endif
