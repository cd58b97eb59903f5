/* The tunnel machine: every state with every event. */
#include "tests/unit/ike_util.h"
#include "tests/unit/run.h"

enum ev_id {
	X_PURGE,
	X_PURGE_OLD,
	X_INITIATE,
	X_INITIATE_OLD,
	X_INITIATE_SAME,
	X_BACKEND_UP,
	X_BACKEND_DOWN,
	X_REPLY_OK,
	X_REPLY_BAD,
	X_REPLY_LATE,
	X_SWEPT,
	X_SWEPT_LATE,
	X_CHILD_UP,
	X_CHILD_DOWN,
	X_IKE_UP,
	X_IKE_DOWN,
	X_REKEY,
	X_LIST_CHILD,
	X_LIST_NONE,
	X_TICK,
	X_GRANT,
	X_RESET,
	X_RESET_FORCED,
	X_MOVED,
	X_VERIFY,
	X_CLOSE,
	X_MAKE,
	X_STALE,
	X_KIND_N,
	X_N
};

/* The starting points: the states, and PURGING and ABSENT in each of their meanings. */
enum start_id {
	S_ABSENT,
	S_ABSENT_ACTIVE,
	S_ABSENT_SWEEPING,
	S_IDLE,
	S_PURGING_ROLE,
	S_PURGING_SWEEP,
	S_PURGING_ACTIVE,
	S_CHECKING,
	S_INITIATING,
	S_UP,
	S_UP_LISTING,
	S_FAILED,
	S_WAITING,
	S_QUEUED,
	S_CLOSING,
	S_N
};

static void start(enum start_id s)
{
	switch (s) {
	case S_ABSENT:
		fresh();
		return;
	case S_ABSENT_ACTIVE:
		fresh();
		STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
		return;
	case S_ABSENT_SWEEPING:
		fresh();
		STEP(.kind = IKE_EV_PURGE, .epoch = E(6));
		return;
	case S_IDLE:
		to_idle();
		return;
	case S_PURGING_ROLE:
	case S_PURGING_SWEEP:
		to_up();
		STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
		EXPECT(IKE_PURGING, "DhT");
		if (s == S_PURGING_SWEEP)
			reply(IKE_REQ_TERMINATE, true);
		return;
	case S_PURGING_ACTIVE:
	case S_FAILED:
		to_initiating();
		tick();
		EXPECT(IKE_FAILED, "");
		if (s == S_PURGING_ACTIVE)
			tick();
		return;
	case S_CHECKING:
		to_up();
		STEP(.kind = IKE_EV_BACKEND_DOWN);
		STEP(.kind = IKE_EV_BACKEND_UP);
		return;
	case S_INITIATING:
		to_initiating();
		return;
	case S_UP:
	case S_UP_LISTING:
		to_up();
		if (s == S_UP_LISTING)
			tick();
		return;
	case S_WAITING:
		to_idle();
		t.conf.initiate = false;
		STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
		return;
	case S_QUEUED:
		to_queued();
		return;
	case S_CLOSING:
		to_closing();
		return;
	case S_N:
		break;
	}
}

static void apply(enum ev_id e)
{
	switch (e) {
	case X_PURGE:
		STEP(.kind = IKE_EV_PURGE, .epoch = E(10));
		return;
	case X_PURGE_OLD:
		t.epoch = E(6);
		STEP(.kind = IKE_EV_PURGE, .epoch = E(5));
		return;
	case X_INITIATE:
		STEP(.kind = IKE_EV_INITIATE, .epoch = E(10));
		return;
	case X_INITIATE_OLD:
		t.epoch = E(6);
		STEP(.kind = IKE_EV_INITIATE, .epoch = E(5));
		return;
	case X_INITIATE_SAME:
		STEP(.kind = IKE_EV_INITIATE, .epoch = t.epoch);
		return;
	case X_BACKEND_UP:
		STEP(.kind = IKE_EV_BACKEND_UP);
		return;
	case X_BACKEND_DOWN:
		STEP(.kind = IKE_EV_BACKEND_DOWN);
		return;
	case X_REPLY_OK:
	case X_REPLY_BAD:
		reply(t.req, e == X_REPLY_OK);
		return;
	case X_REPLY_LATE:
		STEP(.kind = IKE_EV_REPLY, .req = IKE_REQ_TERMINATE, .seq = t.req_seq - 1, .epoch = t.epoch,
		     .ok = true);
		return;
	case X_SWEPT:
		swept(true);
		return;
	case X_SWEPT_LATE:
		STEP(.kind = IKE_EV_SWEPT, .seq = t.sweep_seq, .epoch = E(1), .ok = true);
		return;
	case X_CHILD_UP:
		child(true, 70);
		return;
	case X_CHILD_DOWN:
		child(false, t.sa_id);
		return;
	case X_IKE_UP:
		STEP(.kind = IKE_EV_IKE_UPDOWN, .up = true);
		return;
	case X_IKE_DOWN:
		STEP(.kind = IKE_EV_IKE_UPDOWN);
		return;
	case X_REKEY:
		STEP(.kind = IKE_EV_CHILD_REKEY, .sa_id = 71);
		return;
	case X_LIST_CHILD:
		listed(true, 7, 1, 1);
		return;
	case X_LIST_NONE:
		listed(false, 0, 0, 0);
		return;
	case X_TICK:
		if (mono_is_never(ike_deadline(&t)))
			STEP(.kind = IKE_EV_TICK);
		else
			tick();
		return;
	case X_GRANT:
		STEP(.kind = IKE_EV_GRANT);
		return;
	case X_RESET:
	case X_RESET_FORCED:
		RESET(.force = e == X_RESET_FORCED);
		return;
	case X_MOVED:
		STEP(.kind = IKE_EV_MOVED);
		return;
	case X_VERIFY:
		STEP(.kind = IKE_EV_VERIFY);
		return;
	case X_CLOSE:
		CLOSE(IKE_CLOSE_NOW_NS);
		return;
	case X_MAKE:
		STEP(.kind = IKE_EV_MAKE, .epoch = E(10));
		return;
	case X_STALE:
		STEP(.kind = IKE_EV_STALE_PEER, .spi = 0xc0ffee01);
		return;
	case X_KIND_N:
		STEP(.kind = IKE_EV_N);
		return;
	case X_N:
		break;
	}
}

