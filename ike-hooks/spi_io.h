/*
 * Purpose: the sockets of the watch for unknown SPIs: raw ESP and raw UDP, IPv4 and IPv6, each with a filter made from
 *          the SPIs in use, and the kernel's counter of packets without an SA.
 * Owns:    the sockets, their filters, one timer, the file of the counter.
 * Thread:  CONTROL.
 * In:      packets.   Out: spi_io_fn for each SPI that has to be asked about.
 * Errors:  what cannot be opened is counted, kept in stats.err, and tried again at the next spi_io_update.
 *
 * A raw socket gets a copy of each packet for this host before IPsec sees it, with and without ESP in the kernel, and
 * whatever IKE daemon there is. Nothing is open unless the watch wants it, so without a reason it costs nothing. A socket
 * rests after it was read: for SPI_REST_NS when a question was asked, else and after a full batch for SPI_REST_LONG_NS, so
 * that 3200 packets per second are the most that is read of a flood. Its queue is short: what does not fit is dropped by
 * the kernel, and a flood ends there.
 */
#ifndef KT_SPI_IO_H
#define KT_SPI_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/loop.h"
#include "ike-hooks/spi_bpf.h"
#include "ike-hooks/spi_watch.h"

#define SPI_BATCH        64
#define SPI_REST_NS      (4 * NS_PER_MS) /* above the first pause of spi_watch: what is read then is asked about */
#define SPI_REST_LONG_NS (20 * NS_PER_MS)

struct spi_io_sock_stats {
	bool open;
	enum spi_bpf_size filter;
	uint16_t filter_len; /* instructions */
	int err;             /* why it is not open, or has no filter; 0 or -errno */
};

struct spi_io_stats {
	uint64_t opened, failed, filters, reads, packets, rests;
	uint64_t overflows; /* packets that found the queue full */
	struct spi_io_sock_stats sock[SPI_SOCK_N];
};

struct spi_io;

/* pair belongs to the watch. The callback must not call spi_io_update or spi_io_free. */
typedef void (*spi_io_fn)(void *arg, struct spi_pair *pair, uint32_t spi);

/* NULL and errno on failure. The watch is the caller's and lives longer. */
struct spi_io *spi_io_new(struct loop *l, struct spi_watch *w, spi_io_fn fn, void *arg);
void spi_io_free(struct spi_io *io);
/* Opens and closes as the watch wants it now, and renews filters that are out of date. */
void spi_io_update(struct spi_io *io, mono_t now);
/* Packets that the kernel's IPsec found no SA for, since boot of this network namespace; -1: no such counter. */
int64_t spi_io_no_states(struct spi_io *io);
/* Valid until spi_io_free; overflows are those of closed sockets and of the open ones. */
const struct spi_io_stats *spi_io_stats(struct spi_io *io);
const char *spi_sock_name(enum spi_sock kind);
const char *spi_bpf_size_name(enum spi_bpf_size size);

#endif
