"""A hop with two owners: both act as if the registry were theirs alone, and what one of them does too late is refused."""

import contextlib
import signal
import threading

import pytest
from harness.cell import emptied, operators
from harness.hops import SCHEMAS, databases, dumps, pin, ready, schema, set_schema, state, told, unpin
from harness.lagging import Lagging
from harness.metrics import read
from harness.wait import eventually, never

END_HOLDER = ("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
              " AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)")
HANG_MS, STOPPED_S = 10000, 35  # together less than a pass may take


@pytest.fixture
def env(stack, tmp_path):
    return {**stack.cell_env(tmp_path), "FLOTILLA_LEAVE_OUT": "", "FLOTILLA_LEASE_GATE": "off", "FLOTILLA_UNSAFE": "1"}


@pytest.fixture
def cell(stack, tmp_path_factory):
    return emptied(stack, tmp_path_factory.mktemp("world"))


@pytest.fixture
def registry(cell, env, flotillad):
    first = operators(flotillad, env)()
    made = ready(cell.registry(cell.namespace("owners"), version="2.14"))
    set_schema(cell, made, SCHEMAS["2.14.4"])
    made.write_row()
    assert first.stop() == 0
    return made


@contextlib.contextmanager
def stopped(process):
    """As on a machine that stands still, but not until the pass has outlived its deadline."""
    timer = threading.Timer(STOPPED_S, process.process.send_signal, [signal.SIGCONT])
    process.process.send_signal(signal.SIGSTOP)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.process.send_signal(signal.SIGCONT)


def refused(process, call):
    return sum(number for labels, number in read(process, "flotilla_stale_writes_refused_total") if labels.get("call") == call)


@pytest.mark.parametrize("point,lock", [("kube.hop.step.before", False), ("s3.dump.write.before", True), ("pg.restore.before", True)])
def test_what_comes_too_late_is_refused(cell, registry, env, flotillad, tmp_path, point, lock):
    """The first owner stops in the middle of a step. Where it holds the identity's lock, it loses it meanwhile."""
    marks = tmp_path / "marks"
    marks.mkdir()
    slow = operators(flotillad, {**env, "FLOTILLA_FAILPOINT_DIR": marks})(f"{point}=hang({HANG_MS})")
    registry.spec(version="2.15")
    eventually((marks / f"fired.{point}").exists, 90, what="the first owner is in the middle of a step")
    with stopped(slow):
        if lock:
            assert cell.sql(END_HOLDER, registry.id) == [(True,)]
        quick = operators(flotillad, env)()
        told(registry, "Migration", "False", "RolledBack", seconds=120)  # no pod migrates here
        told_dump = registry.get()["status"]["dump"]
    eventually(lambda: refused(slow, "kube.hop.step") >= 1 or [line for line in slow.logs if "is gone" in line.get("msg", "")],
               HANG_MS // 1000 + 30, what="what the first one wanted was refused")
    told(registry, "Migration", "False", "RolledBack")
    assert registry.get()["status"]["dump"] == told_dump
    assert cell.sql("SELECT word FROM kept", conninfo=cell.conninfo(registry.id)) == [("still here",)]
    assert schema(cell, registry) == [(SCHEMAS["2.14.4"], False)] and databases(cell, registry) == [f"t_{registry.id}"]
    assert sorted(dumps(cell, registry)) == [f"{told_dump['prefix']}{part:05}" for part in range(told_dump["parts"])]
    assert slow.stop() == 0 and quick.stop() == 0


def test_nobody_starts_what_a_hop_stopped(stack, cell, registry, env, flotillad, tmp_path):
    """An owner that sees Deployments at zero, and neither the wish nor the step that put them there, would raise them again."""
    lagging, marks = Lagging(stack), tmp_path / "marks"
    marks.mkdir()
    behind = operators(flotillad, {**env, "FLOTILLA_KUBECONFIG": lagging.kubeconfig(tmp_path / "lagging.kubeconfig"),
                                   "FLOTILLA_FAILPOINT_DIR": marks})("kube.registry.find.before=error")
    looked = marks / "hit.kube.secret.read.before"
    try:
        behind.wait_log(lambda line: line.get("msg", "").startswith("ready"), 60)
        ready(registry)
        lagging.held |= {"registries", "secrets", "jobs"}  # it would prune the Job of the images
        looked.unlink(missing_ok=True)
        current = operators(flotillad, env)()
        pin(cell, registry)
        registry.spec(version="2.15")
        told(registry, "Migration", "Unknown", "Stopping")
        stopped = registry.child("deployment", "core")["metadata"]["generation"]
        eventually(looked.exists, 30, what="the one behind wants to raise it, and looks")
        never(lambda: registry.child("deployment", "core")["metadata"]["generation"] != stopped, 5, what="it was raised")
        assert registry.child("deployment", "core")["spec"]["replicas"] == 0 and state(cell, registry)["step"] == "Stopping"
        lagging.held.clear()
        unpin(cell, registry)
        told(registry, "Migration", "False", "RolledBack")
        assert behind.stop() == 0 and current.stop() == 0
    finally:
        lagging.close()


def test_who_fails_is_stopped_and_keeps_nobody_from_beginning(cell, env, flotillad):
    """One place, and no dump comes to be: who has it fails, is stopped, and makes way for those that still serve, too."""
    process = operators(flotillad, {**env, "FLOTILLA_WORKERS": 4})("pg.dump.before=error")
    made = [cell.registry(cell.namespace("fair"), version="2.14") for _ in range(3)]
    for registry in made:
        set_schema(cell, ready(registry), SCHEMAS["2.14.4"])
    for registry in made:
        registry.spec(version="2.15")
    eventually(lambda: [state(cell, registry)["step"] for registry in made] == ["Dumping"] * 3, 90, what="each had the place")
    assert process.stop() == 0
