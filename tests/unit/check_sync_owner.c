#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "sync/sync_owner.h"
#include "tests/unit/run.h"

enum { ME = 2, OTHER = 1, THIRD = 3 };

static struct sync_owner o;

static struct flow_version ver(uint64_t c, uint32_t en, uint32_t claim, uint32_t node)
{
	return (struct flow_version){ { c, en }, claim, node };
}

static struct sync_authority auth(uint64_t c, uint32_t node, bool any, bool all)
{
	return (struct sync_authority){ { c, node }, any, all };
}

/* Some of every kind: epochs, claims, nodes, the lowest and the highest. */
static unsigned versions(struct flow_version *out)
{
	static const uint64_t counters[] = { 0, 1, 5, SYNC_EPOCH_MAX };
	static const uint32_t claims[] = { 0, 1, 2, SYNC_CLAIM_MAX };
	unsigned n = 0;

	for (unsigned c = 0; c < 4; c++)
		for (unsigned en = 0; en < 3; en++)
			for (unsigned cl = 0; cl < 4; cl++)
				for (uint32_t node = 0; node < 4; node++)
					out[n++] = ver(counters[c], en, claims[cl], node);
	return n;
}

static void setup(void)
{
	sync_owner_init(&o, ME);
}

START_TEST(test_order_is_total)
{
	struct flow_version v[200];
	unsigned n = versions(v);

	for (unsigned a = 0; a < n; a++)
		for (unsigned b = 0; b < n; b++) {
			int ab = flow_version_cmp(v[a], v[b]), ba = flow_version_cmp(v[b], v[a]);
			ck_assert_int_eq(ab<0, ba> 0);
			ck_assert_int_eq(ab == 0, memcmp(&v[a], &v[b], sizeof(v[a])) == 0);
			for (unsigned c = 0; c < n; c++)
				if (ab < 0 && flow_version_cmp(v[b], v[c]) < 0)
					if (flow_version_cmp(v[a], v[c]) >= 0)
						ck_abort_msg("%u < %u < %u, but not %u < %u", a, b, c, a, c);
		}
	/* Epoch before claim before node. */
	ck_assert_int_gt(flow_version_cmp(ver(2, 1, 0, 1), ver(1, 9, 9, 9)), 0);
	ck_assert_int_gt(flow_version_cmp(ver(1, 2, 0, 1), ver(1, 1, 9, 9)), 0);
	ck_assert_int_gt(flow_version_cmp(ver(1, 1, 1, 1), ver(1, 1, 0, 9)), 0);
	ck_assert_int_gt(flow_version_cmp(ver(1, 1, 1, 2), ver(1, 1, 1, 1)), 0);
}
END_TEST

/* For every stored version, floor and newest epoch: a claim is ours and beats what stood, a birth is ours. */
START_TEST(test_claim_and_birth_win)
{
	struct flow_version v[200];
	unsigned n = versions(v);

	for (unsigned f = 0; f < n; f++)
		for (unsigned i = 0; i < n; i++)
			for (uint64_t seen = 0; seen < 8; seen += 3) {
				sync_owner_init(&o, ME);
				sync_owner_floor(&o, v[f]);
				sync_owner_see(&o, (struct epoch){ seen, OTHER });
				struct flow_version before = sync_owner_effective(&o, v[i]),
						    c = sync_owner_claim(&o, v[i]);
				ck_assert_int_ge(flow_version_cmp(before, v[f]), 0);
				ck_assert_int_ge(flow_version_cmp(before, v[i]), 0);
				ck_assert_int_le(c.claim, SYNC_CLAIM_MAX);
				if (before.node == ME) {
					ck_assert_int_eq(flow_version_cmp(c, before), 0);
				} else if (before.claim == SYNC_CLAIM_MAX && epoch_cmp(o.seen, before.epoch) <= 0) {
					/* The count is at its end: it stays until a new epoch. */
					ck_assert_int_eq(flow_version_cmp(c, before), 0);
				} else {
					ck_assert_int_gt(flow_version_cmp(c, before), 0);
					ck_assert_uint_eq(c.node, ME);
					ck_assert_int_eq(flow_version_cmp(sync_owner_effective(&o, c), c), 0);
				}
				struct flow_version b = sync_owner_born(&o);
				if (v[f].claim < SYNC_CLAIM_MAX) {
					ck_assert_uint_eq(b.node, ME);
					ck_assert(sync_owner_mine(&o, b));
				}
			}
}
END_TEST

START_TEST(test_claims_of_two_nodes_end_at_one)
{
	struct sync_owner a, b;

	sync_owner_init(&a, 1);
	sync_owner_init(&b, 2);
	struct flow_version v = sync_owner_born(&a), was;
	for (unsigned i = 0; i < 100; i++) {
		was = v;
		v = sync_owner_claim(i % 2 ? &a : &b, v);
		ck_assert_int_gt(flow_version_cmp(v, was), 0);
	}
	ck_assert_uint_eq(v.claim, 100);
	/* Both at once: one of the two is the higher, on both sides. */
	struct flow_version x = sync_owner_claim(&a, ver(1, 1, 0, 3)), y = sync_owner_claim(&b, ver(1, 1, 0, 3));
	ck_assert_int_ne(flow_version_cmp(x, y), 0);
}
END_TEST

