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
    if unmeant and len(unmeant) == len(play.again(seed, build_dir(), unmeant)):
        pytest.fail("\n".join(map(str, unmeant)))


def test_the_comparison_sees_differences():
    """One of both has another configuration: it must be noticed in the kernel, in the FIFO and on the wire."""
    what = {d.what.split(" ")[0] for d in play.play_different(3, build_dir())}
    assert {"kernel", "fifo", "advert"} <= what, what


def test_keywords():
    """200 seeds use at least 95 % of the keywords that both know, 12 seeds three quarters."""
    for seeds, least in ((range(1, 201), 0.95), (SEEDS, 0.7)):
        used, missing = play.coverage(seeds)
        assert len(used) >= least * len(used | missing), sorted(missing)
