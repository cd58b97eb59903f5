/* The control socket's server. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "daemon/ctl.h"

#define IDLE_CUT_NS    (60 * NS_PER_SEC)
#define EMFILE_NS      NS_PER_SEC /* out of descriptors: accept again after this */
#define ACCEPTS_MAX    16         /* per pass */
#define GROUP_LINE_MAX (4u << 20)
#define REQUESTS_MAX   8 /* of one client per pass */

struct ctl {
	struct loop *loop;
	struct ctl_conf conf;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int fd;
	struct loop_fd *on_accept;
	struct loop_timer *accept_again;
	struct list clients;
	struct ctl_stats stats;
	uint64_t next_token;
};

struct ctl_client {
	struct list node;
	struct ctl *ctl;
	int fd;
	struct loop_fd *on_fd;
	struct loop_timer *stall; /* runs while something waits to be written */
	uid_t uid;
	pid_t pid;
	bool admin;
	bool closing;  /* once the answer is gone */
	bool waiting;  /* the handler answers later */
	bool detached; /* the descriptor is somebody else's */
	bool eof;
	uint64_t token;
	uint32_t id; /* of the waiting request */
	mono_t active;
	char *in;
	size_t in_len;
	char *out;
	size_t out_len, out_off;
};

static void client_free(struct ctl_client *cl)
{
	list_del(&cl->node);
	cl->ctl->stats.clients--;
	loop_fd_free(cl->on_fd);
	loop_timer_free(cl->stall);
	if (!cl->detached)
		close(cl->fd);
	free(cl->in);
	free(cl->out);
	free(cl);
}

static bool busy(const struct ctl_client *cl)
{
	return cl->out_off < cl->out_len || cl->waiting || cl->closing;
}

