/*
 * Tracked conntrack tables: how full the kernel's table is. Two short files of /proc, which need nobody's lock.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/track_text.h"

#define FILE_ENTRIES "/proc/sys/net/netfilter/nf_conntrack_count"
#define FILE_MAX     "/proc/sys/net/netfilter/nf_conntrack_max"

struct table {
	struct track_item head;
	struct loop_timer *timer;
	int64_t entries, max; /* max 0: there is no table */
	unsigned percent;
	bool ok;
};

struct track_tables {
	struct app_track *t;
	struct track_list list;
};

static int64_t read_number(const char *path)
{
	char text[32];
	int64_t v = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text));
	close(fd);
	return n > 0 && track_number(text, (size_t)n, &v) ? v : 0;
}

static const struct cfg_track_conntrack *conf_of(const struct table *f)
{
	return &f->head.t->cfg->track.conntrack[track_conf(&f->head)->index];
}

static void look(struct table *f)
{
	struct app_track *t = f->head.t;
	char why[100];
	f->max = read_number(FILE_MAX);
	f->entries = f->max ? read_number(FILE_ENTRIES) : 0;
	f->percent = track_percent((uint64_t)f->entries, (uint64_t)f->max);
	f->ok = track_level_ok(conf_of(f), f->percent, f->ok);
	vrrp_track_note(&t->obj[f->head.obj], f->percent);
	snprintf(why, sizeof(why), "%u percent of the table are used", f->percent);
	track_report(t, f->head.obj, f->ok, why);
}

static void on_timer(void *arg, mono_t deadline)
{
	struct table *f = arg;
	look(f);
	loop_timer_set(f->timer, mono_add(deadline, conf_of(f)->interval_ns));
}

static void end_all(struct track_list *list)
{
	for (uint16_t i = 0; i < list->n; i++) {
		struct table *f = (struct table *)list->item[i];
		if (f)
			loop_timer_free(f->timer);
		free(f);
	}
	free(list->item);
}

int track_tables_set(struct track_tables *s, const struct cfg *old)
{
	struct track_list gone;
	int rc = track_list_set(s->t, old, VRRP_TRACK_CONNTRACK, sizeof(struct table), &s->list, &gone);
	for (uint16_t i = 0; rc == 0 && i < s->list.n; i++) {
		struct table *f = (struct table *)s->list.item[i];
		if (!f->timer) {
			f->timer = loop_timer_new(s->t->app->loop, LOOP_NORMAL, on_timer, f);
			f->ok = true;
		}
		if (!f->timer)
			rc = -ENOMEM;
		else
			loop_timer_set(f->timer, f->head.used ? clock_mono() : MONO_NEVER);
	}
	end_all(&gone);
	return rc;
}

json_t *track_tables_json(const struct track_tables *s, uint16_t index)
{
	const struct table *f = (const struct table *)s->list.item[index];
	char detail[80] = "no table";
	if (f->max)
		snprintf(detail, sizeof(detail), "%lld of %lld entries, %u percent", (long long)f->entries,
			 (long long)f->max, f->percent);
	return json_pack("{s:i, s:I, s:I, s:s}", "percent", (int)f->percent, "entries", (json_int_t)f->entries,
			 "entries_max", (json_int_t)f->max, "detail", detail);
}

struct track_tables *track_tables_new(struct app_track *t)
{
	struct track_tables *s = calloc(1, sizeof(*s));
	if (s)
		s->t = t;
	return s;
}

void track_tables_free(struct track_tables *s)
{
	if (!s)
		return;
	end_all(&s->list);
	free(s);
}
