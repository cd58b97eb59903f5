/* The fake conntrack table: the script that the real kernel passes too, and what the script cannot reach. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "sync/ct_wire.h"
#include "tests/sim/ct_script.h"
#include "tests/sim/fake_ct.h"
#include "tests/unit/run.h"

enum { OURS = 100, OTHER = 200 };

static struct ct_tuple udp(uint16_t sport)
{
	struct ct_tuple t = { .l3 = 4, .l4 = IPPROTO_UDP, .sport = sport, .dport = 53 };
	memcpy(t.src, (const uint8_t[]){ 10, 1, 0, 2 }, 4);
	memcpy(t.dst, (const uint8_t[]){ 192, 0, 2, 10 }, 4);
	return t;
}

static struct ct_tuple tcp(uint16_t sport)
{
	struct ct_tuple t = udp(sport);
	t.l4 = IPPROTO_TCP;
	return t;
}

static struct ct_tuple inverse(struct ct_tuple t)
{
	struct ct_tuple r;
	ck_assert(ct_tuple_invert(&t, &r));
	return r;
}

static struct ct_op op(enum ct_op_type type, struct ct_tuple t, uint32_t timeout)
{
	struct ct_op o = { .type = type };
	o.e.orig = t;
	o.e.has = CT_HAS_STATUS | CT_HAS_TIMEOUT;
	o.e.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED;
	o.e.timeout_s = timeout;
	return o;
}

static void make(struct fake_ct *f, uint32_t portid, struct ct_tuple t, uint32_t timeout)
{
	struct ct_op o = op(CT_OP_CREATE, t, timeout);
	ck_assert_int_eq(fake_ct_op(f, portid, &o, NULL), 0);
}

static mono_t at(int64_t seconds)
{
	return (mono_t){ seconds * NS_PER_SEC };
}

static struct fake_ct *table(void)
{
	struct fake_ct *f = fake_ct_new(100, 100);
	fake_ct_listen(f, true, true, OURS);
	return f;
}

/* The only event that waits. */
static struct ct_event only(struct fake_ct *f)
{
	struct ct_event ev[2];
	ck_assert_uint_eq(fake_ct_events(f, ev, 2, NULL), 1);
	return ev[0];
}

/* --- the script --- */

static int s_msg(void *self, const void *bytes, size_t len, struct ct_event *got)
{
	return fake_ct_msg(self, OURS, bytes, len, got);
}

static void s_listen(void *self, bool new_update)
{
	fake_ct_listen(self, new_update, true, 0);
}

static bool s_event(void *self, struct ct_event *ev)
{
	return fake_ct_events(self, ev, 1, NULL);
}

static int64_t s_now;

static void s_wait(void *self, unsigned seconds)
{
	s_now += seconds * NS_PER_SEC + NS_PER_SEC / 2;
	fake_ct_run(self, (mono_t){ s_now });
}

