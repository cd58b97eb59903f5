/* Two replication cores in memory, each with a small kernel table. */
#include "tests/unit/sync_rig.h"

bool rig_accounting;

void rig_conf(struct sync_conf *c, uint32_t self)
{
	memset(c, 0, sizeof(*c));
	c->accounting = rig_accounting;
	c->enabled = c->replicate = true;
	c->protocols = SYNC_PROTO_ALL;
	c->self = self;
	c->n_nodes = 2;
	c->nodes[0].id = 1;
	c->nodes[1].id = 2;
	c->lease_ns = 300 * NS_PER_SEC;
	c->entries_max = 10000;
	c->bulk_rate = 200000;
	c->n_vips = 1;
	c->vips[0] = addr_v4(203, 0, 113, 1);
}

static void rig_key(uint32_t node, uint64_t boot, uint8_t key[16])
{
	memset(key, 0, 16);
	key[0] = (uint8_t)node;
	key[1] = (uint8_t)boot;
}

void rig_boot(struct rig *r, unsigned i)
{
	struct rig_node *n = &r->n[i];
	uint8_t key[16];
	struct addr own = addr_v4(10, 0, 0, (uint8_t)(i + 1));

	if (n->s) {
		sync_free(n->s);
		free(n->s);
	}
	n->id = i + 1;
	n->s = calloc(1, sizeof(*n->s));
	rig_key(n->id, ++r->boots, key);
	rig_conf(&r->conf[i], n->id);
	ck_assert_int_eq(sync_init(n->s, &r->conf[i], r->boots, key, r->now), 0);
	sync_own_portid(n->s, RIG_PORT(i));
	ck_assert_int_eq(sync_local_addrs(n->s, &own, 1, r->now), 0);
	n->max = RIG_KERN;
}

struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->now = (mono_t){ 1000 * NS_PER_SEC };
	rig_boot(r, 0);
	rig_boot(r, 1);
	return r;
}

void rig_free(struct rig *r)
{
	for (unsigned i = 0; i < 2; i++) {
		sync_free(r->n[i].s);
		free(r->n[i].s);
	}
	free(r);
}

struct rig_entry *rig_find(struct rig_node *n, const struct ct_tuple *t)
{
	for (unsigned i = 0; i < RIG_KERN; i++)
		if (n->k[i].used && memcmp(&n->k[i].e.orig, t, sizeof(*t)) == 0)
			return &n->k[i];
	return NULL;
}

void rig_event(struct rig *r, unsigned i, enum ct_event_type type, uint32_t portid, const struct ct_entry *e)
{
	struct ct_event ev = { type, portid, *e };

	if (!r->n[i].mute_events && portid != RIG_PORT(i))
		sync_on_ct_event(r->n[i].s, &ev, r->now);
}

uint32_t rig_left(const struct rig *r, const struct rig_entry *k)
{
	return k->end.ns > r->now.ns ? (uint32_t)((k->end.ns - r->now.ns) / NS_PER_SEC) : 0;
}

struct rig_entry *rig_insert(struct rig *r, unsigned i, const struct ct_entry *e)
{
	struct rig_node *n = &r->n[i];

	for (unsigned j = 0; j < RIG_KERN; j++) {
		if (n->k[j].used)
			continue;
		n->k[j] = (struct rig_entry){ true, *e, mono_add(r->now, e->timeout_s * NS_PER_SEC) };
		n->k[j].e.has |= CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT;
		n->n++;
		return &n->k[j];
	}
	ck_abort_msg("kernel table of the rig is full");
	return NULL;
}

void rig_remove(struct rig *r, unsigned i, struct rig_entry *k, uint32_t portid)
{
	struct ct_entry e = k->e;

	k->used = false;
	r->n[i].n--;
	e.has &= ~(uint32_t)(CT_HAS_TCP_WIN | CT_HAS_TIMEOUT);
	rig_event(r, i, CT_EV_DESTROY, portid, &e);
}

/* Another flow already answers on this translated tuple. */
static bool rig_collides(struct rig_node *n, const struct ct_entry *e)
{
	for (unsigned i = 0; i < RIG_KERN; i++)
		if (n->k[i].used && memcmp(&n->k[i].e.reply, &e->reply, sizeof(e->reply)) == 0)
			return true;
	return false;
}

