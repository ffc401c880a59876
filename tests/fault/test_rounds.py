"""How cases share lives: pure, with a life that is only told. What the crash proofs claim stands on it."""

import pytest
from harness.crash import Proof
from harness.crash_cases import HANG_MS, Case, cases, tenth
from harness.crash_round import AT_MOST, ORDER, REQUESTS, Aim, Waiting, aims_of

EVERYWHERE = {"operate": ORDER, "fleet": ORDER[:-1], "serve": REQUESTS, "audit": ("resolve", "audit")}
ALL = cases()
STAGES = {(case.role, case.point): EVERYWHERE[case.role] for case in ALL}


class Told(Proof):
    """A proof whose lives go as `life(aims)` says: the reached aims, or AssertionError."""

    def __init__(self, stages_of, life):  # pylint: disable=super-init-not-called
        self.stages_of, self.life, self.rounds, self.rebuilt, self.reports = stages_of, life, [], 0, {}

    def run_round(self, aims):
        self.rounds.append(aims)
        return self.life(aims), {"create": 1.0}

    def rebuild(self):
        self.rebuilt += 1

    def report(self, case, stage, error):
        assert case not in self.reports
        self.reports[case] = (stage, error)

    def all(self, chosen, seed="1"):
        self.run_all(Waiting(chosen, seed), self.report)
        return self.reports


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_each_case_once_and_none_in_the_stage_of_another(seed):
    told = Told(STAGES, lambda aims: aims)
    reports = told.all(ALL, seed)
    assert set(reports) == set(ALL)
    assert {error for _, error in reports.values()} == {None}
    for aims in told.rounds:
        stages = [stage for aim in aims for stage in aim.stages]
        assert len(stages) == len(set(stages)) and len(aims) <= AT_MOST
        assert len({aim.case.point for aim in aims}) == len(aims)
    assert len(told.rounds) < len(ALL) / 3


def test_a_point_that_was_not_reached_is_tried_once_more_and_earlier():
    case = Case("pg.connect", "operate", "after", "kill")
    told = Told({(case.role, case.point): ("close", "create")}, lambda aims: [])
    assert told.all([case])[case] == ("create", "was not reached from there on")
    assert len(told.rounds) == 2 and told.rounds[1] == [Aim(case, "create")]


def test_a_point_that_no_run_reaches_is_told():
    case = Case("pg.connect", "operate", "after", "kill")
    stage, error = Told({}, lambda aims: aims).all([case])[case]
    assert stage is None and error == "no undisturbed run reaches it"


def test_the_guilty_of_a_round_is_found():
    guilty = tenth(ALL)[3]

    def life(aims):
        assert guilty not in [aim.case for aim in aims], "two databases"
        return aims

    told = Told(STAGES, life)
    reports = told.all(tenth(ALL))
    assert [case for case, (_, error) in reports.items() if error] == [guilty]
    assert reports[guilty][1].startswith("two databases") and told.rebuilt == 2


def test_what_fails_only_together_is_told_of_all():
    chosen = [Case("pg.connect", "operate", side, "kill") for side in ("before", "after")]

    def life(aims):
        assert len(aims) == 1, "not as undisturbed"
        return aims

    reports = Told({(case.role, case.point): ORDER for case in chosen}, life).all(chosen)
    assert all("though not alone: not as undisturbed" in error for _, error in reports.values())


def test_serve_is_hit_in_each_request_but_hangs_in_one():
    kill = Case("serve.commit", "serve", "after", "kill")
    hang = Case("serve.commit", "serve", "after", f"hang({HANG_MS})")
    assert [aim.stages for aim in aims_of(kill, REQUESTS)] == [set(REQUESTS)]
    assert [aim.stages for aim in aims_of(hang, REQUESTS)] == [{stage} for stage in REQUESTS]


def test_what_repeats_is_not_aimed_at_the_very_end_only():
    case = Case("lease.list", "operate", "after", "kill")
    assert [aim.stage for aim in aims_of(case, ("stop", "close", "audit"))] == ["close"]
    assert [aim.stage for aim in aims_of(case, ("stop",))] == ["stop"]
