"""Who starts the world's processes again when an armed point ends them."""

import threading
import time

from .wait import eventually

# How a process may end because of a point: killed, or told at start that a server does not answer. Whoever supervises it
# starts it again. The watchdog of `operate` ends it by design when a pass outstays its lease, as on a machine with too
# much to do. The end must be the same then, too; how often that was is part of the figure.
DEATHS = {"kill": {-9}, "hang": set(), "error": {1}}
OUTSTAYED = 70


class Keeper:
    """Starts a role of the world again when one of the cases' points ended it; any other end is noted.

    One thread starts, watches and stops the process: it would die with the thread that started it.
    """

    def __init__(self, world, role, env=None, cases=()):
        self.world, self.role, self.env = world, role, env
        self.allowed = set().union(*(DEATHS[case.action.partition("(")[0]] for case in cases))
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
