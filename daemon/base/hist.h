/*
 * Purpose: a histogram of durations in power-of-two microsecond buckets (lateness, phases).
 * Owns:    nothing.
 * Thread:  one writer; readers on other threads may see a count in flight, never garbage (relaxed atomics).
 * In/Out:  hist_add(duration_ns); quantiles are upper bounds of a bucket.
 * Errors:  none.
 */
#ifndef KT_BASE_HIST_H
#define KT_BASE_HIST_H

#include <stdatomic.h>
#include <stdint.h>

#define HIST_BUCKETS 28 /* bucket i holds durations below 2^i us; the last one holds the rest */

struct hist {
	_Atomic uint64_t bucket[HIST_BUCKETS];
	_Atomic uint64_t count;
	_Atomic int64_t max_ns;
};

void hist_add(struct hist *h, int64_t d_ns);
/* Upper bound in microseconds of the q-quantile, 0 < q <= 1; 0 when empty. */
uint64_t hist_quantile_us(const struct hist *h, double q);
void hist_clear(struct hist *h);

#endif
