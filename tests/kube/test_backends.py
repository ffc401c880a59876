"""Redis and object stores as the registry operator uses them, on a real API server and real pools."""

import hashlib
import json
import uuid

import psycopg2
import pytest
from harness import metrics, pools
from harness.cell import PINNED, POOLS, pool_of
from harness.pools import Refused
from harness.wait import eventually, within

pytestmark = pytest.mark.usefixtures("alone")

PAST, FUTURE = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"
STRANGER = "aaaabbbbccccdddd"


def refused(action):
    try:
        action()
    except Refused:
        return True
    return False


def accept_loss(cell, registry):
    cell.patch("registry", registry.name, {"metadata": {"annotations": {"registry.flotilla.dev/accept-loss": registry.id}}},
               registry.namespace)


def states(registry):
    return [registry.external(kind)["state"] for kind in POOLS]


def write_canaries(cell, identity):
    """Something in the index and in the bucket, written as the registry does."""
    redis = cell.redis(identity)
    redis.call("SELECT", cell.index(identity))
    redis.call("SET", "canary", "here")
    cell.store(identity).call("PUT", f"/t-{identity}/docker/canary", b"here")
    return redis


def read_canaries(cell, identity):
    redis = cell.redis(identity)
    redis.call("SELECT", cell.index(identity))
    found = redis.call("GET", "canary"), cell.store(identity).call("GET", f"/t-{identity}/docker/canary")
    redis.close()
    return found == ("here", "here")


def test_each_backend_opens_for_its_registry_and_nobody_else(cell):
    one, other = cell.registry(cell.namespace()).ready(), cell.registry(cell.namespace()).ready()
    assert states(one) == ["Open"] * 3
    write_canaries(cell, one.id).close()
    copy = pools.decoded(one.child("secret", "backends"))
    kept = cell.kept(one.id)
    assert (copy["redisPassword"], copy["s3SecretKey"]) == (kept["redisPassword"], kept["s3SecretKey"])
    assert (copy["redisIndex"], copy["s3Bucket"]) == (str(cell.index(one.id)), f"t-{one.id}")
    stranger = cell.redis(other.id)
    assert refused(lambda: stranger.call("SELECT", cell.index(one.id)))
    stranger.close()
    assert refused(lambda: cell.store(other.id).call("GET", f"/t-{one.id}/docker/canary"))
    cell_mark = cell.get("backendpool", POOLS["S3"])["status"]["ownerMark"]
    assert cell.store().mark(f"t-{one.id}") == [f"flotilla:{cell_mark}:{one.id}"]


def test_close_undo_purge(cell):
    registry = cell.registry(cell.namespace()).ready()
    identity = registry.id
    session = write_canaries(cell, identity)
    registry.spec(lifecycle="Closed", purgeAfter=FUTURE)
    registry.wait("False", "Closed")
    assert states(registry) == ["Closed"] * 3
    assert cell.redis_users()[f"t_{identity}"].startswith("off ") and cell.store().policy(f"t-{identity}") is None
    with pytest.raises((Refused, OSError)):  # its connections were killed
        session.call("PING")
    assert refused(lambda: cell.redis(identity)) and refused(lambda: cell.store(identity).objects(f"t-{identity}"))
    registry.spec(lifecycle="Active", purgeAfter=None)
    registry.ready()
    assert read_canaries(cell, identity)
    index = cell.index(identity)
    registry.spec(lifecycle="Closed", purgeAfter=PAST)
    registry.wait("False", "Closed")
    registry.delete()
    cell.wait_purged(identity)
    admin = pools.Redis(cell.stack.env)
    admin.call("SELECT", index)
    assert admin.call("DBSIZE") == 0
    admin.close()


def test_deleted_is_retained_locked_and_comes_back(cell):
    namespace = cell.namespace()
    registry = cell.registry(namespace).ready()
    identity = registry.id
    write_canaries(cell, identity).close()
    registry.delete()
    assert cell.identity(identity)["spec"]["state"] == "Retained"
    assert refused(lambda: cell.redis(identity)) and refused(lambda: cell.store(identity).objects(f"t-{identity}"))
    cell.registry(namespace, name="second", identity=identity).ready()
    assert read_canaries(cell, identity)


