/*
 * Drives ct_io against the kernel in a network namespace of its own: results of mixed batches, the filter that hides
 * own changes, batching of others' events, groups joined and left, overrun, dumps paced and stopped. Exits 0, or 1
 * with what went wrong, 2 when the namespace cannot be set up. Needs root. With a number as argument: that many
 * creates as fast as possible, and what they cost.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/base/clock.h"
#include "sync/ct_io.h"

struct seen {
	unsigned calls, by_type[4], largest, overruns, before_overrun, ends, restarts;
	int end;
	struct ct_event last;
	struct ct_io *stop_in; /* stop the dump from the callback */
	bool slow;
};

static unsigned failures;

#define EXPECT(cond, ...)                                             \
	do {                                                          \
		if (!(cond)) {                                        \
			fprintf(stderr, "ct_io_real:%d: ", __LINE__); \
			fprintf(stderr, __VA_ARGS__);                 \
			fprintf(stderr, "\n");                        \
			failures++;                                   \
		}                                                     \
	} while (0)

static void on_events(void *arg, const struct ct_event *ev, unsigned n)
{
	struct seen *s = arg;
	s->calls++;
	for (unsigned i = 0; i < n; i++)
		s->by_type[ev[i].type]++;
	s->largest = n > s->largest ? n : s->largest;
	s->last = ev[n - 1];
	if (s->stop_in)
		ct_io_dump_stop(s->stop_in);
}

static void on_overrun(void *arg)
{
	struct seen *s = arg;
	s->overruns++;
	s->before_overrun = s->by_type[CT_EV_NEW];
}

static void on_end(void *arg, int result)
{
	struct seen *s = arg;
	s->ends++;
	s->end = result;
}

static void on_restart(void *arg)
{
	((struct seen *)arg)->restarts++;
}

static const struct ct_io_cb cb = {
	.events = on_events, .overrun = on_overrun, .dump_end = on_end, .dump_restart = on_restart
};

static struct ct_op make_op(enum ct_op_type type, uint32_t i, uint32_t timeout)
{
	struct ct_op op = { .type = type, .cookie = i };
	struct ct_tuple *t = &op.e.orig;
	t->l3 = 4;
	t->l4 = IPPROTO_TCP;
	memcpy(t->src, (const uint8_t[]){ 10, (uint8_t)(i >> 24), (uint8_t)(i >> 16), 2 }, 4);
	memcpy(t->dst, (const uint8_t[]){ 192, 0, 2, 10 }, 4);
	t->sport = (uint16_t)i;
	t->dport = 80;
	op.e.has = CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_TCP | CT_HAS_TCP_WIN;
	op.e.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED;
	op.e.timeout_s = timeout;
	op.e.tcp_state = CT_TCP_ESTABLISHED;
	op.e.tcp_flags[0] = op.e.tcp_flags[1] = 0x0b;
	op.e.tcp_wscale[0] = op.e.tcp_wscale[1] = 7;
	return op;
}

/* n operations of one type, 64 a send; how many failed. */
static unsigned inject(struct ct_io *io, enum ct_op_type type, uint32_t first, uint32_t n)
{
	static struct ct_op ops[CT_IO_BATCH];
	int results[CT_IO_BATCH];
	unsigned failed = 0;
	for (uint32_t i = 0; i < n;) {
		unsigned k = 0;
		for (; k < CT_IO_BATCH && i < n; k++, i++)
			ops[k] = make_op(type, first + i, 300);
		int rc = ct_io_inject(io, ops, k, results);
		failed += rc < 0 ? k : (unsigned)rc;
	}
	return failed;
}

/* Runs the loop until *what reaches want or 5 s are over. */
static bool until(struct loop *l, const unsigned *what, unsigned want)
{
	mono_t end = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (*what < want && !mono_due(end, clock_mono()))
		loop_once(l, 10 * NS_PER_MS);
	return *what >= want;
}

static void run_for(struct loop *l, int64_t ns)
{
	mono_t end = mono_add(clock_mono(), ns);
	while (!mono_due(end, clock_mono()))
		loop_once(l, NS_PER_MS);
}

