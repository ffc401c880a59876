"""The commit whose answer is lost: the client is told so, and learns by the same key what happened."""

import pytest


@pytest.mark.parametrize("side, rows", [("before", 0), ("after", 1)])
def test_an_unknown_outcome_is_cleared_up_by_the_key(fleet_db, tmp_path, side, rows):
    from conftest import Service, Tenant  # pylint: disable=import-outside-toplevel

    calm = Service(fleet_db, tmp_path)
    tenant = Tenant(calm, f"commit {side}")
    assert calm.process.stop() == 0
    failing = Service(fleet_db, tmp_path, {"FLOTILLA_FAILPOINTS": f"serve.commit.{side}=error"}, key=calm.provider.key)
    tenant.api.port = failing.port
    body, key = tenant.body(), {"Idempotency-Key": f"commit-{side}"}
    answer = tenant.api.post(f"{tenant.path}/registries", body, headers=key)
    assert failing.process.stop() == 0
    assert answer.status == 503 and answer.json["retryable"]
    count = "SELECT count(*) FROM resource WHERE tenant_id = %s"
    assert fleet_db.value(count, tenant.id) == rows
    healed = Service(fleet_db, tmp_path, key=calm.provider.key)
    tenant.api.port = healed.port
    again = tenant.api.post(f"{tenant.path}/registries", body, headers=key)
    assert again.status == 202
    assert ("Idempotency-Replayed" in again.headers) == bool(rows)
    assert fleet_db.value(count, tenant.id) == 1
    assert healed.process.stop() == 0
