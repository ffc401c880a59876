"""What a phase costs: time, calls to the API server and to the pools, memory at its peak."""

import collections
import pathlib
import time

from . import kube_audit, metrics

BACKENDS = ("pg", "redis", "s3")
_CALLS = "flotilla_backend_calls_total"


class Costs:
    """What was spent since the last look, by every process of a world."""

    def __init__(self, world):
        self.world, self.log = world, kube_audit.KubeAudit(world.stack)
        self.counted, self.since = self._backend_calls(), 0
        self._begin()

    def _begin(self):
        for process in self.world.running.values():
            pathlib.Path(f"/proc/{process.process.pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        self.since = time.monotonic()

    def _backend_calls(self):
        found = collections.Counter()
        for name, process in self.world.running.items():
            if not name.startswith("serve"):
                for labels, value in metrics.read(process, _CALLS):
                    found[labels["call"].partition(".")[0]] += int(value)
        return found

    def look(self):
        """{"seconds", "api": {user: (reads, writes)}, "backends": {pg, redis, s3: calls}, "peak": {process: MiB}}"""
        seconds, counted = time.monotonic() - self.since, self._backend_calls()
        api = collections.Counter((r.user, r.verb in kube_audit.WRITES) for r in self.log.requests() if not kube_audit.is_lease(r))
        found = {
            "seconds": seconds,
            "api": {user.removeprefix("flotilla-"): (api[user, False], api[user, True]) for user in kube_audit.OURS},
            "backends": {name: counted[name] - self.counted[name] for name in BACKENDS},
            "peak": {name: peak_mib(process.process.pid) for name, process in self.world.running.items()},
        }
        self.counted = counted
        self._begin()
        return found


def peak_mib(pid):
    """The largest resident set since the peak began."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} tells no peak")
