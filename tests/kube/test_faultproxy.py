"""The fault table before a real API server: each row fires once, watches stream, and an operator lives behind it."""

import http.client
import itertools
import json
import threading
import time
import urllib.parse

import pytest
from harness.cell import SHORT_LEASES
from harness.cluster import Cluster
from harness.faultproxy import Faultproxy
from harness.wait import eventually

MERGE = "application/merge-patch+json"
REFUSALS = {"Conflict": 409, "Expired": 410, "Invalid": 422, "TooManyRequests": 429, "InternalError": 500,
            "ServiceUnavailable": 503, "Timeout": 504}


class Client:
    """What these tests say through the proxy."""

    def __init__(self, proxy, namespace):
        self.proxy, self.namespace = proxy, namespace

    def path(self, name=None, resource="configmaps"):
        return f"/api/v1/namespaces/{self.namespace}/{resource}" + (f"/{name}" if name else "")

    def ask(self, method, path, body=None, kind="application/json", **query):
        """(status, headers, parsed body)"""
        connection = self.proxy.connect()
        try:
            path += "?" + urllib.parse.urlencode(query) if query else ""
            connection.request(method, path, body and json.dumps(body), {"Content-Type": kind} if body else {})
            response = connection.getresponse()
            return response.status, response.headers, json.loads(response.read())
        finally:
            connection.close()

    def make(self, name, **data):
        return self.ask("POST", self.path(), {"metadata": {"name": name, "labels": {"x": "y"}}, "data": data})

    def change(self, name, **data):
        return self.ask("PATCH", self.path(name), {"data": data}, MERGE)

    def names(self):
        answer = self.ask("GET", self.path(), labelSelector="x=y")[2]
        return [item["metadata"]["name"] for item in answer["items"]]

    def watch(self, seconds, **query):
        """The events of a watch until its end; a broken end is told as None."""
        connection = self.proxy.connect()
        query = urllib.parse.urlencode({"watch": 1, "timeoutSeconds": seconds, "labelSelector": "x=y", **query})
        connection.request("GET", f"{self.path()}?{query}")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        try:
            for line in response:
                yield json.loads(line) if line.endswith(b"\n") else None
        except (http.client.HTTPException, OSError):
            yield None
        finally:
            connection.close()

    def told(self, since, count):
        """So many events of a watch; it does not end by its time before."""
        return list(itertools.islice(self.watch(60, resourceVersion=since), count))

    def version(self):
        return self.ask("GET", self.path())[2]["metadata"]["resourceVersion"]


@pytest.fixture(scope="module")
def proxy(stack, tmp_path_factory):
    running = Faultproxy(stack, "admin", tmp_path_factory.mktemp("proxy"))
    yield running
    status = running.stop()
    assert status == 0 and not running.sanitizer_reports(), running.sanitizer_reports() or running.logs[-3:]


@pytest.fixture
def client(stack, proxy, request):
    name = request.node.name.replace("_", "-").partition("[")[0][:40] + f"-{int(time.monotonic() * 1000) % 100000}"
    stack.kubectl("create", "namespace", name)
    yield Client(proxy, name)
    proxy.table.put()
    stack.kubectl("delete", "namespace", name, "--wait=false")


def test_nothing_is_changed_where_nothing_is_asked_for(stack, proxy, client):
    client.make("a", k="1")
    straight = Cluster(stack).ok("GET", client.path("a"))
    assert client.ask("GET", client.path("a"))[2] == straight
    assert client.ask("GET", client.path("b"))[0] == 404 and client.make("a")[0] == 409
    assert client.ask("GET", "/version")[2]["gitVersion"].startswith("v1.")
    assert proxy.table.met()["", "get", "configmaps", client.namespace] >= 2


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_at_the_nth_call(proxy, client, reason):
    client.make("a")
    proxy.table.put([{"verb": "patch", "resource": "configmaps", "name": "a", "nth": 2, "action": "refuse", "reason": reason,
                      "seconds": 3}])
    said = [client.change("a", k=str(number)) for number in range(3)]
    assert [status for status, _, _ in said] == [200, REFUSALS[reason], 200] and said[1][2]["reason"] == reason
    assert said[1][1]["Retry-After"] == "3" and said[1][2]["details"]["retryAfterSeconds"] == 3
    assert proxy.table.rows()[0]["seen"] == 3


def test_slow_holds_nobody_else(proxy, client):
    client.make("a")
    proxy.table.put([{"verb": "get", "name": "a", "action": "slow", "ms": 4000}])
    started, ends = time.monotonic(), []
    slow = threading.Thread(target=lambda: ends.append(client.ask("GET", client.path("a"))[0]))
    slow.start()
    time.sleep(0.2)
    assert client.names() == ["a"] and not ends
    slow.join()
    assert ends == [200] and time.monotonic() - started >= 4


def test_an_answer_is_cut_and_the_write_stays(proxy, client):
    proxy.table.put([{"verb": "create", "resource": "configmaps", "action": "cut"}])
    with pytest.raises((http.client.IncompleteRead, OSError)):
        client.make("a")
    assert client.names() == ["a"]


def test_a_stale_read(proxy, client):
    client.make("a", k="1")
    client.change("a", k="2")
    client.make("b")
    proxy.table.put([{"verb": "get", "name": "a", "action": "stale"}, {"verb": "get", "name": "b", "action": "stale"},
                     {"verb": "list", "resource": "configmaps", "action": "stale"}])
    assert [client.ask("GET", client.path("a"))[2]["data"] for _ in range(2)] == [{"k": "1"}, {"k": "2"}]
    assert client.ask("GET", client.path("b"))[0] == 404
    old = client.ask("GET", client.path(), labelSelector="x=y")[2]
    assert [(item["metadata"]["name"], item["data"]) for item in old["items"]] == [("a", {"k": "1"})]
    since = client.told(old["metadata"]["resourceVersion"], 2)
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in since] == [("MODIFIED", "a"), ("ADDED", "b")]


