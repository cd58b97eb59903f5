/*
 * One tunnel, one way to its IKE daemon: what the tunnel machine asks goes to VICI or to a program (ike-hooks/prog_io),
 * and what comes back looks the same to it.
 */
#include "daemon/app.h"

#include <errno.h>
#include <string.h>
#include "daemon/base/err.h"
#include "daemon/base/log.h"

static struct prog **prog_slot(struct app *a, enum ike_backend b)
{
	switch (b) {
	case IKE_BACKEND_LIBRESWAN:
		return &a->libreswan;
	case IKE_BACKEND_EXEC:
		return &a->ike_program;
	case IKE_BACKEND_VICI:
	case IKE_BACKEND_NONE:
		return NULL;
	}
	return NULL;
}

static const enum ike_backend by_program[] = { IKE_BACKEND_LIBRESWAN, IKE_BACKEND_EXEC };
#define N_BY_PROGRAM (sizeof(by_program) / sizeof(by_program[0]))

/* ---- what comes back ---- */

static enum ike_req req_of(enum ike_verb v)
{
	switch (v) {
	case IKE_VERB_DROP:
		return IKE_REQ_TERMINATE;
	case IKE_VERB_CLOSE:
		return IKE_REQ_CLOSE;
	case IKE_VERB_INITIATE:
		return IKE_REQ_INITIATE;
	case IKE_VERB_REKEY:
		return IKE_REQ_REKEY;
	case IKE_VERB_LIST:
		return IKE_REQ_LIST;
	case IKE_VERB_PROBE:
	case IKE_VERB_N:
		return IKE_REQ_NONE;
	}
	return IKE_REQ_NONE;
}

static void on_prog(void *arg, const struct prog_ev *p)
{
	struct app *a = arg;
	struct ike_ev ev = { .kind = IKE_EV_REPLY,
			     .epoch = p->tag.epoch,
			     .seq = p->tag.seq,
			     .req = req_of(p->verb),
			     .ok = p->ok,
			     .up = p->up,
			     .sa_id = p->sa_id,
			     .sample = p->sample };

	if (p->tunnel >= a->node.n_tunnels)
		return;
	switch (p->kind) {
	case PROG_EV_UP:
		ev.kind = IKE_EV_BACKEND_UP;
		break;
	case PROG_EV_DOWN:
		ev.kind = IKE_EV_BACKEND_DOWN;
		break;
	case PROG_EV_REPLY:
		if (p->verb == IKE_VERB_LIST && p->ok)
			ev.kind = IKE_EV_SA_LIST;
		if (!p->ok)
			log_debug(LOG_IKE, "%s", p->errmsg);
		break;
	case PROG_EV_CHILD_UPDOWN:
		ev.kind = IKE_EV_CHILD_UPDOWN;
		break;
	case PROG_EV_CHILD_REKEY:
		ev.kind = IKE_EV_CHILD_REKEY;
		break;
	}
	app_ike_feed(a, p->tunnel, &ev);
}

static void add_env(void *arg, uint16_t tunnel, struct exec_env *env)
{
	const struct app *a = arg;
	uint16_t group = a->node.tunnel[tunnel].conf.group;

	env->group = a->cfg->groups[group].name;
	env->role_new = role_is_text((uint8_t)a->node.group[group].role.is);
	if (!env->epoch.counter)
		env->epoch = a->node.tunnel[tunnel].epoch;
}

/* ---- requests ---- */

static int ask_vici(struct app *a, uint16_t tunnel, enum ike_verb v, const struct ike_act *act)
{
	const struct ike_tunnel_conf *c = &a->node.tunnel[tunnel].conf;
	const char *ike = act->warm ? c->warm_ike : c->ike, *child = act->warm ? c->warm_child : c->child;
	struct vici_tag tag = { .tunnel = tunnel, .seq = act->seq, .epoch = act->epoch };

	if (!a->vici)
		return -ENOTCONN;
	switch (v) {
	case IKE_VERB_DROP: /* forced, without waiting: what the peer hears depends on whether the VIP is still there */
		return act->child ? vici_terminate_child(a->vici, ike, child, tag) : vici_terminate(a->vici, ike, tag);
	case IKE_VERB_CLOSE:
		return vici_close(a->vici, ike, tag);
	case IKE_VERB_INITIATE:
		return vici_initiate(a->vici, ike, act->child ? child : "", tag);
	case IKE_VERB_REKEY:
		return vici_rekey(a->vici, ike, child, tag);
	case IKE_VERB_LIST:
		return vici_list(a->vici, ike, child, tag);
	case IKE_VERB_PROBE:
	case IKE_VERB_N:
		return ERR_STATE;
	}
	return ERR_STATE;
}

