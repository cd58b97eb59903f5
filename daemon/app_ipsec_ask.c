/*
 * Requests of ktsh about IPsec: at once, or when a gathering has ended that began after they came.
 */
#include "daemon/app_ipsec_int.h"

#include <stdio.h>
#include <string.h>

static json_t *answer(struct app *a, const struct ipsec_waiting *w, const char **why)
{
	*why = "there is no tunnel of this name (see show ipsec)";
	for (uint16_t t = 0; w->cmd == CTL_EXPLAIN_IPSEC && t < a->node.n_tunnels; t++) {
		if (!a->node.tunnel[t].conf.gone && strcmp(a->node.tunnel[t].conf.name, w->name) == 0)
			return show_ipsec_explain(a, t);
	}
	if (w->cmd == CTL_SHOW_IPSEC_CHECK)
		return show_ipsec_check(a);
	return w->cmd == CTL_SHOW_IPSEC_SA ? show_ipsec_sa(a, w->name) : NULL;
}

void ipsec_answer_waiting(struct app *a)
{
	struct ipsec *p = a->ipsec;

	for (unsigned i = 0; i < IPSEC_WAIT_MAX; i++) {
		struct ipsec_waiting w = p->wait[i];
		const char *why;
		if (!w.used || w.seq != p->seq || &p->wait[i] == p->asking)
			continue;
		p->wait[i].used = false;
		json_t *data = answer(a, &w, &why);
		ctl_answer(a->ctl, w.token, data, data ? CTL_OK : CTL_FAILED, data ? "" : why);
	}
}

/* Where there is nobody to ask the gathering has ended before it returns. */
static int ask_for(struct app *a, struct ipsec_waiting *w, struct ctl_request *req, json_t **reply)
{
	struct ipsec *p = a->ipsec;
	const char *why = "";

	p->asking = w;
	app_ipsec_gather(a);
	p->asking = NULL;
	if (p->stage != IPSEC_REST || w->seq != p->seq)
		return CTL_LATER;
	w->used = false;
	*reply = answer(a, w, &why);
	if (*reply)
		return CTL_OK;
	snprintf(req->message, sizeof(req->message), "%s", why);
	return CTL_FAILED;
}

static int later(struct app *a, struct ctl_request *req, json_t **reply)
{
	struct ipsec *p = a->ipsec;
	const char *name = json_string_value(json_object_get(req->args, "tunnel"));
	uint16_t t = 0;

	while (name && t < a->node.n_tunnels &&
	       (a->node.tunnel[t].conf.gone || strcmp(a->node.tunnel[t].conf.name, name) != 0))
		t++;
	if (name && t == a->node.n_tunnels) {
		snprintf(req->message, sizeof(req->message), "there is no tunnel of this name (see show ipsec)");
		return CTL_FAILED;
	}
	for (unsigned i = 0; i < IPSEC_WAIT_MAX; i++) {
		struct ipsec_waiting *w = &p->wait[i];
		if (w->used)
			continue;
		*w = (struct ipsec_waiting){ .used = true, .token = req->token, .seq = p->seq + 1, .cmd = req->cmd };
		snprintf(w->name, sizeof(w->name), "%s", name ? name : "");
		return ask_for(a, w, req, reply);
	}
	snprintf(req->message, sizeof(req->message), "other requests wait for the same already; try again");
	return CTL_FAILED;
}

int app_ipsec_ctl(struct app *a, struct ctl_request *req, json_t **reply)
{
	const char *view = json_is_true(json_object_get(req->args, "detail"))  ? "detail"
			   : json_is_true(json_object_get(req->args, "brief")) ? "brief"
									       : "normal";

	if (req->cmd == CTL_SHOW_IPSEC_SA || req->cmd == CTL_SHOW_IPSEC_CHECK || req->cmd == CTL_EXPLAIN_IPSEC)
		return later(a, req, reply);
	if (req->cmd == CTL_RESET_VPN_PEER || req->cmd == CTL_RESET_VPN_ALL || req->cmd == CTL_FORCE_IKE_RESET)
		return app_ipsec_reset(a, req, reply);
	if (json_object_get(req->args, "periodic") && json_object_get(req->args, "on-demand")) {
		snprintf(req->message, sizeof(req->message), "periodic and on-demand exclude each other");
		return CTL_FAILED;
	}
	*reply = req->cmd == CTL_SHOW_IPSEC_PEER         ? show_ipsec_peer(a)
		 : req->cmd == CTL_SHOW_IPSEC_DPD        ? show_ipsec_dpd(a)
		 : req->cmd == CTL_SHOW_IPSEC_HOOKS      ? show_ipsec_hooks(a)
		 : req->cmd == CTL_SHOW_IPSEC_STATISTICS ? show_ipsec_statistics(a)
		 : req->cmd == CTL_IKE_DPD               ? show_ike_dpd(a, req->args)
							 : show_ipsec(a, view);
	return CTL_OK;
}
