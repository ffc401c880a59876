"""Pipelines on a Kubernetes API: from the talk's manifests to endpoints, what waits and why, a lost worker, two operators."""

import itertools
import json

import pytest
from harness import REPO, metrics
from harness.cell import bury
from harness.cluster import Cluster
from harness.killpoint import KillPoint, Quiet
from harness.wait import eventually

GROUP = "scheduling.k8s.xxii.io"
API = f"{GROUP}/v1alpha1"
CLASS_LABEL = f"{GROUP}/workerclass"
TALK = {"blue": 30, "green": 15, "yellow": 200}
_numbers = itertools.count(1)


class World:
    """One namespace; its pods are made by hand and named as in the talk, so that each can be lost by name."""

    def __init__(self, stack, namespace):
        self.stack, self.namespace, self.cluster = stack, namespace, Cluster(stack)
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def kubectl(self, *args, **kwargs):
        return self.stack.kubectl("-n", self.namespace, *args, **kwargs)

    def apply(self, resource, name, spec, labels=None, version=API, kind=None):
        kinds = {"pipelines": "Pipeline", "workerclasses": "WorkerClass", "pipelinebindings": "PipelineBinding", "pods": "Pod"}
        self.cluster.apply(resource, {"apiVersion": version, "kind": kind or kinds[resource], "spec": spec,
                                      "metadata": {"name": name, "namespace": self.namespace, "labels": labels or {}}})

    def get(self, resource, name):
        return self.cluster.get(resource, name, self.namespace)

    def list(self, resource):
        return {item["metadata"]["name"]: item for item in self.cluster.list(resource, self.namespace)}

    def worker_class(self, name, capacity, **more):
        self.apply("workerclasses", name, {"capacity": capacity, **more})

    def pod(self, workload, ordinal, class_name=None):
        spec = {"containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}], "terminationGracePeriodSeconds": 0}

        def made():  # once the namespace has its service account
            self.apply("pods", f"{workload}-{ordinal}", spec, {CLASS_LABEL: class_name or workload}, "v1")
            return True

        eventually(made, 20)

    def wait_pods(self, *names):
        """Until they serve."""
        def is_ready(name):
            rows = self.get("pods", name).get("status", {}).get("conditions", [])
            return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)

        eventually(lambda: all(map(is_ready, names)), 20, what=f"pods {names} are ready")

    def wait_class(self, name, **wanted):
        def is_so():
            status = self.get("workerclasses", name).get("status", {})
            assert {key: status.get(key) for key in wanted} == wanted, status
            return True

        eventually(is_so, 20)

    def talk(self, **pods):
        for name, capacity in TALK.items():
            self.worker_class(name, capacity, drainSeconds=0, mode="Whole")  # as the talk places
            for ordinal in range(pods.get(name, 2)):
                self.pod(name, ordinal)

    def pipeline(self, name, rate=10, workers=None, **more):
        line = {stage: {"class": stage, "next": [next_one] if next_one else []}
                for stage, next_one in zip(TALK, [*list(TALK)[1:], None])}
        self.apply("pipelines", name, {"documentsPerSecond": rate, "workers": workers or line, **more})

    def status(self, name, resource="pipelines"):
        """(phase, reason, message)."""
        status = (self.get(resource, name) or {}).get("status", {})
        ready = next((row for row in status.get("conditions", []) if row["type"] == "Ready"), {})
        return status.get("phase"), ready.get("reason"), ready.get("message", "")

    def wait(self, name, phase, reason, timeout=20, resource="pipelines"):
        def is_so():
            found = self.status(name, resource)
            assert found[:2] == (phase, reason), found
            return True

        eventually(is_so, timeout, what=f"{name} {phase}, {reason}")

    def endpoints(self, binding):
        """Pods to which the Service of that name leads, those that are not ready with a "!"."""
        slices = self.cluster.list("endpointslices", self.namespace, f"kubernetes.io/service-name={binding}")
        return sorted(endpoint["targetRef"]["name"] + ("" if endpoint["conditions"]["ready"] else "!")
                      for item in slices for endpoint in item.get("endpoints") or [])

    def loads(self):
        """Of each pod what its bindings say together, in documents per second."""
        sums = {}
        for binding in self.list("pipelinebindings").values():
            for share in binding["spec"]["shares"]:
                sums[share["pod"]] = sums.get(share["pod"], 0) + share["milliDocumentsPerSecond"] / 1000
        return sums


