"""The serving probe on a real API server. The Harbor that it asks is tests/backends/harbor_replay.py: a recording, no Harbor."""

import json
import subprocess
import sys
import time
import urllib.request

import pytest
from harness import REPO
from harness.cell import VERIFY_MS, forget_registries, running
from harness.wait import eventually

INTERVAL_MS = 200


class Harbor:
    def __init__(self):
        script = REPO / "tests/backends/harbor_replay.py"
        self.process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def control(self, **change):
        body = json.dumps(change).encode() if change else None
        with urllib.request.urlopen(f"http://{self.address}/control", body, timeout=10) as answer:
            return json.load(answer)

    def asked(self):
        return sum(line == "nobody GET /service/token" for line in self.control()["seen"])

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def harbor():
    made = Harbor()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def registry(stack, harbor, tmp_path_factory):
    """One Registry, and an operator that probes."""
    env = {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_VERIFY_INTERVAL_MS": VERIFY_MS,
           "FLOTILLA_SERVING_PROBE": "on", "FLOTILLA_SERVING_INTERVAL_MS": INTERVAL_MS,
           "FLOTILLA_HARBOR_ADDRESS": harbor.address}  # fmt: skip
    forget_registries(stack)
    with running(stack, env, tmp_path_factory.mktemp("operate")) as cell:
        yield cell.registry(cell.namespace("serving"))


def serving_message(registry):
    return next(c["message"] for c in registry.get()["status"]["conditions"] if c["type"] == "Serving")


def version_after(registry, harbor, probes):
    """resourceVersion before and after so many more probes."""
    before, asked = registry.get()["metadata"]["resourceVersion"], harbor.asked()
    eventually(lambda: harbor.asked() >= asked + probes, 30, what=f"{probes} more probes")
    return before, registry.get()["metadata"]["resourceVersion"]


def test_ready_means_that_harbor_serves(registry, harbor):
    registry.wait("True", "ReadyServing").wait("True", "Serves", "Serving").wait("True", "StackAvailable", "Available")
    before, after = version_after(registry, harbor, 8)
    assert before == after, "probes that find the same write nothing"
    assert harbor.control()["sessions"] == 1, "all probes share a session"
    assert not [line for line in harbor.control()["seen"] if not line.startswith("nobody GET")]


@pytest.mark.parametrize("damage,reason,words", [
    ({"jobservice": False}, "Unhealthy", "jobservice"),
    ({"signs": False}, "TokenRefused", "/service/token: Harbor answers 500"),
    ({"raw": {"/api/v2.0/health": [200, "<html>"]}}, "NotHarbor", "no Harbor"),
    ({"raw": {"/api/v2.0/health": [503, "down"]}}, "Unreachable", "127.0.0.1"),
])  # fmt: skip
def test_what_is_wrong_is_told_and_ends(registry, harbor, damage, reason, words):
    registry.wait("True", "ReadyServing")
    harbor.control(set=damage)
    registry.wait("False", reason, "Serving").wait("False", "NotServing").wait("False", "NotServing", "Available")
    assert words in serving_message(registry)
    harbor.control(set={"jobservice": True, "signs": True, "raw": {}})
    registry.wait("True", "ReadyServing").wait("True", "StackAvailable", "Available")


def test_one_lost_answer_is_no_outage(registry, harbor):
    registry.wait("True", "ReadyServing")
    harbor.control(set={"fail": 1})
    before, after = version_after(registry, harbor, 4)
    assert before == after


def test_a_closed_registry_is_not_asked(registry, harbor):
    registry.spec(lifecycle="Closed", purgeAfter="2090-01-01T00:00:00Z")
    registry.wait("False", "Closed").wait("False", "Closed", "Serving")
    asked = harbor.asked()
    time.sleep(5 * INTERVAL_MS / 1000)
    assert harbor.asked() == asked
    registry.spec(lifecycle="Active", purgeAfter=None)
    registry.wait("True", "ReadyServing")
