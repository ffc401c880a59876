"""The peer of `pipeline-bench` on the real API server: a client that writes for each pipeline what must be written (the objects of
its stages and their statuses, no ledger, no class, no event), and decides nothing. What it takes is what the server takes."""

import copy
import queue
import threading
import time

from .wait import eventually

HANDS = 16  # as many connections as the operator keeps

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
OF_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def _to_be_written(item, namespace):
    item = copy.deepcopy(item)
    for key in OF_SERVER:
        item["metadata"].pop(key, None)
    for key in ADDRESSES:
        item.get("spec", {}).pop(key, None)
    item["metadata"]["namespace"] = namespace
    return item


class Recording:
    """A pipeline that is Ready, and all that was made for it."""

    def __init__(self, home, name):
        self.pipeline = home.get("pipelines", name)
        kinds = {"pipelinebindings": ("scheduling.k8s.xxii.io/v1alpha1", "PipelineBinding"), "services": ("v1", "Service"),
                 "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice")}
        self.children = [(resource, {"apiVersion": version, "kind": kind, **item}) for resource, (version, kind) in kinds.items()
                         for item in home.cluster.list(resource, home.namespace) if self._is_of(item, name)]

    @staticmethod
    def _is_of(item, name):
        return any(row["name"] == name or row["name"].startswith(f"{name}-") for row in item["metadata"].get("ownerReferences", []))


class Bare:
    """`count` times the recording, renamed, in `namespace`, by many connections."""

    def __init__(self, cluster, recording, namespace):
        self.cluster, self.recording, self.namespace = cluster, recording, namespace
        self.writes, self.errors, self.lock = 0, [], threading.Lock()

    def _write(self, method, resource, name, item, kind, subresource=""):
        path = self.cluster.path(resource, self.namespace, name) + subresource
        query = "?fieldManager=bare&fieldValidation=Strict" + ("&force=true" if kind == APPLY else "")
        answer = self.cluster.ok(method, path + query, item, kind)
        with self.lock:
            self.writes += 1
        return answer

    def _one(self, number):
        was = self.recording.pipeline["metadata"]["name"]
        name, uids = f"bare-{number}", {}

        def renamed(text):
            return name + text.removeprefix(was)

        pipeline = _to_be_written(self.recording.pipeline, self.namespace)
        status = pipeline.pop("status")
        pipeline["metadata"]["name"] = name
        uids[name] = self._write("POST", "pipelines", None, pipeline, "application/json")["metadata"]["uid"]
        for resource, child in self.recording.children:
            item = _to_be_written(child, self.namespace)
            told = item.pop("status", None)
            item["metadata"]["name"] = renamed(item["metadata"]["name"])
            for owner in item["metadata"]["ownerReferences"]:
                owner["name"] = renamed(owner["name"])
                owner["uid"] = uids[owner["name"]]
            labels = item["metadata"]["labels"]
            labels.update({key: renamed(value) for key, value in labels.items() if value.startswith(was)})
            made = self._write("PATCH", resource, item["metadata"]["name"], item, APPLY)
            if resource == "pipelinebindings":
                uids[item["metadata"]["name"]] = made["metadata"]["uid"]
                self._write("PATCH", resource, item["metadata"]["name"], {"status": told}, MERGE, "/status")
        for phase in ("Plotted", "Ready"):
            self._write("PATCH", "pipelines", name, {"status": {**status, "phase": phase}}, MERGE, "/status")

    def remove(self):
        """What it owns goes with it."""
        self.cluster.ok("DELETE", self.cluster.path("pipelines", self.namespace))
        eventually(lambda: not self.cluster.list("services", self.namespace), 300, what="what the bare client made went")

    def run(self, count):
        """Seconds."""
        numbers, begun = queue.Queue(), time.monotonic()
        for number in range(count):
            numbers.put(number)

        def work():
            try:
                while True:
                    self._one(numbers.get_nowait())
            except queue.Empty:
                pass
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)

        hands = [threading.Thread(target=work) for _ in range(HANDS)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert not self.errors, self.errors[0]
        return time.monotonic() - begun
