/*
 * Replays inputs through a fuzz target without libFuzzer: every file of the given files and folders, and every
 * prefix of short ones, so that a plain `make check` covers what fuzzing once found. Without arguments the
 * target's own corpus is taken. No input at all is a failure: a test that runs nothing must not pass.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX  (1u << 20)
#define PREFIX_MAX 1024u /* longer inputs are replayed whole only */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_inputs;

/* The copy has exactly the input's size, so that a sanitizer sees the first byte read beyond it. */
static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (copy == NULL) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int replay_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	run_one(buf, n);
	if (n <= PREFIX_MAX)
		for (size_t i = 0; i < n; i++)
			run_one(buf, i);
	n_inputs++;
	return 0;
}

static int replay_path(const char *path)
{
	struct stat st;
	struct dirent *d;
	DIR *dir;
	int rc = 0;

	if (stat(path, &st) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);
	dir = opendir(path);
	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while ((d = readdir(dir)) != NULL) {
		char sub[4096];

		if (d->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name);
		if (replay_file(sub) != 0)
			rc = -1;
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	char own[4096];
	int rc = 0;

	name = name ? name + 1 : argv[0];
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	for (int i = 1; i < argc; i++)
		if (replay_path(argv[i]) != 0)
			rc = 1;
	if (argc < 2) {
		snprintf(own, sizeof(own), "%s/tests/fuzz/corpus/%s", SRCDIR, name);
		rc = replay_path(own) != 0;
	}
	printf("%s: %u inputs replayed\n", name, n_inputs);
	return rc || n_inputs == 0;
}
