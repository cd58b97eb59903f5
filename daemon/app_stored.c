/*
 * What has to survive a restart and lies on a disk: the newest epoch, and whether the node is in maintenance. Written
 * without waiting; what could not be written is said, shown, and tried again until it is there.
 */
#include "daemon/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/journal.h"

#define AGAIN_NS (2 * NS_PER_SEC)

static void on_again(void *arg, mono_t deadline)
{
	(void)deadline;
	app_stored_settle(arg);
}

/* The state directory is one place: what is said of it is said once, of whichever file comes first. */
static void written(struct app *a, const struct kt_job *job)
{
	if (job->result == 0 && a->stored.err && strcmp(a->stored.path, job->file.path) == 0) {
		a->stored.err = 0;
		log_notice(LOG_MAIN, "%s is written again", job->file.path);
	}
	if (job->result == 0)
		return;
	if (!a->stored.err) {
		a->stored.err = job->result;
		snprintf(a->stored.path, sizeof(a->stored.path), "%s", job->file.path);
		log_err(
		    LOG_MAIN,
		    "%s cannot be written (%s): after a restart this node would not know of the change; it is tried "
		    "again",
		    job->file.path, err_text(job->result));
	}
	if (!a->stored.again)
		a->stored.again = loop_timer_new(a->loop, LOOP_NORMAL, on_again, a);
	if (a->stored.again)
		loop_timer_set(a->stored.again, mono_add(clock_mono(), AGAIN_NS));
}

static void epoch_written(struct kt_job *job)
{
	struct app *a = job->arg;
	if (job->result < 0)
		a->epoch_stored = (struct epoch){ 0 };
	written(a, job);
}

static void maintenance_written(struct kt_job *job)
{
	struct app *a = job->arg;
	if (job->result < 0)
		a->stored.maintenance = false;
	written(a, job);
}

static int store_maintenance(struct app *a)
{
	const char *text = a->maintenance_kept ? MAINTENANCE_KEPT : MAINTENANCE_LEFT;
	struct kt_job *job = kt_job_new(KT_DISK, KT_LATER, maintenance_written, a);
	char *data = strdup(text);
	int rc = job && data ? app_maintenance_path(a, job->file.path, sizeof(job->file.path)) : -ENOMEM;
	if (rc < 0) {
		free(data);
		kt_job_free(job);
		return rc;
	}
	job->file.data = (uint8_t *)data;
	job->file.len = strlen(text);
	job->file.mode = 0600;
	rc = kernel_thread_submit(a->kt, job);
	if (rc)
		kt_job_free(job);
	return rc;
}

int app_stored_settle(struct app *a)
{
	struct epoch seen = a->node.seen;
	if (epoch_cmp(seen, a->epoch_stored) > 0 &&
	    epoch_store_write(a->kt, a->epoch_path, seen, epoch_written, a) == 0)
		a->epoch_stored = seen;
	int rc = a->stored.maintenance ? 0 : store_maintenance(a);
	if (rc == 0)
		a->stored.maintenance = true;
	return rc;
}

void app_stored_stop(struct app *a)
{
	loop_timer_free(a->stored.again);
	a->stored.again = NULL;
}
