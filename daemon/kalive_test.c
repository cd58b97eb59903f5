/*
 * -t: is this file fit to run with? keepalived's exit codes, except that a missing file is an error.
 */
#include "daemon/kalive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cfg_say.h"

/* From here on standard error is the file that -t names. */
static bool redirect(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
		fprintf(stderr, "Unable to open config-test log file %s %d - %s\n", path, errno, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	return true;
}

int kalive_test(const struct kalive *k)
{
	struct cfg_how how = { .format = CFG_FORMAT_KEEPALIVED,
			       .config_id = k->opts.config_id,
			       .all_includes = k->opts.all_config };
	struct cfg_errors errs = { 0 };
	struct stat st;
	if (k->opts.test_log && !redirect(k->opts.test_log))
		return KALIVE_EXIT_FATAL;
	if (stat(k->config, &st) < 0) {
		fprintf(stderr, "Config files missing '%s'.\n", k->opts.config);
		return KALIVE_EXIT_TEST_FAILED;
	}
	struct cfg *c = cfg_load_as(k->config, &how, &errs);
	cfg_say(&errs, true, stderr);
	int rc = !c ? KALIVE_EXIT_TEST_FAILED : errs.n_warnings ? KALIVE_EXIT_TEST_ERRORS : KALIVE_EXIT_OK;
	cfg_errors_free(&errs);
	cfg_free(c);
	return rc;
}
