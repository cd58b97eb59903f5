/*
 * build/sim --seeds N [--from K] | --seed N [--mutant NAME] [--trace [--port SESSION]] | --mutants [--seeds N]
 *
 * Seeds are run by as many processes as there are processors: a require() that fails in a core ends one of them, and
 * the parent knows the seed. Each violation prints the line that replays it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define JOBS_MAX 16

enum mutant mutant_on;

static const char *const mutant_text[M_N] = {
#define MUTANT_TEXT(name, text) [name] = text,
	MUTANT_TABLE(MUTANT_TEXT)
#undef MUTANT_TEXT
};
static const char *const mutant_name[M_N] = {
#define MUTANT_NAME(name, text) [name] = #name,
	MUTANT_TABLE(MUTANT_NAME)
#undef MUTANT_NAME
};

/* What a worker says about a seed: first that it begins it, then how it ended. */
struct word {
	uint64_t seed;
	bool done, ok;
	struct sim_count count;
	char why[400];
};

struct total {
	uint64_t seeds, violations;
	uint64_t first_bad;
	struct sim_count count;
	char why[400];
};

static struct sim world; /* large */

/* Whoever reads a clock inside a seed is found here: no core may depend on one, so CLOCK_REALTIME may jump at will. */
static bool in_seed;
int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __real_gettimeofday(struct timeval *tv, void *tz);
int __wrap_gettimeofday(struct timeval *tv, void *tz);
time_t __real_time(time_t *t);
time_t __wrap_time(time_t *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	require(!in_seed);
	return __real_clock_gettime(id, ts);
}

int __wrap_gettimeofday(struct timeval *tv, void *tz)
{
	require(!in_seed);
	return __real_gettimeofday(tv, tz);
}

time_t __wrap_time(time_t *t)
{
	require(!in_seed);
	return __real_time(t);
}

static bool run_seed(uint64_t seed, bool trace, uint16_t port)
{
	in_seed = true;
	bool ok = sim_run(&world, seed, trace, port);
	in_seed = false;
	return ok;
}

