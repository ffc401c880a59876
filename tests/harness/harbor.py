"""A Harbor for operators to ask, and an operator that asks: tests/backends/harbor_replay.py, a recording."""

import contextlib
import json
import subprocess
import sys
import urllib.request

from . import REPO
from .cell import VERIFY_MS, running
from .wait import eventually

PROBE_MS = 200
LOOK_MS = 300
ADMIN_PASSWORD = "Harbor12345"  # the recording's


class Harbor:
    def __init__(self):
        script = REPO / "tests/backends/harbor_replay.py"
        self.process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def control(self, **change):
        body = json.dumps(change).encode() if change else None
        with urllib.request.urlopen(f"http://{self.address}/control", body, timeout=10) as answer:
            return json.load(answer)

    def seen(self, start):
        """How many requests began so: "admin", "robot GET /api/v2.0/quotas"."""
        return sum(line.startswith(start) for line in self.control()["seen"])

    def asked(self):
        return self.seen("nobody GET /service/token")

    def looks(self):
        return self.seen("robot GET /api/v2.0/quotas")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def probing(stack, directory, harbor, **more):
    """The environment of an operator that asks `harbor` for each registry."""
    return {**stack.cell_env(directory), "FLOTILLA_VERIFY_INTERVAL_MS": VERIFY_MS, "FLOTILLA_SERVING_PROBE": "on",
            "FLOTILLA_SERVING_INTERVAL_MS": PROBE_MS, "FLOTILLA_HARBOR_INTERVAL_MS": LOOK_MS,
            "FLOTILLA_HARBOR_ADDRESS": harbor.address, **more}  # fmt: skip


@contextlib.contextmanager
def managed(stack, make_directory, **more):
    """(cell, harbor, registry): one Registry of a Harbor, whose first admin password is the recording's."""
    harbor = Harbor()
    harbor.operator = make_directory("operate")  # what that process writes
    try:
        with running(stack, probing(stack, make_directory("cell"), harbor, **more), harbor.operator) as cell:
            namespace = cell.namespace("managed")
            cell.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first", "namespace": namespace},
                        "stringData": {"password": ADMIN_PASSWORD}})  # fmt: skip
            registry = cell.registry(namespace, adminSecretRef={"name": "first"})
            # Everything is made in this time, on a machine that may have much else to do.
            eventually(lambda: registry.condition("Managed") == ("True", "AccountReady"), 120, what="a Harbor that is managed")
            yield cell, harbor, registry
    finally:
        harbor.stop()
