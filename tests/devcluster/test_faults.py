"""Each row of the fault table fires once, at its nth fit, and nothing else is touched."""

import http.client
import itertools
import pathlib
import sys
import threading
import time

import pytest
from harness import fault
from harness.fault_cases import Aim, Case
from harness.faultproxy import Table

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import configmap, configmaps  # noqa: E402

MERGE = "application/merge-patch+json"


@pytest.fixture
def faults(dev):
    def put(*rows):
        dev.ok("PUT", "/flotilla/faults", list(rows))

    yield put
    put()


REFUSALS = {"Conflict": 409, "Expired": 410, "Invalid": 422, "TooManyRequests": 429, "InternalError": 500,
            "ServiceUnavailable": 503, "Timeout": 504}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_at_the_nth_call(dev, namespace, faults, reason):
    path = configmaps(namespace, "a")
    dev.ok("POST", configmaps(namespace), configmap("a"))
    faults({"verb": "patch", "resource": "configmaps", "name": "a", "nth": 2, "action": "refuse", "reason": reason})
    said = [dev.request("PATCH", path, {"data": {"k": str(number)}}, MERGE) for number in range(3)]
    assert [status for status, _ in said] == [200, REFUSALS[reason], 200] and said[1][1]["reason"] == reason
    row = dev.ok("GET", "/flotilla/faults")["rows"][0]
    assert (row["seen"], row["hit"]) == (3, True)


def test_patience_is_asked_for(dev, namespace, faults):
    faults({"verb": "list", "resource": "configmaps", "action": "refuse", "reason": "TooManyRequests", "seconds": 2})
    connection = dev.connect()
    connection.request("GET", configmaps(namespace))
    response = connection.getresponse()
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
    assert b'"retryAfterSeconds":2' in response.read()
    connection.close()


def test_slow_holds_nobody_else(dev, namespace, faults):
    dev.ok("POST", configmaps(namespace), configmap("a"))
    faults({"verb": "get", "name": "a", "action": "slow", "ms": 3000})
    connection, started = dev.connect(), time.monotonic()
    connection.request("GET", configmaps(namespace, "a"))
    time.sleep(0.1)
    dev.ok("GET", configmaps(namespace))
    assert time.monotonic() - started < 2.9
    assert connection.getresponse().status == 200 and time.monotonic() - started >= 3
    connection.close()


def test_an_answer_is_cut_and_the_write_stays(dev, namespace, faults):
    faults({"verb": "create", "resource": "configmaps", "action": "cut"})
    with pytest.raises(http.client.IncompleteRead):
        dev.request("POST", configmaps(namespace), configmap("a"))
    assert dev.ok("GET", configmaps(namespace, "a"))


def test_a_stale_read(dev, namespace, faults):
    dev.ok("POST", configmaps(namespace), configmap("a", {"k": "1"}, labels={"x": "y"}))
    dev.ok("PATCH", configmaps(namespace, "a"), {"data": {"k": "2"}}, MERGE)
    dev.ok("POST", configmaps(namespace), configmap("b", labels={"x": "y"}))
    faults({"verb": "get", "name": "a", "action": "stale"}, {"verb": "list", "resource": "configmaps", "action": "stale"})
    assert dev.ok("GET", configmaps(namespace, "a"))["data"] == {"k": "1"}
    assert dev.ok("GET", configmaps(namespace, "a"))["data"] == {"k": "2"}
    old = dev.ok("GET", configmaps(namespace), labelSelector="x=y")["items"]
    assert [(item["metadata"]["name"], item["data"]) for item in old] == [("a", {"k": "1"})]


def test_what_was_deleted_is_there_in_a_stale_read(dev, namespace, faults):
    for name in "ab":
        dev.ok("POST", configmaps(namespace), configmap(name, {"k": name}, labels={"x": name}))
    dev.ok("DELETE", configmaps(namespace, "a"))
    dev.ok("POST", configmaps(namespace), configmap("c", labels={"x": "c"}))
    dev.ok("DELETE", configmaps(namespace, "c"))
    dev.ok("POST", configmaps(namespace), configmap("c", labels={"x": "c"}))
    faults({"verb": "get", "name": "a", "action": "stale"}, {"verb": "list", "resource": "configmaps", "action": "stale"},
           {"verb": "watch", "resource": "configmaps", "action": "stale"})
    assert dev.ok("GET", configmaps(namespace, "a"))["data"] == {"k": "a"}
    assert dev.request("GET", configmaps(namespace, "a"))[0] == 404
    old = dev.ok("GET", configmaps(namespace), labelSelector="x in (a,c)")
    assert [item["metadata"]["name"] for item in old["items"]] == ["a"], "c was not there before it came again"
    since = list(dev.watch(configmaps(namespace), 1, resourceVersion=old["metadata"]["resourceVersion"], labelSelector="x=a"))
    assert since[-1]["type"] == "DELETED"
    begun = list(dev.watch(configmaps(namespace), 1, labelSelector="x=a"))
    assert (begun[0]["type"], begun[-1]["type"]) == ("ADDED", "DELETED")


