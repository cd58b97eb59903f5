/* conntrackd.conf from disk. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/dropin/dconf_io.h"

#define SYSTEM_KEY SYSCONFDIR "/keeptrackd/conntrackd.key"
#define IFACES_MAX 4096

/* ---- what the machine has ---- */

static uint8_t mask_length(const struct addr *mask)
{
	unsigned n = 0;

	while (n < 8 * addr_len(mask->af) && mask->b[n / 8] >> (7 - n % 8) & 1)
		n++;
	return (uint8_t)n;
}

static struct addr from_sockaddr(const struct sockaddr *sa)
{
	if (sa && sa->sa_family == AF_INET)
		return addr_from_bytes(ADDR_V4, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	if (sa && sa->sa_family == AF_INET6)
		return addr_from_bytes(ADDR_V6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
	return (struct addr){ 0 };
}

/* NULL without memory or answer: then no address is known. malloc. */
static struct dconf_iface *list_ifaces(unsigned *n)
{
	struct ifaddrs *all = NULL;
	struct dconf_iface *out = calloc(IFACES_MAX, sizeof(*out));

	*n = 0;
	if (!out || getifaddrs(&all) < 0)
		return out;
	for (const struct ifaddrs *i = all; i && *n < IFACES_MAX; i = i->ifa_next) {
		struct addr a = from_sockaddr(i->ifa_addr), mask = from_sockaddr(i->ifa_netmask);
		if (a.af == ADDR_NONE || strlen(i->ifa_name) >= sizeof(out->name))
			continue;
		out[*n].addr = a;
		out[*n].plen = mask_length(&mask);
		memcpy(out[(*n)++].name, i->ifa_name, strlen(i->ifa_name) + 1);
	}
	freeifaddrs(all);
	return out;
}

/* ---- the key ---- */

/* "DIR/conntrackd.key" of "DIR/conntrackd.conf", absolute. */
static void key_beside(const char *path, char *out, size_t size)
{
	char full[DCONF_TEXT_MAX];
	size_t n = strlen(path);

	if (path[0] != '/' && getcwd(full, sizeof(full)))
		snprintf(out, size, "%s/%s", full, path);
	else
		snprintf(out, size, "%s", path);
	if (n > 5 && strcmp(path + n - 5, ".conf") == 0)
		out[strlen(out) - 5] = '\0';
	n = strlen(out);
	snprintf(out + n, size - n, ".key");
}

static bool says_insecure(const char *path)
{
	char text[16] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return strcmp(text, "insecure") == 0 || strcmp(text, "insecure\n") == 0;
}

static void find_key(const char *path, char *beside, size_t size, struct dconf_env *env)
{
	static const char system_key[] = SYSTEM_KEY;

	key_beside(path, beside, size);
	env->key_hint = beside;
	env->key = access(beside, F_OK) == 0 ? beside : access(system_key, F_OK) == 0 ? system_key : NULL;
	if (env->key && says_insecure(env->key)) {
		env->key = NULL;
		env->insecure = true;
	}
}

/* ---- the file ---- */

bool cfg_text_conntrackd(struct cfg_tree *t, const char *text, const char *name, const struct dconf_found *found,
			 struct dconf_proc *proc, struct cfg_errors *errs)
{
	struct dconf d;
	struct dconf_env env = { 0 };
	char beside[DCONF_TEXT_MAX * 2 + 8];
	bool ok = dconf_read(&d, text, name, errs);

	*proc = (struct dconf_proc){ 0 };
	if (ok) {
		struct dconf_iface *ifaces = list_ifaces(&env.n_ifaces);
		env.ifaces = ifaces;
		env.layer = strcmp(t->file, name) != 0;
		env.found = found ? found->peer : NULL;
		env.n_found = found ? found->n : 0;
		find_key(name, beside, sizeof(beside), &env);
		ok = dconf_map(&d, t, &env, proc, errs);
		free(ifaces);
	}
	dconf_free(&d);
	return ok;
}

static char *read_all(int fd, size_t *len)
{
	char *text = malloc(DCONF_FILE_MAX + 1);
	ssize_t n = 1;

	*len = 0;
	while (text && n > 0 && *len < DCONF_FILE_MAX) {
		n = read(fd, text + *len, DCONF_FILE_MAX - *len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			*len += (size_t)n;
	}
	if (!text || n < 0) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

bool cfg_read_conntrackd(struct cfg_tree *t, const char *path, const struct dconf_found *found, struct dconf_proc *proc,
			 struct cfg_errors *errs)
{
	struct stat st;
	size_t len = 0;
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*proc = (struct dconf_proc){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0) {
		cfg_errors_add(errs, CFG_ERROR, "%s: cannot be read: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		cfg_errors_add(errs, CFG_ERROR, "%s: is no regular file", path);
	} else if (!(text = read_all(fd, &len))) {
		cfg_errors_add(errs, CFG_ERROR, "%s: cannot be read: %s", path, strerror(errno));
	} else if (len == DCONF_FILE_MAX || strlen(text) != len) {
		cfg_errors_add(errs, CFG_ERROR, "%s: is no conntrackd.conf: %s", path,
			       len == DCONF_FILE_MAX ? "it is larger than 1 MiB" : "it has NUL bytes");
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		close(fd);
	bool ok = text && cfg_text_conntrackd(t, text, path, found, proc, errs);
	free(text);
	return ok;
}
