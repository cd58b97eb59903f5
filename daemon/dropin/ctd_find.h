/*
 * Purpose: finds the other routers of a conntrackd.conf with Multicast, which names none: each says where it listens, on
 *          the group and port that the file names.
 * Owns:    struct ctd_find: a socket for each link, a timer, the list of those heard.
 * Thread:  CONTROL; never blocks.
 * In:      datagrams.   Out: one call when another router was heard first.
 * Errors:  what is no such datagram is dropped and counted. Who can send to the group can only make us dial an address:
 *          the channel's key decides who is a peer.
 */
#ifndef KT_CTD_FIND_H
#define KT_CTD_FIND_H

#include <stddef.h>
#include "daemon/base/loop.h"
#include "daemon/dropin/dconf_io.h"

/* A datagram: "KTF1", number of links u8, then family u8 and 16 bytes of each address, then the port u16. */
#define CTD_FIND_BYTES (4 + 1 + SYNC_LINKS_MAX * 17 + 2)

struct ctd_find;

/* Bytes written. */
size_t ctd_find_encode(const struct dconf_peer *p, uint16_t port, uint8_t out[CTD_FIND_BYTES]);
/* False: not such a datagram. */
bool ctd_find_decode(const uint8_t *buf, size_t len, struct dconf_peer *p, uint16_t *port);

struct ctd_find *ctd_find_new(struct loop *l, void (*fn)(void *arg), void *arg);
/* The configuration changed; NULL, or one that looks for nobody: silence, and everybody is forgotten. */
void ctd_find_update(struct ctd_find *f, const struct dconf_proc *p);
/* Heard by an earlier process on the same links. */
void ctd_find_know(struct ctd_find *f, const struct dconf_found *found);
const struct dconf_found *ctd_find_found(const struct ctd_find *f);
void ctd_find_free(struct ctd_find *f);

#endif
