"""What an operator verified counts only while the status says so: the write that was to tell may be lost."""

import pytest
from harness.cell import SHORT_LEASES
from harness.cluster import Cluster
from harness.wait import eventually
from harness.world import POOL, World

POINT = "kube.status.write.before"


@pytest.fixture
def world(stack, tmp_path):
    running = World(stack, tmp_path, SHORT_LEASES)
    running.make_database()
    running.make_cell()
    yield running
    running.down()


def set_password(cluster, password):
    cluster.apply("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": POOL, "namespace": "flotilla-system"},
                              "stringData": {"password": password}})


def test_backend_is_looked_at_again(world, tmp_path):
    cluster, marks = Cluster(world.stack), tmp_path / "marks"
    marks.mkdir()
    not_yet = marks / f"fired.{POINT}"
    not_yet.touch()
    world.start("operate", env={"FLOTILLA_FAILPOINTS": f"{POINT}=error", "FLOTILLA_FAILPOINT_DIR": marks})

    def external():
        found = cluster.get("registries", "lost", "lost").get("status", {}).get("externals", [{}])[0]
        return found.get("state"), "password" in found.get("lastError", "")

    eventually(lambda: cluster.get("backendpools", POOL)["status"]["conditions"][0], 20, what="pool looked at")
    set_password(cluster, "wrong")
    cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lost"}})
    cluster.apply("registries", {"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
                                 "metadata": {"name": "lost", "namespace": "lost"},
                                 "spec": {"host": "lost.example.com", "deletionPolicy": "Delete"}})
    try:
        eventually(lambda: external() == ("Pending", True), 20, what="login refused")
        not_yet.unlink()
        world.make_pool()
        eventually(lambda: external() == ("Open", False), 20, what="database open, and told")
        assert not_yet.exists(), "no status write failed: this proves nothing"
    finally:
        cluster.delete("registries", "lost", "lost")
        eventually(lambda: not cluster.list("registryidentities"), 30, what="purged")
        cluster.delete("namespaces", "lost")
