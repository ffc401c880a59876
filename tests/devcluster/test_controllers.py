"""What a control plane does by itself."""

import sys
import pathlib

import pytest
from harness.wait import eventually

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import apps, configmap, configmaps, pod_template, workload  # noqa: E402

MERGE = "application/merge-patch+json"


def pods(dev, namespace):
    return dev.ok("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]


def ready(pod):
    return any(row["type"] == "Ready" and row["status"] == "True" for row in pod["status"].get("conditions", []))


def settled(dev, path, replicas):
    item = dev.ok("GET", path)
    status = item.get("status", {})
    return (status.get("observedGeneration") == item["metadata"]["generation"]
            and status.get("readyReplicas", 0) == status.get("replicas", 0) == replicas and item)


def test_a_deployment_makes_pods_and_rolls(dev, namespace):
    path = apps(namespace, "deployments", "web")
    dev.ok("POST", apps(namespace, "deployments"), workload("Deployment", "web", 2))
    eventually(lambda: settled(dev, path, 2), 5)
    before = {pod["metadata"]["uid"] for pod in pods(dev, namespace)}
    dev.ok("PATCH", path, {"spec": {"template": pod_template("web", "nginx:2")}}, MERGE)
    eventually(lambda: settled(dev, path, 2) and len(pods(dev, namespace)) == 2, 5)
    assert not before & {pod["metadata"]["uid"] for pod in pods(dev, namespace)}
    sets = dev.ok("GET", apps(namespace, "replicasets"))["items"]
    assert sorted(item["spec"]["replicas"] for item in sets) == [0, 2]
    dev.ok("PATCH", path + "/scale", {"spec": {"replicas": 1}}, MERGE)
    eventually(lambda: settled(dev, path, 1) and len(pods(dev, namespace)) == 1, 5)


def test_a_stateful_set_counts_its_pods(dev, namespace):
    path = apps(namespace, "statefulsets", "db")
    item = workload("StatefulSet", "db", 2)
    item["spec"]["serviceName"] = "db"
    dev.ok("POST", apps(namespace, "statefulsets"), item)
    eventually(lambda: settled(dev, path, 2), 5)
    assert [pod["metadata"]["name"] for pod in pods(dev, namespace)] == ["db-0", "db-1"]
    dev.ok("PATCH", path, {"spec": {"template": pod_template("db", "nginx:2")}}, MERGE)

    def rolled():
        status = settled(dev, path, 2)["status"]
        return status["currentRevision"] == status["updateRevision"] and status["updatedReplicas"] == 2

    eventually(rolled, 5)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods(dev, namespace)} == {"nginx:2"}


def test_a_job_completes(dev, namespace):
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
           "spec": {"template": pod_template("once")}}
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    dev.ok("POST", path, job)
    done = eventually(lambda: (item := dev.ok("GET", f"{path}/once"))["status"].get("succeeded") == 1 and item, 5)
    assert "Complete" in [row["type"] for row in done["status"]["conditions"]]
    assert [pod["status"]["phase"] for pod in pods(dev, namespace)] == ["Succeeded"]


def owned(owner, name):
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
                 "blockOwnerDeletion": True}
    return configmap(name, ownerReferences=[reference])


@pytest.mark.parametrize("policy,left", [("Background", False), ("Foreground", False), ("Orphan", True)])
def test_children_go_with_their_owner(dev, namespace, policy, left):
    owner = dev.ok("POST", configmaps(namespace), configmap("owner"))
    dev.ok("POST", configmaps(namespace), owned(owner, "child"))
    dev.ok("DELETE", configmaps(namespace, "owner"), {"propagationPolicy": policy})
    dev.gone(configmaps(namespace, "owner"))
    if left:
        assert "ownerReferences" not in dev.ok("GET", configmaps(namespace, "child"))["metadata"]
    else:
        dev.gone(configmaps(namespace, "child"))


def test_a_child_of_who_is_gone_goes(dev, namespace):
    owner = {"metadata": {"name": "never", "uid": "0a"}}
    dev.ok("POST", configmaps(namespace), owned(owner, "child"))
    dev.gone(configmaps(namespace, "child"))


def test_a_namespace_goes_with_all_that_is_in_it(dev, namespace):
    dev.ok("POST", apps(namespace, "deployments"), workload("Deployment", "web", 1))
    dev.ok("POST", configmaps(namespace), configmap("held", finalizers=["example.org/hold"]))
    going = dev.ok("DELETE", f"/api/v1/namespaces/{namespace}")
    assert going["status"]["phase"] == "Terminating"
    eventually(lambda: not pods(dev, namespace), 5)
    status, answer = dev.request("POST", configmaps(namespace), configmap("late"))
    assert (status, answer["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    assert dev.ok("GET", f"/api/v1/namespaces/{namespace}")
    dev.ok("PATCH", configmaps(namespace, "held"), {"metadata": {"finalizers": None}}, MERGE)
    dev.gone(f"/api/v1/namespaces/{namespace}")
    assert dev.request("POST", configmaps(namespace), configmap("late"))[0] == 404


def test_a_definition_serves_and_stops_serving(devclusters):
    dev = devclusters.clusters[1]
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    crd = {"metadata": {"name": "things.example.org"}, "spec": {"group": "example.org", "scope": "Cluster", "names": names,
           "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}}
    path, definitions = "/apis/example.org/v1/things", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert dev.request("GET", path)[0] == 404
    dev.ok("POST", definitions, crd)
    dev.ok("POST", path, {"metadata": {"name": "a"}, "spec": {"size": 3}})
    assert dev.request("POST", path, {"metadata": {"name": "b"}, "spec": {"size": "3"}})[0] == 422
    dev.ok("DELETE", f"{definitions}/things.example.org")
    assert dev.request("GET", path)[0] == 404
    dev.ok("POST", definitions, crd)
    assert dev.ok("GET", path)["items"] == []