/* What happens, as "state actions". A pair that is not listed changes no state and tells the shell nothing. */
static const struct {
	enum start_id start;
	enum ev_id ev;
	const char *want;
} effect[] = {
	{ S_ABSENT, X_PURGE, "absent S" },
	{ S_ABSENT, X_BACKEND_UP, "purging T" },
	{ S_ABSENT, X_CLOSE, "absent c" },
	{ S_ABSENT, X_MAKE, "absent m" },
	{ S_ABSENT_ACTIVE, X_PURGE, "absent S" },
	{ S_ABSENT_ACTIVE, X_BACKEND_UP, "checking L" },
	{ S_ABSENT_ACTIVE, X_CLOSE, "absent c" },
	{ S_ABSENT_ACTIVE, X_MAKE, "absent m" },
	{ S_ABSENT_SWEEPING, X_PURGE, "absent S" },
	{ S_ABSENT_SWEEPING, X_BACKEND_UP, "purging T" },
	{ S_ABSENT_SWEEPING, X_SWEPT, "absent P" },
	{ S_ABSENT_SWEEPING, X_TICK, "absent P" },
	{ S_ABSENT_SWEEPING, X_CLOSE, "absent c" },
	{ S_ABSENT_SWEEPING, X_MAKE, "absent m" },
	{ S_IDLE, X_PURGE, "purging T" },
	{ S_IDLE, X_INITIATE, "initiating I" },
	{ S_IDLE, X_INITIATE_SAME, "initiating I" },
	{ S_IDLE, X_BACKEND_DOWN, "absent " },
	{ S_IDLE, X_RESET_FORCED, "purging T" },
	{ S_IDLE, X_CLOSE, "idle c" },
	{ S_IDLE, X_MAKE, "idle m" },
	{ S_PURGING_ROLE, X_PURGE, "purging T" },
	{ S_PURGING_ROLE, X_BACKEND_DOWN, "absent S" },
	{ S_PURGING_ROLE, X_REPLY_OK, "purging S" },
	{ S_PURGING_ROLE, X_REPLY_BAD, "purging S" },
	{ S_PURGING_ROLE, X_TICK, "purging S" },
	{ S_PURGING_ROLE, X_CLOSE, "purging c" },
	{ S_PURGING_ROLE, X_MAKE, "purging m" },
	{ S_PURGING_SWEEP, X_PURGE, "purging T" },
	{ S_PURGING_SWEEP, X_BACKEND_DOWN, "absent " },
	{ S_PURGING_SWEEP, X_SWEPT, "idle P" },
	{ S_PURGING_SWEEP, X_TICK, "idle P" },
	{ S_PURGING_SWEEP, X_CLOSE, "purging c" },
	{ S_PURGING_SWEEP, X_MAKE, "purging m" },
	{ S_PURGING_ACTIVE, X_PURGE, "purging T" },
	{ S_PURGING_ACTIVE, X_BACKEND_DOWN, "absent " },
	{ S_PURGING_ACTIVE, X_REPLY_OK, "initiating I" },
	{ S_PURGING_ACTIVE, X_REPLY_BAD, "initiating I" },
	{ S_PURGING_ACTIVE, X_TICK, "initiating I" },
	{ S_PURGING_ACTIVE, X_CLOSE, "purging c" },
	{ S_PURGING_ACTIVE, X_MAKE, "purging m" },
	{ S_CHECKING, X_PURGE, "purging T" },
	{ S_CHECKING, X_INITIATE, "checking L" },
	{ S_CHECKING, X_BACKEND_DOWN, "absent " },
	{ S_CHECKING, X_CHILD_UP, "up Uh" },
	{ S_CHECKING, X_LIST_CHILD, "up Uh" },
	{ S_CHECKING, X_RESET_FORCED, "purging T" },
	{ S_CHECKING, X_CLOSE, "checking c" },
	{ S_CHECKING, X_MAKE, "checking m" },
	{ S_INITIATING, X_PURGE, "purging T" },
	{ S_INITIATING, X_INITIATE, "purging T" },
	{ S_INITIATING, X_BACKEND_DOWN, "absent " },
	{ S_INITIATING, X_REPLY_BAD, "failed " },
	{ S_INITIATING, X_CHILD_UP, "up Uh" },
	{ S_INITIATING, X_TICK, "failed " },
	{ S_INITIATING, X_RESET_FORCED, "purging T" },
	{ S_INITIATING, X_CLOSE, "initiating c" },
	{ S_INITIATING, X_MAKE, "initiating m" },
	{ S_UP, X_PURGE, "purging DhT" },
	{ S_UP, X_INITIATE, "up U" },
	{ S_UP, X_BACKEND_DOWN, "absent Dh" },
	{ S_UP, X_CHILD_DOWN, "checking Dh" },
	{ S_UP, X_IKE_DOWN, "up L" },
	{ S_UP, X_TICK, "up L" },
	{ S_UP, X_RESET, "purging DhT" },
	{ S_UP, X_RESET_FORCED, "purging DhT" },
	{ S_UP, X_MOVED, "purging DhT" },
	{ S_UP, X_VERIFY, "up L" },
	{ S_UP, X_CLOSE, "closing DhC" },
	{ S_UP, X_MAKE, "up m" },
	{ S_UP_LISTING, X_PURGE, "purging DhT" },
	{ S_UP_LISTING, X_INITIATE, "up U" },
	{ S_UP_LISTING, X_BACKEND_DOWN, "absent Dh" },
	{ S_UP_LISTING, X_CHILD_DOWN, "checking Dh" },
	{ S_UP_LISTING, X_RESET, "purging DhT" },
	{ S_UP_LISTING, X_RESET_FORCED, "purging DhT" },
	{ S_UP_LISTING, X_MOVED, "purging DhT" },
	{ S_UP_LISTING, X_CLOSE, "closing DhC" },
	{ S_UP_LISTING, X_MAKE, "up m" },
	{ S_FAILED, X_PURGE, "purging T" },
	{ S_FAILED, X_INITIATE, "purging T" },
	{ S_FAILED, X_BACKEND_DOWN, "absent " },
	{ S_FAILED, X_CHILD_UP, "up Uh" },
	{ S_FAILED, X_TICK, "purging T" },
	{ S_FAILED, X_RESET, "purging T" },
	{ S_FAILED, X_RESET_FORCED, "purging T" },
	{ S_FAILED, X_CLOSE, "failed c" },
	{ S_FAILED, X_MAKE, "failed m" },
	{ S_WAITING, X_PURGE, "purging T" },
	{ S_WAITING, X_BACKEND_DOWN, "absent " },
	{ S_WAITING, X_CHILD_UP, "up Uh" },
	{ S_WAITING, X_RESET_FORCED, "purging T" },
	{ S_WAITING, X_CLOSE, "waiting c" },
	{ S_WAITING, X_MAKE, "waiting m" },
	{ S_QUEUED, X_PURGE, "purging T" },
	{ S_QUEUED, X_BACKEND_DOWN, "absent " },
	{ S_QUEUED, X_CHILD_UP, "up Uh" },
	{ S_QUEUED, X_GRANT, "initiating I" },
	{ S_QUEUED, X_RESET_FORCED, "purging T" },
	{ S_QUEUED, X_CLOSE, "queued c" },
	{ S_QUEUED, X_MAKE, "queued m" },
	{ S_CLOSING, X_PURGE, "purging cT" },
	{ S_CLOSING, X_INITIATE, "checking L" },
	{ S_CLOSING, X_BACKEND_DOWN, "absent c" },
	{ S_CLOSING, X_REPLY_BAD, "closing c" },
	{ S_CLOSING, X_IKE_DOWN, "closing c" },
	{ S_CLOSING, X_TICK, "closing c" },
	{ S_CLOSING, X_CLOSE, "closing c" },
	{ S_CLOSING, X_MAKE, "closing m" },
};

START_TEST(every_state_with_every_event)
{
	for (enum start_id s = S_ABSENT; s < S_N; s++) {
		for (enum ev_id e = X_PURGE; e < X_N; e++) {
			char got[64], want[64];
			start(s);
			snprintf(want, sizeof(want), "%s ", ike_state_name(t.state));
			for (size_t i = 0; i < sizeof(effect) / sizeof(effect[0]); i++)
				if (effect[i].start == s && effect[i].ev == e)
					snprintf(want, sizeof(want), "%s", effect[i].want);
			apply(e);
			snprintf(got, sizeof(got), "%s %s", ike_state_name(t.state), letters());
			ck_assert_msg(strcmp(got, want) == 0, "start %d event %d: got '%s', want '%s'", (int)s, (int)e,
				      got, want);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_matrix");
	TCase *c = tcase_create("all");

	tcase_add_test(c, every_state_with_every_event);
	suite_add_tcase(s, c);
	return unit_run(s);
}
