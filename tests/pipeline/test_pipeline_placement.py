"""What a placement tells and does on a Kubernetes API beyond the first place: repairs, and what a class may ask for."""

from harness import talk
from harness.history import History
from harness.lagging import Lagging
from harness.wait import eventually

from pipeline.test_pipeline import API, one, world  # noqa: F401


def paths(history):
    return talk.paths(view for _, view in talk.views(history.catch_up()))


def test_a_repair_is_seen_step_by_step(world, operate):  # noqa: F811
    """Broken, Plotted, Ready, and its binding DeadEnd, Pending, Ready; the siblings stay as they are."""
    operate()
    world.talk(blue=1, green=1, yellow=1)
    history = History(world.cluster, world.namespace, talk.SHOWN)
    world.pipeline("first")
    world.wait("first", "Ready", "Routed", 30)
    world.cluster.delete("pods", "blue-0", world.namespace)
    world.wait("first", "Broken", "DeadEnd")
    world.pod("blue", 0)
    world.wait("first", "Ready", "Routed")
    gone_through = paths(history)
    assert gone_through["first"][-4:] == ["Ready", "Broken", "Plotted", "Ready"], gone_through
    assert gone_through["first-blue"] == ["Pending", "Ready", "DeadEnd", "Pending", "Ready"]
    assert gone_through["first-green"] == ["Pending", "Ready"]


def test_who_was_degraded_is_plotted_while_it_is_routed_anew(world, operate):  # noqa: F811
    operate()
    world.worker_class("grey", 5, maxReplicas=2, drainSeconds=0)
    for ordinal in range(2):
        world.pod("grey", ordinal)
    world.pipeline("wide", 10, {"grey": one("grey")})
    world.wait("wide", "Ready", "Routed", 30)
    history = History(world.cluster, world.namespace, talk.SHOWN)
    world.cluster.delete("pods", "grey-1", world.namespace)
    world.wait("wide", "Ready", "Degraded")
    world.pod("grey", 1)
    world.wait("wide", "Ready", "Routed")
    gone_through = paths(history)
    assert (gone_through["wide"], gone_through["wide-grey"]) == (["Ready", "Plotted", "Ready"], ["Ready"])
    told = [row for change in history.changes() if change.name == "wide"
            for row in change.item["status"]["conditions"] if row["type"] == "Ready"]
    assert {row["status"] for row in told} == {"True"}, "it served all the while"


def test_a_binding_is_pending_before_anybody_has_routed_it(world):  # noqa: F811
    spec = {"pipeline": "x", "stage": "y", "class": "z", "milliDocumentsPerSecond": 1, "port": 1, "shares": []}
    world.apply("pipelinebindings", "new", spec)
    assert eventually(lambda: world.get("pipelinebindings", "new"))["status"] == {"phase": "Pending"}


def test_who_is_drawn_anew_takes_over_its_own_room(world, operate):  # noqa: F811
    """One pod of each class and no room beside: the stage of another name comes where the old one was, the others serve on."""
    operate()
    for name in ("blue", "green"):
        world.worker_class(name, 15, maxReplicas=1, drainSeconds=1)
        world.pod(name, 0)
    world.pipeline("first", 10, {"blue": one("blue", "green"), "green": one("green")})
    world.wait("first", "Ready", "Routed", 30)
    before = world.get("pipelinebindings", "first-green")["metadata"]["generation"]
    world.pipeline("first", 10, {"azure": one("blue", "green"), "green": one("green")})
    eventually(lambda: sorted(world.list("pipelinebindings")) == ["first-azure", "first-green"], 20)
    eventually(lambda: world.endpoints("first-azure") == ["blue-0"], 20, what="the new stage is routed where the old one was")
    world.wait("first", "Ready", "Routed")
    assert world.loads() == {"blue-0": 10, "green-0": 10}
    assert world.get("pipelinebindings", "first-green")["metadata"]["generation"] == before, "it was not touched"


