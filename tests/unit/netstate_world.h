/*
 * Purpose: netstate beside an imagined kernel: declared addresses, and driving both until they agree.
 * Owns:    ns, f, now.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_NETSTATE_WORLD_H
#define KT_TESTS_NETSTATE_WORLD_H

#include <check.h>
#include <stdlib.h>
#include "tests/sim/fake_rtnl.h"

extern struct netstate ns;
extern struct fake_rtnl f;
extern mono_t now;
extern int va, vb;                  /* interfaces */
extern unsigned sent_add, sent_del; /* operations so far */

struct addr ip(const char *text);
struct net_addr at(int ifindex, const char *text, uint8_t proto);
/* A new world; teardown() ends the one before. marks: the kernel knows IFA_PROTO. */
void begin(bool marks);
void teardown(void);
int want(uint16_t group, const char *ifname, const char *text);
/* Two groups: 0 with two IPv4 and two IPv6 addresses on va, 1 with one address on vb. */
void declare(void);
/* The same, and group 1 wants one of group 0's addresses as well. */
void declare_overlapping(void);
/* Until nothing is to be done: operations, results, events. */
void drive(void);
void later(int64_t ns_later);
void started(void);
struct net_status status(uint16_t group);
void up(uint16_t group);
void down(uint16_t group);
bool has(int link, const char *text);
/* Runs tc with the fixture; the exit status of the program. */
int netstate_run(const char *name, TCase *tc);

#endif
