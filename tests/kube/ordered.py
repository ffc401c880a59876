"""A registry that was really ordered: by HTTP from a running `flotillad serve`, so that its password is sealed in its row."""

import base64
import subprocess

from harness.cluster import Cluster
from harness.http import Api
from harness.process import base_env, binary
from kube.fleet_rows import Row

SECRET = "admin-handover"


class Ordered(Row):
    """`password` is what the customer was shown."""

    def __init__(self, db, stack, answer):  # pylint: disable=super-init-not-called
        self.db, self.stack, self.cluster = db, stack, Cluster(stack)
        self.id, self.tenant, self.name = answer["id"], answer["tenantId"], answer["name"]
        self.password = answer["adminPassword"]
        self.identity, self.namespace = self.get("identity, namespace")

    # ---- in the database

    def sealed(self):
        """(is there anything left that could be opened, was it delivered)"""
        found = self.db.query(
            "SELECT coalesce(kek_id, wrapped_dek::text, sealed::text) IS NOT NULL, delivered_at IS NOT NULL,"
            " shredded_at IS NOT NULL FROM sealed_secret WHERE owner_id = %s", self.id)
        (is_there, is_delivered, is_shredded), = found
        assert is_there != is_shredded
        return is_there, is_delivered

    def copy_sealed(self):
        """What a backup holds of it."""
        return self.db.query("SELECT kek_id, wrapped_dek, sealed FROM sealed_secret WHERE owner_id = %s", self.id)[0]

    def restore_sealed(self, copy):
        self.db.query("UPDATE sealed_secret SET kek_id = %s, wrapped_dek = %s, sealed = %s, delivered_at = NULL,"
                      " shredded_at = NULL WHERE owner_id = %s", *copy, self.id)

    # ---- in the cell

    def secret(self):
        return self.cluster.get("secrets", SECRET, self.namespace)

    def handed_over(self):
        """The password as it stands in the cell; None when it does not."""
        secret = self.secret()
        return secret and base64.b64decode(secret["data"]["password"]).decode()

    def secret_verbs(self):
        """What was done to Secrets of its namespace, in that order, by the API server's own log."""
        events = [(event["verb"], event.get("objectRef", {})) for event in self.stack.audit_events()]
        return [verb for verb, target in events if verb in ("create", "delete") and target.get("resource") == "secrets"
                and target.get("namespace") == self.namespace]

    def keep(self):
        """The operator has a copy."""
        self.patch({"status": {"adminPassword": "Kept"}}, "--subresource=status")


class Shop:
    """Where registries are ordered."""

    def __init__(self, flotillad, db, stack, directory):
        self.db, self.stack, self.cluster = db, stack, Cluster(stack)
        self.process = flotillad(["serve"], {**db.env(), "FLOTILLA_LISTEN": "127.0.0.1:0"})
        line = self.process.wait_log(lambda entry: entry.get("msg", "").startswith("ready"))
        key = subprocess.run([binary(), "bootstrap-key"], env={**base_env(directory), **db.env()}, capture_output=True,
                             text=True, check=True).stdout.split()[-1]
        self.api = Api(int(line["msg"].rsplit(":", 1)[1]), key)
        self.path = f"/v1/tenants/{self.api.ok('POST', '/v1/tenants', {'name': f'shop {key[4:12]}'})['id']}/registries"

    def order(self, name):
        body = {"name": name, "spec": {"plan": "s", "host": f"{name}.example.org"}}
        return Ordered(self.db, self.stack, self.api.ok("POST", self.path, body, {"Idempotency-Key": f"order-{name}"}))
