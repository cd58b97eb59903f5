/* The table of keepalived's words. Rows of a block stand together, in the order of the manual. */
#include <stddef.h>
#include <string.h>
#include "daemon/dropin/kconf_words.h"

#define UMAX UINT32_MAX

#define HON(in, word, how, key, min, max, say)                        \
	{                                                             \
		in, word, KW_HONOURED, how, key, min, max, false, say \
	}
#define OWN(in, word, say)                                             \
	{                                                              \
		in, word, KW_HONOURED, KH_NONE, NULL, 0, 0, false, say \
	}
#define BLK(in, word, say)                                            \
	{                                                             \
		in, word, KW_HONOURED, KH_NONE, NULL, 0, 0, true, say \
	}
#define NOT(in, word, say)                                              \
	{                                                               \
		in, word, KW_NO_EFFECT, KH_NONE, NULL, 0, 0, false, say \
	}
#define NOTB(in, word, say)                                            \
	{                                                              \
		in, word, KW_NO_EFFECT, KH_NONE, NULL, 0, 0, true, say \
	}
#define REF(in, word, say)                                            \
	{                                                             \
		in, word, KW_REFUSED, KH_NONE, NULL, 0, 0, false, say \
	}
#define REFB(in, word, say)                                          \
	{                                                            \
		in, word, KW_REFUSED, KH_NONE, NULL, 0, 0, true, say \
	}
#define LVS(in, word)                                             \
	{                                                         \
		in, word, KW_LVS, KH_NONE, NULL, 0, 0, false, lvs \
	}
#define LVSB(in, word)                                           \
	{                                                        \
		in, word, KW_LVS, KH_NONE, NULL, 0, 0, true, lvs \
	}

static const char lvs[] = "for keepalived's checkers; run the real keepalived -C beside this daemon";
static const char one_process[] = "there is one process, and its latency thread has its own scheduling (node.realtime)";
static const char no_snmp[] = "there is no SNMP agent; metrics and JSON tell the same";
static const char no_dbus[] = "there is no D-Bus interface; the control socket tells the same";
static const char no_buffer[] = "buffers of this daemon are sized by itself";
static const char own_table[] = "rules live in one nftables table of this daemon, or in iptables chains of its own";
static const char no_smtp[] = "mail goes through the local sendmail command";

#define NO_BFD  "BFD is not supported; track the path with a vrrp_script, or remove the word"
#define NO_HMAC "keyed adverts are not supported; remove the block on all routers, or keep keepalived"

