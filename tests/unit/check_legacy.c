/* What an engine leaves to its heir: descriptors that move, and shared memory that is believed only when it is whole. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "daemon/dropin/legacy.h"
#include "tests/unit/run.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* A pipe: the end that is given away, and one that tells when it has closed. */
static int new_fd(int *watch)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	*watch = p[0];
	return p[1];
}

static bool closed(int watch)
{
	char c;

	return read(watch, &c, 1) == 0;
}

static struct legacy_area *new_area(int *fd, unsigned groups)
{
	struct legacy_area *a = legacy_area_new(groups, fd);

	ck_assert_ptr_nonnull(a);
	strcpy(a->config, "/etc/keepalived/keepalived.conf");
	for (unsigned g = 0; g < groups; g++)
		snprintf(a->group[g].name, sizeof(a->group[g].name), "g%u", g);
	return a;
}

START_TEST(words)
{
	static const char *const word[] = { "area", "rendezvous", "guardian" };
	struct legacy l;
	int watch[6], fd[6];

	legacy_init(&l);
	for (unsigned w = 0; w < 3; w++) { /* the second of each is too much, the next message replaces the first */
		for (unsigned i = 0; i < 2; i++)
			fd[i] = new_fd(&watch[i]);
		legacy_take(&l, word[w], fd, 2);
		ck_assert(!closed(watch[0]) && closed(watch[1]));
		fd[2] = new_fd(&watch[2]);
		legacy_take(&l, word[w], &fd[2], 1);
		ck_assert(closed(watch[0]) == (w < 2)); /* guardians add up */
		legacy_take(&l, word[w], NULL, 0);
		ck_assert(!closed(watch[2]));
	}
	for (unsigned i = 0; i < 3; i++)
		fd[i] = new_fd(&watch[i]);
	legacy_take(&l, "listeners", fd, 3);
	legacy_take(&l, "listeners", NULL, 0);
	ck_assert(closed(watch[0]) && closed(watch[1]) && closed(watch[2]));
	fd[0] = new_fd(&watch[0]);
	legacy_take(&l, "what is this", fd, 1);
	ck_assert(closed(watch[0]));
	legacy_close(&l);
	ck_assert(l.area == -1 && l.rendezvous == -1 && l.n_guardians == 0);
}
END_TEST

START_TEST(guardians_have_a_limit)
{
	struct legacy l, more;
	int watch[LEGACY_GUARDIANS + 2], fd;
	char byte = 0;

	legacy_init(&l);
	legacy_init(&more);
	for (unsigned i = 0; i < LEGACY_GUARDIANS + 2; i++) {
		fd = new_fd(&watch[i]);
		legacy_take(i < 4 ? &more : &l, "guardian", &fd, 1);
	}
	legacy_merge(&l, &more);
	ck_assert_uint_eq(l.n_guardians, LEGACY_GUARDIANS);
	ck_assert(closed(watch[0]) && closed(watch[1]) && !closed(watch[2])); /* the oldest act */
	legacy_release_guardians(&l);
	ck_assert(read(watch[2], &byte, 1) == 1 && byte == 'G' && closed(watch[2]));
	ck_assert_uint_eq(l.n_guardians, 0);
}
END_TEST

START_TEST(merged_and_replaced)
{
	struct legacy old, now;
	int watch[4], fd[4];

	legacy_init(&old);
	legacy_init(&now);
	for (unsigned i = 0; i < 4; i++)
		fd[i] = new_fd(&watch[i]);
	legacy_take(&old, "area", &fd[0], 1);
	legacy_take(&now, "area", &fd[1], 1);
	legacy_take(&old, "rendezvous", &fd[2], 1);
	legacy_take(&old, "listeners", &fd[3], 1);
	legacy_merge(&now, &old); /* what it has stays, what it lacks comes */
	ck_assert(closed(watch[0]) && !closed(watch[1]) && now.rendezvous == fd[2] && now.listener[0] == fd[3]);
	fd[0] = new_fd(&watch[0]);
	legacy_take(&old, "area", &fd[0], 1);
	legacy_replace(&now, &old); /* another engine serves, but has not said where it listens */
	ck_assert(closed(watch[1]) && closed(watch[2]) && !closed(watch[3]) && old.listener[0] == fd[3]);
	legacy_close(&old);
	ck_assert(closed(watch[3]));
}
END_TEST

