/*
 * Limits on what a peer sends. It may fill neither the table, of which a part is for this node's own sessions, nor
 * memory with handles far apart; and it may not call a flow into being that has no answer. Rates are the shell's part:
 * sync_data.c reads a peer no faster than sync.peer_rate.
 */
#include "sync/sync_int.h"

#define OWN_SHARE 16 /* one of so many records is for sessions of this node */

bool limit_copy(const struct sync *s, const struct sync_peer *p)
{
	uint32_t most = s->conf->peer_max;

	if (sess_count(&s->tbl) >= s->tbl.limit - s->tbl.limit / OWN_SHARE)
		return false;
	return most == 0 || s->sets[p->slot - 1].count < most;
}

void limit_refused(struct sync *s, struct sync_peer *p, const struct ct_tuple *orig)
{
	s->stats.refused_full++;
	s->rejected[SYNC_REJ_PEER_FULL]++;
	if (p->n_full < SYNC_FULL_MAX)
		p->full[p->n_full++] = *orig;
}

bool limit_whole(struct sync *s, const struct sync_rec *rec)
{
	if (!rec->full || (rec->e.has & (CT_HAS_REPLY | CT_HAS_STATUS)) == (CT_HAS_REPLY | CT_HAS_STATUS))
		return true;
	s->stats.refused_range++;
	return false;
}

/* A sender's handles are places in its own table, close together; room for four times our own table, two levels. */
uint32_t limit_handle_pages(const struct sync_conf *conf)
{
	return conf->entries_max / 256 + 64;
}
