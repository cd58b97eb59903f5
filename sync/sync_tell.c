/*
 * SYNC_CMD_FACTS: the facts are counted over the session table in pieces, so that the thread's other work goes on; then
 * they pass to CONTROL. One walk at a time: a newer command takes the place of an older one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/base/clock.h"
#include "sync/sync_facts.h"
#include "sync/sync_run.h"

enum { TELL_CHUNK = 64, TELL_PASSES = 8, PROBE_ZONE = 65534 };
#define TELL_PAUSE_NS (200 * NS_PER_US)

struct tell {
	struct sync_run *run;
	struct sync_self *facts; /* NULL: nothing is under way */
	uint64_t seq;
	uint32_t node;
	struct sess_walk walk;
	struct loop_timer *timer;
	int zones;
};

/*
 * Asking for an entry in a zone: a kernel with zones does not find it, one without refuses the attribute
 * (nf_conntrack_netlink.c, ctnetlink_parse_zone). Nothing is changed by it.
 */
static int probe_zones(struct sync_run *r)
{
	struct ct_op op = { .type = CT_OP_GET };
	int result = -EIO;
	op.e.orig =
	    (struct ct_tuple){ .src = { 127 }, .dst = { 127 }, .sport = 1, .dport = 1, .l3 = 4, .l4 = IPPROTO_UDP };
	op.e.orig.zone = PROBE_ZONE;
	bool outer = r->injecting;
	r->injecting = true;
	(void)ct_io_inject(r->ct, &op, 1, &result);
	r->injecting = outer;
	return result == -ENOENT || result == 0 ? 1 : result == -EOPNOTSUPP ? 0 : SYNC_FACTS_UNKNOWN;
}

static void tell_link(struct sync_facts_link *out, const struct data_link *k)
{
	struct tcp_info ti = { 0 };
	socklen_t n = sizeof(ti);
	out->up = k->greeted && k->conn && getsockopt(peer_conn_fd(k->conn), IPPROTO_TCP, TCP_INFO, &ti, &n) == 0;
	if (!out->up)
		return;
	out->path_mtu = ti.tcpi_pmtu;
	out->send_segment = ti.tcpi_snd_mss;
	out->received_segment = ti.tcpi_rcv_mss;
	out->repeated = ti.tcpi_total_retrans;
}

static void finish(struct tell *t)
{
	struct sync_run *r = t->run;
	struct sync_self *f = t->facts;
	struct data_peer *p = data_peer_find(r, t->node);
	f->zones = t->zones;
	(void)ct_io_table_size(&f->table_max, &f->table_count);
	for (unsigned i = 0; p && i < p->n_links; i++)
		tell_link(&f->link[i], &p->links[i]);
	f->n_links = p ? p->n_links : 0;
	t->facts = NULL;
	struct sync_report rep = { .type = SYNC_REP_FACTS, .seq = t->seq, .peer_node = t->node, .facts = f };
	sync_run_report(r, &rep);
}

static void on_timer(void *arg, mono_t deadline)
{
	static struct sync_view view[TELL_CHUNK]; /* SYNC thread only */
	struct tell *t = arg;
	(void)deadline;
	if (!t->facts)
		return;
	for (unsigned i = 0; i < TELL_PASSES && t->walk.active; i++) {
		unsigned n = sync_view(t->run->core, &t->walk, view, TELL_CHUNK, clock_mono());
		for (unsigned j = 0; j < n; j++)
			sync_facts_add(t->facts, &view[j]);
	}
	if (t->walk.active)
		loop_timer_set(t->timer, mono_add(clock_mono(), TELL_PAUSE_NS));
	else
		finish(t);
}

void tell_begin(struct sync_run *r, const struct sync_cmd *c)
{
	struct tell *t = r->tell;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return; /* CONTROL does not wait for ever */
		t->run = r;
		t->zones = probe_zones(r);
		t->timer = loop_timer_new(r->loop, LOOP_NORMAL, on_timer, t);
		if (!t->timer) {
			free(t);
			return;
		}
		r->tell = t;
	}
	free(t->facts);
	t->facts = calloc(1, sizeof(*t->facts));
	if (!t->facts)
		return;
	t->seq = c->seq;
	t->node = c->peer_node;
	t->walk = (struct sess_walk){ 0 };
	t->facts->counted = c->walk && r->core;
	if (t->facts->counted) {
		sess_walk_start(&t->walk);
		loop_timer_set(t->timer, clock_mono());
	} else {
		finish(t);
	}
}

void tell_free(struct sync_run *r)
{
	if (!r->tell)
		return;
	loop_timer_free(r->tell->timer);
	free(r->tell->facts);
	free(r->tell);
	r->tell = NULL;
}
