"""Plays a case with both daemons at the same time, and says where they differ."""

import os
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from generate import Case
from known import known
from world import HERE, Stack, World, link_kinds

REST = 0.35  # seconds without any change


def last_state(world, name):
    """The last state of an instance or group that the FIFO told before this phase."""
    states = [x.split(" ")[2] for x in world.lines()[:world.old_lines] if x.split(" ")[1] == name]
    return [s for s in states if s in ("MASTER", "BACKUP", "FAULT")][-1:]


class Difference:
    """What one daemon had and the other had not. theirs and ours are lines."""

    def __init__(self, case, phase, what, theirs, ours, worlds=()):
        self.case, self.phase, self.what, self.theirs, self.ours = case, phase, what, theirs, ours
        name = '"%s"' % what.split(" ")[-1].strip('"')
        # both were in FAULT before, as far as the FIFO tells
        self.faulty = bool(worlds) and all(last_state(w, name) == ["FAULT"] for w in worlds)
        # what our FIFO told of the priority until now
        self.priority = "".join([x.split(" ")[3] for x in worlds[1].lines() if x.split(" ")[1] == name][-1:]) if worlds else ""
        # the states that both FIFOs told in this phase, if they agree
        told = [[x.split(" ")[2] for x in w.lines()[w.old_lines:] if x.split(" ")[1] == name] for w in worlds]
        self.told = told[0] if told and told[0] == told[1] else None
        # trackers that keepalived does not hear of, because they stand below
        self.unheard = set(re.findall(r"track \w+ (\S+) not found, ignoring", worlds[0].log())) if worlds else set()
        self.why = known(self)

    @staticmethod
    def _lines(mine, other):
        left = other.split("\n")
        more = []
        for line in mine.split("\n"):
            if line in left:
                left.remove(line)
            elif line:
                more.append(line)
        return more

    def theirs_lines(self):
        """Lines that only keepalived had."""
        return self._lines(self.theirs, self.ours)

    def ours_lines(self):
        return self._lines(self.ours, self.theirs)

    def more(self):
        return self.theirs_lines() + self.ours_lines()

    def case_has(self, word):
        return any(w == word for _, w in self.case.words())

    def __str__(self):
        theirs, ours = (" // ".join(lines) or "-" for lines in (self.theirs_lines(), self.ours_lines()))
        if theirs == ours:  # the order differs
            theirs, ours = self.theirs.replace("\n", " // "), self.ours.replace("\n", " // ")
        return "seed %d, %s, %s%s\n    keepalived: %s\n    keeptrackd: %s" % (
            self.case.seed, self.phase, self.what, " (%s)" % self.why if self.why else "", theirs, ours)


def seen(world):
    """Everything that is compared, as {what: text}."""
    found = {"kernel %s" % k: "\n".join(v) for k, v in world.kernel().items()}
    found.update({"script %s" % k: "\n".join(v) for k, v in world.calls().items()})
    found.update({"fifo %s" % k: "\n".join(v) for k, v in world.by_name().items()})
    found["daemon"] = "runs" if world.alive() else "has ended with status %s" % world.process.poll()
    return found


def compare(case, phase, theirs, ours, differences, told, worlds=()):
    for what in sorted(set(theirs) | set(ours)):
        a, b = theirs.get(what, ""), ours.get(what, "")
        # what lasts is told once
        if a != b and (told.get(what) != (a, b) or what.startswith(("script", "fifo"))):
            told[what] = (a, b)
            differences.append(Difference(case, phase, what, a, b, worlds))


def settle(worlds, least, most):
    """Until nothing changes in any world and both are the same; what they look like at last."""
    begin, same_since, last = time.monotonic(), time.monotonic(), None
    while True:
        now = [seen(w) for w in worlds]
        t = time.monotonic()
        if now != last:
            last, same_since = now, t
        quiet = t - same_since >= REST
        if t - begin >= least and quiet and (now[0] == now[1] or t - begin >= most):
            return now
        if t - begin >= most + 3:
            return now
        time.sleep(0.12)


def on_wire(worlds, case, phase, differences, told):
    compare(case, phase, *[{"advert " + k: v for k, v in w.adverts().items()} for w in worlds], differences, told)


def play_in(case, worlds):
    differences, told = [], {}

    def phase(name, least, most):
        compare(case, name, *settle(worlds, least, most), differences, told, worlds)
        for w in worlds:
            w.mark()

    for w in worlds:
        w.start()
    phase("at the start", case.tick() + 0.5, case.tick() + 3)
    on_wire(worlds, case, "at the start", differences, told)
    compare(case, "at the start", *[w.answers() for w in worlds], differences, told)
    for what, arg in case.events:
        for on in (True, False):
            if what in ("lower", "zero") and not on:
                continue
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda w, e=(what, arg, on): w.event(*e), worlds))
            phase("%s %s %s" % (what, arg, "begins" if on else "ends"), case.tick(what), case.tick(what) + 2)
    on_wire(worlds, case, "after the events", differences, told)
    for w in worlds:
        w.process.terminate()
    for w in worlds:
        if not w.stop():
            differences.append(Difference(case, "at the end", "daemon %s" % w.stack.label, "", "did not end in 15 s"))
    phase("after the end", 0.2, 1)
    return differences


