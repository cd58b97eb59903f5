/*
 * sync.accounting: what a flow carried on other nodes. The kernel takes no counters over, a copy begins at zero; so each
 * record keeps by how much this kernel's counters are short of the flow's. An owner tells totals when a sweep finds
 * traffic; they wait beside the table, and one that is displaced is told after the next sweep.
 */
#include "sync/sync_int.h"

#define BYTES_MASK   ((UINT64_C(1) << 56) - 1)
#define PACKETS_MASK ((UINT64_C(1) << 39) - 1)
#define START_KNOWN  UINT32_C(0x80000000) /* added to the second of the table's clock, which may lie before its zero */

static uint64_t get_bytes(const struct sess_acct *a)
{
	return (uint64_t)a->bytes_hi << 32 | a->bytes_lo;
}

static uint64_t get_packets(const struct sess_acct *a)
{
	return (uint64_t)a->packets_hi << 32 | a->packets_lo;
}

static void put(struct sess_acct *a, uint64_t packets, uint64_t bytes)
{
	a->bytes_lo = (uint32_t)bytes;
	a->bytes_hi = (uint32_t)((bytes & BYTES_MASK) >> 32) & 0xffffff;
	a->packets_lo = (uint32_t)packets;
	a->packets_hi = (uint32_t)((packets & PACKETS_MASK) >> 32) & 0x7f;
}

void acct_born(struct sync *s, struct flow f, bool seen, mono_t now)
{
	struct sess_acct *a = sess_acct(&s->tbl, f.id);

	if (!a)
		return;
	*a = (struct sess_acct){ .start = seen ? sync_sec(s, now) + START_KNOWN : 0 };
}

bool acct_read_own(struct sync *s, struct flow f, const struct ct_entry *e)
{
	const struct sess_acct *a = sess_acct(&s->tbl, f.id);

	if (!a || !(e->has & CT_HAS_COUNTERS) || f.x->why != SYNC_WHY_NONE)
		return false;
	s->acct_out[f.id % SYNC_ACCT_OUT] = (struct sync_acct_out){
		.id = f.id,
		.packets = (get_packets(a) + e->packets) & PACKETS_MASK,
		.bytes = (get_bytes(a) + e->bytes) & BYTES_MASK,
	};
	return true;
}

void acct_read_copy(struct sync *s, struct flow f, const struct ct_entry *e)
{
	struct sess_acct *a = sess_acct(&s->tbl, f.id);

	/* The owner's total came while this entry was there: what it has counted is part of that. */
	if (!a || !a->fresh || !(e->has & CT_HAS_COUNTERS))
		return;
	a->fresh = 0;
	put(a, get_packets(a) - e->packets, get_bytes(a) - e->bytes);
}

void acct_fill(const struct sync *s, struct flow f, struct ct_entry *e, mono_t now)
{
	const struct sess_acct *a = sess_acct(&s->tbl, f.id);
	const struct sync_acct_out *o = &s->acct_out[f.id % SYNC_ACCT_OUT];

	if (!a || !flow_mine(s, f) || (o->id != f.id && a->start == 0))
		return;
	e->has |= CT_HAS_COUNTERS;
	e->age_s = a->start ? sync_sec(s, now) + START_KNOWN - a->start : CT_AGE_UNKNOWN;
	e->packets = o->id == f.id ? o->packets : 0;
	e->bytes = o->id == f.id ? o->bytes : 0;
}

void acct_heard(struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	struct sess_acct *a = sess_acct(&s->tbl, f.id);

	if (!a || !(e->has & CT_HAS_COUNTERS))
		return;
	if (e->age_s != CT_AGE_UNKNOWN)
		a->start = sync_sec(s, now) + START_KNOWN - e->age_s;
	if (e->packets == 0 && e->bytes == 0)
		return;
	put(a, e->packets, e->bytes);
	a->fresh = f.x->flags & SESS_KERN ? 1 : 0;
}

void acct_view(const struct sync *s, uint32_t id, struct sync_view *v, mono_t now)
{
	const struct sess_acct *a = sess_acct(&s->tbl, id);

	if (!a)
		return;
	v->counted = true;
	v->age_s = a->start ? sync_sec(s, now) + START_KNOWN - a->start : CT_AGE_UNKNOWN;
	v->packets = get_packets(a);
	v->bytes = get_bytes(a);
}

void sync_view_total(const struct sync_view *v, const struct ct_entry *kernel, uint64_t *packets, uint64_t *bytes)
{
	bool has = kernel && kernel->has & CT_HAS_COUNTERS;

	*packets = (v->packets + (has ? kernel->packets : 0)) & PACKETS_MASK;
	*bytes = (v->bytes + (has ? kernel->bytes : 0)) & BYTES_MASK;
}
