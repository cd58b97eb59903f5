#include <stddef.h>
#include "daemon/base/require.h"
#include "vrrp/vrrp_fsm.h"

const char *vrrp_state_text(enum vrrp_state s)
{
	static const char *const text[VRRP_STATE_N] = { "INIT", "BACKUP", "MASTER", "FAULT" };
	return (unsigned)s < VRRP_STATE_N ? text[s] : "?";
}

const char *vrrp_reason_text(enum vrrp_reason r)
{
	static const char *const text[] = {
#define VRRP_REASON_TEXT(name, what) [name] = what,
		VRRP_REASON_TABLE(VRRP_REASON_TEXT)
#undef VRRP_REASON_TEXT
	};
	return (unsigned)r < VRRP_REASON_N ? text[r] : "?";
}

const char *vrrp_warn_text(enum vrrp_warn w)
{
	static const char *const text[] = {
#define VRRP_WARN_TEXT(name, what) [name] = what,
		VRRP_WARN_TABLE(VRRP_WARN_TEXT)
#undef VRRP_WARN_TEXT
	};
	return (unsigned)w < VRRP_WARN_N ? text[w] : "?";
}

int64_t vrrp_skew_ns(uint8_t priority, int64_t master_adv_ns)
{
	return (256 - priority) * master_adv_ns / 256;
}

int64_t vrrp_master_down_ns(uint8_t priority, int64_t master_adv_ns)
{
	return 3 * master_adv_ns + vrrp_skew_ns(priority, master_adv_ns);
}

static struct vrrp_act *emit(struct vrrp_acts *out, enum vrrp_act_type type)
{
	require(out->n < VRRP_ACTS_MAX);
	struct vrrp_act *a = &out->a[out->n++];
	*a = (struct vrrp_act){ .type = type };
	return a;
}

static void send_advert(struct vrrp *v, uint8_t priority, struct vrrp_acts *out)
{
	emit(out, VRRP_ACT_SEND)->u.priority = priority;
	v->stats.adv_sent++;
	v->stats.zero_sent += priority == 0;
}

static void heard(struct vrrp *v, enum vrrp_act_type type, struct vrrp_acts *out)
{
	struct vrrp_act *a = emit(out, type);
	a->u.heard.priority = v->peer.priority;
	a->u.heard.src = v->peer.src;
}

/* Says it when the condition begins; forgets when it ends. */
static void warn_while(struct vrrp *v, enum vrrp_warn w, bool holds, struct vrrp_acts *out)
{
	unsigned bit = 1u << w;
	if (holds && (v->warned & bit) == 0)
		emit(out, VRRP_ACT_WARN)->u.warn = w;
	v->warned = holds ? v->warned | bit : v->warned & ~bit;
}

/* The only place that writes state. Timers of the state left are stopped; the caller starts those of the new one. */
static void enter(struct vrrp *v, enum vrrp_state to, enum vrrp_reason reason, mono_t now, struct vrrp_acts *out)
{
	struct vrrp_act *a = emit(out, VRRP_ACT_STATE);
	a->u.state.from = v->state;
	a->u.state.to = to;
	a->u.state.reason = reason;
	v->state = to;
	v->since = now;
	v->expired = false;
	v->master_down_at = v->advert_at = MONO_NEVER;
	v->stats.to_master += to == VRRP_MASTER;
	v->stats.to_backup += to == VRRP_BACKUP;
	v->stats.to_fault += to == VRRP_FAULT;
}

static void arm_master_down(struct vrrp *v, mono_t now)
{
	v->expired = false;
	v->master_down_at = mono_add(now, vrrp_master_down_ns(v->priority, v->master_adv_ns));
}

/* A living master was heard within the time after which a backup takes over. */
static bool master_lives(const struct vrrp *v, mono_t now)
{
	if (v->peer.src.af == ADDR_NONE || v->peer.priority == 0)
		return false;
	return mono_sub(now, v->peer.heard_at) <= vrrp_master_down_ns(v->priority, v->peer.adv_ns);
}

