# Races: plays each scenario of tests/lab/races.py with both daemons and writes docs/keepalived-differences.md
"""usage (as root): ./dev bench races [--only NAME,..] [--json FILE] [--write]

Without --write the table is only printed.
"""

import argparse
import json
import os
import sys
import traceback

from measure import STACKS, TOP, conditions
from races import SCENARIOS

DOC = os.path.join(TOP, "docs", "keepalived-differences.md")
BEGIN, END = "<!-- measured: ./dev bench races --write -->", "<!-- end of the measured part -->"


def play(build, only):
    """[(key, title, what is done, {daemon: sentence}, {daemon: observed})]"""
    found = []
    for key, title, work, what, say in SCENARIOS:
        if only and work.__name__ not in only:
            continue
        said, seen = {}, {}
        for stack in STACKS:
            try:
                seen[stack.label] = work(stack, build)
                said[stack.label] = say(seen[stack.label])
            except Exception as e:  # pylint: disable=broad-except
                traceback.print_exc()
                said[stack.label] = "the scenario failed: %s" % str(e)[:200]
            print("%s, %s: %s" % (title, stack.label, said[stack.label]), file=sys.stderr, flush=True)
        found.append((key, title, work.__name__, what, said, seen))
    return found


def measured_part(where, found):
    lines = [BEGIN, "",
             "Measured with %(keeptrackd)s and %(keepalived)s on Linux %(kernel)s, %(cores)d cores, %(time)s." % where, ""]
    for key, title, name, what, said, _ in found:
        lines += ["### %s" % title, "", what, "",
                  "| | what happened |", "|---|---|",
                  "| keepalived | %s |" % said.get("keepalived", "-"), "| keeptrackd | %s |" % said.get("keeptrackd", "-"),
                  "", "Run it: `./dev bench races --only %s`; our side is in `./dev test --interop -k races`." % name, ""]
        del key
    return "\n".join(lines + [END])


def main():
    parser = argparse.ArgumentParser(prog="./dev bench races", usage=__doc__.split("\n", 1)[0][7:])
    parser.add_argument("--only", default="")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    args = parser.parse_args()
    if os.getuid() != 0:
        sys.exit("Network namespaces are needed: run it as root.")
    where = conditions(args.build)
    found = play(args.build, [n for n in args.only.split(",") if n])
    part = measured_part(where, found)
    print(part)
    if args.write:
        with open(DOC, encoding="utf-8") as f:
            text = f.read()
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(text[:text.index(BEGIN)] + part + text[text.index(END) + len(END):])
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"conditions": where, "scenarios": [
                {"name": n, "title": t, "said": said, "seen": seen} for _, t, n, _, said, seen in found]}, f, indent=1)
    return 1 if any("failed" in s for _, _, _, _, said, _ in found for s in said.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
