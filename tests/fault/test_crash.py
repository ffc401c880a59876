"""A fixed tenth of tests/proofs/*-crash: each action, calls of each process. One world for all of them."""

import pytest
from harness import crash
from harness.world import World

SEED = "1"
TENTH = crash.tenth(crash.cases())


@pytest.fixture(scope="module")
def proof(stack, tmp_path_factory):
    running = crash.Proof(World(stack, tmp_path_factory.mktemp("crash")), SEED)
    running.begin()
    running.record()
    yield running
    running.end()


@pytest.mark.parametrize("case", TENTH, ids=[case.name for case in TENTH])
def test_same_end(proof, case):
    try:
        proof.run_case(case)
    except AssertionError:
        proof.rebuild()
        raise
