/* The lists that a flow may be in: what is to be told, what has run out, what is too young. */
#include "sync/sync_int.h"

static unsigned up_mask(const struct sync *s)
{
	unsigned m = 0;

	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].up)
			m |= 1u << i;
	return m;
}

bool sync_any_up(const struct sync *s)
{
	return up_mask(s) != 0;
}

static uint32_t *list_head(struct sync *s, struct flow f, enum sess_list which, uint32_t **tail)
{
	enum sync_proto p = sync_proto_of(f.x->l4);

	*tail = which == SESS_LIST_DIRTY   ? &s->dirty_tail
		: which == SESS_LIST_YOUNG ? &s->young_tail[p]
					   : &s->expiry_tail;
	return which == SESS_LIST_DIRTY   ? &s->dirty_head
	       : which == SESS_LIST_YOUNG ? &s->young_head[p]
					  : &s->expiry_head;
}

void flow_append(struct sync *s, struct flow f, enum sess_list which)
{
	uint32_t *tail, *head = list_head(s, f, which, &tail);

	f.x->list = which & 7;
	f.x->q_next = 0;
	f.x->q_prev = *tail;
	if (*tail)
		sess_at(&s->tbl, *tail)->q_next = f.id;
	else
		*head = f.id;
	*tail = f.id;
	s->n_young += which == SESS_LIST_YOUNG;
	if (which != SESS_LIST_DIRTY)
		return;
	s->n_dirty++;
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].cursor == 0)
			s->peers[i].cursor = f.id;
}

void flow_unlist(struct sync *s, struct flow f)
{
	if (f.x->list == SESS_LIST_STORE) {
		store_remove(s, f);
		return;
	}
	bool dirty = f.x->list == SESS_LIST_DIRTY;
	uint32_t *tail, *head = list_head(s, f, f.x->list, &tail);

	if (f.x->list == SESS_LIST_NONE)
		return;
	s->n_young -= f.x->list == SESS_LIST_YOUNG;
	if (f.x->q_prev)
		sess_at(&s->tbl, f.x->q_prev)->q_next = f.x->q_next;
	else
		*head = f.x->q_next;
	if (f.x->q_next)
		sess_at(&s->tbl, f.x->q_next)->q_prev = f.x->q_prev;
	else
		*tail = f.x->q_prev;
	if (dirty) {
		s->n_dirty--;
		f.x->dirty = 0;
		for (unsigned i = 0; i < SESS_NODES; i++)
			if (s->peers[i].cursor == f.id)
				s->peers[i].cursor = f.x->q_next;
		sync_lag_unlist(s, f.id, f.x->q_prev);
	}
	f.x->list = SESS_LIST_NONE;
	f.x->q_next = f.x->q_prev = 0;
}

/* A peer's cursor may have passed the flow's place: with a new bit it goes to the end, where every cursor comes by. */
void flow_dirty(struct sync *s, struct flow f, unsigned mask)
{
	unsigned bits = mask & up_mask(s);

	/* What is too young has nothing to say. */
	if (f.x->list == SESS_LIST_YOUNG && !(f.x->flags & (SESS_TELL | SESS_CURRENT)))
		return;
	if (f.x->list == SESS_LIST_YOUNG || f.x->list == SESS_LIST_EXPIRY)
		flow_unlist(s, f);
	if (bits == 0 || (f.x->list == SESS_LIST_DIRTY && (f.x->dirty | bits) == f.x->dirty))
		return;
	if (f.x->list == SESS_LIST_DIRTY)
		bits |= f.x->dirty;
	flow_unlist(s, f);
	f.x->dirty = bits & 0xf;
	flow_append(s, f, SESS_LIST_DIRTY);
}

void flow_clean(struct sync *s, struct flow f, unsigned slot)
{
	unsigned left = f.x->dirty & ~(1u << (slot - 1));

	if (left) {
		f.x->dirty = left & 0xf;
		return;
	}
	flow_unlist(s, f);
}

void flow_to_expiry(struct sync *s, struct flow f, mono_t now)
{
	flow_unlist(s, f);
	f.x->want = SESS_OP_NONE; /* what was still to be written of it ended with it */
	f.x->expire_s = sync_sec(s, now);
	flow_append(s, f, SESS_LIST_EXPIRY);
}
