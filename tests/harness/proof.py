"""What every proof in tests/proofs stands on: its seed, private servers, a world, steps with their times, the figure.

    def main(proof):
        with proof.step("create"):
            ...
        return "20 registries created"        # the figure, printed last

    proof.run(main)                           # exit status 0 only when main returned

`tests/prove` sets PROOF_SEED to repeat a run. A proof that is ended by SIGTERM or SIGINT takes its servers down.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from .devcluster import DevStack
from .stack import Stack
from .world import World

# For proofs that are not about Leases: those of production, which a busy machine does not lose.
CALM = {"FLOTILLA_LEASE_DURATION_MS": 15000, "FLOTILLA_LEASE_RENEW_MS": 5000, "FLOTILLA_LEASE_DEADLINE_MS": 10000}


class Proof:
    """One run: `random` is seeded, `step()` prints times, `world()` gives servers and processes."""

    def __init__(self):
        self.name = pathlib.Path(sys.argv[0]).name
        self.seed = int(os.environ.get("PROOF_SEED") or random.SystemRandom().randrange(1 << 32))
        self.random = random.Random(self.seed)
        self.times = {}  # step → seconds
        self.checks = 0

    @contextlib.contextmanager
    def step(self, what):
        started = time.monotonic()
        yield
        self.times[what] = time.monotonic() - started
        print(f"{self.times[what]:8.3f} s  {what}", flush=True)

    def check(self, holds, what):
        """A named claim; counted, so that a proof that checked nothing shows."""
        if not holds:
            raise AssertionError(what)
        self.checks += 1

    def equal(self, got, wanted, what):
        self.check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")

    @contextlib.contextmanager
    def stack(self, without=(), node=False, embedded=False):
        directory = tempfile.mkdtemp(prefix="proof-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
        os.chmod(directory, 0o755)  # the account that runs PostgreSQL must get through
        embedded = embedded or os.environ.get("FLOTILLA_TEST_KUBE") == "devcluster"
        servers = DevStack(directory, without) if embedded else Stack(directory, without, node)
        try:
            yield servers.up()
        finally:
            servers.down()
            shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def world(self, stack, roles=("serve", "fleet", "operate"), settings=None):
        """A World that is up; its end is checked (sanitizers). Its last words are printed when the proof fails."""
        directory = tempfile.mkdtemp(prefix="world-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
        world = World(stack, directory, settings)
        try:
            yield world.up(roles)
        except BaseException:
            show_logs(world)
            with contextlib.suppress(AssertionError):
                world.down()
            raise
        world.down()
        shutil.rmtree(directory, ignore_errors=True)


def show_logs(world, lines=15):
    for name, process in world.running.items():
        print(f"--- last words of {name} ({process.directory})")
        for line in [line for line in process.logs if line.get("level") != "debug"][-lines:]:
            print("   ", str(line)[:400])


def _end(number, _frame):
    raise SystemExit(128 + number)


def run(main):
    """Runs main(proof); prints the figure last. Exits 0 when main returned, 1 otherwise."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    proof = Proof()
    print(f"{proof.name}: seed {proof.seed}", flush=True)
    started = time.monotonic()
    try:
        figure = main(proof)
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        print(f"{proof.name}: DOES NOT HOLD, seed {proof.seed}, {proof.checks} checks before", flush=True)
        sys.exit(1)
    print(f"{proof.name}: {figure}; {proof.checks} checks, {time.monotonic() - started:.1f} s, seed {proof.seed}", flush=True)
