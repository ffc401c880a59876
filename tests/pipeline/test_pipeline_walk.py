"""A pipeline ordered over HTTP, from POST to its end: server, fleet, operator and a cell, each the real one."""

import json

from harness.line import GRAPH, Line
from harness.wait import eventually


def runs_on(line, pipeline):
    """Of each stage: why, what it asks for, what of that it lacks, and the names of its pods."""
    return {stage["name"]: (stage["reason"], stage["documentsPerSecond"], stage["missing"], [pod["name"] for pod in stage["pods"]])
            for stage in line.status(pipeline)["stages"]}


def test_what_a_pipeline_waits_for_is_told(world):
    """In numbers and with a time, over HTTP, and it is what its cell says."""
    line = Line(world)
    pipeline = line.create("waits").body["id"]
    eventually(lambda: line.live("waits"), 20)
    for name in ("blue", "green"):
        line.worker_class(name, 15, drainSeconds=0, maxReplicas=2)
    line.pod("blue", 0)
    eventually(lambda: line.status(pipeline)["reason"] == "WaitingForScale", 20)

    def told():
        status, live = line.status(pipeline), line.live("waits")["status"]
        assert status["stages"] == live["stages"] and status["waiting"] == live["waiting"]
        return status

    status = eventually(told, 20)
    assert {stage["name"]: (stage["missing"], stage["podsToCome"]) for stage in status["stages"]}["second"] == (10, 1)
    waiting = status["waiting"]
    assert (waiting["stage"], waiting["need"], waiting["free"], waiting["pods"]) == ("second", 10, 0, 1)
    assert waiting["since"] < waiting["deadline"]
    assert "WaitingForScale: 10 missing" in line.picture(pipeline, "image/svg+xml")
    line.pod("green", 0)
    eventually(lambda: line.status(pipeline)["phase"] == "ready" and line.status(pipeline)["waiting"] is None, 20)
    assert line.ended(line.change("DELETE", pipeline))["status"] == "succeeded"


