"""Differences from keepalived that are meant, with their reason. docs/keepalived-differences.md lists them."""

import re

# (name, what it matches: a function of the difference, reason)
KNOWN = []


def known(d):
    for name, matches, _ in KNOWN:
        if matches(d):
            return name
    return None


assert re
