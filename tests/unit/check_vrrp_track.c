/* Tracking: results to points and faults, by every kind, sign and direction. */
#include "tests/unit/run.h"
#include "vrrp/vrrp_track.h"

static mono_t at(int64_t s)
{
	return (mono_t){ s * NS_PER_SEC };
}

static struct vrrp_track_conf conf(enum vrrp_track_kind kind, uint16_t rise, uint16_t fall)
{
	return (struct vrrp_track_conf){ .name = "x", .kind = kind, .rise = rise, .fall = fall };
}

/* Each letter is a result: + success, - failure; in upper place of `want` the state after it: u up, d down. */
static void results(struct vrrp_track_conf *c, const char *in, const char *want)
{
	struct vrrp_track_obj o;
	vrrp_track_obj_init(&o, c, at(1));
	bool known = o.known, up = o.up;
	for (unsigned i = 0; in[i]; i++) {
		bool changed = vrrp_track_result(&o, in[i] == '+', at(2 + i));
		ck_assert_msg(o.up == (want[i] == 'u'), "%s: after %u", in, i + 1);
		ck_assert_int_eq(changed, !known || o.up != up);
		if (changed)
			ck_assert_int_eq(o.since.ns, at(2 + i).ns);
		known = true;
		up = o.up;
	}
	ck_assert_int_eq(o.first_at.ns, at(2).ns);
}

START_TEST(rise_and_fall)
{
	struct vrrp_track_conf one = conf(VRRP_TRACK_SCRIPT, 1, 1), c = conf(VRRP_TRACK_SCRIPT, 2, 3);
	results(&one, "+-+--+", "ududdu");
	/* The first result decides alone. */
	results(&c, "+--+---+-++", "uuuuuuddddu");
	results(&c, "-+-++--+---",
		"ddddu"
		"uuuuud");
	c.init_fail = true;
	results(&c, "+++", "duu");
	results(&c, "-++", "ddu");
}
END_TEST

START_TEST(signs)
{
	static const struct {
		int32_t weight;
		bool reverse;
		int32_t up, down;
		bool fault_up, fault_down;
	} t[] = {
		{ 10, false, 10, 0, false, false },   { 10, true, -10, 0, false, false },
		{ -10, false, 0, -10, false, false }, { -10, true, 0, 10, false, false },
		{ 0, false, 0, 0, false, true },      { 0, true, 0, 0, true, false },
		{ 254, false, 253, 0, false, false }, { -254, false, 0, -253, false, false },
		{ -254, true, 0, 253, false, false },
	};
	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++) {
		if (k == VRRP_TRACK_FILE)
			continue;
		struct vrrp_track_conf c = conf((enum vrrp_track_kind)k, 1, 1);
		for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			struct vrrp_track_obj o;
			struct vrrp_track_ref r = { .weight = t[i].weight, .reverse = t[i].reverse };
			vrrp_track_obj_init(&o, &c, at(1));
			ck_assert_int_eq(vrrp_track_points(&r, &o), 0);
			ck_assert(!vrrp_track_is_fault(&r, &o));
			ck_assert_int_eq(vrrp_track_waits(&r, &o), t[i].weight == 0);
			vrrp_track_result(&o, true, at(2));
			ck_assert_int_eq(vrrp_track_points(&r, &o), t[i].up);
			ck_assert_int_eq(vrrp_track_is_fault(&r, &o), t[i].fault_up);
			ck_assert(!vrrp_track_waits(&r, &o));
			vrrp_track_result(&o, false, at(3));
			ck_assert_int_eq(vrrp_track_points(&r, &o), t[i].down);
			ck_assert_int_eq(vrrp_track_is_fault(&r, &o), t[i].fault_down);
		}
	}
}
END_TEST

START_TEST(files)
{
	static const struct {
		int64_t value;
		int32_t weight;
		bool reverse;
		int32_t points;
		bool fault;
	} t[] = {
		{ 0, 1, false, 0, false },
		{ 5, 1, false, 5, false },
		{ -5, 1, false, -5, false },
		{ 5, 2, true, -10, false },
		{ -253, 1, false, -253, false },
		{ -254, 1, false, -253, true },
		{ 254, 1, true, -253, true },
		{ 300, 1, false, 253, false },
		{ -2, 127, false, -253, true },
		{ 0, 0, false, 0, false },
		{ 1, 0, false, 0, true },
		{ -1, 0, false, 0, true },
		{ 0, 0, true, 0, true },
		{ 1, 0, true, 0, false },
		{ INT32_MIN, 1000000, false, -253, true },
		{ INT32_MAX, 1000000, false, 253, false },
	};
	struct vrrp_track_conf c = conf(VRRP_TRACK_FILE, 1, 1);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct vrrp_track_obj o;
		struct vrrp_track_ref r = { .weight = t[i].weight, .reverse = t[i].reverse };
		vrrp_track_obj_init(&o, &c, at(1));
		ck_assert(vrrp_track_waits(&r, &o));
		ck_assert_int_eq(vrrp_track_points(&r, &o), 0);
		ck_assert(vrrp_track_value(&o, t[i].value, at(2)));
		ck_assert(!vrrp_track_value(&o, t[i].value, at(3)));
		ck_assert_int_eq(o.since.ns, at(2).ns);
		ck_assert_msg(vrrp_track_points(&r, &o) == t[i].points, "%u", i);
		ck_assert_msg(vrrp_track_is_fault(&r, &o) == t[i].fault, "%u", i);
		ck_assert(vrrp_track_value(&o, t[i].value + 1, at(4)));
	}
}
END_TEST

