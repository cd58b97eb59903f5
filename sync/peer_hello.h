/*
 * Purpose: making and judging hello and close, and small pure parts both kinds of connection use: receive window, retry.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      values.
 * Out:     values; PEER_WHY_UP means "accepted".
 * Errors:  an enum peer_why with a text that names both sides' values.
 */
#ifndef KT_SYNC_PEER_HELLO_H
#define KT_SYNC_PEER_HELLO_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "sync/peer_msg.h"
#include "sync/peer_why.h"

/* What this process says of itself. */
struct peer_self {
	uint32_t node;
	uint64_t boot_nonce;
	struct epoch epoch_max;
	uint8_t digest_key[16];
	uint64_t config_digest[4];
};

/* Features of this version; a bit that the other end lacks is not used towards it. */
enum { PEER_FEATURE_SESSIONS = 1 << 0, PEER_FEATURE_FACTS = 1 << 1, PEER_FEATURE_SA = 1 << 2 };

void peer_hello_make(const struct peer_self *self, const struct sync_conf *conf, bool data, struct peer_msg *out);
/* expected: the node that the handshake has authenticated. */
enum peer_why peer_hello_check(const struct peer_hello *h, const struct sync_conf *conf, uint32_t expected, bool data,
			       char *text, size_t text_len);
void peer_close_make(struct peer_msg *out, enum peer_why why, const char *text);
/* Why the peer closed: its number if it is known here, else PEER_WHY_CLOSED. */
enum peer_why peer_close_why(const struct peer_msg *m);

/* Which of the last 64 sequence numbers were seen: the same message arrives once per link. */
struct peer_window {
	uint64_t top, seen; /* bit i: top - i */
};
/* True the first time a number is seen; numbers 64 below the newest count as seen. */
bool peer_window_new(struct peer_window *w, uint64_t seq);

#define PEER_RETRY_MIN_NS (100 * NS_PER_MS)
#define PEER_RETRY_MAX_NS NS_PER_SEC
struct peer_retry {
	int64_t delay_ns; /* 0: the next one is the first */
	uint32_t random;
	unsigned key; /* which key of the file is offered next */
};
/* The delay before the next attempt: doubles from 100 ms to 1 s, each time 75..100 % of it, so that both ends and all
 * links do not march in step. */
int64_t peer_retry_next(struct peer_retry *r);

#endif
