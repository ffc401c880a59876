"""Whoever dies before or after a call of a hop: the next operator brings the same end. No pod migrates anything here, so that
each try ends as the migration leaves the old schema: it is dumped, taken back from the dump, and every call is made."""

import pytest
from harness.cell import bury, emptied, operators, read_row
from harness.hops import SCHEMAS, databases, dumps, schema, set_schema, state
from harness.process import Flotillad
from harness.wait import eventually

CALLS = ("kube.hop.step", "kube.hop.job.delete", "pg.schema.read", "pg.dump", "s3.dump.write", "pg.database.aside", "s3.dump.read",
         "pg.restore", "kube.hop.job.keep")


@pytest.fixture
def operate(stack, flotillad, tmp_path):
    env = {**stack.cell_env(tmp_path), "FLOTILLA_LEAVE_OUT": ""}
    return operators(flotillad, env)


@pytest.fixture(scope="module")
def registry(stack, tmp_path_factory):
    cell = emptied(stack, tmp_path_factory.mktemp("world"))
    made = cell.registry(cell.namespace("hop"), version="2.14")
    env = {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_LEAVE_OUT": ""}
    process = Flotillad(["operate"], env, tmp_path_factory.mktemp("operate"))
    eventually(lambda: made.get() and made.get().get("status") and made.condition() == ("True", "ReadyUnprobed"), 120, 0.2, "ready")
    set_schema(cell, made, SCHEMAS["2.14.4"])
    made.write_row()
    assert process.stop() == 0
    return made


def ask_again(registry, number):
    registry.cell.patch("registry", registry.name, {
        "metadata": {"annotations": {"registry.flotilla.dev/retry-hop": str(number)}}, "spec": {"version": "2.15"}}, registry.namespace)


def is_back(registry, number):
    now = state(registry.cell, registry)
    return (now["step"], now["retry"]) == ("RolledBack", str(number)) and registry.condition("Stalled") == ("True", "RolledBack")


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_the_end_is_the_same(registry, operate, call, side):
    cell, number = registry.cell, f"{call}.{side}"
    ask_again(registry, number)
    assert operate(f"{number}=kill").wait(120) == -9, f"{call} was not reached"
    bury(cell)
    process = operate()
    eventually(lambda: is_back(registry, number) or process.process.poll() is not None, 120, 0.2, "the end")
    assert process.stop() == 0 and is_back(registry, number)
    assert read_row(cell, cell.conninfo(registry.id)) and schema(cell, registry) == [(SCHEMAS["2.14.4"], False)]
    assert databases(cell, registry) == [f"t_{registry.id}"]
    told = registry.get()["status"]["dump"]
    assert sorted(dumps(cell, registry)) == [f"{told['prefix']}{part:05}" for part in range(told["parts"])], "one dump is kept"
