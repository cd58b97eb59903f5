#include "daemon/ipt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/quar_rules.h"

#define PROGRAM_NS (10 * NS_PER_SEC) /* a program that takes longer is killed */

struct ipt_io {
	struct kernel_thread *kt;
	ipt_io_fn fn;
	void *arg;
	char program[2][QUAR_PROGRAM_MAX], restore[2][QUAR_PROGRAM_MAX]; /* IPv4, IPv6 */
	bool in_force[2];                                                /* CONTROL's: asked for, not removed yet */
	char *set[2];                                                    /* kt-disk's: what is there; NULL: nothing */
	struct ipt_io_stats stats;
};

struct ipt_job {
	struct ipt_io *io;
	bool want[2];
	char *text[2]; /* NULL: nothing wanted, or given to io->set */
	char error[200];
};

/* ---- on kt-disk ---- */

static void keep_error(struct ipt_job *j, const char *program, const char *words)
{
	size_t n = strcspn(words, "\n");
	snprintf(j->error, sizeof(j->error), "%s: %.*s", program, (int)(n < 150 ? n : 150),
		 n ? words : "failed without a word");
}

static int spawn(pid_t *pid, const char *const *argv, int in, int err)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
	char *const env[] = { path, locale, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&fa) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&at) != 0) {
		posix_spawn_file_actions_destroy(&fa);
		return -ENOMEM;
	}
	posix_spawnattr_setsigmask(&at, &none);
	posix_spawnattr_setsigdefault(&at, &all);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int rc = posix_spawn_file_actions_adddup2(&fa, in, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, err, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, err, 2);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	if (rc == 0)
		rc = posix_spawn(pid, argv[0], &fa, &at, (char *const *)(uintptr_t)argv, env);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	return -rc;
}

