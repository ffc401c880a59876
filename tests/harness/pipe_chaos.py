"""Disorder among the pods of pipelines and among their controllers, by a seed; what happened, and when, is kept."""

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
DOWN_AT_MOST = 3  # pods that are not well at a time, in one class: the spare ones have room for them

Harm = collections.namedtuple("Harm", "at until")  # to a controller; until: it was ready, or went on


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
    """A step harms one pod, or makes one ready again whose time has come."""

    def __init__(self, scene, random):
        self.scene, self.random, self.cluster, self.counts, self.unready = scene, random, scene.cluster, collections.Counter(), []

    def step(self):
        now = time.monotonic()
        for row in [row for row in self.unready if row[0] <= now]:
            self.unready.remove(row)
            self.scene.set_ready(row[1], True, row[2])
        class_name = self.random.choice(list(MODES))
        kind = self.random.choice((self._remove, self._remove, self._leave, self._shake))
        pods = [f"{class_name}-{ordinal}" for ordinal in range(self.scene.replicas)]
        well = [name for name in pods if self._is_well(self.scene.get("pods", name))]
        if len(pods) - len(well) < DOWN_AT_MOST:
            kind(self.random.choice(well))

    @staticmethod
    def _is_well(pod):
        return pod and "deletionTimestamp" not in pod["metadata"] and any(
            row["type"] == "Ready" and row["status"] == "True" for row in pod.get("status", {}).get("conditions", []))

    def _delete(self, name, seconds):
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": seconds}
        self.cluster.request("DELETE", self.cluster.path("pods", self.scene.namespace, name), options)

    def _remove(self, name):
        self.counts["removed at once"] += 1
        self._delete(name, 0)

    def _leave(self, name):
        self.counts["deleted with a grace period"] += 1
        self._delete(name, 2)

    def _shake(self, name):
        seconds = self.random.uniform(1, 9)
        if uid := self.scene.set_ready(name, False):
            self.counts[f"not ready for {'less' if seconds < 5 else 'more'} than 5 s"] += 1
            self.unready.append((time.monotonic() + seconds, name, uid))

    def heal(self):
        for _, name, uid in self.unready:
            self.scene.set_ready(name, True, uid)


class Controllers:
    """Two of `flotillad operate`; one at a time is killed, or stopped for a while, and is there again before the next."""

    def __init__(self, scene, random, env):
        self.scene, self.random, self.harms, self.failovers, self.counts = scene, random, [], [], collections.Counter()
        self.env = {"FLOTILLA_KUBECONFIG": scene.stack.env["KUBECONFIG_OPERATE"], **leases(), **env}
        self.directories = []
        self.running = [self._start(), self._start()]

    def _start(self):
        directory = tempfile.mkdtemp(prefix="operate-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
        self.directories.append(directory)  # with the last words of who was killed, while something fails
        process = Flotillad(["operate"], self.env, directory)
        process.wait_log(lambda line: line.get("msg", "").startswith("ready"), timeout=60)
        return process

    def owner(self):
        """Who decides about the namespace shows what its classes are asked for; None while nobody does."""
        return next((process for process in self.running if self._decides(process)), None)

    def _decides(self, process):
        try:
            rows = metrics.read(process, "workerclass_request")
        except OSError:  # it has just ended by itself
            return False
        return any(labels["workerclass_namespace"] == self.scene.namespace for labels, _ in rows)

    def step(self, lose_a_pod):
        self.tend()
        owner = self.owner()
        victim = owner if owner and self.random.random() < 0.7 else self.random.choice(self.running)
        other = next(process for process in self.running if process is not victim)
        takes_over = victim is owner and not self._decides(other)
        kind, at = self.random.choice(("kill", "stop")), time.monotonic()
        if kind == "kill":
            victim.kill()
            lose_a_pod()
            self._wait_until_decided(other, at, TAKEN_OVER_S if takes_over else 0)
            time.sleep(self.random.uniform(0.1, 3))
        else:
            victim.process.send_signal(signal.SIGSTOP)
            lose_a_pod()
            wakes = at + self.random.uniform(0.5, 2 * int(self.env["FLOTILLA_LEASE_DURATION_MS"]) / 1000)
            self._wait_until_decided(other, at, wakes - at if takes_over else 0)
            time.sleep(max(0, wakes - time.monotonic()))
            victim.process.send_signal(signal.SIGCONT)
        went_on = time.monotonic()
        self.counts[f"{kind} of {'the one that decides' if victim is owner else 'the other one'}"] += 1
        self.tend()
        self.harms.append(Harm(at, went_on if kind == "stop" else time.monotonic()))

    def _wait_until_decided(self, other, at, seconds):
        """The other one shows that it decides: since when nobody did is a failover."""
        while time.monotonic() < at + seconds and other.process.poll() is None:
            if self._decides(other):
                self.failovers.append(time.monotonic() - at)
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
def controllers(scene, random, env):
    made = Controllers(scene, random, env)
    try:
        yield made
    except BaseException:
        made.kill()
        raise
    made.end()


class Chaos:
    """Both kinds of harm at once, for so many seconds."""

    def __init__(self, pods, controllers, random):
        self.pods, self.controllers, self.random, self.lock, self.error = pods, controllers, random, threading.Lock(), None

    def run(self, seconds):
        end = threading.Event()
        thread = threading.Thread(target=self._harm_pods, args=(end,), daemon=True)
        thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.error:
            time.sleep(min(self.random.uniform(3, 9), max(0, until - time.monotonic())))
            self.controllers.step(self._one)
        end.set()
        thread.join()
        if self.error:
            raise self.error
        self.pods.heal()
        self.controllers.tend()

    def _one(self):
        with self.lock:
            self.pods.step()

    def _harm_pods(self, end):
        try:
            while not end.wait(self.pods.random.uniform(0.2, 1.5)):
                self._one()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
