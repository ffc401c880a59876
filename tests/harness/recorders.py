"""What is there for a moment only, written into files while it passes: changes of Kubernetes objects, command lines and
environments of processes, what a Redis is asked, what HTTP answers."""

import collections
import http.client
import json
import os
import pathlib
import threading
import time

from . import pools

LOOK_S = 0.01  # between two looks at the processes


class ObjectRecorder:
    """Every version of every object of each kind that can be watched, as the server tells it, managedFields too."""

    def __init__(self, cluster, directory, without=("secrets",)):
        self.cluster, self.directory, self.stopping = cluster, pathlib.Path(directory), False
        self.directory.mkdir()
        self.paths = {name: path for name, path in self._watchable() if name not in without}
        for name, path in self.paths.items():
            threading.Thread(target=self._record, args=(name, path), daemon=True).start()

    def _watchable(self):
        groups = [group["preferredVersion"]["groupVersion"] for group in self.cluster.ok("GET", "/apis")["groups"]]
        for base in ("/api/v1", *(f"/apis/{group}" for group in groups)):
            for resource in self.cluster.ok("GET", base)["resources"]:
                if "watch" in resource["verbs"]:
                    yield resource["name"], f"{base}/{resource['name']}"

    def _record(self, name, path):
        with open(self.directory / f"{name}.{path.count('/')}", "ab", buffering=0) as file:
            while not self.stopping:
                try:
                    self._follow(path, file)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.2)

    def _follow(self, path, file):
        """Without a version: first all that is there, then each change."""
        connection = self.cluster.connect(timeout=900)
        try:
            connection.request("GET", f"{path}?watch=1&timeoutSeconds=800")
            response = connection.getresponse()
            while line := response.readline():
                file.write(line)
        finally:
            connection.close()

    def stop(self):
        self.stopping = True


class SecretRecorder(ObjectRecorder):
    """The one kind that the other leaves out; `tell` gets each version."""

    def __init__(self, cluster, tell):
        self.cluster, self.tell, self.stopping = cluster, tell, False
        self.line = b""
        threading.Thread(target=self._record, args=("secrets", "/api/v1/secrets"), daemon=True).start()

    def _record(self, name, path):
        while not self.stopping:
            try:
                self._follow(path, self)
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)

    def write(self, line):
        self.tell(json.loads(line)["object"])


def _read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:  # it has ended
        return b""


class ProcessRecorder(threading.Thread):
    """Command line and environment of every descendant of this process, looked at again and again."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.stopping, self.seen, self.looks = False, set(), 0
        self.programs = collections.Counter()
        self.parents = {}
        self.start()

    def run(self):
        with open(self.directory / "processes", "ab", buffering=0) as file:
            while not self.stopping:
                for pid in self._descendants():
                    self._look(pid, file)
                self.looks += 1
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

    def _look(self, pid, file):
        told = _read(f"/proc/{pid}/cmdline"), _read(f"/proc/{pid}/environ")
        if (pid, *told) in self.seen or not told[0]:
            return
        self.seen.add((pid, *told))
        program = os.path.basename(told[0].partition(b"\0")[0].decode())
        self.programs[program] += 1
        file.write(b"%d\n%s\n%s\n" % (pid, *told))

    def alive(self, program):
        """The process id of one of ours that runs this program now, or None."""
        for pid in self._descendants():
            if os.path.basename(_read(f"/proc/{pid}/cmdline").partition(b"\0")[0].decode()) == program:
                return pid
        return None

    def stop(self):
        self.stopping = True
        self.join()


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
