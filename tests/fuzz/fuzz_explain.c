/* The words of explain session, one a line: source, destination, protocol. What is understood has a name, and forms that
 * are other names of the same session. */
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_explain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char word[3][200] = { "", "", "" }, err[256] = "", name[160];
	struct ct_tuple t, form[EXPLAIN_FORMS];
	unsigned w = 0;
	size_t n = 0;

	for (size_t i = 0; i < size && w < 3; i++) {
		if (data[i] == '\n') {
			w++;
			n = 0;
		} else if (n + 1 < sizeof(word[0]) && data[i] != 0) {
			word[w][n++] = (char)data[i];
		}
	}
	if (explain_tuple(word[0], word[1], word[2], (unsigned)size, &t, err, sizeof(err)) != 0) {
		require(err[0] != '\0');
		return 0;
	}
	require(t.l3 == 4 || t.l3 == 6);
	require(t.l4 != 0);
	require(strlen(explain_tuple_text(&t, name, sizeof(name))) < sizeof(name) - 1);
	unsigned forms = explain_forms(&t, form);
	require(forms >= 2 && forms <= EXPLAIN_FORMS);
	require(memcmp(&form[0], &t, sizeof(t)) == 0);
	require(memcmp(form[1].src, t.dst, sizeof(t.dst)) == 0);
	return 0;
}
