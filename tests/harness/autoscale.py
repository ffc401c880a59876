"""What proofs of autoscalers share: the docs' own objects, an aggregated API that another program serves, and a load that rises."""

import base64
import contextlib
import math
import os
import re
import subprocess
import sys
import time

import yaml

from . import REPO
from .front_proxy import created
from .process import Child

DOCS = REPO / "docs/reconcilers/pipeline.md"
WORKLOAD = "green-workers"  # as the docs name what is scaled; in a proof it has its class's name

# Who may read the classes of a namespace, and nothing else.
READER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: read-classes}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: read-classes}
rules: [{apiGroups: [scheduling.k8s.xxii.io], resources: [workerclasses], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read-classes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read-classes}
subjects: [{kind: ServiceAccount, name: read-classes}]
---
apiVersion: v1
kind: Secret
metadata: {name: read-classes-token, annotations: {kubernetes.io/service-account.name: read-classes}}
type: kubernetes.io/service-account-token
"""


def in_own_network():
    """Starts this program anew in a network of its own, where no one else is: some servers listen on all addresses."""
    if os.environ.get("PROOF_OWN_NETWORK") != "1":
        command = ["unshare", "--net", sys.executable, *sys.argv]
        os.execvpe(command[0], command, {**os.environ, "PROOF_OWN_NETWORK": "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def tool(*modules):
    """Where the programs of these modules of tests/tools are; they are built where they are missing."""
    done = subprocess.run([REPO / "tests/tools/build", *modules], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def documented(key, kind=None):
    """The object of this kind in the docs, or whatever has this key: what is proved is what is read there."""
    for block in re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for item in yaml.safe_load_all(block):
            if key in item and kind in (None, item.get("kind")):
                return item
    raise AssertionError(f"{DOCS.name} shows no {kind or key}")


def documented_for(part, kind, worker):
    """The docs' object, in this namespace and for this class."""
    item = documented("kind", kind)
    item["metadata"]["namespace"] = part.namespace
    target = item["spec"].get("scaleTargetRef", {})
    assert target.get("name") in (None, WORKLOAD), target
    if target:
        target["name"] = worker
    return item


def delegated(stack):
    """Options of a server that has the API server say who asks it, and whether he may."""
    admin = stack.env["KUBECONFIG_ADMIN"]
    return [f"--{use}-kubeconfig={admin}" for use in ("authentication", "authorization")]


@contextlib.contextmanager
def running(directory, command, env=None):
    """A program of somebody else's; its last words are printed when the proof fails."""
    place = directory / os.path.basename(command[0])
    place.mkdir(exist_ok=True)
    child = Child(command, env or {}, place)
    try:
        yield child
    except BaseException:
        for line in child.logs[-12:]:
            print("   ", str(line)[:300])
        raise
    finally:
        child.expect_kill = True
        child.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        if child.process.poll() is None:
            child.kill()


def aggregated(stack, group, version, authority, port):
    """The API server asks at `port` of this machine for that group."""
    service = {"name": group.partition(".")[0] + "-provider", "namespace": "default"}
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": {"type": "ExternalName", "externalName": "localhost"}},
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"{version}.{group}"}, "spec": {
            "group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100,
            "caBundle": base64.b64encode(authority.pem.encode()).decode(), "service": {**service, "port": port}}}]
    return created(stack, yaml.safe_dump_all(objects), [version], group)


def condition(part, autoscaler, kind):
    """(status, reason) of a HorizontalPodAutoscaler's condition, or None."""
    status = (part.get("horizontalpodautoscalers", autoscaler) or {}).get("status", {})
    return next(((row["status"], row["reason"]) for row in status.get("conditions", []) if row["type"] == kind), None)


def replicas(part, name):
    return part.get("statefulsets", name)["spec"]["replicas"]


def rise(this, part, worker, rate, capacity, counts, within):
    """Pipelines p2, p3, … come one by one, each asks for more than is there, and each becomes Ready by the autoscaler alone: at
    once, or when it has looked once more. How long each waited."""
    waits = []
    for count in counts:
        started = time.monotonic()
        part.pipeline(f"p{count}", rate, [worker])
        part.wait_ready(f"p{count}", timeout=within)
        waits.append(time.monotonic() - started)
        now = replicas(part, worker)
        print(f"{'':8}    {count} pipelines ask for {count * rate}: {now} pods, Ready after {waits[-1]:.1f} s", flush=True)
        this.check(now >= math.ceil(count * rate / capacity), f"{count} pipelines fit")
    return waits

