/* Segments that carry real adverts, and the channel: connections that keep order and break as TCP's do. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_wire.h"
#include "tests/sim/sim.h"

#define CTL_TIMEOUT_NS  NS_PER_SEC /* TCP_USER_TIMEOUT */
#define DATA_TIMEOUT_NS (3 * NS_PER_SEC)
#define CONNECT_NS      NS_PER_SEC
#define RETRY_MIN_NS    (100 * NS_PER_MS)
#define RETRY_MAX_NS    (2 * NS_PER_SEC)
#define PROBE_NS        (100 * NS_PER_MS)

int64_t sim_delay(struct sim *w, const struct sim_wire *x)
{
	return x->delay_ns + sim_range(w, 0, x->jitter_ns);
}

/* ---- adverts ---- */

/* Every node has the same last number on both segments. */
struct addr sim_addr(uint16_t inst, unsigned n)
{
	return inst == 1 ? addr_v4(192, 0, 2, (uint8_t)(n + 1)) : addr_v4(10, 1, 0, (uint8_t)(n + 1));
}

static unsigned seg_of(const struct sim *w, uint16_t inst)
{
	return w->conf[0][inst].interface[0] == 'l' ? SEG_LAN : SEG_WAN;
}

void sim_advert_to(struct sim *w, unsigned from, unsigned to, uint16_t inst, const uint8_t *bytes, size_t len, int ttl,
		   bool refuse)
{
	struct sim_wire *x = &w->seg[seg_of(w, inst)];
	if (!w->box[to].p || !w->box[to].cable[seg_of(w, inst)])
		return;
	for (unsigned copies = sim_chance(w, x->dup) ? 2 : 1; copies > 0; copies--) {
		struct sim_item *it = sim_item_new(w, IT_ADVERT, to);
		it->from = (uint8_t)from;
		it->inst = inst;
		it->num = (uint32_t)ttl;
		it->flag = refuse;
		it->bytes = malloc(len);
		require(it->bytes);
		memcpy(it->bytes, bytes, len);
		it->len = len;
		sim_post(w, it, sim_delay(w, x));
	}
}

/* Each form on its own: one of two may be lost. */
static void send_forms(struct sim *w, unsigned n, unsigned to, uint16_t inst, uint8_t priority, const struct addr *dst)
{
	const struct vrrp_conf *c = &w->conf[n][inst];
	uint8_t buf[VRRP_MSG_MAX], version;
	for (unsigned at = 0; vrrp_wire_next_form(c, &at, &version);) {
		int len = vrrp_wire_build(c, version, priority, &w->box[n].p->inst[inst].src, dst, buf, sizeof(buf));
		require(len > 0);
		if (sim_chance(w, w->seg[seg_of(w, inst)].loss))
			w->count.advert_lost++;
		else
			sim_advert_to(w, n, to, inst, buf, (size_t)len, VRRP_TTL, false);
	}
}

void sim_advert(struct sim *w, unsigned n, uint16_t inst, uint8_t priority)
{
	unsigned seg = seg_of(w, inst);
	struct sim_proc *p = w->box[n].p;
	const struct vrrp_conf *c = &w->conf[n][inst];
	struct addr dst;
	w->count.advert++;
	if (!p->si[inst].open || !w->box[n].cable[seg])
		return;
	for (unsigned at = 0; vrrp_wire_next_dest(c, &p->inst[inst].src, &at, &dst);)
		for (unsigned to = 0; to < w->n_nodes; to++) {
			struct addr there = sim_addr(inst, to);
			if (to == n || !w->box[to].up || !w->box[to].cable[seg] || w->seg[seg].cut[n][to] ||
			    (c->n_peers && !addr_eq(&dst, &there)))
				continue;
			send_forms(w, n, to, inst, priority, &dst);
		}
}

/* Interval 0, and the checksum for it: the field was 1 at least. */
static void zero_interval(uint8_t *buf)
{
	uint32_t sum = (uint32_t)buf[6] << 8 | buf[7];
	sum += buf[5];
	sum = (sum & 0xffff) + (sum >> 16);
	buf[5] = 0;
	buf[6] = (uint8_t)(sum >> 8);
	buf[7] = (uint8_t)sum;
}

