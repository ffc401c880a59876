"""A small client of the Kubernetes API as administrator: kubectl's start costs 50 ms of processor time each, and the
proofs look thousands of times."""

import http.client
import json
import ssl
import threading
import time
import urllib.parse

from .devcluster import Devcluster

_GROUPS = {
    "registries": "/apis/registry.flotilla.dev/v1alpha1",
    "backendpools": "/apis/registry.flotilla.dev/v1alpha1",
    "backendclaims": "/apis/registry.flotilla.dev/v1alpha1",
    "registryidentities": "/apis/registry.flotilla.dev/v1alpha1",
    "pipelines": "/apis/scheduling.k8s.xxii.io/v1alpha1",
    "pipelinebindings": "/apis/scheduling.k8s.xxii.io/v1alpha1",
    "workerclasses": "/apis/scheduling.k8s.xxii.io/v1alpha1",
    "workersets": "/apis/scheduling.k8s.xxii.io/v1alpha1",
    "placementledgers": "/apis/scheduling.k8s.xxii.io/v1alpha1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "httproutes": "/apis/gateway.networking.k8s.io/v1",
    "ovhnginxes": "/apis/tutorials.ovhcloud.com/v1",
    "deployments": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "jobs": "/apis/batch/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "events": "/apis/events.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "certificates": "/apis/cert-manager.io/v1",
}
_PLURALS = {"registry": "registries", "registryidentity": "registryidentities", "networkpolicy": "networkpolicies",
            "ingress": "ingresses", "pdb": "poddisruptionbudgets"}


def resource_of(kind):
    """"registries" of "Registry", as a manifest says it, or of "registry", as kubectl does."""
    return _PLURALS.get(kind.lower(), f"{kind.lower()}s")


class Cluster:
    """One connection per thread; a broken one is opened again."""

    def __init__(self, stack):
        self.local = threading.local()
        self.embedded = None if "KUBE_CA_FILE" in stack.env else Devcluster(stack.env["KUBECONFIG_ADMIN"])
        if not self.embedded:
            self.address = urllib.parse.urlsplit(stack.env["KUBE_API_URL"])
            self.tls = ssl.create_default_context(cafile=stack.env["KUBE_CA_FILE"])
            self.tls.load_cert_chain(f"{stack.directory}/pki/admin.crt", f"{stack.directory}/pki/admin.key")

    def connect(self, timeout=20):
        """A connection of the caller's own."""
        if self.embedded:
            return self.embedded.connect(timeout)
        return http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls, timeout=timeout)

    def _send(self, method, path, body, headers):
        if not getattr(self.local, "connection", None):
            self.local.connection = self.connect()
        self.local.connection.request(method, path, body, headers)
        response = self.local.connection.getresponse()
        return response.status, response.read()

    def request(self, method, path, body=None, kind="application/json"):
        """(status, parsed body). A server that asks for patience gets it."""
        while True:
            status, answer = self._request(method, path, body, kind)
            if status != 429:
                return status, answer
            time.sleep(1)

    def _request(self, method, path, body, kind):
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind} if data else {}
        try:
            status, text = self._send(method, path, data, headers)
        except (OSError, http.client.HTTPException):
            self.local.connection.close()
            self.local.connection = None
            status, text = self._send(method, path, data, headers)
        return status, json.loads(text) if text else None

    def ok(self, method, path, body=None, kind="application/json"):
        status, answer = self.request(method, path, body, kind)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    @staticmethod
    def path(resource, namespace=None, name=None):
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{_GROUPS.get(resource, '/api/v1')}{where}/{resource}" + (f"/{name}" if name else "")

    def get(self, resource, name, namespace=None):
        """None when it is not there."""
        status, answer = self.request("GET", self.path(resource, namespace, name))
        assert status in (200, 404), f"GET {resource} {name}: {status} {answer}"
        return answer if status == 200 else None

    def list(self, resource, namespace=None, selector=None):
        query = "?" + urllib.parse.urlencode({"labelSelector": selector}) if selector else ""
        return self.ok("GET", self.path(resource, namespace) + query)["items"]

    def apply(self, resource, item):
        meta = item["metadata"]
        path = self.path(resource, meta.get("namespace"), meta["name"])
        self.ok("PATCH", path + "?fieldManager=test&force=true", item, "application/apply-patch+yaml")

    def merge(self, resource, name, patch, namespace=None):
        self.ok("PATCH", self.path(resource, namespace, name), patch, "application/merge-patch+json")

    def delete(self, resource, name, namespace=None):
        status, answer = self.request("DELETE", self.path(resource, namespace, name))
        assert status in (200, 202, 404), f"DELETE {resource} {name}: {status} {answer}"
