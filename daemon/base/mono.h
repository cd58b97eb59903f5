/*
 * Purpose: instants of the monotonic clock as a type of their own, so that an instant and a plain number cannot be
 *          mixed.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  values only. Durations are int64_t nanoseconds, their names end in _ns.
 * Errors:  none; arithmetic with MONO_NEVER stays MONO_NEVER.
 */
#ifndef KT_BASE_MONO_H
#define KT_BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mono {
	int64_t ns;
} mono_t;

#define MONO_NEVER ((mono_t){ INT64_MAX })
#define MONO_ZERO  ((mono_t){ 0 })
#define NS_PER_US  INT64_C(1000)
#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)

static inline bool mono_is_never(mono_t t)
{
	return t.ns == INT64_MAX;
}

/* The instant d_ns after t (d_ns may be negative). */
static inline mono_t mono_add(mono_t t, int64_t d_ns)
{
	return mono_is_never(t) ? t : (mono_t){ t.ns + d_ns };
}

/* a - b in nanoseconds; INT64_MAX if a is MONO_NEVER. */
static inline int64_t mono_sub(mono_t a, mono_t b)
{
	return mono_is_never(a) ? INT64_MAX : a.ns - b.ns;
}

static inline bool mono_before(mono_t a, mono_t b)
{
	return a.ns < b.ns;
}

/* True when the deadline t is reached at instant now. */
static inline bool mono_due(mono_t t, mono_t now)
{
	return t.ns <= now.ns;
}

static inline mono_t mono_min(mono_t a, mono_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline mono_t mono_max(mono_t a, mono_t b)
{
	return a.ns > b.ns ? a : b;
}

#endif
