"""The rules by which tests/proofs/pipeline-chaos judges a history, each with a history that breaks it: pure."""

import copy
import itertools
import time

import pytest
from harness.history import Change
from harness.pipe_rules import MAY_LEAVE, judge

NOW = 1_800_000_000
CAPACITY = 10_000


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Told:
    """A history that is only told, one version after the other. The class `blue` has three pods; `first` is on blue-0."""

    def __init__(self):
        self.changes, self.versions = [], itertools.count(1)
        for ordinal in range(3):
            self.pod(ordinal)
        self.spec = {"time": NOW, "classes": [{"name": "blue", "pods": "RRR", "generation": 1, "capacity": CAPACITY}], "pipelines": []}
        self.pipeline("first", {0: 6000})

    def add(self, resource, name, body, gone=False, **meta):
        item = {"metadata": {"name": name, "resourceVersion": str(next(self.versions)), **meta}, **copy.deepcopy(body)}
        self.changes.append(Change(resource, {"type": "DELETED" if gone else "MODIFIED", "object": item}))
        return self

    def pod(self, ordinal, ready=True, since=NOW - 100, gone=False, phase="Running", address=True, **meta):
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(since)}
        status = {"phase": phase, "podIP": f"10.0.0.{ordinal}" if address else None, "conditions": [condition]}
        return self.add("pods", f"blue-{ordinal}", {"status": status}, gone,
                        labels={"scheduling.k8s.xxii.io/workerclass": "blue"}, **meta)

    def pipeline(self, name, shares, rate=6000, ran=True):
        rows = [{"pod": pod, "milli": share, "held": 0} if isinstance(share, int) else share for pod, share in shares.items()]
        entry = {"name": name, "uid": name, "age": 1, "phase": "Placed", "stages": [{"name": "s", "class": "blue", "rate": rate, "shares": rows}]}
        self.spec["pipelines"] = [row for row in self.spec["pipelines"] if row["uid"] != name] + [{**entry, "ran": ran}]
        return self.ledger()

    def ledger(self, **of_class):
        self.spec["classes"][0].update(of_class)
        return self.add("placementledgers", "placement", {"spec": self.spec})

    def binding(self, name, shares, ready=True):
        rows = [{"pod": f"blue-{pod}", "address": f"10.0.0.{pod}", "milliDocumentsPerSecond": milli, "ready": ready}
                for pod, milli in shares.items()]
        return self.add("pipelinebindings", name, {"spec": {"class": "blue", "milliDocumentsPerSecond": 6000, "shares": rows}})

    def slice(self, name, *pods, ready=True):
        ends = [{"addresses": [f"10.0.0.{pod}"], "conditions": {"ready": ready}, "targetRef": {"name": f"blue-{pod}"}} for pod in pods]
        return self.add("endpointslices", name, {"endpoints": ends}, labels={"kubernetes.io/service-name": name})

    def judge(self, began=0):
        return judge(self.changes, began)

    def rules(self):
        return [row.rule for row in self.judge().broken]


# ---- rule 1: (what happens, whether that is too much)

CARRIED = {
    "as much as it can": (lambda told: told.pipeline("second", {0: 4000}, 4000), False),
    "a milli more": (lambda told: told.pipeline("second", {0: 4001}, 4001), True),
    "with what still leaves": (lambda told: told.ledger(leaving=[{"pod": 0, "milli": 4001, "until": NOW}]), True),
    "what is held instead of what leaves": (
        lambda told: told.ledger(leaving=[{"pod": 1, "milli": 8000, "until": NOW}]).pipeline(
            "second", {1: {"pod": 1, "milli": 8000, "held": 8000}}, 8000), False),
    "what is served beside what leaves": (
        lambda told: told.ledger(leaving=[{"pod": 1, "milli": 8000, "until": NOW}]).pipeline(
            "second", {1: {"pod": 1, "milli": 8000, "held": 5000}}, 8000), True),
    "more than it can, though held": (
        lambda told: told.pipeline("second", {0: {"pod": 0, "milli": 5000, "held": 5000}}, 5000), True),
    "two bindings": (lambda told: told.binding("a", {0: 6000}).binding("b", {0: 4000}), False),
    "two bindings, too much": (lambda told: told.binding("a", {0: 6000}).binding("b", {0: 4001}), True),
    "a binding that does not count, as its pod does not serve": (
        lambda told: told.binding("a", {0: 6000}, ready=False).binding("b", {0: 4001}), False),
    "a slice that is still as its binding was": (
        lambda told: told.binding("a", {0: 6000}).slice("a", 0).binding("a", {1: 6000}).binding("b", {0: 6000}), True),
    "a slice that followed its binding": (
        lambda told: told.binding("a", {0: 6000}).slice("a", 0).binding("a", {1: 6000}).slice("a", 1).binding("b", {0: 6000}), False),
    "a slice whose pod is not ready": (
        lambda told: told.binding("a", {0: 6000}).slice("a", 0).binding("a", {1: 6000}).slice("a", 0, ready=False).binding("b", {0: 6000}), False),
    "a slice without its binding": (
        lambda told: told.binding("a", {0: 6000}).slice("a", 0).add(
            "pipelinebindings", "a", {"spec": {"class": "blue", "shares": []}}, gone=True).binding("b", {0: 6000}), True),
}


