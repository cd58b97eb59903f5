/*
 * The replication core between two peers that have the right key and ill will, a kernel that fails now and then, and a
 * role that comes and goes: bytes become records, packets, answers, commands and time. Records go through the codec, so
 * that they are what a peer can send. After each step lists, queues and digests must be what they claim to be.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"
#include "sync/sync_int.h"
#include "sync/sync_wire.h"
#include "tests/sim/fake_ct.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SELF = 1, PEERS = 2, PORTID = 4711, TOOL = 77, TABLE = 24, KERNEL = 16, STEPS = 400 };

struct world {
	const uint8_t *p;
	size_t left;
	struct sync *s;
	struct fake_ct *ct;
	mono_t now;
	uint64_t seq[PEERS];
	bool sweeping;
	uint64_t cursor;
};

static struct sync_conf conf;

static uint8_t u8(struct world *w)
{
	if (w->left == 0)
		return 0;
	w->left--;
	return *w->p++;
}

static uint32_t u32(struct world *w)
{
	uint32_t v = u8(w);
	return v & 0x80 ? v << 24 | (uint32_t)u8(w) << 16 | (uint32_t)u8(w) << 8 | u8(w) : v;
}

/* Few tuples, so that they meet; some of them are of this very box. */
static struct ct_tuple tuple(struct world *w)
{
	static const uint8_t l4s[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };
	uint8_t v = u8(w);
	struct ct_tuple t = { .l3 = v & 0x40 ? 6 : 4, .l4 = l4s[v >> 4 & 3] };
	t.src[0] = t.dst[0] = t.l3 == 6 ? 0x20 : 10;
	t.src[3] = v & 3;
	t.dst[3] = v & 0x80 ? 1 : 9;
	t.sport = (uint16_t)(1000 + (v >> 2 & 3));
	t.dport = t.l4 == IPPROTO_ICMP ? 8 << 8 : 80;
	return t;
}

static struct flow_version version(struct world *w)
{
	uint8_t v = u8(w);
	struct flow_version f = { { v >> 4 & 3, 1 + (v >> 6) % 3 }, v >> 2 & 3, v & 3 };
	if ((v & 0xc) == 0xc)
		f.claim = u32(w);
	if ((v & 0x30) == 0x30)
		f.epoch.counter = (uint64_t)u32(w) << 8 | u8(w);
	return f;
}

static void entry(struct world *w, struct ct_entry *e)
{
	memset(e, 0, sizeof(*e));
	e->orig = tuple(w);
	if (!ct_tuple_invert(&e->orig, &e->reply))
		memset(&e->reply, 0, sizeof(e->reply));
	uint8_t v = u8(w);
	e->has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT | (v & 0x80 ? u32(w) : 0);
	e->status = CT_ST_CONFIRMED | (v & 7) << 1 | (v & 0x20 ? CT_ST_SRC_NAT : 0);
	if (v & 0x20)
		e->reply.dport = (uint16_t)(2000 + (v & 3));
	if (v & 0x40)
		e->reply.src[3] = 1;
	e->timeout_s = v & 8 ? u32(w) : 100;
	e->mark = v & 0x10 ? u32(w) : 0;
	if (e->orig.l4 == IPPROTO_TCP) {
		e->has |= CT_HAS_TCP | CT_HAS_TCP_WIN;
		e->tcp_state = v % 10;
	}
	if (e->has & CT_HAS_MASTER)
		e->master = tuple(w);
	if (e->has & CT_HAS_HELPER)
		memcpy(e->helper, "ftp", 4);
}

static void deliver(struct world *w, uint32_t node, const struct sync_rec *rec)
{
	static uint8_t buf[SYNC_DATA_MAX];
	static struct sync_rec got;
	struct sync_pack pack;
	struct sync_unpack u;
	struct sync_env env;
	size_t used;
	sync_pack_begin(&pack, buf, sizeof(buf));
	if (sync_pack_add(&pack, rec) != 0)
		return;
	size_t n = sync_pack_end(&pack);
	if (n == 0 || sync_env_read(buf, n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used) != SYNC_OK)
		return;
	sync_unpack_begin(&u, &env);
	if (sync_unpack_next(&u, &got, NULL) == SYNC_OK)
		sync_on_record(w->s, node, &got, w->now);
}

