"""ktsh about IPsec, with real strongSwan daemons: what is shown, explained, found wrong, and reset."""

import json
import os
import re
import signal
import time

import pytest

from conf import lab_conf, text as conf_text
from keeptrackd import Daemon
from lab import LabError, PEER, VIP_WAN, VPN_HOST, wait_for

# Every key that charon was seen to send about a connection; vici_conn.h is written from it.
CONN_KEYS = {"local_addrs", "remote_addrs", "version", "reauth_time", "rekey_time", "unique", "dpd_delay", "dpd_timeout",
             "local-1", "remote-1", "children", "ppk_id", "ppk_required"}


def swan_conf(pair, name, change=lambda text: text, load=True):
    """Rewrites the connections of a router; mobike and start_action come from the same file."""
    charon = pair.charons[name]
    with open(charon.swanctl_conf, encoding="ascii") as f:
        text = f.read()
    text = change(text)
    with open(charon.swanctl_conf, "w", encoding="ascii") as f:
        f.write(text)
    if load:
        charon.swanctl("--load-all", "--clear", "--file", charon.swanctl_conf)


def good(text):
    return text.replace("dpd_delay = 0", "dpd_delay = 5s\n        unique = replace")


@pytest.fixture(name="vpn")
def fixture_vpn(make_pair):
    """A pair whose configuration names the files of its own strongSwan, with one good connection, fw-a master."""
    pair = make_pair(start=False, ipsec=True)
    for name in ("fw-a", "fw-b"):
        daemon = pair[name]
        with open(daemon.conf_path, encoding="utf-8") as f:
            text = f.read()
        files = 'ipsec = {\n    swanctl = "%s";\n    strongswan = "%s";' % (
            pair.charons[name].swanctl_conf, os.path.join(pair.charons[name].dir, "strongswan.conf"))
        daemon.write_conf(text.replace("ipsec = {", files))
        swan_conf(pair, name, good)
    return pair.start()


def check(pair, name):
    return pair[name].ktsh("show", "ipsec", "check")


def findings(pair, name):
    answer = check(pair, name)
    assert len(answer["tunnels"]) == 1
    return {(f["setting"], f["severity"]) for f in answer["tunnels"][0]["findings"]}


def tunnel(pair, name):
    return pair[name].ktsh("show", "ipsec", "detail")["tunnels"][0]


def wait_up(pair, name):
    wait_for("the tunnel of %s to be up" % name, lambda: tunnel(pair, name)["state"] == "up", 15)


def child(pair, name):
    sas = pair[name].ktsh("show", "ipsec", "sa")
    assert sas["known"], sas
    return [s for s in sas["sas"] if s["child"]]


def test_good_configuration_is_good(vpn):
    wait_up(vpn, "fw-a")
    for name in ("fw-a", "fw-b"):
        answer = check(vpn, name)
        assert answer["verdict"] == "good", json.dumps(answer, indent=1)
        assert answer["file"]["read"] and not answer["file"]["error"]
        assert answer["tunnels"][0]["not_known"] == []
    _, text = vpn["fw-a"].ktsh_raw("show", "ipsec", "check")
    assert "Verdict: good" in text
    assert "connection hq: " not in vpn["fw-a"].log()
    # charon tells no more than the reader knows
    raw = vpn.charons["fw-a"].swanctl("--list-conns", "--raw")
    depth, names = 0, set()
    for word in re.finditer(r"([\w-]+)(=| \{)|[{}\[\]]", raw[raw.index("hq {") + 4:]):
        if word.group(1) and depth == 0:
            names.add(word.group(1))
        depth += word.group().endswith(("{", "[")) - (word.group() in "}]")
        if depth < 0:
            break
    assert {"local_addrs", "remote_addrs", "version", "unique", "children"} <= names, raw
    assert names <= CONN_KEYS, names - CONN_KEYS
    # without the file mobike and start_action are named as not known, and not guessed
    os.rename(vpn.charons["fw-b"].swanctl_conf, vpn.charons["fw-b"].swanctl_conf + ".away")
    answer = check(vpn, "fw-b")
    assert sorted(answer["tunnels"][0]["not_known"]) == ["mobike", "start_action"]
    assert not answer["file"]["read"] and answer["file"]["error"]
    assert answer["tunnels"][0]["findings"] == []


