"""A Redis of a registry's own beside a shared one: real API server, real pools, pods played by KWOK. That its pod runs and whom
it lets in is tests/node/test_dedicated.py's matter."""

import hashlib
import json

import pytest
from harness import pools
from harness.cell import PINNED, POOLS
from harness.wait import eventually

POOL = "own-redis"
OWN = {**PINNED, "redis": {"pool": POOL}}
PAST, FUTURE = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"
READERS = ("core", "jobservice", "registry", "exporter")


@pytest.fixture(scope="module")
def operate_env(stack, tmp_path_factory):
    return {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_LEAVE_OUT": ""}


@pytest.fixture(scope="module")
def dedicated(cell):
    """The cell, with a pool and with volumes, which nobody provides here."""
    cell.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendPool", "metadata": {"name": POOL},
                "spec": {"type": "Redis", "mode": "dedicated", "slots": 50000}})  # fmt: skip
    names = [f"own-redis-{number}" for number in range(8)]
    for name in names:
        cell.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/nowhere/{name}"}}})  # fmt: skip
    eventually(lambda: condition(cell.get("backendpool", POOL), "Ready") == ("True", "Healthy"), 20)
    yield cell
    cell.stack.kubectl("delete", "persistentvolume", *names, "--wait=false")


def condition(item, kind):
    return next((c["status"], c["reason"]) for c in item["status"]["conditions"] if c["type"] == kind)


def ready(registry):
    eventually(lambda: registry.condition() == ("True", "ReadyUnprobed"), 120, 0.2, "the registry is ready")
    return registry


def text(registry, kind, suffix):
    item = registry.child(kind, suffix)
    return json.dumps(pools.decoded(item) if kind == "secret" else item["data"])


def volumes(cell, identity):
    found = cell.stack.get("persistentvolumeclaims", "-A", "-l", f"flotilla.dev/identity={identity}")["items"]
    return {(item["metadata"]["namespace"], item["metadata"]["name"]): item["metadata"]["uid"] for item in found}


def redis_pods(registry):
    return {pod["metadata"]["uid"] for pod in registry.pods() if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "redis"}


def users(registry):
    """Hashes of the passwords with which its Redis lets in."""
    line = pools.decoded(registry.child("secret", "redis-users"))["users.acl"]
    words = line.split()
    assert words[:3] == ["user", "default", "on"]
    return {word[1:] for word in words if word.startswith("#")}


def hash_of(password):
    return hashlib.sha256(password.encode()).hexdigest()


def claim_of_redis(cell, identity):
    return [claim.rpartition(".")[0] for claim in cell.claims(identity) if claim.startswith((POOL, POOLS["Redis"]))]


def test_side_by_side_with_a_shared_one(dedicated):
    cell = dedicated
    own = cell.registry(cell.namespace(), backends=OWN, components={"exporter": True})
    shared = cell.registry(cell.namespace(), backends={**PINNED, "redis": {}})  # fewer slots are free there
    for registry in (own, shared):
        ready(registry)
    assert claim_of_redis(cell, own.id) == [POOL] and claim_of_redis(cell, shared.id) == [POOLS["Redis"]]
    assert f"t_{own.id}" not in cell.redis_users() and f"t_{shared.id}" in cell.redis_users()
    external = own.external("Redis")
    assert (external["pool"], external["name"], external["state"]) == (POOL, f"redis-{own.id}", "Open")
    assert shared.external("Redis")["name"] == f"t_{shared.id}"
    for kind in ("statefulset", "service", "networkpolicy", "configmap"):
        assert own.child(kind, "redis") and not shared.child(kind, "redis"), kind
    password = cell.kept(own.id)["redisPassword"]
    assert users(own) == {hash_of(password)} and password not in json.dumps(own.child("statefulset", "redis"))
    url = f"redis://default:{password}@acme-redis:6379/0"
    assert url in text(own, "secret", "core") and url in text(own, "secret", "exporter") and url in text(own, "secret", "jobservice-files")
    copy = pools.decoded(own.child("secret", "backends"))
    assert (copy["redisHost"], copy["redisPort"], copy["redisIndex"], copy["redisUser"]) == ("acme-redis", "6379", "0", "default")
    for name in READERS:
        to = [peer for rule in own.child("networkpolicy", name)["spec"]["egress"] for peer in rule.get("to", [])]
        assert {"podSelector": {"matchLabels": {"flotilla.dev/registry": "acme", "app.kubernetes.io/component": "redis"}}} in to, name
    assert list(volumes(cell, own.id)) == [(own.namespace, f"redis-{own.id}-acme-redis-0")] and not volumes(cell, shared.id)
    older = ready(cell.registry(cell.namespace(), backends=OWN, version="2.14"))
    config = json.loads(older.child("configmap", "registry")["data"]["config.yml"])
    assert config["storage"]["cache"]["layerinfo"] == "redis" and "username" not in config["redis"]