def test_holes_are_filled_so_that_the_highest_pod_can_go(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 10, mode="Whole", drainSeconds=0, compaction={"slackReplicas": 0})
    for ordinal in range(3):
        world.pod("blue", ordinal)
        world.pipeline(f"p-{ordinal}", 10, {"blue": one("blue")})
        world.wait(f"p-{ordinal}", "Ready", "Routed", 30)
    history = History(world.cluster, world.namespace, talk.SHOWN)
    world.cluster.delete("pipelines", "p-0", world.namespace)
    eventually(lambda: world.endpoints("p-2-blue") == ["blue-0"], 20, what="the highest one's load came down")

    def compact():
        told = world.get("workerclasses", "blue")["status"]
        rows = {row["type"]: (row["status"], row["reason"]) for row in told["conditions"]}
        assert (told["wantedReplicas"], rows["Compacted"]) == (2, ("True", "Compact")), told
        return True

    eventually(compact, 20)
    history.catch_up()
    assert world.endpoints("p-1-blue") == ["blue-1"] and paths(history)["p-2"] == ["Ready"]
    ledger = world.get("placementledgers", "placement")["spec"]
    assert ledger["classes"][0]["compacted"] <= ledger["time"]


def class_condition(world, name, kind):  # noqa: F811
    rows = world.get("workerclasses", name)["status"]["conditions"]
    return next(((row["status"], row["reason"], row["message"]) for row in rows if row["type"] == kind), None)


