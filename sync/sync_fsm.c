/* Commands, peers and time. Commands touch no session: what follows from them for sessions is done by walks in ticks.
 */
#include <errno.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/sync_int.h"

#define POLL_NS      NS_PER_MS /* how soon to look again at what is paced */
#define SETTLE_SLOTS 4096      /* of a grown index, moved in one tick */

static bool peers_from_conf(struct sync *s, const struct sync_conf *conf)
{
	for (unsigned i = 0; i < conf->n_nodes && i < SYNC_NODES_MAX; i++) {
		unsigned slot = sess_node_add(&s->tbl, conf->nodes[i].id);
		if (slot == 0)
			return false;
		if (conf->nodes[i].id == conf->self || s->peers[slot - 1].node != 0)
			continue;
		struct sync_peer *p = &s->peers[slot - 1];
		p->node = conf->nodes[i].id;
		p->slot = slot;
		p->gen = 1;
		p->rx_bulk.marks_clean = true;
		p->buckets_next = SYNC_BUCKETS;
		p->heard_at = (mono_t){ INT64_MIN / 2 };
		slab_init(&p->handles.pages, 4096, limit_handle_pages(conf));
	}
	return true;
}

int sync_init(struct sync *s, const struct sync_conf *conf, uint64_t boot_nonce, const uint8_t key[16], mono_t now)
{
	memset(s, 0, sizeof(*s));
	int rc = sess_tbl_init(&s->tbl, conf->entries_max, key);
	if (rc != 0)
		return rc;
	if (conf->accounting)
		sess_tbl_account(&s->tbl);
	s->conf = conf;
	s->boot_nonce = boot_nonce;
	s->t0 = now;
	s->bulk_at = now;
	s->sweep_at = now;
	s->read_from = MONO_NEVER;
	s->join_until = now;
	s->retry_at = MONO_NEVER;
	sync_count_init(&s->count, now);
	s->self_slot = sess_node_add(&s->tbl, conf->self);
	if (s->self_slot == 0 || !peers_from_conf(s, conf) || sess_node_slot(&s->tbl, conf->self) == 0) {
		sync_free(s);
		return ERR_CONFIG;
	}
	for (unsigned i = 0; i < SESS_NODES; i++)
		digest_init(&s->sets[i], key);
	sync_owner_init(&s->owner, conf->self);
	sync_timeouts_default(&s->timeouts);
	sync_locals_conf(&s->locals, conf);
	return 0;
}

void sync_free(struct sync *s)
{
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].node != 0)
			handles_free(&s->peers[i].handles);
	sess_tbl_free(&s->tbl);
}

static void rejudge(struct sync *s)
{
	s->stats.rejudgings++;
	s->policy_walking = true;
	sess_walk_start(&s->policy_walk);
}

int sync_reconf(struct sync *s, const struct sync_conf *conf, mono_t now)
{
	unsigned fresh = 0, room = 0;

	for (unsigned i = 0; i < conf->n_nodes && i < SYNC_NODES_MAX; i++)
		fresh += sess_node_slot(&s->tbl, conf->nodes[i].id) == 0;
	for (unsigned i = 0; i < SESS_NODES; i++)
		room += s->tbl.nodes[i] == 0;
	if (conf->self != s->conf->self || fresh > room)
		return ERR_STATE;
	peers_from_conf(s, conf);
	for (unsigned i = 0; i < SESS_NODES; i++) {
		bool listed = false;
		for (unsigned k = 0; k < conf->n_nodes && k < SYNC_NODES_MAX; k++)
			listed |= conf->nodes[k].id == s->peers[i].node;
		if (s->peers[i].node != 0 && s->peers[i].up && !listed)
			sync_peer_down(s, s->peers[i].node, now);
	}
	if (conf->n_ignore != s->conf->n_ignore || memcmp(conf->ignore, s->conf->ignore, sizeof(conf->ignore)) != 0)
		memset(s->filter_hits, 0, sizeof(s->filter_hits));
	s->conf = conf;
	sync_locals_conf(&s->locals, conf);
	rejudge(s);
	return 0;
}

void sync_own_portid(struct sync *s, uint32_t portid)
{
	s->portid = portid;
}

void sync_set_timeouts(struct sync *s, const struct sync_timeouts *t)
{
	s->timeouts = *t;
}

