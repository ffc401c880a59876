"""The serving probe on a real API server. The Harbor that it asks is tests/backends/harbor_replay.py: a recording, no Harbor."""

import time

import pytest
from harness.harbor import PROBE_MS, managed
from harness.wait import eventually, rests

LOOK_ONCE = {"FLOTILLA_HARBOR_INTERVAL_MS": 86400000}  # into Harbor; tests/kube/test_managed.py is about that


@pytest.fixture(scope="module")
def made(stack, tmp_path_factory):
    with managed(stack, tmp_path_factory.mktemp, **LOOK_ONCE) as (_, harbor, registry):
        registry.wait("True", "ReadyInPart")
        yield harbor, registry


@pytest.fixture(scope="module")
def harbor(made):
    return made[0]


@pytest.fixture(scope="module")
def registry(made):
    """One Registry, and an operator that probes."""
    return made[1]


def serving_message(registry):
    return next(c["message"] for c in registry.get()["status"]["conditions"] if c["type"] == "Serving")


def version_after(registry, harbor, probes):
    """resourceVersion before and after so many more probes."""
    before, asked = registry.get()["metadata"]["resourceVersion"], harbor.asked()
    eventually(lambda: harbor.asked() >= asked + probes, 30, what=f"{probes} more probes")
    return before, registry.get()["metadata"]["resourceVersion"]


def test_ready_means_that_harbor_serves(registry, harbor):
    registry.wait("True", "ReadyInPart").wait("True", "Serves", "Serving").wait("True", "StackAvailable", "Available")
    rests(lambda: registry.get()["metadata"]["resourceVersion"], 1)
    sessions = harbor.control()["sessions"]
    before, after = version_after(registry, harbor, 8)
    assert before == after, "probes that find the same write nothing"
    assert harbor.control()["sessions"] == sessions, "all probes share a session"
    asked = {line for line in harbor.control()["seen"] if line.startswith("nobody")}
    assert asked == {"nobody GET /api/v2.0/health", "nobody GET /service/token"}


@pytest.mark.parametrize("damage,reason,words", [
    ({"jobservice": False}, "Unhealthy", "jobservice"),
    ({"signs": False}, "TokenRefused", "/service/token: Harbor answers 500"),
    ({"raw": {"/api/v2.0/health": [200, "<html>"]}}, "NotHarbor", "no Harbor"),
    ({"raw": {"/api/v2.0/health": [503, "down"]}}, "Unreachable", "127.0.0.1"),
])  # fmt: skip
def test_what_is_wrong_is_told_and_ends(registry, harbor, damage, reason, words):
    registry.wait("True", "ReadyInPart")
    harbor.control(set=damage)
    registry.wait("False", reason, "Serving").wait("False", "NotServing").wait("False", "NotServing", "Available")
    assert words in serving_message(registry)
    harbor.control(set={"jobservice": True, "signs": True, "raw": {}})
    registry.wait("True", "ReadyInPart").wait("True", "StackAvailable", "Available")


def test_one_lost_answer_is_no_outage(registry, harbor):
    registry.wait("True", "ReadyInPart")
    harbor.control(set={"fail": 1})
    before, after = version_after(registry, harbor, 4)
    assert before == after


def test_a_closed_registry_is_not_asked(registry, harbor):
    registry.spec(lifecycle="Closed", purgeAfter="2090-01-01T00:00:00Z")
    registry.wait("False", "Closed").wait("False", "Closed", "Serving")
    asked = harbor.asked()
    time.sleep(5 * PROBE_MS / 1000)
    assert harbor.asked() == asked
    registry.spec(lifecycle="Active", purgeAfter=None)
    registry.wait("True", "ReadyInPart")
