/*
 * Copies of SAs for the shell: addresses, SPIs, numbers. Never a key.
 */
#include "daemon/app_sa_int.h"

#include <stdio.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

static json_t *held_json(const struct sa_held *h, mono_t now)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX], spi[12];
	const struct sa_copy *sa = &h->sa;
	uint32_t left = sa_store_left(h, now);
	snprintf(spi, sizeof(spi), "0x%08x", sa->spi);
	return json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:b, s:s}", "node", (json_int_t)h->node, "source",
			 addr_text(&sa->src, src), "destination", addr_text(&sa->dst, dst), "spi", spi, "reqid",
			 (json_int_t)sa->reqid, "replay_top", (json_int_t)sa->top, "told_us",
			 (json_int_t)(mono_sub(now, h->told) / NS_PER_US), "left_s",
			 left == SA_NO_LIMIT ? json_null() : json_integer(left), "nat_t", sa->has_encap, "policy",
			 sa_policy_name((enum sa_policy)h->policy));
}

static json_t *drops_json(const uint64_t *drops)
{
	json_t *list = json_array();
	for (unsigned d = SA_OK + 1; d < SA_DROP_N; d++)
		if (drops[d])
			json_array_append_new(list, json_pack("{s:s, s:I}", "reason", sa_drop_text((enum sa_drop)d),
							      "count", (json_int_t)drops[d]));
	return list;
}

json_t *app_sa_json(const struct app *a)
{
	const struct app_sa *s = a->sa;
	mono_t now = clock_mono();
	if (!s || !s->seal)
		return json_pack("{s:b, s:s, s:o}", "on", false, "error", s && s->refused ? err_text(s->refused) : "",
				 "held", json_array());
	json_t *held = json_array();
	uint64_t own[SA_DROP_N];
	for (uint16_t i = 0; i < s->store.n; i++)
		json_array_append_new(held, held_json(sa_store_at(&s->store, i), now));
	for (unsigned d = 0; d < SA_DROP_N; d++)
		own[d] = s->out_drops[d];
	json_t *j = json_pack("{s:b, s:s, s:o, s:o, s:o, s:I, s:I}", "on", true, "error",
			      s->last_error ? err_text(s->last_error) : "", "held", held, "refused_records",
			      drops_json(s->in_drops), "not_copied", drops_json(own), "own", (json_int_t)s->send.n,
			      "installed_now", (json_int_t)s->in_kernel);
	json_t *c =
	    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sent",
		      (json_int_t)s->send.count.sent, "lists_sent", (json_int_t)s->send.count.lists, "received",
		      (json_int_t)s->store.count.put, "asked_again", (json_int_t)s->count.wants, "expired",
		      (json_int_t)s->store.count.expired, "stale", (json_int_t)s->store.count.stale, "imports",
		      (json_int_t)s->count.imports, "installed", (json_int_t)s->count.installed, "spi_in_use",
		      (json_int_t)s->count.clashed, "lifetime_over", (json_int_t)s->count.over, "failed",
		      (json_int_t)s->count.failed, "ended_by_new_sa", (json_int_t)s->ended.count.carried, "ended_late",
		      (json_int_t)s->ended.count.late, "ended_elsewhere", (json_int_t)s->ended.count.gone);
	json_object_set_new(c, "listings", json_integer((json_int_t)s->count.scans));
	json_object_set_new(c, "listing_errors", json_integer((json_int_t)s->count.scan_errors));
	json_object_set_new(c, "listing_us", json_integer(s->scan_ns / NS_PER_US));
	json_object_set_new(c, "import_us", json_integer(s->import_ns / NS_PER_US));
	json_object_set_new(j, "count", c);
	json_object_set_new(j, "would_be_dropped", json_integer(s->unfit));
	return j;
}
