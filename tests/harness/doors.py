"""The doors of the pools' servers and of the fleet's: who knocks is let in (None), or is told why not, by code.

The code of PostgreSQL is read from its log (pg_refusals.py); that of Redis is the first word of its answer, that of
the object store its <Code>. All are given with the words behind them: one code may mean two things.
"""

import re

from . import pools
from .pg_refusals import Server
from .pools import Refused


class Doors:
    """Each knock is a connection of its own."""

    def __init__(self, stack):
        self.stack, self.env = stack, stack.env
        self.pool, self.fleet = Server(stack, "pg-pool"), Server(stack, "pg-fleet")

    def database(self, login, name, server=None):
        """login: (user, password)"""
        refused = (server or self.pool).log_in(*login, name)
        return refused and " ".join(refused)

    def admin_key(self):
        """The access key of the object store's administrator."""
        return pools.Store(self.env).access

    def redis(self, login, *commands):
        """Each command is a sequence of words."""
        try:
            connection = pools.Redis(self.env, *login)
            try:
                for words in commands:
                    connection.call(*words)
            finally:
                connection.close()
        except Refused as refusal:
            return str(refusal)
        return None

    def store(self, key, method, path, body=b"", headers=None, **query):
        """key: (access key, secret key)"""
        try:
            pools.Store(self.env, *key).call(method, path, body, headers, **query)
        except Refused as refusal:
            return re.sub(r".*<Code>(\w+)</Code>\s*<Message>([^<]*).*", r"\1 \2", str(refusal), flags=re.DOTALL)
        return None


class Keys:
    """A registry's credentials as they are kept now, and where they belong."""

    def __init__(self, doors, identity):
        kept = pools.decoded(doors.stack.get("secret", f"registry-{identity}", "-n", "flotilla-system"))
        self.doors, self.identity = doors, identity
        self.name, self.bucket = f"t_{identity}", f"t-{identity}"
        self.database, self.redis = (kept["username"], kept["password"]), (self.name, kept["redisPassword"])
        self.store = (kept["s3AccessKey"], kept["s3SecretKey"])
        self.index = pools.index_of(pools.redis_users(doors.env)[self.name])

    def opens(self, kind):
        """None when the registry's own of this kind can be used; else how it is refused."""
        if kind == "database":
            return self.doors.database(self.database, self.name)
        if kind == "redis":
            return self.doors.redis(self.redis, ("SELECT", self.index), ("SET", "own", self.identity), ("GET", "own"))
        path = f"/{self.bucket}/own"
        return self.doors.store(self.store, "PUT", path, self.identity.encode()) or self.doors.store(self.store, "GET", path)
