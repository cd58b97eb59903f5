/*
 * Purpose: what the files of app_ipsec share.
 * Owns:    nothing of its own.
 * Thread:  CONTROL.
 * In/Out:  struct ipsec.
 * Errors:  none.
 */
#ifndef KT_APP_IPSEC_INT_H
#define KT_APP_IPSEC_INT_H

#include "daemon/app.h"
#include "daemon/app_ipsec.h"

enum ipsec_stage { IPSEC_REST = 0, IPSEC_FILES, IPSEC_CONNS, IPSEC_SAS };

/* After a takeover one tunnel of each group is asked for its first packet. */
#define IPSEC_PROBES     8
#define IPSEC_PROBE_TAG  0x10000u /* added to the tunnel in the tags of these lists */
#define IPSEC_GATHER_TAG 0x20000u

struct ipsec_probe {
	bool on;
	uint16_t tunnel;
	struct epoch epoch;
	mono_t begun;
};

struct ipsec_waiting {
	bool used;
	uint64_t token;
	uint32_t seq; /* the gathering that answers it */
	enum ctl_cmd cmd;
	char name[IKE_NAME_MAX];
};

struct ipsec {
	struct app *a;
	enum ipsec_stage stage;
	bool again;                       /* somebody asked while a gathering was under way */
	bool ended;                       /* the daemon ends: nothing is begun or answered any more */
	struct vici_conn *conn, *fresh;   /* the last whole list, and the one that is being read */
	const struct vici_conn **by_name; /* of conn, sorted */
	unsigned n_conns, cap_conns, more_conns, n_fresh, cap_fresh, more_fresh;
	bool conns_known;
	char conns_error[IPSEC_ERROR_MAX];
	struct vici_detail *sa;
	unsigned n_sas, cap_sas, more_sas;
	bool sas_known;
	char sas_error[IPSEC_ERROR_MAX];
	struct swan_conn *swan; /* room of facts */
	struct swan_facts facts;
	bool file_known;
	uint32_t retransmit_s;
	char file_error[IPSEC_ERROR_MAX];
	mono_t at;
	uint32_t seq; /* of the gathering, in the tags */
	struct ipsec_tunnel *tunnel;
	unsigned n_tunnels;
	struct ipsec_waiting wait[IPSEC_WAIT_MAX];
	const struct ipsec_waiting *asking; /* its request is still being read: it gets its answer there */
	struct ipsec_probe probe[IPSEC_PROBES];
	struct loop_timer *probe_timer;
	unsigned tell_at;              /* tunnel whose findings are looked at next */
	bool missing;                  /* a connection is */
	struct loop_timer *look_timer; /* a connection is missing: it may have been loaded since */
};

/* app_ipsec_ask.c: answers to those who waited for the gathering that has ended */
void ipsec_answer_waiting(struct app *a);

/* app_ipsec_probe.c: the first packet after a takeover */
int ipsec_probe_start(struct app *a);
/* A tunnel came up. */
void ipsec_probe_begin(struct app *a, uint16_t tunnel);
/* The answer to a list with IPSEC_PROBE_TAG. */
void ipsec_probe_answer(struct app *a, const struct vici_ev *v);

#endif
