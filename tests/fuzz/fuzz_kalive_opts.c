/* Feeds words, one a line, to the reader of keepalived's command line: what it says is within the words it was given. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kalive_opts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 64, TEXT_MAX = 2000 };

/* NULL, or a place in the text or among what stands for nothing given. */
static void within(const char *word, const char *text)
{
	require(!word || (word >= text && word <= text + TEXT_MAX) || strcmp(word, "core") == 0 ||
		strcmp(word, "/tmp/keepalived.log") == 0 || strcmp(word, KALIVE_CONFIG) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TEXT_MAX + 1], name[] = "keepalived", *argv[WORDS_MAX + 2] = { name };
	int argc = 1;
	size_t n = size < TEXT_MAX ? size : TEXT_MAX;
	memcpy(text, data, n);
	text[n] = '\0';
	for (char *save = NULL, *w = strtok_r(text, "\n", &save); w && argc <= WORDS_MAX;
	     w = strtok_r(NULL, "\n", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	struct kalive_opts o;
	kalive_opts_parse(&o, argc, argv);
	const char *words[] = { o.config,  o.test_log,  o.signum,    o.pid,      o.vrrp_pid,    o.checkers_pid,
				o.bfd_pid, o.namespace, o.config_id, o.log_file, o.core_pattern };
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		within(words[i], text);
	require(o.first_extra >= 1 && o.first_extra <= argc);
	require((o.what == KALIVE_BAD) <= (o.error[0] != '\0'));
	require(o.what != KALIVE_SIGNUM || o.signum);
	require(o.facility >= 0 && o.facility < 24 && o.umask >= -1 && o.umask <= 0777);
	if (o.signum)
		require(kalive_signum(o.signum) <= 64);
	return 0;
}
