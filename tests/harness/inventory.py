"""Everything that stands on the pools' servers and in the cell, byte by byte, as text: equal before a registry came and after it
went. Nothing is normalised but what the server itself counts."""

import hashlib
import json

from . import pools

_OWN_NAMESPACE = "flotilla-system"

# Whole rows, oids apart: each new one has another. The comments are the owner marks.
_PG = {
    "roles": "SELECT to_jsonb(r) - '{oid,rolpassword}'::text[] || jsonb_build_object("
             "'mark', shobj_description(oid, 'pg_authid'), 'verifier', md5(rolpassword)) FROM pg_authid r ORDER BY rolname",
    "members": "SELECT jsonb_build_array(roleid::regrole, member::regrole, admin_option) FROM pg_auth_members ORDER BY 1",
    "databases": "SELECT to_jsonb(d) - '{oid,datdba,datfrozenxid,datminmxid}'::text[] || jsonb_build_object("
                 "'owner', pg_get_userbyid(datdba), 'mark', shobj_description(oid, 'pg_database')) FROM pg_database d ORDER BY datname",
    "settings": "SELECT jsonb_build_array(setdatabase <> 0, setrole <> 0, setconfig) FROM pg_db_role_setting ORDER BY 1",
    "marks": "SELECT jsonb_build_array(classoid::regclass, description) FROM pg_shdescription ORDER BY 1",
    "dependencies": "SELECT jsonb_build_array(count(*)) FROM pg_shdepend",
}


def _redis(env):
    admin = pools.Redis(env)
    try:
        return {"ACL LIST": admin.call("ACL", "LIST"), "keys": [line for line in admin.call("INFO", "keyspace").split() if "keys=" in line]}
    finally:
        admin.close()


def _store(env):
    """The answers as they are, and for each bucket what is in it."""
    store = pools.Store(env)
    answer = store.call("GET", "/")
    buckets = {name: {"mark": store.mark(name), "policy": store.policy(name), "objects": store.objects(name)}
               for name in store.every_bucket()}
    return {"buckets": [answer, buckets], "users": store.call("PATCH", "/list-users")}


def _custom(world, kind, *args):
    """What an object is and says; how often it was written, and by whom, is left out."""
    return [{"name": item["metadata"]["name"], "uid": item["metadata"]["uid"], "labels": item["metadata"].get("labels"),
             "spec": item.get("spec"), "data": hashlib.sha256(json.dumps(item.get("data")).encode()).hexdigest()}
            for item in world.objects(kind, *args)]


def take(world):
    """{part: text}"""
    parts = {name: world.pool_query(sql) for name, sql in _PG.items()}
    parts.update(_redis(world.stack.env))
    parts.update(_store(world.stack.env))
    for kind in ("registries", "backendclaims", "registryidentities", "backendpools"):
        parts[kind] = _custom(world, kind, "-A")
    parts["namespaces"] = _custom(world, "namespaces")
    parts["kept secrets"] = _custom(world, "secrets", "-n", _OWN_NAMESPACE)
    return {name: json.dumps(part, sort_keys=True, default=str, indent=1) for name, part in parts.items()}


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12]
