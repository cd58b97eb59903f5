/* conntrackd's client verbs over the control protocol. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "daemon/dropin/ctd_client.h"
#include "daemon/ctl_proto.h"

#define WAIT_MS  15000
#define LINE_MAX (64u << 20)

void ctd_say(const char *level, const char *fmt, ...)
{
	char date[32] = "", what[512];
	time_t now = time(NULL);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (ctime_r(&now, date))
		date[strcspn(date, "\n")] = '\0';
	fprintf(stderr, "[%s] (pid=%d) [%s] %s\n", date, (int)getpid(), level, what);
}

/* What is done with each data object of an answer. */
typedef void (*piece_fn)(void *arg, const json_t *data);

struct conn {
	int fd;
	char *buf;
	size_t len, room;
};

static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) < sizeof(sa.sun_path))
		strcpy(sa.sun_path, path);
	if (fd >= 0 && sa.sun_path[0] && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	ctd_say("ERROR", "can't connect: is conntrackd running? appropriate permissions?");
	return -1;
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* One more piece of the answer in the buffer. */
static bool more(struct conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	if (c->len == c->room) {
		size_t room = c->room ? 2 * c->room : 65536;
		char *buf = room <= LINE_MAX ? realloc(c->buf, room) : NULL;
		if (!buf)
			return false;
		c->buf = buf;
		c->room = room;
	}
	if (poll(&p, 1, WAIT_MS) <= 0)
		return false;
	ssize_t n = recv(c->fd, c->buf + c->len, c->room - c->len, 0);
	if (n > 0)
		c->len += (size_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

static json_t *next_line(struct conn *c)
{
	size_t seen = 0;

	for (;;) {
		char *nl = c->len > seen ? memchr(c->buf + seen, '\n', c->len - seen) : NULL;
		if (nl) {
			size_t len = (size_t)(nl - c->buf);
			json_t *j = json_loadb(c->buf, len, 0, NULL);
			c->len -= len + 1;
			memmove(c->buf, nl + 1, c->len);
			return j;
		}
		seen = c->len;
		if (!more(c))
			return NULL;
	}
}

/* The code of the answer; below 0: there was none. Complains by itself. */
static int ask(const char *path, enum ctl_cmd cmd, json_t *args, piece_fn fn, void *arg)
{
	struct conn c = { .fd = dial(path) };
	json_t *req =
	    json_pack("{s:i, s:i, s:s, s:o*}", "v", CTL_VERSION, "id", 1, "cmd", ctl_cmd_def(cmd)->path, "args", args);
	char *text = req ? json_dumps(req, JSON_COMPACT) : NULL;
	int code = -1;

	json_decref(req);
	if (c.fd < 0) {
		free(text);
		return -1;
	}
	bool ok = text && send_all(c.fd, text, strlen(text)) && send_all(c.fd, "\n", 1);
	free(text);
	while (ok && code < 0) {
		json_t *j = next_line(&c);
		ok = json_is_object(j);
		if (ok && json_is_true(json_object_get(j, "end"))) {
			const char *why = json_string_value(json_object_get(j, "message"));
			code = (int)json_integer_value(json_object_get(j, "code"));
			if (code != CTL_OK)
				ctd_say("ERROR", "%s", why ? why : "the request failed");
		} else if (ok && fn) {
			fn(arg, json_object_get(j, "data"));
		}
		json_decref(j);
	}
	if (code < 0)
		ctd_say("ERROR", "no answer from the daemon");
	free(c.buf);
	close(c.fd);
	return code;
}

static void keep(void *arg, const json_t *data)
{
	json_t **kept = arg;

	json_decref(*kept);
	*kept = json_incref((json_t *)(uintptr_t)data);
}

static int stats(const struct ctd_ask *a, const char *path, const struct dconf_link *link, FILE *out)
{
	json_t *s = NULL, *version = NULL;
	int code = ask(path, CTL_SHOW_SYNC_STATISTICS, NULL, keep, &s);

	if (code == CTL_OK && a->view == CTD_VIEW_RUNTIME)
		code = ask(path, CTL_SHOW_VERSION, NULL, keep, &version);
	if (code == CTL_OK)
		ctd_text_stats(a->view, s, version, link, out);
	json_decref(s);
	json_decref(version);
	return code;
}

struct listing {
	FILE *out;
	bool xml;
};

static void list_piece(void *arg, const json_t *data)
{
	struct listing *l = arg;
	json_t *row, *rows = json_object_get(data, "sessions");
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (l->xml)
			ctd_text_session_xml(row, l->out);
		else
			ctd_text_session(row, l->out);
	}
}

static void hear(void *arg, const json_t *data)
{
	*(bool *)arg = json_is_true(json_object_get(data, "wanted"));
}

/* Tells the daemon; *wanted: something is left to do. */
static int tell(const char *path, const char *verb, bool *wanted)
{
	bool dummy = false;

	return ask(path, CTL_CONNTRACKD, json_pack("{s:s}", "verb", verb), hear, wanted ? wanted : &dummy);
}

static int resync(const char *path, const char *verb)
{
	bool wanted = false;
	int code = tell(path, verb, &wanted);

	return code == CTL_OK && wanted ? ask(path, CTL_FORCE_RESYNC, NULL, NULL, NULL) : code;
}

/* Without a name it is a step of a role change, in which nothing is left to forget. */
static int flush(const struct ctd_ask *a, const char *path)
{
	int code = tell(path, "flush", NULL);

	if (code == CTL_OK && a->internal)
		code = ask(path, CTL_RESET_SYNC_INTERNAL, NULL, NULL, NULL);
	if (code == CTL_OK && a->external)
		code = ask(path, CTL_RESET_SYNC_EXTERNAL, NULL, NULL, NULL);
	return code;
}

static int run(const struct ctd_ask *a, const char *path, const struct dconf_link *link, FILE *out)
{
	struct listing l = { .out = out, .xml = a->xml };

	switch (a->verb) {
	case CTD_COMMIT:
		return tell(path, "commit", NULL);
	case CTD_FLUSH:
		return flush(a, path);
	case CTD_FLUSH_KERNEL:
		ctd_say("ERROR", "the kernel's table is not emptied here: that would end every session on all routers; "
				 "'conntrack -F' does it");
		return CTL_FAILED;
	case CTD_RESYNC_KERNEL:
		return resync(path, "resync-kernel");
	case CTD_BULK:
		return resync(path, "bulk");
	case CTD_RESYNC:
		return resync(path, "resync");
	case CTD_PURGE:
		return tell(path, "purge", NULL);
	case CTD_KILL:
		return tell(path, "kill", NULL);
	case CTD_STATS:
		return stats(a, path, link, out);
	case CTD_INTERNAL:
		return a->expect ? CTL_OK : ask(path, CTL_SHOW_SYNC_INTERNAL, NULL, list_piece, &l);
	case CTD_EXTERNAL:
		return a->expect ? CTL_OK : ask(path, CTL_SHOW_SYNC_EXTERNAL, NULL, list_piece, &l);
	case CTD_RUN:
	case CTD_VERSION:
	case CTD_HELP:
	case CTD_BAD:
		break;
	}
	return CTL_FAILED;
}

int ctd_client(const struct ctd_ask *a, const char *socket, const struct dconf_link *link, FILE *out)
{
	return run(a, socket, link, out) == CTL_OK ? 0 : 1;
}
