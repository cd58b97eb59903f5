"""Copies of inbound SAs with an IKE daemon: the bridge meets the SA it leads to. The same way back without a copy loses
packets."""

import signal
import time

from ipsec import Charon
from ipsec_kernel import dropped
from lab import ROUTERS, wait_for
from test_sa_copy import SECONDS, fixture_lab, fixture_world, states  # noqa: F401 (fixtures of these tests, too)


def findings(world, name):
    return [f["setting"] for t in world.daemons[name].ask("show ipsec check")["tunnels"] for f in t["findings"]]


def test_with_an_ike_daemon(world, lab):
    """The bridge leads to the SA that the new master negotiates: nothing is lost on either side of it. Without a copy all
    that comes before the negotiation is lost. Negotiations begin by hand, so that there is a before."""
    for name in ("peer",) + ROUTERS:
        charon = world.charons[name] = Charon(lab, name, kernel_esp=True)
        if name != "peer":
            with open(charon.swanctl_conf, encoding="ascii") as f:
                conf = f.read()
            # The policies are there before the SA is, with the number that the copy has.
            assert "start_action = none" in conf
            with open(charon.swanctl_conf, "w", encoding="ascii") as f:
                f.write(conf.replace("start_action = none", "start_action = trap\n                reqid = 7"))
        charon.start()
    lab["fw-b"].run("ip", "xfrm", "policy", "flush")  # as if it had no trap
    world.pair(ike="hq", child="hq", initiate="never")
    world.charons["fw-a"].initiate()
    wait_for("a copy", lambda: len(world.copies("fw-b")["held"]) == 1, SECONDS)
    # What would drop its packets is named; when that is mended it is no finding any more.
    wait_for("the finding", lambda: "sync_sa" in findings(world, "fw-b"), SECONDS, 0.5)
    world.charons["fw-b"].swanctl("--uninstall", "--child", "hq", "--ike", "hq", check=False)
    world.charons["fw-b"].swanctl("--install", "--child", "hq", "--ike", "hq")
    wait_for("no finding", lambda: "sync_sa" not in findings(world, "fw-b"), SECONDS, 0.5)
    spi = world.copies("fw-b")["held"][0]["spi"]
    world.stream()
    world.daemons["fw-a"].ask("force failover")
    world.serves("fw-b")
    world.goes_on()
    assert world.gaps() == [] and set(states(lab["fw-b"])) == {spi}
    before = world.numbers()[-1]
    world.charons["fw-b"].initiate()
    wait_for("the bridge to be taken away", lambda: spi not in states(lab["fw-b"]), SECONDS)
    world.goes_on(20)
    # Whatever came was read. What is missing the peer itself has not sent: its IKE daemon takes the old SA away first.
    assert not dropped(lab["fw-b"]) and all(first > before for first, _ in world.gaps())
    counters = world.copies("fw-b")["count"]
    assert counters["installed"] == 1 and counters["ended_by_new_sa"] == 1
    # The same way back without a copy.
    for name in ROUTERS:
        with open(world.daemons[name].conf_path, encoding="utf-8") as f:
            conf = f.read()
        world.daemons[name].write_conf(conf.replace('sync_sa = "inbound"', 'sync_sa = "off"'))
        world.daemons[name].signal(signal.SIGHUP)
    wait_for("no copies", lambda: not world.copies("fw-a")["held"], SECONDS)
    world.ready("fw-a")
    world.daemons["fw-b"].ask("force failover")
    world.serves("fw-a")
    wait_for("fw-b to have no SA of the address", lambda: not states(lab["fw-b"]), SECONDS)
    time.sleep(1)
    world.charons["fw-a"].initiate()
    world.goes_on(20)
    assert dropped(lab["fw-a"])["XfrmInNoStates"] > 20 and max(n for _, n in world.gaps()) > 20
