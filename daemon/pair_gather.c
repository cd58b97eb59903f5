/* Reading the kernel's side of the facts. */
#include "daemon/pair_gather.h"

#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SYSCTL_DIR  "/proc/sys/net/netfilter"
#define BUILTIN_MAX (1u << 20)

/* The first line of a file. False: it cannot be read. */
static bool read_line(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	if (fd >= 0)
		close(fd);
	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return n >= 0;
}

/* Numbers that change by themselves are not settings. */
static bool is_setting(const char *name)
{
	return (strncmp(name, "nf_conntrack_", 13) == 0 && strcmp(name, "nf_conntrack_count") != 0) ||
	       strncmp(name, "nf_flowtable_", 13) == 0;
}

static void settings(struct pair_text *t)
{
	char path[400], value[PAIR_VALUE_MAX], key[300];
	DIR *dir = opendir(SYSCTL_DIR);
	if (!dir) {
		pair_text_put(t, "sysctl.nf_conntrack_max", PAIR_UNKNOWN);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		if (!is_setting(e->d_name))
			continue;
		snprintf(path, sizeof(path), SYSCTL_DIR "/%s", e->d_name);
		snprintf(key, sizeof(key), "sysctl.%s", e->d_name);
		if (read_line(path, value, sizeof(value)))
			pair_text_put(t, key, "%s", value);
		else
			pair_text_put(t, key, PAIR_UNKNOWN);
	}
	closedir(dir);
}

static void forwarding(struct pair_text *t)
{
	char value[32];
	if (read_line("/proc/sys/net/ipv4/ip_forward", value, sizeof(value)))
		pair_text_put(t, "sysctl.ip_forward", "%s", value);
	if (read_line("/proc/sys/net/ipv6/conf/all/forwarding", value, sizeof(value)))
		pair_text_put(t, "sysctl.ipv6_forwarding", "%s", value);
}

/* ---- helpers ---- */

/* Names of what is built into this kernel; NULL: not known. malloc. */
static char *builtin_list(const struct utsname *u)
{
	char path[200];
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.builtin", u->release);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	char *text = malloc(BUILTIN_MAX);
	size_t n = 0;
	for (ssize_t got = 1; text && got > 0 && n<BUILTIN_MAX - 1; n += got> 0 ? (size_t)got : 0)
		got = read(fd, text + n, BUILTIN_MAX - 1 - n);
	close(fd);
	if (text)
		text[n] = '\0';
	return text;
}

/* A part of the kernel without parameters shows nowhere when it is built in and nobody has written down what is. */
static const char *module_state(const char *module, const char *builtin)
{
	char path[100], file[80];
	snprintf(path, sizeof(path), "/sys/module/%s", module);
	snprintf(file, sizeof(file), "/%s.ko", module);
	if (access(path, F_OK) == 0 || (builtin && strstr(builtin, file)))
		return "loaded";
	return builtin && access("/proc/modules", R_OK) == 0 ? "absent" : PAIR_UNKNOWN;
}

static void helpers(struct pair_text *t, const struct utsname *u)
{
	static const char *const names[] = { "amanda", "ftp",  "h323", "irc",  "netbios_ns",
					     "pptp",   "sane", "sip",  "snmp", "tftp" };
	char *builtin = builtin_list(u);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[64], module[64];
		snprintf(key, sizeof(key), "helper[%s]", names[i]);
		snprintf(module, sizeof(module), "nf_conntrack_%s", names[i]);
		pair_text_put(t, key, "%s", module_state(module, builtin));
		if (strcmp(names[i], "netbios_ns") == 0 || strcmp(names[i], "sane") == 0)
			continue; /* these have no NAT part */
		snprintf(key, sizeof(key), "helper_nat[%s]", names[i]);
		snprintf(module, sizeof(module), "nf_nat_%s", strcmp(names[i], "snmp") == 0 ? "snmp_basic" : names[i]);
		pair_text_put(t, key, "%s", module_state(module, builtin));
	}
	free(builtin);
}

/* ---- interfaces ---- */

/* 0: there is no such interface. */
static int mtu_of(const char *name)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd >= 0) {
		rc = ioctl(fd, SIOCGIFMTU, &ifr);
		close(fd);
	}
	return rc == 0 ? ifr.ifr_mtu : 0;
}

/* The kernel filters by the stricter of "all" and the interface's own (ip-sysctl.rst). */
static int rp_filter_of(const char *name)
{
	char path[100], value[16];
	int all = 0;
	if (read_line("/proc/sys/net/ipv4/conf/all/rp_filter", value, sizeof(value)))
		all = atoi(value);
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	if (!read_line(path, value, sizeof(value)))
		return -1;
	int own = atoi(value);
	return own > all ? own : all;
}

static void routers(struct pair_gather *g)
{
	char key[80];
	for (unsigned i = 0; i < g->n_routers; i++) {
		const char *name = g->router[i].name, *interface = g->router[i].interface;
		int mtu = mtu_of(interface), filter = rp_filter_of(interface);
		snprintf(key, sizeof(key), "vrrp[%s].mtu", name);
		if (mtu > 0)
			pair_text_put(&g->text, key, "%d", mtu);
		else
			pair_text_put(&g->text, key, PAIR_UNKNOWN);
		snprintf(key, sizeof(key), "vrrp[%s].rp_filter", name);
		if (filter >= 0)
			pair_text_put(&g->text, key, "%d", filter);
	}
}

/* The interface that bears this address; "" if there is none. */
static void interface_of(const struct ifaddrs *list, const struct addr *a, char name[IFNAMSIZ])
{
	name[0] = '\0';
	for (; list; list = list->ifa_next) {
		const struct sockaddr *sa = list->ifa_addr;
		struct addr b = { .af = ADDR_NONE };
		if (sa && sa->sa_family == AF_INET)
			b = addr_from_bytes(ADDR_V4, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
		else if (sa && sa->sa_family == AF_INET6)
			b = addr_from_bytes(ADDR_V6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
		if (b.af != ADDR_NONE && addr_eq(a, &b))
			snprintf(name, IFNAMSIZ, "%s", list->ifa_name);
	}
}

static void channels(struct pair_gather *g)
{
	struct ifaddrs *list = NULL;
	char name[IFNAMSIZ], key[80];
	if (getifaddrs(&list) != 0)
		return;
	for (unsigned i = 0; i < g->n_channel; i++) {
		interface_of(list, &g->channel[i], name);
		if (!name[0])
			continue;
		snprintf(key, sizeof(key), "channel[%u].interface", i);
		pair_text_put(&g->text, key, "%s", name);
		snprintf(key, sizeof(key), "channel[%u].mtu", i);
		pair_text_put(&g->text, key, "%d", mtu_of(name));
	}
	freeifaddrs(list);
}

void pair_gather(struct pair_gather *g)
{
	struct utsname u = { 0 };
	(void)uname(&u);
	pair_text_put(&g->text, "node.kernel", "%s", u.release);
	pair_text_put(&g->text, "node.machine", "%s", u.machine);
	settings(&g->text);
	forwarding(&g->text);
	helpers(&g->text, &u);
	pair_nft_helpers(&g->text);
	channels(g);
	routers(g);
}
