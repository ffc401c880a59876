"""Cases that share one life. Each has a stage of its own in which its point fires, so that a round is as many cases one
after the other: the world must look as undisturbed at the end of each stage, before the next case begins."""

import collections
import dataclasses
import os
import random
import threading
import time

from . import crash_life
from .crash_cases import HANG_MS, Case

REQUESTS = ("create", "change", "close", "undo", "purge")  # stages with a request that changes something
ORDER = ("start", *crash_life.STAGES, "stop", "audit")
LATE = ("stop", "audit")
AT_MOST = 6  # cases in a round: if one fails, each of them is run alone


@dataclasses.dataclass(frozen=True)
class Aim:
    case: Case
    stage: str  # from its beginning on the point may fire

    @property
    def stages(self):
        """Those that no other case of the round may have. A process that serves is hit in each request, but hangs in
        one only."""
        return set(REQUESTS) if self.case.role == "serve" and not self.case.hangs else {self.stage}


def aims_of(case, stages):
    """Where to fire, by the stages in which an undisturbed run reaches the point."""
    if case.role == "serve":
        return [Aim(case, stage) for stage in (REQUESTS if case.hangs else REQUESTS[:1])]
    if case.role != "audit":  # what repeats may not come once more before the end
        stages = [stage for stage in stages if stage not in LATE] or stages
    return [Aim(case, stage) for stage in sorted(stages, key=ORDER.index)]


class Waiting:
    """The cases that no world has run yet. Worlds take from it in threads of their own."""

    def __init__(self, cases, seed):
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.cases = list(cases)
        self.random.shuffle(self.cases)
        self.earliest = set()  # cases whose point was not reached again from a stage that an undisturbed run names

    def __bool__(self):
        return bool(self.cases)

    def again(self, case):
        """What an undisturbed run happens to do late need not come again. False: it had its second try."""
        with self.lock:
            if case in self.earliest:
                return False
            self.earliest.add(case)
            self.cases.append(case)
            return True

    def take(self, stages_of):
        """Aims of one round: those with the least choice first. Cases that no undisturbed run reaches come alone, as
        an empty list of stages."""
        with self.lock:
            aims, taken, points = [], set(), set()
            choice = {case: aims_of(case, stages_of.get((case.role, case.point), ())) for case in self.cases}
            for case in sorted(self.cases, key=lambda case: len(choice[case])):
                possible = choice[case][:1] if case in self.earliest else choice[case]
                free = [aim for aim in possible if not aim.stages & taken]
                if free and case.point not in points and len(aims) < AT_MOST:
                    aims.append(self.random.choice(free))
                    taken |= aims[-1].stages
                    points.add(case.point)
            chosen = {aim.case for aim in aims}
            lost = [case for case in self.cases if not choice[case]]
            self.cases = [case for case in self.cases if case not in chosen and case not in lost]
            return aims, lost


class Armed:
    """The points of a round, by the files that make each fire once: a point whose file is there has fired or may not."""

    def __init__(self, aims, marks):
        self.aims, self.marks, self.now = aims, marks, "start"
        for aim in aims:
            if aim.stage != "start":
                with open(self._fired(aim), "x", encoding="utf-8"):
                    pass

    def env(self, role):
        """Of its process. None: no point of this round is its."""
        names = [aim.case.name for aim in self.aims if aim.case.role == role]
        return {"FLOTILLA_FAILPOINTS": ";".join(names), "FLOTILLA_FAILPOINT_DIR": self.marks} if names else None

    def cases(self, role):
        return [aim.case for aim in self.aims if aim.case.role == role]

    def on_stage(self, stage):
        self.outlast_hangs()
        self.now = stage
        self._arm(aim for aim in self.aims if aim.stage == stage and aim.case.role != "serve")

    def before_write(self):
        """A request is aimed at, not what serve does all the time."""
        self._arm(aim for aim in self.aims if aim.case.role == "serve" and (self.now == aim.stage or not aim.case.hangs))

    def outlast_hangs(self):
        """Who hangs may still do harm when he wakes up: go on only after that."""
        for aim in self.aims:
            if aim.case.hangs and ORDER.index(aim.stage) <= ORDER.index(self.now) and os.path.exists(self._fired(aim)):
                time.sleep(max(0, os.stat(self._fired(aim)).st_mtime + HANG_MS / 1000 + 0.5 - time.time()))

    def reached(self):
        """Asked at the end, when each was armed."""
        return [aim for aim in self.aims if os.path.exists(self._fired(aim))]

    def _fired(self, aim):
        return f"{self.marks}/fired.{aim.case.point}"

    def _arm(self, aims):
        for aim in aims:
            if os.path.exists(self._fired(aim)):
                os.unlink(self._fired(aim))


def marks_of(kind, directory):
    return {name.removeprefix(f"{kind}.") for name in os.listdir(directory) if name.startswith(f"{kind}.")}


class Recorded:
    """In which stages the processes of undisturbed runs reach which points."""

    def __init__(self, runs):
        self.runs = [collections.defaultdict(set) for _ in range(runs)]

    def note(self, run, directory, stage):
        """What was reached since the last call; a directory per process."""
        for role in os.listdir(directory):
            for point in marks_of("hit", f"{directory}/{role}"):
                self.runs[run][role, point].add(stage)
                os.unlink(f"{directory}/{role}/hit.{point}")

    def stages_of(self):
        """(role, point) → what all runs share, or all that any has."""
        found = {}
        for at in set().union(*self.runs):
            stages = [run[at] for run in self.runs]
            found[at] = set.intersection(*stages) or set.union(*stages)
        return found