@pytest.fixture
def world(stack):
    made = World(stack, f"pipes-{next(_numbers)}")
    yield made
    made.cluster.delete("namespaces", made.namespace)


def test_the_talk_s_manifests_apply_unchanged(world, operate):
    operate()
    world.kubectl("apply", "-f", REPO / "crds/examples/workers.yaml", "-f", REPO / "crds/examples/pipeline.yaml")
    world.wait("my-pipeline", "Ready", "Routed", 40)
    assert {name: world.endpoints(name) for name in world.list("pipelinebindings")} == {
        "my-pipeline-first": ["blue-workers-0"], "my-pipeline-second": ["green-workers-0"],
        "my-pipeline-third": ["yellow-workers-0"]}
    service = world.get("services", "my-pipeline-first")
    assert "selector" not in service["spec"] and service["spec"]["ports"][0]["port"] == 8080
    head, row = world.kubectl("get", "pl").splitlines()
    assert head.split() == ["NAME", "LOAD", "STATUS", "READY", "REASON", "AGE"]
    assert row.split()[:5] == ["my-pipeline", "10", "Ready", "True", "Routed"]
    eventually(lambda: "Routed" in world.kubectl("describe", "pl/my-pipeline").split("Events:")[1], what="the event")
    world.kubectl("delete", "pl/my-pipeline")
    eventually(lambda: not world.list("pipelinebindings") and not world.list("endpointslices"), 20, what="all gone")


def test_sharing_waiting_scaling(world, operate):
    """The talk's second slide, and its third pipeline, which waits with reason, number and deadline."""
    operator = operate()
    world.talk(blue=2, green=2, yellow=2)
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    world.pipeline("second")
    world.wait("second", "Ready", "Routed")
    assert {name: world.endpoints(name) for name in world.list("pipelinebindings")} == {
        "first-blue": ["blue-0"], "first-green": ["green-0"], "first-yellow": ["yellow-0"],
        "second-blue": ["blue-0"], "second-green": ["green-1"], "second-yellow": ["yellow-0"]}
    before = {name: item["metadata"]["resourceVersion"] for name, item in world.list("pipelinebindings").items()}
    world.pipeline("third")
    world.wait("third", "Pending", "WaitingForScale")
    told = world.get("pipelines", "third")["status"]
    waiting, stages = told["waiting"], {row["name"]: row for row in told["stages"]}
    assert (waiting["stage"], waiting["need"], waiting["pods"]) == ("green", 10, 1)
    assert waiting["since"] < waiting["deadline"]
    assert (stages["green"]["reason"], stages["green"]["missing"], stages["green"]["podsToCome"]) == ("WaitingForScale", 10, 1)
    assert stages["green"]["pods"] == [{"ordinal": 2, "milliDocumentsPerSecond": 10000, "serves": False}]
    assert (stages["blue"]["reason"], stages["blue"]["pods"][0]["name"]) == ("Placed", "blue-0")
    assert "stage 'green' needs 10 documents/s of class 'green'" in world.status("third")[2]
    note = "stage 'green': status.waiting tells what it lacks"  # no numbers: each would be an event of its own
    eventually(lambda: note in world.kubectl("describe", "pl/third").split("Events:")[1], what="the event")
    green = eventually(lambda: (found := world.get("workerclasses", "green")["status"])["wantedReplicas"] == 3 and found)
    assert (green["readyReplicas"], green["request"], green["used"]) == (2, 30, 30)

    def asked():
        return {row["workerclass_name"]: value for row, value in metrics.read(operator, "workerclass_request")
                if row["workerclass_namespace"] == world.namespace}

    eventually(lambda: asked() == {"blue": 30, "green": 30, "yellow": 30}, what="the metric says the same")
    world.pod("green", 2)
    world.wait("third", "Ready", "Routed")
    after = {name: item["metadata"]["resourceVersion"] for name, item in world.list("pipelinebindings").items()}
    assert {name: after[name] for name in before} == before, "nobody else was touched"
    world.pipeline("fourth", 16)  # a stage is on one pod, whole
    world.wait("fourth", "Pending", "ExceedsMaxCapacity")
    assert "one stage gets at most 15, all together 150 (10 pods of 15)" in world.status("fourth")[2]


