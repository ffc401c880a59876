"""One process with two clusters for the session; each test has a namespace of its own."""

import itertools

import pytest
from harness import REPO
from harness.devcluster import Devclusters
from harness.wait import eventually

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def devclusters(tmp_path_factory):
    running = Devclusters(tmp_path_factory.mktemp("devcluster"), count=2)
    roles = [word for path in (REPO / "helm/flotilla/rbac").glob("*.yaml") for word in ("-f", path)]
    running.clusters[0].kubectl("apply", "--server-side", "-f", REPO / "crds", *roles)
    yield running
    status = running.stop()
    assert status == 0 and not running.sanitizer_reports(), running.sanitizer_reports() or running.logs[-3:]


@pytest.fixture(scope="session")
def dev(devclusters):
    return devclusters.clusters[0]


@pytest.fixture
def namespace(dev):
    name = f"t-{next(_numbers)}"
    dev.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}/configmaps/kube-root-ca.crt"  # made by a controller, which comes a moment later
    eventually(lambda: dev.request("GET", path)[0] == 200, what=f"{name} is complete")
    return name
