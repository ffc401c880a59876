"""The one scenario of the crash proof: two registries, one through HTTP and one by kubectl, live side by side from
nothing to nothing. Over its course every external call is made that crash_cases.UNREACHED does not excuse.

A stage is one request or edit and everything that follows from it. It has ended when the world looks like it did at the
end of that stage in the undisturbed run.
"""

import datetime
import difflib
import http.client
import json
import os
import threading
import time
import uuid

import psycopg2

from . import crash_state, pools
from .wait import eventually

STAGES = ("create", "change", "drift", "raise", "lose", "diverge", "resolve", "close", "undo", "purge")
ROTATED = ("database", "redis", "s3", "registry", "internal")
STAGE_SECONDS = float(os.environ.get("CRASH_STAGE_SECONDS", 90))


def _pretty(value):
    return json.dumps(value, indent=1, sort_keys=True).splitlines()


class Life:
    """One registry: its names, what was seen of it, the canary in its database, its Redis and its bucket."""

    def __init__(self, world, cluster, name):
        self.world, self.cluster, self.name = world, cluster, name
        self.namespace = self.identity = None
        self.seen = crash_state.Seen()
        self.canary = None
        crash_state.learn(self.seen, name=name, tenant=world.tenant)

    def know(self, namespace=None, identity=None, **words):
        self.namespace, self.identity = namespace or self.namespace, identity or self.identity
        crash_state.learn(self.seen, namespace=namespace, identity=identity, **words)

    def live(self):
        return self.cluster.get("registries", self.name, self.namespace)

    def has_home(self):
        return crash_state.has_home(self.cluster, self.namespace)

    def kept(self):
        return pools.decoded(self.cluster.get("secrets", f"registry-{self.identity}", "flotilla-system"))

    def login(self):
        env = self.world.stack.env
        kept = self.kept()
        return psycopg2.connect(host=env["POOL_PG_HOST"], port=env["POOL_PG_PORT"], dbname=f"t_{self.identity}",
                                user=kept["username"], password=kept["password"])

    def write_canary(self):
        self.canary = uuid.uuid4().hex
        with self.login() as session, session.cursor() as cursor:
            cursor.execute("CREATE TABLE canary AS SELECT %s AS word", (self.canary,))
        session.close()
        env, kept = self.world.stack.env, self.kept()
        redis = pools.Redis(env, f"t_{self.identity}", kept["redisPassword"])
        redis.call("SELECT", pools.index_of(pools.redis_users(env)[f"t_{self.identity}"]))
        redis.call("SET", "canary", self.canary)
        redis.close()
        pools.Store(env, kept["s3AccessKey"], kept["s3SecretKey"]).call("PUT", f"/t-{self.identity}/canary", self.canary.encode())

    def read_canary(self):
        """Of the database; the administrator of Redis counts keys only (crash_state.redis)."""
        env = self.world.stack.env
        assert pools.Store(env).call("GET", f"/t-{self.identity}/canary") == self.canary
        session = psycopg2.connect(env["POOL_PG_SUPER"], dbname=f"t_{self.identity}")
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT word FROM canary")
                return cursor.fetchone()[0]
        finally:
            session.close()

    def cell(self, source):
        return crash_state.cell(source, self.namespace, self.identity, self.seen)

    def rows(self):
        """What the fleet's database says of it: nothing."""
        return {}

    def snapshot(self, source):
        found = {**self.cell(source), **self.rows()}
        if self.identity:
            found["pool"] = crash_state.pool(self.world.pool_query, self.identity, self.seen)
            found["redis"] = crash_state.redis(self.world.stack.env, self.identity, self.seen)
            found["store"] = crash_state.store(self.world.stack.env, self.identity, self.seen)
            if self.canary:
                found["canary"] = self.read_canary() == self.canary
        return found