def test_a_lost_worker_moves_its_shares_only(world, operate):
    operate()
    world.talk(blue=1, green=2, yellow=2)
    world.pipeline("first")
    world.pipeline("second")
    for name in ("first", "second"):
        world.wait(name, "Ready", "Routed", 30)
    before = {name: item["metadata"]["generation"] for name, item in world.list("pipelinebindings").items()}
    world.cluster.delete("pods", "yellow-0", world.namespace)
    for name in ("first-yellow", "second-yellow"):
        eventually(lambda name=name: world.endpoints(name) == ["yellow-1"], what=f"{name} moved")
    for name in ("first", "second"):
        world.wait(name, "Ready", "Routed")
    after = {name: item["metadata"]["generation"] for name, item in world.list("pipelinebindings").items()}
    assert {name for name in before if before[name] != after[name]} == {"first-yellow", "second-yellow"}
    world.cluster.delete("pods", "blue-0", world.namespace)  # the only one
    world.wait("first", "Broken", "DeadEnd")
    eventually(lambda: world.status("first-blue", "pipelinebindings")[0] == "DeadEnd", what="so says its binding")
    assert world.status("first-green", "pipelinebindings")[0] == "Ready", "the others stay"
    world.pod("blue", 0)
    for name in ("first", "second"):
        world.wait(name, "Ready", "Routed")
    assert world.endpoints("first-blue") == ["blue-0"]


def test_rates_change_in_place_and_preemption_unsets(world, operate):
    operate()
    for name in TALK:
        world.worker_class(name, 15, maxReplicas=1, drainSeconds=0)
        world.pod(name, 0)
    world.pipeline("first", 5)
    world.wait("first", "Ready", "Routed", 30)
    world.pipeline("first", 12)
    eventually(lambda: world.loads() == {"blue-0": 12, "green-0": 12, "yellow-0": 12})
    world.pipeline("late", 5)
    world.wait("late", "Pending", "NoCapacity")
    assert world.get("pipelines", "late")["status"]["waiting"]["retry"]
    world.pipeline("first", 0)
    world.wait("first", "Ready", "NoLoad")
    eventually(lambda: world.status("first-blue", "pipelinebindings")[0] == "Unset" and world.endpoints("first-blue") == [], what="Unset")
    world.wait("late", "Ready", "Routed")
    world.pipeline("first", 12)
    world.wait("first", "Ready", "RateRefused")
    world.pipeline("urgent", 15, priority=9)
    world.wait("urgent", "Ready", "Routed", 30)
    world.wait("late", "Pending", "NoCapacity")  # it has been tried again since
    eventually(lambda: world.status("late-blue", "pipelinebindings")[0] == "Unset", what="so says its binding")
    assert world.loads() == {"blue-0": 15, "green-0": 15, "yellow-0": 15}


def one(class_name="blue", *following):
    return {"class": class_name, "next": list(following)}


BAD = [
    ("unknown-next", {"a": one("blue", "b")}, "UnknownNext", "stage 'a' names 'b' as next"),
    ("cycle", {"a": one("blue", "b"), "b": one("blue", "c"), "c": one("blue", "b")}, "Cycle", "a cycle of: b, c"),
    ("unreachable", {"a": one("blue", "b"), "b": one(), "c": one()}, "UnreachableStage", "reaches stage 'c'"),
    ("unknown-class", {"a": one("red")}, "UnknownClass", "there are: blue"),
    ("bad-name", {"A": one()}, "BadStageName", "stage 'A'"),
]