int sync_peer_up(struct sync *s, uint32_t node, uint64_t boot_nonce, const uint8_t digest_key[16], mono_t now)
{
	struct sync_peer *p = sync_peer_node(s, node);

	if (!p)
		return -ENOENT;
	if (p->up)
		sync_peer_down(s, node, now);
	p->up = true;
	if (p->boot_nonce != 0 && p->boot_nonce != boot_nonce) {
		p->reborn = p->forget = true;
		p->met |= p->joined;
		p->joined = false;
		sync_recount(s);
	}
	p->boot_nonce = boot_nonce;
	p->up_at = p->heard_at = now;
	sync_sweep_soon(s, SYNC_SWEEP_NS, now);
	p->gen = p->gen % 3 + 1;
	p->tx_seq = p->rx_seq = p->data_seq = p->stored_seq = p->acked = p->unproven_seq = 0;
	p->forgot_seq = p->forgot_end = 0;
	p->cursor = s->dirty_head;
	p->floor_due = true;
	p->floor_heard = p->has_all = p->have_all = p->barrier = p->ack_due = false;
	p->bulk = (struct sync_bulk_tx){ .wanted = true, .full = true };
	p->equal = p->their_equal = p->digest_equal = p->knew = false;
	p->their_seq = 0;
	p->digest_seq = p->digest_told = 0;
	p->digest_at = p->ack_at = p->repair_until = now;
	p->repair_ns = 2 * NS_PER_SEC;
	p->buckets_next = SYNC_BUCKETS;
	p->n_unknown = p->n_full = 0;
	sync_count_peer_up(s, p);
	sync_lag_up(&p->lag, now);
	p->rx_bulk.marks_clean &= !p->rx_bulk.open && !p->rx_bulk.walking;
	p->rx_bulk.open = p->rx_bulk.walking = false;
	p->again.in_due = p->again.out_due = false; /* a stream begins with all of it */
	handles_free(&p->handles);
	if (memcmp(s->sets[p->slot - 1].key, digest_key, 16) != 0) {
		memcpy(s->sets[p->slot - 1].key, digest_key, 16);
		sync_recount(s);
	}
	return 0;
}

void sync_peer_down(struct sync *s, uint32_t node, mono_t now)
{
	struct sync_peer *p = sync_peer_node(s, node);

	if (!p || !p->up)
		return;
	p->up = false;
	sync_sweep_soon(s, SYNC_SWEEP_NS, now);
	/* A connection that is cut is noticed late: what we saw since its last ACK it cannot have judged. */
	p->down_at = p->acked_at;
	p->has_all = p->have_all = p->equal = p->their_equal = false;
	p->bulk.running = p->bulk.wanted = false;
	p->cursor = s->dirty_head;
	/* A hole in the marks: see on_bulk. */
	if (p->rx_bulk.open || p->rx_bulk.walking)
		p->rx_bulk.marks_clean = false;
	p->rx_bulk.open = p->rx_bulk.walking = false;
	sync_asks_down(p);
}

void sync_peer_alive(struct sync *s, uint32_t node, mono_t now)
{
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].node != 0 && (node == 0 || s->peers[i].node == node))
			s->peers[i].heard_at = now;
}

/* What waited for a peer that went away: its next bulk tells it. */
void sync_purge_step(struct sync *s, struct sync_peer *p, unsigned budget)
{
	unsigned bit = 1u << (p->slot - 1);

	while (!p->up && p->cursor != 0 && budget-- > 0) {
		struct flow f = { p->cursor, sess_at(&s->tbl, p->cursor) };
		p->cursor = f.x->q_next;
		if (!(f.x->dirty & bit))
			continue;
		flow_clean(s, f, p->slot);
		flow_settle(s, f);
	}
}

void sync_fence(struct sync *s, struct epoch epoch, mono_t now)
{
	sync_owner_fence(&s->owner, epoch);
	store_commit(s, epoch, now);
	sync_join(s, now);
}

void sync_join(struct sync *s, mono_t now)
{
	s->join_until = mono_max(s->join_until, mono_add(now, SYNC_JOIN_NS));
}