def test_drift_is_repaired(cell):
    registry = cell.registry(cell.namespace()).ready()
    identity, admin, store = registry.id, pools.Redis(cell.stack.env), cell.store()
    wanted = cell.redis_users()[f"t_{identity}"], store.policy(f"t-{identity}")
    drifts = {
        "user off": lambda: admin.call("ACL", "SETUSER", f"t_{identity}", "off"),
        "more rights": lambda: admin.call("ACL", "SETUSER", f"t_{identity}", "+flushall"),
        "another password": lambda: admin.call("ACL", "SETUSER", f"t_{identity}", "resetpass", ">other"),
        "no policy": lambda: store.call("DELETE", f"/t-{identity}", policy=""),
    }
    for what, drift in drifts.items():
        drift()
        eventually(lambda: (cell.redis_users()[f"t_{identity}"], store.policy(f"t-{identity}")) == wanted, 15, what=what)
    admin.close()
    registry.ready()
    assert registry.told("BackendChanged")


def test_lost_bucket_waits_for_a_person(cell):
    registry = cell.registry(cell.namespace()).ready()
    bucket, store = f"t-{registry.id}", cell.store()
    store.call("DELETE", f"/{bucket}")
    registry.wait("True", "BucketLost", "Stalled")
    assert registry.condition("BackendsReady") == ("False", "BucketLost") and states(registry) == ["Open", "Open", "Lost"]
    assert bucket not in store.buckets()
    accept_loss(cell, registry)
    registry.ready()
    assert bucket in store.buckets() and registry.told("Recovered")


def test_lost_while_retained_is_told_as_if_it_was_lost_in_use(cell):
    """Bucket and Redis user went while nobody had a status that knew of them; the keys are still there."""
    namespace = cell.namespace()
    registry = cell.registry(namespace).ready()
    identity, bucket, store, admin = registry.id, f"t-{registry.id}", cell.store(), pools.Redis(cell.stack.env)
    write_canaries(cell, identity).close()
    registry.delete()
    store.call("DELETE", f"/{bucket}/docker/canary")
    store.call("DELETE", f"/{bucket}")
    admin.call("ACL", "DELUSER", f"t_{identity}")
    back = cell.registry(namespace, "second", identity=identity).wait("True", "BucketLost", "Stalled")
    assert states(back) == ["Open", "Open", "Lost"] and bucket not in store.buckets()
    assert back.told("Remade")
    admin.call("SELECT", cell.index(identity))
    assert admin.call("DBSIZE") == 1
    admin.close()
    accept_loss(cell, back)
    back.ready()
    assert bucket in store.buckets()


def test_credentials_that_went_with_the_claims_are_not_made_anew_in_silence(cell):
    namespace = cell.namespace()
    registry = cell.registry(namespace).ready()
    identity = registry.id
    registry.delete()
    cell.stack.kubectl("delete", "backendclaims", "-l", f"flotilla.dev/identity={identity}")
    cell.stack.kubectl("delete", "secret", f"registry-{identity}", "-n", "flotilla-system")
    back = cell.registry(namespace, "second", identity=identity).wait("True", "SecretLost", "Stalled")
    assert not cell.secret(identity)
    accept_loss(cell, back)
    back.ready()


def test_lost_redis_user_is_made_anew_and_told(cell):
    """As all users of a Redis without an ACL file are after a restart; their keys are still there."""
    registry = cell.registry(cell.namespace()).ready()
    write_canaries(cell, registry.id).close()
    admin = pools.Redis(cell.stack.env)
    admin.call("ACL", "DELUSER", f"t_{registry.id}")
    admin.close()
    eventually(lambda: "Remade" in registry.events(), 15)
    registry.ready()
    assert read_canaries(cell, registry.id)


def test_lost_secret_is_not_made_anew_in_silence(cell):
    """Of a registry whose first password somebody handed over, and took away when it was kept."""
    namespace = cell.namespace()
    cell.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first", "namespace": namespace},
                "stringData": {"password": "handed-over"}})
    registry = cell.registry(namespace, adminSecretRef={"name": "first"}).ready()
    identity = registry.id
    assert cell.kept(identity)["adminPassword"] == "handed-over"
    cell.stack.kubectl("delete", "secret", "first", "-n", namespace)
    before = cell.kept(identity)
    cell.stack.kubectl("delete", "secret", f"registry-{identity}", "-n", "flotilla-system")
    registry.spec(size="M")
    registry.wait("True", "SecretLost", "Stalled")
    assert not cell.secret(identity)
    accept_loss(cell, registry)
    registry.ready()
    after = cell.kept(identity)
    assert after["password"] != before["password"] and after["s3AccessKey"] != before["s3AccessKey"]
    assert [access for access in cell.store().accounts() if identity in access] == [after["s3AccessKey"]]
    write_canaries(cell, identity).close()
    assert registry.told("CredentialsRemade")


