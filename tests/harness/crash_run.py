"""The crash proof as a program: its options, worlds that share the cases, the figure. tests/proofs/*-crash say which calls.

    tests/prove spine-crash [--only REGEX] [--tenth] [--seed N] [--worlds N] [--list]

A life mostly waits, so two worlds on servers of their own share the cases.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import threading
import time

from . import crash, crash_cases
from .crash_round import Waiting
from .stack import Stack
from .world import World


def wanted(calls):
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="cases whose name this finds, e.g. 'pg[.]role.*kill'")
    parser.add_argument("--tenth", action="store_true", help="every tenth, the same ones each time")
    parser.add_argument("--seed", default=os.environ.get("PROOF_SEED", "1"), help="decides which cases share a life, and in which stage a point fires")
    parser.add_argument("--worlds", type=int, default=2, help="how many at a time")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [case for case in crash_cases.cases() if crash_cases.proof_of(case) == calls]
    chosen = crash_cases.tenth(chosen) if options.tenth else chosen
    return options, [case for case in chosen if re.search(options.only, case.name)]


class Worker(threading.Thread):
    """One world, until no case is left."""

    def __init__(self, directory, waiting):
        super().__init__()
        self.directory, self.waiting = directory, waiting
        self.done, self.lives, self.outstayed, self.failures, self.error = 0, 0, 0, [], None

    def run(self):
        stack = Stack(f"{self.directory}/stack")
        try:
            stack.up()
            proof = crash.Proof(World(stack, f"{self.directory}/world"))
            proof.begin()
            proof.record()
            proof.run_all(self.waiting, self.report)
            proof.end()
            self.outstayed, self.lives = proof.outstayed, proof.runs
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
            raise
        finally:
            log = stack.env.get("KUBE_AUDIT_LOG")
            if log and (self.failures or self.error):  # it would go with the servers
                shutil.copy(log, self.directory)
            stack.down()

    def report(self, case, stage, error):
        self.done += 1
        if error:
            self.failures.append(case.name)
        print(f"FAIL {case.name}: in {stage}: {error}" if error else f"ok   {case.name:45} in {stage}", flush=True)


def main(calls):
    options, chosen = wanted(calls)
    if options.list:
        print("\n".join(case.name for case in chosen))
        return 0
    directory = tempfile.mkdtemp(prefix=f"{calls}-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    os.chmod(directory, 0o755)
    started, waiting = time.monotonic(), Waiting(chosen, options.seed)
    workers = [Worker(f"{directory}/{number}", waiting) for number in range(min(options.worlds, len(chosen)))]
    for worker in workers:
        os.mkdir(worker.directory)
        worker.start()
    for worker in workers:
        worker.join()
    failures = [name for worker in workers for name in worker.failures]
    errors = [repr(worker.error) for worker in workers if worker.error]
    done = sum(worker.done for worker in workers)
    if failures or errors:
        print(f"logs: {directory}", *failures, *errors, sep="\n  ")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    lives, outstayed = (sum(getattr(worker, what) for worker in workers) for what in ("lives", "outstayed"))
    print(f"{calls}: {done} of {len(chosen)} cases in {lives} lives, {len(failures)} failures, {outstayed} ends by the"
          f" watchdog, {time.monotonic() - started:.0f} s, seed {options.seed}")
    return 0 if chosen and done == len(chosen) and not failures and not errors else 1
