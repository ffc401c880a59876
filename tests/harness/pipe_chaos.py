"""Disorder among the pods of pipelines, what is asked of these, and their controllers, by a seed; what happened, and when, is kept."""

import collections
import contextlib
import math
import os
import shutil
import signal
import tempfile
import threading
import time

from . import metrics
from .history import History
from .pipe_rules import WATCHED
from .pipes import Pipes
from .process import Flotillad
from .wait import eventually

LEASE_MS = 4000  # so that another one decides within 5 s
GATE_OFF = {"FLOTILLA_LEASE_GATE": "off", "FLOTILLA_UNSAFE": "1"}
CAPACITY, RATES, SPARE = 60, (5, 20), 1.4
MODES = {"blue": "Whole", "green": "Equal", "yellow": "Weighted"}
TAKEN_OVER_S = 60  # at most
LEASE_LOST = 70  # the exit status of who ends for that
DOWN_AT_MOST = 3  # pods that are not well at a time, in one class: the spare ones have room for them

Harm = collections.namedtuple("Harm", "at until")  # to a controller; until: all was decided about, and it was ready or went on


def leases(duration_ms=LEASE_MS):
    return {"FLOTILLA_LEASE_DURATION_MS": duration_ms, "FLOTILLA_LEASE_RENEW_MS": duration_ms // 5,
            "FLOTILLA_LEASE_DEADLINE_MS": duration_ms * 3 // 4}


class Scene(Pipes):
    """`count` pipelines of one stage in each of three classes, each class with room for what some lost pods carry."""

    def __init__(self, stack, namespace, count, random):
        super().__init__(stack, namespace)
        self.rates = {f"p-{number:03}": random.randint(*RATES) for number in range(count)}
        self.replicas = math.ceil(sum(self.rates.values()) * SPARE / CAPACITY) + 1

    def build(self):
        for name, mode in MODES.items():
            self.worker_class(name, self.replicas, capacity=CAPACITY, mode=mode, maxSplit=4, maxReplicas=self.replicas,
                              compaction={"documentsPerMinute": 0})  # no reason to move, to who judges the history
        self.wait_workers(**dict.fromkeys(MODES, self.replicas))
        self.history = History(self.cluster, self.namespace, WATCHED)
        for name, rate in self.rates.items():
            self.pipeline(name, rate, MODES)

    def wait_settled(self, timeout, controllers):
        def settled():
            controllers.tend()
            items = self.cluster.list("pipelines", self.namespace)
            told = collections.Counter(self._told(item) for item in items)
            assert told == {("Ready", "Routed"): len(self.rates)}, told
            return True

        eventually(settled, timeout, 0.5, what="every pipeline is Ready and Routed")

    @staticmethod
    def _told(item):
        status = item.get("status", {})
        return status.get("phase"), next((row["reason"] for row in status.get("conditions", []) if row["type"] == "Ready"), None)


class PodHarm:
    """A step harms one pod of one of the scenes, or makes one ready again whose time has come."""

    def __init__(self, scenes, random):
        self.scenes, self.random, self.counts, self.unready = scenes, random, collections.Counter(), []

    def step(self):
        now = time.monotonic()
        for row in [row for row in self.unready if row[0] <= now]:
            self.unready.remove(row)
            row[1].set_ready(row[2], True, row[3])
        scene, class_name = self.random.choice(self.scenes), self.random.choice(list(MODES))
        kind = self.random.choice((self._remove, self._remove, self._leave, self._shake))
        pods = [f"{class_name}-{ordinal}" for ordinal in range(scene.replicas)]
        well = [name for name in pods if self._is_well(scene.get("pods", name))]
        if len(pods) - len(well) < DOWN_AT_MOST:
            kind(scene, self.random.choice(well))

    @staticmethod
    def _is_well(pod):
        return pod and "deletionTimestamp" not in pod["metadata"] and any(
            row["type"] == "Ready" and row["status"] == "True" for row in pod.get("status", {}).get("conditions", []))

    @staticmethod
    def _delete(scene, name, seconds):
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": seconds}
        scene.cluster.request("DELETE", scene.cluster.path("pods", scene.namespace, name), options)

    def _remove(self, scene, name):
        self.counts["removed at once"] += 1
        self._delete(scene, name, 0)

    def _leave(self, scene, name):
        self.counts["deleted with a grace period"] += 1
        self._delete(scene, name, 2)

    def _shake(self, scene, name):
        seconds = self.random.uniform(1, 9)
        if uid := scene.set_ready(name, False):
            self.counts[f"not ready for {'less' if seconds < 5 else 'more'} than 5 s"] += 1
            self.unready.append((time.monotonic() + seconds, scene, name, uid))

    def heal(self):
        for _, scene, name, uid in self.unready:
            scene.set_ready(name, True, uid)


class WishHarm:
    """A step asks something else of one pipeline: another rate, or other stages (fewer, or in another order)."""

    def __init__(self, scenes, random):
        self.scenes, self.random, self.counts, self.changed = scenes, random, collections.Counter(), {}

    def step(self):
        scene = self.random.choice(self.scenes)
        name = self.random.choice(list(scene.rates))
        rate, stages = self.changed.get((scene, name), (scene.rates[name], list(MODES)))
        if self.random.random() < 0.7:
            self.counts["another rate"] += 1
            rate = self.random.randint(*RATES)
        else:
            self.counts["drawn anew"] += 1
            stages = self.random.sample(list(MODES), self.random.randint(2, 3))
        self.changed[scene, name] = rate, stages
        scene.pipeline(name, rate, stages)

    def heal(self):
        """As it was in the beginning: then there is room for all."""
        for scene, name in self.changed:
            scene.pipeline(name, scene.rates[name], MODES)


class Controllers:
    """Two of `flotillad operate`; one at a time is killed, or stopped for a while, and is there again before the next."""

    def __init__(self, scenes, random, env):
        self.random, self.harms, self.failovers, self.counts = random, [], [], collections.Counter()
        self.namespaces = {scene.namespace for scene in scenes}
        self.env = {"FLOTILLA_KUBECONFIG": scenes[0].stack.env["KUBECONFIG_OPERATE"], **leases(), **env}
        self.directories = []
        self.running = [self._start(), self._start()]

    def _start(self):
        directory = tempfile.mkdtemp(prefix="operate-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
        self.directories.append(directory)  # with the last words of who was killed, while something fails
        process = Flotillad(["operate"], self.env, directory)
        try:
            process.wait_log(lambda line: line.get("msg", "").startswith("ready"), timeout=60)
        except AssertionError:
            if process.process.poll() != LEASE_LOST or process.sanitizer_reports():
                raise
            self.counts["ended by itself"] += 1  # it had a shard at once, and the machine was too busy to keep it
            return self._start()
        return process

    def decides(self, process):
        """About which namespaces: who does shows what their classes are asked for."""
        try:
            rows = metrics.read(process, "workerclass_request")
        except OSError:  # it has just ended by itself
            return set()
        return {labels["workerclass_namespace"] for labels, _ in rows} & self.namespaces

    def step(self, lose_a_pod):
        self.tend()
        owner = max(self.running, key=lambda process: len(self.decides(process)))
        victim = owner if self.random.random() < 0.7 else self.random.choice(self.running)
        other = next(process for process in self.running if process is not victim)
        orphans = self.decides(victim) - self.decides(other)
        kind, at = self.random.choice(("kill", "stop")), time.monotonic()
        if kind == "kill":
            victim.kill()
            lose_a_pod()
            self._wait_until_decided(other, orphans, at, TAKEN_OVER_S)
            time.sleep(self.random.uniform(0.1, 3))
        else:
            victim.process.send_signal(signal.SIGSTOP)
            lose_a_pod()
            wakes = at + self.random.uniform(0.5, 2 * int(self.env["FLOTILLA_LEASE_DURATION_MS"]) / 1000)
            self._wait_until_decided(other, orphans, at, wakes - at)
            time.sleep(max(0, wakes - time.monotonic()))
            victim.process.send_signal(signal.SIGCONT)
        self.counts[f"{kind} of one that decides about {'some' if orphans else 'nothing'}"] += 1
        self._wait_until_all_are_decided(TAKEN_OVER_S)
        self.harms.append(Harm(at, time.monotonic()))

    def _wait_until_decided(self, other, orphans, at, seconds):
        """The other one shows that it decides about them: since when nobody did is a failover."""
        while orphans and time.monotonic() < at + seconds and other.process.poll() is None:
            if self.decides(other) >= orphans:
                self.failovers.append(time.monotonic() - at)
                return
            time.sleep(0.02)

    def _wait_until_all_are_decided(self, seconds):
        """Who was stopped past its Lease may end when it goes on: what it had is nobody's for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            if set().union(*map(self.decides, self.running)) == self.namespaces:
                return
            time.sleep(0.02)

    def tend(self):
        """Who ended is started again, as a Deployment would. One that ended by itself has been stopped past its Lease."""
        for at, process in enumerate(self.running):
            if process.process.poll() is not None:
                self.counts["ended by itself"] += not process.expect_kill
                assert not process.sanitizer_reports(), process.sanitizer_reports()
                self.running[at] = self._start()

    def kill(self):
        for process in self.running:
            process.kill()

    def end(self):
        self.tend()
        for process in self.running:
            assert process.stop() == 0 and not process.sanitizer_reports(), process.sanitizer_reports() or process.logs[-3:]
        for directory in self.directories:
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def controllers(scenes, random, env):
    made = Controllers(scenes, random, env)
    try:
        yield made
    except BaseException:
        made.kill()
        raise
    made.end()


class Chaos:
    """All kinds of harm at once, for so many seconds."""

    def __init__(self, pods, wishes, controllers, random):
        self.pods, self.wishes, self.controllers, self.random = pods, wishes, controllers, random
        self.lock, self.error = threading.Lock(), None

    def run(self, seconds):
        end = threading.Event()
        threads = [threading.Thread(target=self._harm, args=(end, harm), daemon=True) for harm in (self.pods, self.wishes)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.error:
            time.sleep(min(self.random.uniform(3, 9), max(0, until - time.monotonic())))
            self.controllers.step(self._one)
        end.set()
        for thread in threads:
            thread.join()
        if self.error:
            raise self.error
        self.pods.heal()
        self.wishes.heal()
        self.controllers.tend()

    def _one(self):
        with self.lock:
            self.pods.step()

    def _harm(self, end, harm):
        try:
            while not end.wait(harm.random.uniform(0.2, 1.5)):
                with self.lock:
                    harm.step()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
