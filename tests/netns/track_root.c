/*
 * Tracked processes with the real kernel: how they are seen, and how long it takes to see one begin and end. Prints one
 * JSON object. Where the kernel tells of processes it has to be run in the first network namespace.
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "daemon/app_track.h"
#include "daemon/base/clock.h"
#include "daemon/base/require.h"

#define CONF                                                                                             \
	"vrrp = { instances = ( { name = \"a\"; interface = \"none0\"; vrid = 1; virtual_addresses = ( " \
	"\"10.0.0.1/24\" ); track = ( { process = \"p\"; } ); } );\n"                                    \
	"track = { processes = ( { name = \"p\"; process = ( \"sleep\", \"333.25\" ); } ); }; };"

static struct app a;

static json_t *look(json_t **all)
{
	json_decref(*all);
	*all = app_track_json(&a);
	return json_array_get(json_object_get(*all, "things"), 0);
}

/* Milliseconds until so many are counted; -1: not within 5 s. */
static double until(json_int_t count)
{
	mono_t begin = clock_mono(), end = mono_add(begin, 5 * NS_PER_SEC);
	json_t *all = NULL;
	while (mono_before(clock_mono(), end)) {
		loop_once(a.loop, 5 * NS_PER_MS);
		json_t *t = look(&all);
		bool ok = strcmp(json_string_value(json_object_get(t, "state")), "unknown") != 0;
		if (ok && json_integer_value(json_object_get(t, "count")) == count) {
			json_decref(all);
			return (double)mono_sub(clock_mono(), begin) / 1e6;
		}
	}
	json_decref(all);
	return -1;
}

int main(void)
{
	struct cfg_errors errs = { 0 };
	char *const argv[] = { (char[]){ "sleep" }, (char[]){ "333.25" }, NULL }, *const envp[] = { NULL };
	pid_t pid;
	a.cfg = cfg_parse(CONF, "track_root", &errs);
	require(a.cfg);
	a.loop = loop_new("test");
	a.kt = kernel_thread_start(a.loop, 0);
	require(a.loop && a.kt && app_node_build(&a, (struct epoch){ 0 }) == 0);
	require(app_track_start(&a) == 0);
	double first = until(0);
	/* The kernel's answer, or the end of the wait for it. */
	for (mono_t end = mono_add(clock_mono(), 1200 * NS_PER_MS); mono_before(clock_mono(), end);)
		loop_once(a.loop, 10 * NS_PER_MS);
	require(posix_spawn(&pid, "/bin/sleep", NULL, NULL, argv, envp) == 0);
	double up = until(1);
	require(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	double down = until(0);
	json_t *all = NULL;
	const char *seen = json_string_value(json_object_get(look(&all), "seen_by"));
	printf("{\"seen_by\": \"%s\", \"first_ms\": %.1f, \"up_ms\": %.1f, \"down_ms\": %.1f}\n", seen, first, up,
	       down);
	json_decref(all);
	app_track_stop(&a);
	kernel_thread_stop(a.kt, NS_PER_SEC);
	app_node_free(&a);
	loop_free(a.loop);
	cfg_free(a.cfg);
	cfg_errors_free(&errs);
	return 0;
}
