"""What pipeline-bench measures on a cluster: pipelines that come and go at a fixed rate, what their ledgers say meanwhile, and
who writes how much for it."""

import collections
import heapq
import http.client
import json
import math
import os
import pathlib
import queue
import ssl
import threading
import time
import urllib.parse

from .cluster import Cluster
from .kube_audit import WRITES
from .pipe_rules import Ledger
from .pipes import API, Pipes
from .wait import eventually

CLASSES = {"blue": 30, "green": 15, "yellow": 200}  # the talk's
RATES = (1, 1, 2, 2, 3, 5)  # documents a second of a pipeline: one of these
ROOM, HANDS = 3, 6  # room is for that much of each
HELD_S = (2, 14)  # so long a pipeline is there
HELD_MEAN_S = sum(HELD_S) / 2


class Homes:
    """Namespaces with the talk's classes, weighted, with room for `each` pipelines and as much again for what still leaves."""

    def __init__(self, stack, count, each):
        self.pipes = [Pipes(stack, f"bench-{number}") for number in range(count)]
        self.replicas = {name: math.ceil(2 * each * ROOM / capacity) + 1 for name, capacity in CLASSES.items()}

    def build(self):
        for home in self.pipes:
            for name, replicas in self.replicas.items():
                home.worker_class(name, replicas, capacity=CLASSES[name], mode="Weighted", maxSplit=4, maxReplicas=replicas)
        for home in self.pipes:
            home.wait_workers(**self.replicas)


class _Readiness(threading.Thread):
    """When each pipeline was Ready for the first time, as a watch over all namespaces tells it."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.path, self.ready, self.error, self.stopping = cluster, cluster.path("pipelines"), {}, None, False
        self.version = cluster.ok("GET", self.path)["metadata"]["resourceVersion"]
        self.start()

    def run(self):
        while not self.stopping and not self.error:
            connection = self.cluster.connect(timeout=400)
            query = urllib.parse.urlencode({"watch": 1, "resourceVersion": self.version, "timeoutSeconds": 300})
            try:
                connection.request("GET", f"{self.path}?{query}")
                response = connection.getresponse()
                while not self.stopping and (line := response.readline()):
                    self._told(json.loads(line))
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
            finally:
                connection.close()

    def _told(self, event):
        item = event["object"]
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            self.error = f"the watch has a gap: {event}"
            return
        self.version = item["metadata"]["resourceVersion"]
        if item.get("status", {}).get("phase") == "Ready":
            self.ready.setdefault(item["metadata"]["uid"], time.monotonic())


class Load:
    """`rate` pipelines a second come, at their times whatever the others do, each with a rate of RATES, and go after a time of
    HELD_S; both are `random`'s."""

    def __init__(self, homes, rate, random):
        self.random = random
        self.homes, self.rate, self.cluster = homes, rate, homes.pipes[0].cluster
        self.watch, self.jobs, self.made, self.removed, self.late_s, self.error = _Readiness(self.cluster), queue.Queue(), {}, {}, 0, None
        self.numbers = {}  # uid by number
        self.hands = [threading.Thread(target=self._work, daemon=True) for _ in range(HANDS)]
        for hand in self.hands:
            hand.start()

    def _work(self):
        while job := self.jobs.get():
            try:
                job()
            except Exception as error:  # pylint: disable=broad-except
                self.error = error

    def _create(self, number, due, documents):
        namespace, names = self.homes.pipes[number % len(self.homes.pipes)].namespace, list(CLASSES)
        workers = {name: {"class": name, "next": following} for name, following in zip(names, [[names[1]], [names[2]], []])}
        path = self.cluster.path("pipelines", namespace)
        self.late_s = max(self.late_s, time.monotonic() - due)
        begun = time.monotonic()
        item = self.cluster.ok("POST", path, {"apiVersion": API, "kind": "Pipeline", "metadata": {"name": f"p-{number}"},
                                              "spec": {"documentsPerSecond": documents, "workers": workers}})
        self.made[item["metadata"]["uid"]], self.numbers[number] = begun, item["metadata"]["uid"]

    def remove(self, number):
        """Once it was Ready; until then it is asked for again and again."""
        if self.numbers.get(number) not in self.watch.ready:
            self.jobs.put(lambda: self.remove(number))
            time.sleep(0.01)
            return
        self.removed[number] = time.monotonic()
        self.cluster.delete("pipelines", f"p-{number}", self.homes.pipes[number % len(self.homes.pipes)].namespace)

    def _ask(self, number, due):
        documents = self.random.choice(RATES)
        self.jobs.put(lambda: self._create(number, due, documents))

    def burst(self, count):
        """So many at once; returns when each has been asked for."""
        begun = time.monotonic()
        for number in range(count):
            self._ask(number, begun)
        eventually(lambda: len(self.made) == count or self.error, 60 + count, what=f"{count} pipelines made")

    def run(self, seconds, meanwhile):
        """`meanwhile()` is called once a second. The last ones stay."""
        begun, count, told, leave = time.monotonic(), int(self.rate * seconds), 0, []
        for number in range(count):
            due = begun + number / self.rate
            while (now := time.monotonic()) < due:
                time.sleep(min(due - now, 0.05))
            self._ask(number, due)
            heapq.heappush(leave, (due + self.random.uniform(*HELD_S), number))
            while leave and leave[0][0] <= now:
                self.jobs.put(lambda gone=heapq.heappop(leave)[1]: self.remove(gone))
            if now - begun > told:
                told += 1
                meanwhile()
            if self.error:
                raise self.error
        took = time.monotonic() - begun
        eventually(lambda: len(self.made) == count or self.error, 60, what=f"{count} pipelines made")
        return took

    def waited(self):
        """Seconds from POST until Ready of each that was; and how many never were."""
        times = [self.watch.ready[uid] - begun for uid, begun in self.made.items() if uid in self.watch.ready]
        return times, len(self.made) - len(times)

    def end(self):
        self.watch.stopping = True
        for _ in self.hands:
            self.jobs.put(None)


