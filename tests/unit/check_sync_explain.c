/* explain session: what an operator may type, what a node knows, and a verdict for every reason; questions and orders
 * between two cores. */
#include <stdio.h>
#include "daemon/base/err.h"
#include "sync/sync_explain.h"
#include "tests/unit/rig_pair.h"

static const struct {
	const char *src, *dst, *proto;
	unsigned zone;
	const char *name; /* NULL: refused */
	const char *err;  /* part of why */
} typed[] = {
	{ "10.0.0.1:80", "10.0.0.2:443", "tcp", 0, "tcp 10.0.0.1:80 -> 10.0.0.2:443", NULL },
	{ "[2001:db8::1]:80", "[::2]:0", "UDP", 5, "udp [2001:db8::1]:80 -> [::2]:0 zone 5", NULL },
	{ "10.0.0.1:7", "10.0.0.2", "icmp", 0, "icmp 10.0.0.1 id 7 -> 10.0.0.2", NULL },
	{ "10.0.0.1", "10.0.0.2:7", "icmp", 0, "icmp 10.0.0.1 id 7 -> 10.0.0.2", NULL },
	{ "10.0.0.1:7", "10.0.0.2:7", "1", 0, "icmp 10.0.0.1 id 7 -> 10.0.0.2", NULL },
	{ "[2001:db8::1]:9", "2001:db8::2", "icmp", 0, "icmpv6 2001:db8::1 id 9 -> 2001:db8::2", NULL },
	{ "2001:db8::1", "2001:db8::2", "esp", 0, "esp 2001:db8::1 -> 2001:db8::2", NULL },
	{ "[2001:db8::1]", "2001:db8::2", "97", 0, "97 2001:db8::1 -> 2001:db8::2", NULL },
	{ "10.0.0.1:0x111", "10.0.0.2:0x222", "gre", 0, "gre 10.0.0.1:273 -> 10.0.0.2:546", NULL },
	{ "10.0.0.1:1", "10.0.0.2:2", "sctp", 0, "sctp 10.0.0.1:1 -> 10.0.0.2:2", NULL },
	{ "10.0.0.1:65536", "10.0.0.2:2", "tcp", 0, NULL, "source '10.0.0.1:65536'" },
	{ "10.0.0.1:", "10.0.0.2:2", "tcp", 0, NULL, "source" },
	{ "10.0.0.1:-1", "10.0.0.2:2", "tcp", 0, NULL, "source" },
	{ "10.0.0.1", "10.0.0.2:2", "tcp", 0, NULL, "an address and a port, as in 192.0.2.1:80" },
	{ "10.0.0.1:1", "10.0.0.2", "tcp", 0, NULL, "destination" },
	{ "2001:db8::1", "[2001:db8::2]:1", "udp", 0, NULL, "[2001:db8::1]:80" },
	{ "[2001:db8::1:80", "[2001:db8::2]:1", "udp", 0, NULL, "source" },
	{ "[2001:db8::1]80", "[2001:db8::2]:1", "udp", 0, NULL, "source" },
	{ "10.0.0.1:1", "[2001:db8::2]:1", "udp", 0, NULL, "same family" },
	{ "10.0.0.1:1", "10.0.0.2:2", "icmp", 0, NULL, "id of the echo" },
	{ "10.0.0.1", "10.0.0.2", "icmp", 0, NULL, "id of the echo" },
	{ "10.0.0.1:1", "10.0.0.2", "esp", 0, NULL, "no ports" },
	{ "10.0.0.1", "10.0.0.2:1", "89", 0, NULL, "destination" },
	{ "10.0.0.1:1", "10.0.0.2:2", "0", 0, NULL, "protocol '0'" },
	{ "10.0.0.1:1", "10.0.0.2:2", "256", 0, NULL, "protocol" },
	{ "10.0.0.1:1", "10.0.0.2:2", "tcpp", 0, NULL, "protocol" },
	{ "10.0.0.1:1", "10.0.0.2:2", "tcp", 65536, NULL, "zone" },
	{ "host:1", "10.0.0.2:2", "tcp", 0, NULL, "source 'host:1'" },
	{ "", "10.0.0.2:2", "tcp", 0, NULL, "source" },
	{ "111111111111111111111111111111111111111111111111111111111111111111:1", "10.0.0.2:2", "tcp", 0, NULL,
	  "source" },
};

