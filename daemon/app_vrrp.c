/*
 * Adverts: sockets, received packets to the virtual router they are for, what the routers send.
 */
#include "daemon/app.h"

#include <errno.h>
#include <string.h>
#include "daemon/app_layer.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/dropin/kalive.h"

#define PAUSE_MAX_NS (2 * NS_PER_MS)
#define PAUSE_MIN_NS (500 * NS_PER_US)

#define VRID_TELL_NS \
	(60 * NS_PER_SEC) /* somebody else's virtual router on the same segment is no news twice a minute */

/* ---- receive ---- */

/* A packet that no virtual router of ours answers for: the interface counts it. */
static void refuse_stray(struct app *a, const struct vrrp_io_packet *p)
{
	struct vrrp_port *port = p->port;
	struct vrrp_msg msg;
	enum vrrp_drop drop = p->drop ? p->drop : vrrp_wire_parse(&p->rx, NULL, NULL, &msg);
	char text[ADDR_TEXT_MAX];
	unsigned held;
	mono_t now = clock_mono();
	port->drop[drop]++;
	if (drop == VRRP_DROP_VRID) {
		a->unknown_vrid++;
		if (port->vrid_told.ns && mono_sub(now, port->vrid_told) < VRID_TELL_NS)
			return;
		port->vrid_told = now;
		log_notice(LOG_VRRP, "%s: packet from %s for VRID %u refused: %s", port->ifname,
			   addr_text(&p->rx.src, text), vrrp_wire_vrid(&p->rx), vrrp_drop_text(drop));
	} else if (log_rate_ok(&port->drop_rate, 1, &held)) {
		log_warn(LOG_VRRP, "%s: packet from %s refused: %s (%u more not told)", port->ifname,
			 addr_text(&p->rx.src, text), vrrp_drop_text(drop), held);
	}
}

static void refuse(struct app *a, uint16_t inst, const struct vrrp_rx *rx, enum vrrp_drop drop)
{
	struct vrrp *v = &a->node.inst[inst];
	char text[ADDR_TEXT_MAX];
	unsigned held;
	v->stats.drop[drop]++;
	if (log_rate_ok(&a->inst[inst].drop_rate, 1, &held)) {
		log_warn(LOG_VRRP, "%s: packet from %s refused: %s (%u more not told)", v->conf->name,
			 addr_text(&rx->src, text), vrrp_drop_text(drop), held);
		kalive_tell_drop(a, inst, &rx->src, drop);
	}
	struct node_ev ev = { .type = NODE_EV_DROPPED, .inst = inst };
	app_feed(a, &ev);
}

static void on_packet(void *arg, const struct vrrp_io_packet *p)
{
	struct app *a = arg;
	if (p->inst >= a->node.n_inst) {
		refuse_stray(a, p);
		return;
	}
	struct vrrp *v = &a->node.inst[p->inst];
	struct vrrp_msg msg;
	enum vrrp_drop drop = vrrp_wire_parse(&p->rx, v->conf, &v->src, &msg);
	if (drop != VRRP_OK) {
		refuse(a, p->inst, &p->rx, drop);
		return;
	}
	v->stats.sum[msg.sum]++;
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert.priority = msg.priority;
	adv.u.advert.adv_ns = msg.adv_ns;
	adv.u.advert.src = msg.src;
	adv.u.advert.v2 = msg.version == 2;
	adv.u.advert.vip_list_differs = msg.odd & VRRP_ODD_VIPS;
	struct node_ev ev = { .type = NODE_EV_ADVERT, .inst = p->inst, .advert = &adv };
	app_feed(a, &ev);
}

void app_vrrp_drain(struct app *a)
{
	vrrp_io_drain(a->vrrp, 0, 4096);
}

/* ---- send ---- */

/*
 * A virtual router with a MAC address of its own speaks from it, so that switches learn where it lives, by the packet
 * socket on the base: what a macvlan sends would need the macvlan up and an address on it. Unicast needs no switch to
 * learn anything.
 */
bool app_vrrp_vmac(const struct vrrp_conf *c)
{
	return c->vmac == VRRP_VMAC_MACVLAN && !c->vmac_base_source && c->n_peers == 0;
}

