"""What signals have written, beside the files of the real keepalived: the same configuration, at the same time."""

import json
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from lab import wait_for  # noqa: E402

RICH = """global_defs {
    router_id box
    vrrp_version 3
    script_user root
    enable_script_security
    vrrp_garp_master_delay 1
    notify_fifo /run/fifo
    notification_email {
        a@b
    }
    notification_email_from c@d
%s}
vrrp_script chk {
    script "/run/bin/ok arg1 'two words'"
    interval 1
    timeout 1
    rise 1
    fall 1
    weight 5
}
vrrp_track_process nobody {
    process kdnone 900
    weight 8
    param_match initial
    quorum 2
    quorum_max 5
    fork_delay 0.5
    terminate_delay 0.25
    full_command
}
track_file tf {
    file /run/tracked
    weight 3
    init_file 2 overwrite
}
static_ipaddress {
    10.77.0.1/24 dev lan0
}
static_routes {
    10.79.0.0/16 via 10.0.1.99 dev lan0
}
static_rules {
    from 10.79.0.0/16 table 79 priority 979
}
vrrp_sync_group G1 {
    group {
        VI_1
        VI_2
    }
    notify_master "/run/bin/ok group"
    smtp_alert off
}
vrrp_instance VI_1 {
    state BACKUP
    interface lan0
    virtual_router_id 51
    priority 100
    advert_int 0.1
    nopreempt
    virtual_ipaddress {
        10.0.1.1/24 brd + label lan0:v1
        10.0.1.2/32 scope link no_track
        10.0.1.3 dev lan2 no_track
        10.0.2.1 peer 10.0.2.2
    }
    virtual_ipaddress_excluded {
        2001:db8::5/64 preferred_lft 500
        2001:db8::6/128
        2001:db8::7/64 home -nodad noprefixroute
    }
    virtual_routes {
        192.168.9.0/24 via 10.0.1.99 dev lan0 src 10.0.1.1 metric 50
        blackhole 192.168.10.0/25 no_track
    }
    virtual_rules {
        from 192.168.9.0/24 table 79 priority 1000
    }
    notify_master "/run/bin/ok m"
    notify_backup "/run/bin/ok b 'c d'"
    notify_fault /run/bin/ok
    notify_stop /run/bin/ok
    notify /run/bin/ok root
    notify_master_rx_lower_pri /run/bin/ok
    notify_deleted
}
vrrp_instance VI_2 {
    interface lan2
    virtual_router_id 52
    priority 90
    advert_int 0.1
    use_vmac vm52
    virtual_ipaddress {
        10.0.3.1/24
    }
    lower_prio_no_advert
    higher_prio_send_advert
    garp_master_repeat 2
    garp_master_refresh 9
    garp_master_refresh_repeat 3
    garp_lower_prio_delay 4
    garp_lower_prio_repeat 3
}
vrrp_instance VI_3 {
    interface lan0
    virtual_router_id 53
    priority 120
    advert_int 2
    version 2
    authentication {
        auth_type PASS
        auth_pass secret
    }
    unicast_src_ip 10.0.1.10
    unicast_peer {
        10.0.1.99
        10.0.1.98
    }
    unicast_ttl 64
    check_unicast_src
    virtual_ipaddress {
        10.0.4.1/24
    }
    dont_track_primary
    skip_check_adv_addr
    down_timer_adverts 40
    no_accept
}
vrrp_instance VI_4 {
    interface lan0
    virtual_router_id 54
    priority 200
    advert_int 0.1
    strict_mode
    virtual_ipaddress {
        10.0.5.1/24
    }
    track_interface {
        lan2 weight -20
        lan3
    }
    track_script {
        chk weight -9
    }
    track_file {
        tf
    }
    track_process {
        nobody
    }
}
"""

# what is meant to differ: instants and counts; sysctls that this daemon sets in any case; routes and rules in
# the words of this daemon; and track_process, which keepalived writes since 2.3
OTHER = {"last_transition", "promote_secondaries", "vroutes", "vrules", "track_process"}


class Daemon:
    def __init__(self, original, more=""):
        self.box = Box(build_dir(), original=original)
        self.box.sh("ip link add lan2 type veth peer name lan3; ip addr add 10.0.3.10/24 dev lan2; "
                    "ip link set lan2 up; ip link set lan3 up")
        self.box.write("/run/bin/ok", "#!/bin/sh\nexit 0\n", 0o755)
        self.box.write("/etc/keepalived/keepalived.conf", RICH % more)
        self.box.spawn("keepalived", "-nlD")

    def settled(self):
        return "10.0.3.1/24" in self.box.addresses("vm52") and "10.0.5.1/24" in self.box.addresses()

    def ask(self, signo, name):
        """The file that a signal has written, once it is whole."""
        self.box.sh("rm -f /tmp/%s; kill -%d $(cat /run/keepalived.pid)" % (name, signo))

        def whole():
            return self.box.exists("/tmp/" + name) and self.box.read("/tmp/" + name).endswith(("\n", "]", "}"))
        wait_for(name, whole, 5)
        return self.box.read("/tmp/" + name)