def test_a_stage_is_laid_on_pods_of_several_zones(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 10, drainSeconds=0, minZones=2)
    for ordinal, zone in enumerate(("east", "east", "west")):
        world.pod("blue", ordinal)
        labels = {"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}}
        world.cluster.merge("pods", f"blue-{ordinal}", labels, world.namespace)
    world.pipeline("first", 10, {"blue": one("blue")})
    world.wait("first", "Ready", "Routed", 30)
    assert world.loads() == {"blue-0": 5, "blue-2": 5}
    status = world.get("workerclasses", "blue")["status"]
    assert [(row["name"], row["readyReplicas"], row["used"]) for row in status["zones"]] == [("east", 2, 5), ("west", 1, 5)]
    assert class_condition(world, "blue", "Zoned")[:2] == ("True", "Spread")
    pods = world.get("pipelines", "first")["status"]["stages"][0]["pods"]
    assert [(pod["name"], pod["zone"]) for pod in pods] == [("blue-0", "east"), ("blue-2", "west")]
    world.pod("blue", 3)
    eventually(lambda: class_condition(world, "blue", "Zoned")[1:] == (
        "ZoneUnknown", "its pods serve in 3 zones, each stage is to be in 2; without the label topology.kubernetes.io/zone: pod blue-3"), 20)


def test_less_than_the_minimum_is_broken(world, operate):  # noqa: F811
    operate()
    world.worker_class("grey", 5, maxReplicas=2, drainSeconds=0)
    for ordinal in range(2):
        world.pod("grey", ordinal)
    for name, least in (("picky", 3), ("modest", 2)):
        world.pipeline(name, 5, {"grey": one("grey")}, minDocumentsPerSecond=least)
        world.wait(name, "Ready", "Routed", 30)
    world.cluster.merge("workerclasses", "grey", {"spec": {"policy": "Spread"}}, world.namespace)
    for name in ("picky", "modest"):  # made anew, over both
        world.cluster.delete("pipelines", name, world.namespace)
        eventually(lambda name=name: not world.get("pipelines", name))

    def is_empty():  # what still leaves would be in the way
        told, ledger = world.get("workerclasses", "grey"), world.get("placementledgers", "placement")["spec"]
        return (told["status"]["observedGeneration"] == told["metadata"]["generation"] and not told["status"].get("used")
                and not ledger.get("pipelines") and not any(row.get("leaving") for row in ledger.get("classes", [])))

    eventually(is_empty, what="the new policy is known, and nothing is on the pods")
    for name, least in (("picky", 3), ("modest", 2)):
        world.pipeline(name, 4, {"grey": one("grey")}, minDocumentsPerSecond=least)
        world.wait(name, "Ready", "Routed", 30)
    assert world.loads() == {"grey-0": 4, "grey-1": 4}
    world.cluster.delete("pods", "grey-1", world.namespace)
    world.wait("picky", "Broken", "BelowMinimum")
    world.wait("modest", "Ready", "Degraded")
    assert world.status("picky")[2].startswith("stage 'grey' serves 2 of 4 documents/s, and minDocumentsPerSecond asks for 3; ")
    assert world.status("picky-grey", "pipelinebindings")[0] == "Ready", "what serves serves on"
    world.pod("grey", 1)
    for name in ("picky", "modest"):
        world.wait(name, "Ready", "Routed")


def test_a_tenant_gets_no_more_than_its_quota(world, operate):  # noqa: F811
    operate()
    world.worker_class("blue", 30, quotas=[{"tenant": "tn_acme", "documentsPerSecond": 15}])
    world.pod("blue", 0)
    spec = {"workers": {"blue": one("blue")}}
    for name, load, tenant in (("first", 10, "tn_acme"), ("second", 6, "tn_acme"), ("third", 10, "tn_other")):
        world.apply("pipelines", name, {**spec, "documentsPerSecond": load}, {"flotilla.dev/tenant": tenant})
    world.wait("first", "Ready", "Routed", 30)
    world.wait("third", "Ready", "Routed")
    world.wait("second", "Pending", "OverQuota")
    assert world.status("second")[2].startswith(
        "tenant 'tn_acme' may use 15 documents/s of class 'blue' with all its pipelines, and this one asks for 6; tried again at ")
    world.worker_class("blue", 30, quotas=[{"tenant": "tn_acme", "documentsPerSecond": 16}])
    world.wait("second", "Ready", "Routed")


REFUSED = [("workerclasses", {"capacity": 1, **more}, field) for more, field in (
    ({"minZones": 2, "mode": "Whole"}, "spec.minZones"), ({"minZones": 3, "maxSplit": 2}, "spec.minZones"),
    ({"minZones": 9}, "spec.minZones"), ({"compaction": {"documentsPerMinute": -1}}, "spec.compaction.documentsPerMinute"),
    ({"compaction": {"slackReplicas": 1001}}, "spec.compaction.slackReplicas"),
    ({"quotas": [{"tenant": "a"}]}, "spec.quotas[0].documentsPerSecond"),
    ({"quotas": [{"tenant": "", "documentsPerSecond": 1}]}, "spec.quotas[0].tenant"),
    ({"quotas": [{"tenant": "a", "documentsPerSecond": 1, "borrowDocumentsPerSecond": -1}]}, "spec.quotas[0].borrowDocumentsPerSecond"),
    ({"quotas": [{"tenant": "a", "documentsPerSecond": 1}] * 2}, "spec.quotas[1]"),
)] + [("pipelines", {"documentsPerSecond": 1, "workers": {"a": one()}, "minDocumentsPerSecond": -1}, "spec.minDocumentsPerSecond")]


def test_what_a_class_may_not_ask_for_is_refused_by_name(world):  # noqa: F811
    kinds = {"workerclasses": "WorkerClass", "pipelines": "Pipeline"}
    told = {}
    for number, (resource, spec, field) in enumerate(REFUSED):
        item = {"apiVersion": API, "kind": kinds[resource], "metadata": {"name": f"bad-{number}"}, "spec": spec}
        status, answer = world.cluster.request("POST", f"{world.cluster.path(resource, world.namespace)}?fieldValidation=Strict", item)
        fields = [cause.get("field") for cause in answer.get("details", {}).get("causes", [])]
        told[number] = (status, fields, field)
    assert {number: row for number, row in told.items() if row[0] != 422 or row[2] not in row[1]} == {}


def test_who_has_not_heard_of_a_pipeline_s_end_makes_nothing_for_it(world, flotillad, stack, tmp_path):  # noqa: F811
    """The garbage collector takes its bindings; the operator, whose cache still has it, asks the server before it makes them again."""
    lagging, asked = Lagging(stack), tmp_path / "hit.kube.object.read.after"
    try:
        flotillad(["operate", "--kubeconfig", lagging.kubeconfig(tmp_path / "lagging.kubeconfig")],
                  env={"FLOTILLA_FAILPOINT_DIR": tmp_path})
        world.worker_class("blue", 30)
        world.pod("blue", 0)
        world.pipeline("first", 10, {"blue": one("blue")})
        world.wait("first", "Ready", "Routed", 40)
        history = History(world.cluster, world.namespace, ["pipelinebindings"])
        lagging.held.add("pipelines")
        world.cluster.delete("pipelines", "first", world.namespace)
        eventually(lambda: not world.list("pipelinebindings"), 60, what="the garbage collector took it")
        asked.unlink(missing_ok=True)
        world.cluster.merge("workerclasses", "blue", {"metadata": {"annotations": {"woken": "1"}}}, world.namespace)
        eventually(asked.exists, 30, what="the server was asked")
        asked.unlink()
        world.cluster.merge("workerclasses", "blue", {"metadata": {"annotations": {"woken": "2"}}}, world.namespace)
        eventually(asked.exists, 30, what="the server was asked again, so the pass before ended")
        assert len({change.item["metadata"]["uid"] for change in history.changes()}) == 1, "none was made again"
    finally:
        lagging.close()
