/* What an engine leaves to its heir. */
#include "daemon/dropin/legacy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/guardian.h"

#define MAGIC   UINT64_C(0x4b544c4547414301) /* "KTLEGAC", version 1 */
#define FIXED   3 /* in the text: area, rendezvous, successor; then listeners, then guardians */
#define FDS_MAX (FIXED + SYNC_LINKS_MAX + LEGACY_GUARDIANS)
#define SEALS   (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void legacy_init(struct legacy *l)
{
	*l = (struct legacy){ .area = -1, .rendezvous = -1, .successor = -1 };
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		l->listener[i] = -1;
}

void legacy_close(struct legacy *l)
{
	shut(&l->area);
	shut(&l->rendezvous);
	shut(&l->successor);
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		shut(&l->listener[i]);
	for (unsigned i = 0; i < l->n_guardians; i++)
		shut(&l->guardian[i]);
	l->n_guardians = 0;
}

/* One more than there is room for: the oldest acts, as it would without an heir. */
static void add_guardian(struct legacy *l, int fd)
{
	if (l->n_guardians == LEGACY_GUARDIANS) {
		close(l->guardian[0]);
		memmove(l->guardian, l->guardian + 1, (LEGACY_GUARDIANS - 1) * sizeof(l->guardian[0]));
		l->n_guardians--;
	}
	l->guardian[l->n_guardians++] = fd;
}

static void move(int *to, int *from)
{
	if (*to < 0) {
		*to = *from;
		*from = -1;
	}
	shut(from);
}

void legacy_merge(struct legacy *to, struct legacy *from)
{
	struct legacy own = *to;

	move(&to->area, &from->area);
	move(&to->rendezvous, &from->rendezvous);
	shut(&from->successor);
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		move(&to->listener[i], &from->listener[i]);
	to->n_guardians = 0;
	for (unsigned i = 0; i < from->n_guardians; i++) /* the older ones first */
		add_guardian(to, from->guardian[i]);
	for (unsigned i = 0; i < own.n_guardians; i++)
		add_guardian(to, own.guardian[i]);
	from->n_guardians = 0;
}

void legacy_replace(struct legacy *old, struct legacy *now)
{
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		move(&now->listener[i], &old->listener[i]);
	legacy_close(old);
}

void legacy_release_guardians(struct legacy *l)
{
	for (unsigned i = 0; i < l->n_guardians; i++)
		guardian_release(l->guardian[i]);
	l->n_guardians = 0;
}

bool legacy_serves(const struct legacy *l)
{
	struct legacy_area *a = l->area >= 0 && l->rendezvous >= 0 ? legacy_area_map(l->area) : NULL;
	bool yes = a && atomic_load(&a->state) == LEGACY_SERVES && a->n_groups;

	legacy_area_unmap(a);
	return yes;
}

static void replace(int *old, int fd)
{
	shut(old);
	*old = fd;
}

void legacy_take(struct legacy *l, const char *word, const int *fd, unsigned n)
{
	unsigned used = 0;

	if (strcmp(word, "listeners") == 0) {
		for (; used < SYNC_LINKS_MAX; used++)
			replace(&l->listener[used], used < n ? fd[used] : -1);
	} else if (n && strcmp(word, "area") == 0) {
		replace(&l->area, fd[used++]);
	} else if (n && strcmp(word, "rendezvous") == 0) {
		replace(&l->rendezvous, fd[used++]);
	} else if (n && strcmp(word, "guardian") == 0) {
		add_guardian(l, fd[used++]);
	}
	for (; used < n; used++)
		close(fd[used]);
}

/* ---- the area ---- */

static size_t size_of(uint32_t n_groups)
{
	return sizeof(struct legacy_area) + n_groups * sizeof(struct legacy_group);
}

struct legacy_area *legacy_area_new(uint32_t n_groups, int *fd)
{
	size_t size = size_of(n_groups);
	void *p = MAP_FAILED;

