"""What the holder of one registry's credentials may try at what is not its own: each attempt with the code by which the
server must refuse it, and with those whose access to the target must work right before and right after it."""

import collections
import json
import re

import psycopg2

from .database import with_database

# what: for people. knock: see doors.py. wanted: a pattern for the refusal. owners: each returns None when it gets in.
Attempt = collections.namedtuple("Attempt", "what knock wanted owners")

# pg_hba.conf has no line; the database's ACL grants nothing; wrong password, or no such role; closed.
NO_LINE, NO_RIGHT = "28000 no pg_hba.conf entry", "42501 permission denied for database"
PASSWORD, CLOSED = "28P01 password authentication failed", r'28000 role "\w+" is not permitted to log in'
DENIED, WRONG = "NOPERM", "WRONGPASS"
IN_SCRIPT = "(NOPERM|ERR) .*(can't run this command|ACL failure)"
ACCESS, NO_ADMIN, SIGNATURE, NO_KEY = "AccessDenied", "XAdminAccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"

ADMIN = (None, None)  # where no login is given, the pool's administrator's is taken

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::"}]}

# Within one's own index, after SELECT of it.
REDIS_AT_NEIGHBOUR = {
    "SELECT {index}": DENIED,
    "COPY own stolen DB {index} REPLACE": DENIED,
    "MOVE own {index}": DENIED,
    "SWAPDB {mine} {index}": DENIED,
    "MIGRATE 127.0.0.1 1 own {index} 10": DENIED,
    "EVAL return(redis.call('select',ARGV[1])) 0 {index}": IN_SCRIPT,
    "ACL SETUSER {name} on nopass": DENIED,
    "ACL DELUSER {name}": DENIED,
    "CLIENT KILL USER {name}": DENIED,
}
REDIS_AT_ADMIN = (
    "ACL LIST", "ACL GETUSER flotilla", "ACL SAVE", "ACL LOG", "CONFIG GET *", "CONFIG SET maxmemory 1", "CLIENT LIST", "CLIENT PAUSE 1",
    "INFO", "MONITOR", "KEYS *", "DBSIZE", "RANDOMKEY", "FLUSHDB", "FLUSHALL", "SAVE", "REPLICAOF NO ONE", "SCRIPT FLUSH", "FUNCTION LIST",
    "MODULE LIST", "SLOWLOG GET", "LATENCY DOCTOR", "PUBLISH flotilla x", "SUBSCRIBE flotilla", "SELECT 0",
)  # fmt: skip
S3_AT_NEIGHBOUR = (
    ("GET", "/{bucket}/own", {}), ("PUT", "/{bucket}/own", {}), ("DELETE", "/{bucket}/own", {}),
    ("GET", "/{bucket}", {"list-type": "2"}), ("GET", "/{bucket}", {"uploads": ""}), ("POST", "/{bucket}/own", {"uploads": ""}),
    ("GET", "/{bucket}", {"policy": ""}), ("DELETE", "/{bucket}", {"policy": ""}), ("GET", "/{bucket}", {"acl": ""}),
    ("GET", "/{bucket}", {"tagging": ""}), ("DELETE", "/{bucket}", {"tagging": ""}), ("DELETE", "/{bucket}", {}),
)  # fmt: skip
S3_AT_ADMIN = (
    ("PATCH", "/list-users", {}, NO_ADMIN), ("PATCH", "/list-buckets", {}, NO_ADMIN), ("PATCH", "/create-user", {}, NO_ADMIN),
    ("PATCH", "/update-user", {"access": "{access}"}, NO_ADMIN), ("PATCH", "/delete-user", {"access": "{access}"}, NO_ADMIN),
    ("PATCH", "/change-bucket-owner", {"bucket": "{bucket}", "owner": "{access}"}, NO_ADMIN), ("PUT", "/stolen", {}, ACCESS),
    ("GET", "/flotilla-pool/cell", {}, ACCESS), ("PUT", "/flotilla-pool/cell", {}, ACCESS), ("DELETE", "/flotilla-pool/cell", {}, ACCESS),
    ("GET", "/flotilla-pool", {"list-type": "2"}, ACCESS),
)  # fmt: skip


def owner(keys, kind):
    return lambda: keys.opens(kind)


def connects(uri):
    """One who gets in, as long as his server lets him."""
    def knock():
        try:
            psycopg2.connect(uri).close()
        except psycopg2.OperationalError as error:
            return str(error)
        return None

    return knock


# ---- at a neighbour


def neighbours_database(me, other, fence):
    """fence: NO_LINE, or NO_RIGHT where pg_hba.conf lets everybody try."""
    doors, owners = me.doors, (owner(me, "database"), owner(other, "database"))
    yield Attempt("its database", lambda: doors.database(me.database, other.name), fence, owners)
    for name in {other.name, other.database[0]}:  # after a rotation the owner and the login are two
        login = (name, me.database[1])
        yield Attempt(f"its database as {name}", lambda login=login: doors.database(login, other.name), PASSWORD, owners)


