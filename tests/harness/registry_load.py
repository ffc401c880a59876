"""Clients that push and pull all the while, and what became of each of their requests.

A client lives for a second, as core does between two rollouts: it reads the registry's user and password when it starts,
uses them for whole pushes or pulls, and ends. Half of the clients keep their connection, half open one for each request.
"""

import collections
import os
import random
import threading
import time

from .registry_client import Client, Failed, basic

LIFE_S, PAUSE_S = 1.0, 0.05
LARGE = 6 << 20  # more than one part of an upload to the object store
KEEP_TAGS = 5

# started: when its client read the password. ended, seconds: of the request. status 0: no answer.
Request = collections.namedtuple("Request", "kind started ended seconds status error")


class Load:
    """`pushers` + `pullers` clients at a time, each a thread, from `with` on until its end."""

    def __init__(self, registry, pushers=2, pullers=2):
        self.registry, self.connect = registry, registry.connector("registry", 5000)
        self.requests, self.lives, self.reopened = [], 0, 0
        self.lost = []  # what ended a client that nothing should end
        self.tags = [collections.deque(maxlen=KEEP_TAGS) for _ in range(pushers)]
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(self._pushes, number, number % 2), daemon=True) for number in range(pushers)]
        self.threads += [threading.Thread(target=self._run, args=(self._pulls, number, number % 2), daemon=True) for number in range(pullers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join(90)

    def _run(self, works, number, keep):
        try:
            while not self.ends.is_set():
                self._live(works, number, keep)
        except Exception as failure:  # pylint: disable=broad-except
            self.lost.append(f"{type(failure).__name__} {failure}")

    def _live(self, works, number, keep):
        started = time.monotonic()

        def tell(kind, status, seconds, error):
            self.requests.append(Request(kind, started, time.monotonic(), seconds, status, error))

        client = Client(self.connect, basic(*self.registry.login()), keep, tell)
        self.lives += 1
        while time.monotonic() < started + LIFE_S and not self.ends.is_set():
            try:
                works(client, number)
            except Failed:
                pass  # told
            time.sleep(PAUSE_S)
        client.close()
        self.reopened += client.reopened

    def _pushes(self, client, number):
        tag = f"{time.monotonic_ns()}"
        size = LARGE if random.random() < 0.1 else random.randrange(1 << 10, 1 << 18)
        client.push(f"load/{number}", tag, f'{{"tag": "{tag}"}}'.encode(), [os.urandom(size)])
        self.tags[number].append(tag)

    def _pulls(self, client, number):
        if self.tags[number]:
            client.pull(f"load/{number}", random.choice(list(self.tags[number])))
