/*
 * An id is the handle in the record's slab; the top bit tells IPv6. Freed records are zeroed before they go back, so
 * that SESS_USED tells a live one from a free one (the slab's link is the first word only).
 */
#include <errno.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sess_tbl.h"

#define V6_BIT   UINT32_C(0x80000000)
#define KEY_MAX  40
#define EPOCH_HI 32

int sess_tbl_init(struct sess_tbl *t, uint32_t limit, const uint8_t *key)
{
	memset(t, 0, sizeof(*t));
	if (limit > V6_BIT / 2)
		limit = V6_BIT / 2;
	t->limit = limit;
	slab_init(&t->v4, sizeof(struct sess4), limit);
	slab_init(&t->v6, sizeof(struct sess6), limit);
	slab_init(&t->side, sizeof(struct sess_side), limit);
	return tbl_init(&t->idx, 0, key);
}

static size_t rec_size(const struct sess_tbl *t, bool v6)
{
	return (v6 ? sizeof(struct sess6) : sizeof(struct sess4)) + (t->acct ? sizeof(struct sess_acct) : 0);
}

void sess_tbl_account(struct sess_tbl *t)
{
	require(t->v4.carved == 0 && t->v6.carved == 0);
	t->acct = true;
	slab_init(&t->v4, rec_size(t, false), t->limit);
	slab_init(&t->v6, rec_size(t, true), t->limit);
}

struct sess_acct *sess_acct(const struct sess_tbl *t, uint32_t id)
{
	if (!t->acct)
		return NULL;
	if (sess_is_v6(id))
		return (struct sess_acct *)((struct sess6 *)slab_at(&t->v6, id & ~V6_BIT) + 1);
	return (struct sess_acct *)((struct sess4 *)slab_at(&t->v4, id) + 1);
}

void sess_tbl_free(struct sess_tbl *t)
{
	slab_free_all(&t->v4);
	slab_free_all(&t->v6);
	slab_free_all(&t->side);
	tbl_free(&t->idx);
}

uint32_t sess_count(const struct sess_tbl *t)
{
	return t->v4.used + t->v6.used;
}

size_t sess_bytes(const struct sess_tbl *t)
{
	return slab_bytes(&t->v4) + slab_bytes(&t->v6) + slab_bytes(&t->side) + tbl_bytes(&t->idx);
}

unsigned sess_node_slot(const struct sess_tbl *t, uint32_t node)
{
	for (unsigned i = 0; node != 0 && i < SESS_NODES; i++)
		if (t->nodes[i] == node)
			return i + 1;
	return 0;
}

unsigned sess_node_add(struct sess_tbl *t, uint32_t node)
{
	unsigned slot = sess_node_slot(t, node);

	for (unsigned i = 0; node != 0 && slot == 0 && i < SESS_NODES; i++) {
		if (t->nodes[i] != 0)
			continue;
		t->nodes[i] = node;
		slot = i + 1;
	}
	return slot;
}

uint32_t sess_node_id(const struct sess_tbl *t, unsigned slot)
{
	return slot == 0 || slot > SESS_NODES ? 0 : t->nodes[slot - 1];
}

static uint8_t *addr_at(const struct sess_tbl *t, uint32_t id, unsigned which)
{
	if (sess_is_v6(id))
		return ((struct sess6 *)slab_at(&t->v6, id & ~V6_BIT))->addr[which];
	return ((struct sess4 *)slab_at(&t->v4, id))->addr[which];
}

static size_t key_of(const struct ct_tuple *k, uint8_t out[KEY_MAX])
{
	size_t a = k->l3 == 6 ? 16 : 4;

	memcpy(out, k->src, a);
	memcpy(out + a, k->dst, a);
	memcpy(out + 2 * a, &k->sport, 2);
	memcpy(out + 2 * a + 2, &k->dport, 2);
	memcpy(out + 2 * a + 4, &k->zone, 2);
	out[2 * a + 6] = k->l4;
	out[2 * a + 7] = k->l3;
	return 2 * a + 8;
}

static uint64_t hash_of(const struct sess_tbl *t, const struct ct_tuple *k)
{
	uint8_t key[KEY_MAX];
	size_t n = key_of(k, key);

	return tbl_hash(&t->idx, key, n);
}

static bool same(const struct sess_tbl *t, uint32_t id, const struct ct_tuple *k)
{
	size_t a = k->l3 == 6 ? 16 : 4;

	if (sess_is_v6(id) != (k->l3 == 6))
		return false;
	const struct sess *x = sess_at(t, id);
	return x->l4 == k->l4 && x->sport[0] == k->sport && x->dport[0] == k->dport && x->zone == k->zone &&
	       memcmp(addr_at(t, id, 0), k->src, a) == 0 && memcmp(addr_at(t, id, 1), k->dst, a) == 0;
}

struct sess *sess_find(const struct sess_tbl *t, const struct ct_tuple *orig, uint32_t *id)
{
	struct tbl_iter it;

