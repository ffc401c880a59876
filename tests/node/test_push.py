"""The registry's image, as Harbor runs it: takes a push and gives a pull through its Service, with its blobs in the object store."""

import base64
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import tarfile

import pytest
from harness import REPO

BUCKET, USER, PASSWORD = "images", "harbor_registry_user", "a-password-of-a-test"
HASH = "$2b$04$byvN1HtBz4Cs6K1typ1L3exrKnhHqAisvwAZfonuGm4CXT1n/FLAO"  # of that password
ADDRESS = "registry.push-and-pull.svc.cluster.local:5000"
REGISTRY = "flotilla.dev/registry:1"
IMAGE = REPO / "server/dev/node/image"


def secret(path):
    return pathlib.Path(path).read_text(encoding="ascii")


@pytest.fixture(scope="module")
def bucket(stack):
    """Made with the store's own key. curl reads it from its standard input: an argument could be read by everybody."""
    env = stack.env
    config = f'user = "{secret(env["POOL_S3_ADMIN_ACCESS_FILE"])}:{secret(env["POOL_S3_ADMIN_SECRET_FILE"])}"\n'
    url = f"http://127.0.0.1:{env['POOL_S3_PORT']}/{BUCKET}"
    subprocess.run(["curl", "-fsS", "-X", "PUT", "--aws-sigv4", f"aws:amz:{env['POOL_S3_REGION']}:s3", "-K", "-",
                    "-H", f"x-amz-content-sha256: {hashlib.sha256(b'').hexdigest()}", url],
                   input=config, text=True, check=True)  # fmt: skip
    return pathlib.Path(stack.directory) / "s3/data" / BUCKET


def config_of(env):
    return f"""version: 0.1
log: {{level: info}}
storage:
  s3:
    region: {env["POOL_S3_REGION"]}
    bucket: {BUCKET}
    regionendpoint: http://{env["POOL_S3_HOST"]}:{env["POOL_S3_PORT"]}
    secure: false
    v4auth: true
    chunksize: 5242880
  delete: {{enabled: true}}
  redirect: {{disable: true}}
http: {{addr: ":5000", secret: a-secret-of-a-test}}
auth:
  htpasswd: {{realm: harbor-registry-basic-realm, path: /etc/registry/passwd}}
"""


def registry(place):
    """What Harbor's chart makes of it: two single files mounted, keys in the environment, an account without rights."""
    env = place.stack.env
    place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "registry"}, "data": {"config.yml": config_of(env)}})
    place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "registry"}, "stringData": {
        "passwd": f"{USER}:{HASH}\n", "access": secret(env["POOL_S3_ADMIN_ACCESS_FILE"]), "secret": secret(env["POOL_S3_ADMIN_SECRET_FILE"])}})  # fmt: skip

    def key(name, of):
        return {"name": f"REGISTRY_STORAGE_S3_{name}", "valueFrom": {"secretKeyRef": {"name": "registry", "key": of}}}

    place.pod(
        "registry", REGISTRY, labels={"app": "registry"},
        volumes=[{"name": "config", "configMap": {"name": "registry"}}, {"name": "passwd", "secret": {"secretName": "registry"}}],
        mounts=[{"name": "config", "mountPath": "/etc/registry/config.yml", "subPath": "config.yml"},
                {"name": "passwd", "mountPath": "/etc/registry/passwd", "subPath": "passwd"}],
        env=[key("ACCESSKEY", "access"), key("SECRETKEY", "secret")],
        readinessProbe={"httpGet": {"path": "/", "port": 5000}, "periodSeconds": 1},
        securityContext={"runAsUser": 10000, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
                         "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
    )  # fmt: skip
    place.service("registry", 5000, 5000)
    place.wait_ready("registry")


def skopeo(stack, *args, password=PASSWORD, directory=None):
    auth = pathlib.Path(directory) / "auth.json"
    auth.write_text(json.dumps({"auths": {ADDRESS: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}}}), encoding="ascii")
    return subprocess.run([*stack.within, "skopeo", "--insecure-policy", *args, "--authfile", str(auth)],
                          capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(directory)})  # fmt: skip


def blobs(bucket):
    """digest → bytes, as the registry has put them into the store."""
    found = {}
    for path in bucket.glob("docker/registry/v2/blobs/sha256/*/*/data"):
        found[path.parent.name] = path.read_bytes()
        assert hashlib.sha256(found[path.parent.name]).hexdigest() == path.parent.name
    return found


def test_push_and_pull(stack, place, image, bucket, tmp_path):
    image("registry", REGISTRY)
    registry(place)
    tar, pulled, name = tmp_path / "portal.tar", tmp_path / "pulled", f"docker://{ADDRESS}/test/portal:1"
    subprocess.run([IMAGE, "portal", "test/portal:1", tar], check=True)
    options = ("--dest-tls-verify=false", f"docker-archive:{tar}", name)
    assert "unauthorized" in skopeo(stack, "copy", *options, password="another", directory=tmp_path).stderr
    assert blobs(bucket) == {}

    done = skopeo(stack, "copy", *options, directory=tmp_path)
    assert done.returncode == 0, done.stderr + place.stack.kubectl("logs", "registry", "-n", place.name)
    done = skopeo(stack, "copy", "--src-tls-verify=false", name, f"dir:{pulled}", directory=tmp_path)
    assert done.returncode == 0, done.stderr

    manifest = json.loads((pulled / "manifest.json").read_text(encoding="utf-8"))
    wanted = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
    stored = blobs(bucket)
    for digest in (each.removeprefix("sha256:") for each in wanted):
        assert stored[digest] == (pulled / digest).read_bytes()
    with tarfile.open(tar) as archive:
        layer = hashlib.sha256(archive.extractfile("layer.tar").read()).hexdigest()
    assert hashlib.sha256(gzip.decompress(stored[wanted[1].removeprefix("sha256:")])).hexdigest() == layer
