/*
 * Purpose: the control socket: accepts clients, checks who they are, reads requests, calls the handler, sends answers.
 * Owns:    the listening socket, its path, every client connection until ctl_detach.
 * Thread:  CONTROL; never blocks.
 * In:      lines of JSON (daemon/ctl_proto.h).   Out: one handler call per valid request; lines of JSON.
 * Errors:  a bad line is answered with an end record that says what is wrong, and counted; nothing else happens.
 *
 * Limits: CTL_CLIENTS_MAX clients (the one idle for longest is cut if that is a minute or more, else the new one is
 * told and closed); CTL_LINE_MAX per request (told, then closed); CTL_OUT_MAX waiting per client, and CTL_STALL_NS
 * without progress (cut). One request per client at a time: the next one is read when the answer is gone.
 */
#ifndef KT_CTL_H
#define KT_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/base/loop.h"
#include "daemon/ctl_proto.h"

struct ctl;
struct ctl_client;

struct ctl_request {
	enum ctl_cmd cmd;
	uint32_t id;
	const json_t *args; /* an object, checked against the table; lives during the call only */
	uid_t uid;
	pid_t pid;
	bool admin;
	struct ctl_client *client;
	uint64_t token;    /* names client and request for ctl_answer */
	char message[256]; /* the handler may write why it failed */
};

/* The handler answers later with ctl_answer (force failover: when the switch is done). */
#define CTL_LATER 1000

/*
 * 0: done; *reply (owned by the server from then on, may stay NULL) is sent as data. CTL_LATER. Above 0: a code of enum
 * ctl_code. Below 0: an error of daemon/base/err.h. On failure req->message is sent, or the error's text if it is empty.
 * For a CTL_ON_SESSION command the handler calls ctl_detach and passes the descriptor to SYNC.
 */
typedef int (*ctl_handle_fn)(void *app, struct ctl_request *req, json_t **reply);

struct ctl_conf {
	const char *path; /* NULL: no listening socket, clients come by ctl_add_client */
	/* -1: no such group, root only */
	gid_t view_gid, admin_gid;
	ctl_handle_fn handle;
	void *app;
	int64_t stall_ns; /* 0: CTL_STALL_NS */
	bool replace; /* whoever still answers on this path is a process that dies, and whose place this one takes */
};

struct ctl_stats {
	uint64_t accepted, requests, bad_requests, denied, refused_full, cut_idle, cut_slow, cut_line, detached;
	unsigned clients;
};

/* Listens. NULL with errno; -EADDRINUSE: another process answers on this path. A stale socket file is replaced. */
struct ctl *ctl_new(struct loop *l, const struct ctl_conf *conf);
/* Closes all and removes the socket file. */
void ctl_free(struct ctl *c);
/* After a reload. */
void ctl_set_groups(struct ctl *c, gid_t view_gid, gid_t admin_gid);
const struct ctl_stats *ctl_stats(const struct ctl *c);
/* Serves a connected stream socket (tests, socket activation); the peer's credentials are taken from it. */
int ctl_add_client(struct ctl *c, int fd);

/*
 * Inside the handler: the connection leaves the server and its descriptor (non-blocking) belongs to the caller, who sends
 * data and end record and closes it. -1 when it was detached already.
 */
int ctl_detach(struct ctl_request *req);
/* Says why a detached connection gets no answer, and closes it. */
void ctl_refuse(int fd, uint32_t id, int code, const char *message);

/* Answers a request for which the handler returned CTL_LATER. A client that went away meanwhile is no error. */
void ctl_answer(struct ctl *c, uint64_t token, json_t *data, int code, const char *message);

enum ctl_grade { CTL_GRADE_NONE = 0, CTL_GRADE_VIEW, CTL_GRADE_ADMIN };
/* What a user with these groups may do. Root and the daemon's own user are admins. */
enum ctl_grade ctl_grade(uid_t uid, const gid_t *gids, unsigned n, const struct ctl_conf *conf);

/* The gid of a group in /etc/group (no name service is asked, CONTROL must not wait); (gid_t)-1 if there is none. */
gid_t ctl_group_id(const char *name);

/*
 * Reads one request line (without its line feed). 0, or a code of enum ctl_code with req->message filled in; *root holds
 * the parsed text (json_decref) when not NULL. req->id is set as soon as it could be read.
 */
int ctl_parse(const char *line, size_t len, struct ctl_request *req, json_t **root);

#endif
