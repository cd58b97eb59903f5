#include "ike-hooks/sa_bridge.h"

#include <string.h>

static bool same(const struct xfrm_sa *a, const struct xfrm_sa *b)
{
	return a->spi == b->spi && a->proto == b->proto && addr_eq(&a->dst, &b->dst) && a->has_mark == b->has_mark &&
	       a->mark == b->mark && a->mark_mask == b->mark_mask;
}

static struct xfrm_sa name_of(const struct sa_copy *sa)
{
	return (struct xfrm_sa){ .src = sa->src,
				 .dst = sa->dst,
				 .spi = sa->spi,
				 .proto = sa->proto,
				 .mode = sa->mode,
				 .has_mark = sa->has_mark,
				 .mark = sa->mark,
				 .mark_mask = sa->mark_mask,
				 .reqid = sa->reqid,
				 .if_id = sa->if_id };
}

bool sa_bridge_add(struct sa_bridges *b, const struct sa_copy *sa, mono_t now)
{
	struct xfrm_sa name = name_of(sa);

	if (sa_bridge_holds(b, &name))
		return true;
	if (b->n == b->cap)
		return false;
	b->list[b->n++] = (struct sa_bridge){ .sa = name, .since = now, .carried = MONO_NEVER };
	b->count.installed++;
	return true;
}

bool sa_bridge_holds(const struct sa_bridges *b, const struct xfrm_sa *sa)
{
	for (uint16_t i = 0; b && i < b->n; i++)
		if (same(&b->list[i].sa, sa))
			return true;
	return false;
}

bool sa_bridge_is(const struct sa_bridges *b, const struct sa_copy *sa)
{
	struct xfrm_sa name = name_of(sa);

	return sa_bridge_holds(b, &name);
}

static bool listed_vip(const struct addr *vips, unsigned n, const struct addr *vip)
{
	for (unsigned i = 0; i < n; i++)
		if (addr_eq(&vips[i], vip))
			return true;
	return false;
}

static int cmp_pair(const struct sa_copy *sa, const struct addr *dst, const struct addr *src)
{
	int c = addr_cmp(&sa->dst, dst);

	return c ? c : addr_cmp(&sa->src, src);
}

/* The first SA between the same two addresses. */
static uint16_t first_of_pair(const struct sa_copy *listing, uint16_t n, const struct xfrm_sa *sa)
{
	uint16_t lo = 0, hi = n;

	while (lo < hi) {
		uint16_t mid = (uint16_t)((lo + hi) / 2);
		if (cmp_pair(&listing[mid], &sa->dst, &sa->src) < 0)
			lo = (uint16_t)(mid + 1);
		else
			hi = mid;
	}
	return lo;
}

static void judge(struct sa_bridges *b, struct sa_bridge *it, const struct sa_copy *listing, uint16_t n, mono_t now)
{
	bool there = false, carrying = false;

	for (uint16_t i = first_of_pair(listing, n, &it->sa);
	     i < n && cmp_pair(&listing[i], &it->sa.dst, &it->sa.src) == 0; i++) {
		struct xfrm_sa name = name_of(&listing[i]);
		there |= same(&name, &it->sa);
		carrying |= !listing[i].bridge && listing[i].packets > 0 && listing[i].if_id == it->sa.if_id;
	}
	if (carrying && mono_is_never(it->carried))
		it->carried = now;
	if (!there) {
		it->ends = true;
		b->count.gone++;
	} else if (!mono_is_never(it->carried) && mono_sub(now, it->carried) >= SA_AFTER_NS) {
		it->ends = true;
		b->count.carried++;
	} else if (mono_sub(now, it->since) >= SA_BRIDGE_NS) {
		it->ends = true;
		b->count.late++;
	}
}

unsigned sa_bridge_judge(struct sa_bridges *b, const struct sa_copy *listing, uint16_t n, const struct addr *vips,
			 unsigned n_vips, mono_t now)
{
	unsigned end = 0;

	for (uint16_t i = 0; i < b->n; i++) {
		struct sa_bridge *it = &b->list[i];
		if (!it->ends && listed_vip(vips, n_vips, &it->sa.dst))
			judge(b, it, listing, n, now);
		end += it->ends;
	}
	return end;
}

unsigned sa_bridge_end(struct sa_bridges *b, const struct addr *vip)
{
	unsigned end = 0;

	for (uint16_t i = 0; i < b->n; i++) {
		if (!addr_eq(&b->list[i].sa.dst, vip))
			continue;
		b->count.taken_back += !b->list[i].ends;
		b->list[i].ends = true;
		end++;
	}
	return end;
}

void sa_bridge_ended(struct sa_bridges *b)
{
	uint16_t k = 0;

	for (uint16_t i = 0; i < b->n; i++)
		if (!b->list[i].ends)
			b->list[k++] = b->list[i];
	b->n = k;
}
