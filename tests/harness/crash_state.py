"""What the world looks like, without what must differ between two runs: names, times, uids, slots, secrets.

Two lives of a registry are equal when these snapshots are.
"""

import json
import re

from . import pools
from .pools import decoded

VARYING = {  # what names an object that another controller made, and what a claim got
    re.compile(r"(pool-\d)\.\d+"): r"\1.<slot>",
    re.compile(r'"redisIndex": "\d+"'): '"redisIndex": "<index>"',
    re.compile(r"\+select\|\d+"): "+select|<index>",
    re.compile(r"-portal-[0-9a-z]{4,10}\b"): "-portal-<hash>",
    re.compile(r'(ReplicaSet \\"[^"]+)-[0-9a-z]{4,10}\\"'): r'\1-<hash>\\"',
}
ROTATION = "rotation.flotilla.dev/"
PROBE = ".flotilla/probe"  # comes and goes with each verification
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HASHES = {"flotilla.dev/root", "flotilla.dev/desired-hash", "flotilla.dev/published", "pod-template-hash"}
NOISE = {
    "uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "observedGeneration", "selfLink",
    "slot", "clusterIP", "clusterIPs", "nodePort", "ownerReferences", "lastTransitionTime", "lastUpdateTime", "since",
    "deletionTimestamp", "deletionGracePeriodSeconds", "deployment.kubernetes.io/revision",
}


class Seen:
    """What a life has met so far: things that must never be made anew are compared with their first sight."""

    def __init__(self):
        self.first = {}
        self.words = {}  # text → what to write instead
        self.lessons = 0  # how often a word was learnt
        self.objects = {}  # (uid, resourceVersion, lessons) → what _object() made of it
        self.turn = None  # how far the kept Secret says that a rotation is: credentials are the same in each turn

    def same(self, key, value):
        return value == self.first.setdefault(key, value)

    def same_in_turn(self, key, value):
        return self.same((key, self.turn), value)


def _strip(value):
    if isinstance(value, list):
        items = [_strip(item) for item in value]
        if value and all(isinstance(item, dict) and "type" in item for item in value):
            items.sort(key=lambda item: item["type"])
        return items
    if not isinstance(value, dict):
        return value
    return {key: "<hash>" if key in HASHES else _strip(item) for key, item in value.items() if key not in NOISE}


def normal(item, seen):
    text = TIME.sub("<time>", json.dumps(_strip(item), sort_keys=True))
    for word in sorted(seen.words, key=len, reverse=True):
        text = text.replace(json.dumps(word)[1:-1], seen.words[word])  # a key in PEM has many lines
    for pattern, word in VARYING.items():
        text = pattern.sub(word, text)
    return json.loads(text)


def _object(item, seen):
    """Each version of an object once: a scenario looks at it many times."""
    at = (item["metadata"]["uid"], item["metadata"]["resourceVersion"], seen.lessons)
    if at not in seen.objects:
        seen.objects[at] = facts(item, seen)
    return seen.objects[at]


def facts(item, seen):
    meta = item["metadata"]
    if "data" in item:
        item = {**item, "data": decoded(item)}
    facts = normal({key: value for key, value in item.items() if key not in ("apiVersion", "kind")}, seen)  # not in a list
    facts["deleting"] = "deletionTimestamp" in meta
    if "observedGeneration" in item.get("status", {}):
        facts["observed"] = item["status"]["observedGeneration"] == meta["generation"]
    facts["owners"] = sorted(owner["kind"] for owner in meta.get("ownerReferences", []))
    facts["managers"] = sorted({field["manager"] for field in meta.get("managedFields", [])
                                if field["manager"].startswith("flotilla")})
    return facts


def _pod(pod):
    status = pod.get("status", {})  # of an embedded cluster: it comes a moment later
    ready = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"]
    return [status.get("phase"), ready, "deletionTimestamp" in pod["metadata"]]


def has_home(cluster, namespace):
    """Terminating is as good as gone: only what finalizers hold stays for more than moments."""
    home = cluster.get("namespaces", namespace)
    return bool(home) and "deletionTimestamp" not in home["metadata"]


def cell(cluster, namespace, identity, seen):
    """Everything of one registry in its cluster, a harness.cluster.Cluster or harness.watched.Watched."""
    kept = identity and cluster.get("secrets", f"registry-{identity}", "flotilla-system")
    if kept:
        notes = kept["metadata"].get("annotations", {})
        seen.turn = json.dumps({key: note for key, note in notes.items() if key.startswith(ROTATION)}, sort_keys=True)
        learn(seen, **{key: value for key, value in decoded(kept).items() if not key.startswith("username")})
    handover = cluster.get("secrets", "admin-handover", namespace)
    if handover:
        learn(seen, admin_password=decoded(handover)["password"])
    found = {"namespace": has_home(cluster, namespace)}
    for resource in ("registries", "deployments", "services", "secrets") if found["namespace"] else ("registries",):
        items = cluster.list(resource, namespace)
        found[resource] = [_object(item, seen) for item in sorted(items, key=lambda item: item["metadata"]["name"])]
    if found["namespace"]:
        found["pods"] = sorted(_pod(pod) for pod in cluster.list("pods", namespace))
    if identity:
        of_identity = f"flotilla.dev/identity={identity}"
        found["claims"] = [_object(item, seen) for item in cluster.list("backendclaims", None, of_identity)]
        lock = cluster.get("registryidentities", identity)
        found["identity"] = lock and _object(lock, seen)
        found["kept"] = kept and {**_object(kept, seen), "unchanged": seen.same_in_turn("kept", kept["data"])}
    return found


