"""Garbage collection of a registry's Harbor, and the bucket that must be proved before. The Harbor is a recording."""

import pytest
from harness import metrics
from harness.harbor import managed
from harness.wait import eventually

SCHEDULE = {"schedule": {"cron": "0 0 0 * * *", "type": "Custom"}, "job_parameters": "{}"}


@pytest.fixture(scope="module")
def made(stack, tmp_path_factory):
    with managed(stack, tmp_path_factory.mktemp, FLOTILLA_COLLECT_INTERVAL_MS=4000) as found:
        yield found


@pytest.fixture
def harbor(made):
    made[1].control(set={"jobservice": True, "schedule": None, "deaf": False})
    return made[1]


@pytest.fixture
def registry(made):
    return made[2]


def message(registry):
    return next(c["message"] for c in registry.get()["status"]["conditions"] if c["type"] == "Collecting")


def runs(harbor):
    return harbor.control()["runs"]


def counted(cell, result):
    rows = metrics.read(cell.operator, "flotilla_harbor_collections_total")
    return sum(number for labels, number in rows if labels["result"] == result)


def looked(harbor, looks=4):
    before = harbor.looks()
    eventually(lambda: harbor.looks() >= before + looks, 30, what=f"{looks} more looks")


def let_run_on(harbor):
    """A run that does not end by itself: the one that is told so, or, when the next had just begun, that one."""
    def runs_on():
        harbor.control(run={"job_status": "Running"})
        looked(harbor, 2)
        return harbor.control()["run"] == "Running"

    eventually(runs_on, what="a run that does not end")


def test_it_runs_again_and_again_and_tells_what_came_of_it(registry, harbor):
    registry.wait("True", "Collected", "Collecting")
    assert "removed 3 blobs and 1 manifests" in message(registry)
    told = registry.get()["status"]["harbor"]["collection"]
    assert told["status"] == "Success" and told["freedBytes"] == 7 and told["endedAt"]
    before = runs(harbor)
    eventually(lambda: runs(harbor) >= before + 2, 60, what="two more runs")
    assert harbor.seen("admin POST /api/v2.0/system/gc") == 0, "the robot may do that"


def test_a_failed_run_is_told(registry, harbor):
    harbor.control(run={"job_status": "Error", "update_time": "2099-01-01T00:00:00.000Z"})
    registry.wait("False", "RunFailed", "Collecting").wait("True", "ReadyInPart")
    harbor.control(run={"job_status": "Success", "update_time": "2026-01-01T00:00:00.000Z"})
    registry.wait("True", "Collected", "Collecting")


def test_what_harbor_refuses_is_told(registry, harbor):
    harbor.control(set={"raw": {"POST /api/v2.0/system/gc/schedule": [500, '{"errors": [{"message": "queue is gone"}]}']}})
    registry.wait("False", "StartFailed", "Collecting")
    assert "queue is gone" in message(registry)
    harbor.control(set={"raw": {}})
    registry.wait("True", "Collected", "Collecting")


def test_a_customers_dry_run_is_no_collection(registry, harbor):
    registry.wait("True", "Collected", "Collecting")
    dry = harbor.control(dry=1)["runs"]  # its number
    looked(harbor)
    assert registry.get()["status"]["harbor"]["collection"]["id"] != dry
    eventually(lambda: registry.get()["status"]["harbor"]["collection"]["id"] > dry, 30, what="one that collects")


def test_nothing_is_collected_while_the_bucket_fails(stack, made, registry, harbor):
    registry.wait("True", "Collected", "Collecting")
    harbor.control(set={"schedule": SCHEDULE})
    told = counted(made[0], "BucketUnproved")
    stack.stop("s3-pool")
    try:
        registry.wait("False", "BucketUnproved", "Collecting")
        looked(harbor)
        assert counted(made[0], "BucketUnproved") == told + 1, "not each look counts"
        eventually(lambda: not harbor.control()["schedule"], 30, what="the schedule is taken away")
        before = runs(harbor)
        harbor.control(set={"schedule": SCHEDULE})  # a customer's again
        eventually(lambda: not harbor.control()["schedule"], 30, what="the schedule is taken away again")
        assert runs(harbor) == before and "CollectionUnscheduled" in registry.events()
    finally:
        stack.start("s3-pool")
    registry.wait("True", "Collected", "Collecting")
    eventually(lambda: runs(harbor) > before, 60, what="it runs again")


def test_a_run_is_ended_while_its_bucket_fails(stack, registry, harbor):
    registry.wait("True", "Collected", "Collecting")
    harbor.control(set={"deaf": True})
    let_run_on(harbor)
    stack.stop("s3-pool")
    try:
        registry.wait("False", "RunUnstopped", "Collecting")
        assert "was told to end" in message(registry) and harbor.control()["run"] == "Running"
        eventually(lambda: "RunUnstopped" in registry.events(), 10)
        harbor.control(set={"deaf": False})
        registry.wait("False", "BucketUnproved", "Collecting")
        assert harbor.control()["run"] == "Stopped"
    finally:
        stack.start("s3-pool")
    registry.wait("True", "Collected", "Collecting")


def test_a_robot_that_may_not_end_runs_is_mended(stack, registry, harbor):
    registry.wait("True", "Collected", "Collecting")
    robot = harbor.control()["robots"][0]
    rights = [right.split("/") for right in robot["rights"] if not right.endswith("/stop")]
    let_run_on(harbor)
    harbor.control(robot={str(robot["id"]): {"rights": rights}})
    stack.stop("s3-pool")
    try:
        eventually(lambda: harbor.control()["run"] == "Stopped", 30, what="the run ends")
        assert harbor.control()["robots"][0]["rights"] == robot["rights"]
    finally:
        stack.start("s3-pool")
    registry.wait("True", "Collected", "Collecting")


def test_a_customers_schedule_stays_while_the_bucket_is_well(registry, harbor):
    harbor.control(set={"schedule": SCHEDULE})
    before = harbor.looks()
    eventually(lambda: harbor.looks() >= before + 4, 30)
    assert harbor.control()["schedule"]["schedule"]["cron"] == SCHEDULE["schedule"]["cron"]
    registry.wait("True", "Collected", "Collecting")
