"""The launcher itself: what a machine has, what it must not touch, and that nothing of it is left."""

import os
import signal
import subprocess
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
VM = os.path.join(HERE, "vm.py")

# A machine whose kernel can do what these tests are for, and which can write nowhere but in its job directory.
INSIDE = """
set -e
for place in /etc /usr /root /var/tmp "$HERE" "$PWD"; do
    if touch "$place/keeptrackd-vm-was-here" 2>/dev/null; then echo "wrote to $place"; exit 1; fi
done
touch "$VM_JOB/mine" /dev/shm/mine /run/mine
ip link add dummy9 type dummy
ip link set dummy9 up
ip link add link dummy9 name dummy9.7 type vlan id 7
ip link add red type vrf table 77
ip link set dummy9.7 master red
tc qdisc add dev dummy9 root netem loss 20% delay 20ms 5ms
ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 reqid 1 mode tunnel aead 'rfc4106(gcm(aes))' \
    0x0102030405060708090a0b0c0d0e0f1011121314 128
ip xfrm state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 0x1001 reqid 1 mode tunnel \
    enc 'cbc(aes)' 0x0102030405060708090a0b0c0d0e0f10 auth 'hmac(sha256)' 0x0102
ip xfrm state count | grep -q 'SAD count 2'
iptables-legacy -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
conntrack -C
"$FPU_CHECK"
echo 'one  two' "$WORD"
exit 42
"""


def run(*words, limit=60, **environment):
    return subprocess.run([VM, "-t", str(limit)] + list(words), capture_output=True, text=True, timeout=limit + 30,
                          env=dict(os.environ, **environment), check=False)


def guests(marker):
    """Processes on this machine that belong to a guest: the kernel has the job directory on its command line."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as f:
                if marker.encode() in f.read():
                    found.append(int(entry))
        except OSError:
            pass
    return found


@pytest.fixture(name="private")
def fixture_private(tmp_path):
    """A temporary directory whose name tells our machines from those that others run."""
    path = tmp_path / "machines"
    path.mkdir()
    return str(path)


def test_kernel_files_status(tmp_path, private):
    program = str(tmp_path / "fpu_check")
    subprocess.run(["cc", "-O1", "-pthread", "-o", program, os.path.join(HERE, "fpu_check.c")], check=True)
    got = run("sh", "-c", INSIDE, TMPDIR=private, WORD="a 'b' $c", HERE=HERE, FPU_CHECK=program,
              VM_FPU_BUFFER="832")  # the end of AVX: the registers of AVX-512 have to be kept behind the buffer
    assert got.returncode == 42, got.stdout + got.stderr
    assert "registers kept\none  two a 'b' $c\n" in got.stdout
    assert not os.path.exists("/etc/keeptrackd-vm-was-here")
    assert os.listdir(private) == [] and guests(private) == []


def test_time_limit(private):
    begin = time.monotonic()
    got = run("sh", "-c", "echo begun; trap '' TERM INT; while :; do sleep 1; done", limit=12, TMPDIR=private)
    assert got.returncode == 124 and "begun" in got.stdout and "limit" in got.stderr, got
    assert time.monotonic() - begin < 30
    assert os.listdir(private) == [] and guests(private) == []


def test_dies_with_its_launcher(private):
    """Output comes while the command runs; a launcher that is killed takes its machine along."""
    with subprocess.Popen([VM, "sh", "-c", "echo begun; sleep 1000"], stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, TMPDIR=private)) as launcher:
        try:
            assert launcher.stdout.readline() == "begun\n"
            assert guests(private)
        finally:
            launcher.send_signal(signal.SIGKILL)
    end = time.monotonic() + 5
    while guests(private) and time.monotonic() < end:
        time.sleep(0.02)
    assert guests(private) == []


def test_a_panic_is_an_end(private):
    got = run("sh", "-c", "sleep 1; echo c >/proc/sysrq-trigger; sleep 1000", limit=60, TMPDIR=private)
    assert got.returncode == 125 and "Kernel panic" in got.stderr, got
    assert os.listdir(private) == [] and guests(private) == []


def test_says_what_is_missing(private, tmp_path):
    """A host without the kernel, and a machine without a place for its memory."""
    names = tmp_path / "bin"
    names.mkdir()
    for name in ("cc", "setpriv", "unshare", "taskset", "modprobe"):
        (names / name).symlink_to("/bin/true")
    code = ("import vm, sys; vm.SYSTEM_PATH = vm.os.environ['PATH'] = %r; sys.argv[1:] = ['true']; sys.exit(vm.main())"
            % str(names))
    got = subprocess.run(["/usr/bin/python3", "-B", "-c", code], cwd=HERE, capture_output=True, text=True, check=False,
                         env=dict(os.environ, TMPDIR=private))
    assert got.returncode == 125 and "linux.uml is missing: apt-get install" in got.stderr, got
    got = run("-m", str(1 << 40), "true", TMPDIR=private)
    assert got.returncode == 125 and "memory" in got.stderr, got