/* The end of the process: its exit status, or -ETIMEDOUT after it was killed. */
static int await(pid_t pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	mono_t end = mono_add(clock_mono(), PROGRAM_NS);
	int status = 0, n = 0;
	do {
		int64_t left = mono_sub(end, clock_mono());
		n = p.fd < 0 ? 1 : left <= 0 ? 0 : poll(&p, 1, (int)(left / NS_PER_MS) + 1);
	} while (n < 0 && errno == EINTR);
	if (p.fd >= 0)
		close(p.fd);
	if (n == 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* Memory that is a file: a text of any length for a program, or its words. */
static int text_file(const char *text)
{
	int fd = memfd_create("keeptrackd-rules", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;
	if (fd < 0)
		return -errno;
	if ((len && write(fd, text, len) != (ssize_t)len) || lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* Runs a program with text as its input. 0, its exit status, or -errno; j->error says what it said. */
static int run_program(struct ipt_job *j, const char *const *argv, const char *text)
{
	char words[160] = "";
	pid_t pid = 0;
	int in = text_file(text), err = text_file(NULL);
	int rc = in < 0 ? in : err < 0 ? err : spawn(&pid, argv, in, err);
	if (rc == 0)
		rc = await(pid);
	ssize_t n = err >= 0 ? pread(err, words, sizeof(words) - 1, 0) : 0;
	words[n > 0 ? n : 0] = '\0';
	if (rc)
		keep_error(j, argv[0], rc < 0 ? err_text(rc) : words);
	if (in >= 0)
		close(in);
	if (err >= 0)
		close(err);
	return rc;
}

static int jump(struct ipt_job *j, unsigned f, const char *what)
{
	const char *argv[10] = { j->io->program[f], "-w", "5", what };
	for (unsigned i = 0; quar_ipt_jump[i]; i++)
		argv[4 + i] = quar_ipt_jump[i];
	return run_program(j, argv, NULL);
}

static int run_family(struct ipt_job *j, unsigned f)
{
	struct ipt_io *io = j->io;
	const char *const restore[] = { io->restore[f], "--noflush", "-w", "5", NULL };
	if (!j->text[f] && !io->set[f])
		return 0;
	/* The same again is a question: is it still called? */
	if (j->text[f] && io->set[f] && !strcmp(j->text[f], io->set[f]) && jump(j, f, "-C") == 0)
		return 0;
	if (!io->restore[f][0] || !io->program[f][0]) {
		keep_error(j, f ? "ip6tables" : "iptables", "is not installed");
		return -ENOENT;
	}
	int rc = run_program(j, restore, j->text[f] ? j->text[f] : quar_ipt_remove);
	if (rc == 0 && j->text[f] && jump(j, f, "-C") != 0)
		rc = jump(j, f, "-I");
	if (rc)
		return rc > 0 ? -EPROTO : rc;
	free(io->set[f]);
	io->set[f] = j->text[f];
	j->text[f] = NULL;
	return 0;
}

static int run(void *ctx)
{
	struct ipt_job *j = ctx;
	int rc4 = run_family(j, 0), rc6 = run_family(j, 1);
	return rc4 ? rc4 : rc6;
}

/* ---- on CONTROL ---- */

static void done(struct kt_job *job)
{
	struct ipt_job *j = job->call.ctx;
	struct ipt_io *io = j->io;
	bool ok = job->result == 0;
	io->stats.failed = !ok;
	*(ok ? &io->stats.applied : &io->stats.refused) += 1;
	if (!ok)
		memcpy(io->stats.error, j->error, sizeof(io->stats.error));
	for (unsigned f = 0; ok && f < 2; f++)
		io->in_force[f] &= j->want[f];
	free(j->text[0]);
	free(j->text[1]);
	free(j);
	if (io->fn)
		io->fn(io->arg, ok);
}

int ipt_io_run(struct ipt_io *io, char *text4, char *text6)
{
	struct ipt_job *j = calloc(1, sizeof(*j));
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, done, io);
	int rc = -ENOMEM;
	if (j && job) {
		*j = (struct ipt_job){ .io = io, .want = { text4 != NULL, text6 != NULL }, .text = { text4, text6 } };
		job->call.fn = run;
		job->call.ctx = j;
		job->call.disk = true;
		io->in_force[0] |= text4 != NULL;
		io->in_force[1] |= text6 != NULL;
		rc = kernel_thread_submit(io->kt, job);
		if (rc == 0)
			return 0;
	}
	io->stats.refused++;
	io->stats.failed = true;
	snprintf(io->stats.error, sizeof(io->stats.error), "%s", err_text(rc));
	kt_job_free(job);
	free(j);
	free(text4);
	free(text6);
	return rc;
}

const struct ipt_io_stats *ipt_io_stats(const struct ipt_io *io)
{
	return &io->stats;
}

bool ipt_io_in_force(const struct ipt_io *io)
{
	return io->in_force[0] || io->in_force[1];
}

const char *ipt_io_program(const struct ipt_io *io, bool v6)
{
	return io->restore[v6];
}

/* The old program where both are installed: the new one needs the nftables that the kernel does not have. */
static void find(char out[QUAR_PROGRAM_MAX], const char *family, const char *tail)
{
	static const char *const dir[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin" };
	static const char *const kind[] = { "-legacy", "" };
	for (unsigned k = 0; k < 2; k++)
		for (unsigned d = 0; d < sizeof(dir) / sizeof(dir[0]); d++) {
			snprintf(out, QUAR_PROGRAM_MAX, "%s/%s%s%s", dir[d], family, kind[k], tail);
			if (access(out, X_OK) == 0)
				return;
		}
	out[0] = '\0';
}

struct ipt_io *ipt_io_new(struct kernel_thread *kt, ipt_io_fn fn, void *arg)
{
	static const char *const family[] = { "iptables", "ip6tables" };
	struct ipt_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->kt = kt;
	io->fn = fn;
	io->arg = arg;
	for (unsigned f = 0; f < 2; f++) {
		find(io->program[f], family[f], "");
		find(io->restore[f], family[f], "-restore");
	}
	return io;
}

void ipt_io_free(struct ipt_io *io)
{
	if (!io)
		return;
	free(io->set[0]);
	free(io->set[1]);
	free(io);
}
