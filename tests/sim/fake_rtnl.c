#include <errno.h>
#include <string.h>
#include "tests/sim/fake_rtnl.h"

void fake_rtnl_init(struct fake_rtnl *f)
{
	memset(f, 0, sizeof(*f));
	f->next_index = 2;
	f->marks = true;
	f->ev_limit = FAKE_EVENTS;
}

static struct fake_link *link_at(struct fake_rtnl *f, int index)
{
	for (unsigned i = 0; i < FAKE_LINKS; i++)
		if (f->link[i].used && f->link[i].index == index)
			return &f->link[i];
	return NULL;
}

static const struct fake_link *link_const(const struct fake_rtnl *f, int index)
{
	for (unsigned i = 0; i < FAKE_LINKS; i++)
		if (f->link[i].used && f->link[i].index == index)
			return &f->link[i];
	return NULL;
}

int fake_rtnl_index(const struct fake_rtnl *f, const char *name)
{
	for (unsigned i = 0; i < FAKE_LINKS; i++)
		if (f->link[i].used && strcmp(f->link[i].name, name) == 0)
			return f->link[i].index;
	return 0;
}

/* ---- events ---- */

struct rtnl_event *fake_rtnl_tell(struct fake_rtnl *f, enum rtnl_event_kind kind)
{
	if (f->ev_n >= f->ev_limit) {
		f->lost = true;
		return NULL;
	}
	struct rtnl_event *e = &f->event[(f->ev_head + f->ev_n++) % FAKE_EVENTS];
	*e = (struct rtnl_event){ .kind = kind };
	return e;
}

static struct net_link link_value(const struct fake_rtnl *f, const struct fake_link *l)
{
	const struct fake_link *peer = link_const(f, l->peer);
	struct net_link v = { .index = l->index, .up = l->up, .mac_len = 6, .type = 1, .mtu = 1500 };
	v.carrier = l->up && l->cable && (!peer || peer->up);
	v.mac[0] = 2;
	v.mac[5] = (uint8_t)l->index;
	memcpy(v.name, l->name, IFNAMSIZ);
	return v;
}

static void tell_link(struct fake_rtnl *f, const struct fake_link *l, bool gone)
{
	struct rtnl_event *e = fake_rtnl_tell(f, gone ? RTNL_LINK_GONE : RTNL_LINK_SET);
	if (e)
		e->link = link_value(f, l);
}

static void tell_addr(struct fake_rtnl *f, const struct net_addr *a, bool gone)
{
	struct rtnl_event *e = fake_rtnl_tell(f, gone ? RTNL_ADDR_GONE : RTNL_ADDR_SET);
	if (e)
		e->addr = *a;
}

bool fake_rtnl_event(struct fake_rtnl *f, struct rtnl_event *out)
{
	if (f->ev_n == 0) {
		*out = (struct rtnl_event){ .kind = RTNL_OVERRUN };
		bool lost = f->lost;
		f->lost = false;
		return lost;
	}
	*out = f->event[f->ev_head];
	f->ev_head = (f->ev_head + 1) % FAKE_EVENTS;
	f->ev_n--;
	return true;
}

void fake_rtnl_dump(const struct fake_rtnl *f, struct netstate *ns)
{
	netstate_dump_begin(ns);
	for (unsigned i = 0; i < FAKE_LINKS; i++) {
		if (!f->link[i].used)
			continue;
		struct net_link l = link_value(f, &f->link[i]);
		netstate_link_set(ns, &l);
	}
	for (unsigned i = 0; i < f->n_addrs; i++)
		netstate_addr_set(ns, &f->addr[i]);
	netstate_dump_end(ns);
}

void fake_rtnl_feed(struct fake_rtnl *f, struct netstate *ns)
{
	struct rtnl_event e;
	while (fake_rtnl_event(f, &e)) {
		switch (e.kind) {
		case RTNL_LINK_SET:
			netstate_link_set(ns, &e.link);
			break;
		case RTNL_LINK_GONE:
			netstate_link_gone(ns, e.link.index);
			break;
		case RTNL_ADDR_SET:
			netstate_addr_set(ns, &e.addr);
			break;
		case RTNL_ADDR_GONE:
			netstate_addr_gone(ns, &e.addr);
			break;
		case RTNL_OVERRUN:
			fake_rtnl_dump(f, ns);
			break;
		case RTNL_DONE:
		case RTNL_RESULT:
		case RTNL_ROUTE_SET:
		case RTNL_ROUTE_GONE:
			netstate_route_seen(ns, &e.route, e.kind == RTNL_ROUTE_GONE, false);
			break;
		case RTNL_RULE_SET:
		case RTNL_RULE_GONE:
			netstate_rule_seen(ns, &e.rule, e.kind == RTNL_RULE_GONE, false);
			break;
		case RTNL_OTHER:
			break;
		}
	}
}

