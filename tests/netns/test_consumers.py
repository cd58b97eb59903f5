"""Called keepalived: who starts it, watches it and reads what it writes, with their own command lines and parsing rules.

All daemons start together and find their role at the same time; each test looks at one of them.
"""

import concurrent.futures
import json
import os
import re
import signal
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

import consumers  # noqa: E402
from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from lab import wait_for  # noqa: E402

UUID = "0f1c8d3e-5a67-4a0b-9c1d-2e3f4a5b6c7d"


class Neutron:
    """The agent of highly available routers: a namespace and a pair of pid files for each router."""

    ns, dir = "qrouter-" + UUID, "/var/lib/neutron/ha_confs/" + UUID
    conf, pid = dir + "/keepalived.conf", "/var/lib/neutron/ha_confs/%s.pid.keepalived" % UUID
    CONF = """global_defs {
    notification_email_from neutron@openstack.local
    router_id neutron
}
vrrp_instance VR_7 {
    state BACKUP
    interface ha-1
    virtual_router_id 7
    priority 50
    garp_master_delay 60
    nopreempt
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass hascript
    }
    track_interface {
        ha-1
    }
    virtual_ipaddress {
        169.254.0.7/24 dev ha-1
    }
    virtual_ipaddress_excluded {
        10.7.0.1/24 dev qr-1 no_track
        fe80::f816:3eff:fe00:1/64 dev qr-1 scope link no_track
%s    }
    virtual_routes {
        0.0.0.0/0 via 10.7.0.254 dev qr-1 no_track protocol static
    }
}
"""

    def __init__(self, box):
        self.box = box
        box.sh("""mkdir -p %s && ip netns add %s && ip -n %s -batch - <<EOF
link set lo up
link add ha-1 type veth peer name ha-2
link add qr-1 type veth peer name qr-2
addr add 169.254.192.7/18 dev ha-1
link set ha-1 up
link set ha-2 up
link set qr-1 up
link set qr-2 up
EOF
""" % (self.dir, self.ns, self.ns))
        box.write(self.conf, self.CONF % "")
        self.monitor = box.spawn("ip", "-o", "monitor", "address", ns=self.ns, log="/run/monitor")

    def start(self):
        p = self.box.call("env", "PROCESS_TAG=keepalived-" + UUID, "keepalived", "-P", "-f", self.conf, "-p", self.pid, "-r",
                          self.pid + "-vrrp", "-D", ns=self.ns)
        assert (p.returncode, p.stdout, p.stderr) == (0, "", "")

    def active(self):
        """neutron.agent.linux.external_process: the number is there, and the command line bears the router's id."""
        try:
            pids = [self.box.pid_in(path) for path in (self.pid, self.pid + "-vrrp")]
        except FileNotFoundError:
            return False
        return all(self.box.lives(p) and UUID in self.box.read("/proc/%d/cmdline" % p) for p in pids)


class Octavia:
    """The agent in an amphora: a forking unit with a PIDFile."""

    ns, dir = "amphora-haproxy", "/var/lib/octavia/vrrp"
    conf, pid = dir + "/octavia-keepalived.conf", dir + "/octavia-keepalived.pid"
    CONF = """vrrp_script check_script {
  script /var/lib/octavia/vrrp/check_script.sh
  interval 5
  fall 2
  rise 2
}

vrrp_instance TESTGROUP {
  state MASTER
  interface lan0
  virtual_router_id 1
  priority 100
  nopreempt
  accept
  garp_master_refresh 5
  garp_master_refresh_repeat 2
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass TESTPASS
  }

  unicast_src_ip 10.0.1.10
  unicast_peer {
    10.0.1.11
  }

  virtual_ipaddress {
    10.0.1.5
  }

  virtual_routes {
    10.0.1.0/24 dev lan0 src 10.0.1.5 scope link table 1
    default gateway 10.0.1.254 dev lan0 onlink table 1
  }

  virtual_rules {
    from 10.0.1.5/32 table 1 priority 100
  }

  track_script {
    check_script
  }
}
"""

    def __init__(self, box):
        self.box = box
        box.namespace(self.ns)
        box.sh("mkdir -p " + self.dir)
        box.write(self.conf, self.CONF)
        box.write(self.dir + "/check_script.sh", "#!/bin/sh\nexit 0\n", 0o755)

    def start(self):
        p = self.box.call("/usr/bin/env", "keepalived", "--log-facility=1", "-f", self.conf, "-p", self.pid, "-r",
                          self.dir + "/vrrp.pid", "-c", self.dir + "/checkers.pid", ns=self.ns)
        assert p.returncode == 0, p.stderr
        self.main = self.box.pid_in(self.pid)  # PIDFile= is read when the parent has ended: it must be there


