"""One Idempotency-Key, one effect, one answer."""

from concurrent.futures import ThreadPoolExecutor

from conftest import Service
from harness.wait import eventually


def post(tenant, body, key):
    return tenant.api.post(f"{tenant.path}/registries", body, headers={"Idempotency-Key": key})


def count(service, tenant):
    return service.database.value("SELECT count(*) FROM resource WHERE tenant_id = %s", tenant.id)


def test_eight_at_once_make_one(service):
    tenant = service.tenant()
    body = tenant.body()
    for round_number in range(4):
        body = tenant.body()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, b=body, n=round_number: post(tenant, b, f"same-{n}"), range(8)))
        assert {answer.status for answer in answers} == {202}
        assert len({answer.json["id"] for answer in answers}) == 1
        replays = [answer.json for answer in answers if "Idempotency-Replayed" in answer.headers]
        (first,) = [answer.json for answer in answers if "Idempotency-Replayed" not in answer.headers]
        assert all(replay == {**first, "adminPassword": "delivered"} for replay in replays)
        assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 7
        for header in ("Location", "Operation-Location", "ETag"):
            assert len({answer.headers[header] for answer in answers}) == 1
    assert count(service, tenant) == 4


def test_another_order_of_members_is_the_same_request(tenant):
    body = tenant.body()
    first = post(tenant, body, "order")
    again = post(tenant, {"spec": dict(reversed(body["spec"].items())), "name": body["name"]}, "order")
    assert again.json["id"] == first.json["id"]


def test_another_body_is_refused(service, tenant):
    post(tenant, tenant.body(), "other-body")
    before = service.counts()
    answer = post(tenant, tenant.body(), "other-body")
    assert (answer.status, answer.json["code"]) == (422, "IdempotencyKeyReused")
    assert service.counts() == before


def test_a_failure_is_not_kept(tenant):
    body = tenant.body(plan="nonsense")
    assert post(tenant, body, "failed").status == 400
    body["spec"]["plan"] = "s"
    assert post(tenant, body, "failed").status == 202


def test_keys_of_two_tenants_are_two(tenant, other):
    assert post(tenant, tenant.body(), "shared").json["tenantId"] == tenant.id
    assert post(other, other.body(), "shared").json["tenantId"] == other.id


def test_an_expired_key_is_as_new(service, tenant):
    first = post(tenant, tenant.body(), "old")
    service.database.query("UPDATE idempotency_key SET expires_at = now() - interval '1 s' WHERE key = 'old'")
    second = post(tenant, tenant.body(), "old")
    assert second.status == 202 and second.json["id"] != first.json["id"]


def test_expired_keys_are_removed_faster_than_they_are_made(service, tmp_path):
    """One client makes a thousand in five seconds; a round of housekeeping ends when none is left."""
    service.database.query(
        "INSERT INTO idempotency_key (tenant_id, principal, key, fingerprint, expires_at)"
        " SELECT 'tn', 'key', number::text, 'f', now() - interval '1 s' FROM generate_series(1, 4500) AS number")
    fresh = Service(service.database, tmp_path, key=service.provider.key)
    try:
        eventually(lambda: not service.database.value("SELECT count(*) FROM idempotency_key WHERE tenant_id = 'tn'"),
                   15, what="all of them are gone")
    finally:
        assert fresh.process.stop() == 0


def test_a_secret_is_shown_once_and_kept_nowhere(service, tenant):
    def make():
        return tenant.api.post(f"{tenant.path}/api-keys", {"name": "ci"}, headers={"Idempotency-Key": "key-1"})

    first, again = make(), make()
    assert first.status == again.status == 201
    assert again.json == {**first.json, "key": "delivered"}
    secret = first.json["key"].split("_")[2]
    for table in ("idempotency_key", "api_key", "audit_event"):
        rows = service.database.query(f"SELECT {table}::text FROM {table}")
        assert not [row for row in rows if secret in row[0]]
    assert not [line for line in service.process.logs if secret in str(line)]
