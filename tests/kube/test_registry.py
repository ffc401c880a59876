"""The registry operator alone on a real API server and real pools: no server, no fleet."""

import base64
import json

import psycopg2
import pytest
from harness.cell import PINNED, POOL, POOLS, VERIFY_MS, Registry, pool_of, read_row
from harness.wait import eventually, rests, within

pytestmark = pytest.mark.usefixtures("alone")

PAST, FUTURE = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"


def test_apply_becomes_ready_and_is_quiet(cell):
    registry = cell.registry(cell.namespace()).ready()
    cell.stack.kubectl("wait", "--for=condition=Ready", "registry/acme", "-n", registry.namespace, "--timeout=30s")
    identity = registry.id
    assert len(cell.claims(identity)) == 3
    assert cell.identity(identity)["spec"]["state"] == "Held"
    assert [registry.external(kind)["state"] for kind in POOLS] == ["Open"] * 3
    assert [registry.external(kind)["name"] for kind in POOLS] == [f"t_{identity}", f"t_{identity}", f"t-{identity}"]
    assert registry.child("deployment", "portal") and registry.child("service", "portal")
    copy = base64.b64decode(registry.child("secret", "backends")["data"]["databasePassword"]).decode()
    assert f"password={copy}" in cell.conninfo(identity)
    registry.write_row()
    eventually(lambda: "Provisioned" in registry.events(), 10)
    columns = cell.stack.kubectl("get", "reg", "-n", registry.namespace)
    assert "ReadyInPart" in columns and "acme.example.com" in columns
    rests(lambda: registry.get()["metadata"]["resourceVersion"], 4 * VERIFY_MS / 1000)  # several verifications write nothing


def test_size_sets_replicas_and_limits(cell):
    registry = cell.registry(cell.namespace()).ready()
    registry.spec(size="M")
    registry.ready()
    assert registry.child("deployment", "portal")["spec"]["replicas"] == 2
    assert cell.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", f"t_{registry.id}") == [(90,)]


DRIFTS = {
    "password": "ALTER ROLE {t} PASSWORD 'other'",
    "connect revoked": "REVOKE CONNECT ON DATABASE {t} FROM {t}",
    "granted to everybody": "GRANT CONNECT ON DATABASE {t} TO PUBLIC",
    "limit": "ALTER ROLE {t} CONNECTION LIMIT 3",
    "nologin": "ALTER ROLE {t} NOLOGIN",
    "powers": "ALTER ROLE {t} CREATEDB",
    "closed database": "ALTER DATABASE {t} ALLOW_CONNECTIONS false",
}


def facts(cell, identity):
    return cell.sql(
        "SELECT r.rolcanlogin, r.rolconnlimit, r.rolcreatedb, d.datallowconn, d.datconnlimit, d.datacl::text"
        " FROM pg_roles r JOIN pg_database d ON d.datname = r.rolname WHERE r.rolname = %s", f"t_{identity}")


def test_drift_of_backend_is_repaired(cell):
    registry = cell.registry(cell.namespace()).ready()
    identity, name = registry.id, f"t_{registry.id}"
    conninfo, wanted = registry.write_row(), facts(cell, registry.id)
    # facts first: a drift outside of the server's own rows must not look repaired before it was looked at
    for what, statement in DRIFTS.items():
        cell.sql(statement.format(t=name))
        eventually(lambda: facts(cell, identity) == wanted and read_row(cell, conninfo), 15, what=what)
    cell.sql(f"REVOKE CREATE ON SCHEMA public FROM {name}; GRANT USAGE ON SCHEMA public TO PUBLIC", database=name)
    eventually(lambda: cell.sql("CREATE TABLE again (); SELECT 1", conninfo=conninfo), 15)
    eventually(lambda: cell.sql("SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a"
                                " WHERE nspname = 'public' AND grantee = 0", database=name) == [(0,)], 15)
    registry.ready()


