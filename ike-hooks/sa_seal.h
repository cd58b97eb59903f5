/*
 * Purpose: seals what is said about SA copies between two processes, under keys that live as long as the processes do.
 *          The channel is encrypted already; but its buffers, queues and the messages waiting in them are ordinary memory,
 *          which a core dump shows. With this, keys of SAs are readable in locked memory only, from kernel to kernel.
 * Owns:    struct sa_seal: a key pair (X25519), and one common key for each other node.
 * Thread:  the thread that made it.
 * In/Out:  bytes. Who the other node is, the channel has proved; the public keys come over it.
 * Errors:  -errno; opening returns false for anything that was not sealed for us.
 */
#ifndef KT_SA_SEAL_H
#define KT_SA_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike-hooks/sa_wire.h"

#define SA_SEAL_PEERS 8

struct sa_seal;

/* NULL with errno: see sa_lock.h. */
struct sa_seal *sa_seal_new(void);
void sa_seal_free(struct sa_seal *s);
/* The public key, SA_PUBLIC_LEN bytes. */
const uint8_t *sa_seal_public(const struct sa_seal *s);
/* The public key of another node. True: it is new, what was known of that node's process is void. False: known already, or
 * there is no room for more nodes, or it is no key at all. */
bool sa_seal_meet(struct sa_seal *s, uint32_t node, const uint8_t *public_key);
bool sa_seal_knows(const struct sa_seal *s, uint32_t node);
/* plain -> out (outer head, nonce, box). Length, or 0: the node is unknown or out is too small. */
size_t sa_seal_close(const struct sa_seal *s, uint32_t node, const uint8_t *plain, size_t len, uint8_t *out,
		     size_t cap);
/* The box of a SEALED message (from behind its outer head) -> plain. Length, or 0. */
size_t sa_seal_open(const struct sa_seal *s, uint32_t node, const uint8_t *sealed, size_t len, uint8_t *plain,
		    size_t cap);

#endif