	for (uint32_t h = tbl_find_first(&t->idx, hash_of(t, orig), &it); h != 0; h = tbl_find_next(&t->idx, &it)) {
		if (!same(t, h, orig))
			continue;
		if (id)
			*id = h;
		return sess_at(t, h);
	}
	return NULL;
}

struct sess *sess_add(struct sess_tbl *t, const struct ct_tuple *orig, uint32_t *id)
{
	bool v6 = orig->l3 == 6;
	struct slab *sl = v6 ? &t->v6 : &t->v4;
	uint32_t h = sess_count(t) < t->limit ? slab_alloc(sl) : 0;

	if (h == 0) {
		t->full++;
		return NULL;
	}
	uint32_t new_id = v6 ? h | V6_BIT : h;
	if (tbl_add(&t->idx, hash_of(t, orig), new_id) != 0) {
		slab_free(sl, h);
		t->full++;
		return NULL;
	}
	struct sess *x = slab_at(sl, h);
	size_t a = v6 ? 16 : 4;
	x->flags = SESS_USED;
	x->l4 = orig->l4;
	x->zone = orig->zone;
	x->sport[0] = orig->sport;
	x->dport[0] = orig->dport;
	memcpy(addr_at(t, new_id, 0), orig->src, a);
	memcpy(addr_at(t, new_id, 1), orig->dst, a);
	if (id)
		*id = new_id;
	return x;
}

void sess_del(struct sess_tbl *t, uint32_t id)
{
	struct sess *x = sess_at(t, id);
	struct ct_tuple k;

	require(x && x->list == SESS_LIST_NONE && x->queue == SESS_QUEUE_NONE);
	sess_orig(t, id, &k);
	require(tbl_del(&t->idx, hash_of(t, &k), id) == 0);
	slab_free(&t->side, x->side);
	memset(x, 0, rec_size(t, sess_is_v6(id)));
	slab_free(sess_is_v6(id) ? &t->v6 : &t->v4, id & ~V6_BIT);
}

/* Into a tuple of zeros. */
static void tuple_fill(const struct sess_tbl *t, uint32_t id, unsigned dir, struct ct_tuple *out)
{
	const struct sess *x = sess_at(t, id);

	if (sess_is_v6(id)) {
		memcpy(out->src, addr_at(t, id, 2 * dir), 16);
		memcpy(out->dst, addr_at(t, id, 2 * dir + 1), 16);
	} else {
		memcpy(out->src, addr_at(t, id, 2 * dir), 4);
		memcpy(out->dst, addr_at(t, id, 2 * dir + 1), 4);
	}
	out->sport = x->sport[dir];
	out->dport = x->dport[dir];
	out->l3 = sess_is_v6(id) ? 6 : 4;
	out->l4 = x->l4;
	out->zone = x->zone;
	const struct sess_side *sd = dir ? sess_side(t, x) : NULL;
	if (sd && sd->other_zone)
		out->zone = sd->reply_zone;
}

static void tuple_of(const struct sess_tbl *t, uint32_t id, unsigned dir, struct ct_tuple *out)
{
	memset(out, 0, sizeof(*out));
	tuple_fill(t, id, dir, out);
}

void sess_orig(const struct sess_tbl *t, uint32_t id, struct ct_tuple *out)
{
	tuple_of(t, id, 0, out);
}

void sess_reply(const struct sess_tbl *t, uint32_t id, struct ct_tuple *out)
{
	tuple_of(t, id, 1, out);
}

/* The side record, made if there is none yet. NULL: no memory. */
static struct sess_side *side_of(struct sess_tbl *t, struct sess *x)
{
	if (x->side == 0)
		x->side = slab_alloc(&t->side);
	return slab_at(&t->side, x->side);
}

bool sess_set_reply(struct sess_tbl *t, uint32_t id, const struct ct_tuple *reply)
{
	struct sess *x = sess_at(t, id);
	size_t a = sess_is_v6(id) ? 16 : 4;
	bool other = reply->zone != x->zone;
	struct sess_side *sd = other || x->side ? side_of(t, x) : NULL;

	if (other && !sd)
		return false;
	if (sd) {
		sd->other_zone = other;
		sd->reply_zone = reply->zone;
	}
	memcpy(addr_at(t, id, 2), reply->src, a);
	memcpy(addr_at(t, id, 3), reply->dst, a);
	x->sport[1] = reply->sport;
	x->dport[1] = reply->dport;
	return true;
}

struct flow_version sess_version(const struct sess_tbl *t, const struct sess *x)
{
	return (struct flow_version){
		.epoch = { (uint64_t)x->epoch_hi << EPOCH_HI | x->epoch_lo, sess_node_id(t, x->epoch_node) },
		.claim = x->claim,
		.node = sess_node_id(t, x->node),
	};
}