def test_bad_graphs_are_named_alike_in_kubectl_log_and_metric(world, operate):
    operator = operate()
    world.worker_class("blue", 30)
    for name, workers, _, _ in BAD:
        world.pipeline(name, 10, workers)
    for name, _, reason, says in BAD:
        world.wait(name, "Pending", reason, 30)
        assert says in world.status(name)[2]
        eventually(lambda reason=reason: {"reason": reason} in [labels for labels, _ in metrics.read(operator, "flotilla_pipeline_reasons_total")])
        operator.wait_log(lambda line, says=f"pipeline {name}: {reason}: ": says in line.get("msg", ""))
    assert not world.list("pipelinebindings")
    world.pod("blue", 0)
    world.pipeline("cycle", 10, {"a": one("blue", "b"), "b": one()})
    world.wait("cycle", "Ready", "Routed")
    world.pipeline("cycle", 10, {"a": one("red")})
    world.wait("cycle", "Pending", "UnknownClass")
    eventually(lambda: not world.list("pipelinebindings"), what="what leads nowhere has no Service")


STRUCTURE = [{"documentsPerSecond": -1, "workers": {"a": one()}}, {"documentsPerSecond": 1, "workers": {}},
             {"workers": {"a": one()}}, {"documentsPerSecond": 1, "workers": {"a": {"next": []}}},
             {"documentsPerSecond": 1, "workers": {"a": {"class": ""}}}, {"documentsPerSecond": "1", "workers": {"a": one()}}]  # fmt: skip


def test_what_the_schema_refuses_never_comes_in(world):
    for number, spec in enumerate(STRUCTURE):
        item = {"apiVersion": API, "kind": "Pipeline", "metadata": {"name": f"bad-{number}", "namespace": world.namespace}, "spec": spec}
        done = world.kubectl("apply", "-f", "-", stdin=json.dumps(item), check=False)
        assert done.returncode != 0, spec


def test_what_is_not_ours_is_left_alone(world, operate):
    operate()
    world.talk()
    theirs = {"pipeline": "x", "stage": "y", "class": "z", "milliDocumentsPerSecond": 1, "port": 1, "shares": []}
    world.apply("pipelinebindings", "first-green", theirs)
    world.pipeline("first")
    world.pipeline("second")
    world.wait("second", "Ready", "Routed", 30)
    world.wait("first", "Plotted", "ObjectTaken")
    assert world.get("pipelinebindings", "first-green")["spec"] == theirs


STRANGER = "10.66.66.66"


def binding_to(address, pod="blue-0"):
    share = {"pod": pod, "address": address, "milliDocumentsPerSecond": 1000, "ready": True}
    return {"pipeline": "first", "stage": "blue", "class": "blue", "milliDocumentsPerSecond": 1000, "port": 8080, "shares": [share]}


def addresses(world):
    return {address for item in world.cluster.list("endpointslices", world.namespace)
            for endpoint in item.get("endpoints") or [] for address in endpoint["addresses"]}


def test_a_binding_that_somebody_else_wrote_leads_nowhere(world, operate):
    operate()
    world.talk(blue=1, green=1, yellow=1)
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    ours = addresses(world)
    world.apply("pipelinebindings", "nobodys", binding_to(STRANGER))
    world.wait("nobodys", "Pending", "NoPipeline", resource="pipelinebindings")
    assert not world.get("services", "nobodys"), "a Service of nobody's"
    blue = world.get("pipelinebindings", "first-blue")
    forged = {"apiVersion": API, "kind": "PipelineBinding", "spec": binding_to(STRANGER),
              "metadata": {"name": "forged", "namespace": world.namespace, "ownerReferences": blue["metadata"]["ownerReferences"]}}
    world.cluster.apply("pipelinebindings", forged)
    world.wait("forged", "Pending", "PodsUnknown", resource="pipelinebindings")
    assert world.endpoints("forged") == []
    world.cluster.merge("pipelinebindings", "first-blue", {"spec": binding_to(STRANGER)}, world.namespace)
    for _ in range(50):
        assert addresses(world) <= ours, "a slice leads to a stranger"
    eventually(lambda: world.get("pipelinebindings", "first-blue")["spec"] == blue["spec"], what="it is as the ledger says again")
    world.wait("first", "Ready", "Routed")
    assert addresses(world) == ours and world.endpoints("first-blue") == ["blue-0"]
    unowned = {"metadata": {"ownerReferences": None}}
    world.cluster.merge("pipelinebindings", "first-blue", unowned, world.namespace)
    eventually(lambda: not world.endpoints("first-blue"), what="what a stranger took over is routed no more")


