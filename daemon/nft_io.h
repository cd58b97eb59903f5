/*
 * Purpose: our nftables table, made what a text says by libnftables in jobs of the KERNEL thread.
 * Owns:    struct nft_io and in it the library's context, whose socket owns the table: when it closes, the table goes.
 * Thread:  CONTROL; the library runs on KERNEL only.
 * In:      texts of nft_rules_build.   Out: the callback with the result.
 * Errors:  what the library or the kernel refuses is counted and its words are kept; the caller tries again.
 */
#ifndef KT_NFT_IO_H
#define KT_NFT_IO_H

#include "daemon/kernel_thread.h"

struct nft_io;

struct nft_io_stats {
	uint64_t applied, refused;
	bool failed;     /* the last one was */
	char error[200]; /* of the last refusal */
};

typedef void (*nft_io_fn)(void *arg, bool ok);

/* fn (may be NULL) is called on CONTROL after each job. NULL: no memory. */
struct nft_io *nft_io_new(struct kernel_thread *kt, nft_io_fn fn, void *arg);
/* The kernel removes our table now, unless a job is on its way. No job may follow. */
void nft_io_close(struct nft_io *io);
/* After kernel_thread_stop: no job may be on its way. The table vanishes. */
void nft_io_free(struct nft_io *io);
/*
 * Takes text (malloc'ed) and runs it before every later job of KT_PROMOTE; jobs keep their order, so the last text
 * holds. 0, -ENOMEM or ERR_FULL: counted, and the text is freed.
 */
int nft_io_run(struct nft_io *io, char *text);
const struct nft_io_stats *nft_io_stats(const struct nft_io *io);

#endif
