/* Copies that wait outside of the kernel: see sync_store.h. */
#include <errno.h>
#include <netinet/in.h>
#include "daemon/base/mutant.h"
#include "sync/sync_int.h"

uint32_t sync_stored(const struct sync *s)
{
	return s->store.n;
}

/* A node with a role writes at once: a flow may be of the group that it serves, whoever it belongs to by its number. */
bool sync_store_warm(const struct sync *s)
{
	return s->conf->store == SYNC_STORE_WARM && !s->owner.auth.any && !s->store.committing;
}

/* Does anything wait that is not kept back by configuration? */
static bool may_go(const struct sync *s)
{
	return s->store.n_own > 0 || (s->store.n > 0 && !sync_store_warm(s));
}

/* ---- the level of the kernel's table ---- */

uint32_t sync_high_water(const struct sync *s)
{
	if (s->store.max == 0 || s->conf->high_water == 0)
		return UINT32_MAX;
	return (uint32_t)((uint64_t)s->store.max * s->conf->high_water / 100);
}

/* Room for copies; for what this node serves it is the table's own limit. */
static uint32_t limit(const struct sync *s, bool serves)
{
	if (serves)
		return s->store.max != 0 ? s->store.max : UINT32_MAX;
	return sync_high_water(s);
}

static uint32_t room(const struct sync *s, bool serves)
{
	uint32_t most = limit(s, serves);

	return most > s->store.level ? most - s->store.level : 0;
}

bool store_has_room(const struct sync *s, struct flow f)
{
	return MUTANT(M_HIGH_WATER_IGNORED) || room(s, s->store.committing || flow_mine(s, f)) > 0;
}

void store_entries(struct sync *s, int change)
{
	s->store.moved = true;
	if (change < 0 && s->store.level == 0)
		return;
	s->store.level += (uint32_t)change;
}

bool sync_table_wanted(const struct sync *s, mono_t now)
{
	const struct sync_store_state *st = &s->store;
	bool queued = may_go(s) && !st->stuck; /* about to be released */

	if (mono_due(mono_add(st->read_at, NS_PER_SEC), now))
		return true;
	/* Among the renewals there are copies that a sweep wants written again. */
	for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++)
		queued |= s->queues[q].head != 0;
	if (!queued && st->n == 0)
		return false;
	/* The node's own sessions fill the table, too, and nobody tells us how far. */
	bool close = st->max != 0 && room(s, st->committing || s->owner.auth.any) < SYNC_TABLE_CLOSE;
	if (close && (st->moved || (queued && st->read_at.ns != now.ns)))
		return true;
	return mono_due(mono_add(st->read_at, SYNC_TABLE_NS), now);
}

void sync_table(struct sync *s, uint32_t max, uint32_t count, mono_t now)
{
	struct sync_store_state *st = &s->store;

	st->max = max;
	st->level = count;
	st->moved = false;
	st->read_at = now;
	uint32_t mark = sync_high_water(s);
	if (mark == UINT32_MAX) {
		st->above = st->shed = false;
		return;
	}
	/* Between the two levels it stays as it is: nothing goes back and forth at the mark. */
	if (count >= mark)
		st->above = true;
	else if (count < mark - max / 50)
		st->above = false;
	/* Half way to the limit the node's own sessions are in danger: copies without traffic go. */
	bool shed = count > mark + (max - mark) / 2 && !st->committing && !s->owner.auth.any;
	if (shed && !st->shed) {
		s->sweep_hurry = true;
		s->sweep_again = s->sweeping;
		s->sweep_at = now;
	}
	st->shed = shed || (st->shed && count > mark && !st->committing && !s->owner.auth.any);
}

/* ---- the lists ---- */

static bool is_live(const struct ct_entry *e)
{
	if (e->orig.l4 == IPPROTO_TCP)
		return e->status & CT_ST_OFFLOAD || (e->has & CT_HAS_TCP && e->tcp_state == CT_TCP_ESTABLISHED);
	if (e->orig.l4 == IPPROTO_SCTP)
		return e->has & CT_HAS_SCTP && e->sctp_state == CT_SCTP_ESTABLISHED;
	return e->status & CT_ST_SEEN_REPLY;
}

enum sync_class sync_class_of(const struct ct_entry *e, bool is_master)
{
	if (is_master || e->has & CT_HAS_HELPER)
		return e->has & CT_HAS_MASTER ? SYNC_CLASS_MIDDLE : SYNC_CLASS_MASTER;
	return is_live(e) ? SYNC_CLASS_LIVE : SYNC_CLASS_REST;
}

static bool is_copy_list(unsigned list)
{
	return list % 2 != 0;
}

static enum sync_class class_at(unsigned list)
{
	return (enum sync_class)(list / 2);
}

