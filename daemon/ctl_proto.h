/*
 * Purpose: the control protocol that the daemon and ktsh share: its limits, its codes and the one table of commands.
 * Owns:    nothing; static const data.
 * Thread:  any (pure).
 * In/Out:  newline-delimited JSON over a Unix stream socket; docs/control-protocol.md describes every reply.
 * Errors:  a lookup that finds nothing returns -1.
 *
 * Request:  {"v":1,"id":N,"cmd":"show vrrp","args":{"detail":true}}
 * Answer:   {"v":1,"id":N,"data":{...}}   any number, then
 *           {"v":1,"id":N,"end":true,"status":"ok","code":0}   or   ..."status":"error","code":C,"message":"..."}
 */
#ifndef KT_CTL_PROTO_H
#define KT_CTL_PROTO_H

#include <stdint.h>

#define CTL_VERSION     1
#define CTL_LINE_MAX    (64u << 10) /* bytes of a request, its line feed included */
#define CTL_CLIENTS_MAX 32u
#define CTL_OUT_MAX     (16u << 20)                /* bytes that may wait for one reader */
#define CTL_STALL_NS    (10 * INT64_C(1000000000)) /* a reader that takes nothing for so long is cut */
#define CTL_SOCKET      "/run/keeptrackd/ctl.sock"

/* Codes of an end record; ktsh ends with them. */
enum ctl_code {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_UNKNOWN = 2,
	CTL_AMBIGUOUS = 3,
	CTL_INCOMPLETE = 4,
	CTL_CONFIG = 13,      /* configuration failed */
	CTL_UNREACHABLE = 20, /* the daemon is not reachable */
	CTL_DENIED = 21,
	/* of ktsh only, for show pair */
	CTL_DIFFERS = 30,      /* the nodes differ in what matters */
	CTL_NOT_COMPARED = 31, /* another node could not be asked */
};

enum ctl_class { CTL_VIEW = 0, CTL_ADMIN };
/* SESSION: answered by SYNC, which takes the connection over; such a command is the last one on its connection. */
enum ctl_thread { CTL_ON_CONTROL = 0, CTL_ON_SESSION, CTL_ON_CLIENT };
/* What the command may do to the service. */
/* SESSIONS: reads and compares them all again; none that lives is lost, other traffic of the channel may wait. */
enum ctl_impact {
	CTL_IMPACT_NONE = 0,
	CTL_IMPACT_COUNTERS,
	CTL_IMPACT_LOG,
	CTL_IMPACT_ROLE,
	CTL_IMPACT_TEST,
	CTL_IMPACT_SESSIONS,
	CTL_IMPACT_TUNNELS /* their traffic stops for the time of a negotiation */
};

