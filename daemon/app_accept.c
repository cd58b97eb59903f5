/*
 * Our nftables table. accept = false: packets to the virtual addresses of a master that does not own them are dropped (RFC
 * 9568 6.1); the rules are there before the addresses come and stay until these are gone. And the quarantine of
 * app_quar.c.
 */
#include "daemon/app_layer.h"
#include "daemon/app_quar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/nft_rules.h"

#define ACCEPT_RETRY_NS (2 * NS_PER_SEC)
#define ACCEPT_SOON_NS  (20 * NS_PER_MS)

bool app_accept_applies(const struct vrrp_conf *c)
{
	return c->no_accept && c->priority != 255;
}

/* From PREPARE until nothing of the group is left in the kernel. */
static bool shut(struct app *a, uint16_t group)
{
	const struct role *r = &a->node.group[group].role;
	if (a->group[group].mode != NODE_NET_DOWN || (r->state == ROLE_PREPARING && r->target == ROLE_MASTER))
		return true;
	if (!a->net) /* the first text is made before anything is known */
		return false;
	struct net_status st = netapply_status(a->net, group);
	return st.present > 0;
}

static unsigned list_vips(struct app *a, struct nft_vip *out)
{
	unsigned n = 0;
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		const struct vrrp_conf *c = a->node.inst[i].conf;
		if (!app_accept_applies(c) || !shut(a, c->group))
			continue;
		for (uint16_t k = 0; k < c->n_vips; k++, n++) {
			const struct vrrp_vip *v = &c->vips[k];
			const char *dev = v->interface[0] ? v->interface : c->vmac ? c->vmac_name : c->interface;
			if (!out)
				continue;
			out[n].addr = v->addr;
			memcpy(out[n].base, c->interface, sizeof(out[n].base));
			snprintf(out[n].interface, sizeof(out[n].interface), "%s", dev);
		}
	}
	return n;
}

static char *make_text(struct app *a)
{
	unsigned n = list_vips(a, NULL), n_quar;
	const struct quar_vip *quar = app_quar_nft(a, &n_quar);
	size_t cap = NFT_RULES_SIZE(n) + QUAR_SIZE(n_quar);
	struct nft_vip *vip = calloc(n + 1u, sizeof(*vip));
	char *text = malloc(cap);
	if (vip && text) {
		list_vips(a, vip);
		if (!nft_rules_table(vip, n, quar, n_quar, text, cap)) {
			free(text);
			text = NULL;
		}
	}
	free(vip);
	return text;
}

static void tell_accept(struct app *a, bool ok)
{
	if (!ok && !a->accept_failed)
		log_err(
		    LOG_NET,
		    "accept = false: nftables refused the rules (%s); packets to virtual addresses are accepted until "
		    "it takes them",
		    nft_io_stats(a->nft)->error);
	if (ok && a->accept_failed)
		log_notice(LOG_NET, "accept = false: the rules are in force");
	a->accept_failed = !ok;
}

/* The table of a process that has died goes with the last of its files. */
static int64_t retry_ns(const struct app *a)
{
	bool soon = app_layer_inherited(a) && mono_sub(clock_mono(), a->started) < ACCEPT_RETRY_NS;
	return soon ? ACCEPT_SOON_NS : ACCEPT_RETRY_NS;
}

static void on_applied(void *arg, bool ok)
{
	struct app *a = arg;
	a->accept_busy = false;
	if (app_quar_applied(a, ok, nft_io_stats(a->nft)->error)) {
		/* What the quarantine needs is missing in this kernel: the rest may be there. */
		app_accept(a);
		return;
	}
	if (a->accept_wanted)
		tell_accept(a, ok);
	if (!ok)
		loop_timer_set(a->accept_timer, mono_add(clock_mono(), retry_ns(a)));
	if (a->accept_again)
		app_accept(a);
}

/* Somebody has, or had, rules in our table. */
static bool concerns(const struct app *a)
{
	unsigned n_quar;
	app_quar_nft(a, &n_quar);
	return a->accept_text || a->accept_wanted || n_quar;
}

void app_accept(struct app *a)
{
	/*
	 * Many groups that move at once share the next text. The first text is an empty one: the library and the kernel
	 * load what they need long before a promotion waits for it, and a refusal is known early.
	 */
	a->accept_again = a->accept_busy;
	if (a->accept_busy || !concerns(a))
		return;
	/* Without accept = false somewhere only the quarantine changes the text, and it knows when. */
	if (a->accept_text && a->accept_text[0] && !a->accept_wanted && !a->accept_listed && !app_quar_changed(a))
		return;
	char *text = make_text(a), *copy;
	bool same = text && a->accept_text && strcmp(text, a->accept_text) == 0;
	copy = text && !same ? strdup(text) : NULL;
	if (same)
		app_quar_taken(a);
	if (copy && nft_io_run(a->nft, copy) == 0) {
		free(a->accept_text);
		a->accept_text = text;
		a->accept_busy = true;
		a->accept_listed = list_vips(a, NULL) > 0;
		app_quar_taken(a);
		return;
	}
	free(text);
	if (!same)
		loop_timer_set(a->accept_timer, mono_add(clock_mono(), ACCEPT_RETRY_NS));
}

/* After a refusal: the same again. */
static void on_retry(void *arg, mono_t deadline)
{
	struct app *a = arg;
	(void)deadline;
	if (a->accept_text)
		a->accept_text[0] = '\0';
	app_accept(a);
}

int app_accept_start(struct app *a)
{
	a->accept_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_retry, a);
	a->nft = nft_io_new(a->kt, on_applied, a);
	return a->accept_timer && a->nft ? 0 : -ENOMEM;
}

void app_accept_stop(struct app *a)
{
	loop_timer_free(a->accept_timer);
	nft_io_free(a->nft);
	free(a->accept_text);
}