START_TEST(test_what_may_be_typed)
{
	struct ct_tuple t, zero = { 0 };
	char err[256] = "", name[160];
	int rc = explain_tuple(typed[_i].src, typed[_i].dst, typed[_i].proto, typed[_i].zone, &t, err, sizeof(err));

	if (typed[_i].name) {
		ck_assert_msg(rc == 0, "%s", err);
		ck_assert_str_eq(explain_tuple_text(&t, name, sizeof(name)), typed[_i].name);
		ck_assert(memcmp(&t, &zero, sizeof(t)) != 0);
	} else {
		ck_assert_int_eq(rc, ERR_MALFORMED);
		ck_assert_msg(strstr(err, typed[_i].err) != NULL, "%s", err);
	}
}
END_TEST

/* Whatever name a packet of it has, one of the forms is a tuple that the kernel finds it by. */
START_TEST(test_forms)
{
	struct ct_tuple form[EXPLAIN_FORMS], t;
	char err[100];
	struct ct_entry e = rig_flow(4000, IPPROTO_TCP, true);
	struct ct_tuple names[4] = { e.orig, e.reply, e.orig, e.reply };

	for (unsigned i = 2; i < 4; i++) { /* the answer before translation, the request after it */
		struct ct_tuple k = names[i];
		memcpy(names[i].src, k.dst, 16);
		memcpy(names[i].dst, k.src, 16);
		names[i].sport = k.dport;
		names[i].dport = k.sport;
	}
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = explain_forms(&names[i], form), hit = 0;
		for (unsigned k = 0; k < n; k++)
			hit += memcmp(&form[k], &e.orig, sizeof(t)) == 0 || memcmp(&form[k], &e.reply, sizeof(t)) == 0;
		ck_assert_uint_eq(hit, 1);
	}
	ck_assert_int_eq(explain_tuple("10.0.0.1:7", "10.0.0.2", "icmp", 0, &t, err, sizeof(err)), 0);
	ck_assert_uint_eq(explain_forms(&t, form), 4);
	ck_assert_uint_eq(form[0].dport, 8 << 8);
	ck_assert_uint_eq(form[3].dport, 0);
	ck_assert_mem_eq(form[3].src, form[0].dst, 16);
	ck_assert_int_eq(explain_tuple("[::1]:7", "::2", "icmpv6", 0, &t, err, sizeof(err)), 0);
	ck_assert_uint_eq(explain_forms(&t, form), 4);
	ck_assert_uint_eq(form[1].dport, 128 << 8);
	ck_assert_uint_eq(form[2].dport, 129 << 8);
}
END_TEST

/* No reason may be added to the policy without words for the operator. */
START_TEST(test_every_reason_has_words)
{
	for (unsigned w = 0; w < SYNC_WHY_N; w++) {
		const char *word = sync_why_word((enum sync_why)w);
		ck_assert_msg(explain_why_text((enum sync_why)w) && explain_why_change((enum sync_why)w),
			      "sync/sync_verdict.c: EXPLAIN_WHY_TABLE lacks '%s'", word);
		ck_assert_uint_eq(explain_why_of(word), w);
		ck_assert_uint_lt(strlen(word), SYNC_FACT_WORD);
		for (const char *c = word; *c; c++)
			ck_assert_msg((*c >= 'a' && *c <= 'z') || *c == '-', "'%s' cannot travel", word);
	}
	for (unsigned j = 0; j < SYNC_REJ_N; j++)
		ck_assert_msg(explain_has_reject((enum sync_reject)j),
			      "sync/sync_verdict.c: EXPLAIN_REJ_TABLE lacks '%s'",
			      sync_reject_word((enum sync_reject)j));
	ck_assert_ptr_null(explain_why_text(SYNC_WHY_N));
	ck_assert_ptr_null(explain_why_change(SYNC_WHY_N));
	ck_assert_uint_eq(explain_why_of("of a later version"), SYNC_WHY_N);
}
END_TEST

static struct explain_in two(enum explain_peer_state state)
{
	struct explain_in in = { .n = 2 };

	in.asked = rig_flow(1, IPPROTO_TCP, false).orig;
	in.nodes[0] = (struct explain_node){ .name = "fw-a", .id = 1, .text = "" };
	in.nodes[1] = (struct explain_node){ .name = "fw-b", .id = 2, .state = state, .text = "no route" };
	for (unsigned i = 0; i < 2; i++)
		in.nodes[i].f.quiet_s = UINT32_MAX;
	return in;
}

