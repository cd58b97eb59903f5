/* IKE daemons behind programs: a whack made of shell, and programs of an operator that do all that programs do. */
#define _GNU_SOURCE 1
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/prog_io.h"

#define SECONDS(n) ((n)*NS_PER_SEC)
#define EVENTS     512

static struct loop *loop;
static struct prog *p;
static char dir[64], whack[96];
static struct prog_ev evs[EVENTS];
static char errs[EVENTS][PROG_TEXT_MAX];
static unsigned n_ev;
static struct ike_tunnel_conf conf[4];

static void on_ev(void *arg, const struct prog_ev *ev)
{
	(void)arg;
	ck_assert_ptr_nonnull(ev->errmsg);
	if (n_ev == EVENTS)
		n_ev = 0;
	evs[n_ev] = *ev;
	snprintf(errs[n_ev++], PROG_TEXT_MAX, "%s", ev->errmsg);
}

static void add_env(void *arg, uint16_t tunnel, struct exec_env *env)
{
	(void)arg;
	(void)tunnel;
	env->group = "site";
	env->role_new = "MASTER";
}

static void put(const char *name, mode_t mode, const char *fmt, ...)
{
	char path[160], tmp[170];
	va_list ap;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	FILE *f = fopen(tmp, "we");
	ck_assert_ptr_nonnull(f);
	va_start(ap, fmt);
	ck_assert_int_ge(vfprintf(f, fmt, ap), 0);
	va_end(ap);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(tmp, mode), 0);
	ck_assert_int_eq(rename(tmp, path), 0);
}

