"""The first admin password: in one answer, sealed in one row, and nowhere else."""

import base64
import re

import pytest

from conftest import Service
from harness import canary, database, misplaced
from harness.http import Api
from harness.tracked import Tracked
from harness.wait import eventually


def policy(password):
    """Harbor's, and ours above it."""
    return len(password) >= 20 and password.isalnum() and all(re.search(f"[{chars}]", password) for chars in ("A-Z", "a-z", "0-9"))


def row_of(service, registry):
    return service.database.query(
        "SELECT owner_kind, owner_id, purpose, kek_id, tenant_id, delivered_at, shredded_at FROM sealed_secret"
        " WHERE owner_id = %s", registry["id"])


def test_it_is_in_the_answer_that_made_the_registry_and_in_no_other(service, tenant):
    made = tenant.api.post(f"{tenant.path}/registries", tenant.body(), headers={"Idempotency-Key": "password"})
    assert made.status == 202 and made.headers["Cache-Control"] == "no-store"
    registry = made.json
    assert registry["adminUsername"] == "admin" and policy(registry["adminPassword"])
    body = {"name": registry["name"], "spec": {"plan": "s", "host": registry["spec"]["host"]}}
    again = tenant.api.post(f"{tenant.path}/registries", body, headers={"Idempotency-Key": "password"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json == {**registry, "adminPassword": "delivered"}
    path = f"{tenant.path}/registries/{registry['id']}"
    others = [service.provider.get(path), tenant.api.get(path), tenant.api.call("PATCH", path, {"spec": {"plan": "m"}}),
              tenant.api.call("DELETE", path), tenant.api.post(f"{path}:undo")]
    for answer in others:
        assert answer.json["adminPassword"] == "delivered" and answer.json["adminUsername"] == "admin"
    listed = [item for item in tenant.api.get(f"{tenant.path}/registries?limit=500").json["items"] if item["id"] == registry["id"]]
    assert [item["adminPassword"] for item in listed] == ["delivered"]
    assert row_of(service, registry) == [("registry", registry["id"], "admin-password", "kek-1", tenant.id, None, None)]


def test_each_registry_has_its_own(service, tenant):
    passwords = [tenant.create().json["adminPassword"] for _ in range(8)]
    assert len(set(passwords)) == 8 and all(policy(password) for password in passwords)
    boxes = service.database.query("SELECT wrapped_dek::text, sealed::text FROM sealed_secret")
    assert len({box for row in boxes for box in row}) == 2 * len(boxes)


def test_a_refused_request_seals_nothing(service, tenant):
    taken = tenant.create().json
    before = service.database.value("SELECT count(*) FROM sealed_secret")
    body = {"name": taken["name"], "spec": {"plan": "s", "host": "other.example.com"}}
    answer = tenant.api.post(f"{tenant.path}/registries", body)
    assert answer.status == 409 and "adminPassword" not in answer.json
    assert service.database.value("SELECT count(*) FROM sealed_secret") == before


def test_a_registry_from_before_there_were_passwords_says_null(service, tenant):
    registry = tenant.create().json
    service.database.query("DELETE FROM sealed_secret WHERE owner_id = %s", registry["id"])
    shown = tenant.api.get(f"{tenant.path}/registries/{registry['id']}").json
    assert (shown["adminUsername"], shown["adminPassword"]) == (None, None)


def written(service, stack, tmp_path):
    """All that a request leaves behind: the whole database as text and as a dump, the program's log, PostgreSQL's own log,
    metrics."""
    tables = [row[0] for row in service.database.query(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")]
    places = {table: "\n".join(row[0] for row in service.database.query(f"SELECT {table}::text FROM {table}")) for table in tables}
    assert {"idempotency_key", "audit_event", "outbox", "sealed_secret", "operation"} <= set(places)
    database.dump(stack, service.database, tmp_path / "dump", "plain")
    places |= {"dump": (tmp_path / "dump").read_bytes(), "PostgreSQL's log": stack.log("pg-fleet"),
               "metrics": service.provider.get("/metrics").body}
    return places | canary.files(service.process.directory)


def test_nothing_but_the_answer_holds_it(service, tenant, stack, tmp_path):
    made = tenant.api.post(f"{tenant.path}/registries", tenant.body(), headers={"Idempotency-Key": "canary"})
    tenant.api.post(f"{tenant.path}/registries", {**tenant.body(), "nonsense": made.json["adminPassword"][:3]})
    assert canary.hits(made.json["adminPassword"], {"answer": made.body})
    places = written(service, stack, tmp_path)
    assert made.json["id"] in places["audit_event"] and made.json["id"] in places["idempotency_key"]
    assert made.json["id"].encode() in places["dump"]
    assert canary.hits(made.json["adminPassword"], places) == []


def test_secrets_where_none_belongs_are_kept_nowhere(service, tenant, stack, tmp_path):
    """In paths, queries, bodies, headers: told to who sent them, at most."""
    tracked, registry = Tracked(), tenant.create().json["id"]
    keys = {"tenant": tenant.api.key, "provider": service.provider.key, "nobody": None}
    for caller, method, path, body, headers, status in misplaced.requests(tracked.make, f"{tenant.path}/registries", registry):
        answer = Api(service.port, keys[caller]).request(method, path, body, headers)
        assert answer.status == status, (method, path, body, headers, answer)
        told = {"answer": str(answer.body)}
        assert [kind for secret, kind in tracked.kinds.items() if kind == "client" and canary.hits(secret, told)] == []
    for text in misplaced.raw(tracked.make):
        misplaced.answer(service.port, text)
    log = f"{service.process.directory}/flotillad.log"
    eventually(lambda: open(log, encoding="utf-8").read().count('"request_id"') >= len(tracked.kinds) / 2)
    places = written(service, stack, tmp_path)
    assert f'"object":"{registry}"'.encode() in places[log], "the log tells which registry a refusal is about"
    assert {secret: found for secret in tracked.kinds if (found := canary.hits(secret, places))} == {}


def test_a_core_is_forbidden(service):
    """It would hold all of them. A limit of 0 would not hold where cores go to a program."""
    with open(f"/proc/{service.process.process.pid}/limits", encoding="ascii") as limits:
        assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["1", "1"]]


def test_the_canary_sings():
    """A detector that finds nothing would prove nothing."""
    secret = "Ab3dEf6hIj9lMn2pQr5t"
    for name, form in canary.forms(secret).items():
        assert canary.hits(secret, {"x": f"before {form} behind"}), name
    for shift in range(3):
        text = base64.b64encode(b"x" * shift + secret.encode() + b"behind").decode()
        assert canary.hits(secret, {"x": text}), shift
    assert canary.hits(secret, {"x": secret[1:]}) == []


@pytest.mark.parametrize("content,mode,says", [
    (None, 0o600, "KekFileMissing"), ("kek-1 short\n", 0o600, "KekFileInvalid"), ("kek-1 " + "A" * 43 + "=\n", 0o644, "KekFileInvalid")])
def test_serve_does_not_start_without_keys(flotillad, fleet_db, tmp_path, content, mode, says):
    path = tmp_path / "kek"
    if content:
        path.write_text(content)
        path.chmod(mode)
    env = {**fleet_db.env(), "FLOTILLA_KEK_FILE": str(path), "FLOTILLA_LISTEN": "127.0.0.1:0"}
    process = flotillad(["serve"], env)
    assert process.wait() == 2
    assert [line["reason"] for line in process.logs if "reason" in line] == [says]
    assert not [line for line in process.logs if "AAAA" in str(line)]


def test_the_first_key_of_the_file_seals(stack, fleet_template, tmp_path):
    fresh = database.create(stack, fleet_template.name)
    keys = tmp_path / "kek"
    keys.write_text("kek-9 " + "B" * 43 + "=\n" + open(fresh.kek_file, encoding="utf-8").read())
    keys.chmod(0o600)
    service = Service(fresh, tmp_path, {"FLOTILLA_KEK_FILE": str(keys)})
    try:
        registry = service.tenant().create().json
        assert fresh.value("SELECT kek_id FROM sealed_secret WHERE owner_id = %s", registry["id"]) == "kek-9"
    finally:
        assert service.process.stop() == 0
        database.drop(stack, fresh)