static void know(struct explain_node *n, uint32_t flags, enum sync_why why)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);

	n->f.flags = flags | SYNC_FACT_TUPLES;
	n->f.orig = e.orig;
	n->f.reply = e.reply;
	snprintf(n->f.word, sizeof(n->f.word), "%s", sync_why_word(why));
}

#define OWN  (SYNC_FACT_KERNEL | SYNC_FACT_TABLE | SYNC_FACT_MINE)
#define COPY (SYNC_FACT_KERNEL | SYNC_FACT_TABLE | SYNC_FACT_LEASED)

/* Every reason, at this node and at the peer: the verdict is its word, and says what to do. */
START_TEST(test_verdict_of_every_reason)
{
	enum sync_why why = (enum sync_why)_i;
	struct explain_in in = two(EXPLAIN_ANSWERED);
	struct explain_out o;

	for (unsigned who = 0; who < 2; who++) {
		in = two(EXPLAIN_ANSWERED);
		know(&in.nodes[who], OWN, why);
		explain_build(&in, &o);
		ck_assert_ptr_nonnull(o.code);
		ck_assert_uint_gt(strlen(o.verdict), 10);
		ck_assert_uint_gt(strlen(o.change), 5);
		ck_assert(!o.replicated);
		ck_assert_msg(!strstr(o.verdict, "{}") && !strstr(o.change, "{}"), "%s / %s", o.verdict, o.change);
		bool synced = sync_why_disposition(why) == SYNC_DISP_SYNCED;
		if (!synced && why != SYNC_WHY_FAILED)
			ck_assert_str_eq(o.code, sync_why_word(why));
		if (synced)
			ck_assert_str_eq(o.code, who == 0 ? "missing-on-peer" : "only-on-peer");
		else
			ck_assert_ptr_nonnull(strstr(o.verdict, "not replicated"));
		ck_assert_uint_ge(o.n, 4);
	}
}
END_TEST

START_TEST(test_verdict_names_address_and_rule)
{
	struct explain_in in = two(EXPLAIN_ANSWERED);
	struct explain_out o;
	struct sync_facts *f = &in.nodes[0].f;

	know(&in.nodes[0], OWN, SYNC_WHY_LOCAL_ORIGIN);
	f->cause = SYNC_ADDR_OWN;
	f->cause_l3 = 4;
	memcpy(f->cause_ip, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	explain_build(&in, &o);
	ck_assert_str_eq(o.verdict,
			 "not replicated: local-origin, 10.0.0.1 is an address of fw-a (rule: local sessions stay)");
	f->cause = SYNC_ADDR_VIP;
	explain_build(&in, &o);
	ck_assert_ptr_nonnull(strstr(o.verdict, "10.0.0.1 is a virtual address of fw-a"));
	in = two(EXPLAIN_ANSWERED);
	know(&in.nodes[1], OWN, SYNC_WHY_IGNORED);
	in.nodes[1].f.rule = 3;
	explain_build(&in, &o);
	ck_assert_str_eq(o.verdict, "not replicated by fw-b: ignored, entry 3 of sync.ignore leaves it out");
	ck_assert_str_eq(o.change, "remove or narrow entry 3 of sync.ignore");
}
END_TEST

static const struct {
	int err;
	uint16_t zone;
	uint32_t helper;
	const char *code, *part;
} refusals[] = {
	{ ENOMEM, 0, 0, "table-full", "(99 of 100 entries)" },
	{ ENOSPC, 0, 0, "chain-too-long", "hash chain of fw-b" },
	{ EEXIST, 0, 0, "collision", "another session of fw-b" },
	{ EOPNOTSUPP, 0, SYNC_FACT_HELPER, "no-helper", "fw-b lacks" },
	{ EOPNOTSUPP, 5, 0, "no-zone", "no conntrack zones" },
	{ EOPNOTSUPP, 0, 0, "unsupported", "lacks a part" },
	{ ENOENT, 0, 0, "no-master", "belongs to" },
	{ EINVAL, 0, 0, "invalid", "of this form" },
	{ EPERM, 0, 0, "not-permitted", "may not write" },
	{ EBUSY, 0, 0, "busy", "cannot be changed" },
	{ EIO, 0, 0, "other", "refused it" },
};

/* The refusing kernel's own word, and what the owner was told by REFUSED when that node does not answer any more. */
START_TEST(test_verdict_of_refusals)
{
	struct explain_in in = two(EXPLAIN_ANSWERED);
	struct explain_out o;

	know(&in.nodes[0], OWN | refusals[_i].helper, SYNC_WHY_NONE);
	know(&in.nodes[1], SYNC_FACT_TABLE | refusals[_i].helper, SYNC_WHY_FAILED);
	in.nodes[1].f.err = (uint8_t)refusals[_i].err;
	in.nodes[1].f.kernel_count = 99;
	in.nodes[1].f.kernel_max = 100;
	in.nodes[1].f.orig.zone = refusals[_i].zone;
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, refusals[_i].code);
	ck_assert_msg(strstr(o.verdict, refusals[_i].part) != NULL, "%s", o.verdict);
	ck_assert_ptr_null(strstr(o.change, "{}"));

	/* Taken over since: it is this node's own, and its own kernel that refuses. */
	in.nodes[0].f.flags = 0;
	in.nodes[1].f.flags |= SYNC_FACT_MINE | SYNC_FACT_REFUSED;
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, refusals[_i].code);
	ck_assert_ptr_nonnull(strstr(o.verdict, "fw-b refused it"));

	in = two(EXPLAIN_SILENT);
	know(&in.nodes[0], OWN | refusals[_i].helper, SYNC_WHY_FAILED);
	in.nodes[0].f.err = (uint8_t)refusals[_i].err;
	in.nodes[0].f.orig.zone = refusals[_i].zone;
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, refusals[_i].code);
}
END_TEST

