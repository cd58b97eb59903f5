/*
 * Purpose: the running daemon: owns every object, writes out the order of start and stop, and carries the node core's
 *          actions to sockets, threads and files.
 * Owns:    struct app and everything in it.
 * Thread:  CONTROL.
 * In:      command line options; readiness, timers, reports of the other threads.   Out: an exit status.
 * Errors:  app_run returns 0, or 1 with the reason in the log.
 */
#ifndef KT_APP_H
#define KT_APP_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/cfg.h"
#include "daemon/ctl.h"
#include "daemon/guardian.h"
#include "daemon/journal.h"
#include "daemon/kernel_thread.h"
#include "daemon/netapply.h"
#include "daemon/nft_io.h"
#include "daemon/node.h"
#include "daemon/sysctl_io.h"
#include "ike-hooks/exec_io.h"
#include "ike-hooks/prog_io.h"
#include "ike-hooks/vici_io.h"
#include "sync/peer_io.h"
#include "sync/sync.h"
#include "vrrp/announce.h"
#include "vrrp/vrrp_io.h"

struct ipsec;
struct kalive;
struct pair;
struct quar;
struct sweeps;
struct app_watch;
struct app_ctd;
struct app_track;
struct app_layer;
struct legacy;
struct legacy_area;

struct app_options {
	const char *config;
	struct cfg_how how;   /* how it is read */
	const char *pid_file; /* NULL: run_dir/keeptrackd.pid */
	bool foreground;
	bool log_console;
	bool keep_at_stop;     /* addresses, routes and rules stay when the daemon ends */
	struct kalive *kalive; /* NULL: it was not called keepalived */
	struct legacy *legacy; /* NULL, or descriptors of an engine that died; what is left when this one yields */
	bool heir;             /* the engine of another program's configuration, which has died */
	int rendezvous;        /* listening socket of layer_io.h; 0: app_run takes it; -1: none */
};

/* What app_run returns when it gave the engine to another process. */
#define APP_YIELDED 75

/* Why a virtual router neither hears nor speaks: it is in FAULT as long. */
enum app_deaf {
	APP_HEARS = 0,
	APP_DEAF_ABSENT,
	APP_DEAF_DOWN,
	APP_DEAF_NO_ADDRESS,
	APP_DEAF_NO_SOURCE, /* the configured source is not there, or cannot be used yet */
	APP_DEAF_SOCKET,
	APP_DEAF_GROUP,
};

#define APP_NO_INST UINT16_MAX

/* What the shell keeps for one virtual router. */
struct app_inst {
	int ifindex; /* 0: the interface is absent */
	uint8_t mac[6];
	struct vrrp_port *port; /* NULL: not open */
	struct addr joined;     /* multicast group on it; ADDR_NONE with unicast */
	struct addr src;
	enum app_deaf deaf;
	uint32_t farewell; /* first of its places among the guardian's adverts */
	struct log_rate drop_rate, send_rate;
	struct announce_inst announce;
	uint64_t garps, released; /* released: how often it was MASTER and is no more */
	int vmac_ifindex;         /* interface of the virtual MAC, whose settings were made; 0: there is none */
	int vmac_vrf;             /* VRF that its interface was put into last; 0: none */
	uint32_t base_mtu;        /* as the interface of the virtual MAC was told last */
	int vmac_refused;         /* the base that was complained about: it is no Ethernet */
	uint16_t same_link;       /* the next one on the same interface; APP_NO_INST: none */
	uint16_t next_link;       /* of the first one on an interface: the first one on the next interface */
};

/* What the shell keeps for one group. */
struct app_group {
	struct epoch epoch; /* of the desired set */
	enum node_net_mode mode;
	bool vip_told, garp_told;
	struct net_status net;
	struct log_rate lost_rate;
	uint64_t lost; /* objects that somebody else removed */
	char last_lost[NET_NAME_MAX];
	mono_t lost_at;
	bool lost_yielded; /* the role was given away for it */
	bool resuming;     /* nobody is told of a role that goes on, nor is it announced */
};

/* What became of one hook of the configuration. */
struct app_hook {
	uint64_t runs, failed;   /* failed: did not start, ended with a status other than 0, by a signal or too late */
	struct exec_result last; /* of runs > 0 */
};

struct app {
	struct app_options opt;
	struct cfg *cfg;
	struct loop *loop;
	uint64_t boot_nonce;
	mono_t started;
	int64_t started_wall_us;
	int exit_status;
	char config_path[4096]; /* opt.config, absolute: the daemon's directory is / later */
	bool stopping, running, guardian_lost;
	bool stop_early;       /* the order to stop came before the kernel's state was known */
	bool yielding;         /* the engine goes to another process: this one goes on as a part of it */
	bool maintenance_kept; /* lasts over restarts: the file says so */

