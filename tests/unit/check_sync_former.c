/* A node's process is started anew, its kernel keeps the copies: what ended meanwhile goes, what lives stays. */
#include "tests/unit/rig_pair.h"

enum { FLOWS = 24, ENDED = 9 };

static struct ct_entry e[FLOWS];

/* TCP and UDP, with and without NAT, all of them at both nodes. */
static void setup(void)
{
	rig_pair_setup_fenced();
	for (unsigned i = 0; i < FLOWS; i++) {
		e[i] = rig_flow((uint16_t)(5000 + i), i % 3 == 1 ? IPPROTO_UDP : IPPROTO_TCP, i % 3 == 2);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	ck_assert(rig_equal(r));
}

/* The process alone. */
static void restart(unsigned i)
{
	rig_down(r);
	rig_boot(r, i);
}

static void end_some(void)
{
	for (unsigned i = 0; i < ENDED; i++)
		rig_remove(r, A, rig_find(&r->n[A], &e[i].orig), TOOL_PORT);
}

START_TEST(test_ended_while_the_process_was_away)
{
	restart(B);
	end_some();
	rig_run(r, 300 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	rig_up(r);
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].n, FLOWS - ENDED);
	ck_assert_uint_eq(r->n[B].n, FLOWS - ENDED);
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, ENDED);
	/* What lives was not removed and made again. */
	ck_assert_uint_eq(r->n[B].n_made, FLOWS);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_DELETE], ENDED);
	ck_assert(rig_equal(r));
}
END_TEST

/* The comparison is over before the first sweep is. */
START_TEST(test_first_sweep_ends_last)
{
	restart(B);
	end_some();
	r->n[B].no_sweep = true;
	rig_run(r, 100 * NS_PER_MS);
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	r->n[B].no_sweep = false;
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS - ENDED);
	ck_assert_uint_eq(r->n[B].n_made, FLOWS);
}
END_TEST

/* It ends at its owner while the injector has not come to it, and the first sweep passes by just then. */
START_TEST(test_ended_before_it_was_written)
{
	restart(B);
	r->n[B].no_sweep = r->n[B].no_ops = true;
	rig_up(r);
	rig_run(r, 300 * NS_PER_MS);
	end_some();
	rig_run(r, 100 * NS_PER_MS);
	r->n[B].no_sweep = false;
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_uint_gt(r->n[B].s->sweeps_done, 0);
	r->n[B].no_ops = false;
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS - ENDED);
	ck_assert_uint_eq(r->n[B].n_made, FLOWS);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_nothing_goes_before_the_comparison)
{
	restart(B);
	end_some();
	rig_up(r);
	r->n[A].cut = true;
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	r->n[A].cut = false;
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS - ENDED);
}
END_TEST

/* The owner is a new machine: what B's kernel has is all that is left of these sessions. */
START_TEST(test_owner_forgot_as_well)
{
	restart(B);
	memset(r->n[A].k, 0, sizeof(r->n[A].k));
	r->n[A].n = 0;
	rig_boot(r, A);
	rig_authority(r, A, 6, true);
	rig_run(r, 100 * NS_PER_MS);
	rig_up(r);
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	/* Through the virtual address none can come here any more: those go as ever, in their time. */
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	rig_run(r, 30 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS - FLOWS / 3);
}
END_TEST

/* Sessions that began here while nobody watched, and one that packets used since: none of them is a copy. */
START_TEST(test_what_packets_made_stays)
{
	struct ct_entry tcp = rig_flow(6000, IPPROTO_TCP, false), udp = rig_flow(6001, IPPROTO_UDP, false);

	restart(B);
	end_some();
	rig_insert(r, B, &tcp);
	rig_insert(r, B, &udp);
	rig_packet(r, B, &e[0], 432000);
	rig_run(r, 200 * NS_PER_MS);
	rig_up(r);
	rig_run(r, 20 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &tcp.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &udp.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e[0].orig));
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, ENDED - 1);
	rig_packet(r, B, &e[0], 432000 + 20);
	rig_run(r, 6 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e[0]).mine);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e[0].orig));
}
END_TEST

/* Packets come between the comparison's question to the kernel and the sweep before it. */
START_TEST(test_traffic_at_the_last_moment)
{
	restart(B);
	end_some();
	rig_run(r, 100 * NS_PER_MS);
	r->n[B].no_sweep = true;
	rig_packet(r, B, &e[0], 432000);
	rig_packet(r, B, &e[1], 120);
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, ENDED - 2);
	ck_assert(rig_view(r, B, &e[0]).mine && rig_view(r, B, &e[1]).mine);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e[0].orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e[1].orig));
}
END_TEST

/* B serves one of two groups: it does not adopt what ended at A. */
START_TEST(test_with_a_role_of_its_own)
{
	struct sync_authority one = { { 6, 2 }, true, false };

	restart(B);
	end_some();
	sync_authority(r->n[B].s, &one, r->now);
	rig_up(r);
	rig_run(r, 6 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].n, FLOWS - ENDED);
	ck_assert_uint_eq(r->n[B].n, FLOWS - ENDED);
	ck_assert(rig_equal(r));
}
END_TEST

