#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "daemon/base/ring.h"

int ring_init(struct ring *r, size_t msg_size, uint32_t n_slots)
{
	uint32_t n = 1;
	if (msg_size == 0 || n_slots == 0 || n_slots > UINT32_C(1) << 30)
		return -EINVAL;
	while (n < n_slots)
		n *= 2;
	memset(r, 0, sizeof(*r));
	r->wake_fd = -1;
	r->msg_size = msg_size;
	r->mask = n - 1;
	r->slots = calloc(n, msg_size);
	if (!r->slots)
		return -ENOMEM;
	r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->wake_fd == -1) {
		int rc = -errno;
		ring_free(r);
		return rc;
	}
	return 0;
}

void ring_free(struct ring *r)
{
	if (r->wake_fd != -1)
		close(r->wake_fd);
	r->wake_fd = -1;
	free(r->slots);
	r->slots = NULL;
}

bool ring_push(struct ring *r, const void *msg)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	/* Acquire: the consumer has copied the slot out before it moved head. */
	if (tail - atomic_load_explicit(&r->head, memory_order_acquire) > r->mask) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	memcpy(r->slots + (size_t)(tail & r->mask) * r->msg_size, msg, r->msg_size);
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	atomic_fetch_add_explicit(&r->pushed, 1, memory_order_relaxed);
	/* EAGAIN means the counter is near 2^64: the consumer is awake already. */
	uint64_t one = 1;
	ssize_t n = write(r->wake_fd, &one, sizeof(one));
	(void)n;
	return true;
}

bool ring_pop(struct ring *r, void *msg)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (head == atomic_load_explicit(&r->tail, memory_order_acquire))
		return false;
	memcpy(msg, r->slots + (size_t)(head & r->mask) * r->msg_size, r->msg_size);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

int ring_fd(const struct ring *r)
{
	return r->wake_fd;
}

void ring_ack(struct ring *r)
{
	uint64_t n;
	ssize_t got = read(r->wake_fd, &n, sizeof(n));
	(void)got;
}

uint32_t ring_waiting(const struct ring *r)
{
	return atomic_load_explicit(&r->tail, memory_order_acquire) -
	       atomic_load_explicit(&r->head, memory_order_acquire);
}
