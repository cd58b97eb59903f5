/* The table of configuration keys: data only. */
#include <net/if.h>
#include <stddef.h>
#include "daemon/base/mono.h"
#include "daemon/cfg.h"
#include "daemon/cfg_rows.h"

#define MS(n)  ((n)*NS_PER_MS)
#define SEC(n) ((n)*NS_PER_SEC)

static const char *const words_family[] = { "ipv4", "ipv6", NULL };
static const char *const words_checksum[] = { "keepalived", "rfc9568", NULL };
static const char *const words_fault[] = { "yield", "degrade", NULL };
static const char *const words_store[] = { "hot", "warm", NULL };
/* in the order of enum sync_proto */
static const char *const words_proto[] = { "tcp", "udp", "icmp", "udplite", "sctp", "dccp", "gre", "other", NULL };
/* in the order of CT_TCP_SYN_SENT and the following */
static const char *const words_tcp[] = { "syn_sent", "syn_recv",  "established", "fin_wait", "close_wait",
					 "last_ack", "time_wait", "close",       NULL };
static const char *const words_mechanism[] = { "vrrp", "cluster", NULL };
static const char *const words_expect[] = { "all", "ftp", "h323", "nfs", "sip", "sqlnet", NULL };
/* in the order of enum ike_backend and the following */
static const char *const words_backend[] = { "vici", "libreswan", "exec", "none", NULL };
static const char *const words_initiate[] = { "auto", "never", NULL };
static const char *const words_demote[] = { "silent", "delete", NULL };
static const char *const words_dpd_mode[] = { "on-demand", "periodic", "off", NULL };
static const char *const words_sync_sa[] = { "off", "inbound", NULL };
static const char *const words_action[] = { "reset", "rekey", "notify", NULL };
static const char *const words_event[] = { "role", "dpd-dead", "up", "down", "reset-failed", "spi-unknown", NULL };
static const char *const words_level[] = { "err", "warning", "notice", "info", "debug", NULL };

static const char *const words_version[] = { "v3", "v2", "v2+v3", NULL };
static const char *const words_vmac[] = { "macvlan", "ipvlan", NULL };
static const char *const words_vmac_source[] = { "virtual", "base", NULL };
static const char *const words_lost[] = { "restore", "yield", NULL };
static const char *const words_scope[] = { "global", "site", "link", "host", NULL };
static const char *const words_match[] = { "exact", "initial", "partial", NULL };
static const char *const words_addr_flags[] = { "noprefixroute", "home", "mngtmpaddr", "autojoin", "dad", NULL };

#define REQ  CFG_F_REQUIRED
#define OPT  CFG_F_OPTIONAL
#define WIDE CFG_F_WIDE

/* A table reads by column. */
/* clang-format off */
/* The keys of an address, wherever addresses are listed. */
#define ADDRESS_KEYS(list) \
	{ list "[].address", CFG_T_PREFIX, REQ, 0, 0, NULL, NULL, NULL, "Address with prefix length" }, \
	{ list "[].interface", CFG_T_IFNAME, OPT, 1, IFNAMSIZ - 1, NULL, NULL, NULL, \
	  "Interface that carries this address, if not the instance's" }, \
	{ list "[].label", CFG_T_TEXT, OPT, 1, IFNAMSIZ - 1, NULL, NULL, NULL, \
	  "Label of an IPv4 address, as old tools show it; it begins with the interface's name" }, \
	{ list "[].peer", CFG_T_ADDR, OPT, 0, 0, NULL, NULL, NULL, "Other end of a point-to-point address" }, \
	{ list "[].broadcast", CFG_T_TEXT, OPT, 1, 15, NULL, NULL, NULL, \
	  "Broadcast address of an IPv4 address; \"auto\" takes the highest of its subnet" }, \
	{ list "[].scope", CFG_T_WORD, 0, 0, 0, "global", NULL, words_scope, "Scope of the address" }, \
	{ list "[].flags", CFG_T_WORDS, 0, 0, 5, "", NULL, words_addr_flags, \
	  "Options of the address as ip-address(8) names them; dad makes an IPv6 address wait for the detection of " \
	  "duplicates" }, \
	{ list "[].preferred_lifetime", CFG_T_INT, OPT, 0, UINT32_MAX, NULL, "seconds", NULL, \
	  "Preferred lifetime; 0: never chosen as a source, 4294967295: forever. Without it: forever, and 0 for an IPv6 " \
	  "address with /128" }, \
	{ list "[].track", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL, \
	  "Its loss counts (address_lost); false: it is only put back" }

/* References to what is tracked, of an instance or a group. */
#define TRACK_KEYS(list) \
	{ list "[].script", CFG_T_NAME, OPT | WIDE, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, \
	  "Name of one of vrrp.track.scripts" }, \
	{ list "[].interface", CFG_T_IFNAME, OPT, 1, IFNAMSIZ - 1, NULL, NULL, NULL, "An interface; it fails when its link is down" }, \
	{ list "[].process", CFG_T_NAME, OPT | WIDE, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, \
	  "Name of one of vrrp.track.processes" }, \
	{ list "[].file", CFG_T_NAME, OPT | WIDE, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, "Name of one of vrrp.track.files" }, \
	{ list "[].conntrack", CFG_T_NAME, OPT, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, \
	  "Name of one of vrrp.track.conntrack" }, \
	{ list "[].weight", CFG_T_INT, OPT, -CFG_TRACK_FACTOR_MAX, CFG_TRACK_FACTOR_MAX, NULL, NULL, NULL, \
	  "Above 0: added to the priority while it is well. Below 0: taken from it while it fails. 0: its failure is a " \
	  "fault, and the role goes. Without it: the weight given there" }, \
	{ list "[].reverse", CFG_T_BOOL, OPT, 0, 1, NULL, NULL, NULL, \
	  "The weight counts the other way round; with weight 0: a fault while it is well" }

