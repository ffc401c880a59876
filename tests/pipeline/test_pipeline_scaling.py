"""Pods of a class that the operator asks for: exact, from zero and back, nobody who is of use let go, others' targets left alone."""

import itertools
import json
import os
import signal

import pytest
from harness import metrics
from harness.cell import bury
from harness.history import History
from harness.killpoint import KillPoint
from harness.pipes import CLASS_LABEL, Pipes
from harness.wait import eventually

_numbers = itertools.count(1)


class Scaled(Pipes):
    """Classes whose StatefulSets the operator scales."""

    def scaled_class(self, name, replicas=0, **spec):
        self.worker_class(name, replicas, **{"capacity": 10, "mode": "Whole", "scaleDownSeconds": 0, **spec, "scaleTargetRef": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, **spec.get("scaleTargetRef", {})}})

    def replicas(self, name):
        return self.get("statefulsets", name)["spec"]["replicas"]

    def pods(self):
        return sorted(pod["metadata"]["name"] for pod in self.cluster.list("pods", self.namespace)
                      if not pod["metadata"].get("deletionTimestamp"))

    def wait_replicas(self, **wanted):
        for name, count in wanted.items():
            eventually(lambda name=name, count=count: self.replicas(name) == count, 30, what=f"{count} of {name}")

    def scaled(self, name):
        """(status, reason, message)."""
        rows = (self.get("workerclasses", name).get("status") or {}).get("conditions", [])
        row = next((row for row in rows if row["type"] == "Scaled"), {})
        return row.get("status"), row.get("reason"), row.get("message", "")

    def wait_scaled(self, name, *wanted):
        def is_so():
            found = self.scaled(name)
            assert found[:2] == wanted, found
            return True

        eventually(is_so, 20, what=f"{name} {wanted}")

    def end(self, *names):
        for name in names:
            self.cluster.delete("pipelines", name, self.namespace)


@pytest.fixture
def scaled(stack):
    made = Scaled(stack, f"scaled-{next(_numbers)}")
    yield made
    made.cluster.delete("namespaces", made.namespace)


def test_from_zero_to_five_and_back(scaled, operate):
    operator = operate()
    scaled.scaled_class("blue")
    names = [f"p{number}" for number in range(5)]
    for name in names:
        scaled.pipeline(name, 10, ["blue"])
    scaled.wait_ready(*names)
    assert scaled.replicas("blue") == 5 and scaled.pods() == [f"blue-{at}" for at in range(5)]

    def is_told():  # the load every 5 s at most
        status = scaled.get("workerclasses", "blue")["status"]
        return (status["replicas"], status["wantedReplicas"], status["readyReplicas"]) == (5, 5, 5)

    eventually(is_told, what="the numbers of the class")
    scaled.wait_scaled("blue", "True", "AsAsked")
    scaled.end(*names)
    scaled.wait_replicas(blue=0)
    eventually(lambda: not scaled.pods(), 20, what="all gone")
    words = {"ScaledUp", "ScaledDown"}
    eventually(lambda: words <= {row["reason"] for row, _ in metrics.read(operator, "flotilla_pipeline_scaled_total")}, what="counted")

    def told():
        text = scaled.stack.kubectl("-n", scaled.namespace, "describe", "pled/placement").split("Events:")[1]
        return all(word in text for word in words)

    eventually(told, what="events of both")
    operator.wait_log(lambda line: "ScaledUp: class 'blue': StatefulSet 'blue' from" in line.get("msg", ""))


def test_a_statefulset_keeps_all_below_the_highest_that_carries(scaled, operate):
    operate()
    scaled.scaled_class("blue", compaction={"documentsPerMinute": 0})
    for name in ("first", "second", "third"):
        scaled.pipeline(name, 10, ["blue"])
        scaled.wait_ready(name)
    scaled.end("first", "third")
    scaled.wait_replicas(blue=2)
    scaled.pipeline("fourth", 10, ["blue"])  # into the hole
    scaled.wait_ready("fourth")
    assert scaled.replicas("blue") == 2
    scaled.end("second")
    scaled.wait_replicas(blue=1)
    scaled.wait_ready("fourth")