/* clang-format off */
static const struct kword rows[] = {
	/* at the top */
	BLK(KIN_ROOT, "global_defs", "settings of the whole file"),
	BLK(KIN_ROOT, "vrrp_instance", "a virtual router: vrrp.instances"),
	BLK(KIN_ROOT, "vrrp_sync_group", "a failover group: vrrp.groups"),
	BLK(KIN_ROOT, "vrrp_script", "a script that is run again and again"),
	BLK(KIN_ROOT, "track_file", "a file whose number counts"),
	BLK(KIN_ROOT, "vrrp_track_file", "the old name of track_file"),
	BLK(KIN_ROOT, "vrrp_track_process", "processes that are counted"),
	BLK(KIN_ROOT, "static_ipaddress", "addresses in every role: vrrp.static.addresses"),
	BLK(KIN_ROOT, "static_routes", "routes in every role: vrrp.static.routes"),
	BLK(KIN_ROOT, "static_rules", "rules in every role: vrrp.static.rules"),
	BLK(KIN_ROOT, "garp_group", "the pace of announcements on some interfaces"),
	NOTB(KIN_ROOT, "track_group", "static addresses, routes and rules are put back when somebody removes them"),
	NOTB(KIN_ROOT, "linkbeat_interfaces", "the carrier is told by the kernel (netlink); drivers that cannot are history"),
	NOT(KIN_ROOT, "linkbeat_use_polling", "the carrier is told by the kernel (netlink)"),
	BLK(KIN_ROOT, "interface_up_down_delays", "vrrp.track.interfaces: how long a link is down or up until it counts"),
	OWN(KIN_ROOT, "net_namespace", "node.namespace"),
	NOT(KIN_ROOT, "net_namespace_ipvs", "there is no IPVS here"),
	NOT(KIN_ROOT, "namespace_with_ipsets", "no ipsets are used"),
	OWN(KIN_ROOT, "instance", "node.keepalived.instance: names the pid files"),
	OWN(KIN_ROOT, "use_pid_dir", "node.keepalived.use_pid_dir"),
	NOT(KIN_ROOT, "child_wait_time", "there are no child processes to wait for"),
	REFB(KIN_ROOT, "bfd_instance", NO_BFD),
	LVSB(KIN_ROOT, "virtual_server"),
	LVSB(KIN_ROOT, "virtual_server_group"),
	LVSB(KIN_ROOT, "SSL"),
	BLK(KIN_ROOT, "conntrack_sync", "this daemon's own: replication of sessions (sync, channel, nodes)"),
	BLK(KIN_ROOT, "ipsec_failover", "this daemon's own: tunnels (ipsec)"),

	/* global_defs */
	OWN(KIN_GLOBAL, "router_id", "the name of this node in mails"),
	BLK(KIN_GLOBAL, "notification_email", "who gets mails"),
	OWN(KIN_GLOBAL, "notification_email_from", "who sends them"),
	OWN(KIN_GLOBAL, "smtp_alert", "mails about changes of state, where nothing else is said"),
	OWN(KIN_GLOBAL, "smtp_alert_vrrp", "mails about changes of state"),
	OWN(KIN_GLOBAL, "no_email_faults", "no mails about FAULT"),
	NOT(KIN_GLOBAL, "smtp_server", no_smtp),
	NOT(KIN_GLOBAL, "smtp_helo_name", no_smtp),
	NOT(KIN_GLOBAL, "smtp_connect_timeout", no_smtp),
	OWN(KIN_GLOBAL, "enable_script_security", "scripts that others could replace are not run as root"),
	OWN(KIN_GLOBAL, "script_user", "who runs scripts"),
	NOT(KIN_GLOBAL, "set_supplementary_groups", "a script's user has all its groups anyway"),
	NOT(KIN_GLOBAL, "startup_script", "ExecStartPre= of the unit does it"),
	NOT(KIN_GLOBAL, "startup_script_timeout", "TimeoutStartSec= of the unit does it"),
	NOT(KIN_GLOBAL, "shutdown_script", "ExecStopPost= of the unit does it"),
	NOT(KIN_GLOBAL, "shutdown_script_timeout", "TimeoutStopSec= of the unit does it"),
	OWN(KIN_GLOBAL, "notify_fifo", "a FIFO that gets a line for every change"),
	OWN(KIN_GLOBAL, "notify_fifo_script", "the program that reads it"),
	OWN(KIN_GLOBAL, "vrrp_notify_fifo", "the same, for VRRP alone"),
	OWN(KIN_GLOBAL, "vrrp_notify_fifo_script", "the program that reads it"),
	OWN(KIN_GLOBAL, "vrrp_notify_priority_changes", "lines about changes of the priority, too"),
	OWN(KIN_GLOBAL, "fifo_write_vrrp_states_on_reload", "the states are written again after a reload"),
	HON(KIN_GLOBAL, "vrrp_version", KH_DEFAULT, "version", 0, 0, "2 without it; IPv6 is 3 in any case"),
	HON(KIN_GLOBAL, "vrrp_garp_master_delay", KH_DEFAULT, "garp_master_delay", 0, 0, "default of garp_master_delay"),
	HON(KIN_GLOBAL, "vrrp_garp_master_repeat", KH_DEFAULT, "garp_master_repeat", 0, 0, "default of garp_master_repeat"),
	HON(KIN_GLOBAL, "vrrp_garp_master_refresh", KH_DEFAULT, "garp_master_refresh", 0, 0, "default of garp_master_refresh"),
	HON(KIN_GLOBAL, "vrrp_garp_master_refresh_repeat", KH_DEFAULT, "garp_master_refresh_repeat", 0, 0,
	    "default of garp_master_refresh_repeat"),
	HON(KIN_GLOBAL, "vrrp_garp_lower_prio_delay", KH_DEFAULT, "garp_lower_prio_delay", 0, 0,
	    "default of garp_lower_prio_delay"),
	HON(KIN_GLOBAL, "vrrp_garp_lower_prio_repeat", KH_DEFAULT, "garp_lower_prio_repeat", 0, 0,
	    "default of garp_lower_prio_repeat"),
	HON(KIN_GLOBAL, "vrrp_garp_extra_if", KH_DEFAULT, "garp_extra_if", 0, 0, "default of garp_extra_if"),
	HON(KIN_GLOBAL, "vrrp_down_timer_adverts", KH_DEFAULT, "down_timer_adverts", 0, 0, "default of down_timer_adverts"),
	HON(KIN_GLOBAL, "vrrp_lower_prio_no_advert", KH_DEFAULT, "lower_prio_no_advert", 0, 0,
	    "default of lower_prio_no_advert"),
	HON(KIN_GLOBAL, "vrrp_higher_prio_send_advert", KH_DEFAULT, "higher_prio_send_advert", 0, 0,
	    "default of higher_prio_send_advert"),
	HON(KIN_GLOBAL, "v3_checksum_as_v2", KH_DEFAULT, "v3_checksum_as_v2", 0, 0, "default of v3_checksum_as_v2"),
	HON(KIN_GLOBAL, "vrrp_check_unicast_src", KH_DEFAULT, "check_unicast_src", 0, 0, "default of check_unicast_src"),
	HON(KIN_GLOBAL, "vrrp_strict", KH_DEFAULT, "strict_mode", 0, 0, "default of strict_mode"),
	OWN(KIN_GLOBAL, "vrrp_min_garp", "one announcement and no second round, where nothing else is said"),
	HON(KIN_GLOBAL, "vrrp_garp_interval", KH_TIMER, "garp_interval", 0, 1, "pace of gratuitous ARPs"),
	HON(KIN_GLOBAL, "vrrp_gna_interval", KH_TIMER, "na_interval", 0, 1, "pace of neighbour advertisements"),
	OWN(KIN_GLOBAL, "vrrp_mcast_group4", "group of IPv4 adverts"),
	OWN(KIN_GLOBAL, "vrrp_mcast_group6", "group of IPv6 adverts"),
	OWN(KIN_GLOBAL, "default_interface", "interface of static addresses that name none"),
	OWN(KIN_GLOBAL, "vrrp_startup_delay", "no role for this long after the start"),
	OWN(KIN_GLOBAL, "vmac_prefix", "names of virtual MAC interfaces"),
	NOT(KIN_GLOBAL, "vmac_addr_prefix", "only the instance's own interface bears a virtual MAC"),
	NOT(KIN_GLOBAL, "vrrp_delay_after_boot", "sessions and peers are waited for, not the time since boot"),
	NOT(KIN_GLOBAL, "vrrp_owner_ignore_adverts", "of two owners the one with the lower address yields"),
	HON(KIN_GLOBAL, "vrrp_skip_check_adv_addr", KH_DEFAULT, "skip_check_adv_addr", 0, 0,
	    "default of skip_check_adv_addr"),
	NOT(KIN_GLOBAL, "dynamic_interfaces", "an interface may come and go in any case"),
	NOT(KIN_GLOBAL, "vrrp_iptables", own_table),
	NOT(KIN_GLOBAL, "vrrp_ipsets", own_table),
	NOT(KIN_GLOBAL, "nftables", own_table),
	NOT(KIN_GLOBAL, "nftables_priority", own_table),
	NOT(KIN_GLOBAL, "nftables_counters", own_table),
	NOT(KIN_GLOBAL, "nftables_ifindex", own_table),
	NOT(KIN_GLOBAL, "disable_local_igmp", "a virtual MAC's interface is down on all routers but the master"),
	NOT(KIN_GLOBAL, "log_unknown_vrids", "they are counted; show vrrp statistics"),
	OWN(KIN_GLOBAL, "random_seed", "of ${_RANDOM}, read while the file is read"),
	OWN(KIN_GLOBAL, "include_check", "strictness of include, read while the file is read"),
	NOT(KIN_GLOBAL, "reload_check_config", "a reload is always checked whole before anything changes"),
	NOT(KIN_GLOBAL, "reload_time_file", "reload by HUP; a timer unit can send it"),
	NOT(KIN_GLOBAL, "reload_repeat", "reload by HUP; a timer unit can send it"),
	NOT(KIN_GLOBAL, "reload_file", "a file that is being written while it is read is refused, and nothing changes"),
	OWN(KIN_GLOBAL, "data_use_instance", "node.keepalived.data_use_instance"),
	OWN(KIN_GLOBAL, "state_dump_file", "node.keepalived.data_file"),
	OWN(KIN_GLOBAL, "stats_dump_file", "node.keepalived.stats_file"),
	OWN(KIN_GLOBAL, "json_dump_file", "node.keepalived.json_file"),
	OWN(KIN_GLOBAL, "state_file_location", "as state_dump_file"),
	OWN(KIN_GLOBAL, "stats_file_location", "as stats_dump_file"),
	OWN(KIN_GLOBAL, "json_file_location", "as json_dump_file"),
	OWN(KIN_GLOBAL, "json_version", "node.keepalived.json_version"),
	OWN(KIN_GLOBAL, "umask", "node.keepalived.umask"),
	NOT(KIN_GLOBAL, "tmp_config_directory", "no copy of the configuration is written"),
	NOT(KIN_GLOBAL, "config_save_dir", "no copy of the configuration is written; ktsh shows the running one"),
	NOT(KIN_GLOBAL, "use_symlink_paths", "a script's path is checked as it is run"),
	NOT(KIN_GLOBAL, "iproute_usr_dir", "names of tables are read from /etc/iproute2 and /usr/share/iproute2"),
	NOT(KIN_GLOBAL, "iproute_etc_dir", "names of tables are read from /etc/iproute2 and /usr/share/iproute2"),
	NOT(KIN_GLOBAL, "process_names", "the process keeps the name it was started with, which others look for"),
	NOT(KIN_GLOBAL, "process_name", "the process keeps the name it was started with, which others look for"),
	NOT(KIN_GLOBAL, "vrrp_process_name", one_process),
	NOT(KIN_GLOBAL, "checker_process_name", one_process),
	NOT(KIN_GLOBAL, "bfd_process_name", one_process),
	NOT(KIN_GLOBAL, "lvs_process_name", one_process),
	NOT(KIN_GLOBAL, "max_auto_priority", one_process),
	NOT(KIN_GLOBAL, "min_auto_priority_delay", one_process),
	NOT(KIN_GLOBAL, "vrrp_priority", one_process),
	NOT(KIN_GLOBAL, "vrrp_no_swap", "memory is locked in any case (node.realtime)"),
	NOT(KIN_GLOBAL, "vrrp_rt_priority", one_process),
	NOT(KIN_GLOBAL, "vrrp_rlimit_rttime", one_process),
	NOT(KIN_GLOBAL, "vrrp_rlimit_rtime", one_process),
	NOT(KIN_GLOBAL, "vrrp_cpu_affinity", "CPUAffinity= of the unit does it"),
	NOT(KIN_GLOBAL, "bfd_priority", one_process),
	NOT(KIN_GLOBAL, "bfd_no_swap", one_process),
	NOT(KIN_GLOBAL, "bfd_rt_priority", one_process),
	NOT(KIN_GLOBAL, "bfd_rlimit_rttime", one_process),
	NOT(KIN_GLOBAL, "bfd_rlimit_rtime", one_process),
	NOT(KIN_GLOBAL, "bfd_cpu_affinity", one_process),
	NOT(KIN_GLOBAL, "vrrp_netlink_cmd_rcv_bufs", no_buffer),
	NOT(KIN_GLOBAL, "vrrp_netlink_cmd_rcv_bufs_force", no_buffer),
	NOT(KIN_GLOBAL, "vrrp_netlink_monitor_rcv_bufs", no_buffer),
	NOT(KIN_GLOBAL, "vrrp_netlink_monitor_rcv_bufs_force", no_buffer),
	NOT(KIN_GLOBAL, "process_monitor_rcv_bufs", no_buffer),
	NOT(KIN_GLOBAL, "process_monitor_rcv_bufs_force", no_buffer),
	NOT(KIN_GLOBAL, "vrrp_rx_bufs_policy", no_buffer),
	NOT(KIN_GLOBAL, "vrrp_rx_bufs_multiplier", no_buffer),
	NOT(KIN_GLOBAL, "snmp_socket", no_snmp),
	NOT(KIN_GLOBAL, "enable_snmp_vrrp", no_snmp),
	NOT(KIN_GLOBAL, "enable_snmp_keepalived", no_snmp),
	NOT(KIN_GLOBAL, "enable_snmp_checker", no_snmp),
	NOT(KIN_GLOBAL, "enable_snmp_rfc", no_snmp),
	NOT(KIN_GLOBAL, "enable_snmp_rfcv2", no_snmp),
	NOT(KIN_GLOBAL, "enable_snmp_rfcv3", no_snmp),
	NOT(KIN_GLOBAL, "enable_traps", no_snmp),
	NOT(KIN_GLOBAL, "snmp_vs_stats_update_interval", no_snmp),
	NOT(KIN_GLOBAL, "snmp_rs_stats_update_interval", no_snmp),
	NOT(KIN_GLOBAL, "enable_dbus", no_dbus),
	NOT(KIN_GLOBAL, "dbus_service_name", no_dbus),
	NOT(KIN_GLOBAL, "dbus_no_interface_name", no_dbus),
	NOT(KIN_GLOBAL, "linkbeat_use_polling", "the carrier is told by the kernel (netlink)"),
	LVS(KIN_GLOBAL, "smtp_alert_checker"),
	LVS(KIN_GLOBAL, "checker_log_all_failures"),
	LVS(KIN_GLOBAL, "checker_priority"),
	LVS(KIN_GLOBAL, "checker_no_swap"),
	LVS(KIN_GLOBAL, "checker_rt_priority"),
	LVS(KIN_GLOBAL, "checker_rlimit_rttime"),
	LVS(KIN_GLOBAL, "checker_rlimit_rtime"),
	LVS(KIN_GLOBAL, "checker_cpu_affinity"),
	LVS(KIN_GLOBAL, "lvs_sync_daemon"),
	LVS(KIN_GLOBAL, "lvs_timeouts"),
	LVS(KIN_GLOBAL, "lvs_flush"),
	LVS(KIN_GLOBAL, "lvs_flush_on_stop"),
	LVS(KIN_GLOBAL, "lvs_flush_onstop"),
	LVS(KIN_GLOBAL, "lvs_notify_fifo"),
	LVS(KIN_GLOBAL, "lvs_notify_fifo_script"),
	LVS(KIN_GLOBAL, "lvs_netlink_cmd_rcv_bufs"),
	LVS(KIN_GLOBAL, "lvs_netlink_cmd_rcv_bufs_force"),
	LVS(KIN_GLOBAL, "lvs_netlink_monitor_rcv_bufs"),
	LVS(KIN_GLOBAL, "lvs_netlink_monitor_rcv_bufs_force"),
	LVS(KIN_GLOBAL, "nftables_ipvs"),
	LVS(KIN_GLOBAL, "nftables_ipvs_priority"),
	LVS(KIN_GLOBAL, "nftables_ipvs_start_fwmark"),
	LVS(KIN_GLOBAL, "rs_init_notifies"),
	LVS(KIN_GLOBAL, "no_checker_emails"),

	/* vrrp_instance */
	OWN(KIN_INSTANCE, "state", "MASTER without priority means 255, and no nopreempt; no role is taken by it"),
	OWN(KIN_INSTANCE, "interface", "vrrp.instances[].interface; with unicast the one that has unicast_src_ip"),
	OWN(KIN_INSTANCE, "virtual_router_id", "vrrp.instances[].vrid"),
	OWN(KIN_INSTANCE, "priority", "vrrp.instances[].priority"),
	OWN(KIN_INSTANCE, "advert_int", "rounded to seconds in version 2, to hundredths in version 3"),
	OWN(KIN_INSTANCE, "version", "vrrp.instances[].version"),
	OWN(KIN_INSTANCE, "native_ipv6", "the family is IPv6"),
	BLK(KIN_INSTANCE, "virtual_ipaddress", "vrrp.instances[].virtual_addresses"),
	BLK(KIN_INSTANCE, "virtual_ipaddress_excluded", "vrrp.instances[].excluded_addresses"),
	BLK(KIN_INSTANCE, "virtual_routes", "vrrp.instances[].routes"),
	BLK(KIN_INSTANCE, "virtual_rules", "vrrp.instances[].rules"),
	OWN(KIN_INSTANCE, "no_virtual_ipaddress", "says that an empty list is meant"),
	BLK(KIN_INSTANCE, "authentication", "vrrp.instances[].auth_pass"),
	REFB(KIN_INSTANCE, "auth_hmac", NO_HMAC),
	OWN(KIN_INSTANCE, "nopreempt", "vrrp.instances[].preempt"),
	OWN(KIN_INSTANCE, "preempt", "the default"),
	OWN(KIN_INSTANCE, "preempt_delay", "vrrp.instances[].preempt_delay"),
	OWN(KIN_INSTANCE, "mcast_src_ip", "vrrp.instances[].source"),
	OWN(KIN_INSTANCE, "unicast_src_ip", "vrrp.instances[].source"),
	BLK(KIN_INSTANCE, "unicast_peer", "vrrp.instances[].unicast_peers"),
	HON(KIN_INSTANCE, "unicast_ttl", KH_INT, "unicast_ttl", 0, 255, "vrrp.instances[].unicast_ttl; 0 is sent as 1"),
	OWN(KIN_INSTANCE, "unicast_fault_no_peer", "no multicast where there are no peers"),
	HON(KIN_INSTANCE, "check_unicast_src", KH_NOT_BOOL, "unicast_any_source", 0, 0,
	    "vrrp.instances[].unicast_any_source = false"),
	OWN(KIN_INSTANCE, "mcast_dst_ip", "vrrp.instances[].multicast_group"),
	BLK(KIN_INSTANCE, "track_interface", "interfaces that count"),
	BLK(KIN_INSTANCE, "track_script", "scripts that count"),
	BLK(KIN_INSTANCE, "track_file", "files that count"),
	BLK(KIN_INSTANCE, "track_process", "processes that count"),
	REFB(KIN_INSTANCE, "track_bfd", NO_BFD),
	OWN(KIN_INSTANCE, "dont_track_primary", "the instance's own interface does not count"),
	NOT(KIN_INSTANCE, "track_src_ip", "the source is waited for in any case"),
	OWN(KIN_INSTANCE, "notify", "a program for every change"),
	OWN(KIN_INSTANCE, "notify_master", "a program for MASTER"),
	OWN(KIN_INSTANCE, "notify_backup", "a program for BACKUP"),
	OWN(KIN_INSTANCE, "notify_fault", "a program for FAULT"),
	OWN(KIN_INSTANCE, "notify_stop", "a program for the end"),
	OWN(KIN_INSTANCE, "notify_deleted", "a program for an instance that a reload removes"),
	OWN(KIN_INSTANCE, "notify_master_rx_lower_pri", "a program for a lower router's advert"),
	OWN(KIN_INSTANCE, "notify_priority_changes", "lines about changes of the priority, too"),
	OWN(KIN_INSTANCE, "smtp_alert", "mails about changes"),
	HON(KIN_INSTANCE, "garp_master_delay", KH_SECONDS, "garp_delay", 0, UMAX, "vrrp.instances[].garp_delay"),
	HON(KIN_INSTANCE, "garp_master_repeat", KH_INT, "garp_repeat", 0, UMAX, "vrrp.instances[].garp_repeat; at least 1"),
	HON(KIN_INSTANCE, "garp_master_refresh", KH_SECONDS, "garp_refresh", 0, UMAX, "vrrp.instances[].garp_refresh"),
	HON(KIN_INSTANCE, "garp_master_refresh_repeat", KH_INT, "garp_refresh_repeat", 0, UMAX,
	    "vrrp.instances[].garp_refresh_repeat; at least 1"),
	HON(KIN_INSTANCE, "garp_lower_prio_delay", KH_SECONDS, "garp_lower_delay", 0, UMAX,
	    "vrrp.instances[].garp_lower_delay; without it as garp_master_delay"),
	HON(KIN_INSTANCE, "garp_lower_prio_repeat", KH_INT, "garp_lower_repeat", 0, UMAX,
	    "vrrp.instances[].garp_lower_repeat; without it as garp_master_repeat"),
	OWN(KIN_INSTANCE, "garp_extra_if", "vrrp.instances[].garp_extra_interval"),
	OWN(KIN_INSTANCE, "vmac_garp_intvl", "the old name of garp_extra_if"),
	HON(KIN_INSTANCE, "down_timer_adverts", KH_INT, "down_timer_adverts", 1, 100,
	    "vrrp.instances[].down_timer_adverts"),
	HON(KIN_INSTANCE, "lower_prio_no_advert", KH_NOT_BOOL, "lower_priority_advert", 0, 0,
	    "vrrp.instances[].lower_priority_advert = false"),
	HON(KIN_INSTANCE, "higher_prio_send_advert", KH_BOOL, "higher_priority_advert", 0, 0,
	    "vrrp.instances[].higher_priority_advert"),
	OWN(KIN_INSTANCE, "v3_checksum_as_v2", "vrrp.instances[].checksum = \"rfc9568\""),
	NOT(KIN_INSTANCE, "old_unicast_checksum", "the form of keepalived before 1.3.7; this daemon sends the present one"),
	OWN(KIN_INSTANCE, "use_vmac", "vrrp.instances[].virtual_mac"),
	NOT(KIN_INSTANCE, "use_vmac_addr", "only the instance's own interface bears a virtual MAC"),
	OWN(KIN_INSTANCE, "use_ipvlan", "vrrp.instances[].virtual_mac.kind = \"ipvlan\""),
	OWN(KIN_INSTANCE, "vmac_xmit_base", "vrrp.instances[].virtual_mac.source = \"base\""),
	HON(KIN_INSTANCE, "accept", KH_TRUE, "accept", 0, 0, "the default"),
	HON(KIN_INSTANCE, "no_accept", KH_FALSE, "accept", 0, 0, "vrrp.instances[].accept = false"),
	OWN(KIN_INSTANCE, "strict_mode", "no multicast exceptions, no password, no preempt_delay, no accept"),
	HON(KIN_INSTANCE, "skip_check_adv_addr", KH_BOOL, "address_lists_once", 0, 0,
	    "vrrp.instances[].address_lists_once; a list that differs is counted and said, the advert is heard all the same"),
	NOT(KIN_INSTANCE, "promote_secondaries", "vrrp.promote_secondaries does it for all instances"),
	NOT(KIN_INSTANCE, "kernel_rx_buf_size", no_buffer),
	NOT(KIN_INSTANCE, "linkbeat_use_polling", "the carrier is told by the kernel (netlink)"),
	NOT(KIN_INSTANCE, "debug", "it has no effect in keepalived either"),
	NOT(KIN_INSTANCE, "vrf", "the interface says in which VRF the adverts are"),
	NOT(KIN_INSTANCE, "timer_expired_backup", "a MASTER that comes too late listens before it sends (stall guard)"),
	NOT(KIN_INSTANCE, "thread_timer_expired", "a MASTER that comes too late listens before it sends (stall guard)"),
	NOT(KIN_INSTANCE, "owner_ignore_adverts", "of two owners the one with the lower address yields"),
	LVS(KIN_INSTANCE, "lvs_sync_daemon_interface"),

	/* authentication */
	OWN(KIN_AUTH, "auth_type", "PASS; AH is refused"),
	OWN(KIN_AUTH, "auth_pass", "vrrp.instances[].auth_pass, its first eight bytes"),

	/* vrrp_sync_group */
	BLK(KIN_GROUP, "group", "vrrp.groups[].members"),
	BLK(KIN_GROUP, "track_interface", "interfaces that count for all members"),
	BLK(KIN_GROUP, "track_script", "scripts that count for all members"),
	BLK(KIN_GROUP, "track_file", "files that count for all members"),
	BLK(KIN_GROUP, "track_process", "processes that count for all members"),
	REFB(KIN_GROUP, "track_bfd", NO_BFD),
	OWN(KIN_GROUP, "notify", "a program for every change"),
	OWN(KIN_GROUP, "notify_master", "a program for MASTER"),
	OWN(KIN_GROUP, "notify_backup", "a program for BACKUP"),
	OWN(KIN_GROUP, "notify_fault", "a program for FAULT"),
	OWN(KIN_GROUP, "notify_stop", "a program for the end"),
	NOT(KIN_GROUP, "notify_priority_changes", "a group has no priority; its members say theirs"),
	OWN(KIN_GROUP, "smtp_alert", "mails about changes"),
	OWN(KIN_GROUP, "sync_group_tracking_weight", "weights of members count, too"),
	OWN(KIN_GROUP, "global_tracking", "the old name of sync_group_tracking_weight"),

	/* vrrp_script */
	OWN(KIN_SCRIPT, "script", "the program and its arguments"),
	OWN(KIN_SCRIPT, "interval", "seconds between two runs"),
	OWN(KIN_SCRIPT, "timeout", "seconds after which it is ended; without it the interval"),
	OWN(KIN_SCRIPT, "weight", "what it adds or takes"),
	OWN(KIN_SCRIPT, "rise", "successes until it counts as good"),
	OWN(KIN_SCRIPT, "fall", "failures until it counts as bad"),
	OWN(KIN_SCRIPT, "user", "who runs it"),
	OWN(KIN_SCRIPT, "init_fail", "bad until proven otherwise"),

	/* track_file */
	OWN(KIN_FILE, "file", "its path"),
	OWN(KIN_FILE, "weight", "what its number is multiplied with"),
	OWN(KIN_FILE, "init_file", "written at the start"),

	/* vrrp_track_process */
	OWN(KIN_PROCESS, "process", "its name, or command and parameters"),
	OWN(KIN_PROCESS, "param_match", "how parameters are compared"),
	OWN(KIN_PROCESS, "weight", "what it adds or takes"),
	OWN(KIN_PROCESS, "quorum", "how many must run"),
	OWN(KIN_PROCESS, "quorum_max", "how many may run"),
	OWN(KIN_PROCESS, "fork_delay", "how long more of them must run to count"),
	OWN(KIN_PROCESS, "terminate_delay", "how long they must be gone to count"),
	OWN(KIN_PROCESS, "delay", "both delays"),
	OWN(KIN_PROCESS, "full_command", "the whole command line is compared"),

	/* garp_group */
	HON(KIN_GARP, "garp_interval", KH_TIMER, "garp_interval", 0, 1, "pace of gratuitous ARPs on its interfaces"),
	HON(KIN_GARP, "gna_interval", KH_TIMER, "na_interval", 0, 1,
	    "pace of neighbour advertisements on its interfaces"),
	OWN(KIN_GARP, "interface", "one interface"),
	BLK(KIN_GARP, "interfaces", "several of them; each has the pace for itself"),

	/* track_group */
	NOTB(KIN_TRACKGROUP, "group", "static addresses, routes and rules are put back when somebody removes them"),

	/* bfd_instance, auth_hmac: refused with their blocks */
	REF(KIN_BFD, "neighbor_ip", NO_BFD), REF(KIN_BFD, "neighbour_ip", NO_BFD), REF(KIN_BFD, "source_ip", NO_BFD),
	REF(KIN_BFD, "min_rx", NO_BFD), REF(KIN_BFD, "min_tx", NO_BFD), REF(KIN_BFD, "idle_tx", NO_BFD),
	REF(KIN_BFD, "multiplier", NO_BFD), REF(KIN_BFD, "passive", NO_BFD), REF(KIN_BFD, "ttl", NO_BFD),
	REF(KIN_BFD, "hoplimit", NO_BFD), REF(KIN_BFD, "max_hops", NO_BFD), REF(KIN_BFD, "multihop", NO_BFD),
	REF(KIN_BFD, "weight", NO_BFD), REF(KIN_BFD, "vrrp", NO_BFD), REF(KIN_BFD, "checker", NO_BFD),
	REF(KIN_HMAC, "key", NO_HMAC), REF(KIN_HMAC, "active_key", NO_HMAC), REF(KIN_HMAC, "anti_replay", NO_HMAC),
	REF(KIN_HMAC, "time_window", NO_HMAC), REF(KIN_HMAC, "mode", NO_HMAC),
};
/* clang-format on */

