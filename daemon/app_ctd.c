/* The socket and the verbs of conntrackd's clients. */
#include "daemon/app_ctd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/app_layer.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/dropin/ctd_find.h"
#include "daemon/show.h"

#define END_NS      (20 * NS_PER_MS) /* for the answer to get out */
#define ACCEPTS_MAX 8

struct app_ctd {
	struct app *a;
	char path[DCONF_TEXT_MAX]; /* empty: no socket */
	int fd;
	struct loop_fd *on_accept;
	struct loop_timer *end;
	struct ctd_find *find;
};

/* ---- the socket ---- */

static void on_client(void *arg, int fd, unsigned events)
{
	struct app_ctd *c = arg;

	(void)events;
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client < 0)
			return;
		if (!c->a->ctl || ctl_add_client(c->a->ctl, client) < 0)
			close(client);
	}
}

static void close_socket(struct app_ctd *c)
{
	loop_fd_free(c->on_accept);
	c->on_accept = NULL;
	if (c->fd >= 0) {
		close(c->fd);
		unlink(c->path);
	}
	c->fd = -1;
	c->path[0] = '\0';
}

static int open_socket(struct app_ctd *c, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) /* conntrackd replaces it as well */
		unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mode_t before = umask(0177);
	int rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 20) < 0 ? -errno : 0;
	umask(before);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	c->fd = fd;
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->on_accept = loop_fd_new(c->a->loop, fd, LOOP_READ, LOOP_NORMAL, on_client, c);
	return c->on_accept ? 0 : -ENOMEM;
}

static void update_socket(struct app_ctd *c, const char *path)
{
	if (strcmp(c->path, path) == 0)
		return;
	close_socket(c);
	if (!path[0])
		return;
	int rc = open_socket(c, path);
	if (rc < 0) {
		log_err(LOG_CTL, "%s: %s; conntrackd's client commands cannot connect", path, strerror(-rc));
		close_socket(c);
	}
}

/* ---- start and stop ---- */

static void on_end(void *arg, mono_t deadline)
{
	struct app_ctd *c = arg;

	(void)deadline;
	app_begin_stop(c->a);
}

static void on_found(void *arg)
{
	app_reload(arg);
}

static struct app_ctd *ctd_new(struct app *a)
{
	struct app_ctd *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->a = a;
	c->fd = -1;
	c->end = loop_timer_new(a->loop, LOOP_NORMAL, on_end, c);
	c->find = ctd_find_new(a->loop, on_found, a);
	a->ctd = c;
	return c->end && c->find ? c : NULL;
}

int app_ctd_update(struct app *a)
{
	const struct dconf_proc *p = a->cfg->conntrackd;

	if (!p && !a->ctd)
		return 0;
	bool first = !a->ctd;
	if (first && !ctd_new(a))
		return -ENOMEM;
	update_socket(a->ctd, p ? p->socket : "");
	ctd_find_update(a->ctd->find, p);
	const struct dconf_found *known = app_layer_found(a) ? app_layer_found(a) : a->opt.how.found;
	if (first && known)
		ctd_find_know(a->ctd->find, known);
	return 0;
}

void app_ctd_stop(struct app *a)
{
	struct app_ctd *c = a->ctd;

	if (!c)
		return;
	close_socket(c);
	loop_timer_free(c->end);
	ctd_find_free(c->find);
	free(c);
	a->ctd = NULL;
}

const struct dconf_found *app_ctd_found(const struct app *a)
{
	return a->ctd ? ctd_find_found(a->ctd->find) : NULL;
}

/* ---- verbs ---- */

static bool resting(const struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		if (a->node.group[g].role.state != ROLE_STABLE)
			return false;
	return true;
}

static void tell_sync(struct app *a, enum sync_cmd_type type, struct epoch e, bool all)
{
	struct sync_cmd cmd = { .type = type, .epoch = e, .authority = { .epoch = e, .any = true, .all = all } };

	if (sync_thread_send(a->sync, &cmd) < 0)
		log_warn(LOG_SYNC, "SYNC takes no commands (mailbox full)");
}

/* Without groups the verbs are what moves the role: every flow is this node's from now on. */
static const char *commit(struct app *a)
{
	if (!a->sync)
		return "nothing to commit: there is no other router";
	if (a->node.n_groups)
		return "nothing to commit: copies are in the kernel's table, and the role change has moved the rest";
	struct epoch e = epoch_next(a->node.seen, a->node.id);
	a->node.seen = e;
	app_epoch(a, e);
	tell_sync(a, SYNC_CMD_FENCE, e, true);
	tell_sync(a, SYNC_CMD_AUTHORITY, e, true);
	return "all sessions are this router's now; copies are in the kernel's table already";
}

static const char *purge(struct app *a)
{
	if (!a->sync)
		return "nothing to purge: there is no other router";
	if (a->node.n_groups)
		return "nothing to purge: copies end with the sessions that they are copies of";
	tell_sync(a, SYNC_CMD_AUTHORITY, a->node.seen, false);
	return "sessions go to the router that sees their packets; copies end with them, nothing is purged";
}

static const char *kill_it(struct app *a)
{
	if (app_layer_end(a))
		return "ending";
	loop_timer_set(a->ctd->end, mono_add(clock_mono(), END_NS));
	return "ending";
}

int app_ctd_verb(struct app *a, struct ctl_request *req, json_t **reply)
{
	const char *verb = json_string_value(json_object_get(req->args, "verb")), *text;
	bool wanted = a->sync && resting(a);

	if (!a->ctd || !a->cfg->conntrackd) {
		snprintf(req->message, sizeof(req->message), "no conntrackd.conf is part of the configuration");
		return CTL_FAILED;
	}
	if (strcmp(verb, "commit") == 0) {
		text = commit(a);
	} else if (strcmp(verb, "purge") == 0) {
		text = purge(a);
	} else if (strcmp(verb, "kill") == 0) {
		text = kill_it(a);
	} else if (strcmp(verb, "flush") == 0) {
		text = "the kernel's table is not touched; what the caches conclude is made anew where one is named";
	} else if (strcmp(verb, "resync") == 0 || strcmp(verb, "resync-kernel") == 0 || strcmp(verb, "bulk") == 0) {
		text = !a->sync ? "no other router is known yet"
		       : wanted ? "all sessions are compared, here and with the other routers"
				: "a role change is under way and does it";
	} else {
		snprintf(req->message, sizeof(req->message), "conntrackd has no verb %.60s", verb);
		return CTL_FAILED;
	}
	log_notice(LOG_CTL, "conntrackd %s: %s", verb, text);
	*reply = json_pack("{s:s, s:b}", "text", text, "wanted", wanted);
	return CTL_OK;
}
