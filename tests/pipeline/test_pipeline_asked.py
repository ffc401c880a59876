"""Dry runs over HTTP that ask the cell: server, fleet, operator and a cell, each the real one. The cell is only read."""

import json
import os
import re
import signal
import time

import pytest
from harness import REPO, metrics
from harness.devcluster import Devclusters
from harness.faultproxy import Table
from harness.line import Line
from harness.wait import eventually, rests
from harness.world import CELL

KINDS = ("pipelines", "pipelinebindings", "placementledgers", "workerclasses")


@pytest.fixture
def line(world):
    """A tenant with two classes, of a pod each, and a pipeline that has 10 of blue's 30."""
    made = Line(world)
    first = made.create("first", workers={"only": {"class": "blue"}})
    eventually(lambda: world.exists("namespace", made.namespace), 20)
    for name, capacity in (("blue", 30), ("green", 15)):
        made.worker_class(name, capacity, drainSeconds=0, maxReplicas=1)
        made.pod(name, 0)
    eventually(lambda: made.status(first.body["id"])["phase"] == "ready", 30)
    return made


def ready(told):
    return next(row for row in told["pipelines"][0]["status"]["conditions"] if row["type"] == "Ready")


def stages(status):
    return {row["name"]: row for row in status["stages"]}


def of_cell(line):
    """Everything that a placement writes, and when it was written."""
    return {(kind, item["metadata"]["name"], item["metadata"]["resourceVersion"]) for kind in KINDS
            for item in line.cluster.list(kind, line.namespace)}  # fmt: skip


def failed(line, *args, **more):
    operation = line.ended(line.ask(*args, **more))
    assert (operation["status"], operation["result"]) == ("failed", None), operation
    return operation["error"]


def test_what_fits_is_told_where_it_would_run(world, line):
    before = rests(lambda: of_cell(line), 6)  # the load of a class is told every 5 s
    answer = line.ask("stream")
    operation = line.ended(answer)
    told = operation["result"]
    assert (operation["kind"], operation["status"], operation["resource"]) == ("preview", "succeeded", None)
    assert told["placed"] and told["changes"] and [row["name"] for row in told["pipelines"]] == ["stream"]
    of_stage = stages(told["pipelines"][0]["status"])
    for stage, name in (("first", "blue"), ("second", "green")):
        row = of_stage[stage]
        assert (row["class"], row["reason"], row["documentsPerSecond"], row["missing"]) == (name, "Placed", 10, 0)
        assert [(pod["name"], pod["milliDocumentsPerSecond"]) for pod in row["pods"]] == [(f"{name}-0", 10000)]
    classes = {row["name"]: row for row in told["classes"]}
    assert {name: (row["capacity"], row["status"]["used"], row["status"]["free"]) for name, row in classes.items()} == \
        {"blue": (30, 20, 10), "green": (15, 10, 5)}
    assert "conditions" not in classes["blue"]["status"] and "namespace" not in told and "placement" not in told
    path = answer.headers["operation-location"]
    whole = world.api.get(path)["result"]
    assert whole["placement"]["cell"] == CELL, "the provider is told where"
    documented = world.api.get("/openapi.json")["components"]["schemas"]["Preview"]["properties"]
    assert set(whole) == set(documented) - {"refused"}
    counted = [({"cell": CELL, "result": "Answered"}, 1)]
    eventually(lambda: metrics.read(world.running["fleet"], "flotilla_fleet_previews_total") == counted, what="it is counted")
    assert of_cell(line) == before and line.live("stream") is None, "nothing was written"
    assert [row["name"] for row in line.api.get(line.base)["items"]] == ["first"]

    made = line.create("stream")
    assert line.ended(made)["status"] == "succeeded"
    assert stages(line.live("stream")["status"]) == of_stage, "as it was told"


def test_what_does_not_fit_is_told_in_numbers(line):
    alone = {"only": {"class": "blue"}}
    told = line.told("stream", rate=25, workers=alone)  # blue has 20 free
    status, row = told["pipelines"][0]["status"], told["pipelines"][0]["status"]["stages"][0]
    assert (told["placed"], row["missing"], row["documentsPerSecond"], row["podCount"]) == (False, 25, 25, 0)
    assert (status["waiting"]["stage"], status["waiting"]["need"], status["waiting"]["free"]) == ("only", 25, 20)
    assert "stage 'only' needs 25 documents/s of class 'blue', whose pods have 20 free" in ready(told)["message"]
    waits = line.create("waits", rate=25, workers=alone)

    def as_told():
        live = line.live("waits")["status"]
        assert live["stages"] == status["stages"] and ready({"pipelines": [{"status": live}]})["reason"] == ready(told)["reason"], live
        return True

    eventually(as_told, 20)
    assert line.api.get(waits.headers["operation-location"])["status"] == "running"


def test_what_never_fits_is_told(line):
    never = line.told("stream", rate=31, workers={"only": {"class": "blue"}})
    assert (never["placed"], ready(never)["reason"]) == (False, "ExceedsMaxCapacity")
    strange = line.told("stream", workers={"only": {"class": "red"}})
    assert (strange["placed"], ready(strange)["reason"], strange["classes"]) == (False, "UnknownClass", [])
    assert "'red'" in ready(strange)["message"]


