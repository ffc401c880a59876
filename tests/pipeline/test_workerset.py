"""WorkerSets: pods with names that stay, of which any can leave; each is emptied first, and none is taken over."""

import contextlib
import datetime
import itertools
import json
import os
import signal

import pytest
from harness.cell import bury
from harness.history import History
from harness.killpoint import KillPoint
from harness.pipes import API, CLASS_LABEL, Pipes
from harness.wait import eventually

REF = {"apiVersion": API, "kind": "WorkerSet", "name": "blue"}
_numbers = itertools.count(1)


class Sets(Pipes):
    def worker_set(self, name, image="registry.k8s.io/pause:3.10", **spec):
        pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "worker", "image": image}]}
        self._apply("workersets", name, API, "WorkerSet", {"class": name, "template": {"spec": pod}, **spec})

    def worker_class_alone(self, name, **spec):
        self._apply("workerclasses", name, API, "WorkerClass",
                    {"capacity": 10, "mode": "Whole", "drainSeconds": 0, "scaleDownSeconds": 0, **spec})

    def live(self):
        return {pod["metadata"]["name"]: pod for pod in self.cluster.list("pods", self.namespace)
                if not pod["metadata"].get("deletionTimestamp")}

    def wait_pods(self, *numbers, timeout=30):
        wanted = [f"blue-{number}" for number in numbers]
        eventually(lambda: sorted(self.live()) == wanted, timeout, what=f"pods {wanted}, not {sorted(self.live())}")

    def reason(self):
        rows = (self.get("workersets", "blue").get("status") or {}).get("conditions", [])
        return next((row["reason"] for row in rows if row["type"] == "Ready"), None)

    def wait_reason(self, reason):
        eventually(lambda: self.reason() == reason, 20, what=f"{reason}, not {self.reason()}")

    def carrier(self, binding):
        return [share["pod"] for share in self.get("pipelinebindings", binding)["spec"]["shares"]]


@pytest.fixture
def sets(stack):
    made = Sets(stack, f"sets-{next(_numbers)}")
    yield made
    made.cluster.delete("namespaces", made.namespace)


def test_pods_come_and_go_by_the_scale_subresource(sets, operate):
    operate()
    sets.worker_set("blue", replicas=3)
    sets.wait_pods(0, 1, 2)
    sets.wait_reason("AllReady")
    pod = sets.live()["blue-1"]
    assert pod["metadata"]["labels"][CLASS_LABEL] == "blue" and pod["spec"]["hostname"] == "blue-1"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "WorkerSet"
    path = f"{sets.cluster.path('workersets', sets.namespace, 'blue')}/scale"
    scale = sets.cluster.ok("GET", path)
    assert scale["status"]["selector"] == "scheduling.k8s.xxii.io/workerset=blue" and scale["status"]["replicas"] == 3
    sets.cluster.ok("PATCH", path, {"spec": {"replicas": 1}}, "application/merge-patch+json")
    sets.wait_pods(0)
    sets.cluster.delete("pods", "blue-0", sets.namespace)
    eventually(lambda: not sets.get("pods", "blue-0") or sets.live().get("blue-0"), what="it is made again")
    sets.wait_pods(0)


def test_any_number_can_leave_and_the_placement_says_which(sets, operate):
    operate()
    sets.worker_class_alone("blue", scaleTargetRef=REF)
    sets.worker_set("blue")
    for name in ("first", "second", "third"):
        sets.pipeline(name, 10, ["blue"])
        sets.wait_ready(name)
    sets.wait_pods(0, 1, 2)
    sets.cluster.delete("pipelines", "second", sets.namespace)
    sets.wait_pods(0, 2)
    assert sets.get("workersets", "blue")["spec"]["keep"] == [0, 2]
    sets.cluster.delete("pipelines", "first", sets.namespace)
    sets.wait_pods(2)
    sets.pipeline("fourth", 10, ["blue"])
    sets.wait_ready("fourth", "third")
    sets.wait_pods(0, 2)
    for name in ("third", "fourth"):
        sets.cluster.delete("pipelines", name, sets.namespace)
    sets.wait_pods()


def test_who_carries_stays_until_others_have_room(sets, operate):
    operate()
    sets.worker_class_alone("blue")
    sets.worker_set("blue", replicas=2)
    for name in ("first", "second"):
        sets.pipeline(name, 10, ["blue"])
        sets.wait_ready(name)
    sets.cluster.merge("workersets", "blue", {"spec": {"replicas": 1}}, sets.namespace)
    sets.wait_reason("PodsLeave")
    sets.wait_ready("first", "second")
    assert sorted(sets.live()) == ["blue-0", "blue-1"], "both carry as much as they can"
    sets.cluster.merge("workersets", "blue", {"spec": {"replicas": 2}}, sets.namespace)  # a third pod, and room
    sets.wait_pods(0, 2)
    sets.wait_ready("first", "second")
    assert {*sets.carrier("first-blue"), *sets.carrier("second-blue")} == {"blue-0", "blue-2"}