def kept_until(history):
    """By the ledger's own clock, of each change: (its time, what it asks for, {number of no use: until when it is kept})."""
    for change in history.changes():
        entry = next(iter(change.item["spec"].get("classes", [])), {})
        idle = {pod: entry["idleUntil"][ord(letter) - ord("a")] for pod, letter in enumerate(entry.get("idle", "")) if letter != "-"}
        yield change.item["spec"].get("time"), entry.get("asked", ""), idle


def test_spare_pods_and_calm(scaled, operate):
    operate()
    history = History(scaled.cluster, scaled.namespace, ["placementledgers"])
    scaled.scaled_class("blue", spareReplicas=2, scaleDownSeconds=4)
    scaled.wait_replicas(blue=2)
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_replicas(blue=3)
    scaled.wait_ready("first")
    scaled.end("first")
    scaled.wait_replicas(blue=2)
    history.catch_up()
    began, went = [], []
    for (_, _, before), (time, asked, after) in itertools.pairwise(kept_until(history)):
        began += [until - time for pod, until in after.items() if pod not in before]
        went += [(pod, until, time) for pod, until in before.items() if asked[pod:pod + 1] != "A"]
    assert set(began) == {4} and len(began) >= 3, began
    assert went and all(until <= time for _, until, time in went), went