static void record(struct world *w)
{
	static struct sync_rec r;
	uint8_t v = u8(w);
	unsigned peer = v >> 7;
	memset(&r, 0, sizeof(r));
	r.type = (enum sync_rec_type)(1 + (v & 0x1f) % SYNC_REC_COUNTS);
	r.owner = 2 + peer;
	r.full = v & 0x20;
	r.bulk = v & 0x40;
	r.seq = ++w->seq[peer];
	r.version = version(w);
	r.epoch = version(w).epoch;
	r.handle = u32(w);
	switch (r.type) {
	case SYNC_REC_SESSION:
	case SYNC_REC_CLAIM:
	case SYNC_REC_CURRENT:
	case SYNC_REC_DELETE:
	case SYNC_REC_EXPIRED:
	case SYNC_REC_WANT:
	case SYNC_REC_REFUSED:
		entry(w, &r.e);
		r.check = digest_key(w->s->sets[sess_node_slot(&w->s->tbl, r.owner) - 1].key, &r.e.orig).check;
		r.err = r.type == SYNC_REC_REFUSED ? u8(w) : 0;
		if (r.type == SYNC_REC_REFUSED)
			r.full = true;
		break;
	case SYNC_REC_BULK_BEGIN:
		memset(r.mask, u8(w), sizeof(r.mask));
		break;
	case SYNC_REC_DIGEST:
		r.count = u8(w);
		r.digest = u32(w);
		break;
	case SYNC_REC_DIGEST_BUCKETS:
		r.first = (uint16_t)(u8(w) * SYNC_BUCKETS_PER_REC % SYNC_BUCKETS);
		r.n = u8(w) % (SYNC_BUCKETS_PER_REC + 1);
		r.buckets[0].count = u8(w);
		break;
	case SYNC_REC_ACK:
		r.ack_seq = u32(w);
		r.refused = u8(w);
		r.digest_seq = u8(w);
		r.equal = u8(w) & 1;
		break;
	case SYNC_REC_ASK:
		r.ask_id = u32(w);
		r.e.orig = tuple(w);
		break;
	case SYNC_REC_ANSWER:
		r.ask_id = u32(w);
		break;
	case SYNC_REC_BULK_END:
	case SYNC_REC_FLOOR:
	case SYNC_REC_RESYNC:
	case SYNC_REC_COUNTS_ASK:
	case SYNC_REC_COUNTS:
		break;
	}
	deliver(w, r.owner, &r);
}

/* ---- the kernel ---- */

static void events(struct world *w, unsigned max)
{
	struct ct_event ev[8];
	bool overrun = false;
	unsigned n = fake_ct_events(w->ct, ev, max < 8 ? max : 8, &overrun);
	if (overrun)
		sync_on_overrun(w->s, w->now);
	for (unsigned i = 0; i < n; i++)
		sync_on_ct_event(w->s, &ev[i], w->now);
}

static void packet(struct world *w)
{
	struct ct_tuple t = tuple(w), out;
	uint8_t v = u8(w);
	struct fake_ct_nat nat = { .snat = v & 0x10, .masquerade = v & 0x20, .src = { 203, 0, 113, 1 } };
	if (t.l3 == 6 || t.l4 == IPPROTO_ICMP)
		nat.snat = nat.masquerade = false;
	if (v & 0x80 && ct_tuple_invert(&t, &out))
		t = out;
	(void)fake_ct_packet(w->ct, &t, v & 0xf, nat.snat || nat.masquerade ? &nat : NULL, &out);
}

/* An address that was the box's own from the beginning; others come and go, and what was a copy is judged anew later. */
static bool own(uint8_t l3, const uint8_t addr[16])
{
	static const uint8_t first[4] = { 10, 0, 0, 1 }, vip[4] = { 203, 0, 113, 1 };
	return l3 == 4 && (memcmp(addr, first, 4) == 0 || memcmp(addr, vip, 4) == 0);
}

/* The box's own sessions are never written, whatever a peer says. */
static void check_op(const struct ct_op *op)
{
	bool writes = op->type == CT_OP_CREATE || op->type == CT_OP_UPDATE;
	require(!writes || (!own(op->e.orig.l3, op->e.orig.src) && !own(op->e.orig.l3, op->e.reply.src)));
}

static void inject(struct world *w, unsigned max)
{
	struct ct_op ops[16];
	int results[16];
	unsigned n = sync_pull_ops(w->s, ops, max < 16 ? max : 16, w->now);
	require(n <= 16);
	for (unsigned i = 0; i < n; i++) {
		struct ct_event got;
		check_op(&ops[i]);
		results[i] = fake_ct_op(w->ct, PORTID, &ops[i], &got);
		if (ops[i].type == CT_OP_GET && results[i] == 0)
			sync_on_ct_event(w->s, &got, w->now);
	}
	for (unsigned i = 0; i < n; i++)
		sync_on_op_result(w->s, ops[i].cookie, results[i], w->now);
}