/* Writes what fits. False when the client is gone. */
static bool client_write(struct ctl_client *cl)
{
	while (cl->out_off < cl->out_len) {
		ssize_t n = send(cl->fd, cl->out + cl->out_off, cl->out_len - cl->out_off, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return false;
		if (n <= 0)
			break;
		cl->out_off += (size_t)n;
		loop_timer_set(cl->stall, mono_add(clock_mono(), cl->ctl->conf.stall_ns));
	}
	if (cl->out_off == cl->out_len) {
		free(cl->out);
		cl->out = NULL;
		cl->out_len = cl->out_off = 0;
		loop_timer_set(cl->stall, MONO_NEVER);
	}
	return true;
}

/* Appends to what waits. False at the limit or without memory. */
static bool queue_bytes(struct ctl_client *cl, const char *data, size_t len)
{
	if (cl->out_len - cl->out_off + len > CTL_OUT_MAX)
		return false;
	char *p = realloc(cl->out, cl->out_len + len);
	if (!p)
		return false;
	memcpy(p + cl->out_len, data, len);
	cl->out = p;
	if (cl->out_off == cl->out_len)
		loop_timer_set(cl->stall, mono_add(clock_mono(), cl->ctl->conf.stall_ns));
	cl->out_len += len;
	return true;
}

static char *end_record(uint32_t id, int code, const char *message)
{
	json_t *end = code == CTL_OK ? json_pack("{s:i,s:I,s:b,s:s,s:i}", "v", CTL_VERSION, "id", (json_int_t)id, "end",
						 1, "status", "ok", "code", code)
				     : json_pack("{s:i,s:I,s:b,s:s,s:i,s:s}", "v", CTL_VERSION, "id", (json_int_t)id,
						 "end", 1, "status", "error", "code", code, "message", message);
	char *text = end ? json_dumps(end, JSON_COMPACT) : NULL;

	json_decref(end);
	return text;
}

static bool queue_end(struct ctl_client *cl, uint32_t id, int code, const char *message)
{
	char *text = end_record(id, code, message);
	bool ok = text && queue_bytes(cl, text, strlen(text)) && queue_bytes(cl, "\n", 1);

	free(text);
	return ok;
}

static bool queue_data(struct ctl_client *cl, uint32_t id, const json_t *data)
{
	char head[64];
	char *text = json_dumps(data, JSON_COMPACT);
	int n = snprintf(head, sizeof(head), "{\"v\":%d,\"id\":%u,\"data\":", CTL_VERSION, id);
	size_t before = cl->out_len;
	bool ok = text && queue_bytes(cl, head, (size_t)n) && queue_bytes(cl, text, strlen(text)) &&
		  queue_bytes(cl, "}\n", 2);

	free(text);
	if (!ok)
		cl->out_len = before;
	return ok;
}

/* Data and end record of one answer; data passes to this function. False: the client must go. */
static bool answer(struct ctl_client *cl, uint32_t id, json_t *data, int code, const char *message)
{
	if (code < 0) {
		message = message && *message ? message : err_text(code);
		code = CTL_FAILED;
	}
	if (code == CTL_OK && data && !queue_data(cl, id, data)) {
		code = CTL_FAILED;
		message = "the answer is larger than 16 MiB";
	}
	json_decref(data);
	return queue_end(cl, id, code, message && *message ? message : "the command failed");
}

/* One request. False: the client is gone or passed on, free it. */
static bool serve(struct ctl_client *cl, const char *line, size_t len)
{
	struct ctl *c = cl->ctl;
	struct ctl_request req;
	json_t *root, *reply = NULL;
	int rc = ctl_parse(line, len, &req, &root);

	c->stats.requests++;
	if (rc != CTL_OK) {
		c->stats.bad_requests++;
	} else if (ctl_cmd_def(req.cmd)->class == CTL_ADMIN && !cl->admin) {
		c->stats.denied++;
		snprintf(req.message, sizeof(req.message), "%s needs membership of the admin group",
			 ctl_cmd_def(req.cmd)->path);
		rc = CTL_DENIED;
	} else {
		req.uid = cl->uid;
		req.pid = cl->pid;
		req.admin = cl->admin;
		req.client = cl;
		req.token = cl->token = c->next_token++;
		if (ctl_cmd_def(req.cmd)->impact != CTL_IMPACT_NONE)
			log_notice(LOG_CTL, "%s by uid %u (pid %d)", ctl_cmd_def(req.cmd)->path, (unsigned)cl->uid,
				   (int)cl->pid);
		rc = c->conf.handle(c->conf.app, &req, &reply);
	}
	json_decref(root);
	if (cl->detached) {
		json_decref(reply);
		return false;
	}
	if (rc == CTL_LATER) {
		json_decref(reply);
		cl->waiting = true;
		cl->id = req.id;
		return true;
	}
	return answer(cl, req.id, reply, rc, req.message);
}

/* Whole lines that were read, one answer at a time. False: free the client. */
static bool serve_lines(struct ctl_client *cl)
{
	for (unsigned n = 0; n < REQUESTS_MAX && !busy(cl); n++) {
		char *nl = memchr(cl->in, '\n', cl->in_len);
		if (!nl) {
			if (cl->in_len < CTL_LINE_MAX)
				return !cl->eof;
			cl->ctl->stats.cut_line++;
			cl->closing = true;
			return queue_end(cl, 0, CTL_FAILED, "a request is longer than 64 KiB") && client_write(cl);
		}
		size_t len = (size_t)(nl - cl->in);
		bool ok = serve(cl, cl->in, len);
		cl->in_len -= len + 1;
		memmove(cl->in, nl + 1, cl->in_len);
		if (!ok || !client_write(cl))
			return false;
	}
	return true;
}

static bool client_read(struct ctl_client *cl)
{
	while (cl->in_len < CTL_LINE_MAX && !cl->eof) {
		ssize_t n = recv(cl->fd, cl->in + cl->in_len, CTL_LINE_MAX - cl->in_len, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		cl->eof = n == 0;
		cl->in_len += (size_t)n;
	}
	return true;
}

/* What to wait for next; also frees a client that is done. */
static void client_settle(struct ctl_client *cl, bool ok)
{
	bool pending = cl->out_off < cl->out_len;

	/* whole lines may be left over: the write event of an idle socket brings us back for them */
	bool more = !busy(cl) && memchr(cl->in, '\n', cl->in_len);
	bool over = !pending && (cl->closing || (cl->eof && !cl->waiting && !more));

	if (!ok || over) {
		client_free(cl);
		return;
	}
	unsigned want = pending || more ? LOOP_WRITE : 0;
	if (!busy(cl) && !cl->eof)
		want |= LOOP_READ;
	loop_fd_set(cl->on_fd, want);
}

static void on_client(void *arg, int fd, unsigned events)
{
	struct ctl_client *cl = arg;
	bool ok = true;

	(void)fd;
	cl->active = clock_mono();
	if (events & LOOP_WRITE)
		ok = client_write(cl);
	if (ok && (events & LOOP_READ) && !busy(cl))
		ok = client_read(cl);
	if (ok && !busy(cl))
		ok = serve_lines(cl);
	client_settle(cl, ok);
}

static void on_stall(void *arg, mono_t deadline)
{
	struct ctl_client *cl = arg;

	(void)deadline;
	cl->ctl->stats.cut_slow++;
	log_warn(LOG_CTL, "a client (pid %d) took nothing of its answer and was cut", (int)cl->pid);
	client_free(cl);
}

enum ctl_grade ctl_grade(uid_t uid, const gid_t *gids, unsigned n, const struct ctl_conf *conf)
{
	enum ctl_grade grade = CTL_GRADE_NONE;

	if (uid == 0 || uid == geteuid())
		return CTL_GRADE_ADMIN;
	for (unsigned i = 0; i < n; i++) {
		if (conf->admin_gid != (gid_t)-1 && gids[i] == conf->admin_gid)
			return CTL_GRADE_ADMIN;
		if (conf->view_gid != (gid_t)-1 && gids[i] == conf->view_gid)
			grade = CTL_GRADE_VIEW;
	}
	return grade;
}

/* The credentials of the other end as they were when it connected. */
static enum ctl_grade peer_grade(struct ctl *c, int fd, struct ucred *cred)
{
	enum { MANY = 65537 };
	static gid_t gids[MANY]; /* CONTROL only; NGROUPS_MAX and the primary one */
	socklen_t len = sizeof(*cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) < 0)
		return CTL_GRADE_NONE;
	len = sizeof(gids) - sizeof(gids[0]);
	gids[0] = cred->gid;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &len) < 0)
		len = 0;
	return ctl_grade(cred->uid, gids, 1 + len / (socklen_t)sizeof(gids[0]), &c->conf);
}

