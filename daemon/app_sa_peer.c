/*
 * What the nodes say to each other about copies.
 */
#include "daemon/app_sa_int.h"

#include <errno.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define PUMP_NS    (10 * NS_PER_MS)
#define PUMP_SENDS 4 /* records in one go: 16 KiB, a quarter of what a ctl connection holds */
#define WANT_NS    (5 * NS_PER_SEC)

struct sa_peer *sa_peer_of(struct app_sa *s, uint32_t node)
{
	for (unsigned i = 0; i < s->n_peers; i++)
		if (s->peers[i].node == node)
			return &s->peers[i];
	return NULL;
}

static unsigned index_of(const struct app_sa *s, const struct sa_peer *p)
{
	return (unsigned)(p - s->peers);
}

void sa_offer(struct app_sa *s, struct sa_peer *p)
{
	uint8_t msg[3 + SA_PUBLIC_LEN] = { SA_WIRE_VERSION, SA_OUTER_OFFER, 0 };
	memcpy(msg + 3, sa_seal_public(s->seal), SA_PUBLIC_LEN);
	int rc = peer_ctl_send_object(s->app->peer, p->node, SYNC_OBJ_SA, msg, sizeof(msg));
	p->offered = rc == 0;
	if (rc == -ENOTSUP && !p->told) {
		p->told = true;
		log_warn(LOG_IKE, "node %u has an older version: it takes no copies of SAs", p->node);
	}
}

/* Seals what stands in plain, and sends it. */
static int send_plain(struct app_sa *s, const struct sa_peer *p, size_t len)
{
	uint8_t out[SA_BODY_MAX];
	size_t n = sa_seal_close(s->seal, p->node, s->plain, len, out, sizeof(out));
	explicit_bzero(s->plain, len);
	int rc = n ? peer_ctl_send_object(s->app->peer, p->node, SYNC_OBJ_SA, out, n) : -EINVAL;
	s->count.tx += rc == 0;
	return rc;
}

static int send_copies(struct app_sa *s, const struct sa_peer *p)
{
	struct wire_wr w = wire_wr(s->plain, SA_PLAIN_MAX);
	sa_put_head(&w, SA_KIND_COPIES, s->app->node.id);
	if (!sa_send_copies(&s->send, index_of(s, p), &w))
		return -ENODATA;
	int rc = send_plain(s, p, wire_len(&w));
	if (rc == 0)
		sa_send_sent(&s->send, index_of(s, p));
	return rc;
}

static int send_list(struct app_sa *s, struct sa_peer *p)
{
	struct sa_list list;
	if (p->vip >= s->n_vips || !p->lists) {
		p->lists = false;
		return -ENODATA;
	}
	if (!sa_send_list(&s->send, &s->vips[p->vip], p->part, &list)) {
		p->vip++;
		p->part = 0;
		return send_list(s, p);
	}
	struct wire_wr w = wire_wr(s->plain, SA_PLAIN_MAX);
	sa_put_head(&w, SA_KIND_LIST, s->app->node.id);
	sa_put_list(&w, &list);
	int rc = send_plain(s, p, wire_len(&w));
	p->part += rc == 0;
	return rc;
}

static bool pump_peer(struct app_sa *s, struct sa_peer *p)
{
	if (!s->app->peer || !p->up || !sa_seal_knows(s->seal, p->node))
		return false;
	for (unsigned i = 0; i < PUMP_SENDS; i++) {
		int rc = sa_send_lacks(&s->send, index_of(s, p)) ? send_copies(s, p) : send_list(s, p);
		if (rc == -ENODATA)
			return false;
		if (rc < 0)
			return rc == -EAGAIN;
	}
	return true;
}

void sa_pump(struct app_sa *s)
{
	bool more = false;
	for (unsigned i = 0; i < s->n_peers; i++)
		more |= pump_peer(s, &s->peers[i]);
	if (more)
		loop_timer_set(s->pump, mono_add(clock_mono(), PUMP_NS));
}

void app_sa_channel(struct app *a, uint32_t node, bool up)
{
	struct app_sa *s = a->sa;
	struct sa_peer *p = s && s->seal ? sa_peer_of(s, node) : NULL;
	if (!p)
		return;
	p->up = up;
	p->offered = false;
	if (up)
		sa_offer(s, p);
}

/* ---- what others say ---- */

