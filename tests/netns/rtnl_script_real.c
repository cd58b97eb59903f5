/*
 * The address script against the real kernel, in a network namespace of its own. The model is fed by rtnl_io's events
 * alone (its first dump sees an empty namespace); a fresh dump after each step tells when all events must have come.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "daemon/route_list.h"
#include "daemon/rtnl_io.h"
#include "tests/netns/rtnl_util.h"
#include "tests/sim/rtnl_script.h"

struct real {
	struct loop *loop;
	struct netstate now; /* what a dump says */
	unsigned late;
};

/* A message of ours; for somebody else's route the protocol in it is another one. */
static int request_route(const struct script_step *s, const struct netstate *ns, bool add)
{
	uint8_t msg[RTNL_MSG_MAX];
	struct rtnl_route r;
	if (!script_route(s, ns, &r))
		return -EINVAL;
	size_t len =
	    add ? rtnl_route_create(msg, sizeof(msg), &r, 1, true) : rtnl_route_del(msg, sizeof(msg), &r, 1, true);
	msg[NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)] = r.proto;
	return rtnl_util_request(msg, len);
}

static int request_rule(const struct script_step *s, bool add)
{
	uint8_t msg[RTNL_MSG_MAX];
	struct rtnl_rule l;
	if (!script_rule(s, &l))
		return -EINVAL;
	return rtnl_util_request(msg, add ? rtnl_rule_create(msg, sizeof(msg), &l.r, 1, true)
					  : rtnl_rule_del(msg, sizeof(msg), &l.r, 1, true));
}

static int run_step(void *arg, const struct netstate *model, const struct script_step *s, int index,
		    const struct net_addr *parsed)
{
	struct net_addr a = *parsed;
	(void)arg;
	a.ifindex = index;
	switch (s->kind) {
	case STEP_PAIR:
		return rtnl_util_pair(s->link, s->arg);
	case STEP_LINK_DEL:
		return rtnl_util_link_del(s->link);
	case STEP_UP:
	case STEP_DOWN:
		return rtnl_util_link_up(s->link, s->kind == STEP_UP);
	case STEP_RENAME:
		return rtnl_util_rename(s->link, s->arg);
	case STEP_ADD:
	case STEP_DEL: {
		struct net_op op = { .kind = s->kind == STEP_ADD ? NET_OP_ADD : NET_OP_DEL,
				     .ifindex = index,
				     .addr = a.addr,
				     .plen = a.plen };
		uint8_t msg[RTNL_MSG_MAX];
		size_t len = rtnl_wire_addr(msg, sizeof(msg), &op, 1, true, true);
		return rtnl_util_request(msg, len);
	}
	case STEP_FOREIGN:
		return rtnl_util_addr_add(&a, NLM_F_EXCL);
	case STEP_REPLACE:
		return rtnl_util_addr_add(&a, NLM_F_REPLACE);
	case STEP_ROUTE_ADD:
	case STEP_ROUTE_FOREIGN:
	case STEP_ROUTE_DEL:
	case STEP_ROUTE_FOREIGN_DEL:
		return request_route(s, model, s->kind == STEP_ROUTE_ADD || s->kind == STEP_ROUTE_FOREIGN);
	case STEP_RULE_ADD:
	case STEP_RULE_DEL:
		return request_rule(s, s->kind == STEP_RULE_ADD);
	}
	return -EINVAL;
}

static void take_list(struct netstate *ns)
{
	struct route_list l = { 0 };
	netstate_routes_begin(ns);
	if (route_list_take(&l) == 0) {
		route_list_tell(&l, ns);
		netstate_routes_end(ns);
	}
	route_list_free(&l);
}

/* Carrier events come from a work queue of the kernel: wait for the model to agree with a dump. */
static void feed(void *arg, struct netstate *ns)
{
	struct real *r = arg;
	char model[1024], truth[1024];
	mono_t deadline = mono_add(clock_mono(), 3 * NS_PER_SEC);
	do {
		loop_once(r->loop, 5 * NS_PER_MS);
		rtnl_util_dump(&r->now);
		take_list(&r->now);
		if (netstate_routes_wanted(ns))
			take_list(ns);
		script_model(ns, model, sizeof(model));
		script_model(&r->now, truth, sizeof(truth));
		if (ns->synced && strcmp(model, truth) == 0)
			return;
	} while (mono_before(clock_mono(), deadline));
	r->late++;
	fprintf(stderr, "events did not bring the model to what the kernel holds: '%s', not '%s'\n", model, truth);
}

static void on_burst(void *arg)
{
	(void)arg;
}

int main(void)
{
	struct netstate ns;
	struct real r = { .late = 0 };
	rtnl_util_enter();
	r.loop = loop_new("script");
	if (!r.loop || netstate_init(&ns, rtnl_io_marks_supported()) || netstate_init(&r.now, true))
		return 1;
	struct rtnl_io *io = rtnl_io_new(r.loop, &ns, on_burst, NULL);
	if (!io) {
		perror("rtnl_io_new");
		return 1;
	}
	script_declare(&r.now);
	feed(&r, &ns);
	struct script_backend b = { .arg = &r, .run = run_step, .feed = feed };
	unsigned wrong = script_run(&b, &ns) + r.late;
	if (rtnl_io_stats(io)->dumps != 1 || rtnl_io_stats(io)->overruns) {
		fprintf(stderr, "the model was to live on events alone\n");
		wrong++;
	}
	printf("%u steps, %u differ\n", script_len, wrong);
	rtnl_io_free(io);
	netstate_free(&ns);
	netstate_free(&r.now);
	loop_free(r.loop);
	return wrong ? 1 : 0;
}
