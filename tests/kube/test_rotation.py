"""New credentials for old while a registry serves: real API server, real backends, pods played by KWOK."""

import base64
import crypt
import json

import psycopg2
import pytest
from harness import cell as cells
from harness import pools
from harness.pools import Refused
from harness.rotating import KINDS, OldPod
from harness.rotating import phases as phases_of
from harness.wait import eventually, rests

# what is encrypted with the first; the second is the customer's, the third the operator's own inside Harbor
NEVER = ("secretKey", "adminPassword", "robotSecret")


@pytest.fixture(scope="module")
def operate_env(stack, tmp_path_factory):
    return {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_LEAVE_OUT": ""}


def ask(registry, number, kinds=KINDS):
    registry.spec(credentials={kind: number for kind in kinds})


def ready(registry):
    """Each kind rolls the whole stack once or twice."""
    eventually(lambda: registry.condition() == ("True", "ReadyUnprobed"), 120, 0.2, "the registry is ready")
    return registry


def phases(registry):
    return phases_of(registry.get())


def plant_strange_pods(registry):
    """With the labels of core: of a ReplicaSet that is nobody's (with these labels itself, our Deployment would adopt it and
    end its pods), and of no ReplicaSet, but our Deployment's by its word."""
    labels = {"flotilla.dev/registry": registry.name, "app.kubernetes.io/component": "core"}
    old = {"annotations": {"flotilla.dev/config": "old"}}
    pod = {"containers": [{"name": "core", "image": "core"}]}
    owner = registry.child("deployment", "core")["metadata"]
    registry.cell.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": "strange", "namespace": registry.namespace, "labels": labels, **old,
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": owner["name"], "uid": owner["uid"],
                             "controller": True}]}, "spec": pod})
    registry.cell.apply({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {
        "name": "strange", "namespace": registry.namespace}, "spec": {
        "replicas": 1, "selector": {"matchLabels": {"whose": "strange"}},
        "template": {"metadata": {"labels": {**labels, "whose": "strange"}, **old}, "spec": pod}}})
    eventually(lambda: len([p for p in registry.pods() if p["metadata"]["name"].startswith("strange")]) == 2, 20)


def login(cell, kept, identity):
    env = cell.stack.env
    return psycopg2.connect(host=env["POOL_PG_HOST"], port=env["POOL_PG_PORT"], dbname=f"t_{identity}",
                            user=kept["username"], password=kept["password"])


def opens(cell, kept, identity):
    """What these credentials open, of the three backends."""
    def database():
        login(cell, kept, identity).close()

    def redis():
        pools.Redis(cell.stack.env, f"t_{identity}", kept["redisPassword"]).close()

    def store():
        pools.Store(cell.stack.env, kept["s3AccessKey"], kept["s3SecretKey"]).objects(f"t-{identity}")

    found = set()
    for what in (database, redis, store):
        try:
            what()
            found.add(what.__name__)
        except (Refused, psycopg2.OperationalError):
            pass
    return found


def lines(registry):
    text = base64.b64decode(registry.child("secret", "registry-htpasswd")["data"]["passwd"]).decode()
    return dict(line.split(":") for line in text.splitlines())


def fits(password, line):
    return crypt.crypt(password, line) == line


def others(kept):
    return [key for key in kept if key.endswith("Other")]


ALL = {"database", "redis", "store"}


def test_old_and_new_open_until_no_old_pod_is_left(cell):
    registry = ready(cell.registry(cell.namespace()))
    identity, before = registry.id, cell.kept(registry.id)
    registry.write_row()
    old = OldPod(registry.cell.cluster, registry.namespace)
    ask(registry, 1)
    eventually(lambda: phases(registry) == {kind: ("Rolling", 1) for kind in KINDS}, 120, what="all kinds are rolling")
    now = cell.kept(identity)

    def waits_for_the_old_pod():
        core = pools.decoded(registry.child("secret", "core"))
        turned = (core["POSTGRESQL_PASSWORD"], core["REGISTRY_CREDENTIAL_PASSWORD"]) == (now["password"], now["registryPassword"])
        return (turned and registry.condition() == ("False", "Rotating")
                and registry.condition("StackReady") == ("True", "Current"))

    eventually(waits_for_the_old_pod, 120, 0.2, "the stack has turned, and the old pod is waited for")
    assert registry.condition("Available")[0] == "True"
    assert {key: now[f"{key}Other"] for key in ("password", "redisPassword", "s3SecretKey", "registryPassword")} == {
        key: before[key] for key in ("password", "redisPassword", "s3SecretKey", "registryPassword")}
    assert opens(cell, before, identity) == opens(cell, now, identity) == ALL
    users = lines(registry)
    assert fits(before["registryPassword"], users["harbor_registry_user"])
    assert fits(now["registryPassword"], users["harbor_registry_user_b"])
    config = registry.child("configmap", "core")["data"]
    assert (config["POSTGRESQL_USERNAME"], config["REGISTRY_CREDENTIAL_USERNAME"]) == (f"t_{identity}_a", "harbor_registry_user_b")
    old.let_go()
    ready(registry)
    after = cell.kept(identity)
    assert phases(registry) == {kind: ("Current", 1) for kind in KINDS} and others(after) == []
    assert opens(cell, before, identity) == set() and opens(cell, after, identity) == ALL
    assert list(lines(registry)) == ["harbor_registry_user_b"]
    assert [access for access in cell.store().accounts() if identity in access] == [after["s3AccessKey"]]
    assert {key for key in before if before[key] == after[key]} == set(NEVER)
    assert "BackendChanged" not in registry.events(), "nobody tampered with anything"
    rests(lambda: registry.get()["metadata"]["resourceVersion"], 3)


