/*
 * One tunnel's machine, VICI client and sweep against a real IKE daemon, without the rest of the daemon.
 *
 *   vici_probe SOCKET VIP PEER IKE CHILD STEP...
 *
 * Steps, one after another, each with a limit in ms: ready[:MS] absent[:MS] stopped[:MS] purge[:MS] initiate
 * wait-up[:MS] wait-down[:MS] wait-dead[:MS] run:MS. Every event is a line "<ms> word ..."; exit 1 names the step that
 * did not happen. A 1 ms timer measures how late the loop gets ("late-max-us" at the end).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/ike_fsm.h"
#include "ike-hooks/vici_io.h"
#include "ike-hooks/xfrm_io.h"

struct probe {
	struct loop *loop;
	struct vici *vici;
	struct loop_timer *fsm_timer, *beat;
	struct ike_tunnel t;
	struct epoch epoch;
	mono_t begun, step_at;
	uint64_t seen[IKE_ACT_N];
};

static void step(struct probe *p, const struct ike_ev *ev);

static double ms(const struct probe *p)
{
	return (double)mono_sub(clock_mono(), p->begun) / 1e6;
}

static void sweep(struct probe *p, const struct ike_act *a)
{
	struct xfrm_sweep_result r;
	int rc = a->peer.af ? xfrm_sweep_pair(&a->vip, &a->peer, &r) : xfrm_sweep(&a->vip, &r);

	printf("%.3f swept found=%u deleted=%u took_us=%" PRId64 " %s\n", ms(p), r.found, r.deleted, r.took_ns / 1000,
	       err_text(rc));
	step(p, &(struct ike_ev){ .kind = IKE_EV_SWEPT,
				  .epoch = a->epoch,
				  .seq = a->seq,
				  .matches = r.deleted,
				  .ok = rc == 0 || rc == -EPROTONOSUPPORT });
}

static void act(struct probe *p, const struct ike_act *a)
{
	struct vici_tag tag = { .seq = a->seq, .epoch = a->epoch };
	const struct ike_tunnel_conf *c = &p->t.conf;

	p->seen[a->kind]++;
	switch (a->kind) {
	case IKE_ACT_TERMINATE:
		(void)vici_terminate(p->vici, c->ike, tag);
		break;
	case IKE_ACT_INITIATE:
		(void)vici_initiate(p->vici, c->ike, a->child ? c->child : "", tag);
		break;
	case IKE_ACT_CLOSE:
		(void)vici_close(p->vici, c->ike, tag);
		break;
	case IKE_ACT_REKEY:
		printf("%.3f rekey\n", ms(p));
		(void)vici_rekey(p->vici, c->ike, c->child, tag);
		break;
	case IKE_ACT_LIST:
		(void)vici_list(p->vici, c->ike, c->child, tag);
		break;
	case IKE_ACT_SWEEP:
		sweep(p, a);
		break;
	case IKE_ACT_PURGED:
		printf("%.3f purged leftovers=%d\n", ms(p), a->leftovers);
		break;
	case IKE_ACT_UP:
		printf("%.3f up took_ms=%.3f\n", ms(p), (double)a->took_ns / 1e6);
		break;
	case IKE_ACT_DOWN:
		printf("%.3f down %s\n", ms(p), ike_reason_text(a->reason));
		break;
	case IKE_ACT_DPD_DEAD:
		printf("%.3f dead %s\n", ms(p), ike_reason_text(a->reason));
		break;
	case IKE_ACT_RESET_FAILED:
		printf("%.3f reset-failed %s\n", ms(p), ike_reason_text(a->reason));
		break;
	case IKE_ACT_HOOK:
		printf("%.3f hook %d\n", ms(p), (int)a->hook);
		break;
	case IKE_ACT_TRACE:
		printf("%.3f state %s -> %s: %s\n", ms(p), ike_state_name(a->from), ike_state_name(a->to),
		       ike_reason_text(a->reason));
		break;
	case IKE_ACT_CLOSED:
	case IKE_ACT_MADE:
	case IKE_ACT_N:
		break;
	}
}

static void step(struct probe *p, const struct ike_ev *ev)
{
	struct ike_acts acts;

	ike_step(&p->t, ev, clock_mono(), &acts);
	for (unsigned i = 0; i < acts.n; i++)
		act(p, &acts.a[i]);
	if (p->t.state == IKE_QUEUED) /* alone here */
		step(p, &(struct ike_ev){ .kind = IKE_EV_GRANT });
	loop_timer_set(p->fsm_timer, ike_deadline(&p->t));
}

