/* Requests to the kernel's table in memory. Rules: nf_conntrack_netlink.c, nf_nat_core.c. */
#include "tests/sim/fake_ct_int.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"

/* IPS_UNCHANGEABLE_MASK: bits that a request cannot set or clear. */
#define UNCHANGEABLE                                                                                                  \
	(CT_ST_SRC_NAT | CT_ST_DST_NAT | CT_ST_SRC_NAT_DONE | CT_ST_DST_NAT_DONE | CT_ST_EXPECTED | CT_ST_CONFIRMED | \
	 CT_ST_DYING | CT_ST_SEQ_ADJUST | 1u << 11 | 1u << 12 | 1u << 13 | CT_ST_OFFLOAD | 1u << 15)

/* IPS_HELPER: the helper was named, not guessed. */
#define ST_HELPER (1u << 13)

void fct_nat_setup(struct ent *e, const struct fake_ct_manip *m, bool src)
{
	struct ct_tuple cur, want;
	require(ct_tuple_invert(&e->tuple[REPLY], &cur));
	want = cur;
	bool icmp = cur.l4 == IPPROTO_ICMP || cur.l4 == IPPROTO_ICMPV6;
	if (m->given) {
		memcpy(src ? want.src : want.dst, m->addr, sizeof(want.src));
		if (m->has_port && (src || icmp))
			want.sport = m->port;
		else if (m->has_port)
			want.dport = m->port;
	}
	if (!ct_tuple_equal(&want, &cur)) {
		require(ct_tuple_invert(&want, &e->tuple[REPLY]));
		e->status |= src ? CT_ST_SRC_NAT : CT_ST_DST_NAT;
	}
	e->status |= src ? CT_ST_SRC_NAT_DONE : CT_ST_DST_NAT_DONE;
}

/* No CTA_NAT_SRC beside a CTA_NAT_DST: the kernel may move the source port away from a reply tuple that is taken. */
static void nat_free_choice(struct fake_ct *f, struct ent *e)
{
	struct ct_tuple plain = e->tuple[REPLY];
	struct fake_ct_manip m = { .given = false };
	for (unsigned i = 1; i < 64 && fct_find(f, &e->tuple[REPLY], NULL); i++) {
		m.given = m.has_port = true;
		memcpy(m.addr, plain.dst, sizeof(m.addr));
		m.port = (uint16_t)(plain.dport + i);
		e->tuple[REPLY] = plain;
		fct_nat_setup(e, &m, true);
	}
	e->status |= CT_ST_SRC_NAT_DONE;
}

static int change_status(struct ent *e, uint32_t want)
{
	uint32_t d = e->status ^ want;
	if (d & (CT_ST_EXPECTED | CT_ST_CONFIRMED | CT_ST_DYING))
		return -EBUSY;
	if (d & ~want & (CT_ST_SEEN_REPLY | CT_ST_ASSURED))
		return -EBUSY;
	e->status |= want & ~(uint32_t)UNCHANGEABLE;
	return 0;
}

static void change_tcp(struct ent *e, const struct fake_ct_req *q)
{
	if (e->tuple[ORIG].l4 != IPPROTO_TCP)
		return;
	if (q->has_tcp_state)
		e->tcp_state = q->tcp_state;
	for (int d = ORIG; d <= REPLY; d++) {
		if (q->has_flags[d])
			e->tcp_flags[d] =
			    (uint8_t)((e->tcp_flags[d] & ~q->flags_mask[d]) | (q->flags[d] & q->flags_mask[d]));
	}
	/* a scale without the flag in both directions is not stored */
	if (q->has_wscale[ORIG] && q->has_wscale[REPLY] &&
	    (e->tcp_flags[ORIG] & e->tcp_flags[REPLY] & CT_TCP_WINDOW_SCALE)) {
		e->tcp_wscale[ORIG] = q->wscale[ORIG];
		e->tcp_wscale[REPLY] = q->wscale[REPLY];
	}
}

static bool helper_known(const char *name)
{
	static const char *const known[] = { "ftp",  "tftp", "sip",        "irc", "amanda", "pptp",
					     "snmp", "sane", "netbios-ns", "RAS", "Q.931",  "H.245" };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(known[i], name))
			return true;
	}
	return false;
}

