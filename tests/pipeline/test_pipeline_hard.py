"""Cases that are hard for a scheduler, on a Kubernetes API: fair order, a class that is made smaller than what it carries, a pipeline
that ends while it waits for pods, names as long as they may be, the talk's sample gauge, a pod that is back too soon."""

import json
import time

from harness import metrics
from harness.cell import bury
from harness.history import History
from harness.killpoint import KillPoint
from harness.wait import eventually

from pipeline.test_pipeline import CLASS_LABEL, one, world  # noqa: F401

ALONE = {"blue": one("blue")}


def test_the_tenant_with_less_comes_first(world, operate):  # noqa: F811
    """Four pods: 30 of the rich one's, 15 of the poor one's, 15 of a third. Both wait for more, the rich one's is the older."""
    operate()
    world.worker_class("blue", 15, maxReplicas=4, drainSeconds=0)
    for ordinal in range(4):
        world.pod("blue", ordinal)
    for name, tenant, load, reason in (("one", "rich", 30, None), ("two", "poor", 15, None), ("three", "other", 15, None),
                                       ("older", "rich", 15, "NoCapacity"), ("younger", "poor", 15, "NoCapacity")):
        world.apply("pipelines", name, {"documentsPerSecond": load, "workers": ALONE}, {"flotilla.dev/tenant": f"tn_{tenant}"})
        world.wait(name, *(("Pending", reason) if reason else ("Ready", "Routed")), 30)
    world.cluster.delete("pipelines", "three", world.namespace)
    world.wait("younger", "Ready", "Routed")
    world.wait("older", "Pending", "NoCapacity")
    world.cluster.delete("pipelines", "two", world.namespace)
    world.wait("older", "Ready", "Routed")


def test_what_is_borrowed_is_given_back(world, operate):  # noqa: F811
    """Who has lent it displaces the borrower, though it is less important; and is not displaced in turn."""
    operate()
    quotas = [{"tenant": "tn_one", "documentsPerSecond": 15, "borrowDocumentsPerSecond": 15}, {"tenant": "tn_two", "documentsPerSecond": 15}]
    world.worker_class("blue", 15, mode="Whole", maxReplicas=2, drainSeconds=0, quotas=quotas)
    for ordinal in range(2):
        world.pod("blue", ordinal)

    def ask(name, load, tenant, priority):
        spec = {"documentsPerSecond": load, "workers": ALONE, "priority": priority}
        world.apply("pipelines", name, spec, {"flotilla.dev/tenant": tenant})

    ask("own", 15, "tn_one", 9)
    world.wait("own", "Ready", "Routed", 30)
    ask("borrowed", 12, "tn_one", 5)
    world.wait("borrowed", "Ready", "Routed")
    ask("lender", 10, "tn_two", 0)
    world.wait("lender", "Ready", "Routed")
    assert world.loads() == {"blue-0": 15, "blue-1": 10}
    assert world.status("borrowed")[:2] in (("Pending", "Preempted"), ("Pending", "OverQuota"))
    world.cluster.delete("pipelines", "lender", world.namespace)
    world.wait("borrowed", "Ready", "Routed")


def test_a_class_made_smaller_than_what_it_carries(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 10, mode="Whole", maxReplicas=3, drainSeconds=0)
    for ordinal in range(3):
        world.pod("blue", ordinal)
        world.pipeline(f"p-{ordinal}", 10, ALONE)
        world.wait(f"p-{ordinal}", "Ready", "Routed", 30)
    world.cluster.merge("workerclasses", "blue", {"spec": {"maxReplicas": 2}}, world.namespace)
    reasons = ["Placed", "Placed", "PodLeaves"]
    eventually(lambda: [world.get("pipelines", f"p-{number}")["status"]["stages"][0]["reason"] for number in range(3)] == reasons, 20)
    assert world.loads() == {"blue-0": 10, "blue-1": 10, "blue-2": 10}, "it serves on where it is"
    for ordinal in range(3):
        world.wait(f"p-{ordinal}", "Ready", "Routed")
    world.pipeline("late", 10, ALONE)
    world.wait("late", "Pending", "NoCapacity")
    world.cluster.delete("pipelines", "p-0", world.namespace)
    eventually(lambda: world.loads() == {"blue-0": 10, "blue-1": 10}, 20, what="a repair comes before who is new")
    world.wait("p-2", "Ready", "Routed")
    world.wait("late", "Pending", "NoCapacity")
    world.cluster.merge("workerclasses", "blue", {"spec": {"maxReplicas": 3}}, world.namespace)
    world.wait("late", "Ready", "Routed")


