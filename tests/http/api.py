"""A small client of the provider API, and raw bytes for what no client would send."""

import contextlib
import http.client
import json
import re
import socket
from dataclasses import dataclass


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def codes(self):
        """(pointer, code) of each field error."""
        return [(error["pointer"], error["code"]) for error in self.json.get("errors", [])]


class Api:
    """Requests with one API key."""

    def __init__(self, port, key):
        self.port = port
        self.key = key

    def call(self, method, path, body=None, headers=None, raw=None):
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None or raw is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        data = raw if raw is not None else json.dumps(body) if body is not None else None
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was read: 413
                connection.request(method, path, data, {name: value for name, value in sent.items() if value is not None})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)


def send_raw(port, data, timeout=10):
    """Sends bytes as they are; the whole answer as text until the server closes or says no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(data)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
                if _is_whole(received):
                    break
        except TimeoutError:
            pass
        return received.decode("latin-1")


def _is_whole(received):
    head, separator, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(separator and length and len(body) >= int(length[1]))