static int rig_create(struct rig *r, unsigned i, const struct ct_entry *e)
{
	struct rig_node *n = &r->n[i];

	ck_assert(e->has & CT_HAS_TIMEOUT && e->has & CT_HAS_REPLY);
	ck_assert((e->status & (CT_ST_EXPECTED | CT_ST_DYING)) == 0);
	ck_assert_uint_ge(e->timeout_s, 2);
	if (e->orig.l4 == IPPROTO_TCP) {
		ck_assert(e->has & CT_HAS_TCP_WIN);
		for (unsigned d = 0; d < 2; d++)
			ck_assert_uint_eq(e->tcp_flags[d] & ~7u, CT_TCP_BE_LIBERAL);
	}
	if (n->fail)
		return -n->fail;
	if (rig_find(n, &e->orig) || rig_collides(n, e))
		return -EEXIST;
	if (e->has & CT_HAS_MASTER && !rig_find(n, &e->master))
		return -ENOENT;
	if (n->n >= n->max)
		return -ENOMEM;
	rig_insert(r, i, e);
	if (n->n_made < RIG_KERN)
		n->made[n->n_made++] = e->orig;
	return 0;
}

int rig_op(struct rig *r, unsigned i, const struct ct_op *op)
{
	struct rig_node *n = &r->n[i];
	struct rig_entry *k = rig_find(n, &op->e.orig);

	n->ops[op->type]++;
	if (op->type == CT_OP_CREATE)
		return rig_create(r, i, &op->e);
	if (!k)
		return -ENOENT;
	if (op->type == CT_OP_DELETE) {
		rig_remove(r, i, k, RIG_PORT(i));
	} else if (op->type == CT_OP_GET) {
		struct ct_entry e = k->e;
		e.timeout_s = rig_left(r, k);
		struct ct_event ev = { CT_EV_DUMP, 0, e };
		sync_on_ct_event(n->s, &ev, r->now);
	} else {
		if (op->e.has & CT_HAS_TIMEOUT)
			k->end = mono_add(r->now, op->e.timeout_s * NS_PER_SEC);
		if (op->type == CT_OP_UPDATE && op->e.has == CT_HAS_TCP_WIN) {
			for (unsigned d = 0; d < 2; d++)
				k->e.tcp_flags[d] = (uint8_t)((k->e.tcp_flags[d] & ~CT_TCP_BE_LIBERAL) |
							      (op->e.tcp_flags[d] & CT_TCP_BE_LIBERAL));
		} else if (op->type == CT_OP_UPDATE) {
			ck_assert((op->e.status & CT_ST_DYING) == 0);
			k->e.status |= op->e.status & (CT_ST_SEEN_REPLY | CT_ST_ASSURED);
			k->e.mark = op->e.mark;
			k->e.has |= op->e.has & (CT_HAS_TCP | CT_HAS_TCP_WIN | CT_HAS_MARK);
			if (op->e.has & CT_HAS_TCP)
				k->e.tcp_state = op->e.tcp_state;
			if (op->e.has & CT_HAS_TCP_WIN)
				memcpy(k->e.tcp_flags, op->e.tcp_flags, sizeof(k->e.tcp_flags));
		}
	}
	return 0;
}

void rig_ops(struct rig *r, unsigned i)
{
	struct ct_op ops[64];
	int res[64];
	unsigned n;

	if (r->n[i].no_ops)
		return;
	for (;;) {
		if (r->n[i].level && sync_table_wanted(r->n[i].s, r->now))
			sync_table(r->n[i].s, r->n[i].max, r->n[i].n, r->now);
		n = sync_pull_ops(r->n[i].s, ops, 64, r->now);
		if (n == 0)
			break;
		for (unsigned k = 0; k < n; k++)
			res[k] = rig_op(r, i, &ops[k]);
		for (unsigned k = 0; k < n; k++)
			sync_on_op_result(r->n[i].s, ops[k].cookie, res[k], r->now);
	}
}

void rig_deliver(struct rig *r, unsigned from)
{
	struct rig_node *a = &r->n[from], *b = &r->n[!from];
	struct sync_rec *rec = malloc(sizeof(*rec));
	unsigned guard = 0;

	while (r->up && !a->cut && sync_pull_rec(a->s, b->id, rec, r->now)) {
		ck_assert_uint_lt(guard++, 200000);
		ck_assert_uint_eq(rec->owner, a->id);
		a->sent[rec->type]++;
		a->last[rec->type] = *rec;
		sync_on_record(b->s, a->id, rec, r->now);
	}
	free(rec);
}

