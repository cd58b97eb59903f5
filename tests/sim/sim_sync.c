/* The SYNC thread: the replication core driven as sync/sync_drive.c and sync_thread.c drive it, with its own latency. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_int.h"
#include "sync/sync_wire.h"
#include "tests/sim/sim.h"

#define BATCH        64
#define PUMP_BATCHES 8
#define APPLY_NS     (12 * NS_PER_MS)
#define COUNTS_NS    NS_PER_SEC
#define WALK_NS      NS_PER_MS /* between two pieces of a dump */

void sim_sync_kick(struct sim *w, unsigned n, int64_t delay_ns)
{
	struct sim_sync *s = &w->box[n].p->sync;
	s->wake_at = mono_min(s->wake_at, mono_add(w->now, delay_ns));
}

static int64_t latency(struct sim *w)
{
	return sim_range(w, 50, 500) * NS_PER_US;
}

static void report(struct sim *w, unsigned n, const struct sync_report *rep)
{
	struct sim_item *it = sim_item_new(w, IT_REPORT, n);
	it->report = *rep;
	sim_post(w, it, sim_range(w, 5, 40) * NS_PER_US);
}

/* ---- life ---- */

static void local_addrs(struct sim *w, unsigned n)
{
	struct addr own[2] = { addr_v4(10, 1, 0, (uint8_t)(n + 1)), addr_v4(192, 0, 2, (uint8_t)(n + 1)) };
	require(sync_local_addrs(w->box[n].p->sync.core, own, 2, w->now) == 0);
}

void sim_sync_start(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	s->core = calloc(1, sizeof(*s->core));
	require(s->core);
	for (unsigned i = 0; i < sizeof(s->key); i++)
		s->key[i] = (uint8_t)sim_rand(w);
	require(sync_init(s->core, &w->sync_conf[n], w->box[n].p->nonce, s->key, w->now) == 0);
	s->portid = 100000 + w->box[n].p->life;
	sync_own_portid(s->core, s->portid);
	s->cmd_last = &s->cmd_first;
	sim_list_init(&s->rx);
	s->hung_until = MONO_ZERO;
	s->counts_at = s->dump_at = w->now;
	s->wake_at = mono_add(w->now, NS_PER_MS);
	fake_ct_sysctl_events(w->box[n].ct, 1);
	fake_ct_listen(w->box[n].ct, false, true, s->portid);
	local_addrs(w, n);
}

void sim_sync_end(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sim_item *it;
	const struct sync_stats *st = &s->core->stats;
	w->count.claims += st->claims;
	w->count.old_epoch += st->refused_epoch;
	w->count.old_version += st->refused_version;
	w->count.expired += st->tx_expired;
	w->count.records += st->rx_records;
	w->count.healed_told += st->buckets_resent;
	while ((it = sim_list_take(&s->rx)) != NULL)
		sim_item_free(it);
	for (struct sim_sync_cmd *c = s->cmd_first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	sync_free(s->core);
	free(s->core);
}

void sim_sync_cmd(struct sim *w, unsigned n, const struct sync_cmd *cmd)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sim_sync_cmd *c = calloc(1, sizeof(*c));
	require(c);
	c->cmd = *cmd;
	*s->cmd_last = c;
	s->cmd_last = &c->next;
	sim_sync_kick(w, n, latency(w));
}

void sim_sync_data(struct sim *w, struct sim_item *it)
{
	struct sim_proc *p = w->box[it->node].p;
	if (!p || it->life != p->life) {
		sim_item_free(it);
		return;
	}
	sim_list_add(&p->sync.rx, it);
	sim_sync_kick(w, it->node, latency(w) / 4);
}

void sim_sync_ct(struct sim *w, unsigned n)
{
	if (w->box[n].p && fake_ct_queued(w->box[n].ct))
		sim_sync_kick(w, n, 500 * NS_PER_US);
}

void sim_sync_addr_lost(struct sim *w, unsigned n)
{
	if (!w->box[n].p)
		return;
	w->box[n].p->sync.lost = true;
	sim_sync_kick(w, n, latency(w));
}

/* ---- the kernel ---- */

