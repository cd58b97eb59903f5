/* What the kernel and files say of tracked things: the first byte chooses the parser. */
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/track_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cfg_track_process p = { .argv = { "a", "b", "c" }, .match = CFG_TRACK_MATCH_INITIAL };
	struct track_proc_ev ev;
	char name[16] = "";
	int64_t v = 0;
	bool runs;
	if (!size)
		return 0;
	const char *text = (const char *)data + 1;
	size_t n = size - 1;
	switch (data[0] % 4) {
	case 0:
		require(!track_number(text, n, &v) || (v >= INT32_MIN && v <= INT32_MAX));
		break;
	case 1:
		require(!track_stat(text, n, name, &runs) || strlen(name) < sizeof(name));
		break;
	case 2:
		(void)track_matches(&p, "a", text, n);
		break;
	default:
		require(track_proc_parse(text, n, &ev) || ev.what == TRACK_PROC_OTHER);
		break;
	}
	return 0;
}
