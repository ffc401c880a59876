"""The real node: what is simulated elsewhere happens here."""

import json
import os
import pathlib
import signal

import pytest
from harness.wait import eventually
from harness.node_place import CLIENT, PORTAL

pytestmark = pytest.mark.usefixtures("portal_image", "client_image")
PROBE = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}


def processes_of(container):
    """The numbers out here of a container's processes."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if container in path.read_text():
                found.append(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            pass
    return sorted(found)


def test_the_node_is_real(stack):
    node = stack.get("node", stack.env["NODE_NAME"])
    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    info = node["status"]["nodeInfo"]
    assert conditions["Ready"] == "True" and info["kubeletVersion"].startswith("v1.36.")
    assert info["containerRuntimeVersion"].startswith("containerd://")
    assert len(stack.get("nodes")["items"]) == 1
    assert stack._run("status").count(" up ") == len(stack._run("status").splitlines())


def test_service_by_name(place):
    """DNS, the Service's address and the pod behind it; then that pod through its own Service; then nobody behind it."""
    beside = {"name": "client", "image": CLIENT, "imagePullPolicy": "Never", "command": ["/usr/bin/sleep", "3600"]}
    place.pod("portal", PORTAL, labels={"app": "portal"}, readinessProbe=PROBE, beside=[beside])
    place.service("portal", 80, 8080)
    place.client()
    place.wait_ready("portal")
    for name in ("portal", f"portal.{place.name}", f"portal.{place.name}.svc.cluster.local"):
        assert "nginx stands for" in eventually(lambda: place.fetch("client", f"http://{name}/"), 10, what=name)
    own = f"http://portal.{place.name}/"  # the short name is its host name, too
    assert "nginx stands for" in place.run("portal", "/usr/bin/curl", "-sS", "--max-time", "5", own, container="client")
    place.stack.kubectl("delete", "pod", "portal", "-n", place.name)
    eventually(lambda: place.fetch("client", "http://portal/") is None, 10)


def test_the_api_from_inside(place):
    place.client()
    answer = place.run("client", "/usr/bin/curl", "-sSk", "--max-time", "5", "https://kubernetes.default.svc/version")
    assert json.loads(answer)["gitVersion"].startswith("v1.36.")


def test_pools_are_where_pods_reach_them(stack, place):
    place.client()
    url = f"http://{stack.env['POOL_S3_HOST']}:{stack.env['POOL_S3_PORT']}/health"
    eventually(lambda: place.fetch("client", url) is not None, what="the object store answers")
    ports = {stack.env["POOL_PG_HOST"]: stack.env["POOL_PG_PORT"], stack.env["POOL_REDIS_HOST"]: stack.env["POOL_REDIS_PORT"]}
    for host, port in ports.items():
        done = place.run("client", "/usr/bin/curl", "-sS", "--max-time", "2", f"http://{host}:{port}/", check=False)
        assert "refused" not in done.stderr and "timed out" not in done.stderr, done.stderr


def test_a_changed_configmap_arrives(place):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"word": "old"}}
    place.apply(config)
    place.client(volumes=[{"name": "words", "configMap": {"name": "words"}}], mounts=[{"name": "words", "mountPath": "/words"}])
    assert place.run("client", "/usr/bin/cat", "/words/word") == "old"
    place.apply({**config, "metadata": {"name": "words"}, "data": {"word": "new"}})
    eventually(lambda: place.run("client", "/usr/bin/cat", "/words/word") == "new", 15, what="the new word in the pod")


def test_what_is_killed_is_started_again(place):
    place.pod("portal", PORTAL, readinessProbe=PROBE)
    place.wait_ready("portal")

    def status():
        return place.get("pod", "portal")["status"]["containerStatuses"][0]

    before = status()["containerID"]
    running = processes_of(before.removeprefix("containerd://"))
    assert len(running) >= 2, "nginx and its worker"
    os.kill(running[0], signal.SIGKILL)
    eventually(lambda: status()["restartCount"] == 1 and status()["ready"], 20, what="restarted")
    assert status()["containerID"] != before and status()["lastState"]["terminated"]["exitCode"] == 137


def test_redis_runs(place, image):
    place.pod("redis", image("redis", "flotilla.dev/redis:1"), args=["--save", "", "--port", "6380"])
    place.wait_ready("redis")
    eventually(lambda: place.run("redis", "/usr/bin/redis-cli", "-p", "6380", "ping").strip() == "PONG", 10)


def test_a_second_interface_by_multus(place):
    config = {"cniVersion": "0.4.0", "type": "bridge", "bridge": "ext0",
              "ipam": {"type": "host-local", "dataDir": "/run/cni/leases", "ranges": [[{"subnet": "198.18.66.0/24"}]]}}
    place.apply({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "ext"},
                 "spec": {"config": json.dumps(config)}})
    place.client(annotations={"k8s.v1.cni.cncf.io/networks": "ext@net1"})
    assert "net1:" in place.run("client", "/usr/bin/cat", "/proc/net/dev")
    told = json.loads(place.get("pod", "client")["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"])
    assert [each["interface"] for each in told] == ["eth0", "net1"] and told[1]["ips"][0].startswith("198.18.66.")
