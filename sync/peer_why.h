/*
 * Purpose: why a connection to a peer is down, in our own words: one enum for TLS, TCP and hello.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  values; peer_why_text gives a complete English sentence part, static storage.
 * Errors:  none.
 */
#ifndef KT_SYNC_PEER_WHY_H
#define KT_SYNC_PEER_WHY_H

/* name, short name for JSON and counters, text. The order is part of the wire format (CLOSE): append only. */
#define PEER_WHY_TABLE(X)                                                                                       \
	X(PEER_WHY_NONE, "none", "not tried yet")                                                               \
	X(PEER_WHY_UP, "up", "connected and authenticated")                                                     \
	X(PEER_WHY_REFUSED, "refused", "the peer's kernel refused: nothing listens there")                      \
	X(PEER_WHY_UNREACHABLE, "unreachable", "no route to the peer, or the own address is missing")           \
	X(PEER_WHY_TIMEOUT, "timeout", "no answer in time")                                                     \
	X(PEER_WHY_LOST, "lost", "the connection was reset or timed out")                                       \
	X(PEER_WHY_EOF, "eof", "the peer closed the connection without a word")                                 \
	X(PEER_WHY_SILENT, "silent", "no heartbeat within 300 ms")                                              \
	X(PEER_WHY_CLOSED, "closed", "the peer closed on purpose")                                              \
	X(PEER_WHY_LOCAL, "local", "closed by this node")                                                       \
	X(PEER_WHY_REPLACED, "replaced", "a newer connection of the same peer took its place")                  \
	X(PEER_WHY_TLS, "tls", "TLS failed")                                                                    \
	X(PEER_WHY_ALERT, "tls-alert", "the peer ended TLS with an alert")                                      \
	X(PEER_WHY_NOT_TLS, "not-tls", "the other end does not speak TLS; is 'insecure' set on one node only?") \
	X(PEER_WHY_WRONG_KEY, "wrong-key", "the keys differ: the proof of the key is wrong")                    \
	X(PEER_WHY_KEY_ID, "key-id",                                                                            \
	  "the keys differ: this key is not in the other node's key file; copy one file to both")               \
	X(PEER_WHY_UNKNOWN_NODE, "unknown-node", "the node id is not in the configuration")                     \
	X(PEER_WHY_OWN_ID, "own-id", "the peer uses this node's own id")                                        \
	X(PEER_WHY_CLUSTER, "other-cluster", "the peer belongs to another cluster")                             \
	X(PEER_WHY_VERSION, "version", "no common protocol version")                                            \
	X(PEER_WHY_MALFORMED, "malformed", "a record could not be understood")                                  \
	X(PEER_WHY_FULL, "full", "the peer does not read: the send buffer reached its limit")                   \
	X(PEER_WHY_STRANGERS, "strangers", "too many unauthenticated connections")                              \
	X(PEER_WHY_SOURCE, "source", "the source address is not configured for any node")                       \
	X(PEER_WHY_ERROR, "error", "an error of this system")

enum peer_why {
#define PEER_WHY_ENUM(name, key, text) name,
	PEER_WHY_TABLE(PEER_WHY_ENUM)
#undef PEER_WHY_ENUM
	    PEER_WHY_N
};

const char *peer_why_text(enum peer_why w);
const char *peer_why_name(enum peer_why w);

#endif