START_TEST(over_exec)
{
	struct legacy l, back;
	char text[256];
	int watch[5], fd[5];

	legacy_init(&l);
	for (unsigned i = 0; i < 5; i++)
		fd[i] = new_fd(&watch[i]);
	legacy_take(&l, "area", &fd[0], 1);
	legacy_take(&l, "guardian", &fd[1], 1);
	legacy_take(&l, "guardian", &fd[2], 1);
	legacy_take(&l, "listeners", &fd[3], 2);
	ck_assert_uint_eq(legacy_print(&l, text, sizeof(text)), strlen(text));
	ck_assert_int_eq(fcntl(fd[3], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert(legacy_parse(&back, text));
	ck_assert_mem_eq(&back, &l, sizeof(l));
	ck_assert_int_ne(fcntl(fd[3], F_GETFD) & FD_CLOEXEC, 0);
	static const char *const bad[] = { "x", "1,,2", "1;2", "-2", "99999999999" };
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!legacy_parse(&back, bad[i]), "'%s'", bad[i]);
	ck_assert(legacy_parse(&back, "900,901,-1")); /* not open: not believed */
	ck_assert(back.area == -1 && back.rendezvous == -1);
	legacy_close(&l);
}
END_TEST

START_TEST(areas)
{
	struct legacy l;
	int fd, watch;
	struct legacy_area *a = new_area(&fd, 3), *other;

	ck_assert_ptr_null(legacy_area_map(fd)); /* incomplete */
	atomic_store(&a->state, LEGACY_SERVES);
	other = legacy_area_map(fd);
	ck_assert_ptr_nonnull(other);
	atomic_store(&a->group[2].master, 1);
	ck_assert_uint_eq(atomic_load(&legacy_area_group(other, "g2", 0)->master), 1);
	ck_assert_ptr_eq(legacy_area_group(other, "g1", 2), &other->group[1]);
	ck_assert_ptr_null(legacy_area_group(other, "g3", 0));
	legacy_area_unmap(other);

	legacy_init(&l);
	l.area = dup(fd);
	ck_assert(!legacy_serves(&l)); /* nowhere to be found by others */
	l.rendezvous = new_fd(&watch);
	ck_assert(legacy_serves(&l));
	atomic_store(&a->state, LEGACY_ENDS);
	ck_assert(!legacy_serves(&l));
	legacy_close(&l);
	legacy_area_unmap(a);

	a = new_area(&fd, 0); /* serves nothing */
	atomic_store(&a->state, LEGACY_SERVES);
	l.area = fd;
	l.rendezvous = new_fd(&watch);
	ck_assert(!legacy_serves(&l));
	legacy_close(&l);
	legacy_area_unmap(a);
}
END_TEST

/* Each field that a mapping depends on. */
START_TEST(not_whole)
{
	int fd;
	struct legacy_area *a = new_area(&fd, 2), *m;

	atomic_store(&a->state, LEGACY_SERVES);
	switch (_i) {
	case 0:
		a->magic++;
		break;
	case 1:
		a->size--;
		break;
	case 2:
		a->n_groups = 3;
		break;
	case 3:
		a->found.n = SYNC_NODES_MAX;
		break;
	case 4:
		memset(a->group[1].name, 'x', sizeof(a->group[1].name));
		break;
	case 5:
		memset(a->config, '/', sizeof(a->config));
		break;
	case 6:
		strcpy(a->config, "keepalived.conf");
		break;
	case 7:
		memset(a->run_dir, 'r', sizeof(a->run_dir));
		break;
	case 8:
		memset(a->place, 'p', sizeof(a->place));
		break;
	case 9:
		memset(a->namespace, 'n', sizeof(a->namespace));
		break;
	case 10:
		memset(a->config_id, 'i', sizeof(a->config_id));
		break;
	default:
		break;
	}
	m = legacy_area_map(fd);
	ck_assert(_i == 11 ? m != NULL : m == NULL);
	legacy_area_unmap(m);
}
END_TEST

/* Somebody's memory that could become shorter under us, and what is no memory at all. */
START_TEST(not_sealed)
{
	int fd = memfd_create("x", MFD_ALLOW_SEALING), watch;

	ck_assert_int_eq(ftruncate(fd, sizeof(struct legacy_area)), 0);
	ck_assert_ptr_null(legacy_area_map(fd));
	ck_assert_ptr_null(legacy_area_map(new_fd(&watch)));
	ck_assert_ptr_null(legacy_area_map(-1));
	ck_assert(is_open(fd));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("legacy");
	TCase *t = tcase_create("all");

	tcase_add_test(t, words);
	tcase_add_test(t, guardians_have_a_limit);
	tcase_add_test(t, merged_and_replaced);
	tcase_add_test(t, over_exec);
	tcase_add_test(t, areas);
	tcase_add_loop_test(t, not_whole, 0, 12);
	tcase_add_test(t, not_sealed);
	suite_add_tcase(s, t);
	return unit_run(s);
}
