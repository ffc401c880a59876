"""An operator that is broken on purpose is found by each kind of fault."""

import pytest
from harness import fault_cases, teeth


@pytest.fixture(scope="module")
def caught(tmp_path_factory):
    return teeth.naive_caught(tmp_path_factory.mktemp("teeth"))


@pytest.mark.parametrize("fault", fault_cases.FAULTS)
def test_the_naive_is_found(caught, fault):
    assert caught[fault]