def test_what_is_only_reserved_holds_no_pod_that_is_to_go(sets, operate):
    """Where no further pod may be asked for, it waits for the next one of that number."""
    operate()
    sets.worker_class_alone("blue", scaleTargetRef=REF, maxReplicas=1)
    sets.worker_set("blue")
    sets.worker_class("green", 0, capacity=10, maxReplicas=1)
    sets.pipeline("first", 10, ["blue", "green"])
    sets.wait("first", "Pending", "WaitingForScale")
    sets.wait_pods(0)
    eventually(lambda: sets.reason() == "AllReady", 20)
    before = sets.live()["blue-0"]["metadata"]["uid"]
    sets.worker_set("blue", image="registry.k8s.io/pause:3.9")
    eventually(lambda: sets.live().get("blue-0", {"metadata": {"uid": before}})["metadata"]["uid"] != before, 30, what="the pod is another")
    sets.scale("green", 1)
    sets.wait_ready("first")


def test_a_new_template_goes_round_without_a_pipeline_that_stops(sets, operate):
    operate()
    sets.worker_class_alone("blue", scaleTargetRef=REF)
    sets.worker_set("blue")
    for name in ("first", "second"):
        sets.pipeline(name, 10, ["blue"])
        sets.wait_ready(name)
    before = {pod["metadata"]["uid"] for pod in sets.live().values()}
    replicas = sets.get("workersets", "blue")["spec"]
    sets.worker_set("blue", image="registry.k8s.io/pause:3.9", replicas=replicas["replicas"], keep=replicas["keep"])

    def renewed():
        pods = sets.live().values()
        assert len({pod["metadata"]["uid"] for pod in pods} - before) == 2 == len(pods), sorted(sets.live())
        return True

    eventually(renewed, 60, what="both are new")
    sets.wait_ready("first", "second")
    sets.wait_reason("AllReady")
    phases = sets.stack.kubectl("-n", sets.namespace, "get", "events").count("DeadEnd")
    assert phases == 0


