"""A client of the distribution protocol: pushes and pulls, one request at a time, each of them told.

Docker's and skopeo's retries hide what failed; here nothing is tried again, but for what any HTTP client does: a kept
connection that the server has closed between two requests is opened anew.
"""

import base64
import hashlib
import http.client
import json
import time
import urllib.parse

CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TIMEOUT_S = 60


class Failed(Exception):
    """A request that was not answered as wanted; told already."""


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def basic(user, password):
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def manifest_of(config, layers):
    def entry(kind, content):
        return {"mediaType": kind, "size": len(content), "digest": digest_of(content)}

    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": entry(CONFIG, config),
                       "layers": [entry(LAYER, layer) for layer in layers]}).encode()


class Client:
    """connect(timeout): an http.client connection. authorization: the header's value. keep: one connection for all, else one for each.

    tell(kind, status, seconds, error): after each request; status 0 where there was no answer.
    """

    def __init__(self, connect, authorization, keep=False, tell=lambda *row: None):
        self.connect, self.authorization, self.keep, self.tell = connect, authorization, keep, tell
        self.connection = None
        self.reopened = 0

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def _send(self, method, path, body, headers):
        if not self.connection:
            self.connection = self.connect(TIMEOUT_S)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except BaseException:
            self.close()
            raise
        if not self.keep:
            self.close()
        return answer, content

    def _answer(self, method, path, body, headers):
        used = self.connection is not None
        try:
            return self._send(method, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not used:
                raise
            self.reopened += 1
            return self._send(method, path, body, headers)

    def ask(self, kind, method, path, wanted, body=b"", **headers):
        """(headers, content) of an answer with the wanted status. Names of headers have _ for -."""
        headers = {"Authorization": self.authorization, **{name.replace("_", "-"): value for name, value in headers.items()}}
        status, error, started = 0, "", time.monotonic()
        try:
            answer, content = self._answer(method, path, body or None, headers)
            status = answer.status
            error = "" if status == wanted else content[:200].decode(errors="replace")
        except (OSError, http.client.HTTPException) as failure:
            error = f"{type(failure).__name__} {failure}"
        self.tell(kind, status, time.monotonic() - started, error)
        if status != wanted:
            raise Failed(f"{kind}: {method} {path}: {status} {error}")
        return answer.headers, content

    @staticmethod
    def _next(headers, **query):
        """Where an upload goes on: its location, without the host."""
        where = urllib.parse.urlsplit(headers["Location"])
        more = "&".join([*([where.query] if where.query else []), *(f"{k}={urllib.parse.quote(v)}" for k, v in query.items())])
        return f"{where.path}?{more}"

    def put_blob(self, repository, content):
        headers, _ = self.ask("begin upload", "POST", f"/v2/{repository}/blobs/uploads/", 202)
        headers, _ = self.ask("send blob", "PATCH", self._next(headers), 202, content, Content_Type="application/octet-stream")
        self.ask("end upload", "PUT", self._next(headers, digest=digest_of(content)), 201)

    def push(self, repository, tag, config, layers):
        for content in (config, *layers):
            self.put_blob(repository, content)
        self.ask("put manifest", "PUT", f"/v2/{repository}/manifests/{tag}", 201, manifest_of(config, layers), Content_Type=MANIFEST)

    def pull(self, repository, tag):
        """Every blob of it, each as its digest says. Returns their digests."""
        _, text = self.ask("get manifest", "GET", f"/v2/{repository}/manifests/{tag}", 200, Accept=MANIFEST)
        manifest = json.loads(text)
        digests = [entry["digest"] for entry in (manifest["config"], *manifest["layers"])]
        for digest in digests:
            _, content = self.ask("get blob", "GET", f"/v2/{repository}/blobs/{digest}", 200)
            assert digest_of(content) == digest, f"another blob than {digest}"
        return digests