def test_secret_of_an_earlier_version_gets_what_it_lacks(cell):
    identity = "earlierabcdefghi"
    values = {"username": f"t_{identity}", "password": "a" * 32}
    cell.apply({"apiVersion": "v1", "kind": "Secret", "stringData": values, "metadata": {
        "name": f"registry-{identity}", "namespace": "flotilla-system",
        "labels": {"flotilla.dev/identity": identity, "app.kubernetes.io/managed-by": "flotilla"}}})
    cell.registry(cell.namespace(), identity=identity).ready()
    kept = cell.kept(identity)
    assert {key: kept[key] for key in values} == values
    write_canaries(cell, identity).close()


def test_foreign_objects_are_left_alone(cell):
    identity, admin, store = "strangerbucketab", pools.Redis(cell.stack.env), cell.store()
    admin.call("ACL", "SETUSER", f"t_{identity}", "reset")
    store.call("PUT", f"/t-{identity}")
    registry = cell.registry(cell.namespace(), identity=identity).wait("True", "Taken", "Stalled")
    assert registry.condition("BackendsReady") == ("False", "RedisFailed")
    assert "lastError" not in registry.external() and "lastError" in registry.external("S3")
    assert store.policy(f"t-{identity}") is None and cell.redis_users()[f"t_{identity}"].startswith("off ")
    admin.call("ACL", "DELUSER", f"t_{identity}")
    registry.wait("False", "BucketFailed", "BackendsReady")
    store.call("DELETE", f"/t-{identity}")
    admin.close()
    registry.ready()


def test_a_dead_backend_does_not_keep_the_others_open(cell, stack):
    registry = cell.registry(cell.namespace()).ready()
    bucket, role = f"t-{registry.id}", f"t_{registry.id}"
    stack.stop("redis-pool")
    try:
        registry.spec(lifecycle="Closed", purgeAfter=FUTURE)
        eventually(lambda: cell.store().policy(bucket) is None, 30, what="bucket locked")
        assert cell.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", role) == [(False,)]
        registry.wait("False", "RedisFailed", "BackendsReady")
        assert states(registry) == ["Closed", "Open", "Closed"] and "lastError" in registry.external("Redis")
    finally:
        stack.start("redis-pool")
    registry.wait("False", "Closed")
    assert cell.redis_users()[role].startswith("off ")


def test_missing_pool_is_named_by_type(cell):
    registry = cell.registry(cell.namespace(), backends={"redis": {"pool": "nowhere"}})
    registry.wait("False", "PoolMissing", "BackendsReady")
    message = [c["message"] for c in registry.get()["status"]["conditions"] if c["type"] == "BackendsReady"][0]
    assert "nowhere" in message and "Redis" in message
    assert cell.claims(registry.id) == []  # who cannot have all holds no slot
    registry.spec(lifecycle="Closed")
    registry.wait("False", "Closed")
    registry.delete()


def test_drained_pool_takes_nobody_further(cell):
    pool_of(cell, "S3", "drained", slots=3)
    pinned = {**PINNED, "s3": {"pool": "drained"}}
    first = cell.registry(cell.namespace(), backends=pinned).ready()
    cell.patch("backendpool", "drained", {"spec": {"drain": True}})
    second = cell.registry(cell.namespace(), backends=pinned).wait("False", "PoolDraining", "BackendsReady")
    first.spec(size="M")
    first.ready()
    cell.patch("backendpool", "drained", {"spec": {"drain": False}})
    second.ready()
    within(lambda: cell.get("backendpool", "drained")["status"]["usedSlots"] == 2, 20, what="a claim wakes its pool")


def narrow(cell, connections, pool="narrow"):
    """A pool that may promise so many; its own server bears more."""
    pool_of(cell, "PostgreSQL", pool, connections=connections)
    return {"postgresql": {"pool": pool}}


def limits(registry):
    """What the role, the Deployment and the claim say of its size."""
    claims = [registry.cell.get("backendclaim", name)["spec"] for name in registry.cell.claims(registry.id)]
    (limit,), = registry.cell.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", f"t_{registry.id}")
    return limit, registry.child("deployment", "portal")["spec"]["replicas"], [claim["size"] for claim in claims if "size" in claim]


def sessions(registry):
    (count,), = registry.cell.sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE %s", f"t\\_{registry.id}%")
    return count


@pytest.fixture
def seldom(cell, operate_env):
    """Backends are not looked at again by the clock: what a change asks for must be done because of it."""
    before = operate_env["FLOTILLA_VERIFY_INTERVAL_MS"]
    operate_env["FLOTILLA_VERIFY_INTERVAL_MS"] = 600000
    cell.restart_operator()
    yield
    operate_env["FLOTILLA_VERIFY_INTERVAL_MS"] = before
    cell.restart_operator()