/* id, path, class, thread, impact, help. CTL_ON_CLIENT commands never reach the daemon. */
#define CTL_CMD_TABLE(X)                                                                                             \
	X(CTL_SHOW_VRRP, "show vrrp", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                                     \
	  "Virtual routers and their addresses")                                                                     \
	X(CTL_SHOW_VRRP_PEER, "show vrrp peer", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                           \
	  "The other nodes: role, priority, readiness, configuration")                                               \
	X(CTL_SHOW_VRRP_TRACK, "show vrrp track", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                         \
	  "What is tracked, who lowered a priority, by how much, since when")                                        \
	X(CTL_SHOW_PAIR, "show pair", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                                     \
	  "Differences between the nodes, what they mean for a takeover, and the remedy")                            \
	X(CTL_SHOW_SYNC_STATISTICS, "show conntrack-sync statistics", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,     \
	  "Counters of session replication")                                                                         \
	X(CTL_SHOW_SYNC_STATUS, "show conntrack-sync status", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,             \
	  "State of session replication and of its peers")                                                           \
	X(CTL_SHOW_SYNC_PEERS, "show conntrack-sync peers", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,               \
	  "Data connections to the peers, what went through them")                                                   \
	X(CTL_SHOW_SYNC_QUEUE, "show conntrack-sync queue", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,               \
	  "What waits, how much may wait, what happens then")                                                        \
	X(CTL_SHOW_SYNC_LAG, "show conntrack-sync lag", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,                   \
	  "How far the peers are behind")                                                                            \
	X(CTL_SHOW_SYNC_FILTERS, "show conntrack-sync filters", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,           \
	  "Rules that leave sessions out, and how many they do")                                                     \
	X(CTL_SHOW_SYNC_INTERNAL, "show conntrack-sync cache internal", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,   \
	  "Own sessions that are replicated or will be")                                                             \
	X(CTL_SHOW_SYNC_EXTERNAL, "show conntrack-sync cache external", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,   \
	  "Copies of the peers' sessions")                                                                           \
	X(CTL_SHOW_CONNTRACK_IPV4, "show conntrack table ipv4", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,           \
	  "IPv4 sessions, each with its disposition")                                                                \
	X(CTL_SHOW_CONNTRACK_IPV6, "show conntrack table ipv6", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,           \
	  "IPv6 sessions, each with its disposition")                                                                \
	X(CTL_SHOW_SESSION_STATISTICS, "show session statistics", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,         \
	  "Sessions here and at the peers, every difference explained")                                              \
	X(CTL_SHOW_SESSION_POLICY, "show session policy", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,                 \
	  "Which kinds of sessions are replicated, when, and why not")                                               \
	X(CTL_SHOW_FAILOVER_HISTORY, "show failover history", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,             \
	  "Role changes, the newest first")                                                                          \
	X(CTL_SHOW_FAILOVER_TIMELINE, "show failover timeline", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,           \
	  "The phases of one role change on all nodes")                                                              \
	X(CTL_SHOW_FAILOVER_STATUS, "show failover status", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,               \
	  "Groups, peers, and whether a switch would lose anything now")                                             \
	X(CTL_SHOW_IPSEC, "show ipsec", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                                   \
	  "Tunnels, dead peer detection, hooks")                                                                     \
	X(CTL_SHOW_IPSEC_SWEEP, "show ipsec sweep dry-run", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,               \
	  "What a role change would remove from the kernel: SAs, conntrack entries")                                 \
	X(CTL_SHOW_IPSEC_SA, "show ipsec sa", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                             \
	  "SAs of the tunnels, as the IKE daemon has them now")                                                      \
	X(CTL_SHOW_IPSEC_PEER, "show ipsec peer", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                         \
	  "Remote ends, and how many of their tunnels are up")                                                       \
	X(CTL_SHOW_IPSEC_DPD, "show ipsec dpd", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                           \
	  "Dead peer detection: settings, present state, what it did")                                               \
	X(CTL_SHOW_IPSEC_HOOKS, "show ipsec hooks", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                       \
	  "Programs run after events, and how the last one ended")                                                   \
	X(CTL_SHOW_IPSEC_CHECK, "show ipsec check", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                       \
	  "What in the IKE daemon's configuration breaks a takeover, and the remedy")                                \
	X(CTL_SHOW_IPSEC_STATISTICS, "show ipsec statistics", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,             \
	  "Counters of tunnels, of the IKE daemon's socket and of hooks")                                            \
	X(CTL_SHOW_NOTIFY, "show notify", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                                 \
	  "Who is told of role changes, what waits, how the last programs ended")                                    \
	X(CTL_SHOW_INTERFACES, "show interfaces", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                         \
	  "Interfaces that instances use")                                                                           \
	X(CTL_SHOW_LOG, "show log", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE, "Newest lines of the log")            \
	X(CTL_SHOW_VERSION, "show version", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE, "Version, uptime, lateness")  \
	X(CTL_SHOW_CONFIGURATION, "show configuration", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                   \
	  "The running configuration in canonical form")                                                             \
	X(CTL_EXPLAIN_SESSION, "explain session", CTL_VIEW, CTL_ON_SESSION, CTL_IMPACT_NONE,                         \
	  "Why a session is replicated, or not, on all nodes")                                                       \
	X(CTL_EXPLAIN_IPSEC, "explain ipsec", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                             \
	  "Why a tunnel is up, or not, and what would change it")                                                    \
	X(CTL_IKE_DPD, "ike dpd", CTL_VIEW, CTL_ON_CONTROL, CTL_IMPACT_NONE,                                         \
	  "Dead peer detection in other vendors' words: the line for the configuration, and what is in force")       \
	X(CTL_RESET_SYNC_INTERNAL, "reset conntrack-sync internal-cache", CTL_ADMIN, CTL_ON_SESSION,                 \
	  CTL_IMPACT_SESSIONS, "Judge own sessions anew, read the kernel, tell them all again")                      \
	X(CTL_RESET_SYNC_EXTERNAL, "reset conntrack-sync external-cache", CTL_ADMIN, CTL_ON_SESSION,                 \
	  CTL_IMPACT_SESSIONS, "Forget copies that are not in the kernel, ask the peers for all again")              \
	X(CTL_RESET_VPN_PEER, "reset vpn ipsec peer", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_TUNNELS,                 \
	  "Negotiate the tunnels of one peer anew")                                                                  \
	X(CTL_RESET_VPN_ALL, "reset vpn ipsec all", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_TUNNELS,                   \
	  "Negotiate all tunnels anew")                                                                              \
	X(CTL_RESTART_SYNC, "restart conntrack-sync", CTL_ADMIN, CTL_ON_SESSION, CTL_IMPACT_SESSIONS,                \
	  "Make the data connections anew; nothing that lives is forgotten")                                         \
	X(CTL_FORCE_RESYNC, "force resync", CTL_ADMIN, CTL_ON_SESSION, CTL_IMPACT_SESSIONS,                          \
	  "Compare all sessions now: the kernel, and everything in both directions")                                 \
	X(CTL_FORCE_FAILOVER, "force failover", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_ROLE,                          \
	  "Give the master role away, or take it")                                                                   \
	X(CTL_CONNTRACKD, "force conntrackd", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_SESSIONS,                        \
	  "What conntrackd's command line asks for")                                                                 \
	X(CTL_FORCE_IKE_RESET, "force ike-reset", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_TUNNELS,                     \
	  "Remove every SA of the tunnels, also where this node has no role; negotiate those it serves anew")        \
	X(CTL_MAINTENANCE_ENTER, "maintenance enter", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_ROLE,                    \
	  "Give all roles away and take none until maintenance leave")                                               \
	X(CTL_MAINTENANCE_LEAVE, "maintenance leave", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_ROLE,                    \
	  "Take part in elections again")                                                                            \
	X(CTL_CLEAR_COUNTERS, "clear counters", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_COUNTERS,                      \
	  "Set counters to zero")                                                                                    \
	X(CTL_DEBUG_VRRP, "debug vrrp", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Log every step of VRRP")         \
	X(CTL_DEBUG_SYNC, "debug sync", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Log every step of replication")  \
	X(CTL_DEBUG_IKE, "debug ike", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Log every step of IPsec work")     \
	X(CTL_DEBUG_ROLE, "debug role", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Log every step of role changes") \
	X(CTL_DEBUG_NET, "debug net", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Log links, addresses and routes")  \
	X(CTL_NO_DEBUG_VRRP, "no debug vrrp", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Stop logging every step")  \
	X(CTL_NO_DEBUG_SYNC, "no debug sync", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Stop logging every step")  \
	X(CTL_NO_DEBUG_IKE, "no debug ike", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Stop logging every step")    \
	X(CTL_NO_DEBUG_ROLE, "no debug role", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Stop logging every step")  \
	X(CTL_NO_DEBUG_NET, "no debug net", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_LOG, "Stop logging every step")    \
	X(CTL_DEBUG_SYNC_STALL, "debug sync stall", CTL_ADMIN, CTL_ON_CONTROL, CTL_IMPACT_TEST,                      \
	  "Make the replication thread deaf for a while, for tests")                                                 \
	X(CTL_LIST, "list", CTL_VIEW, CTL_ON_CLIENT, CTL_IMPACT_NONE, "All commands")                                \
	X(CTL_HELP, "help", CTL_VIEW, CTL_ON_CLIENT, CTL_IMPACT_NONE, "How to use this shell")                       \
	X(CTL_EXIT, "exit", CTL_VIEW, CTL_ON_CLIENT, CTL_IMPACT_NONE, "Leave the shell")

enum ctl_cmd {
#define CTL_CMD_ENUM(id, path, class, thread, impact, help) id,
	CTL_CMD_TABLE(CTL_CMD_ENUM)
#undef CTL_CMD_ENUM
	    CTL_CMD_N
};

enum ctl_arg_type {
	CTL_ARG_FLAG = 0, /* the word itself; true in JSON */
	CTL_ARG_INT,      /* a whole number from min to max */
	CTL_ARG_NAME,     /* 1 to max bytes without blanks and control characters */
	CTL_ARG_EPOCH,    /* COUNTER.NODE, a text in JSON */
};

/* What a list of sessions is limited to. */
#define CTL_FILTER_ARGS(X, cmd)                                                                                       \
	X(cmd, "source", "source", CTL_ARG_NAME, 1, 49, 0, "Address or prefix of the original source")                \
	X(cmd, "destination", "destination", CTL_ARG_NAME, 1, 49, 0, "Address or prefix of the original destination") \
	X(cmd, "port", "port", CTL_ARG_INT, 0, 65535, 0, "Port of any of its ends")                                   \
	X(cmd, "protocol", "protocol", CTL_ARG_NAME, 1, 15, 0, "tcp, udp, icmp, ... or a number")                     \
	X(cmd, "zone", "zone", CTL_ARG_INT, 0, 65535, 0, "Conntrack zone")                                            \
	X(cmd, "mark", "mark", CTL_ARG_INT, 0, 4294967295, 0, "Connection mark")                                      \
	X(cmd, "state", "state", CTL_ARG_NAME, 1, 15, 0, "TCP state or its code: established, es")                    \
	X(cmd, "limit", "limit", CTL_ARG_INT, 1, 100000000, 0, "At most so many (all if left out)")

#define CTL_SIDE_ARGS(X, cmd)                                                            \
	X(cmd, "synced", NULL, CTL_ARG_FLAG, 0, 0, 0, "Only those that both nodes have") \
	X(cmd, "unsynced", NULL, CTL_ARG_FLAG, 0, 0, 0, "Only those that wait, are skipped or failed")

/* cmd, key in JSON, word typed before the value (NULL: none), type, min, max, required, help */
#define CTL_ARG_TABLE(X)                                                                                            \
	X(CTL_SHOW_VRRP, "detail", NULL, CTL_ARG_FLAG, 0, 0, 0, "Timers, peers and counters")                       \
	X(CTL_SHOW_PAIR, "detail", NULL, CTL_ARG_FLAG, 0, 0, 0, "All facts of both nodes side by side")             \
	X(CTL_SHOW_IPSEC, "brief", NULL, CTL_ARG_FLAG, 0, 0, 0, "One line for each tunnel")                         \
	X(CTL_SHOW_IPSEC, "detail", NULL, CTL_ARG_FLAG, 0, 0, 0, "Settings, counters and the last events of each")  \
	X(CTL_SHOW_IPSEC_SA, "tunnel", NULL, CTL_ARG_NAME, 1, 63, 0, "Only those of this tunnel")                   \
	X(CTL_EXPLAIN_IPSEC, "tunnel", NULL, CTL_ARG_NAME, 1, 63, 1, "Its name (see show ipsec)")                   \
	X(CTL_RESET_VPN_PEER, "peer", NULL, CTL_ARG_NAME, 1, 63, 1, "Its address, the name of a tunnel, or all")    \
	X(CTL_IKE_DPD, "interval", "interval", CTL_ARG_INT, 1, 300, 1, "Seconds of silence that raise a doubt")     \
	X(CTL_IKE_DPD, "retry", "retry", CTL_ARG_INT, 1, 60, 0, "Seconds between two tries (5 if left out)")        \
	X(CTL_IKE_DPD, "periodic", NULL, CTL_ARG_FLAG, 0, 0, 0, "Ask an idle peer as well")                         \
	X(CTL_IKE_DPD, "on-demand", NULL, CTL_ARG_FLAG, 0, 0, 0, "Only while packets are sent to it")               \
	X(CTL_SHOW_FAILOVER_HISTORY, "limit", NULL, CTL_ARG_INT, 1, 1000, 0, "How many (20 if left out)")           \
	X(CTL_SHOW_FAILOVER_TIMELINE, "epoch", NULL, CTL_ARG_EPOCH, 0, 0, 0, "Which change (the last if left out)") \
	X(CTL_SHOW_LOG, "limit", NULL, CTL_ARG_INT, 1, 4096, 0, "How many lines (50 if left out)")                  \
	CTL_FILTER_ARGS(X, CTL_SHOW_CONNTRACK_IPV4)                                                                 \
	CTL_SIDE_ARGS(X, CTL_SHOW_CONNTRACK_IPV4)                                                                   \
	CTL_FILTER_ARGS(X, CTL_SHOW_CONNTRACK_IPV6)                                                                 \
	CTL_SIDE_ARGS(X, CTL_SHOW_CONNTRACK_IPV6)                                                                   \
	CTL_FILTER_ARGS(X, CTL_SHOW_SYNC_INTERNAL)                                                                  \
	CTL_FILTER_ARGS(X, CTL_SHOW_SYNC_EXTERNAL)                                                                  \
	X(CTL_FORCE_FAILOVER, "group", "group", CTL_ARG_NAME, 1, 31, 0, "Only this group (all if left out)")        \
	X(CTL_MAINTENANCE_ENTER, "persistent", NULL, CTL_ARG_FLAG, 0, 0, 0, "Also after a restart or reboot")       \
	X(CTL_MAINTENANCE_ENTER, "force", NULL, CTL_ARG_FLAG, 0, 0, 0, "Even if no other node can take over")       \
	X(CTL_EXPLAIN_SESSION, "source", NULL, CTL_ARG_NAME, 1, 60, 1, "ADDR:PORT, [IPV6]:PORT, or ADDR")           \
	X(CTL_EXPLAIN_SESSION, "destination", NULL, CTL_ARG_NAME, 1, 60, 1, "The other end, in the same form")      \
	X(CTL_EXPLAIN_SESSION, "protocol", NULL, CTL_ARG_NAME, 1, 16, 1, "tcp, udp, icmp, .. or a number")          \
	X(CTL_EXPLAIN_SESSION, "zone", "zone", CTL_ARG_INT, 0, 65535, 0, "Conntrack zone (0 if left out)")          \
	X(CTL_CONNTRACKD, "verb", NULL, CTL_ARG_NAME, 1, 15, 1,                                                     \
	  "commit, purge, flush, resync, resync-kernel, bulk, or kill: end the process of that name")               \
	X(CTL_DEBUG_SYNC_STALL, "seconds", NULL, CTL_ARG_INT, 1, 60, 1, "How long")

struct ctl_cmd_def {
	enum ctl_cmd id;
	const char *path; /* words with one blank between; this text is "cmd" in a request */
	enum ctl_class class;
	enum ctl_thread thread;
	enum ctl_impact impact;
	const char *help;
};

struct ctl_arg_def {
	enum ctl_cmd cmd;
	const char *key, *word;
	enum ctl_arg_type type;
	int64_t min, max;
	int required;
	const char *help;
};

/* The definition of a command; c < CTL_CMD_N. */
const struct ctl_cmd_def *ctl_cmd_def(enum ctl_cmd c);
/* The command of exactly this path, or -1. */
int ctl_cmd_find(const char *path);
/* Argument n of a command (from 0), or NULL. */
const struct ctl_arg_def *ctl_cmd_arg(enum ctl_cmd c, unsigned n);
/* True for commands that only tell ("show", "explain", "ike dpd"): they change nothing. */
int ctl_cmd_is_show(enum ctl_cmd c);
/* True for those, and for commands on tunnels: programs want to know which ones were reset. */
int ctl_cmd_takes_json(enum ctl_cmd c);
/* 0 if text is a valid value of a (not for FLAG); *num receives the number of an INT. -1 otherwise. */
int ctl_arg_parse(const struct ctl_arg_def *a, const char *text, int64_t *num);
/* "a whole number from 1 to 60"; static words, written to buf. */
char *ctl_arg_want(const struct ctl_arg_def *a, char *buf, unsigned size);

#endif
