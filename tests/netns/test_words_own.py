"""Words of keepalived.conf whose effect is not on the wire, or that the installed keepalived does not know yet."""

import json
import os
import sys
import time
from types import SimpleNamespace

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from advert import frame4, internet_sum, v3  # noqa: E402
from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from lab import wait_for  # noqa: E402
from wire import Sender, Tap  # noqa: E402

FILE = "/etc/keepalived/keepalived.conf"
GLOBAL = "global_defs {\n    vrrp_version 3\n%s}\n"


def instance(vrid, words="", vips="10.0.1.%d/32", interface="lan0"):
    return ("vrrp_instance V%d {\n    interface %s\n    virtual_router_id %d\n    priority 100\n    advert_int 0.1\n"
            "%s%s}\n" % (vrid, interface, vrid, vips and "    virtual_ipaddress {\n%s\n}\n" % (
                vips % vrid if "%" in vips else vips), words))


class Daemon:
    def __init__(self, box):
        self.box = box
        machine = SimpleNamespace(holder=SimpleNamespace(pid=box.init))
        self.tap, self.sender = Tap(machine, "lan1"), Sender(machine, "lan1")
        self.child = None

    def start(self, conf, *options):
        self.tap.read().clear()
        self.box.sh("rm -f /run/log /tmp/keepalived*")
        self.box.write(FILE, conf)
        self.child = self.box.spawn("keepalived", "-nlD", *options)
        return self

    def stop(self):
        if self.child and self.child.poll() is None:
            self.box.sh("kill $(pgrep -o -x keepalived)")
            self.child.wait(10)

    def adverts(self, vrid, since=0):
        return [a for a in self.tap.vrrp(since, vrid=vrid) if a.mac != "02:00:00:00:00:99"]

    def wait_advert(self, *vrids):
        for vrid in vrids:
            wait_for("an advert of %d" % vrid, lambda v=vrid: self.adverts(v), 10)

    def says(self, priority, vrid, source="10.0.1.99", vips=None, to=None):
        own = self.box.run("cat", "/sys/class/net/lan0/address").strip()
        self.sender.send(frame4(v3(vrid, priority, vips or ["10.0.1.%d" % vrid], src=source, dst=to, interval=10), source,
                                **({"dst": to, "to": own} if to else {}), mac="02:00:00:00:00:99"))

    def ask(self, signo, path):
        self.box.sh("rm -f %s; kill -%d $(pgrep -o -x keepalived)" % (path, signo))
        wait_for(path, lambda: self.box.exists(path), 5)
        return self.box.read(path)

    def stats(self):
        return {r["data"]["iname"]: r["stats"] for r in json.loads(self.ask(36, "/tmp/keepalived.json"))}

    def states(self):
        return {r["data"]["iname"]: r["data"]["state"] for r in json.loads(self.ask(36, "/tmp/keepalived.json"))}


@pytest.fixture(scope="module")
def box():
    made = Box(build_dir())
    yield made
    made.close()


@pytest.fixture
def daemon(box):
    d = Daemon(box)
    yield d
    d.stop()
    d.tap.close()
    d.sender.close()


@pytest.mark.parametrize("where", ["v3_checksum_as_v2", "vrrp_instance"])
def test_checksums(daemon, where):
    """v3_checksum_as_v2 in global_defs and in an instance; no_virtual_ipaddress."""
    word = "    v3_checksum_as_v2\n"
    daemon.start(GLOBAL % (word if where != "vrrp_instance" else "") + instance(1, word if where == "vrrp_instance" else "") +
                 instance(2, "    v3_checksum_as_v2 off\n") + instance(3, "    no_virtual_ipaddress\n", vips=""))
    daemon.wait_advert(1, 2, 3)
    assert internet_sum(daemon.adverts(1)[0].body) == 0, "without a pseudo-header"
    assert internet_sum(daemon.adverts(2)[0].body) != 0
    assert daemon.adverts(3)[0].count == 0