def test_a_ledger_that_lies_is_replaced(world, operate):
    operator = operate()
    world.talk(blue=1, green=1, yellow=1)
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    spec = world.get("placementledgers", "placement")["spec"]
    spec["pipelines"][0]["stage"] = 31  # Placed, and yet it lacks its stage 31
    spec["pipelines"][0]["stages"][0] = {"name": "blue", "class": "blue", "rate": 0, "shares": []}
    world.cluster.merge("placementledgers", "placement", {"spec": spec}, world.namespace)

    def replaced():
        ledger = world.get("placementledgers", "placement")
        rows = {row["type"]: row for row in ledger["status"]["conditions"]}
        assert "stage" not in ledger["spec"]["pipelines"][0]
        assert rows["Believed"]["reason"] == "LedgerRefused" and "cannot be so" in rows["Believed"]["message"]
        assert rows["Ready"]["status"] == "True"
        return True

    eventually(replaced, 20)
    world.wait("first", "Ready", "Routed")
    assert world.loads() == {"blue-0": 10, "green-0": 10, "yellow-0": 10}
    operator.wait_log(lambda line: "LedgerRefused" in line.get("msg", ""))


def redraw(world):
    """Without the talk's last stage."""
    world.pipeline("first", 10, {"blue": one("blue", "green"), "green": one("green")})


def lose(world):
    """What green-0 carried goes to green-1: of what is applied only a slice is other than it was."""
    world.cluster.delete("pods", "green-0", world.namespace)


def rate(number, *classes):
    return dict.fromkeys(classes or TALK, number)


# stage: (what happens, the calls at which one dies meanwhile, what the pods of each class carry in the end)
# `service` and `slice` are one call: the first object of a new binding is its Service.
STAGES = {
    "create": (lambda world: world.pipeline("first"), "ledger commit bind service told status", rate(10)),
    "change": (lambda world: world.pipeline("first", 12), "commit bind status", rate(12)),
    "lose": (lose, "slice", rate(10)),
    "redraw": (redraw, "unbind", rate(10, "blue", "green")),
    "delete": (lambda world: world.cluster.delete("pipelines", "first", world.namespace), "commit status", {}),
}
CALLS = {**{call: f"kube.pipeline.{call}" for call in ("ledger", "commit", "bind", "unbind", "status")},
         "service": "kube.object.apply", "slice": "kube.object.apply", "told": "kube.status.write"}


def ends(world, loads):
    """Everything says the same: the pipeline, its bindings, their slices, the ledger and the classes."""
    rows = world.get("placementledgers", "placement")["spec"].get("pipelines", [])
    carried = {pod.split("-")[0]: load for pod, load in world.loads().items()}
    bindings = world.list("pipelinebindings")
    routed = [pod.split("-")[0] for name in bindings for pod in world.endpoints(name)]
    for name, item in bindings.items():
        assert world.endpoints(name) == [share["pod"] for share in item["spec"]["shares"]]
        assert item["status"].get("observedGeneration") == item["metadata"]["generation"]
    used = {name: item["status"]["used"] for name, item in world.list("workerclasses").items()}
    assert world.status("first")[:2] == (("Ready", "Routed") if loads else (None, None))
    assert carried == loads and sorted(routed) == sorted(loads) and len(rows) == bool(loads)
    assert {name: load for name, load in used.items() if load} == loads
    return True


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_process_that_dies_is_followed_by_one_that_goes_on(world, operate, tmp_path, call, side):
    point, quiet = KillPoint(tmp_path, f"{CALLS[call]}.{side}"), Quiet(world.stack, world.namespace, "placement")
    others = ("workerclasses", "pipelines", "pipelinebindings", "placementledgers")
    eventually(lambda: not any(map(world.cluster.list, others)), 90, what="nobody else's: the point is where these are written")
    world.talk(blue=1, green=2, yellow=1)  # a stage that is drawn anew is placed beside itself
    operator = operate(env=point.env)
    for stage, (happens, calls, loads) in STAGES.items():
        if call in calls.split():
            point.arm()
            happens(world)
            point.assert_killed(operator)
            bury(world)
            operator = operate(env=point.env)
        elif stage == "create":
            happens(world)
        else:
            continue
        eventually(lambda loads=loads: ends(world, loads), 30, what=f"the end of {stage}")
        note = {"metadata": {"annotations": {"woken": stage}}}
        quiet.assert_after(lambda note=note: world.cluster.merge("workerclasses", "blue", note, world.namespace), operator)
    for name in TALK:
        world.cluster.delete("workerclasses", name, world.namespace)


