/*
 * The file is read whole into a small buffer on the stack, which is wiped; OpenSSL makes random bytes, hash and HKDF.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/err.h"
#include "sync/key_file.h"
#include "sync/ossl.h"

enum { FILE_BYTES_MAX = 4096, LINE_WORDS = 4 };

static const char line_tag[] = "keeptrackd-key";

static int fail(char *err, size_t cap, int code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static int fail(char *err, size_t cap, int code, const char *fmt, ...)
{
	if (err && cap > 0) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err, cap, fmt, ap);
		va_end(ap);
	}
	return code;
}

/* The id is a check on the key as well: 4 bytes of its hash. */
static int key_id(const uint8_t key[KEY_BYTES], char out[KEY_ID_TEXT])
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	if (EVP_Digest(key, KEY_BYTES, sum, &n, EVP_sha256(), NULL) != 1)
		return -EIO;
	snprintf(out, KEY_ID_TEXT, "%02x%02x%02x%02x", sum[0], sum[1], sum[2], sum[3]);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex_read(const char *text, size_t len, uint8_t *out, size_t n)
{
	if (len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

struct word {
	const char *p;
	size_t n;
};

static bool word_is(struct word w, const char *text)
{
	return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

/* Splits one line; returns how many words there are (counting stops one above LINE_WORDS). */
static unsigned split(const char *p, const char *end, struct word out[LINE_WORDS])
{
	unsigned n = 0;
	for (;;) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p == end || n > LINE_WORDS)
			return n;
		const char *at = p;
		while (p < end && !isspace((unsigned char)*p))
			p++;
		if (n < LINE_WORDS)
			out[n] = (struct word){ at, (size_t)(p - at) };
		n++;
	}
}

static int parse_line(const char *name, unsigned line, const struct word *w, unsigned n, struct key_file *out,
		      char *err, size_t cap)
{
	if (n != LINE_WORDS || !word_is(w[0], line_tag))
		return fail(err, cap, ERR_MALFORMED,
			    "%s:%u: this is not a key line; expected '%s 1 ID KEY' as written by keeptrackd --genkey",
			    name, line, line_tag);
	if (!word_is(w[1], "1"))
		return fail(err, cap, ERR_VERSION, "%s:%u: key format '%.*s' is not known; this version reads format 1",
			    name, line, (int)(w[1].n > 16 ? 16 : w[1].n), w[1].p);
	if (out->n == KEY_FILE_MAX)
		return fail(err, cap, ERR_LIMIT,
			    "%s:%u: a third key; at most two may be valid at a time, remove the oldest", name, line);
	uint8_t *key = out->keys[out->n].key;
	if (!hex_read(w[3].p, w[3].n, key, KEY_BYTES))
		return fail(err, cap, ERR_MALFORMED, "%s:%u: the key must be %d hexadecimal digits, not %zu characters",
			    name, line, 2 * KEY_BYTES, w[3].n);
	char id[KEY_ID_TEXT];
	if (key_id(key, id) != 0)
		return fail(err, cap, -EIO, "%s:%u: SHA-256 is not available in this OpenSSL", name, line);
	if (!word_is(w[2], id))
		return fail(
		    err, cap, ERR_CHECKSUM,
		    "%s:%u: the key does not match its id '%.*s': the line was changed or cut; copy the file again",
		    name, line, (int)(w[2].n > 16 ? 16 : w[2].n), w[2].p);
	if (out->n == 1 && strcmp(out->keys[0].id, id) == 0)
		return fail(err, cap, ERR_MALFORMED, "%s:%u: the same key stands twice; remove one line", name, line);
	memcpy(out->keys[out->n].id, id, KEY_ID_TEXT);
	out->n++;
	return 0;
}

int key_file_parse(const char *name, const char *text, size_t len, struct key_file *out, char *err, size_t cap)
{
	memset(out, 0, sizeof(*out));
	const char *p = text, *end = text + len;
	int rc = 0;
	for (unsigned line = 1; p < end && rc == 0; line++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		struct word w[LINE_WORDS] = { 0 };
		unsigned n = split(p, stop, w);
		if (n > 0 && w[0].p[0] != '#')
			rc = parse_line(name, line, w, n, out, err, cap);
		p = nl ? nl + 1 : end;
	}
	if (rc == 0 && out->n == 0)
		rc = fail(err, cap, ERR_MALFORMED, "%s: there is no key in it; make one with keeptrackd --genkey FILE",
			  name);
	if (rc != 0)
		key_file_wipe(out);
	return rc;
}

/* Nobody but this user (or root) may read or replace a secret. */
static int check_mode(const char *path, const struct stat *st, char *err, size_t cap)
{
	if (!S_ISREG(st->st_mode))
		return fail(err, cap, -EINVAL, "%s: the key must be a regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return fail(err, cap, -EPERM, "%s: the key file belongs to user %u; it must be root's: chown root '%s'",
			    path, (unsigned)st->st_uid, path);
	if ((st->st_mode & 077) != 0)
		return fail(
		    err, cap, -EPERM,
		    "%s: the key file is open to group or others (mode %04o); others could read it: chmod 600 '%s'",
		    path, (unsigned)(st->st_mode & 07777), path);
	if (st->st_size > FILE_BYTES_MAX)
		return fail(err, cap, -EFBIG, "%s: %lld bytes are too many for a key file (at most %d)", path,
			    (long long)st->st_size, FILE_BYTES_MAX);
	return 0;
}

int key_file_read(const char *path, struct key_file *out, char *err, size_t cap)
{
	memset(out, 0, sizeof(*out));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return errno == ENOENT
			   ? fail(err, cap, -ENOENT,
				  "%s: there is no such key file; make it with keeptrackd --genkey '%s' on "
				  "one node, and copy it to the others",
				  path, path)
			   : fail(err, cap, -errno, "%s: cannot open the key file: %s", path, strerror(errno));
	struct stat st;
	int rc = fstat(fd, &st) != 0 ? fail(err, cap, -errno, "%s: %s", path, strerror(errno))
				     : check_mode(path, &st, err, cap);
	char text[FILE_BYTES_MAX + 1];
	size_t len = 0;
	while (rc == 0 && len < sizeof(text)) {
		ssize_t n = read(fd, text + len, sizeof(text) - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			rc = fail(err, cap, -errno, "%s: cannot read the key file: %s", path, strerror(errno));
	}
	close(fd);
	if (rc == 0)
		rc = key_file_parse(path, text, len, out, err, cap);
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

int key_file_generate(const char *path, char *err, size_t cap)
{
	uint8_t key[KEY_BYTES];
	char id[KEY_ID_TEXT], text[512];
	if (RAND_bytes(key, sizeof(key)) != 1 || key_id(key, id) != 0)
		return fail(err, cap, -EIO, "no random bytes are available");
	int n =
	    snprintf(text, sizeof(text),
		     "# Channel key of keeptrackd. Copy this file to every node of the cluster and keep it secret.\n"
		     "# To rotate: put a new key line above this one on each node in turn, then remove this one.\n"
		     "%s 1 %s ",
		     line_tag, id);
	for (unsigned i = 0; i < KEY_BYTES; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", key[i]);
	text[n++] = '\n';
	int rc, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		rc = errno == EEXIST
			 ? fail(err, cap, -EEXIST,
				"%s: this file exists; a key is never overwritten, choose another name or remove it",
				path)
			 : fail(err, cap, -errno, "%s: cannot make the file: %s", path, strerror(errno));
	} else {
		rc = fchmod(fd, 0600) == 0 ? write_all(fd, text, (size_t)n) : -errno;
		if (close(fd) != 0 && rc == 0)
			rc = -errno;
		if (rc != 0) {
			unlink(path);
			fail(err, cap, rc, "%s: cannot write the key: %s", path, strerror(-rc));
		}
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

int key_file_derive(const struct key_file *k, unsigned i, uint32_t from, uint32_t to, const char *cluster,
		    uint8_t out[KEY_BYTES])
{
	if (i >= k->n)
		return ERR_UNKNOWN_KEY;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	EVP_KDF_free(kdf);
	if (!ctx)
		return -EIO;
	static const char salt[] = "keeptrackd channel key 1";
	char info[128];
	int n = snprintf(info, sizeof(info), "from %u to %u cluster %s", from, to, cluster);
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)k->keys[i].key, KEY_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, sizeof(salt) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)n),
		OSSL_PARAM_construct_end(),
	};
	int rc = EVP_KDF_derive(ctx, out, KEY_BYTES, p) == 1 ? 0 : -EIO;
	EVP_KDF_CTX_free(ctx);
	return rc;
}

void key_file_wipe(struct key_file *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}
