"""The three shared servers of a stack as BackendPools, and what the operator made on them, read by the servers' own
protocols."""

import base64
import datetime
import hashlib
import hmac
import http.client
import itertools
import re
import socket
import urllib.parse

TYPES = ("PostgreSQL", "Redis", "S3")


def _secret_file(env, name):
    with open(env[name], encoding="utf-8") as file:
        return file.read().strip()


def _credentials(env, kind):
    if kind == "PostgreSQL":
        return {"username": env["POOL_PG_ADMIN_USER"], "password": _secret_file(env, "POOL_PG_ADMIN_PASSWORD_FILE")}
    if kind == "Redis":
        return {"username": env["POOL_REDIS_ADMIN_USER"], "password": _secret_file(env, "POOL_REDIS_ADMIN_PASSWORD_FILE")}
    return {"accessKey": _secret_file(env, "POOL_S3_ADMIN_ACCESS_FILE"),
            "secretKey": _secret_file(env, "POOL_S3_ADMIN_SECRET_FILE")}


def items(env, kind, name, slots=500, **spec):
    """[Secret, BackendPool] of a server of the stack."""
    prefix = {"PostgreSQL": "POOL_PG", "Redis": "POOL_REDIS", "S3": "POOL_S3"}[kind]
    # simulated pods open no connection, so any number may be promised
    own = {"PostgreSQL": lambda: {"maintenanceDatabase": env["POOL_PG_MAINTENANCE_DATABASE"], "connections": 100000},
           "Redis": lambda: {},
           "S3": lambda: {"driver": "versitygw", "region": env["POOL_S3_REGION"]}}[kind]()
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "flotilla-system"},
         "stringData": _credentials(env, kind)},
        {"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendPool", "metadata": {"name": name}, "spec": {
            "type": kind, "slots": slots, "adminSecretRef": {"name": name}, **own,
            "endpoint": {"host": env[f"{prefix}_HOST"], "port": int(env[f"{prefix}_PORT"]), "sslMode": "disable"}, **spec}},
    ]


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


class Refused(Exception):
    """What the server answered instead."""


class Redis:
    """One connection; as the pool's administrator where no user is given."""

    def __init__(self, env, user=None, password=None):
        self.socket = socket.create_connection((env["POOL_REDIS_HOST"], int(env["POOL_REDIS_PORT"])), timeout=10)
        self.file = self.socket.makefile("rb")
        admin = _credentials(env, "Redis")
        self.call("AUTH", user or admin["username"], password or admin["password"])

    def call(self, *words):
        encoded = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line:
            raise Refused("closed")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise Refused(text)
        if kind == b"$":
            return None if text == "-1" else self.file.read(int(text) + 2)[:-2].decode()
        if kind == b"*":
            return [self._reply() for _ in range(int(text))]
        return int(text) if kind == b":" else text

    def close(self):
        self.file.close()
        self.socket.close()


def _sorting(word):
    """In an ACL line flags stand as they were set, and commands as a server's dictionary has them: by random."""
    if word[0].isalpha():
        return "flag"
    return "command" if word[0] in "+-" and "@" not in word else word


def _canonical(rules):
    """The order of other words means something, and so does that of two words about one command: those stay."""
    groups = [list(words) for _, words in itertools.groupby(rules.split(" "), _sorting)]
    return " ".join(word for words in groups for word in sorted(words, key=lambda word: word.lstrip("+-").partition("|")[0]))


def redis_users(env):
    """{name: its ACL line} of users with names like a registry's."""
    admin = Redis(env)
    try:
        lines = [line.split(" ", 2) for line in admin.call("ACL", "LIST")]
        return {name: _canonical(rules) for _, name, rules in lines if name.startswith("t_")}
    finally:
        admin.close()


def index_of(rules):
    """The only one that an ACL line lets its user select."""
    return int(re.search(r"\+select\|(\d+)", rules)[1])


def drop_redis_user(env, name, rules):
    admin = Redis(env)
    admin.call("SELECT", index_of(rules))
    admin.call("FLUSHDB")
    admin.call("ACL", "DELUSER", name)
    admin.call("ACL", "SAVE")
    admin.close()


def index_size(env, index):
    admin = Redis(env)
    try:
        admin.call("SELECT", index)
        return admin.call("DBSIZE")
    finally:
        admin.close()


class Store:
    """Signed requests (Signature Version 4); as the pool's administrator where no key is given."""

    def __init__(self, env, access=None, secret=None):
        admin = _credentials(env, "S3")
        self.host, self.port, self.region = env["POOL_S3_HOST"], int(env["POOL_S3_PORT"]), env["POOL_S3_REGION"]
        self.access, self.secret = access or admin["accessKey"], secret or admin["secretKey"]

    def _authorization(self, method, path, query, headers, digest):
        day, names = headers["x-amz-date"][:8], ";".join(sorted(headers))
        pairs = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted(query.items()))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = "\n".join([method, urllib.parse.quote(path, safe="/-._~"), pairs, lines, names, digest])
        scope, key = f"{day}/{self.region}/s3/aws4_request", b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return pairs, f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, SignedHeaders={names}, Signature={signature}"

    def call(self, method, path, body=b"", headers=None, **query):
        """The body of an answer of 2xx; Refused otherwise. Names of headers are in lower case."""
        return self.answer(method, path, body, headers, **query).decode()

    def answer(self, method, path, body=b"", headers=None, **query):
        """The same as bytes."""
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": f"{self.host}:{self.port}", "x-amz-content-sha256": digest, **(headers or {}),
                   "x-amz-date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")}
        if body:
            headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        pairs, authorization = self._authorization(method, path, query, headers, digest)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, urllib.parse.quote(path, safe="/-._~") + (f"?{pairs}" if pairs else ""), body,
                               {**headers, "Authorization": authorization})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(f"{answer.status} {content.decode()}")
        return content

    def every_bucket(self):
        return sorted(re.findall(r"<Name>([^<]*)</Name>", self.call("GET", "/")))

    def buckets(self):
        """Those with names like a registry's."""
        return [name for name in self.every_bucket() if name.startswith("t-")]

    def accounts(self):
        """Access keys that begin like a registry's, each with its secret."""
        found = re.findall(r"<Access>([^<]*)</Access><Secret>([^<]*)</Secret>", self.call("PATCH", "/list-users"))
        return {access: secret for access, secret in found if access.startswith("t-")}

    def policy(self, bucket):
        """None: nobody but the administrator gets in."""
        try:
            return self.call("GET", f"/{bucket}", policy="")
        except Refused as refusal:
            assert "NoSuchBucketPolicy" in str(refusal), refusal
            return None

    def mark(self, bucket):
        """Empty for the moment in which a bucket comes or goes."""
        try:
            return re.findall(r"<Value>([^<]*)</Value>", self.call("GET", f"/{bucket}", tagging=""))
        except Refused as refusal:
            assert "NoSuchTagSet" in str(refusal), refusal
            return []

    def drop(self, bucket):
        for name in self.objects(bucket):
            self.call("DELETE", f"/{bucket}/{name}")
        self.call("DELETE", f"/{bucket}")

    def objects(self, bucket):
        return re.findall(r"<Key>([^<]*)</Key>", self.call("GET", f"/{bucket}", **{"list-type": "2"}))