class Kolla:
    """A container whose only process it is; bundled options."""

    CONF = """vrrp_script check_alive {
    script "/check_alive.sh"
    interval 2
    fall 2
    rise 10
}

vrrp_instance kolla_internal_vip_51 {
    state BACKUP
    nopreempt
    interface lan0
    virtual_router_id 51
    priority 7
    advert_int 1
    virtual_ipaddress {
        10.0.1.250 dev lan0
    }
    authentication {
        auth_type PASS
        auth_pass aVeryLongPasswordOfTheGenerator
    }
}
"""

    def __init__(self, box):
        self.box = box
        box.write("/etc/keepalived/keepalived.conf", self.CONF)
        box.write("/run/keepalived.pid", "99999\n")

    def start(self):
        self.box.sh("rm -f /run/keepalived.pid")
        self.process = self.box.spawn("keepalived", "-nld", "-p", "/run/keepalived.pid")


class OpenShift:
    """A static pod with a liveness probe, and no more capabilities than these."""

    CONF = """global_defs {
    enable_script_security
    script_user root
    max_auto_priority -1
    vrrp_garp_master_refresh 60
}
vrrp_script chk_ingress {
    script "/usr/bin/test -e /run/ingress"
    interval 1
    weight 20
    rise 3
    fall 2
}
vrrp_instance cluster_INGRESS {
    state BACKUP
    interface lan0
    virtual_router_id 52
    priority 20
    advert_int 1
    unicast_src_ip 10.0.1.10
    unicast_peer {
        10.0.1.11
        10.0.1.12
    }
    authentication {
        auth_type PASS
        auth_pass cluster_ingress_vip
    }
    virtual_ipaddress {
        10.0.1.100/32 label vip
    }
    track_script {
        chk_ingress
    }
}
"""

    def __init__(self, box):
        self.box = box
        box.write("/etc/keepalived/keepalived.conf", self.CONF)
        box.write("/run/ingress", "")

    def start(self):
        self.process = self.box.spawn(
            "setpriv", "--bounding-set", "-all,+net_admin,+net_raw,+sys_chroot", "--inh-caps", "-all", "keepalived",
            "-f", "/etc/keepalived/keepalived.conf", "--dont-fork", "--vrrp", "--log-detail", "--log-console")


class VyOS:
    """The VRRP service of a router's operating system: JSON, FIFO, scripts of groups."""

    conf, pid = "/run/keepalived/keepalived.conf", "/run/keepalived/keepalived.pid"
    CONF = """global_defs {
    dynamic_interfaces
    script_user root
    notify_fifo /run/keepalived/keepalived_notify_fifo
    notify_fifo_script /run/bin/reader
}
vrrp_instance lan-10 {
    state BACKUP
    interface lan0
    virtual_router_id 10
    priority 150
    advert_int 1
    preempt_delay 0
    virtual_ipaddress {
        10.0.1.1/24
    }
}
vrrp_instance lan-20 {
    state BACKUP
    interface lan0
    virtual_router_id 20
    priority 150
    advert_int 1
    nopreempt
    virtual_ipaddress { 10.0.1.2/24 }
}
vrrp_sync_group both {
    group {
        lan-10
        lan-20
    }
    notify_master "/run/bin/note master both"
    notify_backup "/run/bin/note backup both"
    notify_fault "/run/bin/note fault both"
}
"""

    def __init__(self, box):
        self.box = box
        box.sh("mkdir -p /run/keepalived")
        box.write("/run/bin/reader", "#!/bin/sh\nexec cat \"$1\" >>/run/fifo-lines\n", 0o755)
        box.write("/run/bin/note", "#!/bin/sh\necho \"$@\" >>/run/notes\n", 0o755)
        box.write(self.conf, self.CONF)

    def start(self):
        self.process = self.box.spawn("keepalived", "--use-file", self.conf, "--pid", self.pid, "--dont-fork", "--snmp")