bool sess_set_version(struct sess_tbl *t, struct sess *x, struct flow_version v)
{
	unsigned node = sess_node_slot(t, v.node), enode = sess_node_slot(t, v.epoch.node);

	if (v.epoch.counter > SYNC_EPOCH_MAX || v.claim > SYNC_CLAIM_MAX || (v.node != 0 && node == 0) ||
	    (v.epoch.node != 0 && enode == 0))
		return false;
	x->epoch_lo = (uint32_t)v.epoch.counter;
	x->epoch_hi = (uint32_t)(v.epoch.counter >> EPOCH_HI) & 0xff;
	x->epoch_node = enode & 7;
	x->claim = v.claim & SYNC_CLAIM_MAX;
	x->node = node & 7;
	return true;
}

/* Copies one rare part if e has it; says when that changes something. */
static void take(struct sess_side *sd, const struct ct_entry *e, uint32_t has, void *to, const void *from, size_t size,
		 bool *changed)
{
	if (!(e->has & has))
		return;
	if (!(sd->has & has) || memcmp(to, from, size) != 0)
		*changed = true;
	memcpy(to, from, size);
	sd->has |= has;
}

bool sess_set_side(struct sess_tbl *t, struct sess *x, const struct ct_entry *e, bool *changed)
{
	if ((e->has & CT_HAS_RARE) == 0)
		return true;
	struct sess_side *sd = side_of(t, x);
	if (!sd)
		return false;
	take(sd, e, CT_HAS_MASTER, &sd->master, &e->master, sizeof(sd->master), changed);
	take(sd, e, CT_HAS_HELPER, sd->helper, e->helper, sizeof(sd->helper), changed);
	take(sd, e, CT_HAS_SCTP, &sd->sctp_state, &e->sctp_state, sizeof(sd->sctp_state), changed);
	take(sd, e, CT_HAS_SCTP, sd->sctp_vtag, e->sctp_vtag, sizeof(sd->sctp_vtag), changed);
	take(sd, e, CT_HAS_LABELS, sd->labels, e->labels, sizeof(sd->labels), changed);
	take(sd, e, CT_HAS_SEQADJ, sd->seqadj, e->seqadj, sizeof(sd->seqadj), changed);
	take(sd, e, CT_HAS_SYNPROXY, &sd->synproxy, &e->synproxy, sizeof(sd->synproxy), changed);
	return true;
}

const struct sess_side *sess_side(const struct sess_tbl *t, const struct sess *x)
{
	return slab_at(&t->side, x->side);
}

void sess_entry(const struct sess_tbl *t, uint32_t id, struct ct_entry *out)
{
	const struct sess *x = sess_at(t, id);
	const struct sess_side *sd = sess_side(t, x);

	memset(out, 0, sizeof(*out));
	tuple_fill(t, id, 0, &out->orig);
	tuple_fill(t, id, 1, &out->reply);
	out->has = CT_HAS_REPLY | CT_HAS_STATUS;
	out->status = x->status;
	if (x->mark) {
		out->has |= CT_HAS_MARK;
		out->mark = x->mark;
	}
	if (x->flags & SESS_TCP) {
		out->has |= CT_HAS_TCP;
		out->tcp_state = x->tcp_state;
	}
	if (x->flags & SESS_WIN) {
		out->has |= CT_HAS_TCP_WIN;
		for (unsigned d = 0; d < 2; d++) {
			out->tcp_flags[d] = x->tcp_flags >> (4 * d) & 0xf;
			out->tcp_wscale[d] = x->tcp_scale >> (4 * d) & 0xf;
		}
	}
	if (sd) {
		out->has |= sd->has;
		out->master = sd->master;
		memcpy(out->helper, sd->helper, sizeof(out->helper));
		out->sctp_state = sd->sctp_state;
		memcpy(out->sctp_vtag, sd->sctp_vtag, sizeof(out->sctp_vtag));
		memcpy(out->labels, sd->labels, sizeof(out->labels));
		memcpy(out->seqadj, sd->seqadj, sizeof(out->seqadj));
		out->synproxy = sd->synproxy;
	}
}

void sess_walk_start(struct sess_walk *w)
{
	*w = (struct sess_walk){ .active = true };
}

uint32_t sess_walk_next(const struct sess_tbl *t, struct sess_walk *w, unsigned *budget)
{
	while (w->active && *budget > 0) {
		const struct slab *sl = w->v6 ? &t->v6 : &t->v4;
		if (w->pos >= sl->carved) {
			w->active = !w->v6;
			w->v6 = true;
			w->pos = 0;
			continue;
		}
		(*budget)--;
		w->pos++;
		uint32_t id = w->v6 ? w->pos | V6_BIT : w->pos;
		if (sess_at(t, id))
			return id;
	}
	return 0;
}

bool sess_walk_passed(const struct sess_walk *w, uint32_t id)
{
	if (!w->active || sess_is_v6(id) != w->v6)
		return !w->active || w->v6;
	return (id & ~V6_BIT) <= w->pos;
}