def play(seed, build, stacks):
    case = Case(seed, link_kinds())
    try:
        with World(build, stacks[0], case) as theirs, World(build, stacks[1], case) as ours:
            found = play_in(case, (theirs, ours))
            if any(not d.why for d in found):
                save(seed, case, (theirs, ours), found)
            return found
    except Exception as e:  # pylint: disable=broad-except
        traceback.print_exc()
        return [Difference(case, "the case itself", "failed", "", str(e)[:500])]


def again(seed, build, before):
    """What of these differences is there a second time, alone: a busy machine moves instants past each other."""
    names = {(d.phase, d.what) for d in before}
    return [d for d in play(seed, build, stacks(build)) if not d.why and (d.phase, d.what) in names]


def play_different(seed, build):
    """keepalived twice; the second one reads what comes of a reload with one more address and another priority."""
    case, other = Case(seed, link_kinds()), Case(seed, link_kinds())
    other.root = other.changed("address")
    instance = [s for s in other.root if s.words[0] == "vrrp_instance"][-1]
    next(s for s in instance.subs if s.words[0] == "priority").words[1] = "33"
    case.events = other.events = []
    first, second = stacks(build, null=True)
    with World(build, first, case) as a, World(build, second, other) as b:
        return play_in(case, (a, b))


def save(seed, case, worlds, found):
    """Everything that is needed to look into a case, into KT_DIFF_KEEP."""
    keep = os.environ.get("KT_DIFF_KEEP")
    if not keep:
        return
    there = os.path.join(keep, str(seed))
    os.makedirs(there, exist_ok=True)
    for name, text in case.text().items():
        with open(os.path.join(there, name), "w", encoding="ascii") as f:
            f.write(text)
    for w in worlds:
        with open(os.path.join(there, w.stack.label + ".log"), "w", encoding="utf-8") as f:
            f.write(w.log())
        with open(os.path.join(there, w.stack.label + ".fifo"), "w", encoding="utf-8") as f:
            f.write("\n".join(w.lines()) + "\n")
    with open(os.path.join(there, "differences"), "w", encoding="utf-8") as f:
        f.write("events: %s\n" % case.events + "\n".join(map(str, found)) + "\n")


def stacks(build, null=False):
    """keepalived and us; null: keepalived twice, which must not differ from itself."""
    return (Stack("keepalived"), Stack("keepalived-again" if null else "keeptrackd",
                                       None if null else os.path.join(os.path.abspath(build), "keeptrackd")))


def play_all(seeds, build, jobs=4, null=False, say=None):
    """{seed: differences}"""
    found = {}

    def one(seed):
        found[seed] = play(seed, build, stacks(build, null))
        if say:
            say(seed, found[seed])

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, seeds))
    return found


# ---- coverage of keywords

TABLE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "daemon", "dropin", "kconf_words.c")


# words of releases after the one that is compared with, which knows nothing of them; ours; and what a private network
# namespace or one comparison cannot show. Each has a test of its own (docs/keepalived-keywords.md)
LATER = {"v3_checksum_as_v2", "no_virtual_ipaddress", "state_dump_file", "stats_dump_file", "json_dump_file",
         "state_file_location", "stats_file_location", "json_file_location", "reload_file", "json_version",
         "conntrack_sync", "ipsec_failover", "net_namespace"}


def honoured():
    """{(block, word)} of the table of words that keepalived 2.2.7 knows, too."""
    names = {"KIN_ROOT": "the top", "KIN_GLOBAL": "global_defs", "KIN_INSTANCE": "vrrp_instance", "KIN_AUTH": "authentication",
             "KIN_GROUP": "vrrp_sync_group", "KIN_SCRIPT": "vrrp_script", "KIN_FILE": "track_file",
             "KIN_PROCESS": "vrrp_track_process", "KIN_GARP": "garp_group"}
    with open(TABLE, encoding="utf-8") as f:
        rows = re.findall(r'\b(?:HON|OWN|BLK)\((KIN_\w+),\s*"([^"]+)"', f.read())
    return {(names[block], word) for block, word in rows if block in names and word not in LATER}


def coverage(seeds):
    """(honoured words that these seeds use, honoured words that they do not), on this machine."""
    used = set()
    for seed in seeds:
        used |= Case(seed, link_kinds()).words()
    want = honoured()
    return want & used, want - used
