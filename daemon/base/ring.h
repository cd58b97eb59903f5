/*
 * Purpose: single-producer single-consumer mailbox of fixed-size messages between two threads, with a wake-up.
 * Owns:    its slots and one eventfd.
 * Thread:  ring_push on the producer's, ring_pop on the consumer's thread; counters may be read anywhere.
 * In/Out:  messages are copied. A pointer inside a message passes ownership to the consumer.
 * Errors:  ring_push returns false when full; counted in dropped. What that means is the caller's to state.
 */
#ifndef KT_BASE_RING_H
#define KT_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *slots;
	size_t msg_size;
	uint32_t mask;
	int wake_fd;
	_Alignas(64) _Atomic uint32_t head; /* next to read */
	_Alignas(64) _Atomic uint32_t tail; /* next to write */
	_Atomic uint64_t pushed, dropped;
};

/* n_slots is rounded up to a power of two. 0 or -errno. */
int ring_init(struct ring *r, size_t msg_size, uint32_t n_slots);
void ring_free(struct ring *r);
/* Copies the message in and wakes the consumer. */
bool ring_push(struct ring *r, const void *msg);
/* Copies the oldest message out; false when empty. */
bool ring_pop(struct ring *r, void *msg);
/* Readable when messages may wait; the consumer calls ring_ack before popping until empty. */
int ring_fd(const struct ring *r);
void ring_ack(struct ring *r);
uint32_t ring_waiting(const struct ring *r);

#endif
