/*
 * Purpose: names what an alert event of strongSwan (6.0.3 and later) is about.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      the message of the event.   Out: one of the alerts we react to or tell.
 * Errors:  an alert of another kind, or a malformed message: VICI_ALERT_OTHER.
 */
#ifndef KT_VICI_ALERT_H
#define KT_VICI_ALERT_H

#include <stddef.h>

/* name, strongSwan's word, text */
#define VICI_ALERT_TABLE(X)                                                                              \
	X(VICI_ALERT_OTHER, "", "another alert")                                                         \
	X(VICI_ALERT_IKE_SPI, "invalid-ike-spi", "a peer sent an IKE message of an SA that is not here") \
	X(VICI_ALERT_SILENT, "retransmit-send-timeout", "the peer did not answer any retransmission")    \
	X(VICI_ALERT_UNREACHABLE, "peer-init-unreachable", "the peer cannot be reached")                 \
	X(VICI_ALERT_LOCAL_AUTH, "local-auth-failed", "the peer did not accept our authentication")      \
	X(VICI_ALERT_PEER_AUTH, "peer-auth-failed", "the peer could not be authenticated")               \
	X(VICI_ALERT_INSTALL, "install-child-sa-failed", "a child SA could not be installed")            \
	X(VICI_ALERT_REPLACED, "unique-replace", "an SA was replaced by a newer one of the same peer")

enum vici_alert {
#define VICI_ENUM(name, word, text) name,
	VICI_ALERT_TABLE(VICI_ENUM)
#undef VICI_ENUM
	    VICI_ALERT_N
};

/* Looks at the top-level values only: what the daemon quotes from a peer is deeper. */
enum vici_alert vici_alert_read(const void *msg, size_t len);
const char *vici_alert_text(enum vici_alert a);
const char *vici_alert_word(enum vici_alert a);

#endif