START_TEST(test_floor_of_all_groups)
{
	struct sync_authority a = auth(6, ME, true, false);

	ck_assert(!sync_owner_authority(&o, &a));
	ck_assert(!sync_owner_mine(&o, ver(5, OTHER, 3, OTHER)));
	a = auth(7, ME, true, true);
	ck_assert(sync_owner_authority(&o, &a));
	ck_assert(sync_owner_mine(&o, ver(5, OTHER, 3, OTHER)));
	ck_assert(sync_owner_mine(&o, ver(0, 0, 0, 0)));
	/* Above the floor it does not reach. */
	ck_assert(!sync_owner_mine(&o, ver(7, ME, 1, OTHER)));
	ck_assert(!sync_owner_mine(&o, ver(8, OTHER, 0, OTHER)));
	ck_assert_uint_eq(o.seen.counter, 7);
	/* The same again, or a peer's lower one: no change. */
	ck_assert(!sync_owner_authority(&o, &a));
	ck_assert(!sync_owner_floor(&o, ver(6, OTHER, 0, OTHER)));
	ck_assert(sync_owner_floor(&o, ver(9, OTHER, 0, OTHER)));
	ck_assert(!sync_owner_mine(&o, ver(7, ME, 0, ME)));
	ck_assert_uint_eq(o.seen.counter, 9);
}
END_TEST

START_TEST(test_abort_takes_back_once)
{
	struct sync_authority before = auth(3, ME, false, false), a = auth(7, ME, true, true);

	sync_owner_authority(&o, &before);
	sync_owner_floor(&o, ver(5, OTHER, 0, OTHER));
	sync_owner_authority(&o, &a);
	ck_assert(sync_owner_authority(&o, &before));
	ck_assert_int_eq(flow_version_cmp(o.floor, ver(5, OTHER, 0, OTHER)), 0);
	ck_assert(!o.auth.any);
	/* Once a peer has read it, it stands. */
	sync_owner_authority(&o, &a);
	o.floor_told = true;
	ck_assert(!sync_owner_authority(&o, &before));
	ck_assert_uint_eq(o.floor.node, ME);
	ck_assert(!o.auth.any);
	/* A later demotion is no abort. */
	a = auth(9, ME, true, true);
	sync_owner_authority(&o, &a);
	a = auth(10, OTHER, false, false);
	ck_assert(!sync_owner_authority(&o, &a));
	ck_assert_uint_eq(o.floor.epoch.counter, 9);
}
END_TEST

START_TEST(test_only_authority_ends)
{
	struct flow_version mine = ver(5, ME, 0, ME), theirs = ver(5, OTHER, 0, OTHER);
	struct sync_authority a = auth(5, ME, true, false);

	/* Never had a role: what it owns was born here. */
	ck_assert(sync_owner_may_end(&o, mine));
	ck_assert(!sync_owner_may_end(&o, theirs));
	sync_owner_authority(&o, &a);
	ck_assert(sync_owner_may_end(&o, mine));
	ck_assert(!sync_owner_may_end(&o, theirs));
	o.muted = true;
	ck_assert(!sync_owner_may_end(&o, mine));
	o.muted = false;
	/* Role lost: what it had is somebody else's to end; what comes after is its own. */
	a = auth(6, OTHER, false, false);
	sync_owner_authority(&o, &a);
	ck_assert(!sync_owner_may_end(&o, mine));
	ck_assert(sync_owner_may_end(&o, sync_owner_claim(&o, theirs)));
	ck_assert(sync_owner_may_end(&o, sync_owner_born(&o)));
	/* The floor gives and takes. */
	sync_owner_floor(&o, ver(7, OTHER, 0, OTHER));
	ck_assert(!sync_owner_may_end(&o, ver(6, OTHER, 1, ME)));
	a = auth(8, ME, true, true);
	sync_owner_authority(&o, &a);
	ck_assert(sync_owner_may_end(&o, theirs));
}
END_TEST

/* All combinations of owner, authority, muting, TCP state and port id. */
START_TEST(test_destroy_table)
{
	for (unsigned i = 0; i < 96; i++) {
		uint32_t owner = i % 3 == 0 ? 0 : i % 3 == 1 ? ME : OTHER, portid = i / 3 % 2 ? 77 : 0;
		bool closing = i / 6 % 2, any = i / 12 % 2, muted = i / 24 % 2, older = i / 48 % 2;
		struct sync_authority a = auth(6, ME, any, false);

		sync_owner_init(&o, ME);
		sync_owner_authority(&o, &a);
		o.muted = muted;
		struct flow_version v = owner == 0 ? ver(0, 0, 0, 0) : ver(older ? 5 : 6, ME, 0, owner);
		enum sync_destroy d = sync_owner_destroy(&o, v, closing, portid);
		if (owner == OTHER)
			ck_assert_int_eq(d, SYNC_DESTROY_LOST);
		else if (owner == 0 || muted || (!any && older))
			ck_assert_int_eq(d, SYNC_DESTROY_FORGET);
		else if (closing || portid != 0)
			ck_assert_int_eq(d, SYNC_DESTROY_DELETE);
		else
			ck_assert_int_eq(d, SYNC_DESTROY_EXPIRE);
	}
}
END_TEST