def test_what_was_deleted_is_there_in_a_stale_read(proxy, client):
    since = client.version()
    for name in "ab":
        client.make(name, k=name)
    for name in "ab":
        client.ask("DELETE", client.path(name))
    assert len(client.told(since, 4)) == 4
    client.make("b", k="new")
    proxy.table.put([{"verb": "get", "name": "a", "action": "stale"}, {"verb": "list", "resource": "configmaps", "action": "stale"}])
    assert client.ask("GET", client.path("a"))[2]["data"] == {"k": "a"}
    assert client.ask("GET", client.path("a"))[0] == 404
    old = client.ask("GET", client.path(), labelSelector="x=y")[2]
    assert [item["metadata"]["name"] for item in old["items"]] == ["a"], "b was not there before it came again"
    first, = client.told(old["metadata"]["resourceVersion"], 1)
    assert (first["type"], first["object"]["metadata"]["name"]) == ("DELETED", "a")


def test_a_list_backwards(proxy, client):
    for name in "abc":
        client.make(name)
    proxy.table.put([{"verb": "list", "resource": "configmaps", "action": "reorder"}])
    assert ["".join(client.names()) for _ in range(2)] == ["cba", "abc"]


@pytest.mark.parametrize("action,types", [("drop", ["ADDED", "ADDED"]), ("expire", ["ADDED", "ERROR"]), ("cut", ["ADDED", None])])
def test_an_event_is_lost_or_ends_the_watch(proxy, client, action, types):
    since = client.version()
    for name in "abc":
        client.make(name)
    proxy.table.put([{"verb": "event", "resource": "configmaps", "name": "b", "action": action}])
    events = client.told(since, 2 if action == "drop" else 3)  # the others end the watch behind the second
    assert [event and event["type"] for event in events] == types
    assert action != "drop" or [event["object"]["metadata"]["name"] for event in events] == ["a", "c"]
    assert action != "expire" or events[-1]["object"]["code"] == 410


def test_what_was_there_is_no_event(proxy, client):
    client.make("a")
    proxy.table.put([{"verb": "event", "resource": "configmaps", "name": "a", "action": "drop"}])
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = client.watch(60, **query)
    assert [next(events)["type"] for _ in range(2)] == ["ADDED", "BOOKMARK"]
    client.change("a", k="1")
    client.change("a", k="2")
    assert next(events)["object"]["data"] == {"k": "2"}, "the first change is dropped"


def test_events_come_when_they_happen(client):
    """Each before the next one is made, and long before the watch ends."""
    heard, since = [], client.version()

    def listen():
        for event in itertools.islice(client.watch(300, resourceVersion=since), 3):
            heard.append(event["object"]["metadata"]["name"])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    for number, name in enumerate("abc", 1):
        client.make(name)
        eventually(lambda number=number: len(heard) == number, what=f"the event of {name}")
    listener.join()
    assert heard == list("abc")


def test_a_watch_that_the_server_refuses(stack, client):
    said = []
    for connection in (client.proxy.connect(), Cluster(stack).connect()):
        connection.request("GET", f"{client.path()}?watch=1&resourceVersion=nonsense&timeoutSeconds=1")
        response = connection.getresponse()
        said.append((response.status, json.loads(response.read())))
        connection.close()
    assert said[0] == said[1] and said[0][0] >= 400


def test_of_some_namespaces_only(proxy, client):
    since = client.version()
    proxy.table.put([{"verb": "event", "namespace": "*-other", "action": "drop"}, {"verb": "get", "namespace": "", "action": "refuse"},
                     {"verb": "event", "namespace": f"{client.namespace[:8]}*", "nth": 2, "action": "drop"}])
    for name in "abc":
        client.make(name)
    assert [event["object"]["metadata"]["name"] for event in client.told(since, 2)] == ["a", "c"]
    assert client.ask("GET", client.path("a"))[0] == 200


def test_a_table_that_cannot_be_read(proxy):
    for rows in ([{"action": "explode"}], [{"verb": "get", "action": "drop"}], [{"action": "refuse", "reason": "Mood"}], {}):
        connection = proxy.connect()
        connection.request("PUT", "/flotilla/faults", json.dumps(rows))
        assert connection.getresponse().status == 400
        connection.close()


def test_an_operator_lives_behind_it(stack, proxy, client, flotillad):
    flotillad(["operate", "--kubeconfig", proxy.kubeconfig], {**SHORT_LEASES, "FLOTILLA_LEAVE_OUT": ""})
    cluster = Cluster(stack)
    proxy.table.put([{"verb": "patch", "resource": "deployments", "action": "refuse", "reason": "Conflict"},
                     {"verb": "event", "resource": "deployments", "action": "drop"}])
    cluster.apply("ovhnginxes", {"apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx",
                                 "metadata": {"name": "web", "namespace": client.namespace}, "spec": {"replicaCount": 1, "port": 80}})

    def ready():
        conditions = cluster.get("ovhnginxes", "web", client.namespace).get("status", {}).get("conditions", [])
        return any(row["type"] == "Ready" and row["status"] == "True" for row in conditions)

    eventually(ready, 60, what="OvhNginx Ready")
    assert all(row.get("seen") for row in proxy.table.rows())
