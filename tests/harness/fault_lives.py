"""More lives for the scenario of tests/harness/crash_life.py."""

from . import crash_state
from .crash_life import Life


class NginxLife(Life):
    """An OvhNginx by kubectl: the smallest operator."""

    KINDS = ("ovhnginxes", "deployments", "services")

    def __init__(self, world, cluster, name):
        super().__init__(world, cluster, name)
        self.know(namespace=f"ns-crash-{name}")

    def live(self):
        return self.cluster.get("ovhnginxes", self.name, self.namespace)

    def spec(self, replicas, port):
        self.cluster.apply("ovhnginxes", {
            "apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx",
            "metadata": {"name": self.name, "namespace": self.namespace}, "spec": {"replicaCount": replicas, "port": port}})

    def cell(self, source):
        """Asked of the server itself: watches of these kinds are nobody's."""
        return {"objects": {kind: [crash_state.facts(item, self.seen) for item in self.cluster.list(kind, self.namespace)]
                            for kind in self.KINDS}}

    def create(self):
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.spec(1, 80)

    def change(self):
        self.spec(3, 8080)

    def drift(self):
        self.cluster.merge("deployments", self.name, {"spec": {"replicas": 7}}, self.namespace)

    def lose(self):
        self.cluster.delete("services", self.name, self.namespace)

    def diverge(self):
        """The label by which the operator's cache knows it is gone."""
        self.cluster.merge("services", self.name, {"metadata": {"labels": {"flotilla.dev/root": None}}}, self.namespace)

    def close(self):
        self.cluster.delete("ovhnginxes", self.name, self.namespace)

    def purge(self):
        self.cluster.delete("namespaces", self.namespace)

    def reached(self, stage):
        live = self.live()
        if stage in ("close", "undo", "purge"):
            return not live and not self.cluster.list("deployments", self.namespace)
        ready = [c["status"] for c in live.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
        deployment = self.cluster.get("deployments", self.name, self.namespace)
        return (ready == ["True"] and live["status"]["observedGeneration"] == live["metadata"]["generation"]
                and deployment["spec"]["replicas"] == live["spec"]["replicaCount"]
                and bool(self.cluster.get("services", self.name, self.namespace)))
