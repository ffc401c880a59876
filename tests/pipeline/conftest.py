"""An operator whose Leases run out while a test waits."""

import pytest
from harness import proof
from harness.world import POOLS, World

LEASE_TIMES = ["--lease-duration-ms=6000", "--lease-renew-ms=1500", "--lease-deadline-ms=4500"]


@pytest.fixture
def operate(flotillad, stack):
    return lambda *args, env=None: flotillad(
        ["operate", "--kubeconfig", stack.env["KUBECONFIG_OPERATE"], *LEASE_TIMES, *args], env=env)


@pytest.fixture
def world(stack, tmp_path):
    made = World(stack, tmp_path, {**proof.CALM, "FLOTILLA_POLL_INTERVAL_MS": 50}).up()
    yield made
    if "fleet" in made.running:
        made.stop("fleet")  # else it would make them again
    stack.kubectl("delete", "pipelines.scheduling.k8s.xxii.io", "-A", "-l", "flotilla.dev/fleet=true")
    made.down()
    stack.kubectl("delete", "backendpool", *POOLS.values())