START_TEST(test_verdict_by_what_is_where)
{
	struct explain_in in = two(EXPLAIN_ANSWERED);
	struct explain_out o;

	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "nowhere");
	ck_assert_ptr_nonnull(strstr(o.verdict, "not in the kernel of fw-a or fw-b"));
	know(&in.nodes[0], OWN, SYNC_WHY_NONE);
	know(&in.nodes[1], COPY, SYNC_WHY_NONE);
	explain_build(&in, &o);
	ck_assert(o.replicated);
	ck_assert_str_eq(o.code, "replicated");
	in.nodes[0].f.status = CT_ST_OFFLOAD;
	explain_build(&in, &o);
	ck_assert(o.replicated);
	ck_assert_str_eq(o.code, "offloaded");
	in.nodes[0].f.status = 0;
	know(&in.nodes[1], SYNC_FACT_TABLE, SYNC_WHY_WARM);
	explain_build(&in, &o);
	ck_assert(o.replicated);
	ck_assert_str_eq(o.code, "warm");
	know(&in.nodes[1], SYNC_FACT_TABLE, SYNC_WHY_INJECTING);
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "injecting");
	know(&in.nodes[1], SYNC_FACT_KERNEL | SYNC_FACT_JUDGED, SYNC_WHY_NONE);
	know(&in.nodes[0], 0, SYNC_WHY_NONE);
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "only-on-peer");

	/* A reason that a later version added. */
	in = two(EXPLAIN_ANSWERED);
	know(&in.nodes[1], OWN, SYNC_WHY_NONE);
	strcpy(in.nodes[1].f.word, "full-moon");
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "unknown-reason");
	ck_assert_ptr_nonnull(strstr(o.verdict, "full-moon"));

	in = two(EXPLAIN_ANSWERED);
	in.nodes[0].f.flags = SYNC_FACT_UNREAD;
	in.nodes[0].f.kernel_err = EPERM;
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "kernel-unread");
}
END_TEST

START_TEST(test_a_peer_without_an_answer)
{
	enum explain_peer_state state = (enum explain_peer_state)_i;
	struct explain_in in = two(state);
	struct explain_out o;

	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "not-here");
	ck_assert_ptr_nonnull(strstr(o.step[o.n - 1].text, "the peer did not answer: "));
	if (state == EXPLAIN_DOWN)
		ck_assert_ptr_nonnull(strstr(o.verdict, "no route"));
	know(&in.nodes[0], OWN, SYNC_WHY_NONE);
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "unconfirmed");
	ck_assert(!o.replicated);
	know(&in.nodes[0], OWN, SYNC_WHY_PROTO_OFF);
	explain_build(&in, &o);
	ck_assert_str_eq(o.code, "protocol-off");
}
END_TEST

