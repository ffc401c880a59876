"""The objects of a registry as `flotillad do stack` renders them, and what the API server says to them in a dry run."""

import contextlib
import json
import subprocess

from . import REPO
from .process import base_env, binary

VERSIONS, SIZES = ("2.13", "2.14", "2.15"), ("S", "M", "L")


def rendered(directory, version, size, *options):
    """A List, as kubectl takes it."""
    done = subprocess.run([binary(), "do", "stack", version, size, *options], env=base_env(directory), capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)


def by_bundle_id(objects):
    return {item["metadata"]["annotations"]["flotilla.dev/bundle-id"]: item for item in objects["items"]}


@contextlib.contextmanager
def dry_namespace(stack):
    """The name of a namespace that is warned of by the standard which the fleet's namespaces enforce; certificates are known."""
    crd = (REPO / "tests/kube/cert_manager_crd.yaml").read_text(encoding="utf-8")
    stack.kubectl("apply", "-f", "-", stdin=crd)
    stack.kubectl("wait", "--for=condition=Established", "crd/certificates.cert-manager.io", "--timeout=20s")
    name = "stack-dry-run"
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/warn": "restricted"}}}))
    yield name
    stack.kubectl("delete", "namespace", name, "--wait=false")
    stack.kubectl("delete", "crd", "certificates.cert-manager.io", "--wait=false")


def dry_run(stack, namespace, objects):
    """The finished kubectl: a line of output for each object that is taken, complaints and warnings as errors."""
    return stack.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-",
                         stdin=json.dumps(objects), check=False)