def test_roles_take_turns_and_what_one_made_is_the_others(cell):
    registry = ready(cell.registry(cell.namespace()))
    identity, made = registry.id, []
    for number, user in ((5, "_a"), (3, "_b"), (4, "_a")):  # any other number asks for new ones
        with login(cell, cell.kept(identity), identity) as session, session.cursor() as cursor:
            cursor.execute(f"CREATE TABLE made_{number} (word text)")
            made.append(f"made_{number}")
        session.close()
        ask(registry, number, ["database"])
        ready(registry)
        assert cell.kept(identity)["username"] == f"t_{identity}{user}"
        with login(cell, cell.kept(identity), identity) as session, session.cursor() as cursor:
            for table in made:
                cursor.execute(f"ALTER TABLE {table} ADD COLUMN by{number} text")
        session.close()
    owners = cell.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", database=f"t_{identity}")
    assert owners == [(f"t_{identity}",)]

    def roles():
        return dict(cell.sql("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE %s", f"t_{identity}%"))

    assert roles() == {f"t_{identity}": False, f"t_{identity}_a": True, f"t_{identity}_b": False}
    session = login(cell, cell.kept(identity), identity)
    registry.spec(lifecycle="Closed", purgeAfter="2090-01-01T00:00:00Z")
    registry.wait("False", "Closed")
    assert not any(roles().values())
    with pytest.raises(psycopg2.Error):
        session.cursor().execute("SELECT 1")
    registry.spec(lifecycle="Active", purgeAfter=None)
    ready(registry)
    assert roles() == {f"t_{identity}": False, f"t_{identity}_a": True, f"t_{identity}_b": False}
    registry.spec(lifecycle="Closed", purgeAfter="2020-01-01T00:00:00Z")
    registry.wait("False", "Closed")
    registry.delete()
    cell.wait_purged(identity)
    assert not roles()


def test_nobody_elses_pod_holds_a_rotation_up(cell):
    registry = ready(cell.registry(cell.namespace()))
    plant_strange_pods(registry)
    ask(registry, 1, ["redis", "registry"])
    ready(registry)
    assert phases(registry) == {"redis": ("Current", 1), "registry": ("Current", 1)}
    assert len([pod for pod in registry.pods() if pod["metadata"]["name"].startswith("strange")]) == 2, "they run all the while"


def test_a_session_of_the_old_role_is_ended(cell):
    registry = ready(cell.registry(cell.namespace()))
    session = login(cell, cell.kept(registry.id), registry.id)
    ask(registry, 1, ["database"])
    ready(registry)
    with pytest.raises(psycopg2.Error):
        session.cursor().execute("SELECT 1")


def test_a_connection_of_the_old_redis_password_is_ended(cell):
    registry = ready(cell.registry(cell.namespace()))
    before = cell.kept(registry.id)
    held = pools.Redis(cell.stack.env, f"t_{registry.id}", before["redisPassword"])
    assert held.call("PING") == "PONG"
    ask(registry, 1, ["redis"])
    ready(registry)
    with pytest.raises((Refused, OSError)):
        held.call("PING")
    assert opens(cell, before, registry.id) == ALL - {"redis"}


def spoil(cell, role):
    """A server that refuses a login whose password is right; a role may do so to itself."""
    cell.sql(f"ALTER ROLE {role} SET local_preload_libraries = 'missing'")


def told(registry, kind):
    return next(row for row in registry.get()["status"]["credentials"] if row["kind"] == kind)


def test_a_next_login_that_is_refused_holds_back_its_own_step_only(cell):
    registry = ready(cell.registry(cell.namespace()))
    identity, before = registry.id, cell.kept(registry.id)
    role = f"t_{identity}_a"
    mark = cell.sql("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", f"t_{identity}")[0][0]
    admin = cell.stack.env["POOL_PG_ADMIN_USER"]
    cell.sql(f"SET ROLE {admin}; CREATE ROLE {role} NOLOGIN; COMMENT ON ROLE {role} IS '{mark}'")
    spoil(cell, role)
    ask(registry, 1, ["database", "redis"])
    eventually(lambda: phases(registry).get("redis") == ("Current", 1), 120, 0.2, "the other kind goes on")
    row = told(registry, "database")
    assert (row["phase"], row["reason"]) == ("Adding", "NotProved") and role in row["message"]
    assert registry.condition("BackendsReady")[0] == registry.condition("Available")[0] == "True"
    assert cell.kept(identity)["username"] == before["username"]
    cell.sql(f"ALTER ROLE t_{identity} PASSWORD 'other'")
    registry.spec(size="M" if registry.get()["spec"]["size"] == "S" else "S")
    eventually(lambda: "database" in opens(cell, before, identity), 60, 0.2, "what is in use is mended meanwhile")
    registry.spec(credentials={"redis": 1, "database": None})
    ready(registry)
    assert "database" not in phases(registry) and others(cell.kept(identity)) == []
    assert cell.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", role) == [(False,)]
    cell.sql(f"ALTER ROLE {role} RESET ALL")
    ask(registry, 1, ["database"])
    ready(registry)
    assert cell.kept(identity)["username"] == role and "database" not in opens(cell, before, identity)