static void say(int fd, const struct word *x)
{
	const char *p = (const char *)x;
	size_t left = sizeof(*x);
	while (left) {
		ssize_t n = write(fd, p, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(3);
		p += n;
		left -= (size_t)n;
	}
}

static char assertion[300];

static void on_require(const char *expr, const char *file, int line)
{
	snprintf(assertion, sizeof(assertion), "%s:%d: require(%s)", file, line, expr);
	fprintf(stderr, "%s\n", assertion);
}

static _Noreturn void worker(int fd, uint64_t from, uint64_t to, uint64_t step)
{
	static struct word x;
	require_on_fail(on_require);
	for (uint64_t seed = from; seed < to; seed += step) {
		memset(&x, 0, sizeof(x));
		x.seed = seed;
		say(fd, &x);
		x.ok = run_seed(seed, false, 0);
		x.done = true;
		x.count = world.count;
		snprintf(x.why, sizeof(x.why), "%.390s", world.why);
		say(fd, &x);
	}
	exit(0); /* not _exit(): coverage is written at the end of a process */
}

struct job {
	pid_t pid;
	int fd;
	uint64_t at; /* seed under way */
	bool under_way;
};

static void job_start(struct job *j, uint64_t from, uint64_t to, uint64_t step)
{
	int p[2];
	if (pipe(p) < 0) {
		perror("pipe");
		exit(2);
	}
	fflush(NULL);
	j->pid = fork();
	if (j->pid < 0) {
		perror("fork");
		exit(2);
	}
	if (j->pid == 0) {
		close(p[0]);
		worker(p[1], from, to, step);
	}
	close(p[1]);
	j->fd = p[0];
	j->under_way = false;
}

/* False: the worker has ended. */
static bool hear(int fd, struct word *x)
{
	char *p = (char *)x;
	size_t got = 0;
	while (got < sizeof(*x)) {
		ssize_t n = read(fd, p + got, sizeof(*x) - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static void bad(struct total *t, uint64_t seed, const char *why, bool tell)
{
	if (!t->violations++ || seed < t->first_bad) {
		t->first_bad = seed;
		snprintf(t->why, sizeof(t->why), "%s", why);
	}
	if (!tell)
		return;
	printf("seed %llu: %s\n", (unsigned long long)seed, why);
	printf("  build/sim --seed %llu%s%s --trace\n", (unsigned long long)seed, mutant_on ? " --mutant " : "",
	       mutant_on ? mutant_name[mutant_on] : "");
	fflush(stdout);
}

static void take(struct total *t, const struct word *x, bool tell)
{
	t->seeds++;
	for (unsigned i = 0; i < SIM_COUNT_N; i++)
		((uint64_t *)&t->count)[i] += ((const uint64_t *)&x->count)[i];
	if (!x->ok)
		bad(t, x->seed, x->why, tell);
}

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

static void job_ended(struct job *j, struct total *t, uint64_t to, uint64_t step, bool tell)
{
	int status = 0;
	char why[80];
	close(j->fd);
	j->fd = -1;
	waitpid(j->pid, &status, 0);
	if (!j->under_way)
		return;
	t->seeds++;
	snprintf(why, sizeof(why), "the process ended with %s %d (an assertion in a core)",
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	bad(t, j->at, why, tell);
	if (j->at + step < to)
		job_start(j, j->at + step, to, step);
}

/* Runs [from, to); stop_at_first: one violation is enough. */
static void run_all(struct total *t, uint64_t from, uint64_t to, bool stop_at_first, bool tell)
{
	static struct word x;
	struct job jobs[JOBS_MAX];
	unsigned n = processors();
	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < n; i++)
		job_start(&jobs[i], from + i, to, n);
	for (;;) {
		struct pollfd pf[JOBS_MAX];
		unsigned k = 0, who[JOBS_MAX];
		for (unsigned i = 0; i < n; i++)
			if (jobs[i].fd >= 0) {
				pf[k] = (struct pollfd){ .fd = jobs[i].fd, .events = POLLIN };
				who[k++] = i;
			}
		if (!k)
			break;
		if (poll(pf, k, -1) < 0)
			continue;
		for (unsigned i = 0; i < k; i++) {
			struct job *j = &jobs[who[i]];
			if (!pf[i].revents)
				continue;
			if (!hear(j->fd, &x)) {
				job_ended(j, t, to, n, tell);
				continue;
			}
			j->at = x.seed;
			j->under_way = !x.done;
			if (x.done)
				take(t, &x, tell);
		}
		if (stop_at_first && t->violations)
			break;
	}
	for (unsigned i = 0; i < n; i++)
		if (jobs[i].fd >= 0) {
			kill(jobs[i].pid, SIGKILL);
			waitpid(jobs[i].pid, NULL, 0);
			close(jobs[i].fd);
		}
}

static double wall(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_totals(const struct total *t, double took)
{
	for (unsigned i = 0; i < SIM_COUNT_N; i++)
		printf("%12llu %s\n", (unsigned long long)((const uint64_t *)&t->count)[i], sim_count_text(i));
	printf("%.1f s, %.1f ms a seed\n", took, t->seeds ? took * 1000 / (double)t->seeds : 0);
}

static int cmd_seeds(uint64_t from, uint64_t n)
{
	struct total t;
	double start = wall();
	run_all(&t, from, from + n, false, true);
	print_totals(&t, wall() - start);
	printf("sim: %llu seeds, %llu violations\n", (unsigned long long)t.seeds, (unsigned long long)t.violations);
	return t.violations || t.seeds != n ? 1 : 0;
}

static int cmd_seed(uint64_t seed, bool trace, uint16_t port)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	bool ok = run_seed(seed, trace, port);
	if (!ok)
		printf("seed %llu: %s\n", (unsigned long long)seed, world.why);
	printf("sim: 1 seeds, %d violations\n", ok ? 0 : 1);
	return ok ? 0 : 1;
}

/* Every named bug must be caught, and without one there must be nothing to catch. */
static int cmd_mutants(uint64_t n)
{
	unsigned survived = 0;
	struct total t;
	for (unsigned m = M_NONE + 1; m < M_N; m++) {
		double start = wall();
		mutant_on = (enum mutant)m;
		run_all(&t, 1, 1 + n, true, false);
		survived += t.violations == 0;
		printf("%-28s %-36s ", mutant_name[m], mutant_text[m]);
		if (t.violations)
			printf("caught by seed %llu in %.1f s: %s\n", (unsigned long long)t.first_bad, wall() - start,
			       t.why);
		else
			printf("SURVIVED %llu seeds\n", (unsigned long long)t.seeds);
		fflush(stdout);
	}
	mutant_on = M_NONE;
	run_all(&t, 1, 1 + (n < 100 ? n : 100), false, true);
	printf("%-28s %-36s %llu violations in %llu seeds\n", "M_NONE", "no bug", (unsigned long long)t.violations,
	       (unsigned long long)t.seeds);
	printf("sim: %u mutants, %u survived\n", M_N - 1, survived);
	return survived || t.violations ? 1 : 0;
}

static enum mutant mutant_find(const char *name)
{
	for (unsigned m = 0; m < M_N; m++)
		if (!strcasecmp(name, mutant_name[m]) || !strcasecmp(name, mutant_name[m] + 2) ||
		    !strcasecmp(name, mutant_text[m]))
			return (enum mutant)m;
	fprintf(stderr, "sim: no mutant is called %s; there are:\n", name);
	for (unsigned m = 1; m < M_N; m++)
		fprintf(stderr, "  %s  %s\n", mutant_name[m], mutant_text[m]);
	exit(2);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: sim --seeds N [--from K] [--mutant NAME]\n"
			"       sim --seed N [--mutant NAME] [--trace [--port SESSION]]\n"
			"       sim --mutants [--seeds N]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	uint64_t seeds = 0, from = 1, seed = 0;
	uint16_t port = 0;
	bool one = false, mutants = false, trace = false;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(a, "--trace")) {
			trace = true;
		} else if (!strcmp(a, "--mutants")) {
			mutants = true;
		} else if (!strcmp(a, "--seeds") && v) {
			seeds = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(a, "--from") && v) {
			from = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(a, "--seed") && v) {
			seed = strtoull(argv[++i], NULL, 0);
			one = true;
		} else if (!strcmp(a, "--port") && v) {
			port = (uint16_t)strtoul(argv[++i], NULL, 0);
		} else if (!strcmp(a, "--mutant") && v) {
			mutant_on = mutant_find(argv[++i]);
		} else {
			usage();
		}
	}
	if (mutants)
		return cmd_mutants(seeds ? seeds : 1000);
	if (one)
		return cmd_seed(seed, trace, port);
	return cmd_seeds(from, seeds ? seeds : 200);
}
