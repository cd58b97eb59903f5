/* What conntrackd.conf says, put into a configuration tree. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/dropin/dconf.h"

#define IGNORE_MAX     SYNC_IGNORE_MAX
#define SESSIONS_LEAST 1000
#define SESSIONS_MOST  50000000
#define STRICT_NS      (10 * NS_PER_SEC)

struct map {
	const struct dconf *d;
	struct cfg_tree *t;
	const struct dconf_env *env;
	struct dconf_proc *proc;
	struct cfg_errors *errs;
	const char *file; /* the tree's own copy */
	bool bad;
};

__attribute__((format(printf, 4, 5))) static void say(struct map *m, enum cfg_grade grade, unsigned line,
						      const char *fmt, ...)
{
	char what[340];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	cfg_errors_add(m->errs, grade, "%s:%u: %s", m->file, line, what);
	m->bad |= grade == CFG_ERROR;
}

/* ---- values of the tree ---- */

/* The value of a key, marked as written here; NULL when another place gave it already. */
static struct cfg_val *give(struct map *m, const struct cfg_rec *r, const char *key, unsigned line)
{
	struct cfg_val *v = cfg_rec_val(r, key);
	char path[200];

	if (v->given) {
		say(m, CFG_ERROR, line, "%s is set at %s:%u already; keep one of the two",
		    cfg_val_path(r, key, path, sizeof(path)), v->at.file ? v->at.file : m->t->file, v->at.line);
		return NULL;
	}
	v->given = true;
	v->at = (struct cfg_pos){ m->file, line };
	return v;
}

static void give_num(struct map *m, const struct cfg_rec *r, const char *key, unsigned line, int64_t num)
{
	struct cfg_val *v = give(m, r, key, line);

	if (v)
		v->num = num;
}

static void give_text(struct map *m, const struct cfg_rec *r, const char *key, unsigned line, const char *text)
{
	struct cfg_val *v = give(m, r, key, line);

	if (v)
		cfg_val_set_text(v, text);
}

/* A block that may be there already: its keys are compared one by one. */
static struct cfg_rec *block(struct map *m, const struct cfg_rec *up, const char *key, unsigned line)
{
	struct cfg_val *v = cfg_rec_val(up, key);

	if (!v->n)
		cfg_val_make(v, up, 1, (struct cfg_pos){ m->file, line });
	if (!v->given) {
		v->given = true;
		v->at = (struct cfg_pos){ m->file, line };
		v->recs[0].at = v->at;
	}
	return &v->recs[0];
}

/* ---- who takes part ---- */

