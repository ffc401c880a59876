"""How tests/proofs/pipeline-chaos measures a repair, on histories that are only told, a second between one change and the next."""

import itertools

import pytest
from harness.pipe_times import phases, repairs

RATE = 6000


class _Told:
    """What Change is of a history, at a second that is given."""

    def __init__(self, at, resource, name, body, gone=False, **labels):
        self.at, self.resource, self.name, self.gone = at, resource, name, gone
        self.item = {"metadata": {"name": name, "labels": labels}, **body}


class Story:
    """The stage `s` of `first` on blue-0; blue-1 is there, too."""

    def __init__(self):
        self.changes, self.seconds = [], itertools.count(100)
        for ordinal in range(2):
            self.pod(ordinal)
        self.led(0)

    def add(self, *told, **more):
        self.changes.append(_Told(next(self.seconds), *told, **more))
        return self

    def pod(self, ordinal, gone=False):
        return self.add("pods", f"blue-{ordinal}", {"status": {
            "phase": "Running", "podIP": f"10.0.0.{ordinal}",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}},
            gone, **{"scheduling.k8s.xxii.io/workerclass": "blue"})

    def ledger(self, *pods):
        stages = [{"name": "s", "shares": [{"pod": pod} for pod in pods]}] if pods else []
        return self.add("placementledgers", "placement", {"spec": {"pipelines": [{"name": "first", "stages": stages}]}})

    def binding(self, *pods, gone=False):
        shares = [{"pod": f"blue-{pod}", "address": f"10.0.0.{pod}", "milliDocumentsPerSecond": RATE // len(pods)} for pod in pods]
        return self.add("pipelinebindings", "first-s", {"spec": {
            "pipeline": "first", "stage": "s", "milliDocumentsPerSecond": RATE if pods else 0, "shares": shares}}, gone)

    def slice(self, *pods, gone=False):
        ends = [{"addresses": [f"10.0.0.{pod}"], "conditions": {"ready": True}, "targetRef": {"name": f"blue-{pod}"}} for pod in pods]
        return self.add("endpointslices", "first-s", {"endpoints": ends}, gone, **{"kubernetes.io/service-name": "first-s"})

    def led(self, *pods):
        return self.ledger(*pods).binding(*pods).slice(*pods)

    def told(self):
        found = repairs(self.changes)
        return {phase: seconds for phase, seconds in phases(found.done).items() if seconds}, found.dropped, len(found.waiting)


def test_a_lost_pod_is_repaired_phase_by_phase():
    assert Story().pod(0, gone=True).led(1).told() == ({"decided": [1], "free": [0], "bound": [1], "repaired": [1]}, 0, 0)


NO_LOSS = {
    "a pod that the stage was on before it was drawn no more":
        (lambda story: story.ledger().binding(0, gone=True).slice(gone=True).pod(0, gone=True), 0),
    "one that had no place any more": (lambda story: story.ledger().binding().slice().pod(0, gone=True), 0),
    "one that is drawn no more before it was repaired":
        (lambda story: story.pod(0, gone=True).ledger().binding(0, gone=True).slice(gone=True), 1),
}


@pytest.mark.parametrize("what", NO_LOSS)
def test_who_is_there_no_more_needs_no_repair(what):
    """And is none when the stage is drawn again minutes later, and has another pod."""
    happens, dropped = NO_LOSS[what]
    story = Story()
    happens(story)
    for _ in range(60):
        story.pod(1)
    assert story.led(1).told() == ({}, dropped, 0)


def test_a_stage_that_is_drawn_again_is_repaired_as_any_other():
    story = Story().ledger().binding(0, gone=True).slice(gone=True)
    assert story.led(0).pod(0, gone=True).led(1).told()[0]["bound"] == [1]
