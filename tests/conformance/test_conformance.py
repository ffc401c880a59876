"""The same requests, the same answers."""

import copy
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from planted import PLANTED  # noqa: E402
from transcript import CASES, MASKS, differences, meets  # noqa: E402


@pytest.mark.parametrize("name", [path.stem for path in CASES])
def test_both_answer_the_same(transcripts, name):
    case, real, embedded, names = transcripts(name)
    assert len(case) >= 15
    found = differences(case, real, embedded, names)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(transcripts, name):
    of, number, change = PLANTED[name]
    case, real, _, names = transcripts(of)
    other = copy.deepcopy(real)
    change(other[number])
    assert not differences(case, real, real, names)
    assert len(differences(case, real, other, names)) >= 1


def test_masks_are_few_and_have_reasons():
    assert len(MASKS) <= 20 and len(PLANTED) >= 10
    assert all(len(mask["why"].split()) >= 3 for mask in MASKS)


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_each_mask_meets_something(transcripts, mask):
    said = (transcripts(path.stem) for path in CASES)
    assert any(meets(mask, case, answers) for case, *both, _ in said for answers in both)
