"""How the cases of the fault suite run: undisturbed lives of two registries, an OvhNginx and a pipeline tell what there is to disturb,
then life after life with faults in it, as many as its stages hold. The end must be the same, `flotillad audit` must find
nothing, and then nobody may write. tests/proofs/fresh-fault runs all of them, tests/fault a tenth."""

import collections
import contextlib
import copy
import os
import time

from . import crash, crash_cases, crash_life, fault_cases
from .fault_lives import NginxLife, PipelineLife
from .faultproxy import Faultproxy
from .wait import eventually, within

ROLES = ("fleet", "operate")
STAGES = (fault_cases.START, *crash_life.STAGES)
QUIET_S, QUIET_LOOKS = 1.5, 2  # who writes every now and then is seen in one of two looks in a row
# Who is refused at his start ends and is started again, as by a supervisor.
REFUSED_AT_START = crash_cases.Case("", "", "after", "error")
NO_WRITES = ("leases",)  # renewed for ever
UNCOUNTED = ("events", "leases")  # how often they are made tells nothing
NOT_MET = "was not met again"  # an undisturbed run happened to ask for it then
NO_OTHER = "no answer was another one by it"  # a stale read of what never changed, a list of one


def shared(runs):
    """What undisturbed runs have in common: {stage: {place: how often at least}}, of dicts like it."""
    return {stage: {place: min(run[stage][place] for run in runs) for place in calls if all(run[stage].get(place) for run in runs)}
            for stage, calls in runs[0].items()}