void rig_sweep(struct rig *r, unsigned i)
{
	struct rig_node *n = &r->n[i];

	sync_sweep_begin(n->s, r->now);
	for (unsigned k = 0; k < RIG_KERN; k++) {
		if (!n->k[k].used)
			continue;
		struct ct_entry e = n->k[k].e;
		e.timeout_s = rig_left(r, &n->k[k]);
		sync_on_sweep_entry(n->s, &e, r->now);
	}
	sync_sweep_end(n->s, true, r->now);
}

void rig_step(struct rig *r)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < RIG_KERN; k++)
			if (r->n[i].k[k].used && mono_due(r->n[i].k[k].end, r->now))
				rig_remove(r, i, &r->n[i].k[k], 0);
		if (!r->n[i].no_sweep && sync_sweep_wanted(r->n[i].s, r->now))
			rig_sweep(r, i);
		sync_tick(r->n[i].s, r->now);
		rig_deliver(r, i);
		rig_ops(r, i);
	}
}

void rig_run(struct rig *r, int64_t ns)
{
	mono_t end = mono_add(r->now, ns);

	while (mono_before(r->now, end)) {
		r->now = mono_add(r->now, 10 * NS_PER_MS);
		rig_step(r);
	}
}

void rig_idle(struct rig *r, int64_t ns)
{
	mono_t end = mono_add(r->now, ns);

	while (mono_before(r->now, end)) {
		r->now = mono_add(r->now, NS_PER_SEC);
		for (unsigned k = 0; k < 3; k++)
			rig_step(r);
	}
}

void rig_up(struct rig *r)
{
	uint8_t key[2][16];

	r->up = true;
	for (unsigned i = 0; i < 2; i++)
		memcpy(key[i], r->n[i].s->sets[r->n[i].s->self_slot - 1].key, 16);
	ck_assert_int_eq(sync_peer_up(r->n[0].s, 2, r->n[1].s->boot_nonce, key[1], r->now), 0);
	ck_assert_int_eq(sync_peer_up(r->n[1].s, 1, r->n[0].s->boot_nonce, key[0], r->now), 0);
}

void rig_down(struct rig *r)
{
	r->up = false;
	sync_peer_down(r->n[0].s, 2, r->now);
	sync_peer_down(r->n[1].s, 1, r->now);
}

void rig_authority(struct rig *r, unsigned i, uint64_t counter, bool any)
{
	struct sync_authority a = { { counter, i + 1 }, any, any };

	sync_authority(r->n[i].s, &a, r->now);
}

struct ct_entry rig_flow(uint16_t port, uint8_t l4, bool nat)
{
	struct ct_entry e;

	memset(&e, 0, sizeof(e));
	e.orig.l3 = 4;
	e.orig.l4 = l4;
	memcpy(e.orig.src, (uint8_t[]){ 192, 0, 2, 9 }, 4);
	memcpy(e.orig.dst, (uint8_t[]){ 198, 51, 100, 7 }, 4);
	e.orig.sport = port;
	e.orig.dport = 80;
	e.reply = e.orig;
	memcpy(e.reply.src, e.orig.dst, 16);
	memcpy(e.reply.dst, e.orig.src, 16);
	e.reply.sport = 80;
	e.reply.dport = port;
	e.has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT;
	e.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED;
	e.timeout_s = l4 == IPPROTO_TCP ? 432000 : 120;
	if (l4 == IPPROTO_TCP) {
		e.has |= CT_HAS_TCP | CT_HAS_TCP_WIN;
		e.tcp_state = CT_TCP_ESTABLISHED;
		e.tcp_flags[0] = e.tcp_flags[1] = 0x23;
		e.tcp_wscale[0] = e.tcp_wscale[1] = 7;
	}
	if (nat) {
		memcpy(e.reply.dst, (uint8_t[]){ 203, 0, 113, 1 }, 4);
		e.reply.dport = (uint16_t)(port + 10000);
		e.status |= CT_ST_SRC_NAT | CT_ST_SRC_NAT_DONE | CT_ST_DST_NAT_DONE;
	}
	return e;
}

struct rig_entry *rig_open(struct rig *r, unsigned i, const struct ct_entry *e)
{
	struct rig_entry *k = rig_insert(r, i, e);

	rig_event(r, i, CT_EV_NEW, 0, e);
	return k;
}

void rig_packet(struct rig *r, unsigned i, const struct ct_entry *e, uint32_t timeout)
{
	struct rig_entry *k = rig_find(&r->n[i], &e->orig);

	ck_assert_ptr_nonnull(k);
	k->end = mono_add(r->now, timeout * NS_PER_SEC);
}

