"""A namespace with worker classes, their StatefulSets and pipelines, and operators without any pool, for the proofs."""

import contextlib
import os
import shutil
import tempfile
import time

from . import proof
from .cluster import Cluster
from .process import Flotillad
from .wait import eventually

GROUP = "scheduling.k8s.xxii.io"
API = f"{GROUP}/v1alpha1"
CLASS_LABEL = f"{GROUP}/workerclass"
NO_POOLS = ("pg-fleet", "pg-pool", "redis-pool", "s3-pool")


class Pipes:
    """Pods of class `blue` are blue-0, blue-1, …, as the talk draws them."""

    def __init__(self, stack, namespace):
        self.stack, self.namespace, self.cluster = stack, namespace, Cluster(stack)
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def _apply(self, resource, name, version, kind, spec):
        self.cluster.apply(resource, {"apiVersion": version, "kind": kind, "spec": spec,
                                      "metadata": {"name": name, "namespace": self.namespace}})

    def worker_class(self, name, replicas, ordered=False, **spec):
        self._apply("workerclasses", name, API, "WorkerClass", {"drainSeconds": 0, **spec})
        labels = {CLASS_LABEL: name}
        pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}]}
        self._apply("statefulsets", name, "apps/v1", "StatefulSet", {
            "serviceName": name, "replicas": replicas, "podManagementPolicy": "OrderedReady" if ordered else "Parallel",
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}})

    def scale(self, name, replicas):
        self.cluster.merge("statefulsets", name, {"spec": {"replicas": replicas}}, self.namespace)

    def ready_replicas(self, name):
        return self.get("statefulsets", name).get("status", {}).get("readyReplicas", 0)

    def wait_workers(self, **replicas):
        for name, count in replicas.items():
            eventually(lambda name=name, count=count: self.ready_replicas(name) == count, 60, what=f"{count} {name} pods ready")

    def pipeline(self, name, rate, classes):
        """A line of stages, each named as its class."""
        classes = list(classes)
        workers = {stage: {"class": stage, "next": [following] if following else []}
                   for stage, following in zip(classes, [*classes[1:], None])}
        self._apply("pipelines", name, API, "Pipeline", {"documentsPerSecond": rate, "workers": workers})

    def get(self, resource, name):
        return self.cluster.get(resource, name, self.namespace)

    def lose(self, pod):
        self.cluster.delete("pods", pod, self.namespace)

    def set_ready(self, name, ready, uid=None):
        """As a kubelet says it, where none speaks; of this uid only. Its uid; None where it went."""
        pod = self.get("pods", name)
        if not pod or uid not in (None, pod["metadata"]["uid"]) or "deletionTimestamp" in pod["metadata"]:
            return None
        for row in pod["status"]["conditions"]:
            if row["type"] == "Ready":
                row.update(status=str(ready), lastTransitionTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": pod["status"]["conditions"]}}
        path = self.cluster.path("pods", self.namespace, name)
        status, _ = self.cluster.request("PATCH", f"{path}/status", patch, "application/merge-patch+json")
        return pod["metadata"]["uid"] if status == 200 else None

    def schedulable(self, nodes_take_pods):
        """Whether the nodes take pods: while they do not, a StatefulSet's new pod waits."""
        for node in self.cluster.list("nodes"):
            self.cluster.merge("nodes", node["metadata"]["name"], {"spec": {"unschedulable": not nodes_take_pods}})

    def wait_ready(self, *names, timeout=60):
        for name in names:
            self.wait(name, "Ready", "Routed", timeout)

    def wait(self, name, phase, reason, timeout=30):
        def is_so():
            status = self.get("pipelines", name).get("status", {})
            reasons = [row["reason"] for row in status.get("conditions", []) if row["type"] == "Ready"]
            assert (status.get("phase"), reasons) == (phase, [reason]), status
            return True

        eventually(is_so, timeout, what=f"{name} {phase}, {reason}")


@contextlib.contextmanager
def operator(stack, env=None):
    """`flotillad operate` on the stack's cluster; its last words are printed when the proof fails."""
    directory = tempfile.mkdtemp(prefix="operate-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    process = Flotillad(["operate"], {"FLOTILLA_KUBECONFIG": stack.env["KUBECONFIG_OPERATE"], **proof.CALM, **(env or {})}, directory)
    try:
        process.wait_log(lambda line: line.get("msg", "").startswith("ready"), timeout=30)
        yield process
    except BaseException:
        for line in process.logs[-15:]:
            print("   ", str(line)[:400])
        process.kill()
        raise
    assert process.stop() == 0 and not process.sanitizer_reports()
    shutil.rmtree(directory, ignore_errors=True)