class HttpLife(Life):
    """Asked for through HTTP; `before_write` lets the proof aim at the transaction of each request."""

    def __init__(self, world, cluster, name, before_write):
        super().__init__(world, cluster, name)
        self.before_write, self.key = before_write, uuid.uuid4().hex
        self.id = self.session = self.lost = None

    def ask(self, stage, method, path, body=None, api=None):
        """A client that loses its answer asks again with the same key."""
        api = api or self.world.tenant_api
        eventually(lambda: api.get(self.world.path()), 30, what="serve answers")
        self.before_write()
        headers = {"Idempotency-Key": f"{self.key}-{stage}"}

        def answered():
            try:
                answer = api.request(method, path, body, headers)
            except (OSError, http.client.HTTPException):
                return None
            problem = (answer.body or {}).get("code") if isinstance(answer.body, dict) else None
            if answer.status >= 500 or (answer.status == 409 and problem == "RequestInProgress"):
                return None
            assert 200 <= answer.status < 300, f"{method} {path}: {answer}"
            return answer

        return eventually(answered, 40, 0.1, f"{method} {path}").body

    def create(self):
        body = {"name": self.name, "spec": {"plan": "s", "host": f"{self.name}.example.com"}}
        self.id = self.ask("create", "POST", self.world.path(), body)["id"]
        found = self.world.db.query("SELECT id, namespace, identity FROM resource WHERE name = %s", self.name)
        assert [row[0] for row in found] == [self.id], f"one request made {found}"
        self.know(found[0][1], found[0][2], registry=self.id)

    def change(self):
        self.write_canary()
        self.ask("change", "PATCH", self.world.path(self.id), {"spec": {"plan": "m"}})

    def edit(self, spec):
        self.cluster.merge("registries", self.name, {"spec": spec}, self.namespace)

    def drift(self):
        self.edit({"size": "L"})

    def higher(self):
        self.edit({"revision": 50})

    def lose(self):
        self.lost = self.live()["metadata"]["uid"]
        self.cluster.delete("registries", self.name, self.namespace)

    def diverge(self):
        """As after a restore of the database: the row is behind what stands in the cell."""
        self.world.db.query("WITH r AS (UPDATE resource SET generation = generation - 1, published = generation - 1"
                            " WHERE id = %s RETURNING id, tenant_id, generation)"
                            " INSERT INTO outbox (resource_id, tenant_id, generation) SELECT * FROM r", self.id)

    def is_diverged(self):
        return self.world.db.value("SELECT state FROM resource WHERE id = %s", self.id) == "diverged"

    def reached(self, stage):
        """Has what the stage set going come to its end? Asked only where no earlier run can be compared with."""
        if stage == "diverge":
            return self.is_diverged()
        answer = self.world.tenant_api.request("GET", self.world.path(self.id))
        if stage == "purge":
            return answer.status == 410 and not self.has_home()
        current = answer.body["status"]["observedGeneration"] == answer.body["generation"]
        special = {"drift": lambda: self.live()["spec"]["size"] == "M",
                   "raise": lambda: answer.body["generation"] == 51,
                   "lose": lambda: self.live()["metadata"]["uid"] != self.lost}
        phase = "closed" if stage == "close" else "ready"
        return current and answer.body["status"]["phase"] == phase and special.get(stage, lambda: True)()

    def close(self):
        self.session = self.login()
        self.ask("close", "DELETE", self.world.path(self.id))

    def undo(self):
        try:
            with self.session.cursor() as cursor:
                cursor.execute("SELECT 1")
            raise AssertionError("a session outlived the closing of its registry")
        except psycopg2.Error:
            self.session.close()
        self.ask("undo", "POST", self.world.path(self.id) + ":undo")

    def purge(self):
        self.canary = None  # a look at it would stand in the way of its end
        self.ask("purge", "DELETE", self.world.path(self.id) + "?graceSeconds=0", api=self.world.api)

    def rows(self):
        with self.world.db.session() as query:
            return crash_state.rows(query, self.id, self.seen)