struct sync_view rig_view(struct rig *r, unsigned i, const struct ct_entry *e)
{
	struct sync_view v;

	memset(&v, 0, sizeof(v));
	v.why = SYNC_WHY_N;
	sync_view_one(r->n[i].s, &e->orig, &v, r->now);
	return v;
}

bool rig_known(struct rig *r, unsigned i, const struct ct_entry *e)
{
	return rig_view(r, i, e).why != SYNC_WHY_N;
}

void rig_check(struct sync *s)
{
	struct digest_set *before = malloc(sizeof(s->sets));
	unsigned dirty = 0, expiry = 0, n_dirty = 0, n_expiry = 0, refused = 0, queued = 0, waiting = 0, stored = 0;
	unsigned young = 0, n_young = 0;
	uint32_t id, prev = 0;
	struct sess_walk w;
	unsigned all = UINT32_MAX;

	while (s->recounting)
		sync_tick(s, MONO_ZERO);
	memcpy(before, s->sets, sizeof(s->sets));
	sess_walk_start(&w);
	while ((id = sess_walk_next(&s->tbl, &w, &all)) != 0) {
		const struct sess *x = sess_at(&s->tbl, id);
		n_dirty += x->list == SESS_LIST_DIRTY;
		n_expiry += x->list == SESS_LIST_EXPIRY;
		n_young += x->list == SESS_LIST_YOUNG;
		refused += (x->flags & SESS_REFUSED) != 0;
		ck_assert(!(x->flags & SESS_REFUSED) || x->err != 0); /* else it would never be tried again */
		queued += x->queue != SESS_QUEUE_NONE && x->fly == SESS_OP_NONE;
		ck_assert(x->list == SESS_LIST_STORE || (x->list == SESS_LIST_DIRTY) == (x->dirty != 0));
		stored += x->list == SESS_LIST_STORE;
		ck_assert(x->list != SESS_LIST_STORE || !(x->flags & SESS_KERN));
		ck_assert(!(x->flags & SESS_GONE) || x->queue != SESS_QUEUE_NONE);
		ck_assert(x->fly == SESS_OP_NONE || x->queue != SESS_QUEUE_NONE);
	}
	for (id = s->dirty_head; id != 0; prev = id, id = sess_at(&s->tbl, id)->q_next, dirty++)
		ck_assert_uint_eq(sess_at(&s->tbl, id)->q_prev, prev);
	ck_assert_uint_eq(prev, s->dirty_tail);
	for (id = s->expiry_head; id != 0; id = sess_at(&s->tbl, id)->q_next)
		expiry++;
	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		for (id = s->young_head[p]; id != 0; id = sess_at(&s->tbl, id)->q_next, young++)
			ck_assert_int_eq(sync_proto_of(sess_at(&s->tbl, id)->l4), p);
	}
	ck_assert_uint_eq(young, n_young);
	ck_assert_uint_eq(young, s->n_young);
	for (unsigned q = 1; q < SESS_QUEUES; q++) {
		unsigned n = 0;
		for (id = s->queues[q].head; id != 0; id = sess_at(&s->tbl, id)->op_next)
			n++;
		ck_assert_uint_eq(n, s->queues[q].waiting);
		waiting += n;
	}
	for (unsigned c = 0; c < SYNC_STORE_LISTS; c++) {
		for (prev = 0, id = s->store.head[c]; id != 0; prev = id, id = sess_at(&s->tbl, id)->q_next, stored--) {
			ck_assert_uint_eq(sess_at(&s->tbl, id)->q_prev, prev);
			ck_assert_uint_eq(sess_at(&s->tbl, id)->dirty, c);
		}
		ck_assert_uint_eq(prev, s->store.tail[c]);
	}
	ck_assert_uint_eq(stored, 0);
	ck_assert_uint_eq(dirty, n_dirty);
	ck_assert_uint_eq(dirty, s->n_dirty);
	ck_assert_uint_eq(expiry, n_expiry);
	ck_assert_uint_eq(refused, s->n_failed);
	ck_assert_uint_eq(waiting, queued);
	sync_recount(s);
	sync_recount_step(s, UINT32_MAX);
	for (unsigned i = 0; i < SESS_NODES; i++)
		ck_assert_mem_eq(&before[i], &s->sets[i], sizeof(before[i]));
	free(before);
}

bool rig_equal(struct rig *r)
{
	struct sync_state a, b;

	sync_state_get(r->n[0].s, &a);
	sync_state_get(r->n[1].s, &b);
	return a.equal && b.equal;
}