def test_a_stage_that_is_no_longer_drawn_loses_its_binding(world, operate, tmp_path):
    operate(env={"FLOTILLA_FAILPOINTS": "kube.pipeline.unbind.before=error", "FLOTILLA_FAILPOINT_DIR": tmp_path})
    world.talk()
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    world.pipeline("first", 10, {"blue": one("blue", "green"), "green": one("green")})
    eventually(lambda: sorted(world.list("pipelinebindings")) == ["first-blue", "first-green"], 20)
    assert (tmp_path / "fired.kube.pipeline.unbind.before").exists()
    world.wait("first", "Ready", "Routed")


def test_two_that_both_believe_to_be_alone_never_overload(world, operate):
    """Without the gate of the Leases: what keeps them apart is the fence on the ledger alone."""
    for _ in range(2):
        operate("--lease-gate=off", env={"FLOTILLA_UNSAFE": "1"})
    world.talk(blue=2, green=3, yellow=1)
    over = []

    def has(number, *phases):
        loads = world.loads()
        over.extend(item for item in loads.items() if item[1] > TALK[item[0].split("-")[0]])
        assert (found := world.status(f"p-{number}"))[0] in phases, found
        return True

    for number in range(6):
        world.pipeline(f"p-{number}", 7)
    for number in range(6):
        eventually(lambda number=number: has(number, "Ready"), 40, what=f"p-{number}")
    world.pipeline("p-1", 1)
    world.pipeline("p-6", 7)
    world.cluster.delete("pods", "blue-1", world.namespace)
    world.cluster.delete("pipelines", "p-0", world.namespace)
    for number in range(1, 7):  # one has no room: p-6, or who was on blue-1 when p-6 was faster than its end
        eventually(lambda number=number: has(number, "Ready", "Pending", "Broken"), what=f"p-{number}")
    assert not over


def test_without_a_decision_there_is_no_route_to_a_pod_that_went(world, operate):
    first = operate()
    world.talk()
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    first.stop()
    second = operate(env={"FLOTILLA_FAILPOINTS": "kube.pipeline.commit.before=error"})  # no decision is ever committed
    world.cluster.delete("pods", "green-0", world.namespace)
    eventually(lambda: world.endpoints("first-green") == [], 30, what="no route to an address that is another's soon")
    assert world.endpoints("first-blue") == ["blue-0"]
    second.stop()
    operate()
    eventually(lambda: world.endpoints("first-green") == ["green-1"], 30)


def test_two_workloads_of_one_class_are_told_apart(world, operate):
    operate()
    world.talk()
    world.pod("other-green", 0, "green")
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    assert world.endpoints("first-green") == ["green-0"]

    def counted():
        rows = world.get("workerclasses", "green")["status"]["conditions"]
        return next((row["reason"], "other-green-0" in row["message"]) for row in rows if row["type"] == "PodsCounted")

    eventually(lambda: counted() == ("DuplicateOrdinal", True))
    world.cluster.delete("pods", "other-green-0", world.namespace)
    eventually(lambda: counted() == ("Distinct", False))
