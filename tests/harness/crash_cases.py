"""The cases of the crash proofs: a point of server/base/calls.def, an action, and the process that makes the call."""

import dataclasses
import subprocess

from .process import binary
from .world import LEASE_MS

HANG_MS = 3 * LEASE_MS[0]
ACTIONS = [(side, action) for action in ("kill", f"hang({HANG_MS})") for side in ("before", "after")] + [("after", "error")]
ROLES = ("serve", "fleet", "operate")
# What no process of the world comes to, by the beginning of its name. versitygw takes the mark with the creation of a
# bucket (tests/backends reaches this with another driver); no Harbor answers on simulated nodes
# (tests/backends/test_harbor*.c, tests/kube/test_managed_crash.py); rekey is a command for people
# (tests/http/test_rekey.py); nobody takes a finalizer away by hand (tests/fault/test_orphan.py), or goes to another
# version of Harbor (tests/kube/test_hop_crash.py; tests/kube/test_hop.py where an image does not come); no pod of the portal
# is waited for (tests/kube/test_rotation.py); it has no pipelines (tests/pipeline/test_pipeline.py); the Redis of the world is a shared one (tests/fault/test_dedicated.py); nobody
# asks for a dry run of one (tests/pipeline/test_pipeline_asked.py; fleet.preview.take is reached all the same); no
# cell comes back from a backup (tests/kube/test_fleet_crash.py), and no autoscaler asks (tests/pipeline/test_metrics_api.py).
UNREACHED = ("kube.registry.find", "kube.replicaset.list", "kube.volume.", "s3.bucket.mark", "harbor.", "rekey.",
             "kube.hop.", "kube.front_proxy.", "kube.pipeline.", "kube.set.", "pg.schema.read", "pg.dump", "pg.restore", "pg.database.aside", "s3.dump.",
             "fleet.seal_again", "fleet.preview.read", "fleet.preview.list", "fleet.preview.end", "fleet.preview.retry")
# Which proof runs a call's cases: what came with a whole Harbor has one of its own.
HARBOR = ("redis.", "s3.", "harbor.", "fleet.secret.", "fleet.shred")


@dataclasses.dataclass(frozen=True)
class Case:
    call: str
    role: str  # of ROLES, or audit: the command
    side: str
    action: str

    @property
    def point(self):
        return f"{self.call}.{self.side}"

    @property
    def name(self):
        return f"{self.point}={self.action}"

    @property
    def hangs(self):
        return self.action.startswith("hang")


def cases():
    """All, in the table's order."""
    table = subprocess.run([binary(), "do", "calls"], capture_output=True, text=True, check=True).stdout
    rows = [[field.strip() for field in line.strip("| ").split("|")] for line in table.splitlines()]
    assert rows, "flotillad do calls printed nothing"
    return [Case(row[0], row[1], side, action) for row in rows if not row[0].startswith(UNREACHED)
            for side, action in ACTIONS]


def proof_of(case):
    return "harbor-crash" if case.call.startswith(HARBOR) else "spine-crash"


def tenth(of):
    """Every tenth in an order that does not follow the table: each action and each role is among them."""
    mixed = sorted(of, key=lambda case: (case.action, case.side, case.call))
    return mixed[::10]
