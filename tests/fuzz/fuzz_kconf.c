/* Any text as keepalived.conf: it ends, within its limits, and what comes out holds together. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const blocks[] = { "global_defs", "vrrp_instance", "virtual_ipaddress", NULL };

/* Every statement is counted once, has words, and knows its place. */
static unsigned walk(struct kconf *k, const struct kconf_stmt *s, struct cfg_errors *errs)
{
	unsigned n = 0, words;

	for (; s; s = s->next) {
		require(s->n_words && s->at.line && !strcmp(s->at.file, "fuzz"));
		for (unsigned i = 0; i < s->n_words; i++)
			require(strlen(s->words[i]) <= 65536);
		char **shell = kconf_shell_words(k, s, &words, errs);
		require(!shell || words || s->text);
		require(s->block || !s->subs);
		n += 1 + walk(k, s->subs, errs);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const env[] = { "A=b", NULL };
	const struct kconf_opts o = {
		.config_id = "id", .env = env, .random_seed = 1, .blocks = blocks, .max_work = 5000
	};
	struct cfg_errors errs = { 0 };
	struct kconf *k = kconf_read_text((const char *)data, size, "fuzz", "/", &o, &errs);

	require(k);
	require(walk(k, k->subs, &errs) == k->n_stmts);
	require(k->n_stmts || errs.n);
	kconf_free(k);
	cfg_errors_free(&errs);
	return 0;
}