@pytest.mark.usefixtures("seldom")
def test_no_more_connections_are_promised_than_there_are(cell):
    pinned = narrow(cell, 130)
    one, two = (cell.registry(cell.namespace(), backends=pinned).ready() for _ in range(2))
    one.spec(size="M")
    eventually(lambda: one.ready() and limits(one) == (90, 2, ["M"]), 30)
    eventually(lambda: cell.get("backendpool", "narrow")["status"]["connections"] == {"limit": 130, "promised": 130}, 10)
    three = cell.registry(cell.namespace(), backends=pinned).wait("False", "PoolConnections", "BackendsReady")
    assert cell.claims(three.id) == []
    two.spec(size="M")
    two.wait("False", "PoolConnections")
    assert limits(two) == (40, 1, ["S"]) and two.condition("Available")[0] == "True"
    many = [psycopg2.connect(cell.conninfo(one.id)) for _ in range(45)]
    one.spec(size="S")  # 80 of 130: room for one of the two that wait, whoever comes first
    eventually(lambda: sessions(one) <= 40, 30, what="sessions above the new limit end")
    for session in many:
        session.close()
    eventually(lambda: (two.condition("Ready")[0], three.condition("Ready")[0]).count("True") == 1, 30)
    narrow(cell, 170)
    two.ready()
    three.ready()
    assert limits(two) == (90, 2, ["M"]) and limits(one) == (40, 1, ["S"])


def test_pool_counts_what_its_server_bears(cell):
    secret, pool = pools.items(cell.stack.env, "PostgreSQL", "counted")
    del pool["spec"]["connections"]
    cell.apply(secret)
    cell.apply(pool)
    server = [int(value) for value, in cell.sql("SELECT setting FROM pg_settings WHERE name IN ('max_connections', "
                                                "'superuser_reserved_connections') ORDER BY name")]
    wanted = {"limit": server[0] - server[1] - 20, "promised": 0}
    eventually(lambda: cell.get("backendpool", "counted")["status"]["connections"] == wanted, 15)

    def told():
        return {labels["what"]: value for labels, value in metrics.read(cell.operator, "flotilla_pool_connections") if labels["pool"] == "counted"}

    eventually(lambda: told() == wanted, what="the metric says the same")


def test_pools_tell_their_health(cell):
    def conditions(kind):
        found = cell.get("backendpool", POOLS[kind])["status"]["conditions"]
        return {c["type"]: (c["status"], c["reason"]) for c in found}

    eventually(lambda: conditions("Redis") == {
        "Ready": ("True", "Healthy"), "AclNotPersisted": ("False", "AclFile"), "OpenToAll": ("False", "DefaultUserOff"),
        "Evicting": ("False", "NoEviction"), "TooFewDatabases": ("False", "EnoughDatabases")}, what="the Redis is well")
    eventually(lambda: conditions("S3") == {"Ready": ("True", "Healthy"), "CannotClose": ("False", "PolicyLocks")}, what="the store is well")
    pool_of(cell, "Redis", POOLS["Redis"], slots=2000)
    eventually(lambda: conditions("Redis")["TooFewDatabases"] == ("True", "SlotsBeyondDatabases"), 15)
    pool_of(cell, "Redis", POOLS["Redis"])
    eventually(lambda: conditions("Redis")["TooFewDatabases"] == ("False", "EnoughDatabases"), 15)
    cell.patch("secret", POOLS["S3"], {"stringData": {"secretKey": "wrong"}}, "flotilla-system")
    cell.patch("backendpool", POOLS["S3"], {"spec": {"slots": 51}})
    eventually(lambda: conditions("S3")["Ready"] == ("False", "Unreachable"), 15)
    pool_of(cell, "S3", POOLS["S3"])
    eventually(lambda: conditions("S3")["Ready"] == ("True", "Healthy"), 15)


@pytest.fixture
def given(cell):
    """A pool whose buckets and keys the provider made, for two slots."""
    store, rows = cell.store(), []
    for slot in range(2):
        access, bucket = f"given{slot}{uuid.uuid4().hex[:6]}", f"given-{slot}-{uuid.uuid4().hex[:6]}"
        store.call("PATCH", "/create-user", f"<Account><Access>{access}</Access><Secret>given-secret</Secret>"
                   "<Role>user</Role></Account>".encode())
        store.call("PUT", f"/{bucket}")
        store.call("PUT", f"/{bucket}", json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": [access]}, "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}).encode(), policy="")
        cell.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": access, "namespace": "flotilla-system"},
                    "stringData": {"accessKey": access, "secretKey": "given-secret"}})
        rows.append({"slot": slot, "bucket": bucket, "credentialSecretRef": {"name": access}})
    _, pool = pools.items(cell.stack.env, "S3", "given", 2, driver="static", buckets=rows)
    del pool["spec"]["adminSecretRef"]
    cell.apply(pool)
    return rows


