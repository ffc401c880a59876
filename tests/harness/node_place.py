"""A namespace on the real node, and what tests do in one."""

import json

from harness.wait import eventually

PORTAL = "flotilla.dev/portal:1"
CLIENT = "flotilla.dev/client:1"


class Place:
    def __init__(self, stack, name):
        self.stack, self.name = stack, name
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        eventually(lambda: self.get("serviceaccount", "default"), 10, what="service account")

    def apply(self, item):
        if item["kind"] != "Namespace":
            item["metadata"].setdefault("namespace", self.name)
        self.stack.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=test", "-f", "-", stdin=json.dumps(item))

    def get(self, kind, name):
        done = self.stack.kubectl("get", kind, name, "-n", self.name, "-o", "json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def pod(self, name, image, labels=None, annotations=None, volumes=(), mounts=(), beside=(), **container):
        """A pod of one container, and those `beside` it, that is never asked twice to end."""
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}},
                    "spec": {"terminationGracePeriodSeconds": 1, "volumes": list(volumes), "containers": [
                        {"name": "main", "image": image, "imagePullPolicy": "Never", "volumeMounts": list(mounts), **container},
                        *beside]}})  # fmt: skip

    def client(self, name="client", **more):
        self.pod(name, CLIENT, command=["/usr/bin/sleep", "3600"], **more)
        self.wait_ready(name)

    def service(self, name, port, target):
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                    "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]}})

    def wait_ready(self, pod, timeout=90):
        done = self.stack.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "-n", self.name, f"--timeout={timeout}s", check=False)
        assert done.returncode == 0, self.stack.kubectl("describe", "pod", pod, "-n", self.name)

    def run(self, pod, *command, check=True, container="main"):
        """Runs it in the pod: its output; with check=False: the finished process."""
        return self.stack.kubectl("exec", pod, "-n", self.name, "-c", container, "--", *command, check=check)

    def fetch(self, pod, url):
        """What the pod gets from there; None while nobody answers."""
        done = self.run(pod, "/usr/bin/curl", "-sS", "--max-time", "2", url, check=False)
        return done.stdout if done.returncode == 0 else None
