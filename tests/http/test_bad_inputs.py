"""Every row of bad_inputs.yaml: the answer is as it says, and the database as it was."""

import copy
import json
import pathlib

import pytest
import yaml

from api import Api

ROWS = yaml.safe_load((pathlib.Path(__file__).parent / "bad_inputs.yaml").read_text(encoding="utf-8"))


def put(body, path, value, drop):
    *parents, last = path.split(".")
    for name in parents:
        body = body[name]
    if drop:
        del body[last]
    else:
        body[last] = value


def body_of(row, tenant, registry):
    """(raw text or bytes, or None for no body)"""
    if "text" in row:
        return row["text"].encode()
    if "latin1" in row:
        return row["latin1"].encode("latin-1")
    if "deep" in row:
        return '{"name":' + "[" * row["deep"] + "]" * row["deep"] + "}"
    if "long" in row:
        return json.dumps({"name": "x" * row["long"]})
    if "body" in row:
        return json.dumps(row["body"])
    if row.get("method", "POST") != "POST":
        return None
    body = copy.deepcopy(tenant.body())
    for path, value in row.get("set", {}).items():
        put(body, path, value, row.get("drop", False))
    if row.get("taken") == "name":
        body["name"] = registry["name"]
    if row.get("taken") == "host":
        body["spec"]["host"] = registry["spec"]["host"]
    if "host_bytes" in row:
        body["spec"]["host"] = "a." * (row["host_bytes"] // 2 - 1) + "aa"
    return json.dumps(body)


@pytest.fixture(scope="module")
def registry(tenant):
    return tenant.create(version="2.14.4").json


def test_the_table_is_long_enough():
    assert len(ROWS) >= 40
    assert len({row["name"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_bad_input(row, service, tenant, registry):
    callers = {"tenant": tenant.api, "provider": service.provider, "nobody": Api(service.port, None)}
    path = row.get("path", "<tenant>/registries").replace("<tenant>", tenant.path)
    path = path.replace("{r}", f"{tenant.path}/registries/{registry['id']}")
    headers = dict(row.get("headers", {}))
    if "key_bytes" in row:
        headers["Idempotency-Key"] = "k" * row["key_bytes"]
    before = service.counts()
    answer = callers[row.get("as", "tenant")].call(
        row.get("method", "POST"), path, raw=body_of(row, tenant, registry), headers=headers
    )
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
