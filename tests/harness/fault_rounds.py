"""What lives do not come to: a hop to another version of Harbor that must be taken back, and what the operator holds inside
of a Harbor, damaged again and again. Each is one Registry, its operator, and rounds on them."""

import contextlib

from . import hops
from .cell import read_row, running
from .fault import Rounds
from .harbor import managed
from .proof import CALM
from .wait import eventually

GIB = 1 << 30
RIGHTS = 6
DAMAGES = (
    {"forget": True},
    {"rights": [["project", "list"]]},
    {"projects": [[GIB, -1]]},
    {"config": {"storage_per_project": -1}},
)


def ask_again(registry, number):
    registry.cell.patch("registry", registry.name, {
        "metadata": {"annotations": {"registry.flotilla.dev/retry-hop": str(number)}}, "spec": {"version": "2.15"}}, registry.namespace)


def is_back(registry, number):
    now = hops.state(registry.cell, registry)
    return (now["step"], now["retry"]) == ("RolledBack", str(number)) and registry.condition("Stalled") == ("True", "RolledBack")


@contextlib.contextmanager
def hop(stack, make_directory, tables):
    """No pod migrates anything where pods are only played, so that each try is dumped and taken back."""
    env = {**stack.cell_env(make_directory("cell")), "FLOTILLA_LEAVE_OUT": "", **CALM}
    with running(stack, env, make_directory("operate")) as cell:
        registry = cell.registry(cell.namespace("hop"), version="2.14")
        eventually(lambda: registry.get().get("status") and registry.condition() == ("True", "ReadyUnprobed"), 120, 0.2, "ready")
        hops.set_schema(cell, registry, hops.SCHEMAS["2.14.4"])
        registry.write_row()

        def ended(number):
            assert is_back(registry, number), hops.state(cell, registry)
            assert read_row(cell, cell.conninfo(registry.id)) and hops.schema(cell, registry) == [(hops.SCHEMAS["2.14.4"], False)]
            assert hops.databases(cell, registry) == [f"t_{registry.id}"]
            told = registry.get()["status"]["dump"]
            assert sorted(hops.dumps(cell, registry)) == [f"{told['prefix']}{part:05}" for part in range(told["parts"])]
            return True

        yield Rounds(tables, "hop", lambda number: ask_again(registry, number), ended, 180)


def is_whole(registry, harbor):
    state = harbor.control()
    robots, limits = state["robots"], [row["hard"]["storage"] for row in state["quotas"].values()]
    assert len(robots) == 1 and robots[0]["secret"] == registry.cell.kept(registry.id)["robotSecret"], robots
    assert len(robots[0]["rights"]) == RIGHTS and not robots[0]["disable"]
    assert limits and all(0 < limit <= 10 * GIB for limit in limits) and 0 < state["config"]["storage_per_project"] <= 10 * GIB
    conditions = [registry.condition(kind)[1] for kind in ("Managed", "StorageQuota")]
    assert conditions == ["AccountReady", "Held"], conditions
    return True


def damage(registry, harbor, number):
    """By turns, and the spec changes, so that there is something to say to the cluster, too."""
    what = dict(DAMAGES[number % len(DAMAGES)])
    robots = [str(robot["id"]) for robot in harbor.control()["robots"]]
    if what.pop("forget", False):
        what["robot"] = {robot: None for robot in robots}
    if rights := what.pop("rights", None):
        what["robot"] = {robot: {"rights": rights} for robot in robots}
    harbor.control(**what)
    registry.spec(storageBytes=(9 + number % 2) * GIB)


@contextlib.contextmanager
def inside(stack, make_directory, tables):
    """What the operator holds inside of a Harbor."""
    with managed(stack, make_directory, **CALM) as (_, harbor, registry):
        yield Rounds(tables, "managed", lambda number: damage(registry, harbor, number), lambda _: is_whole(registry, harbor), 60)
