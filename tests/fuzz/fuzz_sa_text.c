/* Output of any program, in pieces of any size: the same lines as in one piece, and what is read of them is bounded. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/sa_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_line(const struct sa_lines *l)
{
	struct sa_text_row row;
	struct ike_sample s = { 0 };

	require(l->len <= SA_TEXT_LINE_MAX);
	for (unsigned i = 0; i < 2; i++) {
		enum sa_text_drop d = i ? sa_text_exec(l->buf, l->len, &row) : sa_text_whack(l->buf, l->len, &row);
		require(d < SA_TEXT_N && sa_text_drop_text(d)[0]);
		if (d != SA_TEXT_OK)
			continue;
		require(memchr(row.name, '\0', sizeof(row.name)));
		require(i || row.id > 0);
		sa_text_add(&s, &row);
		require(s.child == (row.kind == SA_TEXT_CHILD));
		if (row.name[0])
			require(sa_text_names(&row, row.name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sa_lines whole, pieces;
	size_t piece = size ? 1 + data[0] % 7 : 1, fed = 0;

	sa_lines_init(&whole);
	sa_lines_init(&pieces);
	for (size_t at = 0, used; at < size; at += used) {
		bool is = sa_lines_feed(&whole, (const char *)data + at, size - at, &used), too = false;
		require(used > 0 && used <= size - at);
		while (fed < at + used) {
			size_t n = at + used - fed < piece ? at + used - fed : piece, took;
			require(!too);
			too = sa_lines_feed(&pieces, (const char *)data + fed, n, &took);
			fed += took;
		}
		require(is == too && whole.len == pieces.len && whole.bad == pieces.bad);
		require(memcmp(whole.buf, pieces.buf, whole.len) == 0);
		if (is && !whole.bad)
			one_line(&whole);
	}
	require(sa_lines_end(&whole) == sa_lines_end(&pieces));
	if (sa_lines_end(&whole) && !whole.bad)
		one_line(&whole);
	return 0;
}
