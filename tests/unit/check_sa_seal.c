/* Locked memory and seals: only the other process can read it, and neither a guess nor a changed byte can. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <check.h>
#include "ike-hooks/sa_lock.h"
#include "ike-hooks/sa_seal.h"

/* The kernel's flags of the mapping that holds p ("VmFlags:" of smaps). */
static void flags_of(const void *p, char *out, size_t cap)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	unsigned long from, to;
	bool here = false;

	ck_assert_ptr_nonnull(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (unsigned long)p >= from && (unsigned long)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, cap, "%s", line);
	}
	fclose(f);
}

START_TEST(memory_is_locked_and_not_dumped)
{
	char flags[512];
	uint8_t *p = sa_lock_alloc(3, 5000);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq((uintptr_t)p % 16, 0);
	for (unsigned i = 0; i < 15000; i++)
		ck_assert_uint_eq(p[i], 0);
	flags_of(p, flags, sizeof(flags));
	ck_assert_ptr_nonnull(strstr(flags, " lo"));
	ck_assert_ptr_nonnull(strstr(flags, " dd"));
	sa_lock_free(p);
	sa_lock_free(NULL);
	ck_assert_ptr_null(sa_lock_alloc(0, 1));
	ck_assert_ptr_null(sa_lock_alloc(SIZE_MAX, 2));
}
END_TEST

START_TEST(sealed_and_opened)
{
	struct sa_seal *a = sa_seal_new(), *b = sa_seal_new(), *c = sa_seal_new();
	uint8_t plain[100], out[SA_BODY_MAX], back[100], again[SA_BODY_MAX];

	memset(plain, 0x5a, sizeof(plain));
	ck_assert(a && b && c && !sa_seal_knows(a, 2));
	ck_assert_uint_eq(sa_seal_close(a, 2, plain, 100, out, sizeof(out)), 0);
	ck_assert(sa_seal_meet(a, 2, sa_seal_public(b)) && sa_seal_knows(a, 2));
	ck_assert(!sa_seal_meet(a, 2, sa_seal_public(b))); /* no news */
	ck_assert(sa_seal_meet(b, 1, sa_seal_public(a)) && sa_seal_meet(c, 1, sa_seal_public(a)));
	size_t n = sa_seal_close(a, 2, plain, 100, out, sizeof(out));
	ck_assert_uint_eq(n, 100 + SA_SEAL_EXTRA);
	ck_assert(out[0] == SA_WIRE_VERSION && out[1] == SA_OUTER_SEALED);
	ck_assert_ptr_null(memmem(out, n, plain, 8));
	ck_assert_uint_eq(sa_seal_open(b, 1, out + 2, n - 2, back, sizeof(back)), 100);
	ck_assert_mem_eq(plain, back, 100);
	/* The same words twice do not look the same. */
	ck_assert_uint_eq(sa_seal_close(a, 2, plain, 100, again, sizeof(again)), n);
	ck_assert_int_ne(memcmp(out, again, n), 0);
	/* Somebody else, too little room, a changed byte, a shorter one. */
	ck_assert_uint_eq(sa_seal_open(c, 1, out + 2, n - 2, back, sizeof(back)), 0);
	ck_assert_uint_eq(sa_seal_open(b, 9, out + 2, n - 2, back, sizeof(back)), 0);
	ck_assert_uint_eq(sa_seal_open(b, 1, out + 2, n - 2, back, 99), 0);
	for (size_t i = 2; i < n; i++) {
		out[i] ^= 1;
		ck_assert_uint_eq(sa_seal_open(b, 1, out + 2, n - 2, back, sizeof(back)), 0);
		out[i] ^= 1;
		ck_assert_uint_eq(sa_seal_open(b, 1, out + 2, i - 2, back, sizeof(back)), 0);
	}
	ck_assert_uint_eq(sa_seal_close(a, 2, plain, 100, out, n - 1), 0);
	/* A new process of node 2 cannot read what was sealed for the old one, nor the other way round. */
	ck_assert(sa_seal_meet(a, 2, sa_seal_public(c)));
	n = sa_seal_close(a, 2, plain, 100, out, sizeof(out));
	ck_assert_uint_eq(sa_seal_open(b, 1, out + 2, n - 2, back, sizeof(back)), 0);
	ck_assert_uint_eq(sa_seal_open(c, 1, out + 2, n - 2, back, sizeof(back)), 100);
	/* No key at all. */
	static const uint8_t zero[SA_PUBLIC_LEN];
	ck_assert(!sa_seal_meet(a, 3, zero) && !sa_seal_knows(a, 3));
	for (uint32_t node = 10; node < 10 + SA_SEAL_PEERS - 1; node++)
		ck_assert(sa_seal_meet(a, node, sa_seal_public(b)));
	ck_assert(!sa_seal_meet(a, 99, sa_seal_public(b)));
	sa_seal_free(a);
	sa_seal_free(b);
	sa_seal_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sa_seal");
	TCase *t = tcase_create("io");

	tcase_add_test(t, memory_is_locked_and_not_dumped);
	tcase_add_test(t, sealed_and_opened);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
