"""A small client of the provider API: JSON in, (status, headers, body) out, one request per connection."""

import contextlib
import http.client
import json


class Answer:
    """status, headers (lower-case names), body (parsed JSON, text, or None)."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        text = response.read().decode("utf-8", "replace")
        kind = self.headers.get("content-type", "")
        self.body = json.loads(text) if text and "json" in kind else text or None

    def __repr__(self):
        return f"HTTP {self.status}: {self.body}"


class Api:
    """Speaks for one key; `key` None sends no credential."""

    heard = None  # called with (method, path, Answer) of everybody's requests

    def __init__(self, port, key=None, timeout=70):
        self.port, self.key, self.timeout = port, key, timeout

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None:
            sent["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}  # None takes a header away
        data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was read: 413
                connection.request(method, path, data, sent)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        if Api.heard:
            Api.heard(method, path, answer)
        return answer

    def ok(self, method, path, body=None, headers=None):
        """The body of an answer that must be 2xx."""
        answer = self.request(method, path, body, headers)
        assert 200 <= answer.status < 300, f"{method} {path}: {answer}"
        return answer.body

    def get(self, path):
        return self.ok("GET", path)
