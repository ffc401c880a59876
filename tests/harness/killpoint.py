"""Who is killed at a call, in each stage of a life; and whether a pass that is woken then has anything to write."""

import signal
import time

from . import kube_audit, metrics
from .wait import eventually

STILL_S = 0.3


class KillPoint:
    """`name`: CALL.before or CALL.after. Who was started with `env` dies there when it is armed, once, until it is armed
    again: for anybody's object, so that others of its kind must be gone by then."""

    def __init__(self, directory, name):
        self.fired = directory / f"fired.{name}"
        self.fired.touch()
        self.env = {"FLOTILLA_FAILPOINTS": f"{name}=kill", "FLOTILLA_FAILPOINT_DIR": directory}

    def arm(self):
        self.fired.unlink(missing_ok=True)

    def assert_killed(self, process):
        assert process.wait(60) == -signal.SIGKILL and self.fired.exists(), f"{self.fired.name}: {process.logs[-3:]}"


class Quiet:
    """What is written in one namespace, whose objects `controller` looks after; begins at its making."""

    def __init__(self, stack, namespace, controller):
        self.audit, self.namespace, self.controller = kube_audit.KubeAudit(stack), namespace, controller

    def writes(self):
        """Since the last call."""
        return [request for request in self.audit.writes()
                if request.namespace == self.namespace and not kube_audit.is_lease(request)]

    def _passes(self, process):
        rows = metrics.read(process, "controller_runtime_reconcile_total")
        return sum(count for labels, count in rows if labels["controller"] == self.controller)

    def _is_still(self):
        self.writes()
        time.sleep(STILL_S)
        return not self.writes()

    def assert_after(self, wake, process):
        """The operator comes to rest, and a pass that `wake` brings about writes nothing."""
        eventually(self._is_still, 15, what=f"{self.namespace} at rest")
        before = self._passes(process)
        wake()
        eventually(lambda: self._passes(process) > before, what="a pass")
        time.sleep(STILL_S)
        assert not (found := self.writes()), found