/* ---- addresses ---- */

static bool same_subnet(const struct net_addr *a, const struct net_addr *b)
{
	return a->ifindex == b->ifindex && a->plen == b->plen && addr_in_prefix(&a->addr, &b->addr, b->plen);
}

static int addr_find(const struct fake_rtnl *f, const struct net_addr *a, bool any_plen)
{
	for (unsigned i = 0; i < f->n_addrs; i++) {
		const struct net_addr *b = &f->addr[i];
		if (b->ifindex == a->ifindex && addr_eq(&b->addr, &a->addr) && (any_plen || b->plen == a->plen))
			return (int)i;
	}
	return -1;
}

bool fake_rtnl_has(const struct fake_rtnl *f, int index, const struct addr *a)
{
	struct net_addr n = { .ifindex = index, .addr = *a };
	return addr_find(f, &n, true) >= 0;
}

void fake_rtnl_refuse(struct fake_rtnl *f, const struct addr *a, int err, unsigned n)
{
	f->refuse = *a;
	f->refuse_err = err;
	f->refuse_n = n;
}

static int refused(struct fake_rtnl *f, const struct net_addr *a)
{
	if (!f->refuse_n || !addr_eq(&f->refuse, &a->addr))
		return 0;
	f->refuse_n--;
	return -f->refuse_err;
}

static void insert(struct fake_rtnl *f, const struct net_addr *a)
{
	unsigned at = f->n_addrs;
	bool primary = a->addr.af == ADDR_V4 && !(a->flags & NET_A_SECONDARY);
	for (unsigned i = 0; primary && i < f->n_addrs; i++)
		if (f->addr[i].ifindex == a->ifindex && (f->addr[i].flags & NET_A_SECONDARY)) {
			at = i;
			break;
		}
	memmove(&f->addr[at + 1], &f->addr[at], (f->n_addrs - at) * sizeof(*f->addr));
	f->addr[at] = *a;
	f->n_addrs++;
}

int fake_rtnl_addr_add(struct fake_rtnl *f, const struct net_addr *a)
{
	struct net_addr n = *a;
	int rc = refused(f, a);
	if (rc)
		return rc;
	if (!link_at(f, a->ifindex))
		return -ENODEV;
	if (addr_find(f, a, a->addr.af == ADDR_V6) >= 0)
		return -EEXIST;
	if (f->n_addrs == FAKE_ADDRS)
		return -ENOBUFS;
	n.flags = a->addr.af == ADDR_V6 ? a->flags & NET_A_NODAD : 0;
	n.proto = f->marks ? a->proto : 0;
	for (unsigned i = 0; a->addr.af == ADDR_V4 && i < f->n_addrs; i++)
		if (!(f->addr[i].flags & NET_A_SECONDARY) && same_subnet(&n, &f->addr[i]))
			n.flags |= NET_A_SECONDARY;
	insert(f, &n);
	tell_addr(f, &n, false);
	return 0;
}

int fake_rtnl_addr_replace(struct fake_rtnl *f, const struct net_addr *a)
{
	int at = addr_find(f, a, a->addr.af == ADDR_V6);
	if (at < 0)
		return fake_rtnl_addr_add(f, a);
	f->addr[at].proto = f->marks ? a->proto : 0;
	tell_addr(f, &f->addr[at], false);
	return 0;
}

static void remove_at(struct fake_rtnl *f, unsigned at)
{
	memmove(&f->addr[at], &f->addr[at + 1], (f->n_addrs - at - 1) * sizeof(*f->addr));
	f->n_addrs--;
}

/* Secondaries of a primary that goes: they go as well, before it, or the first one takes its place after it. */
static void secondaries_of(struct fake_rtnl *f, const struct net_addr *gone)
{
	for (unsigned i = 0; i < f->n_addrs;) {
		struct net_addr s = f->addr[i];
		if (s.addr.af != ADDR_V4 || !(s.flags & NET_A_SECONDARY) || !same_subnet(&s, gone)) {
			i++;
			continue;
		}
		remove_at(f, i);
		if (f->promote_secondaries) {
			s.flags &= ~(uint32_t)NET_A_SECONDARY;
			insert(f, &s);
			tell_addr(f, &s, false);
			return;
		}
		tell_addr(f, &s, true);
	}
}