/* With all of them it is B that says what lives. */
START_TEST(test_with_every_role)
{
	restart(B);
	end_some();
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_authority(r, A, 6, false);
	rig_up(r);
	rig_run(r, 6 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, 0);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	ck_assert_uint_eq(r->n[A].n, FLOWS);
}
END_TEST

/* B's own sessions, whose leases it had taken over a moment before its end: A gives them back before anything goes. */
START_TEST(test_own_flows_are_given_back)
{
	struct sync_authority one = { { 6, 2 }, true, false };

	r->n[B].no_sweep = true;
	sync_authority(r->n[B].s, &one, r->now);
	for (unsigned i = 0; i < ENDED; i++)
		rig_event(r, B, CT_EV_UPDATE, 0, &e[i]);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e[0]).mine && !rig_view(r, A, &e[0]).mine);
	restart(B);
	r->n[B].no_sweep = false;
	rig_up(r);
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, 0);
	ck_assert_uint_eq(r->n[B].n_made, FLOWS);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	ck_assert_uint_eq(r->n[A].n, FLOWS);
	ck_assert(rig_equal(r));
}
END_TEST

/* A has just lost an address: what it forgot by that has not ended. */
START_TEST(test_loss_at_the_owner)
{
	restart(B);
	for (unsigned i = 0; i < ENDED; i++)
		rig_remove(r, A, rig_find(&r->n[A], &e[i].orig), 0);
	sync_net_lost(r->n[A].s, r->now);
	rig_run(r, 4 * NS_PER_SEC);
	rig_up(r);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, FLOWS);
	ck_assert_uint_eq(r->n[B].s->stats.leftovers, 0);
}
END_TEST

/* A lease is longer than a UDP timer: that is no sign of packets when the owner's own timer ends. */
START_TEST(test_lease_is_no_evidence)
{
	restart(B);
	rig_run(r, 100 * NS_PER_MS);
	rig_up(r);
	rig_idle(r, 130 * NS_PER_SEC);
	for (unsigned i = 1; i < FLOWS; i += 3) {
		ck_assert_ptr_null(rig_find(&r->n[A], &e[i].orig));
		ck_assert_ptr_null(rig_find(&r->n[B], &e[i].orig));
	}
	ck_assert_uint_eq(r->n[B].s->stats.claims, 0);
	ck_assert_uint_eq(r->n[B].n, FLOWS - FLOWS / 3);
}
END_TEST

START_TEST(test_what_looks_like_a_lease)
{
	struct ct_entry x = e[0];

	x.tcp_flags[0] = x.tcp_flags[1] = CT_TCP_BE_LIBERAL;
	x.timeout_s = 300;
	ck_assert(former_lease(r->n[B].s, &x));
	x.timeout_s = SYNC_LEASE_MAX_S + 1;
	ck_assert(!former_lease(r->n[B].s, &x));
	x.timeout_s = 300;
	x.tcp_flags[1] = 0;
	ck_assert(!former_lease(r->n[B].s, &x));
	x.tcp_flags[1] = CT_TCP_BE_LIBERAL;
	x.status |= CT_ST_OFFLOAD;
	ck_assert(!former_lease(r->n[B].s, &x));
	x.status &= ~(uint32_t)CT_ST_OFFLOAD;
	x.tcp_state = CT_TCP_SYN_RECV; /* short: it ends by itself */
	ck_assert(!former_lease(r->n[B].s, &x));
	x.tcp_state = CT_TCP_ESTABLISHED;
	r->n[B].s->timeouts.tcp[CT_TCP_ESTABLISHED] = 900; /* a kernel's own timer may show 300 */
	ck_assert(!former_lease(r->n[B].s, &x));
	r->n[B].s->timeouts.tcp[CT_TCP_ESTABLISHED] = 200;
	ck_assert(former_lease(r->n[B].s, &x));
	x = e[1];
	x.timeout_s = 120;
	ck_assert(!former_lease(r->n[B].s, &x));
	x.timeout_s = 121;
	ck_assert(former_lease(r->n[B].s, &x));
	x.has &= ~(uint32_t)CT_HAS_TIMEOUT;
	ck_assert(!former_lease(r->n[B].s, &x));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two cores");

	tcase_add_test(t, test_ended_while_the_process_was_away);
	tcase_add_test(t, test_first_sweep_ends_last);
	tcase_add_test(t, test_ended_before_it_was_written);
	tcase_add_test(t, test_nothing_goes_before_the_comparison);
	tcase_add_test(t, test_owner_forgot_as_well);
	tcase_add_test(t, test_what_packets_made_stays);
	tcase_add_test(t, test_traffic_at_the_last_moment);
	tcase_add_test(t, test_with_a_role_of_its_own);
	tcase_add_test(t, test_with_every_role);
	tcase_add_test(t, test_own_flows_are_given_back);
	tcase_add_test(t, test_loss_at_the_owner);
	tcase_add_test(t, test_lease_is_no_evidence);
	tcase_add_test(t, test_what_looks_like_a_lease);
	return rig_pair_run("sync_former", t, setup);
}