def test_drift_of_stack_is_repaired(cell):
    registry = cell.registry(cell.namespace()).ready()
    uid = registry.child("deployment", "portal")["metadata"]["uid"]
    cell.stack.kubectl("delete", "deployment", "acme-portal", "-n", registry.namespace)
    eventually(lambda: (registry.child("deployment", "portal") or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, 15)
    cell.stack.kubectl("delete", "secret", "acme-backends", "-n", registry.namespace)
    eventually(lambda: registry.child("secret", "backends"), 15)
    registry.ready()


def accept_loss(cell, registry):
    cell.patch("registry", registry.name, {"metadata": {"annotations": {"registry.flotilla.dev/accept-loss": registry.id}}},
               registry.namespace)


def test_lost_database_is_not_made_anew_in_silence(cell):
    registry = cell.registry(cell.namespace()).ready()
    identity = registry.id
    cell.sql(f"DROP DATABASE t_{identity} WITH (FORCE)")
    registry.wait("True", "DatabaseLost", "Stalled")
    assert registry.external()["state"] == "Lost" and registry.condition() == ("False", "DatabaseLost")
    assert cell.sql("SELECT 1 FROM pg_database WHERE datname = %s", f"t_{identity}") == []
    accept_loss(cell, registry)
    registry.ready()
    assert registry.condition("Stalled") is None


@pytest.mark.parametrize("lost", ["database", "database and role"])
def test_lost_while_retained_is_not_made_anew_in_silence(cell, lost):
    namespace = cell.namespace()
    registry = cell.registry(namespace).ready()
    identity, name = registry.id, f"t_{registry.id}"
    assert {row["type"]: row["claim"] for row in cell.identity(identity)["spec"]["made"]}.keys() == POOLS.keys()
    registry.delete()
    cell.sql(f"DROP DATABASE {name}")
    if lost != "database":
        cell.sql(f"DROP ROLE {name}")
    back = cell.registry(namespace, "second", identity=identity).wait("True", "DatabaseLost", "Stalled")
    assert back.external()["state"] == "Lost" and back.condition("BackendsReady") == ("False", "DatabaseLost")
    back.delete()  # also who never had it keeps what is left
    assert cell.identity(identity)["spec"]["state"] == "Retained"
    back = cell.registry(namespace, "third", identity=identity).wait("True", "DatabaseLost", "Stalled")
    assert cell.sql("SELECT 1 FROM pg_database WHERE datname = %s", name) == []
    accept_loss(cell, back)
    back.ready()
    assert back.condition("Stalled") is None


def test_claimed_before_anything_was_made_is_no_loss(cell):
    """As a crash between the claims and the database leaves it: claims, Secret and identity are older than the Registry."""
    namespace, identity = cell.namespace(), "claimedonlyabcde"
    owner = {"namespace": namespace, "name": "first", "uid": "gone"}
    labels = {"flotilla.dev/identity": identity, "app.kubernetes.io/managed-by": "flotilla"}
    cell.apply({"apiVersion": "v1", "kind": "Secret", "stringData": {"username": f"t_{identity}", "password": "a" * 32},
                "metadata": {"name": f"registry-{identity}", "namespace": "flotilla-system", "labels": labels}})
    cell.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "RegistryIdentity", "metadata": {"name": identity},
                "spec": {"owner": owner, "state": "Retained", "purgeAfter": FUTURE}})
    for kind, pool in POOLS.items():
        cell.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendClaim",
                    "metadata": {"name": f"{pool}.49", "labels": {**labels, "flotilla.dev/pool": pool}},
                    "spec": {"pool": pool, "type": kind, "slot": 49, "identity": identity, "registry": owner}})
    cell.registry(namespace, identity=identity).ready()
    assert {row["claim"] for row in cell.identity(identity)["spec"]["made"]} == {f"{pool}.49" for pool in POOLS.values()}