/* FNV-1a; all routers make the same number of an address. */
uint32_t dconf_node_id(const struct addr *a)
{
	uint32_t h = 2166136261u;

	if (a->af == ADDR_V4)
		h = (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
	for (unsigned i = 0; a->af == ADDR_V6 && i < 16; i++)
		h = (h ^ a->b[i]) * 16777619u;
	h &= INT32_MAX;
	return h ? h : 1;
}

static void node_name(const struct addr *a, char *out, size_t size)
{
	char text[ADDR_TEXT_MAX];

	if (a->af == ADDR_V4)
		snprintf(out, size, "%s", addr_text(a, text));
	else
		snprintf(out, size, "node-%08x", (unsigned)dconf_node_id(a));
}

/* An address of the interface; of several the one in the network of `near`. */
static bool interface_addr(const struct dconf_env *env, const char *ifname, const struct addr *near, uint8_t af,
			   struct addr *out)
{
	const struct dconf_iface *best = NULL;

	for (unsigned i = 0; i < env->n_ifaces; i++) {
		const struct dconf_iface *f = &env->ifaces[i];
		if (strcmp(f->name, ifname) != 0 || f->addr.af != af)
			continue;
		bool fits = near->af == af && addr_in_prefix(near, &f->addr, f->plen);
		if (!best || (fits && !addr_in_prefix(near, &best->addr, best->plen)))
			best = f;
	}
	if (best)
		*out = best->addr;
	return best != NULL;
}

static const char *link_name(const struct dconf_link *k)
{
	return k->kind == DCONF_LINK_MULTICAST ? "Multicast" : k->kind == DCONF_LINK_UDP ? "UDP" : "TCP";
}

/* Own address and port of each link. */
static bool fill_links(struct map *m)
{
	struct dconf_proc *p = m->proc;
	bool ok = true;

	p->n_links = m->d->n_links;
	for (unsigned i = 0; i < p->n_links; i++) {
		struct dconf_link *k = &p->links[i];
		*k = m->d->links[i];
		struct addr near = { 0 };
		if (k->kind != DCONF_LINK_MULTICAST)
			near = k->dest;
		uint8_t af = k->kind == DCONF_LINK_MULTICAST ? k->group.af : k->dest.af;
		if (!k->port)
			k->port = 3780;
		if (af == ADDR_NONE) {
			say(m, CFG_ERROR, k->line, "%s: %s is missing", link_name(k),
			    k->kind == DCONF_LINK_MULTICAST ? "IPv4_address, the group that the routers meet at,"
							    : "IPv4_Destination_Address, the other router,");
			ok = false;
		} else if (k->own.af == ADDR_NONE && !interface_addr(m->env, k->ifname, &near, af, &k->own)) {
			say(m, CFG_ERROR, k->line, "%s: interface %s has no address to speak from; %s", link_name(k),
			    k->ifname[0] ? k->ifname : "(none is named)",
			    k->kind == DCONF_LINK_MULTICAST ? "write IPv4_interface ADDRESS"
							    : "write IPv4_address ADDRESS");
			ok = false;
		} else if (k->own.af == ADDR_V6 && (addr_is_link_local(&k->own) || addr_is_link_local(&k->dest))) {
			say(m, CFG_ERROR, k->line,
			    "%s: link-local addresses cannot be used: every link has them; give the interface one of "
			    "fd00::/8",
			    link_name(k));
			ok = false;
		}
	}
	if (p->n_links == 0) {
		say(m, CFG_ERROR, m->d->val[DCONF_SYNC].line, "Sync: a link is missing: Multicast, UDP or TCP { ... }");
		ok = false;
	}
	return ok;
}

struct member {
	struct addr addrs[SYNC_LINKS_MAX];
	unsigned n_addrs, line;
	uint32_t id;
};

static int member_cmp(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* The others: destinations, or KeeptrackdPeer, or those that were heard. */
static unsigned list_peers(struct map *m, struct member *out)
{
	const struct dconf_proc *p = m->proc;
	unsigned n = 0, written = p->links[0].n_peers;

	if (p->links[0].kind != DCONF_LINK_MULTICAST) {
		out[0] = (struct member){ .line = p->links[0].dest_line, .n_addrs = p->n_links };
		for (unsigned i = 0; i < p->n_links; i++)
			out[0].addrs[i] = p->links[i].dest;
		return 1;
	}
	for (unsigned k = 0; k < written; k++) {
		struct member *mem = &out[n++];
		*mem = (struct member){ .line = p->links[0].line };
		for (unsigned i = 0; i < p->n_links && k < p->links[i].n_peers; i++)
			mem->addrs[mem->n_addrs++] = p->links[i].peers[k];
	}
	for (unsigned k = 0; !written && k < m->env->n_found && n < SYNC_NODES_MAX - 1; k++) {
		const struct dconf_peer *f = &m->env->found[k];
		struct member *mem = &out[n++];
		*mem = (struct member){ .line = p->links[0].line, .n_addrs = f->n_addrs };
		memcpy(mem->addrs, f->addrs, sizeof(mem->addrs));
	}
	return n;
}

static void put_node(struct map *m, struct cfg_rec *r, const struct member *mem)
{
	char text[ADDR_TEXT_MAX], name[SYNC_NAME_MAX];
	struct cfg_val *list;

	r->at = (struct cfg_pos){ m->file, mem->line };
	node_name(&mem->addrs[0], name, sizeof(name));
	give_num(m, r, "id", mem->line, mem->id);
	give_text(m, r, "name", mem->line, name);
	list = give(m, r, "addresses", mem->line);
	for (unsigned i = 0; list && i < mem->n_addrs; i++)
		cfg_val_add_item(list, addr_text(&mem->addrs[i], text), r->at);
}

static void put_key(struct map *m, struct cfg_rec *channel, unsigned line)
{
	const struct dconf_val *key = &m->d->val[DCONF_KEY];
	const char *path = key->line ? key->text : m->env->key;
	unsigned at = key->line ? key->line : line;

	if (key->line ? strcmp(key->text, "insecure") == 0 : m->env->insecure)
		give_num(m, channel, "insecure", at, 1);
	else if (path && path[0] == '/')
		give_text(m, channel, "key_file", at, path);
	else if (path)
		say(m, CFG_ERROR, at, "KeeptrackdKey %s: it must be an absolute path, or the word insecure", path);
	else
		say(m, CFG_ERROR, line,
		    "Sync: the channel between the routers needs a key, for which conntrackd has no word: make one "
		    "with "
		    "'keeptrackd --genkey %s' and copy it to the other routers, or write 'KeeptrackdKey FILE' here; "
		    "'KeeptrackdKey insecure' goes without",
		    m->env->key_hint ? m->env->key_hint : "FILE");
}

static void map_cluster(struct map *m)
{
	struct member mem[SYNC_NODES_MAX + 1];
	const struct dconf_proc *p = m->proc;
	unsigned line = m->d->val[DCONF_SYNC].line;
	char name[SYNC_NAME_MAX];

	if (!fill_links(m))
		return;
	unsigned n = list_peers(m, mem + 1);
	mem[0] = (struct member){ .line = p->links[0].own_line ? p->links[0].own_line : p->links[0].line };
	for (unsigned i = 0; i < p->n_links; i++)
		mem[0].addrs[mem[0].n_addrs++] = p->links[i].own;
	for (unsigned i = 0; i <= n; i++)
		mem[i].id = dconf_node_id(&mem[i].addrs[0]);
	uint32_t self = mem[0].id;
	/* alone until one is heard: what is replicated is known from the start */
	m->proc->looking = p->links[0].kind == DCONF_LINK_MULTICAST && p->links[0].n_peers == 0;
	struct cfg_rec *channel = block(m, &m->t->root, "channel", line);
	put_key(m, channel, line);
	give_num(m, channel, "port", p->links[0].line, p->links[0].port);
	give_num(m, cfg_rec_val(&m->t->root, "node")->recs, "id", mem[0].line, self);
	snprintf(name, sizeof(name), "conntrackd-%u", p->links[0].port);
	give_text(m, &m->t->root, "cluster", line, name);
	struct cfg_val *nodes = give(m, &m->t->root, "nodes", line);
	if (!nodes)
		return;
	qsort(mem, n + 1, sizeof(*mem), member_cmp);
	cfg_val_make(nodes, &m->t->root, n + 1, (struct cfg_pos){ m->file, line });
	for (unsigned i = 0; i <= n; i++)
		put_node(m, &nodes->recs[i], &mem[i]);
}

/* ---- what is replicated ---- */

static bool is_own_link(const struct map *m, const struct dconf_net *n)
{
	for (unsigned i = 0; i < m->proc->n_links; i++) {
		if (addr_eq(&m->proc->links[i].own, &n->addr) || addr_eq(&m->proc->links[i].dest, &n->addr))
			return true;
	}
	return false;
}

/* Sessions of the router itself are never replicated: such entries would only make the nodes' files differ. */
static bool is_needless(const struct map *m, const struct dconf_net *n)
{
	static const struct addr six = { ADDR_V6, { [15] = 1 } };
	bool one = n->plen == 8 * addr_len(n->addr.af);

	return (n->addr.af == ADDR_V4 && n->addr.b[0] == 127) || (one && addr_eq(&n->addr, &six)) ||
	       (one && is_own_link(m, n));
}

static int net_cmp(const void *a, const void *b)
{
	const struct dconf_net *x = a, *y = b;
	int d = addr_cmp(&x->addr, &y->addr);

	return d ? d : (int)x->plen - (int)y->plen;
}

static void map_ignore(struct map *m, struct cfg_rec *sync)
{
	struct dconf_net keep[DCONF_ADDRS_MAX];
	char text[ADDR_TEXT_MAX + 4], one[ADDR_TEXT_MAX];
	unsigned n = 0, line = m->d->val[DCONF_F_ADDRESS].line;

	for (unsigned i = 0; i < m->d->n_nets; i++)
		if (!is_needless(m, &m->d->nets[i]))
			keep[n++] = m->d->nets[i];
	if (!n)
		return;
	/* in an order of their own: two files that list the same are the same */
	qsort(keep, n, sizeof(*keep), net_cmp);
	unsigned distinct = 1;
	for (unsigned i = 1; i < n; i++)
		if (net_cmp(&keep[i], &keep[distinct - 1]) != 0)
			keep[distinct++] = keep[i];
	if (distinct > IGNORE_MAX) {
		say(m, CFG_ERROR, line,
		    "Address Ignore: %u entries besides the routers' own; at most %u are possible: "
		    "name networks instead of single addresses",
		    distinct, IGNORE_MAX);
		return;
	}
	struct cfg_val *list = give(m, sync, "ignore", line);
	if (!list)
		return;
	cfg_val_make(list, sync, distinct, (struct cfg_pos){ m->file, line });
	for (unsigned i = 0; i < distinct; i++) {
		snprintf(text, sizeof(text), "%s/%u", addr_text(&keep[i].addr, one), keep[i].plen);
		list->recs[i].at = (struct cfg_pos){ m->file, keep[i].line };
		give_text(m, &list->recs[i], "address", keep[i].line, text);
	}
}

static void map_filter(struct map *m, struct cfg_rec *sync)
{
	const struct dconf *d = m->d;
	unsigned line = d->val[DCONF_F_PROTOCOL].line;
	uint32_t protocols = d->accept_protocols ? d->protocols : ~d->protocols & SYNC_PROTO_ALL;

	if (line && protocols)
		give_num(m, sync, "protocols", line, protocols);
	else if (line)
		say(m, CFG_ERROR, line, "Protocol: nothing is left to be replicated; list at least one under Accept");
	line = d->val[DCONF_F_ADDRESS].line;
	if (line && d->accept_nets)
		say(m, CFG_ERROR, line,
		    "Address Accept: refused: more would be replicated than it allows, since only Address Ignore has a "
		    "counterpart; turn the list round, or remove it");
	else if (line)
		map_ignore(m, sync);
	line = d->val[DCONF_F_STATE].line;
	uint32_t states = d->accept_states ? d->states : ~d->states & 0xff;
	if (line && states)
		give_num(m, sync, "tcp_states", line, states);
	else if (line)
		say(m, CFG_ERROR, line, "State: nothing is left to be replicated; list at least one under Accept");
}

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
	return v < least ? least : v > most ? most : v;
}

static void map_sizes(struct map *m, struct cfg_rec *sync)
{
	const struct dconf_val *limit = &m->d->val[DCONF_HASH_LIMIT], *max = &m->d->val[DCONF_BUFFER_MAX];
	const struct dconf_val *size = &m->d->val[DCONF_BUFFER];
	const struct cfg_val *own = cfg_rec_val(sync, "receive_buffer");

	/* conntrackd has two tables of this size, one for each direction */
	if (limit->line)
		give_num(m, sync, "sessions_max", limit->line,
			 clamp(clamp(limit->num, 0, SESSIONS_MOST) * 2, SESSIONS_LEAST, SESSIONS_MOST));
	const struct dconf_val *big = max->line && max->num > size->num ? max : size;
	if (big->line && big->num > own->num)
		give_num(m, sync, "receive_buffer", big->line, clamp(big->num, 0, own->key->max));
}

static void map_sync(struct map *m)
{
	const struct dconf *d = m->d;
	struct cfg_rec *sync = block(m, &m->t->root, "sync", d->val[DCONF_SYNC].line);

	map_filter(m, sync);
	map_sizes(m, sync);
	if (d->val[DCONF_WINDOWS].line && d->val[DCONF_WINDOWS].yes)
		give_num(m, sync, "strict_window_after", d->val[DCONF_WINDOWS].line, STRICT_NS);
	if (d->val[DCONF_NO_EXTERNAL].line && !d->val[DCONF_NO_EXTERNAL].yes)
		say(m, CFG_WARNING, d->val[DCONF_NO_EXTERNAL].line,
		    "DisableExternalCache no: has no effect: copies are kept in the kernel's table as far as it has "
		    "room, so "
		    "that a takeover has nothing to commit");
	if (d->val[DCONF_EXPECT_SYNC].yes)
		say(m, CFG_WARNING, d->val[DCONF_EXPECT_SYNC].line,
		    "ExpectationSync: has no effect: expectations are not replicated; sessions of helpers are");
}

/* ---- the process ---- */

static void map_process(struct map *m)
{
	const struct dconf_val *v = m->d->val;
	const struct cfg_rec *node = cfg_rec_val(&m->t->root, "node")->recs;

	snprintf(m->proc->lock_file, sizeof(m->proc->lock_file), "%s",
		 v[DCONF_LOCKFILE].line ? v[DCONF_LOCKFILE].text : "/var/lock/conntrack.lock");
	snprintf(m->proc->socket, sizeof(m->proc->socket), "%s",
		 v[DCONF_PATH].line ? v[DCONF_PATH].text : "/var/run/conntrackd.ctl");
	if (v[DCONF_SYSLOG].line && !v[DCONF_SYSLOG].yes && !m->env->layer)
		give_num(m, cfg_rec_val(node, "log")->recs, "syslog", v[DCONF_SYSLOG].line, 0);
	if (v[DCONF_LOGFILE].line && v[DCONF_LOGFILE].yes)
		say(m, CFG_WARNING, v[DCONF_LOGFILE].line,
		    "LogFile: has no effect: lines go to the system log, and to standard error without -d");
}

bool dconf_map(const struct dconf *d, struct cfg_tree *t, const struct dconf_env *env, struct dconf_proc *proc,
	       struct cfg_errors *errs)
{
	struct map m = { .d = d, .t = t, .env = env, .proc = proc, .errs = errs };

	m.file = cfg_tree_file(t, d->file);
	*proc = (struct dconf_proc){ 0 };
	map_cluster(&m);
	map_sync(&m);
	map_process(&m);
	return !m.bad;
}
