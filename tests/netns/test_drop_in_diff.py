"""The same keepalived.conf under keepalived and under us: equal worlds, equal events, and nothing that differs unmeant.

A seed is a configuration and what happens to it (tests/diff/generate.py); what differs and is meant stands in
tests/diff/known.py with its reason. ./dev bench diff plays 200 of them.
"""

import os
import sys

import pytest

from conftest import build_dir

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "diff"))

import play  # noqa: E402

# one of version 2, one strict, groups, IPv6, every kind of tracking; the keywords in them are counted below
SEEDS = (1, 2, 3, 4, 5, 6, 8, 9, 10, 16, 18, 25)


@pytest.fixture(scope="module")
def found():
    return play.play_all(SEEDS, build_dir(), jobs=6)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_differs_that_is_not_meant(found, seed):
    unmeant = [d for d in found[seed] if not d.why]
    still = play.again(seed, build_dir(), unmeant) if unmeant else []
    if still:
        pytest.fail("\n".join(map(str, still)))


def test_the_comparison_sees_differences():
    """One of both has another configuration: it must be noticed in the kernel, in the FIFO and on the wire, unexcused."""
    what = {d.what.split(" ")[0] for d in play.play_different(3, build_dir()) if not d.why}
    assert {"kernel", "fifo", "advert"} <= what, what


class Told:
    """What a rule may ask of a world, without one: the lines before a phase, and the daemon's log."""

    def __init__(self, lines=(), log="", now=()):
        self._lines, self._log, self.old_lines = list(lines) + list(now), log, len(lines)

    def lines(self):
        return self._lines

    def log(self):
        return self._log


FAULT = Told(['INSTANCE "VI_0" FAULT 100'])
MASTER = Told(['INSTANCE "VI_0" BACKUP 120', 'INSTANCE "VI_0" MASTER 120'])
DEAF = Told(log="(keepalived.conf: Line 9) (G1) track script chk1 not found, ignoring...\n")
UP = Told(now=['INSTANCE "VI_0" BACKUP 90', 'INSTANCE "VI_0" MASTER 90'])
BACKUP_CALL, MASTER_CALL = "notify|VI_0|INSTANCE|VI_0|BACKUP|90", "notify|VI_0|INSTANCE|VI_0|MASTER|90"

