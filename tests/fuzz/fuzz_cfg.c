/* Any text: it is refused with at least one message, or its canonical form parses again to the same text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *canonical(const struct cfg *c)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	require(f);
	cfg_print(c, f);
	require(fclose(f) == 0 && buf);
	return buf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfg_errors errs = { 0 };
	char *text = malloc(size + 1);

	require(text);
	memcpy(text, data, size);
	text[size] = '\0';
	/* what an included file holds is not part of the input */
	struct cfg *a = strstr(text, "@include") ? NULL : cfg_parse(text, "fuzz", &errs);
	if (a) {
		char *one = canonical(a);
		struct cfg *b = cfg_parse(one, "canonical", &errs);
		require(b);
		char *two = canonical(b);
		require(strcmp(one, two) == 0 && cfg_diff(a, b, NULL, 0) == 0);
		cfg_free(b);
		free(one);
		free(two);
	} else {
		require(errs.n > 0 || strstr(text, "@include"));
	}
	cfg_free(a);
	cfg_errors_free(&errs);
	free(text);
	return 0;
}