def test_the_first_of_a_tenant_is_told_of_a_namespace_that_is_not_there(world):
    line = Line(world)
    told = line.told("stream")
    assert (told["placed"], ready(told)["reason"]) == (False, "UnknownClass")
    assert not world.exists("namespace", line.namespace), "the cell is only read"
    line.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": line.namespace}})
    assert failed(line, "stream") == {"code": "NamespaceNotOurs"}, "somebody else's"
    world.stack.kubectl("delete", "namespace", line.namespace)


def test_a_name_that_the_cell_has_is_not_told_about(world, line):
    """A Pipeline that people made beside the fleet: what would become of it is nobody's question."""
    line.cluster.apply("pipelines", {"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "Pipeline",
                                     "metadata": {"name": "theirs", "namespace": line.namespace},
                                     "spec": {"documentsPerSecond": 1, "workers": {"a": {"class": "blue"}}}})
    assert failed(line, "theirs") == {"code": "NameTakenInCell"}
    told = line.told("stream")
    assert "theirs" not in json.dumps(told)


def test_a_namespace_that_is_too_large_is_not_read(world):
    line = Line(world)
    line.create("first")
    eventually(lambda: world.exists("namespace", line.namespace), 20)
    for number in range(52):
        line.cluster.apply("workerclasses", {"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "WorkerClass", "spec": {"capacity": 1},
                                             "metadata": {"name": f"large-{number}", "namespace": line.namespace,
                                                          "annotations": {"note": "x" * 250_000}}})
    asked = line.ask("stream")
    assert line.ended(asked)["error"] == {"code": "NamespaceTooLarge"}
    detail = world.api.get(asked.headers["operation-location"])["error"]["detail"]
    assert line.namespace in detail and str(12 << 20) in detail
    world.stack.kubectl("delete", "workerclasses", "--all", "-n", line.namespace)


@pytest.fixture
def bare(tmp_path):
    """A cluster that has none of our kinds."""
    home = tmp_path / "bare"
    home.mkdir()
    running = Devclusters(str(home))
    yield running
    running.kill()


def test_a_cell_that_cannot_tell_ends_the_question(world, bare):
    line = Line(world)
    world.db.query("UPDATE cell SET state = 'cordoned'")
    asked = line.ask("stream")
    assert line.ended(asked)["error"] == {"code": "NoCell"}
    of_provider = world.api.get(asked.headers["operation-location"])["error"]
    assert of_provider["detail"] == of_provider["placement"]["reason"]
    assert {"cell": CELL, "why_not": "Cordoned"}.items() <= of_provider["placement"]["considered"][0].items()
    os.symlink(bare.clusters[0].kubeconfig, f"{world.directory}/cells/away.kubeconfig")
    world.api.ok("POST", "/v1/cells", {"name": "away", "kubeconfig": "away.kubeconfig"})
    assert failed(line, "stream") == {"code": "CellWithoutPipelines"}
    bare.process.send_signal(signal.SIGSTOP)
    asked = line.ask("stream")
    began = time.monotonic()
    operation = line.ended(asked)
    assert (operation["status"], operation["error"]) == ("failed", {"code": "CellUnreachable"})
    assert time.monotonic() - began > 25, "it was asked again, until its time was over"
    assert "cell away" in world.api.get(asked.headers["operation-location"])["error"]["detail"]
    assert not world.db.query("SELECT 1 FROM preview")
    world.db.query("UPDATE cell SET state = CASE name WHEN 'away' THEN 'cordoned' ELSE 'open' END")
    assert ready(line.told("stream"))["reason"] == "UnknownClass", "the other cell answers"


def test_a_cell_that_wants_fewer_requests_is_asked_when_it_said(world, bare):
    line = Line(world)
    world.db.query("UPDATE cell SET state = 'cordoned'")
    os.symlink(bare.clusters[0].kubeconfig, f"{world.directory}/cells/busy.kubeconfig")
    world.api.ok("POST", "/v1/cells", {"name": "busy", "kubeconfig": "busy.kubeconfig"})
    assert failed(line, "stream") == {"code": "CellWithoutPipelines"}, "it is open"
    faults = Table(bare.clusters[0].connect)
    refusal = {"client": "flotillad-fleet", "verb": "get", "resource": "namespaces", "name": line.namespace,
               "action": "refuse", "reason": "TooManyRequests", "seconds": 4}
    faults.put([refusal])
    began = time.monotonic()
    assert failed(line, "stream") == {"code": "CellWithoutPipelines"}
    assert faults.rows()[0]["hit"] and time.monotonic() - began >= 4, "not half a second later"

    faults.put([{**refusal, "nth": nth} for nth in range(1, 21)])
    asked = line.ask("stream")
    assert line.ended(asked)["error"] == {"code": "CellUnreachable"}
    detail = world.api.get(asked.headers["operation-location"])["error"]["detail"]
    assert "cell busy" in detail and "429" in detail