def test_planted_faults_are_named(vpn):
    """Each fault alone: the connection, the danger, and a remedy that names the setting."""
    faults = {
        ("mobike", "danger"): lambda t: t.replace("mobike = no", "mobike = yes"),
        ("local_addrs", "danger"): lambda t: t.replace("local_addrs = " + VIP_WAN, "local_addrs = 203.0.113.3"),
        ("local_addrs", "warning"): lambda t: t.replace("local_addrs = " + VIP_WAN, "local_addrs = %any"),
        ("remote_addrs", "danger"): lambda t: t.replace("remote_addrs = " + PEER, "remote_addrs = 203.0.113.77"),
        ("start_action", "danger"): lambda t: t.replace("start_action = none", "start_action = start"),
        ("close_action", "danger"): lambda t: t.replace("close_action = none", "close_action = start"),
        ("dpd_action", "warning"): lambda t: t.replace("dpd_action = clear", "dpd_action = restart"),
        ("unique", "danger"): lambda t: t.replace("unique = replace", "unique = never"),
        ("unique", "warning"): lambda t: t.replace("unique = replace", "unique = no"),
        ("dpd_delay", "note"): lambda t: t.replace("dpd_delay = 5s", "dpd_delay = 0s"),
        ("reauth_time", "note"): lambda t: t.replace("mobike = no", "mobike = no\n reauth_time = 3600s"),
        ("id", "danger"): lambda t: re.sub(r"(remote \{\s+auth = psk\s+)id = \S+\n", r"\1", t),
        ("ike", "danger"): lambda t: t.replace("    hq {\n        version", "    other {\n        version"),
        ("child", "danger"): lambda t: t.replace("            hq {\n", "            other {\n"),
    }
    with open(vpn.charons["fw-b"].swanctl_conf, encoding="ascii") as f:
        before = f.read()
    for fault, plant in faults.items():
        planted = plant(before)
        assert planted != before, fault
        swan_conf(vpn, "fw-b", lambda _, text=planted: text)
        got = findings(vpn, "fw-b")
        assert fault in got, (fault, got)
        # the backup's tunnel may have been seen to come up by itself meanwhile
        assert got <= {fault, ("tunnel", "warning")}, (fault, got)
        for f in check(vpn, "fw-b")["tunnels"][0]["findings"]:
            assert f["danger"] and f["fix"]
    swan_conf(vpn, "fw-b", lambda _: before)
    assert findings(vpn, "fw-b") <= {("tunnel", "warning")}
    _, text = vpn["fw-b"].ktsh_raw("show", "ipsec", "check")
    assert "Tunnel hq, connection hq, child hq: " in text


def test_findings_are_logged_once(vpn):
    """At the connect of the IKE daemon, and not again at the next one while nothing changed."""
    swan_conf(vpn, "fw-b", lambda t: t.replace("mobike = no", "mobike = yes"), load=False)
    charon = vpn.charons["fw-b"]
    for _ in range(2):
        charon.stop()
        wait_for("the loss to be noticed", lambda: not vpn["fw-b"].ktsh("show", "ipsec")["backend"]["up"], 10)
        charon.start()
        wait_for("the IKE daemon", lambda: vpn["fw-b"].ktsh("show", "ipsec")["backend"]["up"], 10)
        assert ("mobike", "danger") in findings(vpn, "fw-b")
    told = [line for line in vpn["fw-b"].log().splitlines() if "mobike = yes" in line]
    assert len(told) == 1, told
    assert "connections.hq.mobike = no" in told[0]