static void test_results(struct ct_io *io, struct seen *s)
{
	struct ct_op ops[7];
	int r[7];
	ops[0] = make_op(CT_OP_CREATE, 1, 300);
	ops[1] = make_op(CT_OP_CREATE, 1, 300); /* EEXIST */
	ops[2] = make_op(CT_OP_RENEW, 2, 300);  /* ENOENT */
	ops[3] = make_op(CT_OP_CREATE, 3, 300);
	ops[3].e.has = 0; /* not sent: no timeout */
	ops[4] = make_op(CT_OP_GET, 1, 0);
	ops[5] = make_op(CT_OP_GET, 4, 0); /* ENOENT */
	ops[6] = make_op(CT_OP_DELETE, 1, 0);
	static const int want[7] = { 0, -EEXIST, -ENOENT, -1004, 0, -ENOENT, 0 };
	int rc = ct_io_inject(io, ops, 7, r);
	EXPECT(rc == 4, "%d operations failed instead of 4", rc);
	for (unsigned i = 0; i < 7; i++)
		EXPECT(r[i] == want[i], "operation %u: %d instead of %d", i, r[i], want[i]);
	EXPECT(s->by_type[CT_EV_DUMP] == 1 && s->last.e.orig.sport == 1, "the answer to the GET did not arrive");
	EXPECT(s->last.e.tcp_flags[0] == 0x0b && s->last.e.tcp_wscale[1] == 7, "flags or scales were not stored");
	EXPECT(ct_io_inject(io, ops, 0, r) == 0, "an empty batch is not a failure");
	EXPECT(ct_io_stats(io)->failed[CT_OP_CREATE] == 2 && ct_io_stats(io)->ops[CT_OP_CREATE] == 3, "counters");
}

/* io: listens; other: whose changes are seen. */
static void test_events(struct loop *l, struct ct_io *io, struct ct_io *other, struct seen *s)
{
	memset(s, 0, sizeof(*s));
	EXPECT(inject(other, CT_OP_CREATE, 1000, 10) == 0, "create");
	run_for(l, 20 * NS_PER_MS);
	EXPECT(s->by_type[CT_EV_NEW] == 0, "NEW arrives though the group is not joined");
	EXPECT(ct_io_listen(io, true) == 0 && ct_io_stats(io)->new_update, "join");
	EXPECT(inject(other, CT_OP_CREATE, 2000, 640) == 0, "create");
	EXPECT(until(l, &s->by_type[CT_EV_NEW], 640), "%u of 640 NEW events", s->by_type[CT_EV_NEW]);
	EXPECT(s->largest == CT_IO_BATCH && s->calls <= 12, "640 events in %u calls, the largest of %u", s->calls,
	       s->largest);
	EXPECT(s->last.portid == ct_io_stats(other)->portid, "the port id of the other socket");
	EXPECT(inject(other, CT_OP_RENEW, 2000, 64) == 0 && ct_io_drain(io, NS_PER_SEC), "drain");
	EXPECT(s->by_type[CT_EV_UPDATE] == 64, "%u of 64 UPDATE events after a drain", s->by_type[CT_EV_UPDATE]);

	EXPECT(inject(io, CT_OP_CREATE, 3000, 1000) == 0 && inject(io, CT_OP_RENEW, 3000, 1000) == 0 &&
		   inject(io, CT_OP_DELETE, 3000, 1000) == 0,
	       "own changes");
	EXPECT(ct_io_drain(io, NS_PER_SEC), "drain");
	EXPECT(s->by_type[CT_EV_NEW] == 640 && s->by_type[CT_EV_UPDATE] == 64 && !s->by_type[CT_EV_DESTROY],
	       "own changes came back");

	EXPECT(ct_io_listen(io, false) == 0, "leave");
	EXPECT(inject(other, CT_OP_DELETE, 2000, 640) == 0 && inject(other, CT_OP_DELETE, 1000, 10) == 0, "delete");
	EXPECT(until(l, &s->by_type[CT_EV_DESTROY], 650), "%u of 650 DESTROY events", s->by_type[CT_EV_DESTROY]);
	EXPECT(s->by_type[CT_EV_NEW] == 640, "NEW after leaving");
}