def test_a_claim_that_went_does_not_hide_where_the_data_is(cell):
    pool_of(cell, "PostgreSQL", "elsewhere")
    namespace = cell.namespace()
    registry = cell.registry(namespace, backends={**PINNED, "postgresql": {"pool": "elsewhere"}}).ready()
    identity = registry.id
    registry.delete()
    claim = [name for name in cell.claims(identity) if name.startswith("elsewhere.")][0]
    cell.stack.kubectl("delete", "backendclaim", claim)
    cell.sql(f"DROP DATABASE t_{identity}")  # the same server: its database would be found
    back = cell.registry(namespace, "second", identity=identity).wait("True", "DatabaseLost", "Stalled")
    assert claim in back.external()["lastError"]
    accept_loss(cell, back)
    back.ready()
    made = {row["type"]: row["claim"] for row in cell.identity(identity)["spec"]["made"]}
    assert made["PostgreSQL"] in cell.claims(identity) and made["PostgreSQL"].startswith(f"{POOL}.")


def test_close_undo_close_purge(cell):
    registry = cell.registry(cell.namespace()).ready()
    identity, conninfo = registry.id, registry.write_row()
    session = psycopg2.connect(conninfo)
    registry.spec(lifecycle="Closed", purgeAfter=FUTURE)
    registry.wait("False", "Closed")
    assert registry.pods() == [] and registry.external()["state"] == "Closed"
    with pytest.raises(psycopg2.OperationalError):  # its sessions were ended
        session.cursor().execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(conninfo)
    registry.spec(lifecycle="Active", purgeAfter=None)
    registry.ready()
    assert read_row(cell, conninfo)
    assert registry.told("Provisioned", "Closed", "Reopened")
    registry.spec(lifecycle="Closed", purgeAfter=PAST)
    registry.wait("False", "Closed")
    assert len(cell.externals(identity)) == 2  # closing alone removes nothing, whatever purgeAfter says
    registry.delete()
    cell.wait_purged(identity)


def test_a_role_that_holds_its_own_row_is_closed_all_the_same(cell):
    registry = cell.registry(cell.namespace()).ready()
    session = psycopg2.connect(cell.conninfo(registry.id))  # and its transaction stays open
    session.cursor().execute("ALTER ROLE CURRENT_USER SET work_mem = '1MB'; ALTER ROLE CURRENT_USER PASSWORD 'mine'")
    registry.spec(lifecycle="Closed", purgeAfter=FUTURE)
    registry.wait("False", "Closed")
    assert cell.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", f"t_{registry.id}") == [(False,)]
    with pytest.raises(psycopg2.OperationalError):
        session.cursor().execute("SELECT 1")


TRAPS = """
    CREATE TABLE sprung (who text);
    CREATE FUNCTION trap() RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.sprung VALUES (current_user); EXCEPTION WHEN others THEN NULL; END $$;
    CREATE FUNCTION same(oid, int) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.trap(); RETURN $1 = $2::oid; END $$;
    CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = int, FUNCTION = same);
    CREATE FUNCTION acldefault(text, oid) RETURNS aclitem[] LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.trap(); RETURN NULL; END $$;
"""


def test_no_code_of_the_registrys_runs_in_our_sessions(cell):
    """Operators and functions that fit our statements better than the built-in ones, in a schema that is the role's."""
    registry = cell.registry(cell.namespace()).ready()
    conninfo = cell.conninfo(registry.id)
    cell.sql(TRAPS, conninfo=conninfo)
    assert cell.sql("SELECT 1::oid = 1", conninfo=conninfo) == [(True,)]
    assert cell.sql("SELECT count(*) FROM sprung", conninfo=conninfo) == [(1,)], "the trap works"
    cell.sql("GRANT USAGE ON SCHEMA public TO PUBLIC", database=f"t_{registry.id}")  # seen and repaired from inside
    eventually(lambda: cell.sql("SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a"
                                " WHERE nspname = 'public' AND grantee::int = 0", database=f"t_{registry.id}") == [(0,)], 15)
    assert cell.sql("SELECT count(*) FROM sprung", conninfo=conninfo) == [(1,)], "ours sprang it"


