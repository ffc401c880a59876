"""What a namespace costs in which much happens: passes, writes, and what people are told of it."""

import time

from harness import metrics
from harness.history import History
from harness.wait import eventually

from pipeline.test_pipeline import one, world  # noqa: F401

MANY = 24


def passes(process, controller):
    return sum(count for labels, count in metrics.read(process, "controller_runtime_reconcile_total")
               if labels["controller"] == controller)


def begun(process):
    """Passes of bindings until it has looked at those of all other namespaces."""
    looked = []

    def is_quiet():
        looked.append(passes(process, "pipelinebinding"))
        return len(looked) > 4 and looked[-1] == looked[-4]

    eventually(is_quiet, 30, interval=0.5)
    return looked[-1]


def blue_pipelines(world, every_s=0):  # noqa: F811
    """As many as one pod carries, one after the other, and all are Ready."""
    world.talk(blue=1)
    world.wait_pods("blue-0")
    for number in range(MANY):
        world.pipeline(f"p{number}", 1, {"blue": one("blue")})
        time.sleep(every_s)
    for number in range(MANY):
        world.wait(f"p{number}", "Ready", "Routed", 30)


def test_nobody_is_woken_by_his_own_writes(world, operate):  # noqa: F811
    """A binding's Service, slice and status are written in one pass. Only an echo that is faster than the write's own answer
    leads to another one, and that writes nothing."""
    process = operate()
    first = begun(process)
    blue_pipelines(world)
    before = passes(process, "pipelinebinding")
    assert MANY <= before - first <= 2 * MANY
    rested = begun(process)
    world.cluster.delete("endpointslices", "p0-blue-ipv4", world.namespace)
    eventually(lambda: world.get("endpointslices", "p0-blue-ipv4"), 20, what="another's write wakes")
    assert begun(process) - rested <= 3


def test_the_load_of_a_class_is_told_every_five_seconds_and_in_the_end_right(world, operate):  # noqa: F811
    """Besides, at once: that the class was seen, and its pod."""
    operate()
    history = History(world.cluster, world.namespace, ["workerclasses", "placementledgers"])
    blue_pipelines(world, 0.1)
    world.wait_class("blue", request=MANY, used=MANY, free=30 - MANY)
    history.catch_up()
    told = [change for change in history.changes() if change.name == "blue" and "status" in change.item]
    decided = sum(change.resource == "placementledgers" for change in history.changes())
    history.stop()
    assert len(told) <= 4 + (told[-1].at - told[0].at) / 5 and 2 * len(told) < decided, f"{len(told)} times of {decided} decisions"


def test_an_ordinary_life_warns_of_nothing(world, operate):  # noqa: F811
    """From Ready to its end: no Warning, no pass that failed, not a word of bindings whose pipeline went."""
    process = operate()
    blue_pipelines(world)
    for number in range(MANY):
        world.cluster.delete("pipelines", f"p{number}", world.namespace)
    eventually(lambda: not world.list("endpointslices") and not world.list("services"), 60, what="all that they owned went")
    events = [item for item in world.cluster.list("events", world.namespace) if item["regarding"]["kind"] == "Pipeline"]
    assert {(item["type"], item["reason"]) for item in events} == {("Normal", "Routed")}
    assert len(events) == MANY
    assert not [line for line in process.logs if "NoPipeline" in str(line)]