void ctl_refuse(int fd, uint32_t id, int code, const char *message)
{
	char *text = end_record(id, code, message);

	if (text) {
		/* the socket is fresh or drained: a short line fits */
		struct iovec iov[2] = { { text, strlen(text) }, { (char[]){ '\n' }, 1 } };
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		(void)!sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		free(text);
	}
	close(fd);
}

/* Room for one more: the client that said nothing for longest goes, if that is a minute or more. */
static bool make_room(struct ctl *c)
{
	struct ctl_client *oldest = NULL;

	if (c->stats.clients < CTL_CLIENTS_MAX)
		return true;
	list_for_each (node, &c->clients) {
		struct ctl_client *cl = list_entry(node, struct ctl_client, node);
		if (!busy(cl) && (!oldest || mono_before(cl->active, oldest->active)))
			oldest = cl;
	}
	if (!oldest || mono_sub(clock_mono(), oldest->active) < IDLE_CUT_NS)
		return false;
	c->stats.cut_idle++;
	client_free(oldest);
	return true;
}

static struct ctl_client *client_new(struct ctl *c, int fd, const struct ucred *cred, enum ctl_grade grade)
{
	struct ctl_client *cl = calloc(1, sizeof(*cl));

	if (!cl)
		return NULL;
	cl->ctl = c;
	cl->fd = fd;
	cl->uid = cred->uid;
	cl->pid = cred->pid;
	cl->admin = grade == CTL_GRADE_ADMIN;
	cl->active = clock_mono();
	cl->in = malloc(CTL_LINE_MAX);
	cl->stall = loop_timer_new(c->loop, LOOP_NORMAL, on_stall, cl);
	cl->on_fd = loop_fd_new(c->loop, fd, LOOP_READ, LOOP_NORMAL, on_client, cl);
	list_add_tail(&c->clients, &cl->node);
	c->stats.clients++;
	if (!cl->in || !cl->stall || !cl->on_fd) {
		cl->detached = true; /* the caller closes */
		client_free(cl);
		return NULL;
	}
	return cl;
}