static void s_packet(void *self, uint16_t from, uint16_t to)
{
	struct ct_tuple t = { .l3 = 4, .l4 = IPPROTO_UDP, .sport = from, .dport = to };
	memcpy(t.src, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
	memcpy(t.dst, t.src, 4);
	fake_ct_packet(self, &t, 0, NULL, NULL);
}

static void s_say(void *arg, const char *line)
{
	unsigned *lines = arg;
	if (!(*lines)++)
		fprintf(stderr, "%s\n", line);
}

START_TEST(script)
{
	struct fake_ct *f = fake_ct_new(100, 100);
	fake_ct_listen(f, false, true, 0);
	const struct ct_backend b = { "fake", f, s_msg, s_listen, s_event, s_wait, s_packet };
	const struct ct_backend *one[] = { &b };
	unsigned lines = 0;
	ck_assert_uint_ge(ct_script_steps(), 60);
	ck_assert_uint_eq(ct_script_run(one, 1, s_say, &lines), 0);
	fake_ct_free(f);
}
END_TEST

/* The script can fail: a table that takes everything does not pass. */
static int yes_msg(void *self, const void *bytes, size_t len, struct ct_event *got)
{
	(void)self;
	(void)bytes;
	(void)len;
	(void)got;
	return 0;
}

START_TEST(script_notices)
{
	struct fake_ct *f = fake_ct_new(100, 100);
	const struct ct_backend b = { "yes", f, yes_msg, s_listen, s_event, s_wait, s_packet };
	const struct ct_backend *one[] = { &b };
	unsigned lines = 1;
	ck_assert_uint_gt(ct_script_run(one, 1, s_say, &lines), 50);
	fake_ct_free(f);
}
END_TEST

/* --- events --- */

START_TEST(own_changes_are_hidden)
{
	struct fake_ct *f = table();
	make(f, OURS, udp(1), 100);
	ck_assert_uint_eq(fake_ct_queued(f), 0);
	make(f, OTHER, udp(2), 100);
	struct ct_event ev = only(f);
	ck_assert_int_eq(ev.type, CT_EV_NEW);
	ck_assert_uint_eq(ev.portid, OTHER);
	struct ct_op del = op(CT_OP_DELETE, udp(1), 0);
	ck_assert_int_eq(fake_ct_op(f, OTHER, &del, NULL), 0);
	ev = only(f);
	ck_assert_int_eq(ev.type, CT_EV_DESTROY);
	/* a removal before its time tells what was left; an expiry does not */
	ck_assert(ev.e.has & CT_HAS_TIMEOUT);
	fake_ct_run(f, at(100));
	ev = only(f);
	ck_assert_int_eq(ev.type, CT_EV_DESTROY);
	ck_assert_uint_eq(ev.portid, 0);
	ck_assert(!(ev.e.has & CT_HAS_TIMEOUT));
	fake_ct_free(f);
}
END_TEST

START_TEST(overrun)
{
	struct fake_ct *f = fake_ct_new(100, 3);
	struct ct_event ev[8];
	bool lost;
	fake_ct_listen(f, true, true, OURS);
	for (uint16_t i = 0; i < 5; i++)
		make(f, OTHER, udp((uint16_t)(i + 1)), 100);
	ck_assert_uint_eq(fake_ct_events(f, ev, 8, &lost), 3);
	ck_assert(lost);
	ck_assert_uint_eq(ev[0].e.orig.sport, 1);
	ck_assert_uint_eq(ev[2].e.orig.sport, 3);
	ck_assert_uint_eq(fake_ct_events(f, ev, 8, &lost), 0);
	ck_assert(!lost);
	ck_assert_uint_eq(fake_ct_count(f), 5);
	make(f, OTHER, udp(9), 100);
	fake_ct_close(f);
	ck_assert_uint_eq(fake_ct_queued(f), 0);
	fake_ct_free(f);
}
END_TEST

START_TEST(mute_entries)
{
	struct fake_ct *f = fake_ct_new(100, 100);
	fake_ct_sysctl_events(f, 2);
	make(f, OTHER, udp(1), 10);
	fake_ct_listen(f, true, true, OURS);
	make(f, OTHER, udp(2), 10);
	ck_assert_uint_eq(only(f).e.orig.sport, 2);
	fake_ct_run(f, at(20));
	ck_assert_uint_eq(only(f).e.orig.sport, 2);
	ck_assert_uint_eq(fake_ct_count(f), 0);
	fake_ct_free(f);
}
END_TEST

START_TEST(expiry_in_order)
{
	struct fake_ct *f = table();
	static const uint32_t t[] = { 30, 10, 20, 10 };
	struct ct_event ev[8];
	ck_assert(mono_is_never(fake_ct_next(f)));
	for (uint16_t i = 0; i < 4; i++)
		make(f, OURS, udp((uint16_t)(i + 1)), t[i]);
	ck_assert_int_eq(fake_ct_next(f).ns, at(10).ns);
	struct ct_op renew = op(CT_OP_RENEW, udp(3), 50);
	ck_assert_int_eq(fake_ct_op(f, OURS, &renew, NULL), 0);
	fake_ct_run(f, at(40));
	ck_assert_uint_eq(fake_ct_events(f, ev, 8, NULL), 3);
	ck_assert_uint_eq(ev[0].e.orig.sport, 2);
	ck_assert_uint_eq(ev[1].e.orig.sport, 4);
	ck_assert_uint_eq(ev[2].e.orig.sport, 1);
	struct ct_tuple left = udp(3), gone = udp(1);
	ck_assert_int_eq(fake_ct_left(f, &left), 10);
	ck_assert_int_eq(fake_ct_left(f, &gone), -1);
	/* time never goes back */
	fake_ct_run(f, at(5));
	ck_assert_int_eq(fake_ct_left(f, &left), 10);
	fake_ct_free(f);
}
END_TEST

/* --- table --- */

START_TEST(full)
{
	struct fake_ct *f = fake_ct_new(2, 10);
	make(f, OURS, udp(1), 10);
	make(f, OURS, udp(2), 10);
	struct ct_op o = op(CT_OP_CREATE, udp(3), 10);
	ck_assert_int_eq(fake_ct_op(f, OURS, &o, NULL), -ENOMEM);
	struct ct_tuple t = udp(4);
	ck_assert_int_eq(fake_ct_packet(f, &t, 0, NULL, NULL), FAKE_CT_FULL);
	fake_ct_run(f, at(10));
	ck_assert_int_eq(fake_ct_op(f, OURS, &o, NULL), 0);
	fake_ct_free(f);
}
END_TEST

START_TEST(dump_while_it_changes)
{
	struct fake_ct *f = fake_ct_new(1000, 10);
	for (uint16_t i = 1; i <= 300; i++)
		make(f, OURS, udp(i), i % 3 ? 100 : 10);
	unsigned seen[301] = { 0 }, n;
	uint64_t cursor = 0;
	struct ct_event ev[16];
	for (unsigned round = 0; (n = fake_ct_dump(f, &cursor, ev, 16)) > 0; round++) {
		for (unsigned k = 0; k < n; k++) {
			ck_assert_int_eq(ev[k].type, CT_EV_DUMP);
			if (ev[k].e.orig.sport <= 300)
				seen[ev[k].e.orig.sport]++;
		}
		if (round == 5)
			fake_ct_run(f, at(10));
		if (round == 6)
			make(f, OURS, udp(1000), 100);
	}
	for (unsigned i = 1; i <= 300; i++)
		ck_assert_uint_eq(seen[i] == 1 || i % 3 == 0, 1);
	fake_ct_flush(f, OTHER);
	ck_assert_uint_eq(fake_ct_count(f), 0);
	fake_ct_free(f);
}
END_TEST

/* --- packets --- */

START_TEST(tcp_life)
{
	static const struct {
		bool reply;
		unsigned flags;
		uint8_t state;
		uint32_t status, seconds;
		bool event;
	} rows[] = {
		{ false, FAKE_TCP_SYN, CT_TCP_SYN_SENT, 0x8, 120, true },
		{ true, FAKE_TCP_SYN | FAKE_TCP_ACK, CT_TCP_SYN_RECV, 0xa, 60, true },
		{ false, FAKE_TCP_ACK, CT_TCP_ESTABLISHED, 0xe, 432000, true },
		{ true, FAKE_TCP_ACK, CT_TCP_ESTABLISHED, 0xe, 432000, false },
		{ false, FAKE_TCP_FIN | FAKE_TCP_ACK, CT_TCP_FIN_WAIT, 0xe, 120, true },
		{ true, FAKE_TCP_ACK, CT_TCP_CLOSE_WAIT, 0xe, 60, true },
		{ true, FAKE_TCP_FIN | FAKE_TCP_ACK, CT_TCP_LAST_ACK, 0xe, 30, true },
		{ false, FAKE_TCP_ACK, CT_TCP_TIME_WAIT, 0xe, 120, true },
		{ false, FAKE_TCP_SYN, CT_TCP_SYN_SENT, 0x8, 120, true },
		{ true, FAKE_TCP_RST, CT_TCP_CLOSE, 0xa, 10, true },
	};
	struct fake_ct *f = table();
	struct ct_tuple o = tcp(1), r = inverse(o);
	struct ct_event ev[4];
	struct ct_entry e;
	ck_assert_int_eq(fake_ct_packet(f, &o, FAKE_TCP_ACK, NULL, NULL), FAKE_CT_INVALID);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_ct_run(f, at(i));
		enum fake_ct_verdict v = fake_ct_packet(f, rows[i].reply ? &r : &o, rows[i].flags, NULL, NULL);
		bool fresh = i == 0 || i == 8;
		ck_assert_msg(v == (fresh ? FAKE_CT_NEW : FAKE_CT_FOUND), "row %u", i);
		ck_assert(fake_ct_find(f, &o, &e));
		ck_assert_uint_eq(e.tcp_state, rows[i].state);
		ck_assert_uint_eq(e.status, rows[i].status);
		ck_assert_uint_eq(e.timeout_s, rows[i].seconds);
		/* reusing the port removes the old session first */
		ck_assert_msg(fake_ct_events(f, ev, 4, NULL) == (i == 8 ? 2 : rows[i].event), "row %u", i);
	}
	fake_ct_free(f);
}
END_TEST

