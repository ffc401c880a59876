"""One registry's life, seen from both sides: its customer's HTTP client, and kubectl in its cell.

Each step leaves the registry settled and is checked on both sides. tests/proofs/spine-walk runs it with everything,
tests/kube/test_walk.py in short.
"""

import json
import re
import uuid

from .wait import eventually

SIZES = {"s": "S", "m": "M", "l": "L"}
REPLICAS = {"s": 1, "m": 2, "l": 3}
# In one snapshot: the counters of /v1/status against the rows that they count.
COUNTERS_DIFFER = """
    SELECT * FROM (SELECT cell, phase, sum(count) AS n FROM status_counter GROUP BY 1, 2 HAVING sum(count) <> 0) c
    FULL JOIN (SELECT cell, phase, count(*) AS n FROM resource_status GROUP BY 1, 2) r USING (cell, phase, n)
    WHERE c.n IS NULL OR r.n IS NULL"""


class Walk:
    """`check(holds, what)` raises when a claim does not hold."""

    def __init__(self, world, check, name="demo"):
        self.world, self.check, self.name = world, check, name
        self.id = self.path = self.namespace = self.identity = self.etag = None
        self.plan = "s"

    def equal(self, got, wanted, what):
        self.check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")

    # ---- HTTP

    def call(self, method, path, body=None, status=202, api=None, **headers):
        """One request whose status is known; header names with '_' for '-'."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = (api or self.world.tenant_api).request(method, path, body, sent)
        self.equal(answer.status, status, f"{method} {path} {sent}: {answer.body}")
        if status >= 400:
            self.equal(answer.headers["content-type"], "application/problem+json", f"{method} {path}: type")
        return answer

    def once_or_more(self, method, path, body, other_body=None, **headers):
        """The same change three times under one Idempotency-Key: done once. The key with another body: refused."""
        key = uuid.uuid4().hex
        first = self.call(method, path, body, Idempotency_Key=key, **headers)
        for _ in range(2):
            again = self.call(method, path, body, Idempotency_Key=key, **headers)
            self.equal(again.headers.get("idempotency-replayed"), "true", "a repeated request says so")
            self.equal(again.body, {**first.body, "adminPassword": "delivered"}, "the replayed answer, which shows no password")
            for name in ("etag", "location", "operation-location"):
                self.equal(again.headers.get(name), first.headers.get(name), f"replayed {name}")
        self.check("idempotency-replayed" not in first.headers, "the first answer is no replay")
        if other_body:
            reused = self.call(method, path, other_body, 422, Idempotency_Key=key, **headers)
            self.equal(reused.body["code"], "IdempotencyKeyReused", "a key used for another request")
        return first

    def accepted(self, answer, kind, generation):
        """What each 202 must say; returns where its operation is."""
        self.equal(answer.headers["etag"], f'"g{generation}"', f"{kind}: ETag")
        self.equal(answer.body["generation"], generation, f"{kind}: generation")
        where = answer.headers["operation-location"]
        operation = self.call("GET", where, status=200).body
        self.equal((operation["kind"], operation["requestedGeneration"], operation["resource"]["href"]),
                   (kind, generation, self.path), f"{kind}: its operation")
        self.etag = answer.headers["etag"]
        return where

    def finished(self, where):
        """One held request, no polling: it answers when the operation has ended."""
        operation = self.call("GET", f"{where}?wait=60", status=200).body
        self.equal((operation["status"], operation["error"]), ("succeeded", None), f"operation {where}")
        self.check(operation["createdAt"] <= operation["startedAt"] <= operation["finishedAt"], f"times of {operation}")

    def settled(self, phase, by_phase=None):
        """The registry as its customer sees it, and the counters as the provider does."""
        answer = self.call("GET", self.path, status=200)
        status = answer.body["status"]
        self.equal((status["phase"], status["observedGeneration"], answer.body["currentOperations"]),
                   (phase, answer.body["generation"], []), f"{self.name} settled")
        self.equal(answer.headers["etag"], self.etag, "ETag of GET")
        self.call("GET", self.path, status=304, If_None_Match=self.etag)
        self.counters({phase: 1} if by_phase is None else by_phase)
        return answer.body

    def counters(self, by_phase):
        seen = self.world.api.get("/v1/status")["registries"]
        self.equal((seen["byPhase"], seen["total"]), (by_phase, sum(by_phase.values())), "/v1/status")
        self.equal(sum(row["count"] for row in seen["byCell"]), seen["total"], "/v1/status by cell")
        self.equal(self.world.db.query(COUNTERS_DIFFER), [], "counters that differ from the rows")

    # ---- the steps

    def create(self):
        body = {"name": self.name, "spec": {"plan": self.plan, "host": f"{self.name}.example.com"}}
        registries = self.world.path()
        answer = self.once_or_more("POST", registries, body, {**body, "name": "other"})
        self.id = answer.body["id"]
        self.check(re.fullmatch(r"[A-Za-z0-9]{20,}", answer.body["adminPassword"]), "the one answer that shows the password")
        self.path = f"{registries}/{self.id}"
        self.equal(answer.headers["location"], self.path, "Location")
        self.check("placement" not in answer.body, "the customer does not see where it runs")
        row = self.world.api.get(self.path)["placement"]
        self.namespace, self.identity = row["namespace"], row["identity"]
        self.equal(self.world.db.query(COUNTERS_DIFFER), [], "counters that differ from the rows")
        return self.accepted(answer, "create", 1)

    def change_plan(self, plan):
        generation = int(self.etag[2:-1])
        stale = self.call("PATCH", self.path, {"spec": {"plan": plan}}, 412, If_Match=f'"g{generation + 1}"')
        self.equal(stale.body["code"], "PreconditionFailed", "If-Match of another generation")
        self.equal(self.world.api.get(self.path)["generation"], generation, "generation after a refused PATCH")
        answer = self.once_or_more("PATCH", self.path, {"spec": {"plan": plan}}, {"spec": {"plan": "s"}}, If_Match=self.etag)
        self.equal(answer.body["spec"]["plan"], plan, "plan")
        self.plan = plan
        return self.accepted(answer, "update", generation + 1)

    def close(self, grace_seconds=None):
        """Without grace_seconds as the customer; with, as the provider, who alone may set it to 0."""
        generation = int(self.etag[2:-1])
        if grace_seconds is None:
            answer = self.call("DELETE", self.path, If_Match=self.etag)
            again = self.call("DELETE", self.path)
            self.equal((again.body["generation"], again.headers["operation-location"]),
                       (generation + 1, answer.headers["operation-location"]), "DELETE of what is closed")
        else:
            self.call("DELETE", f"{self.path}?graceSeconds={grace_seconds}", status=400)
            answer = self.call("DELETE", f"{self.path}?graceSeconds={grace_seconds}", api=self.world.api)
        self.equal(answer.body["spec"]["lifecycle"], "closed", "lifecycle")
        self.check(answer.body["spec"]["purgeAfter"], "a closed registry tells when it is purged")
        return self.accepted(answer, "close", generation + 1)

    def undo(self):
        generation = int(self.etag[2:-1])
        answer = self.once_or_more("POST", f"{self.path}:undo", None)
        self.equal((answer.body["spec"]["lifecycle"], answer.body["spec"]["purgeAfter"]), ("active", None), "undone")
        return self.accepted(answer, "undo", generation + 1)

    def gone(self):
        """Waits for the purge; then 410 on every verb, out of the lists and counters, nothing left in cell and pool."""
        self.world.wait_gone(self.id)
        for method, path, body in (("GET", self.path, None), ("DELETE", self.path, None), ("POST", f"{self.path}:undo", None),
                                   ("PATCH", self.path, {"spec": {"plan": "l"}})):
            self.equal(self.call(method, path, body, 410).body["code"], "RegistryPurged", f"{method} of a purged registry")
        self.equal(self.world.tenant_api.get(self.world.path())["items"], [], "list after the purge")
        self.counters({})
        databases, roles = self.world.externals()
        self.equal([row[0] for row in databases + roles if self.identity in row[0]], [], "database and role after the purge")
        others = [name for names in self.world.others() for name in names]
        self.equal([name for name in others if self.identity in name], [], "Redis user, bucket and account after the purge")
        left = self.world.objects("registries,backendclaims,registryidentities,secrets", "-A")
        self.equal([item["metadata"]["name"] for item in left if self.identity in json.dumps(item)], [], "objects after the purge")

    # ---- kubectl

    def kubectl(self, *args):
        return self.world.stack.kubectl(*args)

    def kubectl_wait(self, wanted, timeout=60):
        self.kubectl("wait", f"--for={wanted}", f"registry/{self.name}", "-n", self.namespace, f"--timeout={timeout}s")

    def columns(self, *args):
        """`kubectl get` as people see it: column → cell of the one row."""
        lines = self.kubectl("get", *args).splitlines()
        head, row = lines[0], lines[-1]
        self.equal(len(lines), 2, f"rows of kubectl get {args}")
        starts = [found.start() for found in re.finditer(r"\S+", head)] + [None]
        return {head[at:to].strip(): row[at:to].strip() for at, to in zip(starts, starts[1:])}

    def seen_in_cell(self, ready, reason, lifecycle):
        """What kubectl shows, and that it is what the row says."""
        columns = self.columns("registries", "-n", self.namespace)
        wanted = {"NAME": self.name, "READY": ready, "REASON": reason, "SIZE": SIZES[self.plan],
                  "HOST": f"{self.name}.example.com", "LIFECYCLE": lifecycle}
        self.equal({key: columns.get(key) for key in wanted}, wanted, "kubectl get registries")
        spec = self.world.stack.get("registry", self.name, "-n", self.namespace)["spec"]
        self.equal((spec["revision"], spec["identity"]), (int(self.etag[2:-1]), self.identity), "revision and identity")
        replicas = REPLICAS[self.plan] if lifecycle == "Active" else 0

        def portal():
            item = self.world.stack.get("deployment", f"{self.name}-portal", "-n", self.namespace)
            return item["spec"]["replicas"], item["status"].get("readyReplicas", 0)

        self.equal(portal()[0], replicas, "portal pods that are wanted")
        eventually(lambda: portal() == (replicas, replicas), what="portal pods, as their controller counts them")
        self.check(True, "portal pods")

    def described(self, *reasons):
        """`kubectl describe` tells conditions, and the events so far; events are written after the fact."""

        def told():
            text = self.kubectl("describe", "registry", self.name, "-n", self.namespace)
            events = text.partition("\nEvents:")[2]
            missing = [reason for reason in reasons if reason not in events]
            return None if missing or "Conditions:" not in text else text

        return eventually(told, 10, what=f"kubectl describe with events {reasons}")