def test_a_cell_that_hangs_holds_up_no_other(world, line, bare):
    os.symlink(bare.clusters[0].kubeconfig, f"{world.directory}/cells/away.kubeconfig")
    world.api.ok("POST", "/v1/cells", {"name": "away", "kubeconfig": "away.kubeconfig"})
    theirs = Line(world, *world.make_tenant("other"))  # who has nothing yet: its cell is the empty one
    assert failed(theirs, "stream") == {"code": "CellWithoutPipelines"}
    bare.process.send_signal(signal.SIGSTOP)
    asked = [theirs.ask(f"stream-{number}") for number in range(6)]
    for number in range(3):
        assert line.told(f"stream-{number}")["placed"]
    assert {theirs.ended(answer)["error"]["code"] for answer in asked} == {"CellUnreachable"}


def test_without_a_fleet_it_ends_when_one_comes(world):
    line = Line(world)
    world.stop("fleet")
    asked = line.ask("stream")
    world.db.query("UPDATE preview SET until = now()")
    world.db.query("UPDATE operation SET created_at = now() - interval '2 hours'")
    world.start("fleet")
    operation = line.ended(asked)
    assert (operation["status"], operation["error"]) == ("failed", {"code": "PreviewExpired"})
    counted = ({"cell": "", "result": "PreviewExpired"}, 1)
    eventually(lambda: metrics.read(world.running["fleet"], "flotilla_fleet_previews_total") == [counted], 20)
    eventually(lambda: line.api.request("GET", asked.headers["operation-location"]).status == 404, 20)  # and forgotten


SHORT_LEASES = {"FLOTILLA_LEASE_DURATION_MS": 2000, "FLOTILLA_LEASE_RENEW_MS": 500, "FLOTILLA_LEASE_DEADLINE_MS": 1200}
CALLS = re.findall(r'CALL\(\w+,\s*"(fleet\.preview\.[^"]+)",\s*"fleet"', (REPO / "server/base/calls.def").read_text())
POINTS = [f"{call}.{side}" for call in CALLS for side in ("before", "after")]


def test_a_fleet_that_dies_anywhere_leaves_the_question(world, tmp_path):
    line = Line(world)
    world.stop("fleet")
    for point in POINTS:
        marks = tmp_path / point
        marks.mkdir()
        asked = line.ask("stream")
        fails = "fleet.preview.list.before=error;" if "retry" in point else ""
        points = {"FLOTILLA_FAILPOINTS": f"{fails}{point}=kill", "FLOTILLA_FAILPOINT_DIR": marks}
        dying = world.start("fleet", env={**SHORT_LEASES, **points}, wait=False)
        eventually(lambda: dying.process.poll() is not None, 20)  # noqa: B023
        assert dying.process.returncode == -signal.SIGKILL, (point, "it died there, and of nothing else")
        world.kill("fleet")
        world.start("fleet")
        operation = line.ended(asked)
        assert operation["status"] == "succeeded" and ready(operation["result"])["reason"] == "UnknownClass", point
        assert not world.db.query("SELECT 1 FROM preview"), point
        world.stop("fleet")


def test_two_that_take_from_each_other_answer_once(world):
    line = Line(world)
    open_gate = {"FLOTILLA_LEASE_GATE": "off", "FLOTILLA_UNSAFE": "1", **SHORT_LEASES}
    world.stop("fleet")
    for name in ("fleet", "fleet-2"):
        world.start("fleet", name=name, env=open_gate)
    asked = [line.ask(f"stream-{number}") for number in range(10)]
    first = [line.ended(answer) for answer in asked]
    for operation in first:
        assert operation["status"] == "succeeded" and len(operation["result"]["pipelines"]) == 1
    assert not world.db.query("SELECT 1 FROM preview")
    time.sleep(3)  # all leases have run out, and who was slower has tried to answer, too
    assert [line.ended(answer) for answer in asked] == first, "finishedAt and result are those of the first answer"


@pytest.mark.skipif(os.environ.get("FLOTILLA_TEST_KUBE") == "devcluster", reason="it asks nobody for rights")
def test_a_role_that_lacks_a_right_ends_the_question_alone(world, line):
    """As of a cell whose ClusterRole is an older one."""
    role = world.stack.get("clusterrole", "flotilla-fleet")
    older = {**role, "rules": [rule for rule in role["rules"] if "pods" not in rule["resources"]]}
    assert len(older["rules"]) == len(role["rules"]) - 1
    world.stack.kubectl("replace", "-f", "-", stdin=json.dumps(older))
    try:
        eventually(lambda: line.ended(line.ask("stream"))["error"] == {"code": "CellDenied"}, 30)
        made = line.create("stream")
        assert line.ended(made)["status"] == "succeeded", "its statuses are brought back all the same"
    finally:
        current = world.stack.get("clusterrole", "flotilla-fleet")
        world.stack.kubectl("replace", "-f", "-", stdin=json.dumps({**current, "rules": role["rules"]}))
