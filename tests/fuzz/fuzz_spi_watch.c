/* Any packet on the sockets of the watch: read or refused with a reason, and never more questions than allowed. */
#include <stdint.h>
#include <string.h>
#include "daemon/base/require.h"
#include "ike-hooks/spi_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spi_watch w;
	struct spi_pair pair[2], *hit;
	struct spi_known known[2];
	mono_t now = { NS_PER_SEC };
	struct spi_pkt p = { .src = { .af = ADDR_V6, .b = { 0x20, 1 } }, .dst = { .af = ADDR_V6, .b = { 0x20, 2 } } };

	if (size == 0)
		return 0;
	uint8_t form = data[0] % 3;
	enum spi_verdict v =
	    form == 0 ? spi_parse_v4(data + 1, size - 1, &p) : spi_parse_v6(data + 1, size - 1, form == 2, &p);
	require((unsigned)v < SPI_VERDICT_N && spi_verdict_text(v)[0]);
	require(v == SPI_KNOWN || v >= SPI_DROP_SHORT);
	if (v != SPI_KNOWN)
		return 0;
	require(p.spi >= SPI_FIRST && p.src.af == p.dst.af && size - 1 >= SPI_HEAD_LEN);
	/* The SPI is where it was read. */
	uint8_t be[4] = { (uint8_t)(p.spi >> 24), (uint8_t)(p.spi >> 16), (uint8_t)(p.spi >> 8), (uint8_t)p.spi };
	size_t at = form == 0 ? (data[1] & 0xfu) * 4 : 0;
	require(memcmp(data + 1 + at + (p.udp ? 8 : 0), be, 4) == 0);

	spi_watch_init(&w, pair, 2, known, 2, now);
	require(spi_watch_add(&w, &p.dst, &p.src));
	spi_watch_active(&w, &pair[0], true);
	require(spi_watch_packet(&w, &p, now, &hit) == SPI_ASK && hit == &pair[0]);
	require(spi_watch_packet(&w, &p, now, &hit) == SPI_QUIET);
	spi_watch_learn(&w, &p.dst, p.spi, now);
	require(spi_watch_packet(&w, &p, now, &hit) == SPI_KNOWN && !hit);
	return 0;
}
