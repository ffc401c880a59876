"""What holds of pipelines whatever becomes of their pods and controllers: two rules, judged on a recorded history (history.py).

1. No pod carries more than it can: in no version of the ledger, and at no moment by what bindings and slices route.
2. From one version of the ledger to the next a share leaves a pod only for a reason of MAY_LEAVE.

All is reckoned in milli-documents per second. For histories without changes of classes and priorities.
"""

import calendar
import collections
import time

CLASS_LABEL = "scheduling.k8s.xxii.io/workerclass"
SERVICE_LABEL = "kubernetes.io/service-name"
FLAP_S = 5  # reconcilers/pipeline/world.h
WATCHED = ("placementledgers", "pipelinebindings", "endpointslices", "pods")

Share = collections.namedtuple("Share", "milli held")
Broken = collections.namedtuple("Broken", "version rule says")


class Ledger:
    """A version of the PlacementLedger, as far as the rules speak of it. `shares`: {(uid, stage): {ordinal: Share}}."""

    def __init__(self, item):
        spec = item.get("spec", {})
        self.version, self.time = int(item["metadata"]["resourceVersion"]), spec.get("time", 0)
        self.capacity, self.letters, self.leaving = {}, {}, {}
        for row in spec.get("classes", []):
            self.capacity[row["name"]], self.letters[row["name"]] = row["capacity"], row["pods"]
            self.leaving.update({(row["name"], left["pod"]): left["milli"] for left in row.get("leaving", [])})
        self.shares, self.class_of, self.rate, self.ran, self.drawn = {}, {}, {}, set(), {}
        for row in spec.get("pipelines", []):
            if row.get("ran"):
                self.ran.add(row["uid"])
            self.drawn[row["uid"]] = [(stage["name"], stage["class"]) for stage in row["stages"]]
            for stage in row["stages"]:
                key = row["uid"], stage["name"]
                self.class_of[key], self.rate[key] = stage["class"], stage["rate"]
                self.shares[key] = {share["pod"]: Share(share["milli"], share.get("held", 0)) for share in stage["shares"]}

    def serves(self, class_name, ordinal):
        """As it says itself: else the pod is yet to come."""
        letters = self.letters.get(class_name, "")
        return ordinal < len(letters) and letters[ordinal] in "RD"

    def carried(self):
        """{(class, ordinal): (with what is held and not to be served yet, with what still leaves instead)}"""
        placed, served = collections.Counter(), collections.Counter(self.leaving)
        for key, shares in self.shares.items():
            for ordinal, share in shares.items():
                pod = self.class_of[key], ordinal
                placed[pod] += share.milli
                served[pod] += share.milli - share.held
        return {pod: (placed[pod], served[pod]) for pod in {*placed, *served}}


