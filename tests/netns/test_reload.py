"""SIGHUP: parsed, checked whole, compared, applied; or refused whole, and then nothing changes."""

import os
import re
import signal

import pytest

from conf import instance, lab_conf, text
from keeptrackd import Daemon, group
from lab import VIP_LAN, VIP_WAN, now_ns, wait_for
from wire import Tap, gaps_ms


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def reload_(daemon, expect):
    """SIGHUP, and the first new log line that matches `expect`."""
    size = len(daemon.log())
    daemon.signal(signal.SIGHUP)
    return wait_for("a log line '%s'" % expect, lambda: re.search(expect, daemon.log()[size:]), 3, 0.005)


def begun(lab, make_pair):
    """A running pair, {name: its configuration as a dictionary}, and the epoch of the role."""
    pair = make_pair(start=False)
    confs = {name: lab_conf(lab, name) for name in pair.daemons}
    for name, conf in confs.items():
        pair[name].write_conf(text(conf))
    pair.start()
    pair.wait_ready()
    return pair, confs, group(pair["fw-a"])["epoch"]


def picture(daemon):
    """Everything that must be as before when a reload was refused."""
    status = group(daemon)
    return ([(i["name"], i["state"], i["priority"], [(a["address"], a["state"]) for a in i["addresses"]])
             for i in daemon.ask("show vrrp")["instances"]],
            status["role"], status["epoch"], daemon.ask("show configuration")["digests"],
            daemon.ask("show configuration")["text"], daemon.process.pid)


def refused(daemon, expect):
    before = picture(daemon)
    reload_(daemon, expect)
    assert picture(daemon) == before
    assert "nothing has changed" in daemon.log()


