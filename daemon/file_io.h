/*
 * Purpose: small files: read as a whole, replaced as a whole.
 * Owns:    nothing.
 * Thread:  KERNEL, or CONTROL before its loop runs (both calls may wait for a disk).
 * In/Out:  bytes.
 * Errors:  -errno; -EFBIG for a file above the limit.
 */
#ifndef KT_FILE_IO_H
#define KT_FILE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads the whole file into malloc'ed memory (*data, also for length 0). */
int file_io_read(const char *path, size_t limit, uint8_t **data, size_t *len);
/* Writes path.new and renames it over path: a reader sees the old or the new content, never a part. */
int file_io_replace(const char *path, const void *data, size_t len, mode_t mode);

#endif
