/* Names of the program. */
#include "daemon/dropin/persona.h"
#include "tests/unit/run.h"

START_TEST(last_part_counts)
{
	ck_assert_int_eq(persona_of("keepalived"), PERSONA_KEEPALIVED);
	ck_assert_int_eq(persona_of("/usr/sbin/keepalived"), PERSONA_KEEPALIVED);
	ck_assert_int_eq(persona_of("./conntrackd"), PERSONA_CONNTRACKD);
	ck_assert_int_eq(persona_of("/opt/keepalived/keeptrackd"), PERSONA_KEEPTRACKD);
}
END_TEST

START_TEST(anything_else_is_ourselves)
{
	ck_assert_int_eq(persona_of(NULL), PERSONA_KEEPTRACKD);
	ck_assert_int_eq(persona_of(""), PERSONA_KEEPTRACKD);
	ck_assert_int_eq(persona_of("/usr/sbin/"), PERSONA_KEEPTRACKD);
	ck_assert_int_eq(persona_of("keepalived2"), PERSONA_KEEPTRACKD);
	ck_assert_int_eq(persona_of("Keepalived"), PERSONA_KEEPTRACKD);
}
END_TEST

START_TEST(each_name_is_its_own)
{
	for (enum persona p = PERSONA_KEEPTRACKD; p <= PERSONA_CONNTRACKD; p++)
		ck_assert_int_eq(persona_of(persona_name(p)), p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("persona");
	TCase *t = tcase_create("names");
	tcase_add_test(t, last_part_counts);
	tcase_add_test(t, anything_else_is_ourselves);
	tcase_add_test(t, each_name_is_its_own);
	suite_add_tcase(s, t);
	return unit_run(s);
}
