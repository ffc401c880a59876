"""The end state of a world, so normalised that two runs of the same story can be compared.

Ids, identities, uids, slots and times differ between runs: each is replaced by the name of the registry it
belongs to. What belongs to no row keeps its own name, and so differs from every other run. Of Secrets only the
names of their keys are looked at.
"""

import json
import re

from . import pools

# How far an object came, but not by which steps: two brains may take fewer or more of them.
_NOISE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink", "deletionTimestamp")
_NOISY_ANNOTATIONS = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
_HASHED_ANNOTATIONS = ("flotilla.dev/desired-hash", "flotilla.dev/published")  # of content that is compared itself
_ROOT = "flotilla.dev/root"
_CHILD_KINDS = ("deployments", "services", "secrets", "configmaps", "jobs", "networkpolicies", "persistentvolumeclaims")
_GIVEN_BY_SERVER = {"ConfigMap/kube-root-ca.crt"}
_OWN_NAMESPACE = "flotilla-system"

_ROWS = """
    SELECT r.id, t.name || '/' || r.name || CASE WHEN r.deleted_at IS NULL THEN '' ELSE '#' || row_number() OVER
               (PARTITION BY r.tenant_id, r.name, r.deleted_at IS NULL ORDER BY r.id) END,
           r.identity, r.namespace, r.tenant_id,
           to_jsonb(r) - '{id,tenant_id,identity,namespace,created_at,updated_at,placement}'::text[],
           to_jsonb(s) - '{resource_id,tenant_id,updated_at,hash,epoch,message}'::text[],
           ARRAY(SELECT o.kind || ' ' || CASE o.status WHEN 'superseded' THEN 'succeeded' ELSE o.status END
                 FROM operation o WHERE o.resource_id = r.id ORDER BY o.id),
           ARRAY(SELECT a.action FROM audit_event a WHERE a.resource_id = r.id ORDER BY a.id),
           (SELECT count(*) FROM outbox o WHERE o.resource_id = r.id),
           ARRAY(SELECT concat_ws(' ', a.purpose,
                                  CASE WHEN a.delivered_at IS NOT NULL AND r.deleted_at IS NULL THEN 'delivered' END,
                                  CASE WHEN a.shredded_at IS NOT NULL THEN 'shredded' END)
                 FROM sealed_secret a WHERE a.owner_id = r.id)
    FROM resource r JOIN tenant t ON t.id = r.tenant_id LEFT JOIN resource_status s ON s.resource_id = r.id
    ORDER BY r.id"""

_DATABASES = """
    SELECT d.datname, pg_get_userbyid(d.datdba), shobj_description(d.oid, 'pg_database'), d.datallowconn,
           d.datconnlimit, ARRAY(SELECT acl::text FROM unnest(d.datacl) acl ORDER BY 1)
    FROM pg_database d WHERE d.datname LIKE 't\\_%' ORDER BY 1"""

_ROLES = """
    SELECT r.rolname, shobj_description(r.oid, 'pg_authid'), r.rolcanlogin, r.rolconnlimit, r.rolsuper, r.rolcreatedb,
           r.rolcreaterole, r.rolinherit, ARRAY(SELECT pg_get_userbyid(m.roleid)::text FROM pg_auth_members m
                                                WHERE m.member = r.oid ORDER BY 1)
    FROM pg_roles r WHERE r.rolname LIKE 't\\_%' ORDER BY 1"""


class _Names:
    """Replaces what differs between runs, wherever it stands in a tree."""

    def __init__(self):
        self.known = {}

    def add(self, text, name):
        if text:
            self.known[text] = name

    def of(self, value):
        if isinstance(value, str):
            for text, name in self.known.items():
                value = value.replace(text, name)
            return re.sub(r"(pool-\d+)\.\d+", r"\1.<slot>", value)
        if isinstance(value, (list, tuple)):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {self.of(key): self.of(item) for key, item in value.items()}
        return value