POOL_SQL = """
    SELECT r.oid, r.rolcanlogin, r.rolconnlimit, r.rolsuper OR r.rolcreatedb OR r.rolcreaterole, r.rolpassword,
           shobj_description(r.oid, 'pg_authid'), d.oid, d.datallowconn, d.datconnlimit, d.datacl::text,
           pg_get_userbyid(d.datdba), shobj_description(d.oid, 'pg_database')
    FROM (VALUES (%s::name)) want(name)
    LEFT JOIN pg_authid r ON r.rolname = want.name LEFT JOIN pg_database d ON d.datname = want.name"""
TURNS_SQL = """
    SELECT rolname, rolcanlogin, rolconnlimit, rolsuper OR rolcreatedb OR rolcreaterole,
           shobj_description(oid, 'pg_authid'), pg_has_role(oid, %s, 'MEMBER'),
           (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid), rolpassword
    FROM pg_authid r WHERE rolname IN (%s, %s) ORDER BY rolname"""


def pool(query, identity, seen):
    """Role and database. Made anew, an oid or the verifier would differ from the first that was seen."""
    row = query(POOL_SQL, f"t_{identity}")[0]
    names = ("role_oid", "login", "role_limit", "powers", "verifier", "role_mark",
             "database_oid", "allows", "database_limit", "acl", "owner", "database_mark")
    facts = dict(zip(names, row))
    for name in ("role_oid", "verifier", "database_oid"):
        facts[name] = facts[name] and ("unchanged" if seen.same(name, facts[name]) else "CHANGED")
    turns = query(TURNS_SQL, *(f"t_{identity}{suffix}" for suffix in ("", "_a", "_b"))) if row[0] else []
    facts["turns"] = [[*turn, seen.same_in_turn(turn[0], verifier)] for *turn, verifier in turns]
    return normal(facts, seen)


def redis(env, identity, seen):
    """The user, and how many keys its index holds."""
    rules = pools.redis_users(env).get(f"t_{identity}")
    if not rules:
        return None
    hashes = re.findall(r"#([0-9a-f]{64})", rules)
    return normal({"rules": re.sub(r"#[0-9a-f]{64}", "#", rules), "keys": pools.index_size(env, pools.index_of(rules)),
                   "passwords": "unchanged" if seen.same_in_turn("redis", hashes) else "CHANGED"}, seen)


def _bucket(admin, bucket):
    """None when it is not there, or goes while it is looked at."""
    if bucket not in admin.buckets():
        return None
    try:
        return [admin.mark(bucket), admin.policy(bucket), [name for name in admin.objects(bucket) if name != PROBE]]
    except (pools.Refused, AssertionError) as refusal:
        if "NoSuchBucket<" not in str(refusal):
            raise
        return None


def store(env, identity, seen):
    """Bucket with mark, policy and objects, which hold the canary; and the accounts, whose secrets never change."""
    admin, bucket = pools.Store(env), f"t-{identity}"
    accounts = {access: secret for access, secret in admin.accounts().items() if access.startswith(f"{bucket}-")}
    return normal({"bucket": _bucket(admin, bucket), "accounts": sorted(accounts),
                   "secrets": not accounts or seen.same_in_turn("accounts", accounts)}, seen)


ROWS_SQL = {
    "row": "SELECT lifecycle, generation, published, cell, state, spec, purge_after IS NULL, purge_started_at IS NULL,"
           " deleted_at IS NULL FROM resource WHERE id = %s",
    "status": "SELECT cell, observed_generation, phase, health, drift, reason, message, conditions"
              " FROM resource_status WHERE resource_id = %s",
    "operations": "SELECT kind, status, requested_generation, error, started_at IS NULL FROM operation"
                  " WHERE resource_id = %s ORDER BY id",
    "audit": "SELECT action FROM audit_event WHERE resource_id = %s ORDER BY id",
    "sealed": "SELECT purpose, delivered_at IS NULL, shredded_at IS NULL FROM sealed_secret WHERE owner_id = %s",
    "outbox": "SELECT generation FROM outbox WHERE resource_id = %s",
}
COUNTERS_SQL = """
    SELECT coalesce(c.cell, s.cell), coalesce(c.phase, s.phase), c.n, s.n
    FROM (SELECT cell, phase, sum(count) AS n FROM status_counter GROUP BY 1, 2) c
    FULL JOIN (SELECT cell, phase, count(*) AS n FROM resource_status GROUP BY 1, 2) s USING (cell, phase)
    WHERE coalesce(c.n, 0) <> coalesce(s.n, 0)"""


def rows(query, registry, seen):
    """What the fleet's database says of it; counters that differ from a recount."""
    found = {name: normal([list(row) for row in query(sql, registry)], seen) for name, sql in ROWS_SQL.items()}
    found["wrong_counters"] = [[str(field) for field in row] for row in query(COUNTERS_SQL)]
    return found


def learn(seen, **words):
    """Text that differs between runs."""
    for name, word in words.items():
        if word and seen.words.get(word) != f"<{name}>":
            seen.words[word] = f"<{name}>"
            seen.lessons += 1
