/* The key file: what --genkey makes is read back; each way to spoil it has its own message. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/err.h"
#include "sync/key_file.h"
#include "tests/unit/run.h"

static char dir[64], path[96], err[300];

static void setup(void)
{
	strcpy(dir, "/tmp/kt-key-XXXXXX");
	ck_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/key", dir);
	err[0] = '\0';
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

START_TEST(generate_and_read)
{
	struct key_file k;
	struct stat st;
	ck_assert_msg(key_file_generate(path, err, sizeof(err)) == 0, "%s", err);
	ck_assert(stat(path, &st) == 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_msg(key_file_read(path, &k, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(k.n, 1);
	ck_assert_uint_eq(strlen(k.keys[0].id), 8);
	ck_assert_int_eq(key_file_generate(path, err, sizeof(err)), -EEXIST);
	ck_assert(strstr(err, "never overwritten") != NULL);
	struct key_file again;
	ck_assert_int_eq(key_file_read(path, &again, err, sizeof(err)), 0);
	ck_assert_mem_eq(&k, &again, sizeof(k)); /* it was left alone */
	key_file_wipe(&k);
	ck_assert_uint_eq(k.n, 0);
}
END_TEST

START_TEST(modes)
{
	struct key_file k;
	ck_assert_int_eq(key_file_read(path, &k, err, sizeof(err)), -ENOENT);
	ck_assert(strstr(err, "--genkey") != NULL);
	ck_assert_int_eq(key_file_generate(path, err, sizeof(err)), 0);
	ck_assert(chmod(path, 0640) == 0);
	ck_assert_int_eq(key_file_read(path, &k, err, sizeof(err)), -EPERM);
	ck_assert(strstr(err, "chmod 600") != NULL && strstr(err, "0640") != NULL);
	ck_assert_int_eq(key_file_read(dir, &k, err, sizeof(err)), -EINVAL);
	ck_assert(strstr(err, "regular file") != NULL);
	if (geteuid() == 0) {
		ck_assert(chmod(path, 0600) == 0 && chown(path, 12345, 0) == 0);
		ck_assert_int_eq(key_file_read(path, &k, err, sizeof(err)), -EPERM);
		ck_assert(strstr(err, "belongs to user 12345") != NULL);
	}
}
END_TEST

#define KEY1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ID1  "630dcd29" /* first bytes of its SHA-256 */
#define KEY2 "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
#define ID2  "72dbb733"

static const struct {
	const char *text;
	int rc;
	const char *says;
} files[] = {
	{ "# c\n\nkeeptrackd-key 1 " ID1 " " KEY1 "\n", 0, "" },
	{ "keeptrackd-key 1 " ID1 " " KEY1, 0, "" }, /* no line feed at the end */
	{ "  keeptrackd-key\t1 " ID1 "  " KEY1 " \r\n", 0, "" },
	{ "", ERR_MALFORMED, "no key in it" },
	{ "# only a comment\n", ERR_MALFORMED, "no key in it" },
	{ "key " ID1 " " KEY1 "\n", ERR_MALFORMED, ":1: this is not a key line" },
	{ "#\nkeeptrackd-key 1 " ID1 " " KEY1 " more\n", ERR_MALFORMED, ":2: this is not a key line" },
	{ "keeptrackd-key 2 " ID1 " " KEY1 "\n", ERR_VERSION, "format '2' is not known" },
	{ "keeptrackd-key 1 " ID1 " 0011\n", ERR_MALFORMED, "64 hexadecimal digits, not 4" },
	{ "keeptrackd-key 1 " ID1 " g" KEY1 "\n", ERR_MALFORMED, "64 hexadecimal digits" },
	{ "keeptrackd-key 1 " ID2 " " KEY1 "\n", ERR_CHECKSUM, "does not match its id" },
	{ "keeptrackd-key 1 " ID1 " " KEY1 "\nkeeptrackd-key 1 " ID1 " " KEY1 "\n", ERR_MALFORMED, ":2: the same key" },
};

