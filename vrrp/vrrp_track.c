#include "vrrp/vrrp_track.h"

#include "daemon/base/require.h"

enum { OWNER = 255, LOWEST = 1, HIGHEST = 254, FAULT_PRODUCT = -254 };

const char *vrrp_track_kind_text(enum vrrp_track_kind k)
{
	static const char *const text[VRRP_TRACK_KIND_N] = { "interface", "script", "process", "file", "conntrack" };
	return (unsigned)k < VRRP_TRACK_KIND_N ? text[k] : "?";
}

void vrrp_track_obj_init(struct vrrp_track_obj *o, const struct vrrp_track_conf *conf, mono_t now)
{
	require(conf->rise > 0 && conf->fall > 0);
	*o = (struct vrrp_track_obj){ .conf = conf, .known = conf->init_fail, .since = now, .first_at = MONO_NEVER };
}

void vrrp_track_obj_carry(struct vrrp_track_obj *o, const struct vrrp_track_obj *old)
{
	const struct vrrp_track_conf *conf = o->conf;
	/* What was only assumed is assumed as the new configuration says. */
	if (mono_is_never(old->first_at))
		return;
	*o = *old;
	o->conf = conf;
}

static void turn(struct vrrp_track_obj *o, bool up, mono_t now)
{
	o->up = up;
	o->run = 0;
	o->since = now;
	o->changes++;
}

bool vrrp_track_result(struct vrrp_track_obj *o, bool ok, mono_t now)
{
	if (mono_is_never(o->first_at))
		o->first_at = now;
	if (!o->known) {
		o->known = true;
		turn(o, ok, now);
		return true;
	}
	if (ok == o->up) {
		o->run = 0;
		return false;
	}
	o->run++;
	if (o->run < (ok ? o->conf->rise : o->conf->fall))
		return false;
	turn(o, ok, now);
	return true;
}

bool vrrp_track_value(struct vrrp_track_obj *o, int64_t value, mono_t now)
{
	if (mono_is_never(o->first_at))
		o->first_at = now;
	if (o->known && o->value == value)
		return false;
	o->known = true;
	o->value = value;
	turn(o, value == 0, now);
	return true;
}

void vrrp_track_note(struct vrrp_track_obj *o, int64_t value)
{
	o->value = value;
}

static int32_t clamp(int64_t points)
{
	return points > VRRP_TRACK_POINTS_MAX    ? VRRP_TRACK_POINTS_MAX
	       : points < -VRRP_TRACK_POINTS_MAX ? -VRRP_TRACK_POINTS_MAX
						 : (int32_t)points;
}

/* The number of a file times its weight; numbers are at most 32 bits, factors at most a million. */
static int64_t product(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *o)
{
	return o->value * ref->weight * (ref->reverse ? -1 : 1);
}

int32_t vrrp_track_points(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *objs)
{
	const struct vrrp_track_obj *o = &objs[ref->obj];
	if (!o->known || ref->weight == 0)
		return 0;
	if (o->conf->kind == VRRP_TRACK_FILE)
		return clamp(product(ref, o));
	bool counts = ref->weight > 0 ? o->up : !o->up;
	return counts ? clamp(ref->reverse ? -ref->weight : ref->weight) : 0;
}

bool vrrp_track_is_fault(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *objs)
{
	const struct vrrp_track_obj *o = &objs[ref->obj];
	if (!o->known)
		return false;
	if (o->conf->kind == VRRP_TRACK_FILE && ref->weight != 0)
		return product(ref, o) <= FAULT_PRODUCT;
	return ref->weight == 0 && o->up == ref->reverse;
}

bool vrrp_track_waits(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *objs)
{
	const struct vrrp_track_obj *o = &objs[ref->obj];
	return !o->known && (ref->weight == 0 || o->conf->kind == VRRP_TRACK_FILE);
}

struct vrrp_track_verdict vrrp_track_judge(const struct vrrp_track_ref *refs, uint32_t n,
					   const struct vrrp_track_obj *objs)
{
	struct vrrp_track_verdict v = { 0 };
	for (uint32_t i = 0; i < n; i++) {
		const struct vrrp_track_ref *ref = &refs[i];
		if (!ref->repeated)
			v.points += vrrp_track_points(ref, objs);
		if (vrrp_track_is_fault(ref, objs)) {
			if (!v.faults++)
				v.fault_obj = ref->obj;
			v.fault |= ref->inst == VRRP_TRACK_GROUP;
		}
		v.waits |= ref->inst == VRRP_TRACK_GROUP && vrrp_track_waits(ref, objs);
	}
	return v;
}

void vrrp_track_mark(const struct vrrp_track_ref *refs, uint32_t n, const struct vrrp_track_obj *objs, uint8_t *marks)
{
	for (uint32_t i = 0; i < n; i++) {
		if (refs[i].inst == VRRP_TRACK_GROUP)
			continue;
		if (vrrp_track_is_fault(&refs[i], objs))
			marks[refs[i].inst] |= VRRP_TRACK_M_FAULT;
		if (vrrp_track_waits(&refs[i], objs))
			marks[refs[i].inst] |= VRRP_TRACK_M_WAITS;
	}
}

uint8_t vrrp_track_priority(uint8_t base, int32_t points)
{
	if (base == OWNER)
		return base;
	int32_t p = base + points;
	return (uint8_t)(p < LOWEST ? LOWEST : p > HIGHEST ? HIGHEST : p);
}
