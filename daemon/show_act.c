/*
 * Commands on replication that CONTROL only passes on: explain session, resets, restart, a full comparison, and the part
 * of clear counters that belongs to SYNC. A role change is not disturbed: CONTROL knows of it before SYNC does.
 */
#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/show.h"
#include "sync/sync_explain.h"

static int fail(struct ctl_request *req, const char *message)
{
	snprintf(req->message, sizeof(req->message), "%s", message);
	return CTL_FAILED;
}

/* The connection passes to SYNC, which answers and closes it. */
static int hand_over(struct app *a, struct ctl_request *req, struct sync_cmd *cmd)
{
	if (!a->sync)
		return fail(req, "this node replicates nothing (no cluster is configured)");
	if (node_sync_late(&a->node, clock_mono()))
		return fail(req, "the replication thread does not answer");
	cmd->type = SYNC_CMD_CLIENT;
	cmd->client_id = req->id;
	cmd->uid = (uint32_t)req->uid;
	cmd->pid = (int32_t)req->pid;
	cmd->fd = ctl_detach(req);
	if (cmd->fd < 0)
		return CTL_FAILED;
	if (sync_thread_send(a->sync, cmd) < 0)
		ctl_refuse(cmd->fd, cmd->client_id, CTL_FAILED, "the replication thread takes no commands");
	return CTL_OK;
}

int show_explain(struct app *a, struct ctl_request *req)
{
	struct sync_cmd cmd = { .client = SYNC_CLIENT_EXPLAIN };
	const char *src = json_string_value(json_object_get(req->args, "source"));
	const char *dst = json_string_value(json_object_get(req->args, "destination"));
	const char *proto = json_string_value(json_object_get(req->args, "protocol"));
	json_int_t zone = json_integer_value(json_object_get(req->args, "zone"));

	if (explain_tuple(src, dst, proto, (unsigned)zone, &cmd.tuple, req->message, sizeof(req->message)) < 0)
		return CTL_FAILED;
	return hand_over(a, req, &cmd);
}

int show_act(struct app *a, struct ctl_request *req, enum sync_client_kind kind)
{
	struct sync_cmd cmd = { .client = kind };

	for (uint16_t g = 0; g < a->node.n_groups; g++)
		if (a->node.group[g].role.state != ROLE_STABLE)
			return fail(req, "a role change is under way; nothing was done, try again");
	return hand_over(a, req, &cmd);
}

/* What has to be counted since the start, and what counts elsewhere. */
static const char *const kept[] = {
	"sessions by disposition, sizes of tables and queues: they say what is now",
	"packets and bytes of sessions, and the kernel's own conntrack statistics: the kernel counts them",
	"history of role changes: it is a journal",
};

json_t *show_cleared(struct app *a, const struct ctl_request *req)
{
	struct sync_cmd cmd = { .type = SYNC_CMD_CLEAR, .uid = (uint32_t)req->uid, .pid = (int32_t)req->pid };
	json_t *cleared = json_array(), *not = json_array();

	json_array_append_new(cleared, json_string("control"));
	if (a->sync && sync_thread_send(a->sync, &cmd) == 0)
		json_array_append_new(cleared, json_string("replication"));
	else if (a->sync)
		json_array_append_new(not, json_string("replication: its thread takes no commands"));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		json_array_append_new(not, json_string(kept[i]));
	return json_pack("{s:o,s:o}", "cleared", cleared, "kept", not );
}
