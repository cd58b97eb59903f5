"""Differences from keepalived that are meant, with their reason. docs/keepalived-differences.md lists them."""

import re


def fifo_only(d, pattern):
    """All lines that one has more than the other match."""
    return d.what.startswith("fifo") and all(re.fullmatch(pattern, line) for line in d.more())


def without_numbers(text):
    """Lines about moved priorities left out, and the priorities of the others."""
    lines = [x for x in text.split("\n") if x and "_PRIORITY " not in x]
    return [re.sub(r"(?<=[ |])\d+$|(?<=priority )\d+", "N", x) for x in lines]


def but_for_numbers(d):
    """Both say the same of other priorities."""
    return without_numbers(d.theirs) == without_numbers(d.ours)


# (name, whether it is the cause of a difference, the reason, in the words of the document)
KNOWN = [
    ("reader stays",
     lambda d: d.what.startswith("script reader") and d.phase.startswith("reload") and not d.ours_lines(),
     "A reload leaves the program that reads the FIFO alone: keepalived ends it and starts another one, which loses what is "
     "written in between."),
    ("states on reload",
     lambda d: d.phase.startswith("reload") and d.case_has("fifo_write_vrrp_states_on_reload") and
     fifo_only(d, r'(INSTANCE|GROUP) "\S+" (MASTER|BACKUP|FAULT) \d+') and not d.theirs_lines(),
     "With fifo_write_vrrp_states_on_reload the states are written after a reload, as keepalived's manual says. keepalived "
     "2.2.7 was not seen to do it."),
    ("weights of members",
     lambda d: d.case.groups and d.what.startswith(("fifo INSTANCE", "script notify", "advert")) and but_for_numbers(d),
     "A weight in the list of a member of a group moves the priority of all members, because all of them move together "
     "here; in keepalived it moves its own member only, and the group goes where the first one goes."),
    ("fault again",
     lambda d: d.theirs_lines() and not d.ours_lines() and d.what.startswith(("fifo", "script notify")) and
     all("FAULT" in x or x.startswith("notify_fault|") for x in d.theirs_lines()) and
     (d.phase.startswith("reload") or d.faulty),
     "Who is in FAULT is told so once. keepalived tells it again at a reload, and when a second cause appears."),
    ("first look",
     lambda d: d.case.scripts and d.what.startswith(("fifo INSTANCE", "script notify")) and
     (d.phase == "at the start" or d.phase.startswith("reload")) and but_for_numbers(d),
     "What a script's first run changes comes when the script has run: before or after the first BACKUP, with keepalived "
     "too. The priority in these lines is that of the moment."),
    ("init_fail",
     lambda d: d.case_has("init_fail") and d.phase == "at the start" and d.what.startswith(("fifo", "script notify")) and
     [x for x in without_numbers(d.ours) if "FAULT" not in x and "fault" not in x] == without_numbers(d.theirs),
     "With init_fail an instance begins in FAULT and its programs are told so. keepalived tells nobody until the script has "
     "ended for the first time."),
]


def known(d):
    for name, matches, _ in KNOWN:
        if matches(d):
            return name
    return None
