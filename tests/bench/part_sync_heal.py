"""What makes the tables of two nodes differ, and how long it takes until they are equal again: part j."""

import time

from lab import MACHINES, now_ns, wait_for
from measure import Row
from part_sync_load import told
from syncpair import A, B, Ours, Pair, Room

LIMIT = 30  # seconds that a comparison waits for equal tables
SMALL = 65536  # bytes of a receive buffer that a burst overruns: the least that can be configured
APART = 20000000  # numbers between the sessions of two causes


def born_before(pair, stack, sessions):
    """The daemon on the owner was started after the sessions, and has told nobody of them yet."""
    stack.begin(B)


def copies_removed(pair, stack, sessions):
    pair.lab[B].run("conntrack", "-F", check=False, timeout=60)


def events_lost(pair, stack, sessions):
    before = stack.overruns(A)
    pair.labct(A, "churn", 0, 2, sessions // 5, "first=%d" % APART)
    if stack.overruns(A) == before:
        raise AssertionError("no event was lost")


def standby_killed(pair, stack, sessions):
    stack.daemons[B].kill()
    pair.labct(A, "churn", 10000, 2, sessions // 10, "first=%d" % (2 * APART))
    stack.begin(B)


def link_cut(pair, stack, sessions):
    pair.lab[A].ip("link set sync0 down")
    pair.labct(A, "churn", 10000, 6, sessions // 10, "first=%d" % (3 * APART))
    pair.lab[A].ip("link set sync0 up", "addr replace %s dev sync0 nodad" % MACHINES[A]["sync0"][2][1])


def owner_ended(pair, stack, sessions):
    """The other node takes over and has sessions of its own, until the first one is back."""
    stack.daemons[A].stop()
    pair.labct(B, "churn", 10000, 2, sessions // 10, "first=%d" % (4 * APART))
    stack.begin(A)


CAUSES = ((born_before, "sessions older than the daemon; its start"),
          (copies_removed, "conntrack -F on the standby"),
          (events_lost, "lost events, after a burst"),
          (standby_killed, "standby killed under load; its start"),
          (link_cut, "channel cut for 6 s under load; its return"),
          (owner_ended, "owner stopped, other one under load; its start"))


def at_rest(stack):
    """Before the next cause: both nodes say that nothing is missing."""
    wait_for("both nodes to be ready", lambda: all(stack.status(n)["groups"][0]["ready"] for n in (A, B)), 40, 0.1)


def heal(pair, stack, cause, sessions):
    cause(pair, stack, sessions)
    begin = now_ns()
    verdict = pair.compare(LIMIT)
    return {"after_s": (verdict["at_ns"] - begin) / 1e9, "verdict": verdict}


def part_j(ctx):
    sessions, runs = 100000, {what: [] for _, what in CAUSES}
    with Room(3 * sessions), Pair(ctx.build) as pair:
        for _ in range(ctx.choose(3, 1)):
            pair.labct(A, "fill", sessions)
            with Ours(pair, alone=True, receive_buffer=SMALL) as stack:
                for cause, what in CAUSES:
                    runs[what].append(heal(pair, stack, cause, sessions))
                    ctx.say("%s: %s after %.2f s" % (what, told(runs[what][-1]["verdict"]), runs[what][-1]["after_s"]))
                    at_rest(stack)
    return [Row("j", "%d sessions: %s -> tables equal" % (sessions, what), "<= 5 s",
                "; ".join("%.2f s" % r["after_s"] if r["verdict"]["equal"] else told(r["verdict"]) for r in found), "-",
                all(r["verdict"]["equal"] and r["after_s"] <= 5 for r in found), {"keeptrackd": found})
            for what, found in runs.items()]
