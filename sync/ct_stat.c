/* What the kernel counts about conntrack, in the network namespace of the process. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sync/ct_io.h"

#define STAT_FILE "/proc/self/net/stat/nf_conntrack"

enum { COLUMNS_MAX = 32 };

/* Names of the columns that are added up, and where. */
static const struct {
	const char *name;
	size_t at;
} wanted[] = {
	{ "invalid", offsetof(struct ct_kernel_stats, invalid) },
	{ "insert_failed", offsetof(struct ct_kernel_stats, insert_failed) },
	{ "drop", offsetof(struct ct_kernel_stats, drop) },
	{ "early_drop", offsetof(struct ct_kernel_stats, early_drop) },
	{ "expect_create", offsetof(struct ct_kernel_stats, expect_created) },
	{ "expect_delete", offsetof(struct ct_kernel_stats, expect_deleted) },
};
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

static unsigned read_heads(char *line, int *column)
{
	unsigned n = 0, found = 0;
	char *save, *word = strtok_r(line, " \t\n", &save);

	for (; word && n < COLUMNS_MAX; word = strtok_r(NULL, " \t\n", &save), n++) {
		column[n] = -1;
		for (unsigned i = 0; i < N_WANTED; i++) {
			if (strcmp(word, wanted[i].name) == 0) {
				column[n] = (int)i;
				found++;
			}
		}
	}
	return found == N_WANTED ? n : 0;
}

static void add_line(char *line, const int *column, unsigned n, struct ct_kernel_stats *out)
{
	char *save, *word = strtok_r(line, " \t\n", &save);

	for (unsigned i = 0; word && i < n; word = strtok_r(NULL, " \t\n", &save), i++) {
		unsigned long v = strtoul(word, NULL, 16);
		if (column[i] >= 0) /* the kernel's own counters are as wide, and turn over */
			*(uint32_t *)((char *)out + wanted[column[i]].at) += (uint32_t)v;
	}
}

int ct_io_kernel_stats(struct ct_kernel_stats *out)
{
	char line[1024];
	int column[COLUMNS_MAX];
	FILE *f = fopen(STAT_FILE, "re");

	memset(out, 0, sizeof(*out));
	if (!f)
		return -errno;
	unsigned n = fgets(line, sizeof(line), f) ? read_heads(line, column) : 0;
	while (n > 0 && fgets(line, sizeof(line), f))
		add_line(line, column, n, out);
	fclose(f);
	return n > 0 ? 0 : -EINVAL;
}