/* At the head, or in front of no others: the newest are written first. */
static void add(struct sync *s, struct flow f, enum sync_class class)
{
	struct sync_store_state *st = &s->store;
	unsigned c = 2 * (unsigned)class + !flow_mine(s, f);

	f.x->list = SESS_LIST_STORE;
	f.x->dirty = (uint8_t)c & 0xf;
	f.x->q_prev = 0;
	f.x->q_next = st->head[c];
	if (st->head[c])
		sess_at(&s->tbl, st->head[c])->q_prev = f.id;
	else
		st->tail[c] = f.id;
	st->head[c] = f.id;
	st->n++;
	st->n_own += !is_copy_list(c);
}

void store_remove(struct sync *s, struct flow f)
{
	struct sync_store_state *st = &s->store;
	unsigned c = f.x->dirty;

	if (f.x->q_prev)
		sess_at(&s->tbl, f.x->q_prev)->q_next = f.x->q_next;
	else
		st->head[c] = f.x->q_next;
	if (f.x->q_next)
		sess_at(&s->tbl, f.x->q_next)->q_prev = f.x->q_prev;
	else
		st->tail[c] = f.x->q_prev;
	f.x->list = SESS_LIST_NONE;
	f.x->dirty = 0;
	f.x->q_next = f.x->q_prev = 0;
	st->n--;
	st->n_own -= !is_copy_list(c);
}

static void store_add(struct sync *s, struct flow f)
{
	struct ct_entry e;

	sess_entry(&s->tbl, f.id, &e);
	if (e.has & CT_HAS_MASTER) {
		/* Its master goes first, whatever else it is. */
		struct flow m = flow_find(s, &e.master);
		if (m.x && m.x->list == SESS_LIST_STORE && class_at(m.x->dirty) > SYNC_CLASS_MIDDLE) {
			struct ct_entry me;
			sess_entry(&s->tbl, m.id, &me);
			store_remove(s, m);
			add(s, m, sync_class_of(&me, true));
		}
	}
	add(s, f, sync_class_of(&e, false));
}

void store_owner(struct sync *s, struct flow f)
{
	if (f.x->list != SESS_LIST_STORE || is_copy_list(f.x->dirty) != flow_mine(s, f))
		return;
	enum sync_class class = class_at(f.x->dirty);
	store_remove(s, f);
	add(s, f, class);
}

/* ---- what waits, and what goes ---- */

bool store_keep(struct sync *s, struct flow f)
{
	unsigned owner = flow_owner(s, f);
	bool full = f.x->flags & SESS_REFUSED && f.x->err == EDQUOT;

	if (owner == 0 || f.x->why != SYNC_WHY_NONE || f.x->flags & SESS_ASK)
		return false;
	if (owner == s->self_slot) {
		/* Nobody else can give it back; without knowing the limit it would be tried without end. */
		full |= f.x->flags & SESS_REFUSED && f.x->err == ENOMEM && s->store.max != 0;
		/* It came with the role and has yet to be written. */
		if (s->store.committing && !(f.x->flags & SESS_REFUSED)) {
			flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_LIVE);
			return true;
		}
		if (full)
			store_add(s, f);
		return full;
	}
	if (f.x->flags & SESS_WANT)
		return false;
	if (!full && !sync_store_warm(s)) {
		if (s->conf->store != SYNC_STORE_WARM || f.x->flags & SESS_REFUSED)
			return false;
		/* It was kept back until now. */
		flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_LIVE);
		return true;
	}
	store_add(s, f);
	return true;
}

bool store_holds(struct sync *s, struct flow f)
{
	if (!flow_mine(s, f) && sync_store_warm(s)) {
		if (f.x->flags & SESS_REFUSED)
			flow_refused(s, f, 0);
		s->stats.store_warm++;
		return true;
	}
	if (store_has_room(s, f))
		return false;
	bool told = f.x->err == EDQUOT;
	s->stats.store_full++;
	flow_refused(s, f, -EDQUOT);
	if (told)
		f.x->flags &= ~SESS_TELL;
	else
		s->rejected[SYNC_REJ_STANDBY_FULL]++;
	return true;
}

void store_put(struct sync *s, struct flow f, enum sess_queue q)
{
	bool idle = f.x->want == SESS_OP_NONE && f.x->fly == SESS_OP_NONE && f.x->queue == SESS_QUEUE_NONE;

	if (idle && !(f.x->flags & SESS_KERN) && f.x->err == 0 && sync_store_warm(s) && !flow_mine(s, f)) {
		s->stats.store_warm++;
		flow_settle(s, f);
		return;
	}
	flow_want(s, f, SESS_OP_PUT, q);
}

/* The best one that may be written; x NULL: none. Without a promotion our own are not held up by copies. */
static struct flow best(const struct sync *s)
{
	const struct sync_store_state *st = &s->store;
	bool serves = st->committing || s->owner.auth.any;
	struct flow f = { 0 };

