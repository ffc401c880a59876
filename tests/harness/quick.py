"""The quick start as people call it: `server/dev/up` and `down` on a FLOTILLA_HOME, watched step by step, interrupted."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading

from . import REPO
from .devcluster import Devcluster
from .wait import eventually

STEP = re.compile(r"^\[ *\d+/\d+\] (.{46}) (?: *([\d.]+) s$)?", re.MULTILINE)


def clean_env():
    return {key: value for key, value in os.environ.items() if not key.startswith(("PG", "KUBE", "FLOTILLA_"))}


class Quick:
    """The commands of the clone `tree` on one home; `env` beside what the caller has."""

    def __init__(self, home, tree=REPO, env=()):
        self.home, self.tree = pathlib.Path(home), pathlib.Path(tree)
        self.env = {**clean_env(), "FLOTILLA_HOME": str(home), **dict(env)}

    def run(self, command, *args):
        return subprocess.run([self.tree / "server/dev" / command, *args], env=self.env, capture_output=True, text=True, check=False)

    def start_up(self, *args):
        return Running([self.tree / "server/dev/up", *args], self.env)

    def up(self, *args):
        """Everything that it says."""
        done = self.run("up", *args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cluster(self):
        return Devcluster(f"{self.home}/dev/stack/devcluster/cluster-1.kubeconfig")

    def ready_registries(self):
        """Names, by the embedded cluster."""
        items = self.cluster().ok("GET", "/apis/registry.flotilla.dev/v1alpha1/registries")["items"]
        return sorted(item["metadata"]["name"] for item in items if any(
            (row["type"], row["status"]) == ("Ready", "True") for row in item.get("status", {}).get("conditions", [])))

    def api(self, path):
        """What flotillad answers to the provider's key."""
        port = (self.home / "dev/ports/flotillad").read_text().strip()
        headers = f"@{self.home}/dev/product/headers"
        done = subprocess.run(["curl", "-fsS", "--max-time", "10", "-H", headers, f"http://127.0.0.1:{port}{path}"],
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def ports(self):
        """Port → server."""
        return {int(path.read_text()): path.name for path in self.home.glob("dev/**/ports/*") if path.suffix != ".new"}

    def processes(self):
        """Command lines of those that name the home, run in it or were told of it: children inherit what `up` was told."""
        found, told = [], f"FLOTILLA_HOME={self.home}\0".encode()
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                named = str(self.home) in command or os.readlink(path / "cwd").startswith(str(self.home))
                if named or told in (path / "environ").read_bytes():
                    found.append(command)
            except OSError:  # it has just ended
                pass
        return sorted(found)


class Running:
    """An `up` that goes on beside the caller, in a process group of its own, as one on a terminal has."""

    def __init__(self, command, env):
        self.said = ""
        self.process = subprocess.Popen(list(map(str, command)), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while part := os.read(self.process.stdout.fileno(), 65536):
            self.said += part.decode(errors="replace")

    def steps(self):
        """Step → seconds, None for the one that it is at."""
        return {name.strip(): float(seconds) if seconds else None for name, seconds in STEP.findall(self.said)}

    def wait_step(self, name, timeout):
        eventually(lambda: name in self.steps() or self.process.poll() is not None, timeout, 0.005, what=f"step {name}")

    def interrupt(self):
        """Ctrl-C."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)

    def end(self, timeout=600):
        """Its exit status."""
        try:
            status = self.process.wait(timeout)
        except BaseException:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise
        self.reader.join(timeout=5)  # servers do not hold its output
        return status
