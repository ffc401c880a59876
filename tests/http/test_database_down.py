"""The database hangs, dies, refuses, comes back: every request is answered in time, and serve heals by itself."""

import contextlib
import os
import signal
import time

from harness.wait import eventually


def timed(call):
    started = time.monotonic()
    answer = call()
    return answer, time.monotonic() - started


def ready(service):
    return service.provider.get("/readyz").status == 200


@contextlib.contextmanager
def hanging(stack, service):
    """Neither the server's sessions nor new ones get an answer."""
    backends = [row[0] for row in service.database.query(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'flotilla_serve' AND datname = current_database()")]
    stack.signal("pg-fleet", "STOP")
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
        stack.signal("pg-fleet", "CONT")


def test_a_hanging_database_holds_nobody_beyond_the_deadline(stack, service, tenant):
    assert tenant.api.get(tenant.path).status == 200
    with hanging(stack, service):
        answer, took = timed(lambda: tenant.api.get(tenant.path))
        assert answer.status in (503, 504) and took < 15, (answer.body, took)
        assert answer.json["retryable"]
        assert answer.json["detail"] == answer.json["title"], "what is wrong inside is not the client's to know"
        assert service.provider.get("/livez").status == 200
        assert service.provider.get("/readyz").status == 503
    eventually(lambda: ready(service), timeout=20)
    assert tenant.create().status == 202


def test_a_dead_database_is_said_at_once_and_found_again(stack, service, tenant):
    assert tenant.api.get(tenant.path).status == 200
    time.sleep(1)  # the stack's --fast may lose the last half second in a crash
    stack.kill("pg-fleet")
    answer, took = timed(lambda: tenant.api.get(tenant.path))
    assert (answer.status, answer.json["code"]) == (503, "DatabaseUnavailable") and took < 5
    assert int(answer.headers["Retry-After"]) >= 1
    stack.start("pg-fleet")
    eventually(lambda: ready(service), timeout=20)
    assert tenant.create().status == 202


def test_ended_sessions_are_replaced_unseen(service, tenant):
    for _ in range(5):
        service.database.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'flotilla_serve' AND datname = current_database()")
        assert tenant.create().status == 202


def test_a_lock_is_waited_for_and_then_said(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    with service.database.connect() as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM resource WHERE id = %s FOR UPDATE", (registry["id"],))
        answer, took = timed(lambda: tenant.api.call("PATCH", path, {"spec": {"plan": "m"}}))
        cursor.execute("ROLLBACK")
    assert (answer.status, answer.json["code"]) == (409, "RequestInProgress") and 4 < took < 9
    assert tenant.api.call("PATCH", path, {"spec": {"plan": "m"}}).status == 202