	struct node node;
	struct node_acts acts;
	unsigned act_depth;
	struct app_inst *inst;
	struct app_group *group;
	struct announce announce;
	struct loop_timer *node_timer, *garp_timer, *stop_timer, *rest_timer, *watchdog_timer, *reload_timer;
	mono_t reload_until, rest_until;
	bool left_behind;     /* the time to end was too short for the kernel: the guardian goes on */
	uint64_t fed_dropped; /* packets that found the queue of waiting events half full */
	struct loop_signal *sig[4];

	struct guardian *guardian;
	struct kernel_thread *kt;
	struct journal *journal;
	struct netapply *net;
	struct net_status static_net; /* of what stays in every role */
	struct sysctl_io *sysctl;
	struct nft_io *nft;
	char *accept_text; /* rules that were asked for last; NULL: none ever */
	bool accept_busy, accept_again, accept_failed, vmac_ended;
	bool accept_wanted; /* some instance has accept = false */
	bool vmacs;         /* some instance has a virtual MAC */
	bool accept_listed; /* the text has addresses of such ones */
	struct loop_timer *accept_timer;
	struct vrrp_io *vrrp;
	struct sync_thread *sync;
	bool sync_left;                  /* its thread did not end with us */
	struct sync_thread *sync_ending; /* replication is no part of the configuration any more; NULL: none ends */
	struct loop_timer *ending_timer;
	struct sync_conf sync_conf; /* the copy that SYNC and the channel read from the start on */
	struct peer_ctl *peer;
	struct pair *pair;     /* NULL: a lone router */
	struct sweeps *sweeps; /* app_sweep.c */
	struct quar *quar;     /* app_quar.c */
	struct vici *vici;
	struct prog *libreswan, *ike_program; /* tunnels with backend libreswan, exec */
	struct ipsec *ipsec;
	struct app_learn *learn; /* NULL: tunnels are listed */
	struct exec *exec;
	struct app_sa *sa;         /* copies of inbound SAs */
	struct app_notify *notify; /* NULL: nobody is told of anything */
	struct app_hook *hook;     /* n_hooks; NULL: no memory for them */
	struct app_track *track;   /* app_track.c */
	struct app_watch *watch;   /* NULL: no tunnel is watched for unknown SPIs */
	struct ctl *ctl;
	struct app_layer *layer;
	struct app_ctd *ctd; /* NULL: no conntrackd.conf was ever part of the configuration */

	int pid_fd;
	char epoch_path[160];
	struct epoch epoch_stored; /* on the disk, or on its way there */
	struct {
		bool maintenance; /* as epoch_stored */
		int err;          /* of the last attempt to write path; 0: all is well */
		char path[256];
		struct loop_timer *again;
	} stored;
	uint64_t unknown_vrid;
	uint32_t farewells; /* places among the guardian's adverts that are given out */
	uint64_t reloads, reloads_refused;
	char reload_error[400];
	struct reload_reading *reading;  /* read, waits for a role change to end */
	bool reload_reads, reload_again; /* the file is being read; once more after that */
	bool reload_early;               /* a SIGHUP came before there was anything to reload */
};

/* Reads the configuration, starts everything, runs, stops. */
int app_run(const struct app_options *opt);
/*
 * Leaves the terminal; the parent waits for the child's word, so that `start` fails when the start failed. A descriptor
 * for app_detached, or -1.
 */
int app_detach(void);
/* The start succeeded; -1: nobody waits. */
void app_detached(int ready);

/* app.c, for the other files of the shell */
void app_feed(struct app *a, const struct node_ev *ev);
void app_begin_stop(struct app *a);
/* Every group is in INIT: ends the loop once the last purges and hooks are done, or had their time. */
void app_rest(struct app *a);
/* Drops to a flight-recorder dump and abort. */
_Noreturn void app_abort(struct app *a, const char *why);

/* app_node.c: arrays of the node core from a configuration; actions to the world */
int app_node_build(struct app *a, struct epoch stored);
void app_node_free(struct app *a);
void app_act(struct app *a, const struct node_act *act);
/* The epoch of a role change goes to SYNC, to the channel and to disk. */
void app_epoch(struct app *a, struct epoch e);

/* app_vrrp.c: sockets, adverts, received packets */
/* After inst was made: who is on the same interface as whom. 0 or -ENOMEM. */
int app_vrrp_links(struct app *a, const struct cfg *c);
int app_vrrp_start(struct app *a);
/* A link changed: its instances' sockets and sources. */
void app_vrrp_link(struct app *a, const struct net_link *l);
/* Tells every instance how its link is now. */
void app_vrrp_relink(struct app *a);
void app_vrrp_advert(struct app *a, uint16_t inst, uint8_t priority);
/* Its adverts bear the virtual MAC as source. */
bool app_vrrp_vmac(const struct vrrp_conf *c);
void app_vrrp_drain(struct app *a);
/* Keeps the guardian's farewell up to date: priority-0 adverts, ready to be sent, while this instance is MASTER. */
void app_vrrp_guardian(struct app *a, uint16_t inst);
/* The instance listens no longer. */
void app_vrrp_close(struct app *a, uint16_t inst);
const char *app_vrrp_deaf_text(enum app_deaf d);

