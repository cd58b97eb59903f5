/* Any keepalived.conf: it maps, is judged, and what is usable reads back from its own text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_map.h"
#include "daemon/dropin/kconf_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kconf_opts o = { .config_id = "id", .random_seed = 1, .blocks = kword_blocks(), .max_work = 5000 };
	struct cfg_errors errs = { 0 }, again = { 0 };
	struct kconf *k = kconf_read_text((const char *)data, size, "fuzz", "/", &o, &errs);
	char *text = NULL;
	size_t len = 0;

	require(k);
	struct cfg_tree *t = kconf_map(k, "fuzz", &errs);
	kconf_free(k); /* the tree keeps nothing of it */
	require(t);
	t->shared = false; /* our own format is strict */
	cfg_check(t, &errs);
	FILE *f = open_memstream(&text, &len);
	require(f);
	cfg_tree_print_given(t, f);
	require(fclose(f) == 0 && text);
	if (!errs.n) {
		struct cfg *b = cfg_parse(text, "native", &again);
		require(b);
		cfg_free(b);
	}
	free(text);
	cfg_tree_free(t);
	cfg_errors_free(&errs);
	cfg_errors_free(&again);
	return 0;
}