def test_a_strangers_nul_blinds_nobody(cell):
    """Kubernetes takes a NUL in an annotation; the watch of everybody's Registries has to survive it."""
    namespace, other = cell.namespace(), cell.registry(cell.namespace()).ready()
    cell.stack.kubectl("create", "--raw", f"/apis/registry.flotilla.dev/v1alpha1/namespaces/{namespace}/registries", "-f", "-",
                       stdin=json.dumps({
                           "apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
                           "metadata": {"name": "evil", "namespace": namespace, "annotations": {"x": "a\0b"}},
                           "spec": {"host": "evil.example.com", "backends": {"postgresql": {"pool": POOL}}}}))
    Registry(cell, namespace, "evil").ready()
    other.spec(size="M")
    eventually(lambda: other.child("deployment", "portal")["spec"]["replicas"] == 2, 20)
    other.ready()


def test_deleted_is_retained_and_comes_back(cell):
    namespace = cell.namespace()
    registry = cell.registry(namespace).ready()
    identity, conninfo = registry.id, registry.write_row()
    registry.delete()
    held = cell.identity(identity)["spec"]
    assert held["state"] == "Retained" and held["purgeAfter"] > "2026"
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(conninfo)
    elsewhere = cell.registry(cell.namespace(), identity=identity).wait("True", "IdentityTaken", "Stalled")
    assert elsewhere.condition() == ("False", "IdentityTaken")
    back = cell.registry(namespace, name="second", identity=identity).ready()
    assert read_row(cell, conninfo) and back.id == identity
    assert cell.identity(identity)["spec"].get("purgeAfter") is None
    claim = cell.get("backendclaim", cell.claims(identity)[0])["spec"]["registry"]
    assert (claim["name"], claim["uid"]) == ("second", back.get()["metadata"]["uid"])
    elsewhere.delete()
    assert cell.identity(identity)["spec"]["state"] == "Held"


def hold_teardown(cell, registry):
    """A pod of the stack that does not end: the finalizer stays until somebody takes it away. When it runs, its operator knows it."""
    owner = cell.get("configmap", "kube-root-ca.crt", registry.namespace)["metadata"]["uid"]
    cell.apply({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "one", "image": "one"}]}, "metadata": {
        "name": "holds", "namespace": registry.namespace, "labels": {"flotilla.dev/registry": registry.name},
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": owner, "controller": True}]}})
    eventually(lambda: cell.get("pod", "holds", registry.namespace)["status"]["phase"] == "Running", what="the pod runs")


def test_gone_without_its_finalizer_is_retained_and_comes_back(cell):
    namespace = cell.namespace()
    registry = cell.registry(namespace, deletionPolicy="Delete").ready()
    identity, conninfo = registry.id, registry.write_row()
    hold_teardown(cell, registry)
    registry.delete(wait=False)
    cell.patch("registry", registry.name, {"metadata": {"finalizers": None}}, namespace)
    spec = eventually(lambda: (found := cell.identity(identity)["spec"])["state"] != "Held" and found, 30, what="retained")
    assert spec["state"] == "Retained" and spec["purgeAfter"] > "2026"
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(conninfo)
    assert cell.redis_users()[f"t_{identity}"].startswith("off ") and cell.store().policy(f"t-{identity}") is None

    def events():
        found = cell.stack.get("events.events.k8s.io", "-n", "default")["items"]
        return [e["type"] for e in found if e["regarding"]["name"] == identity and e["reason"] == "RegistryGone"]

    eventually(lambda: events() == ["Warning"], what="one event")
    cell.registry(namespace, name="second", identity=identity).ready()
    assert read_row(cell, conninfo) and cell.identity(identity)["spec"]["state"] == "Held"


def test_an_identity_of_nobody_is_retained_though_nothing_was_made(cell):
    identity = "nobodysidentityz"
    cell.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "RegistryIdentity", "metadata": {"name": identity},
                "spec": {"owner": {"namespace": "nowhere", "name": "acme", "uid": "gone"}, "state": "Held"}})
    eventually(lambda: cell.identity(identity)["spec"]["state"] == "Retained", 15)
    assert cell.identity(identity)["spec"]["purgeAfter"] > "2026"


