"""Whoever dies while the volume of a Redis of a registry's own is looked for or removed: the next operator ends the purge."""

import pytest
from harness.cell import PINNED, SHORT_LEASES, bury, emptied, operators
from harness.wait import eventually

POOL = "own-redis"


@pytest.fixture(scope="module")
def cell(stack, tmp_path_factory):
    made = emptied(stack, tmp_path_factory.mktemp("world"))
    made.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendPool", "metadata": {"name": POOL},
                "spec": {"type": "Redis", "mode": "dedicated", "slots": 10}})  # fmt: skip
    return made


@pytest.fixture
def operate(stack, flotillad, tmp_path):
    """operate(points): one operator, of the portal alone; the volume is planted."""
    env = {**stack.cell_env(tmp_path), **SHORT_LEASES}
    return operators(flotillad, env)


def plant_volume(registry, identity):
    registry.cell.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
        "name": "data", "namespace": registry.namespace, "labels": {"flotilla.dev/identity": identity, "flotilla.dev/pool": POOL}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}})  # fmt: skip


@pytest.mark.parametrize("point", ["kube.volume.list.after", "kube.volume.delete.before", "kube.volume.delete.after"])
def test_the_purge_ends_all_the_same(cell, operate, point):
    registry = cell.registry(cell.namespace("own"), backends={**PINNED, "redis": {"pool": POOL}}, deletionPolicy="Delete")
    first = operate()
    eventually(lambda: registry.external("Redis")["state"] == "Pending", 60, 0.2, "its backends were looked at")
    eventually(lambda: registry.condition("BackendsReady") == ("False", "RedisFailed"), what="and told")
    assert first.stop() == 0
    identity = registry.id
    plant_volume(registry, identity)
    registry.delete(wait=False)
    assert operate(f"{point}=kill").wait(120) == -9, f"{point} was not reached"
    bury(cell)
    operate()
    eventually(lambda: not cell.identity(identity), 60, 0.2, "the purge ended")
    cell.wait_purged(identity)
    assert not cell.get("persistentvolumeclaim", "data", registry.namespace)