void sync_authority(struct sync *s, const struct sync_authority *a, mono_t now)
{
	bool had = s->owner.auth.any, floor = sync_owner_authority(&s->owner, a);

	if (a->any && (!had || (floor && a->all))) {
		s->role_at = now;
		/* Idle copies wait for their own timers. */
		sync_sweep_soon(s, NS_PER_SEC, now);
	}
	if (floor) {
		for (unsigned i = 0; i < SESS_NODES; i++) {
			s->peers[i].floor_due = s->peers[i].unproven = true;
			s->peers[i].unproven_seq = s->peers[i].tx_seq;
		}
		sync_recount(s);
	}
	if (had && !a->any) {
		s->lost_at = now;
		s->join_until = mono_add(now, SYNC_LEAVE_NS);
	}
	store_rest(s);
	sync_sweep_soon(s, SYNC_SWEEP_NS, now);
	if (a->any != had || a->all)
		rejudge(s);
}

void sync_flush_begin(struct sync *s, mono_t now)
{
	(void)now;
	s->owner.muted = true;
}

bool sync_flushed(const struct sync *s, uint32_t node, uint64_t *seq)
{
	const struct sync_peer *p = sync_peer_get(s, node);

	*seq = p ? p->tx_seq : 0;
	return !p || !p->up || (p->cursor == 0 && s->n_young == 0);
}

bool sync_applied(struct sync *s, uint32_t node, uint64_t seq, mono_t now)
{
	struct sync_peer *p = sync_peer_node(s, node);

	if (p && p->up) {
		sync_settle_peer(s, p, now);
		return p->stored_seq >= seq;
	}
	/* Nothing more can come: what came is applied when the queues are empty. */
	for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++)
		if (s->queues[q].done != s->queues[q].put)
			return false;
	return true;
}

void sync_demoting(struct sync *s, mono_t now)
{
	s->owner.muted = true;
	s->lost_at = now;
}

void sync_stable(struct sync *s, mono_t now)
{
	/* What moved meanwhile was remembered, not claimed. */
	sync_sweep_soon(s, SYNC_SWEEP_NS, now);
	s->owner.muted = false;
}

int sync_delete_ct(struct sync *s, const struct ct_tuple *orig, mono_t now)
{
	(void)now;
	if (s->n_raw == SYNC_RAW_MAX)
		return ERR_FULL;
	s->raw[s->n_raw++] = *orig;
	return 0;
}

int sync_local_addrs(struct sync *s, const struct addr *addrs, uint32_t n, mono_t now)
{
	int rc = sync_locals_set(&s->locals, addrs, n);

	if (rc != 0)
		return rc;
	if (sync_locals_vanished(&s->locals))
		sync_net_lost(s, now);
	/* A role change moves virtual addresses only: those counted before, and count after. */
	if (sync_locals_changed(&s->locals))
		rejudge(s);
	return 0;
}

int sync_local_nets(struct sync *s, const struct sync_net *nets, uint32_t n)
{
	int rc = sync_locals_nets(&s->locals, s->conf, nets, n);

	if (rc > 0)
		rejudge(s);
	return rc < 0 ? rc : 0;
}

uint64_t sync_filter_hits(const struct sync *s, unsigned rule)
{
	return rule < SYNC_IGNORE_MAX ? s->filter_hits[rule] : 0;
}

unsigned sync_filter_nets(const struct sync *s, unsigned rule)
{
	unsigned n = 0;

	for (uint32_t i = 0; rule < SYNC_IGNORE_MAX && i < s->locals.n_nets; i++)
		n += s->locals.net_rules[i] >> rule & 1;
	return n;
}

void sync_forgot(struct sync *s)
{
	for (unsigned i = 0; i < SESS_NODES; i++) {
		s->peers[i].forgot = true;
		s->peers[i].forgot_seq = s->peers[i].tx_seq;
		s->peers[i].forgot_end = 0;
	}
}

bool sync_loss_near(const struct sync *s, mono_t now)
{
	return s->lost_at.ns != 0 && !mono_due(mono_add(s->lost_at, SYNC_LOSS_NS), now);
}

void sync_net_lost(struct sync *s, mono_t now)
{
	s->lost_at = now;
}