def test_deleted_namespace_loses_nothing_and_release_moves_it(cell):
    namespace = cell.namespace()
    registry = cell.registry(namespace).ready()
    identity, conninfo = registry.id, registry.write_row()
    cell.stack.kubectl("delete", "namespace", namespace, "--timeout=120s")
    assert cell.identity(identity)["spec"]["state"] == "Retained"
    moved = cell.registry(cell.namespace(), identity=identity).wait("True", "IdentityTaken", "Stalled")
    cell.patch("registryidentity", identity, {"spec": {"releaseTo": moved.namespace}})
    moved.ready()
    assert read_row(cell, conninfo)


def test_retained_is_purged_in_time(cell):
    registry = cell.registry(cell.namespace()).ready()
    identity = registry.id
    registry.delete()
    assert len(cell.externals(identity)) == 2
    cell.patch("registryidentity", identity, {"spec": {"purgeAfter": PAST}})
    cell.wait_purged(identity)


def test_a_neighbours_grants_hold_no_purge_up(cell):
    """Everybody may grant what is his to any role that he can name, and a role with grants cannot be dropped."""
    registry, neighbour = cell.registry(cell.namespace()).ready(), cell.registry(cell.namespace()).ready()
    identity, conninfo = registry.id, cell.conninfo(neighbour.id)
    cell.sql(f"CREATE TABLE lure (); GRANT SELECT ON lure TO t_{identity}", conninfo=conninfo)
    registry.spec(deletionPolicy="Delete")
    registry.delete()
    cell.wait_purged(identity)
    assert cell.sql("SELECT count(*) FROM lure", conninfo=conninfo) == [(0,)], "what was granted is still its owner's"


def test_deletion_policy_is_ignored_on_what_the_fleet_owns(cell):
    own = cell.registry(cell.namespace(), deletionPolicy="Delete").ready()
    fleets = cell.registry(cell.namespace(), labels={"flotilla.dev/fleet": "true"}, deletionPolicy="Delete").ready()
    own_id, fleet_id = own.id, fleets.id
    own.delete()
    cell.wait_purged(own_id)
    cell.stack.kubectl("label", "registry", fleets.name, "-n", fleets.namespace, "flotilla.dev/fleet-")  # does not help
    fleets.delete()
    assert cell.identity(fleet_id)["spec"]["state"] == "Retained" and len(cell.externals(fleet_id)) == 2


def test_second_registry_of_a_namespace_waits(cell):
    namespace = cell.namespace()
    first = cell.registry(namespace, "first").ready()
    eventually(lambda: first.get()["metadata"]["creationTimestamp"] < cell.sql(
        "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")[0][0], 3)  # whole seconds
    second = cell.registry(namespace, "second").wait("True", "NamespaceTaken", "Stalled")
    assert "identity" not in second.get()["spec"]
    first.delete()
    second.ready()


@pytest.mark.parametrize("marks", [
    [], ["COMMENT ON ROLE {t} IS 'flotilla:another-cell:{i}'"],
    ["COMMENT ON ROLE {t} IS 'mine'", "CREATE DATABASE {t}"]])
def test_foreign_objects_are_left_alone(cell, marks):
    identity = "foreignabcdefgh" + "abc"[len(marks)]
    name = f"t_{identity}"
    cell.sql(f"CREATE ROLE {name} NOLOGIN")
    for statement in marks:
        cell.sql(statement.format(t=name, i=identity))
    registry = cell.registry(cell.namespace(), identity=identity).wait("True", "Taken", "Stalled")
    assert "lastError" in registry.external()
    assert cell.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", name) == [(False,)]
    if len(marks) > 1:
        cell.sql(f"DROP DATABASE {name}")
    cell.sql(f"DROP ROLE {name}")
    registry.ready()
    registry.spec(lifecycle="Closed", purgeAfter=PAST)
    registry.wait("False", "Closed")
    registry.delete()
    cell.wait_purged(identity)