class Pod:
    """One version of a pod; None is there instead where there is none."""

    def __init__(self, item):
        status = item.get("status", {})
        ready = next((row for row in status.get("conditions", []) if row["type"] == "Ready"), {})
        since = ready.get("lastTransitionTime")
        self.going = "deletionTimestamp" in item["metadata"]
        self.ended = status.get("phase") in ("Succeeded", "Failed")
        self.ready, self.address = ready.get("status") == "True", status.get("podIP")
        self.is_new = not self.ready and not self.address  # it has never served
        self.unready_since = calendar.timegm(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")) if since else 0


class Move:
    """A share that is smaller in `after` than in `before`. `moments`: what its pod was from the one to the other."""

    def __init__(self, before, after, key, ordinal, moments):
        self.before, self.after, self.key, self.ordinal, self.moments = before, after, key, ordinal, moments
        self.milli = before.shares[key][ordinal].milli - after.shares[key].get(ordinal, Share(0, 0)).milli
        self.siblings = [self]

    @property
    def class_name(self):
        return self.before.class_of[self.key]

    def lost(self):
        return any(row.holds(self) for row in MAY_LEAVE if row.of_pod)

    def lacked(self):
        return sum(share.milli for share in self.before.shares[self.key].values()) < self.before.rate[self.key]

    def raised_by(self):
        return self.after.rate[self.key] - self.before.rate[self.key]

    def shrinks(self):
        """No more left the pods of the stage that are well than its rate went down."""
        left = sum(move.milli for move in self.siblings if not move.lost())
        return left <= -self.raised_by()

    def redrawn(self):
        """Its pipeline was drawn anew: this stage with another class, or so that all of it waits."""
        uid = self.key[0]
        return self.before.drawn[uid] != self.after.drawn[uid] and (
            self.before.class_of[self.key] != self.after.class_of[self.key] or uid not in self.after.ran)


Reason = collections.namedtuple("Reason", "name of_pod holds why")
MAY_LEAVE = (
    Reason("gone", True, lambda move: any(pod is None or pod.ended or pod.is_new for pod in move.moments),
           "there was no such pod, it had ended, or one of its name had come that has not served yet: it is not waited for"),
    Reason("going", True, lambda move: any(pod and pod.going for pod in move.moments),
           "it was being deleted: what it carries moves while it still serves"),
    Reason("unready", True, lambda move: any(pod and not pod.ready and move.after.time - pod.unready_since >= FLAP_S
                                             for pod in move.moments),
           f"it was not ready for {FLAP_S} s, by the clock of the decision"),
    Reason("reserved", False, lambda move: not move.before.serves(move.class_name, move.ordinal),
           "the pod did not serve yet when this was reserved: nobody's documents went there"),
    Reason("not run", False, lambda move: move.key[0] not in move.before.ran,
           "the pipeline never ran: nothing of it is routed, and it may be placed where room appeared"),
    Reason("lowered", False, lambda move: move.shrinks(), "less is asked of its stage, which shrinks where it is"),
    Reason("raised", False, lambda move: move.raised_by() > 0,
           "more is asked of its stage, which had no room for that beside what it has"),
    Reason("redrawn", False, lambda move: move.redrawn(), "its pipeline was drawn anew, this stage with it"),
    Reason("beside", False, lambda move: move.lacked() or any(other.lost() for other in move.siblings),
           "its stage lost another share, or lacked one, and is whole again only in other parts"),
)


class Judge:
    """Sees the changes of a history in their order, and keeps what breaks a rule."""

    def __init__(self, began):
        self.began, self.broken, self.reasons = began, [], collections.Counter()
        self.reasons_of = collections.defaultdict(collections.Counter)  # by class
        self.ledger, self.ledgers = None, 0
        self.pods, self.moments = {}, {}  # by (class, ordinal); moments: since the last ledger
        self.routes, self.loads = collections.defaultdict(Route), collections.Counter()  # by binding; by (pod, address)
        self.checked = collections.Counter()

    def see(self, change):
        {"placementledgers": self._ledger, "pods": self._pod, "pipelinebindings": self._binding,
         "endpointslices": self._slice}.get(change.resource, lambda change: None)(change)

    def _break(self, change, rule, says):
        if change.version > self.began:
            self.broken.append(Broken(change.version, rule, says))

    # ---- pods

    def _pod(self, change):
        meta = change.item["metadata"]
        ordinal = meta["name"].rpartition("-")[2]
        class_name = meta.get("labels", {}).get(CLASS_LABEL)
        if not class_name or not ordinal.isdigit():
            return
        key, pod = (class_name, int(ordinal)), None if change.gone else Pod(change.item)
        self.pods[key] = pod
        self.moments.setdefault(key, []).append(pod)

    def _moments(self, key):
        """What it was when the last ledger was written, and ever since."""
        return self.moments.get(key) or [self.pods.get(key)]

    # ---- rule 1, and 2: the ledger

    def _ledger(self, change):
        if change.gone:
            self.ledger = None
            return
        before, after = self.ledger, Ledger(change.item)
        for (class_name, ordinal), sums in after.carried().items():
            self.checked["pods in ledgers"] += 1
            if max(sums) > after.capacity[class_name]:
                self._break(change, 1, f"the ledger has {max(sums)} on {class_name}-{ordinal}, which can do {after.capacity[class_name]}")
        if before:
            self._moves(change, before, after)
        self.ledger, self.ledgers = after, self.ledgers + 1
        self.moments = {key: [pod] for key, pod in self.pods.items()}

    def _moves(self, change, before, after):
        for key in before.shares.keys() & after.shares.keys():
            new = after.shares[key]
            same = before.class_of[key] == after.class_of[key]  # else no pod of it is one of before
            moves = [Move(before, after, key, ordinal, self._moments((before.class_of[key], ordinal)))
                     for ordinal, share in before.shares[key].items()
                     if not same or new.get(ordinal, Share(0, 0)).milli < share.milli]
            for move in moves:
                move.siblings = moves
                self.checked["moves"] += 1
                reason = next((row.name for row in MAY_LEAVE if row.holds(move)), None)
                self.reasons[reason] += 1
                self.reasons_of[move.class_name][reason] += 1
                if not reason:
                    self._break(change, 2, f"a share of stage {key[1]} of {key[0]} left {move.class_name}-{move.ordinal}, which was well")

    # ---- rule 1: what is routed

    def _binding(self, change):
        route, spec = self.routes[change.name], change.item["spec"]
        shares = {} if change.gone else {(row["pod"], row["address"]): row for row in spec["shares"]}
        route.class_name = spec["class"]
        route.milli.update({key: row["milliDocumentsPerSecond"] for key, row in shares.items()})
        route.told = {key for key, row in shares.items() if row["ready"]}
        self._routed(change, route)

    def _slice(self, change):
        route = self.routes[change.item["metadata"].get("labels", {}).get(SERVICE_LABEL)]
        ends = [] if change.gone else change.item.get("endpoints") or []
        route.led = {(end["targetRef"]["name"], address) for end in ends if end["conditions"]["ready"]
                     for address in end["addresses"]}
        self._routed(change, route)

    def _routed(self, change, route):
        self.loads.subtract(route.counted)
        route.counted = {key: route.milli[key] for key in route.told | route.led if key in route.milli}
        self.loads.update(route.counted)
        for key in route.counted:
            self.checked["routes"] += 1
            most = self.ledger.capacity.get(route.class_name) if self.ledger else None
            if most is not None and self.loads[key] > most:
                self._break(change, 1, f"{self.loads[key]} are routed to {key[0]} ({key[1]}), which can do {most}")


class Route:
    """Of one binding: who reads it, and whom its slice leads, may both send; what it said last is what they send."""

    def __init__(self):
        self.class_name, self.milli, self.told, self.led, self.counted = None, {}, set(), set(), {}


def judge(changes, began=0):
    """The Judge of a whole history, oldest first; what was before `began` is only listed, and no order."""
    made = Judge(began)
    for change in changes:
        made.see(change)
    return made
