"""tests/http/bad_inputs.yaml as requests: the same rows for tests/http and for tests/proofs/spine-input."""

import copy
import json
from dataclasses import dataclass, field

import yaml

from . import REPO

ROWS = yaml.safe_load((REPO / "tests/http/bad_inputs.yaml").read_text(encoding="utf-8"))


@dataclass
class Request:
    caller: str  # tenant, provider, nobody
    method: str
    path: str
    raw: object  # text, bytes, or None for no body
    headers: dict = field(default_factory=dict)  # a value of None takes a header away


def request_of(row, tenant_path, good_body, registry):
    """What to send for a row. good_body: one that would be accepted; registry: an existing one, as GET gives it."""
    path = row.get("path", "<tenant>/registries").replace("<tenant>", tenant_path)
    path = path.replace("{r}", f"{tenant_path}/registries/{registry['id']}")
    headers = dict(row.get("headers", {}))
    if "key_bytes" in row:
        headers["Idempotency-Key"] = "k" * row["key_bytes"]
    return Request(row.get("as", "tenant"), row.get("method", "POST"), path, _raw(row, good_body, registry), headers)


def _raw(row, good_body, registry):
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
    return json.dumps(_changed(row, good_body, registry))


def _changed(row, good_body, registry):
    body = copy.deepcopy(good_body)
    for path, value in row.get("set", {}).items():
        _put(body, path, value, row.get("drop", False))
    if row.get("taken") == "name":
        body["name"] = registry["name"]
    if row.get("taken") == "host":
        body["spec"]["host"] = registry["spec"]["host"]
    if "host_bytes" in row:
        body["spec"]["host"] = "a." * (row["host_bytes"] // 2 - 1) + "aa"
    return body


def _put(body, path, value, drop):
    *parents, last = path.split(".")
    for name in parents:
        body = body[name]
    if drop:
        del body[last]
    else:
        body[last] = value