/* How a tunnel is treated, listed or found. */
#define TUNNEL_KEYS(tunnel) \
	{ tunnel ".priority", CFG_T_INT, 0, 0, 255, "100", NULL, NULL, \
	  "Order of initiation after a takeover; lower first. At most 32 negotiations of a node are under way at once" }, \
	{ tunnel ".initiate", CFG_T_WORD, 0, 0, 0, "auto", NULL, words_initiate, \
	  "auto brings the tunnel up after a takeover; never waits for the peer, which may be behind NAT" }, \
	{ tunnel ".on_demote", CFG_T_WORD, 0, 0, 0, "silent", NULL, words_demote, \
	  "What the peer is told when this node gives the address away: silent leaves that to the new master, delete says " \
	  "goodbye, which takes up to 5 ms. Where no other node is ready to take over, it is always said, for up to 200 ms" }, \
	{ tunnel ".dpd", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, \
	  "Dead peer detection by the daemon. Without this block the tunnel has none of ours" }, \
	{ tunnel ".dpd.mode", CFG_T_WORD, 0, 0, 0, "on-demand", NULL, words_dpd_mode, \
	  "on-demand judges the peer only while packets are sent to it; periodic asks an idle one for new keys once in an " \
	  "interval as well; off judges nobody" }, \
	{ tunnel ".dpd.interval", CFG_T_TIME, 0, MS(100), SEC(3600), "3", "seconds", NULL, \
	  "Silence that raises a doubt" }, \
	{ tunnel ".dpd.retry", CFG_T_TIME, 0, MS(100), SEC(60), "1", "seconds", NULL, \
	  "Time between two probes" }, \
	{ tunnel ".dpd.retries", CFG_T_INT, 0, 1, 20, "3", NULL, NULL, \
	  "Unanswered probes until the peer counts as dead" }, \
	{ tunnel ".dpd.action", CFG_T_WORD, 0, 0, 0, "reset", NULL, words_action, \
	  "What then happens: reset drops and initiates, rekey asks for new keys, notify only runs the hooks" }, \
	{ tunnel ".watch_spi", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL, \
	  "ESP packets of the peer with an SPI that this node does not know reset the tunnel: it still uses an SA of the " \
	  "former master" }, \
	{ tunnel ".sync_sa", CFG_T_WORD, 0, 0, 0, "off", NULL, words_sync_sa, \
	  "inbound: this node's inbound ESP keys go to the other nodes, which install them when they take over, so that " \
	  "nothing the peer sends is lost until the new SA is there. Needs an encrypted channel" }

/* A program that is told of something. */
#define SCRIPT_KEYS(block, what) \
	{ block, CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, what }, \
	{ block ".exec", CFG_T_ARGV, REQ, 1, NOTIFY_ARGV_MAX, NULL, NULL, NULL, \
	  "The program, by absolute path, and its arguments. No shell is involved" }, \
	{ block ".user", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL, "User it runs as, if not notify.user" }, \
	{ block ".group", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL, "Group it runs as, if not the user's own" }

/* Whom an instance or a group tells what it became. */
#define NOTIFY_KEYS(owner) \
	{ owner ".notify", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, \
	  "Programs that are told what this has become, and what else is told of it. See NOTIFICATIONS" }, \
	SCRIPT_KEYS(owner ".notify.master", "Is run when it has become MASTER"), \
	SCRIPT_KEYS(owner ".notify.backup", "Is run when it has become BACKUP, also at the start"), \
	SCRIPT_KEYS(owner ".notify.fault", "Is run when it cannot serve"), \
	SCRIPT_KEYS(owner ".notify.stop", "Is run when the daemon ends"), \
	SCRIPT_KEYS(owner ".notify.deleted", "Is run when a reload has removed it; without it and tell_deleted that counts as a fault"), \
	SCRIPT_KEYS(owner ".notify.all", \
		    "Is run at each of these, after the program above, with four more arguments: INSTANCE or GROUP, the name, " \
		    "MASTER, BACKUP, FAULT, STOP or DELETED, and the priority (0 for a group)"), \
	{ owner ".notify.tell_deleted", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, \
	  "What a reload removes is told as DELETED, not as FAULT" }, \
	{ owner ".notify.mail", CFG_T_BOOL, OPT, 0, 1, NULL, NULL, NULL, \
	  "Send mail for it, whatever notify.mail.always says" }

#define FIFO_KEYS(block, what) \
	{ block, CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, what }, \
	{ block ".path", CFG_T_PATH, REQ, 1, CFG_PATH_MAX - 1, NULL, NULL, NULL, \
	  "The named pipe. It is made with mode 0600 if it is not there, and then removed at the end" }, \
	{ block ".user", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL, "Owner of the pipe, if not notify.user" }, \
	{ block ".group", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL, "Group of the pipe, if not the user's own" }, \
	SCRIPT_KEYS(block ".reader", \
		    "Program that is started to read it, and ended with the daemon; the path of the pipe is its last argument")

