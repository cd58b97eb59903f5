/* Asking the daemon. */
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "cli/client.h"

void client_init(struct client *c, const char *path)
{
	*c = (struct client){ .path = path, .fd = -1, .next_id = 1, .wait_ms = CLIENT_WAIT_MS };
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->len = 0;
}

void client_close(struct client *c)
{
	hang_up(c);
	free(c->buf);
	c->buf = NULL;
	c->room = 0;
}

/* Does a daemon answer there? */
static bool answers(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = strlen(path) < sizeof(sa.sun_path) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	bool ok = false;

	if (fd < 0)
		return false;
	strcpy(sa.sun_path, path);
	ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return ok;
}

/* Several daemons of one machine have their sockets in folders beside the usual one: names those that answer. */
static void name_others(const char *path, char *message, size_t size)
{
	const char *slash = strrchr(path, '/');
	char pattern[160];
	glob_t g;
	size_t n = strlen(message);
	bool any = false;

	if (!slash ||
	    (size_t)snprintf(pattern, sizeof(pattern), "%.*s/*%s", (int)(slash - path), path, slash) >= sizeof(pattern))
		return;
	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc && n < size; i++) {
		if (!answers(g.gl_pathv[i]))
			continue;
		n += (size_t)snprintf(message + n, size - n, "%s -s %s", any ? "," : "; others are:", g.gl_pathv[i]);
		any = true;
	}
	globfree(&g);
}

static int dial(struct client *c, char *message, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(c->path) >= sizeof(sa.sun_path)) {
		snprintf(message, size, "%s: the path is too long for a socket", c->path);
		return CTL_UNREACHABLE;
	}
	strcpy(sa.sun_path, c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		bool none = errno == ENOENT || errno == ECONNREFUSED;
		snprintf(message, size, "keeptrackd is not reachable on %s: %s", c->path,
			 none ? "is it running?" : strerror(errno));
		if (none)
			name_others(c->path, message, size);
		hang_up(c);
		return CTL_UNREACHABLE;
	}
	return CTL_OK;
}

/* True when the other end has closed, so that a new connection is needed. */
static int stale(const struct client *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 && c->len == 0;
}

static int send_all(struct client *c, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_request(struct client *c, uint32_t id, enum ctl_cmd cmd, json_t *args)
{
	json_t *req = json_pack("{s:i,s:I,s:s}", "v", CTL_VERSION, "id", (json_int_t)id, "cmd", ctl_cmd_def(cmd)->path);
	int rc = -ENOMEM;

	if (req && args)
		json_object_set(req, "args", args);
	char *text = req ? json_dumps(req, JSON_COMPACT) : NULL;
	if (text) {
		rc = send_all(c, text, strlen(text));
		if (rc == 0)
			rc = send_all(c, "\n", 1);
		/* a daemon that refuses closes before it has read: its word is still waiting for us */
		if (rc == -EPIPE || rc == -ECONNRESET)
			rc = 0;
	}
	free(text);
	json_decref(req);
	return rc;
}

/* The next line as JSON; NULL with message. */
static json_t *next_line(struct client *c, char *message, size_t size)
{
	size_t seen = 0;

	for (;;) {
		char *nl = c->len > seen ? memchr(c->buf + seen, '\n', c->len - seen) : NULL;
		if (nl) {
			json_error_t err;
			size_t len = (size_t)(nl - c->buf);
			json_t *j = json_loadb(c->buf, len, 0, &err);
			c->len -= len + 1;
			memmove(c->buf, nl + 1, c->len);
			if (!j)
				snprintf(message, size, "the daemon's answer is not JSON: %s", err.text);
			return j;
		}
		seen = c->len;
		if (c->len == c->room) {
			size_t room = c->room ? 2 * c->room : 65536;
			char *p = room <= CLIENT_LINE_MAX ? realloc(c->buf, room) : NULL;
			if (!p) {
				snprintf(message, size, "the daemon's answer is too long");
				return NULL;
			}
			c->buf = p;
			c->room = room;
		}
		struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
		int rc = poll(&pfd, 1, c->wait_ms);
		ssize_t n = rc > 0 ? recv(c->fd, c->buf + c->len, c->room - c->len, MSG_DONTWAIT) : 0;
		if ((rc < 0 || n < 0) && (errno == EINTR || errno == EAGAIN))
			continue;
		if (rc == 0)
			snprintf(message, size, "keeptrackd does not answer");
		else if (n <= 0)
			snprintf(message, size, "keeptrackd closed the connection");
		if (n <= 0)
			return NULL;
		c->len += (size_t)n;
	}
}

/* Reads until the end record of this id (or one without id: a refused connection). */
static int read_answer(struct client *c, uint32_t id, client_piece_fn fn, void *arg, char *message, size_t size)
{
	for (;;) {
		json_t *j = next_line(c, message, size);
		if (!j) {
			hang_up(c);
			return CTL_UNREACHABLE;
		}
		json_int_t got = json_integer_value(json_object_get(j, "id"));
		if (json_is_true(json_object_get(j, "end")) && (got == id || got == 0)) {
			int code = (int)json_integer_value(json_object_get(j, "code"));
			const char *text = json_string_value(json_object_get(j, "message"));
			snprintf(message, size, "%s", text ? text : "");
			json_decref(j);
			return code;
		}
		json_t *d = json_object_get(j, "data");
		if (d && got == id)
			fn(arg, d);
		json_decref(j);
	}
}

int client_ask_each(struct client *c, enum ctl_cmd cmd, json_t *args, client_piece_fn fn, void *arg, char *message,
		    size_t size)
{
	uint32_t id = c->next_id++;

	message[0] = '\0';
	if (c->fd >= 0 && stale(c))
		hang_up(c);
	if (c->fd < 0 && dial(c, message, size) != CTL_OK)
		return CTL_UNREACHABLE;
	int rc = send_request(c, id, cmd, args);
	if (rc < 0) {
		snprintf(message, size, "cannot send to keeptrackd: %s", strerror(-rc));
		hang_up(c);
		return CTL_UNREACHABLE;
	}
	rc = read_answer(c, id, fn, arg, message, size);
	/* such a connection was passed on and ends with its answer */
	if (ctl_cmd_def(cmd)->thread == CTL_ON_SESSION)
		hang_up(c);
	return rc;
}

static void keep_last(void *arg, json_t *piece)
{
	json_t **data = arg;

	json_decref(*data);
	*data = json_incref(piece);
}

int client_ask(struct client *c, enum ctl_cmd cmd, json_t *args, json_t **data, char *message, size_t size)
{
	*data = NULL;
	int rc = client_ask_each(c, cmd, args, keep_last, data, message, size);
	if (rc != CTL_OK) {
		json_decref(*data);
		*data = NULL;
	}
	return rc;
}
