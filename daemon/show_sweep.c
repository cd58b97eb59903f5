/* show ipsec sweep dry-run: what a role change would remove. */
#include "daemon/app_sweep_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/base/err.h"
#include "daemon/sweep_ct.h"

#define DRY_CT_TUNNELS 32 /* tunnels whose conntrack entries are listed */

static const char *protocol(uint8_t proto)
{
	return proto == 50 ? "esp" : proto == 51 ? "ah" : "ipcomp";
}

/* The tunnels of one address, by peer. */
struct local_end {
	const struct app *app;
	uint16_t *tunnel;
	unsigned n;
	int any; /* one whose sweep takes every SA of the address; -1: none */
};

static const struct ike_tunnel_conf *tunnel_of(const struct app *a, uint16_t t)
{
	return &a->node.tunnel[t].conf;
}

static int by_peer(const void *x, const void *y, void *app)
{
	const struct app *a = app;
	const uint16_t *s = x, *t = y;
	int d = addr_cmp(&tunnel_of(a, *s)->peer, &tunnel_of(a, *t)->peer);
	return d ? d : (int)*s - (int)*t;
}

static bool local_end(struct app *a, const struct addr *vip, struct local_end *out)
{
	*out = (struct local_end){ .app = a, .any = -1, .tunnel = calloc(a->node.n_tunnels + 1u, sizeof(uint16_t)) };
	for (uint16_t t = 0; out->tunnel && t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = tunnel_of(a, t);
		if (!addr_eq(&c->vip, vip))
			continue;
		out->tunnel[out->n++] = t;
		if (out->any < 0 && !c->sa.has_reqid && !c->sa.has_mark && !c->sa.has_if_id)
			out->any = t;
	}
	if (out->tunnel)
		qsort_r(out->tunnel, out->n, sizeof(*out->tunnel), by_peer, a);
	return out->tunnel != NULL;
}

static unsigned first_of_peer(const struct local_end *l, const struct addr *peer)
{
	unsigned lo = 0, hi = l->n;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (addr_cmp(&tunnel_of(l->app, l->tunnel[mid])->peer, peer) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Tunnels to the SA's other end whose sweep would take it, else another one of the address that does; why in words. The
 * list is empty when none does.
 */
static json_t *takers(const struct local_end *l, const struct addr *vip, const struct xfrm_sa *sa, char why[160])
{
	json_t *names = json_array();
	bool in = addr_eq(&sa->dst, vip);
	const struct addr *peer = in ? &sa->src : &sa->dst;
	const char *word = in ? "to" : "from";
	for (unsigned i = first_of_peer(l, peer); i < l->n; i++) {
		const struct ike_tunnel_conf *c = tunnel_of(l->app, l->tunnel[i]);
		struct xfrm_filter f = sweep_filter(c);
		if (!addr_eq(&c->peer, peer))
			break;
		if (!xfrm_selected(sa, &f))
			continue;
		bool more = c->sa.has_reqid || c->sa.has_mark || c->sa.has_if_id;
		if (!json_array_size(names))
			snprintf(why, 160, "%s the virtual address of tunnel %s%s", word, c->name,
				 more ? ", with its reqid, mark or if_id" : "");
		json_array_append_new(names, json_string(c->name));
	}
	int other = json_array_size(names) ? -1 : l->any;
	for (unsigned i = 0; other < 0 && !json_array_size(names) && i < l->n; i++) {
		struct xfrm_filter f = sweep_filter(tunnel_of(l->app, l->tunnel[i]));
		if (xfrm_selected(sa, &f))
			other = l->tunnel[i];
	}
	if (other >= 0) {
		const char *name = tunnel_of(l->app, (uint16_t)other)->name;
		json_array_append_new(names, json_string(name));
		snprintf(why, 160, "%s the virtual address of tunnel %s; the other end is of no listed tunnel", word,
			 name);
	}
	return names;
}

static json_t *sa_json(const struct app *a, const struct xfrm_sa *sa, const struct addr *vip, json_t *names,
		       const char *why)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX], spi[12];
	int group = cfg_group_of_vip(a->cfg, vip);
	snprintf(spi, sizeof(spi), "0x%08x", sa->spi);
	json_t *j =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:s}", "direction",
		      addr_eq(&sa->dst, vip) ? "in" : "out", "protocol", protocol(sa->proto), "spi", spi, "source",
		      addr_text(&sa->src, src), "destination", addr_text(&sa->dst, dst), "reqid", (json_int_t)sa->reqid,
		      "mark", (json_int_t)sa->mark, "mark_mask", (json_int_t)sa->mark_mask, "if_id",
		      (json_int_t)sa->if_id, "state", sa->larval ? "larval" : "valid", "tunnels", names, "why", why);
	json_object_set_new(j, "source_port", json_integer(sa->encap_sport));
	json_object_set_new(j, "destination_port", json_integer(sa->encap_dport));
	json_object_set_new(j, "group", json_string(group < 0 ? "" : a->cfg->groups[group].name));
	return j;
}

