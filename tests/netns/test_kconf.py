"""keepalived.conf as the configuration: reloads that keepalived would get wrong, LVS, blocks of our own, convert."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from lab import wait_for  # noqa: E402

CONF = "/etc/keepalived/keepalived.conf"
TEXT = """global_defs {
    vrrp_version 3
    router_id r1
}
vrrp_instance V1 {
    interface lan0
    virtual_router_id 1
    advert_int 0.1
    virtual_ipaddress {
        10.0.1.5/24
        10.0.1.6/24
    }
}
"""
LVS = """virtual_server 10.0.1.5 80 {
    delay_loop 1
    protocol TCP
    real_server 10.0.1.9 80 {
        weight 1
    }
}
"""


TWICE = """global_defs {
    vrrp_version 3
}
track_file FILE_A {
    file /tmp/a
}
track_file FILE_B {
    file /tmp/b
}
""" + "".join("""vrrp_instance %s {
    interface lan0
    virtual_router_id %d
    advert_int 0.1
    virtual_ipaddress {
        10.0.1.5/24
    }
    virtual_routes {
        10.99.0.0/24 via 10.0.1.254 dev lan0
    }
    virtual_rules {
        from 10.98.0.0/24 table 77 priority 1000
    }
    track_file {
        FILE_%s weight 0
    }
}
""" % (name, vrid, name) for name, vrid in (("A", 1), ("B", 2)))


@pytest.fixture(scope="module")
def box():
    found = Box(build_dir())
    found.write(CONF, TEXT + LVS)
    found.child = found.spawn("keepalived", "-n", "-l", "-f", CONF)
    wait_for("the virtual addresses", lambda: "10.0.1.5/24" in found.addresses(), 10)
    yield found
    found.close()


def log(box):
    return box.read("/run/log")


def reload(box, text):
    """The log from the reload on, once it was judged."""
    before = len(log(box))
    if text is None:
        os.unlink(box.path(CONF))
    else:
        box.write(CONF, text)
    box.run("pkill", "-HUP", "-o", "-x", "keepalived")
    wait_for("the reload to be judged", lambda: "reloaded" in log(box)[before:], 5)
    return log(box)[before:]


BAD = {
    "cut short behind LVS": (LVS, "there is no vrrp_instance in the file any more"),
    "truncated in a block": (TEXT[:TEXT.index("10.0.1.6")], CONF),
    "truncated between blocks": (TEXT[:TEXT.index("vrrp_instance")], "no vrrp_instance"),
    "empty": ("", CONF),
    "blanks and comments": ("# nothing\n\n! nothing\n", CONF),
    "missing": (None, CONF),
    "another program's": ("<html>\n<body>not found</body>\n</html>\n", "no vrrp_instance"),
    "refused word": (TEXT.replace("router_id r1", "router_id r1\n}\nbfd_instance B {\n"), "BFD is not supported"),
    "no vrid": (TEXT.replace("virtual_router_id 1", ""), "virtual_router_id is missing"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_reload_changes_nothing(box, what):
    text, said = BAD[what]
    found = reload(box, text)
    assert said in found, found
    assert "not reloaded, nothing has changed" in found, found
    assert {"10.0.1.5/24", "10.0.1.6/24"} <= set(box.addresses())
    assert "Entering" not in found and "removing VIPs" not in found
    assert box.child.poll() is None


def test_good_reload_after_bad_ones(box):
    found = reload(box, TEXT.replace("10.0.1.6/24", "10.0.1.7/24"))
    assert "Entering" not in found
    wait_for("the addresses of the new file", lambda: "10.0.1.7/24" in box.addresses(), 5)
    assert "10.0.1.6/24" not in box.addresses() and "10.0.1.5/24" in box.addresses()


def test_lvs_is_said(box):
    """One line at the start; and by the shell, as long as the file has it."""
    assert log(box).split("Reloading")[0].count("LVS is not served by this daemon, only VRRP is") == 1
    reload(box, TEXT + LVS)
    assert "Not served: %s:14: virtual_server: LVS is not served" % CONF in box.run("ktsh", "-c", "show failover status")


def test_convert_runs_the_same(box):
    """What convert prints is a file of ours that changes nothing when it takes the place of keepalived's."""
    box.write("/tmp/k.conf", TEXT)
    p = box.call("keeptrackd", "convert", "/tmp/k.conf")
    assert p.returncode == 0 and p.stderr == "", p.stderr
    box.write("/tmp/native.conf", p.stdout)
    assert box.call("keeptrackd", "-t", "-f", "/tmp/native.conf").returncode == 0
    before, after = (box.run("keeptrackd", "-T", "-f", f) for f in ("/tmp/k.conf", "/tmp/native.conf"))
    assert before == after
    box.write("/tmp/lvs.conf", TEXT + LVS)
    p = box.call("keeptrackd", "convert", "/tmp/lvs.conf")
    assert p.returncode == 1 and "# For another program:\n#   /tmp/lvs.conf:14: virtual_server" in p.stdout
    p = box.call("keeptrackd", "convert", "/tmp/none.conf")
    assert p.returncode == 2 and "/tmp/none.conf" in p.stderr and p.stdout == ""


