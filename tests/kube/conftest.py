"""One operator for all tests of a module that asks for `cell`; each test has namespaces of its own."""

import pytest
from harness.cell import VERIFY_MS, running


@pytest.fixture(scope="module")
def operate_env(stack, tmp_path_factory):
    return {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_VERIFY_INTERVAL_MS": VERIFY_MS}


@pytest.fixture(scope="module")
def cell(stack, operate_env, tmp_path_factory):
    with running(stack, operate_env, tmp_path_factory.mktemp("operate")) as made:
        yield made


@pytest.fixture
def alone(cell):
    """What a test made does not live beside the next one's: each second, all are logged in to, by one worker per pool."""
    yield
    for registry in cell.cluster.list("registries"):
        cell.cluster.delete("registries", registry["metadata"]["name"], registry["metadata"]["namespace"])