/* Facts of a core: in the table, in the kernel alone, nowhere, with replication off. */
START_TEST(test_facts)
{
	struct ct_entry e = rig_flow(4000, IPPROTO_TCP, true), own = rig_flow(4001, IPPROTO_UDP, false);
	struct ct_entry last = rig_flow(4002, IPPROTO_UDP, false);
	struct sync_facts f;
	struct ct_tuple back;

	rig_open(r, A, &e);
	rig_run(r, NS_PER_SEC);
	explain_facts(r->n[A].s, &e.orig, &e, 0, r->now, &f);
	ck_assert_uint_eq(f.flags, OWN | SYNC_FACT_TUPLES | SYNC_FACT_SERVES);
	ck_assert_str_eq(f.word, "synced");
	ck_assert_uint_eq(f.left_s, 432000);
	ck_assert_uint_eq(f.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_uint_lt(f.quiet_s, 5);
	explain_facts(r->n[B].s, &e.orig, NULL, 0, r->now, &f);
	ck_assert_uint_eq(f.flags, SYNC_FACT_TABLE | SYNC_FACT_TUPLES | SYNC_FACT_LEASED);
	ck_assert_uint_eq(f.version.node, 1);
	ck_assert_uint_eq(f.quiet_s, UINT32_MAX);
	/* by the answer's direction, without the kernel's help */
	back = e.orig;
	memcpy(back.src, e.orig.dst, 16);
	memcpy(back.dst, e.orig.src, 16);
	back.sport = e.orig.dport;
	back.dport = e.orig.sport;
	explain_facts(r->n[B].s, &back, NULL, 0, r->now, &f);
	ck_assert(f.flags & SYNC_FACT_TABLE);

	memcpy(own.orig.src, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(own.reply.dst, own.orig.src, 16);
	explain_facts(r->n[A].s, &own.orig, &own, 0, r->now, &f);
	ck_assert_uint_eq(f.flags, SYNC_FACT_KERNEL | SYNC_FACT_TUPLES | SYNC_FACT_JUDGED | SYNC_FACT_SERVES);
	ck_assert_str_eq(f.word, "local-origin");
	ck_assert_int_eq(f.cause, SYNC_ADDR_OWN);
	ck_assert_mem_eq(f.cause_ip, own.orig.src, 16);
	memcpy(own.orig.src, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	explain_facts(r->n[A].s, &own.orig, &own, 0, r->now, &f);
	ck_assert_int_eq(f.cause, SYNC_ADDR_LOOPBACK);
	memcpy(own.orig.src, (uint8_t[]){ 192, 0, 2, 9 }, 4);
	memcpy(own.reply.src, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	explain_facts(r->n[A].s, &own.orig, &own, 0, r->now, &f);
	ck_assert_str_eq(f.word, "local-destination");
	ck_assert_int_eq(f.cause, SYNC_ADDR_VIP);
	memcpy(own.reply.src, (uint8_t[]){ 224, 0, 0, 5 }, 4);
	explain_facts(r->n[A].s, &own.orig, &own, 0, r->now, &f);
	ck_assert_int_eq(f.cause, SYNC_ADDR_GROUP);

	r->conf[A].n_ignore = 2;
	r->conf[A].ignore[0] =
	    (struct sync_ignore){ .protocols = 1u << SYNC_PROTO_TCP, .port_high = UINT16_MAX, .any_zone = true };
	r->conf[A].ignore[1] =
	    (struct sync_ignore){ .protocols = 1u << SYNC_PROTO_UDP, .port_high = UINT16_MAX, .any_zone = true };
	explain_facts(r->n[A].s, &last.orig, &last, 0, r->now, &f);
	ck_assert_str_eq(f.word, "ignored");
	ck_assert_uint_eq(f.rule, 2);
	r->conf[A].n_ignore = 0;

	explain_facts(r->n[A].s, &last.orig, NULL, 0, r->now, &f);
	ck_assert_uint_eq(f.flags, SYNC_FACT_SERVES);
	explain_facts(NULL, &last.orig, NULL, -EPERM, r->now, &f);
	ck_assert_uint_eq(f.flags, SYNC_FACT_UNREAD | SYNC_FACT_OFF);
	ck_assert_uint_eq(f.kernel_err, EPERM);
	ck_assert_str_eq(f.word, "replication-off");
	explain_facts(NULL, &last.orig, &last, 0, r->now, &f);
	ck_assert_uint_eq(f.flags, SYNC_FACT_KERNEL | SYNC_FACT_TUPLES | SYNC_FACT_OFF);
}
END_TEST

/* Answers everything that the other node asks, as the driver does. */
static unsigned serve(unsigned i)
{
	uint32_t node, id;
	struct ct_tuple t;
	struct sync_facts f;
	unsigned n = 0;

	for (; sync_asked(r->n[i].s, &node, &id, &t); n++) {
		explain_facts(r->n[i].s, &t, NULL, 0, r->now, &f);
		sync_answer(r->n[i].s, node, id, &f);
	}
	return n;
}

START_TEST(test_question_and_answer)
{
	struct ct_entry e = rig_flow(4000, IPPROTO_TCP, true);
	struct sync_facts f = { 0 };
	uint32_t id = 0, other = 0;

	rig_open(r, A, &e);
	rig_run(r, NS_PER_SEC);
	ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.orig, &id), 0);
	ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.reply, &other), 0);
	ck_assert_uint_ne(id, other);
	ck_assert_int_eq(sync_ask_look(r->n[B].s, 1, id, &f), SYNC_ASK_NEW);
	rig_deliver(r, B);
	ck_assert_int_eq(sync_ask_look(r->n[B].s, 1, id, &f), SYNC_ASK_SENT);
	ck_assert_uint_eq(serve(A), 2);
	ck_assert_uint_eq(serve(A), 0);
	rig_deliver(r, A);
	ck_assert_int_eq(sync_ask_look(r->n[B].s, 1, id, &f), SYNC_ASK_ANSWERED);
	ck_assert(f.flags & SYNC_FACT_MINE);
	ck_assert_mem_eq(&f.orig, &e.orig, sizeof(e.orig));
	sync_ask_end(r->n[B].s, 1, id);
	ck_assert_int_eq(sync_ask_look(r->n[B].s, 1, id, &f), SYNC_ASK_NONE);
	/* no such peer, or not connected */
	ck_assert_int_eq(sync_ask(r->n[B].s, 9, &e.orig, &id), -ENOTCONN);
	ck_assert_int_eq(sync_ask_look(r->n[B].s, 9, 1, NULL), SYNC_ASK_NONE);
	ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.orig, &id), 0);
	rig_down(r);
	ck_assert_int_eq(sync_ask_look(r->n[B].s, 1, id, NULL), SYNC_ASK_NONE);
	ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.orig, &id), -ENOTCONN);
}
END_TEST