def test_crash_between_create_and_mark_is_adopted(cell):
    """The one window in which an external thing has no mark; anything else about it must not fit less."""
    registry = cell.registry(cell.namespace(), identity="zzzzyyyyxxxxwwww", lifecycle="Closed")
    registry.wait("False", "Closed")
    mark = eventually(lambda: cell.get("backendpool", POOL)["status"]["ownerMark"], 10)
    cell.sql("CREATE ROLE t_zzzzyyyyxxxxwwww NOLOGIN; COMMENT ON ROLE t_zzzzyyyyxxxxwwww IS"
             f" 'flotilla:{mark}:zzzzyyyyxxxxwwww'")
    cell.sql("CREATE DATABASE t_zzzzyyyyxxxxwwww OWNER flotilla_admin ALLOW_CONNECTIONS false CONNECTION LIMIT 0")
    registry.spec(lifecycle="Active")
    registry.ready()


def test_pool_of_another_cluster_is_not_used(cell):
    env = cell.stack.env
    cell.sql("CREATE DATABASE other_maintenance OWNER flotilla_admin")
    cell.sql("REVOKE ALL ON DATABASE other_maintenance FROM PUBLIC")
    cell.sql("CREATE TABLE flotilla_owner (one boolean PRIMARY KEY DEFAULT true, cell text NOT NULL);"
             "INSERT INTO flotilla_owner (cell) VALUES ('another'); GRANT SELECT ON flotilla_owner TO flotilla_admin",
             database="other_maintenance")
    cell.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendPool", "metadata": {"name": "others"}, "spec": {
        "type": "PostgreSQL", "slots": 5, "adminSecretRef": {"name": POOL}, "maintenanceDatabase": "other_maintenance",
        "endpoint": {"host": env["POOL_PG_HOST"], "port": int(env["POOL_PG_PORT"]), "sslMode": "disable"}}})

    def reason():
        conditions = {c["type"]: c for c in cell.get("backendpool", "others")["status"]["conditions"]}
        return conditions["Ready"]["reason"], conditions["AdminTooPowerful"]["status"]

    powerful = "True" if int(cell.sql("SHOW server_version_num")[0][0]) < 160000 else "False"
    eventually(lambda: reason() == ("OwnedByOtherCluster", powerful), 15)
    registry = cell.registry(cell.namespace(), backends={"postgresql": {"pool": "others"}})
    registry.wait("False", "PoolMissing", "BackendsReady")
    registry.delete()
    cell.stack.kubectl("delete", "backendpool", "others")


def test_pool_tells_which_databases_are_open_to_all(cell):
    def openness():
        found = [c for c in cell.get("backendpool", POOL)["status"]["conditions"] if c["type"] == "OpenToAll"][0]
        return found["reason"], "ajar" in found["message"]

    cell.sql("CREATE DATABASE ajar")  # CREATE DATABASE lets everybody in
    cell.patch("backendpool", POOL, {"spec": {"slots": 51}})  # the server is asked at once when the spec changed
    within(lambda: openness() == ("PublicConnect", True), 20)
    cell.sql("DROP DATABASE ajar")
    cell.patch("backendpool", POOL, {"spec": {"slots": 50}})
    within(lambda: openness() == ("NoneOpen", False), 20)


