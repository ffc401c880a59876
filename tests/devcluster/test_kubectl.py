"""What people do, with a current kubectl."""

import json
import subprocess
import sys
import pathlib

import pytest
from harness.devcluster import kubectl_path
from harness.wait import eventually

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import configmap, nginx, workload  # noqa: E402


@pytest.fixture
def kubectl(dev, namespace):
    def run(*args, **kwargs):
        return dev.kubectl("-n", namespace, *args, **kwargs)

    return run


def test_apply_wait_get_describe(kubectl):
    item = json.dumps(workload("Deployment", "web", 2))
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=item)
    kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=30s")
    assert "2/2" in kubectl("get", "deploy", "web") and "node-1" in kubectl("get", "pods", "-o", "wide")
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert "replicas: 2" in kubectl("get", "deploy", "web", "-o", "yaml")
    assert kubectl("get", "deploy,rs,pods", "-l", "app=web", "-o", "name").count("\n") >= 3
    assert "2 desired | 2 updated | 2 total | 2 available" in kubectl("describe", "deploy", "web")
    assert "web" in kubectl("get", "all") and "web" in kubectl("get", "deploy", "-A")


def test_change_and_delete(kubectl):
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(workload("Deployment", "web", 1)))
    kubectl("scale", "deploy/web", "--replicas=3")
    kubectl("label", "deploy/web", "tier=front")
    kubectl("annotate", "deploy/web", "note=mine")
    kubectl("patch", "deploy/web", "-p", json.dumps({"spec": {"template": {"spec": {"containers": [
        {"name": "c", "env": [{"name": "A", "value": "b"}]}]}}}}))
    kubectl("patch", "deploy/web", "--type=json", "-p", '[{"op": "add", "path": "/metadata/labels/a~1b", "value": "c"}]')
    kubectl("patch", "deploy/web", "--type=merge", "-p", '{"spec": {"minReadySeconds": 1}}')
    item = json.loads(kubectl("get", "deploy", "web", "-o", "json"))
    container = item["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("nginx:1", [{"name": "A", "value": "b"}])
    assert (item["spec"]["replicas"], item["spec"]["minReadySeconds"]) == (3, 1)
    assert item["metadata"]["labels"] == {"tier": "front", "a/b": "c"} and item["metadata"]["annotations"]["note"] == "mine"
    assert "deleted" in kubectl("delete", "deploy/web", "--timeout=30s")
    assert kubectl("get", "deploy", "web", check=False).returncode == 1


def test_client_side_apply_of_our_kinds(kubectl):
    assert "created" in kubectl("apply", "-f", "-", stdin=json.dumps(nginx("web", 1)))
    assert "configured" in kubectl("apply", "-f", "-", stdin=json.dumps(nginx("web", 2)))
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=json.dumps(nginx("web", 2)))
    assert kubectl("get", "onx", "web", "-o", "jsonpath={.spec.replicaCount}") == "2"
    bad = nginx("bad")
    bad["spec"]["image"] = "evil"
    refused = kubectl("apply", "-f", "-", stdin=json.dumps(bad), check=False)
    assert refused.returncode != 0 and 'unknown field "spec.image"' in refused.stderr


def test_watch_sees_what_comes(dev, namespace, kubectl):
    env = {"KUBECONFIG": dev.kubeconfig, "PATH": "/usr/bin", "HOME": "/nonexistent", "KUBECACHEDIR": f"{dev.kubeconfig}.cache"}
    with subprocess.Popen([kubectl_path(), "-n", namespace, "get", "cm", "-w"], stdout=subprocess.PIPE, text=True, env=env) as watch:
        try:
            assert watch.stdout.readline().split() == ["NAME", "DATA", "AGE"]
            kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(configmap("late", {"a": "b"})))
            seen = [watch.stdout.readline().split()[:2] for _ in range(2)]
            assert ["late", "1"] in seen
        finally:
            watch.terminate()


def test_what_there_is(dev):
    listed = dev.kubectl("api-resources", "--no-headers")
    assert "onx" in listed and len(listed.splitlines()) >= 20
    assert "v1.36" in dev.kubectl("version") and "registry.flotilla.dev/v1alpha1" in dev.kubectl("api-versions")
    assert "replicaCount" in dev.kubectl("explain", "onx.spec")
    asked = dev.kubectl("auth", "can-i", "get", "pods", check=False)  # in protobuf, which is not served
    assert asked.returncode == 1 and "does not serve application/vnd.kubernetes.protobuf" in asked.stderr, asked
    eventually(lambda: "Active" in dev.kubectl("get", "ns", "default"))
