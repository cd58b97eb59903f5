/*
 * Files that a signal has written: made some instances at a time, written by KERNEL, and put in place as a whole.
 */
#include "daemon/dropin/kalive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define SLICE 16 /* instances of one step */

static const char *const signal_names[KALIVE_FILE_N] = { "DATA", "STATS", "STATS_CLEAR", "JSON" };

/* NAME[_NAMESPACE][_INSTANCE].EXTENSION where temporary files are. */
static void path_by_default(const struct kalive *k, const struct cfg *c, const char *name, const char *ext, char *out,
			    size_t cap)
{
	const struct cfg_keepalived *kc = &c->keepalived;
	const char *ns = kc->data_use_instance ? c->namespace : "", *inst = kc->data_use_instance ? kc->instance : "";
	snprintf(out, cap, "%s/%s%s%s%s%s.%s", k->tmp_dir, name, ns[0] ? "_" : "", ns, inst[0] ? "_" : "", inst, ext);
}

/* The path of a file: the configuration's, or the default one. */
static void path_of(const struct kalive *k, const struct cfg *c, enum kalive_file what, char *out, size_t cap)
{
	const struct cfg_keepalived *kc = &c->keepalived;
	const char *given = what == KALIVE_DATA ? kc->data_file : what == KALIVE_JSON ? kc->json_file : kc->stats_file;
	const char *ext = what == KALIVE_DATA ? "data" : what == KALIVE_JSON ? "json" : "stats";
	if (given[0])
		snprintf(out, cap, "%s", given);
	else
		path_by_default(k, c, "keepalived", ext, out, cap);
}

static void on_written(struct kt_job *job)
{
	if (job->result < 0)
		log_err(LOG_MAIN, "Can't open %s (%d: %s)", job->file.path, -job->result, strerror(-job->result));
}

static mode_t mode_of(const struct kalive *k, const struct cfg *c)
{
	int mask = c->keepalived.umask >= 0 ? c->keepalived.umask : k->opts.umask >= 0 ? k->opts.umask : 0177;
	return (mode_t)(0666 & ~mask);
}

static void begin(struct kalive_dump *d);

/* A complete text goes to KERNEL, which frees it; text NULL: there was no memory for it. */
static void write_out(struct app *a, const char *what, const char *path, char *text, size_t len)
{
	struct kt_job *job = text ? kt_job_new(KT_DISK, KT_LATER, on_written, a) : NULL;
	if (job) {
		snprintf(job->file.path, sizeof(job->file.path), "%s", path);
		job->file.data = (uint8_t *)text;
		job->file.len = len;
		job->file.mode = mode_of(a->opt.kalive, a->cfg);
	}
	if (job && kernel_thread_submit(a->kt, job) == 0)
		return;
	log_err(LOG_MAIN, "the %s file was not written: no memory, or too much to write", what);
	if (job)
		kt_job_free(job);
	else
		free(text);
}

/* What keepalived's parent process writes: the settings of the whole file. */
static void write_globals(struct app *a)
{
	char path[KALIVE_PATH_MAX], *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (f)
		kalive_globals(a, f);
	if (f && fclose(f) != 0) {
		free(text);
		text = NULL;
	}
	path_by_default(a->opt.kalive, a->cfg, "keepalived_parent", "data", path, sizeof(path));
	write_out(a, "parent's DATA", path, text, len);
}

static void finish(struct kalive_dump *d)
{
	char path[KALIVE_PATH_MAX];
	struct app *a = d->app;
	if (fclose(d->f) != 0) {
		free(d->text);
		d->text = NULL;
	}
	d->f = NULL;
	path_of(a->opt.kalive, a->cfg, d->what, path, sizeof(path));
	write_out(a, signal_names[d->what], path, d->text, d->len);
	d->text = NULL;
	if (d->what == KALIVE_DATA)
		write_globals(a);
	if (d->again)
		begin(d);
}

