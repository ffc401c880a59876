"""The cases of the fault suite: a fault, and whom it hits: a client, its verb, a resource, and in whose life; so that
reconcilers are told apart. Which there are is learnt from an undisturbed run (Table.met)."""

import collections
import dataclasses
import fnmatch
import itertools
import random

CLIENTS = ("flotillad-operate", "flotillad-fleet", "flotillad-lease")
WRITES = ("create", "update", "patch", "delete", "deletecollection")
READS = ("get", "list", "watch")
EVENT = ("event",)
# Who lives in which namespaces: what the fleet asked for, a registry by hand, an OvhNginx, a pipeline, the rounds; then Leases
# and kept Secrets, events about what has no namespace, and what has none, or looks at all.
LIVES = {"http": "reg-*", "hand": "ns-crash-*-hand", "nginx": "ns-crash-*-web", "pipeline": "ns-crash-*-line", "hop": "hop-*",
         "managed": "managed-*", "system": "flotilla-system", "default": "default", "": ""}
RESYNC_MS = 1500  # how long a dropped event stays unknown; then everything is listed anew


def refusal(reason, **more):
    return {"action": "refuse", "reason": reason, **more}


# name: (verbs that it may hit, row of the table)
FAULTS = {
    "409": (WRITES, refusal("Conflict")),
    "410": (("list", "watch"), refusal("Expired")),
    "422": (WRITES, refusal("Invalid")),
    "429": (READS + WRITES, refusal("TooManyRequests", seconds=1)),
    "500": (READS + WRITES, refusal("InternalError")),
    "503": (READS + WRITES, refusal("ServiceUnavailable")),
    "504": (READS + WRITES, refusal("Timeout")),
    "slow": (READS + WRITES, {"action": "slow", "ms": 1200}),
    "cut": (("get", "list", *WRITES, *EVENT), {"action": "cut"}),
    "stale": (READS, {"action": "stale"}),
    "reorder": (("list",), {"action": "reorder"}),
    "drop": (EVENT, {"action": "drop", "ms": RESYNC_MS}),
    "expire": (EVENT, {"action": "expire"}),
}
# No fault that passes: the fleet tells its customer that the operation failed, which is another end.
VERDICTS = {("422", "flotillad-fleet")}
ONCE_FOUND = ("operate get namespaces=stale", "fleet get namespaces=stale")
START = "start"
AT_START, PER_STAGE = 24, 6  # cases in one life; at its start are mostly the first watches, one for each kind


@dataclasses.dataclass(frozen=True, order=True)
class Case:
    fault: str
    client: str
    verb: str
    resource: str
    life: str = ""

    @property
    def name(self):
        where = f"@{self.life}" if self.life else ""
        return f"{self.client.removeprefix('flotillad-')} {self.verb} {self.resource}{where}={self.fault}"

    @property
    def place(self):
        """Two rows that fit the same would count the same calls."""
        return self.client, self.verb, self.resource, self.life

    def row(self, nth):
        return {"client": self.client, "verb": self.verb, "resource": self.resource, "namespace": LIVES[self.life], "nth": nth,
                **FAULTS[self.fault][1]}


@dataclasses.dataclass(frozen=True)
class Aim:
    case: Case
    stage: str
    nth: int  # of the calls that fit in this stage

    def row(self):
        return self.case.row(self.nth)


def life_of(namespace):
    lives = [life for life, glob in LIVES.items() if fnmatch.fnmatchcase(namespace, glob)]
    assert len(lives) == 1, f"who lives in {namespace}? {lives}"
    return lives[0]


def places(met):
    """{(client, verb, resource, life): how often}, of what a table has met."""
    found = collections.Counter()
    for (client, verb, resource, namespace), count in met.items():
        if client in CLIENTS:
            found[client, verb, resource, life_of(namespace)] += count
    return found


def cases(met):
    """All, of {stage: {place: how often}}."""
    of = {place for calls in met.values() for place in calls if place[0] in CLIENTS}
    return sorted(Case(fault, *place) for place in of for fault, (verbs, _) in FAULTS.items()
                  if place[1] in verbs and (fault, place[0]) not in VERDICTS)


def tenth(of, seed):
    """Every fault and every client is among them, and what once ended elsewhere; another seed, others."""
    mixed = sorted(of, key=lambda case: (case.fault, case.client, case.resource, case.life, case.verb))
    return sorted({*mixed[int(seed) % 10 :: 10], *(case for case in of if case.name in ONCE_FOUND)})


def sample(of, count, seed):
    """Some of each fault, in turn."""
    by_fault = {}
    mixed = sorted(of)
    random.Random(seed).shuffle(mixed)
    for case in mixed:
        by_fault.setdefault(case.fault, []).append(case)
    rows = [case for turn in itertools.zip_longest(*by_fault.values()) for case in turn if case]
    return rows[:count]


class Waiting:
    """The cases that were not run yet, handed out as lives: per stage a few, no two at one place."""

    def __init__(self, of, met, seed):
        self.met, self.random = met, random.Random(seed)
        self.cases = list(of)
        self.random.shuffle(self.cases)
        self.tried = set()

    def __bool__(self):
        return bool(self.cases)

    def stages(self, case):
        return [stage for stage, calls in self.met.items() if calls.get(case.place)]

    def again(self, case):
        """What came late in the undisturbed runs need not come again there. False: it had its second try."""
        if case in self.tried:
            return False
        self.tried.add(case)
        self.cases.append(case)
        return True

    def _aim(self, case, stage):
        """On a second try at the first call where most of them are."""
        often = self.met[stage][case.place]
        return Aim(case, stage, 1 if case in self.tried else self.random.randint(1, min(often, 3)))

    def take(self):
        """The aims of one life."""
        taken, places = [], {stage: set() for stage in self.met}
        for case in list(self.cases):
            stages = sorted(self.stages(case), key=lambda stage: -self.met[stage][case.place])
            if case not in self.tried:
                self.random.shuffle(stages)
            free = [stage for stage in stages if case.place not in places[stage]
                    and len(places[stage]) < (AT_START if stage == START else PER_STAGE)]
            if free:
                places[free[0]].add(case.place)
                taken.append(self._aim(case, free[0]))
                self.cases.remove(case)
        return taken
