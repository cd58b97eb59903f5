/*
 * Purpose: records that end in a CRC-32: most changes of a fuzzer would end there.
 * Owns:    nothing.
 * Thread:  any.
 * In:      bytes and who reads them.   Out: nothing.
 * Errors:  none.
 */
#ifndef KT_TESTS_SEALED_H
#define KT_TESTS_SEALED_H

#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/ownfile.h"

/* Gives the bytes to decode as they are, and with the checksum put right. */
static inline int fuzz_sealed(const uint8_t *data, size_t size, void (*decode)(const uint8_t *data, size_t size))
{
	decode(data, size);
	if (size < 4 || size > 1u << 16)
		return 0;
	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	uint32_t crc = crc32_ieee(0, copy, size - 4);
	for (unsigned i = 0; i < 4; i++)
		copy[size - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	decode(copy, size);
	free(copy);
	return 0;
}

#endif
