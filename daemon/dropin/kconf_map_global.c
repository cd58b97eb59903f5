/* What global_defs says about more than one instance. Defaults of instances are read with them (KH_DEFAULT). */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/dropin/kconf_map_int.h"

static bool names_interface(const struct kconf_stmt *group, const char *interface)
{
	for (const struct kconf_stmt *s = group->subs; s; s = s->next) {
		if (strcmp(s->words[0], "interface") == 0 && strcmp(kmap_arg(s, 1), interface) == 0)
			return true;
		if (strcmp(s->words[0], "interfaces") != 0)
			continue;
		for (const struct kconf_stmt *e = s->subs; e; e = e->next)
			for (unsigned i = 0; i < e->n_words; i++)
				if (strcmp(e->words[i], interface) == 0)
					return true;
	}
	return false;
}

void kmap_garp_group(struct kinst *i)
{
	const char *interface = cfg_rec_text(i->r, "interface");

	for (unsigned n = 0; interface && n < i->m->n_garp; n++) {
		const struct kconf_stmt *group = i->m->garp[n], *s;
		if (!names_interface(group, interface))
			continue;
		s = kconf_find(group->subs, "garp_interval");
		if (s)
			kmap_simple(i->m, i->r, kword_find(KIN_GARP, "garp_interval"), s);
		s = kconf_find(group->subs, "gna_interval");
		if (s)
			kmap_simple(i->m, i->r, kword_find(KIN_GARP, "gna_interval"), s);
	}
}

void kmap_own(struct kinst *i)
{
	if (i->own)
		return;
	i->own = kmap_push(i->m, i->m->node, "instances", i->s);
	kmap_text(i->m, i->own, "name", i->s, i->name);
}

void kmap_process_word(struct kmap *m, const struct kconf_stmt *s)
{
	if (strcmp(s->words[0], "net_namespace") == 0)
		kmap_text(m, m->node, "namespace", s, kmap_arg(s, 1));
	else if (strcmp(s->words[0], "instance") == 0)
		kmap_text(m, kmap_block(m, m->node, "keepalived", s), "instance", s, kmap_arg(s, 1));
	else if (strcmp(s->words[0], "use_pid_dir") == 0)
		kmap_num(m, kmap_block(m, m->node, "keepalived", s), "use_pid_dir", s, 1);
}

/* Bits by name, IRUSR|IWGRP, or a number in C's notation. */
static bool umask_of(const char *text, unsigned long *mask)
{
	static const struct {
		const char *name;
		unsigned bit;
	} bits[] = { { "IRUSR", 0400 }, { "IWUSR", 0200 }, { "IXUSR", 0100 }, { "IRGRP", 040 }, { "IWGRP", 020 },
		     { "IXGRP", 010 },  { "IROTH", 04 },   { "IWOTH", 02 },   { "IXOTH", 01 } };
	char *end;

	*mask = strtoul(text, &end, 0);
	if (*text && !*end)
		return *mask <= 0777;
	*mask = 0;
	while (*text) {
		size_t n = strcspn(text, "|"), i;
		for (i = 0; i < 9 && (strlen(bits[i].name) != n || strncmp(bits[i].name, text, n) != 0);)
			i++;
		if (i == 9)
			return false;
		*mask |= bits[i].bit;
		text += n + (text[n] == '|');
	}
	return true;
}

/* Where and how the files of the signals are written. */
static void dump_files(struct kmap *m)
{
	static const char *const files[][3] = { { "state_dump_file", "state_file_location", "data_file" },
						{ "stats_dump_file", "stats_file_location", "stats_file" },
						{ "json_dump_file", "json_file_location", "json_file" } };
	const struct kconf_stmt *s;
	unsigned long mask;
	uint64_t n;
	bool on;

	for (unsigned i = 0; i < 3; i++) {
		s = kmap_global(m, files[i][0]) ? kmap_global(m, files[i][0]) : kmap_global(m, files[i][1]);
		if (s)
			kmap_text(m, kmap_block(m, m->node, "keepalived", s), files[i][2], s, kmap_arg(s, 1));
	}
	s = kmap_global(m, "json_version");
	if (s && kmap_uint(m, s, 1, 1, 2, &n))
		kmap_num(m, kmap_block(m, m->node, "keepalived", s), "json_version", s, (int64_t)n);
	s = kmap_global(m, "data_use_instance");
	if (s && kmap_bool(m, s, &on))
		kmap_num(m, kmap_block(m, m->node, "keepalived", s), "data_use_instance", s, on);
	s = kmap_global(m, "umask");
	if (s && umask_of(kmap_arg(s, 1), &mask))
		kmap_num(m, kmap_block(m, m->node, "keepalived", s), "umask", s, (int64_t)mask);
	else if (s)
		KMAP_WARN(m, s, "umask '%.60s' is ignored; it must be a number up to 0777, or names like IWGRP|IWOTH",
			  kmap_arg(s, 1));
}

void kmap_globals(struct kmap *m)
{
	const struct kconf_stmt *s = kmap_global(m, "vrrp_startup_delay");
	int64_t t;

	dump_files(m);

	if (s && kmap_timer(m, s, 1, 0, 1000, &t))
		kmap_num(m, m->vrrp, "startup_delay", s, t);
	kmap_notify_globals(m);
}
