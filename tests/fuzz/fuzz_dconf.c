/* Any text as conntrackd.conf: refused with a message, or mapped into a tree that the checker can judge. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/dconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dconf_iface ifaces[] = { { "eth2", { ADDR_V4, { 192, 168, 100, 100 } }, 24 } };
	static const struct dconf_peer found[] = { { { { ADDR_V4, { 192, 168, 100, 101 } } }, 1 } };
	const struct dconf_env env = { .ifaces = ifaces,
				       .n_ifaces = 1,
				       .found = found,
				       .n_found = size % 2,
				       .key = size % 3 ? "/etc/keeptrackd/conntrackd.key" : NULL };
	struct cfg_errors errs = { 0 };
	struct cfg_tree *t = cfg_tree_new("conntrackd.conf");
	struct dconf_proc proc;
	struct dconf d;
	char *text = malloc(size + 1);

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (!dconf_read(&d, text, "conntrackd.conf", &errs)) {
		require(errs.n > 0);
	} else if (!dconf_map(&d, t, &env, &proc, &errs)) {
		require(errs.n > 0);
	} else {
		require(errs.n == 0 && d.n_links > 0 && proc.n_links == d.n_links);
		cfg_check(t, &errs);
	}
	dconf_free(&d);
	cfg_tree_free(t);
	cfg_errors_free(&errs);
	free(text);
	return 0;
}