	if (MUTANT(M_STORE_ORDER)) {
		for (unsigned c = SYNC_STORE_LISTS; c-- > 0 && f.id == 0;)
			f.id = st->tail[c];
	} else {
		for (unsigned c = 0; c < SYNC_STORE_LISTS && f.id == 0; c += serves ? 1 : 2)
			f.id = st->head[c];
		for (unsigned c = 1; c < SYNC_STORE_LISTS && f.id == 0 && !sync_store_warm(s); c += 2)
			f.id = st->head[c];
	}
	f.x = f.id ? sess_at(&s->tbl, f.id) : NULL;
	return f;
}

/* Only what is bound to find room leaves: whatever comes back would have lost its place. */
void store_release(struct sync *s, unsigned max)
{
	struct sync_store_state *st = &s->store;
	unsigned n = 0;

	st->stuck = false;
	while (n < max && may_go(s)) {
		struct flow f = best(s);
		bool serves = st->committing || flow_mine(s, f);
		/* What leaves now is not part of the level yet. */
		st->stuck = !MUTANT(M_HIGH_WATER_IGNORED) && (room(s, serves) <= n || (!serves && st->above));
		if (st->stuck)
			return;
		store_remove(s, f);
		if (f.x->flags & SESS_KERN || f.x->why != SYNC_WHY_NONE || flow_owner(s, f) == 0) {
			flow_settle(s, f);
			continue;
		}
		n++;
		s->stats.store_out++;
		flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_LIVE);
		st->out_mark = s->queues[SESS_QUEUE_LIVE].put;
	}
}

/* ---- a promotion ---- */

void store_commit(struct sync *s, struct epoch epoch, mono_t now)
{
	struct sync_store_state *st = &s->store;

	st->epoch = st->promised ? epoch_max(st->epoch, epoch) : epoch;
	st->committing = st->promised = true;
	st->stuck = st->marked = false;
	st->commit_at = now;
	if (st->n > 0)
		s->stats.store_commits++;
}

void store_rest(struct sync *s)
{
	if (!s->owner.auth.any)
		s->store.committing = s->store.stuck = false;
}

bool sync_committed(const struct sync *s)
{
	const struct sync_queue *q = &s->queues[SESS_QUEUE_LIVE];

	if (!s->store.committing)
		return true;
	if (s->store.n > 0 && !s->store.stuck)
		return false;
	return s->store.marked ? q->done >= s->store.commit_mark : q->done == q->put;
}

bool sync_storing(const struct sync *s)
{
	const struct sync_store_state *st = &s->store;

	return (st->n > 0 && !st->stuck) || s->queues[SESS_QUEUE_LIVE].done < st->out_mark;
}

bool sync_commit_over(struct sync *s, struct epoch *epoch)
{
	if (!s->store.promised || !sync_committed(s))
		return false;
	s->store.promised = false;
	*epoch = s->store.epoch;
	return true;
}

void store_step(struct sync *s, mono_t now)
{
	struct sync_store_state *st = &s->store;

	if (!st->committing)
		return;
	if (!st->marked && (st->n == 0 || st->stuck)) {
		st->marked = true;
		st->commit_mark = s->queues[SESS_QUEUE_LIVE].put;
	}
	/* What still waits goes on finding room as it comes up: store_release asks for the role then. A node that took no
	 * role after all is warm again; what it has written goes back as any copy does. */
	if (mono_due(mono_add(st->commit_at, SYNC_COMMIT_NS), now) && sync_committed(s))
		st->committing = false;
}

/* Its owner has not been heard of for as long as a lease: in the kernel the copy would have run out by now. */
bool store_outlived(const struct sync *s, struct flow f, mono_t now)
{
	unsigned owner = flow_owner(s, f);

	if (f.x->list != SESS_LIST_STORE || owner == 0 || owner == s->self_slot)
		return false;
	const struct sync_peer *p = &s->peers[owner - 1];
	return !p->up && mono_due(mono_add(p->heard_at, s->conf->lease_ns), now);
}

mono_t store_deadline(const struct sync *s, mono_t now)
{
	const struct sync_store_state *st = &s->store;

	if (!may_go(s))
		return st->committing ? mono_add(st->commit_at, SYNC_COMMIT_NS) : MONO_NEVER;
	return st->stuck ? mono_add(now, SYNC_TABLE_NS) : now;
}

/* The sweep has read a copy without traffic: does it go back from the kernel into the store? */
bool store_takes_back(const struct sync *s, struct flow f, bool renew_due)
{
	if (flow_mine(s, f) || f.x->why != SYNC_WHY_NONE || s->store.committing)
		return false;
	return (sync_store_warm(s) && renew_due) || (s->store.shed && s->store.level > sync_high_water(s));
}

/* The kernel's entry of a copy is deleted, and that was all: it waits here from now on. */
void store_taken_back(struct sync *s, struct flow f)
{
	if (f.x->flags & SESS_GONE || f.x->want != SESS_OP_NONE || flow_mine(s, f) || f.x->why != SYNC_WHY_NONE)
		return;
	s->stats.store_back++;
	if (sync_store_warm(s))
		return;
	s->rejected[SYNC_REJ_STANDBY_FULL]++;
	flow_refused(s, f, -EDQUOT);
}
