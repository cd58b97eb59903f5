/* Feeds files to the ownership codec, as they are and with the checksum put right; what it accepts must encode back. */
#include "tests/fuzz/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP 64

static void decode(const uint8_t *data, size_t size)
{
	struct own_entry e[CAP];
	uint8_t again[OWNFILE_ENTRY_MAX * CAP + 16];
	uint32_t n = 0;
	enum ownfile_drop d = ownfile_decode(data, size, e, CAP, &n);
	require(ownfile_text(d)[0]);
	if (d != OWNFILE_OK) {
		require(n == 0);
		return;
	}
	require(n <= CAP);
	size_t len = ownfile_encode(e, n, again, sizeof(again));
	require(len == size && len == ownfile_size(e, n));
	/* flags of a later version are the only bytes that may differ, and with them the checksum */
	require(memcmp(again, data, 6) == 0 && memcmp(again + 8, data + 8, len - 12) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_sealed(data, size, decode);
}
