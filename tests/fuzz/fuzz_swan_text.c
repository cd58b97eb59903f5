/* A configuration file of strongSwan: reading ends, stays in its room, and merging changes nothing that was known. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/swan_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct swan_conn room[3];
	struct swan_facts f;
	struct swan_rd r;
	unsigned line = 0;
	size_t tokens = 0;
	char pattern[40];
	enum swan_tok t;

	swan_begin(&r, (const char *)data, size);
	for (t = swan_next(&r); t != SWAN_T_END && t != SWAN_T_BAD; t = swan_next(&r)) {
		require(++tokens <= size && r.depth <= SWAN_DEPTH_MAX);
		require(strlen(r.name) < SWAN_NAME_MAX && strlen(r.value) < SWAN_VALUE_MAX);
	}
	require((t == SWAN_T_BAD) == (r.drop != SWAN_OK) && swan_next(&r) == t);
	swan_facts_init(&f, room, 3);
	require(swan_read(&f, (const char *)data, size, &line) == r.drop);
	require(f.n <= 3 && line >= 1 && line <= size + 1);
	require(swan_retransmit_s(&f) > 0);
	if (size % 2)
		swan_sort(&f);
	for (unsigned i = 0; i < f.n; i++) {
		struct vici_conn c = { .n_children = 1 };
		require(strlen(f.conn[i].name) < IKE_NAME_MAX && f.conn[i].n_children <= VICI_CONN_CHILDREN);
		memcpy(c.name, f.conn[i].name, sizeof(c.name));
		swan_merge(&f, &c);
		bool known = c.has_mobike, on = c.mobike;
		swan_merge(&f, &c);
		require(!known || c.mobike == on);
	}
	for (unsigned i = 0; i < 3; i++) {
		if (swan_include((const char *)data, size, i, pattern, sizeof(pattern)))
			require(strlen(pattern) < sizeof(pattern));
	}
	return 0;
}