START_TEST(priorities)
{
	ck_assert_uint_eq(vrrp_track_priority(100, 0), 100);
	ck_assert_uint_eq(vrrp_track_priority(100, -20), 80);
	ck_assert_uint_eq(vrrp_track_priority(100, -100), 1);
	ck_assert_uint_eq(vrrp_track_priority(1, -2000000), 1);
	ck_assert_uint_eq(vrrp_track_priority(100, 154), 254);
	ck_assert_uint_eq(vrrp_track_priority(100, 155), 254);
	ck_assert_uint_eq(vrrp_track_priority(254, 1), 254);
	ck_assert_uint_eq(vrrp_track_priority(255, -253), 255);
}
END_TEST

static unsigned mark(const struct vrrp_track_ref *refs, const struct vrrp_track_obj *o, unsigned inst)
{
	uint8_t marks[6] = { 0 };
	vrrp_track_mark(refs, 5, o, marks);
	ck_assert(!marks[0] && !marks[1] && !marks[2] && !marks[3]);
	return marks[inst];
}

/* A group of two members, with lists of all three. */
START_TEST(groups)
{
	struct vrrp_track_conf c[4] = { conf(VRRP_TRACK_SCRIPT, 1, 1), conf(VRRP_TRACK_INTERFACE, 1, 1),
					conf(VRRP_TRACK_SCRIPT, 1, 1), conf(VRRP_TRACK_CONNTRACK, 1, 1) };
	struct vrrp_track_obj o[4];
	const struct vrrp_track_ref refs[] = {
		{ .obj = 0, .inst = VRRP_TRACK_GROUP, .weight = -10 },
		{ .obj = 3, .inst = VRRP_TRACK_GROUP, .weight = 0 },
		{ .obj = 1, .inst = 4, .weight = -20 },
		{ .obj = 2, .inst = 4, .weight = 0 },
		{ .obj = 1, .inst = 5, .weight = -20, .repeated = true },
	};
	for (unsigned i = 0; i < 4; i++)
		vrrp_track_obj_init(&o[i], &c[i], at(1));
	struct vrrp_track_verdict v = vrrp_track_judge(refs, 5, o);
	ck_assert(v.waits && !v.fault && !v.faults && !v.points);
	ck_assert_uint_eq(mark(refs, o, 4), VRRP_TRACK_M_WAITS);
	ck_assert_uint_eq(mark(refs, o, 5), 0);

	for (unsigned i = 0; i < 4; i++)
		vrrp_track_result(&o[i], true, at(2));
	v = vrrp_track_judge(refs, 5, o);
	ck_assert(!v.waits && !v.fault && !v.faults && !v.points);

	vrrp_track_result(&o[1], false, at(3));
	v = vrrp_track_judge(refs, 5, o);
	ck_assert_int_eq(v.points, -20); /* once, not twice */
	vrrp_track_result(&o[0], false, at(3));
	ck_assert_int_eq(vrrp_track_judge(refs, 5, o).points, -30);

	vrrp_track_result(&o[2], false, at(4));
	v = vrrp_track_judge(refs, 5, o);
	ck_assert(!v.fault);
	ck_assert_uint_eq(v.faults, 1);
	ck_assert_uint_eq(v.fault_obj, 2);
	ck_assert_uint_eq(mark(refs, o, 4), VRRP_TRACK_M_FAULT);
	ck_assert_uint_eq(mark(refs, o, 5), 0);

	vrrp_track_result(&o[3], false, at(5));
	v = vrrp_track_judge(refs, 5, o);
	ck_assert(v.fault);
	ck_assert_uint_eq(v.faults, 2);
	ck_assert_uint_eq(v.fault_obj, 3);
	/* A member is told of its own list only: the group's is the verdict's. */
	ck_assert_uint_eq(mark(refs, o, 5), 0);
}
END_TEST

START_TEST(a_reload_keeps_what_is_known)
{
	struct vrrp_track_conf old = conf(VRRP_TRACK_SCRIPT, 1, 3), now = conf(VRRP_TRACK_SCRIPT, 1, 2);
	struct vrrp_track_obj a, b;
	vrrp_track_obj_init(&a, &old, at(1));
	vrrp_track_obj_init(&b, &now, at(9));
	vrrp_track_obj_carry(&b, &a);
	ck_assert(!b.known);
	vrrp_track_result(&a, true, at(2));
	vrrp_track_result(&a, false, at(3));
	vrrp_track_obj_carry(&b, &a);
	ck_assert(b.known && b.up && b.conf == &now);
	ck_assert_int_eq(b.since.ns, at(2).ns);
	ck_assert(vrrp_track_result(&b, false, at(10))); /* the second in a row */
	/* What was assumed only is assumed anew. */
	old.init_fail = true;
	vrrp_track_obj_init(&a, &old, at(1));
	vrrp_track_obj_init(&b, &now, at(9));
	vrrp_track_obj_carry(&b, &a);
	ck_assert(!b.known);
	vrrp_track_note(&b, 7);
	ck_assert_int_eq(b.value, 7);
}
END_TEST

START_TEST(words)
{
	for (unsigned k = 0; k < VRRP_TRACK_KIND_N; k++)
		ck_assert_str_ne(vrrp_track_kind_text((enum vrrp_track_kind)k), "?");
	ck_assert_str_eq(vrrp_track_kind_text(VRRP_TRACK_KIND_N), "?");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vrrp_track");
	TCase *t = tcase_create("all");

	tcase_add_test(t, rise_and_fall);
	tcase_add_test(t, signs);
	tcase_add_test(t, files);
	tcase_add_test(t, priorities);
	tcase_add_test(t, groups);
	tcase_add_test(t, a_reload_keeps_what_is_known);
	tcase_add_test(t, words);
	suite_add_tcase(s, t);
	return unit_run(s);
}
