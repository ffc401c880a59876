"""An operator whose Leases run out while a test waits."""

import pytest

LEASE_TIMES = ["--lease-duration-ms=3000", "--lease-renew-ms=750", "--lease-deadline-ms=2000"]


@pytest.fixture
def operate(flotillad, stack):
    return lambda *args, env=None: flotillad(
        ["operate", "--kubeconfig", stack.env["KUBECONFIG_OPERATE"], *LEASE_TIMES, *args], env=env)
