/*
 * The data file around its instances: settings of the whole file before them; groups, scripts, processes, files and
 * interfaces behind them.
 */
#include "daemon/dropin/kalive.h"

#include <net/if_arp.h>
#include <string.h>
#include "daemon/app_track.h"

static void put_int(FILE *f, const char *key, int64_t n)
{
	fprintf(f, "   %s = %lld\n", key, (long long)n);
}

static void put_argv(FILE *f, const char *const *argv)
{
	for (unsigned i = 0; argv[i]; i++)
		fprintf(f, "%s'%s'", i ? " " : "", argv[i]);
}

static const char *truth(bool on)
{
	return on ? "true" : "false";
}

/* ---- before the instances ---- */

static void put_mail(FILE *f, const struct notify_mail_conf *m, const char *node)
{
	fprintf(f, " Router ID = %s\n", m->router ? m->router : node);
	if (!m->to)
		return;
	if (m->from)
		fprintf(f, " Email notification from = %s\n", m->from);
	fprintf(f, " Email notification to:\n");
	for (uint16_t i = 0; i < m->n_to; i++)
		fprintf(f, "   %s\n", m->to[i]);
}

static void put_fifo(FILE *f, const char *what, const struct notify_fifo_conf *c)
{
	if (!c->path)
		return;
	fprintf(f, " %s notify fifo = %s\n", what, c->path);
	if (!c->reader.argv)
		return;
	fprintf(f, " %s notify fifo script = ", what);
	put_argv(f, c->reader.argv);
	fprintf(f, " '%s'\n", c->path);
}

void kalive_globals(struct app *a, FILE *f)
{
	const struct cfg *c = a->cfg;
	int mask = c->keepalived.umask >= 0         ? c->keepalived.umask
		   : a->opt.kalive->opts.umask >= 0 ? a->opt.kalive->opts.umask
						    : 0177;
	fprintf(f, "------< Global definitions >------\n");
	fprintf(f, " Network namespace = %s\n", c->namespace[0] ? c->namespace : "(default)");
	if (c->keepalived.instance[0])
		fprintf(f, " Instance name = %s\n", c->keepalived.instance);
	put_mail(f, &c->notify.mail, c->node_name);
	put_fifo(f, "Global", &c->notify.fifo[NOTIFY_FIFO_ALL]);
	put_fifo(f, "VRRP", &c->notify.fifo[NOTIFY_FIFO_VRRP]);
	fprintf(f, " FIFO write vrrp states on reload = %s\n", truth(c->notify.states_on_reload));
	if (c->startup_delay_ns)
		fprintf(f, " VRRP startup delay = %g\n", (double)c->startup_delay_ns / 1e9);
	fprintf(f, " Script security %s\n", c->notify.security ? "enabled" : "disabled");
	if (c->notify.user)
		fprintf(f, " Default script user = %s%s%s\n", c->notify.user, c->notify.group ? ":" : "",
			c->notify.group ? c->notify.group : "");
	fprintf(f, " umask = 0%o\n", (unsigned)mask);
}

static void put_statics(struct app *a, FILE *f)
{
	const struct cfg *c = a->cfg;
	char text[KALIVE_ROUTE_MAX];
	unsigned n = 0;
	for (uint16_t i = 0; i < c->n_static_addrs; i++) {
		kalive_vip_text(a, CFG_STATIC, &c->static_addrs[i], text, sizeof(text));
		fprintf(f, "%s     %s\n", n++ ? "" : "------< Static Addresses >------\n", text);
	}
	n = 0;
	for (uint32_t i = 0; i < c->n_routes; i++)
		if (c->routes[i].inst == CFG_STATIC)
			fprintf(f, "%s     %s\n", n++ ? "" : "------< Static Routes >------\n",
				kalive_route_text(&c->routes[i], text));
	n = 0;
	for (uint32_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].inst == CFG_STATIC)
			fprintf(f, "%s     %s\n", n++ ? "" : "------< Static Rules >------\n",
				kalive_rule_text(&c->rules[i], text));
}

void kalive_data_begin(struct app *a, FILE *f)
{
	kalive_globals(a, f);
	put_statics(a, f);
	fprintf(f, "------< VRRP Topology >------\n");
}

/* ---- groups ---- */