/* A stranger with other settings in version 2: password, its absence, another interval or none, more bytes. */
static int bad_v2(struct sim *w, struct vrrp_conf c, const struct addr *src, const struct addr *dst, uint8_t *buf)
{
	uint64_t kind = sim_below(w, c.version == VRRP_V2 ? 5 : 4);
	if (kind == 0 && c.auth)
		c.auth_pass[sim_below(w, 8)] ^= 0x20;
	else if (kind == 0 || kind == 1)
		c.auth = !c.auth;
	else if (kind == 4)
		c.adv_ns += NS_PER_SEC;
	int len = vrrp_wire_build(&c, 2, 250, src, dst, buf, VRRP_MSG_MAX);
	require(len > 0);
	if (kind == 2) {
		memset(buf + len, 0, 28);
		len += 28;
	} else if (kind == 3) {
		zero_interval(buf);
	}
	return len;
}

/* A stranger, or damage: version, checksum, TTL, length, and what version 2 has beside. */
void sim_bad_advert(struct sim *w, unsigned to, uint16_t inst)
{
	uint8_t buf[VRRP_MSG_MAX];
	const struct vrrp_conf *c = &w->conf[to][inst];
	struct addr src = sim_addr(inst, SIM_STRANGER), dst = c->n_peers ? sim_addr(inst, to) : vrrp_wire_conf_group(c);
	uint8_t version = 3;
	unsigned at = 0, from = SIM_STRANGER, peer = (to + 1) % w->n_nodes;
	vrrp_wire_next_form(c, &at, &version);
	int len = vrrp_wire_build(c, version, 250, &src, &dst, buf, sizeof(buf)), ttl = VRRP_TTL;
	require(len > 0);
	switch (sim_below(w, c->version == VRRP_V3 ? 4 : 6)) {
	case 0:
		buf[0] = version == 3 ? 0x41 : 0x11;
		break;
	case 1:
		buf[7] ^= 0x55;
		break;
	case 2:
		if (c->n_peers && c->peers[peer].ttl_min) { /* a peer, from too far away */
			src = sim_addr(inst, from = peer);
			len = vrrp_wire_build(c, version, 250, &src, &dst, buf, sizeof(buf));
			ttl = c->peers[peer].ttl_min - 1;
		} else {
			ttl = 254;
		}
		break;
	case 3:
		len -= 2;
		break;
	default:
		len = bad_v2(w, *c, &src, &dst, buf);
		break;
	}
	w->count.bad_adverts++;
	sim_advert_to(w, from, to, inst, buf, (size_t)len, ttl, true);
}

/* ---- connections ---- */

struct sim_conn *sim_conn_of(struct sim *w, unsigned a, unsigned b, enum sim_chan c)
{
	return a < b ? &w->conn[a][b][c] : &w->conn[b][a][c];
}

bool sim_path(const struct sim *w, unsigned a, unsigned b)
{
	return w->box[a].up && w->box[b].up && !w->box[a].frozen_until.ns && !w->box[b].frozen_until.ns &&
	       !w->chan.cut[a][b] && !w->chan.cut[b][a];
}

static unsigned side(unsigned n, unsigned other)
{
	return n < other ? 0 : 1;
}

/* What was on its way when a connection ended. TCP throws it away; what a socket had taken in before comes late. */
static void leave_late(struct sim *w, unsigned a, unsigned b, enum sim_chan c)
{
	struct sim_conn *k = sim_conn_of(w, a, b, c);
	for (unsigned d = 0; c == CHAN_DATA && d < 2; d++) {
		unsigned lower = a < b ? a : b, higher = a < b ? b : a;
		int64_t delay = sim_range(w, 1, 400) * NS_PER_MS;
		for (struct sim_msg *m = k->first[d]; m; m = m->next) {
			if (!m->len || !w->box[d ? lower : higher].p)
				continue;
			struct sim_item *it = sim_item_new(w, IT_LATE, d ? lower : higher);
			it->from = (uint8_t)(d ? higher : lower);
			it->gen = k->gen;
			it->bytes = malloc(m->len);
			require(it->bytes);
			memcpy(it->bytes, m->bytes, m->len);
			it->len = m->len;
			sim_post(w, it, delay);
		}
	}
}

