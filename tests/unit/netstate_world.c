/* netstate and an imagined kernel, driven by hand. */
#include "tests/unit/netstate_world.h"
#include "tests/unit/run.h"

struct netstate ns;
struct fake_rtnl f;
mono_t now;
int va, vb;
unsigned sent_add, sent_del;

struct addr ip(const char *text)
{
	struct addr a;
	ck_assert(addr_parse(text, &a));
	return a;
}

struct net_addr at(int ifindex, const char *text, uint8_t proto)
{
	struct net_addr a = { .ifindex = ifindex, .proto = proto };
	ck_assert(addr_parse_prefix(text, &a.addr, &a.plen));
	return a;
}

void begin(bool marks)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	sent_add = sent_del = 0;
	ck_assert_int_eq(netstate_init(&ns, marks), 0);
	fake_rtnl_init(&f);
	f.marks = marks;
	va = fake_rtnl_link_add(&f, "va", 0);
	vb = fake_rtnl_link_add(&f, "vb", 0);
	fake_rtnl_link_up(&f, va, true);
	fake_rtnl_link_up(&f, vb, true);
}

static void setup(void)
{
	begin(true);
}

void teardown(void)
{
	netstate_free(&ns);
}

int want(uint16_t group, const char *ifname, const char *text)
{
	struct net_addr a = at(1, text, 0);
	return netstate_want_addr(&ns, group, ifname, &a.addr, a.plen, NULL, 7);
}

static void want_all(void)
{
	ck_assert_int_gt(want(0, "va", "10.0.0.10/24"), 0);
	ck_assert_int_gt(want(0, "va", "10.0.0.11/24"), 0);
	ck_assert_int_gt(want(0, "va", "2001:db8::10/64"), 0);
	ck_assert_int_gt(want(0, "va", "fe80::10/64"), 0);
	ck_assert_int_gt(want(1, "vb", "10.1.0.10/24"), 0);
}

void declare(void)
{
	netstate_conf_begin(&ns);
	want_all();
	netstate_conf_end(&ns);
}

void declare_overlapping(void)
{
	netstate_conf_begin(&ns);
	want_all();
	ck_assert_int_gt(want(1, "va", "10.0.0.11/24"), 0);
	netstate_conf_end(&ns);
}

static unsigned send_once(enum net_op_kind kind)
{
	struct net_op op[NET_CHUNK];
	unsigned n = netstate_diff(&ns, kind, now, op);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(op[i].kind, kind);
		int rc = fake_rtnl_apply(&f, &ns, &op[i]);
		netstate_done(&ns, &op[i], rc, now);
	}
	*(kind == NET_OP_ADD ? &sent_add : &sent_del) += n;
	return n;
}

/* Until nothing is to be done: operations, results, events. */
void drive(void)
{
	for (unsigned i = 0; i < 100; i++) {
		fake_rtnl_feed(&f, &ns);
		netstate_tick(&ns, now);
		unsigned n = send_once(NET_OP_ADD);
		n += send_once(NET_OP_DEL);
		if (netstate_dump_wanted(&ns))
			fake_rtnl_dump(&f, &ns);
		bool list = netstate_routes_wanted(&ns);
		if (list)
			fake_rtnl_list(&f, &ns);
		if (n == 0 && !list && f.ev_n == 0)
			return;
	}
	ck_abort_msg("it never comes to rest");
}

void later(int64_t ns_later)
{
	now = mono_add(now, ns_later);
	drive();
}

void started(void)
{
	declare();
	fake_rtnl_dump(&f, &ns);
	f.ev_n = 0;
}

struct net_status status(uint16_t group)
{
	return netstate_status(&ns, group);
}

void up(uint16_t group)
{
	netstate_group_set(&ns, group, NET_UP);
	drive();
}

void down(uint16_t group)
{
	netstate_group_set(&ns, group, NET_DOWN);
	drive();
}

bool has(int link, const char *text)
{
	struct addr a = ip(text);
	return fake_rtnl_has(&f, link, &a);
}

int netstate_run(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
