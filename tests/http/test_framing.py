"""Bytes that two readers of HTTP could read differently; limits that hold before any handler runs."""

import pytest

from api import send_raw


def request(service, lines, body=""):
    head = [line.format(key=service.provider.key) for line in lines]
    return send_raw(service.port, ("\r\n".join(head) + "\r\n\r\n" + body).encode("latin-1"))


HOST, KEY, JSON = "Host: x", "Authorization: Bearer {key}", "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
POST = ["POST /v1/tenants HTTP/1.1", HOST, KEY, JSON]

FRAMING = [
    ("Content-Length twice", [*POST, "Content-Length: 2", "Content-Length: 2"], "{}", 400, "DuplicateHeader"),
    ("two lengths", [*POST, "Content-Length: 2", "Content-Length: 40"], "{}", 400, "DuplicateHeader"),
    ("Host twice", ["GET /livez HTTP/1.1", HOST, "Host: y"], "", 400, "DuplicateHeader"),
    ("Authorization twice", ["GET /v1/plans HTTP/1.1", HOST, KEY, KEY], "", 400, "DuplicateHeader"),
    ("Transfer-Encoding twice", [*POST, CHUNKED, CHUNKED], "0\r\n\r\n", 400, "DuplicateHeader"),
    ("length and coding", [*POST, "Content-Length: 5", CHUNKED], "0\r\n\r\n", 400, "BadFraming"),
    ("another coding", [*POST, "Transfer-Encoding: gzip, chunked"], "0\r\n\r\n", 400, "BadFraming"),
    ("body on GET", ["GET /livez HTTP/1.1", HOST, "Content-Length: 2"], "{}", 400, "BodyNotAllowed"),
    ("chunked body on GET", ["GET /livez HTTP/1.1", HOST, CHUNKED], "0\r\n\r\n", 400, "BodyNotAllowed"),
    ("too long by its own words", [*POST, "Content-Length: 65537"], "", 413, "TooLarge"),
    ("headers over 12 KiB", ["GET /livez HTTP/1.1", HOST, "X-Big: " + "a" * 13000], "", 431, "HeadersTooLarge"),
    ("URI over 4 KiB", ["GET /livez?x=" + "a" * 4200 + " HTTP/1.1", HOST], "", 414, "UriTooLong"),
    ("raw byte in the path", ["GET /livez\xff HTTP/1.1", HOST], "", 400, "BadUri"),
    ("backslash", ["GET /livez\\x HTTP/1.1", HOST], "", 400, "BadUri"),
]


@pytest.mark.parametrize("row", FRAMING, ids=[row[0] for row in FRAMING])
def test_framing(service, row):
    _, lines, body, status, code = row
    before = service.counts()
    answer = request(service, lines, body)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer[:300]
    assert f'"code":"{code}"' in answer
    assert "Connection: close" in answer, "what follows could be taken for another request"
    assert service.counts() == before


def test_chunked_over_the_limit(service):
    chunk = "10000\r\n" + "a" * 65536 + "\r\n"
    answer = request(service, [*POST, CHUNKED], chunk * 9 + "0\r\n\r\n")
    assert answer.startswith("HTTP/1.1 413 ") and '"code":"TooLarge"' in answer


def test_chunked_within_the_limit(service):
    body = '{"name": "chunked"}'
    answer = request(
        service, [*POST, CHUNKED], f"{len(body):x}\r\n{body}\r\n0\r\n\r\n")
    assert answer.startswith("HTTP/1.1 201 "), answer[:300]


def test_request_ids(service):
    assert "X-Request-Id: abc-1.x\r\n" in request(service, ["GET /livez HTTP/1.1", HOST, "X-Request-Id: abc-1.x"])
    assert "X-Request-Id: req_" in request(service, ["GET /livez HTTP/1.1", HOST, "X-Request-Id: a b<c>"])


def test_head(service):
    answer = request(service, ["HEAD /livez HTTP/1.1", HOST, "Connection: close"])
    assert answer.startswith("HTTP/1.1 200 ") and answer.endswith("\r\n\r\n")


def test_method_not_allowed_says_what_is(service, tenant):
    answer = tenant.api.call("PUT", f"{tenant.path}/registries", {})
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")
