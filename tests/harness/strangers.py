"""A PostgreSQL and a Redis that were there before us, on their usual ports where those are free, and what they hold."""

import os
import pathlib
import socket
import subprocess

from . import REPO
from .wait import eventually


def free_port(usual):
    for port in (usual, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise AssertionError("no free port")


def pg_bin():
    done = subprocess.run(["bash", "-c", f". {REPO}/server/dev/lib/common.sh; . {REPO}/server/dev/lib/pg.sh; pg_bin"],
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


def started_at(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


class Strangers:
    """Both servers, each with something in it; `look()` is all that could have been touched."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.geteuid() == 0 else []
        self.running = []
        self.pg_port, self.redis_port = free_port(5432), free_port(6379)

    def _run(self, *command):
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, cwd="/").stdout

    def up(self):
        home = pathlib.Path(self.directory)
        (home / "pg").mkdir(mode=0o700)
        (home / "redis").mkdir()
        if self.account:
            self._run("chown", "postgres:", home / "pg")
        self._run(*self.account, f"{pg_bin()}/initdb", "-D", home / "pg", "-U", "owner", "-A", "trust", "--no-sync")
        for command in ([*self.account, f"{pg_bin()}/postgres", "-D", f"{home}/pg", "-p", self.pg_port, "-h", "127.0.0.1", "-k", ""],
                        ["redis-server", "--port", self.redis_port, "--bind", "127.0.0.1", "--dir", f"{home}/redis"]):
            self.running.append(subprocess.Popen(list(map(str, command)), cwd="/", stdin=subprocess.DEVNULL,
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
        eventually(lambda: self.sql("SELECT 1"), 60, what="the strangers' PostgreSQL")
        eventually(lambda: self.redis("PING").strip() == "PONG", 10, what="the strangers' Redis")
        self.sql("CREATE ROLE tenant LOGIN; CREATE TABLE kept AS SELECT generate_series(1, 1000) AS row")
        self.redis("SET", "kept", "yes")
        return self

    def sql(self, text):
        return self._run(f"{pg_bin()}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.pg_port, "-U", "owner",
                         "-d", "postgres", "-c", text)

    def redis(self, *command):
        return self._run("redis-cli", "-p", self.redis_port, *command)

    def look(self):
        """Processes, databases, roles, settings, rows; ACL, settings, keys."""
        return {
            "processes": [(child.pid, child.poll(), started_at(child.pid)) for child in self.running],
            "databases": self.sql("SELECT oid, datname, datdba, datacl FROM pg_database ORDER BY 1"),
            "tables": self.sql("SELECT count(*), max(oid) FROM pg_class"),
            "roles": self.sql("SELECT rolname, rolsuper, rolcanlogin FROM pg_roles ORDER BY 1"),
            "settings": self.sql("SELECT name, setting FROM pg_settings ORDER BY 1"),
            "rows": self.sql("SELECT count(*), sum(row) FROM kept"),
            "users": self.redis("ACL", "LIST"),
            "redis settings": self.redis("CONFIG", "GET", "*"),
            "keys": self.redis("KEYS", "*"),
            "value": self.redis("GET", "kept"),
        }

    def down(self):
        for child in self.running:
            child.terminate()
        for child in self.running:
            child.wait(30)
