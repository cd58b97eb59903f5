/*
 * Drives the pure core: what the kernel and the peers say goes in, what the core wants goes out. One entrance,
 * drive_pump, does everything that is due; it runs after each batch of input and at the core's deadline.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/sync_run.h"

enum { PUMP_BATCHES = 8 };
#define PUMP_NS     (2 * NS_PER_MS)
#define TIMEOUTS_NS (60 * NS_PER_SEC)
#define HINT_NS     (600 * NS_PER_SEC)

static void on_events(void *arg, const struct ct_event *ev, unsigned n)
{
	struct sync_run *r = arg;
	mono_t now = clock_mono();
	if (r->peek) { /* any of several names finds the same entry */
		if (!r->peeked)
			*r->peek = ev[0].e;
		r->peeked = true;
		return;
	}
	if (!r->core)
		return; /* replication is off; the socket is there to delete single entries */
	if (!r->injecting)
		sync_read_from(r->core, ct_io_dump_from(r->ct));
	for (unsigned i = 0; i < n; i++) {
		/* A dump entry outside of an injection comes from the sweep; inside it answers a GET. */
		if (ev[i].type == CT_EV_DUMP && !r->injecting)
			sync_on_sweep_entry(r->core, &ev[i].e, now);
		else
			sync_on_ct_event(r->core, &ev[i], now);
	}
}

static void on_pass(void *arg)
{
	drive_pump(arg);
}

static void on_overrun(void *arg)
{
	struct sync_run *r = arg;
	if (!r->core)
		return;
	log_warn(LOG_SYNC, "conntrack events were lost: the receive buffer was full; a sweep repairs");
	sync_on_overrun(r->core, clock_mono());
	drive_kick(r);
}

static void on_dump_restart(void *arg)
{
	struct sync_run *r = arg;
	sync_sweep_begin(r->core, clock_mono());
}

static void on_dump_end(void *arg, int result)
{
	struct sync_run *r = arg;
	if (result != 0)
		log_warn(LOG_SYNC, "the walk over the conntrack table failed: %s", err_text(result));
	sync_sweep_cost(r->core, ct_io_dump_cost(r->ct));
	sync_sweep_end(r->core, result == 0, clock_mono());
	drive_kick(r);
}

static void set_timeouts(struct sync_run *r)
{
	struct sync_timeouts t;
	bool first = r->timeouts_at.ns == 0;
	int rc = ct_io_timeouts(&t);
	r->timeouts_at = mono_add(clock_mono(), TIMEOUTS_NS);
	if (rc != 0 && first)
		log_warn(LOG_SYNC, "a conntrack timeout cannot be read, the kernel's default is assumed: %s",
			 err_text(rc));
	sync_set_timeouts(r->core, &t);
}

/* Masquerade on a router without a virtual address is the most frequent reason why nothing survives: say it. */
static void hint_node_address(struct sync_run *r, mono_t now)
{
	char a[ADDR_TEXT_MAX];
	if (r->node_told > r->core->stats.node_address) /* counters were cleared */
		r->node_told = 0;
	uint64_t n = r->core->stats.node_address - r->node_told;
	if (n == 0 || !mono_due(r->node_told_at, now))
		return;
	r->node_told += n;
	r->node_told_at = mono_add(now, HINT_NS);
	log_warn(
	    LOG_SYNC,
	    "%" PRIu64 " session%s left out, translated to %s, an address of this node alone; the kernel drops such "
	    "entries with the interface, and after a switch no answer would come back. Use SNAT to a virtual address",
	    n, n == 1 ? "" : "s", addr_text(&r->core->node_address, a));
}

static void on_tick(void *arg, mono_t deadline)
{
	(void)deadline;
	drive_pump(arg);
}

