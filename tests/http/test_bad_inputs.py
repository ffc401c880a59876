"""Every row of bad_inputs.yaml: the answer is as it says, and the database as it was."""

import pytest

from api import Api
from harness.bad_inputs import ROWS, request_of


@pytest.fixture(scope="module")
def registry(tenant):
    return tenant.create(version="2.14.4").json


def test_the_table_is_long_enough():
    assert len(ROWS) >= 40
    assert len({row["name"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_bad_input(row, service, tenant, registry):
    callers = {"tenant": tenant.api, "provider": service.provider, "nobody": Api(service.port, None)}
    sent = request_of(row, tenant.path, tenant.body(), registry)
    before = service.counts()
    answer = callers[sent.caller].call(sent.method, sent.path, raw=sent.raw, headers=sent.headers)
    assert answer.status == row["status"], answer.body
    problem = answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] == row["code"]
    assert problem["status"] == row["status"]
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    if "field" in row:
        assert (row["pointer"], row["field"]) in answer.codes
    assert service.counts() == before


def test_the_reason_is_the_same_in_log_metric_and_answer(service, tenant):
    answer = tenant.api.post(f"{tenant.path}/registries", {"nonsense": 1})
    line = service.process.wait_log(lambda entry: entry.get("request_id") == answer.json["requestId"])
    assert line["reason"] == answer.json["code"] == "InvalidFields"
    metrics = service.provider.get("/metrics").body.decode()
    assert 'flotilla_http_problems_total{reason="InvalidFields"}' in metrics
