/*
 * Purpose: how threads beside CONTROL begin.
 * Owns:    nothing.
 * Thread:  CONTROL.
 * In:      a function.   Out: a thread that runs it.
 * Errors:  -errno: there is no thread.
 */
#ifndef KT_BASE_THREAD_H
#define KT_BASE_THREAD_H

#include <pthread.h>

enum { THREAD_STACK_BYTES = 256 << 10 };

/*
 * Begins a thread with a stack of THREAD_STACK_BYTES (all of it is locked in memory), under SCHED_OTHER whatever CONTROL
 * has, that no signal is ever delivered to. The caller joins or detaches it. 0 or -errno.
 */
int thread_start(pthread_t *thread, void *(*fn)(void *), void *arg);

#endif