static void on_tick(void *arg, mono_t deadline)
{
	(void)deadline;
	step(arg, &(struct ike_ev){ .kind = IKE_EV_TICK });
}

static void on_beat(void *arg, mono_t deadline)
{
	struct probe *p = arg;

	loop_timer_set(p->beat, mono_add(mono_max(deadline, clock_mono()), NS_PER_MS));
}

static void on_vici(void *arg, const struct vici_ev *v)
{
	struct probe *p = arg;
	struct ike_ev ev = { .up = v->up,
			     .sa_id = v->sa_id,
			     .seq = v->tag.seq,
			     .epoch = v->tag.epoch,
			     .req = v->req,
			     .ok = v->ok,
			     .matches = v->matches,
			     .sample = v->sample };

	switch (v->kind) {
	case VICI_EV_UP:
		printf("%.3f ready %s\n", ms(p), vici_version(p->vici));
		ev.kind = IKE_EV_BACKEND_UP;
		break;
	case VICI_EV_DOWN:
		printf("%.3f lost %s\n", ms(p), v->errmsg);
		ev.kind = IKE_EV_BACKEND_DOWN;
		break;
	case VICI_EV_REPLY:
		if (v->req != IKE_REQ_LIST)
			printf("%.3f reply %s ok=%d matches=%u %s\n", ms(p), ike_req_name(v->req), v->ok, v->matches,
			       v->errmsg);
		else
			printf("%.3f list child=%d id=%u in=%" PRIu64 " out=%" PRIu64 "\n", ms(p), v->sample.child,
			       v->sample.sa_id, v->sample.in_packets, v->sample.out_packets);
		ev.kind = v->req == IKE_REQ_LIST && v->ok ? IKE_EV_SA_LIST : IKE_EV_REPLY;
		break;
	case VICI_EV_CHILD_UPDOWN:
	case VICI_EV_CHILD_REKEY:
		printf("%.3f %s %s/%s id=%u up=%d\n", ms(p),
		       v->kind == VICI_EV_CHILD_REKEY ? "child-rekey" : "child-updown", v->ike, v->child, v->sa_id,
		       v->up);
		if (strcmp(v->ike, p->t.conf.ike) != 0 || strcmp(v->child, p->t.conf.child) != 0)
			return;
		ev.kind = v->kind == VICI_EV_CHILD_REKEY ? IKE_EV_CHILD_REKEY : IKE_EV_CHILD_UPDOWN;
		break;
	case VICI_EV_IKE_UPDOWN:
		printf("%.3f ike-updown %s id=%u up=%d\n", ms(p), v->ike, v->ike_id, v->up);
		if (strcmp(v->ike, p->t.conf.ike) != 0)
			return;
		ev.kind = IKE_EV_IKE_UPDOWN;
		break;
	case VICI_EV_IKE_REKEY:
	case VICI_EV_IKE_UPDATE:
		printf("%.3f %s %s\n", ms(p), v->kind == VICI_EV_IKE_REKEY ? "ike-rekey" : "ike-update", v->ike);
		return;
	case VICI_EV_ALERT:
		printf("%.3f alert %s\n", ms(p), vici_alert_word(v->alert));
		return;
	case VICI_EV_CONN:
	case VICI_EV_CONNS:
	case VICI_EV_SA:
	case VICI_EV_SAS:
		return; /* nobody asked */
	}
	step(p, &ev);
}

