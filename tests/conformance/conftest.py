"""Both servers; each case runs once on each, in a namespace of its own."""

import functools
import pathlib
import sys

import pytest
from harness import REPO
from harness.cluster import Cluster
from harness.devcluster import Devclusters
from harness.wait import eventually

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from transcript import CASES, Server, steps  # noqa: E402


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
    """transcripts(name): the case, what the real server said, what the embedded one said, their namespaces."""
    cases = {path.stem: path for path in CASES}

    @functools.cache
    def run(name):
        case, said, namespace = steps(cases[name]), [], f"conformance-{name}"
        for connect in connects:
            server = Server(connect, namespace)
            made, _ = server.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}},
                                  {"Content-Type": "application/json"})
            assert made == 201
            path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"
            eventually(lambda: server.send("GET", path, None, {})[0] == 200, 20)  # pylint: disable=cell-var-from-loop
            said.append(server.transcript(case))
        return case, *said, (namespace, namespace)

    return run
