/*
 * Tunnels: requests to the IKE daemon, sweeps on KERNEL, hooks.
 */
#include "daemon/app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_ipsec.h"
#include "daemon/app_sweep.h"
#include "daemon/app_watch.h"
#include "daemon/base/log.h"

void app_ike_feed(struct app *a, uint16_t tunnel, const struct ike_ev *ike)
{
	struct node_ev ev = { .type = NODE_EV_IKE, .tunnel = tunnel, .ike = ike };
	app_feed(a, &ev);
}

/* Events name a connection, that of the VIP or the warm one. */
static void feed_named(struct app *a, const char *ike_name, const char *child, const struct ike_ev *ike)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		struct ike_ev ev = *ike;
		ev.warm = c->warm && strcmp(c->warm_ike, ike_name) == 0;
		if (!ev.warm && strcmp(c->ike, ike_name) != 0)
			continue;
		if (!child || strcmp(ev.warm ? c->warm_child : c->child, child) == 0)
			app_ike_feed(a, t, &ev);
	}
}

static void on_reply(struct app *a, const struct vici_ev *v)
{
	struct ike_ev ev = { .kind = IKE_EV_REPLY,
			     .epoch = v->tag.epoch,
			     .seq = v->tag.seq,
			     .req = v->req,
			     .ok = v->ok,
			     .matches = v->matches };
	if (v->tag.tunnel >= a->node.n_tunnels)
		return;
	if (v->req == IKE_REQ_LIST && v->ok) {
		ev.kind = IKE_EV_SA_LIST;
		ev.sample = v->sample;
	}
	if (!v->ok)
		log_debug(LOG_IKE, "%s: %s refused: %s", a->node.tunnel[v->tag.tunnel].conf.name, ike_req_name(v->req),
			  v->errmsg);
	app_ike_feed(a, (uint16_t)v->tag.tunnel, &ev);
}

/* MOBIKE: the IKE daemon is about to take an SA along to another address of this router. */
static void on_update(struct app *a, const struct vici_ev *v)
{
	struct addr local;
	bool told = addr_parse(v->local, &local);
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (strcmp(c->ike, v->ike) != 0 || (told && addr_eq(&local, &c->vip)))
			continue;
		struct ike_ev ev = { .kind = IKE_EV_MOVED };
		log_warn(LOG_IKE,
			 "%s: the IKE daemon moves connection %s to %s (MOBIKE); set mobike = no for tunnels of a "
			 "virtual address",
			 c->name, v->ike, told ? v->local : "another address");
		app_ike_feed(a, t, &ev);
	}
}

static void on_vici(void *arg, const struct vici_ev *v)
{
	struct app *a = arg;
	struct ike_ev ev = { .kind = IKE_EV_BACKEND_UP, .up = v->up, .sa_id = v->sa_id };
	app_ipsec_vici(a, v);
	app_watch_vici(a, v);
	switch (v->kind) {
	case VICI_EV_UP:
	case VICI_EV_DOWN:
		ev.kind = v->kind == VICI_EV_UP ? IKE_EV_BACKEND_UP : IKE_EV_BACKEND_DOWN;
		for (uint16_t t = 0; t < a->node.n_tunnels; t++)
			if (a->node.tunnel[t].conf.backend == IKE_BACKEND_VICI)
				app_ike_feed(a, t, &ev);
		if (v->kind == VICI_EV_UP)
			app_learn_up(a);
		return;
	case VICI_EV_REPLY:
		on_reply(a, v);
		return;
	case VICI_EV_IKE_UPDOWN:
		ev.kind = IKE_EV_IKE_UPDOWN;
		feed_named(a, v->ike, NULL, &ev);
		return;
	case VICI_EV_CHILD_UPDOWN:
		ev.kind = IKE_EV_CHILD_UPDOWN;
		feed_named(a, v->ike, v->child, &ev);
		return;
	case VICI_EV_CHILD_REKEY:
		ev.kind = IKE_EV_CHILD_REKEY;
		feed_named(a, v->ike, v->child, &ev);
		return;
	case VICI_EV_IKE_REKEY:
		return;
	case VICI_EV_IKE_UPDATE:
		on_update(a, v);
		return;
	case VICI_EV_ALERT:
		log_info(LOG_IKE, "the IKE daemon says: %s", vici_alert_text(v->alert));
		return;
	case VICI_EV_CONN:
		if (v->tag.tunnel == APP_TAG_LEARN)
			app_learn_conn(a, v->conn);
		return;
	case VICI_EV_CONNS:
		if (v->tag.tunnel == APP_TAG_LEARN)
			app_learn_done(a, v->ok);
		return;
	case VICI_EV_SA:
	case VICI_EV_SAS:
		return;
	}
}

void app_ike_act(struct app *a, const struct node_act *act)
{
	const struct ike_act *ia = &act->ike;
	switch (ia->kind) {
	case IKE_ACT_TERMINATE:
		app_ike_ask(a, act->tunnel, IKE_VERB_DROP, ia);
		app_watch_act(a, act->tunnel);
		return;
	case IKE_ACT_CLOSE:
		app_ike_ask(a, act->tunnel, IKE_VERB_CLOSE, ia);
		return;
	case IKE_ACT_INITIATE:
		app_ike_ask(a, act->tunnel, IKE_VERB_INITIATE, ia);
		app_watch_act(a, act->tunnel);
		return;
	case IKE_ACT_REKEY:
		app_ike_ask(a, act->tunnel, IKE_VERB_REKEY, ia);
		return;
	case IKE_ACT_LIST:
		app_ike_ask(a, act->tunnel, IKE_VERB_LIST, ia);
		return;
	case IKE_ACT_SWEEP:
		app_sweep(a, act->tunnel, ia);
		return;
	case IKE_ACT_PURGED:
	case IKE_ACT_UP:
	case IKE_ACT_DOWN:
	case IKE_ACT_DPD_DEAD:
	case IKE_ACT_RESET_FAILED:
	case IKE_ACT_HOOK:
	case IKE_ACT_TRACE:
	case IKE_ACT_CLOSED:
	case IKE_ACT_MADE:
	case IKE_ACT_N:
		return; /* the node core keeps these */
	}
}

