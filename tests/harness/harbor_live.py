"""What only Harbor's own programs can show: a push through core's token service, a garbage collection, a hop.

Without them each is named as not run. Core's public address leads to an Ingress, of which there is none here: tokens and
requests are asked of core's Service.
"""

import json
import os
import urllib.parse

from .on_node import NEW
from .registry_client import Client, basic
from .wait import eventually

NEEDS = {"core", "jobservice", "registryctl"}
PROJECT = "proofs"
NAMES = ("push and pull through core's token service", "garbage collection", f"hop to {NEW}")


def can_run(node):
    return not NEEDS & set(node.left_out)


class Harbor:
    """Its API, and its registry behind tokens."""

    def __init__(self, registry):
        self.connect = registry.connector("core", 80)
        self.api = Client(self.connect, basic("admin", registry.kept()["adminPassword"]))

    def ask(self, method, path, wanted, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        headers, content = self.api.ask(path, method, f"/api/v2.0{path}", wanted, data, Content_Type="application/json")
        return headers, json.loads(content) if content else None

    def repository(self, *actions):
        """A client that may do that, by a token of core's."""
        query = urllib.parse.urlencode({"service": "harbor-registry", "scope": f"repository:{PROJECT}/image:{','.join(actions)}"})
        _, content = self.api.ask("token", "GET", f"/service/token?{query}", 200)
        return Client(self.connect, f"Bearer {json.loads(content)['token']}")

    def collect(self):
        headers, _ = self.ask("POST", "/system/gc/schedule", 201, {
            "schedule": {"type": "Manual"}, "parameters": {"delete_untagged": True, "dry_run": False, "workers": 1}})  # fmt: skip
        run = headers["Location"].rpartition("/")[2]

        def ended():
            status = self.ask("GET", f"/system/gc/{run}", 200)[1]["job_status"]
            return status if status in ("Success", "Error", "Stopped") else None

        return eventually(ended, 120, 1, "the collection ends")


def push(harbor):
    harbor.ask("POST", "/projects", 201, {"project_name": PROJECT, "metadata": {"public": "false"}})
    harbor.repository("push", "pull").push(f"{PROJECT}/image", "1", b'{"architecture": "amd64", "os": "linux"}', [os.urandom(1 << 20)])
    return harbor.repository("pull").pull(f"{PROJECT}/image", "1")


def hop(this, registry):
    registry.node.cluster.merge("registries", registry.name, {"spec": {"version": NEW}}, registry.namespace)
    eventually(lambda: registry.get()["status"].get("version") == NEW, 240, 1, f"{NEW} runs")
    registry.ready()
    this.equal(registry.condition("Migration").get("reason"), "Migrated", "the hop")


def run(this, node, registry):
    """A word for the figure."""
    if not can_run(node):
        for name in NAMES:
            print(f"           not run: {name}")
        return "not run: " + ", ".join(NAMES)
    harbor = Harbor(registry)
    with this.step(NAMES[0]):
        pushed = push(harbor)
    with this.step(NAMES[1]):
        this.equal(harbor.collect(), "Success", "the collection")
        this.equal(harbor.repository("pull").pull(f"{PROJECT}/image", "1"), pushed, "what is tagged is still there")
    with this.step(NAMES[2]):
        hop(this, registry)
        this.equal(harbor.repository("pull").pull(f"{PROJECT}/image", "1"), pushed, "and after the hop")
    return "and " + ", ".join(NAMES)
