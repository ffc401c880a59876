"""How soon what a process held is another's, from the recorded history of the Leases, as a part of their duration. With
times at which who only polls is far off: it lists each 3 s, so late a renewal is known and, once more, that a Lease ran out."""

import contextlib
import datetime
import statistics
import time

import pytest
from harness.cluster import Cluster
from harness.history import History
from harness.wait import eventually

DURATION_S = 8
LEASE_TIMES = ["--lease-duration-ms=8000", "--lease-renew-ms=5000", "--lease-deadline-ms=6800"]
ROUNDS = 3  # the middle one is judged: a machine may be too busy once
LATE = 0.125  # of the duration; polls alone make it three times as much on the average
SHARDS = 33


class Leases:
    """Processes by name, which share one namespace of Leases, and its history."""

    def __init__(self, stack, start, namespace):
        self.cluster, self.start, self.namespace, self.processes = Cluster(stack), start, namespace, {}
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.history = History(self.cluster, namespace, ("leases",))

    def join(self):
        name = f"takeover-{len(self.processes)}"
        self.processes[name] = self.start(f"--identity={name}", f"--operator-namespace={self.namespace}", *LEASE_TIMES)
        eventually(lambda: name in self._holders() and len(self._all_held()) == SHARDS, 30, what=f"{name} has its part")

    def _all_held(self):
        living = {name for name, process in self.processes.items() if process.process.poll() is None}
        held = {lease["metadata"]["name"]: lease["spec"].get("holderIdentity")
                for lease in self.cluster.list("leases", self.namespace, "flotilla.dev/lease=shard")}
        return {shard: holder for shard, holder in held.items() if holder in living}

    def _holders(self):
        return set(self._all_held().values())

    def lose(self, end):
        """(from the last renewal to the fence, from the fence until all is another's), in durations. Who renewed says when."""
        name = next(name for name, process in self.processes.items() if process.process.poll() is None)
        of_name = {shard for shard, holder in self._all_held().items() if holder == name}
        end(self.processes[name])
        eventually(lambda: len(self._all_held()) == SHARDS, 30, what=f"what {name} had is another's")
        member = f"flotilla-member-{name}"
        self.history.wait("leases", lambda now: all(
            now[shard]["spec"].get("holderIdentity") not in (None, name) for shard in of_name) and member not in now)
        changes = self.history.changes()
        fence = next(change for change in changes if change.gone and change.name == member)
        renewed = datetime.datetime.fromisoformat(fence.item["spec"]["renewTime"].replace("Z", "+00:00")).timestamp()
        fenced = fence.at - time.monotonic() + time.time()
        taken = [change.at for change in changes if change.name in of_name and change.version > fence.version]
        assert len(taken) == len(of_name), "each is taken once, and only after the fence"
        return (fenced - renewed) / DURATION_S, (max(taken) - fence.at) / DURATION_S


@pytest.fixture
def leases(stack, flotillad, request):
    def start(*args):
        return flotillad(["operate", "--kubeconfig", stack.env["KUBECONFIG_OPERATE"], *args])

    made = Leases(stack, start, request.node.name.replace("_", "-")[:60])
    with contextlib.ExitStack() as ends:
        ends.callback(made.cluster.delete, "namespaces", made.namespace)
        ends.callback(made.history.stop)
        made.join()
        made.join()
        yield made


def test_who_was_killed_is_missed_when_its_lease_runs_out(leases):
    found = []
    for _ in range(ROUNDS):
        found.append(leases.lose(lambda process: process.kill()))
        leases.join()
    silent, taking = zip(*found)
    print(f"fenced after {silent} of the duration, all taken {taken_in(taking)}")
    assert min(silent) >= 1, "nobody is believed dead before its Lease has run out"
    assert statistics.median(silent) <= 1 + LATE, silent
    assert statistics.median(taking) <= LATE, taking


def test_who_leaves_is_replaced_at_once(leases):
    found = []
    for _ in range(ROUNDS):
        found.append(leases.lose(lambda process: process.stop())[1])
        leases.join()
    print(taken_in(found))
    assert statistics.median(found) <= LATE, found


def taken_in(found):
    return f"in {[f'{DURATION_S * part * 1000:.0f} ms' for part in found]} with Leases of {DURATION_S} s"