/* The order of the checks is that of ctnetlink_create_conntrack. */
static int fill_new(struct fake_ct *f, struct ent *e, const struct fake_ct_req *q)
{
	e->tuple[ORIG] = q->orig;
	e->tuple[REPLY] = q->reply;
	if (!fct_make_room(f, &q->orig, true))
		return -ENOMEM;
	if (!q->has_timeout)
		return -EINVAL;
	if (q->has_helper) {
		if (!helper_known(q->helper))
			return -EOPNOTSUPP;
		memcpy(e->helper, q->helper, sizeof(e->helper));
		e->status |= ST_HELPER;
	}
	if (q->nat_src.given || q->nat_dst.given) {
		fct_nat_setup(e, &q->nat_dst, false);
		if (q->nat_src.given)
			fct_nat_setup(e, &q->nat_src, true);
		else
			nat_free_choice(f, e);
	}
	e->status |= CT_ST_CONFIRMED;
	int rc =
	    q->has_status ? change_status(e, q->status | (e->status & UNCHANGEABLE & ~(uint32_t)CT_ST_CONFIRMED)) : 0;
	if (rc)
		return rc;
	change_tcp(e, q);
	e->mark = q->has_mark ? q->mark : 0;
	if (q->has_master) {
		if (!fct_find(f, &q->master, NULL))
			return -ENOENT;
		e->status |= CT_ST_EXPECTED;
		e->master = q->master;
		e->has_master = true;
	}
	return fct_find(f, &e->tuple[ORIG], NULL) || fct_find(f, &e->tuple[REPLY], NULL) ? -EEXIST : 0;
}

static int create(struct fake_ct *f, uint32_t portid, const struct fake_ct_req *q)
{
	if (!q->has_orig || !q->has_reply || q->orig.l4 != q->reply.l4)
		return -EINVAL;
	struct ent *e = fct_new(f);
	e->injected = true;
	e->stream = (mono_t){ -1 }; /* a copy has no start: the next packet finds a stream */
	int rc = fill_new(f, e, q);
	if (rc) {
		free(e);
		return rc;
	}
	fct_expire_at(f, e, q->timeout_s);
	fct_link(f, e);
	fct_emit(f, e, CT_EV_NEW, portid, true);
	return 0;
}

/* What came before the failing attribute has been changed, as in the kernel. */
static int change(struct fake_ct *f, uint32_t portid, struct ent *e, const struct fake_ct_req *q)
{
	if (q->nat_src.given || q->nat_dst.given || q->has_master)
		return -EOPNOTSUPP;
	if (q->has_helper) {
		if (e->has_master)
			return strcmp(e->helper, q->helper) ? -EBUSY : 0;
		if (!helper_known(q->helper))
			return -EOPNOTSUPP;
		if (strcmp(e->helper, q->helper))
			return e->helper[0] ? -EBUSY : -EOPNOTSUPP;
	}
	if (q->has_timeout) {
		if (e->status & CT_ST_FIXED_TIMEOUT)
			return -EPERM;
		fct_expire_at(f, e, q->timeout_s);
	}
	int rc = q->has_status ? change_status(e, q->status) : 0;
	if (rc)
		return rc;
	change_tcp(e, q);
	if (q->has_mark)
		e->mark = q->mark;
	fct_emit(f, e, CT_EV_UPDATE, portid, true);
	return 0;
}

int fake_ct_msg(struct fake_ct *f, uint32_t portid, const void *msg, size_t len, struct ct_event *got)
{
	struct fake_ct_req q;
	require(portid);
	int rc = fake_ct_req_read(msg, len, &q);
	if (rc)
		return rc;
	struct ent *e = q.has_orig ? fct_find(f, &q.orig, NULL) : q.has_reply ? fct_find(f, &q.reply, NULL) : NULL;
	switch (q.cmd) {
	case FAKE_CMD_NEW:
		if (!e)
			return q.create ? create(f, portid, &q) : -ENOENT;
		return q.excl ? -EEXIST : change(f, portid, e, &q);
	case FAKE_CMD_DELETE:
		if (!e || (q.has_id && q.id != e->id))
			return -ENOENT;
		fct_destroy(f, e, portid);
		return 0;
	case FAKE_CMD_GET:
		if (!e)
			return -ENOENT;
		if (got) {
			got->type = CT_EV_DUMP;
			got->portid = 0;
			fct_describe(f, e, CT_EV_DUMP, true, true, &got->e);
		}
		return 0;
	}
	return -EINVAL;
}

int fake_ct_op(struct fake_ct *f, uint32_t portid, const struct ct_op *op, struct ct_event *got)
{
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	int rc = ct_wire_build(&w, op, 1);
	if (rc)
		return rc;
	bool fails = f->fault.fail && portid == f->own && f->fault.fail-- % f->fault.fail_every == 0;
	f->stats.failed += fails;
	if (fails && f->fault.fail_err != -ENOBUFS)
		return f->fault.fail_err;
	rc = fake_ct_msg(f, portid, buf, wire_len(&w), got);
	return fails ? f->fault.fail_err : rc;
}