/* ---- hooks ---- */

static void on_hook_result(void *arg, const struct exec_result *r)
{
	struct app *a = arg;
	bool well = r->outcome == EXEC_EXITED && r->code == 0;
	/* A reload may have come between. */
	if (a->hook && r->hook < a->cfg->n_hooks &&
	    strncmp(r->program, a->cfg->hooks[r->hook].argv[0], sizeof(r->program) - 1) == 0) {
		struct app_hook *h = &a->hook[r->hook];
		h->runs++;
		h->failed += !well;
		h->last = *r;
	}
	if (well)
		log_info(LOG_MAIN, "hook %s (%s %s) ended well after %lld ms", r->program, exec_event_name(r->event),
			 r->subject, (long long)(r->took_ns / NS_PER_MS));
	else
		log_warn(LOG_MAIN, "hook %s (%s %s) %s with %d after %lld ms: %s", r->program,
			 exec_event_name(r->event), r->subject, exec_outcome_name(r->outcome), r->code,
			 (long long)(r->took_ns / NS_PER_MS), r->line);
}

void app_ike_hook(struct app *a, const struct node_act *act)
{
	if (!a->exec || !a->cfg->n_hooks)
		return;
	char vip[ADDR_TEXT_MAX] = "", peer[ADDR_TEXT_MAX] = "", spi[12] = "";
	struct exec_env env = { .group = a->cfg->groups[act->group].name, .epoch = act->epoch };
	const char *subject = env.group;
	if (act->hook == HOOK_ROLE) {
		env.role_old = role_is_text(act->from);
		env.role_new = role_is_text(act->to);
		env.reason = role_reason_text(act->reason);
	} else {
		const struct ike_tunnel_conf *c = &a->node.tunnel[act->tunnel].conf;
		subject = env.tunnel = c->name;
		env.vip = addr_text(&c->vip, vip);
		env.peer = addr_text(&c->peer, peer);
		env.reason = ike_reason_text((enum ike_reason)act->reason);
		if (act->ike.spi)
			snprintf(spi, sizeof(spi), "%08x", act->ike.spi);
		env.spi = spi;
	}
	exec_event(a->exec, a->cfg->hooks, a->cfg->n_hooks, act->hook, subject, &env);
}

static int connect_backend(struct app *a)
{
	bool wanted = a->cfg->tunnels_auto;
	for (uint16_t t = 0; t < a->cfg->n_tunnels; t++)
		wanted |= a->cfg->tunnels[t].backend == IKE_BACKEND_VICI;
	if (!wanted)
		return 0;
	a->vici = vici_new(a->loop, a->cfg->vici_socket, on_vici, a);
	return a->vici ? 0 : -ENOMEM;
}

static const struct app_hook *result_of(const struct app *a, const struct hook_conf *h, const struct cfg *old)
{
	for (uint16_t i = 0; a->hook && old && i < old->n_hooks; i++)
		if (strcmp(h->argv[0], old->hooks[i].argv[0]) == 0 && h->on == old->hooks[i].on)
			return &a->hook[i];
	return NULL;
}

/* Results stay with the hooks that a reload leaves as they are. Without memory there are none, and hooks run on. */
static void keep_hooks(struct app *a, const struct cfg *old)
{
	struct app_hook *fresh = calloc(a->cfg->n_hooks + 1u, sizeof(*fresh));
	for (uint16_t i = 0; fresh && i < a->cfg->n_hooks; i++) {
		const struct app_hook *was = result_of(a, &a->cfg->hooks[i], old);
		if (was)
			fresh[i] = *was;
	}
	free(a->hook);
	a->hook = fresh;
}

int app_ike_start(struct app *a)
{
	keep_hooks(a, NULL);
	a->exec = exec_new(a->loop, on_hook_result, a);
	if (!a->exec)
		return -errno;
	app_watch_rebuild(a);
	int rc = app_ike_programs(a);
	if (rc == 0)
		rc = app_learn_start(a) < 0 ? -ENOMEM : connect_backend(a);
	return rc;
}

void app_ike_free(struct app *a)
{
	app_watch_free(a);
	free(a->hook);
	a->hook = NULL;
}

int app_ike_reload(struct app *a, const struct cfg *old)
{
	keep_hooks(a, old);
	app_watch_rebuild(a);
	if (a->vici && strcmp(a->cfg->vici_socket, old->vici_socket) != 0) {
		vici_free(a->vici);
		a->vici = NULL;
		app_ipsec_vici(a, &(struct vici_ev){ .kind = VICI_EV_DOWN, .errmsg = "", .ike = "", .child = "" });
		struct ike_ev down = { .kind = IKE_EV_BACKEND_DOWN };
		for (uint16_t t = 0; t < a->node.n_tunnels; t++)
			if (a->node.tunnel[t].conf.backend == IKE_BACKEND_VICI)
				app_ike_feed(a, t, &down);
	}
	int rc = app_ike_programs(a);
	if (rc < 0)
		return rc;
	if (!a->cfg->tunnels_auto)
		app_learn_stop(a);
	if (app_learn_start(a) < 0 || (!a->vici && connect_backend(a) < 0))
		return -ENOMEM;
	if (a->vici && vici_state(a->vici) == VICI_READY)
		app_learn_up(a);
	return 0;
}