/* All types x below or above the fence x not known, lower, equal, higher x sender is the owner or not. */
START_TEST(test_judge_table)
{
	static const enum sync_rec_type types[] = { SYNC_REC_SESSION, SYNC_REC_CLAIM, SYNC_REC_CURRENT, SYNC_REC_DELETE,
						    SYNC_REC_EXPIRED };

	sync_owner_fence(&o, (struct epoch){ 10, ME });
	for (unsigned i = 0; i < 5 * 3 * 4 * 2; i++) {
		unsigned epoch = i / 5 % 3, rel = i / 15 % 4;
		bool owner = i / 60 % 2;
		struct flow_version stored = ver(5, OTHER, 4, OTHER), v = stored;
		struct sync_rec *rec = calloc(1, sizeof(*rec));
		v.claim = rel == 1 ? 3 : rel == 3 ? 5 : 4;
		rec->type = types[i % 5];
		rec->owner = owner ? OTHER : THIRD;
		rec->version = v;
		rec->epoch = epoch == 0   ? (struct epoch){ 9, 99 }
			     : epoch == 1 ? (struct epoch){ 10, ME }
					  : (struct epoch){ 11, 1 };
		enum sync_verdict got = sync_owner_judge(&o, rec, rel == 0 ? NULL : &stored);
		if (!owner && rec->type != SYNC_REC_CURRENT)
			ck_assert_int_eq(got, SYNC_NOT_SENDERS);
		else if (epoch == 0)
			ck_assert_int_eq(got, rel == 0 ? SYNC_ONLY_CREATE : SYNC_OLD_EPOCH);
		else if (rel == 1)
			ck_assert_int_eq(got, SYNC_OLD_VERSION);
		else
			ck_assert_int_eq(got, SYNC_APPLY);
		free(rec);
	}
}
END_TEST

/* Below the floor: a flow that is not known here may be created, one that is known is not touched. */
START_TEST(test_judge_below_the_floor)
{
	struct sync_rec *rec = calloc(1, sizeof(*rec));
	struct flow_version stored = ver(5, OTHER, 0, OTHER);
	struct sync_authority a = auth(7, ME, true, true);

	sync_owner_authority(&o, &a);
	rec->type = SYNC_REC_SESSION;
	rec->owner = OTHER;
	rec->epoch = (struct epoch){ 7, ME };
	rec->version = ver(6, OTHER, 9, OTHER);
	ck_assert_int_eq(sync_owner_judge(&o, rec, NULL), SYNC_ONLY_CREATE);
	ck_assert_int_eq(sync_owner_judge(&o, rec, &stored), SYNC_OLD_VERSION);
	rec->version = ver(7, ME, 1, OTHER);
	ck_assert_int_eq(sync_owner_judge(&o, rec, NULL), SYNC_APPLY);
	ck_assert_int_eq(sync_owner_judge(&o, rec, &stored), SYNC_APPLY);
	free(rec);
}
END_TEST

START_TEST(test_fence_never_sinks)
{
	sync_owner_fence(&o, (struct epoch){ 5, 1 });
	sync_owner_fence(&o, (struct epoch){ 4, 9 });
	ck_assert_uint_eq(o.fence.counter, 5);
	ck_assert_uint_eq(o.seen.counter, 5);
	sync_owner_see(&o, (struct epoch){ 3, 1 });
	ck_assert_uint_eq(o.seen.counter, 5);
}
END_TEST

START_TEST(test_evidence)
{
	for (uint32_t d = 0; d < 10; d++) {
		ck_assert(sync_owner_evidence(100, 100 + d) == (d > 3));
		ck_assert(sync_owner_evidence(100, 100 - d) == (d > 3));
	}
	ck_assert(sync_owner_evidence(0, UINT32_MAX));
	ck_assert(sync_owner_evidence(UINT32_MAX, 0));
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("sync_owner");
	TCase *t = tcase_create("versions and authority");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_order_is_total);
	tcase_add_test(t, test_claim_and_birth_win);
	tcase_add_test(t, test_claims_of_two_nodes_end_at_one);
	tcase_add_test(t, test_floor_of_all_groups);
	tcase_add_test(t, test_abort_takes_back_once);
	tcase_add_test(t, test_only_authority_ends);
	tcase_add_test(t, test_destroy_table);
	tcase_add_test(t, test_judge_table);
	tcase_add_test(t, test_judge_below_the_floor);
	tcase_add_test(t, test_fence_never_sinks);
	tcase_add_test(t, test_evidence);
	suite_add_tcase(su, t);
	return su;
}

int main(void)
{
	return unit_run(suite());
}