int drive_init(struct sync_run *r, const uint8_t key[16])
{
	static const struct ct_io_cb cb = {
		.events = on_events,
		.pass = on_pass,
		.overrun = on_overrun,
		.dump_end = on_dump_end,
		.dump_restart = on_dump_restart,
	};
	struct ct_io_conf cc = { .rcvbuf = r->conf->rcvbuf_bytes };
	r->tick = loop_timer_new(r->loop, LOOP_NORMAL, on_tick, r);
	if (!r->tick)
		return -ENOMEM;
	if (r->conf->replicate) {
		r->core = calloc(1, sizeof(*r->core));
		if (!r->core)
			return -ENOMEM;
		int rc = sync_init(r->core, r->conf, r->self.boot_nonce, key, clock_mono());
		if (rc != 0) {
			free(r->core);
			r->core = NULL;
			return rc;
		}
	}
	r->ct = ct_io_new(r->loop, &cc, &cb, r);
	if (!r->ct) {
		int rc = -errno;
		log_err(LOG_SYNC, "conntrack cannot be reached through netlink: %s", err_text(rc));
		return rc;
	}
	if (!r->core)
		return 0;
	int was = 0, rc = ct_io_events_on(&was);
	if (rc != 0)
		log_warn(LOG_SYNC, "nf_conntrack_events cannot be set to 1: %s; flows may stay unobserved",
			 err_text(rc));
	sync_own_portid(r->core, ct_io_stats(r->ct)->portid);
	set_timeouts(r);
	return 0;
}

void drive_done(struct sync_run *r)
{
	delete_free(r);
	loop_timer_free(r->tick);
	r->tick = NULL;
	ct_io_free(r->ct);
	r->ct = NULL;
	if (r->core) {
		sync_free(r->core);
		free(r->core);
		r->core = NULL;
	}
}

void drive_kick(struct sync_run *r)
{
	if (r->tick)
		loop_timer_set(r->tick, clock_mono());
}

/* How full the kernel's table is: copies must not fill it. */
static void read_level(struct sync_run *r)
{
	mono_t now = clock_mono();
	uint32_t max, count;
	if (!sync_table_wanted(r->core, now))
		return;
	int rc = ct_io_table_size(&max, &count);
	if (rc == 0) {
		sync_table(r->core, max, count, now);
		return;
	}
	static struct log_rate rate;
	unsigned held;
	sync_table(r->core, 0, 0, now);
	if (log_rate_ok(&rate, 1, &held))
		log_warn(LOG_SYNC, "nf_conntrack_max cannot be read, the high-water mark is off: %s", err_text(rc));
}

/* One batch into the kernel. False: there was nothing to do. */
static bool inject(struct sync_run *r)
{
	struct ct_op ops[CT_IO_BATCH];
	int results[CT_IO_BATCH];
	read_level(r);
	mono_t from = clock_mono();
	unsigned n = sync_pull_ops(r->core, ops, CT_IO_BATCH, from);
	if (n == 0)
		return false;
	sync_read_from(r->core, from);
	r->injecting = true;
	int rc = ct_io_inject(r->ct, ops, n, results);
	r->injecting = false;
	r->st.inject_calls++;
	r->st.injected += n;
	if (rc < 0)
		r->st.inject_errors++;
	mono_t now = clock_mono();
	for (unsigned i = 0; i < n; i++) {
		sync_on_op_result(r->core, ops[i].cookie, results[i], now);
		if (ops[i].type == CT_OP_DELETE && ops[i].cookie == 0)
			delete_result(r, results[i]);
	}
	return true;
}

/* Live operations first: the core hands them out in this order. True when more may wait. */
static bool inject_some(struct sync_run *r, unsigned batches, mono_t until)
{
	for (unsigned i = 0; i < batches; i++) {
		if (!inject(r))
			return false;
		if (mono_due(until, clock_mono()))
			break;
	}
	return true;
}

