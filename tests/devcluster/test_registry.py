"""A Registry with a real PostgreSQL, Redis and object store becomes Ready on an embedded cluster, and leaves nothing."""

import os
import shutil
import tempfile

import pytest
from harness.cell import VERIFY_MS, running
from harness.devcluster import DevStack


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
