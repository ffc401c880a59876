"""A stack in which every word is written down, and a search through all of it for every secret that there is."""

import contextlib
import os
import pathlib
import resource

import psycopg2

from . import places, pools
from .cluster import Cluster
from .http import Api
from .recorders import AnswerRecorder, ObjectRecorder, ProcessRecorder, RedisMonitor, SecretRecorder
from .tracked import Tracked

# Every statement with its parameters, failed ones too; and no WAL is thrown away.
LOUD = {"log_statement": "'all'", "log_min_duration_statement": "0", "log_min_error_statement": "'debug5'",
        "log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "-1", "wal_keep_size": "'8GB'"}  # fmt: skip


class Wiretap:
    """Its directory also is where this process and its children have their temporary and their core files."""

    def __init__(self, stack, directory):
        self.stack, self.directory = stack, pathlib.Path(directory)
        self.tracked, self.cluster = Tracked(), Cluster(stack)
        self.search = places.Search(self.tracked, directory)
        for name in ("cores", "said", "tmp", "metrics"):
            (self.directory / name).mkdir()
        (self.directory / "cores" / "nothing").write_text("else is here\n", encoding="ascii")
        os.environ["TMPDIR"] = str(self.directory / "tmp")
        os.chdir(self.directory / "cores")
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.tracked.stack(stack)
        self.kek = self.directory / "kek"
        self.tracked.kek_file(self.kek)
        self.processes = ProcessRecorder(self.directory / "processes")
        self.objects = ObjectRecorder(self.cluster, self.directory / "objects")
        self.secrets = SecretRecorder(self.cluster, self.tracked.secret_object)
        Api.heard = AnswerRecorder(self.directory / "answers")
        self._loud_postgres()
        self.redis = self._loud_redis()

    def _loud_postgres(self):
        for conninfo in (self.stack.env["FLEET_PG_ADMIN"], self.stack.env["POOL_PG_SUPER"]):
            for name, value in LOUD.items():
                sql(conninfo, f"ALTER SYSTEM SET {name} = {value}")
            sql(conninfo, "SELECT pg_reload_conf()")

    def _loud_redis(self):
        """A connection as one who may do anything."""
        password = self.tracked.make("pool-admin")
        admin = pools.Redis(self.stack.env)
        admin.call("ACL", "SETUSER", "observer", "on", f">{password}", "+@all", "~*")
        admin.close()
        RedisMonitor(self.stack.env, "observer", password, self.directory / "monitor")
        return pools.Redis(self.stack.env, "observer", password)

    def said(self, what, text):
        (self.directory / "said" / what).write_text(text, encoding="utf-8")

    def look(self, more):
        """Searches everything, now."""
        at = self.directory
        self.search.look([
            places.Place("output of commands", [at / "said"]),
            places.Place("metrics", [at / "metrics"]),
            places.Place("command lines, environments", [at / "processes"]),
            places.Place("objects but Secrets", [at / "objects"]),
            places.Place("HTTP answers", [at / "answers"]),
            places.Place("what Redis was asked", [at / "monitor"]),
            places.Place("temporary files, core files", [at / "tmp", at / "cores"]),
            *more,
            *places.of_servers(self.stack),
        ])  # fmt: skip

    def stop(self):
        Api.heard = None
        self.processes.stop()
        self.objects.stop()
        self.secrets.stop()


def sql(conninfo, statement, *args):
    connection = psycopg2.connect(conninfo)
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(statement, args or None)
        return cursor.fetchall() if cursor.description else []