static void queue_clear(struct sim_conn *k, unsigned dir)
{
	for (struct sim_msg *m = k->first[dir], *next; m; m = next) {
		next = m->next;
		free(m->bytes);
		free(m);
	}
	k->first[dir] = NULL;
	k->last[dir] = &k->first[dir];
	k->n[dir] = 0;
}

static void pump_at(struct sim *w, unsigned from, unsigned to, enum sim_chan c, mono_t at)
{
	struct sim_item *it = sim_item_new(w, IT_PUMP, to);
	it->life = 0;
	it->from = (uint8_t)from;
	it->num = c;
	it->gen = sim_conn_of(w, from, to, c)->gen;
	sim_post(w, it, mono_sub(mono_max(at, w->now), w->now));
}

bool sim_conn_room(struct sim *w, unsigned from, unsigned to, enum sim_chan c)
{
	struct sim_conn *k = sim_conn_of(w, from, to, c);
	return k->end[side(from, to)] && k->n[side(from, to)] < SIM_INFLIGHT;
}

void sim_conn_send(struct sim *w, unsigned from, unsigned to, enum sim_chan c, const void *bytes, size_t len)
{
	struct sim_conn *k = sim_conn_of(w, from, to, c);
	unsigned d = side(from, to);
	if (!k->end[d])
		return;
	struct sim_msg *m = calloc(1, sizeof(*m));
	require(m);
	m->at = mono_max(mono_add(w->now, sim_delay(w, &w->chan)), k->last_at[d]);
	/* A lost segment comes again after the sender's timer, and everything behind it waits. */
	if (sim_chance(w, w->chan.loss))
		m->at = mono_add(m->at, sim_range(w, 5, 40) * NS_PER_MS);
	k->last_at[d] = m->at;
	m->len = len;
	if (len) {
		m->bytes = malloc(len);
		require(m->bytes);
		memcpy(m->bytes, bytes, len);
	}
	*k->last[d] = m;
	k->last[d] = &m->next;
	k->n[d]++;
	pump_at(w, from, to, c, m->at);
}

/* Brings what is due at the head of the queue. A path that is cut holds everything. */
void sim_conn_pump(struct sim *w, struct sim_item *it)
{
	unsigned from = it->from, to = it->node, d = side(from, to);
	struct sim_conn *k = sim_conn_of(w, from, to, (enum sim_chan)it->num);
	if (it->gen != k->gen)
		return;
	while (k->first[d] && mono_due(k->first[d]->at, w->now)) {
		struct sim_msg *m = k->first[d];
		if (w->chan.cut[from][to] || !w->box[to].up || !w->box[from].up || !k->end[1 - d])
			return; /* sim_conns pumps again when the path is back */
		k->first[d] = m->next;
		if (!k->first[d])
			k->last[d] = &k->first[d];
		struct sim_item *out = sim_item_new(w, IT_CTL, to);
		out->from = (uint8_t)from;
		out->gen = k->gen;
		out->bytes = m->bytes;
		out->len = m->len;
		free(m);
		if (it->num == CHAN_CTL) {
			k->n[d]--;
			sim_give(w, out);
		} else {
			sim_sync_data(w, out); /* counts as on its way until SYNC reads it */
		}
		if (it->gen != k->gen)
			return;
	}
}

