/*
 * What a reload has to touch: a pure comparison of two models. Line numbers count for nothing; instances, groups and
 * tunnels are compared by name.
 */
#include <string.h>
#include "daemon/cfg.h"

struct diff {
	struct cfg_change *out;
	unsigned cap, n;
};

static void add(struct diff *d, struct cfg_change change)
{
	if (d->n < d->cap)
		d->out[d->n] = change;
	d->n++;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool vip_equal(const struct vrrp_vip *a, const struct vrrp_vip *b)
{
	return addr_eq(&a->addr, &b->addr) && a->plen == b->plen && same(a->interface, b->interface) &&
	       same(a->label, b->label) && addr_eq(&a->peer, &b->peer) && addr_eq(&a->broadcast, &b->broadcast) &&
	       a->broadcast_auto == b->broadcast_auto && a->scope == b->scope && a->flags == b->flags &&
	       a->preferred_lft == b->preferred_lft && a->no_track == b->no_track;
}

static bool vips_equal(const struct vrrp_conf *a, const struct vrrp_conf *b)
{
	if (a->n_vips != b->n_vips || a->n_advertised != b->n_advertised)
		return false;
	for (unsigned i = 0; i < a->n_vips; i++) {
		if (!vip_equal(&a->vips[i], &b->vips[i]))
			return false;
	}
	return true;
}

/* Most stands where it stood before: the search begins at that place. */
static int find_instance(const struct cfg *c, const char *name, unsigned near)
{
	for (unsigned k = 0; k < c->n_instances; k++) {
		unsigned i = (near + k) % c->n_instances;
		if (same(c->instances[i].name, name))
			return (int)i;
	}
	return -1;
}

static bool protocol_equal(const struct vrrp_conf *a, const struct vrrp_conf *b)
{
	if (a->version != b->version || a->auth != b->auth || memcmp(a->auth_pass, b->auth_pass, 8) != 0 ||
	    a->adv_ns != b->adv_ns || a->down_adverts != b->down_adverts || a->preempt != b->preempt ||
	    a->preempt_delay_ns != b->preempt_delay_ns || a->checksum_rfc9568 != b->checksum_rfc9568 ||
	    a->lower_advert != b->lower_advert || a->higher_advert != b->higher_advert ||
	    !addr_eq(&a->source, &b->source) || a->unicast_ttl != b->unicast_ttl ||
	    a->unicast_any_source != b->unicast_any_source || a->n_peers != b->n_peers)
		return false;
	for (unsigned i = 0; i < a->n_peers; i++) {
		if (!addr_eq(&a->peers[i].addr, &b->peers[i].addr) || a->peers[i].ttl_min != b->peers[i].ttl_min ||
		    a->peers[i].ttl_max != b->peers[i].ttl_max)
			return false;
	}
	return true;
}

static bool announce_equal(const struct vrrp_conf *a, const struct vrrp_conf *b)
{
	return a->garp_repeat == b->garp_repeat && a->garp_delay_ns == b->garp_delay_ns &&
	       a->garp_refresh_ns == b->garp_refresh_ns && a->garp_refresh_repeat == b->garp_refresh_repeat &&
	       a->garp_lower_repeat == b->garp_lower_repeat && a->garp_lower_delay_ns == b->garp_lower_delay_ns &&
	       a->garp_interval_ns == b->garp_interval_ns && a->na_interval_ns == b->na_interval_ns &&
	       a->garp_extra_ns == b->garp_extra_ns;
}

static void diff_instance(struct diff *d, const struct vrrp_conf *a, const struct vrrp_conf *b,
			  struct cfg_change change)
{
	/* Another way to send and hear is another virtual router: sockets and links are made anew. */
	if (!same(a->interface, b->interface) || a->vrid != b->vrid || a->af != b->af || a->vmac != b->vmac ||
	    !same(a->vmac_name, b->vmac_name) || memcmp(a->vmac_mac, b->vmac_mac, sizeof(a->vmac_mac)) != 0 ||
	    !addr_eq(&a->multicast_group, &b->multicast_group)) {
		change.kind = CFG_INSTANCE_REPLACED;
		add(d, change);
	} else if (!protocol_equal(a, b) || !announce_equal(a, b) || a->priority != b->priority ||
		   a->vmac_base_source != b->vmac_base_source || a->no_accept != b->no_accept ||
		   a->any_link != b->any_link || a->address_lost != b->address_lost || a->lists_once != b->lists_once ||
		   a->strict != b->strict || !vips_equal(a, b)) {
		change.kind = CFG_INSTANCE_CHANGED;
		add(d, change);
	}
}

static void diff_instances(struct diff *d, const struct cfg *old, const struct cfg *now)
{
	unsigned near = 0;
	for (unsigned i = 0; i < old->n_instances; i++) {
		int j = find_instance(now, old->instances[i].name, near);
		struct cfg_change change = { .kind = CFG_INSTANCE_REMOVED, .old_index = (uint16_t)i };
		if (j < 0) {
			add(d, change);
			continue;
		}
		near = (unsigned)j + 1;
		change.new_index = (uint16_t)j;
		diff_instance(d, &old->instances[i], &now->instances[j], change);
	}
	near = 0;
	for (unsigned j = 0; j < now->n_instances; j++) {
		int i = find_instance(old, now->instances[j].name, near);
		if (i < 0)
			add(d, (struct cfg_change){ .kind = CFG_INSTANCE_ADDED, .new_index = (uint16_t)j });
		else
			near = (unsigned)i + 1;
	}
}

static bool group_equal(const struct cfg *old, const struct cfg_group *a, const struct cfg *now,
			const struct cfg_group *b)
{
	if (!same(a->name, b->name) || a->fault != b->fault || a->preempt != b->preempt ||
	    a->arbitrate != b->arbitrate || a->n_members != b->n_members)
		return false;
	for (unsigned i = 0; i < a->n_members; i++) {
		if (!same(old->instances[a->members[i]].name, now->instances[b->members[i]].name))
			return false;
	}
	return true;
}

/* Groups are known to the peer by their index, so that order counts. */
static bool groups_equal(const struct cfg *old, const struct cfg *now)
{
	if (old->n_groups != now->n_groups)
		return false;
	for (unsigned i = 0; i < old->n_groups; i++) {
		if (!group_equal(old, &old->groups[i], now, &now->groups[i]))
			return false;
	}
	return true;
}

static bool routes_equal(const struct cfg *old, const struct cfg *now)
{
	char a[ROUTE_TEXT_MAX], b[ROUTE_TEXT_MAX];
	if (old->n_routes != now->n_routes)
		return false;
	for (unsigned i = 0; i < old->n_routes; i++) {
		const struct cfg_route *x = &old->routes[i], *y = &now->routes[i];
		if (x->inst != y->inst || x->track != y->track ||
		    !same(route_text_print(&x->route, a), route_text_print(&y->route, b)))
			return false;
	}
	return true;
}

static bool rules_equal(const struct cfg *old, const struct cfg *now)
{
	char a[ROUTE_TEXT_MAX], b[ROUTE_TEXT_MAX];
	if (old->n_rules != now->n_rules)
		return false;
	for (unsigned i = 0; i < old->n_rules; i++) {
		const struct cfg_rule *x = &old->rules[i], *y = &now->rules[i];
		if (x->inst != y->inst || x->track != y->track ||
		    !same(route_text_print_rule(&x->rule, a), route_text_print_rule(&y->rule, b)))
			return false;
	}
	return true;
}

static bool static_equal(const struct cfg *old, const struct cfg *now)
{
	if (old->n_static_addrs != now->n_static_addrs || old->promote_secondaries != now->promote_secondaries)
		return false;
	for (unsigned i = 0; i < old->n_static_addrs; i++)
		if (!vip_equal(&old->static_addrs[i], &now->static_addrs[i]))
			return false;
	return true;
}

static bool node_equal(const struct sync_node_conf *a, const struct sync_node_conf *b)
{
	if (a->id != b->id || !same(a->name, b->name) || a->n_addrs != b->n_addrs)
		return false;
	for (unsigned i = 0; i < a->n_addrs; i++) {
		if (!addr_eq(&a->addrs[i], &b->addrs[i]))
			return false;
	}
	return true;
}

static bool channel_equal(const struct sync_conf *a, const struct sync_conf *b)
{
	if (a->enabled != b->enabled || !same(a->cluster, b->cluster) || a->n_nodes != b->n_nodes ||
	    a->port != b->port || !same(a->key_file, b->key_file) || a->insecure != b->insecure)
		return false;
	for (unsigned i = 0; i < a->n_nodes; i++) {
		if (!node_equal(&a->nodes[i], &b->nodes[i]))
			return false;
	}
	return true;
}

static bool ignore_equal(const struct sync_conf *a, const struct sync_conf *b)
{
	if (a->n_ignore != b->n_ignore)
		return false;
	for (unsigned i = 0; i < a->n_ignore; i++) {
		const struct sync_ignore *x = &a->ignore[i], *y = &b->ignore[i];
		if (!addr_eq(&x->net, &y->net) || x->plen != y->plen || x->protocols != y->protocols ||
		    x->port_low != y->port_low || x->port_high != y->port_high || x->any_zone != y->any_zone ||
		    x->zone != y->zone || !same(x->ifname, y->ifname))
			return false;
	}
	return true;
}

static bool sync_equal(const struct sync_conf *a, const struct sync_conf *b)
{
	if (a->tcp_states != b->tcp_states || a->accounting != b->accounting || a->strict_after_s != b->strict_after_s)
		return false;
	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		if (a->min_age_s[p] != b->min_age_s[p])
			return false;
	}
	if (a->replicate != b->replicate || a->store != b->store || a->quick != b->quick ||
	    a->protocols != b->protocols || !ignore_equal(a, b) || a->lease_ns != b->lease_ns ||
	    a->entries_max != b->entries_max || a->rcvbuf_bytes != b->rcvbuf_bytes || a->bulk_rate != b->bulk_rate ||
	    a->peer_max != b->peer_max || a->high_water != b->high_water || a->peer_rate != b->peer_rate ||
	    a->n_vips != b->n_vips)
		return false;
	for (unsigned i = 0; i < a->n_vips; i++) {
		if (!addr_eq(&a->vips[i], &b->vips[i]))
			return false;
	}
	return true;
}

