"""The demo: two routers hand live traffic over, in network namespaces, and everything printed was measured just now.

Run it as `sudo ./dev demo`. It exits with 0 when every scene passed and the negative control failed as it has to.
"""

import argparse
import json
import os
import platform
import signal
import sys

from incumbent import Incumbent
from ipsec import Charon
from keeptrackd import Keeptrackd
from lab import Lab, LabError, MACHINES, ROUTERS
from scene_ipsec import scene_ipsec
from scenes import SCENES, Run, scene_control
from traffic import IDLE, Traffic, UDP_RATE, VPN_RATE
from ui import Screen, ms

WHAT = {
    "client": "a TCP stream, %d idle TCP connections, %d UDP echoes/s, %d/s through the VPN" % (IDLE, UDP_RATE, VPN_RATE),
    "fw-a": "router, priority 150", "fw-b": "router, priority 100",
    "server": "echoes TCP and UDP", "peer": "far end of the VPN (strongSwan), 10.99.0.1 behind it",
}

# Without it a lab in which nothing can die would make everybody look good.
CONTROL = {"control": (scene_control, "the same crash, with nothing that replicates sessions or renews the tunnel")}


def parse():
    p = argparse.ArgumentParser(prog="./dev demo", description="Watch two routers hand live traffic over.")
    p.add_argument("--scene", default="all", choices=list(SCENES) + ["ipsec", "all"], help="one scene only (default: all)")
    p.add_argument("--keep", action="store_true", help="keep the lab until Ctrl-C, and say how to look around in it")
    p.add_argument("--json", metavar="FILE", help="write all results there")
    p.add_argument("--versus", action="store_true", help="the same scenes with keepalived + conntrackd afterwards")
    p.add_argument("--stack", choices=("keeptrackd", "incumbent"), help=argparse.SUPPRESS)
    p.add_argument("--build", default="build", help=argparse.SUPPRESS)
    return p.parse_args()


def show_nodes(screen):
    screen.head("The machines (network namespaces of this computer)")
    rows = []
    for name, links in MACHINES.items():
        for n, (interface, (end, _, addresses)) in enumerate(links.items()):
            rows.append([name if n == 0 else "", interface, end, addresses[0], WHAT[name] if n == 0 else ""])
    rows.append(["both routers", "", "", "10.0.1.1, 203.0.113.1", "the virtual addresses; source NAT to 203.0.113.1"])
    screen.table(["machine", "link", "to", "address", "does"], rows)


def show_result(screen, result):
    for title, key in (("timeline of the switch, from the journal of %s" % result["to"], "timeline"),
                       ("seen from outside, in the capture", "capture")):
        if result.get(key):
            screen.line("  " + title)
            for offset, name in result[key]:
                screen.line("    %+11.3f ms  %s" % (offset / 1e6, name))
    screen.line("  verdict")
    if result["takeover_ns"] is not None:
        if result["detection_ns"] is not None:
            screen.line("    detection      %-14s the protocol's time: last advert to first advert"
                        % ms(result["detection_ns"]))
        screen.line("    takeover       %-14s decision to first forwarded packet" % ms(result["takeover_ns"]))
    screen.line("    lost           %-14s of %d UDP echoes, %d with another NAT port"
                % (result["udp_lost"], result["udp_sent"], result["udp_moved"]))
    screen.line("    longest gap    %-14s UDP; TCP stream %s" % (ms(result["udp_gap_ns"]), ms(result["tcp_gap_ns"])))
    screen.line("    TCP alive      %-14s idle connections; stream %s%s; %d resets" % (
        "%d of %d" % (result["idle_alive"], result["idle_total"]),
        "alive" if result["stream_alive"] else "dead",
        " (%s)" % result["stream_error"] if result["stream_error"] else "", result["rst"]))
    screen.line("    IPsec outage   %-14s %d echoes lost" % (ms(result["vpn_outage_ns"]), result["vpn_lost"]))
    if result.get("remark"):
        screen.line("    " + result["remark"])
    for text, ok in result["checks"]:
        screen.line("    %s  %s" % (screen.good("yes") if ok else screen.bad("NO "), text))


def show_summary(screen, results):
    rows = []
    for r in results:
        rows.append([r["stack"], r["scene"], ms(r["detection_ns"], 0), ms(r["takeover_ns"]), r["udp_lost"],
                     r["udp_moved"], ms(r["udp_gap_ns"], 0),
                     "%d/%d%s" % (r["idle_alive"], r["idle_total"], "" if r["stream_alive"] else ", stream dead"),
                     r["rst"], ms(r["vpn_outage_ns"], 0),
                     "-" if r["judged"] is None else screen.good("pass") if r["judged"] else screen.bad("FAIL")])
    screen.head("Summary")
    screen.table(["stack", "scene", "detection", "takeover", "lost", "moved", "UDP gap", "TCP alive", "RST",
                  "IPsec out", "verdict"], rows)


