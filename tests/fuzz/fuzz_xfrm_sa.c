/* Any message of the kernel: what was read as an SA can be installed, and reads as the same again. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/xfrm_policy.h"
#include "ike-hooks/xfrm_sa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sa_copy sa, again;
	uint8_t buf[XFRM_SA_MSG_MAX];
	enum sa_drop d = xfrm_sa_get(data, size, INT64_C(1800000000), &sa);

	struct xfrm_ask asks[4];
	require(sa_drop_text(d)[0]);
	require(xfrm_policy_asks(data, size, asks, 4) <= 4);
	if (d != SA_OK)
		return 0;
	require(sa_has_keys(&sa));
	size_t n = xfrm_sa_put(buf, sizeof(buf), 1, &sa);
	if (xfrm_sa_lifetime(&sa) == 0) {
		require(n == 0);
		return 0;
	}
	require(n > 0);
	require(xfrm_sa_get(buf, n, 0, &again) == SA_OK);
	require(sa_same(&sa, &again) && again.top == sa.top && again.window == sa.window);
	require(memcmp(&sa.aead, &again.aead, sizeof(sa.aead)) == 0);
	require(memcmp(&sa.auth, &again.auth, sizeof(sa.auth)) == 0);
	require(memcmp(&sa.crypt, &again.crypt, sizeof(sa.crypt)) == 0);
	return 0;
}
