"""A cell with one operator, seen by its API server and by its pools: no server, no fleet."""

import contextlib
import itertools

import psycopg2

from . import pools, world
from .cluster import Cluster, resource_of
from .crash_leftovers import sweep
from .process import Flotillad
from .wait import eventually

POOL = "registry-tests"
# The Redis has one name in all suites: slots of two pools of one server would mean the same indexes.
POOLS = {"PostgreSQL": POOL, "Redis": world.POOLS["Redis"], "S3": "registry-tests-s3"}
PINNED = {kind.lower(): {"pool": name} for kind, name in POOLS.items()}
VERIFY_MS = 1000
# Short, but not so that a busy machine ends its operator.
SHORT_LEASES = {"FLOTILLA_LEASE_DURATION_MS": 6000, "FLOTILLA_LEASE_RENEW_MS": 1000, "FLOTILLA_LEASE_DEADLINE_MS": 4500}
_numbers = itertools.count(1)  # of namespaces: one that is going cannot be used again


class Cell:
    """What these tests say to the cluster and to the pool."""

    def __init__(self, stack):
        self.stack, self.cluster = stack, Cluster(stack)

    def sql(self, statement, *args, conninfo=None, database=None):
        connection = psycopg2.connect(conninfo or self.stack.env["POOL_PG_SUPER"], **({"dbname": database} if database else {}))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, args or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def apply(self, item):
        self.cluster.apply(resource_of(item["kind"]), item)

    def namespace(self, prefix="reg"):
        name = f"{prefix}-{next(_numbers)}"
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def registry(self, namespace, name="acme", labels=None, **spec):
        self.apply({
            "apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
            "spec": {"host": "acme.example.com", "backends": PINNED, **spec},
        })
        return Registry(self, namespace, name)

    def get(self, kind, name, namespace=None):
        return self.cluster.get(resource_of(kind), name, namespace)

    def patch(self, kind, name, patch, namespace=None):
        self.cluster.merge(resource_of(kind), name, patch, namespace)

    def identity(self, name):
        return self.get("registryidentity", name)

    def externals(self, identity):
        return (self.sql("SELECT datname FROM pg_database WHERE datname = %s", f"t_{identity}")
                + self.sql("SELECT rolname FROM pg_roles WHERE rolname = %s", f"t_{identity}"))

    def redis_users(self):
        return pools.redis_users(self.stack.env)

    def redis(self, identity):
        """A connection as the registry has it."""
        return pools.Redis(self.stack.env, f"t_{identity}", self.kept(identity)["redisPassword"])

    def index(self, identity):
        """Of its Redis: slot + 1 of the claim."""
        found = [claim for claim in self.claims(identity) if claim.startswith(f"{POOLS['Redis']}.")]
        return int(found[0].rpartition(".")[2]) + 1

    def store(self, identity=None):
        """The object store as its administrator, or as a registry."""
        kept = self.kept(identity) if identity else {}
        return pools.Store(self.stack.env, kept.get("s3AccessKey"), kept.get("s3SecretKey"))

    def claims(self, identity):
        found = self.cluster.list("backendclaims", None, f"flotilla.dev/identity={identity}")
        return [claim["metadata"]["name"] for claim in found]

    def secret(self, identity):
        return self.get("secret", f"registry-{identity}", "flotilla-system")

    def kept(self, identity):
        return pools.decoded(self.secret(identity))

    def conninfo(self, identity):
        kept, env = self.kept(identity), self.stack.env
        return (f"host={env['POOL_PG_HOST']} port={env['POOL_PG_PORT']} dbname=t_{identity} user={kept['username']} "
                f"password={kept['password']}")

    def wait_purged(self, identity):
        eventually(lambda: not self.identity(identity), 30, what="identity purged")
        assert self.externals(identity) == [] and self.claims(identity) == [] and not self.secret(identity)
        store = self.store()
        assert f"t_{identity}" not in self.redis_users() and f"t-{identity}" not in store.buckets()
        assert not [access for access in store.accounts() if identity in access]