def test_what_makes_no_difference_waits(dev, namespace, faults):
    rows = ({"verb": "get", "resource": "configmaps", "name": "old", "action": "stale"},
            {"verb": "list", "resource": "configmaps", "action": "reorder"}, {"verb": "watch", "resource": "configmaps", "action": "stale"})
    dev.ok("POST", configmaps(namespace), configmap("a", labels={"x": "z"}))
    faults(*rows)
    names = [item["metadata"]["name"] for item in dev.ok("GET", configmaps(namespace), labelSelector="x=z")["items"]]
    assert names == ["a"] and dev.request("GET", configmaps(namespace, "old"))[0] == 404
    list(dev.watch(configmaps(namespace), 1, resourceVersion="1"))
    assert [(row["seen"], "hit" in row) for row in dev.ok("GET", "/flotilla/faults")["rows"]] == [(1, False)] * 3
    dev.ok("POST", configmaps(namespace), configmap("b", labels={"x": "z"}))
    dev.ok("POST", configmaps(namespace), configmap("old"))
    names = [item["metadata"]["name"] for item in dev.ok("GET", configmaps(namespace), labelSelector="x=z")["items"]]
    assert names == ["b", "a"] and dev.request("GET", configmaps(namespace, "old"))[0] == 404
    assert dev.ok("GET", configmaps(namespace, "old"))
    list(dev.watch(configmaps(namespace), 1))
    assert all(row["hit"] for row in dev.ok("GET", "/flotilla/faults")["rows"])


def test_a_list_backwards(dev, namespace, faults):
    for name in "abc":
        dev.ok("POST", configmaps(namespace), configmap(name, labels={"x": "y"}))
    faults({"verb": "list", "resource": "configmaps", "action": "reorder"})
    asked = [dev.ok("GET", configmaps(namespace), labelSelector="x=y")["items"] for _ in range(2)]
    assert ["".join(item["metadata"]["name"] for item in items) for items in asked] == ["cba", "abc"]


@pytest.mark.parametrize("action,types", [("drop", ["ADDED", "ADDED"]), ("expire", ["ADDED", "ERROR"])])
def test_an_event_is_lost_or_ends_the_watch(dev, namespace, faults, action, types):
    since = dev.ok("GET", configmaps(namespace), labelSelector="x")["metadata"]["resourceVersion"]
    for name in "abc":
        dev.ok("POST", configmaps(namespace), configmap(name, labels={"x": "y"}))
    faults({"verb": "event", "resource": "configmaps", "name": "b", "action": action})
    events = list(dev.watch(configmaps(namespace), 1, resourceVersion=since, labelSelector="x"))
    assert [event["type"] for event in events] == types
    assert action == "drop" or events[-1]["object"]["code"] == 410


def test_of_one_client_only(dev, namespace, faults):
    faults({"client": "robot", "verb": "get", "action": "refuse", "reason": "Conflict"})
    said = [dev.request("GET", configmaps(namespace, "a"), headers={"User-Agent": agent})[0] for agent in ("man/2", "robot/1 (x)", "robot/2")]
    assert said == [404, 409, 404]
    met = dev.ok("GET", "/flotilla/faults")["met"]
    assert (met[f"man get configmaps {namespace}"], met[f"robot get configmaps {namespace}"]) == (1, 2)


def test_of_some_namespaces_only(dev, namespace, faults):
    faults({"verb": "get", "namespace": "*-other", "action": "refuse"}, {"verb": "get", "namespace": "", "action": "refuse"},
           {"verb": "get", "namespace": f"{namespace[:2]}*", "nth": 2, "action": "refuse", "reason": "Conflict"})
    assert [dev.request("GET", configmaps(namespace, "a"))[0] for _ in range(3)] == [404, 409, 404]
    assert dev.request("GET", f"/api/v1/namespaces/{namespace}")[0] == 500