def test_closed_keeps_its_data_and_the_purge_ends_it(dedicated):
    cell = dedicated
    registry = ready(cell.registry(cell.namespace(), backends=OWN))
    identity, before = registry.id, volumes(cell, registry.id)
    registry.spec(lifecycle="Closed", purgeAfter=FUTURE)
    registry.wait("False", "Closed")
    assert not redis_pods(registry) and volumes(cell, identity) == before and len(before) == 1
    assert registry.external("Redis")["state"] == "Closed"
    registry.spec(lifecycle="Active", purgeAfter=None)
    ready(registry)
    assert volumes(cell, identity) == before and registry.external("Redis")["state"] == "Open"
    registry.spec(lifecycle="Closed", purgeAfter=PAST)
    registry.wait("False", "Closed")
    registry.delete()
    cell.wait_purged(identity)
    assert volumes(cell, identity) == {}


def test_retained_data_comes_back_to_its_identity_only(dedicated):
    cell = dedicated
    namespace = cell.namespace()
    registry = ready(cell.registry(namespace, backends=OWN))
    identity, before = registry.id, volumes(cell, registry.id)
    registry.delete()
    eventually(lambda: cell.identity(identity)["spec"]["state"] == "Retained", 20)
    assert volumes(cell, identity) == before
    other = ready(cell.registry(namespace, backends=OWN))
    stranger = other.id
    assert stranger != identity and len(volumes(cell, stranger)) == 1, "the same name, and nobody else's data"
    other.spec(deletionPolicy="Delete")
    other.delete()
    cell.wait_purged(stranger)
    again = ready(cell.registry(namespace, backends=OWN, identity=identity))
    assert volumes(cell, identity) == before
    again.spec(deletionPolicy="Delete")
    again.delete()
    cell.wait_purged(identity)
    assert volumes(cell, identity) == {}


def test_old_and_new_password_open_while_it_turns(dedicated):
    cell = dedicated
    registry = ready(cell.registry(cell.namespace(), backends=OWN))
    old, first = cell.kept(registry.id)["redisPassword"], redis_pods(registry)
    held = next(pod["metadata"]["name"] for pod in registry.pods() if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "core")
    cell.patch("pod", held, {"metadata": {"finalizers": ["flotilla.dev/test"]}}, registry.namespace)
    registry.spec(credentials={"redis": 1})

    def phase():
        return next(row["phase"] for row in registry.get()["status"]["credentials"] if row["kind"] == "redis")

    def waits_for_the_old_pod():
        return phase() == "Rolling" and registry.condition("StackReady") == ("True", "Current") and \
            cell.kept(registry.id)["redisPassword"] in text(registry, "secret", "core")

    eventually(waits_for_the_old_pod, 120, 0.2, "the stack has turned, and the old pod of core is waited for")
    new, second = cell.kept(registry.id)["redisPassword"], redis_pods(registry)
    assert users(registry) == {hash_of(old), hash_of(new)} and not first & second, "it started anew, to learn the second one"
    cell.patch("pod", held, {"metadata": {"finalizers": None}}, registry.namespace)
    ready(registry)
    assert phase() == "Current" and users(registry) == {hash_of(new)} and not second & redis_pods(registry)
    assert pools.decoded(registry.child("secret", "redis"))["password"] == new


def test_audit_tells_a_volume_of_nobody_and_one_that_is_gone(dedicated, flotillad, operate_env):
    cell = dedicated
    registry = ready(cell.registry(cell.namespace(), backends=OWN))

    def found():
        process = flotillad(["audit"], operate_env)
        process.wait()
        findings = [f for f in map(json.loads, process.stdout) if "finding" in f]
        return sorted((f["finding"], f["object"]) for f in findings if f["finding"].endswith(("Volume", "User")))

    assert found() == []
    cell.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
        "name": "planted", "namespace": registry.namespace, "labels": {"flotilla.dev/identity": "aaaabbbbccccdddd", "flotilla.dev/pool": POOL}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Ti"}}}})  # fmt: skip
    (namespace, name), = volumes(cell, registry.id)
    cell.stack.kubectl("label", "persistentvolumeclaim", name, "-n", namespace, "flotilla.dev/identity-", "--overwrite")
    claim = next(claim for claim in cell.claims(registry.id) if claim.startswith(f"{POOL}."))
    assert found() == [("MissingVolume", claim), ("OrphanVolume", f"{POOL}/{namespace}/planted")]
    cell.stack.kubectl("label", "persistentvolumeclaim", name, "-n", namespace, f"flotilla.dev/identity={registry.id}")
    cell.stack.kubectl("delete", "persistentvolumeclaim", "planted", "-n", namespace)
    assert found() == []