static void test_overrun(struct loop *l, struct ct_io *other)
{
	struct seen s = { 0 };
	const struct ct_io_conf small = { .rcvbuf = 65536 };
	struct ct_io *io = ct_io_new(l, &small, &cb, &s);
	EXPECT(io && ct_io_listen(io, true) == 0, "second listener");
	EXPECT(inject(other, CT_OP_CREATE, 5000, 2000) == 0, "create");
	EXPECT(until(l, &s.overruns, 1), "no overrun reported");
	EXPECT(s.before_overrun > 0 && s.before_overrun < 2000, "%u events before the overrun was told",
	       s.before_overrun);
	EXPECT(s.before_overrun == s.by_type[CT_EV_NEW], "events of the full buffer after the overrun");
	EXPECT(ct_io_stats(io)->overruns == 1, "overruns counted");
	memset(&s, 0, sizeof(s));
	/* and it goes on afterwards */
	EXPECT(inject(other, CT_OP_DELETE, 5000, 10) == 0 && until(l, &s.by_type[CT_EV_DESTROY], 10), "after overrun");
	ct_io_free(io);
	EXPECT(inject(other, CT_OP_DELETE, 5010, 1990) == 0, "delete");
}

static void test_dump(struct loop *l, struct ct_io *io, struct seen *s)
{
	EXPECT(inject(io, CT_OP_CREATE, 0, 3000) == 0, "create");
	memset(s, 0, sizeof(*s));
	EXPECT(ct_io_dump_start(io, (struct ct_io_pace){ 0 }) == 0 && ct_io_dump_running(io), "dump");
	EXPECT(ct_io_dump_start(io, (struct ct_io_pace){ 0 }) == -EBUSY, "two dumps");
	EXPECT(until(l, &s->ends, 1) && s->end == 0, "the dump ended with %d", s->end);
	EXPECT(s->by_type[CT_EV_DUMP] == 3000, "%u of 3000 entries", s->by_type[CT_EV_DUMP]);
	EXPECT(!ct_io_dump_running(io), "still running");

	memset(s, 0, sizeof(*s));
	mono_t start = clock_mono();
	EXPECT(ct_io_dump_start(io, (struct ct_io_pace){ .most = 6000 }) == 0 && until(l, &s->ends, 1), "paced dump");
	int64_t ms = mono_sub(clock_mono(), start) / NS_PER_MS;
	EXPECT(s->by_type[CT_EV_DUMP] == 3000 && ms >= 450 && ms < 2000, "3000 entries at 6000/s took %lld ms",
	       (long long)ms);

	/* However dear an entry is: the least pace is kept. */
	memset(s, 0, sizeof(*s));
	start = clock_mono();
	struct ct_io_pace dear = { .most = 1000000, .least = 6000, .share = 1000000 };
	EXPECT(ct_io_dump_start(io, dear) == 0 && until(l, &s->ends, 1), "dear dump");
	ms = mono_sub(clock_mono(), start) / NS_PER_MS;
	EXPECT(s->by_type[CT_EV_DUMP] == 3000 && ms >= 450 && ms < 2000, "3000 dear entries took %lld ms",
	       (long long)ms);
	EXPECT(ct_io_dump_cost(io) > 0 && ct_io_dump_cost(io) < 500 * NS_PER_MS, "they cost %lld ns",
	       (long long)ct_io_dump_cost(io));

	memset(s, 0, sizeof(*s));
	EXPECT(ct_io_dump_start(io, (struct ct_io_pace){ .most = 1000 }) == 0 && until(l, &s->by_type[CT_EV_DUMP], 10),
	       "slow dump");
	for (unsigned i = 0; i < 200 && s->ends == 0; i++) {
		ct_io_dump_pace(io, (struct ct_io_pace){ .most = i % 2 ? 1000 : 1001 });
		run_for(l, NS_PER_MS);
	}
	EXPECT(s->ends == 0, "naming the pace anew pays what the dump owes");
	ct_io_dump_pace(io, (struct ct_io_pace){ 0 });
	EXPECT(until(l, &s->ends, 1) && s->by_type[CT_EV_DUMP] == 3000, "speeding up");

	memset(s, 0, sizeof(*s));
	s->stop_in = io;
	EXPECT(ct_io_dump_start(io, (struct ct_io_pace){ 0 }) == 0 && until(l, &s->calls, 1), "dump to stop");
	run_for(l, 20 * NS_PER_MS);
	EXPECT(s->calls == 1 && s->ends == 0 && !ct_io_dump_running(io), "%u calls after the stop", s->calls);
	s->stop_in = NULL;
	EXPECT(inject(io, CT_OP_DELETE, 0, 3000) == 0, "delete");
}

