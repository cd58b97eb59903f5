/* keepalived.conf into the tree: every honoured word reaches its key, with the line that it stands on. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/dropin/kconf_map.h"
#include "daemon/dropin/kconf_words.h"
#include "tests/unit/kconf_map_util.h"
#include "tests/unit/run.h"

#define SCRIPT "/bin/true"

/*
 * What stands on line 4 of a file, in its block, and what one key of the tree is then. A word that stands in several
 * rows is read by all of them.
 */
static const struct row {
	enum kword_in in;
	const char *word, *text, *path, *value;
} table[] = {
	{ KIN_GLOBAL, "router_id", "router_id r9", "notify.mail[0].router", "\"r9\"" },
	{ KIN_GLOBAL, "notification_email", "notification_email { ops@example.org }", "notify.mail[0].to[0].address",
	  "\"ops@example.org\"" },
	{ KIN_GLOBAL, "notification_email_from", "notification_email_from a@b", "notify.mail[0].from", "\"a@b\"" },
	{ KIN_GLOBAL, "smtp_alert", "smtp_alert", "notify.mail[0].always", "true" },
	{ KIN_GLOBAL, "smtp_alert_vrrp", "smtp_alert_vrrp on", "notify.mail[0].always", "true" },
	{ KIN_GLOBAL, "no_email_faults", "no_email_faults", "notify.mail[0].faults", "false" },
	{ KIN_GLOBAL, "enable_script_security", "enable_script_security", "notify.script_security", "true" },
	{ KIN_GLOBAL, "script_user", "script_user nobody", "notify.user", "\"nobody\"" },
	{ KIN_GLOBAL, "script_user", "script_user nobody nogroup", "notify.group", "\"nogroup\"" },
	{ KIN_GLOBAL, "notify_fifo", "notify_fifo /tmp/a root", "notify.fifo[0].path", "\"/tmp/a\"" },
	{ KIN_GLOBAL, "notify_fifo_script", "notify_fifo_script \"" SCRIPT " x\" nobody",
	  "notify.fifo[0].reader[0].exec", "( \"" SCRIPT "\", \"x\" )" },
	{ KIN_GLOBAL, "vrrp_notify_fifo", "vrrp_notify_fifo /tmp/b", "notify.vrrp_fifo[0].path", "\"/tmp/b\"" },
	{ KIN_GLOBAL, "vrrp_notify_fifo_script", "vrrp_notify_fifo_script " SCRIPT,
	  "notify.vrrp_fifo[0].reader[0].exec", "( \"" SCRIPT "\" )" },
	{ KIN_GLOBAL, "vrrp_notify_priority_changes", "vrrp_notify_priority_changes true", "notify.priority_changes",
	  "true" },
	{ KIN_GLOBAL, "fifo_write_vrrp_states_on_reload", "fifo_write_vrrp_states_on_reload", "notify.states_on_reload",
	  "true" },
	{ KIN_GLOBAL, "vrrp_version", "vrrp_version 3", "vrrp.instances[0].version", "\"v3\"" },
	{ KIN_GLOBAL, "vrrp_garp_master_delay", "vrrp_garp_master_delay 7", "vrrp.instances[0].garp_delay", "7" },
	{ KIN_GLOBAL, "vrrp_garp_master_repeat", "vrrp_garp_master_repeat 2", "vrrp.instances[0].garp_repeat", "2" },
	{ KIN_GLOBAL, "vrrp_garp_master_refresh", "vrrp_garp_master_refresh 60", "vrrp.instances[0].garp_refresh",
	  "60" },
	{ KIN_GLOBAL, "vrrp_garp_master_refresh_repeat", "vrrp_garp_master_refresh_repeat 3",
	  "vrrp.instances[0].garp_refresh_repeat", "3" },
	{ KIN_GLOBAL, "vrrp_garp_lower_prio_delay", "vrrp_garp_lower_prio_delay 9",
	  "vrrp.instances[0].garp_lower_delay", "9" },
	{ KIN_GLOBAL, "vrrp_garp_lower_prio_repeat", "vrrp_garp_lower_prio_repeat 0",
	  "vrrp.instances[0].garp_lower_repeat", "0" },
	{ KIN_GLOBAL, "vrrp_down_timer_adverts", "vrrp_down_timer_adverts 5", "vrrp.instances[0].down_timer_adverts",
	  "5" },
	{ KIN_GLOBAL, "vrrp_lower_prio_no_advert", "vrrp_lower_prio_no_advert",
	  "vrrp.instances[0].lower_priority_advert", "false" },
	{ KIN_GLOBAL, "vrrp_higher_prio_send_advert", "vrrp_higher_prio_send_advert on",
	  "vrrp.instances[0].higher_priority_advert", "true" },
	{ KIN_GLOBAL, "v3_checksum_as_v2", "v3_checksum_as_v2", "vrrp.instances[0].checksum", "\"rfc9568\"" },
	{ KIN_GLOBAL, "vrrp_skip_check_adv_addr", "vrrp_skip_check_adv_addr", "vrrp.instances[0].address_lists_once",
	  "true" },
	{ KIN_GLOBAL, "vrrp_min_garp", "vrrp_min_garp", "vrrp.instances[0].garp_repeat", "1" },
	{ KIN_GLOBAL, "vrrp_min_garp", "vrrp_min_garp", "vrrp.instances[0].garp_delay", "0" },
	{ KIN_GLOBAL, "vrrp_garp_interval", "vrrp_garp_interval 0.002", "vrrp.instances[0].garp_interval", "0.002" },
	{ KIN_GLOBAL, "vrrp_gna_interval", "vrrp_gna_interval 0.003", "vrrp.instances[0].na_interval", "0.003" },
	{ KIN_GLOBAL, "vrrp_mcast_group4", "vrrp_mcast_group4 224.0.0.77", "vrrp.instances[0].multicast_group",
	  "\"224.0.0.77\"" },
	{ KIN_GLOBAL, "vrrp_startup_delay", "vrrp_startup_delay 5.5", "vrrp.startup_delay", "5.5" },
	{ KIN_GLOBAL, "state_dump_file", "state_dump_file /tmp/d", "node.keepalived[0].data_file", "\"/tmp/d\"" },
	{ KIN_GLOBAL, "state_file_location", "state_file_location /tmp/d", "node.keepalived[0].data_file",
	  "\"/tmp/d\"" },
	{ KIN_GLOBAL, "stats_dump_file", "stats_dump_file /tmp/s", "node.keepalived[0].stats_file", "\"/tmp/s\"" },
	{ KIN_GLOBAL, "stats_file_location", "stats_file_location /tmp/s", "node.keepalived[0].stats_file",
	  "\"/tmp/s\"" },
	{ KIN_GLOBAL, "json_dump_file", "json_dump_file /tmp/j", "node.keepalived[0].json_file", "\"/tmp/j\"" },
	{ KIN_GLOBAL, "json_file_location", "json_file_location /tmp/j", "node.keepalived[0].json_file", "\"/tmp/j\"" },
	{ KIN_GLOBAL, "json_version", "json_version 2", "node.keepalived[0].json_version", "2" },
	{ KIN_GLOBAL, "data_use_instance", "data_use_instance", "node.keepalived[0].data_use_instance", "true" },
	{ KIN_GLOBAL, "umask", "umask IWGRP|IWOTH", "node.keepalived[0].umask", "18" },
	{ KIN_GLOBAL, "umask", "umask 0177", "node.keepalived[0].umask", "127" },

	{ KIN_INSTANCE, "interface", "interface b0", "vrrp.instances[0].interface", "\"b0\"" },
	{ KIN_INSTANCE, "virtual_router_id", "virtual_router_id 255", "vrrp.instances[0].vrid", "255" },
	{ KIN_INSTANCE, "priority", "priority 150", "vrrp.instances[0].priority", "150" },
	{ KIN_INSTANCE, "advert_int", "advert_int 3", "vrrp.instances[0].advert_interval", "3" },
	{ KIN_INSTANCE, "version", "version 3", "vrrp.instances[0].version", "\"v3\"" },
	{ KIN_INSTANCE, "nopreempt", "nopreempt", "vrrp.instances[0].preempt", "false" },
	{ KIN_INSTANCE, "preempt", "preempt", "vrrp.instances[0].preempt", "true" },
	{ KIN_INSTANCE, "preempt_delay", "preempt_delay 4.25", "vrrp.instances[0].preempt_delay", "4.25" },
	{ KIN_INSTANCE, "mcast_src_ip", "mcast_src_ip 10.0.0.9", "vrrp.instances[0].source", "\"10.0.0.9\"" },
	{ KIN_INSTANCE, "mcast_dst_ip", "mcast_dst_ip 224.0.0.99", "vrrp.instances[0].multicast_group",
	  "\"224.0.0.99\"" },
	{ KIN_INSTANCE, "unicast_src_ip", "unicast_src_ip 10.0.0.9", "vrrp.instances[0].source", "\"10.0.0.9\"" },
	{ KIN_INSTANCE, "unicast_peer", "unicast_peer { 10.0.0.8 min_ttl 3 max_ttl 9 }",
	  "vrrp.instances[0].unicast_peers[0].address", "\"10.0.0.8\"" },
	{ KIN_INSTANCE, "unicast_peer", "unicast_peer { 10.0.0.8 min_ttl 3 max_ttl 9 }",
	  "vrrp.instances[0].unicast_peers[0].min_ttl", "3" },
	{ KIN_INSTANCE, "unicast_peer", "unicast_peer { 10.0.0.8 min_ttl 3 max_ttl 9 }",
	  "vrrp.instances[0].unicast_peers[0].max_ttl", "9" },
	{ KIN_INSTANCE, "garp_master_delay", "garp_master_delay 0", "vrrp.instances[0].garp_delay", "0" },
	{ KIN_INSTANCE, "garp_master_repeat", "garp_master_repeat 9", "vrrp.instances[0].garp_repeat", "9" },
	{ KIN_INSTANCE, "garp_master_refresh", "garp_master_refresh 9", "vrrp.instances[0].garp_refresh", "9" },
	{ KIN_INSTANCE, "garp_master_refresh_repeat", "garp_master_refresh_repeat 9",
	  "vrrp.instances[0].garp_refresh_repeat", "9" },
	{ KIN_INSTANCE, "garp_lower_prio_delay", "garp_lower_prio_delay 1", "vrrp.instances[0].garp_lower_delay", "1" },
	{ KIN_INSTANCE, "garp_lower_prio_repeat", "garp_lower_prio_repeat 1", "vrrp.instances[0].garp_lower_repeat",
	  "1" },
	{ KIN_INSTANCE, "down_timer_adverts", "down_timer_adverts 9", "vrrp.instances[0].down_timer_adverts", "9" },
	{ KIN_INSTANCE, "lower_prio_no_advert", "lower_prio_no_advert", "vrrp.instances[0].lower_priority_advert",
	  "false" },
	{ KIN_INSTANCE, "higher_prio_send_advert", "higher_prio_send_advert",
	  "vrrp.instances[0].higher_priority_advert", "true" },
	{ KIN_INSTANCE, "v3_checksum_as_v2", "v3_checksum_as_v2 on", "vrrp.instances[0].checksum", "\"rfc9568\"" },
	{ KIN_INSTANCE, "skip_check_adv_addr", "skip_check_adv_addr on", "vrrp.instances[0].address_lists_once",
	  "true" },
	{ KIN_INSTANCE, "strict_mode", "strict_mode", "vrrp.instances[0].strict_mode", "true" },
	{ KIN_INSTANCE, "accept", "accept", "vrrp.instances[0].accept", "true" },
	{ KIN_INSTANCE, "no_accept", "no_accept", "vrrp.instances[0].accept", "false" },
	{ KIN_INSTANCE, "use_vmac", "use_vmac vm0", "vrrp.instances[0].virtual_mac[0].interface", "\"vm0\"" },
	{ KIN_INSTANCE, "use_ipvlan", "use_ipvlan iv0", "vrrp.instances[0].virtual_mac[0].kind", "\"ipvlan\"" },
	{ KIN_INSTANCE, "dont_track_primary", "dont_track_primary", "vrrp.instances[0].track_link", "false" },
	{ KIN_INSTANCE, "virtual_ipaddress", "virtual_ipaddress { 10.0.0.6 }",
	  "vrrp.instances[0].virtual_addresses[0].address", "\"10.0.0.6/32\"" },
	{ KIN_INSTANCE, "virtual_ipaddress_excluded", "virtual_ipaddress_excluded { 2001:db8::7/64 dev x0 no_track }",
	  "vrrp.instances[0].excluded_addresses[0].track", "false" },
	{ KIN_INSTANCE, "virtual_routes", "virtual_routes { src 10.0.0.5 to 10.1.0.0/16 gw 10.0.0.9 dev a0 no_track }",
	  "vrrp.instances[0].routes[0].route", "\"10.1.0.0/16 src 10.0.0.5 via 10.0.0.9 dev a0\"" },
	{ KIN_INSTANCE, "virtual_rules", "virtual_rules { from 10.0.0.0/24 table 5 preference 77 }",
	  "vrrp.instances[0].rules[0].rule", "\"from 10.0.0.0/24 table 5 preference 77\"" },
	{ KIN_INSTANCE, "authentication", "authentication { auth_pass abc }", "vrrp.instances[0].auth_pass",
	  "\"abc\"" },
	{ KIN_AUTH, "auth_pass", "authentication { auth_pass 'x y' }", "vrrp.instances[0].auth_pass", "\"x y\"" },
	{ KIN_INSTANCE, "notify", "notify " SCRIPT, "vrrp.instances[0].notify[0].all[0].exec", "( \"" SCRIPT "\" )" },
	{ KIN_INSTANCE, "notify_master", "notify_master \"" SCRIPT " a 'b c'\" nobody",
	  "vrrp.instances[0].notify[0].master[0].exec", "( \"" SCRIPT "\", \"a\", \"b c\" )" },
	{ KIN_INSTANCE, "notify_master", "notify_master " SCRIPT " nobody",
	  "vrrp.instances[0].notify[0].master[0].user", "\"nobody\"" },
	{ KIN_INSTANCE, "notify_backup", "notify_backup " SCRIPT, "vrrp.instances[0].notify[0].backup[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_INSTANCE, "notify_fault", "notify_fault " SCRIPT, "vrrp.instances[0].notify[0].fault[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_INSTANCE, "notify_stop", "notify_stop " SCRIPT, "vrrp.instances[0].notify[0].stop[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_INSTANCE, "notify_deleted", "notify_deleted", "vrrp.instances[0].notify[0].tell_deleted", "true" },
	{ KIN_INSTANCE, "notify_deleted", "notify_deleted " SCRIPT, "vrrp.instances[0].notify[0].deleted[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_INSTANCE, "notify_master_rx_lower_pri", "notify_master_rx_lower_pri " SCRIPT,
	  "vrrp.instances[0].notify[0].lower_priority[0].exec", "( \"" SCRIPT "\" )" },
	{ KIN_INSTANCE, "notify_priority_changes", "notify_priority_changes on",
	  "vrrp.instances[0].notify[0].priority_changes", "true" },
	{ KIN_INSTANCE, "smtp_alert", "smtp_alert", "vrrp.instances[0].notify[0].mail", "true" },
	{ KIN_INSTANCE, "track_interface", "track_interface { b0 weight -20 reverse }",
	  "vrrp.instances[0].track[0].interface", "\"b0\"" },
	{ KIN_INSTANCE, "track_interface", "track_interface { b0 weight -20 reverse }",
	  "vrrp.instances[0].track[0].weight", "-20" },
	{ KIN_INSTANCE, "track_interface", "track_interface { b0 weight -20 reverse }",
	  "vrrp.instances[0].track[0].reverse", "true" },
	{ KIN_INSTANCE, "track_script", "track_script { S1 weight 254 }", "vrrp.instances[0].track[0].weight", "253" },
	{ KIN_INSTANCE, "track_file", "track_file { F1 }", "vrrp.instances[0].track[0].file", "\"F1\"" },
	{ KIN_INSTANCE, "track_process", "track_process { P1 weight 0 noreverse }",
	  "vrrp.instances[0].track[0].process", "\"P1\"" },

	{ KIN_GROUP, "group", "group { V1 }", "vrrp.groups[0].members", "( \"V1\" )" },
	{ KIN_GROUP, "track_interface", "track_interface { b0 }", "vrrp.groups[0].track[0].interface", "\"b0\"" },
	{ KIN_GROUP, "track_script", "track_script { S1 }", "vrrp.groups[0].track[0].script", "\"S1\"" },
	{ KIN_GROUP, "track_file", "track_file { F1 }", "vrrp.groups[0].track[0].file", "\"F1\"" },
	{ KIN_GROUP, "track_process", "track_process { P1 }", "vrrp.groups[0].track[0].process", "\"P1\"" },
	{ KIN_GROUP, "notify", "notify " SCRIPT, "vrrp.groups[0].notify[0].all[0].exec", "( \"" SCRIPT "\" )" },
	{ KIN_GROUP, "notify_master", "notify_master " SCRIPT, "vrrp.groups[0].notify[0].master[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_GROUP, "notify_backup", "notify_backup " SCRIPT, "vrrp.groups[0].notify[0].backup[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_GROUP, "notify_fault", "notify_fault " SCRIPT, "vrrp.groups[0].notify[0].fault[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_GROUP, "notify_stop", "notify_stop " SCRIPT, "vrrp.groups[0].notify[0].stop[0].exec",
	  "( \"" SCRIPT "\" )" },
	{ KIN_GROUP, "smtp_alert", "smtp_alert no", "vrrp.groups[0].notify[0].mail", "false" },
	{ KIN_GROUP, "sync_group_tracking_weight", "sync_group_tracking_weight", "vrrp.groups[0].member_weights",
	  "true" },
	{ KIN_GROUP, "global_tracking", "global_tracking", "vrrp.groups[0].member_weights", "true" },

	{ KIN_SCRIPT, "script", "script \"" SCRIPT " a\"", "vrrp.track[0].scripts[0].exec",
	  "( \"" SCRIPT "\", \"a\" )" },
	{ KIN_SCRIPT, "script", "script true", "vrrp.track[0].scripts[0].exec", NULL },
	{ KIN_SCRIPT, "interval", "interval 2.5", "vrrp.track[0].scripts[0].interval", "2.5" },
	{ KIN_SCRIPT, "timeout", "timeout 3", "vrrp.track[0].scripts[0].timeout", "3" },
	{ KIN_SCRIPT, "weight", "weight -10 reverse", "vrrp.track[0].scripts[0].weight", "-10" },
	{ KIN_SCRIPT, "rise", "rise 3", "vrrp.track[0].scripts[0].rise", "3" },
	{ KIN_SCRIPT, "fall", "fall 4", "vrrp.track[0].scripts[0].fall", "4" },
	{ KIN_SCRIPT, "user", "user nobody nogroup", "vrrp.track[0].scripts[0].group", "\"nogroup\"" },
	{ KIN_SCRIPT, "init_fail", "init_fail", "vrrp.track[0].scripts[0].init_fail", "true" },
	{ KIN_FILE, "file", "file \"/tmp/a b\"", "vrrp.track[0].files[0].file", "\"/tmp/a b\"" },
	{ KIN_FILE, "weight", "weight 3", "vrrp.track[0].files[0].weight", "3" },
	{ KIN_FILE, "init_file", "init_file 5 overwrite", "vrrp.track[0].files[0].init", "5" },
	{ KIN_FILE, "init_file", "init_file 5 overwrite", "vrrp.track[0].files[0].overwrite", "true" },
	{ KIN_PROCESS, "process", "process haproxy -f", "vrrp.track[0].processes[0].process",
	  "( \"haproxy\", \"-f\" )" },
	{ KIN_PROCESS, "param_match", "param_match partial", "vrrp.track[0].processes[0].match", "\"partial\"" },
	{ KIN_PROCESS, "weight", "weight 254", "vrrp.track[0].processes[0].weight", "254" },
	{ KIN_PROCESS, "quorum", "quorum 3", "vrrp.track[0].processes[0].quorum", "3" },
	{ KIN_PROCESS, "quorum_max", "quorum_max 0", "vrrp.track[0].processes[0].quorum_max", "0" },
	{ KIN_PROCESS, "fork_delay", "fork_delay 0.5", "vrrp.track[0].processes[0].fork_delay", "0.5" },
	{ KIN_PROCESS, "terminate_delay", "terminate_delay 0.5", "vrrp.track[0].processes[0].terminate_delay", "0.5" },
	{ KIN_PROCESS, "delay", "delay 2", "vrrp.track[0].processes[0].terminate_delay", "2" },
	{ KIN_PROCESS, "full_command", "full_command", "vrrp.track[0].processes[0].full_command", "true" },
	{ KIN_GARP, "garp_interval", "garp_interval 0.01", "vrrp.instances[0].garp_interval", "0.01" },
	{ KIN_GARP, "gna_interval", "gna_interval 0.02", "vrrp.instances[0].na_interval", "0.02" },

	{ KIN_ROOT, "static_ipaddress", "static_ipaddress { 10.9.0.1/24 dev b0 scope link }",
	  "vrrp.static.addresses[0].scope", "\"link\"" },
	{ KIN_ROOT, "static_ipaddress", "static_ipaddress { 10.9.0.1/24 }", "vrrp.static.addresses[0].interface",
	  "\"eth0\"" },
	{ KIN_ROOT, "static_routes", "static_routes { default via 10.0.0.2 or 10.0.0.3 dev a0 track_group G }",
	  "vrrp.static.routes[0].route", "\"inet default nexthop via 10.0.0.2 dev a0 nexthop via 10.0.0.3 dev a0\"" },
	{ KIN_ROOT, "static_rules", "static_rules { to 10.0.0.0/24 table 7 }", "vrrp.static.rules[0].rule",
	  "\"to 10.0.0.0/24 table 7 priority 16384\"" },
	{ KIN_ROOT, "interface_up_down_delays", "interface_up_down_delays { b0 0.5 1 }",
	  "vrrp.track[0].interfaces[0].up_delay", "1" },
	{ KIN_ROOT, "net_namespace", "net_namespace blue", "node.namespace", "\"blue\"" },
	{ KIN_ROOT, "instance", "instance one", "node.keepalived[0].instance", "\"one\"" },
	{ KIN_ROOT, "use_pid_dir", "use_pid_dir", "node.keepalived[0].use_pid_dir", "true" },
	{ KIN_ROOT, "conntrack_sync", "conntrack_sync { store warm }", "sync.store", "\"warm\"" },
	{ KIN_ROOT, "ipsec_failover", "ipsec_failover { tunnel T { vip 10.0.0.5 } }", "ipsec.tunnels[0].vip",
	  "\"10.0.0.5\"" },
};

#define ROWS ((int)(sizeof(table) / sizeof(table[0])))

START_TEST(each_word)
{
	const struct row *r = &table[_i];
	struct mapped m = map_line(r->in, r->word, r->text);
	const struct cfg_val *v = map_val(m.t, r->path);

	ck_assert_msg(v != NULL, "%s: there is no %s: %s", r->text, r->path, map_said(&m.errs));
	ck_assert_msg(v->given, "%s: %s is not given: %s", r->text, r->path, map_said(&m.errs));
	if (r->value)
		ck_assert_str_eq(map_value(v), r->value);
	ck_assert_uint_eq(v->at.line, 4);
	ck_assert_str_eq(v->at.file, "t.conf");
	map_done(&m);
}
END_TEST

/* ---- who sees what a word does: tests/netns/seen_words.txt ---- */

struct seen {
	char test[160], name[80]; /* file::test, and what the word is called there */
};

/* The text of a file below the sources, to be freed; NULL: there is none. */
static char *file_text(const char *path)
{
	char full[400], *text = NULL;
	long n;

	snprintf(full, sizeof(full), SRCDIR "/%s", path);
	FILE *f = fopen(full, "r");
	if (!f)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) >= 0) {
		rewind(f);
		text = calloc(1, (size_t)n + 1);
		if (text && fread(text, 1, (size_t)n, f) != (size_t)n)
			text[0] = '\0';
	}
	fclose(f);
	return text;
}

/* The line of a word; false: there is none. */
static bool seen_by(const struct kword *w, struct seen *out)
{
	const char *block = w->in == KIN_ROOT ? "top" : kword_block_name(w->in);
	char *text = file_text("tests/netns/seen_words.txt"), *save = NULL, in[40], word[80];
	bool found = false;

	ck_assert_ptr_nonnull(text);
	for (char *line = strtok_r(text, "\n", &save); line && !found; line = strtok_r(NULL, "\n", &save)) {
		int n = sscanf(line, "%39s %79s %159s %79s", in, word, out->test, out->name);
		found = n >= 3 && strcmp(in, block) == 0 && strcmp(word, w->word) == 0;
		if (n == 3)
			snprintf(out->name, sizeof(out->name), "%s", word);
	}
	free(text);
	return found;
}

/* The word as a whole stands somewhere in the text. */
static bool names_word(const char *text, const char *word)
{
	static const char of_words[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
		if ((p == text || !strchr(of_words, p[-1])) && !(p[len] && strchr(of_words, p[len])))
			return true;
	return false;
}

/* The test of the line exists, and where its words stand the word stands, too. */
static void check_seen(const struct kword *w)
{
	struct seen s;
	char path[256], start[256];

	ck_assert_msg(seen_by(w, &s), "no test sees %s in %s: tests/netns/seen_words.txt", w->word,
		      kword_block_name(w->in));
	char *colons = strstr(s.test, "::");
	ck_assert_msg(colons != NULL, "%s: no file::test", s.test);
	*colons = '\0';
	bool unit = strncmp(s.test, "check_", 6) == 0;
	snprintf(path, sizeof(path), "tests/%s%s", unit ? "unit/" : strchr(s.test, '/') ? "" : "netns/", s.test);
	snprintf(start, sizeof(start), unit ? "START_TEST(%s)" : "def %s(", colons + 2);
	char *text = file_text(path);
	ck_assert_msg(text && strstr(text, start), "there is no %s in %s, which sees %s", colons + 2, path, w->word);
	if (strcmp(s.test, "test_drop_in_diff.py") == 0) {
		free(text);
		text = file_text("tests/diff/generate.py");
	}
	ck_assert_msg(text && names_word(text, s.name), "%s does not name %s in %s", s.test, s.name,
		      kword_block_name(w->in));
	free(text);
}

/* How a word is read: a line of its own, and the key that it gives; empty: with others. */
static const char *read_as(const struct kword *w)
{
	static char buf[400];

	buf[0] = '\0';
	for (int k = 0; k < ROWS && !buf[0]; k++)
		if (table[k].in == w->in && strcmp(table[k].word, w->word) == 0)
			snprintf(buf, sizeof(buf), "`%s` gives `%s`", table[k].text, table[k].path);
	return buf;
}

START_TEST(all_words)
{
	for (unsigned i = 0; i < kwords_n(); i++) {
		const struct kword *w = kwords_row(i);
		if (w->class == KW_HONOURED)
			check_seen(w);
		ck_assert_msg(w->say && w->say[0], "nothing is said about %s", w->word);
		for (unsigned k = 0; k < i; k++)
			ck_assert_msg(kwords_row(k)->in != w->in || strcmp(kwords_row(k)->word, w->word) != 0,
				      "%s stands twice in %s", w->word, kword_block_name(w->in));
	}
}
END_TEST

START_TEST(old_names)
{
	struct mapped m = map_text("vrrp_instance A {\ninterface a0\nvirtual_router_id 1\ntrack_file {\nF\n}\n}\n"
				   "vrrp_track_file F {\nfile /tmp/f\n}\n"
				   "garp_group {\ngarp_interval 0.5\ninterfaces {\nb0\na0\n}\n}\n");

	ck_assert_str_eq(map_at(&m, "vrrp.instances[0].track[0].file"), "\"F\"");
	ck_assert_str_eq(map_at(&m, "vrrp.instances[0].garp_interval"), "0.5");
	map_done(&m);
}
END_TEST

/* ---- docs/keepalived-keywords.md ---- */

/* A pipe would end the cell. */
static void cell(const char *text, FILE *out)
{
	for (; *text; text++)
		fprintf(out, *text == '|' ? "\\|" : *text == '\n' ? " " : "%c", *text);
}

static void print_block(enum kword_in in, FILE *out)
{
	static const char *const classes[] = { "honoured", "no effect", "refused", "LVS" };

	fprintf(out, "\n## %s\n\n| word | here | what it is, or why not | read as | seen by |\n|---|---|---|---|---|\n",
		in == KIN_ROOT ? "At the top" : kword_block_name(in));
	for (unsigned i = 0; i < kwords_n(); i++) {
		const struct kword *w = kwords_row(i);
		struct seen seen = { .test = "" };
		if (w->in != in)
			continue;
		if (w->class == KW_HONOURED)
			ck_assert(seen_by(w, &seen));
		fprintf(out, "| %s | %s | ", w->word, classes[w->class]);
		cell(w->say, out);
		fprintf(out, " | ");
		cell(w->class == KW_HONOURED ? read_as(w) : "", out);
		fprintf(out, " | ");
		cell(seen.test, out);
		fprintf(out, " |\n");
	}
}

static void print_doc(FILE *out)
{
	unsigned n[4] = { 0 };

	for (unsigned i = 0; i < kwords_n(); i++)
		n[kwords_row(i)->class]++;
	fprintf(
	    out,
	    "# The words of keepalived.conf\n\n"
	    "Made from the table in `daemon/dropin/kconf_words.c` by `KT_GOLDEN=write build/check_kconf_map`; the test "
	    "fails "
	    "when "
	    "the two differ.\n\n"
	    "%u words of keepalived 2.4 up to its LVS parser: %u honoured, %u accepted without effect (said once when "
	    "the "
	    "file is read), %u refused, %u for the checkers of LVS, which the real `keepalived -C` serves beside this "
	    "daemon (see keepalived-compat.md). A word that stands nowhere here is unknown to keepalived too: it is "
	    "named with file and line, and skipped.\n\n"
	    "*Read as*: a line, and the key of our own configuration that has its value then, as `check_kconf_map` "
	    "compares it; empty for words that mean something together with others. *Seen by*: the test that sees what "
	    "the word does to packets, kernel, programs or files (`tests/netns/seen_words.txt`); "
	    "`test_drop_in_diff.py` plays `tests/diff/generate.py` with keepalived and with us. `keeptrackd -T -f "
	    "keepalived.conf` prints all keys, `keeptrackd convert` those that the file sets.\n",
	    kwords_n(), n[KW_HONOURED], n[KW_NO_EFFECT], n[KW_REFUSED], n[KW_LVS]);
	for (int in = 0; in < KIN_N; in++)
		print_block((enum kword_in)in, out);
}

START_TEST(document)
{
	static char have[1 << 17];
	const char *golden = getenv("KT_GOLDEN"), *path = SRCDIR "/docs/keepalived-keywords.md";
	char *text = NULL;
	size_t len, n = 0;
	FILE *f = open_memstream(&text, &len);

	print_doc(f);
	fclose(f);
	if (golden && strcmp(golden, "write") == 0) {
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fputs(text, f);
		fclose(f);
	}
	f = fopen(path, "r");
	if (f) {
		n = fread(have, 1, sizeof(have) - 1, f);
		fclose(f);
	}
	have[n] = '\0';
	ck_assert_msg(strcmp(have, text) == 0, "docs/keepalived-keywords.md is not what the table says: run "
					       "KT_GOLDEN=write ./check_kconf_map");
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kconf_map");
	TCase *tc = tcase_create("words");

	tcase_add_loop_test(tc, each_word, 0, ROWS);
	tcase_add_test(tc, all_words);
	tcase_add_test(tc, old_names);
	tcase_add_test(tc, document);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