@pytest.mark.parametrize("everywhere", [False, True])
def test_strangers(daemon, everywhere):
    """check_unicast_src, vrrp_check_unicast_src; skip_check_adv_addr, vrrp_skip_check_adv_addr."""
    peers = "    unicast_src_ip 10.0.1.10\n    unicast_peer {\n        10.0.1.98\n    }\n"
    words = {2: "    check_unicast_src\n", 4: "    skip_check_adv_addr\n"}
    daemon.start(GLOBAL % ("    vrrp_check_unicast_src\n    vrrp_skip_check_adv_addr\n" if everywhere else "") +
                 instance(1, peers) + instance(2, peers + words[2]) + instance(3) + instance(4, words[4]))
    daemon.box.sh("ip neigh replace 10.0.1.98 lladdr 02:00:00:00:00:98 dev lan0")
    daemon.wait_advert(1, 2, 3, 4)
    for _ in range(10):
        for vrid in (1, 2):
            daemon.says(200, vrid, to="10.0.1.10")
        for vrid in (3, 4):
            daemon.says(200, vrid, vips=["10.0.1.77"])
        time.sleep(0.05)
    assert daemon.states() == {"V1": 2 if everywhere else 1, "V2": 2, "V3": 1, "V4": 1}
    stats = daemon.stats()
    assert stats["V4"]["addr_list_err"] == 1 and stats["V4"]["advert_rcvd"] >= 10
    assert stats["V3"]["addr_list_err"] == (1 if everywhere else stats["V3"]["advert_rcvd"])


@pytest.mark.parametrize("who", ["smtp_alert", "smtp_alert_vrrp", "group"])
def test_programs_and_mail(daemon, who):
    """script_user, enable_script_security, user of a vrrp_script, and what mail says: router_id, notification_email,
    notification_email_from, smtp_alert of the file and of a group, smtp_alert_vrrp, no_email_faults."""
    box = daemon.box
    out = "/run/out-" + who
    box.sh("mkdir -m 777 %s; mkdir -p /run/sbin" % out)
    box.write("/run/bin/who", "#!/bin/sh\nid -un > %s/$1\n" % out, 0o755)
    box.write("/run/bin/unsafe", "#!/bin/sh\ntouch %s/unsafe\n" % out, 0o777)
    if not box.exists("/run/sbin/ip"):  # a copy, in the box's own memory, stands in for the machine's programs
        box.sh("cp -a /usr/sbin/. /run/sbin/ && mount --bind /run/sbin /usr/sbin")
    box.write("/run/sbin/sendmail", "#!/bin/sh\necho \"args $*\" >> %s/mail\ncat >> %s/mail\n" % (out, out), 0o755)
    # Programs of keepalived_script's user or another one than root need no security; root's do.
    daemon.start(GLOBAL % ("    router_id my-router\n    notification_email {\n        ops@example.org\n    }\n"
                 "    notification_email_from ha@example.org\n    no_email_faults\n"
                 "    script_user nobody\n    enable_script_security\n" + ("    %s\n" % who if who != "group" else "")) +
                 ("" if who != "group" else "vrrp_sync_group G {\n group {\n V1\n V3\n }\n smtp_alert\n}\n" + instance(3)) +
                 "vrrp_script chk {\n script \"/run/bin/who checked\"\n interval 1\n user daemon\n}\n" +
                 instance(1, "    track_script {\n        chk\n    }\n    notify_master \"/run/bin/who master\"\n"
                             "    notify_backup /run/bin/unsafe root\n") +
                 instance(2, "    smtp_alert off\n"))
    for name, user in (("master", "nobody"), ("checked", "daemon")):
        wait_for(name, lambda n=name: box.exists("%s/%s" % (out, n)) and box.read("%s/%s" % (out, n)), 10)
        assert box.read("%s/%s" % (out, name)) == user + "\n"
    assert not box.exists(out + "/unsafe") and "/run/bin/unsafe" in box.read("/run/log")
    wait_for("a mail", lambda: "MASTER" in box.read(out + "/mail"), 10)
    box.sh("ip link set lan1 down")
    wait_for("the fault", lambda: "(V1) Entering FAULT STATE" in box.read("/run/log"), 10)
    box.sh("ip link set lan1 up")
    wait_for("the next mail", lambda: box.read(out + "/mail").count("MASTER state") > 1, 15)
    text = box.read(out + "/mail")
    assert "my-router" in text and ("Group G" if who == "group" else "V1") in text and "V2" not in text and "FAULT" not in text, text
    assert "ops@example.org" in text and "ha@example.org" in text


@pytest.mark.parametrize("names", [("state_dump_file", "stats_dump_file", "json_dump_file"),
                                   ("state_file_location", "stats_file_location", "json_file_location")])
def test_places_of_files(daemon, names):
    """state_dump_file, stats_dump_file, json_dump_file and their other names."""
    paths = ["/run/own.data", "/run/own.stats", "/run/own.json"]
    daemon.start(GLOBAL % "".join("    %s %s\n" % pair for pair in zip(names, paths)) + instance(1))
    daemon.wait_advert(1)
    for signo, path, word in zip((10, 12, 36), paths, ("VRRP Topology", "VRRP Instance: V1", '"iname":"V1"')):
        assert word in daemon.ask(signo, path)


