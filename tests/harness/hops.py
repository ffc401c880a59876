"""What Harbor does to its database, where pods are only played: the schema's version, and a migration that waits."""

import contextlib
import itertools
import json

from .wait import eventually

SCHEMAS = {"2.13.5": 160, "2.14.4": 171, "2.15.2": 180}
FOLDER = ".flotilla/dump/"
FIND_NO_NODE_TRIES = 50
_numbers = itertools.count(1)  # of pods: one that is going cannot be used again


def set_schema(cell, registry, version, dirty=False):
    """As golang-migrate notes it."""
    conninfo = cell.conninfo(registry.id)
    cell.sql("CREATE TABLE IF NOT EXISTS schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)", conninfo=conninfo)
    cell.sql("DELETE FROM schema_migrations", conninfo=conninfo)
    cell.sql("INSERT INTO schema_migrations VALUES (%s, %s)", version, dirty, conninfo=conninfo)


def schema(cell, registry):
    return cell.sql("SELECT version, dirty FROM schema_migrations", conninfo=cell.conninfo(registry.id))


def pin(cell, registry, name="old", component="core"):
    """A pod that does not end; of core: a hop waits for it in Stopping."""
    owner = registry.child("deployment", "core")
    cell.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": name, "namespace": registry.namespace,
        "labels": {"flotilla.dev/registry": registry.name, "app.kubernetes.io/component": component},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": owner["metadata"]["name"],
                             "uid": owner["metadata"]["uid"], "controller": True}]},
        "spec": owner["spec"]["template"]["spec"]})


def unpin(cell, registry, name="old"):
    cell.stack.kubectl("delete", "pod", name, "-n", registry.namespace, "--now", "--wait=false")


def find_no_node(cell):
    """A scheduler hears of a cordon a moment later: until a pod of ours found no node."""
    for _ in range(FIND_NO_NODE_TRIES):
        name = f"finds-no-node-{next(_numbers)}"
        cell.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
                    "spec": {"containers": [{"name": "one", "image": "one"}], "terminationGracePeriodSeconds": 0}})

        def scheduled(name=name):
            rows = cell.get("pod", name, "default").get("status", {}).get("conditions", [])
            return next((row["status"] for row in rows if row["type"] == "PodScheduled"), None)

        told = eventually(scheduled, what="the scheduler has looked")
        cell.stack.kubectl("delete", "pod", name, "-n", "default", "--now", "--wait=false")
        if told == "False":
            return
    raise AssertionError(f"{FIND_NO_NODE_TRIES} pods found a node that takes none")


@contextlib.contextmanager
def held_nodes(cell):
    """No new pod finds a node."""
    nodes = [node["metadata"]["name"] for node in cell.stack.get("nodes")["items"]]
    cell.stack.kubectl("cordon", *nodes)
    try:
        find_no_node(cell)
        yield
    finally:
        cell.stack.kubectl("uncordon", *nodes)


def job_of(registry):
    """Its only one, when those of before are gone."""
    def jobs():
        return registry.cell.stack.get("jobs", "-n", registry.namespace)["items"]

    eventually(lambda: len(jobs()) == 1, what="one Job: those of before are gone")
    return jobs()[0]


def job_ids(cell, registry):
    return {job["metadata"]["uid"] for job in cell.stack.get("jobs", "-n", registry.namespace)["items"]}


@contextlib.contextmanager
def held_migration(cell, registry, ask, dumping=lambda: None):
    """The hop that `ask` asks for comes as far as its migration, whose pod finds no node: the Job waits until the test has done
    what that pod would have done. Images are pulled before, and the Job of an earlier version is gone. `dumping` runs while the
    dump is due; gives what it returns."""
    before = job_ids(cell, registry)

    def only_its_own():
        jobs = job_ids(cell, registry)
        return len(jobs) == 1 and jobs.isdisjoint(before)

    pin(cell, registry)
    ask()
    told(registry, "Migration", "Unknown", "Stopping")
    with held_nodes(cell):
        unpin(cell, registry)
        given = dumping()
        told(registry, "Migration", "Unknown", "Migrating")
        eventually(only_its_own, 60, what="its Job is the only one")
        yield given


def lose_image(cell, registry, component):
    """The kubelet says of a Job's pod, which found no node, that its image cannot be pulled; which one, is returned."""
    def pods():
        return [pod for pod in registry.pods() if pod["metadata"]["labels"]["app.kubernetes.io/component"] == component
                and pod["metadata"]["ownerReferences"][0]["kind"] == "Job" and pod["status"]["phase"] == "Pending"
                and "deletionTimestamp" not in pod["metadata"]]

    pod = eventually(pods, 60, what=f"a pod of {component}")[0]
    container = pod["spec"]["containers"][0]
    status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False, "restartCount": 0,
              "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    cell.stack.kubectl("patch", "pod", pod["metadata"]["name"], "-n", registry.namespace, "--subresource=status", "--type=merge",
                       "-p", json.dumps({"status": {"containerStatuses": [status]}}))
    return container["image"]


def state(cell, registry):
    """As the kept Secret remembers it."""
    return json.loads(cell.secret(registry.id)["metadata"]["annotations"]["hop.flotilla.dev/state"])


def told(registry, kind, status, reason, seconds=90):
    eventually(lambda: registry.condition(kind) == (status, reason), seconds, 0.2, f"{kind}={status}/{reason}")
    return registry


def ready(registry):
    return told(registry, "Ready", "True", "ReadyUnprobed")


def dumps(cell, registry):
    return [name for name in cell.store().objects(f"t-{registry.id}") if name.startswith(FOLDER)]


def databases(cell, registry):
    return [row[0] for row in cell.sql("SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY 1", f"t_{registry.id}%")]