unsigned kwords_n(void)
{
	return sizeof(rows) / sizeof(rows[0]);
}

const struct kword *kwords_row(unsigned i)
{
	return &rows[i];
}

const struct kword *kword_find(enum kword_in in, const char *word)
{
	for (unsigned i = 0; i < kwords_n(); i++)
		if (rows[i].in == in && strcmp(rows[i].word, word) == 0)
			return &rows[i];
	return NULL;
}

const char *kword_block_name(enum kword_in in)
{
	static const char *const names[KIN_N] = {
		"the file",   "global_defs",        "vrrp_instance", "authentication", "vrrp_sync_group", "vrrp_script",
		"track_file", "vrrp_track_process", "garp_group",    "track_group",    "bfd_instance",    "auth_hmac",
	};
	return names[in];
}

const char *const *kword_blocks(void)
{
	/* Each once, whatever block it stands in. */
	static const char *const list[] = {
		"global_defs",
		"vrrp_instance",
		"vrrp_sync_group",
		"vrrp_script",
		"vrrp_track_file",
		"vrrp_track_process",
		"static_routes",
		"static_ipaddress",
		"static_rules",
		"garp_group",
		"track_group",
		"linkbeat_interfaces",
		"bfd_instance",
		"interface_up_down_delays",
		"virtual_server",
		"virtual_server_group",
		"SSL",
		"conntrack_sync",
		"ipsec_failover",
		"notification_email",
		"unicast_peer",
		"virtual_ipaddress",
		"virtual_routes",
		"virtual_ipaddress_excluded",
		"virtual_rules",
		"authentication",
		"auth_hmac",
		"track_interface",
		"track_script",
		"track_process",
		"track_bfd",
		NULL,
	};
	return list;
}

int kword_bool(const char *text)
{
	static const char *const yes[] = { "on", "true", "yes" }, *const no[] = { "off", "false", "no" };

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(text, yes[i]) == 0)
			return 1;
		if (strcmp(text, no[i]) == 0)
			return 0;
	}
	return -1;
}