/* An answer that comes after its question was given up is counted, and nothing else. */
START_TEST(test_late_answer)
{
	struct ct_entry e = rig_flow(4000, IPPROTO_TCP, true);
	uint32_t id = 0;

	ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.orig, &id), 0);
	rig_deliver(r, B);
	sync_ask_end(r->n[B].s, 1, id);
	ck_assert_uint_eq(serve(A), 1);
	rig_deliver(r, A);
	ck_assert_uint_eq(r->n[B].s->stats.rx_answers_late, 1);
}
END_TEST

START_TEST(test_questions_have_limits)
{
	struct ct_entry e = rig_flow(4000, IPPROTO_TCP, true);
	struct sync_rec rec = { .type = SYNC_REC_ASK, .owner = 2, .e = e };
	uint32_t id;

	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.orig, &id), 0);
	ck_assert_int_eq(sync_ask(r->n[B].s, 1, &e.orig, &id), ERR_FULL);
	/* A peer that asks without end: open ones are limited, and so is the rate. */
	for (unsigned i = 0; i < 1000; i++) {
		rec.ask_id = i + 1;
		rec.seq = sync_peer_get(r->n[A].s, 2)->rx_seq + 1;
		sync_on_record(r->n[A].s, 2, &rec, r->now);
	}
	ck_assert_uint_eq(serve(A), SYNC_ASKS_MAX);
	ck_assert_uint_eq(r->n[A].s->stats.rx_asks, 1000);
	ck_assert_uint_eq(r->n[A].s->stats.rx_asks_refused, 1000 - SYNC_ASKS_MAX);
	unsigned answered = SYNC_ASKS_MAX;
	for (unsigned i = 0; i < 1000; i++) {
		struct sync_rec out;
		while (sync_pull_rec(r->n[A].s, 2, &out, r->now))
			;
		rec.ask_id = 5000 + i;
		rec.seq++;
		sync_on_record(r->n[A].s, 2, &rec, r->now);
		answered += serve(A);
	}
	ck_assert_uint_le(answered, SYNC_ASK_BURST_NS / SYNC_ASK_NS + 2);
}
END_TEST

