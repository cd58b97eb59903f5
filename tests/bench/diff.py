# Diff: 200 generated keepalived.conf files under keepalived and under us; whatever differs is listed with its reason
"""usage (as root): ./dev bench diff [--quick] [--seeds FROM-TO] [--jobs N] [--json FILE] [--write]

Each seed is a configuration and events, played at the same time in two equal worlds (tests/diff). Without --write the
list is only printed; with it, docs/keepalived-differences.md gets it. About 25 minutes, with --quick (20 seeds) 3.
"""

import argparse
import json
import os
import sys

from measure import TOP, conditions

sys.path.insert(0, os.path.join(TOP, "tests", "diff"))

import play  # noqa: E402
from known import KNOWN  # noqa: E402

DOC = os.path.join(TOP, "docs", "keepalived-differences.md")
BEGIN, END = "<!-- compared: ./dev bench diff --write -->", "<!-- end of the compared part -->"


def compared_part(where, seeds, found):
    used, missing = play.coverage(seeds)
    count = {name: set() for name, _, _ in KNOWN}
    unmeant = {}
    for seed, differences in found.items():
        for d in differences:
            if d.why:
                count[d.why].add(seed)
            else:
                unmeant.setdefault(seed, []).append(d)
    same = sum(1 for differences in found.values() if not differences)
    lines = [BEGIN, "",
             "%d generated configurations, %d of them without any difference, on Linux %s, %s. They use %d of %d honoured "
             "keywords that keepalived 2.2.7 knows (%.1f %%)%s." % (
                 len(found), same, where["kernel"], where["time"], len(used), len(used | missing),
                 100 * len(used) / len(used | missing),
                 "; not " + ", ".join("`%s`" % w for _, w in sorted(missing)) if missing else ""), "",
             "| difference | configurations | why |", "|---|---|---|"]
    lines += ["| %s | %d | %s |" % (name, len(count[name]), why) for name, _, why in KNOWN]
    lines += [""]
    without = [seed for seed in seeds if play.Case(seed, play.link_kinds()).left_out]
    if without:
        lines += ["This machine's kernel has no ipvlan: %d of the configurations are played without their `use_ipvlan`."
                  % len(without), ""]
    if unmeant:
        lines += ["Without an explanation so far:", ""]
        lines += ["- seed %d, %s, %s (and %d more)" % (seed, ds[0].phase, ds[0].what, len(ds) - 1)
                  for seed, ds in sorted(unmeant.items())] + [""]
    return "\n".join(lines + [END]), unmeant


def main():
    parser = argparse.ArgumentParser(prog="./dev bench diff", usage=__doc__.split("\n", 1)[0][7:])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    args = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("Network namespaces are needed: run it as root.")
    first, last = map(int, args.seeds.split("-")) if args.seeds else (1, 20 if args.quick else 200)
    seeds = range(first, last + 1)

    def say(seed, differences):
        for d in differences:
            if not d.why:
                print(d, file=sys.stderr)
        print("seed %d: %d meant, %d not" % (seed, sum(1 for d in differences if d.why),
                                            sum(1 for d in differences if not d.why)), file=sys.stderr, flush=True)

    found = play.play_all(seeds, args.build, args.jobs, say=say)
    for seed, differences in found.items():
        if any(not d.why for d in differences):
            # a busy machine moves instants past each other: what is not there a second time, alone, was that
            back = {(d.phase, d.what) for d in play.again(seed, args.build, [d for d in differences if not d.why])}
            found[seed] = [d for d in differences if d.why or (d.phase, d.what) in back]
    part, unmeant = compared_part(conditions(args.build), seeds, found)
    print(part)
    if args.write:
        with open(DOC, encoding="utf-8") as f:
            text = f.read()
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(text[:text.index(BEGIN)] + part + text[text.index(END) + len(END):])
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({seed: [str(d) for d in ds] for seed, ds in found.items()}, f, indent=1)
    return 1 if unmeant else 0


if __name__ == "__main__":
    sys.exit(main())
