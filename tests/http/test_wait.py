"""?wait= holds the request and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor

from harness.wait import eventually


def end(service, operation):
    service.database.query(
        "UPDATE operation SET status = 'succeeded', finished_at = now() WHERE id = %s", operation, role="fleet")


def test_wait_ends_with_the_operation(service, tenant):
    where = tenant.create().headers["Operation-Location"]
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiting = pool.submit(tenant.api.get, f"{where}?wait=30")
        time.sleep(0.5)
        assert not waiting.done()
        end(service, where.rsplit("/", 1)[1])
        answer = waiting.result(10)
    assert answer.json["status"] == "succeeded"
    assert 0.5 <= time.monotonic() - started < 5


def test_wait_ends_with_its_time(tenant):
    where = tenant.create().headers["Operation-Location"]
    started = time.monotonic()
    answer = tenant.api.get(f"{where}?wait=1")
    assert (answer.status, answer.json["status"]) == (200, "pending")
    assert 1 <= time.monotonic() - started < 4


def test_many_waits_hold_no_worker(service, tenant):
    """Five times as many as there are workers, and others are still answered at once."""
    where = tenant.create().headers["Operation-Location"]
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(tenant.api.get, f"{where}?wait=20") for _ in range(40)]
        time.sleep(1)
        started = time.monotonic()
        assert tenant.api.get("/v1/plans").status == 200
        assert time.monotonic() - started < 1
        sessions = service.database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'flotilla_serve' AND datname = current_database()"
            " AND state <> 'idle'")
        assert sessions <= 2
        end(service, where.rsplit("/", 1)[1])
        assert {answer.result(10).json["status"] for answer in waiting} == {"succeeded"}


def test_one_tenant_does_not_take_all_waits(service, tenant, other):
    where, elsewhere = (who.create().headers["Operation-Location"] for who in (tenant, other))
    with ThreadPoolExecutor(132) as pool:
        waiting = [pool.submit(tenant.api.get, f"{where}?wait=30") for _ in range(130)]
        eventually(lambda: sum(answer.done() for answer in waiting) >= 30, 15)
        theirs = pool.submit(other.api.get, f"{elsewhere}?wait=30")
        time.sleep(1)
        assert sum(answer.done() for answer in waiting) == 30 and not theirs.done()
        for operation in (where, elsewhere):
            end(service, operation.rsplit("/", 1)[1])
        assert theirs.result(10).json["status"] == "succeeded"
        assert {answer.result(10).status for answer in waiting} == {200}


def test_stop_ends_waits_early(service, tenant):
    """Last of this module: it stops the server."""
    where = tenant.create().headers["Operation-Location"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tenant.api.get, f"{where}?wait=60")
        time.sleep(0.5)
        started = time.monotonic()
        assert service.process.stop() == 0
        assert time.monotonic() - started < 10
        assert waiting.result(5).json["status"] == "pending"
