#include "ike-hooks/ike_lint.h"

#include <stdio.h>
#include <string.h>

static const struct row {
	enum ike_grade grade;
	enum ike_scope scope;
	const char *setting, *value, *danger, *fix;
} rows[IKE_LINT_N] = {
#define IKE_ROW(name, grade, scope, setting, value, danger, fix) [name] = { grade, scope, setting, value, danger, fix },
	IKE_LINT_TABLE(IKE_ROW)
#undef IKE_ROW
};

static char *found(struct ike_lint_out *out, enum ike_lint what)
{
	struct ike_finding *f = &out->f[out->n++];

	*f = (struct ike_finding){ .what = what };
	return f->value;
}

#define FOUND(out, what, ...) snprintf(found(out, what), sizeof((out)->f[0].value), __VA_ARGS__)

/* The addresses of one end, for people. */
static void ends_text(const struct vici_ends *e, char *buf, size_t size)
{
	char text[ADDR_TEXT_MAX];
	size_t n = 0;

	snprintf(buf, size, "%s", e->any ? "%any" : "");
	for (uint8_t i = 0; i < e->n && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%.45s", n ? ", " : "", addr_text(&e->addr[i], text));
	if (e->other && n < size)
		snprintf(buf + n, size - n, "%s%u names or ranges", n ? ", " : "", e->other);
}

static void lint_ends(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	const struct vici_conn *c = in->conn;
	const struct ike_tunnel_conf *t = in->tunnel;
	char text[100];

	/* A name or a range may contain the address: nothing is said about those. */
	ends_text(&c->local, text, sizeof(text));
	if (c->local.any)
		FOUND(out, IKE_LINT_LOCAL_ANY, "%s", text);
	else if (!c->local.other && !vici_ends_has(&c->local, &t->vip))
		FOUND(out, IKE_LINT_LOCAL_OTHER, "%s", text);
	ends_text(&c->remote, text, sizeof(text));
	if (c->remote.any && t->initiate)
		FOUND(out, IKE_LINT_REMOTE_ANY, "%s", text);
	else if (t->peer.af && !c->remote.any && !c->remote.other && !vici_ends_has(&c->remote, &t->peer))
		FOUND(out, IKE_LINT_REMOTE_OTHER, "%s", text);
}

static void lint_dpd(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	const struct vici_conn *c = in->conn;
	uint32_t late = in->retransmit_s ? in->retransmit_s : IKE_RETRANSMIT_STD_S;

	if (!c->dpd_delay_s) {
		FOUND(out, in->tunnel->dpd.enabled ? IKE_LINT_DPD_OURS : IKE_LINT_DPD_OFF, "0");
		return;
	}
	/* IKEv2 gives a peer up when a request was repeated in vain; dpd_timeout is of IKEv1. */
	bool by_timeout = c->v1 && !c->v2 && c->dpd_timeout_s;
	if (by_timeout)
		late = c->dpd_timeout_s;
	out->detect_s = c->dpd_delay_s + late;
	if (out->detect_s > IKE_DETECT_MAX_S && !in->tunnel->dpd.enabled)
		FOUND(out, IKE_LINT_DPD_SLOW, "%u s: dpd_delay %u s and %u s of %s", out->detect_s, c->dpd_delay_s,
		      late,
		      by_timeout         ? "dpd_timeout"
		      : in->retransmit_s ? "repetitions"
					 : "repetitions (charon's standard)");
}

static void lint_conn(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	const struct vici_conn *c = in->conn;

	/* MOBIKE exists in IKEv2 only. */
	out->mobike_unknown = c->v2 && !c->has_mobike && !in->floated && !in->moved;
	if (in->moved && !(c->has_mobike && !c->mobike))
		FOUND(out, IKE_LINT_MOVED, "%llu times", (unsigned long long)in->moved);
	else if (c->v2 && c->has_mobike && c->mobike)
		FOUND(out, IKE_LINT_MOBIKE, "yes");
	else if (c->v2 && !c->has_mobike && in->floated)
		FOUND(out, IKE_LINT_MOBIKE, "yes (port 4500 is used where nobody translates addresses)");
	lint_ends(in, out);
	/* A warm IKE SA lives beside the one of the virtual address: it must not be replaced by it. */
	if (c->unique == VICI_UNIQUE_NEVER && !in->tunnel->warm)
		FOUND(out, IKE_LINT_UNIQUE_NEVER, "never");
	else if (c->unique == VICI_UNIQUE_NO && !in->tunnel->warm)
		FOUND(out, IKE_LINT_UNIQUE_NO, "no");
	if (c->id_wild && in->tunnel->initiate)
		FOUND(out, IKE_LINT_ID_WILD, "%s", c->remote_id[0] ? c->remote_id : "none");
	lint_dpd(in, out);
	if (c->reauth_s)
		FOUND(out, IKE_LINT_REAUTH, "%u s", c->reauth_s);
}

static void lint_child(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	const struct vici_child_conf *k = vici_conn_child(in->conn, in->tunnel->child);

	if (!k) {
		/* There may have been no room for it in the list. */
		if (!in->conn->more_children)
			FOUND(out, IKE_LINT_NO_CHILD, "%s", in->tunnel->child);
		return;
	}
	out->start_unknown = k->start == VICI_DO_UNKNOWN;
	if (k->start == VICI_DO_START)
		FOUND(out, IKE_LINT_START, "start");
	else if (in->unwanted)
		FOUND(out, IKE_LINT_UNWANTED, "%llu times", (unsigned long long)in->unwanted);
	if (k->close == VICI_DO_START)
		FOUND(out, IKE_LINT_CLOSE, "start");
	if (k->dpd == VICI_DO_START)
		FOUND(out, IKE_LINT_DPD_ACTION, "start");
}

/* The connection of a backup's own address. */
static void lint_warm(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	const struct vici_conn *c = in->warm;
	const struct ike_tunnel_conf *t = in->tunnel;

	if (!t->warm)
		return;
	if (!c || (!vici_conn_child(c, t->warm_child) && !c->more_children)) {
		FOUND(out, IKE_LINT_NO_WARM, "%s", t->warm_ike);
		return;
	}
	if (!c->v2)
		FOUND(out, IKE_LINT_WARM_V1, "1");
	if (vici_ends_has(&c->local, &t->vip)) {
		char text[100];
		ends_text(&c->local, text, sizeof(text));
		FOUND(out, IKE_LINT_WARM_LOCAL, "%s", text);
	}
}

static void lint_copies(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	switch (in->copies) {
	case SA_POLICY_UNKNOWN:
	case SA_POLICY_FITS:
		return;
	case SA_POLICY_OTHER_REQID:
		FOUND(out, IKE_LINT_COPY_REQID, "inbound");
		return;
	case SA_POLICY_NONE:
		FOUND(out, IKE_LINT_COPY_NONE, "inbound");
		return;
	}
}

void ike_lint(const struct ike_lint_in *in, struct ike_lint_out *out)
{
	memset(out, 0, sizeof(*out));
	if (!in->conn) {
		FOUND(out, IKE_LINT_NO_CONN, "%s", in->tunnel->ike);
		return;
	}
	lint_conn(in, out);
	lint_child(in, out);
	lint_warm(in, out);
	lint_copies(in, out);
	/* The table is in order of gravity. */
	for (unsigned i = 1; i < out->n; i++) {
		struct ike_finding f = out->f[i];
		unsigned k = i;
		for (; k > 0 && out->f[k - 1].what > f.what; k--)
			out->f[k] = out->f[k - 1];
		out->f[k] = f;
	}
}

enum ike_grade ike_lint_grade(enum ike_lint what)
{
	return rows[what].grade;
}

const char *ike_grade_name(enum ike_grade g)
{
	switch (g) {
	case IKE_GRADE_DANGER:
		return "danger";
	case IKE_GRADE_WARNING:
		return "warning";
	case IKE_GRADE_NOTE:
		return "note";
	}
	return "";
}

const char *ike_lint_setting(enum ike_lint what)
{
	return rows[what].setting;
}

const char *ike_lint_danger(enum ike_lint what)
{
	return rows[what].danger;
}

char *ike_lint_fix(enum ike_lint what, const struct ike_tunnel_conf *t, char *buf, size_t size)
{
	const struct row *r = &rows[what];
	const char *value = r->value;
	char text[ADDR_TEXT_MAX];

	if (strcmp(value, "VIP") == 0)
		value = addr_text(&t->vip, text);
	else if (strcmp(value, "PEER") == 0)
		value = addr_text(&t->peer, text);
	switch (r->scope) {
	case IKE_IN_NOTHING:
		snprintf(buf, size, "%s", r->fix);
		break;
	case IKE_IN_CONN:
		snprintf(buf, size, "set connections.%s.%s = %s and run swanctl --load-conns", t->ike, r->setting,
			 value);
		break;
	case IKE_IN_CHILD:
		snprintf(buf, size, "set connections.%s.children.%s.%s = %s and run swanctl --load-conns", t->ike,
			 t->child, r->setting, value);
		break;
	case IKE_IN_WARM:
		snprintf(buf, size, "set connections.%s.%s %s%s and run swanctl --load-conns", t->warm_ike, r->setting,
			 *value ? "= " : "to this node's own address", value);
		break;
	case IKE_IN_REMOTE:
		snprintf(buf, size,
			 "set connections.%s.remote.id to the peer's exact identity and run swanctl "
			 "--load-conns",
			 t->ike);
		break;
	}
	return buf;
}
