"""The cases of the crash proof and how one is run: a point of server/base/calls.def, an action, and the process that
makes the call. tests/proofs/*-crash run all of them, tests/fault a fixed tenth."""

import collections
import dataclasses
import os
import random
import subprocess
import threading
import time

from . import crash_life, database, pools
from .cluster import Cluster
from .crash_leftovers import leftovers, namespaces, new_requests, sweep
from .process import binary
from .wait import eventually
from .watched import Watched
from .world import LEASE_MS

HANG_MS = 3 * LEASE_MS[0]
SIDES = ("before", "after")
ACTIONS = [(side, action) for action in ("kill", f"hang({HANG_MS})") for side in SIDES] + [("after", "error")]
# How a process may end because of a point: killed, or told at start that a server does not answer. Whoever supervises it
# starts it again. The watchdog of `operate` ends it by design when a pass outstays its lease, as on a machine with too
# much to do. The end must be the same then, too; how often that was is part of the figure.
DEATHS = {"kill": (-9,), "hang": (), "error": (1,)}
OUTSTAYED = 70
ROLES = ("serve", "fleet", "operate")
# What no process of the world comes to, by the beginning of its name. versitygw takes the mark with the creation of a
# bucket (tests/backends reaches this with another driver); no Harbor answers on simulated nodes
# (tests/backends/test_harbor*.c, tests/kube/test_managed_crash.py); rekey is a command for people
# (tests/http/test_rekey.py); nobody takes a finalizer away by hand (tests/fault/test_orphan.py).
UNREACHED = ("kube.registry.find", "s3.bucket.mark", "harbor.", "rekey.")
# Which proof runs a call's cases: what came with a whole Harbor has one of its own, so that either ends within an hour.
HARBOR = ("redis.", "s3.", "harbor.", "fleet.secret.", "fleet.shred")
WRITES = ("create", "change", "close", "undo", "purge")  # stages with a request that changes something


@dataclasses.dataclass(frozen=True)
class Case:
    call: str
    role: str
    side: str
    action: str

    @property
    def point(self):
        return f"{self.call}.{self.side}"

    @property
    def name(self):
        return f"{self.point}={self.action}"


def cases():
    """All, by process, so that each is started as seldom as possible; the operator's first: they are the most."""
    table = subprocess.run([binary(), "do", "calls"], capture_output=True, text=True, check=True).stdout
    rows = [[field.strip() for field in line.strip("| ").split("|")] for line in table.splitlines()]
    assert rows, "flotillad do calls printed nothing"
    return [Case(row[0], row[1], side, action) for row in reversed(rows) if not row[0].startswith(UNREACHED)
            for side, action in ACTIONS]


def proof_of(case):
    return "harbor-crash" if case.call.startswith(HARBOR) else "spine-crash"


def tenth(of):
    """Every tenth in an order that does not follow the table: each action and each role is among them."""
    mixed = sorted(of, key=lambda case: (case.action, case.side, case.call))
    return mixed[::10]


class Keeper:
    """Starts a role of the world again when the armed point ended it; any other end is noted.

    One thread starts, watches and stops the process: it would die with the thread that started it.
    """

    def __init__(self, world, role, env, allowed):
        self.world, self.role, self.env, self.allowed = world, role, env, allowed
        self.deaths, self.outstayed, self.unexpected = 0, 0, []
        self.process, self.stopping = None, False
        self.thread = threading.Thread(target=self._keep, daemon=True)
        self.thread.start()

    def _keep(self):
        while not self.stopping:
            self.process = self.world.start(self.role, env=self.env, wait=False)
            while not self.stopping and self.process.process.poll() is None:
                time.sleep(0.02)
            try:
                self._note(self.world.stop(self.role), asked=self.stopping)
            except AssertionError as error:
                self.unexpected.append(str(error))

    def _note(self, status, asked):
        if status in self.allowed:
            self.deaths += 1
        elif status == OUTSTAYED and self.role == "operate":
            self.outstayed += 1
        elif status != 0 or not asked:
            self.unexpected.append(f"{self.role} ended with {status}: {self.process.logs[-3:]}")

    def wait_ready(self):
        def ready():
            return any(line.get("msg", "").startswith("ready") for line in list(self.process.logs))

        eventually(ready, 40, what=f"{self.role} ready")

    def stop(self):
        """Asks it to end; its very end is part of the case."""
        self.stopping = True
        self.thread.join()


