/* Any line: splitting, parsing and completing stay within bounds, and the same line always means the same. */
#include <stdint.h>
#include <stdio.h>
#include "cli/gram.h"
#include "daemon/base/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gram_line line;
	static struct gram_match m, again;
	static struct gram_cands cands;
	char buf[GRAM_WORD_MAX];

	if (!gram_split((const char *)data, size, &line))
		return 0;
	require(line.n <= GRAM_WORDS_MAX);
	gram_parse(&line, &m);
	require((m.status == GRAM_EMPTY) == (line.n == 0));
	require(m.status != GRAM_OK || (m.cmd < CTL_CMD_N && m.n_args <= GRAM_ARGS_MAX));
	require(m.status != GRAM_AMBIGUOUS || m.cands.n >= 2);
	gram_complete(&line, &cands);
	gram_common(&cands, buf, sizeof(buf));
	gram_parse(&line, &again);
	require(m.status == again.status && m.cmd == again.cmd && m.n_args == again.n_args && m.at == again.at);
	return 0;
}