class Ledgers:
    """Looks of the homes' ledgers: bytes of each, pods that carry something beside the fewest that could, decisions."""

    def __init__(self, homes):
        self.homes, self.cluster = homes, homes.pipes[0].cluster
        self.bytes, self.used, self.fewest, self.over, self.decisions = [], 0, 0, [], {}
        self.worst = 0

    def look(self):
        for home in self.homes.pipes:
            item = home.get("placementledgers", "placement")
            if item:
                self._judge(home.namespace, item)

    def _judge(self, namespace, item):
        ledger, carried = Ledger(item), collections.Counter()
        self.bytes.append(len(json.dumps(item["spec"], separators=(",", ":"))))
        first, _ = self.decisions.get(namespace, (item["spec"].get("decision", 0), 0))
        self.decisions[namespace] = first, item["spec"].get("decision", 0)
        used, needs = collections.Counter(), collections.Counter()
        for (class_name, ordinal), sums in ledger.carried().items():
            carried[class_name] += sums[0]
            used[class_name] += sums[0] > 0
            if max(sums) > ledger.capacity[class_name]:
                self.over.append(f"{namespace}: {max(sums)} on {class_name}-{ordinal}")
        for class_name, milli in carried.items():
            needs[class_name] = math.ceil(milli / ledger.capacity[class_name])
        self.used += sum(used.values())
        self.fewest += sum(needs.values())
        if sum(needs.values()):
            self.worst = max(self.worst, sum(used.values()) / sum(needs.values()))

    def decided(self):
        return sum(last - first for first, last in self.decisions.values())


class Tally:
    """Requests by user, from the API server's audit log, read on as it grows; it is renamed when it is large."""

    def __init__(self, stack):
        self.path, self.counts, self.refused = stack.env["KUBE_AUDIT_LOG"], collections.Counter(), collections.Counter()
        self.file = open(self.path, "rb")  # pylint: disable=consider-using-with
        self.file.seek(0, os.SEEK_END)
        self.rest = b""

    def look(self):
        while True:
            renamed = os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino
            for line in self.file:
                self._count(line)
            if not renamed:
                return self
            self.file.close()
            self.file = open(self.path, "rb")  # pylint: disable=consider-using-with

    def _count(self, line):
        line, self.rest = self.rest + line, b""
        if not line.endswith(b"\n"):
            self.rest = line
            return
        event = json.loads(line)
        target = event.get("objectRef", {})
        what = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
        if event["stage"] == "ResponseComplete" and event["verb"] in WRITES and what != "leases":
            counted = self.counts if event["responseStatus"]["code"] < 300 else self.refused
            counted[event["user"]["username"], what] += 1

    def of(self, user):
        """{resource: writes that were taken}, without Leases."""
        return {what: count for (who, what), count in sorted(self.counts.items()) if who == user}


def etcd_bytes(stack):
    """(what its file has, what of that is in use)"""
    pki = pathlib.Path(stack.directory, "pki")
    tls = ssl.create_default_context(cafile=pki / "etcd-ca.crt")
    tls.load_cert_chain(pki / "etcd-client.crt", pki / "etcd-client.key")
    address = urllib.parse.urlsplit(stack.env["ETCD_URL"])
    connection = http.client.HTTPSConnection(address.hostname, address.port, context=tls, timeout=20)
    connection.request("GET", "/metrics")
    rows = dict(line.split(" ")[:2] for line in connection.getresponse().read().decode().splitlines() if line and line[0] != "#")
    connection.close()
    return tuple(int(float(rows[f"etcd_mvcc_db_total_size{part}_in_bytes"])) for part in ("", "_in_use"))


def scheduled(stack, count, namespace="bench-pods"):
    """So many pods, bare, until a node has each: seconds."""
    cluster = Cluster(stack)
    cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    pipes = Pipes(stack, namespace)
    begun = time.monotonic()
    pipes.worker_class("pods", count, capacity=1)
    eventually(lambda: pipes.ready_replicas("pods") == count, 60 + count, what=f"{count} pods ready")
    return time.monotonic() - begun