def _presence(tree, *keys):
    """Times: only whether they are set."""
    return {key: (value is not None if key in keys else value) for key, value in (tree or {}).items()}


def _rows(world, names):
    rows = {}
    for row_id, name, identity, namespace, tenant, row, status, operations, actions, waiting, sealed in world.db.query(_ROWS):
        names.add(namespace, f"<namespace {name}>")
        names.add(row_id, f"<id {name}>")
        names.add(identity, f"<identity {name}>")
        names.add(tenant, f"<tenant {name.split('/', maxsplit=1)[0]}>")
        for condition in (status or {}).get("conditions", []):
            condition.pop("lastTransitionTime", None)
            condition.pop("message", None)
            condition.pop("observedGeneration", None)  # of the custom resource: how often it was written
        if row["deleted_at"]:
            del row["published"]  # it may have been purged before it was ever published, or after
        rows[name] = {
            "row": _presence(row, "purge_after", "purge_started_at", "deleted_at"),
            "status": status,
            "operations": operations,
            "actions": actions,
            "outbox": waiting,
            "sealed": sealed,
        }
    return rows


def _metadata(item):
    kept = {key: value for key, value in item["metadata"].items() if key not in _NOISE}
    kept["annotations"] = {k: "<hash>" if k in _HASHED_ANNOTATIONS else v
                           for k, v in kept.get("annotations", {}).items() if k not in _NOISY_ANNOTATIONS}
    kept["leaving"] = "deletionTimestamp" in item["metadata"]
    return kept


def _conditions(status):
    return sorted(f"{c['type']}={c['status']}/{c['reason']}" for c in status.get("conditions", []))


def _custom(item):
    """A custom resource: what it says, and whether that is about what its spec says now."""
    status = item.get("status", {})
    spec = _presence(item["spec"], "purgeAfter")
    spec.pop("slot", None)
    return {
        "metadata": _metadata(item),
        "spec": spec,
        "conditions": _conditions(status),
        "observed": status.get("observedGeneration") == item["metadata"]["generation"],
        "revision": status.get("observedRevision"),
        "externals": [{k: v for k, v in external.items() if k != "since"} for external in status.get("externals", [])],
    }


def _child(item):
    spec = {k: v for k, v in item.get("spec", {}).items() if k not in ("clusterIP", "clusterIPs")}
    status = item.get("status", {})
    return {
        "metadata": _metadata(item),
        "spec": spec,
        "keys": sorted(item.get("data") or {}),
        "ready": status.get("readyReplicas", 0) if item["kind"] == "Deployment" else None,
    }


def _tenant_namespaces(world):
    return [item for item in world.objects("namespaces") if item["metadata"]["name"].startswith("reg-")]


def _children(world):
    items = world.objects(",".join(_CHILD_KINDS), "-A") + world.objects("pods", "-A")
    for item in items:
        meta = item["metadata"]
        label = f"{item['kind']}/{meta['name']}"
        if label in _GIVEN_BY_SERVER or not meta["namespace"].startswith("reg-"):
            continue
        yield meta["namespace"], label, item


def _stack(world):
    """Per namespace: its objects; of pods only how many run."""
    stack = {item["metadata"]["name"]: {"Namespace": {"metadata": _metadata(item)}, "Pods": 0}
             for item in _tenant_namespaces(world)}
    for namespace, label, item in _children(world):
        place = stack.setdefault(namespace, {"Pods": 0})
        if item["kind"] == "Pod":
            place["Pods"] += "deletionTimestamp" not in item["metadata"]
        else:
            place[label] = _child(item)
    return stack


def _kept_secrets(world):
    return {item["metadata"]["name"]: {"keys": sorted(item.get("data") or {}), "labels": item["metadata"].get("labels")}
            for item in world.objects("secrets", "-n", _OWN_NAMESPACE) if item["metadata"]["name"].startswith("registry-")}


def _redis(world):
    """Rights, mark and state of each user; its index and password differ between runs."""
    return {name: re.sub(r"#[0-9a-f]{64}", "#<password>", re.sub(r"\+select\|\d+", "+select|<index>", rules))
            for name, rules in pools.redis_users(world.stack.env).items()}


