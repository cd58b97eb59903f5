/*
 * Purpose: the shell's end of the control socket: one request, its data, its end.
 * Owns:    struct client: a descriptor and a read buffer.
 * Thread:  the shell's only one; waits up to CLIENT_WAIT_MS for each piece of an answer.
 * In:      a command and its arguments.   Out: the data object and the code of the end record.
 * Errors:  CTL_UNREACHABLE with a text when the daemon cannot be reached, goes away or says nothing.
 */
#ifndef KT_CLI_CLIENT_H
#define KT_CLI_CLIENT_H

#include <jansson.h>
#include <stdint.h>
#include "daemon/ctl_proto.h"

#define CLIENT_WAIT_MS  15000
#define CLIENT_LINE_MAX (64u << 20)

struct client {
	const char *path;
	int fd; /* -1: not connected; each request connects when needed */
	char *buf;
	size_t len, room;
	uint32_t next_id;
	int wait_ms;
};

/* Does not connect yet. path must outlive the client. */
void client_init(struct client *c, const char *path);
void client_close(struct client *c);
/* One data object, as it comes; borrowed. */
typedef void (*client_piece_fn)(void *arg, json_t *piece);
/*
 * Sends cmd with args (borrowed, may be NULL); hands over each data object of the answer. Returns the code of the answer,
 * message what went wrong, perhaps after pieces.
 */
int client_ask_each(struct client *c, enum ctl_cmd cmd, json_t *args, client_piece_fn fn, void *arg, char *message,
		    size_t size);
/*
 * Sends cmd with args (borrowed, may be NULL). Returns the code of the answer; *data is the last data object (NULL if
 * none; the caller's to json_decref), message what went wrong.
 */
int client_ask(struct client *c, enum ctl_cmd cmd, json_t *args, json_t **data, char *message, size_t size);

#endif
