"""The lab tests the lab: what measures us has to be right, and has to be able to fail."""

import subprocess
import time

from lab import now_ns, wait_for
from traffic import Traffic


def give_vips(lab, name):
    lab[name].ip("addr add 10.0.1.1/24 dev lan0", "addr add 203.0.113.1/24 dev wan0")
    lab[name].run("arping", "-c", "1", "-A", "-I", "lan0", "10.0.1.1", check=False)
    lab[name].run("arping", "-c", "1", "-A", "-I", "wan0", "203.0.113.1", check=False)


def take_vips(lab, name):
    lab[name].ip("addr del 10.0.1.1/24 dev lan0", "addr del 203.0.113.1/24 dev wan0")


def test_traffic_flows_and_is_translated(lab):
    give_vips(lab, "fw-a")
    traffic = Traffic(lab, idle=20, udp_rate=200, vpn_rate=0)
    traffic.mark()
    wait_for("a second of echoes", lambda: traffic.report()["udp"]["udp"]["sent"] > 150, 5)
    report = traffic.report()
    assert report["udp"]["udp"]["lost"] == 0
    assert report["udp"]["udp"]["moved"] == 0
    assert traffic.check_idle() == {"total": 20, "alive": 20, "reset": 0}
    table = lab["fw-a"].conntrack("-L", "-p", "tcp")
    assert table.count("dst=203.0.113.1 ") == 21, table


def test_without_replication_connections_die(lab):
    """The negative control of everything: the other router knows no session, so nothing may survive."""
    give_vips(lab, "fw-a")
    traffic = Traffic(lab, idle=20, udp_rate=200, vpn_rate=0)
    wait_for("echoes", lambda: traffic.flowing("udp"), 5)
    begin = traffic.mark()
    wan = lab.capture("br-wan")
    lab.cut("fw-a")
    take_vips(lab, "fw-a")
    give_vips(lab, "fw-b")
    wait_for("echoes through fw-b", lambda: traffic.flowing("udp"), 5)
    assert traffic.check_idle(2500)["alive"] == 0
    assert not traffic.stream_alive()
    assert traffic.report()["udp"]["udp"]["moved"] >= 1
    assert wan.find("forward", begin, traffic="udp", mac=lab.mac("fw-b", "wan0"))
    assert not wan.find("rst", begin), "the router must not reset what it does not know"


def test_capture_times_are_monotonic_time(lab):
    wan = lab.capture("br-wan")
    before = now_ns()
    lab["fw-a"].run("arping", "-c", "1", "-A", "-I", "wan0", "203.0.113.2", check=False)
    event = wait_for("the announcement", lambda: wan.find("garp", before, ip="203.0.113.2"), 3)[0]
    assert before <= event["t_ns"] <= now_ns()
    assert event["mac"] == lab.mac("fw-a", "wan0")


def test_teardown_ends_every_process(lab):
    child = lab["client"].spawn("sleep", "1000")
    wait_for("the child inside", lambda: child.pid in lab["client"].pids(), 5)
    lab["client"].close()
    end = time.monotonic() + 5
    while subprocess.run(["kill", "-0", str(child.pid)], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
