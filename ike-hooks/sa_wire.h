/*
 * Purpose: what two nodes say to each other about SA copies, as bytes. Opaque to the channel that carries it.
 * Owns:    nothing; buffers are the caller's. What is not an offer holds keys or belongs to them: locked memory, and
 *          sealed (ike-hooks/sa_seal.h) before it leaves it.
 * Thread:  any (pure).
 * In/Out:  values <-> bytes, big endian.
 * Errors:  readers return enum sa_drop; writers return the length, or 0 when the buffer is too small.
 *
 * On the channel, one of
 *   OFFER   version u8, 1, flags u8 (0), public key 32 bytes
 *   SEALED  version u8, 2, nonce 24 bytes, box
 * In the box: version u8, kind u8, 0 u16, sender u32, then by kind
 *   COPIES  records: length u16, record
 *   LIST    virtual address, first id u32, last id u32, then all copies between them: id u32, top u64
 *   WANT    ids u32: what a LIST named and the reader does not have
 * Records may grow at their end; a kind that is not known is skipped.
 */
#ifndef KT_SA_WIRE_H
#define KT_SA_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/wire.h"
#include "ike-hooks/sa_copy.h"

#define SA_WIRE_VERSION 1
#define SA_PUBLIC_LEN   32
#define SA_NONCE_LEN    24
#define SA_SEAL_EXTRA   (2 + SA_NONCE_LEN + 16)
#define SA_BODY_MAX     3900 /* of one message on the channel, whose records end at 4096 bytes */
#define SA_PLAIN_MAX    (SA_BODY_MAX - SA_SEAL_EXTRA)
#define SA_LIST_TOPS    256 /* in one LIST */
#define SA_WANT_IDS     256 /* in one WANT */

enum sa_outer { SA_OUTER_OFFER = 1, SA_OUTER_SEALED = 2 };
enum sa_kind { SA_KIND_COPIES = 1, SA_KIND_LIST = 2, SA_KIND_WANT = 3 };

struct sa_top {
	uint32_t id;
	uint64_t top;
};

struct sa_list {
	struct addr vip;
	uint32_t first, last;
	uint16_t n;
	struct sa_top tops[SA_LIST_TOPS]; /* ids ascend */
};

struct sa_want {
	uint16_t n;
	uint32_t ids[SA_WANT_IDS];
};

/* Begins a plain message at w. */
void sa_put_head(struct wire_wr *w, enum sa_kind kind, uint32_t sender);
/* One more record of COPIES. False: it does not fit, and nothing was written. */
bool sa_put_copy(struct wire_wr *w, const struct sa_copy *sa);
void sa_put_list(struct wire_wr *w, const struct sa_list *list);
void sa_put_want(struct wire_wr *w, const struct sa_want *want);

#define SA_PRINT_KEY  16
#define SA_RECORD_MAX 768 /* no record is longer */
/* Sets sa->fingerprint. scratch: SA_RECORD_MAX bytes of locked memory, wiped afterwards. */
void sa_fingerprint(struct sa_copy *sa, const uint8_t key[SA_PRINT_KEY], uint8_t *scratch);

/* The head; r then stands at what follows. */
enum sa_drop sa_get_head(struct wire_rd *r, enum sa_kind *kind, uint32_t *sender);
/* The next record of COPIES. On a drop out is wiped; go on with the next one unless r->bad. Call while bytes are left. */
enum sa_drop sa_get_copy(struct wire_rd *r, struct sa_copy *out);
enum sa_drop sa_get_list(struct wire_rd *r, struct sa_list *out);
enum sa_drop sa_get_want(struct wire_rd *r, struct sa_want *out);

#endif
