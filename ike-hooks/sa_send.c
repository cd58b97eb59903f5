#include "ike-hooks/sa_send.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"

struct sa_copy *sa_send_room(struct sa_send *s)
{
	return s->copies[!s->now];
}

static void wipe(struct sa_copy *list, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		sa_wipe(&list[i]);
}

void sa_send_take(struct sa_send *s, uint16_t n)
{
	const struct sa_copy *old = s->copies[s->now];
	struct sa_copy *fresh = s->copies[!s->now];
	const struct sa_sent *had = s->sent[s->now];
	struct sa_sent *has = s->sent[!s->now];
	uint16_t k = 0;

	require(n <= s->cap);
	s->count.listings++;
	for (uint16_t i = 0; i < n; i++) {
		while (k < s->n && sa_cmp(&old[k], &fresh[i]) < 0) {
			s->count.ended++;
			k++;
		}
		bool same = k < s->n && sa_cmp(&old[k], &fresh[i]) == 0;
		if (same && old[k].fingerprint == fresh[i].fingerprint) {
			has[i] = had[k];
		} else {
			has[i] = (struct sa_sent){ .id = ++s->last_id };
			s->count.begun++;
		}
		k = (uint16_t)(k + same);
		fresh[i].id = has[i].id;
	}
	s->count.ended += (uint64_t)(s->n - k);
	wipe(s->copies[s->now], s->n);
	s->now = !s->now;
	s->n = n;
}

void sa_send_clear(struct sa_send *s)
{
	wipe(s->copies[s->now], s->n);
	s->count.ended += s->n;
	s->n = 0;
}

void sa_send_forget(struct sa_send *s, unsigned peer)
{
	for (uint16_t i = 0; i < s->n; i++)
		s->sent[s->now][i].have &= (uint8_t) ~(1u << peer);
}

void sa_send_wanted(struct sa_send *s, unsigned peer, const struct sa_want *want)
{
	for (uint16_t i = 0; i < s->n; i++)
		for (unsigned k = 0; k < want->n; k++)
			if (s->sent[s->now][i].id == want->ids[k])
				s->sent[s->now][i].have &= (uint8_t) ~(1u << peer);
}

/* What ends within the margin is not worth a message. */
static bool lacks(const struct sa_send *s, unsigned peer, uint16_t i)
{
	return !(s->sent[s->now][i].have & 1u << peer) && s->copies[s->now][i].left_s > SA_MARGIN_S;
}

unsigned sa_send_copies(struct sa_send *s, unsigned peer, struct wire_wr *w)
{
	unsigned n = 0;

	for (s->batch = 0; s->batch < s->n; s->batch++) {
		if (!lacks(s, peer, s->batch))
			continue;
		if (!sa_put_copy(w, &s->copies[s->now][s->batch]))
			break;
		n++;
	}
	return n;
}

void sa_send_sent(struct sa_send *s, unsigned peer)
{
	for (uint16_t i = 0; i < s->batch; i++) {
		s->count.sent += lacks(s, peer, i);
		s->sent[s->now][i].have |= (uint8_t)(1u << peer);
	}
	s->batch = 0;
}

bool sa_send_lacks(const struct sa_send *s, unsigned peer)
{
	for (uint16_t i = 0; i < s->n; i++)
		if (lacks(s, peer, i))
			return true;
	return false;
}

static int by_id(const void *a, const void *b)
{
	const struct sa_top *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

bool sa_send_list(struct sa_send *s, const struct addr *vip, unsigned at, struct sa_list *out)
{
	unsigned n = 0, begin = at * SA_LIST_TOPS;

	for (uint16_t i = 0; i < s->n; i++) {
		const struct sa_copy *sa = &s->copies[s->now][i];
		if (addr_eq(&sa->dst, vip) && sa->left_s > SA_MARGIN_S)
			s->tops[n++] = (struct sa_top){ .id = sa->id, .top = sa->top };
	}
	if (begin > 0 && begin >= n)
		return false;
	qsort(s->tops, n, sizeof(*s->tops), by_id);
	memset(out, 0, sizeof(*out));
	out->vip = *vip;
	unsigned left = n - begin;
	out->n = (uint16_t)(left < SA_LIST_TOPS ? left : SA_LIST_TOPS);
	memcpy(out->tops, s->tops + begin, out->n * sizeof(*out->tops));
	/* Together they cover all numbers, so that a copy that nobody names is known to be gone. */
	out->first = begin ? s->tops[begin - 1].id + 1 : 0;
	out->last = left > SA_LIST_TOPS ? out->tops[out->n - 1].id : UINT32_MAX;
	s->count.lists++;
	return true;
}