@pytest.mark.parametrize("case", CARRIED)
def test_no_pod_carries_more_than_it_can(case):
    happens, breaks = CARRIED[case]
    told = Told()
    happens(told)
    assert told.rules() == [1] * breaks


# ---- rule 2: (what happens before the share leaves blue-0, the reason that is found)

LEAVES = {
    "nothing": (lambda told: told, None),
    "another pod is lost": (lambda told: told.pod(1, gone=True), None),
    "not ready, but not for long": (lambda told: told.pod(0, ready=False, since=NOW - 4), None),
    "it was not ready, and is again": (
        lambda told: told.pod(0, ready=False, since=NOW - 9).pod(0).ledger(), None),
    "it was gone, and is there again": (lambda told: told.pod(0, gone=True).pod(0).ledger(), None),
    "gone": (lambda told: told.pod(0, gone=True), "gone"),
    "gone for a moment": (lambda told: told.pod(0, gone=True).pod(0), "gone"),
    "gone before the last ledger": (lambda told: told.pod(0, gone=True).ledger(), "gone"),
    "gone, and a new one has not served": (
        lambda told: told.pod(0, gone=True).pod(0, ready=False, since=NOW, address=False).ledger(), "gone"),
    "gone, and the new one serves since": (
        lambda told: told.pod(0, gone=True).pod(0, ready=False, address=False).pod(0).ledger(), None),
    "failed": (lambda told: told.pod(0, phase="Failed"), "gone"),
    "deleted": (lambda told: told.pod(0, deletionTimestamp=stamp(NOW)), "going"),
    "not ready for long": (lambda told: told.pod(0, ready=False, since=NOW - 5), "unready"),
    "a reservation": (lambda told: told.ledger(pods="SRR"), "reserved"),
    "it never ran": (lambda told: told.pipeline("first", {0: 6000}, ran=False), "not run"),
    "its stage lacked something": (lambda told: told.pipeline("first", {0: 6000}, rate=7000), "beside"),
}


@pytest.mark.parametrize("case", LEAVES)
def test_a_share_leaves_for_a_reason(case):
    happens, reason = LEAVES[case]
    told = Told()
    happens(told)
    told.pipeline("first", {1: 6000})
    judged = told.judge()
    assert list(judged.reasons.elements()) == [reason]
    assert [row.rule for row in judged.broken] == [2] * (reason is None)


# (its shares then, its rate then, the reason that is found)
RATES = [({0: 5000}, 5000, "lowered"), ({1: 5000}, 5000, None), ({0: 4000, 1: 1000}, 5000, None), ({1: 7000}, 7000, "raised"),
         ({0: 5000}, 6000, None)]


@pytest.mark.parametrize("shares,rate,reason", RATES)
def test_another_rate_moves_no_more_than_it_must(shares, rate, reason):
    assert Told().pipeline("first", shares, rate).judge().reasons == {reason: 1}


# which stages it has then, after "s" on blue-0; whether it runs; the reason that is found when "s" leaves that pod
DRAWN = [({"s": "green"}, True, "redrawn"), ({"s": "blue", "t": "green"}, True, None), ({"s": "blue", "t": "green"}, False, "redrawn"),
         ({"s": "blue"}, False, None)]


@pytest.mark.parametrize("stages,ran,reason", DRAWN)
def test_who_is_drawn_anew_keeps_what_stays(stages, ran, reason):
    told = Told()
    told.spec["classes"].append({"name": "green", "pods": "RR", "generation": 1, "capacity": CAPACITY})
    told.spec["pipelines"][0].update(ran=ran, stages=[
        {"name": name, "class": kind, "rate": 6000, "shares": [{"pod": 1, "milli": 6000}]} for name, kind in stages.items()])
    assert told.ledger().judge().reasons == {reason: 1}


def test_a_part_counts_as_well_as_a_whole_share():
    told = Told().pipeline("first", {0: 5999, 1: 1})
    assert told.rules() == [2]


def test_shares_beside_a_lost_one_may_move_with_it():
    told = Told().pipeline("first", {0: 3000, 1: 3000}).pod(1, gone=True)
    reasons = told.pipeline("first", {0: 2000, 2: 4000}).judge().reasons
    assert reasons == {None: 1, "gone": 1, "beside": 1}, "the first is Told's own: from one pod to two"


def test_each_reason_is_tried():
    tried = {reason for rows in (LEAVES.values(), RATES, DRAWN) for *_, reason in rows if reason}
    assert tried == {row.name for row in MAY_LEAVE}


def test_who_goes_may_leave_what_it_had():
    told = Told()
    told.spec["pipelines"] = []
    assert told.ledger().rules() == []


def test_what_was_before_the_beginning_is_no_order():
    told = Told().binding("a", {0: 6000}).binding("b", {0: 6000})
    assert told.rules() == [1] and not told.judge(began=len(told.changes)).broken