class Exporters:
    """Two exporters and a plugin of a monitoring system: what they send, and how they read."""

    CONF = """global_defs {
    router_id exported
    script_user root
}
vrrp_script chk_script {
    script "/bin/true"
    interval 1
    weight 100
}
vrrp_instance VI_1 {
    state MASTER
    interface lan0
    virtual_router_id 52
    priority 50
    advert_int 1
    track_script {
        chk_script
    }
    virtual_ipaddress {
        10.0.1.1/24
        10.0.1.2/24 dev lan1
    }
    notify "/run/bin/state"
}
vrrp_instance VI_2 {
    interface lan0
    virtual_router_id 53
    priority 60
    advert_int 1
    virtual_ipaddress {
        10.0.1.3
    }
    virtual_ipaddress_excluded {
        10.0.9.1/24
    }
    notify "/run/bin/state"
}
"""

    def __init__(self, box):
        self.box = box
        box.write("/etc/keepalived/keepalived.conf", self.CONF)
        box.write("/run/bin/state", '#!/bin/sh\necho "$1 $2 is in $3 state" >/run/state.$2\n', 0o755)

    def start(self):
        self.box.run("keepalived", "-D")


CONSUMERS = {"neutron": Neutron, "octavia": Octavia, "kolla": Kolla, "openshift": OpenShift, "vyos": VyOS,
             "exporters": Exporters}


@pytest.fixture(scope="module")
def world():
    """One box for each, started together."""
    boxes = []

    def make(cls):
        box = Box(build_dir())
        boxes.append(box)
        one = cls(box)
        one.start()
        return one

    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            yield dict(zip(CONSUMERS, pool.map(make, CONSUMERS.values())))
    finally:
        for box in boxes:
            box.close()


def log_of(box):
    return box.read("/run/log") if box.exists("/run/log") else ""


# ---- Neutron

def test_neutron(world):
    n = world["neutron"]
    box = n.box
    p = box.call("keepalived", "--version")
    assert p.stdout == ""
    assert tuple(int(x) for x in p.stderr.split("\n")[0].split()[1][1:].split(".")) >= (2, 0, 3)
    assert n.active()
    main = box.pid_in(n.pid)
    # Its role is the address, seen by a monitor.
    wait_for("the address in the monitor", lambda: re.search(r"ha-1 +inet 169\.254\.0\.7/24", box.read("/run/monitor")), 10)
    wait_for("the addresses of the router", lambda: "10.7.0.1/24" in box.addresses("qr-1", n.ns), 3)
    assert "fe80::f816:3eff:fe00:1/64" in box.addresses("qr-1", n.ns)
    assert "via 10.7.0.254 dev qr-1" in box.run("ip", "route", "show", "default", ns=n.ns)
    # A router gets a network: the file changes, HUP. The role stays, and the first address never leaves.
    before = box.read("/run/monitor")
    box.write(n.conf, n.CONF % "        10.8.0.1/24 dev qr-1 no_track\n")
    box.run("kill", "-HUP", str(main))
    wait_for("the new address", lambda: "10.8.0.1/24" in box.addresses("qr-1", n.ns), 5)
    assert n.active() and box.pid_in(n.pid) == main
    assert "Deleted" not in box.read("/run/monitor")[len(before):]
    # Stop: TERM, and KILL after 5 s, which must not be needed.
    box.run("kill", "-TERM", str(main))
    wait_for("its end", lambda: not n.active() and not box.lives(main), 4.5)
    assert not box.exists(n.pid) and not box.exists(n.pid + "-vrrp")
    assert "169.254.0.7/24" not in box.addresses("ha-1", n.ns)


# ---- Octavia

