"""?wait= holds the request and nothing else."""

import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from harness.wait import eventually


WAITS_OF_ONE = 99  # and one connection for what else the test asks


def end(service, operation):
    service.database.query(
        "UPDATE operation SET status = 'succeeded', finished_at = now() WHERE id = %s", operation, role="fleet")


def test_wait_ends_with_the_operation(service, tenant):
    where = tenant.create().headers["Operation-Location"]
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiting = pool.submit(tenant.api.get, f"{where}?wait=60")
        time.sleep(0.5)
        assert not waiting.done()
        end(service, where.rsplit("/", 1)[1])
        answer = waiting.result(60)
    assert answer.json["status"] == "succeeded"
    assert 0.5 <= time.monotonic() - started < 15, "long before its time"


def test_wait_ends_with_its_time(tenant):
    where = tenant.create().headers["Operation-Location"]
    started = time.monotonic()
    answer = tenant.api.get(f"{where}?wait=1")
    assert (answer.status, answer.json["status"]) == (200, "pending")
    assert 1 <= time.monotonic() - started < 10


def test_many_waits_hold_no_worker(service, tenant):
    """Five times as many as there are workers, and others are still answered at once."""
    where = tenant.create().headers["Operation-Location"]
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(tenant.api.get, f"{where}?wait=60") for _ in range(40)]
        time.sleep(1)
        started = time.monotonic()
        assert tenant.api.get("/v1/plans").status == 200
        assert time.monotonic() - started < 5, "long before one of them ends"
        sessions = service.database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'flotilla_serve' AND datname = current_database()"
            " AND state <> 'idle'")
        assert sessions <= 2
        end(service, where.rsplit("/", 1)[1])
        assert {answer.result(60).json["status"] for answer in waiting} == {"succeeded"}


def test_one_tenant_does_not_take_all_waits(service, tenant, other):
    where, elsewhere = (who.create().headers["Operation-Location"] for who in (tenant, other))
    with ThreadPoolExecutor(132) as pool:
        waiting = [pool.submit(tenant.api.get, f"{where}?wait=60") for _ in range(130)]
        eventually(lambda: sum(answer.done() for answer in waiting) >= 30, 15)
        theirs = pool.submit(other.api.get, f"{elsewhere}?wait=60")
        time.sleep(1)
        assert sum(answer.done() for answer in waiting) == 30 and not theirs.done()
        for operation in (where, elsewhere):
            end(service, operation.rsplit("/", 1)[1])
        assert theirs.result(60).json["status"] == "succeeded"
        assert {answer.result(60).status for answer in waiting} == {200}


def test_waits_leave_connections_for_others(service):
    """Ten tenants that wait as often as each may: 500 wait, the others get their answer at once."""
    request = "GET {} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n"
    tenants = [service.tenant() for _ in range(10)]
    connections = []
    try:
        for number, who in enumerate(tenants):
            home = (f"127.0.1.{number + 1}", 0)  # one address may hold half of the connections
            where = who.create().headers["Operation-Location"]
            for _ in range(WAITS_OF_ONE):
                connections.append(socket.create_connection(("127.0.0.1", service.port), 20, home))
                connections[-1].sendall(request.format(f"{where}?wait=60", who.api.key).encode())
            time.sleep(0.6)  # the rate is two hundred per second and tenant
        answered = eventually(lambda: len(done := readable(connections)) >= len(connections) - 500 and done, 20)
        time.sleep(1)
        assert len(readable(connections)) == len(answered) == len(connections) - 500
        assert all(connection.recv(100).startswith(b"HTTP/1.1 200 ") for connection in answered)
        assert tenants[0].api.get("/v1/plans").status == 200
    finally:
        for connection in connections:
            connection.close()


def readable(connections):
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(0)}
    return [connection for connection in connections if connection.fileno() in ready]


def test_stop_ends_waits_early(service, tenant):
    """Last of this module: it stops the server."""
    where = tenant.create().headers["Operation-Location"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tenant.api.get, f"{where}?wait=60")
        time.sleep(0.5)
        started = time.monotonic()
        assert service.process.stop() == 0
        assert time.monotonic() - started < 10
        assert waiting.result(20).json["status"] == "pending"
