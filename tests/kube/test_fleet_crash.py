"""Every external call of the fleet layer fails once before and once after it, or the process dies there: the end is
the same. The calls are those that server/base/calls.def names for the role fleet, but for those of dry runs, which no
registry makes: tests/pipeline/test_pipeline_asked.py has them."""

import re
import threading

import pytest
from harness import REPO
from harness.wait import eventually
from kube.test_fleet import env, make  # noqa: F401  pylint: disable=unused-import
from kube.test_handover import shop  # noqa: F401  pylint: disable=unused-import

LEASES = {"FLOTILLA_LEASE_DURATION_MS": 1000, "FLOTILLA_LEASE_RENEW_MS": 200, "FLOTILLA_LEASE_DEADLINE_MS": 700}
# To give leases back a process takes as long as it has for a renewal.
PATIENT = {"FLOTILLA_LEASE_DURATION_MS": 15000, "FLOTILLA_LEASE_RENEW_MS": 5000, "FLOTILLA_LEASE_DEADLINE_MS": 10000}
CALLS = re.findall(r'CALL\(\w+,\s*"(fleet\.(?!preview\.)[^"]+)",\s*"fleet"', (REPO / "server/base/calls.def").read_text())


class Supervisor:
    """Starts `flotillad fleet` again whenever it dies."""

    def __init__(self, flotillad, environment):
        self.flotillad, self.environment = flotillad, environment
        self.deaths, self.stopping = 0, False
        self.process = flotillad(["fleet"], environment)
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self):
        while not self.stopping:
            try:
                status = self.process.process.wait(0.05)
            except Exception:  # pylint: disable=broad-except
                continue
            if self.stopping:
                return
            assert status == -9, f"ended by itself: {status} {self.process.logs[-3:]}"
            self.deaths += 1
            self.process.expect_kill = True
            self.process = self.flotillad(["fleet"], self.environment)

    def stop(self):
        """May be asked for twice. What the watching thread started dies with it."""
        if self.thread.is_alive():
            self.stopping = True
            self.thread.join()
            self.process.expect_kill = True

    def end(self, is_over):
        """Asks it to end, and starts another, until is_over(): the end has its points, too."""
        for _ in range(10):
            if is_over():
                return
            self.process = self.flotillad(["fleet"], {**self.environment, **PATIENT})
            self.process.wait_log(lambda line: line.get("msg", "").startswith("ready"), 60)
            status = self.process.stop()
            assert status in (0, -9), f"ended with {status}"
            self.deaths += status == -9
            self.process.expect_kill = status == -9


def life(row):
    """All that can happen to a registry, hand-over, drift and divergence included."""
    def soon(check):
        """How long a failure is waited after, up to 30 s, is not what this is about."""
        def due_and_checked():
            row.db.query("UPDATE outbox SET due_at = least(due_at, now() + interval '1 s') WHERE resource_id = %s", row.id)
            return check()

        eventually(due_and_checked, 120, what="a step of a registry's life")

    soon(lambda: row.revision() == 1)
    row.hold_identity()
    row.operate()
    soon(lambda: row.last_operation() == "succeeded")
    row.keep()
    soon(lambda: row.sealed() == (False, True) and not row.secret() and not row.waits())
    for size in ("L", "M", "L"):
        row.patch({"spec": {"size": size}})
        soon(lambda: row.live()["spec"]["size"] == "S" and not row.waits())
    row.patch({"spec": {"revision": 7}})
    soon(lambda: row.revision() == 8 and not row.waits())
    row.kubectl("delete", "registry", row.name)
    soon(lambda: row.revision() == 8 and not row.waits())
    row.db.query("UPDATE resource SET published = 0 WHERE id = %s", row.id)  # as for a cell that has forgotten it
    row.kubectl("delete", "registry", row.name)
    row.enqueue()
    soon(lambda: row.revision() == 8 and row.sealed() == (True, False))
    row.keep()
    soon(lambda: row.sealed() == (False, True) and not row.secret() and not row.waits())
    row.close("0 seconds")
    soon(lambda: row.revision() == 9)
    row.drop_identity()
    soon(lambda: row.db.value("SELECT attempts FROM outbox WHERE resource_id = %s", row.id) > 1)
    row.operate("Closed", "True")
    soon(lambda: row.get("deleted_at") and not row.has_namespace() and not row.waits())
    assert row.last_operation() == "succeeded" and row.get("state") == "normal"


@pytest.mark.parametrize("action", ["error", "kill"])
def test_every_call_may_fail_once(flotillad, env, make, shop, tmp_path, action):  # noqa: F811
    marks = tmp_path / "marks"
    marks.mkdir()
    points = ";".join(f"{call}.{side}={action}" for call in CALLS for side in ("before", "after"))
    supervisor = Supervisor(flotillad, {**env, **LEASES, "FLOTILLA_FAILPOINTS": points,
                                         "FLOTILLA_FAILPOINT_DIR": marks})
    try:
        life(shop.order(f"crash-{action}"))
        behind = make(f"behind-{action}")
        eventually(lambda: behind.revision() == 1 and not behind.waits(), 60)
        behind.resize("m")
        eventually(lambda: behind.revision() == 2 and not behind.waits(), 60)
        behind.db.query("UPDATE resource SET generation = 1, published = 1 WHERE id = %s", behind.id)
        behind.enqueue()
        eventually(lambda: behind.get("state") == "diverged" and not behind.waits(), 60)
        assert behind.revision() == 2
        supervisor.stop()
        supervisor.end((marks / "fired.fleet.release.after").exists)
    finally:
        supervisor.stop()
    fired = {mark.name.removeprefix("fired.") for mark in marks.glob("fired.*")}
    missed = {f"{call}.{side}" for call in CALLS for side in ("before", "after")} - fired
    assert not missed, f"never reached: {sorted(missed)}"
    if action == "kill":
        assert len(fired) - 5 <= supervisor.deaths <= len(fired), "two threads may fall at the same moment"
