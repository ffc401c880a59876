#!/usr/bin/python3
"""The parts of radosgw's protocol that reconcilers/backends/s3_radosgw.c uses, in memory: admin operations on users, and S3
with bucket policies. No radosgw can run here. Each request's Signature Version 4 is computed anew, by Python's own means.
Prints its port, then serves until it is ended.
"""

import hashlib
import hmac
import http.server
import json
import re
import sys
import threading
import urllib.parse
from xml.sax.saxutils import escape

ADMIN, SECRET, REGION = "administrator", "administrators-secret", "default"
NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
lock = threading.Lock()
users = {}  # uid: {"display_name", "suspended", "keys": {access: secret}}
buckets = {}  # name: {"owner", "tags", "policy", "objects", "uploads"}


class Refused(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


def quoted(text):
    return urllib.parse.quote(text, safe="-._~")


def account_of(access):
    """(uid, secret, suspended) of an access key."""
    if access == ADMIN:
        return ADMIN, SECRET, False
    for uid, user in users.items():
        if access in user["keys"]:
            return uid, user["keys"][access], user["suspended"]
    raise Refused(403, "InvalidAccessKeyId")


def signature(secret, time, scope, canonical):
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def authenticate(method, path, query, headers, body):
    """The uid of who signed this, by header or by query."""
    given = dict(query)
    if "X-Amz-Signature" in given:
        credential, names, claimed = given["X-Amz-Credential"], given["X-Amz-SignedHeaders"], given["X-Amz-Signature"]
        time, payload = given["X-Amz-Date"], "UNSIGNED-PAYLOAD"
        query = [pair for pair in query if pair[0] != "X-Amz-Signature"]
    else:
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})",
                             headers.get("Authorization", ""))  # fmt: skip
        if not match:
            raise Refused(403, "AccessDenied")
        credential, names, claimed = match.groups()
        time, payload = headers["X-Amz-Date"], headers["X-Amz-Content-Sha256"]
        if payload != hashlib.sha256(body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch")
        unsigned = {name.lower() for name in headers if name.lower().startswith("x-amz-")} - set(names.split(";"))
        if unsigned or "host" not in names.split(";"):
            raise Refused(403, "SignatureDoesNotMatch")
    access, _, scope = credential.partition("/")
    if scope != f"{time[:8]}/{REGION}/s3/aws4_request":
        raise Refused(400, "AuthorizationHeaderMalformed")
    uid, secret, suspended = account_of(access)
    pairs = "&".join(f"{name}={value}" for name, value in sorted((quoted(name), quoted(value)) for name, value in query))
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names.split(";"))
    canonical = "\n".join([method, urllib.parse.quote(path, safe="/-._~"), pairs, lines, names, payload])
    if not hmac.compare_digest(signature(secret, time, scope, canonical), claimed):
        raise Refused(403, "SignatureDoesNotMatch")
    if suspended:
        raise Refused(403, "UserSuspended")
    return uid


# ---- admin operations -------------------------------------------------------------------------------------


def shown(uid):
    user = users[uid]
    keys = [{"user": uid, "access_key": access, "secret_key": secret} for access, secret in sorted(user["keys"].items())]
    return {"user_id": uid, "display_name": user["display_name"], "suspended": int(user["suspended"]), "keys": keys}


def admin_user(method, given):
    uid = given.get("uid", "")
    if method == "GET" and "list" in given:
        return {"keys": sorted(users), "truncated": False, "count": len(users)}
    if method == "PUT" and "key" not in given and uid in users:
        raise Refused(409, "UserAlreadyExists")
    if method == "PUT" and "key" not in given:
        if given.get("generate-key") != "false" or given.get("max-buckets") != "-1":
            raise Refused(400, "InvalidArgument")  # another key per retry; buckets of its own
        users[uid] = {"display_name": given["display-name"], "suspended": False, "keys": {}}
    if uid not in users:
        raise Refused(404, "NoSuchUser")
    if method == "PUT":
        if any(given["access-key"] in user["keys"] for other, user in users.items() if other != uid):
            raise Refused(409, "KeyExists")
        users[uid]["keys"][given["access-key"]] = given["secret-key"]
    elif method == "POST":
        users[uid]["suspended"] = given["suspended"] == "true"
    elif method == "DELETE" and "key" in given:
        if users[uid]["keys"].pop(given["access-key"], None) is None:
            raise Refused(403, "InvalidAccessKeyId")
    elif method == "DELETE":
        if "purge-data" in given:
            raise Refused(400, "InvalidArgument")
        del users[uid]
        return None
    return shown(uid)


# ---- S3 ---------------------------------------------------------------------------------------------------

BUCKET_ACTIONS = {"policy": "BucketPolicy", "tagging": "BucketTagging"}
VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}


def action_of(method, key, given):
    if key:
        if "uploads" in given or "uploadId" in given:
            return "AbortMultipartUpload" if method == "DELETE" else "PutObject"
        return VERBS[method] + "Object"
    for name, action in BUCKET_ACTIONS.items():
        if name in given:
            return VERBS[method] + action
    if "uploads" in given:
        return "ListBucketMultipartUploads"
    if "versions" in given:
        return "ListBucketVersions"
    return {"GET": "ListBucket", "DELETE": "DeleteBucket", "POST": "DeleteObject"}[method]


