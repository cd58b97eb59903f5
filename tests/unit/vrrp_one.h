/*
 * Purpose: one virtual router, driven by hand; what a step did is a short text.
 * Owns:    v, conf, acts.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_VRRP_ONE_H
#define KT_TESTS_VRRP_ONE_H

#include <check.h>
#include <stdlib.h>
#include "vrrp/vrrp_fsm.h"

#define ADV  (100 * NS_PER_MS)
#define SKEW INT64_C(60937500) /* 156/256 of 100 ms */
#define DOWN (3 * ADV + SKEW)
#define HALF (50 * NS_PER_MS) /* every event but TICK_DUE comes this long after T0: nothing is due then */
#define T0   ((mono_t){ 10 * NS_PER_SEC })

extern struct vrrp_conf conf;
extern struct vrrp v;
extern struct vrrp_acts acts;

/* RFC 9568 6.1, once more. */
int64_t skew(int priority, int64_t adv_ns);
int64_t down(int priority, int64_t adv_ns);
/* What follows from an event, as text (render() in vrrp_one.c); by kind of event. */
const char *step(const struct vrrp_ev *ev, mono_t now);
const char *plain(enum vrrp_ev_type type, mono_t now);
const char *advert(uint8_t priority, uint8_t last_octet, int64_t adv_ns, mono_t now);
const char *take(mono_t base, mono_t now);
const char *yield(bool zero, mono_t now);
const char *src(struct addr a, mono_t now);
/* d_ns after T0. */
mono_t at(int64_t d_ns);
void setup(void);

enum start { IN_INIT = 0, IN_BACKUP, IN_EXPIRED, IN_MASTER, IN_FAULT, STARTS };
/* Brings the machine to a state; all timers began at T0. */
void bring(enum start s);
/* Runs tc with the fixture; the exit status of the program. */
int vrrp_one_run(const char *name, TCase *tc);

#endif