static void sweep(struct world *w, uint8_t v)
{
	struct ct_event ev[4];
	if (!w->sweeping) {
		if (!sync_sweep_wanted(w->s, w->now))
			return;
		sync_sweep_begin(w->s, w->now);
		w->sweeping = true;
		w->cursor = 0;
	}
	unsigned n = fake_ct_dump(w->ct, &w->cursor, ev, 4);
	for (unsigned i = 0; i < n; i++)
		sync_on_sweep_entry(w->s, &ev[i].e, w->now);
	if (n > 0 && v != 0xff)
		return;
	w->sweeping = false;
	sync_sweep_end(w->s, n == 0, w->now);
}

static void kernel_fault(struct world *w)
{
	static const int errs[] = { -ENOMEM, -ENOBUFS, -EBUSY, -EINVAL, -EPERM, -EOPNOTSUPP, -EAGAIN, -ENOENT };
	struct fake_ct_fault *f = fake_ct_fault(w->ct);
	uint8_t v = u8(w);
	f->fail = v & 7;
	f->fail_every = 1 + (v >> 3 & 1);
	f->fail_err = errs[v >> 4 & 7];
	if (v & 0x80)
		f->lose_silent = 1;
}

/* ---- the peers' and CONTROL's side ---- */

static void pull(struct world *w, unsigned max)
{
	static uint8_t buf[SYNC_DATA_MAX];
	static struct sync_rec rec;
	for (uint32_t node = 2; node < 2 + PEERS; node++)
		for (unsigned i = 0; i < max && sync_pull_rec(w->s, node, &rec, w->now); i++) {
			struct sync_pack pack;
			sync_pack_begin(&pack, buf, sizeof(buf));
			require(sync_pack_add(&pack, &rec) == 0);
			require(rec.owner == SELF);
			bool state = rec.type == SYNC_REC_SESSION || rec.type == SYNC_REC_CLAIM;
			require(!state || rec.version.node == SELF);
		}
}

static void connect_peer(struct world *w)
{
	uint8_t v = u8(w), key[16] = { v & 3 };
	uint32_t node = 2 + (v >> 7);
	w->seq[node - 2] = 0;
	if (v & 0x40)
		sync_peer_down(w->s, node, w->now);
	else
		require(sync_peer_up(w->s, node, 1 + (v & 3), key, w->now) == 0);
}

static void addresses(struct world *w, uint8_t v)
{
	struct addr own[2] = { addr_v4(10, 0, 0, 1), addr_v4(10, 0, 0, v & 3) };
	require(sync_local_addrs(w->s, own, v & 4 ? 2 : 1, w->now) == 0);
}

static void command(struct world *w)
{
	uint8_t v = u8(w);
	struct sync_authority a = { .epoch = { v >> 4 & 7, SELF }, .any = v & 0x80, .all = (v & 0xc0) == 0xc0 };
	struct ct_tuple t;
	uint64_t seq;
	switch (v & 0xf) {
	case 0:
		sync_fence(w->s, a.epoch, w->now);
		return;
	case 1:
	case 2:
		sync_authority(w->s, &a, w->now);
		return;
	case 3:
		sync_flush_begin(w->s, w->now);
		return;
	case 4:
		(void)sync_flushed(w->s, 2, &seq);
		(void)sync_applied(w->s, 3, u8(w), w->now);
		return;
	case 5:
		sync_demoting(w->s, w->now);
		return;
	case 6:
	case 7:
		sync_stable(w->s, w->now);
		return;
	case 8:
		t = tuple(w);
		(void)sync_delete_ct(w->s, &t, w->now);
		return;
	case 9:
		addresses(w, v >> 4);
		return;
	case 10:
		sync_net_lost(w->s, w->now);
		return;
	case 11:
		sync_peer_alive(w->s, 0, w->now);
		return;
	case 12:
		require(sync_reconf(w->s, &conf, w->now) == 0);
		return;
	case 13:
		fake_ct_flush(w->ct, TOOL);
		return;
	case 14:
		fake_ct_crowd(w->ct, v >> 4);
		return;
	default:
		sync_on_overrun(w->s, w->now);
		return;
	}
}

static void later(struct world *w, uint8_t v)
{
	w->now = mono_add(w->now, (int64_t)(1 + (v & 0x1f)) * (v & 0x80 ? 4 * NS_PER_SEC : 40 * NS_PER_MS));
	fake_ct_run(w->ct, w->now);
	sync_tick(w->s, w->now);
	(void)sync_deadline(w->s, w->now);
}

/* ---- what must hold ---- */

