#include "ike-hooks/ike_hist.h"

#include <stddef.h>

void ike_hist_add(struct ike_hist *h, const struct ike_hist_entry *e)
{
	h->e[h->n++ % IKE_HIST_MAX] = *e;
}

const struct ike_hist_entry *ike_hist_get(const struct ike_hist *h, unsigned i)
{
	if (i >= IKE_HIST_MAX || i >= h->n)
		return NULL;
	return &h->e[(h->n - 1 - i) % IKE_HIST_MAX];
}