def test_whoever_holds_the_old_login_cannot_keep_it(cell):
    registry = ready(cell.registry(cell.namespace()))
    identity, before = registry.id, cell.kept(registry.id)
    old = OldPod(registry.cell.cluster, registry.namespace)
    ask(registry, 1, ["database"])
    eventually(lambda: phases(registry) == {"database": ("Rolling", 1)}, 120, what="it is rolling")
    held = login(cell, before, identity)
    held.cursor().execute(f"ALTER ROLE t_{identity} SET local_preload_libraries = 'missing'")
    held.commit()
    held.cursor().execute(f"ALTER ROLE t_{identity} PASSWORD 'other'")  # and its row is locked
    registry.spec(purgeAfter="2090-01-01T00:00:00Z")  # looked at again
    old.let_go()
    ready(registry)
    assert phases(registry) == {"database": ("Current", 1)}
    assert "database" in opens(cell, cell.kept(identity), identity)
    with pytest.raises(psycopg2.Error):
        held.cursor().execute("SELECT 1")


def test_drift_of_a_turn_is_repaired(cell):
    registry = ready(cell.registry(cell.namespace()))
    identity = registry.id
    ask(registry, 1, ["database"])
    ready(registry)
    role = f"t_{identity}_a"
    for drift in (f"ALTER ROLE {role} PASSWORD 'other'", f"ALTER ROLE {role} NOLOGIN", f"ALTER ROLE {role} CONNECTION LIMIT 1",
                  f"ALTER ROLE {role} IN DATABASE t_{identity} RESET role", f"REVOKE t_{identity} FROM {role}",
                  f"ALTER ROLE t_{identity} LOGIN"):
        cell.sql(drift)
        registry.spec(size="M" if registry.get()["spec"]["size"] == "S" else "S")
        ready(registry)
        session = login(cell, cell.kept(identity), identity)
        with session.cursor() as cursor:
            cursor.execute("SELECT current_user, session_user")
            assert cursor.fetchone() == (f"t_{identity}", role), drift
        session.close()
        assert cell.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", f"t_{identity}") == [(False,)], drift


def test_audit_tells_an_owner_that_is_lost_behind_its_turns(cell, flotillad, operate_env):
    """Retained, so that nobody makes it anew: the two that logged in in its name carry the same mark."""
    registry = ready(cell.registry(cell.namespace()))
    identity = registry.id
    role = f"t_{identity}"
    ask(registry, 1, ["database"])
    ready(registry)
    registry.delete()
    mark = cell.sql("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", role)[0][0]
    claim = next(name for name in cell.claims(identity) if name.startswith(f"{cells.POOLS['PostgreSQL']}."))

    def missing():
        process = flotillad(["audit"], operate_env)
        process.wait()
        return [f["object"] for f in map(json.loads, process.stdout) if f.get("finding") == "MissingRole"]

    assert missing() == []
    cell.sql(f"ALTER DATABASE {role} ALLOW_CONNECTIONS true")
    cell.sql(f"DROP OWNED BY {role}", database=role)
    cell.sql(f"DROP ROLE {role}")
    assert cell.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE %s", f"{role}%") == [(1,)], "one turn was made"
    assert missing() == [claim]
    cell.sql(f"SET ROLE {cell.stack.env['POOL_PG_ADMIN_USER']}; CREATE ROLE {role} NOLOGIN; COMMENT ON ROLE {role} IS '{mark}'")
    assert missing() == []
    cell.patch("registryidentity", identity, {"spec": {"purgeAfter": "2020-01-01T00:00:00Z"}})
    cell.wait_purged(identity)


def test_what_is_made_anew_anyway_is_not_rotated(cell):
    registry = ready(cell.registry(cell.namespace(), credentials={"redis": 7}))
    assert phases(registry) == {"redis": ("Current", 7)} and others(cell.kept(registry.id)) == []


def test_a_closed_registry_waits_until_it_is_open(cell):
    registry = ready(cell.registry(cell.namespace()))
    before = cell.kept(registry.id)
    registry.spec(lifecycle="Closed", credentials={"redis": 1})
    registry.wait("False", "Closed")
    assert cell.kept(registry.id) == before
    registry.spec(lifecycle="Active")
    ready(registry)
    assert cell.kept(registry.id)["redisPassword"] != before["redisPassword"]
    assert json.dumps(before["redisPassword"]) not in json.dumps(cell.kept(registry.id))