def test_what_others_made_is_left_alone_and_failures_are_replaced(sets, operate):
    operate()
    labels = {CLASS_LABEL: "blue", "scheduling.k8s.xxii.io/workerset": "blue"}

    def made():
        sets.cluster.apply("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "blue-0", "namespace": sets.namespace, "labels": labels},
            "spec": {"containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}]}})
        return True

    eventually(made, 20)
    uid = sets.live()["blue-0"]["metadata"]["uid"]
    sets.worker_set("blue", replicas=2)
    sets.wait_reason("ObjectTaken")
    assert sets.live()["blue-0"]["metadata"]["uid"] == uid and "ownerReferences" not in sets.live()["blue-0"]["metadata"]
    sets.cluster.delete("pods", "blue-0", sets.namespace)
    sets.wait_reason("AllReady")
    lost = sets.live()["blue-1"]["metadata"]["uid"]
    path = f"{sets.cluster.path('pods', sets.namespace, 'blue-1')}/status"
    sets.cluster.ok("PATCH", path, {"status": {"phase": "Failed", "conditions": None}}, "application/merge-patch+json")
    eventually(lambda: sets.live().get("blue-1", {"metadata": {"uid": lost}})["metadata"]["uid"] != lost, 30, what="a new blue-1")
    sets.wait_reason("AllReady")


def test_who_fails_at_once_is_not_made_anew_at_once(sets, operate):
    """Ten seconds lie between two pods of a number, by the server's own times, and the set says what it waits for."""
    operate()
    sets.worker_set("blue", replicas=1)
    sets.wait_reason("AllReady")
    history = History(sets.cluster, sets.namespace, ["pods"])
    for _ in range(2):
        uid = sets.live()["blue-0"]["metadata"]["uid"]
        path = f"{sets.cluster.path('pods', sets.namespace, 'blue-0')}/status"
        sets.cluster.ok("PATCH", path, {"status": {"phase": "Failed", "conditions": None}}, "application/merge-patch+json")
        eventually(lambda uid=uid: sets.live().get("blue-0", {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, 30, what="a new one")
    made = {change.item["metadata"]["uid"]: datetime.datetime.fromisoformat(change.item["metadata"]["creationTimestamp"])
            for change in history.catch_up().changes()}
    times = sorted(made.values())
    assert len(times) == 3 and all((after - before).total_seconds() >= 10 for before, after in itertools.pairwise(times)), times
    eventually(lambda: "PodsFail" in {event["reason"] for event in sets.cluster.list("events", sets.namespace)}, what="it is told")


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_process_that_dies_is_followed_by_one_that_goes_on(sets, operate, tmp_path, side):
    """At each write of a pod's life. The mark and the release are on the pod: who comes reads them."""
    sets.worker_class_alone("blue", scaleTargetRef=REF)
    sets.worker_set("blue")
    comes, goes = ["kube.pipeline.scale", "kube.set.pod.create"], ["kube.set.pod.mark", "kube.pipeline.release", "kube.set.pod.delete"]
    for call in (*comes, *goes):
        killed = KillPoint(tmp_path, f"{call}.{side}")
        operator = operate(env=killed.env)
        if call in comes:
            killed.arm()
        sets.pipeline("first", 10, ["blue"])
        if call in goes:
            sets.wait_ready("first")
            killed.arm()
            sets.cluster.delete("pipelines", "first", sets.namespace)
        killed.assert_killed(operator)
        bury(sets)
        after = operate()
        if call in comes:
            sets.wait_ready("first")
            sets.cluster.delete("pipelines", "first", sets.namespace)
        sets.wait_pods()
        after.stop(signal.SIGTERM)


BAD = [{"class": "blue"}, {"template": {"spec": {}}}, {"class": "blue", "template": {"spec": {}}, "replicas": 1001},
       {"class": "blue", "template": {"spec": {}}, "keep": [1000]}, {"class": "blue", "template": {"spec": {}}, "maxUnavailable": 0}]
BAD_REFS = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, {"apiVersion": "apps/v1", "kind": "StatefulSet"}]
CEL_SETS = [{"class": "blue", "template": {"spec": {}, "metadata": {"annotations": {f"scheduling.k8s.xxii.io/{name}": "x"}}}}
            for name in ("leaving", "released")]
CEL_REFS = [{"apiVersion": "apps/v1", "kind": "WorkerSet", "name": "x"}, {"apiVersion": API, "kind": "StatefulSet", "name": "x"}]


HAS_RULES = os.environ.get("FLOTILLA_TEST_KUBE") != "devcluster"  # it has no CEL
MARKS_RULE = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/template/properties/metadata/properties/annotations" \
    "/x-kubernetes-validations"


@contextlib.contextmanager
def without_the_rule(stack):
    """The API server as it was before the rule about a template's annotations was there."""
    kind = "workersets.scheduling.k8s.xxii.io"

    def patch(*operations):
        stack.kubectl("patch", "crd", kind, "--type=json", "-p", json.dumps(operations))

    if not HAS_RULES:
        yield
        return
    rule = json.loads(stack.kubectl("get", "crd", kind, "-o", "json"))
    for step in MARKS_RULE.strip("/").split("/"):
        rule = rule[int(step) if step.isdigit() else step]
    patch({"op": "remove", "path": MARKS_RULE})
    try:
        yield
    finally:
        patch({"op": "add", "path": MARKS_RULE, "value": rule})


def test_a_template_says_nothing_of_what_becomes_of_its_pods(sets, operate):
    """Where the API server lets it in, too."""
    operate()
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}]}
    marks = {f"scheduling.k8s.xxii.io/{name}": "x" for name in ("leaving", "released")}
    template = {"metadata": {"annotations": {**marks, "mine": "stays"}}, "spec": pod}
    item = {"apiVersion": API, "kind": "WorkerSet", "metadata": {"name": "blue"},
            "spec": {"class": "blue", "replicas": 1, "template": template}}
    with without_the_rule(sets.stack):
        path = sets.cluster.path("workersets", sets.namespace)
        eventually(lambda: sets.cluster.request("POST", path, item)[0] == 201, 20, what="it is let in")
    sets.wait_reason("AllReady")
    assert {"mine"} == {name for name in sets.live()["blue-0"]["metadata"]["annotations"] if name in {*marks, "mine"}}


def test_what_the_schema_refuses_never_comes_in(sets):
    def refused(resource, kind, spec):
        item = {"apiVersion": API, "kind": kind, "metadata": {"name": "bad"}, "spec": spec}
        return sets.cluster.request("POST", sets.cluster.path(resource, sets.namespace), item)[0] == 422

    assert all(refused("workersets", "WorkerSet", spec) for spec in BAD)
    if HAS_RULES:
        eventually(lambda: refused("workersets", "WorkerSet", CEL_SETS[0]), 20, what="the rule is back")
    assert all(refused("workersets", "WorkerSet", spec) for spec in CEL_SETS if HAS_RULES)
    for ref in [*BAD_REFS, *(CEL_REFS if HAS_RULES else [])]:
        assert refused("workerclasses", "WorkerClass", {"capacity": 1, "scaleTargetRef": ref}), ref