static void check_lists(const struct sync *s)
{
	unsigned n = 0;
	uint32_t last = 0;
	for (uint32_t id = s->dirty_head; id != 0; id = sess_at(&s->tbl, id)->q_next, n++) {
		const struct sess *x = sess_at(&s->tbl, id);
		require(x && n <= TABLE && x->list == SESS_LIST_DIRTY && x->dirty != 0 && x->q_prev == last);
		last = id;
	}
	require(n == s->n_dirty && last == s->dirty_tail);
	for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++) {
		const struct sync_queue *k = &s->queues[q];
		n = 0;
		for (uint32_t id = k->head; id != 0; id = sess_at(&s->tbl, id)->op_next, n++)
			require(sess_at(&s->tbl, id) && sess_at(&s->tbl, id)->queue == q && n <= TABLE);
		require(n == k->waiting && k->done + k->waiting == k->put);
	}
}

static void check_digests(const struct sync *s)
{
	uint64_t count[SESS_NODES] = { 0 }, root[SESS_NODES] = { 0 };
	struct sess_walk k;
	unsigned budget = UINT32_MAX;
	struct flow f;
	if (s->recounting)
		return;
	sess_walk_start(&k);
	while ((f.id = sess_walk_next(&s->tbl, &k, &budget)) != 0) {
		struct ct_entry e;
		f.x = sess_at(&s->tbl, f.id);
		unsigned owner = flow_owner(s, f);
		if (!(f.x->flags & SESS_COUNTED))
			continue;
		require(owner != 0 && !(f.x->flags & SESS_GONE));
		sess_entry(&s->tbl, f.id, &e);
		count[owner - 1]++;
		root[owner - 1] ^= digest_entry(s->sets[owner - 1].key, &e).digest;
	}
	for (unsigned i = 0; i < SESS_NODES; i++)
		require(s->sets[i].count == count[i] && s->sets[i].root == root[i]);
}

static void check_views(const struct sync *s, mono_t now)
{
	struct sync_view v[8];
	struct sess_walk k;
	sess_walk_start(&k);
	while (k.active) {
		unsigned n = sync_view(s, &k, v, 8, now);
		for (unsigned i = 0; i < n; i++)
			require((unsigned)v[i].why < SYNC_WHY_N && v[i].disp == sync_why_disposition(v[i].why));
	}
}

static void step(struct world *w)
{
	uint8_t v = u8(w);
	switch (v % 12) {
	case 0:
	case 1:
	case 2:
		record(w);
		break;
	case 3:
		packet(w);
		break;
	case 4:
		events(w, 1 + (v >> 4));
		break;
	case 5:
		inject(w, 1 + (v >> 4));
		break;
	case 6:
		pull(w, 1 + (v >> 4));
		break;
	case 7:
		later(w, u8(w));
		break;
	case 8:
		sweep(w, u8(w));
		break;
	case 9:
		connect_peer(w);
		break;
	case 10:
		command(w);
		break;
	default:
		kernel_fault(w);
		break;
	}
	require(sess_count(&w->s->tbl) <= TABLE);
	check_lists(w->s);
	if (w->left % 4 == 0)
		check_digests(w->s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sync core; /* large: set to zero by sync_init */
	static const uint8_t key[16] = { 1 };
	struct world w = { .p = data, .left = size, .s = &core, .now = { 1000 * NS_PER_SEC } };
	conf = (struct sync_conf){ .enabled = true,
				   .replicate = true,
				   .self = SELF,
				   .n_nodes = 1 + PEERS,
				   .protocols = SYNC_PROTO_ALL,
				   .lease_ns = 300 * NS_PER_SEC,
				   .entries_max = TABLE,
				   .high_water = 85,
				   .bulk_rate = 200000,
				   .n_vips = 1 };
	conf.store = size > 0 && data[0] & 1 ? SYNC_STORE_WARM : SYNC_STORE_HOT;
	for (unsigned i = 0; i < conf.n_nodes; i++)
		conf.nodes[i].id = 1 + i;
	conf.vips[0] = addr_v4(203, 0, 113, 1);
	require(sync_init(w.s, &conf, 1, key, w.now) == 0);
	sync_own_portid(w.s, PORTID);
	addresses(&w, 0);
	w.ct = fake_ct_new(KERNEL, 16);
	fake_ct_early_drop(w.ct);
	fake_ct_run(w.ct, w.now);
	fake_ct_listen(w.ct, true, true, PORTID);
	for (unsigned i = 0; i < STEPS && w.left > 0; i++)
		step(&w);
	check_views(w.s, w.now);
	/* It comes to rest: what waits for the kernel is done sooner or later. */
	memset(fake_ct_fault(w.ct), 0, sizeof(struct fake_ct_fault));
	for (unsigned i = 0; i < 40; i++) {
		later(&w, 0x80);
		events(&w, 8);
		inject(&w, 16);
		pull(&w, 64);
	}
	check_lists(w.s);
	check_digests(w.s);
	sync_free(w.s);
	fake_ct_free(w.ct);
	return 0;
}
