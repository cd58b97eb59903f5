/*
 * A message of the IKE daemon as list of connections and as list of SAs: both readers end, keep their texts terminated, and
 * say that something is malformed exactly when the codec does.
 */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/ike_lint.h"
#include "ike-hooks/vici_conn.h"
#include "ike-hooks/vici_detail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_conn(const struct vici_conn *c)
{
	struct ike_tunnel_conf t = { .name = "t", .initiate = true, .vip = addr_v4(192, 0, 2, 1) };
	struct ike_lint_in in = { .tunnel = &t, .conn = c };
	struct ike_lint_out out;

	require(strlen(c->name) < IKE_NAME_MAX && strlen(c->remote_id) < VICI_ID_MAX);
	require(c->local.n <= VICI_CONN_ADDRS && c->remote.n <= VICI_CONN_ADDRS && c->n_children <= VICI_CONN_CHILDREN);
	for (unsigned i = 0; i < c->n_children; i++)
		require(strlen(c->child[i].name) < IKE_NAME_MAX);
	if (c->n_children)
		memcpy(t.child, c->child[0].name, sizeof(t.child));
	ike_lint(&in, &out);
	require(out.n <= IKE_LINT_N);
	for (unsigned i = 0; i < out.n; i++)
		require(strlen(out.f[i].value) < sizeof(out.f[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum vici_drop well = vici_check(data, size);
	struct vici_conn_rd rc;
	struct vici_conn c;
	struct vici_detail_rd rd;
	struct vici_detail d;
	size_t rows = 0;

	vici_conn_begin(&rc, data, size);
	while (vici_conn_next(&rc, &c)) {
		require(++rows <= size);
		check_conn(&c);
	}
	require(rc.rd.drop == well);
	rows = 0;
	vici_detail_begin(&rd, data, size);
	while (vici_detail_next(&rd, &d)) {
		require(++rows <= size);
		require(strlen(d.ike.name) < IKE_NAME_MAX && strlen(d.ike.algorithms) < VICI_ALG_MAX);
		require(strlen(d.child.name) < IKE_NAME_MAX && strlen(d.child.algorithms) < VICI_ALG_MAX);
		require(strlen(d.child.local_ts) < VICI_TS_MAX && strlen(d.child.remote_ts) < VICI_TS_MAX);
		(void)vici_detail_floated(&d.ike);
	}
	require(rd.rd.drop == well);
	return 0;
}
