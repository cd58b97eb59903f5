/* vrrp_sync_group: who moves together. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_map_int.h"

/* The number of an instance in vrrp.instances, or -1. */
static int find_instance(const struct kmap *m, const char *name)
{
	return cfg_names_find(m->names, name);
}

/* Names stand one on a line or several. */
static void read_members(struct kmap *m, struct cfg_rec *r, const struct kconf_stmt *block, const char *group,
			 bool *taken)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		for (unsigned i = 0; i < s->n_words; i++) {
			int at = find_instance(m, s->words[i]);
			if (at < 0) {
				KMAP_WARN(m, s, "vrrp_sync_group %s: there is no vrrp_instance %.60s; ignored", group,
					  s->words[i]);
			} else if (taken[at]) {
				KMAP_WARN(m, s, "vrrp_sync_group %s: %.60s is in a group already; ignored", group,
					  s->words[i]);
			} else {
				taken[at] = true;
				cfg_val_add_item(kmap_val(m, r, "members", s), s->words[i], kmap_at(m, s));
			}
		}
	}
}

/* What a group says of lines about priorities goes for those members that say nothing. */
static void pass_on(struct kmap *m, const struct cfg_rec *r, const struct kconf_stmt *block)
{
	const struct kconf_stmt *say = kconf_find(block->subs, "notify_priority_changes");
	const struct cfg_val *members = cfg_rec_val(r, "members");

	for (unsigned i = 0; say && i < members->n; i++) {
		int at = find_instance(m, members->items[i].text);
		const struct cfg_rec *inst = &cfg_rec_val(m->vrrp, "instances")->recs[at];
		inst = kmap_block(m, inst, "notify", say);
		if (!cfg_rec_val(inst, "priority_changes")->given)
			kmap_num(m, inst, "priority_changes", say, say->n_words == 1 || kword_bool(say->words[1]) == 1);
	}
}

static void read_group(struct kmap *m, const struct kconf_stmt *block, struct cfg_rec *r, bool *taken)
{
	kmap_name(m, r, block);
	for (const struct kconf_stmt *s = block->subs; s; s = s->next) {
		if (!kmap_known(m, KIN_GROUP, s))
			continue;
		if (strcmp(s->words[0], "group") == 0)
			read_members(m, r, s, block->words[1], taken);
		else if (strcmp(s->words[0], "sync_group_tracking_weight") == 0 ||
			 strcmp(s->words[0], "global_tracking") == 0)
			kmap_num(m, r, "member_weights", s, 1);
		else if (!kmap_track(m, r, s))
			kmap_notify(m, r, s);
	}
	pass_on(m, r, block);
	if (!cfg_rec_val(r, "member_weights")->given)
		kmap_num(m, r, "member_weights", block, 0);
	if (cfg_rec_val(r, "members")->n == 1)
		KMAP_WARN(m, block, "vrrp_sync_group %s has one member only", block->words[1]);
}

/* Groups that nobody is in are left out, as in keepalived. */
static bool has_members(const struct kmap *m, const struct kconf_stmt *block, const bool *taken)
{
	for (const struct kconf_stmt *g = block->subs; g; g = g->next) {
		if (strcmp(g->words[0], "group") != 0)
			continue;
		for (const struct kconf_stmt *s = g->subs; s; s = s->next)
			for (unsigned i = 0; i < s->n_words; i++) {
				int at = find_instance(m, s->words[i]);
				if (at >= 0 && !taken[at])
					return true;
			}
	}
	return false;
}

static void leave_out(struct kmap *m, const struct kconf_stmt *block)
{
	for (const struct kconf_stmt *s = block->subs; s; s = s->next)
		kmap_known(m, KIN_GROUP, s);
	KMAP_WARN(m, block, "vrrp_sync_group %s has no members; left out", block->words[1]);
}

void kmap_groups(struct kmap *m)
{
	bool *taken = calloc(cfg_rec_val(m->vrrp, "instances")->n + 1, sizeof(*taken));
	struct kmap_pick *p;
	unsigned n = kmap_pick_blocks(m, "vrrp_sync_group", &p);

	require(taken);
	m->names = cfg_names_new(cfg_rec_val(m->vrrp, "instances"));
	for (unsigned i = 0; i < n; i++) {
		if (has_members(m, p[i].s, taken))
			read_group(m, p[i].s, kmap_push(m, m->vrrp, "groups", p[i].s), taken);
		else
			leave_out(m, p[i].s);
	}
	cfg_names_free(m->names);
	m->names = NULL;
	free(p);
	free(taken);
}
