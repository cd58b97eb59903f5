"""Differences from keepalived that are meant, with their reason. docs/keepalived-differences.md lists them.

A rule names what it explains as narrowly as it can: the phase, whose lines, and what must be the same all the same.
tests/netns/test_drop_in_diff.py has invented differences right beside each, which none may take.
"""

import re

STATE = r'(INSTANCE|GROUP) "\S+" (MASTER|BACKUP|FAULT) \d+'


def all_match(lines, pattern):
    return all(re.fullmatch(pattern, line) for line in lines)


def without_numbers(text):
    """Lines about moved priorities left out, and the priorities of the others."""
    lines = [x for x in text.split("\n") if x and "_PRIORITY " not in x]
    return [re.sub(r"(?<=[ |])\d+$|(?<=priority )\d+", "N", x) for x in lines]


def but_for_numbers(d):
    """Both say the same of other priorities."""
    return without_numbers(d.theirs) == without_numbers(d.ours)


def last_number(text):
    """The priority in the last line that has one."""
    found = re.findall(r"(?m)[ |](\d+)$", text)
    return found[-1:]


def about(d):
    """The virtual router that it is about, by the name in a line or the number in an advert; None: another thing."""
    word = d.what.split(" ")[-1].strip('"')
    for v in d.case.routers:
        if v.name == word or (d.what.startswith("advert") and str(v.vrid) == word):
            return v
    return None


def of_member(d):
    v = about(d)
    return v is not None and any(v.name in g for g in d.case.groups)


def is_reload(d):
    return d.phase.startswith("reload")


def own_states(d):
    """Our lines without the states that fifo_write_vrrp_states_on_reload asks for."""
    told = d.case_has("fifo_write_vrrp_states_on_reload")
    return [x for x in d.ours_lines() if not (told and re.fullmatch(STATE, x))]


def states_on_reload(d):
    return is_reload(d) and d.what.startswith("fifo") and d.ours_lines() and not d.theirs_lines() and not own_states(d)


def priority_again(d):
    theirs, ours = d.theirs_lines(), own_states(d)
    if not is_reload(d) or not d.what.startswith("fifo INSTANCE") or not theirs:
        return False
    told = {x.split(" ")[-1] for x in theirs}
    if not all_match(theirs, r'INSTANCE "\S+" BACKUP_PRIORITY \d+') or len(told) != 1:
        return False
    # where the reload does change it, we say so with the state that is true
    return {x.split(" ")[-1] for x in ours} == told and all_match(ours, r'INSTANCE "\S+" MASTER_PRIORITY \d+') \
        if ours else told == {d.priority}


def other_order(d):
    """The same calls, ours in the order of the FIFO's lines, which are the same with both."""
    states = [x.split("|")[4] for x in d.ours.split("\n") if x.startswith("notify|")]
    return d.what.startswith("script notify ") and d.told == states and len(states) > 1 and \
        sorted(d.theirs.split("\n")) == sorted(d.ours.split("\n"))


def first_look(d):
    looks = d.case.scripts or d.case.tracked or d.case.procs
    return looks and d.what.startswith(("fifo INSTANCE", "script notify")) and \
        (d.phase == "at the start" or is_reload(d)) and but_for_numbers(d) and \
        last_number(d.theirs) == last_number(d.ours)


def without_route(d):
    """An address that is asked over its link, on a virtual MAC, and has noprefixroute."""
    words = [s.words for i in d.case.root if i.words[0] == "vrrp_instance" and any(x.words[0] == "use_vmac" for x in i.subs)
             for b in i.subs if b.words[0] == "virtual_ipaddress" for s in b.subs]
    return d.theirs == "answers" and any(
        d.what == "answer of " + w[0].split("/")[0] and w[0].startswith("fe80::") and "noprefixroute" in w for w in words)


# (name, whether it is the cause of a difference, the reason, in the words of the document)
KNOWN = [
    ("reader stays",
     lambda d: d.what.startswith("script reader") and is_reload(d) and not d.ours_lines(),
     "A reload leaves the program that reads the FIFO alone: keepalived ends it and starts another one, which loses what is "
     "written in between."),
    ("states on reload", states_on_reload,
     "With fifo_write_vrrp_states_on_reload the states are written after a reload, as keepalived's manual says. keepalived "
     "2.2.7 was not seen to do it."),
    ("priority again", priority_again,
     "keepalived builds the priority of every instance anew at a reload and tells it as BACKUP_PRIORITY, even if it is the "
     "same as before and the instance is MASTER. Here a line is written when the priority has changed, with the state that "
     "is true."),
    ("weights of members",
     lambda d: of_member(d) and d.what.startswith(("fifo INSTANCE", "script notify", "advert")) and but_for_numbers(d),
     "A weight in the list of a member of a group moves the priority of all members, because all of them move together "
     "here; in keepalived it moves its own member only, and the group goes where the first one goes."),
    ("fault again",
     lambda d: d.theirs_lines() and not d.ours_lines() and d.what.startswith(("fifo", "script notify")) and
     all("FAULT" in x or x.startswith("notify_fault|") for x in d.theirs_lines()) and d.faulty,
     "Who is in FAULT is told so once. keepalived tells it again at a reload, and when a second cause appears."),
    ("order of programs", other_order,
     "Programs are run one after the other, in the order of what happened. keepalived starts them all at once, and the one "
     "that was told MASTER may come before the one that was told BACKUP."),
    ("first look", first_look,
     "What a first look at scripts, files and processes changes comes when each has been looked at: before or after the "
     "first BACKUP, one by one or together, with keepalived too. The priority in these lines is that of the moment; the last "
     "one is the same."),
    ("init_fail",
     lambda d: d.case_has("init_fail") and d.phase == "at the start" and d.what.startswith(("fifo", "script notify")) and
     [x for x in without_numbers(d.ours) if "FAULT" not in x and "fault" not in x] == without_numbers(d.theirs),
     "With init_fail an instance begins in FAULT and its programs are told so. keepalived tells nobody until the script has "
     "ended for the first time."),
    ("defined later",
     lambda d: d.phase.split(" ")[0] in ("script", "file") and d.phase.split(" ")[1] in d.unheard,
     "A group may track what the file defines further down. keepalived says that it is not found, and ignores the line."),
    ("link-local twice",
     lambda d: d.what == "kernel addresses" and d.case_has("use_vmac") and not d.ours_lines() and
     all_match(d.theirs_lines(), r"v\S+ fe80::a:ff:fe00:[0-2] 64  brd= link  nodad deprecated lft=0"),
     "keepalived puts the link-local address of the interface below on the interface of an IPv6 virtual MAC too, to send "
     "from there. Here the adverts bear the same source, and no address is on two interfaces."),
    ("link-local without a route", without_route,
     "A link-local address with noprefixroute on a virtual MAC: nothing leads to the neighbours there, which is what the word "
     "asks for. In keepalived the second link-local address (above) has the route."),
]


def known(d):
    for name, matches, _ in KNOWN:
        if matches(d):
            return name
    return None
