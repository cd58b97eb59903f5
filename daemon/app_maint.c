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

static const char kept_text[] = "maintenance\n", left_text[] = "service\n";

static int path_of(const struct app *a, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/maintenance", a->cfg->state_dir);
	return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

void app_maintenance_load(struct app *a)
{
	char path[256];
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = path_of(a, path, sizeof(path));
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

static void stored(struct kt_job *job)
{
	if (job->result < 0)
		log_err(LOG_ROLE, "%s could not be written (%s): after a restart this node does not know of the change",
			job->file.path, err_text(job->result));
}

/* Written by KERNEL; nobody waits for it. */
static int store(struct app *a, bool kept)
{
	const char *text = kept ? kept_text : left_text;
	struct kt_job *job = kt_job_new(KT_DISK, KT_LATER, stored, a);
	uint8_t *data = (uint8_t *)strdup(text);
	int rc = job && data ? path_of(a, job->file.path, sizeof(job->file.path)) : -ENOMEM;
	if (rc < 0) {
		free(data);
		if (job)
			kt_job_free(job);
		return rc;
	}
	job->file.data = data;
	job->file.len = strlen(text);
	job->file.mode = 0600;
	rc = kernel_thread_submit(a->kt, job);
	if (rc)
		kt_job_free(job);
	return rc;
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
	if (kept != a->maintenance_kept) {
		int rc = store(a, kept);
		if (rc < 0) {
			snprintf(why, cap, "%s/maintenance cannot be written: %s", a->cfg->state_dir, err_text(rc));
			return -1;
		}
	}
	a->maintenance_kept = kept;
	log_notice(LOG_ROLE, "maintenance %s by the operator%s%s", on ? "entered" : "left",
		   kept ? ", to last over restarts" : "", on && force ? ", forced" : "");
	struct node_ev ev = { .type = NODE_EV_MAINTENANCE, .on = on };
	app_feed(a, &ev);
	return 0;
}