def allowed(uid, bucket, name, key, action):
    if uid == bucket["owner"]:
        return True
    resource = f"arn:aws:s3:::{name}/*" if key else f"arn:aws:s3:::{name}"
    for statement in (bucket["policy"] or {}).get("Statement", []):
        if (f"arn:aws:iam:::user/{uid}" in statement["Principal"]["AWS"] and f"s3:{action}" in statement["Action"]
                and resource in statement["Resource"]):  # fmt: skip
            return True
    return False


def on_bucket(method, name, bucket, given, body):
    if "policy" in given:
        if method == "PUT":
            bucket["policy"], bucket["policy_text"] = json.loads(body), body.decode()
        elif method == "DELETE":
            bucket["policy"] = None
        elif not bucket["policy"]:
            raise Refused(404, "NoSuchBucketPolicy")
        else:
            return bucket["policy_text"]
    elif "tagging" in given:
        if method == "PUT":
            bucket["tags"] = body.decode()
        elif not bucket["tags"]:
            raise Refused(404, "NoSuchTagSet")
        else:
            return bucket["tags"]
    elif "uploads" in given:
        rows = "".join(f"<Upload><Key>{escape(key)}</Key><UploadId>{upload}</UploadId></Upload>"
                       for upload, key in bucket["uploads"].items())  # fmt: skip
        return f"<ListMultipartUploadsResult {NS}>{rows}</ListMultipartUploadsResult>"
    elif "versions" in given:
        rows = "".join(f"<Version><Key>{escape(key)}</Key><VersionId>null</VersionId></Version>"
                       for key in sorted(bucket["objects"])[:1000])  # fmt: skip
        return f"<ListVersionsResult {NS}>{rows}</ListVersionsResult>"
    elif method == "POST" and "delete" in given:
        for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
            key = re.sub(r"&#(\d+);", lambda match: chr(int(match.group(1))), key)
            bucket["objects"].pop(key, None)
        return f"<DeleteResult {NS}/>"
    elif method == "DELETE":
        if bucket["objects"] or bucket["uploads"]:
            raise Refused(409, "BucketNotEmpty")
        del buckets[name]
    else:
        keys = [key for key in sorted(bucket["objects"]) if key.startswith(given.get("prefix", ""))][:1000]
        rows = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
        return f"<ListBucketResult {NS}><Name>{name}</Name>{rows}</ListBucketResult>"
    return ""


def on_object(method, bucket, key, given, headers, body):
    if method == "POST" and "uploads" in given:
        upload = f"upload-{len(bucket['uploads'])}"
        bucket["uploads"][upload] = key
        return f"<InitiateMultipartUploadResult {NS}><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
    if method == "DELETE" and "uploadId" in given:
        if bucket["uploads"].pop(given["uploadId"], None) is None:
            raise Refused(404, "NoSuchUpload")
    elif method == "PUT":
        if headers.get("If-None-Match") == "*" and key in bucket["objects"]:
            raise Refused(412, "PreconditionFailed")
        bucket["objects"][key] = body
    elif method == "DELETE":
        bucket["objects"].pop(key, None)
    elif key not in bucket["objects"]:
        raise Refused(404, "NoSuchKey")
    else:
        return bucket["objects"][key].decode()
    return ""


def s3(uid, method, path, given, headers, body):
    name, _, key = path.lstrip("/").partition("/")
    if not name:
        rows = "".join(f"<Bucket><Name>{own}</Name></Bucket>" for own in sorted(buckets) if buckets[own]["owner"] == uid)
        return f"<ListAllMyBucketsResult {NS}><Buckets>{rows}</Buckets></ListAllMyBucketsResult>"
    if method == "PUT" and not key and not BUCKET_ACTIONS.keys() & given.keys():
        if uid != ADMIN:
            raise Refused(403, "AccessDenied")  # max-buckets=-1
        if name in buckets:
            raise Refused(409, "BucketAlreadyExists")
        buckets[name] = {"owner": uid, "tags": None, "policy": None, "objects": {}, "uploads": {}}
        return ""
    if name not in buckets:
        raise Refused(404, "NoSuchBucket")
    if not allowed(uid, buckets[name], name, key or "delete" in given, action_of(method, key, given)):
        raise Refused(403, "AccessDenied")
    if key:
        return on_object(method, buckets[name], key, given, headers, body)
    return on_bucket(method, name, buckets[name], given, body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one segment
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, text, kind):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        raw_path, _, raw_query = self.path.partition("?")
        path = urllib.parse.unquote(raw_path)
        query = urllib.parse.parse_qsl(raw_query, keep_blank_values=True)
        given = dict(query)
        admin = path == "/admin/user"
        try:
            with lock:
                uid = authenticate(self.command, path, query, self.headers, body)
                if admin and uid != ADMIN:
                    raise Refused(403, "AccessDenied")
                if admin:
                    text = admin_user(self.command, given)
                    self.answer(200, "" if text is None else json.dumps(text), "application/json")
                else:
                    self.answer(200, s3(uid, self.command, path, given, self.headers, body), "application/xml")
        except Refused as why:
            text = json.dumps({"Code": why.code}) if admin else f"<Error><Code>{why.code}</Code></Error>"
            self.answer(why.status, text, "application/json" if admin else "application/xml")

    do_GET = do_PUT = do_POST = do_DELETE = serve


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