static json_t *ct_rows(const struct app *a)
{
	json_t *rows = json_array();
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	for (uint16_t t = 0; t < a->node.n_tunnels && t < DRY_CT_TUNNELS; t++) {
		const struct ike_tunnel_conf *c = tunnel_of(a, t);
		struct ct_tuple tuple[SWEEP_CT_TUNNEL];
		unsigned n = sweep_ct_tunnel(&c->vip, &c->peer, tuple);
		for (unsigned i = 0; i < n; i++) {
			struct addr s = addr_from_bytes(tuple[i].l3, tuple[i].src);
			struct addr d = addr_from_bytes(tuple[i].l3, tuple[i].dst);
			json_array_append_new(
			    rows, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "tunnel", c->name, "protocol",
					    tuple[i].l4 == 17 ? "udp" : protocol(tuple[i].l4), "source",
					    addr_text(&s, src), "destination", addr_text(&d, dst), "source_port",
					    (int)tuple[i].sport, "destination_port", (int)tuple[i].dport));
		}
	}
	return rows;
}

static void dry_end(struct app *a, struct dry *d, const char *error)
{
	json_t *data = NULL;
	if (!error)
		data = json_pack("{s:O, s:I, s:I, s:I, s:o, s:i}", "sas", d->rows, "kept", (json_int_t)d->kept, "more",
				 (json_int_t)d->more, "unread", (json_int_t)d->unread, "conntrack", ct_rows(a),
				 "conntrack_more",
				 a->node.n_tunnels > DRY_CT_TUNNELS ? a->node.n_tunnels - DRY_CT_TUNNELS : 0);
	if (a->ctl)
		ctl_answer(a->ctl, d->token, data, error ? CTL_FAILED : CTL_OK, error);
	else
		json_decref(data);
	json_decref(d->rows);
	free(d->vip);
	*d = (struct dry){ .used = false };
}

static int dry_next(struct app *a, struct dry *d)
{
	struct xfrm_filter f = { .vip = d->vip[d->next++] };
	struct sweep *s = sweep_new(a, &f);
	if (s)
		s->dry = d;
	return s ? 0 : -ENOMEM;
}

/* One address was looked at. */
void sweep_dry_part(struct app *a, struct sweep *s, int rc)
{
	struct dry *d = s->dry;
	char why[160];
	uint32_t n = 0;
	if (rc < 0) {
		dry_end(a, d, rc == -EPROTONOSUPPORT ? "this kernel has no IPsec (XFRM)" : err_text(rc));
		return;
	}
	const struct xfrm_sa *sa = xfrm_scan_list(s->scan, &n);
	const struct xfrm_sweep_result *r = xfrm_scan_result(s->scan);
	struct local_end l;
	if (!local_end(a, &s->filter.vip, &l)) {
		dry_end(a, d, err_text(-ENOMEM));
		return;
	}
	d->more += r->found - n;
	d->unread += r->unread;
	d->kept += r->other;
	for (uint32_t i = 0; i < n; i++) {
		json_t *names = takers(&l, &s->filter.vip, &sa[i], why);
		if (json_array_size(names)) {
			json_array_append_new(d->rows, sa_json(a, &sa[i], &s->filter.vip, names, why));
		} else {
			d->kept++;
			json_decref(names);
		}
	}
	free(l.tunnel);
	if (d->next == d->n)
		dry_end(a, d, NULL);
	else if (dry_next(a, d) < 0)
		dry_end(a, d, err_text(-ENOMEM));
}

static int by_addr(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* The local ends of all tunnels, each once. */
static int dry_addresses(const struct app *a, struct dry *d)
{
	d->vip = calloc(a->node.n_tunnels + 1u, sizeof(*d->vip));
	d->rows = json_array();
	if (!d->vip || !d->rows)
		return -ENOMEM;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		d->vip[t] = a->node.tunnel[t].conf.vip;
	qsort(d->vip, a->node.n_tunnels, sizeof(*d->vip), by_addr);
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		if (!d->n || !addr_eq(&d->vip[d->n - 1], &d->vip[t]))
			d->vip[d->n++] = d->vip[t];
	return 0;
}

int app_sweep_show(struct app *a, struct ctl_request *req, json_t **reply)
{
	struct dry *d = NULL;
	for (unsigned i = 0; i < DRY_WAITING_MAX && !d; i++)
		if (!a->sweeps->dry[i].used)
			d = &a->sweeps->dry[i];
	if (!d) {
		snprintf(req->message, sizeof(req->message), "other requests wait for the same already; try again");
		return CTL_FAILED;
	}
	*d = (struct dry){ .used = true, .token = req->token };
	if (dry_addresses(a, d) < 0) {
		json_decref(d->rows);
		free(d->vip);
		d->used = false;
		return -ENOMEM;
	}
	if (!d->n) {
		*reply = json_pack("{s:o, s:i, s:i, s:i, s:o, s:i}", "sas", d->rows, "kept", 0, "more", 0, "unread", 0,
				   "conntrack", json_array(), "conntrack_more", 0);
		free(d->vip);
		d->used = false;
		return CTL_OK;
	}
	if (dry_next(a, d) == 0)
		sweep_run_next(a);
	else
		dry_end(a, d, err_text(-ENOMEM));
	if (d->used)
		return CTL_LATER;
	snprintf(req->message, sizeof(req->message), "the KERNEL thread takes no jobs now; try again");
	return CTL_FAILED;
}
