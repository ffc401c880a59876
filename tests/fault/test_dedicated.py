"""Whoever dies while the volume of a Redis of a registry's own is looked for or removed: the next operator ends the purge."""

import json

import pytest
from harness import world
from harness.cell import PINNED, POOLS, Cell, pool_of
from harness.cluster import Cluster
from harness.crash_leftovers import sweep
from harness.wait import eventually

LEASES = {"FLOTILLA_LEASE_DURATION_MS": 3000, "FLOTILLA_LEASE_RENEW_MS": 500, "FLOTILLA_LEASE_DEADLINE_MS": 2000}
POOL = "own-redis"


@pytest.fixture(scope="module")
def cell(stack, tmp_path_factory):
    sweep(world.World(stack, tmp_path_factory.mktemp("world")), Cluster(stack))
    made = Cell(stack)
    for kind, name in POOLS.items():
        pool_of(made, kind, name)
    made.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendPool", "metadata": {"name": POOL},
                "spec": {"type": "Redis", "mode": "dedicated", "slots": 10}})  # fmt: skip
    return made


@pytest.fixture
def operate(stack, flotillad, tmp_path):
    """operate(points): one operator, of the portal alone; the volume is planted."""
    env = {**stack.cell_env(tmp_path), **LEASES}

    def start(points=None):
        return flotillad(["operate"], {**env, **({"FLOTILLA_FAILPOINTS": points} if points else {})})

    return start


def plant_volume(registry, identity):
    registry.cell.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
        "name": "data", "namespace": registry.namespace, "labels": {"flotilla.dev/identity": identity, "flotilla.dev/pool": POOL}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}})  # fmt: skip


@pytest.mark.parametrize("point", ["kube.volume.list.after", "kube.volume.delete.before", "kube.volume.delete.after"])
def test_the_purge_ends_all_the_same(cell, operate, point):
    registry = cell.registry(cell.namespace("own"), backends={**PINNED, "redis": {"pool": POOL}}, deletionPolicy="Delete")
    first = operate()
    eventually(lambda: registry.external("Redis")["state"] == "Pending", 60, 0.2, "its backends were looked at")
    assert registry.condition("BackendsReady") == ("False", "RedisFailed"), json.dumps(registry.get()["status"])
    assert first.stop() == 0
    identity = registry.id
    plant_volume(registry, identity)
    registry.delete(wait=False)
    assert operate(f"{point}=kill").wait(120) == -9, f"{point} was not reached"
    operate()
    eventually(lambda: not cell.identity(identity), 60, 0.2, "the purge ended")
    cell.wait_purged(identity)
    assert not cell.get("persistentvolumeclaim", "data", registry.namespace)
