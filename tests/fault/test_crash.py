"""A fixed tenth of tests/proofs/spine-crash and a twentieth of harbor-crash, for time's sake: each action, calls of each
process. One world for all of them."""

import pytest
from harness import crash
from harness.world import World

SEED = "1"
CASES = crash.cases()
TENTH = (crash.tenth([case for case in CASES if crash.proof_of(case) == "spine-crash"])
         + crash.tenth([case for case in CASES if crash.proof_of(case) == "harbor-crash"])[::2])


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
    except Exception:
        proof.rebuild()
        raise
