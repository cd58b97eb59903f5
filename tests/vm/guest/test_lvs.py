"""LVS from the same file: the real keepalived runs its checkers beside this daemon, which serves VRRP."""

import subprocess

import pytest

from box import Box
from lab import wait_for

CONF = "/etc/keepalived/keepalived.conf"
TEXT = """global_defs {
    router_id r1
    vrrp_version 3
}
vrrp_instance V1 {
    interface lan0
    virtual_router_id 1
    advert_int 0.1
    virtual_ipaddress {
        10.0.1.5/24
    }
}
virtual_server 10.0.1.5 80 {
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
    alpha
    real_server 10.0.1.10 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
conntrack_sync {
    store warm
    insecure
    cluster one
    self 1
    node 1 r1 10.0.1.10
    node 2 r2 10.0.1.11
}
"""


@pytest.fixture(scope="module")
def box(build):
    for module in ("ip_vs", "ip_vs_rr"):
        subprocess.run(["modprobe", module], check=True)
    found = Box(build)
    yield found
    found.close()


def services(box):
    """Real servers by virtual server, as the kernel has them."""
    return [line.split()[:2] for line in box.run("cat", "/proc/net/ip_vs").split("\n")[3:] if line]


def test_both_on_one_file(box):
    """VRRP is ours, the virtual server is keepalived's; each reloads and ends by itself."""
    box.write(CONF, TEXT)
    box.write("/tmp/server.py", "import socket\ns = socket.create_server(('10.0.1.10', 80))\nwhile True:\n    s.accept()[0].close()\n")
    server = box.spawn("/usr/bin/python3", "/tmp/server.py")
    ours = box.spawn("keepalived", "-n", "-l", "-f", CONF, "-p", "/run/ours.pid", log="/run/ours.log")
    wait_for("the virtual address", lambda: "10.0.1.5/24" in box.addresses(), 30)
    theirs = box.spawn("/usr/sbin/keepalived", "--check", "-n", "-l", "-f", CONF, "--pid", "/run/lvs.pid",
                       "--checkers_pid", "/run/lvs_checkers.pid", log="/run/lvs.log")
    wait_for("the real server to be checked", lambda: ["->", "0A00010A:0050"] in services(box), 30)
    assert "LVS is not served by this daemon, only VRRP is" in box.read("/run/ours.log")
    assert "Unknown keyword 'conntrack_sync'" in box.read("/run/lvs.log")
    assert "VRRP_Instance" not in box.read("/run/lvs.log") and "VRRP child" not in box.read("/run/lvs.log")

    # a reload of one leaves the other alone
    box.run("kill", "-HUP", box.read("/run/lvs.pid").strip())
    box.run("kill", "-HUP", box.read("/run/ours.pid").strip())
    wait_for("our reload", lambda: "configuration reloaded" in box.read("/run/ours.log"), 10)
    wait_for("the real server again", lambda: ["->", "0A00010A:0050"] in services(box), 10)
    assert "10.0.1.5/24" in box.addresses()

    # the one that ends takes what is its own
    box.run("kill", "-TERM", box.read("/run/ours.pid").strip())
    assert ours.wait(20) == 0
    assert "10.0.1.5/24" not in box.addresses() and services(box)
    assert theirs.poll() is None
    box.run("kill", "-TERM", box.read("/run/lvs.pid").strip())
    assert theirs.wait(20) == 0
    assert services(box) == []
    server.kill()
