/*
 * Purpose: adverts byte by byte, made by another implementation, and two routers that they are meant for.
 * Owns:    conf4, conf6 and what they point to.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  a broken rule fails the running test.
 */
#ifndef KT_TESTS_VRRP_VECTORS_H
#define KT_TESTS_VRRP_VECTORS_H

#include "tests/unit/run.h"
#include "tests/unit/vrrp_seal.h"
#include "vrrp/vrrp_wire.h"

/* Version 3, IPv4 with pseudo-header and without, its IP header, IPv6; version 2 without authentication and with. */
extern const uint8_t v4[16];
extern const uint8_t v4_plain[16];
extern const uint8_t v4_ip[20];
extern const uint8_t v6[40];
extern const uint8_t v2_none[24];
extern const uint8_t v2_pass[24];

extern struct vrrp_vip vips4[300], vips6[300];
extern struct vrrp_conf conf4, conf6; /* what the vectors say */
extern struct addr own4, own6, group4, group6;
extern struct vrrp_unicast_peer peers4[3], peers6[1];

void vip(struct vrrp_vip *v, const char *text);
/* Everything above as it was. */
void setup(void);
/* A packet as it arrives from 192.0.2.2 or fe80::2. */
struct vrrp_rx rx4(const uint8_t *pdu, size_t len);
struct vrrp_rx rx6(const uint8_t *pdu, size_t len);
/* Runs tc, each test after setup; the exit status of the program. */
int vrrp_vectors_run(const char *name, TCase *tc);

#endif
