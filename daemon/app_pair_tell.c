/*
 * Differences in the log: each once, for as long as it stays as it is.
 */
#include "daemon/app_pair.h"

#include <string.h>
#include "daemon/app.h"
#include "daemon/show.h"

enum { LINES_MAX = 8 }; /* of one comparison */

static uint64_t finding_hash(const struct pair_finding *f)
{
	const char *const part[] = { f->key, f->ours, f->theirs };
	/* numbers that move by themselves make no news */
	bool moves = strncmp(f->key, "table.", 6) == 0 || strncmp(f->key, "channel[", 8) == 0;
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (unsigned i = 0; i < (moves ? 1 : 3); i++)
		for (const char *c = part[i];; c++) {
			h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
			if (!*c)
				break;
		}
	return h;
}

static bool told_before(const struct pair_told *was, uint64_t h)
{
	for (unsigned i = 0; i < was->n; i++)
		if (was->hash[i] == h)
			return true;
	return false;
}

void pair_tell(const struct app *a, uint32_t node, struct pair_told *was, const struct pair_result *r)
{
	uint64_t now[PAIR_FINDINGS_MAX] = { 0 };
	unsigned n = 0, lines = 0, held = 0;
	const char *name = show_node_name(a, node);
	for (unsigned i = 0; i < r->n; i++) {
		const struct pair_finding *f = &r->finding[i];
		if (f->grade == PAIR_NOTE)
			continue;
		now[n] = finding_hash(f);
		if (!told_before(was, now[n]) && lines++ < LINES_MAX)
			log_warn(LOG_SYNC, "%s differs from node %s: %s: '%s' here, '%s' there: %s; %s", f->key, name,
				 f->what, f->ours, f->theirs, f->consequence, f->fix);
		n++;
	}
	held = lines > LINES_MAX ? lines - LINES_MAX : 0;
	if (held > 0)
		log_warn(LOG_SYNC, "and %u more differences from node %s: show pair lists them", held, name);
	if (n == 0 && was->n > 0)
		log_notice(LOG_SYNC, "node %s and this one differ in nothing that matters any more", name);
	memcpy(was->hash, now, n * sizeof(now[0]));
	was->n = n;
}
