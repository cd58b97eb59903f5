/*
 * SYNC and the ctl channel: reports and messages become events of the node core.
 */
#include "daemon/app.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "daemon/app_layer.h"
#include "daemon/app_pair.h"
#include "daemon/app_sa.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/cfg_tree.h"
#include "daemon/show.h"
#include "sync/key_file.h"

#define ENDING_NS (10 * NS_PER_MS)

static void on_report(void *arg, const struct sync_report *rep)
{
	struct app *a = arg;
	if (rep->type == SYNC_REP_CTL_CONN) {
		if (a->peer)
			peer_ctl_adopt(a->peer, rep->fd, rep->ssl, rep->peer_node);
		else
			close(rep->fd);
		return;
	}
	if (rep->type == SYNC_REP_LISTENER) {
		app_layer_listener(a, (unsigned)rep->seq, rep->fd);
		return;
	}
	if (!a->sync) /* it is ending */
		return;
	if (rep->type == SYNC_REP_FACTS) {
		app_pair_facts(a, rep);
		return;
	}
	struct node_ev ev = { .type = NODE_EV_SYNC, .report = rep };
	app_feed(a, &ev);
}

static void on_msg(void *arg, uint32_t node, const struct peer_msg *m)
{
	struct app *a = arg;
	if (m->type == PEER_JOURNAL) {
		struct journal_entry e;
		if (journal_entry_decode(m->blob, m->blob_len, &e) == JOURNAL_OK && e.node != a->node.id)
			journal_add(a->journal, a->kt, &e);
		return;
	}
	app_pair_msg(a, node, m);
	if (m->type == PEER_FACTS_ASK || m->type == PEER_FACTS)
		return;
	struct node_ev ev = { .type = NODE_EV_PEER_MSG, .peer = node, .msg = m };
	app_feed(a, &ev);
}

static void on_object(void *arg, uint32_t node, enum sync_obj type, const uint8_t *bytes, size_t len)
{
	if (type == SYNC_OBJ_SA)
		app_sa_object(arg, node, bytes, len);
}

static void on_state(void *arg, uint32_t node, const struct peer_ctl_state *s)
{
	struct app *a = arg;
	log_notice(LOG_SYNC, "channel to node %u (%s) is %s: %s", node, show_node_name(a, node), s->up ? "up" : "down",
		   s->text);
	/* A clean close is the peer's own doing; everything else may be its death. */
	bool clean = s->why == PEER_WHY_CLOSED || s->why == PEER_WHY_LOCAL || s->why == PEER_WHY_REPLACED;
	struct node_ev ev = { .type = s->up ? NODE_EV_PEER_UP : NODE_EV_PEER_DOWN, .peer = node, .lost = !clean };
	app_feed(a, &ev);
	app_pair_channel(a, node, s->up);
	app_sa_channel(a, node, s->up);
}

static void on_probe(void *arg, uint32_t node, enum peer_probe r)
{
	struct app *a = arg;
	struct node_ev ev = { .type = NODE_EV_PROBE, .peer = node, .refused = r == PEER_PROBE_REFUSED };
	app_feed(a, &ev);
}

bool app_peer_key(const struct cfg *c, struct cfg_errors *errs)
{
	struct key_file keys;
	char why[256] = "";
	if (!c->sync.enabled || c->sync.insecure)
		return true;
	int rc = key_file_read(c->sync.key_file, &keys, why, sizeof(why));
	key_file_wipe(&keys);
	if (rc < 0)
		cfg_errors_add(errs, CFG_ERROR, "%s", why);
	return rc == 0;
}

int app_peer_start(struct app *a)
{
	static const struct peer_ctl_cb cb = {
		.on_msg = on_msg, .on_state = on_state, .on_object = on_object, .on_probe = on_probe
	};
	if (!a->cfg->sync.enabled)
		return 0;
	if (a->cfg->sync.insecure)
		log_warn(LOG_SYNC, "the channel is neither authenticated nor encrypted (insecure = true): anyone who "
				   "reaches its port can change this node's sessions and roles");
	a->sync_conf = a->cfg->sync;
	a->sync = sync_thread_start(a->loop, &a->sync_conf, a->boot_nonce, a->cfg->digest, on_report, a);
	if (!a->sync) {
		int err = errno;
		log_err(LOG_SYNC, "the replication thread could not start: %s", strerror(err));
		return -err;
	}
	sync_thread_role_epoch(a->sync, a->node.seen);
	if (a->opt.config) /* somebody may go on in our stead */
		sync_thread_send(a->sync, &(struct sync_cmd){ .type = SYNC_CMD_LISTENERS });
	char why[256] = "";
	a->peer = peer_ctl_new(a->loop, &a->sync_conf, a->boot_nonce, a->cfg->digest, &cb, a, why, sizeof(why));
	if (!a->peer) {
		log_err(LOG_SYNC, "the channel could not start: %s", why);
		return -EINVAL;
	}
	peer_ctl_epoch(a->peer, a->node.seen);
	if (a->node.n_groups == 0) { /* somebody else moves the roles: both nodes may serve */
		struct sync_cmd cmd = { .type = SYNC_CMD_AUTHORITY, .epoch = a->node.seen };
		cmd.authority = (struct sync_authority){ .epoch = a->node.seen, .any = true };
		sync_thread_send(a->sync, &cmd);
	}
	return 0;
}

static void on_ending(void *arg, mono_t deadline)
{
	struct app *a = arg;

	(void)deadline;
	if (!sync_thread_ended(a->sync_ending)) {
		loop_timer_set(a->ending_timer, mono_add(clock_mono(), ENDING_NS));
		return;
	}
	(void)sync_thread_stop(a->sync_ending, 0);
	a->sync_ending = NULL;
}

void app_peer_end(struct app *a, const struct sync_conf *old)
{
	if (!a->ending_timer)
		a->ending_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_ending, a);
	for (uint8_t i = 0; i < old->n_nodes; i++)
		app_sa_channel(a, old->nodes[i].id, false);
	peer_ctl_free(a->peer, "replication has ended on that node");
	a->peer = NULL;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		app_layer_listener(a, i, -1);
	a->sync_ending = a->sync;
	a->sync = NULL;
	sync_thread_ask_stop(a->sync_ending);
	loop_timer_set(a->ending_timer, mono_add(clock_mono(), ENDING_NS));
}

void app_peer_stop(struct app *a)
{
	loop_timer_free(a->ending_timer);
	a->ending_timer = NULL;
	if (a->sync_ending)
		a->sync_left = sync_thread_stop(a->sync_ending, 500 * NS_PER_MS) < 0;
	a->sync_ending = NULL;
	if (a->peer)
		peer_ctl_free(a->peer, "the daemon is ending");
	a->peer = NULL;
	a->sync_left |= sync_thread_stop(a->sync, 500 * NS_PER_MS) < 0;
	a->sync = NULL;
}