def test_a_pipeline_that_ends_while_it_waits_for_pods(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 10, mode="Whole", maxReplicas=2, drainSeconds=0)
    world.pod("blue", 0)
    world.pipeline("first", 10, ALONE)
    world.wait("first", "Ready", "Routed", 30)
    world.pipeline("second", 10, ALONE)
    world.wait("second", "Pending", "WaitingForScale")
    world.wait_class("blue", wantedReplicas=2, request=20)
    world.pipeline("third", 10, ALONE)
    world.wait("third", "Pending", "NoCapacity")
    world.cluster.delete("pipelines", "second", world.namespace)
    world.wait("third", "Pending", "WaitingForScale")  # the room that was reserved is the next one's
    world.cluster.delete("pipelines", "third", world.namespace)
    world.wait_class("blue", wantedReplicas=1, request=10)
    assert sorted(world.list("pipelinebindings")) == ["first-blue"]
    eventually(lambda: [row["name"] for row in world.get("placementledgers", "placement")["spec"]["pipelines"]] == ["first"], 20)
    world.pod("blue", 1)
    world.wait_class("blue", readyReplicas=2, wantedReplicas=1)
    assert world.loads() == {"blue-0": 10}


def test_who_waits_for_a_pod_takes_room_that_comes_free(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 10, mode="Whole", maxReplicas=2, drainSeconds=0)
    world.pod("blue", 0)
    world.pipeline("first", 10, ALONE)
    world.wait("first", "Ready", "Routed", 30)
    world.pipeline("second", 10, ALONE)
    world.wait("second", "Pending", "WaitingForScale")
    world.wait_class("blue", wantedReplicas=2, request=20)
    world.cluster.delete("pipelines", "first", world.namespace)
    world.wait("second", "Ready", "Routed")
    world.wait_class("blue", wantedReplicas=1, request=10)
    assert world.loads() == {"blue-0": 10}


def test_a_name_as_long_as_a_service_s(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 30, drainSeconds=0)
    world.pod("blue", 0)
    plain, cut = "p" + 57 * "l", "p" + 58 * "l"  # with "-blue" 63 characters, and 64
    for name in (plain, cut):
        world.pipeline(name, 10, ALONE)
        world.wait(name, "Ready", "Routed", 30)
    names = sorted(world.list("pipelinebindings"), key=lambda name: name != f"{plain}-blue")
    assert names[0] == f"{plain}-blue" and [len(name) for name in names] == [63, 63]
    assert names[1].startswith(cut[:54]) and names[1] != names[0]
    for name in names:
        assert world.get("services", name) and world.endpoints(name) == ["blue-0"]


GAUGE = {"blue": (30, 30), "green": (15, 75), "yellow": (200, 110), "red": (10, 0), "grey": (5, 0), "purple": (40, 60)}


def test_the_talk_s_sample_gauge(world, operate):  # noqa: F811
    """Capacity and what is asked for; nobody has pods yet, and all the same it is told."""
    operator = operate()
    for name, (capacity, load) in GAUGE.items():
        world.worker_class(name, capacity)
        world.pipeline(f"all-of-{name}", load, {name: one(name)})
    for name, (_, load) in GAUGE.items():
        world.wait_class(name, request=load)

    def asked():
        return {row["workerclass_name"]: value for row, value in metrics.read(operator, "workerclass_request")
                if row["workerclass_namespace"] == world.namespace}

    eventually(lambda: asked() == {name: load for name, (_, load) in GAUGE.items()}, what="the metric says the same")


