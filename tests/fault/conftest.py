"""The world of tests that need no fleet."""

import pytest
from harness.cell import SHORT_LEASES
from harness.world import World


@pytest.fixture
def world(stack, tmp_path):
    """Servers with a cell and its pools; the test starts what it needs. A module with a fleet has a fixture of its own."""
    running = World(stack, tmp_path, SHORT_LEASES)
    running.make_cell()
    yield running
    running.down()
