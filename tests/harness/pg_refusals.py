"""Refused log-ins with their SQLSTATE, which libpq hides: it is read from the server's log (`%e` in log_line_prefix)."""

import contextlib
import pathlib
import re

import psycopg2

from .wait import eventually

_LINE = re.compile(r"^\S+ \S+ \S+ \[\d+\] (?P<state>\w{5}) (?P<user>\S*)@(?P<database>\S*) .*? FATAL:  (?P<message>.*)$", re.MULTILINE)


class Server:
    """One PostgreSQL of a Stack: `pg-pool` or `pg-fleet`."""

    def __init__(self, stack, name):
        self.stack, self.name = stack, name
        prefix = {"pg-pool": "POOL_PG", "pg-fleet": "FLEET_PG"}[name]
        self.host, self.port = stack.env[f"{prefix}_HOST"], stack.env[f"{prefix}_PORT"]
        self.super = stack.env["POOL_PG_SUPER" if name == "pg-pool" else "FLEET_PG_ADMIN"]

    def conninfo(self, user, password, database):
        return f"host={self.host} port={self.port} user={user} password={password} dbname={database} connect_timeout=10"

    def log_in(self, user, password, database):
        """None when it succeeds and SELECT 1 runs; otherwise (SQLSTATE, message) as the server logged it."""
        before = len(self.stack.log(self.name))
        try:
            with contextlib.closing(psycopg2.connect(self.conninfo(user, password, database))) as connection:
                connection.cursor().execute("SELECT 1")
            return None
        except psycopg2.OperationalError:
            return eventually(lambda: self.refusal(before, user, database), 10, what=f"log line: {user} at {database}")

    def refusal(self, start, user, database):
        found = [line for line in _LINE.finditer(self.stack.log(self.name)[start:])
                 if (line["user"], line["database"]) == (user, database)]
        return (found[-1]["state"], found[-1]["message"]) if found else None

    def query(self, sql, *args):
        with contextlib.closing(psycopg2.connect(self.super)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, args or None)
                return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def hba_without(self, word):
        """Everybody may try every database: the lines of pg_hba.conf with `word` say `all` instead; put back at the end."""
        path = pathlib.Path(self.query("SHOW hba_file")[0][0])
        kept = path.read_text(encoding="ascii")
        self._load(path, re.sub(rf"^host {word} all ", "host all all ", kept, flags=re.MULTILINE))
        try:
            yield kept != path.read_text(encoding="ascii")
        finally:
            self._load(path, kept)

    def _load(self, path, text):
        reloads = self.stack.log(self.name).count("received SIGHUP")
        path.write_text(text, encoding="ascii")  # in place: the owner stays
        self.query("SELECT pg_reload_conf()")
        eventually(lambda: self.stack.log(self.name).count("received SIGHUP") > reloads, 10, what="pg_hba.conf reloaded")
