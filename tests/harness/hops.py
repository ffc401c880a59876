"""What Harbor does to its database, where pods are only played: the schema's version, and a migration that waits."""

import contextlib
import json

from .wait import eventually

SCHEMAS = {"2.13.5": 160, "2.14.4": 171, "2.15.2": 180}
FOLDER = ".flotilla/dump/"


def set_schema(cell, registry, version, dirty=False):
    """As golang-migrate notes it."""
    conninfo = cell.conninfo(registry.id)
    cell.sql("CREATE TABLE IF NOT EXISTS schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)", conninfo=conninfo)
    cell.sql("DELETE FROM schema_migrations", conninfo=conninfo)
    cell.sql("INSERT INTO schema_migrations VALUES (%s, %s)", version, dirty, conninfo=conninfo)


def schema(cell, registry):
    return cell.sql("SELECT version, dirty FROM schema_migrations", conninfo=cell.conninfo(registry.id))


@contextlib.contextmanager
def held_pods(cell):
    """No new pod finds a node: a Job waits until the test has done what its pod would have done."""
    nodes = [node["metadata"]["name"] for node in cell.stack.get("nodes")["items"]]
    cell.stack.kubectl("cordon", *nodes)
    try:
        yield
    finally:
        cell.stack.kubectl("uncordon", *nodes)


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
