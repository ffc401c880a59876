"""More lives for the scenario of tests/harness/crash_life.py."""

from . import crash_state
from .crash_life import Life
from .wait import eventually


def ready_condition(item):
    rows = (item or {}).get("status", {}).get("conditions", [])
    return next(((row["status"], row.get("reason")) for row in rows if row["type"] == "Ready"), None)


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
        if not crash_state.has_home(source, self.namespace):
            return {"namespace": False}
        return {"namespace": True,
                "objects": {kind: [crash_state.facts(item, self.seen) for item in source.list(kind, self.namespace)]
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
        ready = ready_condition(live)
        deployment = self.cluster.get("deployments", self.name, self.namespace)
        return (ready and ready[0] == "True" and live["status"]["observedGeneration"] == live["metadata"]["generation"]
                and deployment["spec"]["replicas"] == live["spec"]["replicaCount"]
                and bool(self.cluster.get("services", self.name, self.namespace)))


class PipelineLife(Life):
    """A pipeline of two stages by kubectl. Which of its workers carries how much depends on when each was heard of, so that
    what is compared is how much is carried, by how many, and that none has more than it can do."""

    API, LABEL = "scheduling.k8s.xxii.io/v1alpha1", "scheduling.k8s.xxii.io/workerclass"
    CLASSES = {"blue": (30, 1), "green": (15, 2)}  # capacity, workers
    KINDS = ("workerclasses", "pipelines", "placementledgers", "pipelinebindings", "services", "endpointslices")

    def __init__(self, world, cluster, name):
        super().__init__(world, cluster, name)
        self.know(namespace=f"ns-crash-{name}")
        self.ledger = None

    def one(self, resource, name):
        return self.cluster.get(resource, name, self.namespace)

    def apply(self, resource, kind, name, spec, version=API, **labels):
        self.cluster.apply(resource, {"apiVersion": version, "kind": kind, "spec": spec,
                                      "metadata": {"name": name, "namespace": self.namespace, "labels": labels}})

    def rate(self, rate):
        self.apply("pipelines", "Pipeline", self.name, {
            "documentsPerSecond": rate, "workers": {"first": {"class": "blue", "next": ["second"]}, "second": {"class": "green"}}})

    # ---- what it looks like

    def of_workerclass(self, item):
        return {key: item.get("status", {}).get(key) for key in ("request", "used", "readyReplicas")}

    def of_pipeline(self, item):
        status = item.get("status", {})
        return [item["spec"], status.get("phase"), ready_condition(item), status.get("waiting"),
                status.get("observedGeneration") == item["metadata"]["generation"],
                [(stage["name"], stage["reason"], stage.get("missing")) for stage in status.get("stages", [])]]

    def of_placementledger(self, item):
        return sorted(row["name"] for row in item["spec"].get("pipelines", []))

    def of_pipelinebinding(self, item):
        return [item.get("status", {}).get("phase"), ready_condition(item),
                sum(share["milliDocumentsPerSecond"] for share in item["spec"]["shares"])]

    def of_service(self, item):
        return crash_state.facts(item, self.seen)

    def of_endpointslice(self, item):
        return [item["ports"], sorted(end["conditions"]["ready"] for end in item.get("endpoints") or [])]

    def overloaded(self, bindings):
        loads = {}
        for share in (share for item in bindings for share in item["spec"]["shares"]):
            loads[share["pod"]] = loads.get(share["pod"], 0) + share["milliDocumentsPerSecond"] / 1000
        return {pod: load for pod, load in loads.items() if load > self.CLASSES[pod.split("-")[0]][0]}

    def cell(self, source):
        if not crash_state.has_home(source, self.namespace):
            return {"namespace": False}
        look = (self.of_workerclass, self.of_pipeline, self.of_placementledger, self.of_pipelinebinding, self.of_service,
                self.of_endpointslice)
        found = {kind: source.list(kind, self.namespace) for kind in self.KINDS}
        facts = {kind: [(item["metadata"]["name"], of(item)) for item in found[kind]] for kind, of in zip(self.KINDS, look)}
        return {"namespace": True, **crash_state.normal(facts, self.seen), "overloaded": self.overloaded(found["pipelinebindings"])}

    # ---- its stages

    def create(self):
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        spec = {"containers": [{"name": "worker", "image": "registry.k8s.io/pause:3.10"}], "terminationGracePeriodSeconds": 0}

        def started(pod, name):  # once the namespace has its service account
            if not self.one("pods", pod):
                self.apply("pods", "Pod", pod, spec, "v1", **{self.LABEL: name})
            return ready_condition(self.one("pods", pod))[0] == "True"

        for name, (capacity, workers) in self.CLASSES.items():
            self.apply("workerclasses", "WorkerClass", name, {"capacity": capacity, "drainSeconds": 0})
            for number in range(workers):
                eventually(lambda pod=f"{name}-{number}", name=name: started(pod, name), 30, what=f"{name}-{number} runs")
        self.rate(10)

    def change(self):
        self.rate(20)

    def drift(self):
        self.cluster.delete("pipelinebindings", f"{self.name}-second", self.namespace)

    def higher(self):
        self.rate(10)

    def lose(self):
        self.cluster.delete("pods", "green-0", self.namespace)

    def diverge(self):
        self.ledger = self.one("placementledgers", "placement")["metadata"]["uid"]
        self.cluster.delete("placementledgers", "placement", self.namespace)

    def close(self):
        self.cluster.delete("pipelines", self.name, self.namespace)

    def purge(self):
        self.cluster.delete("namespaces", self.namespace)

    def carries(self, rate):
        """The load of a class is told up to 5 s late; of how many pods are wanted only the end, nothing, is waited for."""
        rows = [item.get("status", {}) for item in self.cluster.list("workerclasses", self.namespace)]
        return all((row.get("request"), row.get("used")) == (rate, rate) and (rate or not row.get("wantedReplicas")) for row in rows)

    def reached(self, stage):
        bindings = self.cluster.list("pipelinebindings", self.namespace)
        if stage in ("close", "undo", "purge"):
            return not bindings and self.carries(0)
        pipeline, ledger = self.one("pipelines", self.name), self.one("placementledgers", "placement")
        rate = pipeline["spec"]["documentsPerSecond"] * 1000
        return (ready_condition(pipeline) == ("True", "Routed") and self.carries(rate / 1000)
                and ledger["metadata"]["uid"] != self.ledger and len(bindings) == 2
                and all(self.of_pipelinebinding(item)[2] == rate for item in bindings))