static int send_one(struct app *a, uint16_t inst, uint8_t version, uint8_t priority, const struct addr *dst)
{
	const struct vrrp *v = &a->node.inst[inst];
	struct vrrp_port *port = a->inst[inst].port;
	uint8_t buf[VRRP_MSG_MAX];
	int len = vrrp_wire_build(v->conf, version, priority, &v->src, dst, buf, sizeof(buf));
	if (len < 0)
		return len;
	if (app_vrrp_vmac(v->conf))
		return vrrp_io_send_as(port, v->conf->vmac_mac, &v->src, dst, buf, (size_t)len);
	return vrrp_io_send(port, &v->src, dst, v->conf->n_peers ? v->conf->unicast_ttl : VRRP_TTL, buf, (size_t)len);
}

void app_vrrp_advert(struct app *a, uint16_t inst, uint8_t priority)
{
	struct app_inst *ai = &a->inst[inst];
	const struct vrrp *v = &a->node.inst[inst];
	struct addr dst, bad = { 0 };
	uint8_t version;
	int rc = 0;
	if (!ai->port)
		return;
	for (unsigned d = 0; vrrp_wire_next_dest(v->conf, &v->src, &d, &dst);)
		for (unsigned f = 0; vrrp_wire_next_form(v->conf, &f, &version);) {
			int err = send_one(a, inst, version, priority, &dst);
			if (err < 0) { /* the other destinations are served all the same */
				rc = err;
				bad = dst;
			}
		}
	if (priority)
		app_layer_spoke(a, inst);
	unsigned held;
	char text[ADDR_TEXT_MAX];
	if (rc < 0 && log_rate_ok(&ai->send_rate, 1, &held))
		log_warn(LOG_VRRP, "%s: an advertisement to %s could not be sent on %s: %s (%u more not told)",
			 v->conf->name, addr_text(&bad, text), v->conf->interface, strerror(-rc), held);
}

/* ---- the guardian's farewell ---- */

/* Prepared messages of one instance: one for each destination and version. */
static uint32_t farewells(const struct vrrp_conf *c)
{
	return (c->n_peers ? c->n_peers : 1u) * (c->version == VRRP_V2_AND_3 ? 2u : 1u);
}

/* Who has which of the guardian's places; all are empty until the instances say anew what is to be sent. */
static void share_places(struct app *a)
{
	uint32_t place = 0;
	for (uint32_t slot = 0; a->guardian && slot < a->farewells; slot++)
		guardian_advert_set(a->guardian, slot, NULL);
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		a->inst[i].farewell = place;
		place += farewells(a->node.inst[i].conf);
	}
	a->farewells = place < GUARDIAN_ADVERTS ? place : GUARDIAN_ADVERTS;
	if (place > GUARDIAN_ADVERTS)
		log_warn(LOG_VRRP,
			 "there is room for %u farewells of a process that dies, and %u are needed: the last virtual "
			 "routers are missed only after their master-down time then",
			 GUARDIAN_ADVERTS, place);
}

void app_vrrp_guardian(struct app *a, uint16_t inst)
{
	const struct vrrp *v = &a->node.inst[inst];
	uint32_t place = a->inst[inst].farewell, end = place + farewells(v->conf);
	struct guardian_advert ga = { .ifindex = a->inst[inst].ifindex, .src = v->src };
	uint8_t version;
	if (!a->guardian)
		return;
	ga.ttl = v->conf->n_peers ? v->conf->unicast_ttl : VRRP_TTL;
	bool speaks = v->state == VRRP_MASTER && a->inst[inst].port;
	for (unsigned d = 0; speaks && vrrp_wire_next_dest(v->conf, &v->src, &d, &ga.dst);)
		for (unsigned f = 0; vrrp_wire_next_form(v->conf, &f, &version) && place < end;) {
			int len = vrrp_wire_build(v->conf, version, 0, &v->src, &ga.dst, ga.bytes, sizeof(ga.bytes));
			ga.len = (uint16_t)len;
			if (len > 0)
				guardian_advert_set(a->guardian, place++, &ga);
		}
	for (; place < end; place++)
		guardian_advert_set(a->guardian, place, NULL);
}

/* ---- links and sockets ---- */

const char *app_vrrp_deaf_text(enum app_deaf d)
{
	switch (d) {
	case APP_HEARS:
		return "";
	case APP_DEAF_ABSENT:
		return "the interface is absent";
	case APP_DEAF_DOWN:
		return "the link is down";
	case APP_DEAF_NO_ADDRESS:
		return "the interface has no usable address of this family to send from";
	case APP_DEAF_NO_SOURCE:
		return "the configured source address is not on the interface";
	case APP_DEAF_SOCKET:
		return "the socket cannot be opened";
	case APP_DEAF_GROUP:
		return "the multicast group cannot be joined";
	}
	return "";
}