void app_ike_ask(struct app *a, uint16_t tunnel, enum ike_verb v, const struct ike_act *act)
{
	enum ike_backend b = a->node.tunnel[tunnel].conf.backend;
	struct prog **p = prog_slot(a, b);
	int rc = ERR_STATE;

	if (!ike_backend_can(b, v))
		rc = -EOPNOTSUPP;
	else if (b == IKE_BACKEND_VICI)
		rc = ask_vici(a, tunnel, v, act);
	else if (p && *p)
		rc = prog_request(*p, tunnel, v, (struct prog_tag){ .seq = act->seq, .epoch = act->epoch },
				  ike_reason_text(act->reason));
	if (rc >= 0)
		return;
	struct ike_ev refused = { .kind = IKE_EV_REPLY, .epoch = act->epoch, .seq = act->seq, .req = req_of(v) };
	app_ike_feed(a, tunnel, &refused);
}

bool app_ike_reaches(const struct app *a, uint16_t tunnel)
{
	switch (a->node.tunnel[tunnel].conf.backend) {
	case IKE_BACKEND_VICI:
		return a->vici && vici_state(a->vici) == VICI_READY;
	case IKE_BACKEND_LIBRESWAN:
		return a->libreswan && prog_up(a->libreswan, tunnel);
	case IKE_BACKEND_EXEC:
		return a->ike_program && prog_up(a->ike_program, tunnel);
	case IKE_BACKEND_NONE:
		return false;
	}
	return false;
}

void app_ike_forget(struct app *a, uint16_t tunnel)
{
	struct ike_act act = { .reason = IKE_WHY_NONE };
	const struct ike_tunnel_conf *c = &a->node.tunnel[tunnel].conf;
	struct prog **p = prog_slot(a, c->backend);

	if (c->backend == IKE_BACKEND_VICI && a->vici)
		vici_terminate(a->vici, c->ike, (struct vici_tag){ .tunnel = UINT32_MAX });
	else if (p && *p)
		(void)prog_request(*p, tunnel, IKE_VERB_DROP, (struct prog_tag){ .epoch = act.epoch },
				   "no longer configured");
}

/* ---- life ---- */

static unsigned wanted(const struct app *a, enum ike_backend b)
{
	unsigned n = 0;

	for (uint16_t t = 0; t < a->cfg->n_tunnels; t++)
		n += a->cfg->tunnels[t].backend == b;
	return n;
}

int app_ike_programs(struct app *a)
{
	for (unsigned i = 0; i < N_BY_PROGRAM; i++) {
		struct prog **p = prog_slot(a, by_program[i]);
		if (!*p && wanted(a, by_program[i])) {
			*p = prog_new(a->loop, by_program[i], on_prog, add_env, a);
			if (!*p)
				return -errno;
		}
		int rc = *p ? prog_tunnels(*p, a->cfg->tunnels, a->cfg->n_tunnels, a->cfg->whack, a->cfg->pluto) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

void app_ike_programs_free(struct app *a)
{
	for (unsigned i = 0; i < N_BY_PROGRAM; i++) {
		struct prog **p = prog_slot(a, by_program[i]);
		prog_free(*p);
		*p = NULL;
	}
}

/* ---- show ---- */

static json_t *prog_json(struct app *a, enum ike_backend b, const struct prog *p)
{
	struct prog_counters c = prog_counters(p);
	unsigned up = 0;
	json_t *lines = json_object();

	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		up += a->node.tunnel[t].conf.backend == b && prog_up(p, t);
	for (unsigned i = 0; i < SA_TEXT_N; i++)
		json_object_set_new(lines, sa_text_drop_text((enum sa_text_drop)i),
				    json_integer((json_int_t)c.lines[i]));
	json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:s, s:s}", "name", ike_backend_info(b)->name, "address",
			      b == IKE_BACKEND_LIBRESWAN ? a->cfg->pluto : "", "tunnels", (int)wanted(a, b), "reached",
			      (int)up, "version", prog_version(p), "error", prog_last_error(p));
	json_object_set_new(j, "runs", json_integer((json_int_t)c.runs));
	json_object_set_new(j, "failures", json_integer((json_int_t)c.failed));
	json_object_set_new(j, "timeouts", json_integer((json_int_t)c.timed_out));
	json_object_set_new(j, "lists", json_integer((json_int_t)c.lists));
	json_object_set_new(j, "replaced", json_integer((json_int_t)c.replaced));
	json_object_set_new(j, "running", json_integer(c.running));
	json_object_set_new(j, "waiting", json_integer(c.waiting));
	json_object_set_new(j, "lines", lines);
	return j;
}

json_t *app_ike_programs_json(struct app *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < N_BY_PROGRAM; i++) {
		const struct prog *p = *prog_slot(a, by_program[i]);
		if (p)
			json_array_append_new(list, prog_json(a, by_program[i], p));
	}
	return list;
}
