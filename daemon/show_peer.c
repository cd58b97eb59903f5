/*
 * show vrrp peer, and the peers of show failover status.
 */
#include "daemon/show.h"

#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"

static const char *const section_name[CFG_DIGESTS] = {
	[CFG_DIGEST_CHANNEL] = "channel",
	[CFG_DIGEST_VRRP] = "vrrp",
	[CFG_DIGEST_SYNC] = "sync",
	[CFG_DIGEST_IPSEC] = "ipsec",
};

static const char *role_text(uint8_t role)
{
	static const char *const text[] = { "INIT", "BACKUP", "MASTER", "FAULT", "MOVING" };
	return role < sizeof(text) / sizeof(text[0]) ? text[role] : "?";
}

/* Section by section: what both nodes must share. */
static json_t *config_json(struct app *a, const struct peer_hello *hello, json_t *differs)
{
	json_t *list = json_array();
	char ours[20], theirs[20] = "";
	for (unsigned i = 0; i < CFG_DIGESTS; i++) {
		bool equal = hello && hello->config_digest[i] == a->cfg->digest[i];
		snprintf(ours, sizeof(ours), "%016llx", (unsigned long long)a->cfg->digest[i]);
		if (hello)
			snprintf(theirs, sizeof(theirs), "%016llx", (unsigned long long)hello->config_digest[i]);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "section", section_name[i], "ours", ours,
						      "theirs", theirs, "equal", equal));
		if (hello && !equal)
			json_array_append_new(differs, json_string(section_name[i]));
	}
	return list;
}

/* What the peer says of each group; nothing while its groups are other ones than ours. */
static json_t *groups_json(struct app *a, const struct node_peer *p, mono_t now)
{
	json_t *list = json_array();
	for (uint16_t g = 0; p->up && p->same_config && g < a->node.n_groups; g++) {
		const __typeof__(*p->groups) *s = &p->groups[g];
		json_t *j = json_pack("{s:s, s:s, s:i, s:b, s:b, s:o, s:o}", "name", a->cfg->groups[g].name, "role",
				      role_text(s->role), "priority", (int)s->priority, "ready", s->ready, "leaving",
				      s->leaving, "epoch", show_epoch(s->epoch), "said_us", show_age(s->at, now));
		json_object_set_new(j, "our_priority", json_integer(node_group_priority(&a->node, g)));
		json_object_set_new(j, "successor", json_boolean(node_successor(&a->node, g, now) == p->node));
		json_array_append_new(list, j);
	}
	return list;
}

json_t *show_peer(struct app *a, const struct node_peer *p, mono_t now)
{
	struct peer_link_info link[SYNC_LINKS_MAX];
	unsigned links = peer_ctl_links(a->peer, p->node, link, SYNC_LINKS_MAX);
	const struct peer_hello *hello = peer_ctl_hello(a->peer, p->node);
	const char *error = "";
	char address[ADDR_TEXT_MAX] = "";
	json_t *differs = json_array(), *config = config_json(a, hello, differs);
	for (uint8_t i = 0; i < a->cfg->sync.n_nodes; i++)
		if (a->cfg->sync.nodes[i].id == p->node && a->cfg->sync.nodes[i].n_addrs)
			addr_text(&a->cfg->sync.nodes[i].addrs[0], address);
	/* A connection may outlive the silence that took the channel down. */
	if (!p->up && links && link[0].up)
		error = peer_why_text(PEER_WHY_SILENT);
	else if (!p->up && links)
		error = link[0].text[0] ? link[0].text : peer_why_text(link[0].why);
	mono_t since = p->up ? p->up_at : p->lost_at;
	if (mono_is_never(since) && links) /* it was never up */
		since = link[0].since;
	bool equal = hello && !json_array_size(differs);
	json_t *j = json_pack(
	    "{s:s, s:I, s:s, s:o, s:o, s:s, s:b, s:b, s:o, s:o, s:b, s:s, s:o}", "node", show_node_name(a, p->node),
	    "node_id", (json_int_t)p->node, "channel", p->up ? "up" : "down", "since_us", show_age(since, now),
	    "heard_us", show_age(p->heard_at, now), "address", address, "encrypted", !a->cfg->sync.insecure,
	    "config_equal", equal, "config_differs", differs, "config", config, "has_everything",
	    p->up && node_peer_has_all(&a->node, p->node), "error", error, "groups", groups_json(a, p, now));
	json_object_set_new(j, "gave_everything", json_boolean(p->up && p->you_have_all));
	json_object_set_new(j, "maintenance", json_boolean(p->up && p->maintenance));
	return j;
}

json_t *show_vrrp_peer(struct app *a)
{
	mono_t now = clock_mono();
	json_t *peers = json_array();
	for (uint8_t p = 0; a->peer && p < a->node.n_peers; p++)
		json_array_append_new(peers, show_peer(a, &a->node.peer[p], now));
	return json_pack("{s:s, s:o}", "node", a->cfg->node_name, "peers", peers);
}
