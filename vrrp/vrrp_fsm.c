#include <stddef.h>
#include <string.h>
#include "daemon/base/mutant.h"
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

enum { OWNER = 255, OWNER_LOWERED = 254 };

int64_t vrrp_skew_of(const struct vrrp *v, int64_t adv_ns)
{
	return (256 - v->priority) * (v->conf->version == VRRP_V3 ? adv_ns : NS_PER_SEC) / 256;
}

int64_t vrrp_down_of(const struct vrrp *v, int64_t adv_ns)
{
	return v->conf->down_adverts * adv_ns + vrrp_skew_of(v, adv_ns);
}

int64_t vrrp_skew(const struct vrrp *v)
{
	return vrrp_skew_of(v, v->master_adv_ns);
}

int64_t vrrp_down(const struct vrrp *v)
{
	return vrrp_down_of(v, v->master_adv_ns);
}

int64_t vrrp_peer_down(const struct vrrp *v)
{
	return vrrp_down_of(v, v->peer.src.af == ADDR_NONE ? v->conf->adv_ns : v->peer.adv_ns);
}

int64_t vrrp_own_down(const struct vrrp *v)
{
	return vrrp_down_of(v, v->conf->adv_ns);
}

int64_t vrrp_preempt_left(const struct vrrp *v, mono_t now)
{
	if (v->state != VRRP_BACKUP || mono_is_never(v->lower_since))
		return 0;
	int64_t left_ns = v->conf->preempt_delay_ns - mono_sub(now, v->lower_since);
	return left_ns > 0 ? left_ns : 0;
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
	v->master_down_at = v->advert_at = v->lower_since = v->owner_since = MONO_NEVER;
	v->stats.to_master += to == VRRP_MASTER;
	v->stats.to_backup += to == VRRP_BACKUP;
	v->stats.to_fault += to == VRRP_FAULT;
}

static void arm_master_down(struct vrrp *v, mono_t now)
{
	v->expired = false;
	v->master_down_at = mono_add(now, vrrp_down(v));
}

/* A running timer moves by the difference in skew: what was waited so far stays waited. */
static void use_priority(struct vrrp *v, uint8_t priority)
{
	int64_t before_ns = vrrp_skew(v);
	v->priority = priority;
	v->master_down_at = mono_add(v->master_down_at, vrrp_skew(v) - before_ns);
}

