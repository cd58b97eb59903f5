/* The quarantine of virtual addresses that are not this node's. */
#include "daemon/app_quar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ipt_io.h"

#define CHECK_NS (60 * NS_PER_SEC) /* somebody else may have flushed OUTPUT */
#define RETRY_NS (5 * NS_PER_SEC)  /* also after the start: the guardian of an earlier process may still remove */

enum way { WAY_NFT = 0, WAY_IPT, WAY_NONE };

struct entry {
	uint16_t group;
	char dev[IFNAMSIZ];
};

struct quar {
	struct quar_vip *vip; /* by group */
	struct entry *entry;  /* parallel to it */
	unsigned n, n_tunnels;
	enum way way;
	bool changed;   /* the list, since app_accept has taken it */
	bool nft_works; /* nftables has taken it before: a refusal is not about what the kernel can do */
	bool ipt_busy, ipt_again, ipt_failed;
	struct ipt_io *ipt;
	struct loop_timer *timer;
	uint64_t shuts; /* addresses closed although they were local */
	char error[200];
};

static const char *const way_name[] = { "nftables", "iptables", "none" };

/* ---- which addresses ---- */

static int by_addr(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static struct addr *tunnel_ends(const struct app *a, unsigned *n)
{
	struct addr *list = calloc(a->node.n_tunnels + 1u, sizeof(*list));
	*n = list ? a->node.n_tunnels : 0;
	for (unsigned t = 0; t < *n; t++)
		list[t] = a->node.tunnel[t].conf.vip;
	if (*n)
		qsort(list, *n, sizeof(*list), by_addr);
	return list;
}

static void take(struct quar *q, unsigned i, uint16_t group, const struct vrrp_conf *c, const struct vrrp_vip *v)
{
	const char *base = v->interface[0] ? v->interface : c->interface;
	q->vip[i] = (struct quar_vip){ .addr = v->addr, .how = QUAR_WATCH };
	/* A link-local address is not one host's: the same may be right on another link. */
	if (addr_is_link_local(&v->addr))
		snprintf(q->vip[i].dev, sizeof(q->vip[i].dev), "%s", c->vmac && !v->interface[0] ? c->vmac_name : base);
	q->entry[i].group = group;
	snprintf(q->entry[i].dev, sizeof(q->entry[i].dev), "%s", base);
}

static unsigned collect(const struct app *a, const struct addr *ends, unsigned n_ends, struct quar *q)
{
	unsigned n = 0;
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		for (uint16_t m = 0; m < a->node.group[g].n_members; m++) {
			const struct vrrp_conf *c = &a->cfg->instances[a->node.group[g].members[m]];
			for (uint16_t k = 0; k < c->n_vips; k++) {
				const struct vrrp_vip *v = &c->vips[k];
				if (!a->cfg->tunnels_auto &&
				    (!n_ends || !bsearch(&v->addr, ends, n_ends, sizeof(*ends), by_addr)))
					continue;
				if (q)
					take(q, n, g, c, v);
				n++;
			}
		}
	return n;
}

static void rebuild(struct app *a)
{
	struct quar *q = a->quar;
	unsigned n_ends;
	struct addr *ends = tunnel_ends(a, &n_ends);
	unsigned n = ends ? collect(a, ends, n_ends, NULL) : 0;
	struct quar_vip *vip = calloc(n + 1u, sizeof(*vip));
	struct entry *entry = calloc(n + 1u, sizeof(*entry));
	if (ends && vip && entry) {
		free(q->vip);
		free(q->entry);
		q->vip = vip;
		q->entry = entry;
		q->n = collect(a, ends, n_ends, q);
		q->n_tunnels = a->node.n_tunnels;
		q->changed = true;
	} else { /* the old list stays: closed rather than open */
		free(vip);
		free(entry);
	}
	free(ends);
}

static bool in_vrf(const struct app *a, const char *dev)
{
	const struct netstate *ns = a->net ? netapply_state(a->net) : NULL;
	const struct net_link *l = ns ? netstate_link_by_name(ns, dev) : NULL;
	const struct net_link *m = l && l->master ? netstate_link(ns, l->master) : NULL;
	return m && m->kind == NET_LINK_VRF;
}

/* The group has come to rest without the role, also for the last time. */
static bool given_up(const struct app *a, uint16_t group)
{
	const struct role *r = &a->node.group[group].role;
	return r->state == ROLE_STABLE && a->group[group].mode == NODE_NET_DOWN &&
	       (r->is == ROLE_BACKUP || r->is == ROLE_FAULT || (r->is == ROLE_INIT && a->stopping));
}

static enum quar_how how(const struct app *a, unsigned i, bool gone, bool odd)
{
	bool vrf = in_vrf(a, a->quar->entry[i].dev);
	if (gone && (vrf || (odd && netstate_is_local(netapply_state(a->net), &a->quar->vip[i].addr))))
		return QUAR_SHUT;
	return vrf ? QUAR_OPEN : QUAR_WATCH;
}

/* ---- iptables ---- */

static char *ipt_text(const struct quar *q, uint8_t af)
{
	if (!quar_count(q->vip, q->n, af))
		return NULL;
	char *text = malloc(QUAR_SIZE(q->n));
	if (text && !quar_ipt_text(q->vip, q->n, af, text, QUAR_SIZE(q->n))) {
		free(text);
		text = NULL;
	}
	return text;
}

static void ipt_send(struct app *a)
{
	struct quar *q = a->quar;
	if (q->way != WAY_IPT)
		return;
	q->ipt_again = q->ipt_busy;
	if (q->ipt_busy)
		return;
	char *text4 = ipt_text(q, ADDR_V4), *text6 = ipt_text(q, ADDR_V6);
	if (!text4 && !text6 && !ipt_io_in_force(q->ipt))
		return;
	/* First the one who removes them, then the rules. */
	if (a->guardian)
		guardian_rules_set(a->guardian, ipt_io_program(q->ipt, false), ipt_io_program(q->ipt, true));
	if (ipt_io_run(q->ipt, text4, text6) == 0)
		q->ipt_busy = true;
	else
		loop_timer_set(q->timer, mono_add(clock_mono(), RETRY_NS));
}

static void on_ipt(void *arg, bool ok)
{
	struct app *a = arg;
	struct quar *q = a->quar;
	bool first = ok && ipt_io_stats(q->ipt)->applied == 1;
	q->ipt_busy = false;
	if (!ok && !q->ipt_failed)
		log_err(LOG_IKE,
			"quarantine: %s; IKE and ESP of a virtual address that is not ours may leave this node",
			ipt_io_stats(q->ipt)->error);
	if (ok && (q->ipt_failed || first))
		log_notice(LOG_IKE, "quarantine: in force by iptables");
	q->ipt_failed = !ok;
	snprintf(q->error, sizeof(q->error), "%s", ok ? "" : ipt_io_stats(q->ipt)->error);
	loop_timer_set(q->timer, mono_add(clock_mono(), !ok || first ? RETRY_NS : CHECK_NS));
	if (q->ipt_again)
		ipt_send(a);
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	ipt_send(arg);
}

/* ---- for app_accept ---- */

const struct quar_vip *app_quar_nft(const struct app *a, unsigned *n)
{
	const struct quar *q = a->quar;
	*n = q && q->way == WAY_NFT ? q->n : 0;
	return q ? q->vip : NULL;
}

bool app_quar_changed(const struct app *a)
{
	return a->quar && a->quar->way == WAY_NFT && a->quar->changed;
}

void app_quar_taken(struct app *a)
{
	if (a->quar)
		a->quar->changed = false;
}

bool app_quar_applied(struct app *a, bool ok, const char *error)
{
	struct quar *q = a->quar;
	if (!q || q->way != WAY_NFT || !q->n)
		return false;
	q->nft_works |= ok;
	snprintf(q->error, sizeof(q->error), "%s", ok ? "" : error);
	if (ok || q->nft_works)
		return false;
	if (!ipt_io_program(q->ipt, false)[0]) {
		q->way = WAY_NONE;
		log_err(
		    LOG_IKE,
		    "no quarantine: nftables refuses its rules (%s) and iptables is not installed; IKE and ESP of a "
		    "virtual address that is not ours may leave this node",
		    error);
		return true;
	}
	q->way = WAY_IPT;
	log_notice(LOG_IKE, "quarantine: nftables refuses its rules (%s), iptables is used", error);
	ipt_send(a);
	return true;
}

/* ---- changes ---- */

/* The first entry of this group, or where it would stand. */
static unsigned first_of(const struct quar *q, uint16_t group)
{
	unsigned lo = 0, hi = q->n;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (q->entry[mid].group < group)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The entries of a group, from the given one on. How many have changed. */
static unsigned judge(struct app *a, uint16_t group, unsigned i)
{
	struct quar *q = a->quar;
	struct net_status st = netapply_status(a->net, group);
	bool gone = given_up(a, group), odd = st.foreign > 0 || st.failed > 0;
	unsigned changed = 0;
	for (; i < q->n && q->entry[i].group == group; i++) {
		enum quar_how now = how(a, i, gone, odd);
		changed += now != q->vip[i].how;
		q->shuts += now == QUAR_SHUT && q->vip[i].how != QUAR_SHUT;
		q->vip[i].how = now;
	}
	return changed;
}

/* A list that was made anew knows nothing of roles and VRFs. */
static void judge_all(struct app *a)
{
	struct quar *q = a->quar;
	for (unsigned i = 0; a->net && i < q->n; i++)
		if (i == 0 || q->entry[i].group != q->entry[i - 1].group)
			judge(a, q->entry[i].group, i);
}

void app_quar(struct app *a, uint16_t group)
{
	struct quar *q = a->quar;
	if (!q || !a->net)
		return;
	if (q->n_tunnels != a->node.n_tunnels) {
		rebuild(a);
		judge_all(a);
	} else if (!q->n || !judge(a, group, first_of(q, group))) {
		return;
	}
	q->changed = true;
	ipt_send(a);
}

void app_quar_link(struct app *a, const struct net_link *l)
{
	struct quar *q = a->quar;
	uint32_t last = UINT32_MAX;
	for (unsigned i = 0; q && a->net && i < q->n; i++)
		if (q->entry[i].group != last && strcmp(q->entry[i].dev, l->name) == 0) {
			last = q->entry[i].group;
			app_quar(a, q->entry[i].group);
		}
	if (app_quar_changed(a))
		app_accept(a);
}

void app_quar_reload(struct app *a)
{
	if (!a->quar)
		return;
	rebuild(a);
	judge_all(a);
	ipt_send(a);
	app_accept(a);
}

json_t *app_quar_json(const struct app *a)
{
	const struct quar *q = a->quar;
	unsigned shut = 0;
	for (unsigned i = 0; i < q->n; i++)
		shut += q->vip[i].how == QUAR_SHUT;
	bool in_force = q->n && !q->error[0] && (q->way == WAY_NFT ? q->nft_works : q->way == WAY_IPT && !q->ipt_busy);
	return json_pack("{s:s, s:b, s:i, s:i, s:I, s:s}", "by", q->n ? way_name[q->way] : "none", "in_force", in_force,
			 "addresses", (int)q->n, "shut", (int)shut, "shut_ever", (json_int_t)q->shuts, "error",
			 q->error);
}

int app_quar_start(struct app *a)
{
	struct quar *q = a->quar = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->timer = loop_timer_new(a->loop, LOOP_NORMAL, on_timer, a);
	q->ipt = ipt_io_new(a->kt, on_ipt, a);
	if (!q->timer || !q->ipt)
		return -ENOMEM;
	rebuild(a);
	app_accept(a); /* the first text: long before a role change */
	return 0;
}

void app_quar_end(struct app *a)
{
	struct quar *q = a->quar;
	if (!q || !q->ipt)
		return;
	q->way = WAY_NONE; /* nothing is set any more */
	if (ipt_io_in_force(q->ipt))
		ipt_io_run(q->ipt, NULL, NULL);
}

void app_quar_stop(struct app *a)
{
	struct quar *q = a->quar;
	if (!q)
		return;
	/* What was not removed in time is the guardian's, and the job may still run: its memory stays. */
	bool left = q->ipt && ipt_io_in_force(q->ipt);
	if (!left && a->guardian)
		guardian_rules_set(a->guardian, NULL, NULL);
	loop_timer_free(q->timer);
	if (!left)
		ipt_io_free(q->ipt);
	free(q->vip);
	free(q->entry);
	free(q);
	a->quar = NULL;
}
