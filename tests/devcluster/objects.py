"""Objects that several tests make."""


def configmap(name, data=None, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def nginx(name, replicas=1, port=80, **metadata):
    return {"apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx", "metadata": {"name": name, **metadata},
            "spec": {"replicaCount": replicas, "port": port}}


def pod_template(name, image="nginx:1"):
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def workload(kind, name, replicas=1, **metadata):
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, **metadata},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod_template(name)}}


def configmaps(namespace, name=None):
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def nginxes(namespace, name=None):
    return f"/apis/tutorials.ovhcloud.com/v1/namespaces/{namespace}/ovhnginxes" + (f"/{name}" if name else "")


def apps(namespace, resource, name=None):
    return f"/apis/apps/v1/namespaces/{namespace}/{resource}" + (f"/{name}" if name else "")
