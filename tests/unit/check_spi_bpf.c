/* The filters of the watch: what they let through, by a small interpreter; and that the kernel takes them. */
#define _GNU_SOURCE 1
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ike-hooks/spi_bpf.h"

static struct spi_watch w;
static struct spi_pair pair[4096];
static struct spi_known known[4096];
static struct sock_filter prog[SPI_BPF_MAX];
static const mono_t now = { NS_PER_SEC };
static uint32_t dice; /* what "random" is in the interpreter */

/* ---- packets; IPv6 ones have their header before the payload that the filter begins at ---- */

static uint8_t packet[128];
static size_t packet_len, begins;

static void put_be(size_t at, uint32_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		packet[at + i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static void make(bool udp, const struct addr *src, const struct addr *dst, uint32_t spi)
{
	bool v4 = src->af == ADDR_V4;
	size_t at = v4 ? 24 : 40; /* with one word of options */

	memset(packet, 0, sizeof(packet));
	packet[0] = v4 ? 0x46 : 0x60;
	packet[v4 ? 9 : 6] = udp ? IPPROTO_UDP : IPPROTO_ESP;
	memcpy(packet + (v4 ? 12 : 8), src->b, addr_len(src->af));
	memcpy(packet + (v4 ? 16 : 24), dst->b, addr_len(dst->af));
	begins = v4 ? 0 : at;
	if (udp) {
		put_be(at, 4500, 2);
		put_be(at + 2, SPI_NAT_PORT, 2);
		put_be(at + 4, 8 + 32, 2);
		at += 8;
	}
	put_be(at, spi, 4);
	put_be(at + 4, 7, 4);
	packet_len = at + 32;
}

/* ---- the interpreter ---- */

static bool fetch(uint32_t k, unsigned n, uint32_t *v)
{
	size_t at = k + begins;

	if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)) {
		*v = dice;
		return true;
	}
	if (k >= (uint32_t)SKF_NET_OFF && k < (uint32_t)SKF_AD_OFF)
		at = k - (uint32_t)SKF_NET_OFF;
	if (at + n > packet_len)
		return false;
	*v = 0;
	for (unsigned i = 0; i < n; i++)
		*v = *v << 8 | packet[at + i];
	return true;
}

static bool load_op(const struct sock_filter *f, uint32_t *a, uint32_t *x)
{
	unsigned n = BPF_SIZE(f->code) == BPF_W ? 4 : BPF_SIZE(f->code) == BPF_H ? 2 : 1;
	uint32_t v;

	if (!fetch(f->k + (BPF_MODE(f->code) == BPF_IND ? *x : 0), n, &v))
		return false;
	if (BPF_CLASS(f->code) == BPF_LDX)
		*x = (v & 0xf) * 4;
	else
		*a = v;
	return true;
}

static uint32_t run(uint16_t n)
{
	uint32_t a = 0, x = 0;

	for (uint32_t pc = 0;; pc++) {
		ck_assert_uint_lt(pc, n);
		const struct sock_filter *f = &prog[pc];
		bool yes = false;
		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
		case BPF_LDX:
			if (!load_op(f, &a, &x))
				return 0;
			break;
		case BPF_MISC:
			x = a;
			break;
		case BPF_ALU:
			a = BPF_OP(f->code) == BPF_XOR ? a ^ x : a & f->k;
			break;
		case BPF_RET:
			return f->k;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA) {
				pc += f->k;
				break;
			}
			yes = BPF_OP(f->code) == BPF_JEQ   ? a == f->k
			      : BPF_OP(f->code) == BPF_JGT ? a > f->k
							   : a >= f->k;
			pc += yes ? f->jt : f->jf;
			break;
		default:
			ck_abort_msg("instruction %x", f->code);
		}
	}
}

/* ---- the kernel ---- */

/* A datagram socket of its own: what the filter drops never arrives. Returns -1 when the kernel refuses the program. */
static int kernel_takes(uint16_t n)
{
	struct sock_fprog fp = { .len = n, .filter = prog };
	uint8_t buf[256];
	int fd[2], got;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fd), 0);
	got = setsockopt(fd[1], SOL_SOCKET, SO_ATTACH_FILTER, &fp, sizeof(fp));
	if (got == 0) {
		(void)send(fd[0], packet + begins, packet_len - begins, 0);
		got = (int)recv(fd[1], buf, sizeof(buf), 0);
		got = got < 0 ? 0 : got;
	}
	close(fd[0]);
	close(fd[1]);
	return got;
}