static void open_some(struct ct_entry *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		e[i] = rig_flow((uint16_t)(5000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, n);
}

static void all_there(unsigned n)
{
	ck_assert_uint_eq(r->n[A].n, n);
	ck_assert_uint_eq(r->n[B].n, n);
	ck_assert(rig_equal(r));
	rig_check(r->n[A].s);
	rig_check(r->n[B].s);
}

static void until_done(unsigned i)
{
	for (unsigned k = 0; k < 100 && mono_is_never(r->n[i].s->reset.end); k++)
		rig_run(r, 200 * NS_PER_MS);
	ck_assert(!mono_is_never(r->n[i].s->reset.end));
	ck_assert_uint_eq(r->n[i].s->reset.out | r->n[i].s->reset.in, 0);
	rig_run(r, 3 * NS_PER_SEC);
}

/* Each order on each node: everything is told again as it says, and nothing that lives ends, not for a moment. */
START_TEST(test_orders_lose_nothing)
{
	enum sync_order order = (enum sync_order)(_i % 3);
	unsigned who = (unsigned)_i / 3;
	struct ct_entry e[30];

	open_some(e, 30);
	unsigned del[2] = { r->n[A].ops[CT_OP_DELETE], r->n[B].ops[CT_OP_DELETE] };
	uint64_t out = sync_peer_get(r->n[who].s, 2 - who)->again.n_out,
		 in = sync_peer_get(r->n[who].s, 2 - who)->again.n_in;
	uint64_t sweeps = r->n[who].s->sweeps_done;
	ck_assert_int_eq(sync_reset_give(r->n[who].s, order, r->now), 0);
	ck_assert(mono_is_never(r->n[who].s->reset.end));
	until_done(who);
	ck_assert_uint_eq(r->n[A].ops[CT_OP_DELETE], del[0]);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_DELETE], del[1]);
	ck_assert_uint_eq(sync_peer_get(r->n[who].s, 2 - who)->again.n_out - out, order != SYNC_ORDER_EXTERNAL);
	ck_assert_uint_eq(sync_peer_get(r->n[who].s, 2 - who)->again.n_in - in, order != SYNC_ORDER_INTERNAL);
	ck_assert_uint_gt(r->n[who].s->sweeps_done, sweeps);
	ck_assert_uint_eq(r->n[who].s->reset.judged, order == SYNC_ORDER_INTERNAL && who == A ? 30 : 0);
	ck_assert_uint_eq(r->n[who].s->stats.claims + r->n[!who].s->stats.claims, 0);
	all_there(30);
}
END_TEST

/* A copy that vanished unseen, with its question lost too, is forgotten and told anew. */
START_TEST(test_external_reset_forgets_what_is_lost)
{
	struct ct_entry e[5];

	open_some(e, 5);
	r->n[B].cut = true; /* its WANT does not get out */
	rig_remove(r, B, rig_find(&r->n[B], &e[2].orig), TOOL_PORT);
	rig_run(r, 10 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, B, &e[2]).why, SYNC_WHY_LOST);
	ck_assert_int_eq(sync_reset_give(r->n[B].s, SYNC_ORDER_EXTERNAL, r->now), 0);
	sync_tick(r->n[B].s, r->now);
	ck_assert_uint_eq(r->n[B].s->reset.forgotten, 1);
	ck_assert(!rig_known(r, B, &e[2]));
	r->n[B].cut = false;
	until_done(B);
	all_there(5);
}
END_TEST

/* A refused copy is tried again at once, and its owner hears how it went. */
START_TEST(test_external_reset_tries_refused_copies)
{
	struct ct_entry e = rig_flow(4000, IPPROTO_TCP, true);

	r->n[B].fail = ENOSPC;
	rig_open(r, A, &e);
	rig_run(r, 40 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_FAILED);
	r->n[B].fail = 0;
	ck_assert_int_eq(sync_reset_give(r->n[B].s, SYNC_ORDER_EXTERNAL, r->now), 0);
	rig_run(r, 300 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].n, 1);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_NONE);
	all_there(1);
}
END_TEST

/* What a peer said of an own flow is not believed for ever. */
START_TEST(test_internal_reset_judges_anew)
{
	struct ct_entry e = rig_flow(4000, IPPROTO_UDP, false);
	struct addr both[2] = { addr_v4(10, 0, 0, 2), addr_v4(192, 0, 2, 9) };

	ck_assert_int_eq(sync_local_addrs(r->n[B].s, both, 2, r->now), 0);
	rig_open(r, A, &e);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PEER_LOCAL);
	ck_assert_int_eq(sync_local_addrs(r->n[B].s, both, 1, r->now), 0);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_PEER_LOCAL);
	ck_assert_int_eq(sync_reset_give(r->n[A].s, SYNC_ORDER_INTERNAL, r->now), 0);
	rig_run(r, 20 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_NONE);
	ck_assert_uint_eq(r->n[B].n, 1);
}
END_TEST