_ACCESS = re.compile(r"(t-[a-z2-7]{16}-)[a-z2-7]+")  # its end is random


def _store(world, names):
    """Buckets with mark and policy, and accounts in the order of what they stand for."""
    store = pools.Store(world.stack.env)
    buckets = {name: [store.mark(name), _ACCESS.sub(r"\1<key>", store.policy(name) or "")] for name in store.buckets()}
    accounts = [_ACCESS.sub(r"\1<key>", access) for access in store.accounts()]
    return {"buckets": buckets, "accounts": sorted(names.of(accounts))}


def _list(items):
    """Deterministic whatever the order in which the server or a race gave them."""
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=str))


def take(world):
    """Everything that Flotilla made, by registry; JSON-able, equal for equal stories."""
    names = _Names()
    names.add(world.stack.get("namespace", "kube-system")["metadata"]["uid"], "<cell>")
    rows = _rows(world, names)
    registries = world.objects("registries", "-A")
    for item in registries:
        owner = names.known.get(item["metadata"]["namespace"], item["metadata"]["namespace"])
        names.add(item["metadata"]["uid"], f"<uid {owner}>")
    identities, claims = world.objects("registryidentities"), world.objects("backendclaims")
    for item in identities:
        names.add(item["metadata"].get("labels", {}).get(_ROOT), f"<root {names.of(item['metadata']['name'])}>")
    state = {
        "rows": rows,
        "registries": {f"{i['metadata']['namespace']}/{i['metadata']['name']}": _custom(i) for i in registries},
        "stacks": _stack(world),
        "claims": _list(names.of([_custom(item) for item in claims])),
        "identities": {i["metadata"]["name"]: _custom(i) for i in identities},
        "secrets": _kept_secrets(world),
        "databases": {row[0]: list(row[1:]) for row in world.pool_query(_DATABASES)},
        "roles": {row[0]: list(row[1:]) for row in world.pool_query(_ROLES)},
        "redis": _redis(world),
        "store": _store(world, names),
    }
    return json.loads(json.dumps(names.of(state), default=str, sort_keys=True))


def differences(one, other, path=""):
    """["rows/acme/a/row/generation: 3 != 4", ...]; empty when the two are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(set(one) | set(other)):
            below = f"{path}/{key}"
            if key not in one or key not in other:
                found.append(f"{below}: only in {'the second' if key in other else 'the first'}")
            else:
                found += differences(one[key], other[key], below)
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [line for at, pair in enumerate(zip(one, other)) for line in differences(*pair, f"{path}/{at}")]
    return [] if one == other else [f"{path}: {json.dumps(one)[:300]} != {json.dumps(other)[:300]}"]


def existence(world):
    """What must not be made anew: the uid of each custom resource, namespace, claim, identity and kept Secret; the oid
    of each database and role; each Redis user's password, each account's secret."""
    found = {}
    items = world.objects("registries,backendclaims,registryidentities", "-A") + _tenant_namespaces(world)
    items += [item for item in world.objects("secrets", "-n", _OWN_NAMESPACE)
              if item["metadata"]["name"].startswith("registry-")]
    for item in items:
        meta = item["metadata"]
        found[f"{item['kind']} {meta.get('namespace', '')}/{meta['name']}"] = meta["uid"]
    for row in world.pool_query("SELECT datname, oid FROM pg_database WHERE datname LIKE 't\\_%'"):
        found[f"Database {row[0]}"] = row[1]
    for row in world.pool_query("SELECT rolname, oid FROM pg_roles WHERE rolname LIKE 't\\_%'"):
        found[f"Role {row[0]}"] = row[1]
    users, _, accounts = world.others()
    found.update({f"User {name}": re.findall(r"#[0-9a-f]{64}", rules) for name, rules in users.items()})
    found.update({f"Account {name}": secret for name, secret in accounts.items()})
    return found
