"""Registries whose pods really run: on a stack with a node, by an operator in the node's network, on images made here."""

import base64
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import subprocess

from . import REPO, pools
from .cell import condition_of
from .cluster import Cluster, resource_of
from .node_place import Place
from .process import Flotillad
from .rendered import rendered
from .stack import lacking
from .wait import eventually

IMAGE, IMAGES = REPO / "server/dev/node/image", REPO / "server/dev/node/images"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
POOLS = {"postgresql": "own-postgresql", "redis": "own-redis", "s3": "own-s3"}
OLD, NEW = "2.14.4", "2.15.2"  # of Harbor: a hop leads from one to the other


def make_image(stack, directory, kind, tag, *programs):
    tar = pathlib.Path(directory) / f"{kind}-{tag.replace('/', '_')}.tar"
    subprocess.run([IMAGE, kind, tag, tar, *programs], check=True)
    stack.load(str(tar))
    tar.unlink()
    return tag


def left_out(*versions):
    """For an operator: parts that cannot run in one of the versions at least."""
    settings = [lacking(version) for version in versions]
    words = {word for each in settings for word in each["FLOTILLA_LEAVE_OUT"].split()}
    return {**settings[0], "FLOTILLA_LEAVE_OUT": " ".join(sorted(words))}


class Network:
    """The node's, for threads of a process out here: each goes in to open a connection, and comes back."""

    def __init__(self, stack):
        pid = pathlib.Path(stack.directory, "run/node.pid").read_text(encoding="ascii").split()[0]
        self.inside, self.outside = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def connector(self, host, port):
        """connect(timeout), as harness.registry_client wants it. host: an address, for the cluster's names are known inside only."""
        network = self

        class Connection(http.client.HTTPConnection):
            def connect(self):
                network.enter(network.inside)
                try:
                    super().connect()
                finally:
                    network.enter(network.outside)

        return lambda timeout: Connection(host, port, timeout=timeout)

    @staticmethod
    def enter(namespace):
        """Of the calling thread alone."""
        if _libc.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class OnNode:
    """Pools, images, and one operator. Redis is of each registry's own: Debian's registry knows no user of a shared one."""

    def __init__(self, stack, directory, settings=None):
        self.stack, self.directory = stack, str(directory)
        self.settings = left_out(OLD, NEW) | (settings or {})
        self.left_out = self.settings["FLOTILLA_LEAVE_OUT"].split()
        self.cluster = Cluster(stack)
        # The servers' ports are on the loopback out here.
        self.env = {**stack.env, "POOL_S3_HOST": "127.0.0.1"}
        self.network = Network(stack)
        self.operator = None

    def apply(self, item):
        self.cluster.apply(resource_of(item["kind"]), item)

    def make_pools(self):
        Place(self.stack, "flotilla-system")
        for item in (*pools.items(self.stack.env, "PostgreSQL", POOLS["postgresql"], slots=10),
                     *pools.items(self.stack.env, "S3", POOLS["s3"], slots=10)):  # fmt: skip
            self.apply(item)
        self.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "BackendPool", "metadata": {"name": POOLS["redis"]},
                    "spec": {"type": "Redis", "mode": "dedicated", "slots": 10}})  # fmt: skip

    def make_images(self, version):
        """Before a pod asks: what a pull has failed for is asked for again only after a while."""
        wanted = set()
        for item in rendered(self.directory, version, "S", "dedicated")["items"]:
            pod = item["spec"].get("template", {}).get("spec", {}) if "spec" in item else {}
            part = item["metadata"]["labels"].get("app.kubernetes.io/component")
            wanted |= {container["image"] for container in pod.get("containers", []) if not {part, container["name"]} & set(self.left_out)
                       and not (part == "migration" and "core" in self.left_out)}  # fmt: skip
        subprocess.run([IMAGES, self.stack.directory, *sorted(wanted)], check=True)

    @contextlib.contextmanager
    def operating(self):
        env = {**self.stack.cell_env(self.directory), **self.settings}
        self.operator = Flotillad(["operate"], env, self.directory, within=self.stack.within)
        try:
            self.operator.wait_log(lambda line: line.get("msg", "").startswith("ready"), 60)
            yield self
        finally:
            status = self.operator.stop()
        assert status == 0 and not self.operator.sanitizer_reports(), self.operator.sanitizer_reports() or self.operator.logs[-3:]

    def registry(self, namespace, name, version=OLD, **spec):
        made = NodeRegistry(self, namespace, name)
        made.place = Place(self.stack, namespace)
        made.make_volume()
        self.apply({"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": {"host": f"{name}.example.com", "version": version, "size": "S",
                             "backends": {kind: {"pool": pool} for kind, pool in POOLS.items()}, **spec}})  # fmt: skip
        return made


