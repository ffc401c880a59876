"""A registry's stack against the real API server: every object that any version, size and option renders is taken by a
strict server-side dry run, and none of its pods breaks the restricted Pod Security standard.

What real Harbor binaries were seen to trip over, and what keeps us from it:

| seen | kept by |
|---|---|
| a token key in PKCS#8: core healthy, every docker login 500 | test_keys.c, test_stack.c `kept__values…`, `test_kept_secret…` here |
| USAGE missing on schema public, or only CONNECT: exit 1 | tests/kube/test_registry.py logs in and makes a table as the role |
| connection limit below the pools' sum: 500 while healthy | test_stack.c `connections__fit…` |
| a space in the database's password: exit 1 | kept values are [A-Za-z0-9]: test_stack.c, `test_kept_secret…` here |
| two Harbors in one Redis index; a wrong index: core exits | the claim's slot + 1: golden stack.json; ACL fence: tests/backends/test_redis.c |
| the registry before 2.15 has no Redis user name: WRONGPASS | folders 2.13 and 2.14; test_stack.c `registry__uses_redis…` |
| each request without cookie makes a session key | probes ask /ping at most every 10 s and core only: golden stack.json |
| jobservice without core panics | test_stack.c `order__…`, `test_order…` here |
| core gives up after 60 to 67 s without PostgreSQL or Redis | startup probe of 180 s: `test_core_may_give_up_by_itself` here |
| core on another port than 8080: replication with itself fails | test_stack.c `files__…`, golden stack.json |
| a killed migration leaves a dirty schema | no deadline, no probe: test_stack.c `pods__…`, `order__…`; prune waits for a Job at work |
| -mode=migrate needs Redis, too | the Job has core's environment: `test_migration_has_cores_environment` here |
| an unmigrated core that migrates at start | every core runs -mode=skip-migrate: test_stack.c `order__…` |
| SIGTERM cuts the registry's uploads off | http.draintimeout and 120 s of grace: golden stack.json |
| garbage collection with List denied loses track of objects | a fence of the collector's caller (not of the stack) |
| the object store's failure is invisible to every probe | BackendsReady, tests/backends/test_s3.c |
"""

import base64
import itertools
import json

import pytest
from harness.rendered import SIZES, VERSIONS, by_bundle_id, dry_namespace, dry_run, rendered

OPTIONS = (
    (),
    ("trivy", "exporter", "managed", "issuer", "class", "pulls"),
    ("trivy", "exporter", "managed", "issuer", "closed"),
    ("secret", "trivy"),
    ("exporter", "managed", "dedicated", "rotating"),
)


@pytest.fixture(scope="module")
def namespace(stack):
    with dry_namespace(stack) as name:
        yield name


@pytest.mark.parametrize(("version", "size"), itertools.product(VERSIONS, SIZES))
def test_every_object_is_accepted(stack, namespace, tmp_path, version, size):
    for options in OPTIONS:
        objects = rendered(tmp_path, version, size, *options)
        done = dry_run(stack, namespace, objects)
        assert done.returncode == 0, f"{options}: {done.stderr}"
        assert "Warning" not in done.stderr, f"{options}: {done.stderr}"
        assert len(done.stdout.splitlines()) == len(objects["items"])


def test_the_dry_run_can_fail(stack, namespace, tmp_path):
    """An unknown field and a pod that is not restricted are seen."""
    for path, value, sign in ((("strateggy",), {}, "unknown field"),
                              (("template", "spec", "hostNetwork"), True, "Warning")):
        objects = rendered(tmp_path, "2.15", "S")
        at = by_bundle_id(objects)["core"]["spec"]
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        assert sign in dry_run(stack, namespace, objects).stderr


def container(tmp_path, row, **where):
    item = by_bundle_id(rendered(tmp_path, where.get("version", "2.15"), where.get("size", "S")))[row]
    return item["spec"]["template"]["spec"]["containers"][0]


def test_core_may_give_up_by_itself(tmp_path):
    """67 s without Redis and then 60 s without PostgreSQL are core's own; a probe that is faster would hide why."""
    probe = container(tmp_path, "core")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 67 + 60


def test_migration_has_cores_environment(tmp_path):
    assert container(tmp_path, "migration")["envFrom"] == container(tmp_path, "core")["envFrom"]
    assert container(tmp_path, "migration")["image"] == container(tmp_path, "core")["image"]


def test_paths_that_nobody_outside_may_reach(tmp_path):
    """Longest path wins, as the Ingress API says: core's hook for the registry and API v1 end at the portal, with 404."""
    objects = by_bundle_id(rendered(tmp_path, "2.15", "S"))
    paths = {path["path"]: path["backend"]["service"]["name"]
             for path in objects["ingress"]["spec"]["rules"][0]["http"]["paths"]}

    def lands(url):
        return paths[max((path for path in paths if url.startswith(path)), key=len)]

    for url in ("/api/v2.0/health", "/service/token", "/v2", "/v2/library/x/blobs/uploads/", "/c/login"):
        assert lands(url) == "acme-core", url
    for url in ("/", "/harbor/projects", "/service/notifications/jobs", "/v1/search"):
        assert lands(url) == "acme-portal", url
    nginx = objects["portal-config"]["data"]["nginx.conf"]
    for location in ("/service/notifications", "/v1/"):
        assert f"location {location} {{\n            return 404;" in nginx


def test_secrets_decode_to_what_is_read(tmp_path):
    """Byte for byte: no newline behind the AES key, one htpasswd line, one URL for each Redis user."""
    objects = by_bundle_id(rendered(tmp_path, "2.15", "S", "trivy", "exporter"))

    def data(row):
        return {key: base64.b64decode(value).decode() for key, value in objects[row]["data"].items()}

    assert data("core-files")["key"] == "secret-key-of-16"
    assert data("registry-htpasswd")["passwd"] == "harbor_registry_user:secret-htpasswd\n"
    url = "redis://t_abcdefghijklmnop:secret-redis-password@redis.example.net:6380/7?idle_timeout_seconds=30"
    assert data("core-secret")["_REDIS_URL_CORE"] == data("core-secret")["_REDIS_URL_REG"] == url
    assert json.loads(data("jobservice-files")["config.yml"])["worker_pool"]["redis_pool"]["redis_url"] == url
    assert data("trivy-secret")["SCANNER_REDIS_URL"] == data("exporter-secret")["HARBOR_REDIS_URL"] == url
