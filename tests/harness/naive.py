"""An operator of OvhNginx that is broken on purpose, in every way that the fault suite looks for: it acts on what an event
or a list says, once, and takes whatever goes wrong as done. Undisturbed it does the right thing. It stands in the place of
`flotillad operate`, so that tests/proofs/fresh-fault can show that each kind of fault finds it."""

import http.client
import json
import socket
import threading

AGENT = "flotillad-operate/naive"  # the rows of the table speak of the operator
ROOTS = "/apis/tutorials.ovhcloud.com/v1/ovhnginxes"
TIMEOUT_S = 3  # who is slower is taken as having done it
MERGE = "application/merge-patch+json"


class Naive(threading.Thread):
    """Runs until stop(); `connect` gives a connection of http.client."""

    def __init__(self, connect):
        super().__init__(daemon=True)
        self.connect, self.watching = connect, None
        self.start()

    def stop(self):
        if self.watching and self.watching.sock:
            self.watching.sock.shutdown(socket.SHUT_RDWR)
        self.join(10)
        assert not self.is_alive()

    def ask(self, method, path, body=None, kind="application/json"):
        """The answer's object, or None: no error is ever looked at."""
        connection = self.connect(timeout=TIMEOUT_S)
        try:
            headers = {"User-Agent": AGENT, **({"Content-Type": kind} if body else {})}
            connection.request(method, path, body and json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            return answer if response.status < 300 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def run(self):
        """Lists once, watches once."""
        listed = self.ask("GET", ROOTS)
        if not listed:
            return
        for rank, root in enumerate(listed["items"]):
            self.reconcile(root, rank)
        self.watch(listed["metadata"]["resourceVersion"])

    def watch(self, version):
        self.watching = connection = self.connect(timeout=60)
        try:
            connection.request("GET", f"{ROOTS}?watch=1&resourceVersion={version}&timeoutSeconds=60", headers={"User-Agent": AGENT})
            for line in connection.getresponse():
                event = json.loads(line)
                if event.get("type") in ("ADDED", "MODIFIED"):
                    self.reconcile(event["object"])
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            connection.close()

    def reconcile(self, root, rank=None):
        """One look, at most one write. A rank is the place in the list, as if that meant anything."""
        name, namespace = root["metadata"]["name"], root["metadata"]["namespace"]
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        wanted = {"replicas": root["spec"]["replicaCount"]}
        live = self.ask("GET", f"{path}/{name}")
        if live is None and rank is not None:
            labels = {"app": name}
            self.ask("POST", path, {
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "labels": {"rank": str(rank)}},
                "spec": {**wanted, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}})
        elif live and live["spec"]["replicas"] != wanted["replicas"]:
            self.ask("PATCH", f"{path}/{name}", {"spec": wanted}, MERGE)
