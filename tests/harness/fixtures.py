"""The fixtures of every suite; tests/conftest.py loads them."""

import os
import shutil
import tempfile

import pytest

from . import database
from .devcluster import DevStack
from .process import Flotillad, base_env, binary
from .stack import Stack


@pytest.fixture(scope="session")
def stack_without():
    """Servers that a suite does not need; its conftest.py may override: return ("kube",)."""
    return ()


@pytest.fixture(scope="session")
def stack_node():
    """Whether the servers come with a real node; its conftest.py may override."""
    return False


@pytest.fixture(scope="session")
def stack(stack_without, stack_node):
    """The private servers, one set per session. tests/run sweeps FLOTILLA_TEST_DIR even after a kill."""
    # Not below pytest's own temporary directory: that is closed to the account that runs PostgreSQL.
    directory = tempfile.mkdtemp(prefix="stack-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    os.chmod(directory, 0o755)
    embedded = os.environ.get("FLOTILLA_TEST_KUBE") == "devcluster"
    servers = DevStack(directory, stack_without) if embedded else Stack(directory, stack_without, stack_node)
    try:
        yield servers.up()
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def fleet_template(stack, tmp_path_factory):
    """A migrated database without rows; nobody connects to it, so that it can be copied."""
    template = database.create(stack)
    database.migrate(template, binary(), base_env(tmp_path_factory.mktemp("migrate")))
    return template


@pytest.fixture(scope="module")
def fleet_db(stack, fleet_template):
    """A fresh, migrated fleet database per module."""
    fresh = database.create(stack, fleet_template.name)
    yield fresh
    database.drop(stack, fresh)


@pytest.fixture
def kubectl(stack):
    """kubectl("get", "pods") as admin; kubectl(..., kubeconfig="fleet") as that user."""
    return stack.kubectl


@pytest.fixture
def flotillad(tmp_path):
    """flotillad(["serve", "--listen", …], env): starts one; all are stopped and checked after the test."""
    running = []

    def start(args, env=None):
        directory = tmp_path / f"flotillad-{len(running)}"
        directory.mkdir()
        process = Flotillad(args, env or {}, directory)
        running.append(process)
        return process

    yield start
    problems = []
    for process in reversed(running):
        asked = process.process.poll() is None
        try:
            status = process.stop()
            if asked and status != 0:
                problems.append(f"{process.args[0]} ended with {status} when asked to stop: {process.logs[-3:]}")
        except AssertionError as error:
            problems.append(str(error))
        problems.extend(process.sanitizer_reports())
    assert not problems, "\n".join(problems)