/* An injected entry must never open the box itself. */
void flow_drop_local(struct sync *s, struct flow f)
{
	unsigned owner = flow_owner(s, f);
	struct ct_entry e;

	sess_entry(&s->tbl, f.id, &e);
	enum sync_why why = sync_policy_judge(s->conf, &s->locals, &e, true);
	if (owner == 0 || (why != SYNC_WHY_LOCAL_ORIGIN && why != SYNC_WHY_LOCAL_DEST))
		return;
	s->stats.judged_local++;
	/* What stands under this tuple was not written by us: it may be the box's own session. */
	if (f.x->flags & SESS_FLIP)
		f.x->flags &= ~(SESS_FLIP | SESS_KERN);
	flow_uncount(s, f);
	flow_refused(s, f, 0);
	flow_unlist(s, f);
	f.x->why = (uint8_t)why;
	f.x->flags &= ~(SESS_WANT | SESS_ASK | SESS_CURRENT | SESS_CLAIM | SESS_REPLACE);
	f.x->flags |= SESS_TELL;
	f.x->err = EADDRNOTAVAIL;
	f.x->want = SESS_OP_NONE;
	flow_dirty(s, f, 1u << (owner - 1));
	if (f.x->flags & SESS_KERN || f.x->fly == SESS_OP_PUT)
		flow_want(s, f, SESS_OP_DELETE, SESS_QUEUE_LIVE);
}

/* Own sessions by today's addresses and configuration; entries nobody owned may have become ours. */
void sync_policy_step(struct sync *s, unsigned budget)
{
	struct flow f;

	if (!s->policy_walking)
		return;
	while ((f.id = sess_walk_next(&s->tbl, &s->policy_walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (f.x->flags & (SESS_GONE | SESS_DEAD_DEL | SESS_DEAD_EXP) || f.x->list == SESS_LIST_EXPIRY)
			continue;
		bool was = f.x->why == SYNC_WHY_NONE;
		if (was && !flow_mine(s, f)) {
			flow_drop_local(s, f);
			continue;
		}
		flow_judge(s, f);
		bool is = f.x->why == SYNC_WHY_NONE;
		if (was == is)
			continue;
		s->stats.judged_in += is;
		s->stats.judged_out += was;
		if (flow_mine(s, f))
			flow_dirty(s, f, ALL_PEERS);
	}
	s->policy_walking = s->policy_walk.active;
}

/* Seconds are whole: the delay is at least the full one. */
static mono_t expiry_due(const struct sync *s, uint32_t marked)
{
	return mono_add(sync_sec_at(s, marked + 1), SYNC_EXPIRE_DELAY_NS);
}

void sync_expiry_step(struct sync *s, unsigned budget, mono_t now)
{
	while (s->expiry_head != 0 && budget-- > 0) {
		struct flow f = { s->expiry_head, sess_at(&s->tbl, s->expiry_head) };
		uint32_t marked = f.x->expire_s;
		if (!mono_due(expiry_due(s, marked), now))
			return;
		flow_unlist(s, f);
		/* Another node's by now: what ended here was a copy, and is lost. */
		if (!flow_mine(s, f)) {
			flow_kernel_end(s, f, false, 0, now);
			continue;
		}
		/* The loss may have been seen a moment before the kernel's clean-up, or after it. */
		bool lost = s->lost_at.ns != 0 && !mono_before(s->lost_at, sync_sec_at(s, marked - 1));
		if (lost || !sync_owner_may_end(&s->owner, sess_version(&s->tbl, f.x))) {
			s->stats.expire_forgotten++;
			sync_forgot(s);
			flow_drop(s, f, false);
			continue;
		}
		flow_end(s, f, SESS_DEAD_EXP);
	}
}

void sync_tick(struct sync *s, mono_t now)
{
	tbl_settle(&s->tbl.idx, SETTLE_SLOTS);
	sync_recount_step(s, SYNC_WALK_BUDGET);
	sync_expiry_step(s, SYNC_WALK_BUDGET, now);
	sync_young_step(s, SYNC_WALK_BUDGET, now);
	sync_policy_step(s, SYNC_WALK_BUDGET);
	sync_missing_step(s, SYNC_WALK_BUDGET, now);
	sync_former_step(s, SYNC_WALK_BUDGET);
	store_step(s, now);
	sync_retry_step(s, SYNC_WALK_BUDGET, now);
	sync_reset_step(s, SYNC_WALK_BUDGET, now);
	sync_count_step(s, SYNC_WALK_BUDGET, now);
	for (unsigned slot = 1; slot <= SESS_NODES; slot++) {
		struct sync_peer *p = sync_peer_slot(s, slot);
		if (!p)
			continue;
		sync_extra_step(s, p, SYNC_WALK_BUDGET, now);
		sync_purge_step(s, p, SYNC_WALK_BUDGET);
		if (p->up)
			sync_settle_peer(s, p, now);
	}
}

static mono_t peer_deadline(const struct sync *s, const struct sync_peer *p, mono_t now)
{
	mono_t t = MONO_NEVER;

	if (p->rx_bulk.walking || (!p->up && p->cursor != 0))
		return now;
	if (!p->up)
		return t;
	if (p->ack_due)
		t = mono_min(t, p->ack_at);
	bool may = p->floor_heard && !s->owner.muted;

	if (p->again.out_due && may)
		t = mono_min(t, mono_max(p->again.out_at, mono_add(now, POLL_NS)));
	if (p->bulk.running || (p->bulk.wanted && may) || p->barrier || p->buckets_next < SYNC_BUCKETS)
		t = mono_min(t, mono_add(now, POLL_NS));
	/* A digest that is due but not possible yet is looked for again when something changes, or now and then. */
	t = mono_min(t, mono_max(p->digest_at, mono_add(now, 20 * POLL_NS)));
	return s->owner.muted && mono_is_never(t) ? mono_add(now, NS_PER_SEC) : t;
}

mono_t sync_deadline(const struct sync *s, mono_t now)
{
	mono_t t = mono_add(now, NS_PER_SEC);

	if (s->recounting || s->policy_walking || s->reset.walking || s->missing_walking || s->retry_walking ||
	    former_ready(s) || s->count.walking || s->n_raw > 0 || s->queues[SESS_QUEUE_LIVE].head != 0 ||
	    s->queues[SESS_QUEUE_RENEW].head != 0 || !tbl_is_settled(&s->tbl.idx))
		return now;
	if (s->queues[SESS_QUEUE_BULK].head != 0)
		t = mono_add(now, POLL_NS);
	if (s->expiry_head != 0)
		t = mono_min(t, expiry_due(s, sess_at(&s->tbl, s->expiry_head)->expire_s));
	t = mono_min(t, sync_young_deadline(s, now));
	t = mono_min(t, s->retry_at);
	t = mono_min(t, store_deadline(s, now));
	if (!s->sweeping)
		t = mono_min(t, s->sweep_at);
	if (mono_before(now, s->join_until))
		t = mono_min(t, s->join_until);
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].node != 0)
			t = mono_min(t, peer_deadline(s, &s->peers[i], now));
	return t;
}

