/* Meaning of the policy in `sync`: rules that match nothing or everything, and settings that contradict each other. */
#include "daemon/cfg_tree.h"

/* A rule that can match nothing, or everything, is a mistake. */
static void check_ignore(const struct cfg_tree *t, struct cfg_errors *errs, const struct cfg_val *list)
{
	static const char *const parts[] = { "address", "interface", "port", "zone", "protocols" };

	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_rec *r = &list->recs[i];
		const struct cfg_val *port = cfg_rec_val(r, "port"), *last = cfg_rec_val(r, "last_port");
		bool any = false;
		if (last->given && !port->given)
			cfg_complain(errs, CFG_ERROR, t, r, "last_port", "needs port, the first one of the range");
		else if (last->given && !last->bad && !port->bad && last->num < port->num)
			cfg_complain(errs, CFG_ERROR, t, r, "last_port",
				     "lies before port (%lld); no port is in such a range", (long long)port->num);
		for (unsigned k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
			any |= cfg_rec_val(r, parts[k])->given;
		if (!any)
			cfg_complain(errs, CFG_ERROR, t, r, "address",
				     "the rule is empty and would leave out every session; to replicate nothing set "
				     "sync.replicate = false");
	}
}

/* From the first packet, and not before: the two exclude each other. */
static void check_quick(const struct cfg_tree *t, struct cfg_errors *errs, const struct cfg_rec *r)
{
	const struct cfg_val *quick = cfg_rec_val(r, "quick"), *states = cfg_rec_val(r, "tcp_states");
	const struct cfg_val *age = cfg_rec_val(r, "min_age"), *ages = cfg_rec_val(r, "min_ages");

	if (quick->bad || !quick->num)
		return;
	if (!age->bad && age->num > 0)
		cfg_complain(errs, CFG_ERROR, t, r, "min_age",
			     "quick replicates from the first packet, min_age only later; set one of them");
	for (unsigned i = 0; i < ages->n; i++) {
		const struct cfg_val *v = cfg_rec_val(&ages->recs[i], "min_age");
		if (!v->bad && v->num > 0)
			cfg_complain(errs, CFG_ERROR, t, &ages->recs[i], "min_age",
				     "quick replicates from the first packet, min_age only later; set one of them");
	}
	if (!states->bad && states->num != 0 && !(states->num & 1))
		cfg_complain(errs, CFG_ERROR, t, r, "tcp_states",
			     "lacks syn_sent, the state of the first packet, but quick replicates from that packet on");
}

void cfg_check_sync(const struct cfg_tree *t, struct cfg_errors *errs)
{
	const struct cfg_val *s = cfg_rec_val(&t->root, "sync");

	if (!s->n)
		return;
	const struct cfg_rec *r = &s->recs[0];
	const struct cfg_val *expect = cfg_rec_val(r, "expectations");
	const struct cfg_val *mechanism = cfg_rec_val(r, "failover_mechanism");
	check_ignore(t, errs, cfg_rec_val(r, "ignore"));
	if (!mechanism->bad && mechanism->num != 0)
		cfg_complain(
		    errs, CFG_ERROR, t, r, "failover_mechanism",
		    "no cluster manager has a role here: this daemon elects with VRRP, and sessions follow in the "
		    "same transaction. Name the routers that move together in vrrp.groups");
	check_quick(t, errs, r);
	if (!expect->bad && expect->num != 0)
		cfg_complain(errs, CFG_ERROR, t, r, "expectations",
			     "expect-sync comes in a later version and is refused until then; sessions of helpers are "
			     "replicated without it, remove the key");
}