class Proof:
    """One world, one undisturbed run, then case after case in it."""

    def __init__(self, world, seed):
        self.world, self.seed, self.cluster = world, seed, Cluster(world.stack)
        self.watched, self.keepers = None, {}
        self.expected = self.creations = None
        self.stages_of = {}  # (role, point) → stages in which that process of an undisturbed run reaches it
        self.new_requests = new_requests(world.stack.env["KUBE_AUDIT_LOG"])
        self.runs = self.outstayed = 0

    def begin(self):
        sweep(self.world, self.cluster)
        self.world.make_cell()
        self.set_up()
        self.watched = Watched(self.cluster)

    def end(self):
        eventually(lambda: not namespaces(self.cluster), 60, what="namespaces gone")
        self.watched.stop()
        self.stop_all()
        self.world.down()

    def set_up(self):
        """A fleet database with a cell and a tenant; no process runs afterwards."""
        self.world.make_database()
        self.world.start("serve")
        self.world.make_customer()
        self.world.stop("serve")

    def name(self):
        """Of the next run. The Redis that it finds belongs to nobody: taking a pool is a call of its own."""
        self.runs += 1
        cell = self.cluster.get("namespaces", "kube-system")["metadata"]["uid"]
        admin = pools.Redis(self.world.stack.env)
        admin.call("ACL", "DELUSER", f"flotilla:{cell}")
        admin.close()
        directory = f"{self.world.directory}/run-{self.runs}"
        os.makedirs(directory)
        return f"crash-{self.runs}", directory

    # ---- processes

    def keep(self, role, env=None, allowed=()):
        if role in self.keepers:
            self.stop(role)
        self.keepers[role] = Keeper(self.world, role, env, allowed)

    def stop(self, role):
        keeper = self.keepers.pop(role)
        keeper.stop()
        self.outstayed += keeper.outstayed
        return keeper

    def stop_all(self):
        for role in list(self.keepers):
            self.stop(role)

    # ---- the undisturbed run

    def record(self):
        """Twice, so that only what two undisturbed runs share is expected. """
        reached = [collections.defaultdict(set) for _ in range(2)]
        for run in range(2):
            name, marks = self.name()
            now, env = ["start"], {}
            for role in (*ROLES, "audit"):  # apart: `flotillad audit` makes calls of the others' rows, too
                os.mkdir(f"{marks}/{role}")
                env[role] = {"FLOTILLA_FAILPOINT_DIR": f"{marks}/{role}"}

            def on_stage(stage, run=run, marks=marks, now=now):
                for role in os.listdir(marks):
                    for point in marks_of("hit", f"{marks}/{role}"):
                        reached[run][role, point].add(now[0])
                        os.unlink(f"{marks}/{role}/hit.{point}")
                now[0] = stage

            for role in ROLES:
                self.keep(role, env[role])
                self.keepers[role].wait_ready()
            started = time.monotonic()
            scenario = crash_life.Scenario(self.world, self.cluster, self.watched, name, self.expected, on_stage,
                                           resolve=self.resolver(env["audit"]))
            self.expected = scenario.run()
            on_stage("audit")
            self.check_clean(scenario, env["audit"])
            print(f"undisturbed: {time.monotonic() - started:.1f} s {scenario.took}", flush=True)
            on_stage("stop")
            self.stop_all()
            on_stage("end")
        for point in reached[0].keys() | reached[1].keys():
            one, other = reached[0][point], reached[1][point]
            self.stages_of[point] = sorted(one & other or one | other)

    def resolver(self, env):
        """What a person does who is told of a divergence; a command that did not end well is repeated."""
        def resolve(life):
            def resolved():
                self.world.run("audit", "--resolve", life.id, "--take", "row", env=env, check=False)
                return not life.is_diverged()

            eventually(resolved, 40, what="resolved")

        return resolve

    # ---- one case

    def aims(self, case):
        """The stage from which on the point may fire, and a second try: what an undisturbed run happens to do late need
        not come again. Requests are aimed at in before_write."""
        stages = self.stages_of.get((case.role, case.point))
        assert stages, f"{case.point}: no undisturbed run reaches it"
        if case.role == "serve":
            stages = WRITES
        else:  # what repeats may not come once more before the end
            stages = [stage for stage in stages if stage not in ("audit", "stop")] or stages
        order = ("start", *crash_life.STAGES, "audit", "stop")
        return random.Random(f"{self.seed} {case.name}").choice(stages), min(stages, key=order.index)

    def run_case(self, case):
        """Raises AssertionError when the end differs from that of the undisturbed run. Returns (stage, deaths,
        slowest stage)."""
        aims = self.aims(case)
        for aim in aims:
            if done := self.run_at(case, aim):
                return done
        raise AssertionError(f"{case.point} was not reached from the stages {aims} on")

    def run_at(self, case, aim):
        """None: the point was not reached."""
        name, marks = self.name()
        now, fired = ["start"], f"{marks}/fired.{case.point}"
        action = case.action.partition("(")[0]
        env = {"FLOTILLA_FAILPOINTS": case.name, "FLOTILLA_FAILPOINT_DIR": marks}

        def arm(is_time):
            if is_time and os.path.exists(fired):
                os.unlink(fired)

        def on_stage(stage):
            now[0] = stage
            arm(stage == aim and case.role in ("fleet", "operate"))

        def before_write():
            arm(case.role == "serve" and (now[0] == aim or action != "hang"))

        if aim != "start" and case.role != "audit":
            disarm(fired)
        for role in ROLES:
            if role == case.role:
                self.keep(role, env, DEATHS[action])
            elif role not in self.keepers:
                self.keep(role)
        scenario = crash_life.Scenario(self.world, self.cluster, self.watched, name, self.expected, on_stage, before_write,
                                       self.resolver(env if case.role == "audit" else None))
        scenario.run()
        on_stage("stop")
        ended = self.stop(case.role) if case.role in ROLES else None
        self.outlast_hang(fired, action)
        self.check_clean(scenario, env if case.role == "audit" else None)
        unexpected = [text for keeper in (ended, *self.keepers.values()) if keeper for text in keeper.unexpected]
        assert not unexpected, "\n".join(unexpected)
        if not os.path.exists(fired):
            return None
        return aim, ended.deaths if ended else 0, max(scenario.took.items(), key=lambda item: item[1])

    def outlast_hang(self, fired, action):
        """Who hangs may still do harm when he wakes up: look only after that."""
        if action == "hang" and os.path.exists(fired):
            time.sleep(max(0, os.stat(fired).st_mtime + HANG_MS / 1000 + 0.5 - time.time()))

    # ---- the end

    def check_clean(self, scenario, env):
        def clean():
            done = self.world.run("audit", env=env, check=False)
            assert done.returncode == 0, f"audit: {done.returncode} {done.stdout} {done.stderr[-500:]}"
            return True

        eventually(clean, 30, 0.2, "clean audit")
        # who woke late may have put work into the outbox, which must come to nothing
        scenario.await_equal(self.expected_end(scenario), 10, "after the end", self.cluster)
        assert (left := leftovers(self.world, self.cluster)) == [], f"left behind: {left}"
        eventually(lambda: self.same_creations(scenario), 5, what="nothing created twice")

    def expected_end(self, scenario):
        return self.expected[crash_life.STAGES[-1]] if self.expected else scenario.snapshot(self.cluster)

    def same_creations(self, scenario):
        scenario.made = getattr(scenario, "made", collections.Counter())
        scenario.made.update(scenario.neutral(text) for text in self.new_requests())
        if self.creations is None:
            time.sleep(1)
            scenario.made.update(scenario.neutral(text) for text in self.new_requests())
            self.creations = scenario.made
        twice, never = scenario.made - self.creations, self.creations - scenario.made
        assert not twice and not never, f"created too often: {dict(twice)}, not created: {dict(never)}"
        return True

    def rebuild(self):
        """After a case that failed: nothing of it may reach the next one."""
        for role in list(self.keepers):
            self.stop(role)
        sweep(self.world, self.cluster)
        database.drop(self.world.stack, self.world.db)
        self.set_up()
        self.new_requests()


# ---- small things


def marks_of(kind, directory):
    return {name.removeprefix(f"{kind}.") for name in os.listdir(directory) if name.startswith(f"{kind}.")}


def disarm(fired):
    with open(fired, "x", encoding="utf-8"):
        pass
