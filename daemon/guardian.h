/*
 * Purpose: one child process that cleans up when the daemon dies without a goodbye and a healthy backup was known; rules
 *          of iptables, which do not vanish with the process as those of nftables do, it removes at every end.
 * Owns:    the child, a pipe to it, and a shared area with messages the daemon prepared.
 * Thread:  guardian_start before any thread exists; the rest on CONTROL. No call here blocks.
 * In:      prepared rtnetlink messages, prepared adverts, "a healthy backup is known".
 * Out:     when the pipe ends: deletes addresses, then takes links down, then sends adverts of priority 0, then deletes
 *          routes and rules, for which no neighbour waits.
 * Errors:  -errno from guardian_start; guardian_alive() tells when the child is gone (then nobody cleans up: say so).
 *
 * The child parses nothing, reads no network, ignores SIGTERM, SIGINT, SIGHUP and the like, and ends on the goodbye
 * byte or when its work is done. Each message has its own validity word, written last: a message that was being
 * written when the daemon died is left out.
 */
#ifndef KT_GUARDIAN_H
#define KT_GUARDIAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/base/addr.h"
#include "daemon/netstate.h"
#include "daemon/rtnl_wire.h"

#define GUARDIAN_OBJECTS    (NET_OBJECTS_MAX + 1) /* slot number = object handle of netstate */
#define GUARDIAN_LINKS      GUARDIAN_OBJECTS      /* the same numbers */
#define GUARDIAN_ROUTE_MAX  256                   /* longest message of a route or rule */
#define GUARDIAN_MSG_MAX    96                    /* of an address or a link */
#define GUARDIAN_ADVERTS    131072                /* every virtual router in two versions */
#define GUARDIAN_ADVERT_MAX 1500

struct guardian;

/* A prepared advert: the VRRP part with its checksum; TOS 0xc0 is set by the guardian's sockets. */
struct guardian_advert {
	int ifindex;
	struct addr src, dst;
	uint8_t ttl; /* or hop limit; 0: 255 */
	uint16_t len;
	uint8_t bytes[GUARDIAN_ADVERT_MAX];
};

struct guardian_conf {
	const char *report_path; /* the child replaces this file by one line about what it did; NULL: none */
	int rt_prio;             /* SCHED_FIFO priority of the child, 0: none */
};

/* Forks the child in the present network namespace. NULL with errno. Needs CAP_NET_ADMIN and CAP_NET_RAW. */
struct guardian *guardian_start(const struct guardian_conf *c);
/* Prepared message of an address that is ours now (slot 1..GUARDIAN_OBJECTS-1). 0, -EINVAL or -EMSGSIZE. */
int guardian_object_set(struct guardian *g, uint32_t slot, const uint8_t *msg, size_t len);
/* The address lost our mark or is gone. */
void guardian_object_withdraw(struct guardian *g, uint32_t slot);
/* Message that deletes a route or rule of ours, after everything else; len 0 withdraws. */
int guardian_route_set(struct guardian *g, uint32_t slot, const uint8_t *msg, size_t len);
/* Message that takes a link down (slot 0..GUARDIAN_LINKS-1); len 0 withdraws. */
int guardian_link_set(struct guardian *g, uint32_t slot, const uint8_t *msg, size_t len);
/* Priority-0 advert of an instance (slot 0..GUARDIAN_ADVERTS-1); NULL withdraws. Set it only while MASTER. */
int guardian_advert_set(struct guardian *g, uint32_t slot, const struct guardian_advert *a);
/* True while a ready backup is known; false: on our death leave everything for the restarted daemon to adopt. */
void guardian_arm(struct guardian *g, bool healthy_backup);
/*
 * Rules of ours may be set by iptables: paths of iptables-restore and ip6tables-restore, empty for none. They are removed
 * (quar_ipt_remove) when the daemon is gone, after everything else, also after a goodbye. NULL, NULL withdraws.
 */
void guardian_rules_set(struct guardian *g, const char *restore4, const char *restore6);
/* Process id of the child, for display and tests. */
pid_t guardian_pid(const struct guardian *g);
/* False when the child has ended. */
bool guardian_alive(struct guardian *g);
/* Async-signal-safe: the process is about to abort; the child acts at once and not after the core dump. */
void guardian_panic(const struct guardian *g);
/* The daemon's end of the pipe: who holds a copy of it when the daemon dies keeps the child from acting. */
int guardian_pipe(const struct guardian *g);
/* For who holds such a copy and takes the daemon's place: that daemon's child ends and changes nothing. The copy is closed. */
void guardian_release(int pipe_fd);
/* For a daemon that gives way: the child is another process's business now, which holds a copy. Frees. */
void guardian_leave(struct guardian *g);
/* Orderly end: the child exits and changes nothing. Waits for it at most 100 ms; frees. */
void guardian_goodbye(struct guardian *g);
/* Reads and removes the report a former guardian left; false when there is none. */
bool guardian_report(const char *path, char *buf, size_t cap);

#endif
