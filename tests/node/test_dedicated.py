"""The pod of a Redis of a registry's own, as it is rendered, on Debian's redis-server: whom it lets in, and what it keeps."""

import json
import os
import subprocess

import pytest
from harness.process import base_env, binary
from harness.wait import eventually, never

CLIENT = "flotilla.dev/redis-client:1"
POD = "acme-redis-0"
FIRST, SECOND = "secret-redis-password", "secret-other-redis-password"  # of reconcilers/registry/example.yaml


def rendered(directory, *options):
    """The rows of Redis, but for the policy: nothing enforces one here."""
    done = subprocess.run([binary(), "do", "stack", "2.15", "S", "dedicated", *options], env=base_env(directory), capture_output=True,
                          text=True, check=True)  # fmt: skip
    return [item for item in json.loads(done.stdout)["items"] if item["kind"] != "NetworkPolicy"
            and item["metadata"]["labels"]["app.kubernetes.io/component"] == "redis"]


class Redis:
    def __init__(self, place, directory):
        self.place, self.directory = place, directory

    def become(self, *options):
        for item in rendered(self.directory, *options):
            self.place.apply(item)

    def pod(self):
        """Its uid while it is ready."""
        item = self.place.get("pod", POD)
        ready = [c["status"] for c in item["status"]["conditions"] if c["type"] == "Ready"]
        return item["metadata"]["uid"] if ready == ["True"] and "deletionTimestamp" not in item["metadata"] else None

    def ask(self, *command, password=None):
        """What it says to another pod, which finds it by its Service."""
        login = ["/usr/bin/env", f"REDISCLI_AUTH={password}"] if password else []
        done = self.place.run("client", *login, "/usr/bin/redis-cli", "--no-auth-warning", "-h", "acme-redis", *command, check=False)
        return (done.stdout + done.stderr).strip()


@pytest.fixture
def redis(stack, place, image, tmp_path):
    parts = rendered(tmp_path)
    image("redis", next(item for item in parts if item["kind"] == "StatefulSet")["spec"]["template"]["spec"]["containers"][0]["image"])
    image("programs", CLIENT, "/usr/bin/sleep", "/usr/bin/redis-cli", "/usr/bin/env")
    volume = os.path.join(stack.directory, f"volume-{place.name}")
    os.mkdir(volume)
    os.chmod(volume, 0o777)  # a path of the host: no group is set on it
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": place.name},
                  "spec": {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "hostPath": {"path": volume}}}))  # fmt: skip
    place.pod("client", CLIENT, command=["/usr/bin/sleep", "3600"])
    place.wait_ready("client")
    made = Redis(place, tmp_path)
    made.become()
    eventually(made.pod, 60, 0.5, "its readiness probe has logged in")
    yield made
    stack.kubectl("delete", "persistentvolume", place.name, "--wait=false")


def test_it_lets_its_password_in_and_keeps_what_it_was_told(redis):
    assert eventually(lambda: redis.ask("ping", password=FIRST) == "PONG", 20, 0.5, "PING with the password")
    assert "NOAUTH" in redis.ask("ping") and "NOAUTH" in redis.ask("get", "kept")
    assert "WRONGPASS" in redis.ask("ping", password="another")
    for command in (("config", "get", "*"), ("flushall",), ("acl", "list"), ("keys", "*"), ("shutdown",), ("save",)):
        assert "NOPERM" in redis.ask(*command, password=FIRST), command
    assert redis.ask("set", "kept", "still here", password=FIRST) == "OK"
    first = redis.pod()
    redis.place.stack.kubectl("delete", "pod", POD, "-n", redis.place.name)
    eventually(lambda: redis.pod() not in (None, first), 60, 0.5, "another pod")
    assert eventually(lambda: redis.ask("get", "kept", password=FIRST) == "still here", 20, 0.5, "on its volume")

    redis.become("rotating")
    second = eventually(lambda: redis.pod() not in (None, first) and "PONG" == redis.ask("ping", password=SECOND) and redis.pod(), 60, 0.5,
                        "it knows the next password, too")  # fmt: skip
    assert redis.ask("get", "kept", password=FIRST) == redis.ask("get", "kept", password=SECOND) == "still here"
    redis.become("turned")
    never(lambda: redis.pod() != second, 5, 0.5, "another pod")
    assert redis.ask("ping", password=FIRST) == redis.ask("ping", password=SECOND) == "PONG"
