"""Active-active: two operators share the namespaces of a cell; one is killed, and the other goes on for both."""

import contextlib
import time

import pytest
from harness import metrics, pipe_rules
from harness.history import History
from harness.wait import eventually, within

from pipeline.test_pipeline import World, one

NAMESPACES = 10  # by the operators' names some are of each one's shards
WATCHED = ("pipelines", *pipe_rules.WATCHED)
QUIET_S = 1.5


class Home(World):
    """A namespace in which two pipelines share the first of three pods."""

    def __init__(self, stack, namespace):
        super().__init__(stack, namespace)
        self.worker_class("blue", 30, drainSeconds=0, mode="Whole")
        for ordinal in range(3):
            self.pod("blue", ordinal)

    def blue(self, name, rate=10):
        self.pipeline(name, rate, {"blue": one("blue")})

    def begin(self):
        self.wait_pods("blue-0", "blue-1", "blue-2")
        for name in ("first", "second"):
            self.blue(name)
        for name in ("first", "second"):
            self.wait(name, "Ready", "Routed", 30)
        self.history = History(self.cluster, self.namespace, WATCHED)

    def last_change(self):
        return max(change.at for change in self.history.changes())

    def since(self, at):
        return [change for change in self.history.changes() if change.at > at]

    def is_quiet(self):
        return time.monotonic() - self.last_change() > QUIET_S

    def judged(self):
        return pipe_rules.judge(self.history.changes(), self.history.began)

    def served_on(self, at, *names):
        """Nobody was told since that one of these pipelines is anything but Ready."""
        told = [(change.name, change.item["status"]["phase"]) for change in self.since(at)
                if change.resource == "pipelines" and change.name in names]
        return not [row for row in told if row[1] != "Ready"]


@pytest.fixture
def homes(stack):
    made = {}
    with contextlib.ExitStack() as ends:
        for number in range(NAMESPACES):
            home = made[f"shards-{number}"] = Home(stack, f"shards-{number}")
            ends.callback(home.cluster.delete, "namespaces", home.namespace)
        yield made
        for home in made.values():
            home.history.stop()


def shown(process):
    """Who decides about a namespace tells what its classes ask for."""
    return {labels["workerclass_namespace"] for labels, _ in metrics.read(process, "workerclass_request")}


def shared(homes, *processes):
    """By process the homes about which it decides: each one's is one, and each has some."""
    def are():
        found = [shown(process) & set(homes) for process in processes]
        assert sorted(sum(map(sorted, found), [])) == sorted(homes) and all(found), found
        return found

    return eventually(are, 30, what="each namespace is one's, and each has some")


def told_of(process, pipeline):
    """Namespaces in which it has decided about a pipeline of that name: that is logged where it is told."""
    return {line["namespace"] for line in list(process.logs) if line.get("msg", "").startswith(f"pipeline {pipeline}: Routed")}


def routed(homes, name, timeout=30):
    for home in homes:
        home.wait(name, "Ready", "Routed", timeout)


def test_one_of_two_dies_and_the_other_s_namespaces_never_notice(homes, operate):
    dies, lives = operate("--identity=shards-a"), operate("--identity=shards-b")
    for home in homes.values():
        home.begin()
    of_dies, of_lives = shared(homes, dies, lives)
    for home in homes.values():
        home.blue("third", 5)
    routed(homes.values(), "third")
    assert (told_of(dies, "third"), told_of(lives, "third")) == (of_dies, of_lives), "each is decided about by one, whose it is"

    busy, *still = (homes[name] for name in sorted(of_lives))
    eventually(lambda: all(home.is_quiet() for home in homes.values()), 30, what="all are at rest")
    dies.kill()
    killed = time.monotonic()
    lost, *orphans = (homes[name] for name in sorted(of_dies))
    lost.cluster.delete("pods", "blue-0", lost.namespace)  # with all that runs there
    for home in (lost, *orphans):
        home.blue("fourth", 6)
    for rate in (7, 8, 9):  # of the one that lives: as if nothing had happened
        busy.blue("third", rate)
        within(lambda rate=rate: sum(busy.loads().values()) == 20 + rate, 10, what="it is decided as ever")
    eventually(lambda: shown(lives) >= set(homes), 20, what="the other one decides about all")
    print(f"taken over {time.monotonic() - killed:.1f} s after the kill, with Leases of 6 s")
    routed((lost, *orphans), "fourth")
    eventually(lambda: all(home.is_quiet() for home in homes.values()), 30, what="all are at rest again")

    assert not [change for home in still for change in home.since(killed)], "where nothing was asked for nothing was written"
    assert all(home.served_on(killed, "first", "second") for home in (busy, *orphans)), "who was well is Ready all the while"
    routed([lost], "first", 0)
    assert all(set(home.endpoints("first-blue")) == {"blue-0"} for home in (busy, *still, *orphans))
    assert lost.endpoints("first-blue") != ["blue-0"]

    joins = operate("--identity=shards-c")
    joined = time.monotonic()
    shared(homes, lives, joins)
    eventually(lambda: all(home.is_quiet() for home in homes.values()), 30, what="who joins finds all done")
    assert not [change for home in homes.values() for change in home.since(joined)]
    for home in homes.values():
        judged = home.judged()
        assert not judged.broken, (home.namespace, judged.broken[:3])
        assert judged.checked["routes"] and judged.checked["pods in ledgers"]
    assert homes[lost.namespace].judged().checked["moves"] and not [
        home.namespace for home in (*still, *orphans) if home.judged().checked["moves"]], "only what was lost moved"