/* A living master was heard within the time after which a backup takes over. */
static bool master_lives(const struct vrrp *v, mono_t now)
{
	if (v->peer.src.af == ADDR_NONE || v->peer.priority == 0)
		return false;
	return mono_sub(now, v->peer.heard_at) <= vrrp_peer_down(v);
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
	*why = !v->link_up  ? VRRP_R_LINK_DOWN
	       : v->tracked ? VRRP_R_TRACKED
	       : v->faulted ? VRRP_R_FAULT
			    : VRRP_R_NO_SOURCE;
	return v->link_up && !v->faulted && !v->tracked && v->src.af != ADDR_NONE;
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
		bool speaks = why == VRRP_R_FAULT || why == VRRP_R_TRACKED;
		if (v->state == VRRP_MASTER && speaks && v->src.af != ADDR_NONE)
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

/* What was lowered for the sake of another owner is as configured again. */
static void owner_again(struct vrrp *v, struct vrrp_acts *out)
{
	if (v->priority == v->wanted)
		return;
	use_priority(v, v->wanted);
	warn_while(v, VRRP_W_OWNER_LOWERED, false, out);
}

/* The other owner is silent, or another router than it is heard. */
static bool owner_gone(const struct vrrp *v, mono_t now)
{
	if (v->peer.priority == OWNER && master_lives(v, now))
		return false;
	return mono_sub(now, v->owner_heard_at) > vrrp_peer_down(v);
}

/*
 * MASTER of priority 255 hears another one whose address is lower, which therefore has to yield. After two
 * advertisements of ours and 1.2 of its intervals it could have: whoever still speaks then does not listen.
 */
static void owner_heard(struct vrrp *v, mono_t now, struct vrrp_acts *out)
{
	int64_t slower_ns = v->peer.adv_ns > v->conf->adv_ns ? v->peer.adv_ns : v->conf->adv_ns;
	if (v->priority != OWNER || v->peer.priority != OWNER)
		return;
	bool paused = !mono_is_never(v->owner_since) && mono_sub(now, v->owner_heard_at) > vrrp_peer_down(v);
	v->owner_heard_at = now;
	if (v->state != VRRP_MASTER || compare_peer(v) >= 0)
		return;
	if (mono_is_never(v->owner_since) || paused)
		v->owner_since = now;
	if (mono_sub(now, v->owner_since) < 2 * v->conf->adv_ns + slower_ns * 12 / 10 || MUTANT(M_OWNER_STUBBORN))
		return;
	use_priority(v, OWNER_LOWERED);
	warn_while(v, VRRP_W_OWNER_LOWERED, true, out);
}

/* What is remembered and remarked of each accepted advertisement, in any running state. */
static void note_advert(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	require(ev->u.advert.adv_ns > 0);
	bool compared = !v->conf->lists_once || !addr_eq(&v->peer.src, &ev->u.advert.src);
	v->peer = (struct vrrp_peer){
		.src = ev->u.advert.src,
		.priority = ev->u.advert.priority,
		.v2 = ev->u.advert.v2,
		.adv_ns = ev->u.advert.adv_ns,
		.heard_at = now,
	};
	bool other_interval = ev->u.advert.adv_ns != v->conf->adv_ns;
	v->stats.adv_rcvd++;
	v->stats.zero_rcvd += ev->u.advert.priority == 0;
	v->stats.vips_differ += compared && ev->u.advert.vip_list_differs;
	v->stats.interval_differs += other_interval;
	if (compared)
		warn_while(v, VRRP_W_VIPS, ev->u.advert.vip_list_differs, out);
	warn_while(v, VRRP_W_INTERVAL, other_interval && !v->peer.v2, out);
	warn_while(v, VRRP_W_V2_INTERVAL, other_interval && v->peer.v2, out);
	warn_while(v, VRRP_W_TWO_OWNERS, v->peer.priority == OWNER && v->wanted == OWNER, out);
	if (v->peer.priority == OWNER && v->priority != v->wanted)
		v->owner_heard_at = now;
	if (owner_gone(v, now))
		owner_again(v, out);
	owner_heard(v, now, out);
}

/* The place of this router in v3, or the one to be given up for it. */
static struct vrrp_v3_heard *v3_slot(struct vrrp *v, const struct addr *src)
{
	struct vrrp_v3_heard *oldest = &v->v3[0];
	for (unsigned i = 0; i < VRRP_V3_HEARD; i++) {
		if (addr_eq(&v->v3[i].src, src))
			return &v->v3[i];
		if (v->v3[i].until.ns < oldest->until.ns)
			oldest = &v->v3[i];
	}
	return oldest;
}

/*
 * RFC 5798 8.4.1: a router that speaks both versions is heard twice in each interval, and its version 2 form says less
 * (whole seconds). True: it is the echo of what version 3 says.
 */
static bool is_echo(struct vrrp *v, const struct vrrp_ev *ev, mono_t now)
{
	if (v->conf->version != VRRP_V2_AND_3)
		return false;
	struct vrrp_v3_heard *h = v3_slot(v, &ev->u.advert.src);
	if (!ev->u.advert.v2) {
		*h = (struct vrrp_v3_heard){ .src = ev->u.advert.src,
					     .priority = ev->u.advert.priority,
					     .until = mono_add(now, ev->u.advert.adv_ns * 3 / 2) };
		return false;
	}
	if (!addr_eq(&h->src, &ev->u.advert.src) || mono_before(h->until, now))
		return false;
	if (ev->u.advert.priority == 0 && h->priority != 0) {
		h->priority = 0; /* the version 3 form of the farewell was lost; said twice it is an echo again */
		return false;
	}
	v->stats.v2_echoes++;
	return true;
}

/* A lower master, and preemption is wanted: has the delay run out? It begins with the first one heard. */
static bool may_preempt(struct vrrp *v, mono_t now)
{
	if (v->peer.priority >= v->priority || !(v->conf->preempt || v->wanted == OWNER)) {
		v->lower_since = MONO_NEVER;
		return false;
	}
	if (mono_is_never(v->lower_since))
		v->lower_since = now;
	return vrrp_preempt_left(v, now) == 0 || MUTANT(M_PREEMPT_DELAY_IGNORED);
}

/* RFC 9568 6.4.2 */
static void backup_advert(struct vrrp *v, mono_t now, struct vrrp_acts *out)
{
	if (v->peer.priority == 0) {
		v->take_reason = VRRP_R_PRIORITY;
		/* Never later than before: repeated farewells must not hold off the takeover. */
		if (!v->expired)
			v->master_down_at = mono_min(v->master_down_at, mono_add(now, vrrp_skew(v)));
		heard(v, VRRP_ACT_HEARD_ZERO, out);
		return;
	}
	v->take_reason = VRRP_R_PREEMPTED;
	/* RFC 3768 6.1: version 2 has one interval, which is ours; its field may be a rounded one. */
	v->master_adv_ns = v->conf->version == VRRP_V2 ? v->conf->adv_ns : v->peer.adv_ns;
	arm_master_down(v, now);
	if (may_preempt(v, now)) {
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
		if (v->conf->lower_advert) /* RFC 9568; RFC 3768 and 5798 discard it */
			send_advert(v, v->priority, out);
		heard(v, VRRP_ACT_HEARD_RIVAL, out);
	} else {
		v->stats.ignored++;
	}
}

static void on_advert(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out)
{
	if (v->state != VRRP_INIT && is_echo(v, ev, now)) {
		if (MUTANT(M_ECHO_MOVES_TIMER) && v->state == VRRP_BACKUP)
			arm_master_down(v, now);
		return;
	}
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
		v->lower_since = MONO_NEVER;
		v->stats.expired++;
		owner_again(v, out);
		if (v->take_reason != VRRP_R_PRIORITY)
			v->take_reason = VRRP_R_NO_RESPONSE;
		emit(out, VRRP_ACT_EXPIRED);
	} else if (v->state == VRRP_MASTER && mono_due(v->advert_at, now)) {
		v->stats.adv_skipped += (uint64_t)(mono_sub(now, v->advert_at) / v->conf->adv_ns);
		v->advert_at = next_beat(v->advert_at, v->conf->adv_ns, now);
		if (owner_gone(v, now))
			owner_again(v, out);
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
	bool higher = lives && compare_peer(v) > 0;
	if (ev->u.yield.send_zero)
		send_advert(v, 0, out);
	else if (higher && v->conf->higher_advert)
		send_advert(v, v->priority, out); /* it learns that there was a master, and its neighbours do */
	enter(v, VRRP_BACKUP, higher ? VRRP_R_HIGHER : VRRP_R_YIELD, now, out);
	/* 6.4.3: the new master's interval counts from here on. */
	v->master_adv_ns = lives && v->conf->version != VRRP_V2 ? v->peer.adv_ns : v->conf->adv_ns;
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

/* An owner that was lowered for another owner's sake is not one any more, or stays lowered. */
static void set_priority(struct vrrp *v, uint8_t priority, struct vrrp_acts *out)
{
	require(priority > 0);
	bool lowered = v->priority != v->wanted && priority == OWNER;
	v->wanted = priority;
	use_priority(v, lowered ? OWNER_LOWERED : priority);
	warn_while(v, VRRP_W_OWNER_LOWERED, lowered, out);
}

static void on_conf(struct vrrp *v, const struct vrrp_conf *conf, mono_t now, struct vrrp_acts *out)
{
	bool own_priority = v->conf->priority != conf->priority;
	require(conf->down_adverts > 0);
	if (v->conf->version != conf->version)
		memset(v->v3, 0, sizeof(v->v3));
	v->conf = conf;
	if (own_priority)
		set_priority(v, conf->priority, out);
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
	require(conf->down_adverts > 0);
	*v = (struct vrrp){
		.conf = conf,
		.state = VRRP_INIT,
		.priority = conf->priority,
		.wanted = conf->priority,
		.master_adv_ns = conf->adv_ns,
		.master_down_at = MONO_NEVER,
		.advert_at = MONO_NEVER,
		.lower_since = MONO_NEVER,
		.owner_since = MONO_NEVER,
		.owner_heard_at = MONO_NEVER,
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
		set_priority(v, ev->u.priority, out);
		return;
	case VRRP_EV_TRACK:
		v->tracked = ev->u.track.fault;
		settle(v, VRRP_R_RECOVERED, now, out);
		return;
	case VRRP_EV_CONF:
		on_conf(v, ev->u.conf, now, out);
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
		return mono_sub(now, v->advert_at) > v->conf->down_adverts * v->conf->adv_ns;
	if (v->state == VRRP_BACKUP && !v->expired)
		return mono_sub(now, v->master_down_at) > v->master_adv_ns;
	return false;
}