void app_vrrp_close(struct app *a, uint16_t inst)
{
	struct app_inst *ai = &a->inst[inst];
	if (!ai->port)
		return;
	vrrp_io_assign(ai->port, a->node.inst[inst].conf->vrid, VRRP_IO_NOBODY);
	if (ai->joined.af)
		vrrp_io_leave(ai->port, &ai->joined);
	vrrp_io_close(ai->port);
	ai->port = NULL;
	ai->joined = (struct addr){ 0 };
}

/* With unicast peers there is no group. A reload may have changed it. */
static int join_group(struct app *a, uint16_t inst)
{
	struct app_inst *ai = &a->inst[inst];
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	struct addr group = { 0 };
	if (c->n_peers == 0)
		group = vrrp_wire_conf_group(c);
	if (addr_eq(&group, &ai->joined))
		return 0;
	if (ai->joined.af)
		vrrp_io_leave(ai->port, &ai->joined);
	ai->joined = (struct addr){ 0 };
	int rc = group.af ? vrrp_io_join(ai->port, &group) : 0;
	if (rc == 0)
		ai->joined = group;
	return rc;
}

static enum app_deaf open_port(struct app *a, uint16_t inst, int *err)
{
	struct app_inst *ai = &a->inst[inst];
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	*err = ai->port ? 0 : vrrp_io_open(a->vrrp, (unsigned)ai->ifindex, c->interface, c->af, &ai->port);
	if (*err)
		return APP_DEAF_SOCKET;
	*err = join_group(a, inst);
	if (*err) {
		app_vrrp_close(a, inst);
		return APP_DEAF_GROUP;
	}
	vrrp_io_assign(ai->port, c->vrid, inst);
	return APP_HEARS;
}

/*
 * The address adverts come from: the configured one; or one of the subnet that the unicast peers are in, because they
 * know this router by it; or the interface's first (RFC 9568 5.1.1.1, 5.1.2.1).
 */
static enum app_deaf choose_source(struct app *a, const struct vrrp_conf *c, int ifindex, struct addr *src)
{
	const struct netstate *ns = netapply_state(a->net);
	if (c->source.af) {
		*src = c->source;
		return netstate_may_send(ns, ifindex, src) ? APP_HEARS : APP_DEAF_NO_SOURCE;
	}
	for (uint16_t p = 0; p < c->n_peers; p++) /* the list may name all routers */
		if (netstate_may_send(ns, ifindex, &c->peers[p].addr)) {
			*src = c->peers[p].addr;
			return APP_HEARS;
		}
	for (uint16_t p = 0; p < c->n_peers; p++)
		if (netstate_source_near(ns, ifindex, &c->peers[p].addr, src))
			return APP_HEARS;
	return netstate_source(ns, ifindex, c->af, src) ? APP_HEARS : APP_DEAF_NO_ADDRESS;
}

static enum app_deaf listen_on(struct app *a, uint16_t inst, const struct net_link *l, struct addr *src, int *err)
{
	*err = 0;
	if (l->gone)
		return APP_DEAF_ABSENT;
	enum app_deaf d = choose_source(a, a->node.inst[inst].conf, l->index, src);
	if (d != APP_HEARS)
		*src = (struct addr){ 0 };
	if (!a->node.inst[inst].conf->any_link && (!l->up || !l->carrier))
		return APP_DEAF_DOWN;
	return d == APP_HEARS ? open_port(a, inst, err) : d;
}

static void tell_deaf(struct app *a, uint16_t inst, enum app_deaf d, int err)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	char text[ADDR_TEXT_MAX];
	switch (d) {
	case APP_HEARS:
	case APP_DEAF_ABSENT:
	case APP_DEAF_DOWN: /* the change of state says it */
		return;
	case APP_DEAF_NO_ADDRESS:
		log_warn(LOG_VRRP, "%s: %s has no usable %s address to send from; waiting for one", c->name,
			 c->interface, c->af == ADDR_V6 ? "link-local IPv6" : "IPv4");
		return;
	case APP_DEAF_NO_SOURCE:
		log_warn(LOG_VRRP, "%s: the source address %s is not on %s; waiting for it", c->name,
			 addr_text(&c->source, text), c->interface);
		return;
	case APP_DEAF_SOCKET:
		log_warn(LOG_VRRP, "%s: cannot listen on %s: %s; tried again when the interface changes", c->name,
			 c->interface, strerror(-err));
		return;
	case APP_DEAF_GROUP:
		log_warn(LOG_VRRP, "%s: cannot join %s on %s: %s%s; tried again when the interface changes", c->name,
			 addr_text(&c->multicast_group, text), c->interface, strerror(-err),
			 err == -ENOBUFS ? " (net.ipv4.igmp_max_memberships limits the groups of an interface)" : "");
		return;
	}
}