static bool argv_equal(const char *const *a, const char *const *b)
{
	for (unsigned i = 0; i <= IKE_ARGV_MAX; i++) {
		if (!a[i] || !b[i])
			return a[i] == b[i];
		if (!same(a[i], b[i]))
			return false;
	}
	return true;
}

static bool dpd_equal(const struct ike_dpd_conf *a, const struct ike_dpd_conf *b)
{
	return a->enabled == b->enabled && a->interval_ns == b->interval_ns && a->retry_ns == b->retry_ns &&
	       a->retries == b->retries && a->action == b->action && a->mode == b->mode;
}

static bool settings_equal(const struct ike_tunnel_conf *a, const struct ike_tunnel_conf *b)
{
	return a->priority == b->priority && a->initiate == b->initiate && a->on_demote == b->on_demote &&
	       a->watch_spi == b->watch_spi && a->sync_sa == b->sync_sa && dpd_equal(&a->dpd, &b->dpd);
}

static bool sa_equal(const struct ike_sa_conf *a, const struct ike_sa_conf *b)
{
	return a->has_reqid == b->has_reqid && a->has_mark == b->has_mark && a->has_if_id == b->has_if_id &&
	       a->reqid == b->reqid && a->mark == b->mark && a->if_id == b->if_id;
}

