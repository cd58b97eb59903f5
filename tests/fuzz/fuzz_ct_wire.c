/* Feeds datagrams to the ctnetlink parser; what it accepts must be an entry that the builder takes back. */
#include "daemon/base/require.h"
#include "sync/ct_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rebuild(const struct ct_event *ev)
{
	uint8_t buf[CT_WIRE_OP_MAX];
	char text[CT_TUPLE_TEXT];
	struct ct_op op = { .e = ev->e };
	for (int type = CT_OP_CREATE; type <= CT_OP_GET; type++) {
		struct wire_wr w = wire_wr(buf, sizeof(buf));
		op.type = (enum ct_op_type)type;
		int rc = ct_wire_build(&w, &op, 1);
		/* whatever was parsed fits one operation; what cannot be built leaves no bytes */
		require(rc == 0 ? wire_len(&w) > 0 && wire_len(&w) % 4 == 0 : wire_len(&w) == 0);
		require(rc != -1001);
	}
	require(ct_tuple_text(&ev->e.orig, text)[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_rd r = wire_rd(data, size);
	while (wire_left(&r)) {
		struct ct_wire_msg m;
		struct ct_event ev;
		enum ct_drop d = ct_wire_next(&r, &m);
		if (d != CT_OK || m.kind != CT_WIRE_ENTRY)
			continue;
		if (ct_wire_event(&m, &ev) == CT_OK) {
			require(ev.e.orig.l3 == 4 || ev.e.orig.l3 == 6);
			require((unsigned)ev.type <= CT_EV_DUMP && ev.e.tcp_state <= CT_TCP_SYN_SENT2);
			rebuild(&ev);
		}
	}
	return 0;
}
