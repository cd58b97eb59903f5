# Failover against keepalived + conntrackd: runs `./dev demo --versus` N times and prints the table of docs/measurements.md
"""usage (as root): tests/bench/versus.py [N]      or, for runs that exist: tests/bench/versus.py RESULT.json..."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def runs(arguments):
    if arguments and not arguments[0].isdigit():
        for path in arguments:
            with open(path, encoding="utf-8") as f:
                yield json.load(f)
        return
    for n in range(int(arguments[0]) if arguments else 3):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            status = subprocess.run([os.path.join(TOP, "dev"), "demo", "--versus", "--json", out.name],
                                    stdout=subprocess.DEVNULL, check=False).returncode
            print("run %d: status %d" % (n + 1, status), file=sys.stderr)
            yield json.load(out)


def cell(values, scale=1.0, digits=0):
    known = [v / scale for v in values if v is not None]
    if not known:
        return "-"
    return "%.*f (%.*f..%.*f)" % (digits, statistics.median(known), digits, min(known), digits, max(known))


def main():
    rows, passed, n = {}, 0, 0
    for run in runs(sys.argv[1:]):
        n += 1
        passed += bool(run["ok"])
        for r in run["results"]:
            if "udp_sent" in r:
                rows.setdefault((r["scene"], r["stack"]), []).append(r)
    print("%d runs, %d passed; median (min..max)\n" % (n, passed))
    print("| scene | stack | detection ms | takeover ms | UDP lost | wrong NAT port | UDP gap ms | TCP gap ms "
          "| idle TCP alive | resets | IPsec outage ms |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for (scene, stack), results in rows.items():
        def col(key, scale=1.0, digits=0, results=results):
            return cell([r[key] for r in results], scale, digits)
        print("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |" % (
            scene, stack, col("detection_ns", 1e6), col("takeover_ns", 1e6, 1), col("udp_lost"), col("udp_moved"),
            col("udp_gap_ns", 1e6), col("tcp_gap_ns", 1e6), col("idle_alive"), col("rst"), col("vpn_outage_ns", 1e6)))


if __name__ == "__main__":
    main()