static const char *get(const char *name)
{
	static char text[8192];
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static void gone(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kt-prog-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(whack, sizeof(whack), "%s/whack", dir);
	memset(conf, 0, sizeof(conf));
	n_ev = 0;
	loop = loop_new("test");
}

static void tear_down(void)
{
	char cmd[100];

	prog_free(p);
	p = NULL;
	loop_free(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void spin(int64_t ns)
{
	mono_t end = mono_add(clock_mono(), ns);

	while (mono_before(clock_mono(), end))
		loop_once(loop, 5 * NS_PER_MS);
}

/* The event of this kind at or after *from; *from moves behind it. */
static const struct prog_ev *await(unsigned *from, enum prog_ev_kind kind, uint16_t tunnel)
{
	mono_t end = mono_add(clock_mono(), SECONDS(15));

	for (;;) {
		for (; *from < n_ev; (*from)++) {
			if (evs[*from].kind == kind && evs[*from].tunnel == tunnel)
				return &evs[(*from)++];
		}
		ck_assert_msg(mono_before(clock_mono(), end), "event %d of tunnel %u never came: %s", (int)kind, tunnel,
			      prog_last_error(p));
		loop_once(loop, 20 * NS_PER_MS);
	}
}

static void ask(uint16_t tunnel, enum ike_verb v, uint32_t seq)
{
	ck_assert_int_eq(prog_request(p, tunnel, v, (struct prog_tag){ .seq = seq, .epoch = { 9, 1 } }, "role change"),
			 0);
}

/* Exactly the reply to this request. */
static const struct prog_ev *reply(unsigned *from, uint16_t tunnel, uint32_t seq)
{
	const struct prog_ev *ev = await(from, PROG_EV_REPLY, tunnel);

	ck_assert_uint_eq(ev->tag.seq, seq);
	ck_assert_uint_eq(ev->tag.epoch.counter, 9);
	return ev;
}

static unsigned count(enum prog_ev_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_ev; i++)
		n += evs[i].kind == kind;
	return n;
}

/* ---- libreswan ---- */

/*
 * It keeps what is up in "list", with serial numbers that grow; "down" is a pluto that does not run, "hang" one that is
 * stopped.
 */
static const char whack_script[] =
    "#!/bin/sh\n"
    "cd '%s' || exit 99\n"
    "echo \"$*\" >>log\n"
    "[ -e hang ] && exec sleep 300\n"
    "[ -e down ] && { echo 'whack: is Pluto running?'; exit 33; }\n"
    "next() { n=$(($(cat serial 2>/dev/null || echo 0) + 2)); echo $n >serial; }\n"
    "up() { echo \"006 #$n: \\\"$1\\\", type=ESP, add_time=1, inBytes=$((n * 10)), outBytes=5, id='x'\" >>list; }\n"
    "for word; do name=$word; done\n"
    "case \"$*\" in\n"
    "*--version*) echo 'Libreswan 4.10' ;;\n"
    "*--trafficstatus*) echo '000 something else'; cat list 2>/dev/null; exit 0 ;;\n"
    "*--listen*--initiate*) [ -e silent ] || { next; up \"$name\"; } ;;\n"
    "*--rekey-ipsec*) next; sed -i \"/\\\"$name\\\"/d\" list; up \"$name\" ;;\n"
    "*--terminate*)\n"
    "	[ -e unknown ] && { echo '021 no connection named'; exit 21; }\n"
    "	[ -e broken ] && { echo '052 something broke'; exit 52; }\n"
    "	sed -i \"/\\\"$name\\\"/d\" list 2>/dev/null; exit 0 ;;\n"
    "*) exit 1 ;;\n"
    "esac\n";

static void start_swan(unsigned n)
{
	static const char *const name[] = { "net", "hq", "branch", "last" };

	put("whack", 0755, whack_script, dir);
	for (unsigned i = 0; i < n; i++) {
		conf[i].backend = IKE_BACKEND_LIBRESWAN;
		snprintf(conf[i].name, sizeof(conf[i].name), "t%u", i);
		snprintf(conf[i].ike, sizeof(conf[i].ike), "%s", name[i]);
	}
	p = prog_new(loop, IKE_BACKEND_LIBRESWAN, on_ev, add_env, NULL);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(prog_tunnels(p, conf, (uint16_t)n, whack, "/run/ctl"), 0);
}

START_TEST(swan_life_of_a_tunnel)
{
	unsigned at = 0;
	const struct prog_ev *ev;

	start_swan(2);
	ck_assert(!prog_up(p, 0));
	ck_assert_int_eq(prog_request(p, 0, IKE_VERB_DROP, (struct prog_tag){ 0 }, ""), ERR_STATE);
	await(&at, PROG_EV_UP, 0);
	await(&at, PROG_EV_UP, 1);
	ck_assert(prog_up(p, 0) && prog_up(p, 1) && !prog_up(p, 2));
	ask(0, IKE_VERB_INITIATE, 1);
	ev = reply(&at, 0, 1);
	ck_assert(ev->ok && ev->verb == IKE_VERB_INITIATE);
	mono_t begun = clock_mono();
	ev = await(&at, PROG_EV_CHILD_UPDOWN, 0);
	ck_assert(ev->up);
	ck_assert_uint_eq(ev->sa_id, 2);
	ck_assert_int_lt(mono_sub(clock_mono(), begun), SECONDS(1));
	ck_assert_str_eq(prog_version(p), "Libreswan 4.10");

	ask(0, IKE_VERB_LIST, 2);
	ev = reply(&at, 0, 2);
	ck_assert(ev->ok && ev->sample.child && ev->sample.established);
	ck_assert_uint_eq(ev->sample.in_packets, 20);
	ck_assert_uint_eq(ev->sample.out_packets, 5);

	ask(0, IKE_VERB_REKEY, 3);
	ck_assert(reply(&at, 0, 3)->ok);
	ev = await(&at, PROG_EV_CHILD_REKEY, 0);
	ck_assert_uint_eq(ev->sa_id, 4);

	ask(0, IKE_VERB_DROP, 4);
	ck_assert(reply(&at, 0, 4)->ok);
	ask(0, IKE_VERB_LIST, 5);
	ev = reply(&at, 0, 5);
	ck_assert(ev->ok && !ev->sample.child);
	ck_assert_ptr_nonnull(strstr(get("log"), "--ctlsocket /run/ctl --terminate --name net"));
	ck_assert_uint_eq(count(PROG_EV_DOWN), 0);
	ck_assert_uint_eq(count(PROG_EV_CHILD_UPDOWN), 1); /* our own drop is no event */
	ck_assert_uint_gt(prog_counters(p).lines[SA_TEXT_OTHER], 0);
}
END_TEST

/* What nobody asked for is seen as well: it comes, it goes. */
START_TEST(swan_unasked)
{
	unsigned at = 0;

	start_swan(2);
	await(&at, PROG_EV_UP, 1);
	put("list", 0644, "006 #8: \"hq/1x1\", type=ESP, inBytes=1\n006 #9: \"other\", type=ESP\n");
	const struct prog_ev *ev = await(&at, PROG_EV_CHILD_UPDOWN, 1);
	ck_assert(ev->up);
	ck_assert_uint_eq(ev->sa_id, 8);
	put("list", 0644, "006 #9: \"other\", type=ESP\n");
	ck_assert(!await(&at, PROG_EV_CHILD_UPDOWN, 1)->up);
	for (unsigned i = 0; i < n_ev; i++)
		ck_assert(evs[i].kind == PROG_EV_UP || evs[i].tunnel == 1);
}
END_TEST

START_TEST(swan_refusals)
{
	unsigned at = 0;

	start_swan(1);
	await(&at, PROG_EV_UP, 0);
	put("unknown", 0644, "x");
	ask(0, IKE_VERB_DROP, 1);
	ck_assert(reply(&at, 0, 1)->ok);
	gone("unknown");
	put("broken", 0644, "x");
	ask(0, IKE_VERB_DROP, 2);
	ck_assert(!reply(&at, 0, 2)->ok);
	ck_assert_ptr_nonnull(strstr(errs[at - 1], "exit status 52: 052 something broke"));
	ck_assert_int_eq(prog_request(p, 0, IKE_VERB_PROBE, (struct prog_tag){ 0 }, ""), ERR_STATE);
	ck_assert_int_eq(prog_request(p, 7, IKE_VERB_LIST, (struct prog_tag){ 0 }, ""), ERR_STATE);
}
END_TEST

/* Dropped in vain: what the list goes on to show is the old SA, and is not taken for the new one. */
START_TEST(swan_stale_sa_is_not_up)
{
	unsigned at = 0;

	start_swan(1);
	await(&at, PROG_EV_UP, 0);
	put("list", 0644, "006 #2: \"net\", type=ESP\n");
	ck_assert(await(&at, PROG_EV_CHILD_UPDOWN, 0)->up);
	put("broken", 0644, "x");
	put("silent", 0644, "x");
	ask(0, IKE_VERB_DROP, 1);
	ck_assert(!reply(&at, 0, 1)->ok);
	ask(0, IKE_VERB_INITIATE, 2);
	ck_assert(reply(&at, 0, 2)->ok);
	spin(300 * NS_PER_MS);
	ck_assert_uint_eq(count(PROG_EV_CHILD_UPDOWN), 1);
}
END_TEST

START_TEST(swan_lost_and_back)
{
	unsigned at = 0;

	start_swan(1);
	await(&at, PROG_EV_UP, 0);
	put("down", 0644, "x");
	ask(0, IKE_VERB_LIST, 1); /* answered by DOWN */
	await(&at, PROG_EV_DOWN, 0);
	ck_assert(!prog_up(p, 0));
	ck_assert_int_eq(prog_request(p, 0, IKE_VERB_LIST, (struct prog_tag){ 0 }, ""), ERR_STATE);
	ck_assert_ptr_nonnull(strstr(prog_last_error(p), "33"));
	gone("down");
	await(&at, PROG_EV_UP, 0);
	ck_assert_uint_eq(count(PROG_EV_REPLY), 0);
	ck_assert_uint_eq(count(PROG_EV_DOWN), 1);
}
END_TEST

/* A stopped pluto: whack hangs, is killed, and the loop goes on meanwhile. */
START_TEST(swan_stopped)
{
	unsigned at = 0;

	start_swan(1);
	await(&at, PROG_EV_UP, 0);
	put("hang", 0644, "x");
	ask(0, IKE_VERB_INITIATE, 1);
	mono_t begun = clock_mono();
	ck_assert(!reply(&at, 0, 1)->ok);
	ck_assert_int_lt(mono_sub(clock_mono(), begun), SECONDS(3));
	await(&at, PROG_EV_DOWN, 0);
	gone("hang");
	await(&at, PROG_EV_UP, 0);
	ck_assert_uint_ge(prog_counters(p).timed_out, 2);
}
END_TEST

/* One list and one process for all, and each tunnel in its turn. */
START_TEST(swan_many)
{
	unsigned at = 0, from;

	start_swan(4);
	await(&at, PROG_EV_UP, 3);
	for (uint16_t t = 0; t < 4; t++)
		ask(t, IKE_VERB_INITIATE, 10u + t);
	for (uint16_t t = 0; t < 4; t++) {
		from = at;
		ck_assert(await(&from, PROG_EV_CHILD_UPDOWN, t)->up);
	}
	/* Asked again before it began: the newest counts, a drop takes the place of all. */
	struct prog_counters c = prog_counters(p);
	ask(0, IKE_VERB_REKEY, 20);
	ask(0, IKE_VERB_INITIATE, 21);
	ask(0, IKE_VERB_INITIATE, 22);
	ask(0, IKE_VERB_DROP, 23);
	ck_assert_uint_eq(prog_counters(p).replaced - c.replaced, 2);
	ask(0, IKE_VERB_INITIATE, 24);
	at = n_ev;
	ck_assert_uint_eq(reply(&at, 0, 20)->verb, IKE_VERB_REKEY);
	ck_assert_uint_eq(reply(&at, 0, 23)->verb, IKE_VERB_DROP);
	ck_assert_uint_eq(reply(&at, 0, 24)->verb, IKE_VERB_INITIATE);
}
END_TEST

/* A reload: places move, one tunnel goes while its program runs, one comes. */
START_TEST(swan_reload)
{
	struct ike_tunnel_conf next[3];
	unsigned at = 0;

	start_swan(2);
	await(&at, PROG_EV_UP, 1);
	ask(1, IKE_VERB_INITIATE, 1);
	ck_assert(await(&at, PROG_EV_CHILD_UPDOWN, 1)->up);
	ask(0, IKE_VERB_DROP, 2); /* its answer has nobody to go to */
	memset(next, 0, sizeof(next));
	next[0].backend = IKE_BACKEND_VICI;
	next[1] = conf[2];
	next[1].backend = IKE_BACKEND_LIBRESWAN;
	strcpy(next[1].name, "t2");
	strcpy(next[1].ike, "branch");
	next[2] = conf[1];
	ck_assert_int_eq(prog_tunnels(p, next, 3, whack, "/run/ctl"), 0);
	ck_assert(!prog_up(p, 0) && prog_up(p, 1) && prog_up(p, 2));
	at = n_ev;
	ask(2, IKE_VERB_LIST, 3);
	ck_assert(reply(&at, 2, 3)->sample.child);
	ask(1, IKE_VERB_INITIATE, 4);
	ck_assert(await(&at, PROG_EV_CHILD_UPDOWN, 1)->up);
	for (unsigned i = 0; i < n_ev; i++)
		ck_assert(evs[i].kind != PROG_EV_REPLY || evs[i].tag.seq != 2);
	ck_assert_uint_eq(count(PROG_EV_DOWN), 0);
	ck_assert_int_eq(prog_tunnels(p, NULL, 0, whack, "/run/ctl"), 0);
	spin(50 * NS_PER_MS);
	ck_assert(!prog_up(p, 1));
}
END_TEST

/* ---- exec ---- */

static char exec_path[4][96];

static void program(unsigned i, const char *body)
{
	char name[16];

	snprintf(name, sizeof(name), "prog%u", i);
	put(name, 0755, "#!/bin/sh\ncd %s || exit 99\n%s\n", dir, body);
	snprintf(exec_path[i], sizeof(exec_path[i]), "%s/%s", dir, name);
}

static void start_exec(unsigned n, int64_t timeout_ns)
{
	for (unsigned i = 0; i < n; i++) {
		conf[i].backend = IKE_BACKEND_EXEC;
		snprintf(conf[i].name, sizeof(conf[i].name), "t%u", i);
		snprintf(conf[i].ike, sizeof(conf[i].ike), "conn");
		ck_assert(addr_parse("192.0.2.1", &conf[i].vip) && addr_parse("192.0.2.2", &conf[i].peer));
		conf[i].exec[0] = exec_path[i];
		conf[i].exec[1] = "an argument";
		conf[i].exec_timeout_ns = timeout_ns;
	}
	p = prog_new(loop, IKE_BACKEND_EXEC, on_ev, add_env, NULL);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(prog_tunnels(p, conf, (uint16_t)n, "", ""), 0);
}

START_TEST(exec_verbs_and_environment)
{
	unsigned at = 0;

	program(0,
		"echo \"$HA_EVENT|$1|$HA_TUNNEL|$HA_VIP|$HA_PEER|$HA_IKE|$HA_CHILD|$HA_GROUP|$HA_ROLE_NEW|$HA_REASON|"
		"$HA_EPOCH\" >>log\n"
		"case $HA_EVENT in\n"
		"probe) ;;\n"
		"list) [ -e up ] && echo child-up id=$(cat up) in=3 out=4 || echo child-down ;;\n"
		"initiate) echo 7 >up ;;\n"
		"rekey) echo 8 >up ;;\n"
		"drop_silent) rm -f up ;;\n"
		"close) rm -f up; echo cannot; exit 5 ;;\n"
		"esac");
	start_exec(1, SECONDS(5));
	await(&at, PROG_EV_UP, 0);
	ask(0, IKE_VERB_DROP, 1);
	ck_assert(reply(&at, 0, 1)->ok);
	ask(0, IKE_VERB_INITIATE, 2);
	ck_assert(reply(&at, 0, 2)->ok);
	const struct prog_ev *ev = await(&at, PROG_EV_CHILD_UPDOWN, 0);
	ck_assert(ev->up);
	ck_assert_uint_eq(ev->sa_id, 7);
	ask(0, IKE_VERB_LIST, 3);
	ev = reply(&at, 0, 3);
	ck_assert(ev->ok && ev->sample.in_packets == 3 && ev->sample.out_packets == 4);
	ask(0, IKE_VERB_REKEY, 4);
	ck_assert(reply(&at, 0, 4)->ok);
	ck_assert_uint_eq(await(&at, PROG_EV_CHILD_REKEY, 0)->sa_id, 8);
	ask(0, IKE_VERB_CLOSE, 5);
	ck_assert(!reply(&at, 0, 5)->ok);
	ck_assert_str_eq(errs[at - 1], "t0: close: exit status 5: cannot");
	ask(0, IKE_VERB_LIST, 6);
	ck_assert(!reply(&at, 0, 6)->sample.child);
	ck_assert(!await(&at, PROG_EV_CHILD_UPDOWN, 0)->up);
	ck_assert_ptr_nonnull(strstr(get("log"), "probe|an argument|t0|192.0.2.1|192.0.2.2|conn||site|MASTER||0.0\n"));
	ck_assert_ptr_nonnull(
	    strstr(get("log"), "initiate|an argument|t0|192.0.2.1|192.0.2.2|conn||site|MASTER|role change|9.1\n"));
}
END_TEST

/* A program that tells nothing: its exit status is all there is, and has to do. */
START_TEST(exec_that_tells_nothing)
{
	unsigned at = 0;

	program(0, "[ \"$HA_EVENT\" = list ] && exit 1; exit 0"); /* it has not even a list */
	program(1, "echo nothing of interest");
	start_exec(2, SECONDS(5));
	for (uint16_t t = 0; t < 2; t++) {
		at = 0;
		await(&at, PROG_EV_UP, t);
		ask(t, IKE_VERB_INITIATE, 1);
		ck_assert(reply(&at, t, 1)->ok);
		ck_assert(await(&at, PROG_EV_CHILD_UPDOWN, t)->up);
		ask(t, IKE_VERB_DROP, 2);
		ck_assert(reply(&at, t, 2)->ok);
	}
	spin(300 * NS_PER_MS);
	ck_assert_uint_eq(count(PROG_EV_CHILD_UPDOWN), 2);
	ck_assert_uint_eq(count(PROG_EV_DOWN), 0);
}
END_TEST

/* A zombie waits for whoever is init here: it is dead. */
static bool alive(int pid)
{
	char path[40], text[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	const char *state = strrchr(text, ')');
	return state && state[2] != 'Z';
}

/* One hangs with a child of its own and ignores SIGTERM: the others do not notice, and nothing of it remains. */
START_TEST(exec_that_hangs)
{
	unsigned at = 0, from = 0;

	program(0, "[ \"$HA_EVENT\" = initiate ] || exit 0\ntrap '' TERM\nsleep 300 &\necho $! >child\necho $$ "
		   ">self\nwait\nwait");
	program(1, "[ \"$HA_EVENT\" = list ] && echo child-up id=1; exit 0");
	start_exec(2, 400 * NS_PER_MS);
	await(&at, PROG_EV_UP, 0);
	await(&from, PROG_EV_UP, 1);
	ask(0, IKE_VERB_INITIATE, 1);
	ask(1, IKE_VERB_INITIATE, 2);
	mono_t begun = clock_mono();
	from = 0;
	ck_assert(reply(&from, 1, 2)->ok);
	ck_assert_int_lt(mono_sub(clock_mono(), begun), 350 * NS_PER_MS);
	at = 0;
	ck_assert(!reply(&at, 0, 1)->ok);
	ck_assert_str_eq(errs[at - 1], "t0: initiate: no end within its time");
	ck_assert_int_lt(mono_sub(clock_mono(), begun), SECONDS(3));
	spin(50 * NS_PER_MS);
	ck_assert(!alive(atoi(get("self"))));
	ck_assert(!alive(atoi(get("child"))));
	ck_assert_uint_eq(prog_counters(p).timed_out, 1);
}
END_TEST

START_TEST(exec_that_floods)
{
	unsigned at = 0;

	program(0, "[ \"$HA_EVENT\" = list ] && exec yes 'child-up id=5'; exit 0");
	program(1, "[ \"$HA_EVENT\" = list ] && exec head -c 300000 /dev/urandom; exit 0");
	start_exec(2, 500 * NS_PER_MS);
	await(&at, PROG_EV_UP, 0);
	at = 0;
	await(&at, PROG_EV_UP, 1);
	spin(SECONDS(1));
	ck_assert_uint_eq(count(PROG_EV_CHILD_UPDOWN), 0); /* a list without an end says nothing */
	ck_assert_uint_eq(count(PROG_EV_DOWN), 0);
	ck_assert_uint_ge(prog_counters(p).timed_out, 1);
	ck_assert_uint_gt(prog_counters(p).lines[SA_TEXT_OTHER] + prog_counters(p).lines[SA_TEXT_DROP_LONG], 0);
}
END_TEST

START_TEST(exec_that_cannot_be_started)
{
	unsigned at = 0;

	snprintf(exec_path[0], sizeof(exec_path[0]), "%s/missing", dir);
	put("plain", 0644, "#!/bin/sh\nexit 0\n");
	snprintf(exec_path[1], sizeof(exec_path[1]), "%s/plain", dir);
	put("odd", 0755, "#!/nowhere/interpreter\n");
	snprintf(exec_path[2], sizeof(exec_path[2]), "%s/odd", dir);
	program(3, "exit 0");
	start_exec(4, SECONDS(5));
	await(&at, PROG_EV_UP, 3);
	spin(100 * NS_PER_MS);
	for (uint16_t t = 0; t < 3; t++)
		ck_assert(!prog_up(p, t));
	ck_assert_uint_ge(prog_counters(p).failed, 3);
	ck_assert_ptr_nonnull(strstr(prog_last_error(p), "cannot be started"));
	/* Repaired while the daemon runs: the next probe finds it. */
	put("missing", 0755, "#!/bin/sh\nexit 0\n");
	at = 0;
	await(&at, PROG_EV_UP, 0);
}
END_TEST

START_TEST(exec_probe_fails)
{
	unsigned at = 0;

	program(0, "[ -e down ] && exit 3; [ \"$HA_EVENT\" = list ] && echo child-up id=2; exit 0");
	start_exec(1, SECONDS(5));
	await(&at, PROG_EV_UP, 0);
	ck_assert(await(&at, PROG_EV_CHILD_UPDOWN, 0)->up);
	put("down", 0644, "x");
	ask(0, IKE_VERB_LIST, 1);
	await(&at, PROG_EV_DOWN, 0);
	gone("down");
	await(&at, PROG_EV_UP, 0);
	ck_assert(await(&at, PROG_EV_CHILD_UPDOWN, 0)->up); /* after a loss nothing is known */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("prog_io");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, swan_life_of_a_tunnel);
	tcase_add_test(tc, swan_unasked);
	tcase_add_test(tc, swan_refusals);
	tcase_add_test(tc, swan_stale_sa_is_not_up);
	tcase_add_test(tc, swan_lost_and_back);
	tcase_add_test(tc, swan_stopped);
	tcase_add_test(tc, swan_many);
	tcase_add_test(tc, swan_reload);
	tcase_add_test(tc, exec_verbs_and_environment);
	tcase_add_test(tc, exec_that_tells_nothing);
	tcase_add_test(tc, exec_that_hangs);
	tcase_add_test(tc, exec_that_floods);
	tcase_add_test(tc, exec_that_cannot_be_started);
	tcase_add_test(tc, exec_probe_fails);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
