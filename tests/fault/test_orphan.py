"""A Registry whose finalizer was removed by hand while no operator ran; the one that finds it dies on the way."""

from harness import pools
from harness.cell import bury
from harness.cluster import Cluster
from harness.wait import eventually

NAME = "orphaned"
POINTS = [f"{call}.{side}" for call in ("kube.registry.find", "pg.role.alter", "s3.bucket.close", "kube.identity.update")
          for side in ("before", "after")]


def ready(cluster):
    conditions = cluster.get("registries", NAME, NAME)["status"]["conditions"]
    return [c["status"] for c in conditions if c["type"] == "Ready"] == ["True"]


def test_it_is_closed_and_retained(world, tmp_path):
    cluster, env = Cluster(world.stack), world.stack.env
    world.start("operate")
    cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}})
    registry = {"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry", "metadata": {"name": NAME, "namespace": NAME},
                "spec": {"host": "orphaned.example.com", "deletionPolicy": "Delete"}}
    cluster.apply("registries", registry)
    eventually(lambda: ready(cluster), 60, what="ready")
    identity = cluster.get("registries", NAME, NAME)["spec"]["identity"]
    assert world.stop("operate") == 0
    cluster.merge("registries", NAME, {"metadata": {"finalizers": None}}, NAME)
    cluster.delete("registries", NAME, NAME)
    eventually(lambda: not cluster.get("registries", NAME, NAME), 10, what="gone")
    for point in POINTS:
        marks = tmp_path / point
        marks.mkdir()
        died = world.start("operate", wait=False,
                           env={"FLOTILLA_FAILPOINTS": f"{point}=kill", "FLOTILLA_FAILPOINT_DIR": marks})
        eventually(lambda died=died: died.process.poll() is not None, 60, what=f"died at {point}")
        assert world.stop("operate") == -9 and (marks / f"fired.{point}").exists()
        bury(cluster)
        held = cluster.get("registryidentities", identity)["spec"]
        assert held["state"] == ("Retained" if point == POINTS[-1] else "Held")
    role = world.pool_query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", f"t_{identity}")
    assert role == [(False,)] and pools.redis_users(env)[f"t_{identity}"].startswith("off ")
    assert pools.Store(env).policy(f"t-{identity}") is None
    world.start("operate")
    cluster.apply("registries", {**registry, "spec": {**registry["spec"], "identity": identity}})
    eventually(lambda: ready(cluster), 60, what="taken over")
    cluster.delete("registries", NAME, NAME)
    eventually(lambda: not cluster.list("registryidentities"), 40, what="purged")
    cluster.delete("namespaces", NAME)
    eventually(lambda: not cluster.get("namespaces", NAME), 40, what="namespace gone")
