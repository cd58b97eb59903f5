"""The kernel's own conntrack table: the programs make a network namespace each and exit non-zero at a difference.

Needs root and nft. KT_BUILD names the build directory.
"""

import os
import subprocess

import pytest

BUILD = os.path.abspath(os.environ.get("KT_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build")))


@pytest.mark.parametrize("program", ["ct_script_real", "ct_io_real"])
def test_real_kernel(program):
    done = subprocess.run([os.path.join(BUILD, program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
