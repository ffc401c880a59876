"""Pipelines of one tenant, seen over HTTP and in their cell."""

import subprocess

from .cluster import Cluster
from .process import base_env, binary
from .wait import eventually

API = "scheduling.k8s.xxii.io/v1alpha1"
GRAPH = {"first": {"class": "blue", "next": ["second"]}, "second": {"class": "green"}}
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "runAsUser": 1000,
              "seccompProfile": {"type": "RuntimeDefault"}}


class Line:
    """A tenant's pipelines on both sides."""

    def __init__(self, world, tenant=None, api=None):
        self.world, self.cluster = world, Cluster(world.stack)
        self.tenant, self.api = tenant or world.tenant, api or world.tenant_api
        self.base = f"/v1/tenants/{self.tenant}/pipelines"
        self.namespace = "tn-" + self.tenant[3:]

    def create(self, name, rate=10, workers=None):
        answer = self.api.request("POST", self.base, {"name": name, "spec": {"documentsPerSecond": rate,
                                                                             "workers": workers or GRAPH}})
        assert answer.status == 202, answer.body
        return answer

    def change(self, method, pipeline, body=None):
        answer = self.api.request(method, f"{self.base}/{pipeline}", body)
        assert answer.status == 202, answer.body
        return answer

    def ended(self, answer):
        """The operation of an accepted change, once it is over."""
        def over():
            operation = self.api.get(answer.headers["operation-location"])
            where = operation["resource"]
            assert operation["status"] not in ("pending", "running"), (operation, where and self.api.get(where["href"]))
            return operation

        return eventually(over, 75)

    def ask(self, name, rate=10, workers=None):
        """A dry run: its answer over HTTP."""
        body = {"name": name, "spec": {"documentsPerSecond": rate, "workers": workers or GRAPH}}
        answer = self.api.request("POST", f"{self.base}?dryRun=true", body)
        assert answer.status == 202, answer.body
        return answer

    def told(self, *args, **more):
        """What the cell would do."""
        operation = self.ended(self.ask(*args, **more))
        assert (operation["kind"], operation["status"], operation["error"]) == ("preview", "succeeded", None), operation
        return operation["result"]

    def status(self, pipeline):
        return self.api.get(f"{self.base}/{pipeline}")["status"]

    def picture(self, pipeline, accept):
        answer = self.api.request("GET", f"{self.base}/{pipeline}/graph", headers={"Accept": accept})
        assert answer.status == 200, answer.body
        return answer.body

    def place(self, *words):
        done = subprocess.run([binary(), "do", "place", *words, "--kubeconfig", self.world.stack.env["KUBECONFIG_ADMIN"]],
                              env=base_env(self.world.directory), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def live(self, name):
        return self.cluster.get("pipelines", name, self.namespace)

    def worker_class(self, name, capacity, **more):
        self.cluster.apply("workerclasses", {"apiVersion": API, "kind": "WorkerClass", "spec": {"capacity": capacity, **more},
                                             "metadata": {"name": name, "namespace": self.namespace}})

    def pod(self, workload, ordinal):
        spec = {"containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10", "securityContext": RESTRICTED}],
                "terminationGracePeriodSeconds": 0}

        def made():  # once the namespace has its service account
            self.cluster.apply("pods", {"apiVersion": "v1", "kind": "Pod", "spec": spec, "metadata": {
                "name": f"{workload}-{ordinal}", "namespace": self.namespace,
                "labels": {"scheduling.k8s.xxii.io/workerclass": workload}}})
            return True

        eventually(made, 20)