def test_octavia(world):
    o = world["octavia"]
    box = o.box
    wait_for("the address", lambda: "10.0.1.5/32" in box.addresses(ns=o.ns), 10)
    assert box.pid_in(o.dir + "/vrrp.pid") == o.main
    # Its interface code leaves alone what bears the protocol of keepalived, and removes the rest.
    rules = json.loads(box.run("ip", "-j", "-d", "rule", ns=o.ns))
    assert [r["protocol"] for r in rules if r.get("priority") == 100] == ["keepalived"]
    wait_for("the routes", lambda: len(box.run("ip", "route", "show", "table", "1", ns=o.ns).strip().split("\n")) == 2, 3)
    routes = box.run("ip", "route", "show", "table", "1", "proto", "keepalived", ns=o.ns)
    assert re.search(r"default via 10\.0\.1\.254 dev lan0 onlink", routes)
    assert re.search(r"10\.0\.1\.0/24 dev lan0 scope link src 10\.0\.1\.5", routes)
    # ExecReload, then a stop with KillMode=process: the main process alone is told.
    box.run("kill", "-HUP", str(o.main))
    time.sleep(0.2)
    assert box.lives(o.main)
    box.run("kill", "-TERM", str(o.main))
    wait_for("its end", lambda: not box.exists(o.pid), 5)
    assert "10.0.1.5/32" not in box.addresses(ns=o.ns)


# ---- Kolla

def test_kolla(world):
    k = world["kolla"]
    wait_for("the address", lambda: "10.0.1.250/32" in k.box.addresses(), 10)
    main = k.box.pid_in("/run/keepalived.pid")
    assert k.box.read("/proc/%d/cmdline" % main) == "keepalived\0-nld\0-p\0/run/keepalived.pid\0"
    log = log_of(k.box)
    for phrase in ("Entering BACKUP STATE (init)", "Receive advertisement timeout", "Entering MASTER STATE",
                   "VRRP Instance = kolla_internal_vip_51"):
        assert phrase in log, phrase
    assert k.box.call("keepalived", "-nl").returncode == 0, "the second one sees that the first one runs"
    assert "daemon is already running" in k.box.call("keepalived", "-nl").stderr
    k.box.run("kill", "-TERM", str(main))
    assert k.process.wait(5) == 0


# ---- OpenShift

def test_openshift_probe(world):
    o = world["openshift"]
    box = o.box
    wait_for("the address", lambda: "10.0.1.100/32" in box.addresses(), 10)
    assert "label" in o.CONF and " vip\\" in box.run("ip", "-o", "-4", "addr", "show", "lan0").replace(" \\", "\\")
    # The probe, as it stands in the manifest.
    box.run("bash", "-c", """rm -f /tmp/keepalived.data
kill -s SIGUSR1 "$(pgrep -o keepalived)"
timeout 5 bash -c 'until grep -q "VRRP Instance" /tmp/keepalived.data 2>/dev/null; do sleep 0.02; done'""")
    assert box.read("/proc/%s/comm" % box.run("pgrep", "-o", "keepalived").strip()) == "keepalived\n"
    # The script's result counts.
    wait_for("the weight of the script", lambda: consumers.json_of(box)[0]["data"]["effective_priority"] == 40, 8)
    box.sh("kill -HUP $(pgrep -o keepalived)")
    time.sleep(0.2)
    assert "10.0.1.100/32" in box.addresses()


# ---- VyOS