def test_lvs_alone_rests():
    """keepalived's daemon for VRRP has nothing to do then, and waits; a reload gives it work."""
    box = Box(build_dir())
    try:
        box.write(CONF, LVS)
        p = box.call("keepalived", "-t", "-f", CONF)
        assert p.returncode == 0 and "LVS is not served" in p.stderr, p
        child = box.spawn("keepalived", "-n", "-l", "-P", "-f", CONF)
        wait_for("the start", lambda: "Startup complete" in log(box), 10)
        assert "Warning - keepalived has no configuration to run" in log(box)
        assert "LVS is not served" in box.run("ktsh", "-c", "show failover status")
        box.run("ktsh", "-c", "show vrrp json")
        box.run("pkill", "-USR1", "-o", "-x", "keepalived")
        wait_for("the data file", lambda: box.exists("/tmp/keepalived.data"), 5)
        found = reload(box, LVS + TEXT)
        assert "not reloaded" not in found, found
        wait_for("the addresses", lambda: "10.0.1.5/24" in box.addresses(), 10)
        assert child.poll() is None
    finally:
        box.close()


def test_twice_is_there_while_one_is_master():
    """An address, a route and a rule of two virtual routers: keepalived takes them away with the first that leaves."""
    box = Box(build_dir())

    def there():
        return ("10.0.1.5/24" in box.addresses(), "10.99.0.0/24" in box.run("ip", "route"),
                "lookup 77" in box.run("ip", "rule"))

    def put(name, value):
        """A value other than 0 is a fault of that virtual router."""
        box.write("/tmp/%s" % name.lower(), "%d\n" % value)
        wait_for("(%s)" % name, lambda: state(name) == ("FAULT" if value else "MASTER"), 10)

    def state(name):
        found = [line for line in log(box).splitlines() if "(%s) Entering " % name in line]
        return found[-1].split("Entering ")[1].split()[0] if found else None

    try:
        box.write(CONF, TWICE)
        box.write("/tmp/a", "0\n")
        box.write("/tmp/b", "0\n")
        assert box.call("keepalived", "-t", "-f", CONF).returncode == 0
        box.spawn("keepalived", "-n", "-l", "-f", CONF)
        wait_for("both masters", lambda: state("A") == state("B") == "MASTER" and all(there()), 10)
        assert log(box).count("is a virtual address of A (%s:15) too" % CONF) == 1, log(box)
        for name, other in (("A", "B"), ("B", "A")):
            put(name, 1)
            assert all(there())
            put(other, 1)
            wait_for("their end", lambda: not any(there()), 5)
            put(other, 0)
            wait_for("their return", lambda: all(there()), 5)
            put(name, 0)
            assert all(there())
    finally:
        box.close()
