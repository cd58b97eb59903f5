/*
 * A raw IPv4 socket's filter begins at the IP header (net/ipv4/raw.c raw_rcv), one of IPv6 behind all headers; the IPv6
 * header itself is reached with SKF_NET_OFF. A load behind the end of the packet ends the program with "drop".
 *
 * A set of numbers becomes a binary search that ends in a few comparisons in a row. Jumps to a label are BPF_JA with the
 * label's number as offset until the place is known; a conditional jump reaches 255 instructions only.
 */
#include "ike-hooks/spi_bpf.h"

#include <netinet/in.h>
#include <string.h>
#include "daemon/base/require.h"

#define LEAF    8    /* comparisons in a row */
#define SET_MAX 4096 /* numbers of one set: pairs, or SPIs */
#define REACH   255  /* of a conditional jump */

/* Offsets that no program of SPI_BPF_MAX instructions has. */
enum label { TO_DROP = 0x7ffffff0, TO_SAMPLE, TO_TAKE, TO_NEXT };

struct prog {
	struct sock_filter *at;
	uint32_t n;
	bool full;
};

static void put(struct prog *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (p->n == SPI_BPF_MAX) {
		p->full = true;
		return;
	}
	p->at[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(struct prog *p, uint16_t size_mode, uint32_t at)
{
	put(p, BPF_LD | size_mode, 0, 0, at);
}

static void go(struct prog *p, enum label to)
{
	put(p, BPF_JMP | BPF_JA, 0, 0, (uint32_t)to);
}

/* The label is here: before the next instruction. */
static void place(struct prog *p, uint32_t from, enum label l)
{
	for (uint32_t i = from; i < p->n; i++)
		if (p->at[i].code == (BPF_JMP | BPF_JA) && p->at[i].k == (uint32_t)l)
			p->at[i].k = p->n - i - 1;
}

/* ---- sets ---- */

struct set {
	uint32_t n;
	bool over; /* more than SET_MAX: some are missing */
	uint32_t v[SET_MAX];
};

/* Keeps the order; numbers mostly come in it. */
static void set_add(struct set *s, uint32_t v)
{
	uint32_t i = s->n;

	while (i > 0 && s->v[i - 1] > v)
		i--;
	if (i > 0 && s->v[i - 1] == v)
		return;
	if (s->n == SET_MAX) {
		s->over = true;
		return;
	}
	memmove(&s->v[i + 1], &s->v[i], (s->n - i) * sizeof(*s->v));
	s->v[i] = v;
	s->n++;
}

/* Instructions of a search in n numbers. */
static uint32_t span(uint32_t n)
{
	if (n <= LEAF)
		return n + 2;
	uint32_t left = span(n / 2);
	return 1 + (left > REACH) + left + span(n - n / 2);
}

/* The accumulator is compared; goes to hit or miss. */
static void search(struct prog *p, const uint32_t *v, uint32_t n, enum label hit, enum label miss)
{
	if (n <= LEAF) {
		for (uint32_t i = 0; i < n; i++)
			put(p, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(n - i), 0, v[i]);
		go(p, miss);
		go(p, hit);
		return;
	}
	uint32_t half = n / 2, left = span(half);
	if (left > REACH) {
		put(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, v[half]);
		put(p, BPF_JMP | BPF_JA, 0, 0, left);
	} else {
		put(p, BPF_JMP | BPF_JGE | BPF_K, (uint8_t)left, 0, v[half]);
	}
	search(p, v, half, hit, miss);
	search(p, v + half, n - half, hit, miss);
}

static uint32_t word(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* An address as one number, as the program makes it of a packet. */
static uint32_t fold(const struct addr *a)
{
	return a->af == ADDR_V4 ? word(a->b) : word(a->b) ^ word(a->b + 4) ^ word(a->b + 8) ^ word(a->b + 12);
}

static void load_v6(struct prog *p, uint32_t at)
{
	load(p, BPF_W | BPF_ABS, at);
	for (uint32_t i = 1; i < 4; i++) {
		put(p, BPF_MISC | BPF_TAX, 0, 0, 0);
		load(p, BPF_W | BPF_ABS, at + 4 * i);
		put(p, BPF_ALU | BPF_XOR | BPF_X, 0, 0, 0);
	}
}

/* ---- the program ---- */

/* Not to the port, no ESP in it, or IKE: away. Leaves the length of the IPv4 header in the index register. */
static void only_natted(struct prog *p, bool v4)
{
	uint16_t mode = v4 ? BPF_IND : BPF_ABS;

	load(p, BPF_H | mode, 2);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SPI_NAT_PORT);
	go(p, TO_DROP);
	load(p, BPF_H | mode, 4);
	put(p, BPF_JMP | BPF_JGT | BPF_K, 1, 0, 8 + SPI_HEAD_LEN);
	go(p, TO_DROP);
	load(p, BPF_W | mode, 8);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	go(p, TO_DROP);
}

static void addresses(struct prog *p, const struct spi_watch *w, bool v4, bool dst, enum label miss)
{
	struct set s = { .n = 0 };
	uint32_t from = p->n, at = v4 ? (dst ? 16 : 12) : (uint32_t)SKF_NET_OFF + (dst ? 24 : 8);

	for (uint32_t i = 0; i < w->n; i++) {
		const struct spi_pair *k = &w->pair[i];
		if (k->active && (k->vip.af == ADDR_V4) == v4)
			set_add(&s, fold(dst ? &k->vip : &k->peer));
	}
	p->full |= s.over;
	if (v4)
		load(p, BPF_W | BPF_ABS, at);
	else
		load_v6(p, at);
	search(p, s.v, s.n, TO_NEXT, miss);
	place(p, from, TO_NEXT);
}

static void spis(struct prog *p, const struct spi_watch *w, bool v4)
{
	struct set s = { .n = 0 };

	for (uint32_t i = 0; i < w->n_known; i++)
		if ((w->pair[w->known[i].vip].vip.af == ADDR_V4) == v4)
			set_add(&s, w->known[i].spi);
	p->full |= s.over || s.n > SPI_BPF_SPIS_MAX;
	search(p, s.v, s.n, TO_DROP, TO_TAKE);
}

uint16_t spi_bpf_build(const struct spi_watch *w, enum spi_sock kind, enum spi_bpf_size size, struct sock_filter *out)
{
	struct prog p = { .at = out };
	bool v4 = kind == SPI_ESP4 || kind == SPI_UDP4, udp = kind == SPI_UDP4 || kind == SPI_UDP6;

	require(kind < SPI_SOCK_N && size < SPI_BPF_SIZE_N);
	if (v4)
		put(&p, BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0);
	if (udp)
		only_natted(&p, v4);
	addresses(&p, w, v4, true, TO_DROP);
	if (size != SPI_BPF_NO_PEERS)
		addresses(&p, w, v4, false, TO_SAMPLE);
	if (size == SPI_BPF_FULL) {
		load(&p, BPF_W | (v4 ? BPF_IND : BPF_ABS), udp ? 8 : 0);
		spis(&p, w, v4);
	}
	place(&p, 0, TO_SAMPLE);
	load(&p, BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
	put(&p, BPF_ALU | BPF_AND | BPF_K, 0, 0, SPI_SAMPLE - 1);
	put(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
	place(&p, 0, TO_DROP);
	put(&p, BPF_RET | BPF_K, 0, 0, 0);
	place(&p, 0, TO_TAKE);
	put(&p, BPF_RET | BPF_K, 0, 0, SPI_BPF_SNAP);
	return p.full ? 0 : (uint16_t)p.n;
}
