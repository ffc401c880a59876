"""What a life leaves behind, what was created for it, and how to clear away what a failed case left."""

import json
import os

from . import pools


def new_requests(path):
    """A function that returns what the API server has created for us since the last call; events and Leases apart. An
    embedded cluster keeps no log: harness.fault counts there what its table has met."""
    if not path:
        return lambda: []
    log = open(path, encoding="utf-8")  # pylint: disable=consider-using-with
    log.seek(0, os.SEEK_END)
    rest = [""]

    def read():
        lines = (rest[0] + log.read()).split("\n")
        rest[0] = lines.pop()
        created = []
        for event in map(json.loads, lines):
            what = event.get("objectRef", {})
            if (event["user"]["username"].startswith("flotilla") and event.get("responseStatus", {}).get("code") == 201
                    and what.get("resource") not in ("events", "leases", "selfsubjectaccessreviews")):
                created.append(f"{what.get('resource')} {what.get('namespace', '')}/{what.get('name', '')}")
        return created

    return read


LISTED = ("registries", "backendclaims", "registryidentities")


def namespaces(cluster):
    """Ours. Kubernetes takes its time (5 s at least) to remove one; nobody waits for that but the end of the proof."""
    return [item for item in cluster.list("namespaces") if item["metadata"]["name"].startswith(("reg-", "ns-crash-"))]


def leftovers(world, cluster):
    found = [f"{kind} {item['metadata']['name']}" for kind in LISTED for item in cluster.list(kind)]
    found += [f"kept secret {item['metadata']['name']}" for item in
              cluster.list("secrets", "flotilla-system", "flotilla.dev/identity")]
    found += [f"namespace {item['metadata']['name']}" for item in namespaces(cluster)
              if "deletionTimestamp" not in item["metadata"]]
    found += [str(row) for rows in world.externals() for row in rows]
    found += [name for names in world.others() for name in names]
    return found


def sweep(world, cluster):
    for kind in LISTED:
        for item in cluster.list(kind):
            meta = item["metadata"]
            if meta.get("finalizers"):  # it may be going, and gone by now
                path = cluster.path(kind, meta.get("namespace"), meta["name"])
                status, answer = cluster.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
                assert status in (200, 404), f"{path}: {status} {answer}"
            cluster.delete(kind, meta["name"], meta.get("namespace"))
    for item in cluster.list("secrets", "flotilla-system", "flotilla.dev/identity"):
        cluster.delete("secrets", item["metadata"]["name"], "flotilla-system")
    for item in namespaces(cluster):
        cluster.delete("namespaces", item["metadata"]["name"])
    databases, roles = world.externals()
    for row in databases:
        world.pool_query(f"DROP DATABASE {row[0]} WITH (FORCE)")
    for row in roles:
        world.pool_query(f"DROP ROLE {row[0]}")
    users, buckets, accounts = world.others()
    for name, rules in users.items():
        pools.drop_redis_user(world.stack.env, name, rules)
    store = pools.Store(world.stack.env)
    for name in buckets:
        store.drop(name)
    for name in accounts:
        store.call("PATCH", "/delete-user", access=name)
