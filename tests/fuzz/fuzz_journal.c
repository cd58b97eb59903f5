/* Feeds bytes to the journal's three decoders (entry, slot, epoch file); what they accept must encode back. */
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/journal_wire.h"
#include "daemon/ownfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct journal_entry *e)
{
	require(memchr(e->group, 0, sizeof(e->group)) && memchr(e->detail, 0, sizeof(e->detail)));
	require(e->n_phases <= JOURNAL_PHASES_MAX);
}

static void entry(const uint8_t *data, size_t size)
{
	struct journal_entry e;
	uint8_t again[JOURNAL_ENTRY_MAX];
	enum journal_drop d = journal_entry_decode(data, size, &e);
	check_entry(&e);
	if (d != JOURNAL_OK)
		return;
	require(journal_entry_encode(&e, again, sizeof(again)) == size);
	require(memcmp(again, data, size) == 0);
}

static void slot(const uint8_t *data, size_t size)
{
	struct journal_entry e;
	uint64_t seq;
	uint8_t copy[JOURNAL_SLOT_BYTES] = { 0 };
	require(journal_drop_text(journal_slot_decode(data, size, &seq, &e))[0]);
	memcpy(copy, data, size < sizeof(copy) ? size : sizeof(copy));
	uint32_t crc = crc32_ieee(0, copy, sizeof(copy) - 4);
	for (unsigned i = 0; i < 4; i++)
		copy[sizeof(copy) - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	enum journal_drop d = journal_slot_decode(copy, sizeof(copy), &seq, &e);
	check_entry(&e);
	require(d == JOURNAL_OK || seq == 0);
}

static void epoch(const uint8_t *data, size_t size)
{
	struct epoch e;
	uint8_t again[EPOCH_FILE_BYTES];
	if (epoch_file_decode(data, size, &e) != JOURNAL_OK) {
		require(epoch_is_none(e));
		return;
	}
	epoch_file_encode(e, again);
	require(size == sizeof(again) && memcmp(again, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	entry(data, size);
	slot(data, size);
	epoch(data, size);
	return 0;
}
