/*
 * Purpose: the classic BPF program of a watch socket: the kernel drops what is of no interest, above all packets with an
 *          SPI in use, before they cost anything.
 * Owns:    nothing; the instructions are the caller's.
 * Thread:  any (pure).
 * In:      a struct spi_watch and the kind of socket.   Out: instructions.
 * Errors:  spi_bpf_build returns 0 when the program does not fit; the caller asks for a smaller one.
 *
 * The program only saves work: whatever it lets through is read and judged exactly (spi_watch_packet). So it may be
 * generous: IPv6 addresses are compared by the exclusive or of their words, SPIs without their address, and a set that is
 * too large is sampled instead. What it drops was looked at in full.
 */
#ifndef KT_SPI_BPF_H
#define KT_SPI_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include "ike-hooks/spi_watch.h"

#define SPI_BPF_MAX      4096 /* BPF_MAXINSNS */
#define SPI_BPF_SNAP     96   /* bytes of a packet that are kept: IPv4 header with options, UDP, SPI, sequence number */
#define SPI_BPF_SPIS_MAX 1024 /* more are not compared in the kernel */
#define SPI_SAMPLE       64   /* of strangers, and of all where SPIs are not compared, one in so many is read */

enum spi_sock { SPI_ESP4 = 0, SPI_ESP6, SPI_UDP4, SPI_UDP6, SPI_SOCK_N };
/* Each asks less of the kernel's memory for filters (net.core.optmem_max) than the one before. */
enum spi_bpf_size { SPI_BPF_FULL = 0, SPI_BPF_NO_SPIS, SPI_BPF_NO_PEERS, SPI_BPF_SIZE_N };

/* Instructions for a raw socket of this kind, written to out[SPI_BPF_MAX]; their number, or 0: too many. */
uint16_t spi_bpf_build(const struct spi_watch *w, enum spi_sock kind, enum spi_bpf_size size, struct sock_filter *out);

#endif