class KubectlLife(Life):
    """A Registry without identity, applied by hand: nobody but the operator knows of it."""

    def create(self):
        self.know(namespace=f"ns-{self.name}")
        self.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.cluster.apply("secrets", {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "first-admin", "namespace": self.namespace},
            "stringData": {"password": "Chosen-by-1-hand"}})
        self.cluster.apply("registries", {
            "apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"host": "hand.example.com", "adminSecretRef": {"name": "first-admin"}}})
        self.know(identity=eventually(lambda: self.live()["spec"].get("identity"), 60, what="identity set"))

    def change(self):
        """Also asks for new credentials, and takes the label off a child, by which the operator's cache knows it."""
        self.write_canary()
        self.cluster.merge("registries", self.name, {"spec": {"size": "M", "credentials": {kind: 1 for kind in ROTATED}}},
                           self.namespace)
        self.cluster.merge("services", f"{self.name}-portal", {"metadata": {"labels": {"flotilla.dev/registry": None}}},
                           self.namespace)

    def drift(self):
        """Deleted: the data is retained."""
        self.cluster.delete("registries", self.name, self.namespace)

    def higher(self):
        self.canary = None
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.cluster.merge("registryidentities", self.identity, {"spec": {"purgeAfter": now}})

    def lose(self):
        self.cluster.delete("namespaces", self.namespace)

    def reached(self, stage):
        lock = self.cluster.get("registryidentities", self.identity)
        if stage == "drift":
            return not self.live() and lock["spec"]["state"] == "Retained"
        if stage == "raise":
            return not lock
        if stage not in ("create", "change"):
            return not self.has_home()
        live = self.live()
        ready = [c["status"] for c in live["status"]["conditions"] if c["type"] == "Ready"]
        return ready == ["True"] and live["status"]["observedGeneration"] == live["metadata"]["generation"]


class Scenario:
    """Both lives, stage by stage. `expected` is what a finished run returned; None records a new one."""

    def __init__(self, world, cluster, watched, name, expected=None, on_stage=None, before_write=None, resolve=None):
        self.world, self.watched, self.expected = world, watched, expected
        self.on_stage = on_stage or (lambda stage: None)
        self.resolve = resolve
        self.http = HttpLife(world, cluster, name, before_write or (lambda: None))
        self.hand = KubectlLife(world, cluster, f"{name}-hand")
        self.lives = {"hand": self.hand, "http": self.http}
        self.broken, self.took = [], {}
        self.judged = (None, False)  # what was looked at, and whether it is as expected
        self.kills = 0  # how many processes die in it, be it while the API server answers

    def run(self):
        """{stage: snapshots}"""
        recorded = {}
        for stage in STAGES:
            self.on_stage(stage)
            started = time.monotonic()
            self._act(stage)
            recorded[stage] = self._await_same(stage) if self.expected else self._await_stable(stage)
            self.took[stage] = round(time.monotonic() - started, 2)
        return recorded

    def _act(self, stage):
        action = {"raise": "higher"}.get(stage, stage)
        threads = []
        for life in self.lives.values():
            step = self._resolve if stage == "resolve" and life is self.http else getattr(life, action, None)
            if step:
                threads.append(threading.Thread(target=self._try, args=(step,)))
                threads[-1].start()
        for thread in threads:
            thread.join()
        if self.broken:
            raise self.broken[0]

    def _resolve(self):
        self.resolve(self.http)

    def _try(self, step):
        try:
            step()
        except Exception as error:  # pylint: disable=broad-except
            self.broken.append(error)

    def snapshot(self, source):
        return {name: life.snapshot(source) for name, life in self.lives.items()}

    def _same(self, expected, look):
        return all(expected[name].get(key) == fact for name, life in self.lives.items() for key, fact in look(life).items())

    def looks_like(self, expected):
        """As far as watches and the fleet's rows tell. The servers are asked only when this holds."""
        at = (self.watched.changes(), id(expected))
        if self.judged[0] != at:
            self.judged = (at, self._same(expected, lambda life: life.cell(self.watched)))
        return self.judged[1] and self._same(expected, lambda life: life.rows())

    def neutral(self, text):
        """Text of the API server's log, by what the names stand for."""
        for life in (self.hand, self.http):
            for word in sorted(life.seen.words, key=len, reverse=True):
                text = text.replace(word, life.seen.words[word])
        return text

    def _await_same(self, stage):
        return self.await_equal(self.expected[stage], STAGE_SECONDS, f"stage {stage}", self.watched)

    def await_equal(self, expected, seconds, what, source):
        deadline = time.monotonic() + seconds
        while True:
            late = time.monotonic() > deadline
            if late or self.looks_like(expected):
                found = self.snapshot(source)
                if found == expected:
                    return found
            if late:
                raise AssertionError(f"{what}: not as undisturbed within {seconds:g} s:\n" + "\n".join(
                    difflib.unified_diff(_pretty(expected), _pretty(found), "undisturbed", "found", n=4)))
            time.sleep(0.1)

    def _await_stable(self, stage):
        def reached():
            return not self.world.db.query("SELECT 1 FROM outbox") and all(
                life.reached(stage) for life in self.lives.values())

        eventually(reached, 90, what=f"stage {stage}")
        found, since = self.snapshot(self.watched), time.monotonic()
        while time.monotonic() - since < 2.0:
            time.sleep(0.1)
            again = self.snapshot(self.watched)
            if again != found:
                found, since = again, time.monotonic()
        return found
