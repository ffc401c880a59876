"""An operator that is broken on purpose is found by each kind of fault; flotillad bears each of them at the same place."""

import pytest
from harness import fault_cases, teeth
from harness.faultproxy import Table


@pytest.fixture(scope="module")
def caught(dev):
    return teeth.naive_caught(dev, Table(dev.connect))


@pytest.mark.parametrize("fault", fault_cases.FAULTS)
def test_the_naive_is_found(caught, fault):
    assert caught[fault]
