/* Replies as text: common parts and the short replies. */
#include <string.h>
#include <time.h>
#include "cli/fmt_text.h"
#include "cli/table.h"

json_int_t fmt_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *fmt_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

bool fmt_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

const char *fmt_yes(const json_t *o, const char *key)
{
	return fmt_bool(o, key) ? "yes" : "no";
}

const char *fmt_dash(const char *s)
{
	return s && *s ? s : "-";
}

char *fmt_list(const json_t *list, char *buf, size_t size)
{
	size_t n = 0, i;
	json_t *v;

	snprintf(buf, size, "-");
	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		if (n < size && json_is_string(v))
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "", json_string_value(v));
	}
	return buf;
}

char *fmt_us(json_int_t us, char *buf, size_t size)
{
	long long s = us / 1000000;

	if (us < 1000000)
		snprintf(buf, size, "%lld.%03lld ms", (long long)us / 1000, (long long)us % 1000);
	else if (s < 60)
		snprintf(buf, size, "%lld.%03lld s", s, (long long)us / 1000 % 1000);
	else if (s < 86400)
		snprintf(buf, size, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%lldd%02lld:%02lld:%02lld", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
	return buf;
}

char *fmt_wall(json_int_t us, char *buf, size_t size)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;
	char date[40];

	if (us <= 0 || !localtime_r(&t, &tm) || !strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm)) {
		snprintf(buf, size, "-");
		return buf;
	}
	snprintf(buf, size, "%s.%03d", date, (int)(us / 1000 % 1000));
	return buf;
}

static void fmt_interfaces(const json_t *data, FILE *out)
{
	struct table t;
	size_t i;
	json_t *v;
	char addrs[400], used[200];

	table_begin(&t, TABLE_HEADS("Name", ">Index", "State", "MAC", ">MTU", "Addresses", "Instances"));
	json_array_foreach(json_object_get(data, "interfaces"), i, v)
	{
		const char *state = !fmt_bool(v, "present")  ? "absent"
				    : !fmt_bool(v, "up")     ? "down"
				    : fmt_bool(v, "running") ? "up"
							     : "no carrier";
		table_cell(&t, "%s", fmt_str(v, "name"));
		table_cell(&t, "%lld", (long long)fmt_int(v, "index"));
		table_cell(&t, "%s", state);
		table_cell(&t, "%s", fmt_dash(fmt_str(v, "mac")));
		table_cell(&t, "%lld", (long long)fmt_int(v, "mtu"));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "addresses"), addrs, sizeof(addrs)));
		table_cell(&t, "%s", fmt_list(json_object_get(v, "instances"), used, sizeof(used)));
	}
	table_end(&t, out);
	bool told = false;
	json_array_foreach(json_object_get(data, "interfaces"), i, v)
	{
		size_t k;
		json_t *d;
		json_array_foreach(json_object_get(v, "drops"), k, d)
		{
			if (!told)
				fprintf(out, "\nPackets for none of the virtual routers:\n");
			told = true;
			fprintf(out, "  %s %s: %lld, %s\n", fmt_str(v, "name"), fmt_str(d, "family"),
				(long long)fmt_int(d, "count"), fmt_str(d, "reason"));
		}
	}
}

static void fmt_log(const json_t *data, FILE *out)
{
	size_t i;
	json_t *v;
	char wall[48];

	json_array_foreach(json_object_get(data, "lines"), i, v)
	{
		fprintf(out, "%s %-7s %-5s %s\n", fmt_wall(fmt_int(v, "wall_us"), wall, sizeof(wall)),
			fmt_str(v, "level"), fmt_str(v, "subsystem"), fmt_str(v, "text"));
	}
	if (fmt_int(data, "dropped"))
		fprintf(out, "%lld lines were not taken by the system log\n", (long long)fmt_int(data, "dropped"));
}

static void fmt_version(const json_t *data, FILE *out)
{
	size_t i;
	json_t *v;
	char up[40], p50[40], p99[40], max[40];

	fprintf(out, "%s %s on %s (node %lld)\n", fmt_str(data, "name"), fmt_str(data, "version"),
		fmt_str(data, "node"), (long long)fmt_int(data, "node_id"));
	fprintf(out, "  pid %lld, up %s, real-time %s\n", (long long)fmt_int(data, "pid"),
		fmt_us(fmt_int(data, "uptime_us"), up, sizeof(up)), fmt_yes(data, "realtime"));
	fprintf(out, "  timers late: half within %s, 99%% within %s, at most %s\n",
		fmt_us(fmt_int(data, "late_p50_us"), p50, sizeof(p50)),
		fmt_us(fmt_int(data, "late_p99_us"), p99, sizeof(p99)),
		fmt_us(fmt_int(data, "late_max_us"), max, sizeof(max)));
	json_array_foreach(json_object_get(data, "configuration"), i, v)
	{
		fprintf(out, "  configuration %s%s\n", fmt_str(v, "file"),
			fmt_bool(v, "layer") ? ", of the conntrackd process here" : "");
	}
	if (*fmt_str(data, "heir_of"))
		fprintf(out, "  the program that %s belongs to has died: conntrackd goes on in its stead\n",
			fmt_str(data, "heir_of"));
	json_array_foreach(json_object_get(data, "libraries"), i, v)
	{
		fprintf(out, "  %s %s\n", fmt_str(v, "name"), fmt_str(v, "version"));
	}
}

static void fmt_force(const json_t *data, FILE *out)
{
	char groups[1000];

	fprintf(out, "Requested for: %s\n", fmt_list(json_object_get(data, "groups"), groups, sizeof(groups)));
}

