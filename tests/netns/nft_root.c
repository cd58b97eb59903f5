/*
 * libnftables on the KERNEL thread, with its small stack: each line of the standard input is a list of addresses (all
 * on "lan0" with the interface "vrrp.10") that our table shall drop. Answers "ok" or "refused: ..." per line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "daemon/nft_io.h"
#include "daemon/nft_rules.h"

#define VIPS_MAX 2048

static bool answered;

static void on_done(void *arg, bool ok)
{
	struct nft_io **io = arg;
	printf("%s%s\n", ok ? "ok" : "refused: ", ok ? "" : nft_io_stats(*io)->error);
	fflush(stdout);
	answered = true;
}

static unsigned read_vips(char *line, struct nft_vip *v)
{
	unsigned n = 0;
	char *rest = NULL;
	for (char *word = strtok_r(line, " \n", &rest); word && n < VIPS_MAX; word = strtok_r(NULL, " \n", &rest)) {
		v[n] = (struct nft_vip){ .base = "lan0", .interface = "vrrp.10" };
		if (addr_parse(word, &v[n].addr))
			n++;
	}
	return n;
}

int main(void)
{
	static struct nft_vip v[VIPS_MAX];
	static char line[VIPS_MAX * 48];
	static struct nft_io *io;
	struct loop *l = loop_new("nft");
	struct kernel_thread *kt = l ? kernel_thread_start(l, 0) : NULL;
	io = kt ? nft_io_new(kt, on_done, &io) : NULL;
	if (!io)
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		unsigned n = read_vips(line, v);
		char *text = malloc(NFT_RULES_SIZE(n));
		if (!text || !nft_rules_build(v, n, text, NFT_RULES_SIZE(n)))
			return 1;
		answered = false;
		mono_t end = mono_add(clock_mono(), 10 * NS_PER_SEC);
		if (nft_io_run(io, text) < 0)
			return 1;
		while (!answered && mono_before(clock_mono(), end))
			loop_once(l, 10 * NS_PER_MS);
	}
	kernel_thread_stop(kt, NS_PER_SEC);
	nft_io_free(io);
	loop_free(l);
	return 0;
}
