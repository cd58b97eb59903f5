/*
 * Purpose: what this node knows of the IKE daemon's configuration and SAs, what happened to each tunnel last, and the
 *          commands of ktsh about IPsec.
 * Owns:    struct ipsec: connections, facts of configuration files, the history of tunnels, waiting requests.
 * Thread:  CONTROL; configuration files are read on kt-disk.
 * In:      events of the VICI client, changes of tunnels, requests.   Out: log lines, answers.
 * Errors:  what could not be asked or read is named in the answer, in words; nothing ever waits for it but the answer.
 *
 * Gathering (files -> list-conns -> list-sas) happens when the IKE daemon is connected, after a reload, and for each
 * request that shows its result; requests that come meanwhile share it.
 */
#ifndef KT_APP_IPSEC_H
#define KT_APP_IPSEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "daemon/ctl.h"
#include "ike-hooks/ike_hist.h"
#include "ike-hooks/ike_lint.h"
#include "ike-hooks/swan_text.h"
#include "ike-hooks/vici_detail.h"
#include "ike-hooks/vici_io.h"

#define IPSEC_CONNS_MAX 4096 /* connections of the IKE daemon; more are counted */
#define IPSEC_SAS_MAX   8192 /* rows of one answer; more are counted */
#define IPSEC_WAIT_MAX  16
#define IPSEC_ERROR_MAX 160
#define IPSEC_TELL_PASS 64               /* tunnels whose findings are looked at in one pass of the loop */
#define IPSEC_LOADED_NS (5 * NS_PER_SEC) /* a connection that is missing for so long is told to be */

struct app;
struct ipsec;

/* What is remembered of a tunnel beside its machine. */
struct ipsec_tunnel {
	char name[IKE_NAME_MAX];
	struct ike_hist hist;
	uint64_t moved;              /* ike-update events */
	uint64_t unwanted;           /* SAs that came up while passive */
	bool floated;                /* an SA proved that MOBIKE is on */
	char error[IPSEC_ERROR_MAX]; /* last refusal of the IKE daemon */
	mono_t error_at;
	uint32_t told;     /* findings that are in the log, 1u << enum ike_lint */
	mono_t missing_at; /* the connection is not loaded since; NEVER: it is */
};

/* The result of the last gathering. */
struct ipsec_view {
	const struct vici_conn *conn;
	unsigned n_conns, more_conns;
	bool conns_known;
	const char *conns_error; /* why not, in words; "" */
	const struct vici_detail *sa;
	unsigned n_sas, more_sas;
	bool sas_known;
	const char *sas_error;
	const char *file, *file_error; /* configuration file, why it was not read */
	bool file_known;
	uint32_t retransmit_s; /* 0: not known */
	mono_t at;             /* NEVER: never gathered */
};

int app_ipsec_start(struct app *a);
/* First step of the end: nothing is begun or answered any more. */
void app_ipsec_end(struct app *a);
/* After the KERNEL thread has ended. */
void app_ipsec_free(struct app *a);
/* Every event of the VICI client passes here first. */
void app_ipsec_vici(struct app *a, const struct vici_ev *v);
/* A tunnel changed its state, or noticed something. */
void app_ipsec_trace(struct app *a, uint16_t tunnel, const struct ike_act *act);
/* After a reload. */
void app_ipsec_reload(struct app *a);
/* Reads files, connections and SAs anew. */
void app_ipsec_gather(struct app *a);
/* Commands about IPsec: CTL_OK with *reply, CTL_LATER, or a code with req->message. */
int app_ipsec_ctl(struct app *a, struct ctl_request *req, json_t **reply);
/* reset vpn ipsec, force ike-reset. */
int app_ipsec_reset(struct app *a, struct ctl_request *req, json_t **reply);

struct ipsec_view app_ipsec_view(const struct app *a);
/* The connection of this name, or NULL. */
const struct vici_conn *app_ipsec_conn(const struct app *a, const char *name);
/* Memory of tunnel number t of the node core. */
struct ipsec_tunnel *app_ipsec_tunnel(struct app *a, uint16_t t);
/* Findings of tunnel t from the last gathering. False: it is not checked, *why says why. */
bool app_ipsec_lint(struct app *a, uint16_t t, struct ike_lint_out *out, const char **why);

/* show_ipsec.c, show_ipsec_more.c, show_ipsec_do.c */
json_t *show_ipsec(struct app *a, const char *view);
json_t *show_ipsec_sa(struct app *a, const char *tunnel);
json_t *show_ipsec_peer(struct app *a);
json_t *show_ipsec_dpd(struct app *a);
json_t *show_ipsec_hooks(struct app *a);
json_t *show_ipsec_check(struct app *a);
json_t *show_ipsec_statistics(struct app *a);
json_t *show_ipsec_explain(struct app *a, uint16_t tunnel);
json_t *show_ike_dpd(struct app *a, const json_t *args);
const char *show_backend_name(enum ike_backend b);
json_t *show_dpd(const struct ike_tunnel *t, mono_t now);

#endif
