"""The IKE SA that a backup keeps warm, tunnels that are found in strongSwan, and a goodbye where nobody takes over."""

import re
import signal

from conf import text
from ipsec import Charon, Tunnel
from lab import wait_for
from vpnsite import Echoes

SOON_MS = 3000  # detection, a takeover, one exchange, and a busy machine


def established(site, name, connection):
    return "ESTABLISHED" in site.charons[name].list_sas(connection)


def installed(site, name, connection):
    return "INSTALLED" in site.charons[name].list_sas(connection)


def asked_anew(site, name):
    """How many IKE SAs this router's charon has begun by itself."""
    return len(re.findall(r"initiating IKE_SA", site.charons[name].log()))


def phases(site, name):
    return {p["phase"] for p in site.timeline(name)["phases"]}


def wait_warm(site, name):
    wait_for("the warm IKE SA of " + name, lambda: established(site, name, "hq-warm") and not
             installed(site, name, "hq-warm"), 20)


def test_warm_takeovers(make_site):
    """A takeover is one exchange on an IKE SA that was there; a planned one has its child before the address moves."""
    site = make_site(Tunnel("hq", 1, warm=True, peer="203.0.113.19"))
    site.start_ike()
    site.start_daemons()
    site.wait_state("fw-a", "hq", "up")
    assert installed(site, "fw-a", "hq-warm") and not established(site, "fw-a", "hq")
    wait_warm(site, "fw-b")
    assert site.tunnel("fw-b", "hq")["state"] == "idle"
    echoes = Echoes(site)
    echoes.wait_flowing()
    site.wait_ready("fw-b")

    # Planned there and back: nothing is negotiated anew, and the child is up before the role is.
    for old, new in (("fw-a", "fw-b"), ("fw-b", "fw-a")):
        wait_warm(site, new)
        site.wait_ready(new)
        begun = asked_anew(site, new)
        echoes.mark()
        site.planned(old)
        site.wait_master(new)
        site.wait_state(new, "hq", "up")
        echoes.wait_flowing()
        assert asked_anew(site, new) == begun
        assert "ipsec-made" in phases(site, new), phases(site, new)
        assert echoes.outages()["hq"] < SOON_MS, echoes.outages()
        wait_warm(site, old)  # what is left there is the IKE SA

    # A power failure: one exchange as well.
    begun = asked_anew(site, "fw-b")
    site.wait_ready("fw-b")
    echoes.mark()
    site.crash("fw-a")
    site.wait_state("fw-b", "hq", "up")
    echoes.wait_flowing()
    assert asked_anew(site, "fw-b") == begun
    assert echoes.outages()["hq"] < SOON_MS, echoes.outages()


def test_warm_ike_sa_is_kept(make_site):
    """charon of the backup is started anew, and the far end forgets: the IKE SA comes back by itself, and without one a
    takeover negotiates from the beginning."""
    site = make_site(Tunnel("hq", 1, warm=True, peer="203.0.113.19", near_end={"dpd_delay": "1s"}))
    site.start_ike()
    site.start_daemons()
    site.wait_state("fw-a", "hq", "up")
    wait_warm(site, "fw-b")
    charon = site.charons["fw-b"]
    charon.stop()
    wait_for("fw-b to miss charon", lambda: not site.show("fw-b")["backend"]["up"], 10)
    charon.start()
    wait_warm(site, "fw-b")
    site.wait_ready("fw-b")
    site.charons["fw-b"].freeze()  # a takeover meets a charon that does not answer: the address comes all the same
    site.crash("fw-a")
    site.wait_master("fw-b")
    site.charons["fw-b"].thaw()
    site.wait_state("fw-b", "hq", "up", 30)


def test_found_in_strongswan(make_site):
    """tunnels = "auto": what has the virtual address as its local end is a tunnel, also what is loaded later."""
    late = Tunnel("late", 2, peer="203.0.113.29")
    other = Tunnel("other", 3, peer="203.0.113.39", vip="203.0.113.2")  # an address of fw-a itself
    site = make_site(Tunnel("hq", 1, peer="203.0.113.19"), late, other)
    for name in ("fw-a", "fw-b"):
        site.charons[name] = Charon(site.lab, name, [site.tunnels[0]] + ([other] if name == "fw-a" else []))
    site.start_ike()

    def make(name):
        conf = site.conf(name)
        conf["ipsec"]["tunnels"] = "auto"
        conf["ipsec"]["auto"] = {"priority": 7, "dpd": {"mode": "periodic", "interval": 5}}
        return conf

    site.start_daemons(make)
    site.wait_up("fw-a", "hq")
    assert set(site.states("fw-a")) == {"hq"}
    site.charons["fw-a"].initiate("other")

    for name in ("fw-a", "fw-b"):
        site.charons[name].tunnels.append(late)
        site.charons[name].write()
        site.charons[name].load()
    wait_for("fw-a to find it", lambda: "late" in site.states("fw-a"), 20)
    site.wait_up("fw-a", "late", seconds=20)
    assert site.charons["fw-a"].tunnel_up("hq")  # it was not in the way
    site.wait_ready("fw-b")
    wait_for("fw-b to find both", lambda: site.states("fw-b") == {"hq": "idle", "late": "idle"}, 20)
    site.planned("fw-a")
    site.wait_up("fw-b", "hq", "late")
    assert site.charons["fw-a"].tunnel_up("other")  # not ours: it stays

    # A reload keeps what was found; a connection that is unloaded ends.
    conf = make("fw-b")
    conf["ipsec"]["auto"]["priority"] = 8
    site.daemons["fw-b"].write_conf(text(conf))
    site.daemons["fw-b"].signal(signal.SIGHUP)
    wait_for("the reload", lambda: "configuration reloaded: 1 change" in site.daemons["fw-b"].log(), 10)
    site.wait_up("fw-b", "hq", "late")
    site.charons["fw-b"].tunnels.remove(late)
    site.charons["fw-b"].write()
    site.charons["fw-b"].load()
    wait_for("the SA of what is gone to end", lambda: not site.charons["fw-b"].tunnel_up("late"), 30)
    assert site.charons["fw-b"].tunnel_up("hq")


def test_goodbye(make_site):
    """The last router that stops tells the far end; one that hands over does so only for a tunnel that wants it."""
    said = "received DELETE for IKE_SA"
    site = make_site(Tunnel("silent", 1, peer="203.0.113.19"), Tunnel("polite", 2, peer="203.0.113.29", on_demote="delete"))
    site.start()
    peer = site.charons["peer"]
    assert said not in peer.log()
    site.planned("fw-a")
    site.wait_up("fw-b")
    assert said + " polite" in peer.log() and said + " silent" not in peer.log(), peer.log()[-3000:]
    site.wait_ready("fw-a")
    site.daemons["fw-a"].stop()
    wait_for("fw-b to be alone",
             lambda: "the other node is not ready" in str(site.daemons["fw-b"].ask("show failover status")), 10)
    site.daemons["fw-b"].stop()
    wait_for("the far end to hear of it", lambda: said + " silent" in peer.log(), 5)
