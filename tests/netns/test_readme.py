"""The README's command blocks do what the README says, run in order, with two namespaces as two machines.

A block that is to be run stands below a comment `<!-- run: WHERE -->`, WHERE being fw-a, fw-b, both, or the machine
where it is built. The rest of the file is prose.
"""

import os
import re
import shutil
import subprocess

from lab import ROUTERS, VIP_LAN, VIP_WAN, wait_for

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def blocks():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    found = re.findall(r"<!-- run: ([a-z -]+) -->\n```sh\n(.*?)```", text, re.S)
    assert len(found) == text.count("```sh\n"), "a command block of the README does not say where it runs"
    return found


def install(lab, text):
    """The build machine: the same commands, into an empty folder instead of the system."""
    root = os.path.join(lab.dir, "installed")
    shims = os.path.join(lab.dir, "shims")
    os.makedirs(shims)
    with open(os.path.join(shims, "sudo"), "w", encoding="ascii") as f:
        f.write('#!/bin/sh\nexec "$@"\n')
    os.chmod(os.path.join(shims, "sudo"), 0o755)
    env = dict(os.environ, PATH=shims + ":" + os.environ["PATH"], DESTDIR=root)
    p = subprocess.run(["bash", "-e", "-c", text], cwd=TOP, env=env, capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stdout[-2000:] + p.stderr[-2000:]
    return root, shims


def become_machine(router, root, shims):
    """Its own /etc, /var/lib and /usr/local, with what was installed."""
    etc = os.path.join(router.dir, "etc")
    shutil.copytree("/etc", etc, symlinks=True)
    shutil.copytree(os.path.join(root, "etc"), etc, dirs_exist_ok=True)
    router.run("sh", "-ec", """
        mount --bind "$0" /etc
        mount -t tmpfs tmpfs /var/lib
        mount -t tmpfs tmpfs /usr/local/sbin
        cp "$1"/usr/sbin/keeptrackd "$1"/usr/bin/ktsh "$2"/sudo /usr/local/sbin/
        """, etc, root, shims)


def run_block(router, text):
    p = subprocess.run(router.command(["bash", "-e", "-o", "pipefail", "-c", text]), capture_output=True, text=True,
                       timeout=30, check=False, env=dict(os.environ, PATH="/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"))
    assert p.returncode == 0, "%s on %s:\n%s%s" % (text, router.name, p.stdout, p.stderr)
    return p.stdout


def service(router, verb):
    return subprocess.run(router.command(["/etc/init.d/keeptrackd", verb]), capture_output=True, text=True, timeout=30,
                          check=False)


def is_only_master(lab, name):
    return [r for r in ROUTERS if lab[r].has_ip4(VIP_LAN, VIP_WAN)] == [name]


def test_readme(lab):
    copied = started = False
    installed = None
    for where, text in blocks():
        if where == "build machine":
            installed = install(lab, text)
            for name in ROUTERS:
                become_machine(lab[name], *installed)
            continue
        assert installed, "the README installs before it configures"
        if where == "fw-b" and not copied:
            shutil.copytree(os.path.join(lab["fw-a"].dir, "etc/keeptrackd"),
                            os.path.join(lab["fw-b"].dir, "etc/keeptrackd"), dirs_exist_ok=True)
            copied = True
        if "ktsh" in text and not started:
            started = True
            for name in ROUTERS:
                assert service(lab[name], "status").returncode == 3
                p = service(lab[name], "start")
                assert p.returncode == 0, p.stdout + p.stderr
                assert service(lab[name], "status").returncode == 0
            wait_for("fw-a to be master", lambda: is_only_master(lab, "fw-a"), 10)
            wait_for("the pair to be ready", lambda: '"verdict":"a switch now loses nothing"' in run_block(
                lab["fw-a"], "ktsh show failover status json").replace('": "', '":"'), 10)
        for name in ROUTERS if where == "both" else (where,):
            out = run_block(lab[name], text)
            if "show vrrp json" in text:
                assert "MASTER" in out
    assert copied and started
    wait_for("fw-b to be master after `force failover`", lambda: is_only_master(lab, "fw-b"), 5)
    for name in ROUTERS:
        p = service(lab[name], "stop")
        assert p.returncode == 0, p.stdout + p.stderr
        assert service(lab[name], "status").returncode == 3
        assert service(lab[name], "reload").returncode == 7
        assert service(lab[name], "nonsense").returncode == 2
