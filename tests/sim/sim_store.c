/*
 * Copies outside of the kernel: seeds with a warm store, and seeds in which every node's table is half full of what it
 * opened itself. Which seed is what follows from its number, so that chance takes the same course as without it.
 */
#include <netinet/in.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"
#include "tests/sim/sim.h"

enum { FULL_MAX = 200, FULL_MARK = 50, FULL_OWN = 104, TOOL_PORT = 77, ROOMY_MAX = 400 };

void sim_store_kinds(struct sim *w)
{
	bool warm = w->seed % 4 == 1;
	w->full_tables = w->seed % 5 == 2;
	for (unsigned n = 0; n < w->n_nodes; n++) {
		w->sync_conf[n].store = warm ? SYNC_STORE_WARM : SYNC_STORE_HOT;
		w->sync_conf[n].high_water = w->full_tables ? FULL_MARK : 85;
	}
	w->count.warm += warm;
	w->count.full += w->full_tables;
}

/* What the machine itself has open, to others: of no use to a peer. */
static void own_entry(struct sim *w, unsigned n, uint16_t port)
{
	struct ct_op op = { .type = CT_OP_CREATE };
	struct addr src = addr_v4(10, 1, 0, (uint8_t)(n + 1)), dst = addr_v4(198, 51, 100, 9);
	op.e.orig = (struct ct_tuple){ .l3 = 4, .l4 = IPPROTO_UDP, .sport = port, .dport = 53 };
	memcpy(op.e.orig.src, src.b, 16);
	memcpy(op.e.orig.dst, dst.b, 16);
	require(ct_tuple_invert(&op.e.orig, &op.e.reply));
	op.e.has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT;
	op.e.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY;
	op.e.timeout_s = 1000000;
	require(fake_ct_op(w->box[n].ct, TOOL_PORT, &op, NULL) == 0);
}

struct fake_ct *sim_store_table(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	b->ct = fake_ct_new(w->full_tables ? FULL_MAX : ROOMY_MAX, 2048);
	fake_ct_early_drop(b->ct);
	fake_ct_run(b->ct, w->now);
	for (unsigned i = 0; w->full_tables && i < FULL_OWN; i++)
		own_entry(w, n, (uint16_t)(60000 + i));
	return b->ct;
}

/* Before each batch: how full the table is. */
void sim_store_level(struct sim *w, unsigned n)
{
	struct sync *core = w->box[n].p->sync.core;
	if (sync_table_wanted(core, w->now))
		sync_table(core, fake_ct_max(w->box[n].ct), fake_ct_count(w->box[n].ct), w->now);
}

static bool live(const struct ct_entry *e)
{
	return e->orig.l4 == IPPROTO_TCP ? e->tcp_state == CT_TCP_ESTABLISHED : (e->status & CT_ST_SEEN_REPLY) != 0;
}

/* Of what may be written now: without a role copies wait for the mark, and what is the node's own does not. */
static bool better_waits(const struct sync *core)
{
	bool serves = core->owner.auth.any || core->store.committing;
	struct sess_walk k;
	unsigned budget = UINT32_MAX;
	struct ct_entry e;
	uint32_t id;
	sess_walk_start(&k);
	while ((id = sess_walk_next(&core->tbl, &k, &budget)) != 0) {
		if (sess_at(&core->tbl, id)->list != SESS_LIST_STORE)
			continue;
		sess_entry(&core->tbl, id, &e);
		if (live(&e) &&
		    (serves || sync_owner_mine(&core->owner, sess_version(&core->tbl, sess_at(&core->tbl, id)))))
			return true;
	}
	return false;
}

/* A batch about to be written. from_store: all of it comes from there. */
void sim_store_check(struct sim *w, unsigned n, const struct ct_op *ops, unsigned k, bool from_store)
{
	const struct sync *core = w->box[n].p->sync.core;
	uint32_t mark = fake_ct_max(w->box[n].ct) * core->conf->high_water / 100, made = 0;
	bool serves = core->owner.auth.any || core->store.committing;
	bool rest[2] = { false }; /* hardly used; without a role its own are written before all copies */
	/* A limit that was lowered is known when the table is next looked at. */
	bool lowered = w->box[n].crowd_at.ns && mono_sub(w->now, w->box[n].crowd_at) < SYNC_TABLE_NS;
	for (unsigned i = 0; i < k; i++) {
		if (ops[i].type != CT_OP_CREATE)
			continue;
		made++;
		const struct sess *x = sess_at(&core->tbl, ops[i].cookie);
		bool mine = x && sync_owner_mine(&core->owner, sess_version(&core->tbl, x));
		if (!serves && !mine && core->conf->store == SYNC_STORE_WARM)
			sim_violation(w, "n%u writes a copy (port %u) into its kernel although its store is warm",
				      n + 1, ops[i].e.orig.sport);
		if (!serves && !mine && !lowered && fake_ct_count(w->box[n].ct) + made > mark)
			sim_violation(w, "n%u writes a copy (port %u) above its high-water mark: %u of %u entries",
				      n + 1, ops[i].e.orig.sport, fake_ct_count(w->box[n].ct) + made, mark);
		if (from_store && rest[!serves && mine] && live(&ops[i].e))
			sim_violation(w, "n%u writes a session in use (port %u) behind others of its store", n + 1,
				      ops[i].e.orig.sport);
		rest[!serves && mine] |= !live(&ops[i].e);
	}
	w->count.stored += from_store ? made : 0;
	if (from_store && (rest[0] || rest[1]) && better_waits(core))
		sim_violation(w, "n%u writes sessions that are hardly used while others wait in its store", n + 1);
}

/* SYNC has fenced. A role that is told that nothing is on its way sets its addresses at once. */
void sim_store_fenced(struct sim *w, unsigned n, bool storing)
{
	const struct sim_sync *s = &w->box[n].p->sync;
	if (!storing && (s->core->store.n > 0 || s->core->queues[SESS_QUEUE_LIVE].done < s->released))
		sim_violation(w, "n%u says that no copy waits outside of its kernel, and some do", n + 1);
}

void sim_store_after(struct sim *w, unsigned n)
{
	if (fake_ct_evicted(w->box[n].ct) > 0)
		sim_violation(w, "n%u pushes a session of its own out of a full kernel table", n + 1);
}