static void put_group(struct app *a, uint16_t g, FILE *f)
{
	const struct cfg_group *cg = &a->cfg->groups[g];
	unsigned fault = 0, init = 0;
	for (uint16_t m = 0; m < cg->n_members; m++) {
		fault += a->node.inst[cg->members[m]].state == VRRP_FAULT;
		init += a->node.inst[cg->members[m]].state == VRRP_INIT;
	}
	fprintf(f, " VRRP Sync Group = %s, %s\n", cg->name, kalive_state_text(a->node.inst[cg->members[0]].state));
	fprintf(f, "   Num member fault %u, num member init %u\n   VRRP member instances :\n", fault, init);
	for (uint16_t m = 0; m < cg->n_members; m++)
		fprintf(f, "     %s\n", a->cfg->instances[cg->members[m]].name);
	kalive_tracked(a, cg, VRRP_TRACK_GROUP, f);
	if (a->cfg->notify.group_of && g < a->cfg->notify.n_groups)
		kalive_notify(f, &a->cfg->notify.group_of[g]);
}

static void put_groups(struct app *a, FILE *f)
{
	unsigned n = 0;
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		if (a->cfg->groups[g].n_members < 2)
			continue;
		if (n++ == 0)
			fprintf(f, "------< VRRP Sync groups >------\n");
		put_group(a, g, f);
	}
}

/* ---- what is tracked ---- */

static void put_users(struct app *a, uint16_t obj, FILE *f)
{
	fprintf(f, "   Tracking instances :\n");
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		const struct cfg_group *cg = &a->cfg->groups[g];
		for (uint32_t r = 0; r < cg->n_track; r++)
			if (cg->track[r].obj == obj)
				fprintf(f, "     %s, weight %d%s\n",
					cg->track[r].inst == VRRP_TRACK_GROUP
					    ? cg->name
					    : a->cfg->instances[cg->track[r].inst].name,
					(int)cg->track[r].weight, cg->track[r].reverse ? " reverse" : "");
	}
}

static void put_weight(FILE *f, const struct vrrp_track_conf *o)
{
	fprintf(f, "   Weight = %d%s\n", (int)o->weight, o->reverse ? " reverse" : "");
}

static void put_script(struct app *a, uint16_t obj, FILE *f)
{
	const struct vrrp_track_conf *o = &a->cfg->track.objs[obj];
	const struct cfg_track_script *s = &a->cfg->track.scripts[o->index];
	bool running;
	const struct vrrp_track_obj *is = app_track_obj(a, obj, &running);
	fprintf(f, " VRRP Script = %s\n   Command = ", o->name);
	put_argv(f, s->argv);
	fprintf(f, "\n   Interval = %g sec\n   Timeout = %g sec\n", (double)s->interval_ns / 1e9,
		(double)s->timeout_ns / 1e9);
	put_weight(f, o);
	put_int(f, "Rise", o->rise);
	put_int(f, "Fall", o->fall);
	fprintf(f, "   Init state = %s\n", o->init_fail ? "failed" : "unknown");
	fprintf(f, "   Status = %s\n", !is->known ? "INIT" : is->up ? "GOOD" : "BAD");
	fprintf(f, "   State = %s\n", running ? "running" : "idle");
	if (s->user)
		fprintf(f, "   Script user = %s%s%s\n", s->user, s->group ? ":" : "", s->group ? s->group : "");
	put_users(a, obj, f);
}

void kalive_process(struct app *a, uint16_t obj, struct kalive_process *out)
{
	static const char *const match[] = { [CFG_TRACK_MATCH_ANY] = "none",
					     [CFG_TRACK_MATCH_EXACT] = "exact",
					     [CFG_TRACK_MATCH_INITIAL] = "initial",
					     [CFG_TRACK_MATCH_PARTIAL] = "partial" };
	const struct vrrp_track_conf *o = &a->cfg->track.objs[obj];
	bool waits;
	const struct vrrp_track_obj *is = app_track_obj(a, obj, &waits);
	*out = (struct kalive_process){
		.conf = &a->cfg->track.processes[o->index],
		.match = match[a->cfg->track.processes[o->index].match],
		.count = (uint64_t)is->value,
		.quorum = is->up,
		.weight = o->reverse ? -o->weight : o->weight,
		.forking = waits && !is->up,
		.terminating = waits && is->up,
	};
}

