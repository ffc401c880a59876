"""flotillad as a child process that dies with the test, its JSON log lines parsed, its sanitizers listened to."""

import ctypes
import glob
import json
import os
import signal
import subprocess
import threading

from . import REPO
from .wait import eventually

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def binary():
    path = os.environ.get("FLOTILLAD", str(REPO / "build/dev/flotillad"))
    assert os.access(path, os.X_OK), f"{path} is missing: cmake --preset dev && cmake --build --preset dev"
    return path


def base_env(directory):
    """No FLOTILLA_* or PG* of the caller reaches a test. A sanitizer's report aborts and lands in a file."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FLOTILLA", "PG", "KUBE"))}
    kept.update(
        ASAN_OPTIONS=f"abort_on_error=1:detect_leaks=1:strict_string_checks=1:log_path={directory}/sanitizer",
        UBSAN_OPTIONS=f"halt_on_error=1:print_stacktrace=1:log_path={directory}/sanitizer",
        TSAN_OPTIONS=f"halt_on_error=1:log_path={directory}/sanitizer",
        PGPASSFILE="/dev/null",
    )
    return kept


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One running process. `logs` grows while it runs; lines that are no JSON are kept as {"text": line}."""

    def __init__(self, command, env, directory):
        self.args = list(map(str, command))
        self.directory = str(directory)
        self.logs = []
        self.expect_kill = False
        self.process = subprocess.Popen(
            self.args,
            env={**base_env(directory), **{key: str(value) for key, value in env.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=_die_with_parent,
        )
        self.stdout = []
        self._readers = [
            threading.Thread(target=self._read_logs, daemon=True),
            threading.Thread(target=self._read_stdout, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_logs(self):
        with open(f"{self.directory}/flotillad.log", "a", encoding="utf-8") as copy:
            for line in self.process.stderr:
                copy.write(line)
                copy.flush()
                try:
                    self.logs.append(json.loads(line))
                except ValueError:
                    self.logs.append({"text": line.rstrip("\n")})

    def _read_stdout(self):
        for line in self.process.stdout:
            self.stdout.append(line.rstrip("\n"))

    def wait_log(self, match, timeout=10.0):
        """The first log line for which match(line) is true. A process that ends meanwhile is a failure."""

        def found():
            for line in list(self.logs):
                if match(line):
                    return line
            return None

        def found_or_ended():
            ended = self.process.poll() is not None  # asked first: then the last lines have been read below
            if ended:
                self._join()
            return found() or ("ended" if ended else None)

        line = eventually(found_or_ended, timeout, what=f"log line of {self.args[0]}")
        assert line != "ended", f"{self.args[0]} ended with {self.process.returncode}: {self.logs[-3:]}"
        return line

    def _join(self):
        for reader in self._readers:
            reader.join(timeout=5)

    def wait(self, timeout=90.0):
        """Waits for its own end; returns the exit status."""
        status = self.process.wait(timeout)
        self._join()
        return status

    def kill(self):
        """As a crash would."""
        self.expect_kill = True
        self.process.kill()
        return self.wait()

    def stop(self, timeout=30.0):
        """Asks it to end and returns the exit status; one that does not is killed, and that is a failure."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise AssertionError(f"{self.args[0]} did not end within {timeout} s of SIGTERM") from None

    def sanitizer_reports(self):
        reports = []
        for path in glob.glob(f"{glob.escape(self.directory)}/sanitizer.*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                reports.append(file.read())
        return reports


class Flotillad(Child):
    """`within`: a command that becomes the program, e.g. inside of other namespaces."""

    def __init__(self, args, env, directory, within=()):
        super().__init__([*within, binary(), *args], env, directory)
        self.args = list(map(str, args))