def neighbours_redis(me, other):
    doors, owners = me.doors, (owner(me, "redis"), owner(other, "redis"))
    places = {"mine": me.index, "index": other.index, "name": other.name}
    for command, wanted in REDIS_AT_NEIGHBOUR.items():
        words = command.format(**places).split()
        yield Attempt(command, lambda words=words: doors.redis(me.redis, ("SELECT", me.index), words), wanted, owners)
    yield Attempt("its Redis user", lambda: doors.redis((other.name, me.redis[1])), WRONG, owners)


def neighbours_bucket(me, other):
    doors, owners = me.doors, (owner(me, "store"), owner(other, "store"))
    for method, path, query in S3_AT_NEIGHBOUR:
        where = path.format(bucket=other.bucket)
        yield Attempt(f"{method} {path} {query}", lambda method=method, where=where, query=query: doors.store(
            me.store, method, where, **query), ACCESS, owners)
    policy = json.dumps(POLICY).replace(":::", f":::{other.bucket}/*").encode()
    yield Attempt("PUT of its policy", lambda: doors.store(me.store, "PUT", f"/{other.bucket}", policy, policy=""), ACCESS, owners)
    for source, target in ((other, me), (me, other)):
        headers = {"x-amz-copy-source": f"{source.bucket}/own"}
        yield Attempt(f"copy to {target.bucket}", lambda target=target, headers=headers: doors.store(
            me.store, "PUT", f"/{target.bucket}/stolen", headers=headers), ACCESS, owners)
    yield Attempt("its key with my secret", lambda: doors.store((other.store[0], me.store[1]), "GET", f"/{other.bucket}/own"),
                  SIGNATURE, owners)


def at_neighbour(me, other):
    yield from neighbours_database(me, other, NO_LINE)
    yield from neighbours_redis(me, other)
    yield from neighbours_bucket(me, other)


# ---- at the pools' administrators and at the fleet


def admins_database(me, fence):
    doors, env = me.doors, me.doors.env
    for name in (env["POOL_PG_MAINTENANCE_DATABASE"], "template1", "postgres"):
        owners = (owner(me, "database"), connects(with_database(env["POOL_PG_SUPER"], name)))
        yield Attempt(f"database {name}", lambda name=name: doors.database(me.database, name), fence, owners)
    owners = (owner(me, "database"), connects(env["POOL_PG_ADMIN"]))
    for role in (env["POOL_PG_ADMIN_USER"], "postgres"):
        yield Attempt(f"as {role}", lambda role=role: doors.database((role, me.database[1]), env["POOL_PG_MAINTENANCE_DATABASE"]),
                      PASSWORD, owners)


def fleets_database(me, names, serve):
    """names: the databases of the fleet's server; serve: how the fleet itself gets in."""
    doors, owners = me.doors, (owner(me, "database"), connects(serve))
    for role in {me.database[0], me.name, "flotilla_serve", "flotilla_fleet", "flotilla_owner", "postgres"}:
        for name in names:
            yield Attempt(f"the fleet's {name} as {role}", lambda role=role, name=name: doors.database(
                (role, me.database[1]), name, doors.fleet), PASSWORD, owners)


def at_administrators(me):
    doors = me.doors
    yield from admins_database(me, NO_LINE)
    owners = (owner(me, "redis"), lambda: doors.redis(ADMIN, ("ACL", "LIST")))
    for command in REDIS_AT_ADMIN:
        yield Attempt(command, lambda command=command: doors.redis(me.redis, ("SELECT", me.index), command.split()), DENIED, owners)
    for user in (doors.env["POOL_REDIS_ADMIN_USER"], "default"):
        yield Attempt(f"Redis user {user}", lambda user=user: doors.redis((user, me.redis[1])), WRONG, owners)
    owners = (owner(me, "store"), lambda: doors.store(ADMIN, "PATCH", "/list-users"))
    for method, path, query, wanted in S3_AT_ADMIN:
        filled = {key: value.format(access=me.store[0], bucket=me.bucket) for key, value in query.items()}
        yield Attempt(f"{method} {path}", lambda method=method, path=path, filled=filled: doors.store(
            me.store, method, path, **filled), wanted, owners)
    root = doors.admin_key()
    yield Attempt("the administrator's key with my secret", lambda: doors.store((root, me.store[1]), "GET", "/"), SIGNATURE, owners)


# ---- the judge


def judge(this, attempts, who):
    """Each refusal between successes. Returns how many refusals there were."""
    count = 0
    for attempt in attempts:
        for moment in ("before", "after"):
            for number, gets_in in enumerate(attempt.owners):
                this.equal(gets_in(), None, f"owner {number} {moment} {who}: {attempt.what}")
            if moment == "before":
                got = attempt.knock()
                this.check(got is not None, f"{who}: {attempt.what} was let in")
                this.check(re.match(attempt.wanted, got), f"{who}: {attempt.what}: {got}, wanted {attempt.wanted}")
        count += 1
    return count