static void read_events(struct sim *w, unsigned n)
{
	struct sync *core = w->box[n].p->sync.core;
	struct ct_event ev[32];
	unsigned k;
	bool overrun = false, lost = false;
	while ((k = fake_ct_events(w->box[n].ct, ev, 32, &overrun)) > 0) {
		lost |= overrun;
		for (unsigned i = 0; i < k; i++) {
			if (w->port && ev[i].e.orig.sport == w->port)
				TRACE(w, "n%u event %d of %u by %u", n + 1, (int)ev[i].type, w->port, ev[i].portid);
			sync_on_ct_event(core, &ev[i], w->now);
		}
	}
	/* Told when what was in the buffer is read, as ct_io does. */
	if (lost || overrun)
		sync_on_overrun(core, w->now);
}

static bool inject(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct ct_op ops[BATCH];
	int results[BATCH];
	sim_store_level(w, n);
	uint64_t out = s->core->stats.store_out;
	unsigned k = sync_pull_ops(s->core, ops, BATCH, w->now);
	sim_store_check(w, n, ops, k, k > 0 && s->core->stats.store_out - out == k);
	if (s->core->stats.store_out != out)
		s->released = s->core->queues[SESS_QUEUE_LIVE].put;
	for (unsigned i = 0; i < k; i++) {
		struct ct_event got;
		if (w->port && ops[i].e.orig.sport == w->port)
			TRACE(w, "n%u operation %d of %u, timeout %u", n + 1, (int)ops[i].type, w->port,
			      ops[i].e.timeout_s);
		sim_check_op(w, n, &ops[i]);
		results[i] = fake_ct_op(w->box[n].ct, s->portid, &ops[i], &got);
		if (ops[i].type == CT_OP_GET && results[i] == 0)
			sync_on_ct_event(s->core, &got, w->now);
	}
	for (unsigned i = 0; i < k; i++)
		sync_on_op_result(s->core, ops[i].cookie, results[i], w->now);
	sim_store_after(w, n);
	return k > 0;
}

static bool inject_some(struct sim *w, unsigned n, unsigned batches)
{
	for (unsigned i = 0; i < batches; i++)
		if (!inject(w, n))
			return false;
	return true;
}

static void listen_as_wanted(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	fake_ct_listen(w->box[n].ct, sync_wants_events(s->core, w->now), true, s->portid);
}

/* A dump is read ahead: what is looked at is a little older than the events. */
static void sweep(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	if (!s->dumping) {
		if (!sync_sweep_wanted(s->core, w->now))
			return;
		sync_sweep_begin(s->core, w->now);
		s->dumping = true;
		s->cursor = 0;
		s->n_ahead = 0;
		s->dump_at = w->now;
	}
	if (mono_due(s->dump_at, w->now)) {
		for (unsigned i = 0; i < s->n_ahead; i++)
			sync_on_sweep_entry(s->core, &s->ahead[i].e, w->now);
		s->n_ahead = fake_ct_dump(w->box[n].ct, &s->cursor, s->ahead, 16);
		s->dump_at = mono_add(w->now, WALK_NS);
		if (!s->n_ahead) {
			s->dumping = false;
			sync_sweep_end(s->core, true, w->now);
			return;
		}
	}
	sim_sync_kick(w, n, mono_sub(s->dump_at, w->now));
}

/* ---- the stream ---- */

static struct sim_conn *conn(struct sim *w, unsigned n, unsigned peer)
{
	return sim_conn_of(w, n, peer, CHAN_DATA);
}

static void stream_begin(struct sim *w, unsigned n, unsigned peer, uint32_t gen)
{
	struct sim_sync *s = &w->box[n].p->sync;
	const struct sim_proc *o = w->box[peer].p;
	if (s->active[peer])
		sync_peer_down(s->core, sim_node_id(peer), w->now);
	s->active[peer] = true;
	s->active_gen[peer] = gen;
	TRACE(w, "n%u stream with n%u begins", n + 1, peer + 1);
	static const uint8_t nobody[16];
	require(sync_peer_up(s->core, sim_node_id(peer), o ? o->nonce : 0, o ? o->sync.key : nobody, w->now) == 0);
}

