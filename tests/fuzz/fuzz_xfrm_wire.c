/* Any datagram on the XFRM socket: the walk ends, and an SA that was read can be deleted again as exactly that one. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/xfrm_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t used;

	for (size_t at = 0; at < size; at += used) {
		struct xfrm_msg m;
		uint8_t buf[XFRM_BUF_LEN];

		xfrm_get(data + at, size - at, &m, &used);
		require(used <= size - at && xfrm_drop_text(m.kind)[0]);
		if (used == 0)
			return 0;
		if (m.kind == XFRM_ACK || m.kind == XFRM_DONE)
			require(m.error <= 0 && m.error >= -4095);
		if (m.kind != XFRM_OK)
			continue;
		require(m.sa.src.af == m.sa.dst.af && xfrm_matches(&m.sa, &m.sa.src, &m.sa.dst));
		struct xfrm_filter f = { .vip = m.sa.dst,
					 .has_reqid = true,
					 .reqid = m.sa.reqid,
					 .has_mark = true,
					 .mark = m.sa.mark,
					 .has_if_id = true,
					 .if_id = m.sa.if_id };
		bool ours = m.sa.proto == 50 || m.sa.proto == 51 || m.sa.proto == 108;
		require(xfrm_selected(&m.sa, &f) == ours);
		f.reqid++;
		require(!xfrm_selected(&m.sa, &f));
		size_t n = xfrm_put_delete(buf, sizeof(buf), 1, &m.sa);
		require(n == (m.sa.has_mark ? 52u : 40u));
		require(memcmp(buf + 16, m.sa.dst.b, addr_len(m.sa.dst.af)) == 0);
	}
	return 0;
}
