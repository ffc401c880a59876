"""Row security, table by table, as the role that `serve` uses."""

import psycopg2
import pytest

# Tables that belong to nobody in particular; every other one must be fenced. A new table is fenced or stands here.
FREE = {"schema_migration", "plan", "cell_lease"}
# Fenced, but the provider's alone.
PROVIDERS = {"cell", "status_counter"}

A, B = "tn_0000000000000000000000000a", "tn_0000000000000000000000000b"
REGISTRY = {A: "reg_0000000000000000000000000a", B: "reg_0000000000000000000000000b"}


def tables(database):
    return [row[0] for row in database.query(
        "SELECT relname FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1")]


def tenant_column(table):
    return "id" if table == "tenant" else "tenant_id"


@pytest.fixture(scope="module")
def filled(fleet_db):
    """One row per tenant in every fenced table."""
    for letter, tenant in zip("ab", (A, B)):
        registry = REGISTRY[tenant]
        for statement in (
            f"INSERT INTO tenant (id, name) VALUES ('{tenant}', '{letter}')",
            f"INSERT INTO api_key (id, prefix, secret_hash, role, tenant_id, name) VALUES"
            f" ('key_0000000000000000000000000{letter}', 'aaaaaaa{letter}', repeat('0', 64), 'tenant', '{tenant}', 'x')",
            f"INSERT INTO idempotency_key (tenant_id, principal, key, fingerprint) VALUES ('{tenant}', 'k', 'k', 'f')",
            f"INSERT INTO audit_event (tenant_id, actor, action, resource_id) VALUES ('{tenant}', 'x', 'x', 'x')",
            f"INSERT INTO resource (id, tenant_id, name, identity, spec, namespace) VALUES ('{registry}', '{tenant}',"
            f" 'x', repeat('{letter}', 16), '{{\"host\": \"{letter}.example\"}}', 'reg-' || substr('{registry}', 5))",
            f"INSERT INTO resource_status (resource_id, tenant_id) VALUES ('{registry}', '{tenant}')",
            f"INSERT INTO operation (id, tenant_id, resource_id, kind, requested_generation, actor) VALUES"
            f" ('op_0000000000000000000000000{letter}', '{tenant}', '{registry}', 'create', 1, 'x')",
            f"INSERT INTO outbox (resource_id, tenant_id, generation) VALUES ('{registry}', '{tenant}', 1)",
            f"INSERT INTO preview (operation_id, tenant_id, name, spec) VALUES ('op_' || substr('{registry}', 5), '{tenant}', 'x', '{{}}')",
            "INSERT INTO sealed_secret (id, tenant_id, owner_kind, owner_id, purpose, kek_id, wrapped_dek, sealed) VALUES"
            f" ('sec_0000000000000000000000000{letter}', '{tenant}', 'registry', '{registry}', 'admin-password', 'k',"
            " decode(repeat('00', 60), 'hex'), decode(repeat('00', 52), 'hex'))",
        ):
            fleet_db.query(statement)
    fleet_db.query("INSERT INTO cell (name, kubeconfig, capacity) VALUES ('c', 'c', 1)")
    return fleet_db


@pytest.fixture
def as_serve(filled):
    """as_serve(sql, tenant=..., provider=...): the rows, in a transaction with that scope, rolled back."""

    def run(sql, tenant=None, provider=False, role="serve", **settings):
        if tenant:
            settings["tenant"] = tenant
        if provider:
            settings["role"] = "provider"
        with filled.connect(role) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for name, value in settings.items():
                cursor.execute("SELECT set_config(%s, %s, true)", (f"flotilla.{name}", value))
            cursor.execute(sql)
            rows = cursor.fetchall() if cursor.description else cursor.rowcount
            cursor.execute("ROLLBACK")
            return rows

    return run


def fenced(database):
    return [table for table in tables(database) if table not in FREE | PROVIDERS]


