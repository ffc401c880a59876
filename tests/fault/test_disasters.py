"""What may happen to a cell (harness.disasters)."""

import pytest
from harness import disasters
from harness.proof import CALM
from harness.world import World


@pytest.fixture
def make(stack, tmp_path):
    """make(settings): a whole Flotilla."""
    made = []

    def up(settings):
        made.append(World(stack, tmp_path, settings))
        return made[0].up()

    yield up
    made[0].down()


def test_an_api_server_that_restarts(make):
    disasters.api_server_restarts(make(CALM))


def test_etcd_that_comes_back_from_an_older_snapshot(make):
    """As docs/operations.md has it. With processes that go on over it: tests/proofs/fresh-fault."""
    disasters.etcd_restored(make(CALM))
