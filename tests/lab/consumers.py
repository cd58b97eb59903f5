"""How other programs read what keepalived writes: their rules, written down anew."""

import glob
import json
import time

STATES = ("INIT", "BACKUP", "MASTER", "FAULT")
STATS = ("advert_rcvd", "advert_sent", "become_master", "release_master", "packet_len_err", "advert_interval_err",
         "ip_ttl_err", "invalid_type_rcvd", "addr_list_err", "invalid_authtype", "authtype_mismatch", "auth_failure",
         "pri_zero_rcvd", "pri_zero_sent")
MEHDY_DATA = ("iname", "state", "wantstate", "ifp_ifname", "garp_delay", "vrid", "vips")


def signum(box, name):
    p = box.call("keepalived", "--signum=" + name)
    assert p.returncode == 0 and p.stderr == ""
    return int(p.stdout)


def send(box, pid_file, signo):
    """A signal to the number in the pid file; 10 ms are enough to write the file."""
    box.run("kill", "-%d" % signo, box.read(pid_file).removesuffix("\n"))
    time.sleep(0.05)  # nsenter's own end included


def json_of(box):
    box.sh("rm -f /tmp/keepalived.json; kill -36 $(pgrep -o keepalived); "
           "while ! test -e /tmp/keepalived.json; do sleep 0.01; done", timeout=5)
    return json.loads(box.read("/tmp/keepalived.json"))


def first_by_name(box, name):
    """The first process of that name, in the order of numbers."""
    for pid in sorted(int(p.rsplit("/", 1)[1]) for p in glob.glob(box.path("/proc/[0-9]*"))):
        if box.read("/proc/%d/comm" % pid).strip() == name:
            return pid
    return 0


def mehdy_version(text):
    lines = text.split("\n", 1)
    assert len(lines) == 2
    return tuple(int(n) for n in lines[0].split(" ")[1][1:].split("."))


def mehdy_data(text):
    """{instance: {key: value, "vips": [...]}} of the data file: depth is 1, 3 and 5 blanks."""
    data, instance, key = {}, "", ""
    for line in text.split("\n"):
        if line.startswith(" VRRP Instance") and "=" in line:
            instance = line.strip().split("=")[1].strip()
            data[instance] = {"vips": []}
        elif line.startswith("   ") and instance:
            if line.startswith("     "):
                value = line.strip()
            else:
                sep = "=" if "=" in line else ":" if ":" in line else ""
                if not sep:
                    continue
                args = line.strip().split(sep)
                key, value = args[0].strip(), args[1].strip()
                if key == "Virtual IP":
                    continue
            if key.startswith("Virtual IP (") or key == "Virtual IP":
                if value:
                    data[instance]["vips"].append(value)
                continue
            data[instance][key] = value
            if key in ("State", "Wantstate"):
                assert value in STATES, value
            if key in ("Gratuitous ARP delay", "Virtual Router ID"):
                int(value)
        elif line.startswith((" VRRP Version", " VRRP Script")):
            continue
        else:
            instance = ""
    return data


def mehdy_vip(text):
    args = text.split(" ")
    return args[0], args[2]


def mehdy_scripts(text):
    """[(name, status, state)]"""
    found, now = [], None
    for line in text.split("\n"):
        if line.startswith(" VRRP Script") and "=" in line:
            now = {"name": line.split("=")[1].strip()}
            found.append(now)
        elif line.startswith("   ") and now:
            if "=" in line:
                args = line.strip().split("=")
                now[args[0].strip()] = args[1].strip()
        elif not line.startswith("    "):
            now = None
    return [(s["name"], s["Status"], s["State"]) for s in found]


def mehdy_stats(text):
    stats, instance, section = {}, "", ""
    for line in text.split("\n"):
        if line.startswith("VRRP Instance") and ":" in line:
            instance = line.split(":")[1].strip()
            stats[instance] = {}
        elif line.startswith("  ") and line.endswith(":"):
            section = line.strip()[:-1]
            stats[instance][section] = {}
        elif line.startswith("    ") and section:
            key, value = line.strip().split(":")
            stats[instance][section][key] = int(value)
        elif line.startswith("  "):
            key, value = line.strip().split(":")
            section = ""
            stats[instance][key] = int(value)
    return stats


def gen2brain_data(text):
    """[(instance, interface, vrid, state)]; any line without "=" ends an instance: what follows is not read."""
    found, now = [], {}
    for line in text.split("\n"):
        if line.startswith(" VRRP Instance") and "=" in line:
            now["name"] = line.split("=")[1].strip()
        elif line.startswith("   ") and "=" in line and now:
            key, value = (x.strip() for x in line.strip().split("=")[:2])
            if key in ("State", "Wantstate"):
                assert value in STATES
            now[key] = value
        elif line.startswith(" VRRP Version"):
            pass
        elif now:
            found.append(now)
            now = {}
    return [(d["name"], d["Interface"], int(d["Virtual Router ID"]), STATES.index(d["State"])) for d in found]


def gen2brain_stats(text):
    return [values for _, values in sorted(mehdy_stats(text).items())]