def play(world, name, address):  # noqa: F811
    """A pod of a kubelet that nobody else plays: it serves at that address, as often as it comes back."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}]}
    world.apply("pods", name, spec, {CLASS_LABEL: name.rpartition("-")[0]}, "v1")
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
              "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}
    world.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def test_a_pod_that_is_back_before_its_routes_are_rewritten(world, operate, tmp_path):  # noqa: F811
    """Whoever was to rewrite them died. Who comes then gives the pod's room to nobody before he did it, though it takes him long."""
    killed = KillPoint(tmp_path, "kube.object.apply.before")
    first = operate(env=killed.env)
    world.worker_class("blue", 10, drainSeconds=0)
    for ordinal in range(2):
        play(world, f"blue-{ordinal}", f"10.99.0.{ordinal + 1}")
    world.pipeline("old", 8, {"blue": one("blue")})
    world.wait("old", "Ready", "Routed", 30)
    assert world.endpoints("old-blue") == ["blue-0"]
    history = History(world.cluster, world.namespace, ["pipelinebindings", "endpointslices"])
    killed.arm()
    world.cluster.delete("pods", "blue-0", world.namespace)
    killed.assert_killed(first)
    assert [share["pod"] for share in world.get("pipelinebindings", "old-blue")["spec"]["shares"]] == ["blue-1"]
    assert world.endpoints("old-blue") == ["blue-0"]
    bury(world)
    play(world, "blue-0", "10.99.0.1")
    world.pipeline("new", 8, {"blue": one("blue")})
    operate(env={"FLOTILLA_FAILPOINTS": "kube.object.apply.before=hang(3000)"})
    world.wait("new", "Ready", "Routed", 60)
    assert world.endpoints("new-blue") == ["blue-0"] and world.endpoints("old-blue") == ["blue-1"]
    for version, state in history.catch_up().states():
        given = [share["pod"] for share in state["pipelinebindings"].get("new-blue", {"spec": {"shares": []}})["spec"]["shares"]]
        led = [endpoint["targetRef"]["name"] for name, item in state["endpointslices"].items() if name.startswith("old-blue")
               for endpoint in item.get("endpoints") or []]
        assert not (given == ["blue-0"] == led), f"at {version} both lead to it"
    history.stop()


def test_who_is_deleted_and_held_by_a_finalizer_leads_nowhere(world, operate):  # noqa: F811
    """The ledger has given away what it had: a tenant must not keep it by a finalizer of his."""
    operate()
    world.worker_class("blue", 10, drainSeconds=0)
    world.pod("blue", 0)
    world.pipeline("old", 8, {"blue": one("blue")})
    world.wait("old", "Ready", "Routed", 30)
    for resource, name in (("pipelinebindings", "old-blue"), ("pipelines", "old")):
        world.cluster.merge(resource, name, {"metadata": {"finalizers": ["test.flotilla.dev/held"]}}, world.namespace)
        world.cluster.delete(resource, name, world.namespace)
        eventually(lambda: world.endpoints("old-blue") == [], what=f"{name} leads nowhere")
        if resource == "pipelinebindings":
            world.cluster.merge(resource, name, {"metadata": {"finalizers": None}}, world.namespace)
            world.wait("old", "Ready", "Routed", 30)
    world.pipeline("new", 8, {"blue": one("blue")})
    world.wait("new", "Ready", "Routed", 30)
    assert world.endpoints("new-blue") == ["blue-0"] and world.endpoints("old-blue") == []
    world.cluster.merge("pipelines", "old", {"metadata": {"finalizers": None}}, world.namespace)
    eventually(lambda: world.get("pipelinebindings", "old-blue") is None, what="its binding goes with it")
