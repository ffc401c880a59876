"""The operator with pods that run: what crds/examples say becomes true."""

import subprocess

import pytest
from harness import REPO, pools
from harness.process import Flotillad
from harness.stack import lacking
from harness.wait import eventually
from harness.node_place import Place

IMAGES = REPO / "server/dev/node/images"
EXAMPLE = REPO / "crds/examples/registry.yaml"


@pytest.fixture(scope="module")
def operator(stack, tmp_path_factory):
    """Inside of the node's network: what is told to it about pools is what pods are told."""
    system = Place(stack, "flotilla-system")
    for kind in pools.TYPES:
        secret, pool = pools.items(stack.env, kind, f"node-{kind.lower()}", slots=10)
        system.apply(secret)
        system.apply({**pool, "metadata": {**pool["metadata"], "namespace": ""}})
    directory = tmp_path_factory.mktemp("operate")
    process = Flotillad(["operate"], {**stack.cell_env(directory), **lacking("2.15.2")}, directory, within=stack.within)
    process.wait_log(lambda line: line.get("msg", "").startswith("ready"), 30)
    yield process
    status = process.stop()
    assert status == 0 and not process.sanitizer_reports(), process.sanitizer_reports() or process.logs[-3:]


def ready(stack):
    """The condition, once it is true of what is wanted."""
    item = stack.get("registry", "acme", "-n", "acme")
    found = [c for c in item.get("status", {}).get("conditions", []) if c["type"] == "Ready" and c["status"] == "True"]
    return found and item["status"]["observedGeneration"] == item["metadata"]["generation"] and found[0]


@pytest.mark.usefixtures("operator", "client_image")
def test_the_example_becomes_ready_with_real_pods(stack):
    stack.kubectl("apply", "-f", EXAMPLE)

    def ready_with_images():
        subprocess.run([IMAGES, stack.directory], check=True)
        return ready(stack)

    told = eventually(ready_with_images, 60, interval=0.5, what="Ready")
    left_out = lacking("2.15.2")["FLOTILLA_LEAVE_OUT"]
    assert told["reason"] == "ReadyInPart" and told["message"].endswith(f": {left_out}")
    place = Place(stack, "acme")
    pods = stack.get("pods", "-n", "acme")["items"]
    assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods} >= {"portal", "registry"}
    for pod in pods:
        status = pod["status"]["containerStatuses"][0]
        assert pod["spec"]["nodeName"] == stack.env["NODE_NAME"] and status["containerID"].startswith("containerd://")
        assert status["imageID"].startswith("sha256:") and status["image"].startswith("docker.io/goharbor/")
    place.client()
    assert "nginx stands for" in eventually(lambda: place.fetch("client", "http://acme-portal/"), 10)
    stack.kubectl("delete", "-f", EXAMPLE, "--timeout=60s")
    assert not place.get("pods", ""), "and they end with it"
