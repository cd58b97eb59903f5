/* What global_defs says about more than one instance. Defaults of instances are read with them (KH_DEFAULT). */
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/kconf_map_int.h"

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

void kmap_globals(struct kmap *m)
{
	const struct kconf_stmt *s = kmap_global(m, "vrrp_startup_delay");
	int64_t t;

	if (s && kmap_timer(m, s, 1, 0, 1000, &t))
		kmap_num(m, m->vrrp, "startup_delay", s, t);
	kmap_notify_globals(m);
}