int ctl_add_client(struct ctl *c, int fd)
{
	struct ucred cred;
	enum ctl_grade grade = peer_grade(c, fd, &cred);

	c->stats.accepted++;
	if (grade == CTL_GRADE_NONE) {
		c->stats.denied++;
		ctl_refuse(fd, 0, CTL_DENIED,
			   "not allowed: only root and members of the view and admin groups may connect");
		return -EACCES;
	}
	if (!make_room(c)) {
		c->stats.refused_full++;
		ctl_refuse(fd, 0, CTL_FAILED, "too many clients are connected");
		return ERR_FULL;
	}
	if (!client_new(c, fd, &cred, grade)) {
		ctl_refuse(fd, 0, CTL_FAILED, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

static void on_accept(void *arg, int fd, unsigned events)
{
	struct ctl *c = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (conn >= 0) {
			ctl_add_client(c, conn);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			loop_fd_set(c->on_accept, 0);
			loop_timer_set(c->accept_again, mono_add(clock_mono(), EMFILE_NS));
		}
		return;
	}
}

static void on_accept_again(void *arg, mono_t deadline)
{
	struct ctl *c = arg;

	(void)deadline;
	loop_fd_set(c->on_accept, LOOP_READ);
}

/* 0 when the path is free; a socket file nobody answers on is removed. */
static int clear_path(const struct sockaddr_un *sa, bool replace)
{
	struct stat st;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	bool lives = !replace && (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno != ECONNREFUSED);
	int rc = lives ? -EADDRINUSE : 0;
	close(fd);
	if (rc == 0 && unlink(sa->sun_path) < 0)
		rc = -errno;
	return rc;
}

static int listen_on(struct ctl *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int rc;

	memcpy(sa.sun_path, c->path, sizeof(sa.sun_path));
	rc = clear_path(&sa, c->conf.replace);
	if (rc < 0)
		return rc;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (bind(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	/* everybody may connect; who it is decides what comes back */
	if (chmod(c->path, 0666) < 0 || listen(c->fd, 16) < 0) {
		rc = -errno;
		unlink(c->path);
	}
	return rc;
}

struct ctl *ctl_new(struct loop *l, const struct ctl_conf *conf)
{
	struct ctl *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (!c) {
		errno = ENOMEM;
		return NULL;
	}
	c->loop = l;
	c->conf = *conf;
	if (!c->conf.stall_ns)
		c->conf.stall_ns = CTL_STALL_NS;
	c->fd = -1;
	c->next_token = 1;
	list_init(&c->clients);
	if (!conf->path) /* clients only by ctl_add_client */
		return c;
	if (strlen(conf->path) >= sizeof(c->path))
		rc = -ENAMETOOLONG;
	else
		rc = 0;
	if (rc == 0) {
		strcpy(c->path, conf->path);
		rc = listen_on(c);
	}
	if (rc == 0) {
		c->on_accept = loop_fd_new(l, c->fd, LOOP_READ, LOOP_NORMAL, on_accept, c);
		c->accept_again = loop_timer_new(l, LOOP_NORMAL, on_accept_again, c);
		if (c->on_accept && c->accept_again)
			return c;
		rc = -errno;
		unlink(c->path);
	}
	c->path[0] = '\0';
	ctl_free(c);
	errno = -rc;
	return NULL;
}

void ctl_free(struct ctl *c)
{
	if (!c)
		return;
	list_for_each_safe (node, &c->clients)
		client_free(list_entry(node, struct ctl_client, node));
	loop_fd_free(c->on_accept);
	loop_timer_free(c->accept_again);
	if (c->fd >= 0)
		close(c->fd);
	if (c->path[0])
		unlink(c->path);
	free(c);
}

void ctl_set_groups(struct ctl *c, gid_t view_gid, gid_t admin_gid)
{
	c->conf.view_gid = view_gid;
	c->conf.admin_gid = admin_gid;
}

const struct ctl_stats *ctl_stats(const struct ctl *c)
{
	return &c->stats;
}

int ctl_detach(struct ctl_request *req)
{
	struct ctl_client *cl = req->client;

	if (!cl || cl->detached)
		return -1;
	loop_fd_free(cl->on_fd);
	cl->on_fd = NULL;
	cl->detached = true;
	cl->ctl->stats.detached++;
	return cl->fd;
}

void ctl_answer(struct ctl *c, uint64_t token, json_t *data, int code, const char *message)
{
	list_for_each (node, &c->clients) {
		struct ctl_client *cl = list_entry(node, struct ctl_client, node);
		if (!cl->waiting || cl->token != token)
			continue;
		cl->waiting = false;
		bool ok = answer(cl, cl->id, data, code, message) && client_write(cl);
		client_settle(cl, ok);
		return;
	}
	json_decref(data);
}

gid_t ctl_group_id(const char *name)
{
	FILE *f = *name ? fopen("/etc/group", "re") : NULL;
	size_t room = 4096;
	char *buf = malloc(room);
	gid_t gid = (gid_t)-1;
	struct group g, *found;
	int rc = f && buf ? 0 : ENOMEM;

	while (rc == 0 && gid == (gid_t)-1) {
		rc = fgetgrent_r(f, &g, buf, room, &found);
		if (rc == 0 && strcmp(g.gr_name, name) == 0)
			gid = g.gr_gid;
		if (rc == ERANGE && room < GROUP_LINE_MAX) { /* a group with many members: the same line again */
			char *p = realloc(buf, room *= 2);
			buf = p ? p : buf;
			rc = p ? 0 : ENOMEM;
		}
	}
	free(buf);
	if (f)
		fclose(f);
	return gid;
}
