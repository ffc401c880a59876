"""`flotillad operate` on an embedded cluster: the smallest operator from create to delete."""

import sys
import pathlib

from harness.wait import eventually

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import apps, nginx, nginxes  # noqa: E402


def ready(dev, namespace, name):
    conditions = dev.ok("GET", nginxes(namespace, name)).get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in conditions)


def test_an_ovhnginx_lives(dev, namespace, flotillad):
    dev.apply("/api/v1/namespaces/flotilla-system", {"apiVersion": "v1", "kind": "Namespace",
                                                     "metadata": {"name": "flotilla-system"}})
    flotillad(["operate", "--kubeconfig", dev.kubeconfig])
    dev.ok("POST", nginxes(namespace), nginx("web", 2, 8080))
    eventually(lambda: ready(dev, namespace, "web"), 20, what="OvhNginx Ready")
    deployment = dev.ok("GET", apps(namespace, "deployments", "web"))
    assert deployment["spec"]["replicas"] == 2 and deployment["status"]["readyReplicas"] == 2
    dev.ok("PATCH", apps(namespace, "deployments", "web"), {"spec": {"replicas": 7}}, "application/merge-patch+json")
    eventually(lambda: dev.ok("GET", apps(namespace, "deployments", "web"))["spec"]["replicas"] == 2, what="drift repaired")
    dev.ok("DELETE", nginxes(namespace, "web"))
    dev.gone(nginxes(namespace, "web"), 10)
    dev.gone(apps(namespace, "deployments", "web"), 10)