START_TEST(parse)
{
	struct key_file k;
	int rc = key_file_parse("f", files[_i].text, strlen(files[_i].text), &k, err, sizeof(err));
	ck_assert_msg(rc == files[_i].rc, "%d, wanted %d: %s", rc, files[_i].rc, err);
	ck_assert_msg(strstr(err, files[_i].says) != NULL, "'%s' lacks '%s'", err, files[_i].says);
	ck_assert_uint_eq(k.n, rc == 0 ? 1 : 0);
}
END_TEST

/* The whole file, cut at each byte: read only when the key is complete. */
START_TEST(parse_cut)
{
	static const char text[] = "keeptrackd-key 1 " ID1 " " KEY1;
	struct key_file k;
	for (size_t n = 0; n < sizeof(text) - 1; n++)
		ck_assert_int_ne(key_file_parse("f", text, n, &k, err, sizeof(err)), 0);
	ck_assert_int_eq(key_file_parse("f", text, sizeof(text) - 1, &k, err, sizeof(err)), 0);
}
END_TEST

START_TEST(two_keys)
{
	struct key_file k;
	char text[512], id[KEY_ID_TEXT];
	/* The id of a second key is learnt from the message of a wrong one: no second SHA-256 here. */
	ck_assert_int_eq(key_file_generate(path, err, sizeof(err)), 0);
	ck_assert_int_eq(key_file_read(path, &k, err, sizeof(err)), 0);
	memcpy(id, k.keys[0].id, sizeof(id));
	int n = snprintf(text, sizeof(text), "keeptrackd-key 1 %s ", id);
	for (unsigned i = 0; i < KEY_BYTES; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%02X", k.keys[0].key[i]);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\nkeeptrackd-key 1 " ID1 " " KEY1 "\n");
	ck_assert_msg(key_file_parse("f", text, (size_t)n, &k, err, sizeof(err)) == 0, "%s", err);
	ck_assert_uint_eq(k.n, 2);
	ck_assert_str_eq(k.keys[0].id, id); /* newest first */
	ck_assert_str_eq(k.keys[1].id, ID1);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "keeptrackd-key 1 " ID2 " " KEY2 "\n");
	ck_assert_int_eq(key_file_parse("f", text, (size_t)n, &k, err, sizeof(err)), ERR_LIMIT);
	ck_assert(strstr(err, ":3: a third key") != NULL);
}
END_TEST

/* HKDF-SHA256 computed by another implementation (python3 hmac/hashlib); see the comment for the inputs. */
START_TEST(derive)
{
	static const char text[] = "keeptrackd-key 1 " ID1 " " KEY1;
	/* salt "keeptrackd channel key 1", info "from 1 to 2 cluster edge", 32 bytes */
	static const uint8_t want[KEY_BYTES] = { 0x35, 0xe8, 0xce, 0x62, 0x99, 0x30, 0x98, 0xff, 0x36, 0xff, 0xbf,
						 0xed, 0x1c, 0xbf, 0x41, 0x78, 0xbe, 0xf9, 0x14, 0x64, 0x60, 0x9b,
						 0x8d, 0xab, 0xfd, 0xf2, 0x9c, 0x0a, 0x52, 0x9a, 0xa7, 0x88 };
	struct key_file k;
	uint8_t a[KEY_BYTES], b[KEY_BYTES];
	ck_assert_int_eq(key_file_parse("f", text, sizeof(text) - 1, &k, err, sizeof(err)), 0);
	ck_assert_int_eq(key_file_derive(&k, 0, 1, 2, "edge", a), 0);
	ck_assert_mem_eq(a, want, KEY_BYTES);
	ck_assert_int_eq(key_file_derive(&k, 0, 2, 1, "edge", b), 0);
	ck_assert_mem_ne(a, b, KEY_BYTES);
	ck_assert_int_eq(key_file_derive(&k, 0, 1, 2, "edgy", b), 0);
	ck_assert_mem_ne(a, b, KEY_BYTES);
	ck_assert_int_eq(key_file_derive(&k, 1, 1, 2, "edge", b), ERR_UNKNOWN_KEY);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("key_file");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, generate_and_read);
	tcase_add_test(t, modes);
	tcase_add_loop_test(t, parse, 0, sizeof(files) / sizeof(files[0]));
	tcase_add_test(t, parse_cut);
	tcase_add_test(t, two_keys);
	tcase_add_test(t, derive);
	suite_add_tcase(s, t);
	return unit_run(s);
}