START_TEST(copies_need_windows_or_leniency)
{
	struct fake_ct *f = table();
	static const struct {
		uint8_t flags;
		enum fake_ct_verdict v;
	} rows[] = { { 0, FAKE_CT_INVALID },
		     { CT_TCP_SACK_PERM, FAKE_CT_INVALID },
		     { CT_TCP_WINDOW_SCALE, FAKE_CT_FOUND },
		     { CT_TCP_BE_LIBERAL, FAKE_CT_FOUND } };
	for (uint16_t i = 0; i < 4; i++) {
		struct ct_op o = op(CT_OP_CREATE, tcp((uint16_t)(i + 1)), 300);
		o.e.has |= CT_HAS_TCP | CT_HAS_TCP_WIN;
		o.e.tcp_state = CT_TCP_ESTABLISHED;
		o.e.tcp_flags[0] = o.e.tcp_flags[1] = rows[i].flags;
		ck_assert_int_eq(fake_ct_op(f, OURS, &o, NULL), 0);
		ck_assert_int_eq(fake_ct_packet(f, &o.e.orig, FAKE_TCP_ACK, NULL, NULL), rows[i].v);
		/* the first packet sets the ordinary timer */
		ck_assert_int_eq(fake_ct_left(f, &o.e.orig), rows[i].v == FAKE_CT_FOUND ? 432000 : 300);
	}
	ck_assert_uint_eq(fake_ct_queued(f), 0);
	fake_ct_free(f);
}
END_TEST