void sync_state_get(const struct sync *s, struct sync_state *out)
{
	bool all = true, had = true, equal = true;
	unsigned up = 0, n = 0;

	memset(out, 0, sizeof(*out));
	out->equal_at = MONO_NEVER;
	for (unsigned i = 0; i < SESS_NODES; i++) {
		const struct sync_peer *p = &s->peers[i];
		if (!p->up)
			continue;
		up++;
		all &= p->has_all;
		if (p->has_all && n < SYNC_NODES_MAX)
			out->has_all[n++] = p->node;
		had &= p->have_all;
		equal &= p->equal && p->their_equal;
		out->equal_at = mono_min(out->equal_at, p->equal_at);
	}
	out->data_up = up > 0;
	out->peer_has_all = up > 0 && all;
	out->have_all = up > 0 && had;
	out->equal = up > 0 && equal;
	out->dirty = s->n_dirty;
	out->stored = s->store.n;
	out->committing = s->store.committing && s->store.n > 0;
	out->own = s->own_before;
	out->copies = s->copies_before;
	if (s->recounting)
		return;
	out->own = out->copies = 0;
	for (unsigned i = 0; i < SESS_NODES; i++) {
		if (i + 1 == s->self_slot)
			out->own = (uint32_t)s->sets[i].count;
		else
			out->copies += (uint32_t)s->sets[i].count;
	}
}

const struct sync_peer *sync_peer_get(const struct sync *s, uint32_t node)
{
	unsigned slot = sess_node_slot(&s->tbl, node);

	return slot == 0 || slot == s->self_slot || s->peers[slot - 1].node == 0 ? NULL : &s->peers[slot - 1];
}
