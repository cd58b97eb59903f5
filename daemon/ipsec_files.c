#include "daemon/ipsec_files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/err.h"

/* Into memory of just this size: a buffer that grew would leave parts of the secrets behind. */
static int read_text(const char *path, char **text, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	else if (st.st_size > (off_t)IPSEC_FILE_BYTES)
		rc = -EFBIG;
	*text = rc == 0 ? malloc((size_t)st.st_size + 1) : NULL;
	*len = 0;
	if (rc == 0 && !*text)
		rc = -ENOMEM;
	while (rc == 0 && *len < (size_t)st.st_size) {
		ssize_t n = read(fd, *text + *len, (size_t)st.st_size - *len);
		if (n == 0)
			break;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			rc = -errno;
	}
	if (rc < 0 && *text) {
		explicit_bzero(*text, *len);
		free(*text);
	}
	close(fd);
	return rc;
}

static int read_one(struct ipsec_files *f, const char *path, bool follow);

static void read_included(struct ipsec_files *f, const char *path, const char *pattern, unsigned *files)
{
	char full[SWAN_VALUE_MAX + CFG_PATH_MAX];
	const char *slash = strrchr(path, '/');
	int dir = *pattern == '/' || !slash ? 0 : (int)(slash - path) + 1;
	glob_t g;

	snprintf(full, sizeof(full), "%.*s%s", dir, path, pattern);
	if (glob(full, 0, NULL, &g) != 0)
		return; /* nothing there: as good as an empty file */
	for (size_t k = 0; k < g.gl_pathc && *files < IPSEC_FILES_MAX; k++, ++*files)
		(void)read_one(f, g.gl_pathv[k], false);
	globfree(&g);
}

static int read_one(struct ipsec_files *f, const char *path, bool follow)
{
	char *text = NULL;
	size_t len = 0;
	unsigned line = 0, files = 0;
	char pattern[SWAN_VALUE_MAX];
	int rc = read_text(path, &text, &len);

	if (rc < 0) {
		snprintf(f->error, sizeof(f->error), "%.100s: %s", path, err_text(rc));
		return rc;
	}
	enum swan_drop d = swan_read(&f->facts, text, len, &line);
	if (d != SWAN_OK)
		snprintf(f->error, sizeof(f->error), "%.80s:%u: %s", path, line, swan_drop_text(d));
	for (unsigned i = 0; follow && swan_include(text, len, i, pattern, sizeof(pattern)); i++)
		read_included(f, path, pattern, &files);
	explicit_bzero(text, len);
	free(text);
	return 0;
}

int ipsec_files_read(struct ipsec_files *f)
{
	char error[sizeof(f->error)];
	int rc = read_one(f, f->swanctl, true);

	/* Without strongswan.conf charon has its standards. */
	memcpy(error, f->error, sizeof(error));
	f->repeats = read_one(f, f->strongswan, true) == 0;
	swan_sort(&f->facts);
	memcpy(f->error, error, sizeof(f->error));
	return rc;
}