START_TEST(nat_of_packets_and_copies)
{
	struct fake_ct *a = table(), *b = table();
	struct fake_ct_nat nat = { .snat = true, .sport = 40001 };
	memcpy(nat.src, (const uint8_t[]){ 198, 51, 100, 1 }, 4);
	struct ct_tuple o = udp(1), o2 = udp(2), out, back;
	ck_assert_int_eq(fake_ct_packet(a, &o, 0, &nat, &out), FAKE_CT_NEW);
	ck_assert_mem_eq(out.src, nat.src, 4);
	ck_assert_uint_eq(out.sport, 40001);
	/* the next one with the same wish gets the next port */
	ck_assert_int_eq(fake_ct_packet(a, &o2, 0, &nat, &out), FAKE_CT_NEW);
	ck_assert_uint_eq(out.sport, 40002);
	struct ct_tuple r = inverse(out);
	ck_assert_int_eq(fake_ct_packet(a, &r, 0, NULL, &back), FAKE_CT_FOUND);
	ck_assert_mem_eq(back.dst, o2.src, 4);
	ck_assert_uint_eq(back.dport, 2);

	/* the copy of the first does the same */
	struct ct_op c = { .type = CT_OP_CREATE };
	ck_assert(fake_ct_find(a, &o, &c.e));
	ck_assert_int_eq(fake_ct_op(b, OURS, &c, NULL), 0);
	struct ct_entry e;
	ck_assert(fake_ct_find(b, &o, &e));
	ck_assert_uint_eq(e.status, c.e.status);
	ck_assert_int_eq(fake_ct_packet(b, &o, 0, NULL, &out), FAKE_CT_FOUND);
	ck_assert_uint_eq(out.sport, 40001);
	fake_ct_free(a);
	fake_ct_free(b);
}
END_TEST

