"""The private servers of one test session, by the same command that developers use (server/dev/stack)."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess

from . import REPO

COMMAND = REPO / "server/dev/stack"


# For what is not about the stack of a registry: forty objects and a Job each time would tell nothing more.
PORTAL_ONLY = {"FLOTILLA_LEAVE_OUT": "namespace core jobservice registry trivy exporter", "FLOTILLA_UNSAFE": "1"}


def lacking(version):
    """For operators on a real node: parts of a stack of which no image can be made, with the binaries that there are."""
    done = subprocess.run([REPO / "server/dev/node/image", "--lacking", version], capture_output=True, text=True, check=True)
    return {"FLOTILLA_LEAVE_OUT": done.stdout.strip(), "FLOTILLA_UNSAFE": "1"}


class Stack:
    """Servers under one directory. `env` holds what `stack env` says. `node`: with a real node, in namespaces."""

    def __init__(self, directory, without=(), node=False):
        self.directory = str(directory)
        self.without = tuple(without)
        self.node = node
        self.env = {}

    def _run(self, command, *args):
        done = subprocess.run([COMMAND, command, self.directory, *args], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"stack {command} {' '.join(args)}: {done.stderr or done.stdout}"
        return done.stdout

    def up(self):
        options = [word for name in self.without for word in ("--without", name)]
        self._run("up", "--fast", *(["--node"] if self.node else []), *options)
        for line in self._run("env").splitlines():
            key, _, value = line.partition("=")
            self.env[key] = shlex.split(value)[0] if value else ""
        return self

    def down(self):
        self._run("down", "--purge")

    def start(self, name):
        self._run("start", name)

    def stop(self, name):
        self._run("stop", name)

    def restart(self, name):
        self._run("restart", name)

    def kill(self, name):
        """As a crash would: SIGKILL."""
        self._run("kill", name)

    def back_up_etcd(self, to):
        """The cluster's storage of one moment, in the folder `to`, as a snapshot of its volume has it."""
        self.signal("etcd", "STOP")
        try:
            shutil.copytree(f"{self.directory}/etcd", to)
        finally:
            self.signal("etcd", "CONT")

    def restore_etcd(self, backup):
        """The cluster is again what it was then; its components start anew, as what they knew is yet to come."""
        components = [name for name in ("kube-controller-manager", "kube-scheduler", "kwok") if name not in self.without]
        for name in (*reversed(components), "kube-apiserver", "etcd"):
            self.stop(name)
        shutil.rmtree(f"{self.directory}/etcd")
        shutil.copytree(backup, f"{self.directory}/etcd")
        for name in ("etcd", "kube-apiserver", *components):
            self.start(name)

    def load(self, *tars):
        """Images for the node."""
        self._run("import", *tars)

    @property
    def within(self):
        """What becomes a command inside of the node's network."""
        return [COMMAND, "run", self.directory]

    def signal(self, name, signal):
        """STOP makes a server hang, CONT ends that."""
        self._run("signal", name, signal)

    def log(self, name):
        with open(f"{self.directory}/log/{name}.log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def kubectl(self, *args, stdin=None, kubeconfig="admin", check=True):
        """Runs kubectl; returns its output. With check=False: the finished process."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": self.directory,
            "KUBECONFIG": self.env[f"KUBECONFIG_{kubeconfig.upper()}"],
            "KUBECACHEDIR": self.env["KUBECACHEDIR"],
        }
        command = [self.env["KUBECTL"], *map(str, args)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=env, check=False)
        if not check:
            return done
        assert done.returncode == 0, f"kubectl {' '.join(map(str, args))}: {done.stderr}"
        return done.stdout

    def get(self, *args):
        """kubectl get … -o json, parsed."""
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def cell_env(self, directory, cell="dev"):
        """How flotillad is told about this cluster: as the operators' own, and as a cell of the fleet."""
        cells = pathlib.Path(directory) / "cells"
        cells.mkdir(exist_ok=True)
        link = cells / f"{cell}.kubeconfig"
        if not link.is_symlink():
            link.symlink_to(self.env["KUBECONFIG_FLEET"])
        return {"FLOTILLA_KUBECONFIG": self.env["KUBECONFIG_OPERATE"], "FLOTILLA_CELLS_DIR": str(cells), **PORTAL_ONLY}

    def audit_events(self):
        """The API server's audit log: one dict per finished request."""
        with open(self.env["KUBE_AUDIT_LOG"], encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):  # the last line may be half written
                    yield json.loads(line)
