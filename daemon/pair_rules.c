/* What differences mean. Rows stand from the special to the general. */
#include "daemon/pair_rules.h"

#define SYSCTL(name, grade, what, consequence, fix)                        \
	{                                                                  \
		"sysctl." name, PAIR_SYSCTL, grade, what, consequence, fix \
	}
#define SAME_SYSCTL "give both nodes the same value (sysctl.d)"
#define SAME_CONF   "make this part of the configuration equal on both nodes and reload"

const struct pair_rule_row pair_rules[] = {
	/* settings of the kernel */
	SYSCTL(
	    "nf_conntrack_max", PAIR_WARNING, "size of the conntrack table",
	    "in the node with the smaller table copies above its high-water mark wait outside of the kernel; what does "
	    "not fit when it takes over breaks",
	    "set net.netfilter.nf_conntrack_max to the larger value on both nodes"),
	{ "sysctl.nf_conntrack_buckets", PAIR_RATIO, PAIR_WARNING, "hash buckets of the conntrack table",
	  "the node with fewer buckets walks longer chains for each packet and refuses entries where a chain is full",
	  "set net.netfilter.nf_conntrack_buckets to the larger value on both nodes" },
	SYSCTL(
	    "nf_conntrack_tcp_loose", PAIR_WARNING, "TCP in the middle of a connection (tcp_loose)",
	    "a connection without an entry is picked up by one node and invalid on the other: what is not replicated "
	    "yet breaks only when the strict one takes over",
	    SAME_SYSCTL),
	SYSCTL("nf_conntrack_tcp_be_liberal", PAIR_WARNING, "TCP windows (tcp_be_liberal)",
	       "segments outside of the window pass one node and are invalid on the other: transfers may stall after a "
	       "takeover",
	       SAME_SYSCTL),
	SYSCTL("nf_conntrack_tcp_ignore_invalid_rst", PAIR_WARNING, "TCP resets outside of the window",
	       "one node ends connections by resets that the other ignores", SAME_SYSCTL),
	SYSCTL("nf_conntrack_tcp_max_retrans", PAIR_NOTE, "unanswered TCP segments before a short timeout",
	       "connections in trouble end earlier on one node", SAME_SYSCTL),
	SYSCTL("nf_conntrack_events", PAIR_WARNING, "conntrack events",
	       "changes of sessions are not reported alike; keeptrackd sets it to 1 when it starts",
	       "leave net.netfilter.nf_conntrack_events at 1 and restart keeptrackd where it is not"),
	SYSCTL("nf_conntrack_acct", PAIR_WARNING, "packet and byte counters of sessions",
	       "rules on counters (connbytes, quota) and accounting see nothing on one node after a takeover",
	       SAME_SYSCTL),
	SYSCTL("nf_conntrack_timestamp", PAIR_NOTE, "start times of sessions", "start times are known on one node only",
	       SAME_SYSCTL),
	SYSCTL("nf_conntrack_helper", PAIR_WARNING, "automatic helpers",
	       "FTP, SIP and the like open related connections on one node only", SAME_SYSCTL),
	SYSCTL("nf_conntrack_checksum", PAIR_WARNING, "checksums before tracking",
	       "packets with a bad checksum are invalid on one node and tracked on the other", SAME_SYSCTL),
	SYSCTL("nf_conntrack_expect_max", PAIR_NOTE, "expected connections",
	       "helpers reach their limit earlier on one node", SAME_SYSCTL),
	SYSCTL("nf_conntrack_log_invalid", PAIR_NOTE, "logging of invalid packets", "only the log differs",
	       SAME_SYSCTL),
	SYSCTL("nf_conntrack_frag6*", PAIR_NOTE, "IPv6 fragments", "fragments wait differently", SAME_SYSCTL),
	SYSCTL("nf_conntrack_*timeout*", PAIR_WARNING, "how long idle sessions live",
	       "after a takeover sessions live by the other node's timeout: idle ones may end before their hosts "
	       "expect it",
	       SAME_SYSCTL),
	SYSCTL("nf_flowtable_*", PAIR_NOTE, "how long offloaded flows rest", "flows leave the fast path at other times",
	       SAME_SYSCTL),
	SYSCTL("ip_forward", PAIR_DANGER, "IPv4 forwarding", "the node with 0 forwards nothing once it has taken over",
	       "set net.ipv4.ip_forward to 1 on both nodes"),
	SYSCTL("ipv6_forwarding", PAIR_DANGER, "IPv6 forwarding",
	       "the node with 0 forwards no IPv6 once it has taken over",
	       "set net.ipv6.conf.all.forwarding alike on both nodes"),
	SYSCTL("*", PAIR_NOTE, "a kernel setting", "the nodes behave differently in this respect", SAME_SYSCTL),
	/* what the kernels can do */
	{ "zones.support", PAIR_EQUAL, PAIR_WARNING, "conntrack zones in the kernel",
	  "sessions in a zone cannot be stored on the node without: they break when it takes over",
	  "run a kernel with CONFIG_NF_CONNTRACK_ZONES on both nodes" },
	{ "zones.used", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "helper[*]", PAIR_EQUAL, PAIR_WARNING, "a connection tracking helper",
	  "sessions with this helper cannot be stored where it is not loaded, and related connections (data of FTP, "
	  "media "
	  "of SIP) are not recognised there",
	  "load nf_conntrack_NAME on both nodes (modules-load.d)" },
	{ "helper_nat[*]", PAIR_EQUAL, PAIR_WARNING, "the NAT part of a helper",
	  "addresses inside the stream are translated on one node only: related connections fail after a takeover",
	  "load nf_nat_NAME on both nodes (modules-load.d)" },
	{ "helper_rule[*]", PAIR_EQUAL, PAIR_WARNING, "a helper object in the nftables rules",
	  "new connections get this helper on one node only", "make the rules equal on both nodes" },
	{ "helper_rules", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "helper_used[*]", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	/* the nodes */
	{ "node.kernel", PAIR_EQUAL, PAIR_NOTE, "kernel version",
	  "an attribute that only one kernel knows is not carried over", "plan for the same kernel on both nodes" },
	{ "node.version", PAIR_EQUAL, PAIR_NOTE, "version of keeptrackd",
	  "what only the newer one can do is not used until both can", "finish the upgrade" },
	{ "node.machine", PAIR_EQUAL, PAIR_NOTE, "kind of machine", "none for sessions", "none needed" },
	{ "node.*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "table.*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "sessions.*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "nat[*]", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "group[*]*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "cut", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	/* links */
	{ "channel[*].mtu", PAIR_EQUAL, PAIR_WARNING, "MTU of the channel's interface",
	  "full-size packets pass in one direction only: replication stalls as soon as there is much to tell",
	  "give the interfaces of the channel the same MTU" },
	{ "channel[*]*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "vrrp[*].vrid", PAIR_EQUAL, PAIR_DANGER, "VRID of a virtual router",
	  "the nodes do not hear each other: both become master", SAME_CONF },
	{ "vrrp[*].family", PAIR_EQUAL, PAIR_DANGER, "family of a virtual router",
	  "the nodes do not hear each other: both become master", SAME_CONF },
	{ "vrrp[*].priority", PAIR_UNLIKE, PAIR_NOTE, "priority of a virtual router",
	  "who is master is decided by the addresses of the nodes", "give one node a higher priority (node.priority)" },
	{ "vrrp[*].mtu", PAIR_EQUAL, PAIR_WARNING, "MTU of a virtual router's interface",
	  "after a takeover large packets are fragmented, refused or lost that passed before",
	  "give the interfaces the same MTU on both nodes" },
	{ "vrrp[*].rp_filter", PAIR_SYSCTL, PAIR_WARNING, "reverse path filter of a virtual router's interface",
	  "traffic that comes back by another way passes one node and is dropped by the other", SAME_SYSCTL },
	{ "vrrp[*].*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "vrrp[*]", PAIR_EQUAL, PAIR_DANGER, "a virtual router of one node only",
	  "nobody takes its addresses over when that node fails", "configure it on both nodes, or on none" },
	/* configuration */
	{ "config.*", PAIR_SHOW, PAIR_NOTE, "", "", "" },
	{ "conf.sync.protocols", PAIR_EQUAL, PAIR_WARNING, "replicated protocols",
	  "sessions of a protocol survive a takeover in one direction and break in the other", SAME_CONF },
	{ "conf.sync.ignore*", PAIR_EQUAL, PAIR_WARNING, "sessions that are left out (ignore)",
	  "sessions that one node leaves out survive a takeover in one direction and break in the other", SAME_CONF },
	{ "conf.sync.quick", PAIR_EQUAL, PAIR_WARNING, "replication from the first packet on (quick)",
	  "young sessions survive a takeover in one direction only", SAME_CONF },
	{ "conf.sync.store", PAIR_EQUAL, PAIR_WARNING, "where copies are kept (store)",
	  "a takeover by the warm node has to load the sessions first and takes longer", SAME_CONF },
	{ "conf.sync.replicate", PAIR_EQUAL, PAIR_DANGER, "replication switched on (replicate)",
	  "one node replicates nothing: its sessions break when the other takes over", SAME_CONF },
	{ "conf.sync.lease", PAIR_EQUAL, PAIR_NOTE, "life of a copy between renewals (lease)",
	  "copies of sessions without traffic live longer on one node", SAME_CONF },
	{ "conf.sync.min_age*", PAIR_EQUAL, PAIR_WARNING, "age from which sessions are replicated",
	  "young sessions survive a takeover in one direction only", SAME_CONF },
	{ "conf.sync.tcp_states", PAIR_EQUAL, PAIR_WARNING, "TCP states from which sessions are replicated",
	  "young TCP sessions survive a takeover in one direction only", SAME_CONF },
	{ "conf.sync.strict_window_after", PAIR_EQUAL, PAIR_WARNING, "strict TCP windows after a takeover",
	  "sequence numbers of sessions that were taken over are checked again by one node only", SAME_CONF },
	{ "conf.sync.high_water", PAIR_EQUAL, PAIR_WARNING, "share of the kernel's table for copies (high_water)",
	  "a takeover by the node with the lower mark has to write more copies first and takes longer", SAME_CONF },
	{ "conf.sync.peer_sessions_max", PAIR_EQUAL, PAIR_WARNING, "copies kept for one peer (peer_sessions_max)",
	  "the node with the lower limit refuses copies above it: those sessions break when it takes over", SAME_CONF },
	{ "conf.sync.sessions_max", PAIR_EQUAL, PAIR_WARNING, "limit of the session table (sessions_max)",
	  "the node with the lower limit refuses copies above it: those sessions break when it takes over", SAME_CONF },
	{ "conf.sync.*", PAIR_EQUAL, PAIR_NOTE, "a setting of replication", "replication runs differently on the nodes",
	  SAME_CONF },
	{ "conf.vrrp.instances[*].virtual_addresses*", PAIR_EQUAL, PAIR_DANGER, "addresses of a virtual router",
	  "an address that only one node has is gone after a takeover by the other", SAME_CONF },
	{ "conf.vrrp.instances[*].excluded_addresses*", PAIR_EQUAL, PAIR_DANGER, "addresses of a virtual router",
	  "an address that only one node has is gone after a takeover by the other", SAME_CONF },
	{ "conf.vrrp.instances[*].ro*", PAIR_EQUAL, PAIR_DANGER, "routes of a virtual router",
	  "a route that only one node has is gone after a takeover by the other", SAME_CONF },
	{ "conf.vrrp.instances[*].version", PAIR_EQUAL, PAIR_DANGER, "version of VRRP",
	  "the nodes do not understand each other: both may become master", SAME_CONF },
	{ "conf.vrrp.instances[*].virtual_mac*", PAIR_EQUAL, PAIR_WARNING, "virtual MAC",
	  "hosts have to learn another MAC address at each takeover", SAME_CONF },
	{ "conf.vrrp.instances[*]", PAIR_EQUAL, PAIR_DANGER, "a virtual router of one node only",
	  "nobody takes its addresses over when that node fails", "configure it on both nodes, or on none" },
	{ "conf.vrrp.groups*", PAIR_EQUAL, PAIR_DANGER, "failover groups",
	  "what moves together on one node moves apart on the other: a router may end with half of the addresses",
	  SAME_CONF },
	{ "conf.vrrp*", PAIR_EQUAL, PAIR_WARNING, "a setting of VRRP",
	  "elections run differently on the nodes, and while the section differs roles are not coordinated on the "
	  "channel",
	  SAME_CONF },
	{ "conf.ipsec*", PAIR_EQUAL, PAIR_WARNING, "IPsec tunnels",
	  "a tunnel that only one node has, or treats otherwise, stays down after a takeover by the other", SAME_CONF },
	{ "conf.hooks*", PAIR_EQUAL, PAIR_NOTE, "hooks", "programs are told of events on one node only", SAME_CONF },
	{ "conf.*", PAIR_EQUAL, PAIR_WARNING, "cluster, nodes or channel",
	  "the nodes may not find each other on every link", SAME_CONF },
	{ "*", PAIR_SYSCTL, PAIR_NOTE, "something that only a newer version can judge", "not known to this version",
	  "run the same version of keeptrackd on both nodes" },
};

const unsigned pair_rules_n = sizeof(pair_rules) / sizeof(pair_rules[0]);

const struct pair_rule_row pair_rule_nat_node = {
	"nat",
	PAIR_SHOW,
	PAIR_WARNING,
	"sessions translated to an address of the node itself (masquerade)",
	"they are not replicated and break at a takeover: answers go to an address that does not move",
	"translate to a virtual address: snat to VIP instead of masquerade"
};
const struct pair_rule_row pair_rule_nat_group = {
	"nat",
	PAIR_SHOW,
	PAIR_DANGER,
	"sessions translated to a virtual address of a group that this node does not serve",
	"answers reach the node that serves the group, which did not send the packets",
	"translate only to addresses of groups whose traffic this node carries, or put both into one group"
};
const struct pair_rule_row pair_rule_room = { "table.count",
					      PAIR_SHOW,
					      PAIR_DANGER,
					      "more sessions than fit into the other node's table",
					      "the rest of them breaks when it takes over",
					      "raise net.netfilter.nf_conntrack_max there" };
const struct pair_rule_row pair_rule_mark = {
	"table.count",
	PAIR_SHOW,
	PAIR_WARNING,
	"more sessions than the other node writes into its table as copies",
	"the rest waits in its daemon: a takeover writes it first and takes longer",
	"raise net.netfilter.nf_conntrack_max or sync.high_water there"
};
const struct pair_rule_row pair_rule_zones = { "zones.used",
					       PAIR_SHOW,
					       PAIR_DANGER,
					       "sessions in zones that the other node's kernel does not have",
					       "they cannot be stored there and break when it takes over",
					       "run a kernel with CONFIG_NF_CONNTRACK_ZONES on both nodes" };
const struct pair_rule_row pair_rule_helper = { "helper_used",
						PAIR_SHOW,
						PAIR_DANGER,
						"sessions with a helper that the other node has not loaded",
						"they cannot be stored there and break when it takes over",
						"load nf_conntrack_NAME there (modules-load.d)" };
const struct pair_rule_row pair_rule_events = { "events",
						PAIR_SHOW,
						PAIR_DANGER,
						"conntrack events are off",
						"sessions of this node are not seen, and so not replicated",
						"set net.netfilter.nf_conntrack_events to 1 there" };
const struct pair_rule_row pair_rule_path = { "channel",
					      PAIR_SHOW,
					      PAIR_WARNING,
					      "the path of the channel carries less than the interface",
					      "something between the nodes has a smaller MTU",
					      "give every part of the channel's link the same MTU" };
const struct pair_rule_row pair_rule_frames = { "channel",
						PAIR_SHOW,
						PAIR_WARNING,
						"full-size packets of the channel do not arrive",
						"replication stalls as soon as there is much to tell",
						"give every part of the channel's link the same MTU" };
const struct pair_rule_row pair_rule_section = {
	"config",
	PAIR_SHOW,
	PAIR_WARNING,
	"a section of the configuration differs in what is not exchanged",
	"passwords (auth_pass) differ, or the section is too large to be compared key by key",
	"compare the files of both nodes (keeptrackd -T)"
};
const struct pair_rule_row pair_rule_clock = { "clock",
					       PAIR_SHOW,
					       PAIR_NOTE,
					       "the clocks of the nodes",
					       "times in logs and timelines of both nodes do not fit together",
					       "synchronise the clocks (NTP)" };
