/* The pool and the index, each against a model that is too simple to be wrong. */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/slab.h"
#include "daemon/base/tbl.h"
#include "tests/unit/run.h"

/* ck_assert tells the runner about each success: too slow for inner loops. */
#define MUST(cond)                                 \
	do {                                       \
		if (!(cond))                       \
			ck_abort_msg("%s", #cond); \
	} while (0)

/* Allocations are wrapped by the linker: the one after `allocs_left` more fails. */
static unsigned allocs_left = UINT32_MAX;

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);

static bool may_alloc(void)
{
	if (allocs_left == 0)
		return false;
	allocs_left--;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return may_alloc() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return may_alloc() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
	return may_alloc() ? __real_realloc(p, n) : NULL;
}

static uint64_t rng_state;

static uint32_t rnd(uint32_t below)
{
	rng_state = rng_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(rng_state >> 33) % below;
}

START_TEST(slab_gives_every_handle_once)
{
	struct slab s;
	enum { LIMIT = 2500 }; /* two whole chunks and a part */
	static bool seen[LIMIT + 1];
	slab_init(&s, 12, LIMIT);
	ck_assert_uint_eq(slab_bytes(&s), 0);
	for (int i = 0; i < LIMIT; i++) {
		uint32_t h = slab_alloc(&s);
		MUST(h >= 1 && h <= LIMIT && !seen[h]);
		seen[h] = true;
		memset(slab_at(&s, h), 0xee, 12);
	}
	ck_assert_uint_eq(slab_alloc(&s), 0);
	ck_assert_uint_eq(s.full, 1);
	ck_assert_uint_eq(s.used, LIMIT);
	ck_assert_uint_ge(slab_bytes(&s), LIMIT * 12);
	ck_assert_uint_le(slab_bytes(&s), LIMIT * 12 + 64);
	ck_assert_ptr_null(slab_at(&s, 0));
	slab_free_all(&s);
	ck_assert_uint_eq(s.used, 0);
	ck_assert_uint_eq(slab_alloc(&s), 1);
	slab_free_all(&s);
}
END_TEST

START_TEST(slab_objects_stay_and_come_zeroed)
{
	struct slab s;
	struct obj {
		uint64_t a, b;
	};
	slab_init(&s, sizeof(struct obj), 5000);
	uint32_t first = slab_alloc(&s);
	struct obj *at = slab_at(&s, first);
	at->a = 7;
	uint32_t h[4000];
	for (int i = 0; i < 4000; i++) {
		h[i] = slab_alloc(&s);
		struct obj *o = slab_at(&s, h[i]);
		MUST(o->a == 0 && o->b == 0);
		o->a = o->b = UINT64_MAX;
	}
	ck_assert_ptr_eq(slab_at(&s, first), at);
	ck_assert_uint_eq(at->a, 7);
	for (int i = 0; i < 4000; i++)
		slab_free(&s, h[i]);
	slab_free(&s, 0);
	for (int i = 0; i < 4000; i++) {
		struct obj *o = slab_at(&s, slab_alloc(&s));
		MUST(o->a == 0 && o->b == 0);
	}
	ck_assert_uint_eq(s.carved, 4001); /* freed objects were used again */
	slab_free_all(&s);
}
END_TEST

/* The _i-th allocation fails: nothing is lost, and it goes on when there is memory again. */
START_TEST(slab_without_memory)
{
	struct slab s;
	slab_init(&s, 16, 5000);
	allocs_left = (unsigned)_i;
	uint32_t n = 0;
	while (slab_alloc(&s))
		n++;
	allocs_left = UINT32_MAX;
	ck_assert_uint_eq(n, (uint32_t)_i / 2 * 1024); /* a chunk takes two allocations */
	ck_assert_uint_eq(s.full, 1);
	ck_assert_uint_eq(s.used, n);
	ck_assert_uint_eq(slab_alloc(&s), n + 1);
	slab_free_all(&s);
}
END_TEST

