/* Any bytes out of an opened seal: reading ends, and a copy that was read is written as the same bytes again. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/sa_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copies(struct wire_rd *r)
{
	static struct sa_held held[8];
	static uint16_t order[8];
	struct sa_store store;
	struct sa_copy sa;

	memset(held, 0, sizeof(held));
	sa_store_init(&store, held, order, 8);
	while (wire_left(r) > 0 && !r->bad) {
		enum sa_drop d = sa_get_copy(r, &sa);
		require(sa_drop_text(d)[0]);
		if (d != SA_OK)
			continue;
		uint8_t once[SA_RECORD_MAX + 2], twice[SA_RECORD_MAX + 2];
		struct wire_wr w = wire_wr(once, sizeof(once));
		require(sa_put_copy(&w, &sa));
		struct wire_rd back = wire_rd(once, wire_len(&w));
		struct sa_copy again;
		require(sa_get_copy(&back, &again) == SA_OK && wire_left(&back) == 0);
		struct wire_wr v = wire_wr(twice, sizeof(twice));
		require(sa_put_copy(&v, &again) && wire_len(&v) == wire_len(&w));
		require(memcmp(once, twice, wire_len(&w)) == 0);
		(void)sa_store_put(&store, 1, &sa, MONO_ZERO);
		require(store.n <= 8);
	}
	sa_store_forget(&store, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_rd r = wire_rd(data, size);
	enum sa_kind kind;
	uint32_t sender;
	struct sa_list list;
	struct sa_want want;

	if (sa_get_head(&r, &kind, &sender) != SA_OK)
		return 0;
	switch (kind) {
	case SA_KIND_COPIES:
		copies(&r);
		break;
	case SA_KIND_LIST:
		if (sa_get_list(&r, &list) == SA_OK)
			require(list.n <= SA_LIST_TOPS);
		break;
	case SA_KIND_WANT:
		if (sa_get_want(&r, &want) == SA_OK)
			require(want.n <= SA_WANT_IDS);
		break;
	}
	return 0;
}