/* A new key is a new process: what the old one had said is void, and what it was told is lost. */
static enum sa_drop on_offer(struct app_sa *s, struct sa_peer *p, const uint8_t *bytes, size_t len)
{
	if (len < 1 + SA_PUBLIC_LEN)
		return SA_DROP_SHORT;
	if (sa_seal_meet(s->seal, p->node, bytes + 1)) {
		sa_store_forget(&s->store, p->node);
		sa_send_forget(&s->send, index_of(s, p));
	}
	p->lists = true;
	p->vip = p->part = 0;
	sa_pump(s);
	return SA_OK;
}

static enum sa_drop keep_copy(struct app_sa *s, const struct sa_peer *p)
{
	const struct sa_copy *sa = s->scratch;
	const struct sa_listed *l = sa_listed_find(s, &sa->dst, &sa->src);
	if (!l)
		return SA_DROP_UNLISTED;
	if (sa_serves(s->app, l->group))
		return SA_DROP_SERVING;
	return sa_store_put(&s->store, p->node, sa, clock_mono());
}

static enum sa_drop on_copies(struct app_sa *s, const struct sa_peer *p, struct wire_rd *r)
{
	bool news = false;
	while (wire_left(r) > 0 && !r->bad) {
		enum sa_drop d = sa_get_copy(r, s->scratch);
		if (d == SA_OK)
			d = keep_copy(s, p);
		sa_wipe(s->scratch);
		s->in_drops[d]++; /* each record by itself */
		news |= d == SA_OK;
	}
	if (news)
		sa_tell_groups(s);
	return SA_OK;
}

static enum sa_drop on_list(struct app_sa *s, struct sa_peer *p, struct wire_rd *r)
{
	struct sa_list list;
	struct sa_want want;
	mono_t now = clock_mono();
	enum sa_drop d = sa_get_list(r, &list);
	if (d != SA_OK)
		return d;
	for (unsigned i = 0; i < s->n_listed; i++)
		if (addr_eq(&s->listed[i].pair.vip, &list.vip) && sa_serves(s->app, s->listed[i].group))
			return SA_DROP_SERVING;
	sa_store_list(&s->store, p->node, &list, now, &want);
	if (!want.n || !mono_due(p->want_at, now))
		return SA_OK;
	p->want_at = mono_add(now, WANT_NS);
	s->count.wants += want.n;
	struct wire_wr w = wire_wr(s->plain, SA_PLAIN_MAX);
	sa_put_head(&w, SA_KIND_WANT, s->app->node.id);
	sa_put_want(&w, &want);
	(void)send_plain(s, p, wire_len(&w)); /* the next list asks again */
	return SA_OK;
}

static enum sa_drop on_want(struct app_sa *s, const struct sa_peer *p, struct wire_rd *r)
{
	struct sa_want want;
	enum sa_drop d = sa_get_want(r, &want);
	if (d != SA_OK)
		return d;
	sa_send_wanted(&s->send, index_of(s, p), &want);
	sa_pump(s);
	return SA_OK;
}

static enum sa_drop on_sealed(struct app_sa *s, struct sa_peer *p, const uint8_t *bytes, size_t len)
{
	size_t n = sa_seal_open(s->seal, p->node, bytes, len, s->plain, SA_PLAIN_MAX);
	struct wire_rd r = wire_rd(s->plain, n);
	enum sa_kind kind;
	uint32_t sender;
	if (!n)
		return SA_DROP_SEAL;
	enum sa_drop d = sa_get_head(&r, &kind, &sender);
	if (d == SA_OK && sender != p->node)
		d = SA_DROP_SENDER;
	if (d != SA_OK)
		return d;
	switch (kind) {
	case SA_KIND_COPIES:
		d = on_copies(s, p, &r);
		explicit_bzero(s->plain, n);
		return d;
	case SA_KIND_LIST:
		return on_list(s, p, &r);
	case SA_KIND_WANT:
		return on_want(s, p, &r);
	}
	return SA_DROP_KIND;
}

void app_sa_object(struct app *a, uint32_t node, const uint8_t *bytes, size_t len)
{
	struct app_sa *s = a->sa;
	struct sa_peer *p = s && s->seal ? sa_peer_of(s, node) : NULL;
	enum sa_drop d = SA_DROP_KIND;
	if (!p)
		return;
	s->count.rx++;
	if (len < 2)
		d = SA_DROP_SHORT;
	else if (bytes[0] != SA_WIRE_VERSION)
		d = SA_DROP_VERSION;
	else if (bytes[1] == SA_OUTER_OFFER)
		d = on_offer(s, p, bytes + 2, len - 2);
	else if (bytes[1] == SA_OUTER_SEALED)
		d = on_sealed(s, p, bytes + 2, len - 2);
	if (d != SA_OK)
		s->in_drops[d]++;
}