int fake_rtnl_addr_del(struct fake_rtnl *f, const struct net_addr *a)
{
	int rc = refused(f, a);
	if (rc)
		return rc;
	if (!link_at(f, a->ifindex))
		return -ENODEV;
	int at = addr_find(f, a, false);
	if (at < 0)
		return -EADDRNOTAVAIL;
	struct net_addr gone = f->addr[at];
	remove_at(f, (unsigned)at);
	fake_rtnl_routes_die(f, a->ifindex, a->addr.af, &gone.addr);
	bool primary = gone.addr.af == ADDR_V4 && !(gone.flags & NET_A_SECONDARY);
	if (primary && !f->promote_secondaries)
		secondaries_of(f, &gone);
	tell_addr(f, &gone, true);
	if (primary && f->promote_secondaries)
		secondaries_of(f, &gone);
	return 0;
}

int fake_rtnl_apply(struct fake_rtnl *f, const struct netstate *ns, const struct net_op *op)
{
	struct rtnl_route r;
	struct rtnl_rule l = { .proto = NET_MARK };
	bool add = op->kind == NET_OP_ADD;
	if (netstate_op_route(ns, op, &r))
		return add ? fake_rtnl_route_add(f, &r) : fake_rtnl_route_del(f, &r);
	if (netstate_op_rule(ns, op, &l.r))
		return add ? fake_rtnl_rule_add(f, &l) : fake_rtnl_rule_del(f, &l);
	return fake_rtnl_op(f, op);
}

int fake_rtnl_op(struct fake_rtnl *f, const struct net_op *op)
{
	struct net_addr a = { .ifindex = op->ifindex, .addr = op->addr, .plen = op->plen };
	if (op->kind == NET_OP_DEL)
		return fake_rtnl_addr_del(f, &a);
	a.proto = NET_MARK;
	a.flags = op->opt.flags;
	a.opt = op->opt;
	return fake_rtnl_addr_add(f, &a);
}

/* Takes all addresses of one family (0: of both) off a link. */
static void strip(struct fake_rtnl *f, int index, uint8_t af)
{
	for (unsigned i = f->n_addrs; i-- > 0;) {
		struct net_addr a = f->addr[i];
		if (a.ifindex != index || (af && a.addr.af != af))
			continue;
		remove_at(f, i);
		tell_addr(f, &a, true);
	}
}

/* ---- links ---- */

int fake_rtnl_link_add(struct fake_rtnl *f, const char *name, int peer)
{
	if (fake_rtnl_index(f, name))
		return -EEXIST;
	for (unsigned i = 0; i < FAKE_LINKS; i++) {
		struct fake_link *l = &f->link[i];
		if (l->used)
			continue;
		*l = (struct fake_link){ .used = true, .cable = true, .index = f->next_index++, .peer = peer };
		strncpy(l->name, name, IFNAMSIZ - 1);
		struct fake_link *p = link_at(f, peer);
		if (p)
			p->peer = l->index;
		tell_link(f, l, false);
		return l->index;
	}
	return -ENOBUFS;
}

static void link_end(struct fake_rtnl *f, struct fake_link *l)
{
	strip(f, l->index, 0);
	fake_rtnl_routes_die(f, l->index, 0, NULL);
	l->up = false;
	tell_link(f, l, true);
	l->used = false;
}

int fake_rtnl_link_del(struct fake_rtnl *f, int index)
{
	struct fake_link *l = link_at(f, index);
	if (!l)
		return -ENODEV;
	struct fake_link *peer = link_at(f, l->peer);
	link_end(f, l);
	if (peer)
		link_end(f, peer);
	return 0;
}

int fake_rtnl_link_up(struct fake_rtnl *f, int index, bool up)
{
	struct fake_link *l = link_at(f, index);
	if (!l)
		return -ENODEV;
	if (l->up == up)
		return 0;
	l->up = up;
	if (!up) {
		strip(f, index, ADDR_V6); /* keep_addr_on_down = 0 */
		fake_rtnl_routes_die(f, index, 0, NULL);
	}
	tell_link(f, l, false);
	struct fake_link *peer = link_at(f, l->peer);
	if (peer)
		tell_link(f, peer, false);
	return 0;
}

int fake_rtnl_link_rename(struct fake_rtnl *f, int index, const char *name)
{
	struct fake_link *l = link_at(f, index);
	if (!l)
		return -ENODEV;
	if (fake_rtnl_index(f, name))
		return -EEXIST;
	memset(l->name, 0, sizeof(l->name));
	strncpy(l->name, name, IFNAMSIZ - 1);
	tell_link(f, l, false);
	return 0;
}

int fake_rtnl_cable(struct fake_rtnl *f, int index, bool in)
{
	struct fake_link *l = link_at(f, index);
	if (!l)
		return -ENODEV;
	l->cable = in;
	tell_link(f, l, false);
	return 0;
}
