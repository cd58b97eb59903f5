/* Meaning of `cluster`, `nodes` and `channel`: which node is this one, and how the others are reached. */
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/cfg_check.h"

/* One node's addresses against those of the nodes before it. */
static void check_node_addrs(struct cfg_checker *c, unsigned n)
{
	const struct cfg_rec *r = &c->nodes->recs[n];
	const struct cfg_val *mine = cfg_rec_val(r, "addresses");

	for (unsigned i = 0; i < n && !mine->bad; i++) {
		const struct cfg_val *other = cfg_rec_val(&c->nodes->recs[i], "addresses");
		if (other->bad || !other->given || !mine->given)
			continue;
		if (i == 0 && other->n != mine->n)
			cfg_complain(
			    c->errs, CFG_ERROR, c->t, r, "addresses",
			    "%u links, but the first node lists %u; all nodes list the same links in the same order",
			    mine->n, other->n);
		for (unsigned j = 0; j < mine->n; j++) {
			struct addr a = { 0 }, b = { 0 };
			addr_parse(mine->items[j].text, &a);
			if (i == 0 && j < other->n && addr_parse(other->items[j].text, &b) && a.af != b.af)
				cfg_complain_item(
				    c->errs, r, "addresses", j,
				    "another family than link %u of the first node; a link has one family", j);
			for (unsigned k = 0; k < other->n; k++) {
				if (strcmp(other->items[k].text, mine->items[j].text) == 0)
					cfg_complain_item(c->errs, r, "addresses", j,
							  "is an address of another node already (line %u)",
							  other->items[k].at.line);
			}
		}
	}
}

static void check_nodes(struct cfg_checker *c)
{
	const struct cfg_rec *node = &cfg_rec_val(&c->t->root, "node")->recs[0];
	const struct cfg_val *self = cfg_rec_val(node, "id");
	bool found = false;

	for (unsigned i = 0; i < c->nodes->n; i++) {
		const struct cfg_val *id = cfg_rec_val(&c->nodes->recs[i], "id");
		for (unsigned j = 0; j < i && id->given && !id->bad; j++) {
			const struct cfg_val *other = cfg_rec_val(&c->nodes->recs[j], "id");
			if (other->given && !other->bad && other->num == id->num)
				cfg_complain(c->errs, CFG_ERROR, c->t, &c->nodes->recs[i], "id",
					     "the id was used at line %u already; each node needs its own",
					     other->at.line);
		}
		found = found || (id->given && !id->bad && id->num == self->num);
		check_node_addrs(c, i);
	}
	cfg_check_names(c, c->nodes);
	if (!self->given)
		cfg_complain(c->errs, CFG_ERROR, c->t, node, "id",
			     "is missing; with a cluster it must be the id of this node in nodes");
	else if (!self->bad && !found && !c->nodes->bad)
		cfg_complain(c->errs, CFG_ERROR, c->t, node, "id", "is not in nodes; it must be the id of one of them");
}

void cfg_check_cluster(struct cfg_checker *c)
{
	const struct cfg_rec *root = &c->t->root;
	const struct cfg_val *cluster = cfg_rec_val(root, "cluster"), *channel = cfg_rec_val(root, "channel");
	const struct cfg_val *key = cfg_section_val(c->t, "channel", "key_file");
	const struct cfg_val *insecure = cfg_section_val(c->t, "channel", "insecure");

	if (!cluster->given && !c->nodes->given && !channel->given)
		return; /* a lone router */
	const char *there = c->nodes->given ? "nodes" : channel->given ? "channel" : "cluster";
	if (!cluster->given)
		cfg_complain(
		    c->errs, CFG_ERROR, c->t, root, there,
		    "cluster = \"NAME\" is missing beside it; a lone router has no cluster, nodes and channel");
	if (!c->nodes->given)
		cfg_complain(c->errs, CFG_ERROR, c->t, root, there,
			     "nodes = ( ... ) is missing beside it; a lone router has no cluster, nodes and channel");
	else
		check_nodes(c);
	if (channel->bad)
		return;
	if (!channel->n)
		cfg_complain(
		    c->errs, CFG_ERROR, c->t, root, there,
		    "channel = { key_file = ...; } is missing beside it; make a key with keeptrackd --genkey FILE");
	else if (!key->given && !insecure->num && !insecure->bad)
		cfg_complain(c->errs, CFG_ERROR, c->t, &channel->recs[0], "key_file",
			     "is missing; make one with keeptrackd --genkey FILE, or set insecure = true");
	else if (key->given && insecure->num)
		cfg_complain(c->errs, CFG_WARNING, c->t, &channel->recs[0], "key_file",
			     "is not used, because insecure = true");
	if (insecure && insecure->num)
		cfg_complain(c->errs, CFG_WARNING, c->t, &channel->recs[0], "insecure",
			     "the channel is neither encrypted nor authenticated");
}