static void trace_rec(struct sim *w, unsigned n, unsigned other, const struct sync_rec *rec, const char *what)
{
	if (!w->trace || !w->port)
		return;
	uint16_t port = rec->e.orig.sport;
	if (!rec->full && w->box[sim_node_of(rec->owner)].p) { /* by the sender's handle */
		struct ct_tuple t = { 0 };
		const struct sync *core = w->box[sim_node_of(rec->owner)].p->sync.core;
		if (sess_at(&core->tbl, rec->handle))
			sess_orig(&core->tbl, rec->handle, &t);
		port = t.sport;
	}
	bool flow = rec->type <= SYNC_REC_WANT || rec->type == SYNC_REC_REFUSED;
	if (flow && port != w->port && w->port != UINT16_MAX)
		return;
	if (!flow && rec->type != SYNC_REC_FLOOR && rec->type != SYNC_REC_BULK_BEGIN && rec->type != SYNC_REC_BULK_END)
		return;
	sim_trace(w, "n%u %s n%u record %d epoch %llu.%u version %llu.%u/%u of n%u%s", n + 1, what, other + 1,
		  (int)rec->type, (unsigned long long)rec->epoch.counter, rec->epoch.node,
		  (unsigned long long)rec->version.epoch.counter, rec->version.epoch.node, rec->version.claim,
		  rec->version.node, rec->bulk ? ", bulk" : "");
}

/* What only a digest can find: state and ends. Who owns a flow is said once, and is not lost for the sake of a test. */
static bool may_lose(const struct sync *core, unsigned from, const struct sync_rec *rec)
{
	const struct sync_peer *p = sync_peer_get(core, sim_node_id(from));
	uint32_t named = handle_get(&p->handles, rec->handle), id = named;
	struct sess *x = rec->full ? sess_find(&core->tbl, &rec->e.orig, &id) : sess_at(&core->tbl, id);
	/* What a bulk does not name is taken for ended. */
	if ((rec->type != SYNC_REC_SESSION && rec->type != SYNC_REC_DELETE) || rec->bulk)
		return false;
	if (!x)
		return rec->full; /* a handle that is not known is asked for: that is another matter */
	/* The flow's name in this stream is said once, too: its end will be told by nothing else. */
	if (id != named)
		return false;
	return flow_version_cmp(sync_owner_effective(&core->owner, sess_version(&core->tbl, x)), rec->version) == 0;
}

/* Records about a flow that is known, from before the fence, must change nothing. */
static void on_record(struct sim *w, unsigned n, unsigned from, const struct sync_rec *rec)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sync_stats before = s->core->stats;
	bool old = epoch_cmp(rec->epoch, s->fence) < 0;
	trace_rec(w, n, from, rec, "hears");
	if (w->lose_rec[n] && may_lose(s->core, from, rec) && w->lose_rec[n]-- % 2) {
		w->count.rec_lost++;
		return;
	}
	if (rec->type == SYNC_REC_DELETE || rec->type == SYNC_REC_EXPIRED) {
		const struct sync_peer *p = sync_peer_get(s->core, sim_node_id(from));
		uint32_t id = rec->full ? 0 : handle_get(&p->handles, rec->handle);
		struct ct_tuple t = rec->e.orig;
		if (id && sess_at(&s->core->tbl, id))
			sess_orig(&s->core->tbl, id, &t);
		sim_check_end(w, n, &t);
	}
	sync_on_record(s->core, sim_node_id(from), rec, w->now);
	const struct sync_stats *now = &s->core->stats;
	if (now->digests_differ != before.digests_differ)
		TRACE(w, "n%u finds that its copies differ from n%u's digest", n + 1, from + 1);
	if (old && (now->rx_updated != before.rx_updated || now->rx_deleted != before.rx_deleted ||
		    now->rx_expired != before.rx_expired))
		sim_violation(w, "n%u applied a record of epoch %llu.%u as an update although it was fenced at %llu.%u",
			      n + 1, (unsigned long long)rec->epoch.counter, rec->epoch.node,
			      (unsigned long long)s->fence.counter, s->fence.node);
}

