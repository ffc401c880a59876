"""The Redis of server/dev/stack: who gets in, and what survives a crash."""

import os
import subprocess

import pytest


def redis(stack, *command, user="", password=""):
    """What redis-cli prints; with neither user nor password: as anybody."""
    env = {"PATH": os.environ["PATH"], "HOME": stack.directory, "REDISCLI_AUTH": password}
    login = ["--user", user] if user else []
    where = ["-h", stack.env["POOL_REDIS_HOST"], "-p", stack.env["POOL_REDIS_PORT"]]
    done = subprocess.run(["redis-cli", "--no-auth-warning", *login, *where, *command],
                          env=env, capture_output=True, text=True, check=False)  # fmt: skip
    return (done.stdout + done.stderr).strip()


@pytest.fixture
def admin(stack):
    with open(stack.env["POOL_REDIS_ADMIN_PASSWORD_FILE"], encoding="utf-8") as file:
        password = file.read()
    assert password not in stack.log("redis-pool")
    return lambda *command: redis(stack, *command, user=stack.env["POOL_REDIS_ADMIN_USER"], password=password)


def test_nobody_gets_in_but_the_administrator(stack, admin):
    assert "NOAUTH" in redis(stack, "ping") and "NOAUTH" in redis(stack, "acl", "list")
    assert admin("config", "get", "databases").split() == ["databases", "1024"]
    assert "NOPERM" in admin("get", "key") and "NOPERM" in admin("flushall")


def test_users_survive_a_crash(stack, admin):
    assert admin("acl", "setuser", "kept", "reset") == "OK" and admin("acl", "save") == "OK"
    stack.kill("redis-pool")
    stack.start("redis-pool")
    assert "kept" in admin("acl", "users").split()
    assert admin("acl", "deluser", "kept") == "1" and admin("acl", "save") == "OK"
