"""Would the fault suite find an operator that cannot bear a fault? Two OvhNginxes, there before the operator starts, are
changed while it runs; what counts is how many replicas their Deployments have in the end, and in which order they came."""

import itertools
import time

from . import fault_cases
from .fault_cases import Case
from .naive import Naive

OPERATE = "flotillad-operate"
# Where each fault meets an operator that looks, writes and hears: (verb, resource); at the first call, but for NTH.
PLACES = {
    "409": ("patch", "deployments"), "410": ("watch", "ovhnginxes"), "422": ("create", "deployments"),
    "429": ("create", "deployments"), "500": ("get", "deployments"), "503": ("patch", "deployments"),
    "504": ("list", "ovhnginxes"), "slow": ("list", "ovhnginxes"), "cut": ("event", "ovhnginxes"),
    "stale": ("list", "ovhnginxes"), "reorder": ("list", "ovhnginxes"), "drop": ("event", "ovhnginxes"),
    "expire": ("event", "ovhnginxes"),
}  # fmt: skip
NTH = {"500": 3}  # not one of the two by which it sees that there is nothing yet
SETTLE_S = 4.0  # longer than a dropped event stays unknown
_numbers = itertools.count(1)


class Bite:
    """One run: `start` starts the operator and gives what ends it."""

    def __init__(self, dev, table):
        self.dev, self.table = dev, table
        self.namespace = f"teeth-{next(_numbers)}"

    def spec(self, name, replicas):
        path = f"/apis/tutorials.ovhcloud.com/v1/namespaces/{self.namespace}/ovhnginxes/{name}"
        self.dev.apply(path, {"apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx",
                              "metadata": {"name": name, "namespace": self.namespace}, "spec": {"replicaCount": replicas, "port": 80}})

    def end(self):
        items = self.dev.ok("GET", f"/apis/apps/v1/namespaces/{self.namespace}/deployments")["items"]
        return {item["metadata"]["name"]: (item["spec"]["replicas"], item["metadata"].get("labels", {}).get("rank")) for item in items}

    def run(self, start, rows=(), expected=None):
        """The end. With `expected` it is waited for; what is wrong then is what is there after SETTLE_S."""
        self.dev.ok("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.spec("a", 1)
        self.spec("b", 1)
        self.spec("b", 2)  # so that a stale list is another list
        self.table.put(rows)
        stop = start()
        try:
            self._both_there()
            self.spec("a", 3)
            self._settle({"a": 3, "b": 2}, expected)
        finally:
            stop()
            self.table.put()
            found = self.end()
            self.dev.ok("DELETE", f"/api/v1/namespaces/{self.namespace}")
            self.dev.gone(f"/api/v1/namespaces/{self.namespace}", 10)
        return found

    def _both_there(self):
        deadline = time.monotonic() + SETTLE_S
        while len(self.end()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)

    def _settle(self, replicas, expected):
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            found = self.end()
            if found == expected if expected else {name: count for name, (count, _) in found.items()} == replicas:
                return
            time.sleep(0.05)


def row(fault):
    return Case(fault, OPERATE, *PLACES[fault]).row(NTH.get(fault, 1))


def naive_caught(dev, table):
    """{fault: is the naive operator's end another one under it}; undisturbed its end must be right."""
    def start():
        return Naive(dev.connect).stop

    right = Bite(dev, table).run(start)
    assert right == {"a": (3, "0"), "b": (2, "1")}, f"undisturbed: {right}"
    return {fault: Bite(dev, table).run(start, [row(fault)], right) != right for fault in fault_cases.FAULTS}