def test_a_pipeline_s_life(world):
    line = Line(world)
    made = line.create("stream")
    pipeline = made.body["id"]
    failed = line.ended(made)
    assert (failed["status"], failed["error"]) == ("failed", {"code": "UnknownClass"}), "no class is there yet"
    assert line.status(pipeline)["phase"] == "error" and "'blue'" in line.status(pipeline)["conditions"][0]["message"]

    for name, capacity in (("blue", 30), ("green", 15)):
        line.worker_class(name, capacity, drainSeconds=0, maxReplicas=1)
        line.pod(name, 0)
    eventually(lambda: line.status(pipeline)["phase"] == "ready", 20)
    assert line.status(pipeline)["health"] == "healthy"
    assert runs_on(line, pipeline) == {"first": ("Placed", 10, 0, ["blue-0"]), "second": ("Placed", 10, 0, ["green-0"])}
    assert line.status(pipeline)["waiting"] is None and line.status(pipeline)["stagesCut"] is None
    for form, accept in (("svg", "image/svg+xml"), ("dot", "text/vnd.graphviz")):
        assert "green-0" in line.picture(pipeline, accept)
        eventually(lambda form=form, accept=accept: line.picture(pipeline, accept) == line.place("--graph", form, f"{line.namespace}/stream"),
                   what="as its cell draws it")
    live = line.live("stream")
    assert live["spec"]["workers"] == GRAPH and live["spec"]["revision"] == live["status"]["observedRevision"] == 1
    assert live["metadata"]["labels"]["flotilla.dev/pipeline-id"] == pipeline

    faster = line.change("PATCH", pipeline, {"spec": {"documentsPerSecond": 15}})
    assert line.ended(faster)["status"] == "succeeded" and line.live("stream")["spec"]["documentsPerSecond"] == 15

    side = line.create("side", workers={"only": {"class": "blue"}})
    assert line.ended(side)["status"] == "succeeded"
    waits = line.change("PATCH", side.body["id"], {"spec": {"documentsPerSecond": 20}})  # of 30 the other one has 15
    eventually(lambda: line.status(side.body["id"])["reason"] == "RateRefused", 20)
    assert line.api.get(waits.headers["operation-location"])["status"] == "running"
    assert (line.status(side.body["id"])["phase"], line.status(side.body["id"])["health"]) == ("updating", "healthy")
    line.change("PATCH", pipeline, {"spec": {"documentsPerSecond": 10}})
    assert line.ended(waits)["status"] == "succeeded", "there is room now"

    too_much = line.create("flood", rate=31)
    assert (line.ended(too_much)["status"], line.ended(too_much)["error"]) == ("failed", {"code": "ExceedsMaxCapacity"})
    assert line.ended(line.change("DELETE", too_much.body["id"]))["status"] == "succeeded"

    world.stack.kubectl("patch", "pipeline", "stream", "-n", line.namespace, "--type=merge",
                        "-p", json.dumps({"spec": {"documentsPerSecond": 1, "workers": {"second": {"next": ["third"]}, "third": {"class": "blue"}}}}))
    eventually(lambda: line.live("stream")["spec"]["documentsPerSecond"] == 10 and line.live("stream")["spec"]["workers"] == GRAPH, 20)
    world.stack.kubectl("delete", "pipeline", "stream", "-n", line.namespace)
    eventually(lambda: line.live("stream"), 20)  # it keeps no data: made again
    eventually(lambda: line.status(pipeline)["phase"] == "ready", 20)
    world.assert_clean_audit()

    for each in (side.body["id"], pipeline):
        assert line.ended(line.change("DELETE", each))["status"] == "succeeded"
    assert line.api.request("GET", f"{line.base}/{pipeline}").status == 410
    eventually(lambda: not line.cluster.list("pipelinebindings", line.namespace), 20)
    assert line.live("stream") is None and world.exists("namespace", line.namespace), "the workers stay"
    again = line.create("stream")
    assert again.body["id"] != pipeline and line.ended(again)["status"] == "succeeded"
    world.assert_clean_audit()


def test_what_no_cell_could_take_can_be_deleted(world):
    line = Line(world)
    world.db.query("UPDATE cell SET state = 'cordoned'")
    pipeline = line.create("nowhere").body["id"]
    eventually(lambda: "NoCell" in (world.db.value("SELECT last_error FROM outbox WHERE resource_id = %s", pipeline) or ""), 20)
    assert line.ended(line.change("DELETE", pipeline))["status"] == "succeeded"
    assert line.api.request("GET", f"{line.base}/{pipeline}").status == 410
    eventually(lambda: not world.db.query("SELECT 1 FROM outbox WHERE resource_id = %s", pipeline), 20)


def test_tenants_do_not_meet(world):
    """Of one name, in one cell, each among its own workers."""
    mine, theirs = Line(world), Line(world, *world.make_tenant("other"))
    first, second = mine.create("stream"), theirs.create("stream", workers={"only": {"class": "blue"}})
    eventually(lambda: theirs.live("stream") and mine.live("stream"), 20)
    mine.worker_class("blue", 30)
    mine.worker_class("green", 30)
    mine.pod("blue", 0)
    mine.pod("green", 0)
    eventually(lambda: mine.status(first.body["id"])["phase"] == "ready", 20)
    assert theirs.ended(second)["error"] == {"code": "UnknownClass"}
    assert mine.live("stream")["spec"]["workers"] == GRAPH and set(theirs.live("stream")["spec"]["workers"]) == {"only"}
    assert mine.api.request("GET", f"{theirs.base}/{second.body['id']}").status == 404
    assert mine.api.request("DELETE", f"{mine.base}/{second.body['id']}").status == 404
    assert theirs.live("stream")["metadata"]["labels"]["flotilla.dev/tenant"] == theirs.tenant