START_TEST(test_no_order_during_a_switch)
{
	sync_demoting(r->n[A].s, r->now);
	for (unsigned o = 0; o < 3; o++)
		ck_assert_int_eq(sync_reset_give(r->n[A].s, (enum sync_order)o, r->now), ERR_STATE);
	ck_assert(!r->n[A].s->reset.given);
	sync_stable(r->n[A].s, r->now);
	ck_assert_int_eq(sync_reset_give(r->n[A].s, SYNC_ORDER_RESYNC, r->now), 0);
	/* and one under way waits for its end */
	sync_demoting(r->n[A].s, r->now);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(mono_is_never(r->n[A].s->reset.end));
	sync_stable(r->n[A].s, r->now);
	until_done(A);
}
END_TEST

/* A peer that goes away is not waited for; however often one asks for everything, it is told once a second at most. */
START_TEST(test_order_and_the_peer)
{
	struct ct_entry e[5];
	struct sync_rec rec = { .type = SYNC_REC_RESYNC, .owner = 2 };

	open_some(e, 5);
	uint64_t out = sync_peer_get(r->n[A].s, 2)->again.n_out;
	mono_t begin = r->now;
	for (unsigned i = 0; i < 50; i++) {
		rec.seq = sync_peer_get(r->n[A].s, 2)->rx_seq + 1;
		sync_on_record(r->n[A].s, 2, &rec, r->now);
		rig_run(r, 60 * NS_PER_MS);
	}
	uint64_t told = sync_peer_get(r->n[A].s, 2)->again.n_out - out;
	ck_assert_uint_ge(told, 2);
	ck_assert_uint_le(told, (uint64_t)(mono_sub(r->now, begin) / NS_PER_SEC) + 2);
	ck_assert_uint_eq(r->n[A].s->stats.rx_resyncs, 50);
	rig_run(r, 3 * NS_PER_SEC);

	ck_assert_int_eq(sync_reset_give(r->n[A].s, SYNC_ORDER_RESYNC, r->now), 0);
	rig_down(r);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(!mono_is_never(r->n[A].s->reset.end));
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	all_there(5);
}
END_TEST

START_TEST(test_counters_clear)
{
	struct ct_entry e[5];

	open_some(e, 5);
	ck_assert_uint_gt(r->n[A].s->stats.tx_created, 0);
	uint32_t rate = sync_sweep_rate(r->n[A].s);
	sync_counters_clear(r->n[A].s);
	for (unsigned i = 0; i < SYNC_STATS_N; i++)
		ck_assert_uint_eq(((const uint64_t *)&r->n[A].s->stats)[i], 0);
	/* no decision hangs on a counter */
	ck_assert_uint_eq(sync_sweep_rate(r->n[A].s), rate);
	rig_run(r, 3 * NS_PER_SEC);
	all_there(5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_explain");
	TCase *t = tcase_create("words");
	tcase_add_loop_test(t, test_what_may_be_typed, 0, sizeof(typed) / sizeof(typed[0]));
	tcase_add_test(t, test_forms);
	tcase_add_test(t, test_every_reason_has_words);
	tcase_add_loop_test(t, test_verdict_of_every_reason, 0, SYNC_WHY_N);
	tcase_add_test(t, test_verdict_names_address_and_rule);
	tcase_add_loop_test(t, test_verdict_of_refusals, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(t, test_verdict_by_what_is_where);
	tcase_add_loop_test(t, test_a_peer_without_an_answer, EXPLAIN_DOWN, EXPLAIN_BUSY + 1);
	suite_add_tcase(s, t);
	t = tcase_create("cores");
	tcase_add_checked_fixture(t, rig_pair_setup_fenced, rig_pair_teardown);
	tcase_add_test(t, test_facts);
	tcase_add_test(t, test_question_and_answer);
	tcase_add_test(t, test_late_answer);
	tcase_add_test(t, test_questions_have_limits);
	tcase_add_loop_test(t, test_orders_lose_nothing, 0, 6);
	tcase_add_test(t, test_external_reset_forgets_what_is_lost);
	tcase_add_test(t, test_external_reset_tries_refused_copies);
	tcase_add_test(t, test_internal_reset_judges_anew);
	tcase_add_test(t, test_no_order_during_a_switch);
	tcase_add_test(t, test_order_and_the_peer);
	tcase_add_test(t, test_counters_clear);
	suite_add_tcase(s, t);
	return unit_run(s);
}