static void one(struct kalive_dump *d, uint16_t inst)
{
	switch (d->what) {
	case KALIVE_DATA:
		kalive_data_instance(d->app, inst, d->f);
		return;
	case KALIVE_STATS:
		kalive_stats_instance(d->app, inst, d->f);
		return;
	case KALIVE_STATS_CLEAR:
		kalive_stats_instance(d->app, inst, d->f);
		memset(&d->app->node.inst[inst].stats, 0, sizeof(d->app->node.inst[inst].stats));
		d->app->inst[inst].released = 0;
		return;
	case KALIVE_JSON:
		kalive_json_instance(d->app, inst, d->f);
		return;
	}
}

static void begin(struct kalive_dump *d)
{
	struct app *a = d->app;
	d->again = false;
	d->cfg = a->cfg;
	d->next = 0;
	d->f = open_memstream(&d->text, &d->len);
	if (!d->f) {
		log_err(LOG_MAIN, "the %s file was not written: no memory", signal_names[d->what]);
		return;
	}
	if (d->what == KALIVE_DATA)
		kalive_data_begin(a, d->f);
	else if (d->what == KALIVE_JSON)
		kalive_json_begin(a, d->f);
	loop_timer_set(d->timer, clock_mono());
}

static void abandon(struct kalive_dump *d)
{
	if (!d->f)
		return;
	fclose(d->f);
	free(d->text);
	d->f = NULL;
	d->text = NULL;
}

static void on_step(void *arg, mono_t deadline)
{
	struct kalive_dump *d = arg;
	struct app *a = d->app;
	if (!d->f)
		return;
	if (d->cfg != a->cfg) { /* numbers mean other instances now */
		abandon(d);
		begin(d);
		return;
	}
	for (unsigned n = 0; n < SLICE && d->next < a->node.n_inst; n++)
		one(d, d->next++);
	if (d->next < a->node.n_inst) {
		loop_timer_set(d->timer, deadline);
		return;
	}
	if (d->what == KALIVE_DATA)
		kalive_data_end(a, d->f);
	else if (d->what == KALIVE_JSON)
		kalive_json_end(a, d->f);
	finish(d);
}

static void on_signal(void *arg, int signo)
{
	static const char *const words[KALIVE_FILE_N] = { "VRRP data", "VRRP stats", "and clearing VRRP stats",
							  "VRRP as json" };
	struct kalive *k = arg;
	for (unsigned i = 0; i < KALIVE_FILE_N; i++) {
		struct kalive_dump *d = &k->dump[i];
		if (signo != kalive_signum(signal_names[i]))
			continue;
		log_info(LOG_VRRP, "Printing %s for process(%d) on signal", words[i], (int)getpid());
		if (!d->app->running || d->app->stopping)
			return;
		if (d->f)
			d->again = true;
		else
			begin(d);
	}
}

int kalive_signals_start(struct kalive *k, struct app *a)
{
	for (unsigned i = 0; i < KALIVE_FILE_N; i++) {
		k->dump[i] = (struct kalive_dump){ .app = a, .what = (enum kalive_file)i };
		k->dump[i].timer = loop_timer_new(a->loop, LOOP_BULK, on_step, &k->dump[i]);
		k->sig[i] = loop_signal_new(a->loop, kalive_signum(signal_names[i]), on_signal, k);
		if (!k->dump[i].timer || !k->sig[i])
			return -1;
	}
	return 0;
}

void kalive_signals_stop(struct kalive *k)
{
	for (unsigned i = 0; i < KALIVE_FILE_N; i++) {
		abandon(&k->dump[i]);
		loop_timer_free(k->dump[i].timer);
		loop_signal_free(k->sig[i]);
	}
}

/* -d: the data file, line by line, in the log. */
static void log_data(struct app *a)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return;
	kalive_data_begin(a, f);
	for (uint16_t i = 0; i < a->node.n_inst; i++)
		kalive_data_instance(a, i, f);
	kalive_data_end(a, f);
	if (fclose(f) == 0)
		for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			log_info(LOG_VRRP, "%s", line);
	free(text);
}

void kalive_started(struct kalive *k, struct app *a)
{
	log_info(LOG_MAIN, "Configuration file %s", k->config);
	if (k->opts.dump)
		log_data(a);
	log_notice(LOG_MAIN, "Startup complete");
}
