#include "daemon/nft_io.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"

struct nft_io {
	struct kernel_thread *kt;
	nft_io_fn fn;
	void *arg;
	struct nft_ctx *ctx; /* KERNEL's, made by the first job */
	unsigned busy;       /* jobs under way */
	struct nft_io_stats stats;
};

struct nft_job {
	struct nft_io *io;
	char *text;
	char error[200];
};

/* ---- on KERNEL ---- */

static int open_ctx(struct nft_io *io)
{
	io->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!io->ctx)
		return -ENOMEM;
	/* Nothing of the library's words goes to our standard output. */
	if (nft_ctx_buffer_error(io->ctx) || nft_ctx_buffer_output(io->ctx)) {
		nft_ctx_free(io->ctx);
		io->ctx = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* The first line says what was wrong; the rest repeats our text. */
static void keep_error(struct nft_job *j, const char *words)
{
	size_t n = words ? strcspn(words, "\n") : 0;
	snprintf(j->error, sizeof(j->error), "%.*s", (int)(n < sizeof(j->error) ? n : sizeof(j->error) - 1),
		 n ? words : "refused without a reason");
}

static int run(void *ctx)
{
	struct nft_job *j = ctx;
	int rc = j->io->ctx ? 0 : open_ctx(j->io);
	if (rc < 0) {
		keep_error(j, err_text(rc));
		return rc;
	}
	if (nft_run_cmd_from_buffer(j->io->ctx, j->text) == 0)
		return 0;
	keep_error(j, nft_ctx_get_error_buffer(j->io->ctx));
	return -EPROTO;
}

/* ---- on CONTROL ---- */

static void done(struct kt_job *job)
{
	struct nft_job *j = job->call.ctx;
	struct nft_io *io = j->io;
	bool ok = job->result == 0;
	io->busy--;
	io->stats.failed = !ok;
	*(ok ? &io->stats.applied : &io->stats.refused) += 1;
	if (!ok)
		memcpy(io->stats.error, j->error, sizeof(io->stats.error));
	free(j->text);
	free(j);
	if (io->fn)
		io->fn(io->arg, ok);
}

int nft_io_run(struct nft_io *io, char *text)
{
	struct nft_job *j = calloc(1, sizeof(*j));
	struct kt_job *job = kt_job_new(KT_CALL, KT_PROMOTE, done, io);
	int rc = -ENOMEM;
	if (j && job && text) {
		*j = (struct nft_job){ .io = io, .text = text };
		job->call.fn = run;
		job->call.ctx = j;
		rc = kernel_thread_submit(io->kt, job);
		if (rc == 0) {
			io->busy++;
			return 0;
		}
	}
	io->stats.refused++;
	io->stats.failed = true;
	snprintf(io->stats.error, sizeof(io->stats.error), "%s", err_text(rc));
	kt_job_free(job);
	free(j);
	free(text);
	return rc;
}

const struct nft_io_stats *nft_io_stats(const struct nft_io *io)
{
	return &io->stats;
}

struct nft_io *nft_io_new(struct kernel_thread *kt, nft_io_fn fn, void *arg)
{
	struct nft_io *io = calloc(1, sizeof(*io));
	if (io)
		*io = (struct nft_io){ .kt = kt, .fn = fn, .arg = arg };
	return io;
}

void nft_io_close(struct nft_io *io)
{
	if (io->ctx && !io->busy)
		nft_ctx_free(io->ctx);
	if (!io->busy)
		io->ctx = NULL;
}

void nft_io_free(struct nft_io *io)
{
	if (!io)
		return;
	if (io->ctx)
		nft_ctx_free(io->ctx);
	free(io);
}