static void listen_as_wanted(struct sync_run *r)
{
	int rc = ct_io_listen(r->ct, sync_wants_events(r->core, clock_mono()));
	static struct log_rate rate;
	unsigned held;
	if (rc != 0 && log_rate_ok(&rate, 1, &held))
		log_err(LOG_SYNC, "conntrack events cannot be subscribed to: %s", err_text(rc));
}

static void sweep_as_wanted(struct sync_run *r)
{
	mono_t now = clock_mono();
	struct ct_io_pace pace = { sync_sweep_rate(r->core), sync_sweep_least(r->core), SYNC_SWEEP_SHARE };
	if (ct_io_dump_running(r->ct)) {
		ct_io_dump_pace(r->ct, pace);
		return;
	}
	if (!sync_sweep_wanted(r->core, now))
		return;
	/* An idle flow that was taken over gets today's timers; an operator may have changed them. */
	if (mono_due(r->timeouts_at, now))
		set_timeouts(r);
	hint_node_address(r, now);
	sync_sweep_begin(r->core, now);
	int rc = ct_io_dump_start(r->ct, pace);
	if (rc != 0) {
		log_warn(LOG_SYNC, "the conntrack table cannot be walked: %s", err_text(rc));
		sync_sweep_end(r->core, false, now);
	}
}

/* Flags at once, table sizes once a second. */
static void tell_state(struct sync_run *r)
{
	struct sync_report rep = { .type = SYNC_REP_STATE };
	mono_t now = clock_mono();
	sync_state_get(r->core, &rep.state);
	const struct sync_state *a = &rep.state, *b = &r->told;
	bool flags = a->committing != b->committing || a->data_up != b->data_up || a->peer_has_all != b->peer_has_all ||
		     a->have_all != b->have_all || a->equal != b->equal ||
		     memcmp(a->has_all, b->has_all, sizeof(a->has_all)) != 0;
	bool counts =
	    a->own != b->own || a->copies != b->copies || a->dirty != b->dirty || a->equal_at.ns != b->equal_at.ns;
	if (!flags && !r->state_unsent && !(counts && mono_due(r->counts_at, now)))
		return;
	r->told = rep.state;
	r->counts_at = mono_add(now, SYNC_COUNTS_NS);
	r->state_unsent = false;
	sync_run_report(r, &rep); /* sets state_unsent again when the mailbox is full */
}

/* Everything that the peers have sent goes into the kernel; then older epochs end. False: time ran out. */
static bool fence(struct sync_run *r, struct epoch epoch)
{
	mono_t now = clock_mono();
	sync_join(r->core, now);
	listen_as_wanted(r);
	bool all = data_drain(r, mono_add(now, SYNC_FENCE_READ_NS));
	/* Live changes and the batch they are in: what a bulk has still to write is no older tomorrow. */
	mono_t until = mono_add(clock_mono(), SYNC_FENCE_WRITE_NS);
	while (inject(r) && r->core->queues[SESS_QUEUE_LIVE].head != 0 && !mono_due(until, clock_mono()))
		;
	sync_fence(r->core, epoch, clock_mono());
	return all;
}

/* What came with the role is in the kernel; until then it goes there as fast as it takes it. */
static void answer_commit(struct sync_run *r)
{
	struct sync_report rep = { .type = SYNC_REP_COMMITTED };
	if (!sync_commit_over(r->core, &rep.epoch))
		return;
	rep.degraded = sync_stored(r->core) > 0;
	if (r->st.committed < r->core->stats.store_out)
		log_notice(LOG_SYNC,
			   "%" PRIu64 " copies of the store are in the kernel after %" PRId64 " ms, %" PRIu32 " wait",
			   r->core->stats.store_out - r->st.committed,
			   mono_sub(clock_mono(), r->core->store.commit_at) / NS_PER_MS, sync_stored(r->core));
	r->st.committed = r->core->stats.store_out;
	sync_run_report(r, &rep);
}

static uint32_t peer_or_only(const struct sync_run *r, uint32_t node)
{
	return node != 0 || r->n_peers == 0 ? node : r->peers[0]->node;
}