	*fd = memfd_create("keeptrackd-legacy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd >= 0 && ftruncate(*fd, (off_t)size) == 0 && fcntl(*fd, F_ADD_SEALS, SEALS) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED) {
		int err = errno;
		shut(fd);
		errno = err;
		return NULL;
	}
	struct legacy_area *a = p;
	a->magic = MAGIC;
	a->size = (uint32_t)size;
	a->n_groups = n_groups;
	return a;
}

static bool text_ok(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool whole(const struct legacy_area *a, size_t size)
{
	if (size < sizeof(*a) || a->magic != MAGIC || a->size != size || size != size_of(a->n_groups) ||
	    a->n_groups > CFG_GROUPS_MAX || a->found.n > SYNC_NODES_MAX - 1)
		return false;
	for (uint32_t g = 0; g < a->n_groups; g++)
		if (!text_ok(a->group[g].name, sizeof(a->group[g].name)))
			return false;
	return text_ok(a->config, sizeof(a->config)) && text_ok(a->config_id, sizeof(a->config_id)) &&
	       text_ok(a->namespace, sizeof(a->namespace)) && text_ok(a->place, sizeof(a->place)) &&
	       text_ok(a->run_dir, sizeof(a->run_dir)) && a->config[0] == '/';
}

struct legacy_area *legacy_area_map(int fd)
{
	struct stat st;

	/* Sealed: it cannot become shorter than what is mapped. */
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct legacy_area) ||
	    fcntl(fd, F_GET_SEALS) != SEALS)
		return NULL;
	size_t size = (size_t)st.st_size;
	struct legacy_area *a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (a == MAP_FAILED)
		return NULL;
	if (atomic_load(&a->state) != LEGACY_INCOMPLETE && whole(a, size))
		return a;
	munmap(a, size);
	return NULL;
}

void legacy_area_unmap(struct legacy_area *a)
{
	if (a)
		munmap(a, a->size);
}

struct legacy_group *legacy_area_group(struct legacy_area *a, const char *name, uint32_t near)
{
	for (uint32_t k = 0; k < a->n_groups; k++) {
		struct legacy_group *g = &a->group[(near + k) % a->n_groups];
		if (strcmp(g->name, name) == 0)
			return g;
	}
	return NULL;
}

/* ---- over exec ---- */

static void each(const struct legacy *l, int out[FDS_MAX], unsigned *n)
{
	*n = 0;
	out[(*n)++] = l->area;
	out[(*n)++] = l->rendezvous;
	out[(*n)++] = l->successor;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		out[(*n)++] = l->listener[i];
	for (unsigned i = 0; i < l->n_guardians; i++)
		out[(*n)++] = l->guardian[i];
}

size_t legacy_print(const struct legacy *l, char *out, size_t cap)
{
	int fd[FDS_MAX];
	unsigned n;
	size_t len = 0;

	out[0] = '\0';
	each(l, fd, &n);
	for (unsigned i = 0; i < n && len < cap; i++) {
		if (fd[i] >= 0)
			fcntl(fd[i], F_SETFD, 0);
		len += (size_t)snprintf(out + len, cap - len, "%s%d", i ? "," : "", fd[i]);
	}
	return len;
}

bool legacy_parse(struct legacy *l, const char *text)
{
	legacy_init(l);
	for (unsigned i = 0; *text; i++) {
		char *end;
		long fd = strtol(text, &end, 10);
		if (end == text || (*end && *end != ',') || fd < -1 || fd > INT32_MAX)
			return false;
		text = *end ? end + 1 : end;
		if (fd >= 0 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			fd = -1;
		if (i == 0)
			l->area = (int)fd;
		else if (i == 1)
			l->rendezvous = (int)fd;
		else if (i == 2)
			l->successor = (int)fd;
		else if (i < FIXED + SYNC_LINKS_MAX)
			l->listener[i - FIXED] = (int)fd;
		else if (fd >= 0)
			add_guardian(l, (int)fd);
	}
	return true;
}