static void test_sysctl(void)
{
	int was = -1;
	uint32_t max = 0, count = 77;
	struct sync_timeouts t;
	EXPECT(ct_io_events_on(&was) == 0 && was == 1, "events: was %d", was);
	EXPECT(ct_io_table_size(&max, &count) == 0 && max > 0 && count == 0, "max %u count %u", max, count);
	EXPECT(ct_io_timeouts(&t) == 0 && t.tcp[CT_TCP_ESTABLISHED] == 432000 && t.udp == 30, "timeouts");
}

static void measure(struct loop *l, struct ct_io *io, struct seen *s, uint32_t n, bool listen)
{
	memset(s, 0, sizeof(*s));
	EXPECT(ct_io_listen(io, listen) == 0, "join");
	printf("%s to NEW and UPDATE\n", listen ? "joined" : "not joined");
	for (int type = CT_OP_CREATE; type <= CT_OP_DELETE; type++) {
		mono_t start = clock_mono();
		unsigned failed = inject(io, (enum ct_op_type)type, 0, n);
		double us = (double)mono_sub(clock_mono(), start) / 1000.0;
		printf("%s %u: %u failed, %.2f us each\n",
		       (const char *[]){ "create", "update", "renew", "delete" }[type], n, failed, us / n);
		if (type != CT_OP_RENEW)
			continue;
		start = clock_mono();
		EXPECT(ct_io_dump_start(io, (struct ct_io_pace){ 0 }) == 0 && until(l, &s->ends, 1), "dump");
		us = (double)mono_sub(clock_mono(), start) / 1000.0;
		printf("dump: %u entries, %.2f us each\n", s->by_type[CT_EV_DUMP], us / (s->by_type[CT_EV_DUMP] + 1));
	}
	run_for(l, 100 * NS_PER_MS);
	printf("own events received: NEW %u UPDATE %u DESTROY %u, overruns %u\n", s->by_type[CT_EV_NEW],
	       s->by_type[CT_EV_UPDATE], s->by_type[CT_EV_DESTROY], s->overruns);
}

int main(int argc, char **argv)
{
	struct seen s = { 0 }, ignored = { 0 };
	struct loop *l = unshare(CLONE_NEWNET) < 0 ? NULL : loop_new("test");
	if (!l || ct_io_events_on(NULL) < 0) {
		fprintf(stderr, "ct_io_real: cannot set up a network namespace (root is needed): %s\n",
			strerror(errno));
		return 2;
	}
	struct ct_io *io = ct_io_new(l, NULL, &cb, &s), *other = ct_io_new(l, NULL, &cb, &ignored);
	if (!io || !other) {
		fprintf(stderr, "ct_io_real: sockets: %s\n", strerror(errno));
		return 2;
	}
	if (argc > 1) {
		measure(l, io, &s, (uint32_t)atoi(argv[1]), false);
		measure(l, io, &s, (uint32_t)atoi(argv[1]), true);
	} else {
		test_results(io, &s);
		test_events(l, io, other, &s);
		test_overrun(l, other);
		test_dump(l, io, &s);
		test_sysctl();
		for (unsigned d = CT_OK + 1; d < CT_DROP_N; d++)
			EXPECT(ct_io_stats(io)->drops[d] == 0, "dropped %s", ct_drop_text((enum ct_drop)d));
	}
	ct_io_free(io);
	ct_io_free(other);
	loop_free(l);
	printf("ct_io_real: %u failures\n", failures);
	return failures ? 1 : 0;
}
