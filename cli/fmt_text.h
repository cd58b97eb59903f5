/*
 * Purpose: the daemon's replies as text for people. Nothing is computed here that the JSON does not say.
 * Owns:    nothing.
 * Thread:  the shell's only one.
 * In:      a data object of docs/control-protocol.md.   Out: text.
 * Errors:  a missing key counts as 0, false, "" or an empty list.
 */
#ifndef KT_CLI_FMT_TEXT_H
#define KT_CLI_FMT_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "daemon/ctl_proto.h"

/* detail: the argument of show vrrp and show pair. */
void fmt_text(enum ctl_cmd cmd, const json_t *data, bool detail, FILE *out);

/* Parts, each for one command. */
void fmt_vrrp_peer(const json_t *data, FILE *out);
void fmt_vrrp(const json_t *data, FILE *out);
void fmt_track(const json_t *data, FILE *out);
void fmt_vrrp_detail(const json_t *data, FILE *out);
void fmt_failover_status(const json_t *data, FILE *out);
void fmt_failover_history(const json_t *data, FILE *out);
void fmt_failover_timeline(const json_t *data, FILE *out);
void fmt_sync_statistics(const json_t *data, FILE *out);
void fmt_sync_status(const json_t *data, FILE *out);
void fmt_explain(const json_t *data, FILE *out);
/* Progress of a reset or a full comparison; nothing for null. */
void fmt_order(const json_t *order, FILE *out);
void fmt_restart(const json_t *data, FILE *out);
void fmt_cleared(const json_t *data, FILE *out);
void fmt_ipsec(const json_t *data, FILE *out);
void fmt_sweep(const json_t *data, FILE *out);
/* One line; nothing where no address is quarantined. */
void fmt_ipsec_quarantine(const json_t *quarantine, FILE *out);
void fmt_ipsec_sa(const json_t *data, FILE *out);
void fmt_ipsec_peer(const json_t *data, FILE *out);
void fmt_ipsec_dpd(const json_t *data, FILE *out);
void fmt_ipsec_hooks(const json_t *data, FILE *out);
void fmt_notify(const json_t *data, FILE *out);
void fmt_ipsec_check(const json_t *data, FILE *out);
void fmt_ipsec_statistics(const json_t *data, FILE *out);
void fmt_ike_dpd(const json_t *data, FILE *out);
void fmt_ipsec_reset(const json_t *data, FILE *out);
void fmt_session_statistics(const json_t *data, FILE *out);
void fmt_session_policy(const json_t *data, FILE *out);
void fmt_sync_peers(const json_t *data, FILE *out);
void fmt_sync_queue(const json_t *data, FILE *out);
void fmt_sync_lag(const json_t *data, FILE *out);
void fmt_sync_filters(const json_t *data, FILE *out);
/* "in sync as of 0.8 s ago", or what is missing. */
void fmt_sync_insync(const json_t *sync, FILE *out);

/*
 * A list of sessions comes in pieces, and each is printed as it comes: column widths are those of the first sessions, and
 * grow when they must.
 */
#define FMT_ROWS_COLS 8
struct fmt_rows {
	bool legend, head;
	int width[FMT_ROWS_COLS];
};
/* Is the answer of this command such a list? */
bool fmt_is_rows(enum ctl_cmd cmd);
void fmt_rows_piece(struct fmt_rows *st, const json_t *piece, FILE *out);
void fmt_pair(const json_t *data, bool detail, FILE *out);
/* The code that ktsh ends with after show pair. */
int fmt_pair_code(const json_t *data);

/* Access with a default. */
json_int_t fmt_int(const json_t *o, const char *key);
const char *fmt_str(const json_t *o, const char *key);
bool fmt_bool(const json_t *o, const char *key);
/* "yes" or "no". */
const char *fmt_yes(const json_t *o, const char *key);
/* "a, b" of a list of texts, "-" for an empty one. Returns buf. */
char *fmt_list(const json_t *list, char *buf, size_t size);
/* "-" for an empty text. */
const char *fmt_dash(const char *s);
/* A duration: "8.200 ms", "1.500 s", "00:12:05", "3d04:10:00". Returns buf. */
char *fmt_us(json_int_t us, char *buf, size_t size);
/* Local wall-clock time with milliseconds; "-" for 0. Returns buf. */
char *fmt_wall(json_int_t us, char *buf, size_t size);

#endif