def test_pool_whose_locks_everybody_may_take_gets_nobody_further(cell):
    def ready(name):
        cell.patch("backendpool", name, {"spec": {"slots": int(cell.get("backendpool", name)["spec"]["slots"]) + 1}})  # asked at once

        def told():
            item = cell.get("backendpool", name)
            found = {c["type"]: c for c in item["status"]["conditions"]}["Ready"]
            return found["observedGeneration"] == item["metadata"]["generation"] and (found["reason"], found["message"])

        return eventually(told, 20)

    cell.sql("CREATE DATABASE lent OWNER flotilla_admin")  # CREATE DATABASE lets everybody in
    pool_of(cell, "PostgreSQL", "lent", maintenanceDatabase="lent")
    reason, message = ready("lent")
    assert reason == "OpenToAll" and 'REVOKE CONNECT ON DATABASE "lent" FROM PUBLIC' in message
    backends = {**PINNED, "postgresql": {"pool": "lent"}}
    registry = cell.registry(cell.namespace(), backends=backends).wait("False", "PoolMissing", "BackendsReady")
    cell.sql("REVOKE CONNECT ON DATABASE lent FROM PUBLIC")
    assert ready("lent")[0] == "Healthy"
    registry.ready()
    cell.sql("GRANT CONNECT ON DATABASE lent TO PUBLIC")
    assert ready("lent")[0] == "OpenToAll"
    registry.spec(size="M", deletionPolicy="Delete")
    registry.ready()  # who is there goes on
    registry.delete()
    cell.stack.kubectl("delete", "backendpool", "lent")
    cell.sql("DROP DATABASE lent WITH (FORCE)")


def test_pool_whose_locks_only_others_could_guard_warns(cell):
    cell.sql("CREATE DATABASE theirs")
    cell.sql("CREATE TABLE flotilla_owner (one boolean PRIMARY KEY DEFAULT true, cell text NOT NULL);"
             "INSERT INTO flotilla_owner (cell) VALUES (%s); GRANT SELECT ON flotilla_owner TO flotilla_admin",
             cell.get("namespace", "kube-system")["metadata"]["uid"], database="theirs")
    pool_of(cell, "PostgreSQL", "theirs", maintenanceDatabase="theirs")

    def told():
        conditions = {c["type"]: c for c in cell.get("backendpool", "theirs")["status"]["conditions"]}
        return conditions["Ready"]["reason"], conditions["OpenToAll"]["reason"]

    eventually(lambda: told() == ("Healthy", "PublicConnect"), 20)
    cell.stack.kubectl("delete", "backendpool", "theirs")
    cell.sql("DROP DATABASE theirs WITH (FORCE)")


def test_full_pool_says_so(cell):
    pool_of(cell, "PostgreSQL", "tiny", slots=1)
    one = cell.registry(cell.namespace(), backends={"postgresql": {"pool": "tiny"}}).ready()
    within(lambda: cell.get("backendpool", "tiny")["status"]["usedSlots"] == 1, 20, what="a claim wakes its pool")
    two = cell.registry(cell.namespace(), backends={"postgresql": {"pool": "tiny"}})
    two.wait("False", "PoolFull", "BackendsReady")
    one.spec(deletionPolicy="Delete")
    one.delete()
    two.ready()


def test_audit_finds_nothing_and_then_what_was_planted(cell, flotillad, operate_env):
    def audit():
        process = flotillad(["audit"], operate_env)
        status = process.wait()
        return status, {(f["finding"], f["object"]) for f in map(json.loads, process.stdout) if "finding" in f}

    def clean():
        status, found = audit()
        assert (status, found) == (0, set())
        return True

    eventually(lambda: not cell.cluster.list("registries"), what="those of earlier tests are gone")
    eventually(clean, 30, interval=1, what="clean audit")
    mark = cell.get("backendpool", POOL)["status"]["ownerMark"]
    cell.sql(f"CREATE ROLE planted NOLOGIN; COMMENT ON ROLE planted IS 'flotilla:{mark}:aaaabbbbccccdddd'")
    cell.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {
        "name": "planted", "namespace": "flotilla-system", "labels": {"flotilla.dev/identity": "aaaabbbbccccdddd"}}})
    _, found = audit()
    assert {kind for kind, _ in found} == {"OrphanRole", "OrphanSecret"}
    cell.sql("DROP ROLE planted")
    cell.stack.kubectl("delete", "secret", "planted", "-n", "flotilla-system")