class NodeRegistry:
    def __init__(self, node, namespace, name):
        self.node, self.namespace, self.name = node, namespace, name
        self.place = None
        self.address = f"{name}-registry.{namespace}.svc.cluster.local:5000"

    def make_volume(self):
        """For its Redis: nothing provides volumes here."""
        path = os.path.join(self.node.stack.directory, f"volume-{self.namespace}")
        os.mkdir(path)
        os.chmod(path, 0o777)  # a path of the host: no group is set on it
        self.node.stack.kubectl("apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.namespace},
            "spec": {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": path}}}))  # fmt: skip

    def get(self):
        return self.node.cluster.get("registries", self.name, self.namespace)

    def child(self, resource, suffix):
        return self.node.cluster.get(resource, f"{self.name}-{suffix}", self.namespace)

    def connector(self, component, port):
        """To its Service."""
        return self.node.network.connector(self.child("services", component)["spec"]["clusterIP"], port)

    def condition(self, kind="Ready"):
        """(status, reason) of a condition about the generation that is live."""
        return condition_of(self.get(), kind)

    def ready(self, seconds=240):
        eventually(lambda: self.condition()[0] == "True", seconds, 0.3, f"{self.name} is Ready")
        return self

    @property
    def id(self):
        return self.get()["spec"]["identity"]

    @property
    def bucket(self):
        return f"t-{self.id}"

    def kept(self):
        return pools.decoded(self.node.cluster.get("secrets", f"registry-{self.id}", "flotilla-system"))

    def told(self):
        """The credentials of its backends, as its namespace has them."""
        return pools.decoded(self.child("secrets", "backends"))

    def login(self):
        """Of whoever uses the registry itself: core's, which is what its client is in a whole stack."""
        kept = self.kept()
        return kept["registryHtpasswd"].partition(":")[0], kept["registryPassword"]

    def store(self):
        told = self.told()
        return pools.Store(self.node.env, told["s3AccessKey"], told["s3SecretKey"])

    def pods(self, component):
        return self.node.cluster.list("pods", self.namespace, f"app.kubernetes.io/component={component},flotilla.dev/registry={self.name}")

    def redis(self, *words):
        """What its Redis says to its own password, which the pod has in its environment."""
        done = self.place.run(f"{self.name}-redis-0", "/usr/bin/redis-cli", *words, container="redis")
        return done.split("\n")[:-1]

    def delete(self):
        self.node.stack.kubectl("delete", "registry", self.name, "-n", self.namespace, "--timeout=90s")
        self.node.stack.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self.node.stack.kubectl("delete", "persistentvolume", self.namespace, "--wait=false")


class Running:
    """The first process of a container, looked at from the machine: no image has to bring a program for that."""

    def __init__(self, pod, container):
        status = next(s for s in pod["status"]["containerStatuses"] if s["name"] == container)
        self.id = status["containerID"].removeprefix("containerd://")
        self.root = next(each for each in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name)) if self._holds(each))

    def _holds(self, process):
        with contextlib.suppress(OSError):
            return self.id in (process / "cgroup").read_text(encoding="ascii")
        return False

    def file(self, path):
        return (self.root / "root" / path.lstrip("/")).read_bytes()

    def environment(self):
        rows = (self.root / "environ").read_bytes().split(b"\0")
        return dict(row.decode().split("=", 1) for row in rows if row)


def skopeo(stack, login, directory, *args):
    """The finished process, in the node's network. login: (address, user, password)"""
    address, user, password = login
    auth = pathlib.Path(directory) / "auth.json"
    text = json.dumps({"auths": {address: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}})
    auth.write_text(text, encoding="ascii")
    auth.chmod(0o600)
    return subprocess.run([*stack.within, "skopeo", "--insecure-policy", *map(str, args), "--authfile", str(auth)],
                          capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(directory)})  # fmt: skip