/* app_stored.c: what lies on the disk for the next start */
/* Writes what is not there yet. 0, or -errno when no job could be made. */
int app_stored_settle(struct app *a);
void app_stored_stop(struct app *a);

/* app_maint.c: maintenance and its file */
#define MAINTENANCE_KEPT "maintenance\n"
#define MAINTENANCE_LEFT "service\n"
int app_maintenance_path(const struct app *a, char *out, size_t cap);
void app_maintenance_load(struct app *a);
/* 0, or -1 with the reason in why: a group that nobody else could serve stays here unless forced. */
int app_maintenance(struct app *a, bool on, bool kept, bool force, char *why, size_t cap);

/* app_net.c: addresses, announcements */
int app_net_start(struct app *a);
void app_net_declare(struct app *a);
void app_net_mode(struct app *a, uint16_t group, enum node_net_mode mode, struct epoch epoch);

/* app_vmac.c: kernel settings of virtual MACs and their bases */
int app_vmac_start(struct app *a);
/* After the declaration of the configuration. */
void app_vmac_declare(struct app *a);
/* A link changed; before the difference that follows from it is sent. */
void app_vmac_link(struct app *a, const struct net_link *l);
/* The bases get their old settings back. */
void app_vmac_end(struct app *a);

/* app_accept.c: rules of instances with accept = false */
int app_accept_start(struct app *a);
/* A role, a mode or the kernel's addresses changed: the rules follow. */
void app_accept(struct app *a);
/* Packets to this instance's addresses are dropped. */
bool app_accept_applies(const struct vrrp_conf *c);
/* After the KERNEL thread has ended. */
void app_accept_stop(struct app *a);

/* app_garp.c: announcements */
int app_garp_start(struct app *a);
/* The kernel has this address: it is announced at once, the rest of the burst follows. */
void app_garp_acked(struct app *a, uint16_t inst, int ifindex, const struct addr *vip);
/* Every address was there already: announced as fast as adverts allow. */
void app_garp_all(struct app *a, uint16_t inst);
/* A lower router believed to be master: its announcements may have come after ours. */
void app_garp_lower(struct app *a, uint16_t inst);
/* After the arrays changed. */
void app_garp_rebuild(struct app *a);

/* app_peer.c: SYNC and the ctl channel */
int app_peer_start(struct app *a);
void app_peer_stop(struct app *a);
/* False: the channel's key cannot be used, and errs says why. Reads a file. */
bool app_peer_key(const struct cfg *c, struct cfg_errors *errs);
/* Replication is no part of the configuration any more, as it was in `old`: the channel closes now, the thread ends soon. */
void app_peer_end(struct app *a, const struct sync_conf *old);

/* app_learn.c: tunnels = "auto" */
#define APP_TAG_LEARN (UINT32_MAX - 1u) /* vici_tag.tunnel of its requests */
int app_learn_start(struct app *a);
void app_learn_stop(struct app *a);
/* The IKE daemon answers; a connection of its list; the end of that list. */
void app_learn_up(struct app *a);
struct vici_conn;
void app_learn_conn(struct app *a, const struct vici_conn *c);
void app_learn_done(struct app *a, bool ok);
/* After a reload: what was learnt lives on. */
int app_learn_carry(struct app *a, const struct node *old);

/* app_ike.c: VICI events, sweeps, hooks */
int app_ike_start(struct app *a);
/* After a reload: the first tunnel, the last one, or another socket. */
int app_ike_reload(struct app *a, const struct cfg *old);
void app_ike_free(struct app *a);
void app_ike_act(struct app *a, const struct node_act *act);
void app_ike_hook(struct app *a, const struct node_act *act);
void app_ike_feed(struct app *a, uint16_t tunnel, const struct ike_ev *ike);

/* app_ike_backend.c: the ways to reach IKE daemons */
/* Asks the IKE daemon of this tunnel. A refusal comes back as an IKE_EV_REPLY. */
void app_ike_ask(struct app *a, uint16_t tunnel, enum ike_verb v, const struct ike_act *act);
/* Does it answer? */
bool app_ike_reaches(const struct app *a, uint16_t tunnel);
/* Drops what a tunnel that is no longer configured has left there. */
void app_ike_forget(struct app *a, uint16_t tunnel);
/* Makes what the tunnels of the configuration need, at the start and after a reload. 0 or -errno. */
int app_ike_programs(struct app *a);
void app_ike_programs_free(struct app *a);
/* One object for each backend that runs programs. */
json_t *app_ike_programs_json(struct app *a);

/* app_tell.c: log lines and the journal */
void app_tell(struct app *a, const struct node_act *act);
void app_journal(struct app *a, const struct role_record *rec);

/* reload.c */
void app_reload(struct app *a);
void app_reload_stop(struct app *a);

/* show.c */
int app_ctl(void *app, struct ctl_request *req, json_t **reply);

#endif
