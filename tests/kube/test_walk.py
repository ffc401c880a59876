"""The walk in short: HTTP and kubectl see the same registry from POST to purge. The whole of it: tests/proofs/spine-walk."""

import pytest
from harness import proof
from harness.walk import Walk
from harness.world import POOLS, World


@pytest.fixture
def world(stack, tmp_path):
    made = World(stack, tmp_path, proof.CALM).up()
    yield made
    made.down()
    stack.kubectl("delete", "backendpool", *POOLS.values())


def holds(claim, what):
    assert claim, what


def test_walk(world):
    walk = Walk(world, holds)
    walk.finished(walk.create())
    walk.settled("ready")
    walk.seen_in_cell("True", "ReadyInPart", "Active")
    walk.finished(walk.change_plan("m"))
    walk.settled("ready")
    walk.finished(walk.close())
    walk.settled("closed")
    walk.seen_in_cell("False", "Closed", "Closed")
    walk.finished(walk.undo())
    walk.settled("ready")
    walk.described("Provisioned", "Closed", "Reopened")
    walk.finished(walk.close(grace_seconds=0))
    walk.gone()