void sim_ctl_send(struct sim *w, unsigned n, uint32_t peer, const struct peer_msg *m)
{
	struct sim_proc *p = w->box[n].p;
	uint8_t buf[SYNC_CTL_MAX];
	int len = sync_msg_write(buf, sizeof(buf), sim_node_id(n), 1, m);
	require(len > 0);
	if (m->type == PEER_GO) {
		w->gos[w->n_gos % 64].e = m->epoch;
		w->gos[w->n_gos++ % 64].used = true;
	}
	if (m->type != PEER_HEARTBEAT)
		TRACE(w, "n%u says %u group %u epoch %llu.%u", n + 1, m->type, m->group,
		      (unsigned long long)m->epoch.counter, m->epoch.node);
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (i != n && (!peer || peer == sim_node_id(i)) && p->ctl[i].open && p->ctl[i].hello)
			sim_conn_send(w, n, i, CHAN_CTL, buf, (size_t)len);
}

/* One end learns that the connection is over. */
static void end_closed(struct sim *w, unsigned n, unsigned other, enum sim_chan c, bool clean)
{
	struct sim_conn *k = sim_conn_of(w, n, other, c);
	unsigned d = side(n, other);
	if (!k->end[d])
		return;
	k->end[d] = false;
	if (n < other) {
		k->retry_ns =
		    k->retry_ns ? (k->retry_ns * 2 > RETRY_MAX_NS ? RETRY_MAX_NS : k->retry_ns * 2) : RETRY_MIN_NS;
		k->retry_at = mono_add(w->now, k->retry_ns - sim_range(w, 0, k->retry_ns / 4));
	}
	if (!w->box[n].p)
		return;
	struct sim_item *it = sim_item_new(w, IT_CTL_DOWN, n);
	it->from = (uint8_t)other;
	it->flag = clean;
	it->gen = k->gen;
	if (c == CHAN_CTL) {
		sim_give(w, it);
	} else {
		it->flag = true; /* the stream ends */
		sim_sync_data(w, it);
	}
}

static void conn_over(struct sim *w, unsigned a, unsigned b, enum sim_chan c)
{
	struct sim_conn *k = sim_conn_of(w, a, b, c);
	if (k->end[0] || k->end[1])
		return;
	leave_late(w, a, b, c);
	k->gen++;
	queue_clear(k, 0);
	queue_clear(k, 1);
	k->bad_since = MONO_NEVER;
}

void sim_conn_reset(struct sim *w, unsigned a, unsigned b, enum sim_chan c, unsigned ends)
{
	struct sim_conn *k = sim_conn_of(w, a, b, c);
	unsigned lower = a < b ? a : b, higher = a < b ? b : a;
	if (!k->end[0] && !k->end[1])
		return;
	if (ends & 1)
		end_closed(w, lower, higher, c, false);
	if (ends & 2)
		end_closed(w, higher, lower, c, false);
	conn_over(w, a, b, c);
	k->retry_ns = 0;
	k->retry_at = mono_add(w->now, sim_range(w, 0, 40) * NS_PER_MS);
}

static void conn_open(struct sim *w, unsigned a, unsigned b, enum sim_chan c)
{
	struct sim_conn *k = sim_conn_of(w, a, b, c);
	leave_late(w, a, b, c);
	k->gen++;
	queue_clear(k, 0);
	queue_clear(k, 1);
	k->end[0] = k->end[1] = true;
	k->retry_ns = 0;
	k->bad_since = MONO_NEVER;
	k->last_at[0] = k->last_at[1] = w->now;
	if (c == CHAN_DATA) { /* ACTIVATE: the dialler asks, the acceptor's stream begins with it */
		sim_conn_send(w, a, b, c, NULL, 0);
		return;
	}
	int64_t shake = 2 * sim_delay(w, &w->chan);
	for (unsigned e = 0; e < 2; e++) {
		struct sim_item *it = sim_item_new(w, IT_CTL_UP, e ? b : a);
		it->from = (uint8_t)(e ? a : b);
		it->gen = k->gen;
		sim_post(w, it, shake);
	}
}

