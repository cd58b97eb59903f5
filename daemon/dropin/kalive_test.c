/*
 * -t: is this file fit to run with? keepalived's exit codes, except that a missing file is an error.
 */
#include "daemon/dropin/kalive.h"

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

static bool has_script(const struct notify_conf *n)
{
	for (unsigned i = 0; n->script && i < NOTIFY_WHICH_N; i++)
		if (n->script[i].argv)
			return true;
	return false;
}

/* Programs are to be run, and nobody promised that no one else can write to them. */
static bool insecure(const struct cfg *c)
{
	const struct notify_cfg *n = &c->notify;
	bool any = n->fifo[NOTIFY_FIFO_ALL].reader.argv || n->fifo[NOTIFY_FIFO_VRRP].reader.argv;
	for (uint16_t i = 0; n->inst && i < c->n_instances; i++)
		any |= has_script(&n->inst[i]);
	for (uint16_t g = 0; n->group_of && g < c->n_groups; g++)
		any |= has_script(&n->group_of[g]);
	for (uint16_t i = 0; i < c->track.n_objs; i++)
		any |= c->track.objs[i].kind == VRRP_TRACK_SCRIPT;
	return any && !n->security;
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
	bool usable = c && app_peer_key(c, &errs);
	cfg_say(&errs, true, stderr);
	int rc = !usable ? KALIVE_EXIT_TEST_FAILED : errs.n_read ? KALIVE_EXIT_TEST_ERRORS : KALIVE_EXIT_OK;
	if (c && insecure(c)) {
		fprintf(stderr, "SECURITY VIOLATION - scripts are being executed but script_security not enabled.\n");
		rc = KALIVE_EXIT_TEST_SECURITY;
	}
	cfg_errors_free(&errs);
	cfg_free(c);
	return rc;
}