class Runner:
    """Rounds of cases: run_round(aims) makes one, `met` is what an undisturbed one asked for in each of its stages."""

    quiet_seconds = 40  # within which they come to rest, on a busy machine, too

    def __init__(self, tables):
        self.tables, self.met = tables, {}
        self.created = []  # "RESOURCE NAMESPACE", by us: what embedded clusters tell
        self.vain = set()  # aims whose row had its turn, but changed nothing

    def cases(self):
        unplayed = {each for table in self.tables for each in table.unplayed}
        return [case for case in fault_cases.cases(self.met) if (case.fault, case.verb) not in unplayed]

    # ---- tables

    def put(self, rows=()):
        rows = list(rows)
        for table in self.tables:
            for (client, verb, resource, namespace), count in table.put(rows).items():
                if verb == "created" and client in fault_cases.CLIENTS and resource not in UNCOUNTED:
                    self.created += [f"{resource} {namespace}"] * count

    def take_created(self):
        """Since the last time."""
        self.put()
        taken, self.created = self.created, []
        return taken

    def asked(self):
        """{place: how often} since the tables were put."""
        met = collections.Counter()
        for table in self.tables:
            met.update(fault_cases.places(table.met()))
        return met

    def fired(self, aims):
        """Those whose row made an answer, or an event, another one."""
        met = [row for table in self.tables for row in table.rows() if row.get("seen", 0) >= row["nth"]]
        found = {aim: any(row.get("hit") for row in met if row.items() >= aim.row().items()) for aim in aims}
        self.vain |= {aim for aim, hit in found.items() if not hit and any(row.items() >= aim.row().items() for row in met)}
        return [aim for aim in aims if found[aim]]

    def why_not(self, aim):
        return NO_OTHER if aim in self.vain else NOT_MET

    # ---- rounds

    def check_quiet(self):
        """Nobody writes when nothing is asked for; who has just done something may have a last word."""
        def quiet():
            for _ in range(QUIET_LOOKS):
                self.put()
                time.sleep(QUIET_S)
                wrote = {place: count for place, count in self.asked().items()
                         if place[1] in fault_cases.WRITES and place[2] not in NO_WRITES}
                assert not wrote, f"not quiet: {wrote}"
            return True

        within(quiet, self.quiet_seconds, 0, "quiet")

    def run_all(self, waiting, report):
        """`report(aim, error)` hears of each case: None = it fired and the end was the same."""
        while waiting:
            aims, started = waiting.take(), time.monotonic()
            fired = self.try_round(aims, report)
            if fired is None:
                continue
            for aim in aims:
                if aim in fired:
                    report(aim, None)
                elif not waiting.again(aim.case):
                    report(aim, self.why_not(aim))
            print(f"     {len(fired)} of {len(aims)} in one life of {time.monotonic() - started:.0f} s", flush=True)

    def try_round(self, aims, report):
        """The aims that fired; None when it failed and the guilty were told."""
        try:
            return self.run_round(aims)
        except Exception as error:  # pylint: disable=broad-except
            print(f"     a life with {len(aims)} failed: {str(error)[:3000]}", flush=True)
            self.repair()
            self.blame(aims, error, report)
            return None

    def blame(self, aims, error, report):
        """By halves: those that hold are told so, the one that does not is told with its error."""
        if len(aims) == 1:
            report(aims[0], str(error) or repr(error))
            return
        halves = [aims[: len(aims) // 2], aims[len(aims) // 2 :]]
        fired = [self.try_round(half, report) for half in halves]
        for half, found in zip(halves, fired):
            for aim in half if found is not None else ():
                report(aim, None if aim in found else self.why_not(aim))
        if all(found is not None for found in fired):
            report(aims[0], f"only together: {[aim.case.name for aim in aims]}: {error}")

    def repair(self):
        """After a round that failed: nothing of it may reach the next one."""


class Proof(Runner, crash.Proof):
    """Whole lives in one world, whose clients of the cluster are under `tables` (harness.faultproxy.Table)."""

    more_kinds = (*NginxLife.KINDS, *PipelineLife.KINDS)

    def __init__(self, world, tables):
        Runner.__init__(self, tables)
        crash.Proof.__init__(self, world)
        if "KUBE_AUDIT_LOG" not in world.stack.env:
            self.new_requests = self.take_created

    def begin(self):
        super().begin()
        self.new_requests()

    def repair(self):
        self.put()
        self.rebuild()

    def may_come_again(self, text):
        """Or did, in the undisturbed life. No finalizer holds an OvhNginx or a Pipeline: who hears of its end late makes again
        what the garbage collector has just taken, which takes that, too."""
        return text.endswith("-web") or text.split("/")[0].endswith("-line")

    def scenario(self, name, on_stage, before_write=None, resolve=None):
        made = super().scenario(name, on_stage, before_write, resolve)
        made.lives["nginx"] = NginxLife(self.world, self.cluster, f"{name}-web")
        made.lives["pipeline"] = PipelineLife(self.world, self.cluster, f"{name}-line")
        return made

    def restart(self):
        """What a process asks at its start may be hit, too."""
        if "serve" not in self.keepers:
            self.keep("serve")
        for role in ROLES:
            self.keep(role, cases=[REFUSED_AT_START])
        for keeper in self.keepers.values():
            keeper.wait_ready()

    def live(self, on_stage):
        """A whole life; what the scenario recorded."""
        name, _ = self.name()
        on_stage(fault_cases.START)
        self.restart()
        scenario = self.scenario(name, on_stage, resolve=self.resolver({}))
        recorded = scenario.run()
        on_stage("end")
        self.put()
        self.check_clean(scenario, {})
        self.check_quiet()
        unexpected = [text for keeper in self.keepers.values() for text in keeper.unexpected]
        assert not unexpected, "\n".join(unexpected)
        return recorded

    def record(self, runs=2):
        """What is expected is what undisturbed lives share."""
        lives = []
        for _ in range(runs):
            met, now = {}, [None]

            def on_stage(stage, met=met, now=now):
                if now[0]:
                    met[now[0]] = self.asked()
                now[0] = stage
                self.put()

            started = time.monotonic()
            self.expected = self.live(on_stage)
            print(f"undisturbed: {time.monotonic() - started:.1f} s", flush=True)
            lives.append(met)
        self.met = shared(lives)

    def run_round(self, aims):
        """Returns the aims that fired; raises AssertionError where the end is another one."""
        fired, armed = [], []

        def on_stage(stage):
            fired.extend(self.fired(armed))
            armed[:] = [aim for aim in aims if aim.stage == stage]
            self.put(aim.row() for aim in armed)

        self.live(on_stage)
        return fired


class Rounds(Runner):
    """The same few steps again and again: `act(number)` begins them, `ended(number)` tells (or asserts) that they came to
    their end. One operator lives through all of them."""

    def __init__(self, tables, stage, act, ended, seconds):
        super().__init__(tables)
        self.stage, self.act, self.ended, self.seconds = stage, act, ended, seconds
        self.number, self.asked_then = 0, None

    def run_round(self, aims):
        self.number += 1
        self.put(aim.row() for aim in aims)
        self.act(self.number)
        eventually(lambda: self.ended(self.number), self.seconds, 0.2, f"the end of {self.stage}")
        self.asked_then = self.asked()
        fired = self.fired(aims)
        self.check_quiet()
        return fired

    def record(self, runs=2):
        met = []
        for _ in range(runs):
            self.run_round([])
            met.append({self.stage: self.asked_then})
        self.met = shared(met)
        print(f"undisturbed {self.stage}: {len(self.met[self.stage])} places", flush=True)


@contextlib.contextmanager
def proxied(stack, directory):
    """(the stack as its operators and its fleet see it, their tables): each behind a proxy of his own."""
    proxies = {}
    for variable, user in (("KUBECONFIG_OPERATE", "operator"), ("KUBECONFIG_FLEET", "fleet")):
        home = f"{directory}/proxy-{user}"
        os.mkdir(home)
        proxies[variable] = Faultproxy(stack, user, home)
    seen = copy.copy(stack)
    seen.env = {**stack.env, **{variable: proxy.kubeconfig for variable, proxy in proxies.items()}}
    try:
        yield seen, [proxy.table for proxy in proxies.values()]
    finally:
        ended = [(proxy.stop(), proxy.sanitizer_reports()) for proxy in proxies.values()]
    assert all(status == 0 and not reports for status, reports in ended), ended
