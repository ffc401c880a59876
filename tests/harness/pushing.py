"""What a push leaves behind, and where: claims about a registry on a node, each raising AssertionError where it does not hold."""

import base64
import hashlib
import json
import pathlib
import subprocess

from .on_node import IMAGE, Running, skopeo
from .wait import eventually

BLOBS = "docker/registry/v2/blobs/sha256/"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def as_rendered(registry):
    """{what: sha256} of what the registry's process has: each is what the API server keeps of the rendered object."""
    pod = registry.pods("registry")[0]
    running, found = Running(pod, "registry"), {}
    files = {"/etc/registry/config.yml": registry.child("configmaps", "registry")["data"]["config.yml"].encode(),
             "/etc/registry/passwd": base64.b64decode(registry.child("secrets", "registry-htpasswd")["data"]["passwd"])}  # fmt: skip
    for path, wanted in files.items():
        got = running.file(path)
        assert got == wanted, f"{path}: {sha256(got)} in the container, {sha256(wanted)} rendered"
        found[path] = sha256(got)
    secret = {key: base64.b64decode(value).decode() for key, value in registry.child("secrets", "registry")["data"].items()}
    environment = running.environment()
    assert {key: environment.get(key) for key in secret} == secret, "the environment is another than its Secret"
    found["environment of its Secret"] = sha256(json.dumps(secret, sort_keys=True).encode())
    template = registry.child("deployments", "registry")["spec"]["template"]["spec"]
    for container in template["containers"]:
        there = next(c for c in pod["spec"]["containers"] if c["name"] == container["name"])
        assert {key: there[key] for key in container} == container, "the pod's container is another than the Deployment's"
    return found


def has_key(registry):
    """The store's key in the process of the registry is this tenant's."""
    kept, environment = registry.kept(), Running(registry.pods("registry")[0], "registry").environment()
    got = (environment["REGISTRY_STORAGE_S3_ACCESSKEY"], environment["REGISTRY_STORAGE_S3_SECRETKEY"])
    assert got == (kept["s3AccessKey"], kept["s3SecretKey"]) and registry.id in got[0]
    return got[0]


def image_of(directory):
    """An archive to push: two blobs, of some megabytes."""
    tar = pathlib.Path(directory) / "pushed.tar"
    subprocess.run([IMAGE, "portal", "test/portal:1", tar], check=True)
    return tar


def name_of(registry, tag="1"):
    return f"docker://{registry.address}/test/portal:{tag}"


def push(registry, tar, directory, tag="1", login=None):
    """The finished skopeo, with the login that core has where no other is given."""
    login = login or registry.login()
    return skopeo(registry.node.stack, (registry.address, *login), directory, "copy", "--dest-tls-verify=false", f"docker-archive:{tar}",
                  name_of(registry, tag))  # fmt: skip


def pull(registry, directory, tag="1"):
    """{digest: bytes} of a pulled image."""
    pulled = pathlib.Path(directory) / f"pulled-{tag}"
    login = (registry.address, *registry.login())
    done = skopeo(registry.node.stack, login, directory, "copy", "--src-tls-verify=false", name_of(registry, tag), f"dir:{pulled}")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((pulled / "manifest.json").read_text(encoding="utf-8"))
    digests = [entry["digest"].removeprefix("sha256:") for entry in (manifest["config"], *manifest["layers"])]
    return {digest: (pulled / digest).read_bytes() for digest in digests}


def blobs(registry):
    """{digest: bytes} of what its bucket holds, read with its own key."""
    store, found = registry.store(), {}
    for name in store.objects(registry.bucket):
        if name.startswith(BLOBS) and name.endswith("/data"):
            digest = name.split("/")[-2]
            found[digest] = store.answer("GET", f"/{registry.bucket}/{name}")
            assert sha256(found[digest]) == digest, f"{name} holds something else"
    return found


def cached(registry):
    """Names of what the registry remembers in its Redis."""
    return sorted(registry.redis("--scan"))


def pushes_and_pulls(registry, directory):
    """An image goes in and comes out as it was; it lies in this registry's bucket, and is remembered in its Redis. Returns blobs."""
    tar = image_of(directory)
    refused = push(registry, tar, directory, login=(registry.login()[0], "another-password"))
    assert refused.returncode != 0 and "unauthorized" in refused.stderr, refused.stderr
    assert not blobs(registry), "nothing was pushed yet"
    done = push(registry, tar, directory)
    assert done.returncode == 0, done.stderr
    pulled = pull(registry, directory)
    stored = blobs(registry)
    assert {digest: stored.get(digest) for digest in pulled} == pulled, "the bucket holds something else than what was pulled"
    for digest in pulled:
        eventually(lambda digest=digest: f"blobs::sha256:{digest}" in cached(registry), 10, 0.5, "it is remembered in Redis")
    return pulled
