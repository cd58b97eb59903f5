"""The races of tests/lab/races.py: what keepalived's users ran into must not happen here.

The same scenarios are played with keepalived by `./dev bench races`, which writes docs/keepalived-differences.md.
"""

import os

import pytest

import races
from rig import Ours

BUILD = os.environ.get("KT_BUILD", os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build"))


@pytest.mark.alone
def test_sessions_before_addresses():
    seen = races.sessions_before_addresses(Ours, BUILD)
    assert seen["moved"] == 0, seen
    assert seen["tcp_gap_ms"] < seen["udp_gap_ms"] + 100, seen


def test_different_lists():
    seen = races.different_lists(Ours, BUILD)
    assert seen == {"backup_became_master_after_ms": None, "holders": "a"}


@pytest.mark.alone
def test_not_scheduled():
    seen = races.not_scheduled(Ours, BUILD)
    assert seen["false_takeovers"] == 0, seen
    assert seen["late_adverts"] == 0 and seen["late_announcements"] == 0 and seen["holders"] == "b", seen


def test_after_split_brain():
    seen = races.after_split_brain(Ours, BUILD)
    assert seen["one_master_after_ms"] is not None and seen["hosts_right"], seen
    assert seen["announced_after_ms"] is not None and seen["announced_after_ms"] < 1000, seen


@pytest.mark.parametrize("kind", races.RELOADS)
def test_reload(kind):
    seen = races.reload_once(Ours, BUILD, kind)
    assert seen == {"taken_away": 0, "complete": True, "zeros": 0, "backup_adverts": 0}


@pytest.mark.parametrize("kind", ["missing", "tentative"])
def test_late_link_local(kind):
    took = races.late_link_local(Ours, BUILD, (kind,))[kind]
    assert took is not None and took < 5000, took


def test_rejected_packets():
    seen = races.bad_packets(Ours, BUILD, 3.0)
    assert seen["backup_adverts"] == 0 and seen["longest_silence_ms"] < 1100, seen


@pytest.mark.alone
def test_killed():
    seen = races.killed(Ours, BUILD)
    assert seen["takeover_ms"] < 200 and seen["holders_after_2_s"] == "b", seen
