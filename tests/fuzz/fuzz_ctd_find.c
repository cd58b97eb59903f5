/* Any datagram on the multicast group: refused, or of one form only. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/ctd_find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dconf_peer p;
	uint8_t again[CTD_FIND_BYTES];
	uint16_t port;

	if (!ctd_find_decode(data, size, &p, &port))
		return 0;
	require(p.n_addrs >= 1 && p.n_addrs <= SYNC_LINKS_MAX && size <= sizeof(again));
	require(ctd_find_encode(&p, port, again) == size && memcmp(again, data, 6) == 0);
	return 0;
}
