/*
 * Purpose: rules of the quarantine by iptables, for kernels without nftables: programs run by the kt-disk thread, so that
 *          no address waits for them.
 * Owns:    struct ipt_io.
 * Thread:  CONTROL; the programs are started and waited for on kt-disk.
 * In:      texts of quar_ipt_text.   Out: the callback with the result.
 * Errors:  what a program refuses is counted and its words are kept; the caller tries again.
 */
#ifndef KT_IPT_IO_H
#define KT_IPT_IO_H

#include "daemon/kernel_thread.h"

struct ipt_io;

struct ipt_io_stats {
	uint64_t applied, refused;
	bool failed;     /* the last one was */
	char error[200]; /* of the last refusal */
};

typedef void (*ipt_io_fn)(void *arg, bool ok);

/* Looks for the programs, once. fn (may be NULL) is called on CONTROL after each job. NULL: no memory. */
struct ipt_io *ipt_io_new(struct kernel_thread *kt, ipt_io_fn fn, void *arg);
/* After kernel_thread_stop: no job may be on its way. */
void ipt_io_free(struct ipt_io *io);
/* Path of iptables-restore (v6: ip6tables-restore); empty when this machine has none. */
const char *ipt_io_program(const struct ipt_io *io, bool v6);
/*
 * Takes both texts (malloc'ed). NULL: nothing of this family; what an earlier call set there is removed. Jobs keep their
 * order. 0, -ENOMEM or ERR_FULL: counted, and the texts are freed.
 */
int ipt_io_run(struct ipt_io *io, char *text4, char *text6);
const struct ipt_io_stats *ipt_io_stats(const struct ipt_io *io);
/* True while a family may have rules of ours: until a removal went well. */
bool ipt_io_in_force(const struct ipt_io *io);

#endif
