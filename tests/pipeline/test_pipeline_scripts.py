"""What befalls a class in its life (docs: "One decision"): its workload is restarted, a zone goes, many pods flap; and clocks differ."""

import threading
import time

import pytest
from harness import pipe_rules
from harness.history import History
from harness.pipes import Pipes
from harness.skew import skewed
from harness.wait import eventually, rests

from pipeline.test_pipeline import one, world  # noqa: F401

ZONE = "topology.kubernetes.io/zone"
WATCHED = ("pipelines", *pipe_rules.WATCHED)
STILL = {"documentsPerMinute": 0}  # no compaction: who judges the history sees no reason to move


def judged(history):
    found = pipe_rules.judge(history.changes(), history.began)
    assert not found.broken, found.broken[:5]
    assert found.checked["routes"] and found.checked["pods in ledgers"], "nothing was looked at"
    return found


def told_since(history, at):
    """Pipelines whose status was written."""
    return {change.name for change in history.changes() if change.resource == "pipelines" and change.at > at}


@pytest.fixture
def pipes(stack):
    made = Pipes(stack, "scripts")
    yield made
    made.cluster.delete("namespaces", made.namespace)
    eventually(lambda: not made.cluster.get("namespaces", made.namespace), 60, what="the namespace is gone")


REVISION, RESTARTED = "controller-revision-hash", "kubectl.kubernetes.io/restartedAt"


def test_a_class_is_restarted_pod_by_pod(pipes, operate):
    """`kubectl rollout restart` of the StatefulSet, one pod after the other. Who is back before anybody has seen that it went keeps
    what it had; of the others only that moves."""
    operate()
    pipes.worker_class("blue", 4, capacity=30, compaction=STILL, ordered=True)
    pipes.wait_workers(blue=4)
    names = [f"p-{number}" for number in range(4)]
    for name in names:
        pipes.pipeline(name, 15, ["blue"])
    pipes.wait_ready(*names)
    history = History(pipes.cluster, pipes.namespace, WATCHED)

    def pods(field):
        return {field(pod["metadata"]) for pod in pipes.cluster.list("pods", pipes.namespace)}

    def revision(meta):
        return meta["labels"][REVISION]

    before, uids = pods(revision), pods(lambda meta: meta["uid"])
    pipes.cluster.merge("statefulsets", "blue", {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "now"}}}}}, pipes.namespace)

    def restarted():
        assert not before & pods(revision) and pipes.ready_replicas("blue") == 4
        return True

    eventually(restarted, 60, what="all pods are new")
    pipes.wait_ready(*names)

    def went():
        return {change.item["metadata"]["uid"] for change in history.changes() if change.resource == "pods" and change.gone}

    eventually(lambda: went() == uids, what="the history has the end of each")
    history.stop()
    found = judged(history)
    assert found.reasons.keys() <= {"gone", "going"}, found.reasons


def in_zone(world, ordinal, zone):  # noqa: F811
    world.pod("blue", ordinal)
    world.cluster.merge("pods", f"blue-{ordinal}", {"metadata": {"labels": {ZONE: zone}}}, world.namespace)


def test_a_whole_zone_goes(world, operate):  # noqa: F811
    """Its pods' shares alone move, into the zones that are left, and each stage is in two zones again."""
    operate()
    world.worker_class("blue", 10, drainSeconds=0, minZones=2, compaction=STILL)
    zones = {ordinal: ("east", "west", "north")[ordinal % 3] for ordinal in range(6)}
    for ordinal, zone in zones.items():
        in_zone(world, ordinal, zone)
    world.wait_pods(*(f"blue-{ordinal}" for ordinal in zones))
    names = [f"p-{number}" for number in range(3)]
    for name in names:
        world.pipeline(name, 10, {"blue": one("blue")})
        world.wait(name, "Ready", "Routed", 30)

    def shares():
        return {name: {share["pod"]: share["milliDocumentsPerSecond"] for share in world.get("pipelinebindings", f"{name}-blue")["spec"]["shares"]}
                for name in names}

    def zone_of(pod):
        return zones[int(pod.split("-")[1])]

    before = shares()
    lost = max(set(zones.values()), key=lambda zone: sum(zone_of(pod) == zone for rows in before.values() for pod in rows))
    history = History(world.cluster, world.namespace, WATCHED)
    for ordinal, zone in zones.items():
        if zone == lost:
            world.cluster.delete("pods", f"blue-{ordinal}", world.namespace)

    def moved():
        now = shares()
        for name, rows in now.items():
            assert lost not in map(zone_of, rows) and len(set(map(zone_of, rows))) == 2, now
        return now

    after = eventually(moved, 20, what="all is in the two zones that are left")
    for name in names:
        world.wait(name, "Ready", "Routed")
    stayed = {name: {pod: milli for pod, milli in rows.items() if zone_of(pod) != lost} for name, rows in before.items()}
    assert all(after[name].items() >= rows.items() for name, rows in stayed.items()), (before, after)
    history.stop()
    found = judged(history)
    assert found.reasons.keys() == {"gone"}, found.reasons


FLAPPING, PODS = 3, 10