/* Is (priority, address) the better router? RFC 9568 6.4.3: the address decides between equal priorities. */
static int compare_peer(const struct vrrp *v)
{
	if (v->peer.priority != v->priority)
		return v->peer.priority > v->priority ? 1 : -1;
	return addr_cmp(&v->peer.src, &v->src);
}

/* RFC 9568 6.4.1 for all priorities: listen first. */
static void enter_backup(struct vrrp *v, enum vrrp_reason reason, mono_t now, struct vrrp_acts *out)
{
	enter(v, VRRP_BACKUP, reason, now, out);
	v->master_adv_ns = v->conf->adv_ns;
	v->take_reason = VRRP_R_NO_RESPONSE;
	arm_master_down(v, now);
}

static bool fit(const struct vrrp *v, enum vrrp_reason *why)
{
	*why = !v->link_up ? VRRP_R_LINK_DOWN : v->faulted ? VRRP_R_FAULT : VRRP_R_NO_SOURCE;
	return v->link_up && !v->faulted && v->src.af != ADDR_NONE;
}

/* After link, source or fault changed: into FAULT, or out of it. */
static void settle(struct vrrp *v, enum vrrp_reason begin, mono_t now, struct vrrp_acts *out)
{
	enum vrrp_reason why;
	if (!v->started)
		return;
	bool ok = fit(v, &why);
	if (ok && (v->state == VRRP_FAULT || v->state == VRRP_INIT)) {
		enter_backup(v, begin, now, out);
	} else if (!ok && v->state != VRRP_FAULT) {
		/* Tell the others while the wire still works, so that they need not wait. */
		if (v->state == VRRP_MASTER && why == VRRP_R_FAULT && v->src.af != ADDR_NONE)
			send_advert(v, 0, out);
		enter(v, VRRP_FAULT, why, now, out);
	}
}

/* The first beat after now on the grid base + k * interval, so that lateness neither drifts nor bursts. */
static mono_t next_beat(mono_t base, int64_t adv_ns, mono_t now)
{
	if (base.ns > now.ns)
		return mono_min(base, mono_add(now, adv_ns));
	return mono_add(base, (mono_sub(now, base) / adv_ns + 1) * adv_ns);
}

/* What is remembered and remarked of each accepted advertisement, in any running state. */
static void note_advert(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	require(ev->u.advert.adv_ns > 0);
	v->peer = (struct vrrp_peer){
		.src = ev->u.advert.src,
		.priority = ev->u.advert.priority,
		.adv_ns = ev->u.advert.adv_ns,
		.heard_at = now,
	};
	bool other_interval = ev->u.advert.adv_ns != v->conf->adv_ns;
	v->stats.adv_rcvd++;
	v->stats.zero_rcvd += ev->u.advert.priority == 0;
	v->stats.vips_differ += ev->u.advert.vip_list_differs;
	v->stats.interval_differs += other_interval;
	warn_while(v, VRRP_W_VIPS, ev->u.advert.vip_list_differs, out);
	warn_while(v, VRRP_W_INTERVAL, other_interval, out);
	warn_while(v, VRRP_W_TWO_OWNERS, ev->u.advert.priority == 255 && v->priority == 255, out);
}

/* RFC 9568 6.4.2 */
static void backup_advert(struct vrrp *v, mono_t now, struct vrrp_acts *out)
{
	if (v->peer.priority == 0) {
		v->take_reason = VRRP_R_PRIORITY;
		/* Never later than before: repeated farewells must not hold off the takeover. */
		if (!v->expired)
			v->master_down_at =
			    mono_min(v->master_down_at, mono_add(now, vrrp_skew_ns(v->priority, v->master_adv_ns)));
		heard(v, VRRP_ACT_HEARD_ZERO, out);
		return;
	}
	v->take_reason = VRRP_R_PREEMPTED;
	v->master_adv_ns = v->peer.adv_ns;
	arm_master_down(v, now);
	if (v->peer.priority < v->priority && (v->conf->preempt || v->priority == 255)) {
		v->stats.heard_lower++;
		heard(v, VRRP_ACT_HEARD_LOWER, out);
	} else {
		heard(v, VRRP_ACT_HEARD_MASTER, out);
	}
}

