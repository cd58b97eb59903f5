/*
 * Purpose: which configured link a socket belongs to.
 * Owns:    nothing.
 * Thread:  any.
 * In:      a connected socket.   Out: the index of the link, by the own address.
 * Errors:  -ENOENT: the socket's own address is not configured.
 */
#ifndef KT_SYNC_PEER_LINK_H
#define KT_SYNC_PEER_LINK_H

#include "sync/sync_conf.h"

int peer_link_of(const struct sync_conf *conf, int fd);

#endif
