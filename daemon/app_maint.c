/*
 * Maintenance: entered and left by the operator; kept over restarts in a file of the state directory, if wanted.
 */
#include "daemon/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/file_io.h"

static const char kept_text[] = MAINTENANCE_KEPT, left_text[] = MAINTENANCE_LEFT;

int app_maintenance_path(const struct app *a, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/maintenance", a->cfg->state_dir);
	return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

void app_maintenance_load(struct app *a)
{
	char path[256];
	uint8_t *data = NULL;
	size_t len = 0;
	a->stored.maintenance = true;
	int rc = app_maintenance_path(a, path, sizeof(path));
	rc = rc < 0 ? rc : file_io_read(path, 64, &data, &len);
	if (rc == 0)
		a->maintenance_kept = len == sizeof(kept_text) - 1 && memcmp(data, kept_text, len) == 0;
	if (rc == 0 && !a->maintenance_kept && (len != sizeof(left_text) - 1 || memcmp(data, left_text, len) != 0))
		log_warn(LOG_ROLE, "%s holds neither 'maintenance' nor 'service': this node takes part in elections",
			 path);
	else if (rc < 0 && rc != -ENOENT)
		log_warn(LOG_ROLE, "%s could not be read (%s): this node takes part in elections", path, err_text(rc));
	if (a->maintenance_kept)
		log_warn(LOG_ROLE,
			 "in maintenance since an earlier run: this node takes no role until 'maintenance leave'");
	free(data);
}

/* A group that this node serves, or is about to, and nobody else could; NULL: there is none. */
static const char *stranded(const struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++) {
		const struct role *r = &a->node.group[g].role;
		bool serves = r->is == ROLE_MASTER || (r->state != ROLE_STABLE && r->target == ROLE_MASTER);
		if (serves && !node_group_peer_ready(&a->node, g, clock_mono()))
			return a->cfg->groups[g].name;
	}
	return NULL;
}

int app_maintenance(struct app *a, bool on, bool kept, bool force, char *why, size_t cap)
{
	const char *group = on && !a->node.maintenance && !force ? stranded(a) : NULL;
	if (group) {
		snprintf(why, cap,
			 "no other node is ready to take group %s over: its traffic would stop (see show failover "
			 "status); 'maintenance enter force' does it all the same",
			 group);
		return -1;
	}
	kept = on && (kept || (a->node.maintenance && a->maintenance_kept));
	if (kept && !a->maintenance_kept && a->stored.err) {
		snprintf(why, cap,
			 "%s cannot be written (%s), so it would not last over a restart; make room, or leave out "
			 "'persistent'",
			 a->stored.path, err_text(a->stored.err));
		return -1;
	}
	bool was = a->maintenance_kept;
	a->maintenance_kept = kept;
	a->stored.maintenance &= kept == was;
	int rc = app_stored_settle(a);
	if (rc < 0) {
		a->maintenance_kept = was;
		a->stored.maintenance = true;
		snprintf(why, cap, "%s/maintenance cannot be written: %s", a->cfg->state_dir, err_text(rc));
		return -1;
	}
	log_notice(LOG_ROLE, "maintenance %s by the operator%s%s", on ? "entered" : "left",
		   kept ? ", to last over restarts" : "", on && force ? ", forced" : "");
	struct node_ev ev = { .type = NODE_EV_MAINTENANCE, .on = on };
	app_feed(a, &ev);
	return 0;
}
