"""What one tenant can take from the others: registries, keys, changes per second."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from api import Api
from conftest import Service


@pytest.fixture
def small(service):
    """A tenant that may have three registries and three keys."""
    tenant = service.tenant()
    answer = service.provider.call("PATCH", tenant.path, {"registryLimit": 3, "keyLimit": 3})
    assert (answer.status, answer.json["registryLimit"], answer.json["keyLimit"]) == (200, 3, 3)
    return tenant


def order(tenant):
    return tenant.api.post(f"{tenant.path}/registries", tenant.body())


def test_a_new_tenant_has_limits(service):
    usual = service.provider.post("/v1/tenants", {"name": "usual"}).json
    assert (usual["registryLimit"], usual["keyLimit"]) == (100, 50)
    assert (usual["pipelineLimit"], usual["documentLimit"]) == (100, 100000)
    large = service.provider.post("/v1/tenants", {"name": "large", "registryLimit": 9000, "keyLimit": 0}).json
    assert (large["registryLimit"], large["keyLimit"]) == (9000, 0)
    refused = service.provider.post(f"/v1/tenants/{large['id']}/api-keys", {"name": "x"})
    assert (refused.status, refused.json["code"]) == (403, "QuotaExceeded")


def test_registries_that_are_made_at_once_stay_within_the_limit(service, small):
    bodies = [small.body() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: small.api.post(f"{small.path}/registries", body), bodies))
    assert sorted(answer.status for answer in answers) == [202] * 3 + [403] * 9
    refused = next(answer for answer in answers if answer.status == 403)
    assert refused.json["code"] == "QuotaExceeded"
    assert "has 3 registries, closed ones included, and may have 3" in refused.json["detail"]
    assert service.database.value("SELECT count(*) FROM resource WHERE tenant_id = %s", small.id) == 3


def test_a_closed_registry_counts_until_it_is_purged(service, small):
    made = [order(small).json["id"] for _ in range(3)]
    assert small.api.call("DELETE", f"{small.path}/registries/{made[0]}").status == 202
    assert order(small).status == 403
    service.database.query(
        "UPDATE resource SET purge_after = now(), purge_started_at = now(), deleted_at = now() WHERE id = %s", made[0])
    assert order(small).status == 202


def test_a_higher_limit_holds_at_once_and_a_lower_one_takes_nothing(service, small):
    assert [order(small).status for _ in range(4)] == [202, 202, 202, 403]
    assert service.provider.call("PATCH", small.path, {"registryLimit": 4}).json["keyLimit"] == 3
    assert [order(small).status for _ in range(2)] == [202, 403]
    assert service.provider.call("PATCH", small.path, {"registryLimit": 1}).status == 200
    assert len(small.api.get(f"{small.path}/registries").json["items"]) == 4


def test_keys_have_a_limit_and_revoked_ones_do_not_count(small):
    def make():
        return small.api.post(f"{small.path}/api-keys", {"name": "more"})

    answers = [make() for _ in range(3)]  # and the one that asks
    assert [answer.status for answer in answers] == [201, 201, 403]
    assert answers[2].json["code"] == "QuotaExceeded"
    assert small.api.call("DELETE", f"{small.path}/api-keys/{answers[0].json['id']}").status == 204
    assert make().status == 201


def test_limits_are_the_providers(service, small):
    assert small.api.call("PATCH", small.path, {"registryLimit": 9}).status == 403
    for body, code in (({"registryLimit": -1}, "OutOfRange"), ({"keyLimit": 10001}, "OutOfRange"),
                       ({"pipelineLimit": 10001}, "OutOfRange"), ({"documentLimit": 100000001}, "OutOfRange"),
                       ({"name": "other"}, "Immutable")):
        answer = service.provider.call("PATCH", small.path, body)
        assert answer.status == 400 and answer.codes == [(f"/{next(iter(body))}", code)], answer.body
    assert service.provider.call("PATCH", "/v1/tenants/tn_00000000000000000000000000", {}).status == 404


def test_changes_have_a_rate_of_their_own(service, other, tmp_path):
    tenant = service.tenant()
    slow = Service(service.database, tmp_path, {"FLOTILLA_WRITES_PER_SECOND": "1"}, service.provider.key)
    try:
        busy = Api(slow.port, tenant.api.key)
        answers = [busy.post(f"{tenant.path}/registries", tenant.body()) for _ in range(20)]
        assert answers[0].status == 202
        limited = next(answer for answer in answers if answer.status == 429)  # each second one is let through again
        assert limited.json["code"] == "RateLimited"
        assert "changes per second" in limited.json["detail"] and int(limited.headers["Retry-After"]) >= 1
        assert busy.get(tenant.path).status == 200, "looking is not changing"
        theirs = Api(slow.port, other.api.key).post(f"{other.path}/registries", other.body())
        assert theirs.status == 202
        provider = Api(slow.port, service.provider.key)
        assert {provider.call("PATCH", tenant.path, {}).status for _ in range(20)} == {200}
    finally:
        assert slow.process.stop() == 0
