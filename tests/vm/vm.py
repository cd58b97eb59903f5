#!/usr/bin/python3
"""Runs a command as root in a virtual machine that has what the kernel of this machine may lack.

usage: vm.py [-m MEGABYTES] [-t SECONDS] [-c N] [-v] COMMAND [ARGUMENT...]

The machine is user-mode Linux: Debian's package user-mode-linux, an ordinary program. It has ESP and XFRM, VLAN, VRF,
netem, dummy interfaces, and connection tracking of its own; it has no nft families but bridge (iptables-legacy works).
Its root is the root of this machine, read-only, so every program is there; /run, /dev and /dev/shm are its own, and one
job directory is shared and writable ($VM_JOB). The command runs in the current directory with this environment; its
output is passed on as it comes; its exit status is returned: 124 says that the time was over, 125 that the machine or a
module of its kernel did not start. Machines can run side by side; each has one processor. System calls in it are slow:
what it shows is behaviour, not speed.

-m  memory of the machine (768)     -t  time limit in seconds (300)
-c  which of the processors that this process may use (any)             -v  show the console of its kernel, too
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL = "linux.uml"
# What no program asks for by itself, and what a test would miss late and without a word.
MODULES = ("ipv6", "veth", "bridge", "8021q", "vrf", "dummy", "macvlan", "tun", "sch_netem", "xfrm_user", "esp4", "esp6",
           "nf_conntrack_netlink")
TIME_OVER, NO_MACHINE = 124, 125
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class VmError(Exception):
    """The machine cannot be started."""


def program(name):
    path = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise VmError("%s is missing: apt-get install --no-install-recommends user-mode-linux kmod gcc util-linux" % name)
    return path


def memory_directory(megabytes):
    """Where the file lies that is the machine's memory: it is mapped executable, and thinly filled."""
    for path in ("/dev/shm", "/run", tempfile.gettempdir(), "/var/tmp"):
        if os.access(path, os.W_OK | os.X_OK):
            fs = os.statvfs(path)
            if not fs.f_flag & os.ST_NOEXEC and fs.f_bavail * fs.f_frsize > megabytes << 20:
                return path
    raise VmError("no directory for %d MB of memory: /dev/shm, /run and temporary directories are full, or noexec"
                  % megabytes)


def job_base():
    """Where the job directory is made: its name stands on the kernel's command line, and the kernel puts its own /dev over
    the host's before it looks for it."""
    for path in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = os.path.realpath(path)
        if os.access(path, os.W_OK | os.X_OK) and not re.search(r"\s|^/(dev|proc|sys)(/|$)", path):
            return path
    raise VmError("no directory for temporary files outside of /dev whose name has no blank in it")


class Vm:
    """One run. The job directory is there from the beginning until close()."""

    def __init__(self, command, megabytes=768, seconds=300, processor=None):
        self.seconds = seconds
        self.job = tempfile.mkdtemp(prefix="keeptrackd-vm-", dir=job_base())
        self.process = None
        self.read = 0
        try:
            self._prepare(command, dict(os.environ))
            self._start(megabytes, os.getpid() if processor is None else processor)
        except BaseException:
            self.close()
            raise

    def _path(self, name):
        return os.path.join(self.job, name)

    def _write(self, name, text):
        with open(self._path(name), "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)

    def _prepare(self, command, environment):
        # Machines of the lab have a /run of their own, and Unix sockets need a real file system.
        environment.update(TMPDIR="/dev/shm", TMP="/dev/shm", TEMP="/dev/shm", VM_JOB=self.job)
        for word in ("LD_PRELOAD", "PWD", "OLDPWD"):
            environment.pop(word, None)
        lines = ["export %s=%s" % (k, shlex.quote(v)) for k, v in environment.items() if k.isidentifier()]
        lines += ["cd %s || exit %d" % (shlex.quote(os.getcwd()), NO_MACHINE), "exec " + shlex.join(command)]
        self._write("command", "\n".join(lines) + "\n")
        self._write("modules", "\n".join(MODULES) + "\n")
        self._write("directories", "\n".join(dict.fromkeys((os.getcwd(), HERE, os.path.dirname(os.path.dirname(HERE))))) + "\n")
        self._write("output", "")
        shutil.copy(os.path.join(HERE, "init.sh"), self._path("init"))
        os.chmod(self._path("init"), 0o755)
        subprocess.run([program("cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o", self._path("fpu.so"),
                        os.path.join(HERE, "fpu.c")], check=True)

    def _start(self, megabytes, processor):
        # In a process namespace of its own everything ends with the first process, and that one with us.
        argv = [program("setpriv"), "--pdeathsig", "KILL", program("unshare"), "--pid", "--fork", "--kill-child", "--",
                program(KERNEL), "mem=%dM" % megabytes, "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro",
                "init=" + self._path("init"), "job=" + self.job, "uml_dir=%s/" % self.job, "umid=vm",
                "con=null", "ssl=null", "con0=null,fd:1", "quiet"]
        program("modprobe")
        # Kernel and tasks hand over to each other all the time; on one processor that costs half as much as on two.
        processors = sorted(os.sched_getaffinity(0))
        argv = [program("taskset"), "-c", str(processors[processor % len(processors)])] + argv
        environment = dict(os.environ, LD_PRELOAD=self._path("fpu.so"), TMPDIR=memory_directory(megabytes))
        with open(self._path("console"), "wb") as console:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            env=environment, cwd="/")

    def output(self):
        """What the command has written since the last call."""
        with open(self._path("output"), "rb") as f:
            f.seek(self.read)
            data = f.read()
        self.read += len(data)
        return data

    def console(self):
        with open(self._path("console"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self, out):
        """Passes the output on until the end; returns the exit status."""
        end = time.monotonic() + self.seconds
        over = panic = False
        while self.process.poll() is None and not over and not panic:
            over = time.monotonic() > end
            panic = "Kernel panic - not syncing" in self.console()  # after which it would stand still
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
            out.write(self.output())
            out.flush()
        self._kill()
        out.write(self.output())
        out.flush()
        if over:
            return TIME_OVER
        try:
            with open(self._path("status"), encoding="ascii") as f:
                return int(f.read())
        except (FileNotFoundError, ValueError):
            return NO_MACHINE

    def _kill(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()

    def close(self):
        self._kill()
        shutil.rmtree(self.job, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2][7:], add_help=False)
    parser.add_argument("-m", type=int, default=768)
    parser.add_argument("-t", type=float, default=300)
    parser.add_argument("-c", type=int)
    parser.add_argument("-v", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if args.help or not args.command:
        print(__doc__.strip())
        return 0 if args.help else 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        vm = Vm(args.command, args.m, args.t, args.c)
    except (VmError, OSError, subprocess.SubprocessError) as e:
        print("vm.py: %s" % e, file=sys.stderr)
        return NO_MACHINE
    try:
        status = vm.wait(sys.stdout.buffer)
        if status == TIME_OVER:
            print("vm.py: ended after %g s, the limit" % args.t, file=sys.stderr)
        if args.v or status == NO_MACHINE:
            print(vm.console(), file=sys.stderr)
        return status
    finally:
        vm.close()


if __name__ == "__main__":
    sys.exit(main())