@pytest.mark.parametrize("name", ["fw-a", "fw-b"])
def test_broken_files_change_nothing(lab, pair, name):
    pair.wait_ready()
    daemon = pair[name]
    good = read(daemon.conf_path)
    path = re.escape(daemon.conf_path)
    tap = Tap(lab["client"], "eth0")
    begin = now_ns()
    epochs = {n: group(d)["epoch"] for n, d in pair.daemons.items()}
    lines = good.split("\n")

    # Cut at every tenth line: most of these do not parse; one that does lacks what it needs.
    for cut in range(1, len(lines) - 1, 10):
        daemon.write_conf("\n".join(lines[:cut]) + "\n" + lines[cut][:len(lines[cut]) // 2])
        refused(daemon, path + r":\d+")
    daemon.write_conf("")
    refused(daemon, path)
    os.unlink(daemon.conf_path)
    refused(daemon, path + ".*No such file")
    os.mkdir(daemon.conf_path)
    refused(daemon, path)
    os.rmdir(daemon.conf_path)

    number = next(i for i, line in enumerate(lines) if 'name = "lan"' in line)
    wrong = lines[:]
    wrong[number] = wrong[number].replace("vrid", "vird")
    daemon.write_conf("\n".join(wrong))
    refused(daemon, path + r":%d: .*vird.*vrid" % (number + 1))
    assert "vird" in daemon.log()

    wrong[number] = lines[number].replace("vrid = 10", "vrid = 300")
    daemon.write_conf("\n".join(wrong))
    refused(daemon, path + r":%d: .*300" % (number + 1))

    # All meaning errors are told in one run.
    number2 = next(i for i, line in enumerate(lines) if 'name = "wan"' in line)
    wrong[number2] = lines[number2].replace('interface = "wan0"', "interface = 5")
    daemon.write_conf("\n".join(wrong))
    size = len(daemon.log())
    refused(daemon, path + r":%d: " % (number2 + 1))
    assert re.search(path + r":%d: " % (number + 1), daemon.log()[size:])

    # The process cannot change these without a restart.
    daemon.write_conf(good.replace("/run/keeptrackd", "/run/other"))
    refused(daemon, "need a restart")

    wait_for("half a second of adverts", lambda: now_ns() - begin > 5e8, 1)
    adverts = tap.vrrp(begin, vrid=10)
    assert {a.src for a in adverts} == {"10.0.1.2"} and {a.priority for a in adverts} == {150}
    assert max(gaps_ms(adverts)) < 200
    assert {n: group(d)["epoch"] for n, d in pair.daemons.items()} == epochs
    daemon.write_conf(good)
    reload_(daemon, "configuration reloaded: 0 changes")
    pair.wait_ready()


def test_new_addresses_without_losing_the_role(lab, make_pair):
    pair, confs, epoch = begun(lab, make_pair)
    lan, wan = Tap(lab["client"], "eth0"), Tap(lab["server"], "eth0")
    begin = now_ns()
    for name, conf in confs.items():
        conf["vrrp"]["instances"][0]["virtual_addresses"] = ["10.0.1.1/24", "10.0.1.5/24", "10.0.1.6/24"]
        conf["vrrp"]["instances"][1]["virtual_addresses"] = ["203.0.113.5/24"]
        pair[name].write_conf(text(conf))
        reload_(pair[name], "configuration reloaded: [1-9]")

    def moved():
        return lab["fw-a"].has_ip4(VIP_LAN, "10.0.1.5", "10.0.1.6", "203.0.113.5") and not lab["fw-a"].has_ip4(VIP_WAN)

    wait_for("the new list on fw-a", moved, 1)
    assert not [a for a in lab["fw-b"].addresses("lan0") if a in (VIP_LAN, "10.0.1.5", "10.0.1.6")]
    pair.wait_ready()
    assert group(pair["fw-a"])["epoch"] == epoch and group(pair["fw-a"])["role"] == "MASTER"
    for ip in ("10.0.1.5", "10.0.1.6"):
        wait_for("the announcement of " + ip, lambda i=ip: [a for a in lan.arp(i, begin) if a[2]], 1)
    wait_for("the new list in the adverts",
             lambda: lan.vrrp(begin)[-1].vips == ["10.0.1.1", "10.0.1.5", "10.0.1.6"], 1)
    wait_for("half a second of adverts", lambda: now_ns() - begin > 5e8, 1)
    for tap in (lan, wan):
        adverts = tap.vrrp(begin)
        assert len({a.mac for a in adverts}) == 1 and {a.priority for a in adverts} == {150}
        assert max(gaps_ms(adverts)) < 200

    # The pair still works, with the new list.
    pair["fw-a"].ask("force failover")
    wait_for("fw-b to hold the new list", lambda: lab["fw-b"].has_ip4(VIP_LAN, "10.0.1.5", "10.0.1.6", "203.0.113.5")
             and not lab["fw-a"].has_ip4("10.0.1.5"), 2)


def test_a_new_instance_and_its_end(lab, make_pair):
    pair, confs, epoch = begun(lab, make_pair)
    tap = Tap(lab["client"], "eth0")
    begin = now_ns()
    for name, conf in confs.items():
        conf["vrrp"]["instances"] += [instance("more", "lan0", 30, ["10.0.1.30/24"]),
                                      instance("solo", "wan0", 40, ["203.0.113.40/24"])]  # a group of its own
        conf["vrrp"]["groups"][0]["members"].append("more")
        pair[name].write_conf(text(conf))
        reload_(pair[name], "configuration reloaded: [1-9]")
    wait_for("the new address", lambda: lab["fw-a"].has_ip4("10.0.1.30", VIP_LAN, VIP_WAN), 1)
    wait_for("its adverts", lambda: len(tap.vrrp(begin, vrid=30, priority=150)) > 2, 2)
    wait_for("the new group's master", lambda: lab["fw-a"].has_ip4("203.0.113.40"), 2)
    assert not lab["fw-b"].has_ip4("203.0.113.40")
    pair.wait_ready()
    wait_for("fw-b's timers of the new instance to have ended, if nobody was heard", lambda: now_ns() - begin > 5e8, 1)
    assert {a.src for a in tap.vrrp(begin)} == {"10.0.1.2"}, tap.vrrp(begin)
    assert group(pair["fw-a"])["epoch"] == epoch
    assert group(pair["fw-a"])["members"] == ["lan", "wan", "more"]

    end = now_ns()
    for name, conf in confs.items():
        del conf["vrrp"]["instances"][2:]
        conf["vrrp"]["groups"][0]["members"].pop()
        pair[name].write_conf(text(conf))
    # Both at once: the standby must not have the time to take over what the master has just given up.
    sizes = {name: len(pair[name].log()) for name in confs}
    for name in ("fw-b", "fw-a"):
        pair[name].signal(signal.SIGHUP)
    for name, size in sizes.items():
        wait_for("the reload of " + name,
                 lambda n=name, s=size: "configuration reloaded: " in pair[n].log()[s:], 3, 0.005)
    wait_for("the address to be gone", lambda: not lab["fw-a"].has_ip4("10.0.1.30")
             and not lab["fw-a"].has_ip4("203.0.113.40"), 1)
    assert tap.vrrp(end, vrid=30)[-1].priority == 0, "an instance that ends says so"
    assert group(pair["fw-a"])["epoch"] == epoch and pair.masters() == ["fw-a"]
    assert {a.src for a in tap.vrrp(begin, vrid=10)} == {"10.0.1.2"}


def test_another_priority(lab, make_pair):
    pair, confs, epoch = begun(lab, make_pair)
    tap = Tap(lab["client"], "eth0")
    confs["fw-a"]["node"]["priority"] = 140  # still the higher one
    pair["fw-a"].write_conf(text(confs["fw-a"]))
    reload_(pair["fw-a"], "configuration reloaded: [1-9]")
    wait_for("it in the adverts", lambda: tap.vrrp()[-1].priority == 140, 1)
    assert group(pair["fw-a"])["epoch"] == epoch and pair.masters() == ["fw-a"]
    # The router that listens now has a higher one: it takes over as planned, because it may.
    confs["fw-b"]["node"]["priority"] = 200
    pair["fw-b"].write_conf(text(confs["fw-b"]))
    reload_(pair["fw-b"], "configuration reloaded: [1-9]")
    pair.wait_master("fw-b", 3)
    entry = next(e for e in pair["fw-b"].ask("show failover history")["entries"] if e["node"] == "fw-b")
    assert (entry["kind"], entry["reason"], entry["to"]) == ("planned", "preempted", "MASTER"), entry


def test_another_advert_interval(lab, make_pair):
    """The standby learns the master's interval; nobody loses the role while they differ."""
    pair, confs, epoch = begun(lab, make_pair)
    tap = Tap(lab["client"], "eth0")
    for ms in (400, 20, 100):
        for name, conf in confs.items():
            for one in conf["vrrp"]["instances"]:
                one["advert_interval"] = ms / 1000
            pair[name].write_conf(text(conf))
            reload_(pair[name], "configuration reloaded: [1-9]")
            begin = now_ns()
            wait_for("adverts of the new interval", lambda b=begin, m=ms, n=name: (
                n == "fw-b" or len([a for a in tap.vrrp(b) if a.interval_ms == m]) > 1), 3)
    assert {a.src for a in tap.vrrp()} == {"10.0.1.2"}
    assert group(pair["fw-a"])["epoch"] == epoch and pair.masters() == ["fw-a"]
    pair.wait_ready()


def test_a_signal_right_after_the_start(lab):
    """From its first moment on a SIGHUP counts: what it is sent for is in the file, which the start has read before."""
    daemon = Daemon(lab, "fw-a", conf=text(lab_conf(lab, "fw-a", peer=False)))
    for _ in range(5):
        daemon.write_conf(text(lab_conf(lab, "fw-a", peer=False)))
        before = daemon.log().count("configuration reloaded: ")
        daemon.process = lab["fw-a"].spawn(lab.tool("keeptrackd"), "-f", daemon.conf_path, "-n")

        def listens():
            """nsenter and setpriv come before it; SIGHUP is signal 1."""
            if os.readlink("/proc/%d/exe" % daemon.process.pid) != lab.tool("keeptrackd"):
                return False
            return int(re.search(r"^SigCgt:\s*(\w+)", read("/proc/%d/status" % daemon.process.pid), re.M).group(1), 16) & 1
        wait_for("its handler", listens, 5, 0.0005)
        daemon.write_conf(text(lab_conf(lab, "fw-a", peer=False, advert=0.2)))
        daemon.signal(signal.SIGHUP)
        wait_for("the reload", lambda b=before: daemon.log().count("configuration reloaded: ") > b, 5)
        daemon.stop()


def test_refused_before_it_starts(lab):
    """The same checks without a running daemon: -t says what is wrong, and start does not."""
    daemon = Daemon(lab, "fw-a")
    with open(daemon.conf_path, "a", encoding="utf-8") as f:
        f.write("colour = 1;\n")
    line = len(read(daemon.conf_path).split("\n")) - 1
    for option in (["-t"], ["-n"]):
        out = lab["fw-a"].run("sh", "-c", '"$@" 2>&1; echo "status $?"', "sh", lab.tool("keeptrackd"), *option, "-f",
                              daemon.conf_path)
        assert "%s:%d" % (daemon.conf_path, line) in out and "colour" in out, out
        assert "status 0" not in out
    assert not lab["fw-a"].has_ip4(VIP_LAN)