/* ---- tests ---- */

static void watch(bool v6, unsigned pairs, unsigned spis)
{
	spi_watch_init(&w, pair, 4096, known, 4096, now);
	for (unsigned i = 0; i < pairs; i++) {
		struct addr vip =
		    v6 ? (struct addr){ ADDR_V6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } } : addr_v4(192, 0, 2, 1);
		struct addr peer =
		    v6 ? (struct addr){ ADDR_V6, { 0x20, 1, 0xd, 0xb8, 7, [14] = (uint8_t)(i >> 8), (uint8_t)i } }
		       : addr_v4(198, 51, (uint8_t)(i >> 8), (uint8_t)i);
		ck_assert(spi_watch_add(&w, &vip, &peer));
		spi_watch_active(&w, spi_watch_find(&w, &vip, &peer), true);
	}
	for (unsigned i = 0; i < spis; i++)
		spi_watch_learn(&w, &pair[0].vip, 0xc0000000u + 7 * i, now);
}

static enum spi_sock kind_of(bool v6, bool udp)
{
	return v6 ? (udp ? SPI_UDP6 : SPI_ESP6) : (udp ? SPI_UDP4 : SPI_ESP4);
}

START_TEST(lets_through_what_is_unknown)
{
	bool v6 = _i & 1, udp = _i & 2;
	static const unsigned sizes[] = { 0, 1, 2, 8, 9, 17, 100, 700, 1024 };
	struct addr other = addr_v4(203, 0, 113, 1);

	if (v6)
		ck_assert(addr_parse("2001:db8::77", &other));
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		watch(v6, 3, sizes[s]);
		uint16_t n = spi_bpf_build(&w, kind_of(v6, udp), SPI_BPF_FULL, prog);
		ck_assert_uint_gt(n, 0);
		dice = 1;
		for (unsigned i = 0; i < sizes[s]; i++) {
			make(udp, &pair[i % 3].peer, &pair[0].vip, 0xc0000000u + 7 * i);
			ck_assert_uint_eq(run(n), 0);
			make(udp, &pair[i % 3].peer, &pair[0].vip, 0xc0000000u + 7 * i + 1 + i % 6);
			ck_assert_uint_eq(run(n), SPI_BPF_SNAP);
		}
		make(udp, &pair[2].peer, &pair[0].vip, 0x1000);
		ck_assert_uint_eq(run(n), SPI_BPF_SNAP);
		for (size_t whole = packet_len, len = 0; len < whole; len++) { /* any truncation ends somewhere */
			packet_len = len;
			(void)run(n);
			packet_len = whole;
		}
		make(udp, &pair[2].peer, &other, 0x1000); /* not to our address */
		ck_assert_uint_eq(run(n), 0);
		make(udp, &other, &pair[0].vip, 0x1000); /* a stranger: one in SPI_SAMPLE, to be counted */
		ck_assert_uint_eq(run(n), 0);
		dice = 5 * SPI_SAMPLE;
		ck_assert_uint_eq(run(n), SPI_BPF_SNAP);
		ck_assert_int_ge(kernel_takes(n), 0);
	}
}
END_TEST

START_TEST(the_kernel_does_the_same)
{
	watch(false, 3, 100);
	uint16_t n = spi_bpf_build(&w, SPI_ESP4, SPI_BPF_FULL, prog);
	make(false, &pair[1].peer, &pair[0].vip, 0xc0000000u + 7 * 99);
	ck_assert_int_eq(kernel_takes(n), 0);
	make(false, &pair[1].peer, &pair[0].vip, 0xc0000000u + 7 * 99 + 1);
	ck_assert_int_eq(kernel_takes(n), (int)packet_len);
	n = spi_bpf_build(&w, SPI_UDP4, SPI_BPF_FULL, prog);
	make(true, &pair[1].peer, &pair[0].vip, 0xc0000000u + 7 * 50);
	ck_assert_int_eq(kernel_takes(n), 0);
	make(true, &pair[1].peer, &pair[0].vip, 0xc0000000u + 7 * 50 + 3);
	ck_assert_int_eq(kernel_takes(n), (int)packet_len);
}
END_TEST

