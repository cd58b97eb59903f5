"""Backend exec with the real binary: a program of the operator reaches strongSwan for us. Crash, planned switch there and
back, and programs that fail in every way while the address moves all the same."""

import os
import time

import pytest

from conf import lab_conf, text
from keeptrackd import Daemon
from lab import PEER, ROUTERS, VIP_WAN, VPN_HOST, wait_for

PROGRAM = """#!/bin/sh
# What docs and keeptrackd.conf(5) promise, by way of swanctl.
export STRONGSWAN_CONF="%(dir)s/strongswan.conf"
ctl() { swanctl "$@" --uri unix:///run/charon.vici; }
echo "$HA_EVENT $HA_TUNNEL $HA_GROUP $HA_ROLE_NEW $HA_REASON" >>"%(dir)s/program.log"
case $HA_EVENT in
probe) ctl --stats >/dev/null ;;
list)
	sas=$(ctl --list-sas --noblock --ike "$HA_IKE") || exit 1
	echo "$sas" | awk '
		/INSTALLED/ { id = $2; gsub(/[#,]/, "", id); up = id }
		/^ *in  / { split($0, f, ","); split(f[3], n, " "); packets_in = n[1] }
		/^ *out / { split($0, f, ","); split(f[3], n, " "); packets_out = n[1] }
		END { if (up) print "child-up id=" up " in=" packets_in + 0 " out=" packets_out + 0; else print "child-down" }' ;;
drop_silent | close)
	ctl --terminate --ike "$HA_IKE" --force --timeout 1
	! ctl --list-sas --noblock --ike "$HA_IKE" | grep -q . ;;
initiate) ctl --initiate --ike "$HA_IKE" --child "$HA_CHILD" --timeout 1 ;;
rekey) ctl --rekey --ike "$HA_IKE" --child "$HA_CHILD" ;;
*) exit 1 ;;
esac
"""


def write_program(lab, name, body=PROGRAM, mode=0o755):
    path = os.path.join(lab[name].dir, "ike-program")
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(body % {"dir": lab[name].dir} if body is PROGRAM else body)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path


def start(pair, body=PROGRAM, timeout=2):
    """Both routers, their only tunnel reached by a program."""
    for name in ROUTERS:
        conf = lab_conf(pair.lab, name)
        conf["ipsec"] = {"tunnels": [{"name": "hq", "vip": VIP_WAN, "peer": PEER, "backend": "exec", "ike": "hq",
                                      "child": "hq", "exec_timeout": timeout}]}
        path = write_program(pair.lab, name, body)
        # An argv is a list in square brackets, which conf.text does not write.
        made = text(conf).replace('backend = "exec";', 'backend = "exec"; exec = ["%s"];' % path)
        pair.daemons[name] = Daemon(pair.lab, name, conf=made)
    pair.start()


def tunnel(pair, name):
    return pair[name].ask("show ipsec")["tunnels"][0]


def serves(pair, name, seconds=15):
    pair.wait_master(name, seconds)
    wait_for("the tunnel on " + name, lambda: tunnel(pair, name)["state"] == "up", seconds)
    wait_for("an answer through the tunnel", lambda: " 0% packet loss" in pair.lab["client"].run(
        "ping", "-c", "1", "-W", "1", VPN_HOST, check=False), seconds)


def ready(pair, name):
    wait_for(name + " to be ready", lambda: pair[name].ask("show failover status")["groups"][0]["ready"], 15)


@pytest.fixture(name="pair")
def fixture_pair(lab):
    from conftest import Pair
    pair = Pair(lab, ipsec=False)
    yield pair


def test_there_and_back_and_a_crash(pair):
    pair.start_ipsec()
    start(pair)
    serves(pair, "fw-a")
    ready(pair, "fw-b")
    pair["fw-a"].ask("force failover")
    serves(pair, "fw-b")
    wait_for("fw-a to have nothing left", lambda: not pair.charons["fw-a"].tunnel_up(), 10)
    wait_for("its purge to end", lambda: tunnel(pair, "fw-a")["state"] == "idle", 10)
    ready(pair, "fw-a")
    pair["fw-b"].ask("force failover")
    serves(pair, "fw-a")
    # The IKE daemon dies and is back: a probe finds out, both times.
    pair.charons["fw-a"].stop()
    wait_for("the loss to be seen", lambda: tunnel(pair, "fw-a")["state"] == "absent", 30)
    pair.charons["fw-a"].start()
    serves(pair, "fw-a", 30)
    ready(pair, "fw-b")
    pair.crash("fw-a")
    serves(pair, "fw-b")
    with open(os.path.join(pair.lab["fw-b"].dir, "program.log"), encoding="ascii") as f:
        assert "\ninitiate hq edge MASTER " in f.read()


@pytest.mark.parametrize("body", ["#!/bin/sh\nsleep 100\n", "#!/nowhere\n", "#!/bin/sh\nexec yes child-up\n",
                                  "#!/bin/sh\nexec head -c 200000 /dev/urandom\n", "#!/bin/sh\nkill -9 $$\n"],
                         ids=["hangs", "no interpreter", "floods", "garbage", "dies"])
def test_bad_programs_never_hold_up_the_address(pair, body):
    start(pair, body, timeout=0.3)
    ready(pair, "fw-b")
    begun = time.monotonic()
    pair["fw-a"].ask("force failover")
    pair.wait_master("fw-b", 3)
    print("moved within %.0f ms" % (1000 * (time.monotonic() - begun)))

    def program():
        return pair["fw-b"].ask("show ipsec")["programs"][0]
    assert program()["name"] == "exec" and program()["tunnels"] == 1
    # The one of noise ends well: without a line that says more, an exit status is believed.
    if "urandom" not in body:
        wait_for("the failure to be told", lambda: program()["error"], 5)
        assert program()["reached"] == 0
        assert tunnel(pair, "fw-b")["state"] != "up"
    for name in ROUTERS:
        assert pair[name].alive()
