"""Fresh fleet databases: one is migrated, the others are copies of it, which takes a tenth of the time."""

import contextlib
import itertools
import os
import re
import subprocess

import psycopg2

ROLES = ("owner", "serve", "fleet")
_numbers = itertools.count(1)


class FleetDatabase:
    """Connection strings of one database, by role: `owner`, `serve`, `fleet`, and `admin` (superuser)."""

    def __init__(self, stack, name):
        self.name = name
        self.kek_file = stack.env["FLEET_KEK_FILE"]
        for role in (*ROLES, "admin"):
            setattr(self, role, with_database(stack.env[f"FLEET_PG_{role.upper()}"], name))

    def env(self):
        """How flotillad is told about it."""
        connections = {f"FLOTILLA_DATABASE_{role.upper()}": getattr(self, role) for role in ROLES}
        return {**connections, "FLOTILLA_KEK_FILE": self.kek_file}

    @contextlib.contextmanager
    def connect(self, role="admin"):
        connection = psycopg2.connect(getattr(self, role))
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def session(self, role="admin"):
        """query(sql, *args) by one connection: all rows of one statement; an empty list for a statement without rows."""
        with self.connect(role) as connection, connection.cursor() as cursor:

            def query(sql, *args):
                cursor.execute(sql, args or None)
                assert cursor.description or not (cursor.statusmessage or "").startswith("SELECT"), f"no column is asked for: {sql}"
                return cursor.fetchall() if cursor.description else []

            yield query

    def query(self, sql, *args, role="admin"):
        with self.session(role) as query:
            return query(sql, *args)

    def value(self, sql, *args, role="admin"):
        """The first column of the first row."""
        return self.query(sql, *args, role=role)[0][0]


def with_database(uri, name):
    return re.sub(r"(postgresql://[^/]+/)[^?]*", rf"\g<1>{name}", uri)


def _admin(stack, *statements):
    connection = psycopg2.connect(with_database(stack.env["FLEET_PG_ADMIN"], "postgres"))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def create(stack, template=None):
    """A new database of a name of its own."""
    return _create(stack, f"flotilla_test_{os.getpid()}_{next(_numbers)}", template)


def _create(stack, name, template=None):
    """CREATE DATABASE copies no rights on the database itself, so they are given each time."""
    copy = f" TEMPLATE {template}" if template else ""
    _admin(
        stack,
        f"CREATE DATABASE {name} OWNER flotilla_owner{copy}",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO flotilla_serve, flotilla_fleet",
    )
    return FleetDatabase(stack, name)


def drop(stack, database):
    _admin(stack, f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")


def _pg_tool(stack, tool, *args):
    command = [f"{stack.env['PG_BIN']}/{tool}", *args]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{tool}: {done.stderr}"


def dump(stack, database, path, form="custom"):
    """As an administrator would, while it is in use."""
    _pg_tool(stack, "pg_dump", f"--format={form}", f"--file={path}", f"--dbname={database.admin}")


def restore(stack, database, path):
    """The same name, with what the dump holds. Nobody may be connected that must not lose his session."""
    drop(stack, database)
    _create(stack, database.name)
    _pg_tool(stack, "pg_restore", "--exit-on-error", f"--dbname={database.admin}", path)


def migrate(database, binary, env):
    done = subprocess.run([binary, "migrate"], env={**env, **database.env()}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"flotillad migrate: {done.stderr}"
