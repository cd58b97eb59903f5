"""Links, addresses and the guardian on the real kernel: each program makes a network namespace of its own and exits
non-zero when anything differs.

Needs root. KT_BUILD names the build directory.
"""

import os
import subprocess

import pytest

BUILD = os.path.abspath(os.environ.get("KT_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build")))


@pytest.mark.parametrize("program", ["rtnl_script_real", "netapply_root", "guardian_root", "sandbox_root"])
def test_real_kernel(program):
    done = subprocess.run([os.path.join(BUILD, program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