def run_stack(args, screen, make_stack, scenes, results, judged, initiate=False):
    """A fresh lab, one stack, its scenes. Returns True when all passed."""
    ok = True
    lab = Lab(args.build)
    try:
        charons = {name: Charon(lab, name) for name in ("peer",) + ROUTERS}
        for charon in charons.values():
            charon.start()
        stack = make_stack(lab, charons)
        for router in ROUTERS:
            stack.start(router)
        run = Run(lab, stack, charons, None, screen)
        run.wait("a master", run.master, 10)
        run.traffic = Traffic(lab)
        if initiate:
            charons[run.master()].initiate()
        run.settled(10)
        if not run.traffic.flowing("vpn") or not run.traffic.flowing("udp"):
            raise LabError("traffic does not flow before the first scene: %s" % run.traffic.report()["udp"])
        for name, (scene, title) in scenes.items():
            screen.head("%s, scene %s: %s" % (stack.name, name, title))
            try:
                result = scene(run)
            except LabError as e:
                screen.line("  " + screen.bad("failed: %s" % e))
                results.append({"scene": name, "stack": stack.name, "ok": False, "error": str(e)})
                ok = False
                break
            result["judged"] = result["ok"] if judged else None
            results.append(result)
            show_result(screen, result)
            ok = ok and result["ok"]
            if result["idle_alive"] < result["idle_total"] or not result["stream_alive"]:
                run.traffic.reopen()  # each scene is judged for itself
        if args.keep:
            keep(screen, lab)
        stack.stop()
    finally:
        if not ok and judged:
            show_logs(screen, lab)
        lab.close()
    return ok


def run_ipsec(args, screen, results):
    """The scene with labs of its own."""
    screen.head("keeptrackd, scene ipsec: the far site's pings while the master loses its power")
    try:
        results.append(scene_ipsec(screen, args.build))
        return results[-1]["ok"]
    except LabError as e:
        screen.line("  " + screen.bad("failed: %s" % e))
        results.append({"scene": "ipsec", "stack": "keeptrackd", "ok": False, "error": str(e)})
        return False


def show_logs(screen, lab):
    for router in ROUTERS:
        for name in ("keeptrackd.log", "keepalived.log"):
            path = os.path.join(lab.dir, router, name)
            if os.path.exists(path):
                screen.head("last lines of %s on %s" % (name, router))
                with open(path, encoding="utf-8", errors="replace") as f:
                    for line in f.read().strip().split("\n")[-25:]:
                        screen.line("  " + line)


def keep(screen, lab):
    screen.head("The lab stays until Ctrl-C. In another terminal, as root:")
    for name, machine in lab.machines.items():
        screen.line("  %-8s nsenter -t %d -n -m" % (name, machine.holder.pid))
    screen.line("  files    %s" % lab.dir)
    try:
        signal.pause()
    except KeyboardInterrupt:
        screen.line()


def interrupted(number, _frame):
    raise KeyboardInterrupt(number)


def main():
    args = parse()
    screen = Screen()
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    if os.geteuid() != 0:
        sys.exit("The demo makes network namespaces: run it as root (sudo ./dev demo).")
    scenes = {n: s for n, s in SCENES.items() if args.scene in ("all", n)}
    results, ok = [], True
    screen.line(screen.bold("keeptrackd demo") + ", Linux %s, %d processors, load %.2f"
                % (platform.release(), os.cpu_count(), os.getloadavg()[0]))
    show_nodes(screen)
    try:
        if args.stack != "incumbent" and scenes:
            ok = run_stack(args, screen, Keeptrackd, scenes, results, True)
            ok = run_stack(args, screen, lambda lab, charons: Keeptrackd(lab, charons, replicate=False, ipsec=False),
                           CONTROL, results, True, initiate=True) and ok
        if args.stack != "incumbent" and args.scene in ("all", "ipsec"):
            ok = run_ipsec(args, screen, results) and ok
        if scenes and (args.versus or args.stack == "incumbent"):
            versus = {n: s for n, s in scenes.items() if n != "dpd"}
            run_stack(args, screen, Incumbent, versus, results, False)
            ok = run_stack(args, screen, lambda lab, charons: Incumbent(lab, charons, sync=False), CONTROL, results, True,
                           initiate=True) and ok
    except KeyboardInterrupt:
        screen.line()
        screen.line("interrupted: everything is taken down")
        return 130
    except LabError as e:
        screen.line(screen.bad("the lab failed: %s" % e))
        ok = False
    finally:
        if args.json:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump({"kernel": platform.release(), "processors": os.cpu_count(), "ok": ok, "results": results},
                          f, indent=1)
    measured = [r for r in results if "udp_sent" in r]
    if measured:
        show_summary(screen, measured)
    screen.line()
    screen.line(screen.good("Everything passed.") if ok else screen.bad("The demo FAILED."))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
