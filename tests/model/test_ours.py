"""Our machine gets on whatever happens, and a fault planted in it is found. Wider: `tests/prove pipeline-model`."""

import pytest

from harness.spin import search

STATES_MIN = 10_000  # a search that small has left out what it is about
FEW = {"BUFFERS": 1, "CRASHES": 0, "LOSSES": 0}

# planted fault, claim, what else is defined, a word of the assertion that fails; "" = a cycle
FAULTS = [
    ("NO_CAS", "progress", FEW, "used["),
    ("NO_FENCE", "progress", FEW, "old["),
    ("NO_MAKE_BEFORE_BREAK", "progress", FEW, "served["),
    ("NO_DEADLINE", "progress", FEW, ""),
    ("NO_GANG", "progress", FEW, ""),
    ("NO_REPLAY", "progress", {"BUFFERS": 1, "CRASHES": 0, "TROUBLES": 0}, ""),
    ("NO_REPAIR", "progress", FEW, ""),
    ("NO_RETRY", "settles", {"CALM": 1, "TROUBLES": 0} | FEW, ""),
]


@pytest.mark.parametrize("which", range(3))
def test_a_pipeline_runs_or_says_why_not(tmp_path, which):
    found = search(tmp_path, "ours", WHICH=which, BUFFERS=1, CRASHES=int(which == 2), LOSSES=int(which == 2))
    assert found.nothing and found.states > STATES_MIN


def test_as_many_run_as_fit_once_pods_come(tmp_path):
    found = search(tmp_path, "ours", "settles", CALM=1, **FEW)
    assert found.nothing and found.states > STATES_MIN


@pytest.mark.parametrize("fault,claim,defined,says", FAULTS, ids=[row[0] for row in FAULTS])
def test_a_planted_fault_is_found(tmp_path, fault, claim, defined, says):
    found = search(tmp_path, "ours", claim, long=False, **{fault: 1}, **defined)
    assert found.cycle if says == "" else says in found.broken
