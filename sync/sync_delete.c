/*
 * Single entries of the kernel's table by exact tuple: IKE and ESP of a virtual address after a role change. The core
 * takes a few at a time; what waits here has an instant after which it is left alone.
 */
#include <errno.h>
#include <stdlib.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/sync_run.h"

enum { DELETES_MAX = 65536 };

void delete_result(struct sync_run *r, int result)
{
	static struct log_rate rate;
	unsigned held;
	if (result == 0) {
		r->t->ct_deleted++;
	} else if (result == -ENOENT) {
		r->t->ct_absent++;
	} else {
		r->t->ct_failed++;
		if (log_rate_ok(&rate, 1, &held))
			log_warn(LOG_SYNC, "a conntrack entry of IKE or ESP is not deleted: %s (%u more not told)",
				 err_text(result), held);
	}
}

/* Without replication there is no core: straight into the kernel. */
static void delete_now(struct sync_run *r, const struct ct_tuple *tuple, uint32_t n)
{
	struct ct_op op[CT_IO_BATCH] = { 0 };
	int result[CT_IO_BATCH];
	for (uint32_t i = 0; i < n; i++) {
		op[i] = (struct ct_op){ .type = CT_OP_DELETE };
		op[i].e.orig = tuple[i];
	}
	r->injecting = true;
	(void)ct_io_inject(r->ct, op, n, result);
	r->injecting = false;
	r->st.inject_calls++;
	r->st.injected += n;
	for (uint32_t i = 0; i < n; i++)
		delete_result(r, result[i]);
}

static void drop_first(struct sync_run *r)
{
	struct sync_ct_list *l = r->deletes;
	r->deletes = l->next;
	if (!r->deletes)
		r->deletes_last = NULL;
	r->n_deletes -= l->n - l->done;
	free(l);
}

/* The next of the first list. False: the core has no room. */
static bool delete_next(struct sync_run *r, struct sync_ct_list *l)
{
	uint32_t n = 1;
	if (!r->core) {
		n = l->n - l->done < CT_IO_BATCH ? l->n - l->done : CT_IO_BATCH;
		delete_now(r, l->tuple + l->done, n);
	} else if (sync_delete_ct(r->core, &l->tuple[l->done], clock_mono()) != 0) {
		return false;
	}
	l->done += n;
	r->n_deletes -= n;
	return true;
}

bool delete_pump(struct sync_run *r)
{
	while (r->deletes) {
		struct sync_ct_list *l = r->deletes;
		if (l->done == l->n) {
			drop_first(r);
		} else if (mono_due(l->until, clock_mono())) {
			r->t->ct_late += l->n - l->done;
			drop_first(r);
		} else if (!delete_next(r, l)) {
			return true;
		}
	}
	return false;
}

void delete_begin(struct sync_run *r, const struct ct_tuple *tuple, struct sync_ct_list *list)
{
	if (!list) {
		list = calloc(1, sizeof(*list) + sizeof(*tuple));
		if (!list) {
			r->t->ct_failed++;
			return;
		}
		list->until = MONO_NEVER;
		list->n = 1;
		list->tuple[0] = *tuple;
	}
	if (list->n > DELETES_MAX - r->n_deletes) {
		r->t->ct_failed += list->n;
		log_warn(LOG_SYNC, "%u conntrack entries of IKE and ESP are not deleted: too many wait", list->n);
		free(list);
		return;
	}
	list->next = NULL;
	*(r->deletes ? &r->deletes_last->next : &r->deletes) = list;
	r->deletes_last = list;
	r->n_deletes += list->n;
	delete_pump(r);
	drive_kick(r);
}

void delete_free(struct sync_run *r)
{
	while (r->deletes)
		drop_first(r);
}
