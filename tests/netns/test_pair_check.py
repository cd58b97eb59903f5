"""check-pair: equal nodes are equal, planted differences are named, and what cannot be compared says why."""

import json
import signal

import pytest

from lab import wait_for

MASQUERADED = ("-I", "-p", "udp", "-s", "10.0.1.99", "-d", "203.0.113.200", "--sport", "4000", "--dport", "53",
               "--src-nat", "203.0.113.2", "-t", "300", "-u", "ASSURED,SEEN_REPLY")


def check_pair(pair, name, *options):
    """(exit status, output) of keeptrackd check-pair."""
    machine = pair.lab[name]
    out = machine.run("sh", "-c", '"$0" check-pair "$@"; echo "status $?"', pair.lab.tool("keeptrackd"), *options,
                      check=False)
    text, _, status = out.rpartition("status ")
    return int(status), text


def check_until(pair, name, status, *options):
    """Its output once it ends with this status: on a machine under load a channel may be lost for a moment."""
    return wait_for("check-pair on %s to end with %d" % (name, status), lambda: (
        lambda got: got[1] if got[0] == status else None)(check_pair(pair, name, *options)), 20, 0.2)


def peer_of(answer):
    assert len(answer["peers"]) == 1
    return answer["peers"][0]


def findings(answer):
    return {f["key"]: f for f in peer_of(answer)["findings"]}


def wait_channel(pair):
    for name in ("fw-a", "fw-b"):
        wait_for("the channel", lambda name=name: pair[name].ask("show vrrp peer")["peers"][0]["channel"] == "up", 10)
        wait_for("the stream", lambda name=name: pair[name].ask("show conntrack-sync status")["peers"][0]["data"] == "up",
                 10)


def test_equal_nodes(pair):
    wait_channel(pair)
    for name in ("fw-a", "fw-b"):
        # A machine under load may leave out the sessions once: they are counted by a thread that does not wait.
        answer = wait_for("an answer that counts sessions", lambda name=name: (
            lambda a: a if peer_of(a)["sessions_counted"] else None)(pair[name].ask("show pair", detail=True)), 10)
        peer = peer_of(answer)
        assert answer["verdict"] == "equal" and peer["compared"], answer
        assert not peer["findings"], peer["findings"]
        facts = {f["key"]: (f["ours"], f["theirs"]) for f in peer["facts"]}
        assert facts["zones.support"] == ("yes", "yes")
        assert facts["sysctl.nf_conntrack_tcp_loose"] == ("0", "0")
        assert facts["channel[0].mtu"] == ("1500", "1500")
        assert facts["vrrp[lan].mtu"] == ("1500", "1500")
        assert facts["channel[0].path_mtu"] == ("1500", "1500")
        assert abs(peer["clock"]["offset_us"]) < 500000, peer["clock"]
        assert peer["facts_compared"] > 40
    assert "no difference that matters" in check_until(pair, "fw-a", 0)
    assert json.loads(check_until(pair, "fw-b", 0, "--json"))["verdict"] == "equal"


def test_planted_differences(pair):
    wait_channel(pair)
    b = pair.lab["fw-b"]
    b.sysctl({"net/netfilter/nf_conntrack_tcp_be_liberal": 1, "net/netfilter/nf_conntrack_tcp_loose": 1,
              "net/netfilter/nf_conntrack_udp_timeout_stream": 77, "net/netfilter/nf_conntrack_acct": 1,
              "net/ipv4/conf/wan0/rp_filter": 2})
    b.run("nft", "add", "table", "ip", "planted")
    b.run("nft", "add", "ct", "helper", "ip", "planted", "old", '{ type "ftp" protocol tcp; }')
    b.ip("link set lan0 mtu 1400", "link set sync0 mtu 1450")
    pair.lab["fw-a"].conntrack(*MASQUERADED)
    answer = wait_for("the masqueraded session to be counted", lambda: (lambda x: x if "nat[203.0.113.2]" in findings(x)
                      else None)(pair["fw-a"].ask("show pair")), 20, 0.2)
    found = findings(answer)
    assert answer["verdict"] == "different"
    assert set(found) == {"sysctl.nf_conntrack_tcp_be_liberal", "sysctl.nf_conntrack_tcp_loose",
                          "sysctl.nf_conntrack_udp_timeout_stream", "sysctl.nf_conntrack_acct", "vrrp[lan].mtu",
                          "vrrp[wan].rp_filter", "channel[0].mtu",
                          "helper_rule[ip:planted:old]", "nat[203.0.113.2]"}, set(found)
    timeout = found["sysctl.nf_conntrack_udp_timeout_stream"]
    assert timeout["theirs"] == "77" and timeout["ours"] != "77" and timeout["severity"] == "warning"
    assert "takeover" in timeout["consequence"] and timeout["fix"]
    assert "masquerade" in found["nat[203.0.113.2]"]["what"]
    other = wait_for("the same from the other side", lambda: (lambda f: f if "nat[203.0.113.2]" in f else None)(
        findings(pair["fw-b"].ask("show pair"))), 20, 0.2)
    assert other["sysctl.nf_conntrack_udp_timeout_stream"]["ours"] == "77"
    assert other["nat[203.0.113.2]"]["theirs"].startswith("1 sessions")
    text = wait_for("the remedy in words", lambda: (lambda t: t if "snat to VIP" in t else None)(
        check_until(pair, "fw-a", 1)), 20, 0.2)
    assert "remedy" in text


def test_a_configuration_that_differs(pair):
    wait_channel(pair)
    daemon = pair["fw-b"]
    with open(daemon.conf_path, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("sync = { replicate = true; };", "sync = { replicate = true; quick = true; };")
    text = text.replace('    instances = (', '    instances = ( { name = "dmz"; interface = "wan0"; vrid = 77; '
                        'family = "ipv4"; virtual_addresses = ( "198.18.0.1/24" ); },')
    daemon.write_conf(text)
    before = len(pair["fw-a"].log())
    daemon.signal(signal.SIGHUP)

    def differences():
        answer = pair["fw-a"].ask("show pair")
        return findings(answer) if "conf.sync.quick" in findings(answer) else None
    found = wait_for("the other configuration to be seen", differences, 15, 0.2)
    assert set(found) == {"conf.sync.quick", "vrrp[dmz]"}, found
    assert found["vrrp[dmz]"]["severity"] == "danger" and found["vrrp[dmz]"]["ours"] == "absent"
    assert found["conf.sync.quick"]["ours"] == "false" and found["conf.sync.quick"]["theirs"] == "true"
    # By itself the daemon says so as well, once.
    log = wait_for("a line in the log", lambda: "vrrp[dmz] differs from node fw-b" in pair["fw-a"].log()[before:], 25)
    assert log


@pytest.mark.parametrize("how", ["the peer is down", "the daemon is down"])
def test_what_cannot_be_compared(pair, how):
    wait_channel(pair)
    down = "fw-b" if how == "the peer is down" else "fw-a"
    pair[down].stop()
    if down == "fw-b":
        wait_for("the channel to be down", lambda: pair["fw-a"].ask("show vrrp peer")["peers"][0]["channel"] == "down", 5)
        peer = peer_of(pair["fw-a"].ask("show pair"))
        assert not peer["compared"] and "not connected" in peer["error"], peer
    status, text = check_pair(pair, "fw-a")
    assert status == 2, text
    assert ("fw-b: not compared: the node is not connected" if down == "fw-b" else "is it running") in text, text