def test_names_of_files(daemon):
    """use_pid_dir, and data_use_instance with instance."""
    daemon.start("use_pid_dir\n" + GLOBAL % "" + instance(1))
    wait_for("the pid file", lambda: daemon.box.exists("/run/keepalived/keepalived.pid"), 5)
    daemon.wait_advert(1)
    daemon.stop()
    daemon.start("instance east\n" + GLOBAL % "    data_use_instance\n" + instance(1))
    daemon.wait_advert(1)
    assert "V1" in daemon.ask(10, "/tmp/keepalived_east.data")
    daemon.ask(10, "/tmp/keepalived_parent_east.data")


def test_a_link_that_has_to_last(daemon):
    """interface_up_down_delays: how long a link is down until it counts, and up."""
    daemon.start("interface_up_down_delays {\n    lan0 1 0.6\n}\n" + GLOBAL % "" +
                 instance(1, "    track_interface {\n        lan0\n    }\n    dont_track_primary\n"))
    daemon.wait_advert(1)
    wait_for("the address", lambda: "10.0.1.1/32" in daemon.box.addresses(), 5)
    begin = time.monotonic()
    daemon.box.sh("ip link set lan1 down")
    wait_for("the fault", lambda: "Entering FAULT STATE" in daemon.box.read("/run/log"), 10, 0.05)
    assert 0.9 < time.monotonic() - begin < 5
    daemon.box.sh("ip link set lan1 up")


def test_unicast_without_peers(daemon):
    """unicast_fault_no_peer: no multicast instead; the file is refused, with the line."""
    daemon.box.write(FILE, GLOBAL % "" + instance(1, "    unicast_fault_no_peer\n"))
    p = daemon.box.call("keepalived", "-t")
    assert p.returncode == 4 and "there is no unicast peer" in p.stderr


def test_processes(daemon):
    """process with parameters, param_match, full_command, quorum, quorum_max, delay, fork_delay, terminate_delay, weight."""
    box = daemon.box
    kinds = {  # weights are bits of the priority above 100
        1: ("exact", "process kdsleep 7771\n weight 1"),
        2: ("initial", "process kdsleep 777\n param_match initial\n weight 2"),
        3: ("partial", "process kdsleep 7772\n param_match partial\n weight 4"),
        4: ("full", "process /run/bin/kdsleep 7773\n full_command\n weight 8"),
        5: ("two", "process kdsleep\n quorum 2\n weight 16"),
        6: ("none", "process kdsleep\n quorum 0\n quorum_max 0\n weight 32"),
    }
    late = {"d": "delay 2", "f": "fork_delay 2", "t": "terminate_delay 2"}
    conf = GLOBAL % ""
    for name, text in list(kinds.values()) + [(n, "process kdlate\n weight 10\n %s" % w) for n, w in late.items()]:
        conf += "vrrp_track_process %s {\n %s\n}\n" % (name, text)
    conf += instance(1, "    track_process {\n%s\n    }\n" % "\n".join(n for n, _ in kinds.values()))
    for k, name in enumerate(late):
        conf += instance(11 + k, "    track_process {\n        %s\n    }\n" % name)
    box.sh("for n in kdsleep kdlate; do cp /usr/bin/sleep /run/bin/$n; done")
    daemon.start(conf)
    daemon.wait_advert(1, 11, 12, 13)

    def priority(vrid):
        return daemon.adverts(vrid)[-1].priority

    wait_for("nothing runs", lambda: priority(1) == 100 + 32, 10)
    for argv, bits in ((("kdsleep", "7771"), 1 + 2), (("kdsleep", "7772", "5"), 1 + 2 + 4 + 16),
                       (("/run/bin/kdsleep", "7773"), 1 + 2 + 4 + 8 + 16)):
        box.spawn(*argv)
        wait_for("%s to count" % (argv,), lambda b=bits: priority(1) == 100 + b, 10)
    begin = time.monotonic()
    child = box.spawn("/run/bin/kdlate", "9000")
    wait_for("at once", lambda: priority(13) == 110, 10)
    assert (priority(11), priority(12)) == (100, 100)
    wait_for("delayed", lambda: priority(11) == priority(12) == 110, 10)
    assert time.monotonic() - begin > 1.9
    box.sh("pkill -x kdlate")
    child.wait(5)
    begin = time.monotonic()
    wait_for("its end at once", lambda: priority(12) == 100, 10)
    assert (priority(11), priority(13)) == (110, 110)
    wait_for("its end delayed", lambda: priority(11) == priority(13) == 100, 10)
    assert time.monotonic() - begin > 0.9  # it is looked for once a second here