static void inst_link(struct app *a, uint16_t inst, const struct net_link *l)
{
	struct app_inst *ai = &a->inst[inst];
	int index = l->gone ? 0 : l->index, err;
	struct addr src = { 0 };
	if (ai->ifindex != index)
		app_vrrp_close(a, inst);
	ai->ifindex = index;
	memcpy(ai->mac, l->mac, sizeof(ai->mac));
	enum app_deaf d = listen_on(a, inst, l, &src, &err);
	if (d != ai->deaf)
		tell_deaf(a, inst, d, err);
	ai->deaf = d;
	ai->src = src;
	struct node_ev ev = { .type = NODE_EV_LINK, .inst = inst, .up = d == APP_HEARS, .src = src };
	app_feed(a, &ev);
	app_vrrp_guardian(a, inst);
}

static int by_interface(const void *x, const void *y)
{
	const struct vrrp_conf *const *a = x, *const *b = y;
	int d = strcmp((*a)->interface, (*b)->interface);
	return d ? d : *a < *b ? -1 : *a > *b;
}

/* The first instance is the first one on its interface, so the list of these begins with it. */
int app_vrrp_links(struct app *a, const struct cfg *c)
{
	const struct vrrp_conf **order = calloc(c->n_instances + 1u, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (uint16_t i = 0; i < c->n_instances; i++) {
		order[i] = &c->instances[i];
		a->inst[i].same_link = a->inst[i].next_link = APP_NO_INST;
	}
	qsort(order, c->n_instances, sizeof(*order), by_interface);
	for (uint16_t k = 0; k < c->n_instances; k++) {
		uint16_t i = (uint16_t)(order[k] - c->instances);
		if (k && strcmp(order[k - 1]->interface, order[k]->interface) == 0) {
			a->inst[order[k - 1] - c->instances].same_link = i;
		} else if (i) {
			a->inst[i].next_link = a->inst[0].next_link;
			a->inst[0].next_link = i;
		}
	}
	free(order);
	return 0;
}

void app_vrrp_link(struct app *a, const struct net_link *l)
{
	struct net_link away = *l;
	away.gone = true;
	for (uint16_t first = 0; first < a->node.n_inst; first = a->inst[first].next_link) {
		bool named = strcmp(a->node.inst[first].conf->interface, l->name) == 0;
		if (!named && (a->inst[first].ifindex != l->index || !l->index))
			continue;
		for (uint16_t i = first; i != APP_NO_INST; i = a->inst[i].same_link)
			inst_link(a, i, named ? l : &away); /* else it was renamed away */
	}
}

/* A hundredth of the shortest interval, and never long; not worth it when that is short. */
static int64_t pause_ns(const struct app *a)
{
	int64_t ns = PAUSE_MAX_NS;
	for (uint16_t i = 0; i < a->node.n_inst; i++)
		if (a->node.inst[i].conf->adv_ns / 100 < ns)
			ns = a->node.inst[i].conf->adv_ns / 100;
	return ns < PAUSE_MIN_NS ? 0 : ns;
}

void app_vrrp_relink(struct app *a)
{
	struct netstate *ns = netapply_state(a->net);
	share_places(a);
	vrrp_io_pause(a->vrrp, pause_ns(a));
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		const struct net_link *l = netstate_link_by_name(ns, a->node.inst[i].conf->interface);
		if (l) {
			inst_link(a, i, l);
			continue;
		}
		a->inst[i].deaf = APP_DEAF_ABSENT;
		log_warn(LOG_NET, "%s: interface %s is absent; it is watched for", a->node.inst[i].conf->name,
			 a->node.inst[i].conf->interface);
	}
}

int app_vrrp_start(struct app *a)
{
	a->vrrp = vrrp_io_new(a->loop, on_packet, a);
	return a->vrrp ? 0 : -errno;
}
