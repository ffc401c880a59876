"""What may happen to a cell's API server (harness.disasters)."""

import pytest
from harness import disasters
from harness.proof import CALM
from harness.world import World


@pytest.fixture
def fleet(stack, tmp_path):
    running = World(stack, tmp_path, CALM).up()
    yield running
    running.down()


def test_an_api_server_that_restarts(fleet):
    disasters.api_server_restarts(fleet)


def test_etcd_that_comes_back_from_an_older_snapshot(fleet):
    disasters.etcd_restored(fleet)