class Flapping:
    """So many pods are not ready again and again, each for less than what counts as lost; at `stay` they are so for good."""

    def __init__(self, pipes, names):
        self.pipes, self.names, self.turns, self.end = pipes, names, 0, threading.Event()
        self.away_since, self.longest = None, 0.0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.end.wait(0.7):
            self.turns += 1
            comes = self.turns % 2 == 0
            self.away_since = self.away_since or time.monotonic()
            for name in self.names:
                self.pipes.set_ready(name, comes)
            if comes:
                self.longest, self.away_since = self.longest_away(), None

    def longest_away(self):
        """At most so long one of them was not ready: on a busy machine this thread may be late itself."""
        since = self.away_since
        return max(self.longest, time.monotonic() - since if since else 0)

    def stay(self):
        self.end.set()
        self.thread.join()
        for name in self.names:
            self.pipes.set_ready(name, False)


def test_a_third_of_the_pods_flap(pipes, operate):
    """Nothing moves as long as each comes back within five seconds, and who is not there is told nothing; then what they had moves."""
    operate()
    pipes.worker_class("blue", PODS, capacity=30, compaction=STILL)
    pipes.wait_workers(blue=PODS)
    names = [f"p-{number}" for number in range(12)]
    for name in names:
        pipes.pipeline(name, 12, ["blue"])
    pipes.wait_ready(*names)
    rests(lambda: [item["metadata"]["resourceVersion"] for item in pipes.cluster.list("pipelines", pipes.namespace)], 1.5)
    history, began = History(pipes.cluster, pipes.namespace, WATCHED), time.monotonic()
    flap = Flapping(pipes, [f"blue-{ordinal}" for ordinal in range(FLAPPING)])
    there = {item["spec"]["pipeline"] for item in pipes.cluster.list("pipelinebindings", pipes.namespace)
             for share in item["spec"]["shares"] if share["pod"] in flap.names}
    eventually(lambda: flap.turns >= 8, 20, what="they have flapped four times")
    moves, away = judged(history).checked["moves"], flap.longest_away()
    assert away < 4.5, f"the test is too slow to tell: a pod may have been away for {away:.1f} s, and 5 s count as lost"
    assert moves == 0
    assert there and set(names) - there and told_since(history, began) <= there, (there, told_since(history, began))
    assert [change for change in history.changes() if change.resource == "endpointslices" and change.at > began], "it is mirrored"
    flap.stay()

    def moved():
        carried = {share["pod"] for item in pipes.cluster.list("pipelinebindings", pipes.namespace) for share in item["spec"]["shares"]}
        assert not carried & set(flap.names), carried
        return True

    eventually(moved, 20, what="what they carried has moved")
    pipes.wait_ready(*names)
    found = judged(history.catch_up())
    assert found.reasons.keys() == {"unready"}, found.reasons
    moves = found.checked["moves"]
    for name in flap.names:
        pipes.set_ready(name, True)
    time.sleep(1)
    assert judged(history).checked["moves"] == moves, "who is back gets what comes, and nothing that runs elsewhere"
    history.stop()


SKEW_S = 30


def test_two_whose_clocks_differ_by_a_minute(world, operate, tmp_path):  # noqa: F811
    """One is half a minute ahead; then both act at once, without the gate of the Leases; then the one behind is alone."""
    def start(seconds):
        process = operate("--lease-gate=off", env={"FLOTILLA_UNSAFE": "1", **skewed(tmp_path, seconds)})
        process.wait_log(lambda line: line.get("msg", "").startswith("ready"), 30)
        return process

    def wait_all(count):
        for number in range(count):
            world.wait(f"p-{number}", "Ready", "Routed", 30)

    ahead = start(SKEW_S)
    world.worker_class("blue", 30, drainSeconds=0, compaction=STILL)
    for ordinal in range(4):
        world.pod("blue", ordinal)
    world.wait_pods(*(f"blue-{ordinal}" for ordinal in range(4)))
    world.pipeline("p-0", 12, {"blue": one("blue")})
    world.wait("p-0", "Ready", "Routed", 30)
    assert world.get("placementledgers", "placement")["spec"]["time"] - time.time() > SKEW_S / 2, "the library works"
    history = History(world.cluster, world.namespace, WATCHED)
    start(-SKEW_S)
    for number in range(1, 4):
        world.pipeline(f"p-{number}", 12, {"blue": one("blue")})
    wait_all(4)
    world.cluster.delete("pods", "blue-0", world.namespace)
    eventually(lambda: "blue-0" not in world.loads(), 20, what="they repair")
    wait_all(4)
    ahead.kill()
    world.cluster.delete("pods", "blue-1", world.namespace)
    eventually(lambda: "blue-1" not in world.loads(), 20, what="the one behind repairs")
    world.pipeline("p-1", 18, {"blue": one("blue")})
    world.pipeline("p-4", 6, {"blue": one("blue")})
    wait_all(5)
    assert sum(world.loads().values()) == 60
    history.stop()
    found = judged(history)
    assert found.reasons["gone"] and found.reasons.keys() <= {"gone", "raised"}, found.reasons
    times = [change.item["spec"]["time"] for change in history.changes() if change.resource == "placementledgers"]
    assert times == sorted(times), "decisions do not go back in time"
