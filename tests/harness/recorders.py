"""What is there for a moment only, written into files while it passes: changes of Kubernetes objects, command lines and
environments of processes, what a Redis is asked, what HTTP answers."""

import collections
import contextlib
import functools
import http.client
import json
import os
import pathlib
import threading
import time

from . import pools

LOOK_S = 0.01  # between two looks at the processes


class Looker(threading.Thread):
    """Calls `look` again and again. What it fails of is kept, and raised by stop(): nobody else would hear of it."""

    def __init__(self, look):
        super().__init__(daemon=True)
        self.look, self.stopping, self.error = look, False, None
        self.start()

    def run(self):
        try:
            while not self.stopping:
                self.look()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self, wait=False):
        """It may be in a look still, which is its last and lasts as long as a watch does."""
        self.stopping = True
        if wait:
            self.join()
        if self.error:
            raise self.error


def watch(cluster, path, tell):
    """Without a version: first all that is there, then each change, a line each, until the server ends it or goes."""
    with contextlib.closing(cluster.connect(timeout=900)) as connection:
        try:
            connection.request("GET", f"{path}?watch=1&timeoutSeconds=800")
            response = connection.getresponse()
            assert response.status == 200, f"{path}: {response.status} {response.read()}"
            while (line := response.readline()).endswith(b"\n"):  # half a line is a server that has gone
                tell(line)
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)


class ObjectRecorder:
    """Every version of every object of each kind that can be watched, as the server tells it, managedFields too."""

    def __init__(self, cluster, directory, without=("secrets",)):
        self.cluster, self.directory = cluster, pathlib.Path(directory)
        self.directory.mkdir()
        self.lookers = [Looker(functools.partial(self._record, name, path)) for name, path in self._watchable() if name not in without]

    def _watchable(self):
        groups = [group["preferredVersion"]["groupVersion"] for group in self.cluster.ok("GET", "/apis")["groups"]]
        for base in ("/api/v1", *(f"/apis/{group}" for group in groups)):
            for resource in self.cluster.ok("GET", base)["resources"]:
                if "watch" in resource["verbs"]:
                    yield resource["name"], f"{base}/{resource['name']}"

    def _record(self, name, path):
        with open(self.directory / f"{name}.{path.count('/')}", "ab", buffering=0) as file:
            watch(self.cluster, path, file.write)

    def stop(self):
        for looker in self.lookers:
            looker.stop()


class SecretRecorder:
    """The one kind that the other leaves out; `tell` gets each version."""

    def __init__(self, cluster, tell):
        self.tell = tell
        self.looker = Looker(lambda: watch(cluster, "/api/v1/secrets", self._told))

    def _told(self, line):
        event = json.loads(line)
        if event["type"] != "ERROR":  # what the server says before it ends a watch: the next one tells all again
            self.tell(event["object"])

    def stop(self):
        self.looker.stop()


def _read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:  # it has ended
        return b""


class ProcessRecorder:
    """Command line and environment of every descendant of this process, looked at again and again."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.seen, self.programs, self.parents = set(), collections.Counter(), {}
        self.looker = Looker(self._look_at_all)

    def _look_at_all(self):
        for pid in self._descendants():
            self._look(pid)
        time.sleep(LOOK_S)

    def _descendants(self):
        alive = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self.parents = {pid: self.parents.get(pid) or self._parent(pid) for pid in alive}
        return [pid for pid in alive if self._is_ours(pid)]

    @staticmethod
    def _parent(pid):
        return int((_read(f"/proc/{pid}/stat").rpartition(b")")[2].split() or (0, 0))[1])

    def _is_ours(self, pid):
        above = self.parents.get(pid, 0)
        while above > 1 and above != os.getpid():
            above = self.parents.get(above, 0)
        return above == os.getpid()

    def _look(self, pid):
        told = _read(f"/proc/{pid}/cmdline"), _read(f"/proc/{pid}/environ")
        if (pid, *told) in self.seen or not told[0]:
            return
        self.seen.add((pid, *told))
        program = os.path.basename(told[0].partition(b"\0")[0].decode())
        self.programs[program] += 1
        with open(self.directory / "processes", "ab") as file:
            file.write(b"%d\n%s\n%s\n" % (pid, *told))

    def alive(self, program):
        """The process id of one of ours that runs this program now, or None."""
        for pid in self._descendants():
            if os.path.basename(_read(f"/proc/{pid}/cmdline").partition(b"\0")[0].decode()) == program:
                return pid
        return None

    def saw(self, text):
        """Whether this stood in one of them."""
        return any(text.encode() in part for _, *told in list(self.seen) for part in told)

    def stop(self):
        self.looker.stop(wait=True)


class RedisMonitor(threading.Thread):
    """Every command of every client, as the server tells it to a user who may ask. It leaves out AUTH itself."""

    def __init__(self, env, user, password, path):
        super().__init__(daemon=True)
        self.connection, self.path = pools.Redis(env, user, password), path
        self.connection.socket.settimeout(None)
        self.connection.call("MONITOR")
        self.start()

    def run(self):
        with open(self.path, "ab", buffering=0) as file:
            try:
                while line := self.connection.file.readline():
                    file.write(line)
            except (OSError, ValueError):
                pass


class AnswerRecorder:
    """Each answer of the provider API in a file of its own, headers too; set as harness.http.Api.heard."""

    def __init__(self, directory):
        self.directory, self.count = pathlib.Path(directory), 0
        self.directory.mkdir()

    def __call__(self, method, path, answer):
        self.count += 1
        name = f"{self.count:04} {method} {path.partition('?')[0].replace('/', ' ')[:100]}"
        text = json.dumps([answer.status, answer.headers, answer.body], ensure_ascii=False)
        (self.directory / name).write_text(text, encoding="utf-8")
