"""Both servers; each case runs once on each, in a namespace of its own."""

import functools
import pathlib
import sys

import pytest
from harness import REPO
from harness.cluster import Cluster
from harness.devcluster import Devclusters

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from transcript import CASES, both  # noqa: E402


@pytest.fixture(scope="session")
def stack_without():
    return ("pg-fleet", "pg-pool", "redis-pool", "s3-pool", "kwok")


@pytest.fixture(scope="session")
def connects(stack, tmp_path_factory):
    """How one speaks to the real server, and to the embedded one."""
    running = Devclusters(tmp_path_factory.mktemp("devcluster"))
    dev = running.clusters[0]
    dev.kubectl("apply", "--server-side", "-f", REPO / "crds")
    yield Cluster(stack).connect, dev.connect
    status = running.stop()
    assert status == 0 and not running.sanitizer_reports(), running.sanitizer_reports()


@pytest.fixture(scope="session")
def transcripts(connects):
    """transcripts(name): transcript.both() of the case of that name."""
    cases = {path.stem: path for path in CASES}
    return functools.cache(lambda name: both(connects, cases[name]))