def test_sa_and_detail_of_a_tunnel_that_is_up(vpn):
    wait_up(vpn, "fw-a")
    sas = child(vpn, "fw-a")
    assert len(sas) == 1
    sa = sas[0]
    assert sa["tunnel"] == "hq" and sa["state"] == "ESTABLISHED" and sa["version"] == 2
    assert sa["local"] == VIP_WAN and sa["remote"] == PEER and sa["at_vip"] and sa["initiator"]
    assert sa["child"]["state"] == "INSTALLED" and int(sa["child"]["spi_in"], 16) > 255
    assert sa["child"]["local_ts"] == "10.0.1.0/24" and "AES" in sa["algorithms"]
    listed = vpn.charons["fw-a"].swanctl("--list-sas")
    assert sa["child"]["spi_in"] in listed and sa["child"]["spi_out"] in listed
    assert vpn["fw-b"].ktsh("show", "ipsec", "sa")["sas"] == []
    t = tunnel(vpn, "fw-a")
    assert t["wanted"] and t["findings"] == 0 and t["events"][0]["to"] == "up"
    assert t["events"][0]["epoch"] and len(t["events"]) <= 16
    text = vpn["fw-a"].ktsh_raw("show", "ipsec", "detail")[1]
    assert "Tunnel hq: up for" in text and "child SA installed" in text
    assert vpn["fw-a"].ktsh_raw("show", "ipsec", "brief")[0] == 0
    peers = vpn["fw-a"].ktsh("show", "ipsec", "peer")["peers"]
    assert [(p["peer"], p["up"], p["wanted"]) for p in peers] == [(PEER, 1, 1)]
    dpd = vpn["fw-a"].ktsh("show", "ipsec", "dpd")["tunnels"][0]
    assert dpd["dpd"]["detect_us"] == 5000000 and dpd["ike_detect_us"] > 5000000
    statistics = vpn["fw-a"].ktsh("show", "ipsec", "statistics")
    assert statistics["tunnels"][0]["ups"] >= 1 and statistics["vici"]["replies"] > 0
    for words in (("sa", "hq"), ("hooks",), ("peer",), ("dpd",), ("statistics",)):
        status, text = vpn["fw-a"].ktsh_raw("show", "ipsec", *words)
        assert status == 0 and text.strip(), words
    assert vpn["fw-a"].ktsh_raw("show", "ipsec", "sa", "nobody")[0] == 1


def explain(pair, name):
    answer = pair[name].ktsh("explain", "ipsec", "hq")
    assert answer["tunnel"] == "hq" and answer["verdict"]["change"]
    return answer["verdict"]["text"], {s["what"]: s["text"] for s in answer["nodes"][0]["steps"]}


def test_explain_says_why(vpn):
    wait_up(vpn, "fw-a")
    text, steps = explain(vpn, "fw-a")
    assert text == "the tunnel is up"
    assert "edge is MASTER" in steps["role"] and "INSTALLED" in steps["SA"] and "event" in steps
    text, steps = explain(vpn, "fw-b")
    assert "does not have the role of group edge" in text
    assert steps["SA"] == "the IKE daemon has none"
    charon = vpn.charons["fw-a"]
    # the peer is gone: the tunnel is installed, then found dead or given up
    vpn.charons["peer"].stop()
    vpn["fw-a"].ktsh_raw("reset", "vpn", "ipsec", "peer", PEER)
    wait_for("the verdict", lambda: "does not answer" in explain(vpn, "fw-a")[0], 15)
    # no connection of this name
    swan_conf(vpn, "fw-a", lambda t: t.replace("    hq {\n        version", "    other {\n        version"))
    wait_for("the verdict", lambda: explain(vpn, "fw-a")[0] == "the IKE daemon has no connection hq", 15)
    charon.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    wait_for("the verdict", lambda: "does not answer" in explain(vpn, "fw-a")[0], 15)
    charon.process.send_signal(signal.SIGCONT)
    charon.stop()
    wait_for("the verdict", lambda: "not reachable" in explain(vpn, "fw-a")[0], 15)
    assert time.monotonic() - began < 30
    answer = check(vpn, "fw-a")
    assert answer["verdict"] == "not checked" and answer["tunnels"][0]["not_checked_because"]
    assert not vpn["fw-a"].ktsh("show", "ipsec", "sa")["known"]
    assert vpn["fw-a"].ktsh_raw("explain", "ipsec", "nobody")[0] == 1


def test_resets(vpn):
    wait_up(vpn, "fw-a")

    def renewed(*words):
        """The tunnel has another SPI than before."""
        before = child(vpn, "fw-a")[0]["child"]["spi_in"]
        status, text = vpn["fw-a"].ktsh_raw(*words)
        assert status == 0 and "Reset: hq" in text, text
        wait_for("another SA", lambda: [c["child"]["spi_in"] for c in child(vpn, "fw-a")] not in ([], [before]), 15)
        wait_up(vpn, "fw-a")
        assert len(child(vpn, "fw-a")) == 1

    renewed("reset", "vpn", "ipsec", "peer", PEER)
    renewed("reset", "vpn", "ipsec", "peer", "hq")  # one after the other: the operator is not held back
    renewed("reset", "vpn", "ipsec", "peer", "all")
    renewed("reset", "vpn", "ipsec", "all")
    renewed("force", "ike-reset")
    assert "operator" in {e["reason"] for e in tunnel(vpn, "fw-a")["events"]}
    status, text = vpn["fw-b"].ktsh_raw("reset", "vpn", "ipsec", "all")
    assert status == 0 and "Not reset" in text and "hq" in text
    status, text = vpn["fw-b"].ktsh_raw("force", "ike-reset")
    assert status == 0 and "Reset: hq" in text
    wait_for("the backup to be at rest", lambda: tunnel(vpn, "fw-b")["state"] == "idle", 10)
    assert vpn["fw-b"].ktsh("show", "ipsec", "sa")["sas"] == []
    assert vpn["fw-b"].ktsh("reset", "vpn", "ipsec", "all") == {"tunnels": [], "not_wanted": ["hq"]}
    status, text = vpn["fw-a"].ktsh_raw("reset", "vpn", "ipsec", "peer", "198.51.100.250")
    assert status == 1 and "no tunnel and no peer" in text
    assert vpn.charons["peer"].tunnel_up()