def test_vyos(world):
    v = world["vyos"]
    box = v.box
    wait_for("both addresses", lambda: {"10.0.1.1/24", "10.0.1.2/24"} <= set(box.addresses()), 10)
    main = box.pid_in(v.pid)
    # vyos.ifconfig.vrrp: the number of the signal is built in, the file is waited for, read and deleted.
    for signo, name in ((signal.SIGRTMIN + 2, "json"), (signal.SIGUSR1, "data"), (signal.SIGUSR2, "stats")):
        path = "/tmp/keepalived." + name
        box.sh("rm -f " + path)
        box.run("kill", "-%d" % signo, str(main))
        wait_for(path, lambda path=path: box.exists(path), 5)
        assert os.stat(box.path(path)).st_mode & 0o777 == 0o600
        assert box.read(path)
        if name == "json":
            rows = [[r["data"][k] for k in ("iname", "ifp_ifname", "vrid", "state", "effective_priority", "last_transition")]
                    for r in json.loads(box.read(path))]
            assert [r[:5] for r in rows] == [["lan-10", "lan0", 10, 2, 150], ["lan-20", "lan0", 20, 2, 150]]
            assert abs(rows[0][5] - time.time()) < 60
    # system/keepalived-fifo.py
    lines = wait_for("lines of the FIFO", lambda: [x for x in box.read("/run/fifo-lines").split("\n") if "MASTER" in x][2:]
                     and box.read("/run/fifo-lines"), 5)
    found = [re.match(r'(?P<type>\w+)\s"(?P<name>[\w-]+)"\s(?P<state>\w+)\s(?P<priority>\d+)$', x).groups()
             for x in lines.strip().split("\n")]
    last = {name: state for _, name, state, _ in found}
    assert last == {"lan-10": "MASTER", "lan-20": "MASTER", "both": "MASTER"}
    assert wait_for("the group's scripts", lambda: box.read("/run/notes").endswith("master both\n"), 5)
    box.run("kill", "-TERM", str(main))
    assert v.process.wait(5) == 0


# ---- Ansible, Puppet

@pytest.mark.parametrize("argv", [["--config-test", "-f"], ["-l", "-t", "-f"]])
def test_files_are_checked_before_use(world, argv):
    box = world["exporters"].box
    good = Exporters.CONF.replace("script_user root", "script_user root\n    enable_script_security")
    box.write("/run/good.conf", good)
    p = box.call("keepalived", *argv, "/run/good.conf")
    assert p.returncode == 0, p.stderr
    box.write("/run/bad.conf", good.replace("virtual_router_id 52", "virtual_router_id 520"))
    p = box.call("keepalived", *argv, "/run/bad.conf")
    assert p.returncode != 0 and "/run/bad.conf" in p.stderr and "520" in p.stderr
    p = box.call("keepalived", *argv, "/run/missing.conf")
    assert p.returncode == 4 and "missing.conf" in p.stderr


def test_version_is_understood(world):
    p = world["exporters"].box.call("keepalived", "-v")
    assert p.returncode == 0 and p.stdout == ""
    first = p.stderr.split("\n")[0]
    assert re.fullmatch(r"\d+\.\d+\.\d+", re.search(r"[kK]eepalived v(.*) ", first).group(1))  # Ansible
    assert re.match(r"Keepalived v(\d+\.\d+\.\d+) .+", first)  # Puppet
    assert consumers.mehdy_version(p.stderr) >= (2, 0, 0)
    assert "--enable-json" in p.stderr


# ---- exporters

def both_masters(e):
    wait_for("both roles", lambda: {"10.0.1.1/24", "10.0.1.3/32"} <= set(e.box.addresses()), 10)


def test_mehdy_exporter_text(world):
    e = world["exporters"]
    both_masters(e)
    assert [consumers.signum(e.box, s) for s in ("JSON", "DATA", "STATS")] == [36, 10, 12]
    consumers.send(e.box, "/var/run/keepalived.pid", 10)
    consumers.send(e.box, "/var/run/keepalived.pid", 12)
    data = consumers.mehdy_data(e.box.read("/tmp/keepalived.data"))
    assert {k: (d["State"], d["Wantstate"], d["Interface"], d["Virtual Router ID"], d["Gratuitous ARP delay"])
            for k, d in data.items()} == {"VI_1": ("MASTER", "MASTER", "lan0", "52", "5"),
                                          "VI_2": ("MASTER", "MASTER", "lan0", "53", "5")}
    assert [consumers.mehdy_vip(v) for v in data["VI_1"]["vips"]] == [("10.0.1.1/24", "lan0"), ("10.0.1.2/24", "lan1")]
    stats = consumers.mehdy_stats(e.box.read("/tmp/keepalived.stats"))
    assert set(stats) == {"VI_1", "VI_2"}
    assert stats["VI_1"]["Became master"] == 1 and stats["VI_1"]["Released master"] == 0
    assert stats["VI_1"]["Advertisements"]["Sent"] > 0
    assert set(stats["VI_2"]) == {"Advertisements", "Became master", "Released master", "Packet Errors",
                                  "Authentication Errors", "Priority Zero"}
    assert consumers.mehdy_scripts(e.box.read("/tmp/keepalived.data")) == [("chk_script", "GOOD", "idle")]