void fmt_text(enum ctl_cmd cmd, const json_t *data, bool detail, FILE *out)
{
	struct fmt_rows rows = { 0 };
	char buf[40];

	switch (cmd) {
	case CTL_SHOW_VRRP:
		detail ? fmt_vrrp_detail(data, out) : fmt_vrrp(data, out);
		break;
	case CTL_SHOW_VRRP_PEER:
		fmt_vrrp_peer(data, out);
		break;
	case CTL_SHOW_VRRP_TRACK:
		fmt_track(data, out);
		break;
	case CTL_SHOW_PAIR:
		fmt_pair(data, detail, out);
		break;
	case CTL_SHOW_SYNC_STATISTICS:
		fmt_sync_statistics(data, out);
		break;
	case CTL_SHOW_SYNC_STATUS:
		fmt_sync_status(data, out);
		break;
	case CTL_SHOW_SYNC_PEERS:
		fmt_sync_peers(data, out);
		break;
	case CTL_SHOW_SYNC_QUEUE:
		fmt_sync_queue(data, out);
		break;
	case CTL_SHOW_SYNC_LAG:
		fmt_sync_lag(data, out);
		break;
	case CTL_SHOW_SYNC_FILTERS:
		fmt_sync_filters(data, out);
		break;
	case CTL_SHOW_SYNC_INTERNAL:
	case CTL_SHOW_SYNC_EXTERNAL:
	case CTL_SHOW_CONNTRACK_IPV4:
	case CTL_SHOW_CONNTRACK_IPV6:
		fmt_rows_piece(&rows, data, out);
		break;
	case CTL_SHOW_SESSION_STATISTICS:
		fmt_session_statistics(data, out);
		break;
	case CTL_SHOW_SESSION_POLICY:
		fmt_session_policy(data, out);
		break;
	case CTL_SHOW_FAILOVER_HISTORY:
		fmt_failover_history(data, out);
		break;
	case CTL_SHOW_FAILOVER_TIMELINE:
		fmt_failover_timeline(data, out);
		break;
	case CTL_SHOW_FAILOVER_STATUS:
		fmt_failover_status(data, out);
		break;
	case CTL_SHOW_IPSEC:
		fmt_ipsec(data, out);
		break;
	case CTL_SHOW_IPSEC_SWEEP:
		fmt_sweep(data, out);
		break;
	case CTL_SHOW_IPSEC_SA:
		fmt_ipsec_sa(data, out);
		break;
	case CTL_SHOW_IPSEC_PEER:
		fmt_ipsec_peer(data, out);
		break;
	case CTL_SHOW_IPSEC_DPD:
		fmt_ipsec_dpd(data, out);
		break;
	case CTL_SHOW_NOTIFY:
		fmt_notify(data, out);
		break;
	case CTL_SHOW_IPSEC_HOOKS:
		fmt_ipsec_hooks(data, out);
		break;
	case CTL_SHOW_IPSEC_CHECK:
		fmt_ipsec_check(data, out);
		break;
	case CTL_SHOW_IPSEC_STATISTICS:
		fmt_ipsec_statistics(data, out);
		break;
	case CTL_IKE_DPD:
		fmt_ike_dpd(data, out);
		break;
	case CTL_RESET_VPN_PEER:
	case CTL_RESET_VPN_ALL:
	case CTL_FORCE_IKE_RESET:
		fmt_ipsec_reset(data, out);
		break;
	case CTL_SHOW_INTERFACES:
		fmt_interfaces(data, out);
		break;
	case CTL_SHOW_LOG:
		fmt_log(data, out);
		break;
	case CTL_SHOW_VERSION:
		fmt_version(data, out);
		break;
	case CTL_SHOW_CONFIGURATION:
		fputs(fmt_str(data, "text"), out);
		break;
	case CTL_FORCE_FAILOVER:
		fmt_force(data, out);
		break;
	case CTL_MAINTENANCE_ENTER:
	case CTL_MAINTENANCE_LEAVE:
		fprintf(out, "Maintenance: %s%s\n", fmt_yes(data, "maintenance"),
			fmt_bool(data, "persistent") ? ", also after a restart" : "");
		break;
	case CTL_CLEAR_COUNTERS:
		fmt_cleared(data, out);
		break;
	case CTL_EXPLAIN_SESSION:
	case CTL_EXPLAIN_IPSEC:
		fmt_explain(data, out);
		break;
	case CTL_RESET_SYNC_INTERNAL:
	case CTL_RESET_SYNC_EXTERNAL:
	case CTL_FORCE_RESYNC:
		fmt_order(json_object_get(data, "order"), out);
		break;
	case CTL_CONNTRACKD:
		fprintf(out, "%s\n", fmt_str(data, "text"));
		break;
	case CTL_RESTART_SYNC:
		fmt_restart(data, out);
		break;
	case CTL_DEBUG_VRRP:
	case CTL_DEBUG_SYNC:
	case CTL_DEBUG_IKE:
	case CTL_DEBUG_ROLE:
	case CTL_DEBUG_NET:
	case CTL_NO_DEBUG_VRRP:
	case CTL_NO_DEBUG_SYNC:
	case CTL_NO_DEBUG_IKE:
	case CTL_NO_DEBUG_ROLE:
	case CTL_NO_DEBUG_NET:
		fprintf(out, "Debugging %s: %s\n", fmt_str(data, "subsystem"), fmt_bool(data, "on") ? "on" : "off");
		break;
	case CTL_DEBUG_SYNC_STALL:
		fprintf(out, "Replication is deaf for %s\n", fmt_us(fmt_int(data, "stalled_us"), buf, sizeof(buf)));
		break;
	case CTL_LIST:
	case CTL_HELP:
	case CTL_EXIT:
	case CTL_CMD_N:
		break;
	}
}