START_TEST(tbl_without_memory)
{
	static const uint8_t key[16] = "0123456789abcdef";
	struct tbl t;
	uint32_t n = 0, h;
	struct tbl_iter it;
	/* Check itself allocates: no assertion while memory is short. */
	allocs_left = 0;
	int rc = tbl_init(&t, 10, key);
	allocs_left = UINT32_MAX;
	ck_assert_int_eq(rc, -ENOMEM);
	tbl_free(&t);
	ck_assert_int_eq(tbl_init(&t, 10, key), 0);
	size_t before = tbl_bytes(&t);
	allocs_left = 0;
	for (h = 1; (rc = tbl_add(&t, tbl_hash(&t, &h, sizeof(h)), h)) == 0; h++)
		n++;
	allocs_left = UINT32_MAX;
	ck_assert_int_eq(rc, -ENOMEM);
	ck_assert_uint_eq(t.live, n);
	ck_assert_ptr_null(t.old);
	ck_assert_uint_eq(tbl_bytes(&t), before);
	for (h = 1; h <= n; h++)
		ck_assert_uint_eq(tbl_find_first(&t, tbl_hash(&t, &h, sizeof(h)), &it), h);
	ck_assert_int_eq(tbl_add(&t, tbl_hash(&t, &h, sizeof(h)), h), 0);
	ck_assert_ptr_nonnull(t.old);
	ck_assert_uint_eq(tbl_bytes(&t), 3 * before); /* the old array and one of the double size */
	tbl_free(&t);
}
END_TEST

/* SipHash-2-4 of 00 01 .. 0e under the key 00 .. 0f, from the paper's appendix A. */
START_TEST(siphash_vector)
{
	uint8_t key[16], data[15];
	struct tbl t;
	for (unsigned i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	memcpy(data, key, sizeof(data));
	ck_assert_int_eq(tbl_init(&t, 1, key), 0);
	ck_assert_uint_eq(tbl_hash(&t, data, sizeof(data)), UINT64_C(0xa129ca6149be45e5));
	tbl_free(&t);
}
END_TEST

START_TEST(keys_are_random)
{
	struct tbl a, b;
	ck_assert_int_eq(tbl_init(&a, 1, NULL), 0);
	ck_assert_int_eq(tbl_init(&b, 1, NULL), 0);
	ck_assert_int_ne(memcmp(a.key, b.key, sizeof(a.key)), 0);
	ck_assert_uint_ne(tbl_hash(&a, "x", 1), tbl_hash(&b, "x", 1));
	tbl_free(&a);
	tbl_free(&b);
}
END_TEST

enum { KEYS = 60000 };
static uint64_t hash_of[KEYS + 1];
static bool live[KEYS + 1];

/* How often the walk over handle h's hash meets h, and whether it meets only live handles of an equal hash. */
static unsigned met(const struct tbl *t, uint32_t h)
{
	struct tbl_iter it;
	unsigned n = 0;
	for (uint32_t c = tbl_find_first(t, hash_of[h], &it); c; c = tbl_find_next(t, &it)) {
		if (c > KEYS || !live[c])
			ck_abort_msg("the walk of %u yields %u, which is not live", h, c);
		n += c == h;
	}
	return n;
}

static void check_all(const struct tbl *t)
{
	for (uint32_t h = 1; h <= KEYS; h++)
		if (met(t, h) != live[h])
			ck_abort_msg("handle %u is met %u times", h, met(t, h));
}

/* _i 0: spread hashes; 1: one in four shares its hash with others, so that chains are long and tags collide. */
START_TEST(tbl_against_model)
{
	static const uint8_t key[16] = "0123456789abcdef";
	struct tbl t;
	uint32_t n_live = 0, growths = 0;
	rng_state = 42 + (uint64_t)_i;
	memset(live, 0, sizeof(live));
	ck_assert_int_eq(tbl_init(&t, 0, key), 0);
	for (uint32_t h = 1; h <= KEYS; h++) {
		uint32_t k = _i == 1 && rnd(4) == 0 ? rnd(KEYS / 16) : h;
		hash_of[h] = tbl_hash(&t, &k, sizeof(k));
	}
	for (int op = 0; op < 400000; op++) {
		/* Waves: mostly adding, then mostly deleting, so that it grows and later cleans up at the same size. */
		bool adding = rnd(100) < (op / 50000 % 2 == 0 ? 80u : 30u);
		uint32_t h = 1 + rnd(KEYS);
		bool growing = t.old != NULL;
		uint32_t moved = t.moved;
		if (adding && !live[h]) {
			MUST(tbl_add(&t, hash_of[h], h) == 0);
			live[h] = true;
			n_live++;
		} else if (!adding) {
			MUST(tbl_del(&t, hash_of[h], h) == (live[h] ? 0 : -ENOENT));
			n_live -= live[h];
			live[h] = false;
		}
		growths += !growing && t.old;
		if (growing && t.old)
			MUST(t.moved - moved <= 16); /* bounded work per operation */
		MUST(t.live == n_live);
		uint32_t probe = 1 + rnd(KEYS);
		MUST(met(&t, probe) == live[probe]);
		if (op % 100000 == 0 || (growing && rnd(4000) == 0))
			check_all(&t);
	}
	check_all(&t);
	ck_assert_uint_ge(growths, 5);
	tbl_free(&t);
}
END_TEST

/* A table at rest gives its former array back, whatever the size of a step, and finds everything before and after. */
START_TEST(a_grown_tbl_settles)
{
	const unsigned steps[] = { 1, 16, 100000 };
	struct tbl_iter it;
	struct tbl t;
	uint32_t n = 0;

	ck_assert_int_eq(tbl_init(&t, 0, (const uint8_t[16]){ 3 }), 0);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint32_t mask = t.mask;
		while (t.mask == mask) {
			n++;
			MUST(tbl_add(&t, tbl_hash(&t, &n, sizeof(n)), n) == 0);
		}
		ck_assert(!tbl_is_settled(&t));
		size_t both = tbl_bytes(&t);
		while (!tbl_settle(&t, steps[i]))
			MUST(tbl_bytes(&t) == both);
		ck_assert(tbl_is_settled(&t));
		ck_assert_uint_eq(tbl_bytes(&t), (t.mask + 1) * sizeof(struct tbl_slot));
		ck_assert_uint_eq(t.live, n);
		for (uint32_t k = 1; k <= n; k++)
			MUST(tbl_find_first(&t, tbl_hash(&t, &k, sizeof(k)), &it) == k);
	}
	ck_assert(tbl_settle(&t, 1));
	tbl_free(&t);
}
END_TEST