/* The lower node dials. */
static void conn_dial(struct sim *w, unsigned a, unsigned b, enum sim_chan c)
{
	struct sim_conn *k = sim_conn_of(w, a, b, c);
	int64_t fails = RETRY_MIN_NS;
	if (!mono_due(k->retry_at, w->now) || !sim_runs(w, a) || mono_before(w->now, w->box[a].p->sync.hung_until))
		return;
	if (sim_path(w, a, b)) {
		/* An acceptor that is stopped, or whose SYNC hangs, answers no handshake. */
		if (sim_runs(w, b) && !mono_before(w->now, w->box[b].p->sync.hung_until)) {
			if (k->end[1]) { /* replaced: the acceptor's old one goes without a word */
				if (c == CHAN_DATA)
					end_closed(w, b, a, c, true);
				k->end[1] = false;
				if (c == CHAN_CTL)
					w->box[b].p->ctl[a].open = w->box[b].p->ctl[a].hello = false;
			}
			conn_open(w, a, b, c);
			return;
		}
		fails = w->box[b].p ? CONNECT_NS : NS_PER_MS;
	} else {
		fails = CONNECT_NS;
	}
	k->retry_ns = k->retry_ns ? (k->retry_ns * 2 > RETRY_MAX_NS ? RETRY_MAX_NS : k->retry_ns * 2) : RETRY_MIN_NS;
	k->retry_at = mono_add(w->now, fails + k->retry_ns - sim_range(w, 0, k->retry_ns / 4));
}

static void conn_watch(struct sim *w, unsigned a, unsigned b, enum sim_chan c)
{
	struct sim_conn *k = sim_conn_of(w, a, b, c);
	bool path = sim_path(w, a, b);
	if (!k->end[0] && !k->end[1]) {
		conn_dial(w, a, b, c);
		return;
	}
	if (!path) {
		if (mono_is_never(k->bad_since))
			k->bad_since = w->now;
		if (mono_sub(w->now, k->bad_since) < (c == CHAN_CTL ? CTL_TIMEOUT_NS : DATA_TIMEOUT_NS))
			return;
		end_closed(w, a, b, c, false);
		end_closed(w, b, a, c, false);
		conn_over(w, a, b, c);
		return;
	}
	if (!mono_is_never(k->bad_since)) {
		k->bad_since = MONO_NEVER;
		pump_at(w, a, b, c, mono_add(w->now, sim_range(w, 1, 200) * NS_PER_MS));
		pump_at(w, b, a, c, mono_add(w->now, sim_range(w, 1, 200) * NS_PER_MS));
	}
	/* The other end is gone, and its kernel says so to whoever sends. */
	if (!k->end[0] || !k->end[1]) {
		if (k->end[1] && !k->end[0] && mono_due(k->retry_at, w->now) && sim_runs(w, a)) {
			conn_dial(w, a, b, c);
			return;
		}
		end_closed(w, a, b, c, false);
		end_closed(w, b, a, c, false);
		conn_over(w, a, b, c);
	}
}

void sim_conns(struct sim *w)
{
	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = a + 1; b < w->n_nodes; b++)
			for (unsigned c = 0; c < SIM_CHANS; c++)
				conn_watch(w, a, b, (enum sim_chan)c);
}

/* The process of this node has ended: its kernel closes what it had, unless that is gone too. */
void sim_conn_ended(struct sim *w, unsigned n, enum sim_end how)
{
	for (unsigned i = 0; i < w->n_nodes; i++) {
		for (unsigned c = 0; i != n && c < SIM_CHANS; c++) {
			struct sim_conn *k = sim_conn_of(w, n, i, (enum sim_chan)c);
			k->end[side(n, i)] = false;
			/* What it had sent is on its way and arrives before the end does; here both come at once. */
			if (how != END_MACHINE && sim_path(w, n, i))
				end_closed(w, i, n, (enum sim_chan)c, how == END_CLEAN);
			conn_over(w, n, i, (enum sim_chan)c);
		}
	}
}

void sim_probe(struct sim *w, unsigned n, uint32_t peer)
{
	unsigned to = (unsigned)sim_node_of(peer);
	bool path = sim_path(w, n, to);
	struct sim_item *it = sim_item_new(w, IT_PROBE, n);
	it->from = (uint8_t)to;
	it->flag = path && !w->box[to].p;
	sim_post(w, it, path ? 2 * sim_delay(w, &w->chan) : PROBE_NS);
}
