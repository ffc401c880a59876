"""Would the fault suite find an operator that cannot bear a fault? Two OvhNginxes, there before the operator starts, are
changed while it runs; what counts is how many replicas their Deployments have in the end, and in which order they came."""

import concurrent.futures
import itertools
import time

import yaml

from . import REPO, fault_cases
from .devcluster import Devclusters
from .fault_cases import Case
from .faultproxy import Table
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
SLOW_MS = 4000  # than which the naive one is less patient, on a busy machine, too
SETTLE_S = 10.0  # longer than a dropped event stays unknown, on a busy machine, too
RIGHT = {"a": (3, "0"), "b": (2, "1")}  # (replicas, place in the list) of both Deployments
CRD = REPO / "crds/ovhnginxes.yaml"
_numbers = itertools.count(1)


class Bite:
    """One run: `start` starts the operator and gives what ends it."""

    def __init__(self, dev):
        self.dev, self.table, self.fired = dev, Table(dev.connect), True
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
            self.fired = all(put.get("hit") for put in self.table.rows())
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
    made = Case(fault, OPERATE, *PLACES[fault]).row(NTH.get(fault, 1))
    return {**made, "namespace": "*", **({"ms": SLOW_MS} if fault == "slow" else {})}


def start_naive(dev):
    return lambda: Naive(dev.connect).stop


def caught(dev, fault, right):
    """Is its end another one under this fault, which must have fired?"""
    bite = Bite(dev)
    found = bite.run(start_naive(dev), [row(fault)], right)
    assert bite.fired, f"{fault} hit nothing"
    return found != right


def naive_caught(directory):
    """{fault: is the naive operator found by it}, each on a cluster of its own. Beside them one goes undisturbed: what the
    machine does to all of them finds nobody."""
    with open(CRD, encoding="utf-8") as file:
        crd = yaml.safe_load(file)
    running = Devclusters(directory, count=len(fault_cases.FAULTS) + 1)
    for dev in running.clusters:
        dev.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}", crd)
    right = Bite(running.clusters[0]).run(start_naive(running.clusters[0]))
    assert right == RIGHT, f"undisturbed: {right}"
    with concurrent.futures.ThreadPoolExecutor(len(running.clusters)) as hands:
        control = hands.submit(lambda dev: Bite(dev).run(start_naive(dev), expected=right), running.clusters[-1])
        found = hands.map(caught, running.clusters, fault_cases.FAULTS, itertools.repeat(right))
        answer = dict(zip(fault_cases.FAULTS, found))
    assert control.result() == RIGHT, f"undisturbed beside the others: {control.result()}"
    assert running.stop() == 0 and not running.sanitizer_reports(), running.sanitizer_reports()
    return answer
