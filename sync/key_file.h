/*
 * Purpose: the pre-shared key file of the channel: made by --genkey, read at start and reload, keys derived per pair.
 * Owns:    nothing; the caller's struct key_file holds secrets and is wiped with key_file_wipe.
 * Thread:  any; reads files: at start and reload only.
 * In:      a path.   Out: keys, newest first.
 * Errors:  0 or -errno / ERR_*; err receives one line that names the file (and line) and the fix.
 *
 * Format, text: comment lines begin with '#'; every other line is
 *   keeptrackd-key 1 ID KEY
 * ID = first 4 bytes of SHA-256(KEY) in hex (a mistyped or cut line is noticed), KEY = 32 bytes in hex. One or two
 * lines; the first is used to dial, all are accepted: to rotate, put the new key above the old one on each node in
 * turn, then remove the old one.
 */
#ifndef KT_SYNC_KEY_FILE_H
#define KT_SYNC_KEY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_FILE_MAX 2
#define KEY_BYTES    32
#define KEY_ID_TEXT  9 /* 8 hex digits and NUL */

struct key_file {
	struct {
		char id[KEY_ID_TEXT];
		uint8_t key[KEY_BYTES];
	} keys[KEY_FILE_MAX];
	uint8_t n;
};

/* Makes a new file with one random key, mode 0600. -EEXIST: a file of this name is never overwritten. */
int key_file_generate(const char *path, char *err, size_t err_len);
/* Reads and checks: regular file, owned by root or this user, no access for group or others, one or two keys. */
int key_file_read(const char *path, struct key_file *out, char *err, size_t err_len);
/* Parses text that was read already (len bytes); name stands in messages. */
int key_file_parse(const char *name, const char *text, size_t len, struct key_file *out, char *err, size_t err_len);
/* HKDF-SHA256 (RFC 5869) of key number i for the connection that `from` dials to `to` in this cluster. */
int key_file_derive(const struct key_file *k, unsigned i, uint32_t from, uint32_t to, const char *cluster,
		    uint8_t out[KEY_BYTES]);
void key_file_wipe(struct key_file *k);

#endif
