/* netstate: everything at once, by chance, against a model. */
#include <string.h>
#include "tests/unit/netstate_world.h"

static uint32_t rnd_state;

static unsigned rnd(unsigned n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state % n;
}

static const char *const pool[] = { "10.0.0.10/24", "10.0.0.11/24", "2001:db8::10/64", "fe80::10/64",
				    "10.1.0.10/24", "10.0.0.1/24",  "10.1.0.1/24" };

#define FLIGHTS 8
static struct {
	struct net_op op[NET_CHUNK];
	int result[NET_CHUNK];
	unsigned n;
	bool done;
} flight[FLIGHTS];

static int link_of(unsigned i)
{
	int index = fake_rtnl_index(&f, i ? "vb" : "va");
	return index ? index : 1;
}

static void step_foreign(void)
{
	struct net_addr a = at(link_of(rnd(2)), pool[rnd(7)], 0);
	switch (rnd(3)) {
	case 0:
		fake_rtnl_addr_add(&f, &a);
		break;
	case 1:
		fake_rtnl_addr_del(&f, &a);
		break;
	default:
		fake_rtnl_addr_replace(&f, &a);
	}
}

static void step_link(void)
{
	int index = link_of(rnd(2));
	switch (rnd(5)) {
	case 0:
	case 1:
		fake_rtnl_link_up(&f, index, rnd(2));
		break;
	case 2:
		fake_rtnl_cable(&f, index, rnd(2));
		break;
	case 3:
		fake_rtnl_link_del(&f, index);
		break;
	default:
		if (!fake_rtnl_index(&f, "va"))
			fake_rtnl_link_add(&f, "va", 0);
		if (!fake_rtnl_index(&f, "vb"))
			fake_rtnl_link_add(&f, "vb", 0);
	}
}

static bool model_marked(const struct net_op *op)
{
	struct net_addr a;
	uint32_t iter = 0;
	while (netstate_addr_next(&ns, &iter, &a))
		if (a.ifindex == op->ifindex && a.plen == op->plen && addr_eq(&a.addr, &op->addr))
			return a.proto == NET_MARK;
	return false;
}

/* A batch takes its way: given out, worked on by the kernel, its results back; events come whenever. */
static void step_flight(void)
{
	unsigned i = rnd(FLIGHTS);
	if (flight[i].n == 0) {
		flight[i].n = netstate_diff(&ns, rnd(2) ? NET_OP_ADD : NET_OP_DEL, now, flight[i].op);
		flight[i].done = false;
		for (unsigned k = 0; k < flight[i].n; k++)
			if (flight[i].op[k].kind == NET_OP_DEL)
				ck_assert_msg(model_marked(&flight[i].op[k]), "a foreign address is to be deleted");
		return;
	}
	for (unsigned k = 0; k < flight[i].n; k++) {
		const struct net_op *op = &flight[i].op[k];
		if (flight[i].done) {
			netstate_done(&ns, op, flight[i].result[k], now);
			continue;
		}
		flight[i].result[k] = fake_rtnl_op(&f, op);
	}
	if (flight[i].done)
		flight[i].n = 0;
	flight[i].done = true;
}

static void rest(void)
{
	for (unsigned pass = 0; pass < 2 * FLIGHTS * 20; pass++)
		step_flight();
	for (unsigned i = 0; i < FLIGHTS; i++)
		while (flight[i].n) {
			unsigned keep = i;
			for (unsigned k = 0; k < flight[keep].n; k++)
				netstate_done(&ns, &flight[keep].op[k],
					      flight[keep].done ? flight[keep].result[k]
								: fake_rtnl_op(&f, &flight[keep].op[k]),
					      now);
			flight[keep].n = 0;
		}
	for (unsigned i = 0; i < 8; i++)
		later(NET_RETRY_MAX_NS);
}

static void check_model(void)
{
	struct net_addr a;
	uint32_t iter = 0;
	unsigned n = 0;
	while (netstate_addr_next(&ns, &iter, &a)) {
		ck_assert(fake_rtnl_has(&f, a.ifindex, &a.addr));
		n++;
	}
	ck_assert_uint_eq(n, f.n_addrs);
}

static void walk(uint32_t seed, bool shared)
{
	rnd_state = seed * 2654435761u + 1;
	memset(flight, 0, sizeof(flight));
	started();
	if (shared)
		declare_overlapping();
	for (unsigned i = 0; i < 400; i++) {
		switch (rnd(8)) {
		case 0:
			step_foreign();
			break;
		case 1:
			step_link();
			break;
		case 2:
			netstate_group_set(&ns, (uint16_t)rnd(2), rnd(2) ? NET_UP : NET_DOWN);
			break;
		case 3:
			fake_rtnl_feed(&f, &ns);
			break;
		case 4:
			now = mono_add(now, rnd(300) * NS_PER_MS);
			netstate_tick(&ns, now);
			if (rnd(20) == 0)
				f.ev_limit = f.ev_n; /* the queue is full: what comes is lost */
			break;
		default:
			step_flight();
		}
		if (f.lost || netstate_dump_wanted(&ns)) {
			f.ev_limit = FAKE_EVENTS;
			fake_rtnl_feed(&f, &ns);
			fake_rtnl_dump(&f, &ns);
		}
	}
	f.ev_limit = FAKE_EVENTS;
	for (unsigned i = 0; i < 2; i++) {
		if (!fake_rtnl_index(&f, i ? "vb" : "va"))
			fake_rtnl_link_add(&f, i ? "vb" : "va", 0);
		fake_rtnl_cable(&f, link_of(i), true);
		fake_rtnl_link_up(&f, link_of(i), true);
	}
	netstate_group_set(&ns, 0, NET_UP);
	netstate_group_set(&ns, 1, NET_UP);
	rest();
	check_model();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert(has(link_of(0), "10.0.0.10") && has(link_of(0), "fe80::10") && has(link_of(1), "10.1.0.10"));
	netstate_group_set(&ns, 0, NET_DOWN);
	if (shared) {
		rest();
		ck_assert(has(link_of(0), "10.0.0.11"));
		ck_assert(status(0).state == NET_EQUAL && status(1).state == NET_EQUAL);
	}
	netstate_group_set(&ns, 1, NET_DOWN);
	rest();
	check_model();
	for (unsigned i = 0; i < f.n_addrs; i++)
		ck_assert_msg(f.addr[i].proto != NET_MARK, "an address of ours is left");
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	struct own_entry e[16];
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 0);
}

START_TEST(test_random_walk)
{
	for (uint32_t seed = 1; seed <= 150; seed++) {
		teardown();
		begin(true);
		walk((uint32_t)_i * 1000 + seed, _i & 1);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("walk");
	tcase_add_loop_test(tc, test_random_walk, 0, 4);
	return netstate_run("netstate_walk", tc);
}
