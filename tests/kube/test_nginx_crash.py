"""Whoever dies before or after a write of the OvhNginx operator, at create, change or drift: the next operator brings the end
that nobody's death brings, over the same children, and then writes nothing. A deletion has no write that one could die at."""

import time

import pytest
from harness import crash_state
from harness.cell import SHORT_LEASES, bury
from harness.cluster import Cluster
from harness.killpoint import KillPoint, Quiet
from harness.process import Flotillad
from harness.wait import eventually

CALLS = ("kube.object.apply", "kube.status.write", "kube.event.create")
STAGES = ("create", "change", "drift")
KINDS = ("ovhnginxes", "deployments", "services")
STABLE_S = 1.5


class Life:
    """One OvhNginx. Each stage makes the operator write the Service, the Deployment, or both."""

    def __init__(self, stack, name):
        self.cluster, self.namespace, self.port, self.uids = Cluster(stack), f"nginx-{name}", 80, None
        eventually(lambda: not self.cluster.list("ovhnginxes"), 90, what="nobody else's: the point is where this one is written")
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.quiet, self.seen = Quiet(stack, self.namespace, "ovhnginx"), crash_state.Seen()
        crash_state.learn(self.seen, namespace=self.namespace)

    def get(self, resource):
        return self.cluster.get(resource, "web", self.namespace)

    def spec(self, port):
        self.port = port
        self.cluster.apply("ovhnginxes", {"apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx",
                                          "metadata": {"name": "web", "namespace": self.namespace},
                                          "spec": {"replicaCount": 1, "port": port}})

    def create(self):
        self.spec(80)

    def change(self):
        self.spec(8080)

    def drift(self):
        self.cluster.merge("deployments", "web", {"spec": {"replicas": 2}}, self.namespace)

    def begin(self, stage):
        """Events of stages before are as good as over: within ten minutes nothing is told twice."""
        self.cluster.ok("DELETE", self.cluster.path("events", self.namespace))
        getattr(self, stage)()

    def is_current(self):
        root = self.get("ovhnginxes")
        ready = [row["status"] for row in root["status"]["conditions"] if row["type"] == "Ready"]
        return (ready == ["True"] and root["status"]["observedGeneration"] == root["metadata"]["generation"]
                and self.get("deployments")["spec"]["replicas"] == 1
                and self.get("services")["spec"]["ports"][0]["port"] == self.port)

    def looks(self):
        return {kind: [crash_state.facts(item, self.seen) for item in self.cluster.list(kind, self.namespace)] for kind in KINDS}

    def is_stable(self):
        before = self.looks()
        time.sleep(STABLE_S)
        return self.is_current() and before == self.looks()

    def end(self, stage, operator):
        """What is there is what was there, and the operator is quiet."""
        found = {kind: self.get(kind)["metadata"]["uid"] for kind in KINDS}
        self.uids = self.uids or found
        assert found == self.uids, "made anew"
        note = {"metadata": {"annotations": {"woken": stage}}}
        self.quiet.assert_after(lambda: self.cluster.merge("ovhnginxes", "web", note, self.namespace), operator)

    def delete(self):
        self.cluster.ok("DELETE", self.cluster.path("ovhnginxes", self.namespace, "web") + "?propagationPolicy=Foreground")
        eventually(lambda: not any(self.cluster.list(kind, self.namespace) for kind in KINDS), 20, what="all gone")
        self.cluster.delete("namespaces", self.namespace)


def operate(stack, life, start, env):
    bury(life)
    return start(["operate", "--kubeconfig", stack.env["KUBECONFIG_OPERATE"]], {**SHORT_LEASES, **env})


@pytest.fixture(scope="module")
def undisturbed(stack, tmp_path_factory):
    """{stage: how it looks at its end}, with an operator that nobody kills."""
    life, directory, looks = Life(stack, "undisturbed"), tmp_path_factory.mktemp("undisturbed"), {}
    operator = operate(stack, life, lambda args, env: Flotillad(args, env, directory), {})
    try:
        for stage in STAGES:
            life.begin(stage)
            eventually(life.is_current, 30)
            eventually(life.is_stable, 30)
            looks[stage] = life.looks()
            life.end(stage, operator)
        life.delete()
    finally:
        status = operator.stop()
    assert status == 0 and not operator.sanitizer_reports()
    return looks


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_the_end_is_the_same(stack, flotillad, undisturbed, tmp_path, call, side):
    life = Life(stack, f"{call.split('.')[1]}-{side}")
    point = KillPoint(tmp_path, f"{call}.{side}")
    operator = operate(stack, life, flotillad, point.env)
    for stage in STAGES:
        point.arm()
        life.begin(stage)
        point.assert_killed(operator)
        operator = operate(stack, life, flotillad, point.env)
        eventually(lambda stage=stage: life.looks() == undisturbed[stage], 30, what=f"as undisturbed at the end of {stage}")
        life.end(stage, operator)
    point.arm()
    life.delete()
    assert operator.process.poll() is None and not life.quiet.writes(), "a deletion is the garbage collector's work alone"
