"""A small form of tests/proofs/pipeline-chaos; and what it found, a controller that has the newest ledger beside old pods."""

import random
import time

import pytest
from harness import pipe_chaos, pipe_rules
from harness.lagging import Lagging
from harness.pipes import Pipes
from harness.proof import CALM
from harness.wait import eventually

GATES = {"on": {}, "off": pipe_chaos.GATE_OFF}
NAMESPACES, PIPELINES, SECONDS = 2, 6, 8


def lose_for_long(scene):
    """Chance may have lost only pods whose successors were faster than anything could move."""
    def shares():
        return scene.get("pipelinebindings", "p-000-blue")["spec"]["shares"]

    lost = shares()[0]["pod"]
    assert scene.set_ready(lost, False)
    eventually(lambda: lost not in [share["pod"] for share in shares()], 30, what="what it carried has moved")


@pytest.mark.parametrize("gate", GATES)
def test_disorder_breaks_no_rule(stack, gate):
    dice = random.Random(gate)
    scenes = [pipe_chaos.Scene(stack, f"chaos-{gate}-{number}", PIPELINES, dice) for number in range(NAMESPACES)]
    with pipe_chaos.controllers(scenes, random.Random(gate), GATES[gate]) as controllers:
        for scene in scenes:
            scene.build()
        for scene in scenes:
            scene.wait_settled(90, controllers)
        pods, wishes = pipe_chaos.PodHarm(scenes, dice), pipe_chaos.WishHarm(scenes, random.Random(gate))
        pipe_chaos.Chaos(pods, wishes, controllers, random.Random(gate)).run(SECONDS)
        for scene in scenes:
            scene.wait_settled(90, controllers)
        lose_for_long(scenes[0])
    judged = [pipe_rules.judge(scene.history.changes(), scene.history.began) for scene in scenes]
    for scene in scenes:
        scene.history.stop()
        scene.cluster.delete("namespaces", scene.namespace)
    for one in judged:
        assert not one.broken, one.broken[:5]
        assert one.ledgers and one.checked["routes"], "nothing happened"
        assert not [name for name, mode in pipe_chaos.MODES.items() if mode != "Equal" and one.reasons_of[name]["beside"]]
    assert wishes.counts and judged[0].checked["moves"], "nothing happened"


def test_who_sees_old_pods_asks_before_it_takes_anything(stack, flotillad, tmp_path):
    """It has last heard that the pod is not ready, which was long ago; the pod has been well for as long."""
    lagging, marks = Lagging(stack), tmp_path / "marks"
    marks.mkdir()
    asked = marks / "hit.kube.object.read.before"
    pipes = Pipes(stack, "old-pods")
    pipes.worker_class("blue", 3, capacity=30, mode="Whole")
    pipes.wait_workers(blue=3)
    try:
        operator = flotillad(["operate"], {"FLOTILLA_KUBECONFIG": lagging.kubeconfig(tmp_path / "lagging.kubeconfig"),
                                           "FLOTILLA_FAILPOINTS": "kube.registry.find.before=error",
                                           "FLOTILLA_FAILPOINT_DIR": marks, **CALM})
        pipes.pipeline("first", 10, ["blue"])
        pipes.wait_ready("first")
        ready = pipes.get("pipelinebindings", "first-blue")["spec"]["shares"]
        assert pipes.set_ready(ready[0]["pod"], False)
        told = [{**ready[0], "ready": False}]
        eventually(lambda: pipes.get("pipelinebindings", "first-blue")["spec"]["shares"] == told, what="it has heard of that")
        asked.unlink(missing_ok=True)
        lagging.held.add("pods")
        assert pipes.set_ready(ready[0]["pod"], True)
        eventually(asked.exists, 20, what="it wants to move what the pod carries, and asks")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            share = pipes.get("pipelinebindings", "first-blue")["spec"]["shares"][0]
            assert share["pod"] == ready[0]["pod"], "what a pod carries that is well was moved"
            time.sleep(0.1)
        assert share == ready[0], "what the server told is what is routed"
        lagging.held.clear()
        pipes.wait_ready("first")
        assert operator.stop() == 0
    finally:
        lagging.close()
        pipes.cluster.delete("namespaces", "old-pods")