def test_a_stale_list_says_what_it_is(dev, namespace, faults):
    """Whoever watches on from there hears of what it did not tell."""
    dev.ok("POST", configmaps(namespace), configmap("a", {"k": "1"}, labels={"x": "y"}))
    dev.ok("PATCH", configmaps(namespace, "a"), {"data": {"k": "2"}}, MERGE)
    faults({"verb": "list", "resource": "configmaps", "action": "stale"})
    old = dev.ok("GET", configmaps(namespace), labelSelector="x=y")
    assert [item["data"] for item in old["items"]] == [{"k": "1"}]
    events = list(dev.watch(configmaps(namespace), 1, resourceVersion=old["metadata"]["resourceVersion"], labelSelector="x=y"))
    assert (events[-1]["type"], events[-1]["object"]["data"]) == ("MODIFIED", {"k": "2"})


def test_an_event_is_cut(dev, namespace, faults):
    since = dev.ok("GET", configmaps(namespace), labelSelector="x")["metadata"]["resourceVersion"]
    faults({"verb": "event", "resource": "configmaps", "action": "cut"})
    dev.ok("POST", configmaps(namespace), configmap("a", labels={"x": "y"}))
    with pytest.raises((http.client.IncompleteRead, ValueError)):
        list(dev.watch(configmaps(namespace), 2, resourceVersion=since, labelSelector="x=y"))


def test_a_lost_event_ends_the_watch_later_and_once(dev, namespace, faults):
    since = dev.ok("GET", configmaps(namespace), labelSelector="x")["metadata"]["resourceVersion"]
    faults({"verb": "event", "resource": "configmaps", "name": "a", "action": "drop", "ms": 300})
    for name in "ab":
        dev.ok("POST", configmaps(namespace), configmap(name, labels={"x": "y"}))
    events = itertools.islice(dev.watch(configmaps(namespace), 5, resourceVersion=since, labelSelector="x"), 5)
    assert [(event["type"], event["object"].get("code")) for event in events] == [("ADDED", None), ("ERROR", 410)]


def test_a_table_that_cannot_be_read(dev, faults):
    faults()
    assert dev.request("PUT", "/flotilla/faults", [{"action": "explode"}])[0] == 400
    assert dev.request("PUT", "/flotilla/faults", [{"action": "refuse", "reason": "Mood"}])[0] == 400
    assert dev.request("PUT", "/flotilla/faults", {"action": "cut"})[0] == 400
    for wrong in ({"resorce": "pods"}, {"nth": "2"}, {"verb": "gett"}, {"verb": 1}, {"seen": 1}):
        said, answer = dev.request("PUT", "/flotilla/faults", [{"action": "cut", **wrong}])
        assert said == 400 and next(iter(wrong)) in answer["message"], answer
    assert dev.request("PUT", "/flotilla/faults", [7])[0] == 400 and dev.ok("GET", "/flotilla/faults")["rows"] == []


def test_a_case_has_fired_when_an_answer_differed(dev):
    runner = fault.Runner([Table(dev.connect, {("stale", "watch")})])
    aims = [Aim(Case(kind, "flotillad-operate", "list", resource), "create", 1)
            for kind, resource in (("reorder", "nodes"), ("stale", "namespaces"), ("reorder", "clusterroles"))]
    runner.put(aim.row() for aim in aims)
    for resource in ("nodes", "namespaces"):
        dev.ok("GET", f"/api/v1/{resource}", headers={"User-Agent": "flotillad-operate/1"})
    assert runner.fired(aims) == aims[1:2]
    assert [runner.why_not(aim) for aim in aims[::2]] == [fault.NO_OTHER, fault.NOT_MET]
    runner.met = {"create": {("flotillad-operate", verb, "nodes", ""): 1 for verb in ("list", "watch")}}
    assert {case.verb for case in runner.cases() if case.fault == "stale"} == {"list"}
    runner.put()


def test_who_writes_now_and_then_is_not_quiet(dev):
    runner, over = fault.Runner([Table(dev.connect)]), threading.Event()
    runner.quiet_seconds = 4
    dev.ok("POST", configmaps("default"), configmap("a"), headers={"User-Agent": "flotillad-operate/1"})
    assert runner.take_created() == ["configmaps default"] and runner.take_created() == []

    def write():
        while not over.wait(2):
            dev.request("POST", "/api/v1/namespaces/default/events", {"metadata": {"generateName": "a"}},
                        headers={"User-Agent": "flotillad-operate/1"})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(AssertionError, match="not quiet"):
            runner.check_quiet()
    finally:
        over.set()
        writer.join()
        dev.ok("DELETE", configmaps("default", "a"))
    runner.check_quiet()