static void on_data(struct sim *w, unsigned n, struct sim_item *it)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sim_conn *k = conn(w, n, it->from);
	if (it->flag) {
		if (s->active[it->from] && it->gen >= s->active_gen[it->from]) {
			s->active[it->from] = false;
			sync_peer_down(s->core, sim_node_id(it->from), w->now);
			TRACE(w, "n%u stream with n%u ends", n + 1, it->from + 1);
		}
		return;
	}
	if (it->gen == k->gen && k->n[n < it->from ? 1 : 0] > 0)
		k->n[n < it->from ? 1 : 0]--;
	if (!it->len) {
		if (it->gen != k->gen)
			return;
		if (n > it->from) /* the acceptor echoes */
			sim_conn_send(w, n, it->from, CHAN_DATA, NULL, 0);
		stream_begin(w, n, it->from, it->gen);
		return;
	}
	if (!s->active[it->from] || s->active_gen[it->from] != it->gen) {
		w->count.late++;
		return;
	}
	size_t at = 0, used;
	while (at < it->len) {
		struct sync_env env;
		struct sync_unpack u;
		struct sync_rec rec;
		enum sync_drop d;
		require(sync_env_read(it->bytes + at, it->len - at, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used) ==
			SYNC_OK);
		at += used;
		sync_unpack_begin(&u, &env);
		while ((d = sync_unpack_next(&u, &rec, NULL)) == SYNC_OK)
			on_record(w, n, it->from, &rec);
		require(d == SYNC_MORE);
	}
}

static void read_streams(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sim_item *it;
	while ((it = sim_list_take(&s->rx)) != NULL) {
		on_data(w, n, it);
		sim_item_free(it);
	}
}

/*
 * What leaves: a session of the box itself never does; an end may only be told by who has authority, and not while it is
 * being handed over.
 */
static void check_rec(struct sim *w, unsigned n, const struct sync_rec *rec)
{
	const struct sim_sync *s = &w->box[n].p->sync;
	bool session = rec->type == SYNC_REC_SESSION || rec->type == SYNC_REC_CLAIM;
	if (session && rec->full && memcmp(rec->e.orig.dst, w->vips[0][0].addr.b, 16) == 0)
		sim_violation(w, "n%u told a session of the box itself, from port %u", n + 1, rec->e.orig.sport);
	sim_check_told(w, n, rec);
	if (rec->type != SYNC_REC_DELETE && rec->type != SYNC_REC_EXPIRED)
		return;
	if (s->muted)
		sim_violation(w, "n%u told an end between the first step of its demotion and STABLE", n + 1);
	if (rec->version.node != sim_node_id(n))
		sim_violation(w, "n%u told the end of a flow of node %u", n + 1, rec->version.node);
}

static void flush_to(struct sim *w, unsigned n, unsigned to)
{
	struct sim_proc *p = w->box[n].p;
	struct sim_sync *s = &p->sync;
	static uint8_t buf[SYNC_DATA_MAX];
	for (unsigned i = 0; i < 4 && s->active[to] && s->active_gen[to] == conn(w, n, to)->gen; i++) {
		struct sync_pack pack;
		struct sync_rec rec;
		/* Before every send: the role epoch that CONTROL has stored. */
		if (epoch_cmp(p->role_epoch, s->core->owner.seen) > 0)
			sync_owner_see(&s->core->owner, p->role_epoch);
		if (!sim_conn_room(w, n, to, CHAN_DATA))
			return;
		sync_pack_begin(&pack, buf, sizeof(buf));
		while (wire_room(&pack.w) >= SYNC_ENV_LEN + SYNC_PACK_OBJ_MAX &&
		       sync_pull_rec(s->core, sim_node_id(to), &rec, w->now)) {
			trace_rec(w, n, to, &rec, "tells");
			check_rec(w, n, &rec);
			require(sync_pack_add(&pack, &rec) == 0);
		}
		size_t len = sync_pack_end(&pack);
		if (len == 0)
			return;
		sim_conn_send(w, n, to, CHAN_DATA, buf, len);
	}
}

/* ---- commands ---- */

