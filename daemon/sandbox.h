/*
 * Purpose: what the process may do and what it must not lose: capabilities, limits, locked memory, scheduling.
 * Owns:    nothing.
 * Thread:  CONTROL at start.
 * In:      wishes.   Out: 0 or -errno each; the caller logs what was not allowed and goes on.
 * Errors:  -errno.
 */
#ifndef KT_SANDBOX_H
#define KT_SANDBOX_H

#define SANDBOX_RT_PRIO 10 /* CONTROL; KERNEL uses one less while it holds a role job */

/*
 * Keeps CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE, CAP_SYS_NICE, CAP_IPC_LOCK, CAP_CHOWN, CAP_KILL, and CAP_SETUID
 * and CAP_SETGID for programs that run as another user, and drops every other one from the permitted and effective sets
 * of the calling thread (threads made later inherit). The
 * bounding set stays: hooks are programs of the operator and run as he expects.
 */
int sandbox_caps(void);
/* Only CAP_NET_ADMIN and CAP_NET_RAW: the guardian. */
int sandbox_caps_guardian(void);
/*
 * Descriptors and locked memory up to the hard limits (CAP_IPC_LOCK lifts the latter), RLIMIT_RTTIME 1 s (SIGXCPU) and
 * 2 s (SIGKILL), and more for thousands of virtual routers.
 */
int sandbox_rlimits(unsigned routers);
/* mlockall with MCL_ONFAULT: pages stay once they were touched. */
int sandbox_memory(void);
/* SCHED_FIFO at prio for the calling thread; children of fork fall back to SCHED_OTHER. */
int sandbox_realtime(int prio);
/* Enters a network namespace of ip-netns(8), before any thread or socket exists. */
int sandbox_namespace(const char *name);
/* Lowers the OOM killer's interest in this process (needs CAP_SYS_RESOURCE: call before sandbox_caps). */
int sandbox_oom(int score_adj);

#endif