const struct cfg_key cfg_rows[] = {
	/* path, type, flags, min, max, default, unit, words, help */
	{ "node", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL,
	  "What belongs to this node alone. Everything outside this block must be equal on all nodes of the cluster" },
	{ "node.id", CFG_T_INT, 0, 1, INT32_MAX, "1", NULL, NULL,
	  "Number of this node. It must stand in nodes when there is a cluster" },
	{ "node.priority", CFG_T_INT, OPT, 1, 255, NULL, NULL, NULL,
	  "Priority of this node in every instance, in place of the instance's own" },
	{ "node.run_dir", CFG_T_PATH, 0, 1, 80, "/run/keeptrackd", NULL, NULL,
	  "Directory for the pid file, the ownership file and the control socket" },
	{ "node.state_dir", CFG_T_PATH, 0, 1, 80, "/var/lib/keeptrackd", NULL, NULL,
	  "Directory for what survives a reboot: the journal, the stored epoch, maintenance" },
	{ "node.realtime", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Run the latency thread under SCHED_FIFO with locked memory where the system allows it" },
	{ "node.log", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL, "Where log lines go" },
	{ "node.log.level", CFG_T_WORD, 0, 0, 0, "info", NULL, words_level, "Least important lines that are written" },
	{ "node.log.syslog", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL, "Send lines to the system log" },
	{ "node.log.stderr", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Write lines to standard error" },
	{ "node.namespace", CFG_T_NAME, OPT, 1, CFG_PLACE_MAX - 1, NULL, NULL, NULL,
	  "Network namespace (ip-netns(8)) that the daemon serves; without it, the one that it is started in" },
	{ "node.keepalived", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL,
	  "How the daemon appears when it is called keepalived, see keeptrackd(8)" },
	{ "node.keepalived.instance", CFG_T_NAME, OPT, 1, CFG_PLACE_MAX - 1, NULL, NULL, NULL,
	  "Name of this one of several daemons: part of the names of pid files and of the tag of log lines" },
	{ "node.keepalived.use_pid_dir", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Pid files stand in /run/keepalived, as with an instance or a namespace" },
	{ "node.keepalived.json_version", CFG_T_INT, 0, 1, 2, "1", NULL, NULL,
	  "Shape of the JSON file: 1 is a list of instances, 2 an object that holds the list under vrrp" },
	{ "node.keepalived.data_use_instance", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Instance and namespace are part of the names of the files below" },
	{ "node.keepalived.data_file", CFG_T_PATH, OPT, 1, CFG_PATH_MAX - 1, NULL, NULL, NULL,
	  "File that SIGUSR1 has written; without it keepalived.data in $TMPDIR or /tmp" },
	{ "node.keepalived.stats_file", CFG_T_PATH, OPT, 1, CFG_PATH_MAX - 1, NULL, NULL, NULL,
	  "File that SIGUSR2 has written; without it keepalived.stats in $TMPDIR or /tmp" },
	{ "node.keepalived.json_file", CFG_T_PATH, OPT, 1, CFG_PATH_MAX - 1, NULL, NULL, NULL,
	  "File that the signal of keepalived --signum=JSON has written; without it keepalived.json in $TMPDIR or /tmp" },
	{ "node.keepalived.umask", CFG_T_INT, OPT, 0, 511, NULL, NULL, NULL,
	  "What is taken from the mode 0666 of these files; without it 0177, in decimal 127" },
	{ "node.instances", CFG_T_RECORDS, 0, 0, CFG_GROUPS_MAX, NULL, NULL, NULL,
	  "What differs on this node from the shared instances, by name" },
	{ "node.instances[].name", CFG_T_NAME, REQ | WIDE, 1, VRRP_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of an instance in vrrp.instances" },
	{ "node.instances[].priority", CFG_T_INT, OPT, 1, 255, NULL, NULL, NULL,
	  "Priority of this node in this instance; goes before node.priority" },
	{ "node.instances[].interface", CFG_T_IFNAME, OPT, 1, IFNAMSIZ - 1, NULL, NULL, NULL,
	  "Interface of this instance on this node" },
	{ "node.instances[].source", CFG_T_ADDR, OPT, 0, 0, NULL, NULL, NULL,
	  "Source of this node's adverts in this instance" },

	{ "cluster", CFG_T_NAME, OPT, 1, SYNC_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of the cluster. Without cluster and nodes the router stands alone: VRRP runs, nothing is replicated" },
	{ "nodes", CFG_T_RECORDS, OPT, 2, SYNC_NODES_MAX, NULL, NULL, NULL,
	  "The nodes of the cluster, this one included" },
	{ "nodes[].id", CFG_T_INT, REQ, 1, INT32_MAX, NULL, NULL, NULL,
	  "Number of the node. Of a pair the lower one dials the channel" },
	{ "nodes[].name", CFG_T_NAME, REQ, 1, SYNC_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of the node, for display and keys" },
	{ "nodes[].addresses", CFG_T_ADDRS, REQ, 1, SYNC_LINKS_MAX, NULL, NULL, NULL,
	  "Address of the node on each channel link; all nodes list their links in the same order" },

	{ "channel", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, "The authenticated channel between the nodes" },
	{ "channel.port", CFG_T_INT, 0, 1, 65535, "4950", NULL, NULL, "TCP port of the channel" },
	{ "channel.key_file", CFG_T_PATH, OPT, 1, SYNC_PATH_MAX - 1, NULL, NULL, NULL,
	  "File with the pre-shared key, made by keeptrackd --genkey. Needed unless insecure is true" },
	{ "channel.insecure", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Neither encrypt nor authenticate the channel. For tests and for links that nobody else can reach" },

	{ "vrrp", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL, "Virtual routers and the groups that move together" },
	{ "vrrp.instances", CFG_T_RECORDS, REQ, 0, CFG_GROUPS_MAX, NULL, NULL, NULL,
	  "The virtual routers. With an empty list the daemon waits for a reload that brings some" },
	{ "vrrp.instances[].name", CFG_T_NAME, REQ | WIDE, 1, VRRP_NAME_MAX - 1, NULL, NULL, NULL, "Name of the instance" },
	{ "vrrp.instances[].interface", CFG_T_IFNAME, REQ, 1, IFNAMSIZ - 1, NULL, NULL, NULL,
	  "Interface that sends and hears the adverts and carries the addresses" },
	{ "vrrp.instances[].vrid", CFG_T_INT, REQ, 1, 255, NULL, NULL, NULL,
	  "Virtual router id; one per interface and family" },
	{ "vrrp.instances[].family", CFG_T_WORD, 0, 0, 0, "ipv4", NULL, words_family,
	  "Address family; IPv4 and IPv6 are two virtual routers" },
	{ "vrrp.instances[].priority", CFG_T_INT, 0, 1, 255, "100", NULL, NULL,
	  "Priority where no node sets its own; 255 is for the owner of the addresses" },
	{ "vrrp.instances[].advert_interval", CFG_T_TIME, 0, MS(10), SEC(255), "1", "seconds", NULL,
	  "Time between adverts, in steps of 0.01 up to 40.95; in whole seconds with version 2" },
	{ "vrrp.instances[].preempt", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Take over from a living master of lower priority" },
	{ "vrrp.instances[].virtual_addresses", CFG_T_RECORDS, CFG_F_SHORT, 0, 255, NULL, NULL, NULL,
	  "The virtual addresses: \"ADDRESS/LENGTH\", or a record with address and interface. Without any, only programs, "
	  "routes and excluded addresses follow the role" },
	ADDRESS_KEYS("vrrp.instances[].virtual_addresses"),
	{ "vrrp.instances[].excluded_addresses", CFG_T_RECORDS, CFG_F_SHORT, 0, CFG_LIST_MAX, NULL, NULL, NULL,
	  "Addresses of either family that move with the role but are not advertised" },
	ADDRESS_KEYS("vrrp.instances[].excluded_addresses"),
	{ "vrrp.instances[].routes", CFG_T_RECORDS, CFG_F_SHORT, 0, CFG_LIST_MAX, NULL, NULL, NULL,
	  "Routes that move with the role, in the words of ip-route(8)" },
	{ "vrrp.instances[].routes[].route", CFG_T_TEXT, REQ, 1, 240, NULL, NULL, NULL,
	  "For example \"default via 192.0.2.1 dev wan0 metric 10\"" },
	{ "vrrp.instances[].routes[].track", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Its loss counts (address_lost); false: it is only put back" },
	{ "vrrp.instances[].rules", CFG_T_RECORDS, CFG_F_SHORT, 0, CFG_LIST_MAX, NULL, NULL, NULL,
	  "Routing rules that move with the role, in the words of ip-rule(8)" },
	{ "vrrp.instances[].rules[].rule", CFG_T_TEXT, REQ, 1, 240, NULL, NULL, NULL,
	  "For example \"from 192.0.2.0/24 table 5 priority 100\"; the priority must be given" },
	{ "vrrp.instances[].rules[].track", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Its loss counts (address_lost); false: it is only put back" },
	{ "vrrp.instances[].address_lost", CFG_T_WORD, 0, 0, 0, "restore", NULL, words_lost,
	  "When somebody else removes an address, route or rule of the master: restore puts it back, yield gives the "
	  "role to a ready peer, or puts it back when there is none" },
	{ "vrrp.instances[].version", CFG_T_WORD, 0, 0, 0, "v3", NULL, words_version,
	  "Protocol version; v2+v3 sends both and accepts both, while the other routers are being upgraded" },
	{ "vrrp.instances[].auth_pass", CFG_T_TEXT, OPT, 1, 8, NULL, NULL, NULL,
	  "Clear-text password of version 2, 8 characters at most. It protects against mistakes, not against anybody "
	  "who can listen" },
	{ "vrrp.instances[].down_timer_adverts", CFG_T_INT, 0, 1, 100, "3", NULL, NULL,
	  "Advert intervals of silence until the master counts as gone" },
	{ "vrrp.instances[].preempt_delay", CFG_T_TIME, 0, 0, SEC(1000), "0", "seconds", NULL,
	  "Wait this long from hearing a master of lower priority to taking over from it" },
	{ "vrrp.instances[].lower_priority_advert", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "A master answers the advert of a lower router at once" },
	{ "vrrp.instances[].higher_priority_advert", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "A master that hears a higher router sends one more advert before it yields" },
	{ "vrrp.instances[].multicast_group", CFG_T_ADDR, OPT, 0, 0, NULL, NULL, NULL,
	  "Group that adverts are sent to; without it 224.0.0.18 or ff02::12" },
	{ "vrrp.instances[].source", CFG_T_ADDR, OPT, 0, 0, NULL, NULL, NULL,
	  "Source of adverts; without it the interface's first own address. node.instances sets it per node" },
	{ "vrrp.instances[].unicast_peers", CFG_T_RECORDS, CFG_F_SHORT, 0, 64, NULL, NULL, NULL,
	  "Routers that adverts are sent to one by one, instead of the multicast group. The list may name all routers: "
	  "this node leaves itself out" },
	{ "vrrp.instances[].unicast_peers[].address", CFG_T_ADDR, REQ, 0, 0, NULL, NULL, NULL,
	  "Address of the router" },
	{ "vrrp.instances[].unicast_peers[].min_ttl", CFG_T_INT, 0, 0, 255, "0", NULL, NULL,
	  "Least TTL or hop limit that is accepted from it" },
	{ "vrrp.instances[].unicast_peers[].max_ttl", CFG_T_INT, 0, 0, 255, "255", NULL, NULL,
	  "Highest TTL or hop limit that is accepted from it" },
	{ "vrrp.instances[].unicast_ttl", CFG_T_INT, 0, 1, 255, "255", NULL, NULL,
	  "TTL or hop limit of unicast adverts" },
	{ "vrrp.instances[].unicast_any_source", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Accept unicast adverts from addresses that are not in unicast_peers" },
	{ "vrrp.instances[].virtual_mac", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL,
	  "Addresses live on an interface of their own that is down on every router but the master" },
	{ "vrrp.instances[].virtual_mac.kind", CFG_T_WORD, 0, 0, 0, "macvlan", NULL, words_vmac,
	  "macvlan bears the virtual MAC address 00-00-5E-00-01-VRID (IPv6: 02), ipvlan the base interface's own" },
	{ "vrrp.instances[].virtual_mac.interface", CFG_T_IFNAME, OPT, 1, IFNAMSIZ - 1, NULL, NULL, NULL,
	  "Name of that interface; without it vrrp.VRID, or vrrp6.VRID for IPv6" },
	{ "vrrp.instances[].virtual_mac.address", CFG_T_TEXT, OPT, 17, 17, NULL, NULL, NULL,
	  "Another MAC address of a macvlan, xx:xx:xx:xx:xx:xx; every router of this VRID needs the same one" },
	{ "vrrp.instances[].virtual_mac.source", CFG_T_WORD, 0, 0, 0, "virtual", NULL, words_vmac_source,
	  "MAC address that adverts come from: the virtual one, or the base interface's" },
	{ "vrrp.instances[].accept", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Accept packets to the virtual addresses; false drops all but neighbour discovery, unless this node owns "
	  "them (priority 255)" },
	{ "vrrp.instances[].garp_repeat", CFG_T_INT, 0, 1, 255, "5", NULL, NULL,
	  "Gratuitous ARPs or neighbour advertisements per address after a takeover" },
	{ "vrrp.instances[].garp_delay", CFG_T_TIME, 0, 0, SEC(3600), "5", "seconds", NULL,
	  "A second round of announcements after this time; 0 sends none" },
	{ "vrrp.instances[].garp_refresh", CFG_T_TIME, 0, 0, SEC(86400), "0", "seconds", NULL,
	  "While master, announce the addresses each time this has passed; 0: never" },
	{ "vrrp.instances[].garp_refresh_repeat", CFG_T_INT, 0, 1, 255, "1", NULL, NULL,
	  "Announcements per address each time" },
	{ "vrrp.instances[].garp_lower_repeat", CFG_T_INT, 0, 0, 255, "5", NULL, NULL,
	  "Announcements per address after a lower router was heard as master; 0: none" },
	{ "vrrp.instances[].garp_lower_delay", CFG_T_TIME, 0, 0, SEC(3600), "5", "seconds", NULL,
	  "A second round after this time; 0 sends none" },
	{ "vrrp.instances[].garp_interval", CFG_T_TIME, 0, 0, SEC(1), "0", "seconds", NULL,
	  "Time between two gratuitous ARPs on one interface" },
	{ "vrrp.instances[].na_interval", CFG_T_TIME, 0, 0, SEC(1), "0", "seconds", NULL,
	  "Time between two neighbour advertisements on one interface" },
	{ "vrrp.instances[].garp_extra_interval", CFG_T_TIME, 0, 0, SEC(86400), "0", "seconds", NULL,
	  "With a virtual MAC: announce the addresses each time this has passed on the interfaces that bear the MAC, "
	  "so "
	  "that switches keep it; 0: never" },
	{ "vrrp.instances[].checksum", CFG_T_WORD, 0, 0, 0, "keepalived", NULL, words_checksum,
	  "Form of the IPv4 checksum that is sent: with pseudo-header as keepalived does, or without; both are "
	  "accepted" },
	NOTIFY_KEYS("vrrp.instances[]"),
	SCRIPT_KEYS("vrrp.instances[].notify.lower_priority",
		    "Is run when a MASTER hears a router of lower priority that believes to be master too"),
	{ "vrrp.instances[].notify.priority_changes", CFG_T_BOOL, OPT, 0, 1, NULL, NULL, NULL,
	  "Changes of its priority are written to the pipes, whatever notify.priority_changes says" },
	{ "vrrp.instances[].track", CFG_T_RECORDS, OPT | CFG_F_SHORT, 0, CFG_TRACK_REFS_MAX, NULL, NULL, NULL,
	  "What changes the priority of this instance, or is a fault; a text is the name of a script. In each record one "
	  "thing is named" },
	TRACK_KEYS("vrrp.instances[].track"),
	{ "vrrp.instances[].track_link", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "The link of the instance's own interface being down is a fault; false: only its absence is" },
	{ "vrrp.instances[].address_lists_once", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "The addresses in adverts are compared with ours only when another router is heard than before, not in each "
	  "advert; what differs is counted and said, and nothing else follows from it" },
	{ "vrrp.instances[].strict_mode", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "A keepalived.conf said strict_mode; shown in the files of keepalived. What follows from it stands in keys of "
	  "its own" },
	{ "vrrp.startup_delay", CFG_T_TIME, 0, 0, SEC(1000), "0", "seconds", NULL,
	  "After the start of the daemon no role is taken for this long" },
	{ "vrrp.promote_secondaries", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Set the sysctl on the interfaces of IPv4 instances, so that removing one address does not remove others" },
	{ "vrrp.static", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL, "What this node keeps configured in every role" },
	{ "vrrp.static.addresses", CFG_T_RECORDS, CFG_F_SHORT, 0, CFG_LIST_MAX, NULL, NULL, NULL,
	  "Addresses; each needs its interface" },
	ADDRESS_KEYS("vrrp.static.addresses"),
	{ "vrrp.static.routes", CFG_T_RECORDS, CFG_F_SHORT, 0, CFG_LIST_MAX, NULL, NULL, NULL,
	  "Routes that are there in every role" },
	{ "vrrp.static.routes[].route", CFG_T_TEXT, REQ, 1, 240, NULL, NULL, NULL, "In the words of ip-route(8)" },
	{ "vrrp.static.rules", CFG_T_RECORDS, CFG_F_SHORT, 0, CFG_LIST_MAX, NULL, NULL, NULL,
	  "Routing rules that are there in every role" },
	{ "vrrp.static.rules[].rule", CFG_T_TEXT, REQ, 1, 240, NULL, NULL, NULL, "In the words of ip-rule(8)" },
	{ "vrrp.groups", CFG_T_RECORDS, 0, 0, CFG_GROUPS_MAX, NULL, NULL, NULL,
	  "Failover groups. An instance in no group forms one of its own that bears its name" },
	{ "vrrp.groups[].name", CFG_T_NAME, REQ | WIDE, 1, VRRP_NAME_MAX - 1, NULL, NULL, NULL, "Name of the group" },
	{ "vrrp.groups[].members", CFG_T_NAMES, REQ, 1, CFG_GROUPS_MAX, NULL, NULL, NULL,
	  "Names of the instances that change their role together" },
	{ "vrrp.groups[].fault", CFG_T_WORD, 0, 0, 0, "yield", NULL, words_fault,
	  "When a member fails and no ready peer is there: yield gives the whole group up, degrade serves on with the "
	  "others" },
	{ "vrrp.groups[].preempt", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "The group takes over from a living master of lower priority, if all its members may" },
	{ "vrrp.groups[].arbitrate", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "With a healthy master on the channel a node that hears no adverts at all stays backup and names the cut "
	  "segment, instead of becoming a second master" },
	NOTIFY_KEYS("vrrp.groups[]"),
	{ "vrrp.groups[].track", CFG_T_RECORDS, OPT | CFG_F_SHORT, 0, CFG_TRACK_REFS_MAX, NULL, NULL, NULL,
	  "What changes the priority of all members, or is a fault of the group" },
	TRACK_KEYS("vrrp.groups[].track"),
	{ "vrrp.groups[].member_weights", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Weights in the lists of members count, and for every member alike, because all of them move together; false: "
	  "scripts and files with a weight in such a list do not count at all, as in keepalived without "
	  "sync_group_tracking_weight" },
	{ "vrrp.track", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL,
	  "What can be tracked. Only what a list of an instance or a group names is watched" },
	{ "vrrp.track.scripts", CFG_T_RECORDS, 0, 0, CFG_TRACK_MAX, NULL, NULL, NULL,
	  "Programs that are run again and again; exit status 0 is well" },
	{ "vrrp.track.scripts[].name", CFG_T_NAME, REQ | WIDE, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, "Name of the script" },
	{ "vrrp.track.scripts[].exec", CFG_T_ARGV, OPT, 1, CFG_TRACK_ARGV_MAX, NULL, NULL, NULL,
	  "The program, by absolute path, and its arguments. No shell is involved" },
	{ "vrrp.track.scripts[].shell", CFG_T_TEXT, OPT, 1, 240, NULL, NULL, NULL,
	  "A command line for /bin/sh -c, in place of exec" },
	{ "vrrp.track.scripts[].user", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL,
	  "User that runs it; without it notify.user" },
	{ "vrrp.track.scripts[].group", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL,
	  "Group that runs it; without it the user's own" },
	{ "vrrp.track.scripts[].interval", CFG_T_TIME, 0, MS(10), SEC(86400), "1", "seconds", NULL,
	  "Time from the begin of one run to the begin of the next. Runs never overlap: the next one is left out while one "
	  "is under way" },
	{ "vrrp.track.scripts[].timeout", CFG_T_TIME, OPT, MS(10), SEC(3600), NULL, "seconds", NULL,
	  "A run that takes longer has failed: its process group gets SIGTERM, and SIGKILL after two seconds. Without it: "
	  "the interval" },
	{ "vrrp.track.scripts[].rise", CFG_T_INT, 0, 1, 1000, "1", NULL, NULL, "So many successes in a row make it well" },
	{ "vrrp.track.scripts[].fall", CFG_T_INT, 0, 1, 1000, "1", NULL, NULL, "So many failures in a row make it fail" },
	{ "vrrp.track.scripts[].init_fail", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "It counts as failed until it was well for the first time; else its first result decides, and with weight 0 the "
	  "instance waits for it" },
	{ "vrrp.track.scripts[].weight", CFG_T_INT, 0, -254, 254, "0", NULL, NULL, "Weight where a list gives none" },
	{ "vrrp.track.scripts[].reverse", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Direction where a list gives none" },
	{ "vrrp.track.interfaces", CFG_T_RECORDS, 0, 0, CFG_TRACK_MAX, NULL, NULL, NULL,
	  "How tracked interfaces are judged; one that is not listed here is judged at once" },
	{ "vrrp.track.interfaces[].interface", CFG_T_IFNAME, REQ, 1, IFNAMSIZ - 1, NULL, NULL, NULL, "Name of the interface" },
	{ "vrrp.track.interfaces[].down_delay", CFG_T_TIME, 0, 0, SEC(255), "0", "seconds", NULL,
	  "The link has to be down for this long to count as down" },
	{ "vrrp.track.interfaces[].up_delay", CFG_T_TIME, 0, 0, SEC(255), "0", "seconds", NULL,
	  "The link has to be up for this long to count as up" },
	{ "vrrp.track.interfaces[].weight", CFG_T_INT, 0, -254, 254, "0", NULL, NULL, "Weight where a list gives none" },
	{ "vrrp.track.interfaces[].reverse", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Direction where a list gives none" },
	{ "vrrp.track.processes", CFG_T_RECORDS, 0, 0, CFG_TRACK_MAX, NULL, NULL, NULL, "Processes that have to run" },
	{ "vrrp.track.processes[].name", CFG_T_NAME, REQ | WIDE, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, "Name for it here" },
	{ "vrrp.track.processes[].process", CFG_T_ARGV, REQ, 1, CFG_TRACK_ARGV_MAX, NULL, NULL, NULL,
	  "Name of the process, as in /proc/PID/comm, and its parameters, if they count. A path is compared with the command "
	  "line" },
	{ "vrrp.track.processes[].match", CFG_T_WORD, OPT, 0, 0, NULL, NULL, words_match,
	  "exact: its parameters are these; initial: the last one may be longer; partial: further ones may follow. Without "
	  "it: exact if parameters are given, else any parameters" },
	{ "vrrp.track.processes[].full_command", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Compare with the command line instead of the name, which the kernel cuts after 15 bytes" },
	{ "vrrp.track.processes[].quorum", CFG_T_INT, 0, 0, 1000000, "1", NULL, NULL, "Least number of them that is well" },
	{ "vrrp.track.processes[].quorum_max", CFG_T_INT, OPT, 0, 1000000, NULL, NULL, NULL, "Highest number that is well" },
	{ "vrrp.track.processes[].fork_delay", CFG_T_TIME, 0, 0, SEC(3600), "0", "seconds", NULL,
	  "Their number has to be right for this long to count as well" },
	{ "vrrp.track.processes[].terminate_delay", CFG_T_TIME, 0, 0, SEC(3600), "0", "seconds", NULL,
	  "Their number has to be wrong for this long to count as failed" },
	{ "vrrp.track.processes[].weight", CFG_T_INT, 0, -254, 254, "0", NULL, NULL, "Weight where a list gives none" },
	{ "vrrp.track.processes[].reverse", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Direction where a list gives none" },
	{ "vrrp.track.files", CFG_T_RECORDS, 0, 0, CFG_TRACK_MAX, NULL, NULL, NULL,
	  "Files with a number: it is multiplied by the weight and added to the priority. With weight 0 any other number than "
	  "0 is a fault; so is a product below -253" },
	{ "vrrp.track.files[].name", CFG_T_NAME, REQ | WIDE, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, "Name for it here" },
	{ "vrrp.track.files[].file", CFG_T_PATH, REQ, 1, 240, NULL, NULL, NULL, "Path of the file" },
	{ "vrrp.track.files[].missing", CFG_T_INT, 0, INT32_MIN, INT32_MAX, "0", NULL, NULL,
	  "Number that counts while there is no such file, or no number in it" },
	{ "vrrp.track.files[].init", CFG_T_INT, OPT, INT32_MIN, INT32_MAX, NULL, NULL, NULL,
	  "Written to the file when the daemon starts and there is none" },
	{ "vrrp.track.files[].overwrite", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Write init also over what is there" },
	{ "vrrp.track.files[].weight", CFG_T_INT, 0, -CFG_TRACK_FACTOR_MAX, CFG_TRACK_FACTOR_MAX, "1", NULL, NULL,
	  "Factor where a list gives none" },
	{ "vrrp.track.files[].reverse", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Direction where a list gives none" },
	{ "vrrp.track.conntrack", CFG_T_RECORDS, 0, 0, 16, NULL, NULL, NULL,
	  "How full the kernel's conntrack table may be: a full one refuses new sessions" },
	{ "vrrp.track.conntrack[].name", CFG_T_NAME, REQ, 1, VRRP_TRACK_NAME_MAX - 1, NULL, NULL, NULL, "Name for it here" },
	{ "vrrp.track.conntrack[].high", CFG_T_INT, 0, 1, 100, "95", "percent of nf_conntrack_max", NULL,
	  "It fails from here on" },
	{ "vrrp.track.conntrack[].low", CFG_T_INT, 0, 0, 99, "85", "percent of nf_conntrack_max", NULL,
	  "It is well again from here down" },
	{ "vrrp.track.conntrack[].interval", CFG_T_TIME, 0, MS(100), SEC(3600), "1", "seconds", NULL,
	  "Time between two looks" },
	{ "vrrp.track.conntrack[].weight", CFG_T_INT, 0, -254, 254, "0", NULL, NULL, "Weight where a list gives none" },
	{ "vrrp.track.conntrack[].reverse", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL, "Direction where a list gives none" },

	{ "sync", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL, "Replication of conntrack sessions" },
	{ "sync.replicate", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL,
	  "Replicate sessions; false keeps only the control channel between the nodes" },
	{ "sync.store", CFG_T_WORD, 0, 0, 0, "hot", NULL, words_store,
	  "Where a node that is master of nothing keeps its copies: hot in its kernel table, so that a takeover loads "
	  "nothing; warm in the daemon, for a standby with a small table: a takeover then writes them first, in the order of "
	  "their worth, and waits for that for at most 50 ms" },
	{ "sync.quick", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Replicate a session from its first packet, not only once it is established or answered" },
	{ "sync.protocols", CFG_T_WORDS, 0, 0, SYNC_PROTO_N, "tcp udp icmp udplite sctp dccp gre other", NULL, words_proto,
	  "Protocols that are replicated; icmp is both versions, other is whatever else has sessions" },
	{ "sync.ignore", CFG_T_RECORDS, CFG_F_SHORT, 0, SYNC_IGNORE_MAX, NULL, NULL, NULL,
	  "Sessions that are left out, as a list of rules: \"PREFIX\", or a record of which every given part must hold" },
	{ "sync.ignore[].address", CFG_T_PREFIX, OPT, 0, 0, NULL, NULL, NULL,
	  "Network that one end of the session is in, before or after translation" },
	{ "sync.ignore[].protocols", CFG_T_WORDS, 0, 1, SYNC_PROTO_N, "tcp udp icmp udplite sctp dccp gre other", NULL,
	  words_proto, "Its protocol is one of these" },
	{ "sync.ignore[].port", CFG_T_INT, OPT, 1, 65535, NULL, NULL, NULL, "Destination port, or the first of a range" },
	{ "sync.ignore[].last_port", CFG_T_INT, OPT, 1, 65535, NULL, NULL, NULL, "Last port of the range" },
	{ "sync.ignore[].zone", CFG_T_INT, OPT, 0, 65535, NULL, NULL, NULL, "Conntrack zone of the original direction" },
	{ "sync.ignore[].interface", CFG_T_IFNAME, OPT, 1, IFNAMSIZ - 1, NULL, NULL, NULL,
	  "One end of the session, before or after translation, lies in a network that this interface of the node is "
	  "connected to. The kernel's entry names no interface: what only passes through it to networks behind another "
	  "router is not recognised; name those with address" },
	{ "sync.min_age", CFG_T_TIME, 0, 0, SEC(3600), "0", "seconds", NULL,
	  "A session is replicated when it is this old, counted from its first packet; short ones then cost the peer "
	  "nothing, and a crash loses sessions that are younger. A planned switch tells them all" },
	{ "sync.min_ages", CFG_T_RECORDS, 0, 0, SYNC_PROTO_N, NULL, NULL, NULL,
	  "Other ages for some protocols; of several records for one protocol the last one counts" },
	{ "sync.min_ages[].protocols", CFG_T_WORDS, REQ, 1, SYNC_PROTO_N, NULL, NULL, words_proto, "These protocols" },
	{ "sync.min_ages[].min_age", CFG_T_TIME, REQ, 0, SEC(3600), NULL, "seconds", NULL,
	  "Least age of their sessions, in place of sync.min_age" },
	{ "sync.tcp_states", CFG_T_WORDS, 0, 0, 8, "", NULL, words_tcp,
	  "A TCP session is replicated once it is in one of these states, and from then on in all others. Without it: "
	  "established, fin_wait and close_wait, and sessions with NAT or a helper from the first packet" },
	{ "sync.expectations", CFG_T_WORDS, 0, 0, 6, "", NULL, words_expect,
	  "Helpers whose expectations are replicated. This comes in a later version and is refused until then" },
	{ "sync.accounting", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Sessions take their counters of packets and bytes, and their age, to the other node; the kernel begins at zero "
	  "there. Costs 16 bytes a session and a record for each busy one in every walk; needs nf_conntrack_acct on all "
	  "nodes. Takes effect when the daemon starts" },
	{ "sync.failover_mechanism", CFG_T_WORD, 0, 0, 0, "vrrp", NULL, words_mechanism,
	  "What moves the sessions' owner: VRRP does, by vrrp.groups; the word cluster of other systems is refused" },
	{ "sync.strict_window_after", CFG_T_TIME, 0, 0, SEC(86400), "0", "seconds", NULL,
	  "This long after a takeover the kernel checks the sequence numbers of taken-over TCP flows strictly again, if "
	  "they have moved since; 0: never, they stay liberal. At the next walk over the table after that" },
	{ "sync.lease", CFG_T_TIME, 0, SEC(300), SEC(600), "400", "seconds", NULL,
	  "Life of a copy between two renewals by the standby" },
	{ "sync.sessions_max", CFG_T_INT, 0, 1000, 50000000, "1000000", "sessions", NULL,
	  "Most sessions kept in the daemon's table; a sixteenth of it is for the node's own alone" },
	{ "sync.peer_sessions_max", CFG_T_INT, 0, 0, 50000000, "0", "sessions", NULL,
	  "Most copies that are kept for one peer; 0: as many as there is room for" },
	{ "sync.high_water", CFG_T_INT, 0, 10, 99, "85", "percent of nf_conntrack_max", NULL,
	  "Up to here copies are written into the kernel's table. Further ones wait in the daemon until there is room, or "
	  "until a takeover needs them: copies never push out the node's own sessions" },
	{ "sync.peer_rate", CFG_T_INT, 0, 1000, 100000000, "1000000", "records per second", NULL,
	  "A peer that sends faster is read slower; nothing is dropped" },
	{ "sync.receive_buffer", CFG_T_INT, 0, 65536, 1 << 30, "134217728", "bytes", NULL,
	  "Receive buffer of the conntrack event socket" },
	{ "sync.bulk_rate", CFG_T_INT, 0, 1000, 10000000, "200000", "sessions per second", NULL,
	  "Pace of copies that are written in bulk" },

	{ "ipsec", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL, "IPsec tunnels that follow a virtual address" },
	{ "ipsec.vici", CFG_T_PATH, 0, 1, CFG_PATH_MAX - 1, "/run/charon.vici", NULL, NULL,
	  "Control socket of strongSwan's charon" },
	{ "ipsec.whack", CFG_T_PATH, 0, 1, CFG_PATH_MAX - 1, "/usr/libexec/ipsec/whack", NULL, NULL,
	  "libreswan's whack: the program that ipsec whack runs. Used by tunnels with backend libreswan" },
	{ "ipsec.pluto", CFG_T_PATH, 0, 1, CFG_PATH_MAX - 1, "/run/pluto/pluto.ctl", NULL, NULL,
	  "Control socket of libreswan's pluto" },
	{ "ipsec.swanctl", CFG_T_PATH, 0, 1, CFG_PATH_MAX - 1, "/etc/swanctl/swanctl.conf", NULL, NULL,
	  "strongSwan's connections: only read, and only mobike and start_action are kept, which its socket does not tell. "
	  "They are for show ipsec check" },
	{ "ipsec.strongswan", CFG_T_PATH, 0, 1, CFG_PATH_MAX - 1, "/etc/strongswan.conf", NULL, NULL,
	  "strongSwan's own settings: how long it repeats a request, for show ipsec check" },
	{ "ipsec.tunnels", CFG_T_RECORDS, CFG_F_AUTO, 0, IKE_TUNNELS_MAX, NULL, NULL, NULL,
	  "The tunnels. A connection of the IKE daemon that is not listed is never touched. The word \"auto\" instead of "
	  "the list takes every connection of strongSwan whose local address is a virtual address, under its name there, "
	  "with the settings of ipsec.auto" },
	{ "ipsec.tunnels[].name", CFG_T_NAME, REQ, 1, IKE_NAME_MAX - 1, NULL, NULL, NULL, "Name of the tunnel" },
	{ "ipsec.tunnels[].vip", CFG_T_ADDR, REQ, 0, 0, NULL, NULL, NULL,
	  "Local end: a virtual address of one of the instances" },
	{ "ipsec.tunnels[].peer", CFG_T_ADDR, REQ, 0, 0, NULL, NULL, NULL, "Remote end of the tunnel" },
	{ "ipsec.tunnels[].ike", CFG_T_TEXT, OPT, 1, IKE_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of the connection in the IKE daemon. Not needed with backend none" },
	{ "ipsec.tunnels[].child", CFG_T_TEXT, OPT, 1, IKE_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of the child of that connection. Needed with the vici backend" },
	{ "ipsec.tunnels[].backend", CFG_T_WORD, 0, 0, 0, "vici", NULL, words_backend,
	  "How the IKE daemon is reached: vici is strongSwan, libreswan its ipsec whack, exec a program of yours; none only "
	  "sweeps kernel state" },
	{ "ipsec.tunnels[].exec", CFG_T_ARGV, OPT, 1, IKE_ARGV_MAX, NULL, NULL, NULL,
	  "The program of backend exec, by absolute path, and its arguments; no shell is involved. What it is to do is in "
	  "its environment, see PROGRAMS THAT REACH AN IKE DAEMON" },
	{ "ipsec.tunnels[].exec_timeout", CFG_T_TIME, 0, MS(100), SEC(30), "2", "seconds", NULL,
	  "Each run of that program is killed after this time" },
	TUNNEL_KEYS("ipsec.tunnels[]"),
	{ "ipsec.tunnels[].warm", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "While this node is not MASTER it keeps an IKE SA without child with the peer, from its own address, so that a "
	  "takeover needs one exchange more. The peer must accept both nodes' own addresses, IKEv2 without child (RFC 6023), "
	  "and keep several IKE SAs of one identity (unique = never), unless each node has an identity of its own" },
	{ "ipsec.tunnels[].warm_ike", CFG_T_TEXT, OPT, 1, IKE_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of the connection for it: as ike, but bound to the node's own address, of the same name on all nodes. "
	  "Needed with warm" },
	{ "ipsec.tunnels[].warm_child", CFG_T_TEXT, OPT, 1, IKE_NAME_MAX - 1, NULL, NULL, NULL,
	  "Name of the child of that connection. Without it: the same as child" },
	{ "ipsec.tunnels[].reqid", CFG_T_INT, OPT, 1, UINT32_MAX, NULL, NULL, NULL,
	  "Request id that the IKE daemon gives the SAs of this tunnel (reqid in swanctl.conf). With it, or mark or if_id, a "
	  "sweep of the kernel for this tunnel leaves other SAs of the vip alone. See show ipsec sweep dry-run" },
	{ "ipsec.tunnels[].mark", CFG_T_INT, OPT, 0, UINT32_MAX, NULL, NULL, NULL,
	  "Mark of the SAs of this tunnel in the kernel, the same in both directions" },
	{ "ipsec.tunnels[].if_id", CFG_T_INT, OPT, 0, UINT32_MAX, NULL, NULL, NULL,
	  "Interface id of the SAs of this tunnel in the kernel, the same in both directions" },
	{ "ipsec.auto", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, "Settings of the tunnels that \"auto\" finds" },
	TUNNEL_KEYS("ipsec.auto"),

	{ "hooks", CFG_T_RECORDS, 0, 0, 256, NULL, NULL, NULL,
	  "Programs that are run after an event, one at a time and in the order of the list" },
	{ "hooks[].on", CFG_T_WORDS, REQ, 1, HOOK_EVENT_N, NULL, NULL, words_event, "Events that run the program" },
	{ "hooks[].exec", CFG_T_ARGV, REQ, 1, IKE_ARGV_MAX, NULL, NULL, NULL,
	  "The program, by absolute path, and its arguments. No shell is involved" },
	{ "hooks[].timeout", CFG_T_TIME, 0, MS(100), SEC(300), "10", "seconds", NULL,
	  "The program is killed after this time" },

	{ "notify", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL,
	  "How programs, pipes and people are told of role changes. What is told is said at each instance and group" },
	{ "notify.user", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL,
	  "User that programs of notify blocks run as. Without it keepalived_script, if there is such a user, else the "
	  "daemon's own; with script_security one of the two first is needed" },
	{ "notify.group", CFG_T_TEXT, OPT, 1, 31, NULL, NULL, NULL, "Group they run as, if not the user's own" },
	{ "notify.script_security", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "A program that would run as root is refused when somebody else may change it or a part of its path" },
	{ "notify.timeout", CFG_T_TIME, 0, MS(100), SEC(3600), "60", "seconds", NULL,
	  "A program is killed with its process group after this time, because the next one waits for it" },
	{ "notify.priority_changes", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Changes of an instance's priority are written to the pipes" },
	{ "notify.states_on_reload", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "A reload writes the states of all instances and groups to the pipes, also where nothing changed" },
	FIFO_KEYS("notify.fifo", "A named pipe that gets a line for each change of an instance or group"),
	FIFO_KEYS("notify.vrrp_fifo", "A second pipe with the same lines, for readers that expect it beside the first"),
	{ "notify.mail", CFG_T_BLOCK, OPT, 0, 0, NULL, NULL, NULL, "Mail about role changes, through the local sendmail" },
	{ "notify.mail.to", CFG_T_RECORDS, REQ | CFG_F_SHORT, 1, 64, NULL, NULL, NULL, "Who gets it" },
	{ "notify.mail.to[].address", CFG_T_TEXT, REQ, 1, 254, NULL, NULL, NULL, "Mail address" },
	{ "notify.mail.from", CFG_T_TEXT, OPT, 1, 254, NULL, NULL, NULL,
	  "Sender. Without it keepalived@ and the name of the host" },
	{ "notify.mail.router", CFG_T_TEXT, OPT, 1, 63, NULL, NULL, NULL,
	  "Name of this router in the subject. Without it the name of the host" },
	{ "notify.mail.sendmail", CFG_T_PATH, 0, 1, CFG_PATH_MAX - 1, "/usr/sbin/sendmail", NULL, NULL,
	  "Program that takes the message on its standard input, with -t" },
	{ "notify.mail.always", CFG_T_BOOL, 0, 0, 1, "false", NULL, NULL,
	  "Send mail for every instance and group that does not say otherwise" },
	{ "notify.mail.faults", CFG_T_BOOL, 0, 0, 1, "true", NULL, NULL, "Send mail for FAULT too" },

	{ "control", CFG_T_BLOCK, 0, 0, 0, NULL, NULL, NULL, "The control socket that ktsh uses" },
	{ "control.socket", CFG_T_PATH, OPT, 1, CFG_PATH_MAX - 1, NULL, NULL, NULL,
	  "Path of the socket. Without it: ctl.sock in node.run_dir" },
	{ "control.view_group", CFG_T_TEXT, 0, 0, 31, "keeptrackd-view", NULL, NULL,
	  "Members of this group may run show commands; empty: nobody but root" },
	{ "control.admin_group", CFG_T_TEXT, 0, 0, 31, "keeptrackd-admin", NULL, NULL,
	  "Members of this group may run every command; empty: nobody but root" },
};
/* clang-format on */

const unsigned cfg_rows_n = sizeof(cfg_rows) / sizeof(cfg_rows[0]);