START_TEST(tbl_is_small_and_does_not_fill_with_graves)
{
	struct tbl t;
	ck_assert_int_eq(tbl_init(&t, 1000, NULL), 0);
	size_t at_start = tbl_bytes(&t);
	for (uint32_t h = 1; h <= 1000; h++)
		ck_assert_int_eq(tbl_add(&t, tbl_hash(&t, &h, sizeof(h)), h), 0);
	ck_assert_uint_eq(tbl_bytes(&t), at_start); /* expected entries do not make it grow */
	for (uint32_t round = 0; round < 500; round++)
		for (uint32_t h = 1; h <= 1000; h++) {
			uint64_t key = (uint64_t)round << 32 | h, next = key + (UINT64_C(1) << 32);
			uint64_t from = round ? tbl_hash(&t, &key, 8) : tbl_hash(&t, &h, sizeof(h));
			MUST(tbl_del(&t, from, h) == 0);
			MUST(tbl_add(&t, tbl_hash(&t, &next, 8), h) == 0);
		}
	ck_assert_uint_eq(t.live, 1000);
	ck_assert_uint_le(tbl_bytes(&t), 3 * at_start);
	tbl_free(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base tbl");
	TCase *tc = tcase_create("all");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, slab_gives_every_handle_once);
	tcase_add_test(tc, slab_objects_stay_and_come_zeroed);
	tcase_add_loop_test(tc, slab_without_memory, 0, 6);
	tcase_add_test(tc, tbl_without_memory);
	tcase_add_test(tc, siphash_vector);
	tcase_add_test(tc, keys_are_random);
	tcase_add_loop_test(tc, tbl_against_model, 0, 2);
	tcase_add_test(tc, a_grown_tbl_settles);
	tcase_add_test(tc, tbl_is_small_and_does_not_fill_with_graves);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