def condition_of(item, kind):
    """(status, reason), if it is about the generation that is live; None otherwise, and while there is none."""
    if item.get("status", {}).get("observedGeneration") != item["metadata"]["generation"]:
        return None
    found = [c for c in item["status"]["conditions"] if c["type"] == kind]
    return (found[0]["status"], found[0]["reason"]) if found else None


class Registry:
    def __init__(self, cell, namespace, name):
        self.cell, self.namespace, self.name = cell, namespace, name

    def get(self):
        return self.cell.get("registry", self.name, self.namespace)

    def condition(self, kind="Ready"):
        """(status, reason) of a condition about the generation that is live."""
        return condition_of(self.get(), kind)

    def wait(self, status, reason, kind="Ready"):
        eventually(lambda: self.condition(kind) == (status, reason), 30, what=f"{kind}={status}/{reason}")
        return self

    def ready(self):
        """Whole, or but for what its operator leaves out."""
        eventually(lambda: (self.condition() or (None,))[0] == "True", 90, what="Ready=True")
        return self

    @property
    def id(self):
        return self.get()["spec"]["identity"]

    def spec(self, **spec):
        self.cell.patch("registry", self.name, {"spec": spec}, self.namespace)

    def delete(self, wait=True):
        self.cell.cluster.delete("registries", self.name, self.namespace)
        if wait:
            eventually(lambda: not self.get(), 40, what=f"{self.name} gone")

    def external(self, kind="PostgreSQL"):
        return [row for row in self.get()["status"]["externals"] if row["type"] == kind][0]

    def child(self, kind, suffix):
        return self.cell.get(kind, f"{self.name}-{suffix}", self.namespace)

    def events(self):
        items = self.cell.cluster.list("events", self.namespace)
        return {event["reason"] for event in items if event["regarding"]["kind"] == "Registry"}

    def told(self, *reasons):
        """Events of all these: one is sent with the pass that it tells of, or, if that failed, with a later one."""
        eventually(lambda: set(reasons) <= self.events(), what=f"events {reasons}")
        return True

    def write_row(self):
        conninfo = self.cell.conninfo(self.id)
        self.cell.sql("CREATE TABLE kept (word text)", conninfo=conninfo)
        self.cell.sql("INSERT INTO kept VALUES ('still here')", conninfo=conninfo)
        return conninfo

    def pods(self):
        return self.cell.cluster.list("pods", self.namespace)


def read_row(cell, conninfo):
    return cell.sql("SELECT word FROM kept", conninfo=conninfo) == [("still here",)]


def pool_of(cell, kind, name, slots=50, **spec):
    for item in pools.items(cell.stack.env, kind, name, slots, **spec):
        cell.apply(item)


def emptied(stack, directory):
    """A cell with a pool of each type, of which no earlier test has left anything; nobody operates it."""
    sweep(world.World(stack, directory), Cluster(stack))
    made = Cell(stack)
    for kind, name in POOLS.items():
        pool_of(made, kind, name)
    return made


def operators(flotillad, env):
    """start(points): one operator, with these points of failure armed."""
    def start(points=None):
        return flotillad(["operate"], {**env, **({"FLOTILLA_FAILPOINTS": points} if points else {})})

    return start


def bury(cell):
    """As a peer does that finds them dead: the member Leases of those that were killed go, and nobody waits until they end."""
    cluster = getattr(cell, "cluster", cell)
    for lease in cluster.list("leases", "flotilla-system"):
        if lease["metadata"]["name"].startswith("flotilla-member-"):
            cluster.delete("leases", lease["metadata"]["name"], "flotilla-system")


@contextlib.contextmanager
def running(stack, env, directory):
    """One operator, with a pool of each type, whose end is part of what is tested. What earlier tests left goes first:
    forty registries of theirs, verified each second, would take a processor, and be asked for at one's own Harbor."""
    made = emptied(stack, directory)

    def start():
        process = Flotillad(["operate"], env, directory)
        process.wait_log(lambda line: line.get("msg", "").startswith("ready"), 30)
        return process

    def stop(process):
        status = process.stop()
        assert status == 0 and not process.sanitizer_reports(), process.sanitizer_reports() or process.logs[-3:]

    def restart():
        stop(made.operator)
        made.operator = start()

    made.operator, made.restart_operator = start(), restart
    yield made
    stop(made.operator)