START_TEST(masquerade_dies_with_its_address)
{
	struct fake_ct *a = table(), *b = table();
	struct fake_ct_nat nat = { .masquerade = true };
	memcpy(nat.src, (const uint8_t[]){ 198, 51, 100, 1 }, 4);
	struct ct_tuple o = udp(1), plain = udp(2);
	ck_assert_int_eq(fake_ct_packet(a, &o, 0, &nat, NULL), FAKE_CT_NEW);
	ck_assert_int_eq(fake_ct_packet(a, &plain, 0, NULL, NULL), FAKE_CT_NEW);
	struct ct_event ev[4];
	ck_assert_uint_eq(fake_ct_events(a, ev, 4, NULL), 2);
	struct ct_op c = { .type = CT_OP_CREATE, .e = ev[0].e };
	ck_assert_int_eq(fake_ct_op(b, OURS, &c, NULL), 0);
	fake_ct_addr_lost(a, 4, nat.src);
	fake_ct_addr_lost(b, 4, nat.src);
	struct ct_event d = only(a);
	ck_assert_int_eq(d.type, CT_EV_DESTROY);
	ck_assert_uint_eq(d.portid, 0);
	ck_assert(ct_tuple_equal(&d.e.orig, &o));
	ck_assert_uint_eq(fake_ct_count(a), 1);
	/* the copy has no such mark */
	ck_assert_uint_eq(fake_ct_count(b), 1);
	fake_ct_free(a);
	fake_ct_free(b);
}
END_TEST

START_TEST(other_protocols)
{
	struct fake_ct *f = table();
	struct ct_tuple ping = udp(7), esp = udp(0), err = udp(7);
	ping.l4 = err.l4 = IPPROTO_ICMP;
	ping.dport = 8 << 8;
	err.dport = 3 << 8;
	esp.l4 = IPPROTO_ESP;
	esp.dport = 0;
	ck_assert_int_eq(fake_ct_packet(f, &ping, 0, NULL, NULL), FAKE_CT_NEW);
	ck_assert_int_eq(fake_ct_packet(f, &err, 0, NULL, NULL), FAKE_CT_INVALID);
	ck_assert_int_eq(fake_ct_packet(f, &esp, 0, NULL, NULL), FAKE_CT_NEW);
	struct ct_tuple pong = inverse(ping);
	ck_assert_int_eq(fake_ct_packet(f, &pong, 0, NULL, NULL), FAKE_CT_FOUND);
	struct ct_event ev[4];
	ck_assert_uint_eq(fake_ct_events(f, ev, 4, NULL), 3);
	ck_assert_int_eq(ev[2].type, CT_EV_UPDATE);
	ck_assert_int_eq(fake_ct_left(f, &ping), 30);
	ck_assert_int_eq(fake_ct_left(f, &esp), 600);
	fake_ct_free(f);
}
END_TEST

START_TEST(garbage)
{
	struct fake_ct *f = table();
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct ct_op o = op(CT_OP_CREATE, udp(1), 10);
	ck_assert_int_eq(ct_wire_build(&w, &o, 1), 0);
	for (size_t n = 0; n < wire_len(&w); n++)
		ck_assert_int_eq(fake_ct_msg(f, OURS, buf, n, NULL), -EINVAL);
	ck_assert_uint_eq(fake_ct_count(f), 0);
	ck_assert_int_eq(fake_ct_msg(f, OURS, buf, wire_len(&w), NULL), 0);
	fake_ct_free(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fake_ct");
	TCase *c = tcase_create("all");
	suite_add_tcase(s, c);
	tcase_add_test(c, script);
	tcase_add_test(c, script_notices);
	tcase_add_test(c, own_changes_are_hidden);
	tcase_add_test(c, overrun);
	tcase_add_test(c, mute_entries);
	tcase_add_test(c, expiry_in_order);
	tcase_add_test(c, full);
	tcase_add_test(c, dump_while_it_changes);
	tcase_add_test(c, tcp_life);
	tcase_add_test(c, copies_need_windows_or_leniency);
	tcase_add_test(c, nat_of_packets_and_copies);
	tcase_add_test(c, masquerade_dies_with_its_address);
	tcase_add_test(c, other_protocols);
	tcase_add_test(c, garbage);
	return unit_run(s);
}