/* drained: no event waits. One that is late is not held up by a stream of them that never ends. */
static void answer_flushes(struct sync_run *r, bool drained)
{
	mono_t now = clock_mono();
	for (unsigned i = 0; i < r->flush.n;) {
		const struct sync_wait *w = &r->flush.w[i];
		struct sync_report rep = { .type = SYNC_REP_FLUSHED, .epoch = w->epoch };
		rep.peer_node = peer_or_only(r, w->node);
		if ((drained || mono_due(w->until, now)) && sync_flushed(r->core, rep.peer_node, &rep.seq)) {
			(void)sync_wait_take(&r->flush, i);
			sync_run_report(r, &rep);
		} else {
			i++;
		}
	}
}

static void answer_applies(struct sync_run *r)
{
	for (unsigned i = 0; i < r->apply.n;) {
		const struct sync_wait *w = &r->apply.w[i];
		struct sync_report rep = { .type = SYNC_REP_APPLIED, .epoch = w->epoch, .seq = w->seq };
		mono_t now = clock_mono();
		rep.peer_node = peer_or_only(r, w->node);
		bool done = sync_applied(r->core, rep.peer_node, rep.seq, now);
		if (!done && !mono_due(w->until, now)) {
			i++;
			continue;
		}
		(void)sync_wait_take(&r->apply, i);
		bool empty = fence(r, rep.epoch);
		rep.degraded = !done || !empty;
		rep.storing = sync_storing(r->core);
		rep.applied_late = (uint32_t)r->core->stats.refused_epoch;
		sync_run_report(r, &rep);
	}
}

void drive_pump(struct sync_run *r)
{
	if (!r->core || !r->tick || r->pumping)
		return;
	r->pumping = true;
	/* Events that wait belong to what is flushed. */
	bool drained = r->flush.n > 0 && ct_io_drain(r->ct, 2 * NS_PER_MS);
	mono_t now = clock_mono();
	if (mono_due(sync_deadline(r->core, now), now))
		sync_tick(r->core, now);
	bool more = delete_pump(r);
	more |= inject_some(r, PUMP_BATCHES, mono_add(now, PUMP_NS));
	explain_pump(r);
	act_pump(r);
	for (unsigned i = 0; i < r->n_peers; i++)
		data_flush(r, r->peers[i]);
	listen_as_wanted(r);
	sweep_as_wanted(r);
	answer_flushes(r, drained);
	answer_applies(r);
	answer_commit(r);
	tell_state(r);
	now = clock_mono();
	mono_t next = more ? now : mono_max(sync_deadline(r->core, now), mono_add(now, 100 * NS_PER_US));
	next = mono_min(next, sync_wait_until(&r->apply));
	if (r->flush.n > 0) /* draining is worth another look soon */
		next = mono_min(next, mono_add(now, NS_PER_MS));
	loop_timer_set(r->tick, next);
	r->pumping = false;
}

bool drive_late(mono_t at)
{
	return mono_sub(clock_mono(), at) > SYNC_FENCE_LATE_NS;
}

void drive_fence(struct sync_run *r, struct epoch epoch, mono_t at)
{
	struct sync_report rep = { .type = SYNC_REP_FENCED, .epoch = epoch };
	r->st.fences++;
	if (r->core) {
		bool outer = r->pumping;
		r->pumping = true; /* records that are read here are applied here */
		bool late = drive_late(at);
		if (late) /* this node serves already: what the old master said last is history */
			sync_fence(r->core, epoch, clock_mono());
		rep.degraded = !fence(r, epoch) || late;
		r->pumping = outer;
		rep.applied_late = (uint32_t)r->core->stats.refused_epoch;
		rep.storing = sync_storing(r->core);
	}
	if (rep.degraded)
		r->st.fences_degraded++;
	sync_run_report(r, &rep);
	drive_kick(r);
}
