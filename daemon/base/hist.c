#include "daemon/base/hist.h"
#include "daemon/base/mono.h"

/* One writer: a plain add is enough, the atomics only keep readers from seeing halves. */
static void bump(_Atomic uint64_t *c)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}

void hist_add(struct hist *h, int64_t d_ns)
{
	unsigned i = 0;
	for (int64_t us = d_ns / NS_PER_US; us > 0 && i < HIST_BUCKETS - 1; us >>= 1)
		i++;
	bump(&h->bucket[i]);
	bump(&h->count);
	if (d_ns > atomic_load_explicit(&h->max_ns, memory_order_relaxed))
		atomic_store_explicit(&h->max_ns, d_ns, memory_order_relaxed);
}

uint64_t hist_quantile_us(const struct hist *h, double q)
{
	uint64_t n[HIST_BUCKETS], total = 0, seen = 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		n[i] = atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		total += n[i];
	}
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += n[i];
		if (seen > 0 && (double)seen >= q * (double)total)
			return UINT64_C(1) << i;
	}
	return 0;
}

void hist_clear(struct hist *h)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		atomic_store_explicit(&h->bucket[i], 0, memory_order_relaxed);
	atomic_store_explicit(&h->count, 0, memory_order_relaxed);
	atomic_store_explicit(&h->max_ns, 0, memory_order_relaxed);
}
