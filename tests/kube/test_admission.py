"""What helm/flotilla/admission refuses, whatever rights somebody has. On the real API server: devcluster evaluates no policy."""

import json

import pytest
from harness.wait import eventually

API = "scheduling.k8s.xxii.io/v1alpha1"
NAMESPACE = "admission"
SHARE = {"pod": "x", "address": "10.66.66.66", "milliDocumentsPerSecond": 1000, "ready": True}
BINDING = {"pipeline": "first", "stage": "blue", "class": "blue", "milliDocumentsPerSecond": 1000, "port": 8080, "shares": [SHARE]}


def manifest(kind, name, spec):
    return json.dumps({"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})


@pytest.fixture(name="tenant")
def fixture_tenant(kubectl):
    """kubectl of one who has every right in his namespace, where a ledger and a binding of the operator's are."""
    kubectl("create", "namespace", NAMESPACE)
    kubectl("-n", NAMESPACE, "create", "rolebinding", "tenant", "--clusterrole=cluster-admin", "--user=tenant")
    for row in [("PlacementLedger", "placement", {"decision": 1}), ("PipelineBinding", "first-blue", BINDING)]:
        kubectl("apply", "-f", "-", stdin=manifest(*row), kubeconfig="operate")
    yield lambda *args, **more: kubectl("-n", NAMESPACE, "--as=tenant", *args, **more)
    kubectl("delete", "namespace", NAMESPACE)


def test_a_tenant_writes_neither_ledger_nor_binding(tenant, kubectl):
    def refused(*args, **more):
        done = tenant(*args, check=False, **more)
        assert done.returncode != 0 and "written by the operator of pipelines alone" in done.stderr, (done.stdout, done.stderr)
        return True

    lies = {"placementledger/placement": {"decision": 7}, "pipelinebinding/first-blue": {"shares": []}}
    for name, spec in lies.items():  # a policy is known to the server some time after it is there
        patch = json.dumps({"spec": spec})
        eventually(lambda name=name, patch=patch: refused("patch", name, "--type=merge", "-p", patch), 20)
        kubectl("-n", NAMESPACE, "patch", name, "--type=merge", "-p", patch, kubeconfig="operate")
    refused("create", "-f", "-", stdin=manifest("PipelineBinding", "mine", BINDING))
    for name in lies:
        tenant("label", name, "team=mine")
        tenant("delete", name)


def test_who_may_not_make_routes_has_none_made_by_a_class(kubectl):
    """Rights over classes alone: neither a new class nor a changed one asks for routes; one that asks already may be changed."""
    namespace = f"{NAMESPACE}-routes"

    def grant(group, resource):
        metadata = {"name": resource, "namespace": namespace}
        rules = [{"apiGroups": [group], "resources": [resource], "verbs": ["*"]}]
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}
        kubectl("create", "-f", "-", stdin=json.dumps(role))
        kubectl("-n", namespace, "create", "rolebinding", resource, f"--role={resource}", "--user=modest")

    def modest(name, **spec):
        metadata = {"name": name, "namespace": namespace}
        item = {"apiVersion": API, "kind": "WorkerClass", "metadata": metadata, "spec": {"capacity": 1, **spec}}
        return kubectl("-n", namespace, "--as=modest", "apply", "-f", "-", stdin=json.dumps(item), check=False)

    def refused(name, **spec):
        done = modest(name, **spec)
        assert done.returncode != 0 and "you may not make them in this namespace" in done.stderr, (done.stdout, done.stderr)
        return True

    def taken(name, **spec):
        done = modest(name, **spec)
        assert done.returncode == 0, done.stderr
        return True

    kubectl("create", "namespace", namespace)
    try:
        grant("scheduling.k8s.xxii.io", "workerclasses")
        eventually(lambda: refused("asks", httpRoute={}), 20)
        taken("plain")
        refused("plain", httpRoute={})
        kubectl("-n", namespace, "patch", "workerclass/plain", "--type=merge", "-p", '{"spec":{"httpRoute":{}}}')
        taken("plain", httpRoute={}, maxSplit=2)
        refused("plain", httpRoute={"gateways": [{"name": "public"}], "hostnameSuffix": "example.com"})
        taken("plain")
        assert "httpRoute" not in json.loads(kubectl("-n", namespace, "get", "workerclass/plain", "-o", "json"))["spec"]
        grant("gateway.networking.k8s.io", "httproutes")
        eventually(lambda: taken("asks", httpRoute={}), 20, what="the right is known")
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")