def test_static_buckets_one_per_slot(cell, given):
    registry = cell.registry(cell.namespace(), backends={**PINNED, "s3": {"pool": "given"}}, deletionPolicy="Delete").ready()
    identity, row = registry.id, given[0]
    assert registry.external("S3")["name"] == row["bucket"]
    copy = pools.decoded(registry.child("secret", "backends"))
    assert (copy["s3Bucket"], copy["s3AccessKey"]) == (row["bucket"], row["credentialSecretRef"]["name"])
    warning = [c for c in cell.get("backendpool", "given")["status"]["conditions"] if c["type"] == "CannotClose"][0]
    assert (warning["status"], warning["reason"]) == ("True", "KeysAreGiven")
    store = pools.Store(cell.stack.env, copy["s3AccessKey"], copy["s3SecretKey"])
    store.call("PUT", f"/{row['bucket']}/data", b"x")
    registry.spec(lifecycle="Closed")
    registry.wait("False", "Closed")
    assert states(registry) == ["Closed", "Closed", "Open"]  # its key is the provider's
    registry.spec(lifecycle="Active")
    registry.ready()
    registry.delete()
    cell.wait_purged(identity)
    assert store.objects(row["bucket"]) == []


def test_audit_finds_what_was_planted(cell, flotillad, operate_env):
    def audit():
        process = flotillad(["audit"], operate_env)
        process.wait()
        return {(f["finding"], f["object"]) for f in map(json.loads, process.stdout) if "finding" in f}

    eventually(lambda: not cell.cluster.list("registries"), what="those of earlier tests are gone")
    before = audit()
    mark = f"flotilla:{cell.get('backendpool', POOLS['Redis'])['status']['ownerMark']}:{STRANGER}"
    tags = f"<Tagging><TagSet><Tag><Key>flotilla</Key><Value>{mark}</Value></Tag></TagSet></Tagging>".encode()
    number = int(hashlib.sha256(mark.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF | 1
    admin, store = pools.Redis(cell.stack.env), cell.store()
    admin.call("ACL", "SETUSER", "planted", "reset", "resetchannels", f"&{mark}")
    store.call("PUT", f"/t-{STRANGER}")
    store.call("PUT", f"/t-{STRANGER}", tags, tagging="")
    store.call("PATCH", "/create-user", f"<Account><Access>t-{STRANGER}-x</Access><Secret>planted-secret-planted</Secret>"
               f"<Role>user</Role><ProjectID>{number}</ProjectID></Account>".encode())
    found = audit() - before
    # whichever pool of the one server is named
    assert {(finding, name.partition("/")[2]) for finding, name in found} == {
        ("OrphanUser", "planted"), ("OrphanBucket", f"t-{STRANGER}"), ("OrphanAccount", f"t-{STRANGER}-x")}
    admin.call("ACL", "DELUSER", "planted")
    admin.close()
    store.call("DELETE", f"/t-{STRANGER}")
    store.call("PATCH", "/delete-user", access=f"t-{STRANGER}-x")
    registry = cell.registry(cell.namespace()).ready()
    cell.store().call("DELETE", f"/t-{registry.id}")
    assert "MissingBucket" in {finding for finding, _ in audit()}
    accept_loss(cell, registry)  # others look for a clean audit
    eventually(lambda: "MissingBucket" not in {finding for finding, _ in audit()}, 20)


def test_two_pools_of_one_redis_do_not_give_an_index_twice(cell):
    pool_of(cell, "Redis", "same-redis")

    def taken():
        conditions = {c["type"]: c for c in (cell.get("backendpool", "same-redis").get("status") or {}).get("conditions", [])}
        return conditions.get("Ready", {}).get("reason") == "ServerTaken" and POOLS["Redis"] in conditions["Ready"]["message"]

    eventually(taken, 15, what="ServerTaken")
    backends = {**PINNED, "redis": {"pool": "same-redis"}}
    cell.registry(cell.namespace(), backends=backends).wait("False", "PoolMissing", "BackendsReady").delete()
    cell.stack.kubectl("delete", "backendpool", "same-redis")