def test_another_autoscaler_is_left_alone(scaled, operate):
    operator = operate()
    scaled.scaled_class("blue", 1)
    scaled.wait_replicas(blue=0)
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "blue"}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    scaled._apply("horizontalpodautoscalers", "theirs", "autoscaling/v2", "HorizontalPodAutoscaler",
                  {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": [cpu]})
    scaled.wait_scaled("blue", "False", "ForeignAutoscaler")
    assert "HorizontalPodAutoscaler 'theirs' scales StatefulSet 'blue'" in scaled.scaled("blue")[2]
    assert "replicas" not in scaled.get("workerclasses", "blue")["status"]
    scaled.scale("blue", 2)
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_ready("first")
    assert scaled.replicas("blue") == 2, "neither more nor less"
    eventually(lambda: {"reason": "ForeignAutoscaler"} in [row for row, _ in metrics.read(operator, "flotilla_pipeline_scaled_total")])
    scaled.cluster.delete("horizontalpodautoscalers", "theirs", scaled.namespace)
    scaled.wait_scaled("blue", "True", "AsAsked")
    scaled.wait_replicas(blue=1)


def test_what_cannot_be_scaled_says_why(scaled, operate):
    operate()
    ordered = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "ordered"}
    scaled.scaled_class("blue")
    scaled.cluster.delete("statefulsets", "blue", scaled.namespace)
    scaled.wait_scaled("blue", "False", "ScaleTargetMissing")
    scaled.scaled_class("green", scaleTargetRef={"name": "grey"})
    scaled.scaled_class("grey")
    scaled.wait_scaled("green", "False", "OtherClass")
    scaled.wait_scaled("grey", "True", "AsAsked")  # it is the one of the label, though not the first name
    scaled.worker_class("ordered", 0, capacity=10, scaleTargetRef=ordered)
    scaled.cluster.delete("statefulsets", "ordered", scaled.namespace)
    labels = {CLASS_LABEL: "ordered"}
    spec = {"serviceName": "ordered", "replicas": 0, "selector": {"matchLabels": labels}, "template": {
        "metadata": {"labels": labels}, "spec": {"containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}]}}}
    eventually(lambda: not scaled.get("statefulsets", "ordered"), what="the old one gone")
    scaled._apply("statefulsets", "ordered", "apps/v1", "StatefulSet", spec)
    scaled.wait_scaled("ordered", "True", "OrderedReady")
    scaled.scaled_class("blue")  # it is there again, at zero, and it is needed
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_ready("first")
    scaled.wait_scaled("blue", "True", "AsAsked")


def test_a_number_that_somebody_else_wrote_is_set_right(scaled, operate):
    operate()
    scaled.scaled_class("blue")
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_ready("first")
    for wrong in (4, 0):
        scaled.scale("blue", wrong)
        scaled.wait_replicas(blue=1)
    scaled.wait_ready("first")
    eventually(lambda: scaled.pods() == ["blue-0"], 20, what="one pod")


def test_a_slice_that_stays_keeps_its_pod_and_is_named(scaled, operate):
    operate()
    scaled.scaled_class("blue")
    foreign = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [],
               "metadata": {"name": "anybodys", "namespace": scaled.namespace, "labels": {
                   "endpointslice.kubernetes.io/managed-by": "scheduling.k8s.xxii.io"}},
               "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "blue-0"}}]}
    scaled.cluster.apply("endpointslices", foreign)  # holds nobody up
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_ready("first")
    mine, = (item for item in scaled.cluster.list("endpointslices", scaled.namespace)
             if item["metadata"]["name"] != "anybodys" and item.get("endpoints"))
    name = mine["metadata"]["name"]
    scaled.cluster.merge("endpointslices", name, {"metadata": {"finalizers": ["example.com/held"]}}, scaled.namespace)
    scaled.end("first")
    scaled.wait_scaled("blue", "True", "PodsLead")
    message = scaled.scaled("blue")[2]
    assert f"'{name}'" in message and "'blue-0'" in message and scaled.replicas("blue") == 1
    scaled.cluster.merge("endpointslices", name, {"metadata": {"finalizers": None}}, scaled.namespace)
    scaled.wait_replicas(blue=0)
    scaled.wait_scaled("blue", "True", "AsAsked")


def test_an_autoscaler_of_another_group_is_none_of_its(scaled, operate):
    operate()
    scaled.scaled_class("blue", 1)
    scaled._apply("horizontalpodautoscalers", "theirs", "autoscaling/v2", "HorizontalPodAutoscaler",
                  {"scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "StatefulSet", "name": "blue"}, "maxReplicas": 3})
    scaled.wait_replicas(blue=0)
    scaled.wait_scaled("blue", "True", "AsAsked")


def test_who_dies_before_it_has_asked_is_followed_by_one_who_asks(scaled, operate, tmp_path):
    for point in ("kube.pipeline.scale.before", "kube.pipeline.scale.after", "kube.pipeline.routes.after"):
        killed = KillPoint(tmp_path, point)
        operator = operate(env=killed.env)
        scaled.scaled_class("blue")
        scaled.wait_replicas(blue=0)
        if "routes" not in point:
            killed.arm()
        scaled.pipeline("first", 10, ["blue"])
        if "routes" in point:
            scaled.wait_ready("first")
            killed.arm()
            scaled.end("first")
        killed.assert_killed(operator)
        bury(scaled)
        after = operate()
        if "routes" not in point:
            scaled.wait_ready("first")
            assert scaled.replicas("blue") == 1
            scaled.end("first")
        scaled.wait_replicas(blue=0)
        after.stop(signal.SIGTERM)


POLICY = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [
    {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets/scale"], "operations": ["UPDATE"]}]},
    "validations": [{"expression": "false", "message": "not on Sundays"}]}


@pytest.mark.skipif(os.environ.get("FLOTILLA_TEST_KUBE") == "devcluster", reason="it has no admission")
def test_a_refusal_is_told_and_tried_again(scaled, operate):
    operate()
    scaled.scaled_class("blue")
    scaled.wait_scaled("blue", "True", "AsAsked")
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": scaled.namespace}}
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": scaled.namespace}}}
    scaled.stack.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {**group, "kind": "ValidatingAdmissionPolicy", "spec": POLICY},
        {**group, "kind": "ValidatingAdmissionPolicyBinding",
         "spec": {"policyName": scaled.namespace, "validationActions": ["Deny"], "matchResources": where}}]}))
    path = f"{scaled.cluster.path('statefulsets', scaled.namespace, 'blue')}/scale"
    eventually(lambda: scaled.cluster.request("PATCH", path, {"spec": {"replicas": 0}}, "application/merge-patch+json")[0] == 422,
               20, what="the policy is on")
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_scaled("blue", "False", "ScaleRefused")
    assert "not on Sundays" in scaled.scaled("blue")[2]
    scaled.wait("first", "Pending", "WaitingForScale")
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        scaled.stack.kubectl("delete", kind, scaled.namespace)
    scaled.wait_ready("first")
    scaled.wait_scaled("blue", "True", "AsAsked")
