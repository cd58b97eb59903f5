#include "sync/client_store.h"
#include "sync/sync_fsm.h"

static json_int_t u(uint64_t v)
{
	return (json_int_t)v;
}

json_t *client_store_json(const struct sync *s)
{
	const struct sync_store_state *st = &s->store;
	uint32_t mark = sync_high_water(s);
	return json_pack("{s:s,s:b,s:I,s:b,s:b,s:{s:I,s:I,s:I,s:I},s:I,s:I,s:I}", "mode",
			 s->conf->store == SYNC_STORE_WARM ? "warm" : "hot", "keeps", sync_store_warm(s), "stored",
			 u(st->n), "committing", st->committing && st->n > 0, "full", st->n > 0 && st->stuck, "kernel",
			 "entries", u(st->level), "limit", u(st->max), "high_water", u(mark == UINT32_MAX ? 0 : mark),
			 "high_water_percent", u(s->conf->high_water), "written", u(s->stats.store_out), "taken_back",
			 u(s->stats.store_back), "commits", u(s->stats.store_commits));
}

json_t *client_rejects_json(const struct sync *s)
{
	json_t *list = json_array();
	for (unsigned r = 0; r < SYNC_REJ_N; r++)
		if (s->rejected[r] || s->peer_rejected[r])
			json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:I}", "reason",
							      sync_reject_word((enum sync_reject)r), "text",
							      sync_reject_text((enum sync_reject)r), "here",
							      u(s->rejected[r]), "peers", u(s->peer_rejected[r])));
	return list;
}
