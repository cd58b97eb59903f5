/* Feeds the payload of messages about routes and rules to their readers; whatever they give can be printed. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/rtnl_route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtnl_route r;
	struct rtnl_rule l;
	char text[ROUTE_TEXT_MAX];
	uint8_t *copy = malloc(size ? size : 1); /* nothing behind the end may be read */
	require(copy != NULL);
	memcpy(copy, data, size);
	if (rtnl_route_read(copy, size, &r) == 0) {
		require(r.r.n_hops <= ROUTE_HOPS_MAX && r.r.plen <= 128);
		require(strlen(route_text_print(&r.r, text)) < ROUTE_TEXT_MAX);
	}
	if (rtnl_rule_read(copy, size, &l) == 0)
		require(strlen(route_text_print_rule(&l.r, text)) < ROUTE_TEXT_MAX);
	free(copy);
	return 0;
}
