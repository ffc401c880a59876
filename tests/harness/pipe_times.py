"""How long it took until what a lost pod carried was served elsewhere: pure, over a recorded history (history.py)."""

import collections
import time

from .pipe_rules import CLASS_LABEL, FLAP_S, SERVICE_LABEL, Pod

# By the clock of Change.at. decided: the ledger has nothing of the stage on that pod; free: nor anything that must wait for
# what leaves another pod; bound: the binding gives the whole rate to others.
Repair = collections.namedtuple("Repair", "lost decided free bound repaired binding moved how")  # how: the pod was lost
PHASES = ("decided", "free", "bound", "repaired")


class _Lost:
    """What a pod that was lost is to one binding."""

    def __init__(self, at, how):
        self.at, self.how, self.decided, self.free, self.bound = at, how, None, None, None


class _Route:
    def __init__(self):
        self.rate, self.milli, self.led, self.of = 0, {}, set(), None  # of: (pipeline, stage)

    def whole(self):
        return sum(self.milli.get(key, 0) for key in self.led) >= self.rate


class Repairs:
    """`done`: one for each binding that a lost pod was in. The clock runs from the deletion, or from when the pod had not
    been ready for FLAP_S by its own word, which knows whole seconds; it stops when the slice leads for the whole rate to other pods. Not `moved`: a new pod of the
    lost one's name has it, which takes as long as that takes to start. `came_back`: how many were whole again since
    their very pod was well before they had moved; `dropped`: how many went, or ask for nothing now, and need no repair;
    `waiting` is what is left in the end."""

    def __init__(self):
        self.done, self.came_back, self.dropped = [], 0, 0
        self.wall = time.time() - time.monotonic()
        self.pods, self.unready, self.waiting = {}, {}, {}  # waiting: {(binding, (pod, address)): _Lost}
        self.routes = collections.defaultdict(_Route)
        self.stages = {}  # of the last ledger: {(pipeline, stage): {ordinal: what it holds for it}}

    def see(self, change):
        for name in [name for name, since in self.unready.items() if since + FLAP_S <= change.at]:
            self._lost(name, self.pods[name].address, self.unready.pop(name) + FLAP_S, "unready")
        {"pods": self._pod, "pipelinebindings": self._binding, "endpointslices": self._slice,
         "placementledgers": self._ledger}.get(change.resource, lambda change: None)(change)

    def _ledger(self, change):
        self.stages = {(row["name"], stage["name"]): {share["pod"]: share.get("held", 0) for share in stage["shares"]}
                       for row in change.item.get("spec", {}).get("pipelines", []) for stage in row["stages"]}
        for key, lost in self.waiting.items():
            self._look(key, lost, change.at)

    def _look(self, key, lost, at):
        (binding, (pod, _)) = key
        held = self.stages.get(self.routes[binding].of, {})
        if lost.decided is None and int(pod.rpartition("-")[2]) not in held:
            lost.decided = at
        if lost.decided is not None and lost.free is None and not any(held.values()):
            lost.free = at

    def _pod(self, change):
        if CLASS_LABEL not in change.item["metadata"].get("labels", {}):
            return
        name, before = change.name, self.pods.get(change.name)
        pod = self.pods[name] = Pod(change.item)
        served = before and before.ready and before.address
        self.unready.pop(name, None)
        if served and (change.gone or pod.going or pod.ended):
            self._lost(name, before.address, change.at, "going" if pod.going and not change.gone else "gone")
        elif not pod.ready and not change.gone and not pod.going:
            if served:
                self.unready[name] = pod.unready_since - self.wall
        elif pod.ready and not pod.going and not change.gone:
            self._back(name, pod.address)

    def _lost(self, name, address, at, how):
        for binding, route in self.routes.items():
            key = binding, (name, address)
            if key[1] in route.milli and key not in self.waiting:
                self.waiting[key] = _Lost(at, how)
                self._look(key, self.waiting[key], at)

    def _back(self, name, address):
        for key in [key for key in self.waiting if key[1] == (name, address)]:
            del self.waiting[key]
            self.came_back += 1

    def _drop(self, binding):
        """Its pipeline has no such stage any more, or no place: what it had on a pod is nobody's loss, now and later."""
        self.routes[binding].rate, self.routes[binding].milli = 0, {}
        for key in [key for key in self.waiting if key[0] == binding]:
            del self.waiting[key]
            self.dropped += 1

    def _binding(self, change):
        if change.gone or not change.item["spec"]["milliDocumentsPerSecond"]:
            self._drop(change.name)
            return
        route = self.routes[change.name]
        route.rate = change.item["spec"]["milliDocumentsPerSecond"]
        route.of = change.item["spec"]["pipeline"], change.item["spec"]["stage"]
        route.milli = {(row["pod"], row["address"]): row["milliDocumentsPerSecond"] for row in change.item["spec"]["shares"]}
        for key, lost in self.waiting.items():
            others = sum(milli for pod, milli in route.milli.items() if pod != key[1])
            if key[0] == change.name and lost.bound is None and others >= route.rate:
                lost.bound = change.at
        self._settle(change, change.name)

    def _slice(self, change):
        name = change.item["metadata"].get("labels", {}).get(SERVICE_LABEL)
        ends = [] if change.gone else change.item.get("endpoints") or []
        self.routes[name].led = {(end["targetRef"]["name"], end["addresses"][0]) for end in ends if end["conditions"]["ready"]}
        self._settle(change, name)

    def _settle(self, change, name):
        route = self.routes[name]
        if not route.whole():
            return
        for key in [key for key in self.waiting if key[0] == name and key[1] not in route.led]:
            moved = key[1][0] not in {pod for pod, _ in route.led}
            lost = self.waiting.pop(key)
            times = [max(lost.at, change.at if at is None else at) for at in (lost.decided, lost.free, lost.bound)]
            self.done.append(Repair(lost.at, *times, change.at, name, moved, lost.how))


def phases(found):
    """{phase: [seconds it took]}: from the one before, from the loss for the first."""
    told = {phase: [] for phase in PHASES}
    for repair in found:
        at = repair.lost
        for phase in PHASES:
            until = max(at, getattr(repair, phase))
            told[phase].append(until - at)
            at = until
    return told


def repairs(changes):
    made = Repairs()
    for change in changes:
        made.see(change)
    return made


def percentile(values, percent):
    """The smallest that is not below so many of a hundred; None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None
