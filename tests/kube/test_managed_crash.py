"""Whoever dies before or after a change inside a Harbor: the next operator brings the same end, with the same secret."""

import pytest
from harness.cell import bury, emptied, operators
from harness.harbor import ADMIN_PASSWORD, Harbor, probing
from harness.wait import eventually

GIB = 1 << 30
RIGHTS = 6
# What is broken, so that the call is made. Garbage collection is always due; harbor.gc.schedule and stop: tests/backends/test_harbor_crash.c.
DAMAGES = {
    "harbor.robot.create": {"forget_robots": True},
    "harbor.robot.secret": {"forget_robots": True},
    "harbor.robot.update": {"every_robot": {"rights": [["project", "list"]]}},
    "harbor.quota.set": {"projects": [[GIB, -1]]},
    "harbor.config.set": {"config": {"storage_per_project": -1}},
    "harbor.gc.start": {},
}


@pytest.fixture(scope="module")
def harbor():
    made = Harbor()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def registry(stack, tmp_path_factory):
    cell = emptied(stack, tmp_path_factory.mktemp("world"))
    namespace = cell.namespace("crash")
    cell.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first", "namespace": namespace},
                "stringData": {"password": ADMIN_PASSWORD}})  # fmt: skip
    return cell.registry(namespace, adminSecretRef={"name": "first"}, storageBytes=10 * GIB)


@pytest.fixture
def operate(stack, flotillad, harbor, tmp_path):
    """operate(points): one operator that collects whenever it looks."""
    env = probing(stack, tmp_path, harbor, FLOTILLA_COLLECT_INTERVAL_MS=1)
    return operators(flotillad, env)


def is_whole(registry, harbor):
    """The end, whatever came before."""
    state = harbor.control()
    robots, limits = state["robots"], [row["hard"]["storage"] for row in state["quotas"].values()]
    assert len(robots) == 1 and robots[0]["secret"] == registry.cell.kept(registry.id)["robotSecret"]
    assert len(robots[0]["rights"]) == RIGHTS and not robots[0]["disable"]
    assert limits and all(0 < limit <= 10 * GIB for limit in limits) and 0 < state["config"]["storage_per_project"] <= 10 * GIB
    conditions = [registry.condition(kind)[1] for kind in ("Managed", "StorageQuota", "Collecting")]
    assert conditions == ["AccountReady", "Held", "Collected"]
    return True


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("call", DAMAGES)
def test_the_end_is_the_same(registry, harbor, operate, call, side):
    damage = dict(DAMAGES[call])
    robots = {str(robot["id"]): None for robot in harbor.control()["robots"]}
    if damage.pop("forget_robots", False):
        damage["robot"] = robots
    if every := damage.pop("every_robot", None):
        if not robots:
            pytest.fail("the case before made no robot")
        damage["robot"] = {number: every for number in robots}
    harbor.control(**{"projects": [[GIB, -1]], **damage})
    assert operate(f"{call}.{side}=kill").wait(120) == -9, f"{call} was not reached"
    bury(registry.cell)
    process = operate()

    def whole():
        works = any(line.get("msg", "").startswith("ready") for line in process.logs)  # the end may be whole at once
        return works and is_whole(registry, harbor)

    eventually(whole, 90, what=f"whole after {call}.{side}")
