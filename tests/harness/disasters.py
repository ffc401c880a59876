"""The cell's memory goes: its API server restarts while registries are made, and etcd comes back as it was before. The
fleet's rows are the truth of what it made, the externals bear their marks, and the end is the same as if nothing had been."""

import shutil

from .cell import condition_of
from .cluster import Cluster
from .wait import eventually

OPERATORS = "flotilla-system"
CACHES = ("kwok", "kube-scheduler", "kube-controller-manager")  # Kubernetes' own; who restores etcd restarts them


class Etcd:
    def __init__(self, stack, directory):
        self.stack, self.data, self.copy = stack, f"{stack.directory}/etcd", f"{directory}/etcd"

    def _cold(self, work, others=()):
        for name in (*others, "kube-apiserver", "etcd"):
            self.stack.stop(name)
        work()
        for name in ("etcd", "kube-apiserver", *reversed(others)):
            self.stack.start(name)

    def snapshot(self):
        self._cold(lambda: shutil.copytree(self.data, self.copy))

    def restore(self):
        def put_back():
            shutil.rmtree(self.data)
            shutil.copytree(self.copy, self.data)

        self._cold(put_back, CACHES)


def settled(world, registries):
    for registry in registries:
        world.wait_phase(registry, "ready", 90)
    eventually(lambda: not world.db.query("SELECT FROM outbox"), 60, what="nothing to publish")
    world.assert_clean_audit(90)


def facts(world, registry):
    """What the customer has: the row, and what stands in the cell for it."""
    row = world.db.query("SELECT namespace, identity, name, generation FROM registry WHERE id = %s", registry)[0]
    live = Cluster(world.stack).get("registries", row[2], row[0])
    return row, live["spec"]["size"], live["spec"]["revision"], world.pool_query(
        "SELECT oid FROM pg_database WHERE datname = %s", f"t_{row[1]}")


def api_server_restarts(world):
    """While registries are made, changed and closed."""
    made = [world.create(f"first-{number}") for number in range(3)]
    world.stack.kill("kube-apiserver")
    made += [world.create(f"second-{number}") for number in range(2)]
    world.stack.start("kube-apiserver")
    settled(world, made)
    for registry in made:
        world.patch(registry, plan="m")
    world.stack.restart("kube-apiserver")
    settled(world, made)
    for registry in made:
        world.close(registry, 0)
    world.stack.restart("kube-apiserver")
    for registry in made:
        world.wait_gone(registry, 90)
    world.assert_clean_audit(60)


def etcd_from_an_older_snapshot(world, directory):
    """One registry as it was, one changed since, one new since, one purged since. Nobody restarts flotillad. What was made
    since is not invented anew: the credentials of the new one are put back, as docs/operations.md has it."""
    etcd, cluster = Etcd(world.stack, directory), Cluster(world.stack)
    same, changed, gone = (world.create(name) for name in ("same", "changed", "gone"))
    settled(world, [same, changed, gone])
    etcd.snapshot()
    world.patch(changed, plan="m")
    fresh = world.create("fresh")
    world.close(gone, 0)
    settled(world, [same, changed, fresh])
    world.wait_gone(gone, 60)
    before = {registry: facts(world, registry) for registry in (same, changed, fresh)}
    namespace, identity = before[fresh][0][:2]
    kept = cluster.get("secrets", f"registry-{identity}", OPERATORS)
    etcd.restore()

    def is_told():
        live = cluster.get("registries", "fresh", namespace)
        return live and condition_of(live, "Stalled") == ("True", "SecretLost")

    eventually(is_told, 90, what="the lost credentials are told of")
    meta = {key: kept["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in kept["metadata"]}
    cluster.ok("POST", cluster.path("secrets", OPERATORS), {"metadata": meta, "data": kept["data"], "type": kept["type"]})
    settled(world, [same, changed, fresh])
    eventually(lambda: {registry: facts(world, registry) for registry in before} == before, 60, what="as it was before")
    eventually(lambda: len(cluster.list("registries")) == len(before), 60, what="what was purged is purged again")
    world.assert_clean_audit(60)
    for registry in before:
        world.close(registry, 0)
    for registry in before:
        world.wait_gone(registry, 90)
