"""What serve and an operator do to a registry, without either: rows by SQL, statuses by kubectl."""

import json
import secrets

from harness.cluster import Cluster

BASE32HEX = "0123456789abcdefghijklmnopqrstuv"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
CELL = "dev"


def _text(alphabet, length):
    return "".join(secrets.choice(alphabet) for _ in range(length))


def letters(length):
    """The end of an id."""
    return _text(BASE32HEX, length)


def tenant(db):
    made = "tn_" + letters(26)
    db.query("INSERT INTO tenant (id, name) VALUES (%s, %s)", made, made[3:])
    return made


def cell(db, name=CELL, kubeconfig=None, capacity=1000):
    db.query("INSERT INTO cell (name, kubeconfig, capacity) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
             name, kubeconfig or f"{name}.kubeconfig", capacity)


class Row:
    """One registry of the fleet's database and its custom resource in the cell."""

    def __init__(self, db, stack, tenant_id, name):
        self.db, self.stack, self.tenant, self.name = db, stack, tenant_id, name
        self.cluster = Cluster(stack)
        self.id = "reg_" + letters(26)
        self.namespace = "reg-" + self.id[4:]
        self.identity = _text(BASE32, 16)
        spec = {"plan": "s", "version": "2.15", "host": f"{name}.example.org"}
        db.query(
            "WITH made AS (INSERT INTO resource (id, tenant_id, name, identity, spec, namespace)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, tenant_id), observed AS"
            " (INSERT INTO resource_status (resource_id, tenant_id) SELECT id, tenant_id FROM made)"
            " INSERT INTO outbox (resource_id, tenant_id, generation) SELECT id, tenant_id, 1 FROM made",
            self.id, tenant_id, name, self.identity, json.dumps(spec), self.namespace)
        self.operation("create", 1)

    # ---- as serve

    def operation(self, kind, generation):
        self.db.query("INSERT INTO operation (id, tenant_id, resource_id, kind, requested_generation, actor)"
                      " VALUES (%s, %s, %s, %s, %s, 'test')",
                      "op_" + letters(26), self.tenant, self.id, kind, generation)

    def change(self, kind, assignment, *args):
        """One change with its operation and outbox row, in the shape of resource_change.sql."""
        generation = self.db.value(
            f"UPDATE resource SET generation = generation + 1, {assignment} WHERE id = %s RETURNING generation",
            *args, self.id)
        self.db.query("UPDATE operation SET status = 'superseded', finished_at = now()"
                      " WHERE resource_id = %s AND finished_at IS NULL", self.id)
        self.operation(kind, generation)
        self.enqueue()
        return generation

    def enqueue(self):
        self.db.query(
            "INSERT INTO outbox (resource_id, tenant_id, generation) SELECT id, tenant_id, generation FROM resource"
            " WHERE id = %s ON CONFLICT (resource_id) DO UPDATE SET"
            " generation = greatest(outbox.generation, excluded.generation), due_at = now(), attempts = 0", self.id)

    def resize(self, plan):
        return self.change("update", "spec = jsonb_set(spec, '{plan}', to_jsonb(%s::text))", plan)

    def close(self, grace="1 hour"):
        return self.change("close", "lifecycle = 'closed', purge_after = now() + %s::interval", grace)

    def get(self, columns="*"):
        """A column's value, or a tuple of several."""
        found = self.db.query(f"SELECT {columns} FROM resource WHERE id = %s", self.id)[0]
        return found[0] if len(found) == 1 else found

    def get_outbox(self, column):
        """None when nothing waits."""
        found = self.db.query(f"SELECT {column} FROM outbox WHERE resource_id = %s", self.id)
        return found[0][0] if found else None

    def status(self, columns):
        found = self.db.query(f"SELECT {columns} FROM resource_status WHERE resource_id = %s", self.id)
        return found[0][0] if found else None

    def waits(self):
        return bool(self.db.query("SELECT 1 FROM outbox WHERE resource_id = %s", self.id))

    def last_operation(self):
        return self.db.value("SELECT status FROM operation WHERE resource_id = %s"
                             " ORDER BY requested_generation DESC, created_at DESC LIMIT 1", self.id)

    # ---- as people and operators in the cell

    def kubectl(self, *args, **more):
        return self.stack.kubectl(*args, "-n", self.namespace, **more)

    def live(self):
        return self.cluster.get("registries", self.name, self.namespace)

    def revision(self):
        live = self.live()
        return live and live["spec"].get("revision")

    def patch(self, patch, *args):
        self.kubectl("patch", "registry", self.name, "--type=merge", "-p", json.dumps(patch), *args)

    def operate(self, reason="ReadyUnprobed", ready="True"):
        """An operator that has done all that the present spec wants."""
        live = self.live()
        condition = {"type": "Ready", "status": ready, "reason": reason, "message": "",
                     "lastTransitionTime": "2026-01-01T00:00:00Z"}
        available = {**condition, "type": "Available", "reason": "StackAvailable"}
        self.patch({"status": {"observedGeneration": live["metadata"]["generation"],
                               "observedRevision": live["spec"]["revision"],
                               "conditions": [condition, available]}}, "--subresource=status")

    def hold_identity(self, state="Held"):
        owner = {"namespace": self.namespace, "name": self.name, "uid": self.live()["metadata"]["uid"]}
        spec = {"owner": owner, "state": state, "purgeAfter": "2099-01-01T00:00:00Z"}
        self.stack.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps({
            "apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "RegistryIdentity",
            "metadata": {"name": self.identity}, "spec": spec}))

    def drop_identity(self):
        self.stack.kubectl("delete", "registryidentity", self.identity, "--ignore-not-found")

    def has_namespace(self):
        found = self.cluster.get("namespaces", self.namespace)
        return found is not None and found["status"]["phase"] == "Active"