def test_timeline_has_the_steps_of_ipsec(vpn):
    wait_up(vpn, "fw-a")
    vpn["fw-a"].ktsh_raw("force", "failover")
    vpn.wait_master("fw-b")
    wait_up(vpn, "fw-b")
    wait_for("a packet through the tunnel", lambda: vpn.lab["client"].run(
        "ping", "-c", "1", "-W", "1", VPN_HOST, check=False).count("1 received"), 15)

    def phases():
        for t in vpn["fw-b"].ktsh("show", "failover", "timeline")["transactions"]:
            if t["node"] == "fw-b" and t["to"] == "MASTER":
                return {p["phase"]: p["offset_us"] for p in t["phases"]}
        return {}
    wait_for("the last step", lambda: "ipsec-packet" in phases(), 15)
    p = phases()
    order = [p[k] for k in ("vip-up", "ike-initiate", "ike-auth", "ipsec-packet")]
    assert order == sorted(order), p
    assert p["ike-auth"] <= p["ike-up"]
    down = [t for t in vpn["fw-a"].ktsh("show", "failover", "timeline")["transactions"] if t["node"] == "fw-a"]
    assert down and "ipsec-purge" in {x["phase"] for x in down[0]["phases"]}


def test_words_of_other_vendors(vpn):
    answer = vpn["fw-a"].ktsh("ike", "dpd", "interval", "3", "retry", "3", "periodic")
    assert answer["line"] == 'dpd = { mode = "periodic"; interval = 3; retry = 3; retries = 3; };'
    assert answer["in_force"] == 0 and answer["detect_us"] == 12000000
    for name in ("fw-a", "fw-b"):
        with open(vpn[name].conf_path, encoding="utf-8") as f:
            text = f.read()
        vpn[name].write_conf(re.sub(r"dpd = \{[^}]*\};", answer["line"], text))
        vpn[name].signal(signal.SIGHUP)

    def in_force():
        return vpn["fw-a"].ktsh("ike", "dpd", "interval", "3", "retry", "3", "periodic")["in_force"] == 1
    wait_for("the line to be in force", in_force, 10)
    status, text = vpn["fw-a"].ktsh_raw("ike", "dpd", "interval", "3", "retry", "3", "periodic")
    assert status == 0 and "In force for 1 of 1" in text and "changes no configuration" in text
    assert vpn["fw-a"].ktsh_raw("ike", "dpd", "interval", "3", "periodic", "on-demand")[0] == 1
    with pytest.raises(LabError):
        vpn["fw-a"].ktsh("ike", "dpd")


def test_without_strongswan(lab):
    """Nobody can be asked: the answers come all the same, and say so."""
    conf = lab_conf(lab, "fw-a", peer=False, replicate=False)
    conf["ipsec"] = {"tunnels": [{"name": "bare", "vip": VIP_WAN, "peer": PEER, "backend": "none"}]}
    daemon = Daemon(lab, "fw-a", conf=conf_text(conf)).start()
    shown = daemon.ask("show ipsec sa")
    assert shown["known"] and not shown["sas"]
    assert [(t["tunnel"], t["backend"]) for t in shown["not_told"]] == [("bare", "none")]
    checked = daemon.ask("show ipsec check")
    assert checked["verdict"] == "not checked" and "no IKE daemon is asked" in checked["tunnels"][0]["not_checked_because"]
    assert daemon.ktsh("explain", "ipsec", "bare")["verdict"]
    assert daemon.ktsh_raw("show", "ipsec", "sa", "other")[0] != 0
    status, out = daemon.ktsh_raw("show", "ipsec", "sa")
    assert status == 0 and "Tunnel bare (none): " in out
