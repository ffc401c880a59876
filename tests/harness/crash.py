"""How the cases of the crash proofs run: one world, an undisturbed run of the scenario, then round after round of cases.
tests/proofs/*-crash run all of them, tests/fault a fixed tenth."""

import collections
import os
import time

from . import crash_life, database, pools
from .cluster import Cluster
from .crash_cases import ROLES
from .crash_keeper import Keeper
from .crash_leftovers import leftovers, namespaces, new_requests, sweep
from .crash_round import Armed, Recorded
from .wait import eventually
from .watched import Watched


class Proof:
    """One world, one undisturbed run, then round after round in it."""

    more_kinds = ()  # that its lives have beside those of a registry

    def __init__(self, world):
        self.world, self.cluster = world, Cluster(world.stack)
        self.watched, self.keepers = None, {}
        self.expected = self.creations = None
        self.stages_of = {}  # (role, point) → stages in which that process of an undisturbed run reaches it
        self.new_requests = new_requests(world.stack.env.get("KUBE_AUDIT_LOG"))
        self.runs = self.outstayed = 0

    def begin(self):
        sweep(self.world, self.cluster)
        self.world.make_cell()
        self.set_up()
        self.watched = Watched(self.cluster, self.more_kinds)

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

    def keep(self, role, env=None, cases=()):
        if role in self.keepers:
            self.stop(role)
        self.keepers[role] = Keeper(self.world, role, env, cases)

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
        """Twice, so that only what two undisturbed runs share is expected."""
        recorded = Recorded(2)
        for run in range(2):
            name, marks = self.name()
            now, env = ["start"], {}
            for role in (*ROLES, "audit"):  # apart: `flotillad audit` makes calls of the others' rows, too
                os.mkdir(f"{marks}/{role}")
                env[role] = {"FLOTILLA_FAILPOINT_DIR": f"{marks}/{role}"}

            def on_stage(stage, run=run, marks=marks, now=now):
                recorded.note(run, marks, now[0])
                now[0] = stage

            for role in ROLES:
                self.keep(role, env[role])
                self.keepers[role].wait_ready()
            started = time.monotonic()
            scenario = self.scenario(name, on_stage, resolve=self.resolver(env["audit"]))
            self.expected = scenario.run()
            on_stage("audit")
            self.check_clean(scenario, env["audit"])
            print(f"undisturbed: {time.monotonic() - started:.1f} s {scenario.took}", flush=True)
            on_stage("stop")
            self.stop_all()
            on_stage("end")
        self.stages_of = recorded.stages_of()

    def scenario(self, name, on_stage, before_write=None, resolve=None):
        return crash_life.Scenario(self.world, self.cluster, self.watched, name, self.expected, on_stage, before_write, resolve)

    def resolver(self, env):
        """What a person does who is told of a divergence; a command that did not end well is repeated."""
        def resolve(life):
            def resolved():
                self.world.run("audit", "--resolve", life.id, "--take", "row", env=env, check=False)
                return not life.is_diverged()

            eventually(resolved, 40, what="resolved")

        return resolve

    # ---- one round

    def run_round(self, aims):
        """Raises AssertionError when an end differs from that of the undisturbed run. Returns the aims whose points
        were reached, and what the scenario's stages took."""
        name, marks = self.name()
        armed = Armed(aims, marks)
        for role in ROLES:
            if armed.cases(role):
                self.keep(role, armed.env(role), armed.cases(role))
            elif role not in self.keepers:
                self.keep(role)
        scenario = self.scenario(name, armed.on_stage, armed.before_write, self.resolver(armed.env("audit")))
        scenario.kills = sum(aim.case.action == "kill" for aim in aims)
        scenario.run()
        armed.on_stage("stop")
        ended = [self.stop(role) for role in ROLES if armed.cases(role)]
        armed.on_stage("audit")
        self.check_clean(scenario, armed.env("audit"))
        unexpected = [text for keeper in (*ended, *self.keepers.values()) for text in keeper.unexpected]
        assert not unexpected, "\n".join(unexpected)
        return armed.reached(), scenario.took

    def run_all(self, waiting, report):
        """Everything that waits. `report(case, stage, error)` hears of each case; stage or error may be None."""
        while waiting:
            aims, lost = waiting.take(self.stages_of)
            for case in lost:
                report(case, None, "no undisturbed run reaches it")
            if not aims:
                continue
            try:
                reached, took = self.run_round(aims)
            except Exception as error:  # pylint: disable=broad-except
                self.rebuild()
                self.blame(aims, error, report)
                continue
            for aim in aims:
                if aim in reached:
                    report(aim.case, aim.stage, None)
                elif not waiting.again(aim.case):
                    report(aim.case, aim.stage, "was not reached from there on")
            print(f"     {len(reached)} in one life of {sum(took.values()):.0f} s", flush=True)

    def blame(self, aims, error, report):
        """A round has failed: which case is it? If each holds alone, all are told to have failed together."""
        errors = {aim: self.alone(aim) for aim in aims}
        together = None if any(errors.values()) else f"in one life, though not alone: {error}"
        for aim in aims:
            report(aim.case, aim.stage, errors[aim] or together)

    def alone(self, aim):
        """What is wrong with it, or None."""
        try:
            reached, _ = self.run_round([aim])
            return None if reached else "was not reached from there on"
        except Exception as error:  # pylint: disable=broad-except
            self.rebuild()
            return str(error) or repr(error)

    # ---- the end

    def check_clean(self, scenario, env):
        def clean():
            done = self.world.run("audit", env=env, check=False)
            assert done.returncode == 0, f"audit: {done.returncode} {done.stdout} {done.stderr[-500:]}"
            return True

        eventually(clean, 30, 0.2, "clean audit")
        # who woke late may have put work into the outbox, which must come to nothing
        scenario.await_equal(self.expected_end(scenario), 30, "after the end", self.cluster)
        assert (left := leftovers(self.world, self.cluster)) == [], f"left behind: {left}"
        eventually(lambda: self.same_creations(scenario), 5, what="nothing created twice")

    def expected_end(self, scenario):
        return self.expected[crash_life.STAGES[-1]] if self.expected else scenario.snapshot(self.cluster)

    def may_come_again(self, _text):
        return False

    def same_creations(self, scenario):
        scenario.made = getattr(scenario, "made", collections.Counter())
        scenario.made.update(scenario.neutral(text) for text in self.new_requests())
        if self.creations is None:
            time.sleep(1)
            scenario.made.update(scenario.neutral(text) for text in self.new_requests())
            self.creations = scenario.made
        twice, never = scenario.made - self.creations, self.creations - scenario.made
        twice, never = ({text: often for text, often in found.items() if not self.may_come_again(text)} for found in (twice, never))
        # whoever died while he asked may have no answer in the log, though what he asked for was made: one for each death
        assert not twice and sum(never.values()) <= scenario.kills, f"created too often: {twice}, not created: {never}"
        return True

    def rebuild(self):
        """After a case that failed: nothing of it may reach the next one."""
        for role in list(self.keepers):
            self.stop(role)
        sweep(self.world, self.cluster)
        database.drop(self.world.stack, self.world.db)
        self.set_up()
        self.new_requests()