/* RFC 9568 6.4.3 */
static void master_advert(struct vrrp *v, struct vrrp_acts *out)
{
	if (v->peer.priority == 0) {
		send_advert(v, v->priority, out);
		heard(v, VRRP_ACT_HEARD_ZERO, out);
		return;
	}
	int cmp = compare_peer(v);
	if (cmp > 0) {
		v->stats.heard_higher++;
		heard(v, VRRP_ACT_HEARD_HIGHER, out);
	} else if (cmp < 0) {
		send_advert(v, v->priority, out);
		heard(v, VRRP_ACT_HEARD_RIVAL, out);
	} else {
		v->stats.ignored++;
	}
}

static void on_advert(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	switch (v->state) {
	case VRRP_INIT:
		v->stats.ignored++;
		return;
	case VRRP_FAULT: /* who else is there is worth knowing when the fault ends */
		note_advert(v, ev, now, out);
		return;
	case VRRP_BACKUP:
		note_advert(v, ev, now, out);
		backup_advert(v, now, out);
		return;
	case VRRP_MASTER:
		note_advert(v, ev, now, out);
		master_advert(v, out);
		return;
	case VRRP_STATE_N:
		break;
	}
	require(!"a state outside the enumeration");
}

/* A tick that finds nothing due is harmless: timers are moved while it is under way. */
static void on_tick(struct vrrp *v, mono_t now, struct vrrp_acts *out)
{
	if (v->state == VRRP_BACKUP && mono_due(v->master_down_at, now)) {
		v->master_down_at = MONO_NEVER;
		v->expired = true;
		v->stats.expired++;
		if (v->take_reason != VRRP_R_PRIORITY)
			v->take_reason = VRRP_R_NO_RESPONSE;
		emit(out, VRRP_ACT_EXPIRED);
	} else if (v->state == VRRP_MASTER && mono_due(v->advert_at, now)) {
		v->stats.adv_skipped += (uint64_t)(mono_sub(now, v->advert_at) / v->conf->adv_ns);
		v->advert_at = next_beat(v->advert_at, v->conf->adv_ns, now);
		send_advert(v, v->priority, out);
	}
}

static void on_take(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	if (v->state != VRRP_BACKUP && v->state != VRRP_MASTER) {
		v->stats.ignored++;
		return;
	}
	mono_t base = ev->u.take.advert_base.ns == 0 ? now : ev->u.take.advert_base;
	send_advert(v, v->priority, out);
	if (v->state == VRRP_BACKUP) {
		v->master_reason = v->take_reason;
		enter(v, VRRP_MASTER, v->master_reason, now, out);
		v->master_adv_ns = v->conf->adv_ns;
	}
	v->advert_at = next_beat(base, v->conf->adv_ns, now);
}

static void on_yield(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	if (v->state != VRRP_MASTER) {
		v->stats.ignored++;
		return;
	}
	bool lives = master_lives(v, now);
	if (ev->u.yield.send_zero)
		send_advert(v, 0, out);
	enter(v, VRRP_BACKUP, lives && compare_peer(v) > 0 ? VRRP_R_HIGHER : VRRP_R_YIELD, now, out);
	/* 6.4.3: the new master's interval counts from here on. */
	v->master_adv_ns = lives ? v->peer.adv_ns : v->conf->adv_ns;
	v->take_reason = lives ? VRRP_R_PREEMPTED : VRRP_R_NO_RESPONSE;
	arm_master_down(v, now);
}

static void on_rearm(struct vrrp *v, const struct vrrp_ev *ev, mono_t now)
{
	if (v->state != VRRP_BACKUP) {
		v->stats.ignored++;
		return;
	}
	v->stats.rearmed++;
	arm_master_down(v, now);
	if (ev->u.rearm.delay_ns > 0)
		v->master_down_at = mono_add(now, ev->u.rearm.delay_ns);
}

