/*
 * Would the policies of this node let packets of the copies through? Asked while there is time to mend it: at a takeover
 * the packets would be read and dropped, and nothing would say why.
 */
#include "daemon/app_sa_int.h"

#include <errno.h>
#include <stdlib.h>
#include "daemon/app_ipsec.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define POLICIES_NS  (30 * NS_PER_SEC)
#define MENDED_NS    (5 * NS_PER_SEC) /* somebody is mending them, and wants to see it */
#define POLICIES_MAX 16384

struct question {
	uint32_t node, id;
	struct xfrm_sa sa; /* no keys */
	enum sa_policy answer;
};

struct policy_job {
	struct app_sa *s;
	struct question *list;
	unsigned n;
};

static int policies_run(void *ctx)
{
	struct policy_job *j = ctx;
	unsigned n = 0;
	struct xfrm_ask *asks = calloc(POLICIES_MAX, sizeof(*asks));
	if (!asks)
		return -ENOMEM;
	int rc = sa_policies(asks, POLICIES_MAX, &n, j->s->room);
	for (unsigned i = 0; rc == 0 && i < j->n; i++)
		j->list[i].answer = sa_policy_judge(asks, n, &j->list[i].sa);
	free(asks);
	return rc;
}

static void policies_done(struct kt_job *job)
{
	struct policy_job *j = job->call.ctx;
	struct app_sa *s = j->s;
	const char *advice = NULL;
	s->asking = false;
	s->unfit = 0;
	for (unsigned i = 0; job->result == 0 && i < j->n; i++) {
		const struct question *q = &j->list[i];
		sa_store_policy(&s->store, q->node, q->id, (uint8_t)q->answer);
		const char *one = sa_policy_advice(q->answer);
		s->unfit += one != NULL;
		advice = one ? one : advice;
	}
	if (s->unfit != s->unfit_told && s->app->vici)
		app_ipsec_gather(s->app); /* its findings name tunnel and remedy */
	else if (advice && s->unfit != s->unfit_told)
		log_warn(LOG_IKE, "%u of %u copied SAs would be of no use: %s", s->unfit, j->n, advice);
	s->unfit_told = s->unfit;
	if (s->unfit)
		s->next_policies = mono_add(clock_mono(), MENDED_NS);
	free(j->list);
	free(j);
}

enum sa_policy app_sa_policy(const struct app *a, const struct addr *vip, const struct addr *peer)
{
	const struct app_sa *s = a->sa;
	enum sa_policy worst = SA_POLICY_UNKNOWN;

	for (uint16_t i = 0; s && i < s->store.n; i++) {
		const struct sa_held *h = sa_store_at(&s->store, i);
		bool of_peer = !addr_len(peer->af) || addr_eq(&h->sa.src, peer);
		if (of_peer && addr_eq(&h->sa.dst, vip) && h->policy > worst)
			worst = (enum sa_policy)h->policy;
	}
	return worst;
}

void sa_policies_check(struct app_sa *s, mono_t now)
{
	if (s->asking || !s->store.n || !mono_due(s->next_policies, now))
		return;
	struct policy_job *j = calloc(1, sizeof(*j));
	struct question *list = calloc(s->store.n, sizeof(*list));
	struct kt_job *job = j && list ? kt_job_new(KT_CALL, KT_LATER, policies_done, s->app) : NULL;
	s->next_policies = mono_add(now, POLICIES_NS);
	if (job) {
		for (uint16_t i = 0; i < s->store.n; i++) {
			const struct sa_held *h = sa_store_at(&s->store, i);
			list[i] = (struct question){ .node = h->node,
						     .id = h->sa.id,
						     .sa = { .src = h->sa.src,
							     .dst = h->sa.dst,
							     .spi = h->sa.spi,
							     .reqid = h->sa.reqid,
							     .if_id = h->sa.if_id } };
		}
		*j = (struct policy_job){ .s = s, .list = list, .n = s->store.n };
		job->call.fn = policies_run;
		job->call.ctx = j;
		s->asking = true;
		if (kernel_thread_submit(s->app->kt, job) == 0)
			return;
		s->asking = false;
		kt_job_free(job);
	}
	free(list);
	free(j);
}
