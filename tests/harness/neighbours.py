"""A pod of another tenant, in the same network, with that tenant's own credentials: where it gets in, and how it is refused."""

import glob
import hashlib
import re

from .on_node import make_image
from .pg_refusals import Server
from .pushing import BLOBS
from .wait import eventually

PSQL = max(glob.glob("/usr/lib/postgresql/*/bin/psql"))  # what stands in the PATH is a script
PROGRAMS = ("/usr/bin/sleep", "/usr/bin/sh", "/usr/bin/curl", "/usr/bin/redis-cli", PSQL)
NOTHING = hashlib.sha256(b"").hexdigest()
TAG = "flotilla.dev/neighbour:1"

# In the pod's shell: no credential stands in an argument. $1 and $2 are places, or names.
SCRIPTS = {
    "registry": 'printf \'user = "%s:%s"\\n\' "$USER" "$PASSWORD" | curl -sS -m 20 -K - -o /dev/null -w "%{http_code}" "http://$1/v2/"',
    "registry, nobody": 'curl -sS -m 20 -o /dev/null -w "%{http_code}" "http://$1/v2/"',
    "redis": 'REDISCLI_AUTH="$redisPassword" redis-cli -e -h "$1" ping 2>&1',
    "redis, nobody": 'redis-cli -e -h "$1" ping 2>&1',
    "store": 'printf \'user = "%s:%s"\\n\' "$s3AccessKey" "$s3SecretKey" | curl -sS -m 20 -K - --aws-sigv4 "aws:amz:$s3Region:s3"'
             f' -H "x-amz-content-sha256: {NOTHING}" -w "%{{http_code}}" "$s3Endpoint/$1"',
    "store, nobody": 'curl -sS -m 20 -w "%{http_code}" "$s3Endpoint/$1"',
    "database": f'PGPASSWORD="$databasePassword" {PSQL} -w -h "$databaseHost" -p "$databasePort" -U "$1" -d "$2" -Atc "SELECT 200" 2>&1',
}  # fmt: skip


class Neighbour:
    """At home in `own`; each knock says what it was answered."""

    def __init__(self, own, directory):
        self.own, self.place, self.stack = own, own.place, own.node.stack
        self.server = Server(self.stack, "pg-pool")
        make_image(self.stack, directory, "programs", TAG, *PROGRAMS)
        user, password = own.login()
        self.place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "neighbour"},
                          "stringData": {"USER": user, "PASSWORD": password}})  # fmt: skip
        self.place.pod("neighbour", TAG, command=["/usr/bin/sleep", "3600"],
                       envFrom=[{"secretRef": {"name": "neighbour"}}, {"secretRef": {"name": f"{own.name}-backends"}}])
        self.place.wait_ready("neighbour", 60)

    def knock(self, door, *words):
        done = self.place.run("neighbour", "/usr/bin/sh", "-c", SCRIPTS[door], door, *words, check=False)
        return " ".join((done.stdout + done.stderr).split())

    def database(self, user, name):
        """libpq hides the code: the server's log tells it."""
        before = len(self.stack.log("pg-pool"))
        said = self.knock("database", user, name)
        if said == "200":
            return said
        return " ".join(eventually(lambda: self.server.refusal(before, user, name), 10, 0.2, f"log line: {user} at {name}, {said}"))

    def attempts(self, other):
        """(what, how it is answered, wanted) at another tenant's doors, each beside what opens its own."""
        own, his, mine = self.own, other.told(), self.own.told()
        blob = next(name for name in other.store().objects(other.bucket) if name.startswith(BLOBS))
        own.store().call("PUT", f"/{own.bucket}/own", b"own")
        refused = r"<\?xml.*<Code>AccessDenied</Code>.*403"
        yield "registry, its own", self.knock("registry", own.address), "200"
        yield "registry", self.knock("registry", other.address), "401"
        yield "registry, nobody", self.knock("registry, nobody", other.address), "401"
        yield "Redis, its own", self.knock("redis", self._redis(own)), "PONG"
        yield "Redis", self.knock("redis", self._redis(other)), ".*WRONGPASS"
        yield "Redis, nobody", self.knock("redis, nobody", self._redis(other)), "NOAUTH"
        yield "store, its own", self.knock("store", f"{own.bucket}/own"), "own200"
        yield "store", self.knock("store", f"{other.bucket}/{blob}"), refused
        yield "store, nobody", self.knock("store, nobody", f"{other.bucket}/{blob}"), refused
        yield "database, its own", self.database(mine["databaseUser"], mine["databaseName"]), "200"
        yield "database", self.database(mine["databaseUser"], his["databaseName"]), "28000 no pg_hba.conf entry"
        yield "database, by its name", self.database(his["databaseUser"], his["databaseName"]), "28P01 password authentication failed"

    @staticmethod
    def _redis(registry):
        return f"{registry.name}-redis.{registry.namespace}.svc.cluster.local"

    def judge(self, this, other):
        """Each refusal has its code. Returns how many there were."""
        count = 0
        for what, got, wanted in self.attempts(other):
            this.check(re.match(wanted, got), f"{what}: {got}, wanted {wanted}")
            code = re.search(r"<Code>(.*)</Code>", got)
            print(f"           neighbour at {what}: {code[1] if code else got[:64]}")
            count += "own" not in what
        return count
