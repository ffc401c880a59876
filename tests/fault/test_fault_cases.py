"""How the cases of the fault suite are handed out; no server."""

import collections

from harness import fault_cases
from harness.fault_cases import START, Waiting

MET = {
    START: {("flotillad-operate", "watch", kind, ""): 1 for kind in ("pods", "secrets", "services")},
    "create": {("flotillad-operate", "patch", "secrets", "hand"): 2, ("flotillad-operate", "patch", "secrets", "nginx"): 5,
               ("flotillad-fleet", "get", "registries", ""): 2, ("flotillad-operate", "event", "pods", ""): 4,
               ("flotillad-operate", "watch", "pods", ""): 1},
    "close": {("flotillad-operate", "patch", "secrets", "nginx"): 1, ("somebody", "get", "pods", ""): 3},
}


def test_every_fault_meets_what_it_may_hit():
    made = fault_cases.cases(MET)
    assert {case.client for case in made} == {"flotillad-operate", "flotillad-fleet"}
    assert {case.fault for case in made if case.verb == "event"} == {"cut", "drop", "expire"}
    assert not [case for case in made if case.fault == "stale" and case.verb == "patch"]
    assert all(case.verb in fault_cases.FAULTS[case.fault][0] for case in made)


def test_reconcilers_are_told_apart():
    met = {("flotillad-operate", "patch", "secrets", namespace): 1 for namespace in ("ns-crash-1-web", "ns-crash-2-web", "reg-abc", "")}
    places = fault_cases.places({**met, ("somebody", "patch", "secrets", "elsewhere"): 1})
    assert {place[3]: count for place, count in places.items()} == {"nginx": 2, "http": 1, "": 1}
    cases = [case for case in fault_cases.cases(MET) if (case.verb, case.resource, case.fault) == ("patch", "secrets", "409")]
    assert {case.row(1)["namespace"] for case in cases} == {"ns-crash-*-hand", "ns-crash-*-web"}
    assert len({case.name for case in cases}) == 2


def test_each_is_run_once_and_no_two_count_the_same_calls():
    made = fault_cases.cases(MET)
    waiting, seen = Waiting(made, MET, 1), []
    while waiting:
        aims = waiting.take()
        assert aims
        for stage, count in collections.Counter(aim.stage for aim in aims).items():
            assert count <= (fault_cases.AT_START if stage == START else fault_cases.PER_STAGE)
            places = [aim.case.place for aim in aims if aim.stage == stage]
            assert len(places) == len(set(places))
        assert all(1 <= aim.nth <= MET[aim.stage][aim.case.place] for aim in aims)
        seen += [aim.case for aim in aims]
    assert sorted(seen) == made


def test_what_was_not_met_again_is_tried_where_it_comes_most():
    case = fault_cases.Case("409", "flotillad-operate", "patch", "secrets", "nginx")
    waiting = Waiting([case], MET, 1)
    waiting.take()
    assert waiting.again(case)
    aim = waiting.take()[0]
    assert (aim.stage, aim.nth) == ("create", 1) and not waiting.again(case)


def test_tenths_are_all():
    made = fault_cases.cases(MET)
    assert sorted(case for seed in range(10) for case in fault_cases.tenth(made, seed)) == made


def test_a_sample_has_each_fault():
    made = fault_cases.cases(MET)
    kinds = {case.fault for case in made}
    assert {case.fault for case in fault_cases.sample(made, len(kinds), 1)} == kinds
