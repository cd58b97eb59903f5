/* One IKE daemon per machine, and the far end: slow, forgetful, sometimes dead. */
#include <stdlib.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

static struct sim_item *answer(struct sim *w, unsigned n, const struct ike_act *ia, enum ike_req req, bool ok)
{
	struct sim_item *it = sim_item_new(w, IT_IKE, n);
	it->ike = (struct ike_ev){ .kind = IKE_EV_REPLY, .epoch = ia->epoch, .seq = ia->seq, .req = req, .ok = ok };
	return it;
}

/* Two round trips and a key exchange, if the far end hears us and this node has the address. */
static void negotiate(struct sim *w, unsigned n, const struct ike_act *ia)
{
	struct sim_box *b = &w->box[n];
	sim_post(w, answer(w, n, ia, IKE_REQ_INITIATE, true), sim_range(w, 200, 3000) * NS_PER_US);
	bool here = fake_rtnl_has(b->rtnl, b->ifindex[SEG_WAN], &w->vips[1][0].addr) && b->cable[SEG_WAN];
	if (!here || sim_chance(w, 0.2))
		return;
	b->ike_sa = true;
	b->ike_id++;
	struct sim_item *it = sim_item_new(w, IT_IKE, n);
	it->ike = (struct ike_ev){ .kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = b->ike_id };
	sim_post(w, it, sim_range(w, 5, 60) * NS_PER_MS);
}

void sim_ike_act(struct sim *w, unsigned n, const struct node_act *act)
{
	const struct ike_act *ia = &act->ike;
	struct sim_box *b = &w->box[n];
	enum ike_req req = IKE_REQ_NONE;
	struct sim_item *it;
	struct sim_job *j;
	switch (ia->kind) {
	case IKE_ACT_TERMINATE:
		req = IKE_REQ_TERMINATE;
		break;
	case IKE_ACT_INITIATE:
		req = IKE_REQ_INITIATE;
		break;
	case IKE_ACT_REKEY:
		req = IKE_REQ_REKEY;
		break;
	case IKE_ACT_LIST:
		req = IKE_REQ_LIST;
		break;
	case IKE_ACT_SWEEP:
		j = calloc(1, sizeof(*j));
		require(j);
		j->kind = JOB_SWEEP;
		j->tunnel = act->tunnel;
		j->seq = ia->seq;
		j->epoch = ia->epoch;
		sim_kt_put(w, n, j);
		return;
	case IKE_ACT_PURGED:
	case IKE_ACT_UP:
	case IKE_ACT_DOWN:
	case IKE_ACT_DPD_DEAD:
	case IKE_ACT_RESET_FAILED:
	case IKE_ACT_HOOK:
	case IKE_ACT_TRACE:
	case IKE_ACT_N:
		return;
	}
	if (!b->ike_up) {
		sim_post(w, answer(w, n, ia, req, false), NS_PER_US);
		return;
	}
	if (sim_chance(w, 0.05))
		return; /* lost, or too busy to answer */
	if (req == IKE_REQ_INITIATE) {
		negotiate(w, n, ia);
		return;
	}
	it = answer(w, n, ia, req, true);
	it->ike.matches = b->ike_sa;
	if (req == IKE_REQ_TERMINATE)
		b->ike_sa = false;
	if (req == IKE_REQ_LIST) {
		it->ike.kind = IKE_EV_SA_LIST;
		it->ike.sample = (struct ike_sample){
			.present = b->ike_sa, .established = b->ike_sa, .child = b->ike_sa, .sa_id = b->ike_id
		};
	}
	sim_post(w, it, sim_range(w, 200, 4000) * NS_PER_US);
}

void sim_ike_daemon(struct sim *w, unsigned n, bool up)
{
	struct sim_box *b = &w->box[n];
	if (!b->up || b->ike_up == up)
		return;
	TRACE(w, "n%u IKE daemon %s", n + 1, up ? "starts" : "dies");
	b->ike_up = up;
	b->ike_sa = b->ike_sa && up;
	if (!b->p)
		return;
	struct sim_item *it = sim_item_new(w, IT_IKE, n);
	it->ike.kind = up ? IKE_EV_BACKEND_UP : IKE_EV_BACKEND_DOWN;
	sim_post(w, it, sim_range(w, 100, 2000) * NS_PER_US);
}

/* A new process connects to the IKE daemon. */
void sim_ike_hello(struct sim *w, unsigned n)
{
	if (!w->box[n].ike_up)
		return;
	struct sim_item *it = sim_item_new(w, IT_IKE, n);
	it->ike.kind = IKE_EV_BACKEND_UP;
	sim_post(w, it, sim_range(w, 1, 20) * NS_PER_MS);
}

/* Every other group has copies, from the beginning on. They are installed in time, late, not all of them, or never. */
void sim_sa_begin(struct sim *w, unsigned n)
{
	for (unsigned g = 0; g < w->n_groups; g++) {
		struct node_ev ev = { .type = NODE_EV_SA_COPIES, .group = (uint16_t)g, .on = (w->seed + n + g) % 2 };
		sim_feed(w, n, &ev);
	}
}

void sim_sa_import(struct sim *w, unsigned n, uint16_t group, struct epoch epoch)
{
	struct sim_item *it = sim_item_new(w, IT_SA, n);
	w->box[n].p->sg[group].copies_in = true;
	w->count.sa_imports++;
	it->inst = group;
	it->epoch = epoch;
	it->flag = sim_chance(w, 0.1);
	sim_post(w, it, sim_chance(w, 0.05) ? NS_PER_SEC : sim_range(w, 100, 9000) * NS_PER_US);
}