static bool reached(struct probe *p, const char *word, uint64_t before[IKE_ACT_N])
{
	if (strcmp(word, "ready") == 0)
		return vici_state(p->vici) == VICI_READY && p->t.state != IKE_PURGING;
	if (strcmp(word, "absent") == 0)
		return vici_state(p->vici) == VICI_ABSENT && p->t.state == IKE_ABSENT;
	if (strcmp(word, "stopped") == 0)
		return vici_state(p->vici) == VICI_STOPPED;
	if (strcmp(word, "purge") == 0)
		return p->seen[IKE_ACT_PURGED] > before[IKE_ACT_PURGED];
	if (strcmp(word, "wait-up") == 0)
		return p->t.state == IKE_UP;
	if (strcmp(word, "wait-down") == 0)
		return p->seen[IKE_ACT_DOWN] > before[IKE_ACT_DOWN];
	if (strcmp(word, "wait-dead") == 0)
		return p->seen[IKE_ACT_DPD_DEAD] > before[IKE_ACT_DPD_DEAD];
	return strcmp(word, "initiate") == 0;
}

static bool run_step(struct probe *p, const char *text)
{
	char word[32];
	uint64_t before[IKE_ACT_N];
	const char *colon = strchr(text, ':');
	int64_t limit = (colon ? atoi(colon + 1) : 3000) * NS_PER_MS;

	snprintf(word, sizeof(word), "%.*s", (int)(colon ? colon - text : 31), text);
	memcpy(before, p->seen, sizeof(before));
	printf("%.3f step %s\n", ms(p), text);
	mono_t end = mono_add(clock_mono(), limit);
	if (strcmp(word, "purge") == 0 || strcmp(word, "initiate") == 0) {
		p->epoch = epoch_next(p->epoch, 1);
		step(p, &(struct ike_ev){ .kind = word[0] == 'p' ? IKE_EV_PURGE : IKE_EV_INITIATE, .epoch = p->epoch });
	}
	while (!reached(p, word, before)) {
		if (mono_due(end, clock_mono()))
			return strcmp(word, "run") == 0;
		loop_once(p->loop, NS_PER_MS);
		fflush(stdout);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct probe p = { .begun = clock_mono() };
	struct ike_tunnel_conf c = { .initiate = true };

	if (argc < 7 || !addr_parse(argv[2], &c.vip) || !addr_parse(argv[3], &c.peer)) {
		fprintf(stderr, "usage: vici_probe SOCKET VIP PEER IKE CHILD STEP...\n");
		return 2;
	}
	snprintf(c.name, sizeof(c.name), "%s", argv[4]);
	snprintf(c.ike, sizeof(c.ike), "%s", argv[4]);
	snprintf(c.child, sizeof(c.child), "%s", argv[5]);
	c.dpd = (struct ike_dpd_conf){ true, 300 * NS_PER_MS, 100 * NS_PER_MS, 2, IKE_DPD_RESET, IKE_DPD_ON_DEMAND };
	p.loop = loop_new("probe");
	p.fsm_timer = loop_timer_new(p.loop, LOOP_NORMAL, on_tick, &p);
	p.beat = loop_timer_new(p.loop, LOOP_LATENCY, on_beat, &p);
	ike_init(&p.t, &c, false, clock_mono());
	p.vici = vici_new(p.loop, argv[1], on_vici, &p);
	on_beat(&p, clock_mono());
	int rc = 0;
	for (int i = 6; i < argc && rc == 0; i++) {
		if (run_step(&p, argv[i]))
			continue;
		printf("%.3f FAILED %s: tunnel %s, client %s\n", ms(&p), argv[i], ike_state_name(p.t.state),
		       vici_state_name(vici_state(p.vici)));
		rc = 1;
	}
	printf("%.3f late-max-us %" PRId64 "\n", ms(&p), (int64_t)(atomic_load(&loop_lateness(p.loop)->max_ns) / 1000));
	vici_free(p.vici);
	loop_timer_free(p.fsm_timer);
	loop_timer_free(p.beat);
	loop_free(p.loop);
	return rc;
}
