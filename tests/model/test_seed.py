"""The talk's scheduler deadlocks at a certain pipeline and at none before: searched completely, under weak fairness."""

import pathlib
import re
import subprocess

import pytest

MODEL = pathlib.Path(__file__).with_name("seed.pml")
STATES_MIN = 10

# autoscaler's target in tenths of documents per second and pod, its tolerance in per cent, the first pipeline that sticks
ROWS = [(105, 10, 8), (100, 10, 11), (105, 0, 21), (150, 10, 3)]


def search(directory, **defined):
    """What SPIN's verifier says about the model with these names defined; a search that was cut short is none."""
    flags = [f"-D{name}={value}" for name, value in defined.items()]
    for command in (["spin", "-a", *flags, str(MODEL)], ["gcc", "-O1", "-w", "-o", "pan", "pan.c"]):
        subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True, timeout=60)
    said = subprocess.run(["./pan", "-a", "-f", "-m1000000"], cwd=directory, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "max search depth" not in said and "out of memory" not in said
    print(re.search(r"\d+ states, stored", said)[0])
    return said


@pytest.mark.parametrize("average,tolerance,sticks", ROWS)
def test_it_sticks_there_and_not_before(tmp_path, average, tolerance, sticks):
    before = search(tmp_path, PIPELINES=sticks - 1, AVERAGE=average, TOLERANCE=tolerance)
    assert "errors: 0" in before and int(re.search(r"(\d+) states, stored", before)[1]) > STATES_MIN
    assert "acceptance cycle" in search(tmp_path, PIPELINES=sticks, AVERAGE=average, TOLERANCE=tolerance)
