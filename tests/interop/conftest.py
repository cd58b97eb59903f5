"""The fixtures of tests/netns, for tests against other programs."""

import importlib.util
import os

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "netns", "conftest.py")
SPEC = importlib.util.spec_from_file_location("netns_conftest", PATH)
MODULE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)

lab, make_pair, pair = MODULE.lab, MODULE.make_pair, MODULE.pair
build_dir = MODULE.build_dir
pytest_configure, pytest_runtest_makereport = MODULE.pytest_configure, MODULE.pytest_runtest_makereport
