"""A worker that hangs before a change of Redis or of the object store, and loses the lock meanwhile, changes nothing."""

import pytest
from harness import pools
from harness.cluster import Cluster
from harness.wait import eventually

NAME = "locked"
END_HOLDER = ("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
              " AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)")
GONE = "the lock on the identity is gone"


def ready_is(cluster, status, reason):
    live = cluster.get("registries", NAME, NAME)
    found = {c["type"]: (c["status"], c["reason"]) for c in live.get("status", {}).get("conditions", [])}
    return found.get("Ready") == (status, reason) and live["status"]["observedGeneration"] == live["metadata"]["generation"]


@pytest.mark.parametrize("point", ["redis.user.set.before", "s3.bucket.close.before"])
def test_nothing_is_sent_without_the_lock(world, tmp_path, point):
    cluster, marks, env = Cluster(world.stack), tmp_path / "marks", world.stack.env
    marks.mkdir()
    fired = marks / f"fired.{point}"
    fired.touch()  # not yet
    operator = world.start("operate", env={"FLOTILLA_FAILPOINTS": f"{point}=hang(5000)", "FLOTILLA_FAILPOINT_DIR": marks})
    cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}})
    cluster.apply("registries", {"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
                                 "metadata": {"name": NAME, "namespace": NAME},
                                 "spec": {"host": "locked.example.com", "deletionPolicy": "Delete"}})
    try:
        eventually(lambda: ready_is(cluster, "True", "ReadyInPart"), 40, what="ready")
        identity = cluster.get("registries", NAME, NAME)["spec"]["identity"]
        fired.unlink()
        cluster.merge("registries", NAME, {"spec": {"lifecycle": "Closed"}}, NAME)
        eventually(fired.exists, 30, what="the worker hangs")
        assert world.pool_query(END_HOLDER, identity) == [(True,)]
        eventually(lambda: [line for line in operator.logs if GONE in line.get("msg", "")], 20, what="the change was refused")
        eventually(lambda: ready_is(cluster, "False", "Closed"), 30, what="closed by a pass that holds the lock")
        assert pools.redis_users(env)[f"t_{identity}"].startswith("off ")
        assert pools.Store(env).policy(f"t-{identity}") is None
    finally:
        cluster.merge("registries", NAME, {"spec": {"lifecycle": "Active"}}, NAME)
        cluster.delete("registries", NAME, NAME)
        eventually(lambda: not cluster.list("registryidentities"), 40, what="purged")
        cluster.delete("namespaces", NAME)
        eventually(lambda: not cluster.get("namespaces", NAME), 40, what="namespace gone")