@pytest.fixture(scope="module")
def both():
    pair = Daemon(True), Daemon(False, "    json_version 2\n")
    for d in pair:
        wait_for("two masters", d.settled, 15)
    yield pair
    for d in pair:
        d.box.close()


def test_json(both):
    """The same keys in the same order, and the same values; version 2 has the tracked processes behind the list."""
    theirs, ours = (json.loads(d.ask(36, "keepalived.json")) for d in both)
    assert list(ours) == ["vrrp", "track_process"]
    assert [r["data"]["iname"] for r in theirs] == [r["data"]["iname"] for r in ours["vrrp"]]
    for a, b in zip(theirs, ours["vrrp"]):
        name = a["data"]["iname"]
        assert [k for k in a["data"] if k not in OTHER] == [k for k in b["data"] if k not in OTHER], name
        assert set(a["data"]) - set(b["data"]) == set(), name
        for key in a["data"]:
            if key not in OTHER:
                assert a["data"][key] == b["data"][key], (name, key)
            assert isinstance(b["data"][key], type(a["data"][key])) or key == "last_transition", (name, key)
        assert abs(a["data"]["last_transition"] - b["data"]["last_transition"]) < 60
        assert len(a["data"].get("vroutes", [])) == len(b["data"].get("vroutes", []))
        assert list(a["stats"]) == list(b["stats"])
    last = ours["vrrp"][3]["data"]
    assert last["track_process"] == ["nobody"] and last["strict_mode"] == 1
    assert last["effective_priority"] == 200 + 2 * 3
    assert ours["vrrp"][2]["data"]["dont_track_primary"] == ours["vrrp"][2]["data"]["skip_check_adv_addr"] == 1
    assert ours["track_process"] == [{
        "process": "kdnone", "parameters": "900", "param_match": "initial", "min_processes": 2, "max_processes": 5,
        "current_processes": 0, "have_quorum": False, "weight": 8, "terminate_delay": 0.25, "fork_delay": 0.5,
        "fork_delay_timer_running": False, "terminate_delay_timer_running": False, "full_command": True}]


def sections(text):
    """{title: {name: [lines]}} of a data file; names of instances, groups, scripts and other things."""
    found, part, thing = {}, None, None
    for line in text.split("\n"):
        if line.startswith("------<"):
            part = found.setdefault(line.strip("-<> "), {})
            thing = part.setdefault("", [])
        elif line.startswith(" ") and line[1] != " " and " = " in line and part is not found.get("Global definitions"):
            thing = part.setdefault(line.split(" = ")[1].split(",")[0], [line])
        elif thing is not None and line.strip():
            thing.append(line)
    return found


# lines that name what only keepalived has: descriptors, a process that reads with a timeout, ids of users, counters of
# its own settings; and routes and rules in the words of this daemon
THEIRS = ("Flags", "Read timeout", "fd_in", "Result", "Insecure", "Script uid:gid", "VRRP instances :", "Using unicast",
          "Unicast checksum", "Last transition", "Promote_secondaries", "Master router", "Master priority", "Wantstate",
          "Virtual IP Excluded", "Multicast address", "Interface = ", "Timeout =", "prepend", "add ", "from ")


def test_data(both):
    """What keepalived says of instances, groups, scripts, files and processes is said here, too, in the same words."""
    theirs, ours = (sections(d.ask(10, "keepalived.data")) for d in both)
    missing = []
    for title in ("Static Addresses", "Static Routes", "Static Rules", "VRRP Topology", "VRRP Sync groups", "VRRP Scripts",
                  "VRRP Track processes", "VRRP Track files"):
        for name, lines in theirs[title].items():
            have = [line.split(", uid:gid")[0] for line in ours[title].get(name, [])]
            missing += ["%s: %s: %s" % (title, name, line) for line in lines
                        if line.split(", uid:gid")[0] not in have and not line.strip().startswith(THEIRS)]
    assert not missing, "\n".join(missing)
    assert len(ours["Static Routes"][""]) == len(ours["Static Rules"][""]) == 1
    assert {"lan0", "lan2", "vm52"} <= set(ours["Interfaces"]) & set(theirs["Interfaces"])
    for name in ("lan0", "vm52"):
        assert [x for x in ours["Interfaces"][name] if "MTU" in x] == [x for x in theirs["Interfaces"][name] if "MTU" in x]
    glob = set(ours["Global definitions"][""])
    assert {x for x in theirs["Global definitions"][""] if x.startswith((" Router ID", " Email", "   a@b", " umask", " Script s"))} <= glob


def test_stats(both):
    """Line by line the same but for numbers."""
    theirs, ours = ([line.split(": ")[0] for line in d.ask(12, "keepalived.stats").split("\n")] for d in both)
    assert theirs == ours


def test_file_of_the_parent(both):
    """keepalived's parent writes what holds for the whole file; with the same mode."""
    for d in both:
        d.ask(10, "keepalived_parent.data")
        assert d.box.read("/tmp/keepalived_parent.data").startswith("------< Global definitions >------\n")
        assert os.stat(d.box.path("/tmp/keepalived_parent.data")).st_mode & 0o777 == 0o600
