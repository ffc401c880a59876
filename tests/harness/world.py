"""A whole Flotilla on private servers: the roles as separate processes, a cell, a pool, a tenant.

The proofs and the fault suite stand on it. Leases are short so that take-overs take seconds.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import time
import uuid

import psycopg2

from . import database, pools
from .http import Api
from .process import Flotillad, base_env, binary
from .stack import PORTAL_ONLY
from .wait import eventually

LEASE_MS = (2000, 500, 1200)  # duration, renew, deadline
# For proofs that are not about take-overs: a busy machine ends no process.
LONG_LEASES = {"FLOTILLA_LEASE_DURATION_MS": 15000, "FLOTILLA_LEASE_RENEW_MS": 2000, "FLOTILLA_LEASE_DEADLINE_MS": 10000}
POOL, CELL = "pool-1", "cell-1"
POOLS = {"PostgreSQL": POOL, "Redis": "pool-2", "S3": "pool-3"}


def free_port():
    """Below those of outgoing connections, of which one could take it while nobody listens there, and beside the stacks'."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.SystemRandom().randrange(10000, 20000)))
            return probe.getsockname()[1]


class World:
    """Servers come from `stack` (harness.stack.Stack, up). One fleet database per world."""

    def __init__(self, stack, directory, settings=None):
        self.stack, self.directory = stack, str(directory)
        self.settings = dict(settings or {})
        self.db = None
        self.running = {}  # name → Flotillad
        self.finished = []
        self.port = free_port()
        self.api = self.tenant_api = self.tenant = None
        os.makedirs(f"{self.directory}/cells", exist_ok=True)

    # ---- setting up

    def up(self, roles=("serve", "fleet", "operate")):
        """Without serve and fleet there is not even their database: the operator layer alone."""
        if {"serve", "fleet"} & set(roles):
            self.make_database()
        self.make_cell()
        for role in roles:
            self.start(role)
        if "serve" in roles:
            self.make_customer()
        return self

    def make_cell(self):
        """The cluster as a cell, with a pool of each type."""
        link = f"{self.directory}/cells/{CELL}.kubeconfig"
        if not os.path.islink(link):
            os.symlink(self.stack.env["KUBECONFIG_FLEET"], link)
        for kind, name in POOLS.items():
            self.make_pool(name, kind=kind)

    def make_database(self):
        self.db = database.create(self.stack)
        database.migrate(self.db, binary(), base_env(self.directory))
        key = self.run("bootstrap-key").stdout.strip().splitlines()[-1]
        self.api = Api(self.port, key)

    def make_customer(self):
        """A cell and a tenant; serve must run."""
        self.api.ok("POST", "/v1/cells", {"name": CELL, "kubeconfig": f"{CELL}.kubeconfig"})
        self.tenant, self.tenant_api = self.make_tenant("acme")

    def make_pool(self, name=POOL, slots=500, kind="PostgreSQL"):
        for item in pools.items(self.stack.env, kind, name, slots):
            self.apply(item)

    def make_tenant(self, name):
        """(tenant id, its own Api)"""
        tenant = self.api.ok("POST", "/v1/tenants", {"name": name})["id"]
        key = self.api.ok("POST", f"/v1/tenants/{tenant}/api-keys", {"name": "test"})
        return tenant, Api(self.port, key["key"])

    def apply(self, item):
        return self.stack.kubectl("apply", "--server-side", "--field-manager", "test", "-f", "-", stdin=json.dumps(item))

    # ---- processes

    def env(self, role):
        duration, renew, deadline = LEASE_MS
        env = {
            **(self.db.env() if self.db else {}),
            "FLOTILLA_KUBECONFIG": self.stack.env["KUBECONFIG_OPERATE"],
            "FLOTILLA_CELLS_DIR": f"{self.directory}/cells",
            "FLOTILLA_LEASE_DURATION_MS": duration,
            "FLOTILLA_LEASE_RENEW_MS": renew,
            "FLOTILLA_LEASE_DEADLINE_MS": deadline,
            "FLOTILLA_POLL_INTERVAL_MS": 100,
            "FLOTILLA_LOG": "debug",
            **PORTAL_ONLY,
            **self.settings,
        }
        if role == "serve":
            env["FLOTILLA_LISTEN"] = f"127.0.0.1:{self.port}"
        return env

    def start(self, role, name=None, env=None, wait=True):
        name = name or role
        directory = f"{self.directory}/{name}-{len(self.finished)}-{uuid.uuid4().hex[:6]}"
        os.makedirs(directory)
        process = Flotillad([role], {**self.env(role), **(env or {})}, directory)
        self.running[name] = process
        if wait:
            process.wait_log(lambda line: line.get("msg", "").startswith("ready"), timeout=30)
        return process

    def stop(self, name):
        process = self.running.pop(name)
        self.finished.append(process)
        return process.stop()

    def kill(self, name):
        process = self.running.pop(name)
        self.finished.append(process)
        return process.kill()

    def down(self):
        for name in list(self.running):
            self.stop(name)
        reports = [report for process in self.finished for report in process.sanitizer_reports()]
        if self.db:
            database.drop(self.stack, self.db)
        assert not reports, "\n".join(reports)

    def run(self, *args, env=None, check=True):
        """One of flotillad's short commands."""
        done = subprocess.run(
            [binary(), *args],
            env={**base_env(self.directory), **{k: str(v) for k, v in {**self.env(args[0]), **(env or {})}.items()}},
            capture_output=True, text=True, check=False, timeout=120,
        )
        assert not check or done.returncode == 0, f"flotillad {' '.join(args)}: {done.returncode} {done.stderr}{done.stdout}"
        return done

    # ---- registries over HTTP

    def path(self, registry=None, tenant=None):
        base = f"/v1/tenants/{tenant or self.tenant}/registries"
        return f"{base}/{registry}" if registry else base

    def create(self, name, plan="s", **spec):
        body = {"name": name, "spec": {"plan": plan, "host": f"{name}.example.com", **spec}}
        return self.tenant_api.ok("POST", self.path(), body)["id"]

    def patch(self, registry, **spec):
        return self.tenant_api.ok("PATCH", self.path(registry), {"spec": spec})

    def close(self, registry, grace_seconds=None):
        """DELETE; a grace period of 0 is the provider's right only."""
        query = "" if grace_seconds is None else f"?graceSeconds={grace_seconds}"
        return (self.tenant_api if grace_seconds is None else self.api).ok("DELETE", self.path(registry) + query)

    def undo(self, registry):
        return self.tenant_api.ok("POST", self.path(registry) + ":undo")

    def phase(self, registry):
        return self.tenant_api.get(self.path(registry))["status"]["phase"]

    def wait_phase(self, registry, phase, timeout=30):
        def reached():
            body = self.tenant_api.get(self.path(registry))
            settled = body["status"]["observedGeneration"] == body["generation"] or phase != "ready"
            assert body["status"]["phase"] == phase and settled, body
            return body

        return eventually(reached, timeout, what=f"{registry} {phase}")

    def wait_gone(self, registry, timeout=30):
        def gone():
            return self.tenant_api.request("GET", self.path(registry)).status == 410

        eventually(gone, timeout, what=f"{registry} purged")
        row = self.db.query("SELECT namespace FROM resource WHERE id = %s", registry)[0][0]
        eventually(lambda: not self.exists("namespace", row), timeout, what=f"namespace {row} gone")

    # ---- the cell and the pool

    def objects(self, kind, *args):
        return json.loads(self.stack.kubectl("get", kind, *args, "-o", "json"))["items"]

    def exists(self, kind, name, namespace=None):
        where = ["-n", namespace] if namespace else []
        return self.stack.kubectl("get", kind, name, *where, "-o", "name", check=False).returncode == 0

    def pool_query(self, sql, *args, conninfo=None):
        connection = psycopg2.connect(conninfo or self.stack.env["POOL_PG_SUPER"])
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, args or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def credential(self, identity):
        """The registry's own connection string, from the operator's kept Secret."""
        data = pools.decoded(self.stack.get("secret", f"registry-{identity}", "-n", "flotilla-system"))
        env = self.stack.env
        return (f"host={env['POOL_PG_HOST']} port={env['POOL_PG_PORT']} dbname=t_{identity} user=t_{identity} "
                f"password={data['password']}")

    def externals(self):
        """(databases, roles) with names like ours, each with its comment."""
        databases = self.pool_query(
            "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname LIKE 't\\_%' ORDER BY 1")
        roles = self.pool_query(
            "SELECT rolname, rolcanlogin, shobj_description(oid, 'pg_authid') FROM pg_roles "
            "WHERE rolname LIKE 't\\_%' ORDER BY 1")
        return databases, roles

    def others(self):
        """(Redis users, buckets, accounts) with names like ours."""
        store = pools.Store(self.stack.env)
        return pools.redis_users(self.stack.env), store.buckets(), store.accounts()

    def audit(self):
        """(exit status, findings, standard error)"""
        done = self.run("audit", check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr

    def assert_clean_audit(self, timeout=20):
        def clean():
            status, findings, errors = self.audit()
            assert status == 0, f"audit: {status} {findings} {errors[-500:]}"
            return True

        eventually(clean, timeout, interval=0.5, what="clean audit")

    def stale_writes(self):
        """How often the API server refused a stale write of ours, over all processes that still run."""
        total = 0
        for process in self.running.values():
            for line in process.logs:
                if line.get("reason") == "Conflict":
                    total += 1
        return total


def registry_of(finding):
    """The registry's id that a finding of the fleet's half is about: its detail begins with it."""
    return finding["detail"].split(":")[0]


def now():
    return time.monotonic()