/* A walk over the sessions inside a command would hold up a takeover by as much as there are sessions. */
uint32_t __real_sess_walk_next(const struct sess_tbl *t, struct sess_walk *k, unsigned *budget);
uint32_t __wrap_sess_walk_next(const struct sess_tbl *t, struct sess_walk *k, unsigned *budget);
static bool in_command, walked;
uint32_t __wrap_sess_walk_next(const struct sess_tbl *t, struct sess_walk *k, unsigned *budget)
{
	walked |= in_command;
	return __real_sess_walk_next(t, k, budget);
}

/* Everything that the peers have sent goes into the kernel; then older epochs end. */
static void fence(struct sim *w, unsigned n, struct epoch epoch)
{
	struct sim_sync *s = &w->box[n].p->sync;
	sync_join(s->core, w->now);
	listen_as_wanted(w, n);
	bool outer = in_command;
	in_command = false; /* reading and writing are bounded by time, not by the table */
	read_streams(w, n);
	inject_some(w, n, 8);
	in_command = outer;
	sync_fence(s->core, epoch, w->now);
	s->fence = epoch_max(s->fence, epoch);
}

static void answer_commit(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sync_report rep = { .type = SYNC_REP_COMMITTED };
	if (!sync_commit_over(s->core, &rep.epoch))
		return;
	rep.degraded = sync_stored(s->core) > 0;
	report(w, n, &rep);
}

/* As peer_or_only: without a name the first one. */
static uint32_t partner(unsigned n, uint32_t named)
{
	return named ? named : sim_node_id(n == 0 ? 1 : 0);
}

static void answer_waits(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	for (unsigned i = 0; i < s->flush.n;) {
		const struct sync_wait *a = &s->flush.w[i];
		struct sync_report rep = { .type = SYNC_REP_FLUSHED, .epoch = a->epoch };
		if (!sync_flushed(s->core, partner(n, a->node), &rep.seq)) {
			i++;
			continue;
		}
		(void)sync_wait_take(&s->flush, i);
		report(w, n, &rep);
	}
	for (unsigned i = 0; i < s->apply.n;) {
		const struct sync_wait *a = &s->apply.w[i];
		struct sync_report rep = { .type = SYNC_REP_APPLIED, .epoch = a->epoch, .seq = a->seq };
		bool done = sync_applied(s->core, partner(n, a->node), rep.seq, w->now);
		if (!done && !mono_due(a->until, w->now)) {
			i++;
			continue;
		}
		(void)sync_wait_take(&s->apply, i);
		fence(w, n, rep.epoch);
		rep.degraded = !done;
		rep.storing = sync_storing(s->core);
		sim_store_fenced(w, n, rep.storing);
		report(w, n, &rep);
	}
}

static void role_command(struct sim *w, unsigned n, const struct sync_cmd *c)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sync_wait wait = {
		.epoch = c->epoch, .seq = c->seq, .node = c->peer_node, .until = mono_add(w->now, APPLY_NS)
	};
	struct sync_report rep = { .type = SYNC_REP_AUTHORITY, .epoch = c->authority.epoch };
	switch (c->type) {
	case SYNC_CMD_AUTHORITY:
		sync_authority(s->core, &c->authority, w->now);
		report(w, n, &rep);
		return;
	case SYNC_CMD_FLUSH:
		in_command = false;
		read_events(w, n);
		in_command = true;
		sync_flush_begin(s->core, w->now);
		s->muted = true;
		sync_wait_add(&s->flush, &wait);
		return;
	case SYNC_CMD_APPLY:
		in_command = false;
		read_streams(w, n);
		in_command = true;
		sync_wait_add(&s->apply, &wait);
		return;
	case SYNC_CMD_JOIN:
		sync_join(s->core, w->now);
		return;
	case SYNC_CMD_DEMOTING:
		sync_demoting(s->core, w->now);
		s->muted = true;
		return;
	case SYNC_CMD_STABLE:
		sync_wait_end(&s->flush, c->epoch);
		sync_wait_end(&s->apply, c->epoch);
		if (!c->rest)
			return;
		sync_stable(s->core, w->now);
		s->muted = false;
		return;
	case SYNC_CMD_PEER_ALIVE:
		sync_peer_alive(s->core, c->peer_node, w->now);
		return;
	case SYNC_CMD_PING:
	case SYNC_CMD_FENCE:
	case SYNC_CMD_DELETE_CT:
	case SYNC_CMD_CLIENT:
	case SYNC_CMD_CLEAR:
	case SYNC_CMD_STALL:
	case SYNC_CMD_CONF:
	case SYNC_CMD_FACTS:
	case SYNC_CMD_LISTENERS:
	case SYNC_CMD_STOP:
		return;
	}
}