static void put_process(struct app *a, uint16_t obj, FILE *f)
{
	struct kalive_process p;
	kalive_process(a, obj, &p);
	fprintf(f, " VRRP Track process = %s\n   Process = %s\n", a->cfg->track.objs[obj].name, p.conf->argv[0]);
	for (unsigned i = 1; p.conf->argv[i]; i++)
		fprintf(f, "%s%s%s", i == 1 ? "   Parameters = " : " ", p.conf->argv[i],
			p.conf->argv[i + 1] ? "" : "\n");
	if (p.conf->match != CFG_TRACK_MATCH_ANY)
		fprintf(f, "   Param match = %s\n", p.match);
	put_int(f, "Min processes", p.conf->quorum);
	if (p.conf->quorum_max != UINT32_MAX)
		put_int(f, "Max processes", p.conf->quorum_max);
	put_int(f, "Current processes", (int64_t)p.count);
	fprintf(f, "   Have quorum = %s\n", truth(p.quorum));
	put_weight(f, &a->cfg->track.objs[obj]);
	fprintf(f, "   Terminate delay = %fs\n   Fork delay = %fs\n", (double)p.conf->terminate_delay_ns / 1e9,
		(double)p.conf->fork_delay_ns / 1e9);
	fprintf(f, "   Fork delay timer %srunning\n   Terminate delay timer %srunning\n", p.forking ? "" : "not ",
		p.terminating ? "" : "not ");
	fprintf(f, "   Full command = %s\n", truth(p.conf->full_command));
	put_users(a, obj, f);
}

static void put_file(struct app *a, uint16_t obj, FILE *f)
{
	const struct vrrp_track_conf *o = &a->cfg->track.objs[obj];
	bool running;
	fprintf(f, " Track file = %s\n   File = %s\n", o->name, a->cfg->track.files[o->index].path);
	put_int(f, "Status", app_track_obj(a, obj, &running)->value);
	put_weight(f, o);
	put_users(a, obj, f);
}

static void put_things(struct app *a, enum vrrp_track_kind kind, const char *title,
		       void (*put)(struct app *a, uint16_t obj, FILE *f), FILE *f)
{
	unsigned n = 0;
	for (uint16_t i = 0; i < a->cfg->track.n_objs; i++) {
		if (a->cfg->track.objs[i].kind != kind || !a->cfg->track.objs[i].used)
			continue;
		if (n++ == 0)
			fprintf(f, "------< %s >------\n", title);
		put(a, i, f);
	}
}

/* ---- interfaces: those that something here stands on ---- */

static void put_interface(struct app *a, const char *name, FILE *f)
{
	const struct net_link *l = netstate_link_by_name(netapply_state(a->net), name);
	fprintf(f, " Name = %s\n", name);
	if (!l) {
		fprintf(f, "   State = not there\n");
		return;
	}
	put_int(f, "index", l->index);
	if (l->mac_len == 6)
		fprintf(f, "   MAC = %02x:%02x:%02x:%02x:%02x:%02x\n", l->mac[0], l->mac[1], l->mac[2], l->mac[3],
			l->mac[4], l->mac[5]);
	fprintf(f, "   State = %s, %sRUNNING\n", l->up ? "UP" : "DOWN", l->carrier ? "" : "not ");
	put_int(f, "MTU", l->mtu);
	fprintf(f, "   HW Type = %s\n",
		l->type == ARPHRD_ETHER      ? "ETHERNET"
		: l->type == ARPHRD_LOOPBACK ? "LOOPBACK"
					     : "UNKNOWN");
}

/* Once each, in the order in which instances and lists name them. */
static bool named_before(const struct app *a, uint16_t inst, const char *name)
{
	for (uint16_t i = 0; i < inst; i++)
		if (strcmp(a->cfg->instances[i].interface, name) == 0)
			return true;
	return false;
}

static void put_interfaces(struct app *a, FILE *f)
{
	const struct cfg *c = a->cfg;
	fprintf(f, "------< Interfaces >------\n");
	for (uint16_t i = 0; i < c->n_instances; i++) {
		if (!named_before(a, i, c->instances[i].interface))
			put_interface(a, c->instances[i].interface, f);
		if (c->instances[i].vmac != VRRP_VMAC_NONE)
			put_interface(a, c->instances[i].vmac_name, f);
	}
	for (uint16_t i = 0; i < c->track.n_objs; i++)
		if (c->track.objs[i].kind == VRRP_TRACK_INTERFACE &&
		    !named_before(a, c->n_instances, c->track.objs[i].name))
			put_interface(a, c->track.objs[i].name, f);
}

void kalive_data_end(struct app *a, FILE *f)
{
	put_groups(a, f);
	put_things(a, VRRP_TRACK_SCRIPT, "VRRP Scripts", put_script, f);
	put_things(a, VRRP_TRACK_PROCESS, "VRRP Track processes", put_process, f);
	put_things(a, VRRP_TRACK_FILE, "VRRP Track files", put_file, f);
	put_interfaces(a, f);
}
