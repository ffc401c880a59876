"""Embedded clusters (server/dev/devcluster) as a child process, and two ways of speaking to one: kubectl, HTTP."""

import base64
import functools
import http.client
import json
import os
import ssl
import subprocess
import urllib.parse

import yaml

from . import REPO
from .process import Child
from .stack import Stack
from .wait import eventually


def binary():
    beside = os.path.dirname(os.environ.get("FLOTILLAD", str(REPO / "build/dev/flotillad")))
    path = f"{beside}/flotilla-dev"
    assert os.access(path, os.X_OK), f"{path} is missing: cmake --build --preset dev"
    return path


@functools.cache
def kubectl_path():
    done = subprocess.run(["bash", "-c", f"repo_dir={REPO}; . {REPO}/server/dev/lib/common.sh; tools_bin"],
                          capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()}/kubectl"


class Devclusters(Child):
    """One process with `count` clusters, each a Devcluster in `clusters`."""

    def __init__(self, directory, count=1, pod_delay_ms=50, history=None):
        kept = [] if history is None else ["--history", history]
        super().__init__([binary(), directory, "--clusters", count, "--pod-delay-ms", pod_delay_ms, *kept], {}, directory)
        self.wait_log(lambda line: "serve" in line.get("msg", ""), 10)
        self.clusters = [Devcluster(f"{directory}/cluster-{number}.kubeconfig") for number in range(1, count + 1)]


class DevStack(Stack):
    """The private servers with an embedded cluster in the place of the control plane."""

    def __init__(self, directory, without=()):
        super().__init__(directory, (*without, "kube"))
        self.running = None

    def up(self):
        super().up()
        home = f"{self.directory}/devcluster"
        os.mkdir(home)
        self.running = Devclusters(home)
        dev = self.running.clusters[0]
        self.env.update({name: dev.kubeconfig for name in ("KUBECONFIG", "KUBECONFIG_ADMIN", "KUBECONFIG_OPERATE",
                                                           "KUBECONFIG_FLEET")})
        self.env.update(KUBE_API_URL=f"https://{dev.host}:{dev.port}", KUBECTL=kubectl_path(), KUBECACHEDIR=f"{home}/cache")
        home_of_operators = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flotilla-system"}}
        dev.apply("/api/v1/namespaces/flotilla-system", home_of_operators)
        dev.kubectl("apply", "--server-side", "-f", REPO / "crds")
        return self

    def down(self):
        status = self.running.stop() if self.running else 0
        super().down()
        assert status == 0 and not self.running.sanitizer_reports(), self.running.sanitizer_reports()


class Connection(http.client.HTTPSConnection):
    """Says who it is with every request; a header of the caller's comes before."""

    def __init__(self, *args, token, **kwargs):
        super().__init__(*args, **kwargs)
        self.token = token

    def request(self, method, url, body=None, headers=(), **kwargs):
        super().request(method, url, body, {"Authorization": f"Bearer {self.token}", **dict(headers)}, **kwargs)


class Devcluster:
    def __init__(self, kubeconfig):
        self.kubeconfig = kubeconfig
        with open(kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        cluster = config["clusters"][0]["cluster"]
        address = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port, self.token = address.hostname, address.port, config["users"][0]["user"]["token"]
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self.env = {"KUBECONFIG": kubeconfig, "KUBECONFIG_OPERATE": kubeconfig}

    def kubectl(self, *args, stdin=None, check=True):
        """Its output; with check=False the finished process."""
        directory = os.path.dirname(self.kubeconfig)
        env = {"PATH": os.environ["PATH"], "HOME": directory, "KUBECONFIG": self.kubeconfig,
               "KUBECACHEDIR": f"{self.kubeconfig}.cache"}
        done = subprocess.run([kubectl_path(), *map(str, args)], input=stdin, capture_output=True, text=True, env=env,
                              check=False, timeout=30)
        if not check:
            return done
        assert done.returncode == 0, f"kubectl {' '.join(map(str, args))}: {done.stderr}"
        return done.stdout

    def connect(self, timeout=20):
        return Connection(self.host, self.port, timeout=timeout, context=self.tls, token=self.token)

    def request(self, method, path, body=None, kind="application/json", headers=(), **query):
        """(status, parsed body)."""
        connection = self.connect()
        if query:
            path += "?" + urllib.parse.urlencode(query)
        data = body if isinstance(body, (str, type(None))) else json.dumps(body)
        connection.request(method, path, data, {**({"Content-Type": kind} if data else {}), **dict(headers)})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text.startswith(b"{") else text.decode()

    def ok(self, *args, **kwargs):
        status, answer = self.request(*args, **kwargs)
        assert status < 300, (args, status, answer)
        return answer

    def apply(self, path, item, manager="test", **query):
        return self.request("PATCH", path, item, "application/apply-patch+yaml", fieldManager=manager, **query)

    def watch(self, path, timeout_s=5, **query):
        """Yields the events of a watch until the server ends it."""
        connection = self.connect()
        query = urllib.parse.urlencode({"watch": 1, "timeoutSeconds": timeout_s, **query})
        connection.request("GET", f"{path}?{query}")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        try:
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()

    def gone(self, path, timeout=5):
        eventually(lambda: self.request("GET", path)[0] == 404, timeout, what=f"{path} gone")