static bool tunnel_equal(const struct cfg *old, const struct ike_tunnel_conf *a, const struct cfg *now,
			 const struct ike_tunnel_conf *b)
{
	return same(a->name, b->name) && addr_eq(&a->vip, &b->vip) && addr_eq(&a->peer, &b->peer) &&
	       same(a->ike, b->ike) && same(a->child, b->child) && a->backend == b->backend && settings_equal(a, b) &&
	       argv_equal(a->exec, b->exec) && a->exec_timeout_ns == b->exec_timeout_ns && sa_equal(&a->sa, &b->sa) &&
	       a->warm == b->warm && same(a->warm_ike, b->warm_ike) && same(a->warm_child, b->warm_child) &&
	       same(old->groups[a->group].name, now->groups[b->group].name);
}

static bool tunnels_equal(const struct cfg *old, const struct cfg *now)
{
	if (old->n_tunnels != now->n_tunnels || !same(old->vici_socket, now->vici_socket) ||
	    !same(old->swanctl_conf, now->swanctl_conf) || !same(old->strongswan_conf, now->strongswan_conf) ||
	    !same(old->whack, now->whack) || !same(old->pluto, now->pluto) || old->tunnels_auto != now->tunnels_auto ||
	    !settings_equal(&old->auto_conf, &now->auto_conf))
		return false;
	for (unsigned i = 0; i < old->n_tunnels; i++) {
		if (!tunnel_equal(old, &old->tunnels[i], now, &now->tunnels[i]))
			return false;
	}
	return true;
}

static bool hook_equal(const struct hook_conf *a, const struct hook_conf *b)
{
	return a->on == b->on && a->timeout_ns == b->timeout_ns && argv_equal(a->argv, b->argv);
}

static bool hooks_equal(const struct cfg *old, const struct cfg *now)
{
	if (old->n_hooks != now->n_hooks)
		return false;
	for (unsigned i = 0; i < old->n_hooks; i++) {
		if (!hook_equal(&old->hooks[i], &now->hooks[i]))
			return false;
	}
	return true;
}

/* Either may be absent. */
static bool text_equal(const char *a, const char *b)
{
	return a && b ? same(a, b) : a == b;
}

static bool script_equal(const struct notify_script *a, const struct notify_script *b)
{
	if (a->argc != b->argc || !text_equal(a->user, b->user) || !text_equal(a->group, b->group))
		return false;
	for (unsigned i = 0; i < a->argc; i++)
		if (!same(a->argv[i], b->argv[i]))
			return false;
	return true;
}

