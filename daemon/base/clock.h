/*
 * Purpose: the only place that reads clocks.
 * Owns:    nothing.
 * Thread:  any.
 * In/Out:  instants. Wall-clock time is for display and hook environments only; nothing decides by it.
 * Errors:  none.
 */
#ifndef KT_BASE_CLOCK_H
#define KT_BASE_CLOCK_H

#include "daemon/base/mono.h"

/* CLOCK_MONOTONIC now. */
mono_t clock_mono(void);

/* Processor time that the calling thread has used, in nanoseconds: for what is rationed, not for what is late. */
int64_t clock_thread_cpu_ns(void);

/* CLOCK_REALTIME in microseconds since 1970, for display only. */
int64_t clock_wall_us(void);

#endif
