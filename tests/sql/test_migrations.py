"""migrate: forward, once, one at a time; serve refuses what it does not know."""

import contextlib
import functools
import hashlib
import subprocess
import threading

import pytest

from harness import REPO
from harness.process import base_env, binary

FILES = sorted(path.name for path in (REPO / "sql/migrations").glob("*.sql"))


@pytest.fixture
def run(tmp_path):
    def flotillad(command, database, *more):
        env = {**base_env(tmp_path), **database.env(), "FLOTILLA_LISTEN": "127.0.0.1:0"}
        argv = [binary(), command, *more]
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)

    return flotillad


def test_files_are_numbered_without_gaps():
    assert [int(name[:4]) for name in FILES] == list(range(1, len(FILES) + 1))


def test_migrate_records_what_it_did_and_does_it_once(run, empty_db):
    assert run("migrate", empty_db).returncode == 0
    rows = empty_db.query("SELECT version, name, length(checksum), applied_at FROM schema_migration ORDER BY 1")
    assert [(row[0], row[1]) for row in rows] == [
        (number, f"sql/migrations/{name}") for number, name in enumerate(FILES, 1)]
    assert {row[2] for row in rows} == {64}
    assert run("migrate", empty_db).returncode == 0
    assert empty_db.query("SELECT version, name, length(checksum), applied_at FROM schema_migration ORDER BY 1") == rows


def test_four_at_once(run, empty_db):
    results = []
    threads = [threading.Thread(target=lambda: results.append(run("migrate", empty_db))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.returncode for result in results] == [0] * 4, [result.stderr for result in results]
    assert empty_db.value("SELECT count(*) FROM schema_migration") == len(FILES)


def test_an_edited_file_is_refused(run, fleet_db):
    fleet_db.query("UPDATE schema_migration SET checksum = repeat('0', 64) WHERE version = 1")
    try:
        for command in ("migrate", "serve"):
            refused = run(command, fleet_db)
            assert refused.returncode != 0 and "SchemaChanged" in refused.stderr, (command, refused.stderr)
    finally:
        fleet_db.query("TRUNCATE schema_migration")
        assert "SchemaTooOld" in run("serve", fleet_db).stderr


def test_a_newer_database_is_refused(run, empty_db):
    run("migrate", empty_db)
    empty_db.query("INSERT INTO schema_migration VALUES (%s, 'later', repeat('0', 64))", len(FILES) + 1)
    refused = run("migrate", empty_db)
    assert refused.returncode != 0 and "SchemaNewer" in refused.stderr


def test_serve_refuses_an_older_schema(run, empty_db):
    assert "SchemaTooOld" in run("serve", empty_db).stderr
    run("migrate", empty_db)
    empty_db.query("DELETE FROM schema_migration WHERE version = %s", len(FILES))
    refused = run("serve", empty_db)
    assert refused.returncode != 0 and "SchemaTooOld" in refused.stderr


def test_an_older_database_keeps_its_rows(run, empty_db):
    """Of version 8, with a view whose column 0009 renames: what is there is there, under its new name."""
    owner = functools.partial(empty_db.query, role="owner")
    owner("CREATE TABLE schema_migration (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
          " applied_at timestamptz NOT NULL DEFAULT now())")
    for number, name in enumerate(FILES[:8], 1):
        text = (REPO / "sql/migrations" / name).read_bytes()
        owner(text.decode())
        owner("INSERT INTO schema_migration VALUES (%s, %s, %s)", number, f"sql/migrations/{name}", hashlib.sha256(text).hexdigest())
    owner("CREATE VIEW api_operation AS SELECT id, tenant_id, registry_id FROM operation")
    tenant, registry, operation = "tn_" + "0" * 26, "reg_" + "1" * 26, "op_" + "2" * 26
    empty_db.query("INSERT INTO tenant (id, name) VALUES (%s, 'old')", tenant)
    empty_db.query("INSERT INTO registry (id, tenant_id, name, identity, spec, namespace) VALUES (%s, %s, 'old', %s, '{}', %s)",
                   registry, tenant, "a" * 16, "reg-" + registry[4:])
    empty_db.query("INSERT INTO registry_status (registry_id, tenant_id) VALUES (%s, %s)", registry, tenant)
    empty_db.query("INSERT INTO operation (id, tenant_id, registry_id, kind, requested_generation, actor)"
                   " VALUES (%s, %s, %s, 'create', 1, 'test')", operation, tenant, registry)
    counted = empty_db.query("SELECT cell, phase, sum(count) FROM status_counter GROUP BY 1, 2")
    done = run("migrate", empty_db)
    assert done.returncode == 0, done.stderr
    assert empty_db.query("SELECT id, resource_id FROM api_operation") == [(operation, registry)]
    assert empty_db.query("SELECT kind, cell, phase, sum(count) FROM status_counter GROUP BY 1, 2, 3") == [
        ("registry", *row) for row in counted] != []


def test_the_lock_is_waited_for_and_given_up(run, empty_db):
    with empty_db.connect("owner") as holder, contextlib.closing(holder.cursor()) as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('flotilla.schema', 0))")
        refused = run("migrate", empty_db)
        assert refused.returncode != 0 and "another migration" in refused.stderr, refused.stderr
    assert empty_db.value("SELECT to_regclass('tenant') IS NULL")
    assert run("migrate", empty_db).returncode == 0


def test_a_failed_migration_leaves_nothing(run, empty_db):
    """The second file fails half-way: its first half is gone too, and the way is free once the cause is."""
    empty_db.query("CREATE TABLE outbox (id int)", role="owner")
    refused = run("migrate", empty_db)
    assert refused.returncode != 0 and "0002" in refused.stderr
    assert empty_db.value("SELECT max(version) FROM schema_migration") == 1
    assert empty_db.value("SELECT to_regclass('registry') IS NULL")
    empty_db.query("DROP TABLE outbox", role="owner")
    assert run("migrate", empty_db).returncode == 0


def test_views_are_replaced_and_have_the_invokers_rights(run, empty_db):
    run("migrate", empty_db)
    before = empty_db.value("SELECT pg_get_viewdef('api_plan'::regclass)")
    empty_db.query("CREATE OR REPLACE VIEW api_plan AS SELECT position, '{}'::jsonb AS body FROM plan", role="owner")
    run("migrate", empty_db)
    assert empty_db.value("SELECT pg_get_viewdef('api_plan'::regclass)") == before
    views = empty_db.query(
        "SELECT relname, coalesce(reloptions::text, '') FROM pg_class"
        " WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace")
    assert len(views) == len(list((REPO / "sql/views").glob("*.sql")))
    assert all("security_invoker=true" in options for _, options in views), views
