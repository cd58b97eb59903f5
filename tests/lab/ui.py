"""What the demo prints: plain words, aligned columns, colours only on a terminal."""

import re
import sys
import time

ANSI = re.compile("\x1b\\[[0-9;]*m")


class Screen:
    def __init__(self, stream=sys.stdout):
        self.out = stream
        self.tty = stream.isatty()
        self.live_lines = 0
        self.last_live = None
        self.last_at = 0.0
        self.begin = time.monotonic()

    def paint(self, text, code):
        return "\x1b[%sm%s\x1b[0m" % (code, text) if self.tty else text

    def bold(self, text):
        return self.paint(text, "1")

    def good(self, text):
        return self.paint(text, "32")

    def bad(self, text):
        return self.paint(text, "31;1")

    def dim(self, text):
        return self.paint(text, "2")

    def line(self, text=""):
        self.wipe()
        self.out.write(text + "\n")
        self.out.flush()

    def head(self, text):
        self.line()
        self.line(self.bold(text))

    def note(self, text):
        self.line("  " + self.dim(text))

    def wipe(self):
        """Takes the live lines away."""
        if self.live_lines:
            self.out.write("\x1b[%dA\x1b[J" % self.live_lines)
            self.live_lines = 0

    def live(self, rows, key):
        """On a terminal rows are rewritten in place; elsewhere they are printed when key (roles) changes."""
        now = time.monotonic()
        if self.tty:
            if now - self.last_at < 0.2:
                return
            self.last_at = now
            self.wipe()
            for row in rows():
                self.out.write("  " + row + "\n")
                self.live_lines += 1
            self.out.flush()
        elif key != self.last_live:
            for row in rows():
                self.out.write("  %6.2f s  %s\n" % (now - self.begin, row))
            self.out.flush()
        self.last_live = key

    def table(self, header, rows, indent="  "):
        cells = [[str(c) for c in row] for row in [header] + rows]
        width = [max(len(ANSI.sub("", row[i])) for row in cells) for i in range(len(header))]
        for n, row in enumerate(cells):
            text = indent + "  ".join(c + " " * (w - len(ANSI.sub("", c))) for c, w in zip(row, width)).rstrip()
            self.line(self.bold(text) if n == 0 else text)


def ms(ns, digits=1):
    return "-" if ns is None else "%.*f ms" % (digits, ns / 1e6)
