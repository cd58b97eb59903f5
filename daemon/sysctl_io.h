/*
 * Purpose: writes the kernel settings of virtual MACs and their bases, in jobs of the KERNEL thread.
 * Owns:    struct sysctl_io: the plan, its record in the run directory, at most one job for a base at a time.
 * Thread:  CONTROL; the jobs run on KERNEL, in the network namespace of the process.
 * In:      interfaces as they come and go, the wishes of the configuration.
 * Out:     files below /proc/sys; log lines about what was refused.
 * Errors:  a setting that this kernel does not have is left out; what is refused is said once per interface and counted.
 */
#ifndef KT_SYSCTL_IO_H
#define KT_SYSCTL_IO_H

#include "daemon/kernel_thread.h"
#include "daemon/sysctl_plan.h"

struct sysctl_io;

struct sysctl_io_stats {
	uint64_t written, restored, refused;
	int record_err; /* 0 or -errno of the last write of the record */
};

/* root: "/proc/sys"; record: the file in the run directory, read now. NULL: no memory. *why: what was wrong with it. */
struct sysctl_io *sysctl_io_new(struct kernel_thread *kt, const char *root, const char *record, const char **why);
/* Drops what waits; jobs on their way must have ended (kernel_thread_stop). */
void sysctl_io_free(struct sysctl_io *s);

/*
 * Settings of the interface of a virtual MAC. Unless others wait, the job is ahead of every later one of KT_PROMOTE: what
 * is asked for before the interface is taken up is done before it comes up.
 */
void sysctl_io_vmac(struct sysctl_io *s, const struct sysctl_vmac *v);
/* The plan may be changed (wishes, names, interfaces that are gone); then kick. */
struct sysctl_plan *sysctl_io_plan(struct sysctl_io *s);
void sysctl_io_kick(struct sysctl_io *s);
const struct sysctl_io_stats *sysctl_io_stats(const struct sysctl_io *s);

#endif