static void command(struct sim *w, unsigned n, const struct sync_cmd *c)
{
	struct sync_report rep = { .type = SYNC_REP_PONG, .seq = c->seq };
	in_command = true;
	if (c->type == SYNC_CMD_PING) {
		report(w, n, &rep);
	} else if (c->type == SYNC_CMD_FENCE) {
		fence(w, n, c->epoch);
		rep.type = SYNC_REP_FENCED;
		rep.epoch = c->epoch;
		rep.storing = sync_storing(w->box[n].p->sync.core);
		sim_store_fenced(w, n, rep.storing);
		report(w, n, &rep);
	} else {
		role_command(w, n, c);
	}
	in_command = false;
}

static void commands(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	while (s->cmd_first) {
		struct sim_sync_cmd *c = s->cmd_first;
		s->cmd_first = c->next;
		if (!s->cmd_first)
			s->cmd_last = &s->cmd_first;
		command(w, n, &c->cmd);
		free(c);
	}
}

/* ---- the loop's pass ---- */

static void tell_state(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	struct sync_report rep = { .type = SYNC_REP_STATE };
	sync_state_get(s->core, &rep.state);
	const struct sync_state *a = &rep.state, *b = &s->told;
	bool flags = a->data_up != b->data_up || a->peer_has_all != b->peer_has_all || a->have_all != b->have_all ||
		     a->equal != b->equal || memcmp(a->has_all, b->has_all, sizeof(a->has_all)) != 0;
	bool counts =
	    a->own != b->own || a->copies != b->copies || a->dirty != b->dirty || a->equal_at.ns != b->equal_at.ns;
	if (!flags && !(counts && mono_due(s->counts_at, w->now)))
		return;
	s->told = rep.state;
	s->counts_at = mono_add(w->now, COUNTS_NS);
	report(w, n, &rep);
}

/* An operator who resets and compares every few seconds, whatever else goes on; not from the common numbers, so that the
 * days of the seeds stay what they are. */
static void orders(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	uint64_t h = (w->seed * 7 + n * 3 + s->orders + 1) * UINT64_C(0x9e3779b97f4a7c15);
	if (w->seed % 3 != 0 || !mono_due(s->order_at, w->now))
		return;
	if (s->orders++ > 0)
		w->count.orders += sync_reset_give(s->core, (enum sync_order)((h >> 32) % 3), w->now) == 0;
	s->order_at = mono_add(w->now, (int64_t)(2 + (h >> 40) % 12) * NS_PER_SEC);
}

static void pump(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	orders(w, n);
	if (mono_due(sync_deadline(s->core, w->now), w->now))
		sync_tick(s->core, w->now);
	bool more = inject_some(w, n, PUMP_BATCHES);
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (i != n)
			flush_to(w, n, i);
	listen_as_wanted(w, n);
	sweep(w, n);
	answer_waits(w, n);
	answer_commit(w, n);
	tell_state(w, n);
	mono_t next = more ? w->now : sync_deadline(s->core, w->now);
	next = mono_min(next, sync_wait_until(&s->apply));
	s->wake_at = mono_min(s->wake_at, mono_max(next, mono_add(w->now, 100 * NS_PER_US)));
}

void sim_sync_wake(struct sim *w, unsigned n)
{
	struct sim_sync *s = &w->box[n].p->sync;
	s->wake_at = MONO_NEVER;
	if (s->lost) {
		s->lost = false;
		sync_net_lost(s->core, w->now);
	}
	if (sim_chance(w, 0.5))
		read_streams(w, n);
	commands(w, n);
	if (walked)
		sim_violation(w, "n%u walked its session table inside a command of the role transaction", n + 1);
	walked = false;
	read_events(w, n);
	read_streams(w, n);
	pump(w, n);
}