def test_serve_is_above_nothing(fleet_db):
    rows = fleet_db.query(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname LIKE 'flotilla_%'")
    assert len(rows) == 3 and all(row[1:] == (False,) * 4 for row in rows), rows
    owners = {row[0] for row in fleet_db.query(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace")}
    assert owners == {"flotilla_owner"}
    members = fleet_db.query("SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname IN"
                             " ('flotilla_serve', 'flotilla_fleet')")
    assert not members, "serve and fleet are members of no other role"


def test_every_tenant_table_is_fenced(fleet_db):
    for table in set(tables(fleet_db)) - FREE:
        enabled, forced = fleet_db.query(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", table)[0]
        policies = fleet_db.value("SELECT count(*) FROM pg_policies WHERE tablename = %s", table)
        assert enabled and forced and policies, f"{table} has no row security"
    for table in FREE:
        columns = fleet_db.query("SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name ="
                                 " 'tenant_id'", table)
        assert not columns, f"{table} has a tenant_id and no row security"


def test_the_fixture_fills_every_fenced_table(filled):
    for table in fenced(filled):
        seen = {row[0] for row in filled.query(f"SELECT {tenant_column(table)} FROM {table}")}
        assert {A, B} <= seen, table


def test_without_a_setting_there_is_nothing(filled, as_serve):
    for table in fenced(filled) + sorted(PROVIDERS):
        assert as_serve(f"SELECT count(*) FROM {table}") == [(0,)], table
        assert as_serve(f"SELECT count(*) FROM {table}", tenant="") == [(0,)], table


def test_settings_end_with_the_transaction(filled):
    with filled.connect("serve") as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT set_config('flotilla.tenant', %s, true)", (A,))
        cursor.execute("SELECT set_config('flotilla.role', 'provider', true)")
        cursor.execute("SELECT count(*) FROM resource")
        assert cursor.fetchone()[0] == 2
        cursor.execute("COMMIT")
        cursor.execute("SELECT count(*) FROM resource")
        assert cursor.fetchone()[0] == 0


def test_a_tenant_sees_itself_only(filled, as_serve):
    for table in fenced(filled):
        column = tenant_column(table)
        for tenant in (A, B):
            rows = as_serve(f"SELECT DISTINCT {column} FROM {table}", tenant=tenant)
            assert rows == [(tenant,)], (table, rows)
    for table in PROVIDERS:
        assert as_serve(f"SELECT count(*) FROM {table}", tenant=A) == [(0,)], table


def test_the_provider_sees_all(filled, as_serve):
    for table in fenced(filled):
        seen = {row[0] for row in as_serve(f"SELECT {tenant_column(table)} FROM {table}", provider=True)}
        assert {A, B} <= seen, table


def test_the_owner_is_under_it_too(filled, as_serve):
    for table in fenced(filled):
        assert as_serve(f"SELECT count(*) FROM {table}", role="owner") == [(0,)], table


INSERTS = {
    "api_key": "INSERT INTO api_key (id, prefix, secret_hash, role, tenant_id, name) VALUES"
               " ('key_0000000000000000000000000c', 'aaaaaaac', repeat('0', 64), 'tenant', '{tenant}', 'x')",
    "idempotency_key": "INSERT INTO idempotency_key (tenant_id, principal, key, fingerprint) VALUES"
                       " ('{tenant}', 'k', 'new', 'f')",
    "audit_event": "INSERT INTO audit_event (tenant_id, actor, action, resource_id) VALUES ('{tenant}', 'x', 'x', 'x')",
    "resource": "INSERT INTO resource (id, tenant_id, name, identity, spec, namespace) VALUES"
                " ('reg_0000000000000000000000000c', '{tenant}', 'y', repeat('c', 16), '{{}}',"
                " 'reg-0000000000000000000000000c')",
    "operation": "INSERT INTO operation (id, tenant_id, resource_id, kind, requested_generation, actor) VALUES"
                 " ('op_0000000000000000000000000c', '{tenant}', '{registry}', 'update', 2, 'x')",
    "outbox": "INSERT INTO outbox (resource_id, tenant_id, generation) VALUES ('{registry}', '{tenant}', 1)",
    "preview": "INSERT INTO preview (operation_id, tenant_id, name, spec) VALUES ('op_' || substr('{registry}', 5), '{tenant}', 'y', '{{}}')",
    "resource_status": "INSERT INTO resource_status (resource_id, tenant_id) VALUES ('{registry}', '{tenant}')",
    "sealed_secret": "INSERT INTO sealed_secret (id, tenant_id, owner_kind, owner_id, purpose, kek_id, wrapped_dek, sealed)"
                     " VALUES ('sec_0000000000000000000000000c', '{tenant}', 'registry', 'reg_0000000000000000000000000c',"
                     " 'admin-password', 'k', decode(repeat('00', 60), 'hex'), decode(repeat('00', 52), 'hex'))",
    "tenant": "INSERT INTO tenant (id, name) VALUES ('tn_0000000000000000000000000c', 'c')",
}


def test_every_fenced_table_has_an_insert_to_try(filled):
    assert set(INSERTS) == set(fenced(filled))


@pytest.mark.parametrize("table", sorted(INSERTS))
def test_a_tenant_writes_for_itself_only(table, as_serve):
    text = INSERTS[table]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
        as_serve(text.format(tenant=B, registry=REGISTRY[B]), tenant=A)
    if table not in ("tenant", "outbox", "preview", "resource_status"): # the last three would meet A's own row
        assert as_serve(text.format(tenant=A, registry=REGISTRY[A]), tenant=A) == 1


UPDATES = {
    "api_key": "revoked_at = now()", "idempotency_key": "status = 1", "resource": "generation = generation + 1",
    "operation": "status = 'superseded', finished_at = now()", "outbox": "attempts = 0",
}


@pytest.mark.parametrize("table", sorted(UPDATES))
def test_a_tenant_changes_its_own_only(table, as_serve):
    assert as_serve(f"UPDATE {table} SET {UPDATES[table]} WHERE tenant_id = '{B}'", tenant=A) == 0
    assert as_serve(f"UPDATE {table} SET {UPDATES[table]}", tenant=A) == 1


def test_the_fleet_removes_no_operation_but_dry_runs(filled):
    """What a change left behind stays, whatever the statement says."""
    key = "op_0000000000000000000000000p"
    with filled.connect("fleet") as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO operation (id, tenant_id, kind, requested_generation, actor) VALUES (%s, %s, 'preview', 1, 'x')", (key, A))
        cursor.execute("DELETE FROM operation RETURNING id")
        assert cursor.fetchall() == [(key,)]
        cursor.execute("ROLLBACK")


def test_nothing_can_be_handed_to_another_tenant(as_serve):
    for table in ("idempotency_key",): # the only one whose tenant_id serve may write at all
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_serve(f"UPDATE {table} SET tenant_id = '{B}'", tenant=A)
    for table in ("resource", "operation", "outbox", "api_key"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied"):
            as_serve(f"UPDATE {table} SET tenant_id = '{B}'", provider=True)


def test_a_login_sees_one_key(as_serve):
    assert as_serve("SELECT prefix FROM api_key", key_prefix="aaaaaaab") == [("aaaaaaab",)]
    assert as_serve("SELECT count(*) FROM tenant", key_prefix="aaaaaaab") == [(0,)]


def test_serve_cannot_touch_what_is_the_fleets(as_serve):
    for statement in (
        "UPDATE resource_status SET phase = 'ready'", "DELETE FROM resource", "DELETE FROM outbox",
        "UPDATE resource SET cell = 'c'", "UPDATE resource SET deleted_at = now()", "SELECT * FROM cell_lease",
        "UPDATE status_counter SET count = 0", "SELECT status_counter_add('[]')",
        "CREATE TABLE mine (id int)", "SELECT sealed FROM sealed_secret", "SELECT wrapped_dek FROM sealed_secret",
        "UPDATE sealed_secret SET kek_id = 'x'", "DELETE FROM sealed_secret", "SELECT * FROM sealed_secret",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_serve(statement, provider=True)


@pytest.mark.parametrize("role", ["serve", "fleet"])
def test_the_audit_trail_only_grows(role, as_serve):
    for statement in ("UPDATE audit_event SET actor = 'nobody'", "DELETE FROM audit_event", "TRUNCATE audit_event"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_serve(statement, provider=True, role=role)


def test_the_fleet_sees_what_it_needs_and_no_more(as_serve):
    assert as_serve("SELECT count(*) FROM resource", role="fleet") == [(2,)]
    for statement in (
        "SELECT * FROM api_key", "SELECT * FROM idempotency_key", "SELECT created_at FROM tenant",
        "UPDATE resource SET identity = 'x'", "UPDATE resource SET tenant_id = 'x'", "DELETE FROM resource",
        "INSERT INTO cell (name, kubeconfig, capacity) VALUES ('d', 'd', 1)", "DELETE FROM sealed_secret",
        "UPDATE sealed_secret SET owner_id = 'x'", "UPDATE sealed_secret SET tenant_id = 'x'",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_serve(statement, role="fleet")


def test_a_view_shows_what_its_reader_may_see(as_serve):
    assert as_serve("SELECT DISTINCT tenant_id FROM api_registry", tenant=A) == [(A,)]
    assert as_serve("SELECT body FROM api_registry", tenant=A)[0][0].get("placement") is None
    assert as_serve("SELECT count(*) FROM api_registry") == [(0,)]
    assert as_serve("SELECT body -> 'registries' -> 'total' FROM api_status", tenant=A) == [(0,)]


def test_a_shredded_secret_holds_nothing_and_a_live_one_everything(filled):
    where = f" WHERE tenant_id = '{A}'"
    for half in ("wrapped_dek = NULL", "sealed = NULL", "kek_id = NULL", "shredded_at = now()", "delivered_at = now()",
                 "shredded_at = now(), wrapped_dek = NULL, kek_id = NULL", "wrapped_dek = substr(wrapped_dek, 2)"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            filled.query(f"UPDATE sealed_secret SET {half}{where}", role="fleet")
