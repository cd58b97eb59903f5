"""A small machine: network, mount and process namespace, with private /run, /tmp, /var/lib and /etc/keepalived.

In it, keepalived is a symlink to keeptrackd, first in PATH, as a package would install it; with original=True it is the
keepalived of the host. Everything in it ends with the box.
"""

import glob
import os
import signal
import subprocess

from lab import LabError

SETUP = """set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/bin
if [ -n "$1" ]; then
	cp "$1/keeptrackd" "$1/ktsh" /run/bin/
	ln -s keeptrackd /run/bin/keepalived
fi
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs tmpfs /var/lib
mkdir -p /etc/keepalived && mount -t tmpfs tmpfs /etc/keepalived
mount -t sysfs sysfs /sys
ip link set lo up
ip link add lan0 type veth peer name lan1
ip addr add 10.0.1.10/24 dev lan0
ip link set lan0 up
ip link set lan1 up
echo ok
sleep infinity &
wait  # the first process of a namespace buries the dead
"""


class Box:
    def __init__(self, build, original=False):
        self.unshare = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
             "--mount-proc", "--propagation", "private", "sh", "-c", SETUP, "sh", "" if original else build],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.unshare.stdout.readline().strip() != b"ok":
            raise LabError("cannot make a box: " + self.unshare.stderr.read().decode().strip())
        with open("/proc/%d/task/%d/children" % (self.unshare.pid, self.unshare.pid), encoding="ascii") as f:
            self.init = int(f.read().split()[0])
        self.spawned = []

    def reports(self):
        """What programs built with --enable-sanitizers had to say; those in the background have no other place."""
        return "".join(self.read(path.split("/root", 1)[1])[-3000:] for path in glob.glob(self.path("/run/sanitizer.*")))

    def close(self):
        found = self.reports()
        self.end()
        if found:
            raise LabError(found)

    def end(self):
        os.kill(self.init, signal.SIGKILL)  # the first process of a namespace takes all others with it
        self.unshare.wait()
        for child in self.spawned:
            child.wait()

    def command(self, argv, ns=None):
        inner = ["ip", "netns", "exec", ns] if ns else []
        return (["nsenter", "-t", str(self.init), "-n", "-m", "-p", "--", "env",
                 "PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"] +
                ["%s=%s:log_path=/run/sanitizer" % (name, os.environ[name])
                 for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ] + inner + list(argv))

    def call(self, *argv, ns=None, timeout=20, cwd=None):
        """The finished process: returncode, stdout, stderr."""
        inner = ["sh", "-c", 'cd "$0" && exec "$@"', cwd] if cwd else []
        return subprocess.run(self.command(inner + list(argv), ns), capture_output=True, text=True, timeout=timeout,
                              check=False, stdin=subprocess.DEVNULL)

    def run(self, *argv, ns=None, timeout=20):
        """Standard output of what must succeed."""
        p = self.call(*argv, ns=ns, timeout=timeout)
        if p.returncode != 0:
            raise LabError("%s: status %d: %s" % (" ".join(argv), p.returncode, (p.stderr or p.stdout).strip()[-800:]))
        return p.stdout

    def sh(self, script, ns=None, timeout=20):
        return self.run("sh", "-c", script, ns=ns, timeout=timeout)

    def spawn(self, *argv, ns=None, log="/run/log"):
        """In the foreground of nobody; its output is appended to a file in the box."""
        child = subprocess.Popen(self.command(["sh", "-c", 'exec "$@" >>"$0" 2>&1', log] + list(argv), ns),
                                 stdin=subprocess.DEVNULL)
        self.spawned.append(child)
        return child

    def path(self, path):
        """Of a file of the box, seen from outside."""
        if path.startswith("/var/run/"):  # an absolute link, which would lead out of the box
            path = path[4:]
        return "/proc/%d/root%s" % (self.init, path)

    def read(self, path):
        with open(self.path(path), encoding="utf-8", errors="replace") as f:
            return f.read()

    def write(self, path, text, mode=0o644):
        with open(self.path(path), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(path), mode)

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def namespace(self, name):
        """A network namespace of ip-netns(8) with the same interfaces."""
        self.sh("ip netns add %s && ip -n %s -batch -" % (name, name) + """ <<EOF
link set lo up
link add lan0 type veth peer name lan1
addr add 10.0.1.10/24 dev lan0
link set lan0 up
link set lan1 up
EOF
""")

    def addresses(self, dev="lan0", ns=None):
        """["10.0.1.10/24", ...]"""
        out = self.run("ip", "-o", "addr", "show", "dev", dev, ns=ns)
        return [line.split()[3] for line in out.strip().split("\n") if line]

    def pid_in(self, path):
        """The number in a pid file, exactly as programs write it."""
        text = self.read(path)
        if not (text.endswith("\n") and text[:-1].isdigit()):
            raise LabError("%s: %r is no number and a newline" % (path, text))
        return int(text)

    def lives(self, pid):
        try:
            return not self.read("/proc/%d/stat" % pid).rsplit(")", 1)[1].startswith(" Z")
        except (FileNotFoundError, ProcessLookupError):
            return False
