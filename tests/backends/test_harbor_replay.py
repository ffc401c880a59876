"""harbor_replay.py answers each recorded request as the real Harbor did: status, words of refusals, members, paging."""

import base64
import http.client
import json
import subprocess
import sys

import pytest
from harness import REPO

FOLDER = REPO / "tests/backends"
CASES = {case["case"]: case for case in json.loads((FOLDER / "harbor_2.15.2.json").read_text(encoding="utf-8"))}
ACCOUNTS = {"admin": "admin:Harbor12345", "other": "admin:wrong"}
# Of paths that our client does not use; the server borrows their words for refusals that were not recorded elsewhere.
WORDS_ONLY = {"create user weak password", "same password again", "create user again", "delete user again", "delete admin",
              "list page too large", "unauthenticated write", "gc one"}  # fmt: skip
# In an order in which each finds what the recorded one found.
ORDER = ["health", "systeminfo anonymous", "systeminfo admin", "wrong password", "current user", "list quotas", "set quota",
         "set quota negative", "get configurations", "put configurations", "create system robot", "list robots",
         "refresh robot secret", "gc schedule create", "gc schedule get", "gc schedule bad cron", "gc run now dry", "gc history",
         "gc stop finished", "gc schedule none", "unknown path", "health with jobservice stopped", "gc run with jobservice stopped"]  # fmt: skip


class Client:
    def __init__(self, port):
        self.port = port

    def send(self, method, path, body=None, auth="none"):
        headers = {"Content-Type": "application/json"}
        if auth in ACCOUNTS:
            headers["Authorization"] = "Basic " + base64.b64encode(ACCOUNTS[auth].encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, dict(answer.headers), json.loads(text) if text else None


@pytest.fixture(scope="module")
def client():
    process = subprocess.Popen([sys.executable, FOLDER / "harbor_replay.py"], stdout=subprocess.PIPE, text=True)
    found = Client(int(process.stdout.readline()))
    found.send("POST", "/control", {"set": {"next_robot": 4, "next_run": 18}})  # as in the recording
    yield found
    process.terminate()
    process.wait(10)


def shape(value):
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


def test_every_case_is_used():
    assert set(ORDER) | WORDS_ONLY == set(CASES) and not set(ORDER) & WORDS_ONLY


def test_answers_as_recorded(client):
    for name in ORDER:
        request, answer = CASES[name]["request"], CASES[name]["response"]
        client.send("POST", "/control", {"set": {"jobservice": "jobservice stopped" not in name}})
        status, headers, body = client.send(request["method"], request["path"], request["body"], request["auth"])
        assert status == answer["status"], name
        if status >= 400:
            assert body == answer["body"], name
        else:
            assert shape(body) == shape(answer["body"]), name
        assert headers.get("Location") == answer["headers"].get("Location"), name
        assert ("X-Total-Count" in headers) == ("X-Total-Count" in answer["headers"]), name
