"""A Registry with a real PostgreSQL, Redis and object store becomes Ready on an embedded cluster, and leaves nothing."""

import datetime
import os
import shutil
import tempfile

import pytest
from harness.cell import VERIFY_MS, running
from harness.cluster import Cluster
from harness.devcluster import DevStack
from harness.faultproxy import Table


@pytest.fixture(scope="module")
def backends():
    directory = tempfile.mkdtemp(prefix="stack-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    os.chmod(directory, 0o755)
    servers = DevStack(directory, ("pg-fleet",))
    try:
        yield servers.up()
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)


def test_a_registry_lives(backends, tmp_path_factory):
    env = {**backends.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_VERIFY_INTERVAL_MS": VERIFY_MS}
    with running(backends, env, tmp_path_factory.mktemp("operate")) as cell:
        registry = cell.registry(cell.namespace(), deletionPolicy="Delete").ready()
        identity = registry.id
        assert len(cell.externals(identity)) == 2 and len(cell.claims(identity)) == 3
        assert f"t_{identity}" in cell.redis_users() and f"t-{identity}" in cell.store().buckets()
        registry.delete()
        cell.wait_purged(identity)


def test_a_list_of_the_past_leaves_nothing_open(backends, tmp_path_factory):
    """The claims are listed as they were before the last change of each, so that those that never changed are not there."""
    env = {**backends.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_VERIFY_INTERVAL_MS": VERIFY_MS}
    with running(backends, env, tmp_path_factory.mktemp("operate")) as cell:
        registry, table = cell.registry(cell.namespace()).ready(), Table(Cluster(backends).connect)
        identity = registry.id
        table.put([{"client": "flotillad-operate", "verb": "list", "resource": "backendclaims", "action": "stale"}])
        registry.delete()
        assert all(row["hit"] for row in table.rows())
        table.put()
        assert cell.identity(identity)["spec"]["state"] == "Retained"
        assert " off " in f" {cell.redis_users()[f't_{identity}']} " and not cell.store().policy(f"t-{identity}")
        table.put([{"client": "flotillad-operate", "verb": "list", "resource": "backendclaims", "action": "stale"}])
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        cell.cluster.merge("registryidentities", identity, {"spec": {"purgeAfter": now}})
        cell.wait_purged(identity)
        assert all(row["hit"] for row in table.rows())
