"""A fixed tenth of tests/proofs/spine-crash and a twentieth of harbor-crash, for time's sake: each action, calls of each
process. One world for all of them, and as many in one life as there are stages."""

import pytest
from harness import crash
from harness.crash_cases import cases, proof_of, tenth
from harness.crash_round import Waiting
from harness.world import World

SEED = "1"
TENTH = (tenth([case for case in cases() if proof_of(case) == "spine-crash"])
         + tenth([case for case in cases() if proof_of(case) == "harbor-crash"])[::2])


@pytest.fixture(scope="module")
def ends(stack, tmp_path_factory):
    """Case → what is wrong, or None."""
    running, found = crash.Proof(World(stack, tmp_path_factory.mktemp("crash"))), {}
    running.begin()
    running.record()
    running.run_all(Waiting(TENTH, SEED), lambda case, stage, error: found.update({case: error and f"in {stage}: {error}"}))
    yield found
    running.end()


@pytest.mark.parametrize("case", TENTH, ids=[case.name for case in TENTH])
def test_same_end(ends, case):
    assert ends[case] is None