START_TEST(only_esp_in_udp)
{
	bool v6 = _i;
	size_t at = v6 ? 40 : 24;

	watch(v6, 1, 1);
	uint16_t n = spi_bpf_build(&w, kind_of(v6, true), SPI_BPF_FULL, prog);
	dice = 0;
	make(true, &pair[0].peer, &pair[0].vip, 0x1000);
	ck_assert_uint_eq(run(n), SPI_BPF_SNAP);
	put_be(at + 2, 500, 2);
	ck_assert_uint_eq(run(n), 0);
	make(true, &pair[0].peer, &pair[0].vip, 0); /* IKE */
	ck_assert_uint_eq(run(n), 0);
	make(true, &pair[0].peer, &pair[0].vip, 0xff000000);
	put_be(at + 4, 9, 2); /* keepalive */
	ck_assert_uint_eq(run(n), 0);
	put_be(at + 4, 16, 2);
	ck_assert_uint_eq(run(n), 0);
	put_be(at + 4, 17, 2);
	ck_assert_uint_eq(run(n), SPI_BPF_SNAP);
}
END_TEST

START_TEST(idle_pairs_and_the_other_family_are_left_out)
{
	watch(false, 2, 3);
	struct addr vip6, peer6;
	ck_assert(addr_parse("2001:db8::1", &vip6) && addr_parse("2001:db8::2", &peer6));
	uint16_t all = spi_bpf_build(&w, SPI_ESP4, SPI_BPF_FULL, prog),
		 none = spi_bpf_build(&w, SPI_ESP6, SPI_BPF_FULL, prog);
	dice = 0;
	make(false, &peer6, &vip6, 0x1000);
	ck_assert_uint_gt(none, 0);
	ck_assert_uint_eq(run(none), 0);
	spi_watch_active(&w, &pair[1], false);
	uint16_t one = spi_bpf_build(&w, SPI_ESP4, SPI_BPF_FULL, prog);
	ck_assert_uint_eq(one, all - 1);
	dice = 1;
	make(false, &pair[1].peer, &pair[1].vip, 0x1000);
	ck_assert_uint_eq(run(one), 0);
	make(false, &pair[0].peer, &pair[0].vip, 0x1000);
	ck_assert_uint_eq(run(one), SPI_BPF_SNAP);
}
END_TEST

START_TEST(too_much_is_sampled)
{
	watch(false, 4, SPI_BPF_SPIS_MAX + 1);
	ck_assert_uint_eq(spi_bpf_build(&w, SPI_ESP4, SPI_BPF_FULL, prog), 0);
	uint16_t n = spi_bpf_build(&w, SPI_ESP4, SPI_BPF_NO_SPIS, prog);
	ck_assert_uint_gt(n, 0);
	make(false, &pair[3].peer, &pair[0].vip, 0xc0000000u);
	dice = 1;
	ck_assert_uint_eq(run(n), 0);
	dice = 64;
	ck_assert_uint_eq(run(n), SPI_BPF_SNAP);

	watch(false, 4096, 0);
	ck_assert_uint_eq(spi_bpf_build(&w, SPI_ESP4, SPI_BPF_FULL, prog), 0);
	ck_assert_uint_eq(spi_bpf_build(&w, SPI_ESP4, SPI_BPF_NO_SPIS, prog), 0);
	n = spi_bpf_build(&w, SPI_ESP4, SPI_BPF_NO_PEERS, prog);
	ck_assert_uint_gt(n, 0);
	make(false, &pair[4000].peer, &pair[0].vip, 0xc0000000u);
	ck_assert_uint_eq(run(n), SPI_BPF_SNAP);
	ck_assert_int_ge(kernel_takes(n), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spi_bpf");
	TCase *c = tcase_create("all");

	tcase_add_loop_test(c, lets_through_what_is_unknown, 0, 4);
	tcase_add_test(c, the_kernel_does_the_same);
	tcase_add_loop_test(c, only_esp_in_udp, 0, 2);
	tcase_add_test(c, idle_pairs_and_the_other_family_are_left_out);
	tcase_add_test(c, too_much_is_sampled);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
