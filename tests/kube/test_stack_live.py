"""The operator brings a whole stack up, in its order, and changes it: real API server, real backends, pods played by KWOK."""

import base64
import crypt
import json
import pathlib
import subprocess

import pytest
from harness.hops import SCHEMAS, held_migration, job_of, ready, set_schema
from harness.kube_audit import KubeAudit
from harness.wait import eventually

DEPLOYMENTS = ("core", "portal", "registry", "jobservice")


@pytest.fixture(scope="module")
def operate_env(stack, tmp_path_factory):
    return {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_LEAVE_OUT": ""}


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def available_at(deployment):
    return next(c for c in deployment["status"]["conditions"] if c["type"] == "Available")["lastTransitionTime"]


def test_order_is_schema_core_rest_jobservice(cell):
    registry = cell.registry(cell.namespace(), size="M").ready()
    parts = {name: registry.child("deployment", name) for name in DEPLOYMENTS}
    born = {name: part["metadata"]["creationTimestamp"] for name, part in parts.items()}
    assert job_of(registry)["status"]["completionTime"] <= born["core"]
    assert available_at(parts["core"]) <= min(born["portal"], born["registry"])
    assert max(available_at(parts["portal"]), available_at(parts["registry"])) <= born["jobservice"]
    assert registry.child("pdb", "core") and registry.child("networkpolicy", "core")
    ingress = registry.child("ingress", "registry")
    assert ingress["spec"]["rules"][0]["host"] == "acme.example.com" and "secretName" not in ingress["spec"]["tls"][0]
    assert not cell.get("networkpolicy", "acme-default-deny", registry.namespace)


def test_kept_secret_is_what_harbor_reads_and_pods_get(cell):
    registry = cell.registry(cell.namespace()).ready()
    kept = decoded(cell.secret(registry.id))
    key = subprocess.run(["openssl", "rsa", "-check", "-noout", "-text"], input=kept["tokenKey"], capture_output=True, text=True,
                         check=True)
    assert "RSA key ok" in key.stdout + key.stderr and "2048 bit" in key.stdout
    assert kept["tokenKey"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    user, line = kept["registryHtpasswd"].split(":")
    assert user == "harbor_registry_user" and crypt.crypt(kept["registryPassword"], line) == line
    assert len(kept["secretKey"]) == 16 and len(kept["csrfKey"]) == 32
    for name, value in kept.items():
        if name not in ("tokenKey", "registryHtpasswd", "username", "s3AccessKey"):
            assert value.isalnum(), name
    core, files = decoded(registry.child("secret", "core")), decoded(registry.child("secret", "core-files"))
    assert files["key"] == kept["secretKey"] and files["private_key.pem"] == kept["tokenKey"]
    assert core["CSRF_KEY"] == kept["csrfKey"] and core["HARBOR_ADMIN_PASSWORD"] == kept["adminPassword"]
    assert core["POSTGRESQL_PASSWORD"] == kept["password"] and f":{kept['redisPassword']}@" in core["_REDIS_URL_CORE"]
    assert registry.get()["status"]["adminPassword"] == "Kept"


def test_first_admin_password_is_adopted_once(cell):
    namespace = cell.namespace()
    registry = cell.registry(namespace, adminSecretRef={"name": "first"})
    eventually(lambda: registry.condition() == ("False", "Progressing"), 30)
    assert "Secret 'first' with the key password is not there" in json.dumps(registry.get()["status"])
    assert not cell.secret(registry.id) and "adminPassword" not in registry.get()["status"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first", "namespace": namespace},
              "stringData": {"password": "Chosen-by-1-customer"}}
    cell.apply(secret)
    registry.ready()
    assert registry.get()["status"]["adminPassword"] == "Kept"
    assert decoded(cell.secret(registry.id))["adminPassword"] == "Chosen-by-1-customer"
    cell.stack.kubectl("delete", "secret", "first", "-n", namespace)
    registry.spec(size="M")
    registry.ready()
    assert decoded(registry.child("secret", "core"))["HARBOR_ADMIN_PASSWORD"] == "Chosen-by-1-customer"


def test_components_and_versions_come_and_go(cell):
    registry = cell.registry(cell.namespace(), components={"exporter": True}, version="2.14").ready()
    assert registry.child("deployment", "exporter") and registry.child("networkpolicy", "exporter")
    old_job = job_of(registry)["metadata"]["name"]
    before = registry.child("deployment", "core")["spec"]["template"]["metadata"]["annotations"]
    assert json.loads(registry.child("configmap", "registry")["data"]["config.yml"])["storage"]["cache"]["layerinfo"] == "inmemory"
    set_schema(cell, registry, SCHEMAS["2.14.4"])
    with held_migration(cell, registry, lambda: registry.spec(components={"exporter": False}, version="2.15")):
        set_schema(cell, registry, SCHEMAS["2.15.2"])
    ready(registry)
    for kind in ("deployment", "networkpolicy", "service", "secret"):
        eventually(lambda kind=kind: not registry.child(kind, "exporter"), what=f"no {kind} of the exporter")
    assert job_of(registry)["metadata"]["name"] != old_job  # another version is another migration
    after = registry.child("deployment", "core")["spec"]["template"]["metadata"]["annotations"]
    assert before["flotilla.dev/config"] != after["flotilla.dev/config"]  # metrics are off: core's environment changed
    assert json.loads(registry.child("configmap", "registry")["data"]["config.yml"])["redis"]["username"] == f"t_{registry.id}"


def test_closing_ends_every_pod_and_keeps_what_cannot_be_made_anew(cell):
    registry = cell.registry(cell.namespace(), components={"exporter": True}).ready()
    kept = cell.secret(registry.id)["data"]
    registry.spec(lifecycle="Closed")
    registry.wait("False", "Closed")
    assert [pod for pod in registry.pods() if pod["status"]["phase"] not in ("Succeeded", "Failed")] == []
    registry.spec(lifecycle="Active")
    registry.ready()
    assert cell.secret(registry.id)["data"] == kept


def managed_namespace(cell):
    namespace = cell.namespace()
    cell.stack.kubectl("label", "namespace", namespace, "flotilla.dev/managed=true",
                       "pod-security.kubernetes.io/enforce=restricted")
    return namespace


def test_what_the_server_keeps_is_what_was_sent(cell):
    """No object is sent a second time, in whatever form the server keeps it: quantities, lists with keys of their own."""
    namespace = managed_namespace(cell)
    registry = cell.registry(namespace, components={"exporter": True}).ready()
    log = KubeAudit(cell.stack)
    cell.patch("registry", "acme", {"spec": {"storageBytes": 1 << 40}}, namespace)  # looked at again
    registry.ready()
    sent = [(r.verb, r.resource) for r in log.writes() if r.namespace == namespace and not r.subresource and r.resource != "events"]
    assert sent == []


def test_managed_namespace_has_quota_and_denies(cell):
    namespace = managed_namespace(cell)
    registry = cell.registry(namespace).ready()
    assert registry.child("resourcequota", "quota")["spec"]["hard"]["pods"]
    deny = registry.child("networkpolicy", "default-deny")
    assert deny["spec"]["podSelector"] == {} and sorted(deny["spec"]["policyTypes"]) == ["Egress", "Ingress"]


def test_drift_of_children_is_repaired(cell):
    registry = cell.registry(cell.namespace()).ready()
    cell.stack.kubectl("delete", "ingress,networkpolicy,service", "--all", "-n", registry.namespace)
    cell.patch("configmap", "acme-core", {"data": {"EXT_ENDPOINT": "https://evil.example.com"}}, registry.namespace)
    eventually(lambda: registry.child("ingress", "registry") and registry.child("networkpolicy", "registry"), 20)
    eventually(lambda: registry.child("configmap", "core")["data"]["EXT_ENDPOINT"] == "https://acme.example.com", 20)
    registry.ready()


def test_certificate_where_cert_manager_is(cell):
    """Absent at first, its coming is noticed without a restart."""
    registry = cell.registry(cell.namespace(), exposure={"tls": {"issuerRef": {"name": "letsencrypt"}}})
    eventually(lambda: "install cert-manager" in json.dumps(registry.get().get("status", {})), 30)
    crd = (pathlib.Path(__file__).parent / "cert_manager_crd.yaml").read_text(encoding="utf-8")
    cell.stack.kubectl("apply", "-f", "-", stdin=crd)
    try:
        eventually(lambda: registry.child("certificate", "tls"), 60)
        eventually(lambda: registry.child("ingress", "registry")["spec"]["tls"][0]["secretName"] == "acme-tls", 30)
        assert registry.child("certificate", "tls")["spec"]["dnsNames"] == ["acme.example.com"]
        registry.spec(exposure={"tls": {"issuerRef": None, "secretName": "given"}})
        eventually(lambda: not registry.child("certificate", "tls"), 30)
        eventually(lambda: registry.child("ingress", "registry")["spec"]["tls"][0]["secretName"] == "given", 30)
    finally:
        cell.stack.kubectl("delete", "crd", "certificates.cert-manager.io", "--wait=false")