def test_mehdy_exporter_json(world):
    e = world["exporters"]
    both_masters(e)
    consumers.send(e.box, "/var/run/keepalived.pid", 36)
    rows = json.loads(e.box.read("/tmp/keepalived.json"))
    for row in rows:
        for key in consumers.MEHDY_DATA:
            assert isinstance(row["data"][key], (int, float, str, list)), key
        assert set(row["stats"]) == set(consumers.STATS)
        assert all(isinstance(v, int) for v in row["stats"].values())
    assert [consumers.mehdy_vip(v) for v in rows[1]["data"]["evips"]] == [("10.0.9.1/24", "lan0")]
    assert rows[0]["data"]["effective_priority"] == 150


def test_gen2brain_exporter(world):
    e = world["exporters"]
    both_masters(e)
    pid = consumers.first_by_name(e.box, "keepalived")
    assert pid == e.box.pid_in("/run/keepalived.pid")
    e.box.sh("rm -f /tmp/keepalived.*; kill -36 %d; kill -USR1 %d; kill -USR2 %d" % (pid, pid, pid))
    time.sleep(0.1)  # as it does
    rows = [(r["data"]["iname"], r["data"]["ifp_ifname"], r["data"]["vrid"], r["data"]["state"])
            for r in json.loads(e.box.read("/tmp/keepalived.json"))]
    assert rows == [("VI_1", "lan0", 52, 2), ("VI_2", "lan0", 53, 2)]
    assert consumers.gen2brain_data(e.box.read("/tmp/keepalived.data")) == rows
    assert len(consumers.gen2brain_stats(e.box.read("/tmp/keepalived.stats"))) == len(rows)


def test_monitoring_plugins(world):
    e = world["exporters"]
    both_masters(e)
    # State files that notify scripts write.
    for name in ("VI_1", "VI_2"):
        wait_for("the state of " + name,
                 lambda name=name: e.box.read("/run/state." + name) == "INSTANCE %s is in MASTER state\n" % name, 5)
    # The agent plugin of Checkmk.
    out = e.box.sh("""kill -s "$(keepalived --signum=JSON)" "$(cat /run/keepalived.pid)"
sleep 0.2
cat /tmp/keepalived.json
rm /tmp/keepalived.json""")
    assert [r["data"]["state"] for r in json.loads(out)] == [2, 2]
    # Counters that are cleared.
    e.box.sh('kill -s "$(keepalived --signum=STATS_CLEAR)" "$(cat /run/keepalived.pid)"; sleep 0.2; rm /tmp/keepalived.stats; '
             'kill -USR2 "$(cat /run/keepalived.pid)"; sleep 0.2')
    assert consumers.mehdy_stats(e.box.read("/tmp/keepalived.stats"))["VI_1"]["Became master"] == 0


def test_init_script_finds_it(world):
    """start-stop-daemon, pidof and killall know it by its name and file."""
    e = world["exporters"]
    main = e.box.pid_in("/run/keepalived.pid")
    assert e.box.call("start-stop-daemon", "--status", "--exec", "/run/bin/keepalived", "--pidfile",
                      "/var/run/keepalived.pid").returncode == 0
    assert str(main) in e.box.run("pidof", "keepalived").split()
    e.box.run("killall", "-0", "keepalived")
    # Signals to all of that name end it in order.
    e.box.run("killall", "keepalived")
    wait_for("its end", lambda: not e.box.lives(main), 5)
    assert not e.box.exists("/run/keepalived.pid") and not e.box.exists("/run/vrrp.pid")
    assert e.box.addresses() == [a for a in e.box.addresses() if a.startswith(("10.0.1.10/", "fe80"))]