/* A running timer moves by the difference in skew: what was waited so far stays waited. */
static void set_priority(struct vrrp *v, uint8_t priority)
{
	require(priority > 0);
	int64_t d_ns = vrrp_skew_ns(priority, v->master_adv_ns) - vrrp_skew_ns(v->priority, v->master_adv_ns);
	v->master_down_at = mono_add(v->master_down_at, d_ns);
	v->priority = priority;
}

static void on_conf(struct vrrp *v, const struct vrrp_conf *conf, mono_t now)
{
	bool own_priority = v->conf->priority != conf->priority;
	v->conf = conf;
	if (own_priority)
		set_priority(v, conf->priority);
	if (v->state == VRRP_BACKUP && !v->expired && !master_lives(v, now)) {
		/* Nobody's interval was learnt: ours counts. */
		v->master_adv_ns = conf->adv_ns;
		arm_master_down(v, now);
	} else if (v->state == VRRP_MASTER) {
		v->master_adv_ns = conf->adv_ns;
		v->advert_at = mono_min(v->advert_at, mono_add(now, conf->adv_ns));
	}
}

static void on_start(struct vrrp *v, mono_t now, struct vrrp_acts *out)
{
	if (v->started) {
		v->stats.ignored++;
		return;
	}
	v->started = true;
	settle(v, VRRP_R_START, now, out);
}

static void on_stop(struct vrrp *v, mono_t now, struct vrrp_acts *out)
{
	if (!v->started) {
		v->stats.ignored++;
		return;
	}
	v->started = false;
	if (v->state == VRRP_MASTER)
		send_advert(v, 0, out); /* 6.4.3, Shutdown */
	enter(v, VRRP_INIT, VRRP_R_STOP, now, out);
}

void vrrp_init(struct vrrp *v, const struct vrrp_conf *conf)
{
	*v = (struct vrrp){
		.conf = conf,
		.state = VRRP_INIT,
		.priority = conf->priority,
		.master_adv_ns = conf->adv_ns,
		.master_down_at = MONO_NEVER,
		.advert_at = MONO_NEVER,
	};
}

void vrrp_step(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	out->n = 0;
	switch (ev->type) {
	case VRRP_EV_START:
		on_start(v, now, out);
		return;
	case VRRP_EV_STOP:
		on_stop(v, now, out);
		return;
	case VRRP_EV_LINK_UP:
		v->link_up = true;
		settle(v, VRRP_R_RECOVERED, now, out);
		return;
	case VRRP_EV_LINK_DOWN:
		v->link_up = false;
		settle(v, VRRP_R_RECOVERED, now, out);
		return;
	case VRRP_EV_ADVERT:
		on_advert(v, ev, now, out);
		return;
	case VRRP_EV_TICK:
		on_tick(v, now, out);
		return;
	case VRRP_EV_TAKE:
		on_take(v, ev, now, out);
		return;
	case VRRP_EV_YIELD:
		on_yield(v, ev, now, out);
		return;
	case VRRP_EV_FAULT:
		v->faulted = true;
		settle(v, VRRP_R_RECOVERED, now, out);
		return;
	case VRRP_EV_FAULT_CLEAR:
		v->faulted = false;
		settle(v, VRRP_R_RECOVERED, now, out);
		return;
	case VRRP_EV_REARM:
		on_rearm(v, ev, now);
		return;
	case VRRP_EV_PRIORITY:
		set_priority(v, ev->u.priority);
		return;
	case VRRP_EV_CONF:
		on_conf(v, ev->u.conf, now);
		return;
	case VRRP_EV_SRC:
		v->src = ev->u.src;
		settle(v, VRRP_R_RECOVERED, now, out);
		return;
	case VRRP_EV_N:
		break;
	}
	require(!"an event outside the enumeration");
}

mono_t vrrp_deadline(const struct vrrp *v)
{
	return mono_min(v->master_down_at, v->advert_at);
}

bool vrrp_stalled(const struct vrrp *v, mono_t now)
{
	if (v->state == VRRP_MASTER)
		return mono_sub(now, v->advert_at) > 3 * v->conf->adv_ns;
	if (v->state == VRRP_BACKUP && !v->expired)
		return mono_sub(now, v->master_down_at) > v->master_adv_ns;
	return false;
}
