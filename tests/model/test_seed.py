"""The talk's scheduler deadlocks at a certain pipeline and at none before: searched completely, under weak fairness."""

import pytest

from harness.spin import search

STATES_MIN = 10

# autoscaler's target in tenths of documents per second and pod, its tolerance in per cent, the first pipeline that sticks
ROWS = [(105, 10, 8), (100, 10, 11), (105, 0, 21), (150, 10, 3)]


@pytest.mark.parametrize("average,tolerance,sticks", ROWS)
def test_it_sticks_there_and_not_before(tmp_path, average, tolerance, sticks):
    before = search(tmp_path, "seed", long=False, PIPELINES=sticks - 1, AVERAGE=average, TOLERANCE=tolerance)
    assert before.nothing and before.states > STATES_MIN
    assert search(tmp_path, "seed", long=False, PIPELINES=sticks, AVERAGE=average, TOLERANCE=tolerance).cycle