static bool told_equal(const struct notify_conf *a, const struct notify_conf *b)
{
	if (a->tell_deleted != b->tell_deleted || a->priority_changes != b->priority_changes || a->mail != b->mail ||
	    !a->script != !b->script)
		return false;
	for (unsigned w = 0; a->script && w < NOTIFY_WHICH_N; w++)
		if (!script_equal(&a->script[w], &b->script[w]))
			return false;
	return true;
}

static bool fifo_equal(const struct notify_fifo_conf *a, const struct notify_fifo_conf *b)
{
	return text_equal(a->path, b->path) && text_equal(a->user, b->user) && text_equal(a->group, b->group) &&
	       script_equal(&a->reader, &b->reader);
}

static bool mail_equal(const struct notify_mail_conf *a, const struct notify_mail_conf *b)
{
	if (a->n_to != b->n_to || !text_equal(a->from, b->from) || !text_equal(a->router, b->router) ||
	    !text_equal(a->sendmail, b->sendmail) || a->faults != b->faults)
		return false;
	for (unsigned i = 0; i < a->n_to; i++)
		if (!same(a->to[i], b->to[i]))
			return false;
	return true;
}

/* What an instance or group that comes or goes brings along is that change, not this one. */
static bool notify_equal(const struct cfg *old, const struct cfg *now)
{
	const struct notify_cfg *a = &old->notify, *b = &now->notify;

	if (!text_equal(a->user, b->user) || !text_equal(a->group, b->group) || a->security != b->security ||
	    a->timeout_ns != b->timeout_ns || a->states_on_reload != b->states_on_reload ||
	    !fifo_equal(&a->fifo[0], &b->fifo[0]) || !fifo_equal(&a->fifo[1], &b->fifo[1]) ||
	    !mail_equal(&a->mail, &b->mail))
		return false;
	for (unsigned i = 0; i < old->n_instances; i++) {
		int j = find_instance(now, old->instances[i].name, i);
		if (j >= 0 && !told_equal(&a->inst[i], &b->inst[j]))
			return false;
	}
	for (unsigned i = 0; i < old->n_groups && i < now->n_groups; i++)
		if (same(old->groups[i].name, now->groups[i].name) && !told_equal(&a->group_of[i], &b->group_of[i]))
			return false;
	return true;
}

static void diff_process(struct diff *d, const struct cfg *old, const struct cfg *now)
{
	/* a router that is alone, before or after, has no peer that would know it by these */
	bool other = old->sync.enabled && now->sync.enabled &&
		     (old->node_id != now->node_id || !same(old->node_name, now->node_name));

	if (other || !same(old->run_dir, now->run_dir) || !same(old->state_dir, now->state_dir) ||
	    !same(old->ctl_socket, now->ctl_socket) || old->realtime != now->realtime ||
	    !same(old->namespace, now->namespace) || !same(old->keepalived.instance, now->keepalived.instance) ||
	    old->keepalived.use_pid_dir != now->keepalived.use_pid_dir)
		add(d, (struct cfg_change){ .kind = CFG_PROCESS_CHANGED });
	if (old->log_level != now->log_level || old->log_syslog != now->log_syslog ||
	    old->log_stderr != now->log_stderr)
		add(d, (struct cfg_change){ .kind = CFG_LOG_CHANGED });
	if (!same(old->view_group, now->view_group) || !same(old->admin_group, now->admin_group))
		add(d, (struct cfg_change){ .kind = CFG_CONTROL_CHANGED });
}

unsigned cfg_diff(const struct cfg *old, const struct cfg *now, struct cfg_change *out, unsigned cap)
{
	struct diff d = { .out = out, .cap = cap };

	diff_instances(&d, old, now);
	if (!groups_equal(old, now))
		add(&d, (struct cfg_change){ .kind = CFG_GROUPS_CHANGED });
	if (!routes_equal(old, now) || !rules_equal(old, now) || !static_equal(old, now))
		add(&d, (struct cfg_change){ .kind = CFG_OBJECTS_CHANGED });
	if (!cfg_track_equal(old, now))
		add(&d, (struct cfg_change){ .kind = CFG_TRACK_CHANGED });
	if (!channel_equal(&old->sync, &now->sync))
		add(&d, (struct cfg_change){ .kind = CFG_CHANNEL_CHANGED });
	if (!sync_equal(&old->sync, &now->sync))
		add(&d, (struct cfg_change){ .kind = CFG_SYNC_CHANGED });
	if (!tunnels_equal(old, now))
		add(&d, (struct cfg_change){ .kind = CFG_TUNNELS_CHANGED });
	if (!hooks_equal(old, now))
		add(&d, (struct cfg_change){ .kind = CFG_HOOKS_CHANGED });
	if (!notify_equal(old, now))
		add(&d, (struct cfg_change){ .kind = CFG_NOTIFY_CHANGED });
	diff_process(&d, old, now);
	return d.n;
}
