/*
 * Purpose: the ctl channel on CONTROL: one connection per peer and link, hello, messages, liveness, the death probe.
 * Owns:    struct peer_ctl, its connections and timers.
 * Thread:  CONTROL only; no callback or function blocks.
 * In:      struct peer_msg to send, adopted connections.   Out: callbacks of struct peer_ctl_cb.
 * Errors:  -errno or ERR_*; why a connection is down is an enum peer_why with text.
 *
 * A message goes out on every link that is up, under one sequence number per sender and boot; the receiver delivers
 * it once, from the link that is first. Heartbeats are messages like others and are sent by the caller every 100 ms.
 *
 * Connections are bare non-blocking SSL objects on loop_fd, not bufferevent_openssl: the stall guard and the fence must
 * read "until EAGAIN" inside one call, backlog must not collect in a library's output buffer, and an accepted
 * connection passes from SYNC's loop to CONTROL's as (fd, SSL) without having belonged to a loop's buffers.
 */
#ifndef KT_SYNC_PEER_IO_H
#define KT_SYNC_PEER_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"
#include "sync/peer_msg.h"
#include "sync/peer_why.h"
#include "sync/sync_conf.h"
#include "sync/sync_wire.h"

struct loop;
struct peer_ctl;
struct ssl_st;

#define PEER_HEARTBEAT_NS (100 * NS_PER_MS)
#define PEER_SILENCE_NS   (300 * NS_PER_MS) /* channel down when nothing was heard on any link for this long */
#define PEER_PROBE_NS     (100 * NS_PER_MS) /* a probe without an answer ends here */

/* Answer of the peer's kernel to an immediate reconnect. */
enum peer_probe {
	PEER_PROBE_REFUSED = 0, /* RST: the machine lives, nothing listens: the process is dead */
	PEER_PROBE_ANSWERED,    /* a listener accepted */
	PEER_PROBE_SILENT,      /* no answer in PEER_PROBE_NS, or no route */
};

struct peer_ctl_state {
	bool up;           /* channel: a link is authenticated and a record was heard in the last 300 ms */
	enum peer_why why; /* of the change */
	uint8_t link;      /* link that caused it */
	const char *text;  /* the reason in words, valid during the callback */
};

struct peer_ctl_cb {
	/* A message, once, in the order of one link. HELLO comes first, once per link, and again when either side's
	 * digests have changed by a reload. */
	void (*on_msg)(void *arg, uint32_t node, const struct peer_msg *m);
	/* The channel to a node went up or down (not: one link of several). */
	void (*on_state)(void *arg, uint32_t node, const struct peer_ctl_state *s);
	/* A record for another domain (SYNC_OBJ_SA), once; the bytes are valid during the callback. May be NULL. */
	void (*on_object)(void *arg, uint32_t node, enum sync_obj type, const uint8_t *bytes, size_t len);
	/* Answer to peer_ctl_probe. */
	void (*on_probe)(void *arg, uint32_t node, enum peer_probe r);
};

/*
 * Starts dialling at once (the lower id of a pair dials; the other one waits for peer_ctl_adopt). conf is
 * copied. On failure NULL, and err says what and how to mend it (key file).
 */
struct peer_ctl *peer_ctl_new(struct loop *l, const struct sync_conf *conf, uint64_t boot_nonce,
			      const uint64_t config_digest[4], const struct peer_ctl_cb *cb, void *arg, char *err,
			      size_t err_len);
/* Closes every connection; sends CLOSE with this text first if text is not NULL. */
void peer_ctl_free(struct peer_ctl *p, const char *text);
/* New configuration and digests (the key file is read again); connections to nodes that did not change stay. 0 or -errno (then nothing changed). */
int peer_ctl_conf(struct peer_ctl *p, const struct sync_conf *conf, const uint64_t config_digest[4], char *err,
		  size_t err_len);
/* The highest epoch seen: goes into the next hello. */
void peer_ctl_epoch(struct peer_ctl *p, struct epoch e);

/* 0; -ENOTCONN when no link of this node is up; ERR_FULL when the peer does not read (the link is closed then). */
int peer_ctl_send(struct peer_ctl *p, uint32_t node, const struct peer_msg *m);
/* To every node with a link that is up; returns how many. */
unsigned peer_ctl_broadcast(struct peer_ctl *p, const struct peer_msg *m);
/* Bytes for another domain of that node, at most SYNC_OBJ_BYTES_MAX. As peer_ctl_send, and: -EAGAIN while a link has
 * not taken all that was sent before (heartbeats must never wait behind these); -ENOTSUP: that node does not know them. */
int peer_ctl_send_object(struct peer_ctl *p, uint32_t node, enum sync_obj type, const uint8_t *bytes, size_t len);
/* Takes over an inbound connection that SYNC has authenticated as this node (SYNC_REP_CTL_CONN): fd and ssl are owned
 * by p from here on, whatever the result. ssl is NULL with insecure. */
int peer_ctl_adopt(struct peer_ctl *p, int fd, struct ssl_st *ssl, uint32_t node);
/* Reads everything that has arrived on all links now, within the caller's call (stall guard: before it sends). */
void peer_ctl_drain(struct peer_ctl *p);
/* Connects once to every link of the node; on_probe follows within PEER_PROBE_NS. 0 or -errno. */
int peer_ctl_probe(struct peer_ctl *p, uint32_t node);

bool peer_ctl_up(const struct peer_ctl *p, uint32_t node);
/* Instant of the newest record from this node on any link; MONO_ZERO: never. */
mono_t peer_ctl_last_heard(const struct peer_ctl *p, uint32_t node);
/* The newest accepted hello of this node; NULL: none yet. */
const struct peer_hello *peer_ctl_hello(const struct peer_ctl *p, uint32_t node);

/* For `show`. */
struct peer_link_info {
	uint8_t link;
	bool up, dials;
	enum peer_why why; /* PEER_WHY_UP, or of the last failure */
	char text[160];    /* details of the last failure */
	mono_t since;      /* of this state */
	uint64_t attempts, connects, rx_records, tx_records, rx_bytes, tx_bytes;
};
/* Fills out[cap], returns the number of links of this node. */
unsigned peer_ctl_links(const struct peer_ctl *p, uint32_t node, struct peer_link_info *out, unsigned cap);
/* Counters of all ctl connections together. */
const struct sync_wire_stats *peer_ctl_stats(const struct peer_ctl *p);

#endif