# a rule, what it explains, and right beside it what no rule may explain; the second is a keyword that the case has
BESIDE = [
    ("reader stays", "", "reload same begins", "script reader /run/kd/fifo", "reader|/run/kd/fifo", "", MASTER),
    (None, "", "far VI_0 begins", "script reader /run/kd/fifo", "reader|/run/kd/fifo", "", MASTER),
    (None, "", "reload same begins", "script reader /run/kd/fifo", "", "reader|/run/kd/fifo", MASTER),
    ("states on reload", "fifo_write_vrrp_states_on_reload", "reload same begins", 'fifo INSTANCE "VI_0"', "",
     'INSTANCE "VI_0" MASTER 120', MASTER),
    (None, "fifo_write_vrrp_states_on_reload", "link 1 begins", 'fifo INSTANCE "VI_0"', "", 'INSTANCE "VI_0" MASTER 120', MASTER),
    (None, "", "reload same begins", 'fifo INSTANCE "VI_0"', "", 'INSTANCE "VI_0" MASTER 120', MASTER),
    ("priority again", "", "reload same begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP_PRIORITY 120', "", MASTER),
    ("priority again", "", "reload priority begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP_PRIORITY 127',
     'INSTANCE "VI_0" MASTER_PRIORITY 127', MASTER),
    (None, "", "reload same begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP_PRIORITY 121', "", MASTER),
    (None, "", "reload priority begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP_PRIORITY 127',
     'INSTANCE "VI_0" MASTER_PRIORITY 120', MASTER),
    (None, "", "script chk0 begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP_PRIORITY 120', "", MASTER),
    ("fault again", "", "link 1 begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" FAULT 100', "", FAULT),
    (None, "", "link 1 begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" FAULT 120', "", MASTER),
    (None, "", "link 1 begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" FAULT 100\nINSTANCE "VI_0" BACKUP 100', "", FAULT),
    ("order of programs", "", "link 0 ends", "script notify VI_0", MASTER_CALL + "\n" + BACKUP_CALL,
     BACKUP_CALL + "\n" + MASTER_CALL, UP),
    (None, "", "link 0 ends", "script notify VI_0", BACKUP_CALL + "\n" + MASTER_CALL, MASTER_CALL + "\n" + BACKUP_CALL, UP),
    (None, "", "link 0 ends", "script notify VI_0", MASTER_CALL + "\n" + BACKUP_CALL, BACKUP_CALL + "\n" + MASTER_CALL, MASTER),
    (None, "", "link 0 ends", "script notify VI_0", MASTER_CALL, BACKUP_CALL + "\n" + MASTER_CALL, UP),
    ("first look", "vrrp_script", "at the start", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP 90\nINSTANCE "VI_0" MASTER 90',
     'INSTANCE "VI_0" BACKUP 100\nINSTANCE "VI_0" MASTER 90', MASTER),
    (None, "vrrp_script", "at the start", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP 90\nINSTANCE "VI_0" MASTER 90',
     'INSTANCE "VI_0" BACKUP 90\nINSTANCE "VI_0" MASTER 100', MASTER),
    (None, "vrrp_script", "link 0 begins", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP 90\nINSTANCE "VI_0" MASTER 90',
     'INSTANCE "VI_0" BACKUP 100\nINSTANCE "VI_0" MASTER 90', MASTER),
    ("init_fail", "init_fail", "at the start", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP 90',
     'INSTANCE "VI_0" FAULT 90\nINSTANCE "VI_0" BACKUP 90', MASTER),
    (None, "init_fail", "at the start", 'fifo INSTANCE "VI_0"', 'INSTANCE "VI_0" BACKUP 90',
     'INSTANCE "VI_0" FAULT 90\nINSTANCE "VI_0" MASTER 90', MASTER),
    ("defined later", "vrrp_sync_group", "script chk1 begins", 'fifo GROUP "G1"', "", 'GROUP "G1" FAULT 0', DEAF),
    (None, "vrrp_sync_group", "script chk0 begins", 'fifo GROUP "G1"', "", 'GROUP "G1" FAULT 0', DEAF),
    ("link-local twice", "use_vmac", "at the start", "kernel addresses",
     "eth0 x\nvrrp.5 fe80::a:ff:fe00:1 64  brd= link  nodad deprecated lft=0", "eth0 x", MASTER),
    (None, "use_vmac", "at the start", "kernel addresses", "vrrp.5 fe80::1:5 64  brd= link  nodad lft=forever", "", MASTER),
    (None, "use_vmac", "at the start", "kernel addresses", "vrrp.5 fe80::a:ff:fe00:1 64  brd= link  nodad deprecated lft=0",
     "eth0 x", MASTER),
    (None, "use_vmac", "at the start", "answer of 10.0.5.1", "answers", "does not answer", MASTER),
    (None, "", "link 0 begins", "kernel addresses", "eth0 10.0.0.1 24", "", FAULT),
    (None, "", "reload same begins", "kernel routes", "", "dev=eth0 dst=10.0.0.0/8", FAULT),
    (None, "", "after the end", "daemon", "has ended with status 0", "has ended with status -11", MASTER),
]


def case_with(word):
    """The first case that uses the word, if any is named, and none of the others that rules ask for."""
    others = {"vrrp_sync_group", "init_fail", "fifo_write_vrrp_states_on_reload"} - {word}
    for seed in range(1, 201):
        case = play.Case(seed)
        words = {w for _, w in case.words()}
        if not others & words and (not word or word in words):
            return case
    raise AssertionError(word)


@pytest.mark.parametrize("row", BESIDE, ids=lambda r: "%s %s" % (r[0] or "unmeant", r[2]))
def test_a_rule_takes_what_it_explains_and_nothing_beside_it(row):
    want, word, phase, what, theirs, ours, before = row
    d = play.Difference(case_with(word), phase, what, theirs, ours, (before, before))
    assert d.why == want, d


def test_keywords():
    """200 seeds use at least 95 % of the keywords that both know, 12 seeds three quarters."""
    for seeds, least in ((range(1, 201), 0.95), (SEEDS, 0.7)):
        used, missing = play.coverage(seeds)
        assert len(used) >= least * len(used | missing), sorted(missing)
