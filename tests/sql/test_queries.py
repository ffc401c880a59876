"""Every file of sql/queries: PostgreSQL accepts it for the role that runs it, and C code runs it."""

import json
import re

import pytest

from harness import REPO

QUERIES = sorted((REPO / "sql/queries").glob("*.sql"))
STORE = "\n".join(path.read_text() for path in sorted((REPO / "server/store").glob("*.c")))
HEADERS = "\n".join(path.read_text() for path in sorted((REPO / "server/store").glob("*.h")))


def role_of(name):
    return {"fleet": "fleet", "schema": "owner"}.get(name.split("_")[0], "serve")


@pytest.mark.parametrize("path", QUERIES, ids=[path.stem for path in QUERIES])
def test_it_prepares_as_its_role(path, fleet_db):
    fleet_db.query(f"PREPARE statement AS {path.read_text()}", role=role_of(path.stem))


@pytest.mark.parametrize("path", QUERIES, ids=[path.stem for path in QUERIES])
def test_it_is_run(path):
    assert f'"{path.stem}"' in STORE, f"no C code runs {path.name}"
    if role_of(path.stem) == "serve":
        assert re.search(rf"\bstore_{path.stem}\(", HEADERS), f"store_{path.stem}() is missing"


def test_c_code_names_no_file_that_is_missing():
    named = set(re.findall(r'store_(?:query|body)\(ctx, pg, "(\w+)"', STORE))
    assert named and named <= {path.stem for path in QUERIES}


def take(database, many):
    text = (REPO / "sql/queries/fleet_outbox_take.sql").read_text()
    rows = database.query(f"PREPARE take AS {text}; EXECUTE take('me', {many}, 60000, false, '[]', '[]')", role="fleet")
    database.query("UPDATE outbox SET lease_owner = NULL, lease_until = NULL")
    return [row[0]["id"][-2:] for row in rows]


def test_rows_without_a_cell_do_not_stand_before_others(fleet_db):
    """Any number of them, all due since long; two others have come just now."""
    tenant = "tn_00000000000000000000000000"
    fleet_db.query("INSERT INTO tenant (id, name) VALUES (%s, 'x')", tenant)
    for number in range(6):
        registry = f"reg_000000000000000000000000{number:02}"
        fleet_db.query(
            "INSERT INTO resource (id, tenant_id, name, identity, spec, namespace)"
            " VALUES (%s, %s, %s, repeat(%s, 16), jsonb_build_object('host', %s::text), 'reg-' || substr(%s, 5))",
            registry, tenant, f"r{number}", "abcdef"[number], f"r{number}.example", registry)
        fleet_db.query(
            "INSERT INTO outbox (resource_id, tenant_id, generation, due_at, last_error)"
            " VALUES (%s, %s, 1, now() - make_interval(hours => %s), %s)",
            registry, tenant, 10 - number, "NoCell: no open cell has room" if number < 4 else None)
    assert sorted(take(fleet_db, 1)) == ["04"]
    assert sorted(take(fleet_db, 2)) == ["04", "05"]
    assert sorted(take(fleet_db, 6)) == ["00", "04", "05"]
    fleet_db.query("UPDATE outbox SET due_at = now() + interval '1 h' WHERE last_error IS NULL")
    assert take(fleet_db, 6) == ["00"]


def take_questions(database, owner, many, busy=()):
    text = (REPO / "sql/queries/fleet_preview_take.sql").read_text()
    rows = database.query(f"PREPARE ask AS {text}; EXECUTE ask('{owner}', {many}, 60000, false, '{json.dumps(busy)}')", role="fleet")
    return sorted(row[0]["id"][-2:] for row in rows)


def test_a_tenant_s_dry_runs_are_asked_one_at_a_time(fleet_db):
    """Ten of one, due since long, do not stand before another's; nor may a second process help the one."""
    tenants = [f"tn_0000000000000000000000001{number}" for number in range(2)]
    for number, tenant in enumerate(tenants):
        fleet_db.query("INSERT INTO tenant (id, name) VALUES (%s, %s)", tenant, f"asks {number}")
    for number in range(11):
        operation, tenant = f"op_000000000000000000000000{number:02}", tenants[number == 10]
        fleet_db.query("INSERT INTO operation (id, tenant_id, kind, requested_generation, actor)"
                       " VALUES (%s, %s, 'preview', 1, 'x')", operation, tenant)
        fleet_db.query("INSERT INTO preview (operation_id, tenant_id, name, spec, due_at)"
                       " VALUES (%s, %s, 'p', '{}', now() - make_interval(secs => %s))", operation, tenant, 11 - number)
    assert take_questions(fleet_db, "me", 4) == ["00", "10"]
    assert take_questions(fleet_db, "another", 4) == []
    working = ["op_00000000000000000000000000", "op_00000000000000000000000010"]
    assert take_questions(fleet_db, "me", 4, working) == []
    fleet_db.query("DELETE FROM preview WHERE operation_id = %s", working[0])
    assert take_questions(fleet_db, "another", 4) == ["01"]


def test_each_names_its_tenant_as_well():
    """Row security is the second fence; the first is in the statement."""
    for path in QUERIES:
        text = path.read_text()
        touches = re.search(r"\b(FROM|UPDATE|INTO) (api_)?(registry|operation|idempotency_key)\b", text)
        if role_of(path.stem) == "serve" and touches and path.stem not in ("operation_ended", "idempotency_expire"):
            assert "tenant" in text, path.name
